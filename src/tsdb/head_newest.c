// SPDX-License-Identifier: Apache-2.0
// The newest sample of a series at a moment, where its record tells it without a chunk.
#include "tsdb/chunk_xor.h"
#include "tsdb/head_internal.h"

// What the newest full chunk says of its last sample.
static void learn_from_chunk(Head *head, Series *series)
{
    CLEANUP(arena_deinit) Arena scratch = {.next = NULL};
    ChunkColumns columns = {.arena = &scratch};
    int64_t t_ms = series->xor_state.t_ms;
    Error ignored = {0}; // whoever asks for the samples is told
    FullChunk newest;
    int64_t last_ms;

    if (!head_full_overlapping(&head->pool, series->full, t_ms, t_ms, &newest, &last_ms) ||
        !head_read_full(head, NULL, newest.ref, t_ms, t_ms, &columns, &ignored) ||
        !columns.columns.count)
        return;
    const Histogram *h = columns.columns.histograms ? columns.columns.histograms[0] : NULL;
    if (h) {
        series_set_flags(series, is_stale_nan(h->sum) ? SERIES_ENDED : 0, 0);
        return;
    }
    series->xor_state.value = chunk_xor_to_bits(columns.columns.value[0]);
    series_set_flags(series, SERIES_HAS_VALUE, 0);
}

void head_newest_learn(Head *head, Series *series)
{
    unsigned known = SERIES_HAS_VALUE | SERIES_HAS_HISTOGRAM | SERIES_LEARNED;

    if (LIKELY(!series->full || series->chunk || series_flags(series) & known))
        return;
    series_set_flags(series, SERIES_LEARNED, 0);
    learn_from_chunk(head, series);
}

typedef struct Newest {
    NewestKind kind;
    int64_t t_ms;
    double value;
} Newest;

// Floats in order, all of them in XOR chunks as far as the record tells.
static bool is_plain(const Series *series, const SeriesExtra *extra)
{
    unsigned others = SERIES_HAS_HISTOGRAM | SERIES_FULL_HISTOGRAM;

    return !(series_flags(series) & others) &&
           !(extra && (extra->buffer_count || extra->chunk_count || extra->deleted.count));
}

// The stripe is held.
static Newest newest_of(HeadQuerier *q, uint64_t ref, SeriesSlot slot, Series *series,
                        int64_t min_t_ms, int64_t max_t_ms)
{
    Head *head = q->head;
    unsigned flags = series_flags(series);

    if (!is_plain(series, head_extra(head, ref, series, false)))
        return (Newest){.kind = NEWEST_UNKNOWN};
    if (!(flags & SERIES_HAS_SAMPLES))
        return (Newest){.kind = NEWEST_NONE};
    int64_t visible = head_undo_time(&head->undo, slot, series, q->epoch);
    if (visible == INT64_MIN || visible < min_t_ms)
        return (Newest){.kind = NEWEST_NONE};
    if (series->xor_state.t_ms > MIN(max_t_ms, visible) || !(flags & SERIES_HAS_VALUE))
        return (Newest){.kind = NEWEST_UNKNOWN}; // in a chunk
    return (Newest){NEWEST_FLOAT, series->xor_state.t_ms, chunk_xor_value(&series->xor_state)};
}

bool head_newest(Querier *base, uint64_t handle, int64_t min_t_ms, int64_t max_t_ms,
                 int64_t *ret_t_ms, double *ret_value, NewestKind *ret_kind, Error *err)
{
    HeadQuerier *q = CONTAINER_OF(base, HeadQuerier, querier);
    Head *head = q->head;
    int64_t min_t = MAX(MAX(min_t_ms, q->min_t_ms), q->floor_t_ms);
    int64_t max_t = MIN(max_t_ms, q->max_t_ms);
    SeriesSlot slot = series_slot(&head->index.series, handle);
    Newest newest = {.kind = NEWEST_UNKNOWN};

    (void)err;
    if (slot && min_t <= max_t) {
        Series *series = series_at(&head->index.series, slot);
        Lock *stripe = &head->stripes[series_stripe(handle)];
        lock_take(stripe);
        if (series_ref(series) == handle)
            newest = newest_of(q, handle, slot, series, min_t, max_t);
        lock_give(stripe);
    }
    *ret_kind = newest.kind == NEWEST_FLOAT && newest.t_ms < min_t ? NEWEST_NONE : newest.kind;
    *ret_t_ms = newest.t_ms;
    *ret_value = newest.value;
    return true;
}
