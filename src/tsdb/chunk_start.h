// SPDX-License-Identifier: Apache-2.0
// chunk_start.h: the start timestamps in chunks of encodings 4, 5 and 6 (prometheus.md 6.6), behind the other fields of each sample.
//
//     header byte | sample 0 has one: 1 bit | first sample with a field: 7 bits, 0 none |
//
// Samples before the first field have the start of sample 0. The first field is the time before less the start, the others are the
// change of that. As an index beyond 127 has no room in the header, the fields begin at 127 at the latest.
#pragma once

#include "tsdb/bitstream.h"
#include "tsdb/chunk.h"

#define CHUNK_START_FROM_MAX 127
#define CHUNK_START_HISTOGRAMS_MAX 0x3fff // samples: two bits of the count hold flags

typedef struct ChunkStart {
    bool first;   // sample 0 has one
    uint8_t from; // from this sample on each has one; 0: none
    int64_t start_ms;
    uint64_t gap; // newest field's sum
} ChunkStart;

static inline ChunkStart chunk_start_from(uint8_t header)
{
    return (ChunkStart){.first = (header & 0x80) != 0, .from = header & 0x7f};
}

// The start of sample `index` at t_ms, after one at before_ms.
static inline int64_t chunk_start_read(ChunkStart *start, size_t index, int64_t t_ms,
                                       int64_t before_ms, BitReader *r)
{
    if (index == 0) {
        if (start->first)
            start->start_ms = (int64_t)((uint64_t)t_ms - (uint64_t)bit_reader_varint(r));
    } else if (start->from && index >= start->from) {
        start->gap += (uint64_t)bit_reader_varbit_int(r);
        start->start_ms = (int64_t)((uint64_t)before_ms - start->gap);
    }
    return start->start_ms;
}

// The header byte for these samples.
uint8_t chunk_start_header(const int64_t *start_ms, size_t count);
// Writes what belongs behind sample `index`. `start` comes from chunk_start_from(header) and has seen the samples before.
void chunk_start_put(ChunkStart *start, size_t index, int64_t t_ms, int64_t before_ms,
                     int64_t start_ms, BitWriter *w);

// Makes of a finished chunk of encoding 1, 2 or 3 one that says start_ms[i] of sample i, too; the bytes live in the arena. False if the
// chunk cannot be read, has more samples than such a chunk may have, or if no start is known: then it stays as it is.
bool chunk_start_weave(Arena *arena, ChunkEncoding *encoding, Str *chunk, const int64_t *start_ms);
// Makes of a chunk of encoding 1 one of encoding 4 that knows no starts; others, and what cannot be read, stay as they are.
void chunk_start_repack(Arena *arena, ChunkEncoding *encoding, Str *chunk);
