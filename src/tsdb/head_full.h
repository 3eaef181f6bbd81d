// SPDX-License-Identifier: Apache-2.0
// head_full.h: the list of a series' full chunks, about ten bytes for each.
//
//     | used u16 | count u16 | ref - ref before, varint | min - max before, varint | max - min uvarint | ...
//
// Lives in a pool; the next full chunk is later than all before it.
#pragma once

#include "base/arena.h"
#include "tsdb/pool.h"

typedef struct FullChunk {
    uint64_t ref; // in chunks_head
    int64_t min_t_ms;
    int64_t max_t_ms;
} FullChunk;

#define FULL_CHUNK_BYTES_MAX 30

// Appends one; returns the list's new place. 0 is the empty list. A list of 65535 chunks takes no more: 0 is answered and nothing changes.
PoolHandle head_full_add(Pool *pool, PoolHandle list, FullChunk chunk);
size_t head_full_count(const Pool *pool, PoolHandle list);
// Oldest time of a list that is not empty.
int64_t head_full_first_time(const Pool *pool, PoolHandle list);
// Copies all into `out`, which has room for head_full_count.
void head_full_decode(const Pool *pool, PoolHandle list, FullChunk *out);
// Copies those that overlap [min_t_ms, max_t_ms]; returns how many. *ret_last_ms is the newest time of the list, INT64_MIN if it is empty.
size_t head_full_overlapping(const Pool *pool, PoolHandle list, int64_t min_t_ms, int64_t max_t_ms,
                             FullChunk *out, int64_t *ret_last_ms);
// Writes a new list and frees the old one.
PoolHandle head_full_replace(Pool *pool, PoolHandle list, const FullChunk *chunks, size_t count);
