// SPDX-License-Identifier: Apache-2.0
// histogram.h: native histograms. One struct for both flavours: counts are doubles (float flavour) and, when
// `is_integer`, hold exact integers below 2^53 as Prometheus' remote write and engine use them.
//
// Buckets are absolute counts (not deltas) in the order of the spans. Model and rules: prometheus.md section 6.9.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

#define HISTOGRAM_SCHEMA_CUSTOM (-53)
#define HISTOGRAM_SCHEMA_MIN (-4)
#define HISTOGRAM_SCHEMA_MAX 8
#define HISTOGRAM_SCHEMA_RESERVED_MAX 52 // finer ones that senders may have one day
#define HISTOGRAM_BUCKETS_MAX 100000     // more in one histogram is refused at every door

typedef enum HistogramHint { HINT_UNKNOWN, HINT_RESET, HINT_NO_RESET, HINT_GAUGE } HistogramHint;

typedef struct HistogramSpan {
    int32_t offset; // first: index of the first bucket; later: gap to the previous span
    uint32_t length;
} HistogramSpan;

typedef struct Histogram {
    HistogramHint hint;
    int32_t schema;
    bool is_integer;
    double zero_threshold;
    double zero_count;
    double count;
    double sum; // NAN_STALE_BITS: a stale marker, everything else empty
    const HistogramSpan *positive_spans;
    const HistogramSpan *negative_spans;
    const double *positive_buckets;
    const double *negative_buckets;
    const double *custom_bounds; // schema -53: upper bounds without +Inf
    uint32_t positive_span_count;
    uint32_t negative_span_count;
    uint32_t positive_count;
    uint32_t negative_count;
    uint32_t custom_count;
} Histogram;

Histogram *histogram_copy(Arena *arena, const Histogram *h);
// All rules of section 6.9 "Validation".
bool histogram_validate(const Histogram *h, Error *err) MUST_CHECK;
// Validates what somebody sent; a reserved schema is reduced to the finest that we know, in the arena.
bool histogram_accept(Arena *arena, const Histogram **h, Error *err) MUST_CHECK;
// Semantic, bitwise on floats (NaN equal), empty spans ignored.
bool histogram_equal(const Histogram *a, const Histogram *b);
// True if `next` after `previous` means a counter reset.
bool histogram_detect_reset(const Histogram *previous, const Histogram *next);

// Results live in the arena; inputs are untouched. The coarser resolution and the wider zero bucket win. Hints: equal ones stay, a gauge
// makes a gauge, else unknown; that a difference is a gauge is for the engine to say. Results may hold empty buckets: histogram_compact. `ret_nhcb_mismatch` (may be NULL) tells that custom bounds differed and were
// intersected. False: the two cannot be combined (exponential with custom).
bool histogram_add(Arena *arena, const Histogram *a, const Histogram *b, Histogram **ret_sum,
                   bool *ret_nhcb_mismatch);
bool histogram_sub(Arena *arena, const Histogram *a, const Histogram *b, Histogram **ret_diff,
                   bool *ret_nhcb_mismatch);
// One says "reset", the other "no reset": the engine warns of it when it adds or subtracts the two.
bool histogram_hints_collide(const Histogram *a, const Histogram *b);
// An infinity among the numbers.
bool histogram_has_overflow(const Histogram *h);
// Kahan-compensated addition for sum() and avg(): `compensation` starts NULL and is carried along by the caller.
bool histogram_add_kahan(Arena *arena, const Histogram *a, const Histogram *b,
                         const Histogram *compensation, Histogram **ret_sum,
                         Histogram **ret_compensation, bool *ret_nhcb_mismatch);
Histogram *histogram_scale(Arena *arena, const Histogram *h,
                           double factor); // a negative factor makes it a gauge
Histogram *histogram_div(Arena *arena, const Histogram *h, double divisor); // 0 clears the buckets
Histogram *histogram_reduce(Arena *arena, const Histogram *h, int32_t schema);
// Without the observations above (`upper`) or below `bound`: the operators </ and >/. A bucket that the bound cuts is split by
// interpolation; count and sum are then estimated from the buckets that stay.
Histogram *histogram_trim(Arena *arena, const Histogram *h, double bound, bool upper);
// Removes empty buckets at the edges of spans and merges spans; `max_empty` empties may stay inside.
Histogram *histogram_compact(Arena *arena, const Histogram *h, int max_empty);

// One populated or empty bucket with its bounds.
typedef struct HistogramBucket {
    double lower;
    double upper;
    bool lower_inclusive;
    bool upper_inclusive;
    double count;
    int32_t index;
} HistogramBucket;

// [-threshold, threshold]: of exponential histograms.
HistogramBucket histogram_zero_bucket(const Histogram *h);
// All buckets from the most negative to the most positive, empty ones included, the zero bucket between if its count is above 0. Where the
// zero bucket reaches into a neighbour that begins at the threshold.
size_t histogram_buckets(Arena *arena, const Histogram *h, HistogramBucket **ret_buckets);

// Upper bound of exponential bucket `index`.
double histogram_bound(int32_t index, int32_t schema);

// {count:…, sum:…, [l,u]:n, …}: the text form of FloatHistogram.String().
void histogram_print(Buf *buf, const Histogram *h);
// {"count":"…","sum":"…","buckets":[[rule,"l","u","n"],…]}: the API's JSON form.
void histogram_print_json(Buf *buf, const Histogram *h);
