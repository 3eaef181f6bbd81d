// SPDX-License-Identifier: Apache-2.0
// Totals of what comes as differences: the feature otlp-deltatocumulative. A stream that is silent for a while is forgotten and begins
// anew, as with the original's processor.
#include <stdlib.h>

#include "base/map.h"
#include "remote/otlp_internal.h"

enum {
    STREAMS_MAX = 1000000,
    SILENCE_MS = 5 * 60 * 1000,
    SWEEP_EVERY = 100000, // additions between two looks for silent streams
};

typedef struct DeltaStream {
    RemoteSeriesKey key;
    int64_t start_ms, last_ms, seen_mono_ms;
    double value; // or the sum of a histogram
    uint64_t count;
    double *bounds;
    uint64_t *counts;
    size_t bound_count, count_count;
} DeltaStream;

struct OtlpDeltas {
    Lock lock;
    Map streams GUARDED_BY(lock); // by the bytes of the key
    uint64_t additions GUARDED_BY(lock);
};

OtlpDeltas *otlp_deltas_new(void)
{
    OtlpDeltas *deltas = X_NEW(OtlpDeltas);
    lock_init(&deltas->lock, "otlp.deltas", 912);
    return deltas;
}

static void stream_free(DeltaStream *stream)
{
    free(stream->bounds);
    free(stream->counts);
    free(stream);
}

void otlp_deltas_free(OtlpDeltas *deltas)
{
    if (!deltas)
        return;
    for (MapEntry *e = NULL; (e = map_next(&deltas->streams, e));)
        stream_free(e->value);
    map_deinit(&deltas->streams);
    lock_deinit(&deltas->lock);
    free(deltas);
}

static int64_t now_ms(void)
{
    return clock_mono_ns(&clock_system) / 1000000;
}

// A new map of those that were heard of lately.
static void sweep(OtlpDeltas *deltas) REQUIRES(deltas->lock)
{
    Map kept = {0};
    int64_t oldest_ms = now_ms() - SILENCE_MS;
    for (MapEntry *e = NULL; (e = map_next(&deltas->streams, e));) {
        DeltaStream *stream = e->value;
        if (stream->seen_mono_ms < oldest_ms)
            stream_free(stream);
        else
            map_put(&kept, (Str){(const char *)&stream->key, sizeof stream->key}, stream);
    }
    map_deinit(&deltas->streams);
    deltas->streams = kept;
}

// The stream of the key; NULL: there are too many. *ret_is_new: nothing was added to it yet.
static DeltaStream *stream_of(OtlpDeltas *deltas, RemoteSeriesKey key, bool *ret_is_new)
    REQUIRES(deltas->lock)
{
    Str text = {(const char *)&key, sizeof key};
    if (++deltas->additions % SWEEP_EVERY == 0)
        sweep(deltas);
    DeltaStream *stream = map_get(&deltas->streams, text);
    *ret_is_new = !stream || stream->seen_mono_ms < now_ms() - SILENCE_MS;
    if (!stream) {
        if (deltas->streams.count >= STREAMS_MAX)
            return NULL;
        stream = X_NEW(DeltaStream);
        stream->key = key;
        map_put(&deltas->streams, (Str){(const char *)&stream->key, sizeof key}, stream);
    }
    return stream;
}

bool otlp_deltas_add_number(OtlpDeltas *deltas, RemoteSeriesKey key, int64_t t_ms, double value,
                            double *ret_total, int64_t *ret_start_ms, int64_t start_ms)
{
    bool is_new;
    bool taken = false;
    lock_take(&deltas->lock);
    DeltaStream *stream = stream_of(deltas, key, &is_new);
    if (stream && (is_new || t_ms > stream->last_ms)) {
        if (is_new) {
            stream->value = 0;
            stream->start_ms = start_ms;
        }
        stream->value += value;
        stream->last_ms = t_ms;
        stream->seen_mono_ms = now_ms();
        *ret_total = stream->value;
        *ret_start_ms = stream->start_ms;
        taken = true;
    }
    lock_give(&deltas->lock);
    return taken;
}

static bool same_bounds(const DeltaStream *stream, const OtlpHistogramPoint *point)
{
    return stream->bound_count == point->bound_count &&
           stream->count_count == point->positive.count &&
           (point->bound_count == 0 ||
            memcmp(stream->bounds, point->bounds, point->bound_count * sizeof(double)) == 0);
}

static void begin_histogram(DeltaStream *stream, const OtlpHistogramPoint *point)
{
    free(stream->bounds);
    free(stream->counts);
    stream->value = 0;
    stream->count = 0;
    stream->start_ms = point->start_ms;
    stream->bound_count = point->bound_count;
    stream->count_count = point->positive.count;
    stream->bounds = X_ARRAY(double, point->bound_count + 1);
    stream->counts = X_ARRAY(uint64_t, point->positive.count + 1);
    if (point->bound_count)
        memcpy(stream->bounds, point->bounds, point->bound_count * sizeof(double));
}

static void add_histogram(DeltaStream *stream, OtlpHistogramPoint *point)
{
    stream->value += point->sum;
    stream->count += point->count;
    for (size_t i = 0; i < point->positive.count; i++) {
        stream->counts[i] += point->positive.counts[i];
        point->positive.counts[i] = stream->counts[i];
    }
    stream->last_ms = point->t_ms;
    stream->seen_mono_ms = now_ms();
    point->sum = stream->value;
    point->count = stream->count;
    point->start_ms = stream->start_ms;
}

bool otlp_deltas_add_histogram(OtlpDeltas *deltas, RemoteSeriesKey key, OtlpHistogramPoint *point)
{
    bool is_new;
    bool taken = false;
    if (point->has_no_value)
        return true;
    lock_take(&deltas->lock);
    DeltaStream *stream = stream_of(deltas, key, &is_new);
    if (stream && (is_new || point->t_ms > stream->last_ms)) {
        if (is_new || !same_bounds(stream, point))
            begin_histogram(stream, point);
        add_histogram(stream, point);
        taken = true;
    }
    lock_give(&deltas->lock);
    return taken;
}
