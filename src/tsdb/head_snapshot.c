// SPDX-License-Identifier: Apache-2.0
// Leaves the series with their open chunks beside the log when the head closes: chunk_snapshot.h. Nobody else is in the head any more.
#include <stdlib.h>

#include "tsdb/chunk_snapshot.h"
#include "tsdb/head_internal.h"

#define BATCH_BYTES 1000000
#define BATCH_RECORDS 1024
#define EXEMPLARS_PER_RECORD 10000

typedef struct Snapshot {
    Head *head;
    Wal *out;
    Buf raw;    // the record under way
    Buf packed; // records that wait to be written
    WalRecord *records;
    size_t *starts; // of each in `packed`
    size_t count;
    Arena arena; // of one series
    uint64_t series;
    Tombstones tombstones;
    RefMap gone; // series of exemplars that are not in the head and were written
    WalRecordWriter exemplars;
    Buf exemplar_record;
    bool ok;
    Error *err;
} Snapshot;

static void flush_records(Snapshot *s)
{
    for (size_t i = 0; i < s->count; i++)
        s->records[i].bytes.ptr = s->packed.ptr + s->starts[i];
    s->ok = s->ok && (!s->count || wal_write(s->out, s->records, s->count, s->err));
    s->count = 0;
    buf_reset(&s->packed);
}

static void end_record(Snapshot *s)
{
    size_t start = s->packed.len;
    WalFlags flags = wal_compress(s->head->options.wal_compression, buf_str(&s->raw), &s->packed);

    s->starts[s->count] = start;
    s->records[s->count++] = (WalRecord){.bytes = {NULL, s->packed.len - start}, .flags = flags};
    buf_reset(&s->raw);
    if (s->count == BATCH_RECORDS || s->packed.len >= BATCH_BYTES)
        flush_records(s);
}

// The open chunk of the series.
static void take_chunk(Snapshot *s, uint64_t ref, Series *series, ChunkSnapshotSeries *record)
{
    Head *head = s->head;

    if (series_flags(series) & SERIES_HAS_HISTOGRAM) {
        const ChunkHistogram *open = head_extra(head, ref, series, false)->histogram;
        record->encoding = chunk_histogram_encoding(open);
        record->min_t_ms = chunk_histogram_min_t(open);
        record->max_t_ms = chunk_histogram_max_t(open);
        record->chunk = chunk_histogram_str(open);
        record->histogram = chunk_histogram_last(open);
    } else if (series->chunk) {
        size_t len = head_open_bytes(&head->pool, series->chunk, &series->xor_state);
        uint8_t *bytes = arena_alloc(&s->arena, len);
        head_open_copy(&head->pool, series->chunk, &series->xor_state, len, bytes);
        record->encoding = CHUNK_XOR;
        record->min_t_ms = head_open_first_time(&head->pool, series->chunk);
        record->max_t_ms = series->xor_state.t_ms;
        record->chunk = (Str){(const char *)bytes, len};
        record->value = chunk_xor_value(&series->xor_state);
    }
    if (series_flags(series) & SERIES_HAS_STARTS) {
        const SeriesExtra *extra = head_extra(head, ref, series, false);
        head_starts_weave(extra->starts, extra->start_count, &s->arena, &record->encoding,
                          &record->chunk);
    }
}

static void add_series(Snapshot *s, uint64_t ref, uint64_t as_ref)
{
    HeadIndex *index = &s->head->index;
    SeriesSlot slot = series_slot(&index->series, ref);

    if (!slot)
        return;
    Series *series = series_at(&index->series, slot);
    arena_reset(&s->arena);
    ChunkSnapshotSeries record = {.ref = as_ref, .encoding = CHUNK_NONE};
    record.labels = head_index_labels(index, series->labels, &s->arena);
    if (as_ref == ref)
        take_chunk(s, ref, series, &record);
    chunk_snapshot_add_series(&s->raw, &record);
    end_record(s);
    s->series++;
}

static void note_deleted(Snapshot *s, uint64_t ref)
{
    Series *series = series_at(&s->head->index.series, series_slot(&s->head->index.series, ref));
    const SeriesExtra *extra = head_extra(s->head, ref, series, false);

    for (size_t i = 0; extra && i < extra->deleted.count; i++)
        tombstones_add(&s->tombstones, ref, extra->deleted.items[i]);
}

static void add_own(Snapshot *s, uint64_t ref)
{
    add_series(s, ref, ref);
    note_deleted(s, ref);
}

static void add_all_series(Snapshot *s)
{
    Arena scratch = {0};
    RefRuns runs;

    postings_decode(&s->head->index.all, &s->head->index.pool, &scratch, &runs);
    for (size_t i = 0; i < runs.count; i++)
        for (uint64_t k = 0; s->ok && k < runs.runs[i].length; k++)
            add_own(s, runs.runs[i].first + k);
    arena_deinit(&scratch);
}

static void end_exemplars(Snapshot *s)
{
    if (!s->exemplars.count)
        return;
    chunk_snapshot_add_exemplars(&s->raw, buf_str(&s->exemplar_record));
    end_record(s);
    s->exemplars = (WalRecordWriter){0};
    buf_reset(&s->exemplar_record);
}

// One whose series is not in the head any more, as one without samples leaves it at a start.
static void add_gone_series(void *arg, uint64_t ref, Labels labels, const Exemplar *exemplar)
{
    Snapshot *s = arg;
    ChunkSnapshotSeries record = {.ref = ref, .labels = labels, .encoding = CHUNK_NONE};

    (void)exemplar;
    if (series_slot(&s->head->index.series, ref) || ref_map_get(&s->gone, ref))
        return;
    ref_map_put(&s->gone, ref, 1);
    chunk_snapshot_add_series(&s->raw, &record);
    end_record(s);
}

static void add_exemplar(void *arg, uint64_t ref, Labels labels, const Exemplar *exemplar)
{
    Snapshot *s = arg;

    (void)labels;
    if (!s->exemplars.count)
        s->exemplars = wal_record_begin(&s->exemplar_record, WAL_EXEMPLARS);
    wal_record_exemplar(&s->exemplars, ref, exemplar);
    if (s->exemplars.count == EXEMPLARS_PER_RECORD)
        end_exemplars(s);
}

static bool write_records(Snapshot *s)
{
    Head *head = s->head;

    add_all_series(s);
    for (size_t i = 0; s->ok && i < head->twins.size; i++)
        if (head->twins.entries[i].ref)
            add_series(s, head->twins.entries[i].value, head->twins.entries[i].ref);
    head_exemplars_each(head->exemplars, add_gone_series, s);
    ref_map_deinit(&s->gone);
    chunk_snapshot_add_tombstones(&s->raw, &s->tombstones);
    end_record(s);
    head_exemplars_each(head->exemplars, add_exemplar, s);
    end_exemplars(s);
    flush_records(s);
    return s->ok;
}

static bool write_dir(Snapshot *s, Str final, Error *err)
{
    Head *head = s->head;
    CLEANUP(arena_deinit) Arena scratch = {0};
    Str tmp = arena_printf(&scratch, STR_FMT ".tmp", STR_ARG(final));

    bool ok = fs_remove_tree(head->fs, tmp, err) &&
              wal_open(head->fs, tmp, head->options.wal_segment_bytes, &s->out, err);
    ok = ok && write_records(s) && wal_sync(s->out, err);
    wal_close(s->out);
    return ok && fs_sync_dir(head->fs, tmp, err) && fs_rename(head->fs, tmp, final, err) &&
           fs_sync_dir(head->fs, head->options.dir, err);
}

static void deinit(Snapshot *s)
{
    buf_deinit(&s->raw);
    buf_deinit(&s->packed);
    buf_deinit(&s->exemplar_record);
    free(s->records);
    free(s->starts);
    tombstones_deinit(&s->tombstones);
    arena_deinit(&s->arena);
}

bool head_snapshot_write(Head *head, Error *err)
{
    CLEANUP(arena_deinit) Arena scratch = {0};
    Snapshot s = {.head = head,
                  .records = X_ARRAY(WalRecord, BATCH_RECORDS),
                  .starts = X_ARRAY(size_t, BATCH_RECORDS),
                  .ok = true,
                  .err = err};
    WalPlace at = {0};
    int64_t start_ns = clock_mono_ns(&clock_system);

    bool ok = head_chunks_sync(head->chunks, err) && head_append_log_series(head, err) &&
              wal_sync(head->wal, err) && wal_place(head->wal, 0, &at, err);
    ChunkSnapshotPlace place = {at.segment, at.offset};
    Str dir = chunk_snapshot_dir(&scratch, head->options.dir, place);
    // The same place: nothing has come since.
    ok = ok && (fs_exists(head->fs, dir) || write_dir(&s, dir, err)) &&
         chunk_snapshot_remove_others(head->fs, head->options.dir, place, err);
    if (ok)
        log_info("wrote a snapshot of the series and their open chunks", KV("dir", dir),
                 KV("series", s.series),
                 KV("took_ms", (clock_mono_ns(&clock_system) - start_ns) / 1000000));
    deinit(&s);
    return ok ? true : error_context(err, "chunk snapshot");
}
