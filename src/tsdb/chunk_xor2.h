// SPDX-License-Identifier: Apache-2.0
// chunk_xor2.h: float chunks with start timestamps, encoding 4 (prometheus.md 6.6).
//
//     | count u16 | ST header u8 | t0 varint | v0 64 bits | st0 | t1-t0 uvarint | xor2 v1 | st1 | joint 2 | st2 | ...
//
// Written for chunks that have starts, and into blocks for all floats where the configuration says so (chunk_encoding.floats: xor2): else
// floats stay in encoding 1, which every version reads.
#pragma once

#include "base/arena.h"
#include "base/str.h"

// As chunk_xor_decode; start_ms[i] is 0 where nothing is known.
size_t chunk_xor2_decode(Str chunk, int64_t *t_ms, double *value, int64_t *start_ms, size_t max);

// The chunk of 1 to 65535 samples, in the arena.
Str chunk_xor2_encode(Arena *arena, const int64_t *t_ms, const double *value,
                      const int64_t *start_ms, size_t count);
