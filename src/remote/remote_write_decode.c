// SPDX-License-Identifier: Apache-2.0
#include "remote/remote_write_decode.h"

#include <xxhash.h>

#include "base/number.h"

static bool fail(WriteMessage *message, const char *what)
{
    message->failed = true;
    error_set(&message->err, ERR_INVALID, "%s", what);
    return false;
}

bool write_message_init(WriteMessage *message, Str bytes, bool is_v2, const uint64_t seed[2],
                        Arena *arena, Error *err)
{
    *message = (WriteMessage){
        .is_v2 = is_v2, .seed = {seed[0], seed[1]},
             .arena = arena, .reader = proto_reader(bytes)
    };
    if (!is_v2)
        return true;

    size_t count = 0;
    ProtoReader counter = proto_reader(bytes);
    while (proto_next(&counter))
        count += counter.field == 4 && counter.wire == PROTO_BYTES;
    if (counter.failed)
        return error_set(err, ERR_INVALID, "malformed protobuf message");
    if (count > WRITE_SYMBOLS_MAX)
        return error_set(err, ERR_LIMIT, "more than %d symbols", WRITE_SYMBOLS_MAX);
    message->symbols = ARENA_ARRAY(arena, Str, count);
    message->symbol_hashes = ARENA_ARRAY(arena, uint64_t, count);
    ProtoReader reader = proto_reader(bytes);
    while (proto_next(&reader)) {
        if (reader.field != 4 || reader.wire != PROTO_BYTES)
            continue;
        message->symbol_hashes[message->symbol_count] =
            XXH3_64bits_withSeed(reader.bytes.ptr, reader.bytes.len, seed[0]);
        message->symbols[message->symbol_count++] = reader.bytes;
    }
    if (message->symbol_count && message->symbols[0].len)
        return error_set(err, ERR_INVALID, "the first symbol must be empty");
    return true;
}

// A growing array in the arena.
typedef struct Grown {
    void *items;
    size_t count, cap;
} Grown;

static void *grown_add(Arena *arena, Grown *list, size_t bytes)
{
    if (list->count == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 4;
        list->items = arena_grow(arena, list->items, list->cap * bytes, cap * bytes);
        list->cap = cap;
    }
    return memset((char *)list->items + bytes * list->count++, 0, bytes);
}

static bool decode_sample(WriteMessage *message, Str bytes, WriteSample *sample)
{
    ProtoReader r = proto_reader(bytes);
    while (proto_next(&r)) {
        if (r.field == 1 && r.wire == PROTO_FIXED64)
            sample->value = proto_double(&r);
        else if (r.field == 2 && r.wire == PROTO_VARINT)
            sample->t_ms = (int64_t)r.number;
    }
    return r.failed ? fail(message, "malformed sample") : true;
}

static bool decode_spans(WriteMessage *message, Str bytes, Grown *spans)
{
    HistogramSpan *span = grown_add(message->arena, spans, sizeof *span);
    ProtoReader r = proto_reader(bytes);
    while (proto_next(&r)) {
        if (r.field == 1 && r.wire == PROTO_VARINT)
            span->offset = (int32_t)proto_zigzag(&r);
        else if (r.field == 2 && r.wire == PROTO_VARINT)
            span->length = (uint32_t)r.number;
    }
    return r.failed ? fail(message, "malformed histogram span") : true;
}

// Repeated numbers, packed or one by one.
static bool decode_numbers(WriteMessage *message, const ProtoReader *r, ProtoWire wire,
                           Grown *numbers)
{
    if (r->wire != PROTO_BYTES) {
        *(uint64_t *)grown_add(message->arena, numbers, sizeof(uint64_t)) = r->number;
        return true;
    }
    Reader packed = reader_from(r->bytes);
    uint64_t number;
    while (proto_packed_next(&packed, wire, &number)) {
        if (numbers->count > HISTOGRAM_BUCKETS_MAX)
            return fail(message, "histogram has too many buckets");
        *(uint64_t *)grown_add(message->arena, numbers, sizeof number) = number;
    }
    return packed.failed ? fail(message, "malformed histogram buckets") : true;
}

// What a Histogram message says, before deltas become counts.
typedef struct RawHistogram {
    Histogram h;
    int64_t t_ms;
    bool is_float;
    Grown positive_spans, negative_spans;
    Grown positive_deltas, negative_deltas, positive_counts, negative_counts, custom;
} RawHistogram;

static bool decode_histogram_field(WriteMessage *message, const ProtoReader *r, RawHistogram *raw)
{
    switch (r->field) {
    case 1:
        raw->h.count = (double)r->number;
        return true;
    case 2:
        raw->is_float = true;
        raw->h.count = proto_double(r);
        return true;
    case 3:
        raw->h.sum = proto_double(r);
        return true;
    case 4:
        raw->h.schema = (int32_t)proto_zigzag(r);
        return true;
    case 5:
        raw->h.zero_threshold = proto_double(r);
        return true;
    case 6:
        raw->h.zero_count = (double)r->number;
        return true;
    case 7:
        raw->is_float = true;
        raw->h.zero_count = proto_double(r);
        return true;
    case 8:
        return decode_spans(message, r->bytes, &raw->negative_spans);
    case 9:
        return decode_numbers(message, r, PROTO_VARINT, &raw->negative_deltas);
    case 10:
        return decode_numbers(message, r, PROTO_FIXED64, &raw->negative_counts);
    case 11:
        return decode_spans(message, r->bytes, &raw->positive_spans);
    case 12:
        return decode_numbers(message, r, PROTO_VARINT, &raw->positive_deltas);
    case 13:
        return decode_numbers(message, r, PROTO_FIXED64, &raw->positive_counts);
    case 14:
        raw->h.hint = r->number <= HINT_GAUGE ? (HistogramHint)r->number : HINT_UNKNOWN;
        return true;
    case 15:
        raw->t_ms = (int64_t)r->number;
        return true;
    case 16:
        return decode_numbers(message, r, PROTO_FIXED64, &raw->custom);
    default:
        return true;
    }
}

// Deltas (zig-zag) of integer histograms or absolute counts of float ones, as counts.
static double *bucket_counts(Arena *arena, const Grown *deltas, const Grown *counts, bool is_float,
                             uint32_t *ret_count)
{
    const Grown *from = is_float ? counts : deltas;
    const uint64_t *numbers = from->items;
    double *buckets = ARENA_ARRAY(arena, double, from->count);
    int64_t sum = 0;
    for (size_t i = 0; i < from->count; i++) {
        sum = (int64_t)((uint64_t)sum + ((numbers[i] >> 1) ^ (0 - (numbers[i] & 1))));
        buckets[i] = is_float ? double_from_bits(numbers[i]) : (double)sum;
    }
    *ret_count = (uint32_t)from->count;
    return buckets;
}

static bool decode_histogram(WriteMessage *message, Str bytes, WriteSample *sample)
{
    RawHistogram *raw = ARENA_NEW(message->arena, RawHistogram);
    ProtoReader r = proto_reader(bytes);
    while (proto_next(&r))
        if (!decode_histogram_field(message, &r, raw))
            return false;
    if (r.failed)
        return fail(message, "malformed histogram");

    Histogram *h = &raw->h;
    h->is_integer = !raw->is_float;
    h->positive_spans = raw->positive_spans.items;
    h->positive_span_count = (uint32_t)raw->positive_spans.count;
    h->negative_spans = raw->negative_spans.items;
    h->negative_span_count = (uint32_t)raw->negative_spans.count;
    h->positive_buckets = bucket_counts(message->arena, &raw->positive_deltas,
                                        &raw->positive_counts, raw->is_float, &h->positive_count);
    h->negative_buckets = bucket_counts(message->arena, &raw->negative_deltas,
                                        &raw->negative_counts, raw->is_float, &h->negative_count);
    double *bounds = ARENA_ARRAY(message->arena, double, raw->custom.count);
    for (size_t i = 0; i < raw->custom.count; i++)
        bounds[i] = double_from_bits(((uint64_t *)raw->custom.items)[i]);
    h->custom_bounds = bounds;
    h->custom_count = (uint32_t)raw->custom.count;
    sample->histogram = h;
    sample->t_ms = raw->t_ms;
    return true;
}

static bool decode_label(Str bytes, Label *ret_label)
{
    Label label = {STR_NONE, STR_NONE};
    ProtoReader r = proto_reader(bytes);
    while (proto_next(&r)) {
        if (r.field == 1 && r.wire == PROTO_BYTES)
            label.name = r.bytes;
        else if (r.field == 2 && r.wire == PROTO_BYTES)
            label.value = r.bytes;
    }
    *ret_label = label;
    return !r.failed;
}

static bool symbol_labels(const WriteMessage *message, const uint32_t *refs, size_t count,
                          Label *pairs)
{
    for (size_t i = 0; i < count; i++) {
        if (refs[2 * i] >= message->symbol_count || refs[2 * i + 1] >= message->symbol_count)
            return false;
        pairs[i] = (Label){message->symbols[refs[2 * i]], message->symbols[refs[2 * i + 1]]};
    }
    return true;
}

static bool decode_refs(WriteMessage *message, const ProtoReader *r, Grown *refs)
{
    if (r->wire == PROTO_VARINT) {
        *(uint32_t *)grown_add(message->arena, refs, sizeof(uint32_t)) = (uint32_t)r->number;
        return true;
    }
    Reader packed = reader_from(r->bytes);
    uint64_t number;
    while (proto_packed_next(&packed, PROTO_VARINT, &number)) {
        if (number >= message->symbol_count || refs->count >= 2 * WRITE_LABELS_MAX)
            return fail(message, "label reference out of range, or too many labels");
        *(uint32_t *)grown_add(message->arena, refs, sizeof(uint32_t)) = (uint32_t)number;
    }
    return packed.failed ? fail(message, "malformed label references") : true;
}

static bool decode_exemplar(WriteMessage *message, Str bytes, Exemplar *exemplar)
{
    Grown labels = {0};
    Grown refs = {0};
    ProtoReader r = proto_reader(bytes);
    while (proto_next(&r)) {
        if (r.field == 1 && !message->is_v2 && r.wire == PROTO_BYTES) {
            if (labels.count >= WRITE_LABELS_MAX ||
                !decode_label(r.bytes, grown_add(message->arena, &labels, sizeof(Label))))
                return fail(message, "malformed exemplar label");
        } else if (r.field == 1 && message->is_v2) {
            if (!decode_refs(message, &r, &refs))
                return false;
        } else if (r.field == 2 && r.wire == PROTO_FIXED64) {
            exemplar->value = proto_double(&r);
        } else if (r.field == 3 && r.wire == PROTO_VARINT) {
            exemplar->t_ms = (int64_t)r.number;
            exemplar->has_t = true;
        }
    }
    if (r.failed || refs.count % 2)
        return fail(message, "malformed exemplar");
    if (message->is_v2) {
        labels.count = refs.count / 2;
        labels.items = ARENA_ARRAY(message->arena, Label, labels.count);
        if (!symbol_labels(message, refs.items, labels.count, labels.items))
            return fail(message, "label reference out of range");
    }
    if (!labels_sort(labels.items, &labels.count, &message->err)) {
        message->failed = true;
        return false;
    }
    exemplar->labels = (Labels){labels.items, labels.count};
    return true;
}

static bool decode_metadata(WriteMessage *message, Str bytes, WriteSeries *series)
{
    ProtoReader r = proto_reader(bytes);
    while (proto_next(&r)) {
        if (r.field == 1 && r.wire == PROTO_VARINT)
            series->metadata.type =
                r.number <= METRIC_STATESET ? (MetricType)r.number : METRIC_UNKNOWN;
        else if ((r.field == 3 || r.field == 4) && r.wire == PROTO_VARINT &&
                 r.number >= message->symbol_count)
            return fail(message, "metadata reference out of range");
        else if (r.field == 3 && r.wire == PROTO_VARINT)
            series->metadata.help = message->symbols[r.number];
        else if (r.field == 4 && r.wire == PROTO_VARINT)
            series->metadata.unit = message->symbols[r.number];
    }
    // The order of the enum: counter gauge histogram gaugehistogram summary info stateset, as MetricType.
    series->has_metadata = true;
    return r.failed ? fail(message, "malformed metadata") : true;
}

typedef struct SeriesParts {
    Grown labels, refs, samples, exemplars;
    WriteSeries series;
} SeriesParts;

static bool decode_series_field(WriteMessage *message, const ProtoReader *r, SeriesParts *parts)
{
    bool v2 = message->is_v2;
    if (r->field == 1 && v2)
        return decode_refs(message, r, &parts->refs);
    if (r->wire != PROTO_BYTES)
        return true;
    if (r->field == 1) {
        if (parts->labels.count >= WRITE_LABELS_MAX)
            return fail(message, "series has too many labels");
        *(Str *)grown_add(message->arena, &parts->labels, sizeof(Str)) = r->bytes;
        return true;
    }
    if (r->field == 2)
        return decode_sample(message, r->bytes,
                             grown_add(message->arena, &parts->samples, sizeof(WriteSample)));
    if (r->field == (v2 ? 3u : 4u))
        return decode_histogram(message, r->bytes,
                                grown_add(message->arena, &parts->samples, sizeof(WriteSample)));
    if (r->field == (v2 ? 4u : 3u))
        return decode_exemplar(message, r->bytes,
                               grown_add(message->arena, &parts->exemplars, sizeof(Exemplar)));
    if (r->field == 5 && v2)
        return decode_metadata(message, r->bytes, &parts->series);
    return true;
}

// A key from the label bytes as they came: a hash of the hashes of the pieces, so that pieces cannot flow into each other.
static void make_key(const WriteMessage *message, SeriesParts *parts)
{
    size_t count = message->is_v2 ? parts->refs.count : parts->labels.count;
    uint64_t *hashes = ARENA_ARRAY(message->arena, uint64_t, count);
    for (size_t i = 0; i < count; i++) {
        if (message->is_v2) {
            hashes[i] = message->symbol_hashes[((uint32_t *)parts->refs.items)[i]];
        } else {
            Str label = ((Str *)parts->labels.items)[i];
            hashes[i] = XXH3_64bits_withSeed(label.ptr, label.len, message->seed[0]);
        }
    }
    XXH128_hash_t hash = XXH3_128bits_withSeed(hashes, count * sizeof *hashes, message->seed[1]);
    parts->series.key[0] = hash.low64;
    parts->series.key[1] = hash.high64;
}

static bool decode_series(WriteMessage *message, Str bytes)
{
    SeriesParts *parts = ARENA_NEW(message->arena, SeriesParts);
    ProtoReader r = proto_reader(bytes);
    while (proto_next(&r))
        if (!decode_series_field(message, &r, parts))
            return false;
    if (r.failed)
        return fail(message, "malformed time series");
    if (parts->refs.count % 2)
        return fail(message, "odd number of label references");
    for (size_t i = 0; i < parts->refs.count; i++)
        if (((uint32_t *)parts->refs.items)[i] >= message->symbol_count)
            return fail(message, "label reference out of range");
    make_key(message, parts);
    parts->series.label_parts = parts->labels.items;
    parts->series.refs = parts->refs.items;
    parts->series.label_count = message->is_v2 ? parts->refs.count / 2 : parts->labels.count;
    parts->series.samples = parts->samples.items;
    parts->series.sample_count = parts->samples.count;
    parts->series.exemplars = parts->exemplars.items;
    parts->series.exemplar_count = parts->exemplars.count;
    message->series = parts->series;
    return true;
}

bool write_message_next(WriteMessage *message)
{
    uint32_t series_field = message->is_v2 ? 5 : 1;
    while (!message->failed && proto_next(&message->reader)) {
        if (message->reader.field != series_field || message->reader.wire != PROTO_BYTES)
            continue;
        return decode_series(message, message->reader.bytes);
    }
    if (message->reader.failed)
        fail(message, "malformed protobuf message");
    return false;
}

bool write_message_labels(const WriteMessage *message, const WriteSeries *series,
                          Labels *ret_labels, Error *err)
{
    size_t count = series->label_count;
    Label *pairs = ARENA_ARRAY(message->arena, Label, count);
    if (message->is_v2) {
        if (!symbol_labels(message, series->refs, count, pairs))
            return error_set(err, ERR_INVALID, "label reference out of range");
    } else {
        for (size_t i = 0; i < count; i++)
            if (!decode_label(series->label_parts[i], &pairs[i]))
                return error_set(err, ERR_INVALID, "malformed label");
    }
    for (size_t i = 0; i < count; i++)
        if (!name_is_utf8(pairs[i].name) || !str_is_utf8(pairs[i].value))
            return error_set(err, ERR_INVALID, "invalid label \"" STR_FMT "\"",
                             STR_ARG(str_sub(pairs[i].name, 0, 100)));
    if (!labels_sort(pairs, &count, err))
        return false;
    Labels labels = {pairs, count};
    if (labels_get(labels, LABEL_METRIC_NAME).len == 0)
        return error_set(err, ERR_INVALID, "series has no metric name");
    *ret_labels = labels;
    return true;
}
