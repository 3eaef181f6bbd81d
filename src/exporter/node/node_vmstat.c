// SPDX-License-Identifier: Apache-2.0
#include "exporter/node/node_collectors.h"
#include "exporter/node/node_fields.h"
#include "exporter/node/node_filter.h"

typedef struct Vmstat {
    NodeFile file;
    NodeFields fields;
    NodeFilter filter;
} Vmstat;

static bool vmstat_open(void *state, NodeScrape *scrape, Error *err)
{
    Vmstat *self = state;
    node_file_init(&self->file, scrape->options->path_procfs, "vmstat");
    return node_filter_init(&self->filter, "collector.vmstat.fields",
                            scrape->options->vmstat_fields, "", STR_NONE, err);
}

static NodeFamily *vmstat_family(Vmstat *self, NodeSink *sink, Str field)
{
    if (!node_filter_takes(&self->filter, field))
        return NULL;
    CLEANUP(buf_deinit) Buf name = {0};
    CLEANUP(buf_deinit) Buf help = {0};
    buf_printf(&name, "node_vmstat_" STR_FMT, STR_ARG(field));
    buf_printf(&help, "/proc/vmstat information field " STR_FMT ".", STR_ARG(field));
    return node_sink_family(sink, buf_str(&name), NODE_UNTYPED, buf_str(&help));
}

static bool vmstat_write(void *state, NodeScrape *scrape, Error *err)
{
    Vmstat *self = state;
    Str text;
    Str line;
    if (!node_file_read(&self->file, &scrape->text, &text, err))
        return false;
    for (size_t position = 0; scan_line(&text, &line); position++) {
        Str name = scan_word(&line);
        bool is_new;
        NodeField *field = node_fields_at(&self->fields, position, name, &is_new);
        if (field && is_new)
            field->family = vmstat_family(self, scrape->sink, name);
        if (!field || !field->family)
            continue;
        uint64_t value;
        if (!scan_u64(&line, &value))
            return error_set(err, ERR_CORRUPT, "%s:%zu: not a number", self->file.path,
                             position + 1);
        node_sample(field->family, NODE_NO_LABELS, (double)value);
    }
    return true;
}

static void vmstat_close(void *state)
{
    Vmstat *self = state;
    node_file_deinit(&self->file);
    node_fields_deinit(&self->fields);
    node_filter_deinit(&self->filter);
}

const NodeCollector node_vmstat = {"vmstat",    true,         sizeof(Vmstat),
                                   vmstat_open, vmstat_write, vmstat_close};
