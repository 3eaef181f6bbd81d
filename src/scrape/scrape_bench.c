// SPDX-License-Identifier: Apache-2.0
// Samples per second and core through parser, series cache and batches into a sink that takes everything: what the room itself costs.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "scrape/scrape_append.h"

typedef struct NullSink {
    Sink sink;
    Appender appender;
    SeriesRef next;
    uint64_t samples;
    double sum; // so that nothing is optimised away
} NullSink;

static NullSink null_sink;

static SeriesRef null_series(Appender *appender, Labels labels, bool *ret_created, Error *err)
{
    (void)appender, (void)labels, (void)err;
    *ret_created = true;
    return ++null_sink.next;
}

static size_t null_append(Appender *appender, SinkSample *samples, size_t count)
{
    (void)appender;
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += samples[i].value + (double)samples[i].ref;
        samples[i].status = APPEND_OK;
    }
    null_sink.sum += sum;
    null_sink.samples += count;
    return count;
}

static bool null_commit(Appender *appender, Error *err)
{
    (void)appender, (void)err;
    return true;
}

static void null_rollback(Appender *appender)
{
    (void)appender;
}

static Appender *null_begin(Sink *sink)
{
    (void)sink;
    return &null_sink.appender;
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double no_time(void *arg)
{
    (void)arg;
    return 0;
}

// Lines of about `bytes`, families of 20 series.
static void write_page(Buf *page, size_t series, size_t bytes, size_t turn)
{
    for (size_t i = 0; i < series; i++) {
        if (i % 20 == 0)
            buf_printf(page,
                       "# HELP metric_%zu_total What it counts.\n# TYPE metric_%zu_total counter\n",
                       i / 20, i / 20);
        size_t begin = page->len;
        buf_printf(page, "metric_%zu_total{path=\"/api/v1/thing/%zu\",code=\"200\"", i / 20,
                   i % 20);
        for (int k = 0; page->len - begin + 30 < bytes; k++)
            buf_printf(page, ",label_%d=\"value of it\"", k);
        buf_printf(page, "} %zu\n", i * 7 + turn);
    }
}

static void measure(size_t series, size_t bytes, size_t targets, int rounds)
{
    Arena arena = {0};
    ScrapeConfig config;
    scrape_config_local(&arena, S("bench"), S("bench:1"), 15000, 10000, &config);
    Label labels[] = {{S("instance"), S("bench:1")}, {S("job"), S("bench")}};
    TargetSpec target = {.labels = {labels, 2}, .interval_ms = 15000, .timeout_ms = 10000};
    Buf page = {0};
    write_page(&page, series, bytes, 1);
    ScrapeState *states = X_ARRAY(ScrapeState, targets);
    ScrapeWork *work = X_NEW(ScrapeWork);
    ScrapeResult result;
    double first_s = 0;
    double best_s = 1e9;
    for (int round = 0; round <= rounds; round++) {
        double begin_s = now_s();
        for (size_t i = 0; i < targets; i++) {
            ScrapeInput input = {.config = &config,
                                 .target = &target,
                                 .body = buf_str(&page),
                                 .format = EXPOSITION_TEXT,
                                 .t_ms = 1000 * round,
                                 .now_ms = 1000 * round};
            scrape_append(&states[i], work, &null_sink.sink, &input, no_time, NULL, &result);
            if (!result.up || result.scraped != series) {
                fprintf(stderr, "scrape failed: %s\n", result.err.text);
                exit(1);
            }
        }
        double took_s = now_s() - begin_s;
        if (round == 0)
            first_s = took_s;
        else if (took_s < best_s)
            best_s = took_s;
    }
    double samples = (double)(series * targets);
    printf("%6zu series x %4zu targets, %3.0f bytes a line: first %6.1f ns/sample, then %5.1f "
           "ns/sample, %5.1f M/s, cache %.1f "
           "bytes/series\n",
           series, targets, (double)page.len / (double)series, first_s / samples * 1e9,
           best_s / samples * 1e9, samples / best_s / 1e6,
           (double)(states[0].series.cap * sizeof(SeriesSlot)) / (double)series);
    for (size_t i = 0; i < targets; i++)
        scrape_state_deinit(&states[i], work);
    scrape_work_deinit(work);
    free(work);
    free(states);
    buf_deinit(&page);
    arena_deinit(&arena);
}

int main(void)
{
    null_sink.sink.begin = null_begin;
    null_sink.appender = (Appender){.series = null_series,
                                    .append = null_append,
                                    .commit = null_commit,
                                    .rollback = null_rollback};
    measure(1000, 80, 100, 10);
    measure(1000, 242, 100, 10);
    measure(1000, 430, 100, 10);
    measure(100000, 80, 1, 10);
    measure(100000, 242, 1, 10);
    return 0;
}
