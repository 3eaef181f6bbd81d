// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>

#include "base/number.h"
#include "discovery/discovery_dns.h"

#define HEADER_BYTES 12
#define NDOTS_MAX 15
#define DOMAINS_MAX 256
#define NAME_BYTES_MAX 255
#define JUMPS_MAX 128

typedef struct DnsReader {
    Str message;
    size_t at;
    Error *err;
} DnsReader;

static bool fail(DnsReader *reader)
{
    return error_set(reader->err, ERR_INVALID, "malformed DNS answer at byte %zu", reader->at);
}

static unsigned byte_at(const DnsReader *reader, size_t at)
{
    return (unsigned char)reader->message.ptr[at];
}

static bool read_u16(DnsReader *reader, unsigned *ret_value)
{
    if (reader->message.len < 2 || reader->at > reader->message.len - 2)
        return fail(reader);
    *ret_value = byte_at(reader, reader->at) << 8 | byte_at(reader, reader->at + 1);
    reader->at += 2;
    return true;
}

static bool skip(DnsReader *reader, size_t bytes)
{
    if (bytes > reader->message.len - reader->at)
        return fail(reader);
    reader->at += bytes;
    return true;
}

// As it stands in zone files: dots and backslashes inside a label, and what is not printable, are escaped.
static void add_label(Buf *out, const DnsReader *reader, size_t at, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        unsigned c = byte_at(reader, at + i);
        if (c == '.' || c == '\\' || c == '"' || c == '(' || c == ')' || c == ';' || c == '@')
            buf_printf(out, "\\%c", (char)c);
        else if (c <= ' ' || c > '~')
            buf_printf(out, "\\%03u", c);
        else
            buf_add_char(out, (char)c);
    }
}

// RFC 1035 4.1.4: labels, and pointers to earlier ones. `out` may be NULL.
static bool read_name(DnsReader *reader, Buf *out)
{
    size_t at = reader->at;
    size_t end = 0; // of the name in place, once a pointer was followed
    size_t bytes = 0;
    for (int jumps = 0;;) {
        if (at >= reader->message.len)
            return fail(reader);
        unsigned length = byte_at(reader, at);
        if ((length & 0xc0) == 0xc0) {
            if (at + 1 >= reader->message.len || ++jumps > JUMPS_MAX)
                return fail(reader);
            end = end ? end : at + 2;
            at = (length & 0x3f) << 8 | byte_at(reader, at + 1);
            continue;
        }
        if (length & 0xc0 || at + 1 + length > reader->message.len)
            return fail(reader);
        at += 1 + length;
        if (length == 0)
            break;
        bytes += 1 + length;
        if (bytes > NAME_BYTES_MAX)
            return fail(reader);
        if (out && out->len)
            buf_add_char(out, '.');
        if (out)
            add_label(out, reader, at - length, length);
    }
    reader->at = end ? end : at;
    return true;
}

static bool read_host(DnsReader *reader, Arena *arena, Str *ret_host)
{
    CLEANUP(buf_deinit) Buf name = {0};
    if (!read_name(reader, &name))
        return false;
    *ret_host = arena_str(arena, buf_str(&name));
    return true;
}

static bool read_address(DnsReader *reader, int family, size_t bytes, Arena *arena, Str *ret_host)
{
    char text[INET6_ADDRSTRLEN];
    size_t at = reader->at;
    if (!skip(reader, bytes))
        return false;
    if (!inet_ntop(family, reader->message.ptr + at, text, sizeof text))
        return fail(reader);
    *ret_host = arena_str(arena, str_from_c(text));
    return true;
}

static bool read_data(DnsReader *reader, int type, Arena *arena, DnsRecord *record)
{
    unsigned number;
    record->type = type;
    switch (type) {
    case DNS_A:
        return read_address(reader, AF_INET, 4, arena, &record->host);
    case DNS_AAAA:
        return read_address(reader, AF_INET6, 16, arena, &record->host);
    case DNS_MX:
        return read_u16(reader, &number) && read_host(reader, arena, &record->host);
    case DNS_NS:
        return read_host(reader, arena, &record->host);
    default: // SRV: priority, weight, port, target
        if (!skip(reader, 4) || !read_u16(reader, &number))
            return false;
        record->port = (int)number;
        return read_host(reader, arena, &record->host);
    }
}

// One record; *ret_matches if it was of the type asked for.
static bool read_record(DnsReader *reader, int type, Arena *arena, DnsRecord *record,
                        bool *ret_matches)
{
    unsigned has_type;
    unsigned class;
    unsigned bytes;
    if (!read_name(reader, NULL) || !read_u16(reader, &has_type) || !read_u16(reader, &class) ||
        !skip(reader, 4) || !read_u16(reader, &bytes))
        return false;
    size_t end = reader->at + bytes;
    if (end > reader->message.len)
        return fail(reader);
    *ret_matches = (int)has_type == type && class == 1;
    if (*ret_matches && !read_data(reader, type, arena, record))
        return false;
    if (*ret_matches && reader->at != end)
        return fail(reader);
    reader->at = end;
    return true;
}

bool dns_records_read(Str message, int type, Arena *arena, DnsRecord **ret_records,
                      size_t *ret_count, Error *err)
{
    DnsReader reader = {.message = message, .at = 4, .err = err};
    unsigned questions;
    unsigned answers;
    if (!read_u16(&reader, &questions) || !read_u16(&reader, &answers))
        return false;
    if (message.len < HEADER_BYTES)
        return fail(&reader);
    reader.at = HEADER_BYTES;
    for (unsigned i = 0; i < questions; i++)
        if (!read_name(&reader, NULL) || !skip(&reader, 4))
            return false;
    DnsRecord *records = ARENA_ARRAY(arena, DnsRecord, answers);
    size_t count = 0;
    for (unsigned i = 0; i < answers; i++) {
        bool matches;
        records[count] = (DnsRecord){0};
        if (!read_record(&reader, type, arena, &records[count], &matches))
            return false;
        count += matches;
    }
    *ret_records = records;
    *ret_count = count;
    return true;
}

// ---- resolv.conf ----

static bool next_word(Str *line, Str *ret_word)
{
    *line = str_trim(*line);
    size_t end = 0;
    while (end < line->len && line->ptr[end] != ' ' && line->ptr[end] != '\t')
        end++;
    *ret_word = str_sub(*line, 0, end);
    *line = str_skip(*line, end);
    return ret_word->len > 0;
}

static void read_domains(DnsSearch *search, Str line, size_t count_max, Arena *arena)
{
    search->domains = ARENA_ARRAY(arena, Str, DOMAINS_MAX);
    search->count = 0;
    for (Str word; search->count < count_max && next_word(&line, &word);)
        search->domains[search->count++] = word;
}

static void read_options(DnsSearch *search, Str line)
{
    for (Str word; next_word(&line, &word);) {
        uint64_t number;
        if (str_starts_with(word, S("ndots:")) &&
            number_parse_u64(str_skip(word, strlen("ndots:")), &number))
            search->ndots = MIN(number, NDOTS_MAX);
    }
}

void dns_search_read(DnsSearch *search, Str resolv_conf, Arena *arena)
{
    *search = (DnsSearch){.ndots = 1};
    for (Str line; str_split_next(&resolv_conf, '\n', &line);) {
        Str key;
        if (!next_word(&line, &key) || key.ptr[0] == '#' || key.ptr[0] == ';')
            continue;
        Str server;
        if (str_is(key, "nameserver") && next_word(&line, &server))
            search->servers = arena_printf(arena, STR_FMT "%s" STR_FMT, STR_ARG(search->servers),
                                           search->servers.len ? "," : "", STR_ARG(server));
        else if (str_is(key, "domain"))
            read_domains(search, line, 1, arena);
        else if (str_is(key, "search"))
            read_domains(search, line, DOMAINS_MAX, arena);
        else if (str_is(key, "options"))
            read_options(search, line);
    }
}

static bool is_absolute(Str name)
{
    return str_ends_with(name, S("."));
}

size_t dns_search_count(const DnsSearch *search, Str name)
{
    return is_absolute(name) ? 1 : search->count + 1;
}

// The name as it is comes first if it has at least ndots dots, else last.
Str dns_search_name(const DnsSearch *search, Str name, size_t index, Arena *arena)
{
    size_t dots = 0;
    for (size_t i = 0; i < name.len; i++)
        dots += name.ptr[i] == '.';
    bool itself_first = is_absolute(name) || dots >= search->ndots;
    if (index == (itself_first ? 0 : search->count))
        return arena_str(arena, name);
    Str domain = search->domains[itself_first ? index - 1 : index];
    return arena_printf(arena, STR_FMT "." STR_FMT, STR_ARG(name), STR_ARG(domain));
}
