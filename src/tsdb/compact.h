// SPDX-License-Identifier: Apache-2.0
// compact.h: which blocks to make one of, and making it.
#pragma once

#include "tsdb/block.h"

#define COMPACT_RANGES_MAX 10

// Sizes of blocks: the smallest, then three times each, as long as they do not exceed max_ms (the smallest always counts).
size_t compact_ranges(int64_t min_ms, int64_t max_ms, int64_t ranges[COMPACT_RANGES_MAX]);

typedef struct CompactRules {
    const int64_t *ranges;
    size_t range_count;
    bool leaves_overlaps; // blocks are not merged for overlapping alone
} CompactRules;

typedef struct CompactPlan {
    size_t *indices; // into the metas, rising; in the arena
    size_t count;    // 0: nothing to do
    bool overlapping;
} CompactPlan;

// Decides by metadata alone. metas: sorted by min time. The order of reasons is Prometheus': overlapping blocks first; then neighbours
// that fill a larger range, the newest block left out; then a block of which more than 5 % was deleted.
CompactPlan compact_plan(const BlockMeta *const *metas, size_t count, const CompactRules *rules,
                         Arena *arena);

typedef struct CompactOutput {
    Fs *fs;
    Str dir; // of the blocks
    Ulid ulid;
    size_t samples_per_chunk;
    uint64_t segment_bytes_max; // of a file of chunks; 0: 512 MiB
} CompactOutput;

// Makes one block of all samples of the given ones, less what was deleted. The inputs stay. ret_made is false if nothing was left to keep.
// Stops with ERR_CANCELED when *stop (may be NULL) becomes true.
bool compact_blocks(const CompactOutput *output, Block *const *blocks, size_t count,
                    const bool *stop, bool *ret_made, Error *err) MUST_CHECK;
