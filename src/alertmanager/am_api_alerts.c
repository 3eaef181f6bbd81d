// SPDX-License-Identifier: Apache-2.0
// API v2: alerts and their groups.
#include <stdio.h>
#include <stdlib.h>

#include "alertmanager/am_api.h"

// What a client asks for.
typedef struct Wanted {
    bool active, silenced, inhibited, unprocessed, muted;
    AmMatchers filters;
    AmMatchers receiver_matchers;
    Regex *receiver;
} Wanted;

static void free_wanted(Wanted *wanted)
{
    am_matchers_deinit(&wanted->filters);
    am_matchers_deinit(&wanted->receiver_matchers);
    regex_free(wanted->receiver);
}

static bool read_wanted(AmCall *call, Wanted *wanted)
{
    return am_api_flag(call, "active", true, &wanted->active) &&
           am_api_flag(call, "silenced", true, &wanted->silenced) &&
           am_api_flag(call, "inhibited", true, &wanted->inhibited) &&
           am_api_flag(call, "unprocessed", true, &wanted->unprocessed) &&
           am_api_flag(call, "muted", true, &wanted->muted) &&
           am_api_matchers(call, "filter", &wanted->filters) &&
           am_api_matchers(call, "receiver_matchers", &wanted->receiver_matchers) &&
           am_api_regex(call, "receiver", &wanted->receiver);
}

static bool receiver_wanted(const AmCall *call, const Wanted *wanted, Str name)
{
    if (wanted->receiver && !regex_match(wanted->receiver, name))
        return false;
    if (wanted->receiver_matchers.count == 0)
        return true;
    const AmReceiverConfig *config = am_config_receiver(call->am->generation->config, name);
    LabelsBuilder builder;
    labels_builder_init(&builder, call->arena, LABELS_NONE);
    for (size_t i = 0; config && i < config->labels.count; i++)
        labels_builder_set(&builder, config->labels.keys[i], config->labels.values[i]);
    return am_matchers_match(&wanted->receiver_matchers, labels_builder_finish(&builder));
}

// ---- what holds an alert back now ----

typedef struct Status {
    uint64_t inhibited_by;
    bool is_inhibited;
    const AmSilence *silences[AM_API_MATCHED_MAX];
    size_t silence_count;
    Str muted_by[AM_API_INTERVALS_MAX];
    size_t muted_count;
} Status;

static void status_of(Am *am, const AmAlert *alert, int64_t now_ns, Status *status)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    Labels labels = am_alert_labels(alert, &arena);
    Span span;
    size_t rule;
    (void)span_open_recorded(&span, S("alertFilter"));
    status->is_inhibited = am_inhibitor_mutes_by(am->generation->inhibitor, labels, now_ns,
                                                 &status->inhibited_by, &rule);
    status->silence_count =
        am_silences_mute(&am->silences, labels, now_ns, status->silences, AM_API_MATCHED_MAX);
    span_end(&span);
}

static bool status_wanted(const Wanted *wanted, const Status *status)
{
    bool held = status->is_inhibited || status->silence_count;
    return (wanted->active || held) && (wanted->silenced || !status->silence_count) &&
           (wanted->inhibited || !status->is_inhibited);
}

static void json_status(JsonWriter *json, const Status *status)
{
    bool held = status->is_inhibited || status->silence_count || status->muted_count;
    json_key(json, S("status"));
    json_object(json);
    json_key(json, S("inhibitedBy"));
    json_array(json);
    if (status->is_inhibited) {
        char fingerprint[17];
        snprintf(fingerprint, sizeof fingerprint, "%016llx",
                 (unsigned long long)status->inhibited_by);
        json_c(json, fingerprint);
    }
    json_array_end(json);
    json_key(json, S("mutedBy"));
    json_array(json);
    for (size_t i = 0; i < status->muted_count; i++)
        json_str(json, status->muted_by[i]);
    json_array_end(json);
    json_key(json, S("silencedBy"));
    json_array(json);
    for (size_t i = 0; i < status->silence_count; i++)
        json_str(json, status->silences[i]->data.id);
    json_array_end(json);
    json_key_c(json, "state", held ? "suppressed" : "active");
    json_object_end(json);
}

static void json_alert(JsonWriter *json, const AmAlert *alert, const Str *receivers, size_t count,
                       const Status *status)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    char fingerprint[17];
    snprintf(fingerprint, sizeof fingerprint, "%016llx", (unsigned long long)alert->fingerprint);
    json_object(json);
    am_api_labels(json, "annotations", am_alert_annotations(alert, &arena));
    json_key(json, S("endsAt"));
    am_time_api_json(json, alert->ends_ns);
    json_key_c(json, "fingerprint", fingerprint);
    json_key(json, S("receivers"));
    json_array(json);
    for (size_t i = 0; i < count; i++) {
        json_object(json);
        json_key_str(json, "name", receivers[i]);
        json_object_end(json);
    }
    json_array_end(json);
    json_key(json, S("startsAt"));
    am_time_api_json(json, alert->starts_ns);
    json_status(json, status);
    json_key(json, S("updatedAt"));
    am_time_api_json(json, alert->updated_ns);
    if (am_alert_url(alert).len)
        json_key_str(json, "generatorURL", am_alert_url(alert));
    am_api_labels(json, "labels", am_alert_labels(alert, &arena));
    json_object_end(json);
}

static bool has_ended(const AmAlert *alert, int64_t now_ns)
{
    return !am_time_is_zero(alert->ends_ns) && alert->ends_ns < now_ns;
}

static bool passes(const AmMatchers *filters, const AmAlert *alert)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    return filters->count == 0 || am_api_passes(filters, am_alert_labels(alert, &arena));
}

// ---- GET alerts ----

static int by_fingerprint(const void *a, const void *b)
{
    uint64_t x = (*(const AmAlert *const *)a)->fingerprint;
    uint64_t y = (*(const AmAlert *const *)b)->fingerprint;
    return (x > y) - (x < y);
}

static void list_alerts(AmCall *call, const Wanted *wanted, JsonWriter *json)
{
    Am *am = call->am;
    int64_t now_ns = am_now_ns(am->clock);
    AmRouteList routes = {0};
    size_t count = 0;
    const AmAlert **all = ARENA_ARRAY(call->arena, const AmAlert *, am->alerts.alerts.count + 1);
    for (AmTableSlot *s = NULL; (s = am_table_next(&am->alerts.alerts, s));)
        if (!has_ended(s->value, now_ns) && passes(&wanted->filters, s->value))
            all[count++] = s->value;
    if (count > 1)
        qsort(all, count, sizeof *all, by_fingerprint);
    Status status = {0};
    CLEANUP(arena_deinit) Arena arena = {0};
    for (size_t i = 0; i < count; i++) {
        bool any = false;
        arena_reset(&arena);
        am_route_match(am->generation->tree.root, am_alert_labels(all[i], &arena), &routes);
        Str *names = ARENA_ARRAY(call->arena, Str, routes.count);
        for (size_t r = 0; r < routes.count; r++) {
            names[r] = routes.items[r]->receiver;
            any |= receiver_wanted(call, wanted, names[r]);
        }
        status_of(am, all[i], now_ns, &status);
        if (any && status_wanted(wanted, &status))
            json_alert(json, all[i], names, routes.count, &status);
    }
    am_route_list_deinit(&routes);
}

void am_api_alerts_get(AmCall *call)
{
    CLEANUP(free_wanted) Wanted wanted = {0};
    CLEANUP(buf_deinit) Buf buf = {0};
    JsonWriter json;
    if (!read_wanted(call, &wanted))
        return;
    json_writer_init(&json, &buf);
    json_array(&json);
    lock_take(&call->am->lock);
    list_alerts(call, &wanted, &json);
    lock_give(&call->am->lock);
    json_array_end(&json);
    am_api_compress(call);
    am_api_json(call, 200, &buf);
}

// ---- GET alerts/groups ----

typedef struct GroupView {
    const AmGroup *group;
    const AmAlert **alerts; // that are wanted, in the order of notifications
    size_t count;
    Str muted_by[AM_API_INTERVALS_MAX];
    size_t muted_count;
} GroupView;

static int by_order(const void *a, const void *b)
{
    return am_alert_compare(*(const AmAlert *const *)a, *(const AmAlert *const *)b);
}

static int compare_label_sets(Labels a, Labels b)
{
    if (a.count != b.count)
        return a.count < b.count ? -1 : 1;
    for (size_t i = 0; i < a.count; i++) {
        int c = str_compare(b.pairs[i].name, a.pairs[i].name); // who lacks a name is first
        c = c ? c : str_compare(a.pairs[i].value, b.pairs[i].value);
        if (c)
            return c;
    }
    return 0;
}

static int by_labels(const void *a, const void *b)
{
    const GroupView *x = a;
    const GroupView *y = b;
    int c = compare_label_sets(x->group->labels, y->group->labels);
    if (c == 0)
        c = str_compare(x->group->route->receiver, y->group->route->receiver);
    return c ? c : str_compare(x->group->route->id, y->group->route->id);
}

static void view_group(AmCall *call, const Wanted *wanted, const AmGroup *group, int64_t now_ns,
                       GroupView *view)
{
    bool inactive;
    Status status = {0};
    view->group = group;
    view->alerts = ARENA_ARRAY(call->arena, const AmAlert *, group->alerts.count + 1);
    // As the last flush found it; one that no flush has looked at is not muted.
    if (group->timed_ns)
        view->muted_count = am_notify_muted_by(group->route, group->timed_ns, view->muted_by,
                                               AM_API_INTERVALS_MAX, &inactive);
    if (!wanted->muted && view->muted_count)
        return;
    for (AmTableSlot *s = NULL; (s = am_table_next(&group->alerts, s));) {
        const AmAlert *alert = s->value;
        if (has_ended(alert, now_ns) || !passes(&wanted->filters, alert))
            continue;
        status_of(call->am, alert, now_ns, &status);
        if (status_wanted(wanted, &status))
            view->alerts[view->count++] = alert;
    }
    if (view->count > 1)
        qsort(view->alerts, view->count, sizeof *view->alerts, by_order);
}

static int by_str(const void *a, const void *b)
{
    return str_compare(*(const Str *)a, *(const Str *)b);
}

// Receivers by alert over all groups that are shown.
typedef struct AlertReceivers {
    Str *names;
    size_t count;
} AlertReceivers;

static void note_receiver(AmTable *table, Arena *arena, const AmAlert *alert, Str name)
{
    AlertReceivers *all = am_table_get(table, alert->fingerprint);
    if (!all) {
        all = ARENA_NEW(arena, AlertReceivers);
        (void)am_table_put(table, alert->fingerprint, all);
    }
    for (size_t i = 0; i < all->count; i++)
        if (str_equal(all->names[i], name))
            return;
    all->names =
        arena_grow(arena, all->names, all->count * sizeof(Str), (all->count + 1) * sizeof(Str));
    all->names[all->count++] = name;
    qsort(all->names, all->count, sizeof(Str), by_str);
}

static void json_group(AmCall *call, JsonWriter *json, const GroupView *view,
                       const AmTable *receivers, int64_t now_ns)
{
    Status status = {0};
    status.muted_count = view->muted_count;
    memcpy(status.muted_by, view->muted_by, sizeof status.muted_by);
    json_object(json);
    json_key(json, S("alerts"));
    json_array(json);
    for (size_t i = 0; i < view->count; i++) {
        const AlertReceivers *names = am_table_get(receivers, view->alerts[i]->fingerprint);
        status_of(call->am, view->alerts[i], now_ns, &status);
        json_alert(json, view->alerts[i], names->names, names->count, &status);
    }
    json_array_end(json);
    // The original escapes what is in alerts, and nothing else.
    json->keeps_html = true;
    am_api_labels(json, "labels", view->group->labels);
    json_key(json, S("receiver"));
    json_object(json);
    json_key_str(json, "name", view->group->route->receiver);
    json_object_end(json);
    json_key(json, S("routeLabels"));
    json_object(json);
    for (size_t i = 0; i < view->group->route->labels.count; i++) {
        json_key(json, view->group->route->labels.keys[i]);
        json_str(json, view->group->route->labels.values[i]);
    }
    json_object_end(json);
    json_object_end(json);
    json->keeps_html = false;
}

static void list_groups(AmCall *call, const Wanted *wanted, JsonWriter *json)
{
    Am *am = call->am;
    const AmDispatch *dispatch = &am->generation->dispatch;
    int64_t now_ns = am_now_ns(am->clock);
    GroupView *views = arena_zalloc(call->arena, (dispatch->heap_count + 1) * sizeof *views);
    AmTable receivers = {0};
    size_t count = 0;
    for (size_t i = 0; i < dispatch->heap_count; i++) {
        const AmGroup *group = dispatch->heap[i];
        if (!receiver_wanted(call, wanted, group->route->receiver))
            continue;
        view_group(call, wanted, group, now_ns, &views[count]);
        for (size_t k = 0; k < views[count].count; k++)
            note_receiver(&receivers, call->arena, views[count].alerts[k], group->route->receiver);
        count += views[count].count > 0;
    }
    if (count > 1)
        qsort(views, count, sizeof *views, by_labels);
    for (size_t i = 0; i < count; i++)
        json_group(call, json, &views[i], &receivers, now_ns);
    am_table_deinit(&receivers);
}

void am_api_groups(AmCall *call)
{
    CLEANUP(free_wanted) Wanted wanted = {0};
    CLEANUP(buf_deinit) Buf buf = {0};
    JsonWriter json;
    if (!read_wanted(call, &wanted))
        return;
    json_writer_init(&json, &buf);
    json_array(&json);
    lock_take(&call->am->lock);
    list_groups(call, &wanted, &json);
    lock_give(&call->am->lock);
    json_array_end(&json);
    am_api_compress(call);
    am_api_json(call, 200, &buf);
}

// ---- POST alerts ----

// The two halves that the original's model of an alert has; it reads the first of each alert before the second.
static const AmJsonMember moment_members[] = {
    {"annotations", AM_JSON_LABELS}, {"endsAt", AM_JSON_TIME}, {"startsAt", AM_JSON_TIME}};
static const AmJsonShape moment_shape = {
    "struct { Annotations models.LabelSet \"json:\\\"annotations,omitempty\\\"\"; EndsAt "
    "strfmt.DateTime \"json:\\\"endsAt,omitempty\\\"\"; StartsAt strfmt.DateTime "
    "\"json:\\\"startsAt,omitempty\\\"\" }",
    "", moment_members, COUNT_OF(moment_members)};
static const AmJsonMember alert_members[] = {{"generatorURL", AM_JSON_URI},
                                             {"labels", AM_JSON_LABELS}};
static const AmJsonShape alert_shape = {"models.Alert", "Alert", alert_members,
                                        COUNT_OF(alert_members)};

// False if the answer has been given.
static bool check_shape(AmCall *call, const JsonValue *value)
{
    Error err = {0};
    if (am_json_check(&moment_shape, value, &err) && am_json_check(&alert_shape, value, &err))
        return true;
    am_api_unreadable(call, "alerts", &err);
    return false;
}

static bool read_time(const JsonValue *object, const char *key, int64_t *ret_ns, Error *err)
{
    const JsonValue *value = json_get(object, str_from_c(key));
    *ret_ns = AM_TIME_ZERO;
    return !value || value->kind == JSON_NULL || am_json_time(value->str, ret_ns, err);
}

static bool is_scheme(Str text)
{
    bool ok = text.len && ((text.ptr[0] | 0x20) >= 'a' && (text.ptr[0] | 0x20) <= 'z');
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        ok &= ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
              c == '-' || c == '.';
    }
    return ok;
}

// Host and port; what a name may hold is not looked at.
static bool is_authority(Str text)
{
    size_t at = str_rfind_char(text, '@');
    Str host = at == STR_NOT_FOUND ? text : str_skip(text, at + 1);
    size_t close = str_find_char(host, ']');
    if (str_starts_with(host, S("["))) {
        if (close == STR_NOT_FOUND)
            return false;
        host = str_skip(host, close + 1);
    }
    size_t colon = str_rfind_char(host, ':');
    Str port = colon == STR_NOT_FOUND ? STR_NONE : str_skip(host, colon + 1);
    for (size_t i = 0; i < port.len; i++)
        if (port.ptr[i] < '0' || port.ptr[i] > '9')
            return false;
    return true;
}

static bool are_escapes_whole(Str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] == '%' && (i + 2 >= text.len || str_digit(text.ptr[i + 1]) >= 16 ||
                                   str_digit(text.ptr[i + 2]) >= 16))
            return false;
    return true;
}

// Go's url.ParseRequestURI; nothing is fine, too.
static bool is_uri(Str text)
{
    size_t colon = str_find_char(text, ':');
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7F)
            return false;
    Str path = str_sub(text, 0, str_find_char(text, '?'));
    if (text.len == 0)
        return true;
    if (str_starts_with(text, S("/")))
        return are_escapes_whole(path);
    if (colon == STR_NOT_FOUND || !is_scheme(str_sub(text, 0, colon)))
        return false;
    Str rest = str_skip(path, MIN(colon + 1, path.len));
    if (!str_starts_with(rest, S("//")))
        return true;
    rest = str_skip(rest, 2);
    Str authority = str_sub(rest, 0, str_find_char(rest, '/'));
    return str_find_char(authority, ' ') == STR_NOT_FOUND && is_authority(authority) &&
           are_escapes_whole(rest);
}

bool am_api_read_alert(AmCall *call, const JsonValue *value, size_t index, AmAlertInput *input)
{
    Error err = {0};
    const JsonValue *labels = json_get(value, S("labels"));
    const JsonValue *annotations = json_get(value, S("annotations"));
    const JsonValue *url = json_get(value, S("generatorURL"));
    *input = (AmAlertInput){0};
    if (!check_shape(call, value))
        return false;
    if (!labels || labels->kind == JSON_NULL) {
        am_api_refuse(call, 422, 602, "%zu.labels in body is required", index);
        return false;
    }
    bool ok = am_api_read_labels(call, labels, &input->labels, &err) &&
              (!annotations || annotations->kind == JSON_NULL ||
               am_api_read_labels(call, annotations, &input->annotations, &err)) &&
              read_time(value, "startsAt", &input->starts_ns, &err) &&
              read_time(value, "endsAt", &input->ends_ns, &err);
    if (!ok) {
        am_api_unreadable(call, "alerts", &err);
        return false;
    }
    if (url && url->kind == JSON_STRING) {
        input->generator_url = url->str;
        if (!is_uri(url->str)) {
            am_api_refuse(call, 422, 601,
                          "%zu.generatorURL in body must be of type uri: \"" STR_FMT "\"", index,
                          STR_ARG(str_sub(url->str, 0, 200)));
            return false;
        }
    }
    return true;
}

static bool read_alerts(AmCall *call, const JsonValue *body, AmAlertInput *inputs)
{
    CLEANUP(span_end) Span span;
    span_open(&span, S("OpenAPIAlertsToAlerts"));
    for (size_t i = 0; i < body->count; i++) // all can be read before the first is looked into
        if (!check_shape(call, &body->items[i]))
            return false;
    for (size_t i = 0; i < body->count; i++)
        if (!am_api_read_alert(call, &body->items[i], i, &inputs[i]))
            return false;
    return true;
}

void am_api_alerts_post(AmCall *call)
{
    JsonValue *body;
    Error err = {0};
    if (!am_api_body(call, "alerts", &body))
        return;
    if (body->kind == JSON_NULL) {
        am_api_empty(call, 200);
        return;
    }
    if (!am_json_check_array("models.PostableAlerts", body, &err)) {
        am_api_unreadable(call, "alerts", &err);
        return;
    }
    AmAlertInput *inputs = ARENA_ARRAY(call->arena, AmAlertInput, body->count + 1);
    if (!read_alerts(call, body, inputs))
        return;
    if (am_receive(call->am, inputs, body->count, &err))
        am_api_empty(call, 200);
    else
        am_api_fault(call, 400, "%s", err.text);
}
