// SPDX-License-Identifier: Apache-2.0
#include "base/regex_cache.h"

#include "base/test.h"
#include "base/thread.h"

static Regex *take(const char *pattern)
{
    Regex *regex = NULL;
    Error err = {0};
    CHECK_OK(regex_cache_take(str_from_c(pattern), &regex, &err), err);
    return regex;
}

TEST(regex_cache, a_pattern_is_compiled_once)
{
    Regex *first = take("a+b"), *second = take("a+b");
    CHECK(first == second);
    regex_cache_give(first);
    regex_cache_give(second);
    Regex *third = take("a+b");
    CHECK(third == first);
    CHECK(regex_match(third, S("aab")));
    regex_cache_give(third);
    regex_cache_give(NULL);
}

TEST(regex_cache, what_nobody_takes_is_forgotten_and_what_is_held_stays)
{
    Regex *held = take("held.*x+");
    regex_cache_give(take("idle.*x+"));
    regex_cache_trim();
    regex_cache_trim();
    CHECK(regex_match(held, S("held x")));
    CHECK(take("held.*x+") == held);
    regex_cache_give(held);
    regex_cache_give(held);
    regex_cache_trim();
    regex_cache_trim();
    Regex *again = take("held.*x+"); // a leak checker sees if the first was lost
    CHECK(regex_match(again, S("held xx")));
    regex_cache_give(again);
}

TEST(regex_cache, more_patterns_than_there_are_places_work)
{
    Regex *held[100];
    char pattern[100][16];
    for (int i = 0; i < 100; i++) {
        snprintf(pattern[i], sizeof pattern[i], "x%d[a-z]+", i);
        held[i] = take(pattern[i]);
    }
    for (int i = 0; i < 100; i++) {
        char text[16];
        snprintf(text, sizeof text, "x%dabc", i);
        CHECK(regex_match(held[i], str_from_c(text)));
        regex_cache_give(held[i]);
    }
    regex_cache_trim();
    regex_cache_trim();
}

TEST(regex_cache, a_bad_or_a_long_pattern_is_not_kept)
{
    char pattern[4096];
    Regex *regex = NULL;
    Error err = {0};
    CHECK(!regex_cache_take(S("a(b"), &regex, &err));
    CHECK_EQ(err.code, ERR_INVALID);
    memset(pattern, 'a', sizeof pattern);
    CHECK_OK(regex_cache_take((Str){pattern, sizeof pattern}, &regex, &err), err);
    regex_cache_give(regex); // freed at once: a leak checker sees it
}

static void take_and_give(void *arg)
{
    (void)arg;
    for (int i = 0; i < 3000; i++) {
        char pattern[16];
        snprintf(pattern, sizeof pattern, "t%d.+x", i % 40);
        Regex *regex = take(pattern);
        CHECK(regex_match(regex, str_from_c(pattern)));
        regex_cache_give(regex);
        if (i % 100 == 0)
            regex_cache_trim();
    }
}

TEST(regex_cache, threads_share_it)
{
    Thread threads[3];
    Error err = {0};
    for (int i = 0; i < 3; i++)
        CHECK_OK(thread_start(&threads[i], "test", take_and_give, NULL, &err), err);
    for (int i = 0; i < 3; i++)
        thread_join(&threads[i]);
    regex_cache_trim();
    regex_cache_trim();
}

TEST_MAIN(regex_cache, TEST_ROW(regex_cache, a_pattern_is_compiled_once),
          TEST_ROW(regex_cache, what_nobody_takes_is_forgotten_and_what_is_held_stays),
          TEST_ROW(regex_cache, more_patterns_than_there_are_places_work),
          TEST_ROW(regex_cache, a_bad_or_a_long_pattern_is_not_kept),
          TEST_ROW(regex_cache, threads_share_it))
