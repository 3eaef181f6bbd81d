// SPDX-License-Identifier: Apache-2.0
#include "remote/remote_resolve.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>

#include "base/clock.h"

#define FRESH_NS (INT64_C(5) * 1000000000)

void remote_resolver_init(RemoteResolver *resolver, Str url, Arena *arena)
{
    *resolver = (RemoteResolver){0};
    size_t scheme = str_find(url, S("://"));
    Str rest = scheme == STR_NOT_FOUND ? url : str_skip(url, scheme + 3);
    size_t end = 0;
    while (end < rest.len && !strchr("/?#", rest.ptr[end]))
        end++;
    rest = str_sub(rest, 0, end);
    size_t at = str_rfind_char(rest, '@');
    if (at != STR_NOT_FOUND)
        rest = str_skip(rest, at + 1);
    size_t colon = str_rfind_char(rest, ':');
    // An address in brackets needs no lookup, nor has it another colon that counts.
    if (rest.len == 0 || rest.ptr[0] == '[')
        return;
    resolver->host = str_to_c(arena, str_sub(rest, 0, colon));
}

static void add_address(RemoteResolver *resolver, const struct addrinfo *info)
{
    char *text = resolver->addresses[resolver->count];
    char digits[INET6_ADDRSTRLEN];
    if (info->ai_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)info->ai_addr;
        if (inet_ntop(AF_INET, &in->sin_addr, digits, sizeof digits))
            snprintf(text, sizeof resolver->addresses[0], "%s", digits);
    } else {
        const struct sockaddr_in6 *in = (const void *)info->ai_addr;
        if (inet_ntop(AF_INET6, &in->sin6_addr, digits, sizeof digits))
            snprintf(text, sizeof resolver->addresses[0], "[%s]", digits);
    }
    resolver->count++;
}

// A lookup that fails leaves the addresses of the one before.
static void look_up(RemoteResolver *resolver)
{
    struct addrinfo *list = NULL;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    if (getaddrinfo(resolver->host, NULL, &hints, &list) != 0)
        return;
    resolver->count = 0;
    for (const struct addrinfo *info = list; info && resolver->count < REMOTE_ADDRESSES_MAX;
         info = info->ai_next)
        if (info->ai_family == AF_INET || info->ai_family == AF_INET6)
            add_address(resolver, info);
    freeaddrinfo(list);
}

Str remote_resolver_next(RemoteResolver *resolver)
{
    int64_t now_ns = clock_mono_ns(&clock_system);
    if (!resolver->host)
        return STR_NONE;
    if (resolver->looked_up_ns == 0 || now_ns - resolver->looked_up_ns > FRESH_NS) {
        look_up(resolver);
        resolver->looked_up_ns = now_ns;
    }
    if (resolver->count == 0)
        return STR_NONE;
    return str_from_c(resolver->addresses[resolver->next++ % resolver->count]);
}
