// SPDX-License-Identifier: Apache-2.0
// node_collectors.h: the table of collectors. To add one, write node_x.c and a row in node_collectors.c.
#pragma once

#include "exporter/exporter.h"
#include "exporter/node/node_file.h"
#include "exporter/node/node_sink.h"

// What collectors share.
typedef struct NodeScrape {
    const NodeExporterOptions *options;
    NodeSink *sink;
    Buf text; // the file that the collector at work reads
    NodeFile proc_stat;
    Buf proc_stat_text; // read once in a scrape, by whoever asks first
    bool has_proc_stat;
} NodeScrape;

// /proc/stat, which is dear on large machines and told by two collectors.
bool node_scrape_stat(NodeScrape *scrape, Str *ret_text, Error *err) MUST_CHECK;

typedef struct NodeCollector {
    const char *name;
    bool is_default;
    size_t state_bytes;
    // Registers families, compiles patterns, notes paths; `state` is zeroed. Fails only for options that are wrong: what the machine
    // lacks shows at the scrape.
    bool (*open)(void *state, NodeScrape *scrape, Error *err);
    // Adds samples. ERR_NOT_FOUND says that this machine has no such thing.
    bool (*write)(void *state, NodeScrape *scrape, Error *err);
    void (*close)(void *state); // also after a failed open; NULL: nothing to do
} NodeCollector;

extern const NodeCollector node_cpu;
extern const NodeCollector node_diskstats;
extern const NodeCollector node_filefd;
extern const NodeCollector node_filesystem;
extern const NodeCollector node_loadavg;
extern const NodeCollector node_meminfo;
extern const NodeCollector node_netdev;
extern const NodeCollector node_netstat;
extern const NodeCollector node_pressure;
extern const NodeCollector node_sockstat;
extern const NodeCollector node_stat;
extern const NodeCollector node_time;
extern const NodeCollector node_uname;
extern const NodeCollector node_vmstat;

// In alphabetical order.
extern const NodeCollector *const node_collectors[];
extern const size_t node_collector_count;

// Collectors of the original that are not in the table: their names are known, so that --no-collector.x does no harm.
extern const char *const node_absent_collectors[];
extern const size_t node_absent_count;
