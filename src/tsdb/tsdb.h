// SPDX-License-Identifier: Apache-2.0
// tsdb.h: keeps samples. A Source and a Sink over one data directory in Prometheus' own formats.
//
//     <dir>/lock  wal/  wbl/  chunks_head/  chunk_snapshot.*/  narthex_series  narthex_settled  <ULID>/ (blocks)
//
// Thread: any for every function here.
#pragma once

#include "base/clock.h"
#include "base/fs.h"
#include "client/registry.h"
#include "codec/json_writer.h"
#include "metric/feed.h"
#include "metric/sink.h"
#include "metric/source.h"
#include "tsdb/tsdb_offline.h"

typedef struct Tsdb Tsdb;

typedef enum TsdbSync {
    TSDB_SYNC_NONE, // the kernel has it: survives a crash of the process; power cut loses what the kernel held
    TSDB_SYNC_INTERVAL, // and fdatasync every wal_sync_interval_ms
    TSDB_SYNC_COMMIT,   // fdatasync before a commit returns
} TsdbSync;

typedef enum TsdbCompression {
    TSDB_COMPRESSION_NONE,
    TSDB_COMPRESSION_SNAPPY,
    TSDB_COMPRESSION_ZSTD
} TsdbCompression;

// How far the replay of the log is; atomics.
typedef struct TsdbProgress {
    uint64_t done_bytes;
    uint64_t total_bytes;                          // 0: not known yet
    uint64_t first_segment, last_segment, segment; // of the log; `segment` is being read
} TsdbProgress;

// How many bytes the next start has to read before it is done: log and newest chunks. 0 if there are none, or they cannot be looked at.
uint64_t tsdb_restart_bytes(Fs *fs, Str dir);
// When the log was last written to, by the wall clock; 0: there is none, or it cannot be looked at.
int64_t tsdb_last_write_ms(Fs *fs, Str dir);

// When series of the head that have ended get a block early: when they are this share of its series, and as many.
typedef struct TsdbStaleLimits {
    double ratio; // 0: never
    uint64_t series_min;
} TsdbStaleLimits;

// What may stay: the newest block always does.
typedef struct TsdbRetention {
    int64_t ms;        // 15 d; 0: for ever
    uint64_t bytes;    // of blocks, log and head chunks; 0: no limit
    double percentage; // of the file system's size; above 0 it takes the place of `bytes`
} TsdbRetention;

typedef struct TsdbOptions {
    Str dir;
    Fs *fs;
    Clock *clock;
    Registry *registry; // prometheus_tsdb_* and narthex_tsdb_* metrics; NULL: none
    bool no_lockfile;
    int64_t min_block_ms;         // 2 h
    int64_t max_block_ms;         // 31 d or a tenth of the retention
    uint64_t block_segment_bytes; // most of one file of chunks; 0: 512 MiB
    // A cut of the head waits, from when it is due, for a random share of min_block_ms: the same for all cuts until the store is closed, at
    // most this many percent. 0: none waits.
    int cut_delay_max_percent;
    bool leaves_overlaps; // overlapping blocks are not merged for that alone
    // Blocks of level 1 that it does not name are not merged (compact_uploads.h); empty: none wait.
    Str uploads_file;
    // How often blocks that others put there or took away are looked for: 1 min.
    int64_t block_reload_ms;
    TsdbRetention retention;
    TsdbStaleLimits stale;
    int64_t out_of_order_window_ms;  // 0: refused
    uint64_t wal_segment_bytes;      // 128 MiB, a multiple of 32 KiB
    TsdbCompression wal_compression; // snappy
    bool wal_samples_v2;          // denser records of floats; a Prometheus before 3.10 ignores them
    TsdbSync wal_sync;            // interval
    int64_t wal_sync_interval_ms; // 5000
    int samples_per_chunk;        // 120
    uint64_t max_exemplars;       // 0: none
    bool start_timestamps;        // keep those of floats; a Prometheus before 3.10 reads none of it
    bool histogram_start_timestamps; // and those of histograms
    bool snapshot_at_close;          // leave the open chunks beside the log for the next start
    uint64_t image_series_min;       // fewer series get no image for a fast restart; 0: 500
    uint64_t
        settled_step_bytes; // of log between looks for what a fast restart need not read; 0: 16 MiB and more, UINT64_MAX: none
    TsdbProgress *progress; // of the replay; NULL: nobody looks
} TsdbOptions;

void tsdb_options_default(TsdbOptions *ret_options);

// Takes the lock file, opens blocks, replays the log, starts the maintenance thread (compaction, retention, sync).
bool tsdb_open(const TsdbOptions *options, Tsdb **ret_tsdb, Error *err) MUST_CHECK;
// Flushes, stops, gives the lock back. Open queriers must be closed before, and the registry is not gathered from any more.
void tsdb_close(Tsdb *tsdb);

Sink *tsdb_sink(Tsdb *tsdb);
Source *tsdb_source(Tsdb *tsdb);
// Its readers must be closed before tsdb_close.
Feed *tsdb_feed(Tsdb *tsdb);

// What a reload may change.
typedef struct TsdbSettings {
    TsdbRetention retention;
    TsdbStaleLimits stale;
    int64_t out_of_order_window_ms;
    uint64_t max_exemplars; // of more, the newest stay
} TsdbSettings;
void tsdb_reconfigure(Tsdb *tsdb, const TsdbSettings *settings);

// Whether floats get chunks of encoding 4 (XOR2) in blocks that are made from now on: smaller, and read by Prometheus from 3.11 on.
void tsdb_pack_xor2(Tsdb *tsdb, bool on);

// Cuts everything compactable out of the head now and applies retention: what the maintenance thread does each minute, and within seconds
// when the head has grown enough.
bool tsdb_compact(Tsdb *tsdb, Error *err) MUST_CHECK;
// A block of the head (unless skip_head) and hard links of all blocks below <dir>/snapshots/<name>. The name lives in the arena.
bool tsdb_snapshot(Tsdb *tsdb, bool skip_head, Arena *arena, Str *ret_name, Error *err) MUST_CHECK;
// Tombstones for the matching series between both times, inclusive.
bool tsdb_delete(Tsdb *tsdb, const Matcher *matchers, size_t count, int64_t min_t_ms,
                 int64_t max_t_ms, Error *err) MUST_CHECK;
// Rewrites blocks that have tombstones.
bool tsdb_clean_tombstones(Tsdb *tsdb, Error *err) MUST_CHECK;

typedef struct TsdbChunk {
    int64_t min_t_ms, max_t_ms; // inclusive
    int encoding;               // as on disk: prometheus.md 6.3
    Str bytes;
} TsdbChunk;

// Samples (in rising time) as chunks of the usual size, all in the arena: what remote read sends.
void tsdb_encode_chunks(const SampleColumns *samples, Arena *arena, TsdbChunk **ret_chunks,
                        size_t *ret_count);

typedef struct TsdbNamedCount {
    Str name;
    uint64_t value;
} TsdbNamedCount;

typedef struct TsdbStats {
    uint64_t series, label_pairs, chunks;
    int64_t min_t_ms, max_t_ms; // of the head; INT64_MAX and INT64_MIN when empty
    TsdbNamedCount *series_by_metric;
    size_t series_by_metric_count;
    TsdbNamedCount *values_by_label;
    size_t values_by_label_count;
    TsdbNamedCount *bytes_by_label;
    size_t bytes_by_label_count;
    TsdbNamedCount *series_by_pair; // "name=value"
    size_t series_by_pair_count;
} TsdbStats;

// The `limit` largest of each list, largest first.
void tsdb_stats(Tsdb *tsdb, size_t limit, Arena *arena, TsdbStats *ret_stats);

// Writes the array of all blocks' meta.json objects.
void tsdb_blocks_json(Tsdb *tsdb, JsonWriter *json);

// The samples of a chunk of another store, with min_t_ms <= t <= max_t_ms, in the arena: what remote read is answered with.
bool tsdb_decode_chunk(int encoding, Str chunk, int64_t min_t_ms, int64_t max_t_ms, Arena *arena,
                       SampleColumns *ret_samples, Error *err) MUST_CHECK;

// Oldest sample kept anywhere, newest sample anywhere; false if there is none.
bool tsdb_time_range(Tsdb *tsdb, int64_t *ret_min_t_ms, int64_t *ret_max_t_ms);

// Newest metadata of series with this metric name, as poured in; for remote write of metadata. False if unknown.
bool tsdb_metadata(Tsdb *tsdb, Str metric_name, Arena *arena, Metadata *ret_metadata);

// Exemplars of the matching series in rising time (empty when off): parallel arrays in the arena.
typedef struct TsdbExemplars {
    Labels *series;
    Exemplar **exemplars;
    size_t *exemplar_counts;
    size_t count;
} TsdbExemplars;
bool tsdb_exemplars(Tsdb *tsdb, const Matcher *matchers, size_t count, int64_t min_t_ms,
                    int64_t max_t_ms, Arena *arena, TsdbExemplars *ret_exemplars,
                    Error *err) MUST_CHECK;
