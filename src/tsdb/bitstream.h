// SPDX-License-Identifier: Apache-2.0
// bitstream.h: bits, most significant first, in bytes that the caller owns.
//
//     bytes  | 7 6 5 4 3 2 1 0 | 7 6 5 4 3 2 1 0 | ...
//     bit      0 1 2 3 4 5 6 7   8 9 ...
//
// A position is a count of bits from the start of the bytes. What lies behind the written bits is undefined: every write leaves the
// rest of its last byte zero, so that finished bytes are padded with zeros.
#pragma once

#include <string.h>

#include "base/buf.h"
#include "base/macros.h"

static inline uint64_t bitstream_load_be64(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, 8);
    return __builtin_bswap64(word);
}

static inline void bitstream_store_be64(uint8_t *at, uint64_t word)
{
    word = __builtin_bswap64(word);
    memcpy(at, &word, 8);
}

// The slow half of bitstream_put: never touches a byte behind the last bit it writes.
void bitstream_put_exact(uint8_t *bytes, size_t bit, uint64_t value, unsigned count);

// Writes the low `count` bits (0 to 64) of value at position `bit`; bits above them are ignored. The caller has made sure that they
// fit below `cap` bytes.
static inline void bitstream_put(uint8_t *bytes, size_t cap, size_t bit, uint64_t value,
                                 unsigned count)
{
    size_t index = bit >> 3;
    unsigned used = (unsigned)(bit & 7);

    if (LIKELY(count + used <= 64 && index + 8 <= cap && count > 0)) {
        uint64_t kept = used ? ((uint64_t)bytes[index] << 56) & ~(UINT64_MAX >> used) : 0;
        bitstream_store_be64(bytes + index, kept | (value << (64 - count)) >> used);
    } else if (cap >= 8 && bit + count <= cap * 8 && bit >= (cap - 8) * 8 && count > 0) {
        // In the last eight bytes.
        used = (unsigned)(bit - (cap - 8) * 8);
        uint64_t kept = bitstream_load_be64(bytes + cap - 8) & ~(UINT64_MAX >> used);
        bitstream_store_be64(bytes + cap - 8, kept | (value << (64 - count)) >> used);
    } else {
        bitstream_put_exact(bytes, bit, value, count);
    }
}

// The bits from `bit` on, left-aligned; at least 57 of them count. Reads 8 bytes.
static inline uint64_t bitstream_window(const uint8_t *bytes, size_t bit)
{
    return bitstream_load_be64(bytes + (bit >> 3)) << (bit & 7);
}

// `count` bits (1 to 64) at `bit`. Reads 9 bytes.
static inline uint64_t bitstream_get(const uint8_t *bytes, size_t bit, unsigned count)
{
    const uint8_t *at = bytes + (bit >> 3);
    unsigned used = (unsigned)(bit & 7);
    uint64_t word = (bitstream_load_be64(at) << used) | (at[8] >> (8 - used));
    return word >> (64 - count);
}

// A reader that checks: after the first read behind the end every read gives zero and `failed` is set.
typedef struct BitReader {
    const uint8_t *bytes;
    size_t bit;  // next to read
    size_t bits; // in all
    bool failed;
} BitReader;

static inline BitReader bit_reader_from(Str bytes)
{
    return (BitReader){(const uint8_t *)bytes.ptr, 0, bytes.len * 8, false};
}

// The slow half of bit_reader_get: near the end of the bytes.
uint64_t bit_reader_get_tail(BitReader *r, unsigned count);

// `count` bits, 0 to 64.
static inline uint64_t bit_reader_get(BitReader *r, unsigned count)
{
    if (UNLIKELY(count == 0 || r->failed || (r->bit >> 3) + 9 > r->bits >> 3))
        return bit_reader_get_tail(r, count);
    uint64_t value = bitstream_get(r->bytes, r->bit, count);
    r->bit += count;
    return value;
}

uint64_t bit_reader_uvarint(BitReader *r);
int64_t bit_reader_varint(BitReader *r);
int64_t bit_reader_varbit_int(BitReader *r);   // prometheus.md 6.5
uint64_t bit_reader_varbit_uint(BitReader *r); // the same
int64_t bit_reader_varbit_ts(BitReader *r);    // delta of delta of XOR chunks

// A writer that grows: for histogram chunks.
typedef struct BitWriter {
    Buf buf;
    size_t bit; // next to write
} BitWriter;

void bit_writer_deinit(BitWriter *w);
void bit_writer_reset(BitWriter *w);
void bit_writer_put(BitWriter *w, uint64_t value, unsigned count);
void bit_writer_uvarint(BitWriter *w, uint64_t value);
void bit_writer_varint(BitWriter *w, int64_t value);
void bit_writer_varbit_int(BitWriter *w, int64_t value);
void bit_writer_varbit_uint(BitWriter *w, uint64_t value);
// What was written, padded with zero bits; good until the next write.
Str bit_writer_str(const BitWriter *w);

// True if value lies in the asymmetric range of an n-bit varbit_int: -(2^(n-1)-1) to 2^(n-1).
static inline bool bitstream_fits(int64_t value, unsigned bits)
{
    return value >= -(((int64_t)1 << (bits - 1)) - 1) && value <= (int64_t)1 << (bits - 1);
}

// Undoes the cut to n bits.
static inline int64_t bitstream_widen(uint64_t value, unsigned bits)
{
    if (bits < 64 && value > (uint64_t)1 << (bits - 1))
        value -= (uint64_t)1 << bits;
    return (int64_t)value;
}
