// SPDX-License-Identifier: Apache-2.0
// head_replay_bench.c: what a restart costs: the log read back by 1, 2, ... threads that take samples, beside reading its bytes plainly.
//
//     head_replay_bench [series [rounds]]     default 100000 20
#include <sys/stat.h>

#include "base/crc32c.h"
#include "base/random.h"
#include "tsdb/head_bench.h"
#include "tsdb/head_internal.h"

static double wall(void)
{
    return (double)clock_mono_ns(&clock_system) / 1e9;
}

static void write_log(Head *head, size_t series, int rounds)
{
    Sink *sink = head_sink(head);
    Random random;
    Error err = {0};
    SeriesRef *refs = X_ARRAY(SeriesRef, series);
    double *values = X_ARRAY(double, series);

    random_seed(&random, 1);
    for (int round = 0; round < rounds; round++) {
        for (size_t i = 0; i < series;) {
            Appender *app = sink->begin(sink);
            SinkSample samples[PER_TARGET];
            size_t n = 0;
            for (; n < PER_TARGET && i < series; n++, i++) {
                Label pairs[12];
                char text[12][80];
                if (!refs[i])
                    refs[i] = app->series(app, bench_labels(i, pairs, text), NULL, &err);
                if (i % 2)
                    values[i] += (double)random_below(&random, 1000);
                samples[n] = (SinkSample){.ref = refs[i],
                                          .t_ms = 1700000000000 + (int64_t)round * STEP_MS,
                                          .value = values[i]};
            }
            app->append(app, samples, n);
            if (!app->commit(app, &err))
                bench_die("commit", &err);
        }
    }
    free(refs);
    free(values);
}

// Every byte of the log once, checksummed: no replay can be faster.
static double read_plainly(Str dir, uint64_t *ret_bytes)
{
    Arena arena = {0};
    WalSegments segments;
    Error err = {0};
    uint32_t sum = 0;
    double start = wall();

    *ret_bytes = 0;
    if (!wal_list(&fs_system, dir, &arena, &segments, &err))
        bench_die("list", &err);
    for (size_t i = 0; i < segments.count; i++) {
        FsMap map;
        if (!fs_map(&fs_system, wal_segment_path(&arena, dir, segments.items[i].number), &map,
                    &err))
            bench_die("map", &err);
        sum ^= crc32c(map.bytes);
        *ret_bytes += map.bytes.len;
        fs_unmap(&map);
    }
    arena_deinit(&arena);
    return wall() - start + (double)(sum & 1) * 1e-12;
}

static void replay(HeadOptions options, int threads, double samples)
{
    Head *head;
    Error err = {0};
    double start = wall();
    double start_cpu = bench_seconds();

    options.replay_threads = threads;
    if (!head_open(&options, &head, &err))
        bench_die("replay", &err);
    double took = wall() - start;
    double cpu = bench_seconds() - start_cpu;
    printf("%d threads  %7.1f ms  %6.1f M samples/s  CPU %6.1f ns per sample\n", threads,
           took * 1e3, samples / took / 1e6, cpu / samples * 1e9);
    head_close(head);
}

int main(int argc, char **argv)
{
    size_t series = argc > 1 ? (size_t)strtoul(argv[1], NULL, 10) : 100000;
    int rounds = argc > 2 ? atoi(argv[2]) : 20;
    char dir[] = "/tmp/narthex-bench-XXXXXX";
    Arena arena = {0};
    Error err = {0};
    Head *head;
    uint64_t bytes;
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
    if (!head_open(&options, &head, &err))
        bench_die("open", &err);
    write_log(head, series, rounds);
    head_close(head);

    double samples = (double)series * rounds;
    double plain = read_plainly(fs_join(&arena, options.dir, S("wal")), &bytes);
    printf("%zu series, %d rounds, log of %.1f MB\n", series, rounds, (double)bytes / 1e6);
    printf("read plainly %5.1f ms  %6.1f M samples/s\n", plain * 1e3, samples / plain / 1e6);
    for (int threads = 1; threads <= MAX(thread_cores(), 2) && threads <= 8; threads *= 2)
        replay(options, threads, samples);
    if (!fs_remove_tree(&fs_system, options.dir, &err))
        bench_die("clean up", &err);
    arena_deinit(&arena);
    return 0;
}
