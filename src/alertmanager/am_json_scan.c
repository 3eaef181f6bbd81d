// SPDX-License-Identifier: Apache-2.0
// The place and the words of the first fault in a text that is no JSON.
#include "alertmanager/am_json_scan.h"

#include <stdio.h>

#include "base/buf.h"

#define DEPTH_MAX 64

typedef struct Scan {
    Str text;
    size_t at;
    int depth;
    Error *err;
} Scan;

static bool scan_value(Scan *scan);

static int peek(const Scan *scan)
{
    return scan->at < scan->text.len ? (unsigned char)scan->text.ptr[scan->at] : -1;
}

static int next_sign(Scan *scan)
{
    int c;
    while ((c = peek(scan)) == ' ' || c == '\n' || c == '\t' || c == '\r')
        scan->at++;
    return c;
}

// As Go's %q prints one character; bytes that are no UTF-8 with \x.
static void quote_rune(Buf *out, Str text)
{
    uint32_t rune;
    size_t len = str_rune(text, &rune);
    unsigned char c = (unsigned char)text.ptr[0];
    buf_add_char(out, '\'');
    if (c == '\'' || c == '\\')
        buf_printf(out, "\\%c", c);
    else if (c == '\n' || c == '\r' || c == '\t')
        buf_printf(out, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
    else if (c < 0x20 || c == 0x7F || (c >= 0x80 && len == 1))
        buf_printf(out, "\\x%02x", c);
    else
        buf_add_str(out, str_sub(text, 0, len));
    buf_add_char(out, '\'');
}

static bool refuse(Scan *scan, const char *where)
{
    CLEANUP(buf_deinit) Buf sign = {0};
    if (peek(scan) < 0)
        return error_set(scan->err, ERR_INVALID, "unexpected EOF");
    quote_rune(&sign, str_skip(scan->text, scan->at));
    return error_set(scan->err, ERR_INVALID, "invalid character " STR_FMT " %s",
                     STR_ARG(buf_str(&sign)), where);
}

static bool refuse_escape(Scan *scan, size_t bytes)
{
    Str rest = str_skip(scan->text, scan->at);
    if (rest.len < bytes)
        return error_set(scan->err, ERR_INVALID, "unexpected EOF");
    return error_set(scan->err, ERR_INVALID, "invalid escape sequence `" STR_FMT "` in string",
                     STR_ARG(str_sub(rest, 0, bytes)));
}

// At the backslash.
static bool scan_escape(Scan *scan)
{
    Str rest = str_skip(scan->text, scan->at);
    if (rest.len < 2)
        return refuse_escape(scan, 2);
    if (rest.ptr[1] != 'u') {
        if (str_find_char(S("\"\\/bfnrt"), rest.ptr[1]) == STR_NOT_FOUND)
            return refuse_escape(scan, 2);
        scan->at += 2;
        return true;
    }
    for (size_t i = 2; i < 6; i++)
        if (i >= rest.len || str_digit(rest.ptr[i]) >= 16)
            return refuse_escape(scan, 6);
    scan->at += 6;
    return true;
}

static bool scan_string(Scan *scan)
{
    scan->at++;
    for (;;) {
        int c = peek(scan);
        if (c < 0x20)
            return refuse(scan, "in string");
        if (c == '\\') {
            if (!scan_escape(scan))
                return false;
            continue;
        }
        scan->at++;
        if (c == '"')
            return true;
    }
}

static bool scan_digits(Scan *scan)
{
    if (peek(scan) < '0' || peek(scan) > '9')
        return refuse(scan, "in numeric literal");
    while (peek(scan) >= '0' && peek(scan) <= '9')
        scan->at++;
    return true;
}

static bool scan_number(Scan *scan)
{
    scan->at += peek(scan) == '-';
    if (peek(scan) == '0')
        scan->at++;
    else if (!scan_digits(scan))
        return false;
    if (peek(scan) == '.') {
        scan->at++;
        if (!scan_digits(scan))
            return false;
    }
    if (peek(scan) != 'e' && peek(scan) != 'E')
        return true;
    scan->at++;
    if (peek(scan) == '+' || peek(scan) == '-')
        scan->at++;
    return scan_digits(scan);
}

static bool scan_word(Scan *scan, const char *word)
{
    for (size_t i = 0; word[i]; i++, scan->at++)
        if (peek(scan) != word[i]) {
            char where[64];
            snprintf(where, sizeof where, "in literal %s (expecting '%c')", word, word[i]);
            return refuse(scan, where);
        }
    return true;
}

// At the opening bracket.
static bool scan_container(Scan *scan, char close)
{
    bool is_object = close == '}';
    scan->at++;
    if (++scan->depth > DEPTH_MAX)
        return error_set(scan->err, ERR_INVALID, "nested deeper than %d", DEPTH_MAX);
    if (next_sign(scan) == close) {
        scan->at++;
        scan->depth--;
        return true;
    }
    for (;;) {
        if (is_object) {
            if (next_sign(scan) != '"')
                return refuse(scan, "looking for beginning of object key string");
            if (!scan_string(scan))
                return false;
            if (next_sign(scan) != ':')
                return refuse(scan, "after object key");
            scan->at++;
        }
        if (!scan_value(scan))
            return false;
        int c = next_sign(scan);
        if (c != ',' && c != close)
            return refuse(scan, is_object ? "after object key:value pair" : "after array element");
        scan->at++;
        if (c == close)
            break;
    }
    scan->depth--;
    return true;
}

static bool scan_value(Scan *scan)
{
    int c = next_sign(scan);
    switch (c) {
    case '{':
        return scan_container(scan, '}');
    case '[':
        return scan_container(scan, ']');
    case '"':
        return scan_string(scan);
    case '-':
    case '0' ... '9':
        return scan_number(scan);
    case 'n':
        return scan_word(scan, "null");
    case 't':
        return scan_word(scan, "true");
    case 'f':
        return scan_word(scan, "false");
    default:
        return refuse(scan, "looking for beginning of value");
    }
}

bool am_json_scan(Str text, size_t *ret_end, Error *err)
{
    Scan scan = {.text = text, .err = err};
    if (!scan_value(&scan))
        return false;
    *ret_end = scan.at;
    return true;
}
