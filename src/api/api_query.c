// SPDX-License-Identifier: Apache-2.0
// /query, /query_range, /query_exemplars, /format_query, /parse_query.
#include <stdlib.h>

#include "api/api_internal.h"
#include "base/number.h"
#include "base/timefmt.h"
#include "trace/trace.h"

enum { POINTS_MAX = 11000 };

static bool client_is_gone(void *arg)
{
    return http_client_gone(arg);
}

// What both kinds of query take.
static bool common_params(ApiCall *call, QueryRequest *query)
{
    const HttpRequest *request = call->request;
    Error err;
    query->query = http_param(request, S("query"));
    query->is_canceled = client_is_gone;
    query->arg = call->request;
    query->budget = &call->budget;
    query->origin = (QueryOrigin){
        .client_ip = request->client_ip, .method = request->method, .path = request->path};
    query->stats_all =
        str_is(http_param(request, S("stats")), "all") && call->api->features.per_step_stats;

    Str timeout = http_param(request, S("timeout"));
    if (timeout.len) {
        if (!api_duration_parse(timeout, &query->timeout_ms, &err)) {
            api_bad_param(call, "timeout", &err);
            return false;
        }
        query->timeout_ms = MAX(query->timeout_ms, 1);
    }
    Str lookback = http_param(request, S("lookback_delta"));
    if (lookback.len && !api_duration_parse(lookback, &query->lookback_ms, &err)) {
        api_error(call, API_BAD_DATA, "error parsing lookback delta duration: %s", err.text);
        return false;
    }
    return true;
}

// ---- answers ----

static void write_metric(ApiReply *reply, Labels labels)
{
    json_key(&reply->json, S("metric"));
    api_json_labels(&reply->json, labels);
}

static void write_vector(ApiReply *reply, const QueryResult *result, size_t count)
{
    JsonWriter *json = &reply->json;
    for (size_t i = 0; i < count; i++) {
        const QuerySeries *series = &result->series[i];
        const Histogram *histogram =
            series->samples.histograms ? series->samples.histograms[0] : NULL;
        json_object(json);
        write_metric(reply, series->labels);
        json_key(json, histogram ? S("histogram") : S("value"));
        json_raw(json, STR_NONE); // tells the writer that a value stands here
        api_json_point(reply, result->t_ms, series->samples.value[0], histogram);
        json_object_end(json);
    }
}

static void write_matrix(ApiReply *reply, const QueryResult *result, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const QuerySeries *series = &result->series[i];
        json_object(&reply->json);
        write_metric(reply, series->labels);
        api_json_points(reply, S("values"), &series->samples, false);
        if (series->samples.histograms)
            api_json_points(reply, S("histograms"), &series->samples, true);
        json_object_end(&reply->json);
    }
}

// [1435781430.781,"text"], the time as Go prints a float64.
static void write_pair(JsonWriter *json, int64_t t_ms, Str text)
{
    json_array(json);
    json_double(json, (double)t_ms / 1000);
    json_str(json, text);
    json_array_end(json);
}

static void write_result(ApiReply *reply, const QueryResult *result, size_t count)
{
    static const char *const kinds[] = {"scalar", "string", "vector", "matrix"};
    JsonWriter *json = &reply->json;
    char number[NUMBER_BYTES_MAX];
    json_key_c(json, "resultType", kinds[result->kind]);
    json_key(json, S("result"));
    switch (result->kind) {
    case QUERY_SCALAR:
        write_pair(json, result->t_ms, str_make(number, number_format_f(result->scalar, number)));
        break;
    case QUERY_STRING:
        write_pair(json, result->t_ms, result->string);
        break;
    case QUERY_VECTOR:
        json_array(json);
        write_vector(reply, result, count);
        json_array_end(json);
        break;
    case QUERY_MATRIX:
        json_array(json);
        write_matrix(reply, result, count);
        json_array_end(json);
        break;
    }
}

static StrList with_warning(Arena *arena, StrList list, Str text)
{
    Str *items = ARENA_ARRAY(arena, Str, list.count + 1);
    for (size_t i = 0; i < list.count; i++)
        items[i] = list.items[i];
    items[list.count] = text;
    return (StrList){items, list.count + 1};
}

static void query_failed(ApiCall *call, const Error *err)
{
    // The engine's ERR_INVALID is a text that does not parse or type-check.
    if (err->code == ERR_INVALID)
        api_bad_param(call, "query", err);
    else
        api_error_from(call, err);
}

static void tell_time(Span *span, const char *key, int64_t t_ms)
{
    if (!span_is_recorded(span))
        return;
    CLEANUP(buf_deinit) Buf text = {0};
    buf_add_rfc3339(&text, t_ms, 0);
    span_str(span, key, buf_str(&text));
}

static bool ask_engine(ApiCall *call, const QueryRequest *query, QueryResult *result, Error *err)
{
    Span span;
    span_open(&span, query->is_range ? S("promqlRangeQuery") : S("promqlInstantQuery"));
    span_str(&span, "timeout", http_param(call->request, S("timeout")));
    tell_time(&span, query->is_range ? "start" : "time", query->start_ms);
    if (query->is_range) {
        tell_time(&span, "end", query->end_ms);
        span_str(&span, "step", http_param(call->request, S("step")));
    }
    bool ok =
        engine_query(call->api->engine, api_source(call->api), query, call->arena, result, err);
    if (ok) {
        span_i64(&span, "result_series", (int64_t)result->count);
        span_i64(&span, "total_samples", (int64_t)result->stats.samples_total);
    } else {
        span_fail(&span, str_from_c(err->text));
    }
    span_end(&span);
    return ok;
}

static void make_times(ApiCall *call, const QueryRequest *query, ApiTimes *times)
{
    int64_t step_ms = MAX(query->step_ms, 1);
    uint64_t length_ms = (uint64_t)query->end_ms - (uint64_t)query->start_ms;
    size_t points = query->is_range ? (size_t)(length_ms / (uint64_t)step_ms) + 1 : 1;
    api_times_make(times, query->start_ms, step_ms, points, call->arena);
}

static void run_query(ApiCall *call, const QueryRequest *query, size_t limit)
{
    Error err = {0};
    QueryResult result = {0};
    if (!ask_engine(call, query, &result, &err)) {
        query_failed(call, &err);
        return;
    }
    size_t count = result.count;
    StrList warnings = result.warnings;
    if (api_truncate(&count, limit))
        warnings = with_warning(call->arena, warnings, API_TRUNCATED);
    Str stats = http_param(call->request, S("stats"));
    if (stats.len && !str_is(stats, "true") && !str_is(stats, "all"))
        warnings = with_warning(call->arena, warnings,
                                S("stats: values other than \"true\" and \"all\" are deprecated"));

    if (query->is_range && api_wants_columns(call)) {
        api_reply_columns(call, query, &result, count, warnings);
        return;
    }
    ApiReply reply;
    api_reply_begin(call, &reply);
    if (count > 1)
        make_times(call, query, &reply.times);
    json_object(&reply.json);
    write_result(&reply, &result, count);
    if (stats.len) {
        json_key(&reply.json, S("stats"));
        promql_stats_json(&reply.json, &result.stats, query);
    }
    json_object_end(&reply.json);
    api_reply_end(&reply, warnings, result.infos);
}

void api_query(ApiCall *call)
{
    QueryRequest query = {0};
    size_t limit;
    if (!api_limit_param(call, "limit", &limit) ||
        !api_time_param(call, "time", clock_now_ms(call->api->clock), &query.start_ms) ||
        !common_params(call, &query))
        return;
    query.end_ms = query.start_ms;
    run_query(call, &query, limit);
}

// A time or duration that must be there.
static bool needed_time(ApiCall *call, const char *name, int64_t *ret_ms)
{
    Error err;
    if (api_time_parse(http_param(call->request, str_from_c(name)), ret_ms, &err))
        return true;
    api_bad_param(call, name, &err);
    return false;
}

static bool range_params(ApiCall *call, QueryRequest *query)
{
    Error err = {0};
    if (!needed_time(call, "start", &query->start_ms) || !needed_time(call, "end", &query->end_ms))
        return false;
    if (query->end_ms < query->start_ms) {
        error_set(&err, ERR_INVALID, "end timestamp must not be before start time");
        api_bad_param(call, "end", &err);
        return false;
    }
    if (!api_duration_parse(http_param(call->request, S("step")), &query->step_ms, &err)) {
        api_bad_param(call, "step", &err);
        return false;
    }
    if (query->step_ms <= 0) {
        error_set(&err, ERR_INVALID,
                  "zero or negative query resolution step widths are not accepted. Try a positive "
                  "integer");
        api_bad_param(call, "step", &err);
        return false;
    }
    // Times are at most some 9.2e18 ms apart from zero: their difference needs one more bit.
    uint64_t length_ms = (uint64_t)query->end_ms - (uint64_t)query->start_ms;
    if (length_ms / (uint64_t)query->step_ms > POINTS_MAX) {
        api_error(
            call, API_BAD_DATA,
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query "
            "resolution (?step=XX)");
        return false;
    }
    return true;
}

void api_query_range(ApiCall *call)
{
    QueryRequest query = {.is_range = true};
    size_t limit;
    if (!api_limit_param(call, "limit", &limit) || !range_params(call, &query) ||
        !common_params(call, &query))
        return;
    run_query(call, &query, limit);
}

// ---- text ----

void api_format_query(ApiCall *call)
{
    Error err = {0};
    Buf out = {0};
    if (!promql_format(http_param(call->request, S("query")), &call->api->features, &out, &err)) {
        buf_deinit(&out);
        query_failed(call, &err);
        return;
    }
    ApiReply reply;
    api_reply_begin(call, &reply);
    json_str(&reply.json, buf_str(&out));
    api_reply_done(&reply);
    buf_deinit(&out);
}

void api_parse_query(ApiCall *call)
{
    Error err = {0};
    Buf out = {0};
    JsonWriter json;
    json_writer_init(&json, &out);
    if (!promql_tree_json(http_param(call->request, S("query")), &call->api->features, &json,
                          &err)) {
        buf_deinit(&out);
        query_failed(call, &err);
        return;
    }
    ApiReply reply;
    api_reply_begin(call, &reply);
    json_raw(&reply.json, buf_str(&out));
    api_reply_done(&reply);
    buf_deinit(&out);
}

// ---- exemplars ----

typedef struct ExemplarRow {
    Labels labels;
    const Exemplar *exemplars;
    size_t count;
} ExemplarRow;

static int compare_rows(const void *a, const void *b)
{
    const ExemplarRow *x = a;
    const ExemplarRow *y = b;
    return labels_compare(x->labels, y->labels);
}

static void write_exemplars(ApiCall *call, const ExemplarRow *rows, size_t count)
{
    ApiReply reply;
    JsonWriter *json = &reply.json;
    char number[NUMBER_BYTES_MAX];
    api_reply_begin(call, &reply);
    json_array(json);
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && labels_equal(rows[i - 1].labels, rows[i].labels))
            continue; // two selectors met the same series
        json_object(json);
        json_key(json, S("seriesLabels"));
        api_json_labels(json, rows[i].labels);
        json_key(json, S("exemplars"));
        json_array(json);
        for (size_t e = 0; e < rows[i].count; e++) {
            const Exemplar *exemplar = &rows[i].exemplars[e];
            json_object(json);
            json_key(json, S("labels"));
            api_json_labels(json, exemplar->labels);
            json_key_str(json, "value",
                         str_make(number, number_format_json(exemplar->value, number)));
            json_key(json, S("timestamp"));
            json_raw(json, STR_NONE);
            api_json_time(&reply.buf, exemplar->t_ms);
            json_object_end(json);
        }
        json_array_end(json);
        json_object_end(json);
    }
    json_array_end(json);
    api_reply_done(&reply);
}

// All exemplars that any of the selectors meets; rows live in the arena.
static bool find_exemplars(ApiCall *call, const ApiSelectors *selectors, int64_t start_ms,
                           int64_t end_ms, ExemplarRow **ret_rows, size_t *ret_count, Error *err)
{
    ExemplarRow *rows = NULL;
    size_t count = 0;
    for (size_t s = 0; s < selectors->count; s++) {
        TsdbExemplars found = {0};
        if (!tsdb_exemplars(call->api->tsdb, selectors->sets[s], selectors->counts[s], start_ms,
                            end_ms, call->arena, &found, err))
            return false;
        rows = arena_grow(call->arena, rows, count * sizeof *rows,
                          (count + found.count) * sizeof *rows);
        for (size_t i = 0; i < found.count; i++)
            if (found.exemplar_counts[i] > 0)
                rows[count++] =
                    (ExemplarRow){found.series[i], found.exemplars[i], found.exemplar_counts[i]};
    }
    if (count > 1)
        qsort(rows, count, sizeof *rows, compare_rows);
    *ret_rows = rows;
    *ret_count = count;
    return true;
}

void api_query_exemplars(ApiCall *call)
{
    int64_t start_ms, end_ms;
    ApiSelectors selectors = {0};
    ExemplarRow *rows = NULL;
    size_t count = 0;
    Error err = {0};
    if (!api_time_param(call, "start", API_MIN_T_MS, &start_ms) ||
        !api_time_param(call, "end", API_MAX_T_MS, &end_ms))
        return;
    if (end_ms < start_ms) {
        api_error(call, API_BAD_DATA, "end timestamp must not be before start timestamp");
        return;
    }
    if (!promql_selectors(http_param(call->request, S("query")), &call->api->features, call->arena,
                          &selectors.sets, &selectors.counts, &selectors.count, &err)) {
        query_failed(call, &err);
        return;
    }
    bool ok = find_exemplars(call, &selectors, start_ms, end_ms, &rows, &count, &err);
    if (selectors.count == 0)
        api_empty(call, 204);
    else if (ok)
        write_exemplars(call, rows, count);
    else
        api_error_from(call, &err);
    api_selectors_free(&selectors);
}
