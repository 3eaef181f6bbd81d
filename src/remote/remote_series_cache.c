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
    PAGE_ENTRIES = 1024,
    ENTRIES_AHEAD = 4,     // fetched from memory
    LOCK_RANK_CACHE = 910, // a leaf, as the stripes are
    SECRET_BYTES = 192,
};

// Once it has a ref, only the ref and `next` change.
struct RemoteSeriesEntry {
    RemoteSeriesKey key;
    SeriesRef ref; // 0: not filled yet
    uint32_t next; // the number of the one that came behind it last
};

_Static_assert(sizeof(RemoteSeriesEntry) == 32, "two in a cache line");

typedef struct Slot {
    uint32_t
        hash; // of the key: few entries are looked at, and none while there get to be more slots
    uint32_t number; // of the entry; 0: empty
} Slot;

// Finds an entry by its key.
typedef struct Stripe {
    Lock lock;
    Slot *slots GUARDED_BY(lock); // open addressing, a power of two, at most half full
    size_t slot_count GUARDED_BY(lock);
    size_t count GUARDED_BY(lock);
} Stripe;

// What the cache remembers. When it is full another takes its place; it stays while courses use it.
struct RemoteSeriesMemory {
    size_t holders;       // the cache and courses, under the cache's lock
    uint32_t entries_max; // their numbers begin at 1
    uint32_t used;        // numbers given out, perhaps some more
    Stripe stripes[STRIPES];
    RemoteSeriesEntry *pages[]; // as needed; they never move
};

struct RemoteSeriesCache {
    uint8_t secret[SECRET_BYTES]; // a mere seed would become one again for each text
    uint32_t series_max;
    Lock lock;
    RemoteSeriesMemory *memory GUARDED_BY(lock);
};

// ---- memory ----

static size_t page_count(uint32_t entries_max)
{
    return (size_t)entries_max / PAGE_ENTRIES + 1;
}

static RemoteSeriesMemory *memory_new(uint32_t entries_max)
{
    RemoteSeriesMemory *memory =
        x_calloc(1, sizeof *memory + page_count(entries_max) * sizeof(RemoteSeriesEntry *));
    memory->holders = 1;
    memory->entries_max = entries_max;
    for (size_t i = 0; i < STRIPES; i++)
        lock_init(&memory->stripes[i].lock, "remote.series_cache", LOCK_RANK_CACHE);
    return memory;
}

static void memory_free(RemoteSeriesMemory *memory)
{
    for (size_t i = 0; i < STRIPES; i++) {
        free(memory->stripes[i].slots);
        lock_deinit(&memory->stripes[i].lock);
    }
    for (size_t i = 0; i < page_count(memory->entries_max); i++)
        free(memory->pages[i]);
    free(memory);
}

static RemoteSeriesMemory *memory_hold(RemoteSeriesCache *cache)
{
    lock_take(&cache->lock);
    RemoteSeriesMemory *memory = cache->memory;
    memory->holders++;
    lock_give(&cache->lock);
    return memory;
}

static void memory_drop(RemoteSeriesCache *cache, RemoteSeriesMemory *memory)
{
    lock_take(&cache->lock);
    bool last = --memory->holders == 0;
    lock_give(&cache->lock);
    if (last)
        memory_free(memory);
}

// NULL: nobody has come that far.
static RemoteSeriesEntry *entry_at(const RemoteSeriesMemory *memory, uint32_t number)
{
    if (UNLIKELY(number > memory->entries_max))
        return NULL;
    RemoteSeriesEntry *page =
        __atomic_load_n(&memory->pages[number / PAGE_ENTRIES], __ATOMIC_ACQUIRE);
    return LIKELY(page) ? &page[number % PAGE_ENTRIES] : NULL;
}

// A number's entry that is not filled yet; NULL: all are used up.
static RemoteSeriesEntry *entry_new(RemoteSeriesMemory *memory, uint32_t *ret_number)
{
    if (__atomic_load_n(&memory->used, __ATOMIC_RELAXED) >= memory->entries_max)
        return NULL;
    uint32_t number = __atomic_add_fetch(&memory->used, 1, __ATOMIC_RELAXED);
    if (number > memory->entries_max) // others took the last ones
        return NULL;
    *ret_number = number;
    RemoteSeriesEntry *entry = entry_at(memory, number);
    if (entry)
        return entry;
    RemoteSeriesEntry *page = X_ARRAY(RemoteSeriesEntry, PAGE_ENTRIES);
    RemoteSeriesEntry *other = NULL;
    if (!__atomic_compare_exchange_n(&memory->pages[number / PAGE_ENTRIES], &other, page, false,
                                     __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        free(page);
    return entry_at(memory, number);
}

// ---- cache ----

RemoteSeriesCache *remote_series_cache_new(size_t series_max)
{
    RemoteSeriesCache *cache = X_NEW(RemoteSeriesCache);
    random_system(cache->secret, sizeof cache->secret);
    lock_init(&cache->lock, "remote.series_cache", LOCK_RANK_CACHE);
    cache->series_max = (uint32_t)MIN(MAX(series_max, 1u), (size_t)INT32_MAX);
    cache->memory = memory_new(cache->series_max);
    return cache;
}

void remote_series_cache_free(RemoteSeriesCache *cache)
{
    if (!cache)
        return;
    memory_drop(cache, cache->memory);
    lock_deinit(&cache->lock);
    free(cache);
}

RemoteSeriesKey remote_series_key(const RemoteSeriesCache *cache, Str bytes)
{
    XXH128_hash_t hash =
        XXH3_128bits_withSecret(bytes.ptr, bytes.len, cache->secret, sizeof cache->secret);
    return (RemoteSeriesKey){hash.low64, hash.high64};
}

// ---- courses ----

void remote_series_course_begin(RemoteSeriesCourse *course, RemoteSeriesCache *cache)
{
    *course = (RemoteSeriesCourse){.cache = cache, .memory = memory_hold(cache)};
}

void remote_series_course_end(RemoteSeriesCourse *course)
{
    memory_drop(course->cache, course->memory);
    *course = (RemoteSeriesCourse){0};
}

static SeriesRef ref_under(const RemoteSeriesEntry *entry, RemoteSeriesKey key)
{
    SeriesRef ref = entry ? __atomic_load_n(&entry->ref, __ATOMIC_ACQUIRE) : 0;
    return ref && entry->key.low == key.low && entry->key.high == key.high ? ref : 0;
}

static Stripe *stripe_of(RemoteSeriesMemory *memory, RemoteSeriesKey key)
{
    return &memory->stripes[key.high % STRIPES];
}

static uint32_t hash_of(RemoteSeriesKey key)
{
    return (uint32_t)key.low;
}

// The slot of the key, or the empty one where it would go. There always is an empty one.
static Slot *find_slot(const RemoteSeriesMemory *memory, Slot *slots, size_t count,
                       RemoteSeriesKey key)
{
    for (size_t i = hash_of(key) & (count - 1);; i = (i + 1) & (count - 1))
        if (slots[i].number == 0 ||
            (slots[i].hash == hash_of(key) && ref_under(entry_at(memory, slots[i].number), key)))
            return &slots[i];
}

static uint32_t find_number(RemoteSeriesMemory *memory, RemoteSeriesKey key)
{
    uint32_t number = 0;
    Stripe *stripe = stripe_of(memory, key);
    lock_take(&stripe->lock);
    if (stripe->slot_count)
        number = find_slot(memory, stripe->slots, stripe->slot_count, key)->number;
    lock_give(&stripe->lock);
    return number;
}

// The course has come to the entry; it did not stand where it was expected.
static void go_to(RemoteSeriesCourse *course, RemoteSeriesEntry *entry, uint32_t number)
{
    if (course->newest)
        __atomic_store_n(&course->newest->next, number, __ATOMIC_RELAXED);
    course->newest = entry;
}

SeriesRef remote_series_course_get(RemoteSeriesCourse *course, RemoteSeriesKey key)
{
    RemoteSeriesMemory *memory = course->memory;
    if (LIKELY(course->newest)) {
        uint32_t next = __atomic_load_n(&course->newest->next, __ATOMIC_RELAXED);
        RemoteSeriesEntry *entry = entry_at(memory, next);
        SeriesRef ref = ref_under(entry, key);
        if (LIKELY(ref)) {
            __builtin_prefetch(entry + ENTRIES_AHEAD); // beyond its page it does no harm
            course->newest = entry;
            return ref;
        }
    }
    uint32_t number = find_number(memory, key);
    if (number == 0)
        return 0;
    RemoteSeriesEntry *entry = entry_at(memory, number);
    go_to(course, entry, number);
    return __atomic_load_n(&entry->ref, __ATOMIC_RELAXED);
}

static void grow(Stripe *stripe)
{
    size_t wider = MAX(stripe->slot_count * 2, (size_t)SLOTS_MIN);
    Slot *slots = X_ARRAY(Slot, wider);
    for (size_t i = 0; i < stripe->slot_count; i++) {
        if (stripe->slots[i].number == 0)
            continue;
        size_t to = stripe->slots[i].hash & (wider - 1);
        while (slots[to].number)
            to = (to + 1) & (wider - 1);
        slots[to] = stripe->slots[i];
    }
    free(stripe->slots);
    stripe->slots = slots;
    stripe->slot_count = wider;
}

// False: there is no room for a new one.
static bool put(RemoteSeriesCourse *course, RemoteSeriesKey key, SeriesRef ref)
{
    RemoteSeriesMemory *memory = course->memory;
    Stripe *stripe = stripe_of(memory, key);
    lock_take(&stripe->lock);
    if (stripe->count * 2 >= stripe->slot_count)
        grow(stripe);
    Slot *slot = find_slot(memory, stripe->slots, stripe->slot_count, key);
    uint32_t number = slot->number;
    RemoteSeriesEntry *entry = number ? entry_at(memory, number) : entry_new(memory, &number);
    if (entry) {
        if (slot->number == 0) {
            *slot = (Slot){hash_of(key), number};
            stripe->count++;
            entry->key = key;
            __atomic_store_n(&entry->next, number + 1, __ATOMIC_RELAXED);
        }
        __atomic_store_n(&entry->ref, ref, __ATOMIC_RELEASE);
        go_to(course, entry, number);
    }
    lock_give(&stripe->lock);
    return entry != NULL;
}

// The cache starts anew, unless another course has seen to that.
static void forget(RemoteSeriesCourse *course)
{
    RemoteSeriesCache *cache = course->cache;
    RemoteSeriesMemory *full = course->memory;
    lock_take(&cache->lock);
    bool was_newest = cache->memory == full;
    if (was_newest)
        cache->memory = memory_new(cache->series_max);
    lock_give(&cache->lock);
    if (was_newest)
        memory_drop(cache, full);
    remote_series_course_end(course);
    remote_series_course_begin(course, cache);
}

void remote_series_course_put(RemoteSeriesCourse *course, RemoteSeriesKey key, SeriesRef ref)
{
    while (!put(course, key, ref))
        forget(course);
}
