// SPDX-License-Identifier: Apache-2.0
// block_verify.h: reads everything that a block says and counts what does not hold.
#pragma once

#include "tsdb/block.h"

typedef struct BlockFaults {
    uint64_t series, chunks, samples; // that are good
    int64_t min_t_ms, max_t_ms;       // of what can be read; reversed if that is nothing
    uint64_t bad_series, bad_chunks;
    Error first; // ERR_NONE: no fault
} BlockFaults;

// Every list of postings, series and chunk: checksums, order of labels and times, what meta.json counts. Stops at *stop (may be NULL).
void block_verify(Block *block, const bool *stop, BlockFaults *ret_faults);
