// SPDX-License-Identifier: Apache-2.0
// Claim: a block is opened in microseconds per thousand series, selected from in under a microsecond per series and read at the speed
// of decoding.
#include <stdio.h>

#include "base/clock.h"
#include "tsdb/block_fake.h"
#include "tsdb/compact.h"

#define BLOCKS 4
#define STEP_MS 15000
#define TWO_HOURS_MS 7200000

static double ms_since(int64_t *mark_ns)
{
    int64_t now = clock_mono_ns(&clock_system);
    double ms = (double)(now - *mark_ns) / 1e6;
    *mark_ns = now;
    return ms;
}

static size_t read_all(Querier *querier, const SeriesList *list, Arena *arena)
{
    size_t samples = 0;

    for (size_t i = 0; i < list->count; i++) {
        SampleColumns columns;
        Error err = {0};
        arena_reset(arena);
        fake_must(querier->read(querier, list->series[i].handle, INT64_MIN, INT64_MAX, arena,
                                &columns, &err),
                  &err);
        samples += columns.count;
    }
    return samples;
}

static void query(Block **blocks, size_t count, const char *name, const char *label,
                  const char *value, MatchKind kind)
{
    double best_select = 1e9, best_read = 1e9;
    size_t series = 0, samples = 0;

    for (int round = 0; round < 5; round++) {
        CLEANUP(arena_deinit) Arena arena = {.next = NULL};
        CLEANUP(arena_deinit) Arena one = {.next = NULL};
        Querier *querier = merge_querier_new(NULL, blocks, count, INT64_MIN, INT64_MAX);
        SeriesList list;
        Error err = {0};
        Matcher m;
        fake_must(matcher_init(&m, kind, str_from_c(label), str_from_c(value), &arena, &err), &err);

        int64_t mark = clock_mono_ns(&clock_system);
        fake_must(querier->select(querier, &m, 1, NULL, &arena, &list, &err), &err);
        double select_ms = ms_since(&mark);
        samples = read_all(querier, &list, &one);
        double read_ms = ms_since(&mark);

        best_select = MIN(best_select, select_ms);
        best_read = MIN(best_read, read_ms);
        series = list.count;
        querier->close(querier);
        matcher_deinit(&m);
    }
    printf("%-26s %7zu series, %9zu samples: select %8.3f ms (%6.0f ns/series), read %8.3f ms "
           "(%5.2f ns/sample)\n",
           name, series, samples, best_select, best_select * 1e6 / (double)MAX(series, 1),
           best_read, best_read * 1e6 / (double)MAX(samples, 1));
}

int main(int argc, char **argv)
{
    size_t series = argc > 1 ? (size_t)atoi(argv[1]) : 10000;
    Scratch scratch = scratch_new();
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    Block *blocks[BLOCKS];
    FakeSource fakes[BLOCKS];
    Error err = {0};
    bool made;

    int64_t mark = clock_mono_ns(&clock_system);
    for (size_t i = 0; i < BLOCKS; i++) {
        fake_init(&fakes[i], series, (int64_t)i * TWO_HOURS_MS, (int64_t)(i + 1) * TWO_HOURS_MS,
                  STEP_MS);
        blocks[i] = fake_block(&fakes[i], &fs_system, str_from_c(scratch.path), (int64_t)i);
    }
    double samples = (double)series * BLOCKS * (TWO_HOURS_MS / STEP_MS);
    double write_ms = ms_since(&mark);
    uint64_t bytes = 0;
    for (size_t i = 0; i < BLOCKS; i++)
        bytes += block_bytes(blocks[i]);
    printf("make %d blocks of %zu series: %.0f ms, %.0f ns/sample, %.2f bytes/sample\n", BLOCKS,
           series, write_ms, write_ms * 1e6 / samples, (double)bytes / samples);

    CompactOutput output = {.fs = &fs_system,
                            .dir = str_from_c(scratch.path),
                            .ulid = ulid_new(100),
                            .samples_per_chunk = 120};
    mark = clock_mono_ns(&clock_system);
    fake_must(compact_blocks(&output, blocks, BLOCKS, NULL, &made, &err), &err);
    printf("compact them: %.0f ms\n", ms_since(&mark));
    Block *whole;
    fake_must(block_open(&fs_system,
                         fs_join(&arena, str_from_c(scratch.path), ulid_str(&output.ulid)), &whole,
                         &err),
              &err);
    printf("open the result: %.3f ms, %zu bytes of heap for %lu bytes\n", ms_since(&mark),
           index_reader_held_bytes(block_index(whole)), (unsigned long)block_bytes(whole));

    query(blocks, BLOCKS, "4 blocks, one series", "instance", "host-77", MATCH_EQUAL);
    query(blocks, BLOCKS, "4 blocks, a seventh", "__name__", "metric_3", MATCH_EQUAL);
    query(blocks, BLOCKS, "4 blocks, by regex", "instance", ".*77", MATCH_REGEX);
    query(&whole, 1, "1 block, one series", "instance", "host-77", MATCH_EQUAL);
    query(&whole, 1, "1 block, a seventh", "__name__", "metric_3", MATCH_EQUAL);
    query(&whole, 1, "1 block, all", "job", "test", MATCH_EQUAL);

    for (size_t i = 0; i < BLOCKS; i++) {
        block_unref(blocks[i]);
        fake_deinit(&fakes[i]);
    }
    block_unref(whole);
    scratch_remove(&scratch);
    return 0;
}
