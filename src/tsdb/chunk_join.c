// SPDX-License-Identifier: Apache-2.0
#include "tsdb/chunk_join.h"

// True if the next chunk may be worth a try.
static bool is_candidate(size_t samples, size_t bytes, const BlockChunk *next)
{
    return next->encoding == CHUNK_XOR && next->bytes.len <= CHUNK_JOIN_PART_BYTES_MAX &&
           samples + chunk_xor_count(next->bytes) <= CHUNK_JOIN_SAMPLES_MAX &&
           bytes + next->bytes.len <= CHUNK_JOIN_BYTES_MAX;
}

static bool learn_end(ChunkJoin *join, const BlockChunk *chunk, ChunkXor *ret_end)
{
    return chunk_xor_decode_end(chunk->bytes, join->t_ms, join->value, CHUNK_JOIN_SAMPLES_MAX,
                                ret_end);
}

// Appends `next` to what is in join->bytes. False if that is no gain.
static bool append_chunk(ChunkJoin *join, ChunkXor *state, const BlockChunk *next)
{
    ChunkXor end;

    return learn_end(join, next, &end) && join->t_ms[0] > state->t_ms &&
           chunk_xor_append_chunk(state, join->bytes, chunk_xor_bytes(state) + next->bytes.len,
                                  next->bytes, &end);
}

size_t chunk_join(ChunkJoin *join, const BlockChunk *chunks, size_t count, BlockChunk *ret_chunk)
{
    size_t taken = 1, bytes = chunks[0].bytes.len;
    ChunkXor state;

    *ret_chunk = chunks[0];
    if (count < 2 || chunks[0].encoding != CHUNK_XOR ||
        !is_candidate(chunk_xor_count(chunks[0].bytes), bytes, &chunks[1]) ||
        !learn_end(join, &chunks[0], &state))
        return 1;
    memcpy(join->bytes, chunks[0].bytes.ptr, bytes);
    while (taken < count && is_candidate(state.count, chunk_xor_bytes(&state), &chunks[taken]) &&
           append_chunk(join, &state, &chunks[taken]))
        taken++;
    if (taken == 1)
        return 1;
    ret_chunk->max_t_ms = chunks[taken - 1].max_t_ms;
    ret_chunk->bytes = (Str){(const char *)join->bytes, chunk_xor_bytes(&state)};
    return taken;
}
