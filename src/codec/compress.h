// SPDX-License-Identifier: Apache-2.0
// compress.h: snappy blocks, zstd frames, gzip and zlib. Decompression always names its largest allowed output.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

// Appends to `out`. Decoders fail ERR_LIMIT when the result is larger than bytes_max, ERR_INVALID on malformed input (nothing appended).
void snappy_encode(Str bytes, Buf *out);
bool snappy_decode(Str bytes, size_t bytes_max, Buf *out, Error *err) MUST_CHECK;
// The same into the arena, whose large blocks are used again: for what comes often and does not stay.
bool snappy_decode_to(Str bytes, size_t bytes_max, Arena *arena, Str *ret_plain,
                      Error *err) MUST_CHECK;
bool zstd_encode(Str bytes, int level, Buf *out, Error *err) MUST_CHECK;
bool zstd_decode(Str bytes, size_t bytes_max, Buf *out, Error *err) MUST_CHECK;
void gzip_encode(Str bytes, int level, Buf *out);
void zlib_encode(Str bytes, int level, Buf *out);
// One or more gzip members.
bool gzip_decode(Str bytes, size_t bytes_max, Buf *out, Error *err) MUST_CHECK;

// RFC 4648 base64 with padding.
void base64_encode(Str bytes, Buf *out);
bool base64_decode(Str text, Buf *out, Error *err) MUST_CHECK;
