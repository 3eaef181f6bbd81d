// SPDX-License-Identifier: Apache-2.0
// api_internal.h: what handlers share: one call, its parameters, its answer. Private to the room.
#pragma once

#include "api/api.h"
#include "codec/json_writer.h"
#include "remote/remote.h"
#include "ui/ui.h"

static inline Sink *api_sink(const ApiContext *api)
{
    return api->sink ? api->sink : tsdb_sink(api->tsdb);
}

// What queries read from.
static inline Source *api_source(const ApiContext *api)
{
    return api->source ? api->source : tsdb_source(api->tsdb);
}

typedef struct ApiCall ApiCall;
typedef struct ApiRoute ApiRoute;

enum {
    METHOD_GET = 1,
    METHOD_HEAD = 2,
    METHOD_POST = 4,
    METHOD_PUT = 8,
    METHOD_OPTIONS = 16,
};

enum {
    ROUTE_READY = 1,  // 503 until the store is open
    ROUTE_API = 2,    // JSON envelope, CORS headers
    ROUTE_PLAIN = 4,  // not counted in the metrics under its own name
    ROUTE_STORE = 16, // refused by an agent
    ROUTE_MEMORY = 8, // takes API_ANSWER_BYTES before it begins
};

// Buffers of one answer on its way: JSON, what the connection holds back, compression.
#define API_ANSWER_BYTES (1u << 20)

// A pattern is literal but for ":name" (one path segment, kept in ApiCall.segment) and "*name" at its end (any rest). Metrics have it
// as the label `handler`, so names are the original's.
struct ApiRoute {
    unsigned methods;
    const char *pattern;
    void (*handle)(ApiCall *call);
    unsigned flags;
};

// routes.c
extern const ApiRoute api_routes[];
extern const size_t api_route_count;

struct ApiCall {
    ApiContext *api;
    HttpRequest *request;
    Arena *arena; // of this call; counted in `budget`
    Budget budget;
    const ApiRoute *route;
    Str path;    // below the route prefix
    Str segment; // what matched ":name"
    int status;  // of the answer
    uint64_t sent_bytes;
};

struct ApiState {
    Regex *cors;
    bool cors_any; // ".*"
    Family *requests, *durations, *sizes;
    struct ApiRouteMetrics *route_metrics;
    RemoteWrite *remote_write;
    RemoteRead *remote_read;
    _Atomic int live_subscribers;
    Gauge *subscribers; // of live notifications
    Counter *events_sent, *events_dropped;
    Counter *federation_errors, *federation_warnings;
    Gauge *metrics_in_flight;
    Counter *metrics_served;
    UiSite *ui;
};

// ---- api_metrics.c ----

// Once, with a registry.
void api_metrics_init(ApiContext *api);
void api_metrics_deinit(ApiContext *api);
void api_metrics_count(const ApiCall *call, int64_t took_ns);

// ---- api_metrics_protobuf.c ----

// False: the client asked for text.
bool api_metrics_protobuf(ApiCall *call, Buf *out);

// ---- api_self_metrics.c ----

// Samples of one child of a histogram or summary: what stands before its _sum and _count, then those. Returns how many.
size_t api_child_length(const RegistryFamily *family, size_t from);
// The last label's value as a number: of le, of quantile.
double api_last_label(const RegistrySample *sample);

// ---- errors: prometheus.md section 3.1 ----

typedef enum ApiErrorKind {
    API_BAD_DATA,
    API_EXECUTION,
    API_CANCELED,
    API_TIMEOUT,
    API_INTERNAL,
    API_NOT_FOUND,
    API_NOT_ACCEPTABLE,
    API_UNAVAILABLE,
} ApiErrorKind;

// The one place where our errors become the API's.
ApiErrorKind api_error_kind(ErrorCode code);
void api_error(ApiCall *call, ApiErrorKind kind, const char *fmt, ...) PRINTF(3, 4);
void api_error_from(ApiCall *call, const Error *err);
// `invalid parameter "name": text`
void api_bad_param(ApiCall *call, const char *name, const Error *err);

// ---- answers ----

void api_text(ApiCall *call, int status, Str text); // text/plain
void api_empty(ApiCall *call, int status);
void api_bytes(ApiCall *call, int status, Str content_type, Str bytes);

// The texts of a grid of times, as many series share it. Times that are not on it are printed one by one.
#define API_TIME_BYTES 24
typedef struct ApiTimes {
    int64_t start_ms, step_ms;
    size_t count;                  // 0: there is no grid
    char (*texts)[API_TIME_BYTES]; // the last byte is the length
} ApiTimes;

// A success document around `json`. It is sent in one piece if it is small, in chunks otherwise.

typedef struct ApiReply {
    ApiCall *call;
    JsonWriter json;
    Buf buf;
    Str content_type; // JSON unless changed before the first flush
    bool streaming;
    ApiTimes times;
} ApiReply;

// Writes up to "data": ; the caller writes one value with reply->json.
void api_reply_begin(ApiCall *call, ApiReply *reply);
// Each list is cut at ten entries and a line that says so.
void api_reply_end(ApiReply *reply, StrList warnings, StrList infos);
void api_reply_done(ApiReply *reply); // without annotations
// Sends on what waits, if it is much: for writers that go past the JsonWriter.
void api_reply_flush(ApiReply *reply);

// The same without an envelope: a body of any type, gathered in `reply->buf`.
void api_stream_begin(ApiCall *call, ApiReply *reply);
void api_stream_end(ApiReply *reply);

void api_times_make(ApiTimes *times, int64_t start_ms, int64_t step_ms, size_t count, Arena *arena);
// [1435781430.781,"1"] and its parts.
void api_json_time(Buf *buf, int64_t t_ms);
void api_json_labels(JsonWriter *json, Labels labels);
void api_json_point(ApiReply *reply, int64_t t_ms, double value, const Histogram *histogram);
// `"key":[[t,v],...]`: the points of one kind, floats or histograms; nothing where there are none.
void api_json_points(ApiReply *reply, Str key, const SampleColumns *samples, bool histograms);
// `"warnings":[...],"infos":[...]`, each list cut at ten entries; nothing where there are none.
void api_json_annotations(JsonWriter *json, StrList warnings, StrList infos);
// The object of /status/buildinfo and /version.
void api_json_build(JsonWriter *json, const ApiBuild *build);
// 2026-08-21T10:00:00.123Z
void api_json_rfc3339(JsonWriter *json, int64_t t_ms);

// ---- parameters: prometheus.md section 3.2. False: the error has been answered. ----

// Seconds as a float or RFC 3339; `fallback` when absent.
bool api_time_param(ApiCall *call, const char *name, int64_t fallback_ms, int64_t *ret_ms);
bool api_limit_param(ApiCall *call, const char *name, size_t *ret_limit); // 0: none
// Seconds as a float or a Prometheus duration.
bool api_duration_parse(Str text, int64_t *ret_ms, Error *err);
bool api_bool_parse(Str text, bool *ret_value); // Go's strconv.ParseBool
bool api_time_parse(Str text, int64_t *ret_ms, Error *err);

// One set of matchers for each match[] (or `name`).
typedef struct ApiSelectors {
    Matcher **sets;
    size_t *counts;
    size_t count;
} ApiSelectors;
// Each must have a matcher that does not match the empty string.
bool api_selectors_param(ApiCall *call, Str name, ApiSelectors *ret_selectors);
// Each must have a matcher.
bool api_wide_selectors_param(ApiCall *call, Str name, ApiSelectors *ret_selectors);
void api_selectors_free(ApiSelectors *selectors);

// The widest range the API knows, as the original's minTime and maxTime.
#define API_MIN_T_MS (-9223309901257974000)
#define API_MAX_T_MS 9223309901257974999

#define API_TRUNCATED S("results truncated due to limit")

// Drops values behind `limit`; true if something was dropped.
bool api_truncate(size_t *count, size_t limit);
StrList api_truncated_warning(ApiCall *call, bool truncated);
// Sorted union of two sorted lists.
StrList api_str_union(Arena *arena, StrList a, StrList b);
// Series of all sets, sorted, each once.
bool api_select(Querier *querier, const ApiSelectors *selectors, const SelectHints *hints,
                Arena *arena, SeriesList *ret_list, Error *err) MUST_CHECK;

// ---- handlers, by file ----

void api_query(ApiCall *call);
void api_query_range(ApiCall *call);
// Does the client ask for columns (its Accept names them)?
bool api_wants_columns(const ApiCall *call);
// The first `count` series of a range query's result, in columns.
void api_reply_columns(ApiCall *call, const QueryRequest *query, const QueryResult *result,
                       size_t count, StrList warnings);
void api_query_exemplars(ApiCall *call);
void api_format_query(ApiCall *call);
void api_parse_query(ApiCall *call);

void api_series(ApiCall *call);
void api_labels(ApiCall *call);
void api_label_values(ApiCall *call);

void api_search_metric_names(ApiCall *call);
void api_search_label_names(ApiCall *call);
void api_search_label_values(ApiCall *call);

void api_targets(ApiCall *call);
void api_scrape_pools(ApiCall *call);
void api_metadata(ApiCall *call);
void api_targets_metadata(ApiCall *call);
void api_scrape_pool_config(ApiCall *call);
void api_relabel_steps(ApiCall *call);

void api_rules(ApiCall *call);
void api_alerts(ApiCall *call);
void api_alertmanagers(ApiCall *call);

void api_status_config(ApiCall *call);
void api_status_flags(ApiCall *call);
void api_status_runtimeinfo(ApiCall *call);
void api_status_buildinfo(ApiCall *call);
void api_status_tsdb(ApiCall *call);
void api_status_blocks(ApiCall *call);
void api_status_walreplay(ApiCall *call);
void api_status_self_metrics(ApiCall *call);
void api_features(ApiCall *call);
void api_openapi(ApiCall *call);
void api_notifications(ApiCall *call);
void api_notifications_live(ApiCall *call);

void api_admin_delete_series(ApiCall *call);
void api_admin_clean_tombstones(ApiCall *call);
void api_admin_snapshot(ApiCall *call);

void api_healthy(ApiCall *call);
void api_ready(ApiCall *call);
void api_reload(ApiCall *call);
void api_quit(ApiCall *call);
void api_needs_post(ApiCall *call);
void api_options(ApiCall *call);
void api_metrics(ApiCall *call);
void api_version(ApiCall *call);

void api_federate(ApiCall *call);
void api_remote_write(ApiCall *call);
void api_otlp_metrics(ApiCall *call);
void api_remote_read(ApiCall *call);
// For RemoteReadOptions.
void api_read_encode(const SampleColumns *samples, Arena *arena, RemoteChunk **ret_chunks,
                     size_t *ret_count);

void api_root(ApiCall *call);
void api_old_graph(ApiCall *call);
void api_page(ApiCall *call);
void api_asset(ApiCall *call);
void api_console(ApiCall *call);    // api_consoles.c
void api_user_asset(ApiCall *call); // api_user_assets.c
void api_debug(ApiCall *call);

// Whether --enable-feature names it.
bool api_has_feature(const ApiContext *api, const char *name);
