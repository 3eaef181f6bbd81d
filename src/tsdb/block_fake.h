// SPDX-License-Identifier: Apache-2.0
// block_fake.h: for tests: a Source of made-up series, a scratch folder, blocks of the former in the latter.
#pragma once

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fs.h"
#include "tsdb/block.h"
#include "tsdb/block_from_source.h"
#include "tsdb/chunk_xor.h"
#include "tsdb/merge_querier.h"

// Ends the program with the error's text unless ok.
static inline void fake_must(bool ok, const Error *err)
{
    if (ok)
        return;
    fprintf(stderr, "block_fake: %s\n", err->text);
    abort();
}

// Series i of `count` has the labels {__name__="metric_<i % 7>", instance="host-<i>", job="test"}, and (odd ones) zone="z<i % 3>".
typedef struct FakeSource {
    Source source;
    Querier querier;
    Arena arena;
    SeriesEntry *entries;
    size_t count;
    int64_t from_t_ms, to_t_ms, step_ms; // samples at multiples of step in [from, to)
    double offset;                       // added to each value
    bool histograms;                     // every fifth series has them
} FakeSource;

static inline int fake_compare_entries(const void *a, const void *b)
{
    return labels_compare(((const SeriesEntry *)a)->labels, ((const SeriesEntry *)b)->labels);
}

static inline double fake_value(uint64_t series, int64_t t_ms)
{
    return series % 3 == 0 ? (double)(t_ms / 1000 * (int64_t)(series + 1))
                           : sin((double)t_ms / 1e5 + (double)series);
}

static inline bool fake_has_histograms(uint64_t series)
{
    return series % 5 == 4;
}

// An integer histogram that only grows, with a bucket more from time to time.
static inline Histogram *fake_histogram(Arena *arena, uint64_t series, int64_t t_ms)
{
    int64_t step = t_ms / 15000 + (int64_t)series;
    uint32_t buckets = 3 + (uint32_t)(step / 50 % 4 > 1);
    Histogram *h = ARENA_NEW(arena, Histogram);
    HistogramSpan *span = ARENA_NEW(arena, HistogramSpan);
    double *counts = ARENA_ARRAY(arena, double, buckets);

    *span = (HistogramSpan){-1, buckets};
    h->is_integer = true;
    h->schema = 1;
    h->zero_threshold = 0.001;
    h->zero_count = (double)step;
    h->count = h->zero_count;
    for (uint32_t i = 0; i < buckets; i++) {
        counts[i] = (double)(step * (i + 1));
        h->count += counts[i];
    }
    h->sum = (double)step * 1.5;
    h->positive_spans = span;
    h->positive_span_count = 1;
    h->positive_buckets = counts;
    h->positive_count = buckets;
    return h;
}

static inline bool fake_select(Querier *querier, const Matcher *matchers, size_t count,
                               const SelectHints *hints, Arena *arena, SeriesList *ret_list,
                               Error *err)
{
    FakeSource *f = CONTAINER_OF(querier, FakeSource, querier);
    SeriesEntry *entries = ARENA_ARRAY(arena, SeriesEntry, f->count);
    size_t kept = 0;

    (void)hints, (void)err;
    for (size_t i = 0; i < f->count; i++)
        if (matchers_match(matchers, count, f->entries[i].labels))
            entries[kept++] = f->entries[i];
    *ret_list = (SeriesList){entries, kept};
    return true;
}

static inline bool fake_read(Querier *querier, uint64_t handle, int64_t min_t_ms, int64_t max_t_ms,
                             Arena *arena, SampleColumns *ret_columns, Error *err)
{
    FakeSource *f = CONTAINER_OF(querier, FakeSource, querier);
    ChunkColumns columns = {.arena = arena};
    bool histograms = f->histograms && fake_has_histograms(handle);

    (void)err;
    for (int64_t t = f->from_t_ms; t < f->to_t_ms; t += f->step_ms) {
        if (t < min_t_ms || t > max_t_ms)
            continue;
        chunk_columns_reserve(&columns, 1, histograms);
        columns.columns.t_ms[columns.columns.count] = t;
        columns.columns.value[columns.columns.count] =
            histograms ? 0 : fake_value(handle, t) + f->offset;
        if (histograms)
            columns.columns.histograms[columns.columns.count] = fake_histogram(arena, handle, t);
        columns.columns.count++;
    }
    *ret_columns = columns.columns;
    return true;
}

static inline int fake_compare_strs(const void *a, const void *b)
{
    return str_compare(*(const Str *)a, *(const Str *)b);
}

// Names of all labels (name NULL) or values of one, of the matching series.
static inline StrList fake_strings(FakeSource *f, const Str *name, const Matcher *matchers,
                                   size_t count, Arena *arena)
{
    Str *items = ARENA_ARRAY(arena, Str, f->count * 4 + 1);
    size_t total = 0, kept = 0;

    for (size_t i = 0; i < f->count; i++) {
        if (!matchers_match(matchers, count, f->entries[i].labels))
            continue;
        for (size_t k = 0; k < f->entries[i].labels.count; k++) {
            Label pair = f->entries[i].labels.pairs[k];
            if (!name)
                items[total++] = pair.name;
            else if (str_equal(*name, pair.name))
                items[total++] = pair.value;
        }
    }
    if (total)
        qsort(items, total, sizeof(Str), fake_compare_strs);
    for (size_t i = 0; i < total; i++)
        if (kept == 0 || !str_equal(items[kept - 1], items[i]))
            items[kept++] = items[i];
    return (StrList){items, kept};
}

static inline bool fake_names(Querier *querier, const Matcher *matchers, size_t count, size_t limit,
                              Arena *arena, StrList *ret_names, Error *err)
{
    (void)limit, (void)err;
    *ret_names =
        fake_strings(CONTAINER_OF(querier, FakeSource, querier), NULL, matchers, count, arena);
    return true;
}

static inline bool fake_values(Querier *querier, Str name, const Matcher *matchers, size_t count,
                               size_t limit, Arena *arena, StrList *ret_values, Error *err)
{
    (void)limit, (void)err;
    *ret_values =
        fake_strings(CONTAINER_OF(querier, FakeSource, querier), &name, matchers, count, arena);
    return true;
}

static inline void fake_close(Querier *querier)
{
    (void)querier;
}

static inline bool fake_open(Source *source, int64_t min_t_ms, int64_t max_t_ms,
                             Querier **ret_querier, Error *err)
{
    FakeSource *f = CONTAINER_OF(source, FakeSource, source);

    (void)min_t_ms, (void)max_t_ms, (void)err;
    *ret_querier = &f->querier;
    return true;
}

static inline void fake_init(FakeSource *f, size_t count, int64_t from_t_ms, int64_t to_t_ms,
                             int64_t step_ms)
{
    *f = (FakeSource){
        .count = count, .from_t_ms = from_t_ms, .to_t_ms = to_t_ms, .step_ms = step_ms};
    f->source.open = fake_open;
    f->querier = (Querier){fake_select, fake_read, fake_names, fake_values, fake_close};
    f->entries = ARENA_ARRAY(&f->arena, SeriesEntry, count);
    for (size_t i = 0; i < count; i++) {
        Label *pairs = ARENA_ARRAY(&f->arena, Label, 4);
        pairs[0] = (Label){S("__name__"), arena_printf(&f->arena, "metric_%zu", i % 7)};
        pairs[1] = (Label){S("instance"), arena_printf(&f->arena, "host-%zu", i)};
        pairs[2] = (Label){S("job"), S("test")};
        pairs[3] = (Label){S("zone"), arena_printf(&f->arena, "z%zu", i % 3)};
        f->entries[i] = (SeriesEntry){{pairs, i % 2 ? 4 : 3}, i};
    }
    qsort(f->entries, count, sizeof(SeriesEntry), fake_compare_entries);
}

static inline void fake_deinit(FakeSource *f)
{
    arena_deinit(&f->arena);
}

// A folder that is removed with its content.
typedef struct Scratch {
    char path[64];
} Scratch;

static inline Scratch scratch_new(void)
{
    Scratch s = {"/tmp/narthex-test-XXXXXX"};
    ASSERT(mkdtemp(s.path) != NULL);
    return s;
}

static inline void scratch_remove(Scratch *s)
{
    Error err = {0};
    bool ok = fs_remove_tree(&fs_system, str_from_c(s->path), &err);
    (void)ok;
}

// The block of all of the source's samples; ULIDs are born at `born_ms`.
static inline Block *fake_block(FakeSource *f, Fs *fs, Str dir, int64_t born_ms)
{
    BlockWriterOptions options = {.fs = fs,
                                  .dir = dir,
                                  .ulid = ulid_new(born_ms),
                                  .min_t_ms = f->from_t_ms,
                                  .max_t_ms = f->to_t_ms,
                                  .level = 1};
    Error err = {0};
    Block *block = NULL;
    bool made = false;
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};

    fake_must(block_from_source(&f->source, &options, 120, &made, &err), &err);
    ASSERT(made);
    fake_must(block_open(fs, fs_join(&arena, dir, ulid_str(&options.ulid)), &block, &err), &err);
    return block;
}
