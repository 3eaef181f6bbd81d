// SPDX-License-Identifier: Apache-2.0
// What is asked of histograms: is it well formed, are two the same, did the counter start anew.
#include "base/number.h"
#include "metric/histogram_internal.h"

// ---- validity

static bool check_spans(const HistogramSpan *spans, uint32_t span_count, uint32_t bucket_count,
                        bool first_may_be_negative, uint64_t *ret_reach, Error *err)
{
    uint64_t buckets = 0;
    int64_t reach = 0;

    for (uint32_t i = 0; i < span_count; i++) {
        if (spans[i].offset < 0 && (i > 0 || !first_may_be_negative))
            return error_set(err, ERR_INVALID,
                             "span number %u with offset %d: histogram has a span whose offset is "
                             "negative",
                             i + 1, spans[i].offset);
        buckets += spans[i].length;
        reach += (int64_t)spans[i].offset + spans[i].length;
        if (reach > INT32_MAX)
            return error_set(err, ERR_INVALID, "span number %u ends beyond the last bucket index",
                             i + 1);
    }
    if (buckets != bucket_count)
        return error_set(err, ERR_INVALID,
                         "spans need %llu buckets, have %u buckets: histogram spans specify "
                         "different number of buckets than provided",
                         (unsigned long long)buckets, bucket_count);
    *ret_reach = (uint64_t)MAX(reach, 0);
    return true;
}

static bool check_buckets(const double *buckets, uint32_t count, double *total, Error *err)
{
    for (uint32_t i = 0; i < count; i++) {
        if (buckets[i] < 0)
            return error_set(err, ERR_INVALID,
                             "bucket number %u has observation count of %g: histogram has a bucket "
                             "whose observation count is negative",
                             i + 1, buckets[i]);
        *total += buckets[i];
    }
    return true;
}

static bool check_bounds(const Histogram *h, Error *err)
{
    for (uint32_t i = 0; i < h->custom_count; i++) {
        double bound = h->custom_bounds[i];
        if (isnan(bound))
            return error_set(err, ERR_INVALID, "histogram custom bounds must not be NaN");
        if (i > 0 && bound <= h->custom_bounds[i - 1])
            return error_set(err, ERR_INVALID,
                             "previous bound is %f and current is %f: histogram custom bounds must "
                             "be in strictly increasing order",
                             h->custom_bounds[i - 1], bound);
        if (i + 1 == h->custom_count && bound == INFINITY)
            return error_set(err, ERR_INVALID,
                             "last +Inf bound must not be explicitly defined: histogram custom "
                             "bounds must be finite");
    }
    return true;
}

static bool check_custom(const Histogram *h, Error *err)
{
    uint64_t reach;

    if (!check_bounds(h, err) || !check_spans(h->positive_spans, h->positive_span_count,
                                              h->positive_count, false, &reach, err))
        return error_context(err, "custom buckets");
    if ((uint64_t)h->custom_count + 1 < reach)
        return error_set(err, ERR_INVALID,
                         "custom buckets: only %u custom bounds defined which is insufficient to "
                         "cover total span length of %llu",
                         h->custom_count, (unsigned long long)reach);
    if (h->zero_count != 0)
        return error_set(err, ERR_INVALID, "custom buckets: must have zero count of 0");
    if (h->zero_threshold != 0)
        return error_set(err, ERR_INVALID, "custom buckets: must have zero threshold of 0");
    if (h->negative_span_count > 0)
        return error_set(err, ERR_INVALID, "custom buckets: must not have negative spans");
    if (h->negative_count > 0)
        return error_set(err, ERR_INVALID, "custom buckets: must not have negative buckets");
    return true;
}

static bool check_exponential(const Histogram *h, double *total, Error *err)
{
    uint64_t reach;

    if (!check_spans(h->positive_spans, h->positive_span_count, h->positive_count, true, &reach,
                     err))
        return error_context(err, "positive side");
    if (!check_spans(h->negative_spans, h->negative_span_count, h->negative_count, true, &reach,
                     err) ||
        !check_buckets(h->negative_buckets, h->negative_count, total, err))
        return error_context(err, "negative side");
    if (h->zero_count < 0)
        return error_set(err, ERR_INVALID,
                         "zero bucket has observation count of %g: histogram has "
                         "a bucket whose observation count is negative",
                         h->zero_count);
    if (h->custom_count > 0)
        return error_set(err, ERR_INVALID,
                         "histogram with exponential schema must not have custom bounds");
    return true;
}

static bool check_total(const Histogram *h, double total, Error *err)
{
    if (isnan(h->sum) ? total > h->count : total != h->count)
        return error_set(err, ERR_INVALID,
                         "%.0f observations found in buckets, but the Count field is %.0f: "
                         "histogram's observation count should %s",
                         total, h->count,
                         isnan(h->sum)
                             ? "be at least the number of observations found in the buckets"
                             : "equal the number of observations found in the buckets (in absence "
                               "of NaN)");
    return true;
}

bool histogram_validate(const Histogram *h, Error *err)
{
    double total = 0;

    if ((uint64_t)h->positive_count + h->negative_count > HISTOGRAM_BUCKETS_MAX ||
        h->custom_count > HISTOGRAM_BUCKETS_MAX)
        return error_set(err, ERR_LIMIT, "histogram has more than %d buckets",
                         HISTOGRAM_BUCKETS_MAX);
    if (histogram_is_custom(h)) {
        if (!check_custom(h, err))
            return false;
    } else if (h->schema < HISTOGRAM_SCHEMA_MIN || h->schema > HISTOGRAM_SCHEMA_MAX) {
        return error_set(err, ERR_INVALID,
                         "histogram has an invalid schema, which must be between %d and %d for "
                         "exponential buckets, or %d for custom buckets, got schema %d",
                         HISTOGRAM_SCHEMA_MIN, HISTOGRAM_SCHEMA_MAX, HISTOGRAM_SCHEMA_CUSTOM,
                         h->schema);
    } else if (!check_exponential(h, &total, err)) {
        return false;
    }
    if (h->count < 0)
        return error_set(err, ERR_INVALID,
                         "observation count is %g: histogram's observation count "
                         "is negative",
                         h->count);
    if (!check_buckets(h->positive_buckets, h->positive_count, &total, err))
        return error_context(err, "positive side");
    return !h->is_integer || check_total(h, total + h->zero_count, err);
}

bool histogram_accept(Arena *arena, const Histogram **h, Error *err)
{
    Histogram known = **h;

    if (known.schema <= HISTOGRAM_SCHEMA_MAX || known.schema > HISTOGRAM_SCHEMA_RESERVED_MAX)
        return histogram_validate(*h, err);
    known.schema = HISTOGRAM_SCHEMA_MAX; // the rules for its buckets are the same
    if (!histogram_validate(&known, err))
        return false;
    *h = histogram_reduce(arena, *h, HISTOGRAM_SCHEMA_MAX);
    return true;
}

// ---- equality

static bool same_bits(double a, double b)
{
    return double_bits(a) == double_bits(b);
}

// The same buckets, however the spans are cut.
static bool same_side(HistogramSide a, HistogramSide b)
{
    HistogramReader left;
    HistogramReader right;

    if (a.bucket_count != b.bucket_count)
        return false;
    histogram_reader_init(&left, a, 0);
    histogram_reader_init(&right, b, 0);
    while (histogram_reader_next(&left))
        if (!histogram_reader_next(&right) || left.index != right.index ||
            !same_bits(left.count, right.count))
            return false;

    return !histogram_reader_next(&right);
}

bool histogram_equal(const Histogram *a, const Histogram *b)
{
    return a->schema == b->schema && same_bits(a->count, b->count) && same_bits(a->sum, b->sum) &&
           (!histogram_is_custom(a) || histogram_same_bounds(a, b)) &&
           a->zero_threshold == b->zero_threshold && same_bits(a->zero_count, b->zero_count) &&
           same_side(histogram_negative(a), histogram_negative(b)) &&
           same_side(histogram_positive(a), histogram_positive(b));
}

// ---- counter resets

// Moves to the first bucket that lies above the zero bucket.
static bool first_above(HistogramReader *reader, int32_t schema, double threshold)
{
    while (histogram_reader_next(reader))
        if (threshold == 0 || schema == HISTOGRAM_SCHEMA_CUSTOM ||
            histogram_bound(reader->index, schema) > threshold)
            return true;

    return false;
}

// A populated bucket of `before` that is smaller or missing in `after`, which gives the resolution.
static bool side_shrank(HistogramSide before, int before_shift, HistogramSide after,
                        const Histogram *next)
{
    HistogramReader old;
    HistogramReader new;

    histogram_reader_init(&old, before, before_shift);
    histogram_reader_init(&new, after, 0);
    bool has_old = first_above(&old, next->schema, next->zero_threshold);
    bool has_new = first_above(&new, next->schema, next->zero_threshold);
    for (; has_old; has_old = histogram_reader_next(&old)) {
        while (has_new && new.index < old.index)
            has_new = histogram_reader_next(&new);
        bool matched = has_new && new.index == old.index;
        if (matched ? new.count < old.count : old.count != 0)
            return true;
    }
    return false;
}

// The buckets between two neighbours of the bounds that both have, +Inf behind the last.
static double segment_count(HistogramReader *reader, bool *there, const Histogram *h, double bound)
{
    double count = 0;

    while (*there && histogram_bound_of(h, reader->index) <= bound) {
        count += reader->count;
        *there = histogram_reader_next(reader);
    }
    return count;
}

static bool custom_shrank(const Histogram *previous, const Histogram *next)
{
    HistogramReader old;
    HistogramReader new;
    uint32_t i = 0;
    uint32_t j = 0;

    histogram_reader_init(&old, histogram_positive(previous), 0);
    histogram_reader_init(&new, histogram_positive(next), 0);
    bool has_old = histogram_reader_next(&old);
    bool has_new = histogram_reader_next(&new);
    while (i <= previous->custom_count && j <= next->custom_count) {
        double old_bound = histogram_bound_of(previous, (int32_t)i);
        double new_bound = histogram_bound_of(next, (int32_t)j);
        if (old_bound == new_bound) {
            if (segment_count(&new, &has_new, next, new_bound) <
                segment_count(&old, &has_old, previous, new_bound))
                return true;
            i++;
            j++;
        } else if (new_bound < old_bound) {
            j++;
        } else {
            i++;
        }
    }
    return false;
}

bool histogram_detect_reset(const Histogram *previous, const Histogram *next)
{
    double threshold = next->zero_threshold;
    double error;

    if (next->hint == HINT_RESET)
        return true;
    if (next->hint == HINT_NO_RESET)
        return false;
    if (next->count < previous->count)
        return true;
    if (histogram_is_custom(next)) {
        if (!histogram_is_custom(previous))
            return true;
        if (!histogram_same_bounds(previous, next))
            return custom_shrank(previous, next);
    }
    if (next->schema > previous->schema || next->zero_threshold < previous->zero_threshold)
        return true;
    if (next->zero_count < histogram_zero_count_for(previous, NULL, &threshold, &error) ||
        threshold != next->zero_threshold)
        return true;

    int shift = previous->schema - next->schema;
    return side_shrank(histogram_positive(previous), shift, histogram_positive(next), next) ||
           side_shrank(histogram_negative(previous), shift, histogram_negative(next), next);
}

static bool any_infinite(const double *numbers, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (isinf(numbers[i]))
            return true;

    return false;
}

bool histogram_has_overflow(const Histogram *h)
{
    return isinf(h->zero_count) || isinf(h->count) || isinf(h->sum) ||
           any_infinite(h->positive_buckets, h->positive_count) ||
           any_infinite(h->negative_buckets, h->negative_count) ||
           any_infinite(h->custom_bounds, h->custom_count);
}
