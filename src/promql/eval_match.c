// SPDX-License-Identifier: Apache-2.0
#include "promql/eval_match.h"

#include <stdlib.h>

static int compare_strs(const void *a, const void *b)
{
    return str_compare(*(const Str *)a, *(const Str *)b);
}

EvalMatch eval_match_of(const Expr *expr, Arena *arena)
{
    size_t count = expr->binary.label_count;
    EvalMatch matching = {expr->binary.on, ARENA_ARRAY(arena, Str, count + 1), count};
    if (count)
        memcpy(matching.names, expr->binary.labels, count * sizeof(Str));
    if (!matching.on)
        matching.names[matching.count++] = LABEL_METRIC_NAME;
    qsort(matching.names, matching.count, sizeof(Str), compare_strs);
    return matching;
}

Labels eval_match_labels(const EvalMatch *matching, Arena *arena, Labels labels)
{
    return matching->on ? labels_keep(arena, labels, matching->names, matching->count)
                        : labels_drop(arena, labels, matching->names, matching->count);
}

static bool name_matters(const EvalMatch *matching, Str name)
{
    return (bsearch(&name, matching->names, matching->count, sizeof(Str), compare_strs) != NULL) ==
           matching->on;
}

static bool equal_by_matching(const EvalMatch *matching, Labels a, Labels b)
{
    size_t i = 0;
    size_t j = 0;
    for (;;) {
        while (i < a.count && !name_matters(matching, a.pairs[i].name))
            i++;
        while (j < b.count && !name_matters(matching, b.pairs[j].name))
            j++;
        if (i == a.count || j == b.count)
            return i == a.count && j == b.count;
        if (!str_equal(a.pairs[i].name, b.pairs[j].name) ||
            !str_equal(a.pairs[i].value, b.pairs[j].value))
            return false;
        i++;
        j++;
    }
}

void eval_match_groups_init(EvalMatchGroups *groups, Arena *arena, size_t most)
{
    size_t slots = 16;
    while (slots < most * 2)
        slots *= 2;
    *groups = (EvalMatchGroups){ARENA_ARRAY(arena, EvalMatchGroup, most + 1), 0,
                                arena_zalloc(arena, slots * sizeof(uint32_t)), slots};
}

EvalMatchGroup *eval_match_group(EvalMatchGroups *groups, const EvalMatch *matching, Labels labels,
                                 bool create)
{
    uint64_t hash = matching->on ? labels_hash_only(labels, matching->names, matching->count)
                                 : labels_hash_without(labels, matching->names, matching->count);
    size_t slot = hash & (groups->slots - 1);
    for (; groups->table[slot]; slot = (slot + 1) & (groups->slots - 1)) {
        EvalMatchGroup *group = &groups->groups[groups->table[slot] - 1];
        if (group->hash == hash && equal_by_matching(matching, group->example, labels))
            return group;
    }
    if (!create)
        return NULL;
    EvalMatchGroup *group = &groups->groups[groups->count++];
    *group = (EvalMatchGroup){.hash = hash, .example = labels, .one_first = EVAL_MATCH_NONE};
    groups->table[slot] = (uint32_t)groups->count;
    return group;
}
