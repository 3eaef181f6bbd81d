// SPDX-License-Identifier: Apache-2.0
// discovery.h: turns a configuration into a changing list of targets.
//
// A job has a DiscoveryConfigs: some lists of blocks, one list per kind (static, file, ...). Each block runs a provider; each provider
// publishes target groups. Equal blocks of several jobs share one provider. Whenever a job's groups change, the consumer gets all of them
// as one immutable snapshot; what was published again without a change is not told.
//
//     discovery_apply ---> provider (file) --+
//                     ---> provider (static) +--> settle 100 ms .. 5 s --> changed(job, GroupSnapshot)
//
// Thread: providers run on the room's own loop, which may read files because nothing else waits for it; `changed` is called there.
// The functions may be called from any other thread. Facts: prometheus.md section 9.1.
#pragma once

#include "client/registry.h"
#include "config/config.h"
#include "metric/labels.h"

#define DISCOVERY_KINDS_MAX 40
#define DISCOVERY_TARGETS_MAX 1000000 // of one provider

// What a provider found in one place.
typedef struct TargetGroup {
    Str source;      // unique within the job: "static/0/1", "/etc/targets.yml:0"
    Labels labels;   // of all its targets
    Labels *targets; // each has __address__
    size_t target_count;
    Hash128
        hash; // of labels and targets: equal for what did not change. Set by the room when it is delivered
} TargetGroup;

// Everything one job has at some moment. Nobody changes it; the last user frees it.
typedef struct GroupSnapshot GroupSnapshot;
struct GroupSnapshot {
    TargetGroup *groups;
    size_t count;
    Arena arena;           // of everything in it, but for what belongs to
    GroupSnapshot **parts; // snapshots whose labels and targets it shows: one reference each
    size_t part_count;
    _Atomic int refs; // starts at 1
};

GroupSnapshot *group_snapshot_new(void);
GroupSnapshot *group_snapshot_ref(GroupSnapshot *snapshot);
void group_snapshot_unref(GroupSnapshot *snapshot); // accepts NULL

// The discovery keys of a scrape_config or of an alertmanager block, to be put into its table as CONFIG_INLINE.
typedef struct DiscoveryConfigs {
    ConfigList lists[DISCOVERY_KINDS_MAX]; // by kind, in the order of discovery_kinds.c
    ConfigStrList ignored; // what this version does not act on, as sentences with their place
} DiscoveryConfigs;

extern const ConfigTable discovery_configs_table;
// "static", "file" and so on; NULL behind the last.
const char *discovery_kind_name_at(size_t index);

// What a job's blocks tell without running: static groups, and files of file discovery as they are now.
typedef struct DiscoveryAtRest {
    GroupSnapshot *groups; // the caller's reference
    ConfigStrList missing; // patterns that no file matches; live in the arena of `groups`
    bool is_all;           // no block has to ask a network
} DiscoveryAtRest;

// For checks of a configuration. Fails at the first file that cannot be read, with its place.
bool discovery_at_rest(const DiscoveryConfigs *configs, DiscoveryAtRest *ret_rest,
                       Error *err) MUST_CHECK;

// One static target, for jobs that do not come from a file.
DiscoveryConfigs discovery_configs_static(Arena *arena, Str address);

typedef struct DiscoveryJob {
    Str name;
    const DiscoveryConfigs *configs; // copied where a provider needs it longer than the call
} DiscoveryJob;

typedef struct DiscoveryOptions {
    Str name;           // label of the metrics: "scrape"
    Registry *registry; // prometheus_sd_*; NULL: none
    // A job's groups, whenever they changed; the callee takes over one reference.
    void (*changed)(void *arg, Str job, GroupSnapshot *groups);
    void *arg;
} DiscoveryOptions;

typedef struct Discovery Discovery;

bool discovery_new(const DiscoveryOptions *options, Discovery **ret_discovery,
                   Error *err) MUST_CHECK;
// Starts what is new, stops what is gone, leaves alone what is the same. `changed` has been called once for each job that is new or
// changed when this returns, with what was known at once (static groups, files that were there).
void discovery_apply(Discovery *discovery, const DiscoveryJob *jobs, size_t count);
// `changed` is not called any more once this returns. Accepts NULL.
void discovery_free(Discovery *discovery);
