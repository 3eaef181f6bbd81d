// SPDX-License-Identifier: Apache-2.0
#include "base/str.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/map.h"
#include "base/random.h"
#include "base/reader.h"
#include "base/test.h"

TEST(str, split_takes_piece_by_piece)
{
    Str rest = S("a,,bc");
    Str piece;

    CHECK(str_split_next(&rest, ',', &piece));
    CHECK_STR(piece, S("a"));
    CHECK(str_split_next(&rest, ',', &piece));
    CHECK_STR(piece, S(""));
    CHECK(str_split_next(&rest, ',', &piece));
    CHECK_STR(piece, S("bc"));
    CHECK(!str_split_next(&rest, ',', &piece));
}

TEST(str, utf8_is_checked_as_rfc_3629)
{
    static const struct {
        const char *name;
        Str text;
        bool want;
    } cases[] = {
        {"ascii", STR("plain text of more than eight bytes"), true},
        {"two bytes", STR("\xc3\xa9"), true},
        {"three bytes", STR("\xed\x95\x9c\xea\xb5\xad"), true},
        {"four bytes", STR("\xf0\x9f\x94\xa5"), true},
        {"bad behind eight good ones", STR("12345678\xff"), false},
        {"surrogate", STR("\xed\xa0\x80"), false},
        {"overlong", STR("\xc0\xaf"), false},
        {"overlong three", STR("\xe0\x80\xaf"), false},
        {"beyond unicode", STR("\xf4\x90\x80\x80"), false},
        {"cut", STR("\xe2\x82"), false},
        {"continuation alone", STR("\x80"), false},
        {"empty", STR(""), true},
    };

    EACH_CASE(c, cases)
        CHECK_EQ(str_is_utf8(c->text), c->want);
}

TEST(str, every_rune_is_written_as_it_is_read)
{
    for (uint32_t rune = 0; rune <= 0x10ffff; rune++) {
        if (rune == 0xd800)
            rune = 0xe000;
        char bytes[4];
        uint32_t again = 0;
        size_t len = str_put_rune(bytes, rune);
        CHECK_EQ(str_rune((Str){bytes, len}, &again), len);
        CHECK_EQ(again, rune);
    }
}

TEST(str, digits_of_any_base_up_to_sixteen_have_a_value)
{
    static const char digits[] = "0123456789abcdefABCDEF";

    for (unsigned i = 0; i < 256; i++) {
        const char *at = i ? strchr(digits, (char)i) : NULL;
        unsigned want = at ? (unsigned)(at - digits) : 16;
        CHECK_EQ(str_digit((char)i), at && want >= 16 ? want - 6 : want);
    }
}

TEST(str, distance_counts_single_edits)
{
    CHECK_EQ(str_distance(S("kitten"), S("sitting")), 3);
    CHECK_EQ(str_distance(S(""), S("abc")), 3);
    CHECK_EQ(str_distance(S("same"), S("same")), 0);
}

TEST(str, compare_orders_prefix_first)
{
    CHECK(str_compare(S("a"), S("ab")) < 0);
    CHECK(str_compare(S("b"), S("ab")) > 0);
    CHECK_EQ(str_compare(S("x"), S("x")), 0);
    CHECK(str_equal_nocase(S("Content-TYPE"), S("content-type")));
    CHECK_STR(str_trim(S(" \t a b \n")), S("a b"));
}

TEST(arena, what_was_given_stays_and_reset_keeps_one_block)
{
    Arena arena = {0};
    Str texts[1000];
    for (int i = 0; i < 1000; i++)
        texts[i] = arena_printf(&arena, "text number %d", i);

    for (int i = 0; i < 1000; i++) {
        char want[64];
        snprintf(want, sizeof want, "text number %d", i);
        CHECK_STR(texts[i], str_from_c(want));
    }
    CHECK(arena_used_bytes(&arena) >= 14000);
    CHECK(((uintptr_t)arena_alloc(&arena, 1) & 15) == 0);
    arena_reset(&arena);
    CHECK_EQ(arena_used_bytes(&arena), 0);
    CHECK(arena.held_bytes > 0);
    arena_deinit(&arena);
}

TEST(arena, grow_keeps_the_old_bytes)
{
    Arena arena = {0};
    int *numbers = NULL;
    for (size_t n = 0; n < 5000; n++) {
        numbers = arena_grow(&arena, numbers, n * sizeof(int), (n + 1) * sizeof(int));
        numbers[n] = (int)n;
        if (n % 100 == 0)
            (void)arena_alloc(&arena, 10);
    }

    for (size_t n = 0; n < 5000; n++)
        CHECK_EQ(numbers[n], n);
    arena_deinit(&arena);
}

TEST(buf, remembers_that_something_did_not_fit)
{
    Buf buf;
    Error err = {0};
    buf_init(&buf, 300);

    buf_printf(&buf, "%0250d", 1);
    CHECK_OK(buf_ok(&buf, "answer", &err), err);
    buf_printf(&buf, "%0100d", 1);

    CHECK(!buf_ok(&buf, "answer", &err));
    CHECK_EQ(err.code, ERR_LIMIT);
    CHECK_HAS(err.text, "answer is larger than 300 bytes");
    CHECK_EQ(buf.len, 250);
    buf_deinit(&buf);
}

TEST(reader, takes_back_what_buf_wrote)
{
    static const uint64_t numbers[] = {0, 1, 127, 128, 300, 1ULL << 32, INT64_MAX, UINT64_MAX};
    Buf buf = {0};
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        buf_add_uvarint(&buf, numbers[i]);
        buf_add_varint(&buf, (int64_t)numbers[i]);
        buf_add_varint(&buf, -(int64_t)(numbers[i] >> 1));
        buf_add_u64be(&buf, numbers[i]);
        buf_add_u32be(&buf, (uint32_t)numbers[i]);
        buf_add_u16be(&buf, (uint16_t)numbers[i]);
    }

    Reader r = reader_from(buf_str(&buf));
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        CHECK(reader_uvarint(&r) == numbers[i]);
        CHECK_EQ(reader_varint(&r), (int64_t)numbers[i]);
        CHECK_EQ(reader_varint(&r), -(int64_t)(numbers[i] >> 1));
        CHECK(reader_u64be(&r) == numbers[i]);
        CHECK_EQ(reader_u32be(&r), (uint32_t)numbers[i]);
        CHECK_EQ(reader_u16be(&r), (uint16_t)numbers[i]);
    }
    CHECK(!r.failed);
    CHECK_EQ(reader_u8(&r), 0);
    CHECK(r.failed);
    buf_deinit(&buf);
}

TEST(reader, refuses_overlong_varints_and_strings)
{
    Reader eleven = reader_from(S("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"));
    (void)reader_uvarint(&eleven);
    CHECK(eleven.failed);
    Reader too_big = reader_from(S("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"));
    (void)reader_uvarint(&too_big);
    CHECK(too_big.failed);
    Reader string = reader_from(S("\x05"
                                  "abc"));
    (void)reader_str(&string);
    CHECK(string.failed);
}

// Random puts and removals beside a plain array.
TEST(map, agrees_with_a_naive_model)
{
    enum { KEYS = 300 };
    static char names[KEYS][8];
    static int values[KEYS];
    bool there[KEYS] = {false};
    Map map = {0};
    Random random;
    random_seed(&random, 7);
    for (int i = 0; i < KEYS; i++)
        snprintf(names[i], sizeof names[i], "k%d", i);

    for (int round = 0; round < 20000; round++) {
        size_t k = random_below(&random, KEYS);
        if (random_below(&random, 2)) {
            void *before = map_put(&map, str_from_c(names[k]), &values[k]);
            CHECK_EQ(before != NULL, there[k]);
            there[k] = true;
        } else {
            void *before = map_remove(&map, str_from_c(names[k]));
            CHECK_EQ(before != NULL, there[k]);
            there[k] = false;
        }
        size_t other = random_below(&random, KEYS);
        CHECK(map_get(&map, str_from_c(names[other])) == (there[other] ? &values[other] : NULL));
    }

    size_t count = 0;
    for (MapEntry *e = NULL; (e = map_next(&map, e));)
        count++;
    CHECK_EQ(count, map.count);
    map_deinit(&map);
}

TEST_MAIN(str, TEST_ROW(str, split_takes_piece_by_piece),
          TEST_ROW(str, utf8_is_checked_as_rfc_3629),
          TEST_ROW(str, every_rune_is_written_as_it_is_read),
          TEST_ROW(str, digits_of_any_base_up_to_sixteen_have_a_value),
          TEST_ROW(str, distance_counts_single_edits), TEST_ROW(str, compare_orders_prefix_first),
          TEST_ROW(arena, what_was_given_stays_and_reset_keeps_one_block),
          TEST_ROW(arena, grow_keeps_the_old_bytes),
          TEST_ROW(buf, remembers_that_something_did_not_fit),
          TEST_ROW(reader, takes_back_what_buf_wrote),
          TEST_ROW(reader, refuses_overlong_varints_and_strings),
          TEST_ROW(map, agrees_with_a_naive_model))
