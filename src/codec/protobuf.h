// SPDX-License-Identifier: Apache-2.0
// protobuf.h: the protobuf wire format, field by field; no generated code, no allocation.
//
//     ProtoReader r = proto_reader(bytes);
//     while (proto_next(&r)) switch (r.field) { case 1: name = r.bytes; break; ... }
//     if (r.failed) ...
#pragma once

#include "base/buf.h"
#include "base/reader.h"

typedef enum ProtoWire {
    PROTO_VARINT = 0,
    PROTO_FIXED64 = 1,
    PROTO_BYTES = 2,
    PROTO_FIXED32 = 5
} ProtoWire;

typedef struct ProtoReader {
    Reader reader;
    bool failed;
    uint32_t field;
    ProtoWire wire;
    uint64_t number; // varint and fixed
    Str bytes;       // PROTO_BYTES: a view
} ProtoReader;

ProtoReader proto_reader(Str message);
// Reads the next field; false at the end or on failure. Groups are refused.
static inline bool proto_next(ProtoReader *r);
double proto_double(const ProtoReader *r);  // of a fixed64
int64_t proto_zigzag(const ProtoReader *r); // of a varint
// Repeated scalars arrive packed or one by one; these read the values of a packed field.
bool proto_packed_next(Reader *packed, ProtoWire wire, uint64_t *ret_number);

void proto_add_varint(Buf *buf, uint32_t field, uint64_t value);
void proto_add_zigzag(Buf *buf, uint32_t field, int64_t value);
void proto_add_fixed64(Buf *buf, uint32_t field, uint64_t value);
void proto_add_double(Buf *buf, uint32_t field, double value);
void proto_add_bytes(Buf *buf, uint32_t field, Str bytes);
// Begins a nested message of unknown length; `proto_end` puts the length in front.
size_t proto_begin(Buf *buf, uint32_t field);
void proto_end(Buf *buf, size_t begin);

bool proto_next_any(ProtoReader *r); // of any form

// Most fields are bytes or doubles under a small number: a byte of tag, and one or two of length, or a word.
static inline bool proto_next(ProtoReader *r)
{
    const uint8_t *at = r->reader.at;
    size_t left = reader_left(&r->reader);
    if (UNLIKELY(left < 3 || at[0] <= 7 || at[0] >= 0x80 || r->failed))
        return proto_next_any(r);
    r->field = at[0] >> 3;
    if (LIKELY((at[0] & 7) == PROTO_BYTES)) {
        bool is_long = at[1] >= 0x80;
        size_t len = is_long ? (at[1] & 0x7f) | (size_t)at[2] << 7 : at[1];
        size_t head = is_long ? 3 : 2;
        if (UNLIKELY(len > left - head || (is_long && at[2] >= 0x80)))
            return proto_next_any(r);
        r->wire = PROTO_BYTES;
        r->bytes = str_make((const char *)at + head, len);
        r->reader.at = at + head + len;
        return true;
    }
    if (UNLIKELY((at[0] & 7) != PROTO_FIXED64 || left < 1 + sizeof r->number))
        return proto_next_any(r);
    r->wire = PROTO_FIXED64;
    r->reader.at = at + 1;
    r->number = reader_u64le(&r->reader);
    return true;
}
