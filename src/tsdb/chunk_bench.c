// SPDX-License-Identifier: Apache-2.0
// Claim: a float sample costs about 14 ns to encode and 2.2 ns to decode.
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/random.h"
#include "tsdb/chunk_xor_many.h"

#define CHUNKS 2000
#define SAMPLES 120
#define CHUNK_CAP 2500
#define MANY 80 // chunks at once

typedef double (*NextFn)(Random *random, double last, size_t index);

static double next_constant(Random *random, double last, size_t index)
{
    (void)random, (void)last, (void)index;
    return 1234.5;
}

static double next_counter(Random *random, double last, size_t index)
{
    (void)index;
    return last + (double)random_below(random, 50);
}

static double next_gauge(Random *random, double last, size_t index)
{
    (void)last, (void)index;
    return 50 + 50 * random_double(random);
}

static double next_mostly_same(Random *random, double last, size_t index)
{
    (void)index;
    return random_below(random, 10) ? last : last + 1;
}

static double next_bytes(Random *random, double last, size_t index)
{
    (void)last, (void)index;
    return (double)(4096 * (100000 + random_below(random, 1000)));
}

typedef struct Row {
    const char *name;
    NextFn next;
    int64_t jitter_ms;
} Row;

static const Row rows[] = {
    {"constant", next_constant, 0},          {"constant, jitter", next_constant, 4},
    {"mostly same", next_mostly_same, 0},    {"counter", next_counter, 0},
    {"counter, jitter", next_counter, 4},    {"page gauge, jitter", next_bytes, 4},
    {"random gauge, jitter", next_gauge, 4},
};

static int64_t times[CHUNKS * SAMPLES];
static double values[CHUNKS * SAMPLES];
static uint8_t bytes[CHUNKS][CHUNK_CAP];
static size_t lengths[CHUNKS];

static void fill(const Row *row)
{
    Random random;
    double last = 1000;

    random_seed(&random, 1);
    for (size_t i = 0; i < COUNT_OF(times); i++) {
        times[i] = (int64_t)i * 15000 +
                   (row->jitter_ms ? (int64_t)random_below(&random, (uint64_t)row->jitter_ms) : 0);
        values[i] = last = row->next(&random, last, i);
    }
}

static void encode_all(void)
{
    for (size_t c = 0; c < CHUNKS; c++) {
        ChunkXor chunk;
        chunk_xor_start(&chunk, bytes[c]);
        for (size_t i = c * SAMPLES; i < (c + 1) * SAMPLES; i++)
            if (!chunk_xor_append(&chunk, bytes[c], CHUNK_CAP, times[i], values[i]))
                abort();
        lengths[c] = chunk_xor_bytes(&chunk);
    }
}

static double decode_all(void)
{
    int64_t t_ms[SAMPLES];
    double value[SAMPLES], sum = 0;

    for (size_t c = 0; c < CHUNKS; c++) {
        if (chunk_xor_decode((Str){(const char *)bytes[c], lengths[c]}, t_ms, value, SAMPLES) !=
            SAMPLES)
            abort();
        sum += value[SAMPLES - 1] + (double)t_ms[0];
    }
    return sum;
}

static double decode_all_many(void)
{
    static int64_t t_ms[MANY][SAMPLES];
    static double value[MANY][SAMPLES];
    ChunkXorJob jobs[MANY];
    double sum = 0;

    for (size_t c = 0; c < CHUNKS; c += MANY) {
        for (size_t i = 0; i < MANY; i++)
            jobs[i] = (ChunkXorJob){
                {(const char *)bytes[c + i], lengths[c + i]}, t_ms[i], value[i], SAMPLES, 0};
        chunk_xor_decode_many(jobs, MANY, INT64_MAX);
        for (size_t i = 0; i < MANY; i++) {
            if (jobs[i].done != SAMPLES)
                abort();
            sum += value[i][SAMPLES - 1] + (double)t_ms[i][0];
        }
    }
    return sum;
}

int main(void)
{
    printf("%-22s %12s %10s %10s %10s\n", "samples", "bytes/sample", "encode ns", "decode ns",
           "many ns");
    for (const Row *row = rows; row < rows + COUNT_OF(rows); row++) {
        int64_t encode_ns = INT64_MAX, decode_ns = INT64_MAX, many_ns = INT64_MAX;
        size_t total = 0;
        volatile double sink = 0;

        fill(row);
        for (int round = 0; round < 7; round++) {
            int64_t t0 = clock_mono_ns(&clock_system);
            encode_all();
            int64_t t1 = clock_mono_ns(&clock_system);
            sink = sink + decode_all();
            int64_t t2 = clock_mono_ns(&clock_system);
            encode_ns = MIN(encode_ns, t1 - t0);
            sink = sink + decode_all_many();
            int64_t t3 = clock_mono_ns(&clock_system);
            decode_ns = MIN(decode_ns, t2 - t1);
            many_ns = MIN(many_ns, t3 - t2);
        }
        for (size_t c = 0; c < CHUNKS; c++)
            total += lengths[c];
        printf("%-22s %12.2f %10.2f %10.2f %10.2f\n", row->name, (double)total / (CHUNKS * SAMPLES),
               (double)encode_ns / (CHUNKS * SAMPLES), (double)decode_ns / (CHUNKS * SAMPLES),
               (double)many_ns / (CHUNKS * SAMPLES));
    }
    return 0;
}
