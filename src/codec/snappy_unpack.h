// SPDX-License-Identifier: Apache-2.0
// snappy_unpack.h: what a snappy block holds (format_description.txt of google/snappy).
//
//     | length uvarint | tag, literal bytes | tag, offset of a copy | ...
//
// Blocks of samples are runs of a few bytes each, ten bytes after the last one. The library asks for a function call of 64 bytes for
// each of them; here they are moved in registers (`wal_pack_bench` tells both).
#pragma once

#include "base/str.h"

// The length that the block says it has: at most UINT32_MAX. False: it begins with none.
bool snappy_unpacked_bytes(Str block, size_t *ret_bytes);
// Writes exactly that many bytes to `out`. False if the block is malformed; `out` may then hold anything.
bool snappy_unpack(Str block, uint8_t *out, size_t bytes);
