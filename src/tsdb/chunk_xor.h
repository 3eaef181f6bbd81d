// SPDX-License-Identifier: Apache-2.0
// chunk_xor.h: float chunks, encoding 1 (prometheus.md 6.6): delta of delta of times, XOR of values.
//
//     | count u16 | t0 varint | v0 64 bits | t1-t0 uvarint | xor v1 | dod t2 | xor v2 | ...
//
// The bytes belong to the caller and are a whole chunk after every append; ChunkXor is what the next append must know, small enough
// to sit in a series' record. It doubles as the series' newest time and value.
#pragma once

#include "base/buf.h"
#include "tsdb/bitstream.h"

#define CHUNK_XOR_HEADER_BYTES 2
// No sample takes more: room for this many bytes is always enough for one more.
#define CHUNK_XOR_SAMPLE_BYTES_MAX 21
#define CHUNK_XOR_BYTES_TARGET 1005 // cut before a float chunk grows beyond (1024 - 19)
#define CHUNK_XOR_NO_WINDOW 0xff

typedef struct ChunkXor {
    int64_t t_ms;    // newest
    uint64_t delta;  // newest time less the one before
    uint64_t value;  // newest, as bits
    uint32_t bits;   // written
    uint16_t count;  // samples
    uint8_t leading; // window of the last XOR; CHUNK_XOR_NO_WINDOW: none yet
    uint8_t trailing;
} ChunkXor;

_Static_assert(sizeof(ChunkXor) == 32, "lives in every series record");

static inline uint64_t chunk_xor_to_bits(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, 8);
    return bits;
}

static inline double chunk_xor_from_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, 8);
    return value;
}

// An empty chunk in bytes of at least CHUNK_XOR_HEADER_BYTES.
static inline void chunk_xor_start(ChunkXor *chunk, uint8_t *bytes)
{
    *chunk = (ChunkXor){.bits = CHUNK_XOR_HEADER_BYTES * 8, .leading = CHUNK_XOR_NO_WINDOW};
    bytes[0] = bytes[1] = 0;
}

static inline size_t chunk_xor_bytes(const ChunkXor *chunk)
{
    return (chunk->bits + 7) / 8;
}

static inline double chunk_xor_value(const ChunkXor *chunk)
{
    return chunk_xor_from_bits(chunk->value);
}

// The first two samples, and delta of deltas or values that are long. The same contract as chunk_xor_append.
bool chunk_xor_append_slow(ChunkXor *chunk, uint8_t *bytes, size_t cap, int64_t t_ms, double value);

static inline void chunk_xor_note(ChunkXor *chunk, uint8_t *bytes, int64_t t_ms, uint64_t delta, uint64_t value,
                                  uint32_t bits)
{
    chunk->t_ms = t_ms;
    chunk->delta = delta;
    chunk->value = value;
    chunk->bits = bits;
    chunk->count++;
    bytes[0] = (uint8_t)(chunk->count >> 8);
    bytes[1] = (uint8_t)chunk->count;
}

// Adds one sample; t_ms is above the newest, count below CHUNK_SAMPLES_MAX. False, and nothing changed, if the sample does not fit
// below `cap` bytes: move the bytes to more room (CHUNK_XOR_SAMPLE_BYTES_MAX more is always enough) and try again.
static inline bool chunk_xor_append(ChunkXor *chunk, uint8_t *bytes, size_t cap, int64_t t_ms, double value)
{
    uint64_t delta = (uint64_t)t_ms - (uint64_t)chunk->t_ms;
    uint64_t bits = chunk_xor_to_bits(value);
    uint64_t xor_bits = bits ^ chunk->value;
    int64_t dod = (int64_t)(delta - chunk->delta);
    uint64_t code; // prefix of the time, then the value
    unsigned count;

    if (UNLIKELY(chunk->count < 2 || !bitstream_fits(dod, 14)))
        return chunk_xor_append_slow(chunk, bytes, cap, t_ms, value);

    if (LIKELY(dod == 0)) {
        code = 0;
        count = 1;
    } else {
        code = 0x8000 | ((uint64_t)dod & 0x3fff);
        count = 16;
    }
    if (xor_bits == 0) {
        code <<= 1;
        count++;
    } else {
        unsigned leading = MIN((unsigned)__builtin_clzll(xor_bits), 31u);
        unsigned trailing = (unsigned)__builtin_ctzll(xor_bits);
        if (leading >= chunk->leading && trailing >= chunk->trailing && chunk->leading != CHUNK_XOR_NO_WINDOW) {
            unsigned wide = 64u - chunk->leading - chunk->trailing;
            if (UNLIKELY(count + 2 + wide > 57))
                return chunk_xor_append_slow(chunk, bytes, cap, t_ms, value);
            code = (((code << 2) | 2) << wide) | (xor_bits >> chunk->trailing);
            count += 2 + wide;
        } else {
            unsigned wide = 64 - leading - trailing;
            if (UNLIKELY(count + 13 + wide > 57))
                return chunk_xor_append_slow(chunk, bytes, cap, t_ms, value);
            if (UNLIKELY((chunk->bits + count + 13 + wide + 7) / 8 > cap))
                return false;
            code = (((code << 13) | 3 << 11 | leading << 6 | wide) << wide) | (xor_bits >> trailing);
            count += 13 + wide;
            chunk->leading = (uint8_t)leading;
            chunk->trailing = (uint8_t)trailing;
        }
    }
    if (UNLIKELY((chunk->bits + count + 7) / 8 > cap))
        return false;
    bitstream_put(bytes, cap, chunk->bits, code, count);
    chunk_xor_note(chunk, bytes, t_ms, delta, bits, chunk->bits + count);
    return true;
}

static inline size_t chunk_xor_count(Str chunk)
{
    return chunk.len < 2 ? 0 : (size_t)((uint8_t)chunk.ptr[0] << 8 | (uint8_t)chunk.ptr[1]);
}

// Decodes up to `max` samples straight into two columns. Returns how many there are now; fewer than MIN(max, chunk_xor_count(chunk))
// means that the bytes are torn or corrupt behind them.
size_t chunk_xor_decode(Str chunk, int64_t *t_ms, double *value, size_t max);

// The state from which appending to a finished chunk goes on. False if the bytes are no whole chunk.
bool chunk_xor_resume(Str chunk, ChunkXor *ret_chunk);
