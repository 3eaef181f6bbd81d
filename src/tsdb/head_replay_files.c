// SPDX-License-Identifier: Apache-2.0
// Reads the folders of a log, segment by segment, and mends what is damaged.
#include <sys/mman.h>

#include "tsdb/head_replay_internal.h"
#include "tsdb/head_replay_pipe.h"

#define RELEASE_BYTES (4u * 1024 * 1024)
#define REPAIR_BYTES (UINT64_C(1) << 40) // all records go into one segment
#define TELL_NS (INT64_C(2) * 1000000000)
#define SAMPLE_TYPES                                                                               \
    (1u << WAL_SAMPLES | 1u << WAL_SAMPLES_V2 | 1u << WAL_HISTOGRAMS | 1u << WAL_HISTOGRAMS_V2 |   \
     1u << WAL_FLOAT_HISTOGRAMS | 1u << WAL_FLOAT_HISTOGRAMS_V2 | 1u << WAL_CUSTOM_HISTOGRAMS |    \
     1u << WAL_CUSTOM_FLOAT_HISTOGRAMS)

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

// There is a segment of that name at any time: whoever is killed in between leaves the old one or the new one.
static bool replace(Head *head, Str path, Str by, Str aside, Error *err)
{
    Error ignored = {0};

    if (!fs_link(head->fs, path, aside, err))
        return false;
    if (fs_rename(head->fs, by, path, err))
        return true;
    if (!fs_unlink(head->fs, aside, &ignored))
        log_warn("cannot remove the second name of a damaged log segment, ignoring",
                 KV("segment", path), KV("name", aside), KV("err", &ignored));
    return false;
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
    bool ok = fs_remove_tree(head->fs, repair, err) &&
              wal_open(head->fs, repair, REPAIR_BYTES, &wal, err);
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
    ok = ok && replace(head, path, wal_segment_path(&scratch, repair, 0), aside, err) &&
         fs_sync_dir(head->fs, dir, err) && fs_remove_tree(head->fs, repair, err) &&
         (!str_equal(dir, head->wal_dir) ||
          chunk_snapshot_remove_inside(head->fs, head->options.dir, number, err));
    if (ok)
        log_warn("log segment was damaged: kept its good records, the original is aside",
                 KV("segment", path), KV("original", aside));
    arena_deinit(&scratch);
    return ok;
}

// Pages that were read no longer count as ours.
static void release(Str bytes, size_t at, size_t *released)
{
    size_t end = at & ~(size_t)(RELEASE_BYTES - 1);

    if (end > *released)
        (void)madvise((void *)((uintptr_t)bytes.ptr + *released), end - *released, MADV_DONTNEED);
    *released = MAX(end, *released);
}

static void tell(Replay *r, Str path)
{
    int64_t now_ns = clock_mono_ns(&clock_system);
    uint64_t total = GET(r->progress->total_bytes);

    if (now_ns - r->told_ns < TELL_NS)
        return;
    r->told_ns = now_ns;
    log_info("replaying the log", KV("segment", path),
             KV("percent", total ? GET(r->progress->done_bytes) * 100 / total : 0));
}

static void read_records(Replay *r, Str path, WalReader *reader)
{
    Str record;
    size_t released = 0;
    size_t noted = 0;

    while (r->pipe ? replay_pipe_read(r->pipe, reader) : wal_reader_next(reader, &record)) {
        if (!r->pipe)
            replay_late_record(r, record);
        if (reader->at - noted < RELEASE_BYTES / 16)
            continue;
        __atomic_fetch_add(&r->progress->done_bytes, reader->at - noted, __ATOMIC_RELAXED);
        noted = reader->at;
        release(reader->bytes, reader->at, &released);
        tell(r, path);
    }
    __atomic_fetch_add(&r->progress->done_bytes, reader->bytes.len - noted, __ATOMIC_RELAXED);
}

// Up to where a segment lies before the place. All of a checkpoint does.
static size_t known_end(uint32_t number, bool in_checkpoint, WalPlace place)
{
    return in_checkpoint || number < place.segment ? SIZE_MAX
           : number == place.segment               ? (size_t)place.offset
                                                   : 0;
}

static bool replay_segment(Replay *r, Str dir, uint32_t number, bool last, Error *err)
{
    Head *head = r->head;
    Arena scratch = {0};
    FsMap map;
    WalReader reader;
    Str path = wal_segment_path(&scratch, dir, number);
    bool in_checkpoint = !str_equal(dir, head->wal_dir);

    bool ok = fs_map(head->fs, path, &map, err);
    if (!ok) {
        arena_deinit(&scratch);
        return false;
    }
    wal_reader_init(&reader, map.bytes);
    if (r->has_snapshot && r->pipe && number == r->snapshot.segment)
        reader.at = reader.good_end = (size_t)r->snapshot.offset;
    if (r->imaged && r->pipe)
        reader.skips[0] = (WalSkip){known_end(number, in_checkpoint, r->known), 1u << WAL_SERIES};
    if (r->has_settled && r->pipe)
        reader.skips[1] = (WalSkip){known_end(number, in_checkpoint, r->settled), SAMPLE_TYPES};
    if (r->pipe && !in_checkpoint)
        SET(r->progress->segment, (uint64_t)number);
    read_records(r, path, &reader);
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

bool replay_dir(Replay *r, Str dir, uint32_t from, Error *err)
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
        ok = replay_segment(r, dir, s.number, i + 1 == segments.count, err);
    }
    arena_deinit(&scratch);
    return ok ? true : error_context(err, "replay " STR_FMT, STR_ARG(dir));
}
