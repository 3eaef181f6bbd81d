// SPDX-License-Identifier: Apache-2.0
#include "tsdb/chunk_start.h"

#include "base/number.h"
#include "base/random.h"
#include "base/test.h"
#include "tsdb/chunk_encode.h"
#include "tsdb/chunk_xor2.h"

#define SAMPLES 300

enum { ALWAYS, DELTAS, NEVER, FROM_THE_MIDDLE, LATE_RESET, NOISE, KINDS };

static int64_t start_of(int kind, const SampleColumns *c, size_t i, Random *random)
{
    switch (kind) {
    case ALWAYS:
        return 1234;
    case DELTAS:
        return i ? c->t_ms[i - 1] : c->t_ms[0] - 15000;
    case NEVER:
        return 0;
    case FROM_THE_MIDDLE:
        return i < 40 ? 0 : c->t_ms[39];
    case LATE_RESET: // behind the last index that a header can tell
        return i < 200 ? c->t_ms[0] : c->t_ms[200];
    default:
        return random_below(random, 3) ? (int64_t)random_below(random, UINT64_MAX) : 0;
    }
}

static void make(SampleColumns *c, Arena *arena, int kind, bool histograms, Random *random)
{
    *c = (SampleColumns){.t_ms = ARENA_ARRAY(arena, int64_t, SAMPLES),
                         .value = ARENA_ARRAY(arena, double, SAMPLES),
                         .start_ms = ARENA_ARRAY(arena, int64_t, SAMPLES),
                         .count = SAMPLES};
    if (histograms)
        c->histograms = ARENA_ARRAY(arena, const Histogram *, SAMPLES);
    for (size_t i = 0; i < SAMPLES; i++) {
        int64_t gap = random_below(random, 4)   ? 15000
                      : random_below(random, 2) ? (int64_t)random_below(random, 20000) + 1
                                                : (int64_t)random_below(random, 1u << 30) + 1;
        c->t_ms[i] = i ? c->t_ms[i - 1] + gap : 1600000000000;
        c->value[i] = random_below(random, 20) == 0 ? double_from_bits(NAN_STALE_BITS)
                      : random_below(random, 2)     ? (double)(i / 3)
                                                    : random_double(random);
        c->start_ms[i] = start_of(kind, c, i, random);
        if (!histograms)
            continue;
        Histogram *h = ARENA_NEW(arena, Histogram);
        *h = (Histogram){
            .is_integer = kind % 2, .sum = (double)i, .count = (double)i, .zero_count = (double)i};
        c->histograms[i] = h;
        c->value[i] = 0;
    }
}

TEST(chunk_start, chunks_of_all_kinds_give_the_starts_back)
{
    Random random;

    random_seed(&random, 7);
    for (int kind = 0; kind < KINDS; kind++) {
        for (int histograms = 0; histograms < 2; histograms++) {
            Arena arena = {0};
            SampleColumns c;
            make(&c, &arena, kind, histograms, &random);
            ChunkEncode out = {.arena = &arena};
            chunk_encode(&out, &c, 250);
            ChunkColumns got = {.arena = &arena};
            Error err = {0};
            for (size_t i = 0; i < out.count; i++) {
                bool starts = chunk_has_starts(out.chunks[i].encoding);
                CHECK(kind != NEVER || !starts);
                CHECK(starts || kind == NEVER || kind == FROM_THE_MIDDLE || kind == NOISE);
                CHECK_OK(chunk_decode(out.chunks[i].encoding, out.chunks[i].bytes, INT64_MIN,
                                      INT64_MAX, &got, &err),
                         err);
            }
            CHECK_EQ(got.columns.count, SAMPLES);
            CHECK_EQ(got.columns.start_ms != NULL, kind != NEVER);
            for (size_t i = 0; i < SAMPLES; i++) {
                CHECK_EQ(got.columns.t_ms[i], c.t_ms[i]);
                CHECK_EQ(double_bits(got.columns.value[i]), double_bits(c.value[i]));
                if (kind != NEVER)
                    CHECK_EQ(got.columns.start_ms[i], c.start_ms[i]);
                if (histograms)
                    CHECK(histogram_equal(got.columns.histograms[i], c.histograms[i]));
            }
            arena_deinit(&arena);
        }
    }
}

TEST(chunk_start, clipped_and_merged_samples_keep_their_own_start)
{
    Arena arena = {0};
    Random random;
    SampleColumns c;
    ChunkEncode out = {.arena = &arena};
    ChunkColumns got = {.arena = &arena};
    Error err = {0};

    random_seed(&random, 8);
    make(&c, &arena, DELTAS, false, &random);
    SampleColumns plain = c;
    plain.start_ms = NULL;
    plain.count = 100;
    chunk_encode(&out, &plain, 120);
    chunk_encode(&out, &c, 120);
    // The plain ones come first and win; of the others a piece is left.
    for (size_t i = 0; i < out.count; i++)
        CHECK_OK(chunk_decode(out.chunks[i].encoding, out.chunks[i].bytes, c.t_ms[50], c.t_ms[249],
                              &got, &err),
                 err);
    chunk_columns_merge(&got);

    CHECK_EQ(got.columns.count, 200);
    for (size_t i = 0; i < 200; i++) {
        CHECK_EQ(got.columns.t_ms[i], c.t_ms[i + 50]);
        CHECK_EQ(got.columns.start_ms[i], i < 50 ? 0 : c.start_ms[i + 50]);
    }
    arena_deinit(&arena);
}

// By the format's description: 3 samples a minute apart from t = 0, constant, with starts 0, -60000, -60000.
TEST(chunk_start, the_bytes_are_the_formats)
{
    static const uint8_t want[] = {0, 3, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xe0, 0xd4, 3};
    static const int64_t t_ms[] = {0, 60000, 120000}, start_ms[] = {0, -60000, -60000};
    static const double value[] = {0, 0, 0};
    Arena arena = {0};

    Str chunk = chunk_xor2_encode(&arena, t_ms, value, start_ms, 3);

    CHECK(chunk.len > sizeof want);
    CHECK_EQ(memcmp(chunk.ptr, want, sizeof want), 0);
    // Value 0: `0`. Gap 0 - -60000 in 18 bits: `111110`. Both samples: `0`, then a gap of 120000, 60000 more: 18 bits again.
    BitReader r = bit_reader_from(chunk);
    r.bit = sizeof want * 8;
    CHECK_EQ(bit_reader_get(&r, 1), 0);
    CHECK_EQ(bit_reader_get(&r, 6), 0x3e);
    CHECK_EQ(bit_reader_get(&r, 18), 60000);
    CHECK_EQ(bit_reader_get(&r, 1), 0);
    CHECK_EQ(bit_reader_get(&r, 6), 0x3e);
    CHECK_EQ(bit_reader_get(&r, 18), 60000);
    arena_deinit(&arena);
}

TEST_MAIN(chunk_start, TEST_ROW(chunk_start, chunks_of_all_kinds_give_the_starts_back),
          TEST_ROW(chunk_start, clipped_and_merged_samples_keep_their_own_start),
          TEST_ROW(chunk_start, the_bytes_are_the_formats))
