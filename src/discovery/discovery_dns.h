// SPDX-License-Identifier: Apache-2.0
// discovery_dns.h: the parts of DNS discovery that need no network: records of an answer, search domains of resolv.conf.
#pragma once

#include "base/arena.h"
#include "base/error.h"

enum { DNS_A = 1, DNS_NS = 2, DNS_CNAME = 5, DNS_MX = 15, DNS_AAAA = 28, DNS_SRV = 33 };

typedef struct DnsRecord {
    int type;
    int port; // SRV
    Str host; // a name without the last dot, or an address
} DnsRecord;

// The records of that type in the answer section of a message (RFC 1035 4.1), in its order; others are passed over.
bool dns_records_read(Str message, int type, Arena *arena, DnsRecord **ret_records,
                      size_t *ret_count, Error *err) MUST_CHECK;

// What resolv.conf says of servers, and of names that are not absolute.
typedef struct DnsSearch {
    Str *domains;
    size_t count;
    size_t ndots;
    Str servers; // "1.2.3.4,[::1]:53": as they stand there, with a NUL behind them
} DnsSearch;

void dns_search_read(DnsSearch *search, Str resolv_conf, Arena *arena);
// In how many forms a name is tried, and the form `index` (with a NUL behind it).
size_t dns_search_count(const DnsSearch *search, Str name);
Str dns_search_name(const DnsSearch *search, Str name, size_t index, Arena *arena);
