// SPDX-License-Identifier: Apache-2.0
// engine.c: from a request to a result: parse, resolve durations and @, open one view of the storage, evaluate, hand out.
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/summary.h"
#include "promql/eval_share.h"
#include "promql/parse.h"
#include "promql/query_log.h"
#include "trace/trace.h"

struct Engine {
    EngineOptions options;
    int64_t default_step_ms; // atomic
    Lock lock;               // rank 790; guards running
    Condition freed;
    int running GUARDED_BY(lock);
    QueryTracker *tracker GUARDED_BY(lock); // NULL: none
    RwLock log_lock;                        // rank 795; held for reading while a line is written
    int log_fd GUARDED_BY(log_lock);        // -1: none
    Gauge *log_enabled;
    Counter *log_failures;
    Counter *queries_total;
    Gauge *running_gauge;
    HistogramMetric *duration_s;
    Summary *slices;
    HistogramMetric *slice_histograms[4];
    Counter *samples, *samples_read;
    SummaryMetric *prepare_time, *inner_eval, *result_sort, *queue_time;
};

void engine_options_default(EngineOptions *ret_options)
{
    *ret_options = (EngineOptions){
        .clock = &clock_system,
        .features = {.duration_expressions = true},
        .lookback_ms = 5 * 60 * 1000,
        .timeout_ms = 2 * 60 * 1000,
        .concurrency_max = 20,
        .samples_max = 50000000,
        .default_step_ms = 60 * 1000,
    };
}

static void register_metrics(Engine *engine)
{
    static const double bounds[] = {0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60};
    Registry *registry = engine->options.registry;
    if (!registry)
        return;
    gauge_set(gauge_of(registry_gauge(registry, "prometheus_engine_queries_concurrent_max",
                                      "The max number of concurrent queries.", NULL),
                       NULL),
              engine->options.concurrency_max);
    engine->running_gauge =
        gauge_of(registry_gauge(registry, "prometheus_engine_queries",
                                "The current number of queries being executed or waiting.", NULL),
                 NULL);
    engine->queries_total = counter_of(registry_counter(registry, "narthex_engine_queries_total",
                                                        "Queries that were started.", NULL),
                                       NULL);
    engine->duration_s =
        histogram_of(registry_histogram(registry, "narthex_engine_query_duration_seconds",
                                        "Time from the start of a query to its result.", NULL,
                                        bounds, COUNT_OF(bounds)),
                     NULL);
    engine->log_enabled = gauge_of(registry_gauge(registry, "prometheus_engine_query_log_enabled",
                                                  "State of the query log.", NULL),
                                   NULL);
    engine->log_failures =
        counter_of(registry_counter(registry, "prometheus_engine_query_log_failures_total",
                                    "The number of query log failures.", NULL),
                   NULL);
    static const char *const quantiles[] = {"0.5", "0.9", "0.99", NULL};
    engine->slices = summary_new(registry, "prometheus_engine_query_duration_seconds",
                                 "Query timings", "slice", quantiles);
    static const char *const by_slice[] = {"slice", NULL};
    static const double coarse[] = {.01, .1, 1, 10};
    static const Str slices[] = {STR("prepare_time"), STR("inner_eval"), STR("result_sort"),
                                 STR("queue_time")};
    Family *histogram =
        registry_histogram(registry, "prometheus_engine_query_duration_histogram_seconds",
                           "The duration of various parts of PromQL query execution.", by_slice,
                           coarse, COUNT_OF(coarse));
    for (size_t i = 0; i < COUNT_OF(slices); i++)
        engine->slice_histograms[i] = histogram_of(histogram, &slices[i]);
    engine->samples =
        counter_of(registry_counter(registry, "prometheus_engine_query_samples_total",
                                    "The total number of samples loaded by all queries (full "
                                    "window per step for range-vector).",
                                    NULL),
                   NULL);
    engine->samples_read =
        counter_of(registry_counter(registry, "prometheus_engine_query_samples_read_total",
                                    "The total number of samples read by all queries (only new "
                                    "points per step for range-vector).",
                                    NULL),
                   NULL);
    engine->prepare_time = summary_of(engine->slices, S("prepare_time"));
    engine->inner_eval = summary_of(engine->slices, S("inner_eval"));
    engine->result_sort = summary_of(engine->slices, S("result_sort"));
    engine->queue_time = summary_of(engine->slices, S("queue_time"));
}

static void observe_query(Engine *engine, const QueryStats *stats)
{
    gauge_add(engine->running_gauge, -1);
    counter_inc(engine->queries_total);
    histogram_observe(engine->duration_s, stats->exec_total_s);
    summary_observe(engine->prepare_time, stats->preparation_s);
    summary_observe(engine->inner_eval, stats->inner_eval_s);
    summary_observe(engine->result_sort, stats->result_sort_s);
    summary_observe(engine->queue_time, stats->queue_s);
    const double slices[] = {stats->preparation_s, stats->inner_eval_s, stats->result_sort_s,
                             stats->queue_s};
    for (size_t i = 0; i < COUNT_OF(slices); i++)
        histogram_observe(engine->slice_histograms[i], slices[i]);
    counter_add(engine->samples, (double)stats->samples_total);
    counter_add(engine->samples_read, (double)stats->samples_read);
}

Engine *engine_new(const EngineOptions *options)
{
    Engine *engine = X_NEW(Engine);
    engine->options = *options;
    engine->default_step_ms = options->default_step_ms;
    lock_init(&engine->lock, "engine", 790);
    rwlock_init(&engine->log_lock, "engine.log", 795);
    engine->log_fd = -1;
    condition_init(&engine->freed);
    register_metrics(engine);
    return engine;
}

void engine_free(Engine *engine)
{
    if (!engine)
        return;
    summary_free(engine->slices);
    if (engine->log_fd >= 0)
        close(engine->log_fd);
    query_tracker_close(engine->tracker);
    rwlock_deinit(&engine->log_lock);
    condition_deinit(&engine->freed);
    lock_deinit(&engine->lock);
    free(engine);
}

void engine_set_default_step(Engine *engine, int64_t step_ms)
{
    __atomic_store_n(&engine->default_step_ms, step_ms, __ATOMIC_RELAXED);
}

// Query log and running queries --------------------------------------------------------------------------------------------------

bool engine_set_query_log(Engine *engine, Str path, Error *err)
{
    int fd = -1;
    if (path.len) {
        Arena arena = {0};
        fd = open(str_to_c(&arena, path), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
        int failure = errno;
        arena_deinit(&arena);
        if (fd < 0)
            return error_set_errno(err, failure, "query log " STR_FMT, STR_ARG(path));
    }
    rwlock_take_write(&engine->log_lock);
    int old = engine->log_fd;
    engine->log_fd = fd;
    rwlock_give(&engine->log_lock);
    if (old >= 0)
        close(old);
    if (engine->log_enabled)
        gauge_set(engine->log_enabled, fd >= 0);
    return true;
}

bool engine_track_queries(Engine *engine, Str path, Arena *arena, Str *ret_unfinished, Error *err)
{
    ASSERT(!engine->tracker);
    return query_tracker_open(path, engine->options.concurrency_max, arena, &engine->tracker,
                              ret_unfinished, err);
}

static void log_query(Engine *engine, const QueryRequest *request, const QueryStats *stats,
                      const Error *err)
{
    rwlock_take_read(&engine->log_lock);
    if (engine->log_fd >= 0) {
        Buf line = {0};
        query_log_line(&line, request, stats, err, clock_now_ms(engine->options.clock));
        // One write() of an appended line: lines of threads do not mix.
        if (write(engine->log_fd, line.ptr, line.len) != (ssize_t)line.len && engine->log_failures)
            counter_inc(engine->log_failures);
        buf_deinit(&line);
    }
    rwlock_give(&engine->log_lock);
}

// Durations and @ ----------------------------------------------------------------------------------------------------------------

// What start(), end(), step() and range() stand for.
typedef struct ResolveContext {
    Str query;
    int64_t start_ms, end_ms, step_ms;
} ResolveContext;

static double duration_value(const ResolveContext *context, const Expr *expr)
{
    double l = expr->duration.left ? duration_value(context, expr->duration.left) : 0;
    double r = expr->duration.right ? duration_value(context, expr->duration.right) : 0;
    switch (expr->duration.op) {
    case DUR_NUMBER:
        return expr->duration.number;
    case DUR_ADD:
        return l + r;
    case DUR_SUB:
        return l - r;
    case DUR_MUL:
        return l * r;
    case DUR_DIV:
        return l / r;
    case DUR_MOD:
        return fmod(l, r);
    case DUR_POW:
        return pow(l, r);
    case DUR_NEG:
        return -l;
    case DUR_POS:
        return l;
    case DUR_STEP:
        return (double)context->step_ms / 1000;
    case DUR_RANGE:
        return (double)(context->end_ms - context->start_ms) / 1000;
    case DUR_MIN:
        return isnan(l) || l < r ? l : r;
    case DUR_MAX:
        return isnan(l) || l > r ? l : r;
    }
    return 0;
}

static bool divides_by_zero(const ResolveContext *context, const Expr *expr)
{
    if ((expr->duration.op == DUR_DIV || expr->duration.op == DUR_MOD) &&
        duration_value(context, expr->duration.right) == 0)
        return true;
    return (expr->duration.left && divides_by_zero(context, expr->duration.left)) ||
           (expr->duration.right && divides_by_zero(context, expr->duration.right));
}

static bool fail_at(const ResolveContext *context, const Expr *expr, Error *err, const char *what)
{
    int line;
    int column;
    query_position(context->query, expr->start, &line, &column);
    return error_set(err, ERR_INVALID, "%d:%d: parse error: %s", line, column, what);
}

static bool resolve_duration(const ResolveContext *context, const Expr *expr, bool positive,
                             int64_t *ret_ms, Error *err)
{
    if (!expr)
        return true;
    if (divides_by_zero(context, expr))
        return fail_at(context, expr, err, "division by zero");
    double seconds = duration_value(context, expr);
    if (isnan(seconds) || isinf(seconds))
        return fail_at(context, expr, err, "duration is NaN or infinite");
    if (positive && seconds <= 0)
        return fail_at(context, expr, err, "duration must be greater than 0");
    if (parse_duration_out_of_range(seconds))
        return fail_at(context, expr, err, "duration is out of range");
    *ret_ms = (int64_t)(seconds * 1000);
    return true;
}

static bool resolve_shift(const ResolveContext *context, TimeShift *shift, Error *err)
{
    if (shift->at == AT_START)
        shift->at_ms = context->start_ms;
    else if (shift->at == AT_END)
        shift->at_ms = context->end_ms;
    return resolve_duration(context, shift->offset_expr, false, &shift->offset_ms, err);
}

static bool resolve(const ResolveContext *context, Expr *expr, Error *err)
{
    switch (expr->kind) {
    case EXPR_SELECTOR:
        return resolve_shift(context, &expr->selector.shift, err) &&
               resolve_duration(context, expr->selector.range_expr, true, &expr->selector.range_ms,
                                err);
    case EXPR_SUBQUERY:
        return resolve_shift(context, &expr->subquery.shift, err) &&
               resolve_duration(context, expr->subquery.range_expr, true, &expr->subquery.range_ms,
                                err) &&
               resolve_duration(context, expr->subquery.step_expr, true, &expr->subquery.step_ms,
                                err) &&
               resolve(context, expr->subquery.expr, err);
    case EXPR_CALL:
        for (size_t i = 0; i < expr->call.count; i++)
            if (!resolve(context, expr->call.args[i], err))
                return false;
        return true;
    case EXPR_AGGREGATE:
        return resolve(context, expr->aggregate.expr, err) &&
               (!expr->aggregate.param || resolve(context, expr->aggregate.param, err));
    case EXPR_BINARY:
        for (; expr->kind == EXPR_BINARY; expr = expr->binary.left)
            if (!resolve(context, expr->binary.right, err))
                return false;
        return resolve(context, expr, err);
    case EXPR_UNARY:
        return resolve(context, expr->unary.expr, err);
    case EXPR_PAREN:
        return resolve(context, expr->paren, err);
    case EXPR_NUMBER:
    case EXPR_STRING:
    case EXPR_DURATION:
        break;
    }
    return true;
}

// Times of samples that the expression may look at when it is evaluated from start to end.
static void time_bounds(const Expr *expr, int64_t start, int64_t end, int64_t lookback_ms,
                        int64_t *min, int64_t *max)
{
    const TimeShift *shift = NULL;
    switch (expr->kind) {
    case EXPR_SELECTOR:
        shift = &expr->selector.shift;
        start = (shift->at == AT_NONE ? start : shift->at_ms) - shift->offset_ms;
        end = (shift->at == AT_NONE ? end : shift->at_ms) - shift->offset_ms;
        *min = MIN(*min, start - expr->selector.range_ms - lookback_ms);
        *max = MAX(*max, end + (expr->selector.smoothed ? lookback_ms : 0));
        break;
    case EXPR_SUBQUERY:
        shift = &expr->subquery.shift;
        start = (shift->at == AT_NONE ? start : shift->at_ms) - shift->offset_ms;
        end = (shift->at == AT_NONE ? end : shift->at_ms) - shift->offset_ms;
        time_bounds(expr->subquery.expr, start - expr->subquery.range_ms, end, lookback_ms, min,
                    max);
        break;
    case EXPR_CALL:
        for (size_t i = 0; i < expr->call.count; i++)
            time_bounds(expr->call.args[i], start, end, lookback_ms, min, max);
        break;
    case EXPR_AGGREGATE:
        time_bounds(expr->aggregate.expr, start, end, lookback_ms, min, max);
        if (expr->aggregate.param)
            time_bounds(expr->aggregate.param, start, end, lookback_ms, min, max);
        break;
    case EXPR_BINARY:
        for (; expr->kind == EXPR_BINARY; expr = expr->binary.left)
            time_bounds(expr->binary.right, start, end, lookback_ms, min, max);
        time_bounds(expr, start, end, lookback_ms, min, max);
        break;
    case EXPR_UNARY:
        time_bounds(expr->unary.expr, start, end, lookback_ms, min, max);
        break;
    case EXPR_PAREN:
        time_bounds(expr->paren, start, end, lookback_ms, min, max);
        break;
    case EXPR_NUMBER:
    case EXPR_STRING:
    case EXPR_DURATION:
        break;
    }
}

// Results ------------------------------------------------------------------------------------------------------------------------

static int compare_series(const void *a, const void *b)
{
    return labels_compare(((const QuerySeries *)a)->labels, ((const QuerySeries *)b)->labels);
}

static bool columns_new(Arena *arena, size_t count, bool histograms, SampleColumns *ret_columns,
                        Error *err)
{
    size_t sample_bytes = sizeof(int64_t) + sizeof(double) + (histograms ? sizeof(void *) : 0);
    if (!arena_reserve(arena, count * sample_bytes + 3 * ARENA_ALIGN, err))
        return false;
    *ret_columns = (SampleColumns){ARENA_ARRAY(arena, int64_t, count),
                                   ARENA_ARRAY(arena, double, count), NULL, 0};
    if (histograms)
        ret_columns->histograms = arena_zalloc(arena, count * sizeof(const Histogram *));
    return true;
}

static bool series_new(Arena *arena, size_t count, QueryResult *result, Error *err)
{
    if (!arena_reserve(arena, count * sizeof(QuerySeries) + ARENA_ALIGN, err))
        return false;
    result->series = ARENA_ARRAY(arena, QuerySeries, count);
    return true;
}

static void columns_add(Arena *arena, SampleColumns *columns, int64_t t_ms, double value,
                        const Histogram *histogram)
{
    columns->t_ms[columns->count] = t_ms;
    columns->value[columns->count] = value;
    if (histogram)
        columns->histograms[columns->count] = histogram_copy(arena, histogram);
    columns->count++;
}

static bool take_vector(const Value *value, const Steps *steps, Arena *arena, QueryResult *result,
                        Error *err)
{
    if (!series_new(arena, value->count, result, err))
        return false;
    for (size_t s = 0; s < value->count; s++) {
        const VectorSeries *series = &value->series[s];
        size_t points = 0;
        for (size_t i = 0; i < steps->count; i++)
            points += series->kind[i] != POINT_NONE;
        if (points == 0)
            continue;
        QuerySeries *out = &result->series[result->count++];
        out->labels = labels_copy(arena, series->labels);
        if (!columns_new(arena, points, series->histogram != NULL, &out->samples, err))
            return false;
        for (size_t i = 0; i < steps->count; i++)
            if (series->kind[i] != POINT_NONE)
                columns_add(arena, &out->samples, step_time(steps, i), series->value[i],
                            series->kind[i] == POINT_HISTOGRAM ? series->histogram[i] : NULL);
    }
    return arena_ok(arena, err);
}

static bool take_matrix(const Value *value, Arena *arena, QueryResult *result, Error *err)
{
    if (!series_new(arena, value->count, result, err))
        return false;
    for (size_t s = 0; s < value->count; s++) {
        const RangeSeries *range = &value->ranges[s];
        if (range->first[0] == range->last[0])
            continue;
        QuerySeries *out = &result->series[result->count++];
        out->labels = labels_copy(arena, range->labels);
        if (!columns_new(arena, range->last[0] - range->first[0], range->samples.histograms != NULL,
                         &out->samples, err))
            return false;
        for (uint32_t i = range->first[0]; i < range->last[0]; i++)
            columns_add(arena, &out->samples, range->samples.t_ms[i], range->samples.value[i],
                        range->samples.histograms ? range->samples.histograms[i] : NULL);
    }
    return arena_ok(arena, err);
}

static bool remove_delayed_names(EvalContext *context, const Steps *steps, Value *value, Error *err)
{
    if (!context->features.delayed_name_removal || value->type != TYPE_VECTOR)
        return true;
    context->features.delayed_name_removal = false;
    for (size_t s = 0; s < value->count; s++)
        if (value->series[s].drop_name)
            eval_drop_name(context, context->arena, &value->series[s]);
    return vector_merge_equal(context->arena, steps, value, err);
}

static bool take_result(EvalContext *context, const Steps *steps, Value *value, Arena *arena,
                        QueryResult *result, Error *err)
{
    const QueryRequest *request = context->request;
    result->t_ms = request->start_ms;
    if (!remove_delayed_names(context, steps, value, err))
        return false;
    if (value->type == TYPE_SCALAR && request->is_range) {
        result->kind = QUERY_MATRIX;
        result->series = ARENA_NEW(arena, QuerySeries);
        result->count = 1;
        if (!columns_new(arena, steps->count, false, &result->series->samples, err))
            return false;
        for (size_t i = 0; i < steps->count; i++)
            columns_add(arena, &result->series->samples, step_time(steps, i), value->scalar[i],
                        NULL);
        return true;
    }
    switch (value->type) {
    case TYPE_SCALAR:
        result->kind = QUERY_SCALAR;
        result->scalar = value->scalar[0];
        return true;
    case TYPE_STRING:
        result->kind = QUERY_STRING;
        result->string = arena_str(arena, value->string);
        return true;
    case TYPE_MATRIX:
        result->kind = QUERY_MATRIX;
        if (!take_matrix(value, arena, result, err))
            return false;
        break;
    default:
        result->kind = request->is_range ? QUERY_MATRIX : QUERY_VECTOR;
        if (!take_vector(value, steps, arena, result, err))
            return false;
        break;
    }
    if (result->kind == QUERY_MATRIX && result->count)
        qsort(result->series, result->count, sizeof *result->series, compare_series);
    return true;
}

static int compare_strs(const void *a, const void *b)
{
    return str_compare(*(const Str *)a, *(const Str *)b);
}

static StrList take_annotations(EvalContext *context, int level, Arena *arena)
{
    StrList list = {ARENA_ARRAY(arena, Str, context->annotation_count[level]),
                    context->annotation_count[level]};
    for (size_t i = 0; i < list.count; i++)
        list.items[i] = arena_str(arena, context->annotations[level][i]);
    if (list.count)
        qsort(list.items, list.count, sizeof(Str), compare_strs);
    return list;
}

static void context_free(EvalContext *context)
{
    for (int level = 0; level < 2; level++) {
        for (size_t i = 0; i < context->annotation_count[level]; i++) {
            union {
                const char *view;
                void *heap;
            } cast = {context->annotations[level][i].ptr};
            free(cast.heap);
        }
        free(context->annotations[level]);
    }
    for (EvalArena *a = context->arenas; a;) {
        EvalArena *next = a->next;
        arena_deinit(&a->arena);
        free(a);
        a = next;
    }
    lock_deinit(&context->lock);
}

// Queries ------------------------------------------------------------------------------------------------------------------------

static double seconds_since(Clock *clock, int64_t from_ns)
{
    return (double)(clock_mono_ns(clock) - from_ns) / 1e9;
}

// Waits for a free place; false when the time is over or the client has gone.
static bool engine_enter(Engine *engine, const QueryRequest *request, int64_t deadline_ns,
                         int *ret_slot, Error *err)
{
    bool ok = true;
    lock_take(&engine->lock);
    while (engine->running >= engine->options.concurrency_max && ok) {
        (void)condition_wait_ms(&engine->freed, &engine->lock, 50);
        if (clock_mono_ns(engine->options.clock) > deadline_ns)
            ok = error_set(err, ERR_TIMEOUT, "query timed out in query queue");
        else if (request->is_canceled && request->is_canceled(request->arg))
            ok = error_set(err, ERR_CANCELED, "query was canceled in query queue");
    }
    if (ok)
        engine->running++;
    if (ok && engine->tracker)
        *ret_slot =
            query_tracker_add(engine->tracker, request->query, clock_now_ms(engine->options.clock));
    lock_give(&engine->lock);
    return ok;
}

static void engine_leave(Engine *engine, int slot)
{
    lock_take(&engine->lock);
    engine->running--;
    if (engine->tracker)
        query_tracker_remove(engine->tracker, slot);
    condition_signal(&engine->freed);
    lock_give(&engine->lock);
}

// Ends a span that this thread opened.
static bool span_close(Span *span, bool ok, const Error *err)
{
    if (!ok)
        span_fail(span, str_from_c(err->text));
    span_end(span);
    return ok;
}

static bool open_querier(Source *source, EvalContext *context, int64_t min_t_ms, int64_t max_t_ms,
                         Error *err)
{
    Span prepare, querier;
    span_open(&prepare, S("promqlPrepare"));
    span_open(&querier, S("Querier"));
    span_i64(&querier, "mint", min_t_ms);
    span_i64(&querier, "maxt", max_t_ms);
    bool ok = source->open(source, min_t_ms, max_t_ms, &context->querier, err);
    (void)span_close(&querier, ok, err);
    span_end(&prepare);
    return ok;
}

static void take_warnings(EvalContext *context)
{
    Querier *querier = context->querier;
    if (!querier->warnings)
        return;
    StrList list = querier->warnings(querier, context->arena);
    for (size_t i = 0; i < list.count; i++)
        eval_annotate(context, ANNOTATION_WARNING, list.items[i]);
}

static bool evaluate(Engine *engine, Source *source, EvalContext *context, Expr *expr, Arena *arena,
                     QueryResult *result, Error *err)
{
    Clock *clock = engine->options.clock;
    const QueryRequest *request = context->request;
    int64_t began_ns = clock_mono_ns(clock);
    int64_t min_t_ms = INT64_MAX;
    int64_t max_t_ms = INT64_MIN;
    time_bounds(expr, context->start_ms, context->end_ms, context->lookback_ms, &min_t_ms,
                &max_t_ms);
    if (min_t_ms > max_t_ms)
        min_t_ms = max_t_ms = context->start_ms;
    if (!open_querier(source, context, min_t_ms, max_t_ms, err))
        return false;
    result->stats.preparation_s = seconds_since(clock, began_ns);

    Steps steps = {context->start_ms, request->is_range ? request->step_ms : 1,
                   context->step_count};
    Value value;
    Span span;
    began_ns = clock_mono_ns(clock);
    span_open(&span, S("promqlInnerEval"));
    bool ok = span_close(&span, eval(context, expr, &steps, context->arena, &value, err), err);
    result->stats.inner_eval_s = seconds_since(clock, began_ns);
    began_ns = clock_mono_ns(clock);
    span_open(&span, S("promqlSort"));
    ok = ok && take_result(context, &steps, &value, arena, result, err);
    span_end(&span);
    result->stats.result_sort_s = seconds_since(clock, began_ns);
    take_warnings(context);
    context->querier->close(context->querier);
    return ok;
}

static bool run_query(Engine *engine, Source *source, const QueryRequest *request,
                      int64_t deadline_ns, Arena *arena, QueryResult *result, Error *err)
{
    EvalContext context = {
        .options = &engine->options,
        .request = request,
        .features = engine->options.features,
        .start_ms = request->start_ms,
        .end_ms = request->is_range ? request->end_ms : request->start_ms,
        .step_ms = request->is_range ? request->step_ms : 0,
        .lookback_ms = request->lookback_ms ? request->lookback_ms : engine->options.lookback_ms,
        .default_step_ms = __atomic_load_n(&engine->default_step_ms, __ATOMIC_RELAXED),
        .deadline_ns = deadline_ns,
        .own_budget = {.parent = engine->options.memory,
                       .name = "--query.max-memory",
                       .holder = "one query",
                       .bytes_max = engine->options.memory_bytes_max},
    };
    context.budget = request->budget ? request->budget : &context.own_budget;
    context.step_count =
        request->is_range ? (size_t)((request->end_ms - request->start_ms) / request->step_ms) + 1
                          : 1;
    lock_init(&context.lock, "query", 800);
    context.arena = eval_arena_new(&context);
    if (request->stats_all)
        context.samples_per_step = arena_zalloc(arena, context.step_count * sizeof(uint64_t));
    context.read = (ReadCount){.count = context.step_count};
    if (request->stats_all)
        context.read.per_step = arena_zalloc(arena, context.step_count * sizeof(uint64_t));

    Expr *expr = NULL;
    ResolveContext resolver = {request->query, context.start_ms, context.end_ms, context.step_ms};
    bool ok = promql_parse(request->query, &context.features, context.arena, &expr, err);
    if (ok) {
        ok = resolve(&resolver, expr, err);
        (void)expr_mark_invariant(expr); // each expression carries its own mark
        expr_mark_histogram_stats(expr);
        expr_find_shared(expr, context.arena);
        if (ok && request->is_range && expr->type != TYPE_SCALAR && expr->type != TYPE_VECTOR)
            ok = error_set(
                err, ERR_INVALID,
                "invalid expression type \"%s\" for range query, must be Scalar or instant Vector",
                value_type_text(expr->type));
        context.whole = expr_without_parens(expr);
        ok = ok && evaluate(engine, source, &context, expr, arena, result, err);
        expr_free_regexes(expr);
    }
    result->warnings = take_annotations(&context, ANNOTATION_WARNING, arena);
    result->infos = take_annotations(&context, ANNOTATION_INFO, arena);
    result->stats.samples_total = context.samples_total;
    result->stats.samples_peak = context.samples_peak;
    result->stats.samples_read = context.read.total;
    result->stats.read_per_step = context.read.per_step;
    result->stats.samples_per_step = context.samples_per_step;
    context_free(&context);
    return ok;
}

static bool enter_traced(Engine *engine, const QueryRequest *request, int64_t deadline_ns,
                         int *ret_slot, Error *err)
{
    Span span;
    span_open(&span, S("promqlExecQueue"));
    return span_close(&span, engine_enter(engine, request, deadline_ns, ret_slot, err), err);
}

static bool run_traced(Engine *engine, Source *source, const QueryRequest *request,
                       int64_t deadline_ns, Arena *arena, QueryResult *result, Error *err)
{
    Span span;
    span_open(&span, S("promqlEval"));
    return span_close(&span, run_query(engine, source, request, deadline_ns, arena, result, err),
                      err);
}

static bool exec(Engine *engine, Source *source, const QueryRequest *request, Arena *arena,
                 QueryResult *ret_result, Error *err)
{
    Clock *clock = engine->options.clock;
    if (request->is_range && (request->step_ms <= 0 || request->end_ms < request->start_ms))
        return error_set(err, ERR_INVALID,
                         "a range query needs a positive step and an end not before its start");
    int64_t timeout_ms = engine->options.timeout_ms;
    if (request->timeout_ms > 0)
        timeout_ms = MIN(timeout_ms, request->timeout_ms);
    int64_t began_ns = clock_mono_ns(clock);
    int64_t deadline_ns = began_ns + timeout_ms * 1000000;
    int slot = 0;
    if (!enter_traced(engine, request, deadline_ns, &slot, err))
        return false;
    if (engine->running_gauge)
        gauge_add(engine->running_gauge, 1);
    double queue_s = seconds_since(clock, began_ns);

    QueryResult result = {0};
    int64_t started_ns = clock_mono_ns(clock);
    bool ok = run_traced(engine, source, request, deadline_ns, arena, &result, err);
    engine_leave(engine, slot);
    result.stats.queue_s = queue_s;
    result.stats.eval_total_s = seconds_since(clock, started_ns);
    result.stats.exec_total_s = seconds_since(clock, began_ns);
    if (engine->queries_total)
        observe_query(engine, &result.stats);
    // What does not parse never becomes a query, as the original sees it.
    if (ok || err->code != ERR_INVALID)
        log_query(engine, request, &result.stats, ok ? NULL : err);
    if (ok)
        *ret_result = result;
    return ok;
}

bool engine_query(Engine *engine, Source *source, const QueryRequest *request, Arena *arena,
                  QueryResult *ret_result, Error *err)
{
    Span span;
    if (span_current())
        span_str(span_current(), "query", request->query);
    span_open(&span, S("promqlExec"));
    return span_close(&span, exec(engine, source, request, arena, ret_result, err), err);
}
