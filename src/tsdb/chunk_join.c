// SPDX-License-Identifier: Apache-2.0
#include "tsdb/chunk_join.h"

// True if the next chunk may be worth a try.
static bool is_candidate(size_t samples, size_t bytes, const BlockChunk *next)
{
    return next->encoding == CHUNK_XOR &&
           samples + chunk_xor_count(next->bytes) <= CHUNK_JOIN_SAMPLES_MAX &&
           bytes + next->bytes.len <= CHUNK_JOIN_BYTES_MAX;
}

// Appends the samples of `next` to what is in bytes[from], in the other buffer. False if that is no gain.
static bool append_chunk(ChunkJoin *join, int from, ChunkXor *state, const BlockChunk *next)
{
    size_t count = chunk_xor_count(next->bytes), before = chunk_xor_bytes(state);
    uint8_t *bytes = join->bytes[1 - from];
    ChunkXor grown = *state;

    if (chunk_xor_decode(next->bytes, join->t_ms, join->value, count) < count)
        return false;
    memcpy(bytes, join->bytes[from], before);
    for (size_t i = 0; i < count; i++)
        if (join->t_ms[i] <= grown.t_ms ||
            !chunk_xor_append(&grown, bytes, sizeof join->bytes[0], join->t_ms[i], join->value[i]))
            return false;
    // A window that was wide before stays wide: then two chunks are better than one.
    if (chunk_xor_bytes(&grown) > before + next->bytes.len)
        return false;
    *state = grown;
    return true;
}

size_t chunk_join(ChunkJoin *join, const BlockChunk *chunks, size_t count, BlockChunk *ret_chunk)
{
    size_t taken = 1, bytes = chunks[0].bytes.len;
    ChunkXor state;
    int from = 0;

    *ret_chunk = chunks[0];
    if (count < 2 || chunks[0].encoding != CHUNK_XOR ||
        chunk_xor_count(chunks[0].bytes) >= CHUNK_JOIN_SAMPLES_MAX ||
        !is_candidate(chunk_xor_count(chunks[0].bytes), bytes, &chunks[1]) ||
        !chunk_xor_resume(chunks[0].bytes, &state))
        return 1;
    memcpy(join->bytes[0], chunks[0].bytes.ptr, bytes);
    while (taken < count && is_candidate(state.count, chunk_xor_bytes(&state), &chunks[taken]) &&
           append_chunk(join, from, &state, &chunks[taken])) {
        from = 1 - from;
        taken++;
    }
    if (taken == 1)
        return 1;
    ret_chunk->max_t_ms = chunks[taken - 1].max_t_ms;
    ret_chunk->bytes = (Str){(const char *)join->bytes[from], chunk_xor_bytes(&state)};
    return taken;
}
