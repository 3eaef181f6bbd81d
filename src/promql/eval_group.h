// SPDX-License-Identifier: Apache-2.0
// eval_group.h: puts series into groups by some of their labels. Private to the room.
//
// Most sources give each label text one place in memory: a series whose texts stand where those of a group's first series stand is in
// that group. Only what is not found so is compared as text.
#pragma once

#include "promql/eval.h"

typedef struct Grouper {
    Arena *arena;
    bool without;
    Str *names; // sorted; with `without` the name is among them
    size_t name_count;
    // Groups, in order of their first series.
    Labels *labels;
    uint64_t *text_hash, *place_hash;
    size_t count, cap;
    uint32_t *by_text, *by_place; // group + 1; 0: empty
    size_t slots;
    // Names of the newest series, by their places, and which of its labels matter.
    const char **shape;
    uint32_t *picks;
    size_t shape_count, pick_count, shape_cap;
} Grouper;

// For an aggregation's `by` or `without`.
void grouper_init(Grouper *grouper, const Expr *aggregate, Arena *arena);
// The number of the series' group; it is new if that is grouper->count - 1 and was not there before. The strings of the labels, not their
// pairs, are kept.
uint32_t grouper_of(Grouper *grouper, Labels labels);
