// SPDX-License-Identifier: Apache-2.0
// series_cache.h: what a target showed last time, in order: a page has nearly the same lines in the same order as the one before it.
//
//     slots    [ 0 | 1 | 2 | 3 | ... ]     each: hash and length of the line's series, its ref, when it was seen last
//                        ^ next            the line to come is expected here
//
// A line that is not the expected one is looked for a few slots on, then by its hash. From then on the new order is written to a second
// list, which takes the first one's place at the end.
//
// (1) Between begin and end a slot is current if its round is the cache's.
// (2) A slot with SLOT_ACTIVE had a sample after the last round that ended, so its series wants a stale marker when it is gone.
// (3) Two series of one length and hash are taken for one; the chance is 2^-64 for a pair.
//
// Thread: one at a time.
#pragma once

#include "metric/sample.h"

enum {
    SLOT_ACTIVE = 1,    // had a sample in the last round
    SLOT_UNTRACKED = 2, // with its own timestamp: gets no stale marker
    SLOT_DROPPED = 4,   // by metric relabelling: ref is 0
};

typedef struct SeriesSlot {
    uint64_t hash; // exposition_series_hash of the text
    SeriesRef ref;
    uint32_t bytes; // length of the text
    uint32_t flags : 3;
    uint32_t round : 29; // in which it was seen last
} SeriesSlot;

typedef struct SeriesCache {
    SeriesSlot *slots; // last round's order
    size_t count;
    size_t cap;
    size_t next; // the expected slot
    uint32_t round;

    bool reordering;   // `fresh` is being written
    SeriesSlot *fresh; // this round's order
    size_t fresh_count;
    size_t fresh_cap;

    uint32_t *index; // hash to position in slots, + 1; made when it is first needed in a round
    size_t index_slots;
} SeriesCache;

void series_cache_deinit(SeriesCache *cache);

// A round is one scrape.
void series_cache_begin(SeriesCache *cache);

// The slot that the next line is expected to be, or NULL.
static inline SeriesSlot *series_cache_expected(SeriesCache *cache)
{
    return cache->next < cache->count ? &cache->slots[cache->next] : NULL;
}

// The slot of this series if it is known, or NULL.
SeriesSlot *series_cache_find(SeriesCache *cache, uint64_t hash, uint32_t bytes);

// Marks a slot of the old list as seen now. True if it was seen in this round already, then *ret_slot is of no use; else it is the slot
// to write to (good until the next call).
bool series_cache_take(SeriesCache *cache, SeriesSlot *slot, SeriesSlot **ret_slot);
// The same for the expected slot while the order is last round's, which is nearly always; false: not so, nothing done.
static inline bool series_cache_advance(SeriesCache *cache, SeriesSlot *expected)
{
    if (__builtin_expect(cache->reordering || expected->round == cache->round, 0))
        return false;
    expected->round = cache->round & ((1u << 29) - 1);
    cache->next++;
    return true;
}

// A series that is not known yet.
SeriesSlot *series_cache_add(SeriesCache *cache, uint64_t hash, uint32_t bytes);

// Position of a slot given by take or add, and back: positions stay good for the round, pointers do not.
static inline size_t series_cache_position(const SeriesCache *cache, const SeriesSlot *slot)
{
    return (size_t)(slot - (cache->reordering ? cache->fresh : cache->slots));
}
static inline SeriesSlot *series_cache_at(SeriesCache *cache, size_t position)
{
    return cache->reordering ? &cache->fresh[position] : &cache->slots[position];
}

// Calls vanished(arg, ref) for each series that was active and has not been seen in this round, under whatever text. With `keep` the
// round was a failure: all slots stay known, in the old order; else those not seen are forgotten.
void series_cache_end(SeriesCache *cache, bool keep, void (*vanished)(void *arg, SeriesRef ref),
                      void *arg);
