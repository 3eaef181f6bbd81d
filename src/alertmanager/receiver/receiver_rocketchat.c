// SPDX-License-Identifier: Apache-2.0
// rocketchat: alertmanager.md section 8.13.
#include "alertmanager/am_receiver.h"
#include "codec/json_reader.h"

#define TITLE_RUNES_MAX 1024

typedef struct RocketchatField {
    AmTristate is_short;
    Str title, value;
} RocketchatField;

typedef struct RocketchatAction {
    Str type, text, url, imageurl;
    bool iswebview;
    Str webviewheightratio, msg;
    bool msginchatwindow;
    Str msgprocessingtype;
} RocketchatAction;

typedef struct Rocketchat {
    AmCommon common;
    Str api_url, token_id, token_id_file, token, token_file;
    Str channel, color, title, title_link, text;
    ConfigList fields; // RocketchatField
    bool short_fields;
    Str emoji, icon_url, image_url, thumb_url;
    bool link_names;
    ConfigList actions; // RocketchatAction
} Rocketchat;

// The original shows it when nobody has said it, too.
static void print_short(Buf *buf, int indent, const char *key, const void *member)
{
    if (((const AmTristate *)member)->is_set)
        am_config_print_tristate(buf, indent, key, member);
    else
        buf_printf(buf, "%*s%s: null\n", indent, "", key);
}

#define OWNER RocketchatField
static const ConfigField field_fields[] = {
    {.key = "short",
     .kind = CONFIG_CUSTOM,
     .offset = offsetof(RocketchatField, is_short),
     .help = "may stand beside another",
     .decode = am_config_decode_tristate,
     .print = print_short},
    AM_FIELD(title, CONFIG_STR, "heading"),
    AM_FIELD(value, CONFIG_STR, "text below"),
};
#undef OWNER
static const ConfigTable field_table =
    CONFIG_TABLE(RocketchatField, "rocketchat_field", field_fields, NULL);

#define OWNER RocketchatAction
static const ConfigField action_fields[] = {
    AM_FIELD(type, CONFIG_STR, "taken for compatibility: it is always a button",
             .always_print = true),
    AM_FIELD(text, CONFIG_STR, "what stands on it", .always_print = true),
    AM_FIELD(url, CONFIG_STR, "where it leads", .always_print = true),
    AM_FIELD(imageurl, CONFIG_STR, "taken for compatibility", .always_print = true),
    AM_FIELD(iswebview, CONFIG_BOOL, "taken for compatibility", .always_print = true),
    AM_FIELD(webviewheightratio, CONFIG_STR, "taken for compatibility", .always_print = true),
    AM_FIELD(msg, CONFIG_STR, "what it says in the chat", .always_print = true),
    AM_FIELD(msginchatwindow, CONFIG_BOOL, "taken for compatibility", .always_print = true),
    AM_FIELD(msgprocessingtype, CONFIG_STR, "taken for compatibility", .always_print = true),
};
#undef OWNER
static const ConfigTable action_table =
    CONFIG_TABLE(RocketchatAction, "rocketchat_action", action_fields, NULL);

#define OWNER Rocketchat
static const ConfigField fields_of[] = {
    AM_COMMON_FIELDS(Rocketchat, "false"),
    AM_FIELD(api_url, CONFIG_STR, "the server"),
    AM_FIELD(token_id, CONFIG_SECRET, "user of the token"),
    AM_FIELD(token_id_file, CONFIG_STR, "file with it"),
    AM_FIELD(token, CONFIG_SECRET, "the token"),
    AM_FIELD(token_file, CONFIG_STR, "file with it"),
    AM_FIELD(channel, CONFIG_STR, "channel or user"),
    AM_FIELD(color, CONFIG_STR, "of the attachment's bar",
             .default_text = "{{ if eq .Status \"firing\" }}red{{ else }}green{{ end }}"),
    AM_FIELD(title, CONFIG_STR, "heading", .default_text = AM_TEMPLATE("rocketchat", "title")),
    AM_FIELD(title_link, CONFIG_STR, "where it leads",
             .default_text = AM_TEMPLATE("rocketchat", "titlelink")),
    AM_FIELD(text, CONFIG_STR, "text", .default_text = AM_TEMPLATE("rocketchat", "text")),
    {.key = "fields",
     .kind = CONFIG_STRUCT_LIST,
     .offset = offsetof(Rocketchat, fields),
     .table = &field_table,
     .help = "pairs below the text"},
    AM_FIELD(short_fields, CONFIG_BOOL, "fields stand side by side", .always_print = true),
    AM_FIELD(emoji, CONFIG_STR, "picture of the sender, as an emoji",
             .default_text = AM_TEMPLATE("rocketchat", "emoji")),
    AM_FIELD(icon_url, CONFIG_STR, "picture of the sender",
             .default_text = AM_TEMPLATE("rocketchat", "iconurl")),
    AM_FIELD(image_url, CONFIG_STR, "picture in the attachment"),
    AM_FIELD(thumb_url, CONFIG_STR, "small picture beside the text"),
    AM_FIELD(link_names, CONFIG_BOOL, "make names links", .always_print = true),
    {.key = "actions",
     .kind = CONFIG_STRUCT_LIST,
     .offset = offsetof(Rocketchat, actions),
     .table = &action_table,
     .help = "buttons"},
};
const ConfigTable receiver_rocketchat_table =
    CONFIG_TABLE(Rocketchat, "rocketchat_config", fields_of, am_receiver_finish);

static bool complete(ConfigReader *reader, const AmGlobal *global, void *config, Error *err)
{
    Rocketchat *rc = config;
    const AmCommon *common = &rc->common;
    if (!am_receiver_one_of(reader, common, "token & token_file", rc->token, rc->token_file, err) ||
        !am_receiver_one_of(reader, common, "token_id & token_id_file", rc->token_id,
                            rc->token_id_file, err) ||
        !am_config_url(reader, common->node, &rc->api_url, err) ||
        !am_receiver_inherit(reader, common, &rc->token, &rc->token_file, global->rocketchat_token,
                             global->rocketchat_token_file,
                             "no global Rocketchat Token set either inline or in a file", err) ||
        !am_receiver_inherit(reader, common, &rc->token_id, &rc->token_id_file,
                             global->rocketchat_token_id, global->rocketchat_token_id_file,
                             "no global Rocketchat TokenID set either inline or in a file", err))
        return false;
    if (rc->api_url.len == 0)
        rc->api_url = global->rocketchat_api_url;
    return true;
}

static void add_fields(AmSend *send, JsonWriter *json, const Rocketchat *rc)
{
    const RocketchatField *all = rc->fields.items;
    if (rc->fields.count == 0)
        return;
    json_key(json, S("fields"));
    json_array(json);
    for (size_t i = 0; i < rc->fields.count; i++) {
        json_object(json);
        json_key_bool(json, "short",
                      all[i].is_short.is_set ? all[i].is_short.value : rc->short_fields);
        am_send_member(send, json, "title", all[i].title, false);
        am_send_member(send, json, "value", all[i].value, false);
        json_object_end(json);
    }
    json_array_end(json);
}

static void add_actions(AmSend *send, JsonWriter *json, const Rocketchat *rc)
{
    const RocketchatAction *all = rc->actions.items;
    if (rc->actions.count == 0)
        return;
    json_key(json, S("actions"));
    json_array(json);
    for (size_t i = 0; i < rc->actions.count; i++) {
        json_object(json);
        json_key_c(json, "type", "button");
        am_send_member(send, json, "text", all[i].text, false);
        am_send_member(send, json, "url", all[i].url, false);
        json_key_bool(json, "is_webview", false);
        am_send_member(send, json, "msg", all[i].msg, false);
        json_key_bool(json, "msg_in_chat_window", false);
        json_object_end(json);
    }
    json_array_end(json);
}

static void add_message(AmSend *send, JsonWriter *json, const Rocketchat *rc)
{
    Str title = am_truncate_runes(send->arena, am_send_text(send, rc->title), TITLE_RUNES_MAX);
    json_object(json);
    am_send_member(send, json, "channel", rc->channel, false);
    am_send_member(send, json, "emoji", rc->emoji, false);
    am_send_member(send, json, "avatar", rc->icon_url, false);
    json_key(json, S("attachments"));
    json_array(json);
    json_object(json);
    if (title.len)
        json_key_str(json, "title", title);
    am_send_member(send, json, "title_link", rc->title_link, false);
    am_send_member(send, json, "text", rc->text, false);
    am_send_member(send, json, "image_url", rc->image_url, false);
    am_send_member(send, json, "thumb_url", rc->thumb_url, false);
    am_send_member(send, json, "color", rc->color, false);
    add_fields(send, json, rc);
    add_actions(send, json, rc);
    json_object_end(json);
    json_array_end(json);
    json_object_end(json);
}

static AmStep check_answer(AmSend *send, Error *err)
{
    JsonValue *answer;
    Error ignored = {0};
    AmStep step = AM_CHECK(send, err);
    if (step != AM_STEP_DONE)
        return step;
    send->failure = AM_FAILURE_CLIENT;
    if (!json_read(send->response->body, send->arena, &answer, &ignored))
        return am_send_fail(send, err, "could not unmarshal JSON response \"" STR_FMT "\"",
                            STR_ARG(str_sub(send->response->body, 0, 200)));
    const JsonValue *success = json_get(answer, S("success"));
    const JsonValue *fault = json_get(answer, S("error"));
    if (success && success->kind == JSON_BOOL && success->boolean)
        return AM_STEP_DONE;
    return am_send_fail(
        send, err, "error response from Rocketchat: " STR_FMT,
        STR_ARG(fault && fault->kind == JSON_STRING ? str_sub(fault->str, 0, 200) : S("")));
}

static AmStep step(AmSend *send, Error *err)
{
    const Rocketchat *rc = send->config;
    Str token, user;
    Buf body = {0};
    JsonWriter json;
    if (send->step)
        return check_answer(send, err);
    if (!am_send_secret(send, rc->token, rc->token_file, &token, err) ||
        !am_send_secret(send, rc->token_id, rc->token_id_file, &user, err))
        return AM_STEP_FAILED;
    json_writer_init(&json, &body);
    add_message(send, &json, rc);
    am_send_header(send, "X-User-Id", user);
    am_send_header(send, "X-Auth-Token", token);
    Str base = rc->api_url;
    while (str_ends_with(base, S("/")))
        base.len--;
    return am_send_finish(
        send, arena_printf(send->arena, STR_FMT "/api/v1/chat.postMessage", STR_ARG(base)), &body,
        err);
}

const AmReceiverKind receiver_rocketchat = {"rocketchat", &receiver_rocketchat_table, complete,
                                            step};
