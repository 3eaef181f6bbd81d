// SPDX-License-Identifier: Apache-2.0
// tool_rule_tests.h: a file of unit tests of rules: its schema, and one test's run. Facts: prometheus.md section 2.5. Private to the room.
#pragma once

#include "rules/rules.h"
#include "tool/tool_command.h"

typedef struct RuleTestSeries {
    Str series;
    Str values;
} RuleTestSeries;

typedef struct RuleTestAlert {
    ConfigStrMap labels;
    ConfigStrMap annotations;
} RuleTestAlert;

typedef struct RuleTestAlerts {
    int64_t eval_time_ms;
    Str alertname;
    ConfigList expected; // RuleTestAlert
} RuleTestAlerts;

typedef struct RuleTestSample {
    Str labels;
    double value;
    Str histogram;
} RuleTestSample;

typedef struct RuleTestExpr {
    Str expr;
    int64_t eval_time_ms;
    ConfigList expected; // RuleTestSample
} RuleTestExpr;

typedef struct RuleTest {
    Str name;
    int64_t interval_ms;
    ConfigList input;  // RuleTestSeries
    ConfigList alerts; // RuleTestAlerts
    ConfigList exprs;  // RuleTestExpr
    ConfigStrMap external_labels;
    Str external_url;
    int64_t start_ms;
    // For `test alerts`: tool_alert_tests.h.
    ConfigList silences;      // AlertTestSilence
    ConfigList sent;          // AlertTestSent
    ConfigList notifications; // AlertTestWindow
} RuleTest;

typedef struct RuleTestFile {
    ConfigStrList rule_files; // joined to the file's folder
    int64_t evaluation_interval_ms;
    ConfigStrList group_eval_order;
    ConfigList tests; // RuleTest
    bool fuzzy_compare;
    Str alertmanager_config; // for `test alerts`; empty: none
} RuleTestFile;

// `with_alerts`: what only `test alerts` knows may stand there.
bool rule_test_file_load(Str path, bool with_alerts, Arena *arena, RuleTestFile *ret_file,
                         Error *err) MUST_CHECK;

typedef struct RuleTestOptions {
    PromqlFeatures features;
    bool diff;
    bool debug;
    bool ignore_unknown_fields;
} RuleTestOptions;

// Runs one test; what went wrong, as texts in the arena. None: it passed.
StrList rule_test_run(const RuleTestFile *file, const RuleTest *test, Str name,
                      const RuleTestOptions *options, Arena *arena);

// rule_test_diff: what differs between two texts, line by line, with "- " and "+ " in front.
void rule_test_diff(Str expected, Str got, Arena *arena, Buf *out);
