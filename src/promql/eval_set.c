// SPDX-License-Identifier: Apache-2.0
// Set operators: `and`, `or` and `unless` look at which groups are there at a step, never at values.
#include "promql/eval_match.h"

typedef struct SetRun {
    const Steps *steps;
    Arena *arena;
    EvalMatch matching;
    EvalMatchGroups groups;
} SetRun;

static void mark_presence(SetRun *run, const Value *vector)
{
    for (size_t s = 0; s < vector->count; s++) {
        EvalMatchGroup *group =
            eval_match_group(&run->groups, &run->matching, vector->series[s].labels, true);
        if (!group->taken)
            group->taken = arena_zalloc(run->arena, run->steps->count);
        for (size_t i = 0; i < run->steps->count; i++)
            group->taken[i] |= vector->series[s].kind[i] != POINT_NONE;
    }
}

// Keeps points of `vector` where the group's presence is `wanted`.
static void filter_by_presence(SetRun *run, Value *vector, bool wanted)
{
    for (size_t s = 0; s < vector->count; s++) {
        const EvalMatchGroup *group =
            eval_match_group(&run->groups, &run->matching, vector->series[s].labels, false);
        for (size_t i = 0; i < run->steps->count; i++)
            if ((group && group->taken[i]) != wanted)
                vector->series[s].kind[i] = POINT_NONE;
    }
    eval_remove_empty(vector, run->steps->count);
}

// The series of both, those with equal labels as one.
static bool unite(SetRun *run, const Value *l, const Value *r, Value *ret_value, Error *err)
{
    VectorSeries *both = ARENA_ARRAY(run->arena, VectorSeries, l->count + r->count);
    if (l->count)
        memcpy(both, l->series, l->count * sizeof *both);
    if (r->count)
        memcpy(both + l->count, r->series, r->count * sizeof *both);
    *ret_value = (Value){.type = TYPE_VECTOR, .series = both, .count = l->count + r->count};
    return vector_merge_steps(run->arena, run->steps, ret_value, err);
}

bool eval_set_operation(const Expr *expr, const Steps *steps, Arena *arena, Value *l, Value *r,
                        Value *ret_value, Error *err)
{
    BinaryOp op = expr->binary.op;
    Value *marked = op == OP_OR ? l : r;
    Value *filtered = op == OP_OR ? r : l;
    SetRun run = {.steps = steps, .arena = arena, .matching = eval_match_of(expr, arena)};
    eval_match_groups_init(&run.groups, arena, marked->count);
    mark_presence(&run, marked);
    filter_by_presence(&run, filtered, op == OP_AND);
    if (op == OP_OR)
        return unite(&run, l, r, ret_value, err);
    *ret_value = *l;
    return true;
}
