// SPDX-License-Identifier: Apache-2.0
// rules_internal.h: groups, rules, alerts as the room's files share them. Private to the room.
//
//     RulesManager --groups--> RuleGroup --rules--> Rule --alerts--> Alert
//
// What stands in a group or rule from its birth never changes. The rest has one of two owners: the thread that evaluates the group, or
// the group's lock, because the API reads it.
#pragma once

#include "base/lock.h"
#include "base/map.h"
#include "base/thread.h"
#include "rules/rules.h"
#include "template/template.h"

// Ranks of the room's locks; see ARCHITECTURE.md.
enum { RANK_RULES = 115, RANK_RULE_GROUP = 120, RANK_NOTIFIER = 130 };

#define ALERT_KEPT_MS (15 * 60 * 1000) // a resolved alert is told for so long
#define RULE_INTERVAL_MS_DEFAULT 60000
#define RULE_STARTS_BEFORE_RESTORE 2 // evaluations of a group

typedef struct RuleGroup RuleGroup;
typedef struct Rule Rule;

// rule_labels.c: label pairs on the heap that many hold.
typedef struct RuleLabels {
    Labels labels;
    _Atomic int refs; // starts at 1
} RuleLabels;

RuleLabels *rule_labels_new(Labels labels);
RuleLabels *rule_labels_ref(RuleLabels *labels);
void rule_labels_unref(RuleLabels *labels); // accepts NULL
// Stands for the label set: equal for equal ones alone.
Hash128 rule_labels_hash(Labels labels, Buf *scratch);

// rule_text.c: the value of a label or annotation: a template, or text that has nothing to expand.
typedef struct RuleText {
    Str name;
    Str text;
    TemplateSet *set; // NULL: plain text
} RuleText;

// rule_output.c: what a rule wrote when it was last evaluated, in order. Owner: the evaluating thread.
typedef struct RuleOutput {
    Hash128 *inputs; // of the result's label sets
    SeriesRef *refs;
    size_t count;
    size_t cap;
} RuleOutput;

// Samples on their way to the sink.
typedef struct RuleBatch {
    SinkSample *samples; // ref 0: its series must be asked for
    Hash128 *inputs;     // NULL: homes know the refs
    SeriesRef **homes;   // where refs are kept, by place before anything was dropped; NULL: nowhere
    size_t count;
    // The label set of a sample, in the arena.
    Labels (*labels)(void *arg, size_t index, Arena *arena);
    void *arg;
} RuleBatch;

// What became of a batch.
typedef struct RuleWritten {
    size_t out_of_order;
    size_t too_old;
    size_t duplicates;
    size_t refused; // for other reasons
    Error err;      // the last reason
} RuleWritten;

void rule_output_deinit(RuleOutput *output);
// Fills in refs of inputs that were there last time.
void rule_output_predict(const RuleOutput *output, RuleBatch *batch, Arena *arena);
// Asks the sink for the others; those that it refuses keep 0.
void rule_output_resolve(RuleBatch *batch, Appender *appender, Arena *arena, RuleWritten *written);
// False if two samples are of the same series.
bool rule_output_is_distinct(const RuleOutput *output, const RuleBatch *batch, Arena *arena);
// Appends what has a ref and drops from the batch what was not taken.
void rule_output_append(RuleBatch *batch, Appender *appender, Arena *arena, RuleWritten *written);
// Markers for series of the last time that are not in the batch.
void rule_output_mark_gone(const RuleOutput *output, const RuleBatch *batch, int64_t t_ms,
                           Appender *appender, Arena *arena);
void rule_output_mark_refs(const SeriesRef *refs, size_t count, int64_t t_ms, Appender *appender,
                           Arena *arena);
// The batch is the last time's from now on.
void rule_output_take(RuleOutput *output, const RuleBatch *batch);

typedef enum AlertSeries {
    ALERT_SERIES_PENDING,
    ALERT_SERIES_FIRING,
    ALERT_SERIES_FOR
} AlertSeries;

// Times are RULES_NEVER until they have been.
typedef struct Alert {
    RuleLabels *labels;
    RuleLabels *annotations;
    Hash128 hash; // of the labels
    AlertState state;
    double value;
    int64_t active_at_ms;
    int64_t fired_at_ms;
    int64_t resolved_at_ms;
    int64_t sent_at_ms;
    int64_t keep_firing_since_ms;
    SeriesRef refs[3]; // AlertSeries; owner: the evaluating thread
    uint64_t seen;     // number of the evaluation that had it in its result
} Alert;

typedef struct AlertList {
    Alert **items; // in order of appearance
    size_t count;
    size_t cap;
    Map by_hash;
    uint64_t evaluations;
} AlertList;

struct Rule {
    RuleGroup *group;
    size_t index;
    bool is_alert;
    Str name;
    Str query;     // canonical
    Str key;       // name and labels: what makes rules the same over a reload
    Labels labels; // as written
    Labels annotations;
    int64_t for_ms;
    int64_t keep_firing_for_ms;
    RuleText *label_texts; // alerts: one for each label and annotation
    RuleText *annotation_texts;
    Str generator_url;
    bool has_dependencies; // on rules of its group
    bool has_dependents;

    RuleOutput output;     // owner: the evaluating thread
    _Atomic bool restored; // else its series are not written yet
    int line;              // of the file, where it begins; guarded by group->lock, as all below
    RuleHealth health;
    Str last_error; // on the heap
    double evaluation_s;
    int64_t evaluated_at_ms;
    AlertList alerts;
};

struct RuleGroup {
    _Atomic int refs; // starts at 1
    Arena arena;      // of names and texts
    RulesManager *manager;
    Str file;
    Str name;
    Str key;         // "file;name", as in metrics
    Str fingerprint; // equal for groups that need not be started anew
    int64_t interval_ms;
    int64_t query_offset_ms;
    int64_t limit;
    Rule *rules;
    size_t rule_count;
    bool has_alerts;
    bool is_indeterminate; // a rule may read any series: no concurrency
    Labels external_labels;
    Str external_url;
    TemplateSet *functions; // parent of its templates

    SeriesRef *stale; // series of rules that a reload took away; owner: the evaluating thread
    size_t stale_count;
    bool wants_restore; // owner: the evaluating thread, as the next
    int starts;

    Lock lock; // rank 120
    double evaluation_s GUARDED_BY(lock);
    int64_t evaluated_at_ms GUARDED_BY(lock);

    // Guarded by the manager's lock.
    int64_t slot_ns; // the evaluation's wall time
    int64_t due_ns;  // monotonic
    size_t heap_at;  // place in the heap + 1; 0: not there
    bool running;
    bool begun; // its first evaluation has been
    bool stopped;
    bool retired; // gone from the configuration: marks its series at slot_ns, then ends
    struct RuleGroupMetrics *metrics;
};

// rule_group.c
bool rule_group_new(const RulesConfig *config, Str file, const RuleGroupSpec *spec,
                    RuleGroup **ret_group, Error *err) MUST_CHECK;
RuleGroup *rule_group_ref(RuleGroup *group);
void rule_group_unref(RuleGroup *group); // accepts NULL
// The file was edited around a group that goes on: its rules begin where those of `now`, its equal, do.
void rule_group_move(RuleGroup *group, const RuleGroup *now);
// The slot at or before a wall time, in nanoseconds.
int64_t rule_group_slot(const RuleGroup *group, int64_t now_ns);
// `to` goes on where `from`, which has been stopped, ended.
void rule_group_take_over(RuleGroup *to, RuleGroup *from);
// All series of a group that has been stopped: they go into its stale list.
void rule_group_give_up_series(RuleGroup *group);

// rules_manager.c: the group's times.
//
// The first evaluation is in the slot after now. The next comes an interval after the last was due, at once if that has passed.
void rule_group_schedule_first(RuleGroup *group, int64_t now_ms, int64_t now_mono_ns);
void rule_group_schedule_next(RuleGroup *group, int64_t now_mono_ns);
// Moves to the slot of a tick that comes now. Returns by how many intervals: 1, more if some were missed, 0 if the clock was set back.
int64_t rule_group_advance(RuleGroup *group, int64_t now_ms);

// rule_set.c
struct RuleSet {
    RuleGroup **groups; // by file, then name
    size_t count;
    size_t cap;
};

// rule_eval.c
typedef struct RuleEval {
    RulesManager *manager;
    RuleGroup *group;
    int64_t t_ms;        // of the evaluation
    int64_t sample_t_ms; // of queries and results: t_ms less the offset
    Arena *arena;
    const struct Span *span; // of the group
} RuleEval;

// All rules. False if one failed (err: the first).
bool rule_group_evaluate(RuleGroup *group, int64_t t_ms, Error *err);
void rule_group_mark_stale(RuleGroup *group, int64_t t_ms);
bool rule_eval_query(const RuleEval *run, Str query, int64_t t_ms, QueryResult *ret_result,
                     Error *err) MUST_CHECK;

// rule_alert.c
void alert_list_deinit(AlertList *list);
Alert *alert_list_find(const AlertList *list, Hash128 hash);
void alert_list_add(AlertList *list, Alert *alert);
// Carries the alerts on by a query's result; the batch gets the ALERTS series.
bool rule_alert_update(const RuleEval *run, Rule *rule, const QueryResult *result,
                       RuleBatch *ret_batch, Error *err) MUST_CHECK;
// Tells those that are due.
void rule_alert_send(const RuleEval *run, Rule *rule);
// Labels of ALERTS or ALERTS_FOR_STATE.
Labels rule_alert_series(const Rule *rule, const Alert *alert, AlertSeries series, Arena *arena);

// rule_restore.c: `for` over a restart; prometheus.md section 8.4.
//
// Finds out which rules have something to restore: their series are not written until that is done, two evaluations later, when what
// they look at has been scraped and recorded again.
void rule_group_begin_restore(RuleGroup *group, int64_t now_ms);
void rule_group_restore(RuleGroup *group, int64_t now_ms);

// rule_depend.c: fills in has_dependencies, has_dependents, is_indeterminate.
void rule_group_find_dependencies(RuleGroup *group, const PromqlFeatures *features);

// rule_text.c
bool rule_texts_new(Labels labels, Str alert, TemplateSet *functions, Arena *arena,
                    RuleText **ret_texts, Error *err) MUST_CHECK;
void rule_texts_free(RuleText *texts, size_t count);
typedef struct RuleExpansion {
    const RuleEval *run;
    Labels labels; // of the sample
    double value;
    const Histogram *histogram; // NULL: a float
} RuleExpansion;
// In the arena of the run. What cannot be expanded becomes "<error expanding template: ...>".
Str rule_text_expand(const RuleText *text, const RuleExpansion *expansion);

// rules_metrics.c
typedef struct RulesMetrics RulesMetrics;
RulesMetrics *rules_metrics_new(Registry *registry); // NULL gives NULL
void rules_metrics_free(RulesMetrics *metrics);
struct RuleGroupMetrics *rules_metrics_group(RulesMetrics *metrics, const RuleGroup *group);
void rules_metrics_forget(RulesMetrics *metrics, RuleGroup *group);
void rules_metrics_iteration(const RuleGroup *group, int64_t missed);
void rules_metrics_rule(const RuleGroup *group, double seconds, bool failed);
void rules_metrics_evaluated(const RuleGroup *group, double seconds, double rules_s, size_t samples,
                             int64_t t_ms);
void rules_metrics_restored(const RuleGroup *group, double seconds);
void rules_metrics_expansion(const RulesManager *manager, bool failed);

struct RulesManager {
    RulesOptions options;
    RulesMetrics *metrics;
    ThreadPool *workers; // NULL with options.threads 0
    ThreadPool *helpers; // of concurrent groups; NULL: none
    Thread scheduler;
    _Atomic bool stopping;
    bool has_restored; // a set was applied before: later ones need no restoration

    Lock lock; // rank 115; guards all below
    Condition changed;
    RuleGroup **groups GUARDED_BY(lock); // by file, then name
    size_t group_count GUARDED_BY(lock);
    RuleGroup **heap GUARDED_BY(lock); // the next due first; holds references
    size_t heap_count GUARDED_BY(lock);
    size_t heap_cap GUARDED_BY(lock);
};
