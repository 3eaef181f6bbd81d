// SPDX-License-Identifier: Apache-2.0
// The Histogram message of remote write, the same in both versions. Facts: prometheus.md section 7.1.
#include "base/number.h"
#include "remote/remote_request.h"
#include "remote/remote_write_internal.h"

// Lists of one kind, gathered field by field.
typedef struct DoubleList {
    double *items;
    uint32_t count, cap;
} DoubleList;

typedef struct SpanList {
    HistogramSpan *items;
    uint32_t count, cap;
} SpanList;

static bool push_double(DoubleList *list, double value, Arena *arena)
{
    if (list->count >= HISTOGRAM_BUCKETS_MAX)
        return false;
    if (list->count == list->cap) {
        uint32_t cap = MAX(list->cap * 2, 16u);
        list->items =
            arena_grow(arena, list->items, list->cap * sizeof(double), cap * sizeof(double));
        list->cap = cap;
    }
    list->items[list->count++] = value;
    return true;
}

static bool push_span(SpanList *list, Str message, Arena *arena)
{
    HistogramSpan span = {0};
    ProtoReader r = proto_reader(message);
    while (proto_next(&r)) {
        if (r.field == 1 && r.wire == PROTO_VARINT)
            span.offset = (int32_t)proto_zigzag(&r);
        else if (r.field == 2 && r.wire == PROTO_VARINT)
            span.length = (uint32_t)r.number;
    }
    if (r.failed || list->count >= HISTOGRAM_BUCKETS_MAX)
        return false;
    if (list->count == list->cap) {
        uint32_t cap = MAX(list->cap * 2, 8u);
        list->items = arena_grow(arena, list->items, list->cap * sizeof(HistogramSpan),
                                 cap * sizeof(HistogramSpan));
        list->cap = cap;
    }
    list->items[list->count++] = span;
    return true;
}

// sint64 deltas, packed or not, become absolute counts.
static bool add_deltas(DoubleList *list, int64_t *sum, const ProtoReader *r, Arena *arena)
{
    Reader packed = reader_from(r->bytes);
    uint64_t number = r->number;
    bool is_packed = r->wire == PROTO_BYTES;
    while (!is_packed || proto_packed_next(&packed, PROTO_VARINT, &number)) {
        uint64_t delta = (number >> 1) ^ (0 - (number & 1));
        *sum = (int64_t)((uint64_t)*sum + delta);
        if (!push_double(list, (double)*sum, arena))
            return false;
        if (!is_packed)
            return true;
    }
    return !packed.failed;
}

static bool add_doubles(DoubleList *list, const ProtoReader *r, Arena *arena)
{
    Reader packed = reader_from(r->bytes);
    uint64_t number = r->number;
    bool is_packed = r->wire == PROTO_BYTES;
    while (!is_packed || proto_packed_next(&packed, PROTO_FIXED64, &number)) {
        if (!push_double(list, double_from_bits(number), arena))
            return false;
        if (!is_packed)
            return true;
    }
    return !packed.failed;
}

typedef struct Parts {
    DoubleList positive, negative, custom;
    SpanList positive_spans, negative_spans;
    int64_t positive_sum, negative_sum;
    int64_t t_ms, start_ms;
} Parts;

static bool read_field(const ProtoReader *r, Histogram *h, Parts *parts, Arena *arena)
{
    switch (r->field) {
    case 1:
        h->is_integer = true;
        h->count = (double)r->number;
        return true;
    case 2:
        h->is_integer = false;
        h->count = proto_double(r);
        return true;
    case 3:
        h->sum = proto_double(r);
        return true;
    case 4:
        h->schema = (int32_t)proto_zigzag(r);
        return true;
    case 5:
        h->zero_threshold = proto_double(r);
        return true;
    case 6:
        h->zero_count = (double)r->number;
        return true;
    case 7:
        h->zero_count = proto_double(r);
        return true;
    case 8:
        return push_span(&parts->negative_spans, r->bytes, arena);
    case 9:
        return add_deltas(&parts->negative, &parts->negative_sum, r, arena);
    case 10:
        return add_doubles(&parts->negative, r, arena);
    case 11:
        return push_span(&parts->positive_spans, r->bytes, arena);
    case 12:
        return add_deltas(&parts->positive, &parts->positive_sum, r, arena);
    case 13:
        return add_doubles(&parts->positive, r, arena);
    case 14:
        h->hint = r->number <= HINT_GAUGE ? (HistogramHint)r->number : HINT_UNKNOWN;
        return true;
    case 15:
        parts->t_ms = (int64_t)r->number;
        return true;
    case 16:
        return add_doubles(&parts->custom, r, arena);
    case 17:
        parts->start_ms = (int64_t)r->number;
        return true;
    default:
        return true;
    }
}

bool remote_histogram_decode(Str message, Arena *arena, SinkSample *ret_sample)
{
    Histogram *h = ARENA_NEW(arena, Histogram);
    Parts parts = {0};
    ProtoReader r = proto_reader(message);
    while (proto_next(&r))
        if (!read_field(&r, h, &parts, arena))
            return false;
    if (r.failed)
        return false;
    h->positive_spans = parts.positive_spans.items;
    h->positive_span_count = parts.positive_spans.count;
    h->negative_spans = parts.negative_spans.items;
    h->negative_span_count = parts.negative_spans.count;
    h->positive_buckets = parts.positive.items;
    h->positive_count = parts.positive.count;
    h->negative_buckets = parts.negative.items;
    h->negative_count = parts.negative.count;
    h->custom_bounds = parts.custom.items;
    h->custom_count = parts.custom.count;
    *ret_sample = (SinkSample){.histogram = h, .t_ms = parts.t_ms, .start_ms = parts.start_ms};
    return true;
}

// More bytes than one will have -----------------------------------------------------------------------------------------------------------

enum {
    FIXED_BYTES = 160, // all scalar fields and the heads of lists
    SPAN_BYTES = 20,
    COUNT_BYTES = 10,
};

size_t remote_histogram_bytes(const Histogram *h)
{
    return FIXED_BYTES + ((size_t)h->positive_span_count + h->negative_span_count) * SPAN_BYTES +
           ((size_t)h->positive_count + h->negative_count + h->custom_count) * COUNT_BYTES;
}

// Encoding -----------------------------------------------------------------------------------------------------------------------------

static void add_spans(Buf *buf, uint32_t field, const HistogramSpan *spans, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        size_t begin = proto_begin(buf, field);
        proto_add_zigzag(buf, 1, spans[i].offset);
        proto_add_varint(buf, 2, spans[i].length);
        proto_end(buf, begin);
    }
}

static void add_packed_deltas(Buf *buf, uint32_t field, const double *counts, uint32_t count)
{
    if (count == 0)
        return;
    size_t begin = proto_begin(buf, field);
    int64_t previous = 0;
    for (uint32_t i = 0; i < count; i++) {
        buf_add_varint(buf, (int64_t)counts[i] - previous);
        previous = (int64_t)counts[i];
    }
    proto_end(buf, begin);
}

static void add_packed_doubles(Buf *buf, uint32_t field, const double *values, uint32_t count)
{
    if (count == 0)
        return;
    size_t begin = proto_begin(buf, field);
    for (uint32_t i = 0; i < count; i++)
        buf_add_u64le(buf, double_bits(values[i]));
    proto_end(buf, begin);
}

void remote_histogram_encode(Buf *buf, uint32_t field, const Histogram *h, int64_t t_ms,
                             int64_t start_ms)
{
    size_t begin = proto_begin(buf, field);
    if (h->is_integer)
        proto_add_varint(buf, 1, (uint64_t)h->count);
    else
        proto_add_double(buf, 2, h->count);
    proto_add_double(buf, 3, h->sum);
    proto_add_zigzag(buf, 4, h->schema);
    proto_add_double(buf, 5, h->zero_threshold);
    if (h->is_integer)
        proto_add_varint(buf, 6, (uint64_t)h->zero_count);
    else
        proto_add_double(buf, 7, h->zero_count);
    add_spans(buf, 8, h->negative_spans, h->negative_span_count);
    add_spans(buf, 11, h->positive_spans, h->positive_span_count);
    if (h->is_integer) {
        add_packed_deltas(buf, 9, h->negative_buckets, h->negative_count);
        add_packed_deltas(buf, 12, h->positive_buckets, h->positive_count);
    } else {
        add_packed_doubles(buf, 10, h->negative_buckets, h->negative_count);
        add_packed_doubles(buf, 13, h->positive_buckets, h->positive_count);
    }
    proto_add_varint(buf, 14, (uint64_t)h->hint);
    proto_add_varint(buf, 15, (uint64_t)t_ms);
    add_packed_doubles(buf, 16, h->custom_bounds, h->custom_count);
    if (start_ms)
        proto_add_varint(buf, 17, (uint64_t)start_ms);
    proto_end(buf, begin);
}
