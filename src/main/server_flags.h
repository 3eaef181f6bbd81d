// SPDX-License-Identifier: Apache-2.0
// server_flags.h: the command line of the server, with the original's names. The all-in-one takes the same.
#pragma once

#include "base/log.h"
#include "config/flags.h"
#include "promql/promql.h"

typedef struct ServerFlags {
    Str config_file;
    bool config_auto_reload;
    int64_t config_auto_reload_interval_ms;

    FlagStrList web_listen_address;
    Str web_config_file;
    int64_t web_read_timeout_ms;
    int64_t web_max_connections;
    int64_t web_max_notifications_subscribers;
    Str web_external_url;
    Str web_route_prefix;
    Str web_user_assets;
    bool web_enable_lifecycle;
    bool web_enable_admin_api;
    bool web_enable_remote_write_receiver;
    FlagStrList web_remote_write_messages;
    bool web_enable_otlp_receiver;
    Str web_console_templates;
    Str web_console_libraries;
    Str web_page_title;
    Str web_cors_origin;
    int64_t web_search_max_limit;

    Str storage_path;
    int64_t retention_time_ms;
    uint64_t retention_bytes;
    bool no_lockfile;
    int64_t head_chunks_write_queue_size;
    Str delay_compact_file;
    int64_t block_reload_interval_ms;
    int64_t min_block_duration_ms;
    int64_t max_block_duration_ms; // 0: from the retention
    uint64_t max_block_chunk_segment_bytes;
    uint64_t wal_segment_bytes;
    bool wal_compression;
    int wal_compression_type;
    int wal_samples; // 1: of version 2
    int64_t samples_per_chunk;
    bool allow_overlapping_compaction;
    int64_t delayed_compaction_max_percent;
    int wal_sync;
    int64_t wal_sync_interval_ms;

    int64_t remote_flush_deadline_ms;
    int64_t remote_read_sample_limit;
    int64_t remote_read_concurrent_limit;
    int64_t remote_read_frame_bytes;

    int64_t rules_for_outage_tolerance_ms;
    int64_t rules_for_grace_period_ms;
    int64_t rules_resend_delay_ms;
    int64_t rules_max_concurrent_evals;
    Str alertmanager_config_file; // empty: no Alertmanager in this process (but in the stack)
    bool alertmanager_test_notifications;
    int64_t alertmanager_queue_capacity;
    int64_t alertmanager_batch_size;
    bool alertmanager_drain_queue;

    int64_t query_lookback_ms;
    int64_t query_timeout_ms;
    int64_t query_max_concurrency;
    int64_t query_max_samples;
    uint64_t query_max_memory;       // 0: half of the total
    uint64_t query_max_memory_total; // 0: half of what the process may use

    int64_t discovery_reload_interval_ms;
    bool scrape_adjust_timestamps;
    int64_t scrape_timestamp_tolerance_ms;
    int64_t scrape_threads; // 0: from the number of cores

    FlagStrList enable_feature;
    bool agent;
    Str agent_path;
    uint64_t agent_wal_segment_bytes;
    bool agent_wal_compression;
    int agent_wal_compression_type;
    int64_t agent_truncate_every_ms;
    int64_t agent_keep_ms_min, agent_keep_ms_max;
    bool agent_checkpoint_from_memory;
    int64_t agent_checkpoint_batch;
    bool agent_no_lockfile;
    bool auto_gomaxprocs;
    bool auto_gomemlimit;
    double auto_gomemlimit_ratio;
    int64_t auto_gomemlimit_every_ms;
    int log_level;
    int log_format;
} ServerFlags;

extern const FlagTable server_flag_table;       // program "narthex server"
extern const FlagTable server_flag_table_stack; // program "narthex": the all-in-one

// True if --enable-feature has this name.
bool server_feature(const ServerFlags *flags, const char *name);
// Sizes between the limits of the original.
bool server_flags_check(const ServerFlags *flags, Error *err) MUST_CHECK;
// Longest wait of a cut of the head in percent of a block; 0: without the feature.
int server_compaction_delay(const ServerFlags *flags);
PromqlFeatures server_promql_features(const ServerFlags *flags);
