// SPDX-License-Identifier: Apache-2.0
#include "net/url.h"

static bool needs_decoding(Str text, bool plus_is_space)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] == '%' || (plus_is_space && text.ptr[i] == '+'))
            return true;
    return false;
}

bool url_decode(Str text, bool plus_is_space, Arena *arena, Str *ret_text)
{
    if (!needs_decoding(text, plus_is_space)) {
        *ret_text = text;
        return true;
    }

    char *out = arena_alloc_aligned(arena, text.len, 1);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '%') {
            unsigned high = i + 2 < text.len ? str_digit(text.ptr[i + 1]) : 16;
            unsigned low = i + 2 < text.len ? str_digit(text.ptr[i + 2]) : 16;
            if (high >= 16 || low >= 16)
                return false;
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        out[len++] = c;
    }
    *ret_text = str_make(out, len);
    return true;
}

static bool params_push(UrlParams *params, HttpPair pair, Arena *arena, Error *err)
{
    if (params->count == URL_PARAMS_MAX)
        return error_set(err, ERR_LIMIT, "more than %d parameters", URL_PARAMS_MAX);
    if (params->count == params->cap) {
        size_t cap = MAX(params->cap * 2, 8u);
        params->items = arena_grow(arena, params->items, params->cap * sizeof *params->items,
                                   cap * sizeof *params->items);
        params->cap = cap;
    }
    params->items[params->count++] = pair;
    return true;
}

bool url_params_add(UrlParams *params, Str text, Arena *arena, bool *ret_malformed, Error *err)
{
    Str piece;
    while (str_split_next(&text, '&', &piece)) {
        if (piece.len == 0)
            continue;
        Str value = piece;
        Str name;
        HttpPair pair;
        (void)str_split_next(&value, '=', &name); // the piece is not empty
        if (str_find_char(piece, ';') != STR_NOT_FOUND ||
            !url_decode(name, true, arena, &pair.name) ||
            !url_decode(value, true, arena, &pair.value)) {
            if (ret_malformed)
                *ret_malformed = true;
            continue;
        }
        if (!params_push(params, pair, arena, err))
            return false;
    }
    return true;
}

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '~';
}

static void add_escaped(Buf *buf, Str text, const char *also_plain, bool plus_is_space)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (is_unreserved(c) || (c && strchr(also_plain, c))) {
            buf_add_char(buf, c);
        } else if (c == ' ' && plus_is_space) {
            buf_add_char(buf, '+');
        } else {
            buf_add_char(buf, '%');
            buf_add_char(buf, digits[(uint8_t)c >> 4]);
            buf_add_char(buf, digits[(uint8_t)c & 15]);
        }
    }
}

void url_add_query_escaped(Buf *buf, Str text)
{
    add_escaped(buf, text, "", true);
}

void url_add_path_escaped(Buf *buf, Str text)
{
    add_escaped(buf, text, "$&+=:@", false);
}

bool url_split_host_port(Str address, Str *ret_host, Str *ret_port, Error *err)
{
    size_t colon = str_rfind_char(address, ':');
    if (colon == STR_NOT_FOUND)
        return error_set(err, ERR_INVALID, "address " STR_FMT ": missing port in address",
                         STR_ARG(address));
    Str host = str_sub(address, 0, colon);
    if (str_starts_with(host, S("["))) {
        if (!str_ends_with(host, S("]")))
            return error_set(err, ERR_INVALID, "address " STR_FMT ": missing ']' in address",
                             STR_ARG(address));
        host = str_sub(host, 1, host.len - 2);
    } else if (str_find_char(host, ':') != STR_NOT_FOUND) {
        return error_set(err, ERR_INVALID, "address " STR_FMT ": too many colons in address",
                         STR_ARG(address));
    }
    *ret_host = host;
    *ret_port = str_skip(address, colon + 1);
    return true;
}

void url_add_host_port(Buf *buf, Str host, Str port)
{
    bool brackets = str_find_char(host, ':') != STR_NOT_FOUND;
    if (brackets)
        buf_add_char(buf, '[');
    buf_add_str(buf, host);
    if (brackets)
        buf_add_char(buf, ']');
    buf_add_char(buf, ':');
    buf_add_str(buf, port);
}
