// SPDX-License-Identifier: Apache-2.0
#include <math.h>
#include <stdlib.h>

#include "promql/function_bodies.h"
#include "promql/functions.h"

// Sorted by name. One row each, which clang-format 14 cannot lay out.
// clang-format off
static const FunctionInfo functions[] = {
    {"abs", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR, .math = fabs},
    {"absent", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR, .special = true},
    {"absent_over_time", {TYPE_MATRIX}, 1, 0, TYPE_VECTOR, .special = true},
    {"acos", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR, .math = acos},
    {"acosh", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR, .math = acosh},
    {"asin", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR, .math = asin},
    {"asinh", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR, .math = asinh},
    {"atan", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR, .math = atan},
    {"atanh", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR, .math = atanh},
    {"avg_over_time", {TYPE_MATRIX}, 1, 0, TYPE_VECTOR, .range = range_avg_over_time},
    {"ceil", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR, .math = ceil},
    {"changes", {TYPE_MATRIX}, 1, 0, TYPE_VECTOR, .range = range_changes},
    {"clamp", {TYPE_VECTOR, TYPE_SCALAR, TYPE_SCALAR}, 3, 0, TYPE_VECTOR, .general = function_clamp},
    {"clamp_max", {TYPE_VECTOR, TYPE_SCALAR}, 2, 0, TYPE_VECTOR, .general = function_clamp_max},
    {"clamp_min", {TYPE_VECTOR, TYPE_SCALAR}, 2, 0, TYPE_VECTOR, .general = function_clamp_min},
    {"cos", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR, .math = cos},
    {"cosh", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR, .math = cosh},
    {"count_over_time", {TYPE_MATRIX}, 1, 0, TYPE_VECTOR, .range = range_count_over_time},
    {"day_of_month", {TYPE_VECTOR}, 1, 1, TYPE_VECTOR, .time_dependent = true, .general = function_day_of_month},
    {"day_of_week", {TYPE_VECTOR}, 1, 1, TYPE_VECTOR, .time_dependent = true, .general = function_day_of_week},
    {"day_of_year", {TYPE_VECTOR}, 1, 1, TYPE_VECTOR, .time_dependent = true, .general = function_day_of_year},
    {"days_in_month", {TYPE_VECTOR}, 1, 1, TYPE_VECTOR, .time_dependent = true, .general = function_days_in_month},
    {"deg", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR, .math = math_deg},
    {"delta", {TYPE_MATRIX}, 1, 0, TYPE_VECTOR, .range = range_delta},
    {"deriv", {TYPE_MATRIX}, 1, 0, TYPE_VECTOR, .range = range_deriv},
    {"double_exponential_smoothing", {TYPE_MATRIX, TYPE_SCALAR, TYPE_SCALAR}, 3, 0, TYPE_VECTOR, .experimental = true, .general = function_double_exponential_smoothing},
    {"end", {TYPE_NONE}, 0, 0, TYPE_SCALAR, .experimental = true, .general = function_end},
    {"exp", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR, .math = exp},
    {"first_over_time", {TYPE_MATRIX}, 1, 0, TYPE_VECTOR, .keeps_name = true, .range = range_first_over_time},
    {"floor", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR, .math = floor},
    {"histogram_avg", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR, .general = function_histogram_avg},
    {"histogram_count", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR, .general = function_histogram_count},
    {"histogram_fraction", {TYPE_SCALAR, TYPE_SCALAR, TYPE_VECTOR}, 3, 0, TYPE_VECTOR, .general = function_histogram_fraction},
    {"histogram_quantile", {TYPE_SCALAR, TYPE_VECTOR}, 2, 0, TYPE_VECTOR, .general = function_histogram_quantile},
    {"histogram_quantiles", {TYPE_VECTOR, TYPE_STRING, TYPE_SCALAR, TYPE_SCALAR}, 4, 9, TYPE_VECTOR, .experimental = true, .general = function_histogram_quantiles},
    {"histogram_stddev", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR, .general = function_histogram_stddev},
    {"histogram_stdvar", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR, .general = function_histogram_stdvar},
    {"histogram_sum", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR, .general = function_histogram_sum},
    {"hour", {TYPE_VECTOR}, 1, 1, TYPE_VECTOR, .time_dependent = true, .general = function_hour},
    {"idelta", {TYPE_MATRIX}, 1, 0, TYPE_VECTOR, .range = range_idelta},
    {"increase", {TYPE_MATRIX}, 1, 0, TYPE_VECTOR, .range = range_increase},
    {"info", {TYPE_VECTOR, TYPE_VECTOR}, 2, 1, TYPE_VECTOR, .experimental = true, .keeps_name = true, .special = true},
    {"irate", {TYPE_MATRIX}, 1, 0, TYPE_VECTOR, .range = range_irate},
    {"label_join", {TYPE_VECTOR, TYPE_STRING, TYPE_STRING, TYPE_STRING}, 4, -1, TYPE_VECTOR, .keeps_name = true, .general = function_label_join},
    {"label_replace", {TYPE_VECTOR, TYPE_STRING, TYPE_STRING, TYPE_STRING, TYPE_STRING}, 5, 0, TYPE_VECTOR, .keeps_name = true, .general = function_label_replace},
    {"last_over_time", {TYPE_MATRIX}, 1, 0, TYPE_VECTOR, .keeps_name = true, .range = range_last_over_time},
    {"ln", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR, .math = log},
    {"log10", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR, .math = log10},
    {"log2", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR, .math = log2},
    {"mad_over_time", {TYPE_MATRIX}, 1, 0, TYPE_VECTOR, .experimental = true, .range = range_mad_over_time},
    {"max_of", {TYPE_SCALAR, TYPE_SCALAR}, 2, 0, TYPE_SCALAR, .experimental = true, .general = function_max_of},
    {"max_over_time", {TYPE_MATRIX}, 1, 0, TYPE_VECTOR, .range = range_max_over_time},
    {"min_of", {TYPE_SCALAR, TYPE_SCALAR}, 2, 0, TYPE_SCALAR, .experimental = true, .general = function_min_of},
    {"min_over_time", {TYPE_MATRIX}, 1, 0, TYPE_VECTOR, .range = range_min_over_time},
    {"minute", {TYPE_VECTOR}, 1, 1, TYPE_VECTOR, .time_dependent = true, .general = function_minute},
    {"month", {TYPE_VECTOR}, 1, 1, TYPE_VECTOR, .time_dependent = true, .general = function_month},
    {"pi", {TYPE_NONE}, 0, 0, TYPE_SCALAR, .general = function_pi},
    {"predict_linear", {TYPE_MATRIX, TYPE_SCALAR}, 2, 0, TYPE_VECTOR, .time_dependent = true, .range = range_predict_linear},
    {"present_over_time", {TYPE_MATRIX}, 1, 0, TYPE_VECTOR, .range = range_present_over_time},
    {"quantile_over_time", {TYPE_SCALAR, TYPE_MATRIX}, 2, 0, TYPE_VECTOR, .range = range_quantile_over_time},
    {"rad", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR, .math = math_rad},
    {"range", {TYPE_NONE}, 0, 0, TYPE_SCALAR, .experimental = true, .general = function_range},
    {"rate", {TYPE_MATRIX}, 1, 0, TYPE_VECTOR, .range = range_rate},
    {"resets", {TYPE_MATRIX}, 1, 0, TYPE_VECTOR, .range = range_resets},
    {"round", {TYPE_VECTOR, TYPE_SCALAR}, 2, 1, TYPE_VECTOR, .general = function_round},
    {"scalar", {TYPE_VECTOR}, 1, 0, TYPE_SCALAR, .general = function_scalar},
    {"sgn", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR, .math = math_sgn},
    {"sin", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR, .math = sin},
    {"sinh", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR, .math = sinh},
    {"sort", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR, .keeps_name = true, .general = function_sort},
    {"sort_by_label", {TYPE_VECTOR, TYPE_STRING}, 2, -1, TYPE_VECTOR, .experimental = true, .keeps_name = true, .general = function_sort_by_label},
    {"sort_by_label_desc", {TYPE_VECTOR, TYPE_STRING}, 2, -1, TYPE_VECTOR, .experimental = true, .keeps_name = true, .general = function_sort_by_label_desc},
    {"sort_desc", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR, .keeps_name = true, .general = function_sort_desc},
    {"sqrt", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR, .math = sqrt},
    {"start", {TYPE_NONE}, 0, 0, TYPE_SCALAR, .experimental = true, .general = function_start},
    {"start_timestamp", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR, .experimental = true, .special = true},
    {"stddev_over_time", {TYPE_MATRIX}, 1, 0, TYPE_VECTOR, .range = range_stddev_over_time},
    {"stdvar_over_time", {TYPE_MATRIX}, 1, 0, TYPE_VECTOR, .range = range_stdvar_over_time},
    {"step", {TYPE_NONE}, 0, 0, TYPE_SCALAR, .experimental = true, .general = function_step},
    {"sum_over_time", {TYPE_MATRIX}, 1, 0, TYPE_VECTOR, .range = range_sum_over_time},
    {"tan", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR, .math = tan},
    {"tanh", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR, .math = tanh},
    {"time", {TYPE_NONE}, 0, 0, TYPE_SCALAR, .time_dependent = true, .general = function_time},
    {"timestamp", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR, .time_dependent = true, .special = true},
    {"ts_of_first_over_time", {TYPE_MATRIX}, 1, 0, TYPE_VECTOR, .experimental = true, .range = range_ts_of_first_over_time},
    {"ts_of_last_over_time", {TYPE_MATRIX}, 1, 0, TYPE_VECTOR, .experimental = true, .range = range_ts_of_last_over_time},
    {"ts_of_max_over_time", {TYPE_MATRIX}, 1, 0, TYPE_VECTOR, .experimental = true, .range = range_ts_of_max_over_time},
    {"ts_of_min_over_time", {TYPE_MATRIX}, 1, 0, TYPE_VECTOR, .experimental = true, .range = range_ts_of_min_over_time},
    {"vector", {TYPE_SCALAR}, 1, 0, TYPE_VECTOR, .general = function_vector},
    {"year", {TYPE_VECTOR}, 1, 1, TYPE_VECTOR, .time_dependent = true, .general = function_year},
};
// clang-format on

static int compare_name(const void *name, const void *row)
{
    return str_compare(*(const Str *)name, str_from_c(((const FunctionInfo *)row)->name));
}

const FunctionInfo *function_find(Str name)
{
    return bsearch(&name, functions, COUNT_OF(functions), sizeof functions[0], compare_name);
}

const FunctionInfo *function_all(size_t *ret_count)
{
    *ret_count = COUNT_OF(functions);
    return functions;
}

bool promql_function_at(size_t index, const char **ret_name, bool *ret_experimental)
{
    if (index >= COUNT_OF(functions))
        return false;
    *ret_name = functions[index].name;
    *ret_experimental = functions[index].experimental;
    return true;
}
