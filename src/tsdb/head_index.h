// SPDX-License-Identifier: Apache-2.0
// head_index.h: the labels of the head's series: each name, value and pair once, and for each pair its postings.
//
//     labels of a series   | count | pair number varint | ... |   in the order of the names
//     pair                 name, value, postings
//     name                 text, its pairs
//     label sets           hash table of slots, keyed by the bytes above
//
// Thread: many readers or one writer, under the head's index lock; but for label bytes, which are read only.
#pragma once

#include "metric/matcher.h"
#include "metric/source.h"
#include "tsdb/head_series.h"
#include "tsdb/postings.h"

#define HEAD_LABELS_MAX 1000               // of one series
#define HEAD_LABEL_BYTES_MAX (1024 * 1024) // of one name or value

typedef struct LabelName {
    PoolHandle text;
    uint32_t count;
    uint32_t cap;
    uint32_t *pairs; // in order of birth; dead ones are taken out by head_index_remove
    uint32_t *
        sorted; // the same by value, once somebody has asked; atomic, as readers make it. NULL after each change
} LabelName;

typedef struct LabelPair {
    uint32_t name;
    PoolHandle value; // 0: the number is free, and `name` chains the free ones
    Postings postings;
} LabelPair;

// A hash table of numbers with the hashes stored: what they stand for is compared by the owner.
typedef struct HashSlot {
    uint32_t hash;
    uint32_t number; // 0: empty
} HashSlot;

typedef struct HashTable {
    HashSlot *slots;
    size_t count;
    size_t size;
} HashTable;

typedef struct HeadIndex {
    Pool pool;
    SeriesTable series;
    LabelName *names; // 0 is none
    uint32_t name_count;
    uint32_t name_cap;
    LabelPair *pairs; // 0 is none
    uint32_t pair_count;
    uint32_t pair_cap;
    uint32_t free_pair;
    uint32_t live_pairs;
    HashTable name_table;
    HashTable pair_table;
    HashTable set_table;
    Postings all;
    bool disordered;     // refs were not added in their order: head_index_settle
    uint64_t text_bytes; // of the pool: names and values
    uint64_t set_bytes;  // of the pool: label sets
    uint64_t next_ref;
    PoolHandle *limbo; // values of dropped pairs that an open Querier may still show
    size_t limbo_count;
    size_t limbo_cap;
} HeadIndex;

void head_index_init(HeadIndex *index);
void head_index_deinit(HeadIndex *index);

// A label set on its way to a series: its pairs, as far as they are known.
typedef struct LabelKey {
    uint32_t pairs
        [HEAD_LABELS_MAX]; // of the newest look-up: the next one guesses that they are the same
    uint32_t count;
    bool whole; // all pairs are known
    uint32_t bytes_len;
    uint8_t bytes[HEAD_LABELS_MAX * 5 + 2];
} LabelKey;

// Finds the series with these labels. `key` keeps what was learned for head_index_add and for the next look-up; start with a zeroed one.
SeriesSlot head_index_find(const HeadIndex *index, Labels labels, LabelKey *key);
// Adds the series; `key` comes from a failed head_index_find under the same hold of the lock. ref 0 takes the next one. The record is
// not yet published: the caller completes it and calls series_table_publish.
SeriesSlot head_index_add(HeadIndex *index, Labels labels, LabelKey *key, uint64_t ref);
// A log may tell of series in another order than that of their refs: the original's does where several targets are new at once. Then this comes
// before anybody asks for refs.
void head_index_settle(HeadIndex *index);
// Takes series out: refs rising, records still there. Pairs without series die; their texts go to limbo. The caller removes the records.
void head_index_remove(HeadIndex *index, const uint64_t *refs, size_t count);
// Frees the texts in limbo: no Querier from before their death is left.
void head_index_free_limbo(HeadIndex *index);

static inline Str head_index_text(const HeadIndex *index, PoolHandle text)
{
    const uint8_t *at = pool_at(&index->pool, text);
    uint32_t len;
    memcpy(&len, at, 4);
    return (Str){(const char *)at + 4, len};
}

// Walks the pairs of a series.
typedef struct LabelWalk {
    const uint8_t *at;
    uint32_t left;
} LabelWalk;
LabelWalk head_index_walk(const HeadIndex *index, PoolHandle labels);
uint32_t head_index_walk_next(LabelWalk *walk); // 0 at the end

// A view in the arena of texts that the index owns.
Labels head_index_labels(const HeadIndex *index, PoolHandle labels, Arena *arena);
size_t head_index_label_count(const HeadIndex *index, PoolHandle labels);

// The number of a name, 0 if unknown.
uint32_t head_index_name(const HeadIndex *index, Str name);
// The number of a pair, 0 if unknown.
uint32_t head_index_pair(const HeadIndex *index, Str name, Str value);

// The pairs of a name in the order of their values, names[name].count of them; good until the index changes.
// Thread: any that hold the index for reading.
const uint32_t *head_index_sorted(const HeadIndex *index, uint32_t name);

// Refs of the series that match all matchers. No matcher: all.
RefRuns head_index_match(const HeadIndex *index, const Matcher *matchers, size_t count,
                         Arena *arena);

// What an image of the index is read back with (head_image.h), into a fresh index: names, then pairs, each in the order of their numbers,
// series with rising refs. False: that cannot be.
bool head_index_load_name(HeadIndex *index, Str name);
// `value` NULL: the number is free. Of `postings` all but the bytes counts.
bool head_index_load_pair(HeadIndex *index, uint32_t name, const Str *value,
                          const Postings *postings, Str bytes);
// `key` is what a LabelKey has in bytes. Published at once. *ret_hash: of its label set.
SeriesSlot head_index_load_series(HeadIndex *index, uint64_t ref, Str key, uint32_t *ret_hash);
// At last, or while others are being loaded: the label sets can be found. Some `series` are expected in all.
void head_index_load_sets_begin(HeadIndex *index, uint64_t series);
// Those of the slots from `from` on.
// Thread: one at a time.
void head_index_load_sets(HeadIndex *index, SeriesSlot from, const uint32_t *hashes, size_t count);
// The bytes of a series' label set.
Str head_index_key(const HeadIndex *index, PoolHandle labels);

void head_index_check(const HeadIndex *index);
