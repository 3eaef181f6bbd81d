// SPDX-License-Identifier: Apache-2.0
// Wiring. The order of birth is the order of need, death is the reverse: storage, engine, scraping; HTTP stands from the start, so that
// /-/healthy and the reason for not being ready can be asked for during replay.
#include "main/server_run.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "api/api.h"
#include "base/footprint.h"
#include "base/lock.h"
#include "base/number.h"
#include "base/thread.h"
#include "base/timefmt.h"
#include "exporter/exporter.h"
#include "main/server_agent.h"
#include "main/server_remote.h"
#include "main/server_rules.h"
#include "main/server_watch.h"
#include "main/web_listen.h"
#include "metric/sink_gate.h"
#include "server/server.h"

// What the API, the language and the formats are as. Clients choose what they may ask for by it: docs/decisions/0024.
#define PROMETHEUS_VERSION "3.14.0"
#define OWN_REVISION "narthex-" NARTHEX_VERSION
#define EXIT_FAILED 1
#define EXIT_BAD_START 2
#define EXIT_OTHER_MODE 3
#define RANK_SERVER_RUN 100
#define DAY_MS (INT64_C(24) * 3600 * 1000)
#define RETENTION_MS_DEFAULT (15 * DAY_MS)
#define BLOCK_MS_MAX_DEFAULT (31 * DAY_MS)
#define HTTP_WORKERS_MIN 8
#define HTTP_WORKERS_MAX 64
#define HTTP_WORKERS_BESIDE 4 // as many queries as may run, and some for the rest
#define LISTENERS_MAX 16
#define EARLY_BYTES_MAX (UINT64_C(512) << 20) // read back in a second or two
#define STACK_INTERVAL_MS 15000
#define STACK_TIMEOUT_MS 10000

typedef struct Run {
    Arena arena;
    ServerFlags flags;
    bool stack; // no configuration file: targets inside the process
    Str hostname;
    Str route_prefix, external_url;
    Registry *registry;
    NodeExporter *node; // stack only
    Budget memory;      // of all queries
    ThreadPool *query_pool;
    Tsdb *tsdb;
    TsdbProgress progress; // of its opening
    SinkGate sink_gate;    // before it
    Engine *engine;
    ScrapeManager *scrapes;
    ServerRemote remote;
    AgentStore *agent; // instead of tsdb, engine and rules
    ServerRules rules;
    RuleSet *first_rules; // until they are applied
    ApiContext api;
    HttpServer *listeners[LISTENERS_MAX];
    size_t listener_count;
    WebGate *gate;
    int phase; // ApiPhase, atomic

    Lock reload_lock; // one reload at a time
    Lock lock;        // guards all below
    ServerConfig *config GUARDED_BY(lock);
    bool reload_ok GUARDED_BY(lock);
    int64_t reloaded_at_ms GUARDED_BY(lock), reload_failed_at_ms GUARDED_BY(lock);
    bool quit GUARDED_BY(lock);

    Gauge *reload_ok_gauge, *reload_at_gauge;
    uint64_t files_seen; // hash of the configuration files, for --config.auto-reload
} Run;

// Flags ------------------------------------------------------------------------------------------------------------------------------

static int fail(const char *what, const Error *err)
{
    log_error(what, KV("err", err));
    return EXIT_FAILED;
}

static void tell_ignored_flags(const Run *run)
{
    const ServerFlags *flags = &run->flags;
    static const char *const features[] = {
        "exemplar-storage",
        "memory-snapshot-on-shutdown",
        "native-histograms",
        "ooo-native-histograms",
        "promql-experimental-functions",
        "promql-delayed-name-removal",
        "promql-duration-expr",
        "promql-extended-range-selectors",
        "promql-binop-fill-modifiers",
        "promql-per-step-stats",
        "auto-reload-config",
        "extra-scrape-metrics",
        "concurrent-rule-eval",
        "search-api",
        "created-timestamp-zero-ingestion",
        "st-storage",
        "histograms-st-encoding",
        "use-start-timestamps",
        "type-and-unit-labels",
        "otlp-native-delta-ingestion",
        "otlp-deltatocumulative",
        "agent",
    };
    for (size_t i = 0; i < flags->enable_feature.count; i++) {
        Str rest = flags->enable_feature.items[i];
        Str name;
        while (str_split_next(&rest, ',', &name)) {
            bool known = str_trim(name).len == 0;
            for (size_t f = 0; f < COUNT_OF(features); f++)
                known |= str_is(str_trim(name), features[f]);
            if (!known)
                log_warn("unknown option for --enable-feature, ignoring",
                         KV("option", str_trim(name)));
        }
    }
    scrape_config_set_features(server_feature(flags, "st-storage") ||
                                   server_feature(flags, "created-timestamp-zero-ingestion"),
                               server_feature(flags, "extra-scrape-metrics"));
    if (flags->web_user_assets.len)
        log_warn("this version serves no files of your own, ignoring",
                 KV("flag", "web.user-assets"));
    if (flags->delay_compact_file.len)
        log_warn("this version does not wait for uploads, ignoring",
                 KV("flag", "storage.tsdb.delay-compact-file.path"));
}

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

// "0.0.0.0:9090" gives "9090".
static Str port_of(Str address)
{
    size_t colon = str_rfind_char(address, ':');
    return colon == STR_NOT_FOUND ? STR_NONE : str_skip(address, colon + 1);
}

// The external URL with scheme and without a slash at its end; the route prefix is its path unless a flag says otherwise.
static bool work_out_urls(Run *run, Error *err)
{
    Str url = run->flags.web_external_url;
    if (url.len == 0)
        url = arena_printf(&run->arena, "http://" STR_FMT ":" STR_FMT "/", STR_ARG(run->hostname),
                           STR_ARG(port_of(run->flags.web_listen_address.items[0])));
    size_t scheme = str_find(url, S("://"));
    if (scheme == STR_NOT_FOUND ||
        !(str_starts_with(url, S("http://")) || str_starts_with(url, S("https://"))))
        return error_set(err, ERR_INVALID,
                         "--web.external-url: \"" STR_FMT "\" is no http or https URL",
                         STR_ARG(str_sub(url, 0, 200)));
    while (url.len && url.ptr[url.len - 1] == '/')
        url.len--;
    Str rest = str_skip(url, scheme + 3);
    size_t slash = str_find_char(rest, '/');
    Str prefix = slash == STR_NOT_FOUND ? STR_NONE : str_skip(rest, slash);
    if (run->flags.web_route_prefix.len)
        prefix = run->flags.web_route_prefix;
    while (prefix.len && prefix.ptr[prefix.len - 1] == '/')
        prefix.len--;
    while (prefix.len && prefix.ptr[0] == '/')
        prefix = str_skip(prefix, 1);
    run->external_url = url;
    run->route_prefix =
        prefix.len ? arena_printf(&run->arena, "/" STR_FMT, STR_ARG(prefix)) : STR_NONE;
    return true;
}

// Configuration ------------------------------------------------------------------------------------------------------------------------

// What the stack scrapes when nobody says otherwise; the two jobs have targets inside the process (see apply_scrapes).
static Str stack_config(Run *run)
{
    return arena_printf(
        &run->arena,
        "global:\n  scrape_interval: %ds\n  scrape_timeout: %ds\n"
        "scrape_configs:\n"
        "  - job_name: narthex\n    static_configs:\n      - targets: ['localhost:" STR_FMT "']\n"
        "  - job_name: node\n    static_configs:\n      - targets: ['" STR_FMT "']\n",
        STACK_INTERVAL_MS / 1000, STACK_TIMEOUT_MS / 1000,
        STR_ARG(port_of(run->flags.web_listen_address.items[0])), STR_ARG(run->hostname));
}

static bool load_config(Run *run, ServerConfig **ret_config, Error *err)
{
    if (run->stack)
        return server_config_parse(stack_config(run), S("built-in"), ret_config, err);
    ServerConfig *config;
    if (!server_config_load(run->flags.config_file, &config, err))
        return false;
    if (server_is_agent(&run->flags) && !server_agent_check_config(config, err)) {
        server_config_unref(config);
        return false;
    }
    *ret_config = config;
    return true;
}

static uint64_t share_of_disk(Str dir, Arena *arena, double percentage)
{
    struct statvfs fs;
    if (percentage <= 0 || statvfs(str_to_c(arena, dir), &fs) != 0)
        return 0;
    return (uint64_t)((double)fs.f_blocks * (double)fs.f_frsize * percentage / 100);
}

// The file wins over the flags; without either, 15 days.
static void retention_of(const Run *run, const ServerConfig *config, int64_t *ret_ms,
                         uint64_t *ret_bytes)
{
    const StorageRetention *file = &config->file.storage.tsdb.retention;
    Arena scratch = {0};
    *ret_ms = file->has_time ? file->time_ms : run->flags.retention_time_ms;
    *ret_bytes = file->has_size ? file->bytes : run->flags.retention_bytes;
    if (file->percentage > 0)
        *ret_bytes = share_of_disk(run->flags.storage_path, &scratch, file->percentage);
    if (*ret_ms == 0 && *ret_bytes == 0)
        *ret_ms = RETENTION_MS_DEFAULT;
    arena_deinit(&scratch);
}

static void write_own_metrics(void *arg, Buf *out)
{
    registry_write(((Run *)arg)->registry, REGISTRY_TEXT, out);
}

static void write_node_metrics(void *arg, Buf *out)
{
    node_exporter_write(((Run *)arg)->node, out);
}

static void config_ref(void *owner)
{
    server_config_ref(owner);
}

static void config_unref(void *owner)
{
    server_config_unref(owner);
}

static void apply_scrapes(Run *run, ServerConfig *config)
{
    Arena arena = {0};
    ScrapeJob *jobs = arena_zalloc(&arena, (config->job_count + 1) * sizeof *jobs);
    for (size_t i = 0; i < config->job_count; i++)
        jobs[i].config = config->jobs[i];
    if (run->stack) {
        jobs[0].local_write = write_own_metrics;
        jobs[0].local_arg = run;
        jobs[1].local_write = write_node_metrics;
        jobs[1].local_arg = run;
    }
    scrape_manager_apply(run->scrapes, &(ScrapeJobs){
                                           .jobs = jobs,
                                           .count = config->job_count,
                                           .external = config->file.global.external,
                                           .owner = config,
                                           .ref = config_ref,
                                           .unref = config_unref,
                                       });
    arena_deinit(&arena);
}

static void tell_warnings(const ServerConfig *config)
{
    for (size_t i = 0; i < config->warning_count; i++)
        log_warn("configuration", KV("warning", config->warnings[i]));
}

static void note_reload(Run *run, bool ok)
{
    lock_take(&run->lock);
    int64_t now_ms = clock_now_ms(&clock_system);
    run->reload_ok = ok;
    if (ok)
        run->reloaded_at_ms = now_ms;
    else
        run->reload_failed_at_ms = now_ms;
    lock_give(&run->lock);
    gauge_set(run->reload_ok_gauge, ok);
    if (ok)
        gauge_set(run->reload_at_gauge, (double)now_ms / 1000);
}

// Takes over the rules.
static void apply_config(Run *run, ServerConfig *config, RuleSet *rules)
{
    int64_t retention_ms;
    uint64_t retention_bytes;
    if (run->tsdb) {
        retention_of(run, config, &retention_ms, &retention_bytes);
        tsdb_reconfigure(run->tsdb, retention_ms, retention_bytes,
                         config->file.storage.tsdb.out_of_order_time_window_ms);
        engine_set_default_step(run->engine, config->file.global.evaluation_interval_ms);
    }
    server_remote_apply(&run->remote, config);
    apply_scrapes(run, config);
    if (run->tsdb)
        server_rules_apply(&run->rules, config, rules);
    else
        rule_set_free(rules);
}

// A bad file changes nothing.
static bool reload(Run *run, Error *err)
{
    lock_take(&run->reload_lock);
    ServerConfig *fresh = NULL;
    RuleSet *rules = NULL;
    bool ok = load_config(run, &fresh, err) &&
              server_rules_load(&run->flags, fresh, run->external_url, &rules, err);
    // Opened anew each time: a file that was moved away is not written to any longer.
    if (ok && run->engine &&
        (!engine_set_query_log(run->engine, fresh->file.global.query_log_file, err) ||
         !server_alerts_reload(&run->rules.alerts, err))) {
        rule_set_free(rules);
        ok = false;
    }
    if (!ok)
        server_config_unref(fresh);
    if (ok) {
        tell_warnings(fresh);
        apply_config(run, fresh, rules);
        lock_take(&run->lock);
        ServerConfig *old = run->config;
        run->config = fresh;
        lock_give(&run->lock);
        server_config_unref(old);
    }
    note_reload(run, ok);
    if (ok)
        log_info("completed loading of configuration file", KV("filename", run->flags.config_file));
    else
        log_error("error reloading the configuration, keeping the old one", KV("err", err));
    lock_give(&run->reload_lock);
    return ok;
}

// What the API asks ------------------------------------------------------------------------------------------------------------------

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

static void set_phase(Run *run, ApiPhase phase)
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
    int64_t retention_ms;
    uint64_t retention_bytes;
    Buf text = {0};
    lock_take(&run->lock);
    retention_of(run, run->config, &retention_ms, &retention_bytes);
    *ret_runtime = (ApiRuntime){
        .reload_succeeded = run->reload_ok,
        .reloaded_at_ms = run->reloaded_at_ms,
        .reload_failed = !run->reload_ok,
        .reload_failed_at_ms = run->reload_failed_at_ms,
    };
    lock_give(&run->lock);
    if (retention_ms)
        buf_add_duration(&text, retention_ms);
    if (retention_bytes) {
        buf_add_c(&text, text.len ? " or " : "");
        config_size_print(&text, retention_bytes);
    }
    ret_runtime->storage_retention = arena_str(arena, buf_str(&text));
    buf_deinit(&text);
}

static bool api_reload(void *owner, Error *err)
{
    return reload(owner, err);
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

// Birth ------------------------------------------------------------------------------------------------------------------------------

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

static void fill_api(Run *run, const FlagTable *table)
{
    const ServerFlags *flags = &run->flags;
    limit_memory(run);
    list_flags(run, table);
    list_features(run);
    ApiContext *api = &run->api;
    api->registry = run->registry;
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
    api->listen_port = port_of(flags->web_listen_address.items[0]);
    api->page_title = flags->web_page_title;
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

static bool start_listeners(Run *run, Error *err)
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

static bool open_storage(Run *run, const ServerConfig *config, Error *err)
{
    const ServerFlags *flags = &run->flags;
    TsdbOptions options;
    tsdb_options_default(&options);
    options.dir = flags->storage_path;
    options.fs = &fs_system;
    options.clock = &clock_system;
    options.registry = run->registry;
    options.no_lockfile = flags->no_lockfile;
    options.min_block_ms = flags->min_block_duration_ms;
    retention_of(run, config, &options.retention_ms, &options.retention_bytes);
    options.max_block_ms = flags->max_block_duration_ms;
    if (options.max_block_ms == 0)
        options.max_block_ms = options.retention_ms
                                   ? MIN(BLOCK_MS_MAX_DEFAULT, options.retention_ms / 10)
                                   : BLOCK_MS_MAX_DEFAULT;
    options.max_block_ms = MAX(options.max_block_ms, options.min_block_ms);
    options.out_of_order_window_ms = config->file.storage.tsdb.out_of_order_time_window_ms;
    options.wal_segment_bytes = flags->wal_segment_bytes;
    options.wal_compression = !flags->wal_compression            ? TSDB_COMPRESSION_NONE
                              : flags->wal_compression_type == 1 ? TSDB_COMPRESSION_ZSTD
                                                                 : TSDB_COMPRESSION_SNAPPY;
    options.wal_sync = (TsdbSync)flags->wal_sync;
    options.wal_sync_interval_ms = flags->wal_sync_interval_ms;
    options.samples_per_chunk = (int)flags->samples_per_chunk;
    options.start_timestamps = server_feature(flags, "st-storage");
    options.histogram_start_timestamps =
        options.start_timestamps && server_feature(flags, "histograms-st-encoding");
    options.snapshot_at_close = server_feature(flags, "memory-snapshot-on-shutdown");
    if (server_feature(flags, "exemplar-storage"))
        options.max_exemplars =
            (uint64_t)MAX(config->file.storage.exemplars.max_exemplars, INT64_C(0));
    options.progress = &run->progress;
    return tsdb_open(&options, &run->tsdb, err);
}

// Queries that a crash cut short are told, as they may be why.
static bool watch_queries(Run *run, const ServerConfig *config, Error *err)
{
    Arena scratch = {0};
    Str unfinished = STR_NONE;
    bool ok = engine_track_queries(run->engine,
                                   fs_join(&scratch, run->flags.storage_path, S("queries.active")),
                                   &scratch, &unfinished, err) &&
              engine_set_query_log(run->engine, config->file.global.query_log_file, err);
    if (unfinished.len)
        log_info("These queries didn't finish in the last run", KV("queries", unfinished));
    arena_deinit(&scratch);
    return ok;
}

static bool make_engine(Run *run, const ServerConfig *config, Error *err)
{
    const ServerFlags *flags = &run->flags;
    int cores = thread_cores();
    if (cores > 1)
        run->query_pool = thread_pool_new("query", cores - 1);
    EngineOptions options;
    engine_options_default(&options);
    options.registry = run->registry;
    options.pool = run->query_pool;
    options.features = server_promql_features(flags);
    options.lookback_ms = flags->query_lookback_ms;
    options.timeout_ms = flags->query_timeout_ms;
    options.concurrency_max = (int)flags->query_max_concurrency;
    options.samples_max = (uint64_t)flags->query_max_samples;
    options.memory = &run->memory;
    options.memory_bytes_max = run->api.memory_bytes_max;
    options.default_step_ms = config->file.global.evaluation_interval_ms;
    run->engine = engine_new(&options);
    return watch_queries(run, config, err);
}

static bool start_scraping(Run *run, ServerConfig *config, Error *err)
{
    const ServerFlags *flags = &run->flags;
    ScrapeManagerOptions options = {
        .sink = &run->sink_gate.sink,
        .clock = &clock_system,
        .registry = run->registry,
        .threads = flags->scrape_threads ? (int)flags->scrape_threads : MIN(thread_cores(), 4),
        .start_times = server_feature(flags, "st-storage"),
        .zero_samples = server_feature(flags, "created-timestamp-zero-ingestion"),
    };
    if (!scrape_manager_new(&options, &run->scrapes, err))
        return false;
    apply_scrapes(run, config);
    return true;
}

static void make_registry(Run *run)
{
    static const char *const labels[] = {"version", "revision", "branch", "goversion",
                                         "goos",    "goarch",   "tags",   NULL};
    run->registry = registry_new();
    registry_process_metrics(run->registry);
    const Str values[] = {
        S(PROMETHEUS_VERSION), S(OWN_REVISION), S("main"), S("none"), S("linux"), S("c"), S("")};
    gauge_set(gauge_of(registry_gauge(run->registry, "prometheus_build_info",
                                      "Always 1; its labels tell version and build of the server.",
                                      labels),
                       values),
              1);
    registry_build_info(run->registry, "narthex_build_info", NARTHEX_VERSION);
    run->reload_ok_gauge = gauge_of(
        registry_gauge(run->registry, "prometheus_config_last_reload_successful",
                       "Whether the last configuration reload attempt was successful.", NULL),
        NULL);
    run->reload_at_gauge = gauge_of(
        registry_gauge(run->registry, "prometheus_config_last_reload_success_timestamp_seconds",
                       "Timestamp of the last successful configuration reload.", NULL),
        NULL);
    gauge_set(gauge_of(registry_gauge(run->registry, "prometheus_ready",
                                      "Whether the server has ended its start and serves requests.",
                                      NULL),
                       NULL),
              0);
}

static bool start_store(Run *run, const ServerConfig *config, Error *err)
{
    int64_t began_ns = clock_mono_ns(&clock_system);
    if (server_is_agent(&run->flags)) {
        if (!server_agent_open(&run->flags, run->registry, &run->remote, &run->agent, err))
            return false;
        run->api.is_agent = true;
        run->api.sink = agent_store_sink(run->agent);
    } else {
        if (!open_storage(run, config, err))
            return error_context(err, "opening storage failed");
        run->api.tsdb = run->tsdb;
        run->api.sink = tsdb_sink(run->tsdb);
    }
    log_info(run->agent ? "agent storage started" : "TSDB started",
             KV("took_ms", (clock_mono_ns(&clock_system) - began_ns) / 1000000));
    return true;
}

static bool start_remote(Run *run, ServerConfig *config, Error *err)
{
    ServerRemoteStart start = {
        .registry = run->registry,
        .feed = run->agent ? agent_store_feed(run->agent) : tsdb_feed(run->tsdb),
        .dir = run->agent ? run->flags.agent_path : run->flags.storage_path,
        .tsdb = run->tsdb,
    };
    if (!server_remote_start(&run->remote, &run->flags, &start, config, err))
        return false;
    run->api.otlp = run->remote.otlp;
    return true;
}

// All that asks the store: not in an agent.
static bool start_queries(Run *run, const ServerConfig *config, Error *err)
{
    if (!make_engine(run, config, err))
        return error_context(err, "starting the query engine failed");
    run->api.engine = run->engine;
    run->api.source = server_remote_source(&run->remote);
    if (!server_alerts_open(&run->rules.alerts, &run->flags, run->stack, run->route_prefix,
                            run->external_url, run->registry, &run->arena, err))
        return false;
    server_rules_init(&run->rules, &run->flags, run->api.sink, run->api.source, run->engine,
                      run->registry);
    run->api.rules = run->rules.manager;
    run->api.has_alertmanager = run->rules.alerts.am != NULL;
    run->api.notifier = run->rules.notifier;
    return true;
}

static bool start_machines(Run *run, ServerConfig *config, Error *err)
{
    // What the first targets say waits at the gate; where that would be for long they are asked later.
    bool early = !server_is_agent(&run->flags) &&
                 tsdb_restart_bytes(&fs_system, run->flags.storage_path) <= EARLY_BYTES_MAX;
    if (early && !start_scraping(run, config, err))
        return error_context(err, "starting to scrape failed");
    if (!start_store(run, config, err) || !start_remote(run, config, err) ||
        (run->tsdb && !start_queries(run, config, err)))
        return false;
    sink_gate_open(&run->sink_gate, run->api.sink);
    if (!early && !start_scraping(run, config, err))
        return error_context(err, "starting to scrape failed");
    run->api.scrapes = run->scrapes;
    server_remote_set_scrapes(&run->remote, run->scrapes);
    if (run->tsdb) {
        server_rules_apply(&run->rules, config, run->first_rules);
        run->first_rules = NULL;
    }
    return true;
}

// Life -------------------------------------------------------------------------------------------------------------------------------

static uint64_t look_at_files(Run *run)
{
    lock_take(&run->lock);
    ServerConfig *config = run->config;
    server_config_ref(config);
    lock_give(&run->lock);
    uint64_t seen = server_watch_look(run->flags.config_file, config);
    server_config_unref(config);
    return seen;
}

static void serve(Run *run, const sigset_t *signals)
{
    bool watch =
        (run->flags.config_auto_reload || server_feature(&run->flags, "auto-reload-config")) &&
        !run->stack;
    run->files_seen = watch ? look_at_files(run) : 0;
    for (;;) {
        int64_t wait_ms = watch ? run->flags.config_auto_reload_interval_ms : 3600 * 1000;
        struct timespec timeout = {wait_ms / 1000, (wait_ms % 1000) * 1000000};
        int signal_number = sigtimedwait(signals, NULL, &timeout);
        Error err = {0};
        if (signal_number == SIGHUP) {
            (void)reload(run, &err); // told in the log
        } else if (signal_number == SIGTERM || signal_number == SIGINT) {
            log_info("received a signal, exiting gracefully",
                     KV("signal", signal_number == SIGINT ? "interrupt" : "terminated"));
            return;
        }
        if (watch && look_at_files(run) != run->files_seen) {
            run->files_seen = look_at_files(run);
            (void)reload(run, &err);
        }
    }
}

// Accepts a run at any stage of its birth.
static void shut_down(Run *run)
{
    set_phase(run, API_STOPPING);
    sink_gate_close(&run->sink_gate);
    for (size_t i = 0; i < run->listener_count; i++)
        http_server_stop(run->listeners[i]);
    web_gate_close(run->gate);
    // Nobody asks for /metrics any more: what collects from the parts may go with them.
    server_remote_set_scrapes(&run->remote, NULL);
    scrape_manager_free(run->scrapes);
    server_rules_deinit(&run->rules, run->flags.alertmanager_drain_queue);
    rule_set_free(run->first_rules);
    server_remote_stop(&run->remote);
    engine_free(run->engine);
    thread_pool_free(run->query_pool);
    server_remote_deinit(&run->remote);
    if (run->tsdb)
        tsdb_close(run->tsdb);
    agent_store_close(run->agent);
    api_deinit(&run->api);
    node_exporter_free(run->node);
    server_config_unref(run->config);
    registry_free(run->registry);
}

static bool open_node(Run *run, Error *err)
{
    NodeExporterOptions options;
    node_exporter_options_default(&options);
    return node_exporter_new(&options, &run->node, err);
}

static int live(Run *run, const FlagTable *table, const sigset_t *signals)
{
    Error err = {0};
    log_info("starting narthex", KV("version", NARTHEX_VERSION),
             KV("mode", run->stack                     ? "stack"
                        : server_is_agent(&run->flags) ? "agent"
                                                       : "server"));
    if (run->stack && !open_node(run, &err))
        return fail("cannot look at this machine", &err);
    fill_api(run, table);
    if (!api_init(&run->api, &err))
        return fail("cannot set up the API", &err);
    if (!start_listeners(run, &err))
        return fail("cannot listen", &err);
    if (!start_machines(run, run->config, &err))
        return fail("cannot start", &err);
    note_reload(run, true);
    set_phase(run, API_READY);
    footprint_forget_start();
    log_info("server is ready to receive web requests", KV("url", run->external_url));
    serve(run, signals);
    return 0;
}

// Signals of the whole process are taken by the main thread, one by one.
static void block_signals(sigset_t *signals)
{
    sigemptyset(signals);
    sigaddset(signals, SIGHUP);
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, signals, NULL);
}

static int print_help(const FlagTable *table)
{
    Buf help = {0};
    flags_help(table, &help);
    fwrite(help.ptr, 1, help.len, stdout);
    buf_deinit(&help);
    return 0;
}

static Str host_name(Arena *arena)
{
    char name[256] = "localhost";
    gethostname(name, sizeof name - 1);
    return arena_str(arena, str_from_c(name));
}

static int bad_start(const FlagTable *table, const Error *err)
{
    fprintf(stderr, "%s: error: %s\n", table->program, err->text);
    return EXIT_BAD_START;
}

// From the first flag to the last breath, all but giving the arena back.
static int run_server(Run *run, const FlagTable *table, int argc, char **argv, bool stack)
{
    FlagResult given;
    Error err = {0};
    sigset_t signals;
    if (!flags_parse(table, argc - 1, argv + 1, &run->arena, &run->flags, &given, &err))
        return bad_start(table, &err);
    if (given.help)
        return print_help(table);
    if (given.version) {
        printf("narthex, version %s\n", NARTHEX_VERSION);
        return 0;
    }
    log_setup((LogLevel)run->flags.log_level, (LogFormat)run->flags.log_format);
    // The first flag of the table is config.file.
    run->stack = stack && !given.given[0];
    run->hostname = host_name(&run->arena);
    lock_init(&run->reload_lock, "reload", RANK_SERVER_RUN);
    lock_init(&run->lock, "server_run", RANK_SERVER_RUN + 1);
    sink_gate_init(&run->sink_gate);
    if (!server_agent_check_flags(&run->flags, table, &given, &err)) {
        fprintf(stderr, "%s\n", err.text);
        return EXIT_OTHER_MODE;
    }
    if (!work_out_urls(run, &err))
        return bad_start(table, &err);
    tell_ignored_flags(run);
    if (!load_config(run, &run->config, &err) ||
        !server_rules_load(&run->flags, run->config, run->external_url, &run->first_rules, &err)) {
        log_error("error loading the configuration", KV("file", run->flags.config_file),
                  KV("err", &err));
        server_config_unref(run->config);
        return EXIT_BAD_START;
    }
    tell_warnings(run->config);
    block_signals(&signals);
    make_registry(run);

    int status = live(run, table, &signals);
    shut_down(run);
    log_info("see you next time!");
    return status;
}

int server_run(const FlagTable *table, int argc, char **argv, bool stack)
{
    Run *run = X_NEW(Run);
    int status = run_server(run, table, argc, argv, stack);
    arena_deinit(&run->arena);
    free(run);
    return status;
}
