// SPDX-License-Identifier: Apache-2.0
// json_writer.h: a streaming JSON writer: memory does not grow with the answer. Commas and nesting are kept by the writer.
//
// Bytes gather in `buf`; whenever more than `flush_at` wait and `flush` is set, it is called to send them on.
#pragma once

#include "base/buf.h"

#define JSON_DEPTH_MAX 2100 // a query of EXPR_DEPTH_MAX levels must fit: promql_tree_json

struct JsonValue; // json_reader.h

typedef struct JsonWriter JsonWriter;
struct JsonWriter {
    Buf *buf;
    size_t flush_at;                     // 0: never
    bool (*flush)(void *arg, Str bytes); // false stops the output: later writes are dropped
    void *arg;
    bool stopped;
    bool
        keeps_html; // <, > and & stand as they are, as with Go's SetEscapeHTML(false); set it after json_writer_init
    int depth;
    bool after_key;
    bool needs_comma[JSON_DEPTH_MAX];
};

// Writes into buf only.
void json_writer_init(JsonWriter *json, Buf *buf);

void json_object(JsonWriter *json);
void json_object_end(JsonWriter *json);
void json_array(JsonWriter *json);
void json_array_end(JsonWriter *json);
void json_key(JsonWriter *json, Str key);

// Invalid UTF-8 becomes U+FFFD; <, > and & are escaped as Go's encoder does (\u003c ...), so are U+2028 and U+2029.
void json_str(JsonWriter *json, Str value);
void json_c(JsonWriter *json, const char *value);
void json_i64(JsonWriter *json, int64_t value);
void json_u64(JsonWriter *json, uint64_t value);
void json_double(JsonWriter *json,
                 double value); // Go's encoding/json form of a float64; NaN and Inf are our bug
void json_bool(JsonWriter *json, bool value);
void json_null(JsonWriter *json);
// A piece that is JSON already.
void json_raw(JsonWriter *json, Str value);

// What json_read() has read.
void json_value(JsonWriter *json, const struct JsonValue *value);

// json_key followed by the value.
void json_key_str(JsonWriter *json, const char *key, Str value);
void json_key_c(JsonWriter *json, const char *key, const char *value);
void json_key_i64(JsonWriter *json, const char *key, int64_t value);
void json_key_u64(JsonWriter *json, const char *key, uint64_t value);
void json_key_double(JsonWriter *json, const char *key, double value);
void json_key_bool(JsonWriter *json, const char *key, bool value);
