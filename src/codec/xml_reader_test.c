// SPDX-License-Identifier: Apache-2.0
#include "codec/xml_reader.h"

#include "base/buf.h"
#include "base/test.h"

// As JSON with names that may stand twice.
static void print(Buf *out, const JsonValue *value)
{
    if (value->kind == JSON_STRING) {
        buf_printf(out, "\"" STR_FMT "\"", STR_ARG(value->str));
        return;
    }
    buf_add_char(out, '{');
    for (size_t i = 0; i < value->count; i++) {
        buf_printf(out, "%s" STR_FMT ":", i ? "," : "", STR_ARG(value->keys[i]));
        print(out, &value->items[i]);
    }
    buf_add_char(out, '}');
}

TEST(xml_reader, reads_what_services_send)
{
    static const struct {
        const char *name;
        Str text;
        const char *want;
    } cases[] = {
        {"the example of the header",
         STR("<a xmlns=\"u\"><n>1</n><n>2</n><p on=\"yes\">8080</p><e/></a>"),
         "{n:\"1\",n:\"2\",p:{@on:\"yes\",#text:\"8080\"},e:\"\"}"},
        {"prolog and remarks",
         STR("\xef\xbb\xbf<?xml version='1.0'?>\n<!-- < --><a>x</a>\n<!---->"), "\"x\""},
        {"entities", STR("<a>&lt;&amp;&gt;&quot;&apos;&#65;&#x20AC;&#x1F600;</a>"),
         "\"<&>\"'A\xe2\x82\xac\xf0\x9f\x98\x80\""},
        {"CDATA", STR("<a>1<![CDATA[<b>&amp;]]>2</a>"), "\"1<b>&amp;2\""},
        {"prefixes", STR("<s:a xmlns:s='u'><s:b t:c='1'/></s:a>"), "{b:{@c:\"1\",#text:\"\"}}"},
        {"white space among children is dropped", STR("<a>\n  <b>1</b>\n</a >"), "{b:\"1\"}"},
    };

    EACH_CASE(c, cases) {
        CLEANUP(arena_deinit) Arena arena = {0};
        CLEANUP(buf_deinit) Buf got = {0};
        JsonValue *root;
        Error err = {0};

        CHECK_OK(xml_read(c->text, &arena, &root, &err), err);

        print(&got, root);
        CHECK_STR(buf_str(&got), str_from_c(c->want));
    }
}

TEST(xml_reader, refuses_what_is_broken)
{
    static const struct {
        const char *name;
        Str text;
        const char *want;
    } cases[] = {
        {"nothing", STR(""), "byte 0: expected an element"},
        {"no end", STR("<a><b>"), "unexpected end"},
        {"wrong end", STR("<a></b>"), "an end tag does not match"},
        {"two roots", STR("<a/><b/>"), "something stands behind the end"},
        {"document type", STR("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"), "expected an element"},
        {"unknown entity", STR("<a>&b;</a>"), "unknown entity"},
        {"no such character", STR("<a>&#xd800;</a>"), "unknown entity"},
        {"value without quotes", STR("<a b=c/>"), "expected a quoted value"},
        {"open comment", STR("<!-- "), "unexpected end"},
        {"not UTF-8", STR("<a>\xff</a>"), "not UTF-8"},
    };

    EACH_CASE(c, cases) {
        CLEANUP(arena_deinit) Arena arena = {0};
        JsonValue *root;
        Error err = {0};

        CHECK(!xml_read(c->text, &arena, &root, &err));

        CHECK_HAS(err.text, c->want);
    }
}

TEST(xml_reader, depth_is_limited)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    CLEANUP(buf_deinit) Buf text = {0};
    JsonValue *root;
    Error err = {0};
    for (int i = 0; i < 1000; i++)
        buf_add_c(&text, "<a>");

    CHECK(!xml_read(buf_str(&text), &arena, &root, &err));

    CHECK_HAS(err.text, "nested too deep");
}

TEST_MAIN(xml_reader, TEST_ROW(xml_reader, reads_what_services_send),
          TEST_ROW(xml_reader, refuses_what_is_broken), TEST_ROW(xml_reader, depth_is_limited))
