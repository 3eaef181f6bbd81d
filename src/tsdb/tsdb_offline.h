// SPDX-License-Identifier: Apache-2.0
// tsdb_offline.h: a data directory at rest: looks at its blocks, reads all of it without changing it, writes blocks into it, verifies and
// repairs it. For `narthex tool tsdb`; a part of the front desk (tsdb.h).
//
// Thread: one at a time for each object.
#pragma once

#include "base/fs.h"
#include "metric/source.h"

typedef struct TsdbBlockInfo {
    Str ulid;
    int64_t min_t_ms;
    int64_t max_t_ms; // exclusive
    uint64_t samples, chunks, series;
    uint64_t bytes; // on disk
    Str fault;      // why it cannot be read; empty: it can, and the rest holds
} TsdbBlockInfo;

// All blocks by rising time, unreadable ones last. Memory is the arena's.
bool tsdb_offline_list(Fs *fs, Str dir, Arena *arena, TsdbBlockInfo **ret_blocks, size_t *ret_count,
                       Error *err) MUST_CHECK;

typedef struct TsdbBlock TsdbBlock;

// ulid: empty for the newest. ERR_NOT_FOUND if there is none.
bool tsdb_block_open(Fs *fs, Str dir, Str ulid, TsdbBlock **ret_block, Error *err) MUST_CHECK;
void tsdb_block_close(TsdbBlock *block); // accepts NULL
const TsdbBlockInfo *tsdb_block_info(const TsdbBlock *block);

typedef struct TsdbChunkInfo {
    int64_t min_t_ms;
    int64_t max_t_ms;
    bool has_histograms;
    uint32_t samples, bytes; // of tsdb_block_walk with data
    uint64_t buckets;        // of all its histograms together
} TsdbChunkInfo;

// Sees a series of the block; all is good for this call, strings for as long as the block. False stops the walk with `err`.
typedef bool (*TsdbSeriesFn)(void *arg, Labels labels, const TsdbChunkInfo *chunks, size_t count,
                             Error *err);
// with_data: also what only the chunks themselves tell.
bool tsdb_block_walk(TsdbBlock *block, const Matcher *matchers, size_t count, bool with_data,
                     TsdbSeriesFn each, void *arg, Error *err) MUST_CHECK;

// Everything in a directory, blocks and logs, whether or not a server works on it. Nothing in it is changed: the log is replayed in a
// folder of its own below sandbox_root, which is removed at the end. ERR_NOT_FOUND if there is neither a block nor a log.
typedef struct TsdbReader TsdbReader;
bool tsdb_reader_open(Fs *fs, Str dir, Str sandbox_root, TsdbReader **ret_reader,
                      Error *err) MUST_CHECK;
Source *tsdb_reader_source(TsdbReader *reader);
// Why blocks could not be opened, one text for each; the others are read.
size_t tsdb_reader_faults(const TsdbReader *reader, const Str **ret_faults);
void tsdb_reader_close(TsdbReader *reader); // accepts NULL

// One block of all that the source has in [min_t_ms, max_t_ms). *ret_ulid is empty if that is nothing.
bool tsdb_offline_write_block(Fs *fs, Str dir, Source *source, int64_t min_t_ms, int64_t max_t_ms,
                              Arena *arena, Str *ret_ulid, Error *err) MUST_CHECK;

typedef struct TsdbFinding {
    Str place;     // below the directory
    Str text;      // what is wrong, or what it holds
    Str done;      // what repair did; empty: nothing
    bool is_fault; // and still is, unless `done` says otherwise
} TsdbFinding;

typedef struct TsdbFindings {
    TsdbFinding *items; // in the arena
    size_t count, cap;
    size_t faults;
} TsdbFindings;

// Reads every block, log segment and head chunk file whole.
bool tsdb_offline_verify(Fs *fs, Str dir, Arena *arena, TsdbFindings *ret_findings,
                         Error *err) MUST_CHECK;
// Writes damaged blocks, also those put aside, anew from what is good of them; what was there stays beside it as <ULID>.corrupt. Logs and
// head chunk files are mended by the next start. ERR_CONFLICT if a server works on the directory.
bool tsdb_offline_repair(Fs *fs, Str dir, Arena *arena, TsdbFindings *ret_findings,
                         Error *err) MUST_CHECK;
