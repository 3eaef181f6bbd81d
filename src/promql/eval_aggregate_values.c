// SPDX-License-Identifier: Apache-2.0
// quantile and count_values: they look at all values of a step.
#include <math.h>

#include "base/number.h"
#include "promql/eval_aggregate.h"

// As Go's %g; `out` is zeroed and has room for NUMBER_BYTES_MAX.
static const char *number_text(double v, char *out)
{
    out[number_format_g(v, out)] = '\0';
    return out;
}

bool aggregate_quantile(const AggregateRun *run, Value *ret_value, Error *err)
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
    aggregate_members(run, &members, &start);
    VectorSeries *out = ARENA_ARRAY(run->arena, VectorSeries, run->groups.count);
    double *values = ARENA_ARRAY(run->arena, double, run->input->count);
    for (size_t g = 0; g < run->groups.count; g++) {
        vector_series_init(run->arena, n, run->groups.labels[g], &out[g]);
        for (size_t i = 0; i < n; i++) {
            size_t count = 0;
            for (uint32_t m = start[g]; m < start[g + 1]; m++) {
                const VectorSeries *series = &run->input->series[members[m]];
                if (series->kind[i] == POINT_HISTOGRAM)
                    aggregate_ignore_histogram(run);
                if (series->kind[i] == POINT_FLOAT)
                    values[count++] = series->value[i];
            }
            if (count == 0)
                continue;
            out[g].value[i] = quantile_of(run->param->scalar[i], values, count);
            out[g].kind[i] = POINT_FLOAT;
        }
    }
    aggregate_mark_names(run, out);
    *ret_value = (Value){.type = TYPE_VECTOR, .series = out, .count = run->groups.count};
    eval_remove_empty(ret_value, n);
    return eval_check(run->context, run->arena, err);
}

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

bool aggregate_count_values(const AggregateRun *run, Value *ret_value, Error *err)
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
        Labels base = run->groups.labels[run->group_of_series[s]];
        // Runs of the same value are common: the group found last is looked at first.
        VectorSeries *group = NULL;
        size_t last = 0; // its step
        for (size_t i = 0; i < run->steps->count; i++) {
            if (series->kind[i] == POINT_NONE)
                continue;
            bool same = group && series->kind[i] == POINT_FLOAT &&
                        series->kind[last] == POINT_FLOAT &&
                        double_bits(series->value[i]) == double_bits(series->value[last]);
            if (!same)
                group = value_group_of(
                    run, &groups, labels_set(run->arena, base, name, value_text(run, series, i)),
                    err);
            if (!group)
                return false;
            last = i;
            group->value[i] = group->kind[i] == POINT_NONE ? 1 : group->value[i] + 1;
            group->kind[i] = POINT_FLOAT;
        }
    }
    *ret_value = (Value){.type = TYPE_VECTOR, .series = groups.series, .count = groups.count};
    return true;
}
