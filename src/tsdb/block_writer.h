// SPDX-License-Identifier: Apache-2.0
// block_writer.h: writes one block (prometheus.md 6.3, 6.4), streaming: first all symbols in order, then all series in order.
//
//     block_writer_open(...)
//     block_writer_symbol(w, "")      0   rising, each once; whatever the series use must be among them
//     block_writer_symbol(w, "a")     1
//     block_writer_series(w, refs, 2 * labels, chunks, count)
//     block_writer_finish(w, ...)
//
// Everything is written below <dir>/<ULID>.tmp-for-creation, which becomes <dir>/<ULID> at the very end. A crash leaves only that
// folder, which the next start removes. Heap: 4 bytes per series and symbol, 16 per label pair, and a batch of postings.
// Thread: one.
#pragma once

#include "base/fs.h"
#include "tsdb/block_meta.h"
#include "tsdb/chunk.h"

typedef struct BlockWriter BlockWriter;
struct BlockChunk;

typedef struct BlockWriterOptions {
    Fs *fs;
    Str dir; // of the blocks
    Ulid ulid;
    int64_t min_t_ms;
    int64_t max_t_ms;    // exclusive
    int level;           // 1 from the head
    const Ulid *sources; // none: the block itself
    size_t source_count;
    const BlockParent *parents;
    size_t parent_count;
    uint64_t segment_bytes_max; // of a file of chunks, unless one chunk alone has more; 0: 512 MiB
    bool from_out_of_order;     // the hint: one of the two at most
    bool
        from_stale_series; // both hints: an original that does not know this one must not take the block for the end of the in-order samples
    // Sees each chunk that is written; NULL: nobody does.
    void (*chunk_written)(void *arg, const struct BlockChunk *chunk);
    void *chunk_written_arg;
} BlockWriterOptions;

typedef struct BlockChunk {
    int64_t min_t_ms;
    int64_t max_t_ms; // inclusive
    ChunkEncoding encoding;
    Str bytes;
} BlockChunk;

bool block_writer_open(const BlockWriterOptions *options, BlockWriter **ret_writer,
                       Error *err) MUST_CHECK;

// The next symbol; its ref is its place in the row, from 0.
bool block_writer_symbol(BlockWriter *writer, Str symbol, Error *err) MUST_CHECK;

// The next series: labels as refs, name, value, name, value, ... sorted by name; chunks in rising time, not overlapping.
// Series come in the order of their labels. A series without chunks is skipped. Short float chunks may be joined (chunk_join.h).
bool block_writer_series(BlockWriter *writer, const uint32_t *label_refs, size_t ref_count,
                         const BlockChunk *chunks, size_t count, Error *err) MUST_CHECK;

// Completes and publishes the block and frees the writer, also on failure (then nothing is left of it). Without any sample no block is
// made and ret_made is false.
bool block_writer_finish(BlockWriter *writer, bool *ret_made, Error *err) MUST_CHECK;
// Gives up: removes what was written. Accepts NULL.
void block_writer_abort(BlockWriter *writer);
