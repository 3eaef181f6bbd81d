// SPDX-License-Identifier: Apache-2.0
// What is done to one histogram: copies, resolution, compaction, walks over the buckets.
#include "metric/histogram_internal.h"

// ---- reading and writing a side

// Moves to the next bucket of the original, over the ends of spans.
static void reader_settle(HistogramReader *reader)
{
    const HistogramSide *side = &reader->side;

    while (reader->span < side->span_count && reader->in_span >= side->spans[reader->span].length) {
        reader->span++;
        reader->in_span = 0;
        if (reader->span < side->span_count)
            reader->next_index += (uint32_t)side->spans[reader->span].offset;
    }
    reader->has_next = reader->span < side->span_count && reader->next < side->bucket_count;
}

void histogram_reader_init(HistogramReader *reader, HistogramSide side, int shift)
{
    *reader = (HistogramReader){.side = side, .shift = shift};
    if (side.span_count > 0)
        reader->next_index = (uint32_t)side.spans[0].offset;
    reader_settle(reader);
}

// Bucket `index` of the original lies in bucket ((index - 1) >> shift) + 1 of the coarser one.
static int32_t reader_target(const HistogramReader *reader)
{
    int64_t index = (int32_t)reader->next_index;

    return (int32_t)(((index - 1) >> reader->shift) + 1);
}

static void reader_take(HistogramReader *reader, double *ret_count, double *ret_error)
{
    *ret_count = reader->side.buckets[reader->next];
    *ret_error = reader->side.errors ? reader->side.errors[reader->next] : 0;
    reader->next++;
    reader->in_span++;
    reader->next_index++;
    reader_settle(reader);
}

bool histogram_reader_next(HistogramReader *reader)
{
    double count;
    double error;

    if (!reader->has_next)
        return false;

    reader->index = reader_target(reader);
    reader_take(reader, &reader->count, &reader->error);
    while (reader->shift > 0 && reader->has_next && reader_target(reader) == reader->index) {
        reader_take(reader, &count, &error);
        kahan_add(count, &reader->count, &reader->error);
        if (error != 0)
            kahan_add(error, &reader->count, &reader->error);
    }
    return true;
}

void histogram_writer_init(HistogramWriter *writer, Arena *arena, size_t buckets, bool with_errors)
{
    *writer = (HistogramWriter){0};
    if (buckets == 0)
        return;
    writer->spans = ARENA_ARRAY(arena, HistogramSpan, buckets);
    writer->buckets = ARENA_ARRAY(arena, double, buckets);
    if (with_errors)
        writer->errors = ARENA_ARRAY(arena, double, buckets);
}

void histogram_writer_add(HistogramWriter *writer, int32_t index, double count, double error)
{
    int64_t gap = (int64_t)index - writer->last_index - 1;

    if (writer->span_count > 0 && gap == 0) {
        writer->spans[writer->span_count - 1].length++;
    } else {
        int32_t offset = writer->span_count > 0 ? (int32_t)gap : index;
        writer->spans[writer->span_count++] = (HistogramSpan){offset, 1};
    }
    writer->buckets[writer->bucket_count] = count;
    if (writer->errors)
        writer->errors[writer->bucket_count] = error;
    writer->bucket_count++;
    writer->last_index = index;
}

void histogram_writer_positive(const HistogramWriter *writer, Histogram *h)
{
    h->positive_spans = writer->spans;
    h->positive_buckets = writer->buckets;
    h->positive_span_count = writer->span_count;
    h->positive_count = writer->bucket_count;
}

void histogram_writer_negative(const HistogramWriter *writer, Histogram *h)
{
    h->negative_spans = writer->spans;
    h->negative_buckets = writer->buckets;
    h->negative_span_count = writer->span_count;
    h->negative_count = writer->bucket_count;
}

// ---- copies

static const void *copy_array(Arena *arena, const void *array, size_t count, size_t bytes)
{
    if (count == 0)
        return NULL;

    void *copy = arena_array_alloc(arena, count, bytes);
    memcpy(copy, array, count * bytes);
    return copy;
}

// Everything but the buckets.
static Histogram *copy_frame(Arena *arena, const Histogram *h)
{
    Histogram *copy = arena_alloc(arena, sizeof *copy);

    *copy = *h;
    copy->positive_spans =
        copy_array(arena, h->positive_spans, h->positive_span_count, sizeof(HistogramSpan));
    copy->negative_spans =
        copy_array(arena, h->negative_spans, h->negative_span_count, sizeof(HistogramSpan));
    copy->custom_bounds = copy_array(arena, h->custom_bounds, h->custom_count, sizeof(double));
    return copy;
}

Histogram *histogram_copy(Arena *arena, const Histogram *h)
{
    Histogram *copy = copy_frame(arena, h);

    copy->positive_buckets =
        copy_array(arena, h->positive_buckets, h->positive_count, sizeof(double));
    copy->negative_buckets =
        copy_array(arena, h->negative_buckets, h->negative_count, sizeof(double));
    return copy;
}

static double *scaled(Arena *arena, const double *buckets, uint32_t count, double factor,
                      bool divide)
{
    if (count == 0)
        return NULL;

    double *result = ARENA_ARRAY(arena, double, count);
    for (uint32_t i = 0; i < count; i++)
        result[i] = divide ? buckets[i] / factor : buckets[i] * factor;
    return result;
}

Histogram *histogram_scale(Arena *arena, const Histogram *h, double factor)
{
    Histogram *result = copy_frame(arena, h);

    result->is_integer = false;
    result->zero_count *= factor;
    result->count *= factor;
    result->sum *= factor;
    result->positive_buckets = scaled(arena, h->positive_buckets, h->positive_count, factor, false);
    result->negative_buckets = scaled(arena, h->negative_buckets, h->negative_count, factor, false);
    if (factor < 0)
        result->hint = HINT_GAUGE;
    return result;
}

Histogram *histogram_div(Arena *arena, const Histogram *h, double divisor)
{
    Histogram *result = copy_frame(arena, h);
    HistogramWriter nothing = {0};

    result->is_integer = false;
    result->zero_count /= divisor;
    result->count /= divisor;
    result->sum /= divisor;
    if (divisor == 0) {
        histogram_writer_positive(&nothing, result);
        histogram_writer_negative(&nothing, result);
        return result;
    }
    result->positive_buckets = scaled(arena, h->positive_buckets, h->positive_count, divisor, true);
    result->negative_buckets = scaled(arena, h->negative_buckets, h->negative_count, divisor, true);
    if (divisor < 0)
        result->hint = HINT_GAUGE;
    return result;
}

// ---- resolution and compaction

static HistogramWriter reduce_side(Arena *arena, HistogramSide side, int shift)
{
    HistogramReader reader;
    HistogramWriter writer;

    histogram_reader_init(&reader, side, shift);
    histogram_writer_init(&writer, arena, side.bucket_count, false);
    while (histogram_reader_next(&reader))
        histogram_writer_add(&writer, reader.index, reader.count, 0);
    return writer;
}

Histogram *histogram_reduce(Arena *arena, const Histogram *h, int32_t schema)
{
    Histogram *result = histogram_copy(arena, h);

    if (histogram_is_custom(h) || schema >= h->schema)
        return result;

    int shift = h->schema - schema;
    HistogramWriter positive = reduce_side(arena, histogram_positive(h), shift);
    HistogramWriter negative = reduce_side(arena, histogram_negative(h), shift);
    histogram_writer_positive(&positive, result);
    histogram_writer_negative(&negative, result);
    result->schema = schema;
    return result;
}

// Empty buckets stay only as bridges of at most `max_empty` between two populated ones.
static HistogramWriter compact_side(Arena *arena, HistogramSide side, int max_empty)
{
    HistogramReader reader;
    HistogramWriter writer;
    size_t populated = 0;
    int64_t bridges = 0;
    int64_t last = 0;

    histogram_reader_init(&reader, side, 0);
    while (histogram_reader_next(&reader)) {
        if (reader.count == 0)
            continue;
        int64_t gap = reader.index - last - 1;
        if (populated > 0 && gap > 0 && gap <= max_empty)
            bridges += gap;
        populated++;
        last = reader.index;
    }
    // More bridges than a histogram may have buckets: they would only be there to be looked at.
    if (bridges > HISTOGRAM_BUCKETS_MAX) {
        bridges = 0;
        max_empty = 0;
    }

    histogram_writer_init(&writer, arena, populated + (size_t)bridges, false);
    histogram_reader_init(&reader, side, 0);
    while (histogram_reader_next(&reader)) {
        if (reader.count == 0)
            continue;
        int64_t gap = (int64_t)reader.index - writer.last_index - 1;
        if (writer.bucket_count > 0 && gap > 0 && gap <= max_empty)
            for (int64_t i = 0; i < gap; i++)
                histogram_writer_add(&writer, writer.last_index + 1, 0, 0);
        histogram_writer_add(&writer, reader.index, reader.count, 0);
    }
    return writer;
}

Histogram *histogram_compact(Arena *arena, const Histogram *h, int max_empty)
{
    Histogram *result = arena_alloc(arena, sizeof *result);

    *result = *h;
    result->custom_bounds = copy_array(arena, h->custom_bounds, h->custom_count, sizeof(double));
    HistogramWriter positive = compact_side(arena, histogram_positive(h), max_empty);
    HistogramWriter negative = compact_side(arena, histogram_negative(h), max_empty);
    histogram_writer_positive(&positive, result);
    histogram_writer_negative(&negative, result);
    return result;
}

// ---- walks

HistogramBucket histogram_make_bucket(const Histogram *h, const HistogramReader *reader,
                                      bool positive)
{
    HistogramBucket bucket = {.count = reader->count, .index = reader->index};
    double upper = histogram_bound_of(h, reader->index);
    double lower = histogram_bound_of(h, (int32_t)((uint32_t)reader->index - 1));

    bucket.lower = positive ? lower : -upper;
    bucket.upper = positive ? upper : -lower;
    if (histogram_is_custom(h)) {
        bucket.lower_inclusive = reader->index == 0;
        bucket.upper_inclusive = true;
    } else {
        bucket.lower_inclusive = bucket.lower < 0;
        bucket.upper_inclusive = bucket.upper > 0;
    }
    return bucket;
}

HistogramBucket histogram_zero_bucket(const Histogram *h)
{
    return (HistogramBucket){-h->zero_threshold, h->zero_threshold, true, true, h->zero_count, 0};
}

// Where the zero bucket reaches into a bucket, that begins at the threshold.
static void clip_to_zero_bucket(HistogramBucket *bucket, double threshold)
{
    if (bucket->upper < 0 && bucket->upper > -threshold)
        bucket->upper = -threshold;
    else if (bucket->lower > 0 && bucket->lower < threshold)
        bucket->lower = threshold;
}

static size_t add_side(const Histogram *h, bool positive, HistogramBucket *out)
{
    HistogramReader reader;
    size_t count = 0;

    histogram_reader_init(&reader, positive ? histogram_positive(h) : histogram_negative(h), 0);
    while (histogram_reader_next(&reader))
        out[count++] = histogram_make_bucket(h, &reader, positive);
    return count;
}

static void turn_around(HistogramBucket *buckets, size_t count)
{
    for (size_t i = 0; i < count / 2; i++) {
        HistogramBucket bucket = buckets[i];
        buckets[i] = buckets[count - 1 - i];
        buckets[count - 1 - i] = bucket;
    }
}

size_t histogram_buckets(Arena *arena, const Histogram *h, HistogramBucket **ret_buckets)
{
    HistogramBucket *buckets =
        ARENA_ARRAY(arena, HistogramBucket, (size_t)h->positive_count + h->negative_count + 1);
    size_t negative = add_side(h, false, buckets);
    size_t count = negative;

    turn_around(buckets, negative);
    if (h->zero_count > 0)
        buckets[count++] = histogram_zero_bucket(h);
    size_t zero_end = count;
    count += add_side(h, true, buckets + count);
    for (size_t i = 0; i < count; i++)
        if (i < negative || i >= zero_end)
            clip_to_zero_bucket(&buckets[i], h->zero_threshold);
    *ret_buckets = buckets;
    return count;
}
