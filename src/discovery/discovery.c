// SPDX-License-Identifier: Apache-2.0
#include "discovery/discovery.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "discovery/discovery_kind.h"
#include "net/http_client.h"

#define SETTLE_MS_MIN 100  // from the first change to its delivery
#define SETTLE_MS_MAX 5000 // when a job changes all the time

typedef struct Job Job;

// One running block, for all jobs that have an equal one.
struct DiscoveryHost {
    Discovery *discovery;
    const DiscoveryKind *kind;
    Arena arena; // key, job, the copy of the configuration
    Str key;     // kind and fingerprint
    Str job;     // that was the first to use it
    void *provider;
    GroupSnapshot *found; // its latest groups
    Job **users;          // a job stands here once for each of its blocks
    size_t user_count;
    size_t user_cap;
    bool failed;
};

struct Job {
    Discovery *discovery;
    Arena arena; // name, fingerprint
    Str name;
    Str fingerprint;
    DiscoveryHost **hosts;
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
    Map hosts; // by key, owned by the loop
    size_t failed;
    DiscoveryCounters counters;
    Counter *updates;
    Counter *received;
    Counter *delayed;
    Gauge *failed_configs;
    Family *targets;      // {name, config}
    Family *last_updates; // {name, config}
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
    for (size_t i = 0; i < snapshot->part_count; i++)
        group_snapshot_unref(snapshot->parts[i]);
    arena_deinit(&snapshot->arena);
    free(snapshot);
}

// The array has room for a power of two, so that adding one by one stays cheap.
static size_t room_for(size_t count)
{
    size_t room = 1;
    while (room < count)
        room *= 2;
    return count ? room : 0;
}

TargetGroup *group_snapshot_more(GroupSnapshot *snapshot, size_t count)
{
    size_t have = room_for(snapshot->count);
    size_t want = room_for(snapshot->count + count);
    if (want > have)
        snapshot->groups = arena_grow(&snapshot->arena, snapshot->groups,
                                      have * sizeof(TargetGroup), want * sizeof(TargetGroup));
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

// Labels and targets stay where the provider's snapshot has them; only the source is made unique within the job.
static void add_part(GroupSnapshot *all, const DiscoveryHost *host, size_t index)
{
    for (size_t i = 0; i < host->found->count; i++) {
        TargetGroup *to = &all->groups[all->count++];
        *to = host->found->groups[i];
        to->source = arena_printf(&all->arena, "%s/%zu/" STR_FMT, host->kind->name, index,
                                  STR_ARG(host->found->groups[i].source));
    }
    all->parts[all->part_count++] = group_snapshot_ref(host->found);
}

static void count_delivery(Job *job, const GroupSnapshot *all)
{
    const Discovery *discovery = job->discovery;
    const Str labels[] = {discovery->name, job->name};
    size_t targets = 0;
    if (!discovery->targets)
        return;
    for (size_t i = 0; i < all->count; i++)
        targets += all->groups[i].target_count;
    gauge_set(gauge_of(discovery->targets, labels), (double)targets);
    gauge_set(gauge_of(discovery->last_updates, labels),
              (double)clock_now_ms(&clock_system) / 1000);
    counter_inc(discovery->updates);
}

static void deliver(Job *job)
{
    GroupSnapshot *all = group_snapshot_new();
    size_t count = 0;
    for (size_t i = 0; i < job->host_count; i++)
        count += job->hosts[i]->found ? job->hosts[i]->found->count : 0;
    all->groups = ARENA_ARRAY(&all->arena, TargetGroup, count);
    all->parts = ARENA_ARRAY(&all->arena, GroupSnapshot *, job->host_count);
    for (size_t i = 0; i < job->host_count; i++)
        if (job->hosts[i]->found)
            add_part(all, job->hosts[i], i);
    job->waiting = false;
    job->delivered_ns = loop_now_ns(job->discovery->loop);
    count_delivery(job, all);
    job->discovery->options.changed(job->discovery->options.arg, job->name, all);
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

static void hash_labels(Buf *buf, Labels labels)
{
    for (size_t i = 0; i < labels.count; i++) {
        buf_add_u64le(buf, labels.pairs[i].name.len);
        buf_add_str(buf, labels.pairs[i].name);
        buf_add_u64le(buf, labels.pairs[i].value.len);
        buf_add_str(buf, labels.pairs[i].value);
    }
    buf_add_u64le(buf, UINT64_MAX); // no length of a string
}

void target_group_hash(TargetGroup *group)
{
    CLEANUP(buf_deinit) Buf bytes = {0};
    hash_labels(&bytes, group->labels);
    for (size_t i = 0; i < group->target_count; i++)
        hash_labels(&bytes, group->targets[i]);
    group->hash = str_hash128(buf_str(&bytes));
}

static bool is_same(const GroupSnapshot *a, const GroupSnapshot *b)
{
    if (!a || a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (a->groups[i].hash.low != b->groups[i].hash.low ||
            a->groups[i].hash.high != b->groups[i].hash.high ||
            !str_equal(a->groups[i].source, b->groups[i].source))
            return false;
    return true;
}

void discovery_host_publish(DiscoveryHost *host, GroupSnapshot *snapshot)
{
    if (host->discovery->received)
        counter_inc(host->discovery->received);
    for (size_t i = 0; i < snapshot->count; i++)
        if (!snapshot->groups[i].hash.low && !snapshot->groups[i].hash.high)
            target_group_hash(&snapshot->groups[i]);
    if (is_same(host->found, snapshot)) {
        group_snapshot_unref(snapshot);
        return;
    }
    group_snapshot_unref(host->found);
    host->found = snapshot;
    for (size_t i = 0; i < host->user_count; i++)
        if (i == 0 || host->users[i] != host->users[i - 1])
            schedule(host->users[i]);
}

Loop *discovery_host_loop(DiscoveryHost *host)
{
    return host->discovery->loop;
}

const DiscoveryKind *discovery_host_kind(const DiscoveryHost *host)
{
    return host->kind;
}

Str discovery_host_job(const DiscoveryHost *host)
{
    return host->job;
}

static void count_failed(Discovery *discovery)
{
    if (discovery->failed_configs)
        gauge_set(discovery->failed_configs, (double)discovery->failed);
}

void discovery_host_fail(DiscoveryHost *host)
{
    host->discovery->failed += !host->failed;
    host->failed = true;
    count_failed(host->discovery);
}

void discovery_host_track(DiscoveryHost *host, HttpClient *client)
{
    char name[64];
    // As the original names its dialers.
    bool plain = strcmp(host->kind->name, "http") == 0 || strcmp(host->kind->name, "puppetdb") == 0;
    int len =
        snprintf(name, sizeof name, "%s%s", plain ? "http" : host->kind->name, plain ? "" : "_sd");
    http_client_track(client, host->discovery->counters.registry, str_make(name, (size_t)len));
}

static Counter *own_counter(Registry *registry, const DiscoveryKind *kind, size_t counter)
{
    return counter_of(registry_counter(registry, kind->counters[counter].name,
                                       kind->counters[counter].help, NULL),
                      NULL);
}

void discovery_host_count(const DiscoveryHost *host, size_t counter)
{
    Registry *registry = host->discovery->counters.registry;
    if (registry)
        counter_inc(own_counter(registry, host->kind, counter));
}

void discovery_host_refreshed(const DiscoveryHost *host, int64_t began_ns, bool failed)
{
    const DiscoveryCounters *counters = &host->discovery->counters;
    double took_s = (double)(clock_mono_ns(&clock_system) - began_ns) / 1e9;
    const Str labels[] = {str_from_c(host->kind->name), host->job};
    CLEANUP(arena_deinit) Arena arena = {0};
    if (!counters->registry)
        return;
    summary_observe(
        summary_of(counters->refresh_durations, summary_key(&arena, labels, COUNT_OF(labels))),
        took_s);
    histogram_observe(histogram_of(counters->refresh_histogram, labels), took_s);
    counter_add(counter_of(counters->refresh_failures, labels), failed ? 1 : 0);
}

const DiscoveryCounters *discovery_host_counters(const DiscoveryHost *host)
{
    return &host->discovery->counters;
}

static Counter *counter_by_name(const Discovery *discovery, Registry *registry, const char *name,
                                const char *help)
{
    static const char *const by_name[] = {"name", NULL};
    return counter_of(registry_counter(registry, name, help, by_name), &discovery->name);
}

static void register_refreshes(DiscoveryCounters *counters, Registry *registry)
{
    static const char *const by_both[] = {"mechanism", "config", NULL};
    static const char *const by_mechanism[] = {"mechanism", NULL};
    static const char *const by_file[] = {"filename", NULL};
    static const char *const quantiles[] = {"0.5", "0.9", "0.99", NULL};
    static const double bounds[] = {0.01, 0.1, 1, 10};
    counters->registry = registry;
    counters->refresh_failures =
        registry_counter(registry, "prometheus_sd_refresh_failures_total",
                         "Number of refresh failures for the given SD mechanism.", by_both);
    counters->refresh_durations =
        summary_new(registry, "prometheus_sd_refresh_duration_seconds",
                    "The duration of a refresh in seconds for the given SD mechanism.",
                    "mechanism,config", quantiles);
    counters->refresh_histogram =
        registry_histogram(registry, "prometheus_sd_refresh_duration_histogram_seconds",
                           "The duration of a refresh for the given SD mechanism.", by_mechanism,
                           bounds, COUNT_OF(bounds));
    counters->file_mtime = registry_gauge(
        registry, "prometheus_sd_file_mtime_seconds",
        "Timestamp (mtime) of files read by FileSD. Timestamp is set at read time.", by_file);
    counters->file_scans =
        summary_new(registry, "prometheus_sd_file_scan_duration_seconds",
                    "The duration of the File-SD scan in seconds.", NULL, quantiles);
    counters->file_scan = summary_of(counters->file_scans, STR_NONE);
    counters->file_watch_errors = counter_of(
        registry_counter(registry, "prometheus_sd_file_watcher_errors_total",
                         "The number of File-SD errors caused by filesystem watch failures.", NULL),
        NULL);
    (void)gauge_of(registry_gauge(registry, "prometheus_treecache_watcher_goroutines",
                                  "Always 0: watches of ZooKeeper need no goroutines here.", NULL),
                   NULL);
    counters->consul_durations =
        summary_new(registry, "prometheus_sd_consul_rpc_duration_seconds",
                    "The duration of a Consul RPC call in seconds.", "endpoint,call", quantiles);
    for (size_t k = 0; k < discovery_kind_count; k++)
        for (size_t i = 0; i < COUNT_OF(discovery_kinds[k]->counters); i++)
            if (discovery_kinds[k]->counters[i].name)
                (void)own_counter(registry, discovery_kinds[k], i); // shown from the start
}

static void register_metrics(Discovery *discovery, Registry *registry)
{
    static const char *const by_name[] = {"name", NULL};
    static const char *const by_config[] = {"name", "config", NULL};
    discovery->targets = registry_gauge(registry, "prometheus_sd_discovered_targets",
                                        "Current number of discovered targets.", by_config);
    discovery->last_updates =
        registry_gauge(registry, "prometheus_sd_last_update_timestamp_seconds",
                       "Timestamp of the last update sent to the SD consumers.", by_config);
    discovery->updates = counter_by_name(discovery, registry, "prometheus_sd_updates_total",
                                         "Total number of update events sent to the SD consumers.");
    discovery->received =
        counter_by_name(discovery, registry, "prometheus_sd_received_updates_total",
                        "Total number of update events received from the SD providers.");
    discovery->delayed =
        counter_by_name(discovery, registry, "prometheus_sd_updates_delayed_total",
                        "Total number of update events that couldn't be sent immediately.");
    discovery->failed_configs = gauge_of(
        registry_gauge(registry, "prometheus_sd_failed_configs",
                       "Current number of service discovery configurations that failed to load.",
                       by_name),
        &discovery->name);
    count_failed(discovery);
    register_refreshes(&discovery->counters, registry);
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

static void forget_refreshes(const DiscoveryHost *host)
{
    const DiscoveryCounters *counters = &host->discovery->counters;
    const Str labels[] = {str_from_c(host->kind->name), host->job};
    if (!counters->registry)
        return;
    CLEANUP(arena_deinit) Arena arena = {0};
    family_remove(counters->refresh_failures, labels);
    summary_remove(counters->refresh_durations, summary_key(&arena, labels, COUNT_OF(labels)));
}

static void host_free(DiscoveryHost *host)
{
    host->kind->stop(host->provider);
    forget_refreshes(host);
    host->discovery->failed -= host->failed;
    count_failed(host->discovery);
    map_remove(&host->discovery->hosts, host->key);
    group_snapshot_unref(host->found);
    free(host->users);
    arena_deinit(&host->arena);
    free(host);
}

static void host_leave(DiscoveryHost *host, const Job *job)
{
    for (size_t i = 0; i < host->user_count; i++)
        if (host->users[i] == job) {
            memmove(&host->users[i], &host->users[i + 1],
                    (host->user_count - i - 1) * sizeof(Job *));
            host->user_count--;
            break;
        }
    if (host->user_count == 0)
        host_free(host);
}

static void job_free(Job *job)
{
    for (size_t i = 0; i < job->host_count; i++)
        host_leave(job->hosts[i], job);
    if (job->discovery->targets) {
        const Str labels[] = {job->discovery->name, job->name};
        family_remove(job->discovery->targets, labels);
        family_remove(job->discovery->last_updates, labels);
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

// A block is decoded again from its own printed form, so that it outlives the configuration it came from.
static const void *copy_config(DiscoveryHost *host, Str printed)
{
    ConfigReader reader = {.arena = &host->arena, .file_name = host->job};
    void *copy = arena_zalloc(&host->arena, host->kind->table->bytes);
    YamlNode *root;
    Error err = {0};
    bool ok = yaml_parse(printed, host->job, &host->arena, &root, &err) &&
              config_decode(&reader, host->kind->table, root, copy, &err);
    if (!ok)
        log_error("copying a discovery's configuration failed", KV("err", &err));
    ASSERT(ok); // it was decoded before it was printed
    return copy;
}

static void host_join(DiscoveryHost *host, Job *job)
{
    if (host->user_count == host->user_cap) {
        host->user_cap = host->user_cap ? host->user_cap * 2 : 2;
        host->users = x_realloc(host->users, host->user_cap * sizeof(Job *));
    }
    host->users[host->user_count++] = job;
}

// The provider of such a block, started if no other job has one.
static DiscoveryHost *host_for(Job *job, const DiscoveryKind *kind, const void *config)
{
    Discovery *discovery = job->discovery;
    CLEANUP(arena_deinit) Arena arena = {0};
    Str printed = config_fingerprint(&arena, kind->table, config);
    Str key = arena_printf(&arena, "%s\n" STR_FMT, kind->name, STR_ARG(printed));
    DiscoveryHost *host = map_get(&discovery->hosts, key);
    if (host) {
        host_join(host, job);
        return host;
    }
    host = X_NEW(DiscoveryHost);
    host->discovery = discovery;
    host->kind = kind;
    host->key = arena_str(&host->arena, key);
    host->job = arena_str(&host->arena, job->name);
    map_put(&discovery->hosts, host->key, host);
    host_join(host, job);
    host->provider = kind->start(host, copy_config(host, arena_str(&host->arena, printed)));
    return host;
}

static void start_hosts(Job *job, const DiscoveryConfigs *configs)
{
    size_t count = 0;
    for (size_t kind = 0; kind < discovery_kind_count; kind++)
        count += configs->lists[kind].count;
    job->hosts = X_ARRAY(DiscoveryHost *, count + 1);
    for (size_t kind = 0; kind < discovery_kind_count; kind++)
        for (size_t i = 0; i < configs->lists[kind].count; i++) {
            const char *items = configs->lists[kind].items;
            job->hosts[job->host_count++] = host_for(
                job, discovery_kinds[kind], items + i * discovery_kinds[kind]->table->bytes);
        }
}

static Job *job_start(Discovery *discovery, const DiscoveryJob *from, Str fingerprint)
{
    Job *job = X_NEW(Job);
    job->discovery = discovery;
    job->name = arena_str(&job->arena, from->name);
    job->fingerprint = arena_str(&job->arena, fingerprint);
    job->settle = loop_timer_new(discovery->loop, on_settled, job);
    job->keep = true;
    job->starting = true;
    start_hosts(job, from->configs);
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
    // What is new joins first, so that providers which both configurations have go on.
    for (size_t i = 0; i < call->count; i++) {
        if (find_job(discovery, call->jobs[i].name, fingerprints[i]))
            continue;
        Job *job = job_start(discovery, &call->jobs[i], fingerprints[i]);
        job->next = discovery->jobs;
        discovery->jobs = job;
    }
    drop_unkept(discovery);
    for (Job *job = discovery->jobs; job; job = job->next)
        if (job->starting) {
            job->starting = false;
            deliver(job);
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
    map_deinit(&discovery->hosts);
    summary_free(discovery->counters.refresh_durations);
    summary_free(discovery->counters.consul_durations);
    summary_free(discovery->counters.file_scans);
    free(discovery);
}
