// SPDX-License-Identifier: Apache-2.0
// chunk_xor_decoder.h: decoding of an XOR chunk that can be taken over in the middle. Private to chunk_xor*.c.
#pragma once

#include "tsdb/chunk_xor.h"

// What decoding carries from sample to sample.
typedef struct ChunkXorDecoder {
    const uint8_t *bytes;
    size_t bit;
    uint64_t t;
    uint64_t delta;
    uint64_t value;
    unsigned leading;
    unsigned trailing;
    int64_t until_ms; // what is later need not be decoded
} ChunkXorDecoder;

#define CHUNK_XOR_DECODE_BYTES_MAX                                                                 \
    20 // one sample touches no more, the width of the last load included

// A sample that begins behind it is too near the end of a chunk for wide loads. The chunk is longer than 2 * CHUNK_XOR_DECODE_BYTES_MAX.
static inline size_t chunk_xor_stop_bit(Str chunk)
{
    return (chunk.len - CHUNK_XOR_DECODE_BYTES_MAX) * 8;
}

// The first two samples, whose forms are their own, of at most `max`. Returns how many there are.
size_t chunk_xor_decode_begin(Str chunk, int64_t until_ms, ChunkXorDecoder *d, int64_t *t_ms,
                              double *value, size_t max);
// Goes on behind the `done` samples until there are `max` or one is too late. Returns how many there are.
size_t chunk_xor_decode_rest(Str chunk, ChunkXorDecoder *d, int64_t *t_ms, double *value,
                             size_t done, size_t max);
