// SPDX-License-Identifier: Apache-2.0
#include "tsdb/chunk_encode.h"

#include "tsdb/chunk_histogram.h"
#include "tsdb/chunk_start.h"
#include "tsdb/chunk_xor.h"
#include "tsdb/tsdb.h"

void chunk_encode_add(ChunkEncode *out, BlockChunk chunk)
{
    if (out->count == out->cap) {
        size_t cap = out->cap ? 2 * out->cap : 16;
        out->chunks = (BlockChunk *)arena_grow(out->arena, out->chunks, out->cap * sizeof chunk,
                                               cap * sizeof chunk);
        out->cap = cap;
    }
    out->chunks[out->count++] = chunk;
}

void chunk_encode_add_samples(ChunkEncode *out, const SampleColumns *c, size_t from, size_t to,
                              ChunkEncoding encoding, Str bytes)
{
    BlockChunk chunk = {c->t_ms[from], c->t_ms[to - 1], encoding, bytes};

    if (!c->start_ms ||
        !chunk_start_weave(out->arena, &chunk.encoding, &chunk.bytes, c->start_ms + from))
        chunk.bytes = arena_str(out->arena, bytes);
    chunk_encode_add(out, chunk);
}

// Floats from `from` to the next histogram or full chunk. Returns where it ended.
static size_t encode_floats(ChunkEncode *out, const SampleColumns *c, size_t from,
                            size_t samples_per_chunk)
{
    uint8_t bytes[CHUNK_XOR_BYTES_TARGET + 2 * CHUNK_XOR_SAMPLE_BYTES_MAX];
    ChunkXor chunk;
    size_t i = from;

    chunk_xor_start(&chunk, bytes);
    for (; i < c->count && i - from < samples_per_chunk && !(c->histograms && c->histograms[i]);
         i++)
        if (chunk_xor_bytes(&chunk) > CHUNK_XOR_BYTES_TARGET ||
            !chunk_xor_append(&chunk, bytes, sizeof bytes, c->t_ms[i], c->value[i]))
            break;
    chunk_encode_add_samples(out, c, from, i, CHUNK_XOR,
                             (Str){(const char *)bytes, chunk_xor_bytes(&chunk)});
    return i;
}

static bool histogram_chunk_is_full(const ChunkHistogram *chunk, size_t samples_per_chunk)
{
    size_t count = chunk_histogram_count(chunk);
    return count >= samples_per_chunk ||
           (count >= CHUNK_HISTOGRAM_SAMPLES_MIN &&
            chunk_histogram_str(chunk).len >= CHUNK_HISTOGRAM_BYTES_TARGET);
}

static size_t encode_histograms(ChunkEncode *out, const SampleColumns *c, size_t from,
                                size_t samples_per_chunk, ChunkHistogram **previous)
{
    ChunkHistogram *chunk = chunk_histogram_new(c->histograms[from], *previous);
    size_t i = from;

    while (i < c->count && c->histograms[i] && !histogram_chunk_is_full(chunk, samples_per_chunk) &&
           chunk_histogram_append(chunk, c->t_ms[i], c->histograms[i]) == CHUNK_HISTOGRAM_TAKEN)
        i++;
    ASSERT(i > from); // an empty chunk takes its first sample
    chunk_encode_add_samples(out, c, from, i, chunk_histogram_encoding(chunk),
                             chunk_histogram_str(chunk));
    chunk_histogram_free(*previous);
    *previous = chunk;
    return i;
}

void chunk_encode(ChunkEncode *out, const SampleColumns *columns, size_t samples_per_chunk)
{
    ChunkHistogram *previous = NULL;

    for (size_t i = 0; i < columns->count;) {
        if (columns->histograms && columns->histograms[i]) {
            i = encode_histograms(out, columns, i, samples_per_chunk, &previous);
            continue;
        }
        i = encode_floats(out, columns, i, samples_per_chunk);
        chunk_histogram_free(previous); // floats between two chunks: nothing is known of a reset
        previous = NULL;
    }
    chunk_histogram_free(previous);
}

#define SAMPLES_PER_CHUNK 120

void tsdb_encode_chunks(const SampleColumns *samples, Arena *arena, TsdbChunk **ret_chunks,
                        size_t *ret_count)
{
    ChunkEncode out = {.arena = arena};
    chunk_encode(&out, samples, SAMPLES_PER_CHUNK);
    TsdbChunk *chunks = ARENA_ARRAY(arena, TsdbChunk, out.count);
    for (size_t i = 0; i < out.count; i++)
        chunks[i] = (TsdbChunk){out.chunks[i].min_t_ms, out.chunks[i].max_t_ms,
                                (int)out.chunks[i].encoding, out.chunks[i].bytes};
    *ret_chunks = chunks;
    *ret_count = out.count;
}
