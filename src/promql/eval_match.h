// SPDX-License-Identifier: Apache-2.0
// eval_match.h: which series of two vectors an operator brings together. Series with the same matching labels are one group. Private to
// the room.
//
//     a{job="x", i="1"} --+                      +-- b{job="x", i="7"}
//     a{job="x", i="2"} --+-- group {job="x"} ---+                        on(job)
//     a{job="y", i="1"} ----- group {job="y"}                             nobody on the other side
#pragma once

#include "promql/eval.h"

#define EVAL_MATCH_NONE UINT32_MAX // no series

// The matching labels of the operator as a sorted list; for `ignoring` the name is always among them.
typedef struct EvalMatch {
    bool on;
    Str *names;
    size_t count;
} EvalMatch;

typedef struct EvalMatchGroup {
    uint64_t hash;
    Labels example;     // of any member
    uint32_t one_count; // members on the "one" side
    uint32_t one_first;
    uint32_t *one_at; // per step: index of the series present, if one_count > 1
    uint8_t *taken;   // per step: a pair gave something; set operators: a member is present
} EvalMatchGroup;

typedef struct EvalMatchGroups {
    EvalMatchGroup *groups;
    size_t count;
    uint32_t *table; // hash slots: index + 1
    size_t slots;
} EvalMatchGroups;

EvalMatch eval_match_of(const Expr *expr, Arena *arena);
// Those of the labels that match; in the arena.
Labels eval_match_labels(const EvalMatch *matching, Arena *arena, Labels labels);

// Room for `most` groups.
void eval_match_groups_init(EvalMatchGroups *groups, Arena *arena, size_t most);
// The group of these labels: made if `create`, else NULL if there is none.
EvalMatchGroup *eval_match_group(EvalMatchGroups *groups, const EvalMatch *matching, Labels labels,
                                 bool create);

// `and`, `or`, `unless` (eval_set.c). Both operands may be changed in place.
bool eval_set_operation(const Expr *expr, const Steps *steps, Arena *arena, Value *l, Value *r,
                        Value *ret_value, Error *err) MUST_CHECK;
