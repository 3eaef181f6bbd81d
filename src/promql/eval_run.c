// SPDX-License-Identifier: Apache-2.0
#include "promql/eval_run.h"

#include "base/number.h"
#include "trace/trace.h"

#define SLICES_PER_THREAD 4
#define SLICE_NS_MIN 150000 // less work is not worth a thread
#define SLICE_SERIES_MIN 8  // of those that are read together; fewer of long ones
// Rough costs, to tell whether it is worth it.
#define SERIES_NS 500
#define SAMPLE_NS 4
#define STEP_NS 10
#define SAMPLE_INTERVAL_MS 15000

#define CHUNK_SAMPLES 120
#define GROUP_CHUNKS                                                                               \
    32 // read together: enough for all lanes of a decoder, few enough to stay in a core's cache

#define NEWEST_TRIES 64 // in vain in a row: the query looks at a time before the newest samples

#define SHARED_BYTES_MAX                                                                           \
    (64 << 20) // of columns that are kept where they could be added up as they come

#define WORK_BETWEEN_CHECKS 65536 // samples and steps
#define SERIES_WORK 1024
#define BATCH_BYTES (2 << 20) // of columns that are consumed at once
#define BATCH_SERIES_MIN 64
#define SHAPE_SAMPLES_MAX 65536 // longer series are not remembered,
#define SHAPE_SAMPLES_MANY 4096 // and of these only the last
#define SHAPE_INSTANT_MAX 256   // nor are these, where there is one step only

void reference_bounds(const TimeShift *shift, const Steps *steps, int64_t *ret_first,
                      int64_t *ret_last)
{
    *ret_first = reference_time(shift, steps->start_ms);
    *ret_last = reference_time(shift, step_time(steps, steps->count - 1));
}

// Stale markers ------------------------------------------------------------------------------------------------------------------

bool sample_is_stale(const SampleColumns *columns, size_t i)
{
    const Histogram *h = columns->histograms ? columns->histograms[i] : NULL;
    return is_stale_nan(h ? h->sum : columns->value[i]);
}

bool samples_may_be_stale(const SampleColumns *columns)
{
    const double *v = columns->value;
    NumberPairBits any = {0};
    size_t i = 0;
    if (columns->histograms)
        return true;
    // What less itself is not zero is NaN or infinite.
    for (; i + 4 <= columns->count; i += 4) {
        const NumberPair *pair = (const NumberPair *)(v + i);
        // NOLINTNEXTLINE(misc-redundant-expression): see above
        any |= (NumberPairBits)(pair[0] - pair[0]) | (NumberPairBits)(pair[1] - pair[1]);
    }
    for (; i < columns->count; i++)
        any[0] |= (int64_t)double_bits(v[i] - v[i]);
    return (any[0] | any[1]) != 0;
}

void samples_drop_stale(SampleColumns *columns)
{
    if (!samples_may_be_stale(columns))
        return;
    size_t kept = 0;
    for (size_t i = 0; i < columns->count; i++) {
        if (sample_is_stale(columns, i))
            continue;
        sample_columns_move(columns, kept++, i);
    }
    columns->count = kept;
}

// Counts, and what is remembered between series --------------------------------------------------------------------------------------

void slice_count(Slice *slice, size_t step, uint64_t count)
{
    slice->looked_at += count;
    EvalContext *context = slice->run->context;
    if (context->samples_per_step && step < context->step_count)
        __atomic_add_fetch(&context->samples_per_step[step], count, __ATOMIC_RELAXED);
}

void slice_count_read(Slice *slice, size_t step, uint64_t count)
{
    slice->read += count;
    ReadCount *read = &slice->run->context->read;
    if (read->per_step && step < read->count)
        __atomic_add_fetch(&read->per_step[step], count, __ATOMIC_RELAXED);
}

void slice_peak(Slice *slice, uint64_t count)
{
    slice->peak = MAX(slice->peak, slice->held + count);
}

static bool slice_tell(Slice *slice, Error *err)
{
    EvalContext *context = slice->run->context;
    uint64_t over = slice->peak > slice->held ? slice->peak - slice->held : 0;
    uint64_t held = slice->held;
    __atomic_add_fetch(&context->samples_total, slice->looked_at, __ATOMIC_RELAXED);
    __atomic_add_fetch(&context->read.total, slice->read, __ATOMIC_RELAXED);
    slice->looked_at = slice->read = slice->held = slice->peak = 0;
    if (!eval_hold_samples(context, held + over, err))
        return false;
    eval_drop_samples(context, over);
    return true;
}

static bool shape_fits(const WindowShape *shape, const SampleColumns *columns)
{
    size_t count = columns->count;
    return shape->count == count && shape->t_ms && shape->t_ms[0] == columns->t_ms[0] &&
           shape->t_ms[count - 1] == columns->t_ms[count - 1] &&
           memcmp(shape->t_ms, columns->t_ms, count * sizeof(int64_t)) == 0;
}

// Room for a new shape: that of the one that was made first, if it is large enough.
static WindowShape *shape_place(WindowMemo *memo, size_t steps, const SampleColumns *columns)
{
    bool is_long = columns->count > SHAPE_SAMPLES_MANY;
    WindowShape *shape = &memo->shapes[is_long ? 0 : memo->next_shape];
    memo->next_shape = (memo->next_shape + 1) % SLICE_SHAPES;
    if (shape->cap < columns->count) {
        shape->cap = columns->count + columns->count / 4;
        shape->t_ms = ARENA_ARRAY(memo->arena, int64_t, shape->cap);
    }
    if (!shape->first) {
        shape->first = ARENA_ARRAY(memo->arena, uint32_t, steps);
        shape->last = ARENA_ARRAY(memo->arena, uint32_t, steps);
    }
    memcpy(shape->t_ms, columns->t_ms, columns->count * sizeof(int64_t));
    shape->count = columns->count;
    shape->has_edges = false;
    return shape;
}

WindowShape *slice_shape(Slice *slice, const SampleColumns *columns, bool *ret_known)
{
    size_t most = slice->run->steps->count == 1 ? SHAPE_INSTANT_MAX : SHAPE_SAMPLES_MAX;
    *ret_known = false;
    if (columns->count == 0 || columns->count > most)
        return NULL;
    for (size_t i = 0; i < SLICE_SHAPES; i++)
        if (shape_fits(&slice->memo->shapes[i], columns)) {
            *ret_known = true;
            return &slice->memo->shapes[i];
        }
    return shape_place(slice->memo, slice->run->steps->count, columns);
}

// Slices -------------------------------------------------------------------------------------------------------------------------

void series_run_fail(SeriesRun *run, const Error *err)
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

static Arena *read_into(Slice *slice)
{
    return slice->run->out_ranges ? slice->arena : slice->scratch;
}

// Makes the column or windows of a series.
static void use_series(Slice *slice, size_t index, SampleColumns *columns)
{
    SeriesRun *run = slice->run;
    if (!run->ranges && columns->histograms && run->expr->selector.histogram_stats)
        keep_histogram_stats(columns, read_into(slice));
    run->one(slice, index, columns);
    if (run->out)
        slice->held += eval_points_held(series_run_out(run, index), run->steps->count);
}

// Reads the series whose numbers these are.
static bool read_group(Slice *slice, const size_t *indexes, size_t count, SampleColumns *columns,
                       Error *err)
{
    const SeriesRun *run = slice->run;
    Querier *querier = run->context->querier;
    Arena *into = read_into(slice);
    uint64_t handles[GROUP_SERIES_MAX];
    for (size_t i = 0; i < count; i++) {
        if (run->ranges)
            columns[i] = run->ranges[indexes[i]].samples;
        else
            handles[i] = run->list.series[indexes[i]].handle;
    }
    if (run->ranges)
        return true;
    if (querier->read_many)
        return querier->read_many(querier, handles, count, run->min_t_ms, run->max_t_ms,
                                  run->is_instant, slice->scratch, into, columns, err);
    for (size_t i = 0; i < count; i++)
        if (!querier->read(querier, handles[i], run->min_t_ms, run->max_t_ms, into, &columns[i],
                           err))
            return false;
    return true;
}

static bool slice_check(Slice *slice, Error *err)
{
    EvalContext *context = slice->run->context;
    return slice_tell(slice, err) && eval_check(context, slice->arena, err) &&
           eval_check(context, slice->scratch, err);
}

// The next series from *at on that must be read; others are made on the way. Returns how many.
static bool next_group(Slice *slice, size_t *at, size_t *indexes, size_t *ret_count, Error *err)
{
    const SeriesRun *run = slice->run;
    size_t count = 0;
    for (; *at < slice->to && count < slice->group; ++*at) {
        size_t index = run->order ? run->order[*at] : *at;
        bool done = false;
        if (run->is_instant && slice->asked_in_vain < NEWEST_TRIES &&
            !series_run_newest(slice, index, &done, err))
            return false;
        slice->asked_in_vain = done ? 0 : slice->asked_in_vain + 1;
        if (!done)
            indexes[count++] = index;
    }
    *ret_count = count;
    return true;
}

static bool slice_group(Slice *slice, size_t *at, size_t *work, Error *err)
{
    SampleColumns columns[GROUP_SERIES_MAX];
    size_t indexes[GROUP_SERIES_MAX], count, from = *at;
    if (!next_group(slice, at, indexes, &count, err) ||
        !read_group(slice, indexes, count, columns, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        use_series(slice, indexes[i], &columns[i]);
        slice->holds_histograms |= columns[i].histograms != NULL;
        *work += columns[i].count;
    }
    if (!slice->holds_histograms)
        arena_reset(slice->scratch);
    *work += (*at - from) * (SERIES_WORK + slice->run->steps->count);
    return true;
}

static bool slice_series(Slice *slice, Error *err)
{
    size_t work = WORK_BETWEEN_CHECKS;
    for (size_t at = slice->from; at < slice->to;) {
        if (work >= WORK_BETWEEN_CHECKS) {
            work = 0;
            if (run_failed(slice->run))
                return true;
            if (!slice_check(slice, err))
                return false;
        }
        if (!slice_group(slice, &at, &work, err))
            return false;
    }
    return slice_check(slice, err);
}

static WindowMemo *take_memo(SeriesRun *run)
{
    lock_take(&run->lock);
    WindowMemo *memo = run->memos;
    if (memo)
        run->memos = memo->next;
    lock_give(&run->lock);
    if (memo)
        return memo;
    Arena *arena = eval_arena_new(run->context);
    memo = ARENA_NEW(arena, WindowMemo);
    memo->arena = arena;
    return memo;
}

static void give_memo(SeriesRun *run, WindowMemo *memo)
{
    lock_take(&run->lock);
    memo->next = run->memos;
    run->memos = memo;
    lock_give(&run->lock);
}

static void run_slice(void *arg, size_t index)
{
    SeriesRun *run = arg;
    Slice *slice = &run->slices[index];
    Error err = {0};
    slice->memo = take_memo(run);
    if (!slice_series(slice, &err))
        series_run_fail(run, &err);
    give_memo(run, slice->memo);
    if (!slice->holds_histograms) // the thread's next slice takes the same blocks
        arena_deinit(slice->scratch);
}

// How many series are read together.
static size_t group_size(const SeriesRun *run)
{
    double each = (double)(run->max_t_ms - run->min_t_ms) / SAMPLE_INTERVAL_MS / CHUNK_SAMPLES + 1;
    return each >= GROUP_CHUNKS ? 1 : MIN((size_t)(GROUP_CHUNKS / each), GROUP_SERIES_MAX);
}

// How many slices are worth their threads. Series that are long are worth one each.
static size_t slices_worth(const SeriesRun *run)
{
    size_t least = MIN(group_size(run), (size_t)SLICE_SERIES_MIN);
    if (!run->context->options->pool || run->count < 2 * least)
        return 1;
    double samples = (double)(run->max_t_ms - run->min_t_ms) / SAMPLE_INTERVAL_MS;
    double each_ns = SERIES_NS + samples * SAMPLE_NS + (double)run->steps->count * STEP_NS;
    double worth = (double)run->count * each_ns / SLICE_NS_MIN;
    size_t most = (thread_pool_threads(run->context->options->pool) + 1) * SLICES_PER_THREAD;
    most = MIN(most, run->count / least);
    return worth < 2 ? 1 : worth < (double)most ? (size_t)worth : most;
}

// The source's order, cut at the borders of batches.
static void order_batches(SeriesRun *run, size_t batch, Arena *arena)
{
    const uint32_t *order = run->ranges ? NULL : run->list.read_order;
    if (!order)
        return;
    size_t batches = run->count / batch + 1;
    uint32_t *next = ARENA_ARRAY(arena, uint32_t, batches);
    run->order = ARENA_ARRAY(arena, uint32_t, run->count);
    for (size_t b = 0; b < batches; b++)
        next[b] = (uint32_t)(b * batch);
    for (size_t i = 0; i < run->count; i++)
        run->order[next[order[i] / batch]++] = order[i];
}

static void run_begin(SeriesRun *run, size_t batch, Arena *arena)
{
    if (batch)
        order_batches(run, batch, arena);
    run->slice_count = slices_worth(run);
    run->slices = ARENA_ARRAY(arena, Slice, run->slice_count);
    for (size_t i = 0; i < run->slice_count; i++)
        run->slices[i] = (Slice){.run = run,
                                 .group = group_size(run),
                                 .arena = eval_arena_new(run->context),
                                 .scratch = eval_arena_new(run->context)};
    lock_init(&run->lock, "series_run", 801);
}

static bool run_batch(SeriesRun *run, size_t first, size_t count, Error *err)
{
    run->first = first;
    for (size_t i = 0; i < run->slice_count; i++) {
        run->slices[i].from = first + count * i / run->slice_count;
        run->slices[i].to = first + count * (i + 1) / run->slice_count;
    }
    thread_pool_each(run->context->options->pool, run_slice, run, count ? run->slice_count : 0);
    lock_take(&run->lock);
    bool failed = run->failed;
    if (failed)
        *err = run->err;
    lock_give(&run->lock);
    return !failed;
}

static void run_end(SeriesRun *run)
{
    for (size_t i = 0; i < run->slice_count; i++) {
        if (!run->slices[i].holds_histograms)
            arena_deinit(run->slices[i].scratch);
    }
    for (WindowMemo *memo = run->memos, *next; memo; memo = next) {
        next = memo->next; // it lies in its own arena
        arena_deinit(memo->arena);
    }
    lock_deinit(&run->lock);
}

bool series_run_all(SeriesRun *run, Error *err)
{
    if (run->out && !eval_columns_fit(run->context, run->count, run->steps->count, err))
        return false;
    run_begin(run, run->count, run->context->arena);
    bool ok = run_batch(run, 0, run->count, err);
    run_end(run);
    return ok;
}

bool series_run_value(SeriesRun *run, Arena *arena, Value *ret_value, Error *err)
{
    ShareMark mark = share_begin(run->context);
    run->out = ARENA_ARRAY(arena, VectorSeries, run->count);
    if (run->call)
        series_run_add_readers(run, arena);
    bool ok = series_run_all(run, err);
    share_end(run->context, &mark);
    if (!ok)
        return false;
    series_run_keep_readers(run, mark, arena);
    *ret_value = (Value){.type = TYPE_VECTOR, .series = run->out, .count = run->count};
    eval_remove_empty(ret_value, run->steps->count);
    if (!run->call || run->call->expr->call.function->keeps_name ||
        run->context->features.delayed_name_removal || series_run_names_alike(run))
        return true;
    // Unlike elsewhere those that never meet at a step are an error, too.
    size_t count = ret_value->count;
    return vector_merge_equal(arena, run->steps, ret_value, err) &&
           (ret_value->count == count ||
            error_set(err, ERR_LIMIT, "vector cannot contain metrics with the same labelset"));
}

// False, without an error, at a histogram.
static bool take_batch(const SeriesRun *run, size_t count, VectorTake take, void *arg,
                       bool *ret_done, Error *err)
{
    size_t steps = run->steps->count;
    for (size_t i = 0; i < count; i++) {
        const VectorSeries *series = &run->out[i];
        if (series->histogram) {
            *ret_done = false;
            return true;
        }
        if (memchr(series->kind, POINT_FLOAT, steps) && !take(arg, series, err))
            return false;
    }
    return true;
}

bool series_run_stream(SeriesRun *run, VectorTake take, void *arg, bool *ret_done, Error *err)
{
    size_t each_bytes = run->steps->count * (sizeof(double) + 1) + sizeof(VectorSeries);
    size_t batch = MAX(BATCH_BYTES / each_bytes, (size_t)BATCH_SERIES_MIN);
    batch = MIN(batch, run->count);
    if (!eval_columns_fit(run->context, batch, run->steps->count, err))
        return false;
    run_begin(run, batch, run->context->arena);
    run->out = ARENA_ARRAY(run->context->arena, VectorSeries, batch);
    bool ok = true;
    *ret_done = true;
    for (size_t first = 0; ok && *ret_done && first < run->count; first += batch) {
        size_t count = MIN(batch, run->count - first);
        ok = run_batch(run, first, count, err) && take_batch(run, count, take, arg, ret_done, err);
        for (size_t i = 0; i < run->slice_count; i++)
            arena_reset(run->slices[i].arena);
    }
    run_end(run);
    return ok;
}

bool series_run_names_alike(const SeriesRun *run)
{
    for (size_t i = 1; i < run->count; i++)
        if (!eval_name_alike(series_run_labels(run, 0), series_run_labels(run, i)))
            return false;
    return true;
}

bool series_run_select(SeriesRun *run, Str func, Arena *arena, Error *err)
{
    const Expr *expr = run->expr;
    Querier *querier = run->context->querier;
    SelectHints hints = {
        .start_ms = run->min_t_ms,
        .end_ms = run->max_t_ms,
        .step_ms = run->steps->count > 1 ? run->steps->step_ms : 0,
        .range_ms = expr->selector.has_range ? expr->selector.range_ms : 0,
        .func = func,
        .any_order = run->consumer != NULL,
        .may_be_empty = true,
    };
    if (run->consumer && !run->consumer->aggregate.without) {
        hints.by = hints.only_grouping = true;
        hints.grouping = run->consumer->aggregate.grouping;
        hints.grouping_count = run->consumer->aggregate.grouping_count;
    }
    Span span;
    span_open(&span, S("promqlExpandSeries"));
    span_str(&span, "selector",
             str_sub(run->context->request->query, expr->start, expr->end - expr->start));
    bool ok = querier->select(querier, expr->selector.matchers, expr->selector.count, &hints, arena,
                              &run->list, err);
    if (ok)
        span_i64(&span, "num_series", (int64_t)run->list.count);
    else
        span_fail(&span, str_from_c(err->text));
    span_end(&span);
    run->count = ok ? run->list.count : run->count;
    return ok;
}

static bool reads_storage(const Expr *call)
{
    for (size_t i = 0; i < call->call.count; i++)
        if (call->call.args[i]->type == TYPE_MATRIX)
            return expr_without_parens(call->call.args[i])->kind == EXPR_SELECTOR;
    return false;
}

static bool can_stream(const Expr *expr)
{
    return expr->kind == EXPR_SELECTOR
               ? !expr->selector.has_range
               : expr->kind == EXPR_CALL && expr->call.function->range && reads_storage(expr);
}

static bool prepare_stream(EvalContext *context, const Expr *expr, const Steps *steps,
                           const Expr *consumer, Arena *arena, SeriesRun *ret_run, Error *err)
{
    if (expr->kind == EXPR_SELECTOR)
        return series_run_vector(context, expr, steps, WANT_VALUES, consumer, arena, ret_run, err);
    FunctionCall *call = ARENA_NEW(arena, FunctionCall);
    size_t matrix_arg;
    return eval_call_args(context, expr, steps, arena, call, &matrix_arg, err) &&
           series_run_call(context, call, matrix_arg, consumer, ret_run, err);
}

static bool take_all(const Value *vector, VectorTake take, void *arg, bool *ret_done, Error *err)
{
    *ret_done = true;
    for (size_t s = 0; s < vector->count; s++) {
        if (vector->series[s].histogram) {
            *ret_done = false;
            return true;
        }
        if (!take(arg, &vector->series[s], err))
            return false;
    }
    return true;
}

// What others will ask for, too, is evaluated as a whole and kept, as long as it is not much. *ret_kept false: it is.
static bool stream_kept(EvalContext *context, const Expr *expr, const Steps *steps, Arena *arena,
                        VectorTake take, void *arg, bool *ret_kept, bool *ret_done, Error *err)
{
    const Value *kept;
    if (!share_look(context, expr, steps, &kept, err))
        return false;
    *ret_kept = kept != NULL;
    if (kept)
        return take_all(kept, take, arg, ret_done, err);
    if (!share_wanted(context, expr))
        return true;
    ShareMark mark = share_begin(context);
    SeriesRun run;
    Value whole;
    if (!prepare_stream(context, expr, steps, NULL, arena, &run, err))
        return false;
    *ret_kept = run.count <= SHARED_BYTES_MAX / (steps->count * (sizeof(double) + 1));
    bool ok = !*ret_kept || series_run_value(&run, arena, &whole, err);
    share_end(context, &mark);
    if (!ok || !*ret_kept)
        return ok;
    share_keep(context, expr, mark, steps, &whole);
    return take_all(&whole, take, arg, ret_done, err);
}

bool eval_stream(EvalContext *context, const Expr *aggregate, const Steps *steps, Arena *arena,
                 VectorTake take, void *arg, bool *ret_done, Error *err)
{
    const Expr *expr = expr_without_parens(aggregate->aggregate.expr);
    SeriesRun run;
    bool is_kept;
    *ret_done = false;
    if (eval_hoists(expr, steps) || context->features.delayed_name_removal ||
        eval_counts_steps(context) || !can_stream(expr))
        return true;

    uint64_t total = context->samples_total, read = context->read.total;
    uint64_t held = eval_held(context);
    if (!stream_kept(context, expr, steps, arena, take, arg, &is_kept, ret_done, err))
        return false;
    if (!is_kept) {
        if (!prepare_stream(context, expr, steps, aggregate, arena, &run, err))
            return false;
        bool distinct = expr->kind == EXPR_SELECTOR || expr->call.function->keeps_name ||
                        series_run_names_alike(&run);
        if (distinct && !series_run_stream(&run, take, arg, ret_done, err))
            return false;
    }
    if (!*ret_done) { // what was counted is counted again
        if (is_kept)
            share_ask_again(expr);
        context->samples_total = total;
        context->read.total = read;
        __atomic_store_n(&context->samples, held, __ATOMIC_RELAXED);
    }
    return true;
}
