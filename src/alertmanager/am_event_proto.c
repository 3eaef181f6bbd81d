// SPDX-License-Identifier: Apache-2.0
#include "alertmanager/am_event_proto.h"

#include "alertmanager/am_time.h"
#include "alertmanager/am_wire.h"
#include "base/number.h"
#include "codec/json_reader.h"
#include "codec/protobuf.h"

typedef enum FieldKind { TEXT, NUMBER, FLAG, TIME, SECONDS, WORD, MESSAGE } FieldKind;

typedef struct Message Message;

typedef struct Field {
    const char *json;
    uint32_t number;
    FieldKind kind;
    const Message *message;
    const char *const *words; // by value, NULL behind the last
} Field;

struct Message {
    const Field *fields;
    size_t count;
};

#define MESSAGE_OF(name, ...)                                                                      \
    static const Field name##_fields[] = {__VA_ARGS__};                                            \
    static const Message name = {name##_fields, COUNT_OF(name##_fields)}
#define SUB(json, number, name)                                                                    \
    {                                                                                              \
        json, number, MESSAGE, &(name), NULL                                                       \
    }
#define PLAIN(json, number, kind)                                                                  \
    {                                                                                              \
        json, number, kind, NULL, NULL                                                             \
    }
#define WORDS(json, number, list)                                                                  \
    {                                                                                              \
        json, number, WORD, NULL, list                                                             \
    }

static const char *const matcher_types[] = {"TYPE_UNSPECIFIED", "TYPE_EQUAL",      "TYPE_REGEXP",
                                            "TYPE_NOT_EQUAL",   "TYPE_NOT_REGEXP", NULL};
static const char *const reasons[] = {"NOTIFY_REASON_UNSPECIFIED",
                                      "NOTIFY_REASON_FIRST_NOTIFICATION",
                                      "NOTIFY_REASON_NEW_ALERTS_IN_GROUP",
                                      "NOTIFY_REASON_NEW_RESOLVED_ALERTS",
                                      "NOTIFY_REASON_ALL_ALERTS_RESOLVED",
                                      "NOTIFY_REASON_REPEAT_INTERVAL_ELAPSED",
                                      NULL};

MESSAGE_OF(label_pair, PLAIN("key", 1, TEXT), PLAIN("value", 2, TEXT));
MESSAGE_OF(label_set, SUB("labels", 1, label_pair));
MESSAGE_OF(alert, PLAIN("fingerprint", 1, NUMBER), PLAIN("name", 2, TEXT),
           SUB("labels", 3, label_set), SUB("annotations", 4, label_set),
           PLAIN("startsAt", 5, TIME), PLAIN("endsAt", 6, TIME), PLAIN("resolved", 7, FLAG));
MESSAGE_OF(grouped_alert, PLAIN("hash", 1, NUMBER), SUB("details", 2, alert));
MESSAGE_OF(matcher, WORDS("type", 1, matcher_types), PLAIN("name", 2, TEXT),
           PLAIN("pattern", 3, TEXT), PLAIN("rendered", 4, TEXT));
MESSAGE_OF(matcher_set, SUB("matchers", 1, matcher));
MESSAGE_OF(group_info, PLAIN("groupKey", 1, TEXT), SUB("groupLabels", 2, label_set),
           PLAIN("groupId", 3, TEXT), PLAIN("receiverName", 4, TEXT), SUB("matchers", 5, matcher),
           PLAIN("groupUuid", 6, TEXT));
MESSAGE_OF(integration, PLAIN("name", 1, TEXT), PLAIN("index", 2, NUMBER));
MESSAGE_OF(silence, PLAIN("id", 1, TEXT), SUB("matchers", 2, matcher),
           SUB("annotations", 3, label_set), PLAIN("startsAt", 4, TIME), PLAIN("endsAt", 5, TIME),
           PLAIN("updatedAt", 6, TIME), PLAIN("createdBy", 7, TEXT), PLAIN("comment", 8, TEXT),
           SUB("matcherSets", 9, matcher_set));
MESSAGE_OF(muted_alert, SUB("labels", 1, label_set), PLAIN("fingerprint", 2, NUMBER));
MESSAGE_OF(inhibit_rule, SUB("sourceMatchers", 1, matcher), SUB("targetMatchers", 2, matcher),
           PLAIN("equalLabels", 3, TEXT), PLAIN("name", 4, TEXT));

MESSAGE_OF(started, PLAIN("version", 1, TEXT), PLAIN("buildContext", 2, TEXT));
static const Message stopped = {NULL, 0};
MESSAGE_OF(created, SUB("alert", 1, alert));
MESSAGE_OF(of_group, SUB("alert", 1, grouped_alert), SUB("groupInfo", 2, group_info));
MESSAGE_OF(notification, SUB("alerts", 1, grouped_alert), SUB("firingAlerts", 2, grouped_alert),
           SUB("resolvedAlerts", 3, grouped_alert), SUB("mutedAlerts", 4, grouped_alert),
           SUB("groupInfo", 5, group_info), PLAIN("repeatInterval", 6, SECONDS),
           WORDS("reason", 7, reasons), PLAIN("flushId", 8, NUMBER),
           SUB("integration", 9, integration));
MESSAGE_OF(of_silence, SUB("silence", 1, silence));
MESSAGE_OF(silenced, SUB("silence", 1, silence), SUB("mutedAlert", 2, muted_alert));
MESSAGE_OF(inhibited, SUB("inhibitRules", 1, inhibit_rule), SUB("mutedAlert", 2, muted_alert),
           PLAIN("inhibitingFingerprints", 3, NUMBER));
MESSAGE_OF(event_data, SUB("alertmanagerStartupEvent", 1, started),
           SUB("alertmanagerShutdownEvent", 2, stopped), SUB("alertCreated", 3, created),
           SUB("alertResolved", 4, of_group), SUB("alertGrouped", 5, of_group),
           SUB("notification", 6, notification), SUB("silenceCreated", 7, of_silence),
           SUB("silenceUpdated", 8, of_silence), SUB("silenceMutedAlert", 9, silenced),
           SUB("inhibitionMutedAlert", 10, inhibited));
MESSAGE_OF(event, PLAIN("@timestamp", 1, TIME), PLAIN("instance", 2, TEXT),
           SUB("data", 3, event_data), PLAIN("clusterPosition", 4, NUMBER));

static bool add_message(Buf *buf, const Message *message, const JsonValue *value, Error *err);

static bool bad(const Field *field, Error *err)
{
    return error_set(err, ERR_INVALID, "event: %s is not what its message has", field->json);
}

// Of a number, or of a string of digits.
static bool number_of(const Field *field, const JsonValue *value, uint64_t *ret_number, Error *err)
{
    uint64_t number = 0;
    if (value->kind == JSON_NUMBER && value->is_integer)
        number = (uint64_t)value->integer;
    else if (value->kind != JSON_STRING || !number_parse_u64(value->str, &number))
        return bad(field, err);
    *ret_number = number;
    return true;
}

static bool add_time(Buf *buf, const Field *field, const JsonValue *value, Error *err)
{
    int64_t t_ns;
    int64_t s;
    int32_t ns;
    if (value->kind != JSON_STRING || !am_time_parse(value->str, &t_ns, err))
        return bad(field, err);
    am_time_split(t_ns, &s, &ns);
    am_wire_add_seconds(buf, field->number, s, ns);
    return true;
}

// "3600s", "1.500s"
static bool add_duration(Buf *buf, const Field *field, const JsonValue *value, Error *err)
{
    uint64_t s = 0;
    uint64_t ms = 0;
    Str rest = value->kind == JSON_STRING ? value->str : STR_NONE;
    if (!str_ends_with(rest, S("s")))
        return bad(field, err);
    rest.len--;
    size_t dot = MIN(str_find_char(rest, '.'), rest.len);
    Str fraction = str_skip(rest, dot + 1);
    if (!number_parse_u64(str_sub(rest, 0, dot), &s) ||
        (fraction.len && (fraction.len != 3 || !number_parse_u64(fraction, &ms))))
        return bad(field, err);
    am_wire_add_seconds(buf, field->number, (int64_t)s, (int32_t)ms * 1000000);
    return true;
}

static bool add_word(Buf *buf, const Field *field, const JsonValue *value, Error *err)
{
    for (size_t i = 0; value->kind == JSON_STRING && field->words[i]; i++) {
        if (!str_is(value->str, field->words[i]))
            continue;
        proto_add_varint(buf, field->number, i);
        return true;
    }
    return bad(field, err);
}

static bool add_one(Buf *buf, const Field *field, const JsonValue *value, Error *err)
{
    uint64_t number;
    switch (field->kind) {
    case TEXT:
        if (value->kind != JSON_STRING)
            return bad(field, err);
        proto_add_bytes(buf, field->number, value->str);
        return true;
    case NUMBER:
        if (!number_of(field, value, &number, err))
            return false;
        proto_add_varint(buf, field->number, number);
        return true;
    case FLAG:
        proto_add_varint(buf, field->number, value->kind == JSON_BOOL && value->boolean);
        return true;
    case TIME:
        return add_time(buf, field, value, err);
    case SECONDS:
        return add_duration(buf, field, value, err);
    case WORD:
        return add_word(buf, field, value, err);
    case MESSAGE:
        break;
    }
    size_t begin = proto_begin(buf, field->number);
    bool ok = add_message(buf, field->message, value, err);
    proto_end(buf, begin);
    return ok;
}

static bool add_list(Buf *buf, const Field *field, const JsonValue *list, Error *err)
{
    bool ok = true;
    // Numbers are packed: proto3.
    size_t begin = field->kind == NUMBER ? proto_begin(buf, field->number) : 0;
    for (size_t i = 0; ok && i < list->count; i++) {
        uint64_t number;
        if (field->kind != NUMBER)
            ok = add_one(buf, field, &list->items[i], err);
        else if ((ok = number_of(field, &list->items[i], &number, err)))
            buf_add_uvarint(buf, number);
    }
    if (field->kind == NUMBER)
        proto_end(buf, begin);
    return ok;
}

static const Field *find_field(const Message *message, Str key)
{
    for (size_t i = 0; i < message->count; i++)
        if (str_is(key, message->fields[i].json))
            return &message->fields[i];
    return NULL;
}

static bool add_message(Buf *buf, const Message *message, const JsonValue *value, Error *err)
{
    bool ok =
        value->kind == JSON_OBJECT || error_set(err, ERR_INVALID, "event: an object is expected");
    for (size_t i = 0; ok && i < value->count; i++) {
        const Field *field = find_field(message, value->keys[i]);
        const JsonValue *item = &value->items[i];
        if (!field)
            return error_set(err, ERR_INVALID, "event: no message has " STR_FMT,
                             STR_ARG(value->keys[i]));
        ok = item->kind == JSON_ARRAY ? add_list(buf, field, item, err)
                                      : add_one(buf, field, item, err);
    }
    return ok;
}

bool am_event_proto_add(Buf *buf, Str json, Arena *arena, Error *err)
{
    JsonValue *value;
    return json_read(json, arena, &value, err) && add_message(buf, &event, value, err);
}
