// SPDX-License-Identifier: Apache-2.0
// Reading: selectors, windows of range functions, subqueries. Work over series is cut into slices; each slice has one arena for
// results and one for samples that are forgotten after each series.
#include "base/number.h"
#include "promql/function_bodies.h"

#define SLICE_SERIES_MIN 32 // fewer are not worth a thread
#define SLICES_PER_THREAD 4

size_t eval_slice_count(const EvalContext *context, size_t count)
{
    if (!context->options->pool || count < 2 * SLICE_SERIES_MIN)
        return 1;
    size_t most = (size_t)thread_cores() * SLICES_PER_THREAD;
    return MIN(most, count / SLICE_SERIES_MIN);
}

// The time a step looks at: the step's own or the fixed @ time, less the offset.
static int64_t reference_time(const TimeShift *shift, int64_t step_ms)
{
    return (shift->at == AT_NONE ? step_ms : shift->at_ms) - shift->offset_ms;
}

static void reference_bounds(const TimeShift *shift, const Steps *steps, int64_t *ret_first,
                             int64_t *ret_last)
{
    *ret_first = reference_time(shift, steps->start_ms);
    *ret_last = reference_time(shift, step_time(steps, steps->count - 1));
}

static bool is_stale_point(const SampleColumns *columns, size_t i)
{
    const Histogram *h = columns->histograms ? columns->histograms[i] : NULL;
    return is_stale_nan(h ? h->sum : columns->value[i]);
}

// Takes stale markers out, in place.
static void drop_stale(SampleColumns *columns)
{
    size_t kept = 0;
    for (size_t i = 0; i < columns->count; i++) {
        if (is_stale_point(columns, i))
            continue;
        sample_columns_move(columns, kept++, i);
    }
    columns->count = kept;
}

// One evaluation over the series of a selector (or of a subquery), in slices.
typedef struct SeriesRun {
    EvalContext *context;
    const Expr *expr;
    const Steps *steps;
    SeriesList list;           // from the querier, or
    const RangeSeries *ranges; // already made by a subquery
    size_t count;
    size_t slices;
    int64_t min_t_ms, max_t_ms; // to read
    SelectorWant want;
    const FunctionCall *call; // range functions
    const Value *matrix;      // windows
    VectorSeries *out;
    RangeSeries *out_ranges;
    // `arena` keeps results, `scratch` is forgotten after each series.
    void (*one)(struct SeriesRun *run, size_t index, Arena *arena, Arena *scratch,
                SampleColumns *columns);
    Lock lock;
    bool failed GUARDED_BY(lock);
    Error err GUARDED_BY(lock);
} SeriesRun;

static void run_fail(SeriesRun *run, const Error *err)
{
    lock_take(&run->lock);
    if (!run->failed) {
        run->failed = true;
        run->err = *err;
    }
    lock_give(&run->lock);
}

static bool run_failed(SeriesRun *run)
{
    lock_take(&run->lock);
    bool failed = run->failed;
    lock_give(&run->lock);
    return failed;
}

#define WORK_BETWEEN_CHECKS 65536 // samples and steps
#define SERIES_WORK 1024

// Where only count and sum of histograms are looked at, buckets go, after they have told of counter resets between neighbours.
static void keep_histogram_stats(SampleColumns *columns, Arena *arena)
{
    const Histogram *previous = NULL;
    for (size_t i = 0; i < columns->count; i++) {
        const Histogram *h = columns->histograms[i];
        if (!h || is_stale_nan(h->sum))
            continue;
        Histogram *stats = ARENA_NEW(arena, Histogram);
        *stats =
            (Histogram){.hint = h->hint, .schema = h->schema, .count = h->count, .sum = h->sum};
        if (stats->hint == HINT_UNKNOWN && previous)
            stats->hint = histogram_detect_reset(previous, h) ? HINT_RESET : HINT_NO_RESET;
        columns->histograms[i] = stats;
        previous = h;
    }
}

// Reads a series and makes its column or windows.
static bool run_series(SeriesRun *run, size_t index, Arena *results, Arena *scratch,
                       SampleColumns *columns, Error *err)
{
    if (run->ranges) {
        *columns = run->ranges[index].samples;
    } else {
        Querier *querier = run->context->querier;
        Arena *into = run->out_ranges ? results : scratch;
        if (!querier->read(querier, run->list.series[index].handle, run->min_t_ms, run->max_t_ms,
                           into, columns, err))
            return false;
        __atomic_add_fetch(&run->context->samples_read, columns->count, __ATOMIC_RELAXED);
        if (columns->histograms && run->expr->selector.histogram_stats)
            keep_histogram_stats(columns, into);
    }
    run->one(run, index, results, scratch, columns);
    return !run->out ||
           eval_hold_samples(run->context, eval_points_held(&run->out[index], run->steps->count),
                             err);
}

static void run_slice(void *arg, size_t slice)
{
    SeriesRun *run = arg;
    Arena *results = eval_arena_new(run->context);
    Arena *scratch = eval_arena_new(run->context);
    size_t from = run->count * slice / run->slices;
    size_t to = run->count * (slice + 1) / run->slices;
    bool holds_histograms = false;
    size_t work = WORK_BETWEEN_CHECKS;
    for (size_t i = from; i < to; i++) {
        Error err = {0};
        if (work >= WORK_BETWEEN_CHECKS) {
            work = 0;
            if (run_failed(run))
                return;
            if (!eval_check(run->context, results, &err) ||
                !eval_check(run->context, scratch, &err)) {
                run_fail(run, &err);
                return;
            }
        }
        SampleColumns columns = {0};
        if (!run_series(run, i, results, scratch, &columns, &err)) {
            run_fail(run, &err);
            return;
        }
        // Histograms of the result may point into the samples.
        if (columns.histograms)
            holds_histograms = true;
        else if (!holds_histograms)
            arena_reset(scratch);
        work += SERIES_WORK + columns.count + run->steps->count;
    }
    if (!holds_histograms)
        arena_deinit(scratch);
    Error err = {0};
    if (!eval_check(run->context, results, &err) || !eval_check(run->context, scratch, &err))
        run_fail(run, &err);
}

static bool run_all(SeriesRun *run, Error *err)
{
    if (run->out && !eval_columns_fit(run->context, run->count, run->steps->count, err))
        return false;
    run->slices = eval_slice_count(run->context, run->count);
    lock_init(&run->lock, "series_run", 801);
    thread_pool_each(run->context->options->pool, run_slice, run, run->count ? run->slices : 0);
    lock_deinit(&run->lock);
    if (run->failed) {
        *err = run->err;
        return false;
    }
    return true;
}

static bool select_series(EvalContext *context, const Expr *expr, const Steps *steps, Str func,
                          int64_t min_t_ms, int64_t max_t_ms, Arena *arena, SeriesList *ret_list,
                          Error *err)
{
    SelectHints hints = {
        .start_ms = min_t_ms,
        .end_ms = max_t_ms,
        .step_ms = steps->count > 1 ? steps->step_ms : 0,
        .range_ms = expr->selector.has_range ? expr->selector.range_ms : 0,
        .func = func,
    };
    return context->querier->select(context->querier, expr->selector.matchers, expr->selector.count,
                                    &hints, arena, ret_list, err);
}

// Instant vectors ----------------------------------------------------------------------------------------------------------------

// The newest sample in (reference - lookback, reference] of each step; a stale marker there means nothing.
static void take_newest(SeriesRun *run, size_t index, Arena *arena, Arena *scratch,
                        SampleColumns *columns)
{
    (void)scratch;
    const Steps *steps = run->steps;
    const TimeShift *shift = &run->expr->selector.shift;
    int64_t lookback_ms = run->context->lookback_ms;
    VectorSeries *out = &run->out[index];
    vector_series_init(arena, steps->count, run->list.series[index].labels, out);
    size_t next = 0; // first sample later than the reference
    for (size_t i = 0; i < steps->count; i++) {
        int64_t reference = reference_time(shift, step_time(steps, i));
        while (next < columns->count && columns->t_ms[next] <= reference)
            next++;
        if (next == 0 || columns->t_ms[next - 1] <= reference - lookback_ms ||
            is_stale_point(columns, next - 1))
            continue;
        size_t found = next - 1;
        const Histogram *h = columns->histograms ? columns->histograms[found] : NULL;
        eval_count_read(run->context, i, 1);
        if (run->want != WANT_VALUES) {
            int64_t start_ms = columns->start_ms ? columns->start_ms[found] : 0;
            int64_t t_ms = run->want == WANT_TIMES ? columns->t_ms[found] : start_ms;
            out->value[i] = (double)t_ms / 1000;
            out->kind[i] = POINT_FLOAT;
        } else if (h) {
            vector_series_set_histogram(arena, steps->count, out, i, h);
        } else {
            out->value[i] = columns->value[found];
            out->kind[i] = POINT_FLOAT;
        }
    }
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
static void take_smoothed(SeriesRun *run, size_t index, Arena *arena, Arena *scratch,
                          SampleColumns *columns)
{
    (void)scratch;
    const Steps *steps = run->steps;
    Labels labels = run->list.series[index].labels;
    Str name = labels_get(labels, LABEL_METRIC_NAME);
    VectorSeries *out = &run->out[index];
    vector_series_init(arena, steps->count, labels, out);
    drop_stale(columns);
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
        if (out->kind[i] != POINT_NONE)
            eval_count_read(run->context, i, 1);
    }
}

bool eval_vector_selector(EvalContext *context, const Expr *expr, const Steps *steps,
                          SelectorWant want, Arena *arena, Value *ret_value, Error *err)
{
    int64_t first;
    int64_t last;
    reference_bounds(&expr->selector.shift, steps, &first, &last);
    SeriesRun run = {
        .context = context,
        .expr = expr,
        .steps = steps,
        .want = want,
        .min_t_ms = first - context->lookback_ms + 1,
        .max_t_ms = last + (expr->selector.smoothed ? context->lookback_ms : 0),
        .one = expr->selector.smoothed ? take_smoothed : take_newest,
    };
    if (!select_series(context, expr, steps, STR_NONE, run.min_t_ms, run.max_t_ms, arena, &run.list,
                       err))
        return false;
    run.count = run.list.count;
    run.out = ARENA_ARRAY(arena, VectorSeries, run.count);
    if (!run_all(&run, err))
        return false;
    *ret_value = (Value){.type = TYPE_VECTOR, .series = run.out, .count = run.count};
    eval_remove_empty(ret_value, steps->count);
    return true;
}

// Range vectors ------------------------------------------------------------------------------------------------------------------

// Index windows (end - range, end] of each step; ends do not fall from step to step.
static void find_windows(const SampleColumns *columns, const Value *matrix, size_t steps,
                         Arena *arena, RangeSeries *series)
{
    series->first = ARENA_ARRAY(arena, uint32_t, steps);
    series->last = ARENA_ARRAY(arena, uint32_t, steps);
    uint32_t first = 0;
    uint32_t last = 0;
    uint32_t count = (uint32_t)columns->count;
    for (size_t i = 0; i < steps; i++) {
        int64_t end = matrix->window_end_ms[i];
        int64_t start = end - matrix->range_ms;
        while (first < count && columns->t_ms[first] <= start)
            first++;
        while (last < count && columns->t_ms[last] <= end)
            last++;
        series->first[i] = first;
        series->last[i] = MAX(first, last);
    }
}

static uint64_t window_peak(const RangeSeries *series, size_t steps)
{
    uint64_t peak = 0;
    for (size_t i = 0; i < steps; i++)
        peak = MAX(peak, (uint64_t)(series->last[i] - series->first[i]));
    return peak;
}

static void count_windows(EvalContext *context, const RangeSeries *series, size_t steps)
{
    for (size_t i = 0; i < steps; i++)
        if (series->last[i] > series->first[i])
            eval_count_read(context, i, series->last[i] - series->first[i]);
}

static void make_range(SeriesRun *run, size_t index, Arena *arena, SampleColumns *columns,
                       RangeSeries *ret_series)
{
    if (run->ranges) {
        *ret_series = run->ranges[index];
        return;
    }
    if (!run->context->features.start_timestamps)
        columns->start_ms = NULL;
    drop_stale(columns);
    *ret_series = (RangeSeries){.labels = run->list.series[index].labels, .samples = *columns};
    find_windows(columns, run->matrix, run->steps->count, arena, ret_series);
    count_windows(run->context, ret_series, run->steps->count);
}

static void keep_range(SeriesRun *run, size_t index, Arena *arena, Arena *scratch,
                       SampleColumns *columns)
{
    (void)scratch;
    make_range(run, index, arena, columns, &run->out_ranges[index]);
}

static void apply_range(SeriesRun *run, size_t index, Arena *arena, Arena *scratch,
                        SampleColumns *columns)
{
    RangeSeries series;
    make_range(run, index, scratch, columns, &series);
    VectorSeries *out = &run->out[index];
    vector_series_init(arena, run->steps->count, series.labels, out);
    out->drop_name = series.drop_name;

    Error err = {0};
    uint64_t peak = window_peak(&series, run->steps->count);
    if (!eval_hold_samples(run->context, peak, &err)) {
        run_fail(run, &err);
        return;
    }
    run->call->expr->call.function->range(run->call, arena, &series, out);
    eval_drop_samples(run->context, peak);
    if (!run->call->expr->call.function->keeps_name)
        eval_drop_name(run->context, arena, out);
}

// What windows the matrix expression has at each step.
static void describe_windows(const Expr *expr, const Steps *steps, Arena *arena, Value *ret_matrix)
{
    const TimeShift *shift =
        expr->kind == EXPR_SUBQUERY ? &expr->subquery.shift : &expr->selector.shift;
    *ret_matrix = (Value){
        .type = TYPE_MATRIX,
        .range_ms = expr->kind == EXPR_SUBQUERY ? expr->subquery.range_ms : expr->selector.range_ms,
        .offset_ms = shift->offset_ms,
        .window_end_ms = ARENA_ARRAY(arena, int64_t, steps->count),
        .anchored = expr->kind == EXPR_SELECTOR && expr->selector.anchored,
        .smoothed = expr->kind == EXPR_SELECTOR && expr->selector.smoothed,
    };
    for (size_t i = 0; i < steps->count; i++)
        ret_matrix->window_end_ms[i] = reference_time(shift, step_time(steps, i));
}

static int64_t floor_to(int64_t t, int64_t step)
{
    int64_t q = t / step;
    return (q - (t % step < 0)) * step;
}

// Evaluates the inner expression on its own grid and turns the points into samples.
static bool eval_subquery(EvalContext *context, const Expr *expr, const Steps *steps,
                          const Value *matrix, Arena *arena, RangeSeries **ret_ranges,
                          size_t *ret_count, Error *err)
{
    int64_t step_ms = expr->subquery.step_ms ? expr->subquery.step_ms : context->default_step_ms;
    int64_t first_end = matrix->window_end_ms[0];
    int64_t last_end = matrix->window_end_ms[steps->count - 1];
    int64_t start = floor_to(first_end - matrix->range_ms, step_ms) + step_ms;
    *ret_ranges = NULL;
    *ret_count = 0;
    if (start > last_end)
        return true;

    Steps grid = {start, step_ms, (size_t)((last_end - start) / step_ms) + 1};
    if (grid.count > context->options->samples_max)
        return error_set(
            err, ERR_LIMIT,
            "query processing would load too many samples into memory in query execution");
    Value inner;
    if (!eval(context, expr->subquery.expr, &grid, arena, &inner, err))
        return false;

    // A scalar is a vector of one series without labels here.
    if (inner.type == TYPE_SCALAR) {
        VectorSeries *series = ARENA_NEW(arena, VectorSeries);
        vector_series_init(arena, grid.count, LABELS_NONE, series);
        memcpy(series->value, inner.scalar, grid.count * sizeof(double));
        memset(series->kind, POINT_FLOAT, grid.count);
        inner = (Value){.type = TYPE_VECTOR, .series = series, .count = 1};
    }

    RangeSeries *ranges = ARENA_ARRAY(arena, RangeSeries, inner.count);
    for (size_t s = 0; s < inner.count; s++) {
        const VectorSeries *series = &inner.series[s];
        SampleColumns columns = {ARENA_ARRAY(arena, int64_t, grid.count),
                                 ARENA_ARRAY(arena, double, grid.count), NULL, 0};
        if (series->histogram)
            columns.histograms = arena_zalloc(arena, grid.count * sizeof(const Histogram *));
        for (size_t i = 0; i < grid.count; i++) {
            if (series->kind[i] == POINT_NONE)
                continue;
            columns.t_ms[columns.count] = step_time(&grid, i);
            columns.value[columns.count] = series->value[i];
            if (series->kind[i] == POINT_HISTOGRAM) {
                Histogram *h = histogram_copy(arena, series->histogram[i]);
                if (h->hint != HINT_GAUGE)
                    h->hint = HINT_UNKNOWN;
                columns.histograms[columns.count] = h;
            }
            columns.count++;
        }
        ranges[s] = (RangeSeries){
            .labels = series->labels, .drop_name = series->drop_name, .samples = columns};
        find_windows(&columns, matrix, steps->count, arena, &ranges[s]);
        count_windows(context, &ranges[s], steps->count);
    }
    *ret_ranges = ranges;
    *ret_count = inner.count;
    return true;
}

// Fills run->list or run->ranges for a matrix expression.
static bool prepare_matrix(EvalContext *context, const Expr *expr, Str func, Arena *arena,
                           SeriesRun *run, Error *err)
{
    if (expr->kind == EXPR_SUBQUERY) {
        RangeSeries *ranges;
        if (!eval_subquery(context, expr, run->steps, run->matrix, arena, &ranges, &run->count,
                           err))
            return false;
        run->ranges = ranges;
        return true;
    }
    int64_t first;
    int64_t last;
    reference_bounds(&expr->selector.shift, run->steps, &first, &last);
    bool extended = expr->selector.anchored || expr->selector.smoothed;
    // The sample at the very edge is in no window, but tells whether the first one in it comes after a counter reset.
    run->min_t_ms = first - expr->selector.range_ms + (expr->selector.histogram_stats ? 0 : 1) -
                    (extended ? context->lookback_ms : 0);
    run->max_t_ms = last + (expr->selector.smoothed ? context->lookback_ms : 0);
    if (!select_series(context, expr, run->steps, func, run->min_t_ms, run->max_t_ms, arena,
                       &run->list, err))
        return false;
    run->count = run->list.count;
    return true;
}

static bool is_among(const char *name, const char *const *names)
{
    for (size_t i = 0; names[i]; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

bool eval_range_modifier_ok(const Expr *call, const Expr *matrix, Error *err)
{
    static const char *const anchored[] = {"changes", "delta", "increase", "rate", "resets", NULL};
    static const char *const smoothed[] = {"delta", "increase", "rate", NULL};
    const Expr *expr = expr_without_parens(matrix);
    const char *name = call->call.function->name;
    if (expr->kind != EXPR_SELECTOR)
        return true;
    if (expr->selector.anchored && !is_among(name, anchored))
        return error_set(err, ERR_LIMIT,
                         "anchored modifier can only be used with: changes, delta, increase, rate, "
                         "resets - not with %s",
                         name);
    if (expr->selector.smoothed && !is_among(name, smoothed))
        return error_set(
            err, ERR_LIMIT,
            "smoothed modifier can only be used with: delta, increase, rate - not with %s", name);
    return true;
}

bool eval_range_call(EvalContext *context, FunctionCall *call, size_t matrix_arg, Value *ret_value,
                     Error *err)
{
    ASSERT(matrix_arg < call->count);
    const Expr *expr = expr_without_parens(call->expr->call.args[matrix_arg]);
    if (!eval_range_modifier_ok(call->expr, expr, err))
        return false;
    Value *matrix = &call->args[matrix_arg];
    describe_windows(expr, call->steps, call->arena, matrix);
    SeriesRun run = {
        .context = context,
        .expr = expr,
        .steps = call->steps,
        .call = call,
        .matrix = matrix,
        .one = apply_range,
    };
    if (!prepare_matrix(context, expr, str_from_c(call->expr->call.function->name), call->arena,
                        &run, err))
        return false;
    run.out = ARENA_ARRAY(call->arena, VectorSeries, run.count);
    if (!run_all(&run, err))
        return false;
    *ret_value = (Value){.type = TYPE_VECTOR, .series = run.out, .count = run.count};
    eval_remove_empty(ret_value, call->steps->count);
    return true;
}

bool eval_matrix(EvalContext *context, const Expr *outer, const Steps *steps, Arena *arena,
                 Value *ret_value, Error *err)
{
    const Expr *expr = expr_without_parens(outer);
    describe_windows(expr, steps, arena, ret_value);
    SeriesRun run = {
        .context = context, .expr = expr, .steps = steps, .matrix = ret_value, .one = keep_range};
    if (!prepare_matrix(context, expr, STR_NONE, arena, &run, err))
        return false;
    run.out_ranges = ARENA_ARRAY(arena, RangeSeries, run.count);
    if (!run_all(&run, err))
        return false;
    ret_value->ranges = run.out_ranges;
    ret_value->count = run.count;

    uint64_t held = 0;
    for (size_t s = 0; s < run.count; s++)
        held += run.out_ranges[s].samples.count;
    return eval_hold_samples(context, held, err);
}
