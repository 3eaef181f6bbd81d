// SPDX-License-Identifier: Apache-2.0
#include "codec/json_text.h"

#define DEPTH_MAX 1000

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static Str skip_blanks(Str text)
{
    size_t at = 0;
    while (at < text.len && is_blank(text.ptr[at]))
        at++;
    return str_skip(text, at);
}

// Bytes that a walk over values stops at.
static const bool stops[256] = {
    ['"'] = true, ['{'] = true, ['}'] = true, ['['] = true, [']'] = true, [','] = true};

// Bytes of the string that `text` begins with, quotes included; 0 if it is not closed.
static size_t string_bytes(Str text)
{
    for (size_t at = 1; at < text.len; at++) {
        char c = text.ptr[at];
        if (c == '"')
            return at + 1;
        at += c == '\\';
    }
    return 0;
}

// Bytes of the value that `text` begins with; 0 if there is none or it is not closed.
static size_t value_bytes(Str text)
{
    size_t depth = 0;
    for (size_t at = 0; at < text.len;) {
        char c = text.ptr[at];
        if (!stops[(unsigned char)c]) {
            at++;
            continue;
        }
        if (c == ',') {
            if (depth == 0)
                return at;
            at++;
        } else if (c == '"') {
            size_t bytes = string_bytes(str_skip(text, at));
            if (!bytes)
                return 0;
            at += bytes;
            if (depth == 0)
                return at;
        } else if (c == '{' || c == '[') {
            if (++depth > DEPTH_MAX)
                return 0;
            at++;
        } else {
            if (depth == 0)
                return at;
            at++;
            if (--depth == 0)
                return at;
        }
    }
    return depth ? 0 : text.len;
}

static bool fail(Error *err, const char *what)
{
    return error_set(err, ERR_INVALID, "JSON: %s", what);
}

// One member; *rest is moved behind it.
static bool take_member(Str *rest, Str *ret_key, Str *ret_value, Error *err)
{
    size_t key_bytes = str_starts_with(*rest, S("\"")) ? string_bytes(*rest) : 0;
    if (!key_bytes)
        return fail(err, "expected a quoted key");
    *ret_key = str_sub(*rest, 1, key_bytes - 2);
    *rest = skip_blanks(str_skip(*rest, key_bytes));
    if (!str_starts_with(*rest, S(":")))
        return fail(err, "expected ':' behind the key");
    *rest = skip_blanks(str_skip(*rest, 1));
    size_t bytes = value_bytes(*rest);
    if (!bytes)
        return fail(err, "expected a value");
    *ret_value = str_trim(str_sub(*rest, 0, bytes));
    *rest = skip_blanks(str_skip(*rest, bytes));
    return true;
}

bool json_text_members(Str object, const Str *keys, size_t count, Str *ret_values, Error *err)
{
    Str rest = skip_blanks(object);
    if (!str_starts_with(rest, S("{")))
        return fail(err, "expected an object");
    for (size_t i = 0; i < count; i++)
        ret_values[i] = STR_NONE;
    rest = skip_blanks(str_skip(rest, 1));
    for (bool first = true; !str_starts_with(rest, S("}")); first = false) {
        Str key;
        Str value;
        if (!first) {
            if (!str_starts_with(rest, S(",")))
                return fail(err, "expected ',' or '}'");
            rest = skip_blanks(str_skip(rest, 1));
        }
        if (!take_member(&rest, &key, &value, err))
            return false;
        for (size_t i = 0; i < count; i++)
            if (str_equal(key, keys[i]))
                ret_values[i] = value;
    }
    return true;
}

JsonTextItems json_text_items(Str array)
{
    JsonTextItems items = {.rest = skip_blanks(array)};
    if (str_starts_with(items.rest, S("[")))
        items.rest = skip_blanks(str_skip(items.rest, 1));
    else
        items.failed = !fail(&items.err, "expected a list");
    return items;
}

static bool fail_items(JsonTextItems *items, const char *what)
{
    items->failed = true;
    return fail(&items->err, what);
}

bool json_text_next(JsonTextItems *items, Str *ret_item)
{
    if (items->failed || items->done)
        return false;
    if (str_starts_with(items->rest, S("]"))) {
        items->done = true;
        return skip_blanks(str_skip(items->rest, 1)).len == 0
                   ? false
                   : fail_items(items, "unexpected text behind the list");
    }
    if (items->started) {
        if (!str_starts_with(items->rest, S(",")))
            return fail_items(items, "expected ',' or ']'");
        items->rest = skip_blanks(str_skip(items->rest, 1));
    }
    size_t bytes = value_bytes(items->rest);
    if (!bytes)
        return fail_items(items, "expected a value");
    items->started = true;
    *ret_item = str_trim(str_sub(items->rest, 0, bytes));
    items->rest = skip_blanks(str_skip(items->rest, bytes));
    return true;
}
