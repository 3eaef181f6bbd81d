// SPDX-License-Identifier: Apache-2.0
#include "metric/histogram.h"

#include <float.h>
#include <math.h>

#include "metric/histogram_test_util.h"

TEST(histogram, bounds_are_those_of_the_field)
{
    static const struct {
        const char *name;
        int32_t index;
        int32_t schema;
        double want;
    } cases[] = {
        {"one", 0, 0, 1},
        {"two", 1, 0, 2},
        {"half", -1, 0, 0.5},
        {"quarter steps", 1, 2, 1.189207115002721},
        {"root of two", 1, 1, 1.414213562373095},
        {"below one", -1, 1, 0.7071067811865475},
        {"schema 8", 255, 8, 1.9945921121709396},
        {"whole octave of schema 8", 256, 8, 2},
        {"coarse", 1, -4, 65536},
        {"coarse, below one", -1, -4, 1.0 / 65536},
        {"last finite", 1024, 0, DBL_MAX},
        {"last finite, coarse", 64, -4, DBL_MAX},
        {"last finite, fine", 1024 * 256, 8, DBL_MAX},
        {"overflow", 1025, 0, INFINITY},
        {"far beyond", INT32_MAX, -4, INFINITY},
        {"far below", INT32_MIN, -4, 0},
    };

    EACH_CASE(c, cases)
        CHECK_DOUBLE(histogram_bound(c->index, c->schema), c->want);
}

TEST(histogram, prints_as_text_and_as_json)
{
    static const struct {
        const char *name;
        Spec spec;
        Str text;
        Str json;
    } cases[] = {
        {"empty",
         {0, 0, 0, "", "", NULL, 0, 0},
         STR("{count:0, sum:0}"),
         STR("{\"count\":\"0\",\"sum\":\"0\"}")},
        {"all sides",
         {0, 0.001, 2, "0:1 0 3", "0:1,1:4", NULL, 18.4, 0},
         STR("{count:11, sum:18.4, [-4,-2):4, [-1,-0.5):1, [-0.001,0.001]:2, (0.5,1]:1, "
             "(2,4]:3}"),
         STR("{\"count\":\"11\",\"sum\":\"18.4\",\"buckets\":[[1,\"-4\",\"-2\",\"4\"],[1,\"-1\","
             "\"-0.5\",\"1\"],[3,\"-0.001\",\"0.001\",\"2\"],[0,\"0.5\",\"1\",\"1\"],[0,\"2\","
             "\"4\",\"3\"]]}")},
        {"custom bounds",
         {-53, 0, 0, "0:1 2 3", "", "1 2.5", 7, 0},
         STR("{count:6, sum:7, [-Inf,1]:1, (1,2.5]:2, (2.5,+Inf]:3}"),
         STR("{\"count\":\"6\",\"sum\":\"7\",\"buckets\":[[3,\"-Inf\",\"1\",\"1\"],[0,\"1\","
             "\"2.5\",\"2\"],[0,\"2.5\",\"+Inf\",\"3\"]]}")},
        {"zero bucket reaches into a bucket",
         {0, 0.75, 1, "0:5", "", NULL, 4, 0},
         STR("{count:6, sum:4, [-0.75,0.75]:1, (0.5,1]:5}"),
         STR("{\"count\":\"6\",\"sum\":\"4\",\"buckets\":[[3,\"-0.75\",\"0.75\",\"1\"],[0,"
             "\"0.75\",\"1\",\"5\"]]}")},
        {"large counts",
         {0, 0, 0, "0:2500000", "", NULL, 1e21, 0},
         STR("{count:2.5e+06, sum:1e+21, (0.5,1]:2.5e+06}"),
         STR("{\"count\":\"2500000\",\"sum\":\"1e+21\",\"buckets\":[[0,\"0.5\",\"1\","
             "\"2500000\"]]}")},
    };
    Arena arena = {0};

    EACH_CASE(c, cases) {
        Buf buf = {0};
        Histogram *h = make(&arena, &c->spec);
        CHECK_STR(print(&arena, h), c->text);
        histogram_print_json(&buf, h);
        CHECK_STR(buf_str(&buf), c->json);
        buf_deinit(&buf);
    }
    arena_deinit(&arena);
}

TEST(histogram, reduces_resolution)
{
    static const struct {
        const char *name;
        int32_t from, to;
        const char *side;
        Str want;
    } cases[] = {
        {"halves", 1, 0, "0:1 2 3 4", STR("0:1 5 4")},
        {"quarters", 2, 0, "1:1 1 1 1 1", STR("1:4 1")},
        {"negative indices", 1, 0, "-3:1 2 3 4", STR("-1:3 7")},
        {"gaps vanish", 2, 0, "1:1,2:2,1:3", STR("1:3 3")},
        {"gaps stay", 1, 0, "0:1,7:2", STR("0:1,3:2")},
        {"to the coarsest", 8, -4, "1:1 2 3", STR("1:6")},
        {"not finer", 0, 1, "0:1", STR("0:1")},
    };
    Arena arena = {0};

    EACH_CASE(c, cases) {
        Histogram *h = make(&arena, &(Spec){c->from, 0, 0, c->side, c->side, NULL, 0, 0});
        Histogram *reduced = histogram_reduce(&arena, h, c->to);
        CHECK_STR(positive_text(&arena, reduced), c->want);
        CHECK_STR(negative_text(&arena, reduced), c->want);
        CHECK_EQ(reduced->schema, MIN(c->from, c->to));
    }
    arena_deinit(&arena);
}

TEST(histogram, compacts)
{
    static const struct {
        const char *name;
        const char *side;
        int max_empty;
        Str want;
    } cases[] = {
        {"nothing to do", "0:1 2,3:4", 0, STR("0:1 2,3:4")},
        {"empty at the edges", "0:0 0 1 2 0", 0, STR("2:1 2")},
        {"empty inside", "0:1 0 2", 0, STR("0:1,1:2")},
        {"short bridge stays", "0:1 0 2", 1, STR("0:1 0 2")},
        {"long bridge goes", "0:1 0 0 2", 1, STR("0:1,2:2")},
        {"gap is bridged", "0:1,2:3", 2, STR("0:1 0 0 3")},
        {"gap and empties count together", "0:1 0,1:0 3", 2, STR("0:1,3:3")},
        {"gap and empties bridged together", "0:1 0,1:0 3", 3, STR("0:1 0 0 0 3")},
        {"touching spans", "0:1,0:2", 0, STR("0:1 2")},
        {"empty spans", "0:,2:1,0:,1:2", 0, STR("2:1,1:2")},
        {"all empty", "0:0 0,3:0", 0, STR("")},
        {"none", "", 5, STR("")},
    };
    Arena arena = {0};

    EACH_CASE(c, cases) {
        Histogram *h = make(&arena, &(Spec){0, 0, 0, c->side, c->side, NULL, 0, 0});
        Histogram *compact = histogram_compact(&arena, h, c->max_empty);
        CHECK_STR(positive_text(&arena, compact), c->want);
        CHECK_STR(negative_text(&arena, compact), c->want);
    }
    arena_deinit(&arena);
}

TEST(histogram, trims)
{
    static const struct {
        const char *name;
        Spec spec;
        double bound;
        bool upper;
        Str want;
    } cases[] = {
        {"nothing to trim",
         {0, 0, 0, "0:1 2", "", NULL, 5, 0},
         2,
         true,
         STR("{count:3, sum:5, (0.5,1]:1, (1,2]:2}")},
        {"whole buckets above",
         {0, 0, 0, "1:1 2", "", NULL, 9, 0},
         2,
         true,
         STR("{count:1, sum:1.4142135623730951, (1,2]:1}")},
        {"whole buckets below",
         {0, 0, 0, "1:1 2", "", NULL, 9, 0},
         2,
         false,
         STR("{count:2, sum:5.656854249492381, (2,4]:2}")},
        {"cut by logarithm",
         {-1, 0, 0, "1:4", "", NULL, 9, 0},
         2,
         true,
         STR("{count:2, sum:2.8284271247461903, (1,4]:2}")},
        {"cut by logarithm, upper part",
         {-1, 0, 0, "1:4", "", NULL, 9, 0},
         2,
         false,
         STR("{count:2, sum:5.656854249492381, (1,4]:2}")},
        {"negative side",
         {-1, 0, 0, "", "1:4", NULL, -9, 0},
         -2,
         true,
         STR("{count:2, sum:-5.656854249492381, [-4,-1):2}")},
        {"zero bucket, both signs",
         {0, 1, 4, "2:1", "2:1", NULL, 0, 0},
         0,
         true,
         STR("{count:3, sum:-3.8284271247461903, [-4,-2):1, [-1,1]:2}")},
        {"zero bucket, positive only",
         {0, 1, 4, "2:1", "", NULL, 9, 0},
         0.5,
         true,
         STR("{count:2, sum:0.5, [-1,1]:2}")},
        {"custom, cut on a line",
         {-53, 0, 0, "1:4", "", "1 3", 9, 0},
         2,
         true,
         STR("{count:2, sum:3, (1,3]:2}")},
        {"custom, first bucket from zero",
         {-53, 0, 0, "0:4", "", "2", 9, 0},
         1,
         true,
         STR("{count:2, sum:1, [-Inf,2]:2}")},
        {"custom, last bucket goes",
         {-53, 0, 0, "0:4 3", "", "2", 9, 0},
         5,
         true,
         STR("{count:4, sum:4, [-Inf,2]:4}")},
        {"custom, last bucket stays",
         {-53, 0, 0, "0:4 3", "", "2", 9, 0},
         5,
         false,
         STR("{count:3, sum:15, (2,+Inf]:3}")},
    };
    Arena arena = {0};

    EACH_CASE(c, cases) {
        Histogram *h = make(&arena, &c->spec);
        CHECK_STR(print(&arena, histogram_trim(&arena, h, c->bound, c->upper)), c->want);
    }
    arena_deinit(&arena);
}

TEST(histogram, detects_resets)
{
    static const struct {
        const char *name;
        Spec previous, next;
        bool want;
    } cases[] = {
        {"grew",
         {0, 0, 1, "0:1 2", "0:3", NULL, 0, 0},
         {0, 0, 2, "0:1 3", "0:3", NULL, 0, 0},
         false},
        {"same",
         {0, 0, 1, "0:1 2", "0:3", NULL, 0, 0},
         {0, 0, 1, "0:1 2", "0:3", NULL, 0, 0},
         false},
        {"hint says so",
         {0, 0, 0, "0:1", "", NULL, 0, 0},
         {0, 0, 0, "0:2", "", NULL, 0, HINT_RESET},
         true},
        {"hint says no",
         {0, 0, 0, "0:2", "", NULL, 0, 0},
         {0, 0, 0, "0:1", "", NULL, 0, HINT_NO_RESET},
         false},
        {"count smaller", {0, 0, 0, "0:2", "", NULL, 0, 0}, {0, 0, 0, "0:1", "", NULL, 0, 0}, true},
        {"one bucket smaller",
         {0, 0, 0, "0:2 2", "", NULL, 0, 0},
         {0, 0, 0, "0:1 9", "", NULL, 0, 0},
         true},
        {"negative bucket smaller",
         {0, 0, 0, "0:1", "0:2", NULL, 0, 0},
         {0, 0, 0, "0:9", "0:1", NULL, 0, 0},
         true},
        {"bucket missing",
         {0, 0, 0, "0:1 1", "", NULL, 0, 0},
         {0, 0, 0, "0:9", "", NULL, 0, 0},
         true},
        {"empty bucket missing",
         {0, 0, 0, "0:1 0", "", NULL, 0, 0},
         {0, 0, 0, "0:9", "", NULL, 0, 0},
         false},
        {"all buckets missing",
         {0, 0, 0, "0:1", "", NULL, 0, 0},
         {0, 0, 5, "", "", NULL, 0, 0},
         true},
        {"new buckets around",
         {0, 0, 0, "1:1", "", NULL, 0, 0},
         {0, 0, 0, "0:1 1 1", "", NULL, 0, 0},
         false},
        {"finer resolution",
         {0, 0, 0, "0:1", "", NULL, 0, 0},
         {1, 0, 0, "0:9", "", NULL, 0, 0},
         true},
        {"coarser resolution",
         {1, 0, 0, "1:1 2", "", NULL, 0, 0},
         {0, 0, 0, "1:3", "", NULL, 0, 0},
         false},
        {"coarser and smaller",
         {1, 0, 0, "1:1 2", "", NULL, 0, 0},
         {0, 0, 0, "1:2 5", "", NULL, 0, 0},
         true},
        {"narrower zero bucket",
         {0, 1, 1, "", "", NULL, 0, 0},
         {0, 0.5, 9, "", "", NULL, 0, 0},
         true},
        {"wider zero bucket takes buckets",
         {0, 0.25, 1, "-1:1 1 1", "", NULL, 0, 0},
         {0, 1, 3, "1:1", "", NULL, 0, 0},
         false},
        {"wider zero bucket lost some",
         {0, 0.25, 1, "-1:1 1 1", "", NULL, 0, 0},
         {0, 1, 2, "1:9", "", NULL, 0, 0},
         true},
        {"threshold in a populated bucket",
         {0, 0.25, 1, "0:1", "", NULL, 0, 0},
         {0, 0.75, 9, "", "", NULL, 0, 0},
         true},
        {"custom after exponential",
         {0, 0, 0, "0:1", "", NULL, 0, 0},
         {-53, 0, 0, "0:9", "", "1", 0, 0},
         true},
        {"exponential after custom",
         {-53, 0, 0, "0:1", "", "1", 0, 0},
         {0, 0, 0, "0:9", "", NULL, 0, 0},
         true},
        {"custom grew",
         {-53, 0, 0, "0:1 1", "", "1 2", 0, 0},
         {-53, 0, 0, "0:1 2", "", "1 2", 0, 0},
         false},
        {"custom shrank",
         {-53, 0, 0, "0:1 1", "", "1 2", 0, 0},
         {-53, 0, 0, "0:0 9", "", "1 2", 0, 0},
         true},
        {"other bounds, grew",
         {-53, 0, 0, "0:1 1 1", "", "1 2", 0, 0},
         {-53, 0, 0, "0:2 9", "", "2", 0, 0},
         false},
        {"other bounds, shrank",
         {-53, 0, 0, "0:1 1 1", "", "1 2", 0, 0},
         {-53, 0, 0, "0:1 9", "", "2", 0, 0},
         true},
        {"other bounds, last segment shrank",
         {-53, 0, 0, "0:1 1 5", "", "1 2", 0, 0},
         {-53, 0, 0, "0:9 4", "", "2", 0, 0},
         true},
    };
    Arena arena = {0};

    EACH_CASE(c, cases) {
        CHECK_EQ(histogram_detect_reset(make(&arena, &c->previous), make(&arena, &c->next)),
                 c->want);
        arena_reset(&arena);
    }
    arena_deinit(&arena);
}

TEST(histogram, equality_is_of_bits_and_buckets)
{
    static const struct {
        const char *name;
        Spec a, b;
        bool want;
    } cases[] = {
        {"same",
         {0, 0.1, 1, "0:1 2", "0:3", NULL, 1, 0},
         {0, 0.1, 1, "0:1 2", "0:3", NULL, 1, 0},
         true},
        {"hints do not count",
         {0, 0, 0, "0:1", "", NULL, 1, HINT_GAUGE},
         {0, 0, 0, "0:1", "", NULL, 1, 0},
         true},
        {"empty spans do not count",
         {0, 0, 0, "0:1,1:,1:2", "", NULL, 1, 0},
         {0, 0, 0, "0:1,2:2", "", NULL, 1, 0},
         true},
        {"sum", {0, 0, 0, "0:1", "", NULL, 1, 0}, {0, 0, 0, "0:1", "", NULL, 2, 0}, false},
        {"NaN equals NaN",
         {0, 0, 0, "0:1", "", NULL, NAN, 0},
         {0, 0, 0, "0:1", "", NULL, NAN, 0},
         true},
        {"zeros of either sign differ",
         {0, 0, 0, "0:1", "", NULL, 0.0, 0},
         {0, 0, 0, "0:1", "", NULL, -0.0, 0},
         false},
        {"index", {0, 0, 0, "0:1", "", NULL, 1, 0}, {0, 0, 0, "1:1", "", NULL, 1, 0}, false},
        {"empty bucket counts",
         {0, 0, 0, "0:1 0", "", NULL, 1, 0},
         {0, 0, 0, "0:1", "", NULL, 1, 0},
         false},
        {"schema", {0, 0, 0, "0:1", "", NULL, 1, 0}, {1, 0, 0, "0:1", "", NULL, 1, 0}, false},
        {"threshold",
         {0, 0.1, 0, "0:1", "", NULL, 1, 0},
         {0, 0.2, 0, "0:1", "", NULL, 1, 0},
         false},
        {"side", {0, 0, 0, "0:1", "", NULL, 1, 0}, {0, 0, 0, "", "0:1", NULL, 1, 0}, false},
        {"bounds", {-53, 0, 0, "0:1", "", "1 2", 1, 0}, {-53, 0, 0, "0:1", "", "1 3", 1, 0}, false},
    };
    Arena arena = {0};

    EACH_CASE(c, cases) {
        Histogram *a = make(&arena, &c->a);
        Histogram *b = make(&arena, &c->b);
        CHECK_EQ(histogram_equal(a, b), c->want);
        CHECK_EQ(histogram_equal(b, a), c->want);
        CHECK(histogram_equal(a, histogram_copy(&arena, a)));
    }
    arena_deinit(&arena);
}

TEST(histogram, buckets_come_from_below_to_above)
{
    Arena arena = {0};
    HistogramBucket *buckets;
    Histogram *h = make(&arena, &(Spec){0, 0.1, 2, "0:1 0", "0:3,1:4", NULL, 0, 0});

    size_t count = histogram_buckets(&arena, h, &buckets);

    CHECK_EQ(count, 5);
    CHECK_DOUBLE(buckets[0].lower, -4);
    CHECK_DOUBLE(buckets[0].count, 4);
    CHECK(buckets[0].lower_inclusive && !buckets[0].upper_inclusive);
    CHECK_DOUBLE(buckets[1].upper, -0.5);
    CHECK_DOUBLE(buckets[2].lower, -0.1);
    CHECK(buckets[2].lower_inclusive && buckets[2].upper_inclusive);
    CHECK_DOUBLE(buckets[3].upper, 1);
    CHECK(!buckets[3].lower_inclusive && buckets[3].upper_inclusive);
    CHECK_DOUBLE(buckets[4].count, 0);

    h->zero_count = 0;
    CHECK_EQ(histogram_buckets(&arena, h, &buckets), 4);
    arena_deinit(&arena);
}

TEST_MAIN(histogram, TEST_ROW(histogram, bounds_are_those_of_the_field),
          TEST_ROW(histogram, prints_as_text_and_as_json), TEST_ROW(histogram, reduces_resolution),
          TEST_ROW(histogram, compacts), TEST_ROW(histogram, trims),
          TEST_ROW(histogram, detects_resets), TEST_ROW(histogram, equality_is_of_bits_and_buckets),
          TEST_ROW(histogram, buckets_come_from_below_to_above))
