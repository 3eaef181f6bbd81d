// SPDX-License-Identifier: Apache-2.0
// histogram_test_util.h: histograms written as text, for the tests of histogram_*.c.
#pragma once

#include "base/number.h"
#include "base/test.h"
#include "metric/histogram.h"

#define SIDE_MAX 64

// A side as text: "offset:count count,gap:count" has two spans.
static inline uint32_t make_side(Arena *arena, const char *text, const HistogramSpan **ret_spans,
                                 uint32_t *ret_span_count, const double **ret_buckets)
{
    HistogramSpan *spans = ARENA_ARRAY(arena, HistogramSpan, SIDE_MAX);
    double *buckets = ARENA_ARRAY(arena, double, SIDE_MAX);
    uint32_t span_count = 0;
    uint32_t bucket_count = 0;
    char *at = str_to_c(arena, str_from_c(text));

    while (*at) {
        spans[span_count] = (HistogramSpan){(int32_t)strtol(at, &at, 10), 0};
        at++;
        while (*at && *at != ',') {
            buckets[bucket_count++] = strtod(at, &at);
            spans[span_count].length++;
            at += *at == ' ';
        }
        at += *at == ',';
        span_count++;
    }
    *ret_spans = spans;
    *ret_span_count = span_count;
    *ret_buckets = buckets;
    return bucket_count;
}

typedef struct Spec {
    int32_t schema;
    double zero_threshold;
    double zero_count;
    const char *positive;
    const char *negative;
    const char *bounds; // schema -53
    double sum;
    HistogramHint hint;
} Spec;

static inline Histogram *make(Arena *arena, const Spec *spec)
{
    Histogram *h = ARENA_NEW(arena, Histogram);
    double *bounds = ARENA_ARRAY(arena, double, SIDE_MAX);
    char *at = str_to_c(arena, str_from_c(spec->bounds ? spec->bounds : ""));

    h->schema = spec->schema;
    h->zero_threshold = spec->zero_threshold;
    h->zero_count = spec->zero_count;
    h->sum = spec->sum;
    h->hint = spec->hint;
    h->positive_count = make_side(arena, spec->positive, &h->positive_spans,
                                  &h->positive_span_count, &h->positive_buckets);
    h->negative_count = make_side(arena, spec->negative ? spec->negative : "", &h->negative_spans,
                                  &h->negative_span_count, &h->negative_buckets);
    while (*at)
        bounds[h->custom_count++] = strtod(at, &at);
    h->custom_bounds = bounds;
    h->count = h->zero_count;
    for (uint32_t i = 0; i < h->positive_count; i++)
        h->count += h->positive_buckets[i];
    for (uint32_t i = 0; i < h->negative_count; i++)
        h->count += h->negative_buckets[i];
    return h;
}

static inline Str print(Arena *arena, const Histogram *h)
{
    Buf buf = {0};
    histogram_print(&buf, h);
    Str text = arena_str(arena, buf_str(&buf));
    buf_deinit(&buf);
    return text;
}

static inline Str side_text(Arena *arena, const HistogramSpan *spans, uint32_t span_count,
                            const double *buckets)
{
    Buf buf = {0};
    uint32_t at = 0;

    for (uint32_t i = 0; i < span_count; i++) {
        buf_printf(&buf, "%s%d:", i ? "," : "", spans[i].offset);
        for (uint32_t j = 0; j < spans[i].length; j++) {
            if (j)
                buf_add_char(&buf, ' ');
            buf_add_double_g(&buf, buckets[at++]);
        }
    }
    Str text = arena_str(arena, buf_str(&buf));
    buf_deinit(&buf);
    return text;
}

static inline Str positive_text(Arena *arena, const Histogram *h)
{
    return side_text(arena, h->positive_spans, h->positive_span_count, h->positive_buckets);
}

static inline Str negative_text(Arena *arena, const Histogram *h)
{
    return side_text(arena, h->negative_spans, h->negative_span_count, h->negative_buckets);
}
