// SPDX-License-Identifier: Apache-2.0
// chunk_batch.h: the float chunks of some series, gathered first and decoded together.
//
//     series     | 0       | 1     | 2         |
//     jobs       | a  b  c | d  e  | f g h i   |      chunks of a series in rising time
//     columns    | t t t t | t t t | t t t t t |      room for exactly what the chunks say they have
//
// Only encoding 1 is known here, and only chunks that stand behind one another: whoever gathers says so, and what turns out otherwise
// is read as all else is.
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "metric/sample.h"
#include "tsdb/chunk.h"
#include "tsdb/chunk_xor_many.h"

typedef struct ChunkBatchSeries {
    size_t first, count; // of the jobs
    size_t narrow;       // of these the jobs from here on have samples in this window only:
    int64_t min_t_ms, max_t_ms;
    bool is_plain; // all its chunks are here
} ChunkBatchSeries;

typedef struct ChunkBatch {
    Arena *scratch; // for the lists
    ChunkBatchSeries *series;
    size_t series_count, series_cap;
    ChunkXorJob *jobs;
    size_t job_count, job_cap;
    uint64_t mapped_bytes; // of chunks that are read through the maps of blocks
} ChunkBatch;

void chunk_batch_init(ChunkBatch *batch, size_t series_max, Arena *scratch);

// A new series; chunks that are added belong to it.
void chunk_batch_begin(ChunkBatch *batch);
// The bytes stay where they are until chunk_batch_decode.
void chunk_batch_add(ChunkBatch *batch, ChunkEncoding encoding, Str bytes);
// Of what is added to the series at hand from now on only samples in the window are seen. Once for each series.
void chunk_batch_narrow(ChunkBatch *batch, int64_t min_t_ms, int64_t max_t_ms);
// The series at hand cannot be read here; its chunks are forgotten.
void chunk_batch_refuse(ChunkBatch *batch);

// Decodes all; columns live in the arena. ret_columns has a place for each series; ret_done[i] false: that one must be read otherwise,
// which also tells what is wrong with it.
bool chunk_batch_decode(ChunkBatch *batch, int64_t min_t_ms, int64_t max_t_ms, Arena *arena,
                        SampleColumns *ret_columns, bool *ret_done, Error *err) MUST_CHECK;
