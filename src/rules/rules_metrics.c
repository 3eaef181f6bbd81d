// SPDX-License-Identifier: Apache-2.0
// The room's own metrics; prometheus.md section 10.
#include <stdlib.h>

#include "client/summary.h"
#include "rules/rules_internal.h"

// Children of one group's label value.
typedef struct RuleGroupMetrics {
    RulesMetrics *room;
    Counter *evaluations;
    Counter *failures;
    Counter *iterations;
    Counter *missed;
    Gauge *duration_s;
    Gauge *rule_duration_s;
    Gauge *restore_s;
    Gauge *evaluated_at_s;
    Gauge *samples;
    Gauge *interval_s;
    Gauge *rules;
} RuleGroupMetrics;

enum {
    BY_EVALUATIONS,
    BY_FAILURES,
    BY_ITERATIONS,
    BY_MISSED,
    BY_DURATION,
    BY_RULE_DURATION,
    BY_RESTORE,
    BY_EVALUATED_AT,
    BY_SAMPLES,
    BY_INTERVAL,
    BY_RULES,
    BY_COUNT,
};

struct RulesMetrics {
    Family *by_group[BY_COUNT];
    Summary *rule_summary;
    Summary *group_summary;
    SummaryMetric *rule_s;
    SummaryMetric *group_s;
    HistogramMetric *rule_histogram;
    HistogramMetric *group_histogram;
    Counter *expansions;
    Counter *expansions_failed;
};

static const struct {
    const char *name;
    const char *help;
    bool is_counter;
} by_group[BY_COUNT] = {
    [BY_EVALUATIONS] = {"prometheus_rule_evaluations_total",
                        "The total number of rule evaluations.", true},
    [BY_FAILURES] = {"prometheus_rule_evaluation_failures_total",
                     "The total number of rule evaluation failures.", true},
    [BY_ITERATIONS] = {"prometheus_rule_group_iterations_total",
                       "The total number of scheduled rule group evaluations, whether executed or "
                       "missed.",
                       true},
    [BY_MISSED] = {"prometheus_rule_group_iterations_missed_total",
                   "The total number of rule group evaluations missed due to slow rule group "
                   "evaluation.",
                   true},
    [BY_DURATION] = {"prometheus_rule_group_last_duration_seconds",
                     "The duration of the last rule group evaluation.", false},
    [BY_RULE_DURATION] = {"prometheus_rule_group_last_rule_duration_sum_seconds",
                          "The sum of time in seconds it took to evaluate each rule in the group "
                          "regardless of concurrency.",
                          false},
    [BY_RESTORE] = {"prometheus_rule_group_last_restore_duration_seconds",
                    "The duration of the last restoration of alert states of a group.", false},
    [BY_EVALUATED_AT] = {"prometheus_rule_group_last_evaluation_timestamp_seconds",
                         "The timestamp of the last rule group evaluation in seconds.", false},
    [BY_SAMPLES] = {"prometheus_rule_group_last_evaluation_samples",
                    "The number of samples returned during the last rule group evaluation.", false},
    [BY_INTERVAL] = {"prometheus_rule_group_interval_seconds", "The interval of a rule group.",
                     false},
    [BY_RULES] = {"prometheus_rule_group_rules", "The number of rules.", false},
};

static HistogramMetric *make_histogram(Registry *registry, const char *name, const char *help)
{
    static const double bounds[] = {0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60};
    return histogram_of(registry_histogram(registry, name, help, NULL, bounds, COUNT_OF(bounds)),
                        NULL);
}

RulesMetrics *rules_metrics_new(Registry *registry)
{
    static const char *const labels[] = {"rule_group", NULL};
    static const char *const rule_quantiles[] = {"0.5", "0.9", "0.99", NULL};
    static const char *const group_quantiles[] = {"0.01", "0.05", "0.5", "0.9", "0.99", NULL};
    if (!registry)
        return NULL;
    RulesMetrics *metrics = X_NEW(RulesMetrics);
    for (size_t i = 0; i < BY_COUNT; i++)
        metrics->by_group[i] =
            by_group[i].is_counter
                ? registry_counter(registry, by_group[i].name, by_group[i].help, labels)
                : registry_gauge(registry, by_group[i].name, by_group[i].help, labels);
    metrics->rule_summary =
        summary_new(registry, "prometheus_rule_evaluation_duration_seconds",
                    "The duration for a rule to execute.", NULL, rule_quantiles);
    metrics->rule_s = summary_of(metrics->rule_summary, STR_NONE);
    metrics->rule_histogram =
        make_histogram(registry, "prometheus_rule_evaluation_duration_histogram_seconds",
                       "The duration for a rule to execute.");
    metrics->group_summary =
        summary_new(registry, "prometheus_rule_group_duration_seconds",
                    "The duration of rule group evaluations.", NULL, group_quantiles);
    metrics->group_s = summary_of(metrics->group_summary, STR_NONE);
    metrics->group_histogram =
        make_histogram(registry, "prometheus_rule_group_duration_histogram_seconds",
                       "The duration of rule group evaluations.");
    metrics->expansions =
        counter_of(registry_counter(registry, "prometheus_template_text_expansions_total",
                                    "The total number of template text expansions.", NULL),
                   NULL);
    metrics->expansions_failed =
        counter_of(registry_counter(registry, "prometheus_template_text_expansion_failures_total",
                                    "The total number of template text expansion failures.", NULL),
                   NULL);
    return metrics;
}

void rules_metrics_free(RulesMetrics *metrics)
{
    if (!metrics)
        return;
    summary_free(metrics->rule_summary);
    summary_free(metrics->group_summary);
    free(metrics);
}

RuleGroupMetrics *rules_metrics_group(RulesMetrics *metrics, const RuleGroup *group)
{
    if (!metrics)
        return NULL;
    Family *const *families = metrics->by_group;
    const Str *key = &group->key;
    RuleGroupMetrics *mine = X_NEW(RuleGroupMetrics);
    *mine = (RuleGroupMetrics){
        .room = metrics,
        .evaluations = counter_of(families[BY_EVALUATIONS], key),
        .failures = counter_of(families[BY_FAILURES], key),
        .iterations = counter_of(families[BY_ITERATIONS], key),
        .missed = counter_of(families[BY_MISSED], key),
        .duration_s = gauge_of(families[BY_DURATION], key),
        .rule_duration_s = gauge_of(families[BY_RULE_DURATION], key),
        .restore_s = gauge_of(families[BY_RESTORE], key),
        .evaluated_at_s = gauge_of(families[BY_EVALUATED_AT], key),
        .samples = gauge_of(families[BY_SAMPLES], key),
        .interval_s = gauge_of(families[BY_INTERVAL], key),
        .rules = gauge_of(families[BY_RULES], key),
    };
    gauge_set(mine->interval_s, (double)group->interval_ms / 1000);
    gauge_set(mine->rules, (double)group->rule_count);
    return mine;
}

void rules_metrics_forget(RulesMetrics *metrics, RuleGroup *group)
{
    if (!metrics)
        return;
    for (size_t i = 0; i < BY_COUNT; i++)
        family_remove(metrics->by_group[i], &group->key);
}

void rules_metrics_iteration(const RuleGroup *group, int64_t missed)
{
    if (!group->metrics)
        return;
    counter_add(group->metrics->iterations, 1 + (double)missed);
    counter_add(group->metrics->missed, (double)missed);
}

void rules_metrics_rule(const RuleGroup *group, double seconds, bool failed)
{
    if (!group->metrics)
        return;
    counter_inc(group->metrics->evaluations);
    if (failed)
        counter_inc(group->metrics->failures);
    summary_observe(group->metrics->room->rule_s, seconds);
    histogram_observe(group->metrics->room->rule_histogram, seconds);
}

void rules_metrics_evaluated(const RuleGroup *group, double seconds, double rules_s, size_t samples,
                             int64_t t_ms)
{
    RuleGroupMetrics *mine = group->metrics;
    if (!mine)
        return;
    gauge_set(mine->duration_s, seconds);
    gauge_set(mine->rule_duration_s, rules_s);
    gauge_set(mine->samples, (double)samples);
    gauge_set(mine->evaluated_at_s, (double)t_ms / 1000);
    summary_observe(mine->room->group_s, seconds);
    histogram_observe(mine->room->group_histogram, seconds);
}

void rules_metrics_restored(const RuleGroup *group, double seconds)
{
    if (group->metrics)
        gauge_set(group->metrics->restore_s, seconds);
}

void rules_metrics_expansion(const RulesManager *manager, bool failed)
{
    if (!manager->metrics)
        return;
    counter_inc(manager->metrics->expansions);
    if (failed)
        counter_inc(manager->metrics->expansions_failed);
}
