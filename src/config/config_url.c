// SPDX-License-Identifier: Apache-2.0
// What Go's url.Parse refuses, in its words.
#include "base/number.h"
#include "config/config.h"

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool check_characters(Str url, Error *err)
{
    for (size_t i = 0; i < url.len; i++) {
        unsigned char c = (unsigned char)url.ptr[i];
        if (c < 0x20 || c == 0x7f)
            return error_set(err, ERR_INVALID, "net/url: invalid control character in URL");
    }
    return true;
}

// What stands behind "scheme:", or all of it.
static bool skip_scheme(Str url, Str *ret_rest, bool *ret_has_scheme, Error *err)
{
    size_t i = 0;
    *ret_rest = url;
    *ret_has_scheme = false;
    while (i < url.len &&
           (is_letter(url.ptr[i]) || (i && (is_digit(url.ptr[i]) || memchr("+-.", url.ptr[i], 3)))))
        i++;
    if (i == url.len || url.ptr[i] != ':')
        return true;
    if (i == 0)
        return error_set(err, ERR_INVALID, "missing protocol scheme");
    *ret_rest = str_skip(url, i + 1);
    *ret_has_scheme = true;
    return true;
}

static bool check_escapes(Str text, Error *err)
{
    for (size_t i = 0; i < text.len; i++) {
        bool good = text.ptr[i] != '%' || (i + 2 < text.len && str_digit(text.ptr[i + 1]) < 16 &&
                                           str_digit(text.ptr[i + 2]) < 16);
        if (!good)
            return error_set(err, ERR_INVALID, "invalid URL escape \"" STR_FMT "\"",
                             STR_ARG(str_sub(text, i, 3)));
    }
    return true;
}

static bool check_port(Str text, Error *err)
{
    if (text.len == 0)
        return true;
    for (size_t i = 1; i < text.len; i++)
        if (!is_digit(text.ptr[i]))
            return error_set(err, ERR_INVALID, "invalid port \"" STR_FMT "\" after host",
                             STR_ARG(str_sub(text, 0, 100)));
    return text.ptr[0] == ':' ||
           error_set(err, ERR_INVALID, "invalid port \"" STR_FMT "\" after host",
                     STR_ARG(str_sub(text, 0, 100)));
}

// "host", "host:port", "[v6]:port"
static bool check_host(Str host, Error *err)
{
    static const char refused[] = " \"<>\\^`{|}";
    for (size_t i = 0; i < host.len; i++)
        if (memchr(refused, host.ptr[i], sizeof refused - 1))
            return error_set(err, ERR_INVALID, "invalid character \"%c\" in host name",
                             host.ptr[i]);
    if (str_starts_with(host, S("["))) {
        size_t end = str_rfind_char(host, ']');
        if (end == STR_NOT_FOUND)
            return error_set(err, ERR_INVALID, "missing ']' in host");
        return check_port(str_skip(host, end + 1), err);
    }
    size_t colon = str_rfind_char(host, ':');
    return colon == STR_NOT_FOUND || check_port(str_skip(host, colon), err);
}

bool config_url_check(Str url, Error *err)
{
    Str rest;
    bool has_scheme;
    if (!check_characters(url, err) || !skip_scheme(url, &rest, &has_scheme, err))
        return false;
    rest = str_sub(rest, 0, str_find_char(rest, '#'));
    rest = str_sub(rest, 0, str_find_char(rest, '?'));
    if (str_starts_with(rest, S("//"))) {
        size_t end = str_find_char(str_skip(rest, 2), '/');
        Str authority = str_sub(str_skip(rest, 2), 0, end);
        size_t at = str_rfind_char(authority, '@');
        rest = end == STR_NOT_FOUND ? STR_NONE : str_skip(rest, end + 2);
        if (at != STR_NOT_FOUND && !check_escapes(str_sub(authority, 0, at), err))
            return error_set(err, ERR_INVALID, "net/url: invalid userinfo");
        if (!check_host(at == STR_NOT_FOUND ? authority : str_skip(authority, at + 1), err))
            return false;
    } else if (!has_scheme && !str_starts_with(rest, S("/"))) {
        Str first = str_sub(rest, 0, str_find_char(rest, '/'));
        if (str_find_char(first, ':') != STR_NOT_FOUND)
            return error_set(err, ERR_INVALID, "first path segment in URL cannot contain colon");
    }
    return check_escapes(rest, err);
}
