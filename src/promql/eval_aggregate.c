// SPDX-License-Identifier: Apache-2.0
// Aggregations. Each series adds its column to its group's accumulators, as it comes where that is possible.
#include "promql/eval_aggregate.h"

#include <math.h>

#include "promql/histogram_total.h"

#define SERIES_BETWEEN_CHECKS 256

// Kahan-Neumaier, as the original's kahansum.Inc.
static inline void kahan_add(double add, double *sum, double *compensation)
{
    double t = *sum + add;
    if (isinf(t))
        *compensation = 0;
    else if (fabs(*sum) >= fabs(add))
        *compensation += (*sum - t) + add;
    else
        *compensation += (add - t) + *sum;
    *sum = t;
}

// One group's state at every step.
typedef struct Accumulator {
    double *value;
    double *extra;   // compensation, mean; NULL where there is none
    uint64_t *count; // of floats; NULL where nobody asks
    uint8_t *flags;  // SEEN_*
    bool is_whole;   // each step has a float
} Accumulator;

enum { SEEN_FLOAT = 1, SEEN_HISTOGRAM = 2, MEAN_INCREMENTAL = 4 };

static Accumulator accumulator_new(const AggregateRun *run)
{
    size_t n = run->steps->count;
    AggregateOp op = run->expr->aggregate.op;
    bool counts = op == AGG_AVG || op == AGG_STDDEV || op == AGG_STDVAR;
    return (Accumulator){
        .value = arena_zalloc(run->arena, n * sizeof(double)),
        .extra = counts || op == AGG_SUM ? arena_zalloc(run->arena, n * sizeof(double)) : NULL,
        .count = counts ? arena_zalloc(run->arena, n * sizeof(uint64_t)) : NULL,
        .flags = arena_zalloc(run->arena, n),
    };
}

void aggregate_ignore_histogram(const AggregateRun *run)
{
    annotate_info(run->context, run->expr, "ignored histogram in %s aggregation",
                  aggregate_op_text(run->expr->aggregate.op));
}

// All floats, and nothing was missing before: no flag changes.
static void add_floats_to_sum(Accumulator *a, const double *values, size_t n)
{
    double *sums = a->value, *compensations = a->extra;
    for (size_t i = 0; i < n; i++) {
        double v = values[i], sum = sums[i], c = compensations[i];
        double t = sum + v;
        bool keeps = fabs(sum) >= fabs(v);
        double large = keeps ? sum : v, small = keeps ? v : sum;
        c += (large - t) + small;
        compensations[i] = isinf(t) ? 0 : c;
        sums[i] = t;
    }
}

static void add_sum(const AggregateRun *run, Accumulator *a, const VectorSeries *series)
{
    size_t n = run->steps->count;
    bool whole = !series->histogram && !memchr(series->kind, POINT_NONE, n);
    if (whole && a->is_whole) {
        add_floats_to_sum(a, series->value, n);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (series->kind[i] == POINT_FLOAT) {
            if (a->flags[i] & SEEN_FLOAT)
                kahan_add(series->value[i], &a->value[i], &a->extra[i]);
            else
                a->value[i] = series->value[i];
            a->flags[i] |= SEEN_FLOAT;
        } else if (series->kind[i] == POINT_HISTOGRAM) {
            a->flags[i] |= SEEN_HISTOGRAM;
        }
    }
    a->is_whole |= whole;
}

// The plain sum until it overflows, the running mean from then on.
static void add_float_to_mean(Accumulator *a, size_t i, double v)
{
    double count = (double)a->count[i];
    if (!(a->flags[i] & MEAN_INCREMENTAL)) {
        double sum = a->value[i];
        double compensation = a->extra[i];
        kahan_add(v, &sum, &compensation);
        if (!isinf(sum)) {
            a->value[i] = sum;
            a->extra[i] = compensation;
            return;
        }
        a->flags[i] |= MEAN_INCREMENTAL;
        a->value[i] /= count - 1;
        a->extra[i] /= count - 1;
    }
    double q = (count - 1) / count;
    double mean = q * a->value[i];
    double compensation = q * a->extra[i];
    kahan_add(v / count, &mean, &compensation);
    a->value[i] = mean;
    a->extra[i] = compensation;
}

static void add_avg(const AggregateRun *run, Accumulator *a, const VectorSeries *series)
{
    for (size_t i = 0; i < run->steps->count; i++) {
        if (series->kind[i] == POINT_NONE)
            continue;
        if (series->kind[i] == POINT_HISTOGRAM) {
            a->flags[i] |= SEEN_HISTOGRAM;
            continue;
        }
        a->count[i]++;
        if (a->flags[i] & SEEN_FLOAT) {
            add_float_to_mean(a, i, series->value[i]);
        } else {
            a->value[i] = series->value[i];
            a->flags[i] |= SEEN_FLOAT;
        }
    }
}

static void add_count(const AggregateRun *run, Accumulator *a, const VectorSeries *series)
{
    for (size_t i = 0; i < run->steps->count; i++)
        if (series->kind[i] != POINT_NONE) {
            a->flags[i] |= SEEN_FLOAT;
            a->value[i] += 1;
        }
}

static void add_group(const AggregateRun *run, Accumulator *a, const VectorSeries *series)
{
    for (size_t i = 0; i < run->steps->count; i++)
        if (series->kind[i] != POINT_NONE) {
            a->flags[i] |= SEEN_FLOAT;
            a->value[i] = 1;
        }
}

static void add_extreme(const AggregateRun *run, Accumulator *a, const VectorSeries *series)
{
    bool max = run->expr->aggregate.op == AGG_MAX;
    for (size_t i = 0; i < run->steps->count; i++) {
        if (series->kind[i] == POINT_HISTOGRAM)
            aggregate_ignore_histogram(run);
        if (series->kind[i] != POINT_FLOAT)
            continue;
        double v = series->value[i];
        if (!(a->flags[i] & SEEN_FLOAT) || isnan(a->value[i]) ||
            (max ? v > a->value[i] : v < a->value[i]))
            a->value[i] = v;
        a->flags[i] |= SEEN_FLOAT;
    }
}

// Welford; the first value decides whether there is a number at all.
static void add_deviation(const AggregateRun *run, Accumulator *a, const VectorSeries *series)
{
    for (size_t i = 0; i < run->steps->count; i++) {
        if (series->kind[i] == POINT_HISTOGRAM)
            aggregate_ignore_histogram(run);
        if (series->kind[i] != POINT_FLOAT)
            continue;
        double v = series->value[i];
        a->count[i]++;
        if (!(a->flags[i] & SEEN_FLOAT)) {
            a->flags[i] |= SEEN_FLOAT;
            a->extra[i] = v;
            a->value[i] = isnan(v) || isinf(v) ? NAN : 0;
            continue;
        }
        double delta = v - a->extra[i];
        a->extra[i] += delta / (double)a->count[i];
        a->value[i] += delta * (v - a->extra[i]);
    }
}

static double finish_float(AggregateOp op, const Accumulator *a, size_t i)
{
    double count = a->count ? (double)a->count[i] : 0;
    switch (op) {
    case AGG_SUM:
        return a->value[i] + a->extra[i];
    case AGG_AVG:
        return a->flags[i] & MEAN_INCREMENTAL ? a->value[i] + a->extra[i]
                                              : a->value[i] / count + a->extra[i] / count;
    case AGG_STDDEV:
        return sqrt(a->value[i] / count);
    case AGG_STDVAR:
        return a->value[i] / count;
    default:
        return a->value[i];
    }
}

// The members of each group as lists: members[start[g] .. start[g + 1]).
void aggregate_members(const AggregateRun *run, uint32_t **ret_members, uint32_t **ret_start)
{
    uint32_t *start = arena_zalloc(run->arena, (run->groups.count + 2) * sizeof(uint32_t));
    uint32_t *members = ARENA_ARRAY(run->arena, uint32_t, run->input->count);
    for (size_t s = 0; s < run->input->count; s++)
        start[run->group_of_series[s] + 2]++;
    for (size_t g = 2; g < run->groups.count + 2; g++)
        start[g] += start[g - 1];
    for (size_t s = 0; s < run->input->count; s++)
        members[start[run->group_of_series[s] + 1]++] = (uint32_t)s;
    *ret_members = members;
    *ret_start = start;
}

// Sums of histograms are made when all members are known: the accumulators only say where there are some.
typedef struct HistogramRun {
    const AggregateRun *run;
    uint32_t *members, *start; // see group_members
    HistogramTotal total;
    Arena scratch;
} HistogramRun;

static const Histogram *total_histogram(HistogramRun *h, size_t group, size_t step)
{
    const AggregateRun *run = h->run;
    const Expr *at = run->expr->aggregate.expr;
    HistogramTotal *total = &h->total;
    histogram_total_begin(total, run->expr->aggregate.op == AGG_AVG);
    for (uint32_t m = h->start[group]; m < h->start[group + 1]; m++) {
        const VectorSeries *series = &run->input->series[h->members[m]];
        if (series->kind[step] != POINT_HISTOGRAM)
            continue;
        if (!histogram_total_add(total, series->histogram[step])) {
            Buf name = {0};
            buf_add_go_quoted(&name, labels_get(series->labels, LABEL_METRIC_NAME));
            annotate_warning(run->context, at,
                             "vector contains a mix of histograms with exponential and custom "
                             "buckets schemas for metric name " STR_FMT,
                             STR_ARG(buf_str(&name)));
            buf_deinit(&name);
            return NULL;
        }
    }
    const Histogram *result = histogram_total_end(total);
    if (total->reset_hint && total->no_reset_hint)
        annotate_warning(run->context, at,
                         "conflicting counter resets during histogram aggregation");
    if (total->mismatch)
        annotate_info(run->context, at,
                      "mismatched custom buckets were reconciled during aggregation");
    arena_reset(&h->scratch);
    return histogram_copy(run->arena, histogram_compact(&h->scratch, result, 0));
}

static void emit_point(HistogramRun *h, const Accumulator *a, size_t group, size_t i,
                       VectorSeries *out)
{
    const AggregateRun *run = h->run;
    int seen = a->flags[i] & (SEEN_FLOAT | SEEN_HISTOGRAM);
    if (seen == (SEEN_FLOAT | SEEN_HISTOGRAM)) {
        annotate_warning(run->context, run->expr->aggregate.expr,
                         "encountered a mix of histograms and floats for aggregation");
    } else if (seen == SEEN_FLOAT) {
        out->value[i] = finish_float(run->expr->aggregate.op, a, i);
        out->kind[i] = POINT_FLOAT;
    } else if (seen) {
        if (!h->members)
            aggregate_members(run, &h->members, &h->start);
        const Histogram *total = total_histogram(h, group, i);
        if (total)
            vector_series_set_histogram(run->arena, run->steps->count, out, i, total);
    }
}

void aggregate_mark_names(const AggregateRun *run, VectorSeries *out)
{
    if (!run->context->features.delayed_name_removal || !run->input)
        return;
    size_t n = run->steps->count;
    uint32_t *behind_last = ARENA_ARRAY(run->arena, uint32_t, run->groups.count);
    for (size_t g = 0; g < run->groups.count; g++) {
        size_t behind = n;
        while (behind && out[g].kind[behind - 1] == POINT_NONE)
            behind--;
        behind_last[g] = (uint32_t)behind;
    }
    for (size_t s = 0; s < run->input->count; s++) {
        const VectorSeries *series = &run->input->series[s];
        uint32_t group = run->group_of_series[s];
        out[group].drop_name |= series->drop_name && behind_last[group] &&
                                series->kind[behind_last[group] - 1] != POINT_NONE;
    }
}

static bool emit_groups(const AggregateRun *run, const Accumulator *all, Value *ret_value,
                        Error *err)
{
    size_t n = run->steps->count;
    VectorSeries *out = ARENA_ARRAY(run->arena, VectorSeries, run->groups.count);
    HistogramRun histograms = {.run = run};
    bool ok = true;
    for (size_t g = 0; g < run->groups.count && ok; g++) {
        out[g] = (VectorSeries){.labels = run->groups.labels[g],
                                .value = all[g].value, // changed in place
                                .kind = arena_zalloc(run->arena, n)};
        for (size_t i = 0; i < n; i++)
            emit_point(&histograms, &all[g], g, i, &out[g]);
        ok = !out[g].histogram || eval_check(run->context, run->arena, err);
    }
    histogram_total_deinit(&histograms.total);
    arena_deinit(&histograms.scratch);
    if (!ok)
        return false;
    aggregate_mark_names(run, out);
    *ret_value = (Value){.type = TYPE_VECTOR, .series = out, .count = run->groups.count};
    eval_remove_empty(ret_value, n);
    return true;
}

// Adds series to their groups as they come.
typedef struct SimpleRun {
    AggregateRun *run;
    Accumulator *all;
    size_t count, cap;
} SimpleRun;

static void simple_add(SimpleRun *simple, uint32_t group, const VectorSeries *series)
{
    static void (*const adders[])(const AggregateRun *, Accumulator *, const VectorSeries *) = {
        [AGG_SUM] = add_sum,          [AGG_AVG] = add_avg,          [AGG_COUNT] = add_count,
        [AGG_MIN] = add_extreme,      [AGG_MAX] = add_extreme,      [AGG_GROUP] = add_group,
        [AGG_STDDEV] = add_deviation, [AGG_STDVAR] = add_deviation,
    };
    const AggregateRun *run = simple->run;
    if (group == simple->count) {
        if (simple->count == simple->cap) {
            size_t cap = simple->cap ? 2 * simple->cap : 16;
            simple->all = arena_grow(run->arena, simple->all, simple->cap * sizeof(Accumulator),
                                     cap * sizeof(Accumulator));
            simple->cap = cap;
        }
        simple->all[simple->count++] = accumulator_new(run);
    }
    adders[run->expr->aggregate.op](run, &simple->all[group], series);
}

static bool is_simple(const Expr *expr)
{
    switch (expr->aggregate.op) {
    case AGG_SUM:
    case AGG_AVG:
    case AGG_COUNT:
    case AGG_MIN:
    case AGG_MAX:
    case AGG_GROUP:
    case AGG_STDDEV:
    case AGG_STDVAR:
        return true;
    default:
        return false;
    }
}

static bool aggregate_simple(AggregateRun *run, Value *ret_value, Error *err)
{
    SimpleRun simple = {.run = run};
    for (size_t s = 0; s < run->input->count; s++) {
        if (s % SERIES_BETWEEN_CHECKS == 0 && !eval_check(run->context, run->arena, err))
            return false;
        simple_add(&simple, run->group_of_series[s], &run->input->series[s]);
    }
    return emit_groups(run, simple.all, ret_value, err);
}

static bool take_series(void *arg, const VectorSeries *series, Error *err)
{
    SimpleRun *simple = arg;
    AggregateRun *run = simple->run;
    uint32_t group = grouper_of(&run->groups, series->labels);
    if (group == simple->count && group % SERIES_BETWEEN_CHECKS == 0 &&
        !eval_check(run->context, run->arena, err))
        return false;
    simple_add(simple, group, series);
    return true;
}

// The same without ever holding all series. *ret_done false: that is not possible, nothing happened.
static bool aggregate_stream(AggregateRun *run, bool *ret_done, Value *ret_value, Error *err)
{
    SimpleRun simple = {.run = run};
    *ret_done = false;
    grouper_init(&run->groups, run->expr, run->arena);
    return eval_stream(run->context, run->expr, run->steps, run->arena, take_series, &simple,
                       ret_done, err) &&
           (!*ret_done || emit_groups(run, simple.all, ret_value, err));
}

static void make_groups(AggregateRun *run)
{
    size_t count = run->input->count;
    grouper_init(&run->groups, run->expr, run->arena);
    run->group_of_series = ARENA_ARRAY(run->arena, uint32_t, count);
    for (size_t s = 0; s < count; s++)
        run->group_of_series[s] = grouper_of(&run->groups, run->input->series[s].labels);
}

static bool aggregate(AggregateRun *run, Value *ret_value, Error *err)
{
    switch (run->expr->aggregate.op) {
    case AGG_QUANTILE:
        return aggregate_quantile(run, ret_value, err);
    case AGG_TOPK:
    case AGG_BOTTOMK:
        return aggregate_topk(run, ret_value, err);
    case AGG_LIMITK:
        return aggregate_limitk(run, ret_value, err);
    case AGG_LIMIT_RATIO:
        return aggregate_limit_ratio(run, ret_value, err);
    case AGG_COUNT_VALUES:
        return aggregate_count_values(run, ret_value, err);
    default:
        return aggregate_simple(run, ret_value, err);
    }
}

bool eval_aggregate(EvalContext *context, const Expr *expr, const Steps *steps, Arena *arena,
                    Value *ret_value, Error *err)
{
    uint64_t held = eval_held(context);
    Value input;
    Value param = {0};
    AggregateRun run = {
        .context = context, .expr = expr, .steps = steps, .arena = arena, .param = &param};
    bool done = false;
    if (is_simple(expr) && !aggregate_stream(&run, &done, ret_value, err))
        return false;
    if (done)
        return eval_hold_only(context, held, ret_value, steps, err);

    if (!eval(context, expr->aggregate.expr, steps, arena, &input, err))
        return false;
    if (expr->aggregate.param && !eval(context, expr->aggregate.param, steps, arena, &param, err))
        return false;
    if (!eval_check(context, arena, err))
        return false;
    run.input = &input;
    make_groups(&run);
    return aggregate(&run, ret_value, err) && eval_hold_only(context, held, ret_value, steps, err);
}
