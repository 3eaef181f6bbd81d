// SPDX-License-Identifier: Apache-2.0
// remote_pairs.h: the label pairs of an endpoint's series, each kept once, as the field of version 1.0 that it becomes. Private to the
// room.
//
// Two series with the same pair have the same number there: what repeats in a request is found without looking at a byte of it.
#pragma once

#include "metric/labels.h"

enum { REMOTE_PAIR_FIRST = 16 }; // numbers below it never stand for a pair

typedef struct RemotePair {
    uint32_t users;
    uint32_t hash;
    uint32_t bytes;
    uint32_t value_bytes;
    char text[]; // 0x0a, length, Label
} RemotePair;

typedef struct RemotePairs {
    RemotePair **items; // by number; NULL: the number is free
    uint32_t *slots;    // open addressing: numbers, 0: empty
    uint32_t *unused;   // numbers that are free again
    uint32_t count, cap, slot_count, live_count, unused_count;
    uint32_t freed; // grows with each number that may come to stand for another pair
} RemotePairs;

void remote_pairs_deinit(RemotePairs *pairs);
// The number of the pair, with one user more.
uint32_t remote_pairs_take(RemotePairs *pairs, Label label);
void remote_pairs_give(RemotePairs *pairs, uint32_t number);

static inline Str remote_pairs_text(const RemotePairs *pairs, uint32_t number)
{
    const RemotePair *pair = pairs->items[number];
    return (Str){pair->text, pair->bytes};
}

static inline Str remote_pair_value(const RemotePair *pair)
{
    return (Str){pair->text + pair->bytes - pair->value_bytes, pair->value_bytes};
}
