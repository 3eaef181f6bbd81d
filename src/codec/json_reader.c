// SPDX-License-Identifier: Apache-2.0
// Ours rather than jansson's: its json_object(), json_array() and json_null() would meet those of json_writer.h in one process, and
// this needs one tree instead of two. RFC 8259.
#include "codec/json_reader.h"

#include "base/buf.h"
#include "base/map.h"
#include "base/number.h"

#define JSON_READ_DEPTH_MAX 64
#define KEYS_COMPARED_MAX 16 // more in one object are looked up in a map instead

typedef struct Parser {
    Str text;
    size_t at;
    Arena *arena;
    Error *err;
    int depth;
    Buf values; // finished JsonValues of the containers still open
    Buf keys;   // Str, of the objects still open
    Buf scratch;
} Parser;

static bool fail_at(Parser *p, size_t at, const char *what)
{
    size_t line = 1;
    size_t start = 0;
    for (size_t i = 0; i < at; i++)
        if (p->text.ptr[i] == '\n') {
            line++;
            start = i + 1;
        }
    return error_set(p->err, ERR_INVALID, "%zu:%zu: %s", line, at - start + 1, what);
}

static bool fail(Parser *p, const char *what)
{
    return fail_at(p, p->at, what);
}

// The next byte or -1 at the end.
static int peek(const Parser *p)
{
    return p->at < p->text.len ? (unsigned char)p->text.ptr[p->at] : -1;
}

static void skip_blanks(Parser *p)
{
    int c;
    while ((c = peek(p)) == ' ' || c == '\n' || c == '\t' || c == '\r')
        p->at++;
}

static bool hex4(Parser *p, uint32_t *ret_unit)
{
    uint32_t unit = 0;
    for (size_t i = 0; i < 4; i++) {
        unsigned digit = str_digit(p->at + i < p->text.len ? p->text.ptr[p->at + i] : 0);
        if (digit >= 16)
            return fail(p, "\\u needs four hexadecimal digits");
        unit = unit << 4 | digit;
    }
    p->at += 4;
    *ret_unit = unit;
    return true;
}

// Behind "\u". Half of a surrogate pair becomes U+FFFD, as in Go.
static bool read_unicode(Parser *p)
{
    uint32_t unit = 0;
    if (!hex4(p, &unit))
        return false;
    if (unit < 0xD800 || unit > 0xDFFF) {
        buf_add_rune(&p->scratch, unit);
        return true;
    }
    uint32_t low = 0;
    size_t before = p->at;
    if (unit < 0xDC00 && str_starts_with(str_skip(p->text, p->at), S("\\u"))) {
        p->at += 2;
        if (!hex4(p, &low))
            return false;
        if (low >= 0xDC00 && low <= 0xDFFF) {
            buf_add_rune(&p->scratch, 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00));
            return true;
        }
        p->at = before;
    }
    buf_add_rune(&p->scratch, 0xFFFD);
    return true;
}

static bool read_escape(Parser *p)
{
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    int c = peek(p);
    if (c == 'u') {
        p->at++;
        return read_unicode(p);
    }
    const char *known = c > 0 ? strchr(from, c) : NULL;
    if (!known)
        return fail(p, "unknown escape in string");
    buf_add_char(&p->scratch, to[known - from]);
    p->at++;
    return true;
}

// At the opening quote.
static bool read_string(Parser *p, Str *ret_str)
{
    size_t open = p->at++;
    buf_reset(&p->scratch);
    for (;;) {
        int c = peek(p);
        if (c < 0)
            return fail_at(p, open, "string is not closed");
        if (c < 0x20)
            return fail(p, "control character in string");
        if (c == '"')
            break;
        if (c == '\\') {
            p->at++;
            if (!read_escape(p))
                return false;
        } else if (c < 0x80) {
            buf_add_char(&p->scratch, (char)c);
            p->at++;
        } else {
            uint32_t rune;
            size_t len = str_rune(str_skip(p->text, p->at), &rune);
            buf_add_rune(&p->scratch, rune);
            p->at += len;
        }
    }
    p->at++;
    *ret_str = arena_str(p->arena, buf_str(&p->scratch));
    return true;
}

static size_t skip_digits(Parser *p)
{
    size_t from = p->at;
    while (peek(p) >= '0' && peek(p) <= '9')
        p->at++;
    return p->at - from;
}

static bool read_number(Parser *p, JsonValue *value)
{
    size_t from = p->at;
    if (peek(p) == '-')
        p->at++;
    size_t first = p->at;
    size_t digits = skip_digits(p);
    if (digits == 0 || (digits > 1 && p->text.ptr[first] == '0'))
        return fail_at(p, from, "malformed number");
    bool whole = true;
    if (peek(p) == '.') {
        whole = false;
        p->at++;
        if (skip_digits(p) == 0)
            return fail_at(p, from, "malformed number");
    }
    if (peek(p) == 'e' || peek(p) == 'E') {
        whole = false;
        p->at++;
        if (peek(p) == '+' || peek(p) == '-')
            p->at++;
        if (skip_digits(p) == 0)
            return fail_at(p, from, "malformed number");
    }
    Str text = str_sub(p->text, from, p->at - from);
    value->kind = JSON_NUMBER;
    value->is_integer = whole && number_parse_i64(text, &value->integer);
    return number_parse_double(text, &value->number) || fail_at(p, from, "number is out of range");
}

static bool read_word(Parser *p, JsonValue *value)
{
    static const struct {
        Str word;
        JsonValue value;
    } words[] = {
        {STR("null"), {.kind = JSON_NULL}},
        {STR("true"), {.kind = JSON_BOOL, .boolean = true}},
        {STR("false"), {.kind = JSON_BOOL}},
    };
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (str_starts_with(str_skip(p->text, p->at), words[i].word)) {
            p->at += words[i].word.len;
            *value = words[i].value;
            return true;
        }
    return fail(p, peek(p) < 0 ? "unexpected end" : "expected a value");
}

static bool has_duplicate(const Str *keys, size_t count)
{
    if (count <= KEYS_COMPARED_MAX) {
        for (size_t i = 1; i < count; i++)
            for (size_t k = 0; k < i; k++)
                if (str_equal(keys[i], keys[k]))
                    return true;
        return false;
    }
    CLEANUP(map_deinit) Map seen = {0};
    for (size_t i = 0; i < count; i++)
        if (map_put(&seen, keys[i], &seen))
            return true;
    return false;
}

static bool read_value(Parser *p, JsonValue *value);

static bool read_member_key(Parser *p)
{
    Str key;
    skip_blanks(p);
    if (peek(p) != '"')
        return fail(p, "expected a quoted key");
    if (!read_string(p, &key))
        return false;
    buf_add(&p->keys, &key, sizeof key);
    skip_blanks(p);
    if (peek(p) != ':')
        return fail(p, "expected ':' behind the key");
    p->at++;
    return true;
}

// At the opening bracket; `close` is its partner.
static bool read_container(Parser *p, char close, JsonValue *value)
{
    size_t open = p->at++;
    size_t values_begin = p->values.len;
    size_t keys_begin = p->keys.len;
    bool is_object = close == '}';
    if (++p->depth > JSON_READ_DEPTH_MAX)
        return fail_at(p, open, "nested too deep");

    skip_blanks(p);
    if (peek(p) == close) {
        p->at++;
    } else {
        for (;;) {
            JsonValue item = {.kind = JSON_NULL};
            if (is_object && !read_member_key(p))
                return false;
            if (!read_value(p, &item))
                return false;
            buf_add(&p->values, &item, sizeof item);
            int c = peek(p);
            if (c != ',' && c != close)
                return fail(p, c < 0       ? "unexpected end"
                               : is_object ? "expected ',' or '}'"
                                           : "expected ',' or ']'");
            p->at++;
            if (c == close)
                break;
        }
    }

    p->depth--;
    value->kind = is_object ? JSON_OBJECT : JSON_ARRAY;
    value->count = (p->values.len - values_begin) / sizeof(JsonValue);
    value->items = ARENA_ARRAY(p->arena, JsonValue, value->count);
    if (value->count)
        memcpy(value->items, p->values.ptr + values_begin, value->count * sizeof(JsonValue));
    if (is_object) {
        value->keys = ARENA_ARRAY(p->arena, Str, value->count);
        if (value->count)
            memcpy(value->keys, p->keys.ptr + keys_begin, value->count * sizeof(Str));
        if (has_duplicate(value->keys, value->count))
            return fail_at(p, open, "object has the same key twice");
    }
    p->values.len = values_begin;
    p->keys.len = keys_begin;
    return true;
}

// A value and the blanks around it.
static bool read_value(Parser *p, JsonValue *value)
{
    bool ok;
    skip_blanks(p);
    switch (peek(p)) {
    case '{':
        ok = read_container(p, '}', value);
        break;
    case '[':
        ok = read_container(p, ']', value);
        break;
    case '"':
        value->kind = JSON_STRING;
        ok = read_string(p, &value->str);
        break;
    case '-':
    case '0' ... '9':
        ok = read_number(p, value);
        break;
    default:
        ok = read_word(p, value);
    }
    skip_blanks(p);
    return ok;
}

bool json_read(Str text, Arena *arena, JsonValue **ret_value, Error *err)
{
    Parser p = {.text = text, .arena = arena, .err = err};
    JsonValue *value = ARENA_NEW(arena, JsonValue);
    bool ok =
        read_value(&p, value) && (p.at == text.len || fail(&p, "unexpected text behind the value"));
    buf_deinit(&p.values);
    buf_deinit(&p.keys);
    buf_deinit(&p.scratch);
    if (ok)
        *ret_value = value;
    return ok;
}

const JsonValue *json_get(const JsonValue *object, Str key)
{
    if (!object || object->kind != JSON_OBJECT)
        return NULL;
    for (size_t i = 0; i < object->count; i++)
        if (str_equal(object->keys[i], key))
            return &object->items[i];
    return NULL;
}
