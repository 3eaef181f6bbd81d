// SPDX-License-Identifier: Apache-2.0
#include "promql/functions.h"

#include <stdlib.h>

// Sorted by name.
static const FunctionInfo functions[] = {
    {"abs", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR},
    {"absent", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR, .special = true},
    {"absent_over_time", {TYPE_MATRIX}, 1, 0, TYPE_VECTOR, .special = true},
    {"acos", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR},
    {"acosh", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR},
    {"asin", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR},
    {"asinh", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR},
    {"atan", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR},
    {"atanh", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR},
    {"avg_over_time", {TYPE_MATRIX}, 1, 0, TYPE_VECTOR},
    {"ceil", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR},
    {"changes", {TYPE_MATRIX}, 1, 0, TYPE_VECTOR},
    {"clamp", {TYPE_VECTOR, TYPE_SCALAR, TYPE_SCALAR}, 3, 0, TYPE_VECTOR},
    {"clamp_max", {TYPE_VECTOR, TYPE_SCALAR}, 2, 0, TYPE_VECTOR},
    {"clamp_min", {TYPE_VECTOR, TYPE_SCALAR}, 2, 0, TYPE_VECTOR},
    {"cos", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR},
    {"cosh", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR},
    {"count_over_time", {TYPE_MATRIX}, 1, 0, TYPE_VECTOR},
    {"day_of_month", {TYPE_VECTOR}, 1, 1, TYPE_VECTOR, .time_dependent = true},
    {"day_of_week", {TYPE_VECTOR}, 1, 1, TYPE_VECTOR, .time_dependent = true},
    {"day_of_year", {TYPE_VECTOR}, 1, 1, TYPE_VECTOR, .time_dependent = true},
    {"days_in_month", {TYPE_VECTOR}, 1, 1, TYPE_VECTOR, .time_dependent = true},
    {"deg", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR},
    {"delta", {TYPE_MATRIX}, 1, 0, TYPE_VECTOR},
    {"deriv", {TYPE_MATRIX}, 1, 0, TYPE_VECTOR},
    {"double_exponential_smoothing", {TYPE_MATRIX, TYPE_SCALAR, TYPE_SCALAR}, 3, 0, TYPE_VECTOR, .experimental = true},
    {"end", {TYPE_NONE}, 0, 0, TYPE_SCALAR, .experimental = true, .time_dependent = true, .special = true},
    {"exp", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR},
    {"first_over_time", {TYPE_MATRIX}, 1, 0, TYPE_VECTOR, .keeps_name = true},
    {"floor", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR},
    {"histogram_avg", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR},
    {"histogram_count", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR},
    {"histogram_fraction", {TYPE_SCALAR, TYPE_SCALAR, TYPE_VECTOR}, 3, 0, TYPE_VECTOR},
    {"histogram_quantile", {TYPE_SCALAR, TYPE_VECTOR}, 2, 0, TYPE_VECTOR},
    {"histogram_quantiles", {TYPE_VECTOR, TYPE_STRING, TYPE_SCALAR, TYPE_SCALAR}, 4, 9, TYPE_VECTOR, .experimental = true},
    {"histogram_stddev", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR},
    {"histogram_stdvar", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR},
    {"histogram_sum", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR},
    {"hour", {TYPE_VECTOR}, 1, 1, TYPE_VECTOR, .time_dependent = true},
    {"idelta", {TYPE_MATRIX}, 1, 0, TYPE_VECTOR},
    {"increase", {TYPE_MATRIX}, 1, 0, TYPE_VECTOR},
    {"info", {TYPE_VECTOR, TYPE_VECTOR}, 2, 1, TYPE_VECTOR, .experimental = true, .keeps_name = true, .special = true},
    {"irate", {TYPE_MATRIX}, 1, 0, TYPE_VECTOR},
    {"label_join", {TYPE_VECTOR, TYPE_STRING, TYPE_STRING, TYPE_STRING}, 4, -1, TYPE_VECTOR, .keeps_name = true},
    {"label_replace", {TYPE_VECTOR, TYPE_STRING, TYPE_STRING, TYPE_STRING, TYPE_STRING}, 5, 0, TYPE_VECTOR, .keeps_name = true},
    {"last_over_time", {TYPE_MATRIX}, 1, 0, TYPE_VECTOR, .keeps_name = true},
    {"ln", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR},
    {"log10", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR},
    {"log2", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR},
    {"mad_over_time", {TYPE_MATRIX}, 1, 0, TYPE_VECTOR, .experimental = true},
    {"max_of", {TYPE_SCALAR, TYPE_SCALAR}, 2, 0, TYPE_SCALAR, .experimental = true},
    {"max_over_time", {TYPE_MATRIX}, 1, 0, TYPE_VECTOR},
    {"min_of", {TYPE_SCALAR, TYPE_SCALAR}, 2, 0, TYPE_SCALAR, .experimental = true},
    {"min_over_time", {TYPE_MATRIX}, 1, 0, TYPE_VECTOR},
    {"minute", {TYPE_VECTOR}, 1, 1, TYPE_VECTOR, .time_dependent = true},
    {"month", {TYPE_VECTOR}, 1, 1, TYPE_VECTOR, .time_dependent = true},
    {"pi", {TYPE_NONE}, 0, 0, TYPE_SCALAR},
    {"predict_linear", {TYPE_MATRIX, TYPE_SCALAR}, 2, 0, TYPE_VECTOR, .time_dependent = true},
    {"present_over_time", {TYPE_MATRIX}, 1, 0, TYPE_VECTOR},
    {"quantile_over_time", {TYPE_SCALAR, TYPE_MATRIX}, 2, 0, TYPE_VECTOR},
    {"rad", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR},
    {"range", {TYPE_NONE}, 0, 0, TYPE_SCALAR, .experimental = true, .time_dependent = true, .special = true},
    {"rate", {TYPE_MATRIX}, 1, 0, TYPE_VECTOR},
    {"resets", {TYPE_MATRIX}, 1, 0, TYPE_VECTOR},
    {"round", {TYPE_VECTOR, TYPE_SCALAR}, 2, 1, TYPE_VECTOR},
    {"scalar", {TYPE_VECTOR}, 1, 0, TYPE_SCALAR},
    {"sgn", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR},
    {"sin", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR},
    {"sinh", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR},
    {"sort", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR, .keeps_name = true},
    {"sort_by_label", {TYPE_VECTOR, TYPE_STRING}, 2, -1, TYPE_VECTOR, .experimental = true, .keeps_name = true},
    {"sort_by_label_desc", {TYPE_VECTOR, TYPE_STRING}, 2, -1, TYPE_VECTOR, .experimental = true, .keeps_name = true},
    {"sort_desc", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR, .keeps_name = true},
    {"sqrt", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR},
    {"start", {TYPE_NONE}, 0, 0, TYPE_SCALAR, .experimental = true, .time_dependent = true, .special = true},
    {"start_timestamp", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR, .experimental = true, .time_dependent = true, .special = true},
    {"stddev_over_time", {TYPE_MATRIX}, 1, 0, TYPE_VECTOR},
    {"stdvar_over_time", {TYPE_MATRIX}, 1, 0, TYPE_VECTOR},
    {"step", {TYPE_NONE}, 0, 0, TYPE_SCALAR, .experimental = true, .time_dependent = true, .special = true},
    {"sum_over_time", {TYPE_MATRIX}, 1, 0, TYPE_VECTOR},
    {"tan", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR},
    {"tanh", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR},
    {"time", {TYPE_NONE}, 0, 0, TYPE_SCALAR, .time_dependent = true},
    {"timestamp", {TYPE_VECTOR}, 1, 0, TYPE_VECTOR, .time_dependent = true, .special = true},
    {"ts_of_first_over_time", {TYPE_MATRIX}, 1, 0, TYPE_VECTOR, .experimental = true},
    {"ts_of_last_over_time", {TYPE_MATRIX}, 1, 0, TYPE_VECTOR, .experimental = true},
    {"ts_of_max_over_time", {TYPE_MATRIX}, 1, 0, TYPE_VECTOR, .experimental = true},
    {"ts_of_min_over_time", {TYPE_MATRIX}, 1, 0, TYPE_VECTOR, .experimental = true},
    {"vector", {TYPE_SCALAR}, 1, 0, TYPE_VECTOR},
    {"year", {TYPE_VECTOR}, 1, 1, TYPE_VECTOR, .time_dependent = true},
};

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
