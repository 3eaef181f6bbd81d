// SPDX-License-Identifier: Apache-2.0
// rule_file.h: a file of rule groups: its schema, its checks, its mistakes with their places. Facts: prometheus.md section 8.1.
#pragma once

#include "config/config.h"
#include "promql/promql.h"

#define RULE_FILE_BYTES_MAX ((size_t)64 << 20)
#define RULE_FILE_ERRORS_MAX 1000 // more mistakes in one file are not told

typedef struct RuleSpec {
    Str record; // recording rule: the metric name; exactly one of the two is set
    Str alert;  // alerting rule
    Str expr;
    int64_t for_ms;
    int64_t keep_firing_for_ms;
    ConfigStrMap labels;
    ConfigStrMap annotations;
    int line, column; // where the rule begins
} RuleSpec;

typedef struct RuleGroupSpec {
    Str name;
    int64_t interval_ms; // 0: the server's
    bool has_query_offset;
    int64_t query_offset_ms;
    int64_t limit;
    ConfigList rules; // RuleSpec
    ConfigStrMap labels;
    int line, column;
} RuleGroupSpec;

typedef struct RuleFile {
    Str path;
    ConfigList groups; // RuleGroupSpec
    int second_line;   // where a second YAML document begins, which is not read; 0: there is none
} RuleFile;

typedef struct RuleFileOptions {
    PromqlFeatures features;
    bool ignore_unknown_fields;
    bool legacy_names; // only the old alphabet for metrics and labels
} RuleFileOptions;

// Reads and checks everything. True if there was no mistake; else *ret_errors has all that were found, each "path:line:column: ...".
// Strings and errors live in the arena.
bool rule_file_parse(Str text, Str path, const RuleFileOptions *options, Arena *arena,
                     RuleFile *ret_file, StrList *ret_errors) MUST_CHECK;
// The same from disk; a file that cannot be read is one error.
bool rule_file_load(Str path, const RuleFileOptions *options, Arena *arena, RuleFile *ret_file,
                    StrList *ret_errors) MUST_CHECK;

// "record" or "alert", whichever is set.
static inline Str rule_spec_name(const RuleSpec *rule)
{
    return rule->alert.len ? rule->alert : rule->record;
}

// The rule's labels over the group's, sorted; the strings are shared. An empty value takes a label away from results.
Labels rule_spec_labels(const RuleGroupSpec *group, const RuleSpec *rule, Arena *arena);

// The two tables, for the reference page.
extern const ConfigTable rule_group_table;
extern const ConfigTable rule_table;
