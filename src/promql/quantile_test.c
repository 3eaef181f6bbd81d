// SPDX-License-Identifier: Apache-2.0
#include "promql/quantile.h"

#include <math.h>
#include <stdlib.h>

#include "base/test.h"
#include "promql/function_bodies.h"

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    if (isnan(x) || isnan(y))
        return isnan(y) - isnan(x);
    return (x > y) - (x < y);
}

// By sorting, as the words of the definition say.
static double quantile_by_sorting(double q, double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare_doubles);
    double rank = q * (double)(count - 1);
    size_t lower = (size_t)floor(rank), upper = MIN(lower + 1, count - 1);
    double weight = rank - floor(rank);
    return values[lower] * (1 - weight) + values[upper] * weight;
}

TEST(quantile, of_values_agrees_with_sorting)
{
    srand(1);
    for (int round = 0; round < 20000; round++) {
        double values[40], copy[40];
        size_t count = 1 + (size_t)rand() % 40;
        for (size_t i = 0; i < count; i++)
            values[i] = rand() % 10 == 0   ? NAN
                        : rand() % 20 == 0 ? INFINITY
                                           : (double)(rand() % 30) - 10;
        memcpy(copy, values, sizeof copy);
        double q = (double)(rand() % 101) / 100;

        double got = quantile_of(q, values, count), want = quantile_by_sorting(q, copy, count);

        CHECK_DOUBLE(got, want);
    }
}

// Of many values most are left aside: whatever their order, and however many are alike.
TEST(quantile, of_many_values_agrees_with_sorting)
{
    enum { MOST = 20000 };
    double *values = X_ARRAY(double, MOST), *copy = X_ARRAY(double, MOST);
    srand(2);
    for (int round = 0; round < 400; round++) {
        size_t count = 4000 + (size_t)rand() % (MOST - 4000);
        int kind = round % 5, few = 1 + rand() % 50, nans = round % 3 ? 0 : rand() % 3 * 40;
        for (size_t i = 0; i < count; i++)
            values[i] = rand() % 100 < nans ? NAN
                        : kind == 0         ? (double)i
                        : kind == 1         ? (double)(count - i)
                        : kind == 2         ? rand() % few
                        : kind == 3 ? (i % 39 ? (double)rand() : -INFINITY) // as a sample sees it
                                    : (double)rand() * rand();
        memcpy(copy, values, count * sizeof *copy);
        double q = (double)(rand() % 101) / 100;

        double got = quantile_of(q, values, count);
        double want = quantile_by_sorting(q, copy, count);

        CHECK_DOUBLE(got, want);
    }
    free(values);
    free(copy);
}

TEST(quantile, of_values_has_edges)
{
    double values[] = {3, 1, 2};

    CHECK_DOUBLE(quantile_of(-0.1, values, 3), -INFINITY);
    CHECK_DOUBLE(quantile_of(1.1, values, 3), INFINITY);
    CHECK_DOUBLE(quantile_of(NAN, values, 3), NAN);
    CHECK_DOUBLE(quantile_of(0.5, values, 0), NAN);
    CHECK_DOUBLE(quantile_of(0.5, values, 3), 2);
    CHECK_DOUBLE(quantile_of(0.25, values, 3), 1.5);
}

TEST(quantile, of_classic_buckets)
{
    static const struct {
        const char *name;
        double q;
        ClassicBucket buckets[4];
        size_t count;
        double want;
        bool want_forced;
    } cases[] = {
        {"in the middle", 0.5, {{1, 10}, {2, 20}, {INFINITY, 20}}, 3, 1, false},
        {"linear inside", 0.75, {{1, 10}, {2, 20}, {INFINITY, 20}}, 3, 1.5, false},
        {"first begins at zero", 0.25, {{1, 10}, {2, 20}, {INFINITY, 20}}, 3, 0.5, false},
        {"first is negative", 0.25, {{-1, 10}, {2, 20}, {INFINITY, 20}}, 3, -1, false},
        {"in the last", 0.99, {{1, 1}, {2, 1}, {INFINITY, 20}}, 3, 2, false},
        {"no infinity", 0.5, {{1, 10}, {2, 20}}, 2, NAN, false},
        {"only infinity", 0.5, {{INFINITY, 20}}, 1, NAN, false},
        {"no observations", 0.5, {{1, 0}, {INFINITY, 0}}, 2, NAN, false},
        {"below zero", -1, {{1, 0}, {INFINITY, 1}}, 2, -INFINITY, false},
        {"above one", 2, {{1, 0}, {INFINITY, 1}}, 2, INFINITY, false},
        {"equal bounds are added", 0.5, {{1, 5}, {1, 5}, {2, 20}, {INFINITY, 20}}, 4, 1, false},
        {"falling counts are raised",
         0.75,
         {{1, 10}, {2, 8}, {3, 20}, {INFINITY, 20}},
         4,
         2.5,
         true},
        {"next to nothing is ignored",
         0.5,
         {{1, 10}, {2, 10 - 1e-13}, {INFINITY, 10}},
         3,
         0.5,
         false},
    };

    EACH_CASE(c, cases) {
        ClassicBucket buckets[4];
        MonotonicFix fix;
        memcpy(buckets, c->buckets, sizeof buckets);

        CHECK_DOUBLE(bucket_quantile(c->q, buckets, c->count, &fix), c->want);
        CHECK_EQ(fix.forced, c->want_forced);
    }
}

TEST(quantile, fraction_of_classic_buckets)
{
    static const struct {
        const char *name;
        double lower, upper, want;
    } cases[] = {
        {"all", -INFINITY, INFINITY, 1}, {"half", 0, 1, 0.5},
        {"inside one", 0.5, 1, 0.25},    {"nothing", 2, 1, 0},
        {"over an edge", 0.5, 1.5, 0.5}, {"not a number", NAN, 1, NAN},
    };

    EACH_CASE(c, cases) {
        ClassicBucket buckets[] = {{1, 10}, {2, 20}, {INFINITY, 20}};
        CHECK_DOUBLE(bucket_fraction(c->lower, c->upper, buckets, 3), c->want);
    }
}

TEST(quantile, of_native_histograms)
{
    static const HistogramSpan spans[] = {{0, 2}};
    static const double counts[] = {2, 2};
    Histogram h = {.schema = 0,
                   .count = 4,
                   .sum = 6,
                   .positive_spans = spans,
                   .positive_span_count = 1,
                   .positive_buckets = counts,
                   .positive_count = 2};
    Arena scratch = {0};
    NanEffect effect;

    CHECK_DOUBLE(histogram_quantile_of(0.5, &h, &scratch, &effect), 1);
    CHECK_DOUBLE(histogram_quantile_of(0.75, &h, &scratch, &effect), sqrt(2));
    CHECK_DOUBLE(histogram_fraction_of(1, 2, &h, &scratch, &effect), 0.5);
    CHECK_EQ(effect, NAN_EFFECT_NONE);
    h.sum = NAN;
    h.count = 10;
    CHECK_DOUBLE(histogram_quantile_of(0.9, &h, &scratch, &effect), NAN);
    CHECK_EQ(effect, NAN_EFFECT_RESULT);

    arena_deinit(&scratch);
}

TEST(quantile, natural_order_of_labels)
{
    static const struct {
        const char *name;
        Str a, b;
        int want;
    } cases[] = {
        {"digits as numbers", STR("cpu9"), STR("cpu10"), -1},
        {"text", STR("a"), STR("b"), -1},
        {"shorter first", STR("a1"), STR("a1b"), -1},
        {"leading zeros", STR("a010b"), STR("a9b"), 1},
        {"equal", STR("x1y2"), STR("x1y2"), 0},
        {"nothing first", STR(""), STR("a"), -1},
    };

    EACH_CASE(c, cases) {
        int got = natural_compare(c->a, c->b);
        CHECK_EQ((got > 0) - (got < 0), c->want);
        got = natural_compare(c->b, c->a);
        CHECK_EQ((got > 0) - (got < 0), -c->want);
    }
}

TEST_MAIN(quantile, TEST_ROW(quantile, of_values_agrees_with_sorting),
          TEST_ROW(quantile, of_many_values_agrees_with_sorting),
          TEST_ROW(quantile, of_values_has_edges), TEST_ROW(quantile, of_classic_buckets),
          TEST_ROW(quantile, fraction_of_classic_buckets), TEST_ROW(quantile, of_native_histograms),
          TEST_ROW(quantile, natural_order_of_labels))
