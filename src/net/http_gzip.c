// SPDX-License-Identifier: Apache-2.0
#include "net/http_gzip.h"

#include <isa-l/igzip_lib.h>
#include <stdlib.h>
#include <zstd.h>

#include "base/vectors.h"

enum {
    OUT_STEP_BYTES = 32 * 1024,
    ZSTD_LEVEL = 1,
    ZSTD_WINDOW_LOG = 18, // more would take megabytes for each answer on its way
};

struct HttpGzip {
    ZSTD_CCtx *zstd; // NULL: the stream below
    struct isal_zstream stream;
    uint8_t level_buf[ISAL_DEF_LVL1_DEFAULT];
};

HttpEncoding http_encoding_choose(Str accept_encoding)
{
    Str token;
    while (str_split_next(&accept_encoding, ',', &token)) {
        Str rest = token;
        Str name;
        if (!str_split_next(&rest, ';', &name))
            continue;
        name = str_trim(name);
        if (str_equal_nocase(name, S("gzip")))
            return HTTP_ENCODING_GZIP;
        if (str_equal_nocase(name, S("deflate")))
            return HTTP_ENCODING_DEFLATE;
        if (str_equal_nocase(name, S("zstd")))
            return HTTP_ENCODING_ZSTD;
    }
    return HTTP_ENCODING_IDENTITY;
}

Str http_encoding_name(HttpEncoding encoding)
{
    static const Str names[] = {STR(""), STR("gzip"), STR("deflate"), STR("zstd")};
    return names[encoding];
}

HttpGzip *http_gzip_new(HttpEncoding encoding)
{
    HttpGzip *gzip = x_malloc(sizeof *gzip);
    gzip->zstd = NULL;
    if (encoding == HTTP_ENCODING_ZSTD) {
        gzip->zstd = ZSTD_createCCtx();
        if (!gzip->zstd)
            out_of_memory(sizeof *gzip);
        size_t rc = ZSTD_CCtx_setParameter(gzip->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL);
        ASSERT(!ZSTD_isError(rc));
        rc = ZSTD_CCtx_setParameter(gzip->zstd, ZSTD_c_windowLog, ZSTD_WINDOW_LOG);
        ASSERT(!ZSTD_isError(rc));
        return gzip;
    }
    isal_deflate_init(&gzip->stream);
    gzip->stream.level = 1;
    gzip->stream.level_buf = gzip->level_buf;
    gzip->stream.level_buf_size = sizeof gzip->level_buf;
    gzip->stream.gzip_flag = encoding == HTTP_ENCODING_GZIP ? IGZIP_GZIP : IGZIP_ZLIB;
    return gzip;
}

void http_gzip_free(HttpGzip *gzip)
{
    if (gzip)
        ZSTD_freeCCtx(gzip->zstd); // accepts NULL
    free(gzip);
}

static void write_zstd(HttpGzip *gzip, Str bytes, bool flush, bool is_last, Buf *out)
{
    ZSTD_EndDirective directive = is_last ? ZSTD_e_end : flush ? ZSTD_e_flush : ZSTD_e_continue;
    ZSTD_inBuffer input = {bytes.ptr, bytes.len, 0};
    for (;;) {
        char *at = buf_reserve(out, OUT_STEP_BYTES);
        if (!at)
            return;
        ZSTD_outBuffer output = {at, OUT_STEP_BYTES, 0};
        size_t left = ZSTD_compressStream2(gzip->zstd, &output, &input, directive);
        ASSERT(!ZSTD_isError(left));
        out->len += output.pos;
        bool done = directive == ZSTD_e_continue ? input.pos == input.size : left == 0;
        if (done)
            return;
    }
}

// isal counts in 32 bits: callers' pieces are cut to that.
static void write_piece(HttpGzip *gzip, Str bytes, bool flush, bool is_last, Buf *out)
{
    struct isal_zstream *stream = &gzip->stream;
    union { // the library reads only, but its member is not const
        const char *from;
        uint8_t *to;
    } input = {.from = bytes.ptr};
    stream->next_in = input.to;
    stream->avail_in = (uint32_t)bytes.len;
    stream->end_of_stream = is_last;
    stream->flush = flush && !is_last ? SYNC_FLUSH : NO_FLUSH;
    for (;;) {
        char *at = buf_reserve(out, OUT_STEP_BYTES);
        if (!at)
            return;
        uint32_t room = OUT_STEP_BYTES;
        stream->next_out = (uint8_t *)at;
        stream->avail_out = room;
        int rc = isal_deflate(stream);
        vectors_clean();
        ASSERT(rc == COMP_OK);
        out->len += room - stream->avail_out;
        if (stream->avail_out > 0)
            return;
    }
}

void http_gzip_write(HttpGzip *gzip, Str bytes, bool flush, bool is_last, Buf *out)
{
    const size_t piece_bytes = 1u << 30;
    if (gzip->zstd) {
        write_zstd(gzip, bytes, flush, is_last, out);
        return;
    }
    while (bytes.len > piece_bytes) {
        write_piece(gzip, str_sub(bytes, 0, piece_bytes), false, false, out);
        bytes = str_skip(bytes, piece_bytes);
    }
    write_piece(gzip, bytes, flush, is_last, out);
}
