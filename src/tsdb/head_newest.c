// SPDX-License-Identifier: Apache-2.0
// The newest sample of a series at a moment: often known from its record, else from one chunk.
#include "tsdb/chunk_xor.h"
#include "tsdb/head_internal.h"

#define NEWEST_SAMPLES_MAX 256 // longer chunks are read as all others are
#define NEWEST_BYTES_MAX (4 * 1024)

// What of a series is needed, copied out under its stripe.
typedef struct NewestView {
    NewestKind kind; // NEWEST_UNKNOWN: it is in one of these
    bool is_plain;   // else read() must look
    int64_t t_ms;
    double value;
    int64_t until_ms;
    size_t open_bytes;
    FullChunk full; // the newest that begins early enough; ref 0: none
    uint8_t open[NEWEST_BYTES_MAX + 16];
} NewestView;

// Floats in order, all of them in XOR chunks as far as the record tells.
static bool is_plain(const Series *series, const SeriesExtra *extra)
{
    unsigned others = SERIES_HAS_HISTOGRAM | SERIES_FULL_HISTOGRAM;

    return !(series_flags(series) & others) &&
           !(extra && (extra->buffer_count || extra->chunk_count || extra->deleted.count));
}

static void copy_open(Head *head, const Series *series, NewestView *view)
{
    size_t len =
        series->chunk ? head_open_bytes(&head->pool, series->chunk, &series->xor_state) : 0;

    if (len > NEWEST_BYTES_MAX) {
        view->is_plain = false;
        return;
    }
    view->open_bytes = len;
    if (len)
        head_open_copy(&head->pool, series->chunk, &series->xor_state, len, view->open);
    memset(view->open + len, 0, 16);
}

// The stripe is held.
static void view_series(HeadQuerier *q, uint64_t ref, SeriesSlot slot, Series *series,
                        int64_t min_t_ms, int64_t max_t_ms, NewestView *view)
{
    Head *head = q->head;
    unsigned flags = series_flags(series);

    view->kind = NEWEST_NONE;
    view->is_plain = is_plain(series, head_extra(head, ref, series, false));
    if (!view->is_plain || !(flags & SERIES_HAS_SAMPLES))
        return;
    int64_t visible = head_undo_time(&head->undo, slot, series, q->epoch);
    if (visible == INT64_MIN || visible < min_t_ms)
        return;
    view->until_ms = MIN(max_t_ms, visible);
    if (series->xor_state.t_ms <= view->until_ms && flags & SERIES_HAS_VALUE) {
        view->kind = NEWEST_FLOAT;
        view->t_ms = series->xor_state.t_ms;
        view->value = chunk_xor_value(&series->xor_state);
        return;
    }
    view->kind = NEWEST_UNKNOWN;
    int64_t last_ms;
    view->full = head_full_newest(&head->pool, series->full, view->until_ms, &last_ms);
    if (last_ms < view->until_ms)
        copy_open(head, series, view);
}

// The last sample of a chunk up to until_ms. False: it cannot be told here.
static bool newest_in(ChunkEncoding encoding, Str chunk, NewestView *view)
{
    int64_t t_ms[NEWEST_SAMPLES_MAX];
    double value[NEWEST_SAMPLES_MAX];
    size_t count = chunk_xor_count(chunk);

    if (encoding != CHUNK_XOR || count > NEWEST_SAMPLES_MAX)
        return false;
    size_t got = chunk_xor_decode_until(chunk, view->until_ms, t_ms, value, count);
    if (got < count && (got == 0 || t_ms[got - 1] <= view->until_ms))
        return false; // torn: read() says so
    while (got > 0 && t_ms[got - 1] > view->until_ms)
        got--;
    if (got == 0)
        return true;
    view->kind = NEWEST_FLOAT;
    view->t_ms = t_ms[got - 1];
    view->value = value[got - 1];
    return true;
}

static bool newest_in_chunks(HeadQuerier *q, NewestView *view, Error *err)
{
    HeadChunkView chunk;

    if (view->open_bytes &&
        !newest_in(CHUNK_XOR, (Str){(const char *)view->open, view->open_bytes}, view))
        view->is_plain = false;
    if (!view->is_plain || view->kind == NEWEST_FLOAT)
        return true;
    if (!view->full.ref) {
        view->kind = NEWEST_NONE;
        return true;
    }
    if (!head_chunks_read(q->head->chunks, &q->pins, view->full.ref, &chunk, err))
        return false;
    view->is_plain = newest_in(chunk.chunk.encoding, chunk.chunk.bytes, view);
    head_chunks_release(&chunk);
    return true;
}

bool head_newest(Querier *base, uint64_t handle, int64_t min_t_ms, int64_t max_t_ms,
                 int64_t *ret_t_ms, double *ret_value, NewestKind *ret_kind, Error *err)
{
    HeadQuerier *q = CONTAINER_OF(base, HeadQuerier, querier);
    Head *head = q->head;
    int64_t min_t = MAX(MAX(min_t_ms, q->min_t_ms), q->floor_t_ms);
    int64_t max_t = MIN(max_t_ms, q->max_t_ms);
    SeriesSlot slot = series_slot(&head->index.series, handle);
    NewestView view;

    *ret_kind = NEWEST_UNKNOWN;
    if (!slot || min_t > max_t)
        return true;
    view.open_bytes = 0;
    view.full = (FullChunk){0};
    view.is_plain = false;
    Series *series = series_at(&head->index.series, slot);
    Lock *stripe = &head->stripes[series_stripe(handle)];
    lock_take(stripe);
    if (series_ref(series) == handle)
        view_series(q, handle, slot, series, min_t, max_t, &view);
    lock_give(stripe);
    if (view.is_plain && view.kind == NEWEST_UNKNOWN && !newest_in_chunks(q, &view, err))
        return false;
    if (!view.is_plain)
        return true;
    *ret_kind = view.kind == NEWEST_FLOAT && view.t_ms < min_t ? NEWEST_NONE : view.kind;
    *ret_t_ms = view.t_ms;
    *ret_value = view.value;
    return true;
}
