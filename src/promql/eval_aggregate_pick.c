// SPDX-License-Identifier: Apache-2.0
// topk, bottomk, limitk, limit_ratio: original series, fewer points.
#include <math.h>

#include "base/number.h"
#include "promql/eval_aggregate.h"

// As Go's %g; `out` is zeroed and has room for NUMBER_BYTES_MAX.
static const char *number_text(double v, char *out)
{
    out[number_format_g(v, out)] = '\0';
    return out;
}

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
bool aggregate_topk(const AggregateRun *run, Value *ret_value, Error *err)
{
    if (!check_k(run, err))
        return false;
    size_t n = run->steps->count;
    bool top = run->expr->aggregate.op == AGG_TOPK;
    uint32_t *members;
    uint32_t *start;
    aggregate_members(run, &members, &start);
    uint8_t *keep = arena_zalloc(run->arena, run->input->count * n);
    Ranked *heap = ARENA_ARRAY(run->arena, Ranked, run->input->count);
    VectorSeries *ordered = ARENA_ARRAY(run->arena, VectorSeries, run->input->count);
    size_t ordered_count = 0;
    for (size_t g = 0; g < run->groups.count; g++)
        for (size_t i = 0; i < n; i++) {
            double k = run->param->scalar[i];
            if (k < 1)
                continue;
            size_t count = 0;
            for (uint32_t m = start[g]; m < start[g + 1]; m++) {
                const VectorSeries *series = &run->input->series[members[m]];
                if (series->kind[i] == POINT_HISTOGRAM)
                    aggregate_ignore_histogram(run);
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

bool aggregate_limitk(const AggregateRun *run, Value *ret_value, Error *err)
{
    if (!check_k(run, err))
        return false;
    size_t n = run->steps->count;
    uint64_t *taken = arena_zalloc(run->arena, run->groups.count * n * sizeof(uint64_t));
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

bool aggregate_limit_ratio(const AggregateRun *run, Value *ret_value, Error *err)
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
