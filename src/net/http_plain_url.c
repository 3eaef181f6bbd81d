// SPDX-License-Identifier: Apache-2.0
#include "net/http_plain_url.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>

#define LOCALHOST "localhost"

// Bytes that libcurl would change or refuse, and dot segments, are left to it.
static bool target_is_simple(Str target)
{
    for (size_t i = 0; i < target.len; i++)
        if (target.ptr[i] <= ' ' || target.ptr[i] > '~' || target.ptr[i] == '#')
            return false;
    return str_find(target, S("/.")) == STR_NOT_FOUND;
}

static bool port_of(Str text, uint16_t *ret_port)
{
    unsigned port = 0;
    if (text.len == 0 || text.len > 5)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (!isdigit((unsigned char)text.ptr[i]))
            return false;
        port = port * 10 + (unsigned)(text.ptr[i] - '0');
    }
    *ret_port = (uint16_t)port;
    return port >= 1 && port <= 65535;
}

static bool fill_address(const char *host, bool is_v6, uint16_t port,
                         struct sockaddr_storage *ret_address, socklen_t *ret_bytes)
{
    memset(ret_address, 0, sizeof *ret_address);
    if (is_v6) {
        struct sockaddr_in6 *to = (struct sockaddr_in6 *)ret_address;
        to->sin6_family = AF_INET6;
        to->sin6_port = htons(port);
        *ret_bytes = sizeof *to;
        return inet_pton(AF_INET6, host, &to->sin6_addr) == 1;
    }
    struct sockaddr_in *to = (struct sockaddr_in *)ret_address;
    to->sin_family = AF_INET;
    to->sin_port = htons(port);
    *ret_bytes = sizeof *to;
    return inet_pton(AF_INET, host, &to->sin_addr) == 1;
}

bool http_plain_url_address(Str authority, size_t index, struct sockaddr_storage *ret_address,
                            socklen_t *ret_bytes)
{
    // RFC 6761 6.3: nobody is asked for it. In libcurl's order.
    static const char *const localhost[] = {"::1", "127.0.0.1"};
    char host[HTTP_PLAIN_AUTHORITY_BYTES_MAX];
    bool is_v6 = authority.len && authority.ptr[0] == '[';
    size_t end = is_v6 ? str_find_char(authority, ']') : str_find_char(authority, ':');
    if (is_v6 && end == STR_NOT_FOUND)
        return false;
    Str name = is_v6 ? str_sub(authority, 1, end - 1) : str_sub(authority, 0, end);
    Str rest = str_skip(authority, is_v6 ? end + 1 : MIN(end, authority.len));
    uint16_t port = 80;
    if (rest.len && (rest.ptr[0] != ':' || !port_of(str_skip(rest, 1), &port)))
        return false;
    if (!is_v6 && str_is(name, LOCALHOST))
        return index < COUNT_OF(localhost) &&
               fill_address(localhost[index], index == 0, port, ret_address, ret_bytes);
    if (index > 0 || name.len == 0 || name.len >= sizeof host)
        return false;
    memcpy(host, name.ptr, name.len);
    host[name.len] = '\0';
    return fill_address(host, is_v6, port, ret_address, ret_bytes);
}

bool http_plain_url_read(Str url, HttpPlainUrl *ret_url)
{
    if (!str_starts_with(url, S("http://")))
        return false;
    Str rest = str_skip(url, strlen("http://"));
    size_t end = 0;
    while (end < rest.len && rest.ptr[end] != '/' && rest.ptr[end] != '?' && rest.ptr[end] != '#')
        end++;
    Str authority = str_sub(rest, 0, end);
    Str target = str_skip(rest, end);
    // A first look that costs nothing: an address begins with a digit or a bracket.
    if (authority.len == 0 || authority.len >= HTTP_PLAIN_AUTHORITY_BYTES_MAX ||
        !(isdigit((unsigned char)authority.ptr[0]) || authority.ptr[0] == '[' ||
          str_starts_with(authority, S(LOCALHOST))))
        return false;
    struct sockaddr_storage address;
    socklen_t bytes;
    if (!http_plain_url_address(authority, 0, &address, &bytes) || !target_is_simple(target) ||
        (target.len && target.ptr[0] != '/'))
        return false;
    *ret_url = (HttpPlainUrl){authority, target};
    return true;
}
