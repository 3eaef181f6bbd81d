// SPDX-License-Identifier: Apache-2.0
// Sums and differences. The two need not have the same resolution, zero bucket or custom bounds: the coarser of each wins.
#include "metric/histogram_internal.h"

// Zero on both sides of the sum and its error: what one of the two is made of.
typedef struct Operands {
    Histogram sum;    // starts as a copy of a's numbers, with a's views
    Histogram errors; // the compensation, with a's layout
    bool with_errors;
    bool negate_b;
} Operands;

static HistogramHint combine_hints(HistogramHint a, HistogramHint b)
{
    if (a == b)
        return a;
    return a == HINT_GAUGE || b == HINT_GAUGE ? HINT_GAUGE : HINT_UNKNOWN;
}

bool histogram_hints_collide(const Histogram *a, const Histogram *b)
{
    return (a->hint == HINT_RESET && b->hint == HINT_NO_RESET) ||
           (a->hint == HINT_NO_RESET && b->hint == HINT_RESET);
}

// ---- the zero bucket

static uint32_t count_into_zero(const Histogram *h, const double *errors, bool positive,
                                double *threshold, double *count, double *error, bool *ret_raised)
{
    HistogramSide side = positive ? histogram_positive(h) : histogram_negative(h);
    HistogramReader reader;
    uint32_t taken = 0;

    side.errors = errors;
    *ret_raised = false;
    histogram_reader_init(&reader, side, 0);
    while (histogram_reader_next(&reader)) {
        double near_end = histogram_bound_of(h, (int32_t)((uint32_t)reader.index - 1));
        double far_end = histogram_bound_of(h, reader.index);
        if (near_end >= *threshold)
            break;
        taken++;
        kahan_add(reader.count, count, error);
        if (errors)
            kahan_add(reader.error, count, error);
        if (far_end > *threshold) {
            if (reader.count != 0) {
                *threshold = far_end;
                *ret_raised = true;
            }
            break;
        }
    }
    return taken;
}

double histogram_zero_count_for(const Histogram *h, const Histogram *h_errors, double *threshold,
                                double *ret_error)
{
    double begin_error = h_errors ? h_errors->zero_count : 0;
    double count;
    double error;
    bool raised;

    *ret_error = begin_error;
    if (*threshold == h->zero_threshold)
        return h->zero_count;

    // A raised threshold may cut a bucket of the other side: then both are counted again.
    error = begin_error;
    do {
        count = h->zero_count;
        count_into_zero(h, h_errors ? h_errors->positive_buckets : NULL, true, threshold, &count,
                        &error, &raised);
        count_into_zero(h, h_errors ? h_errors->negative_buckets : NULL, false, threshold, &count,
                        &error, &raised);
    } while (raised);
    *ret_error = error;
    return count;
}

// Buckets that lie below the threshold, wholly or in part, are in the zero bucket now.
static HistogramWriter trim_side(const Histogram *h, HistogramSide side, Arena *arena)
{
    HistogramReader reader;
    HistogramWriter writer;

    histogram_writer_init(&writer, arena, side.bucket_count, side.errors != NULL);
    histogram_reader_init(&reader, side, 0);
    while (histogram_reader_next(&reader)) {
        double near_end = histogram_bound_of(h, (int32_t)((uint32_t)reader.index - 1));
        if (near_end >= h->zero_threshold && (reader.count != 0 || reader.error != 0))
            histogram_writer_add(&writer, reader.index, reader.count, reader.error);
    }
    return writer;
}

static void put_errors(Histogram *errors, const HistogramWriter *writer, bool positive)
{
    HistogramWriter shadow = *writer;

    shadow.buckets = writer->errors;
    if (positive)
        histogram_writer_positive(&shadow, errors);
    else
        histogram_writer_negative(&shadow, errors);
}

static void trim_into_zero_bucket(Operands *op, Arena *arena)
{
    HistogramSide positive = histogram_positive(&op->sum);
    HistogramSide negative = histogram_negative(&op->sum);

    if (op->with_errors) {
        positive.errors = op->errors.positive_buckets;
        negative.errors = op->errors.negative_buckets;
    }
    HistogramWriter trimmed_positive = trim_side(&op->sum, positive, arena);
    HistogramWriter trimmed_negative = trim_side(&op->sum, negative, arena);
    histogram_writer_positive(&trimmed_positive, &op->sum);
    histogram_writer_negative(&trimmed_negative, &op->sum);
    if (op->with_errors) {
        put_errors(&op->errors, &trimmed_positive, true);
        put_errors(&op->errors, &trimmed_negative, false);
    }
}

// Widens the narrower zero bucket until both are equally wide. Returns b's count in it.
static double reconcile_zero_buckets(Operands *op, const Histogram *b, Arena *arena,
                                     double *ret_b_error)
{
    Histogram *sum = &op->sum;
    double b_count = b->zero_count;
    double b_threshold = b->zero_threshold;
    double error = 0;

    *ret_b_error = 0;
    while (b_threshold != sum->zero_threshold) {
        if (sum->zero_threshold > b_threshold) {
            b_threshold = sum->zero_threshold;
            b_count = histogram_zero_count_for(b, NULL, &b_threshold, ret_b_error);
        }
        if (b_threshold > sum->zero_threshold) {
            double threshold = b_threshold;
            sum->zero_count = histogram_zero_count_for(sum, op->with_errors ? &op->errors : NULL,
                                                       &threshold, &error);
            sum->zero_threshold = threshold;
            if (op->with_errors)
                op->errors.zero_count = error;
            trim_into_zero_bucket(op, arena);
        }
        // A NaN is equal to nothing: no zero bucket is as wide as that.
        if (isnan(b_threshold) || isnan(sum->zero_threshold))
            break;
    }
    return b_count;
}

// ---- buckets

typedef struct Term {
    HistogramReader reader;
    bool there;
} Term;

static void term_next(Term *term)
{
    term->there = histogram_reader_next(&term->reader);
}

static void add_term(const Operands *op, const Term *b, double *count, double *error)
{
    double b_count = op->negate_b ? -b->reader.count : b->reader.count;
    double b_error = op->negate_b ? -b->reader.error : b->reader.error;

    kahan_add(b_count, count, error);
    if (b_error != 0)
        kahan_add(b_error, count, error);
}

// Merges b's side into the sum's. Both are read at the sum's new resolution; b's buckets inside the zero bucket are left out.
static HistogramWriter merge_sides(const Operands *op, HistogramSide a_side, int a_shift,
                                   HistogramSide b_side, int b_shift, Arena *arena)
{
    HistogramWriter writer;
    Term a = {0};
    Term b = {0};
    bool custom = histogram_is_custom(&op->sum);

    histogram_writer_init(&writer, arena, (size_t)a_side.bucket_count + b_side.bucket_count,
                          op->with_errors);
    histogram_reader_init(&a.reader, a_side, a_shift);
    histogram_reader_init(&b.reader, b_side, b_shift);
    term_next(&a);
    term_next(&b);
    while (!custom && b.there &&
           histogram_bound(b.reader.index, op->sum.schema) <= op->sum.zero_threshold)
        term_next(&b);

    while (a.there || b.there) {
        double count = 0;
        double error = 0;
        bool from_a = a.there && (!b.there || a.reader.index <= b.reader.index);
        bool from_b = b.there && (!a.there || b.reader.index <= a.reader.index);
        int32_t index = from_a ? a.reader.index : b.reader.index;
        if (from_a) {
            count = a.reader.count;
            error = a.reader.error;
        }
        if (from_a && from_b) {
            add_term(op, &b, &count, &error);
        } else if (from_b) {
            count = op->negate_b ? -b.reader.count : b.reader.count;
            error = op->negate_b ? -b.reader.error : b.reader.error;
        }
        histogram_writer_add(&writer, index, count, error);
        if (from_a)
            term_next(&a);
        if (from_b)
            term_next(&b);
    }
    return writer;
}

static void merge_exponential(Operands *op, const Histogram *b, Arena *arena)
{
    Histogram *sum = &op->sum;
    int32_t schema = MIN(sum->schema, b->schema);
    int a_shift = sum->schema - schema;
    int b_shift = b->schema - schema;
    HistogramSide positive = histogram_positive(sum);
    HistogramSide negative = histogram_negative(sum);

    if (op->with_errors) {
        positive.errors = op->errors.positive_buckets;
        negative.errors = op->errors.negative_buckets;
    }
    sum->schema = schema;
    HistogramWriter merged_positive =
        merge_sides(op, positive, a_shift, histogram_positive(b), b_shift, arena);
    HistogramWriter merged_negative =
        merge_sides(op, negative, a_shift, histogram_negative(b), b_shift, arena);
    histogram_writer_positive(&merged_positive, sum);
    histogram_writer_negative(&merged_negative, sum);
    if (op->with_errors) {
        put_errors(&op->errors, &merged_positive, true);
        put_errors(&op->errors, &merged_negative, false);
        op->errors.schema = schema;
        op->errors.zero_threshold = sum->zero_threshold;
    }
}

// ---- custom bounds

bool histogram_same_bounds(const Histogram *a, const Histogram *b)
{
    if (a->custom_count != b->custom_count)
        return false;
    for (uint32_t i = 0; i < a->custom_count; i++)
        if (a->custom_bounds[i] != b->custom_bounds[i])
            return false;

    return true;
}

uint32_t histogram_common_bounds(const Histogram *a, const Histogram *b, double *ret_bounds)
{
    uint32_t count = 0;
    uint32_t i = 0;
    uint32_t j = 0;

    while (i < a->custom_count && j < b->custom_count) {
        if (a->custom_bounds[i] == b->custom_bounds[j]) {
            ret_bounds[count++] = a->custom_bounds[i++];
            j++;
        } else if (a->custom_bounds[i] < b->custom_bounds[j]) {
            i++;
        } else {
            j++;
        }
    }
    return count;
}

// Pours each bucket into the one whose bound is the first common one that is not below its own; the last is the +Inf bucket.
static void pour(const Histogram *h, const double *h_errors, bool negate, const double *bounds,
                 uint32_t bound_count, double *counts, double *errors)
{
    HistogramSide side = histogram_positive(h);
    HistogramReader reader;
    uint32_t to = 0;

    side.errors = h_errors;
    histogram_reader_init(&reader, side, 0);
    while (histogram_reader_next(&reader)) {
        double bound = histogram_bound_of(h, reader.index);
        while (to < bound_count && !(bounds[to] >= bound))
            to++;
        kahan_add(negate ? -reader.count : reader.count, &counts[to], &errors[to]);
        if (h_errors)
            kahan_add(reader.error, &counts[to], &errors[to]);
    }
}

static void merge_custom(Operands *op, const Histogram *b, Arena *arena, bool *ret_mismatch)
{
    Histogram *sum = &op->sum;
    const double *a_errors = op->with_errors ? op->errors.positive_buckets : NULL;
    HistogramWriter writer;

    *ret_mismatch = !histogram_same_bounds(sum, b);
    if (!*ret_mismatch) {
        HistogramSide side = histogram_positive(sum);
        side.errors = a_errors;
        writer = merge_sides(op, side, 0, histogram_positive(b), 0, arena);
    } else {
        double *bounds = ARENA_ARRAY(arena, double, MIN(sum->custom_count, b->custom_count) + 1);
        uint32_t count = histogram_common_bounds(sum, b, bounds);
        double *counts = arena_zalloc(arena, (count + 1) * sizeof(double));
        double *errors = arena_zalloc(arena, (count + 1) * sizeof(double));
        pour(sum, a_errors, false, bounds, count, counts, errors);
        pour(b, NULL, op->negate_b, bounds, count, counts, errors);
        histogram_writer_init(&writer, arena, count + 1, op->with_errors);
        for (uint32_t i = 0; i <= count; i++)
            if (counts[i] != 0 || errors[i] != 0)
                histogram_writer_add(&writer, (int32_t)i, counts[i], errors[i]);
        sum->custom_bounds = bounds;
        sum->custom_count = count;
    }
    histogram_writer_positive(&writer, sum);
    if (op->with_errors) {
        put_errors(&op->errors, &writer, true);
        op->errors.custom_bounds = sum->custom_bounds;
        op->errors.custom_count = sum->custom_count;
    }
}

// ---- the whole

static void add_scalar(const Operands *op, double b, double *sum, double *error)
{
    kahan_add(op->negate_b ? -b : b, sum, error);
}

static bool combine(Operands *op, const Histogram *b, Arena *arena, bool *ret_mismatch)
{
    Histogram *sum = &op->sum;
    bool mismatch = false;
    double b_zero_error = 0;

    if (histogram_is_custom(sum) != histogram_is_custom(b))
        return false;

    sum->hint = combine_hints(sum->hint, b->hint);
    sum->is_integer = false;
    if (!histogram_is_custom(sum)) {
        double b_zero = reconcile_zero_buckets(op, b, arena, &b_zero_error);
        add_scalar(op, b_zero, &sum->zero_count, &op->errors.zero_count);
        if (op->with_errors)
            add_scalar(op, b_zero_error, &sum->zero_count, &op->errors.zero_count);
    }
    add_scalar(op, b->count, &sum->count, &op->errors.count);
    add_scalar(op, b->sum, &sum->sum, &op->errors.sum);
    if (histogram_is_custom(sum))
        merge_custom(op, b, arena, &mismatch);
    else
        merge_exponential(op, b, arena);
    if (ret_mismatch)
        *ret_mismatch = mismatch;
    return true;
}

static Histogram *keep(Arena *arena, const Histogram *h)
{
    Histogram *kept = arena_alloc(arena, sizeof *kept);

    *kept = *h;
    return kept;
}

// The result may be kept longer than the inputs: bounds that were taken over as a view become its own.
static Histogram *keep_sum(Arena *arena, const Histogram *sum, const Histogram *a)
{
    Histogram *kept = keep(arena, sum);
    HistogramWriter nothing = {0};

    if (histogram_is_custom(kept))
        histogram_writer_negative(&nothing, kept);
    if (kept->custom_count > 0 && kept->custom_bounds == a->custom_bounds) {
        double *bounds = ARENA_ARRAY(arena, double, kept->custom_count);
        memcpy(bounds, a->custom_bounds, kept->custom_count * sizeof(double));
        kept->custom_bounds = bounds;
    }
    return kept;
}

static bool add_or_sub(Arena *arena, const Histogram *a, const Histogram *b, bool negate_b,
                       Histogram **ret_result, bool *ret_mismatch)
{
    Operands op = {.sum = *a, .negate_b = negate_b};

    if (!combine(&op, b, arena, ret_mismatch))
        return false;
    *ret_result = keep_sum(arena, &op.sum, a);
    return true;
}

bool histogram_add(Arena *arena, const Histogram *a, const Histogram *b, Histogram **ret_sum,
                   bool *ret_nhcb_mismatch)
{
    return add_or_sub(arena, a, b, false, ret_sum, ret_nhcb_mismatch);
}

bool histogram_sub(Arena *arena, const Histogram *a, const Histogram *b, Histogram **ret_diff,
                   bool *ret_nhcb_mismatch)
{
    return add_or_sub(arena, a, b, true, ret_diff, ret_nhcb_mismatch);
}

// A compensation of zeros in the layout of `h`.
static Histogram no_compensation(Arena *arena, const Histogram *h)
{
    Histogram errors = *h;

    errors.is_integer = false;
    errors.zero_count = 0;
    errors.count = 0;
    errors.sum = 0;
    errors.positive_buckets = arena_zalloc(arena, h->positive_count * sizeof(double));
    errors.negative_buckets = arena_zalloc(arena, h->negative_count * sizeof(double));
    return errors;
}

bool histogram_add_kahan(Arena *arena, const Histogram *a, const Histogram *b,
                         const Histogram *compensation, Histogram **ret_sum,
                         Histogram **ret_compensation, bool *ret_nhcb_mismatch)
{
    Operands op = {.sum = *a, .with_errors = true};

    op.errors = compensation ? *compensation : no_compensation(arena, a);
    ASSERT(op.errors.positive_count == a->positive_count);
    ASSERT(op.errors.negative_count == a->negative_count);
    if (!combine(&op, b, arena, ret_nhcb_mismatch))
        return false;
    *ret_sum = keep_sum(arena, &op.sum, a);
    op.errors.custom_bounds = (*ret_sum)->custom_bounds;
    *ret_compensation = keep(arena, &op.errors);
    return true;
}
