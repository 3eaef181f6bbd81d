// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "base/number.h"
#include "exporter/node/node_collectors.h"
#include "exporter/node/node_fields.h"
#include "exporter/node/node_filter.h"

#define TABLES_MAX 64 // protocols in a file

// A line of names ("Tcp: RtoAlgorithm RtoMin ...") as last seen, and the families of its columns.
typedef struct Table {
    char *names;
    size_t names_bytes;
    NodeFamily **columns; // NULL where not exposed
    size_t column_count;
} Table;

typedef struct Netstat {
    NodeFile netstat; // lines in pairs, names then values
    NodeFile snmp;    // the same
    NodeFile snmp6;   // a line "Ip6InReceives 7" each
    Table netstat_tables[TABLES_MAX];
    Table snmp_tables[TABLES_MAX];
    NodeFields snmp6_fields;
    NodeFilter filter;
} Netstat;

static bool netstat_open(void *state, NodeScrape *scrape, Error *err)
{
    Netstat *self = state;
    node_file_init(&self->netstat, scrape->options->path_procfs, "net/netstat");
    node_file_init(&self->snmp, scrape->options->path_procfs, "net/snmp");
    node_file_init(&self->snmp6, scrape->options->path_procfs, "net/snmp6");
    return node_filter_init(&self->filter, "collector.netstat.fields",
                            scrape->options->netstat_fields, "", STR_NONE, err);
}

// NULL if the field is not wanted.
static NodeFamily *netstat_family(Netstat *self, NodeSink *sink, Str protocol, Str field)
{
    CLEANUP(buf_deinit) Buf key = {0};
    CLEANUP(buf_deinit) Buf name = {0};
    CLEANUP(buf_deinit) Buf help = {0};
    buf_printf(&key, STR_FMT "_" STR_FMT, STR_ARG(protocol), STR_ARG(field));
    if (!node_filter_takes(&self->filter, buf_str(&key)))
        return NULL;
    buf_printf(&name, "node_netstat_" STR_FMT, STR_ARG(buf_str(&key)));
    buf_printf(&help, "Statistic " STR_FMT STR_FMT ".", STR_ARG(protocol), STR_ARG(field));
    return node_sink_family(sink, buf_str(&name), NODE_UNTYPED, buf_str(&help));
}

static void table_set(Netstat *self, Table *table, NodeSink *sink, Str names)
{
    free(table->names);
    free(table->columns);
    table->names = x_malloc(names.len + 1);
    table->names_bytes = names.len;
    memcpy(table->names, names.ptr, names.len);
    table->names[names.len] = 0;
    table->columns = X_ARRAY(NodeFamily *, names.len / 2 + 1);
    table->column_count = 0;

    Str protocol = scan_word(&names);
    protocol.len -= protocol.len > 0;
    for (Str field; (field = scan_word(&names)).len;)
        table->columns[table->column_count++] = netstat_family(self, sink, protocol, field);
}

static bool write_values(const Table *table, Str values, const char *path, Error *err)
{
    (void)scan_word(&values); // the protocol again
    for (size_t i = 0; i < table->column_count; i++) {
        Str word = scan_word(&values);
        int64_t value;
        uint64_t large;
        if (!table->columns[i])
            continue;
        double v;
        if (number_parse_i64(word, &value))
            v = (double)value;
        else if (number_parse_u64(word, &large))
            v = (double)large;
        else
            return error_set(err, ERR_CORRUPT, "%s: value %zu below \"%.40s\" is not a number",
                             path, i + 1, table->names);
        node_sample(table->columns[i], NODE_NO_LABELS, v);
    }
    return true;
}

static bool write_tables(Netstat *self, NodeFile *file, Table *tables, NodeScrape *scrape,
                         Error *err)
{
    Str text;
    Str names;
    Str values;
    if (!node_file_read(file, &scrape->text, &text, err))
        return false;
    for (size_t i = 0; i < TABLES_MAX && scan_line(&text, &names); i++) {
        size_t protocol = str_find_char(names, ':');
        if (!scan_line(&text, &values) || protocol == STR_NOT_FOUND ||
            !str_starts_with(values, str_sub(names, 0, protocol + 1)))
            return error_set(err, ERR_CORRUPT,
                             "%s: line %zu: a line of names without its line of values", file->path,
                             2 * i + 1);
        Table *table = &tables[i];
        if (!table->names || !str_equal(names, str_make(table->names, table->names_bytes)))
            table_set(self, table, scrape->sink, names);
        if (!write_values(table, values, file->path, err))
            return false;
    }
    return true;
}

// "Ip6InReceives 7": the protocol ends with the digit, as in Icmp6InMsgs and UdpLite6InErrors.
static bool write_snmp6(Netstat *self, NodeScrape *scrape, Error *err)
{
    Str text;
    Str line;
    Error why = {0};
    if (!node_file_read(&self->snmp6, &scrape->text, &text, &why)) {
        if (why.code == ERR_NOT_FOUND) // IPv6 is off
            return true;
        *err = why;
        return false;
    }
    for (size_t position = 0; scan_line(&text, &line); position++) {
        Str name = scan_word(&line);
        bool is_new;
        NodeField *field = node_fields_at(&self->snmp6_fields, position, name, &is_new);
        if (!field)
            return true;
        size_t six = str_find_char(name, '6');
        if (is_new && six != STR_NOT_FOUND)
            field->family = netstat_family(self, scrape->sink, str_sub(name, 0, six + 1),
                                           str_skip(name, six + 1));
        if (!field->family)
            continue;
        uint64_t value;
        if (!scan_u64(&line, &value))
            return error_set(err, ERR_CORRUPT, "%s:%zu: not a number", self->snmp6.path,
                             position + 1);
        node_sample(field->family, NODE_NO_LABELS, (double)value);
    }
    return true;
}

static bool netstat_write(void *state, NodeScrape *scrape, Error *err)
{
    Netstat *self = state;
    return write_tables(self, &self->netstat, self->netstat_tables, scrape, err) &&
           write_tables(self, &self->snmp, self->snmp_tables, scrape, err) &&
           write_snmp6(self, scrape, err);
}

static void netstat_close(void *state)
{
    Netstat *self = state;
    node_file_deinit(&self->netstat);
    node_file_deinit(&self->snmp);
    node_file_deinit(&self->snmp6);
    for (size_t i = 0; i < TABLES_MAX; i++) {
        free(self->netstat_tables[i].names);
        free(self->netstat_tables[i].columns);
        free(self->snmp_tables[i].names);
        free(self->snmp_tables[i].columns);
    }
    node_fields_deinit(&self->snmp6_fields);
    node_filter_deinit(&self->filter);
}

const NodeCollector node_netstat = {"netstat",    true,          sizeof(Netstat),
                                    netstat_open, netstat_write, netstat_close};
