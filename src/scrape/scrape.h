// SPDX-License-Identifier: Apache-2.0
// scrape.h: visits targets on time and pours what they expose into a Sink.
//
//     discovery --groups--> manager --targets--> loop 0..N: timer -> GET -> parse -> Sink
//                              ^                    |
//                              +---- snapshots -----+
//
// Each target belongs to one loop for its whole life. The manager's lock guards the lists of pools and targets; what a target has seen
// is asked of its loop.
//
// Thread: any for every function here, but not a scrape loop's own.
#pragma once

#include "base/clock.h"
#include "metric/matcher.h"
#include "metric/sink.h"
#include "scrape/scrape_config.h"

typedef struct ScrapeManager ScrapeManager;

typedef struct ScrapeManagerOptions {
    Sink *sink;
    Clock *clock;
    Registry *registry; // prometheus_target_*, prometheus_sd_*; NULL: none
    int threads;        // scrape loops; 0: one per core, at most 8
    bool start_times;   // start timestamps of counters go to the sink
    bool zero_samples;  // and a sample of zero is stored at each new one
    bool synthesize;    // counters that tell none get one
    bool type_and_unit_labels;
    struct Tracer *tracer; // of a span for each scrape; NULL: none
    // Until when the process before this one was at work, by the wall clock; 0: not known. Scrapes that it began too late to end, and those that
    // nobody began since, are made up for at the start, if that was but seconds ago.
    int64_t last_work_ms;
} ScrapeManagerOptions;

bool scrape_manager_new(const ScrapeManagerOptions *options, ScrapeManager **ret_manager,
                        Error *err) MUST_CHECK;
// Stops without stale markers. Accepts NULL.
void scrape_manager_free(ScrapeManager *manager);

typedef struct ScrapeJob {
    const ScrapeConfig *config;
    // A target inside the process: it writes its text (format 0.0.4) here instead of being asked over HTTP. On a scrape loop's thread.
    void (*local_write)(void *arg, Buf *out);
    void *local_arg;
} ScrapeJob;

typedef struct ScrapeJobs {
    const ScrapeJob *jobs; // copied
    size_t count;
    Labels external; // labels that, with the host's name, tell this server from others
    // The generation in which the ScrapeConfigs live; kept as long as one of them is in use.
    void *owner;
    void (*ref)(void *owner);
    void (*unref)(void *owner);
} ScrapeJobs;

// Applies a new configuration: jobs that are the same go on undisturbed, with their phase and their series. Targets known at once (static,
// files) are there when this returns.
void scrape_manager_apply(ScrapeManager *manager, const ScrapeJobs *jobs);

typedef enum TargetHealth { TARGET_UNKNOWN, TARGET_UP, TARGET_DOWN } TargetHealth;

typedef struct TargetInfo {
    Str pool;
    Labels discovered;
    Labels labels;
    Str url;
    Str last_error;
    int64_t last_scrape_ms; // 0: never
    double last_duration_s;
    TargetHealth health;
    int64_t interval_ms;
    int64_t timeout_ms;
} TargetInfo;

typedef struct DroppedInfo {
    Str pool;
    Labels discovered;
} DroppedInfo;

typedef struct PoolInfo {
    Str name;
    uint64_t dropped; // all, also those that keep_dropped_targets does not show
} PoolInfo;

typedef struct TargetsSnapshot {
    TargetInfo *active; // by pool, then URL
    size_t active_count;
    DroppedInfo *dropped;
    size_t dropped_count;
    PoolInfo *pools; // by name
    size_t pool_count;
} TargetsSnapshot;

// Everything that /api/v1/targets and /api/v1/scrape_pools show. An empty `pool` means all.
void scrape_manager_targets(ScrapeManager *manager, Str pool, bool active, bool dropped,
                            Arena *arena, TargetsSnapshot *ret_snapshot);

typedef struct TargetMetadata {
    Labels target; // empty in scrape_manager_metadata
    Str metric;
    Metadata metadata;
} TargetMetadata;

// Of each target that matches, or of the one metric if it is not empty: at most `limit` (0: all).
void scrape_manager_target_metadata(ScrapeManager *manager, const Matcher *matchers,
                                    size_t matcher_count, Str metric, size_t limit, Arena *arena,
                                    TargetMetadata **ret_list, size_t *ret_count);
// What targets tell of each metric (or of one), each different text once, by metric.
void scrape_manager_metadata(ScrapeManager *manager, Str metric, Arena *arena,
                             TargetMetadata **ret_list, size_t *ret_count);

// The job's configuration as YAML; false if there is no such pool.
bool scrape_manager_pool_yaml(ScrapeManager *manager, Str pool, Buf *out);

// What a job makes of one target that discovery found: for checks of a configuration.
typedef struct ScrapeTrial {
    Labels discovered; // before relabelling, defaults filled in
    Labels
        labels; // after it, those that begin with "__" but not "__meta_" too; none if it was dropped
} ScrapeTrial;
// False: the target cannot be scraped, err says why; `discovered` is filled all the same.
bool scrape_config_try(const ScrapeConfig *config, Labels group, Labels own, Arena *arena,
                       ScrapeTrial *ret_trial, Error *err) MUST_CHECK;

// One step of a job's relabel_configs over some labels, for /api/v1/targets/relabel_steps.
typedef struct RelabelStep {
    Str rule; // as YAML
    Labels output;
    bool keep;
} RelabelStep;
bool scrape_manager_relabel_steps(ScrapeManager *manager, Str pool, Labels discovered, Arena *arena,
                                  RelabelStep **ret_steps, size_t *ret_count,
                                  Error *err) MUST_CHECK;
