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

static inline void chunk_xor_note(ChunkXor *chunk, uint8_t *bytes, int64_t t_ms, uint64_t delta,
                                  uint64_t value, uint32_t bits)
{
    chunk->t_ms = t_ms;
    chunk->delta = delta;
    chunk->value = value;
    chunk->bits = bits;
    chunk->count++;
    bytes[0] = (uint8_t)(chunk->count >> 8);
    bytes[1] = (uint8_t)chunk->count;
}

// The code of a changed value: its prefix joins what is in *code, its bits follow. Remembers a new window.
static inline unsigned chunk_xor_window(ChunkXor *chunk, uint64_t xor_bits, uint64_t *code,
                                        unsigned *code_bits)
{
    unsigned leading = MIN((unsigned)__builtin_clzll(xor_bits), 31u);
    unsigned trailing = (unsigned)__builtin_ctzll(xor_bits);

    if (leading >= chunk->leading && trailing >= chunk->trailing &&
        chunk->leading != CHUNK_XOR_NO_WINDOW) {
        *code = *code << 2 | 2;
        *code_bits += 2;
        return 64u - chunk->leading - chunk->trailing;
    }
    unsigned wide = 64 - leading - trailing;
    *code = *code << 13 | 3 << 11 | leading << 6 | (wide & 63);
    *code_bits += 13;
    chunk->leading = (uint8_t)leading;
    chunk->trailing = (uint8_t)trailing;
    return wide;
}

// Adds a sample whose time is coded already: code_bits (at most 36) low bits of `code`.
static inline bool chunk_xor_append_coded(ChunkXor *chunk, uint8_t *bytes, size_t cap, int64_t t_ms,
                                          double value, uint64_t code, unsigned code_bits)
{
    uint64_t bits = chunk_xor_to_bits(value);
    uint64_t xor_bits = bits ^ chunk->value;
    unsigned wide = 0;
    uint8_t leading = chunk->leading, trailing = chunk->trailing;

    if (xor_bits == 0) {
        code <<= 1;
        code_bits++;
    } else {
        wide = chunk_xor_window(chunk, xor_bits, &code, &code_bits);
    }
    if (UNLIKELY((chunk->bits + code_bits + wide + 7) / 8 > cap)) {
        chunk->leading = leading;
        chunk->trailing = trailing;
        return false;
    }
    uint32_t at = chunk->bits;
    if (LIKELY(code_bits + wide <= 57)) {
        bitstream_put(bytes, cap, at, wide ? code << wide | xor_bits >> chunk->trailing : code,
                      code_bits + wide);
    } else {
        unsigned high = wide / 2;
        bitstream_put(bytes, cap, at, code, code_bits);
        bitstream_put(bytes, cap, at + code_bits, xor_bits >> chunk->trailing >> (wide - high),
                      high);
        bitstream_put(bytes, cap, at + code_bits + high, xor_bits >> chunk->trailing, wide - high);
    }
    chunk_xor_note(chunk, bytes, t_ms, (uint64_t)t_ms - (uint64_t)chunk->t_ms, bits,
                   at + code_bits + wide);
    return true;
}

// Adds one sample; t_ms is above the newest, count below CHUNK_SAMPLES_MAX. False, and nothing changed, if the sample does not fit
// below `cap` bytes: move the bytes to more room (CHUNK_XOR_SAMPLE_BYTES_MAX more is always enough) and try again.
static inline bool chunk_xor_append(ChunkXor *chunk, uint8_t *bytes, size_t cap, int64_t t_ms,
                                    double value)
{
    int64_t dod = (int64_t)((uint64_t)t_ms - (uint64_t)chunk->t_ms - chunk->delta);

    if (UNLIKELY(chunk->count < 2 || !bitstream_fits(dod, 14)))
        return chunk_xor_append_slow(chunk, bytes, cap, t_ms, value);
    return chunk_xor_append_coded(chunk, bytes, cap, t_ms, value,
                                  dod ? 0x8000 | ((uint64_t)dod & 0x3fff) : 0, dod ? 16 : 1);
}

// Adds samples as chunk_xor_append does one by one, for a chunk that has two or more, up to the first that does not fit, is not later than the
// one before, is *left_ms or more behind it, or comes at a delta of deltas that is long. Takes the times off *left_ms and returns how many it took.
size_t chunk_xor_append_run(ChunkXor *chunk, uint8_t *bytes, size_t cap, const int64_t *t_ms,
                            const double *value, size_t count, uint32_t *left_ms);

static inline size_t chunk_xor_count(Str chunk)
{
    return chunk.len < 2 ? 0 : (size_t)((uint8_t)chunk.ptr[0] << 8 | (uint8_t)chunk.ptr[1]);
}

// Decodes up to `max` samples straight into two columns. Returns how many there are now; fewer than MIN(max, chunk_xor_count(chunk))
// means that the bytes are torn or corrupt behind them.
size_t chunk_xor_decode(Str chunk, int64_t *t_ms, double *value, size_t max);
// The same, but may stop behind the first sample that is later than until_ms.
size_t chunk_xor_decode_until(Str chunk, int64_t until_ms, int64_t *t_ms, double *value,
                              size_t max);

// As chunk_xor_decode, and tells the state from which appending to the finished chunk goes on, if all of its samples fit below `max`.
// False if they do not, or if the bytes are no whole chunk.
bool chunk_xor_decode_end(Str chunk, int64_t *t_ms, double *value, size_t max, ChunkXor *ret_end);
// The same, without the samples.
bool chunk_xor_resume(Str chunk, ChunkXor *ret_chunk);

// Adds the samples of a finished chunk that begins behind the newest one: its first two times are told anew, all other bits are copied.
// `end` is what chunk_xor_decode_end told of it. False, and nothing changed, if all that takes more than `room` bytes.
bool chunk_xor_append_chunk(ChunkXor *chunk, uint8_t *bytes, size_t room, Str next,
                            const ChunkXor *end);
