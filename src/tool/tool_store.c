// SPDX-License-Identifier: Apache-2.0
#include "tool/tool_store.h"

#include <stdlib.h>

#include "base/map.h"
#include "base/number.h"

typedef struct StoreSeries {
    Labels labels;
    SinkSample *samples; // rising time; histograms in the store's arena
    size_t count;
    size_t cap;
} StoreSeries;

struct ToolStore {
    Sink sink;
    Source source;
    Arena arena;
    Map refs;             // printed labels to ref
    StoreSeries **series; // by ref - 1
    size_t count;
    size_t cap;
};

typedef struct StoreAppender {
    Appender appender;
    ToolStore *store;
    SinkSample *pending;
    size_t count;
    size_t cap;
} StoreAppender;

typedef struct StoreQuerier {
    Querier querier;
    ToolStore *store;
    int64_t min_t_ms;
    int64_t max_t_ms;
} StoreQuerier;

// Sink ---------------------------------------------------------------------------------------------------------------------------------

static SeriesRef find_series(Appender *appender, Labels labels, bool *ret_created, Error *err)
{
    ToolStore *store = ((StoreAppender *)appender)->store;
    CLEANUP(buf_deinit) Buf key = {0};
    (void)err;
    labels_print(&key, labels);
    uintptr_t ref = (uintptr_t)map_get(&store->refs, buf_str(&key));
    *ret_created = ref == 0;
    if (ref)
        return ref;
    if (store->count == store->cap) {
        store->cap = store->cap ? store->cap * 2 : 64;
        store->series = x_realloc(store->series, store->cap * sizeof(StoreSeries *));
    }
    StoreSeries *series = ARENA_NEW(&store->arena, StoreSeries);
    series->labels = labels_copy(&store->arena, labels);
    store->series[store->count++] = series;
    union {
        uintptr_t number;
        void *pointer;
    } cast = {store->count};
    map_put(&store->refs, arena_str(&store->arena, buf_str(&key)), cast.pointer);
    return store->count;
}

static AppendStatus judge(const StoreSeries *series, const SinkSample *sample)
{
    const SinkSample *last = series->count ? &series->samples[series->count - 1] : NULL;
    if (!last || sample->t_ms > last->t_ms)
        return APPEND_OK;
    if (sample->t_ms < last->t_ms)
        return APPEND_OUT_OF_ORDER;
    bool is_same = !sample->histogram && !last->histogram
                       ? double_bits(sample->value) == double_bits(last->value)
                       : sample->histogram && last->histogram &&
                             histogram_equal(sample->histogram, last->histogram);
    return is_same ? APPEND_OK : APPEND_DUPLICATE;
}

static size_t append(Appender *appender, SinkSample *samples, size_t count)
{
    StoreAppender *mine = (StoreAppender *)appender;
    size_t taken = 0;
    if (mine->count + count > mine->cap) {
        mine->cap = (mine->count + count) * 2;
        mine->pending = x_realloc(mine->pending, mine->cap * sizeof(SinkSample));
    }
    for (size_t i = 0; i < count; i++) {
        samples[i].status = judge(mine->store->series[samples[i].ref - 1], &samples[i]);
        if (samples[i].status != APPEND_OK)
            continue;
        mine->pending[mine->count++] = samples[i];
        taken++;
    }
    return taken;
}

static void rollback(Appender *appender)
{
    free(((StoreAppender *)appender)->pending);
    free(appender);
}

static bool commit(Appender *appender, Error *err)
{
    StoreAppender *mine = (StoreAppender *)appender;
    (void)err;
    for (size_t i = 0; i < mine->count; i++) {
        const SinkSample *sample = &mine->pending[i];
        StoreSeries *series = mine->store->series[sample->ref - 1];
        if (series->count && series->samples[series->count - 1].t_ms >= sample->t_ms)
            continue; // the same again
        if (series->count == series->cap) {
            series->cap = series->cap ? series->cap * 2 : 16;
            series->samples = x_realloc(series->samples, series->cap * sizeof(SinkSample));
        }
        series->samples[series->count] = *sample;
        if (sample->histogram)
            series->samples[series->count].histogram =
                histogram_copy(&mine->store->arena, sample->histogram);
        series->count++;
    }
    rollback(appender);
    return true;
}

static void add_metadata(Appender *appender, SeriesRef ref, Metadata metadata)
{
    (void)appender;
    (void)ref;
    (void)metadata;
}

static AppendStatus add_exemplar(Appender *appender, SeriesRef ref, const Exemplar *exemplar)
{
    (void)appender;
    (void)ref;
    (void)exemplar;
    return APPEND_OK;
}

static Appender *begin(Sink *sink)
{
    StoreAppender *mine = X_NEW(StoreAppender);
    mine->store = CONTAINER_OF(sink, ToolStore, sink);
    mine->appender = (Appender){.series = find_series,
                                .append = append,
                                .metadata = add_metadata,
                                .exemplar = add_exemplar,
                                .commit = commit,
                                .rollback = rollback};
    return &mine->appender;
}

// Source -------------------------------------------------------------------------------------------------------------------------------

static int compare_entries(const void *a, const void *b)
{
    return labels_compare(((const SeriesEntry *)a)->labels, ((const SeriesEntry *)b)->labels);
}

static bool select_series(Querier *querier, const Matcher *matchers, size_t count,
                          const SelectHints *hints, Arena *arena, SeriesList *ret_list, Error *err)
{
    const ToolStore *store = ((StoreQuerier *)querier)->store;
    SeriesList list = {ARENA_ARRAY(arena, SeriesEntry, store->count + 1), 0};
    (void)hints;
    (void)err;
    for (size_t i = 0; i < store->count; i++)
        if (store->series[i]->count && matchers_match(matchers, count, store->series[i]->labels))
            list.series[list.count++] = (SeriesEntry){store->series[i]->labels, i};
    qsort(list.series, list.count, sizeof *list.series, compare_entries);
    *ret_list = list;
    return true;
}

// The first sample that is not before t_ms.
static size_t lower_bound(const StoreSeries *series, int64_t t_ms)
{
    size_t low = 0;
    size_t high = series->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (series->samples[middle].t_ms < t_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool read_series(Querier *querier, uint64_t handle, int64_t min_t_ms, int64_t max_t_ms,
                        Arena *arena, SampleColumns *ret_columns, Error *err)
{
    const StoreQuerier *mine = (const StoreQuerier *)querier;
    const StoreSeries *series = mine->store->series[handle];
    size_t first = lower_bound(series, MAX(min_t_ms, mine->min_t_ms));
    size_t last = first;
    bool histograms = false;
    (void)err;
    max_t_ms = MIN(max_t_ms, mine->max_t_ms);
    for (; last < series->count && series->samples[last].t_ms <= max_t_ms; last++)
        histograms |= series->samples[last].histogram != NULL;
    SampleColumns columns = {ARENA_ARRAY(arena, int64_t, last - first + 1),
                             ARENA_ARRAY(arena, double, last - first + 1), NULL, last - first};
    if (histograms)
        columns.histograms = arena_zalloc(arena, columns.count * sizeof(const Histogram *));
    for (size_t i = 0; i < columns.count; i++) {
        columns.t_ms[i] = series->samples[first + i].t_ms;
        columns.value[i] = series->samples[first + i].value;
        if (histograms)
            columns.histograms[i] = series->samples[first + i].histogram;
    }
    *ret_columns = columns;
    return true;
}

static int compare_strs(const void *a, const void *b)
{
    return str_compare(*(const Str *)a, *(const Str *)b);
}

// Names (`name` empty) or values of one name of what matches, each once, rising.
static StrList gather(const ToolStore *store, Str name, const Matcher *matchers, size_t count,
                      size_t limit, Arena *arena)
{
    Map seen = {0};
    for (size_t i = 0; i < store->count; i++) {
        Labels labels = store->series[i]->labels;
        if (!matchers_match(matchers, count, labels))
            continue;
        for (size_t k = 0; k < labels.count; k++)
            if (name.len == 0)
                map_put(&seen, labels.pairs[k].name, store->series[i]);
            else if (str_equal(labels.pairs[k].name, name))
                map_put(&seen, labels.pairs[k].value, store->series[i]);
    }
    StrList list = {ARENA_ARRAY(arena, Str, seen.count + 1), 0};
    for (MapEntry *e = NULL; (e = map_next(&seen, e));)
        list.items[list.count++] = e->key;
    map_deinit(&seen);
    qsort(list.items, list.count, sizeof(Str), compare_strs);
    if (limit && list.count > limit)
        list.count = limit;
    return list;
}

static bool label_names(Querier *querier, const Matcher *matchers, size_t count, size_t limit,
                        Arena *arena, StrList *ret_names, Error *err)
{
    (void)err;
    *ret_names = gather(((StoreQuerier *)querier)->store, STR_NONE, matchers, count, limit, arena);
    return true;
}

static bool label_values(Querier *querier, Str name, const Matcher *matchers, size_t count,
                         size_t limit, Arena *arena, StrList *ret_values, Error *err)
{
    (void)err;
    *ret_values = gather(((StoreQuerier *)querier)->store, name, matchers, count, limit, arena);
    return true;
}

static void close_querier(Querier *querier)
{
    free(querier);
}

static bool open_querier(Source *source, int64_t min_t_ms, int64_t max_t_ms, Querier **ret_querier,
                         Error *err)
{
    StoreQuerier *mine = X_NEW(StoreQuerier);
    (void)err;
    *mine = (StoreQuerier){
        .querier = {.select = select_series,
                    .read = read_series,
                    .label_names = label_names,
                    .label_values = label_values,
                    .close = close_querier},
        .store = CONTAINER_OF(source, ToolStore, source),
        .min_t_ms = min_t_ms,
        .max_t_ms = max_t_ms,
    };
    *ret_querier = &mine->querier;
    return true;
}

// Life ---------------------------------------------------------------------------------------------------------------------------------

ToolStore *tool_store_new(void)
{
    ToolStore *store = X_NEW(ToolStore);
    store->sink.begin = begin;
    store->source.open = open_querier;
    return store;
}

void tool_store_free(ToolStore *store)
{
    for (size_t i = 0; i < store->count; i++)
        free(store->series[i]->samples);
    free(store->series);
    map_deinit(&store->refs);
    arena_deinit(&store->arena);
    free(store);
}

Sink *tool_store_sink(ToolStore *store)
{
    return &store->sink;
}

Source *tool_store_source(ToolStore *store)
{
    return &store->source;
}
