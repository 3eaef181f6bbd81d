// SPDX-License-Identifier: Apache-2.0
#include "codec/snappy_unpack.h"

#include <snappy-c.h>

#include "base/buf.h"
#include "base/random.h"
#include "base/test.h"

static const struct {
    const char *name;
    Str block;
    Str plain;
} blocks[] = {
    {"nothing", STR("\x00"), STR("")},
    {"a literal",
     STR("\x03\x08"
         "abc"),
     STR("abc")},
    {"a literal whose length stands in a byte",
     STR("\x03\xf0\x02"
         "abc"),
     STR("abc")},
    {"a literal whose length stands in four",
     STR("\x03\xfc\x02\x00\x00\x00"
         "abc"),
     STR("abc")},
    {"a copy of one byte of offset",
     STR("\x07\x08"
         "abc\x01\x03"),
     STR("abcabca")},
    {"a copy of two bytes of offset",
     STR("\x05\x08"
         "abc\x06\x02\x00"),
     STR("abcbc")},
    {"a copy of four bytes of offset",
     STR("\x05\x08"
         "abc\x07\x03\x00\x00\x00"),
     STR("abcab")},
    {"one byte again and again", STR("\x0c\x00x\x1d\x01"), STR("xxxxxxxxxxxx")},
};

static const struct {
    const char *name;
    Str block;
} broken[] = {
    {"no length", STR("")},
    {"a length without an end", STR("\x80\x80")},
    {"a length of more than 32 bits", STR("\x80\x80\x80\x80\x10")},
    {"shorter than it says", STR("\x04\x08"
                                 "abc")},
    {"longer than it says", STR("\x02\x08"
                                "abc")},
    {"a literal that is cut off", STR("\x03\x08"
                                      "ab")},
    {"a literal's length that is cut off", STR("\x03\xf4\x02")},
    {"a literal of 4 GiB", STR("\x03\xfc\xff\xff\xff\xff\x08"
                               "abc")},
    {"a copy that is cut off", STR("\x07\x08"
                                   "abc\x02\x03")},
    {"a copy of nothing", STR("\x07\x08"
                              "abc\x01\x00")},
    {"a copy from before the start", STR("\x07\x08"
                                         "abc\x01\x04")},
    {"a copy before anything", STR("\x04\x01\x01")},
    {"a copy behind the end", STR("\x06\x08"
                                  "abc\x01\x03")},
};

// In memory of its own, so that a sanitizer sees every byte too many.
static bool unpack(Str block, Buf *out)
{
    size_t bytes;
    char *own = x_malloc(MAX(block.len, (size_t)1));

    memcpy(own, block.ptr, block.len);
    bool ok = snappy_unpacked_bytes((Str){own, block.len}, &bytes) && bytes < 1 << 24;
    uint8_t *plain = x_malloc(ok && bytes ? bytes : 1);
    ok = ok && snappy_unpack((Str){own, block.len}, plain, bytes);
    if (ok)
        buf_add_str(out, (Str){(const char *)plain, bytes});
    free(plain);
    free(own);
    return ok;
}

TEST(snappy_unpack, pieces_of_every_kind)
{
    EACH_CASE(c, blocks) {
        CLEANUP(buf_deinit) Buf out = {0};
        CHECK(unpack(c->block, &out));
        CHECK_STR(buf_str(&out), c->plain);
    }
}

TEST(snappy_unpack, malformed_blocks_are_refused)
{
    EACH_CASE(c, broken) {
        CLEANUP(buf_deinit) Buf out = {0};
        CHECK(!unpack(c->block, &out));
    }
}

static void add_literal(Random *random, size_t len, Buf *body, Buf *plain)
{
    buf_add_char(body, (char)((len - 1) << 2));
    for (size_t i = 0; i < len; i++)
        buf_add_char(body, (char)random_below(random, 256));
    buf_add_str(plain, str_skip(buf_str(body), body->len - len));
}

static void add_copy(size_t offset, size_t len, Buf *body, Buf *plain)
{
    bool narrow = len >= 4 && len <= 11 && offset < 2048;

    buf_add_char(body, (char)(narrow ? offset >> 8 << 5 | (len - 4) << 2 | 1 : (len - 1) << 2 | 2));
    buf_add_char(body, (char)offset);
    if (!narrow)
        buf_add_char(body, (char)(offset >> 8));
    for (size_t i = 0; i < len; i++)
        buf_add_char(plain, plain->ptr[plain->len - offset]);
}

// Pieces of any length, from any place before; what they mean is written beside them byte by byte.
static void make_block(Random *random, size_t pieces, Buf *block, Buf *plain)
{
    CLEANUP(buf_deinit) Buf body = {0};

    for (size_t i = 0; i < pieces; i++) {
        size_t len = 1 + random_below(random, i % 7 ? 20 : 60);
        size_t offset = 1 + random_below(random, i % 3 ? 24 : 3000);
        if (i % 5 == 0 || offset > plain->len)
            add_literal(random, len, &body, plain);
        else
            add_copy(offset, len, &body, plain);
    }
    size_t left = plain->len;
    for (; left >= 0x80; left >>= 7)
        buf_add_char(block, (char)(left | 0x80));
    buf_add_char(block, (char)left);
    buf_add_str(block, buf_str(&body));
}

TEST(snappy_unpack, random_blocks_and_every_beginning_of_them_as_the_library)
{
    Random random;

    random_seed(&random, 5);
    for (int turn = 0; turn < 60; turn++) {
        CLEANUP(buf_deinit) Buf block = {0};
        CLEANUP(buf_deinit) Buf plain = {0};
        CLEANUP(buf_deinit) Buf out = {0};
        make_block(&random, 1 + random_below(&random, 80), &block, &plain);
        CHECK_EQ(snappy_validate_compressed_buffer(block.ptr, block.len), SNAPPY_OK);
        CHECK(unpack(buf_str(&block), &out));
        CHECK_STR(buf_str(&out), buf_str(&plain));
        for (size_t cut = 0; cut < block.len; cut++) {
            Str beginning = str_sub(buf_str(&block), 0, cut);
            buf_reset(&out);
            CHECK_EQ(unpack(beginning, &out),
                     snappy_validate_compressed_buffer(beginning.ptr, cut) == SNAPPY_OK);
        }
    }
}

TEST_MAIN(snappy_unpack, TEST_ROW(snappy_unpack, pieces_of_every_kind),
          TEST_ROW(snappy_unpack, malformed_blocks_are_refused),
          TEST_ROW(snappy_unpack, random_blocks_and_every_beginning_of_them_as_the_library))
