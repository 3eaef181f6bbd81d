// SPDX-License-Identifier: Apache-2.0
// opsgenie: an alert is made, changed and closed by requests of its own: alertmanager.md section 8.5.
#include <stdlib.h>

#include "alertmanager/am_receiver.h"
#include "alertmanager/am_template.h"

#define MESSAGE_RUNES_MAX 130

typedef struct OpsgenieResponder {
    Str id, name, username, type;
} OpsgenieResponder;

typedef struct Opsgenie {
    AmCommon common;
    Str api_key, api_key_file, api_url;
    Str message, description, source;
    ConfigStrMap details;
    Str entity;
    ConfigList responders; // OpsgenieResponder
    Str actions, tags, note, priority;
    bool update_alerts;
} Opsgenie;

#define OWNER OpsgenieResponder
static const ConfigField responder_fields[] = {
    AM_FIELD(id, CONFIG_STR, "by its id"),
    AM_FIELD(name, CONFIG_STR, "by its name"),
    AM_FIELD(username, CONFIG_STR, "by its login"),
    AM_FIELD(type, CONFIG_STR, "team, teams, user, escalation or schedule"),
};
#undef OWNER

static bool finish_responder(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    static const char *const types[] = {"team", "teams", "user", "escalation", "schedule"};
    OpsgenieResponder *responder = object;
    bool known = str_find(responder->type, S("{{")) != STR_NOT_FOUND;
    if (!responder->id.len && !responder->name.len && !responder->username.len)
        return config_error(
            reader, node, err,
            "opsGenieConfig responder must have at least one of id, username or name specified");
    Error why = {0};
    if (known && !am_template_check(responder->type, &why))
        return config_error(reader, node, err,
                            "opsGenieConfig responder type contains invalid template syntax: %s",
                            why.text);
    if (!known) {
        char *lower = str_to_c(reader->arena, responder->type);
        for (size_t i = 0; i < responder->type.len; i++)
            if (lower[i] >= 'A' && lower[i] <= 'Z')
                lower[i] = (char)(lower[i] + 32);
        responder->type.ptr = lower;
    }
    for (size_t i = 0; i < COUNT_OF(types); i++)
        known |= str_is(responder->type, types[i]);
    return known || config_error(reader, node, err,
                                 "opsGenieConfig responder type does not match valid options "
                                 "team|teams|user|escalation|schedule");
}

static const ConfigTable responder_table =
    CONFIG_TABLE(OpsgenieResponder, "opsgenie_responder", responder_fields, finish_responder);

#define OWNER Opsgenie
static const ConfigField fields[] = {
    AM_COMMON_FIELDS(Opsgenie, "true"),
    AM_FIELD(api_key, CONFIG_SECRET, "API key; a template"),
    AM_FIELD(api_key_file, CONFIG_STR, "file with it"),
    AM_FIELD(api_url, CONFIG_STR, "the API"),
    AM_FIELD(message, CONFIG_STR, "heading", .default_text = AM_TEMPLATE("opsgenie", "message")),
    AM_FIELD(description, CONFIG_STR, "text",
             .default_text = AM_TEMPLATE("opsgenie", "description")),
    AM_FIELD(source, CONFIG_STR, "who reports", .default_text = AM_TEMPLATE("opsgenie", "source")),
    AM_FIELD(details, CONFIG_STR_MAP, "more about it"),
    AM_FIELD(entity, CONFIG_STR, "what is affected"),
    AM_FIELD(responders, CONFIG_STRUCT_LIST, "who is called", .table = &responder_table),
    AM_FIELD(actions, CONFIG_STR, "names of actions, with commas"),
    AM_FIELD(tags, CONFIG_STR, "tags, with commas"),
    AM_FIELD(note, CONFIG_STR, "a note"),
    AM_FIELD(priority, CONFIG_STR, "P1 to P5"),
    AM_FIELD(update_alerts, CONFIG_BOOL,
             "change message and description of an alert that is there"),
};
const ConfigTable receiver_opsgenie_table =
    CONFIG_TABLE(Opsgenie, "opsgenie_config", fields, am_receiver_finish);

static bool complete(ConfigReader *reader, const AmGlobal *global, void *config, Error *err)
{
    Opsgenie *og = config;
    if (!am_receiver_one_of(reader, &og->common, "api_key & api_key_file", og->api_key,
                            og->api_key_file, err) ||
        !am_config_url(reader, og->common.node, &og->api_url, err) ||
        !am_receiver_inherit(reader, &og->common, &og->api_key, &og->api_key_file,
                             global->opsgenie_api_key, global->opsgenie_api_key_file,
                             "no global OpsGenie API Key set either inline or in a file", err))
        return false;
    og->api_url = og->api_url.len ? am_config_with_slash(reader->arena, og->api_url)
                                  : global->opsgenie_api_url;
    return true;
}

// A list from text with commas; empty pieces are left out.
static void add_list(AmSend *send, JsonWriter *json, const char *key, Str text)
{
    Str rest = am_send_text(send, text);
    Str piece;
    bool any = false;
    while (str_split_next(&rest, ',', &piece)) {
        if (piece.len == 0)
            continue;
        if (!any) {
            json_key(json, str_from_c(key));
            json_array(json);
        }
        any = true;
        json_str(json, piece);
    }
    if (any)
        json_array_end(json);
}

static void add_responder(JsonWriter *json, Str id, Str name, Str username, Str type)
{
    json_object(json);
    if (id.len)
        json_key_str(json, "id", id);
    if (name.len)
        json_key_str(json, "name", name);
    if (username.len)
        json_key_str(json, "username", username);
    json_key_str(json, "type", type);
    json_object_end(json);
}

static void add_responders(AmSend *send, JsonWriter *json, const Opsgenie *og)
{
    const OpsgenieResponder *all = og->responders.items;
    bool any = false;
    for (size_t i = 0; i < og->responders.count; i++) {
        Str id = am_send_text(send, all[i].id);
        Str name = am_send_text(send, all[i].name);
        Str username = am_send_text(send, all[i].username);
        Str type = am_send_text(send, all[i].type);
        if (!id.len && !name.len && !username.len && !type.len)
            continue;
        if (!any) {
            json_key(json, S("responders"));
            json_array(json);
        }
        any = true;
        if (!str_is(type, "teams")) {
            add_responder(json, id, name, username, type);
            continue;
        }
        Str team;
        while (str_split_next(&name, ',', &team))
            if (team.len)
                add_responder(json, id, team, username, S("team"));
    }
    if (any)
        json_array_end(json);
}

// Labels that all alerts share, under the configured details.
static void add_details(AmSend *send, JsonWriter *json, const Opsgenie *og)
{
    LabelsBuilder builder;
    labels_builder_init(&builder, send->arena, send->data->common_labels);
    for (size_t i = 0; i < og->details.count; i++)
        labels_builder_set(&builder, og->details.keys[i],
                           am_send_text(send, og->details.values[i]));
    Labels details = labels_builder_finish(&builder);
    json_key(json, S("details"));
    json_object(json);
    for (size_t i = 0; i < details.count; i++) {
        json_key(json, details.pairs[i].name);
        json_str(json, details.pairs[i].value);
    }
    json_object_end(json);
}

static void add_alert(AmSend *send, JsonWriter *json, const Opsgenie *og, Str message)
{
    json_object(json);
    json_key_str(json, "alias", am_send_key(send));
    json_key_str(json, "message", message);
    am_send_member(send, json, "description", og->description, false);
    add_details(send, json, og);
    am_send_member(send, json, "source", og->source, true);
    add_responders(send, json, og);
    add_list(send, json, "tags", og->tags);
    am_send_member(send, json, "note", og->note, false);
    am_send_member(send, json, "priority", og->priority, false);
    am_send_member(send, json, "entity", og->entity, false);
    add_list(send, json, "actions", og->actions);
    json_object_end(json);
}

static AmStep begin(AmSend *send, const char *method, Str url, Buf *body, Error *err)
{
    const Opsgenie *og = send->config;
    Str key;
    if (!am_send_secret(send, og->api_key, og->api_key_file, &key, err)) {
        buf_deinit(body);
        return AM_STEP_FAILED;
    }
    key = am_send_text(send, key);
    am_send_header(send, "Authorization",
                   arena_printf(send->arena, "GenieKey " STR_FMT, STR_ARG(key)));
    AmStep step = am_send_finish(send, url, body, err);
    send->request.method = str_from_c(method);
    return step;
}

static AmStep step(AmSend *send, Error *err)
{
    const Opsgenie *og = send->config;
    Buf body = {0};
    JsonWriter json;
    AmStep before = send->step ? AM_CHECK(send, err, 429) : AM_STEP_DONE;
    int last = send->data->firing && og->update_alerts ? 3 : 1;
    if (before != AM_STEP_DONE || send->step == last)
        return before;
    Str message =
        am_truncate_runes(send->arena, am_send_text(send, og->message), MESSAGE_RUNES_MAX);
    Str alias = am_send_key(send);
    const char *path = "";
    json_writer_init(&json, &body);
    if (send->step == 0 && send->data->firing) {
        add_alert(send, &json, og, message);
        return begin(send, "POST",
                     arena_printf(send->arena, STR_FMT "v2/alerts", STR_ARG(og->api_url)), &body,
                     err);
    }
    json_object(&json);
    if (send->step == 0) {
        am_send_member(send, &json, "source", og->source, true);
        path = "close";
    } else if (send->step == 1) {
        if (message.len)
            json_key_str(&json, "message", message);
        path = "message";
    } else {
        am_send_member(send, &json, "description", og->description, false);
        path = "description";
    }
    json_object_end(&json);
    return begin(send, send->step ? "PUT" : "POST",
                 arena_printf(send->arena, STR_FMT "v2/alerts/" STR_FMT "/%s?identifierType=alias",
                              STR_ARG(og->api_url), STR_ARG(alias), path),
                 &body, err);
}

const AmReceiverKind receiver_opsgenie = {"opsgenie", &receiver_opsgenie_table, complete, step};
