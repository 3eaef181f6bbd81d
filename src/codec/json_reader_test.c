// SPDX-License-Identifier: Apache-2.0
#include "codec/json_reader.h"

#include "base/test.h"
#include "codec/json_writer.h"

TEST(json_reader, reads_what_the_writer_writes)
{
    static const struct {
        const char *name;
        Str text;
        Str want;
    } cases[] = {
        {"null", STR(" null "), STR("null")},
        {"numbers", STR("[0, -1, 1.5, 1e3, 9223372036854775807, 9223372036854775808]"),
         STR("[0,-1,1.5,1000,9223372036854775807,9223372036854776000]")},
        {"nesting", STR("{\"b\": [1, {\"a\": {}}], \"a\": []}"),
         STR("{\"b\":[1,{\"a\":{}}],\"a\":[]}")},
        {"escapes", STR("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\u20ac\\ud83d\\ude00\""),
         STR("\"\\\"\\\\/\\u0008\\u000c\\n\\r\\t\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"")},
        {"half a pair", STR("\"\\ud83dx\\udc00\""), STR("\"\xef\xbf\xbdx\xef\xbf\xbd\"")},
        {"two high halves", STR("\"\\ud83d\\ud83d\\ude00\""),
         STR("\"\xef\xbf\xbd\xf0\x9f\x98\x80\"")},
        {"invalid UTF-8", STR("\"\xff\""), STR("\"\xef\xbf\xbd\"")},
        {"many keys",
         STR("{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1,\"i\":1,\"j\":1,"
             "\"k\":1,\"l\":1,\"m\":1,"
             "\"n\":1,\"o\":1,\"p\":1,\"q\":1}"),
         STR("{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1,\"i\":1,\"j\":1,"
             "\"k\":1,\"l\":1,\"m\":1,"
             "\"n\":1,\"o\":1,\"p\":1,\"q\":1}")},
    };

    EACH_CASE(c, cases) {
        CLEANUP(arena_deinit) Arena arena = {0};
        CLEANUP(buf_deinit) Buf out = {0};
        JsonWriter json;
        JsonValue *value;
        Error err = {0};
        json_writer_init(&json, &out);

        CHECK_OK(json_read(c->text, &arena, &value, &err), err);

        json_value(&json, value);
        CHECK_STR(buf_str(&out), c->want);
    }
}

TEST(json_reader, faults_name_line_and_column)
{
    static const struct {
        const char *name;
        Str text;
        const char *want;
    } cases[] = {
        {"empty", STR(""), "1:1: unexpected end"},
        {"unknown word", STR("[\n  nul]"), "2:3: expected a value"},
        {"trailing comma", STR("[1,]"), "1:4: expected a value"},
        {"missing comma", STR("[1 2]"), "1:4: expected ',' or ']'"},
        {"open array", STR("[1"), "1:3: unexpected end"},
        {"open string", STR("[\"a"), "1:2: string is not closed"},
        {"line break inside", STR("\"a\nb\""), "1:3: control character"},
        {"unknown escape", STR("\"\\x\""), "1:3: unknown escape"},
        {"short \\u", STR("\"\\u12\""), "1:4: \\u needs four"},
        {"unquoted key", STR("{a:1}"), "1:2: expected a quoted key"},
        {"missing colon", STR("{\"a\" 1}"), "1:6: expected ':'"},
        {"same key twice", STR("{\"a\":1,\"a\":2}"), "1:1: object has the same key"},
        {"leading zero", STR("012"), "1:1: malformed number"},
        {"no digits", STR("-"), "1:1: malformed number"},
        {"no fraction", STR("1."), "1:1: malformed number"},
        {"no exponent", STR("1e"), "1:1: malformed number"},
        {"too large", STR("1e999"), "1:1: number is out of range"},
        {"more than a value", STR("1 2"), "1:3: unexpected text"},
    };

    EACH_CASE(c, cases) {
        CLEANUP(arena_deinit) Arena arena = {0};
        JsonValue *value = NULL;
        Error err = {0};

        CHECK(!json_read(c->text, &arena, &value, &err));

        CHECK_HAS(err.text, c->want);
        CHECK(value == NULL);
    }
}

TEST(json_reader, depth_is_limited)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    CLEANUP(buf_deinit) Buf text = {0};
    JsonValue *value;
    Error err = {0};
    for (int i = 0; i < 65; i++)
        buf_add_char(&text, '[');

    CHECK(!json_read(buf_str(&text), &arena, &value, &err));

    CHECK_HAS(err.text, "1:65: nested too deep");
}

TEST(json_reader, get_finds_members)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    JsonValue *value;
    Error err = {0};
    CHECK_OK(json_read(S("{\"a\":true}"), &arena, &value, &err), err);

    CHECK(json_get(value, S("a"))->boolean);
    CHECK(json_get(value, S("b")) == NULL);
    CHECK(json_get(json_get(value, S("a")), S("a")) == NULL);
    CHECK(json_get(NULL, S("a")) == NULL);
}

TEST_MAIN(json_reader, TEST_ROW(json_reader, reads_what_the_writer_writes),
          TEST_ROW(json_reader, faults_name_line_and_column),
          TEST_ROW(json_reader, depth_is_limited), TEST_ROW(json_reader, get_finds_members))
