// SPDX-License-Identifier: Apache-2.0
// varint.h: LEB128 in memory of our own, without bounds. What strangers wrote is read by base/reader.h.
#pragma once

#include <stdint.h>

#define VARINT_BYTES_MAX 10

// Room for VARINT_BYTES_MAX is the caller's. Returns where the next byte goes.
static inline uint8_t *put_uvarint(uint8_t *at, uint64_t value)
{
    while (value >= 0x80) {
        *at++ = (uint8_t)value | 0x80;
        value >>= 7;
    }
    *at++ = (uint8_t)value;
    return at;
}

// Zig-zag.
static inline uint8_t *put_varint(uint8_t *at, int64_t value)
{
    return put_uvarint(at, (uint64_t)value << 1 ^ (uint64_t)(value >> 63));
}

static inline uint64_t get_uvarint(const uint8_t **at)
{
    uint64_t value = 0;
    unsigned shift = 0;
    uint8_t byte;
    do {
        byte = *(*at)++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        shift += 7;
    } while (byte & 0x80);
    return value;
}

static inline int64_t get_varint(const uint8_t **at)
{
    uint64_t u = get_uvarint(at);
    return (int64_t)(u >> 1) ^ -(int64_t)(u & 1);
}
