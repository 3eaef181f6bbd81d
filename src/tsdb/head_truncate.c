// SPDX-License-Identifier: Apache-2.0
// Drops what blocks have taken over: chunks, series, log, chunk files.
#include <stdlib.h>

#include "tsdb/head_internal.h"

typedef struct Collect {
    Head *head;
    int64_t min_t;
    uint32_t lowest_file; // of chunks that stay
    int64_t oldest_t;     // of samples that stay
    uint64_t chunks_removed;
    uint64_t *refs; // of empty series, rising
    size_t count;
    size_t cap;
} Collect;

static void trim_full(Collect *c, Series *series)
{
    Head *head = c->head;
    size_t count = head_full_count(&head->pool, series->full);
    FullChunk few[64];
    FullChunk *all = count <= COUNT_OF(few) ? few : X_ARRAY(FullChunk, count);
    size_t gone = 0;

    head_full_decode(&head->pool, series->full, all);
    while (gone < count && all[gone].max_t_ms < c->min_t)
        gone++;
    if (gone)
        series->full = head_full_replace(&head->pool, series->full, all + gone, count - gone);
    for (size_t i = gone; i < count; i++)
        c->lowest_file = MIN(c->lowest_file, head_chunks_file_of(all[i].ref));
    c->chunks_removed += gone;
    if (all != few)
        free(all);
}

static uint64_t drop_open_chunk(Head *head, Series *series, SeriesExtra *extra)
{
    head_starts_clear(series, extra);
    if (series_flags(series) & SERIES_HAS_HISTOGRAM) {
        chunk_histogram_free(extra->histogram);
        extra->histogram = NULL;
        series_set_flags(series, 0, SERIES_HAS_HISTOGRAM);
        return 1;
    }
    if (!series->chunk)
        return 0;
    head_open_free(&head->pool, series->chunk);
    series->chunk = 0;
    return 1;
}

static void drop_extra(Head *head, uint64_t ref, Series *series, SeriesExtra *extra)
{
    ref_map_remove(&head->extras[series_stripe(ref)], ref);
    series_set_flags(series, 0, SERIES_HAS_EXTRA);
    head_extra_free(extra);
}

static void trim_extra(Collect *c, uint64_t ref, Series *series, SeriesExtra *extra)
{
    if (!extra)
        return;
    for (uint32_t i = 0; i < extra->chunk_count; i++)
        c->lowest_file = MIN(c->lowest_file, head_chunks_file_of(extra->chunks[i].ref));
    if (!extra->chunk_count && !extra->buffer_count && extra->deleted.count) {
        size_t gone = 0;
        while (gone < extra->deleted.count && extra->deleted.items[gone].max_t_ms < c->min_t)
            gone++;
        extra->deleted.count -= gone;
        memmove(extra->deleted.items, extra->deleted.items + gone,
                extra->deleted.count * sizeof(Interval));
    }
    if (!extra->histogram && !extra->chunk_count && !extra->buffer_count && !extra->deleted.count &&
        !(series_flags(series) & SERIES_HAS_STARTS))
        drop_extra(c->head, ref, series, extra);
}

static bool is_empty(const Series *series)
{
    return !series->chunk && !series->full && !(series_flags(series) & SERIES_HAS_EXTRA);
}

// Asked for since the collection before the last one.
static bool is_young(const Head *head, const Series *series)
{
    return (uint8_t)(GET(head->generation) - series_generation(series)) < 2;
}

static bool collect_one(void *arg, uint64_t ref, Series *series)
{
    Collect *c = arg;
    Head *head = c->head;
    SeriesExtra *extra = head_extra(head, ref, series, false);
    bool has = series_flags(series) & SERIES_HAS_SAMPLES;

    if (series->full)
        trim_full(c, series);
    if (has && series->xor_state.t_ms < c->min_t)
        c->chunks_removed += drop_open_chunk(head, series, extra);
    trim_extra(c, ref, series, extra);
    // Epochs are compared in 32 bits: those of long idle series are moved along.
    uint32_t now = (uint32_t)head->epoch;
    if ((int32_t)(now - series->epoch) > 1 << 30 || (int32_t)(now - series->epoch) < 0)
        series->epoch = now - (1u << 30);
    if (!is_empty(series)) {
        if (series->chunk || series->full || series_flags(series) & SERIES_HAS_HISTOGRAM)
            c->oldest_t = MIN(c->oldest_t,
                              head_first_time(head, series, head_extra(head, ref, series, false)));
        return true;
    }
    if (is_young(head, series))
        return true;
    if (c->count == c->cap) {
        c->cap = c->cap ? c->cap * 2 : 1024;
        c->refs = x_realloc(c->refs, c->cap * sizeof *c->refs);
    }
    c->refs[c->count++] = ref;
    return true;
}

static void remove_series(Collect *c)
{
    Head *head = c->head;
    WalCounters log;
    size_t kept = 0;

    wal_counters(head->wal, &log);
    rwlock_take_write(&head->index_lock);
    for (size_t i = 0; i < c->count; i++) { // somebody may have asked for it in between
        Series *series =
            series_at(&head->index.series, series_slot(&head->index.series, c->refs[i]));
        if (is_empty(series) && !is_young(head, series))
            c->refs[kept++] = c->refs[i];
    }
    c->count = kept;
    head_index_remove(&head->index, c->refs, c->count);
    for (size_t i = 0; i < c->count; i++) {
        lock_take(&head->stripes[series_stripe(c->refs[i])]);
        series_table_remove(&head->index.series, c->refs[i]);
        lock_give(&head->stripes[series_stripe(c->refs[i])]);
        ref_map_put(&head->expired, c->refs[i], log.segment);
    }
    series_table_trim(&head->index.series);
    pool_trim(&head->index.pool);
    rwlock_give(&head->index_lock);
    COUNT(head, series_removed, c->count);
    COUNT(head, series, -c->count);
}

// Texts of dropped pairs may be shown by Queriers from before the drop.
static void free_limbo(Head *head)
{
    bool shown = false;

    lock_take(&head->readers_lock);
    for (HeadQuerier *q = head->readers; q; q = q->next)
        shown |= q->number <= head->limbo_number;
    lock_give(&head->readers_lock);
    if (shown)
        return;
    rwlock_take_write(&head->index_lock);
    head_index_free_limbo(&head->index);
    rwlock_give(&head->index_lock);
}

void head_truncate_empty(Head *head, bool any)
{
    Collect c = {
        .head = head, .min_t = INT64_MIN, .lowest_file = UINT32_MAX, .oldest_t = INT64_MAX};

    head_lead(head);
    SET(head->generation, (uint8_t)(GET(head->generation) + 2)); // nobody has asked for any yet
    if (any)
        head_each_series(head, collect_one, &c);
    if (c.count)
        remove_series(&c);
    head_follow(head);
    free(c.refs);
}

uint64_t head_series_end(Head *head, uint64_t ref, Series *series, int64_t max_t_ms)
{
    Collect c = {.head = head, .min_t = max_t_ms < INT64_MAX ? max_t_ms + 1 : INT64_MAX};
    SeriesExtra *extra = head_extra(head, ref, series, false);

    if (series->full)
        trim_full(&c, series);
    if (series->xor_state.t_ms > max_t_ms)
        return c.chunks_removed;
    c.chunks_removed += drop_open_chunk(head, series, extra);
    if (extra && !extra->buffer_count && !extra->chunk_count)
        drop_extra(head, ref, series, extra);
    return c.chunks_removed;
}

// Those that are still stale, and up to when.
static size_t still_stale(Head *head, const HeadStale *stale, HeadDeletion *ended)
{
    unsigned held = SERIES_STRIPES;
    size_t count = 0;

    for (size_t i = 0; i < stale->count; i++) {
        uint64_t ref = stale->refs[i];
        head_hold_stripe(head, &held, ref);
        SeriesSlot slot = series_slot(&head->index.series, ref);
        Series *series = series_at(&head->index.series, slot);
        if (slot && series_ref(series) == ref && head_stale_goes(head, ref, series))
            ended[count++] = (HeadDeletion){ref, {HEAD_ENDED, series->xor_state.t_ms}};
    }
    head_give_stripe(head, held);
    return count;
}

static void drop_ended(Head *head, const HeadDeletion *ended, size_t count)
{
    Collect c = {.head = head, .refs = X_ARRAY(uint64_t, count)};
    unsigned held = SERIES_STRIPES;

    for (; c.count < count; c.count++) {
        uint64_t ref = c.refs[c.count] = ended[c.count].ref;
        head_hold_stripe(head, &held, ref);
        c.chunks_removed += head_series_end(
            head, ref, series_at(&head->index.series, series_slot(&head->index.series, ref)),
            ended[c.count].interval.max_t_ms);
    }
    head_give_stripe(head, held);
    free_limbo(head);
    if (c.count)
        remove_series(&c);
    head->image.stale |= c.count > 0;
    lock_take(&head->readers_lock);
    head->limbo_number = head->reader_number;
    lock_give(&head->readers_lock);
    pool_trim(&head->pool);
    COUNT(head, chunks_removed, c.chunks_removed);
    COUNT(head, chunks, -c.chunks_removed);
    free(c.refs);
}

// Leading, so that none of them gets a sample in between.
bool head_truncate_stale(Head *head, const HeadStale *stale, Error *err)
{
    HeadDeletion *ended = X_ARRAY(HeadDeletion, stale->count);

    lock_take(&head->truncate_lock);
    lock_take(&head->readers_lock);
    uint64_t number = head->reader_number;
    lock_give(&head->readers_lock);
    head_read_wait(head, number, INT64_MAX);
    head_lead(head);
    size_t count = still_stale(head, stale, ended);
    bool ok = !count || (head_log_deletions(head, ended, count, err) && wal_sync(head->wal, err));
    if (ok && count)
        drop_ended(head, ended, count);
    head_follow(head);
    lock_give(&head->truncate_lock);
    free(ended);
    return ok || error_context(err, "log which stale series leave the head");
}

bool head_truncate_memory(Head *head, int64_t min_t_ms, Error *err)
{
    Collect c = {.head = head, .min_t = min_t_ms, .lowest_file = UINT32_MAX, .oldest_t = INT64_MAX};

    lock_take(&head->truncate_lock);
    lock_take(&head->apply_lock);
    SET(head->floor_t, MAX(GET(head->floor_t), min_t_ms));
    SET(head->min_valid_t, MAX(GET(head->min_valid_t), min_t_ms));
    lock_take(&head->readers_lock);
    uint64_t number = head->reader_number;
    lock_give(&head->readers_lock);
    lock_give(&head->apply_lock);
    head_read_wait(head, number, min_t_ms);

    head_lead(head);
    SET(head->generation, (uint8_t)(GET(head->generation) + 1));
    bool ok = head_chunks_flush(head->chunks, err) && head_out_of_order_settle(head, err);
    head_chunks_cut(head->chunks);
    int64_t started_ns = clock_mono_ns(&clock_system);
    head_each_series(head, collect_one, &c);
    head->settling.stale = true;
    ok = ok && head_chunks_truncate(head->chunks, c.lowest_file, err);
    free_limbo(head);
    if (c.count)
        remove_series(&c);
    head->image.stale |= c.count > 0; // they would come back, to be dropped again
    lock_take(&head->readers_lock);
    head->limbo_number = head->reader_number;
    lock_give(&head->readers_lock);
    pool_trim(&head->pool);
    // A chunk that the disk did not take in time reaches over the border: what lies before it is in the block.
    if (GET(head->min_t) != INT64_MAX)
        SET(head->min_t, MAX(c.oldest_t == INT64_MAX ? GET(head->min_t) : c.oldest_t, min_t_ms));
    if (GET(head->min_t) > GET(head->max_t) && GET(head->max_t) != INT64_MIN)
        SET(head->min_t, GET(head->max_t));
    COUNT(head, chunks_removed, c.chunks_removed);
    COUNT(head, chunks, -c.chunks_removed);
    COUNT(head, gc_nanoseconds, clock_mono_ns(&clock_system) - started_ns);
    head_follow(head);
    free(c.refs);
    COUNT(head, truncations, 1);
    if (!ok)
        COUNT(head, truncations_failed, 1);
    lock_give(&head->truncate_lock);
    return ok ? true : error_context(err, "truncate the head");
}

bool head_truncate_log(Head *head, int64_t min_t_ms, Error *err)
{
    lock_take(&head->truncate_lock);
    bool ok = head_checkpoint(head, min_t_ms, err);
    lock_give(&head->truncate_lock);
    return ok ? true : error_context(err, "truncate the head");
}

bool head_truncate(Head *head, int64_t min_t_ms, Error *err)
{
    return head_truncate_memory(head, min_t_ms, err) && head_truncate_log(head, min_t_ms, err);
}
