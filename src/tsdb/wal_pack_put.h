// SPDX-License-Identifier: Apache-2.0
// wal_pack_put.h: elements of a snappy block. Private to wal_pack.c and wal_pack_runs.c.
#pragma once

#include <string.h>

#include "base/macros.h"

enum {
    PACK_OFFSET_MAX = 65535,
    PACK_NEAR_OFFSET_MAX = 2047, // of a copy of two bytes
    PACK_NEAR_BYTES_MAX = 11,
    PACK_COPY_BYTES_MIN = 4,
    PACK_SHORT_BYTES = 16,
    PACK_SPARE_BYTES = 64,
};

static inline uint64_t pack_load(const uint8_t *at)
{
    uint64_t bytes;
    memcpy(&bytes, at, sizeof bytes);
    return bytes;
}

static inline uint8_t *pack_put_length(uint8_t *out, size_t length)
{
    for (; length >= 0x80; length >>= 7)
        *out++ = (uint8_t)length | 0x80;
    *out++ = (uint8_t)length;
    return out;
}

// Everything from `literal` up to `to` as it is; `end` is where the record ends.
static inline uint8_t *pack_put_literal(uint8_t *out, const uint8_t *literal, const uint8_t *to,
                                        const uint8_t *end)
{
    size_t bytes = (size_t)(to - literal);
    size_t more = bytes - 1;
    if (bytes == 0)
        return out;
    if (LIKELY(bytes <= 60)) {
        *out++ = (uint8_t)(more << 2);
    } else {
        size_t width = more < 1u << 8 ? 1 : more < 1u << 16 ? 2 : more < 1u << 24 ? 3 : 4;
        *out++ = (uint8_t)((59 + width) << 2);
        for (size_t i = 0; i < width; i++)
            *out++ = (uint8_t)(more >> 8 * i);
    }
    if (LIKELY(bytes <= PACK_SHORT_BYTES && end - literal >= PACK_SHORT_BYTES))
        memcpy(out, literal, PACK_SHORT_BYTES); // of constant length: no call
    else
        memcpy(out, literal, bytes);
    return out + bytes;
}

// A copy of 4 to 64 bytes.
static inline uint8_t *pack_put_copy(uint8_t *out, size_t offset, size_t bytes)
{
    if (offset <= PACK_NEAR_OFFSET_MAX && bytes <= PACK_NEAR_BYTES_MAX) {
        *out++ = (uint8_t)(1 | (bytes - 4) << 2 | (offset >> 8) << 5);
        *out++ = (uint8_t)offset;
    } else {
        *out++ = (uint8_t)(2 | (bytes - 1) << 2);
        *out++ = (uint8_t)offset;
        *out++ = (uint8_t)(offset >> 8);
    }
    return out;
}
