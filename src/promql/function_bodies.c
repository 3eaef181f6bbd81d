// SPDX-License-Identifier: Apache-2.0
#include "promql/function_bodies.h"

#include <stdio.h>
#include <stdlib.h>

QuotedText quoted_text(Str s)
{
    QuotedText quoted;
    Buf buf;
    buf_init(&buf, 0);
    buf_add_go_quoted(&buf, s);
    snprintf(quoted.text, sizeof quoted.text, "%.*s", (int)MIN(buf.len, sizeof quoted.text - 1),
             buf.ptr);
    buf_deinit(&buf);
    return quoted;
}

bool range_start_resets(const SampleColumns *samples, uint32_t i)
{
    int64_t start = samples->start_ms[i], start_before = samples->start_ms[i - 1];
    int64_t before = samples->t_ms[i - 1];
    if (start == 0 || start >= samples->t_ms[i] || start < before)
        return false;
    if (start > before)
        return true;
    // It points at the sample before: a delta, unless that one does not know its start, or says what cannot be.
    return start_before != 0 && start_before < before;
}

void range_note(RangeNotes *notes, RangeNote note)
{
    // Those that end in a space go on with the metric name.
    static const char *const texts[] = {
        [NOTE_MIXED] = "encountered a mix of histograms and floats for metric name ",
        [NOTE_NOT_COUNTER] = "this native histogram metric is not a counter: ",
        [NOTE_NOT_GAUGE] = "this native histogram metric is not a gauge: ",
        [NOTE_MIXED_SCHEMAS] = "vector contains a mix of histograms with exponential and custom "
                               "buckets schemas for metric name ",
        [NOTE_IGNORED] = "ignored histograms in a range containing both floats and histograms for "
                         "metric name ",
        [NOTE_NON_COUNTER_NAME] = "metric might not be a counter, name does not end in "
                                  "_total/_sum/_count/_bucket: ",
        [NOTE_BOUNDS_SUB] = "mismatched custom buckets were reconciled during subtraction",
        [NOTE_BOUNDS_ADD] = "mismatched custom buckets were reconciled during addition",
        [NOTE_BOUNDS_AGGREGATION] = "mismatched custom buckets were reconciled during aggregation",
        [NOTE_RESET_COLLISION] = "conflicting counter resets during histogram aggregation",
        [NOTE_START_OVERLAP] = "sample has start time that overlaps with previous sample timestamp "
                               "for metric ",
    };
    static const uint32_t warnings = 1u << NOTE_MIXED | 1u << NOTE_NOT_COUNTER |
                                     1u << NOTE_NOT_GAUGE | 1u << NOTE_MIXED_SCHEMAS |
                                     1u << NOTE_RESET_COLLISION | 1u << NOTE_START_OVERLAP;
    uint32_t bit = 1u << note;
    if (notes->told & bit)
        return;
    notes->told |= bit;
    const char *text = texts[note];
    QuotedText name = {""};
    if (text[strlen(text) - 1] == ' ')
        name = quoted_text(labels_get(notes->labels, LABEL_METRIC_NAME));
    const Expr *at = notes->call->expr->call.args[0];
    (warnings & bit ? annotate_warning : annotate_info)(notes->call->context, at, "%s%s", text,
                                                        name.text);
}

const Value *range_argument(const FunctionCall *call)
{
    for (size_t i = 0; i < call->count; i++)
        if (call->args[i].type == TYPE_MATRIX)
            return &call->args[i];
    return NULL;
}

void float_view_init(FloatView *view, const RangeSeries *series)
{
    const SampleColumns *samples = &series->samples;
    *view = (FloatView){.t_ms = samples->t_ms, .value = samples->value};
    if (!samples->histograms)
        return;
    size_t count = samples->count;
    char *heap =
        x_malloc(count * (sizeof(int64_t) + sizeof(double)) + (count + 1) * sizeof(uint32_t));
    int64_t *t_ms = (int64_t *)(void *)heap;
    double *value = (double *)(void *)(t_ms + count);
    uint32_t *before = (uint32_t *)(void *)(value + count);
    uint32_t floats = 0;
    for (size_t i = 0; i < count; i++) {
        before[i] = floats;
        if (samples->histograms[i])
            continue;
        t_ms[floats] = samples->t_ms[i];
        value[floats++] = samples->value[i];
    }
    before[count] = floats;
    *view = (FloatView){.t_ms = t_ms, .value = value, .before = before, .heap = heap};
}

void float_view_deinit(FloatView *view)
{
    free(view->heap);
}

Value vector_new(const FunctionCall *call, size_t count)
{
    return (Value){
        .type = TYPE_VECTOR, .series = ARENA_ARRAY(call->arena, VectorSeries, count), .count = 0};
}

bool vector_finish(const FunctionCall *call, Value *vector, Value *ret_value, Error *err)
{
    eval_remove_empty(vector, call->steps->count);
    // With names still on at a single step only the end of the query looks for equals, as in the original.
    bool look = !call->delayed_name_removal || call->steps->count > 1;
    if (look && !vector_merge_steps(call->arena, call->steps, vector, err))
        return false;
    *ret_value = *vector;
    return true;
}

void function_drop_name(const FunctionCall *call, VectorSeries *series)
{
    eval_drop_name(call->context, call->arena, series);
}

// Merging series that became equal -----------------------------------------------------------------------------------------------

// A table from label sets to the first series that has them.
typedef struct EqualTable {
    uint32_t *slots; // index + 1; 0: empty
    size_t mask;
} EqualTable;

static void equal_table_init(EqualTable *table, size_t count)
{
    size_t slots = 16;
    while (slots < 2 * count)
        slots *= 2;
    *table = (EqualTable){x_calloc(slots, sizeof(uint32_t)), slots - 1};
}

// The earlier series with the same labels, or NULL after it was put in.
static VectorSeries *equal_table_find(EqualTable *table, Value *vector, size_t index)
{
    Labels labels = vector->series[index].labels;
    for (size_t at = labels_hash(labels) & table->mask;; at = (at + 1) & table->mask) {
        if (table->slots[at] == 0) {
            table->slots[at] = (uint32_t)index + 1;
            return NULL;
        }
        VectorSeries *other = &vector->series[table->slots[at] - 1];
        if (labels_equal(other->labels, labels))
            return other;
    }
}

static bool merge_columns(Arena *arena, size_t steps, VectorSeries *into, const VectorSeries *from)
{
    for (size_t i = 0; i < steps; i++) {
        if (from->kind[i] == POINT_NONE)
            continue;
        if (into->kind[i] != POINT_NONE)
            return false;
        if (from->kind[i] == POINT_HISTOGRAM)
            vector_series_set_histogram(arena, steps, into, i, from->histogram[i]);
        else
            set_float(into, i, from->value[i]);
    }
    return true;
}

// True if `from` has the earlier point.
static bool begins_earlier(const VectorSeries *from, const VectorSeries *than, size_t steps)
{
    size_t i = 0;
    while (i < steps && from->kind[i] == POINT_NONE && than->kind[i] == POINT_NONE)
        i++;
    return i < steps && from->kind[i] != POINT_NONE;
}

static bool merge_vector(Arena *arena, const Steps *steps, bool earliest_names, Value *vector,
                         Error *err)
{
    if (vector->count < 2)
        return true;
    EqualTable table;
    equal_table_init(&table, vector->count);
    size_t kept = 0;
    bool ok = true;
    for (size_t i = 0; ok && i < vector->count; i++) {
        vector->series[kept] = vector->series[i];
        VectorSeries *same = equal_table_find(&table, vector, kept);
        if (!same) {
            kept++;
            continue;
        }
        if (earliest_names && begins_earlier(&vector->series[kept], same, steps->count))
            same->drop_name = vector->series[kept].drop_name;
        ok = merge_columns(arena, steps->count, same, &vector->series[kept]);
    }
    free(table.slots);
    if (!ok)
        return error_set(err, ERR_LIMIT, "vector cannot contain metrics with the same labelset");
    vector->count = kept;
    return true;
}

bool vector_merge_equal(Arena *arena, const Steps *steps, Value *vector, Error *err)
{
    return merge_vector(arena, steps, false, vector, err);
}

bool vector_merge_steps(Arena *arena, const Steps *steps, Value *vector, Error *err)
{
    return merge_vector(arena, steps, true, vector, err);
}
