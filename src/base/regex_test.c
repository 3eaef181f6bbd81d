// SPDX-License-Identifier: Apache-2.0
#include "base/regex.h"

#include <stdlib.h>

#include "base/test.h"

TEST(regex, is_anchored_and_dot_takes_newlines)
{
    static const struct {
        const char *name;
        const char *pattern;
        Str text;
        bool want;
    } cases[] = {
        {"whole text", "ab+", STR("abbb"), true},
        {"not a part", "b+", STR("abbb"), false},
        {"alternation is anchored on both sides", "a|b", STR("ab"), false},
        {"dot takes newline", "a.b", STR("a\nb"), true},
        {"empty matches empty", "", STR(""), true},
        {"case folding", "(?i)abc", STR("ABC"), true},
        {"unicode class", "\\p{Hangul}+", STR("\xed\x95\x9c"), true},
    };

    EACH_CASE(c, cases) {
        Regex *regex;
        Error err = {0};

        CHECK_OK(regex_new(str_from_c(c->pattern), &regex, &err), err);

        CHECK_EQ(regex_match(regex, c->text), c->want);
        regex_free(regex);
    }
}

TEST(regex, tells_what_is_wrong_with_a_pattern)
{
    Regex *regex;
    Error err = {0};

    CHECK(!regex_new(S("a(b"), &regex, &err));

    CHECK_EQ(err.code, ERR_INVALID);
    CHECK_HAS(err.text, "error parsing regexp: missing closing )");
}

TEST(regex, expands_groups_as_go_does)
{
    static const struct {
        const char *name;
        const char *pattern, *text, *replacement;
        const char *want; // NULL: no match
    } cases[] = {
        {"number", "(.*)-(.*)", "a-b", "$2/$1", "b/a"},
        {"braces", "(.*)-(.*)", "a-b", "${1}x", "ax"},
        {"name takes word characters", "(.*)-(.*)", "a-b", "$1x", ""},
        {"named group", "(?P<host>.*):(?P<port>.*)", "h:1", "${port}-$host", "1-h"},
        {"dollar", "(.*)", "v", "$$1", "$1"},
        {"unknown group", "(.*)", "v", "a${9}b", "ab"},
        {"stray dollar", "(.*)", "v", "5$", "5$"},
        {"group that took no part", "(a)|(b)", "b", "[$1][$2]", "[][b]"},
        {"no match", "x", "y", "z", NULL},
    };

    EACH_CASE(c, cases) {
        Regex *regex;
        Arena arena = {0};
        Error err = {0};
        Str got = STR_NONE;
        CHECK_OK(regex_new(str_from_c(c->pattern), &regex, &err), err);

        bool matched =
            regex_expand(regex, str_from_c(c->text), str_from_c(c->replacement), &arena, &got);

        CHECK_EQ(matched, c->want != NULL);
        CHECK_STR(got, str_from_c(c->want));
        regex_free(regex);
        arena_deinit(&arena);
    }
}

static int compare(const void *a, const void *b)
{
    return str_compare(*(const Str *)a, *(const Str *)b);
}

TEST(regex, knows_when_a_pattern_is_a_set_of_literals)
{
    static const struct {
        const char *name;
        const char *pattern;
        const char *want; // sorted, joined by spaces; NULL: more than literals
    } cases[] = {
        {"one", "abc", "abc"},
        {"alternation", "a|b|c", "a b c"},
        {"group", "(foo|bar)", "bar foo"},
        {"prefix and suffix", "prod-(eu|us)-x", "prod-eu-x prod-us-x"},
        {"class", "node[1-3]", "node1 node2 node3"},
        {"optional", "https?", "http https"},
        {"escaped point", "a\\.b", "a.b"},
        {"non-capturing", "(?:a|b)c", "ac bc"},
        {"optional rune of two bytes", "x\xc3\xa9?", "x x\xc3\xa9"},
        {"star", "a.*", NULL},
        {"plus", "a+", NULL},
        {"folding", "(?i)a", NULL},
        {"class escape", "\\d", NULL},
        {"negated class", "[^a]", NULL},
        {"repeat", "a{2}", NULL},
        {"anchor", "^a$", NULL},
        {"double question mark", "a??", NULL},
        {"too many", "[a-z][a-z]", NULL},
    };

    EACH_CASE(c, cases) {
        Arena arena = {0};
        Str *list = NULL;
        size_t count = 0;

        bool ok = regex_literals(str_from_c(c->pattern), &arena, 256, &list, &count);

        CHECK_EQ(ok, c->want != NULL);
        if (ok) {
            qsort(list, count, sizeof *list, compare);
            Str joined = STR_NONE;
            for (size_t i = 0; i < count; i++)
                joined = arena_printf(&arena, STR_FMT "%s" STR_FMT, STR_ARG(joined), i ? " " : "",
                                      STR_ARG(list[i]));
            CHECK_STR(joined, str_from_c(c->want));
        }
        arena_deinit(&arena);
    }
}

TEST(regex, finds_the_literal_prefix)
{
    static const struct {
        const char *name;
        const char *pattern;
        const char *want;
    } cases[] = {
        {"before a star", "api-.*", "api-"},
        {"not the repeated rune", "ab*", "a"},
        {"escaped", "a\\.b.+", "a.b"},
        {"top alternation has none", "ab.*|ac.*", ""},
        {"alternation in a group ends it", "ab(c.*|d)", "ab"},
        {"bar in a class is no alternation", "a[|]b", "a"},
        {"folding has none", "(?i)ab.*", ""},
    };

    EACH_CASE(c, cases) {
        Arena arena = {0};
        CHECK_STR(regex_prefix(str_from_c(c->pattern), &arena), str_from_c(c->want));
        arena_deinit(&arena);
    }
}

TEST_MAIN(regex, TEST_ROW(regex, is_anchored_and_dot_takes_newlines),
          TEST_ROW(regex, tells_what_is_wrong_with_a_pattern),
          TEST_ROW(regex, expands_groups_as_go_does),
          TEST_ROW(regex, knows_when_a_pattern_is_a_set_of_literals),
          TEST_ROW(regex, finds_the_literal_prefix))
