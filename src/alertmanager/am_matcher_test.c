// SPDX-License-Identifier: Apache-2.0
#include "alertmanager/am_matcher.h"

#include "alertmanager/am_test_util.h"

TEST(am_matcher, texts_are_read_as_the_original_reads_them)
{
    static const struct {
        const char *name;
        Str text;
        AmMatcherMode mode;
        const char *want; // NULL: an error
    } cases[] = {
        {"one", STR("a=b"), AM_MATCHER_FALLBACK, "{a=\"b\"}"},
        {"quotes", STR("a=\"b c\""), AM_MATCHER_FALLBACK, "{a=\"b c\"}"},
        {"all operators", STR("{a=b,c!=d,e=~\"f|g\",h!~i.*}"), AM_MATCHER_FALLBACK,
         "{a=\"b\",c!=\"d\",e=~\"f|g\",h!~\"i.*\"}"},
        {"comma at the end", STR("{a=b,}"), AM_MATCHER_FALLBACK, "{a=\"b\"}"},
        {"nothing before a comma", STR(","), AM_MATCHER_FALLBACK, NULL},
        {"two commas at the end", STR("a=b,,"), AM_MATCHER_CLASSIC, NULL},
        {"a comma and blanks at the end", STR("a=b, "), AM_MATCHER_CLASSIC, "{a=\"b\"}"},
        {"nothing", STR(""), AM_MATCHER_FALLBACK, "{}"},
        {"empty braces", STR("{}"), AM_MATCHER_FALLBACK, "{}"},
        {"empty value, classic", STR("a="), AM_MATCHER_FALLBACK, "{a=\"\"}"},
        {"empty value, strict", STR("a="), AM_MATCHER_UTF8, NULL},
        {"unquoted text with a space, classic", STR("a=hi there"), AM_MATCHER_CLASSIC,
         "{a=\"hi there\"}"},
        {"unquoted text with a space, strict", STR("a=hi there"), AM_MATCHER_UTF8, NULL},
        {"a name that is no classic one", STR("\"a b\"=c"), AM_MATCHER_FALLBACK, "{\"a b\"=\"c\"}"},
        {"escapes", STR("a=\"x\\\"y\\n\""), AM_MATCHER_FALLBACK, "{a=\"x\\\"y\\n\"}"},
        {"hexadecimal escapes, strict", STR("a=\"\\u00e9\""), AM_MATCHER_UTF8, "{a=\"\xc3\xa9\"}"},
        {"no operator", STR("foo"), AM_MATCHER_FALLBACK, NULL},
        {"a comma inside of quotes", STR("a=\"b,c\",d=e"), AM_MATCHER_CLASSIC,
         "{a=\"b,c\",d=\"e\"}"},
        {"a brace that is not closed", STR("{a=b"), AM_MATCHER_UTF8, NULL},
        {"a bad regex", STR("a=~\"[\""), AM_MATCHER_FALLBACK, NULL},
        {"a quote inside", STR("a=b\"c"), AM_MATCHER_CLASSIC, NULL},
    };

    EACH_CASE(c, cases) {
        CLEANUP(arena_deinit) Arena arena = {0};
        CLEANUP(buf_deinit) Buf out = {0};
        AmMatchers got = {0};
        Error err = {0};

        bool ok = am_matchers_parse(c->text, c->mode, &arena, &got, &err);

        CHECK_EQ(ok, c->want != NULL);
        if (!ok)
            continue;
        am_matchers_print(&out, &got);
        CHECK_STR(buf_str(&out), str_from_c(c->want));
        am_matchers_deinit(&got);
    }
}

TEST(am_matcher, regexes_are_anchored_and_dots_end_at_lines)
{
    static const struct {
        const char *name;
        Str pattern, value;
        bool want;
    } cases[] = {
        {"whole", STR("a|b"), STR("b"), true},
        {"part", STR("a|b"), STR("ab"), false},
        {"dot", STR("a.c"), STR("abc"), true},
        {"dot and a line break", STR("a.c"), STR("a\nc"), false},
    };

    EACH_CASE(c, cases) {
        CLEANUP(arena_deinit) Arena arena = {0};
        Matcher m;
        Error err = {0};

        CHECK_OK(am_matcher_init(&m, MATCH_REGEX, S("x"), c->pattern, &arena, &err), err);

        CHECK_EQ(matcher_matches(&m, c->value), c->want);
        CHECK_STR(m.value, c->pattern);
        matcher_deinit(&m);
    }
}

TEST(am_matcher, a_filter_has_no_braces_and_is_one)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    Matcher m;
    Error err = {0};

    CHECK(!am_matcher_parse(S("{a=b}"), AM_MATCHER_FALLBACK, &arena, &m, &err));
    CHECK_HAS(err.text, "unexpected open or close brace: {a=b}");
    CHECK(!am_matcher_parse(S("foo"), AM_MATCHER_FALLBACK, &arena, &m, &err));
    CHECK_HAS(err.text, "bad matcher format: foo");
    CHECK(!am_matcher_parse(S("a=\"b\",c=d"), AM_MATCHER_FALLBACK, &arena, &m, &err));
    CHECK(!am_matcher_parse(S("a=b,c=d"), AM_MATCHER_UTF8, &arena, &m, &err));
    CHECK_OK(am_matcher_parse(S("a=b,c=d"), AM_MATCHER_FALLBACK, &arena, &m, &err), err);
    CHECK_STR(m.value, S("b,c=d"));
    matcher_deinit(&m);
}

TEST_MAIN(am_matcher, TEST_ROW(am_matcher, texts_are_read_as_the_original_reads_them),
          TEST_ROW(am_matcher, regexes_are_anchored_and_dots_end_at_lines),
          TEST_ROW(am_matcher, a_filter_has_no_braces_and_is_one))
