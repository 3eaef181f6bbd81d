// SPDX-License-Identifier: Apache-2.0
#include "template/template_escape.h"

#include "metric/labels.h"

static Str html_of(char c)
{
    switch (c) {
    case 0:
        return S("\xef\xbf\xbd");
    case '"':
        return S("&#34;");
    case '\'':
        return S("&#39;");
    case '&':
        return S("&amp;");
    case '<':
        return S("&lt;");
    case '>':
        return S("&gt;");
    default:
        return STR_NONE;
    }
}

void template_escape_html(Buf *out, Str text)
{
    size_t from = 0;

    for (size_t i = 0; i < text.len; i++) {
        Str escaped = html_of(text.ptr[i]);
        if (!escaped.len)
            continue;
        buf_add_str(out, str_sub(text, from, i - from));
        buf_add_str(out, escaped);
        from = i + 1;
    }
    buf_add_str(out, str_skip(text, from));
}

static void escape_js_ascii(Buf *out, char c)
{
    switch (c) {
    case '\\':
    case '\'':
    case '"':
        buf_add_char(out, '\\');
        buf_add_char(out, c);
        break;
    default:
        if (c < ' ' || c == '<' || c == '>' || c == '&' || c == '=')
            buf_printf(out, "\\u%04X", (unsigned)c);
        else
            buf_add_char(out, c);
    }
}

void template_escape_js(Buf *out, Str text)
{
    uint32_t rune;

    for (size_t len; text.len; text = str_skip(text, len)) {
        len = str_rune(text, &rune);
        if (rune < 0x80)
            escape_js_ascii(out, text.ptr[0]);
        else if (rune_is_printable(rune))
            buf_add(out, text.ptr, len);
        else
            buf_printf(out, "\\u%04X", rune);
    }
}

static bool is_unreserved(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_' || c == '.' || c == '~';
}

void template_escape_query(Buf *out, Str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == ' ')
            buf_add_char(out, '+');
        else if (is_unreserved(c))
            buf_add_char(out, c);
        else
            buf_printf(out, "%%%02X", (unsigned char)c);
    }
}
