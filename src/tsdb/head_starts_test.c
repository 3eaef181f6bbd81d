// SPDX-License-Identifier: Apache-2.0
// Start timestamps through the whole store: log, open and full chunks, late samples, checkpoint, blocks.
#include "base/log.h"
#include "base/random.h"
#include "base/test.h"
#include "tsdb/block_fake.h"
#include "tsdb/tsdb.h"

#define SERIES 8
#define STEPS 2400 // ten hours
#define STEP_MS INT64_C(15000)
#define START_MS (INT64_C(472222) * 3600000)

typedef struct Store {
    Scratch scratch;
    Tsdb *tsdb;
    TsdbOptions options;
    ClockFake clock;
} Store;

static void store_open(Store *s)
{
    Error err = {0};
    CHECK_OK(tsdb_open(&s->options, &s->tsdb, &err), err);
}

static void store_init(Store *s, bool starts)
{
    s->scratch = scratch_new();
    clock_fake_init(&s->clock, START_MS);
    tsdb_options_default(&s->options);
    s->options.dir = str_from_c(s->scratch.path);
    s->options.clock = &s->clock.clock;
    s->options.wal_sync = TSDB_SYNC_NONE;
    s->options.out_of_order_window_ms = 4 * 3600000;
    s->options.start_timestamps = s->options.histogram_start_timestamps = starts;
    store_open(s);
}

static void store_deinit(Store *s)
{
    tsdb_close(s->tsdb);
    scratch_remove(&s->scratch);
}

static int64_t time_of(int step)
{
    return START_MS + step * STEP_MS;
}

// What series s says at a step: 0, 1 nothing; 2, 3 a counter reset each 700 steps; 4, 5 deltas; 6, 7 known now and then. Odd ones are
// histograms.
static int64_t start_of(int series, int step)
{
    switch (series / 2) {
    case 0:
        return 0;
    case 1:
        return time_of(step - step % 700) - 1000;
    case 2:
        return time_of(step - 1);
    default:
        return step / 50 % 3 ? time_of(step / 50 * 50) - 7 : 0;
    }
}

static bool is_late(int series, int step)
{
    return (step + series) % 5 == 0 && step > 0;
}

static SeriesRef ref_of(Appender *a, int i)
{
    char number[8];
    Error err = {0};
    snprintf(number, sizeof number, "%d", i);
    Label pairs[] = {{S("__name__"), S("m")}, {S("i"), str_from_c(number)}};
    SeriesRef ref = a->series(a, (Labels){pairs, 2}, NULL, &err);
    CHECK_OK(ref != 0, err);
    return ref;
}

static void put(Appender *a, int series, int step)
{
    Histogram h = {.is_integer = true, .count = step, .zero_count = step, .sum = step};
    SinkSample s = {.ref = ref_of(a, series),
                    .t_ms = time_of(step),
                    .value = step,
                    .histogram = series % 2 ? &h : NULL,
                    .start_ms = start_of(series, step)};
    CHECK_EQ(a->append(a, &s, 1), 1);
}

// Every fifth sample comes two steps late.
static void pour(Store *s, int from, int to)
{
    for (int step = from; step < to; step++) {
        Error err = {0};
        Appender *a = tsdb_sink(s->tsdb)->begin(tsdb_sink(s->tsdb));
        for (int i = 0; i < SERIES; i++) {
            if (!is_late(i, step))
                put(a, i, step);
            if (step - 2 >= from && is_late(i, step - 2))
                put(a, i, step - 2);
        }
        CHECK_OK(a->commit(a, &err), err);
    }
}

static void check_holds(Store *s, bool starts)
{
    Arena arena = {0};
    Matcher matcher;
    SeriesList list;
    Querier *q;
    Error err = {0};

    CHECK_OK(tsdb_source(s->tsdb)->open(tsdb_source(s->tsdb), INT64_MIN, INT64_MAX, &q, &err), err);
    CHECK_OK(matcher_init(&matcher, MATCH_EQUAL, S("__name__"), S("m"), &arena, &err), err);
    CHECK_OK(q->select(q, &matcher, 1, NULL, &arena, &list, &err), err);
    CHECK_EQ(list.count, SERIES);
    for (size_t i = 0; i < list.count; i++) {
        int series = labels_get(list.series[i].labels, S("i")).ptr[0] - '0';
        SampleColumns c;
        CHECK_OK(q->read(q, list.series[i].handle, INT64_MIN, INT64_MAX, &arena, &c, &err), err);
        CHECK(c.count > STEPS - 10);
        for (size_t k = 0; k < c.count; k++) {
            int step = (int)((c.t_ms[k] - START_MS) / STEP_MS);
            CHECK_EQ(c.start_ms ? c.start_ms[k] : 0, starts ? start_of(series, step) : 0);
            CHECK_DOUBLE(series % 2 ? c.histograms[k]->sum : c.value[k], (double)step);
        }
    }
    matcher_deinit(&matcher);
    q->close(q);
    arena_deinit(&arena);
}

TEST(head_starts, live_through_restarts_and_become_blocks)
{
    Store s;
    Error err = {0};

    store_init(&s, true);
    pour(&s, 0, STEPS);
    check_holds(&s, true);
    tsdb_close(s.tsdb); // replay
    store_open(&s);
    check_holds(&s, true);
    CHECK_OK(tsdb_compact(s.tsdb, &err), err);
    check_holds(&s, true);
    tsdb_close(s.tsdb); // checkpoint and what is left of the log
    store_open(&s);
    check_holds(&s, true);
    store_deinit(&s);
}

TEST(head_starts, are_not_kept_unless_told_to)
{
    Store s;

    store_init(&s, false);
    pour(&s, 0, STEPS);
    check_holds(&s, false);
    store_deinit(&s);
}

TEST_MAIN(head_starts, TEST_ROW(head_starts, live_through_restarts_and_become_blocks),
          TEST_ROW(head_starts, are_not_kept_unless_told_to))
