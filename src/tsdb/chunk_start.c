// SPDX-License-Identifier: Apache-2.0
#include "tsdb/chunk_start.h"

#include "tsdb/chunk_histogram.h"
#include "tsdb/chunk_xor.h"
#include "tsdb/chunk_xor2.h"

#define HEADER_BYTES 3

uint8_t chunk_start_header(const int64_t *start_ms, size_t count)
{
    uint8_t known = count && start_ms[0] ? 0x80 : 0;

    for (size_t i = 1; i < count; i++)
        if (start_ms[i] != start_ms[0] || i == CHUNK_START_FROM_MAX)
            return known | (uint8_t)i;
    return known;
}

void chunk_start_put(ChunkStart *start, size_t index, int64_t t_ms, int64_t before_ms,
                     int64_t start_ms, BitWriter *w)
{
    if (index == 0) {
        if (start->first)
            bit_writer_varint(w, (int64_t)((uint64_t)t_ms - (uint64_t)start_ms));
    } else if (start->from && index >= start->from) {
        uint64_t gap = (uint64_t)before_ms - (uint64_t)start_ms;
        bit_writer_varbit_int(w, (int64_t)(gap - start->gap));
        start->gap = gap;
    }
}

static Str weave_floats(Arena *arena, Str chunk, const int64_t *start_ms, size_t count)
{
    int64_t *t_ms = ARENA_ARRAY(arena, int64_t, count);
    double *value = ARENA_ARRAY(arena, double, count);

    if (chunk_xor_decode(chunk, t_ms, value, count) < count)
        return STR_NONE;
    return chunk_xor2_encode(arena, t_ms, value, start_ms, count);
}

static void copy_bits(BitReader *from, size_t end, BitWriter *to)
{
    while (from->bit < end) {
        unsigned count = (unsigned)MIN(end - from->bit, (size_t)56);
        bit_writer_put(to, bit_reader_get(from, count), count);
    }
}

// The samples' bits stay as they are; the starts go between them.
static Str weave_histograms(Arena *arena, ChunkEncoding encoding, Str chunk,
                            const int64_t *start_ms, size_t count)
{
    int64_t *t_ms = ARENA_ARRAY(arena, int64_t, count);
    size_t *end = ARENA_ARRAY(arena, size_t, count);
    uint8_t flags = (uint8_t)chunk.ptr[2], header = chunk_start_header(start_ms, count);
    ChunkStart start = chunk_start_from(header);
    BitReader r = bit_reader_from(chunk);
    BitWriter w = {.bit = 0};

    if (!chunk_histogram_ends(encoding, chunk, t_ms, end))
        return STR_NONE;
    bit_writer_put(&w, (uint64_t)flags << 8 | count, 16);
    bit_writer_put(&w, header, 8);
    r.bit = HEADER_BYTES * 8;
    for (size_t i = 0; i < count; i++) {
        copy_bits(&r, end[i], &w);
        chunk_start_put(&start, i, t_ms[i], i ? t_ms[i - 1] : 0, start_ms[i], &w);
    }
    Str woven = arena_str(arena, bit_writer_str(&w));
    bit_writer_deinit(&w);
    return woven;
}

bool chunk_start_weave(Arena *arena, ChunkEncoding *encoding, Str *chunk, const int64_t *start_ms)
{
    size_t count = chunk_sample_count(*encoding, *chunk);
    ChunkEncoding with = *encoding == CHUNK_XOR         ? CHUNK_XOR2
                         : *encoding == CHUNK_HISTOGRAM ? CHUNK_HISTOGRAM_ST
                                                        : CHUNK_FLOAT_HISTOGRAM_ST;
    size_t known = 0;
    Str woven;

    while (known < count && !start_ms[known])
        known++;
    if (known == count || chunk->len < HEADER_BYTES || count > chunk->len * 8 ||
        (with != CHUNK_XOR2 && count > CHUNK_START_HISTOGRAMS_MAX))
        return false;
    woven = with == CHUNK_XOR2 ? weave_floats(arena, *chunk, start_ms, count)
                               : weave_histograms(arena, *encoding, *chunk, start_ms, count);
    if (!woven.len)
        return false;
    *encoding = with;
    *chunk = woven;
    return true;
}

void chunk_start_repack(Arena *arena, ChunkEncoding *encoding, Str *chunk)
{
    size_t count = chunk_sample_count(*encoding, *chunk);
    if (*encoding != CHUNK_XOR || !count || count > chunk->len * 8)
        return;
    int64_t *none = arena_zalloc(arena, count * sizeof *none);
    Str packed = weave_floats(arena, *chunk, none, count);
    if (!packed.len)
        return;
    *encoding = CHUNK_XOR2;
    *chunk = packed;
}
