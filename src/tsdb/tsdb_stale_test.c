// SPDX-License-Identifier: Apache-2.0
// Series that have ended leave the head early, and nobody who reads can tell.
#include "base/number.h"
#include "base/test.h"
#include "base/thread.h"
#include "tsdb/block_fake.h"
#include "tsdb/tsdb_internal.h"
#include "tsdb/wal.h"
#include "tsdb/wal_record.h"

#define SERIES 40
#define ENDING 25 // of them
#define STEP_MS 15000
#define HOUR_MS INT64_C(3600000)
#define START_MS                                                                                   \
    (INT64_C(472222) * HOUR_MS + 100 * STEP_MS) // an aligned range ends amid the samples

typedef struct Store {
    Scratch scratch;
    Tsdb *tsdb;
    TsdbOptions options;
    ClockFake clock;
} Store;

static void store_init(Store *s, double ratio)
{
    Error err = {0};

    s->scratch = scratch_new();
    clock_fake_init(&s->clock, START_MS);
    tsdb_options_default(&s->options);
    s->options.dir = str_from_c(s->scratch.path);
    s->options.clock = &s->clock.clock;
    s->options.wal_sync = TSDB_SYNC_NONE;
    s->options.stale.ratio = ratio;
    s->options.out_of_order_window_ms = HOUR_MS;
    CHECK_OK(tsdb_open(&s->options, &s->tsdb, &err), err);
}

static void store_deinit(Store *s)
{
    tsdb_close(s->tsdb);
    scratch_remove(&s->scratch);
}

static void reopen(Store *s)
{
    Error err = {0};

    tsdb_close(s->tsdb);
    CHECK_OK(tsdb_open(&s->options, &s->tsdb, &err), err);
}

static Histogram some_histogram(double count, double bucket[1])
{
    static const HistogramSpan span = {0, 1};
    bucket[0] = count;
    return (Histogram){.is_integer = true,
                       .count = count,
                       .sum = count,
                       .positive_spans = &span,
                       .positive_span_count = 1,
                       .positive_buckets = bucket,
                       .positive_count = 1};
}

// One sample of series i; a stale marker if `ends`. Every fifth series has histograms.
static void put(Tsdb *tsdb, int i, int64_t t_ms, bool ends)
{
    Error err = {0};
    char text[24];
    double bucket[1];
    Sink *sink = tsdb_sink(tsdb);
    Appender *a = sink->begin(sink);
    snprintf(text, sizeof text, "%d", i);
    const Label pairs[] = {{S("__name__"), S("m")}, {S("i"), str_from_c(text)}};
    SinkSample sample = {.ref = a->series(a, (Labels){pairs, 2}, NULL, &err), .t_ms = t_ms};
    Histogram h = some_histogram((double)(t_ms - START_MS), bucket);
    if (i % 5 == 0) {
        if (ends)
            h = (Histogram){.is_integer = true, .sum = double_from_bits(NAN_STALE_BITS)};
        sample.histogram = &h;
    } else {
        sample.value = ends ? double_from_bits(NAN_STALE_BITS) : (double)(i + t_ms % 977);
    }
    CHECK_EQ(a->append(a, &sample, 1), 1);
    CHECK_OK(a->commit(a, &err), err);
}

// All series from step `from` on; those that end do so at step `end`.
static void pour(Tsdb *tsdb, int from, int to, int end)
{
    for (int step = from; step < to; step++)
        for (int i = 0; i < SERIES; i++)
            if (i >= ENDING || step <= end)
                put(tsdb, i, START_MS + step * STEP_MS, i < ENDING && step == end);
}

static uint64_t mix(uint64_t digest, uint64_t word)
{
    return (digest ^ word) * 0x9e3779b97f4a7c15u + (digest >> 29);
}

static uint64_t digest_of(Tsdb *tsdb, size_t *ret_samples)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    Source *source = tsdb_source(tsdb);
    Querier *q;
    SeriesList list;
    Error err = {0};
    uint64_t digest = 1;

    *ret_samples = 0;
    CHECK_OK(source->open(source, INT64_MIN, INT64_MAX, &q, &err), err);
    CHECK_OK(q->select(q, NULL, 0, NULL, &arena, &list, &err), err);
    CHECK_EQ(list.count, SERIES);
    for (size_t i = 0; i < list.count; i++) {
        SampleColumns c;
        CHECK_OK(q->read(q, list.series[i].handle, INT64_MIN, INT64_MAX, &arena, &c, &err), err);
        *ret_samples += c.count;
        for (size_t k = 0; k < c.count; k++) {
            double value = c.histograms && c.histograms[k] ? c.histograms[k]->sum : c.value[k];
            uint64_t bits;
            memcpy(&bits, &value, sizeof bits);
            digest = mix(mix(digest, (uint64_t)c.t_ms[k]), bits);
        }
    }
    q->close(q);
    return digest;
}

static void compact(Tsdb *tsdb, int times)
{
    Error err = {0};

    for (int i = 0; i < times; i++)
        CHECK_OK(tsdb_compact(tsdb, &err), err);
}

static HeadCounters counters(Tsdb *tsdb)
{
    HeadCounters c;

    head_counters(tsdb->head, &c);
    head_check(tsdb->head);
    return c;
}

static size_t stale_blocks(Tsdb *tsdb)
{
    TsdbBlocks all = tsdb_blocks_take(tsdb);
    size_t count = 0;

    for (size_t i = 0; i < all.count; i++)
        count += block_meta_has_hint(block_meta(all.items[i]), BLOCK_HINT_STALE_SERIES) &&
                 block_meta_has_hint(block_meta(all.items[i]), BLOCK_HINT_OUT_OF_ORDER);
    tsdb_blocks_give(&all);
    return count;
}

TEST(tsdb_stale, series_that_have_ended_leave_the_head_early)
{
    Store s;
    size_t samples, again;
    store_init(&s, 0.5);
    pour(s.tsdb, 0, 500, 450);
    uint64_t digest = digest_of(s.tsdb, &samples);

    compact(s.tsdb, 1);
    CHECK_EQ(counters(s.tsdb).stale_series, ENDING);
    CHECK_EQ(counters(s.tsdb).native_histogram_series, SERIES / 5);
    CHECK_EQ(stale_blocks(s.tsdb), 0); // they may still be asked for
    compact(s.tsdb, 2);
    CHECK_EQ(counters(s.tsdb).series, SERIES - ENDING);
    CHECK_EQ(counters(s.tsdb).stale_series, 0);
    CHECK(counters(s.tsdb).native_histogram_series < SERIES / 5);
    CHECK_EQ(stale_blocks(s.tsdb), 2); // two aligned ranges
    CHECK_EQ(s.tsdb->counters.stale_compactions, 1);
    CHECK_EQ(digest_of(s.tsdb, &again), digest);
    CHECK_EQ(again, samples);

    // The block says nothing of the samples that only the head and its log have; what has left does not come back.
    reopen(&s);
    CHECK_EQ(counters(s.tsdb).series, SERIES - ENDING);
    CHECK_EQ(digest_of(s.tsdb, &again), digest);
    CHECK_EQ(again, samples);

    // Later the head's own blocks take them in.
    pour(s.tsdb, 500, 1800, 450);
    digest = digest_of(s.tsdb, &samples);
    compact(s.tsdb, 2);
    CHECK_EQ(stale_blocks(s.tsdb), 0);
    CHECK_EQ(digest_of(s.tsdb, &again), digest);
    CHECK_EQ(again, samples);
    store_deinit(&s);
}

TEST(tsdb_stale, few_of_them_stay)
{
    static const struct {
        const char *name;
        TsdbStaleLimits limits;
    } cases[] = {{"never", {0}},
                 {"a larger share than there is", {.ratio = 0.7}},
                 {"more than there are", {.ratio = 0.5, .series_min = ENDING + 1}}};

    EACH_CASE(c, cases) {
        Store s;
        store_init(&s, 0);
        tsdb_reconfigure(s.tsdb, &(TsdbSettings){.retention = s.options.retention,
                                                 .stale = c->limits,
                                                 .out_of_order_window_ms = HOUR_MS});
        pour(s.tsdb, 0, 300, 200);
        compact(s.tsdb, 4);
        CHECK_EQ(counters(s.tsdb).stale_series, ENDING);
        CHECK_EQ(counters(s.tsdb).series, SERIES);
        CHECK_EQ(stale_blocks(s.tsdb), 0);
        store_deinit(&s);
    }
}

TEST(tsdb_stale, series_that_is_asked_for_stays_and_one_that_comes_back_goes_on)
{
    Store s;
    size_t samples, again;
    store_init(&s, 0.5);
    pour(s.tsdb, 0, 300, 200);
    compact(s.tsdb, 1);
    put(s.tsdb, 3, START_MS + 301 * STEP_MS, false);     // lives again before anything went
    put(s.tsdb, 4, START_MS + 150 * STEP_MS + 7, false); // late: waits for a block of its own
    compact(s.tsdb, 1);
    uint64_t digest = digest_of(s.tsdb, &samples);
    compact(s.tsdb, 2);
    CHECK_EQ(digest_of(s.tsdb, &again), digest);
    CHECK_EQ(again, samples);
    CHECK(counters(s.tsdb).series < SERIES);
    put(s.tsdb, 1, START_MS + 302 * STEP_MS, false);     // after it went
    put(s.tsdb, 2, START_MS + 100 * STEP_MS + 7, false); // in the midst of what went
    digest = digest_of(s.tsdb, &again);
    CHECK_EQ(again, samples + 2);
    compact(s.tsdb, 1);
    CHECK_EQ(digest_of(s.tsdb, &again), digest);
    reopen(&s);
    CHECK_EQ(digest_of(s.tsdb, &again), digest);
    CHECK_EQ(again, samples + 2);
    compact(s.tsdb, 3);
    CHECK_EQ(digest_of(s.tsdb, &again), digest);
    store_deinit(&s);
}

TEST(tsdb_stale, what_is_deleted_from_their_block_does_not_come_back_from_the_log)
{
    Store s;
    size_t samples, again;
    Error err = {0};
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    Matcher all;
    store_init(&s, 0.5);
    pour(s.tsdb, 0, 300, 200);
    digest_of(s.tsdb, &samples);
    compact(s.tsdb, 3);
    CHECK_OK(matcher_init(&all, MATCH_EQUAL, S("__name__"), S("m"), &arena, &err), err);

    CHECK_OK(tsdb_delete(s.tsdb, &all, 1, START_MS, START_MS + 100 * STEP_MS, &err), err);
    uint64_t digest = digest_of(s.tsdb, &again);
    CHECK(again < samples);
    samples = again;

    reopen(&s);
    CHECK_EQ(digest_of(s.tsdb, &again), digest);
    CHECK_EQ(again, samples);
    matcher_deinit(&all);
    store_deinit(&s);
}

// What a Prometheus writes that drops a stale series which comes back: all of its time is gone, whatever follows under another ref.
static void write_log_of_original(Str dir)
{
    static const Label pairs[] = {{S("__name__"), S("m")}, {S("i"), S("1")}};
    static const WalSample before[] = {{1, START_MS, 1}, {1, START_MS + STEP_MS, 2}};
    static const WalSample after[] = {{2, START_MS + STEP_MS / 2, 3},
                                      {2, START_MS + 2 * STEP_MS, 4}};
    static const WalRecordType types[] = {WAL_SERIES, WAL_SAMPLES, WAL_TOMBSTONES, WAL_SERIES,
                                          WAL_SAMPLES};
    Error err = {0};
    Wal *wal;

    CHECK_OK(wal_open(&fs_system, dir, 1 << 20, &wal, &err), err);
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        Buf raw = {0};
        WalRecordWriter writer = wal_record_begin(&raw, types[i]);
        if (types[i] == WAL_SERIES)
            wal_record_series(&writer, i == 0 ? 1 : 2, (Labels){pairs, 2});
        else if (types[i] == WAL_TOMBSTONES)
            wal_record_tombstone(&writer, 1, (Interval){INT64_MIN, INT64_MAX});
        else
            wal_record_samples(&writer, i == 1 ? before : after, 2);
        WalRecord record = {.bytes = buf_str(&raw), .flags = WAL_RAW};
        CHECK_OK(wal_write(wal, &record, 1, &err), err);
        buf_deinit(&raw);
    }
    wal_close(wal);
}

TEST(tsdb_stale, log_of_the_original_ends_a_series_that_goes_on_under_another_ref)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    Store s;
    Error err = {0};
    Querier *q;
    SeriesList list;
    SampleColumns c;
    store_init(&s, 0);
    tsdb_close(s.tsdb);
    write_log_of_original(fs_join(&arena, s.options.dir, S("wal")));

    CHECK_OK(tsdb_open(&s.options, &s.tsdb, &err), err);

    CHECK_OK(tsdb_source(s.tsdb)->open(tsdb_source(s.tsdb), INT64_MIN, INT64_MAX, &q, &err), err);
    CHECK_OK(q->select(q, NULL, 0, NULL, &arena, &list, &err), err);
    CHECK_EQ(list.count, 1);
    CHECK_OK(q->read(q, list.series[0].handle, INT64_MIN, INT64_MAX, &arena, &c, &err), err);
    CHECK_EQ(c.count, 2);
    CHECK_EQ(c.t_ms[0], START_MS + STEP_MS / 2);
    CHECK_EQ(c.t_ms[1], START_MS + 2 * STEP_MS);
    q->close(q);
    store_deinit(&s);
}

typedef struct Watch {
    Tsdb *tsdb;
    bool stop;
    uint64_t digest;
} Watch;

static void watch(void *arg)
{
    Watch *w = arg;
    size_t samples;

    while (!__atomic_load_n(&w->stop, __ATOMIC_ACQUIRE))
        CHECK_EQ(digest_of(w->tsdb, &samples), w->digest);
}

TEST(tsdb_stale, who_reads_meanwhile_sees_no_gap)
{
    Store s;
    size_t samples;
    Thread thread = {0};
    Error err = {0};
    store_init(&s, 0.5);
    pour(s.tsdb, 0, 300, 200);
    Watch w = {.tsdb = s.tsdb, .digest = digest_of(s.tsdb, &samples)};

    CHECK_OK(thread_start(&thread, "watch", watch, &w, &err), err);
    compact(s.tsdb, 4);
    __atomic_store_n(&w.stop, true, __ATOMIC_RELEASE);
    thread_join(&thread);

    CHECK_EQ(counters(s.tsdb).series, SERIES - ENDING);
    store_deinit(&s);
}

TEST_MAIN(tsdb_stale, TEST_ROW(tsdb_stale, series_that_have_ended_leave_the_head_early),
          TEST_ROW(tsdb_stale, few_of_them_stay),
          TEST_ROW(tsdb_stale, series_that_is_asked_for_stays_and_one_that_comes_back_goes_on),
          TEST_ROW(tsdb_stale, what_is_deleted_from_their_block_does_not_come_back_from_the_log),
          TEST_ROW(tsdb_stale, log_of_the_original_ends_a_series_that_goes_on_under_another_ref),
          TEST_ROW(tsdb_stale, who_reads_meanwhile_sees_no_gap))
