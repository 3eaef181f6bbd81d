// SPDX-License-Identifier: Apache-2.0
#include "tsdb/wal_pack.h"

#include "tsdb/wal_pack_put.h"

enum {
    HEAD_BYTES = 17, // type, first ref, first time
    TABLE_BITS = 10,
    PREFIX_BYTES_MIN = 4, // a shorter one costs what it saves
    SUFFIX_BYTES_MIN = 4,
    BEFORE_BYTES_MAX = 3, // of ref and time that are looked at in front of an equal value
};

typedef struct Packer {
    const uint8_t *begin; // of the record
    const uint8_t *end;
    const uint8_t *literal; // what is not written yet begins here
    uint8_t *out;
    const uint8_t *before;               // value of the sample before
    const uint8_t *zeros[9];             // newest end of at least so many zeros
    uint32_t values[1u << TABLE_BITS];   // hash of a value: where it stood last
    uint32_t suffixes[1u << TABLE_BITS]; // of its last four bytes
} Packer;

// `bytes` (4 to 64) at `at` are those that stand `offset` before it.
static inline void put_copy(Packer *p, const uint8_t *at, size_t offset, size_t bytes)
{
    p->out = pack_put_literal(p->out, p->literal, at, p->end);
    p->out = pack_put_copy(p->out, offset, bytes);
    p->literal = at + bytes;
}

// An equal value that came before, with what is alike in front of it.
static inline bool pack_equal(Packer *p, const uint8_t *value, uint64_t bits)
{
    size_t slot = (bits * 0x9e3779b97f4a7c15u) >> (64 - TABLE_BITS);
    const uint8_t *like = p->begin + p->values[slot];
    p->values[slot] = (uint32_t)(value - p->begin);
    if (pack_load(like) != bits || value - like > PACK_OFFSET_MAX || like == p->begin)
        return false;
    size_t before = 0;
    while (before < BEFORE_BYTES_MAX && value - before > p->literal &&
           value[-1 - (ptrdiff_t)before] == like[-1 - (ptrdiff_t)before])
        before++;
    put_copy(p, value - before, (size_t)(value - like), before + sizeof bits);
    return true;
}

// The last byte of the ref, the time and the first bytes of the value, where they are those of the sample before.
static inline void pack_prefix(Packer *p, const uint8_t *value)
{
    const uint8_t *from = value - 2;
    if (!p->before || from < p->literal)
        return;
    uint64_t differ = pack_load(from) ^ pack_load(p->before - 2);
    size_t same = differ ? (size_t)__builtin_ctzll(differ) / 8 : 8;
    if (same >= PREFIX_BYTES_MIN)
        put_copy(p, from, (size_t)(value - p->before), same);
}

// The zeros of an integer.
static inline void pack_zeros(Packer *p, const uint8_t *end, size_t count)
{
    const uint8_t *like = p->zeros[count];
    if (like && end - like <= PACK_OFFSET_MAX)
        put_copy(p, end - count, (size_t)(end - like), count);
    for (size_t i = SUFFIX_BYTES_MIN; i <= count; i++)
        p->zeros[i] = end;
}

// The end of the value: zeros, or the digits that a decimal fraction repeats.
static inline void pack_suffix(Packer *p, const uint8_t *value, uint64_t bits)
{
    const uint8_t *end = value + sizeof bits;
    size_t left = (size_t)(end - p->literal);
    size_t zeros = bits ? (size_t)__builtin_clzll(bits) / 8 : sizeof bits;
    if (zeros >= SUFFIX_BYTES_MIN) {
        if (left >= SUFFIX_BYTES_MIN)
            pack_zeros(p, end, MIN(zeros, left));
        return;
    }
    size_t slot = (uint32_t)(bits >> 32) * 0x9e3779b1u >> (32 - TABLE_BITS);
    const uint8_t *like = p->begin + p->suffixes[slot];
    p->suffixes[slot] = (uint32_t)(value - p->begin);
    uint64_t differ = pack_load(like) ^ bits;
    size_t same = MIN(differ ? (size_t)__builtin_clzll(differ) / 8 : sizeof bits, left);
    if (same >= SUFFIX_BYTES_MIN && like != p->begin && value - like <= PACK_OFFSET_MAX)
        put_copy(p, end - same, (size_t)(value - like), same);
}

static inline const uint8_t *skip_varint(const uint8_t *at, const uint8_t *end)
{
    while (at < end && *at & 0x80)
        at++;
    return at + 1;
}

bool wal_pack_has_runs(Str record)
{
    // The first sample is told by the head: no difference of ref, none of time, and its value.
    size_t second = HEAD_BYTES + 2 + sizeof(uint64_t);

    return record.len > second && record.ptr[second] == 0;
}

void wal_pack_pages(Str record, Buf *out)
{
    uint8_t *start = (uint8_t *)buf_reserve(out, record.len + record.len / 6 + PACK_SPARE_BYTES);
    if (!start)
        return;
    const uint8_t *begin = (const uint8_t *)record.ptr;
    const uint8_t *end = begin + record.len;
    Packer p = {
        .begin = begin, .end = end, .literal = begin, .out = pack_put_length(start, record.len)};
    const uint8_t *at = begin + MIN(record.len, (size_t)HEAD_BYTES);

    while (at < end) {
        const uint8_t *value = skip_varint(skip_varint(at, end), end);
        if (value + sizeof(uint64_t) > end)
            break;
        uint64_t bits = pack_load(value);
        if (!pack_equal(&p, value, bits)) {
            pack_prefix(&p, value);
            pack_suffix(&p, value, bits);
        }
        p.before = value;
        at = value + sizeof bits;
    }
    p.out = pack_put_literal(p.out, p.literal, end, end);
    out->len += (size_t)(p.out - start);
}

void wal_pack_samples(Str record, Buf *out)
{
    if (wal_pack_has_runs(record))
        wal_pack_runs(record, out);
    else
        wal_pack_pages(record, out);
}
