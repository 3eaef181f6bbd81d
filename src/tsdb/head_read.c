// SPDX-License-Identifier: Apache-2.0
// Queriers of the head.
#include <stdlib.h>

#include "base/reader.h"
#include "tsdb/head_internal.h"

// --- epochs and waiting ---

void head_read_epochs(Head *head, uint64_t *ret_oldest, uint64_t *ret_newest)
{
    uint64_t oldest = UINT64_MAX;
    uint64_t newest = 0;

    lock_take(&head->readers_lock);
    for (HeadQuerier *q = head->readers; q; q = q->next) {
        oldest = MIN(oldest, q->epoch);
        newest = MAX(newest, q->epoch);
    }
    lock_give(&head->readers_lock);
    *ret_oldest = oldest;
    *ret_newest = newest;
}

void head_read_wait(Head *head, uint64_t number, int64_t t_ms)
{
    lock_take(&head->readers_lock);
    for (;;) {
        bool wait = false;
        for (HeadQuerier *q = head->readers; q && !wait; q = q->next)
            wait = q->number <= number && q->min_t_ms < t_ms;
        if (!wait)
            break;
        condition_wait(&head->reader_closed, &head->readers_lock);
    }
    lock_give(&head->readers_lock);
}

// --- one series ---

static void copy_late(const SeriesExtra *extra, uint64_t epoch, Arena *arena, SeriesView *view)
{
    view->late = ARENA_ARRAY(arena, OutOfOrderSample, extra->buffer_count);
    for (uint32_t i = 0; i < extra->buffer_count; i++) {
        OutOfOrderSample s = extra->buffer[i];
        if (epoch != UINT64_MAX && (int32_t)(s.epoch - (uint32_t)epoch) > 0)
            continue;
        if (s.histogram)
            s.histogram = histogram_copy(arena, s.histogram);
        view->late[view->late_count++] = s;
    }
    view->late_chunk_count = extra->chunk_count;
    view->late_chunks = ARENA_ARRAY(arena, OutOfOrderChunk, extra->chunk_count);
    if (extra->chunk_count)
        memcpy(view->late_chunks, extra->chunks, extra->chunk_count * sizeof *extra->chunks);
    view->deleted_count = extra->deleted.count;
    view->deleted = ARENA_ARRAY(arena, Interval, extra->deleted.count);
    if (extra->deleted.count)
        memcpy(view->deleted, extra->deleted.items, extra->deleted.count * sizeof(Interval));
}

// Decoders read whole words: a few readable bytes behind the end.
static Str copy_bytes(Arena *arena, const void *bytes, size_t len)
{
    char *copy = arena_alloc(arena, len + 16);
    memcpy(copy, bytes, len);
    memset(copy + len, 0, 16);
    return (Str){copy, len};
}

static Str copy_open(Head *head, const Series *series, Arena *arena)
{
    size_t len = head_open_bytes(&head->pool, series->chunk, &series->xor_state);
    uint8_t *copy = arena_alloc(arena, len + 16);

    head_open_copy(&head->pool, series->chunk, &series->xor_state, len, copy);
    memset(copy + len, 0, 16);
    return (Str){(const char *)copy, len};
}

// The in-order chunks that may have something in the range, or its last sample. Full ones end before the open one begins.
static void copy_chunks(Head *head, const Series *series, const SeriesExtra *extra,
                        int64_t min_t_ms, int64_t max_t_ms, bool only_last, Arena *arena,
                        SeriesView *view)
{
    unsigned flags = series_flags(series);
    bool is_float = series->chunk && !(flags & SERIES_HAS_HISTOGRAM);
    int64_t open_ms = is_float ? head_open_first_time(&head->pool, series->chunk) : INT64_MAX;
    int64_t enough_ms = only_last ? MIN(max_t_ms, view->visible_t) : min_t_ms;

    if (open_ms > enough_ms) {
        int64_t last_ms = INT64_MIN;
        view->full = ARENA_ARRAY(arena, FullChunk, head_full_count(&head->pool, series->full));
        view->full_count = head_full_overlapping(&head->pool, series->full, min_t_ms, max_t_ms,
                                                 view->full, &last_ms);
        if (last_ms >= max_t_ms)
            return;
    }
    if (flags & SERIES_HAS_HISTOGRAM) {
        Str bytes = chunk_histogram_str(extra->histogram);
        view->open_encoding = chunk_histogram_encoding(extra->histogram);
        view->open = copy_bytes(arena, bytes.ptr, bytes.len);
        view->open_min_ms = chunk_histogram_min_t(extra->histogram);
        view->open_max_ms = chunk_histogram_max_t(extra->histogram);
    } else if (is_float) {
        if (open_ms > max_t_ms)
            return;
        view->open_encoding = CHUNK_XOR;
        view->open = copy_open(head, series, arena);
        view->open_min_ms = open_ms;
        view->open_max_ms = series->xor_state.t_ms;
    }
    if (flags & SERIES_HAS_STARTS) {
        view->start_count = extra->start_count;
        view->starts = ARENA_ARRAY(arena, StartRun, extra->start_count);
        memcpy(view->starts, extra->starts, extra->start_count * sizeof *extra->starts);
    }
}

static void copy_series(Head *head, uint64_t ref, SeriesSlot slot, Series *series, uint64_t epoch,
                        int64_t min_t_ms, int64_t max_t_ms, bool only_last, Arena *arena,
                        SeriesView *view)
{
    unsigned flags = series_flags(series);
    SeriesExtra *extra = head_extra(head, ref, series, false);

    *view = (SeriesView){.visible_t = INT64_MIN};
    if (flags & SERIES_HAS_SAMPLES)
        view->visible_t = epoch == UINT64_MAX ? series->xor_state.t_ms
                                              : head_undo_time(&head->undo, slot, series, epoch);
    if (view->visible_t != INT64_MIN && view->visible_t >= min_t_ms)
        copy_chunks(head, series, extra, min_t_ms, max_t_ms, only_last, arena, view);
    if (extra)
        copy_late(extra, epoch, arena, view);
}

static bool read_view(Head *head, uint64_t ref, uint64_t epoch, int64_t min_t_ms, int64_t max_t_ms,
                      bool only_last, Arena *arena, SeriesView *ret_view)
{
    SeriesSlot slot = series_slot(&head->index.series, ref);

    if (!slot)
        return false;
    Series *series = series_at(&head->index.series, slot);
    Lock *stripe = &head->stripes[series_stripe(ref)];
    lock_take(stripe);
    bool ok = series_ref(series) == ref;
    if (ok)
        copy_series(head, ref, slot, series, epoch, min_t_ms, max_t_ms, only_last, arena, ret_view);
    lock_give(stripe);
    if (ok && ret_view->start_count)
        head_starts_weave(ret_view->starts, ret_view->start_count, arena, &ret_view->open_encoding,
                          &ret_view->open);
    return ok;
}

bool head_read_view(Head *head, uint64_t ref, uint64_t epoch, int64_t min_t_ms, int64_t max_t_ms,
                    Arena *arena, SeriesView *ret_view)
{
    return read_view(head, ref, epoch, min_t_ms, max_t_ms, false, arena, ret_view);
}

bool head_read_full(Head *head, const HeadChunkPins *pins, HeadChunkRef ref, int64_t min_t_ms,
                    int64_t max_t_ms, ChunkColumns *columns, Error *err)
{
    HeadChunkView chunk;

    if (!head_chunks_read(head->chunks, pins, ref, &chunk, err))
        return false;
    bool ok =
        chunk_decode(chunk.chunk.encoding, chunk.chunk.bytes, min_t_ms, max_t_ms, columns, err);
    head_chunks_release(&chunk);
    return ok;
}

bool head_read_in_order(Head *head, const HeadChunkPins *pins, const SeriesView *view,
                        int64_t min_t_ms, int64_t max_t_ms, ChunkColumns *columns, Error *err)
{
    int64_t max_t = MIN(max_t_ms, view->visible_t);

    if (view->visible_t == INT64_MIN || min_t_ms > max_t)
        return true;
    for (size_t i = 0; i < view->full_count; i++) {
        FullChunk full = view->full[i];
        if (full.max_t_ms < min_t_ms || full.min_t_ms > max_t)
            continue;
        if (!head_read_full(head, pins, full.ref, min_t_ms, max_t, columns, err) ||
            !arena_ok(columns->arena, err))
            return false;
    }
    return !view->open.len ||
           chunk_decode(view->open_encoding, view->open, min_t_ms, max_t, columns, err);
}

static void add_late(const OutOfOrderSample *s, ChunkColumns *columns)
{
    bool with_histograms = s->histogram || columns->columns.histograms;

    chunk_columns_reserve(columns, 1, with_histograms);
    SampleColumns *c = &columns->columns;
    c->t_ms[c->count] = s->t_ms;
    c->value[c->count] = s->value;
    if (c->histograms)
        c->histograms[c->count] = s->histogram;
    chunk_columns_add_starts(columns, &s->start_ms, 1);
    c->count++;
}

bool head_read_late(Head *head, const HeadChunkPins *pins, const SeriesView *view, int64_t min_t_ms,
                    int64_t max_t_ms, ChunkColumns *columns, Error *err)
{
    for (size_t i = 0; i < view->late_chunk_count; i++) {
        OutOfOrderChunk chunk = view->late_chunks[i];
        if (chunk.max_t_ms < min_t_ms || chunk.min_t_ms > max_t_ms)
            continue;
        if (!head_read_full(head, pins, chunk.ref, min_t_ms, max_t_ms, columns, err) ||
            !arena_ok(columns->arena, err))
            return false;
    }
    for (size_t i = 0; i < view->late_count; i++)
        if (view->late[i].t_ms >= min_t_ms && view->late[i].t_ms <= max_t_ms)
            add_late(&view->late[i], columns);
    return true;
}

void head_read_drop_deleted(const SeriesView *view, SampleColumns *columns)
{
    size_t kept = 0;
    size_t next = 0;

    if (!view->deleted_count)
        return;
    for (size_t i = 0; i < columns->count; i++) {
        int64_t t = columns->t_ms[i];
        while (next < view->deleted_count && view->deleted[next].max_t_ms < t)
            next++;
        if (next < view->deleted_count && view->deleted[next].min_t_ms <= t)
            continue;
        sample_columns_move(columns, kept++, i);
    }
    columns->count = kept;
}

static bool read_series(Querier *base, uint64_t handle, int64_t min_t_ms, int64_t max_t_ms,
                        Arena *arena, SampleColumns *ret_columns, Error *err)
{
    HeadQuerier *q = CONTAINER_OF(base, HeadQuerier, querier);
    ChunkColumns columns = {.arena = arena};
    int64_t min_t = MAX(min_t_ms, q->min_t_ms);
    int64_t max_t = MIN(max_t_ms, q->max_t_ms);
    SeriesView view;

    *ret_columns = (SampleColumns){0};
    if (min_t > max_t || !head_read_view(q->head, handle, q->epoch, min_t, max_t, arena, &view))
        return true;
    if (!head_read_in_order(q->head, &q->pins, &view, MAX(min_t, q->floor_t_ms), max_t, &columns,
                            err) ||
        !head_read_late(q->head, &q->pins, &view, min_t, max_t, &columns, err))
        return false;
    if (view.late_count || view.late_chunk_count)
        chunk_columns_merge(&columns);
    head_read_drop_deleted(&view, &columns.columns);
    *ret_columns = columns.columns;
    return true;
}

// --- many series ---

#define AHEAD_SERIES 32

// Their records, then what these name: memory that is far away is asked for before it is needed.
static void look_ahead(Head *head, const uint64_t *refs, size_t count)
{
    const SeriesTable *table = &head->index.series;
    SeriesSlot slots[AHEAD_SERIES];
    unsigned held = SERIES_STRIPES;

    for (size_t i = 0; i < count; i++) {
        slots[i] = series_slot(table, refs[i]);
        if (slots[i])
            __builtin_prefetch(series_at(table, slots[i]));
    }
    for (size_t i = 0; i < count; i++) {
        if (!slots[i])
            continue;
        head_hold_stripe(head, &held, refs[i]);
        const Series *series = series_at(table, slots[i]);
        if (series->full)
            __builtin_prefetch(pool_at(&head->pool, series->full));
        if (series->chunk)
            __builtin_prefetch(pool_at(&head->pool, series->chunk));
    }
    head_give_stripe(head, held);
}

void head_look_ahead(Querier *base, const uint64_t *handles, size_t count)
{
    if (base->read != read_series)
        return;
    Head *head = CONTAINER_OF(base, HeadQuerier, querier)->head;
    for (size_t i = 0; i < count; i += AHEAD_SERIES)
        look_ahead(head, handles + i, MIN(count - i, (size_t)AHEAD_SERIES));
}

static bool gather_full(const HeadQuerier *q, FullChunk full, ChunkBatch *batch)
{
    HeadChunkView chunk;
    Error ignored = {0}; // who reads it alone meets it again

    if (!head_chunks_read(q->head->chunks, &q->pins, full.ref, &chunk, &ignored))
        return false;
    bool stays = !chunk.file && !chunk.owned;
    if (stays)
        chunk_batch_add(batch, chunk.chunk.encoding, chunk.chunk.bytes);
    head_chunks_release(&chunk);
    return stays;
}

// Of the chunks that begin by then, the one that begins last: they stand behind one another.
static void keep_last_chunk(SeriesView *view, int64_t until_ms)
{
    if (view->open.len && view->open_encoding == CHUNK_XOR) {
        if (view->open_min_ms <= until_ms)
            view->full_count = 0;
        else
            view->open.len = 0;
    }
    if (view->open.len)
        return;
    while (view->full_count && view->full[view->full_count - 1].min_t_ms > until_ms)
        view->full_count--;
    if (view->full_count > 1) {
        view->full += view->full_count - 1;
        view->full_count = 1;
    }
}

// False: there is something that a batch does not know.
static bool gather_view(const HeadQuerier *q, SeriesView *view, int64_t min_t_ms, int64_t max_t_ms,
                        bool only_last, ChunkBatch *batch)
{
    if (view->late_count || view->late_chunk_count || view->deleted_count)
        return false;
    int64_t until_ms = MIN(max_t_ms, view->visible_t);
    if (view->visible_t == INT64_MIN || min_t_ms > until_ms)
        return true;
    if (only_last)
        keep_last_chunk(view, until_ms);
    chunk_batch_narrow(batch, min_t_ms, until_ms);
    for (size_t i = 0; i < view->full_count; i++)
        if (view->full[i].max_t_ms >= min_t_ms && view->full[i].min_t_ms <= until_ms &&
            !gather_full(q, view->full[i], batch))
            return false;
    if (view->open.len)
        chunk_batch_add(batch, view->open_encoding, view->open);
    return true;
}

void head_gather(Querier *base, uint64_t handle, int64_t min_t_ms, int64_t max_t_ms, bool only_last,
                 ChunkBatch *batch)
{
    SeriesView view;

    if (base->read != read_series) {
        chunk_batch_refuse(batch);
        return;
    }
    const HeadQuerier *q = CONTAINER_OF(base, HeadQuerier, querier);
    int64_t min_t = MAX(min_t_ms, q->min_t_ms);
    int64_t max_t = MIN(max_t_ms, q->max_t_ms);
    if (min_t <= max_t &&
        read_view(q->head, handle, q->epoch, min_t, max_t, only_last, batch->scratch, &view) &&
        !gather_view(q, &view, MAX(min_t, q->floor_t_ms), max_t, only_last, batch))
        chunk_batch_refuse(batch);
}

static bool read_many(Querier *base, const uint64_t *handles, size_t count, int64_t min_t_ms,
                      int64_t max_t_ms, bool only_last, Arena *scratch, Arena *arena,
                      SampleColumns *ret_columns, Error *err)
{
    bool *done = ARENA_ARRAY(scratch, bool, count);
    ChunkBatch batch;

    chunk_batch_init(&batch, count, scratch);
    head_look_ahead(base, handles, count);
    for (size_t i = 0; i < count; i++) {
        chunk_batch_begin(&batch);
        head_gather(base, handles[i], min_t_ms, max_t_ms, only_last, &batch);
    }
    if (!chunk_batch_decode(&batch, min_t_ms, max_t_ms, arena, ret_columns, done, err))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!done[i] &&
            !base->read(base, handles[i], min_t_ms, max_t_ms, arena, &ret_columns[i], err))
            return false;
    return true;
}

// --- life ---

static void close_querier(Querier *base)
{
    HeadQuerier *q = CONTAINER_OF(base, HeadQuerier, querier);
    Head *head = q->head;

    lock_take(&head->readers_lock);
    if (q->previous)
        q->previous->next = q->next;
    else
        head->readers = q->next;
    if (q->next)
        q->next->previous = q->previous;
    head->open_queriers--;
    condition_broadcast(&head->reader_closed);
    lock_give(&head->readers_lock);
    head_chunks_unpin(&q->pins);
    free(q);
}

bool head_read_open(Source *source, int64_t min_t_ms, int64_t max_t_ms, Querier **ret_querier,
                    Error *err)
{
    Head *head = CONTAINER_OF(source, Head, source);
    HeadQuerier *q = X_NEW(HeadQuerier);

    (void)err;
    *q = (HeadQuerier){.querier = {.select = head_select_series,
                                   .read = read_series,
                                   .newest = head_newest,
                                   .read_many = read_many,
                                   .label_names = head_select_names,
                                   .label_values = head_select_values,
                                   .close = close_querier},
                       .head = head,
                       .min_t_ms = min_t_ms,
                       .max_t_ms = max_t_ms};
    lock_take(&head->apply_lock);
    lock_take(&head->readers_lock);
    q->epoch = head->epoch;
    q->floor_t_ms = GET(head->floor_t);
    q->number = ++head->reader_number;
    q->next = head->readers;
    if (q->next)
        q->next->previous = q;
    head->readers = q;
    head->open_queriers++;
    lock_give(&head->readers_lock);
    lock_give(&head->apply_lock);
    head_chunks_pin(head->chunks, &q->pins);
    *ret_querier = &q->querier;
    return true;
}
