// SPDX-License-Identifier: Apache-2.0
// What looks at the floats of a window and leaves histograms out, with a note.
#include <math.h>
#include <stdlib.h>

#include "base/number.h"
#include "promql/function_bodies.h"

#define VALUES_ON_STACK 256
#define OVERLAP_MIN 8 // windows that hold each sample so often are slid, not read anew

typedef struct WindowRun {
    const FunctionCall *call;
    RangeNotes notes;
    const RangeSeries *series;
    FloatView view;
    VectorSeries *out;
    uint32_t first, last; // of the floats at hand
} WindowRun;

typedef double (*WindowFunction)(WindowRun *run, size_t step, void *arg);

static void window_run_init(WindowRun *run, const FunctionCall *call, const RangeSeries *series,
                            VectorSeries *out)
{
    *run = (WindowRun){.call = call,
                       .notes = {.call = call, .labels = series->labels},
                       .series = series,
                       .out = out};
    float_view_init(&run->view, series);
}

// True if there is a float in the step's window.
static bool window_at(WindowRun *run, size_t step)
{
    uint32_t first = run->series->first[step], last = run->series->last[step];
    run->first = float_view_index(&run->view, first);
    run->last = float_view_index(&run->view, last);
    if (run->first == run->last)
        return false;
    if (run->last - run->first < last - first)
        range_note(&run->notes, NOTE_IGNORED);
    return true;
}

static void each_window(const FunctionCall *call, const RangeSeries *series, VectorSeries *out,
                        WindowFunction function, void *arg)
{
    WindowRun run;
    window_run_init(&run, call, series, out);
    for (size_t step = 0; step < call->steps->count; step++)
        if (window_at(&run, step))
            set_float(out, step, function(&run, step, arg));
    float_view_deinit(&run.view);
}

// The largest window, and whether windows overlap so much that sliding pays.
static bool windows_overlap(const FunctionCall *call, const RangeSeries *series,
                            uint32_t *ret_largest)
{
    uint64_t total = 0;
    uint32_t largest = 0;
    for (size_t i = 0; i < call->steps->count; i++) {
        uint32_t count = series->last[i] - series->first[i];
        total += count;
        largest = MAX(largest, count);
    }
    *ret_largest = largest;
    return total > (uint64_t)OVERLAP_MIN * series->samples.count;
}

// Minimum and maximum ------------------------------------------------------------------------------------------------------------

// Of equal values min and max take the oldest, ts_of_… the newest. NaN only if all are NaN.
typedef struct ExtremeKind {
    bool is_max, newest;
} ExtremeKind;

static bool is_better(ExtremeKind kind, double candidate, double best)
{
    if (candidate == best)
        return kind.newest;
    return kind.is_max ? candidate > best : candidate < best;
}

static uint32_t find_extreme(const WindowRun *run, ExtremeKind kind)
{
    const double *v = run->view.value;
    uint32_t best = run->first;
    for (uint32_t i = run->first + (kind.newest ? 0 : 1); i < run->last; i++)
        if (is_better(kind, v[i], v[best]) || isnan(v[best]))
            best = i;
    return best;
}

// Indices of candidates, none worse than what is behind it: the front is the window's extreme. Of equals the older stays in front
// unless the newest is wanted. NaN is never in it.
typedef struct Candidates {
    uint32_t *ring;
    uint32_t mask;
    uint32_t front, back; // back - front are in use
    uint32_t next;        // first float not looked at
} Candidates;

static void candidates_advance(Candidates *c, const WindowRun *run, ExtremeKind kind)
{
    const double *v = run->view.value;
    if (c->next < run->first) {
        c->next = run->first;
        c->front = c->back;
    }
    for (; c->next < run->last; c->next++) {
        double value = v[c->next];
        if (isnan(value))
            continue;
        while (c->back != c->front && is_better(kind, value, v[c->ring[(c->back - 1) & c->mask]]))
            c->back--;
        c->ring[c->back++ & c->mask] = c->next;
    }
    while (c->back != c->front && c->ring[c->front & c->mask] < run->first)
        c->front++;
}

static void slide_extremes(WindowRun *run, ExtremeKind kind, uint32_t largest)
{
    uint32_t slots = 16;
    while (slots < largest + 1)
        slots *= 2;
    Candidates c = {.ring = x_malloc((size_t)slots * sizeof(uint32_t)), .mask = slots - 1};
    for (size_t step = 0; step < run->call->steps->count; step++) {
        if (!window_at(run, step))
            continue;
        candidates_advance(&c, run, kind);
        set_float(run->out, step,
                  c.back != c.front ? run->view.value[c.ring[c.front & c.mask]] : NAN);
    }
    free(c.ring);
}

static void extreme_over_time(const FunctionCall *call, const RangeSeries *series,
                              VectorSeries *out, ExtremeKind kind)
{
    WindowRun run;
    window_run_init(&run, call, series, out);
    uint32_t largest;
    if (windows_overlap(call, series, &largest)) {
        slide_extremes(&run, kind, largest);
    } else {
        for (size_t step = 0; step < call->steps->count; step++)
            if (window_at(&run, step))
                set_float(out, step, run.view.value[find_extreme(&run, kind)]);
    }
    float_view_deinit(&run.view);
}

RANGE_FUNCTION(range_min_over_time)
{
    (void)arena;
    extreme_over_time(call, series, out, (ExtremeKind){.is_max = false});
}

RANGE_FUNCTION(range_max_over_time)
{
    (void)arena;
    extreme_over_time(call, series, out, (ExtremeKind){.is_max = true});
}

static double extreme_time(WindowRun *run, size_t step, void *arg)
{
    (void)step;
    return (double)run->view.t_ms[find_extreme(run, *(const ExtremeKind *)arg)] / 1000;
}

RANGE_FUNCTION(range_ts_of_min_over_time)
{
    (void)arena;
    ExtremeKind kind = {.is_max = false, .newest = true};
    each_window(call, series, out, extreme_time, &kind);
}

RANGE_FUNCTION(range_ts_of_max_over_time)
{
    (void)arena;
    ExtremeKind kind = {.is_max = true, .newest = true};
    each_window(call, series, out, extreme_time, &kind);
}

// Spread -------------------------------------------------------------------------------------------------------------------------

// Population variance by Welford's method with compensated sums.
static double window_variance(const WindowRun *run)
{
    double count = 0;
    KahanSum mean = {0}, squares = {0};
    for (uint32_t i = run->first; i < run->last; i++) {
        double value = run->view.value[i];
        count++;
        double delta = value - (mean.sum + mean.c);
        kahan_add(&mean, delta / count);
        kahan_add(&squares, delta * (value - (mean.sum + mean.c)));
    }
    return (squares.sum + squares.c) / count;
}

static double window_stddev(WindowRun *run, size_t step, void *arg)
{
    (void)step;
    (void)arg;
    return sqrt(window_variance(run));
}

static double window_stdvar(WindowRun *run, size_t step, void *arg)
{
    (void)step;
    (void)arg;
    return window_variance(run);
}

RANGE_FUNCTION(range_stddev_over_time)
{
    (void)arena;
    each_window(call, series, out, window_stddev, NULL);
}

RANGE_FUNCTION(range_stdvar_over_time)
{
    (void)arena;
    each_window(call, series, out, window_stdvar, NULL);
}

// Quantiles ----------------------------------------------------------------------------------------------------------------------

// Room for a copy of any window.
typedef struct WindowCopy {
    double *values;
    Arena arena; // of its own, which takes the block that the copy before it had
    double on_stack[VALUES_ON_STACK];
} WindowCopy;

static void window_copy_init(WindowCopy *copy, const FunctionCall *call, Budget *budget,
                             const RangeSeries *series)
{
    uint32_t largest;
    (void)windows_overlap(call, series, &largest);
    copy->arena = (Arena){.budget = budget};
    copy->values =
        largest > VALUES_ON_STACK ? ARENA_ARRAY(&copy->arena, double, largest) : copy->on_stack;
}

static void window_copy_deinit(WindowCopy *copy)
{
    arena_deinit(&copy->arena);
}

static size_t window_copy(WindowCopy *copy, const WindowRun *run)
{
    size_t count = run->last - run->first;
    memcpy(copy->values, run->view.value + run->first, count * sizeof(double));
    return count;
}

static double window_quantile(WindowRun *run, size_t step, void *arg)
{
    WindowCopy *copy = arg;
    double q = run->call->args[0].scalar[step];
    if (isnan(q) || q < 0 || q > 1) {
        char text[32];
        text[number_format_g(q, text)] = '\0';
        annotate_warning(run->call->context, run->call->expr->call.args[0],
                         "quantile value should be between 0 and 1, got %s", text);
    }
    return quantile_of(q, copy->values, window_copy(copy, run));
}

RANGE_FUNCTION(range_quantile_over_time)
{
    WindowCopy copy;
    window_copy_init(&copy, call, arena->budget, series);
    each_window(call, series, out, window_quantile, &copy);
    window_copy_deinit(&copy);
}

static double window_mad(WindowRun *run, size_t step, void *arg)
{
    (void)step;
    WindowCopy *copy = arg;
    size_t count = window_copy(copy, run);
    for (size_t i = 0; i < count; i++)
        if (isnan(copy->values[i]))
            return NAN;
    double median = quantile_of(0.5, copy->values, count);
    for (size_t i = 0; i < count; i++)
        copy->values[i] = fabs(copy->values[i] - median);
    return quantile_of(0.5, copy->values, count);
}

RANGE_FUNCTION(range_mad_over_time)
{
    WindowCopy copy;
    window_copy_init(&copy, call, arena->budget, series);
    each_window(call, series, out, window_mad, &copy);
    window_copy_deinit(&copy);
}
