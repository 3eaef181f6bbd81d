// SPDX-License-Identifier: Apache-2.0
#include "codec/protobuf.h"

#include "base/number.h"

#define PROTO_FIELD_MAX 536870911 // 2^29 - 1, the largest field number

ProtoReader proto_reader(Str message)
{
    return (ProtoReader){.reader = reader_from(message)};
}

static inline uint32_t take_u32le(Reader *r)
{
    uint32_t v = 0;
    if (reader_take(r, 4)) {
        memcpy(&v, r->at, 4);
        r->at += 4;
    }
    return v;
}

bool proto_next_any(ProtoReader *r)
{
    Reader *in = &r->reader;
    if (r->failed || in->at == in->end)
        return false;

    uint64_t tag = reader_uvarint(in);
    uint64_t field = tag >> 3;
    if (in->failed || field == 0 || field > PROTO_FIELD_MAX) {
        r->failed = true;
        return false;
    }
    r->field = (uint32_t)field;
    r->wire = (ProtoWire)(tag & 7);
    switch (r->wire) {
    case PROTO_VARINT:
        r->number = reader_uvarint(in);
        break;
    case PROTO_FIXED64:
        r->number = reader_u64le(in);
        break;
    case PROTO_BYTES:
        r->bytes = reader_str(in);
        break;
    case PROTO_FIXED32:
        r->number = take_u32le(in);
        break;
    default:
        in->failed = true; // groups and the two unused wire types
    }
    r->failed = in->failed;
    return !r->failed;
}

double proto_double(const ProtoReader *r)
{
    return double_from_bits(r->number);
}

int64_t proto_zigzag(const ProtoReader *r)
{
    return (int64_t)(r->number >> 1) ^ -(int64_t)(r->number & 1);
}

bool proto_packed_next(Reader *packed, ProtoWire wire, uint64_t *ret_number)
{
    if (packed->failed || packed->at == packed->end)
        return false;
    uint64_t number = 0;
    switch (wire) {
    case PROTO_VARINT:
        number = reader_uvarint(packed);
        break;
    case PROTO_FIXED64:
        number = reader_u64le(packed);
        break;
    case PROTO_FIXED32:
        number = take_u32le(packed);
        break;
    default:
        packed->failed = true; // bytes cannot be packed
    }
    if (packed->failed)
        return false;
    *ret_number = number;
    return true;
}

static void add_tag(Buf *buf, uint32_t field, ProtoWire wire)
{
    buf_add_uvarint(buf, (uint64_t)field << 3 | wire);
}

void proto_add_varint(Buf *buf, uint32_t field, uint64_t value)
{
    add_tag(buf, field, PROTO_VARINT);
    buf_add_uvarint(buf, value);
}

void proto_add_zigzag(Buf *buf, uint32_t field, int64_t value)
{
    add_tag(buf, field, PROTO_VARINT);
    buf_add_varint(buf, value);
}

void proto_add_fixed64(Buf *buf, uint32_t field, uint64_t value)
{
    add_tag(buf, field, PROTO_FIXED64);
    buf_add_u64le(buf, value);
}

void proto_add_double(Buf *buf, uint32_t field, double value)
{
    proto_add_fixed64(buf, field, double_bits(value));
}

void proto_add_bytes(Buf *buf, uint32_t field, Str bytes)
{
    add_tag(buf, field, PROTO_BYTES);
    buf_add_uvarint(buf, bytes.len);
    buf_add_str(buf, bytes);
}

// One byte is kept for the length, enough for most messages; proto_end moves the message when it is longer.
size_t proto_begin(Buf *buf, uint32_t field)
{
    add_tag(buf, field, PROTO_BYTES);
    buf_add_char(buf, 0);
    return buf->len;
}

void proto_end(Buf *buf, size_t begin)
{
    if (buf->failed)
        return;
    ASSERT(begin > 0 && begin <= buf->len);
    uint64_t len = buf->len - begin;
    size_t more = 0;
    for (uint64_t rest = len >> 7; rest; rest >>= 7)
        more++;
    if (more) {
        if (!buf_reserve(buf, more))
            return;
        memmove(buf->ptr + begin + more, buf->ptr + begin, (size_t)len);
        buf->len += more;
    }
    char *at = buf->ptr + begin - 1;
    for (; len >= 0x80; len >>= 7)
        *at++ = (char)(len | 0x80);
    *at = (char)len;
}
