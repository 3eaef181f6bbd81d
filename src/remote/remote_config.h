// SPDX-License-Identifier: Apache-2.0
// remote_config.h: the blocks remote_write, remote_read and otlp of prometheus.yml. Facts: prometheus.md sections 1.8 to 1.10.
#pragma once

#include "config/config.h"
#include "metric/relabel_config.h"
#include "net/http_client.h"

typedef struct RemoteQueueConfig {
    int64_t capacity; // samples that a shard holds
    int64_t max_shards, min_shards;
    int64_t max_samples_per_send;
    int64_t batch_send_deadline_ms;
    int64_t min_backoff_ms, max_backoff_ms;
    bool retry_on_http_429;
    int64_t sample_age_limit_ms; // 0: none
} RemoteQueueConfig;

typedef struct RemoteMetadataConfig {
    bool send;
    int64_t send_interval_ms;
    int64_t max_samples_per_send;
} RemoteMetadataConfig;

typedef struct RemoteWriteConfig {
    Str url;
    int64_t remote_timeout_ms;
    ConfigStrMap headers;
    ConfigList write_relabel; // RelabelRule
    Str name;
    bool send_exemplars;
    bool send_native_histograms;
    bool round_robin_dns;
    bool failed_request_logging; // what a receiver of 2.0 refuses is logged at level debug
    Str protobuf_message;
    RemoteQueueConfig queue;
    RemoteMetadataConfig metadata;
    HttpClientConfig http;
} RemoteWriteConfig;

extern const ConfigTable remote_write_config_table;

#define REMOTE_WRITE_MESSAGE_V2 S("io.prometheus.write.v2.Request")

typedef struct RemoteReadConfig {
    Str url;
    int64_t remote_timeout_ms;
    uint64_t chunked_read_limit;
    ConfigStrMap headers;
    bool read_recent;
    ConfigStrMap required_matchers;
    Str name;
    HttpClientConfig http;
    bool filter_external_labels;
} RemoteReadConfig;

extern const ConfigTable remote_read_config_table;

typedef enum OtlpStrategy {
    OTLP_UNDERSCORE_WITH_SUFFIXES,
    OTLP_UTF8_WITH_SUFFIXES,
    OTLP_UNDERSCORE_WITHOUT_SUFFIXES,
    OTLP_NO_TRANSLATION,
} OtlpStrategy;

typedef struct OtlpConfig {
    bool promote_all_resource_attributes;
    ConfigStrList promote_resource_attributes;
    ConfigStrList ignore_resource_attributes;
    int translation_strategy; // OtlpStrategy
    bool keep_identifying_resource_attributes;
    bool convert_histograms_to_nhcb;
    bool promote_scope_metadata;
    bool label_name_underscore_sanitization;
    bool label_name_preserve_multiple_underscores;
} OtlpConfig;

extern const ConfigTable otlp_config_table;

// Checks that need the whole list: the nodes are those of the list's items. Names and blocks stand once each.
bool remote_write_configs_check(ConfigReader *reader, const YamlNode *list,
                                const ConfigList *configs, Error *err) MUST_CHECK;
bool remote_read_configs_check(ConfigReader *reader, const YamlNode *list,
                               const ConfigList *configs, Error *err) MUST_CHECK;
// The name that metrics show: as given, or six digits of the block's hash. In the arena.
Str remote_write_config_name(const RemoteWriteConfig *config, Arena *arena);
Str remote_read_config_name(const RemoteReadConfig *config, Arena *arena);
// As metrics and logs show it: without the password. In the arena.
Str remote_config_shown_url(Str url, Arena *arena);
