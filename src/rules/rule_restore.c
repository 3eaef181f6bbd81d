// SPDX-License-Identifier: Apache-2.0
// After a start, pending alerts go on where ALERTS_FOR_STATE says that they were; prometheus.md section 8.4.
#include "base/log.h"
#include "base/number.h"
#include "rules/rules_internal.h"

static bool add_matcher(Matcher *matchers, size_t *count, Str name, Str value, Arena *arena,
                        Error *err)
{
    if (!matcher_init(&matchers[*count], MATCH_EQUAL, name, value, arena, err))
        return false;
    (*count)++;
    return true;
}

// The series that the rule wrote: by its name and those of its labels that do not change from alert to alert.
static bool select_series(const Rule *rule, Querier *querier, Arena *arena, SeriesList *ret_list,
                          Error *err)
{
    Matcher *matchers = ARENA_ARRAY(arena, Matcher, rule->labels.count + 2);
    size_t count = 0;
    bool ok = add_matcher(matchers, &count, LABEL_METRIC_NAME, S("ALERTS_FOR_STATE"), arena, err) &&
              add_matcher(matchers, &count, S("alertname"), rule->name, arena, err);
    for (size_t i = 0; i < rule->labels.count && ok; i++)
        if (!rule->label_texts[i].set && !str_is(rule->labels.pairs[i].name, "alertname"))
            ok = add_matcher(matchers, &count, rule->labels.pairs[i].name,
                             rule->labels.pairs[i].value, arena, err);
    SelectHints hints = {.start_ms = INT64_MIN, .end_ms = INT64_MAX};
    ok = ok && querier->select(querier, matchers, count, &hints, arena, ret_list, err);
    promql_matchers_free(matchers, count);
    return ok;
}

// When the alert is to have become active, so that it fires in time. False: nothing is to be changed.
static bool restored_active_at(const Rule *rule, const RulesOptions *options, int64_t now_ms,
                               int64_t down_at_ms, int64_t active_at_ms, int64_t *ret_ms)
{
    int64_t remaining_ms = rule->for_ms - (down_at_ms - active_at_ms);
    if (remaining_ms <= 0) // it was firing, and will be at the next evaluation
        return false;
    if (remaining_ms < options->grace_period_ms)
        *ret_ms = now_ms + options->grace_period_ms - rule->for_ms;
    else
        *ret_ms = active_at_ms + (now_ms - down_at_ms);
    return true;
}

typedef struct Restore {
    RuleGroup *group;
    Querier *querier;
    int64_t from_ms;
    int64_t now_ms;
    Arena *arena;
} Restore;

static bool restore_alert(const Restore *restore, Rule *rule, const SeriesEntry *series,
                          Buf *scratch, Error *err)
{
    SampleColumns columns;
    const Str dropped[] = {LABEL_METRIC_NAME};
    if (!restore->querier->read(restore->querier, series->handle, restore->from_ms, restore->now_ms,
                                restore->arena, &columns, err))
        return false;
    if (columns.count == 0 || is_stale_nan(columns.value[columns.count - 1]))
        return true;
    Labels labels = labels_drop(restore->arena, series->labels, dropped, 1);
    int64_t active_at_ms = (int64_t)columns.value[columns.count - 1] * 1000;
    lock_take(&restore->group->lock);
    Alert *alert = alert_list_find(&rule->alerts, rule_labels_hash(labels, scratch));
    if (alert && alert->state != ALERT_INACTIVE)
        (void)restored_active_at(rule, &restore->group->manager->options, restore->now_ms,
                                 columns.t_ms[columns.count - 1], active_at_ms,
                                 &alert->active_at_ms);
    lock_give(&restore->group->lock);
    return true;
}

static bool restore_rule(const Restore *restore, Rule *rule, Error *err)
{
    SeriesList list;
    CLEANUP(buf_deinit) Buf scratch = {0};
    if (!select_series(rule, restore->querier, restore->arena, &list, err))
        return false;
    for (size_t i = 0; i < list.count; i++)
        if (!restore_alert(restore, rule, &list.series[i], &scratch, err))
            return false;
    return true;
}

static bool open_restore(RuleGroup *group, int64_t now_ms, Arena *arena, Restore *restore)
{
    const RulesOptions *options = &group->manager->options;
    Error err = {0};
    *restore = (Restore){.group = group,
                         .from_ms = now_ms - options->outage_tolerance_ms,
                         .now_ms = now_ms,
                         .arena = arena};
    if (options->source->open(options->source, restore->from_ms, now_ms, &restore->querier, &err))
        return true;
    log_error("cannot look for the state of alerts before the start, skipping",
              KV("file", group->file), KV("group", group->name), KV("err", &err));
    return false;
}

static void note_failed(const RuleGroup *group, const Rule *rule, const Error *err)
{
    log_error("failed to restore 'for' state, skipping", KV("file", group->file),
              KV("group", group->name), KV("name", rule->name), KV("err", err));
}

// Alerts with a shorter `for` than the grace period begin anew: that is over sooner.
static bool is_restored(const Rule *rule)
{
    return rule->is_alert && rule->for_ms >= rule->group->manager->options.grace_period_ms;
}

// The store has state of this rule from before the start.
static bool has_state(const Restore *restore, const Rule *rule)
{
    SeriesList list = {0};
    Error err = {0};
    if (!select_series(rule, restore->querier, restore->arena, &list, &err))
        note_failed(restore->group, rule, &err);
    return list.count > 0;
}

void rule_group_begin_restore(RuleGroup *group, int64_t now_ms)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    Restore restore;
    if (!group->has_alerts || !open_restore(group, now_ms, &arena, &restore))
        return;
    for (size_t i = 0; i < group->rule_count; i++) {
        Rule *rule = &group->rules[i];
        bool waits = is_restored(rule) && has_state(&restore, rule);
        rule->restored = !waits;
        group->wants_restore |= waits;
        arena_reset(&arena);
    }
    restore.querier->close(restore.querier);
}

static void restore_rules(RuleGroup *group, int64_t now_ms)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    Restore restore;
    if (!open_restore(group, now_ms, &arena, &restore))
        return;
    for (size_t i = 0; i < group->rule_count; i++) {
        Error err = {0};
        if (is_restored(&group->rules[i]) && !restore_rule(&restore, &group->rules[i], &err))
            note_failed(group, &group->rules[i], &err);
        arena_reset(&arena);
    }
    restore.querier->close(restore.querier);
}

void rule_group_restore(RuleGroup *group, int64_t now_ms)
{
    Clock *clock = group->manager->options.clock;
    int64_t began_ns = clock_mono_ns(clock);
    restore_rules(group, now_ms);
    for (size_t i = 0; i < group->rule_count; i++)
        group->rules[i].restored = true;
    group->wants_restore = false;
    rules_metrics_restored(group, (double)(clock_mono_ns(clock) - began_ns) / 1e9);
}
