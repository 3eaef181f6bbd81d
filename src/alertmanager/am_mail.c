// SPDX-License-Identifier: Apache-2.0
#include "alertmanager/am_mail.h"

#define LINE_MAX_LEN 75
#define ADDRESSES_MAX 1000

// ---- addresses ----

static bool is_address(Str text)
{
    size_t at = str_rfind_char(text, '@');
    if (at == STR_NOT_FOUND || at == 0 || at + 1 == text.len)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] <= ' ' || strchr("<>,;\"()", text.ptr[i]))
            return false;
    return true;
}

// Up to the next comma outside of quotes and brackets.
static Str next_piece(Str *rest)
{
    bool quoted = false;
    int depth = 0;
    size_t i = 0;
    for (; i < rest->len; i++) {
        char c = rest->ptr[i];
        if (c == '\\' && quoted)
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (!quoted && (c == '<' || c == '('))
            depth++;
        else if (!quoted && (c == '>' || c == ')'))
            depth--;
        else if (c == ',' && !quoted && depth == 0)
            break;
    }
    i = MIN(i, rest->len);
    Str piece = str_sub(*rest, 0, i);
    *rest = str_skip(*rest, i + (i < rest->len));
    return str_trim(piece);
}

bool am_mail_addresses(Str text, Arena *arena, Str **ret_list, size_t *ret_count, Error *err)
{
    Str *list = ARENA_ARRAY(arena, Str, ADDRESSES_MAX);
    size_t count = 0;
    while (str_trim(text).len) {
        Str piece = next_piece(&text);
        size_t open = str_rfind_char(piece, '<');
        if (open != STR_NOT_FOUND && str_ends_with(piece, S(">")))
            piece = str_sub(piece, open + 1, piece.len - open - 2);
        if (!is_address(piece))
            return error_set(err, ERR_INVALID, "mail: \"" STR_FMT "\" is no address",
                             STR_ARG(str_sub(piece, 0, 200)));
        if (count == ADDRESSES_MAX)
            return error_set(err, ERR_LIMIT, "mail: more than %d addresses", ADDRESSES_MAX);
        list[count++] = piece;
    }
    if (count == 0)
        return error_set(err, ERR_INVALID, "mail: no address");
    *ret_list = list;
    *ret_count = count;
    return true;
}

// ---- the message ----

static bool is_plain(Str text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] >= 0x7F ||
            ((unsigned char)text.ptr[i] < ' ' && text.ptr[i] != '\t'))
            return false;
    return true;
}

static void add_q_rune(Buf *out, Str rune)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < rune.len; i++) {
        unsigned char c = (unsigned char)rune.ptr[i];
        if (c == ' ') {
            buf_add_char(out, '_');
        } else if (c > ' ' && c < 0x7F && c != '=' && c != '?' && c != '_') {
            buf_add_char(out, (char)c);
        } else {
            buf_add_char(out, '=');
            buf_add_char(out, digits[c >> 4]);
            buf_add_char(out, digits[c & 15]);
        }
    }
}

// RFC 2047: words of at most 75 characters, no rune cut in two.
static void add_encoded(Buf *out, Str value)
{
    size_t begin = out->len;
    buf_add_c(out, "=?utf-8?q?");
    while (value.len) {
        CLEANUP(buf_deinit) Buf one = {0};
        uint32_t rune;
        size_t len = str_rune(value, &rune);
        add_q_rune(&one, str_sub(value, 0, len));
        if (out->len - begin + one.len + 2 > LINE_MAX_LEN) {
            buf_add_c(out, "?=\r\n ");
            begin = out->len;
            buf_add_c(out, "=?utf-8?q?");
        }
        buf_add_str(out, buf_str(&one));
        value = str_skip(value, len);
    }
    buf_add_c(out, "?=");
}

// A line break inside of a value would begin another header.
static void add_header(Buf *out, Str name, Str value)
{
    buf_add_str(out, name);
    buf_add_c(out, ": ");
    if (is_plain(value))
        buf_add_str(out, value);
    else
        add_encoded(out, value);
    buf_add_c(out, "\r\n");
}

// RFC 2045 6.7.
static void add_quoted_printable(Buf *out, Str text)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t column = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool line_ends = i + 1 == text.len || text.ptr[i + 1] == '\n' || text.ptr[i + 1] == '\r';
        if (c == '\r')
            continue;
        if (c == '\n') {
            buf_add_c(out, "\r\n");
            column = 0;
            continue;
        }
        bool plain = (c > ' ' && c < 0x7F && c != '=') || ((c == ' ' || c == '\t') && !line_ends);
        // A dot alone would end the mail; libcurl doubles it, old servers do not.
        if (column + (plain ? 1 : 3) > LINE_MAX_LEN) {
            buf_add_c(out, "=\r\n");
            column = 0;
        }
        if (plain) {
            buf_add_char(out, (char)c);
            column++;
        } else {
            buf_add_char(out, '=');
            buf_add_char(out, digits[c >> 4]);
            buf_add_char(out, digits[c & 15]);
            column += 3;
        }
    }
}

static void add_part(Buf *out, Str boundary, const char *type, Str body)
{
    if (body.len == 0)
        return;
    buf_printf(out,
               "--" STR_FMT "\r\nContent-Transfer-Encoding: quoted-printable\r\n"
               "Content-Type: %s; charset=UTF-8\r\n\r\n",
               STR_ARG(boundary), type);
    add_quoted_printable(out, body);
    buf_add_c(out, "\r\n");
}

void am_mail_write(Buf *out, const AmMailHeader *headers, size_t count, Str text, Str html,
                   Str boundary)
{
    for (size_t i = 0; i < count; i++)
        add_header(out, headers[i].name, headers[i].value);
    buf_printf(out,
               "Content-Type: multipart/alternative;  boundary=" STR_FMT
               "\r\nMIME-Version: 1.0\r\n\r\n",
               STR_ARG(boundary));
    add_part(out, boundary, "text/plain", text);
    add_part(out, boundary, "text/html", html);
    buf_printf(out, "--" STR_FMT "--\r\n", STR_ARG(boundary));
}
