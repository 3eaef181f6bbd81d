// SPDX-License-Identifier: Apache-2.0
#include "base/number.h"
#include "metric/histogram_internal.h"

static void print_bucket(Buf *buf, const HistogramBucket *bucket)
{
    if (bucket->count == 0)
        return;
    buf_add_c(buf, ", ");
    buf_add_char(buf, bucket->lower_inclusive ? '[' : '(');
    buf_add_double_g(buf, bucket->lower);
    buf_add_char(buf, ',');
    buf_add_double_g(buf, bucket->upper);
    buf_add_char(buf, bucket->upper_inclusive ? ']' : ')');
    buf_add_char(buf, ':');
    buf_add_double_g(buf, bucket->count);
}

// Unlike the API, this shows buckets as they are where the zero bucket reaches into them.
static void print_positive(Buf *buf, const Histogram *h)
{
    HistogramReader reader;

    histogram_reader_init(&reader, histogram_positive(h), 0);
    while (histogram_reader_next(&reader)) {
        HistogramBucket bucket = histogram_make_bucket(h, &reader, true);
        print_bucket(buf, &bucket);
    }
}

// The negative side is stored from zero down and shown from below.
static void print_negative(Buf *buf, const Histogram *h)
{
    Arena arena = {0};
    HistogramReader reader;
    HistogramBucket *buckets = ARENA_ARRAY(&arena, HistogramBucket, h->negative_count);
    size_t count = 0;

    histogram_reader_init(&reader, histogram_negative(h), 0);
    while (histogram_reader_next(&reader))
        buckets[count++] = histogram_make_bucket(h, &reader, false);
    while (count > 0)
        print_bucket(buf, &buckets[--count]);
    arena_deinit(&arena);
}

void histogram_print(Buf *buf, const Histogram *h)
{
    buf_add_c(buf, "{count:");
    buf_add_double_g(buf, h->count);
    buf_add_c(buf, ", sum:");
    buf_add_double_g(buf, h->sum);
    if (h->negative_count > 0)
        print_negative(buf, h);
    HistogramBucket zero = histogram_zero_bucket(h);
    print_bucket(buf, &zero);
    print_positive(buf, h);
    buf_add_char(buf, '}');
}

static void print_quoted(Buf *buf, double value)
{
    buf_add_char(buf, '"');
    buf_add_double_json(buf, value);
    buf_add_char(buf, '"');
}

// Which ends belong to the bucket: 0 the upper, 1 the lower, 2 none, 3 both.
static char inclusion_rule(const HistogramBucket *bucket)
{
    if (bucket->lower_inclusive)
        return bucket->upper_inclusive ? '3' : '1';
    return bucket->upper_inclusive ? '0' : '2';
}

static void print_json_bucket(Buf *buf, const HistogramBucket *bucket, bool first)
{
    buf_add_c(buf, first ? ",\"buckets\":[[" : ",[");
    buf_add_char(buf, inclusion_rule(bucket));
    buf_add_char(buf, ',');
    print_quoted(buf, bucket->lower);
    buf_add_char(buf, ',');
    print_quoted(buf, bucket->upper);
    buf_add_char(buf, ',');
    print_quoted(buf, bucket->count);
    buf_add_char(buf, ']');
}

void histogram_print_json(Buf *buf, const Histogram *h)
{
    Arena arena = {0};
    HistogramBucket *buckets;
    size_t count = histogram_buckets(&arena, h, &buckets);
    bool any = false;

    buf_add_c(buf, "{\"count\":");
    print_quoted(buf, h->count);
    buf_add_c(buf, ",\"sum\":");
    print_quoted(buf, h->sum);
    for (size_t i = 0; i < count; i++) {
        if (buckets[i].count == 0)
            continue;
        print_json_bucket(buf, &buckets[i], !any);
        any = true;
    }
    buf_add_c(buf, any ? "]}" : "}");
    arena_deinit(&arena);
}
