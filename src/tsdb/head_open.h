// SPDX-License-Identifier: Apache-2.0
// head_open.h: an open float chunk as a chain of blocks of one cache line each.
//
//     block   | block before u32 | u16 | 58 bytes of the chunk |      newest last
//
// All blocks have one size, so that chunks of a million series that grow side by side leave no holes of other sizes behind. The
// encoder sees a block as a chunk of its own: its two bytes of header are the count, which only the whole chunk needs. Once a block is full they
// say which of the chain it is, from 1, so that nobody walks along the chain to learn how long it is. ChunkXor.bits counts in the newest block,
// header included.
#pragma once

#include "tsdb/chunk_xor.h"
#include "tsdb/pool.h"

#define OPEN_BLOCK_BYTES 64
#define OPEN_BLOCK_LINK_BYTES 4
#define OPEN_BLOCK_CAP (OPEN_BLOCK_BYTES - OPEN_BLOCK_LINK_BYTES) // what the encoder sees
#define OPEN_BLOCK_DATA (OPEN_BLOCK_CAP - CHUNK_XOR_HEADER_BYTES)

static inline uint8_t *head_open_at(const Pool *pool, PoolHandle block)
{
    return pool_at(pool, block) + OPEN_BLOCK_LINK_BYTES;
}

// A chunk of one sample; returns its block.
PoolHandle head_open_start(Pool *pool, ChunkXor *state, int64_t t_ms, double value);
// The sample that did not fit into the newest block: returns the new newest one.
PoolHandle head_open_spill(Pool *pool, PoolHandle newest, ChunkXor *state, int64_t t_ms,
                           double value);

static inline PoolHandle head_open_append(Pool *pool, PoolHandle newest, ChunkXor *state,
                                          int64_t t_ms, double value)
{
    if (LIKELY(chunk_xor_append(state, head_open_at(pool, newest), OPEN_BLOCK_CAP, t_ms, value)))
        return newest;
    return head_open_spill(pool, newest, state, t_ms, value);
}

// Of the chunk, with its header.
size_t head_open_bytes(const Pool *pool, PoolHandle newest, const ChunkXor *state);
// Writes the chunk in one piece; `out` has room for head_open_bytes.
void head_open_copy(const Pool *pool, PoolHandle newest, const ChunkXor *state, size_t bytes,
                    uint8_t *out);
int64_t head_open_first_time(const Pool *pool, PoolHandle newest);
void head_open_free(Pool *pool, PoolHandle newest);
