// SPDX-License-Identifier: Apache-2.0
#include "tsdb/chunk_xor_many.h"

#include <math.h>

#include "base/random.h"
#include "base/test.h"

#define CHUNKS_MAX 70
#define SAMPLES_MAX 300
#define CHUNK_CAP (SAMPLES_MAX * CHUNK_XOR_SAMPLE_BYTES_MAX + 40)

typedef struct Encoded {
    char *bytes; // of exactly this length, so that a sanitizer sees reads behind the end
    size_t len;
} Encoded;

static int64_t random_dod_width(Random *random)
{
    static const int64_t widths[] = {1, 8, 8000, 16400, 60000, 500000, INT64_C(1) << 40};
    return widths[random_below(random, 4 + random_below(random, COUNT_OF(widths) - 3))];
}

static double random_value(Random *random, unsigned kind, double last)
{
    switch (kind) {
    case 0:
        return 42;
    case 1:
        return last + (double)random_below(random, 100);
    case 2:
        return random_double(random);
    case 3:
        return chunk_xor_from_bits(random_u64(random));
    case 4:
        return random_below(random, 9) ? last : -last - 1;
    default:
        return random_below(random, 2) ? NAN : 1e308 * random_double(random);
    }
}

static Encoded encode_random(Random *random)
{
    static uint8_t bytes[CHUNK_CAP];
    ChunkXor chunk;
    unsigned kind = (unsigned)random_below(random, 6);
    int64_t t_ms = (int64_t)random_below(random, 1000), width_ms = random_dod_width(random);
    size_t count = random_below(random, random_below(random, 4) ? 130 : SAMPLES_MAX);
    double value = 1000;

    chunk_xor_start(&chunk, bytes);
    for (size_t i = 0; i < count; i++) {
        CHECK(chunk_xor_append(&chunk, bytes, CHUNK_CAP, t_ms, value));
        t_ms += 8200 + (int64_t)random_below(random, (uint64_t)width_ms);
        value = random_value(random, random_below(random, 20) ? kind : 3, value);
    }
    Encoded e = {(char *)x_malloc(chunk_xor_bytes(&chunk)), chunk_xor_bytes(&chunk)};
    memcpy(e.bytes, bytes, e.len);
    return e;
}

// Flips a bit or cuts the end off.
static void spoil(Random *random, Encoded *e)
{
    if (random_below(random, 2)) {
        e->bytes[2 + random_below(random, e->len - 2)] ^= (char)(1 << random_below(random, 8));
        return;
    }
    e->len = 2 + random_below(random, e->len - 2);
    e->bytes = (char *)x_realloc(e->bytes, e->len);
}

typedef struct Columns {
    int64_t t_ms[CHUNKS_MAX][SAMPLES_MAX];
    double value[CHUNKS_MAX][SAMPLES_MAX];
} Columns;

static void begin_jobs(const Encoded *chunks, size_t count, Columns *columns, ChunkXorJob *jobs)
{
    for (size_t i = 0; i < count; i++)
        jobs[i] = (ChunkXorJob){
            {chunks[i].bytes, chunks[i].len}, columns->t_ms[i], columns->value[i], SAMPLES_MAX, 0};
}

// Both may stop anywhere behind the first sample that is too late.
static size_t counted(const ChunkXorJob *job, int64_t until_ms)
{
    for (size_t i = 0; i < job->done; i++)
        if (job->t_ms[i] > until_ms)
            return i + 1;
    return job->done;
}

static void check_same(const ChunkXorJob *many, const ChunkXorJob *each, int64_t until_ms)
{
    size_t count = counted(each, until_ms);
    CHECK_EQ(counted(many, until_ms), count);
    for (size_t i = 0; i < count; i++) {
        CHECK_EQ(many->t_ms[i], each->t_ms[i]);
        CHECK(chunk_xor_to_bits(many->value[i]) == chunk_xor_to_bits(each->value[i]));
    }
}

static void check_round(Random *random, bool spoiled, bool limited)
{
    static Columns many_columns, each_columns;
    Encoded chunks[CHUNKS_MAX];
    ChunkXorJob many[CHUNKS_MAX], each[CHUNKS_MAX];
    size_t count = 1 + random_below(random, CHUNKS_MAX);
    int64_t until_ms = limited ? (int64_t)random_below(random, 3000000) : INT64_MAX;

    for (size_t i = 0; i < count; i++) {
        chunks[i] = encode_random(random);
        if (spoiled && chunks[i].len > 3 && random_below(random, 2))
            spoil(random, &chunks[i]);
    }
    begin_jobs(chunks, count, &many_columns, many);
    begin_jobs(chunks, count, &each_columns, each);
    chunk_xor_decode_many(many, count, until_ms);
    chunk_xor_decode_each(each, count, until_ms);
    for (size_t i = 0; i < count; i++) {
        check_same(&many[i], &each[i], until_ms);
        free(chunks[i].bytes);
    }
}

TEST(chunk_xor_many, many_chunks_decode_as_each_does_alone)
{
    Random random;
    random_seed(&random, 11);
    for (int round = 0; round < 200; round++)
        check_round(&random, false, round % 3 == 2);
}

TEST(chunk_xor_many, torn_and_spoiled_chunks_decode_as_each_does_alone)
{
    Random random;
    random_seed(&random, 12);
    for (int round = 0; round < 200; round++)
        check_round(&random, true, round % 3 == 2);
}

TEST_MAIN(chunk_xor_many, TEST_ROW(chunk_xor_many, many_chunks_decode_as_each_does_alone),
          TEST_ROW(chunk_xor_many, torn_and_spoiled_chunks_decode_as_each_does_alone))
