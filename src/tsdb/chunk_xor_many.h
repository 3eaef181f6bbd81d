// SPDX-License-Identifier: Apache-2.0
// chunk_xor_many.h: XOR chunks decoded side by side.
//
//     lane  0 | chunk 0 ......... | chunk 8 ...
//           1 | chunk 1 .. | chunk 9 .........        each step decodes the next sample of every lane
//           7 | chunk 7 ............ | ...
//
// Where a sample begins hangs on all bits before it, so one chunk keeps a core waiting; eight that know nothing of each other do not.
// Needs AVX-512 (BW, DQ), looked for at run time; without it chunks are decoded one after the other.
#pragma once

#include "tsdb/chunk_xor.h"

typedef struct ChunkXorJob {
    Str chunk;
    int64_t *t_ms; // room for `max` samples
    double *value;
    size_t max;  // to decode, at most
    size_t done; // out: as chunk_xor_decode_until tells
} ChunkXorJob;

// Decodes all jobs; each may stop behind its first sample that is later than until_ms.
void chunk_xor_decode_many(ChunkXorJob *jobs, size_t count, int64_t until_ms);
// The same on any machine.
void chunk_xor_decode_each(ChunkXorJob *jobs, size_t count, int64_t until_ms);
