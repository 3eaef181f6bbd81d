// SPDX-License-Identifier: Apache-2.0
// Which Alertmanagers a set has: discovered labels become URLs.
#include <stdlib.h>

#include "base/log.h"
#include "rules/notifier_internal.h"

#define ADDRESS S("__address__")
#define SCHEME S("__scheme__")
#define ALERTS_PATH S("__alerts_path__")

static Str heap_str(Str text)
{
    char *copy = x_malloc(text.len + 1);
    if (text.len)
        memcpy(copy, text.ptr, text.len);
    return (Str){copy, text.len};
}

static void heap_str_free(Str text)
{
    union {
        const char *view;
        void *heap;
    } cast = {text.ptr};
    free(cast.heap);
}

NotifierSet *notifier_set_new(Notifier *notifier, const NotifierConfig *owner, size_t index)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    NotifierSet *set = X_NEW(NotifierSet);
    Error err = {0};
    set->notifier = notifier;
    set->config = (const AlertmanagerConfig *)owner->alerting->alertmanagers.items + index;
    set->owner = *owner;
    set->key = heap_str(arena_printf(&arena, "config-%zu", index));
    set->fingerprint =
        heap_str(config_fingerprint(&arena, &alertmanager_config_table, set->config));
    owner->ref(owner->owner);
    if (!http_client_new(notifier->loop, &set->config->http, &set->client, &err))
        log_error("no alerts are sent to this set of Alertmanagers", KV("set", set->key),
                  KV("err", &err));
    else
        http_client_track(set->client, notifier->options.registry, S("alertmanager"));
    return set;
}

void notifier_set_free(NotifierSet *set)
{
    while (set->alertmanagers) {
        Alertmanager *am = set->alertmanagers;
        set->alertmanagers = am->next;
        alertmanager_free(am);
    }
    http_client_free(set->client);
    group_snapshot_unref(set->groups);
    set->owner.unref(set->owner.owner);
    heap_str_free(set->key);
    heap_str_free(set->fingerprint);
    arena_deinit(&set->arena);
    free(set);
}

// As Go's path.Join("/", prefix, "api/v2/alerts"): one slash between the parts, no "." and "..".
static Str alerts_path(Arena *arena, Str prefix)
{
    CLEANUP(buf_deinit) Buf out = {0};
    Str part;
    while (str_split_next(&prefix, '/', &part)) {
        if (str_is(part, "..")) {
            size_t slash = str_rfind_char(buf_str(&out), '/');
            out.len = slash == STR_NOT_FOUND ? 0 : slash;
        } else if (part.len && !str_is(part, ".")) {
            buf_add_char(&out, '/');
            buf_add_str(&out, part);
        }
    }
    buf_add_c(&out, "/api/v2/alerts");
    return arena_str(arena, buf_str(&out));
}

static Str url_of(Arena *arena, Labels labels)
{
    Str scheme = labels_get(labels, SCHEME);
    Str address = labels_get(labels, ADDRESS);
    Str path = labels_get(labels, ALERTS_PATH);
    return arena_printf(arena, STR_FMT "://" STR_FMT "%s" STR_FMT, STR_ARG(scheme),
                        STR_ARG(address), path.len && path.ptr[0] == '/' ? "" : "/", STR_ARG(path));
}

static void init_labels(LabelsBuilder *builder, const NotifierSet *set, Labels group, Labels own,
                        Arena *arena)
{
    labels_builder_init(builder, arena, group);
    labels_builder_set(builder, SCHEME, set->config->scheme);
    labels_builder_set(builder, ALERTS_PATH, alerts_path(arena, set->config->path_prefix));
    // What was discovered wins, the target's before the group's.
    for (size_t i = 0; i < group.count; i++)
        labels_builder_set(builder, group.pairs[i].name, group.pairs[i].value);
    for (size_t i = 0; i < own.count; i++)
        labels_builder_set(builder, own.pairs[i].name, own.pairs[i].value);
}

// The Alertmanager of this URL among those of the list; it is taken out.
static Alertmanager *take_from(Alertmanager **list, Str url)
{
    for (; *list; list = &(*list)->next)
        if (str_equal((*list)->url, url)) {
            Alertmanager *am = *list;
            *list = am->next;
            return am;
        }
    return NULL;
}

static bool has_url(const Alertmanager *list, Str url)
{
    for (; list; list = list->next)
        if (str_equal(list->url, url))
            return true;
    return false;
}

typedef struct Fill {
    NotifierSet *set;
    Alertmanager *old;
    Alertmanager **tail;
    size_t dropped_cap;
} Fill;

static void add_active(Fill *fill, Str url)
{
    NotifierSet *set = fill->set;
    if (has_url(set->alertmanagers, url))
        return;
    Alertmanager *am = take_from(&fill->old, url);
    if (!am)
        am = take_from(&set->notifier->orphans, url);
    if (!am)
        am = alertmanager_new(set->notifier, url);
    am->set = set;
    am->next = NULL;
    *fill->tail = am;
    fill->tail = &am->next;
}

static void add_dropped(Fill *fill, Str url)
{
    StrList *dropped = &fill->set->dropped;
    if (dropped->count == fill->dropped_cap) {
        size_t cap = fill->dropped_cap ? fill->dropped_cap * 2 : 8;
        dropped->items = arena_grow(&fill->set->arena, dropped->items,
                                    fill->dropped_cap * sizeof(Str), cap * sizeof(Str));
        fill->dropped_cap = cap;
    }
    dropped->items[dropped->count++] = url;
}

static void add_target(Fill *fill, const TargetGroup *group, Labels target)
{
    NotifierSet *set = fill->set;
    LabelsBuilder builder;
    init_labels(&builder, set, group->labels, target, &set->arena);
    Labels before = labels_copy(&set->arena, labels_builder_finish(&builder));
    labels_builder_init(&builder, &set->arena, before);
    if (!relabel_apply(set->config->relabel.items, set->config->relabel.count, &builder)) {
        add_dropped(fill, url_of(&set->arena, before));
        return;
    }
    Labels labels = labels_builder_finish(&builder);
    Str address = labels_get(labels, ADDRESS);
    if (address.len == 0 || str_find_char(address, '/') != STR_NOT_FOUND)
        log_error("address of an Alertmanager is not valid, skipping", KV("set", set->key),
                  KV("address", address));
    else
        add_active(fill, url_of(&set->arena, labels));
}

void notifier_set_take_groups(NotifierSet *set, GroupSnapshot *groups)
{
    Fill fill = {.set = set, .old = set->alertmanagers, .tail = &set->alertmanagers};
    group_snapshot_unref(set->groups);
    set->groups = groups;
    set->alertmanagers = NULL;
    set->dropped = (StrList){0};
    arena_reset(&set->arena);
    for (size_t g = 0; g < groups->count; g++)
        for (size_t t = 0; t < groups->groups[g].target_count; t++)
            add_target(&fill, &groups->groups[g], groups->groups[g].targets[t]);
    while (fill.old) {
        Alertmanager *am = fill.old;
        fill.old = am->next;
        alertmanager_forget_metrics(set->notifier, am->url);
        alertmanager_free(am);
    }
    for (Alertmanager *am = set->alertmanagers; am; am = am->next)
        alertmanager_pump(am);
    notifier_show(set->notifier);
}
