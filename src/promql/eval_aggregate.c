// SPDX-License-Identifier: Apache-2.0
// Aggregations. Series are put into groups once; then each series adds its column to its group's accumulators.
#include <math.h>
#include <stdlib.h>

#include "base/number.h"
#include "promql/eval.h"
#include "promql/histogram_total.h"

typedef struct AggregateRun {
    EvalContext *context;
    const Expr *expr;
    const Steps *steps;
    Arena *arena;
    Value *input;
    const Value *param; // NULL if there is none
    Str *names;         // grouping, sorted; with `without` the name is among them
    size_t name_count;
    uint32_t *group_of_series;
    Labels *group_labels;
    bool *group_drop_name;
    size_t group_count;
} AggregateRun;

static int compare_strs(const void *a, const void *b)
{
    return str_compare(*(const Str *)a, *(const Str *)b);
}

static Labels group_labels_of(const AggregateRun *run, Labels labels)
{
    return run->expr->aggregate.without
               ? labels_drop(run->arena, labels, run->names, run->name_count)
               : labels_keep(run->arena, labels, run->names, run->name_count);
}

static bool name_matters(const AggregateRun *run, Str name)
{
    return (bsearch(&name, run->names, run->name_count, sizeof(Str), compare_strs) != NULL) !=
           run->expr->aggregate.without;
}

// True if `labels` belong to the group with these labels.
static bool belongs(const AggregateRun *run, Labels group, Labels labels)
{
    size_t at = 0;
    for (size_t i = 0; i < labels.count; i++) {
        if (!name_matters(run, labels.pairs[i].name))
            continue;
        if (at == group.count || !str_equal(group.pairs[at].name, labels.pairs[i].name) ||
            !str_equal(group.pairs[at].value, labels.pairs[i].value))
            return false;
        at++;
    }
    return at == group.count;
}

static void make_groups(AggregateRun *run)
{
    static const Str reserved[] = {STR("__name__"), STR("__type__"), STR("__unit__")};
    const Expr *expr = run->expr;
    size_t extra = expr->aggregate.without ? COUNT_OF(reserved) : 0;
    run->name_count = expr->aggregate.grouping_count + extra;
    run->names = ARENA_ARRAY(run->arena, Str, run->name_count + 1);
    if (expr->aggregate.grouping_count)
        memcpy(run->names, expr->aggregate.grouping, expr->aggregate.grouping_count * sizeof(Str));
    memcpy(run->names + expr->aggregate.grouping_count, reserved, extra * sizeof(Str));
    qsort(run->names, run->name_count, sizeof(Str), compare_strs);

    size_t count = run->input->count;
    size_t slots = 16;
    while (slots < count * 2)
        slots *= 2;
    uint32_t *table = arena_zalloc(run->arena, slots * sizeof(uint32_t));
    run->group_of_series = ARENA_ARRAY(run->arena, uint32_t, count);
    run->group_labels = ARENA_ARRAY(run->arena, Labels, count);
    run->group_drop_name = ARENA_ARRAY(run->arena, bool, count);
    for (size_t s = 0; s < count; s++) {
        Labels labels = run->input->series[s].labels;
        uint64_t hash = expr->aggregate.without
                            ? labels_hash_without(labels, run->names, run->name_count)
                            : labels_hash_only(labels, run->names, run->name_count);
        size_t slot = hash & (slots - 1);
        while (table[slot] && !belongs(run, run->group_labels[table[slot] - 1], labels))
            slot = (slot + 1) & (slots - 1);
        if (!table[slot]) {
            run->group_labels[run->group_count] = group_labels_of(run, labels);
            run->group_drop_name[run->group_count] = false;
            table[slot] = (uint32_t)++run->group_count;
        }
        run->group_of_series[s] = table[slot] - 1;
        run->group_drop_name[table[slot] - 1] |= run->input->series[s].drop_name;
    }
}

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
    double *extra;   // compensation, mean
    uint64_t *count; // of floats
    uint8_t *flags;  // SEEN_*
} Accumulator;

enum { SEEN_FLOAT = 1, SEEN_HISTOGRAM = 2, MEAN_INCREMENTAL = 4 };

static Accumulator *make_accumulators(const AggregateRun *run)
{
    size_t n = run->steps->count;
    Accumulator *all = ARENA_ARRAY(run->arena, Accumulator, run->group_count);
    for (size_t g = 0; g < run->group_count; g++)
        all[g] = (Accumulator){
            .value = arena_zalloc(run->arena, n * sizeof(double)),
            .extra = arena_zalloc(run->arena, n * sizeof(double)),
            .count = arena_zalloc(run->arena, n * sizeof(uint64_t)),
            .flags = arena_zalloc(run->arena, n),
        };
    return all;
}

static void ignore_histogram(const AggregateRun *run)
{
    annotate_info(run->context, run->expr, "ignored histogram in %s aggregation",
                  aggregate_op_text(run->expr->aggregate.op));
}

static void add_sum(const AggregateRun *run, Accumulator *a, const VectorSeries *series)
{
    for (size_t i = 0; i < run->steps->count; i++) {
        if (series->kind[i] == POINT_FLOAT) {
            if (a->flags[i] & SEEN_FLOAT)
                kahan_add(series->value[i], &a->value[i], &a->extra[i]);
            else
                a->value[i] = series->value[i];
            a->flags[i] |= SEEN_FLOAT;
            a->count[i]++;
        } else if (series->kind[i] == POINT_HISTOGRAM) {
            a->flags[i] |= SEEN_HISTOGRAM;
        }
    }
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
            ignore_histogram(run);
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
            ignore_histogram(run);
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
    double count = (double)a->count[i];
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
static void group_members(const AggregateRun *run, uint32_t **ret_members, uint32_t **ret_start)
{
    uint32_t *start = arena_zalloc(run->arena, (run->group_count + 2) * sizeof(uint32_t));
    uint32_t *members = ARENA_ARRAY(run->arena, uint32_t, run->input->count);
    for (size_t s = 0; s < run->input->count; s++)
        start[run->group_of_series[s] + 2]++;
    for (size_t g = 2; g < run->group_count + 2; g++)
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
            group_members(run, &h->members, &h->start);
        const Histogram *total = total_histogram(h, group, i);
        if (total)
            vector_series_set_histogram(run->arena, run->steps->count, out, i, total);
    }
}

static bool emit_groups(const AggregateRun *run, const Accumulator *all, Value *ret_value,
                        Error *err)
{
    size_t n = run->steps->count;
    VectorSeries *out = ARENA_ARRAY(run->arena, VectorSeries, run->group_count);
    HistogramRun histograms = {.run = run};
    bool ok = true;
    for (size_t g = 0; g < run->group_count && ok; g++) {
        vector_series_init(run->arena, n, run->group_labels[g], &out[g]);
        out[g].drop_name = run->group_drop_name[g];
        for (size_t i = 0; i < n; i++)
            emit_point(&histograms, &all[g], g, i, &out[g]);
        ok = !out[g].histogram || eval_check(run->context, run->arena, err);
    }
    histogram_total_deinit(&histograms.total);
    arena_deinit(&histograms.scratch);
    if (!ok)
        return false;
    *ret_value = (Value){.type = TYPE_VECTOR, .series = out, .count = run->group_count};
    eval_remove_empty(ret_value, n);
    return true;
}

static bool aggregate_simple(const AggregateRun *run, Value *ret_value, Error *err)
{
    static void (*const adders[])(const AggregateRun *, Accumulator *, const VectorSeries *) = {
        [AGG_SUM] = add_sum,          [AGG_AVG] = add_avg,          [AGG_COUNT] = add_count,
        [AGG_MIN] = add_extreme,      [AGG_MAX] = add_extreme,      [AGG_GROUP] = add_group,
        [AGG_STDDEV] = add_deviation, [AGG_STDVAR] = add_deviation,
    };
    Accumulator *all = make_accumulators(run);
    for (size_t s = 0; s < run->input->count; s++)
        adders[run->expr->aggregate.op](run, &all[run->group_of_series[s]], &run->input->series[s]);
    return emit_groups(run, all, ret_value, err);
}

// As Go's %g; `out` is zeroed and has room for NUMBER_BYTES_MAX.
static const char *number_text(double v, char *out)
{
    out[number_format_g(v, out)] = '\0';
    return out;
}

static void aggregate_quantile(const AggregateRun *run, Value *ret_value)
{
    size_t n = run->steps->count;
    for (size_t i = 0; i < n; i++) {
        double q = run->param->scalar[i];
        if (isnan(q) || q < 0 || q > 1)
            annotate_warning(run->context, run->expr->aggregate.param,
                             "quantile value should be between 0 and 1, got %s",
                             number_text(q, (char[NUMBER_BYTES_MAX]){0}));
    }
    uint32_t *members;
    uint32_t *start;
    group_members(run, &members, &start);
    VectorSeries *out = ARENA_ARRAY(run->arena, VectorSeries, run->group_count);
    double *values = ARENA_ARRAY(run->arena, double, run->input->count);
    for (size_t g = 0; g < run->group_count; g++) {
        vector_series_init(run->arena, n, run->group_labels[g], &out[g]);
        out[g].drop_name = run->group_drop_name[g];
        for (size_t i = 0; i < n; i++) {
            size_t count = 0;
            for (uint32_t m = start[g]; m < start[g + 1]; m++) {
                const VectorSeries *series = &run->input->series[members[m]];
                if (series->kind[i] == POINT_HISTOGRAM)
                    ignore_histogram(run);
                if (series->kind[i] == POINT_FLOAT)
                    values[count++] = series->value[i];
            }
            if (count == 0)
                continue;
            out[g].value[i] = quantile_of(run->param->scalar[i], values, count);
            out[g].kind[i] = POINT_FLOAT;
        }
    }
    *ret_value = (Value){.type = TYPE_VECTOR, .series = out, .count = run->group_count};
    eval_remove_empty(ret_value, n);
}

// topk, bottomk, limitk, limit_ratio: original series, fewer points ---------------------------------------------------------------

typedef struct Ranked {
    double value;
    uint32_t series;
} Ranked;

// The one to give up first: NaN, then the smaller (topk) or larger (bottomk).
static bool ranks_below(bool top, double a, double b)
{
    if (isnan(a) || isnan(b))
        return isnan(a) && !isnan(b);
    return top ? a < b : a > b;
}

static void sift_down(bool top, Ranked *heap, size_t count, size_t at)
{
    for (;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < count; child++)
            if (ranks_below(top, heap[child].value, heap[least].value))
                least = child;
        if (least == at)
            return;
        Ranked swap = heap[at];
        heap[at] = heap[least];
        heap[least] = swap;
        at = least;
    }
}

static void sift_up(bool top, Ranked *heap, size_t at)
{
    while (at > 0 && ranks_below(top, heap[at].value, heap[(at - 1) / 2].value)) {
        Ranked swap = heap[at];
        heap[at] = heap[(at - 1) / 2];
        heap[(at - 1) / 2] = swap;
        at = (at - 1) / 2;
    }
}

// Offers one candidate to a heap of the k best, its root the worst of them.
static size_t rank_offer(bool top, Ranked *heap, size_t count, size_t k, Ranked candidate)
{
    if (count < k) {
        heap[count] = candidate;
        sift_up(top, heap, count);
        return count + 1;
    }
    if (ranks_below(top, heap[0].value, candidate.value)) {
        heap[0] = candidate;
        sift_down(top, heap, count, 0);
    }
    return count;
}

// Heap order to best first.
static void rank_sort(bool top, Ranked *heap, size_t count)
{
    for (size_t left = count; left > 1; left--) {
        Ranked worst = heap[0];
        heap[0] = heap[left - 1];
        heap[left - 1] = worst;
        sift_down(top, heap, left - 1, 0);
    }
}

static bool check_k(const AggregateRun *run, Error *err)
{
    for (size_t i = 0; i < run->steps->count; i++) {
        double k = run->param->scalar[i];
        if (isnan(k))
            return error_set(err, ERR_LIMIT, "Parameter value is NaN");
        char text[NUMBER_BYTES_MAX] = {0};
        if (k >= 9223372036854775807.0)
            return error_set(err, ERR_LIMIT, "Scalar value %s overflows int64",
                             number_text(k, text));
        if (k <= -9223372036854775808.0)
            return error_set(err, ERR_LIMIT, "Scalar value %s underflows int64",
                             number_text(k, text));
    }
    return true;
}

// Marks in keep[series * steps + step] what stays; for an instant query order lists the series best first.
static bool aggregate_topk(const AggregateRun *run, Value *ret_value, Error *err)
{
    if (!check_k(run, err))
        return false;
    size_t n = run->steps->count;
    bool top = run->expr->aggregate.op == AGG_TOPK;
    uint32_t *members;
    uint32_t *start;
    group_members(run, &members, &start);
    uint8_t *keep = arena_zalloc(run->arena, run->input->count * n);
    Ranked *heap = ARENA_ARRAY(run->arena, Ranked, run->input->count);
    VectorSeries *ordered = ARENA_ARRAY(run->arena, VectorSeries, run->input->count);
    size_t ordered_count = 0;
    for (size_t g = 0; g < run->group_count; g++)
        for (size_t i = 0; i < n; i++) {
            double k = run->param->scalar[i];
            if (k < 1)
                continue;
            size_t count = 0;
            for (uint32_t m = start[g]; m < start[g + 1]; m++) {
                const VectorSeries *series = &run->input->series[members[m]];
                if (series->kind[i] == POINT_HISTOGRAM)
                    ignore_histogram(run);
                if (series->kind[i] == POINT_FLOAT)
                    count = rank_offer(top, heap, count, (size_t)MIN(k, (double)run->input->count),
                                       (Ranked){series->value[i], members[m]});
            }
            rank_sort(top, heap, count);
            for (size_t j = 0; j < count; j++) {
                keep[heap[j].series * n + i] = 1;
                if (n == 1)
                    ordered[ordered_count++] = run->input->series[heap[j].series];
            }
        }
    if (n == 1) {
        *ret_value = (Value){.type = TYPE_VECTOR, .series = ordered, .count = ordered_count};
        return true;
    }
    for (size_t s = 0; s < run->input->count; s++)
        for (size_t i = 0; i < n; i++)
            if (!keep[s * n + i])
                run->input->series[s].kind[i] = POINT_NONE;
    *ret_value = *run->input;
    eval_remove_empty(ret_value, n);
    return true;
}

static bool aggregate_limitk(const AggregateRun *run, Value *ret_value, Error *err)
{
    if (!check_k(run, err))
        return false;
    size_t n = run->steps->count;
    uint64_t *taken = arena_zalloc(run->arena, run->group_count * n * sizeof(uint64_t));
    for (size_t s = 0; s < run->input->count; s++) {
        VectorSeries *series = &run->input->series[s];
        uint64_t *group = taken + run->group_of_series[s] * n;
        for (size_t i = 0; i < n; i++) {
            double k = run->param->scalar[i];
            if (series->kind[i] != POINT_NONE && (k < 1 || group[i]++ >= (uint64_t)k))
                series->kind[i] = POINT_NONE;
        }
    }
    *ret_value = *run->input;
    eval_remove_empty(ret_value, n);
    return true;
}

static bool aggregate_limit_ratio(const AggregateRun *run, Value *ret_value, Error *err)
{
    size_t n = run->steps->count;
    double *ratio = ARENA_ARRAY(run->arena, double, n);
    for (size_t i = 0; i < n; i++) {
        double r = run->param->scalar[i];
        if (isnan(r))
            return error_set(err, ERR_LIMIT, "Ratio value is NaN");
        ratio[i] = r > 1 ? 1 : r < -1 ? -1 : r;
        if (ratio[i] != r)
            annotate_warning(run->context, run->expr->aggregate.param,
                             "ratio value should be between -1 and 1, got %s, capping to %s",
                             number_text(r, (char[NUMBER_BYTES_MAX]){0}),
                             number_text(ratio[i], (char[NUMBER_BYTES_MAX]){0}));
    }
    for (size_t s = 0; s < run->input->count; s++) {
        VectorSeries *series = &run->input->series[s];
        double offset = (double)labels_hash(series->labels) / 18446744073709551616.0;
        for (size_t i = 0; i < n; i++)
            if (!(ratio[i] >= 0 ? offset < ratio[i] : offset >= 1 + ratio[i]))
                series->kind[i] = POINT_NONE;
    }
    *ret_value = *run->input;
    eval_remove_empty(ret_value, n);
    return true;
}

// count_values ---------------------------------------------------------------------------------------------------------------------

static Str value_text(const AggregateRun *run, const VectorSeries *series, size_t step)
{
    Buf text = {0};
    if (series->kind[step] == POINT_HISTOGRAM)
        histogram_print(&text, series->histogram[step]);
    else
        buf_add_double_f(&text, series->value[step]);
    Str copy = arena_str(run->arena, buf_str(&text));
    buf_deinit(&text);
    return copy;
}

#define GROUPS_BETWEEN_CHECKS 64 // each is a column of all steps

typedef struct ValueGroups {
    VectorSeries *series;
    size_t count, cap;
    uint32_t *table;
    size_t slots;
} ValueGroups;

// NULL (and err) when the query holds too much.
static VectorSeries *value_group_of(const AggregateRun *run, ValueGroups *groups, Labels labels,
                                    Error *err)
{
    if ((groups->count + 1) * 2 > groups->slots) {
        groups->slots = groups->slots ? groups->slots * 2 : 64;
        groups->table = arena_zalloc(run->arena, groups->slots * sizeof(uint32_t));
        for (size_t i = 0; i < groups->count; i++) {
            size_t slot = labels_hash(groups->series[i].labels) & (groups->slots - 1);
            while (groups->table[slot])
                slot = (slot + 1) & (groups->slots - 1);
            groups->table[slot] = (uint32_t)i + 1;
        }
    }
    size_t slot = labels_hash(labels) & (groups->slots - 1);
    for (; groups->table[slot]; slot = (slot + 1) & (groups->slots - 1))
        if (labels_equal(groups->series[groups->table[slot] - 1].labels, labels))
            return &groups->series[groups->table[slot] - 1];
    if (groups->count == groups->cap) {
        size_t cap = groups->cap ? groups->cap * 2 : 32;
        groups->series = arena_grow(run->arena, groups->series, groups->cap * sizeof(VectorSeries),
                                    cap * sizeof(VectorSeries));
        groups->cap = cap;
    }
    if (groups->count % GROUPS_BETWEEN_CHECKS == 0 && !eval_check(run->context, run->arena, err))
        return NULL;
    VectorSeries *series = &groups->series[groups->count++];
    vector_series_init(run->arena, run->steps->count, labels, series);
    groups->table[slot] = (uint32_t)groups->count;
    return series;
}

static bool aggregate_count_values(const AggregateRun *run, Value *ret_value, Error *err)
{
    Str name = run->param->string;
    if (!name_is_utf8(name)) {
        Buf text = {0};
        buf_add_go_quoted(&text, name);
        error_set(err, ERR_LIMIT, "invalid label name " STR_FMT, STR_ARG(buf_str(&text)));
        buf_deinit(&text);
        return false;
    }
    ValueGroups groups = {0};
    for (size_t s = 0; s < run->input->count; s++) {
        const VectorSeries *series = &run->input->series[s];
        Labels base = run->group_labels[run->group_of_series[s]];
        // Runs of the same value are common: the group found last is looked at first.
        VectorSeries *group = NULL;
        double last = 0;
        for (size_t i = 0; i < run->steps->count; i++) {
            if (series->kind[i] == POINT_NONE)
                continue;
            bool same = group && series->kind[i] == POINT_FLOAT &&
                        double_bits(series->value[i]) == double_bits(last);
            if (!same)
                group = value_group_of(
                    run, &groups, labels_set(run->arena, base, name, value_text(run, series, i)),
                    err);
            if (!group)
                return false;
            last = series->kind[i] == POINT_FLOAT ? series->value[i] : NAN;
            group->value[i] = group->kind[i] == POINT_NONE ? 1 : group->value[i] + 1;
            group->kind[i] = POINT_FLOAT;
        }
    }
    *ret_value = (Value){.type = TYPE_VECTOR, .series = groups.series, .count = groups.count};
    return true;
}

static bool aggregate(const AggregateRun *run, Value *ret_value, Error *err)
{
    switch (run->expr->aggregate.op) {
    case AGG_QUANTILE:
        aggregate_quantile(run, ret_value);
        return true;
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
    if (!eval(context, expr->aggregate.expr, steps, arena, &input, err))
        return false;
    if (expr->aggregate.param && !eval(context, expr->aggregate.param, steps, arena, &param, err))
        return false;

    if (!eval_check(context, arena, err))
        return false;
    AggregateRun run = {
        .context = context,
        .expr = expr,
        .steps = steps,
        .arena = arena,
        .input = &input,
        .param = &param,
    };
    make_groups(&run);
    return aggregate(&run, ret_value, err) && eval_hold_only(context, held, ret_value, steps, err);
}
