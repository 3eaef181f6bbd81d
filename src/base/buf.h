// SPDX-License-Identifier: Apache-2.0
// buf.h: growing bytes on the heap, up to a declared maximum. A Buf remembers its first failure: write freely,
// look once at the end with buf_ok().
#pragma once

#include <stdarg.h>

#include "base/error.h"
#include "base/str.h"

typedef struct Buf {
    char *ptr;
    size_t len;
    size_t cap;
    size_t max;  // never grows beyond; 0 means SIZE_MAX / 2
    bool failed; // a write did not fit; the bytes before it are intact
} Buf;

// A zeroed Buf is an empty one without a limit.
void buf_init(Buf *buf, size_t max);
void buf_deinit(Buf *buf);

static inline void buf_reset(Buf *buf)
{
    buf->len = 0;
    buf->failed = false;
}

static inline Str buf_str(const Buf *buf)
{
    return (Str){buf->ptr, buf->len};
}

// Makes room for `more` bytes behind len; returns where to write or NULL (failed is set).
char *buf_reserve_slow(Buf *buf, size_t more);

static inline char *buf_reserve(Buf *buf, size_t more)
{
    if (LIKELY(buf->cap - buf->len >= more && buf->ptr))
        return buf->ptr + buf->len;
    return buf_reserve_slow(buf, more);
}

static inline void buf_add(Buf *buf, const void *bytes, size_t len)
{
    char *at = buf_reserve(buf, len);
    if (LIKELY(at != NULL) && len) {
        memcpy(at, bytes, len);
        buf->len += len;
    }
}

static inline void buf_add_str(Buf *buf, Str s)
{
    buf_add(buf, s.ptr, s.len);
}

static inline void buf_add_c(Buf *buf, const char *c)
{
    buf_add(buf, c, strlen(c));
}

static inline void buf_add_char(Buf *buf, char c)
{
    char *at = buf_reserve(buf, 1);
    if (LIKELY(at != NULL)) {
        *at = c;
        buf->len++;
    }
}

static inline void buf_add_rune(Buf *buf, uint32_t rune)
{
    char *at = buf_reserve(buf, 4);
    if (LIKELY(at != NULL))
        buf->len += str_put_rune(at, rune);
}

void buf_printf(Buf *buf, const char *fmt, ...) PRINTF(2, 3);
void buf_vprintf(Buf *buf, const char *fmt, va_list args) PRINTF(2, 0);

// Decimal digits without printf.
void buf_add_i64(Buf *buf, int64_t value);
void buf_add_u64(Buf *buf, uint64_t value);

// Fixed-width and variable-length integers, for disk and wire. be: big endian, le: little endian.
void buf_add_u16be(Buf *buf, uint16_t value);
void buf_add_u32be(Buf *buf, uint32_t value);
void buf_add_u64be(Buf *buf, uint64_t value);
void buf_add_u64le(Buf *buf, uint64_t value);
void buf_add_uvarint(Buf *buf, uint64_t value); // LEB128
void buf_add_varint(Buf *buf, int64_t value);   // zig-zag LEB128

// ERR_LIMIT "<what> is larger than <max> bytes" if a write did not fit.
bool buf_ok(const Buf *buf, const char *what, Error *err) MUST_CHECK;
