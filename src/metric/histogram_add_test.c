// SPDX-License-Identifier: Apache-2.0
#include <math.h>

#include "base/random.h"
#include "metric/histogram_test_util.h"

// a + b and a - b, the sides of the results after compaction.
static const struct {
    const char *name;
    Spec a, b;
    Str sum, sum_negative;
    Str diff;
    int32_t schema;
    double zero_threshold, zero_sum, zero_diff;
    bool mismatch;
} arithmetic_cases[] = {
    {"same layout",
     {0, 0.1, 5, "0:1 2", "0:7", NULL, 0, 0},
     {0, 0.1, 3, "0:10 20", "0:1", NULL, 0, 0},
     STR("0:11 22"),
     STR("0:8"),
     STR("0:-9 -18"),
     0,
     0.1,
     8,
     2,
     false},
    {"disjoint",
     {0, 0, 0, "0:1", "", NULL, 0, 0},
     {0, 0, 0, "5:2", "1:3", NULL, 0, 0},
     STR("0:1,4:2"),
     STR("1:3"),
     STR("0:1,4:-2"),
     0,
     0,
     0,
     0,
     false},
    {"fills the gap",
     {0, 0, 0, "0:1,1:3", "", NULL, 0, 0},
     {0, 0, 0, "1:2", "", NULL, 0, 0},
     STR("0:1 2 3"),
     STR(""),
     STR("0:1 -2 3"),
     0,
     0,
     0,
     0,
     false},
    {"before and behind",
     {0, 0, 0, "2:1 1", "", NULL, 0, 0},
     {0, 0, 0, "-3:4,3:5,4:6", "", NULL, 0, 0},
     STR("-3:4,3:5 1 1,2:6"),
     STR(""),
     STR("-3:-4,3:-5 1 1,2:-6"),
     0,
     0,
     0,
     0,
     false},
    {"coarser right side",
     {1, 0, 0, "1:1 2 3 4", "", NULL, 0, 0},
     {0, 0, 0, "1:10", "1:5", NULL, 0, 0},
     STR("1:13 7"),
     STR("1:5"),
     STR("1:-7 7"),
     0,
     0,
     0,
     0,
     false},
    {"coarser left side",
     {0, 0, 0, "1:10", "", NULL, 0, 0},
     {2, 0, 0, "1:1 2 3 4 5", "", NULL, 0, 0},
     STR("1:20 5"),
     STR(""),
     STR("1:0 -5"),
     0,
     0,
     0,
     0,
     false},
    {"wider zero bucket on the right",
     {0, 0.25, 1, "-1:2 3 4", "-1:5", NULL, 0, 0},
     {0, 1, 10, "1:1", "", NULL, 0, 0},
     STR("1:5"),
     STR(""),
     STR("1:3"),
     0,
     1,
     21,
     1,
     false},
    {"wider zero bucket on the left",
     {0, 1, 10, "1:1", "", NULL, 0, 0},
     {0, 0.25, 1, "-1:2 3 4", "-1:5", NULL, 0, 0},
     STR("1:5"),
     STR(""),
     STR("1:-3"),
     0,
     1,
     21,
     -1,
     false},
    {"threshold inside a populated bucket",
     {0, 0.25, 1, "0:3", "", NULL, 0, 0},
     {0, 0.75, 2, "2:1", "", NULL, 0, 0},
     STR("2:1"),
     STR(""),
     STR("2:-1"),
     0,
     1,
     6,
     2,
     false},
    {"custom, same bounds",
     {-53, 0, 0, "0:1 2 3", "", "1 2", 0, 0},
     {-53, 0, 0, "1:5", "", "1 2", 0, 0},
     STR("0:1 7 3"),
     STR(""),
     STR("0:1 -3 3"),
     -53,
     0,
     0,
     0,
     false},
    {"custom, other bounds",
     {-53, 0, 0, "0:1 2 3 4", "", "1 2 3", 0, 0},
     {-53, 0, 0, "0:10 20 30", "", "2 4", 0, 0},
     STR("0:13 57"),
     STR(""),
     STR("0:-7 -43"),
     -53,
     0,
     0,
     0,
     true},
    {"custom, nothing in common",
     {-53, 0, 0, "0:1 2", "", "1", 0, 0},
     {-53, 0, 0, "0:10 20", "", "2", 0, 0},
     STR("0:33"),
     STR(""),
     STR("0:-27"),
     -53,
     0,
     0,
     0,
     true},
};

TEST(histogram_add, adds_and_subtracts)
{
    Arena arena = {0};

    EACH_CASE(c, arithmetic_cases) {
        Histogram *a = make(&arena, &c->a);
        Histogram *b = make(&arena, &c->b);
        Histogram *sum, *diff;
        bool mismatch = !c->mismatch;

        CHECK(histogram_add(&arena, a, b, &sum, &mismatch));
        CHECK_EQ(mismatch, c->mismatch);
        CHECK(histogram_sub(&arena, a, b, &diff, NULL));

        CHECK_STR(positive_text(&arena, sum), c->sum);
        CHECK_STR(negative_text(&arena, sum), c->sum_negative);
        CHECK_STR(positive_text(&arena, diff), c->diff);
        CHECK_EQ(sum->schema, c->schema);
        CHECK_DOUBLE(sum->zero_threshold, c->zero_threshold);
        CHECK_DOUBLE(sum->zero_count, c->zero_sum);
        CHECK_DOUBLE(diff->zero_count, c->zero_diff);
        CHECK_DOUBLE(sum->count, a->count + b->count);
        CHECK_DOUBLE(diff->count, a->count - b->count);
    }
    arena_deinit(&arena);
}

TEST(histogram_add, exponential_and_custom_do_not_mix)
{
    Arena arena = {0};
    Histogram *a = make(&arena, &(Spec){0, 0, 0, "0:1", "", NULL, 0, 0});
    Histogram *b = make(&arena, &(Spec){-53, 0, 0, "0:1", "", "1", 0, 0});
    Histogram *result = NULL;

    CHECK(!histogram_add(&arena, a, b, &result, NULL));
    CHECK(!histogram_sub(&arena, b, a, &result, NULL));
    CHECK(result == NULL);
    arena_deinit(&arena);
}

TEST(histogram_add, hints_combine)
{
    static const struct {
        const char *name;
        HistogramHint a, b, want;
        bool collide;
    } cases[] = {
        {"both unknown", HINT_UNKNOWN, HINT_UNKNOWN, HINT_UNKNOWN, false},
        {"both gauges", HINT_GAUGE, HINT_GAUGE, HINT_GAUGE, false},
        {"both no reset", HINT_NO_RESET, HINT_NO_RESET, HINT_NO_RESET, false},
        {"a gauge on the right", HINT_RESET, HINT_GAUGE, HINT_GAUGE, false},
        {"a gauge on the left", HINT_GAUGE, HINT_UNKNOWN, HINT_GAUGE, false},
        {"unknown and reset", HINT_UNKNOWN, HINT_RESET, HINT_UNKNOWN, false},
        {"reset and unknown", HINT_RESET, HINT_UNKNOWN, HINT_UNKNOWN, false},
        {"reset and no reset", HINT_RESET, HINT_NO_RESET, HINT_UNKNOWN, true},
        {"no reset and reset", HINT_NO_RESET, HINT_RESET, HINT_UNKNOWN, true},
    };
    Arena arena = {0};

    EACH_CASE(c, cases) {
        Histogram *a = make(&arena, &(Spec){0, 0, 0, "0:1", "", NULL, 0, c->a});
        Histogram *b = make(&arena, &(Spec){0, 0, 0, "0:1", "", NULL, 0, c->b});
        Histogram *sum;
        CHECK(histogram_add(&arena, a, b, &sum, NULL));
        CHECK_EQ(sum->hint, c->want);
        CHECK_EQ(histogram_hints_collide(a, b), c->collide);
    }
    arena_deinit(&arena);
}

TEST(histogram_add, compensated_sum_keeps_what_a_plain_one_loses)
{
    Arena arena = {0};
    Histogram *large = make(&arena, &(Spec){0, 0, 0, "0:1e100", "0:1", NULL, 1e100, 0});
    Histogram *small = make(&arena, &(Spec){0, 0, 0, "0:1 3", "", NULL, 1, 0});
    Histogram *minus = histogram_scale(&arena, large, -1);
    Histogram *sum, *errors, *total;

    CHECK(histogram_add_kahan(&arena, large, small, NULL, &sum, &errors, NULL));
    CHECK(histogram_add_kahan(&arena, sum, minus, errors, &sum, &errors, NULL));
    CHECK(histogram_add(&arena, sum, errors, &total, NULL));

    CHECK_DOUBLE(total->sum, 1);
    CHECK_STR(positive_text(&arena, total), S("0:1 3"));
    CHECK_EQ(errors->positive_count, sum->positive_count);
    CHECK_EQ(errors->negative_count, sum->negative_count);
    arena_deinit(&arena);
}

TEST(histogram_add, compensation_follows_resolution_zero_bucket_and_bounds)
{
    Arena arena = {0};

    EACH_CASE(c, arithmetic_cases) {
        Histogram *a = make(&arena, &c->a);
        Histogram *b = make(&arena, &c->b);
        Histogram *sum, *errors;
        bool mismatch;

        CHECK(histogram_add_kahan(&arena, a, b, NULL, &sum, &errors, &mismatch));
        CHECK_EQ(mismatch, c->mismatch);
        CHECK_STR(positive_text(&arena, sum), c->sum);
        CHECK_DOUBLE(sum->zero_count, c->zero_sum);
        CHECK(histogram_add_kahan(&arena, sum, a, errors, &sum, &errors, NULL));
        CHECK(histogram_add_kahan(&arena, sum, b, errors, &sum, &errors, NULL));
        CHECK_DOUBLE(sum->count, 2 * (a->count + b->count));
        CHECK_EQ(errors->schema, sum->schema);
        CHECK_DOUBLE(errors->count, 0);
    }
    arena_deinit(&arena);
}

TEST(histogram_add, scales_and_divides)
{
    Arena arena = {0};
    Histogram *h = make(&arena, &(Spec){0, 0.1, 2, "0:1 2", "0:4", NULL, 10, HINT_NO_RESET});

    Histogram *twice = histogram_scale(&arena, h, 2);
    CHECK_STR(positive_text(&arena, twice), S("0:2 4"));
    CHECK_STR(negative_text(&arena, twice), S("0:8"));
    CHECK_DOUBLE(twice->sum, 20);
    CHECK_DOUBLE(twice->zero_count, 4);
    CHECK_EQ(twice->hint, HINT_NO_RESET);
    CHECK_EQ(histogram_scale(&arena, h, -1)->hint, HINT_GAUGE);

    Histogram *half = histogram_div(&arena, h, 2);
    CHECK_STR(positive_text(&arena, half), S("0:0.5 1"));
    CHECK_EQ(histogram_div(&arena, h, -2)->hint, HINT_GAUGE);

    Histogram *none = histogram_div(&arena, h, 0);
    CHECK_EQ(none->positive_count + none->positive_span_count, 0);
    CHECK_EQ(none->negative_count + none->negative_span_count, 0);
    CHECK_DOUBLE(none->count, INFINITY);
    CHECK_EQ(none->hint, HINT_NO_RESET);
    arena_deinit(&arena);
}

#define MODEL_MIN (-40)
#define MODEL_MAX 40

static void fill_model(double *model, const Histogram *h, int32_t schema, bool positive,
                       double sign)
{
    const HistogramSpan *spans = positive ? h->positive_spans : h->negative_spans;
    uint32_t span_count = positive ? h->positive_span_count : h->negative_span_count;
    const double *buckets = positive ? h->positive_buckets : h->negative_buckets;
    int32_t index = 0;
    uint32_t at = 0;

    for (uint32_t i = 0; i < span_count; i++) {
        index += spans[i].offset;
        for (uint32_t j = 0; j < spans[i].length; j++, index++) {
            int32_t to = index;
            for (int32_t s = h->schema; s > schema; s--)
                to = (int32_t)floor((to - 1) / 2.0) + 1;
            model[to - MODEL_MIN] += sign * buckets[at++];
        }
    }
}

static Str random_side(Arena *arena, Random *random)
{
    Buf buf = {0};
    int spans = (int)random_below(random, 4);

    for (int i = 0; i < spans; i++) {
        buf_printf(&buf, "%s%d:", i ? "," : "", (int)random_below(random, 7) - (i ? 0 : 5));
        int length = (int)random_below(random, 4);
        for (int j = 0; j < length; j++)
            buf_printf(&buf, "%s%d", j ? " " : "", (int)random_below(random, 5));
    }
    Str text = arena_str(arena, buf_str(&buf));
    buf_deinit(&buf);
    return text;
}

// Every operation on buckets against one that knows only indices.
TEST(histogram_add, random_arithmetic_agrees_with_a_naive_model)
{
    Arena arena = {0};
    Random random;
    random_seed(&random, 7);

    for (int round = 0; round < 3000; round++) {
        double model[MODEL_MAX - MODEL_MIN] = {0};
        double got[MODEL_MAX - MODEL_MIN] = {0};
        Spec specs[2];
        Histogram *pair[2], *result, *errors;
        Error err = {0};
        bool minus = random_below(&random, 2);
        for (int i = 0; i < 2; i++) {
            specs[i] = (Spec){(int32_t)random_below(&random, 3),
                              0,
                              0,
                              random_side(&arena, &random).ptr,
                              "",
                              NULL,
                              0,
                              0};
            pair[i] = make(&arena, &specs[i]);
        }
        int32_t schema = MIN(specs[0].schema, specs[1].schema);
        fill_model(model, pair[0], schema, true, 1);
        fill_model(model, pair[1], schema, true, minus ? -1 : 1);

        if (minus)
            CHECK(histogram_sub(&arena, pair[0], pair[1], &result, NULL));
        else if (round % 3)
            CHECK(histogram_add(&arena, pair[0], pair[1], &result, NULL));
        else
            CHECK(histogram_add_kahan(&arena, pair[0], pair[1], NULL, &result, &errors, NULL));
        if (round % 2)
            result = histogram_compact(&arena, result, (int)random_below(&random, 3));
        if (!minus)
            CHECK_OK(histogram_validate(result, &err), err);
        fill_model(got, result, schema, true, 1);

        for (size_t i = 0; i < COUNT_OF(model); i++)
            CHECK(model[i] == got[i]);
        arena_reset(&arena);
    }
    arena_deinit(&arena);
}

TEST_MAIN(histogram_add, TEST_ROW(histogram_add, adds_and_subtracts),
          TEST_ROW(histogram_add, exponential_and_custom_do_not_mix),
          TEST_ROW(histogram_add, hints_combine),
          TEST_ROW(histogram_add, compensated_sum_keeps_what_a_plain_one_loses),
          TEST_ROW(histogram_add, compensation_follows_resolution_zero_bucket_and_bounds),
          TEST_ROW(histogram_add, scales_and_divides),
          TEST_ROW(histogram_add, random_arithmetic_agrees_with_a_naive_model))
