// SPDX-License-Identifier: Apache-2.0
#include "codec/json_writer.h"

#include "base/number.h"
#include "codec/json_reader.h"

void json_writer_init(JsonWriter *json, Buf *buf)
{
    *json = (JsonWriter){.buf = buf};
}

// Sends waiting bytes on when enough have gathered.
static void maybe_flush(JsonWriter *json)
{
    if (LIKELY(!json->flush || json->buf->len < json->flush_at || json->flush_at == 0))
        return;
    if (!json->flush(json->arg, buf_str(json->buf)))
        json->stopped = true;
    buf_reset(json->buf);
}

// Puts the comma that belongs in front of a key or value.
static void begin_value(JsonWriter *json)
{
    if (json->after_key) {
        json->after_key = false;
        return;
    }
    if (json->depth == 0)
        return;
    if (json->needs_comma[json->depth - 1])
        buf_add_char(json->buf, ',');
    json->needs_comma[json->depth - 1] = true;
}

static void open_nesting(JsonWriter *json, char bracket)
{
    ASSERT(json->depth < JSON_DEPTH_MAX);
    if (!json->stopped) {
        begin_value(json);
        buf_add_char(json->buf, bracket);
    }
    json->needs_comma[json->depth++] = false;
}

static void close_nesting(JsonWriter *json, char bracket)
{
    ASSERT(json->depth > 0);
    json->depth--;
    if (json->stopped)
        return;
    buf_add_char(json->buf, bracket);
    maybe_flush(json);
}

void json_object(JsonWriter *json)
{
    open_nesting(json, '{');
}

void json_object_end(JsonWriter *json)
{
    close_nesting(json, '}');
}

void json_array(JsonWriter *json)
{
    open_nesting(json, '[');
}

void json_array_end(JsonWriter *json)
{
    close_nesting(json, ']');
}

// Bytes that stand in a JSON string as they are: ASCII without controls, quote, backslash, <, > and &.
static const bool plain_byte[256] = {
    [' '] = 1, ['!'] = 1,  ['#'] = 1,         ['$'] = 1, ['%'] = 1, ['\''] = 1,
    ['('] = 1, [')'] = 1,  ['*'] = 1,         ['+'] = 1, [','] = 1, ['-'] = 1,
    ['.'] = 1, ['/'] = 1,  ['0' ... '9'] = 1, [':'] = 1, [';'] = 1, ['='] = 1,
    ['?'] = 1, ['@'] = 1,  ['A' ... 'Z'] = 1, ['['] = 1, [']'] = 1, ['^'] = 1,
    ['_'] = 1, ['`'] = 1,  ['a' ... 'z'] = 1, ['{'] = 1, ['|'] = 1, ['}'] = 1,
    ['~'] = 1, [0x7f] = 1,
};

// Writes one byte or rune that is not plain; returns how many bytes it took.
static size_t add_escaped(Buf *buf, Str rest, bool keeps_html)
{
    unsigned char byte = (unsigned char)rest.ptr[0];
    if (byte >= 0x80) {
        uint32_t rune;
        size_t len = str_rune(rest, &rune);
        if (rune == 0xFFFD && len == 1)
            buf_add_c(buf, "\\ufffd");
        else if (rune == 0x2028 || rune == 0x2029)
            buf_add_c(buf, rune == 0x2028 ? "\\u2028" : "\\u2029");
        else
            buf_add(buf, rest.ptr, len);
        return len;
    }

    static const char digits[] = "0123456789abcdef";
    switch (byte) {
    case '"':
        buf_add(buf, "\\\"", 2);
        break;
    case '\\':
        buf_add(buf, "\\\\", 2);
        break;
    case '\n':
        buf_add(buf, "\\n", 2);
        break;
    case '\r':
        buf_add(buf, "\\r", 2);
        break;
    case '\t':
        buf_add(buf, "\\t", 2);
        break;
    case '<':
    case '>':
    case '&':
        if (keeps_html) {
            buf_add_char(buf, (char)byte);
            break;
        }
        __attribute__((fallthrough));
    default: {
        char hex[6] = {'\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 15]};
        buf_add(buf, hex, sizeof hex);
    }
    }
    return 1;
}

#define WORD_BYTES 8
#define EACH_BYTE(b) (0x0101010101010101u * (b))

// A high bit for each byte that is certainly not plain, and perhaps for bytes behind it.
static uint64_t not_plain(uint64_t word)
{
    const uint64_t high = EACH_BYTE(0x80u);
    uint64_t low = word - EACH_BYTE(0x20u); // controls
    uint64_t found = word | low;            // and what is not ASCII
    const unsigned char marks[] = {'"', '\\', '<', '>', '&'};
    for (size_t i = 0; i < sizeof marks; i++)
        found |= (word ^ EACH_BYTE(marks[i])) - EACH_BYTE(1u);
    return found & high;
}

// How many bytes at the front can be taken as they are; stops early rather than late.
static size_t plain_words(Str value, char *out)
{
    size_t i = 0;
    for (; i + WORD_BYTES <= value.len; i += WORD_BYTES) {
        uint64_t word;
        memcpy(&word, value.ptr + i, WORD_BYTES);
        if (not_plain(word))
            break;
        memcpy(out + i, &word, WORD_BYTES);
    }
    return i;
}

// Almost every text: all bytes stand as they are. False: nothing is written.
static bool add_plain(Buf *buf, Str value)
{
    char *at = buf_reserve(buf, value.len + 2);
    if (!at)
        return false;
    size_t i = plain_words(value, at + 1);
    for (; i < value.len; i++) {
        if (!plain_byte[(unsigned char)value.ptr[i]])
            return false;
        at[1 + i] = value.ptr[i];
    }
    at[0] = at[1 + value.len] = '"';
    buf->len += value.len + 2;
    return true;
}

static void add_quoted(const JsonWriter *json, Str value)
{
    Buf *buf = json->buf;
    if (LIKELY(add_plain(buf, value)))
        return;
    buf_add_char(buf, '"');
    size_t from = 0;
    for (size_t i = 0; i < value.len;) {
        if (LIKELY(plain_byte[(unsigned char)value.ptr[i]])) {
            i++;
            continue;
        }
        buf_add(buf, value.ptr + from, i - from);
        i += add_escaped(buf, str_skip(value, i), json->keeps_html);
        from = i;
    }
    buf_add(buf, value.ptr + from, value.len - from);
    buf_add_char(buf, '"');
}

void json_key(JsonWriter *json, Str key)
{
    ASSERT(!json->after_key);
    if (json->stopped)
        return;
    begin_value(json);
    add_quoted(json, key);
    buf_add_char(json->buf, ':');
    json->after_key = true;
}

void json_str(JsonWriter *json, Str value)
{
    if (json->stopped)
        return;
    begin_value(json);
    add_quoted(json, value);
    maybe_flush(json);
}

void json_c(JsonWriter *json, const char *value)
{
    json_str(json, str_from_c(value));
}

void json_i64(JsonWriter *json, int64_t value)
{
    if (json->stopped)
        return;
    begin_value(json);
    buf_add_i64(json->buf, value);
    maybe_flush(json);
}

void json_u64(JsonWriter *json, uint64_t value)
{
    if (json->stopped)
        return;
    begin_value(json);
    buf_add_u64(json->buf, value);
    maybe_flush(json);
}

void json_double(JsonWriter *json, double value)
{
    ASSERT(__builtin_isfinite(value));
    if (json->stopped)
        return;
    begin_value(json);
    char text[NUMBER_BYTES_MAX];
    size_t len = number_format_json(value, text);
    // encoding/json writes e-9 where strconv has e-09.
    if (len >= 4 && text[len - 4] == 'e' && text[len - 3] == '-' && text[len - 2] == '0') {
        text[len - 2] = text[len - 1];
        len--;
    }
    buf_add(json->buf, text, len);
    maybe_flush(json);
}

void json_bool(JsonWriter *json, bool value)
{
    json_raw(json, value ? S("true") : S("false"));
}

void json_null(JsonWriter *json)
{
    json_raw(json, S("null"));
}

void json_raw(JsonWriter *json, Str value)
{
    if (json->stopped)
        return;
    begin_value(json);
    buf_add_str(json->buf, value);
    maybe_flush(json);
}

void json_key_str(JsonWriter *json, const char *key, Str value)
{
    json_key(json, str_from_c(key));
    json_str(json, value);
}

void json_key_c(JsonWriter *json, const char *key, const char *value)
{
    json_key_str(json, key, str_from_c(value));
}

void json_key_i64(JsonWriter *json, const char *key, int64_t value)
{
    json_key(json, str_from_c(key));
    json_i64(json, value);
}

void json_key_u64(JsonWriter *json, const char *key, uint64_t value)
{
    json_key(json, str_from_c(key));
    json_u64(json, value);
}

void json_key_double(JsonWriter *json, const char *key, double value)
{
    json_key(json, str_from_c(key));
    json_double(json, value);
}

void json_key_bool(JsonWriter *json, const char *key, bool value)
{
    json_key(json, str_from_c(key));
    json_bool(json, value);
}

void json_value(JsonWriter *json, const JsonValue *value)
{
    switch (value->kind) {
    case JSON_NULL:
        json_null(json);
        break;
    case JSON_BOOL:
        json_bool(json, value->boolean);
        break;
    case JSON_NUMBER:
        if (value->is_integer)
            json_i64(json, value->integer);
        else
            json_double(json, value->number);
        break;
    case JSON_STRING:
        json_str(json, value->str);
        break;
    case JSON_ARRAY:
        json_array(json);
        for (size_t i = 0; i < value->count; i++)
            json_value(json, &value->items[i]);
        json_array_end(json);
        break;
    case JSON_OBJECT:
        json_object(json);
        for (size_t i = 0; i < value->count; i++) {
            json_key(json, value->keys[i]);
            json_value(json, &value->items[i]);
        }
        json_object_end(json);
        break;
    }
}
