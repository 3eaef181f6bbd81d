// SPDX-License-Identifier: Apache-2.0
// remote_write_internal.h: one request on its way into the Sink; shared by both versions. Private to the room.
#pragma once

#include "codec/protobuf.h"
#include "remote/remote.h"
#include "remote/remote_series_cache.h"

enum { WRITE_BATCH = 1024 };

struct RemoteWrite {
    RemoteWriteOptions options;
    RemoteSeriesCache *cache;
    Counter *invalid_labels;
    Counter *without_metadata;
    Counter *samples;
    Counter *requests_refused;
};

typedef struct WriteRun WriteRun;

// Where a sample's labels stand, should they be needed again.
typedef struct WriteOrigin {
    RemoteSeriesKey key;
    Str labels;
} WriteOrigin;

typedef struct WriteExemplar {
    SeriesRef ref;
    WriteOrigin origin;
    Exemplar exemplar;
} WriteExemplar;

struct WriteRun {
    RemoteWrite *remote;
    Appender *appender;
    RemoteSeriesCourse course;
    Arena *arena;  // until the commit
    Arena scratch; // of one series' labels
    int64_t t_ms_max;
    bool keeps_good;         // 2.0
    uint64_t series_samples; // what a series with invalid labels is counted for
    // Reads the labels of an origin as they came: unsorted, unchecked. False: err tells.
    bool (*labels_of)(WriteRun *run, Str origin, Label **ret_pairs, size_t *ret_count, Error *err);

    SinkSample samples[WRITE_BATCH];
    uint16_t origin_of[WRITE_BATCH]; // where in `origins` each sample's is
    size_t count;
    WriteOrigin origins[WRITE_BATCH]; // one for the samples of a series that follow each other
    size_t origin_count;
    WriteExemplar exemplars[WRITE_BATCH];
    size_t exemplar_count;
    SinkSample *zeros; // at start timestamps, poured before the samples; NULL: not wanted
    size_t zero_count;
    int64_t oldest_ms; // of the samples that wait and may have a start; INT64_MAX: none does

    uint64_t samples_written, histograms_written, exemplars_written;
    Buf complaints; // what was wrong with the client's data; not empty: 400
    size_t complaint_count;
    bool stopped;       // nothing more is taken: a 1.0 request with a fault, or the store failed
    bool invalid_fails; // an invalid histogram is answered with 500, not 400: OTLP
    bool store_failed;
    Error store_err;

    // 2.0
    Str *symbols;
    RemoteSeriesKey *symbol_keys;
    size_t symbol_count;
    Buf key_buf;
};

// The message was read; false: it is not what it should be.
bool remote_write_v1_decode(WriteRun *run, Str message);
bool remote_write_v2_decode(WriteRun *run, Str message);

// A request's run in the arena, with an appender of the sink; `keeps_good` is 2.0's way. Ended by write_run_end.
WriteRun *write_run_begin(RemoteWrite *remote, Sink *sink, bool keeps_good, Arena *arena);
// Commits or rolls back, and says what came of it. `well_formed`: the message was read whole.
void write_run_end(WriteRun *run, bool well_formed, RemoteWriteAnswer *answer);
// The request cannot be taken, for a reason that is not in its samples: nothing of it is.
void write_run_fail(WriteRun *run, const Error *err);

// Adds a complaint; a 1.0 request ends with it.
void write_run_complain(WriteRun *run, const char *fmt, ...) PRINTF(2, 3);
// The series' ref: from the cache, or by its labels. 0: there is none (a complaint was made, or the series is to be skipped).
SeriesRef write_run_series(WriteRun *run, WriteOrigin origin, bool *ret_created);
// Its labels are good; else a complaint was made.
bool write_run_check(WriteRun *run, WriteOrigin origin);
// The series' labels for a complaint, until the next call.
Str write_run_text(WriteRun *run, WriteOrigin origin);
// Takes a sample of the series ref, which may be 0.
void write_run_sample(WriteRun *run, SeriesRef ref, WriteOrigin origin, SinkSample sample);
void write_run_exemplar(WriteRun *run, SeriesRef ref, WriteOrigin origin, const Exemplar *exemplar);
// Pours what has gathered into the sink.
void write_run_flush(WriteRun *run);

// A Histogram message of either version. False: malformed protobuf. A histogram that breaks a rule is told by *ret_err.
bool remote_histogram_decode(Str message, Arena *arena, SinkSample *ret_sample);

// The place in the batch of a sample that is known to be acceptable; write_run_placed once it is filled.
static inline SinkSample *write_run_place(WriteRun *run, const WriteOrigin *origin)
{
    size_t last = run->origin_count;
    if (last == 0 || run->origins[last - 1].labels.ptr != origin->labels.ptr)
        run->origins[run->origin_count++] = *origin;
    run->origin_of[run->count] = (uint16_t)(run->origin_count - 1);
    return &run->samples[run->count];
}

static inline void write_run_placed(WriteRun *run)
{
    run->count++;
    if (UNLIKELY(run->count == WRITE_BATCH))
        write_run_flush(run);
}

// A float of the series ref without a start timestamp; as write_run_sample.
static inline void write_run_float(WriteRun *run, SeriesRef ref, const WriteOrigin *origin,
                                   int64_t t_ms, double value)
{
    if (UNLIKELY(!ref || run->stopped || t_ms > run->t_ms_max)) {
        write_run_sample(run, ref, *origin, (SinkSample){.t_ms = t_ms, .value = value});
        return;
    }
    // Member by member: a whole one would be put together elsewhere and wait there to be copied.
    SinkSample *sample = write_run_place(run, origin);
    sample->ref = ref;
    sample->t_ms = t_ms;
    sample->value = value;
    sample->histogram = NULL;
    sample->start_ms = 0;
    sample->status = APPEND_OK;
    write_run_placed(run);
}
