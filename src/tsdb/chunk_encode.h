// SPDX-License-Identifier: Apache-2.0
// chunk_encode.h: samples in columns become chunks of the usual size, floats and histograms in turn as they come.
#pragma once

#include "tsdb/block_writer.h"

typedef struct ChunkEncode {
    BlockChunk *chunks;
    size_t count;
    size_t cap;
    Arena *arena; // of the chunks' bytes and the list
} ChunkEncode;

// Appends the chunks of all samples (rising times) to the list; at most samples_per_chunk samples each.
void chunk_encode(ChunkEncode *out, const SampleColumns *columns, size_t samples_per_chunk);

// Appends the chunk of the samples [from, to), encoded already but for their starts. The bytes are copied.
void chunk_encode_add_samples(ChunkEncode *out, const SampleColumns *columns, size_t from,
                              size_t to, ChunkEncoding encoding, Str bytes);

// Appends one finished chunk; its bytes are not copied.
void chunk_encode_add(ChunkEncode *out, BlockChunk chunk);
