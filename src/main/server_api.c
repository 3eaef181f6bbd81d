// SPDX-License-Identifier: Apache-2.0
// The server's side of the API: what it may ask, and where it listens.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/number.h"
#include "base/timefmt.h"
#include "main/server_run_internal.h"
#include "main/web_listen.h"

#define HTTP_WORKERS_MIN 8
#define HTTP_WORKERS_MAX 64
#define HTTP_WORKERS_BESIDE 4 // as many queries as may run, and some for the rest

static int compare_pairs(const void *a, const void *b)
{
    return str_compare(((const HttpPair *)a)->name, ((const HttpPair *)b)->name);
}

// All flags with their values, sorted, for /api/v1/status/flags.
static void list_flags(Run *run, const FlagTable *table)
{
    HttpPair *pairs = ARENA_ARRAY(&run->arena, HttpPair, table->count);
    for (size_t i = 0; i < table->count; i++) {
        Buf value = {0};
        flag_print(&table->flags[i], &run->flags, &value);
        pairs[i] =
            (HttpPair){str_from_c(table->flags[i].name), arena_str(&run->arena, buf_str(&value))};
        buf_deinit(&value);
    }
    qsort(pairs, table->count, sizeof *pairs, compare_pairs);
    run->api.flags = pairs;
    run->api.flag_count = table->count;
}

static void list_features(Run *run)
{
    size_t cap = 64;
    Str *names = ARENA_ARRAY(&run->arena, Str, cap);
    size_t count = 0;
    for (size_t i = 0; i < run->flags.enable_feature.count; i++) {
        Str rest = run->flags.enable_feature.items[i];
        Str name;
        while (str_split_next(&rest, ',', &name) && count < cap)
            if (str_trim(name).len)
                names[count++] = str_trim(name);
    }
    run->api.enabled_features = names;
    run->api.enabled_feature_count = count;
}

static ApiPhase api_phase(void *owner)
{
    return (ApiPhase)__atomic_load_n(&((Run *)owner)->phase, __ATOMIC_ACQUIRE);
}

static int start_percent(void *owner)
{
    const TsdbProgress *progress = &((Run *)owner)->progress;
    uint64_t done = __atomic_load_n(&progress->done_bytes, __ATOMIC_RELAXED);
    uint64_t total = __atomic_load_n(&progress->total_bytes, __ATOMIC_RELAXED);
    return total ? (int)(MIN(done, total) * 100 / total) : -1;
}

static void wal_replay(void *owner, ApiWalReplay *ret_replay)
{
    const TsdbProgress *progress = &((Run *)owner)->progress;
    *ret_replay = (ApiWalReplay){
        .min = (int64_t)__atomic_load_n(&progress->first_segment, __ATOMIC_RELAXED),
        .max = (int64_t)__atomic_load_n(&progress->last_segment, __ATOMIC_RELAXED),
        .current = (int64_t)__atomic_load_n(&progress->segment, __ATOMIC_RELAXED),
    };
}

void server_api_set_phase(Run *run, ApiPhase phase)
{
    __atomic_store_n(&run->phase, (int)phase, __ATOMIC_RELEASE);
}

static void api_config_yaml(void *owner, Buf *out)
{
    Run *run = owner;
    lock_take(&run->lock);
    server_config_print(run->config, out);
    lock_give(&run->lock);
}

static Labels api_external_labels(void *owner, Arena *arena)
{
    Run *run = owner;
    lock_take(&run->lock);
    Labels labels = labels_copy(arena, run->config->file.global.external);
    lock_give(&run->lock);
    return labels;
}

static void api_runtime(void *owner, Arena *arena, ApiRuntime *ret_runtime)
{
    Run *run = owner;
    Buf text = {0};
    lock_take(&run->lock);
    TsdbRetention retention = server_reload_retention(run, run->config);
    *ret_runtime = (ApiRuntime){
        .reload_succeeded = run->reload_ok,
        .reloaded_at_ms = run->reloaded_at_ms,
        .reload_failed = !run->reload_ok,
        .reload_failed_at_ms = run->reload_failed_at_ms,
        .gogc = arena_printf(arena, "%lld", (long long)run->config->file.runtime.gogc),
    };
    lock_give(&run->lock);
    if (retention.ms)
        buf_add_duration(&text, retention.ms);
    if (retention.bytes) {
        buf_add_c(&text, text.len ? " or " : "");
        config_size_print(&text, retention.bytes);
    }
    if (retention.percentage > 0) {
        buf_add_c(&text, text.len ? " or " : "");
        buf_add_double_g(&text, retention.percentage);
        buf_add_char(&text, '%');
    }
    ret_runtime->storage_retention = arena_str(arena, buf_str(&text));
    buf_deinit(&text);
}

static bool api_reload(void *owner, Error *err)
{
    return server_reload(owner, err);
}

static void api_quit(void *owner)
{
    Run *run = owner;
    lock_take(&run->lock);
    run->quit = true;
    lock_give(&run->lock);
    // Wakes the main thread, which waits for signals.
    kill(getpid(), SIGTERM);
}

static void limit_memory(Run *run)
{
    const ServerFlags *flags = &run->flags;
    run->memory = (Budget){
        .name = "--query.max-memory-total",
        .holder = "all queries together",
        .bytes_max = flags->query_max_memory_total ? flags->query_max_memory_total
                                                   : memory_limit_bytes() / 2,
    };
    run->api.memory = &run->memory;
    run->api.memory_bytes_max =
        flags->query_max_memory ? flags->query_max_memory : run->memory.bytes_max / 2;
}

void server_api_fill(Run *run, const FlagTable *table)
{
    const ServerFlags *flags = &run->flags;
    limit_memory(run);
    list_flags(run, table);
    list_features(run);
    ApiContext *api = &run->api;
    api->registry = run->registry;
    api->is_agent = server_is_agent(flags);
    api->clock = &clock_system;
    api->features = server_promql_features(flags);
    api->owner = run;
    api->phase = api_phase;
    api->start_percent = start_percent;
    api->wal_replay = wal_replay;
    api->config_yaml = api_config_yaml;
    api->external_labels = api_external_labels;
    api->runtime = api_runtime;
    api->reload = api_reload;
    api->quit = api_quit;
    api->build = (ApiBuild){
        .version = S(PROMETHEUS_VERSION),
        .revision = S(OWN_REVISION),
        .branch = S("main"),
        .user = S("narthex"),
        .date = S("unknown"),
        .compiler = S("C17, " __VERSION__),
    };
    api->started_at_ms = clock_now_ms(&clock_system);
    api->lookback_ms = flags->query_lookback_ms;
    api->live_subscribers_max = (int)MIN(flags->web_max_notifications_subscribers, INT64_C(10000));
    api->read_samples_max = (uint64_t)flags->remote_read_sample_limit;
    api->read_concurrent_max = (int)MIN(flags->remote_read_concurrent_limit, INT64_C(1000000));
    api->read_frame_bytes_max = (size_t)flags->remote_read_frame_bytes;
    api->enable_lifecycle = flags->web_enable_lifecycle;
    api->enable_admin = flags->web_enable_admin_api;
    api->enable_remote_write = flags->web_enable_remote_write_receiver;
    api->enable_search = server_feature(flags, "search-api");
    api->search_limit_max = flags->web_search_max_limit;
    api->accept_write_v1 = api->accept_write_v2 = flags->web_remote_write_messages.count == 0;
    for (size_t i = 0; i < flags->web_remote_write_messages.count; i++) {
        Str rest = flags->web_remote_write_messages.items[i];
        Str name;
        while (str_split_next(&rest, ',', &name)) {
            api->accept_write_v1 |= str_is(name, "prometheus.WriteRequest");
            api->accept_write_v2 |= str_is(name, "io.prometheus.write.v2.Request");
        }
    }
    api->external_url = run->external_url;
    api->route_prefix = run->route_prefix;
    api->listen_port = server_run_port(flags->web_listen_address.items[0]);
    api->page_title = flags->web_page_title;
    api->user_assets = flags->web_user_assets;
    api->console_templates = flags->web_console_templates;
    api->console_libraries = flags->web_console_libraries;
    api->cors_origin = flags->web_cors_origin;
}

static void handle(void *arg, HttpRequest *request)
{
    Run *run = arg;
    // The rules, and with them the Alertmanager, are there once the phase says so.
    if (api_phase(run) != API_READY || !server_alerts_handle(&run->rules.alerts, request))
        api_handle(&run->api, request);
}

static bool is_urgent(void *arg, const HttpRequest *request)
{
    return api_is_urgent(&((Run *)arg)->api, request);
}

bool server_api_listen(Run *run, Error *err)
{
    const ServerFlags *flags = &run->flags;
    if (flags->web_listen_address.count > LISTENERS_MAX)
        return error_set(err, ERR_LIMIT, "--web.listen-address: more than %d addresses",
                         LISTENERS_MAX);
    if (!web_listen_open(flags->web_config_file, &run->gate, err))
        return false;
    for (size_t i = 0; i < flags->web_listen_address.count; i++) {
        HttpServerOptions options;
        http_server_options_default(&options);
        options.listen_address = flags->web_listen_address.items[i];
        options.workers =
            (int)MAX(MIN(flags->query_max_concurrency + HTTP_WORKERS_BESIDE, HTTP_WORKERS_MAX),
                     HTTP_WORKERS_MIN);
        options.connections_max = (size_t)flags->web_max_connections;
        options.read_timeout_ms = flags->web_read_timeout_ms;
        options.gate = run->gate;
        options.tracer = run->traces.tracer;
        options.registry = run->registry;
        options.handle = handle;
        options.is_urgent = is_urgent;
        options.arg = run;
        if (!http_server_start(&options, &run->listeners[i], NULL, err))
            return false;
        run->listener_count++;
        log_info("listening", KV("address", flags->web_listen_address.items[i]),
                 KV("tls", run->gate && web_gate_has_tls(run->gate) ? "true" : "false"));
    }
    return true;
}
