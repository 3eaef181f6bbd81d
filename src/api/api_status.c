// SPDX-License-Identifier: Apache-2.0
// /status/*, /features, /notifications.
#include <dirent.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/api_internal.h"
#include "base/number.h"
#include "base/thread.h"
#include "base/timefmt.h"

enum {
    STATS_LIMIT = 10,
    STATS_LIMIT_MAX = 10000,
    LIVE_POLL_MS = 500,
};

void api_status_config(ApiCall *call)
{
    Buf yaml = {0};
    ApiReply reply;
    if (call->api->config_yaml)
        call->api->config_yaml(call->api->owner, &yaml);
    api_reply_begin(call, &reply);
    json_object(&reply.json);
    json_key_str(&reply.json, "yaml", buf_str(&yaml));
    json_object_end(&reply.json);
    api_reply_done(&reply);
    buf_deinit(&yaml);
}

void api_status_flags(ApiCall *call)
{
    ApiReply reply;
    api_reply_begin(call, &reply);
    json_object(&reply.json);
    for (size_t i = 0; i < call->api->flag_count; i++) {
        json_key(&reply.json, call->api->flags[i].name);
        json_str(&reply.json, call->api->flags[i].value);
    }
    json_object_end(&reply.json);
    api_reply_done(&reply);
}

static int64_t count_threads(void)
{
    int64_t count = 0;
    DIR *dir = opendir("/proc/self/task");
    if (!dir)
        return 0;
    for (struct dirent *entry; (entry = readdir(dir));)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

static ApiRuntime runtime_of(ApiCall *call)
{
    ApiRuntime runtime = {.reload_succeeded = true, .reloaded_at_ms = call->api->started_at_ms};
    if (call->api->runtime)
        call->api->runtime(call->api->owner, call->arena, &runtime);
    return runtime;
}

static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value ? value : "";
}

void api_status_runtimeinfo(ApiCall *call)
{
    ApiRuntime runtime = runtime_of(call);
    char folder[PATH_MAX] = "";
    char host[256] = "";
    if (!getcwd(folder, sizeof folder))
        folder[0] = '\0';                     // the folder was removed
    (void)gethostname(host, sizeof host - 1); // empty then

    ApiReply reply;
    JsonWriter *json = &reply.json;
    api_reply_begin(call, &reply);
    json_object(json);
    json_key(json, S("startTime"));
    api_json_rfc3339(json, call->api->started_at_ms);
    json_key_c(json, "CWD", folder);
    json_key_c(json, "hostname", host);
    json_key(json, S("serverTime"));
    api_json_rfc3339(json, clock_now_ms(call->api->clock));
    json_key_bool(json, "reloadConfigSuccess", runtime.reload_succeeded);
    json_key(json, S("lastConfigTime"));
    api_json_rfc3339(json, runtime.reloaded_at_ms);
    json_key_u64(json, "corruptionCount", runtime.corruptions);
    json_key_i64(json, "goroutineCount", count_threads());
    json_key_i64(json, "GOMAXPROCS", thread_cores());
    json_key_i64(json, "GOMEMLIMIT", INT64_MAX);
    json_key_str(json, "GOGC", runtime.gogc);
    json_key_c(json, "GODEBUG", environment("GODEBUG"));
    json_key_str(json, "storageRetention", runtime.storage_retention);
    json_object_end(json);
    api_reply_done(&reply);
}

void api_json_build(JsonWriter *json, const ApiBuild *build)
{
    json_object(json);
    json_key_str(json, "version", build->version);
    json_key_str(json, "revision", build->revision);
    json_key_str(json, "branch", build->branch);
    json_key_str(json, "buildUser", build->user);
    json_key_str(json, "buildDate", build->date);
    json_key_str(json, "goVersion", build->compiler);
    json_object_end(json);
}

void api_status_buildinfo(ApiCall *call)
{
    ApiReply reply;
    api_reply_begin(call, &reply);
    api_json_build(&reply.json, &call->api->build);
    api_reply_done(&reply);
}

static void write_counts(JsonWriter *json, const char *key, const TsdbNamedCount *counts,
                         size_t count)
{
    json_key(json, str_from_c(key));
    json_array(json);
    for (size_t i = 0; i < count; i++) {
        json_object(json);
        json_key_str(json, "name", counts[i].name);
        json_key_u64(json, "value", counts[i].value);
        json_object_end(json);
    }
    json_array_end(json);
}

static bool stats_limit(ApiCall *call, size_t *ret_limit)
{
    Str text = http_param(call->request, S("limit"));
    int64_t limit = STATS_LIMIT;
    if (text.len && (!number_parse_i64(text, &limit) || limit < 1)) {
        api_error(call, API_BAD_DATA, "limit must be a positive number");
        return false;
    }
    if (limit > STATS_LIMIT_MAX) {
        api_error(call, API_BAD_DATA, "limit must not exceed %d", STATS_LIMIT_MAX);
        return false;
    }
    *ret_limit = (size_t)limit;
    return true;
}

void api_status_tsdb(ApiCall *call)
{
    TsdbStats stats;
    size_t limit;
    if (!stats_limit(call, &limit))
        return;
    tsdb_stats(call->api->tsdb, limit, call->arena, &stats);

    ApiReply reply;
    JsonWriter *json = &reply.json;
    api_reply_begin(call, &reply);
    json_object(json);
    json_key(json, S("headStats"));
    json_object(json);
    json_key_u64(json, "numSeries", stats.series);
    json_key_u64(json, "numLabelPairs", stats.label_pairs);
    json_key_u64(json, "chunkCount", stats.chunks);
    json_key_i64(json, "minTime", stats.min_t_ms);
    json_key_i64(json, "maxTime", stats.max_t_ms);
    json_object_end(json);
    write_counts(json, "seriesCountByMetricName", stats.series_by_metric,
                 stats.series_by_metric_count);
    write_counts(json, "labelValueCountByLabelName", stats.values_by_label,
                 stats.values_by_label_count);
    write_counts(json, "memoryInBytesByLabelName", stats.bytes_by_label,
                 stats.bytes_by_label_count);
    write_counts(json, "seriesCountByLabelValuePair", stats.series_by_pair,
                 stats.series_by_pair_count);
    json_object_end(json);
    api_reply_done(&reply);
}

void api_status_blocks(ApiCall *call)
{
    ApiReply reply;
    api_reply_begin(call, &reply);
    json_object(&reply.json);
    json_key(&reply.json, S("blocks"));
    tsdb_blocks_json(call->api->tsdb, &reply.json);
    json_object_end(&reply.json);
    api_reply_done(&reply);
}

void api_status_walreplay(ApiCall *call)
{
    ApiWalReplay replay = {0};
    if (call->api->wal_replay)
        call->api->wal_replay(call->api->owner, &replay);
    ApiReply reply;
    api_reply_begin(call, &reply);
    json_object(&reply.json);
    json_key_i64(&reply.json, "min", replay.min);
    json_key_i64(&reply.json, "max", replay.max);
    json_key_i64(&reply.json, "current", replay.current);
    json_object_end(&reply.json);
    api_reply_done(&reply);
}

// ---- notifications ----

typedef struct Notification {
    const char *text;
    int64_t at_ms;
} Notification;

enum { NOTIFICATIONS_MAX = 3 };

// Those that hold now; returns how many.
static size_t active_notifications(ApiCall *call, Notification *list)
{
    const ApiContext *api = call->api;
    ApiPhase phase = api->phase ? api->phase(api->owner) : API_READY;
    ApiRuntime runtime = runtime_of(call);
    size_t count = 0;
    if (runtime.reload_failed)
        list[count++] =
            (Notification){"Configuration reload has failed.", runtime.reload_failed_at_ms};
    if (phase == API_STARTING)
        list[count++] = (Notification){
            "Prometheus is starting and replaying the write-ahead log (WAL).", api->started_at_ms};
    if (phase == API_STOPPING)
        list[count++] =
            (Notification){"Prometheus is shutting down and gracefully stopping all operations.",
                           clock_now_ms(api->clock)};
    return count;
}

static void write_notification(JsonWriter *json, const Notification *notification, bool active)
{
    json_object(json);
    json_key_c(json, "text", notification->text);
    json_key(json, S("date"));
    api_json_rfc3339(json, notification->at_ms);
    json_key_bool(json, "active", active);
    json_object_end(json);
}

void api_notifications(ApiCall *call)
{
    Notification list[NOTIFICATIONS_MAX];
    size_t count = active_notifications(call, list);
    ApiReply reply;
    api_reply_begin(call, &reply);
    json_array(&reply.json);
    for (size_t i = 0; i < count; i++)
        write_notification(&reply.json, &list[i], true);
    json_array_end(&reply.json);
    api_reply_done(&reply);
}

static bool send_event(ApiCall *call, const Notification *notification, bool active)
{
    Buf event = {0};
    JsonWriter json;
    buf_add_c(&event, "data: ");
    json_writer_init(&json, &event);
    write_notification(&json, notification, active);
    buf_add_c(&event, "\n\n");
    call->sent_bytes += event.len;
    bool ok = http_stream_write(call->request, buf_str(&event));
    counter_inc(ok ? call->api->state->events_sent : call->api->state->events_dropped);
    buf_deinit(&event);
    return ok;
}

static bool has_notification(const Notification *list, size_t count, const char *text)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i].text, text) == 0)
            return true;
    return false;
}

// Tells what came and what went, until the client goes.
static void send_events(ApiCall *call)
{
    Notification before[NOTIFICATIONS_MAX];
    size_t before_count = 0;
    while (!http_client_gone(call->request)) {
        Notification now[NOTIFICATIONS_MAX];
        size_t count = active_notifications(call, now);
        arena_reset(call->arena);
        for (size_t i = 0; i < count; i++)
            if (!has_notification(before, before_count, now[i].text) &&
                !send_event(call, &now[i], true))
                return;
        for (size_t i = 0; i < before_count; i++)
            if (!has_notification(now, count, before[i].text) &&
                !send_event(call, &before[i], false))
                return;
        memcpy(before, now, sizeof now);
        before_count = count;
        usleep(LIVE_POLL_MS * 1000);
    }
}

// On a thread of its own.
static void live(void *arg, HttpRequest *request)
{
    ApiContext *api = arg;
    Arena arena = {0};
    ApiCall call = {.api = api, .request = request, .arena = &arena, .status = 200};
    gauge_add(api->state->subscribers, 1);
    http_reply_header(request, S("Cache-Control"), S("no-cache"));
    if (http_stream_begin(request, 200, S("text/event-stream"))) {
        send_events(&call);
        http_stream_end(request);
    }
    arena_deinit(&arena);
    gauge_add(api->state->subscribers, -1);
    atomic_fetch_sub(&api->state->live_subscribers, 1);
}

void api_notifications_live(ApiCall *call)
{
    ApiContext *api = call->api;
    if (atomic_fetch_add(&api->state->live_subscribers, 1) >= api->live_subscribers_max) {
        atomic_fetch_sub(&api->state->live_subscribers, 1);
        api_empty(call, 204);
        return;
    }
    call->status = 200;
    http_go_on(call->request, live, api);
}
