// SPDX-License-Identifier: Apache-2.0
// http_gzip.h: compresses an answer while it is being written, as one gzip member, zlib stream or zstd frame
// (browsers stop after a first member). The first two on isa-l, because it costs a fraction of zlib's time.
// Private to the room.
#pragma once

#include "base/buf.h"

typedef enum HttpEncoding {
    HTTP_ENCODING_IDENTITY,
    HTTP_ENCODING_GZIP,
    HTTP_ENCODING_DEFLATE, // zlib, as HTTP calls it
    HTTP_ENCODING_ZSTD,    // RFC 8878; the original does not have it
} HttpEncoding;

// The first of gzip, deflate and zstd that stands in an Accept-Encoding header; q values are ignored.
HttpEncoding http_encoding_choose(Str accept_encoding);
// "gzip", "deflate", "zstd"; empty for identity.
Str http_encoding_name(HttpEncoding encoding);

typedef struct HttpGzip HttpGzip;
HttpGzip *http_gzip_new(HttpEncoding encoding);
void http_gzip_free(HttpGzip *gzip); // accepts NULL
// Appends what is ready to `out`; `is_last` ends the stream (bytes may then be empty). `flush` makes
// everything given so far readable by the client.
void http_gzip_write(HttpGzip *gzip, Str bytes, bool flush, bool is_last, Buf *out);
