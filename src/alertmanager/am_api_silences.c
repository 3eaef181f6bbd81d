// SPDX-License-Identifier: Apache-2.0
// API v2: silences.
#include <stdlib.h>

#include "alertmanager/am_api.h"
#include "base/log.h"

#define MATCHERS_MAX 1000
#define SHARED_WAIT_MS 3000

static void json_matchers(JsonWriter *json, const AmMatchers *set)
{
    json_key(json, S("matchers"));
    json_array(json);
    for (size_t i = 0; i < set->count; i++) {
        const Matcher *m = &set->items[i];
        json_object(json);
        json_key_bool(json, "isEqual", m->kind == MATCH_EQUAL || m->kind == MATCH_REGEX);
        json_key_bool(json, "isRegex", m->kind == MATCH_REGEX || m->kind == MATCH_NOT_REGEX);
        json_key_str(json, "name", m->name);
        json_key_str(json, "value", m->value);
        json_object_end(json);
    }
    json_array_end(json);
}

static void json_silence(JsonWriter *json, const AmSilenceData *silence, int64_t now_ns)
{
    AmMatchers none = {0};
    json_object(json);
    json_key_str(json, "id", silence->id);
    json_key(json, S("status"));
    json_object(json);
    json_key_c(json, "state", am_silence_state_name(am_silence_state(silence, now_ns)));
    json_object_end(json);
    json_key(json, S("updatedAt"));
    am_time_api_json(json, silence->updated_ns);
    if (silence->annotations.count)
        am_api_labels(json, "annotations", silence->annotations);
    json_key_str(json, "comment", silence->comment);
    json_key_str(json, "createdBy", silence->created_by);
    json_key(json, S("endsAt"));
    am_time_api_json(json, silence->ends_ns);
    json_matchers(json, silence->set_count ? &silence->sets[0] : &none);
    json_key(json, S("startsAt"));
    am_time_api_json(json, silence->starts_ns);
    json_object_end(json);
}

// ---- GET silences ----

static bool has_matcher(const AmSilenceData *silence, const Matcher *wanted)
{
    for (size_t s = 0; s < silence->set_count; s++)
        for (size_t i = 0; i < silence->sets[s].count; i++)
            if (am_matcher_equal(&silence->sets[s].items[i], wanted))
                return true;
    return false;
}

static bool silence_passes(const AmSilenceData *silence, const AmMatchers *filters)
{
    for (size_t i = 0; i < filters->count; i++)
        if (!has_matcher(silence, &filters->items[i]))
            return false;
    return true;
}

typedef struct SilenceView {
    const AmSilenceData *data;
    AmSilenceState state;
} SilenceView;

static int by_state_and_time(const void *a, const void *b)
{
    static const int order[] = {
        [AM_SILENCE_ACTIVE] = 0, [AM_SILENCE_PENDING] = 1, [AM_SILENCE_EXPIRED] = 2};
    const SilenceView *x = a;
    const SilenceView *y = b;
    if (x->state != y->state)
        return order[x->state] - order[y->state];
    int64_t i = x->state == AM_SILENCE_PENDING ? x->data->starts_ns : x->data->ends_ns;
    int64_t k = y->state == AM_SILENCE_PENDING ? y->data->starts_ns : y->data->ends_ns;
    int c = (i > k) - (i < k);
    if (c == 0)
        return str_compare(x->data->id, y->data->id);
    return x->state == AM_SILENCE_EXPIRED ? -c : c;
}

static void list_silences(AmCall *call, const AmMatchers *filters, const bool *states,
                          JsonWriter *json)
{
    Am *am = call->am;
    int64_t now_ns = am_now_ns(am->clock);
    size_t count = 0;
    SilenceView *views = ARENA_ARRAY(call->arena, SilenceView, am->silences.by_id.count + 1);
    for (MapEntry *e = NULL; (e = map_next(&am->silences.by_id, e));) {
        const AmSilenceData *data = &((AmSilence *)e->value)->data;
        AmSilenceState state = am_silence_state(data, now_ns);
        if (states[state] && silence_passes(data, filters))
            views[count++] = (SilenceView){data, state};
    }
    if (count > 1)
        qsort(views, count, sizeof *views, by_state_and_time);
    for (size_t i = 0; i < count; i++)
        json_silence(json, views[i].data, now_ns);
}

void am_api_silences_get(AmCall *call)
{
    CLEANUP(am_matchers_deinit) AmMatchers filters = {0};
    CLEANUP(buf_deinit) Buf buf = {0};
    JsonWriter json;
    bool states[3];
    if (!am_api_flag(call, "active", true, &states[AM_SILENCE_ACTIVE]) ||
        !am_api_flag(call, "pending", true, &states[AM_SILENCE_PENDING]) ||
        !am_api_flag(call, "expired", true, &states[AM_SILENCE_EXPIRED]) ||
        !am_api_matchers(call, "filter", &filters))
        return;
    json_writer_init(&json, &buf);
    json_array(&json);
    Span span;
    lock_take(&call->am->lock);
    span_open(&span, S("silence.Silences.Query"));
    list_silences(call, &filters, states, &json);
    span_end(&span);
    lock_give(&call->am->lock);
    json_array_end(&json);
    am_api_compress(call);
    am_api_json(call, 200, &buf);
}

// ---- one silence ----

static bool is_uuid(Str id)
{
    if (id.len != 36)
        return false;
    for (size_t i = 0; i < id.len; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        char c = id.ptr[i];
        bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        if (dash ? c != '-' : !hex)
            return false;
    }
    return true;
}

static bool id_of(AmCall *call)
{
    if (is_uuid(call->rest))
        return true;
    am_api_refuse(call, 422, 601, "silenceID in path must be of type uuid: \"" STR_FMT "\"",
                  STR_ARG(str_sub(call->rest, 0, 100)));
    return false;
}

void am_api_silence_get(AmCall *call)
{
    Am *am = call->am;
    CLEANUP(buf_deinit) Buf buf = {0};
    JsonWriter json;
    if (!id_of(call))
        return;
    json_writer_init(&json, &buf);
    Span span;
    lock_take(&am->lock);
    span_open(&span, S("silence.Silences.Query"));
    const AmSilence *silence = am_silences_find(&am->silences, call->rest);
    span_end(&span);
    size_t sets = silence ? silence->data.set_count : 0;
    if (silence)
        json_silence(&json, &silence->data, am_now_ns(am->clock));
    lock_give(&am->lock);
    if (!silence)
        am_api_empty(call, 404);
    else if (sets > 1)
        am_api_fault(call, 500, "a silence with %zu sets of matchers cannot be shown", sets);
    else
        am_api_json(call, 200, &buf);
}

// Waits for the disk, and a little for the other instances: if they cannot be told now they are told later. False if the answer has
// been given.
static bool wait_for_disk(AmCall *call, uint64_t ticket, uint64_t shared_ticket)
{
    Error err = {0};
    if (call->am->shared)
        (void)am_shared_wait(call->am->shared, shared_ticket, SHARED_WAIT_MS);
    if (!call->am->store || ticket == 0 || am_store_wait(call->am->store, ticket, &err))
        return true;
    am_api_fault(call, 500, "the change holds but is not on the disk yet: %s", err.text);
    return false;
}

static void log_change(const Am *am, const char *what, const AmSilenceData *silence)
{
    CLEANUP(buf_deinit) Buf matchers = {0};
    am_event_silence(am->events, silence, !str_is(str_from_c(what), "created"));
    if (!am->options.log_silences)
        return;
    if (silence->set_count)
        am_matchers_print(&matchers, &silence->sets[0]);
    log_info("silence changed", KV("what", what), KV("id", silence->id),
             KV("created_by", silence->created_by), KV("comment", silence->comment),
             KV("matchers", buf_str(&matchers)));
}

void am_api_silence_delete(AmCall *call)
{
    Am *am = call->am;
    uint64_t ticket = 0;
    Error err = {0};
    if (!id_of(call))
        return;
    Span span;
    lock_take(&am->lock);
    span_open(&span, S("silences.Expire"));
    span_str(&span, "alerting.silence.id", call->rest);
    bool ok = am_silences_expire(&am->silences, call->rest, am_now_ns(am->clock), &ticket, &err);
    span_end(&span);
    if (ok)
        log_change(am, "expired", &am_silences_find(&am->silences, call->rest)->data);
    uint64_t shared = am->silences.shared_ticket;
    lock_give(&am->lock);
    if (!ok)
        am_api_empty(call, 404);
    else if (wait_for_disk(call, ticket, shared))
        am_api_empty(call, 200);
}

// ---- POST silences ----

// The two halves that the original's model of a silence has; it reads the first before the second.
static const AmJsonMember id_members[] = {{"id", AM_JSON_STRING}};
static const AmJsonShape id_shape = {"struct { ID string \"json:\\\"id,omitempty\\\"\" }", "",
                                     id_members, COUNT_OF(id_members)};
static const AmJsonMember silence_members[] = {
    {"annotations", AM_JSON_LABELS}, {"comment", AM_JSON_STRING},    {"createdBy", AM_JSON_STRING},
    {"endsAt", AM_JSON_TIME},        {"matchers", AM_JSON_MATCHERS}, {"startsAt", AM_JSON_TIME}};
static const AmJsonShape silence_shape = {"models.Silence", "Silence", silence_members,
                                          COUNT_OF(silence_members)};

static bool member_missing(AmCall *call, const JsonValue *body)
{
    static const char *const required[] = {"comment", "createdBy", "endsAt", "matchers",
                                           "startsAt"};
    for (size_t i = 0; i < COUNT_OF(required); i++) {
        const JsonValue *value = json_get(body, str_from_c(required[i]));
        if (!value || value->kind == JSON_NULL) {
            am_api_refuse(call, 422, 602, "%s in body is required", required[i]);
            return true;
        }
    }
    return false;
}

static bool text_of(const JsonValue *object, const char *key, Str *ret_text, Error *err)
{
    const JsonValue *value = json_get(object, str_from_c(key));
    *ret_text = STR_NONE;
    if (!value || value->kind == JSON_NULL)
        return true;
    if (value->kind != JSON_STRING)
        return error_set(err, ERR_INVALID, "%s must be a string", key);
    *ret_text = value->str;
    return true;
}

static bool flag_of(const JsonValue *object, const char *key, bool fallback)
{
    const JsonValue *value = json_get(object, str_from_c(key));
    return value && value->kind == JSON_BOOL ? value->boolean : fallback;
}

static bool read_matcher(AmCall *call, const JsonValue *value, Matcher *matcher, Error *err)
{
    static const MatchKind kinds[2][2] = {{MATCH_NOT_EQUAL, MATCH_EQUAL},
                                          {MATCH_NOT_REGEX, MATCH_REGEX}};
    Str name;
    Str text;
    bool is_regex = flag_of(value, "isRegex", false);
    bool is_equal = flag_of(value, "isEqual", true);
    Error fault = {0};
    if (!text_of(value, "name", &name, err) || !text_of(value, "value", &text, err))
        return false;
    return am_matcher_init(matcher, kinds[is_regex][is_equal], name, text, call->arena, &fault) ||
           error_set(err, ERR_INVALID, "invalid regular expression \"" STR_FMT "\": %s",
                     STR_ARG(str_sub(text, 0, 200)), fault.text);
}

// False if the answer has been given.
static bool read_matchers(AmCall *call, const JsonValue *list, AmMatchers *set)
{
    static const char *const required[] = {"isRegex", "name", "value"};
    if (list->kind != JSON_ARRAY || list->count == 0 || list->count > MATCHERS_MAX) {
        am_api_refuse(call, 422, 612, "matchers in body should have at least 1 items");
        return false;
    }
    set->items = arena_zalloc(call->arena, list->count * sizeof(Matcher));
    for (size_t i = 0; i < list->count; i++) {
        Error err = {0};
        for (size_t k = 0; k < COUNT_OF(required); k++)
            if (!json_get(&list->items[i], str_from_c(required[k]))) {
                am_api_refuse(call, 422, 602, "matchers.%zu.%s in body is required", i,
                              required[k]);
                return false;
            }
        if (!read_matcher(call, &list->items[i], &set->items[i], &err)) {
            am_api_fault(call, 400, "invalid silence: invalid label matcher %zu in set 0: %s", i,
                         err.text);
            return false;
        }
        set->count++;
    }
    return true;
}

static bool read_silence(AmCall *call, const JsonValue *body, AmSilenceData *data, AmMatchers *set)
{
    Error err = {0};
    Str starts;
    Str ends;
    const JsonValue *annotations = json_get(body, S("annotations"));
    bool ok =
        text_of(body, "id", &data->id, &err) && text_of(body, "comment", &data->comment, &err) &&
        text_of(body, "createdBy", &data->created_by, &err) &&
        text_of(body, "startsAt", &starts, &err) && text_of(body, "endsAt", &ends, &err) &&
        am_json_time(starts, &data->starts_ns, &err) && am_json_time(ends, &data->ends_ns, &err) &&
        (!annotations || annotations->kind == JSON_NULL ||
         am_api_read_labels(call, annotations, &data->annotations, &err));
    if (!ok) {
        am_api_unreadable(call, "silence", &err);
        return false;
    }
    if (!read_matchers(call, json_get(body, S("matchers")), set))
        return false;
    data->sets = set;
    data->set_count = 1;
    int64_t now_ns = am_now_ns(call->am->clock);
    if (data->starts_ns >= data->ends_ns) {
        am_api_fault(call, 400, "Failed to create silence: start time must be before end time");
        return false;
    }
    if (data->ends_ns < now_ns) {
        am_api_fault(call, 400, "Failed to create silence: end time can't be in the past");
        return false;
    }
    return true;
}

static void set_silence(AmCall *call, const AmSilenceData *data)
{
    Am *am = call->am;
    CLEANUP(buf_deinit) Buf buf = {0};
    const AmSilence *silence;
    uint64_t ticket = 0;
    Error err = {0};
    JsonWriter json;
    Span span;
    lock_take(&am->lock);
    span_open(&span, S("silences.Set"));
    bool ok = am_silences_set(&am->silences, data, am->options.matchers != AM_MATCHER_CLASSIC,
                              am_now_ns(am->clock), &silence, &ticket, &err);
    span_end(&span);
    Str id = ok ? arena_str(call->arena, silence->data.id) : STR_NONE;
    if (ok)
        log_change(am, data->id.len ? "updated" : "created", &silence->data);
    uint64_t shared = am->silences.shared_ticket;
    lock_give(&am->lock);
    if (!ok) {
        am_api_fault(call, err.code == ERR_NOT_FOUND ? 404 : 400, "%s", err.text);
        return;
    }
    if (!wait_for_disk(call, ticket, shared))
        return;
    json_writer_init(&json, &buf);
    json_object(&json);
    json_key_str(&json, "silenceID", id);
    json_object_end(&json);
    am_api_json(call, 200, &buf);
}

void am_api_silences_post(AmCall *call)
{
    JsonValue *body;
    CLEANUP(am_matchers_deinit) AmMatchers set = {0};
    AmSilenceData data = {0};
    if (!am_api_body(call, "silence", &body))
        return;
    Error err = {0};
    if (!am_json_check(&id_shape, body, &err) || !am_json_check(&silence_shape, body, &err)) {
        am_api_unreadable(call, "silence", &err);
        return;
    }
    if (!member_missing(call, body) && read_silence(call, body, &data, &set))
        set_silence(call, &data);
}
