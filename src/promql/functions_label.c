// SPDX-License-Identifier: Apache-2.0
// Labels and order: what leaves values alone.
#include <math.h>
#include <stdlib.h>

#include "base/regex_cache.h"
#include "promql/function_bodies.h"

// A vector whose labels were set; only a metric name set anew stays when names are dropped later.
static bool relabeled(FunctionCall *call, Value *ret_value, Error *err)
{
    if (!vector_merge_equal(call->arena, call->steps, &call->args[0], err))
        return false;
    *ret_value = call->args[0];
    return true;
}

static void set_label(const FunctionCall *call, VectorSeries *series, Str name, Str value)
{
    series->labels = labels_set(call->arena, series->labels, name, value);
    if (str_equal(name, LABEL_METRIC_NAME))
        series->drop_name = false;
}

GENERAL_FUNCTION(function_label_replace)
{
    Str name = call->args[1].string, replacement = call->args[2].string,
        source = call->args[3].string;
    Str pattern = call->args[4].string;
    Regex *regex;
    Error fault = {0};
    if (!regex_cache_take(pattern, &regex, &fault))
        return error_set(err, ERR_LIMIT, "invalid regular expression in label_replace(): " STR_FMT,
                         STR_ARG(pattern));
    if (!name_is_utf8(name)) {
        regex_cache_give(regex);
        return error_set(err, ERR_LIMIT,
                         "invalid destination label name in label_replace(): " STR_FMT,
                         STR_ARG(name));
    }
    for (size_t i = 0; i < call->args[0].count; i++) {
        VectorSeries *series = &call->args[0].series[i];
        Str value;
        if (regex_expand(regex, labels_get(series->labels, source), replacement, call->arena,
                         &value))
            set_label(call, series, name, value);
    }
    regex_cache_give(regex);
    return relabeled(call, ret_value, err);
}

GENERAL_FUNCTION(function_label_join)
{
    Str name = call->args[1].string, separator = call->args[2].string;
    for (size_t i = 3; i < call->count; i++)
        if (!name_is_utf8(call->args[i].string))
            return error_set(err, ERR_LIMIT, "invalid source label name in label_join(): " STR_FMT,
                             STR_ARG(call->args[i].string));
    if (!name_is_utf8(name))
        return error_set(err, ERR_LIMIT, "invalid destination label name in label_join(): " STR_FMT,
                         STR_ARG(name));
    Buf joined;
    buf_init(&joined, 0);
    for (size_t s = 0; s < call->args[0].count; s++) {
        VectorSeries *series = &call->args[0].series[s];
        buf_reset(&joined);
        for (size_t i = 3; i < call->count; i++) {
            if (i > 3)
                buf_add_str(&joined, separator);
            buf_add_str(&joined, labels_get(series->labels, call->args[i].string));
        }
        set_label(call, series, name, arena_str(call->arena, buf_str(&joined)));
    }
    buf_deinit(&joined);
    return relabeled(call, ret_value, err);
}

// Order --------------------------------------------------------------------------------------------------------------------------

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

// The run of digits, or of anything else, that s begins with.
static Str take_run(Str *s)
{
    size_t len = 0;
    while (len < s->len && is_digit(s->ptr[len]) == is_digit(s->ptr[0]))
        len++;
    Str run = str_sub(*s, 0, len);
    *s = str_skip(*s, len);
    return run;
}

static int compare_digits(Str a, Str b)
{
    while (a.len && a.ptr[0] == '0')
        a = str_skip(a, 1);
    while (b.len && b.ptr[0] == '0')
        b = str_skip(b, 1);
    return a.len != b.len ? (a.len > b.len) - (a.len < b.len) : str_compare(a, b);
}

int natural_compare(Str a, Str b)
{
    Str rest_a = a, rest_b = b;
    while (rest_a.len && rest_b.len) {
        Str x = take_run(&rest_a), y = take_run(&rest_b);
        int order =
            is_digit(x.ptr[0]) && is_digit(y.ptr[0]) ? compare_digits(x, y) : str_compare(x, y);
        if (order)
            return order;
    }
    if (rest_a.len != rest_b.len)
        return rest_a.len ? 1 : -1;
    return str_compare(a, b);
}

typedef struct SortOrder {
    const FunctionCall *call;
    bool descending;
} SortOrder;

// In a range query the result is sorted by labels whatever is done here.
static bool sort_matters(const FunctionCall *call)
{
    if (call->steps->count == 1)
        return true;
    annotate_warning(
        call->context, call->expr,
        "sort is ineffective for range queries since results are always ordered by labels");
    return false;
}

static int compare_series_values(const void *a, const void *b, void *arg)
{
    double x = ((const VectorSeries *)a)->value[0], y = ((const VectorSeries *)b)->value[0];
    if (isnan(x) || isnan(y))
        return isnan(x) - isnan(y);
    int order = (x > y) - (x < y);
    return *(const bool *)arg ? -order : order;
}

static bool sort_by_value(FunctionCall *call, bool descending, Value *ret_value)
{
    Value *vector = &call->args[0];
    for (size_t s = 0; s < vector->count; s++) {
        VectorSeries *series = &vector->series[s];
        for (size_t i = 0; series->histogram && i < call->steps->count; i++)
            if (series->kind[i] == POINT_HISTOGRAM)
                series->kind[i] = POINT_NONE;
        series->histogram = NULL;
    }
    eval_remove_empty(vector, call->steps->count);
    if (sort_matters(call) && vector->count)
        qsort_r(vector->series, vector->count, sizeof *vector->series, compare_series_values,
                &descending);
    *ret_value = *vector;
    return true;
}

GENERAL_FUNCTION(function_sort)
{
    (void)err;
    return sort_by_value(call, false, ret_value);
}

GENERAL_FUNCTION(function_sort_desc)
{
    (void)err;
    return sort_by_value(call, true, ret_value);
}

static int compare_series_labels(const void *a, const void *b, void *arg)
{
    const SortOrder *order = arg;
    Labels x = ((const VectorSeries *)a)->labels, y = ((const VectorSeries *)b)->labels;
    int result = 0;
    for (size_t i = 1; result == 0 && i < order->call->count; i++) {
        Str name = order->call->args[i].string;
        result = natural_compare(labels_get(x, name), labels_get(y, name));
    }
    if (result == 0)
        result = labels_compare(x, y);
    return order->descending ? -result : result;
}

static bool sort_by_labels(FunctionCall *call, bool descending, Value *ret_value)
{
    SortOrder order = {call, descending};
    Value *vector = &call->args[0];
    if (sort_matters(call) && vector->count)
        qsort_r(vector->series, vector->count, sizeof *vector->series, compare_series_labels,
                &order);
    *ret_value = *vector;
    return true;
}

GENERAL_FUNCTION(function_sort_by_label)
{
    (void)err;
    return sort_by_labels(call, false, ret_value);
}

GENERAL_FUNCTION(function_sort_by_label_desc)
{
    (void)err;
    return sort_by_labels(call, true, ret_value);
}
