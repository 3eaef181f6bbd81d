// SPDX-License-Identifier: Apache-2.0
#include "remote/remote_series_cache.h"

#include <stdlib.h>
#define XXH_INLINE_ALL // with a secret of our own none of the library's wider instructions would serve
#include <xxhash.h>

#include "base/lock.h"
#include "base/random.h"

enum {
    STRIPES = 32,
    SLOTS_MIN = 64,
    LOCK_RANK_STRIPE = 910, // a leaf
    SECRET_BYTES = 192,
};

typedef struct Slot {
    RemoteSeriesKey key;
    SeriesRef ref; // 0: empty
} Slot;

typedef struct Stripe {
    Lock lock;
    Slot *slots GUARDED_BY(lock); // open addressing, a power of two, at most half full
    size_t slot_count GUARDED_BY(lock);
    size_t count GUARDED_BY(lock);
} Stripe;

struct RemoteSeriesCache {
    uint8_t secret[SECRET_BYTES]; // a mere seed would become one again for each text
    size_t stripe_max;
    Stripe stripes[STRIPES];
};

RemoteSeriesCache *remote_series_cache_new(size_t series_max)
{
    RemoteSeriesCache *cache = X_NEW(RemoteSeriesCache);
    random_system(cache->secret, sizeof cache->secret);
    cache->stripe_max = MAX(series_max / STRIPES, 1u);
    for (size_t i = 0; i < STRIPES; i++)
        lock_init(&cache->stripes[i].lock, "remote.series_cache", LOCK_RANK_STRIPE);
    return cache;
}

void remote_series_cache_free(RemoteSeriesCache *cache)
{
    if (!cache)
        return;
    for (size_t i = 0; i < STRIPES; i++) {
        free(cache->stripes[i].slots);
        lock_deinit(&cache->stripes[i].lock);
    }
    free(cache);
}

RemoteSeriesKey remote_series_key(const RemoteSeriesCache *cache, Str bytes)
{
    XXH128_hash_t hash =
        XXH3_128bits_withSecret(bytes.ptr, bytes.len, cache->secret, sizeof cache->secret);
    return (RemoteSeriesKey){hash.low64, hash.high64};
}

static Stripe *stripe_of(RemoteSeriesCache *cache, RemoteSeriesKey key)
{
    return &cache->stripes[key.high % STRIPES];
}

// The slot of the key, or the empty one where it would go. There always is an empty one.
static Slot *find_slot(Slot *slots, size_t count, RemoteSeriesKey key)
{
    for (size_t i = key.low & (count - 1);; i = (i + 1) & (count - 1))
        if (slots[i].ref == 0 || (slots[i].key.low == key.low && slots[i].key.high == key.high))
            return &slots[i];
}

void remote_series_cache_foretell(const RemoteSeriesCache *cache,
                                  RemoteSeriesKey key) NO_THREAD_SAFETY
{
    const Stripe *stripe = &cache->stripes[key.high % STRIPES];
    uintptr_t slots = (uintptr_t)__atomic_load_n(&stripe->slots, __ATOMIC_RELAXED);
    size_t count = __atomic_load_n(&stripe->slot_count, __ATOMIC_RELAXED);
    // An address that is no longer one does no harm here.
    __builtin_prefetch((const void *)(slots + (key.low & (count - 1)) * sizeof(Slot)));
}

SeriesRef remote_series_cache_get(RemoteSeriesCache *cache, RemoteSeriesKey key)
{
    Stripe *stripe = stripe_of(cache, key);
    lock_take(&stripe->lock);
    SeriesRef ref = stripe->slot_count ? find_slot(stripe->slots, stripe->slot_count, key)->ref : 0;
    lock_give(&stripe->lock);
    return ref;
}

static void grow(Stripe *stripe)
{
    size_t wider = MAX(stripe->slot_count * 2, (size_t)SLOTS_MIN);
    Slot *slots = X_ARRAY(Slot, wider);
    for (size_t i = 0; i < stripe->slot_count; i++)
        if (stripe->slots[i].ref)
            *find_slot(slots, wider, stripe->slots[i].key) = stripe->slots[i];
    free(stripe->slots);
    // Whoever foretells looks at both without the lock.
    __atomic_store_n(&stripe->slots, slots, __ATOMIC_RELAXED);
    __atomic_store_n(&stripe->slot_count, wider, __ATOMIC_RELAXED);
}

void remote_series_cache_put(RemoteSeriesCache *cache, RemoteSeriesKey key, SeriesRef ref)
{
    Stripe *stripe = stripe_of(cache, key);
    lock_take(&stripe->lock);
    if (stripe->count >= cache->stripe_max) {
        memset(stripe->slots, 0, stripe->slot_count * sizeof(Slot));
        stripe->count = 0;
    }
    if (stripe->count * 2 >= stripe->slot_count)
        grow(stripe);
    Slot *slot = find_slot(stripe->slots, stripe->slot_count, key);
    stripe->count += slot->ref == 0;
    *slot = (Slot){key, ref};
    lock_give(&stripe->lock);
}
