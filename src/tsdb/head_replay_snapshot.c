// SPDX-License-Identifier: Apache-2.0
// What a clean shutdown has left beside the log (chunk_snapshot.h): series, their open chunks, deletions and exemplars.
//
// It is read twice: first every byte is checked, then it goes into the head, where nothing can fail any more. Otherwise half of it might be
// in memory when the rest turns out to be damaged.
#include <stdlib.h>

#include "tsdb/head_replay_internal.h"
#include "tsdb/head_replay_pipe.h"
#include "tsdb/head_replay_shards.h"

// More series than this are not created and dropped again behind the newest one that lives.
#define REF_GAP (UINT64_C(1) << 24)
#define SCAN_BYTES_MAX (UINT64_C(64) << 20)

typedef bool (*EachRecord)(Replay *r, Str record, Error *err);

// --- checking ---

static bool check_series(Replay *r, Str record, Error *err)
{
    ChunkSnapshotSeries s;
    ChunkColumns columns = {.arena = &r->arena};

    if (!chunk_snapshot_read_series(record, &r->arena, &s, err))
        return false;
    if (s.encoding == CHUNK_NONE)
        return true;
    if (!chunk_decode(s.encoding, s.chunk, INT64_MIN, INT64_MAX, &columns, err))
        return error_context(err, "series %llu", (unsigned long long)s.ref);
    const SampleColumns *c = &columns.columns;
    for (size_t i = 1; i < c->count; i++)
        if (c->t_ms[i] <= c->t_ms[i - 1])
            return error_set(err, ERR_CORRUPT, "series %llu: times do not rise",
                             (unsigned long long)s.ref);
    return true;
}

static bool check_record(Replay *r, Str record, Error *err)
{
    Tombstones tombstones = {0};
    WalEntry entry;

    arena_reset(&r->arena);
    switch (record.len ? record.ptr[0] : 0) {
    case CHUNK_SNAPSHOT_SERIES:
        return check_series(r, record, err);
    case CHUNK_SNAPSHOT_TOMBSTONES:
        if (!chunk_snapshot_read_tombstones(record, &tombstones, err))
            return false;
        tombstones_deinit(&tombstones);
        return true;
    case CHUNK_SNAPSHOT_EXEMPLARS: {
        WalRecordReader reader =
            wal_record_read(chunk_snapshot_read_exemplars(record, &r->arena), &r->arena);
        while (wal_record_next(&reader, &entry))
            continue;
        return reader.failed ? error_set(err, ERR_CORRUPT, "malformed record of exemplars") : true;
    }
    default:
        return error_set(err, ERR_CORRUPT, "a record of no known kind");
    }
}

static bool check_segment(Replay *r, Str path, Error *err)
{
    FsMap map;
    WalReader reader;
    Str record;
    bool ok = true;

    if (!fs_map(r->head->fs, path, &map, err))
        return false;
    wal_reader_init(&reader, map.bytes);
    while (ok && wal_reader_next(&reader, &record))
        ok = check_record(r, record, err);
    if (ok && reader.damage_start != SIZE_MAX)
        ok = error_set(err, ERR_CORRUPT, "at %zu: %s", reader.damage_start, reader.reason);
    wal_reader_deinit(&reader);
    fs_unmap(&map);
    return ok ? true : error_context(err, STR_FMT, STR_ARG(path));
}

static bool check_all(Replay *r, Str dir, const WalSegments *segments, Error *err)
{
    CLEANUP(arena_deinit) Arena scratch = {0};

    if (!segments->count)
        return error_set(err, ERR_CORRUPT, STR_FMT " is empty", STR_ARG(dir));
    for (size_t i = 0; i < segments->count; i++) {
        if (segments->items[i].number != i)
            return error_set(err, ERR_CORRUPT, STR_FMT " lacks its file %08zu", STR_ARG(dir), i);
        if (segments->items[i].bytes &&
            !check_segment(r, wal_segment_path(&scratch, dir, (uint32_t)i), err))
            return false;
    }
    return true;
}

// The log still begins where the snapshot ends. *ret_why is NULL if so.
static bool log_fits(Replay *r, ChunkSnapshotPlace place, uint32_t first_segment,
                     const char **ret_why, Error *err)
{
    CLEANUP(arena_deinit) Arena scratch = {0};
    WalSegments segments = {0};

    if (!wal_list(r->head->fs, r->head->wal_dir, &scratch, &segments, err))
        return false;
    *ret_why = "the log has been cut behind it";
    for (size_t i = 0; i < segments.count; i++)
        if (place.segment >= first_segment && segments.items[i].number == place.segment)
            *ret_why = segments.items[i].bytes == place.offset || !place.offset
                           ? NULL
                           : "the log is another one now";
    return true;
}

static bool forget(Head *head, uint64_t first_segment, Error *err)
{
    return chunk_snapshot_remove_from(head->fs, head->options.dir, first_segment, err) &&
           fs_sync_dir(head->fs, head->options.dir, err);
}

bool replay_snapshot_find(Replay *r, uint32_t first_segment, Error *err)
{
    Head *head = r->head;
    CLEANUP(arena_deinit) Arena scratch = {0};
    WalSegments segments = {0};
    Error damage = {0};
    const char *why = "";

    if (!chunk_snapshot_find(head->fs, head->options.dir, &scratch, &r->snapshot, err))
        return err->code == ERR_NONE || error_context(err, "look for a snapshot of open chunks");
    Str dir = chunk_snapshot_dir(&scratch, head->options.dir, r->snapshot);
    if (!log_fits(r, r->snapshot, first_segment, &why, err))
        return false;
    if (why) {
        log_info("the snapshot of open chunks is not used, reading the whole log", KV("dir", dir),
                 KV("reason", why));
        r->passed.below = r->snapshot.segment < first_segment ? first_segment : 0;
        return true;
    }
    r->has_snapshot = wal_list(head->fs, dir, &scratch, &segments, &damage) &&
                      check_all(r, dir, &segments, &damage);
    if (r->has_snapshot)
        return true;
    COUNT(head, snapshot_errors, 1);
    log_error("the snapshot of open chunks is damaged, reading the whole log and removing it",
              KV("dir", dir), KV("err", &damage));
    // The log goes on with series that it alone has. A start that reads the snapshot after all, as a disk may recover, would not know them.
    return forget(head, first_segment, err);
}

bool replay_snapshot_forget(void *arg, Error *err)
{
    CLEANUP(arena_deinit) Arena scratch = {.next = NULL};
    const Replay *r = arg;
    Head *head = r->head;
    uint64_t first_segment = 0;
    uint32_t number = 0;
    Str checkpoint;

    if (wal_find_checkpoint(head->fs, head->wal_dir, &scratch, &checkpoint, &number, err))
        first_segment = number + UINT64_C(1);
    else if (err->code != ERR_NONE)
        return false;
    return forget(head, first_segment, err);
}

// --- loading ---

static void load_chunk(Replay *r, const ChunkSnapshotSeries *s)
{
    ChunkColumns columns = {.arena = &r->arena};
    Error err = {0};

    bool ok = chunk_decode(s->encoding, s->chunk, INT64_MIN, INT64_MAX, &columns, &err);
    ASSERT(ok); // it was looked at before
    const SampleColumns *c = &columns.columns;
    uint64_t ref = s->ref;
    SeriesSlot slot = replay_find_series(r, &ref, HEAD_UNKNOWN_SAMPLES);
    for (size_t i = 0; slot && i < c->count; i++)
        if (c->t_ms[i] >= r->head->options.min_valid_t_ms)
            replay_shards_add(r->shards, slot, c->t_ms[i], c->value[i],
                              c->histograms ? c->histograms[i] : NULL,
                              c->start_ms ? c->start_ms[i] : 0);
}

static void load_series(Replay *r, Str record)
{
    ChunkSnapshotSeries s;
    Error err = {0};

    bool ok = chunk_snapshot_read_series(record, &r->arena, &s, &err);
    ASSERT(ok);
    // The image has brought those that it knows, with their chunks on disk.
    if (!r->imaged || !series_slot(&r->head->index.series, s.ref))
        replay_series(r, &(WalEntry){.ref = s.ref, .labels = s.labels});
    SeriesSlot slot = series_slot(&r->head->index.series, s.ref);
    if (slot && slot < r->named_end)
        r->named[slot] = 1;
    if (s.encoding != CHUNK_NONE)
        load_chunk(r, &s);
}

static void load_tombstones(Replay *r, Str record)
{
    Tombstones tombstones = {0};
    Error err = {0};

    bool ok = chunk_snapshot_read_tombstones(record, &tombstones, &err);
    ASSERT(ok);
    for (size_t i = 0; i < tombstones.count; i++)
        for (size_t k = 0; k < tombstones.entries[i].intervals.count; k++)
            replay_tombstone(r, &(WalEntry){.ref = tombstones.entries[i].ref,
                                            .interval = tombstones.entries[i].intervals.items[k]});
    tombstones_deinit(&tombstones);
}

void replay_snapshot_record(Replay *r, Str record)
{
    CLEANUP(arena_deinit) Arena scratch = {0};

    arena_reset(&r->arena);
    switch (record.ptr[0]) {
    case CHUNK_SNAPSHOT_SERIES:
        load_series(r, record);
        break;
    case CHUNK_SNAPSHOT_TOMBSTONES:
        load_tombstones(r, record);
        break;
    case CHUNK_SNAPSHOT_EXEMPLARS:
        replay_define(r, chunk_snapshot_read_exemplars(record, &scratch));
        break;
    }
}

static bool read_segment(Replay *r, Str path, Error *err)
{
    FsMap map;
    WalReader reader;

    if (!fs_map(r->head->fs, path, &map, err))
        return false;
    wal_reader_init(&reader, map.bytes);
    while (replay_pipe_read(r->pipe, &reader))
        continue;
    wal_reader_deinit(&reader);
    fs_unmap(&map);
    return true;
}

bool replay_snapshot_read(Replay *r, Error *err)
{
    CLEANUP(arena_deinit) Arena scratch = {0};
    WalSegments segments = {0};
    Str dir = chunk_snapshot_dir(&scratch, r->head->options.dir, r->snapshot);
    bool ok = wal_list(r->head->fs, dir, &scratch, &segments, err);

    for (size_t i = 0; ok && i < segments.count; i++)
        ok = !segments.items[i].bytes ||
             read_segment(r, wal_segment_path(&scratch, dir, segments.items[i].number), err);
    return ok ? true : error_context(err, "read " STR_FMT, STR_ARG(dir));
}

// --- series of the image that the snapshot does not have ---

static bool is_behind(WalPlace image, ChunkSnapshotPlace snapshot)
{
    return image.segment > snapshot.segment ||
           (image.segment == snapshot.segment && image.offset > snapshot.offset);
}

void replay_snapshot_name_begin(Replay *r)
{
    if (!r->has_snapshot || is_behind(r->known, r->snapshot))
        return;
    r->named_end = r->head->index.series.slots;
    r->named = X_ARRAY(uint8_t, r->named_end);
}

typedef struct Unnamed {
    Replay *r;
    uint64_t *refs; // rising
    size_t count;
} Unnamed;

static bool note_unnamed(void *arg, uint64_t ref, Series *series)
{
    Unnamed *unnamed = arg;
    Replay *r = unnamed->r;
    Head *head = r->head;
    SeriesSlot slot = series_slot(&head->index.series, ref);
    SeriesExtra *extra;

    if (slot >= r->named_end || r->named[slot])
        return true;
    unnamed->refs[unnamed->count++] = ref;
    replay_end_series(r, ref, series, INT64_MAX);
    extra = head_extra(head, ref, series, false);
    if (extra) { // late chunks that have had their block
        COUNT(head, chunks, -(uint64_t)extra->chunk_count);
        ref_map_remove(&head->extras[series_stripe(ref)], ref);
        head_extra_free(extra);
    }
    return true;
}

void replay_snapshot_name_end(Replay *r)
{
    Head *head = r->head;
    Unnamed unnamed = {.r = r};

    if (!r->named)
        return;
    unnamed.refs = X_ARRAY(uint64_t, r->named_end);
    head_each_series(head, note_unnamed, &unnamed);
    head_index_remove(&head->index, unnamed.refs, unnamed.count);
    for (size_t i = 0; i < unnamed.count; i++) {
        lock_take(&head->stripes[series_stripe(unnamed.refs[i])]);
        series_table_remove(&head->index.series, unnamed.refs[i]);
        lock_give(&head->stripes[series_stripe(unnamed.refs[i])]);
    }
    COUNT(head, series_removed, unnamed.count);
    COUNT(head, series, -unnamed.count);
    free(unnamed.refs);
    free(r->named);
    r->named = NULL;
    r->named_end = 0;
}

// --- refs that the skipped part of the log has given to series that are gone ---

static void note_refs(Replay *r, Str path)
{
    CLEANUP(arena_deinit) Arena scratch = {0};
    FsMap map;
    WalReader reader;
    Str record;
    WalEntry entry;
    Error err = {0};

    if (!fs_map(r->head->fs, path, &map, &err))
        return; // whoever has to read it will tell
    wal_reader_init(&reader, map.bytes);
    while (wal_reader_next(&reader, &record)) {
        if (!record.len || record.ptr[0] != WAL_SERIES)
            continue;
        arena_reset(&scratch);
        WalRecordReader in = wal_record_read(record, &scratch);
        while (wal_record_next(&in, &entry))
            if (entry.ref <= SERIES_REF_MAX)
                r->head->index.next_ref = MAX(r->head->index.next_ref, entry.ref + 1);
    }
    wal_reader_deinit(&reader);
    fs_unmap(&map);
}

// A long log is not read for that: then a gap is left that is larger than what it can have.
void replay_snapshot_keep_refs(Replay *r, Str checkpoint, uint32_t from)
{
    Head *head = r->head;
    CLEANUP(arena_deinit) Arena scratch = {0};
    const Str dirs[] = {checkpoint, head->wal_dir};
    uint64_t bytes = 0;

    if (r->imaged) // it knows the next one
        return;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t d = 0; d < COUNT_OF(dirs); d++) {
            WalSegments segments = {0};
            Error err = {0};
            if (!dirs[d].len || !wal_list(head->fs, dirs[d], &scratch, &segments, &err))
                continue;
            for (size_t i = 0; i < segments.count; i++) {
                WalSegment s = segments.items[i];
                bool skipped = d == 0 || (s.number >= from && s.number <= r->snapshot.segment);
                if (!skipped || !s.bytes)
                    continue;
                if (pass == 0)
                    bytes += s.bytes;
                else
                    note_refs(r, wal_segment_path(&scratch, dirs[d], s.number));
            }
        }
        if (bytes > SCAN_BYTES_MAX) {
            head->index.next_ref += REF_GAP;
            return;
        }
    }
}
