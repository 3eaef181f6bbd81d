// SPDX-License-Identifier: Apache-2.0
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/map.h"
#include "base/thread.h"
#include "metric/relabel.h"
#include "scrape/scrape_manager_internal.h"

#define MANAGER_LOCK_RANK 110
#define THREADS_BY_DEFAULT 8
#define BAD_TARGETS_LOGGED 10 // of one sync, the rest is counted

// ---- one job ----

static int entry_order(const void *a, const void *b)
{
    const Entry *x = a;
    const Entry *y = b;
    return x->hash < y->hash ? -1 : x->hash > y->hash;
}

static Entry *find_entry(Entry *entries, size_t count, uint64_t hash)
{
    Entry key = {.hash = hash};
    return count ? bsearch(&key, entries, count, sizeof key, entry_order) : NULL;
}

static uint64_t identity_of(const TargetSpec *spec)
{
    return labels_hash(spec->labels) ^ fnv_add(FNV_INIT, spec->url);
}

// One sync under way.
typedef struct Sync {
    ScrapeManager *manager;
    Job *job;
    size_t others; // targets of other jobs
    Arena found;
    Arena scratch;
    Entry *entries;
    size_t count;
    size_t cap;
    Labels *dropped;
    size_t dropped_count;
    size_t dropped_cap;
    uint64_t dropped_total;
    uint64_t bad;
    Map seen;       // hashes of entries
    Map before;     // the last sync's outcomes by the hash of their group
    uint64_t *kept; // of the group under way
    size_t kept_count;
    size_t kept_cap;
} Sync;

static void note_dropped(Sync *sync, Labels discovered)
{
    uint64_t keep = sync->job->pool->config->limits.dropped_targets_kept;
    sync->dropped_total++;
    if (keep && sync->dropped_count >= keep)
        return;
    if (sync->dropped_count == sync->dropped_cap) {
        size_t cap = sync->dropped_cap ? sync->dropped_cap * 2 : 16;
        sync->dropped = arena_grow(&sync->found, sync->dropped, sync->dropped_cap * sizeof(Labels),
                                   cap * sizeof(Labels));
        sync->dropped_cap = cap;
    }
    sync->dropped[sync->dropped_count++] = labels_copy(&sync->found, discovered);
}

static void note_bad(Sync *sync, const TargetGroup *group, size_t index, const Error *err)
{
    if (++sync->bad <= BAD_TARGETS_LOGGED)
        log_error("creating target failed, skipping", KV("scrape_pool", sync->job->name),
                  KV("group", group->source), KV("instance", index), KV("err", err));
}

// False if the target was found before. Either way it belongs to the group under way.
static bool is_first(Sync *sync, uint64_t hash)
{
    char *key = arena_alloc(&sync->found, sizeof hash);
    memcpy(key, &hash, sizeof hash);
    if (sync->kept_count == sync->kept_cap) {
        sync->kept_cap = sync->kept_cap ? sync->kept_cap * 2 : 16;
        sync->kept = x_realloc(sync->kept, sync->kept_cap * sizeof *sync->kept);
    }
    sync->kept[sync->kept_count++] = hash;
    return map_put(&sync->seen, str_make(key, sizeof hash), sync) == NULL;
}

static void add_entry(Sync *sync, Entry entry)
{
    if (sync->count == sync->cap) {
        sync->cap = sync->cap ? sync->cap * 2 : 16;
        sync->entries = x_realloc(sync->entries, sync->cap * sizeof(Entry));
    }
    sync->entries[sync->count++] = entry;
}

static size_t targets_of_others(const ScrapeManager *manager, Str name) REQUIRES(manager->lock)
{
    size_t count = 0;
    for (size_t i = 0; i < manager->job_count; i++)
        count += str_equal(manager->jobs[i]->name, name) ? 0 : manager->jobs[i]->count;
    return count;
}

// Those that begin together are one thread's.
static ScrapeTarget *start_target(const Sync *sync, const TargetSpec *spec)
{
    ScrapeManager *manager = sync->manager;
    int64_t interval_ns = spec->interval_ms * 1000000;
    int64_t grid_ns = target_grid_ns(interval_ns, sync->others + sync->count);
    int64_t phase_ns = target_phase_ns(spec->hash, manager->offset_seed, interval_ns, grid_ns);
    uint64_t mixed = (uint64_t)phase_ns * 0x9e3779b97f4a7c15u >> 32;
    ScrapeThread *thread = manager->threads[mixed % manager->thread_count];
    return scrape_target_start(thread, sync->job->pool, spec, phase_ns, grid_ns);
}

// A target that is running already goes on; a new one is started.
static void keep_target(Sync *sync, const TargetSpec *spec)
{
    if (!is_first(sync, spec->hash))
        return;
    Entry *old = find_entry(sync->job->entries, sync->job->count, spec->hash);
    Entry entry = {.hash = spec->hash,
                   .identity = identity_of(spec),
                   .discovered = labels_copy(&sync->found, spec->discovered)};
    if (old) {
        entry.target = old->target;
        old->target = NULL;
    } else {
        entry.target = start_target(sync, spec);
    }
    add_entry(sync, entry);
}

static void sync_target(Sync *sync, const TargetGroup *group, size_t index)
{
    TargetSpec spec;
    Error err = {0};
    switch (target_build(sync->job->pool->config, group->labels, group->targets[index],
                         &sync->scratch, &spec, &err)) {
    case TARGET_KEPT:
        keep_target(sync, &spec);
        break;
    case TARGET_DROPPED:
        note_dropped(sync, spec.discovered);
        break;
    case TARGET_BAD:
        note_bad(sync, group, index, &err);
        break;
    }
    arena_reset(&sync->scratch);
}

static Str hash_key(const Hash128 *hash)
{
    return str_make((const char *)hash, sizeof *hash);
}

static void index_outcomes(Sync *sync)
{
    for (size_t i = 0; i < sync->job->outcome_count; i++) {
        GroupOutcome *outcome = &sync->job->outcomes[i];
        bool has_hash = outcome->hash.low || outcome->hash.high;
        if (has_hash && outcome->is_whole)
            map_put(&sync->before, hash_key(&outcome->hash), outcome);
    }
}

// The targets of a group that has not changed, as the last sync left them.
static void repeat_group(Sync *sync, const GroupOutcome *old)
{
    for (size_t i = 0; i < old->dropped_count; i++)
        note_dropped(sync, old->dropped[i]);
    for (size_t i = 0; i < old->kept_count; i++) {
        Entry *entry = find_entry(sync->job->entries, sync->job->count, old->kept[i]);
        if (!is_first(sync, old->kept[i]))
            continue;
        Entry again = *entry;
        again.discovered = labels_copy(&sync->found, entry->discovered);
        entry->target = NULL;
        add_entry(sync, again);
    }
}

static void sync_group(Sync *sync, const TargetGroup *group, GroupOutcome *ret_outcome)
{
    const GroupOutcome *old = map_get(&sync->before, hash_key(&group->hash));
    uint64_t bad = sync->bad;
    uint64_t dropped_total = sync->dropped_total;
    size_t dropped = sync->dropped_count;
    sync->kept_count = 0;
    if (old)
        repeat_group(sync, old);
    else
        for (size_t i = 0; i < group->target_count; i++)
            sync_target(sync, group, i);
    size_t shown = sync->dropped_count - dropped;
    *ret_outcome = (GroupOutcome){
        .hash = group->hash,
        .kept = ARENA_ARRAY(&sync->found, uint64_t, sync->kept_count),
        .kept_count = sync->kept_count,
        .dropped = ARENA_ARRAY(&sync->found, Labels, shown),
        .dropped_count = shown,
        .is_whole = sync->bad == bad && sync->dropped_total - dropped_total == shown,
    };
    if (sync->kept_count)
        memcpy(ret_outcome->kept, sync->kept, sync->kept_count * sizeof *sync->kept);
    if (shown)
        memcpy(ret_outcome->dropped, sync->dropped + dropped, shown * sizeof(Labels));
}

static void tell_sync(const Sync *sync)
{
    ScrapeMetrics *metrics = sync->manager->shared.metrics;
    Job *job = sync->job;
    uint64_t limit = job->pool->config->limits.targets;
    bool over = limit && job->count > limit;
    atomic_store_explicit(&job->pool->targets_over_limit, over ? job->count : 0,
                          memory_order_relaxed);
    if (over)
        counter_inc(metrics->target_limit);
    gauge_set(gauge_of(metrics->pool_targets, &job->name), (double)job->count);
    gauge_set(gauge_of(metrics->pool_target_limit, &job->name), (double)limit);
    counter_inc(counter_of(metrics->pool_syncs, &job->name));
    counter_add(counter_of(metrics->sync_failed, &job->name), (double)sync->bad);
}

// Makes the running targets those of job->groups.
static void sync_job(ScrapeManager *manager, Job *job) REQUIRES(manager->lock)
{
    Sync sync = {.manager = manager, .job = job, .others = targets_of_others(manager, job->name)};
    int64_t began_ns = clock_mono_ns(&clock_system);
    GroupOutcome *outcomes = ARENA_ARRAY(&sync.found, GroupOutcome, job->groups->count);
    index_outcomes(&sync);
    for (size_t i = 0; i < job->groups->count; i++)
        sync_group(&sync, &job->groups->groups[i], &outcomes[i]);
    for (size_t i = 0; i < job->count; i++)
        if (job->entries[i].target)
            scrape_target_stop(job->entries[i].target, true);

    if (sync.count)
        qsort(sync.entries, sync.count, sizeof(Entry), entry_order);
    free(job->entries);
    arena_deinit(&job->found);
    job->entries = sync.entries;
    job->count = sync.count;
    job->found = sync.found;
    job->dropped = sync.dropped;
    job->dropped_count = sync.dropped_count;
    job->dropped_total = sync.dropped_total;
    job->outcomes = outcomes;
    job->outcome_count = job->groups->count;
    tell_sync(&sync);
    scrape_metrics_sync(&manager->metrics, job->name,
                        (double)(clock_mono_ns(&clock_system) - began_ns) / 1e9);
    map_deinit(&sync.seen);
    map_deinit(&sync.before);
    free(sync.kept);
    arena_deinit(&sync.scratch);
}

static Job *job_new(ScrapeManager *manager, const ScrapeJob *from, Str fingerprint,
                    const ScrapeJobs *jobs)
{
    Job *job = X_NEW(Job);
    job->name = arena_str(&job->names, from->config->job_name);
    job->fingerprint = arena_str(&job->names, fingerprint);
    job->groups = group_snapshot_new();
    job->keep = true;
    job->pool = X_NEW(ScrapePool);
    job->pool->shared = &manager->shared;
    job->pool->config = from->config;
    job->pool->local_write = from->local_write;
    job->pool->local_arg = from->local_arg;
    job->pool->owner = jobs->owner;
    job->pool->unref_owner = jobs->unref;
    job->pool->metadata_entries = gauge_of(manager->metrics.metadata_entries, &job->name);
    job->pool->metadata_bytes = gauge_of(manager->metrics.metadata_bytes, &job->name);
    gauge_set(gauge_of(manager->metrics.symbols, &job->name), 0);
    if (from->config->failure_log_file.len)
        job->pool->failure_log =
            failure_logs_open(manager->failure_logs, from->config->failure_log_file);
    atomic_init(&job->pool->refs, 1);
    if (jobs->ref)
        jobs->ref(jobs->owner);
    counter_inc(manager->metrics.pools);
    return job;
}

static int identity_order(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

// Stops the targets. Those that `heir` (may be NULL) has, too, get no stale markers: their series go on there.
static void stop_targets(const Job *job, const Job *heir)
{
    size_t count = heir ? heir->count : 0;
    uint64_t *inherited = X_ARRAY(uint64_t, count + 1);
    for (size_t i = 0; i < count; i++)
        inherited[i] = heir->entries[i].identity;
    qsort(inherited, count, sizeof *inherited, identity_order);
    for (size_t i = 0; i < job->count; i++) {
        bool goes_on = bsearch(&job->entries[i].identity, inherited, count, sizeof *inherited,
                               identity_order) != NULL;
        scrape_target_stop(job->entries[i].target, !goes_on);
    }
    free(inherited);
}

static void job_free(ScrapeManager *manager, Job *job, const Job *heir)
{
    stop_targets(job, heir);
    for (size_t i = 0; i < manager->thread_count; i++)
        scrape_thread_leave(manager->threads[i], job->pool);
    scrape_pool_unref(job->pool);
    group_snapshot_unref(job->groups);
    free(job->entries);
    arena_deinit(&job->found);
    arena_deinit(&job->names);
    free(job);
}

// ---- applying a configuration ----

Job *scrape_manager_job(ScrapeManager *manager, Str name)
{
    for (size_t i = 0; i < manager->job_count; i++)
        if (str_equal(manager->jobs[i]->name, name))
            return manager->jobs[i];
    return NULL;
}

static void on_groups(void *arg, Str name, GroupSnapshot *groups)
{
    ScrapeManager *manager = arg;
    lock_take(&manager->lock);
    Job *job = scrape_manager_job(manager, name);
    if (job) {
        group_snapshot_unref(job->groups);
        job->groups = groups;
        sync_job(manager, job);
    } else {
        group_snapshot_unref(groups);
    }
    lock_give(&manager->lock);
}

// Without discovery: another list of targets leaves the running ones alone.
static Str job_fingerprint(Arena *arena, const ScrapeJob *job)
{
    ScrapeConfig config = *job->config;
    config.discovery = (DiscoveryConfigs){0};
    Str text = config_fingerprint(arena, &scrape_config_table, &config);
    return arena_printf(arena, STR_FMT "%p %p", STR_ARG(text), (void *)(uintptr_t)job->local_write,
                        job->local_arg);
}

static int job_order(const void *a, const void *b)
{
    const Job *const *x = a;
    const Job *const *y = b;
    return str_compare((*x)->name, (*y)->name);
}

// The job that replaces `old` or takes its place unchanged.
static Job *apply_job(ScrapeManager *manager, const ScrapeJob *from, const ScrapeJobs *jobs,
                      Arena *arena) REQUIRES(manager->lock)
{
    Str fingerprint = job_fingerprint(arena, from);
    Job *old = scrape_manager_job(manager, from->config->job_name);
    if (old && str_equal(old->fingerprint, fingerprint)) {
        old->keep = true;
        if (from->config->failure_log_file.len)
            (void)failure_logs_open(manager->failure_logs, from->config->failure_log_file);
        return old;
    }
    Job *job = job_new(manager, from, fingerprint, jobs);
    if (old) {
        int64_t began_ns = clock_mono_ns(&clock_system);
        group_snapshot_unref(job->groups);
        job->groups = group_snapshot_ref(old->groups);
        sync_job(manager, job);
        counter_inc(manager->metrics.pool_reloads);
        scrape_metrics_reload(&manager->metrics, from->config->interval_ms,
                              (double)(clock_mono_ns(&clock_system) - began_ns) / 1e9);
    }
    return job;
}

static void apply_jobs(ScrapeManager *manager, const ScrapeJobs *jobs) REQUIRES(manager->lock)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    Job **fresh = X_ARRAY(Job *, jobs->count + 1);
    for (size_t i = 0; i < manager->job_count; i++)
        manager->jobs[i]->keep = false;
    for (size_t i = 0; i < jobs->count; i++)
        fresh[i] = apply_job(manager, &jobs->jobs[i], jobs, &arena);

    Job **old = manager->jobs;
    size_t old_count = manager->job_count;
    manager->jobs = fresh;
    manager->job_count = jobs->count;
    if (jobs->count)
        qsort(fresh, jobs->count, sizeof *fresh, job_order);
    for (size_t i = 0; i < old_count; i++)
        if (!old[i]->keep)
            job_free(manager, old[i], scrape_manager_job(manager, old[i]->name));
    free(old);
}

static uint64_t offset_seed(Labels external)
{
    char host[256] = "";
    CLEANUP(buf_deinit) Buf text = {0};
    if (gethostname(host, sizeof host - 1) == 0)
        buf_add_c(&text, host);
    labels_print(&text, external);
    return fnv_add(FNV_INIT, buf_str(&text));
}

void scrape_manager_apply(ScrapeManager *manager, const ScrapeJobs *jobs)
{
    uint64_t seed = offset_seed(jobs->external);
    lock_take(&manager->lock);
    manager->offset_seed = seed;
    apply_jobs(manager, jobs);
    lock_give(&manager->lock);

    // Without the lock: the discovery loop takes it to deliver.
    CLEANUP(arena_deinit) Arena arena = {0};
    DiscoveryJob *found = ARENA_ARRAY(&arena, DiscoveryJob, jobs->count);
    for (size_t i = 0; i < jobs->count; i++)
        found[i] = (DiscoveryJob){jobs->jobs[i].config->job_name, &jobs->jobs[i].config->discovery};
    discovery_apply(manager->discovery, found, jobs->count);
}

// ---- life of the manager ----

static bool start_threads(ScrapeManager *manager, int wanted, Error *err)
{
    int count =
        wanted > 0 ? MIN(wanted, SCRAPE_THREADS_MAX) : MIN(thread_cores(), THREADS_BY_DEFAULT);
    for (size_t i = 0; i < (size_t)count; i++) {
        if (!scrape_thread_new(&manager->shared, i, &manager->threads[i], err))
            return false;
        manager->thread_count++;
    }
    return true;
}

bool scrape_manager_new(const ScrapeManagerOptions *options, ScrapeManager **ret_manager,
                        Error *err)
{
    ScrapeManager *manager = X_NEW(ScrapeManager);
    Registry *registry = options->registry;
    if (!registry)
        registry = manager->own_registry = registry_new();
    lock_init(&manager->lock, "scrape manager", MANAGER_LOCK_RANK);
    scrape_metrics_init(&manager->metrics, registry);
    manager->failure_logs = failure_logs_new();
    manager->shared.sink = options->sink;
    manager->shared.clock = options->clock;
    manager->shared.metrics = &manager->metrics;
    manager->shared.start_times = options->start_times;
    manager->shared.zero_samples = options->zero_samples;
    manager->shared.synthesize = options->synthesize;
    manager->shared.type_and_unit_labels = options->type_and_unit_labels;
    manager->shared.tracer = options->tracer;
    manager->shared.registry = registry;
    manager->shared.last_work_ms = options->last_work_ms;
    manager->shared.wall_zero_ns =
        clock_mono_ns(options->clock) - clock_now_ms(options->clock) * 1000000;
    DiscoveryOptions discovery = {
        .name = S("scrape"), .registry = registry, .changed = on_groups, .arg = manager};
    if (!start_threads(manager, options->threads, err) ||
        !discovery_new(&discovery, &manager->discovery, err)) {
        scrape_manager_free(manager);
        return false;
    }
    *ret_manager = manager;
    return true;
}

static void free_jobs(ScrapeManager *manager)
{
    for (size_t i = 0; i < manager->job_count; i++) {
        Job *job = manager->jobs[i];
        // No markers at shutdown: the series go on when the server is back.
        for (size_t k = 0; k < job->count; k++)
            scrape_target_stop(job->entries[k].target, false);
        job->count = 0;
        job_free(manager, job, NULL);
    }
    free(manager->jobs);
}

void scrape_manager_free(ScrapeManager *manager)
{
    if (!manager)
        return;
    discovery_free(manager->discovery);
    free_jobs(manager);
    for (size_t i = 0; i < manager->thread_count; i++)
        scrape_thread_free(manager->threads[i]);
    failure_logs_free(manager->failure_logs);
    scrape_metrics_deinit(&manager->metrics);
    registry_free(manager->own_registry);
    lock_deinit(&manager->lock);
    free(manager);
}
