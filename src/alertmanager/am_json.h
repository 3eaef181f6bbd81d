// SPDX-License-Identifier: Apache-2.0
// am_json.h: bodies of the API. What is wrong with one is said in the words of the original's JSON library: clients and their tests
// look for them.
#pragma once

#include "alertmanager/am_time.h"
#include "codec/json_reader.h"

// The first value of `text`; what stands behind it is not looked at, as there. Fails ERR_INVALID.
bool am_json_read(Str text, Arena *arena, JsonValue **ret_value, Error *err) MUST_CHECK;

typedef enum AmJsonKind {
    AM_JSON_STRING,
    AM_JSON_BOOL,
    AM_JSON_TIME,
    AM_JSON_URI, // a string; what it holds is not looked at
    AM_JSON_LABELS,
    AM_JSON_MATCHERS,
} AmJsonKind;

typedef struct AmJsonMember {
    const char *name;
    AmJsonKind kind;
} AmJsonMember;

// An object that a body has. A null stands for what is not there.
typedef struct AmJsonShape {
    const char *type;  // what the original calls it when it is no object
    const char *owner; // what it calls it in front of a member
    const AmJsonMember *members;
    size_t count;
} AmJsonShape;

// Fails ERR_INVALID with the first fault in the order of the document.
bool am_json_check(const AmJsonShape *shape, const JsonValue *value, Error *err) MUST_CHECK;
// Fails ERR_INVALID unless `value` is an array or null; `type` as in AmJsonShape.
bool am_json_check_array(const char *type, const JsonValue *value, Error *err) MUST_CHECK;

// The forms of a time that the original's API takes, from a whole RFC 3339 to a date alone; empty is the zero time.
bool am_json_time(Str text, int64_t *ret_ns, Error *err) MUST_CHECK;
