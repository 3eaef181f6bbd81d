// SPDX-License-Identifier: Apache-2.0
// Birth of the parts that do the work, in the order of need.
#include "base/timefmt.h"
#include "main/server_run_internal.h"

#define BLOCK_MS_MAX_DEFAULT (INT64_C(31) * 24 * 3600 * 1000)
#define BLOCK_RELOAD_MS_MIN 1000
#define EARLY_BYTES_MAX (UINT64_C(512) << 20) // read back in a second or two

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
    if (flags->min_block_duration_ms) // 0 is the usual one
        options.min_block_ms = flags->min_block_duration_ms;
    options.retention = server_reload_retention(run, config);
    options.max_block_ms = flags->max_block_duration_ms;
    if (options.max_block_ms == 0)
        options.max_block_ms = options.retention.ms
                                   ? MIN(BLOCK_MS_MAX_DEFAULT, options.retention.ms / 10)
                                   : BLOCK_MS_MAX_DEFAULT;
    options.max_block_ms = MAX(options.max_block_ms, options.min_block_ms);
    options.block_segment_bytes = flags->max_block_chunk_segment_bytes;
    options.out_of_order_window_ms = config->file.storage.tsdb.out_of_order_time_window_ms;
    options.stale = server_reload_stale_limits(config);
    if (flags->wal_segment_bytes) // 0 is the usual size
        options.wal_segment_bytes = flags->wal_segment_bytes;
    options.cut_delay_max_percent = server_compaction_delay(flags);
    options.leaves_overlaps = !flags->allow_overlapping_compaction;
    options.uploads_file = flags->delay_compact_file;
    options.block_reload_ms = MAX(flags->block_reload_interval_ms, BLOCK_RELOAD_MS_MIN);
    options.wal_compression = !flags->wal_compression            ? TSDB_COMPRESSION_NONE
                              : flags->wal_compression_type == 1 ? TSDB_COMPRESSION_ZSTD
                                                                 : TSDB_COMPRESSION_SNAPPY;
    options.wal_samples_v2 = flags->wal_samples == 1;
    options.wal_sync = (TsdbSync)flags->wal_sync;
    options.wal_sync_interval_ms = flags->wal_sync_interval_ms;
    if (flags->samples_per_chunk > 0) // else the usual number
        options.samples_per_chunk = (int)flags->samples_per_chunk;
    options.start_timestamps = server_feature(flags, "st-storage");
    options.histogram_start_timestamps =
        options.start_timestamps && server_feature(flags, "histograms-st-encoding");
    options.snapshot_at_close = server_feature(flags, "memory-snapshot-on-shutdown");
    options.max_exemplars = server_reload_exemplars_max(run, config);
    options.progress = &run->progress;
    if (!tsdb_open(&options, &run->tsdb, err))
        return false;
    tsdb_pack_xor2(run->tsdb, server_reload_packs_xor2(run, config));
    return true;
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
        .synthesize = server_feature(flags, "st-synthesis"),
        .type_and_unit_labels = server_feature(flags, "type-and-unit-labels"),
        .tracer = run->traces.tracer,
        .last_work_ms = run->last_work_ms,
    };
    if (!scrape_manager_new(&options, &run->scrapes, err))
        return false;
    server_reload_apply_scrapes(run, config);
    return true;
}

void server_start_registry(Run *run)
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
    server_traces_init(&run->traces, run->registry, S(PROMETHEUS_VERSION));
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
        .tracer = run->traces.tracer,
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
                            run->external_url, run->registry, run->traces.tracer, &run->arena, err))
        return false;
    server_rules_init(&run->rules, &run->flags, run->api.sink, run->api.source, run->engine,
                      run->registry, run->traces.tracer);
    run->api.rules = run->rules.manager;
    run->api.has_alertmanager = run->rules.alerts.am != NULL;
    run->api.notifier = run->rules.notifier;
    return true;
}

// Scraping begins beside the storage: hundreds of targets take as long as the log takes to be found.
typedef struct EarlyScraping {
    Run *run;
    ServerConfig *config;
    Thread thread;
    bool ok;
    Error err;
} EarlyScraping;

static void start_early(void *arg)
{
    EarlyScraping *early = arg;

    early->ok = start_scraping(early->run, early->config, &early->err);
}

static bool start_store_and_scraping(Run *run, ServerConfig *config, Error *err)
{
    EarlyScraping early = {.run = run, .config = config};

    if (!thread_start(&early.thread, "start-scraping", start_early, &early, err))
        return false;
    bool ok = start_store(run, config, err);
    thread_join(&early.thread);
    if (!early.ok) {
        *err = early.err;
        return error_context(err, "starting to scrape failed");
    }
    return ok;
}

bool server_start_machines(Run *run, ServerConfig *config, Error *err)
{
    if (!server_traces_apply(&run->traces, config->file.tracing, err))
        return false;
    run->last_work_ms = tsdb_last_write_ms(
        &fs_system, server_is_agent(&run->flags) ? run->flags.agent_path : run->flags.storage_path);
    // What the first targets say waits at the gate; where that would be for long they are asked later.
    bool early = !server_is_agent(&run->flags) &&
                 tsdb_restart_bytes(&fs_system, run->flags.storage_path) <= EARLY_BYTES_MAX;
    if (!(early ? start_store_and_scraping(run, config, err) : start_store(run, config, err)) ||
        !start_remote(run, config, err) || (run->tsdb && !start_queries(run, config, err)))
        return false;
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
