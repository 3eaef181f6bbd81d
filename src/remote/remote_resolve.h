// SPDX-License-Identifier: Apache-2.0
// remote_resolve.h: the addresses of an endpoint in turn, for round_robin_dns. Private to the room. Thread: a queue's own, which may wait
// for the lookup.
#pragma once

#include "base/arena.h"

#define REMOTE_ADDRESSES_MAX 64

typedef struct RemoteResolver {
    char *host;                               // NULL: nothing is to be looked up
    char addresses[REMOTE_ADDRESSES_MAX][64]; // IPv6 in brackets
    size_t count, next;
    int64_t looked_up_ns; // 0: never
} RemoteResolver;

// The host of the URL; strings live in the arena.
void remote_resolver_init(RemoteResolver *resolver, Str url, Arena *arena);
// The next address; empty if there is none (then whoever connects tells what is wrong). Looked up again every few seconds.
Str remote_resolver_next(RemoteResolver *resolver);
