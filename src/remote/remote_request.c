// SPDX-License-Identifier: Apache-2.0
#include "remote/remote_request.h"

#include <stdlib.h>

#include "codec/compress.h"
#include "codec/protobuf.h"
#include "metric/type_unit.h"

enum {
    MESSAGE_BYTES_MAX = 1 << 30, // decompressed; our own
    SAMPLE_BYTES_MAX = 40,
    SLOTS_MIN = 1024,
};

// Series -----------------------------------------------------------------------------------------------------------------------------

static size_t varint_bytes(uint64_t v)
{
    size_t bytes = 1;
    for (; v >= 0x80; v >>= 7)
        bytes++;
    return bytes;
}

static char *put_varint(char *at, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        *at++ = (char)(v | 0x80);
    *at++ = (char)v;
    return at;
}

static char *put_bytes(char *at, uint32_t field, Str bytes)
{
    at = put_varint(at, field << 3 | PROTO_BYTES);
    at = put_varint(at, bytes.len);
    if (bytes.len)
        memcpy(at, bytes.ptr, bytes.len);
    return at + bytes.len;
}

static RemoteSeries *new_v1(RemotePairs *pairs, uint64_t ref, Labels labels)
{
    RemoteSeries *series = x_malloc(sizeof *series + labels.count * sizeof series->pairs[0]);
    *series = (RemoteSeries){.ref = ref, .pair_count = (uint16_t)labels.count};
    for (size_t i = 0; i < labels.count; i++) {
        series->pairs[i] = remote_pairs_take(pairs, labels.pairs[i]);
        series->pair_bytes += (uint32_t)remote_pairs_text(pairs, series->pairs[i]).len;
    }
    return series;
}

static char *put_symbol(RemoteSeriesV2 *series, char *at, Str text)
{
    series->symbols[series->symbol_count++] = (RemoteSymbol){
        (uint32_t)(at - series->text.ptr), (uint32_t)text.len, (uint32_t)str_hash(text)};
    if (text.len)
        memcpy(at, text.ptr, text.len);
    return at + text.len;
}

static RemoteSeries *new_v2(uint64_t ref, Labels labels)
{
    size_t bytes = 0;
    for (size_t i = 0; i < labels.count; i++)
        bytes += labels.pairs[i].name.len + labels.pairs[i].value.len;
    size_t symbols = 2 * labels.count;
    RemoteSeries *whole =
        x_malloc(sizeof *whole + sizeof(RemoteSeriesV2) + symbols * sizeof(RemoteSymbol) + bytes);
    RemoteSeriesV2 *series = (RemoteSeriesV2 *)(whole + 1);
    *whole = (RemoteSeries){.ref = ref, .v2 = series};
    *series = (RemoteSeriesV2){.symbols = (RemoteSymbol *)(series + 1)};
    char *at = (char *)(series->symbols + symbols);
    series->text = (Str){at, bytes};
    for (size_t i = 0; i < labels.count; i++) {
        const Label *label = &labels.pairs[i];
        if (str_equal(label->name, LABEL_TYPE))
            (void)!metric_type_parse(label->value, &series->type); // a stranger's stays unknown
        if (str_equal(label->name, LABEL_UNIT) && label->value.len)
            series->unit_symbol = series->symbol_count + 1;
        at = put_symbol(series, at, label->name);
        at = put_symbol(series, at, label->value);
    }
    return whole;
}

RemoteSeries *remote_series_new(RemotePairs *pairs, uint64_t ref, Labels labels)
{
    return pairs ? new_v1(pairs, ref, labels) : new_v2(ref, labels);
}

void remote_series_free(RemotePairs *pairs, RemoteSeries *series)
{
    for (size_t i = 0; series && i < series->pair_count; i++)
        remote_pairs_give(pairs, series->pairs[i]);
    free(series);
}

RemoteSeries *remote_series_new_dropped(uint64_t ref)
{
    RemoteSeries *series = X_NEW(RemoteSeries);
    series->ref = ref;
    series->is_dropped = true;
    return series;
}

// Symbols of 2.0 -------------------------------------------------------------------------------------------------------------------

static void grow_slots(RemoteRequest *request)
{
    uint32_t count = MAX(request->slot_count * 2, (uint32_t)SLOTS_MIN);
    RemoteSymbolSlot *slots = X_ARRAY(RemoteSymbolSlot, count);
    for (uint32_t i = 0; i < request->slot_count; i++) {
        const RemoteSymbolSlot *old = &request->slots[i];
        if (old->epoch != request->epoch)
            continue;
        uint32_t at = old->hash & (count - 1);
        while (slots[at].epoch == request->epoch)
            at = (at + 1) & (count - 1);
        slots[at] = *old;
    }
    free(request->slots);
    request->slots = slots;
    request->slot_count = count;
}

static uint32_t add_symbol(RemoteRequest *request, RemoteSymbolSlot *slot, Str text, uint32_t hash)
{
    proto_add_bytes(&request->symbols, 4, text);
    *slot = (RemoteSymbolSlot){request->epoch, hash, request->symbol_count,
                               (uint32_t)(request->symbols.len - text.len), (uint32_t)text.len};
    return request->symbol_count++;
}

static uint32_t symbol_of(RemoteRequest *request, Str text, uint32_t hash)
{
    if ((request->symbol_count + 1) * 2 > request->slot_count)
        grow_slots(request);
    uint32_t mask = request->slot_count - 1;
    for (uint32_t at = hash & mask;; at = (at + 1) & mask) {
        RemoteSymbolSlot *slot = &request->slots[at];
        if (slot->epoch != request->epoch)
            return add_symbol(request, slot, text, hash);
        if (slot->hash == hash && slot->len == text.len &&
            memcmp(request->symbols.ptr + slot->offset, text.ptr, text.len) == 0)
            return slot->index;
    }
}

// The empty text is number 0 by the protocol.
static void first_symbol(RemoteRequest *request)
{
    if (request->symbol_count == 0)
        (void)symbol_of(request, S(""), (uint32_t)str_hash(S("")));
}

static uint32_t symbol_of_text(RemoteRequest *request, Str text)
{
    return symbol_of(request, text.len ? text : S(""), (uint32_t)str_hash(text.len ? text : S("")));
}

// Requests ---------------------------------------------------------------------------------------------------------------------------

void remote_request_init(RemoteRequest *request, bool v2, const RemotePairs *pairs)
{
    *request = (RemoteRequest){.v2 = v2, .epoch = 1, .newest_t_ms = INT64_MIN};
    if (pairs)
        remote_pack_init(&request->pack, pairs);
}

void remote_request_deinit(RemoteRequest *request)
{
    remote_pack_deinit(&request->pack);
    buf_deinit(&request->message);
    buf_deinit(&request->symbols);
    buf_deinit(&request->refs);
    free(request->slots);
    *request = (RemoteRequest){0};
}

void remote_request_reset(RemoteRequest *request)
{
    if (request->pack.pairs)
        remote_pack_reset(&request->pack);
    buf_reset(&request->message);
    buf_reset(&request->symbols);
    request->samples = request->histograms = request->exemplars = request->metadata = 0;
    request->newest_t_ms = INT64_MIN;
    request->symbol_count = 0;
    if (++request->epoch == 0) { // came round: old marks must not look like new ones
        memset(request->slots, 0, request->slot_count * sizeof *request->slots);
        request->epoch = 1;
    }
}

// 2.0: the labels of the series as they stand in its TimeSeries, a field with its head. Valid until the next call.
static Str head_of(RemoteRequest *request, const RemoteSeriesV2 *series)
{
    first_symbol(request);
    buf_reset(&request->refs);
    char *at = buf_reserve(&request->refs, 16 + 5 * (size_t)series->symbol_count);
    char *begin = at + 12; // room for the field's head
    char *end = begin;
    for (uint32_t i = 0; i < series->symbol_count; i++) {
        const RemoteSymbol *symbol = &series->symbols[i];
        end = put_varint(end,
                         symbol_of(request, (Str){series->text.ptr + symbol->offset, symbol->len},
                                   symbol->hash));
    }
    size_t len = (size_t)(end - begin);
    begin -= 1 + varint_bytes(len);
    char *head = begin;
    *head++ = 1 << 3 | PROTO_BYTES;
    put_varint(head, len);
    return (Str){begin, (size_t)(end - begin)};
}

// What the store was told of the metric; where it was not, what the series' labels __type__ and __unit__ say. False: nothing is known.
static bool metadata_of(const RemoteSeriesV2 *series, Metadata *ret_metadata)
{
    const RemoteMetadata *told = series->metadata;
    bool is_told = told && told->is_known;
    Metadata known = is_told ? (Metadata){told->type, told->help, told->unit} : (Metadata){0};
    if (known.type == METRIC_UNKNOWN)
        known.type = series->type;
    if (known.unit.len == 0 && series->unit_symbol) {
        const RemoteSymbol *unit = &series->symbols[series->unit_symbol];
        known.unit = (Str){series->text.ptr + unit->offset, unit->len};
    }
    *ret_metadata = known;
    return is_told || known.type != METRIC_UNKNOWN || known.unit.len;
}

static void add_metadata_v2(RemoteRequest *request, const Metadata *metadata)
{
    static const uint8_t types[] = {
        [METRIC_UNKNOWN] = 0,   [METRIC_COUNTER] = 1,         [METRIC_GAUGE] = 2,
        [METRIC_HISTOGRAM] = 3, [METRIC_GAUGE_HISTOGRAM] = 4, [METRIC_SUMMARY] = 5,
        [METRIC_INFO] = 6,      [METRIC_STATESET] = 7};
    size_t begin = proto_begin(&request->message, 5);
    proto_add_varint(&request->message, 1, types[metadata->type]);
    proto_add_varint(&request->message, 3, symbol_of_text(request, metadata->help));
    proto_add_varint(&request->message, 4, symbol_of_text(request, metadata->unit));
    proto_end(&request->message, begin);
}

// What stands behind the point.
static Str tail_of(RemoteRequest *request, const RemoteSeriesV2 *series, char out[40])
{
    Metadata metadata;
    if (!metadata_of(series, &metadata))
        return STR_NONE;
    size_t before = request->message.len;
    add_metadata_v2(request, &metadata);
    Str bytes = str_skip(buf_str(&request->message), before);
    memcpy(out, bytes.ptr, MIN(bytes.len, 40u));
    request->message.len = before;
    return (Str){out, bytes.len};
}

static void note_time(RemoteRequest *request, int64_t t_ms)
{
    request->newest_t_ms = MAX(request->newest_t_ms, t_ms);
}

static void add_sample_v2(RemoteRequest *request, const RemoteSeriesV2 *series, int64_t t_ms,
                          double value, int64_t start_ms)
{
    char point[SAMPLE_BYTES_MAX];
    char tail_bytes[40];
    char *end = point;
    *end++ = 1 << 3 | PROTO_FIXED64;
    memcpy(end, &value, 8);
    end += 8;
    *end++ = 2 << 3 | PROTO_VARINT;
    end = put_varint(end, (uint64_t)t_ms);
    if (start_ms) {
        *end++ = 3 << 3 | PROTO_VARINT;
        end = put_varint(end, (uint64_t)start_ms);
    }
    Str bytes = {point, (size_t)(end - point)};
    Str head = head_of(request, series);
    Str tail = tail_of(request, series, tail_bytes);
    size_t len = head.len + 2 + bytes.len + tail.len; // a sample is shorter than 128 bytes
    char *at = buf_reserve(&request->message, len + 12);
    char *begin = at;
    at = put_varint(at, 5 << 3 | PROTO_BYTES);
    at = put_varint(at, len);
    memcpy(at, head.ptr, head.len);
    at = put_bytes(at + head.len, 2, bytes);
    if (tail.len)
        memcpy(at, tail.ptr, tail.len);
    request->message.len += (size_t)(at + tail.len - begin);
}

void remote_request_sample(RemoteRequest *request, const RemoteSeries *series, int64_t t_ms,
                           double value, int64_t start_ms)
{
    if (request->v2)
        add_sample_v2(request, series->v2, t_ms, value, start_ms);
    else
        remote_pack_sample(&request->pack, series->pairs, series->pair_count, series->pair_bytes,
                           t_ms, value);
    request->samples++;
    note_time(request, t_ms);
}

// 1.0: a series with what `fields` holds behind its labels.
static void pack_fields(RemoteRequest *request, const RemoteSeries *series, Str fields)
{
    remote_pack_fields(&request->pack, series->pairs, series->pair_count, series->pair_bytes,
                       fields);
}

static void add_histogram_v2(RemoteRequest *request, const RemoteSeriesV2 *series, int64_t t_ms,
                             const Histogram *histogram, int64_t start_ms)
{
    Str head = head_of(request, series);
    Buf *message = &request->message;
    size_t begin = proto_begin(message, 5);
    buf_add_str(message, head);
    remote_histogram_encode(message, 3, histogram, t_ms, start_ms);
    Metadata metadata;
    if (metadata_of(series, &metadata))
        add_metadata_v2(request, &metadata);
    proto_end(message, begin);
}

void remote_request_histogram(RemoteRequest *request, const RemoteSeries *series, int64_t t_ms,
                              const Histogram *histogram, int64_t start_ms)
{
    if (request->v2) {
        add_histogram_v2(request, series->v2, t_ms, histogram, start_ms);
    } else {
        buf_reset(&request->refs);
        remote_histogram_encode(&request->refs, 4, histogram, t_ms, 0);
        pack_fields(request, series, buf_str(&request->refs));
    }
    request->histograms++;
    note_time(request, t_ms);
}

static void add_exemplar_v2(RemoteRequest *request, const Exemplar *exemplar)
{
    Buf refs = {0};
    for (size_t i = 0; i < exemplar->labels.count; i++) {
        buf_add_uvarint(&refs, symbol_of_text(request, exemplar->labels.pairs[i].name));
        buf_add_uvarint(&refs, symbol_of_text(request, exemplar->labels.pairs[i].value));
    }
    size_t begin = proto_begin(&request->message, 4);
    proto_add_bytes(&request->message, 1, buf_str(&refs));
    proto_add_double(&request->message, 2, exemplar->value);
    proto_add_varint(&request->message, 3, (uint64_t)exemplar->t_ms);
    proto_end(&request->message, begin);
    buf_deinit(&refs);
}

static void add_exemplar_v1(Buf *message, const Exemplar *exemplar)
{
    size_t begin = proto_begin(message, 3);
    for (size_t i = 0; i < exemplar->labels.count; i++) {
        size_t label = proto_begin(message, 1);
        proto_add_bytes(message, 1, exemplar->labels.pairs[i].name);
        proto_add_bytes(message, 2, exemplar->labels.pairs[i].value);
        proto_end(message, label);
    }
    proto_add_double(message, 2, exemplar->value);
    proto_add_varint(message, 3, (uint64_t)exemplar->t_ms);
    proto_end(message, begin);
}

void remote_request_exemplar(RemoteRequest *request, const RemoteSeries *series,
                             const Exemplar *exemplar)
{
    if (request->v2) {
        Str head = head_of(request, series->v2);
        size_t begin = proto_begin(&request->message, 5);
        buf_add_str(&request->message, head);
        add_exemplar_v2(request, exemplar);
        proto_end(&request->message, begin);
    } else {
        buf_reset(&request->refs);
        add_exemplar_v1(&request->refs, exemplar);
        pack_fields(request, series, buf_str(&request->refs));
    }
    request->exemplars++;
    note_time(request, exemplar->t_ms);
}

void remote_request_metadata(RemoteRequest *request, Str metric, Metadata metadata)
{
    size_t begin = proto_begin(&request->message, 3);
    proto_add_varint(&request->message, 1, (uint64_t)metadata.type);
    proto_add_bytes(&request->message, 2, metric);
    proto_add_bytes(&request->message, 4, metadata.help);
    proto_add_bytes(&request->message, 5, metadata.unit);
    proto_end(&request->message, begin);
    request->metadata++;
}

void remote_request_finish(RemoteRequest *request, Buf *out, size_t *ret_bytes)
{
    size_t bytes;
    if (!request->v2 && request->metadata == 0) {
        remote_pack_finish(&request->pack, out, &bytes);
    } else {
        if (request->v2) {
            first_symbol(request);
            buf_add_str(&request->symbols, buf_str(&request->message));
        }
        const Buf *whole = request->v2 ? &request->symbols : &request->message;
        snappy_encode(buf_str(whole), out);
        bytes = whole->len;
    }
    if (ret_bytes)
        *ret_bytes = bytes;
}

// Old entries ------------------------------------------------------------------------------------------------------------------------

// The time of a point: in field 2 of samples, 3 of exemplars, 15 of histograms.
static int64_t time_of(Str point, uint32_t field)
{
    ProtoReader r = proto_reader(point);
    int64_t t_ms = 0;
    while (proto_next(&r))
        if (r.field == field && r.wire == PROTO_VARINT)
            t_ms = (int64_t)r.number;
    return t_ms;
}

// Each TimeSeries of ours holds one point.
static bool keeps_series(Str series, bool v2, int64_t t_ms, RemoteRequestCounts *counts)
{
    ProtoReader r = proto_reader(series);
    uint32_t exemplar = v2 ? 4 : 3;
    uint32_t histogram = v2 ? 3 : 4;
    while (proto_next(&r)) {
        if (r.field == 2) {
            bool keeps = time_of(r.bytes, 2) >= t_ms;
            counts->samples += keeps;
            return keeps;
        }
        if (r.field == exemplar) {
            bool keeps = time_of(r.bytes, 3) >= t_ms;
            counts->exemplars += keeps;
            return keeps;
        }
        if (r.field == histogram) {
            bool keeps = time_of(r.bytes, 15) >= t_ms;
            counts->histograms += keeps;
            return keeps;
        }
    }
    return true;
}

bool remote_request_drop_old(Buf *body, bool v2, int64_t t_ms, RemoteRequestCounts *ret_left,
                             Error *err)
{
    Buf plain = {0};
    Buf kept = {0};
    RemoteRequestCounts counts = {0};
    if (!snappy_decode(buf_str(body), MESSAGE_BYTES_MAX, &plain, err)) {
        buf_deinit(&plain);
        return false;
    }
    ProtoReader r = proto_reader(buf_str(&plain));
    while (proto_next(&r))
        if (r.field != (v2 ? 5u : 1u) || keeps_series(r.bytes, v2, t_ms, &counts))
            proto_add_bytes(&kept, r.field, r.bytes);
    buf_reset(body);
    snappy_encode(buf_str(&kept), body);
    buf_deinit(&plain);
    buf_deinit(&kept);
    *ret_left = counts;
    return true;
}
