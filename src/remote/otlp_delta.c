// SPDX-License-Identifier: Apache-2.0
// Totals of what comes as differences: the feature otlp-deltatocumulative. A stream that is silent for a while is forgotten and begins
// anew, as with the original's processor.
#include <stdlib.h>

#include "base/map.h"
#include "remote/otlp_internal.h"

enum {
    STREAMS_MAX = 1000000,
    SILENCE_MS = 5 * 60 * 1000,
    BUCKETS_MAX = 160,    // of one side of an exponential histogram, as OpenTelemetry's processor
    SWEEP_EVERY = 100000, // additions between two looks for silent streams
};

typedef struct DeltaStream {
    RemoteSeriesKey key;
    int64_t start_ms, last_ms, seen_mono_ms;
    double value;   // or the sum of a histogram
    bool lacks_sum; // one of those that were added had none
    uint64_t count;
    double *bounds;
    uint64_t *counts;
    size_t bound_count, count_count;
    bool is_exponential;
    int32_t scale;
    uint64_t zero_count;
    OtlpBuckets positive, negative; // of an exponential histogram; on the heap
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
    free(stream->positive.counts);
    free(stream->negative.counts);
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

// A point that is not later than the last one, or began before the stream did, belongs to another sender or a past one.
static bool continues(const DeltaStream *stream, int64_t start_ms, int64_t t_ms)
{
    return t_ms > stream->last_ms && start_ms >= stream->start_ms;
}

bool otlp_deltas_add_number(OtlpDeltas *deltas, RemoteSeriesKey key, int64_t t_ms, double value,
                            double *ret_total, int64_t *ret_start_ms, int64_t start_ms)
{
    bool is_new;
    bool taken = false;
    lock_take(&deltas->lock);
    DeltaStream *stream = stream_of(deltas, key, &is_new);
    if (stream && (is_new || continues(stream, start_ms, t_ms))) {
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
    return !stream->is_exponential && stream->bound_count == point->bound_count &&
           stream->count_count == point->positive.count &&
           (point->bound_count == 0 ||
            memcmp(stream->bounds, point->bounds, point->bound_count * sizeof(double)) == 0);
}

static void begin_histogram(DeltaStream *stream, const OtlpHistogramPoint *point)
{
    free(stream->bounds);
    free(stream->counts);
    stream->value = 0;
    stream->lacks_sum = false;
    stream->count = 0;
    stream->start_ms = point->start_ms;
    stream->is_exponential = false;
    stream->bound_count = point->bound_count;
    stream->count_count = point->positive.count;
    stream->bounds = X_ARRAY(double, point->bound_count + 1);
    stream->counts = X_ARRAY(uint64_t, point->positive.count + 1);
    if (point->bound_count)
        memcpy(stream->bounds, point->bounds, point->bound_count * sizeof(double));
}

// The sum of all that were added, if each had one.
static void add_sum(DeltaStream *stream, OtlpHistogramPoint *point)
{
    stream->lacks_sum |= !point->has_sum;
    stream->value += point->sum;
    point->sum = stream->value;
    point->has_sum = !stream->lacks_sum;
}

static void add_histogram(DeltaStream *stream, OtlpHistogramPoint *point)
{
    add_sum(stream, point);
    stream->count += point->count;
    for (size_t i = 0; i < point->positive.count; i++) {
        stream->counts[i] += point->positive.counts[i];
        point->positive.counts[i] = stream->counts[i];
    }
    stream->last_ms = point->t_ms;
    stream->seen_mono_ms = now_ms();
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
    if (stream && (is_new || continues(stream, point->start_ms, point->t_ms))) {
        if (is_new || !same_bounds(stream, point))
            begin_histogram(stream, point);
        add_histogram(stream, point);
        taken = true;
    }
    lock_give(&deltas->lock);
    return taken;
}

// Exponential histograms -------------------------------------------------------------------------------------------------------------

static int64_t index_at(int64_t index, int shift)
{
    return index >> MIN(shift, 62);
}

// Fewer buckets, each as wide as 2^shift of before: those that begin with the same bits fall together.
static void coarsen(OtlpBuckets *buckets, int shift)
{
    int64_t first = index_at(buckets->offset, shift);
    if (shift == 0 || buckets->count == 0)
        return;
    for (size_t i = 0; i < buckets->count; i++) {
        size_t to = (size_t)(index_at((int64_t)buckets->offset + (int64_t)i, shift) - first);
        uint64_t count = buckets->counts[i];
        buckets->counts[i] = 0;
        buckets->counts[to] += count;
    }
    buckets->count =
        (size_t)(index_at((int64_t)buckets->offset + (int64_t)buckets->count - 1, shift) - first) +
        1;
    buckets->offset = (int32_t)first;
}

// How many buckets both have together, `shift` and `other_shift` coarser.
static int64_t joined_count(const OtlpBuckets *buckets, int shift, const OtlpBuckets *other,
                            int other_shift)
{
    const OtlpBuckets *both[] = {buckets, other};
    const int shifts[] = {shift, other_shift};
    int64_t first = INT64_MAX, last = INT64_MIN;
    for (int i = 0; i < 2; i++) {
        if (both[i]->count == 0)
            continue;
        first = MIN(first, index_at(both[i]->offset, shifts[i]));
        last =
            MAX(last, index_at((int64_t)both[i]->offset + (int64_t)both[i]->count - 1, shifts[i]));
    }
    return first > last ? 0 : last - first + 1;
}

// Adds `more`, of the same scale, to what is on the heap.
static void join_buckets(OtlpBuckets *buckets, const OtlpBuckets *more)
{
    size_t count = (size_t)joined_count(buckets, 0, more, 0);
    if (more->count == 0)
        return;
    int32_t offset = buckets->count ? MIN(buckets->offset, more->offset) : more->offset;
    uint64_t *counts = X_ARRAY(uint64_t, count);
    memset(counts, 0, count * sizeof *counts);
    for (size_t i = 0; i < buckets->count; i++)
        counts[(size_t)(buckets->offset - offset) + i] = buckets->counts[i];
    for (size_t i = 0; i < more->count; i++)
        counts[(size_t)(more->offset - offset) + i] += more->counts[i];
    free(buckets->counts);
    *buckets = (OtlpBuckets){.offset = offset, .counts = counts, .count = count};
}

static void begin_exponential(DeltaStream *stream, const OtlpHistogramPoint *point)
{
    free(stream->positive.counts);
    free(stream->negative.counts);
    stream->positive = stream->negative = (OtlpBuckets){0};
    stream->is_exponential = true;
    stream->scale = point->scale;
    stream->value = 0;
    stream->lacks_sum = false;
    stream->count = stream->zero_count = 0;
    stream->start_ms = point->start_ms;
}

// Brings both to the scale at which all fits.
static void same_scale(DeltaStream *stream, OtlpHistogramPoint *point)
{
    int32_t scale = MIN(stream->scale, point->scale);
    int shift = (int)MIN((int64_t)stream->scale - scale, INT64_C(62));
    int point_shift = (int)MIN((int64_t)point->scale - scale, INT64_C(62));
    while (shift < 62 && point_shift < 62 &&
           (joined_count(&stream->positive, shift, &point->positive, point_shift) > BUCKETS_MAX ||
            joined_count(&stream->negative, shift, &point->negative, point_shift) > BUCKETS_MAX)) {
        shift++;
        point_shift++;
        scale--;
    }
    coarsen(&stream->positive, shift);
    coarsen(&stream->negative, shift);
    coarsen(&point->positive, point_shift);
    coarsen(&point->negative, point_shift);
    stream->scale = point->scale = scale;
}

static OtlpBuckets copied(const OtlpBuckets *buckets, Arena *arena)
{
    OtlpBuckets copy = *buckets;
    copy.counts = ARENA_ARRAY(arena, uint64_t, MAX(copy.count, (size_t)1));
    if (copy.count)
        memcpy(copy.counts, buckets->counts, copy.count * sizeof *copy.counts);
    return copy;
}

static void add_exponential(DeltaStream *stream, OtlpHistogramPoint *point, Arena *arena)
{
    same_scale(stream, point);
    join_buckets(&stream->positive, &point->positive);
    join_buckets(&stream->negative, &point->negative);
    add_sum(stream, point);
    stream->count += point->count;
    stream->zero_count += point->zero_count;
    stream->last_ms = point->t_ms;
    stream->seen_mono_ms = now_ms();
    point->positive = copied(&stream->positive, arena);
    point->negative = copied(&stream->negative, arena);
    point->count = stream->count;
    point->zero_count = stream->zero_count;
    point->start_ms = stream->start_ms;
}

bool otlp_deltas_add_exponential(OtlpDeltas *deltas, RemoteSeriesKey key, OtlpHistogramPoint *point,
                                 Arena *arena)
{
    bool is_new;
    bool taken = false;
    if (point->has_no_value)
        return true;
    lock_take(&deltas->lock);
    DeltaStream *stream = stream_of(deltas, key, &is_new);
    if (stream && (is_new || continues(stream, point->start_ms, point->t_ms))) {
        if (is_new || !stream->is_exponential)
            begin_exponential(stream, point);
        add_exponential(stream, point, arena);
        taken = true;
    }
    lock_give(&deltas->lock);
    return taken;
}
