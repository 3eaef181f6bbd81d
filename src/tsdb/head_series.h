// SPDX-License-Identifier: Apache-2.0
// head_series.h: the records of the head's series and the way from a ref to a record.
//
//     ref  | 28 bits 0 | level 1: 12 bits | level 2: 12 bits | level 3: 12 bits |  -->  slot  -->  record of 64 bytes
//
// The way down takes no lock: pages of both kinds never move. A record is of the ref that stands in it: whoever came by an
// old ref looks at it under the lock of the ref's stripe, under which it is also cleared when the series is dropped.
#pragma once

#include "base/lock.h"
#include "metric/sample.h"
#include "tsdb/chunk_xor.h"
#include "tsdb/pool.h"

#define SERIES_REF_BITS 36
#define SERIES_REF_MAX (((uint64_t)1 << SERIES_REF_BITS) - 1)
#define SERIES_STRIPES 64
#define SERIES_STRIPE_RUN                                                                          \
    256 // neighbouring refs that share a stripe: a batch in ref order takes few locks

// A slot; 0 is none.
typedef uint32_t SeriesSlot;

enum {
    SERIES_HAS_SAMPLES = 1, // xor.t_ms is the newest in-order time
    // xor.value is the newest value. Not for histograms, nor at once after a start: head_newest_learn.
    SERIES_HAS_VALUE = 2,
    SERIES_HAS_HISTOGRAM = 4,   // the open chunk is extra->histogram
    SERIES_HAS_EXTRA = 8,       // there is a SeriesExtra
    SERIES_FULL_HISTOGRAM = 16, // some full chunk is not XOR
    SERIES_HAS_STARTS = 32,     // samples of the open chunk have start timestamps: extra->starts
    // No chunk is open, and the newest one was asked what its last sample is:
    SERIES_LEARNED = 64,
    SERIES_ENDED = 128 // a histogram that is a staleness marker
};

typedef struct Series {
    uint64_t ref_word;  // ref, and above it: generation of the last touch (8 bits), flags (8 bits)
    ChunkXor xor_state; // open float chunk; t_ms also for histograms
    PoolHandle chunk;   // its newest block, head_open.h; 0: no open float chunk
    PoolHandle labels;  // HeadIndex' form
    PoolHandle full;    // list of full chunks, head_full.h; 0: none
    uint32_t left_ms;   // from xor.t_ms to where the open chunk must end
    uint32_t epoch;     // of the newest commit that touched it, low bits
    uint32_t undo;      // newest entry in the undo ring, if that is still of this slot
} Series;

_Static_assert(sizeof(Series) == 64, "one cache line");

#define SERIES_PAGE_RECORDS 1024
#define SERIES_PAGES_MAX (1u << 18)
#define SERIES_RADIX 4096

typedef struct SeriesTable {
    Series **pages; // SERIES_PAGES_MAX, touched as needed
    uint32_t slots; // handed out so far, 0 included
    SeriesSlot *free_slots;
    size_t free_count;
    size_t free_cap;
    uint32_t ***roots; // SERIES_RADIX pointers to pages of pointers to pages of slots
    uint64_t count;
    uint64_t held_bytes;
    uint64_t trimmed_bytes; // pages of records among them that hold no memory now
} SeriesTable;

void series_table_init(SeriesTable *table);
void series_table_deinit(SeriesTable *table);

// A cleared record under `ref`, which has none. Whoever follows the ref sees the record once it is complete.
// Thread: one at a time.
SeriesSlot series_table_add(SeriesTable *table, uint64_t ref);
// Room for so many records in a fresh table, in one piece. Whoever has time while they are added makes the kernel hand its memory over
// (footprint_touch), which takes longer than to fill it.
Str series_table_reserve(SeriesTable *table, uint64_t records);
// Makes it reachable.
void series_table_publish(SeriesTable *table, uint64_t ref, SeriesSlot slot);
// Forgets the ref; the record is cleared. The caller holds the stripe's lock.
void series_table_remove(SeriesTable *table, uint64_t ref);
// Gives pages of records and of slots back that hold nothing.
void series_table_trim(SeriesTable *table);

static inline Series *series_at(const SeriesTable *table, SeriesSlot slot)
{
    return &__atomic_load_n(&table->pages[slot / SERIES_PAGE_RECORDS],
                            __ATOMIC_ACQUIRE)[slot % SERIES_PAGE_RECORDS];
}

// Where the slots of refs stand that are near each other, for whoever asks for many; begins as zeros. Good as long as no series is removed.
typedef struct SeriesNear {
    const uint32_t *leaf; // of the refs `from` to from | 4095; NULL: of none
    uint64_t from;
} SeriesNear;

static inline SeriesSlot series_slot_near(const SeriesTable *table, uint64_t ref, SeriesNear *near)
{
    if (UNLIKELY(!near->leaf || (ref & ~(uint64_t)4095) != near->from)) {
        if (ref > SERIES_REF_MAX)
            return 0;
        uint32_t **middle = __atomic_load_n(&table->roots[ref >> 24], __ATOMIC_ACQUIRE);
        *near = (SeriesNear){middle ? __atomic_load_n(&middle[ref >> 12 & 4095], __ATOMIC_ACQUIRE)
                                    : NULL,
                             ref & ~(uint64_t)4095};
        if (!near->leaf)
            return 0;
    }
    return __atomic_load_n(&near->leaf[ref & 4095], __ATOMIC_ACQUIRE);
}

// 0 if there is no such series.
static inline SeriesSlot series_slot(const SeriesTable *table, uint64_t ref)
{
    return series_slot_near(table, ref, &(SeriesNear){0});
}

static inline uint64_t series_ref(const Series *series)
{
    return __atomic_load_n(&series->ref_word, __ATOMIC_RELAXED) & SERIES_REF_MAX;
}

static inline unsigned series_flags(const Series *series)
{
    return (unsigned)(__atomic_load_n(&series->ref_word, __ATOMIC_RELAXED) >> 56);
}

static inline void series_set_flags(Series *series, unsigned set, unsigned clear)
{
    uint64_t word = __atomic_load_n(&series->ref_word, __ATOMIC_RELAXED);
    __atomic_store_n(&series->ref_word, (word | (uint64_t)set << 56) & ~((uint64_t)clear << 56),
                     __ATOMIC_RELAXED);
}

// When the series was last asked for: the collection of empty series spares those of this generation and the one before.
static inline uint8_t series_generation(const Series *series)
{
    return (uint8_t)(__atomic_load_n(&series->ref_word, __ATOMIC_RELAXED) >> 48);
}

static inline void series_touch(Series *series, uint8_t generation)
{
    uint64_t word = __atomic_load_n(&series->ref_word, __ATOMIC_RELAXED);
    uint64_t touched = (word & ~((uint64_t)0xff << 48)) | (uint64_t)generation << 48;
    if (touched != word)
        __atomic_store_n(&series->ref_word, touched, __ATOMIC_RELAXED);
}

static inline unsigned series_stripe(uint64_t ref)
{
    return (unsigned)(ref / SERIES_STRIPE_RUN) % SERIES_STRIPES;
}
