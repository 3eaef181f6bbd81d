// SPDX-License-Identifier: Apache-2.0
#include "alertmanager/am_receiver.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fs.h"
#include "net/digest.h"

#define SECRET_FILE_BYTES_MAX ((size_t)1 << 20)
#define FAULT_BODY_BYTES 300

const char *const am_failure_names[AM_FAILURE_COUNT] = {
    "other",     "clientError", "serverError", "contextCanceled", "contextDeadlineExceeded",
    "authError", "rateLimited",
};

bool am_receiver_finish(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    (void)reader;
    (void)err;
    ((AmCommon *)object)->node = node;
    return true;
}

bool am_receiver_one_of(const ConfigReader *reader, const AmCommon *common, const char *names,
                        Str a, Str b, Error *err)
{
    if (!a.len || !b.len)
        return true;
    return config_error(reader, common->node, err, "at most one of %s must be configured", names);
}

bool am_receiver_inherit(const ConfigReader *reader, const AmCommon *common, Str *value, Str *file,
                         Str global_value, Str global_file, const char *fault, Error *err)
{
    if (value->len || file->len)
        return true;
    if (!global_value.len && !global_file.len)
        return config_error(reader, common->node, err, "%s", fault);
    *value = global_value;
    *file = global_file;
    return true;
}

// ---- texts ----

static Str render(AmSend *send, Str text, bool html)
{
    Str out;
    if (send->render_failed)
        return STR_NONE;
    if (!am_templates_render(send->templates, text, html, send->data, send->arena, &out,
                             &send->render_error)) {
        send->render_failed = true;
        return STR_NONE;
    }
    return out;
}

Str am_send_text(AmSend *send, Str text)
{
    return render(send, text, false);
}

Str am_send_html(AmSend *send, Str text)
{
    return render(send, text, true);
}

bool am_send_rendered(AmSend *send, Error *err)
{
    if (!send->render_failed)
        return true;
    send->retry = false;
    return error_set(err, ERR_INVALID, "%s", send->render_error.text);
}

bool am_send_secret(AmSend *send, Str text, Str file, Str *ret_secret, Error *err)
{
    Str bytes;
    if (file.len == 0) {
        *ret_secret = text;
        return true;
    }
    if (!fs_read_file(&fs_system, file, send->arena, SECRET_FILE_BYTES_MAX, &bytes, err))
        return false;
    *ret_secret = str_trim(bytes);
    return true;
}

Str am_send_key(AmSend *send)
{
    CLEANUP(buf_deinit) Buf hex = {0};
    digest_add_sha256_hex(&hex, send->group_key);
    return arena_str(send->arena, buf_str(&hex));
}

Str am_truncate_runes(Arena *arena, Str text, size_t max)
{
    size_t runes = 0;
    size_t keep =
        0; // bytes of the first max - 1 runes (or max, if there is no room for the ellipsis)
    size_t kept = max <= 3 ? max : max - 1;
    uint32_t rune;
    for (size_t at = 0; at < text.len; runes++) {
        if (runes == kept)
            keep = at;
        at += str_rune(str_skip(text, at), &rune);
    }
    if (runes <= max)
        return text;
    if (max <= 3)
        return str_sub(text, 0, keep);
    return arena_printf(arena, STR_FMT "\xE2\x80\xA6", (int)keep, text.ptr);
}

Str am_truncate_bytes(Arena *arena, Str text, size_t max)
{
    size_t keep = 0;
    uint32_t rune;
    if (text.len <= max)
        return text;
    if (max <= 3)
        return str_sub(text, 0, max);
    for (size_t len; (len = str_rune(str_skip(text, keep), &rune)) && keep + len <= max - 3;)
        keep += len;
    return arena_printf(arena, STR_FMT "\xE2\x80\xA6", (int)keep, text.ptr);
}

// ---- requests ----

void am_send_header(AmSend *send, const char *name, Str value)
{
    ASSERT(send->header_count < AM_SEND_HEADERS_MAX);
    send->headers[send->header_count++] =
        arena_printf(send->arena, "%s: " STR_FMT, name, STR_ARG(value));
}

AmStep am_send_request(AmSend *send, const char *method, Str url, Str content_type, Str body)
{
    send->request.method = str_from_c(method);
    send->request.url = url;
    send->request.body = body;
    if (content_type.len)
        am_send_header(send, "Content-Type", content_type);
    return AM_STEP_REQUEST;
}

AmStep am_send_json(AmSend *send, Str url, Buf *body)
{
    buf_add_char(body, '\n');
    Str copy = arena_str(send->arena, buf_str(body));
    buf_deinit(body);
    return am_send_request(send, "POST", url, S("application/json"), copy);
}

static AmFailure failure_of_status(int status)
{
    if (status == 401 || status == 403)
        return AM_FAILURE_AUTH;
    if (status == 429)
        return AM_FAILURE_RATE;
    return status / 100 == 4   ? AM_FAILURE_CLIENT
           : status / 100 == 5 ? AM_FAILURE_SERVER
                               : AM_FAILURE_OTHER;
}

AmStep am_send_check(AmSend *send, const int *retry_statuses, size_t count, Error *err)
{
    const HttpResponse *response = send->response;
    if (response->err) {
        send->retry = true;
        send->failure =
            response->err->code == ERR_CANCELED ? AM_FAILURE_CANCELED : AM_FAILURE_OTHER;
        error_set(err, response->err->code, "%s", response->err->text);
        return AM_STEP_FAILED;
    }
    int status = response->status;
    if (status / 100 == 2)
        return AM_STEP_DONE;
    send->retry = status / 100 == 5;
    for (size_t i = 0; i < count; i++)
        send->retry |= retry_statuses[i] == status;
    send->failure = failure_of_status(status);
    Str body = str_sub(response->body, 0, FAULT_BODY_BYTES);
    if (body.len)
        error_set(err, ERR_UNAVAILABLE, "unexpected status code %d: " STR_FMT, status,
                  STR_ARG(body));
    else
        error_set(err, ERR_UNAVAILABLE, "unexpected status code %d", status);
    return AM_STEP_FAILED;
}

AmStep am_send_fail(AmSend *send, Error *err, const char *fmt, ...)
{
    char text[400];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    send->retry = false;
    error_set(err, ERR_INVALID, "%s", text);
    return AM_STEP_FAILED;
}

AmStep am_send_finish(AmSend *send, Str url, Buf *body, Error *err)
{
    if (am_send_rendered(send, err))
        return am_send_json(send, url, body);
    buf_deinit(body);
    return AM_STEP_FAILED;
}

void am_send_member(AmSend *send, JsonWriter *json, const char *key, Str text, bool always)
{
    Str value = am_send_text(send, text);
    if (value.len || always)
        json_key_str(json, key, value);
}

// ---- trees ----

typedef struct Tree {
    AmSend *send;
    bool fills; // strings are templates
} Tree;

static void add_tree(const Tree *tree, JsonWriter *json, const YamlNode *node);

static void add_scalar(JsonWriter *json, const YamlNode *node)
{
    bool boolean;
    int64_t integer;
    double number;
    if (node->quoted)
        json_str(json, node->scalar);
    else if (yaml_bool(node, &boolean))
        json_bool(json, boolean);
    else if (yaml_i64(node, &integer))
        json_i64(json, integer);
    else if (yaml_double(node, &number) && number - number == 0)
        json_double(json, number);
    else
        json_str(json, node->scalar);
}

static bool is_text(const YamlNode *node)
{
    bool boolean;
    int64_t integer;
    double number;
    return node->quoted ||
           !(yaml_bool(node, &boolean) || yaml_i64(node, &integer) || yaml_double(node, &number));
}

// YAML 1.1 reads y and n as booleans, and what is no text is no key of a document.
static bool is_letter_for_bool(const YamlNode *key)
{
    return !key->quoted && key->scalar.len == 1 && strchr("yYnN", key->scalar.ptr[0]);
}

static int by_key(const void *a, const void *b, void *keys)
{
    const Str *names = keys;
    return str_compare(names[*(const size_t *)a], names[*(const size_t *)b]);
}

static size_t *sorted(Arena *arena, Str *keys, size_t count)
{
    size_t *order = ARENA_ARRAY(arena, size_t, MAX(count, 1u));
    for (size_t i = 0; i < count; i++)
        order[i] = i;
    if (count > 1)
        qsort_r(order, count, sizeof *order, by_key, keys);
    return order;
}

static void add_mapping(const Tree *tree, JsonWriter *json, const YamlNode *node)
{
    Str *keys = ARENA_ARRAY(tree->send->arena, Str, MAX(node->count, 1u));
    for (size_t i = 0; i < node->count; i++)
        keys[i] =
            tree->fills ? am_send_text(tree->send, node->keys[i]->scalar) : node->keys[i]->scalar;
    size_t *order = sorted(tree->send->arena, keys, node->count);
    json_object(json);
    for (size_t i = 0; i < node->count; i++) {
        const YamlNode *key = node->keys[order[i]];
        if (tree->fills && (key->kind != YAML_SCALAR || !is_text(key) || is_letter_for_bool(key)))
            continue;
        json_key(json, keys[order[i]]);
        add_tree(tree, json, node->items[order[i]]);
    }
    json_object_end(json);
}

static void add_tree(const Tree *tree, JsonWriter *json, const YamlNode *node)
{
    switch (node->kind) {
    case YAML_NULL:
        json_null(json);
        break;
    case YAML_SCALAR:
        if (tree->fills && is_text(node))
            am_send_typed(tree->send, json, am_send_text(tree->send, node->scalar));
        else
            add_scalar(json, node);
        break;
    case YAML_SEQUENCE:
        json_array(json);
        for (size_t i = 0; i < node->count; i++)
            add_tree(tree, json, node->items[i]);
        json_array_end(json);
        break;
    case YAML_MAPPING:
        add_mapping(tree, json, node);
        break;
    }
}

void am_send_typed(AmSend *send, JsonWriter *json, Str text)
{
    Tree tree = {.send = send};
    YamlNode *root;
    Error ignored = {0};
    if (!yaml_parse(text, STR_NONE, send->arena, &root, &ignored) ||
        (root->kind == YAML_SCALAR && is_text(root)))
        json_str(json, text);
    else
        add_tree(&tree, json, root);
}

void am_send_tree(AmSend *send, JsonWriter *json, const YamlNode *node)
{
    Tree tree = {.send = send, .fills = true};
    add_tree(&tree, json, node);
}

void am_send_map(AmSend *send, JsonWriter *json, ConfigStrMap map)
{
    size_t *order = sorted(send->arena, map.keys, map.count);
    json_object(json);
    for (size_t i = 0; i < map.count; i++) {
        json_key(json, map.keys[order[i]]);
        json_str(json, am_send_text(send, map.values[order[i]]));
    }
    json_object_end(json);
}

// ---- the webhook's document ----

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

static void json_note(JsonWriter *json, const AmNote *note)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    char fingerprint[17];
    snprintf(fingerprint, sizeof fingerprint, "%016llx",
             (unsigned long long)note->alert->fingerprint);
    json_object(json);
    json_key_c(json, "status", note->resolved ? "resolved" : "firing");
    json_labels(json, "labels", am_alert_labels(note->alert, &arena));
    json_labels(json, "annotations", am_alert_annotations(note->alert, &arena));
    json_key(json, S("startsAt"));
    am_time_json(json, note->alert->starts_ns);
    json_key(json, S("endsAt"));
    am_time_json(json, note->resolved ? note->alert->ends_ns : AM_TIME_ZERO);
    json_key_str(json, "generatorURL", am_alert_url(note->alert));
    json_key_c(json, "fingerprint", fingerprint);
    json_object_end(json);
}

void am_send_message(AmSend *send, JsonWriter *json, const char *version, size_t max_alerts,
                     bool only_first)
{
    const AmData *data = send->data;
    size_t shown = max_alerts && max_alerts < data->count ? max_alerts : data->count;
    json_object(json);
    json_key_str(json, "receiver", data->receiver);
    json_key_c(json, "status", data->firing ? "firing" : "resolved");
    json_key(json, S("alerts"));
    json_array(json);
    for (size_t i = 0; i < (only_first ? 1 : shown); i++)
        json_note(json, &data->notes[i]);
    json_array_end(json);
    json_key_c(json, "notification_reason", am_reason_text(data->reason));
    json_labels(json, "groupLabels", data->group_labels);
    json_labels(json, "commonLabels", data->common_labels);
    json_labels(json, "commonAnnotations", data->common_annotations);
    json_labels(json, "routeLabels", data->route_labels);
    json_key_str(json, "externalURL", data->external_url);
    json_key_c(json, "version", version);
    json_key_str(json, "groupKey", send->group_key);
    json_key_u64(json, "truncatedAlerts", data->count - shown);
    json_object_end(json);
}
