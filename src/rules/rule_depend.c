// SPDX-License-Identifier: Apache-2.0
// Which rules of a group read what others of it write: for concurrent-rule-eval.
#include "rules/rules_internal.h"

typedef struct Reads {
    Matcher **selectors;
    size_t *counts;
    size_t count;
} Reads;

// The condition on the metric's name, or NULL: any series may be meant.
static const Matcher *name_matcher(const Matcher *matchers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (str_equal(matchers[i].name, LABEL_METRIC_NAME))
            return &matchers[i];
    return NULL;
}

static bool reads_anything(const Reads *reads)
{
    for (size_t i = 0; i < reads->count; i++) {
        const Matcher *name = name_matcher(reads->selectors[i], reads->counts[i]);
        // What the alerts of the group are at this time is not told by an order of its rules.
        if (!name || matcher_matches(name, S("ALERTS")) ||
            matcher_matches(name, S("ALERTS_FOR_STATE")))
            return true;
    }
    return false;
}

static bool reads_metric(const Reads *reads, Str metric)
{
    for (size_t i = 0; i < reads->count; i++)
        if (matcher_matches(name_matcher(reads->selectors[i], reads->counts[i]), metric))
            return true;
    return false;
}

static void connect(RuleGroup *group, size_t reader, const Reads *reads)
{
    Rule *to = &group->rules[reader];
    for (size_t i = 0; i < group->rule_count; i++) {
        Rule *from = &group->rules[i];
        if (!from->is_alert && reads_metric(reads, from->name))
            to->has_dependencies = from->has_dependents = true;
    }
}

void rule_group_find_dependencies(RuleGroup *group, const PromqlFeatures *features)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    for (size_t i = 0; i < group->rule_count && !group->is_indeterminate; i++) {
        Reads reads;
        Error err;
        bool ok = promql_selectors(group->rules[i].query, features, &arena, &reads.selectors,
                                   &reads.counts, &reads.count, &err);
        ASSERT(ok); // it was checked with the file
        group->is_indeterminate = reads_anything(&reads);
        if (!group->is_indeterminate)
            connect(group, i, &reads);
        for (size_t s = 0; s < reads.count; s++)
            promql_matchers_free(reads.selectors[s], reads.counts[s]);
        arena_reset(&arena);
    }
}
