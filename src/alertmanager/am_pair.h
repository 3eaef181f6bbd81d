// SPDX-License-Identifier: Apache-2.0
// am_pair.h: pairs of a name and a value, each kept once however many alerts have it: most labels, and many annotations, are shared.
//
// Thread: any. A pair does not change while it is referenced.
#pragma once

#include "metric/labels.h"

typedef struct AmPair {
    uint32_t refs; // guarded by the lock of am_pair.c
    uint32_t hash;
    uint32_t name_len, value_len;
    char text[]; // name, value
} AmPair;

static inline Label am_pair_label(const AmPair *pair)
{
    return (Label){{pair->text, pair->name_len}, {pair->text + pair->name_len, pair->value_len}};
}

// Fills `ret_pairs`, one for each label, each with a reference.
void am_pairs_take(const Label *labels, size_t count, AmPair **ret_pairs);
// One more reference of each.
void am_pairs_ref(AmPair *const *pairs, size_t count);
void am_pairs_drop(AmPair *const *pairs, size_t count);
// How many there are; for tests and metrics.
size_t am_pairs_count(void);
