// SPDX-License-Identifier: Apache-2.0
// The trim operators of PromQL, as FloatHistogram.TrimBuckets of the original.
#include <math.h>

#include "metric/histogram.h"

typedef struct TrimRun {
    double bound;
    bool upper;
    bool custom;
    double zero_threshold;
    bool has_positive, has_negative;
    double count, sum;
    bool changed;
} TrimRun;

// The value that stands for the observations between two bounds.
static double middle(const TrimRun *run, double lower, double upper)
{
    if (isinf(lower))
        return isinf(upper) ? 0 : upper > 0 ? upper / 2 : upper;
    if (isinf(upper))
        return lower;
    if (run->custom || lower <= 0 || upper <= 0) {
        bool both_negative = lower < 0 && upper < 0 && !run->custom;
        return both_negative ? -sqrt(lower * upper) : (lower + upper) / 2;
    }
    return sqrt(lower * upper);
}

// Which share of a bucket lies below the bound: by logarithm in exponential buckets, linear in custom and zero buckets.
static double share_below(const TrimRun *run, double lower, double upper, bool linear)
{
    if (run->bound >= upper)
        return 1;
    if (run->bound <= lower)
        return 0;
    // Nothing is known about where observations lie in an open bucket: they are taken to be at its finite end.
    if (isinf(lower))
        return 1;
    if (isinf(upper))
        return 0;
    if (linear || run->custom)
        return (run->bound - lower) / (upper - lower);
    if (lower >= 0)
        return (log2(run->bound) - log2(lower)) / (log2(upper) - log2(lower));
    return 1 - (log2(-run->bound) - log2(-upper)) / (log2(-lower) - log2(-upper));
}

// What is left of one bucket's count.
static double trim_bucket(TrimRun *run, double lower, double upper, double count, bool zero_bucket)
{
    if (count == 0)
        return 0;
    double below = share_below(run, lower, upper, zero_bucket);
    double kept = count * (run->upper ? below : 1 - below);
    double from = lower;
    double to = upper;
    if (run->upper)
        to = fmin(upper, run->bound);
    else
        from = fmax(lower, run->bound);
    run->changed |= kept != count;
    if (kept == 0)
        return 0;
    run->count += kept;
    // A zero bucket next to only one sign of buckets holds observations of that sign.
    if (zero_bucket && run->has_positive && !run->has_negative)
        from = fmax(from, 0);
    if (zero_bucket && run->has_negative && !run->has_positive)
        to = fmin(to, 0);
    run->sum += kept * (zero_bucket ? (from + to) / 2 : middle(run, from, to));
    return kept;
}

Histogram *histogram_trim(Arena *arena, const Histogram *h, double bound, bool upper)
{
    Histogram *out = histogram_copy(arena, h);
    out->is_integer = false;
    double *positive = ARENA_ARRAY(arena, double, h->positive_count + 1);
    double *negative = ARENA_ARRAY(arena, double, h->negative_count + 1);
    TrimRun run = {
        .bound = bound,
        .upper = upper,
        .custom = h->schema == HISTOGRAM_SCHEMA_CUSTOM,
        .zero_threshold = h->zero_threshold,
        .has_positive = h->positive_count > 0,
        .has_negative = h->negative_count > 0,
    };
    size_t at = 0;
    int32_t index = 0;
    for (uint32_t s = 0; s < h->positive_span_count; s++) {
        index += h->positive_spans[s].offset;
        for (uint32_t i = 0; i < h->positive_spans[s].length && at < h->positive_count;
             i++, index++, at++) {
            double to = run.custom ? ((uint32_t)index < h->custom_count ? h->custom_bounds[index]
                                                                        : INFINITY)
                                   : histogram_bound(index, h->schema);
            double from = run.custom ? (index > 0 ? h->custom_bounds[index - 1] : -INFINITY)
                                     : histogram_bound(index - 1, h->schema);
            positive[at] = trim_bucket(&run, from, to, h->positive_buckets[at], false);
        }
    }
    at = 0;
    index = 0;
    for (uint32_t s = 0; s < h->negative_span_count; s++) {
        index += h->negative_spans[s].offset;
        for (uint32_t i = 0; i < h->negative_spans[s].length && at < h->negative_count;
             i++, index++, at++)
            negative[at] =
                trim_bucket(&run, -histogram_bound(index, h->schema),
                            -histogram_bound(index - 1, h->schema), h->negative_buckets[at], false);
    }
    if (!run.custom)
        out->zero_count =
            trim_bucket(&run, -h->zero_threshold, h->zero_threshold, h->zero_count, true);
    out->positive_buckets = positive;
    out->negative_buckets = negative;
    if (run.changed) {
        out->count = run.count;
        out->sum = run.sum;
    }
    return histogram_compact(arena, out, 0);
}
