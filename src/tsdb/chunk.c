// SPDX-License-Identifier: Apache-2.0
#include "tsdb/chunk.h"

#include <stdlib.h>

#include "tsdb/chunk_histogram.h"
#include "tsdb/chunk_xor.h"
#include "tsdb/chunk_xor2.h"

size_t chunk_sample_count(ChunkEncoding encoding, Str chunk)
{
    size_t count = chunk_xor_count(chunk);
    bool has_flags = encoding == CHUNK_HISTOGRAM_ST || encoding == CHUNK_FLOAT_HISTOGRAM_ST;

    return has_flags ? count & 0x3fff : count;
}

void chunk_columns_reserve(ChunkColumns *columns, size_t more, bool with_histograms)
{
    SampleColumns *c = &columns->columns;
    size_t old_cap = columns->cap;

    if (c->count + more > columns->cap) {
        size_t cap = MAX(c->count + more, 2 * columns->cap);
        int64_t *t_ms = ARENA_ARRAY(columns->arena, int64_t, cap);
        double *value = ARENA_ARRAY(columns->arena, double, cap);
        if (c->count) {
            memcpy(t_ms, c->t_ms, c->count * sizeof *t_ms);
            memcpy(value, c->value, c->count * sizeof *value);
        }
        if (c->start_ms) {
            int64_t *start_ms = ARENA_ARRAY(columns->arena, int64_t, cap);
            memcpy(start_ms, c->start_ms, c->count * sizeof *start_ms);
            c->start_ms = start_ms;
        }
        c->t_ms = t_ms;
        c->value = value;
        columns->cap = cap;
    }
    if ((c->histograms || with_histograms) && (!c->histograms || columns->cap != old_cap)) {
        const Histogram **histograms = ARENA_ARRAY(columns->arena, const Histogram *, columns->cap);
        memset(histograms, 0, columns->cap * sizeof *histograms);
        if (c->histograms)
            memcpy(histograms, c->histograms, c->count * sizeof *histograms);
        c->histograms = histograms;
    }
}

void chunk_columns_add_starts(ChunkColumns *columns, const int64_t *start_ms, size_t count)
{
    SampleColumns *c = &columns->columns;
    size_t known = 0;

    ASSERT(c->count + count <= columns->cap);
    if (!c->start_ms) {
        while (start_ms && known < count && !start_ms[known])
            known++;
        if (!start_ms || known == count)
            return;
        c->start_ms = ARENA_ARRAY(columns->arena, int64_t, columns->cap);
        memset(c->start_ms, 0, c->count * sizeof *c->start_ms);
    }
    if (!count)
        return;
    if (start_ms)
        memmove(c->start_ms + c->count, start_ms, count * sizeof *start_ms);
    else
        memset(c->start_ms + c->count, 0, count * sizeof *c->start_ms);
}

static size_t first_not_below(const int64_t *t_ms, size_t low, size_t high, int64_t min_t_ms)
{
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (t_ms[middle] < min_t_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// Keeps of the `count` samples behind columns.count those in the time range.
static void clip(ChunkColumns *columns, size_t count, int64_t min_t_ms, int64_t max_t_ms)
{
    SampleColumns *c = &columns->columns;
    size_t from = c->count, to = c->count + count;

    while (to > from && c->t_ms[to - 1] > max_t_ms)
        to--;
    from = first_not_below(c->t_ms, from, to, min_t_ms);
    if (from > c->count) {
        memmove(c->t_ms + c->count, c->t_ms + from, (to - from) * sizeof *c->t_ms);
        memmove(c->value + c->count, c->value + from, (to - from) * sizeof *c->value);
        if (c->start_ms)
            memmove(c->start_ms + c->count, c->start_ms + from, (to - from) * sizeof *c->start_ms);
    }
    if (c->histograms)
        memset(c->histograms + c->count, 0, (to - from) * sizeof *c->histograms);
    c->count += to - from;
}

bool chunk_decode(ChunkEncoding encoding, Str chunk, int64_t min_t_ms, int64_t max_t_ms,
                  ChunkColumns *columns, Error *err)
{
    size_t count = chunk_sample_count(encoding, chunk), got;

    if (chunk_has_histograms(encoding))
        return chunk_histogram_decode(encoding, chunk, min_t_ms, max_t_ms, columns, err);
    if (encoding != CHUNK_XOR && encoding != CHUNK_XOR2)
        return error_set(err, ERR_CORRUPT, "unknown chunk encoding %d", (int)encoding);
    // Two bits are the least that a sample takes: a count beyond cannot be.
    if (count > chunk.len * 8)
        return error_set(err, ERR_CORRUPT, "a float chunk of %zu bytes claims %zu samples",
                         chunk.len, count);

    if (count == 0)
        return true;
    chunk_columns_reserve(columns, count, false);
    int64_t *t_ms = columns->columns.t_ms + columns->columns.count;
    double *value = columns->columns.value + columns->columns.count;
    if (encoding == CHUNK_XOR) {
        got = chunk_xor_decode_until(chunk, max_t_ms, t_ms, value, count);
        if (got > 0 && t_ms[got - 1] > max_t_ms) // what follows is later still
            count = got;
        if (columns->columns.start_ms)
            chunk_columns_add_starts(columns, NULL, count);
    } else {
        int64_t *start_ms = ARENA_ARRAY(columns->arena, int64_t, count);
        got = chunk_xor2_decode(chunk, t_ms, value, start_ms, count);
        chunk_columns_add_starts(columns, start_ms, got);
    }
    if (got < count)
        return error_set(err, ERR_CORRUPT,
                         "a float chunk of %zu bytes ends after %zu of %zu samples", chunk.len, got,
                         count);
    clip(columns, count, min_t_ms, max_t_ms);
    return true;
}

typedef struct Place {
    int64_t t_ms;
    size_t index;
} Place;

static int compare_places(const void *a, const void *b)
{
    const Place *x = (const Place *)a, *y = (const Place *)b;

    if (x->t_ms != y->t_ms)
        return x->t_ms < y->t_ms ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

// "No reset" was said of the neighbour in the chunk: with another neighbour it is not known any more.
static const Histogram *rehint(Arena *arena, const Histogram *h, bool same_neighbour)
{
    if (!h || h->hint != HINT_NO_RESET || same_neighbour)
        return h;
    Histogram *copy = ARENA_NEW(arena, Histogram);
    *copy = *h;
    copy->hint = HINT_UNKNOWN;
    return copy;
}

void chunk_columns_merge(ChunkColumns *columns)
{
    SampleColumns from = columns->columns;
    size_t i = 1, kept = 0, before = 0;

    while (i < from.count && from.t_ms[i - 1] < from.t_ms[i])
        i++;
    if (i >= from.count)
        return;

    Place *places = (Place *)x_malloc(from.count * sizeof *places);
    for (i = 0; i < from.count; i++)
        places[i] = (Place){from.t_ms[i], i};
    qsort(places, from.count, sizeof *places, compare_places);

    *columns = (ChunkColumns){.arena = columns->arena};
    chunk_columns_reserve(columns, from.count, from.histograms != NULL);
    if (from.start_ms)
        columns->columns.start_ms = ARENA_ARRAY(columns->arena, int64_t, from.count);
    for (i = 0; i < from.count; i++) {
        if (kept && columns->columns.t_ms[kept - 1] == places[i].t_ms)
            continue;
        columns->columns.t_ms[kept] = places[i].t_ms;
        columns->columns.value[kept] = from.value[places[i].index];
        if (from.histograms)
            columns->columns.histograms[kept] =
                rehint(columns->arena, from.histograms[places[i].index],
                       kept > 0 && places[i].index == before + 1);
        if (from.start_ms)
            columns->columns.start_ms[kept] = from.start_ms[places[i].index];
        before = places[i].index;
        kept++;
    }
    columns->columns.count = kept;
    free(places);
}
