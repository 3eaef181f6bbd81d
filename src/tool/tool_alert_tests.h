// SPDX-License-Identifier: Apache-2.0
// tool_alert_tests.h: unit tests of what receivers are told: the part of a test file that speaks of the Alertmanager, and its run over
// am_simulation.h. Format: docs/alerting.md. Private to the room.
#pragma once

#include "tool/tool_rule_tests.h"

typedef struct AlertTestSilence {
    int64_t start_ms, end_ms; // from the start of the test
    bool has_end;
    ConfigStrList matchers;
} AlertTestSilence;

// An alert that no rule of the file makes.
typedef struct AlertTestSent {
    int64_t start_ms, end_ms;
    bool has_end;
    ConfigStrMap labels, annotations;
} AlertTestSent;

typedef struct AlertTestAlert {
    Str status; // empty: firing
    ConfigStrMap labels, annotations;
    bool has_annotations;
} AlertTestAlert;

typedef struct AlertTestText {
    Str template, text;
} AlertTestText;

// What is not said is not compared.
typedef struct AlertTestNotification {
    int64_t at_ms;
    bool has_at, has_group_labels, has_alerts;
    Str receiver, integration, status, reason;
    ConfigStrMap group_labels;
    ConfigList alerts; // AlertTestAlert
    ConfigList texts;  // AlertTestText
} AlertTestNotification;

// All notifications of a span of time, of one receiver or of all.
typedef struct AlertTestWindow {
    int64_t from_ms, until_ms; // from is not part of it, save that of the start
    Str receiver;
    ConfigList expected; // AlertTestNotification
} AlertTestWindow;

extern const ConfigTable alert_test_silence_table, alert_test_sent_table, alert_test_window_table;

typedef struct AlertTest AlertTest;

// *ret_test is NULL if the test says nothing of notifications.
bool alert_test_new(const RuleTestFile *file, const RuleTest *test, Arena *arena,
                    AlertTest **ret_test, Error *err) MUST_CHECK;
void alert_test_free(AlertTest *test); // accepts NULL
// The last moment that the test looks at, from its start; 0 if there is none.
int64_t alert_test_last(const RuleTest *test);
// Alerts of rules.
bool alert_test_send(AlertTest *test, int64_t t_ms, const NotifierAlert *alerts, size_t count,
                     Error *err) MUST_CHECK;
// Those that come from elsewhere and begin until t_ms.
bool alert_test_send_others(AlertTest *test, int64_t t_ms, Error *err) MUST_CHECK;
// Lets time pass until t_ms; what was not as expected.
StrList alert_test_check(AlertTest *test, int64_t t_ms);
