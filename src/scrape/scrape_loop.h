// SPDX-License-Identifier: Apache-2.0
// scrape_loop.h: the threads that scrape, and the targets that belong to them.
#pragma once

#include "base/clock.h"
#include "net/http_client.h"
#include "scrape/scrape.h"
#include "scrape/scrape_append.h"
#include "scrape/scrape_failure_log.h"
#include "scrape/scrape_metrics.h"

#define SCRAPE_THREADS_MAX 64

// What all threads have in common.
typedef struct ScrapeShared {
    Sink *sink;
    Clock *clock;
    ScrapeMetrics *metrics;
    int64_t
        wall_zero_ns; // monotonic time at which the wall clock stood at 0, as it was at the start: one grid for all
    struct Tracer *tracer;
    Registry *registry;                                               // of connections
    int64_t last_work_ms;                                             // as in ScrapeManagerOptions
    bool start_times, zero_samples, synthesize, type_and_unit_labels; // as in ScrapeManagerOptions
} ScrapeShared;

// One job while it is in use: its configuration, and a client of its own on each thread. Counted by the manager and by each target.
typedef struct ScrapePool {
    ScrapeShared *shared;
    const ScrapeConfig *config;
    void (*local_write)(void *arg, Buf *out);
    void *local_arg;
    void *owner; // of the configuration
    void (*unref_owner)(void *owner);
    _Atomic uint64_t
        targets_over_limit; // not 0: so many targets are more than target_limit, all fail
    Gauge *metadata_entries, *metadata_bytes; // of all its targets
    FailureLog *failure_log;                  // NULL: none
    HttpClient *clients[SCRAPE_THREADS_MAX];  // [i] belongs to thread i
    _Atomic int refs;
} ScrapePool;

ScrapePool *scrape_pool_ref(ScrapePool *pool);
void scrape_pool_unref(ScrapePool *pool);

typedef struct ScrapeThread ScrapeThread;
typedef struct ScrapeTarget ScrapeTarget;

bool scrape_thread_new(ScrapeShared *shared, size_t index, ScrapeThread **ret_thread,
                       Error *err) MUST_CHECK;
// Frees all targets of the thread. Accepts NULL.
void scrape_thread_free(ScrapeThread *thread);
// Waits until fn(arg) has run on the thread.
void scrape_thread_call(ScrapeThread *thread, void (*fn)(void *arg), void *arg);
// The pool's client on this thread is closed once the stops posted before have run.
void scrape_thread_leave(ScrapeThread *thread, ScrapePool *pool);

// Copies what it needs of the spec (not `discovered`, not `all`).
ScrapeTarget *scrape_target_start(ScrapeThread *thread, ScrapePool *pool, const TargetSpec *spec,
                                  int64_t phase_ns, int64_t grid_ns);
// Ends it; afterwards the pointer is void. With `mark_stale` its series get markers once a scrape has been missed.
void scrape_target_stop(ScrapeTarget *target, bool mark_stale);

// What does not change in a target's life: any thread.
const TargetSpec *scrape_target_spec(const ScrapeTarget *target);
ScrapeThread *scrape_target_thread(const ScrapeTarget *target);
// On its thread: the changing members of the info.
void scrape_target_status(const ScrapeTarget *target, Arena *arena, TargetInfo *info);
const MetadataCache *scrape_target_metadata(const ScrapeTarget *target);
// On the thread: the families its targets tell.
const MetadataPool *scrape_thread_metadata(const ScrapeThread *thread);
