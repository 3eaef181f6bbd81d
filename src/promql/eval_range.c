// SPDX-License-Identifier: Apache-2.0
// Range vectors: windows of samples, of selectors and of subqueries, and the functions over them.
#include "promql/eval_run.h"

// The first sample from `from` on that is later than t_ms: steps that double, then halves.
static uint32_t first_later(const int64_t *times, uint32_t from, uint32_t count, int64_t t_ms)
{
    uint32_t step = 1, low = from, high = from;
    while (high < count && times[high] <= t_ms) {
        low = high + 1;
        high += step;
        step *= 2;
    }
    high = MIN(high, count);
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (times[middle] <= t_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// Index windows (end - range, end] of each step; ends do not fall from step to step.
static void fill_windows(const SampleColumns *columns, const Value *matrix, size_t steps,
                         RangeSeries *series)
{
    uint32_t first = 0;
    uint32_t last = 0;
    uint32_t count = (uint32_t)columns->count;
    for (size_t i = 0; i < steps; i++) {
        int64_t end = matrix->window_end_ms[i];
        int64_t start = end - matrix->range_ms;
        first = first_later(columns->t_ms, first, count, start);
        last = first_later(columns->t_ms, last, count, end);
        series->first[i] = first;
        series->last[i] = MAX(first, last);
    }
}

static void find_windows(const SampleColumns *columns, const Value *matrix, size_t steps,
                         Arena *arena, RangeSeries *series)
{
    series->first = ARENA_ARRAY(arena, uint32_t, steps);
    series->last = ARENA_ARRAY(arena, uint32_t, steps);
    fill_windows(columns, matrix, steps, series);
}

// The first sample of window i that is in none before.
static uint32_t first_new(const RangeSeries *series, size_t i)
{
    uint32_t first = i ? MAX(series->first[i], series->last[i - 1]) : series->first[0];
    return MIN(first, series->last[i]);
}

static WindowCounts count_windows(const RangeSeries *series, size_t steps)
{
    WindowCounts counts = {0};
    for (size_t i = 0; i < steps; i++) {
        uint64_t count = series->last[i] - series->first[i];
        counts.peak = MAX(counts.peak, count);
        counts.total += count;
        counts.read += series->last[i] - first_new(series, i);
    }
    return counts;
}

// The windows of neighbours whose samples stand at the same times are the same.
static void find_windows_once(Slice *slice, const SampleColumns *columns, RangeSeries *series)
{
    const SeriesRun *run = slice->run;
    bool known;
    WindowShape *shape = slice_shape(slice, columns, &known);
    series->shape = shape;
    series->memo = slice->memo->arena;
    if (!shape) {
        find_windows(columns, run->matrix, run->steps->count, slice->scratch, series);
        series->counts = count_windows(series, run->steps->count);
        return;
    }
    series->first = shape->first;
    series->last = shape->last;
    if (!known) {
        fill_windows(columns, run->matrix, run->steps->count, series);
        shape->counts = count_windows(series, run->steps->count);
    }
    series->counts = shape->counts;
}

static void prepare_samples(Slice *slice, SampleColumns *columns)
{
    if (!slice->run->context->features.start_timestamps)
        columns->start_ms = NULL;
    samples_drop_stale(columns);
}

// What of the columns stands before each sample, histograms with their size.
static uint64_t *weights_before(const SampleColumns *columns, Arena *arena)
{
    uint64_t *before = ARENA_ARRAY(arena, uint64_t, columns->count + 1);
    before[0] = 0;
    for (size_t i = 0; i < columns->count; i++)
        before[i + 1] =
            before[i] + (columns->histograms[i] ? eval_samples_of(columns->histograms[i]) : 1);
    return before;
}

// Of window i: how many samples of 16 bytes it has. `before` NULL: all are floats.
static uint64_t window_weight(const RangeSeries *series, const uint64_t *before, size_t i)
{
    uint32_t first = series->first[i];
    uint32_t last = MAX(series->last[i], first);
    return before ? before[last] - before[first] : last - first;
}

// The windows of an anchored or smoothed selector are wider than what its function makes a value of.
static RangeSeries wide_windows(const Slice *slice, const RangeSeries *series)
{
    const SeriesRun *run = slice->run;
    size_t steps = run->steps->count;
    int64_t lookback_ms = run->context->lookback_ms;
    Value matrix = *run->matrix;
    matrix.range_ms += (matrix.smoothed ? 2 : 1) * lookback_ms;
    matrix.window_end_ms = ARENA_ARRAY(slice->scratch, int64_t, steps);
    for (size_t i = 0; i < steps; i++)
        matrix.window_end_ms[i] =
            run->matrix->window_end_ms[i] + (matrix.smoothed ? lookback_ms : 0);
    RangeSeries wide = *series;
    find_windows(&series->samples, &matrix, steps, slice->scratch, &wide);
    wide.counts = count_windows(&wide, steps);
    return wide;
}

// Every sample of every window counts as looked at, and as read where it is new.
static void count_all_windows(Slice *slice, const RangeSeries *narrow)
{
    const SeriesRun *run = slice->run;
    RangeSeries series = *narrow;
    if (run->matrix->anchored || run->matrix->smoothed)
        series = wide_windows(slice, narrow);
    const uint64_t *before =
        series.samples.histograms ? weights_before(&series.samples, slice->scratch) : NULL;
    if (!before && !eval_counts_steps(run->context)) {
        slice->looked_at += series.counts.total;
        slice->read += series.counts.read;
        return;
    }
    for (size_t i = 0; i < run->steps->count; i++) {
        uint32_t fresh = first_new(&series, i), last = series.last[i];
        slice_count(slice, i, window_weight(&series, before, i));
        slice_count_read(slice, i, before ? before[last] - before[fresh] : last - fresh);
    }
}

// The same for the points of a subquery.
static void count_points(EvalContext *context, const RangeSeries *series, size_t steps,
                         Arena *arena)
{
    const uint64_t *before =
        series->samples.histograms ? weights_before(&series->samples, arena) : NULL;
    for (size_t i = 0; i < steps; i++)
        eval_count_total(context, i, window_weight(series, before, i));
}

static void keep_range(Slice *slice, size_t index, SampleColumns *columns)
{
    const SeriesRun *run = slice->run;
    RangeSeries *out = &run->out_ranges[index - run->first];
    if (run->ranges) {
        *out = run->ranges[index];
        return;
    }
    prepare_samples(slice, columns);
    *out = (RangeSeries){.labels = series_run_labels(run, index), .samples = *columns};
    find_windows(columns, run->matrix, run->steps->count, slice->arena, out);
    out->counts = count_windows(out, run->steps->count);
    count_all_windows(slice, out);
}

static void apply_call(Slice *slice, const FunctionCall *call, const RangeSeries *series,
                       VectorSeries *out)
{
    const FunctionInfo *function = call->expr->call.function;
    vector_series_init(slice->arena, slice->run->steps->count, series->labels, out);
    out->drop_name = series->drop_name;
    function->range(call, slice->arena, series, out);
    if (!function->keeps_name)
        eval_drop_name(slice->run->context, slice->arena, out);
}

static void apply_range(Slice *slice, size_t index, SampleColumns *columns)
{
    const SeriesRun *run = slice->run;
    size_t steps = run->steps->count;
    RangeSeries series;
    if (run->ranges) {
        series = run->ranges[index];
        series.counts = count_windows(&series, steps);
    } else {
        prepare_samples(slice, columns);
        series = (RangeSeries){.labels = series_run_labels(run, index), .samples = *columns};
        find_windows_once(slice, columns, &series);
        count_all_windows(slice, &series);
    }
    slice_peak(slice, series.counts.peak);
    apply_call(slice, run->call, &series, series_run_out(run, index));
    for (size_t i = 0; i < run->reader_count; i++)
        apply_call(slice, run->readers[i].call, &series, &run->readers[i].out[index]);
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

// What a subquery read, on its own grid, counts for the outer steps that make use of it: each point for the first step at or after it (moved
// by the offset), none that fall between windows which do not touch.
static void give_reads(EvalContext *context, const ReadCount *inner, const Steps *grid,
                       const Steps *steps, const Expr *expr)
{
    ReadCount *outer = &context->read;
    if (!inner->per_step) {
        outer->total += inner->total;
        if (outer->per_step)
            outer->per_step[0] += inner->total;
        return;
    }
    int64_t offset_ms = expr->subquery.shift.offset_ms;
    for (size_t k = 0; k < grid->count; k++) {
        int64_t t_ms = step_time(grid, k) + offset_ms, past_ms = t_ms - steps->start_ms;
        size_t step = past_ms <= 0 ? 0 : (size_t)((past_ms + steps->step_ms - 1) / steps->step_ms);
        step = MIN(step, steps->count - 1);
        if (t_ms <= step_time(steps, step) - expr->subquery.range_ms)
            continue;
        outer->total += inner->per_step[k];
        if (outer->per_step)
            outer->per_step[step] += inner->per_step[k];
    }
}

// The inner expression on its own grid. What it looks at is not what the query looks at: that are its points.
static bool eval_inner(EvalContext *context, const Expr *expr, const Steps *steps,
                       const Steps *grid, Arena *arena, Value *ret_value, Error *err)
{
    uint64_t total = context->samples_total;
    uint64_t *per_step = context->samples_per_step;
    ReadCount outer = context->read;
    bool gaps = steps->count > 1 && (outer.per_step || steps->step_ms > expr->subquery.range_ms);
    context->samples_per_step = NULL;
    context->read = (ReadCount){.count = grid->count};
    if (gaps)
        context->read.per_step = arena_zalloc(arena, grid->count * sizeof(uint64_t));
    bool ok = eval(context, expr->subquery.expr, grid, arena, ret_value, err);
    ReadCount inner = context->read;
    context->read = outer;
    context->subquery_total = context->samples_total - total;
    context->samples_total = total;
    context->samples_per_step = per_step;
    give_reads(context, &inner, grid, steps, expr);
    return ok;
}

// Evaluates the inner expression and turns the points into samples.
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
    if (!eval_inner(context, expr, steps, &grid, arena, &inner, err))
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
        count_points(context, &ranges[s], steps->count, arena);
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
    return series_run_select(run, func, arena, err);
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

bool series_run_call(EvalContext *context, FunctionCall *call, size_t matrix_arg,
                     const Expr *consumer, SeriesRun *ret_run, Error *err)
{
    ASSERT(matrix_arg < call->count);
    const Expr *expr = expr_without_parens(call->expr->call.args[matrix_arg]);
    if (!eval_range_modifier_ok(call->expr, expr, err))
        return false;
    Value *matrix = &call->args[matrix_arg];
    describe_windows(expr, call->steps, call->arena, matrix);
    *ret_run = (SeriesRun){
        .context = context,
        .expr = expr,
        .steps = call->steps,
        .call = call,
        .matrix = matrix,
        .consumer = consumer,
        .one = apply_range,
    };
    return prepare_matrix(context, expr, str_from_c(call->expr->call.function->name), call->arena,
                          ret_run, err);
}

void series_run_add_readers(SeriesRun *run, Arena *arena)
{
    Error ignored;
    size_t at = 0, count = 0;
    const Expr *expr;
    while (share_next_reader(run->context, run->call->expr, &at))
        count++;
    if (!count ||
        !eval_columns_fit(run->context, (count + 1) * run->count, run->steps->count, &ignored))
        return;
    run->readers = ARENA_ARRAY(arena, RunReader, count);
    for (at = 0; (expr = share_next_reader(run->context, run->call->expr, &at));) {
        FunctionCall *call = ARENA_NEW(arena, FunctionCall);
        size_t matrix_arg;
        if (!eval_call_args(run->context, expr, run->steps, arena, call, &matrix_arg, &ignored) ||
            !eval_range_modifier_ok(expr, expr->call.args[matrix_arg], &ignored))
            continue;
        call->args[matrix_arg] = *run->matrix;
        run->readers[run->reader_count++] =
            (RunReader){call, ARENA_ARRAY(arena, VectorSeries, run->count)};
    }
}

void series_run_keep_readers(SeriesRun *run, ShareMark before, Arena *arena)
{
    Error ignored;
    for (size_t i = 0; i < run->reader_count; i++) {
        const FunctionCall *call = run->readers[i].call;
        Value value = {.type = TYPE_VECTOR, .series = run->readers[i].out, .count = run->count};
        eval_remove_empty(&value, run->steps->count);
        size_t count = value.count;
        if (call->expr->call.function->keeps_name || run->context->features.delayed_name_removal ||
            series_run_names_alike(run) ||
            (vector_merge_equal(arena, run->steps, &value, &ignored) && value.count == count))
            share_put(run->context, call->expr, before, run->steps, &value);
    }
}

bool eval_range_call(EvalContext *context, FunctionCall *call, size_t matrix_arg, Value *ret_value,
                     Error *err)
{
    SeriesRun run;
    return series_run_call(context, call, matrix_arg, NULL, &run, err) &&
           series_run_value(&run, call->arena, ret_value, err);
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
    if (!series_run_all(&run, err))
        return false;
    ret_value->ranges = run.out_ranges;
    ret_value->count = run.count;

    uint64_t held = 0;
    for (size_t s = 0; s < run.count; s++)
        held += run.out_ranges[s].samples.count;
    return eval_hold_samples(context, held, err);
}
