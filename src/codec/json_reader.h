// SPDX-License-Identifier: Apache-2.0
// json_reader.h: JSON into a tree in an arena. For the control plane only: file_sd files, requests.
#pragma once

#include "base/arena.h"
#include "base/error.h"

typedef enum JsonKind {
    JSON_NULL,
    JSON_BOOL,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT
} JsonKind;

typedef struct JsonValue JsonValue;
struct JsonValue {
    JsonKind kind;
    bool boolean;
    bool is_integer;
    double number;
    int64_t integer; // valid if is_integer
    union {
        Str str; // of a string; look at `kind` first
        struct {
            JsonValue *items; // array elements or object values
            Str *keys;        // of an object, in document order
        };
    };
    size_t count; // of items; 0 for what has none
};

// Fails ERR_INVALID "line:column: ..." ; duplicate keys are refused; depth at most 64.
bool json_read(Str text, Arena *arena, JsonValue **ret_value, Error *err) MUST_CHECK;
// NULL if there is no such key or the value is no object.
const JsonValue *json_get(const JsonValue *object, Str key);
