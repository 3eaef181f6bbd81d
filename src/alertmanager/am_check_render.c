// SPDX-License-Identifier: Apache-2.0
// A template filled in with data from a file: amtool template render.
#include <stdlib.h>

#include "alertmanager/am_internal.h"
#include "codec/json_reader.h"

#define ALERTS_MAX 100000
#define MINUTE_NS (60 * AM_S_NS)

// amtool's sample, but for its times.
static const char sample[] =
    "{\"receiver\":\"receiver\",\"status\":\"alertstatus\",\"alerts\":["
    "{\"status\":\"firing\",\"labels\":{\"label1\":\"value1\",\"label2\":\"value2\",\"instance\":"
    "\"foo.bar:1234\",\"commonlabelkey1\":\"commonlabelvalue1\",\"commonlabelkey2\":"
    "\"commonlabelvalue2\"},\"annotations\":{\"annotation1\":\"value1\",\"annotation2\":\"value2\","
    "\"commonannotationkey1\":\"commonannotationvalue1\",\"commonannotationkey2\":"
    "\"commonannotationvalue2\"},\"generatorURL\":\"https://generatorurl.com\",\"fingerprint\":"
    "\"fingerprint1\"},"
    "{\"status\":\"resolved\",\"labels\":{\"foo\":\"bar\",\"baz\":\"qux\",\"commonlabelkey1\":"
    "\"commonlabelvalue1\",\"commonlabelkey2\":\"commonlabelvalue2\"},\"annotations\":{\"aaa\":"
    "\"bbb\",\"ccc\":\"ddd\",\"commonannotationkey1\":\"commonannotationvalue1\","
    "\"commonannotationkey2\":\"commonannotationvalue2\"},\"generatorURL\":"
    "\"https://generatorurl.com\",\"fingerprint\":\"fingerprint2\"}],"
    "\"groupLabels\":{\"grouplabelkey1\":\"grouplabelvalue1\",\"grouplabelkey2\":"
    "\"grouplabelvalue2\"},\"commonLabels\":{\"commonlabelkey1\":\"commonlabelvalue1\","
    "\"commonlabelkey2\":\"commonlabelvalue2\"},\"commonAnnotations\":{\"commonannotationkey1\":"
    "\"commonannotationvalue1\",\"commonannotationkey2\":\"commonannotationvalue2\"},"
    "\"externalURL\":\"https://example.com\"}";

// Go's decoder does not mind the case of keys.
static const JsonValue *member(const JsonValue *object, const char *key)
{
    for (size_t i = 0; object->kind == JSON_OBJECT && i < object->count; i++)
        if (str_equal_nocase(object->keys[i], str_from_c(key)))
            return object->items[i].kind == JSON_NULL ? NULL : &object->items[i];
    return NULL;
}

static bool read_str(const JsonValue *object, const char *key, Str *ret_text, Error *err)
{
    const JsonValue *value = member(object, key);
    *ret_text = STR_NONE;
    if (value && value->kind != JSON_STRING)
        return error_set(err, ERR_INVALID, "%s must be a string", key);
    if (value)
        *ret_text = value->str;
    return true;
}

static bool read_labels(const JsonValue *object, const char *key, Arena *arena, Labels *ret_labels,
                        Error *err)
{
    const JsonValue *value = member(object, key);
    *ret_labels = LABELS_NONE;
    if (!value)
        return true;
    if (value->kind != JSON_OBJECT)
        return error_set(err, ERR_INVALID, "%s must be an object", key);
    Label *pairs = ARENA_ARRAY(arena, Label, value->count + 1);
    size_t count = value->count;
    for (size_t i = 0; i < count; i++) {
        if (value->items[i].kind != JSON_STRING)
            return error_set(err, ERR_INVALID, "%s: values must be strings", key);
        pairs[i] = (Label){value->keys[i], value->items[i].str};
    }
    if (!labels_sort(pairs, &count, err))
        return error_context(err, "%s", key);
    *ret_labels = (Labels){pairs, count};
    return true;
}

static bool read_time(const JsonValue *object, const char *key, int64_t *ret_ns, Error *err)
{
    Str text;
    *ret_ns = AM_TIME_ZERO;
    return read_str(object, key, &text, err) &&
           (text.len == 0 || am_time_parse(text, ret_ns, err) || error_context(err, "%s", key));
}

static bool read_alert(const JsonValue *value, Arena *arena, AmNote *note, Error *err)
{
    AmAlertInput input = {0};
    AmSaid *said = ARENA_NEW(arena, AmSaid);
    if (!read_str(value, "status", &said->status, err) ||
        !read_str(value, "fingerprint", &said->fingerprint, err) ||
        !read_labels(value, "labels", arena, &input.labels, err) ||
        !read_labels(value, "annotations", arena, &input.annotations, err) ||
        !read_str(value, "generatorURL", &input.generator_url, err) ||
        !read_time(value, "startsAt", &input.starts_ns, err) ||
        !read_time(value, "endsAt", &input.ends_ns, err))
        return false;
    *note = (AmNote){.alert = am_alert_new(&input, 0, false),
                     .resolved = str_is(said->status, "resolved"),
                     .said = said};
    return true;
}

static bool read_alerts(const JsonValue *root, Arena *arena, AmData *data, Error *err)
{
    const JsonValue *list = member(root, "alerts");
    if (!list)
        return true;
    if (list->kind != JSON_ARRAY || list->count > ALERTS_MAX)
        return error_set(err, ERR_INVALID, "alerts must be a list of at most %d", ALERTS_MAX);
    AmNote *notes = ARENA_ARRAY(arena, AmNote, list->count + 1);
    data->notes = notes;
    for (size_t i = 0; i < list->count; i++) {
        if (!read_alert(&list->items[i], arena, &notes[i], err))
            return error_context(err, "alerts[%zu]", i);
        data->count++;
    }
    return true;
}

static bool read_data(Str text, Arena *arena, AmData *data, Error *err)
{
    JsonValue *root;
    AmSaid *said = ARENA_NEW(arena, AmSaid);
    data->said = said;
    if (!json_read(text, arena, &root, err))
        return false;
    if (root->kind != JSON_OBJECT)
        return error_set(err, ERR_INVALID, "the data must be an object");
    return read_str(root, "receiver", &data->receiver, err) &&
           read_str(root, "status", &said->status, err) &&
           read_str(root, "notification_reason", &data->said_reason, err) &&
           read_str(root, "externalURL", &data->external_url, err) &&
           read_labels(root, "groupLabels", arena, &data->group_labels, err) &&
           read_labels(root, "commonLabels", arena, &data->common_labels, err) &&
           read_labels(root, "commonAnnotations", arena, &data->common_annotations, err) &&
           read_labels(root, "routeLabels", arena, &data->route_labels, err) &&
           read_alerts(root, arena, data, err);
}

// The sample's alerts began a while ago and end now.
static void set_sample_times(AmData *data)
{
    int64_t now_ns = am_now_ns(&clock_system);
    for (size_t i = 0; i < data->count; i++) {
        data->notes[i].alert->starts_ns = now_ns - (int64_t)(i + 1) * 5 * MINUTE_NS;
        data->notes[i].alert->ends_ns = now_ns;
    }
}

bool am_check_render(const Str *patterns, size_t count, Str text, bool html, Str json, Buf *out,
                     Error *err)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    ConfigStrList paths = {ARENA_ARRAY(&arena, Str, count + 1), count};
    AmTemplates *templates = NULL;
    AmData data = {0};
    Str result;
    for (size_t i = 0; i < count; i++)
        paths.items[i] = patterns[i];
    bool ok = am_templates_new(&paths, &templates, err) &&
              read_data(json.len ? json : str_from_c(sample), &arena, &data, err);
    if (ok && json.len == 0)
        set_sample_times(&data);
    ok = ok && am_templates_render(templates, text, html, &data, &arena, &result, err);
    if (ok)
        buf_add_str(out, result);
    for (size_t i = 0; i < data.count; i++)
        am_alert_unref(data.notes[i].alert);
    am_templates_free(templates);
    return ok;
}
