// SPDX-License-Identifier: Apache-2.0
// head.h: the newest samples, in memory, with their log.
//
//     appender --> queue --> leader --> wal (one write for all that wait) --> series --> epoch is published
//                                                                              |
//     querier: epoch at opening, reads what was there then  <------------------+--> chunks_head (full chunks)
//
// Series     A record of 64 bytes (head_series.h) in a slab, found by its ref through a radix table. A ref is a rising number, the same
//            as in the log; it is never given to another series.
// Isolation  Commits are applied one after the other by whoever leads the queue, and get rising epochs. In-order samples of a series
//            rise in time, so what a Querier may see of it is told by one time: the newest at the Querier's epoch. When a commit is the
//            first to touch a series since the newest open Querier began, it leaves that time in the undo ring; the ring is emptied
//            when the Queriers are gone. Readers copy a series' open chunk under the lock of its stripe, which appenders hold
//            for a run of neighbours: neither waits long for the other. Out-of-order samples carry their epoch while they are in their buffer.
// Durability A commit first reaches the kernel (and the disk, if so configured), then memory. If the log refuses it, the commit
//            fails, nothing of it is seen, the log is cut back to its last good record, and the next commit tries again. If the
//            log has it but the disk does not confirm it, the commit fails, too, and what it brought is seen.
//
// Locks, in rising rank: index (labels, postings, table of series) < readers < apply (the leader) < stripe (64; records) < undo < log.
// Thread: any, except where a function says otherwise.
#pragma once

#include "tsdb/block_writer.h"
#include "tsdb/chunk_batch.h"
#include "tsdb/head_chunks.h"
#include "tsdb/tsdb.h"
#include "tsdb/wal.h"

typedef struct Head Head;

typedef struct HeadOptions {
    Str dir; // of wal/, wbl/ and chunks_head/
    Fs *fs;
    Clock *clock;
    int64_t min_block_ms;
    int64_t out_of_order_window_ms;
    int64_t
        min_valid_t_ms; // end of the newest block of in-order samples: older ones are not taken (INT64_MIN: no block)
    uint64_t wal_segment_bytes;
    TsdbCompression wal_compression;
    bool wal_samples_v2;
    TsdbSync wal_sync;
    int samples_per_chunk;
    uint64_t max_exemplars;
    bool start_timestamps;           // of floats are kept,
    bool histogram_start_timestamps; // and of histograms
    int replay_threads;              // that take samples; 0: as the machine has cores
    TsdbProgress *progress;          // of the replay; NULL: nobody looks
    bool snapshot_at_close;          // leave one for a fast start (chunk_snapshot.h)
    uint64_t image_series_min;       // fewer series get no image (head_image.h); 0: a default
    uint64_t
        settled_step_bytes; // of log between places of head_settled.h; 0: a default, 1: looks each time, UINT64_MAX: none
} HeadOptions;

// Replays the log. What it had to repair or to skip is logged, never silent.
bool head_open(const HeadOptions *options, Head **ret_head, Error *err) MUST_CHECK;
// Flushes; Queriers and Appenders must be gone. Accepts NULL.
void head_close(Head *head);

Sink *head_sink(Head *head);
// Its Queriers cover in-order and out-of-order samples, less what was deleted. Whoever merges it with blocks opens this Querier first and
// takes the list of blocks after that: then nothing falls between the two while the head is truncated.
Source *head_source(Head *head);

void head_reconfigure(Head *head, int64_t out_of_order_window_ms, uint64_t max_exemplars);
// Whether chunks of floats get encoding 4 on their way into a block.
void head_pack_xor2(Head *head, bool on);
// fdatasync of the logs: what the maintenance thread does at each interval.
bool head_sync(Head *head, Error *err) MUST_CHECK;
// Writes down which series there are and which samples of the log are in full chunks, so that a restart is fast, if that is due; to be called
// every few seconds.
void head_ease_restart(Head *head);
// Gives memory back that is not wanted soon: mapped pages of full chunks that queries touched, and empty pages of open ones. To be called
// once a minute or so.
void head_release_pages(Head *head);

// Oldest and newest in-order sample; false if there is none.
bool head_time_range(Head *head, int64_t *ret_min_t_ms, int64_t *ret_max_t_ms);
// The same with the out-of-order ones.
bool head_time_range_all(Head *head, int64_t *ret_min_t_ms, int64_t *ret_max_t_ms);

// True if the head spans more than 1.5 blocks: [min, max) is the oldest one, aligned.
bool head_compactable(Head *head, int64_t *ret_min_t_ms, int64_t *ret_max_t_ms);
// Streams what the head holds of [min, max) into the writer: symbols, then series. The caller opens and finishes the writer.
bool head_write_block(Head *head, int64_t min_t_ms, int64_t max_t_ms, BlockWriter *writer,
                      Error *err) MUST_CHECK;
// The same of all that a Querier would see, out-of-order samples, too.
bool head_write_snapshot_block(Head *head, int64_t min_t_ms, int64_t max_t_ms, BlockWriter *writer,
                               Error *err) MUST_CHECK;
// Drops what is older than min_t_ms once no Querier can see it any more (waits for them), writes a checkpoint, deletes the covered
// segments and chunk files, gives memory back. From the call on older in-order samples are not taken.
bool head_truncate(Head *head, int64_t min_t_ms, Error *err) MUST_CHECK;
// Its two halves, for who truncates several times in a row: all but the log, and the log, once, with the newest time.
bool head_truncate_memory(Head *head, int64_t min_t_ms, Error *err) MUST_CHECK;
bool head_truncate_log(Head *head, int64_t min_t_ms, Error *err) MUST_CHECK;

// Series whose newest sample is a staleness marker.
typedef struct HeadStale {
    uint64_t *
        refs; // rising; of those that may go: nobody has asked for them lately, and nothing late of them waits
    size_t count;
    uint64_t series;            // of the head
    int64_t min_t_ms, max_t_ms; // of their samples; INT64_MAX and INT64_MIN if there is none
} HeadStale;
// Counts them, and series with native histograms, for the counters. `want_refs`: also tells which may go; what is asked for in between two
// such looks may not. To be called from one thread, with head_truncate.
void head_stale_look(Head *head, bool want_refs, HeadStale *ret_stale);
void head_stale_free(HeadStale *stale);
// As head_write_block, of these series alone.
bool head_write_stale_block(Head *head, const HeadStale *stale, int64_t min_t_ms, int64_t max_t_ms,
                            BlockWriter *writer, Error *err) MUST_CHECK;
// Drops those that are still stale, once no Querier sees them that does not know their block. Before, the log says so and is synced: a
// restart does not bring them back, nor what is deleted from their block. If it cannot be told, they stay.
bool head_truncate_stale(Head *head, const HeadStale *stale, Error *err) MUST_CHECK;

// Out-of-order samples become blocks in three steps: begin freezes what is there (false in *ret_any if nothing) and tells its range,
// write streams one aligned range of it, finish drops it from memory and log. Between begin and finish new ones gather beside it.
bool head_out_of_order_begin(Head *head, bool *ret_any, int64_t *ret_min_t_ms,
                             int64_t *ret_max_t_ms, Error *err) MUST_CHECK;
// Between begin and finish: the first time at or behind from_t_ms that a frozen chunk reaches; false if there is none.
bool head_out_of_order_next(Head *head, int64_t from_t_ms, int64_t *ret_t_ms);
bool head_write_out_of_order_block(Head *head, int64_t min_t_ms, int64_t max_t_ms,
                                   BlockWriter *writer, Error *err) MUST_CHECK;
// `done`: the blocks are readable, drop what they hold. Else all stays.
bool head_out_of_order_finish(Head *head, bool done, Error *err) MUST_CHECK;

// Deletes the samples of the matching series between both times, inclusive; logged.
bool head_delete(Head *head, const Matcher *matchers, size_t count, int64_t min_t_ms,
                 int64_t max_t_ms, Error *err) MUST_CHECK;

void head_stats(Head *head, size_t limit, Arena *arena, TsdbStats *ret_stats);
bool head_metadata(Head *head, Str metric_name, Arena *arena, Metadata *ret_metadata);
bool head_exemplars(Head *head, const Matcher *matchers, size_t count, int64_t min_t_ms,
                    int64_t max_t_ms, Arena *arena, TsdbExemplars *ret_exemplars,
                    Error *err) MUST_CHECK;

// Entries of a log that name a series that it does not define.
typedef enum HeadUnknown {
    HEAD_UNKNOWN_SERIES, // how many series are missing
    HEAD_UNKNOWN_SAMPLES,
    HEAD_UNKNOWN_HISTOGRAMS,
    HEAD_UNKNOWN_EXEMPLARS,
    HEAD_UNKNOWN_METADATA,
    HEAD_UNKNOWN_TOMBSTONES,
    HEAD_UNKNOWN_MARKERS,
    HEAD_UNKNOWN_KINDS,
} HeadUnknown;

#define HEAD_LATE_DELTAS 7
extern const int64_t head_late_delta_ms[HEAD_LATE_DELTAS]; // upper bounds; the last bucket has none

// Since the start, and as it stands; for prometheus_tsdb_* metrics.
typedef struct HeadCounters {
    uint64_t series, series_created, series_removed, series_not_found;
    uint64_t chunks, chunks_created, chunks_removed;
    uint64_t float_samples_appended, histogram_samples_appended;
    uint64_t out_of_order_appended, out_of_order_refused, out_of_bounds, too_old, duplicates;
    uint64_t exemplars_appended, exemplars_out_of_order, exemplars_in_storage, exemplars_series;
    uint64_t exemplars_max;
    uint64_t active_appenders, open_queriers;
    uint64_t truncations, truncations_failed, checkpoints, checkpoints_failed;
    uint64_t wal_corruptions, wal_truncations, wal_truncations_failed;
    WalCounters wal, wbl;
    uint64_t has_wbl; // or will have one with the first late sample
    uint64_t wal_unknown[HEAD_UNKNOWN_KINDS], wbl_unknown[HEAD_UNKNOWN_KINDS]; // met by the replay
    uint64_t
        late_deltas[HEAD_LATE_DELTAS +
                    1]; // samples by how far behind the newest of the head they came, taken or not
    uint64_t late_delta_ms; // sum
    uint64_t checkpoint_deletions, checkpoint_deletions_failed;
    uint64_t mmap_chunks;                // full chunks that went to disk
    uint64_t appenders_created;          // since the start
    uint64_t newest_epoch, oldest_epoch; // given out; still looked at
    uint64_t gc_nanoseconds, wal_truncate_nanoseconds;
    int64_t oldest_exemplar_ms;                       // INT64_MIN: there is none
    uint64_t wal_bytes, wbl_bytes, chunks_head_bytes; // on disk
    uint64_t mmap_chunk_corruptions, chunk_writes_failed;
    int64_t replay_ms;
    uint64_t replay_records; // of the log that were read
    uint64_t stale_series, native_histogram_series, native_histogram_buckets; // at the newest look
    uint64_t snapshot_errors; // snapshots of open chunks that could not be read
} HeadCounters;
void head_counters(Head *head, HeadCounters *ret_counters);

// Adds the chunks of one series to the batch, whose series at hand it is; refuses if they cannot be read there. Any Querier: that of
// another Source is refused. `only_last`: as Querier.read_many.
void head_gather(Querier *querier, uint64_t handle, int64_t min_t_ms, int64_t max_t_ms,
                 bool only_last, ChunkBatch *batch);
// Has the memory of these series on its way to the cache, for those who gather them next.
void head_look_ahead(Querier *querier, const uint64_t *handles, size_t count);

// Parts of the head's memory.
typedef enum HeadMemoryPart {
    HEAD_MEMORY_SERIES,        // records
    HEAD_MEMORY_REFS,          // the way from a ref to a record
    HEAD_MEMORY_LABEL_SETS,    // numbers of a series' label pairs
    HEAD_MEMORY_LABEL_TEXTS,   // names and values, each once
    HEAD_MEMORY_LABEL_PAIRS,   // pairs with the heads of their postings, lists of a name's pairs
    HEAD_MEMORY_HASH_TABLES,   // of names, pairs and label sets
    HEAD_MEMORY_POSTINGS,      // what does not fit into their heads
    HEAD_MEMORY_CHUNKS,        // open float chunks, and lists of full ones
    HEAD_MEMORY_EXTRAS,        // open histogram chunks, late samples, deletions
    HEAD_MEMORY_EXEMPLARS,     // with the labels of their series
    HEAD_MEMORY_METADATA,      // of metrics
    HEAD_MEMORY_COMMITS,       // buffers that wait for the next commit
    HEAD_MEMORY_UNDO,          // for open Queriers
    HEAD_MEMORY_FREE_IN_POOLS, // of the pages that label sets, texts, postings and chunks live in
    HEAD_MEMORY_PARTS,
} HeadMemoryPart;
// Bytes of each.
void head_memory(Head *head, uint64_t ret_bytes[HEAD_MEMORY_PARTS]);
const char *head_memory_part_name(HeadMemoryPart part);

// Walks everything and asserts what must hold; for tests.
void head_check(Head *head);
