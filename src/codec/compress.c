// SPDX-License-Identifier: Apache-2.0
#include "codec/compress.h"

#include <libdeflate.h>
#include <pthread.h>
#include <snappy-c.h>
#include <stdlib.h>
#include <zstd.h>

#include "codec/snappy_unpack.h"

#define DEFLATE_LEVEL_MAX 12
#define DEFLATE_RATIO_MAX 1032   // RFC 1951: 258 bytes for two bits, and headers
#define SNAPPY_RATIO_MAX 22      // a copy of 64 bytes takes three
#define ZSTD_WINDOW_LOG_MAX 27   // 128 MiB, the most that one foreign frame can make us hold
#define GZIP_MEMBER_BYTES_MIN 18 // header and trailer

// Making a context costs more than a small record, so each thread keeps its own.
typedef struct Contexts {
    ZSTD_CCtx *zstd_out;
    ZSTD_DCtx *zstd_in;
    struct libdeflate_compressor *deflate[DEFLATE_LEVEL_MAX + 1];
    struct libdeflate_decompressor *inflate;
} Contexts;

static pthread_key_t contexts_key;
static pthread_once_t contexts_once = PTHREAD_ONCE_INIT;

static void contexts_free(void *arg)
{
    Contexts *contexts = arg;
    ZSTD_freeCCtx(contexts->zstd_out);
    ZSTD_freeDCtx(contexts->zstd_in);
    for (int i = 0; i <= DEFLATE_LEVEL_MAX; i++)
        if (contexts->deflate[i])
            libdeflate_free_compressor(contexts->deflate[i]);
    if (contexts->inflate)
        libdeflate_free_decompressor(contexts->inflate);
    free(contexts);
}

static void contexts_key_create(void)
{
    int failed = pthread_key_create(&contexts_key, contexts_free);
    ASSERT(failed == 0);
}

static Contexts *contexts_get(void)
{
    static _Thread_local Contexts *mine;
    if (LIKELY(mine != NULL))
        return mine;
    pthread_once(&contexts_once, contexts_key_create);
    mine = X_NEW(Contexts);
    int failed = pthread_setspecific(contexts_key, mine);
    ASSERT(failed == 0);
    return mine;
}

void snappy_encode(Str bytes, Buf *out)
{
    size_t len = snappy_max_compressed_length(bytes.len);
    char *at = buf_reserve(out, len);
    if (!at)
        return;
    snappy_status status = snappy_compress(bytes.ptr, bytes.len, at, &len);
    ASSERT(status == SNAPPY_OK);
    out->len += len;
}

static bool too_large(const char *what, size_t bytes_max, Error *err)
{
    return error_set(err, ERR_LIMIT, "%s: decompressed size is larger than %zu bytes", what,
                     bytes_max);
}

// The length that a block declares, if it may be that of its bytes.
static bool snappy_length(Str bytes, size_t bytes_max, size_t *ret_len, Error *err)
{
    if (!snappy_unpacked_bytes(bytes, ret_len))
        return error_set(err, ERR_INVALID, "snappy: corrupt input");
    if (*ret_len > bytes_max)
        return too_large("snappy", bytes_max, err);
    return *ret_len / SNAPPY_RATIO_MAX <= bytes.len ||
           error_set(err, ERR_INVALID,
                     "snappy: corrupt input: %zu bytes cannot hold the declared %zu", bytes.len,
                     *ret_len);
}

bool snappy_decode_to(Str bytes, size_t bytes_max, Arena *arena, Str *ret_plain, Error *err)
{
    size_t len;
    if (!snappy_length(bytes, bytes_max, &len, err))
        return false;
    char *at = arena_alloc(arena, MAX(len, 1));
    if (!snappy_unpack(bytes, (uint8_t *)at, len))
        return error_set(err, ERR_INVALID, "snappy: corrupt input");
    *ret_plain = str_make(at, len);
    return true;
}

bool snappy_decode(Str bytes, size_t bytes_max, Buf *out, Error *err)
{
    size_t len;
    if (!snappy_length(bytes, bytes_max, &len, err))
        return false;
    char *at = buf_reserve(out, MAX(len, 1));
    if (!at)
        return buf_ok(out, "snappy output", err);
    if (!snappy_unpack(bytes, (uint8_t *)at, len))
        return error_set(err, ERR_INVALID, "snappy: corrupt input");
    out->len += len;
    return true;
}

bool zstd_encode(Str bytes, int level, Buf *out, Error *err)
{
    Contexts *contexts = contexts_get();
    if (!contexts->zstd_out && !(contexts->zstd_out = ZSTD_createCCtx()))
        out_of_memory(sizeof(void *));
    size_t room = ZSTD_compressBound(bytes.len);
    char *at = buf_reserve(out, room);
    if (!at)
        return buf_ok(out, "zstd output", err);
    size_t len = ZSTD_compressCCtx(contexts->zstd_out, at, room, bytes.ptr, bytes.len, level);
    if (ZSTD_isError(len))
        return error_set(err, ERR_INVALID, "zstd: %s", ZSTD_getErrorName(len));
    out->len += len;
    return true;
}

// Room for the next output: what the frame declares, else doubling; never beyond what bytes_max leaves.
static size_t grow_step(size_t done, size_t bytes_max, size_t input_bytes)
{
    size_t step = MAX(done, MAX(input_bytes, 4096));
    return MIN(step, bytes_max - done);
}

// The frames one after another into `out`, which is cut back by the caller on failure.
static bool zstd_stream(ZSTD_DCtx *context, Str bytes, size_t bytes_max, Buf *out, Error *err)
{
    ZSTD_inBuffer in = {bytes.ptr, bytes.len, 0};
    size_t begin = out->len;
    size_t hint = 0;
    bool full = true; // the last round filled its room, so there may be more to come
    while (in.pos < in.size || (full && hint != 0)) {
        size_t room = grow_step(out->len - begin, bytes_max, bytes.len);
        // One byte beyond the limit tells a result that just fits from one that does not.
        room += room == bytes_max - (out->len - begin);
        char *at = buf_reserve(out, room);
        if (!at)
            return buf_ok(out, "zstd output", err);
        ZSTD_outBuffer o = {at, room, 0};
        hint = ZSTD_decompressStream(context, &o, &in);
        if (ZSTD_isError(hint))
            return error_set(err, ERR_INVALID, "zstd: %s", ZSTD_getErrorName(hint));
        out->len += o.pos;
        full = o.pos == o.size;
        if (out->len - begin > bytes_max)
            return too_large("zstd", bytes_max, err);
    }
    return hint == 0 || error_set(err, ERR_INVALID, "zstd: input ends inside a frame");
}

bool zstd_decode(Str bytes, size_t bytes_max, Buf *out, Error *err)
{
    Contexts *contexts = contexts_get();
    if (!contexts->zstd_in) {
        if (!(contexts->zstd_in = ZSTD_createDCtx()))
            out_of_memory(sizeof(void *));
        size_t failed =
            ZSTD_DCtx_setParameter(contexts->zstd_in, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX);
        ASSERT(!ZSTD_isError(failed));
    }
    if (bytes.len == 0)
        return error_set(err, ERR_INVALID, "zstd: input is empty");
    unsigned long long declared = ZSTD_getFrameContentSize(bytes.ptr, bytes.len);
    if (declared == ZSTD_CONTENTSIZE_ERROR)
        return error_set(err, ERR_INVALID, "zstd: not a zstd frame");
    if (declared != ZSTD_CONTENTSIZE_UNKNOWN && declared > bytes_max)
        return too_large("zstd", bytes_max, err);
    ZSTD_DCtx_reset(contexts->zstd_in, ZSTD_reset_session_only);
    size_t begin = out->len;
    bool ok = zstd_stream(contexts->zstd_in, bytes, bytes_max, out, err);
    if (!ok)
        out->len = begin;
    return ok;
}

static struct libdeflate_compressor *deflate_get(int level)
{
    ASSERT(level >= 0 && level <= DEFLATE_LEVEL_MAX);
    struct libdeflate_compressor **slot = &contexts_get()->deflate[level];
    if (!*slot && !(*slot = libdeflate_alloc_compressor(level)))
        out_of_memory(sizeof(void *));
    return *slot;
}

void gzip_encode(Str bytes, int level, Buf *out)
{
    struct libdeflate_compressor *compressor = deflate_get(level);
    size_t room = libdeflate_gzip_compress_bound(compressor, bytes.len);
    char *at = buf_reserve(out, room);
    if (!at)
        return;
    size_t len = libdeflate_gzip_compress(compressor, bytes.ptr, bytes.len, at, room);
    ASSERT(len > 0);
    out->len += len;
}

void zlib_encode(Str bytes, int level, Buf *out)
{
    struct libdeflate_compressor *compressor = deflate_get(level);
    size_t room = libdeflate_zlib_compress_bound(compressor, bytes.len);
    char *at = buf_reserve(out, room);
    if (!at)
        return;
    size_t len = libdeflate_zlib_compress(compressor, bytes.ptr, bytes.len, at, room);
    ASSERT(len > 0);
    out->len += len;
}

// The first guess of a member's size: its trailer when it is the only member (RFC 1952 ISIZE) and believable.
static size_t gzip_guess(Str bytes)
{
    uint32_t declared;
    memcpy(&declared, bytes.ptr + bytes.len - 4, 4);
    return declared / DEFLATE_RATIO_MAX <= bytes.len ? declared : bytes.len * 4;
}

// One member; the room grows until it fits or passes the limit.
static bool gzip_member(struct libdeflate_decompressor *inflate, Str bytes, size_t bytes_max,
                        Buf *out, size_t *ret_used, Error *err)
{
    for (size_t room = MIN(MAX(gzip_guess(bytes), 256), bytes_max);;
         room = room > bytes_max / 2 ? bytes_max : room * 2) {
        char *at = buf_reserve(out, MAX(room, 1));
        if (!at)
            return buf_ok(out, "gzip output", err);
        size_t used = 0;
        size_t got = 0;
        enum libdeflate_result result =
            libdeflate_gzip_decompress_ex(inflate, bytes.ptr, bytes.len, at, room, &used, &got);
        if (result == LIBDEFLATE_SUCCESS) {
            out->len += got;
            *ret_used = used;
            return true;
        }
        if (result != LIBDEFLATE_INSUFFICIENT_SPACE)
            return error_set(err, ERR_INVALID, "gzip: corrupt input");
        if (room == bytes_max)
            return error_set(err, ERR_LIMIT, "gzip: decompressed size is larger than allowed");
    }
}

bool gzip_decode(Str bytes, size_t bytes_max, Buf *out, Error *err)
{
    Contexts *contexts = contexts_get();
    if (!contexts->inflate && !(contexts->inflate = libdeflate_alloc_decompressor()))
        out_of_memory(sizeof(void *));
    size_t begin = out->len;
    do {
        size_t used = 0;
        if (bytes.len < GZIP_MEMBER_BYTES_MIN) {
            out->len = begin;
            return error_set(err, ERR_INVALID, "gzip: input ends inside a member");
        }
        if (!gzip_member(contexts->inflate, bytes, bytes_max - (out->len - begin), out, &used,
                         err)) {
            out->len = begin;
            return err->code == ERR_LIMIT && !out->failed ? too_large("gzip", bytes_max, err)
                                                          : false;
        }
        bytes = str_skip(bytes, used);
    } while (bytes.len);
    return true;
}

static const char base64_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(Str bytes, Buf *out)
{
    const unsigned char *in = (const unsigned char *)bytes.ptr;
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t have = MIN(bytes.len - i, 3);
        uint32_t group = (uint32_t)in[i] << 16 | (have > 1 ? (uint32_t)in[i + 1] << 8 : 0) |
                         (have > 2 ? in[i + 2] : 0);
        char text[4] = {base64_alphabet[group >> 18], base64_alphabet[group >> 12 & 63],
                        have > 1 ? base64_alphabet[group >> 6 & 63] : '=',
                        have > 2 ? base64_alphabet[group & 63] : '='};
        buf_add(out, text, sizeof text);
    }
}

// The value of one digit or -1.
static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool base64_decode(Str text, Buf *out, Error *err)
{
    size_t begin = out->len;
    if (text.len % 4 != 0)
        return error_set(err, ERR_INVALID, "base64: length %zu is not a multiple of 4", text.len);
    for (size_t i = 0; i < text.len; i += 4) {
        bool last = i + 4 == text.len;
        int pad =
            last ? (text.ptr[i + 3] == '=') + (text.ptr[i + 3] == '=' && text.ptr[i + 2] == '=')
                 : 0;
        uint32_t group = 0;
        for (int k = 0; k < 4; k++) {
            int digit = k >= 4 - pad ? 0 : base64_digit(text.ptr[i + (size_t)k]);
            if (digit < 0) {
                out->len = begin;
                return error_set(err, ERR_INVALID, "base64: bad byte at offset %zu", i + (size_t)k);
            }
            group = group << 6 | (uint32_t)digit;
        }
        char bytes[3] = {(char)(group >> 16), (char)(group >> 8), (char)group};
        buf_add(out, bytes, 3 - (size_t)pad);
    }
    if (out->failed)
        out->len = begin;
    return buf_ok(out, "base64 output", err);
}
