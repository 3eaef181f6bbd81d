// SPDX-License-Identifier: Apache-2.0
#include "tsdb/head_open.h"

#include "base/reader.h"

static PoolHandle before(const Pool *pool, PoolHandle block)
{
    PoolHandle handle;
    memcpy(&handle, pool_at(pool, block), sizeof handle);
    return handle;
}

static PoolHandle block_new(Pool *pool, PoolHandle link)
{
    PoolHandle block = pool_alloc(pool, OPEN_BLOCK_BYTES);
    memcpy(pool_at(pool, block), &link, sizeof link);
    return block;
}

// How many blocks stand before this one, all of them full.
static size_t full_before(const Pool *pool, PoolHandle block)
{
    PoolHandle older = before(pool, block);
    uint16_t place = 0;

    if (older)
        memcpy(&place, head_open_at(pool, older), sizeof place);
    return place;
}

PoolHandle head_open_start(Pool *pool, ChunkXor *state, int64_t t_ms, double value)
{
    PoolHandle block = block_new(pool, 0);
    uint8_t *bytes = head_open_at(pool, block);

    chunk_xor_start(state, bytes);
    bool fits = chunk_xor_append(state, bytes, OPEN_BLOCK_CAP, t_ms, value);
    ASSERT(fits);
    return block;
}

PoolHandle head_open_spill(Pool *pool, PoolHandle newest, ChunkXor *state, int64_t t_ms,
                           double value)
{
    uint8_t bytes[OPEN_BLOCK_CAP + CHUNK_XOR_SAMPLE_BYTES_MAX + 8];

    memcpy(bytes, head_open_at(pool, newest), OPEN_BLOCK_CAP);
    bool fits = chunk_xor_append(state, bytes, sizeof bytes, t_ms, value);
    ASSERT(fits);
    size_t used = chunk_xor_bytes(state);
    if (used <= OPEN_BLOCK_CAP) { // it did fit, but not what the encoder keeps in reserve
        memcpy(head_open_at(pool, newest), bytes, OPEN_BLOCK_CAP);
        return newest;
    }
    // It fits: a chunk has fewer samples, and each block at least two.
    uint16_t place = (uint16_t)(full_before(pool, newest) + 1);
    memcpy(bytes, &place, sizeof place);
    memcpy(head_open_at(pool, newest), bytes, OPEN_BLOCK_CAP);
    PoolHandle block = block_new(pool, newest);
    memcpy(head_open_at(pool, block) + CHUNK_XOR_HEADER_BYTES, bytes + OPEN_BLOCK_CAP,
           used - OPEN_BLOCK_CAP);
    state->bits -= OPEN_BLOCK_DATA * 8;
    return block;
}

size_t head_open_bytes(const Pool *pool, PoolHandle newest, const ChunkXor *state)
{
    return chunk_xor_bytes(state) + full_before(pool, newest) * OPEN_BLOCK_DATA;
}

void head_open_copy(const Pool *pool, PoolHandle newest, const ChunkXor *state, size_t bytes,
                    uint8_t *out)
{
    size_t here = chunk_xor_bytes(state) - CHUNK_XOR_HEADER_BYTES;
    uint8_t *at = out + bytes;

    for (PoolHandle block = newest; block; block = before(pool, block)) {
        at -= here;
        memcpy(at, head_open_at(pool, block) + CHUNK_XOR_HEADER_BYTES, here);
        here = OPEN_BLOCK_DATA;
    }
    ASSERT(at == out + CHUNK_XOR_HEADER_BYTES);
    out[0] = (uint8_t)(state->count >> 8);
    out[1] = (uint8_t)state->count;
}

int64_t head_open_first_time(const Pool *pool, PoolHandle newest)
{
    PoolHandle block = newest;

    for (PoolHandle older; (older = before(pool, block));)
        block = older;
    Reader in = reader_from(
        (Str){(const char *)head_open_at(pool, block) + CHUNK_XOR_HEADER_BYTES, OPEN_BLOCK_DATA});
    return reader_varint(&in);
}

void head_open_free(Pool *pool, PoolHandle newest)
{
    while (newest) {
        PoolHandle older = before(pool, newest);
        pool_free(pool, newest);
        newest = older;
    }
}
