// SPDX-License-Identifier: Apache-2.0
// scrape_config.h: the blocks `global` and `scrape_configs` of prometheus.yml. Facts: prometheus.md sections 1.2 to 1.4.
#pragma once

#include "config/config.h"
#include "discovery/discovery.h"
#include "metric/relabel_config.h"
#include "net/http_client.h"

typedef enum ScrapeProtocol {
    SCRAPE_PROTOBUF,
    SCRAPE_TEXT_0_0_4,
    SCRAPE_TEXT_1_0_0,
    SCRAPE_OPENMETRICS_0_0_1,
    SCRAPE_OPENMETRICS_1_0_0,
    SCRAPE_PROTOCOL_COUNT,
} ScrapeProtocol;

typedef enum NameValidation { NAMES_UNSET, NAMES_UTF8, NAMES_LEGACY } NameValidation;
typedef enum NameEscaping {
    ESCAPING_UNSET,
    ESCAPING_ALLOW_UTF8,
    ESCAPING_UNDERSCORES,
    ESCAPING_DOTS,
    ESCAPING_VALUES,
} NameEscaping;

// Limits that a job inherits from `global` where it has 0. 0 in both: no limit.
typedef struct ScrapeLimits {
    uint64_t body_bytes;
    uint64_t samples;
    uint64_t targets;
    uint64_t labels;
    uint64_t label_name_bytes;
    uint64_t label_value_bytes;
    uint64_t dropped_targets_kept;
} ScrapeLimits;

// Switches that a job inherits where its file does not have them.
typedef struct ScrapeSwitches {
    bool native_histograms;
    bool classic_to_nhcb;
    bool always_classic;
    bool extra_metrics;
    bool has_native_histograms;
    bool has_classic_to_nhcb;
    bool has_always_classic;
    bool has_extra_metrics;
} ScrapeSwitches;

typedef struct ScrapeGlobal {
    int64_t interval_ms;
    int64_t timeout_ms;
    bool has_timeout;
    ConfigStrList protocols;
    bool has_protocols; // they stand in the file
    int64_t evaluation_interval_ms;
    int64_t rule_query_offset_ms;
    Str query_log_file;
    Str failure_log_file;
    ConfigStrMap external_labels;  // as written
    Labels external;               // sorted, with environment variables expanded
    ConfigStrList unset_variables; // that the expansion did not find: for a warning
    ScrapeLimits limits;
    int validation; // NameValidation
    int escaping;   // NameEscaping
    ScrapeSwitches switches;
} ScrapeGlobal;

extern const ConfigTable scrape_global_table;

typedef struct ScrapeConfig {
    Str job_name;
    bool honor_labels;
    bool honor_timestamps;
    bool track_timestamps_staleness;
    ConfigStrListMap params;
    int64_t interval_ms;
    int64_t timeout_ms;
    ConfigStrList protocols;
    Str fallback_protocol;
    ScrapeSwitches switches;
    Str metrics_path;
    Str scheme;
    bool enable_compression;
    ScrapeLimits limits;
    uint64_t histogram_buckets_max;
    double histogram_factor_min;
    int validation; // NameValidation
    int escaping;   // NameEscaping
    Str failure_log_file;
    HttpClientConfig http;
    ConfigList relabel;        // RelabelRule
    ConfigList metric_relabel; // RelabelRule
    DiscoveryConfigs discovery;

    // Made by scrape_config_complete.
    Str accept; // the value of the Accept header
    bool has_fallback;
    ScrapeProtocol fallback;
} ScrapeConfig;

extern const ConfigTable scrape_config_table;

// Fills in what the job inherits from `global`, checks the whole. `node` is the job's, for its place.
bool scrape_config_complete(ConfigReader *reader, const YamlNode *node, const ScrapeGlobal *global,
                            ScrapeConfig *config, Error *err) MUST_CHECK;

// Feature flags that change defaults: jobs without scrape_protocols ask for protobuf first, which has start timestamps; jobs that do not
// say else have extra_scrape_metrics. Once at the start of the program, before the first configuration is read.
void scrape_config_set_features(bool start_times, bool extra_metrics);

// A job for a target inside the process, without YAML: defaults, and a static target with this address.
void scrape_config_local(Arena *arena, Str job_name, Str address, int64_t interval_ms,
                         int64_t timeout_ms, ScrapeConfig *ret_config);
