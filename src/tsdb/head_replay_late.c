// SPDX-License-Identifier: Apache-2.0
// The log of out-of-order samples. Nothing else runs meanwhile, so no lock is taken but where shared functions take it.
#include <stdlib.h>

#include "tsdb/head_replay_internal.h"

static bool has_time(const SampleColumns *columns, int64_t t_ms)
{
    size_t low = 0;
    size_t high = columns->count;

    while (low < high) {
        size_t middle = (low + high) / 2;
        if (columns->t_ms[middle] < t_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low < columns->count && columns->t_ms[low] == t_ms;
}

static void strand(SeriesExtra *extra)
{
    for (uint32_t i = 0; extra && i < extra->buffer_count; i++)
        extra->buffer[i].stranded = true;
}

// What was logged before the marker is in the chunk, if the chunk has survived: those samples leave the buffer.
static void replay_marker(Replay *r, const WalEntry *e)
{
    Head *head = r->head;
    uint64_t ref = e->ref;
    HeadChunkView view;
    Error err = {0};
    SeriesSlot slot = replay_find_series(r, &ref, HEAD_UNKNOWN_MARKERS);

    if (!slot)
        return;
    if (e->chunk_ref) // else it only says that samples begin anew behind it
        ref_map_put(&r->marked, e->chunk_ref, 1);
    SeriesExtra *extra = head_extra(head, ref, series_at(&head->index.series, slot), false);
    bool known = false;
    for (uint32_t i = 0; extra && i < extra->chunk_count; i++)
        known |= extra->chunks[i].ref == e->chunk_ref;
    if (!known || !extra->buffer_count ||
        !head_chunks_read(head->chunks, NULL, e->chunk_ref, &view, &err)) {
        strand(extra);
        return;
    }
    ChunkColumns columns = {.arena = &r->arena};
    if (chunk_decode(view.chunk.encoding, view.chunk.bytes, INT64_MIN, INT64_MAX, &columns, &err)) {
        uint32_t kept = 0;
        for (uint32_t i = 0; i < extra->buffer_count; i++) {
            if (has_time(&columns.columns, extra->buffer[i].t_ms))
                free(extra->buffer[i].histogram);
            else
                extra->buffer[kept++] = extra->buffer[i];
        }
        extra->buffer_count = kept;
    }
    head_chunks_release(&view);
}

static void replay_late(Replay *r, WalRecordType type, const WalEntry *e)
{
    Head *head = r->head;
    uint64_t ref = e->ref;

    if (type == WAL_MMAP_MARKERS) {
        replay_marker(r, e);
        return;
    }
    if (type == WAL_SERIES || type == WAL_TOMBSTONES || type == WAL_EXEMPLARS ||
        type == WAL_METADATA)
        return;
    SeriesSlot slot =
        replay_find_series(r, &ref, e->histogram ? HEAD_UNKNOWN_HISTOGRAMS : HEAD_UNKNOWN_SAMPLES);
    OutOfOrderSample sample = {
        .t_ms = e->t_ms, .value = e->value, .histogram = e->histogram, .start_ms = e->start_ms};
    if (slot && head_out_of_order_insert(head, ref, series_at(&head->index.series, slot), &sample))
        r->out_of_order_kept++;
}

void replay_late_record(Replay *r, Str record)
{
    WalEntry entry;

    arena_reset(&r->arena);
    WalRecordReader reader = wal_record_read(record, &r->arena);
    while (wal_record_next(&reader, &entry))
        replay_late(r, reader.type, &entry);
    r->malformed += reader.failed;
    r->records++;
}

// An out-of-order chunk that its log does not name any more has had its block: it would bring back what was deleted there since.
void replay_late_drop_unmarked(Replay *r)
{
    Head *head = r->head;

    SET(head->ooo_min_t, INT64_MAX);
    SET(head->ooo_max_t, INT64_MIN);
    for (size_t s = 0; s < SERIES_STRIPES; s++) {
        for (size_t i = 0; i < head->extras[s].size; i++) {
            if (!head->extras[s].entries[i].ref)
                continue;
            SeriesExtra *extra = (SeriesExtra *)(uintptr_t)head->extras[s].entries[i].value;
            uint32_t kept = 0;
            for (uint32_t k = 0; k < extra->chunk_count; k++) {
                if (!ref_map_get(&r->marked, extra->chunks[k].ref))
                    continue;
                SET(head->ooo_min_t, MIN(head->ooo_min_t, extra->chunks[k].min_t_ms));
                SET(head->ooo_max_t, MAX(head->ooo_max_t, extra->chunks[k].max_t_ms));
                extra->chunks[kept++] = extra->chunks[k];
            }
            COUNT(head, chunks, -(int64_t)(extra->chunk_count - kept));
            extra->chunk_count = kept;
            if (extra->buffer_count) {
                SET(head->ooo_min_t, MIN(head->ooo_min_t, extra->buffer[0].t_ms));
                SET(head->ooo_max_t,
                    MAX(head->ooo_max_t, extra->buffer[extra->buffer_count - 1].t_ms));
            }
        }
    }
}
