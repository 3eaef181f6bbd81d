// SPDX-License-Identifier: Apache-2.0
// What a clean shutdown has left beside the log (chunk_snapshot.h): series, their open chunks, deletions and exemplars.
//
// It is read twice: first every byte is checked, then it goes into the head, where nothing can fail any more. Otherwise half of it might be
// in memory when the rest turns out to be damaged.
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

// The log still begins where the snapshot ends. False, without an error: it does not.
static bool log_fits(Replay *r, ChunkSnapshotPlace place, uint32_t first_segment,
                     const char **ret_why)
{
    CLEANUP(arena_deinit) Arena scratch = {0};
    WalSegments segments = {0};
    Error err = {0};

    *ret_why = "the log has been cut behind it";
    if (place.segment < first_segment ||
        !wal_list(r->head->fs, r->head->wal_dir, &scratch, &segments, &err))
        return false;
    for (size_t i = 0; i < segments.count; i++)
        if (segments.items[i].number == place.segment) {
            *ret_why = "the log is another one now";
            return segments.items[i].bytes == place.offset || !place.offset;
        }
    return false;
}

bool replay_snapshot_find(Replay *r, uint32_t first_segment)
{
    Head *head = r->head;
    CLEANUP(arena_deinit) Arena scratch = {0};
    WalSegments segments = {0};
    Error err = {0};
    const char *why = "";

    if (!chunk_snapshot_find(head->fs, head->options.dir, &scratch, &r->snapshot, &err)) {
        if (err.code)
            log_warn("cannot look for a snapshot of open chunks, reading the whole log",
                     KV("err", &err));
        return false;
    }
    Str dir = chunk_snapshot_dir(&scratch, head->options.dir, r->snapshot);
    if (!log_fits(r, r->snapshot, first_segment, &why)) {
        log_info("the snapshot of open chunks is not used, reading the whole log", KV("dir", dir),
                 KV("reason", why));
        r->passed.below = r->snapshot.segment < first_segment ? first_segment : 0;
        return false;
    }
    if (wal_list(head->fs, dir, &scratch, &segments, &err) && check_all(r, dir, &segments, &err))
        return true;
    COUNT(head, snapshot_errors, 1);
    log_error("the snapshot of open chunks is damaged, reading the whole log", KV("dir", dir),
              KV("err", &err));
    return false;
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
    return chunk_snapshot_remove_from(head->fs, head->options.dir, first_segment, err) &&
           fs_sync_dir(head->fs, head->options.dir, err);
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
