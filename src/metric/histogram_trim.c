// SPDX-License-Identifier: Apache-2.0
// The operators </ and >/: what is left of a histogram on one side of a bound. Where a bucket is cut its observations are taken to be spread
// evenly: on a logarithmic scale in exponential buckets, on a linear one in custom buckets and in the zero bucket.
#include "metric/histogram_internal.h"

typedef struct Trim {
    double bound;
    bool upper; // keep what is below the bound
    bool custom;
    // What is left so far.
    double count;
    double sum;
    bool changed;
} Trim;

// A part of a bucket: how many observations, and the value that stands for them.
typedef struct TrimPart {
    double count;
    double value;
} TrimPart;

static double finite_or_zero(double value)
{
    return isinf(value) ? 0 : value;
}

static double middle_of(const Trim *trim, double lower, double upper, bool positive)
{
    if (isinf(lower)) {
        if (isinf(upper))
            return 0;
        return upper > 0 ? upper / 2 : upper;
    }
    if (isinf(upper))
        return lower;
    if (trim->custom)
        return (lower + upper) / 2;

    double geometric = sqrt(fabs(lower * upper));
    return positive ? geometric : -geometric;
}

// Below the first custom bound. From zero on, if the bound is above zero, the bucket is taken to begin at zero.
static TrimPart part_of_lowest(const Trim *trim, const HistogramBucket *b)
{
    bool finite = !isinf(b->upper);

    if (trim->upper) {
        if (trim->bound >= b->upper)
            return (TrimPart){b->count, 0};
        if (trim->bound > 0 && b->upper > 0 && finite)
            return (TrimPart){b->count * trim->bound / b->upper, trim->bound / 2};
        if (b->upper <= 0)
            return (TrimPart){b->count, trim->bound};
        return (TrimPart){0, finite_or_zero(b->upper)};
    }
    if (trim->bound <= b->lower)
        return (TrimPart){b->count, 0};
    if (trim->bound >= 0 && b->upper > trim->bound && finite)
        return (TrimPart){b->count * (1 - trim->bound / b->upper), (trim->bound + b->upper) / 2};
    return (TrimPart){0, finite_or_zero(b->upper)};
}

// Above the last bound: all observations are taken to be where the bucket begins, or at the trim's bound above that.
static TrimPart part_of_highest(const Trim *trim, const HistogramBucket *b)
{
    if (!trim->upper && trim->bound >= b->lower)
        return (TrimPart){b->count, trim->bound};
    return (TrimPart){0, finite_or_zero(b->lower)};
}

static double share_below(const Trim *trim, const HistogramBucket *b)
{
    if (trim->custom)
        return (trim->bound - b->lower) / (b->upper - b->lower);

    double lower = log2(fabs(b->lower));
    double upper = log2(fabs(b->upper));
    double bound = log2(fabs(trim->bound));
    return trim->bound > 0 ? (bound - lower) / (upper - lower)
                           : 1 - (bound - upper) / (lower - upper);
}

static TrimPart part_of_cut(const Trim *trim, const HistogramBucket *b, bool positive)
{
    if (isinf(b->lower) && b->lower < 0)
        return part_of_lowest(trim, b);
    if (isinf(b->upper) && b->upper > 0)
        return part_of_highest(trim, b);

    double below = b->count * share_below(trim, b);
    if (trim->upper)
        return (TrimPart){below, middle_of(trim, b->lower, trim->bound, positive)};
    return (TrimPart){b->count - below, middle_of(trim, trim->bound, b->upper, positive)};
}

// Returns what stays of one populated bucket and adds it up.
static double trim_bucket(Trim *trim, const HistogramBucket *b, bool positive)
{
    bool whole = trim->upper ? b->upper <= trim->bound : b->lower >= trim->bound;
    bool cut = trim->upper ? b->lower < trim->bound : b->upper > trim->bound;
    TrimPart part = {0, 0};

    if (whole)
        part = (TrimPart){b->count, middle_of(trim, b->lower, b->upper, positive)};
    else if (cut)
        part = part_of_cut(trim, b, positive);
    else
        trim->changed = true;

    trim->changed |= part.count != b->count;
    if (whole || cut) {
        trim->count += part.count;
        trim->sum += part.value * part.count;
    }
    return part.count;
}

// True if any bucket of this side is populated.
static bool trim_side(Trim *trim, const Histogram *h, bool positive, double *kept)
{
    HistogramReader reader;
    size_t at = 0;
    bool populated = false;

    histogram_reader_init(&reader, positive ? histogram_positive(h) : histogram_negative(h), 0);
    for (; histogram_reader_next(&reader); at++) {
        kept[at] = reader.count;
        if (reader.count == 0)
            continue;
        HistogramBucket bucket = histogram_make_bucket(h, &reader, positive);
        kept[at] = trim_bucket(trim, &bucket, positive);
        populated = true;
    }
    return populated;
}

// With buckets on one side only, the zero bucket's observations are on that side, too.
static double trim_zero_bucket(Trim *trim, const Histogram *h, bool has_positive, bool has_negative)
{
    double lower = has_positive && !has_negative ? 0 : -h->zero_threshold;
    double upper = has_negative && !has_positive ? 0 : h->zero_threshold;
    double bound = trim->bound;
    double share;
    double value;

    if (trim->upper ? bound <= lower : bound >= upper) {
        share = 0;
        value = 0;
    } else if (trim->upper ? bound >= upper : bound <= lower) {
        share = 1;
        value = (lower + upper) / 2;
    } else if (trim->upper) {
        share = (bound - lower) / (upper - lower);
        value = (lower + bound) / 2;
    } else {
        share = (upper - bound) / (upper - lower);
        value = (bound + upper) / 2;
    }
    double kept = h->zero_count * share;
    trim->changed |= kept != h->zero_count;
    trim->count += kept;
    trim->sum += value * kept;
    return kept;
}

Histogram *histogram_trim(Arena *arena, const Histogram *h, double bound, bool upper)
{
    Trim trim = {.bound = bound, .upper = upper, .custom = histogram_is_custom(h)};
    Histogram *result = histogram_copy(arena, h);
    double *positive = ARENA_ARRAY(arena, double, h->positive_count);
    double *negative = ARENA_ARRAY(arena, double, h->negative_count);

    bool has_positive = trim_side(&trim, h, true, positive);
    bool has_negative = trim_side(&trim, h, false, negative);
    if (h->zero_count > 0)
        result->zero_count = trim_zero_bucket(&trim, h, has_positive, has_negative);
    result->is_integer = false;
    if (!trim.changed)
        return result;

    result->positive_buckets = positive;
    result->negative_buckets = negative;
    result->count = trim.count;
    result->sum = trim.sum;
    return histogram_compact(arena, result, 0);
}
