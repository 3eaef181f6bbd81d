// SPDX-License-Identifier: Apache-2.0
// chunk_join.h: short float chunks that follow each other become one, where that makes them smaller.
//
// The head cuts a chunk at 120 samples; each costs some 30 bytes before its second sample: first time and value in full, length, checksum,
// a place in the index. Half of all series hardly change, and for them that is most of what is on disk. The bits of a chunk from its second
// value on are the same wherever it stands, so they are copied; chunks are decoded only to learn how the one before ends, and that they are whole.
#pragma once

#include "tsdb/block_writer.h"
#include "tsdb/chunk_xor.h"

#define CHUNK_JOIN_SAMPLES_MAX 480 // as many as a query of a narrow span should have to decode
#define CHUNK_JOIN_BYTES_MAX 1024
#define CHUNK_JOIN_PART_BYTES_MAX                                                                  \
    128 // a larger part is no seventh smaller for it, and the dearest to decode

// Room to work in; nothing to initialise.
typedef struct ChunkJoin {
    uint8_t bytes[CHUNK_JOIN_BYTES_MAX];
    int64_t t_ms[CHUNK_JOIN_SAMPLES_MAX];
    double value[CHUNK_JOIN_SAMPLES_MAX];
} ChunkJoin;

// Joins as many of chunks[0], chunks[1], ... as fit, at least the first. ret_chunk is chunks[0] itself or lies in `join`. Returns how
// many were taken. Chunks are in rising time and do not overlap; one that cannot be decoded is left as it is.
size_t chunk_join(ChunkJoin *join, const BlockChunk *chunks, size_t count, BlockChunk *ret_chunk);
