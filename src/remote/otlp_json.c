// SPDX-License-Identifier: Apache-2.0
// The JSON form of OTLP is the protobuf messages with other names (OTLP specification, "JSON Protobuf Encoding"): one table per message,
// and everything else reads protobuf only.
#include "base/number.h"
#include "codec/compress.h"
#include "codec/json_reader.h"
#include "remote/otlp_internal.h"

typedef enum FieldKind {
    KIND_STRING,
    KIND_HEX,    // bytes: trace and span ids
    KIND_BASE64, // bytes
    KIND_DOUBLE,
    KIND_FIXED64, // unsigned, often as text
    KIND_SFIXED64,
    KIND_VARINT,
    KIND_ZIGZAG,
    KIND_BOOL,
    KIND_ENUM,
    KIND_MESSAGE,
} FieldKind;

typedef struct MessageTable MessageTable;

typedef struct FieldRow {
    const char *key;
    uint32_t number;
    FieldKind kind;
    bool repeated;
    const MessageTable *message;
} FieldRow;

struct MessageTable {
    const FieldRow *rows;
    size_t count;
};

#define TABLE(rows)                                                                                \
    {                                                                                              \
        rows, COUNT_OF(rows)                                                                       \
    }

static const MessageTable any_value;

static const FieldRow key_value_rows[] = {{"key", 1, KIND_STRING, false, NULL},
                                          {"value", 2, KIND_MESSAGE, false, &any_value}};
static const MessageTable key_value = TABLE(key_value_rows);
static const FieldRow array_rows[] = {{"values", 1, KIND_MESSAGE, true, &any_value}};
static const MessageTable array_value = TABLE(array_rows);
static const FieldRow list_rows[] = {{"values", 1, KIND_MESSAGE, true, &key_value}};
static const MessageTable list_value = TABLE(list_rows);
static const FieldRow any_rows[] = {
    {"stringValue", 1, KIND_STRING, false, NULL},
    {"boolValue", 2, KIND_BOOL, false, NULL},
    {"intValue", 3, KIND_VARINT, false, NULL},
    {"doubleValue", 4, KIND_DOUBLE, false, NULL},
    {"arrayValue", 5, KIND_MESSAGE, false, &array_value},
    {"kvlistValue", 6, KIND_MESSAGE, false, &list_value},
    {"bytesValue", 7, KIND_BASE64, false, NULL},
};
static const MessageTable any_value = TABLE(any_rows);

static const FieldRow exemplar_rows[] = {
    {"filteredAttributes", 7, KIND_MESSAGE, true, &key_value},
    {"timeUnixNano", 2, KIND_FIXED64, false, NULL},
    {"asDouble", 3, KIND_DOUBLE, false, NULL},
    {"asInt", 6, KIND_SFIXED64, false, NULL},
    {"spanId", 4, KIND_HEX, false, NULL},
    {"traceId", 5, KIND_HEX, false, NULL},
};
static const MessageTable exemplar = TABLE(exemplar_rows);

static const FieldRow number_rows[] = {
    {"attributes", 7, KIND_MESSAGE, true, &key_value},
    {"startTimeUnixNano", 2, KIND_FIXED64, false, NULL},
    {"timeUnixNano", 3, KIND_FIXED64, false, NULL},
    {"asDouble", 4, KIND_DOUBLE, false, NULL},
    {"asInt", 6, KIND_SFIXED64, false, NULL},
    {"exemplars", 5, KIND_MESSAGE, true, &exemplar},
    {"flags", 8, KIND_VARINT, false, NULL},
};
static const MessageTable number_point = TABLE(number_rows);

static const FieldRow histogram_rows[] = {
    {"attributes", 9, KIND_MESSAGE, true, &key_value},
    {"startTimeUnixNano", 2, KIND_FIXED64, false, NULL},
    {"timeUnixNano", 3, KIND_FIXED64, false, NULL},
    {"count", 4, KIND_FIXED64, false, NULL},
    {"sum", 5, KIND_DOUBLE, false, NULL},
    {"bucketCounts", 6, KIND_FIXED64, true, NULL},
    {"explicitBounds", 7, KIND_DOUBLE, true, NULL},
    {"exemplars", 8, KIND_MESSAGE, true, &exemplar},
    {"flags", 10, KIND_VARINT, false, NULL},
};
static const MessageTable histogram_point = TABLE(histogram_rows);

static const FieldRow buckets_rows[] = {{"offset", 1, KIND_ZIGZAG, false, NULL},
                                        {"bucketCounts", 2, KIND_VARINT, true, NULL}};
static const MessageTable buckets = TABLE(buckets_rows);

static const FieldRow exponential_rows[] = {
    {"attributes", 1, KIND_MESSAGE, true, &key_value},
    {"startTimeUnixNano", 2, KIND_FIXED64, false, NULL},
    {"timeUnixNano", 3, KIND_FIXED64, false, NULL},
    {"count", 4, KIND_FIXED64, false, NULL},
    {"sum", 5, KIND_DOUBLE, false, NULL},
    {"scale", 6, KIND_ZIGZAG, false, NULL},
    {"zeroCount", 7, KIND_FIXED64, false, NULL},
    {"positive", 8, KIND_MESSAGE, false, &buckets},
    {"negative", 9, KIND_MESSAGE, false, &buckets},
    {"flags", 10, KIND_VARINT, false, NULL},
    {"exemplars", 11, KIND_MESSAGE, true, &exemplar},
    {"zeroThreshold", 14, KIND_DOUBLE, false, NULL},
};
static const MessageTable exponential_point = TABLE(exponential_rows);

static const FieldRow quantile_rows[] = {{"quantile", 1, KIND_DOUBLE, false, NULL},
                                         {"value", 2, KIND_DOUBLE, false, NULL}};
static const MessageTable quantile = TABLE(quantile_rows);

static const FieldRow summary_point_rows[] = {
    {"attributes", 7, KIND_MESSAGE, true, &key_value},
    {"startTimeUnixNano", 2, KIND_FIXED64, false, NULL},
    {"timeUnixNano", 3, KIND_FIXED64, false, NULL},
    {"count", 4, KIND_FIXED64, false, NULL},
    {"sum", 5, KIND_DOUBLE, false, NULL},
    {"quantileValues", 6, KIND_MESSAGE, true, &quantile},
    {"flags", 8, KIND_VARINT, false, NULL},
};
static const MessageTable summary_point = TABLE(summary_point_rows);

static const FieldRow gauge_rows[] = {{"dataPoints", 1, KIND_MESSAGE, true, &number_point}};
static const MessageTable gauge = TABLE(gauge_rows);
static const FieldRow sum_rows[] = {{"dataPoints", 1, KIND_MESSAGE, true, &number_point},
                                    {"aggregationTemporality", 2, KIND_ENUM, false, NULL},
                                    {"isMonotonic", 3, KIND_BOOL, false, NULL}};
static const MessageTable sum = TABLE(sum_rows);
static const FieldRow histograms_rows[] = {{"dataPoints", 1, KIND_MESSAGE, true, &histogram_point},
                                           {"aggregationTemporality", 2, KIND_ENUM, false, NULL}};
static const MessageTable histograms = TABLE(histograms_rows);
static const FieldRow exponentials_rows[] = {
    {"dataPoints", 1, KIND_MESSAGE, true, &exponential_point},
    {"aggregationTemporality", 2, KIND_ENUM, false, NULL}};
static const MessageTable exponentials = TABLE(exponentials_rows);
static const FieldRow summaries_rows[] = {{"dataPoints", 1, KIND_MESSAGE, true, &summary_point}};
static const MessageTable summaries = TABLE(summaries_rows);

static const FieldRow metric_rows[] = {
    {"name", 1, KIND_STRING, false, NULL},
    {"description", 2, KIND_STRING, false, NULL},
    {"unit", 3, KIND_STRING, false, NULL},
    {"gauge", 5, KIND_MESSAGE, false, &gauge},
    {"sum", 7, KIND_MESSAGE, false, &sum},
    {"histogram", 9, KIND_MESSAGE, false, &histograms},
    {"exponentialHistogram", 10, KIND_MESSAGE, false, &exponentials},
    {"summary", 11, KIND_MESSAGE, false, &summaries},
};
static const MessageTable metric = TABLE(metric_rows);

static const FieldRow scope_rows[] = {{"name", 1, KIND_STRING, false, NULL},
                                      {"version", 2, KIND_STRING, false, NULL},
                                      {"attributes", 3, KIND_MESSAGE, true, &key_value}};
static const MessageTable scope = TABLE(scope_rows);
static const FieldRow scope_metrics_rows[] = {{"scope", 1, KIND_MESSAGE, false, &scope},
                                              {"metrics", 2, KIND_MESSAGE, true, &metric},
                                              {"schemaUrl", 3, KIND_STRING, false, NULL}};
static const MessageTable scope_metrics = TABLE(scope_metrics_rows);
static const FieldRow resource_rows[] = {{"attributes", 1, KIND_MESSAGE, true, &key_value}};
static const MessageTable resource = TABLE(resource_rows);
static const FieldRow resource_metrics_rows[] = {
    {"resource", 1, KIND_MESSAGE, false, &resource},
    {"scopeMetrics", 2, KIND_MESSAGE, true, &scope_metrics},
    {"schemaUrl", 3, KIND_STRING, false, NULL}};
static const MessageTable resource_metrics = TABLE(resource_metrics_rows);
static const FieldRow request_rows[] = {
    {"resourceMetrics", 1, KIND_MESSAGE, true, &resource_metrics}};
static const MessageTable request = TABLE(request_rows);

// Values -----------------------------------------------------------------------------------------------------------------------------

static bool wrong(const FieldRow *row, Error *err)
{
    return error_set(err, ERR_INVALID, "\"%s\" has a value of the wrong kind", row->key);
}

// Integers of 64 bits stand as text or as a number.
static bool integer_of(const JsonValue *value, uint64_t *ret_number)
{
    int64_t number;
    if (value->kind == JSON_NUMBER && value->is_integer) {
        *ret_number = (uint64_t)value->integer;
        return true;
    }
    if (value->kind != JSON_STRING)
        return false;
    if (number_parse_u64(value->str, ret_number))
        return true;
    if (!number_parse_i64(value->str, &number))
        return false;
    *ret_number = (uint64_t)number;
    return true;
}

static bool double_of(const JsonValue *value, double *ret_number)
{
    if (value->kind == JSON_NUMBER) {
        *ret_number = value->number;
        return true;
    }
    return value->kind == JSON_STRING && number_parse_double(value->str, ret_number);
}

static bool enum_of(const JsonValue *value, uint64_t *ret_number)
{
    if (value->kind != JSON_STRING)
        return integer_of(value, ret_number);
    *ret_number = str_ends_with(value->str, S("_DELTA"))        ? 1
                  : str_ends_with(value->str, S("_CUMULATIVE")) ? 2
                                                                : 0;
    return true;
}

static bool add_hex(Buf *out, uint32_t number, Str text)
{
    char bytes[64];
    if (text.len % 2 || text.len / 2 > sizeof bytes)
        return false;
    for (size_t i = 0; i < text.len; i += 2) {
        unsigned high = str_digit(text.ptr[i]);
        unsigned low = str_digit(text.ptr[i + 1]);
        if (high >= 16 || low >= 16)
            return false;
        bytes[i / 2] = (char)(high << 4 | low);
    }
    proto_add_bytes(out, number, (Str){bytes, text.len / 2});
    return true;
}

static bool add_base64(Buf *out, uint32_t number, Str text)
{
    Buf bytes = {0};
    Error ignored; // the caller tells which field it was
    bool ok = base64_decode(text, &bytes, &ignored);
    if (ok)
        proto_add_bytes(out, number, buf_str(&bytes));
    buf_deinit(&bytes);
    return ok;
}

static void add_fixed64(Buf *out, uint32_t number, uint64_t value)
{
    buf_add_uvarint(out, number << 3 | PROTO_FIXED64);
    buf_add_u64le(out, value);
}

static bool write_message(const MessageTable *table, const JsonValue *object, Buf *out, Error *err);

static bool write_value(const FieldRow *row, const JsonValue *value, Buf *out, Error *err)
{
    uint64_t number = 0;
    double real = 0;
    switch (row->kind) {
    case KIND_STRING:
        if (value->kind != JSON_STRING)
            return wrong(row, err);
        proto_add_bytes(out, row->number, value->str);
        return true;
    case KIND_HEX:
        return (value->kind == JSON_STRING && add_hex(out, row->number, value->str)) ||
               wrong(row, err);
    case KIND_BASE64:
        return (value->kind == JSON_STRING && add_base64(out, row->number, value->str)) ||
               wrong(row, err);
    case KIND_DOUBLE:
        if (!double_of(value, &real))
            return wrong(row, err);
        proto_add_double(out, row->number, real);
        return true;
    case KIND_FIXED64:
    case KIND_SFIXED64:
        if (!integer_of(value, &number))
            return wrong(row, err);
        add_fixed64(out, row->number, number);
        return true;
    case KIND_VARINT:
        if (!integer_of(value, &number))
            return wrong(row, err);
        proto_add_varint(out, row->number, number);
        return true;
    case KIND_ZIGZAG:
        if (!integer_of(value, &number))
            return wrong(row, err);
        proto_add_zigzag(out, row->number, (int64_t)number);
        return true;
    case KIND_ENUM:
        if (!enum_of(value, &number))
            return wrong(row, err);
        proto_add_varint(out, row->number, number);
        return true;
    case KIND_BOOL:
        if (value->kind != JSON_BOOL)
            return wrong(row, err);
        proto_add_varint(out, row->number, value->boolean);
        return true;
    case KIND_MESSAGE: {
        size_t begin = proto_begin(out, row->number);
        if (!write_message(row->message, value, out, err))
            return false;
        proto_end(out, begin);
        return true;
    }
    }
    return wrong(row, err);
}

static const FieldRow *find_row(const MessageTable *table, Str key)
{
    for (size_t i = 0; i < table->count; i++)
        if (str_is(key, table->rows[i].key))
            return &table->rows[i];
    return NULL;
}

// Keys that are not known are passed over, as the specification asks.
static bool write_message(const MessageTable *table, const JsonValue *object, Buf *out, Error *err)
{
    if (object->kind != JSON_OBJECT)
        return error_set(err, ERR_INVALID, "an object was expected");
    for (size_t i = 0; i < object->count; i++) {
        const FieldRow *row = find_row(table, object->keys[i]);
        const JsonValue *value = &object->items[i];
        if (!row || value->kind == JSON_NULL)
            continue;
        if (!row->repeated) {
            if (!write_value(row, value, out, err))
                return false;
            continue;
        }
        if (value->kind != JSON_ARRAY)
            return wrong(row, err);
        for (size_t k = 0; k < value->count; k++)
            if (!write_value(row, &value->items[k], out, err))
                return false;
    }
    return true;
}

bool otlp_json_decode(Str json, Arena *arena, Buf *out, Error *err)
{
    JsonValue *value;
    return json_read(json, arena, &value, err) && write_message(&request, value, out, err);
}
