// SPDX-License-Identifier: Apache-2.0
// reader.h: reads integers and strings from foreign bytes. Remembers its first failure: after it every read gives
// zero, so look once at the end (`failed`).
#pragma once

#include "base/str.h"

typedef struct Reader {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
} Reader;

static inline Reader reader_from(Str bytes)
{
    const uint8_t *at = (const uint8_t *)bytes.ptr;
    return (Reader){at, bytes.len ? at + bytes.len : at, false}; // NULL + 0 is undefined in C
}

static inline size_t reader_left(const Reader *r)
{
    return (size_t)(r->end - r->at);
}

static inline bool reader_take(Reader *r, size_t bytes)
{
    if (UNLIKELY(r->failed || reader_left(r) < bytes)) {
        r->failed = true;
        return false;
    }
    return true;
}

static inline uint8_t reader_u8(Reader *r)
{
    return reader_take(r, 1) ? *r->at++ : 0;
}

static inline uint16_t reader_u16be(Reader *r)
{
    uint16_t v = 0;
    if (reader_take(r, 2)) {
        memcpy(&v, r->at, 2);
        r->at += 2;
    }
    return __builtin_bswap16(v);
}

static inline uint32_t reader_u32be(Reader *r)
{
    uint32_t v = 0;
    if (reader_take(r, 4)) {
        memcpy(&v, r->at, 4);
        r->at += 4;
    }
    return __builtin_bswap32(v);
}

static inline uint64_t reader_u64be(Reader *r)
{
    uint64_t v = 0;
    if (reader_take(r, 8)) {
        memcpy(&v, r->at, 8);
        r->at += 8;
    }
    return __builtin_bswap64(v);
}

static inline uint64_t reader_u64le(Reader *r)
{
    uint64_t v = 0;
    if (reader_take(r, 8)) {
        memcpy(&v, r->at, 8);
        r->at += 8;
    }
    return v;
}

// LEB128, at most 10 bytes.
uint64_t reader_uvarint_slow(Reader *r);

static inline uint64_t reader_uvarint(Reader *r)
{
    if (LIKELY(!r->failed && r->at < r->end && *r->at < 0x80))
        return *r->at++;
    return reader_uvarint_slow(r);
}

// Zig-zag LEB128.
static inline int64_t reader_varint(Reader *r)
{
    uint64_t u = reader_uvarint(r);
    return (int64_t)(u >> 1) ^ -(int64_t)(u & 1);
}

// The next `len` bytes as a view into the input.
static inline Str reader_bytes(Reader *r, size_t len)
{
    if (!reader_take(r, len))
        return STR_NONE;
    Str s = {(const char *)r->at, len};
    r->at += len;
    return s;
}

// uvarint length, then that many bytes.
static inline Str reader_str(Reader *r)
{
    uint64_t len = reader_uvarint(r);
    return len > reader_left(r) ? (r->failed = true, STR_NONE) : reader_bytes(r, (size_t)len);
}
