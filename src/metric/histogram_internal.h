// SPDX-License-Identifier: Apache-2.0
// histogram_internal.h: walks one side of a histogram, builds another. Private to the room.
//
// Every operation on buckets is a merge: readers give (index, count) in rising order, at a lower resolution if wanted; a writer takes
// them in that order and makes the spans. So the spans of every result are the shortest possible: no empty ones, none that touch.
#pragma once

#include <math.h>

#include "metric/histogram.h"

static inline bool histogram_is_custom(const Histogram *h)
{
    return h->schema == HISTOGRAM_SCHEMA_CUSTOM;
}

// Upper bound of a bucket of either kind; custom: -Inf below the first, +Inf above the last.
double histogram_bound_of(const Histogram *h, int32_t index);

// Neumaier's variant of Kahan's sum. An infinite sum has no error to carry.
static inline void kahan_add(double add, double *sum, double *error)
{
    double before = *sum;
    double after = before + add;

    if (isinf(after))
        *error = 0;
    else if (fabs(before) >= fabs(add))
        *error += (before - after) + add;
    else
        *error += (add - after) + before;
    *sum = after;
}

// One side: its spans and buckets, with the errors of a compensated sum beside them or NULL.
typedef struct HistogramSide {
    const HistogramSpan *spans;
    const double *buckets;
    const double *errors;
    uint32_t span_count;
    uint32_t bucket_count;
} HistogramSide;

static inline HistogramSide histogram_positive(const Histogram *h)
{
    return (HistogramSide){h->positive_spans, h->positive_buckets, NULL, h->positive_span_count,
                           h->positive_count};
}

static inline HistogramSide histogram_negative(const Histogram *h)
{
    return (HistogramSide){h->negative_spans, h->negative_buckets, NULL, h->negative_span_count,
                           h->negative_count};
}

typedef struct HistogramReader {
    HistogramSide side;
    int shift;     // resolution is halved this often
    uint32_t span; // of the next bucket of the original
    uint32_t in_span;
    uint32_t next;
    uint32_t next_index; // wraps like the int32 it stands for
    bool has_next;
    // The current bucket.
    int32_t index;
    double count;
    double error;
} HistogramReader;

void histogram_reader_init(HistogramReader *reader, HistogramSide side, int shift);
bool histogram_reader_next(HistogramReader *reader);

// The reader's current bucket with its bounds.
HistogramBucket histogram_make_bucket(const Histogram *h, const HistogramReader *reader,
                                      bool positive);

typedef struct HistogramWriter {
    HistogramSpan *spans;
    double *buckets;
    double *errors; // NULL: not kept
    uint32_t span_count;
    uint32_t bucket_count;
    int32_t last_index;
} HistogramWriter;

// Room for `buckets` buckets, each perhaps in a span of its own.
void histogram_writer_init(HistogramWriter *writer, Arena *arena, size_t buckets, bool with_errors);
void histogram_writer_add(HistogramWriter *writer, int32_t index, double count, double error);
void histogram_writer_positive(const HistogramWriter *writer, Histogram *h);
void histogram_writer_negative(const HistogramWriter *writer, Histogram *h);

// Bounds that both have, in rising order, into `ret_bounds` (room for the smaller count). Returns how many.
uint32_t histogram_common_bounds(const Histogram *a, const Histogram *b, double *ret_bounds);
bool histogram_same_bounds(const Histogram *a, const Histogram *b);

// The zero bucket's count if its threshold were `*threshold` or, where that cuts a populated bucket, that bucket's end: then *threshold is
// raised to it. With errors of a compensated sum (`h_errors` maybe NULL) also the error of the count.
double histogram_zero_count_for(const Histogram *h, const Histogram *h_errors, double *threshold,
                                double *ret_error);
