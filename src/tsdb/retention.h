// SPDX-License-Identifier: Apache-2.0
// retention.h: which blocks have had their time. Only decides; the deed is elsewhere.
#pragma once

#include "base/macros.h"

typedef struct RetentionBlock {
    int64_t max_t_ms; // exclusive
    uint64_t bytes;
} RetentionBlock;

typedef struct RetentionLimits {
    int64_t keep_ms;    // 0: for ever
    uint64_t bytes_max; // 0: no limit
} RetentionLimits;

typedef struct RetentionChoice {
    size_t by_time; // so many of the oldest are too old
    size_t by_size; // and so many must go (at least by_time) so that the rest fits
} RetentionChoice;

// Counts the blocks to delete from the front. The newest always stays. Age is counted against the newest block, not the clock: a
// stopped or backfilled store loses nothing by standing still. other_bytes: what the log and the head's chunks take.
RetentionChoice retention_choose(const RetentionBlock *oldest_first, size_t count,
                                 RetentionLimits limits, uint64_t other_bytes);
