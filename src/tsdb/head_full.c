// SPDX-License-Identifier: Apache-2.0
#include "tsdb/head_full.h"

#include <string.h>

#include "base/varint.h"

#define HEADER_BYTES 4

typedef struct Header {
    uint16_t used;
    uint16_t count;
} Header;

static const uint8_t *next(const uint8_t *at, FullChunk *chunk)
{
    chunk->ref += (uint64_t)get_varint(&at);
    chunk->min_t_ms = (int64_t)((uint64_t)chunk->max_t_ms + (uint64_t)get_varint(&at));
    chunk->max_t_ms = (int64_t)((uint64_t)chunk->min_t_ms + get_uvarint(&at));
    return at;
}

static uint8_t *put(uint8_t *at, FullChunk before, FullChunk chunk)
{
    at = put_varint(at, (int64_t)(chunk.ref - before.ref));
    at = put_varint(at, (int64_t)((uint64_t)chunk.min_t_ms - (uint64_t)before.max_t_ms));
    return put_uvarint(at, (uint64_t)chunk.max_t_ms - (uint64_t)chunk.min_t_ms);
}

static Header header_of(const Pool *pool, PoolHandle list)
{
    Header header = {HEADER_BYTES, 0};
    if (list)
        memcpy(&header, pool_at(pool, list), sizeof header);
    return header;
}

size_t head_full_count(const Pool *pool, PoolHandle list)
{
    return header_of(pool, list).count;
}

void head_full_decode(const Pool *pool, PoolHandle list, FullChunk *out)
{
    Header header = header_of(pool, list);
    const uint8_t *at = list ? pool_at(pool, list) + HEADER_BYTES : NULL;
    FullChunk chunk = {0};

    for (size_t i = 0; i < header.count; i++) {
        at = next(at, &chunk);
        out[i] = chunk;
    }
}

size_t head_full_overlapping(const Pool *pool, PoolHandle list, int64_t min_t_ms, int64_t max_t_ms,
                             FullChunk *out, int64_t *ret_last_ms)
{
    Header header = header_of(pool, list);
    const uint8_t *at = list ? pool_at(pool, list) + HEADER_BYTES : NULL;
    FullChunk chunk = {0};
    size_t kept = 0;

    for (size_t i = 0; i < header.count; i++) {
        at = next(at, &chunk);
        if (chunk.max_t_ms >= min_t_ms && chunk.min_t_ms <= max_t_ms)
            out[kept++] = chunk;
    }
    *ret_last_ms = header.count ? chunk.max_t_ms : INT64_MIN;
    return kept;
}

int64_t head_full_first_time(const Pool *pool, PoolHandle list)
{
    FullChunk chunk = {0};
    (void)next(pool_at(pool, list) + HEADER_BYTES, &chunk);
    return chunk.min_t_ms;
}

PoolHandle head_full_add(Pool *pool, PoolHandle list, FullChunk chunk)
{
    Header header = header_of(pool, list);
    FullChunk last = {0};
    uint8_t code[FULL_CHUNK_BYTES_MAX];

    if (header.used > UINT16_MAX - FULL_CHUNK_BYTES_MAX || header.count == UINT16_MAX)
        return 0;
    if (header.count) {
        const uint8_t *at = pool_at(pool, list) + HEADER_BYTES;
        for (size_t i = 0; i < header.count; i++)
            at = next(at, &last);
    }
    size_t len = (size_t)(put(code, last, chunk) - code);
    if (!list || header.used + len > pool_size(pool, list))
        list = pool_grow(pool, list, list ? header.used : 0, (uint32_t)(header.used + len));
    memcpy(pool_at(pool, list) + header.used, code, len);
    header.used = (uint16_t)(header.used + len);
    header.count++;
    memcpy(pool_at(pool, list), &header, sizeof header);
    return list;
}

PoolHandle head_full_replace(Pool *pool, PoolHandle list, const FullChunk *chunks, size_t count)
{
    PoolHandle fresh = 0;

    for (size_t i = 0; i < count; i++)
        fresh = head_full_add(pool, fresh, chunks[i]);
    pool_free(pool, list);
    return fresh;
}
