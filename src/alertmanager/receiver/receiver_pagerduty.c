// SPDX-License-Identifier: Apache-2.0
// pagerduty: the events API, version 2, or 1 for a service key: alertmanager.md section 8.4.
#include "alertmanager/am_receiver.h"
#include "codec/json_reader.h"

#define V1_URL S("https://events.pagerduty.com/generic/2010-04-15/create_event.json")
#define SUMMARY_RUNES_MAX 1024
#define EVENT_BYTES_MAX 512000

typedef struct PagerdutyImage {
    Str src, alt, href;
} PagerdutyImage;

typedef struct PagerdutyLink {
    Str href, text;
} PagerdutyLink;

typedef struct Pagerduty {
    AmCommon common;
    Str service_key, service_key_file, routing_key, routing_key_file;
    Str url, client, client_url, description;
    const YamlNode *details;
    ConfigList images; // PagerdutyImage
    ConfigList links;  // PagerdutyLink
    Str source, severity, class, component, group;
    int64_t timeout;
} Pagerduty;

#define OWNER PagerdutyImage
static const ConfigField image_fields[] = {
    AM_FIELD(src, CONFIG_STR, "where the picture is"),
    AM_FIELD(alt, CONFIG_STR, "text in its place"),
    AM_FIELD(href, CONFIG_STR, "where it leads"),
};
#undef OWNER
static const ConfigTable image_table =
    CONFIG_TABLE(PagerdutyImage, "pagerduty_image", image_fields, NULL);

#define OWNER PagerdutyLink
static const ConfigField link_fields[] = {
    AM_FIELD(href, CONFIG_STR, "where it leads"),
    AM_FIELD(text, CONFIG_STR, "what it is"),
};
#undef OWNER
static const ConfigTable link_table =
    CONFIG_TABLE(PagerdutyLink, "pagerduty_link", link_fields, NULL);

#define OWNER Pagerduty
static const ConfigField fields[] = {
    AM_COMMON_FIELDS(Pagerduty, "true"),
    AM_FIELD(service_key, CONFIG_SECRET, "integration key of version 1"),
    AM_FIELD(service_key_file, CONFIG_STR, "file with it"),
    AM_FIELD(routing_key, CONFIG_SECRET, "integration key of version 2"),
    AM_FIELD(routing_key_file, CONFIG_STR, "file with it"),
    AM_FIELD(url, CONFIG_STR, "the events API"),
    AM_FIELD(client, CONFIG_STR, "who reports", .default_text = AM_TEMPLATE("pagerduty", "client")),
    AM_FIELD(client_url, CONFIG_STR, "where to look",
             .default_text = AM_TEMPLATE("pagerduty", "clientURL")),
    AM_FIELD(description, CONFIG_STR, "summary",
             .default_text = "{{ template \"pagerduty.default.description\" .}}"),
    AM_FIELD(details, CONFIG_CUSTOM, "more about it", .decode = am_config_decode_node,
             .print = am_config_print_node),
    AM_FIELD(images, CONFIG_STRUCT_LIST, "pictures", .table = &image_table),
    AM_FIELD(links, CONFIG_STRUCT_LIST, "links", .table = &link_table),
    AM_FIELD(source, CONFIG_STR, "what is affected"),
    AM_FIELD(severity, CONFIG_STR, "critical, warning, error or info"),
    AM_FIELD(class, CONFIG_STR, "class of the event"),
    AM_FIELD(component, CONFIG_STR, "part of the source"),
    AM_FIELD(group, CONFIG_STR, "cluster or group of sources"),
    AM_FIELD_GO_DURATION(timeout, "longest that one attempt may take"),
};
const ConfigTable receiver_pagerduty_table =
    CONFIG_TABLE(Pagerduty, "pagerduty_config", fields, am_receiver_finish);

static YamlNode *text_node(Arena *arena, const char *text)
{
    YamlNode *node = ARENA_NEW(arena, YamlNode);
    *node = (YamlNode){.kind = YAML_SCALAR, .quoted = true, .scalar = str_from_c(text)};
    return node;
}

// Adds the details that are there unless somebody sets them.
static const YamlNode *with_defaults(Arena *arena, const YamlNode *given)
{
    static const char *const defaults[][2] = {
        {"firing", "{{ .Alerts.Firing | toJson }}"},
        {"resolved", "{{ .Alerts.Resolved | toJson }}"},
        {"num_firing", "{{ .Alerts.Firing | len }}"},
        {"num_resolved", "{{ .Alerts.Resolved | len }}"},
    };
    size_t count = given ? given->count : 0;
    YamlNode *all = ARENA_NEW(arena, YamlNode);
    all->kind = YAML_MAPPING;
    all->keys = ARENA_ARRAY(arena, YamlNode *, count + COUNT_OF(defaults));
    all->items = ARENA_ARRAY(arena, YamlNode *, count + COUNT_OF(defaults));
    for (size_t i = 0; i < count; i++) {
        all->keys[i] = given->keys[i];
        all->items[i] = given->items[i];
    }
    all->count = count;
    for (size_t i = 0; i < COUNT_OF(defaults); i++) {
        if (given && yaml_get(given, str_from_c(defaults[i][0])))
            continue;
        all->keys[all->count] = text_node(arena, defaults[i][0]);
        all->keys[all->count]->quoted = false;
        all->items[all->count++] = text_node(arena, defaults[i][1]);
    }
    return all;
}

static bool complete(ConfigReader *reader, const AmGlobal *global, void *config, Error *err)
{
    Pagerduty *pd = config;
    const AmCommon *common = &pd->common;
    bool v1 = pd->service_key.len || pd->service_key_file.len;
    bool v2 = pd->routing_key.len || pd->routing_key_file.len;
    if (!v1 && !v2)
        return config_error(reader, common->node, err,
                            "missing service or routing key in PagerDuty config");
    if (pd->details && pd->details->kind != YAML_MAPPING)
        return config_error(reader, pd->details, err, "details must be a map");
    if (!am_receiver_one_of(reader, common, "routing_key & routing_key_file", pd->routing_key,
                            pd->routing_key_file, err) ||
        !am_receiver_one_of(reader, common, "service_key & service_key_file", pd->service_key,
                            pd->service_key_file, err) ||
        !am_config_url(reader, common->node, &pd->url, err))
        return false;
    if (pd->url.len == 0)
        pd->url = global->pagerduty_url;
    if (pd->source.len == 0)
        pd->source = pd->client;
    pd->details = with_defaults(reader->arena, pd->details);
    return true;
}

static void add_images(AmSend *send, JsonWriter *json, const Pagerduty *pd)
{
    const PagerdutyImage *all = pd->images.items;
    bool any = false;
    for (size_t i = 0; i < pd->images.count; i++) {
        Str src = am_send_text(send, all[i].src);
        if (src.len == 0)
            continue;
        if (!any) {
            json_key(json, S("images"));
            json_array(json);
        }
        any = true;
        json_object(json);
        json_key_str(json, "src", src);
        json_key_str(json, "alt", am_send_text(send, all[i].alt));
        json_key_str(json, "href", am_send_text(send, all[i].href));
        json_object_end(json);
    }
    if (any)
        json_array_end(json);
}

static void add_links(AmSend *send, JsonWriter *json, const Pagerduty *pd)
{
    const PagerdutyLink *all = pd->links.items;
    bool any = false;
    for (size_t i = 0; i < pd->links.count; i++) {
        Str href = am_send_text(send, all[i].href);
        if (href.len == 0)
            continue;
        if (!any) {
            json_key(json, S("links"));
            json_array(json);
        }
        any = true;
        json_object(json);
        json_key_str(json, "href", href);
        json_key_str(json, "text", am_send_text(send, all[i].text));
        json_object_end(json);
    }
    if (any)
        json_array_end(json);
}

static void add_details(AmSend *send, JsonWriter *json, const Pagerduty *pd, bool whole)
{
    if (whole) {
        am_send_tree(send, json, pd->details);
        return;
    }
    json_object(json);
    json_key_c(json, "error",
               "Custom details have been removed because the original event exceeds the maximum "
               "size of 512KB");
    json_object_end(json);
}

static void add_event_v2(AmSend *send, JsonWriter *json, const Pagerduty *pd, Str key, bool whole)
{
    Str summary =
        am_truncate_runes(send->arena, am_send_text(send, pd->description), SUMMARY_RUNES_MAX);
    json_object(json);
    json_key_str(json, "routing_key", key);
    json_key_str(json, "dedup_key", am_send_key(send));
    json_key_c(json, "event_action", send->data->firing ? "trigger" : "resolve");
    json_key(json, S("payload"));
    json_object(json);
    json_key_str(json, "summary", summary);
    am_send_member(send, json, "source", pd->source, true);
    am_send_member(send, json, "severity", pd->severity.len ? pd->severity : S("error"), true);
    am_send_member(send, json, "class", pd->class, false);
    am_send_member(send, json, "component", pd->component, false);
    am_send_member(send, json, "group", pd->group, false);
    json_key(json, S("custom_details"));
    add_details(send, json, pd, whole);
    json_object_end(json);
    am_send_member(send, json, "client", pd->client, false);
    am_send_member(send, json, "client_url", pd->client_url, false);
    add_images(send, json, pd);
    add_links(send, json, pd);
    json_object_end(json);
}

static void add_event_v1(AmSend *send, JsonWriter *json, const Pagerduty *pd, Str key, bool whole)
{
    Str description =
        am_truncate_runes(send->arena, am_send_text(send, pd->description), SUMMARY_RUNES_MAX);
    json_object(json);
    json_key_str(json, "service_key", key);
    json_key_str(json, "incident_key", am_send_key(send));
    json_key_c(json, "event_type", send->data->firing ? "trigger" : "resolve");
    if (description.len)
        json_key_str(json, "description", description);
    json_key_c(json, "event_action", "");
    json_key(json, S("payload"));
    json_null(json);
    if (send->data->firing) {
        am_send_member(send, json, "client", pd->client, false);
        am_send_member(send, json, "client_url", pd->client_url, false);
    }
    json_key(json, S("details"));
    add_details(send, json, pd, whole);
    json_object_end(json);
}

// What PagerDuty says about a request that it refuses.
static AmStep refused(AmSend *send, Error *err)
{
    CLEANUP(buf_deinit) Buf text = {0};
    JsonValue *answer;
    Error ignored = {0};
    send->failure = AM_FAILURE_CLIENT;
    if (!json_read(send->response->body, send->arena, &answer, &ignored))
        return am_send_fail(send, err, "unexpected status code 400");
    const JsonValue *message = json_get(answer, S("message"));
    const JsonValue *faults = json_get(answer, S("errors"));
    if (message && message->kind == JSON_STRING)
        buf_add_str(&text, str_sub(message->str, 0, 100));
    buf_add_c(&text, ": ");
    for (size_t i = 0; faults && faults->kind == JSON_ARRAY && i < faults->count; i++)
        if (faults->items[i].kind == JSON_STRING)
            buf_printf(&text, "%s" STR_FMT, i ? "," : "", STR_ARG(faults->items[i].str));
    return am_send_fail(send, err, STR_FMT, STR_ARG(buf_str(&text)));
}

static AmStep step(AmSend *send, Error *err)
{
    const Pagerduty *pd = send->config;
    bool v1 = pd->service_key.len || pd->service_key_file.len;
    Str key;
    Buf body = {0};
    JsonWriter json;
    if (send->step) {
        if (!send->response->err && send->response->status == 400)
            return refused(send, err);
        return v1 ? AM_CHECK(send, err, 403) : AM_CHECK(send, err, 429);
    }
    if (!am_send_secret(send, v1 ? pd->service_key : pd->routing_key,
                        v1 ? pd->service_key_file : pd->routing_key_file, &key, err))
        return AM_STEP_FAILED;
    key = am_send_text(send, key);
    if (am_send_rendered(send, err) && key.len == 0)
        return am_send_fail(send, err,
                            v1 ? "service key cannot be empty" : "routing key cannot be empty");
    for (int whole = 1; whole >= 0; whole--) {
        buf_reset(&body);
        json_writer_init(&json, &body);
        (v1 ? add_event_v1 : add_event_v2)(send, &json, pd, key, whole);
        if (body.len <= EVENT_BYTES_MAX)
            break;
    }
    send->timeout_ms = pd->timeout / 1000000;
    return am_send_finish(send, v1 ? V1_URL : pd->url, &body, err);
}

const AmReceiverKind receiver_pagerduty = {"pagerduty", &receiver_pagerduty_table, complete, step};
