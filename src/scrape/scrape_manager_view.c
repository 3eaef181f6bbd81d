// SPDX-License-Identifier: Apache-2.0
// What the API shows of targets, their metadata and relabelling.
#include <stdlib.h>

#include "metric/relabel.h"
#include "scrape/scrape_manager_internal.h"

typedef struct StatusCall {
    const ScrapeThread *thread;
    ScrapeTarget *const *targets;
    TargetInfo *infos;
    size_t count;
    Arena *arena;
} StatusCall;

static void status_on_thread(void *arg)
{
    const StatusCall *call = arg;
    for (size_t i = 0; i < call->count; i++)
        if (scrape_target_thread(call->targets[i]) == call->thread)
            scrape_target_status(call->targets[i], call->arena, &call->infos[i]);
}

static int info_order(const void *a, const void *b)
{
    const TargetInfo *x = a;
    const TargetInfo *y = b;
    int order = str_compare(x->pool, y->pool);
    return order ? order : str_compare(x->url, y->url);
}

static bool is_wanted(const Job *job, Str pool)
{
    return pool.len == 0 || str_equal(pool, job->name);
}

static void list_active(ScrapeManager *manager, Str pool, Arena *arena, TargetsSnapshot *snapshot)
    REQUIRES(manager->lock)
{
    size_t count = 0;
    for (size_t i = 0; i < manager->job_count; i++)
        count += is_wanted(manager->jobs[i], pool) ? manager->jobs[i]->count : 0;
    TargetInfo *infos = ARENA_ARRAY(arena, TargetInfo, count);
    ScrapeTarget **targets = ARENA_ARRAY(arena, ScrapeTarget *, count);
    size_t at = 0;
    for (size_t i = 0; i < manager->job_count; i++) {
        const Job *job = manager->jobs[i];
        for (size_t k = 0; is_wanted(job, pool) && k < job->count; k++, at++) {
            const TargetSpec *spec = scrape_target_spec(job->entries[k].target);
            targets[at] = job->entries[k].target;
            infos[at] = (TargetInfo){.pool = arena_str(arena, job->name),
                                     .discovered = labels_copy(arena, job->entries[k].discovered),
                                     .labels = labels_copy(arena, spec->labels),
                                     .url = arena_str(arena, spec->url),
                                     .interval_ms = spec->interval_ms,
                                     .timeout_ms = spec->timeout_ms};
        }
    }
    for (size_t i = 0; i < manager->thread_count; i++) {
        StatusCall call = {manager->threads[i], targets, infos, count, arena};
        scrape_thread_call(manager->threads[i], status_on_thread, &call);
    }
    if (count)
        qsort(infos, count, sizeof *infos, info_order);
    snapshot->active = infos;
    snapshot->active_count = count;
}

static void list_dropped(ScrapeManager *manager, Str pool, Arena *arena, TargetsSnapshot *snapshot)
    REQUIRES(manager->lock)
{
    size_t count = 0;
    for (size_t i = 0; i < manager->job_count; i++)
        count += is_wanted(manager->jobs[i], pool) ? manager->jobs[i]->dropped_count : 0;
    snapshot->dropped = ARENA_ARRAY(arena, DroppedInfo, count);
    for (size_t i = 0; i < manager->job_count; i++) {
        const Job *job = manager->jobs[i];
        for (size_t k = 0; is_wanted(job, pool) && k < job->dropped_count; k++)
            snapshot->dropped[snapshot->dropped_count++] =
                (DroppedInfo){arena_str(arena, job->name), labels_copy(arena, job->dropped[k])};
    }
}

void scrape_manager_targets(ScrapeManager *manager, Str pool, bool active, bool dropped,
                            Arena *arena, TargetsSnapshot *ret_snapshot)
{
    TargetsSnapshot snapshot = {0};
    lock_take(&manager->lock);
    snapshot.pools = ARENA_ARRAY(arena, PoolInfo, manager->job_count);
    for (size_t i = 0; i < manager->job_count; i++)
        if (is_wanted(manager->jobs[i], pool))
            snapshot.pools[snapshot.pool_count++] = (PoolInfo){
                arena_str(arena, manager->jobs[i]->name), manager->jobs[i]->dropped_total};
    if (active)
        list_active(manager, pool, arena, &snapshot);
    if (dropped)
        list_dropped(manager, pool, arena, &snapshot);
    lock_give(&manager->lock);
    *ret_snapshot = snapshot;
}

// A list of metadata that grows in an arena.
typedef struct MetadataList {
    TargetMetadata *items;
    size_t count;
    size_t cap;
    size_t limit; // 0: none
    Arena *arena;
} MetadataList;

static bool is_full(const MetadataList *list)
{
    return list->limit && list->count >= list->limit;
}

static void add_metadata(MetadataList *list, Labels target, const FamilyText *family)
{
    if (is_full(list))
        return;
    if (list->count == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 64;
        list->items = arena_grow(list->arena, list->items, list->cap * sizeof *list->items,
                                 cap * sizeof *list->items);
        list->cap = cap;
    }
    list->items[list->count++] = (TargetMetadata){
        .target = target,
        .metric = arena_str(list->arena, family->name),
        .metadata = {family->metadata.type, arena_str(list->arena, family->metadata.help),
                     arena_str(list->arena, family->metadata.unit)},
    };
}

typedef struct MetadataCall {
    const ScrapeThread *thread; // families of all its targets, or
    const ScrapeTarget *target; // those of one
    Labels labels;
    Str metric;
    MetadataList *list;
} MetadataCall;

static void target_metadata_on_thread(void *arg)
{
    const MetadataCall *call = arg;
    const MetadataCache *cache = scrape_target_metadata(call->target);
    for (size_t i = 0; i < cache->count; i++)
        if (call->metric.len == 0 || str_equal(call->metric, cache->slots[i].family->name))
            add_metadata(call->list, call->labels, cache->slots[i].family);
}

void scrape_manager_target_metadata(ScrapeManager *manager, const Matcher *matchers,
                                    size_t matcher_count, Str metric, size_t limit, Arena *arena,
                                    TargetMetadata **ret_list, size_t *ret_count)
{
    MetadataList list = {.limit = limit, .arena = arena};
    lock_take(&manager->lock);
    for (size_t i = 0; i < manager->job_count; i++) {
        const Job *job = manager->jobs[i];
        for (size_t k = 0; k < job->count && !is_full(&list); k++) {
            ScrapeTarget *target = job->entries[k].target;
            Labels labels = scrape_target_spec(target)->labels;
            if (!matchers_match(matchers, matcher_count, labels))
                continue;
            MetadataCall call = {.target = target,
                                 .labels = labels_copy(arena, labels),
                                 .metric = metric,
                                 .list = &list};
            scrape_thread_call(scrape_target_thread(target), target_metadata_on_thread, &call);
        }
    }
    lock_give(&manager->lock);
    *ret_list = list.items;
    *ret_count = list.count;
}

static void families_on_thread(void *arg)
{
    const MetadataCall *call = arg;
    const MetadataPool *pool = scrape_thread_metadata(call->thread);
    for (MapEntry *e = NULL; (e = map_next(&pool->families, e));) {
        const FamilyText *family = e->value;
        if (call->metric.len == 0 || str_equal(call->metric, family->name))
            add_metadata(call->list, LABELS_NONE, family);
    }
}

static int metadata_order(const void *a, const void *b)
{
    const TargetMetadata *x = a;
    const TargetMetadata *y = b;
    int order = str_compare(x->metric, y->metric);
    if (order == 0)
        order = (x->metadata.type > y->metadata.type) - (x->metadata.type < y->metadata.type);
    if (order == 0)
        order = str_compare(x->metadata.help, y->metadata.help);
    return order ? order : str_compare(x->metadata.unit, y->metadata.unit);
}

void scrape_manager_metadata(ScrapeManager *manager, Str metric, Arena *arena,
                             TargetMetadata **ret_list, size_t *ret_count)
{
    MetadataList list = {.arena = arena};
    for (size_t i = 0; i < manager->thread_count; i++) {
        MetadataCall call = {.thread = manager->threads[i], .metric = metric, .list = &list};
        scrape_thread_call(manager->threads[i], families_on_thread, &call);
    }
    if (list.count)
        qsort(list.items, list.count, sizeof *list.items, metadata_order);
    size_t unique = 0;
    for (size_t i = 0; i < list.count; i++)
        if (i == 0 || metadata_order(&list.items[unique - 1], &list.items[i]) != 0)
            list.items[unique++] = list.items[i];
    *ret_list = list.items;
    *ret_count = unique;
}

bool scrape_manager_pool_yaml(ScrapeManager *manager, Str pool, Buf *out)
{
    lock_take(&manager->lock);
    const Job *job = scrape_manager_job(manager, pool);
    if (job)
        config_print(out, 0, &scrape_config_table, job->pool->config);
    lock_give(&manager->lock);
    return job != NULL;
}

static void run_steps(const ScrapeConfig *config, Labels discovered, Arena *arena,
                      RelabelStep **ret_steps, size_t *ret_count)
{
    const RelabelRule *rules = config->relabel.items;
    RelabelStep *steps = ARENA_ARRAY(arena, RelabelStep, config->relabel.count);
    size_t count = 0;
    bool keep = true;
    Labels labels = discovered;
    for (; keep && count < config->relabel.count; count++) {
        CLEANUP(buf_deinit) Buf rule = {0};
        LabelsBuilder builder;
        labels_builder_init(&builder, arena, labels);
        keep = relabel_apply(&rules[count], 1, &builder);
        labels = labels_copy(arena, labels_builder_finish(&builder));
        config_print(&rule, 0, &relabel_rule_table, &rules[count]);
        steps[count] = (RelabelStep){arena_str(arena, buf_str(&rule)), labels, keep};
    }
    *ret_steps = steps;
    *ret_count = count;
}

bool scrape_manager_relabel_steps(ScrapeManager *manager, Str pool, Labels discovered, Arena *arena,
                                  RelabelStep **ret_steps, size_t *ret_count, Error *err)
{
    lock_take(&manager->lock);
    const Job *job = scrape_manager_job(manager, pool);
    if (job)
        run_steps(job->pool->config, discovered, arena, ret_steps, ret_count);
    lock_give(&manager->lock);
    return job ||
           error_set(err, ERR_NOT_FOUND, "scrape pool \"" STR_FMT "\" not found", STR_ARG(pool));
}
