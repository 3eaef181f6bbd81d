// SPDX-License-Identifier: Apache-2.0
#include "promql/eval_share.h"

#include "base/map.h"

#define KEYS_BYTES_MAX (256 << 10) // of a larger query the rest is evaluated as it stands

#define READERS_MAX 8

// Calls of functions that look at the same windows.
typedef struct Readers {
    const Expr *calls[READERS_MAX];
    size_t count;
} Readers;

struct Shared {
    Readers *readers; // NULL: of a call over windows of a selector only
    uint32_t places;  // in the query
    uint32_t users;   // so far
    bool is_kept;
    Steps steps;
    Value value;
    uint64_t total, read, held, peak; // what one evaluation counts
};

// Which expressions are the same -------------------------------------------------------------------------------------------------

typedef struct Finder {
    Arena *arena;
    Map seen;    // key -> Shared
    Map windows; // key of a selector -> Readers
    const Expr *grid;
    size_t bytes; // of keys
} Finder;

static void find(Finder *finder, Expr *expr);

static void add_selector(void *arg, Expr *selector)
{
    buf_add_char(arg, selector->selector.histogram_stats ? '1' : '0');
}

// The text, and what does not stand in it.
static Str key_of(Finder *finder, Expr *expr)
{
    CLEANUP(buf_deinit) Buf key = {0};
    buf_printf(&key, "%p ", (const void *)finder->grid);
    expr_each_selector(expr, add_selector, &key);
    buf_add_char(&key, ' ');
    expr_print(&key, expr);
    finder->bytes += key.len;
    return arena_str(finder->arena, buf_str(&key));
}

// True if it stands in the query already.
static bool is_known(Finder *finder, Expr *expr)
{
    Str key = key_of(finder, expr);
    expr->shared = map_get(&finder->seen, key);
    if (expr->shared) {
        expr->shared->places++;
        return true;
    }
    expr->shared = ARENA_NEW(finder->arena, Shared);
    expr->shared->places = 1;
    (void)map_put(&finder->seen, key, expr->shared);
    return false;
}

// The selector whose windows the call looks at; NULL: it is no such call, or other arguments must be evaluated.
static Expr *windows_of(const Expr *call)
{
    Expr *selector = NULL;
    for (size_t i = 0; i < call->call.count; i++) {
        Expr *arg = call->call.args[i];
        while (arg->kind == EXPR_PAREN)
            arg = arg->paren;
        if (arg->kind == EXPR_SELECTOR && arg->selector.has_range)
            selector = arg;
        else if (arg->kind != EXPR_NUMBER)
            return NULL;
    }
    return call->call.function->range ? selector : NULL;
}

static void add_reader(Finder *finder, Expr *call)
{
    Expr *selector = windows_of(call);
    if (!selector)
        return;
    Str key = key_of(finder, selector);
    Readers *readers = map_get(&finder->windows, key);
    if (!readers) {
        readers = ARENA_NEW(finder->arena, Readers);
        (void)map_put(&finder->windows, key, readers);
    }
    if (readers->count == READERS_MAX)
        return;
    readers->calls[readers->count++] = call;
    call->shared->readers = readers;
}

static void find_in_call(Finder *finder, Expr *expr)
{
    const FunctionInfo *function = expr->call.function;
    if (expr->shared)
        add_reader(finder, expr);
    for (size_t i = 0; i < expr->call.count; i++) {
        const Expr *arg = expr_without_parens(expr->call.args[i]);
        // These look at selectors in a way of their own: at times, at infos.
        bool is_own =
            function->special &&
            (i > 0 || (arg->kind == EXPR_SELECTOR && strcmp(function->name, "absent") != 0));
        if (!is_own)
            find(finder, expr->call.args[i]);
    }
}

static void find_in_chain(Finder *finder, Expr *expr)
{
    Expr *inner = expr;
    while (inner->binary.left->kind == EXPR_BINARY)
        inner = inner->binary.left;
    find(finder, inner->binary.left);
    for (;; inner = inner->binary.above) {
        find(finder, inner->binary.right);
        if (inner == expr)
            return;
    }
}

static void find_in_subquery(Finder *finder, Expr *expr)
{
    const Expr *outer = finder->grid;
    finder->grid = expr;
    find(finder, expr->subquery.expr);
    finder->grid = outer;
}

static void find(Finder *finder, Expr *expr)
{
    bool is_value = expr->kind == EXPR_SELECTOR || expr->kind == EXPR_CALL ||
                    expr->kind == EXPR_AGGREGATE || expr->kind == EXPR_BINARY;
    if (finder->bytes >= KEYS_BYTES_MAX ||
        (is_value && expr->type == TYPE_VECTOR && is_known(finder, expr)))
        return;
    switch (expr->kind) {
    case EXPR_CALL:
        find_in_call(finder, expr);
        return;
    case EXPR_AGGREGATE:
        if (expr->aggregate.param)
            find(finder, expr->aggregate.param);
        find(finder, expr->aggregate.expr);
        return;
    case EXPR_BINARY:
        find_in_chain(finder, expr);
        return;
    case EXPR_SUBQUERY:
        find_in_subquery(finder, expr);
        return;
    case EXPR_UNARY:
        find(finder, expr->unary.expr);
        return;
    case EXPR_PAREN:
        find(finder, expr->paren);
        return;
    case EXPR_SELECTOR:
    case EXPR_NUMBER:
    case EXPR_STRING:
    case EXPR_DURATION:
        return;
    }
}

typedef struct Names {
    Str names[16];
    size_t count;
    bool twice;
} Names;

static void see_name(void *arg, Expr *selector)
{
    Names *names = arg;
    for (size_t i = 0; i < names->count; i++)
        names->twice |= str_equal(names->names[i], selector->selector.metric_name);
    if (names->count < COUNT_OF(names->names))
        names->names[names->count++] = selector->selector.metric_name;
    else
        names->twice = true; // maybe
}

void expr_find_shared(Expr *expr, Arena *arena)
{
    Names names = {0};
    expr_each_selector(expr, see_name, &names);
    if (!names.twice) // as in most queries
        return;
    Finder finder = {.arena = arena};
    find(&finder, expr);
    map_deinit(&finder.seen);
    map_deinit(&finder.windows);
}

// What is kept -------------------------------------------------------------------------------------------------------------------

// Counts by step would have to be kept by step.
static bool is_needed_again(const EvalContext *context, const Expr *expr)
{
    return expr->shared && expr->shared->places > expr->shared->users + 1 &&
           !expr->shared->is_kept && !eval_counts_steps(context);
}

const Expr *share_next_reader(const EvalContext *context, const Expr *call, size_t *at)
{
    // What is the same at every step is read for one of them only.
    const Readers *readers = call->shared && !call->invariant ? call->shared->readers : NULL;
    while (readers && *at < readers->count && !eval_counts_steps(context)) {
        const Expr *next = readers->calls[(*at)++];
        if (next != call && !next->shared->is_kept && !next->shared->users)
            return next;
    }
    return NULL;
}

bool share_wanted(const EvalContext *context, const Expr *expr)
{
    return is_needed_again(context, expr) || share_next_reader(context, expr, &(size_t){0});
}

ShareMark share_begin(EvalContext *context)
{
    ShareMark mark = {
        .total = context->samples_total,
        .read = context->read.total,
        .remarks = __atomic_load_n(&context->remarks, __ATOMIC_RELAXED),
        .held = eval_held(context),
        .outer_peak = __atomic_load_n(&context->samples_peak, __ATOMIC_RELAXED),
    };
    __atomic_store_n(&context->samples_peak, mark.held, __ATOMIC_RELAXED);
    return mark;
}

void share_end(EvalContext *context, ShareMark *mark)
{
    uint64_t peak = __atomic_load_n(&context->samples_peak, __ATOMIC_RELAXED);
    mark->peak = peak - mark->held;
    __atomic_store_n(&context->samples_peak, MAX(peak, mark->outer_peak), __ATOMIC_RELAXED);
}

static bool are_same(const Steps *a, const Steps *b)
{
    return a->start_ms == b->start_ms && a->step_ms == b->step_ms && a->count == b->count;
}

static VectorSeries *copy_series(const Value *value, size_t steps, Arena *arena)
{
    size_t count = value->count;
    VectorSeries *series = ARENA_ARRAY(arena, VectorSeries, count);
    double *values = ARENA_ARRAY(arena, double, count *steps);
    uint8_t *kinds = ARENA_ARRAY(arena, uint8_t, count * steps);
    for (size_t s = 0; s < count; s++) {
        const VectorSeries *from = &value->series[s];
        series[s] = *from;
        series[s].value = memcpy(values + s * steps, from->value, steps * sizeof(double));
        series[s].kind = memcpy(kinds + s * steps, from->kind, steps);
        if (from->histogram) {
            series[s].histogram = ARENA_ARRAY(arena, const Histogram *, steps);
            memcpy(series[s].histogram, from->histogram, steps * sizeof(const Histogram *));
        }
    }
    return series;
}

void share_keep(EvalContext *context, const Expr *expr, ShareMark before, const Steps *steps,
                const Value *value)
{
    Error ignored;
    bool is_wanted = is_needed_again(context, expr);
    if (expr->shared)
        expr->shared->users++;
    if (!is_wanted || value->type != TYPE_VECTOR ||
        !eval_columns_fit(context, value->count, steps->count, &ignored))
        return;
    Value copy = *value;
    copy.series = copy_series(value, steps->count, context->arena);
    share_put(context, expr, before, steps, &copy);
}

void share_put(EvalContext *context, const Expr *expr, ShareMark before, const Steps *steps,
               const Value *value)
{
    Shared *shared = expr->shared;
    if (before.remarks != __atomic_load_n(&context->remarks, __ATOMIC_RELAXED))
        return;
    shared->is_kept = true;
    shared->steps = *steps;
    shared->value = *value;
    shared->total = context->samples_total - before.total;
    shared->read = context->read.total - before.read;
    shared->peak = before.peak;
    shared->held = 0;
    for (size_t s = 0; s < value->count; s++)
        shared->held += eval_points_held(&value->series[s], steps->count);
}

bool share_look(EvalContext *context, const Expr *expr, const Steps *steps, const Value **ret_kept,
                Error *err)
{
    Shared *shared = expr->shared;
    *ret_kept = NULL;
    if (!shared || !shared->is_kept || !are_same(&shared->steps, steps) ||
        eval_counts_steps(context))
        return true;
    shared->users++;
    context->samples_total += shared->total;
    context->read.total += shared->read;
    *ret_kept = &shared->value;
    if (!eval_hold_samples(context, shared->peak, err))
        return false;
    eval_drop_samples(context, shared->peak - MIN(shared->peak, shared->held));
    return true;
}

void share_ask_again(const Expr *expr)
{
    if (expr->shared && expr->shared->users)
        expr->shared->users--;
}

bool share_take(EvalContext *context, const Expr *expr, const Steps *steps, Arena *arena,
                Value *ret_value, bool *ret_done, Error *err)
{
    const Value *kept;
    if (!share_look(context, expr, steps, &kept, err))
        return false;
    *ret_done = kept != NULL;
    if (!kept)
        return true;
    *ret_value = *kept;
    Shared *shared = expr->shared;
    if (shared->users >= shared->places) {
        shared->is_kept = false;
        return true;
    }
    if (!eval_columns_fit(context, kept->count, steps->count, err))
        return false;
    ret_value->series = copy_series(kept, steps->count, arena);
    return true;
}
