// SPDX-License-Identifier: Apache-2.0
#include "net/http_proxy.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include "base/number.h"
#include "net/url.h"

#define ADDRESS_BYTES 16
#define IPV4_BITS 96 // in front of an IPv4 address in its IPv6 form

// The IPv6 form of both kinds. False: it is a name.
static bool parse_address(Str text, uint8_t ret_bytes[ADDRESS_BYTES], bool *ret_is_v4)
{
    char copy[INET6_ADDRSTRLEN];
    static const uint8_t mapped[ADDRESS_BYTES] = {[10] = 0xff, [11] = 0xff};
    if (text.len >= 2 && text.ptr[0] == '[' && text.ptr[text.len - 1] == ']')
        text = str_sub(text, 1, text.len - 2);
    if (text.len == 0 || text.len >= sizeof copy)
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = 0;
    memcpy(ret_bytes, mapped, sizeof mapped);
    *ret_is_v4 = inet_pton(AF_INET, copy, ret_bytes + IPV4_BITS / 8) == 1;
    return *ret_is_v4 || inet_pton(AF_INET6, copy, ret_bytes) == 1;
}

static bool same_bits(const uint8_t *a, const uint8_t *b, uint64_t bits)
{
    size_t bytes = bits / 8;
    uint8_t mask = (uint8_t)(0xff00u >> (bits % 8));
    return memcmp(a, b, bytes) == 0 && (bits % 8 == 0 || ((a[bytes] ^ b[bytes]) & mask) == 0);
}

// "10.0.0.0/8"
static bool network_has(Str network, const uint8_t *address)
{
    size_t slash = str_find_char(network, '/');
    uint8_t bytes[ADDRESS_BYTES];
    bool is_v4;
    uint64_t bits;
    if (!parse_address(str_sub(network, 0, slash), bytes, &is_v4) ||
        !number_parse_u64(str_skip(network, slash + 1), &bits) || bits > (is_v4 ? 32u : 128u))
        return false;
    return same_bits(bytes, address, bits + (is_v4 ? IPV4_BITS : 0));
}

static bool equal_nocase_end(Str text, Str end)
{
    return text.len >= end.len && str_equal_nocase(str_skip(text, text.len - end.len), end);
}

// "x.y" is the name itself and what lies below; ".x.y" and "*.x.y" only what lies below.
static bool name_matches(Str entry, Str host)
{
    if (str_starts_with(entry, S("*.")))
        entry = str_skip(entry, 1);
    bool below_alone = entry.ptr[0] == '.';
    if (below_alone)
        return equal_nocase_end(host, entry);
    return str_equal_nocase(host, entry) ||
           (host.len > entry.len && host.ptr[host.len - entry.len - 1] == '.' &&
            equal_nocase_end(host, entry));
}

static bool entry_matches(Str entry, Str host, Str port, const uint8_t *address)
{
    Str name = entry, own_port = STR_NONE;
    uint8_t bytes[ADDRESS_BYTES];
    bool is_v4;
    Error no_port;
    if (str_is(entry, "*"))
        return true;
    if (str_find_char(entry, '/') != STR_NOT_FOUND)
        return address && network_has(entry, address);
    if (!parse_address(entry, bytes, &is_v4) &&
        !url_split_host_port(entry, &name, &own_port, &no_port)) {
        name = entry;
        own_port = STR_NONE;
    }
    if (name.len == 0 || (own_port.len && !str_equal(own_port, port)))
        return false;
    if (parse_address(name, bytes, &is_v4))
        return address && memcmp(bytes, address, sizeof bytes) == 0;
    return name_matches(name, host);
}

bool http_proxy_lists(Str no_proxy, Str host, Str port)
{
    uint8_t address[ADDRESS_BYTES];
    bool is_v4;
    bool is_address = parse_address(host, address, &is_v4);
    Str entry;
    while (str_split_next(&no_proxy, ',', &entry)) {
        entry = str_trim(entry);
        if (entry.len && entry_matches(entry, host, port, is_address ? address : NULL))
            return true;
    }
    return false;
}

static bool is_own_machine(Str host)
{
    uint8_t address[ADDRESS_BYTES];
    static const uint8_t v6[ADDRESS_BYTES] = {[15] = 1};
    bool is_v4;
    if (str_equal_nocase(host, S("localhost")))
        return true;
    return parse_address(host, address, &is_v4) &&
           (is_v4 ? address[IPV4_BITS / 8] == 127 : memcmp(address, v6, sizeof v6) == 0);
}

static const char *environment(const char *capital, const char *small)
{
    const char *value = getenv(capital);
    if (!value || !*value)
        value = getenv(small);
    return value && *value ? value : NULL;
}

static const char *kept(const char *text, Arena *arena)
{
    return text ? str_to_c(arena, str_from_c(text)) : NULL;
}

HttpProxies http_proxy_of(const HttpProxyConfig *config, Arena *arena)
{
    HttpProxies proxies = {.no_proxy = config->no_proxy,
                           .skips_own_machine = config->no_proxy.len > 0};
    if (config->proxy_from_environment) {
        proxies.http = kept(environment("HTTP_PROXY", "http_proxy"), arena);
        proxies.https = kept(environment("HTTPS_PROXY", "https_proxy"), arena);
        const char *no_proxy = environment("NO_PROXY", "no_proxy");
        proxies.no_proxy = no_proxy ? arena_str(arena, str_from_c(no_proxy)) : STR_NONE;
        proxies.skips_own_machine = true;
    } else if (config->proxy_url.len) {
        proxies.http = proxies.https = str_to_c(arena, config->proxy_url);
    }
    return proxies;
}

const char *http_proxy_for(const HttpProxies *proxies, bool is_tls, Str host, Str port)
{
    const char *proxy = is_tls ? proxies->https : proxies->http;
    if (!proxy || (proxies->skips_own_machine && is_own_machine(host)) ||
        http_proxy_lists(proxies->no_proxy, host, port))
        return NULL;
    return proxy;
}
