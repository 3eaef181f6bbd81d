// SPDX-License-Identifier: Apache-2.0
// chunk.h: what all chunk encodings share: their numbers, and decoding into columns whatever the encoding is.
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "metric/sample.h"

typedef enum ChunkEncoding {
    CHUNK_NONE = 0,
    CHUNK_XOR = 1,
    CHUNK_HISTOGRAM = 2,
    CHUNK_FLOAT_HISTOGRAM = 3,
    CHUNK_XOR2 = 4,
    CHUNK_HISTOGRAM_ST = 5,
    CHUNK_FLOAT_HISTOGRAM_ST = 6,
} ChunkEncoding;

#define CHUNK_SAMPLES_MAX 65535            // what the two bytes of the count hold
#define CHUNK_BYTES_MAX (64 * 1024 * 1024) // a longer one is taken for corrupt

// Samples the chunk says it has; 0 for less than two bytes.
size_t chunk_sample_count(ChunkEncoding encoding, Str chunk);

// True for the encodings that hold histograms.
static inline bool chunk_has_histograms(ChunkEncoding encoding)
{
    return encoding == CHUNK_HISTOGRAM || encoding == CHUNK_FLOAT_HISTOGRAM ||
           encoding == CHUNK_HISTOGRAM_ST || encoding == CHUNK_FLOAT_HISTOGRAM_ST;
}

// True for the encodings that hold start timestamps.
static inline bool chunk_has_starts(ChunkEncoding encoding)
{
    return encoding == CHUNK_XOR2 || encoding == CHUNK_HISTOGRAM_ST ||
           encoding == CHUNK_FLOAT_HISTOGRAM_ST;
}

// Columns that grow in an arena.
typedef struct ChunkColumns {
    Arena *arena;
    SampleColumns columns;
    size_t cap;
} ChunkColumns;

// Makes room for `more` samples behind columns.count; `with_histograms` makes the third column exist.
void chunk_columns_reserve(ChunkColumns *columns, size_t more, bool with_histograms);

// What the start column says of the `count` samples behind columns.count, for which room is reserved; `start_ms` NULL: nothing is known of
// them. The column comes into being with the first start that is known.
void chunk_columns_add_starts(ChunkColumns *columns, const int64_t *start_ms, size_t count);

// Appends the samples with min_t_ms <= t <= max_t_ms. Histograms live in the arena.
// Fails ERR_CORRUPT if the bytes are no whole chunk of that encoding; what was there before stays.
bool chunk_decode(ChunkEncoding encoding, Str chunk, int64_t min_t_ms, int64_t max_t_ms,
                  ChunkColumns *columns, Error *err) MUST_CHECK;

// Sorts by time if a neighbour is out of order and keeps the first of equal times: merges what overlapping chunks gave.
// Samples of chunks decoded earlier win.
void chunk_columns_merge(ChunkColumns *columns);
