// SPDX-License-Identifier: Apache-2.0
#include "scrape/series_cache.h"

#include <stdlib.h>

#include "base/buf.h"

#define LOOK_AHEAD 8 // slots tried before the index is made
#define ROUND_MAX ((1u << 29) - 1)
#define SLACK_SHIFT 4 // lists are cut when more than a sixteenth is unused

void series_cache_deinit(SeriesCache *cache)
{
    free(cache->slots);
    free(cache->fresh);
    free(cache->index);
    *cache = (SeriesCache){0};
}

static void forget_fresh(SeriesCache *cache)
{
    free(cache->fresh);
    cache->fresh = NULL;
    cache->fresh_count = cache->fresh_cap = 0;
    cache->reordering = false;
}

void series_cache_begin(SeriesCache *cache)
{
    forget_fresh(cache); // of a round that was given up
    if (cache->round == ROUND_MAX) {
        cache->round = 0;
        for (size_t i = 0; i < cache->count; i++)
            cache->slots[i].round = 0;
    }
    cache->round++;
    cache->next = 0;
}

static void index_make(SeriesCache *cache)
{
    size_t slots = 16;
    while (slots < cache->count * 2)
        slots *= 2;
    cache->index = x_calloc(slots, sizeof *cache->index);
    cache->index_slots = slots;
    for (size_t i = 0; i < cache->count; i++) {
        size_t at = cache->slots[i].hash & (slots - 1);
        while (cache->index[at])
            at = (at + 1) & (slots - 1);
        cache->index[at] = (uint32_t)i + 1;
    }
}

static bool slot_is(const SeriesSlot *slot, uint64_t hash, uint32_t bytes)
{
    return slot->hash == hash && slot->bytes == bytes;
}

SeriesSlot *series_cache_find(SeriesCache *cache, uint64_t hash, uint32_t bytes)
{
    if (cache->count == 0)
        return NULL;
    size_t end = MIN(cache->count, cache->next + LOOK_AHEAD);
    for (size_t i = cache->next; i < end; i++)
        if (slot_is(&cache->slots[i], hash, bytes))
            return &cache->slots[i];
    if (!cache->index)
        index_make(cache);
    for (size_t at = hash & (cache->index_slots - 1); cache->index[at];
         at = (at + 1) & (cache->index_slots - 1)) {
        SeriesSlot *slot = &cache->slots[cache->index[at] - 1];
        if (slot_is(slot, hash, bytes))
            return slot;
    }
    return NULL;
}

static SeriesSlot *fresh_push(SeriesCache *cache)
{
    if (cache->fresh_count == cache->fresh_cap) {
        cache->fresh_cap = MAX(cache->fresh_cap * 2, MAX(cache->count + 64, 64));
        cache->fresh = x_realloc(cache->fresh, cache->fresh_cap * sizeof *cache->fresh);
    }
    return &cache->fresh[cache->fresh_count++];
}

// From here on the order differs: what has been seen so far is where it was.
static void start_reordering(SeriesCache *cache)
{
    cache->reordering = true;
    cache->fresh_count = 0;
    if (cache->fresh_cap < cache->next) {
        cache->fresh_cap = cache->count + 64;
        cache->fresh = x_realloc(cache->fresh, cache->fresh_cap * sizeof *cache->fresh);
    }
    if (cache->next)
        memcpy(cache->fresh, cache->slots, cache->next * sizeof *cache->fresh);
    cache->fresh_count = cache->next;
}

bool series_cache_take(SeriesCache *cache, SeriesSlot *slot, SeriesSlot **ret_slot)
{
    size_t position = (size_t)(slot - cache->slots);
    bool seen = slot->round == cache->round;
    if (seen) {
        *ret_slot = slot;
        return true;
    }
    slot->round = cache->round & ROUND_MAX;
    if (position != cache->next && !cache->reordering)
        start_reordering(cache);
    cache->next = position + 1;
    if (cache->reordering) {
        SeriesSlot *fresh = fresh_push(cache);
        *fresh = *slot;
        slot = fresh;
    }
    *ret_slot = slot;
    return false;
}

SeriesSlot *series_cache_add(SeriesCache *cache, uint64_t hash, uint32_t bytes)
{
    if (!cache->reordering)
        start_reordering(cache);
    SeriesSlot *slot = fresh_push(cache);
    *slot = (SeriesSlot){.hash = hash, .bytes = bytes, .round = cache->round & ROUND_MAX};
    return slot;
}

static void swap_lists(SeriesCache *cache)
{
    free(cache->slots);
    cache->slots = cache->fresh;
    cache->count = cache->fresh_count;
    cache->cap = cache->fresh_cap;
    cache->fresh = NULL;
    cache->fresh_count = cache->fresh_cap = 0;
}

static void cut_slack(SeriesCache *cache)
{
    if (cache->cap - cache->count <= (cache->count >> SLACK_SHIFT) + 16)
        return;
    cache->cap = MAX(cache->count, 1);
    cache->slots = x_realloc(cache->slots, cache->cap * sizeof *cache->slots);
}

static int ref_order(const void *a, const void *b)
{
    SeriesRef x = *(const SeriesRef *)a;
    SeriesRef y = *(const SeriesRef *)b;
    return x < y ? -1 : x > y;
}

// Takes out of a sorted list the refs that are still there under another text; returns how many are left.
static size_t without_current(const SeriesCache *cache, SeriesRef *refs, size_t count)
{
    const SeriesSlot *slots = cache->reordering ? cache->fresh : cache->slots;
    size_t slot_count = cache->reordering ? cache->fresh_count : cache->next;
    for (size_t i = 0; i < slot_count; i++) {
        SeriesRef *found = bsearch(&slots[i].ref, refs, count, sizeof *refs, ref_order);
        if (found)
            memmove(found, found + 1, (size_t)(refs + count-- - (found + 1)) * sizeof *refs);
    }
    return count;
}

void series_cache_end(SeriesCache *cache, bool keep, void (*vanished)(void *arg, SeriesRef ref),
                      void *arg)
{
    CLEANUP(buf_deinit) Buf gone = {0};
    // In the old list: in its order everything before `next` was seen, unless the order was left.
    size_t from = cache->reordering || keep ? 0 : cache->next;
    for (size_t i = from; i < cache->count; i++) {
        SeriesSlot *slot = &cache->slots[i];
        if (slot->round == cache->round)
            continue;
        if ((slot->flags & SLOT_ACTIVE) && !(slot->flags & (SLOT_UNTRACKED | SLOT_DROPPED)))
            buf_add(&gone, &slot->ref, sizeof slot->ref);
        slot->flags &= (uint32_t)~SLOT_ACTIVE & 7;
    }
    size_t count = gone.len / sizeof(SeriesRef);
    SeriesRef *refs = (SeriesRef *)(void *)gone.ptr;
    if (count) {
        qsort(refs, count, sizeof *refs, ref_order);
        count = without_current(cache, refs, count);
    }
    for (size_t i = 0; i < count; i++)
        vanished(arg, refs[i]);

    free(cache->index);
    cache->index = NULL;
    cache->index_slots = 0;
    if (!keep && cache->reordering)
        swap_lists(cache);
    else if (!keep)
        cache->count = cache->next;
    forget_fresh(cache);
    cut_slack(cache);
}
