// SPDX-License-Identifier: Apache-2.0
#include "discovery/discovery.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/log.h"
#include "discovery/discovery_kind.h"

#define SETTLE_MS_MIN 100  // from the first change to its delivery
#define SETTLE_MS_MAX 5000 // when a job changes all the time

typedef struct Job Job;

// One running block of a job.
struct DiscoveryHost {
    Job *job;
    const DiscoveryKind *kind;
    size_t index; // among the job's blocks of its kind
    void *provider;
    GroupSnapshot *found; // its latest groups
};

struct Job {
    Discovery *discovery;
    Arena arena; // name, fingerprint, the copy of the configuration
    Str name;
    Str fingerprint;
    DiscoveryHost *hosts;
    size_t host_count;
    LoopTimer *settle;
    bool starting; // deliver once when all providers have started
    bool waiting;  // settle is set
    int64_t settle_ms;
    int64_t delivered_ns;
    bool keep; // mark during apply
    Job *next;
};

struct Discovery {
    DiscoveryOptions options;
    Loop *loop;
    Str name;
    Job *jobs; // owned by the loop
    DiscoveryCounters counters;
    Counter *updates;
    Counter *received;
    Counter *delayed;
    Family *targets; // {name, config}
};

GroupSnapshot *group_snapshot_new(void)
{
    GroupSnapshot *snapshot = X_NEW(GroupSnapshot);
    atomic_init(&snapshot->refs, 1);
    return snapshot;
}

GroupSnapshot *group_snapshot_ref(GroupSnapshot *snapshot)
{
    atomic_fetch_add_explicit(&snapshot->refs, 1, memory_order_relaxed);
    return snapshot;
}

void group_snapshot_unref(GroupSnapshot *snapshot)
{
    if (!snapshot || atomic_fetch_sub_explicit(&snapshot->refs, 1, memory_order_acq_rel) != 1)
        return;
    arena_deinit(&snapshot->arena);
    free(snapshot);
}

TargetGroup *group_snapshot_more(GroupSnapshot *snapshot, size_t count)
{
    snapshot->groups =
        arena_grow(&snapshot->arena, snapshot->groups, snapshot->count * sizeof(TargetGroup),
                   (snapshot->count + count) * sizeof(TargetGroup));
    return &snapshot->groups[snapshot->count];
}

bool discovery_at_rest(const DiscoveryConfigs *configs, DiscoveryAtRest *ret_rest, Error *err)
{
    DiscoveryAtRest rest = {.groups = group_snapshot_new(), .is_all = true};
    bool ok = true;
    for (size_t k = 0; k < discovery_kind_count && ok; k++) {
        const DiscoveryKind *kind = discovery_kinds[k];
        const ConfigList *list = &configs->lists[k];
        rest.is_all &= kind->at_rest || list->count == 0;
        for (size_t i = 0; kind->at_rest && i < list->count && ok; i++)
            ok = kind->at_rest((const char *)list->items + i * kind->table->bytes, &rest, err);
    }
    if (ok)
        *ret_rest = rest;
    else
        group_snapshot_unref(rest.groups);
    return ok;
}

static void add_copy(GroupSnapshot *all, const TargetGroup *from, const DiscoveryKind *kind)
{
    Arena *arena = &all->arena;
    TargetGroup *to = &all->groups[all->count++];
    to->source = arena_printf(arena, "%s/" STR_FMT, kind->name, STR_ARG(from->source));
    to->labels = labels_copy(arena, from->labels);
    to->target_count = from->target_count;
    to->targets = ARENA_ARRAY(arena, Labels, from->target_count);
    for (size_t i = 0; i < from->target_count; i++)
        to->targets[i] = labels_copy(arena, from->targets[i]);
}

static void deliver(Job *job)
{
    Discovery *discovery = job->discovery;
    GroupSnapshot *all = group_snapshot_new();
    size_t count = 0;
    size_t targets = 0;
    for (size_t i = 0; i < job->host_count; i++)
        count += job->hosts[i].found ? job->hosts[i].found->count : 0;
    all->groups = ARENA_ARRAY(&all->arena, TargetGroup, count);
    for (size_t i = 0; i < job->host_count; i++)
        for (size_t k = 0; job->hosts[i].found && k < job->hosts[i].found->count; k++) {
            add_copy(all, &job->hosts[i].found->groups[k], job->hosts[i].kind);
            targets += all->groups[all->count - 1].target_count;
        }
    job->waiting = false;
    job->delivered_ns = loop_now_ns(discovery->loop);
    if (discovery->targets) {
        const Str labels[] = {discovery->name, job->name};
        gauge_set(gauge_of(discovery->targets, labels), (double)targets);
        counter_inc(discovery->updates);
    }
    discovery->options.changed(discovery->options.arg, job->name, all);
}

static void on_settled(void *arg)
{
    deliver(arg);
}

// A change is delivered soon; a job that keeps changing, ever less often.
static void schedule(Job *job)
{
    if (job->starting)
        return;
    if (job->waiting) {
        if (job->discovery->delayed)
            counter_inc(job->discovery->delayed);
        return;
    }
    int64_t now_ns = loop_now_ns(job->discovery->loop);
    bool quiet = now_ns - job->delivered_ns > 2 * SETTLE_MS_MAX * 1000000LL;
    job->settle_ms =
        quiet ? SETTLE_MS_MIN : MIN(MAX(job->settle_ms * 2, SETTLE_MS_MIN), SETTLE_MS_MAX);
    job->waiting = true;
    loop_timer_set(job->settle, now_ns + job->settle_ms * 1000000);
}

void discovery_host_publish(DiscoveryHost *host, GroupSnapshot *snapshot)
{
    group_snapshot_unref(host->found);
    host->found = snapshot;
    if (host->job->discovery->received)
        counter_inc(host->job->discovery->received);
    schedule(host->job);
}

Loop *discovery_host_loop(DiscoveryHost *host)
{
    return host->job->discovery->loop;
}

size_t discovery_host_index(const DiscoveryHost *host)
{
    return host->index;
}

const DiscoveryCounters *discovery_host_counters(const DiscoveryHost *host)
{
    return &host->job->discovery->counters;
}

static void register_metrics(Discovery *discovery, Registry *registry)
{
    static const char *const by_name[] = {"name", NULL};
    static const char *const by_config[] = {"name", "config", NULL};
    static const char *const by_mechanism[] = {"mechanism", NULL};
    Str name = discovery->name;
    discovery->targets = registry_gauge(registry, "prometheus_sd_discovered_targets",
                                        "Current number of discovered targets.", by_config);
    discovery->updates = counter_of(
        registry_counter(registry, "prometheus_sd_updates_total",
                         "Total number of update events sent to the SD consumers.", by_name),
        &name);
    discovery->received = counter_of(
        registry_counter(registry, "prometheus_sd_received_updates_total",
                         "Total number of update events received from the SD providers.", by_name),
        &name);
    discovery->delayed =
        counter_of(registry_counter(
                       registry, "prometheus_sd_updates_delayed_total",
                       "Total number of update events that couldn't be sent immediately.", by_name),
                   &name);
    gauge_set(
        gauge_of(registry_gauge(
                     registry, "prometheus_sd_failed_configs",
                     "Current number of service discovery configurations that failed to load.",
                     by_name),
                 &name),
        0);
    discovery->counters.refresh_failures =
        registry_counter(registry, "prometheus_sd_refresh_failures_total",
                         "Number of refresh failures for the given SD mechanism.", by_mechanism);
    discovery->counters.file_read_errors =
        counter_of(registry_counter(registry, "prometheus_sd_file_read_errors_total",
                                    "The number of File-SD read errors.", NULL),
                   NULL);
}

bool discovery_new(const DiscoveryOptions *options, Discovery **ret_discovery, Error *err)
{
    Loop *loop;
    if (!loop_new("discovery", &loop, err))
        return false;
    if (!loop_start(loop, err)) {
        loop_free(loop);
        return false;
    }
    Discovery *discovery = X_NEW(Discovery);
    discovery->options = *options;
    discovery->loop = loop;
    discovery->name = options->name;
    if (options->registry)
        register_metrics(discovery, options->registry);
    *ret_discovery = discovery;
    return true;
}

static void job_free(Job *job)
{
    for (size_t i = 0; i < job->host_count; i++) {
        job->hosts[i].kind->stop(job->hosts[i].provider);
        group_snapshot_unref(job->hosts[i].found);
    }
    if (job->discovery->targets) {
        const Str labels[] = {job->discovery->name, job->name};
        family_remove(job->discovery->targets, labels);
    }
    loop_timer_free(job->settle);
    free(job->hosts);
    arena_deinit(&job->arena);
    free(job);
}

typedef struct ApplyCall {
    Discovery *discovery;
    const DiscoveryJob *jobs;
    size_t count;
} ApplyCall;

// The blocks are decoded again from their own printed form, so that they outlive the configuration they came from.
static const DiscoveryConfigs *copy_configs(Job *job)
{
    ConfigReader reader = {.arena = &job->arena, .file_name = job->name};
    DiscoveryConfigs *copy = ARENA_NEW(&job->arena, DiscoveryConfigs);
    YamlNode *root;
    Error err = {0};
    bool ok = yaml_parse(job->fingerprint, job->name, &job->arena, &root, &err) &&
              config_decode(&reader, &discovery_configs_table, root, copy, &err);
    ASSERT(ok); // it was decoded before it was printed
    return copy;
}

static void start_hosts(Job *job)
{
    const DiscoveryConfigs *configs = copy_configs(job);
    for (size_t kind = 0; kind < discovery_kind_count; kind++)
        job->host_count += configs->lists[kind].count;
    job->hosts = X_ARRAY(DiscoveryHost, job->host_count + 1);
    DiscoveryHost *host = job->hosts;
    for (size_t kind = 0; kind < discovery_kind_count; kind++)
        for (size_t i = 0; i < configs->lists[kind].count; i++, host++) {
            const char *items = configs->lists[kind].items;
            *host = (DiscoveryHost){.job = job, .kind = discovery_kinds[kind], .index = i};
            host->provider = host->kind->start(host, items + i * host->kind->table->bytes);
        }
}

static Job *job_start(Discovery *discovery, Str name, Str fingerprint)
{
    Job *job = X_NEW(Job);
    job->discovery = discovery;
    job->name = arena_str(&job->arena, name);
    job->fingerprint = arena_str(&job->arena, fingerprint);
    job->settle = loop_timer_new(discovery->loop, on_settled, job);
    job->keep = true;
    job->starting = true;
    start_hosts(job);
    job->starting = false;
    deliver(job);
    return job;
}

static Job *find_job(Discovery *discovery, Str name, Str fingerprint)
{
    for (Job *job = discovery->jobs; job; job = job->next)
        if (str_equal(job->name, name) && str_equal(job->fingerprint, fingerprint))
            return job;
    return NULL;
}

static void drop_unkept(Discovery *discovery)
{
    for (Job **at = &discovery->jobs; *at;) {
        Job *job = *at;
        if (job->keep) {
            at = &job->next;
            continue;
        }
        *at = job->next;
        job_free(job);
    }
}

static void apply(void *arg)
{
    const ApplyCall *call = arg;
    Discovery *discovery = call->discovery;
    CLEANUP(arena_deinit) Arena arena = {0};
    Str *fingerprints = ARENA_ARRAY(&arena, Str, call->count);
    for (Job *job = discovery->jobs; job; job = job->next)
        job->keep = false;
    for (size_t i = 0; i < call->count; i++) {
        fingerprints[i] =
            config_fingerprint(&arena, &discovery_configs_table, call->jobs[i].configs);
        Job *job = find_job(discovery, call->jobs[i].name, fingerprints[i]);
        if (job)
            job->keep = true;
    }
    drop_unkept(discovery);
    for (size_t i = 0; i < call->count; i++) {
        if (find_job(discovery, call->jobs[i].name, fingerprints[i]))
            continue;
        Job *job = job_start(discovery, call->jobs[i].name, fingerprints[i]);
        job->next = discovery->jobs;
        discovery->jobs = job;
    }
}

void discovery_apply(Discovery *discovery, const DiscoveryJob *jobs, size_t count)
{
    ApplyCall call = {discovery, jobs, count};
    loop_call(discovery->loop, apply, &call);
}

static void stop_all(void *arg)
{
    Discovery *discovery = arg;
    for (Job *job = discovery->jobs; job; job = job->next)
        job->keep = false;
    drop_unkept(discovery);
}

void discovery_free(Discovery *discovery)
{
    if (!discovery)
        return;
    loop_call(discovery->loop, stop_all, discovery);
    loop_stop(discovery->loop);
    loop_join(discovery->loop);
    loop_free(discovery->loop);
    free(discovery);
}
