// SPDX-License-Identifier: Apache-2.0
// rate and its family. Order of operations as promql/functions.go, so that results agree to the last bit: prometheus.md section 4.7.
#include "base/number.h"
#include "promql/function_bodies.h"

typedef enum RateKind { RATE_PER_SECOND, RATE_INCREASE, RATE_DELTA } RateKind;

typedef struct RateRun {
    RangeNotes notes;
    const RangeSeries *series;
    const Value *matrix;
    Arena *arena;
    Arena scratch; // of one step
    VectorSeries *out;
    bool is_counter, per_second;
    double range_s;
    // Resets and histograms among the samples (first, last) of the window at hand, moved along with it.
    uint32_t first, last;
    uint32_t resets, histograms;
    uint32_t overlaps;
} RateRun;

static double seconds(int64_t ms)
{
    return (double)ms / 1000;
}

static bool is_reset(const RateRun *run, uint32_t i)
{
    return run->series->samples.value[i] < run->series->samples.value[i - 1] ||
           range_start_reset(run->series, i);
}

// The start of sample i lies before the sample before it, which tells of another one.
static bool is_overlap(const RateRun *run, uint32_t i)
{
    const SampleColumns *samples = &run->series->samples;
    return samples->start_ms && samples->start_ms[i] != 0 &&
           samples->start_ms[i] < samples->t_ms[i - 1] &&
           samples->start_ms[i] != samples->start_ms[i - 1];
}

// Where the counter of the window's first sample began, if that is inside the window; else 0.
static int64_t start_inside(const RateRun *run, int64_t start_ms)
{
    const SampleColumns *samples = &run->series->samples;
    int64_t began = samples->start_ms && run->is_counter ? samples->start_ms[run->first] : 0;
    return began > start_ms && began < samples->t_ms[run->first] ? began : 0;
}

// Moves the window on; both ends only grow. Counts what enters and leaves.
static void move_window(RateRun *run, uint32_t first, uint32_t last)
{
    bool mixed = run->series->samples.histograms != NULL;
    if (first >= run->last) {
        run->first = run->last = first;
        run->resets = run->histograms = run->overlaps = 0;
    }
    for (uint32_t i = run->last; i < last; i++) {
        run->resets += i > run->first && is_reset(run, i);
        run->overlaps += i > run->first && is_overlap(run, i);
        run->histograms += mixed && run->series->samples.histograms[i];
    }
    run->last = MAX(last, run->last);
    for (uint32_t i = run->first; i < first; i++) {
        run->resets -= i + 1 < run->last && is_reset(run, i + 1);
        run->overlaps -= i + 1 < run->last && is_overlap(run, i + 1);
        run->histograms -= mixed && run->series->samples.histograms[i];
    }
    run->first = first;
}

// What counters lost at resets inside the window, added in order.
static double add_resets(const RateRun *run, double value)
{
    if (run->resets == 0)
        return value;
    const double *v = run->series->samples.value;
    for (uint32_t i = run->first + 1; i < run->last; i++)
        if (is_reset(run, i))
            value += v[i - 1];
    return value;
}

// How much longer than the sampled time the increase is taken to have lasted: to both edges of the window if they are near.
static double extrapolation_factor(const RateRun *run, int64_t start_ms, int64_t end_ms,
                                   double first_value, double increase)
{
    const int64_t *t_ms = run->series->samples.t_ms;
    double to_start = seconds(t_ms[run->first] - start_ms),
           to_end = seconds(end_ms - t_ms[run->last - 1]);
    double sampled = seconds(t_ms[run->last - 1] - t_ms[run->first]);
    uint32_t gaps = run->last - run->first - 1;
    double average = gaps ? sampled / (double)gaps : 0;
    double threshold = average * 1.1;
    int64_t began_ms = start_inside(run, start_ms);
    if (to_start >= threshold)
        to_start = average / 2;
    if (began_ms) {
        sampled = seconds(t_ms[run->last - 1] - began_ms);
        to_start = 0;
    } else if (run->is_counter && increase > 0 && first_value >= 0) {
        // A counter was not below zero.
        double to_zero = sampled * (first_value / increase);
        if (to_zero < to_start)
            to_start = to_zero;
    }
    if (to_end >= threshold)
        to_end = average / 2;
    double factor = sampled != 0 ? (sampled + to_start + to_end) / sampled : 1;
    return run->per_second ? factor / run->range_s : factor;
}

static void rate_floats(RateRun *run, size_t step, int64_t start_ms, int64_t end_ms)
{
    const double *v = run->series->samples.value;
    double first = v[run->first], increase = v[run->last - 1] - first;
    if (run->is_counter)
        increase = add_resets(run, increase);
    if (start_inside(run, start_ms)) // a sample of zero there
        increase += first;
    set_float(run->out, step,
              increase * extrapolation_factor(run, start_ms, end_ms, first, increase));
}

static void rate_histograms(RateRun *run, size_t step, int64_t start_ms, int64_t end_ms)
{
    const Histogram *begin = run->series->samples.histograms[run->first];
    Histogram *increase;
    if (run->last - run->first == 1) {
        increase = histogram_copy(&run->scratch, begin);
    } else {
        increase = histogram_window_rate(&run->notes, &run->scratch, run->series, run->first,
                                         run->last - 1, run->is_counter);
        if (!increase)
            return;
        if (run->overlaps && run->is_counter)
            range_note(&run->notes, NOTE_START_OVERLAP);
        if (start_inside(run, start_ms) &&
            !histogram_window_add(&run->notes, &run->scratch, increase, begin, &increase))
            return;
        increase->hint = HINT_GAUGE;
    }
    double first = run->series->samples.histograms[run->first]->count;
    double factor = extrapolation_factor(run, start_ms, end_ms, first, increase->count);
    vector_series_set_histogram(run->arena, run->notes.call->steps->count, run->out, step,
                                histogram_scale(run->arena, increase, factor));
    arena_reset(&run->scratch);
}

// Anchored and smoothed: no extrapolation; the values at the edges are those of the neighbours, or interpolated ------------------------

// The samples that may be looked at: the window, and beyond its edges as far as the lookback goes.
static void extend_window(const RateRun *run, int64_t start_ms, int64_t end_ms, uint32_t *first,
                          uint32_t *last)
{
    const SampleColumns *samples = &run->series->samples;
    int64_t lookback_ms = run->notes.call->context->lookback_ms;
    while (*first > 0 && samples->t_ms[*first - 1] > start_ms - lookback_ms)
        --*first;
    if (run->matrix->smoothed)
        while (*last < samples->count && samples->t_ms[*last] <= end_ms + lookback_ms)
            ++*last;
}

static double interpolate(const SampleColumns *samples, uint32_t i, int64_t t_ms, bool is_counter)
{
    double y1 = samples->value[i], y2 = samples->value[i + 1];
    if (is_counter && y2 < y1)
        y1 = 0;
    return y1 + (y2 - y1) * (double)(t_ms - samples->t_ms[i]) /
                    (double)(samples->t_ms[i + 1] - samples->t_ms[i]);
}

static double extended_resets(const SampleColumns *samples, int64_t first, int64_t last,
                              double left, double right)
{
    double correction = 0, previous = left;
    for (int64_t i = first; i <= last; i++) {
        if (samples->value[i] < previous)
            correction += previous;
        previous = samples->value[i];
    }
    return right < previous ? correction + previous : correction;
}

static void extended_floats(RateRun *run, size_t step, int64_t start_ms, int64_t end_ms,
                            uint32_t first, uint32_t last)
{
    const SampleColumns *samples = &run->series->samples;
    bool smoothed = run->matrix->smoothed;
    double left = smoothed && samples->t_ms[first] < start_ms
                      ? interpolate(samples, first, start_ms, run->is_counter)
                      : samples->value[first];
    double right = smoothed && last > first && samples->t_ms[last] > end_ms
                       ? interpolate(samples, last - 1, end_ms, run->is_counter)
                       : samples->value[last];
    double result = right - left;
    if (run->is_counter) {
        int64_t inner_first = samples->t_ms[first] <= start_ms ? (int64_t)first + 1 : first;
        int64_t inner_last = samples->t_ms[last] >= end_ms ? (int64_t)last - 1 : last;
        result += extended_resets(samples, inner_first, inner_last, left, right);
    }
    set_float(run->out, step, run->per_second ? result / run->range_s : result);
}

static void extended_histograms(RateRun *run, size_t step, int64_t start_ms, int64_t end_ms,
                                uint32_t first, uint32_t last)
{
    Histogram *result =
        histogram_window_extended(&run->notes, &run->scratch, run->series, first, last, start_ms,
                                  end_ms, run->matrix->smoothed, run->is_counter);
    if (!result)
        return;
    if (run->per_second)
        result = histogram_div(&run->scratch, result, run->range_s);
    result->hint = HINT_GAUGE;
    vector_series_set_histogram(run->arena, run->notes.call->steps->count, run->out, step,
                                histogram_compact(run->arena, result, 0));
    arena_reset(&run->scratch);
}

static void rate_extended(RateRun *run, size_t step, int64_t start_ms, int64_t end_ms)
{
    const SampleColumns *samples = &run->series->samples;
    uint32_t first = run->series->first[step], end = run->series->last[step];
    extend_window(run, start_ms, end_ms, &first, &end);
    if (first == end)
        return;
    uint32_t histograms = 0;
    for (uint32_t i = first; samples->histograms && i < end; i++)
        histograms += samples->histograms[i] != NULL;
    if (histograms && histograms < end - first) {
        range_note(&run->notes, NOTE_MIXED);
        return;
    }
    // The last one at or before the start, else the first inside; the first at or behind the end, else the last.
    uint32_t last = end - 1;
    uint32_t from = first;
    while (from < last && samples->t_ms[from] <= start_ms)
        from++;
    if (from > first)
        from--;
    if (run->matrix->smoothed) {
        uint32_t at = first;
        while (at < last && samples->t_ms[at] < end_ms)
            at++;
        last = at;
    }
    if (samples->t_ms[last] <= start_ms || (run->matrix->smoothed && samples->t_ms[from] > end_ms))
        return;
    if (histograms)
        extended_histograms(run, step, start_ms, end_ms, from, last);
    else
        extended_floats(run, step, start_ms, end_ms, from, last);
}

static void rate_step(RateRun *run, size_t step)
{
    int64_t end_ms = run->matrix->window_end_ms[step], start_ms = end_ms - run->matrix->range_ms;
    if (run->matrix->anchored || run->matrix->smoothed) {
        rate_extended(run, step, start_ms, end_ms);
        return;
    }
    move_window(run, run->series->first[step], run->series->last[step]);
    uint32_t count = run->last - run->first;
    if (run->histograms && run->histograms < count) {
        range_note(&run->notes, NOTE_MIXED);
        return;
    }
    if (count == 0 || (count == 1 && !start_inside(run, start_ms)))
        return;
    if (run->overlaps && run->is_counter && !run->histograms)
        range_note(&run->notes, NOTE_START_OVERLAP);
    if (run->histograms)
        rate_histograms(run, step, start_ms, end_ms);
    else
        rate_floats(run, step, start_ms, end_ms);
}

// Counters that never fall, and gauges: what hangs on times alone is known for all neighbours whose samples stand at the same ones ----------

// Of one step, as extrapolation_factor has them; `factor` is the result where no counter would be extrapolated to below zero.
typedef struct WindowEdges {
    double sampled, to_start, to_end, factor;
} WindowEdges;

static double edge_factor(const RateRun *run, double sampled, double to_start, double to_end)
{
    double factor = sampled != 0 ? (sampled + to_start + to_end) / sampled : 1;
    return run->per_second ? factor / run->range_s : factor;
}

static WindowEdges find_edges(const RateRun *run, const WindowShape *shape, size_t step)
{
    const int64_t *t_ms = shape->t_ms;
    int64_t end_ms = run->matrix->window_end_ms[step], start_ms = end_ms - run->matrix->range_ms;
    uint32_t first = shape->first[step], last = shape->last[step] - 1;
    WindowEdges edges = {.sampled = seconds(t_ms[last] - t_ms[first]),
                         .to_start = seconds(t_ms[first] - start_ms),
                         .to_end = seconds(end_ms - t_ms[last])};
    double average = edges.sampled / (double)(last - first);
    double threshold = average * 1.1;
    if (edges.to_start >= threshold)
        edges.to_start = average / 2;
    if (edges.to_end >= threshold)
        edges.to_end = average / 2;
    edges.factor = edge_factor(run, edges.sampled, edges.to_start, edges.to_end);
    return edges;
}

static void learn_edges(const RateRun *run, WindowShape *shape)
{
    size_t steps = run->notes.call->steps->count;
    if (!shape->edges)
        shape->edges = ARENA_ARRAY(run->series->memo, WindowEdges, steps);
    for (size_t i = 0; i < steps; i++)
        if (shape->last[i] - shape->first[i] >= 2)
            shape->edges[i] = find_edges(run, shape, i);
    shape->has_edges = true;
}

// True also where there is none, but a NaN or infinite values beside each other.
static bool may_have_resets(const SampleColumns *samples)
{
    const double *v = samples->value;
    NumberPairBits any = {0};
    size_t i = 1;
    for (; i + 4 <= samples->count; i += 4) {
        const NumberPair *before = (const NumberPair *)(v + i - 1);
        const NumberPair *pair = (const NumberPair *)(v + i);
        any |= (NumberPairBits)(pair[0] - before[0]) | (NumberPairBits)(pair[1] - before[1]);
    }
    for (; i < samples->count; i++)
        any[0] |= (int64_t)double_bits(v[i] - v[i - 1]);
    return (any[0] | any[1]) < 0;
}

static bool is_plain(const RateRun *run)
{
    const SampleColumns *samples = &run->series->samples;
    return run->series->shape && !samples->histograms && !samples->start_ms &&
           !run->matrix->anchored && !run->matrix->smoothed &&
           !(run->is_counter && may_have_resets(samples));
}

static void rate_plain(const RateRun *run)
{
    WindowShape *shape = run->series->shape;
    const double *v = run->series->samples.value;
    if (!shape->has_edges)
        learn_edges(run, shape);
    for (size_t i = 0; i < run->notes.call->steps->count; i++) {
        if (shape->last[i] - shape->first[i] < 2)
            continue;
        const WindowEdges *edges = &shape->edges[i];
        double first = v[shape->first[i]], increase = v[shape->last[i] - 1] - first;
        double factor = edges->factor;
        // Far from zero the division need not be made to know that it changes nothing.
        if (run->is_counter && increase > 0 && first >= 0 &&
            !(first * edges->sampled > increase * edges->to_start * 1.000001)) {
            double to_zero = edges->sampled * (first / increase);
            if (to_zero < edges->to_start)
                factor = edge_factor(run, edges->sampled, to_zero, edges->to_end);
        }
        set_float(run->out, i, increase * factor);
    }
}

// A float result of something that is not named or typed as a counter.
static void note_non_counter(RateRun *run)
{
    static const char *const suffixes[] = {"_total", "_sum", "_count", "_bucket"};
    Labels labels = run->series->labels;
    Str name = labels_get(labels, LABEL_METRIC_NAME);
    size_t steps = run->notes.call->steps->count;
    if (name.len == 0 || !memchr(run->out->kind, POINT_FLOAT, steps))
        return;
    if (run->notes.call->context->features.type_and_unit_labels) {
        Str type = labels_get(labels, S("__type__"));
        if (str_is(type, "counter") || str_is(type, "histogram"))
            return;
        QuotedText shown_type = quoted_text(type), shown_name = quoted_text(name);
        annotate_info(run->notes.call->context, run->notes.call->expr->call.args[0],
                      "metric might not be a counter, __type__ label is not set to \"counter\" or "
                      "\"histogram\", got %s: %s",
                      shown_type.text, shown_name.text);
        return;
    }
    for (size_t i = 0; i < COUNT_OF(suffixes); i++)
        if (str_ends_with(name, str_from_c(suffixes[i])))
            return;
    range_note(&run->notes, NOTE_NON_COUNTER_NAME);
}

static void rate_run(const FunctionCall *call, Arena *arena, const RangeSeries *series,
                     VectorSeries *out, RateKind kind)
{
    RateRun run = {
        .notes = {.call = call, .labels = series->labels},
        .series = series,
        .matrix = range_argument(call),
        .arena = arena,
        .out = out,
        .is_counter = kind != RATE_DELTA,
        .per_second = kind == RATE_PER_SECOND,
    };
    run.range_s = seconds(run.matrix->range_ms);
    if (is_plain(&run))
        rate_plain(&run);
    else
        for (size_t step = 0; step < call->steps->count; step++)
            rate_step(&run, step);
    arena_deinit(&run.scratch);
    if (run.is_counter)
        note_non_counter(&run);
}

RANGE_FUNCTION(range_rate)
{
    rate_run(call, arena, series, out, RATE_PER_SECOND);
}

RANGE_FUNCTION(range_increase)
{
    rate_run(call, arena, series, out, RATE_INCREASE);
}

RANGE_FUNCTION(range_delta)
{
    rate_run(call, arena, series, out, RATE_DELTA);
}

// irate and idelta: the last two samples ------------------------------------------------------------------------------------------

static void instant_histograms(RangeNotes *notes, Arena *arena, const RangeSeries *series,
                               uint32_t at, double interval_s, bool is_rate, VectorSeries *out,
                               size_t step)
{
    const Histogram *previous = series->samples.histograms[at - 1],
                    *last = series->samples.histograms[at];
    bool gauges = previous->hint == HINT_GAUGE && last->hint == HINT_GAUGE;
    if (is_rate && (previous->hint == HINT_GAUGE || last->hint == HINT_GAUGE))
        range_note(notes, NOTE_NOT_COUNTER);
    if (!is_rate && !gauges)
        range_note(notes, NOTE_NOT_GAUGE);
    Histogram *result;
    if (is_rate && (range_start_reset(series, at) || histogram_detect_reset(previous, last))) {
        result = histogram_copy(arena, last);
    } else {
        bool mismatch = false;
        if (!histogram_sub(arena, last, previous, &result, &mismatch)) {
            range_note(notes, NOTE_MIXED_SCHEMAS);
            return;
        }
        if (mismatch)
            range_note(notes, NOTE_BOUNDS_SUB);
    }
    result->hint = HINT_GAUGE;
    result = histogram_compact(arena, result, 0);
    if (is_rate)
        result = histogram_div(arena, result, interval_s);
    vector_series_set_histogram(arena, notes->call->steps->count, out, step, result);
}

static void instant_run(const FunctionCall *call, Arena *arena, const RangeSeries *series,
                        VectorSeries *out, bool is_rate)
{
    RangeNotes notes = {.call = call, .labels = series->labels};
    const SampleColumns *samples = &series->samples;
    for (size_t step = 0; step < call->steps->count; step++) {
        if (series->last[step] - series->first[step] < 2)
            continue;
        uint32_t at = series->last[step] - 1;
        double interval_s = seconds(samples->t_ms[at] - samples->t_ms[at - 1]);
        bool is_histogram = range_histogram(series, at) != NULL,
             was_histogram = range_histogram(series, at - 1) != NULL;
        if (interval_s == 0)
            continue;
        if (is_histogram != was_histogram) {
            range_note(&notes, NOTE_MIXED);
        } else if (is_histogram) {
            instant_histograms(&notes, arena, series, at, interval_s, is_rate, out, step);
        } else {
            double value = samples->value[at], previous = samples->value[at - 1];
            // After a reset the new value is all that was counted.
            if (!is_rate || !(value < previous || range_start_reset(series, at)))
                value -= previous;
            set_float(out, step, is_rate ? value / interval_s : value);
        }
    }
}

RANGE_FUNCTION(range_irate)
{
    instant_run(call, arena, series, out, true);
}

RANGE_FUNCTION(range_idelta)
{
    instant_run(call, arena, series, out, false);
}
