// SPDX-License-Identifier: Apache-2.0
// head_append_bench.c: what a series costs in memory, and a sample in time.
//
//     head_append_bench [series [rounds]]     default 100000 20
//
// Series look like those of a node exporter in Kubernetes: 12 labels, about 0.05 new pairs for each; half of the samples do not change.
// One commit for each target of 1000 series, as a scrape does it.
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/random.h"
#include "tsdb/head_bench.h"
#include "tsdb/head_internal.h"

typedef struct Bench {
    Head *head;
    SeriesRef *refs;
    double *values;
    size_t series;
    Random random;
    int64_t t_ms;
} Bench;

// What making the labels costs the benchmark itself: taken off the figure for creation.
static double label_seconds(const Bench *b)
{
    double start = bench_seconds();
    size_t bytes = 0;

    for (size_t i = 0; i < b->series; i++) {
        Label pairs[12];
        char text[12][80];
        bytes += bench_labels(i, pairs, text).pairs[0].value.len;
    }
    return bytes ? bench_seconds() - start : 0;
}

static void create(Bench *b)
{
    Sink *sink = head_sink(b->head);
    Error err = {0};

    for (size_t i = 0; i < b->series;) {
        Appender *app = sink->begin(sink);
        SinkSample samples[PER_TARGET];
        size_t n = 0;
        for (; n < PER_TARGET && i < b->series; n++, i++) {
            Label pairs[12];
            char text[12][80];
            b->refs[i] = app->series(app, bench_labels(i, pairs, text), NULL, &err);
            if (!b->refs[i])
                bench_die("series", &err);
            b->values[i] = (double)random_below(&b->random, 100000);
            samples[n] = (SinkSample){.ref = b->refs[i], .t_ms = b->t_ms, .value = b->values[i]};
        }
        app->append(app, samples, n);
        if (!app->commit(app, &err))
            bench_die("commit", &err);
    }
}

static void scrape(Bench *b)
{
    Sink *sink = head_sink(b->head);
    Error err = {0};

    b->t_ms += STEP_MS;
    for (size_t i = 0; i < b->series;) {
        Appender *app = sink->begin(sink);
        SinkSample samples[PER_TARGET];
        size_t n = 0;
        int64_t t_ms = b->t_ms + (int64_t)random_below(&b->random, 3);
        for (; n < PER_TARGET && i < b->series; n++, i++) {
            if (i % 2)
                b->values[i] += (double)random_below(&b->random, 1000);
            samples[n] = (SinkSample){.ref = b->refs[i], .t_ms = t_ms, .value = b->values[i]};
        }
        if (app->append(app, samples, n) != n)
            bench_die("append", &(Error){.text = "not all samples were taken"});
        if (!app->commit(app, &err))
            bench_die("commit", &err);
    }
}

static void row(const Bench *b, const char *what, uint64_t bytes)
{
    printf("  %-28s %9.1f\n", what, (double)bytes / (double)b->series);
}

static void table(const Bench *b, uint64_t resident)
{
    HeadIndex *index = &b->head->index;
    uint64_t postings = 0;
    uint64_t texts = 0;
    uint64_t label_bytes = 0;

    for (uint32_t i = 1; i < index->pair_count; i++) {
        if (index->pairs[i].postings.bytes)
            postings += pool_size(&index->pool, index->pairs[i].postings.bytes);
        texts += pool_size(&index->pool, index->pairs[i].value);
    }
    label_bytes = index->pool.live_bytes - postings - texts;
    printf("bytes per series\n");
    row(b, "records and ref table", index->series.held_bytes);
    row(b, "label sets", label_bytes);
    row(b, "hash of label sets", index->set_table.size * sizeof(HashSlot));
    row(b, "pairs, their hash and texts",
        index->pair_cap * sizeof(LabelPair) + index->pair_table.size * sizeof(HashSlot) + texts);
    row(b, "postings", postings);
    row(b, "open chunks, lists of full", b->head->pool.live_bytes);
    row(b, "free in pools",
        b->head->pool.held_bytes - b->head->pool.live_bytes + index->pool.held_bytes -
            index->pool.live_bytes);
    row(b, "resident growth in all", resident);
}

int main(int argc, char **argv)
{
    Bench b = {.series = argc > 1 ? (size_t)strtoul(argv[1], NULL, 10) : 100000,
               .t_ms = 1700000000000};
    int rounds = argc > 2 ? atoi(argv[2]) : 20;
    char dir[] = "/tmp/narthex-bench-XXXXXX";
    Error err = {0};
    HeadOptions options = {.fs = &fs_system,
                           .clock = &clock_system,
                           .min_block_ms = 7200000,
                           .min_valid_t_ms = INT64_MIN,
                           .wal_segment_bytes = 128u << 20,
                           .wal_compression = TSDB_COMPRESSION_SNAPPY,
                           .samples_per_chunk = 120};

    log_setup(LOG_WARN, LOG_LOGFMT);
    if (!mkdtemp(dir))
        return 1;
    options.dir = str_from_c(dir);
    random_seed(&b.random, 1);
    b.refs = X_ARRAY(SeriesRef, b.series);
    b.values = X_ARRAY(double, b.series);
    memset(b.refs, 1, b.series * sizeof *b.refs);
    memset(b.values, 1, b.series * sizeof *b.values);
    if (!head_open(&options, &b.head, &err))
        bench_die("open", &err);
    uint64_t before = bench_resident_bytes();

    double own = label_seconds(&b);
    double start = bench_seconds();
    create(&b);
    double created = bench_seconds();
    uint64_t one = bench_resident_bytes() - before;
    for (int i = 0; i < rounds; i++)
        scrape(&b);
    double done = bench_seconds();

    HeadCounters counters;
    head_counters(b.head, &counters);
    printf("%zu series, %d rounds\n", b.series, rounds);
    printf("create, first sample    %7.0f ns per series\n",
           (created - start - own) / (double)b.series * 1e9);
    printf("append and commit       %7.1f ns per sample\n",
           (done - created) / (double)b.series / rounds * 1e9);
    printf("log                     %7.2f bytes per sample\n",
           (double)counters.wal_bytes / (double)b.series / (rounds + 1));
    printf("resident after 1 sample %7.1f bytes per series\n", (double)one / (double)b.series);
    table(&b, bench_resident_bytes() - before);

    start = bench_seconds();
    head_close(b.head);
    double closed = bench_seconds();
    if (!head_open(&options, &b.head, &err))
        bench_die("replay", &err);
    printf("replay                  %7.1f ns per sample (close %.0f ms)\n",
           (bench_seconds() - closed) / (double)b.series / (rounds + 1) * 1e9,
           (closed - start) * 1e3);
    head_close(b.head);
    if (!fs_remove_tree(&fs_system, options.dir, &err))
        bench_die("clean up", &err);
    free(b.refs);
    free(b.values);
    return 0;
}
