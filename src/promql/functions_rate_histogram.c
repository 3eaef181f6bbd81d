// SPDX-License-Identifier: Apache-2.0
#include "promql/function_bodies.h"

static bool is_custom(const Histogram *h)
{
    return h->schema == HISTOGRAM_SCHEMA_CUSTOM;
}

static bool sub_with_notes(RangeNotes *notes, Arena *arena, const Histogram *a, const Histogram *b,
                           Histogram **ret)
{
    bool mismatch = false;
    if (!histogram_sub(arena, a, b, ret, &mismatch)) {
        range_note(notes, NOTE_MIXED_SCHEMAS);
        return false;
    }
    if (mismatch)
        range_note(notes, NOTE_BOUNDS_SUB);
    return true;
}

bool histogram_window_add(RangeNotes *notes, Arena *arena, const Histogram *a, const Histogram *b,
                          Histogram **ret)
{
    bool mismatch = false;
    if (!histogram_add(arena, a, b, ret, &mismatch)) {
        range_note(notes, NOTE_MIXED_SCHEMAS);
        return false;
    }
    if (mismatch)
        range_note(notes, NOTE_BOUNDS_ADD);
    return true;
}

// Hints and flavours of the samples between first and last; the lowest schema of a counter. False: they do not go together.
static bool check_window(RangeNotes *notes, const Histogram *const *h, uint32_t first,
                         uint32_t last, bool custom, bool is_counter, int32_t *schema)
{
    if (!is_counter)
        return true;
    for (uint32_t i = first + 1; i < last; i++) {
        if (h[i]->hint == HINT_GAUGE)
            range_note(notes, NOTE_NOT_COUNTER);
        *schema = MIN(*schema, h[i]->schema);
        if (is_custom(h[i]) != custom) {
            range_note(notes, NOTE_MIXED_SCHEMAS);
            return false;
        }
    }
    return true;
}

Histogram *histogram_window_rate(RangeNotes *notes, Arena *arena, const RangeSeries *series,
                                 uint32_t first, uint32_t last, bool is_counter)
{
    const Histogram *const *h = series->samples.histograms;
    const Histogram *previous = h[first], *newest = h[last];
    Histogram nothing;
    if (is_counter && (previous->hint == HINT_GAUGE || newest->hint == HINT_GAUGE))
        range_note(notes, NOTE_NOT_COUNTER);
    // Behind a reset the first sample's buckets do not matter.
    if (is_counter &&
        (range_start_reset(series, first + 1) || histogram_detect_reset(previous, h[first + 1]))) {
        const Histogram *second = h[first + 1];
        nothing = (Histogram){.schema = second->schema,
                              .custom_bounds = second->custom_bounds,
                              .custom_count = second->custom_count};
        previous = &nothing;
    }
    bool custom = is_custom(previous);
    if (is_custom(newest) != custom) {
        range_note(notes, NOTE_MIXED_SCHEMAS);
        return NULL;
    }
    int32_t schema = MIN(newest->schema, previous->schema);
    if (!check_window(notes, h, first, last, custom, is_counter, &schema))
        return NULL;

    if (!custom && schema < newest->schema)
        newest = histogram_reduce(arena, newest, schema);
    Histogram *result;
    if (!sub_with_notes(notes, arena, newest, previous, &result))
        return NULL;
    if (is_counter) {
        for (uint32_t i = first + 1; i <= last; i++) {
            if ((range_start_reset(series, i) || histogram_detect_reset(previous, h[i])) &&
                !histogram_window_add(notes, arena, result, previous, &result))
                return NULL;
            previous = h[i];
        }
    } else if (h[first]->hint != HINT_GAUGE || h[last]->hint != HINT_GAUGE) {
        range_note(notes, NOTE_NOT_GAUGE);
    }
    result->hint = HINT_GAUGE;
    return histogram_compact(arena, result, 0);
}

// Anchored and smoothed ----------------------------------------------------------------------------------------------------------

HistogramBetween histogram_between(Arena *arena, const Histogram *h1, const Histogram *h2,
                                   double fraction, bool is_counter)
{
    HistogramBetween between = {0};
    if (is_counter && histogram_detect_reset(h1, h2)) {
        between.histogram = histogram_scale(arena, h2, fraction);
        return between;
    }
    HistogramHint hint = h2->hint;
    Histogram *result;
    if (!histogram_sub(arena, h2, h1, &result, &between.mismatch_sub))
        return between;
    result = histogram_scale(arena, result, fraction);
    if (!histogram_add(arena, result, h1, &result, &between.mismatch_add))
        return between;
    // Differences are gauges; that a counter was interpolated makes it none.
    if (is_counter)
        result->hint = hint;
    between.histogram = result;
    return between;
}

// The histogram at t_ms between samples i and i + 1.
static bool interpolate(RangeNotes *notes, Arena *arena, const RangeSeries *series, uint32_t i,
                        int64_t t_ms, bool is_counter, const Histogram **ret)
{
    const Histogram *h1 = series->samples.histograms[i], *h2 = series->samples.histograms[i + 1];
    int64_t t1 = series->samples.t_ms[i], t2 = series->samples.t_ms[i + 1];
    if (t_ms == t1 || t_ms == t2) {
        *ret = t_ms == t1 ? h1 : h2;
        return true;
    }
    double fraction = (double)(t_ms - t1) / (double)(t2 - t1);
    HistogramBetween between = histogram_between(arena, h1, h2, fraction, is_counter);
    if (between.mismatch_sub)
        range_note(notes, NOTE_BOUNDS_SUB);
    if (between.mismatch_add)
        range_note(notes, NOTE_BOUNDS_ADD);
    if (!between.histogram)
        range_note(notes, NOTE_MIXED_SCHEMAS);
    *ret = between.histogram;
    return between.histogram != NULL;
}

static bool window_is_uniform(RangeNotes *notes, const Histogram *const *h, uint32_t first,
                              uint32_t last, bool is_counter)
{
    for (uint32_t i = first; i <= last; i++) {
        if (is_custom(h[i]) != is_custom(h[first])) {
            range_note(notes, NOTE_MIXED_SCHEMAS);
            return false;
        }
        if (is_counter && h[i]->hint == HINT_GAUGE)
            range_note(notes, NOTE_NOT_COUNTER);
    }
    return true;
}

// Adds what was lost at resets between the edges to *result.
static bool add_extended_resets(RangeNotes *notes, Arena *arena, const RangeSeries *series,
                                uint32_t first, uint32_t last, const Histogram *left,
                                const Histogram *right, int64_t start_ms, bool smoothed,
                                Histogram **result)
{
    const Histogram *const *h = series->samples.histograms;
    uint32_t from = first + 1;
    const Histogram *previous = left;
    if (smoothed && series->samples.t_ms[first] < start_ms &&
        histogram_detect_reset(h[first], h[first + 1])) {
        // That reset is in the left edge already.
        previous = h[first + 1];
        from++;
    }
    if (from > last)
        return true;
    // The sample at `last` is the right edge, or made it.
    for (uint32_t i = from; i < last; i++) {
        if (histogram_detect_reset(previous, h[i]) &&
            !histogram_window_add(notes, arena, *result, previous, result))
            return false;
        previous = h[i];
    }
    return !histogram_detect_reset(previous, right) ||
           histogram_window_add(notes, arena, *result, previous, result);
}

Histogram *histogram_window_extended(RangeNotes *notes, Arena *arena, const RangeSeries *series,
                                     uint32_t first, uint32_t last, int64_t start_ms,
                                     int64_t end_ms, bool smoothed, bool is_counter)
{
    const SampleColumns *samples = &series->samples;
    const Histogram *const *h = samples->histograms;
    if (!window_is_uniform(notes, h, first, last, is_counter))
        return NULL;
    const Histogram *left = h[first], *right = h[last];
    if (smoothed && samples->t_ms[first] < start_ms &&
        !interpolate(notes, arena, series, first, start_ms, is_counter, &left))
        return NULL;
    if (smoothed && last > first && samples->t_ms[last] > end_ms &&
        !interpolate(notes, arena, series, last - 1, end_ms, is_counter, &right))
        return NULL;
    if (!is_counter && (left->hint != HINT_GAUGE || right->hint != HINT_GAUGE))
        range_note(notes, NOTE_NOT_GAUGE);
    Histogram *result;
    if (!sub_with_notes(notes, arena, right, left, &result))
        return NULL;
    if (is_counter && !add_extended_resets(notes, arena, series, first, last, left, right, start_ms,
                                           smoothed, &result))
        return NULL;
    return result;
}
