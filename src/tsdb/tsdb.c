// SPDX-License-Identifier: Apache-2.0
#include "tsdb/tsdb.h"

#include <stdlib.h>

#include "base/footprint.h"
#include "base/log.h"
#include "base/random.h"
#include "tsdb/merge_querier.h"
#include "tsdb/tsdb_internal.h"

#define MINUTE_MS 60000
#define HOUR_MS (60 * INT64_C(60000))

void tsdb_options_default(TsdbOptions *ret_options)
{
    *ret_options = (TsdbOptions){
        .fs = &fs_system,
        .clock = &clock_system,
        .min_block_ms = 2 * HOUR_MS,
        .max_block_ms = 36 * HOUR_MS, // a tenth of the retention
        .block_reload_ms = MINUTE_MS,
        .retention = {.ms = 15 * 24 * HOUR_MS},
        .wal_segment_bytes = UINT64_C(128) << 20,
        .wal_compression = TSDB_COMPRESSION_SNAPPY,
        .wal_sync = TSDB_SYNC_INTERVAL,
        .wal_sync_interval_ms = 5000,
        .samples_per_chunk = 120,
    };
}

// Reading

static TsdbBlocks blocks_in(Tsdb *tsdb, int64_t min_t_ms, int64_t max_t_ms)
{
    TsdbBlocks blocks = tsdb_blocks_take(tsdb);
    size_t kept = 0;

    for (size_t i = 0; i < blocks.count; i++) {
        const BlockMeta *meta = block_meta(blocks.items[i]);
        if (meta->min_t_ms <= max_t_ms && meta->max_t_ms > min_t_ms)
            blocks.items[kept++] = blocks.items[i];
        else
            block_unref(blocks.items[i]);
    }
    blocks.count = kept;
    return blocks;
}

// The head's view first, the blocks after it: what moves from one to the other meanwhile is then seen twice, never missed.
static bool open_querier(Source *source, int64_t min_t_ms, int64_t max_t_ms, Querier **ret_querier,
                         Error *err)
{
    Tsdb *tsdb = CONTAINER_OF(source, Tsdb, source);
    Source *head = head_source(tsdb->head);
    Querier *querier;

    if (!head->open(head, min_t_ms, max_t_ms, &querier, err))
        return false;
    TsdbBlocks blocks = blocks_in(tsdb, min_t_ms, max_t_ms);
    if (blocks.count)
        querier = merge_querier_new(querier, blocks.items, blocks.count, min_t_ms, max_t_ms);
    tsdb_blocks_give(&blocks);
    *ret_querier = querier;
    return true;
}

// Maintenance

static bool compact_and_log(Tsdb *tsdb)
{
    Error err = {0};

    lock_take(&tsdb->work_lock);
    bool ok = tsdb_compact_locked(tsdb, &err);
    lock_give(&tsdb->work_lock);
    if (ok || err.code == ERR_CANCELED)
        return true;
    tsdb_count(&tsdb->counters.compactions_failed);
    log_error("compaction failed, retrying", KV("err", &err));
    return false;
}

// Somebody may have put blocks there (backfilling) or taken some away.
static void reload_and_log(Tsdb *tsdb)
{
    Error err = {0};

    lock_take(&tsdb->work_lock);
    size_t before = tsdb->block_count;
    bool ok = tsdb_reload(tsdb, &err);
    size_t after = tsdb->block_count;
    lock_give(&tsdb->work_lock);
    if (!ok)
        log_error("blocks cannot be listed, retrying", KV("err", &err));
    else if (before != after)
        log_info("blocks came or went", KV("before", before), KV("now", after));
}

static void sync_and_log(Tsdb *tsdb)
{
    Error err = {0};

    if (!head_sync(tsdb->head, &err))
        log_error("log cannot be synced, retrying", KV("err", &err));
}

// Pages that queries touched count as resident until they are given back: once a minute is enough to keep the hot ones at hand.
static void release_pages(Tsdb *tsdb)
{
    TsdbBlocks all = tsdb_blocks_take(tsdb);

    head_release_pages(tsdb->head);
    for (size_t i = 0; i < all.count; i++)
        block_release_pages(all.items[i]);
    tsdb_blocks_give(&all);
}

// Sleeps until the next deed or the end. False at the end.
static bool maintenance_sleep(Tsdb *tsdb, int64_t ms)
{
    lock_take(&tsdb->maintenance_lock);
    if (!tsdb->stop && !tsdb->triggered)
        (void)condition_wait_ms(&tsdb->wake, &tsdb->maintenance_lock, ms);
    bool stop = tsdb->stop;
    lock_give(&tsdb->maintenance_lock);
    return !stop;
}

// The head can be cut, and has grown: what the log brought back waits for its minute, as a start has other things to do. So does a cut
// that is to be delayed.
static bool cut_is_due(Tsdb *tsdb, int64_t before_t_ms)
{
    int64_t min_t_ms, max_t_ms;

    return !tsdb->cut_delay_ms && head_time_range(tsdb->head, &min_t_ms, &max_t_ms) &&
           max_t_ms > before_t_ms && head_compactable(tsdb->head, &min_t_ms, &max_t_ms);
}

static int64_t newest_time(Tsdb *tsdb)
{
    int64_t min_t_ms, max_t_ms;

    return head_time_range(tsdb->head, &min_t_ms, &max_t_ms) ? max_t_ms : INT64_MIN;
}

static void run_maintenance(void *arg)
{
    Tsdb *tsdb = (Tsdb *)arg;
    bool syncs =
        tsdb->options.wal_sync == TSDB_SYNC_INTERVAL && tsdb->options.wal_sync_interval_ms > 0;
    int64_t step_ms = MIN(tsdb->options.block_reload_ms, MINUTE_MS);
    int64_t next_ns = clock_mono_ns(&clock_system) + MINUTE_MS * INT64_C(1000000);
    int64_t reload_ns = tsdb->options.block_reload_ms * INT64_C(1000000);
    int64_t next_reload_ns = clock_mono_ns(&clock_system) + reload_ns;
    int64_t known_t_ms = newest_time(tsdb);
    bool failed = false; // what failed is tried again in a minute

    if (syncs)
        step_ms = MIN(step_ms, tsdb->options.wal_sync_interval_ms);
    while (maintenance_sleep(tsdb, step_ms)) {
        if (syncs)
            sync_and_log(tsdb);
        head_ease_restart(tsdb->head);
        if (clock_mono_ns(&clock_system) >= next_reload_ns) {
            reload_and_log(tsdb);
            next_reload_ns = clock_mono_ns(&clock_system) + reload_ns;
        }
        if (clock_mono_ns(&clock_system) < next_ns && (failed || !cut_is_due(tsdb, known_t_ms)))
            continue;
        failed = !compact_and_log(tsdb);
        release_pages(tsdb);
        footprint_trim();
        next_ns = clock_mono_ns(&clock_system) + MINUTE_MS * INT64_C(1000000);
    }
}

bool tsdb_compact(Tsdb *tsdb, Error *err)
{
    lock_take(&tsdb->work_lock);
    bool ok = tsdb_compact_locked(tsdb, err);
    lock_give(&tsdb->work_lock);
    if (!ok)
        tsdb_count(&tsdb->counters.compactions_failed);
    return ok;
}

// Opening and closing

static uint64_t bytes_below(Fs *fs, Str dir, int depth)
{
    CLEANUP(arena_deinit) Arena scratch = {.next = NULL};
    FsList list = {0};
    Error err = {0};
    uint64_t bytes = 0;

    if (!fs_exists(fs, dir) || !fs_list(fs, dir, &scratch, &list, &err))
        return 0;
    for (size_t i = 0; i < list.count; i++) {
        if (!list.entries[i].is_dir)
            bytes += list.entries[i].bytes;
        else if (depth > 0)
            bytes += bytes_below(fs, fs_join(&scratch, dir, list.entries[i].name), depth - 1);
    }
    return bytes;
}

uint64_t tsdb_restart_bytes(Fs *fs, Str dir)
{
    static const Str folders[] = {STR("wal"), STR("wbl"), STR("chunks_head")};
    CLEANUP(arena_deinit) Arena scratch = {.next = NULL};
    uint64_t bytes = 0;

    for (size_t i = 0; i < COUNT_OF(folders); i++)
        bytes += bytes_below(fs, fs_join(&scratch, dir, folders[i]), 1);
    return bytes;
}

int64_t tsdb_last_write_ms(Fs *fs, Str dir)
{
    CLEANUP(arena_deinit) Arena scratch = {.next = NULL};
    Str wal = fs_join(&scratch, dir, S("wal"));
    FsList list = {0};
    Error err = {0};
    int64_t last_ms = 0;

    if (!fs_exists(fs, wal) || !fs_list(fs, wal, &scratch, &list, &err))
        return 0;
    for (size_t i = 0; i < list.count; i++)
        if (!list.entries[i].is_dir)
            last_ms = MAX(last_ms, list.entries[i].modified_ms);
    return last_ms;
}

static bool check_options(const TsdbOptions *o, Error *err)
{
    if (o->min_block_ms <= 0 || o->max_block_ms < o->min_block_ms)
        return error_set(
            err, ERR_INVALID,
            "the largest block must not be smaller than the smallest, and that above 0");
    if (o->samples_per_chunk < 1 || o->samples_per_chunk > 65535)
        return error_set(err, ERR_INVALID, "samples per chunk must lie between 1 and 65535");
    if (o->wal_segment_bytes < 32768 || o->wal_segment_bytes % 32768 != 0)
        return error_set(err, ERR_INVALID, "a log segment must be a multiple of 32 KiB");
    return true;
}

static bool take_dir(Tsdb *tsdb, Error *err)
{
    if (!fs_make_dirs(tsdb->options.fs, tsdb->options.dir, err))
        return false;
    tsdb->counters.clean_start = -1;
    tsdb->unsettled = true; // the process before this one may have died in between
    if (tsdb->options.no_lockfile)
        return true;
    if (!dir_lock_take(tsdb->options.dir, &tsdb->dir_lock, err))
        return false;
    tsdb->counters.clean_start = tsdb->dir_lock.replaced ? 0 : 1;
    if (tsdb->dir_lock.replaced)
        log_warn("a lock file was left by a process that did not end cleanly, replacing it",
                 KV("dir", tsdb->options.dir));
    return true;
}

static bool load_blocks(Tsdb *tsdb, Error *err)
{
    lock_take(&tsdb->work_lock);
    tsdb->opening = true;
    bool ok = tsdb_remove_leftovers(tsdb, true, err) && tsdb_reload(tsdb, err);
    tsdb->opening = false;
    lock_give(&tsdb->work_lock);
    return ok;
}

static bool open_head(Tsdb *tsdb, Error *err)
{
    const TsdbOptions *o = &tsdb->options;
    TsdbBlocks blocks = {tsdb->blocks, tsdb->block_count};
    HeadOptions options = {
        .dir = o->dir,
        .fs = o->fs,
        .clock = o->clock,
        .min_block_ms = o->min_block_ms,
        .out_of_order_window_ms = o->out_of_order_window_ms,
        .min_valid_t_ms = MAX(tsdb_in_order_end(&blocks), tsdb->unreadable_end),
        .wal_segment_bytes = o->wal_segment_bytes,
        .wal_compression = o->wal_compression,
        .wal_samples_v2 = o->wal_samples_v2,
        .wal_sync = o->wal_sync,
        .samples_per_chunk = o->samples_per_chunk,
        .max_exemplars = o->max_exemplars,
        .start_timestamps = o->start_timestamps,
        .histogram_start_timestamps = o->histogram_start_timestamps,
        .snapshot_at_close = o->snapshot_at_close,
        .image_series_min = o->image_series_min,
        .settled_step_bytes = o->settled_step_bytes,
        .progress = o->progress,
    };
    return head_open(&options, &tsdb->head, err);
}

// Servers that began together would else all cut in the same minute, and burden the disks that they share.
static int64_t draw_cut_delay(const TsdbOptions *o)
{
    int64_t longest_ms = o->min_block_ms / 100 * o->cut_delay_max_percent;
    uint64_t seed;
    Random random;

    if (longest_ms <= 0)
        return 0;
    random_system(&seed, sizeof seed);
    random_seed(&random, seed);
    return (int64_t)random_below(&random, (uint64_t)longest_ms);
}

static void tsdb_free(Tsdb *tsdb)
{
    TsdbBlocks blocks = {tsdb->blocks, tsdb->block_count};

    head_close(tsdb->head);
    tsdb_blocks_give(&blocks);
    wal_tail_free(tsdb->tail);
    dir_lock_give(&tsdb->dir_lock);
    free(tsdb->corrupt);
    free(tsdb->unfit);
    lock_deinit(&tsdb->work_lock);
    lock_deinit(&tsdb->list_lock);
    lock_deinit(&tsdb->maintenance_lock);
    condition_deinit(&tsdb->wake);
    arena_deinit(&tsdb->arena);
    free(tsdb);
}

bool tsdb_open(const TsdbOptions *options, Tsdb **ret_tsdb, Error *err)
{
    if (!check_options(options, err))
        return error_context(err, "storage");
    Tsdb *tsdb = X_NEW(Tsdb);

    tsdb->options = *options;
    tsdb->options.dir = arena_str(&tsdb->arena, options->dir);
    tsdb->options.uploads_file = arena_str(&tsdb->arena, options->uploads_file);
    tsdb->blocks_dir = tsdb->options.dir;
    tsdb->dir_lock = (DirLock)DIR_LOCK_NONE;
    tsdb->source.open = open_querier;
    tsdb->retention = options->retention;
    tsdb->stale = options->stale;
    tsdb->cut_delay_ms = draw_cut_delay(options);
    tsdb->cut_due_ns = TSDB_NO_CUT_DUE;
    lock_init(&tsdb->work_lock, "tsdb.work", TSDB_WORK_RANK);
    lock_init(&tsdb->list_lock, "tsdb.list", TSDB_LIST_RANK);
    lock_init(&tsdb->maintenance_lock, "tsdb.maintenance", TSDB_MAINTENANCE_RANK);
    condition_init(&tsdb->wake);
    if (!take_dir(tsdb, err) || !load_blocks(tsdb, err) || !open_head(tsdb, err) ||
        !thread_start(&tsdb->maintenance, "tsdb", run_maintenance, tsdb, err)) {
        tsdb_free(tsdb);
        return error_context(err, "storage");
    }
    tsdb->tail = wal_tail_new(options->fs, tsdb->options.dir);
    tsdb_metrics_register(tsdb);
    *ret_tsdb = tsdb;
    return true;
}

void tsdb_close(Tsdb *tsdb)
{
    if (!tsdb)
        return;
    lock_take(&tsdb->maintenance_lock);
    __atomic_store_n(&tsdb->stop, true, __ATOMIC_RELAXED);
    condition_broadcast(&tsdb->wake);
    lock_give(&tsdb->maintenance_lock);
    thread_join(&tsdb->maintenance);
    tsdb_free(tsdb);
}

Sink *tsdb_sink(Tsdb *tsdb)
{
    return head_sink(tsdb->head);
}

Source *tsdb_source(Tsdb *tsdb)
{
    return &tsdb->source;
}

Feed *tsdb_feed(Tsdb *tsdb)
{
    return wal_tail_feed(tsdb->tail);
}

void tsdb_pack_xor2(Tsdb *tsdb, bool on)
{
    head_pack_xor2(tsdb->head, on);
}

void tsdb_reconfigure(Tsdb *tsdb, const TsdbSettings *settings)
{
    lock_take(&tsdb->list_lock);
    tsdb->retention = settings->retention;
    tsdb->stale = settings->stale;
    lock_give(&tsdb->list_lock);
    head_reconfigure(tsdb->head, settings->out_of_order_window_ms, settings->max_exemplars);
}

// Views of what is there

void tsdb_stats(Tsdb *tsdb, size_t limit, Arena *arena, TsdbStats *ret_stats)
{
    head_stats(tsdb->head, limit, arena, ret_stats);
}

void tsdb_blocks_json(Tsdb *tsdb, JsonWriter *json)
{
    TsdbBlocks all = tsdb_blocks_take(tsdb);

    json_array(json);
    for (size_t i = 0; i < all.count; i++) {
        BlockMeta meta = *block_meta(all.items[i]);
        meta.stats.tombstones = block_tombstone_count(all.items[i]);
        block_meta_print(&meta, json);
    }
    json_array_end(json);
    tsdb_blocks_give(&all);
}

bool tsdb_time_range(Tsdb *tsdb, int64_t *ret_min_t_ms, int64_t *ret_max_t_ms)
{
    int64_t min_t_ms = INT64_MAX, max_t_ms = INT64_MIN;
    bool any = head_time_range_all(tsdb->head, &min_t_ms, &max_t_ms);
    TsdbBlocks all = tsdb_blocks_take(tsdb);

    if (!any) {
        min_t_ms = INT64_MAX;
        max_t_ms = INT64_MIN;
    }
    for (size_t i = 0; i < all.count; i++) {
        min_t_ms = MIN(min_t_ms, block_meta(all.items[i])->min_t_ms);
        max_t_ms = MAX(max_t_ms, block_meta(all.items[i])->max_t_ms - 1);
        any = true;
    }
    tsdb_blocks_give(&all);
    if (!any)
        return false;
    *ret_min_t_ms = min_t_ms;
    *ret_max_t_ms = max_t_ms;
    return true;
}

bool tsdb_metadata(Tsdb *tsdb, Str metric_name, Arena *arena, Metadata *ret_metadata)
{
    return head_metadata(tsdb->head, metric_name, arena, ret_metadata);
}

bool tsdb_exemplars(Tsdb *tsdb, const Matcher *matchers, size_t count, int64_t min_t_ms,
                    int64_t max_t_ms, Arena *arena, TsdbExemplars *ret_exemplars, Error *err)
{
    return head_exemplars(tsdb->head, matchers, count, min_t_ms, max_t_ms, arena, ret_exemplars,
                          err);
}
