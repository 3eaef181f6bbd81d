// SPDX-License-Identifier: Apache-2.0
// narthex/explain: why an alert does, or does not, reach a receiver: the way through the tree, its groups and their timers, what holds
// it back, what was told last. Answers for an alert that is held (GET ?fingerprint=), or for any labels (POST {"labels": {...}}).
#include <stdio.h>
#include <stdlib.h>

#include "alertmanager/am_api.h"

#define ROUTES_SHOWN_MAX 10000
#define GROUP_ALERTS_MAX 20000 // of a group whose next notification is foretold

typedef struct Explain {
    AmCall *call;
    Am *am;
    JsonWriter *json;
    Labels labels;
    const AmAlert *alert; // NULL: not held
    int64_t now_ns, mono_ns;
    size_t routes_shown;
    bool is_held_back; // inhibited or silenced
} Explain;

static const char *operator_of(const Matcher *matcher)
{
    static const char *const texts[] = {[MATCH_EQUAL] = "=",
                                        [MATCH_NOT_EQUAL] = "!=",
                                        [MATCH_REGEX] = "=~",
                                        [MATCH_NOT_REGEX] = "!~"};
    return texts[matcher->kind];
}

static void json_fingerprint(JsonWriter *json, const char *key, uint64_t fingerprint)
{
    char text[17];
    snprintf(text, sizeof text, "%016llx", (unsigned long long)fingerprint);
    json_key_c(json, key, text);
}

static void json_time(JsonWriter *json, const char *key, int64_t t_ns)
{
    json_key(json, str_from_c(key));
    am_time_api_json(json, t_ns);
}

static int64_t wall_of(const Explain *e, int64_t mono_ns)
{
    return am_time_add(e->now_ns, mono_ns - e->mono_ns);
}

// ---- the tree ----

static void json_matchers(const Explain *e, const AmMatchers *matchers)
{
    JsonWriter *json = e->json;
    json_key(json, S("matchers"));
    json_array(json);
    for (size_t i = 0; i < matchers->count; i++) {
        const Matcher *m = &matchers->items[i];
        Str value = labels_get(e->labels, m->name);
        json_object(json);
        json_key_str(json, "name", m->name);
        json_key_c(json, "operator", operator_of(m));
        json_key_str(json, "value", m->value);
        json_key_str(json, "label", value);
        json_key_bool(json, "matches", matcher_matches(m, value));
        json_object_end(json);
    }
    json_array_end(json);
}

static bool is_taken(const AmRouteList *taken, const AmRoute *route)
{
    for (size_t i = 0; i < taken->count; i++)
        if (taken->items[i] == route)
            return true;
    return false;
}

static const char *why(const AmRoute *route, bool asked, bool matches, bool taken)
{
    if (!asked)
        return "not asked: a route before it took the alert and does not continue";
    if (!matches)
        return "not all of its matchers match";
    if (!taken)
        return "a route below it takes the alert";
    return route->child_count ? "matches, and no route below it does" : "matches";
}

// Says of a route and of all below it what became of the alert there. True if it matches.
static bool show_route(Explain *e, const AmRouteList *taken, const AmRoute *route, size_t depth,
                       bool asked)
{
    JsonWriter *json = e->json;
    bool matches = asked && am_matchers_match(&route->matchers, e->labels);
    bool took = matches && is_taken(taken, route);
    if (e->routes_shown++ >= ROUTES_SHOWN_MAX)
        return matches;
    json_object(json);
    json_key_str(json, "id", route->id);
    json_key_u64(json, "depth", depth);
    json_key_str(json, "receiver", route->receiver);
    json_key_bool(json, "continue", route->goes_on);
    json_matchers(e, &route->matchers);
    json_key_bool(json, "asked", asked);
    json_key_bool(json, "matched", matches);
    json_key_bool(json, "taken", took);
    json_key_c(json, "why", why(route, asked, matches, took));
    json_object_end(json);
    bool ask = matches;
    for (size_t i = 0; i < route->child_count; i++)
        if (show_route(e, taken, &route->children[i], depth + 1, ask) &&
            !route->children[i].goes_on)
            ask = false;
    return matches;
}

// ---- what holds it back ----

static void show_inhibition(Explain *e)
{
    JsonWriter *json = e->json;
    uint64_t source;
    size_t rule;
    json_key(json, S("inhibitedBy"));
    if (!am_inhibitor_mutes_by(e->am->generation->inhibitor, e->labels, e->now_ns, &source,
                               &rule)) {
        json_null(json);
        return;
    }
    const AmInhibitConfig *rules = e->am->generation->config->file.inhibit_rules.items;
    const AmAlert *by = am_alert_store_get(&e->am->alerts, source);
    e->is_held_back = true;
    json_object(json);
    json_fingerprint(json, "fingerprint", source);
    am_api_labels(json, "labels", by ? am_alert_labels(by, e->call->arena) : LABELS_NONE);
    json_key_u64(json, "rule", rule);
    json_key_str(json, "ruleName", rules[rule].name);
    json_object_end(json);
}

static void show_silences(Explain *e)
{
    const AmSilence *list[AM_API_MATCHED_MAX];
    JsonWriter *json = e->json;
    size_t count =
        am_silences_match(&e->am->silences, e->labels, e->now_ns, list, AM_API_MATCHED_MAX);
    json_key(json, S("silencedBy"));
    json_array(json);
    for (size_t i = 0; i < count; i++) {
        json_object(json);
        json_key_str(json, "id", list[i]->data.id);
        json_key_str(json, "createdBy", list[i]->data.created_by);
        json_key_str(json, "comment", list[i]->data.comment);
        json_time(json, "startsAt", list[i]->data.starts_ns);
        json_time(json, "endsAt", list[i]->data.ends_ns);
        json_object_end(json);
    }
    json_array_end(json);
    e->is_held_back |= count > 0;
}

// ---- groups ----

// The group's alerts that would be told now, as the stages of a flush leave them.
typedef struct Told {
    uint64_t *firing, *resolved;
    size_t firing_count, resolved_count;
} Told;

// Of all integrations of a receiver.
typedef struct Prospect {
    bool due, fails;
} Prospect;

static int compare_hashes(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static Told told_of(const Explain *e, const AmGroup *group)
{
    Arena *arena = e->call->arena;
    Told told = {ARENA_ARRAY(arena, uint64_t, group->alerts.count + 1),
                 ARENA_ARRAY(arena, uint64_t, group->alerts.count + 1), 0, 0};
    for (AmTableSlot *s = NULL; (s = am_table_next(&group->alerts, s));) {
        const AmAlert *alert = s->value;
        const AmSilence *silence;
        uint64_t source;
        Labels labels = am_alert_labels(alert, arena);
        if (am_inhibitor_mutes(e->am->generation->inhibitor, labels, e->now_ns, &source) ||
            am_silences_match(&e->am->silences, labels, e->now_ns, &silence, 1))
            continue;
        if (am_alert_resolved_at(alert, e->now_ns))
            told.resolved[told.resolved_count++] = alert->hash;
        else
            told.firing[told.firing_count++] = alert->hash;
    }
    if (told.firing_count > 1)
        qsort(told.firing, told.firing_count, sizeof(uint64_t), compare_hashes);
    if (told.resolved_count > 1)
        qsort(told.resolved, told.resolved_count, sizeof(uint64_t), compare_hashes);
    return told;
}

static void show_last(const Explain *e, const AmLogEntry *entry)
{
    JsonWriter *json = e->json;
    json_key(json, S("last"));
    if (!entry) {
        json_null(json);
        return;
    }
    const AmLogData *data = &entry->data;
    uint64_t hash = am_alert_hash(e->labels);
    json_object(json);
    json_time(json, "at", data->at_ns);
    json_key_u64(json, "firing", data->firing_count);
    json_key_u64(json, "resolved", data->resolved_count);
    bool firing = am_log_is_subset(&hash, 1, data->firing, data->firing_count);
    bool resolved = am_log_is_subset(&hash, 1, data->resolved, data->resolved_count);
    json_key_c(json, "thisAlert",
               firing     ? "told as firing"
               : resolved ? "told as resolved"
                          : "not part of it");
    json_object_end(json);
}

// Why the last attempt failed, if it did.
static bool show_fault(const Explain *e, const AmGroup *group, const AmIntegration *to)
{
    JsonWriter *json = e->json;
    const AmGroupFault *fault = am_group_fault(group, to->kind->name, to->index);
    if (!fault)
        return false;
    json_key(json, S("failed"));
    json_object(json);
    json_time(json, "at", fault->at_ns);
    json_key_i64(json, "attempts", fault->attempts);
    json_key_str(json, "error", fault->text);
    json_object_end(json);
    return true;
}

// What one integration was told, and what the next flush would tell it if it came now.
static void show_integration(const Explain *e, const AmGroup *group, const AmIntegration *to,
                             const Told *told, bool muted, Prospect *prospect)
{
    JsonWriter *json = e->json;
    const AmRoute *route = group->route;
    const AmLogEntry *entry =
        am_log_find(&e->am->log, group->key, route->receiver, to->kind->name, to->index, e->now_ns);
    json_object(json);
    json_key_c(json, "integration", to->kind->name);
    json_key_u64(json, "index", to->index);
    json_key_bool(json, "sendResolved", to->config->send_resolved);
    show_last(e, entry);
    AmReason reason = AM_REASON_NONE;
    if (told && !muted && told->firing_count + told->resolved_count)
        reason = am_notify_decide(entry, told->firing, told->firing_count, told->resolved,
                                  told->resolved_count, to->config->send_resolved,
                                  route->repeat_interval_ms * AM_MS_NS, e->now_ns);
    json_key_bool(json, "due", reason != AM_REASON_NONE);
    if (told)
        json_key_c(json, "reason", am_reason_text(reason));
    if (entry)
        json_time(json, "repeatAfter",
                  am_time_add(entry->data.at_ns, route->repeat_interval_ms * AM_MS_NS));
    prospect->fails |= show_fault(e, group, to);
    prospect->due |= reason != AM_REASON_NONE;
    json_object_end(json);
}

static void show_muting(const Explain *e, const AmRoute *route, bool *ret_muted)
{
    Str names[AM_API_INTERVALS_MAX];
    bool inactive;
    size_t count = am_notify_muted_by(route, e->now_ns, names, AM_API_INTERVALS_MAX, &inactive);
    json_key(e->json, S("mutedBy"));
    json_array(e->json);
    for (size_t i = 0; i < count; i++)
        json_str(e->json, names[i]);
    json_array_end(e->json);
    json_key_bool(e->json, "outsideActiveTime", inactive);
    *ret_muted = count > 0;
}

static void show_timers(const Explain *e, const AmGroup *group)
{
    JsonWriter *json = e->json;
    json_key(json, S("group"));
    if (!group) {
        json_null(json);
        return;
    }
    json_object(json);
    json_key_u64(json, "alerts", group->alerts.count);
    json_key_bool(json, "hasFlushed", group->has_flushed);
    json_key_bool(json, "isFlushing", group->is_running);
    json_time(json, "nextFlush", wall_of(e, group->due_mono_ns));
    json_key_bool(json, "holdsAlert",
                  am_table_get(&group->alerts, am_alert_fingerprint(e->labels)) != NULL);
    json_object_end(json);
}

// One sentence on what happens to the alert on this route now.
static const char *verdict(const Explain *e, const AmGroup *group, bool muted, Prospect prospect)
{
    if (!e->alert)
        return "No such alert is held: nothing is sent.";
    if (e->is_held_back)
        return "Nothing is sent for this alert: it is inhibited or silenced.";
    if (!group)
        return "Nothing is sent: the alert is resolved, and all were told.";
    if (muted)
        return "Nothing is sent: the route is muted by a time interval, or outside its active "
               "time.";
    if (group->is_running)
        return prospect.fails
                   ? "A notification is being sent; its last attempt failed and is made again."
                   : "A notification is being sent.";
    if (prospect.due && prospect.fails)
        return "The last attempt to send it failed; it is made again at the next flush of the "
               "group.";
    if (prospect.due)
        return group->has_flushed ? "Is sent at the next flush of the group."
                                  : "Is sent when the group has waited for group_wait.";
    return "Nothing is sent: its receivers know all of the group, and repeat_interval is not over.";
}

static void show_taken(const Explain *e, const AmRoute *route)
{
    JsonWriter *json = e->json;
    AmGeneration *generation = e->am->generation;
    const AmGroup *group = am_dispatch_find(&generation->dispatch, route, e->labels);
    const AmReceiver *receiver = am_generation_receiver(generation, route->receiver);
    CLEANUP(buf_deinit) Buf key = {0};
    Labels labels = am_route_group_labels(route, e->labels, e->call->arena);
    bool muted;
    Prospect prospect = {0};
    buf_printf(&key, STR_FMT ":", STR_ARG(route->key));
    am_labels_print(&key, labels);
    json_object(json);
    json_key_str(json, "route", route->id);
    json_key_str(json, "receiver", route->receiver);
    json_key_str(json, "groupKey", buf_str(&key));
    am_api_labels(json, "groupLabels", labels);
    json_key_double(json, "groupWaitSeconds", (double)route->group_wait_ms / 1000);
    json_key_double(json, "groupIntervalSeconds", (double)route->group_interval_ms / 1000);
    json_key_double(json, "repeatIntervalSeconds", (double)route->repeat_interval_ms / 1000);
    show_muting(e, route, &muted);
    show_timers(e, group);
    bool foretold = group && group->alerts.count <= GROUP_ALERTS_MAX;
    Told told = {0};
    if (foretold)
        told = told_of(e, group);
    json_key(json, S("integrations"));
    json_array(json);
    for (size_t i = 0; group && receiver && i < receiver->count; i++)
        show_integration(e, group, &receiver->integrations[i], foretold ? &told : NULL, muted,
                         &prospect);
    json_array_end(json);
    json_key_c(json, "verdict", verdict(e, group, muted, prospect));
    json_object_end(json);
}

// ---- the answer ----

static void show_alert(const Explain *e)
{
    JsonWriter *json = e->json;
    json_key(json, S("alert"));
    if (!e->alert) {
        json_null(json);
        return;
    }
    json_object(json);
    json_key_c(json, "status", am_alert_resolved_at(e->alert, e->now_ns) ? "resolved" : "firing");
    json_time(json, "startsAt", e->alert->starts_ns);
    json_time(json, "endsAt", e->alert->ends_ns);
    json_time(json, "updatedAt", e->alert->updated_ns);
    am_api_labels(json, "annotations", am_alert_annotations(e->alert, e->call->arena));
    json_object_end(json);
}

static void show_all(Explain *e)
{
    JsonWriter *json = e->json;
    AmRouteList taken = {0};
    const AmRoute *root = e->am->generation->tree.root;
    am_route_match(root, e->labels, &taken);
    json_object(json);
    am_api_labels(json, "labels", e->labels);
    json_fingerprint(json, "fingerprint", am_alert_fingerprint(e->labels));
    json_time(json, "now", e->now_ns);
    show_alert(e);
    show_inhibition(e);
    show_silences(e);
    json_key(json, S("routes"));
    json_array(json);
    (void)show_route(e, &taken, root, 0, true);
    json_array_end(json);
    json_key(json, S("taken"));
    json_array(json);
    for (size_t i = 0; i < taken.count; i++)
        show_taken(e, taken.items[i]);
    json_array_end(json);
    json_object_end(json);
    am_route_list_deinit(&taken);
}

// False if the answer has been given. With the lock.
static bool find_alert(Explain *e)
{
    Str text = http_param(e->call->request, S("fingerprint"));
    uint64_t fingerprint = 0;
    bool ok = text.len == 16;
    for (size_t i = 0; ok && i < text.len; i++) {
        const char *digits = "0123456789abcdef";
        const char *found = text.ptr[i] ? strchr(digits, text.ptr[i]) : NULL;
        ok = found != NULL;
        fingerprint = fingerprint << 4 | (ok ? (uint64_t)(found - digits) : 0);
    }
    if (!ok) {
        am_api_fault(e->call, 400, "fingerprint must be 16 hexadecimal digits");
        return false;
    }
    e->alert = am_alert_store_get(&e->am->alerts, fingerprint);
    if (!e->alert) {
        am_api_fault(e->call, 404, "there is no alert with this fingerprint");
        return false;
    }
    e->labels = am_alert_labels(e->alert, e->call->arena);
    return true;
}

static bool read_labels(Explain *e)
{
    JsonValue *body;
    Error err = {0};
    if (!am_api_body(e->call, "explain", &body))
        return false;
    const JsonValue *labels = json_get(body, S("labels"));
    if (!labels || !am_api_read_labels(e->call, labels, &e->labels, &err)) {
        am_api_fault(e->call, 400, "%s", labels ? err.text : "labels are required");
        return false;
    }
    return true;
}

void am_explain_handle(AmCall *call)
{
    CLEANUP(buf_deinit) Buf buf = {0};
    JsonWriter json;
    Am *am = call->am;
    Explain e = {.call = call,
                 .am = am,
                 .json = &json,
                 .now_ns = am_now_ns(am->clock),
                 .mono_ns = clock_mono_ns(am->clock)};
    bool is_post = str_is(call->request->method, "POST");
    am_api_writer(&json, &buf);
    if (is_post && !read_labels(&e))
        return;
    lock_take(&am->lock);
    bool ok = is_post || find_alert(&e);
    if (ok && is_post)
        e.alert = am_alert_store_get(&am->alerts, am_alert_fingerprint(e.labels));
    if (ok)
        show_all(&e);
    lock_give(&am->lock);
    if (!ok)
        return;
    http_reply_compress(call->request);
    am_api_json(call, 200, &buf);
}
