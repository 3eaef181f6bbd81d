// SPDX-License-Identifier: Apache-2.0
// histogram_total.h: sum and average of many histograms, for sum(), avg(), sum_over_time() and avg_over_time(). Private to the room.
//
// A running sum with its compensation lies in one of two arenas and each addition makes the next one in the other, so that memory
// does not grow with the number of histograms. An average is the sum divided at the end; once the sum would overflow, it is the
// running mean from there on.
#pragma once

#include "metric/histogram.h"

typedef struct HistogramTotal {
    const Histogram *sum;          // NULL: none yet
    const Histogram *compensation; // NULL: none yet
    Arena arenas[2];
    int side;
    bool average;
    bool is_mean;                   // sum is the running mean
    bool mismatch;                  // custom bounds differed
    bool reset_hint, no_reset_hint; // hints that were seen: both together are told
    double count;
} HistogramTotal;

// Starts anew; the arenas are kept. A zeroed total may begin.
void histogram_total_begin(HistogramTotal *total, bool average);
// `h` must stay until the end. False: buckets of both kinds do not go together.
bool histogram_total_add(HistogramTotal *total, const Histogram *h) MUST_CHECK;
// After one addition at least. Lives until the next begin.
const Histogram *histogram_total_end(HistogramTotal *total);
void histogram_total_deinit(HistogramTotal *total);
