// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include "exporter/node/node_collectors.h"
#include "exporter/node/node_fields.h"

typedef struct Sockstat {
    NodeFile files[2]; // IPv4, IPv6
    NodeFields fields[2];
    double page_bytes;
} Sockstat;

static bool sockstat_open(void *state, NodeScrape *scrape, Error *err)
{
    (void)err;
    Sockstat *self = state;
    node_file_init(&self->files[0], scrape->options->path_procfs, "net/sockstat");
    node_file_init(&self->files[1], scrape->options->path_procfs, "net/sockstat6");
    self->page_bytes = (double)sysconf(_SC_PAGESIZE);
    return true;
}

static NodeFamily *sockstat_family(NodeSink *sink, Str protocol, Str key, const char *suffix)
{
    CLEANUP(buf_deinit) Buf name = {0};
    CLEANUP(buf_deinit) Buf help = {0};
    buf_printf(&name, "node_sockstat_" STR_FMT "_" STR_FMT "%s", STR_ARG(protocol), STR_ARG(key),
               suffix);
    if (str_is(protocol, "sockets"))
        buf_add_c(&help, "Number of IPv4 sockets in use.");
    else
        buf_printf(&help, "Number of " STR_FMT " sockets in state " STR_FMT "%s.",
                   STR_ARG(protocol), STR_ARG(key), suffix);
    return node_sink_family(sink, buf_str(&name), NODE_GAUGE, buf_str(&help));
}

// "TCP: inuse 7 orphan 0 tw 0 alloc 9 mem 2". The protocol is remembered like a field; where it is another one than last time, what
// was remembered behind it belongs to other lines and is forgotten.
static bool write_line(Sockstat *self, NodeFields *fields, size_t *position, Str line,
                       NodeSink *sink)
{
    bool is_new;
    Str protocol = scan_word(&line);
    if (protocol.len < 2 || protocol.ptr[protocol.len - 1] != ':')
        return false;
    if (!node_fields_at(fields, (*position)++, protocol, &is_new))
        return true;
    if (is_new)
        node_fields_cut(fields, *position);
    protocol.len--;
    for (;;) {
        Str key = scan_word(&line);
        uint64_t value;
        if (key.len == 0)
            return true;
        if (!scan_u64(&line, &value))
            return false;
        NodeField *field = node_fields_at(fields, (*position)++, key, &is_new);
        if (!field)
            return true;
        if (is_new) {
            field->family = sockstat_family(sink, protocol, key, "");
            field->second =
                str_is(key, "mem") ? sockstat_family(sink, protocol, key, "_bytes") : NULL;
        }
        node_sample(field->family, NODE_NO_LABELS, (double)value);
        if (field->second)
            node_sample(field->second, NODE_NO_LABELS, (double)value * self->page_bytes);
    }
}

static bool sockstat_write(void *state, NodeScrape *scrape, Error *err)
{
    Sockstat *self = state;
    for (size_t i = 0; i < COUNT_OF(self->files); i++) {
        Str text;
        Str line;
        Error why = {0};
        if (!node_file_read(&self->files[i], &scrape->text, &text, &why)) {
            // A machine may lack either protocol.
            if (why.code == ERR_NOT_FOUND)
                continue;
            *err = why;
            return false;
        }
        size_t position = 0;
        for (size_t number = 1; scan_line(&text, &line) && position < NODE_FIELDS_MAX; number++)
            if (!write_line(self, &self->fields[i], &position, line, scrape->sink))
                return error_set(err, ERR_CORRUPT, "%s:%zu: not a protocol with names and numbers",
                                 self->files[i].path, number);
    }
    return true;
}

static void sockstat_close(void *state)
{
    Sockstat *self = state;
    for (size_t i = 0; i < COUNT_OF(self->files); i++) {
        node_file_deinit(&self->files[i]);
        node_fields_deinit(&self->fields[i]);
    }
}

const NodeCollector node_sockstat = {"sockstat",    true,           sizeof(Sockstat),
                                     sockstat_open, sockstat_write, sockstat_close};
