// SPDX-License-Identifier: Apache-2.0
#include "metric/matcher.h"

#include "base/test.h"

TEST(matcher, matches_what_prometheus_matches)
{
    static const struct {
        const char *name;
        MatchKind kind;
        Str pattern;
        Str value;
        bool want;
    } cases[] = {
        {"equal", MATCH_EQUAL, STR("a"), STR("a"), true},
        {"equal is whole", MATCH_EQUAL, STR("a"), STR("ab"), false},
        {"empty equals missing", MATCH_EQUAL, STR(""), STR(""), true},
        {"not equal", MATCH_NOT_EQUAL, STR("a"), STR("b"), true},
        {"regex is anchored", MATCH_REGEX, STR("b"), STR("abc"), false},
        {"alternation of literals", MATCH_REGEX, STR("foo|bar"), STR("bar"), true},
        {"alternation is whole", MATCH_REGEX, STR("foo|bar"), STR("bars"), false},
        {"empty alternative", MATCH_REGEX, STR("foo|"), STR(""), true},
        {"any", MATCH_REGEX, STR(".*"), STR(""), true},
        {"some", MATCH_REGEX, STR(".+"), STR(""), false},
        {"some of newline", MATCH_REGEX, STR(".+"), STR("\n"), true},
        {"prefix any", MATCH_REGEX, STR("foo.*"), STR("foo"), true},
        {"prefix some", MATCH_REGEX, STR("foo.+"), STR("foo"), false},
        {"prefix some more", MATCH_REGEX, STR("foo.+"), STR("foox"), true},
        {"prefix differs", MATCH_REGEX, STR("foo.*"), STR("fo"), false},
        {"escaped dot is a literal", MATCH_REGEX, STR("a\\.*"), STR("a..."), true},
        {"escaped dot is no any", MATCH_REGEX, STR("a\\.*"), STR("abc"), false},
        {"optional before any", MATCH_REGEX, STR("ab?.*"), STR("ac"), true},
        {"alternation before any", MATCH_REGEX, STR("a|b.*"), STR("a"), true},
        {"class", MATCH_REGEX, STR("[0-9]+"), STR("123"), true},
        {"within", MATCH_REGEX, STR(".*b.*"), STR("abc"), true},
        {"within at the ends", MATCH_REGEX, STR(".*b.*"), STR("b"), true},
        {"within across lines", MATCH_REGEX, STR(".*b.*"), STR("a\nb\n"), true},
        {"not within", MATCH_REGEX, STR(".*b.*"), STR("ac"), false},
        {"not within nothing", MATCH_REGEX, STR(".*b.*"), STR(""), false},
        {"one of several within", MATCH_REGEX, STR(".*(x|bc).*"), STR("abcd"), true},
        {"none of several within", MATCH_REGEX, STR(".*(x|bd).*"), STR("abcd"), false},
        {"nothing is within all", MATCH_REGEX, STR(".*(x|).*"), STR(""), true},
        {"within, or at the end", MATCH_REGEX, STR(".*a|b.*"), STR("ca"), true},
        {"within is not meant", MATCH_REGEX, STR(".*a|b.*"), STR("cab"), false},
        {"escaped dot behind", MATCH_REGEX, STR(".*b\\.*"), STR("abc"), false},
        {"escaped bar within", MATCH_REGEX, STR(".*b\\|c.*"), STR("xb|cx"), true},
        {"class within", MATCH_REGEX, STR(".*b[cd].*"), STR("abdx"), true},
        {"bar in a class within", MATCH_REGEX, STR(".*[|b].*"), STR("x|"), true},
        {"bracket in a class within", MATCH_REGEX, STR(".*[(]a|b.*"), STR("cb"), false},
        {"two within", MATCH_REGEX, STR(".*a.*b.*"), STR("ba"), false},
        {"case folding", MATCH_REGEX, STR("(?i)foo"), STR("FOO"), true},
        {"not regex", MATCH_NOT_REGEX, STR("foo.*"), STR("bar"), true},
        {"not regex of a match", MATCH_NOT_REGEX, STR("foo|bar"), STR("bar"), false},
        {"not any", MATCH_NOT_REGEX, STR(".*"), STR("x"), false},
    };
    Arena arena = {0};

    EACH_CASE(c, cases) {
        Matcher matcher;
        Error err = {0};
        CHECK_OK(matcher_init(&matcher, c->kind, S("l"), c->pattern, &arena, &err), err);
        CHECK_EQ(matcher_matches(&matcher, c->value), c->want);
        CHECK_EQ(matcher.matches_empty, matcher_matches(&matcher, S("")));
        matcher_deinit(&matcher);
    }
    arena_deinit(&arena);
}

TEST(matcher, finds_one_of_many_literals)
{
    Arena arena = {0};
    Buf pattern = {0};
    Matcher matcher;
    Error err = {0};
    for (int i = 0; i < 100; i++)
        buf_printf(&pattern, "%snode-%d", i ? "|" : "", i);

    CHECK_OK(matcher_init(&matcher, MATCH_REGEX, S("node"), buf_str(&pattern), &arena, &err), err);

    CHECK_EQ(matcher.literal_count, 100);
    CHECK(!matcher.regex);
    for (int i = 0; i < 100; i++)
        CHECK(matcher_matches(&matcher, arena_printf(&arena, "node-%d", i)));
    CHECK(!matcher_matches(&matcher, S("node-100")));
    CHECK(!matcher_matches(&matcher, S("node-")));
    matcher_deinit(&matcher);
    buf_deinit(&pattern);
    arena_deinit(&arena);
}

TEST(matcher, refuses_a_bad_pattern)
{
    static const struct {
        const char *name;
        Str pattern;
    } cases[] = {
        {"open group", STR("(a")},    {"nothing to repeat", STR("*a")},
        {"bad class", STR("[z-a]")},  {"back reference", STR("(a)\\1")},
        {"no UTF-8", STR("a\xff.*")},
    };
    Arena arena = {0};

    EACH_CASE(c, cases) {
        Matcher matcher;
        Error err = {0};
        CHECK(!matcher_init(&matcher, MATCH_REGEX, S("l"), c->pattern, &arena, &err));
        CHECK_EQ(err.code, ERR_INVALID);
        CHECK(err.text[0] != 0);
    }
    arena_deinit(&arena);
}

TEST(matcher, all_must_match_a_label_set)
{
    Arena arena = {0};
    Matcher matchers[3];
    Error err = {0};
    Label pairs[] = {{S("__name__"), S("up")}, {S("job"), S("api")}};
    Labels labels = {pairs, 2};
    CHECK_OK(matcher_init(&matchers[0], MATCH_EQUAL, S("__name__"), S("up"), &arena, &err), err);
    CHECK_OK(matcher_init(&matchers[1], MATCH_REGEX, S("job"), S("a.+"), &arena, &err), err);
    CHECK_OK(matcher_init(&matchers[2], MATCH_NOT_EQUAL, S("missing"), S(""), &arena, &err), err);

    CHECK(matchers_match(matchers, 0, labels));
    CHECK(matchers_match(matchers, 2, labels));
    CHECK(!matchers_match(matchers, 3, labels));

    for (size_t i = 0; i < 3; i++)
        matcher_deinit(&matchers[i]);
    arena_deinit(&arena);
}

TEST(matcher, prints_as_a_selector)
{
    static const struct {
        const char *name;
        MatchKind kind;
        Str label;
        Str value;
        Str want;
    } cases[] = {
        {"equal", MATCH_EQUAL, STR("job"), STR("a\"b"), STR("job=\"a\\\"b\"")},
        {"not equal", MATCH_NOT_EQUAL, STR("job"), STR(""), STR("job!=\"\"")},
        {"regex", MATCH_REGEX, STR("job"), STR("a\\.b"), STR("job=~\"a\\\\.b\"")},
        {"quoted name", MATCH_NOT_REGEX, STR("a.b"), STR("x"), STR("\"a.b\"!~\"x\"")},
    };
    Arena arena = {0};

    EACH_CASE(c, cases) {
        Matcher matcher;
        Error err = {0};
        Buf buf = {0};
        CHECK_OK(matcher_init(&matcher, c->kind, c->label, c->value, &arena, &err), err);
        matcher_print(&buf, &matcher);
        CHECK_STR(buf_str(&buf), c->want);
        buf_deinit(&buf);
        matcher_deinit(&matcher);
    }
    arena_deinit(&arena);
}

TEST_MAIN(matcher, TEST_ROW(matcher, matches_what_prometheus_matches),
          TEST_ROW(matcher, finds_one_of_many_literals), TEST_ROW(matcher, refuses_a_bad_pattern),
          TEST_ROW(matcher, all_must_match_a_label_set), TEST_ROW(matcher, prints_as_a_selector))
