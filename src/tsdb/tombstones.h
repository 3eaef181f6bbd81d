// SPDX-License-Identifier: Apache-2.0
// tombstones.h: which spans of which series of a block were deleted, and the block's file `tombstones` (prometheus.md 6.3).
//
//     | magic 0x0130BA30 | version 1 | ref uvarint, mint varint, maxt varint | ... | CRC-32C over the entries |
#pragma once

#include "base/buf.h"
#include "base/fs.h"
#include "tsdb/intervals.h"

#define TOMBSTONES_VERSION 1

typedef struct TombstonesEntry {
    uint64_t ref; // of the series
    Intervals intervals;
} TombstonesEntry;

typedef struct Tombstones {
    TombstonesEntry *entries; // rising refs; on the heap
    size_t count;
    size_t cap;
} Tombstones;

// A zeroed one is empty.
void tombstones_deinit(Tombstones *tombstones);
void tombstones_add(Tombstones *tombstones, uint64_t ref, Interval interval);
void tombstones_copy(const Tombstones *from, Tombstones *ret_copy);
// NULL if nothing of the series was deleted.
const Intervals *tombstones_get(const Tombstones *tombstones, uint64_t ref);
// Intervals in all.
uint64_t tombstones_total(const Tombstones *tombstones);

// Of the block in `dir`; a missing file is an empty one.
bool tombstones_read(Fs *fs, Str dir, Tombstones *ret_tombstones, Error *err) MUST_CHECK;
bool tombstones_write(Fs *fs, Str dir, const Tombstones *tombstones, Error *err) MUST_CHECK;
// The bytes of such a file; for fuzzing. Fails ERR_CORRUPT, or ERR_INVALID of another version.
bool tombstones_parse(Str bytes, Tombstones *ret_tombstones, Error *err) MUST_CHECK;

typedef bool TombstoneFits(void *arg, uint64_t ref, Interval interval);
// What is left of a damaged file. Entries have no checksum of their own, so `fits` judges each. May keep none.
bool tombstones_rescue(Fs *fs, Str dir, TombstoneFits *fits, void *arg, Tombstones *ret_tombstones,
                       Error *err) MUST_CHECK;

// What lies between version and checksum.
void tombstones_print_entries(const Tombstones *tombstones, Buf *out);
bool tombstones_parse_entries(Str entries, Tombstones *ret_tombstones, Error *err) MUST_CHECK;
