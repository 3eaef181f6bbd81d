// SPDX-License-Identifier: Apache-2.0
// Answers of DNS servers, the first byte chooses the type that is asked for, and files as /etc/resolv.conf. Records are of that type, and
// of a host nothing has to be escaped any more.
#include "discovery/discovery_dns.h"

static void check_records(Str message, int type, Arena *arena)
{
    DnsRecord *records;
    size_t count;
    Error err;
    if (!dns_records_read(message, type, arena, &records, &count, &err))
        return;
    for (size_t i = 0; i < count; i++) {
        ASSERT(records[i].type == type);
        ASSERT(records[i].port >= 0 && records[i].port <= UINT16_MAX);
        for (size_t k = 0; k < records[i].host.len; k++)
            ASSERT(records[i].host.ptr[k] > ' ' && records[i].host.ptr[k] < 0x7f);
    }
}

static void check_search(Str text, Arena *arena)
{
    static const Str names[] = {STR(""), STR("a"), STR("a.b"), STR("a.b.")};
    DnsSearch search = {0};
    dns_search_read(&search, text, arena);
    ASSERT(search.servers.len == 0 || search.servers.ptr[search.servers.len] == 0);
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        size_t forms = dns_search_count(&search, names[i]);
        ASSERT(forms >= 1 && forms <= search.count + 1);
        for (size_t k = 0; k < forms; k++) {
            Str form = dns_search_name(&search, names[i], k, arena);
            ASSERT(form.ptr[form.len] == 0);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int types[] = {DNS_A, DNS_NS, DNS_CNAME, DNS_MX, DNS_AAAA, DNS_SRV};
    CLEANUP(arena_deinit) Arena arena = {0};
    if (size == 0)
        return 0;
    Str rest = {(const char *)data + 1, size - 1};
    check_records(rest, types[data[0] % COUNT_OF(types)], &arena);
    check_search(rest, &arena);
    return 0;
}
