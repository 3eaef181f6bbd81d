// SPDX-License-Identifier: Apache-2.0
// What takes windows of floats or of histograms.
#include <math.h>
#include <stdlib.h>

#include "promql/function_bodies.h"
#include "promql/histogram_total.h"

#define OVERLAP_MIN 8 // windows that hold each sample so often are slid, not read anew

// Counting and picking -----------------------------------------------------------------------------------------------------------

static bool has_samples(const RangeSeries *series, size_t step)
{
    return series->last[step] > series->first[step];
}

RANGE_FUNCTION(range_count_over_time)
{
    (void)arena;
    for (size_t step = 0; step < call->steps->count; step++)
        if (has_samples(series, step))
            set_float(out, step, series->last[step] - series->first[step]);
}

RANGE_FUNCTION(range_present_over_time)
{
    (void)arena;
    for (size_t step = 0; step < call->steps->count; step++)
        if (has_samples(series, step))
            set_float(out, step, 1);
}

static void pick_sample(const FunctionCall *call, Arena *arena, const RangeSeries *series,
                        uint32_t at, VectorSeries *out, size_t step)
{
    const Histogram *h = range_histogram(series, at);
    if (h)
        vector_series_set_histogram(arena, call->steps->count, out, step, histogram_copy(arena, h));
    else
        set_float(out, step, series->samples.value[at]);
}

RANGE_FUNCTION(range_first_over_time)
{
    for (size_t step = 0; step < call->steps->count; step++)
        if (has_samples(series, step))
            pick_sample(call, arena, series, series->first[step], out, step);
}

RANGE_FUNCTION(range_last_over_time)
{
    for (size_t step = 0; step < call->steps->count; step++)
        if (has_samples(series, step))
            pick_sample(call, arena, series, series->last[step] - 1, out, step);
}

RANGE_FUNCTION(range_ts_of_first_over_time)
{
    (void)arena;
    for (size_t step = 0; step < call->steps->count; step++)
        if (has_samples(series, step))
            set_float(out, step, (double)series->samples.t_ms[series->first[step]] / 1000);
}

RANGE_FUNCTION(range_ts_of_last_over_time)
{
    (void)arena;
    for (size_t step = 0; step < call->steps->count; step++)
        if (has_samples(series, step))
            set_float(out, step, (double)series->samples.t_ms[series->last[step] - 1] / 1000);
}

// Sums of floats -----------------------------------------------------------------------------------------------------------------

typedef struct SumRun {
    const FunctionCall *call;
    RangeNotes notes;
    const RangeSeries *series;
    Arena *arena;
    VectorSeries *out;
    bool average;
    HistogramTotal total;
    // Sliding: the window is a front whose sums from each sample to `middle` are known, and a back that grows.
    bool slides;
    KahanSum *front;
    KahanSum back;
    uint32_t front_first, middle, next;
} SumRun;

static double sum_floats(const double *v, uint32_t first, uint32_t last)
{
    KahanSum sum = {0};
    for (uint32_t i = first; i < last; i++)
        kahan_add(&sum, v[i]);
    return isinf(sum.sum) ? sum.sum : sum.sum + sum.c;
}

// The sum divided at the end, or, once the sum overflows, a mean that is moved along.
static double average_floats(const double *v, uint32_t first, uint32_t last)
{
    KahanSum sum = {.sum = v[first]};
    double count = 1;
    uint32_t i = first + 1;
    for (; i < last; i++) {
        KahanSum more = sum;
        kahan_add(&more, v[i]);
        if (isinf(more.sum))
            break;
        sum = more;
        count++;
    }
    if (i == last)
        return sum.sum / count + sum.c / count;
    KahanSum mean = {sum.sum / count, sum.c / count};
    for (; i < last; i++) {
        count++;
        double q = (count - 1) / count;
        mean = (KahanSum){q * mean.sum, q * mean.c};
        kahan_add(&mean, v[i] / count);
    }
    return mean.sum + mean.c;
}

// Makes all of the window the front.
static void refill_front(SumRun *run, uint32_t first, uint32_t last)
{
    const double *v = run->series->samples.value;
    KahanSum sum = {0};
    for (uint32_t i = last; i > first; i--) {
        kahan_add(&sum, v[i - 1]);
        run->front[i - 1 - first] = sum;
    }
    run->front_first = first;
    run->middle = run->next = last;
    run->back = (KahanSum){0};
}

static KahanSum slide_sum(SumRun *run, uint32_t first, uint32_t last)
{
    const double *v = run->series->samples.value;
    if (first >= run->middle) {
        refill_front(run, first, last);
        return run->front[0];
    }
    for (; run->next < last; run->next++)
        kahan_add(&run->back, v[run->next]);
    KahanSum sum = run->front[first - run->front_first];
    double c = run->back.c;
    kahan_add(&sum, run->back.sum);
    sum.c += c;
    return sum;
}

static double float_result(SumRun *run, uint32_t first, uint32_t last)
{
    const double *v = run->series->samples.value;
    if (run->slides) {
        KahanSum sum = slide_sum(run, first, last);
        double count = last - first;
        // Infinities and NaN are order's business.
        if (isfinite(sum.sum) && isfinite(sum.c))
            return run->average ? sum.sum / count + sum.c / count : sum.sum + sum.c;
    }
    return run->average ? average_floats(v, first, last) : sum_floats(v, first, last);
}

static void sum_histograms(SumRun *run, size_t step, uint32_t first, uint32_t last)
{
    HistogramTotal *total = &run->total;
    histogram_total_begin(total, run->average);
    for (uint32_t i = first; i < last; i++)
        if (!histogram_total_add(total, run->series->samples.histograms[i])) {
            range_note(&run->notes, NOTE_MIXED_SCHEMAS);
            return;
        }
    const Histogram *result = histogram_total_end(total);
    if (total->reset_hint && total->no_reset_hint)
        range_note(&run->notes, NOTE_RESET_COLLISION);
    if (total->mismatch)
        range_note(&run->notes, NOTE_BOUNDS_AGGREGATION);
    vector_series_set_histogram(run->arena, run->call->steps->count, run->out, step,
                                histogram_copy(run->arena, result));
}

static uint32_t count_histograms(const RangeSeries *series, uint32_t first, uint32_t last)
{
    uint32_t count = 0;
    if (series->samples.histograms)
        for (uint32_t i = first; i < last; i++)
            count += series->samples.histograms[i] != NULL;
    return count;
}

static void sum_step(SumRun *run, size_t step)
{
    uint32_t first = run->series->first[step], last = run->series->last[step];
    if (first == last)
        return;
    uint32_t histograms = count_histograms(run->series, first, last);
    if (histograms == 0)
        set_float(run->out, step, float_result(run, first, last));
    else if (histograms == last - first)
        sum_histograms(run, step, first, last);
    else
        range_note(&run->notes, NOTE_MIXED);
}

static void sum_run(const FunctionCall *call, Arena *arena, const RangeSeries *series,
                    VectorSeries *out, bool average)
{
    SumRun run = {.call = call,
                  .notes = {.call = call, .labels = series->labels},
                  .series = series,
                  .arena = arena,
                  .out = out,
                  .average = average};
    uint64_t total = 0;
    uint32_t largest = 0;
    for (size_t i = 0; i < call->steps->count; i++) {
        total += series->last[i] - series->first[i];
        largest = MAX(largest, series->last[i] - series->first[i]);
    }
    run.slides =
        !series->samples.histograms && total > (uint64_t)OVERLAP_MIN * series->samples.count;
    if (run.slides)
        run.front = x_malloc(largest * sizeof(KahanSum));
    for (size_t step = 0; step < call->steps->count; step++)
        sum_step(&run, step);
    histogram_total_deinit(&run.total);
    free(run.front);
}

RANGE_FUNCTION(range_sum_over_time)
{
    sum_run(call, arena, series, out, false);
}

RANGE_FUNCTION(range_avg_over_time)
{
    sum_run(call, arena, series, out, true);
}
