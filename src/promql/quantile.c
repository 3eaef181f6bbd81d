// SPDX-License-Identifier: Apache-2.0
#include "promql/quantile.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "promql/functions.h"

// Relative differences below this between neighbouring buckets are artefacts of floating point: promql/quantile.go.
#define SMALL_DELTA_TOLERANCE 1e-12

// Quantiles of values ------------------------------------------------------------------------------------------------------------

static void swap_values(double *a, double *b)
{
    double t = *a;
    *a = *b;
    *b = t;
}

static int compare_values(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// The median of three becomes values[high].
static double choose_pivot(double *values, size_t low, size_t high)
{
    size_t middle = low + (high - low) / 2;
    if (values[middle] < values[low])
        swap_values(&values[middle], &values[low]);
    if (values[high] < values[low])
        swap_values(&values[high], &values[low]);
    if (values[middle] < values[high])
        swap_values(&values[middle], &values[high]);
    return values[high];
}

// Orders values so that the `rank`th stands at its place, lower ones before, higher ones behind it. No NaN.
static void select_rank(double *values, size_t count, size_t rank)
{
    size_t low = 0, high = count - 1;
    // Splits may be bad on hostile data: then sort what is left.
    for (int rounds = 64; low < high; rounds--) {
        if (rounds == 0) {
            qsort(values + low, high - low + 1, sizeof *values, compare_values);
            return;
        }
        double pivot = choose_pivot(values, low, high);
        size_t below = low, at = low, above = high + 1;
        while (at < above) {
            if (values[at] < pivot)
                swap_values(&values[at++], &values[below++]);
            else if (values[at] > pivot)
                swap_values(&values[at], &values[--above]);
            else
                at++;
        }
        if (rank < below)
            high = below - 1;
        else if (rank >= above)
            low = above;
        else
            return;
    }
}

#define NARROW_COUNT_MIN 4096 // fewer are selected from as they are
#define NARROW_SAMPLES 512
#define NARROW_MARGIN                                                                              \
    32 // ranks in the sample; three times what they stray at most from those of all values, in one case of three

// Where two values lie that hold the ranks between them in all likelihood: those around them in a sample.
static void guess_bounds(const double *values, size_t count, size_t rank, double *ret_low,
                         double *ret_high)
{
    double sample[NARROW_SAMPLES];
    for (size_t i = 0; i < NARROW_SAMPLES; i++)
        sample[i] = values[count * i / NARROW_SAMPLES];
    size_t at = rank * NARROW_SAMPLES / count;
    *ret_low = -INFINITY;
    *ret_high = INFINITY;
    if (at + NARROW_MARGIN < NARROW_SAMPLES) {
        select_rank(sample, NARROW_SAMPLES, at + NARROW_MARGIN);
        *ret_high = sample[at + NARROW_MARGIN];
    }
    if (at >= NARROW_MARGIN) {
        select_rank(sample, NARROW_SAMPLES, at - NARROW_MARGIN);
        *ret_low = sample[at - NARROW_MARGIN];
    }
}

static size_t count_below(const double *values, size_t count, double bound)
{
    size_t below = 0;
    for (size_t i = 0; i < count; i++)
        below += values[i] < bound;
    return below;
}

// Of many values drops all but those around two neighbouring ranks, in two passes without a branch. Returns how many smaller ones went:
// the ranks are lower by that now.
static size_t narrow(double *values, size_t *count, size_t lower, size_t upper)
{
    if (*count < NARROW_COUNT_MIN)
        return 0;
    double low, high;
    guess_bounds(values, *count, lower, &low, &high);
    size_t below = count_below(values, *count, low), kept = 0;
    if (lower < below || upper >= count_below(values, *count, high))
        return 0;
    for (size_t i = 0; i < *count; i++) {
        double value = values[i];
        values[kept] = value;
        kept += value >= low && value < high;
    }
    *count = kept;
    return below;
}

double quantile_of(double q, double *values, size_t count)
{
    if (count == 0 || isnan(q))
        return NAN;
    if (q < 0)
        return -INFINITY;
    if (q > 1)
        return INFINITY;

    size_t nans = 0;
    for (size_t i = 0; i < count; i++)
        if (isnan(values[i]))
            swap_values(&values[i], &values[nans++]);
    double rank = q * (double)(count - 1);
    size_t lower = (size_t)fmax(0, floor(rank));
    size_t upper = MIN(count - 1, lower + 1);
    double weight = rank - floor(rank);
    if (lower < nans) // NaN is the smallest
        return values[lower];

    double *rest = values + nans;
    count -= nans;
    lower -= nans;
    upper -= nans;
    size_t gone = narrow(rest, &count, lower, upper);
    lower -= gone;
    upper -= gone;
    select_rank(rest, count, upper);
    if (lower < upper)
        select_rank(rest, upper, lower);
    return rest[lower] * (1 - weight) + rest[upper] * weight;
}

// Classic buckets ----------------------------------------------------------------------------------------------------------------

// Adds buckets with the same bound together. Returns how many are left.
static size_t coalesce_buckets(ClassicBucket *buckets, size_t count)
{
    size_t out = 0;
    for (size_t i = 1; i < count; i++) {
        if (buckets[i].upper == buckets[out].upper)
            buckets[out].count += buckets[i].count;
        else
            buckets[++out] = buckets[i];
    }
    return out + 1;
}

static bool is_almost_equal(double a, double b)
{
    if (a == b || (isnan(a) && isnan(b)))
        return true;
    double sum = fabs(a) + fabs(b), diff = fabs(a - b);
    if (a == 0 || b == 0 || sum < DBL_MIN)
        return diff < SMALL_DELTA_TOLERANCE * DBL_MIN;
    return diff / fmin(sum, DBL_MAX) < SMALL_DELTA_TOLERANCE;
}

// Counts never fall: ignores what is next to nothing, raises what is lower than its predecessor.
static void make_monotonic(ClassicBucket *buckets, size_t count, MonotonicFix *fix)
{
    *fix = (MonotonicFix){.bucket_min = INFINITY, .bucket_max = -INFINITY};
    double previous = buckets[0].count;
    for (size_t i = 1; i < count; i++) {
        ClassicBucket *b = &buckets[i];
        if (is_almost_equal(previous, b->count)) {
            b->count = previous;
        } else if (b->count < previous) {
            fix->forced = true;
            fix->bucket_min = fmin(fix->bucket_min, b->upper);
            fix->bucket_max = fmax(fix->bucket_max, b->upper);
            fix->diff_max = fmax(fix->diff_max, previous - b->count);
            b->count = previous;
        } else {
            previous = b->count;
        }
    }
}

// The first bucket but the last whose count reaches the rank, else the last.
static size_t find_bucket(const ClassicBucket *buckets, size_t count, double rank)
{
    size_t low = 0, high = count - 1;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (buckets[middle].count >= rank)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

double bucket_quantile(double q, ClassicBucket *buckets, size_t count, MonotonicFix *ret_fix)
{
    *ret_fix = (MonotonicFix){0};
    if (isnan(q))
        return NAN;
    if (q < 0)
        return -INFINITY;
    if (q > 1)
        return INFINITY;
    if (!(buckets[count - 1].upper == INFINITY))
        return NAN;

    count = coalesce_buckets(buckets, count);
    make_monotonic(buckets, count, ret_fix);
    double observations = buckets[count - 1].count;
    if (count < 2 || observations == 0)
        return NAN;
    double rank = q * observations;
    size_t b = find_bucket(buckets, count, rank);
    if (b == count - 1)
        return buckets[count - 2].upper;
    if (b == 0 && buckets[0].upper <= 0)
        return buckets[0].upper;
    double start = 0, end = buckets[b].upper, inside = buckets[b].count;
    if (b > 0) {
        start = buckets[b - 1].upper;
        inside -= buckets[b - 1].count;
        rank -= buckets[b - 1].count;
    }
    return start + (end - start) * (rank / inside);
}

// The rank of one threshold among cumulative counts: how many observations lie below it.
typedef struct Threshold {
    double value;
    double rank;
    bool found;
} Threshold;

static void threshold_classic(Threshold *t, double lower, double upper, double below,
                              double cumulative)
{
    if (t->found)
        return;
    if (lower >= t->value) {
        t->rank = below;
        t->found = true;
    } else if (upper > t->value) {
        // A bucket without a lower end cannot be split.
        t->rank = lower == -INFINITY
                      ? cumulative
                      : below + (cumulative - below) * (t->value - lower) / (upper - lower);
        t->found = true;
    }
}

static double threshold_rank(const Threshold *t, double count)
{
    return !t->found || t->rank > count ? count : t->rank;
}

double bucket_fraction(double lower, double upper, ClassicBucket *buckets, size_t count)
{
    if (!(buckets[count - 1].upper == INFINITY))
        return NAN;
    count = coalesce_buckets(buckets, count);
    double total = buckets[count - 1].count;
    if (total == 0 || isnan(lower) || isnan(upper))
        return NAN;
    if (lower >= upper)
        return 0;

    Threshold low = {.value = lower}, high = {.value = upper};
    double below = 0, start = buckets[0].upper <= 0 ? -INFINITY : 0;
    for (size_t i = 0; i < count && !(low.found && high.found); i++) {
        if (i > 0)
            start = buckets[i - 1].upper;
        threshold_classic(&low, start, buckets[i].upper, below, buckets[i].count);
        threshold_classic(&high, start, buckets[i].upper, below, buckets[i].count);
        below = buckets[i].count;
    }
    return (threshold_rank(&high, total) - threshold_rank(&low, total)) / total;
}

// Native histograms --------------------------------------------------------------------------------------------------------------

static bool is_custom(const Histogram *h)
{
    return h->schema == HISTOGRAM_SCHEMA_CUSTOM;
}

// The zero bucket does not reach to a side that has no buckets.
static void clip_zero_bucket(const Histogram *h, HistogramBucket *bucket)
{
    if (h->negative_count == 0 && h->positive_count > 0)
        bucket->lower = 0;
    else if (h->positive_count == 0 && h->negative_count > 0)
        bucket->upper = 0;
}

static double interpolate_quantile(const Histogram *h, const HistogramBucket *bucket,
                                   double fraction)
{
    if (is_custom(h) || (bucket->lower <= 0 && bucket->upper >= 0))
        return bucket->lower + (bucket->upper - bucket->lower) * fraction;
    double lower = log2(fabs(bucket->lower)), upper = log2(fabs(bucket->upper));
    if (bucket->lower > 0)
        return exp2(lower + (upper - lower) * fraction);
    return -exp2(upper + (lower - upper) * (1 - fraction));
}

// Where the search for the rank ended.
typedef struct RankSearch {
    HistogramBucket bucket; // the last one looked at that is not empty
    double count;           // observations up to and with it
    size_t next;            // buckets looked at
} RankSearch;

static RankSearch search_rank(const HistogramBucket *buckets, size_t bucket_count, bool forward,
                              double rank)
{
    RankSearch search = {0};
    while (search.next < bucket_count) {
        const HistogramBucket *b = &buckets[forward ? search.next : bucket_count - 1 - search.next];
        search.next++;
        search.bucket = *b;
        if (b->count == 0)
            continue;
        search.count += b->count;
        if (search.count >= rank)
            break;
    }
    return search;
}

double histogram_quantile_of(double q, const Histogram *h, Arena *scratch, NanEffect *ret_effect)
{
    *ret_effect = NAN_EFFECT_NONE;
    if (q < 0)
        return -INFINITY;
    if (q > 1)
        return INFINITY;
    if (h->count == 0 || isnan(q))
        return NAN;

    // NaN observations count as the highest: with them only the way up is right.
    bool has_nan = isnan(h->sum), forward = has_nan || q < 0.5;
    double rank = forward ? q * h->count : (1 - q) * h->count;
    HistogramBucket *buckets;
    size_t bucket_count = histogram_buckets(scratch, h, &buckets);
    RankSearch search = search_rank(buckets, bucket_count, forward, rank);
    HistogramBucket bucket = search.bucket;
    if (is_custom(h)) {
        if (bucket.lower == -INFINITY) {
            if (bucket.upper <= 0)
                return bucket.upper;
            bucket.lower = 0;
        } else if (bucket.upper == INFINITY) {
            return bucket.lower;
        }
    } else if (bucket.lower < 0 && bucket.upper > 0) {
        clip_zero_bucket(h, &bucket);
    }
    double count = fmin(search.count, h->count);
    if (count < rank) {
        if (!has_nan)
            return bucket.upper;
        *ret_effect = NAN_EFFECT_RESULT;
        return NAN;
    }
    rank = forward ? rank - (count - bucket.count) : count - rank;
    if (has_nan) {
        // Found among what is left, too: then it was infinities that made the sum NaN. The last bucket seen stays, as in the original.
        for (size_t i = search.next; i < bucket_count; i++) {
            count += buckets[i].count;
            bucket = buckets[i];
        }
        if (count < h->count)
            *ret_effect = NAN_EFFECT_SKEW;
    }
    return interpolate_quantile(h, &bucket, rank / bucket.count);
}

// The share of the bucket that lies below v, which is inside it.
static double fraction_below(const HistogramBucket *bucket, double v, bool linear)
{
    if (linear)
        return (v - bucket->lower) / (bucket->upper - bucket->lower);
    double lower = log2(fabs(bucket->lower)), upper = log2(fabs(bucket->upper)), at = log2(fabs(v));
    return v > 0 ? (at - lower) / (upper - lower) : 1 - (at - upper) / (lower - upper);
}

static void threshold_native(Threshold *t, const HistogramBucket *bucket, double below, bool linear)
{
    if (t->found)
        return;
    if (bucket->lower >= t->value) {
        t->rank = below;
        t->found = true;
    } else if (bucket->upper > t->value) {
        t->rank = linear && bucket->lower == -INFINITY
                      ? bucket->count
                      : below + bucket->count * fraction_below(bucket, t->value, linear);
        t->found = true;
    }
}

double histogram_fraction_of(double lower, double upper, const Histogram *h, Arena *scratch,
                             NanEffect *ret_effect)
{
    *ret_effect = NAN_EFFECT_NONE;
    if (h->count == 0 || isnan(lower) || isnan(upper))
        return NAN;
    if (lower >= upper)
        return 0;

    HistogramBucket *buckets;
    size_t bucket_count = histogram_buckets(scratch, h, &buckets);
    Threshold low = {.value = lower}, high = {.value = upper};
    double below = 0, total = 0;
    for (size_t i = 0; i < bucket_count; i++) {
        HistogramBucket bucket = buckets[i];
        total += bucket.count;
        bool is_zero = bucket.lower <= 0 && bucket.upper >= 0;
        if (is_zero)
            clip_zero_bucket(h, &bucket);
        threshold_native(&low, &bucket, below, is_zero || is_custom(h));
        threshold_native(&high, &bucket, below, is_zero || is_custom(h));
        below += bucket.count;
    }
    if (!isnan(h->sum))
        total = h->count;
    else if (total < h->count)
        *ret_effect = NAN_EFFECT_EXCLUDED;
    return (threshold_rank(&high, total) - threshold_rank(&low, total)) / h->count;
}
