// SPDX-License-Identifier: Apache-2.0
#include "rules/notifier.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/timefmt.h"
#include "codec/json_writer.h"
#include "rules/notifier_internal.h"
#include "rules/rules_internal.h"

#define DRAIN_MS_MAX 30000 // at the end, over all requests

// Configurations -----------------------------------------------------------------------------------------------------------------------

static NotifierRules *rules_new(const NotifierConfig *config)
{
    NotifierRules *rules = X_NEW(NotifierRules);
    atomic_init(&rules->refs, 1);
    rules->config = *config;
    config->ref(config->owner);
    return rules;
}

static void rules_unref(NotifierRules *rules)
{
    if (!rules || atomic_fetch_sub_explicit(&rules->refs, 1, memory_order_acq_rel) != 1)
        return;
    rules->config.unref(rules->config.owner);
    free(rules);
}

static NotifierRules *current_rules(Notifier *notifier)
{
    lock_take(&notifier->lock);
    NotifierRules *rules = notifier->rules;
    if (rules)
        atomic_fetch_add_explicit(&rules->refs, 1, memory_order_relaxed);
    lock_give(&notifier->lock);
    return rules;
}

// Making alerts ready ------------------------------------------------------------------------------------------------------------------

// Alerts on their way from a caller to the loop, set by set.
typedef struct Delivery {
    Notifier *notifier;
    NotifierItem ***items; // by set
    size_t *counts;
    size_t set_count;
    Arena arena;
} Delivery;

static void json_time(JsonWriter *json, const char *key, int64_t t_ms)
{
    char text[64];
    int64_t seconds = t_ms >= 0 ? t_ms / 1000 : -((999 - t_ms) / 1000);
    CivilTime t = civil_from_s(seconds);
    snprintf(text, sizeof text, "%04lld-%02d-%02dT%02d:%02d:%02d.%03dZ", (long long)t.year, t.month,
             t.day, t.hour, t.minute, t.second, (int)(t_ms - seconds * 1000));
    json_key_c(json, key, text);
}

static void json_labels(JsonWriter *json, const char *key, Labels labels)
{
    json_key(json, str_from_c(key));
    json_object(json);
    for (size_t i = 0; i < labels.count; i++) {
        json_key(json, labels.pairs[i].name);
        json_str(json, labels.pairs[i].value);
    }
    json_object_end(json);
}

static NotifierItem *make_item(const NotifierAlert *alert, Labels labels, Buf *scratch)
{
    JsonWriter json;
    buf_reset(scratch);
    json_writer_init(&json, scratch);
    json_object(&json);
    json_labels(&json, "annotations", alert->annotations);
    json_time(&json, "endsAt", alert->ends_at_ms);
    json_time(&json, "startsAt", alert->starts_at_ms);
    json_key_str(&json, "generatorURL", alert->generator_url);
    json_labels(&json, "labels", labels);
    json_object_end(&json);
    NotifierItem *item = x_malloc(sizeof *item + scratch->len);
    item->refs = 0;
    item->len = scratch->len;
    memcpy(item->json, scratch->ptr, scratch->len);
    return item;
}

static bool relabel(const ConfigList *rules, LabelsBuilder *builder)
{
    return rules->count == 0 || relabel_apply(rules->items, rules->count, builder);
}

// One alert for every set that wants it; sets without rules of their own share its text.
// *ret_prepared are the alert's labels as all sets get them, in the arena; false if none does.
static bool deliver_alert(Delivery *delivery, const NotifierConfig *config,
                          const NotifierAlert *alert, Arena *arena, Buf *scratch,
                          Labels *ret_prepared)
{
    LabelsBuilder builder;
    NotifierItem *shared = NULL;
    labels_builder_init(&builder, arena, alert->labels);
    for (size_t i = 0; i < config->external_labels.count; i++) {
        const Label *pair = &config->external_labels.pairs[i];
        if (labels_builder_get(&builder, pair->name).len == 0)
            labels_builder_set(&builder, pair->name, pair->value);
    }
    if (!relabel(&config->alerting->alert_relabel, &builder))
        return false;
    Labels labels = labels_copy(arena, labels_builder_finish(&builder));
    for (size_t i = 0; i < delivery->set_count; i++) {
        const AlertmanagerConfig *set =
            (const AlertmanagerConfig *)config->alerting->alertmanagers.items + i;
        NotifierItem *item = shared;
        if (set->alert_relabel.count) {
            labels_builder_init(&builder, arena, labels);
            if (!relabel(&set->alert_relabel, &builder))
                continue;
            item = make_item(alert, labels_builder_finish(&builder), scratch);
        } else if (!shared) {
            item = shared = make_item(alert, labels, scratch);
        }
        item->refs++; // the delivery's
        delivery->items[i][delivery->counts[i]++] = item;
    }
    *ret_prepared = labels;
    return true;
}

static void free_delivery(Delivery *delivery)
{
    arena_deinit(&delivery->arena);
    free(delivery);
}

// On the loop.
static void take_delivery(void *arg)
{
    Delivery *delivery = arg;
    const NotifierSet *set = delivery->notifier->sets;
    for (size_t i = 0; i < delivery->set_count; i++) {
        for (Alertmanager *am = set ? set->alertmanagers : NULL; am; am = am->next)
            alertmanager_add(am, delivery->items[i], delivery->counts[i]);
        for (size_t k = 0; k < delivery->counts[i]; k++)
            notifier_item_unref(delivery->items[i][k]);
        set = set ? set->next : NULL;
    }
    free_delivery(delivery);
}

void notifier_send(void *arg, const NotifierAlert *alerts, size_t count)
{
    Notifier *notifier = arg;
    NotifierRules *rules = current_rules(notifier);
    if (!rules)
        return;
    CLEANUP(arena_deinit) Arena arena = {0};
    CLEANUP(arena_deinit) Arena prepared = {0};
    CLEANUP(buf_deinit) Buf scratch = {0};
    Delivery *delivery = X_NEW(Delivery);
    delivery->notifier = notifier;
    delivery->set_count = rules->config.alerting->alertmanagers.count;
    delivery->items = ARENA_ARRAY(&delivery->arena, NotifierItem **, delivery->set_count + 1);
    delivery->counts = arena_zalloc(&delivery->arena, (delivery->set_count + 1) * sizeof(size_t));
    for (size_t i = 0; i < delivery->set_count; i++)
        delivery->items[i] = ARENA_ARRAY(&delivery->arena, NotifierItem *, count);
    NotifierAlert *here =
        notifier->options.here ? ARENA_ARRAY(&prepared, NotifierAlert, count + 1) : NULL;
    size_t here_count = 0;
    for (size_t i = 0; i < count; i++) {
        Labels labels;
        bool wanted =
            deliver_alert(delivery, &rules->config, &alerts[i], &arena, &scratch, &labels);
        if (wanted && here) {
            here[here_count] = alerts[i];
            here[here_count++].labels = labels_copy(&prepared, labels);
        }
        arena_reset(&arena);
    }
    // Where there are sets there is a loop.
    if (delivery->set_count)
        loop_post(notifier->loop, take_delivery, delivery);
    else
        free_delivery(delivery);
    rules_unref(rules);
    if (here_count)
        notifier->options.here(notifier->options.here_arg, here, here_count);
}

// Discovery ----------------------------------------------------------------------------------------------------------------------------

typedef struct Discovered {
    Notifier *notifier;
    char *key;
    GroupSnapshot *groups;
} Discovered;

static void take_discovered(void *arg)
{
    Discovered *found = arg;
    NotifierSet *set = found->notifier->sets;
    while (set && !str_is(set->key, found->key))
        set = set->next;
    if (set)
        notifier_set_take_groups(set, found->groups);
    else
        group_snapshot_unref(found->groups);
    free(found->key);
    free(found);
}

// On the discovery's thread.
static void on_discovered(void *arg, Str job, GroupSnapshot *groups)
{
    Notifier *notifier = arg;
    Discovered *found = X_NEW(Discovered);
    found->notifier = notifier;
    found->key = x_calloc(1, job.len + 1);
    memcpy(found->key, job.ptr, job.len);
    found->groups = groups;
    loop_post(notifier->loop, take_discovered, found);
}

static void copy_list(Arena *arena, StrList *to, Str text)
{
    to->items[to->count++] = arena_str(arena, text);
}

void notifier_show(Notifier *notifier)
{
    size_t active = 0;
    size_t dropped = 0;
    for (const NotifierSet *set = notifier->sets; set; set = set->next) {
        dropped += set->dropped.count;
        for (const Alertmanager *am = set->alertmanagers; am; am = am->next)
            active++;
    }
    lock_take(&notifier->lock);
    arena_reset(&notifier->shown);
    notifier->active = (StrList){ARENA_ARRAY(&notifier->shown, Str, active + 1), 0};
    notifier->dropped = (StrList){ARENA_ARRAY(&notifier->shown, Str, dropped + 1), 0};
    for (const NotifierSet *set = notifier->sets; set; set = set->next) {
        for (const Alertmanager *am = set->alertmanagers; am; am = am->next)
            copy_list(&notifier->shown, &notifier->active, am->url);
        for (size_t i = 0; i < set->dropped.count; i++)
            copy_list(&notifier->shown, &notifier->dropped, set->dropped.items[i]);
    }
    lock_give(&notifier->lock);
    if (notifier->metrics.discovered)
        gauge_set(notifier->metrics.discovered, (double)active);
}

void notifier_targets(Notifier *notifier, Arena *arena, StrList *ret_active, StrList *ret_dropped)
{
    lock_take(&notifier->lock);
    const StrList *from[] = {&notifier->active, &notifier->dropped};
    StrList *to[] = {ret_active, ret_dropped};
    for (size_t k = 0; k < COUNT_OF(from); k++) {
        *to[k] = (StrList){ARENA_ARRAY(arena, Str, from[k]->count + 1), 0};
        for (size_t i = 0; i < from[k]->count; i++)
            copy_list(arena, to[k], from[k]->items[i]);
    }
    lock_give(&notifier->lock);
}

// Applying -----------------------------------------------------------------------------------------------------------------------------

typedef struct Apply {
    Notifier *notifier;
    const NotifierConfig *config;
} Apply;

static NotifierSet *take_set(NotifierSet **list, Str key)
{
    for (; *list; list = &(*list)->next)
        if (str_equal((*list)->key, key)) {
            NotifierSet *set = *list;
            *list = set->next;
            return set;
        }
    return NULL;
}

// What it has waiting may go on under a new set.
static void orphan(Notifier *notifier, NotifierSet *set)
{
    while (set->alertmanagers) {
        Alertmanager *am = set->alertmanagers;
        set->alertmanagers = am->next;
        am->set = NULL;
        if (am->call)
            http_call_cancel(am->call);
        am->next = notifier->orphans;
        notifier->orphans = am;
    }
    notifier_set_free(set);
}

static void apply_sets(void *arg)
{
    const Apply *apply = arg;
    Notifier *notifier = apply->notifier;
    NotifierSet *old = notifier->sets;
    NotifierSet **tail = &notifier->sets;
    notifier->sets = NULL;
    for (size_t i = 0; i < apply->config->alerting->alertmanagers.count; i++) {
        NotifierSet *set = notifier_set_new(notifier, apply->config, i);
        NotifierSet *before = take_set(&old, set->key);
        if (before && str_equal(before->fingerprint, set->fingerprint)) {
            notifier_set_free(set);
            set = before;
            before = NULL;
        }
        set->next = NULL;
        *tail = set;
        tail = &set->next;
        if (!before)
            continue;
        GroupSnapshot *groups = before->groups ? group_snapshot_ref(before->groups) : NULL;
        orphan(notifier, before);
        if (groups) // discovery tells nothing again where it has not changed
            notifier_set_take_groups(set, groups);
    }
    while (old) {
        NotifierSet *set = old;
        old = set->next;
        orphan(notifier, set);
    }
    notifier_show(notifier);
}

static void drop_orphans(void *arg)
{
    Notifier *notifier = arg;
    while (notifier->orphans) {
        Alertmanager *am = notifier->orphans;
        notifier->orphans = am->next;
        alertmanager_forget_metrics(notifier, am->url);
        alertmanager_free(am);
    }
}

static void apply_discovery(Notifier *notifier, const AlertingConfig *alerting)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    size_t count = alerting->alertmanagers.count;
    DiscoveryJob *jobs = ARENA_ARRAY(&arena, DiscoveryJob, count + 1);
    for (size_t i = 0; i < count; i++) {
        const AlertmanagerConfig *config =
            (const AlertmanagerConfig *)alerting->alertmanagers.items + i;
        jobs[i] = (DiscoveryJob){arena_printf(&arena, "config-%zu", i), &config->discovery};
    }
    discovery_apply(notifier->discovery, jobs, count);
}

// Threads come with the first Alertmanager: a server without alerting has none.
static bool start(Notifier *notifier, Error *err)
{
    DiscoveryOptions options = {
        .name = S("notify"),
        .registry = notifier->options.registry,
        .changed = on_discovered,
        .arg = notifier,
    };
    return loop_new("notifier", &notifier->loop, err) && loop_start(notifier->loop, err) &&
           discovery_new(&options, &notifier->discovery, err);
}

void notifier_apply(Notifier *notifier, const NotifierConfig *config)
{
    Apply apply = {notifier, config};
    Error err = {0};
    bool sends = notifier->loop || config->alerting->alertmanagers.count;
    if (!sends && !notifier->options.here)
        return;
    if (sends && !notifier->loop && !start(notifier, &err)) {
        log_error("no alerts are sent", KV("err", &err));
        return;
    }
    NotifierRules *rules = rules_new(config);
    if (sends) {
        loop_call(notifier->loop, apply_sets, &apply);
        apply_discovery(notifier, config->alerting);
        loop_call(notifier->loop, drop_orphans, notifier);
    }
    lock_take(&notifier->lock);
    NotifierRules *old = notifier->rules;
    notifier->rules = rules;
    lock_give(&notifier->lock);
    rules_unref(old);
}

// Life ---------------------------------------------------------------------------------------------------------------------------------

static void register_metrics(Notifier *notifier, Registry *registry)
{
    static const char *const labels[] = {"alertmanager", NULL};
    static const char *const quantiles[] = {"0.5", "0.9", "0.99", NULL};
    static const double bounds[] = {0.01, 0.1, 1, 10};
    NotifierMetrics *metrics = &notifier->metrics;
    metrics->sent = registry_counter(registry, "prometheus_notifications_sent_total",
                                     "Total number of alerts sent.", labels);
    metrics->errors = registry_counter(registry, "prometheus_notifications_errors_total",
                                       "Total number of sent alerts affected by errors.", labels);
    metrics->dropped = registry_counter(
        registry, "prometheus_notifications_dropped_total",
        "Total number of alerts dropped due to errors when sending to Alertmanager.", labels);
    metrics->queue_length =
        registry_gauge(registry, "prometheus_notifications_queue_length",
                       "The number of alert notifications in the queue.", labels);
    metrics->latency_histogram = registry_histogram(
        registry, "prometheus_notifications_latency_histogram_seconds",
        "Latency histogram for sending alert notifications.", labels, bounds, COUNT_OF(bounds));
    metrics->latency = summary_new(registry, "prometheus_notifications_latency_seconds",
                                   "Latency quantiles for sending alert notifications.",
                                   "alertmanager", quantiles);
    metrics->discovered =
        gauge_of(registry_gauge(registry, "prometheus_notifications_alertmanagers_discovered",
                                "The number of alertmanagers discovered and active.", NULL),
                 NULL);
    gauge_set(metrics->discovered, 0);
    gauge_set(gauge_of(registry_gauge(registry, "prometheus_notifications_queue_capacity",
                                      "The capacity of the alert notifications queue.", NULL),
                       NULL),
              (double)notifier->options.queue_capacity);
}

Notifier *notifier_new(const NotifierOptions *options)
{
    Notifier *notifier = X_NEW(Notifier);
    notifier->options = *options;
    lock_init(&notifier->lock, "notifier", RANK_NOTIFIER);
    condition_init(&notifier->idle);
    if (options->registry)
        register_metrics(notifier, options->registry);
    return notifier;
}

static bool is_idle(const Notifier *notifier)
{
    for (const NotifierSet *set = notifier->sets; set; set = set->next)
        for (const Alertmanager *am = set->alertmanagers; am; am = am->next)
            if (!alertmanager_is_idle(am))
                return false;
    return true;
}

void notifier_note_idle(Notifier *notifier)
{
    if (!notifier->finishing || !is_idle(notifier))
        return;
    lock_take(&notifier->lock);
    notifier->drained = true;
    condition_signal(&notifier->idle);
    lock_give(&notifier->lock);
}

static void begin_draining(void *arg)
{
    Notifier *notifier = arg;
    notifier->finishing = true;
    for (NotifierSet *set = notifier->sets; set; set = set->next)
        for (Alertmanager *am = set->alertmanagers; am; am = am->next)
            am->draining = true;
    notifier_note_idle(notifier);
}

static void drain_queues(Notifier *notifier)
{
    int64_t end_ns = clock_mono_ns(&clock_system) + DRAIN_MS_MAX * INT64_C(1000000);
    loop_call(notifier->loop, begin_draining, notifier);
    lock_take(&notifier->lock);
    for (int64_t now_ns; !notifier->drained && (now_ns = clock_mono_ns(&clock_system)) < end_ns;)
        (void)condition_wait_ms(&notifier->idle, &notifier->lock, (end_ns - now_ns) / 1000000 + 1);
    lock_give(&notifier->lock);
}

static void stop_sets(void *arg)
{
    Notifier *notifier = arg;
    notifier->finishing = false;
    while (notifier->sets) {
        NotifierSet *set = notifier->sets;
        notifier->sets = set->next;
        notifier_set_free(set);
    }
    drop_orphans(notifier);
}

void notifier_free(Notifier *notifier, bool drain)
{
    if (!notifier)
        return;
    if (notifier->loop) {
        discovery_free(notifier->discovery);
        if (drain)
            drain_queues(notifier);
        loop_call(notifier->loop, stop_sets, notifier);
        loop_stop(notifier->loop);
        loop_join(notifier->loop);
        loop_free(notifier->loop);
    }
    rules_unref(notifier->rules);
    summary_free(notifier->metrics.latency);
    arena_deinit(&notifier->shown);
    condition_deinit(&notifier->idle);
    lock_deinit(&notifier->lock);
    free(notifier);
}
