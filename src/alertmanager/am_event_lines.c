// SPDX-License-Identifier: Apache-2.0
// Events as the original writes them: its protobuf messages as JSON. Numbers of 64 bits are strings, what is empty is left out.
#include "alertmanager/am_event_lines.h"

#include <stdio.h>

#include "net/digest.h"

typedef struct Event {
    AmEvents *events;
    AmEventKind kind;
    Buf buf;
    JsonWriter json;
} Event;

static void put_time(JsonWriter *json, const char *key, int64_t t_ns)
{
    json_key(json, str_from_c(key));
    am_time_json(json, t_ns);
}

static void put_text(JsonWriter *json, const char *key, Str text)
{
    if (text.len)
        json_key_str(json, key, text);
}

static void put_u64(JsonWriter *json, const char *key, uint64_t number)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    if (number)
        json_key_c(json, key, text);
}

// "alert_created" as "alertCreated".
static void put_camel_key(JsonWriter *json, const char *name)
{
    char text[64];
    size_t len = 0;
    for (bool up = false; *name && len < sizeof text; name++) {
        if (*name == '_') {
            up = true;
            continue;
        }
        text[len++] = up ? (char)(*name - 'a' + 'A') : *name;
        up = false;
    }
    json_key(json, (Str){text, len});
}

static void begin(Event *event, AmEvents *events, AmEventKind kind)
{
    size_t position;
    *event = (Event){.events = events, .kind = kind};
    JsonWriter *json = &event->json;
    json_writer_init(json, &event->buf);
    json_object(json);
    put_time(json, "@timestamp", am_now_ns(&clock_system));
    put_text(json, "instance", am_events_instance(events, &position));
    if (position)
        json_key_u64(json, "clusterPosition", position);
    json_key(json, S("data"));
    json_object(json);
    put_camel_key(json, am_event_names[kind]);
    json_object(json);
}

static void end(Event *event)
{
    for (int i = 0; i < 3; i++)
        json_object_end(&event->json);
    buf_add_char(&event->buf, '\n');
    am_events_add(event->events, event->kind, buf_str(&event->buf));
    buf_deinit(&event->buf);
}

// ---- pieces ----

static void put_labels(JsonWriter *json, const char *key, Labels labels)
{
    json_key(json, str_from_c(key));
    json_object(json);
    if (labels.count) {
        json_key(json, S("labels"));
        json_array(json);
        for (size_t i = 0; i < labels.count; i++) {
            json_object(json);
            put_text(json, "key", labels.pairs[i].name);
            put_text(json, "value", labels.pairs[i].value);
            json_object_end(json);
        }
        json_array_end(json);
    }
    json_object_end(json);
}

static void put_alert(JsonWriter *json, const char *key, const AmAlert *alert, int64_t now_ns)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    json_key(json, str_from_c(key));
    json_object(json);
    put_u64(json, "fingerprint", alert->fingerprint);
    put_text(json, "name", am_alert_value(alert, S("alertname")));
    put_labels(json, "labels", am_alert_labels(alert, &arena));
    put_labels(json, "annotations", am_alert_annotations(alert, &arena));
    put_time(json, "startsAt", alert->starts_ns);
    put_time(json, "endsAt", alert->ends_ns);
    if (am_alert_resolved_at(alert, now_ns))
        json_key_bool(json, "resolved", true);
    json_object_end(json);
}

static void put_grouped(JsonWriter *json, const AmAlert *alert, bool details, int64_t now_ns)
{
    json_object(json);
    put_u64(json, "hash", alert->hash);
    if (details)
        put_alert(json, "details", alert, now_ns);
    json_object_end(json);
}

static void put_matchers(JsonWriter *json, const char *key, const AmMatchers *matchers)
{
    static const char *const types[] = {
        [MATCH_EQUAL] = "TYPE_EQUAL",
        [MATCH_NOT_EQUAL] = "TYPE_NOT_EQUAL",
        [MATCH_REGEX] = "TYPE_REGEXP",
        [MATCH_NOT_REGEX] = "TYPE_NOT_REGEXP",
    };
    if (matchers->count == 0)
        return;
    json_key(json, str_from_c(key));
    json_array(json);
    for (size_t i = 0; i < matchers->count; i++) {
        CLEANUP(buf_deinit) Buf rendered = {0};
        am_matcher_print(&rendered, &matchers->items[i]);
        json_object(json);
        json_key_c(json, "type", types[matchers->items[i].kind]);
        put_text(json, "name", matchers->items[i].name);
        put_text(json, "pattern", matchers->items[i].value);
        put_text(json, "rendered", buf_str(&rendered));
        json_object_end(json);
    }
    json_array_end(json);
}

static void put_group(JsonWriter *json, const AmGroup *group)
{
    CLEANUP(buf_deinit) Buf id = {0};
    char uuid[37];
    uint64_t a = group->uuid[0];
    uint64_t b = group->uuid[1];
    digest_add_sha256_hex(&id, group->key);
    snprintf(uuid, sizeof uuid, "%08x-%04x-4%03x-%04x-%012llx", (unsigned)(a >> 32),
             (unsigned)(a >> 16 & 0xFFFF), (unsigned)(a & 0xFFF),
             (unsigned)(b >> 48 & 0x3FFF) | 0x8000U,
             (unsigned long long)(b & UINT64_C(0xFFFFFFFFFFFF)));
    json_key(json, S("groupInfo"));
    json_object(json);
    put_text(json, "groupKey", group->key);
    put_labels(json, "groupLabels", group->labels);
    put_text(json, "groupId", buf_str(&id));
    put_text(json, "receiverName", group->route->receiver);
    put_matchers(json, "matchers", &group->route->matchers);
    json_key_c(json, "groupUuid", uuid);
    json_object_end(json);
}

static void put_silence(JsonWriter *json, const AmSilenceData *silence)
{
    json_key(json, S("silence"));
    json_object(json);
    put_text(json, "id", silence->id);
    if (silence->set_count)
        put_matchers(json, "matchers", &silence->sets[0]);
    if (silence->annotations.count)
        put_labels(json, "annotations", silence->annotations);
    put_time(json, "startsAt", silence->starts_ns);
    put_time(json, "endsAt", silence->ends_ns);
    put_time(json, "updatedAt", silence->updated_ns);
    put_text(json, "createdBy", silence->created_by);
    put_text(json, "comment", silence->comment);
    json_key(json, S("matcherSets"));
    json_array(json);
    for (size_t i = 0; i < silence->set_count; i++) {
        json_object(json);
        put_matchers(json, "matchers", &silence->sets[i]);
        json_object_end(json);
    }
    json_array_end(json);
    json_object_end(json);
}

static void put_muted(JsonWriter *json, const AmAlert *alert)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    json_key(json, S("mutedAlert"));
    json_object(json);
    put_labels(json, "labels", am_alert_labels(alert, &arena));
    put_u64(json, "fingerprint", alert->fingerprint);
    json_object_end(json);
}

// ---- events ----

void am_event_started(AmEvents *events, const char *version)
{
    Event event;
    if (!am_events_begin(events))
        return;
    begin(&event, events, AM_EVENT_STARTED);
    json_key_c(&event.json, "version", version);
    json_key_c(&event.json, "buildContext", "narthex " NARTHEX_VERSION);
    end(&event);
}

void am_event_stopped(AmEvents *events)
{
    Event event;
    if (!am_events_begin(events))
        return;
    begin(&event, events, AM_EVENT_STOPPED);
    end(&event);
}

void am_event_created(AmEvents *events, const AmAlert *alert, int64_t now_ns)
{
    Event event;
    if (!am_events_begin(events))
        return;
    begin(&event, events, AM_EVENT_CREATED);
    put_alert(&event.json, "alert", alert, now_ns);
    end(&event);
}

static void of_group(AmEvents *events, AmEventKind kind, const AmGroup *group, const AmAlert *alert,
                     int64_t now_ns)
{
    Event event;
    if (!am_events_begin(events))
        return;
    begin(&event, events, kind);
    json_key(&event.json, S("alert"));
    put_grouped(&event.json, alert, true, now_ns);
    put_group(&event.json, group);
    end(&event);
}

void am_event_grouped(AmEvents *events, const AmGroup *group, const AmAlert *alert, int64_t now_ns)
{
    of_group(events, AM_EVENT_GROUPED, group, alert, now_ns);
}

void am_event_resolved(AmEvents *events, const AmGroup *group, const AmAlert *alert, int64_t now_ns)
{
    of_group(events, AM_EVENT_RESOLVED, group, alert, now_ns);
}

// An empty list is left out.
static void begin_list(JsonWriter *json, const char *key, bool *any)
{
    if (*any)
        return;
    *any = true;
    json_key(json, str_from_c(key));
    json_array(json);
}

typedef enum Which { TOLD, FIRING, RESOLVED } Which;

static void put_notes(JsonWriter *json, const char *key, const AmEventNotification *n, Which which,
                      int64_t now_ns)
{
    bool any = false;
    for (size_t i = 0; i < n->count; i++) {
        if (which != TOLD && n->notes[i].resolved != (which == RESOLVED))
            continue;
        begin_list(json, key, &any);
        put_grouped(json, n->notes[i].alert, which == TOLD, now_ns);
    }
    if (any)
        json_array_end(json);
}

// Both lists are in the same order.
static void put_held_back(JsonWriter *json, const AmEventNotification *n, int64_t now_ns)
{
    size_t at = 0;
    bool any = false;
    for (size_t i = 0; i < n->all_count; i++) {
        if (at < n->kept_count && n->kept[at].alert == n->all[i].alert) {
            at++;
            continue;
        }
        begin_list(json, "mutedAlerts", &any);
        put_grouped(json, n->all[i].alert, false, now_ns);
    }
    if (any)
        json_array_end(json);
}

void am_event_notified(AmEvents *events, const AmEventNotification *n, int64_t now_ns)
{
    static const char *const reasons[] = {
        [AM_REASON_UNKNOWN] = NULL,
        [AM_REASON_NONE] = NULL,
        [AM_REASON_FIRST] = "NOTIFY_REASON_FIRST_NOTIFICATION",
        [AM_REASON_NEW] = "NOTIFY_REASON_NEW_ALERTS_IN_GROUP",
        [AM_REASON_SOME_RESOLVED] = "NOTIFY_REASON_NEW_RESOLVED_ALERTS",
        [AM_REASON_ALL_RESOLVED] = "NOTIFY_REASON_ALL_ALERTS_RESOLVED",
        [AM_REASON_REPEAT] = "NOTIFY_REASON_REPEAT_INTERVAL_ELAPSED",
    };
    Event event;
    char repeat[32];
    if (!am_events_begin(events))
        return;
    begin(&event, events, AM_EVENT_NOTIFICATION);
    JsonWriter *json = &event.json;
    put_notes(json, "alerts", n, TOLD, now_ns);
    put_notes(json, "firingAlerts", n, FIRING, now_ns);
    put_notes(json, "resolvedAlerts", n, RESOLVED, now_ns);
    put_held_back(json, n, now_ns);
    put_group(json, n->group);
    int64_t repeat_ms = n->group->route->repeat_interval_ms;
    if (repeat_ms % 1000)
        snprintf(repeat, sizeof repeat, "%lld.%03ds", (long long)(repeat_ms / 1000),
                 (int)(repeat_ms % 1000));
    else
        snprintf(repeat, sizeof repeat, "%llds", (long long)(repeat_ms / 1000));
    json_key_c(json, "repeatInterval", repeat);
    if (reasons[n->reason])
        json_key_c(json, "reason", reasons[n->reason]);
    put_u64(json, "flushId", n->group->flushes);
    json_key(json, S("integration"));
    json_object(json);
    json_key_c(json, "name", n->integration);
    put_u64(json, "index", n->index);
    json_object_end(json);
    end(&event);
}

void am_event_silence(AmEvents *events, const AmSilenceData *silence, bool updated)
{
    Event event;
    if (!am_events_begin(events))
        return;
    begin(&event, events, updated ? AM_EVENT_SILENCE_UPDATED : AM_EVENT_SILENCE_CREATED);
    put_silence(&event.json, silence);
    end(&event);
}

void am_event_silenced(AmEvents *events, const AmSilenceData *silence, const AmAlert *alert)
{
    Event event;
    if (!am_events_begin(events))
        return;
    begin(&event, events, AM_EVENT_SILENCED);
    put_silence(&event.json, silence);
    put_muted(&event.json, alert);
    end(&event);
}

void am_event_inhibited(AmEvents *events, const AmMatchers *source, const AmMatchers *target,
                        const ConfigStrList *equal, const AmAlert *alert, uint64_t by)
{
    Event event;
    char text[24];
    if (!am_events_begin(events))
        return;
    begin(&event, events, AM_EVENT_INHIBITED);
    JsonWriter *json = &event.json;
    json_key(json, S("inhibitRules"));
    json_array(json);
    json_object(json);
    put_matchers(json, "sourceMatchers", source);
    put_matchers(json, "targetMatchers", target);
    json_key(json, S("equalLabels"));
    json_array(json);
    for (size_t i = 0; i < equal->count; i++)
        json_str(json, equal->items[i]);
    json_array_end(json);
    json_object_end(json);
    json_array_end(json);
    put_muted(json, alert);
    json_key(json, S("inhibitingFingerprints"));
    json_array(json);
    snprintf(text, sizeof text, "%llu", (unsigned long long)by);
    json_str(json, str_from_c(text));
    json_array_end(json);
    end(&event);
}
