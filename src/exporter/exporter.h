// SPDX-License-Identifier: Apache-2.0
// exporter.h: the front desk of the exporters. Each looks at one thing and writes what it sees as text.
//
// NodeExporter looks at the machine it runs on, with the names of Prometheus' node exporter 1.12:
//
//     /proc  /sys  netlink  statfs --- collectors, one after the other ---> samples by family ---> text, sorted by name
//
// (1) A scrape allocates nothing once the machine has shown its devices: files stay open and are read again from their beginning,
//     samples and label texts go into memory that is kept.
// (2) A mount that does not answer costs a scrape its --collector.filesystem.mount-timeout once, and is then told as a device error.
// (3) A collector that fails does not stop the others: its node_scrape_collector_success is 0.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "config/flags.h"

#define NODE_COLLECTORS_MAX 64 // a NodeSelection has a bit for each
#define NODE_ABSENT_MAX 128

// What the flags of the node exporter fill. Strings are copied by node_exporter_new.
typedef struct NodeExporterOptions {
    Str path_procfs;
    Str path_sysfs;
    Str path_rootfs;
    Str path_udev_data;
    bool disable_defaults;
    bool enabled[NODE_COLLECTORS_MAX]; // in the order of the collectors' table
    bool
        chosen[NODE_COLLECTORS_MAX]; // said so on the command line: stands against disable_defaults
    bool absent[NODE_ABSENT_MAX];    // collectors of the original that narthex lacks
    Str absent_value;

    bool cpu_guest;
    bool cpu_info;
    Str cpu_flags_include; // unanchored regular expressions, as all below
    Str cpu_bugs_include;
    Str disk_devices_exclude;
    Str disk_devices_include;
    Str filesystem_mounts_exclude;
    Str filesystem_mounts_include;
    Str filesystem_types_exclude;
    Str filesystem_types_include;
    int64_t filesystem_timeout_ms;
    int64_t filesystem_workers;
    Str netdev_devices_exclude;
    Str netdev_devices_include;
    bool netdev_address_info;
    bool netdev_detailed;
    bool netdev_netlink;
    bool netdev_ifalias;
    Str netstat_fields;
    bool stat_softirq;
    Str vmstat_fields;
} NodeExporterOptions;

// What the original does without any flag.
void node_exporter_options_default(NodeExporterOptions *ret_options);

// The flags path.* and collector.*, for a flag table over an object in which NodeExporterOptions stands at `offset`.
const FlagSpec *node_exporter_flags(Arena *arena, size_t offset, size_t *ret_count);
// To call after flags_parse: what was given on the command line wins over defaults that contradict it. `given` is
// FlagResult.given from the first of those flags on. Logs flags that have no effect.
void node_exporter_flags_given(NodeExporterOptions *options, const bool *given);

typedef struct NodeExporter NodeExporter;

// Fails ERR_INVALID if an option is wrong (a regular expression, an exclude beside an include, a collector that is not there).
bool node_exporter_new(const NodeExporterOptions *options, NodeExporter **ret_exporter,
                       Error *err) MUST_CHECK;
void node_exporter_free(NodeExporter *exporter); // accepts NULL

// Looks at the machine and appends it to `out` in the text format 0.0.4. Thread: any; scrapes wait for each other.
void node_exporter_write(NodeExporter *exporter, Buf *out);

// A set of collectors, a bit for each.
typedef uint64_t NodeSelection;
// What a request with collect[]= or exclude[]= asks for. Fails ERR_INVALID in the original's words.
bool node_exporter_select(const NodeExporter *exporter, const Str *collect, size_t collect_count,
                          const Str *exclude, size_t exclude_count, NodeSelection *ret_selection,
                          Error *err) MUST_CHECK;
void node_exporter_write_selected(NodeExporter *exporter, NodeSelection selection, Buf *out);

// The name of the i-th collector that is on, in alphabetical order; NULL behind the last.
const char *node_exporter_collector(const NodeExporter *exporter, size_t index);
