// SPDX-License-Identifier: Apache-2.0
// What needs no network; the rest is held against a real server in tests/e2e/test_discovery.py.
#include "discovery/discovery_dns.h"

#include "discovery/discovery_rig.h"

#define HEADER(answers) "\x12\x34\x81\x80\x00\x01\x00" answers "\x00\x00\x00\x00"
#define QUESTION                                                                                   \
    "\x01"                                                                                         \
    "x"                                                                                            \
    "\x02"                                                                                         \
    "ex"                                                                                           \
    "\x00\x00\x21\x00\x01"
#define RECORD(type, bytes) "\xc0\x0c\x00" type "\x00\x01\x00\x00\x00\x3c\x00" bytes

static void print_records(Buf *out, const DnsRecord *records, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buf_printf(out, "%d:" STR_FMT ":%d ", records[i].type, STR_ARG(records[i].host),
                   records[i].port);
}

TEST(dns, records_are_read)
{
    static const struct {
        const char *name;
        int type;
        Str message;
        const char *want;
    } cases[] = {
        {"SRV, with a pointer into the question", DNS_SRV,
         STR(HEADER("\x01") QUESTION RECORD("\x21", "\x0a") "\x00\x01\x00\x02\x1f\x90\x01"
                                                            "a\xc0\x0e"),
         "33:a.ex:8080 "},
        {"A behind a CNAME", DNS_A,
         STR(HEADER("\x02") QUESTION RECORD("\x05", "\x02") "\xc0\x0e" RECORD(
             "\x01", "\x04") "\x0a\x00\x00\x01"),
         "1:10.0.0.1:0 "},
        {"AAAA", DNS_AAAA,
         STR(HEADER("\x01")
                 QUESTION RECORD("\x1c", "\x10") "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"),
         "28:2001:db8::1:0 "},
        {"MX", DNS_MX, STR(HEADER("\x01") QUESTION RECORD("\x0f", "\x08") "\x00\x0a\x04mail\x00"),
         "15:mail:0 "},
        {"NS of the root, and what is odd is escaped", DNS_NS,
         STR(HEADER("\x02") QUESTION RECORD("\x02", "\x01") "\x00" RECORD("\x02", "\x05") "\x03"
                                                                                          ". \xff"
                                                                                          "\x00"),
         "2::0 2:\\.\\032\\255:0 "},
    };

    EACH_CASE(c, cases) {
        CLEANUP(arena_deinit) Arena arena = {0};
        CLEANUP(buf_deinit) Buf got = {0};
        DnsRecord *records;
        size_t count;
        Error err = {0};

        CHECK_OK(dns_records_read(c->message, c->type, &arena, &records, &count, &err), err);

        print_records(&got, records, count);
        CHECK_STR(buf_str(&got), str_from_c(c->want));
    }
}

TEST(dns, broken_messages_are_refused)
{
    static const struct {
        const char *name;
        Str message;
    } cases[] = {
        {"nothing", STR("")},
        {"header only", STR(HEADER("\x01"))},
        {"a pointer to itself",
         STR("\x12\x34\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00\xc0\x0c\x00\x21\x00\x01")},
        {"a record that is too long", STR(HEADER("\x01") QUESTION RECORD("\x21", "\xff") "\x00")},
        {"a record that is too short",
         STR(HEADER("\x01") QUESTION RECORD("\x21", "\x02") "\x00\x01")},
        {"a label that is no label", STR(HEADER("\x01") "\x80\x00\x00\x21\x00\x01")},
    };

    EACH_CASE(c, cases) {
        CLEANUP(arena_deinit) Arena arena = {0};
        DnsRecord *records;
        size_t count;
        Error err = {0};

        CHECK(!dns_records_read(c->message, DNS_SRV, &arena, &records, &count, &err));

        CHECK_HAS(err.text, "malformed DNS answer");
    }
}

TEST(dns, search_domains_are_tried_in_the_resolvers_order)
{
    static const struct {
        const char *name;
        Str conf;
        Str asked;
        const char *want;
    } cases[] = {
        {"without any", STR("nameserver 1.1.1.1\n"), STR("a"), "a "},
        {"few dots: domains first", STR("search x.y  z\noptions timeout:1 ndots:2\n"), STR("a.b"),
         "a.b.x.y a.b.z a.b "},
        {"enough dots: itself first", STR("search x\n"), STR("a.b"), "a.b a.b.x "},
        {"absolute", STR("search x\n"), STR("a."), "a. "},
        {"the last line counts", STR("search x\n# search z\ndomain y w\n"), STR("a"), "a.y a "},
    };

    EACH_CASE(c, cases) {
        CLEANUP(arena_deinit) Arena arena = {0};
        CLEANUP(buf_deinit) Buf got = {0};
        DnsSearch search;

        dns_search_read(&search, c->conf, &arena);

        for (size_t i = 0; i < dns_search_count(&search, c->asked); i++)
            buf_printf(&got, STR_FMT " ", STR_ARG(dns_search_name(&search, c->asked, i, &arena)));
        CHECK_STR(buf_str(&got), str_from_c(c->want));
    }
}

TEST(dns, bad_blocks_are_refused)
{
    static const RigBad cases[] = {
        {"no names", "dns_sd_configs: [{names: []}]",
         "c.yml:1:18: DNS-SD config must contain at least one SRV record name"},
        {"no port", "dns_sd_configs: [{names: [a], type: a}]",
         "a port is required in DNS-SD configs for all record types except SRV"},
        {"type", "dns_sd_configs: [{names: [a], type: TXT}]", "invalid DNS-SD records type TXT"},
    };

    EACH_CASE(c, cases)
        rig_check_bad(c);
}

TEST_MAIN(dns, TEST_ROW(dns, records_are_read), TEST_ROW(dns, broken_messages_are_refused),
          TEST_ROW(dns, search_domains_are_tried_in_the_resolvers_order),
          TEST_ROW(dns, bad_blocks_are_refused))
