// SPDX-License-Identifier: Apache-2.0
#include <math.h>
#include <stdio.h>

#include "promql/eval_share.h"

#define EVAL_DEPTH_MAX 1000

const Expr *expr_without_parens(const Expr *expr)
{
    while (expr->kind == EXPR_PAREN)
        expr = expr->paren;
    return expr;
}

void vector_series_init(Arena *arena, size_t steps, Labels labels, VectorSeries *ret_series)
{
    *ret_series = (VectorSeries){
        .labels = labels,
        .value = ARENA_ARRAY(arena, double, steps),
        .kind = arena_zalloc(arena, steps),
    };
}

void vector_series_set_histogram(Arena *arena, size_t steps, VectorSeries *series, size_t step,
                                 const Histogram *histogram)
{
    if (!series->histogram) {
        series->histogram = ARENA_ARRAY(arena, const Histogram *, steps);
        memset(series->histogram, 0, steps * sizeof(const Histogram *));
    }
    series->histogram[step] = histogram;
    series->kind[step] = POINT_HISTOGRAM;
}

static const Str name_labels[] = {STR("__name__"), STR("__type__"), STR("__unit__")};

// The next one from `from` on that names a metric.
static size_t next_name_label(Labels labels, size_t from)
{
    for (size_t i = from; i < labels.count; i++) {
        Str name = labels.pairs[i].name;
        if (name.len && name.ptr[0] > '_') // and so are all that follow
            return labels.count;
        for (size_t k = 0; k < COUNT_OF(name_labels); k++)
            if (str_equal(name, name_labels[k]))
                return i;
    }
    return labels.count;
}

void eval_drop_name(EvalContext *context, Arena *arena, VectorSeries *series)
{
    Labels labels = series->labels;
    if (context->features.delayed_name_removal) {
        series->drop_name = true;
        return;
    }
    size_t first = next_name_label(labels, 0), behind = first;
    while (behind < labels.count && next_name_label(labels, behind) == behind)
        behind++;
    if (first == labels.count)
        return;
    if (first == 0 && next_name_label(labels, behind) == labels.count)
        series->labels = (Labels){labels.pairs + behind, labels.count - behind};
    else
        series->labels = labels_drop(arena, labels, name_labels, COUNT_OF(name_labels));
}

bool eval_name_alike(Labels a, Labels b)
{
    size_t i = next_name_label(a, 0), k = next_name_label(b, 0);
    while (i < a.count && k < b.count) {
        const Label *x = &a.pairs[i], *y = &b.pairs[k];
        bool same = x->name.ptr == y->name.ptr && x->value.ptr == y->value.ptr &&
                    x->name.len == y->name.len && x->value.len == y->value.len;
        if (!same && !(str_equal(x->name, y->name) && str_equal(x->value, y->value)))
            return false;
        i = next_name_label(a, i + 1);
        k = next_name_label(b, k + 1);
    }
    return i == a.count && k == b.count;
}

bool eval_names_alike(const Value *vector)
{
    for (size_t s = 1; s < vector->count; s++)
        if (!eval_name_alike(vector->series[0].labels, vector->series[s].labels))
            return false;
    return true;
}

void eval_remove_empty(Value *vector, size_t steps)
{
    size_t kept = 0;
    for (size_t i = 0; i < vector->count; i++)
        if (memchr(vector->series[i].kind, POINT_FLOAT, steps) ||
            memchr(vector->series[i].kind, POINT_HISTOGRAM, steps))
            vector->series[kept++] = vector->series[i];
    vector->count = kept;
}

Arena *eval_arena_new(EvalContext *context)
{
    EvalArena *node = X_NEW(EvalArena);
    node->arena.budget = context->budget;
    lock_take(&context->lock);
    node->next = context->arenas;
    context->arenas = node;
    lock_give(&context->lock);
    return &node->arena;
}

bool eval_go_on(EvalContext *context, Error *err)
{
    const QueryRequest *request = context->request;
    if (request->is_canceled && request->is_canceled(request->arg))
        return error_set(err, ERR_CANCELED, "query was canceled in query execution");
    if (clock_mono_ns(context->options->clock) > context->deadline_ns)
        return error_set(err, ERR_TIMEOUT, "query timed out in query execution");
    return budget_ok(context->budget, err);
}

bool eval_check(EvalContext *context, const Arena *arena, Error *err)
{
    ASSERT(arena->budget == context->budget);
    return eval_go_on(context, err);
}

bool eval_columns_fit(EvalContext *context, size_t columns, size_t steps, Error *err)
{
    uint64_t bytes;
    if (__builtin_mul_overflow((uint64_t)steps * (sizeof(double) + 1), columns, &bytes))
        bytes = UINT64_MAX;
    if (!budget_take(context->budget, bytes, err))
        return false;
    budget_give(context->budget, bytes); // the slices take it, block by block
    return true;
}

bool eval_hold_samples(EvalContext *context, uint64_t count, Error *err)
{
    uint64_t now = __atomic_add_fetch(&context->samples, count, __ATOMIC_RELAXED);
    uint64_t peak = __atomic_load_n(&context->samples_peak, __ATOMIC_RELAXED);
    while (now > peak && !__atomic_compare_exchange_n(&context->samples_peak, &peak, now, true,
                                                      __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
    if (now > context->options->samples_max)
        return error_set(
            err, ERR_LIMIT,
            "query processing would load too many samples into memory in query execution");
    return true;
}

void eval_drop_samples(EvalContext *context, uint64_t count)
{
    __atomic_sub_fetch(&context->samples, count, __ATOMIC_RELAXED);
}

uint64_t eval_samples_of(const Histogram *h)
{
    enum { HEAD_BYTES = 176 }; // of the original's struct and the time before it
    uint64_t lists = (uint64_t)h->positive_count + h->negative_count + h->custom_count +
                     h->positive_span_count + h->negative_span_count;
    return (HEAD_BYTES + 8 * lists) / 16;
}

uint64_t eval_points_held(const VectorSeries *series, size_t steps)
{
    uint64_t held = 0;
    for (size_t i = 0; i < steps; i++)
        held += series->kind[i] != POINT_NONE;
    for (size_t i = 0; series->histogram && i < steps; i++)
        if (series->kind[i] == POINT_HISTOGRAM)
            held += eval_samples_of(series->histogram[i]) - 1;
    return held;
}

uint64_t eval_held(const EvalContext *context)
{
    return __atomic_load_n(&context->samples, __ATOMIC_RELAXED);
}

bool eval_hold_only(EvalContext *context, uint64_t before, const Value *vector, const Steps *steps,
                    Error *err)
{
    uint64_t held = 0;
    for (size_t s = 0; s < vector->count; s++)
        held += eval_points_held(&vector->series[s], steps->count);
    // First beside the operands, as both are there for a moment.
    if (!eval_hold_samples(context, held, err))
        return false;
    __atomic_store_n(&context->samples, before + held, __ATOMIC_RELAXED);
    return true;
}

bool eval_counts_steps(const EvalContext *context)
{
    return context->samples_per_step || context->read.per_step;
}

void eval_count_total(EvalContext *context, size_t step, uint64_t count)
{
    __atomic_add_fetch(&context->samples_total, count, __ATOMIC_RELAXED);
    if (context->samples_per_step && step < context->step_count)
        __atomic_add_fetch(&context->samples_per_step[step], count, __ATOMIC_RELAXED);
}

// Annotations --------------------------------------------------------------------------------------------------------------------

void eval_annotate(EvalContext *context, int level, Str text)
{
    __atomic_add_fetch(&context->remarks, 1, __ATOMIC_RELAXED);
    lock_take(&context->lock);
    size_t count = context->annotation_count[level];
    Str *list = context->annotations[level];
    for (size_t i = 0; i < count; i++)
        if (str_equal(list[i], text)) {
            lock_give(&context->lock);
            return;
        }
    if (count == context->annotation_cap[level]) {
        context->annotation_cap[level] = count ? count * 2 : 8;
        list = x_realloc(list, context->annotation_cap[level] * sizeof *list);
        context->annotations[level] = list;
    }
    char *copy = x_malloc(text.len + 1);
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = 0;
    list[count] = str_make(copy, text.len);
    context->annotation_count[level] = count + 1;
    lock_give(&context->lock);
}

PRINTF(4, 0)
static void annotate(EvalContext *context, int level, const Expr *at, const char *fmt, va_list args)
{
    char text[1000];
    int len = snprintf(text, sizeof text,
                       "PromQL %s: ", level == ANNOTATION_WARNING ? "warning" : "info");
    vsnprintf(text + len, sizeof text - (size_t)len, fmt, args);
    char place[48] = "";
    if (at) {
        int line;
        int column;
        query_position(context->request->query, at->start, &line, &column);
        snprintf(place, sizeof place, " (%d:%d)", line, column);
    }

    CLEANUP(buf_deinit) Buf whole = {0};
    buf_add_c(&whole, text);
    buf_add_c(&whole, place);
    eval_annotate(context, level, buf_str(&whole));
}

void annotate_warning(EvalContext *context, const Expr *at, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    annotate(context, ANNOTATION_WARNING, at, fmt, args);
    va_end(args);
}

void annotate_info(EvalContext *context, const Expr *at, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    annotate(context, ANNOTATION_INFO, at, fmt, args);
    va_end(args);
}

// The same at every step ---------------------------------------------------------------------------------------------------------

// Of timestamp(x @ t) the time of the sample is asked, not that of the step.
static bool looks_at_step(const Expr *expr)
{
    return expr->call.function->time_dependent &&
           !(strcmp(expr->call.function->name, "timestamp") == 0 &&
             expr_without_parens(expr->call.args[0])->kind == EXPR_SELECTOR);
}

static bool is_invariant_call(const Expr *expr)
{
    bool all = true;
    for (size_t i = 0; i < expr->call.count; i++)
        all &= expr_mark_invariant(expr->call.args[i]);
    // date functions and the like without an argument look at the time
    return all && !looks_at_step(expr) &&
           (expr->call.count > 0 || expr->call.function->arg_count == 0);
}

static bool is_invariant_chain(Expr *expr)
{
    Expr *inner = expr;
    while (inner->binary.left->kind == EXPR_BINARY)
        inner = inner->binary.left;
    bool all = expr_mark_invariant(inner->binary.left);
    for (;; inner = inner->binary.above) {
        all &= expr_mark_invariant(inner->binary.right);
        inner->invariant = all;
        if (inner == expr)
            return all;
    }
}

static bool is_invariant(Expr *expr)
{
    switch (expr->kind) {
    case EXPR_NUMBER:
    case EXPR_STRING:
    case EXPR_DURATION:
        return true;
    case EXPR_SELECTOR:
        return expr->selector.shift.at != AT_NONE;
    case EXPR_SUBQUERY:
        (void)expr_mark_invariant(expr->subquery.expr); // for its own steps
        return expr->subquery.shift.at != AT_NONE;
    case EXPR_CALL:
        return is_invariant_call(expr);
    case EXPR_AGGREGATE: {
        bool input = expr_mark_invariant(expr->aggregate.expr);
        return (!expr->aggregate.param || expr_mark_invariant(expr->aggregate.param)) && input;
    }
    case EXPR_BINARY:
        return is_invariant_chain(expr);
    case EXPR_UNARY:
        return expr_mark_invariant(expr->unary.expr);
    case EXPR_PAREN:
        return expr_mark_invariant(expr->paren);
    }
    return false;
}

bool expr_mark_invariant(Expr *expr)
{
    expr->invariant = is_invariant(expr);
    return expr->invariant;
}

bool eval_hoists(const Expr *expr, const Steps *steps)
{
    return expr->invariant && steps->count > 1 && expr->kind != EXPR_NUMBER &&
           expr->kind != EXPR_STRING && expr->type != TYPE_MATRIX;
}

// Only counts and sums of histograms matter ---------------------------------------------------------------------------------------

typedef enum BucketUse { BUCKETS_SHOWN, BUCKETS_UNUSED, BUCKETS_USED } BucketUse;

// What a call makes of the use of its arguments' buckets.
static BucketUse use_in_call(const char *name, BucketUse outer)
{
    static const char *const stats[] = {"histogram_count", "histogram_sum", "histogram_avg"};
    static const char *const users[] = {"histogram_quantile", "histogram_quantiles",
                                        "histogram_fraction"};
    for (size_t i = 0; i < COUNT_OF(users); i++)
        if (strcmp(name, users[i]) == 0)
            return BUCKETS_USED;
    for (size_t i = 0; i < COUNT_OF(stats) && outer != BUCKETS_USED; i++)
        if (strcmp(name, stats[i]) == 0)
            return BUCKETS_UNUSED;
    return outer;
}

static void mark_stats(Expr *expr, BucketUse use)
{
    switch (expr->kind) {
    case EXPR_SELECTOR:
        expr->selector.histogram_stats = use == BUCKETS_UNUSED;
        break;
    case EXPR_SUBQUERY:
        // Windows over its points find resets by buckets.
        mark_stats(expr->subquery.expr, BUCKETS_USED);
        break;
    case EXPR_CALL:
        for (size_t i = 0; i < expr->call.count; i++)
            mark_stats(expr->call.args[i], use_in_call(expr->call.function->name, use));
        break;
    case EXPR_AGGREGATE:
        if (expr->aggregate.param)
            mark_stats(expr->aggregate.param, use);
        mark_stats(expr->aggregate.expr, use);
        break;
    case EXPR_BINARY:
        for (; expr->kind == EXPR_BINARY; expr = expr->binary.left) {
            if (expr->binary.op == OP_TRIM_UPPER || expr->binary.op == OP_TRIM_LOWER)
                use = BUCKETS_USED;
            mark_stats(expr->binary.right, use);
        }
        mark_stats(expr, use);
        break;
    case EXPR_UNARY:
        mark_stats(expr->unary.expr, use);
        break;
    case EXPR_PAREN:
        mark_stats(expr->paren, use);
        break;
    case EXPR_NUMBER:
    case EXPR_STRING:
    case EXPR_DURATION:
        break;
    }
}

void expr_mark_histogram_stats(Expr *expr)
{
    mark_stats(expr, BUCKETS_SHOWN);
}

// One step's value copied to all steps.
static void spread(Arena *arena, const Steps *steps, Value *value)
{
    size_t n = steps->count;
    if (value->type == TYPE_SCALAR) {
        double v = value->scalar[0];
        value->scalar = ARENA_ARRAY(arena, double, n);
        for (size_t i = 0; i < n; i++)
            value->scalar[i] = v;
        return;
    }
    for (size_t s = 0; s < value->count; s++) {
        VectorSeries *one = &value->series[s];
        VectorSeries all;
        vector_series_init(arena, n, one->labels, &all);
        all.drop_name = one->drop_name;
        for (size_t i = 0; i < n; i++) {
            all.value[i] = one->value[0];
            all.kind[i] = one->kind[0];
            if (one->kind[0] == POINT_HISTOGRAM)
                vector_series_set_histogram(arena, n, &all, i, one->histogram[0]);
        }
        *one = all;
    }
}

// Kinds --------------------------------------------------------------------------------------------------------------------------

static bool eval_number(const Expr *expr, const Steps *steps, Arena *arena, Value *ret_value)
{
    *ret_value = (Value){.type = TYPE_SCALAR, .scalar = ARENA_ARRAY(arena, double, steps->count)};
    for (size_t i = 0; i < steps->count; i++)
        ret_value->scalar[i] = expr->number.value;
    return true;
}

static bool eval_unary(EvalContext *context, const Expr *expr, const Steps *steps, Arena *arena,
                       Value *ret_value, Error *err)
{
    if (!eval(context, expr->unary.expr, steps, arena, ret_value, err))
        return false;
    if (!expr->unary.negative)
        return true;
    if (ret_value->type == TYPE_SCALAR) {
        for (size_t i = 0; i < steps->count; i++)
            ret_value->scalar[i] = -ret_value->scalar[i];
        return true;
    }
    bool alike = eval_names_alike(ret_value);
    for (size_t s = 0; s < ret_value->count; s++) {
        VectorSeries *series = &ret_value->series[s];
        for (size_t i = 0; i < steps->count; i++) {
            series->value[i] = -series->value[i];
            if (series->kind[i] == POINT_HISTOGRAM)
                series->histogram[i] = histogram_scale(arena, series->histogram[i], -1);
        }
        eval_drop_name(context, arena, series);
    }
    return context->features.delayed_name_removal || alike ||
           vector_merge_equal(arena, steps, ret_value, err);
}

static void apply_math(EvalContext *context, const FunctionInfo *function, size_t steps,
                       Arena *arena, Value *vector)
{
    for (size_t s = 0; s < vector->count; s++) {
        VectorSeries *series = &vector->series[s];
        for (size_t i = 0; i < steps; i++) {
            if (series->kind[i] == POINT_FLOAT)
                series->value[i] = function->math(series->value[i]);
            else
                series->kind[i] = POINT_NONE;
        }
        series->histogram = NULL;
        if (!function->keeps_name)
            eval_drop_name(context, arena, series);
    }
    eval_remove_empty(vector, steps);
}

static size_t matrix_argument(const Expr *expr)
{
    for (size_t i = 0; i < expr->call.count; i++)
        if (expr->call.args[i]->type == TYPE_MATRIX)
            return i;
    return SIZE_MAX;
}

bool eval_call_args(EvalContext *context, const Expr *expr, const Steps *steps, Arena *arena,
                    FunctionCall *ret_call, size_t *ret_matrix_arg, Error *err)
{
    const FunctionInfo *function = expr->call.function;
    *ret_call = (FunctionCall){
        .context = context,
        .arena = arena,
        .steps = steps,
        .expr = expr,
        .args = ARENA_ARRAY(arena, Value, expr->call.count + 1),
        .count = expr->call.count,
        .delayed_name_removal = context->features.delayed_name_removal,
        .query = context->request->query,
    };
    *ret_matrix_arg = function->range ? matrix_argument(expr) : SIZE_MAX;
    for (size_t i = 0; i < ret_call->count; i++) {
        ret_call->args[i] = (Value){.type = TYPE_MATRIX};
        if (i != *ret_matrix_arg &&
            !eval(context, expr->call.args[i], steps, arena, &ret_call->args[i], err))
            return false;
    }
    return true;
}

static bool eval_call(EvalContext *context, const Expr *expr, const Steps *steps, Arena *arena,
                      Value *ret_value, Error *err)
{
    const FunctionInfo *function = expr->call.function;
    if (function->special)
        return eval_special(context, expr, steps, arena, ret_value, err);

    uint64_t held = eval_held(context);
    FunctionCall call;
    size_t matrix_arg;
    if (!eval_call_args(context, expr, steps, arena, &call, &matrix_arg, err))
        return false;
    if (function->range)
        return eval_range_call(context, &call, matrix_arg, ret_value, err);
    if (function->math) {
        *ret_value = call.args[0];
        bool alike = function->keeps_name || eval_names_alike(ret_value);
        apply_math(context, function, steps->count, arena, ret_value);
        return alike || context->features.delayed_name_removal ||
               vector_merge_equal(arena, steps, ret_value, err);
    }
    return function->general(&call, ret_value, err) &&
           (ret_value->type != TYPE_VECTOR || eval_hold_only(context, held, ret_value, steps, err));
}

// The result of the query itself. Its points are no windows of a function: what was looked at for them counts.
static bool eval_bare_subquery(EvalContext *context, const Expr *expr, const Steps *steps,
                               Arena *arena, Value *ret_value, Error *err)
{
    uint64_t *per_step = context->samples_per_step;
    uint64_t total = context->samples_total;
    context->samples_per_step = NULL;
    context->subquery_total = 0;
    bool ok = eval_matrix(context, expr, steps, arena, ret_value, err);
    context->samples_per_step = per_step;
    context->samples_total = total;
    eval_count_total(context, steps->count - 1, context->subquery_total);
    return ok;
}

static bool eval_kind(EvalContext *context, const Expr *expr, const Steps *steps, Arena *arena,
                      Value *ret_value, Error *err)
{
    switch (expr->kind) {
    case EXPR_NUMBER:
        return eval_number(expr, steps, arena, ret_value);
    case EXPR_STRING:
        *ret_value = (Value){.type = TYPE_STRING, .string = expr->string};
        return true;
    case EXPR_SELECTOR:
        if (expr->selector.has_range)
            return eval_matrix(context, expr, steps, arena, ret_value, err);
        return eval_vector_selector(context, expr, steps, WANT_VALUES, arena, ret_value, err);
    case EXPR_SUBQUERY:
        return (expr == context->whole ? eval_bare_subquery : eval_matrix)(context, expr, steps,
                                                                           arena, ret_value, err);
    case EXPR_CALL:
        return eval_call(context, expr, steps, arena, ret_value, err);
    case EXPR_AGGREGATE:
        return eval_aggregate(context, expr, steps, arena, ret_value, err);
    case EXPR_BINARY:
        return eval_binary(context, expr, steps, arena, ret_value, err);
    case EXPR_UNARY:
        return eval_unary(context, expr, steps, arena, ret_value, err);
    case EXPR_PAREN:
        return eval(context, expr->paren, steps, arena, ret_value, err);
    case EXPR_DURATION:
        break;
    }
    return error_set(err, ERR_INVALID, "unexpected expression");
}

// What one evaluation for all steps looked at counts at each of them, as the original has it.
static void count_at_all(EvalContext *context, const Steps *steps, uint64_t total,
                         uint64_t first_before)
{
    uint64_t *per_step = context->samples_per_step;
    context->samples_total += total * (steps->count - 1);
    for (size_t i = 1; per_step && i < MIN(steps->count, context->step_count); i++)
        per_step[i] += per_step[0] - first_before;
}

static bool eval_once(EvalContext *context, const Expr *expr, const Steps *steps, Arena *arena,
                      Value *ret_value, Error *err)
{
    bool ok;
    if (eval_hoists(expr, steps)) {
        Steps first = {steps->start_ms, steps->step_ms, 1};
        uint64_t total = context->samples_total;
        uint64_t at_first = context->samples_per_step ? context->samples_per_step[0] : 0;
        ok = eval_kind(context, expr, &first, arena, ret_value, err);
        if (ok && ret_value->type != TYPE_STRING)
            spread(arena, steps, ret_value);
        count_at_all(context, steps, context->samples_total - total, at_first);
    } else {
        ok = eval_kind(context, expr, steps, arena, ret_value, err);
    }
    return ok;
}

bool eval(EvalContext *context, const Expr *expr, const Steps *steps, Arena *arena,
          Value *ret_value, Error *err)
{
    bool is_known = false;
    if (!eval_check(context, context->arena, err) ||
        !share_take(context, expr, steps, arena, ret_value, &is_known, err))
        return false;
    if (is_known)
        return true;
    if (++context->depth > EVAL_DEPTH_MAX)
        return error_set(err, ERR_LIMIT, "expression is nested more than %d deep", EVAL_DEPTH_MAX);

    bool ok;
    if (expr->shared) {
        ShareMark mark = share_begin(context);
        ok = eval_once(context, expr, steps, arena, ret_value, err);
        share_end(context, &mark);
        if (ok)
            share_keep(context, expr, mark, steps, ret_value);
    } else {
        ok = eval_once(context, expr, steps, arena, ret_value, err);
    }
    context->depth--;
    return ok;
}
