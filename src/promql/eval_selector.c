// SPDX-License-Identifier: Apache-2.0
// Instant vectors: the newest sample at each step, or, smoothed, the value on the line between the neighbours.
#include "base/number.h"
#include "promql/eval_run.h"
#include "promql/function_bodies.h"

// Where the newest sample in (reference - lookback, reference] of each step stands, plus one; 0: there is none.
static void find_newest(const SeriesRun *run, const SampleColumns *columns, uint32_t *newest)
{
    const TimeShift *shift = &run->expr->selector.shift;
    int64_t lookback_ms = run->context->lookback_ms;
    uint32_t next = 0; // first sample later than the reference
    for (size_t i = 0; i < run->steps->count; i++) {
        int64_t reference = reference_time(shift, step_time(run->steps, i));
        while (next < columns->count && columns->t_ms[next] <= reference)
            next++;
        newest[i] = next && columns->t_ms[next - 1] > reference - lookback_ms ? next : 0;
    }
}

static void take_sample(Slice *slice, const SampleColumns *columns, size_t found, VectorSeries *out,
                        size_t step)
{
    const SeriesRun *run = slice->run;
    const Histogram *h = columns->histograms ? columns->histograms[found] : NULL;
    uint64_t weight = h && run->want == WANT_VALUES ? eval_samples_of(h) : 1;
    slice_count(slice, step, weight);
    slice_count_read(slice, step, weight);
    bool is_told = run->want == WANT_TIMES || run->want == WANT_STARTS;
    if (is_told || (run->want == WANT_INFO && !h)) {
        int64_t start_ms = columns->start_ms ? columns->start_ms[found] : 0;
        int64_t t_ms = run->want == WANT_STARTS ? start_ms : columns->t_ms[found];
        out->value[step] = (double)t_ms / (run->want == WANT_INFO ? 1 : 1000);
        out->kind[step] = POINT_FLOAT;
    } else if (h) {
        vector_series_set_histogram(slice->arena, run->steps->count, out, step, h);
    } else {
        out->value[step] = columns->value[found];
        out->kind[step] = POINT_FLOAT;
    }
}

// Floats without stale markers, the most common by far.
static void take_floats(Slice *slice, const SampleColumns *columns, const uint32_t *newest,
                        VectorSeries *out)
{
    size_t taken = 0, steps = slice->run->steps->count;
    for (size_t i = 0; i < steps; i++) {
        if (!newest[i])
            continue;
        out->value[i] = columns->value[newest[i] - 1];
        out->kind[i] = POINT_FLOAT;
        taken++;
    }
    slice->looked_at += taken;
    slice->read += taken;
}

// A stale marker means nothing.
static void take_newest(Slice *slice, size_t index, SampleColumns *columns)
{
    const SeriesRun *run = slice->run;
    size_t steps = run->steps->count;
    VectorSeries *out = series_run_out(run, index);
    bool known;
    vector_series_init(slice->arena, steps, series_run_labels(run, index), out);
    if (columns->count == 0)
        return;
    WindowShape *shape = steps > 1 ? slice_shape(slice, columns, &known) : NULL;
    uint32_t one;
    uint32_t *newest = shape        ? shape->last
                       : steps == 1 ? &one
                                    : ARENA_ARRAY(slice->scratch, uint32_t, steps);
    if (!shape || !known)
        find_newest(run, columns, newest);
    if (run->want == WANT_VALUES && !eval_counts_steps(run->context) &&
        !samples_may_be_stale(columns)) {
        take_floats(slice, columns, newest, out);
        return;
    }
    for (size_t i = 0; i < steps; i++)
        if (newest[i] && !sample_is_stale(columns, newest[i] - 1))
            take_sample(slice, columns, newest[i] - 1, out, i);
}

bool series_run_newest(Slice *slice, size_t index, bool *ret_done, Error *err)
{
    const SeriesRun *run = slice->run;
    Querier *querier = run->context->querier;
    NewestKind kind = NEWEST_UNKNOWN;
    int64_t t_ms;
    double value;
    if (!querier->newest(querier, run->list.series[index].handle, run->min_t_ms, run->max_t_ms,
                         &t_ms, &value, &kind, err))
        return false;
    *ret_done = kind != NEWEST_UNKNOWN;
    if (!*ret_done)
        return true;
    VectorSeries *out = series_run_out(run, index);
    vector_series_init(slice->arena, 1, series_run_labels(run, index), out);
    if (kind == NEWEST_NONE)
        return true;
    if (is_stale_nan(value))
        return true;
    out->value[0] = run->want == WANT_VALUES  ? value
                    : run->want == WANT_TIMES ? (double)t_ms / 1000
                                              : (double)t_ms;
    out->kind[0] = POINT_FLOAT;
    slice_count(slice, 0, 1);
    slice_count_read(slice, 0, 1);
    slice->held++;
    return true;
}

// `smoothed`: the samples in (reference - lookback, reference + lookback] of a step.
typedef struct SmoothWindow {
    size_t first, last; // [first, last)
    size_t next;        // the first at or after the reference
    size_t histograms;
} SmoothWindow;

static void smooth_move(SmoothWindow *window, const SampleColumns *columns, int64_t reference_ms,
                        int64_t lookback_ms)
{
    const Histogram *const *h = columns->histograms;
    for (;
         window->last < columns->count && columns->t_ms[window->last] <= reference_ms + lookback_ms;
         window->last++)
        window->histograms += h && h[window->last];
    for (;
         window->first < window->last && columns->t_ms[window->first] <= reference_ms - lookback_ms;
         window->first++)
        window->histograms -= h && h[window->first];
    window->next = MAX(window->next, window->first);
    while (window->next < window->last && columns->t_ms[window->next] < reference_ms)
        window->next++;
}

// The histogram at `fraction` of the way from one to the next. Without a gauge's hint on both it is a counter's.
static const Histogram *smooth_histogram(const SeriesRun *run, Arena *arena, Str name,
                                         const Histogram *h1, const Histogram *h2, double fraction)
{
    bool is_counter = h1->hint != HINT_GAUGE || h2->hint != HINT_GAUGE;
    HistogramBetween between = {0};
    if ((h1->schema == HISTOGRAM_SCHEMA_CUSTOM) == (h2->schema == HISTOGRAM_SCHEMA_CUSTOM))
        between = histogram_between(arena, h1, h2, fraction, is_counter);
    if (between.mismatch_sub)
        annotate_info(run->context, run->expr,
                      "mismatched custom buckets were reconciled during subtraction");
    if (between.mismatch_add)
        annotate_info(run->context, run->expr,
                      "mismatched custom buckets were reconciled during addition");
    if (!between.histogram)
        annotate_warning(run->context, run->expr,
                         "vector contains a mix of histograms with exponential and custom buckets "
                         "schemas for metric name %s",
                         quoted_text(name).text);
    return between.histogram;
}

static const Histogram *smooth_histogram_at(const SeriesRun *run, Arena *arena, Str name,
                                            const SampleColumns *columns,
                                            const SmoothWindow *window, int64_t reference_ms)
{
    size_t next = window->next;
    const Histogram *const *h = columns->histograms;
    if (next < window->last && columns->t_ms[next] == reference_ms)
        return h[next];
    if (next == window->first)
        return NULL;
    if (next == window->last) {
        // A hint tells of two neighbours, not of the value that is carried on.
        Histogram *carried = histogram_copy(arena, h[next - 1]);
        carried->hint = HINT_UNKNOWN;
        return carried;
    }
    double fraction = (double)(reference_ms - columns->t_ms[next - 1]) /
                      (double)(columns->t_ms[next] - columns->t_ms[next - 1]);
    return smooth_histogram(run, arena, name, h[next - 1], h[next], fraction);
}

static bool smooth_float_at(const SampleColumns *columns, const SmoothWindow *window,
                            int64_t reference_ms, double *ret_value)
{
    size_t next = window->next;
    if (next < window->last && columns->t_ms[next] == reference_ms) {
        *ret_value = columns->value[next];
        return true;
    }
    if (next == window->first)
        return false;
    *ret_value = columns->value[next - 1];
    if (next < window->last) {
        double t0 = (double)columns->t_ms[next - 1], t1 = (double)columns->t_ms[next];
        *ret_value += (columns->value[next] - *ret_value) * ((double)reference_ms - t0) / (t1 - t0);
    }
    return true;
}

// The value on the line between the neighbours; without a later neighbour the earlier one is carried on.
static void take_smoothed(Slice *slice, size_t index, SampleColumns *columns)
{
    const SeriesRun *run = slice->run;
    const Steps *steps = run->steps;
    Arena *arena = slice->arena;
    Labels labels = series_run_labels(run, index);
    Str name = labels_get(labels, LABEL_METRIC_NAME);
    VectorSeries *out = series_run_out(run, index);
    vector_series_init(arena, steps->count, labels, out);
    samples_drop_stale(columns);
    SmoothWindow window = {0};
    for (size_t i = 0; i < steps->count; i++) {
        int64_t reference = reference_time(&run->expr->selector.shift, step_time(steps, i));
        smooth_move(&window, columns, reference, run->context->lookback_ms);
        if (window.histograms && window.histograms < window.last - window.first) {
            annotate_warning(run->context, run->expr,
                             "encountered a mix of histograms and floats for metric name %s",
                             quoted_text(name).text);
        } else if (window.histograms) {
            const Histogram *h = smooth_histogram_at(run, arena, name, columns, &window, reference);
            if (h)
                vector_series_set_histogram(arena, steps->count, out, i, h);
        } else if (smooth_float_at(columns, &window, reference, &out->value[i])) {
            out->kind[i] = POINT_FLOAT;
        }
    }
}

bool series_run_vector(EvalContext *context, const Expr *expr, const Steps *steps,
                       SelectorWant want, const Expr *consumer, Arena *arena, SeriesRun *ret_run,
                       Error *err)
{
    int64_t first;
    int64_t last;
    bool smoothed = expr->selector.smoothed && want == WANT_VALUES;
    reference_bounds(&expr->selector.shift, steps, &first, &last);
    *ret_run = (SeriesRun){
        .context = context,
        .expr = expr,
        .steps = steps,
        .want = want,
        .consumer = consumer,
        .min_t_ms = first - context->lookback_ms + 1,
        .max_t_ms = last + (smoothed ? context->lookback_ms : 0),
        .one = smoothed ? take_smoothed : take_newest,
        .is_instant =
            steps->count == 1 && !smoothed && want != WANT_STARTS && context->querier->newest,
    };
    return series_run_select(ret_run, STR_NONE, arena, err);
}

bool eval_vector_selector(EvalContext *context, const Expr *expr, const Steps *steps,
                          SelectorWant want, Arena *arena, Value *ret_value, Error *err)
{
    SeriesRun run;
    return series_run_vector(context, expr, steps, want, NULL, arena, &run, err) &&
           series_run_value(&run, arena, ret_value, err);
}
