// SPDX-License-Identifier: Apache-2.0
// intervals.h: spans of time, both ends inclusive: what was deleted of one series.
#pragma once

#include "base/macros.h"

typedef struct Interval {
    int64_t min_t_ms;
    int64_t max_t_ms;
} Interval;

typedef struct Intervals {
    Interval *items; // sorted, neither touching nor overlapping; on the heap
    size_t count;
    size_t cap;
} Intervals;

// A zeroed Intervals is empty.
void intervals_deinit(Intervals *intervals);
// Adds one and melts together what now touches.
void intervals_add(Intervals *intervals, Interval interval);
bool intervals_contain(const Intervals *intervals, int64_t t_ms);
// True if one interval covers all of [min_t_ms, max_t_ms] / any overlaps it.
bool intervals_cover(const Intervals *intervals, int64_t min_t_ms, int64_t max_t_ms);
bool intervals_overlap(const Intervals *intervals, int64_t min_t_ms, int64_t max_t_ms);
