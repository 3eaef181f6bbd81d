// SPDX-License-Identifier: Apache-2.0
// head_replay_internal.h: what the head_replay*.c files share. For nobody else.
//
//     head_replay.c          the order of things, the report
//     head_replay_files.c    folders and segments: reads, mends what is damaged
//     head_replay_pipe.c     records from the thread that reads to the one that understands
//     head_replay_snapshot.c what a clean shutdown has left
//     head_replay_passed.c   one that a checkpoint has passed
//     head_replay_chunks.c   chunks on disk
//     head_replay_define.c   series, everything but samples; samples are sent on
//     head_replay_shards.c   samples into series, on several threads
//     head_settled.h         which samples of the log full chunks have
//     head_replay_late.c     the log of out-of-order samples
#pragma once

#include "base/thread.h"
#include "tsdb/chunk_snapshot.h"
#include "tsdb/head_image.h"
#include "tsdb/head_internal.h"

typedef struct LoadedChunk {
    FullChunk full;
    uint64_t series_ref;
    uint32_t before; // 1 + place of the one before of the same ref
    bool out_of_order;
    bool has_histograms;
    bool used;
} LoadedChunk;

#define REPLAY_CHUNK_LEAF 16

typedef struct ReplayChunkLeaf {
    uint32_t newest[REPLAY_CHUNK_LEAF]; // 1 + its place; 0: none
} ReplayChunkLeaf;

// The chunks on disk, by the refs of their series, which mostly are next to each other.
typedef struct ReplayChunks {
    LoadedChunk *items;
    size_t count;
    size_t cap;
    ReplayChunkLeaf *leaves;
    size_t leaf_count;
    size_t leaf_cap;
    RefMap leaf_of;    // 1 + ref / REPLAY_CHUNK_LEAF to the place of its leaf
    uint64_t near_key; // of the leaf that was asked for last; 0: none was
    uint64_t near_leaf;
    uint64_t next_ref; // above all of them
} ReplayChunks;

typedef struct PassedSeries {
    uint64_t ref;
    const Labels *labels;
} PassedSeries;

// A snapshot that a checkpoint has passed.
typedef struct PassedSnapshot {
    uint32_t below; // the first segment that no checkpoint covers; 0: there is no such snapshot
    bool damaged;   // some of it could not be read
    Str checkpoint; // the folder
    RefMap labels;  // ref to Labels *: series that only it defines and that nothing has named yet
    PassedSeries *taken; // those that were named
    size_t taken_count;
    size_t taken_cap;
    Arena arena;
} PassedSnapshot;

typedef struct ReplayPipe ReplayPipe;
typedef struct ReplayShards ReplayShards;

typedef struct Replay {
    Head *head;
    ReplayChunks chunks;
    RefMap marked; // out-of-order chunks that their log names
    LabelKey *key;
    Arena arena;    // of one record
    RefMap unknown; // refs of series that the log at hand does not define
    uint64_t series, samples, malformed, out_of_order_kept, refused;
    uint64_t holes;  // segments with damage that is no torn end
    uint64_t filled; // series that have in-order samples
    uint64_t records;
    ReplayPipe *pipe;     // NULL: records are of the log of out-of-order samples
    ReplayShards *shards; // the pipe's other end has them
    HeadImage image;
    Str room;            // for the samples, until the shards have it
    Thread image_thread; // fills the index with the image
    bool image_waits;    // that thread, to be joined
    bool image_failed;   // nothing was replayed; to be done again without
    bool imaged;         // series records before `known` are known
    bool has_settled;    // samples before `settled` are in full chunks
    WalPlace known;
    WalPlace settled;
    ChunkSnapshotPlace snapshot; // of the one that is used, if
    bool has_snapshot;           // the log before it is not read
    uint8_t
        *named; // by slot: it has this series of the image; NULL: whatever is in the image is alive
    SeriesSlot named_end;
    PassedSnapshot passed;
    TsdbProgress *progress;
    int64_t told_ns; // when the log last told it
} Replay;

// head_replay_chunks.c
bool replay_load_chunk(void *arg, const HeadChunk *chunk, Error *err);
bool replay_chunks_has(ReplayChunks *chunks, uint64_t ref);
// The newest file that has some of the ref; 0: none has.
uint32_t replay_chunks_newest_file(ReplayChunks *chunks, uint64_t ref);
// Gives the series those that were written under `log_ref`. Samples of the open chunk mostly come later from the log; those of a snapshot
// may be there.
void replay_chunks_attach(Replay *r, uint64_t log_ref, uint64_t ref, Series *series);
// To series that an image has brought.
void replay_chunks_attach_all(Replay *r);
void replay_chunks_deinit(ReplayChunks *chunks);

// head_replay_define.c
// Understands a record of the log; all but samples takes effect at once.
void replay_define(Replay *r, Str record);
// What entries of records do, also where they stand in something else than a log.
void replay_series(Replay *r, const WalEntry *e);
void replay_tombstone(Replay *r, const WalEntry *e);
// Takes from a series what it has up to `max_t_ms`: it had left the head then.
void replay_end_series(Replay *r, uint64_t ref, Series *series, int64_t max_t_ms);
// The series that a ref of the log means; 0 if none.
SeriesSlot replay_find_series(Replay *r, uint64_t *ref, HeadUnknown kind);

// head_replay_late.c
void replay_late_record(Replay *r, Str record);
// Drops the out-of-order chunks that their log does not name.
void replay_late_drop_unmarked(Replay *r);

// head_replay_snapshot.c
// Looks for one that is whole and that the log goes on from: r->has_snapshot; else logs why the whole log is read. `first_segment` is the first
// that no checkpoint covers. Notes one that a checkpoint has passed. False: it cannot be told, or one that is damaged does not go.
bool replay_snapshot_find(Replay *r, uint32_t first_segment, Error *err) MUST_CHECK;
// Full chunks are lost, of which it says nothing: their samples are to come from the log, all of it, now and in later starts. Removes it;
// one that a checkpoint has passed is not asked for samples.
bool replay_snapshot_forget(void *replay, Error *err) MUST_CHECK;
// Hands its records to the pipe.
bool replay_snapshot_read(Replay *r, Error *err) MUST_CHECK;
// Understands one of them.
void replay_snapshot_record(Replay *r, Str record);
// Behind the image, which was written before the snapshot: series that it does not have had left the head.
void replay_snapshot_name_begin(Replay *r);
// Behind the snapshot, before the log, in which they may come back: they go, with what is on disk of them.
void replay_snapshot_name_end(Replay *r);
// Sees to it that no ref is given out again that the log before it names. `checkpoint` may be empty.
void replay_snapshot_keep_refs(Replay *r, Str checkpoint, uint32_t from);

// head_replay_passed.c
// Before the replay: finds out which series that snapshot alone defines.
void replay_passed_read(Replay *r, Str checkpoint);
// The log names a ref that it does not define. True: the snapshot does, and has been believed if the labels are good.
bool replay_passed_define(Replay *r, uint64_t ref);
// Behind the replay: tells the log of those, and removes the snapshot.
void replay_passed_settle(Replay *r);
void replay_passed_deinit(PassedSnapshot *passed);

// head_replay_files.c
// The folder's records, from segment `from` on.
bool replay_dir(Replay *r, Str dir, uint32_t from, Error *err) MUST_CHECK;
