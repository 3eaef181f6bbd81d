// SPDX-License-Identifier: Apache-2.0
// The protobuf format: a stream of io.prometheus.client.MetricFamily messages, each with its length in front.
//
// A metric becomes a list of items first: one for a counter, one for each quantile and bucket, one for a native histogram. An item's
// identity is written as OpenMetrics would write it, so that the rest of the house sees one kind of series text.
#include <math.h>

#include "codec/protobuf.h"
#include "metric/exposition_internal.h"

#define FAMILY_BYTES_MAX (64 * EXPOSITION_LINE_BYTES_MAX)

// Numbers of io.prometheus.client.MetricType.
enum {
    PB_COUNTER,
    PB_GAUGE,
    PB_SUMMARY,
    PB_UNTYPED,
    PB_HISTOGRAM,
    PB_GAUGE_HISTOGRAM,
    PB_TYPE_COUNT
};

static const MetricType types[PB_TYPE_COUNT] = {
    [PB_COUNTER] = METRIC_COUNTER,     [PB_GAUGE] = METRIC_GAUGE,
    [PB_SUMMARY] = METRIC_SUMMARY,     [PB_UNTYPED] = METRIC_UNKNOWN,
    [PB_HISTOGRAM] = METRIC_HISTOGRAM, [PB_GAUGE_HISTOGRAM] = METRIC_GAUGE_HISTOGRAM,
};

typedef struct Item {
    const char *suffix;
    const char *label; // "le", "quantile" or NULL
    double label_value;
    double value;
    const Histogram *histogram;
    const Str *exemplars; // messages
    size_t exemplar_count;
    int64_t start_ms;
} Item;

typedef struct ExpositionProtobuf {
    Str rest; // messages after this family
    uint64_t family_number;
    // The family.
    Str name, help, unit;
    uint64_t type;
    ProtoReader metrics;
    int metadata_told; // help, unit, type
    // The metric.
    Label *labels;
    size_t label_count;
    int64_t t_ms;
    Item *items;
    size_t item_count;
    size_t item_cap;
    size_t item_at;
    const Str *exemplars; // left of the current item
    size_t exemplar_count;
    char *scratch; // for series texts
    size_t scratch_bytes;
    bool needs_time; // exemplars of native histograms without a time are dropped
} ExpositionProtobuf;

static bool fail(Exposition *parser, const char *text)
{
    const ExpositionProtobuf *pb = parser->protobuf;

    return exposition_fail(parser, parser->end, "metric family %llu (" STR_FMT "): %s",
                           (unsigned long long)pb->family_number, (int)MIN(pb->name.len, 100),
                           pb->name.ptr, text);
}

// ---- lists of unknown length in the arena

static void *list_room(Arena *arena, void *list, size_t count, size_t *cap, size_t bytes)
{
    if (count < *cap)
        return list;

    size_t wanted = *cap ? 2 * *cap : 8;
    list = *cap ? arena_grow(arena, list, *cap * bytes, wanted * bytes)
                : arena_array_alloc(arena, wanted, bytes);
    *cap = wanted;
    return list;
}

static Item *add_item(Exposition *parser, const char *suffix, double value)
{
    ExpositionProtobuf *pb = parser->protobuf;

    pb->items = list_room(parser->arena, pb->items, pb->item_count, &pb->item_cap, sizeof(Item));
    pb->items[pb->item_count] = (Item){.suffix = suffix, .value = value};
    return &pb->items[pb->item_count++];
}

// ---- messages without a type of their own

static bool read_label(Str message, Label *ret_label)
{
    ProtoReader r = proto_reader(message);

    *ret_label = (Label){S(""), S("")};
    while (proto_next(&r)) {
        if (r.wire != PROTO_BYTES)
            continue;
        if (r.field == 1)
            ret_label->name = r.bytes;
        else if (r.field == 2)
            ret_label->value = r.bytes;
    }
    return !r.failed && str_is_utf8(ret_label->name) && str_is_utf8(ret_label->value);
}

static bool read_time(Str message, int64_t *ret_ms)
{
    ProtoReader r = proto_reader(message);
    int64_t seconds = 0;
    int64_t nanos = 0;

    while (proto_next(&r)) {
        if (r.field == 1 && r.wire == PROTO_VARINT)
            seconds = (int64_t)r.number;
        else if (r.field == 2 && r.wire == PROTO_VARINT)
            nanos = (int32_t)r.number;
    }
    return !r.failed && !__builtin_mul_overflow(seconds, (int64_t)1000, ret_ms) &&
           !__builtin_add_overflow(*ret_ms, nanos / 1000000, ret_ms);
}

// A start timestamp, where it is wanted; a malformed one is none.
static int64_t read_start(const Exposition *parser, const ProtoReader *r)
{
    int64_t ms;
    return parser->wants_start && r->wire == PROTO_BYTES && read_time(r->bytes, &ms) ? ms : 0;
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
    Item *item = add_item(parser, "", 0);

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
    return !r.failed || fail(parser, "malformed counter, gauge or untyped value");
}

static bool read_quantile(Exposition *parser, Str message)
{
    ProtoReader r = proto_reader(message);
    Item *item = add_item(parser, "", 0);

    item->label = "quantile";
    while (proto_next(&r)) {
        if (r.field == 1 && r.wire == PROTO_FIXED64)
            item->label_value = proto_double(&r);
        else if (r.field == 2 && r.wire == PROTO_FIXED64)
            item->value = proto_double(&r);
    }
    return !r.failed || fail(parser, "malformed quantile");
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
    return !r.failed || fail(parser, "malformed summary");
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
        return fail(parser, "malformed bucket span");
    if (side->span_count >= HISTOGRAM_BUCKETS_MAX)
        return fail(parser, "too many bucket spans");
    side->spans = list_room(parser->arena, side->spans, side->span_count, &side->span_cap,
                            sizeof(HistogramSpan));
    side->spans[side->span_count++] = span;
    side->span_buckets += span.length;
    return true;
}

static bool add_bucket(Exposition *parser, SideList *side, bool is_delta, uint64_t number)
{
    Arena *arena = parser->arena;

    if (MAX(side->count_count, side->absolute_count) >= HISTOGRAM_BUCKETS_MAX)
        return fail(parser, "too many buckets");
    if (is_delta) {
        int64_t delta = (int64_t)(number >> 1) ^ -(int64_t)(number & 1);
        if (__builtin_add_overflow(side->last, delta, &side->last))
            return fail(parser, "bucket count out of range");
        side->absolutes = list_room(arena, side->absolutes, side->absolute_count,
                                    &side->absolute_cap, sizeof(double));
        side->absolutes[side->absolute_count++] = (double)side->last;
    } else {
        side->counts =
            list_room(arena, side->counts, side->count_count, &side->count_cap, sizeof(double));
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
        return fail(parser, "malformed bucket counts");

    Reader packed = reader_from(r->bytes);
    while (proto_packed_next(&packed, wire, &number))
        if (!add_bucket(parser, side, is_delta, number))
            return false;
    return !packed.failed || fail(parser, "malformed bucket counts");
}

static bool add_message(Exposition *parser, Str message, Str **list, size_t *count, size_t *cap)
{
    if (*count >= HISTOGRAM_BUCKETS_MAX)
        return fail(parser, "too many buckets or exemplars");
    *list = list_room(parser->arena, *list, *count, cap, sizeof(Str));
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
                                      : fail(parser, "malformed bucket span");
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
    return !r.failed || fail(parser, "malformed histogram");
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
           fail(parser, "bucket spans do not agree with the number of buckets");
}

#define RESERVED_SCHEMA_MAX 52 // higher resolutions may come one day and are reduced until then

static bool make_native(Exposition *parser, const HistogramMessage *m, const Histogram **ret)
{
    bool as_float = is_float(m);
    const SideList *positive = &m->sides[0];
    const SideList *negative = &m->sides[1];

    if (!check_side(parser, positive, as_float) || !check_side(parser, negative, as_float))
        return false;
    if (m->schema < HISTOGRAM_SCHEMA_MIN || m->schema > RESERVED_SCHEMA_MAX)
        return fail(parser, "histogram has an invalid schema");

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
    Item *item = add_item(parser, "_bucket", 0);
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
    return !r.failed || fail(parser, "malformed bucket");
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
        Item *item = add_item(parser, "_bucket", count);
        item->label = "le";
        item->label_value = INFINITY;
    }
    return true;
}

// A native histogram's own exemplars, or else those of its classic buckets.
static bool add_native_exemplars(Exposition *parser, const HistogramMessage *h, Item *item)
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
            return fail(parser, "malformed bucket");
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

    Item *item = add_item(parser, "", 0);
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

// ---- metrics and families

// The member of Metric that holds a value of this type.
static uint32_t value_field(uint64_t type)
{
    static const uint32_t numbers[PB_TYPE_COUNT] = {
        [PB_COUNTER] = 3, [PB_GAUGE] = 2,     [PB_SUMMARY] = 4,
        [PB_UNTYPED] = 5, [PB_HISTOGRAM] = 7, [PB_GAUGE_HISTOGRAM] = 7,
    };

    return numbers[type];
}

static bool read_value(Exposition *parser, Str message)
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

static bool read_metric(Exposition *parser, Str message)
{
    ExpositionProtobuf *pb = parser->protobuf;
    ProtoReader r = proto_reader(message);
    Str value = S("");
    size_t cap = 0;

    pb->labels = NULL;
    pb->label_count = pb->item_count = pb->item_at = 0;
    pb->items = NULL;
    pb->item_cap = 0;
    pb->t_ms = 0;
    while (proto_next(&r)) {
        if (r.field == 1 && r.wire == PROTO_BYTES) {
            if (pb->label_count >= EXPOSITION_LABELS_MAX)
                return fail(parser, "too many labels");
            pb->labels = list_room(parser->arena, pb->labels, pb->label_count, &cap, sizeof(Label));
            if (!read_label(r.bytes, &pb->labels[pb->label_count++]))
                return fail(parser, "malformed label or invalid UTF-8");
        } else if (r.field == 6 && r.wire == PROTO_VARINT) {
            pb->t_ms = (int64_t)r.number;
        } else if (r.field == value_field(pb->type) && r.wire == PROTO_BYTES) {
            value = r.bytes;
        }
    }
    if (r.failed)
        return fail(parser, "malformed metric");
    return read_value(parser, value);
}

static bool read_family(Exposition *parser, Str message)
{
    ExpositionProtobuf *pb = parser->protobuf;
    ProtoReader r = proto_reader(message);

    pb->name = pb->help = pb->unit = S("");
    pb->type = PB_COUNTER;
    pb->metadata_told = 0;
    pb->item_count = pb->item_at = 0;
    pb->metrics = proto_reader(message);
    while (proto_next(&r)) {
        if (r.field == 1 && r.wire == PROTO_BYTES)
            pb->name = r.bytes;
        else if (r.field == 2 && r.wire == PROTO_BYTES)
            pb->help = r.bytes;
        else if (r.field == 3 && r.wire == PROTO_VARINT)
            pb->type = r.number;
        else if (r.field == 5 && r.wire == PROTO_BYTES)
            pb->unit = r.bytes;
    }
    if (r.failed)
        return fail(parser, "malformed message");
    if (!name_is_utf8(pb->name))
        return fail(parser, "invalid metric name");
    if (!str_is_utf8(pb->help) || !str_is_utf8(pb->unit))
        return fail(parser, "help or unit is not valid UTF-8");
    return pb->type < PB_TYPE_COUNT || fail(parser, "unknown metric type");
}

// The next family; false at the end or on failure.
static bool next_family(Exposition *parser)
{
    ExpositionProtobuf *pb = parser->protobuf;
    Reader r = reader_from(pb->rest);

    pb->name = S("");
    if (pb->rest.len == 0)
        return false;
    pb->family_number++;
    uint64_t bytes = reader_uvarint(&r);
    if (r.failed || bytes > reader_left(&r))
        return fail(parser, "message is cut short");
    if (bytes > FAMILY_BYTES_MAX)
        return fail(parser, "message is too long");
    Str message = reader_bytes(&r, (size_t)bytes);
    pb->rest = str_make((const char *)r.at, reader_left(&r));
    parser->at = pb->rest.ptr;
    return read_family(parser, message);
}

// The next metric of the family; false at its end or on failure.
static bool next_metric(Exposition *parser)
{
    ExpositionProtobuf *pb = parser->protobuf;

    while (proto_next(&pb->metrics))
        if (pb->metrics.field == 4 && pb->metrics.wire == PROTO_BYTES)
            return read_metric(parser, pb->metrics.bytes);

    return false;
}

// ---- what is told

static void add_escaped(Buf *buf, Str text)
{
    const char *at = text.ptr;
    const char *end = at + text.len;
    bool ignored = false;

    while (at < end) {
        const char *stop = scan_plain(at, end, &ignored);
        buf_add(buf, at, (size_t)(stop - at));
        if (stop == end)
            return;
        buf_add_char(buf, '\\');
        buf_add_char(buf, *stop == '\n' ? 'n' : *stop);
        at = stop + 1;
    }
}

static void add_quoted(Buf *buf, Str text)
{
    buf_add_char(buf, '"');
    add_escaped(buf, text);
    buf_add_char(buf, '"');
}

// The first pair stands right behind the brace.
static void add_pair(Buf *buf, Str name, Str value)
{
    if (buf->ptr[buf->len - 1] != '{')
        buf_add_char(buf, ',');
    if (label_name_is_legacy(name))
        buf_add_str(buf, name);
    else
        add_quoted(buf, name);
    buf_add_char(buf, '=');
    add_quoted(buf, value);
}

// Room for the text if every byte of it is escaped: made anew only when a metric needs more than all before it.
static Buf scratch_for(Exposition *parser)
{
    ExpositionProtobuf *pb = parser->protobuf;
    size_t bytes = 2 * pb->name.len + NUMBER_BYTES_MAX + 64;

    for (size_t i = 0; i < pb->label_count; i++)
        bytes += 2 * (pb->labels[i].name.len + pb->labels[i].value.len) + 6;
    if (bytes > pb->scratch_bytes) {
        pb->scratch_bytes = 2 * bytes;
        pb->scratch = arena_alloc_aligned(parser->arena, pb->scratch_bytes, 1);
    }
    return (Buf){.ptr = pb->scratch, .cap = pb->scratch_bytes, .max = pb->scratch_bytes};
}

static Str make_series_text(Exposition *parser, const Item *item)
{
    const ExpositionProtobuf *pb = parser->protobuf;
    Buf buf = scratch_for(parser);
    char number[NUMBER_BYTES_MAX];

    if (metric_name_is_legacy(pb->name)) {
        buf_add_str(&buf, pb->name);
        buf_add_c(&buf, item->suffix);
        buf_add_char(&buf, '{');
    } else {
        buf_add_c(&buf, "{\"");
        add_escaped(&buf, pb->name);
        buf_add_c(&buf, item->suffix);
        buf_add_char(&buf, '"');
    }
    for (size_t i = 0; i < pb->label_count; i++)
        add_pair(&buf, pb->labels[i].name, pb->labels[i].value);
    if (item->label) {
        size_t len = exposition_format_float(item->label_value, number);
        add_pair(&buf, str_from_c(item->label), str_make(number, len));
    }
    buf_add_char(&buf, '}');
    return arena_str(parser->arena, buf_str(&buf));
}

static void tell_item(Exposition *parser)
{
    ExpositionProtobuf *pb = parser->protobuf;
    const Item *item = &pb->items[pb->item_at++];

    parser->kind = item->histogram ? EXPOSITION_HISTOGRAM : EXPOSITION_SAMPLE;
    parser->series_text = make_series_text(parser, item);
    parser->value = isnan(item->value) ? double_from_bits(NAN_NORMAL_BITS) : item->value;
    parser->histogram = item->histogram;
    parser->start_ms = item->start_ms;
    parser->has_t = pb->t_ms != 0;
    parser->t_ms = pb->t_ms;
    pb->exemplars = item->exemplars;
    pb->exemplar_count = item->exemplar_count;
    pb->needs_time = item->histogram != NULL;
    parser->has_exemplar = pb->exemplar_count > 0;
}

// Help, then the unit if there is one, then the type. False when all is told.
static bool tell_metadata(Exposition *parser)
{
    ExpositionProtobuf *pb = parser->protobuf;

    parser->name = pb->name;
    switch (pb->metadata_told++) {
    case 0:
        parser->kind = EXPOSITION_HELP;
        parser->text = pb->help;
        return true;
    case 1:
        if (pb->unit.len == 0)
            return tell_metadata(parser);
        parser->kind = EXPOSITION_UNIT;
        parser->text = pb->unit;
        return true;
    case 2:
        parser->kind = EXPOSITION_TYPE;
        parser->type = types[pb->type];
        return true;
    default:
        return false;
    }
}

bool exposition_protobuf_next(Exposition *parser)
{
    if (!parser->protobuf) {
        parser->protobuf = ARENA_NEW(parser->arena, ExpositionProtobuf);
        parser->protobuf->rest = parser->body;
        parser->protobuf->metadata_told = 3;
    }

    ExpositionProtobuf *pb = parser->protobuf;
    parser->has_exemplar = false;
    for (;;) {
        if (tell_metadata(parser))
            return true;
        if (pb->item_at < pb->item_count) {
            tell_item(parser);
            return true;
        }
        pb->metadata_told = 3;
        if (!next_metric(parser) && (parser->failed || !next_family(parser)))
            return false;
    }
}

// ---- exemplars

static bool read_exemplar(Str message, Arena *arena, Exemplar *exemplar, Error *err)
{
    ProtoReader r = proto_reader(message);
    Label *labels = NULL;
    size_t count = 0;
    size_t cap = 0;

    while (proto_next(&r)) {
        if (r.field == 1 && r.wire == PROTO_BYTES && count < EXPOSITION_LABELS_MAX) {
            labels = list_room(arena, labels, count, &cap, sizeof(Label));
            if (!read_label(r.bytes, &labels[count++]))
                return error_set(err, ERR_INVALID, "malformed label of an exemplar");
        } else if (r.field == 2 && r.wire == PROTO_FIXED64) {
            exemplar->value = proto_double(&r);
        } else if (r.field == 3 && r.wire == PROTO_BYTES) {
            exemplar->has_t = true;
            if (!read_time(r.bytes, &exemplar->t_ms))
                return error_set(err, ERR_INVALID, "malformed time of an exemplar");
        }
    }
    if (r.failed)
        return error_set(err, ERR_INVALID, "malformed exemplar");
    if (count > 0 && !labels_sort(labels, &count, err))
        return false;
    exemplar->labels = (Labels){labels, count};
    return true;
}

bool exposition_protobuf_exemplar(Exposition *parser, Arena *arena, Exemplar *ret_exemplar,
                                  Error *err)
{
    ExpositionProtobuf *pb = parser->protobuf;
    Exemplar exemplar;

    do {
        exemplar = (Exemplar){0};
        if (!pb || pb->exemplar_count == 0) {
            parser->has_exemplar = false;
            return error_set(err, ERR_NOT_FOUND, "no exemplar with a time");
        }
        pb->exemplar_count--;
        parser->has_exemplar = pb->exemplar_count > 0;
        if (!read_exemplar(*pb->exemplars++, arena, &exemplar, err))
            return false;
    } while (pb->needs_time && !exemplar.has_t);
    *ret_exemplar = exemplar;
    return true;
}
