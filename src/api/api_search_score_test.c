// SPDX-License-Identifier: Apache-2.0
#include "api/api_search_score.h"

#include <math.h>

#include "base/test.h"

static bool near_to(double a, double b)
{
    return fabs(a - b) < 1e-4;
}

TEST(search_score, jaro_winkler_as_in_the_literature)
{
    static const struct {
        const char *name, *a, *b;
        double want;
    } cases[] = {
        {"transposition", "MARTHA", "MARHTA", 0.9611},
        {"longer", "DIXON", "DICKSONX", 0.8133},
        {"shorter", "DWAYNE", "DUANE", 0.84},
        {"nothing alike", "abc", "xyz", 0},
        {"equal", "up", "up", 1},
        {"other script", "\xc3\xa9t\xc3\xa9", "\xc3\xa9ta", 0.8222},
        {"empty", "", "up", 0},
    };
    EACH_CASE(c, cases) {
        Arena arena = {0};
        SearchTerm a, b;
        search_term_init(&a, str_from_c(c->a), false, &arena);
        search_term_init(&b, str_from_c(c->b), false, &arena);
        CHECK(near_to(search_score_jarowinkler(&a, &b, &arena), c->want));
        CHECK(near_to(search_score_jarowinkler(&b, &a, &arena), c->want));
        arena_deinit(&arena);
    }
}

TEST(search_score, subsequences_like_runs_and_dislike_gaps)
{
    static const struct {
        const char *name, *term, *value;
        double want;
    } cases[] = {
        {"equal", "abc", "abc", 1},
        {"one gap", "ac", "abc", (2 - 1.0 / 3) / 4 * 0.999},
        {"behind a head", "bc", "abc", (4 - 1.0 / 3) / 4 * 0.999},
        {"before a tail", "ab", "abc", (4 - 0.5 / 3) / 4 * 0.999},
        {"the best of two places", "up", "uxup", (4 - 2.0 / 4) / 4 * 0.999},
        {"not in order", "ba", "abc", 0},
        {"longer than the value", "abcd", "abc", 0},
        {"runes, not bytes", "\xc3\xa9", "a\xc3\xa9", (1 - 1.0 / 2) * 0.999},
    };
    EACH_CASE(c, cases) {
        Arena arena = {0};
        SearchTerm term, value;
        search_term_init(&term, str_from_c(c->term), false, &arena);
        search_term_init(&value, str_from_c(c->value), false, &arena);
        CHECK(near_to(search_score_subsequence(&term, &value), c->want));
        arena_deinit(&arena);
    }
}

TEST(search_score, substrings_are_better_the_earlier_they_stand)
{
    static const struct {
        const char *name, *term, *value;
        bool found;
        double want;
    } cases[] = {
        {"at the beginning", "http", "http_requests", true, 1},
        {"at the end", "sts", "requests", true, 0.1},
        {"between", "b", "abc", true, 0.55},
        {"nowhere", "x", "abc", false, 0},
        {"longer", "abcd", "abc", false, 0},
    };
    EACH_CASE(c, cases) {
        Arena arena = {0};
        SearchTerm term, value;
        bool found;
        search_term_init(&term, str_from_c(c->term), false, &arena);
        search_term_init(&value, str_from_c(c->value), false, &arena);
        CHECK(near_to(search_score_substring(&term, &value, &found), c->want));
        CHECK_EQ(found, c->found);
        arena_deinit(&arena);
    }
}

TEST(search_filter, takes_what_any_term_takes)
{
    static const struct {
        const char *name;
        SearchFilter filter;
        const char *terms[3];
        const char *value;
        bool want;
    } cases[] = {
        {"no term", {.case_sensitive = true}, {NULL}, "anything", true},
        {"empty terms", {.case_sensitive = true}, {"", ""}, "anything", true},
        {"second term", {.case_sensitive = true}, {"zzz", "any"}, "anything", true},
        {"case", {.case_sensitive = true}, {"ANY"}, "anything", false},
        {"no case", {.case_sensitive = false}, {"ANY"}, "anything", true},
        {"below the threshold",
         {.case_sensitive = true, .threshold = 0.9},
         {"ag"},
         "anything",
         false},
        {"substring alone",
         {.case_sensitive = true, .algorithm = SEARCH_JAROWINKLER},
         {"ag"},
         "anything",
         false},
        {"a slip of the hand",
         {.case_sensitive = true, .algorithm = SEARCH_JAROWINKLER, .threshold = 0.8},
         {"requets"},
         "requests",
         true},
    };
    EACH_CASE(c, cases) {
        Arena arena = {0};
        SearchFilter filter = c->filter;
        double score;
        for (size_t i = 0; i < COUNT_OF(c->terms) && c->terms[i]; i++)
            CHECK(search_filter_add(&filter, str_from_c(c->terms[i]), &arena));
        CHECK_EQ(search_filter_accepts(&filter, str_from_c(c->value), &arena, &score), c->want);
        arena_deinit(&arena);
    }
}

TEST(search_filter, has_a_limit_of_terms)
{
    Arena arena = {0};
    SearchFilter filter = {.case_sensitive = true};
    for (int i = 0; i < SEARCH_TERMS_MAX; i++)
        CHECK(search_filter_add(&filter, S("a"), &arena));
    CHECK(!search_filter_add(&filter, S("a"), &arena));
    arena_deinit(&arena);
}

TEST_MAIN(api_search_score, TEST_ROW(search_score, jaro_winkler_as_in_the_literature),
          TEST_ROW(search_score, subsequences_like_runs_and_dislike_gaps),
          TEST_ROW(search_score, substrings_are_better_the_earlier_they_stand),
          TEST_ROW(search_filter, takes_what_any_term_takes),
          TEST_ROW(search_filter, has_a_limit_of_terms))
