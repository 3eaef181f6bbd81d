// SPDX-License-Identifier: Apache-2.0
// chunk_xor2.h: float chunks, encoding 4 (prometheus.md 6.6): reading only, for blocks that a newer Prometheus wrote with start
// timestamps. Start timestamps are skipped.
//
//     | count u16 | ST header u8 | t0 varint | v0 64 bits | st0 | t1-t0 uvarint | xor2 v1 | st1 | joint 2 | st2 | ...
#pragma once

#include "base/str.h"

// As chunk_xor_decode.
size_t chunk_xor2_decode(Str chunk, int64_t *t_ms, double *value, size_t max);
