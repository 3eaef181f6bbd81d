// SPDX-License-Identifier: Apache-2.0
// Results as promtool prints them: -o promql is what Go's %v makes of common's model types, -o json their encoding.
#include <math.h>
#include <stdlib.h>

#include "base/number.h"
#include "tool/tool_result.h"

// Words -------------------------------------------------------------------------------------------------------------------------------

static int compare_texts(const void *a, const void *b)
{
    return str_compare(*(const Str *)a, *(const Str *)b);
}

void tool_metric_print(Labels metric, Arena *arena, Buf *out)
{
    Str *texts = ARENA_ARRAY(arena, Str, metric.count);
    size_t count = 0;
    for (size_t i = 0; i < metric.count; i++) {
        if (str_equal(metric.pairs[i].name, LABEL_METRIC_NAME))
            continue;
        CLEANUP(buf_deinit) Buf text = {0};
        buf_add_str(&text, metric.pairs[i].name);
        buf_add_char(&text, '=');
        buf_add_go_quoted(&text, metric.pairs[i].value);
        texts[count++] = arena_str(arena, buf_str(&text));
    }
    Str name = labels_get(metric, LABEL_METRIC_NAME);
    buf_add_str(out, name);
    if (count == 0) {
        buf_add_c(out, count == metric.count ? "{}" : "");
        return;
    }
    qsort(texts, count, sizeof *texts, compare_texts);
    for (size_t i = 0; i < count; i++) {
        buf_add_c(out, i ? ", " : "{");
        buf_add_str(out, texts[i]);
    }
    buf_add_char(out, '}');
}

void tool_label_set_print(Labels labels, Buf *out)
{
    buf_add_char(out, '{');
    for (size_t i = 0; i < labels.count; i++) {
        buf_add_c(out, i ? ", " : "");
        buf_add_str(out, labels.pairs[i].name);
        buf_add_char(out, '=');
        buf_add_go_quoted(out, labels.pairs[i].value);
    }
    buf_add_char(out, '}');
}

static void add_time(Buf *out, int64_t t_ms)
{
    buf_add_double_f(out, (double)t_ms / 1000);
}

// Go's %f.
static void add_fixed(Buf *out, double value)
{
    if (isfinite(value))
        buf_printf(out, "%f", value);
    else
        buf_add_double_f(out, value);
}

static void add_histogram(Buf *out, const ToolHistogram *histogram)
{
    buf_add_c(out, "Count: ");
    add_fixed(out, histogram->count);
    buf_add_c(out, ", Sum: ");
    add_fixed(out, histogram->sum);
    buf_add_c(out, ", Buckets: [");
    for (size_t i = 0; i < histogram->bucket_count; i++) {
        const ToolBucket *bucket = &histogram->buckets[i];
        buf_add_c(out, i ? " " : "");
        buf_add_char(out, bucket->boundaries == 1 || bucket->boundaries == 3 ? '[' : '(');
        buf_add_double_g(out, bucket->lower);
        buf_add_char(out, ',');
        buf_add_double_g(out, bucket->upper);
        buf_add_char(out, bucket->boundaries == 0 || bucket->boundaries == 3 ? ']' : ')');
        buf_add_char(out, ':');
        buf_add_double_f(out, bucket->count);
    }
    buf_add_char(out, ']');
}

static void add_point(Buf *out, const ToolPoint *point)
{
    if (point->histogram)
        add_histogram(out, point->histogram);
    else
        buf_add_double_f(out, point->value);
    buf_add_c(out, " @[");
    add_time(out, point->t_ms);
    buf_add_char(out, ']');
}

// -o promql ---------------------------------------------------------------------------------------------------------------------------

// As model.LabelSet.Before: fewer labels first, then by the first label that differs.
static int compare_series(const void *a, const void *b)
{
    Labels one = ((const ToolSeries *)a)->metric;
    Labels other = ((const ToolSeries *)b)->metric;
    if (one.count != other.count)
        return one.count < other.count ? -1 : 1;
    for (size_t i = 0; i < one.count; i++) {
        int order = str_compare(one.pairs[i].name, other.pairs[i].name);
        // Who lacks the smaller name goes first.
        if (order)
            return -order;
        order = str_compare(one.pairs[i].value, other.pairs[i].value);
        if (order)
            return order;
    }
    return 0;
}

static void print_series(const ToolSeries *series, bool is_vector, Arena *arena, Buf *out)
{
    tool_metric_print(series->metric, arena, out);
    buf_add_c(out, is_vector ? " => " : " =>\n");
    for (size_t i = 0; i < series->value_count; i++) {
        buf_add_c(out, i ? "\n" : "");
        add_point(out, &series->values[i]);
    }
    for (size_t i = 0; i < series->histogram_count; i++) {
        buf_add_c(out, i || series->value_count ? "\n" : "");
        add_point(out, &series->histograms[i]);
    }
}

static void print_promql(ToolResult *result, Arena *arena, Buf *out)
{
    if (result->kind == QUERY_STRING) {
        buf_add_str(out, result->string);
        return;
    }
    if (result->kind == QUERY_SCALAR) {
        buf_add_c(out, "scalar: ");
        add_point(out, &result->scalar);
        return;
    }
    if (result->kind == QUERY_MATRIX && result->count)
        qsort(result->series, result->count, sizeof *result->series, compare_series);
    for (size_t i = 0; i < result->count; i++) {
        buf_add_c(out, i ? "\n" : "");
        print_series(&result->series[i], result->kind == QUERY_VECTOR, arena, out);
    }
}

// -o json -----------------------------------------------------------------------------------------------------------------------------

void tool_labels_json(Labels labels, JsonWriter *json)
{
    json_object(json);
    for (size_t i = 0; i < labels.count; i++) {
        json_key(json, labels.pairs[i].name);
        json_str(json, labels.pairs[i].value);
    }
    json_object_end(json);
}

static void json_number(double value, JsonWriter *json)
{
    char text[NUMBER_BYTES_MAX];
    json_str(json, str_make(text, number_format_f(value, text)));
}

static void json_time(int64_t t_ms, JsonWriter *json)
{
    char text[NUMBER_BYTES_MAX];
    json_raw(json, str_make(text, number_format_f((double)t_ms / 1000, text)));
}

static void json_histogram(const ToolHistogram *histogram, JsonWriter *json)
{
    json_object(json);
    json_key(json, S("count"));
    json_number(histogram->count, json);
    json_key(json, S("sum"));
    json_number(histogram->sum, json);
    json_key(json, S("buckets"));
    if (histogram->bucket_count == 0)
        json_null(json);
    else
        json_array(json);
    for (size_t i = 0; i < histogram->bucket_count; i++) {
        json_array(json);
        json_i64(json, histogram->buckets[i].boundaries);
        json_number(histogram->buckets[i].lower, json);
        json_number(histogram->buckets[i].upper, json);
        json_number(histogram->buckets[i].count, json);
        json_array_end(json);
    }
    if (histogram->bucket_count)
        json_array_end(json);
    json_object_end(json);
}

static void json_point(const ToolPoint *point, JsonWriter *json)
{
    json_array(json);
    json_time(point->t_ms, json);
    if (point->histogram)
        json_histogram(point->histogram, json);
    else
        json_number(point->value, json);
    json_array_end(json);
}

static void json_points(const char *key, const ToolPoint *points, size_t count, JsonWriter *json)
{
    json_key(json, str_from_c(key));
    json_array(json);
    for (size_t i = 0; i < count; i++)
        json_point(&points[i], json);
    json_array_end(json);
}

static void json_series(const ToolSeries *series, bool is_vector, JsonWriter *json)
{
    json_object(json);
    json_key(json, S("metric"));
    tool_labels_json(series->metric, json);
    if (is_vector) {
        json_key(json, series->histogram_count ? S("histogram") : S("value"));
        json_point(series->histogram_count ? series->histograms : series->values, json);
    } else {
        if (series->value_count || !series->histogram_count)
            json_points("values", series->values, series->value_count, json);
        if (series->histogram_count)
            json_points("histograms", series->histograms, series->histogram_count, json);
    }
    json_object_end(json);
}

static void print_json(const ToolResult *result, Buf *out)
{
    JsonWriter json;
    json_writer_init(&json, out);
    if (result->kind == QUERY_SCALAR) {
        json_point(&result->scalar, &json);
        return;
    }
    json_array(&json);
    if (result->kind == QUERY_STRING) {
        json_time(result->scalar.t_ms, &json);
        json_str(&json, result->string);
    }
    for (size_t i = 0; i < result->count; i++)
        json_series(&result->series[i], result->kind == QUERY_VECTOR, &json);
    json_array_end(&json);
}

void tool_result_print(ToolResult *result, ToolOutput output, Arena *arena, Buf *out)
{
    if (output == TOOL_OUTPUT_JSON)
        print_json(result, out);
    else
        print_promql(result, arena, out);
}
