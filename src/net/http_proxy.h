// SPDX-License-Identifier: Apache-2.0
// http_proxy.h: which proxy a request goes through, by the rules of Go's golang.org/x/net/http/httpproxy: libcurl's are others
// (HTTP_PROXY in capitals, ports in no_proxy, the own machine).
//
// Private to the room.
#pragma once

#include "net/http_client.h"

typedef struct HttpProxies {
    const char *http, *https; // by the scheme of the request; NULL: none
    Str no_proxy;
    bool skips_own_machine;
} HttpProxies;

// Of a configuration; what the environment says is read once. In the arena.
HttpProxies http_proxy_of(const HttpProxyConfig *config, Arena *arena);
// NULL: none. The host comes without brackets.
const char *http_proxy_for(const HttpProxies *proxies, bool is_tls, Str host, Str port);

// For tests: whether a list of names, addresses and networks, each with a port or without, has this one.
bool http_proxy_lists(Str no_proxy, Str host, Str port);
