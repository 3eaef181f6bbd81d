// SPDX-License-Identifier: Apache-2.0
#include "exporter/node/node_collectors.h"

typedef struct Filefd {
    NodeFile file;
    NodeFamily *allocated;
    NodeFamily *maximum;
} Filefd;

static bool filefd_open(void *state, NodeScrape *scrape, Error *err)
{
    (void)err;
    Filefd *self = state;
    node_file_init(&self->file, scrape->options->path_procfs, "sys/fs/file-nr");
    self->allocated =
        node_gauge(scrape->sink, "node_filefd_allocated", "File descriptor statistics: allocated.");
    self->maximum =
        node_gauge(scrape->sink, "node_filefd_maximum", "File descriptor statistics: maximum.");
    return true;
}

// Three numbers: allocated, allocated but unused (0 since Linux 2.6), maximum.
static bool filefd_write(void *state, NodeScrape *scrape, Error *err)
{
    Filefd *self = state;
    Str text;
    Str line = STR_NONE;
    uint64_t allocated;
    uint64_t unused;
    uint64_t maximum;
    if (!node_file_read(&self->file, &scrape->text, &text, err))
        return false;
    if (!scan_line(&text, &line) || !scan_u64(&line, &allocated) || !scan_u64(&line, &unused) ||
        !scan_u64(&line, &maximum))
        return error_set(err, ERR_CORRUPT, "%s: not three numbers", self->file.path);
    node_sample(self->allocated, NODE_NO_LABELS, (double)allocated);
    node_sample(self->maximum, NODE_NO_LABELS, (double)maximum);
    return true;
}

static void filefd_close(void *state)
{
    node_file_deinit(&((Filefd *)state)->file);
}

const NodeCollector node_filefd = {"filefd",    true,         sizeof(Filefd),
                                   filefd_open, filefd_write, filefd_close};
