// SPDX-License-Identifier: Apache-2.0
// promql.h: the query language. Text in, values out; asks any Source.
//
// Thread: an Engine may be used from any number of threads at once.
#pragma once

#include "base/budget.h"
#include "base/clock.h"
#include "base/thread.h"
#include "client/registry.h"
#include "codec/json_writer.h"
#include "metric/source.h"

// Feature names as --enable-feature has them.
typedef struct PromqlFeatures {
    bool experimental_functions;   // promql-experimental-functions
    bool duration_expressions;     // on by default since 3.14
    bool extended_range_selectors; // promql-extended-range-selectors: anchored, smoothed
    bool fill_modifiers;           // promql-binop-fill-modifiers
    bool delayed_name_removal;     // promql-delayed-name-removal
    bool start_timestamps;         // use-start-timestamps
    bool type_and_unit_labels;     // type-and-unit-labels
    bool per_step_stats;           // promql-per-step-stats
} PromqlFeatures;

typedef struct Engine Engine;

typedef struct EngineOptions {
    Clock *clock;
    Registry *registry; // prometheus_engine_*; NULL: none
    ThreadPool *pool;   // NULL: everything on the caller
    PromqlFeatures features;
    int64_t lookback_ms;       // 5 min
    int64_t timeout_ms;        // 2 min
    int concurrency_max;       // 20: more queries wait
    uint64_t samples_max;      // 50 000 000 samples in memory of one query
    uint64_t memory_bytes_max; // of one query; 0: no limit
    Budget *memory;            // of all queries together; NULL: no limit
    int64_t default_step_ms; // of subqueries without a step: the global evaluation interval, 1 min
} EngineOptions;

void engine_options_default(EngineOptions *ret_options);
Engine *engine_new(const EngineOptions *options);
void engine_free(Engine *engine); // accepts NULL
void engine_set_default_step(Engine *engine, int64_t step_ms);
// From now on a line of JSON for each query that is evaluated goes to the file, which is opened anew and appended to; empty: none does.
// A failure leaves all as it was.
bool engine_set_query_log(Engine *engine, Str path, Error *err) MUST_CHECK;
// Keeps the queries that run in the file, which a crash leaves behind. *ret_unfinished (in the arena, a JSON array, maybe empty) are those
// that the last run left. Once, before the first query.
bool engine_track_queries(Engine *engine, Str path, Arena *arena, Str *ret_unfinished,
                          Error *err) MUST_CHECK;

typedef enum QueryKind { QUERY_SCALAR, QUERY_STRING, QUERY_VECTOR, QUERY_MATRIX } QueryKind;

typedef struct QuerySeries {
    Labels labels;
    SampleColumns samples; // a vector has exactly one each
} QuerySeries;

typedef struct QueryStats {
    double eval_total_s, result_sort_s, preparation_s, inner_eval_s, queue_s, exec_total_s;
    uint64_t samples_total, samples_peak, samples_read;
    uint64_t *samples_per_step; // with per_step_stats and `stats_all`
    uint64_t *read_per_step;    // likewise
} QueryStats;

typedef struct QueryResult {
    QueryKind kind;
    int64_t t_ms; // of a scalar, string or vector
    double scalar;
    Str string;
    QuerySeries *series; // a matrix is sorted by labels, a vector is as the engine made it
    size_t count;
    StrList warnings; // "PromQL warning: ... (1:2)", each once
    StrList infos;
    QueryStats stats;
} QueryResult;

// Who asks, for the query log. Empty: not told.
typedef struct QueryOrigin {
    Str client_ip, method, path;
    Str rule_file, rule_group;
} QueryOrigin;

typedef struct QueryRequest {
    Str query;
    bool is_range;
    int64_t start_ms; // an instant query's time
    int64_t end_ms;
    int64_t step_ms;
    int64_t lookback_ms; // 0: the engine's
    int64_t timeout_ms;  // 0: the engine's; never more than that
    bool stats_all;
    QueryOrigin origin;
    Budget *budget; // what the evaluation holds is counted there; NULL: in one of its own
    // Asked now and then: true ends the query with ERR_CANCELED. May be NULL.
    bool (*is_canceled)(void *arg);
    void *arg;
} QueryRequest;

// What kind of failure: becomes errorType in the API.
//   ERR_INVALID  bad_data: does not parse or type-check; the text begins "line:column: parse error: "
//   ERR_LIMIT    execution; ERR_TIMEOUT timeout; ERR_CANCELED canceled; others internal
// Everything in *ret_result lives in the arena, except label strings, which live in it, too.
bool engine_query(Engine *engine, Source *source, const QueryRequest *request, Arena *arena,
                  QueryResult *ret_result, Error *err) MUST_CHECK;

// {"timings":{...},"samples":{...}}, as in answers of the API and lines of the query log.
void promql_stats_json(JsonWriter *json, const QueryStats *stats, const QueryRequest *request);

// A selector alone, as in match[]: metric name and matchers, no offset, no range. The matchers' regexes are freed by
// promql_matchers_free.
bool promql_parse_selector(Str text, Arena *arena, Matcher **ret_matchers, size_t *ret_count,
                           Error *err) MUST_CHECK;
void promql_matchers_free(Matcher *matchers, size_t count);

// The function at a place of the table; false behind the last.
bool promql_function_at(size_t index, const char **ret_name, bool *ret_experimental);

// Only parse and type-check.
bool promql_check(Str query, const PromqlFeatures *features, Error *err) MUST_CHECK;
// The canonical form on one line, as rules are shown and linked.
bool promql_print(Str query, const PromqlFeatures *features, Buf *out, Error *err) MUST_CHECK;
// The pretty-printed form, as /api/v1/format_query.
bool promql_format(Str query, const PromqlFeatures *features, Buf *out, Error *err) MUST_CHECK;
// The same after a change to every selector of the query: its matchers of the label `name` get another kind and value, or it gets one if it
// has none; or they are taken away.
typedef struct PromqlEdit {
    bool is_delete;
    MatchKind kind;
    Str name, value;
} PromqlEdit;
bool promql_edit_matchers(Str query, const PromqlFeatures *features, const PromqlEdit *edit,
                          Buf *out, Error *err) MUST_CHECK;
// The tree, as /api/v1/parse_query.
bool promql_tree_json(Str query, const PromqlFeatures *features, JsonWriter *json,
                      Error *err) MUST_CHECK;
// The matchers of all selectors in the query, for query_exemplars: arrays in the arena, regexes owned by them.
bool promql_selectors(Str query, const PromqlFeatures *features, Arena *arena,
                      Matcher ***ret_matchers, size_t **ret_counts, size_t *ret_count,
                      Error *err) MUST_CHECK;

// The notation of series in tests, prometheus.md section 4.8.
#define SERIES_TEXT_VALUES_MAX 10000000

typedef struct SeriesTextValue {
    bool omitted;
    double value;
    const Histogram *histogram; // NULL: a float
} SeriesTextValue;

// `1+2x3 _ stale {{schema:0 buckets:[1 2]}}x4`. Values live in the arena.
bool promql_parse_series_values(Str text, Arena *arena, SeriesTextValue **ret_values,
                                size_t *ret_count, Error *err) MUST_CHECK;
// `up{job="a"}`, `{a="b"}` or nothing: a label set in the arena.
bool promql_parse_metric(Str text, Arena *arena, Labels *ret_labels, Error *err) MUST_CHECK;
// {{schema:1 count:5 buckets:[2 3]}}: as FloatHistogram.TestExpression().
void promql_print_series_histogram(Buf *buf, const Histogram *histogram);
