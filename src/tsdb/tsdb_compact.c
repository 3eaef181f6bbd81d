// SPDX-License-Identifier: Apache-2.0
// What the maintenance thread does: head to blocks, blocks to larger blocks, old blocks away.
#include <stdlib.h>

#include "base/log.h"
#include "tsdb/block_verify.h"
#include "tsdb/tsdb_internal.h"

#define STALE_CUT_NEAR_MS 600000

static bool is_stopping(Tsdb *tsdb)
{
    return __atomic_load_n(&tsdb->stop, __ATOMIC_RELAXED);
}

static int64_t align_down(int64_t t, int64_t range)
{
    int64_t rest = t % range;
    return t - (rest < 0 ? rest + range : rest);
}

static void set_populating(Tsdb *tsdb, uint64_t value)
{
    __atomic_store_n(&tsdb->counters.populating, value, __ATOMIC_RELAXED);
}

static void observe_seconds(Tsdb *tsdb, int64_t from_mono_ns)
{
    if (tsdb->compaction_seconds)
        histogram_observe(tsdb->compaction_seconds,
                          (double)(clock_mono_ns(tsdb->options.clock) - from_mono_ns) / 1e9);
}

static void observe_chunk(void *arg, const BlockChunk *chunk)
{
    Tsdb *tsdb = (Tsdb *)arg;

    histogram_observe(tsdb->chunk_bytes, (double)chunk->bytes.len);
    histogram_observe(tsdb->chunk_samples,
                      (double)chunk_sample_count(chunk->encoding, chunk->bytes));
    histogram_observe(tsdb->chunk_seconds, (double)(chunk->max_t_ms - chunk->min_t_ms) / 1e3);
}

typedef enum HeadPart { PART_IN_ORDER, PART_LATE, PART_STALE } HeadPart;

// Blocks are written on a thread that leaves the processor to scrapes and queries; what holds locks for long is not done there.
typedef struct WritePart {
    Head *head;
    HeadPart part;
    const HeadStale *stale;
    BlockWriter *writer;
    int64_t min_t_ms, max_t_ms;
    bool ok;
    Error *err;
} WritePart;

static void write_part(void *arg)
{
    WritePart *w = (WritePart *)arg;

    switch (w->part) {
    case PART_LATE:
        w->ok = head_write_out_of_order_block(w->head, w->min_t_ms, w->max_t_ms, w->writer, w->err);
        break;
    case PART_STALE:
        w->ok =
            head_write_stale_block(w->head, w->stale, w->min_t_ms, w->max_t_ms, w->writer, w->err);
        break;
    case PART_IN_ORDER:
        w->ok = head_write_block(w->head, w->min_t_ms, w->max_t_ms, w->writer, w->err);
        break;
    }
}

// One block of what the head has between both times (the latter exclusive), and makes it readable. `stale` is of PART_STALE.
static bool write_head_block(Tsdb *tsdb, HeadPart part, const HeadStale *stale, int64_t min_t_ms,
                             int64_t max_t_ms, Error *err) REQUIRES(tsdb->work_lock)
{
    int64_t started_ns = clock_mono_ns(tsdb->options.clock);
    BlockWriter *writer;
    bool made = false;
    BlockWriterOptions options = {
        .fs = tsdb->options.fs,
        .dir = tsdb->blocks_dir,
        .ulid = ulid_new(clock_now_ms(tsdb->options.clock)),
        .min_t_ms = min_t_ms,
        .max_t_ms = max_t_ms,
        .level = 1,
        .segment_bytes_max = tsdb->options.block_segment_bytes,
        .from_out_of_order = part == PART_LATE,
        .from_stale_series = part == PART_STALE,
        .chunk_written = tsdb->chunk_bytes ? observe_chunk : NULL,
        .chunk_written_arg = tsdb,
    };

    tsdb_count(&tsdb->counters.compactions);
    if (!block_writer_open(&options, &writer, err))
        return false;
    set_populating(tsdb, 1);
    WritePart w = {tsdb->head, part, stale, writer, min_t_ms, max_t_ms, false, err};
    thread_run_aside("tsdb-write", write_part, &w);
    set_populating(tsdb, 0);
    if (!w.ok) {
        block_writer_abort(writer);
        return false;
    }
    if (!block_writer_finish(writer, &made, err))
        return false;
    if (!made)
        return true;
    if (!tsdb_reload(tsdb, err))
        return false;
    // The head gives up only what can be read from the block.
    if (!tsdb_has_block(tsdb, &options.ulid))
        return error_set(err, ERR_IO, "the new block " STR_FMT " cannot be read",
                         STR_ARG(ulid_str(&options.ulid)));
    observe_seconds(tsdb, started_ns);
    log_info("wrote block of the head", KV("block", ulid_str(&options.ulid)),
             KV("min_t_ms", min_t_ms), KV("max_t_ms", max_t_ms),
             KV("out_of_order", part == PART_LATE), KV("stale", part == PART_STALE),
             KV("took_ms", (clock_mono_ns(tsdb->options.clock) - started_ns) / 1000000));
    return true;
}

// The head can be cut, and has waited for it as long as it should.
static bool next_cut(Tsdb *tsdb, int64_t *ret_min_t_ms, int64_t *ret_max_t_ms)
    REQUIRES(tsdb->work_lock)
{
    int64_t now_ns = clock_mono_ns(tsdb->options.clock);

    if (!head_compactable(tsdb->head, ret_min_t_ms, ret_max_t_ms)) {
        tsdb->cut_due_ns = TSDB_NO_CUT_DUE;
        return false;
    }
    if (tsdb->cut_due_ns == TSDB_NO_CUT_DUE)
        tsdb->cut_due_ns = now_ns;
    return now_ns - tsdb->cut_due_ns >= tsdb->cut_delay_ms * 1000000;
}

// In-order samples. The head is cut only when the block is readable; the log, which is read and written anew for it, once behind the last
// of the blocks: a head of a week has 84.
static bool compact_head(Tsdb *tsdb, Error *err) REQUIRES(tsdb->work_lock)
{
    int64_t min_t_ms, max_t_ms, cut_t_ms = INT64_MIN;

    while (!is_stopping(tsdb) && next_cut(tsdb, &min_t_ms, &max_t_ms)) {
        tsdb_count(&tsdb->counters.compactions_triggered);
        if (!write_head_block(tsdb, PART_IN_ORDER, NULL, min_t_ms, max_t_ms, err) ||
            !head_truncate_memory(tsdb->head, max_t_ms, err))
            return error_context(err, "head to block");
        cut_t_ms = max_t_ms;
    }
    return cut_t_ms == INT64_MIN || is_stopping(tsdb) ||
           head_truncate_log(tsdb->head, cut_t_ms, err) || error_context(err, "head to block");
}

// A block for each aligned range that has some; between them there may be decades without any.
static bool write_out_of_order(Tsdb *tsdb, int64_t min_t_ms, int64_t max_t_ms, Error *err)
    REQUIRES(tsdb->work_lock)
{
    int64_t range = tsdb->options.min_block_ms;

    for (int64_t t = min_t_ms; t <= max_t_ms && head_out_of_order_next(tsdb->head, t, &t);) {
        int64_t from = align_down(t, range);
        if (!write_head_block(tsdb, PART_LATE, NULL, from, from + range, err))
            return false;
        t = from + range;
    }
    return true;
}

static bool compact_out_of_order(Tsdb *tsdb, Error *err) REQUIRES(tsdb->work_lock)
{
    int64_t min_t_ms, max_t_ms;
    bool any = false;

    if (!head_out_of_order_begin(tsdb->head, &any, &min_t_ms, &max_t_ms, err))
        return error_context(err, "out-of-order samples to block");
    if (!any)
        return true;
    tsdb_count(&tsdb->counters.compactions_triggered);
    bool ok = write_out_of_order(tsdb, min_t_ms, max_t_ms, err);
    Error second = {0};
    if (!head_out_of_order_finish(tsdb->head, ok, ok ? err : &second))
        ok = false;
    return ok || error_context(err, "out-of-order samples to block");
}

// The next cut of the head takes them along anyway.
static bool is_cut_near(Tsdb *tsdb)
{
    int64_t min_t_ms, max_t_ms;

    return head_time_range(tsdb->head, &min_t_ms, &max_t_ms) &&
           max_t_ms - min_t_ms > tsdb->options.min_block_ms / 2 * 3 - STALE_CUT_NEAR_MS;
}

static bool write_stale(Tsdb *tsdb, const HeadStale *stale, Error *err) REQUIRES(tsdb->work_lock)
{
    int64_t range = tsdb->options.min_block_ms;

    for (int64_t t = align_down(stale->min_t_ms, range); t <= stale->max_t_ms; t += range)
        if (!write_head_block(tsdb, PART_STALE, stale, t, t + range, err))
            return error_context(err, "stale series to block");
    return true;
}

static bool are_many(const HeadStale *stale, TsdbStaleLimits limits)
{
    return stale->count && stale->count >= limits.series_min &&
           (double)stale->count >= limits.ratio * (double)stale->series;
}

// Series that have ended leave the head early where they are many: as head.go does with stale_series_compaction_threshold.
static bool compact_stale(Tsdb *tsdb, Error *err) REQUIRES(tsdb->work_lock)
{
    int64_t started_ns = clock_mono_ns(tsdb->options.clock);
    HeadStale stale;
    bool ok = true;

    lock_take(&tsdb->list_lock);
    TsdbStaleLimits limits = tsdb->stale;
    lock_give(&tsdb->list_lock);
    head_stale_look(tsdb->head, limits.ratio > 0, &stale);
    if (are_many(&stale, limits) && !is_cut_near(tsdb)) {
        tsdb_count(&tsdb->counters.stale_compactions);
        ok = write_stale(tsdb, &stale, err) && head_truncate_stale(tsdb->head, &stale, err);
        if (ok) {
            log_info("stale series left the head", KV("series", stale.count),
                     KV("took_ms", (clock_mono_ns(tsdb->options.clock) - started_ns) / 1000000));
            head_stale_free(&stale);
            head_stale_look(tsdb->head, false, &stale); // the counters show what is left
        } else {
            tsdb_count(&tsdb->counters.stale_compactions_failed);
        }
        if (tsdb->stale_seconds)
            histogram_observe(tsdb->stale_seconds,
                              (double)(clock_mono_ns(tsdb->options.clock) - started_ns) / 1e9);
    }
    head_stale_free(&stale);
    return ok;
}

static bool is_unfit(const Tsdb *tsdb, const Block *block) REQUIRES(tsdb->work_lock)
{
    for (size_t i = 0; i < tsdb->unfit_count; i++)
        if (ulid_equal(&tsdb->unfit[i], &block_meta(block)->ulid))
            return true;
    return block_meta(block)->failed;
}

static void mark_unfit(Tsdb *tsdb, Block *block, const Error *why) REQUIRES(tsdb->work_lock)
{
    BlockMeta meta = *block_meta(block);
    Error err = {0};

    log_error("block is damaged, it is not compacted any more, going on with the others",
              KV("block", ulid_str(&meta.ulid)), KV("err", why));
    tsdb->unfit = (Ulid *)x_realloc(tsdb->unfit, (tsdb->unfit_count + 1) * sizeof(Ulid));
    tsdb->unfit[tsdb->unfit_count++] = meta.ulid;
    meta.failed = true;
    if (!meta.has_foreign && !block_meta_write(tsdb->options.fs, block_dir(block), &meta, &err))
        log_warn("block cannot be marked as failed, ignoring", KV("err", &err));
}

// Looks for those that made a merge fail. False: none of them is damaged.
static bool mark_damaged(Tsdb *tsdb, Block *const *blocks, size_t count) REQUIRES(tsdb->work_lock)
{
    bool any = false;

    for (size_t i = 0; i < count; i++) {
        BlockFaults faults;
        block_verify(blocks[i], &tsdb->stop, &faults);
        if (faults.bad_series + faults.bad_chunks == 0)
            continue;
        mark_unfit(tsdb, blocks[i], &faults.first);
        any = true;
    }
    return any;
}

// Without a sample left in them, nothing takes their place: at most one of them stays.
static bool drop_all(Tsdb *tsdb, Block *const *blocks, size_t count, Error *err)
    REQUIRES(tsdb->work_lock)
{
    for (size_t i = 0; i < count; i++)
        if (!tsdb_tells_in_order_end(tsdb, blocks[i]) && !tsdb_drop_block(tsdb, blocks[i], err))
            return false;
    return true;
}

typedef struct Merging {
    Tsdb *tsdb;
    Block *const *blocks;
    size_t count;
    CompactOutput output;
    bool made, ok;
    Error *err;
} Merging;

static void merge_aside(void *arg)
{
    Merging *m = (Merging *)arg;

    m->ok = compact_blocks(&m->output, m->blocks, m->count, &m->tsdb->stop, &m->made, m->err);
}

CompactOutput tsdb_compact_output(const Tsdb *tsdb)
{
    return (CompactOutput){
        .fs = tsdb->options.fs,
        .dir = tsdb->blocks_dir,
        .ulid = ulid_new(clock_now_ms(tsdb->options.clock)),
        .samples_per_chunk = (size_t)tsdb->options.samples_per_chunk,
        .segment_bytes_max = tsdb->options.block_segment_bytes,
    };
}

static bool merge_blocks(Tsdb *tsdb, Block *const *blocks, size_t count, bool overlapping,
                         Error *err) REQUIRES(tsdb->work_lock)
{
    int64_t started_ns = clock_mono_ns(tsdb->options.clock);
    Merging m = {
        .tsdb = tsdb,
        .blocks = blocks,
        .count = count,
        .output = tsdb_compact_output(tsdb),
        .err = err,
    };

    tsdb_count(&tsdb->counters.compactions);
    if (overlapping)
        tsdb_count(&tsdb->counters.vertical_compactions);
    set_populating(tsdb, 1);
    thread_run_aside("tsdb-merge", merge_aside, &m);
    set_populating(tsdb, 0);
    if (!m.ok) {
        Error why = *err;
        if (err->code == ERR_CORRUPT && !mark_damaged(tsdb, blocks, count))
            for (size_t i = 0; i < count; i++)
                mark_unfit(tsdb, blocks[i], &why);
        return false;
    }
    // The new block names the old ones as its parents: loading it puts them aside.
    if (m.made ? !tsdb_reload(tsdb, err) : !drop_all(tsdb, blocks, count, err))
        return false;
    observe_seconds(tsdb, started_ns);
    log_info("compacted blocks", KV("block", m.made ? ulid_str(&m.output.ulid) : S("none")),
             KV("blocks", count),
             KV("took_ms", (clock_mono_ns(tsdb->options.clock) - started_ns) / 1000000));
    return true;
}

// The end of a block without hints tells the next start which in-order samples of the log have had their block. So blocks of late samples
// or of stale series that reach behind it wait until the head has caught up: merged with others they would hide samples that only the log
// has.
static bool is_ahead(const BlockMeta *meta, int64_t in_order_end)
{
    return block_meta_is_partial(meta) && meta->max_t_ms > in_order_end;
}

// A file that cannot be read makes nothing wait, as in the original: a shipper that never starts must not stop compaction.
static size_t count_uploaded(const Tsdb *tsdb, const BlockMeta *const *metas, size_t count)
{
    size_t done;
    Error err = {0};

    if (!tsdb->options.uploads_file.len)
        return count;
    if (compact_uploads_done(tsdb->options.fs, tsdb->options.uploads_file, metas, count, &done,
                             &err))
        return done;
    log_warn("list of uploaded blocks cannot be read, no block waits",
             KV("file", tsdb->options.uploads_file), KV("err", &err));
    return count;
}

// One round of planning and merging. *ret_more: there may be another.
static bool compact_once(Tsdb *tsdb, bool *ret_more, Error *err) REQUIRES(tsdb->work_lock)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    int64_t ranges[COMPACT_RANGES_MAX];
    if (!tsdb_settle(tsdb, err)) {
        *ret_more = false;
        return false;
    }
    size_t range_count =
        compact_ranges(tsdb->options.min_block_ms, tsdb->options.max_block_ms, ranges);
    TsdbBlocks all = tsdb_blocks_take(tsdb);
    BlockMeta *metas = ARENA_ARRAY(&arena, BlockMeta, all.count);
    const BlockMeta **pointers = ARENA_ARRAY(&arena, const BlockMeta *, all.count);
    Block **blocks = ARENA_ARRAY(&arena, Block *, all.count);
    int64_t in_order_end = tsdb_in_order_end(&all);
    size_t count = 0;
    bool ok = true;

    for (size_t i = 0; i < all.count; i++) {
        if (is_ahead(block_meta(all.items[i]), in_order_end))
            continue;
        metas[count] = *block_meta(all.items[i]);
        metas[count].stats.tombstones = block_tombstone_count(all.items[i]);
        if (metas[count].stats.tombstones && tsdb_tells_in_order_end(tsdb, all.items[i]))
            metas[count].stats.tombstones = 0; // it stays, and would be made anew each time
        metas[count].failed = is_unfit(tsdb, all.items[i]);
        pointers[count] = &metas[count];
        blocks[count++] = all.items[i];
    }
    const CompactRules rules = {ranges, range_count, tsdb->options.leaves_overlaps};
    CompactPlan plan =
        compact_plan(pointers, count_uploaded(tsdb, pointers, count), &rules, &arena);
    *ret_more = plan.count > 0;
    if (plan.count) {
        Block **chosen = ARENA_ARRAY(&arena, Block *, plan.count);
        for (size_t i = 0; i < plan.count; i++)
            chosen[i] = blocks[plan.indices[i]];
        ok = merge_blocks(tsdb, chosen, plan.count, plan.overlapping, err);
    }
    tsdb_blocks_give(&all);
    return ok;
}

// Retention

static uint64_t bytes_beside_blocks(Tsdb *tsdb)
{
    HeadCounters c;

    head_counters(tsdb->head, &c);
    return c.wal_bytes + c.wbl_bytes + c.chunks_head_bytes;
}

static int compare_ends(const void *a, const void *b)
{
    int64_t x = block_meta(*(Block *const *)a)->max_t_ms,
            y = block_meta(*(Block *const *)b)->max_t_ms;
    return (x > y) - (x < y);
}

// Remembers the first failure.
static void keep_first(bool ok, const Error *err, bool *all_ok, Error *first)
{
    if (!ok && *all_ok)
        *first = *err;
    *all_ok = *all_ok && ok;
}

// A share of the disk is worked out each time, as file systems grow. One that does not tell its size gives no reason to delete: the
// limit in bytes counts, if there is one.
static RetentionLimits retention_limits(const Tsdb *tsdb, const TsdbRetention *retention)
{
    RetentionLimits limits = {retention->ms, retention->bytes};
    uint64_t disk_bytes;
    Error err = {0};

    if (retention->percentage <= 0)
        return limits;
    if (fs_disk_bytes(tsdb->options.fs, tsdb->options.dir, &disk_bytes, &err))
        limits.bytes_max = MAX((uint64_t)((double)disk_bytes * retention->percentage / 100), 1);
    else
        log_warn("size of the file system is not known, retention by percentage is skipped",
                 KV("err", &err));
    return limits;
}

static bool apply_retention(Tsdb *tsdb, Error *err) REQUIRES(tsdb->work_lock)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    TsdbBlocks all = tsdb_blocks_take(tsdb);
    RetentionBlock *rows = ARENA_ARRAY(&arena, RetentionBlock, all.count);
    bool ok = true;

    lock_take(&tsdb->list_lock);
    TsdbRetention retention = tsdb->retention;
    lock_give(&tsdb->list_lock);
    RetentionLimits limits = retention_limits(tsdb, &retention);
    if (all.count)
        qsort(all.items, all.count, sizeof(Block *), compare_ends);
    for (size_t i = 0; i < all.count; i++)
        rows[i] = (RetentionBlock){block_meta(all.items[i])->max_t_ms, block_bytes(all.items[i])};
    RetentionChoice choice = retention_choose(rows, all.count, limits, bytes_beside_blocks(tsdb));
    if (choice.by_time)
        tsdb_count(&tsdb->counters.time_retentions);
    if (choice.by_size > choice.by_time)
        tsdb_count(&tsdb->counters.size_retentions);
    for (size_t i = 0; i < choice.by_size; i++) {
        Error why = {0};
        if (tsdb_tells_in_order_end(tsdb, all.items[i]))
            continue;
        log_info("removing block by retention",
                 KV("block", ulid_str(&block_meta(all.items[i])->ulid)),
                 KV("reason", i < choice.by_time ? "time" : "size"));
        keep_first(tsdb_drop_block(tsdb, all.items[i], &why), &why, &ok, err);
    }
    tsdb_blocks_give(&all);
    return ok || error_context(err, "retention");
}

static bool compact_all(Tsdb *tsdb, Error *first) REQUIRES(tsdb->work_lock)
{
    bool more = true, all_ok = true;

    while (more && !is_stopping(tsdb)) {
        Error err = {0};
        size_t unfit = tsdb->unfit_count;
        bool ok = compact_once(tsdb, &more, &err);
        keep_first(ok, &err, &all_ok, first);
        if (!ok && tsdb->unfit_count == unfit) // else the plan is another one now
            break;
    }
    return all_ok || error_context(first, "compaction");
}

// What fails does not keep the rest from its turn: on a full disk it is retention and merging that make room. Retention goes first, as a
// merge needs room for what it would only make to be deleted.
bool tsdb_compact_locked(Tsdb *tsdb, Error *err)
{
    bool all_ok = true;
    Error why = {0};

    if (__atomic_load_n(&tsdb->counters.blocks_unreadable, __ATOMIC_RELAXED))
        keep_first(tsdb_reload(tsdb, &why), &why, &all_ok, err);
    keep_first(compact_head(tsdb, &why), &why, &all_ok, err);
    keep_first(compact_stale(tsdb, &why), &why, &all_ok, err);
    keep_first(compact_out_of_order(tsdb, &why), &why, &all_ok, err);
    keep_first(apply_retention(tsdb, &why), &why, &all_ok, err);
    keep_first(compact_all(tsdb, &why), &why, &all_ok, err);
    return all_ok;
}
