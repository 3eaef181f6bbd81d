// SPDX-License-Identifier: Apache-2.0
// rules.h: evaluates recording and alerting rules on a timetable, keeps the state of alerts, sends alerts on.
//
//     files --> RuleSet --apply--> groups --due--> worker: query (Engine over Source) --> samples (Sink)
//                                                                '--> alerts: pending, firing --> send --> Notifier
//
// (1) A group is evaluated by one thread at a time, its rules in the order of the file; later rules see earlier results in the store.
// (2) A group's times are those of the original: slots of its interval, shifted by a hash of file and name.
// (3) Over a reload groups that are the same go on undisturbed; changed ones take over alerts and series of equal rules.
//
// Thread: any for every function here. Facts: prometheus.md section 8.
#pragma once

#include "base/clock.h"
#include "metric/sink.h"
#include "promql/promql.h"
#include "rules/notifier.h"
#include "rules/rule_file.h"

#define RULES_NEVER INT64_MIN // a time that has not been

typedef struct RulesManager RulesManager;

typedef struct RulesOptions {
    Sink *sink;
    Source *source;
    Engine *engine;
    Clock *clock;
    Registry *registry;  // prometheus_rule_*; NULL: none
    int threads;         // groups at the same time; 0: nothing runs by itself and nothing is logged
    int concurrency_max; // rules of one group that run beside it (concurrent-rule-eval); 0: none
    int64_t outage_tolerance_ms;
    int64_t grace_period_ms;
    int64_t resend_delay_ms;
    bool restores; // looks for the state of alerts before the start; false: takes it as restored
    // Alerts that are due to be told; the views are good until it returns. On a worker's thread. May be NULL.
    void (*send)(void *arg, const NotifierAlert *alerts, size_t count);
    void *send_arg;
    struct Tracer *tracer; // of a span for each evaluation of a group; NULL: none
} RulesOptions;

// What the server's configuration says of rules.
typedef struct RulesConfig {
    const Str *patterns; // of rule files, as globs
    size_t pattern_count;
    int64_t interval_ms;
    int64_t query_offset_ms;
    Labels external_labels;
    Str external_url; // without a slash at its end
    RuleFileOptions file;
} RulesConfig;

// Groups that were read and checked, not yet running.
typedef struct RuleSet RuleSet;

// Reads all files. On failure err has the first mistake, and *ret_errors (may be NULL) all of them in the arena.
bool rule_set_load(const RulesConfig *config, Arena *arena, RuleSet **ret_set, StrList *ret_errors,
                   Error *err) MUST_CHECK;
void rule_set_free(RuleSet *set); // accepts NULL

RulesManager *rules_manager_new(const RulesOptions *options);
// Takes over the set. Groups that changed or went are stopped before this returns.
void rules_manager_apply(RulesManager *manager, RuleSet *set);
// Ends what runs. Accepts NULL.
void rules_manager_free(RulesManager *manager);

// One group at one time, on the caller's thread; only with options.threads 0. False if a rule failed: err has the first failure.
bool rules_manager_evaluate(RulesManager *manager, Str file, Str group, int64_t t_ms,
                            Error *err) MUST_CHECK;

// The time of the evaluation at or before a wall time, in nanoseconds: each group has its own offset into the interval.
int64_t rules_slot_ns(Str file, Str group, int64_t interval_ms, int64_t now_ns);

// What the API shows ---------------------------------------------------------------------------------------------------------------------

typedef enum RuleHealth { RULE_UNKNOWN, RULE_OK, RULE_FAILED } RuleHealth;
typedef enum AlertState { ALERT_INACTIVE, ALERT_PENDING, ALERT_FIRING } AlertState;

typedef struct AlertInfo {
    Labels labels;
    Labels annotations;
    AlertState state; // pending or firing
    double value;
    int64_t active_at_ms;
    int64_t keep_firing_since_ms; // RULES_NEVER
} AlertInfo;

typedef struct RuleInfo {
    bool is_alert;
    Str name;
    Str query;
    Labels labels;
    Labels annotations;
    int64_t for_ms;
    int64_t keep_firing_for_ms;
    int line; // of the group's file, where the rule begins
    RuleHealth health;
    Str last_error;
    double evaluation_s;
    int64_t evaluated_at_ms; // RULES_NEVER
    AlertState state;        // the highest of its alerts
    AlertInfo *alerts;
    size_t alert_count;
} RuleInfo;

typedef struct RuleGroupInfo {
    Str name;
    Str file;
    int64_t interval_ms;
    int64_t query_offset_ms;
    int64_t limit;
    double evaluation_s;
    int64_t evaluated_at_ms; // RULES_NEVER
    RuleInfo *rules;
    size_t rule_count;
} RuleGroupInfo;

typedef struct RulesSnapshot {
    RuleGroupInfo *groups; // by file, then name
    size_t count;
    struct RulesHeld *held; // what the views point to
} RulesSnapshot;

// Everything as it is now; without alerts if they are not asked for. Arrays live in the arena, strings until rules_snapshot_free.
void rules_manager_snapshot(RulesManager *manager, bool with_alerts, Arena *arena,
                            RulesSnapshot *ret_snapshot);
void rules_snapshot_free(RulesSnapshot *snapshot);
