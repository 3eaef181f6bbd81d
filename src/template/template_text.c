// SPDX-License-Identifier: Apache-2.0
#include "template/template_text.h"

#include <arpa/inet.h>

#include "metric/labels.h"

void template_add_rune(Buf *out, uint32_t rune)
{
    if (rune > 0x10ffff || (rune >= 0xd800 && rune < 0xe000))
        rune = 0xfffd;
    buf_add_rune(out, rune);
}

void template_add_rune_name(Buf *out, uint32_t rune)
{
    buf_printf(out, "U+%04X", rune);
    if (rune_is_printable(rune)) {
        buf_add_c(out, " '");
        template_add_rune(out, rune);
        buf_add_char(out, '\'');
    }
}

// `count` digits of base 8 or 16.
static bool read_digits(Str *rest, size_t count, int base, uint32_t *ret_rune)
{
    uint32_t rune = 0;

    if (rest->len < count)
        return false;
    for (size_t i = 0; i < count; i++) {
        unsigned digit = str_digit(rest->ptr[i]);
        if (digit >= (unsigned)base)
            return false;
        rune = rune * (uint32_t)base + digit;
    }
    *rest = str_skip(*rest, count);
    *ret_rune = rune;
    return true;
}

static char simple_escape(char c)
{
    static const char from[] = "abfnrtv\\";
    static const char to[] = "\a\b\f\n\r\t\v\\";
    const char *found = c ? strchr(from, c) : NULL;

    return found ? to[found - from] : 0;
}

bool template_unquote_char(Str *rest, char quote, uint32_t *ret_rune, bool *ret_is_byte)
{
    *ret_is_byte = false;
    if (rest->len == 0 || rest->ptr[0] == quote)
        return false;
    if (rest->ptr[0] != '\\') {
        *rest = str_skip(*rest, str_rune(*rest, ret_rune));
        return true;
    }
    if (rest->len < 2)
        return false;

    char c = rest->ptr[1];
    *rest = str_skip(*rest, 2);
    if (simple_escape(c)) {
        *ret_rune = (uint32_t)simple_escape(c);
        return true;
    }
    switch (c) {
    case 'x':
        *ret_is_byte = true;
        return read_digits(rest, 2, 16, ret_rune);
    case 'u':
    case 'U':
        return read_digits(rest, c == 'u' ? 4 : 8, 16, ret_rune) && *ret_rune <= 0x10ffff &&
               !(*ret_rune >= 0xd800 && *ret_rune < 0xe000);
    case '\'':
    case '"':
        *ret_rune = (uint32_t)c;
        return c == quote;
    default:
        if (c < '0' || c > '7')
            return false;
        *ret_is_byte = true;
        *rest = (Str){rest->ptr - 1, rest->len + 1};
        return read_digits(rest, 3, 8, ret_rune) && *ret_rune <= 255;
    }
}

static bool unquote_raw(Str inner, Arena *arena, Str *ret_text)
{
    char *out = arena_alloc(arena, inner.len + 1);
    size_t len = 0;

    for (size_t i = 0; i < inner.len; i++)
        if (inner.ptr[i] != '\r')
            out[len++] = inner.ptr[i];
    *ret_text = str_make(out, len);
    return true;
}

bool template_unquote(Str literal, Arena *arena, Str *ret_text)
{
    if (literal.len < 2 || literal.ptr[0] != literal.ptr[literal.len - 1])
        return false;

    Str inner = str_sub(literal, 1, literal.len - 2);
    if (literal.ptr[0] == '`')
        return unquote_raw(inner, arena, ret_text);

    Buf out = {0};
    bool ok = true;
    while (ok && inner.len) {
        uint32_t rune;
        bool is_byte;
        ok = template_unquote_char(&inner, '"', &rune, &is_byte);
        if (ok && is_byte)
            buf_add_char(&out, (char)rune);
        else if (ok)
            template_add_rune(&out, rune);
    }
    if (ok)
        *ret_text = arena_str(arena, buf_str(&out));
    buf_deinit(&out);
    return ok;
}

bool template_split_host_port(Str address, Str *ret_host, Str *ret_port)
{
    size_t colon = str_rfind_char(address, ':');
    size_t open = 0;
    Str host;

    if (colon == STR_NOT_FOUND)
        return false;
    if (address.ptr[0] == '[') {
        size_t close = str_find_char(address, ']');
        if (close == STR_NOT_FOUND || close + 1 != colon)
            return false;
        host = str_sub(address, 1, close - 1);
        open = 1;
    } else {
        host = str_sub(address, 0, colon);
        if (str_find_char(host, ':') != STR_NOT_FOUND)
            return false;
    }
    if (str_find_char(str_skip(address, open), '[') != STR_NOT_FOUND ||
        str_find_char(open ? str_skip(address, colon) : address, ']') != STR_NOT_FOUND)
        return false;
    *ret_host = host;
    *ret_port = str_skip(address, colon + 1);
    return true;
}

bool template_is_ip(Str host)
{
    char text[64];
    unsigned char address[16];

    if (host.len >= sizeof text || memchr(host.ptr ? host.ptr : "", 0, host.len))
        return false;
    memcpy(text, host.ptr ? host.ptr : "", host.len);
    text[host.len] = 0;
    return inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1;
}
