// SPDX-License-Identifier: Apache-2.0
// scrape_manager_internal.h: the manager's jobs, for those who change them (scrape_manager.c) and who show them (scrape_manager_view.c).
#pragma once

#include "base/lock.h"
#include "scrape/scrape.h"
#include "scrape/scrape_loop.h"

// A running target as the manager sees it.
typedef struct Entry {
    ScrapeTarget *target;
    uint64_t hash;
    uint64_t identity; // of its public labels and URL: equal for a target that a reload makes anew
    Labels discovered; // in the pool's arena
} Entry;

// What one group of targets became. A group that is found again with the same hash becomes the same again: no relabelling.
typedef struct GroupOutcome {
    Hash128 hash;
    uint64_t *kept; // hashes of its targets, those included that an earlier group has, too
    size_t kept_count;
    Labels *dropped;
    size_t dropped_count;
    bool is_whole; // nothing bad, nothing that was dropped without being kept to be shown
} GroupOutcome;

// A job.
typedef struct Job {
    ScrapePool *pool;
    Str name;
    Str fingerprint;
    Arena names;           // of the two above
    GroupSnapshot *groups; // the newest
    Arena found;    // of the entries' and the dropped targets' labels: made anew by each sync
    Entry *entries; // by hash
    size_t count;
    Labels *dropped;
    size_t dropped_count; // kept to be shown
    uint64_t dropped_total;
    GroupOutcome *outcomes; // of the groups; in `found`
    size_t outcome_count;
    bool keep; // mark during apply
} Job;

struct ScrapeManager {
    ScrapeShared shared;
    uint64_t offset_seed GUARDED_BY(lock); // target_phase_ns
    ScrapeMetrics metrics;
    Registry *own_registry; // when the caller has none
    ScrapeThread *threads[SCRAPE_THREADS_MAX];
    size_t thread_count;
    Discovery *discovery;
    FailureLogs *failure_logs;
    Lock lock;
    Job **jobs GUARDED_BY(lock); // by name
    size_t job_count GUARDED_BY(lock);
};

// The job of this name, or NULL.
Job *scrape_manager_job(ScrapeManager *manager, Str name) REQUIRES(manager->lock);
