// SPDX-License-Identifier: Apache-2.0
// chunk_start.h: the start timestamps in chunks of encodings 4, 5 and 6 (prometheus.md 6.6): where they are, so that they can be skipped.
#pragma once

#include "tsdb/bitstream.h"

typedef struct ChunkStart {
    bool first;   // sample 0 has one
    uint8_t from; // from this sample on each has one; 0: none
} ChunkStart;

static inline ChunkStart chunk_start_from(uint8_t header)
{
    return (ChunkStart){(header & 0x80) != 0, header & 0x7f};
}

// Behind the other fields of sample `index`.
static inline void chunk_start_skip(ChunkStart start, size_t index, BitReader *r)
{
    if (index == 0) {
        if (start.first)
            (void)bit_reader_varint(r);
    } else if (start.from && index >= start.from) {
        (void)bit_reader_varbit_int(r);
    }
}
