// SPDX-License-Identifier: Apache-2.0
// chunk_histogram.h: histogram chunks, encodings 2 (integer) and 3 (float), exponential and custom buckets (prometheus.md 6.7).
//
//     | count u16 | flags u8 | zero threshold, schema, spans, custom bounds | sample 0 | sample 1 | ...
//
// All samples of a chunk share one layout of buckets. When a sample brings new buckets the chunk is written anew with the wider
// layout; when it cannot be the same run (counter reset, other schema, gauge against counter, ...) the caller must cut.
// Thread: one at a time.
#pragma once

#include "metric/histogram.h"
#include "tsdb/chunk.h"

typedef struct ChunkHistogram ChunkHistogram; // an open chunk, on the heap

#define CHUNK_HISTOGRAM_BYTES_TARGET 1024
#define CHUNK_HISTOGRAM_SAMPLES_MIN 10 // before the target counts

typedef enum ChunkHistogramAppend {
    CHUNK_HISTOGRAM_TAKEN,
    CHUNK_HISTOGRAM_CUT, // does not fit this chunk: finish it, open a new one with this sample as its first
} ChunkHistogramAppend;

// An empty open chunk whose first sample will be `first` (its flavour and layout; the sample is not taken yet). `previous` is the open
// or finished chunk before it in the same series or NULL: it decides the header's counter reset flag.
ChunkHistogram *chunk_histogram_new(const Histogram *first, const ChunkHistogram *previous);
void chunk_histogram_free(ChunkHistogram *chunk);

// Adds one sample; t_ms is above the newest.
ChunkHistogramAppend chunk_histogram_append(ChunkHistogram *chunk, int64_t t_ms,
                                            const Histogram *h);

// The bytes so far: a whole chunk, good until the next append.
Str chunk_histogram_str(const ChunkHistogram *chunk);
ChunkEncoding chunk_histogram_encoding(const ChunkHistogram *chunk);
size_t chunk_histogram_count(const ChunkHistogram *chunk);
int64_t chunk_histogram_min_t(const ChunkHistogram *chunk);
int64_t chunk_histogram_max_t(const ChunkHistogram *chunk);
// The newest sample, good until the next append; its hint is HINT_UNKNOWN or HINT_GAUGE. NULL if empty.
const Histogram *chunk_histogram_last(const ChunkHistogram *chunk);
// On the heap, for accounting.
size_t chunk_histogram_held_bytes(const ChunkHistogram *chunk);

// The times of all samples of a chunk of encoding 2 or 3 and the bit behind each. False: no whole chunk.
bool chunk_histogram_ends(ChunkEncoding encoding, Str chunk, int64_t *t_ms,
                          size_t *ret_ends) MUST_CHECK;

// Appends the samples in the time range. The first sample's hint is HINT_UNKNOWN, the others' are HINT_NO_RESET (gauges: HINT_GAUGE).
bool chunk_histogram_decode(ChunkEncoding encoding, Str chunk, int64_t min_t_ms, int64_t max_t_ms,
                            ChunkColumns *columns, Error *err) MUST_CHECK;
