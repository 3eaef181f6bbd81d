// SPDX-License-Identifier: Apache-2.0
// The table of commands, in the order of --help. How to add one: tool_command.h.
#include "tool/tool_command.h"

#define GLOBAL(flag, type, member, text, about, ...)                                               \
    {                                                                                              \
        .name = flag, .kind = type, .offset = offsetof(ToolGlobals, member), .default_text = text, \
        .help = about, __VA_ARGS__                                                                 \
    }

static const char *const outputs[] = {"promql", "json", NULL};

static const FlagSpec root_flags[] = {
    GLOBAL("experimental", FLAG_BOOL, experimental, NULL, "Enable experimental commands.",
           .hidden = false),
    GLOBAL("enable-feature", FLAG_STR_LIST, features, NULL,
           "Comma separated feature names to enable: promql-experimental-functions, "
           "promql-delayed-name-removal, promql-extended-range-selectors, "
           "promql-binop-fill-modifiers.",
           .hidden = false),
};

static const char *const am_outputs[] = {"simple", "extended", "json", NULL};

static const FlagSpec am_flags[] = {
    GLOBAL("date.format", FLAG_STR, am_date_format, "2006-01-02 15:04:05 MST",
           "Format of date output, as a layout of Go.", .hidden = false),
    GLOBAL("verbose", FLAG_BOOL, am_verbose, NULL, "Taken for compatibility.", .short_name = 'v'),
    GLOBAL("alertmanager.url", FLAG_STR, am_url, "http://localhost:9093/",
           "Alertmanager to talk to.", .hidden = false),
    GLOBAL("output", FLAG_ENUM, am_output, "simple", "Output formatter: simple, extended or json.",
           .words = am_outputs, .short_name = 'o'),
    GLOBAL("timeout", FLAG_GO_DURATION, am_timeout_ms, "30s", "Timeout for the executed command.",
           .min = 1, .max = INT64_C(86400000) * 3650),
    GLOBAL("http.config.file", FLAG_STR, http_config_file, NULL,
           "HTTP client configuration file to connect to the Alertmanager.", .hidden = false),
    GLOBAL("version-check", FLAG_BOOL, am_version_check, "true",
           "Warn of an Alertmanager of another version.", .hidden = false),
    GLOBAL("enable-feature", FLAG_STR_LIST, features, NULL,
           "Comma separated features: classic-mode, utf8-strict-mode; others are passed over.",
           .hidden = false),
};

static const FlagSpec routes_flags[] = {
    GLOBAL("config.file", FLAG_STR, am_config_file, NULL,
           "Configuration file to look at, in place of a running Alertmanager.", .hidden = false),
};

static const FlagSpec check_flags[] = {
    GLOBAL("query.lookback-delta", FLAG_GO_DURATION, lookback_delta_ms, "5m",
           "The server's maximum query lookback duration.", .hidden = false),
};

#define HTTP_CONFIG_FILE                                                                           \
    GLOBAL("http.config.file", FLAG_STR, http_config_file, NULL,                                   \
           "HTTP client configuration file: the keys of http_config.", .hidden = false)

static const FlagSpec query_flags[] = {
    GLOBAL("format", FLAG_ENUM, output, "promql", "Output format of the query: promql or json.",
           .words = outputs, .short_name = 'o'),
    HTTP_CONFIG_FILE,
};

static const FlagSpec push_flags[] = {HTTP_CONFIG_FILE};

static const FlagSpec test_flags[] = {
    GLOBAL("junit", FLAG_STR, junit, NULL, "File path to store JUnit XML test results.",
           .hidden = false),
};

static const FlagSpec create_blocks_flags[] = {
    GLOBAL("human-readable", FLAG_BOOL, human_readable, NULL, "Print human readable values.",
           .short_name = 'r'),
    GLOBAL("quiet", FLAG_BOOL, quiet, NULL, "Do not print created blocks.", .short_name = 'q'),
    GLOBAL("max-block-duration", FLAG_GO_DURATION, max_block_duration_ms, NULL,
           "Maximum duration created blocks may span. Anything less than 2h is ignored.",
           .hidden = true),
};

const ToolGroup tool_groups[] = {
    {"", "Checks, queries and unit tests from the command line.", root_flags, COUNT_OF(root_flags),
     TOOL_PROM},
    {"check", "Check the resources for validity.", check_flags, COUNT_OF(check_flags), TOOL_PROM},
    {"query", "Run query against a Prometheus server.", query_flags, COUNT_OF(query_flags),
     TOOL_PROM},
    {"debug", "Fetch debug information.", NULL, 0, TOOL_PROM},
    {"push", "Push to a Prometheus server.", push_flags, COUNT_OF(push_flags), TOOL_PROM},
    {"test", "Unit testing.", test_flags, COUNT_OF(test_flags), TOOL_PROM},
    {"tsdb", "Run tsdb commands.", NULL, 0, TOOL_PROM},
    {"tsdb bench", "Run benchmarks.", NULL, 0, TOOL_PROM},
    {"tsdb create-blocks-from", "Import samples from input and produce TSDB blocks.",
     create_blocks_flags, COUNT_OF(create_blocks_flags), TOOL_PROM},
    {"promql", "PromQL formatting and editing. Requires the --experimental flag.", NULL, 0,
     TOOL_PROM},
    {"promql label-matchers", "Edit label matchers of an existing PromQL query.", NULL, 0,
     TOOL_PROM},
    {"", "Checks, changes and looks at the state of an Alertmanager.", am_flags, COUNT_OF(am_flags),
     TOOL_AM},
    {"alert", "Add or query alerts.", NULL, 0, TOOL_AM},
    {"silence", "Add, expire or view silences.", NULL, 0, TOOL_AM},
    {"cluster", "View cluster status and peers.", NULL, 0, TOOL_AM},
    {"config", "View the configuration.", NULL, 0, TOOL_AM},
    {"config routes", "Print the routing tree, of a file or of a running Alertmanager.",
     routes_flags, COUNT_OF(routes_flags), TOOL_AM},
    {"template", "Render template files.", NULL, 0, TOOL_AM},
    {"receiver", "Preview and test what receivers are told.", NULL, 0, TOOL_AM},
};
const size_t tool_group_count = COUNT_OF(tool_groups);

const ToolCommand tool_commands[] = {
    {"check service-discovery",
     "Perform service discovery for the given job name and report the results, including "
     "relabeling.",
     &tool_check_sd, TOOL_PROM, false},
    {"check config", "Check if the config files are valid or not.", &tool_check_config, TOOL_PROM,
     false},
    {"check web-config", "Check if the web config files are valid or not.", &tool_check_web,
     TOOL_PROM, false},
    {"check healthy", "Check if the Prometheus server is healthy.", &tool_check_healthy, TOOL_PROM,
     false},
    {"check ready", "Check if the Prometheus server is ready.", &tool_check_ready, TOOL_PROM,
     false},
    {"check rules", "Check if the rule files are valid or not.", &tool_check_rules, TOOL_PROM,
     false},
    {"check metrics",
     "Pass Prometheus metrics over stdin to lint them for consistency and correctness, and "
     "optionally perform cardinality analysis.",
     &tool_check_metrics, TOOL_PROM, false},
    {"query instant", "Run instant query.", &tool_query_instant, TOOL_PROM, false},
    {"query range", "Run range query.", &tool_query_range, TOOL_PROM, false},
    {"query series", "Run series query.", &tool_query_series, TOOL_PROM, false},
    {"query labels", "Run labels query.", &tool_query_labels, TOOL_PROM, false},
    {"query analyze",
     "Run queries against your Prometheus to analyze the usage pattern of certain metrics.",
     &tool_query_analyze, TOOL_PROM, false},
    {"debug pprof", "Fetch profiling debug information.", &tool_debug_pprof, TOOL_PROM, false},
    {"debug metrics", "Fetch metrics debug information.", &tool_debug_metrics, TOOL_PROM, false},
    {"debug all", "Fetch all debug information.", &tool_debug_all, TOOL_PROM, false},
    {"push metrics", "Push metrics to a prometheus remote write (for testing purpose only).",
     &tool_push_metrics, TOOL_PROM, false},
    {"tsdb bench write", "Run a write performance benchmark.", &tool_tsdb_bench_write, TOOL_PROM,
     false},
    {"tsdb analyze", "Analyze churn, label pair cardinality and compaction efficiency.",
     &tool_tsdb_analyze, TOOL_PROM, false},
    {"tsdb list", "List tsdb blocks.", &tool_tsdb_list, TOOL_PROM, false},
    {"tsdb dump", "Dump data (series+samples or optionally just series) from a TSDB.",
     &tool_tsdb_dump, TOOL_PROM, false},
    {"tsdb dump-openmetrics",
     "Dump samples from a TSDB into OpenMetrics text format, excluding native histograms.",
     &tool_tsdb_dump_openmetrics, TOOL_PROM, false},
    {"tsdb create-blocks-from openmetrics",
     "Import samples from OpenMetrics input and produce TSDB blocks.", &tool_tsdb_backfill,
     TOOL_PROM, false},
    {"tsdb create-blocks-from rules", "Create blocks of data for new recording rules.",
     &tool_tsdb_rules, TOOL_PROM, false},
    {"tsdb verify", "Read a TSDB whole and tell what is damaged.", &tool_tsdb_verify, TOOL_PROM,
     false},
    {"tsdb repair", "Write damaged blocks anew from what is good of them.", &tool_tsdb_repair,
     TOOL_PROM, false},
    {"promql format", "Format PromQL query to pretty printed form.", &tool_promql_format, TOOL_PROM,
     false},
    {"promql label-matchers set", "Set a label matcher in the query.", &tool_promql_set, TOOL_PROM,
     false},
    {"promql label-matchers delete", "Delete a label from the query.", &tool_promql_delete,
     TOOL_PROM, false},
    {"test rules", "Unit tests for rules.", &tool_test_rules, TOOL_PROM, false},
    {"test alerts", "Unit tests from series to notifications.", &tool_test_alerts, TOOL_PROM,
     false},
    {"alert add", "Add a new alert.", &tool_alert_add, TOOL_AM, false},
    {"alert query", "View and search through current alerts.", &tool_alert_query, TOOL_AM, true},
    {"alert explain", "Tell why an alert is notified or not.", &tool_alert_explain, TOOL_AM, false},
    {"silence add", "Add a new silence.", &tool_silence_add, TOOL_AM, false},
    {"silence expire", "Expire silences.", &tool_silence_expire, TOOL_AM, false},
    {"silence import", "Import silences from a JSON file or standard input.", &tool_silence_import,
     TOOL_AM, false},
    {"silence query", "Query silences.", &tool_silence_query, TOOL_AM, true},
    {"silence update", "Update silences.", &tool_silence_update, TOOL_AM, false},
    {"check-config", "Check configuration files of the Alertmanager.", &tool_alertmanager_check,
     TOOL_AM, false},
    {"cluster show", "View cluster status and peers.", &tool_alertmanager_cluster, TOOL_AM, true},
    {"config show", "View the running configuration.", &tool_alertmanager_config, TOOL_AM, true},
    {"config routes show", "Draw the routing tree of the Alertmanager.", &tool_alertmanager_routes,
     TOOL_AM, true},
    {"config routes test", "Tell the receivers of an alert with these labels.",
     &tool_alertmanager_test, TOOL_AM, false},
    {"template render", "Fill in a template of notifications.", &tool_alertmanager_render, TOOL_AM,
     false},
    {"receiver preview", "Fill in all templates of a receiver.", &tool_receiver_preview, TOOL_AM,
     false},
    {"receiver test", "Send a test notification to a receiver.", &tool_receiver_test, TOOL_AM,
     false},
};
const size_t tool_command_count = COUNT_OF(tool_commands);
