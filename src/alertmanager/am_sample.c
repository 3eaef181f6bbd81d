// SPDX-License-Identifier: Apache-2.0
#include "alertmanager/am_sample.h"

#include <stdatomic.h>
#include <stdlib.h>

#define TEMPLATE_STEPS 2000000u
#define TEMPLATE_OUTPUT_BYTES ((size_t)1 << 20)
#define TEMPLATE_MEMORY_BYTES ((size_t)16 << 20)

static bool take_place(AmSample *sample, AmCall *call)
{
    if (atomic_fetch_add(&call->am->trials_running, 1) < AM_TRIALS_MAX) {
        sample->am = call->am;
        return true;
    }
    atomic_fetch_sub(&call->am->trials_running, 1);
    am_api_fault(call, 503, "more than %d previews and tests at the same time, try again later",
                 AM_TRIALS_MAX);
    return false;
}

// False if the answer has been given; the empty Str if the member is not there.
static bool read_str(AmCall *call, const JsonValue *body, const char *key, Str *ret_text)
{
    const JsonValue *value = json_get(body, str_from_c(key));
    *ret_text = STR_NONE;
    if (!value || value->kind == JSON_NULL)
        return true;
    if (value->kind == JSON_STRING) {
        *ret_text = value->str;
        return true;
    }
    am_api_fault(call, 400, "%s must be a string", key);
    return false;
}

static const AmRoute *route_to(const AmRoute *route, Str receiver)
{
    if (str_equal(route->receiver, receiver))
        return route;
    for (size_t i = 0; i < route->child_count; i++) {
        const AmRoute *found = route_to(&route->children[i], receiver);
        if (found)
            return found;
    }
    return NULL;
}

static int compare_notes(const void *a, const void *b)
{
    return am_alert_compare(((const AmNote *)a)->alert, ((const AmNote *)b)->alert);
}

// ---- where alerts come from ----

static bool take_group(AmSample *sample, AmCall *call, Str group_key, Str receiver)
{
    const AmDispatch *dispatch = &sample->generation->dispatch;
    int64_t now_ns = am_now_ns(call->am->clock);
    const AmGroup *found = NULL;
    lock_take(&call->am->lock);
    for (size_t i = 0; i < dispatch->heap_count && !found; i++) {
        const AmGroup *group = dispatch->heap[i];
        if (str_equal(group->key, group_key) &&
            (receiver.len == 0 || str_equal(group->route->receiver, receiver)))
            found = group;
    }
    if (found) {
        sample->notes = am_group_notes(found, now_ns, call->arena, &sample->count);
        sample->route = found->route;
        sample->group_labels = labels_copy(call->arena, found->labels);
        sample->group_key = arena_str(call->arena, found->key);
    }
    lock_give(&call->am->lock);
    if (!found)
        am_api_fault(call, 404, "there is no group with this key and receiver");
    return found != NULL;
}

static bool take_alert(AmSample *sample, AmCall *call, AmAlertInput *input)
{
    Am *am = call->am;
    Error err = {0};
    bool is_timeout;
    int64_t now_ns = am_now_ns(am->clock);
    int64_t timeout_ns = sample->generation->config->file.global.resolve_timeout_ms * AM_MS_NS;
    if (!am_alert_complete(input, now_ns, timeout_ns, &is_timeout, &err) ||
        !am_alert_check(input, am->options.matchers != AM_MATCHER_CLASSIC, &err)) {
        am_api_fault(call, 400, "alerts[%zu]: %s", sample->count, err.text);
        return false;
    }
    AmAlert *alert = am_alert_new(input, now_ns, is_timeout);
    sample->notes[sample->count++] =
        (AmNote){.alert = alert, .resolved = am_alert_resolved_at(alert, now_ns)};
    return true;
}

static bool take_alerts(AmSample *sample, AmCall *call, const JsonValue *list)
{
    if (list->kind != JSON_ARRAY || list->count == 0 || list->count > AM_SAMPLE_ALERTS_MAX) {
        am_api_fault(call, 400, "alerts must be a list of 1 to %d alerts", AM_SAMPLE_ALERTS_MAX);
        return false;
    }
    sample->notes = ARENA_ARRAY(call->arena, AmNote, list->count);
    for (size_t i = 0; i < list->count; i++) {
        AmAlertInput input;
        if (!am_api_read_alert(call, &list->items[i], i, &input) ||
            !take_alert(sample, call, &input))
            return false;
    }
    if (sample->count > 1)
        qsort(sample->notes, sample->count, sizeof *sample->notes, compare_notes);
    return true;
}

static bool take_built_in(AmSample *sample, AmCall *call)
{
    static Label labels[] = {{STR("alertname"), STR("TestAlert")},
                             {STR("instance"), STR("test.example:9100")},
                             {STR("severity"), STR("warning")}};
    static Label annotations[] = {
        {STR("description"), STR("Nothing is wrong: somebody tries out a notification.")},
        {STR("summary"), STR("This is a test")}};
    AmAlertInput input = {
        .labels = {labels, COUNT_OF(labels)},
        .annotations = {annotations, COUNT_OF(annotations)},
        .starts_ns = AM_TIME_ZERO,
        .ends_ns = AM_TIME_ZERO,
    };
    sample->notes = ARENA_ARRAY(call->arena, AmNote, 1);
    return take_alert(sample, call, &input);
}

// ---- the group of alerts that stand in none ----

static bool choose_group(AmSample *sample, AmCall *call, const JsonValue *group_labels)
{
    Error err = {0};
    CLEANUP(buf_deinit) Buf key = {0};
    if (group_labels && group_labels->kind != JSON_NULL) {
        if (!am_api_read_labels(call, group_labels, &sample->group_labels, &err)) {
            am_api_fault(call, 400, "groupLabels: %s", err.text);
            return false;
        }
    } else if (sample->route) {
        Labels labels = am_route_group_labels(
            sample->route, am_alert_labels(sample->notes[0].alert, call->arena), call->arena);
        sample->group_labels = labels_copy(call->arena, labels);
    }
    buf_printf(&key, STR_FMT ":", STR_ARG(sample->route ? sample->route->key : S("{}")));
    am_labels_print(&key, sample->group_labels);
    sample->group_key = arena_str(call->arena, buf_str(&key));
    return true;
}

static bool read_alerts(AmSample *sample, AmCall *call, const JsonValue *body, Str receiver)
{
    const JsonValue *alerts = json_get(body, S("alerts"));
    Str group_key;
    if (!read_str(call, body, "groupKey", &group_key))
        return false;
    if (group_key.len)
        return take_group(sample, call, group_key, receiver);
    if (receiver.len)
        sample->route = route_to(sample->generation->tree.root, receiver);
    bool given = alerts && alerts->kind != JSON_NULL;
    return (given ? take_alerts(sample, call, alerts) : take_built_in(sample, call)) &&
           choose_group(sample, call, json_get(body, S("groupLabels")));
}

bool am_sample_init(AmSample *sample, AmCall *call, const JsonValue *body)
{
    Am *am = call->am;
    Str receiver;
    *sample = (AmSample){0};
    if (body->kind != JSON_OBJECT) {
        am_api_fault(call, 400, "the body must be an object");
        return false;
    }
    if (!take_place(sample, call) || !read_str(call, body, "receiver", &receiver))
        return false;
    sample->generation = am_generation_hold(am);
    TemplateLimits limits = {.output_bytes = TEMPLATE_OUTPUT_BYTES,
                             .memory_bytes = TEMPLATE_MEMORY_BYTES,
                             .steps = TEMPLATE_STEPS};
    sample->templates = am_templates_share(sample->generation->templates, limits);
    if (receiver.len) {
        sample->receiver = am_config_receiver(sample->generation->config, receiver);
        if (!sample->receiver) {
            am_api_fault(call, 404, "there is no receiver \"" STR_FMT "\"",
                         STR_ARG(str_sub(receiver, 0, 200)));
            return false;
        }
    }
    if (!read_alerts(sample, call, body, receiver))
        return false;
    if (receiver.len == 0 && sample->route)
        receiver = sample->route->receiver;
    sample->data = am_data_new(call->arena, receiver, am->options.external_url,
                               sample->group_labels, sample->notes, sample->count);
    sample->data->reason = AM_REASON_FIRST;
    return true;
}

void am_sample_deinit(AmSample *sample)
{
    if (!sample->am)
        return;
    for (size_t i = 0; i < sample->count; i++)
        am_alert_unref(sample->notes[i].alert);
    am_templates_free(sample->templates);
    am_generation_give(sample->am, sample->generation);
    atomic_fetch_sub(&sample->am->trials_running, 1);
    *sample = (AmSample){0};
}

bool am_sample_route_labels(AmSample *sample, Arena *arena, Error *err)
{
    return !sample->route || am_data_route_labels(sample->data, sample->templates,
                                                  &sample->route->labels, arena, err);
}

// ---- answers ----

void am_sample_json_fault(JsonWriter *json, const AmSample *sample, const Error *err)
{
    TemplatePlace place = am_templates_fault(sample->templates);
    json_key(json, S("error"));
    json_object(json);
    json_key_c(json, "message", err->text);
    json_key_str(json, "template", place.name);
    if (place.line) {
        json_key_u64(json, "line", place.line);
        json_key_u64(json, "column", place.column);
    }
    json_object_end(json);
}

void am_sample_json_head(JsonWriter *json, const AmSample *sample)
{
    if (sample->receiver)
        json_key_str(json, "receiver", sample->receiver->name);
    json_key_str(json, "groupKey", sample->group_key);
    am_api_labels(json, "groupLabels", sample->group_labels);
    json_key_u64(json, "alerts", sample->count);
}
