// SPDX-License-Identifier: Apache-2.0
// Reading; tool_result_print.c prints.
#include "tool/tool_result.h"

#include <math.h>

#include "base/number.h"
#include "codec/json_text.h"

#define DETAIL_BYTES_MAX 300

static bool fail_shape(const char *what, Error *err)
{
    return error_set(err, ERR_INVALID, "bad_response: %s is not what a Prometheus answers", what);
}

static bool fail_status(const ToolAnswer *answer, Error *err)
{
    Str detail = str_sub(str_trim(answer->body), 0, DETAIL_BYTES_MAX);
    const char *kind = answer->status / 100 == 4   ? "client_error: client error:"
                       : answer->status / 100 == 5 ? "server_error: server error:"
                                                   : "bad_response: bad response code";
    return error_set(err, ERR_UNAVAILABLE, "%s %d%s" STR_FMT "%s", kind, answer->status,
                     detail.len ? " (detail: " : "", STR_ARG(detail), detail.len ? ")" : "");
}

// Failures of the reader are those of the answer.
static bool bad_answer(Error *err)
{
    err->code = ERR_INVALID;
    return error_context(err, "bad_response");
}

// The string that a text is; empty if it is something else.
static Str string_of(Str text, Arena *arena)
{
    JsonValue *value;
    Error err = {0};
    return json_read(text, arena, &value, &err) && value->kind == JSON_STRING ? value->str
                                                                              : STR_NONE;
}

bool tool_envelope_read(const ToolAnswer *answer, Arena *arena, ToolEnvelope *ret_envelope,
                        Error *err)
{
    enum { STATUS, DATA, ERROR_TYPE, ERROR, WARNINGS, COUNT };
    static const Str keys[COUNT] = {STR("status"), STR("data"), STR("errorType"), STR("error"),
                                    STR("warnings")};
    Str values[COUNT];
    Error ignored = {0};
    bool is_api_error = answer->status == 400 || answer->status == 422;
    if (answer->status / 100 != 2 && !is_api_error)
        return fail_status(answer, err);
    if (answer->status == 204) {
        *ret_envelope = (ToolEnvelope){0};
        return true;
    }
    if (!json_text_members(answer->body, keys, COUNT, values, err))
        return bad_answer(err);
    if (str_is(string_of(values[STATUS], arena), "error"))
        return error_set(err, ERR_INVALID, STR_FMT ": " STR_FMT,
                         STR_ARG(str_sub(string_of(values[ERROR_TYPE], arena), 0, 100)),
                         STR_ARG(str_sub(string_of(values[ERROR], arena), 0, 380)));
    if (is_api_error)
        return error_set(err, ERR_INVALID, "bad_response: inconsistent body for response code");
    JsonValue *warnings = NULL;
    if (values[WARNINGS].len && !json_read(values[WARNINGS], arena, &warnings, &ignored))
        warnings = NULL;
    *ret_envelope = (ToolEnvelope){.data = values[DATA], .warnings = warnings};
    return true;
}

bool tool_labels_read(const JsonValue *object, Arena *arena, Labels *ret_labels, Error *err)
{
    if (!object || object->kind != JSON_OBJECT)
        return fail_shape("a set of labels", err);
    Label *pairs = ARENA_ARRAY(arena, Label, object->count);
    size_t count = object->count;
    for (size_t i = 0; i < count; i++) {
        if (object->items[i].kind != JSON_STRING)
            return fail_shape("a label's value", err);
        pairs[i] = (Label){object->keys[i], object->items[i].str};
    }
    if (!labels_sort(pairs, &count, err))
        return false;
    *ret_labels = (Labels){pairs, count};
    return true;
}

// Numbers stand in strings.
static bool read_number(const JsonValue *value, double *ret_number, Error *err)
{
    if (value && value->kind == JSON_STRING && number_parse_double(value->str, ret_number))
        return true;
    return fail_shape("a number", err);
}

static bool read_time(const JsonValue *value, int64_t *ret_ms, Error *err)
{
    if (value->kind != JSON_NUMBER || !(fabs(value->number) < 9e15))
        return fail_shape("a timestamp", err);
    *ret_ms = llround(value->number * 1000);
    return true;
}

static bool read_bucket(const JsonValue *value, ToolBucket *ret_bucket, Error *err)
{
    if (value->kind != JSON_ARRAY || value->count != 4)
        return fail_shape("a bucket", err);
    const JsonValue *boundaries = &value->items[0];
    if (boundaries->kind != JSON_NUMBER || !boundaries->is_integer || boundaries->integer < 0 ||
        boundaries->integer > 3)
        return fail_shape("a bucket's boundary rule", err);
    ret_bucket->boundaries = (int)boundaries->integer;
    return read_number(&value->items[1], &ret_bucket->lower, err) &&
           read_number(&value->items[2], &ret_bucket->upper, err) &&
           read_number(&value->items[3], &ret_bucket->count, err);
}

static bool read_histogram(const JsonValue *value, Arena *arena,
                           const ToolHistogram **ret_histogram, Error *err)
{
    ToolHistogram *histogram = ARENA_NEW(arena, ToolHistogram);
    const JsonValue *buckets = json_get(value, S("buckets"));
    if (!read_number(json_get(value, S("count")), &histogram->count, err) ||
        !read_number(json_get(value, S("sum")), &histogram->sum, err))
        return false;
    if (buckets && buckets->kind == JSON_ARRAY) {
        histogram->bucket_count = buckets->count;
        histogram->buckets = ARENA_ARRAY(arena, ToolBucket, buckets->count);
        for (size_t i = 0; i < buckets->count; i++)
            if (!read_bucket(&buckets->items[i], &histogram->buckets[i], err))
                return false;
    }
    *ret_histogram = histogram;
    return true;
}

static bool read_point(const JsonValue *pair, Arena *arena, ToolPoint *ret_point, Error *err)
{
    ToolPoint point = {0};
    if (pair->kind != JSON_ARRAY || pair->count != 2)
        return fail_shape("a sample", err);
    if (!read_time(&pair->items[0], &point.t_ms, err))
        return false;
    bool ok = pair->items[1].kind == JSON_OBJECT
                  ? read_histogram(&pair->items[1], arena, &point.histogram, err)
                  : read_number(&pair->items[1], &point.value, err);
    if (ok)
        *ret_point = point;
    return ok;
}

// `list` may be NULL: none; `is_one` says that it is no list but the one point.
static bool read_points(const JsonValue *list, bool is_one, Arena *arena, ToolPoint **ret_points,
                        size_t *ret_count, Error *err)
{
    size_t count = !list ? 0 : is_one ? 1 : list->count;
    if (list && list->kind != JSON_ARRAY)
        return fail_shape("a list of samples", err);
    *ret_points = ARENA_ARRAY(arena, ToolPoint, count);
    *ret_count = count;
    for (size_t i = 0; i < count; i++)
        if (!read_point(is_one ? list : &list->items[i], arena, &(*ret_points)[i], err))
            return false;
    return true;
}

static bool read_series(const JsonValue *value, bool is_vector, Arena *arena, ToolSeries *series,
                        Error *err)
{
    const JsonValue *values = json_get(value, is_vector ? S("value") : S("values"));
    const JsonValue *histograms = json_get(value, is_vector ? S("histogram") : S("histograms"));
    if (is_vector && !values && !histograms)
        return fail_shape("a sample", err);
    return tool_labels_read(json_get(value, S("metric")), arena, &series->metric, err) &&
           read_points(values, is_vector, arena, &series->values, &series->value_count, err) &&
           read_points(histograms, is_vector, arena, &series->histograms, &series->histogram_count,
                       err);
}

static bool read_string(const JsonValue *pair, ToolResult *result, Error *err)
{
    if (pair->kind != JSON_ARRAY || pair->count != 2 || pair->items[1].kind != JSON_STRING)
        return fail_shape("a string", err);
    result->string = pair->items[1].str;
    return read_time(&pair->items[0], &result->scalar.t_ms, err);
}

static bool read_pair(Str text, QueryKind kind, Arena *arena, ToolResult *result, Error *err)
{
    JsonValue *pair;
    if (!json_read(text, arena, &pair, err))
        return bad_answer(err);
    return kind == QUERY_SCALAR ? read_point(pair, arena, &result->scalar, err)
                                : read_string(pair, result, err);
}

// The tree of one series is forgotten when its points have been taken; label strings are kept.
static bool read_list(Str list, bool is_vector, Arena *arena, ToolResult *result, Error *err)
{
    CLEANUP(arena_deinit) Arena scratch = {0};
    JsonTextItems items = json_text_items(list);
    size_t cap = 0;
    Str text;
    while (json_text_next(&items, &text)) {
        JsonValue *value;
        ToolSeries series = {0};
        arena_reset(&scratch);
        if (!json_read(text, &scratch, &value, err))
            return bad_answer(err);
        if (!read_series(value, is_vector, arena, &series, err))
            return false;
        series.metric = labels_copy(arena, series.metric);
        if (result->count == cap) {
            size_t bigger = MAX(cap * 2, (size_t)8);
            result->series = arena_grow(arena, result->series, cap * sizeof(ToolSeries),
                                        bigger * sizeof(ToolSeries));
            cap = bigger;
        }
        result->series[result->count++] = series;
    }
    if (!items.failed)
        return true;
    *err = items.err;
    return bad_answer(err);
}

bool tool_result_read(Str data, Arena *arena, ToolResult *ret_result, Error *err)
{
    static const char *const kinds[] = {
        [QUERY_SCALAR] = "scalar",
        [QUERY_STRING] = "string",
        [QUERY_VECTOR] = "vector",
        [QUERY_MATRIX] = "matrix",
    };
    static const Str keys[] = {STR("resultType"), STR("result")};
    Str values[COUNT_OF(keys)] = {0};
    ToolResult result = {0};
    size_t kind = 0;
    if (data.len && !json_text_members(data, keys, COUNT_OF(keys), values, err))
        return bad_answer(err);
    Str type = string_of(values[0], arena);
    Str text = values[1];
    while (kind < COUNT_OF(kinds) && !str_is(type, kinds[kind]))
        kind++;
    if (kind == COUNT_OF(kinds))
        return error_set(err, ERR_INVALID, "unexpected value type \"" STR_FMT "\"",
                         STR_ARG(str_sub(type, 0, 100)));
    result.kind = (QueryKind)kind;
    bool is_pair = result.kind == QUERY_SCALAR || result.kind == QUERY_STRING;
    if (is_pair ? !read_pair(text, result.kind, arena, &result, err)
                : !read_list(text, result.kind == QUERY_VECTOR, arena, &result, err))
        return false;
    *ret_result = result;
    return true;
}
