// SPDX-License-Identifier: Apache-2.0
#include "tsdb/intervals.h"

#include <stdlib.h>
#include <string.h>

void intervals_deinit(Intervals *intervals)
{
    free(intervals->items);
    *intervals = (Intervals){NULL, 0, 0};
}

// True if b begins behind a with a gap between them.
static bool is_apart(Interval a, Interval b)
{
    return a.max_t_ms < INT64_MAX && a.max_t_ms + 1 < b.min_t_ms;
}

void intervals_add(Intervals *intervals, Interval interval)
{
    size_t from = 0, to;

    while (from < intervals->count && is_apart(intervals->items[from], interval))
        from++;
    for (to = from; to < intervals->count && !is_apart(interval, intervals->items[to]); to++) {
        interval.min_t_ms = MIN(interval.min_t_ms, intervals->items[to].min_t_ms);
        interval.max_t_ms = MAX(interval.max_t_ms, intervals->items[to].max_t_ms);
    }
    if (from == to && intervals->count == intervals->cap) {
        intervals->cap = intervals->cap ? 2 * intervals->cap : 1;
        intervals->items =
            (Interval *)x_realloc(intervals->items, intervals->cap * sizeof *intervals->items);
    }
    memmove(intervals->items + from + 1, intervals->items + to,
            (intervals->count - to) * sizeof *intervals->items);
    intervals->items[from] = interval;
    intervals->count = intervals->count + 1 - (to - from);
}

// The first that ends at or behind t_ms, or count.
static size_t find(const Intervals *intervals, int64_t t_ms)
{
    size_t low = 0, high = intervals->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (intervals->items[middle].max_t_ms < t_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool intervals_contain(const Intervals *intervals, int64_t t_ms)
{
    return intervals_overlap(intervals, t_ms, t_ms);
}

bool intervals_cover(const Intervals *intervals, int64_t min_t_ms, int64_t max_t_ms)
{
    size_t i = find(intervals, min_t_ms);
    return i < intervals->count && intervals->items[i].min_t_ms <= min_t_ms &&
           intervals->items[i].max_t_ms >= max_t_ms;
}

bool intervals_overlap(const Intervals *intervals, int64_t min_t_ms, int64_t max_t_ms)
{
    size_t i = find(intervals, min_t_ms);
    return i < intervals->count && intervals->items[i].min_t_ms <= max_t_ms;
}
