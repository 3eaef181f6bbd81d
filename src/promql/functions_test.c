// SPDX-License-Identifier: Apache-2.0
// Range functions against what their definition says, window by window: sliding must not show.
#include <math.h>
#include <stdlib.h>

#include "base/number.h"
#include "base/test.h"
#include "promql/eval_run.h"
#include "promql/function_bodies.h"

enum { SAMPLES_MAX = 400, STEPS_MAX = 200 };

typedef struct Bed {
    Arena arena;
    EvalContext context;
    QueryRequest request;
    EngineOptions options;
    Expr selector, expr;
    Expr *expr_args[2];
    Value args[2];
    Steps steps;
    FunctionCall call;
    RangeSeries series;
    int64_t t_ms[SAMPLES_MAX], window_end_ms[STEPS_MAX];
    double value[SAMPLES_MAX];
    uint32_t first[STEPS_MAX], last[STEPS_MAX];
    Label name;
} Bed;

static void bed_init(Bed *bed, int64_t range_ms, int64_t step_ms, size_t steps)
{
    bed->name = (Label){S("__name__"), S("x_total")};
    bed->selector = (Expr){.kind = EXPR_SELECTOR, .type = TYPE_MATRIX};
    bed->expr_args[0] = &bed->selector;
    bed->expr = (Expr){.kind = EXPR_CALL};
    bed->expr.call.args = bed->expr_args;
    bed->request.query = S("f(x_total[5m])");
    bed->context.request = &bed->request;
    bed->context.options = &bed->options;
    bed->context.lookback_ms = 300000;
    lock_init(&bed->context.lock, "test", 800);
    bed->steps = (Steps){10000, step_ms, steps};
    bed->args[0] =
        (Value){.type = TYPE_MATRIX, .range_ms = range_ms, .window_end_ms = bed->window_end_ms};
    bed->call = (FunctionCall){.context = &bed->context,
                               .arena = &bed->arena,
                               .steps = &bed->steps,
                               .expr = &bed->expr,
                               .args = bed->args,
                               .count = 1};
    bed->series = (RangeSeries){.labels = {&bed->name, 1}, .first = bed->first, .last = bed->last};
    bed->series.samples = (SampleColumns){bed->t_ms, bed->value, NULL, 0};
}

// Cuts the windows (end - range, end].
static void bed_cut(Bed *bed)
{
    for (size_t i = 0; i < bed->steps.count; i++) {
        int64_t end = step_time(&bed->steps, i), start = end - bed->args[0].range_ms;
        uint32_t first = 0, last = 0;
        for (size_t k = 0; k < bed->series.samples.count; k++) {
            first += bed->t_ms[k] <= start;
            last += bed->t_ms[k] <= end;
        }
        bed->window_end_ms[i] = end;
        bed->first[i] = first;
        bed->last[i] = last;
    }
}

static void bed_deinit(Bed *bed)
{
    for (int level = 0; level < 2; level++) {
        for (size_t i = 0; i < bed->context.annotation_count[level]; i++)
            free((void *)(uintptr_t)bed->context.annotations[level][i].ptr);
        free(bed->context.annotations[level]);
    }
    lock_deinit(&bed->context.lock);
    arena_deinit(&bed->arena);
    free(bed);
}

typedef void (*RangeFunction)(const FunctionCall *call, Arena *arena, const RangeSeries *series,
                              VectorSeries *out);

static VectorSeries bed_run(Bed *bed, RangeFunction function)
{
    VectorSeries out;
    vector_series_init(&bed->arena, bed->steps.count, bed->series.labels, &out);
    function(&bed->call, &bed->arena, &bed->series, &out);
    return out;
}

typedef double (*Definition)(const double *v, uint32_t count);

static double sum_of(const double *v, uint32_t count)
{
    long double sum = 0;
    for (uint32_t i = 0; i < count; i++)
        sum += v[i];
    return (double)sum;
}

static double average_of(const double *v, uint32_t count)
{
    long double sum = 0;
    for (uint32_t i = 0; i < count; i++)
        sum += v[i];
    return (double)(sum / count);
}

static double max_of_window(const double *v, uint32_t count)
{
    double max = v[0];
    for (uint32_t i = 0; i < count; i++)
        if (v[i] > max || isnan(max))
            max = v[i];
    return max;
}

static double min_of_window(const double *v, uint32_t count)
{
    double min = v[0];
    for (uint32_t i = 0; i < count; i++)
        if (v[i] < min || isnan(min))
            min = v[i];
    return min;
}

static double changes_of(const double *v, uint32_t count)
{
    double changes = 0;
    for (uint32_t i = 1; i < count; i++)
        changes += v[i] != v[i - 1] && !(isnan(v[i]) && isnan(v[i - 1]));
    return changes;
}

static double resets_of(const double *v, uint32_t count)
{
    double resets = 0;
    for (uint32_t i = 1; i < count; i++)
        resets += v[i] < v[i - 1];
    return resets;
}

static double count_of(const double *v, uint32_t count)
{
    (void)v;
    return count;
}

static double last_of(const double *v, uint32_t count)
{
    return v[count - 1];
}

static void check_near(double got, double want)
{
    if (isnan(want) || isinf(want))
        CHECK_DOUBLE(got, want);
    else
        CHECK(fabs(got - want) <= 1e-9 * fmax(1, fabs(want)));
}

static double random_value(int kind)
{
    if (kind == 1 && rand() % 12 == 0)
        return rand() % 3 == 0 ? NAN : rand() % 2 ? INFINITY : -INFINITY;
    if (kind == 2)
        return (double)(rand() % 3);
    return (double)(rand() % 2000 - 1000) / 16;
}

TEST(functions, windows_give_what_the_definition_says)
{
    static const struct {
        const char *name;
        RangeFunction function;
        Definition definition;
    } cases[] = {
        {"sum_over_time", range_sum_over_time, sum_of},
        {"avg_over_time", range_avg_over_time, average_of},
        {"max_over_time", range_max_over_time, max_of_window},
        {"min_over_time", range_min_over_time, min_of_window},
        {"changes", range_changes, changes_of},
        {"resets", range_resets, resets_of},
        {"count_over_time", range_count_over_time, count_of},
        {"last_over_time", range_last_over_time, last_of},
    };
    srand(7);
    for (int round = 0; round < 60; round++) {
        // Few samples to a window, then many; gaps between windows, then a lot of overlap.
        Bed *bed = X_NEW(Bed);
        bed_init(bed, 1000 * (1 + rand() % 200), 1000 * (1 + rand() % 40), STEPS_MAX);
        int64_t t_ms = 0;
        size_t samples = 1 + (size_t)rand() % SAMPLES_MAX;
        for (size_t i = 0; i < samples; i++) {
            t_ms += 100 + rand() % 8000;
            bed->t_ms[i] = t_ms;
            bed->value[i] = random_value(round % 3);
        }
        bed->series.samples.count = samples;
        bed_cut(bed);
        EACH_CASE(c, cases) {
            VectorSeries out = bed_run(bed, c->function);
            for (size_t i = 0; i < bed->steps.count; i++) {
                uint32_t count = bed->last[i] - bed->first[i];
                CHECK_EQ(out.kind[i], count ? POINT_FLOAT : POINT_NONE);
                if (count)
                    check_near(out.value[i], c->definition(bed->value + bed->first[i], count));
            }
        }
        test_enter_case("");
        bed_deinit(bed);
    }
}

// One window over samples each 10 s, beginning at 0 s, looked at from 50 s with a range of 50 s.
static VectorSeries one_window(Bed **ret_bed, const double *values, size_t count,
                               RangeFunction function)
{
    Bed *bed = X_NEW(Bed);
    bed_init(bed, 50000, 1, 1);
    bed->steps.start_ms = 50000;
    for (size_t i = 0; i < count; i++) {
        bed->t_ms[i] = (int64_t)i * 10000;
        bed->value[i] = values[i];
    }
    bed->series.samples.count = count;
    bed_cut(bed);
    *ret_bed = bed;
    return bed_run(bed, function);
}

TEST(functions, single_windows)
{
    static const struct {
        const char *name;
        RangeFunction function;
        double values[6];
        size_t count;
        double want; // NAN with no_result: nothing
        bool no_result;
    } cases[] = {
        // The left edge is exclusive: the sample at 0 s does not count.
        {"increase reaches both edges", range_increase, {0, 10, 20, 30, 40, 50}, 6, 50},
        {"rate is per second", range_rate, {0, 10, 20, 30, 40, 50}, 6, 1},
        {"increase behind a reset", range_increase, {0, 10, 20, 5, 15, 25}, 6, 43.75},
        {"increase not below zero", range_increase, {0, 1, 21, 41, 61, 81}, 6, 81},
        {"delta falls", range_delta, {0, 50, 40, 30, 20, 10}, 6, -50},
        {"one sample gives no rate", range_rate, {0, 1}, 2, 0, true},
        {"irate of the last two", range_irate, {0, 10, 20, 30, 40, 55}, 6, 1.5},
        {"irate behind a reset", range_irate, {0, 10, 20, 30, 40, 5}, 6, 0.5},
        {"idelta", range_idelta, {0, 10, 20, 30, 40, 5}, 6, -35},
        {"deriv", range_deriv, {0, 10, 20, 30, 40, 50}, 6, 1},
        {"deriv of a constant", range_deriv, {7, 7, 7, 7, 7, 7}, 6, 0},
        {"sum keeps what is small", range_sum_over_time, {0, 1e100, 1, -1e100, 1, 0}, 6, 2},
        {"average does not overflow",
         range_avg_over_time,
         {0, 1.5e308, 1.5e308, 1.5e308, 1.5e308, 1.5e308},
         6,
         1.5e308},
        {"stddev", range_stddev_over_time, {0, 2, 4, 4, 4, 6}, 6, 1.2649110640673518},
        {"median deviation", range_mad_over_time, {0, 1, 2, 3, 4, 100}, 6, 1},
        {"time of the newest maximum", range_ts_of_max_over_time, {9, 1, 5, 5, 2, 1}, 6, 30},
        {"time of the newest minimum", range_ts_of_min_over_time, {0, 1, 5, 5, 2, 1}, 6, 50},
        {"time of the first", range_ts_of_first_over_time, {0, 1, 5, 5, 2, 1}, 6, 10},
        {"time of the last", range_ts_of_last_over_time, {0, 1, 5}, 3, 20},
        {"first", range_first_over_time, {0, 1, 5}, 3, 1},
        {"present", range_present_over_time, {0, 1, 5}, 3, 1},
    };

    EACH_CASE(c, cases) {
        Bed *bed;
        VectorSeries out = one_window(&bed, c->values, c->count, c->function);
        CHECK_EQ(out.kind[0], c->no_result ? POINT_NONE : POINT_FLOAT);
        if (!c->no_result)
            check_near(out.value[0], c->want);
        bed_deinit(bed);
    }
}

TEST(functions, tell_of_mixed_windows)
{
    static const struct {
        const char *name;
        RangeFunction function;
        bool has_result;
        const char *warning, *info;
    } cases[] = {
        {"rate", range_rate, false,
         "encountered a mix of histograms and floats for metric name \"x_total\" (1:1)", NULL},
        {"sum_over_time", range_sum_over_time, false, "encountered a mix of histograms and floats",
         NULL},
        {"max_over_time", range_max_over_time, true, NULL,
         "ignored histograms in a range containing both"},
        {"deriv", range_deriv, true, NULL, "ignored histograms in a range containing both"},
        {"changes", range_changes, true, NULL, NULL},
        {"count_over_time", range_count_over_time, true, NULL, NULL},
    };

    EACH_CASE(c, cases) {
        static const double values[] = {0, 1, 2, 3, 4, 5};
        static const Histogram empty = {.count = 0};
        const Histogram *histograms[6] = {[3] = &empty};
        Bed *bed;
        (void)one_window(&bed, values, 6, range_count_over_time);
        bed->series.samples.histograms = histograms;
        VectorSeries out = bed_run(bed, c->function);
        CHECK_EQ(out.kind[0] != POINT_NONE, c->has_result);
        CHECK_EQ(bed->context.annotation_count[ANNOTATION_WARNING], c->warning != NULL);
        CHECK_EQ(bed->context.annotation_count[ANNOTATION_INFO], c->info != NULL);
        if (c->warning)
            CHECK_HAS(bed->context.annotations[ANNOTATION_WARNING][0].ptr, c->warning);
        if (c->info)
            CHECK_HAS(bed->context.annotations[ANNOTATION_INFO][0].ptr, c->info);
        bed_deinit(bed);
    }
}

// The shape of the samples at hand, as if a neighbour had had it.
static WindowShape bed_shape(Bed *bed)
{
    return (WindowShape){.t_ms = bed->t_ms,
                         .count = bed->series.samples.count,
                         .first = bed->first,
                         .last = bed->last};
}

TEST(functions, a_reset_is_seen_wherever_it_stands)
{
    for (size_t count = 2; count < 14; count++)
        for (size_t at = 1; at < count; at++) {
            double values[14];
            Bed *bed;
            for (size_t i = 0; i < count; i++)
                values[i] = (double)(100 + i) - (i >= at ? 50 : 0);
            double want = one_window(&bed, values, count, range_increase).value[0];
            WindowShape shape = bed_shape(bed);

            bed->series.shape = &shape;
            bed->series.memo = &bed->arena;
            CHECK_DOUBLE(bed_run(bed, range_increase).value[0], want);
            bed_deinit(bed);
        }
}

TEST(functions, a_stale_marker_is_seen_wherever_it_stands)
{
    for (size_t count = 1; count < 20; count++)
        for (size_t at = 0; at < count; at++) {
            int64_t t_ms[20];
            double values[20];
            for (size_t i = 0; i < count; i++) {
                t_ms[i] = (int64_t)i;
                values[i] = i == at ? double_from_bits(NAN_STALE_BITS) : (double)i;
            }
            SampleColumns columns = {t_ms, values, NULL, count};

            samples_drop_stale(&columns);
            CHECK_EQ(columns.count, count - 1);
            CHECK(!samples_may_be_stale(&columns));
        }
}

TEST(functions, equal_series_merge_if_they_never_meet)
{
    Arena arena = {0};
    Label pair = {S("a"), S("b")};
    Steps steps = {0, 1000, 2};
    VectorSeries series[2];
    for (size_t i = 0; i < 2; i++) {
        vector_series_init(&arena, steps.count, (Labels){&pair, 1}, &series[i]);
        series[i].kind[i] = POINT_FLOAT;
        series[i].value[i] = (double)i;
    }
    Value vector = {.type = TYPE_VECTOR, .series = series, .count = 2};
    Error err = {0};

    CHECK_OK(vector_merge_equal(&arena, &steps, &vector, &err), err);
    CHECK_EQ(vector.count, 1);
    CHECK_EQ(vector.series[0].kind[1], POINT_FLOAT);
    vector.count = 2;
    series[1] = series[0];
    CHECK(!vector_merge_equal(&arena, &steps, &vector, &err));
    CHECK_HAS(err.text, "vector cannot contain metrics with the same labelset");

    arena_deinit(&arena);
}

TEST_MAIN(functions, TEST_ROW(functions, windows_give_what_the_definition_says),
          TEST_ROW(functions, single_windows), TEST_ROW(functions, tell_of_mixed_windows),
          TEST_ROW(functions, a_reset_is_seen_wherever_it_stands),
          TEST_ROW(functions, a_stale_marker_is_seen_wherever_it_stands),
          TEST_ROW(functions, equal_series_merge_if_they_never_meet))
