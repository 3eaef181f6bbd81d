// SPDX-License-Identifier: Apache-2.0
// eval_aggregate.h: one aggregation under way. Private to the room.
#pragma once

#include "promql/eval_group.h"

typedef struct AggregateRun {
    EvalContext *context;
    const Expr *expr;
    const Steps *steps;
    Arena *arena;
    Value *input;       // NULL: series come one by one and are gone then
    const Value *param; // NULL if there is none
    Grouper groups;
    uint32_t *group_of_series; // of the input
} AggregateRun;

// The members of each group as lists: members[start[g] .. start[g + 1]).
void aggregate_members(const AggregateRun *run, uint32_t **ret_members, uint32_t **ret_start);
void aggregate_ignore_histogram(const AggregateRun *run);
// With delayed removal: marks the results (one of each group) of which a member at the last step is marked.
void aggregate_mark_names(const AggregateRun *run, VectorSeries *out);

// eval_aggregate_pick.c: original series with fewer points, topk, bottomk, limitk, limit_ratio.
bool aggregate_topk(const AggregateRun *run, Value *ret_value, Error *err) MUST_CHECK;
bool aggregate_limitk(const AggregateRun *run, Value *ret_value, Error *err) MUST_CHECK;
bool aggregate_limit_ratio(const AggregateRun *run, Value *ret_value, Error *err) MUST_CHECK;
// eval_aggregate_values.c
bool aggregate_quantile(const AggregateRun *run, Value *ret_value, Error *err) MUST_CHECK;
bool aggregate_count_values(const AggregateRun *run, Value *ret_value, Error *err) MUST_CHECK;
