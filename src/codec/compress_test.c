// SPDX-License-Identifier: Apache-2.0
#include "codec/compress.h"

#include "base/random.h"
#include "base/test.h"
#include "base/thread.h"

static bool encode_snappy(Str bytes, Buf *out, Error *err)
{
    (void)err;
    snappy_encode(bytes, out);
    return true;
}

static bool encode_zstd(Str bytes, Buf *out, Error *err)
{
    return zstd_encode(bytes, 3, out, err);
}

static bool encode_gzip(Str bytes, Buf *out, Error *err)
{
    (void)err;
    gzip_encode(bytes, 6, out);
    return true;
}

static const struct {
    const char *name;
    bool (*encode)(Str bytes, Buf *out, Error *err);
    bool (*decode)(Str bytes, size_t bytes_max, Buf *out, Error *err);
} codecs[] = {
    {"snappy", encode_snappy, snappy_decode},
    {"zstd", encode_zstd, zstd_decode},
    {"gzip", encode_gzip, gzip_decode},
};

// Half of it repeats.
static void fill(Buf *text, size_t bytes)
{
    Random random;
    random_seed(&random, 7);
    while (text->len < bytes)
        buf_add_char(text, text->len % 2 ? 'x' : (char)random_below(&random, 256));
}

TEST(compress, comes_back_the_same_at_any_size)
{
    static const size_t sizes[] = {0, 1, 100, 4096, 70000, 1000003};
    EACH_CASE(c, codecs) {
        for (size_t i = 0; i < COUNT_OF(sizes); i++) {
            CLEANUP(buf_deinit) Buf text = {0};
            CLEANUP(buf_deinit) Buf packed = {0};
            CLEANUP(buf_deinit) Buf back = {0};
            Error err = {0};
            fill(&text, sizes[i]);
            buf_add_c(&back, "before");

            CHECK_OK(c->encode(buf_str(&text), &packed, &err), err);
            CHECK_OK(c->decode(buf_str(&packed), sizes[i], &back, &err), err);

            CHECK_STR(str_skip(buf_str(&back), 6), buf_str(&text));
        }
    }
}

TEST(compress, one_byte_over_the_limit_is_refused)
{
    static const size_t sizes[] = {1, 5000, 1000003};
    EACH_CASE(c, codecs) {
        for (size_t i = 0; i < COUNT_OF(sizes); i++) {
            CLEANUP(buf_deinit) Buf text = {0};
            CLEANUP(buf_deinit) Buf packed = {0};
            CLEANUP(buf_deinit) Buf back = {0};
            Error err = {0};
            fill(&text, sizes[i]);
            CHECK_OK(c->encode(buf_str(&text), &packed, &err), err);

            CHECK(!c->decode(buf_str(&packed), sizes[i] - 1, &back, &err));

            CHECK_EQ(err.code, ERR_LIMIT);
            CHECK_EQ(back.len, 0);
        }
    }
}

TEST(compress, torn_input_is_refused_and_leaves_nothing)
{
    EACH_CASE(c, codecs) {
        CLEANUP(buf_deinit) Buf text = {0};
        CLEANUP(buf_deinit) Buf packed = {0};
        CLEANUP(buf_deinit) Buf back = {0};
        Error err = {0};
        fill(&text, 300);
        CHECK_OK(c->encode(buf_str(&text), &packed, &err), err);

        for (size_t len = 0; len < packed.len; len++) {
            err = (Error){0};
            CHECK(!c->decode(str_sub(buf_str(&packed), 0, len), 1 << 20, &back, &err));
            CHECK_EQ(err.code, ERR_INVALID);
            CHECK_EQ(back.len, 0);
        }
    }
}

TEST(compress, bombs_are_stopped)
{
    CLEANUP(buf_deinit) Buf zeros = {0};
    memset(buf_reserve(&zeros, 64 << 20), 0, 64 << 20);
    zeros.len = 64 << 20;
    EACH_CASE(c, codecs) {
        CLEANUP(buf_deinit) Buf packed = {0};
        CLEANUP(buf_deinit) Buf back = {0};
        Error err = {0};
        CHECK_OK(c->encode(buf_str(&zeros), &packed, &err), err);

        CHECK(!c->decode(buf_str(&packed), 1 << 20, &back, &err));

        CHECK_EQ(err.code, ERR_LIMIT);
        CHECK(back.cap <= 4 << 20);
    }
}

TEST(compress, snappy_does_not_believe_a_length)
{
    CLEANUP(buf_deinit) Buf back = {0};
    Error err = {0};

    CHECK(!snappy_decode(S("\xff\xff\xff\xff\x07\x00"), SIZE_MAX, &back, &err));

    CHECK_EQ(err.code, ERR_INVALID);
    CHECK_EQ(back.cap, 0);
}

TEST(compress, several_frames_and_members_are_one_text)
{
    CLEANUP(buf_deinit) Buf gzip = {0};
    CLEANUP(buf_deinit) Buf zstd = {0};
    CLEANUP(buf_deinit) Buf back = {0};
    Error err = {0};
    gzip_encode(S("first "), 1, &gzip);
    gzip_encode(S("second"), 9, &gzip);
    CHECK_OK(zstd_encode(S("first "), 1, &zstd, &err), err);
    CHECK_OK(zstd_encode(S("second"), 9, &zstd, &err), err);

    CHECK_OK(gzip_decode(buf_str(&gzip), 12, &back, &err), err);
    CHECK_STR(buf_str(&back), S("first second"));
    buf_reset(&back);
    CHECK_OK(zstd_decode(buf_str(&zstd), 12, &back, &err), err);
    CHECK_STR(buf_str(&back), S("first second"));

    CHECK(!gzip_decode(buf_str(&gzip), 11, &back, &err));
    CHECK_EQ(err.code, ERR_LIMIT);
    CHECK(!zstd_decode(buf_str(&zstd), 11, &back, &err));
    CHECK_EQ(err.code, ERR_LIMIT);
}

static void compress_once(void *arg)
{
    (void)arg;
    CLEANUP(buf_deinit) Buf packed = {0};
    CLEANUP(buf_deinit) Buf back = {0};
    Error err = {0};
    gzip_encode(S("thread"), 6, &packed);
    bool ok = gzip_decode(buf_str(&packed), 6, &back, &err);
    ASSERT(ok);
}

TEST(compress, contexts_end_with_their_thread)
{
    Thread thread;
    Error err = {0};
    CHECK_OK(thread_start(&thread, "compress", compress_once, NULL, &err), err);
    thread_join(&thread);
}

TEST(compress, base64_reads_and_writes)
{
    static const struct {
        const char *name;
        Str bytes;
        Str text;
    } cases[] = {
        {"empty", STR(""), STR("")},
        {"one", STR("f"), STR("Zg==")},
        {"two", STR("fo"), STR("Zm8=")},
        {"three", STR("foo"), STR("Zm9v")},
        {"high bytes", STR("\xff\xfe\xfb"), STR("//77")},
        {"user password", STR("user:pass"), STR("dXNlcjpwYXNz")},
    };

    EACH_CASE(c, cases) {
        CLEANUP(buf_deinit) Buf text = {0};
        CLEANUP(buf_deinit) Buf back = {0};
        Error err = {0};

        base64_encode(c->bytes, &text);
        CHECK_STR(buf_str(&text), c->text);
        CHECK_OK(base64_decode(c->text, &back, &err), err);
        CHECK_STR(buf_str(&back), c->bytes);
    }
}

TEST(compress, base64_refuses_other_bytes)
{
    static const struct {
        const char *name;
        Str text;
    } cases[] = {
        {"length", STR("Zg=")}, {"padding inside", STR("Zg==Zg==")}, {"padding first", STR("Z===")},
        {"blank", STR("Zm 9")}, {"line break", STR("Zm9\n")},        {"url alphabet", STR("_-77")},
    };

    EACH_CASE(c, cases) {
        CLEANUP(buf_deinit) Buf back = {0};
        Error err = {0};

        CHECK(!base64_decode(c->text, &back, &err));

        CHECK_EQ(err.code, ERR_INVALID);
        CHECK_EQ(back.len, 0);
    }
}

TEST_MAIN(compress, TEST_ROW(compress, comes_back_the_same_at_any_size),
          TEST_ROW(compress, one_byte_over_the_limit_is_refused),
          TEST_ROW(compress, torn_input_is_refused_and_leaves_nothing),
          TEST_ROW(compress, bombs_are_stopped),
          TEST_ROW(compress, snappy_does_not_believe_a_length),
          TEST_ROW(compress, several_frames_and_members_are_one_text),
          TEST_ROW(compress, contexts_end_with_their_thread),
          TEST_ROW(compress, base64_reads_and_writes),
          TEST_ROW(compress, base64_refuses_other_bytes))
