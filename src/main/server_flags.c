// SPDX-License-Identifier: Apache-2.0
#include "main/server_flags.h"

#define MIB (UINT64_C(1) << 20)
#define COMPACTION_DELAY_PERCENT 10
#define OFFSET(member) offsetof(ServerFlags, member)

static const char *const log_levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const log_formats[] = {"logfmt", "json", NULL};
static const char *const sample_records[] = {"v1", "v2", NULL};
static const char *const compressions[] = {"snappy", "zstd", NULL};
static const char *const syncs[] = {"none", "interval", "commit", NULL};

#define NOT_BELOW_ZERO .min = 0, .max = INT64_MAX

// Rows of designated members, some with a line of help of their own: laid out by hand.
// clang-format off
static const FlagSpec specs[] = {
    {.name = "config.file", .kind = FLAG_STR, .offset = OFFSET(config_file), .default_text = "prometheus.yml",
     .help = "Prometheus configuration file path."},
    {.name = "config.auto-reload", .kind = FLAG_BOOL, .offset = OFFSET(config_auto_reload),
     .help = "Reload the configuration by itself when one of its files changes."},
    {.name = "config.auto-reload-interval", .kind = FLAG_DURATION, .offset = OFFSET(config_auto_reload_interval_ms), .default_text = "30s",
     .min = 1000, .max = INT64_MAX, .help = "How often to look for changes of the configuration files; at least 1s."},
    {.name = "web.listen-address", .kind = FLAG_STR_LIST, .offset = OFFSET(web_listen_address), .default_text = "0.0.0.0:9090",
     .help = "Address to listen on for UI, API, and telemetry. Can be repeated."},
    {.name = "web.config.file", .kind = FLAG_STR, .offset = OFFSET(web_config_file), .default_text = "",
     .help = "Path to a file that enables TLS or authentication of the web endpoint."},
    {.name = "web.read-timeout", .kind = FLAG_DURATION, .offset = OFFSET(web_read_timeout_ms), .default_text = "5m", .min = 1, .max = INT64_MAX,
     .help = "How long a request may take to arrive, and how long an idle connection is kept."},
    {.name = "web.max-connections", .kind = FLAG_I64, .offset = OFFSET(web_max_connections), .default_text = "512", .min = 1, .max = 100000,
     .help = "Most connections at the same time, over all listeners."},
    {.name = "web.max-notifications-subscribers", .kind = FLAG_I64, .offset = OFFSET(web_max_notifications_subscribers), .default_text = "16",
     NOT_BELOW_ZERO, .help = "Most subscribers of live notifications at the same time."},
    {.name = "web.external-url", .kind = FLAG_STR, .offset = OFFSET(web_external_url), .default_text = "",
     .help = "The URL under which the server is reachable from outside, for links back to it. Its path prefixes all HTTP endpoints."},
    {.name = "web.route-prefix", .kind = FLAG_STR, .offset = OFFSET(web_route_prefix), .default_text = "",
     .help = "Prefix for the internal routes of web endpoints. Defaults to the path of --web.external-url."},
    {.name = "web.user-assets", .kind = FLAG_STR, .offset = OFFSET(web_user_assets), .default_text = "",
     .help = "Path to static files of your own, served at /user."},
    {.name = "web.enable-lifecycle", .kind = FLAG_BOOL, .offset = OFFSET(web_enable_lifecycle),
     .help = "Allow reload and shutdown by HTTP request."},
    {.name = "web.enable-admin-api", .kind = FLAG_BOOL, .offset = OFFSET(web_enable_admin_api), .help = "Allow API calls that delete or snapshot data."},
    {.name = "web.enable-remote-write-receiver", .kind = FLAG_BOOL, .offset = OFFSET(web_enable_remote_write_receiver),
     .help = "Accept remote write requests at /api/v1/write."},
    {.name = "web.remote-write-receiver.accepted-protobuf-messages", .kind = FLAG_STR_LIST, .offset = OFFSET(web_remote_write_messages),
     .help = "Remote write messages to accept: prometheus.WriteRequest, io.prometheus.write.v2.Request. Both if not given. Can be repeated."},
    {.name = "web.enable-otlp-receiver", .kind = FLAG_BOOL, .offset = OFFSET(web_enable_otlp_receiver), .help = "Accept OTLP metrics at /api/v1/otlp/v1/metrics."},
    {.name = "web.console.templates", .kind = FLAG_STR, .offset = OFFSET(web_console_templates), .default_text = "consoles",
     .help = "Path to the console template folder, served at /consoles."},
    {.name = "web.console.libraries", .kind = FLAG_STR, .offset = OFFSET(web_console_libraries), .default_text = "console_libraries",
     .help = "Path to the console library folder."},
    {.name = "web.page-title", .kind = FLAG_STR, .offset = OFFSET(web_page_title),
     .default_text = "Prometheus Time Series Collection and Processing Server", .help = "Title of the web pages."},
    {.name = "web.cors.origin", .kind = FLAG_STR, .offset = OFFSET(web_cors_origin), .default_text = ".*",
     .help = "Regular expression for allowed CORS origins; anchored at both ends."},
    {.name = "web.search.max-limit", .kind = FLAG_I64, .offset = OFFSET(web_search_max_limit), .default_text = "10000", NOT_BELOW_ZERO,
     .help = "Largest limit of a search request, with the feature search-api; 0 means any."},
    {.name = "storage.tsdb.path", .kind = FLAG_STR, .offset = OFFSET(storage_path), .default_text = "data/",
     .help = "Folder of the samples. Use with server mode only."},
    {.name = "storage.tsdb.retention.time", .kind = FLAG_DURATION, .offset = OFFSET(retention_time_ms),
     .help = "How long to keep samples. 15d if neither this nor the size is given; the configuration file wins."},
    {.name = "storage.tsdb.retention.size", .kind = FLAG_SIZE, .offset = OFFSET(retention_bytes),
     .help = "Most bytes of blocks, log and head chunks together; a unit is required: B, KB, MB, GB, TB, PB, EB, as powers of two."},
    {.name = "storage.tsdb.no-lockfile", .kind = FLAG_BOOL, .offset = OFFSET(no_lockfile), .help = "Do not create a lock file in the data folder."},
    {.name = "storage.tsdb.head-chunks-write-queue-size", .kind = FLAG_I64, .offset = OFFSET(head_chunks_write_queue_size), .default_text = "0",
     .hidden = true, .help = "Accepted; head chunks are written without a queue."},
    {.name = "storage.tsdb.delay-compact-file.path", .kind = FLAG_STR, .offset = OFFSET(delay_compact_file), .default_text = "", .hidden = true,
     .help = "JSON file with uploaded blocks: others of level 1 are not compacted."},
    {.name = "storage.tsdb.block-reload-interval", .kind = FLAG_DURATION, .offset = OFFSET(block_reload_interval_ms), .default_text = "1m",
     .hidden = true, .help = "How often blocks that others put into the folder, or took away, are looked for; at least 1s."},
    {.name = "storage.tsdb.min-block-duration", .kind = FLAG_DURATION, .offset = OFFSET(min_block_duration_ms), .default_text = "2h",
     NOT_BELOW_ZERO, .hidden = true, .help = "Shortest time that a block covers; 0 means 2h."},
    {.name = "storage.tsdb.max-block-duration", .kind = FLAG_DURATION, .offset = OFFSET(max_block_duration_ms), .hidden = true,
     .help = "Longest time that a block covers: 31d or a tenth of the retention."},
    {.name = "storage.tsdb.max-block-chunk-segment-size", .kind = FLAG_SIZE, .offset = OFFSET(max_block_chunk_segment_bytes), .default_text = "512MB",
     .hidden = true, .help = "Largest chunk segment of a block: 1MB or more, or 0 for 512MB."},
    {.name = "storage.tsdb.wal-segment-size", .kind = FLAG_SIZE, .offset = OFFSET(wal_segment_bytes), .default_text = "128MB", .hidden = true,
     .help = "Size at which the log is split: 10MB to 256MB, or 0 for 128MB."},
    {.name = "storage.tsdb.wal-compression", .kind = FLAG_BOOL, .offset = OFFSET(wal_compression), .default_text = "true", .hidden = true,
     .help = "Compress the log."},
    {.name = "storage.tsdb.wal-compression-type", .kind = FLAG_ENUM, .offset = OFFSET(wal_compression_type), .default_text = "snappy",
     .words = compressions, .hidden = true, .help = "How the log is compressed."},
    {.name = "storage.tsdb.wal-samples", .kind = FLAG_ENUM, .offset = OFFSET(wal_samples), .default_text = "v1", .words = sample_records,
     .help = "Which records of the log hold floats: v1, or v2, of about half the size with snappy. Prometheus reads v2 from 3.10 on; older versions ignore such samples."},
    {.name = "storage.tsdb.samples-per-chunk", .kind = FLAG_I64, .offset = OFFSET(samples_per_chunk), .default_text = "120",
     .min = INT32_MIN, .max = 65000, .hidden = true, .help = "Target number of samples in a chunk; 120 if not above 0."},
    {.name = "storage.tsdb.allow-overlapping-compaction", .kind = FLAG_BOOL, .offset = OFFSET(allow_overlapping_compaction), .default_text = "true",
     .hidden = true, .help = "Merge overlapping blocks."},
    {.name = "storage.tsdb.delayed-compaction.max-percent", .kind = FLAG_I64, .offset = OFFSET(delayed_compaction_max_percent),
     .default_text = "10", .min = INT32_MIN, .max = INT32_MAX, .hidden = true,
     .help = "Longest delay of head compaction, in percent of a block: 1 to 100. With the feature delayed-compaction."},
    {.name = "storage.tsdb.wal-sync", .kind = FLAG_ENUM, .offset = OFFSET(wal_sync), .default_text = "interval", .words = syncs,
     .help = "What a power cut may lose: none leaves writing to the kernel, interval syncs the log every --storage.tsdb.wal-sync-interval, "
             "commit before each scrape is acknowledged. A crash of the process loses nothing in any mode."},
    {.name = "storage.tsdb.wal-sync-interval", .kind = FLAG_DURATION, .offset = OFFSET(wal_sync_interval_ms), .default_text = "5s", .min = 10,
     .max = INT64_MAX, .help = "Time between two syncs of the log."},
    {.name = "storage.remote.flush-deadline", .kind = FLAG_DURATION, .offset = OFFSET(remote_flush_deadline_ms), .default_text = "1m",
     .help = "How long to wait for remote write requests under way at shutdown."},
    {.name = "storage.remote.read-sample-limit", .kind = FLAG_I64, .offset = OFFSET(remote_read_sample_limit), .default_text = "50000000",
     NOT_BELOW_ZERO, .help = "Most samples of one remote read answer; 0 means no limit."},
    {.name = "storage.remote.read-concurrent-limit", .kind = FLAG_I64, .offset = OFFSET(remote_read_concurrent_limit), .default_text = "10",
     NOT_BELOW_ZERO, .help = "Most remote read calls at the same time; 0 means no limit."},
    {.name = "storage.remote.read-max-bytes-in-frame", .kind = FLAG_I64, .offset = OFFSET(remote_read_frame_bytes), .default_text = "1048576",
     .min = 1, .max = INT64_MAX, .help = "Most bytes in one frame of a streamed remote read answer."},
    {.name = "rules.alert.for-outage-tolerance", .kind = FLAG_DURATION, .offset = OFFSET(rules_for_outage_tolerance_ms), .default_text = "1h",
     .help = "Longest outage after which the 'for' state of alerts is restored."},
    {.name = "rules.alert.for-grace-period", .kind = FLAG_DURATION, .offset = OFFSET(rules_for_grace_period_ms), .default_text = "10m",
     .help = "Shortest time between an alert and its restored 'for' state."},
    {.name = "rules.alert.resend-delay", .kind = FLAG_DURATION, .offset = OFFSET(rules_resend_delay_ms), .default_text = "1m",
     .help = "Shortest time before an alert is sent again to Alertmanager."},
    {.name = "rules.max-concurrent-evals", .kind = FLAG_I64, .offset = OFFSET(rules_max_concurrent_evals), .default_text = "4", .min = 1, .max = 10000,
     .help = "Most independent rules evaluated at the same time."},
    {.name = "alertmanager.config.file", .kind = FLAG_STR, .offset = OFFSET(alertmanager_config_file), .default_text = "",
     .help = "Run an Alertmanager with this configuration in the same process, below /alertmanager."},
    {.name = "alertmanager.enable-test-notifications", .kind = FLAG_BOOL, .offset = OFFSET(alertmanager_test_notifications), .default_text = "true",
     .help = "Let clients of this process' Alertmanager have a test notification sent to a receiver."},
    {.name = "alertmanager.notification-queue-capacity", .kind = FLAG_I64, .offset = OFFSET(alertmanager_queue_capacity), .default_text = "10000",
     .min = 1, .max = INT64_MAX, .help = "Capacity of the queue of pending notifications."},
    {.name = "alertmanager.notification-batch-size", .kind = FLAG_I64, .offset = OFFSET(alertmanager_batch_size), .default_text = "256", .min = 1,
     .max = INT64_MAX, .help = "Most notifications in one batch."},
    {.name = "alertmanager.drain-notification-queue-on-shutdown", .kind = FLAG_BOOL, .offset = OFFSET(alertmanager_drain_queue), .default_text = "true",
     .help = "Send what waits before the server stops."},
    {.name = "query.lookback-delta", .kind = FLAG_DURATION, .offset = OFFSET(query_lookback_ms), .default_text = "5m", .min = 1, .max = INT64_MAX,
     .help = "Longest look back for a sample during evaluation."},
    {.name = "query.timeout", .kind = FLAG_DURATION, .offset = OFFSET(query_timeout_ms), .default_text = "2m", .min = 1, .max = INT64_MAX,
     .help = "Longest time that a query may take."},
    {.name = "query.max-concurrency", .kind = FLAG_I64, .offset = OFFSET(query_max_concurrency), .default_text = "20", .min = 1, .max = 10000,
     .help = "Most queries at the same time."},
    {.name = "query.max-samples", .kind = FLAG_I64, .offset = OFFSET(query_max_samples), .default_text = "50000000", .min = 1, .max = INT64_MAX,
     .help = "Most samples that one query may hold in memory."},
    {.name = "query.max-memory", .kind = FLAG_SIZE, .offset = OFFSET(query_max_memory), .default_text = "0",
     .help = "Most memory that one query, lookup, federation or remote read may hold, with unit; one that needs more is refused. "
             "0 means half of --query.max-memory-total."},
    {.name = "query.max-memory-total", .kind = FLAG_SIZE, .offset = OFFSET(query_max_memory_total), .default_text = "0",
     .help = "Most memory that all of them may hold together, rules included. "
             "0 means half of the memory of the machine, or of the control group if that is less."},
    {.name = "scrape.discovery-reload-interval", .kind = FLAG_DURATION, .offset = OFFSET(discovery_reload_interval_ms), .default_text = "5s",
     .hidden = true, .help = "How often changed targets are taken up."},
    {.name = "scrape.adjust-timestamps", .kind = FLAG_BOOL, .offset = OFFSET(scrape_adjust_timestamps), .default_text = "true", .hidden = true,
     .help = "Move scrape timestamps by up to the tolerance to keep them regular."},
    {.name = "scrape.timestamp-tolerance", .kind = FLAG_DURATION, .offset = OFFSET(scrape_timestamp_tolerance_ms), .default_text = "2ms",
     .hidden = true, .help = "Tolerance of --scrape.adjust-timestamps."},
    {.name = "scrape.threads", .kind = FLAG_I64, .offset = OFFSET(scrape_threads), .default_text = "0", .min = 0, .max = 256,
     .help = "Scrape threads; 0 means one for each core, at most 4."},
    {.name = "enable-feature", .kind = FLAG_STR_LIST, .offset = OFFSET(enable_feature),
     .help = "Comma-separated feature names to enable, as the original's. Can be repeated."},
    {.name = "agent", .kind = FLAG_BOOL, .offset = OFFSET(agent), .help = "Run as an agent: scrape and forward, keep nothing but a log."},
    {.name = "storage.agent.path", .kind = FLAG_STR, .offset = OFFSET(agent_path), .default_text = "data-agent/",
     .help = "Folder of the log. Use with agent mode only."},
    {.name = "storage.agent.wal-segment-size", .kind = FLAG_SIZE, .offset = OFFSET(agent_wal_segment_bytes), .default_text = "128MB", .hidden = true,
     .help = "Size at which the log is split: 10MB to 256MB, or 0 for 128MB. Use with agent mode only."},
    {.name = "storage.agent.wal-compression", .kind = FLAG_BOOL, .offset = OFFSET(agent_wal_compression), .default_text = "true",
     .help = "Compress the log. Use with agent mode only."},
    {.name = "storage.agent.wal-compression-type", .kind = FLAG_ENUM, .offset = OFFSET(agent_wal_compression_type), .default_text = "snappy",
     .words = compressions, .hidden = true, .help = "How the log is compressed. Use with agent mode only."},
    {.name = "storage.agent.wal-truncate-frequency", .kind = FLAG_DURATION, .offset = OFFSET(agent_truncate_every_ms), .default_text = "2h", .min = 100,
     .max = INT64_MAX, .hidden = true, .help = "How often the log is truncated. Use with agent mode only."},
    {.name = "storage.agent.retention.min-time", .kind = FLAG_DURATION, .offset = OFFSET(agent_keep_ms_min), .default_text = "5m",
     NOT_BELOW_ZERO, .help = "Samples and series are kept at least this long. Use with agent mode only."},
    {.name = "storage.agent.retention.max-time", .kind = FLAG_DURATION, .offset = OFFSET(agent_keep_ms_max), .default_text = "4h",
     NOT_BELOW_ZERO, .help = "Samples are kept at most this long, forwarded or not. Use with agent mode only."},
    {.name = "storage.agent.checkpoint-from-in-memory-series", .kind = FLAG_BOOL, .offset = OFFSET(agent_checkpoint_from_memory), .hidden = true,
     .help = "Accepted for compatibility; a checkpoint is always made of the series in memory. Use with agent mode only."},
    {.name = "storage.agent.checkpoint-batch-size", .kind = FLAG_I64, .offset = OFFSET(agent_checkpoint_batch), .default_text = "1000", .min = 1,
     .max = INT32_MAX, .hidden = true, .help = "Accepted for compatibility. Use with agent mode only."},
    {.name = "storage.agent.no-lockfile", .kind = FLAG_BOOL, .offset = OFFSET(agent_no_lockfile),
     .help = "Do not create a lock file in the folder. Use with agent mode only."},
    {.name = "auto-gomaxprocs", .kind = FLAG_BOOL, .offset = OFFSET(auto_gomaxprocs), .default_text = "true", .hidden = true,
     .help = "Accepted for compatibility; narthex looks at its cgroup's cores by itself."},
    {.name = "auto-gomemlimit", .kind = FLAG_BOOL, .offset = OFFSET(auto_gomemlimit), .default_text = "true", .hidden = true,
     .help = "Accepted for compatibility; there is no garbage collector to tune."},
    {.name = "auto-gomemlimit.ratio", .kind = FLAG_DOUBLE, .offset = OFFSET(auto_gomemlimit_ratio), .default_text = "0.9", .hidden = true,
     .help = "Accepted for compatibility."},
    {.name = "auto-gomemlimit.refresh-interval", .kind = FLAG_DURATION, .offset = OFFSET(auto_gomemlimit_every_ms), .default_text = "0s",
     NOT_BELOW_ZERO, .hidden = true, .help = "Accepted for compatibility."},
    {.name = "log.level", .kind = FLAG_ENUM, .offset = OFFSET(log_level), .default_text = "info", .words = log_levels,
     .help = "Only log messages of this severity or above: debug, info, warn, error."},
    {.name = "log.format", .kind = FLAG_ENUM, .offset = OFFSET(log_format), .default_text = "logfmt", .words = log_formats,
     .help = "Form of log messages: logfmt, json."},
};
// clang-format on

const FlagTable server_flag_table = {
    "narthex server", "The Prometheus server: scrapes, stores, answers queries.", NULL, specs,
    COUNT_OF(specs),
};

const FlagTable server_flag_table_stack = {
    "narthex",
    "The whole stack in one process. Without --config.file it scrapes itself and the machine it "
    "runs on. `narthex help` lists the commands.",
    NULL,
    specs,
    COUNT_OF(specs),
};

bool server_feature(const ServerFlags *flags, const char *name)
{
    for (size_t i = 0; i < flags->enable_feature.count; i++) {
        Str rest = flags->enable_feature.items[i];
        Str one;
        while (str_split_next(&rest, ',', &one))
            if (str_is(str_trim(one), name))
                return true;
    }
    return false;
}

static bool check_log_segment(const char *name, uint64_t bytes, Error *err)
{
    return bytes == 0 || (bytes >= 10 * MIB && bytes <= 256 * MIB) ||
           error_set(err, ERR_INVALID, "flag '%s' must be set between 10MB and 256MB", name);
}

bool server_flags_check(const ServerFlags *flags, Error *err)
{
    uint64_t chunks = flags->max_block_chunk_segment_bytes;

    if (chunks != 0 && chunks < MIB)
        return error_set(err, ERR_INVALID,
                         "flag 'storage.tsdb.max-block-chunk-segment-size' must be set over 1MB");
    return check_log_segment("storage.tsdb.wal-segment-size", flags->wal_segment_bytes, err) &&
           check_log_segment("storage.agent.wal-segment-size", flags->agent_wal_segment_bytes, err);
}

int server_compaction_delay(const ServerFlags *flags)
{
    int64_t percent = flags->delayed_compaction_max_percent;

    if (!server_feature(flags, "delayed-compaction"))
        return 0;
    if (percent >= 1 && percent <= 100)
        return (int)percent;
    log_warn("--storage.tsdb.delayed-compaction.max-percent should lie between 1 and 100, using "
             "the default",
             KV("default", COMPACTION_DELAY_PERCENT));
    return COMPACTION_DELAY_PERCENT;
}

PromqlFeatures server_promql_features(const ServerFlags *flags)
{
    return (PromqlFeatures){
        .experimental_functions = server_feature(flags, "promql-experimental-functions"),
        .duration_expressions = true,
        .extended_range_selectors = server_feature(flags, "promql-extended-range-selectors"),
        .fill_modifiers = server_feature(flags, "promql-binop-fill-modifiers"),
        .delayed_name_removal = server_feature(flags, "promql-delayed-name-removal"),
        .per_step_stats = server_feature(flags, "promql-per-step-stats"),
        .start_timestamps = server_feature(flags, "use-start-timestamps"),
        .type_and_unit_labels = server_feature(flags, "type-and-unit-labels"),
    };
}
