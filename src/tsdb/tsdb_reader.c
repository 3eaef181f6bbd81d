// SPDX-License-Identifier: Apache-2.0
// All of a data directory, read only: blocks where they lie, the log replayed in a sandbox.
#include <stdlib.h>

#include "base/log.h"
#include "tsdb/merge_querier.h"
#include "tsdb/tsdb_internal.h"
#include "tsdb/tsdb_offline.h"

#define COPY_BYTES (1024 * 1024)

struct TsdbReader {
    Source source;
    Fs *fs;
    Arena arena;
    Str sandbox;
    bool has_sandbox;
    Head *head;
    TsdbBlocks blocks;
    Str *faults; // one for each block that cannot be opened
    size_t fault_count;
};

static bool copy_file(Fs *fs, Str from, Str to, Error *err)
{
    CLEANUP(file_close) File in = FILE_NONE;
    CLEANUP(file_close) File out = FILE_NONE;
    CLEANUP(buf_deinit) Buf buf = {.ptr = NULL};
    uint64_t at = 0;
    size_t got;

    if (!fs_open(fs, from, FS_READ, &in, err) || !fs_open(fs, to, FS_CREATE, &out, err))
        return false;
    char *bytes = buf_reserve(&buf, COPY_BYTES);
    do {
        if (!file_read_at(&in, at, bytes, COPY_BYTES, &got, err) ||
            !file_write(&out, (Str){bytes, got}, err))
            return false;
        at += got;
    } while (got == COPY_BYTES);
    return file_finish(&out, err);
}

// Files that are never written again are linked, if the file system can; the newest of each folder, which replay may mend where it
// lies, is copied.
static bool mirror_dir(Fs *fs, Str from, Str to, Arena *arena, Error *err)
{
    FsList list = {0};

    if (!fs_exists(fs, from))
        return true;
    if (!fs_make_dirs(fs, to, err) || !fs_list(fs, from, arena, &list, err))
        return false;
    size_t newest = list.count;
    for (size_t i = 0; i < list.count; i++)
        if (!list.entries[i].is_dir)
            newest = i;
    for (size_t i = 0; i < list.count; i++) {
        Str a = fs_join(arena, from, list.entries[i].name);
        Str b = fs_join(arena, to, list.entries[i].name);
        Error why = {0};
        if (list.entries[i].is_dir) {
            if (!mirror_dir(fs, a, b, arena, err))
                return false;
        } else if (i == newest || !fs_link(fs, a, b, &why)) {
            if (!copy_file(fs, a, b, &why) && why.code != ERR_NOT_FOUND)
                return error_set(err, why.code, "%s", why.text);
        }
    }
    return true;
}

// A log that ends in the middle of a segment that is not the newest is mended by writing it anew beside; only its end is cut where it lies.
static bool open_head(TsdbReader *r, Str dir, Error *err)
{
    static const char *const parts[] = {"chunks_head", "wal", "wbl"};
    TsdbOptions defaults;

    for (size_t i = 0; i < COUNT_OF(parts); i++)
        if (!mirror_dir(r->fs, fs_join(&r->arena, dir, str_from_c(parts[i])),
                        fs_join(&r->arena, r->sandbox, str_from_c(parts[i])), &r->arena, err))
            return false;
    tsdb_options_default(&defaults);
    HeadOptions options = {
        .dir = r->sandbox,
        .fs = r->fs,
        .clock = &clock_system,
        .min_block_ms = defaults.min_block_ms,
        .out_of_order_window_ms = INT64_MAX / 2,
        .min_valid_t_ms = tsdb_in_order_end(&r->blocks),
        .wal_segment_bytes = defaults.wal_segment_bytes,
        .wal_compression = defaults.wal_compression,
        .wal_sync = TSDB_SYNC_NONE,
        .samples_per_chunk = defaults.samples_per_chunk,
    };
    return head_open(&options, &r->head, err);
}

static int compare_starts(const void *a, const void *b)
{
    const BlockMeta *x = block_meta(*(Block *const *)a), *y = block_meta(*(Block *const *)b);
    return (x->min_t_ms > y->min_t_ms) - (x->min_t_ms < y->min_t_ms);
}

static bool open_blocks(TsdbReader *r, Str dir, Error *err)
{
    FsList list;

    if (!fs_list(r->fs, dir, &r->arena, &list, err))
        return false;
    r->blocks.items = X_ARRAY(Block *, list.count + 1);
    r->faults = ARENA_ARRAY(&r->arena, Str, list.count + 1);
    for (size_t i = 0; i < list.count; i++) {
        Ulid ulid;
        Error why = {0};
        if (!list.entries[i].is_dir || !ulid_parse(list.entries[i].name, &ulid))
            continue;
        if (block_open(r->fs, fs_join(&r->arena, dir, list.entries[i].name),
                       &r->blocks.items[r->blocks.count], &why))
            r->blocks.count++;
        else
            r->faults[r->fault_count++] = arena_str(&r->arena, str_from_c(why.text));
    }
    if (r->blocks.count)
        qsort(r->blocks.items, r->blocks.count, sizeof(Block *), compare_starts);
    return true;
}

static bool open_querier(Source *source, int64_t min_t_ms, int64_t max_t_ms, Querier **ret_querier,
                         Error *err)
{
    TsdbReader *r = CONTAINER_OF(source, TsdbReader, source);
    Source *head = head_source(r->head);
    Querier *querier;

    if (!head->open(head, min_t_ms, max_t_ms, &querier, err))
        return false;
    *ret_querier = r->blocks.count ? merge_querier_new(querier, r->blocks.items, r->blocks.count,
                                                       min_t_ms, max_t_ms)
                                   : querier;
    return true;
}

// A wrong path is told, where an empty answer would pass for an empty storage.
static bool holds_something(const TsdbReader *r, Str dir, Arena *arena, Error *err)
{
    static const char *const logs[] = {"wal", "wbl", "chunks_head"};

    if (r->blocks.count || r->fault_count)
        return true;
    for (size_t i = 0; i < COUNT_OF(logs); i++)
        if (fs_exists(r->fs, fs_join(arena, dir, str_from_c(logs[i]))))
            return true;
    return error_set(err, ERR_NOT_FOUND, "there is neither a block nor a log");
}

static bool open_sandbox(TsdbReader *r, Error *err)
{
    r->has_sandbox = fs_make_dirs(r->fs, r->sandbox, err);
    return r->has_sandbox;
}

bool tsdb_reader_open(Fs *fs, Str dir, Str sandbox_root, TsdbReader **ret_reader, Error *err)
{
    TsdbReader *r = X_NEW(TsdbReader);

    r->fs = fs;
    r->source.open = open_querier;
    Ulid unique = ulid_new(clock_now_ms(&clock_system));
    r->sandbox =
        arena_printf(&r->arena, STR_FMT "/tmp_dbro_sandbox_" STR_FMT,
                     STR_ARG(sandbox_root.len ? sandbox_root : dir), STR_ARG(ulid_str(&unique)));
    if (!open_blocks(r, dir, err) || !holds_something(r, dir, &r->arena, err) ||
        !open_sandbox(r, err) || !open_head(r, dir, err)) {
        tsdb_reader_close(r);
        return error_context(err, "open " STR_FMT, STR_ARG(dir));
    }
    *ret_reader = r;
    return true;
}

Source *tsdb_reader_source(TsdbReader *reader)
{
    return &reader->source;
}

size_t tsdb_reader_faults(const TsdbReader *reader, const Str **ret_faults)
{
    *ret_faults = reader->faults;
    return reader->fault_count;
}

void tsdb_reader_close(TsdbReader *reader)
{
    Error err = {0};

    if (!reader)
        return;
    head_close(reader->head);
    tsdb_blocks_give(&reader->blocks);
    if (reader->has_sandbox && !fs_remove_tree(reader->fs, reader->sandbox, &err))
        log_warn("sandbox cannot be removed", KV("err", &err));
    arena_deinit(&reader->arena);
    free(reader);
}
