// SPDX-License-Identifier: Apache-2.0
// discovery_kind.h: what a kind of discovery is made of. To add one: write discovery_x.c and one row in discovery_kinds.c.
#pragma once

#include "discovery/discovery.h"
#include "net/loop.h"

// What a running provider may ask of the room. All on the discovery loop.
typedef struct DiscoveryHost DiscoveryHost;

// Takes over the snapshot: it replaces everything this provider had found before.
void discovery_host_publish(DiscoveryHost *host, GroupSnapshot *snapshot);
Loop *discovery_host_loop(DiscoveryHost *host);
// The number of this block among the job's blocks of its kind: for `source`.
size_t discovery_host_index(const DiscoveryHost *host);

typedef struct DiscoveryCounters {
    Family *refresh_failures; // {mechanism}
    Counter *file_read_errors;
    Family *file_mtime; // {filename}
} DiscoveryCounters;

// The room's metrics; all NULL without a registry.
const DiscoveryCounters *discovery_host_counters(const DiscoveryHost *host);

typedef struct DiscoveryKind {
    const char *name;       // "file", label `mechanism` of the metrics
    const char *config_key; // "file_sd_configs"
    const ConfigTable *table;
    // Starts a provider for one block, which stays where it is until stop; publishes what it knows at once before it returns.
    void *(*start)(DiscoveryHost *host, const void *config);
    void (*stop)(void *provider);
    // Adds to rest->groups and rest->missing what the block tells without running. NULL: it has to ask a network.
    bool (*at_rest)(const void *config, DiscoveryAtRest *rest, Error *err);
} DiscoveryKind;

extern const DiscoveryKind *const discovery_kinds[];
extern const size_t discovery_kind_count;

extern const DiscoveryKind discovery_static;
extern const DiscoveryKind discovery_file;

// One block of static_configs and of a file: targets and labels. The strings are views into the reader's arena.
typedef struct StaticGroup {
    ConfigStrList targets;
    ConfigStrMap labels;
} StaticGroup;

extern const ConfigTable static_group_table;

// Makes room for `count` more groups behind those that are there; returns the first of them. The caller counts them up.
TargetGroup *group_snapshot_more(GroupSnapshot *snapshot, size_t count);

// Copies it into the snapshot; `more` are labels added by the kind.
void static_group_copy(GroupSnapshot *snapshot, const StaticGroup *from, Str source, Labels more,
                       TargetGroup *ret_group);
