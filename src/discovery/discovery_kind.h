// SPDX-License-Identifier: Apache-2.0
// discovery_kind.h: what a kind of discovery is made of. To add one: write discovery_x.c and one row in discovery_kinds.c.
//
// A kind that asks an API now and then is a row of data more: see discovery_poll.h.
#pragma once

#include "client/summary.h"
#include "discovery/discovery.h"
#include "net/loop.h"

typedef struct DiscoveryKind DiscoveryKind;
typedef struct PollKind PollKind;

// What a running provider may ask of the room. All on the discovery loop.
typedef struct DiscoveryHost DiscoveryHost;

// Takes over the snapshot: it replaces everything this provider had found before.
void discovery_host_publish(DiscoveryHost *host, GroupSnapshot *snapshot);
Loop *discovery_host_loop(DiscoveryHost *host);
const DiscoveryKind *discovery_host_kind(const DiscoveryHost *host);
// The first job that uses the block: for logs and metrics.
Str discovery_host_job(const DiscoveryHost *host);
// The provider could not be made: counted in prometheus_sd_failed_configs until it is gone.
void discovery_host_fail(DiscoveryHost *host);
// The connections of the provider's client are counted.
struct HttpClient;
void discovery_host_track(DiscoveryHost *host, struct HttpClient *client);

typedef struct DiscoveryCounters {
    Registry *registry;
    Family *refresh_failures;
    Summary *refresh_durations; // {mechanism, config}
    Family *refresh_histogram;  // {mechanism}
    Family *file_mtime;         // {filename}
    Summary *file_scans;
    SummaryMetric *file_scan;
    Counter *file_watch_errors;
    Summary *consul_durations; // {endpoint, call}
} DiscoveryCounters;

// The room's metrics; all NULL without a registry.
const DiscoveryCounters *discovery_host_counters(const DiscoveryHost *host);
// Adds one to the kind's own counter of that number; does nothing without a registry.
void discovery_host_count(const DiscoveryHost *host, size_t counter);
// A look at the outside that began then is over: for prometheus_sd_refresh_*.
void discovery_host_refreshed(const DiscoveryHost *host, int64_t began_ns, bool failed);

struct DiscoveryKind {
    const char *name;       // "file", label `mechanism` of the metrics
    const char *config_key; // "file_sd_configs"
    const ConfigTable *table;
    const PollKind *poll; // for start = poll_start
    // Counters without labels that this kind alone has.
    struct {
        const char *name;
        const char *help;
    } counters[2];
    // Starts a provider for one block, which stays where it is until stop; publishes what it knows at once before it returns.
    void *(*start)(DiscoveryHost *host, const void *config);
    void (*stop)(void *provider); // accepts NULL
    // Adds to rest->groups and rest->missing what the block tells without running. NULL: it has to ask a network.
    bool (*at_rest)(const void *config, DiscoveryAtRest *rest, Error *err);
};

extern const DiscoveryKind *const discovery_kinds[];
extern const size_t discovery_kind_count;

extern const DiscoveryKind discovery_static;

// One block of static_configs and of a file: targets and labels. The strings are views into the reader's arena.
typedef struct StaticGroup {
    ConfigStrList targets;
    ConfigStrMap labels;
} StaticGroup;

extern const ConfigTable discovery_static_table;

// Makes room for `count` more groups behind those that are there; returns the first of them. The caller counts them up.
TargetGroup *group_snapshot_more(GroupSnapshot *snapshot, size_t count);

// Fills group->hash; publishing does it for groups that have none yet.
void target_group_hash(TargetGroup *group);

// Copies it into the snapshot; `more` are labels added by the kind.
void static_group_copy(GroupSnapshot *snapshot, const StaticGroup *from, Str source, Labels more,
                       TargetGroup *ret_group);

// A list of groups as discovery by files and by HTTP have it; what was read lives in the arena. `name` stands in errors.
bool static_groups_of_tree(const YamlNode *root, Str name, Arena *arena, StaticGroup **ret_groups,
                           size_t *ret_count, Error *err) MUST_CHECK;
bool static_groups_of_json(Str text, Str name, Arena *arena, StaticGroup **ret_groups,
                           size_t *ret_count, Error *err) MUST_CHECK;
