// SPDX-License-Identifier: Apache-2.0
// chunk_snapshot.h: the folder in which a clean shutdown leaves the series and their open chunks, so that the next start reads of the log
// only what lies behind it (prometheus.md 6.2).
//
//     <dir>/chunk_snapshot.SSSSSS.OOOOOOOOOO/00000000 ...     S: segment of the log, O: offset in it; framed as the log
//
//     | 1 | ref u64 | labels | 0 i64 | has chunk uvarint | min i64 | max i64 | encoding u8 | chunk str | newest value(s) |
//     | 2 | str: version 1, tombstones as in their file |
//     | 3 | exemplars as in the log |
//
// (1) It says nothing that the log does not say: whoever has it may skip the log before its place, whoever has not reads the log.
//     But full chunks, which are in chunks_head: those are on the disk before it is there, and where chunks_head is damaged it is not used.
// (2) All series come first. A series that the log knows under two refs has a record for each, the second without a chunk.
// (3) Nothing is written behind its place to a segment that was begun: one of another length is of another log.
//
// Format: Prometheus 2.30 to 3 with --enable-feature=memory-snapshot-on-shutdown; chunks of encodings 4 to 6, as 3.10 and later know them,
// only where samples have start timestamps.
#pragma once

#include "base/buf.h"
#include "base/fs.h"
#include "tsdb/chunk.h"
#include "tsdb/tombstones.h"

typedef enum ChunkSnapshotRecord {
    CHUNK_SNAPSHOT_SERIES = 1,
    CHUNK_SNAPSHOT_TOMBSTONES = 2,
    CHUNK_SNAPSHOT_EXEMPLARS = 3,
} ChunkSnapshotRecord;

typedef struct ChunkSnapshotSeries {
    uint64_t ref;
    Labels labels;
    ChunkEncoding encoding; // CHUNK_NONE: no open chunk
    int64_t min_t_ms, max_t_ms;
    Str chunk;
    double value;               // the newest; or
    const Histogram *histogram; // for chunks of histograms
} ChunkSnapshotSeries;

void chunk_snapshot_add_series(Buf *out, const ChunkSnapshotSeries *series);
void chunk_snapshot_add_tombstones(Buf *out, const Tombstones *tombstones);
// Of a record of exemplars as the log has it.
void chunk_snapshot_add_exemplars(Buf *out, Str log_record);

// Strings point into the record, arrays live in the arena.
bool chunk_snapshot_read_series(Str record, Arena *arena, ChunkSnapshotSeries *ret_series,
                                Error *err) MUST_CHECK;
bool chunk_snapshot_read_tombstones(Str record, Tombstones *ret_tombstones, Error *err) MUST_CHECK;
// As the log would have it, in the arena.
Str chunk_snapshot_read_exemplars(Str record, Arena *arena);

typedef struct ChunkSnapshotPlace {
    uint32_t segment;
    uint64_t offset;
} ChunkSnapshotPlace;

// In the arena.
Str chunk_snapshot_dir(Arena *arena, Str dir, ChunkSnapshotPlace place);
// The newest one. False if there is none, or, then with a code in err, if the folder cannot be looked at.
bool chunk_snapshot_find(Fs *fs, Str dir, Arena *arena, ChunkSnapshotPlace *ret_place, Error *err);
// Removes those whose segment is below `segment`, and what was left half-written.
bool chunk_snapshot_remove_below(Fs *fs, Str dir, uint64_t segment, Error *err) MUST_CHECK;
// Removes those whose segment is `segment` or a later one.
bool chunk_snapshot_remove_from(Fs *fs, Str dir, uint64_t segment, Error *err) MUST_CHECK;
// Removes those that end inside the segment, behind its beginning: it has become another one.
bool chunk_snapshot_remove_inside(Fs *fs, Str dir, uint32_t segment, Error *err) MUST_CHECK;
// Removes all but the one of `place`.
bool chunk_snapshot_remove_others(Fs *fs, Str dir, ChunkSnapshotPlace place, Error *err) MUST_CHECK;
