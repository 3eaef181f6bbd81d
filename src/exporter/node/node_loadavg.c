// SPDX-License-Identifier: Apache-2.0
#include "base/number.h"
#include "exporter/node/node_collectors.h"

typedef struct Loadavg {
    NodeFile file;
    NodeFamily *families[3];
} Loadavg;

static bool loadavg_open(void *state, NodeScrape *scrape, Error *err)
{
    (void)err;
    Loadavg *self = state;
    node_file_init(&self->file, scrape->options->path_procfs, "loadavg");
    self->families[0] = node_gauge(scrape->sink, "node_load1", "1m load average.");
    self->families[1] = node_gauge(scrape->sink, "node_load5", "5m load average.");
    self->families[2] = node_gauge(scrape->sink, "node_load15", "15m load average.");
    return true;
}

static bool loadavg_write(void *state, NodeScrape *scrape, Error *err)
{
    Loadavg *self = state;
    Str text;
    if (!node_file_read(&self->file, &scrape->text, &text, err))
        return false;
    double loads[3];
    for (size_t i = 0; i < 3; i++)
        if (!number_parse_double(scan_word(&text), &loads[i]))
            return error_set(err, ERR_CORRUPT, "%s: field %zu is not a number", self->file.path,
                             i + 1);
    for (size_t i = 0; i < 3; i++)
        node_sample(self->families[i], NODE_NO_LABELS, loads[i]);
    return true;
}

static void loadavg_close(void *state)
{
    node_file_deinit(&((Loadavg *)state)->file);
}

const NodeCollector node_loadavg = {"loadavg",    true,          sizeof(Loadavg),
                                    loadavg_open, loadavg_write, loadavg_close};
