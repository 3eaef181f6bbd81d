// SPDX-License-Identifier: Apache-2.0
// tsdb_test_util.h: what the tests of the whole storage share.
#pragma once

#include "base/test.h"
#include "tsdb/block_fake.h"
#include "tsdb/tsdb_internal.h"

#define SERIES 30
#define STEP_MS 15000
#define HOUR_MS INT64_C(3600000)
#define START_MS (INT64_C(472222) * HOUR_MS) // even: aligned to two hours

typedef struct Store {
    Scratch scratch;
    Tsdb *tsdb;
    TsdbOptions options;
    ClockFake clock;
} Store;

static inline void store_open(Store *s)
{
    Error err = {0};
    CHECK_OK(tsdb_open(&s->options, &s->tsdb, &err), err);
}

static inline void store_init(Store *s)
{
    s->scratch = scratch_new();
    clock_fake_init(&s->clock, START_MS);
    tsdb_options_default(&s->options);
    s->options.dir = str_from_c(s->scratch.path);
    s->options.clock = &s->clock.clock;
    s->options.wal_sync = TSDB_SYNC_NONE;
    store_open(s);
}

static inline void store_deinit(Store *s)
{
    tsdb_close(s->tsdb);
    scratch_remove(&s->scratch);
}

static inline void store_reopen(Store *s)
{
    tsdb_close(s->tsdb);
    store_open(s);
}

// Pours the source's samples in, one commit per time.
static inline void test_pour(Tsdb *tsdb, FakeSource *f)
{
    Sink *sink = tsdb_sink(tsdb);
    SeriesRef *refs = X_ARRAY(SeriesRef, f->count);
    SinkSample *samples = X_ARRAY(SinkSample, f->count);
    Error err = {0};

    for (int64_t t = f->from_t_ms; t < f->to_t_ms; t += f->step_ms) {
        CLEANUP(arena_deinit) Arena arena = {.next = NULL};
        Appender *a = sink->begin(sink);
        for (size_t i = 0; i < f->count; i++) {
            bool created;
            uint64_t series = f->entries[i].handle;
            if (t == f->from_t_ms)
                refs[i] = a->series(a, f->entries[i].labels, &created, &err);
            CHECK(refs[i] != 0);
            samples[i] =
                (SinkSample){.ref = refs[i], .t_ms = t, .value = fake_value(series, t) + f->offset};
            if (f->histograms && fake_has_histograms(series))
                samples[i].histogram = fake_histogram(&arena, series, t);
        }
        CHECK_EQ(a->append(a, samples, f->count), f->count);
        CHECK_OK(a->commit(a, &err), err);
    }
    free(refs);
    free(samples);
}

static inline size_t test_count_blocks(Tsdb *tsdb)
{
    CLEANUP(buf_deinit) Buf text = {.ptr = NULL};
    JsonWriter json;
    size_t count = 0;

    json_writer_init(&json, &text);
    tsdb_blocks_json(tsdb, &json);
    for (Str rest = buf_str(&text); str_find(rest, S("\"minTime\":")) != STR_NOT_FOUND;) {
        rest = str_skip(rest, str_find(rest, S("\"minTime\":")) + 5);
        count++;
    }
    // Parents would be counted too; there are none of them here.
    return count;
}

// The store holds the source's samples between both times and nothing else there.
static inline void test_check_holds(Tsdb *tsdb, FakeSource *f, int64_t min_t_ms, int64_t max_t_ms)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    Source *source = tsdb_source(tsdb);
    Querier *got;
    SeriesList a, b;
    Error err = {0};

    CHECK_OK(source->open(source, min_t_ms, max_t_ms, &got, &err), err);
    CHECK_OK(got->select(got, NULL, 0, NULL, &arena, &a, &err), err);
    CHECK_OK(fake_select(&f->querier, NULL, 0, NULL, &arena, &b, &err), err);
    CHECK_EQ(a.count, b.count);
    for (size_t i = 0; i < a.count; i++) {
        SampleColumns x, y;
        CHECK(labels_equal(a.series[i].labels, b.series[i].labels));
        CHECK_OK(got->read(got, a.series[i].handle, min_t_ms, max_t_ms, &arena, &x, &err), err);
        CHECK_OK(fake_read(&f->querier, b.series[i].handle, min_t_ms, max_t_ms, &arena, &y, &err),
                 err);
        CHECK_EQ(x.count, y.count);
        for (size_t k = 0; k < x.count; k++) {
            CHECK_EQ(x.t_ms[k], y.t_ms[k]);
            if (x.histograms && x.histograms[k])
                CHECK_DOUBLE(x.histograms[k]->count, y.histograms[k]->count);
            else
                CHECK_DOUBLE(x.value[k], y.value[k]);
        }
    }
    got->close(got);
}
