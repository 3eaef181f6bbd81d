// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "tsdb/head_image.h"
#include "tsdb/head_internal.h"
#include "tsdb/head_settled.h"

#define TRIM_BYTES_MIN (UINT64_C(1) << 20)

// --- life ---

static void init_locks(Head *head)
{
    lock_init(&head->truncate_lock, "head truncate", RANK_HEAD_TRUNCATE);
    lock_init(&head->commit_lock, "head commit", RANK_HEAD_COMMIT);
    lock_init_short(&head->create_lock, "head create", RANK_HEAD_CREATE);
    rwlock_init(&head->index_lock, "head index", RANK_HEAD_INDEX);
    lock_init(&head->apply_lock, "head apply", RANK_HEAD_APPLY);
    lock_init(&head->readers_lock, "head readers", RANK_HEAD_READERS);
    for (size_t i = 0; i < SERIES_STRIPES; i++)
        lock_init(&head->stripes[i], "head stripe", RANK_HEAD_STRIPE);
    lock_init(&head->unlogged_lock, "head unlogged", RANK_HEAD_UNLOGGED);
    lock_init(&head->metadata_lock, "head metadata", RANK_HEAD_METADATA);
    condition_init(&head->commit_done);
    condition_init(&head->reader_closed);
}

static void deinit_locks(Head *head)
{
    lock_deinit(&head->truncate_lock);
    lock_deinit(&head->commit_lock);
    rwlock_deinit(&head->index_lock);
    lock_deinit(&head->create_lock);
    lock_deinit(&head->apply_lock);
    lock_deinit(&head->readers_lock);
    for (size_t i = 0; i < SERIES_STRIPES; i++)
        lock_deinit(&head->stripes[i]);
    lock_deinit(&head->unlogged_lock);
    lock_deinit(&head->metadata_lock);
    condition_deinit(&head->commit_done);
    condition_deinit(&head->reader_closed);
}

static bool options_good(const HeadOptions *o, Error *err)
{
    if (o->min_block_ms <= 0)
        return error_set(err, ERR_INVALID, "the block length must be above 0");
    if (o->samples_per_chunk < 4 || o->samples_per_chunk > CHUNK_SAMPLES_MAX / 4)
        return error_set(err, ERR_INVALID, "samples per chunk must be between 4 and %d, not %d",
                         CHUNK_SAMPLES_MAX / 4, o->samples_per_chunk);
    return true;
}

bool head_open(const HeadOptions *options, Head **ret_head, Error *err)
{
    if (!options_good(options, err))
        return false;
    Head *head = X_NEW(Head);
    head->options = *options;
    head->fs = options->fs;
    head->wal_dir = fs_join(&head->arena, options->dir, S("wal"));
    head->wbl_dir = fs_join(&head->arena, options->dir, S("wbl"));
    head->chunks_dir = fs_join(&head->arena, options->dir, S("chunks_head"));
    head->options.dir = arena_str(&head->arena, options->dir);
    head->sink.begin = head_append_begin;
    head->source.open = head_read_open;
    head->queue_tail = &head->queue;
    head->min_t = head->ooo_min_t = INT64_MAX;
    head->max_t = head->ooo_max_t = INT64_MIN;
    head->min_valid_t = head->floor_t = options->min_valid_t_ms;
    head->window_ms = options->out_of_order_window_ms;
    init_locks(head);
    head_index_init(&head->index);
    pool_init(&head->pool);
    head_undo_init(&head->undo);
    head->exemplars = head_exemplars_new(options->max_exemplars);

    bool empty = false;
    bool ok = fs_make_dirs(head->fs, options->dir, err) && head_replay(head, &empty, err) &&
              wal_open(head->fs, head->wal_dir, options->wal_segment_bytes, &head->wal, err);
    if (ok && fs_exists(head->fs, head->wbl_dir))
        ok = head_out_of_order_open_log(head, err);
    if (!ok) {
        head_close(head);
        return error_context(err, "open the head");
    }
    if (head->wbl)
        head_out_of_order_log_stranded(head);
    head_truncate_empty(head, empty);
    head->opened = true;
    *ret_head = head;
    return true;
}

static void report_close(const char *what, bool ok, Error *err)
{
    if (!ok)
        log_error("cannot flush at the end, the log has the samples, ignoring", KV("what", what),
                  KV("err", err->text));
    *err = (Error){0};
}

// What the log does not know yet: series of appenders that were rolled back are nobody's loss, but cost nothing.
static void close_logs(Head *head)
{
    Error err = {0};

    if (head->chunks)
        report_close("chunks_head", head_chunks_flush(head->chunks, &err), &err);
    if (head->wal) {
        head_image_close_head(head);
        head_settled_close_head(head);
    }
    if (head->wal && head->opened && head->options.snapshot_at_close)
        report_close("chunk_snapshot", head_snapshot_write(head, &err), &err);
    if (head->wal)
        report_close("wal", wal_sync(head->wal, &err), &err);
    if (head->wbl)
        report_close("wbl", wal_sync(head->wbl, &err), &err);
    wal_close(head->wal);
    wal_close(head->wbl);
    head_chunks_close(head->chunks);
}

void head_close(Head *head)
{
    if (!head)
        return;
    ASSERT(head->active_appenders == 0);
    ASSERT(head->readers == NULL);
    close_logs(head);
    while (head->free_appenders) {
        HeadAppender *next = head->free_appenders->next;
        head_append_free(head->free_appenders);
        head->free_appenders = next;
    }
    for (size_t s = 0; s < SERIES_STRIPES; s++) {
        for (size_t i = 0; i < head->extras[s].size; i++)
            head_extra_free((SeriesExtra *)(uintptr_t)head->extras[s].entries[i].value);
        ref_map_deinit(&head->extras[s]);
    }
    head_index_deinit(&head->index);
    pool_deinit(&head->pool);
    head_undo_deinit(&head->undo);
    head_exemplars_free(head->exemplars);
    head_metadata_deinit(head);
    ref_map_deinit(&head->expired);
    ref_map_deinit(&head->twins);
    ref_map_deinit(&head->twinned);
    head_unlogged_deinit(&head->unlogged);
    free(head->late);
    free(head->late_refs);
    deinit_locks(head);
    arena_deinit(&head->arena);
    free(head);
}

Sink *head_sink(Head *head)
{
    return &head->sink;
}

Source *head_source(Head *head)
{
    return &head->source;
}

void head_pack_xor2(Head *head, bool on)
{
    SET(head->packs_xor2, on);
}

void head_reconfigure(Head *head, int64_t out_of_order_window_ms, uint64_t max_exemplars)
{
    SET(head->window_ms, out_of_order_window_ms);
    head_exemplars_resize(head->exemplars, max_exemplars);
}

// Series that came together end their chunks together: most of what those took is then free, in whole pages, until they have grown again.
static void trim_chunks(Head *head)
{
    head_lead(head); // the pool is the leader's
    if (pool_empty_bytes(&head->pool) >= MAX(TRIM_BYTES_MIN, head->pool.held_bytes / 8))
        pool_trim(&head->pool);
    head_follow(head);
}

void head_release_pages(Head *head)
{
    head_chunks_release_pages(head->chunks);
    trim_chunks(head);
}

void head_ease_restart(Head *head)
{
    head_image_refresh(head);
    head_settled_refresh(head);
}

bool head_sync(Head *head, Error *err)
{
    head_lead(head);
    bool ok = wal_sync(head->wal, err) && (!head->wbl || wal_sync(head->wbl, err));
    head_follow(head);
    return ok;
}

// --- times ---

bool head_time_range(Head *head, int64_t *ret_min_t_ms, int64_t *ret_max_t_ms)
{
    int64_t min_t = GET(head->min_t);
    int64_t max_t = GET(head->max_t);

    if (min_t > max_t)
        return false;
    *ret_min_t_ms = min_t;
    *ret_max_t_ms = max_t;
    return true;
}

bool head_time_range_all(Head *head, int64_t *ret_min_t_ms, int64_t *ret_max_t_ms)
{
    int64_t min_t = MIN(GET(head->min_t), GET(head->ooo_min_t));
    int64_t max_t = MAX(GET(head->max_t), GET(head->ooo_max_t));

    if (min_t > max_t)
        return false;
    *ret_min_t_ms = min_t;
    *ret_max_t_ms = max_t;
    return true;
}

bool head_compactable(Head *head, int64_t *ret_min_t_ms, int64_t *ret_max_t_ms)
{
    int64_t width = head->options.min_block_ms;
    int64_t min_t;
    int64_t max_t;

    if (!head_time_range(head, &min_t, &max_t))
        return false;
    uint64_t span = (uint64_t)max_t - (uint64_t)min_t;
    if (span <= (uint64_t)width / 2 * 3)
        return false;
    *ret_min_t_ms = range_start(min_t, width);
    *ret_max_t_ms = *ret_min_t_ms + width;
    return true;
}

// --- deletion ---

bool head_log_deletions(Head *head, const HeadDeletion *deletions, size_t count, Error *err)
{
    Buf raw = {0};
    bool ok = true;
    WalRecordWriter writer = wal_record_begin(&raw, WAL_TOMBSTONES);

    for (size_t i = 0; i < count && ok; i++) {
        wal_record_tombstone(&writer, deletions[i].ref, deletions[i].interval);
        if (raw.len > 1000000 || i + 1 == count) {
            WalRecord record = {.bytes = buf_str(&raw), .flags = WAL_RAW};
            ok = wal_write(head->wal, &record, 1, err);
            buf_reset(&raw);
            writer = wal_record_begin(&raw, WAL_TOMBSTONES);
        }
    }
    buf_deinit(&raw);
    return ok;
}

static void apply_deletions(Head *head, const HeadDeletion *deletions, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t ref = deletions[i].ref;
        SeriesSlot slot = series_slot(&head->index.series, ref);
        Series *series = series_at(&head->index.series, slot);
        lock_take(&head->stripes[series_stripe(ref)]);
        if (slot && series_ref(series) == ref)
            intervals_add(&head_extra(head, ref, series, true)->deleted, deletions[i].interval);
        lock_give(&head->stripes[series_stripe(ref)]);
    }
}

static bool delete_series(Head *head, const SeriesList *list, Interval interval, Arena *arena,
                          Error *err)
{
    HeadDeletion *deletions = ARENA_ARRAY(arena, HeadDeletion, list->count);

    for (size_t i = 0; i < list->count; i++)
        deletions[i] = (HeadDeletion){list->series[i].handle, interval};
    if (!head_log_deletions(head, deletions, list->count, err) ||
        (head->options.wal_sync == TSDB_SYNC_COMMIT && !wal_sync(head->wal, err)))
        return false;
    apply_deletions(head, deletions, list->count);
    return true;
}

bool head_delete(Head *head, const Matcher *matchers, size_t count, int64_t min_t_ms,
                 int64_t max_t_ms, Error *err)
{
    Arena arena = {0};
    Querier *querier;
    SeriesList list;
    int64_t min_t;
    int64_t max_t;

    head_lead(head);
    bool settled = head_out_of_order_settle(head, err);
    head_follow(head);
    if (!settled)
        return error_context(err, "delete in the head");
    // As in Prometheus: what comes later is not deleted with what is here now.
    if (!head_time_range_all(head, &min_t, &max_t) || min_t_ms > max_t || max_t_ms < min_t)
        return true;
    Interval interval = {MAX(min_t_ms, min_t), MIN(max_t_ms, max_t)};
    if (!head_read_open(&head->source, interval.min_t_ms, interval.max_t_ms, &querier, err))
        return false;
    bool ok = querier->select(querier, matchers, count, NULL, &arena, &list, err);
    if (ok && list.count) {
        head_lead(head);
        ok = delete_series(head, &list, interval, &arena, err);
        head_follow(head);
    }
    querier->close(querier);
    arena_deinit(&arena);
    return ok ? true : error_context(err, "delete in the head");
}

bool head_exemplars(Head *head, const Matcher *matchers, size_t count, int64_t min_t_ms,
                    int64_t max_t_ms, Arena *arena, TsdbExemplars *ret_exemplars, Error *err)
{
    (void)err;
    *ret_exemplars = (TsdbExemplars){0};
    head_exemplars_select(head->exemplars, matchers, count, min_t_ms, max_t_ms, arena,
                          ret_exemplars);
    return true;
}

// --- statistics ---

static int compare_counts(const void *a, const void *b)
{
    const TsdbNamedCount *x = a;
    const TsdbNamedCount *y = b;
    if (x->value != y->value)
        return x->value < y->value ? 1 : -1;
    return str_compare(x->name, y->name);
}

static void keep_largest(TsdbNamedCount *items, size_t *count, size_t limit, Arena *arena,
                         TsdbNamedCount **ret)
{
    if (*count)
        qsort(items, *count, sizeof *items, compare_counts);
    *count = MIN(*count, limit);
    *ret = ARENA_ARRAY(arena, TsdbNamedCount, *count);
    for (size_t i = 0; i < *count; i++)
        (*ret)[i] = (TsdbNamedCount){arena_str(arena, items[i].name), items[i].value};
}

static void pair_stats(const HeadIndex *index, size_t limit, Arena *scratch, Arena *arena,
                       TsdbStats *stats)
{
    TsdbNamedCount *metrics = ARENA_ARRAY(scratch, TsdbNamedCount, index->live_pairs);
    TsdbNamedCount *pairs = ARENA_ARRAY(scratch, TsdbNamedCount, index->live_pairs);
    uint32_t metric = head_index_name(index, LABEL_METRIC_NAME);

    for (uint32_t i = 1; i < index->pair_count; i++) {
        const LabelPair *pair = &index->pairs[i];
        if (!pair->value)
            continue;
        Str name = head_index_text(index, index->names[pair->name].text);
        Str value = head_index_text(index, pair->value);
        Str both = arena_printf(scratch, STR_FMT "=" STR_FMT, STR_ARG(name), STR_ARG(value));
        pairs[stats->series_by_pair_count++] = (TsdbNamedCount){both, pair->postings.count};
        if (pair->name == metric)
            metrics[stats->series_by_metric_count++] =
                (TsdbNamedCount){value, pair->postings.count};
    }
    keep_largest(metrics, &stats->series_by_metric_count, limit, arena, &stats->series_by_metric);
    keep_largest(pairs, &stats->series_by_pair_count, limit, arena, &stats->series_by_pair);
}

static void name_stats(const HeadIndex *index, size_t limit, Arena *scratch, Arena *arena,
                       TsdbStats *stats)
{
    TsdbNamedCount *values = ARENA_ARRAY(scratch, TsdbNamedCount, index->name_count);
    TsdbNamedCount *bytes = ARENA_ARRAY(scratch, TsdbNamedCount, index->name_count);

    for (uint32_t n = 1; n < index->name_count; n++) {
        const LabelName *name = &index->names[n];
        uint64_t total = 0;
        for (uint32_t i = 0; i < name->count; i++)
            total += head_index_text(index, index->pairs[name->pairs[i]].value).len *
                     index->pairs[name->pairs[i]].postings.count;
        if (!name->count)
            continue;
        Str text = head_index_text(index, name->text);
        values[stats->values_by_label_count++] = (TsdbNamedCount){text, name->count};
        bytes[stats->bytes_by_label_count++] = (TsdbNamedCount){text, total};
    }
    keep_largest(values, &stats->values_by_label_count, limit, arena, &stats->values_by_label);
    keep_largest(bytes, &stats->bytes_by_label_count, limit, arena, &stats->bytes_by_label);
}

void head_stats(Head *head, size_t limit, Arena *arena, TsdbStats *ret_stats)
{
    Arena scratch = {0};
    TsdbStats stats = {.min_t_ms = GET(head->min_t), .max_t_ms = GET(head->max_t)};

    rwlock_take_read(&head->index_lock);
    stats.series = head->index.series.count;
    stats.label_pairs = head->index.live_pairs;
    stats.chunks = GET(head->counters.chunks);
    pair_stats(&head->index, limit, &scratch, arena, &stats);
    name_stats(&head->index, limit, &scratch, arena, &stats);
    rwlock_give(&head->index_lock);
    arena_deinit(&scratch);
    *ret_stats = stats;
}

static uint64_t bytes_below(Head *head, Str dir)
{
    Arena scratch = {0};
    FsList list = {0};
    Error err = {0};
    uint64_t bytes = 0;

    if (fs_exists(head->fs, dir) && fs_list(head->fs, dir, &scratch, &list, &err))
        for (size_t i = 0; i < list.count; i++)
            bytes += list.entries[i].is_dir
                         ? bytes_below(head, fs_join(&scratch, dir, list.entries[i].name))
                         : list.entries[i].bytes;
    arena_deinit(&scratch);
    return bytes;
}

void head_counters(Head *head, HeadCounters *ret)
{
    const uint64_t *from = (const uint64_t *)&head->counters;
    uint64_t *to = (uint64_t *)ret;

    _Static_assert(sizeof(HeadCounters) % sizeof(uint64_t) == 0, "copied word by word");
    for (size_t i = 0; i < sizeof *ret / sizeof *to; i++)
        to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
    head_lead(head); // the log's own counters are the leader's
    wal_counters(head->wal, &ret->wal);
    if (head->wbl)
        wal_counters(head->wbl, &ret->wbl);
    ret->has_wbl = head->wbl || GET(head->window_ms) > 0;
    head_follow(head);
    ret->newest_epoch = __atomic_load_n(&head->epoch, __ATOMIC_ACQUIRE);
    ret->wal_bytes = bytes_below(head, head->wal_dir);
    ret->wbl_bytes = bytes_below(head, head->wbl_dir);
    ret->chunks_head_bytes = head_chunks_bytes_on_disk(head->chunks);
    lock_take(&head->commit_lock);
    ret->active_appenders = head->active_appenders;
    lock_give(&head->commit_lock);
    lock_take(&head->readers_lock);
    ret->open_queriers = head->open_queriers;
    ret->oldest_epoch = ret->newest_epoch;
    for (const HeadQuerier *q = head->readers; q; q = q->next)
        ret->oldest_epoch = MIN(ret->oldest_epoch, q->epoch);
    lock_give(&head->readers_lock);
    head_exemplars_count(head->exemplars, &ret->exemplars_in_storage, &ret->exemplars_series,
                         &ret->oldest_exemplar_ms);
    ret->exemplars_max = head_exemplars_max(head->exemplars);
}

void head_check(Head *head)
{
    head_lead(head);
    rwlock_take_read(&head->index_lock);
    head_index_check(&head->index);
    ASSERT(GET(head->counters.series) == head->index.series.count);
    rwlock_give(&head->index_lock);
    head_follow(head);
}
