// SPDX-License-Identifier: Apache-2.0
// remote_fake_source.h: a Source in memory for the room's tests and fuzz target: series m{i="0"} ... with a sample each second from t = 0,
// histograms in every third.
#pragma once

#include "codec/protobuf.h"
#include "remote/remote.h"

enum { FAKE_SERIES = 6, FAKE_SAMPLES = 50 };

typedef struct FakeSource {
    Source source;
    Querier querier;
    int64_t min_t_ms, max_t_ms;
    char digits[FAKE_SERIES][2];
    Label pairs[FAKE_SERIES][2];
    bool fails;
    size_t open;
} FakeSource;

static inline bool fake_source_select(Querier *querier, const Matcher *matchers, size_t count,
                                      const SelectHints *hints, Arena *arena, SeriesList *ret_list,
                                      Error *err)
{
    FakeSource *fake = CONTAINER_OF(querier, FakeSource, querier);
    SeriesList list = {ARENA_ARRAY(arena, SeriesEntry, FAKE_SERIES), 0};
    (void)hints;
    if (fake->fails)
        return error_set(err, ERR_IO, "the disk is gone");
    for (size_t i = 0; i < FAKE_SERIES; i++) {
        Labels labels = {fake->pairs[i], 2};
        if (matchers_match(matchers, count, labels))
            list.series[list.count++] = (SeriesEntry){labels, i};
    }
    *ret_list = list;
    return true;
}

static inline bool fake_source_read(Querier *querier, uint64_t handle, int64_t min_t_ms,
                                    int64_t max_t_ms, Arena *arena, SampleColumns *ret_columns,
                                    Error *err)
{
    static const HistogramSpan span = {2, 2};
    FakeSource *fake = CONTAINER_OF(querier, FakeSource, querier);
    SampleColumns columns = {ARENA_ARRAY(arena, int64_t, FAKE_SAMPLES),
                             ARENA_ARRAY(arena, double, FAKE_SAMPLES),
                             arena_zalloc(arena, FAKE_SAMPLES * sizeof(void *)), 0, NULL};
    (void)err;
    for (int64_t k = 0; k < FAKE_SAMPLES; k++) {
        int64_t t_ms = k * 1000;
        if (t_ms < MAX(min_t_ms, fake->min_t_ms) || t_ms > MIN(max_t_ms, fake->max_t_ms))
            continue;
        if (handle % 3 == 2) {
            double *buckets = ARENA_ARRAY(arena, double, 2);
            buckets[0] = (double)k;
            buckets[1] = 1;
            Histogram *h = ARENA_NEW(arena, Histogram);
            *h = (Histogram){.is_integer = true,
                             .schema = 1,
                             .count = (double)k + 1,
                             .sum = 0.5,
                             .positive_spans = &span,
                             .positive_span_count = 1,
                             .positive_buckets = buckets,
                             .positive_count = 2};
            columns.histograms[columns.count] = h;
        }
        columns.t_ms[columns.count] = t_ms;
        columns.value[columns.count++] = (double)handle + (double)k / 8;
    }
    *ret_columns = columns;
    return true;
}

static inline void fake_source_close(Querier *querier)
{
    CONTAINER_OF(querier, FakeSource, querier)->open--;
}

static inline bool fake_source_open(Source *source, int64_t min_t_ms, int64_t max_t_ms,
                                    Querier **ret_querier, Error *err)
{
    FakeSource *fake = CONTAINER_OF(source, FakeSource, source);
    (void)err;
    fake->min_t_ms = min_t_ms;
    fake->max_t_ms = max_t_ms;
    fake->open++;
    *ret_querier = &fake->querier;
    return true;
}

static inline void fake_source_init(FakeSource *fake)
{
    *fake = (FakeSource){
        .source = {fake_source_open},
        .querier = {.select = fake_source_select,
                    .read = fake_source_read,
                    .close = fake_source_close},
    };
    for (size_t i = 0; i < FAKE_SERIES; i++) {
        fake->digits[i][0] = (char)('0' + i);
        fake->pairs[i][0] = (Label){STR("__name__"), STR("m")};
        fake->pairs[i][1] = (Label){STR("i"), {fake->digits[i], 1}};
    }
}

// A "chunk" that holds the count and nothing else: framing does not look inside.
static inline void fake_encode(const SampleColumns *samples, Arena *arena, RemoteChunk **ret_chunks,
                               size_t *ret_count)
{
    size_t count = (samples->count + 9) / 10;
    RemoteChunk *chunks = ARENA_ARRAY(arena, RemoteChunk, count);
    for (size_t i = 0; i < count; i++) {
        size_t from = i * 10;
        size_t to = MIN(from + 10, samples->count);
        char *bytes = arena_zalloc(arena, 40);
        bytes[0] = (char)(to - from);
        chunks[i] =
            (RemoteChunk){samples->t_ms[from], samples->t_ms[to - 1], 1, str_make(bytes, 40)};
    }
    *ret_chunks = chunks;
    *ret_count = count;
}

// Gathers an answer.
typedef struct FakeAnswer {
    Buf body;
    Str content_type;
    size_t writes;
    bool gone;
} FakeAnswer;

static inline void fake_whole(void *arg, Str content_type, Str bytes)
{
    FakeAnswer *answer = arg;
    answer->content_type = content_type;
    buf_add_str(&answer->body, bytes);
}

static inline bool fake_begin(void *arg, Str content_type)
{
    ((FakeAnswer *)arg)->content_type = content_type;
    return true;
}

static inline bool fake_write(void *arg, Str bytes)
{
    FakeAnswer *answer = arg;
    answer->writes++;
    buf_add_str(&answer->body, bytes);
    return !answer->gone;
}

static inline bool fake_is_gone(void *arg)
{
    (void)arg;
    return false;
}

static inline RemoteReadReply fake_answer_reply(FakeAnswer *answer)
{
    return (RemoteReadReply){answer, fake_whole, fake_begin, fake_write, fake_is_gone};
}
