// SPDX-License-Identifier: Apache-2.0
#include "metric/histogram.h"

#include <float.h>
#include <math.h>

#include "base/number.h"
#include "base/random.h"
#include "base/test.h"

#define SIDE_MAX 64

// A side as text: "offset:count count,gap:count" has two spans.
static uint32_t make_side(Arena *arena, const char *text, const HistogramSpan **ret_spans,
                          uint32_t *ret_span_count, const double **ret_buckets)
{
    HistogramSpan *spans = ARENA_ARRAY(arena, HistogramSpan, SIDE_MAX);
    double *buckets = ARENA_ARRAY(arena, double, SIDE_MAX);
    uint32_t span_count = 0;
    uint32_t bucket_count = 0;
    char *at = str_to_c(arena, str_from_c(text));

    while (*at) {
        spans[span_count] = (HistogramSpan){(int32_t)strtol(at, &at, 10), 0};
        at++;
        while (*at && *at != ',') {
            buckets[bucket_count++] = strtod(at, &at);
            spans[span_count].length++;
            at += *at == ' ';
        }
        at += *at == ',';
        span_count++;
    }
    *ret_spans = spans;
    *ret_span_count = span_count;
    *ret_buckets = buckets;
    return bucket_count;
}

typedef struct Spec {
    int32_t schema;
    double zero_threshold;
    double zero_count;
    const char *positive;
    const char *negative;
    const char *bounds; // schema -53
    double sum;
    HistogramHint hint;
} Spec;

static Histogram *make(Arena *arena, const Spec *spec)
{
    Histogram *h = ARENA_NEW(arena, Histogram);
    double *bounds = ARENA_ARRAY(arena, double, SIDE_MAX);
    char *at = str_to_c(arena, str_from_c(spec->bounds ? spec->bounds : ""));

    h->schema = spec->schema;
    h->zero_threshold = spec->zero_threshold;
    h->zero_count = spec->zero_count;
    h->sum = spec->sum;
    h->hint = spec->hint;
    h->positive_count = make_side(arena, spec->positive, &h->positive_spans,
                                  &h->positive_span_count, &h->positive_buckets);
    h->negative_count = make_side(arena, spec->negative ? spec->negative : "", &h->negative_spans,
                                  &h->negative_span_count, &h->negative_buckets);
    while (*at)
        bounds[h->custom_count++] = strtod(at, &at);
    h->custom_bounds = bounds;
    h->count = h->zero_count;
    for (uint32_t i = 0; i < h->positive_count; i++)
        h->count += h->positive_buckets[i];
    for (uint32_t i = 0; i < h->negative_count; i++)
        h->count += h->negative_buckets[i];
    return h;
}

static Str print(Arena *arena, const Histogram *h)
{
    Buf buf = {0};
    histogram_print(&buf, h);
    Str text = arena_str(arena, buf_str(&buf));
    buf_deinit(&buf);
    return text;
}

static Str side_text(Arena *arena, const HistogramSpan *spans, uint32_t span_count,
                     const double *buckets)
{
    Buf buf = {0};
    uint32_t at = 0;

    for (uint32_t i = 0; i < span_count; i++) {
        buf_printf(&buf, "%s%d:", i ? "," : "", spans[i].offset);
        for (uint32_t j = 0; j < spans[i].length; j++) {
            if (j)
                buf_add_char(&buf, ' ');
            buf_add_double_g(&buf, buckets[at++]);
        }
    }
    Str text = arena_str(arena, buf_str(&buf));
    buf_deinit(&buf);
    return text;
}

static Str positive_text(Arena *arena, const Histogram *h)
{
    return side_text(arena, h->positive_spans, h->positive_span_count, h->positive_buckets);
}

static Str negative_text(Arena *arena, const Histogram *h)
{
    return side_text(arena, h->negative_spans, h->negative_span_count, h->negative_buckets);
}

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

TEST(histogram, adds_and_subtracts)
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

TEST(histogram, exponential_and_custom_do_not_mix)
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

TEST(histogram, hints_combine)
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

TEST(histogram, compensated_sum_keeps_what_a_plain_one_loses)
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

TEST(histogram, compensation_follows_resolution_zero_bucket_and_bounds)
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

TEST(histogram, scales_and_divides)
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

TEST(histogram, validation_names_the_fault)
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
         "invalid schema, got schema 9"},
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

TEST(histogram, validation_counts_buckets_against_spans)
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
TEST(histogram, random_arithmetic_agrees_with_a_naive_model)
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

TEST_MAIN(histogram, TEST_ROW(histogram, bounds_are_those_of_the_field),
          TEST_ROW(histogram, prints_as_text_and_as_json), TEST_ROW(histogram, adds_and_subtracts),
          TEST_ROW(histogram, exponential_and_custom_do_not_mix),
          TEST_ROW(histogram, hints_combine),
          TEST_ROW(histogram, compensated_sum_keeps_what_a_plain_one_loses),
          TEST_ROW(histogram, compensation_follows_resolution_zero_bucket_and_bounds),
          TEST_ROW(histogram, scales_and_divides), TEST_ROW(histogram, reduces_resolution),
          TEST_ROW(histogram, compacts), TEST_ROW(histogram, trims),
          TEST_ROW(histogram, detects_resets), TEST_ROW(histogram, equality_is_of_bits_and_buckets),
          TEST_ROW(histogram, validation_names_the_fault),
          TEST_ROW(histogram, validation_counts_buckets_against_spans),
          TEST_ROW(histogram, buckets_come_from_below_to_above),
          TEST_ROW(histogram, random_arithmetic_agrees_with_a_naive_model))
