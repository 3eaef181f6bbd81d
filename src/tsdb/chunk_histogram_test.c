// SPDX-License-Identifier: Apache-2.0
#include "tsdb/chunk_histogram.h"

#include "base/random.h"
#include "base/test.h"
#include "tsdb/chunk_encode.h"

#define STALE_BITS UINT64_C(0x7ff0000000000002)

static double stale_value(void)
{
    uint64_t bits = STALE_BITS;
    double value;
    memcpy(&value, &bits, 8);
    return value;
}

// A histogram over the given indices of positive buckets (rising) with these counts.
static Histogram *make(Arena *arena, bool is_integer, const int *indices, const double *counts,
                       uint32_t count)
{
    Histogram *h = ARENA_NEW(arena, Histogram);
    HistogramSpan *spans = ARENA_ARRAY(arena, HistogramSpan, count);
    double *buckets = ARENA_ARRAY(arena, double, count);

    h->is_integer = is_integer;
    h->schema = 2;
    h->zero_threshold = 0x1p-128;
    h->zero_count = 1;
    h->count = 1;
    for (uint32_t i = 0; i < count; i++) {
        if (i && indices[i] == indices[i - 1] + 1) {
            spans[h->positive_span_count - 1].length++;
        } else {
            spans[h->positive_span_count] =
                (HistogramSpan){i ? indices[i] - indices[i - 1] - 1 : indices[i], 1};
            h->positive_span_count++;
        }
        buckets[i] = counts[i];
        h->count += counts[i];
    }
    h->sum = h->count * 1.5;
    h->positive_spans = spans;
    h->positive_buckets = buckets;
    h->positive_count = count;
    return h;
}

// The count of the positive bucket `index`.
static double bucket_at(const Histogram *h, int index)
{
    int at = 0;
    uint32_t bucket = 0;

    for (uint32_t i = 0; i < h->positive_span_count; i++) {
        at += h->positive_spans[i].offset;
        for (uint32_t k = 0; k < h->positive_spans[i].length; k++, at++, bucket++)
            if (at == index)
                return h->positive_buckets[bucket];
    }
    return 0;
}

static void check_equal(const Histogram *got, const Histogram *want)
{
    CHECK_EQ(got->is_integer, want->is_integer);
    CHECK_DOUBLE(got->sum, want->sum);
    if (memcmp(&want->sum, &(uint64_t){STALE_BITS}, 8) == 0)
        return;
    CHECK_EQ(got->schema, want->schema);
    CHECK_DOUBLE(got->zero_threshold, want->zero_threshold);
    CHECK_DOUBLE(got->zero_count, want->zero_count);
    CHECK_DOUBLE(got->count, want->count);
    for (int i = -40; i < 40; i++)
        CHECK_DOUBLE(bucket_at(got, i), bucket_at(want, i));
    CHECK_EQ(got->custom_count, want->custom_count);
    for (uint32_t i = 0; i < want->custom_count; i++)
        CHECK_DOUBLE(got->custom_bounds[i], want->custom_bounds[i]);
}

static ChunkColumns decode(Arena *arena, ChunkEncoding encoding, Str chunk)
{
    ChunkColumns columns = {.arena = arena};
    Error err = {0};

    CHECK_OK(chunk_histogram_decode(encoding, chunk, INT64_MIN, INT64_MAX, &columns, &err), err);
    return columns;
}

TEST(chunk_histogram, gives_back_what_was_appended)
{
    for (uint64_t seed = 1; seed <= 400; seed++) {
        CLEANUP(arena_deinit) Arena arena = {.next = NULL};
        Random random;
        random_seed(&random, seed);
        bool is_integer = seed % 2, gauge = seed % 3 == 0;
        size_t count = 1 + (size_t)random_below(&random, 200);
        SampleColumns want = {
            .t_ms = ARENA_ARRAY(&arena, int64_t, count),
            .value = ARENA_ARRAY(&arena, double, count),
            .histograms = ARENA_ARRAY(&arena, const Histogram *, count),
            .count = count,
        };
        double totals[40] = {0};
        bool present[40] = {false};
        int64_t t = -5000;
        for (size_t i = 0; i < count; i++) {
            int indices[40];
            double counts[40];
            uint32_t n = 0;
            for (int k = 0; k < 40; k++) {
                present[k] |= random_below(&random, 200) == 0;
                if (!present[k])
                    continue;
                totals[k] = gauge ? (double)random_below(&random, 100)
                                  : totals[k] + (double)random_below(&random, 3);
                if (random_below(&random, 3000) == 0)
                    totals[k] = 0; // a reset
                indices[n] = k - 20;
                counts[n++] = is_integer ? totals[k] : totals[k] * 1.25;
            }
            Histogram *h = make(&arena, is_integer, indices, counts, n);
            h->hint = gauge ? HINT_GAUGE : HINT_UNKNOWN;
            if (random_below(&random, 50) == 0)
                h->sum = stale_value();
            t += 1 + (int64_t)random_below(&random, 30000);
            want.t_ms[i] = t;
            want.value[i] = 0;
            want.histograms[i] = h;
        }

        ChunkEncode out = {.arena = &arena};
        chunk_encode(&out, &want, 120);

        ChunkColumns got = {.arena = &arena};
        Error err = {0};
        for (size_t i = 0; i < out.count; i++)
            CHECK_OK(chunk_decode(out.chunks[i].encoding, out.chunks[i].bytes, INT64_MIN, INT64_MAX,
                                  &got, &err),
                     err);
        CHECK_EQ(got.columns.count, count);
        for (size_t i = 0; i < count; i++) {
            CHECK_EQ(got.columns.t_ms[i], want.t_ms[i]);
            check_equal(got.columns.histograms[i], want.histograms[i]);
        }
    }
}

typedef struct Step {
    int indices[4];
    double counts[4];
    uint32_t count;
    HistogramHint hint;
    int32_t schema;
    bool stale;
} Step;

TEST(chunk_histogram, cuts_where_prometheus_cuts)
{
    static const struct {
        const char *name;
        Step first, second;
        ChunkHistogramAppend want;
        uint8_t flag; // of the chunk that begins with the second
    } cases[] = {
        {"growing", {{0, 1}, {5, 5}, 2}, {{0, 1}, {6, 5}, 2}, CHUNK_HISTOGRAM_TAKEN, 0x40},
        {"a count fell", {{0, 1}, {5, 5}, 2}, {{0, 1}, {4, 9}, 2}, CHUNK_HISTOGRAM_CUT, 0x80},
        {"a bucket went away", {{0, 1}, {5, 5}, 2}, {{0}, {50}, 1}, CHUNK_HISTOGRAM_CUT, 0x80},
        {"an empty bucket went away",
         {{0, 1}, {5, 0}, 2},
         {{0}, {50}, 1},
         CHUNK_HISTOGRAM_TAKEN,
         0x40},
        {"a new bucket",
         {{0, 1}, {5, 5}, 2},
         {{0, 1, 7}, {5, 5, 2}, 3},
         CHUNK_HISTOGRAM_TAKEN,
         0x40},
        {"one new, one empty away",
         {{0, 1}, {5, 0}, 2},
         {{0, 7}, {5, 2}, 2},
         CHUNK_HISTOGRAM_TAKEN,
         0x40},
        {"said to be a reset", {{0}, {5}, 1}, {{0}, {6}, 1, HINT_RESET}, CHUNK_HISTOGRAM_CUT, 0x80},
        {"another schema",
         {{0}, {5}, 1},
         {{0}, {6}, 1, HINT_UNKNOWN, 3},
         CHUNK_HISTOGRAM_CUT,
         0x00},
        {"stale always fits", {{0}, {5}, 1}, {.stale = true}, CHUNK_HISTOGRAM_TAKEN, 0x40},
        {"after stale nothing is known", {.stale = true}, {{0}, {6}, 1}, CHUNK_HISTOGRAM_CUT, 0x00},
        {"counter then gauge", {{0}, {5}, 1}, {{0}, {6}, 1, HINT_GAUGE}, CHUNK_HISTOGRAM_CUT, 0xc0},
        {"gauge then counter", {{0}, {5}, 1, HINT_GAUGE}, {{0}, {6}, 1}, CHUNK_HISTOGRAM_CUT, 0x40},
        {"a gauge may fall",
         {{0}, {5}, 1, HINT_GAUGE},
         {{0}, {1}, 1, HINT_GAUGE},
         CHUNK_HISTOGRAM_TAKEN,
         0xc0},
        {"a gauge may lose buckets",
         {{0, 1}, {5, 5}, 2, HINT_GAUGE},
         {{0}, {1}, 1, HINT_GAUGE},
         CHUNK_HISTOGRAM_TAKEN,
         0xc0},
    };

    for (int flavour = 0; flavour < 2; flavour++)
        EACH_CASE(c, cases) {
            CLEANUP(arena_deinit) Arena arena = {.next = NULL};
            Histogram *h[2];
            for (int i = 0; i < 2; i++) {
                const Step *step = i ? &c->second : &c->first;
                h[i] = make(&arena, flavour == 0, step->indices, step->counts, step->count);
                h[i]->hint = step->hint;
                h[i]->schema = step->schema ? step->schema : 2;
                if (step->stale)
                    h[i]->sum = stale_value();
            }
            ChunkHistogram *chunk = chunk_histogram_new(h[0], NULL);
            CHECK_EQ(chunk_histogram_append(chunk, 1000, h[0]), CHUNK_HISTOGRAM_TAKEN);
            ChunkHistogram *next = chunk_histogram_new(h[1], chunk);
            CHECK_EQ(chunk_histogram_append(next, 2000, h[1]), CHUNK_HISTOGRAM_TAKEN);
            CHECK_EQ((uint8_t)chunk_histogram_str(next).ptr[2], c->flag);

            CHECK_EQ(chunk_histogram_append(chunk, 2000, h[1]), c->want);

            size_t count = c->want == CHUNK_HISTOGRAM_TAKEN ? 2 : 1;
            ChunkColumns got =
                decode(&arena, chunk_histogram_encoding(chunk), chunk_histogram_str(chunk));
            CHECK_EQ(got.columns.count, count);
            for (size_t i = 0; i < count; i++)
                check_equal(got.columns.histograms[i], h[i]);
            check_equal(chunk_histogram_last(chunk), h[count - 1]);
            chunk_histogram_free(chunk);
            chunk_histogram_free(next);
        }
}

TEST(chunk_histogram, tells_hints_as_prometheus_does)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    static const int indices[] = {0};

    for (int gauge = 0; gauge < 2; gauge++) {
        Histogram *h = make(&arena, true, indices, (const double[]){5}, 1);
        h->hint = gauge ? HINT_GAUGE : HINT_RESET;
        ChunkHistogram *chunk = chunk_histogram_new(h, NULL);
        CHECK_EQ(chunk_histogram_append(chunk, 1, h), CHUNK_HISTOGRAM_TAKEN);
        h->hint = gauge ? HINT_GAUGE : HINT_UNKNOWN;
        CHECK_EQ(chunk_histogram_append(chunk, 2, h), CHUNK_HISTOGRAM_TAKEN);

        ChunkColumns got = decode(&arena, CHUNK_HISTOGRAM, chunk_histogram_str(chunk));

        CHECK_EQ(got.columns.histograms[0]->hint, gauge ? HINT_GAUGE : HINT_UNKNOWN);
        CHECK_EQ(got.columns.histograms[1]->hint, gauge ? HINT_GAUGE : HINT_NO_RESET);
        chunk_histogram_free(chunk);
    }
}

TEST(chunk_histogram, keeps_custom_bounds)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    static const double bounds[] = {-1.5, 0.005, 0.1, 2.5, 1e9, 33554.43, 33554.431};
    static const int indices[] = {0, 1, 2, 7};
    Histogram *h = make(&arena, false, indices, (const double[]){1, 2, 3, 4}, 4);

    h->schema = HISTOGRAM_SCHEMA_CUSTOM;
    h->zero_threshold = h->zero_count = 0;
    h->custom_bounds = bounds;
    h->custom_count = COUNT_OF(bounds);
    ChunkHistogram *chunk = chunk_histogram_new(h, NULL);
    for (int64_t t = 0; t < 5; t++)
        CHECK_EQ(chunk_histogram_append(chunk, t, h), CHUNK_HISTOGRAM_TAKEN);

    ChunkColumns got = decode(&arena, CHUNK_FLOAT_HISTOGRAM, chunk_histogram_str(chunk));

    CHECK_EQ(got.columns.count, 5);
    for (size_t i = 0; i < 5; i++)
        check_equal(got.columns.histograms[i], h);
    static const double others[] = {-1.5, 0.005, 0.1, 2.5, 1e9, 33554.43, 4e9};
    h->custom_bounds = others;
    CHECK_EQ(chunk_histogram_append(chunk, 9, h), CHUNK_HISTOGRAM_CUT);
    chunk_histogram_free(chunk);
}

TEST(chunk_histogram, refuses_torn_bytes)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    static const int indices[] = {0, 1, 5};
    ChunkHistogram *chunk = NULL;

    for (int i = 0; i < 20; i++) {
        Histogram *h = make(&arena, true, indices, (const double[]){i, i * 2, i * 3}, 3);
        if (!chunk)
            chunk = chunk_histogram_new(h, NULL);
        CHECK_EQ(chunk_histogram_append(chunk, i * 1000, h), CHUNK_HISTOGRAM_TAKEN);
    }
    Str whole = chunk_histogram_str(chunk);
    for (size_t len = 0; len < whole.len; len++) {
        char *copy = (char *)x_malloc(len + 1);
        ChunkColumns columns = {.arena = &arena};
        Error err = {0};
        memcpy(copy, whole.ptr, len);
        CHECK(!chunk_histogram_decode(CHUNK_HISTOGRAM, (Str){copy, len}, INT64_MIN, INT64_MAX,
                                      &columns, &err));
        CHECK_EQ(err.code, ERR_CORRUPT);
        CHECK_EQ(columns.columns.count, 0);
        free(copy);
    }
    chunk_histogram_free(chunk);
}

TEST_MAIN(chunk_histogram, TEST_ROW(chunk_histogram, gives_back_what_was_appended),
          TEST_ROW(chunk_histogram, cuts_where_prometheus_cuts),
          TEST_ROW(chunk_histogram, tells_hints_as_prometheus_does),
          TEST_ROW(chunk_histogram, keeps_custom_bounds),
          TEST_ROW(chunk_histogram, refuses_torn_bytes))
