// SPDX-License-Identifier: Apache-2.0
// A snapshot of open chunks that a checkpoint has passed. Its samples are in blocks or in the log by now, but a Prometheus loads it all the
// same, and goes on with series that ended before the checkpoint under the refs they have there: nothing else says what these refs mean.
//
// They are looked up here when the log names them. At the end the log is told, so that no start needs the snapshot again, and it goes.
#include <stdlib.h>

#include "tsdb/head_image.h"
#include "tsdb/head_replay_internal.h"

#define BATCH_BYTES 1000000
#define SEGMENT_BYTES (UINT64_C(1) << 40) // all definitions go into one

typedef void (*EachRecord)(Replay *r, Str record);

// --- reading ---

// False: not every byte of it was read.
static bool each_record_of(Replay *r, Str path, EachRecord each)
{
    FsMap map;
    WalReader reader;
    Str record;
    Error err = {0};

    if (!fs_map(r->head->fs, path, &map, &err))
        return false;
    wal_reader_init(&reader, map.bytes);
    while (wal_reader_next(&reader, &record)) {
        arena_reset(&r->arena);
        if (record.len)
            each(r, record);
    }
    bool whole = reader.damage_start == SIZE_MAX;
    wal_reader_deinit(&reader);
    fs_unmap(&map);
    return whole;
}

static bool each_record(Replay *r, Str dir, uint32_t from, EachRecord each)
{
    CLEANUP(arena_deinit) Arena scratch = {.next = NULL};
    WalSegments segments = {0};
    Error err = {0};
    bool whole = wal_list(r->head->fs, dir, &scratch, &segments, &err);

    for (size_t i = 0; i < segments.count; i++)
        if (segments.items[i].number >= from && segments.items[i].bytes)
            whole &=
                each_record_of(r, wal_segment_path(&scratch, dir, segments.items[i].number), each);
    return whole;
}

static void note_ref(Replay *r, Str record)
{
    ChunkSnapshotSeries s;
    Error err = {0};

    if (record.ptr[0] != CHUNK_SNAPSHOT_SERIES)
        return;
    if (!chunk_snapshot_read_series(record, &r->arena, &s, &err) || !s.ref)
        r->passed.damaged = true;
    else
        ref_map_put(&r->passed.labels, s.ref, 0);
}

static void forget_defined(Replay *r, Str record)
{
    WalEntry entry;

    if (record.ptr[0] != WAL_SERIES)
        return;
    WalRecordReader in = wal_record_read(record, &r->arena);
    while (wal_record_next(&in, &entry))
        ref_map_remove(&r->passed.labels, entry.ref);
}

static void keep_labels(Replay *r, Str record)
{
    PassedSnapshot *passed = &r->passed;
    ChunkSnapshotSeries s;
    Error err = {0};

    if (record.ptr[0] != CHUNK_SNAPSHOT_SERIES ||
        !chunk_snapshot_read_series(record, &r->arena, &s, &err))
        return;
    uint64_t *place = ref_map_get(&passed->labels, s.ref);
    if (!place)
        return;
    Labels *labels = ARENA_NEW(&passed->arena, Labels);
    *labels = labels_copy(&passed->arena, s.labels);
    *place = (uintptr_t)labels;
}

// What the log defines means what it says there, also before: most of the snapshot's series need no labels here.
void replay_passed_read(Replay *r, Str checkpoint)
{
    CLEANUP(arena_deinit) Arena scratch = {.next = NULL};
    PassedSnapshot *passed = &r->passed;
    Str dir = chunk_snapshot_dir(&scratch, r->head->options.dir, r->snapshot);

    passed->checkpoint = arena_str(&passed->arena, checkpoint);
    passed->damaged |= !each_record(r, dir, 0, note_ref);
    (void)each_record(r, checkpoint, 0, forget_defined); // the replay tells what is damaged
    (void)each_record(r, r->head->wal_dir, passed->below, forget_defined);
    if (passed->labels.count)
        (void)each_record(r, dir, 0, keep_labels);
    if (passed->damaged)
        log_warn("an old snapshot of open chunks is damaged, taking what it says of series",
                 KV("dir", dir));
}

bool replay_passed_define(Replay *r, uint64_t ref)
{
    PassedSnapshot *passed = &r->passed;
    const Labels *labels = ref_map_pointer(&passed->labels, ref);

    if (!labels)
        return false;
    ref_map_remove(&passed->labels, ref);
    if (passed->taken_count == passed->taken_cap) {
        passed->taken_cap = passed->taken_cap ? passed->taken_cap * 2 : 64;
        passed->taken = x_realloc(passed->taken, passed->taken_cap * sizeof *passed->taken);
    }
    passed->taken[passed->taken_count++] = (PassedSeries){ref, labels};
    replay_series(r, &(WalEntry){.ref = ref, .labels = *labels});
    return true;
}

// --- telling the log ---

static bool write_definitions(Replay *r, Wal *wal, Error *err)
{
    const PassedSnapshot *passed = &r->passed;
    WalRecordWriter writer = {0};
    Buf raw = {0};
    Buf packed = {0};
    bool ok = true;

    for (size_t i = 0; ok && i < passed->taken_count; i++) {
        if (!writer.count)
            writer = wal_record_begin(&raw, WAL_SERIES);
        wal_record_series(&writer, passed->taken[i].ref, *passed->taken[i].labels);
        if (raw.len < BATCH_BYTES && i + 1 < passed->taken_count)
            continue;
        WalRecord record = {
            .flags = wal_compress(r->head->options.wal_compression, buf_str(&raw), &packed)};
        record.bytes = buf_str(&packed);
        ok = wal_write(wal, &record, 1, err);
        writer.count = 0;
        buf_reset(&raw);
        buf_reset(&packed);
    }
    buf_deinit(&raw);
    buf_deinit(&packed);
    return ok;
}

// From the next page on, so that the records keep their fragments.
static bool append_segment(Fs *fs, Str to, Str from, Error *err)
{
    static const char zeros[WAL_PAGE_BYTES];
    CLEANUP(file_close) File file = FILE_NONE;
    FsMap map;
    uint64_t bytes = 0;

    if (!fs_map(fs, from, &map, err))
        return false;
    bool ok = fs_open(fs, to, FS_APPEND, &file, err) && file_size(&file, &bytes, err) &&
              file_write(&file, (Str){zeros, (size_t)(-bytes % WAL_PAGE_BYTES)}, err) &&
              file_write(&file, map.bytes, err) && file_sync(&file, err);
    fs_unmap(&map);
    return ok;
}

// The first file of the checkpoint anew, with the definitions in front: they must stand before what names them.
static bool define_in_checkpoint(Replay *r, Error *err)
{
    CLEANUP(arena_deinit) Arena scratch = {.next = NULL};
    Fs *fs = r->head->fs;
    Str dir = r->passed.checkpoint;
    Str tmp = fs_join(&scratch, r->head->wal_dir, S("define.tmp"));
    Str made = wal_segment_path(&scratch, tmp, 0);
    WalSegments segments = {0};
    Wal *wal = NULL;

    bool ok = wal_list(fs, dir, &scratch, &segments, err) && fs_remove_tree(fs, tmp, err) &&
              wal_open(fs, tmp, SEGMENT_BYTES, &wal, err) && write_definitions(r, wal, err) &&
              wal_sync(wal, err);
    wal_close(wal);
    Str first = wal_segment_path(&scratch, dir, segments.count ? segments.items[0].number : 0);
    if (ok && segments.count && segments.items[0].bytes)
        ok = append_segment(fs, made, first, err);
    return ok && fs_rename(fs, made, first, err) && fs_sync_dir(fs, dir, err) &&
           fs_remove_tree(fs, tmp, err);
}

// Whoever has an image of the series does not look for them in the checkpoint.
static bool remove_image(Head *head, Error *err)
{
    CLEANUP(arena_deinit) Arena scratch = {.next = NULL};
    Str path = fs_join(&scratch, head->options.dir, S(HEAD_IMAGE_NAME));

    head->image.stale = true;
    return !fs_exists(head->fs, path) ||
           (fs_unlink(head->fs, path, err) && fs_sync_dir(head->fs, head->options.dir, err));
}

// The checkpoint knows as much as the snapshot.
static bool tell_log(Replay *r)
{
    Error err = {0};

    if (!r->passed.taken_count)
        return true;
    if (!remove_image(r->head, &err) || !define_in_checkpoint(r, &err)) {
        log_warn("cannot tell the log of series that only an old snapshot of open chunks defines, "
                 "keeping it",
                 KV("series", r->passed.taken_count), KV("err", &err));
        r->head->snapshot_defines = true;
        return false;
    }
    log_info("told the log of series that only an old snapshot of open chunks defines",
             KV("series", r->passed.taken_count));
    return true;
}

// With it there a Prometheus would drop the late chunks of series that snapshot and checkpoint name. One that is damaged stays while the log
// has riddles that it may once have answered.
void replay_passed_settle(Replay *r)
{
    const HeadCounters *c = &r->head->counters;
    bool unknown = c->wal_unknown[HEAD_UNKNOWN_SERIES] || c->wbl_unknown[HEAD_UNKNOWN_SERIES];
    Error err = {0};

    if (r->passed.below && tell_log(r) && !(r->passed.damaged && unknown) &&
        !chunk_snapshot_remove_below(r->head->fs, r->head->options.dir, r->passed.below, &err))
        log_warn("an old snapshot of open chunks cannot be removed, ignoring", KV("err", &err));
}

void replay_passed_deinit(PassedSnapshot *passed)
{
    ref_map_deinit(&passed->labels);
    free(passed->taken);
    arena_deinit(&passed->arena);
}
