// SPDX-License-Identifier: Apache-2.0
#include "alertmanager/am_json.h"

#include "alertmanager/am_json_scan.h"
#include "base/buf.h"
#include "metric/labels.h"

#define MESSAGE_TEXT_MAX 200 // of what a client sent, in a message

// ---- reading ----

bool am_json_read(Str text, Arena *arena, JsonValue **ret_value, Error *err)
{
    Error fault = {0};
    Error said = {0};
    size_t end;
    if (json_read(text, arena, ret_value, &fault))
        return true;
    if (!am_json_scan(text, &end, &said)) {
        *err = said;
        return false;
    }
    return json_read(str_sub(text, 0, end), arena, ret_value, err);
}

// ---- kinds ----

static const char *kind_name(const JsonValue *value)
{
    switch (value->kind) {
    case JSON_BOOL:
        return "bool";
    case JSON_NUMBER:
        return "number";
    case JSON_STRING:
        return "string";
    case JSON_ARRAY:
        return "array";
    case JSON_OBJECT:
        return "object";
    default:
        return "null";
    }
}

static bool is_kind(const JsonValue *value, JsonKind kind)
{
    return value->kind == kind || value->kind == JSON_NULL;
}

// `member` is a path below the owner.
static bool check_member(const AmJsonShape *shape, Str member, const JsonValue *value,
                         JsonKind kind, const char *type, Error *err)
{
    return is_kind(value, kind) ||
           error_set(err, ERR_INVALID,
                     "json: cannot unmarshal %s into Go struct field %s." STR_FMT " of type %s",
                     kind_name(value), shape->owner, STR_ARG(str_sub(member, 0, MESSAGE_TEXT_MAX)),
                     type);
}

// What reads itself there is told without its place.
static bool check_plain_string(const JsonValue *value, Error *err)
{
    return is_kind(value, JSON_STRING) ||
           error_set(err, ERR_INVALID, "json: cannot unmarshal %s into Go value of type string",
                     kind_name(value));
}

static bool check_time(const JsonValue *value, Error *err)
{
    int64_t ignored;
    if (!check_plain_string(value, err))
        return false;
    return value->kind == JSON_NULL || am_json_time(value->str, &ignored, err);
}

static bool check_labels(const AmJsonShape *shape, Str name, const JsonValue *value, Error *err)
{
    if (!check_member(shape, name, value, JSON_OBJECT, "models.LabelSet", err))
        return false;
    for (size_t i = 0; i < value->count; i++) {
        CLEANUP(buf_deinit) Buf path = {0};
        if (is_kind(&value->items[i], JSON_STRING))
            continue;
        buf_printf(&path, STR_FMT "." STR_FMT, STR_ARG(name), STR_ARG(value->keys[i]));
        if (!check_member(shape, buf_str(&path), &value->items[i], JSON_STRING, "string", err))
            return false;
    }
    return true;
}

static bool check_matcher(const AmJsonShape *shape, Str list, size_t index, const JsonValue *value,
                          Error *err)
{
    static const struct {
        const char *name, *type;
        JsonKind kind;
    } members[] = {
        {"name", "string", JSON_STRING},
        {"value", "string", JSON_STRING},
        {"isRegex", "bool", JSON_BOOL},
        {"isEqual", "bool", JSON_BOOL},
    };
    if (!is_kind(value, JSON_OBJECT))
        return error_set(err, ERR_INVALID,
                         "json: cannot unmarshal %s into %s." STR_FMT ".%zu of type models.Matcher",
                         kind_name(value), shape->owner, STR_ARG(list), index);
    for (size_t i = 0; i < value->count; i++)
        for (size_t k = 0; k < COUNT_OF(members); k++) {
            CLEANUP(buf_deinit) Buf path = {0};
            if (!str_is(value->keys[i], members[k].name))
                continue;
            buf_printf(&path, STR_FMT ".%zu.%s", STR_ARG(list), index, members[k].name);
            if (!check_member(shape, buf_str(&path), &value->items[i], members[k].kind,
                              members[k].type, err))
                return false;
        }
    return true;
}

static bool check_matchers(const AmJsonShape *shape, Str name, const JsonValue *value, Error *err)
{
    if (!check_member(shape, name, value, JSON_ARRAY, "models.Matchers", err))
        return false;
    for (size_t i = 0; i < value->count; i++)
        if (!check_matcher(shape, name, i, &value->items[i], err))
            return false;
    return true;
}

static bool check_as(const AmJsonShape *shape, AmJsonKind kind, Str name, const JsonValue *value,
                     Error *err)
{
    switch (kind) {
    case AM_JSON_STRING:
        return check_member(shape, name, value, JSON_STRING, "string", err);
    case AM_JSON_BOOL:
        return check_member(shape, name, value, JSON_BOOL, "bool", err);
    case AM_JSON_TIME:
        return check_time(value, err);
    case AM_JSON_URI:
        return check_plain_string(value, err);
    case AM_JSON_LABELS:
        return check_labels(shape, name, value, err);
    default:
        return check_matchers(shape, name, value, err);
    }
}

bool am_json_check(const AmJsonShape *shape, const JsonValue *value, Error *err)
{
    if (!is_kind(value, JSON_OBJECT))
        return error_set(err, ERR_INVALID, "json: cannot unmarshal %s into Go value of type %s",
                         kind_name(value), shape->type);
    for (size_t i = 0; i < value->count; i++)
        for (size_t k = 0; k < shape->count; k++)
            if (str_is(value->keys[i], shape->members[k].name) &&
                !check_as(shape, shape->members[k].kind, value->keys[i], &value->items[i], err))
                return false;
    return true;
}

bool am_json_check_array(const char *type, const JsonValue *value, Error *err)
{
    return is_kind(value, JSON_ARRAY) ||
           error_set(err, ERR_INVALID, "json: cannot unmarshal %s into Go value of type %s",
                     kind_name(value), type);
}

// ---- times ----

static bool all_digits(Str text, size_t from, size_t count)
{
    for (size_t i = from; i < from + count; i++)
        if (i >= text.len || text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
    return true;
}

static bool cannot_parse(Str whole, Str rest, const char *piece, Error *err)
{
    CLEANUP(buf_deinit) Buf text = {0};
    buf_add_go_quoted(&text, str_sub(whole, 0, MESSAGE_TEXT_MAX));
    buf_add_c(&text, " as \"2006-01-02\": cannot parse ");
    buf_add_go_quoted(&text, str_sub(rest, 0, MESSAGE_TEXT_MAX));
    return error_set(err, ERR_INVALID, "parsing time " STR_FMT " as \"%s\"",
                     STR_ARG(buf_str(&text)), piece);
}

static bool bad_time(Str whole, const char *what, Str rest, Error *err)
{
    CLEANUP(buf_deinit) Buf text = {0};
    buf_add_go_quoted(&text, str_sub(whole, 0, MESSAGE_TEXT_MAX));
    buf_printf(&text, ": %s", what);
    if (rest.len)
        buf_add_go_quoted(&text, str_sub(rest, 0, MESSAGE_TEXT_MAX));
    return error_set(err, ERR_INVALID, "parsing time " STR_FMT, STR_ARG(buf_str(&text)));
}

// A date alone is the last form that is tried, so its fault is the one that is told.
static bool fail_as_date(Str text, Error *err)
{
    static const struct {
        size_t at, digits;
        const char *piece;
    } parts[] = {{0, 4, "2006"}, {4, 0, "-"}, {5, 2, "01"}, {7, 0, "-"}, {8, 2, "02"}};
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        Str rest = str_skip(text, MIN(parts[i].at, text.len));
        bool ok =
            parts[i].digits ? all_digits(rest, 0, parts[i].digits) : str_starts_with(rest, S("-"));
        if (!ok)
            return cannot_parse(text, rest, parts[i].piece, err);
        if (parts[i].at == 5 &&
            (str_is(str_sub(rest, 0, 2), "00") || str_compare(str_sub(rest, 0, 2), S("12")) > 0))
            return bad_time(text, "month out of range", STR_NONE, err);
    }
    if (text.len > 10)
        return bad_time(text, "extra text: ", str_skip(text, 10), err);
    return bad_time(text, "day out of range", STR_NONE, err);
}

// Where the zone of a time begins: behind seconds and their fraction. 0 if the text is too short for both.
static size_t zone_at(Str text, size_t *ret_fraction)
{
    size_t at = 19;
    *ret_fraction = 0;
    if (text.len < at)
        return 0;
    if (text.len > at && text.ptr[at] == '.')
        for (at++; at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9'; at++)
            ++*ret_fraction;
    return at;
}

// The text as RFC 3339 has it. False if it is none of the forms.
static bool complete_time(Str text, Buf *whole)
{
    size_t fraction;
    size_t zone = zone_at(text, &fraction);
    if (text.len == 10) { // 2006-01-02
        buf_printf(whole, STR_FMT "T00:00:00Z", STR_ARG(text));
        return true;
    }
    if (zone == 0) { // 2006-01-02T15:04 and with a Z
        Str minutes = str_ends_with(text, S("Z")) ? str_sub(text, 0, text.len - 1) : text;
        buf_printf(whole, STR_FMT ":00Z", STR_ARG(minutes));
        return minutes.len == 16 && minutes.ptr[10] == 'T';
    }
    buf_add_str(whole, text);
    Str rest = str_skip(text, zone);
    if (text.ptr[10] == ' ') { // 2006-01-02 15:04:05
        whole->ptr[10] = 'T';
        buf_add_c(whole, "Z");
        return rest.len == 0;
    }
    if (rest.len == 0) {
        buf_add_c(whole, "Z");
    } else if (rest.len == 5 && (fraction == 3 || fraction == 6)) { // +0100
        whole->len -= 2;
        buf_printf(whole, ":" STR_FMT, STR_ARG(str_skip(rest, 3)));
    }
    return true;
}

bool am_json_time(Str text, int64_t *ret_ns, Error *err)
{
    CLEANUP(buf_deinit) Buf whole = {0};
    Error ignored = {0};
    if (text.len == 0) {
        *ret_ns = AM_TIME_ZERO;
        return true;
    }
    if (text.len < 64 && complete_time(text, &whole) &&
        am_time_parse(buf_str(&whole), ret_ns, &ignored))
        return true;
    return fail_as_date(text, err);
}
