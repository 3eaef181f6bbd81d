// SPDX-License-Identifier: Apache-2.0
#include "scrape/scrape_synthesis.h"

#include "base/random.h"
#include "base/test.h"

// Buckets of schema 0, from index 1 on.
static Histogram histogram_of(const double *buckets, uint32_t count, bool is_integer)
{
    static const HistogramSpan spans[] = {{1, 1}, {0, 1}, {0, 1}};
    Histogram h = {.is_integer = is_integer,
                   .positive_spans = spans,
                   .positive_span_count = count,
                   .positive_buckets = buckets,
                   .positive_count = count};
    for (uint32_t i = 0; i < count; i++)
        h.count += buckets[i];
    h.sum = 10 * h.count;
    return h;
}

TEST(scrape_synthesis, histograms_are_measured_from_their_first)
{
    static const struct {
        const char *name;
        double buckets[3];
        SynthesisVerdict verdict;
        double want[3];
        int64_t want_start_ms;
    } cases[] = {
        {"first", {5, 7, 1}, SYNTHESIS_FIRST, {5, 7, 1}, 1000},
        {"more", {6, 7, 3}, SYNTHESIS_STORE, {1, 0, 2}, 1000},
        {"more again", {6, 9, 3}, SYNTHESIS_STORE, {1, 2, 2}, 1000},
        {"reset", {1, 1, 1}, SYNTHESIS_STORE, {1, 1, 1}, 3999},
        {"after it", {2, 1, 1}, SYNTHESIS_STORE, {2, 1, 1}, 3999},
    };
    for (int is_integer = 0; is_integer < 2; is_integer++) {
        Synthesis synthesis = {0};
        Arena arena = {0};
        int64_t t_ms = 1000;
        EACH_CASE(c, cases) {
            Histogram scraped = histogram_of(c->buckets, 3, is_integer);
            Histogram want = histogram_of(c->want, 3, is_integer);
            SinkSample sample = {.ref = 1, .t_ms = t_ms, .histogram = &scraped};

            SynthesisVerdict verdict = synthesis_take(&synthesis, 42, &sample, &arena);

            CHECK_EQ(verdict, c->verdict);
            CHECK_EQ(sample.start_ms, c->want_start_ms);
            CHECK_EQ(sample.histogram->is_integer, is_integer);
            CHECK(histogram_equal(histogram_compact(&arena, sample.histogram, 0),
                                  histogram_compact(&arena, &want, 0)));
            synthesis_end_round(&synthesis, false);
            t_ms += 1000;
        }
        synthesis_deinit(&synthesis);
        arena_deinit(&arena);
    }
}

TEST(scrape_synthesis, series_come_and_go_as_in_a_simple_model)
{
    enum { SERIES = 300, ROUNDS = 60 };
    double first[SERIES];
    bool known[SERIES] = {false};
    Synthesis synthesis = {0};
    Random random;
    random_seed(&random, 7);
    for (int64_t round = 1; round <= ROUNDS; round++) {
        bool failed = random_below(&random, 10) == 0;
        for (uint64_t i = 0; i < SERIES; i++) {
            if (random_below(&random, 3) == 0) {
                known[i] = false; // not in this page
                continue;
            }
            double value = (double)(round * 1000 + (int64_t)i);
            SinkSample sample = {.ref = i + 1, .t_ms = round, .value = value};
            SynthesisVerdict verdict =
                synthesis_take(&synthesis, i * UINT64_C(0x9e3779b97f4a7c15), &sample, NULL);
            CHECK_EQ(verdict, known[i] ? SYNTHESIS_STORE : SYNTHESIS_FIRST);
            if (!known[i])
                first[i] = value;
            CHECK_DOUBLE(sample.value, value - first[i]);
            known[i] = true;
        }
        synthesis_end_round(&synthesis, failed);
        for (int i = 0; failed && i < SERIES; i++)
            known[i] = false;
    }
    synthesis_deinit(&synthesis);
}

TEST_MAIN(scrape_synthesis, TEST_ROW(scrape_synthesis, histograms_are_measured_from_their_first),
          TEST_ROW(scrape_synthesis, series_come_and_go_as_in_a_simple_model))
