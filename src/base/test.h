// SPDX-License-Identifier: Apache-2.0
// test.h: the house's face of cmocka. A name is a claim:
//
//     TEST(wal, replay_stops_at_torn_record) { ... CHECK_EQ(got, 3); }
//     TEST_MAIN(wal, TEST_ROW(wal, replay_stops_at_torn_record))
// TEST_FILTER='*torn*' runs the cases whose names match.
//
// A failing check prints the case's name when inside EACH_CASE over a struct with a `name` member.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"
// cmocka needs the five above first.
#include <cmocka.h>

#define TEST(unit, claim) static void test_##unit##_##claim(void **state __attribute__((unused)))
#define TEST_ROW(unit, claim)                                                                      \
    {                                                                                              \
        .name = #unit ": " #claim, .test_func = test_##unit##_##claim                              \
    }
#define TEST_MAIN(unit, ...)                                                                       \
    int main(void)                                                                                 \
    {                                                                                              \
        const struct CMUnitTest tests[] = {__VA_ARGS__};                                           \
        cmocka_set_test_filter(getenv("TEST_FILTER"));                                             \
        return cmocka_run_group_tests_name(#unit, tests, NULL, NULL);                              \
    }

static const char *test_case_name __attribute__((unused)) = "";
static inline bool test_enter_case(const char *name)
{
    test_case_name = name;
    return true;
}

// Walks an array of structs whose first member is `const char *name`.
#define EACH_CASE(c, cases)                                                                        \
    for (__typeof__(&(cases)[0]) c = (cases);                                                      \
         c < (cases) + COUNT_OF(cases) && test_enter_case(c->name); c++)

#define CHECK_FAIL_(...)                                                                           \
    do {                                                                                           \
        char message_[2000];                                                                       \
        snprintf(message_, sizeof message_, __VA_ARGS__);                                          \
        print_error("%s%s%s\n", test_case_name, *test_case_name ? ": " : "", message_);            \
        _fail(__FILE__, __LINE__);                                                                 \
    } while (0)

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            CHECK_FAIL_("not true: %s", #condition);                                               \
    } while (0)

// Integers of any kind.
#define CHECK_EQ(got, want)                                                                        \
    do {                                                                                           \
        long long got_ = (long long)(got);                                                         \
        long long want_ = (long long)(want);                                                       \
        if (got_ != want_)                                                                         \
            CHECK_FAIL_("%s is %lld, want %lld", #got, got_, want_);                               \
    } while (0)

// Doubles by bits, except that every NaN equals every NaN.
#define CHECK_DOUBLE(got, want)                                                                    \
    do {                                                                                           \
        double got_ = (got);                                                                       \
        double want_ = (want);                                                                     \
        if (memcmp(&got_, &want_, 8) != 0 && !(got_ != got_ && want_ != want_))                    \
            CHECK_FAIL_("%s is %.17g, want %.17g", #got, got_, want_);                             \
    } while (0)

#define CHECK_STR(got, want)                                                                       \
    do {                                                                                           \
        Str got_ = (got);                                                                          \
        Str want_ = (want);                                                                        \
        if (!str_equal(got_, want_))                                                               \
            CHECK_FAIL_("%s is \"" STR_FMT "\", want \"" STR_FMT "\"", #got, STR_ARG(got_),        \
                        STR_ARG(want_));                                                           \
    } while (0)

// `ok` is true, else the error's text is shown.
#define CHECK_OK(ok, err)                                                                          \
    do {                                                                                           \
        if (!(ok))                                                                                 \
            CHECK_FAIL_("%s: %s", #ok, (err).text);                                                \
    } while (0)

// The text contains the fragment.
#define CHECK_HAS(text, fragment)                                                                  \
    do {                                                                                           \
        if (!strstr((text), (fragment)))                                                           \
            CHECK_FAIL_("\"%s\" lacks \"%s\"", (text), (fragment));                                \
    } while (0)
