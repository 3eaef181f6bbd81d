// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "rules/rules_internal.h"

// References to all that the snapshot's views point to.
struct RulesHeld {
    RuleGroup **groups;
    size_t group_count;
    RuleLabels **labels;
    size_t label_count;
    size_t label_cap;
};

static Labels hold(struct RulesHeld *held, RuleLabels *labels)
{
    if (held->label_count == held->label_cap) {
        held->label_cap = held->label_cap ? held->label_cap * 2 : 64;
        held->labels = x_realloc(held->labels, held->label_cap * sizeof(RuleLabels *));
    }
    held->labels[held->label_count++] = rule_labels_ref(labels);
    return labels->labels;
}

static void show_alerts(const AlertList *list, bool with_alerts, struct RulesHeld *held,
                        Arena *arena, RuleInfo *info)
{
    if (with_alerts)
        info->alerts = ARENA_ARRAY(arena, AlertInfo, list->count + 1);
    for (size_t i = 0; i < list->count; i++) {
        const Alert *alert = list->items[i];
        info->state = MAX(info->state, alert->state);
        if (!with_alerts || alert->state == ALERT_INACTIVE)
            continue;
        info->alerts[info->alert_count++] = (AlertInfo){
            .labels = hold(held, alert->labels),
            .annotations = hold(held, alert->annotations),
            .state = alert->state,
            .value = alert->value,
            .active_at_ms = alert->active_at_ms,
            .keep_firing_since_ms = alert->keep_firing_since_ms,
        };
    }
}

static void show_rule(const Rule *rule, bool with_alerts, struct RulesHeld *held, Arena *arena,
                      RuleInfo *info)
{
    *info = (RuleInfo){
        .is_alert = rule->is_alert,
        .name = rule->name,
        .query = rule->query,
        .labels = rule->labels,
        .annotations = rule->annotations,
        .for_ms = rule->for_ms,
        .keep_firing_for_ms = rule->keep_firing_for_ms,
        .line = rule->line,
        .health = rule->health,
        .last_error = arena_str(arena, rule->last_error),
        .evaluation_s = rule->evaluation_s,
        .evaluated_at_ms = rule->evaluated_at_ms,
    };
    if (rule->is_alert)
        show_alerts(&rule->alerts, with_alerts, held, arena, info);
}

static void show_group(RuleGroup *group, bool with_alerts, struct RulesHeld *held, Arena *arena,
                       RuleGroupInfo *info)
{
    lock_take(&group->lock);
    *info = (RuleGroupInfo){
        .name = group->name,
        .file = group->file,
        .interval_ms = group->interval_ms,
        .query_offset_ms = group->query_offset_ms,
        .limit = group->limit,
        .evaluation_s = group->evaluation_s,
        .evaluated_at_ms = group->evaluated_at_ms,
        .rules = ARENA_ARRAY(arena, RuleInfo, group->rule_count + 1),
        .rule_count = group->rule_count,
    };
    for (size_t i = 0; i < group->rule_count; i++)
        show_rule(&group->rules[i], with_alerts, held, arena, &info->rules[i]);
    lock_give(&group->lock);
}

void rules_manager_snapshot(RulesManager *manager, bool with_alerts, Arena *arena,
                            RulesSnapshot *ret_snapshot)
{
    struct RulesHeld *held = ARENA_NEW(arena, struct RulesHeld);
    lock_take(&manager->lock);
    held->group_count = manager->group_count;
    held->groups = ARENA_ARRAY(arena, RuleGroup *, held->group_count + 1);
    for (size_t i = 0; i < held->group_count; i++)
        held->groups[i] = rule_group_ref(manager->groups[i]);
    lock_give(&manager->lock);

    RuleGroupInfo *groups = ARENA_ARRAY(arena, RuleGroupInfo, held->group_count + 1);
    for (size_t i = 0; i < held->group_count; i++)
        show_group(held->groups[i], with_alerts, held, arena, &groups[i]);
    *ret_snapshot = (RulesSnapshot){groups, held->group_count, held};
}

void rules_snapshot_free(RulesSnapshot *snapshot)
{
    struct RulesHeld *held = snapshot->held;
    if (!held)
        return;
    for (size_t i = 0; i < held->label_count; i++)
        rule_labels_unref(held->labels[i]);
    for (size_t i = 0; i < held->group_count; i++)
        rule_group_unref(held->groups[i]);
    free(held->labels);
    snapshot->held = NULL;
}
