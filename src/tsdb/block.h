// SPDX-License-Identifier: Apache-2.0
// block.h: one block on disk, <dir>/<ULID>/, mapped. Immutable but for its tombstones; the last reference unmaps it. Its folder may be
// removed while it is in use.
// Thread: any for every function.
#pragma once

#include "tsdb/block_meta.h"
#include "tsdb/chunk.h"
#include "tsdb/chunk_batch.h"
#include "tsdb/index_reader.h"
#include "tsdb/tombstones.h"

#define BLOCK_RANK 380 // its lock guards a pointer only

typedef struct Block Block;

// Fails ERR_CORRUPT naming the part, or ERR_INVALID if that is of a version that is not known; nothing is changed or removed on disk.
bool block_open(Fs *fs, Str dir, Block **ret_block, Error *err) MUST_CHECK;

// What a block had to be opened without.
typedef struct BlockLoss {
    Error meta, tombstones; // ERR_NONE: it holds
} BlockLoss;

// For repair: opens also a block whose meta.json is missing or damaged, or whose tombstones are damaged. Without its meta.json it has the
// name of its folder, no range and no counts; of damaged tombstones those that fit their series are there. Fails as block_open() for
// everything else.
bool block_open_damaged(Fs *fs, Str dir, Block **ret_block, BlockLoss *ret_loss,
                        Error *err) MUST_CHECK;
Block *block_ref(Block *block);
void block_unref(Block *block); // accepts NULL

// Gives back the memory of mapped pages that were read; the next reader gets them from the kernel's cache.
void block_release_pages(const Block *block);
// Of chunks only.
void block_release_chunk_pages(const Block *block);

const BlockMeta *block_meta(const Block *block);
Str block_dir(const Block *block);
const IndexReader *block_index(const Block *block);
// On disk, all files.
uint64_t block_bytes(const Block *block);
// Tombstones now.
uint64_t block_tombstone_count(Block *block);

// One chunk's bytes in the map; its checksum is looked at the first time. Fails ERR_CORRUPT.
bool block_chunk(const Block *block, uint64_t ref, ChunkEncoding *ret_encoding, Str *ret_bytes,
                 Error *err) MUST_CHECK;
// The same, the checksum looked at again: for what is copied to another block, or asked for damage.
bool block_chunk_checked(const Block *block, uint64_t ref, ChunkEncoding *ret_encoding,
                         Str *ret_bytes, Error *err) MUST_CHECK;

// What was deleted of a series, copied (release with intervals_deinit).
void block_deleted(Block *block, uint32_t series_ref, Intervals *ret_intervals);

// Appends the samples of one series in [min_t_ms, max_t_ms] that were not deleted.
bool block_read(Block *block, uint32_t series_ref, int64_t min_t_ms, int64_t max_t_ms,
                ChunkColumns *columns, Error *err) MUST_CHECK;

// Adds the chunks of one series to the batch, whose series at hand it is; refuses if they cannot be read there.
void block_gather(Block *block, uint32_t series_ref, int64_t min_t_ms, int64_t max_t_ms,
                  ChunkBatch *batch);

// Where chunks lie: references in one segment.
typedef struct BlockSpan {
    uint64_t from, to;
} BlockSpan;

// That of the chunks of a series, as far as it is worth to ask for it: empty if they are strewn, or few and were read before.
BlockSpan block_span(const Block *block, const IndexSeries *series);
// Tells the kernel that it will be read. It begins to fetch what it does not have, and nobody waits.
void block_ask(const Block *block, BlockSpan span);

// Adds tombstones for all samples of the matching series in the range, on disk first.
bool block_delete(Block *block, const Matcher *matchers, size_t count, int64_t min_t_ms,
                  int64_t max_t_ms, Error *err) MUST_CHECK;

// Walks over the series of a selection in the order of their labels.
typedef struct BlockCursor {
    Block *block;
    int64_t min_t_ms;
    int64_t max_t_ms;
    IndexPostings postings;
    size_t at;
    IndexSeries series; // the current one: chunks in the range
    uint32_t ref;
    Labels labels;
    Label *pairs;
    size_t pair_cap;
    struct {
        uint32_t symbol; // plus one; 0: empty
        Str text;
    } cache[512];
} BlockCursor;

// Refs in the arena.
bool block_cursor_open(Block *block, const Matcher *matchers, size_t count, int64_t min_t_ms,
                       int64_t max_t_ms, Arena *arena, BlockCursor *ret_cursor,
                       Error *err) MUST_CHECK;
// The next series that may have samples in the range that were not deleted. False in *ret_more at the end. Labels are good until the
// next call, their strings as long as the block.
bool block_cursor_next(BlockCursor *cursor, bool *ret_more, Error *err) MUST_CHECK;
void block_cursor_close(BlockCursor *cursor);
