// SPDX-License-Identifier: Apache-2.0
// The values of protobuf metrics as items: one for a counter, one for each quantile and bucket, one for a native histogram.
#include <math.h>

#include "metric/exposition_protobuf.h"

static ProtobufItem *add_item(Exposition *parser, const char *suffix, double value)
{
    ExpositionProtobuf *pb = parser->protobuf;

    pb->items = exposition_protobuf_list(parser->arena, pb->items, pb->item_count, &pb->item_cap,
                                         sizeof(ProtobufItem));
    pb->items[pb->item_count] = (ProtobufItem){.suffix = suffix, .value = value};
    return &pb->items[pb->item_count++];
}

// A start timestamp, where it is wanted; a malformed one is none.
static int64_t read_start(const Exposition *parser, const ProtoReader *r)
{
    int64_t ms;
    return parser->wants_start && r->wire == PROTO_BYTES && exposition_protobuf_time(r->bytes, &ms)
               ? ms
               : 0;
}

// Of all items from the `first` on.
static void set_start(Exposition *parser, size_t first, int64_t start_ms)
{
    ExpositionProtobuf *pb = parser->protobuf;
    for (size_t i = first; i < pb->item_count; i++)
        pb->items[i].start_ms = start_ms;
}

// Gauge, Untyped: the value. Counter: an exemplar and a start, too.
static bool read_single(Exposition *parser, Str message)
{
    ProtoReader r = proto_reader(message);
    ProtobufItem *item = add_item(parser, "", 0);

    while (proto_next(&r)) {
        if (r.field == 1 && r.wire == PROTO_FIXED64) {
            item->value = proto_double(&r);
        } else if (r.field == 2 && r.wire == PROTO_BYTES) {
            Str *exemplar = ARENA_ARRAY(parser->arena, Str, 1);
            *exemplar = r.bytes;
            item->exemplars = exemplar;
            item->exemplar_count = 1;
        } else if (r.field == 3) {
            item->start_ms = read_start(parser, &r);
        }
    }
    return !r.failed ||
           exposition_protobuf_fail(parser, "malformed counter, gauge or untyped value");
}

static bool read_quantile(Exposition *parser, Str message)
{
    ProtoReader r = proto_reader(message);
    ProtobufItem *item = add_item(parser, "", 0);

    item->label = "quantile";
    while (proto_next(&r)) {
        if (r.field == 1 && r.wire == PROTO_FIXED64)
            item->label_value = proto_double(&r);
        else if (r.field == 2 && r.wire == PROTO_FIXED64)
            item->value = proto_double(&r);
    }
    return !r.failed || exposition_protobuf_fail(parser, "malformed quantile");
}

static bool read_summary(Exposition *parser, Str message)
{
    ExpositionProtobuf *pb = parser->protobuf;
    ProtoReader r = proto_reader(message);

    // The array may move while it grows: the first two are found by their place.
    size_t first = pb->item_count;
    add_item(parser, "_count", 0);
    add_item(parser, "_sum", 0);
    int64_t start_ms = 0;
    while (proto_next(&r)) {
        if (r.field == 1 && r.wire == PROTO_VARINT)
            pb->items[first].value = (double)r.number;
        else if (r.field == 2 && r.wire == PROTO_FIXED64)
            pb->items[first + 1].value = proto_double(&r);
        else if (r.field == 3 && r.wire == PROTO_BYTES && !read_quantile(parser, r.bytes))
            return false;
        else if (r.field == 4)
            start_ms = read_start(parser, &r);
    }
    set_start(parser, first, start_ms);
    return !r.failed || exposition_protobuf_fail(parser, "malformed summary");
}

// ---- histograms

typedef struct SideList {
    HistogramSpan *spans;
    size_t span_count;
    size_t span_cap;
    uint64_t span_buckets;
    double *counts; // of the float flavour
    size_t count_count;
    size_t count_cap;
    double *absolutes; // of the integer flavour: deltas summed up
    size_t absolute_count;
    size_t absolute_cap;
    int64_t last;
} SideList;

typedef struct HistogramMessage {
    uint64_t count;
    double count_float;
    double sum;
    int64_t schema;
    double zero_threshold;
    uint64_t zero_count;
    double zero_count_float;
    SideList sides[2]; // positive, negative
    Str *buckets;      // messages
    size_t bucket_count;
    size_t bucket_cap;
    Str *exemplars;
    size_t exemplar_count;
    size_t exemplar_cap;
    int64_t start_ms;
} HistogramMessage;

static bool read_span(Exposition *parser, Str message, SideList *side)
{
    ProtoReader r = proto_reader(message);
    HistogramSpan span = {0};

    while (proto_next(&r)) {
        if (r.wire != PROTO_VARINT)
            continue;
        if (r.field == 1)
            span.offset = (int32_t)proto_zigzag(&r);
        else if (r.field == 2)
            span.length = (uint32_t)r.number;
    }
    if (r.failed)
        return exposition_protobuf_fail(parser, "malformed bucket span");
    if (side->span_count >= HISTOGRAM_BUCKETS_MAX)
        return exposition_protobuf_fail(parser, "too many bucket spans");
    side->spans = exposition_protobuf_list(parser->arena, side->spans, side->span_count,
                                           &side->span_cap, sizeof(HistogramSpan));
    side->spans[side->span_count++] = span;
    side->span_buckets += span.length;
    return true;
}

static bool add_bucket(Exposition *parser, SideList *side, bool is_delta, uint64_t number)
{
    Arena *arena = parser->arena;

    if (MAX(side->count_count, side->absolute_count) >= HISTOGRAM_BUCKETS_MAX)
        return exposition_protobuf_fail(parser, "too many buckets");
    if (is_delta) {
        int64_t delta = (int64_t)(number >> 1) ^ -(int64_t)(number & 1);
        if (__builtin_add_overflow(side->last, delta, &side->last))
            return exposition_protobuf_fail(parser, "bucket count out of range");
        side->absolutes = exposition_protobuf_list(arena, side->absolutes, side->absolute_count,
                                                   &side->absolute_cap, sizeof(double));
        side->absolutes[side->absolute_count++] = (double)side->last;
    } else {
        side->counts = exposition_protobuf_list(arena, side->counts, side->count_count,
                                                &side->count_cap, sizeof(double));
        side->counts[side->count_count++] = double_from_bits(number);
    }
    return true;
}

// Deltas (varints) or counts (doubles): packed, or one by one.
static bool read_buckets(Exposition *parser, const ProtoReader *r, SideList *side, bool is_delta)
{
    ProtoWire wire = is_delta ? PROTO_VARINT : PROTO_FIXED64;
    uint64_t number;

    if (r->wire == wire)
        return add_bucket(parser, side, is_delta, r->number);
    if (r->wire != PROTO_BYTES)
        return exposition_protobuf_fail(parser, "malformed bucket counts");

    Reader packed = reader_from(r->bytes);
    while (proto_packed_next(&packed, wire, &number))
        if (!add_bucket(parser, side, is_delta, number))
            return false;
    return !packed.failed || exposition_protobuf_fail(parser, "malformed bucket counts");
}

static bool add_message(Exposition *parser, Str message, Str **list, size_t *count, size_t *cap)
{
    if (*count >= HISTOGRAM_BUCKETS_MAX)
        return exposition_protobuf_fail(parser, "too many buckets or exemplars");
    *list = exposition_protobuf_list(parser->arena, *list, *count, cap, sizeof(Str));
    (*list)[(*count)++] = message;
    return true;
}

// Field numbers 9 to 14: span, delta and count of the negative side, then of the positive.
static bool read_histogram_side(Exposition *parser, const ProtoReader *r, HistogramMessage *h)
{
    SideList *side = &h->sides[r->field <= 11];

    switch ((r->field - 9) % 3) {
    case 0:
        return r->wire == PROTO_BYTES ? read_span(parser, r->bytes, side)
                                      : exposition_protobuf_fail(parser, "malformed bucket span");
    case 1:
        return read_buckets(parser, r, side, true);
    default:
        return read_buckets(parser, r, side, false);
    }
}

static bool read_histogram_list(Exposition *parser, const ProtoReader *r, HistogramMessage *h)
{
    if (r->field >= 9 && r->field <= 14)
        return read_histogram_side(parser, r, h);
    if (r->field == 3 && r->wire == PROTO_BYTES)
        return add_message(parser, r->bytes, &h->buckets, &h->bucket_count, &h->bucket_cap);
    if (r->field == 16 && r->wire == PROTO_BYTES)
        return add_message(parser, r->bytes, &h->exemplars, &h->exemplar_count, &h->exemplar_cap);
    return true;
}

static bool read_histogram_message(Exposition *parser, Str message, HistogramMessage *h)
{
    ProtoReader r = proto_reader(message);

    while (proto_next(&r)) {
        bool is_double = r.wire == PROTO_FIXED64;
        if (r.field == 1 && r.wire == PROTO_VARINT)
            h->count = r.number;
        else if (r.field == 2 && is_double)
            h->sum = proto_double(&r);
        else if (r.field == 4 && is_double)
            h->count_float = proto_double(&r);
        else if (r.field == 5 && r.wire == PROTO_VARINT)
            h->schema = proto_zigzag(&r);
        else if (r.field == 6 && is_double)
            h->zero_threshold = proto_double(&r);
        else if (r.field == 7 && r.wire == PROTO_VARINT)
            h->zero_count = r.number;
        else if (r.field == 8 && is_double)
            h->zero_count_float = proto_double(&r);
        else if (r.field == 15)
            h->start_ms = read_start(parser, &r);
        else if (!read_histogram_list(parser, &r, h))
            return false;
    }
    return !r.failed || exposition_protobuf_fail(parser, "malformed histogram");
}

static bool is_native(const HistogramMessage *h)
{
    return h->sides[0].span_count > 0 || h->sides[1].span_count > 0 || h->zero_threshold > 0 ||
           h->zero_count > 0;
}

static bool is_float(const HistogramMessage *h)
{
    return h->count_float > 0 || h->zero_count_float > 0;
}

static bool check_side(Exposition *parser, const SideList *side, bool as_float)
{
    size_t buckets = as_float ? side->count_count : side->absolute_count;

    return side->span_buckets == buckets ||
           exposition_protobuf_fail(parser, "bucket spans do not agree with the number of buckets");
}

static bool make_native(Exposition *parser, const HistogramMessage *m, const Histogram **ret)
{
    bool as_float = is_float(m);
    const SideList *positive = &m->sides[0];
    const SideList *negative = &m->sides[1];

    if (!check_side(parser, positive, as_float) || !check_side(parser, negative, as_float))
        return false;
    if (m->schema < HISTOGRAM_SCHEMA_MIN || m->schema > HISTOGRAM_SCHEMA_RESERVED_MAX)
        return exposition_protobuf_fail(parser, "histogram has an invalid schema");

    Histogram h = {.hint = parser->protobuf->type == PB_GAUGE_HISTOGRAM ? HINT_GAUGE : HINT_UNKNOWN,
                   .schema = (int32_t)m->schema,
                   .is_integer = !as_float,
                   .zero_threshold = m->zero_threshold,
                   .zero_count = as_float ? m->zero_count_float : (double)m->zero_count,
                   .count = as_float ? m->count_float : (double)m->count,
                   .sum = m->sum,
                   .positive_spans = positive->spans,
                   .negative_spans = negative->spans,
                   .positive_buckets = as_float ? positive->counts : positive->absolutes,
                   .negative_buckets = as_float ? negative->counts : negative->absolutes,
                   .positive_span_count = (uint32_t)positive->span_count,
                   .negative_span_count = (uint32_t)negative->span_count,
                   .positive_count = (uint32_t)positive->span_buckets,
                   .negative_count = (uint32_t)negative->span_buckets};
    const Histogram *reduced = h.schema > HISTOGRAM_SCHEMA_MAX
                                   ? histogram_reduce(parser->arena, &h, HISTOGRAM_SCHEMA_MAX)
                                   : &h;
    *ret = histogram_compact(parser->arena, reduced, 0);
    return true;
}

static bool read_classic_bucket(Exposition *parser, Str message, double *ret_bound)
{
    ProtoReader r = proto_reader(message);
    ProtobufItem *item = add_item(parser, "_bucket", 0);
    double whole = 0;
    double fractional = 0;

    item->label = "le";
    while (proto_next(&r)) {
        if (r.field == 1 && r.wire == PROTO_VARINT) {
            whole = (double)r.number;
        } else if (r.field == 2 && r.wire == PROTO_FIXED64) {
            item->label_value = proto_double(&r);
        } else if (r.field == 3 && r.wire == PROTO_BYTES) {
            Str *exemplar = ARENA_ARRAY(parser->arena, Str, 1);
            *exemplar = r.bytes;
            item->exemplars = exemplar;
            item->exemplar_count = 1;
        } else if (r.field == 4 && r.wire == PROTO_FIXED64) {
            fractional = proto_double(&r);
        }
    }
    item->value = fractional != 0 ? fractional : whole;
    *ret_bound = item->label_value;
    return !r.failed || exposition_protobuf_fail(parser, "malformed bucket");
}

static bool add_classic(Exposition *parser, const HistogramMessage *h)
{
    double count = h->count_float != 0 ? h->count_float : (double)h->count;
    double bound = 0;

    add_item(parser, "_count", count);
    add_item(parser, "_sum", h->sum);
    for (size_t i = 0; i < h->bucket_count; i++)
        if (!read_classic_bucket(parser, h->buckets[i], &bound))
            return false;
    if (h->bucket_count == 0 || !(bound == INFINITY)) {
        ProtobufItem *item = add_item(parser, "_bucket", count);
        item->label = "le";
        item->label_value = INFINITY;
    }
    return true;
}

// A native histogram's own exemplars, or else those of its classic buckets.
static bool add_native_exemplars(Exposition *parser, const HistogramMessage *h, ProtobufItem *item)
{
    if (h->exemplar_count > 0) {
        item->exemplars = h->exemplars;
        item->exemplar_count = h->exemplar_count;
        return true;
    }

    Str *exemplars = ARENA_ARRAY(parser->arena, Str, h->bucket_count);
    size_t count = 0;
    for (size_t i = 0; i < h->bucket_count; i++) {
        ProtoReader r = proto_reader(h->buckets[i]);
        Str exemplar = STR_NONE;
        while (proto_next(&r))
            if (r.field == 3 && r.wire == PROTO_BYTES)
                exemplar = r.bytes;
        if (r.failed)
            return exposition_protobuf_fail(parser, "malformed bucket");
        if (exemplar.len > 0)
            exemplars[count++] = exemplar;
    }
    item->exemplars = exemplars;
    item->exemplar_count = count;
    return true;
}

static bool add_histogram(Exposition *parser, const HistogramMessage *h)
{
    const Histogram *native = NULL;

    if (parser->ignore_native || !is_native(h))
        return add_classic(parser, h);
    if (!make_native(parser, h, &native))
        return false;

    ProtobufItem *item = add_item(parser, "", 0);
    item->histogram = native;
    if (!add_native_exemplars(parser, h, item))
        return false;
    return !parser->keep_classic || h->bucket_count == 0 || add_classic(parser, h);
}

static bool read_histogram(Exposition *parser, Str message)
{
    HistogramMessage h = {0};
    size_t first = parser->protobuf->item_count;

    if (!read_histogram_message(parser, message, &h) || !add_histogram(parser, &h))
        return false;
    set_start(parser, first, h.start_ms);
    return true;
}

// ---- all kinds

bool exposition_protobuf_value(Exposition *parser, Str message)
{
    switch (parser->protobuf->type) {
    case PB_SUMMARY:
        return read_summary(parser, message);
    case PB_HISTOGRAM:
    case PB_GAUGE_HISTOGRAM:
        return read_histogram(parser, message);
    default:
        return read_single(parser, message);
    }
}
