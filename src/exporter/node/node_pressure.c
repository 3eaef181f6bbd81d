// SPDX-License-Identifier: Apache-2.0
#include "exporter/node/node_collectors.h"

static const struct {
    const char *file;
    const char *waiting; // of the line "some"; NULL: not exposed
    const char *waiting_help;
    const char *stalled; // of the line "full"
    const char *stalled_help;
} resources[] = {
    {"pressure/cpu", "node_pressure_cpu_waiting_seconds_total",
     "Total time in seconds that processes have waited for CPU time.", NULL, NULL},
    {"pressure/io", "node_pressure_io_waiting_seconds_total",
     "Total time in seconds that processes have waited for IO.",
     "node_pressure_io_stalled_seconds_total",
     "Total time in seconds in which no process could go on, for want of IO."},
    {"pressure/memory", "node_pressure_memory_waiting_seconds_total",
     "Total time in seconds that processes have waited for memory.",
     "node_pressure_memory_stalled_seconds_total",
     "Total time in seconds in which no process could go on, for want of memory."},
    {"pressure/irq", NULL, NULL, "node_pressure_irq_stalled_seconds_total",
     "Total time in seconds in which no process could go on, because of interrupts."},
};

typedef struct Pressure {
    NodeFile files[COUNT_OF(resources)];
    NodeFamily *waiting[COUNT_OF(resources)];
    NodeFamily *stalled[COUNT_OF(resources)];
} Pressure;

static bool pressure_open(void *state, NodeScrape *scrape, Error *err)
{
    (void)err;
    Pressure *self = state;
    for (size_t i = 0; i < COUNT_OF(resources); i++) {
        node_file_init(&self->files[i], scrape->options->path_procfs, resources[i].file);
        if (resources[i].waiting)
            self->waiting[i] =
                node_counter(scrape->sink, resources[i].waiting, resources[i].waiting_help);
        if (resources[i].stalled)
            self->stalled[i] =
                node_counter(scrape->sink, resources[i].stalled, resources[i].stalled_help);
    }
    return true;
}

// "some avg10=0.00 avg60=0.00 avg300=0.00 total=12345", in microseconds. Divided in two steps, as the original rounds.
static bool write_resource(Pressure *self, size_t i, Str text, Error *err)
{
    Str line;
    while (scan_line(&text, &line)) {
        Str kind = scan_word(&line);
        NodeFamily *family = str_is(kind, "some")   ? self->waiting[i]
                             : str_is(kind, "full") ? self->stalled[i]
                                                    : NULL;
        size_t at = str_find(line, S("total="));
        uint64_t total;
        Str number = str_skip(line, at == STR_NOT_FOUND ? line.len : at + strlen("total="));
        if (!scan_u64(&number, &total))
            return error_set(err, ERR_CORRUPT, "%s: a line without total=", self->files[i].path);
        if (family)
            node_sample(family, NODE_NO_LABELS, (double)total / 1000 / 1000);
    }
    return true;
}

static bool pressure_write(void *state, NodeScrape *scrape, Error *err)
{
    Pressure *self = state;
    size_t found = 0;
    for (size_t i = 0; i < COUNT_OF(resources); i++) {
        Str text;
        Error why = {0};
        if (node_file_read(&self->files[i], &scrape->text, &text, &why)) {
            if (!write_resource(self, i, text, err))
                return false;
            found++;
        } else if (why.code != ERR_NOT_FOUND) {
            *err = why;
            return false;
        }
    }
    if (!found)
        return error_set(err, ERR_NOT_FOUND, "this kernel tells no pressure (CONFIG_PSI, psi=1)");
    return true;
}

static void pressure_close(void *state)
{
    Pressure *self = state;
    for (size_t i = 0; i < COUNT_OF(resources); i++)
        node_file_deinit(&self->files[i]);
}

const NodeCollector node_pressure = {"pressure",    true,           sizeof(Pressure),
                                     pressure_open, pressure_write, pressure_close};
