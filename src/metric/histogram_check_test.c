// SPDX-License-Identifier: Apache-2.0
#include <math.h>

#include "metric/histogram_test_util.h"

TEST(histogram_check, validation_names_the_fault)
{
    static const struct {
        const char *name;
        Spec spec;
        bool is_integer;
        double count_off;
        const char *want; // NULL: valid
    } cases[] = {
        {"valid", {0, 0.1, 1, "0:1 2,1:3", "-2:3", NULL, 1, 0}, true, 0, NULL},
        {"valid custom", {-53, 0, 0, "0:1 2", "", "1", 1, 0}, true, 0, NULL},
        {"float without sum check", {0, 0, 0, "0:1", "", NULL, 1, 0}, false, 5, NULL},
        {"integer with sum check",
         {0, 0, 0, "0:1", "", NULL, 1, 0},
         true,
         5,
         "1 observations found in buckets, but the Count field is 6"},
        {"NaN sum, more counted", {0, 0, 0, "0:1", "", NULL, NAN, 0}, true, 5, NULL},
        {"NaN sum, fewer counted", {0, 0, 0, "0:3", "", NULL, NAN, 0}, true, -1, "be at least"},
        {"negative bucket",
         {0, 0, 0, "0:1 -1", "", NULL, 1, 0},
         false,
         9,
         "positive side: bucket number 2"},
        {"negative bucket below zero",
         {0, 0, 0, "0:1", "0:-1", NULL, 1, 0},
         false,
         9,
         "negative side: bucket number 1"},
        {"negative zero bucket", {0, 0, -1, "0:1", "", NULL, 1, 0}, false, 9, "zero bucket"},
        {"negative count", {0, 0, 0, "0:1", "", NULL, 1, 0}, false, -2, "observation count is -1"},
        {"negative gap",
         {0, 0, 0, "0:1,-1:2", "", NULL, 1, 0},
         false,
         0,
         "span number 2 with offset -1"},
        {"schema too high",
         {9, 0, 0, "", "", NULL, 1, 0},
         false,
         0,
         "for custom buckets, got schema 9"},
        {"schema too low", {-5, 0, 0, "", "", NULL, 1, 0}, false, 0, "invalid schema"},
        {"bounds of an exponential one",
         {0, 0, 0, "0:1", "", "1", 1, 0},
         false,
         0,
         "must not have custom bounds"},
        {"bounds not rising", {-53, 0, 0, "0:1", "", "2 1", 1, 0}, false, 0, "strictly increasing"},
        {"bound NaN", {-53, 0, 0, "0:1", "", "nan", 1, 0}, false, 0, "NaN"},
        {"last bound infinite", {-53, 0, 0, "0:1", "", "1 inf", 1, 0}, false, 0, "+Inf"},
        {"bounds too few", {-53, 0, 0, "0:1 2 3", "", "1", 1, 0}, false, 0, "only 1 custom bounds"},
        {"custom offset negative",
         {-53, 0, 0, "-1:1", "", "1", 1, 0},
         false,
         0,
         "span number 1 with offset -1"},
        {"custom zero count", {-53, 0, 1, "0:1", "", "1", 1, 0}, false, 0, "zero count"},
        {"custom zero threshold", {-53, 1, 0, "0:1", "", "1", 1, 0}, false, 0, "zero threshold"},
        {"custom negative side", {-53, 0, 0, "0:1", "0:1", "1", 1, 0}, false, 0, "negative spans"},
        {"indices beyond the last",
         {0, 0, 0, "2147483647:1 2", "", NULL, 1, 0},
         false,
         0,
         "beyond the last bucket index"},
    };
    Arena arena = {0};

    EACH_CASE(c, cases) {
        Error err = {0};
        Histogram *h = make(&arena, &c->spec);
        h->is_integer = c->is_integer;
        h->count += c->count_off;
        CHECK_EQ(histogram_validate(h, &err), c->want == NULL);
        if (c->want)
            CHECK_HAS(err.text, c->want);
    }
    arena_deinit(&arena);
}

TEST(histogram_check, validation_counts_buckets_against_spans)
{
    Arena arena = {0};
    Error err = {0};
    Histogram *h = make(&arena, &(Spec){0, 0, 0, "0:1 2", "", NULL, 1, 0});

    h->positive_count = 1;
    CHECK(!histogram_validate(h, &err));
    CHECK_HAS(err.text, "positive side: spans need 2 buckets, have 1 buckets");

    h->positive_count = HISTOGRAM_BUCKETS_MAX + 1;
    CHECK(!histogram_validate(h, &err));
    CHECK_EQ(err.code, ERR_LIMIT);
    arena_deinit(&arena);
}

TEST(histogram_check, reserved_schemas_are_reduced)
{
    static const struct {
        const char *name;
        Spec spec;
        int want_schema; // what it is then
        uint32_t want_buckets;
        const char *want; // the fault
    } cases[] = {
        {"known", {8, 0, 0, "0:1 2", "", NULL, 1, 0}, 8, 2, NULL},
        {"one step finer", {9, 0, 0, "0:1 2 3", "1:1", NULL, 1, 0}, 8, 2, NULL},
        {"the finest", {52, 0, 0, "1:1 2 3", "", NULL, 1, 0}, 8, 1, NULL},
        {"spans that do not fit", {9, 0, 0, "0:1,-1:2", "", NULL, 1, 0}, 9, 0, "span number 2"},
        {"beyond", {53, 0, 0, "0:1", "", NULL, 1, 0}, 53, 0, "got schema 53"},
    };
    Arena arena = {0};

    EACH_CASE(c, cases) {
        Error err = {0};
        const Histogram *h = make(&arena, &c->spec);
        CHECK_EQ(histogram_accept(&arena, &h, &err), c->want == NULL);
        CHECK_EQ(h->schema, c->want_schema);
        if (c->want)
            CHECK_HAS(err.text, c->want);
        else
            CHECK_EQ(h->positive_count, c->want_buckets);
    }
    arena_deinit(&arena);
}

TEST_MAIN(histogram_check, TEST_ROW(histogram_check, reserved_schemas_are_reduced),
          TEST_ROW(histogram_check, validation_names_the_fault),
          TEST_ROW(histogram_check, validation_counts_buckets_against_spans))
