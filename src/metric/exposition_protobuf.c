// SPDX-License-Identifier: Apache-2.0
// The protobuf format: a stream of io.prometheus.client.MetricFamily messages, each with its length in front.
//
// An item's identity is written as OpenMetrics would write it, so that the rest of the house sees one kind of series text.
#include "metric/exposition_protobuf.h"

#include <math.h>

#define METADATA_TOLD 3 // help, unit, type
#define FAMILY_BYTES_MAX (64 * EXPOSITION_LINE_BYTES_MAX)

static const MetricType types[PB_TYPE_COUNT] = {
    [PB_COUNTER] = METRIC_COUNTER,     [PB_GAUGE] = METRIC_GAUGE,
    [PB_SUMMARY] = METRIC_SUMMARY,     [PB_UNTYPED] = METRIC_UNKNOWN,
    [PB_HISTOGRAM] = METRIC_HISTOGRAM, [PB_GAUGE_HISTOGRAM] = METRIC_GAUGE_HISTOGRAM,
};

bool exposition_protobuf_fail(Exposition *parser, const char *text)
{
    const ExpositionProtobuf *pb = parser->protobuf;

    return exposition_fail(parser, parser->end, "metric family %llu (" STR_FMT "): %s",
                           (unsigned long long)pb->family_number, (int)MIN(pb->name.len, 100),
                           pb->name.ptr, text);
}

void *exposition_protobuf_list(Arena *arena, void *list, size_t count, size_t *cap, size_t bytes)
{
    if (count < *cap)
        return list;

    size_t wanted = *cap ? 2 * *cap : 8;
    list = *cap ? arena_grow(arena, list, *cap * bytes, wanted * bytes)
                : arena_array_alloc(arena, wanted, bytes);
    *cap = wanted;
    return list;
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

bool exposition_protobuf_time(Str message, int64_t *ret_ms)
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

// Where the short labels at the beginning end.
static const uint8_t *skip_labels(Str message)
{
    const uint8_t *at = (const uint8_t *)message.ptr;
    const uint8_t *end = at + message.len;

    while (end - at >= 2 && at[0] == (1 << 3 | PROTO_BYTES) && at[1] < 0x80 &&
           end - at - 2 >= at[1])
        at += 2 + at[1];
    return at;
}

// Where the labels stand together at the beginning, as they nearly always do, the hash of their bytes says which they are.
static bool read_metric(Exposition *parser, Str message)
{
    ExpositionProtobuf *pb = parser->protobuf;
    ProtoReader r = proto_reader(message);
    uint32_t value_number = value_field(pb->type);
    Str value = S("");
    if (message.len)
        r.reader.at = skip_labels(message);
    size_t label_bytes = message.len ? (size_t)((const char *)r.reader.at - message.ptr) : 0;
    bool others = false;
    bool together = true;

    pb->metric = message;
    pb->has_labels = false;
    pb->label_count = pb->item_count = pb->item_at = 0;
    pb->t_ms = 0;
    while (proto_next(&r)) {
        if (r.field == 1 && r.wire == PROTO_BYTES) {
            label_bytes = (size_t)((const char *)r.reader.at - message.ptr);
            together &= !others;
            continue;
        }
        others = true;
        if (r.field == 6 && r.wire == PROTO_VARINT)
            pb->t_ms = (int64_t)r.number;
        else if (r.field == value_number && r.wire == PROTO_BYTES)
            value = r.bytes;
    }
    if (r.failed)
        return exposition_protobuf_fail(parser, "malformed metric");
    pb->labels_hash = together ? exposition_series_hash(str_sub(message, 0, label_bytes)) | 1 : 0;
    return exposition_protobuf_value(parser, value);
}

// Only a metric whose texts are wanted needs its labels.
static bool read_labels(Exposition *parser)
{
    ExpositionProtobuf *pb = parser->protobuf;
    ProtoReader r = proto_reader(pb->metric);

    pb->label_count = 0;
    while (proto_next(&r)) {
        if (r.field != 1 || r.wire != PROTO_BYTES)
            continue;
        if (pb->label_count >= EXPOSITION_LABELS_MAX)
            return exposition_protobuf_fail(parser, "too many labels");
        pb->labels = exposition_protobuf_list(parser->arena, pb->labels, pb->label_count,
                                              &pb->label_cap, sizeof(Label));
        if (!read_label(r.bytes, &pb->labels[pb->label_count++]))
            return exposition_protobuf_fail(parser, "malformed label or invalid UTF-8");
    }
    pb->has_labels = true;
    return true;
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
    pb->name_hash = exposition_series_hash(pb->name);
    if (r.failed)
        return exposition_protobuf_fail(parser, "malformed message");
    if (!name_is_utf8(pb->name))
        return exposition_protobuf_fail(parser, "invalid metric name");
    if (!str_is_utf8(pb->help) || !str_is_utf8(pb->unit))
        return exposition_protobuf_fail(parser, "help or unit is not valid UTF-8");
    return pb->type < PB_TYPE_COUNT || exposition_protobuf_fail(parser, "unknown metric type");
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
        return exposition_protobuf_fail(parser, "message is cut short");
    if (bytes > FAMILY_BYTES_MAX)
        return exposition_protobuf_fail(parser, "message is too long");
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

static Str make_series_text(Exposition *parser, const ProtobufItem *item)
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

static inline uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

// Tells the series of a page apart as its text does, without the text: two hashes, and what is added to them. 0: only the text can.
static uint64_t item_hash(const ExpositionProtobuf *pb, uint64_t labels_hash,
                          const ProtobufItem *item)
{
    if (!labels_hash)
        return 0;
    uint64_t hash = fold(pb->name_hash ^ 0x9e3779b97f4a7c15, labels_hash ^ 0xd6e8feb86659fd93);
    if (item->suffix[0])
        hash = fold(hash ^ 0xa0761d6478bd642f, (uint64_t)item->suffix[1] ^ 0xe7037ed1a0b428db);
    if (item->label)
        hash = fold(hash ^ (uint64_t)item->label[0] << 56 ^ 0x8ebc6af09c88c6e3,
                    double_bits(item->label_value) ^ 0x589965cc75374cc3);
    return hash | 1;
}

// All but the text.
static void tell_item(Exposition *parser, uint64_t hash)
{
    ExpositionProtobuf *pb = parser->protobuf;
    const ProtobufItem *item = &pb->items[pb->item_at++];

    parser->kind = item->histogram ? EXPOSITION_HISTOGRAM : EXPOSITION_SAMPLE;
    parser->series_text = STR_NONE;
    parser->series_hash = hash;
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
        parser->protobuf->metadata_told = METADATA_TOLD;
    }

    ExpositionProtobuf *pb = parser->protobuf;
    parser->has_exemplar = false;
    for (;;) {
        if (tell_metadata(parser))
            return true;
        if (pb->item_at < pb->item_count) {
            if (!pb->has_labels && !read_labels(parser))
                return false;
            const ProtobufItem *item = &pb->items[pb->item_at];
            tell_item(parser, item_hash(pb, pb->labels_hash, item));
            parser->series_text = make_series_text(parser, item);
            return true;
        }
        pb->metadata_told = METADATA_TOLD;
        if (!next_metric(parser) && (parser->failed || !next_family(parser)))
            return false;
    }
}

// The next metric of the family, if it is a mere number and the labels in front of it are those of the series. Nobody needs to look at the
// labels one by one then: they were, when the series was first seen. Otherwise nothing has happened.
//
//     labels | tag of the value | 9 | tag of the number | number, 8 bytes
static bool next_expected_number(ExpositionProtobuf *pb, uint64_t series_hash)
{
    enum { VALUE_BYTES = 11 };
    ProtoReader metrics = pb->metrics;
    if (pb->type == PB_SUMMARY || pb->type >= PB_HISTOGRAM || !pb->item_cap ||
        !proto_next(&metrics) || metrics.field != 4 || metrics.wire != PROTO_BYTES ||
        metrics.bytes.len < VALUE_BYTES)
        return false;
    Str labels = str_sub(metrics.bytes, 0, metrics.bytes.len - VALUE_BYTES);
    const uint8_t *value = (const uint8_t *)labels.ptr + labels.len;
    if (value[0] != (value_field(pb->type) << 3 | PROTO_BYTES) || value[1] != 9 ||
        value[2] != (1 << 3 | PROTO_FIXED64))
        return false;
    ProtobufItem item = {.suffix = ""};
    memcpy(&item.value, value + 3, sizeof item.value);
    uint64_t labels_hash = exposition_series_hash(labels) | 1;
    if (item_hash(pb, labels_hash, &item) != series_hash)
        return false;
    pb->metrics = metrics;
    pb->metric = metrics.bytes;
    pb->labels_hash = labels_hash;
    pb->has_labels = false;
    pb->t_ms = 0;
    pb->items[0] = item;
    pb->label_count = pb->item_at = 0;
    pb->item_count = 1;
    return true;
}

bool exposition_protobuf_next_hash(Exposition *parser, uint64_t series_hash)
{
    ExpositionProtobuf *pb = parser->protobuf;

    if (!pb || pb->metadata_told < METADATA_TOLD || parser->failed)
        return false;
    if (pb->item_at == pb->item_count) {
        if (next_expected_number(pb, series_hash)) {
            tell_item(parser, series_hash);
            return true;
        }
        if (!next_metric(parser) || !pb->item_count)
            return false;
    }
    uint64_t hash = item_hash(pb, pb->labels_hash, &pb->items[pb->item_at]);
    if (hash != series_hash || !hash)
        return false;
    tell_item(parser, hash);
    return true;
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
            labels = exposition_protobuf_list(arena, labels, count, &cap, sizeof(Label));
            if (!read_label(r.bytes, &labels[count++]))
                return error_set(err, ERR_INVALID, "malformed label of an exemplar");
        } else if (r.field == 2 && r.wire == PROTO_FIXED64) {
            exemplar->value = proto_double(&r);
        } else if (r.field == 3 && r.wire == PROTO_BYTES) {
            exemplar->has_t = true;
            if (!exposition_protobuf_time(r.bytes, &exemplar->t_ms))
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
