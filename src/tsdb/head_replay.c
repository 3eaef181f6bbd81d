// SPDX-License-Identifier: Apache-2.0
// Rebuilds the head from chunks_head, the newest checkpoint, the log and the log of out-of-order samples.
//
// Nothing else runs meanwhile, so no lock is taken but where shared functions take it.
#include <stdlib.h>

#include "tsdb/head_internal.h"

typedef struct LoadedChunk {
    FullChunk full;
    uint64_t series_ref;
    uint32_t before; // 1 + place of the one before of the same ref
    bool out_of_order;
    bool has_histograms;
    bool used;
} LoadedChunk;

typedef struct Replay {
    Head *head;
    LoadedChunk *chunks;
    size_t chunk_count;
    size_t chunk_cap;
    RefMap chunk_of; // ref to 1 + place of its newest chunk
    RefMap marked;   // out-of-order chunks that their log names
    LabelKey *key;
    Arena arena; // of one record
    uint64_t series, samples, unknown, malformed, out_of_order_kept, refused;
    uint64_t holes; // segments with damage that is no torn end
    uint64_t records;
} Replay;

// A ref that anything on disk names is not given to another series, also if the log has lost whose it was.
static void keep_ref(Head *head, uint64_t ref)
{
    if (ref <= SERIES_REF_MAX)
        head->index.next_ref = MAX(head->index.next_ref, ref + 1);
}

// --- chunks ---

static bool load_chunk(void *arg, const HeadChunk *chunk, Error *err)
{
    Replay *r = arg;
    uint64_t *newest = ref_map_get(&r->chunk_of, chunk->series_ref);

    (void)err;
    if (!chunk->series_ref || chunk->min_t_ms > chunk->max_t_ms) {
        r->malformed++;
        return true;
    }
    if (r->chunk_count == r->chunk_cap) {
        r->chunk_cap = r->chunk_cap ? r->chunk_cap * 2 : 1024;
        r->chunks = x_realloc(r->chunks, r->chunk_cap * sizeof *r->chunks);
    }
    r->chunks[r->chunk_count++] =
        (LoadedChunk){.full = {chunk->ref, chunk->min_t_ms, chunk->max_t_ms},
                      .series_ref = chunk->series_ref,
                      .before = newest ? (uint32_t)*newest : 0,
                      .out_of_order = chunk->out_of_order,
                      .has_histograms = chunk_has_histograms(chunk->encoding)};
    ref_map_put(&r->chunk_of, chunk->series_ref, r->chunk_count);
    keep_ref(r->head, chunk->series_ref);
    return true;
}

static void attach_late_chunk(Replay *r, uint64_t ref, Series *series, const LoadedChunk *chunk)
{
    SeriesExtra *extra = head_extra(r->head, ref, series, true);

    if (extra->chunk_count == extra->chunk_cap) {
        extra->chunk_cap = extra->chunk_cap ? extra->chunk_cap * 2 : 4;
        extra->chunks = x_realloc(extra->chunks, extra->chunk_cap * sizeof *extra->chunks);
    }
    extra->chunks[extra->chunk_count++] =
        (OutOfOrderChunk){chunk->full.ref, chunk->full.min_t_ms, chunk->full.max_t_ms};
    SET(r->head->ooo_min_t, MIN(r->head->ooo_min_t, chunk->full.min_t_ms));
    SET(r->head->ooo_max_t, MAX(r->head->ooo_max_t, chunk->full.max_t_ms));
    COUNT(r->head, chunks, 1);
}

// A chunk older than some of the list: a series that was dropped and came back has chunks under two refs, and after a start under the
// first of them again. 0: it overlaps one that is there.
static PoolHandle add_between(Pool *pool, PoolHandle list, FullChunk chunk)
{
    size_t count = head_full_count(pool, list), at = 0;
    FullChunk *all = X_ARRAY(FullChunk, count + 1);
    PoolHandle grown = 0;

    if (count)
        head_full_decode(pool, list, all);
    while (at < count && all[at].max_t_ms < chunk.min_t_ms)
        at++;
    if (count < UINT16_MAX / FULL_CHUNK_BYTES_MAX - 1 &&
        (at == count || all[at].min_t_ms > chunk.max_t_ms)) {
        memmove(all + at + 1, all + at, (count - at) * sizeof *all);
        all[at] = chunk;
        grown = head_full_replace(pool, list, all, count + 1);
    }
    free(all);
    return grown;
}

// Gives the series the chunks that were written under `log_ref`. The open chunk is empty: its samples come later from the log.
static void attach_chunks(Replay *r, uint64_t log_ref, uint64_t ref, Series *series)
{
    Head *head = r->head;
    uint64_t *newest = ref_map_get(&r->chunk_of, log_ref);
    size_t count = 0;

    for (uint32_t at = newest ? (uint32_t)*newest : 0; at; at = r->chunks[at - 1].before)
        count++;
    if (!count)
        return;
    uint32_t *places = X_ARRAY(uint32_t, count);
    size_t fill = count;
    for (uint32_t at = (uint32_t)*newest; at; at = r->chunks[at - 1].before)
        places[--fill] = at - 1;
    for (size_t i = 0; i < count; i++) {
        LoadedChunk *chunk = &r->chunks[places[i]];
        bool has = series_flags(series) & SERIES_HAS_SAMPLES;
        if (chunk->used)
            continue;
        chunk->used = true;
        if (chunk->out_of_order) {
            attach_late_chunk(r, ref, series, chunk);
            continue;
        }
        // Older than what blocks hold, or overlapping: the samples are elsewhere, too.
        if (chunk->full.max_t_ms < head->options.min_valid_t_ms || series->chunk)
            continue;
        bool behind = !has || chunk->full.min_t_ms > series->xor_state.t_ms;
        PoolHandle list = behind ? head_full_add(&head->pool, series->full, chunk->full)
                                 : add_between(&head->pool, series->full, chunk->full);
        if (!list)
            continue;
        series->full = list;
        if (behind)
            series->xor_state.t_ms = chunk->full.max_t_ms;
        series_set_flags(
            series, SERIES_HAS_SAMPLES | (chunk->has_histograms ? SERIES_FULL_HISTOGRAM : 0), 0);
        head_append_note_time(head, chunk->full.min_t_ms);
        head_append_note_time(head, chunk->full.max_t_ms);
        COUNT(head, chunks, 1);
    }
    free(places);
}

// --- records ---

static bool labels_sorted(Labels labels)
{
    for (size_t i = 0; i < labels.count; i++) {
        if (!labels.pairs[i].value.len || labels.pairs[i].name.len > HEAD_LABEL_BYTES_MAX ||
            labels.pairs[i].value.len > HEAD_LABEL_BYTES_MAX)
            return false;
        if (i && str_compare(labels.pairs[i - 1].name, labels.pairs[i].name) >= 0)
            return false;
    }
    return labels.count > 0 && labels.count <= HEAD_LABELS_MAX;
}

static void replay_series(Replay *r, const WalEntry *e)
{
    Head *head = r->head;

    if (!e->ref || e->ref > SERIES_REF_MAX || !labels_sorted(e->labels)) {
        r->malformed++;
        return;
    }
    SeriesSlot slot = head_index_find(&head->index, e->labels, r->key);
    uint64_t ref = e->ref;
    if (slot) {
        ref = series_ref(series_at(&head->index.series, slot));
        if (ref != e->ref)
            ref_map_put(&head->twins, e->ref, ref);
    } else if (series_slot(&head->index.series, e->ref)) {
        r->malformed++; // two label sets under one ref
        return;
    } else {
        slot = head_append_create(head, e->labels, r->key, e->ref, false);
    }
    r->series++;
    head->index.next_ref = MAX(head->index.next_ref, e->ref + 1);
    attach_chunks(r, e->ref, ref, series_at(&head->index.series, slot));
}

// The series that a ref of the log means; 0 if none.
static SeriesSlot find_series(Replay *r, uint64_t *ref)
{
    SeriesSlot slot = series_slot(&r->head->index.series, *ref);

    if (LIKELY(slot != 0))
        return slot;
    uint64_t *twin = ref_map_get(&r->head->twins, *ref);
    if (twin) {
        *ref = *twin;
        return series_slot(&r->head->index.series, *ref);
    }
    r->unknown++;
    keep_ref(r->head, *ref);
    return 0;
}

static void replay_sample(Replay *r, const WalEntry *e)
{
    Head *head = r->head;
    uint64_t ref = e->ref;
    SeriesSlot slot = find_series(r, &ref);

    if (!slot || e->t_ms < head->options.min_valid_t_ms)
        return;
    Series *series = series_at(&head->index.series, slot);
    if (series_flags(series) & SERIES_HAS_SAMPLES && e->t_ms <= series->xor_state.t_ms) {
        // The newest of the full chunks: its value tells duplicates from now on.
        if (e->t_ms == series->xor_state.t_ms && !series->chunk && !e->histogram) {
            series->xor_state.value = chunk_xor_to_bits(e->value);
            series_set_flags(series, SERIES_HAS_VALUE, 0);
        }
        return;
    }
    bool ok = e->histogram ? head_append_histogram(head, ref, series, e->t_ms, e->histogram)
                           : head_append_float(head, ref, series, e->t_ms, e->value);
    if (!ok) {
        r->refused++;
        return;
    }
    head_starts_note(head, ref, series, e->start_ms);
    head_append_note_time(head, e->t_ms);
    r->samples++;
}

static void replay_tombstone(Replay *r, const WalEntry *e)
{
    uint64_t ref = e->ref;
    SeriesSlot slot = find_series(r, &ref);

    if (!slot || e->interval.min_t_ms > e->interval.max_t_ms)
        return;
    Series *series = series_at(&r->head->index.series, slot);
    intervals_add(&head_extra(r->head, ref, series, true)->deleted, e->interval);
}

static void replay_exemplar(Replay *r, const WalEntry *e)
{
    Head *head = r->head;
    uint64_t ref = e->ref;
    SeriesSlot slot = head->exemplars ? find_series(r, &ref) : 0;

    if (!slot)
        return;
    Labels labels =
        head_index_labels(&head->index, series_at(&head->index.series, slot)->labels, &r->arena);
    (void)head_exemplars_add(head->exemplars, ref, labels, &e->exemplar, head->window_ms);
}

static void replay_metadata(Replay *r, const WalEntry *e)
{
    Head *head = r->head;
    uint64_t ref = e->ref;
    SeriesSlot slot = find_series(r, &ref);

    if (!slot)
        return;
    Labels labels =
        head_index_labels(&head->index, series_at(&head->index.series, slot)->labels, &r->arena);
    Str name = labels_get(labels, LABEL_METRIC_NAME);
    if (name.len)
        (void)head_metadata_put(head, name, e->metadata);
}

static void replay_entry(Replay *r, WalRecordType type, const WalEntry *e)
{
    switch (type) {
    case WAL_SERIES:
        replay_series(r, e);
        break;
    case WAL_TOMBSTONES:
        replay_tombstone(r, e);
        break;
    case WAL_EXEMPLARS:
        replay_exemplar(r, e);
        break;
    case WAL_METADATA:
        replay_metadata(r, e);
        break;
    case WAL_MMAP_MARKERS:
        break;
    default:
        replay_sample(r, e);
    }
}

// --- out-of-order ---

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

// What was logged before the marker is in the chunk, if the chunk has survived: those samples leave the buffer.
static void replay_marker(Replay *r, const WalEntry *e)
{
    Head *head = r->head;
    uint64_t ref = e->ref;
    HeadChunkView view;
    Error err = {0};
    SeriesSlot slot = find_series(r, &ref);

    if (!slot || !e->chunk_ref)
        return;
    ref_map_put(&r->marked, e->chunk_ref, 1);
    SeriesExtra *extra = head_extra(head, ref, series_at(&head->index.series, slot), false);
    bool known = false;
    for (uint32_t i = 0; extra && i < extra->chunk_count; i++)
        known |= extra->chunks[i].ref == e->chunk_ref;
    if (!known || !extra->buffer_count ||
        !head_chunks_read(head->chunks, NULL, e->chunk_ref, &view, &err))
        return;
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
    SeriesSlot slot = find_series(r, &ref);
    OutOfOrderSample sample = {
        .t_ms = e->t_ms, .value = e->value, .histogram = e->histogram, .start_ms = e->start_ms};
    if (slot && head_out_of_order_insert(head, ref, series_at(&head->index.series, slot), &sample))
        r->out_of_order_kept++;
}

// An out-of-order chunk that its log does not name any more has had its block: it would bring back what was deleted there since.
static void drop_unmarked(Replay *r)
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

// --- segments ---

typedef void (*EntryFn)(Replay *r, WalRecordType type, const WalEntry *e);

static void replay_record(Replay *r, Str record, EntryFn each)
{
    WalEntry entry;

    arena_reset(&r->arena);
    WalRecordReader reader = wal_record_read(record, &r->arena);
    while (wal_record_next(&reader, &entry))
        each(r, reader.type, &entry);
    r->malformed += reader.failed;
    r->records++;
}

// A torn end of the newest segment was never acknowledged, or its write was cut by the crash.
static bool cut_tail(Head *head, Str path, const WalReader *reader, Error *err)
{
    File file = FILE_NONE;

    log_warn("log ends in a torn record, cutting it off", KV("segment", path),
             KV("at", (uint64_t)reader->good_end),
             KV("bytes", (uint64_t)(reader->bytes.len - reader->good_end)),
             KV("reason", reader->reason));
    if (!fs_open(head->fs, path, FS_READ_WRITE, &file, err))
        return false;
    bool ok = file_truncate(&file, reader->good_end, err) && file_sync(&file, err);
    file_close(&file);
    return ok;
}

// Writes the good records anew and keeps the damaged segment aside, so that Prometheus can read the log, too.
static bool rewrite_segment(Head *head, Str dir, uint32_t number, Str bytes, Error *err)
{
    Arena scratch = {0};
    Wal *wal = NULL;
    WalReader reader;
    Str record;
    Str path = wal_segment_path(&scratch, dir, number);
    Str aside = arena_printf(&scratch, STR_FMT ".damaged", STR_ARG(path));
    Str repair = arena_printf(&scratch, STR_FMT "/repair.tmp", STR_ARG(dir));

    for (int i = 1; fs_exists(head->fs, aside) && i < 1000; i++)
        aside = arena_printf(&scratch, STR_FMT ".damaged-%d", STR_ARG(path), i);
    bool ok =
        fs_remove_tree(head->fs, repair, err) && wal_open(head->fs, repair, 1u << 30, &wal, err);
    wal_reader_init(&reader, bytes);
    while (ok && wal_reader_next(&reader, &record)) {
        Buf packed = {0};
        WalRecord r = {.flags = wal_compress(head->options.wal_compression, record, &packed)};
        r.bytes = buf_str(&packed);
        ok = wal_write(wal, &r, 1, err);
        buf_deinit(&packed);
    }
    wal_reader_deinit(&reader);
    ok = ok && wal_sync(wal, err);
    wal_close(wal);
    ok = ok && fs_rename(head->fs, path, aside, err) &&
         fs_rename(head->fs, wal_segment_path(&scratch, repair, 0), path, err) &&
         fs_remove_tree(head->fs, repair, err) && fs_sync_dir(head->fs, dir, err);
    if (ok)
        log_warn("log segment was damaged: kept its good records, the original is aside",
                 KV("segment", path), KV("original", aside));
    arena_deinit(&scratch);
    return ok;
}

static bool replay_segment(Replay *r, Str dir, uint32_t number, bool last, EntryFn each, Error *err)
{
    Head *head = r->head;
    Arena scratch = {0};
    FsMap map;
    WalReader reader;
    Str record;
    Str path = wal_segment_path(&scratch, dir, number);

    bool ok = fs_map(head->fs, path, &map, err);
    if (!ok) {
        arena_deinit(&scratch);
        return false;
    }
    wal_reader_init(&reader, map.bytes);
    while (wal_reader_next(&reader, &record))
        replay_record(r, record, each);
    if (reader.damage_start != SIZE_MAX) {
        COUNT(head, wal_corruptions, 1);
        bool only_tail = reader.damages == 1 && reader.tail_torn;
        r->holes += !only_tail || !last;
        if (!only_tail || !last)
            log_error("log segment is damaged, stepping over it", KV("segment", path),
                      KV("at", (uint64_t)reader.damage_start), KV("lost_bytes", reader.lost_bytes),
                      KV("places", reader.damages), KV("reason", reader.reason));
        ok = only_tail && last ? cut_tail(head, path, &reader, err)
                               : rewrite_segment(head, dir, number, map.bytes, err);
        if (!ok) { // what was read is in memory; the disk may recover
            log_error("cannot repair a log segment, going on without", KV("segment", path),
                      KV("err", err->text));
            ok = true;
        }
    }
    wal_reader_deinit(&reader);
    fs_unmap(&map);
    arena_deinit(&scratch);
    return ok;
}

static bool replay_dir(Replay *r, Str dir, uint32_t from, EntryFn each, Error *err)
{
    Arena scratch = {0};
    WalSegments segments;

    bool ok = wal_list(r->head->fs, dir, &scratch, &segments, err);
    for (size_t i = 0; ok && i < segments.count; i++) {
        WalSegment s = segments.items[i];
        if (s.number < from || !s.bytes)
            continue;
        if (i > 0 && segments.items[i - 1].number >= from &&
            segments.items[i - 1].number + 1 != s.number)
            log_error("log segments are missing, going on behind them", KV("dir", dir),
                      KV("after", segments.items[i - 1].number), KV("next", s.number));
        ok = replay_segment(r, dir, s.number, i + 1 == segments.count, each, err);
    }
    arena_deinit(&scratch);
    return ok ? true : error_context(err, "replay " STR_FMT, STR_ARG(dir));
}

// Leftovers of a checkpoint or repair that a crash has cut short.
static bool remove_leftovers(Head *head, Error *err)
{
    Arena scratch = {0};
    FsList list = {0};
    bool ok = !fs_exists(head->fs, head->wal_dir) ||
              fs_list(head->fs, head->wal_dir, &scratch, &list, err);

    for (size_t i = 0; ok && i < list.count; i++)
        if (list.entries[i].is_dir && str_ends_with(list.entries[i].name, S(".tmp")))
            ok = fs_remove_tree(head->fs, fs_join(&scratch, head->wal_dir, list.entries[i].name),
                                err);
    arena_deinit(&scratch);
    return ok;
}

static bool replay_logs(Replay *r, Error *err)
{
    Head *head = r->head;
    Arena scratch = {0};
    Str checkpoint;
    uint32_t number = 0;
    uint32_t from = 0;
    bool ok = remove_leftovers(head, err);

    if (ok)
        err->code =
            ERR_NONE; // callers hand over whatever was on their stack; below it tells absence from failure
    if (ok && wal_find_checkpoint(head->fs, head->wal_dir, &scratch, &checkpoint, &number, err)) {
        ok = replay_dir(r, checkpoint, 0, replay_entry, err);
        from = number + 1;
    } else if (err->code != ERR_NONE) {
        ok = false;
    }
    ok = ok && replay_dir(r, head->wal_dir, from, replay_entry, err);
    uint64_t holes = r->holes;
    ok = ok && replay_dir(r, head->wbl_dir, 0, replay_late, err);
    // A log that is gone or damaged may have lost the names of chunks that nothing else holds. Of a torn end the samples stand before it.
    if (ok && holes == r->holes && fs_exists(head->fs, head->wbl_dir))
        drop_unmarked(r);
    arena_deinit(&scratch);
    return ok;
}

// Refs that mean another one's series stay in checkpoints while segments may name them.
static void keep_twins(Head *head, Arena *scratch)
{
    WalSegments segments = {0};
    Error err = {0};

    if (!head->twins.count || !wal_list(head->fs, head->wal_dir, scratch, &segments, &err) ||
        !segments.count)
        return;
    for (size_t i = 0; i < head->twins.size; i++)
        if (head->twins.entries[i].ref)
            ref_map_put(&head->expired, head->twins.entries[i].ref,
                        segments.items[segments.count - 1].number);
}

static void report(const Replay *r, const HeadChunksRepair *repair)
{
    Head *head = r->head;

    if (repair->torn) {
        COUNT(head, mmap_chunk_corruptions, 1);
        log_warn("head chunk file was torn, its samples come from the log where it has them",
                 KV("file", repair->file), KV("at", repair->offset),
                 KV("lost_bytes", repair->lost_bytes), KV("reason", repair->reason));
    }
    if (r->unknown)
        log_warn("entries of series that the log does not define, ignoring them",
                 KV("entries", r->unknown));
    if (r->malformed)
        log_warn("malformed entries in the log, ignoring them", KV("entries", r->malformed));
    log_info("replayed the log", KV("series", r->series), KV("samples", r->samples),
             KV("out_of_order", r->out_of_order_kept), KV("chunks", r->chunk_count),
             KV("records", r->records), KV("took_ms", head->counters.replay_ms));
}

bool head_replay(Head *head, Error *err)
{
    Replay r = {.head = head, .key = X_NEW(LabelKey)};
    HeadChunksRepair repair = {0};
    int64_t start = clock_mono_ns(&clock_system);

    bool ok =
        head_chunks_open(head->fs, head->chunks_dir, load_chunk, &r, &head->chunks, &repair, err) &&
        replay_logs(&r, err);
    // Going on without them would put them into no block, and the log would be cut behind them.
    if (ok && r.refused)
        ok = error_set(err, ERR_IO,
                       "%llu samples of the log found no room: the disk takes no full chunks",
                       (unsigned long long)r.refused);
    head->counters.replay_ms = (clock_mono_ns(&clock_system) - start) / 1000000;
    if (ok) {
        keep_twins(head, &r.arena);
        report(&r, &repair);
    }
    free(r.key);
    free(r.chunks);
    ref_map_deinit(&r.chunk_of);
    ref_map_deinit(&r.marked);
    arena_deinit(&r.arena);
    return ok;
}
