// SPDX-License-Identifier: Apache-2.0
#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/number.h"
#include "base/varint.h"

#define BUF_BYTES_MIN ((size_t)256)

void buf_init(Buf *buf, size_t max)
{
    *buf = (Buf){.max = max};
}

void buf_deinit(Buf *buf)
{
    free(buf->ptr);
    *buf = (Buf){.max = buf->max};
}

char *buf_reserve_slow(Buf *buf, size_t more)
{
    size_t max = buf->max ? buf->max : SIZE_MAX / 2;
    if (buf->failed || more > max || buf->len > max - more) {
        buf->failed = true;
        return NULL;
    }
    size_t want = buf->len + more;
    if (want > buf->cap || !buf->ptr) {
        size_t cap = MAX(buf->cap * 2, BUF_BYTES_MIN);
        cap = MAX(MIN(cap, max), want);
        buf->ptr = x_realloc(buf->ptr, cap);
        buf->cap = cap;
    }
    return buf->ptr + buf->len;
}

void buf_vprintf(Buf *buf, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    if (len < 0)
        return;
    char *at = buf_reserve(buf, (size_t)len + 1);
    if (!at)
        return;
    vsnprintf(at, (size_t)len + 1, fmt, args);
    buf->len += (size_t)len;
}

void buf_printf(Buf *buf, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    buf_vprintf(buf, fmt, args);
    va_end(args);
}

void buf_add_u64(Buf *buf, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    buf_add(buf, digits + at, sizeof digits - at);
}

void buf_add_i64(Buf *buf, int64_t value)
{
    if (value < 0)
        buf_add_char(buf, '-');
    buf_add_u64(buf, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void buf_add_u16be(Buf *buf, uint16_t value)
{
    value = __builtin_bswap16(value);
    buf_add(buf, &value, sizeof value);
}

void buf_add_u32be(Buf *buf, uint32_t value)
{
    value = __builtin_bswap32(value);
    buf_add(buf, &value, sizeof value);
}

void buf_add_u64be(Buf *buf, uint64_t value)
{
    value = __builtin_bswap64(value);
    buf_add(buf, &value, sizeof value);
}

void buf_add_u64le(Buf *buf, uint64_t value)
{
    buf_add(buf, &value, sizeof value);
}

void buf_add_uvarint(Buf *buf, uint64_t value)
{
    char *at = buf_reserve(buf, VARINT_BYTES_MAX);
    if (!at)
        return;
    buf->len += (size_t)((char *)put_uvarint((uint8_t *)at, value) - at);
}

void buf_add_varint(Buf *buf, int64_t value)
{
    buf_add_uvarint(buf, (uint64_t)value << 1 ^ (uint64_t)(value >> 63));
}

bool buf_ok(const Buf *buf, const char *what, Error *err)
{
    if (buf->failed)
        return error_set(err, ERR_LIMIT, "%s is larger than %zu bytes", what, buf->max);
    return true;
}

void buf_add_double_f(Buf *buf, double v)
{
    char *at = buf_reserve(buf, NUMBER_BYTES_MAX);
    if (at)
        buf->len += number_format_f(v, at);
}

void buf_add_double_g(Buf *buf, double v)
{
    char *at = buf_reserve(buf, NUMBER_BYTES_MAX);
    if (at)
        buf->len += number_format_g(v, at);
}

void buf_add_double_json(Buf *buf, double v)
{
    char *at = buf_reserve(buf, NUMBER_BYTES_MAX);
    if (at)
        buf->len += number_format_json(v, at);
}
