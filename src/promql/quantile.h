// SPDX-License-Identifier: Apache-2.0
// quantile.h: quantiles and fractions of histograms, classic and native. Rules: prometheus.md section 4.9. Private to the room.
#pragma once

#include "metric/histogram.h"

// Cumulative, as the series of a classic histogram.
typedef struct ClassicBucket {
    double upper;
    double count;
} ClassicBucket;

// How counts that fell from bucket to bucket were mended.
typedef struct MonotonicFix {
    bool forced;
    double bucket_min, bucket_max; // bounds of the buckets that were raised
    double diff_max;
} MonotonicFix;

// Buckets sorted by bound, at least one; they are merged and mended in place.
double bucket_quantile(double q, ClassicBucket *buckets, size_t count, MonotonicFix *ret_fix);
double bucket_fraction(double lower, double upper, ClassicBucket *buckets, size_t count);

// What NaN observations do to the result.
typedef enum NanEffect {
    NAN_EFFECT_NONE,
    NAN_EFFECT_RESULT,
    NAN_EFFECT_SKEW,
    NAN_EFFECT_EXCLUDED
} NanEffect;

// `scratch` holds the bucket list.
double histogram_quantile_of(double q, const Histogram *h, Arena *scratch, NanEffect *ret_effect);
double histogram_fraction_of(double lower, double upper, const Histogram *h, Arena *scratch,
                             NanEffect *ret_effect);
