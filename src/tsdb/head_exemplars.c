// SPDX-License-Identifier: Apache-2.0
#include "tsdb/head_exemplars.h"

#include <malloc.h>
#include <stdlib.h>

#include "base/lock.h"
#include "base/log.h"
#include "base/number.h"
#include "tsdb/ref_map.h"

typedef struct ExemplarSeries {
    Labels labels;
    void *memory;  // of the labels
    size_t newest; // 1 + place in the ring
    size_t count;
} ExemplarSeries;

typedef struct ExemplarSlot {
    uint64_t ref; // 0: empty
    Exemplar exemplar;
    void *memory; // of its labels
} ExemplarSlot;

struct HeadExemplars {
    Lock lock;
    ExemplarSlot *ring;
    size_t size;
    size_t next;
    size_t count;
    RefMap series;     // ref to ExemplarSeries
    size_t touched;    // places of the ring that were ever used
    size_t text_bytes; // of all labels
};

HeadExemplars *head_exemplars_new(uint64_t max)
{
    HeadExemplars *store = X_NEW(HeadExemplars);
    lock_init(&store->lock, "head exemplars", 370);
    store->size = (size_t)max;
    store->ring = X_ARRAY(ExemplarSlot, store->size);
    return store;
}

static void free_series(ExemplarSeries *series)
{
    free(series->memory);
    free(series);
}

void head_exemplars_free(HeadExemplars *store)
{
    if (!store)
        return;
    for (size_t i = 0; i < store->size; i++)
        free(store->ring[i].memory);
    for (size_t i = 0; i < store->series.size; i++)
        if (store->series.entries[i].ref)
            free_series((ExemplarSeries *)(uintptr_t)store->series.entries[i].value);
    ref_map_deinit(&store->series);
    free(store->ring);
    lock_deinit(&store->lock);
    free(store);
}

// As circularExemplarStorage.validateExemplar: the same one again is silently left out.
static AppendStatus judge(const HeadExemplars *store, uint64_t ref, const Exemplar *e,
                          int64_t window_ms)
{
    const ExemplarSeries *series = ref_map_pointer(&store->series, ref);

    if (!series || !series->newest || store->ring[series->newest - 1].ref != ref)
        return APPEND_OK;
    const Exemplar *last = &store->ring[series->newest - 1].exemplar;
    if (labels_equal(last->labels, e->labels) &&
        double_bits(last->value) == double_bits(e->value) && (!e->has_t || last->t_ms == e->t_ms))
        return APPEND_DUPLICATE;
    if (e->t_ms <= last->t_ms && (uint64_t)last->t_ms - (uint64_t)e->t_ms >= (uint64_t)window_ms)
        return APPEND_OUT_OF_ORDER;
    return APPEND_OK;
}

AppendStatus head_exemplars_judge(HeadExemplars *store, uint64_t ref, const Exemplar *exemplar,
                                  int64_t window_ms)
{
    lock_take(&store->lock);
    AppendStatus status = judge(store, ref, exemplar, window_ms);
    lock_give(&store->lock);
    return status;
}

// Pairs and texts in one piece.
static Labels copy_labels(Labels labels, void **ret_memory)
{
    size_t bytes = labels.count * sizeof(Label);

    for (size_t i = 0; i < labels.count; i++)
        bytes += labels.pairs[i].name.len + labels.pairs[i].value.len;
    Label *pairs = *ret_memory = x_malloc(MAX(bytes, (size_t)1));
    char *at = (char *)(pairs + labels.count);
    for (size_t i = 0; i < labels.count; i++) {
        const Str parts[] = {labels.pairs[i].name, labels.pairs[i].value};
        for (size_t k = 0; k < 2; k++) {
            if (parts[k].len)
                memcpy(at, parts[k].ptr, parts[k].len);
            *(k ? &pairs[i].value : &pairs[i].name) = (Str){at, parts[k].len};
            at += parts[k].len;
        }
    }
    return (Labels){pairs, labels.count};
}

// Empties a place.
static void drop(HeadExemplars *store, ExemplarSlot *slot)
{
    if (!slot->ref)
        return;
    ExemplarSeries *series = ref_map_pointer(&store->series, slot->ref);
    if (--series->count == 0) {
        ref_map_remove(&store->series, slot->ref);
        store->text_bytes -= malloc_usable_size(series->memory);
        free_series(series);
    }
    store->text_bytes -= malloc_usable_size(slot->memory);
    free(slot->memory);
    *slot = (ExemplarSlot){0};
    store->count--;
}

// The newest of a series by time stays where the next one is judged against.
static void note_newest(const HeadExemplars *store, ExemplarSeries *series, size_t place)
{
    const ExemplarSlot *slot = &store->ring[place];
    const ExemplarSlot *newest = series->newest ? &store->ring[series->newest - 1] : NULL;

    if (!newest || newest->ref != slot->ref || newest->exemplar.t_ms <= slot->exemplar.t_ms)
        series->newest = place + 1;
}

bool head_exemplars_add(HeadExemplars *store, uint64_t ref, Labels labels, const Exemplar *exemplar,
                        int64_t window_ms)
{
    lock_take(&store->lock);
    bool good = store->size && judge(store, ref, exemplar, window_ms) == APPEND_OK;
    ExemplarSlot *slot = store->size ? &store->ring[store->next] : NULL;
    if (good) {
        ExemplarSeries *series = ref_map_pointer(&store->series, ref);
        bool was_there = series != NULL;
        if (series)
            series->count++; // so that it does not go with its only exemplar
        drop(store, slot);
        if (!series && labels.count) {
            series = X_NEW(ExemplarSeries);
            series->labels = copy_labels(labels, &series->memory);
            store->text_bytes += malloc_usable_size(series->memory);
            series->count = 1;
            ref_map_put(&store->series, ref, (uint64_t)(uintptr_t)series);
        }
        good = was_there || series;
        if (good) {
            *slot = (ExemplarSlot){.ref = ref, .exemplar = *exemplar};
            slot->exemplar.labels = copy_labels(exemplar->labels, &slot->memory);
            store->text_bytes += malloc_usable_size(slot->memory);
            store->touched = MAX(store->touched, store->next + 1);
            note_newest(store, series, store->next);
            store->count++;
            store->next = (store->next + 1) % store->size;
        }
    }
    lock_give(&store->lock);
    return good;
}

// The ring anew, from its oldest on.
static void move_to(HeadExemplars *store, ExemplarSlot *ring, size_t size)
{
    ExemplarSlot *old = store->ring;
    size_t old_size = store->size, start = store->next, placed = 0;

    while (store->count > size) {
        drop(store, &old[start]);
        start = (start + 1) % old_size;
    }
    for (size_t i = 0; i < store->series.size; i++)
        if (store->series.entries[i].ref)
            ((ExemplarSeries *)(uintptr_t)store->series.entries[i].value)->newest = 0;
    store->ring = ring;
    for (size_t i = 0; i < old_size; i++) {
        const ExemplarSlot *slot = &old[(start + i) % old_size];
        if (!slot->ref)
            continue;
        ring[placed] = *slot;
        note_newest(store, ref_map_pointer(&store->series, slot->ref), placed++);
    }
    free(old);
    store->touched = placed;
    store->next = size ? placed % size : 0;
    __atomic_store_n(&store->size, size, __ATOMIC_RELAXED);
}

void head_exemplars_resize(HeadExemplars *store, uint64_t max)
{
    lock_take(&store->lock);
    size_t from = store->size;
    if (from != max)
        move_to(store, X_ARRAY(ExemplarSlot, (size_t)max), (size_t)max);
    size_t kept = store->count;
    lock_give(&store->lock);
    if (from != max)
        log_info("exemplar storage resized", KV("from", from), KV("to", max), KV("kept", kept));
}

uint64_t head_exemplars_max(HeadExemplars *store)
{
    return __atomic_load_n(&store->size, __ATOMIC_RELAXED);
}

bool head_exemplars_knows(HeadExemplars *store, uint64_t ref)
{
    lock_take(&store->lock);
    bool knows = ref_map_get(&store->series, ref) != NULL;
    lock_give(&store->lock);
    return knows;
}

typedef struct Found {
    uint64_t ref;
    Labels labels;
    Exemplar *exemplars;
    size_t count;
} Found;

static int compare_found(const void *a, const void *b)
{
    return labels_compare(((const Found *)a)->labels, ((const Found *)b)->labels);
}

static int compare_exemplars(const void *a, const void *b)
{
    const Exemplar *x = a;
    const Exemplar *y = b;
    return (x->t_ms > y->t_ms) - (x->t_ms < y->t_ms);
}

static void collect(HeadExemplars *store, Found *found, RefMap *places, int64_t min_t_ms,
                    int64_t max_t_ms, Arena *arena)
{
    for (size_t i = 0; i < store->size; i++) {
        const ExemplarSlot *slot = &store->ring[(store->next + i) % store->size];
        uint64_t *place = slot->ref ? ref_map_get(places, slot->ref) : NULL;
        if (!place || slot->exemplar.t_ms < min_t_ms || slot->exemplar.t_ms > max_t_ms)
            continue;
        Found *f = &found[*place];
        f->exemplars[f->count] = slot->exemplar;
        f->exemplars[f->count++].labels = labels_copy(arena, slot->exemplar.labels);
    }
}

// Of one label set, which has several refs if the series left the head and came back.
static Exemplar *in_time_order(const Found *found, size_t count, size_t exemplars, Arena *arena)
{
    Exemplar *all = ARENA_ARRAY(arena, Exemplar, exemplars);
    size_t n = 0;

    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < found[i].count; k++)
            all[n++] = found[i].exemplars[k];
    qsort(all, n, sizeof *all, compare_exemplars);
    return all;
}

void head_exemplars_select(HeadExemplars *store, const Matcher *matchers, size_t count,
                           int64_t min_t_ms, int64_t max_t_ms, Arena *arena, TsdbExemplars *ret)
{
    RefMap places = {0};
    size_t series_count = 0;

    lock_take(&store->lock);
    Found *found = ARENA_ARRAY(arena, Found, store->series.count);
    for (size_t i = 0; i < store->series.size; i++) {
        RefMapEntry *e = &store->series.entries[i];
        const ExemplarSeries *series = (const ExemplarSeries *)(uintptr_t)e->value;
        if (!e->ref || !matchers_match(matchers, count, series->labels))
            continue;
        ref_map_put(&places, e->ref, series_count);
        found[series_count++] = (Found){.ref = e->ref,
                                        .labels = labels_copy(arena, series->labels),
                                        .exemplars = ARENA_ARRAY(arena, Exemplar, series->count)};
    }
    collect(store, found, &places, min_t_ms, max_t_ms, arena);
    lock_give(&store->lock);
    ref_map_deinit(&places);
    if (series_count)
        qsort(found, series_count, sizeof *found, compare_found);
    *ret = (TsdbExemplars){ARENA_ARRAY(arena, Labels, series_count),
                           ARENA_ARRAY(arena, Exemplar *, series_count),
                           ARENA_ARRAY(arena, size_t, series_count), 0};
    for (size_t i = 0, end; i < series_count; i = end) {
        size_t exemplars = 0;
        for (end = i; end < series_count && labels_equal(found[i].labels, found[end].labels); end++)
            exemplars += found[end].count;
        if (!exemplars)
            continue;
        ret->series[ret->count] = found[i].labels;
        ret->exemplars[ret->count] = in_time_order(found + i, end - i, exemplars, arena);
        ret->exemplar_counts[ret->count++] = exemplars;
    }
}

void head_exemplars_count(HeadExemplars *store, uint64_t *ret_exemplars, uint64_t *ret_series,
                          int64_t *ret_oldest_ms)
{
    lock_take(&store->lock);
    // The next place is the oldest one's, or the ring has not been filled yet.
    const ExemplarSlot *oldest = &store->ring[store->size ? store->next : 0];
    if (store->size && !oldest->ref)
        oldest = &store->ring[0];
    *ret_oldest_ms = store->count && oldest->ref ? oldest->exemplar.t_ms : INT64_MIN;
    *ret_exemplars = store->count;
    *ret_series = store->series.count;
    lock_give(&store->lock);
}

uint64_t head_exemplars_held_bytes(HeadExemplars *store)
{
    lock_take(&store->lock);
    uint64_t bytes = store->touched * sizeof(ExemplarSlot) + store->text_bytes +
                     store->series.size * sizeof(RefMapEntry) +
                     store->series.count * sizeof(ExemplarSeries);
    lock_give(&store->lock);
    return bytes;
}

void head_exemplars_each(HeadExemplars *store, HeadExemplarFn each, void *arg)
{
    lock_take(&store->lock);
    for (size_t i = 0; i < store->size; i++) {
        const ExemplarSlot *slot = &store->ring[(store->next + i) % store->size];
        if (!slot->ref)
            continue;
        const ExemplarSeries *series = ref_map_pointer(&store->series, slot->ref);
        each(arg, slot->ref, series->labels, &slot->exemplar);
    }
    lock_give(&store->lock);
}
