// SPDX-License-Identifier: Apache-2.0
// remote_fake_sink.h: a Sink in memory for the room's tests, fuzz target and benchmark. It judges order
// and duplicates as a store does; what was appended shows after the commit.
#pragma once

#include <stdlib.h>

#include "base/map.h"
#include "metric/sink.h"

typedef struct FakeSeries {
    Str text; // labels_print_metric
    SeriesRef ref;
    bool gone;
    int64_t last_t_ms;
    double last_value;
    size_t count; // committed samples and histograms
    size_t pending;
    int64_t before_t_ms; // to roll back to
    double before_value;
} FakeSeries;

typedef struct FakeSink {
    Sink sink;
    Appender appender;
    Arena arena;
    Map by_text;
    FakeSeries **series; // ref - 1
    size_t series_count;
    size_t resolved; // calls of series()
    size_t exemplars;
    AppendStatus exemplar_status; // what each is answered with
    size_t metadata;
    bool is_open;
    bool refuse_series, refuse_commit, full;
} FakeSink;

static inline FakeSink *fake_of(Appender *appender)
{
    return CONTAINER_OF(appender, FakeSink, appender);
}

static inline SeriesRef fake_series(Appender *appender, Labels labels, bool *ret_created,
                                    Error *err)
{
    FakeSink *fake = fake_of(appender);
    if (fake->refuse_series) {
        error_set(err, ERR_LIMIT, "no more series");
        return 0;
    }
    fake->resolved++;
    Buf text = {0};
    labels_print_metric(&text, labels);
    FakeSeries *series = map_get(&fake->by_text, buf_str(&text));
    *ret_created = !series || series->gone;
    if (*ret_created) {
        series = ARENA_NEW(&fake->arena, FakeSeries);
        series->text = arena_str(&fake->arena, buf_str(&text));
        series->last_t_ms = INT64_MIN;
        fake->series = x_realloc(fake->series, (fake->series_count + 1) * sizeof(FakeSeries *));
        fake->series[fake->series_count++] = series;
        series->ref = fake->series_count;
        map_put(&fake->by_text, series->text, series);
    }
    buf_deinit(&text);
    return series->ref;
}

static inline AppendStatus fake_judge(FakeSink *fake, const SinkSample *sample)
{
    ASSERT(sample->ref > 0);
    ASSERT(sample->ref <= fake->series_count);
    FakeSeries *series = fake->series[sample->ref - 1];
    if (series->gone)
        return APPEND_GONE;
    if (fake->full)
        return APPEND_LIMIT;
    if (sample->t_ms < series->last_t_ms)
        return APPEND_OUT_OF_ORDER;
    double value = sample->histogram ? sample->histogram->count : sample->value;
    if (sample->t_ms == series->last_t_ms && value != series->last_value)
        return APPEND_DUPLICATE;
    if (series->pending++ == 0) {
        series->before_t_ms = series->last_t_ms;
        series->before_value = series->last_value;
    }
    series->last_t_ms = sample->t_ms;
    series->last_value = value;
    return APPEND_OK;
}

static inline size_t fake_append(Appender *appender, SinkSample *samples, size_t count)
{
    size_t taken = 0;
    for (size_t i = 0; i < count; i++) {
        samples[i].status = fake_judge(fake_of(appender), &samples[i]);
        taken += samples[i].status == APPEND_OK;
    }
    return taken;
}

static inline void fake_metadata(Appender *appender, SeriesRef ref, Metadata metadata)
{
    (void)ref;
    (void)metadata;
    fake_of(appender)->metadata++;
}

static inline AppendStatus fake_exemplar(Appender *appender, SeriesRef ref,
                                         const Exemplar *exemplar)
{
    (void)ref;
    (void)exemplar;
    fake_of(appender)->exemplars++;
    return fake_of(appender)->exemplar_status;
}

static inline void fake_end(FakeSink *fake, bool keep)
{
    ASSERT(fake->is_open);
    fake->is_open = false;
    for (size_t i = 0; i < fake->series_count; i++) {
        FakeSeries *series = fake->series[i];
        if (keep) {
            series->count += series->pending;
        } else if (series->pending) {
            series->last_t_ms = series->before_t_ms;
            series->last_value = series->before_value;
        }
        series->pending = 0;
    }
}

static inline bool fake_commit(Appender *appender, Error *err)
{
    FakeSink *fake = fake_of(appender);
    fake_end(fake, !fake->refuse_commit);
    return !fake->refuse_commit || error_set(err, ERR_IO, "disk full");
}

static inline void fake_rollback(Appender *appender)
{
    fake_end(fake_of(appender), false);
}

static inline Appender *fake_begin(Sink *sink)
{
    FakeSink *fake = CONTAINER_OF(sink, FakeSink, sink);
    ASSERT(!fake->is_open);
    fake->is_open = true;
    return &fake->appender;
}

static inline void fake_sink_init(FakeSink *fake)
{
    *fake = (FakeSink){
        .sink = {fake_begin},
        .appender = {fake_series, fake_append, fake_metadata, fake_exemplar, fake_commit,
                     fake_rollback},
    };
}

static inline void fake_sink_deinit(FakeSink *fake)
{
    map_deinit(&fake->by_text);
    free(fake->series);
    arena_deinit(&fake->arena);
}

// Committed samples of the series that prints as `text`; 0 if there is none.
static inline size_t fake_count(const FakeSink *fake, const char *text)
{
    const FakeSeries *series = map_get(&fake->by_text, str_from_c(text));
    return series ? series->count : 0;
}
