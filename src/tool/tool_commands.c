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
    {"", "Checks, queries and unit tests from the command line.", root_flags, COUNT_OF(root_flags)},
    {"check", "Check the resources for validity.", check_flags, COUNT_OF(check_flags)},
    {"query", "Run query against a Prometheus server.", query_flags, COUNT_OF(query_flags)},
    {"debug", "Fetch debug information.", NULL, 0},
    {"push", "Push to a Prometheus server.", push_flags, COUNT_OF(push_flags)},
    {"test", "Unit testing.", test_flags, COUNT_OF(test_flags)},
    {"config", "Look at a configuration of the Alertmanager.", NULL, 0},
    {"config routes", "Look at its routing tree.", NULL, 0},
    {"tsdb", "Run tsdb commands.", NULL, 0},
    {"tsdb bench", "Run benchmarks.", NULL, 0},
    {"tsdb create-blocks-from", "Import samples from input and produce TSDB blocks.",
     create_blocks_flags, COUNT_OF(create_blocks_flags)},
    {"promql", "PromQL formatting and editing. Requires the --experimental flag.", NULL, 0},
    {"promql label-matchers", "Edit label matchers of an existing PromQL query.", NULL, 0},
};
const size_t tool_group_count = COUNT_OF(tool_groups);

const ToolCommand tool_commands[] = {
    {"check service-discovery",
     "Perform service discovery for the given job name and report the results, including "
     "relabeling.",
     &tool_check_sd},
    {"check config", "Check if the config files are valid or not.", &tool_check_config},
    {"check web-config", "Check if the web config files are valid or not.", &tool_check_web},
    {"check healthy", "Check if the Prometheus server is healthy.", &tool_check_healthy},
    {"check ready", "Check if the Prometheus server is ready.", &tool_check_ready},
    {"check rules", "Check if the rule files are valid or not.", &tool_check_rules},
    {"check metrics",
     "Pass Prometheus metrics over stdin to lint them for consistency and correctness, and "
     "optionally perform cardinality analysis.",
     &tool_check_metrics},
    {"query instant", "Run instant query.", &tool_query_instant},
    {"query range", "Run range query.", &tool_query_range},
    {"query series", "Run series query.", &tool_query_series},
    {"query labels", "Run labels query.", &tool_query_labels},
    {"query analyze",
     "Run queries against your Prometheus to analyze the usage pattern of certain metrics.",
     &tool_query_analyze},
    {"debug pprof", "Fetch profiling debug information.", &tool_debug_pprof},
    {"debug metrics", "Fetch metrics debug information.", &tool_debug_metrics},
    {"debug all", "Fetch all debug information.", &tool_debug_all},
    {"push metrics", "Push metrics to a prometheus remote write (for testing purpose only).",
     &tool_push_metrics},
    {"tsdb bench write", "Run a write performance benchmark.", &tool_tsdb_bench_write},
    {"tsdb analyze", "Analyze churn, label pair cardinality and compaction efficiency.",
     &tool_tsdb_analyze},
    {"tsdb list", "List tsdb blocks.", &tool_tsdb_list},
    {"tsdb dump", "Dump data (series+samples or optionally just series) from a TSDB.",
     &tool_tsdb_dump},
    {"tsdb dump-openmetrics",
     "Dump samples from a TSDB into OpenMetrics text format, excluding native histograms.",
     &tool_tsdb_dump_openmetrics},
    {"tsdb create-blocks-from openmetrics",
     "Import samples from OpenMetrics input and produce TSDB blocks.", &tool_tsdb_backfill},
    {"tsdb create-blocks-from rules", "Create blocks of data for new recording rules.",
     &tool_tsdb_rules},
    {"tsdb verify", "Read a TSDB whole and tell what is damaged.", &tool_tsdb_verify},
    {"tsdb repair", "Write damaged blocks anew from what is good of them.", &tool_tsdb_repair},
    {"promql format", "Format PromQL query to pretty printed form.", &tool_promql_format},
    {"promql label-matchers set", "Set a label matcher in the query.", &tool_promql_set},
    {"promql label-matchers delete", "Delete a label from the query.", &tool_promql_delete},
    {"test rules", "Unit tests for rules.", &tool_test_rules},
    {"check-config", "Check configuration files of the Alertmanager.", &tool_alertmanager_check},
    {"config routes show", "Draw the routing tree of the Alertmanager.", &tool_alertmanager_routes},
    {"config routes test", "Tell the receivers of an alert with these labels.",
     &tool_alertmanager_test},
};
const size_t tool_command_count = COUNT_OF(tool_commands);
