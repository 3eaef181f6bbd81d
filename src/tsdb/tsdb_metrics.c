// SPDX-License-Identifier: Apache-2.0
// prometheus_tsdb_* under the names upstream gives them; what is only ours is narthex_tsdb_*.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "tsdb/tsdb_internal.h"

typedef struct HeadRow {
    const char *name;
    const char *help;
    size_t offset; // of a uint64_t in HeadCounters
    FamilyKind kind;
} HeadRow;

#define ROW(kind, name, help, member)                                                              \
    {                                                                                              \
        "prometheus_tsdb_" name, help, offsetof(HeadCounters, member), kind                        \
    }

static const HeadRow head_rows[] = {
    ROW(FAMILY_GAUGE, "head_series", "Total number of series in the head block.", series),
    ROW(FAMILY_GAUGE, "head_stale_series", "Number of stale series in the head block.",
        stale_series),
    ROW(FAMILY_GAUGE, "head_native_histogram_series",
        "Number of series with native histograms in the head block.", native_histogram_series),
    ROW(FAMILY_GAUGE, "head_native_histogram_buckets",
        "Number of buckets of the newest native histograms in the head block.",
        native_histogram_buckets),
    ROW(FAMILY_COUNTER, "head_series_created_total", "Total number of series created in the head.",
        series_created),
    ROW(FAMILY_COUNTER, "head_series_removed_total", "Total number of series removed in the head.",
        series_removed),
    ROW(FAMILY_COUNTER, "head_series_not_found_total",
        "Total number of requests for series that were not found.", series_not_found),
    ROW(FAMILY_GAUGE, "head_chunks", "Total number of chunks in the head block.", chunks),
    ROW(FAMILY_COUNTER, "head_chunks_created_total", "Total number of chunks created in the head.",
        chunks_created),
    ROW(FAMILY_COUNTER, "head_chunks_removed_total", "Total number of chunks removed in the head.",
        chunks_removed),
    ROW(FAMILY_GAUGE, "head_active_appenders", "Number of currently active appender transactions.",
        active_appenders),
    ROW(FAMILY_GAUGE, "head_chunks_storage_size_bytes", "Size of the chunks_head directory.",
        chunks_head_bytes),
    ROW(FAMILY_COUNTER, "head_truncations_total", "Total number of head truncations attempted.",
        truncations),
    ROW(FAMILY_COUNTER, "head_truncations_failed_total",
        "Total number of head truncations that failed.", truncations_failed),
    ROW(FAMILY_COUNTER, "checkpoint_creations_total",
        "Total number of checkpoint creations attempted.", checkpoints),
    ROW(FAMILY_COUNTER, "checkpoint_creations_failed_total",
        "Total number of checkpoint creations that failed.", checkpoints_failed),
    ROW(FAMILY_COUNTER, "checkpoint_deletions_total",
        "Total number of checkpoint deletions attempted.", checkpoint_deletions),
    ROW(FAMILY_COUNTER, "checkpoint_deletions_failed_total",
        "Total number of checkpoint deletions that failed.", checkpoint_deletions_failed),
    ROW(FAMILY_COUNTER, "head_appenders_created_total",
        "Total number of appenders created in the head.", appenders_created),
    ROW(FAMILY_COUNTER, "mmap_chunks_total", "Total number of chunks that were memory-mapped.",
        mmap_chunks),
    ROW(FAMILY_GAUGE, "isolation_high_watermark",
        "The highest TSDB append ID that has been given out.", newest_epoch),
    ROW(FAMILY_GAUGE, "isolation_low_watermark",
        "The lowest TSDB append ID that is still referenced.", oldest_epoch),
    ROW(FAMILY_COUNTER, "wal_corruptions_total", "Total number of WAL corruptions.",
        wal_corruptions),
    ROW(FAMILY_COUNTER, "wal_truncations_total", "Total number of WAL truncations attempted.",
        wal_truncations),
    ROW(FAMILY_COUNTER, "wal_truncations_failed_total",
        "Total number of WAL truncations that failed.", wal_truncations_failed),
    ROW(FAMILY_GAUGE, "wal_storage_size_bytes", "Size of the write log directory.", wal_bytes),
    ROW(FAMILY_COUNTER, "mmap_chunk_corruptions_total",
        "Total number of memory-mapped chunk corruptions.", mmap_chunk_corruptions),
    ROW(FAMILY_GAUGE, "exemplar_exemplars_in_storage",
        "Number of exemplars currently in circular storage.", exemplars_in_storage),
    ROW(FAMILY_GAUGE, "exemplar_series_with_exemplars_in_storage",
        "Number of series with exemplars currently in circular storage.", exemplars_series),
    ROW(FAMILY_COUNTER, "exemplar_exemplars_appended_total", "Total number of appended exemplars.",
        exemplars_appended),
    ROW(FAMILY_COUNTER, "exemplar_out_of_order_exemplars_total",
        "Total number of out of order exemplar ingestion failed attempts.", exemplars_out_of_order),
};

static void gauge(Collection *c, const char *name, const char *help, double value)
{
    collection_family(c, name, FAMILY_GAUGE, help);
    collection_add(c, NULL, 0, value);
}

static void counter(Collection *c, const char *name, const char *help, const uint64_t *value)
{
    collection_family(c, name, FAMILY_COUNTER, help);
    collection_add(c, NULL, 0, (double)__atomic_load_n(value, __ATOMIC_RELAXED));
}

// Without quantiles.
static void summary(Collection *c, const char *name, const char *help, uint64_t nanoseconds,
                    uint64_t count)
{
    collection_family(c, name, FAMILY_SUMMARY, help);
    collection_add_suffixed(c, "_sum", NULL, 0, (double)nanoseconds / 1e9);
    collection_add_suffixed(c, "_count", NULL, 0, (double)count);
}

static void add_typed(Collection *c, const char *type, double value)
{
    Str label[2] = {STR("type"), str_from_c(type)};
    collection_add(c, label, 1, value);
}

// Families with the label type.
static void collect_samples(Collection *c, const HeadCounters *h)
{
    collection_family(c, "prometheus_tsdb_head_samples_appended_total", FAMILY_COUNTER,
                      "Total number of appended samples.");
    add_typed(c, "float", (double)h->float_samples_appended);
    add_typed(c, "histogram", (double)h->histogram_samples_appended);
    collection_family(c, "prometheus_tsdb_head_out_of_order_samples_appended_total", FAMILY_COUNTER,
                      "Total number of appended out of order samples.");
    add_typed(c, "float", (double)h->out_of_order_appended);
    collection_family(c, "prometheus_tsdb_out_of_order_samples_total", FAMILY_COUNTER,
                      "Total number of out of order samples ingestion failed attempts due to out "
                      "of order being disabled.");
    add_typed(c, "float", (double)h->out_of_order_refused);
    collection_family(c, "prometheus_tsdb_out_of_bound_samples_total", FAMILY_COUNTER,
                      "Total number of out of bound samples ingestion failed attempts with out of "
                      "order support disabled.");
    add_typed(c, "float", (double)h->out_of_bounds);
    collection_family(c, "prometheus_tsdb_too_old_samples_total", FAMILY_COUNTER,
                      "Total number of out of order samples ingestion failed attempts with out of "
                      "support enabled, but sample "
                      "outside of time window.");
    add_typed(c, "float", (double)h->too_old);
}

static int double_order(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

// One family of a log: "prometheus_tsdb_" log name.
static void log_family(Collection *c, const char *log, const char *name, FamilyKind kind,
                       const char *help)
{
    char full[100];

    snprintf(full, sizeof full, "prometheus_tsdb_%s_%s", log, name);
    collection_family(c, full, kind, help);
}

// Quantiles of the latest; NaN while there was none, as the original has it.
static void collect_fsyncs(Collection *c, const char *log, WalCounters *w)
{
    static const struct {
        const char *text;
        double value;
    } quantiles[] = {{"0.5", 0.5}, {"0.9", 0.9}, {"0.99", 0.99}};
    double *recent = w->fsync_recent_s;
    size_t count = MIN(w->fsyncs, WAL_FSYNCS_KEPT);
    qsort(recent, count, sizeof *recent, double_order);
    log_family(c, log, "fsync_duration_seconds", FAMILY_SUMMARY, "Duration of write log fsync.");
    for (size_t i = 0; i < COUNT_OF(quantiles); i++) {
        const Str pair[] = {S("quantile"), str_from_c(quantiles[i].text)};
        collection_add(c, pair, 1,
                       count ? recent[(size_t)(quantiles[i].value * (double)(count - 1))] : NAN);
    }
    collection_add_suffixed(c, "_sum", NULL, 0, w->fsync_seconds);
    collection_add_suffixed(c, "_count", NULL, 0, (double)w->fsyncs);
}

static const struct {
    const char *name;
    const char *help;
    size_t offset; // of a uint64_t in WalCounters
    FamilyKind kind;
} log_rows[] = {
    {"record_part_writes_total", "Total number of record parts written before flushing.",
     offsetof(WalCounters, part_writes), FAMILY_COUNTER},
    {"record_parts_bytes_written_total",
     "Total number of record part bytes written before flushing, including CRC and compression "
     "headers.",
     offsetof(WalCounters, part_bytes), FAMILY_COUNTER},
    {"segment_current", "Write log segment index that TSDB is currently writing to.",
     offsetof(WalCounters, segment), FAMILY_GAUGE},
    {"writes_failed_total", "Total number of write log writes that failed.",
     offsetof(WalCounters, writes_failed), FAMILY_COUNTER},
    {"page_flushes_total", "Total number of page flushes.", offsetof(WalCounters, page_flushes),
     FAMILY_COUNTER},
};

// What both logs count. Bytes that compression saves are told once there are some, as in the original.
static void collect_log(Tsdb *tsdb, Collection *c, const char *log, WalCounters *w)
{
    TsdbCompression compression = tsdb->options.wal_compression;

    for (size_t i = 0; i < COUNT_OF(log_rows); i++) {
        uint64_t value;
        memcpy(&value, (const char *)w + log_rows[i].offset, sizeof value);
        log_family(c, log, log_rows[i].name, log_rows[i].kind, log_rows[i].help);
        collection_add(c, NULL, 0, (double)value);
    }
    log_family(c, log, "completed_pages_total", FAMILY_COUNTER, "Total number of completed pages.");
    collection_add(c, NULL, 0, (double)(w->bytes / WAL_PAGE_BYTES));
    collect_fsyncs(c, log, w);
    if (!w->saved_bytes)
        return;
    Str label[2] = {STR("compression"),
                    compression == TSDB_COMPRESSION_ZSTD ? S("zstd") : S("snappy")};
    log_family(c, log, "record_bytes_saved_total", FAMILY_COUNTER,
               "Total number of bytes saved by the optional record compression. Use this metric "
               "to learn about the effectiveness compression.");
    collection_add(c, label, 1, (double)w->saved_bytes);
}

static void collect_late_log(Tsdb *tsdb, Collection *c, HeadCounters *h)
{
    static const char *const log = "out_of_order_wbl";

    collect_log(tsdb, c, log, &h->wbl);
    log_family(c, log, "truncations_total", FAMILY_COUNTER,
               "Total number of write log truncations attempted.");
    collection_add(c, NULL, 0, (double)h->wbl.truncations);
    log_family(c, log, "truncations_failed_total", FAMILY_COUNTER,
               "Total number of write log truncations that failed.");
    collection_add(c, NULL, 0, (double)h->wbl.truncations_failed);
    log_family(c, log, "storage_size_bytes", FAMILY_GAUGE, "Size of the write log directory.");
    collection_add(c, NULL, 0, (double)h->wbl_bytes);
}

// Only what there was.
static void collect_unknown(Collection *c, const char *name, const char *help,
                            const uint64_t counts[HEAD_UNKNOWN_KINDS])
{
    static const char *const types[HEAD_UNKNOWN_KINDS] = {
        "series", "samples", "histograms", "exemplars", "metadata", "tombstones", "mmap_markers"};

    for (size_t i = 0; i < HEAD_UNKNOWN_KINDS; i++) {
        if (!counts[i])
            continue;
        collection_family(c, name, FAMILY_COUNTER, help);
        add_typed(c, types[i], (double)counts[i]);
    }
}

static void collect_late_deltas(Collection *c, const HeadCounters *h)
{
    uint64_t below = 0;

    collection_family(c, "prometheus_tsdb_sample_ooo_delta", FAMILY_HISTOGRAM,
                      "Delta in seconds by which a sample is considered out of order (reported "
                      "regardless of OOO time window and whether sample is accepted or not).");
    for (size_t i = 0; i <= HEAD_LATE_DELTAS; i++) {
        char bound[32] = "+Inf";
        if (i < HEAD_LATE_DELTAS)
            snprintf(bound, sizeof bound, "%lld", (long long)head_late_delta_ms[i] / 1000);
        Str le[2] = {STR("le"), str_from_c(bound)};
        collection_add_suffixed(c, "_bucket", le, 1, (double)(below += h->late_deltas[i]));
    }
    collection_add_suffixed(c, "_sum", NULL, 0, (double)h->late_delta_ms / 1e3);
    collection_add_suffixed(c, "_count", NULL, 0, (double)below);
}

static void collect_logs(Tsdb *tsdb, Collection *c, HeadCounters *h)
{
    collect_log(tsdb, c, "wal", &h->wal);
    if (h->has_wbl)
        collect_late_log(tsdb, c, h);
    collect_unknown(c, "prometheus_tsdb_wal_replay_unknown_refs_total",
                    "Total number of unknown series references encountered during WAL replay.",
                    h->wal_unknown);
    collect_unknown(c, "prometheus_tsdb_wbl_replay_unknown_refs_total",
                    "Total number of unknown series references encountered during WBL replay.",
                    h->wbl_unknown);
    collect_late_deltas(c, h);
}

// Part by part; their sum is what the head holds.
static void collect_memory(Tsdb *tsdb, Collection *c)
{
    uint64_t bytes[HEAD_MEMORY_PARTS];
    double all = 0;

    head_memory(tsdb->head, bytes);
    collection_family(c, "narthex_tsdb_head_memory_bytes", FAMILY_GAUGE,
                      "Memory of the head by what it is for.");
    for (int i = 0; i < HEAD_MEMORY_PARTS; i++) {
        Str label[2] = {STR("part"), str_from_c(head_memory_part_name((HeadMemoryPart)i))};
        collection_add(c, label, 1, (double)bytes[i]);
        all += (double)bytes[i];
    }
    gauge(c, "narthex_tsdb_head_held_bytes", "Memory of the head.", all);
}

static void collect_head(Tsdb *tsdb, Collection *c)
{
    int64_t min_t_ms = 0, max_t_ms = 0;
    HeadCounters h;

    head_counters(tsdb->head, &h);
    for (size_t i = 0; i < COUNT_OF(head_rows); i++) {
        uint64_t value;
        memcpy(&value, (const char *)&h + head_rows[i].offset, sizeof value);
        collection_family(c, head_rows[i].name, head_rows[i].kind, head_rows[i].help);
        collection_add(c, NULL, 0, (double)value);
    }
    collect_samples(c, &h);
    collect_logs(tsdb, c, &h);
    gauge(c, "prometheus_tsdb_data_replay_duration_seconds",
          "Time taken to replay the data on disk.", (double)h.replay_ms / 1e3);
    collection_family(c, "prometheus_tsdb_snapshot_replay_error_total", FAMILY_COUNTER,
                      "Total number snapshot replays that failed.");
    collection_add(c, NULL, 0, (double)h.snapshot_errors);
    summary(c, "prometheus_tsdb_head_gc_duration_seconds",
            "Runtime of garbage collection in the head block.", h.gc_nanoseconds, h.truncations);
    summary(c, "prometheus_tsdb_wal_truncate_duration_seconds", "Duration of WAL truncation.",
            h.wal_truncate_nanoseconds, h.wal_truncations);
    gauge(c, "prometheus_tsdb_exemplar_last_exemplars_timestamp_seconds",
          "The timestamp of the oldest exemplar stored in circular storage. Useful to check for "
          "what timerange the current exemplar buffer limit allows. This usually means the last "
          "timestamp for all exemplars for a typical setup. This is not true though if one of the "
          "series timestamp is in future compared to rest series.",
          h.exemplars_in_storage ? (double)h.oldest_exemplar_ms / 1e3 : 0);
    gauge(c, "prometheus_tsdb_exemplar_max_exemplars",
          "Total number of exemplars the exemplar storage can store.", (double)h.exemplars_max);
    collect_memory(tsdb, c);
    gauge(c, "narthex_tsdb_open_queriers", "Open views of the head.", (double)h.open_queriers);
    if (!head_time_range(tsdb->head, &min_t_ms, &max_t_ms))
        min_t_ms = max_t_ms = 0;
    gauge(c, "prometheus_tsdb_head_min_time", "Minimum time bound of the head block.",
          (double)min_t_ms);
    gauge(c, "prometheus_tsdb_head_max_time", "Maximum timestamp of the head block.",
          (double)max_t_ms);
    gauge(c, "prometheus_tsdb_head_min_time_seconds", "Minimum time bound of the head block.",
          (double)min_t_ms / 1e3);
    gauge(c, "prometheus_tsdb_head_max_time_seconds", "Maximum timestamp of the head block.",
          (double)max_t_ms / 1e3);
}

static void collect_blocks(Tsdb *tsdb, Collection *c)
{
    TsdbCounters *n = &tsdb->counters;
    TsdbBlocks all = tsdb_blocks_take(tsdb);
    uint64_t bytes = 0, table_bytes = 0;
    int64_t min_t_ms = 0, max_t_ms = 0;

    for (size_t i = 0; i < all.count; i++) {
        bytes += block_bytes(all.items[i]);
        table_bytes += index_reader_held_bytes(block_index(all.items[i]));
    }
    gauge(c, "prometheus_tsdb_blocks_loaded", "Number of currently loaded data blocks",
          (double)all.count);
    tsdb_blocks_give(&all);
    gauge(c, "prometheus_tsdb_storage_blocks_bytes",
          "The number of bytes that are currently used for local storage by all blocks.",
          (double)bytes);
    gauge(c, "prometheus_tsdb_symbol_table_size_bytes",
          "Size of symbol table in memory for loaded blocks", (double)table_bytes);
    if (!tsdb_time_range(tsdb, &min_t_ms, &max_t_ms))
        min_t_ms = 0;
    gauge(c, "prometheus_tsdb_lowest_timestamp", "Lowest timestamp value stored in the database.",
          (double)min_t_ms);
    gauge(c, "prometheus_tsdb_lowest_timestamp_seconds",
          "Lowest timestamp value stored in the database.", (double)min_t_ms / 1e3);
    gauge(c, "prometheus_tsdb_clean_start",
          "-1: lockfile is disabled. 0: a lockfile from a previous execution was replaced. 1: "
          "lockfile creation was clean",
          n->clean_start);
    lock_take(&tsdb->list_lock);
    TsdbRetention retention = tsdb->retention;
    lock_give(&tsdb->list_lock);
    gauge(c, "prometheus_tsdb_retention_limit_bytes",
          "Max number of bytes to be retained in the tsdb blocks, configured 0 means disabled",
          (double)retention.bytes);
    gauge(c, "prometheus_tsdb_retention_limit_percentage",
          "Max percentage of total storage space to be retained in the tsdb blocks, configured 0 "
          "means disabled",
          retention.percentage);
    gauge(c, "prometheus_tsdb_retention_limit_seconds", "How long to retain samples in storage.",
          (double)retention.ms / 1e3);
    counter(c, "prometheus_tsdb_compactions_total",
            "Total number of compactions that were executed for the partition.", &n->compactions);
    counter(c, "prometheus_tsdb_compactions_failed_total",
            "Total number of compactions that failed for the partition.", &n->compactions_failed);
    counter(c, "prometheus_tsdb_compactions_triggered_total",
            "Total number of triggered compactions for the partition.", &n->compactions_triggered);
    counter(c, "prometheus_tsdb_stale_series_compactions_triggered_total",
            "Total number of triggered stale series compactions.", &n->stale_compactions);
    counter(c, "prometheus_tsdb_stale_series_compactions_failed_total",
            "Total number of stale series compactions that failed.", &n->stale_compactions_failed);
    // Only programs that embed the original ask for these.
    collection_family(
        c, "prometheus_tsdb_selected_series_compactions_triggered_total", FAMILY_COUNTER,
        "Total number of compactions triggered for an explicit list of series: always 0.");
    collection_add(c, NULL, 0, 0);
    collection_family(
        c, "prometheus_tsdb_selected_series_compactions_failed_total", FAMILY_COUNTER,
        "Total number of failed compactions of an explicit list of series: always 0.");
    collection_add(c, NULL, 0, 0);
    collection_family(c, "prometheus_tsdb_compactions_skipped_total", FAMILY_COUNTER,
                      "Total number of skipped compactions due to disabled auto compaction.");
    collection_add(c, NULL, 0, 0); // it cannot be disabled
    gauge(c, "prometheus_tsdb_compaction_populating_block",
          "Set to 1 when a block is currently being written to the disk.",
          (double)__atomic_load_n(&n->populating, __ATOMIC_RELAXED));
    counter(c, "prometheus_tsdb_vertical_compactions_total",
            "Total number of compactions done on overlapping blocks.", &n->vertical_compactions);
    counter(c, "prometheus_tsdb_reloads_total",
            "Number of times the database reloaded block data from disk.", &n->reloads);
    counter(c, "prometheus_tsdb_reloads_failures_total",
            "Number of times the database failed to reloadBlocks block data from disk.",
            &n->reloads_failed);
    counter(
        c, "prometheus_tsdb_time_retentions_total",
        "The number of times that blocks were deleted because the maximum time limit was exceeded.",
        &n->time_retentions);
    counter(c, "prometheus_tsdb_size_retentions_total",
            "The number of times that blocks were deleted because the maximum number of bytes was "
            "exceeded.",
            &n->size_retentions);
    gauge(c, "narthex_tsdb_blocks_corrupt", "Blocks that cannot be read and are ignored.",
          (double)__atomic_load_n(&n->blocks_corrupt, __ATOMIC_RELAXED));
    counter(c, "narthex_tsdb_blocks_quarantined_total", "Damaged blocks that were renamed aside.",
            &n->blocks_quarantined);
    gauge(c, "narthex_tsdb_blocks_unreadable",
          "Blocks that the disk refuses to give; opening them is tried again.",
          (double)__atomic_load_n(&n->blocks_unreadable, __ATOMIC_RELAXED));
}

static void collect(void *arg, Collection *c)
{
    Tsdb *tsdb = (Tsdb *)arg;

    collect_head(tsdb, c);
    collect_blocks(tsdb, c);
}

static HistogramMetric *histogram(Tsdb *tsdb, const char *name, const char *help,
                                  const double *bounds, size_t count)
{
    static const char *const no_labels[] = {NULL};

    return histogram_of(
        registry_histogram(tsdb->options.registry, name, help, no_labels, bounds, count), NULL);
}

#define BOUNDS 14

// first, first * factor, ...
static const double *exponential(double bounds[BOUNDS], double first, double factor)
{
    for (int i = 0; i < BOUNDS; i++, first *= factor)
        bounds[i] = first;
    return bounds;
}

void tsdb_metrics_register(Tsdb *tsdb)
{
    double bounds[BOUNDS];

    if (!tsdb->options.registry)
        return;
    tsdb->compaction_seconds =
        histogram(tsdb, "prometheus_tsdb_compaction_duration_seconds",
                  "Duration of compaction runs", exponential(bounds, 1, 2), 14);
    tsdb->cleanup_seconds =
        histogram(tsdb, "prometheus_tsdb_tombstone_cleanup_seconds",
                  "The time taken to recompact blocks to remove tombstones.", bounds, 0);
    tsdb->stale_seconds =
        histogram(tsdb, "prometheus_tsdb_stale_series_compaction_duration_seconds",
                  "Duration of stale series compaction runs.", exponential(bounds, 1, 2), 14);
    histogram(tsdb, "prometheus_tsdb_selected_series_compaction_duration_seconds",
              "Duration of compactions triggered for an explicit list of series: there are none.",
              exponential(bounds, 1, 2), 14);
    tsdb->chunk_bytes = histogram(tsdb, "prometheus_tsdb_compaction_chunk_size_bytes",
                                  "Final size of chunks on their first compaction",
                                  exponential(bounds, 32, 1.5), 12);
    tsdb->chunk_samples = histogram(tsdb, "prometheus_tsdb_compaction_chunk_samples",
                                    "Final number of samples on their first compaction",
                                    exponential(bounds, 4, 1.5), 12);
    tsdb->chunk_seconds = histogram(tsdb, "prometheus_tsdb_compaction_chunk_range_seconds",
                                    "Final time range of chunks on their first compaction",
                                    exponential(bounds, 100, 4), 10);
    registry_collector(tsdb->options.registry, collect, tsdb);
}
