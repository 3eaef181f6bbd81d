// SPDX-License-Identifier: Apache-2.0
#include "codec/json_writer.h"

#include "base/test.h"

TEST(json_writer, commas_and_nesting_are_kept)
{
    CLEANUP(buf_deinit) Buf out = {0};
    JsonWriter json;
    json_writer_init(&json, &out);

    json_object(&json);
    json_key_c(&json, "a", "x");
    json_key(&json, S("b"));
    json_array(&json);
    json_i64(&json, -1);
    json_u64(&json, UINT64_MAX);
    json_null(&json);
    json_object(&json);
    json_object_end(&json);
    json_array(&json);
    json_array_end(&json);
    json_array_end(&json);
    json_key_bool(&json, "c", true);
    json_key_double(&json, "d", 1.5);
    json_key(&json, S("e"));
    json_raw(&json, S("[1]"));
    json_object_end(&json);

    CHECK_STR(buf_str(&out), S("{\"a\":\"x\",\"b\":[-1,18446744073709551615,null,{},[]],\"c\":true,"
                               "\"d\":1.5,\"e\":[1]}"));
}

TEST(json_writer, strings_are_escaped_as_in_go)
{
    static const struct {
        const char *name;
        Str value;
        Str want;
    } cases[] = {
        {"empty", STR(""), STR("\"\"")},
        {"plain", STR("up{job=node}"), STR("\"up{job=node}\"")},
        {"quote", STR("a\"b\\c"), STR("\"a\\\"b\\\\c\"")},
        {"white space", STR("\n\r\t"), STR("\"\\n\\r\\t\"")},
        {"control", STR("\x01\x1f"), STR("\"\\u0001\\u001f\"")},
        {"NUL", STR("a\0b"), STR("\"a\\u0000b\"")},
        {"markup", STR("<a>&"), STR("\"\\u003ca\\u003e\\u0026\"")},
        {"UTF-8", STR("h\xc3\xa9\xe2\x82\xac"), STR("\"h\xc3\xa9\xe2\x82\xac\"")},
        {"line separators", STR("\xe2\x80\xa8\xe2\x80\xa9"), STR("\"\\u2028\\u2029\"")},
        {"invalid", STR("a\xff\xc3"), STR("\"a\\ufffd\\ufffd\"")},
        {"U+FFFD itself", STR("\xef\xbf\xbd"), STR("\"\xef\xbf\xbd\"")},
        {"delete", STR("\x7f"), STR("\"\x7f\"")},
    };

    EACH_CASE(c, cases) {
        CLEANUP(buf_deinit) Buf out = {0};
        JsonWriter json;
        json_writer_init(&json, &out);

        json_str(&json, c->value);

        CHECK_STR(buf_str(&out), c->want);
    }
}

static Str quoted(Buf *out, Str text)
{
    JsonWriter json;
    buf_reset(out);
    json_writer_init(&json, out);
    json_str(&json, text);
    return str_sub(buf_str(out), 1, out->len - 2);
}

TEST(json_writer, a_byte_is_written_alike_wherever_it_stands)
{
    CLEANUP(buf_deinit) Buf alone = {0}, among = {0};
    char text[19];

    for (int byte = 0; byte < 0x80; byte++)
        for (size_t at = 0; at < sizeof text; at++) {
            char one = (char)byte;
            memset(text, 'x', sizeof text);
            text[at] = one;

            Str want = quoted(&alone, str_make(&one, 1));
            Str got = quoted(&among, str_make(text, sizeof text));

            CHECK_EQ(got.len, sizeof text - 1 + want.len);
            CHECK_STR(str_sub(got, at, want.len), want);
            for (size_t i = 0; i < got.len; i++)
                CHECK((i >= at && i < at + want.len) || got.ptr[i] == 'x');
        }
}

TEST(json_writer, numbers_print_as_in_go)
{
    static const struct {
        const char *name;
        double value;
        Str want;
    } cases[] = {
        {"zero", 0, STR("0")},
        {"minus zero", -0.0, STR("-0")},
        {"fraction", 0.1, STR("0.1")},
        {"small", 1e-9, STR("1e-9")},
        {"not yet small", 1e-6, STR("0.000001")},
        {"large", 1e21, STR("1e+21")},
        {"two digits", 1e-12, STR("1e-12")},
    };

    EACH_CASE(c, cases) {
        CLEANUP(buf_deinit) Buf out = {0};
        JsonWriter json;
        json_writer_init(&json, &out);

        json_double(&json, c->value);

        CHECK_STR(buf_str(&out), c->want);
    }
}

typedef struct Pieces {
    Buf all;
    size_t calls;
    size_t stop_at;
} Pieces;

static bool take_piece(void *arg, Str bytes)
{
    Pieces *pieces = arg;
    buf_add_str(&pieces->all, bytes);
    return ++pieces->calls != pieces->stop_at;
}

static void write_numbers(JsonWriter *json)
{
    json_array(json);
    for (int i = 0; i < 100; i++)
        json_i64(json, i);
    json_array_end(json);
}

TEST(json_writer, memory_does_not_grow_with_the_answer)
{
    CLEANUP(buf_deinit) Buf out = {0};
    Pieces pieces = {0};
    JsonWriter json;
    json_writer_init(&json, &out);
    json.flush_at = 16;
    json.flush = take_piece;
    json.arg = &pieces;

    write_numbers(&json);
    buf_add_str(&pieces.all, buf_str(&out));

    CHECK(pieces.calls > 10);
    CHECK(out.cap < 300);
    CHECK(str_starts_with(buf_str(&pieces.all), S("[0,1,2,")));
    CHECK(str_ends_with(buf_str(&pieces.all), S(",98,99]")));
    buf_deinit(&pieces.all);
}

TEST(json_writer, a_failed_flush_drops_the_rest)
{
    CLEANUP(buf_deinit) Buf out = {0};
    Pieces pieces = {.stop_at = 2};
    JsonWriter json;
    json_writer_init(&json, &out);
    json.flush_at = 16;
    json.flush = take_piece;
    json.arg = &pieces;

    write_numbers(&json);

    CHECK_EQ(pieces.calls, 2);
    CHECK(json.stopped);
    CHECK_EQ(out.len, 0);
    CHECK_EQ(json.depth, 0);
    buf_deinit(&pieces.all);
}

TEST_MAIN(json_writer, TEST_ROW(json_writer, commas_and_nesting_are_kept),
          TEST_ROW(json_writer, strings_are_escaped_as_in_go),
          TEST_ROW(json_writer, a_byte_is_written_alike_wherever_it_stands),
          TEST_ROW(json_writer, numbers_print_as_in_go),
          TEST_ROW(json_writer, memory_does_not_grow_with_the_answer),
          TEST_ROW(json_writer, a_failed_flush_drops_the_rest))
