// SPDX-License-Identifier: Apache-2.0
// tool_command.h: what a command of the tool is made of. Private to the room.
//
//     promtool --enable-feature=x query -o json instant http://localhost:9090 up
//              '-- root's flags -'       '- of group query           '-- arguments
//
// To add one, say "check things":
//   1. tool_check_things.c: a struct of its options, their FlagSpec table (config/flags.h), its ToolArg table, a run function, and
//          const ToolVerb tool_check_things = {.flags = ..., .options_bytes = sizeof(ThingsOptions), .args = ..., .run = run};
//   2. a declaration at the end of this header and a row in tool_commands.c: {"check things", "What it does.", &tool_check_things}.
//   A word that only groups commands, or flags that all commands below a word share, is a row of tool_groups; shared flags lie in
//   ToolGlobals. Flags of a command may stand before or after its arguments, those of its groups also between the command words.
//
// The frame parses, checks that files named by arguments exist, answers --help, and ends with the exit status that run returns. Output goes
// to stdout by printf and tool_write, complaints to stderr; a full disk behind stdout becomes exit status 1 at the end.
#pragma once

#include <stdio.h>

#include "base/arena.h"
#include "base/error.h"
#include "config/flags.h"
#include "promql/promql.h"

enum { TOOL_OK = 0, TOOL_FAILED = 1, TOOL_LINT = 3 }; // exit statuses

typedef enum ToolOutput { TOOL_OUTPUT_PROMQL, TOOL_OUTPUT_JSON } ToolOutput;

// The flags of the root and of the groups.
typedef struct ToolGlobals {
    FlagStrList features; // --enable-feature, as given
    bool experimental;
    int64_t lookback_delta_ms;     // check
    int output;                    // query: ToolOutput
    Str http_config_file;          // query, push
    Str junit;                     // test: path, empty: none
    bool human_readable;           // tsdb create-blocks-from
    bool quiet;                    // tsdb create-blocks-from
    int64_t max_block_duration_ms; // tsdb create-blocks-from; 0: not given
    Str am_url;                    // amtool's, as all below
    int am_output;                 // ToolAmOutput
    int64_t am_timeout_ms;
    bool am_version_check;
    bool am_verbose;
    Str am_date_format;
    Str am_config_file; // config routes
} ToolGlobals;

typedef struct ToolArg {
    const char *name; // NULL ends the table
    const char *help;
    bool is_optional; // and all behind it
    bool is_many;     // the last one: takes all that is left; at least one unless it is optional
    bool is_file;     // must exist and be no directory
} ToolArg;

typedef struct ToolCall {
    const char *program; // "promtool", "narthex tool"
    const ToolGlobals *globals;
    PromqlFeatures features;
    const void *options; // the verb's own struct, filled
    const bool *given;   // per flag of the verb: it stood on the command line
    const Str *args;
    size_t arg_count;
    Arena *arena; // lives until the process ends
} ToolCall;

typedef struct ToolVerb {
    const FlagSpec *flags; // offsets into its options
    size_t flag_count;
    size_t options_bytes;
    const ToolArg *args;        // NULL: none
    const char *about;          // more for --help; NULL: the summary says all
    bool needs_experimental;    // --experimental must be given
    int (*run)(ToolCall *call); // returns an exit status
} ToolVerb;

#define TOOL_FLAGS(table) .flags = table, .flag_count = COUNT_OF(table)

// Whose command it is: a link named promtool or amtool has its own alone.
typedef enum ToolFamily {
    TOOL_PROM = 1,
    TOOL_AM = 2,
} ToolFamily;

typedef struct ToolCommand {
    const char *path; // command words: "check config"
    const char *summary;
    const ToolVerb *verb;
    ToolFamily family;
    bool is_default; // what its group means without a command word
} ToolCommand;

typedef struct ToolGroup {
    const char *path; // "" is the root
    const char *summary;
    const FlagSpec *flags; // offsets into ToolGlobals
    size_t flag_count;
    ToolFamily family;
} ToolGroup;

extern const ToolCommand tool_commands[];
extern const size_t tool_command_count;
extern const ToolGroup tool_groups[];
extern const size_t tool_group_count;

// What the command line asks for.
typedef struct ToolPlan {
    const ToolCommand *command; // NULL: help of the group `path`
    const char *path;           // command words that were understood
    int families;               // that the program has
    ToolCall call;
    bool help, version;
} ToolPlan;

// Everything but running it. Strings live in the arena. ERR_INVALID in words for a person.
bool tool_plan(const char *program, int argc, char **argv, Arena *arena, ToolPlan *ret_plan,
               Error *err) MUST_CHECK;
// The page of --help of a command or of a group.
void tool_help(const ToolPlan *plan, Arena *arena, Buf *out);
// The groups that `path` stands in, the root first; at most `max`. A command's own path may be given, too.
size_t tool_groups_of(Str path, int families, const ToolGroup **ret_groups, size_t max);

// True if the words of `path` are the first words of `longer` (or all).
bool tool_path_is_in(Str path, Str longer);

// To stdout; false once that has failed: time to stop.
bool tool_write(Str bytes);
// "text" and a newline to stderr. Returns TOOL_FAILED.
int tool_fail(const char *fmt, ...) PRINTF(1, 2);
// Standard input to its end. ERR_LIMIT beyond bytes_max. The caller frees the text, also on failure.
bool tool_read_stdin(size_t bytes_max, Buf *ret_text, Error *err) MUST_CHECK;
// "NAME=VALUE" or "NAME:VALUE", as kingpin's StringMap.
bool tool_split_pair(Str text, Str *ret_name, Str *ret_value, Error *err) MUST_CHECK;

extern const ToolVerb tool_alert_add;
extern const ToolVerb tool_alert_explain;
extern const ToolVerb tool_alert_query;
extern const ToolVerb tool_alertmanager_check;
extern const ToolVerb tool_alertmanager_cluster;
extern const ToolVerb tool_alertmanager_config;
extern const ToolVerb tool_alertmanager_render;
extern const ToolVerb tool_alertmanager_routes;
extern const ToolVerb tool_alertmanager_test;
extern const ToolVerb tool_receiver_preview;
extern const ToolVerb tool_receiver_test;
extern const ToolVerb tool_silence_add;
extern const ToolVerb tool_silence_expire;
extern const ToolVerb tool_silence_import;
extern const ToolVerb tool_silence_query;
extern const ToolVerb tool_silence_update;
extern const ToolVerb tool_check_config;
extern const ToolVerb tool_check_rules;
extern const ToolVerb tool_test_alerts;
extern const ToolVerb tool_test_rules;
extern const ToolVerb tool_tsdb_rules;
extern const ToolVerb tool_check_healthy;
extern const ToolVerb tool_check_ready;
extern const ToolVerb tool_check_metrics;
extern const ToolVerb tool_check_sd;
extern const ToolVerb tool_check_web;
extern const ToolVerb tool_debug_pprof;
extern const ToolVerb tool_debug_metrics;
extern const ToolVerb tool_debug_all;
extern const ToolVerb tool_push_metrics;
extern const ToolVerb tool_promql_format;
extern const ToolVerb tool_promql_set;
extern const ToolVerb tool_promql_delete;
extern const ToolVerb tool_query_analyze;
extern const ToolVerb tool_query_instant;
extern const ToolVerb tool_query_range;
extern const ToolVerb tool_query_series;
extern const ToolVerb tool_query_labels;
extern const ToolVerb tool_tsdb_list;
extern const ToolVerb tool_tsdb_analyze;
extern const ToolVerb tool_tsdb_dump;
extern const ToolVerb tool_tsdb_dump_openmetrics;
extern const ToolVerb tool_tsdb_verify;
extern const ToolVerb tool_tsdb_repair;
extern const ToolVerb tool_tsdb_backfill;
extern const ToolVerb tool_tsdb_bench_write;
