// SPDX-License-Identifier: Apache-2.0
// Rebuilds the head from chunks_head, the newest checkpoint, the log and the log of out-of-order samples.
//
//     this thread: chunks_head            replay-image: series of the image
//     this thread: files to records  -->  replay-define: records to series  -->  that one and replay-0, ...: samples into series
//
// Nobody else knows the head yet.
#include <stdlib.h>

#include "base/footprint.h"
#include "tsdb/head_replay_internal.h"
#include "tsdb/head_replay_pipe.h"
#include "tsdb/head_replay_shards.h"
#include "tsdb/head_settled.h"

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

// --- the image of the series ---

static void load_image(void *arg)
{
    Replay *r = arg;

    r->image_failed = !head_image_load(r->head, &r->image);
}

// Whatever is wrong with the image, the log has all of it. While its series are made others look at the chunks on disk; whoever touches
// the index waits for them first (await_image).
static bool find_image(Replay *r, uint32_t first_segment, Error *err)
{
    Head *head = r->head;

    head->image = (HeadImageState){.stale = true};
    r->imaged = head_image_open(head, first_segment, &r->image);
    if (!r->imaged)
        return true;
    r->known = (WalPlace){.segment = r->image.segment, .offset = r->image.offset};
    Str reserved = series_table_reserve(&head->index.series, r->image.series);
    r->image_waits = thread_start(&r->image_thread, "replay-image", load_image, r, err);
    if (r->image_waits)
        footprint_touch((void *)(uintptr_t)reserved.ptr, reserved.len);
    return r->image_waits;
}

static void await_image(Replay *r)
{
    if (r->image_waits)
        thread_join(&r->image_thread);
    r->image_waits = false;
}

static void take_image(Replay *r)
{
    Head *head = r->head;

    await_image(r);
    if (!r->image_failed) {
        r->series += head->index.series.count;
        replay_chunks_attach_all(r);
        replay_snapshot_name_begin(r);
        head->image.created = GET(head->counters.series_created);
        head->image.segment = r->image.segment;
        head->image.stale = false;
    }
    head_image_close(&r->image);
}

// --- the threads ---

static void begin_define(void *arg)
{
    Replay *r = arg;

    if (r->image_waits)
        take_image(r);
    // What is on disk keeps its refs, also if the log has lost whose they are.
    r->head->index.next_ref = MAX(r->head->index.next_ref, r->chunks.next_ref);
    r->shards = replay_shards_new(r->head, r->head->options.replay_threads, r->room);
    r->room = STR_NONE;
}

static void define(void *arg, Str record)
{
    Replay *r = arg;

    if (!r->image_failed)
        replay_define(r, record);
}

static void define_snapshot(void *arg, Str record)
{
    Replay *r = arg;

    if (!r->image_failed)
        replay_snapshot_record(r, record);
}

static void end_define(void *arg)
{
    Replay *r = arg;
    ReplayApplied applied;

    replay_shards_free(r->shards, &applied);
    r->shards = NULL;
    head_index_settle(&r->head->index);
    r->samples += applied.samples;
    r->refused += applied.refused;
    r->filled += applied.filled;
    COUNT(r->head, chunks_created, applied.chunks);
    COUNT(r->head, chunks, applied.chunks);
    if (applied.min_t_ms <= applied.max_t_ms) {
        head_append_note_time(r->head, applied.min_t_ms);
        head_append_note_time(r->head, applied.max_t_ms);
    }
}

static uint64_t bytes_of(Head *head, Str dir, uint32_t from, uint64_t *ret_last)
{
    Arena scratch = {0};
    WalSegments segments = {0};
    Error err = {0};
    uint64_t bytes = 0;

    if (wal_list(head->fs, dir, &scratch, &segments, &err)) // else whoever reads it will tell
        for (size_t i = 0; i < segments.count; i++)
            bytes += segments.items[i].number >= from ? segments.items[i].bytes : 0;
    *ret_last = segments.count ? segments.items[segments.count - 1].number : from;
    arena_deinit(&scratch);
    return bytes;
}

static void tell_size(Replay *r, Str checkpoint, uint32_t from)
{
    Head *head = r->head;
    uint64_t last;
    uint64_t other;
    uint64_t bytes =
        bytes_of(head, head->wal_dir, from, &last) + bytes_of(head, head->wbl_dir, 0, &other);

    if (checkpoint.len)
        bytes += bytes_of(head, checkpoint, 0, &other);
    SET(r->progress->first_segment, (uint64_t)from);
    SET(r->progress->last_segment, last);
    SET(r->progress->segment, (uint64_t)from);
    SET(r->progress->total_bytes, bytes);
}

static bool start_pipe(Replay *r, void (*each)(void *arg, Str record), Error *err)
{
    ReplayPipeUser user = {begin_define, each, end_define, r};
    Str room = STR_NONE; // r->room is the other thread's once there is one
    bool image_waits = r->image_waits;

    if (image_waits)
        r->room = room = replay_shards_room(r->image.series, GET(r->progress->total_bytes));
    if (!replay_pipe_start(&user, &r->pipe, err)) {
        replay_shards_free_room(room);
        return false;
    }
    if (image_waits)
        footprint_touch((void *)(uintptr_t)room.ptr, room.len);
    return true;
}

static void finish_pipe(Replay *r)
{
    replay_pipe_finish(r->pipe);
    r->pipe = NULL;
}

static bool load_snapshot(Replay *r, Error *err)
{
    if (!start_pipe(r, define_snapshot, err))
        return false;
    bool ok = replay_snapshot_read(r, err);
    finish_pipe(r);
    return ok;
}

// What the snapshot covers is not read.
static bool replay_log(Replay *r, Str checkpoint, uint32_t from, Error *err)
{
    Head *head = r->head;

    head->image.log_bytes = 0 - GET(r->progress->total_bytes); // counts as written since the image
    if (!start_pipe(r, define, err))
        return false;
    bool ok = (r->has_snapshot || !checkpoint.len || replay_dir(r, checkpoint, 0, err)) &&
              replay_dir(r, head->wal_dir, r->has_snapshot ? r->snapshot.segment : from, err);
    finish_pipe(r);
    return ok;
}

static bool replay_in_order(Replay *r, Str checkpoint, uint32_t from, Error *err)
{
    bool ok = true;

    if (r->has_snapshot) {
        ok = load_snapshot(r, err);
        replay_snapshot_name_end(r);
        replay_snapshot_keep_refs(r, checkpoint, from);
    }
    return ok && replay_log(r, checkpoint, from, err);
}

// The checkpoint, if there is one, and the first segment behind it.
static bool find_checkpoint(Replay *r, Arena *arena, Str *ret_checkpoint, uint32_t *ret_from,
                            Error *err)
{
    Head *head = r->head;
    uint32_t number = 0;

    err->code =
        ERR_NONE; // callers hand over whatever was on their stack; here it tells absence from failure
    if (wal_find_checkpoint(head->fs, head->wal_dir, arena, ret_checkpoint, &number, err))
        *ret_from = number + 1;
    return err->code == ERR_NONE;
}

static bool replay_logs(Replay *r, Str checkpoint, uint32_t from, Error *err)
{
    Head *head = r->head;
    bool ok = replay_snapshot_find(r, from, err);

    if (ok) {
        if (r->passed.below)
            replay_passed_read(r, checkpoint);
        if (r->has_snapshot)
            tell_size(r, STR_NONE, r->snapshot.segment);
        // Those of a snapshot may be in its chunks alone, and a passed one's series must be named by the log to be believed.
        r->has_settled =
            !r->has_snapshot && !r->passed.below && head_settled_open(head, from, &r->settled);
    }
    ok = ok && replay_in_order(r, checkpoint, from, err);
    if (ok && r->image_failed) {
        r->image_failed = r->imaged = false;
        ok = replay_in_order(r, checkpoint, from, err);
    }
    uint64_t holes = r->holes;
    ref_map_deinit(&r->unknown);
    ok = ok && replay_dir(r, head->wbl_dir, 0, err);
    head_index_settle(&head->index); // it may have named series that only an old snapshot defines
    // A log that is gone or damaged may have lost the names of chunks that nothing else holds. Of a torn end the samples stand before it. One
    // whose refs nobody defines may hold their samples: a Prometheus forgets second refs of series while its late samples have them.
    if (ok && holes == r->holes && !head->counters.wbl_unknown[HEAD_UNKNOWN_SERIES] &&
        fs_exists(head->fs, head->wbl_dir))
        replay_late_drop_unmarked(r);
    return ok;
}

static bool replay_all(Replay *r, HeadChunksRepair *repair, Error *err)
{
    Head *head = r->head;
    Arena scratch = {0};
    Str checkpoint = STR_NONE;
    uint32_t from = 0;
    HeadChunksUser user = {replay_load_chunk, replay_snapshot_forget, r};

    bool ok = remove_leftovers(head, err) && find_checkpoint(r, &scratch, &checkpoint, &from, err);
    if (ok)
        tell_size(r, checkpoint, from);
    ok = ok && find_image(r, from, err) &&
         head_chunks_open(head->fs, head->chunks_dir, &user, &head->chunks, repair, err) &&
         replay_logs(r, checkpoint, from, err);
    await_image(r);
    arena_deinit(&scratch);
    return ok;
}

// Refs that mean another one's series stay in checkpoints while segments or files of full chunks may name them.
static void keep_twins(Replay *r, Arena *scratch)
{
    Head *head = r->head;
    WalSegments segments = {0};
    Error err = {0};

    for (size_t i = 0; i < head->twins.size; i++) {
        RefMapEntry twin = head->twins.entries[i];
        if (!twin.ref)
            continue;
        ref_map_put(&head->twinned, twin.value, 1);
        head->twins_on_disk =
            MAX(head->twins_on_disk, replay_chunks_newest_file(&r->chunks, twin.ref));
    }
    if (!head->twins.count || !wal_list(head->fs, head->wal_dir, scratch, &segments, &err) ||
        !segments.count)
        return;
    for (size_t i = 0; i < head->twins.size; i++)
        if (head->twins.entries[i].ref)
            ref_map_put(&head->expired, head->twins.entries[i].ref,
                        segments.items[segments.count - 1].number);
}

static void warn_unknown(const char *log, const uint64_t counts[HEAD_UNKNOWN_KINDS])
{
    uint64_t entries = 0;

    for (int i = HEAD_UNKNOWN_SERIES + 1; i < HEAD_UNKNOWN_KINDS; i++)
        entries += counts[i];
    if (entries)
        log_warn("entries of series that the log does not define, ignoring them", KV("log", log),
                 KV("series", counts[HEAD_UNKNOWN_SERIES]), KV("entries", entries));
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
    warn_unknown("wal", head->counters.wal_unknown);
    warn_unknown("wbl", head->counters.wbl_unknown);
    if (r->malformed)
        log_warn("malformed entries in the log, ignoring them", KV("entries", r->malformed));
    log_info("replayed the log", KV("series", r->series), KV("samples", r->samples),
             KV("out_of_order", r->out_of_order_kept), KV("chunks", r->chunks.count),
             KV("records", r->records), KV("image", r->imaged), KV("snapshot", r->has_snapshot),
             KV("settled", r->has_settled), KV("took_ms", head->counters.replay_ms));
}

bool head_replay(Head *head, bool *ret_empty, Error *err)
{
    TsdbProgress unwatched = {0};
    Replay r = {.head = head,
                .key = X_NEW(LabelKey),
                .progress = head->options.progress ? head->options.progress : &unwatched};
    HeadChunksRepair repair = {0};
    int64_t start = clock_mono_ns(&clock_system);

    bool ok = replay_all(&r, &repair, err);
    // Going on without them would put them into no block, and the log would be cut behind them.
    if (ok && r.refused)
        ok = error_set(err, ERR_IO,
                       "%llu samples of the log found no room: the disk takes no full chunks",
                       (unsigned long long)r.refused);
    head->counters.replay_records = r.records;
    head->counters.replay_ms = (clock_mono_ns(&clock_system) - start) / 1000000;
    if (ok) {
        *ret_empty = r.filled < head->index.series.count;
        head->twins_in_wbl = head->twins.count > 0;
        head->from_snapshot = r.has_snapshot;
        keep_twins(&r, &r.arena);
        replay_passed_settle(&r);
        report(&r, &repair);
    }
    head_image_close(&r.image);
    replay_passed_deinit(&r.passed);
    free(r.key);
    free(r.named);
    replay_chunks_deinit(&r.chunks);
    ref_map_deinit(&r.marked);
    ref_map_deinit(&r.unknown);
    arena_deinit(&r.arena);
    return ok;
}
