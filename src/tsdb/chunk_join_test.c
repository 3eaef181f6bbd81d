// SPDX-License-Identifier: Apache-2.0
#include "tsdb/chunk_join.h"

#include "base/random.h"
#include "base/test.h"
#include "tsdb/chunk_encode.h"

#define SAMPLES 1500

typedef struct Made {
    Arena arena;
    SampleColumns columns;
    ChunkEncode chunks;
} Made;

static void made_deinit(Made *made)
{
    arena_deinit(&made->arena);
}

// Few enough bytes that only the number of samples sets an end.
static bool is_small(int kind)
{
    return kind == 0 || kind == 4;
}

// Chunks of 120 samples; kind 0: constant, 1: counter, 2: noise, 3: calm after a wide start, 4: now and then a step. Times waver but for the
// small ones.
static void make(Made *made, int kind, uint64_t seed)
{
    Random random;
    double last = 1;

    random_seed(&random, seed);
    memset(made, 0, sizeof *made);
    made->columns = (SampleColumns){ARENA_ARRAY(&made->arena, int64_t, SAMPLES),
                                    ARENA_ARRAY(&made->arena, double, SAMPLES), NULL, SAMPLES};
    for (int64_t i = 0; i < SAMPLES; i++) {
        made->columns.t_ms[i] =
            i * 15000 + (is_small(kind) ? 0 : (int64_t)random_below(&random, 3));
        switch (kind) {
        case 0:
            last = 42;
            break;
        case 1:
            last += (double)random_below(&random, 20);
            break;
        case 2:
            last = random_double(&random);
            break;
        case 3:
            last = i < 40 ? random_double(&random) : (double)random_below(&random, 2);
            break;
        default:
            last += random_below(&random, 30) == 0;
            break;
        }
        made->columns.value[i] = last;
    }
    made->chunks.arena = &made->arena;
    chunk_encode(&made->chunks, &made->columns, 120);
}

TEST(chunk_join, keeps_every_sample_and_never_grows)
{
    for (int kind = 0; kind < 5; kind++)
        for (uint64_t seed = 1; seed <= 20; seed++) {
            CLEANUP(made_deinit) Made made;
            static ChunkJoin join;
            Error err = {0};
            make(&made, kind, seed);
            ChunkColumns got = {.arena = &made.arena};
            size_t chunks = 0, before = 0, after = 0;

            for (size_t i = 0; i < made.chunks.count; chunks++) {
                BlockChunk c;
                size_t taken = chunk_join(&join, made.chunks.chunks + i, made.chunks.count - i, &c);
                CHECK_EQ(c.min_t_ms, made.chunks.chunks[i].min_t_ms);
                CHECK_EQ(c.max_t_ms, made.chunks.chunks[i + taken - 1].max_t_ms);
                CHECK(chunk_xor_count(c.bytes) <= CHUNK_JOIN_SAMPLES_MAX);
                for (size_t k = 0; k < taken; k++)
                    before += made.chunks.chunks[i + k].bytes.len;
                after += c.bytes.len;
                CHECK_OK(chunk_decode(c.encoding, c.bytes, INT64_MIN, INT64_MAX, &got, &err), err);
                i += taken;
            }

            CHECK(after <= before);
            if (is_small(kind))
                CHECK_EQ(chunks, (SAMPLES + CHUNK_JOIN_SAMPLES_MAX - 1) / CHUNK_JOIN_SAMPLES_MAX);
            CHECK_EQ(got.columns.count, SAMPLES);
            CHECK(memcmp(got.columns.t_ms, made.columns.t_ms, SAMPLES * sizeof(int64_t)) == 0);
            CHECK(memcmp(got.columns.value, made.columns.value, SAMPLES * sizeof(double)) == 0);
        }
}

TEST(chunk_join, leaves_other_encodings_and_broken_chunks_alone)
{
    CLEANUP(made_deinit) Made made;
    static ChunkJoin join;
    BlockChunk c;
    make(&made, 0, 1);

    made.chunks.chunks[1].bytes.len -= 20;
    CHECK_EQ(chunk_join(&join, made.chunks.chunks, 2, &c), 1);
    CHECK(c.bytes.ptr == made.chunks.chunks[0].bytes.ptr);
    CHECK_EQ(chunk_join(&join, made.chunks.chunks + 1, 2, &c), 1);
    made.chunks.chunks[3].encoding = CHUNK_HISTOGRAM;
    CHECK_EQ(chunk_join(&join, made.chunks.chunks + 2, 2, &c), 1);
    CHECK_EQ(chunk_join(&join, made.chunks.chunks + 3, 2, &c), 1);
    CHECK_EQ(chunk_join(&join, made.chunks.chunks + 4, 1, &c), 1);
}

TEST_MAIN(chunk_join, TEST_ROW(chunk_join, keeps_every_sample_and_never_grows),
          TEST_ROW(chunk_join, leaves_other_encodings_and_broken_chunks_alone))
