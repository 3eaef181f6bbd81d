// SPDX-License-Identifier: Apache-2.0
// A rule's result has nearly the same series in the same order as last time: then neither a label is looked at nor a series looked up.
#include <stdlib.h>

#include "base/number.h"
#include "rules/rules_internal.h"

void rule_output_deinit(RuleOutput *output)
{
    free(output->inputs);
    free(output->refs);
    *output = (RuleOutput){0};
}

static bool hash_equal(Hash128 a, Hash128 b)
{
    return a.low == b.low && a.high == b.high;
}

// Open addressing over the inputs of the last time; slots hold index + 1.
typedef struct InputIndex {
    uint32_t *slots;
    size_t mask;
} InputIndex;

static InputIndex index_inputs(const RuleOutput *output, Arena *arena)
{
    size_t size = 8;
    while (size < output->count * 2)
        size *= 2;
    InputIndex index = {arena_zalloc(arena, size * sizeof(uint32_t)), size - 1};
    for (size_t i = 0; i < output->count; i++) {
        size_t at = output->inputs[i].low & index.mask;
        while (index.slots[at])
            at = (at + 1) & index.mask;
        index.slots[at] = (uint32_t)i + 1;
    }
    return index;
}

static SeriesRef find_input(const RuleOutput *output, const InputIndex *index, Hash128 input)
{
    for (size_t at = input.low & index->mask; index->slots[at]; at = (at + 1) & index->mask)
        if (hash_equal(output->inputs[index->slots[at] - 1], input))
            return output->refs[index->slots[at] - 1];
    return 0;
}

void rule_output_predict(const RuleOutput *output, RuleBatch *batch, Arena *arena)
{
    InputIndex index = {NULL, 0};
    if (output->count == 0)
        return;
    for (size_t i = 0; i < batch->count; i++) {
        if (i < output->count && hash_equal(output->inputs[i], batch->inputs[i])) {
            batch->samples[i].ref = output->refs[i];
            continue;
        }
        if (!index.slots)
            index = index_inputs(output, arena);
        batch->samples[i].ref = find_input(output, &index, batch->inputs[i]);
    }
}

static SeriesRef ask(const RuleBatch *batch, size_t i, Appender *appender, Arena *arena,
                     RuleWritten *written)
{
    bool created;
    Labels labels = batch->labels(batch->arg, i, arena);
    SeriesRef ref = appender->series(appender, labels, &created, &written->err);
    if (ref == 0)
        written->refused++;
    if (batch->homes)
        *batch->homes[i] = ref;
    return ref;
}

void rule_output_resolve(RuleBatch *batch, Appender *appender, Arena *arena, RuleWritten *written)
{
    for (size_t i = 0; i < batch->count; i++)
        if (batch->samples[i].ref == 0)
            batch->samples[i].ref = ask(batch, i, appender, arena, written);
}

static int compare_refs(const void *a, const void *b)
{
    SeriesRef x = *(const SeriesRef *)a;
    SeriesRef y = *(const SeriesRef *)b;
    return (x > y) - (x < y);
}

// Every ref of the batch, rising; those that were refused are left out.
static SeriesRef *sorted_refs(const RuleBatch *batch, Arena *arena, size_t *ret_count)
{
    SeriesRef *refs = ARENA_ARRAY(arena, SeriesRef, batch->count + 1);
    size_t count = 0;
    for (size_t i = 0; i < batch->count; i++)
        if (batch->samples[i].ref)
            refs[count++] = batch->samples[i].ref;
    qsort(refs, count, sizeof *refs, compare_refs);
    *ret_count = count;
    return refs;
}

// True if the batch has the refs of the last time in the same order.
static bool is_as_before(const RuleOutput *output, const RuleBatch *batch)
{
    if (output->count != batch->count)
        return false;
    for (size_t i = 0; i < batch->count; i++)
        if (batch->samples[i].ref != output->refs[i])
            return false;
    return true;
}

bool rule_output_is_distinct(const RuleOutput *output, const RuleBatch *batch, Arena *arena)
{
    size_t count;
    if (is_as_before(output, batch))
        return true;
    const SeriesRef *refs = sorted_refs(batch, arena, &count);
    for (size_t i = 1; i < count; i++)
        if (refs[i] == refs[i - 1])
            return false;
    return true;
}

static void note_refused(AppendStatus status, RuleWritten *written)
{
    switch (status) {
    case APPEND_OUT_OF_ORDER:
        written->out_of_order++;
        error_set(&written->err, ERR_INVALID, "out of order sample");
        break;
    case APPEND_TOO_OLD:
        written->too_old++;
        error_set(&written->err, ERR_INVALID, "too old sample");
        break;
    case APPEND_DUPLICATE:
        written->duplicates++;
        error_set(&written->err, ERR_INVALID, "duplicate sample for timestamp");
        break;
    case APPEND_OUT_OF_BOUNDS:
        written->refused++;
        error_set(&written->err, ERR_INVALID, "out of bounds");
        break;
    default:
        written->refused++;
        error_set(&written->err, ERR_LIMIT, "the store takes no more samples");
        break;
    }
}

// Moves a sample to the front of the batch, where those gather that stay.
static void keep(RuleBatch *batch, size_t to, size_t from)
{
    batch->samples[to] = batch->samples[from];
    if (batch->inputs)
        batch->inputs[to] = batch->inputs[from];
}

static bool append_one(SinkSample *sample, Appender *appender, RuleWritten *written)
{
    if (sample->ref && appender->append(appender, sample, 1) != 1)
        note_refused(sample->status, written);
    return sample->ref && sample->status == APPEND_OK;
}

void rule_output_append(RuleBatch *batch, Appender *appender, Arena *arena, RuleWritten *written)
{
    uint32_t *origin = ARENA_ARRAY(arena, uint32_t, batch->count + 1);
    size_t count = 0;
    size_t kept = 0;
    for (size_t i = 0; i < batch->count; i++)
        if (batch->samples[i].ref) {
            origin[count] = (uint32_t)i;
            keep(batch, count++, i);
        }
    batch->count = count;
    if (appender->append(appender, batch->samples, count) == count)
        return;
    for (size_t i = 0; i < count; i++) {
        SinkSample *sample = &batch->samples[i];
        bool ok = sample->status == APPEND_OK;
        if (sample->status == APPEND_GONE) { // the store dropped the series meanwhile
            sample->ref = ask(batch, origin[i], appender, arena, written);
            ok = append_one(sample, appender, written);
        } else if (!ok) {
            note_refused(sample->status, written);
        }
        if (ok)
            keep(batch, kept++, i);
    }
    batch->count = kept;
}

void rule_output_mark_refs(const SeriesRef *refs, size_t count, int64_t t_ms, Appender *appender,
                           Arena *arena)
{
    if (count == 0)
        return;
    SinkSample *markers = ARENA_ARRAY(arena, SinkSample, count);
    for (size_t i = 0; i < count; i++)
        markers[i] =
            (SinkSample){.ref = refs[i], .t_ms = t_ms, .value = double_from_bits(NAN_STALE_BITS)};
    // What is refused has newer samples from elsewhere, or is gone.
    (void)appender->append(appender, markers, count);
}

void rule_output_mark_gone(const RuleOutput *output, const RuleBatch *batch, int64_t t_ms,
                           Appender *appender, Arena *arena)
{
    size_t count;
    size_t gone = 0;
    if (output->count == 0 || is_as_before(output, batch))
        return;
    const SeriesRef *now = sorted_refs(batch, arena, &count);
    SeriesRef *refs = ARENA_ARRAY(arena, SeriesRef, output->count);
    for (size_t i = 0; i < output->count; i++)
        if (!bsearch(&output->refs[i], now, count, sizeof *now, compare_refs))
            refs[gone++] = output->refs[i];
    rule_output_mark_refs(refs, gone, t_ms, appender, arena);
}

void rule_output_take(RuleOutput *output, const RuleBatch *batch)
{
    if (batch->count > output->cap || batch->count * 4 < output->cap) {
        rule_output_deinit(output);
        output->cap = batch->count;
        output->inputs = X_ARRAY(Hash128, MAX(output->cap, 1u));
        output->refs = X_ARRAY(SeriesRef, MAX(output->cap, 1u));
    }
    output->count = batch->count;
    for (size_t i = 0; i < batch->count; i++) {
        output->inputs[i] = batch->inputs ? batch->inputs[i] : (Hash128){0};
        output->refs[i] = batch->samples[i].ref;
    }
}
