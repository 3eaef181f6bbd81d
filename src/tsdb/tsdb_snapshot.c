// SPDX-License-Identifier: Apache-2.0
// Snapshots, deletion and its clean-up.
#include <stdlib.h>

#include "base/random.h"
#include "base/timefmt.h"
#include "tsdb/block_writer.h"
#include "tsdb/tsdb_internal.h"

// Snapshots

// 20060102T150405Z-<random hex>
static Str snapshot_name(int64_t now_ms, Arena *arena)
{
    CivilTime t = civil_from_s(now_ms / 1000);
    uint64_t random;

    random_system(&random, sizeof random);
    return arena_printf(arena, "%04lld%02d%02dT%02d%02d%02dZ-%016llx", (long long)t.year, t.month,
                        t.day, t.hour, t.minute, t.second, (unsigned long long)(random >> 1));
}

static bool link_files(Fs *fs, Str from, Str to, Arena *arena, Error *err)
{
    FsList list;

    if (!fs_make_dirs(fs, to, err) || !fs_list(fs, from, arena, &list, err))
        return false;
    for (size_t i = 0; i < list.count; i++) {
        Str a = fs_join(arena, from, list.entries[i].name),
            b = fs_join(arena, to, list.entries[i].name);
        if (list.entries[i].is_dir ? !link_files(fs, a, b, arena, err) : !fs_link(fs, a, b, err))
            return false;
    }
    return fs_sync_dir(fs, to, err);
}

static bool snapshot_head(Tsdb *tsdb, Str dir, Error *err)
{
    int64_t min_t_ms, max_t_ms;
    BlockWriter *writer;
    bool made;

    if (!head_time_range_all(tsdb->head, &min_t_ms, &max_t_ms))
        return true;
    BlockWriterOptions options = {
        .fs = tsdb->options.fs,
        .dir = dir,
        .ulid = ulid_new(clock_now_ms(tsdb->options.clock)),
        .min_t_ms = min_t_ms,
        .max_t_ms = max_t_ms + 1,
        .level = 1,
        .segment_bytes_max = tsdb->options.block_segment_bytes,
    };
    if (!block_writer_open(&options, &writer, err))
        return false;
    if (!head_write_snapshot_block(tsdb->head, options.min_t_ms, options.max_t_ms, writer, err)) {
        block_writer_abort(writer);
        return false;
    }
    return block_writer_finish(writer, &made, err);
}

static bool fill_snapshot(Tsdb *tsdb, Str dir, bool skip_head, Error *err)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    TsdbBlocks all = tsdb_blocks_take(tsdb);
    bool ok = fs_make_dirs(tsdb->options.fs, dir, err);

    for (size_t i = 0; ok && i < all.count; i++)
        ok = link_files(tsdb->options.fs, block_dir(all.items[i]),
                        fs_join(&arena, dir, ulid_str(&block_meta(all.items[i])->ulid)), &arena,
                        err);
    tsdb_blocks_give(&all);
    return ok && (skip_head || snapshot_head(tsdb, dir, err)) &&
           fs_sync_dir(tsdb->options.fs, dir, err);
}

bool tsdb_snapshot(Tsdb *tsdb, bool skip_head, Arena *arena, Str *ret_name, Error *err)
{
    Str name = snapshot_name(clock_now_ms(tsdb->options.clock), arena);
    Str dir = fs_join(arena, fs_join(arena, tsdb->options.dir, S("snapshots")), name);

    lock_take(&tsdb->work_lock);
    bool ok = fill_snapshot(tsdb, dir, skip_head, err);
    lock_give(&tsdb->work_lock);
    if (!ok) {
        Error second = {0};
        if (!fs_remove_tree(tsdb->options.fs, dir, &second))
            return error_context(err, "snapshot (its rest in %.100s could not be removed)",
                                 str_to_c(arena, name));
        return error_context(err, "snapshot");
    }
    *ret_name = name;
    return true;
}

// Deletion: what fails in one block does not keep the others from their turn; the first failure is told.

static void keep_first(bool ok, const Error *why, bool *all_ok, Error *first)
{
    if (!ok && *all_ok)
        *first = *why;
    *all_ok = *all_ok && ok;
}

// A block that the disk refuses to open now would come back whole later; and one whose making failed at its very last step may be there
// in place of those it was made of.
static bool all_readable(Tsdb *tsdb, Error *err) REQUIRES(tsdb->work_lock)
{
    if (!tsdb_reload(tsdb, err))
        return false;
    uint64_t count = __atomic_load_n(&tsdb->counters.blocks_unreadable, __ATOMIC_RELAXED);
    return !count || error_set(err, ERR_UNAVAILABLE, "the disk refuses to open %llu blocks",
                               (unsigned long long)count);
}

bool tsdb_delete(Tsdb *tsdb, const Matcher *matchers, size_t count, int64_t min_t_ms,
                 int64_t max_t_ms, Error *err)
{
    lock_take(&tsdb->work_lock);
    if (!all_readable(tsdb, err)) {
        lock_give(&tsdb->work_lock);
        return error_context(err, "delete");
    }
    TsdbBlocks all = tsdb_blocks_take(tsdb);
    bool ok = true;
    for (size_t i = 0; i < all.count; i++) {
        const BlockMeta *meta = block_meta(all.items[i]);
        Error why = {0};
        if (meta->min_t_ms <= max_t_ms && meta->max_t_ms > min_t_ms)
            keep_first(block_delete(all.items[i], matchers, count, min_t_ms, max_t_ms, &why), &why,
                       &ok, err);
    }
    tsdb_blocks_give(&all);
    Error why = {0};
    keep_first(head_delete(tsdb->head, matchers, count, min_t_ms, max_t_ms, &why), &why, &ok, err);
    lock_give(&tsdb->work_lock);
    return ok || error_context(err, "delete");
}

static bool clean_block(Tsdb *tsdb, Block *block, Error *err) REQUIRES(tsdb->work_lock)
{
    CompactOutput output = tsdb_compact_output(tsdb);
    bool made;

    if (!tsdb_settle(tsdb, err) || !compact_blocks(&output, &block, 1, &tsdb->stop, &made, err))
        return false;
    if (made)
        return tsdb_reload(tsdb, err);
    return tsdb_tells_in_order_end(tsdb, block) || tsdb_drop_block(tsdb, block, err);
}

bool tsdb_clean_tombstones(Tsdb *tsdb, Error *err)
{
    int64_t started_ns = clock_mono_ns(tsdb->options.clock);
    lock_take(&tsdb->work_lock);
    TsdbBlocks all = tsdb_blocks_take(tsdb);
    bool ok = true;
    for (size_t i = 0; i < all.count; i++) {
        Error why = {0};
        if (block_tombstone_count(all.items[i]) > 0)
            keep_first(clean_block(tsdb, all.items[i], &why), &why, &ok, err);
    }
    tsdb_blocks_give(&all);
    lock_give(&tsdb->work_lock);
    if (tsdb->cleanup_seconds)
        histogram_observe(tsdb->cleanup_seconds,
                          (double)(clock_mono_ns(tsdb->options.clock) - started_ns) / 1e9);
    return ok || error_context(err, "clean tombstones");
}
