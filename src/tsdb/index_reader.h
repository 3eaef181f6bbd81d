// SPDX-License-Identifier: Apache-2.0
// index_reader.h: reads a block's index where it lies, mapped: postings, symbols and series are looked at, not copied. On the heap is
// only a sparse table: one offset per 8 symbols, one per 32 values of a label. Of version 1 the postings table is copied, as it may lie there in
// no order, and what that version names by offset has here the numbers of the later ones.
//
// Checksums: the table of contents, symbols and postings table at opening, a postings list at its first use, a series at each.
// Thread: any; nothing changes after opening.
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "metric/matcher.h"
#include "metric/source.h"
#include "tsdb/index_format.h"

typedef struct IndexReader IndexReader;

// `bytes` stay mapped until index_reader_free. Fails ERR_CORRUPT naming the part, or ERR_INVALID of another version.
bool index_reader_new(Str bytes, IndexReader **ret_reader, Error *err) MUST_CHECK;
void index_reader_free(IndexReader *reader);

// Strings are views into the map.
uint32_t index_reader_symbol_count(const IndexReader *reader);
bool index_reader_symbol(const IndexReader *reader, uint32_t symbol, Str *ret_str,
                         Error *err) MUST_CHECK;

// Refs of series, rising; that is also the order of their labels.
typedef struct IndexPostings {
    uint32_t *refs; // in the arena
    size_t count;
} IndexPostings;

// Of the series that match all matchers (none: all series).
bool index_reader_postings(const IndexReader *reader, const Matcher *matchers, size_t count,
                           Arena *arena, IndexPostings *ret_postings, Error *err) MUST_CHECK;

typedef struct IndexChunk {
    int64_t min_t_ms;
    int64_t max_t_ms;
    uint64_t ref; // segment << 32 | offset
} IndexChunk;

// One series; the arrays belong to the object and are used again by the next read.
typedef struct IndexSeries {
    uint32_t *symbols; // name, value, name, value, ...
    size_t symbol_count;
    size_t symbol_cap;
    IndexChunk *chunks;
    size_t chunk_count;
    size_t chunk_cap;
} IndexSeries;

// A zeroed one is ready for use.
void index_series_deinit(IndexSeries *series);

// Only the chunks that overlap [min_t_ms, max_t_ms] are kept.
bool index_reader_series(const IndexReader *reader, uint32_t ref, int64_t min_t_ms,
                         int64_t max_t_ms, IndexSeries *series, Error *err) MUST_CHECK;
// The labels of what was read: pairs in the arena, strings in the map.
bool index_reader_labels(const IndexReader *reader, const IndexSeries *series, Arena *arena,
                         Labels *ret_labels, Error *err) MUST_CHECK;

// All names, or all values of one name; rising, views into the map.
bool index_reader_names(const IndexReader *reader, Arena *arena, StrList *ret_names,
                        Error *err) MUST_CHECK;
bool index_reader_values(const IndexReader *reader, Str name, Arena *arena, StrList *ret_values,
                         Error *err) MUST_CHECK;

// On the heap.
size_t index_reader_held_bytes(const IndexReader *reader);
