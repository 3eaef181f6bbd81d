// SPDX-License-Identifier: Apache-2.0
// slack: one attachment to an incoming webhook, or by a bot's token: alertmanager.md section 8.3.
#include "alertmanager/am_receiver.h"
#include "codec/json_reader.h"

#define POST_URL S("https://slack.com/api/chat.postMessage")
#define UPDATE_URL S("https://slack.com/api/chat.update")
#define TITLE_RUNES_MAX 1024

typedef struct SlackField {
    Str title, value;
    AmTristate is_short;
} SlackField;

typedef struct SlackConfirm {
    Str text, title, ok_text, dismiss_text;
} SlackConfirm;

typedef struct SlackAction {
    Str type, text, url, style, name, value;
    SlackConfirm *confirm;
} SlackAction;

typedef struct Slack {
    AmCommon common;
    Str api_url, api_url_file, app_token, app_token_file, app_url;
    Str channel, username, color;
    Str title, title_link, pretext, text;
    ConfigList fields; // SlackField
    bool short_fields;
    Str footer, fallback, callback_id, icon_emoji, icon_url, image_url, thumb_url;
    bool link_names;
    ConfigStrList mrkdwn_in;
    ConfigList actions; // SlackAction
    bool update_message;
    Str message_text;
    int64_t timeout;
} Slack;

#define OWNER SlackField
static const ConfigField field_fields[] = {
    AM_FIELD(title, CONFIG_STR, "heading"),
    AM_FIELD(value, CONFIG_STR, "text below"),
    {.key = "short",
     .kind = CONFIG_CUSTOM,
     .offset = offsetof(SlackField, is_short),
     .help = "may stand beside another",
     .decode = am_config_decode_tristate,
     .print = am_config_print_tristate},
};
#undef OWNER

static bool finish_field(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    const SlackField *field = object;
    if (field->title.len == 0)
        return config_error(reader, node, err, "missing title in Slack field configuration");
    if (field->value.len == 0)
        return config_error(reader, node, err, "missing value in Slack field configuration");
    return true;
}

static const ConfigTable field_table =
    CONFIG_TABLE(SlackField, "slack_field", field_fields, finish_field);

#define OWNER SlackConfirm
static const ConfigField confirm_fields[] = {
    AM_FIELD(text, CONFIG_STR, "the question"),
    AM_FIELD(title, CONFIG_STR, "its heading"),
    AM_FIELD(ok_text, CONFIG_STR, "the button that goes on"),
    AM_FIELD(dismiss_text, CONFIG_STR, "the button that does not"),
};
#undef OWNER

static bool finish_confirm(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    const SlackConfirm *confirm = object;
    return confirm->text.len ||
           config_error(reader, node, err, "missing text in Slack confirmation configuration");
}

static const ConfigTable confirm_table =
    CONFIG_TABLE(SlackConfirm, "slack_confirm", confirm_fields, finish_confirm);

#define OWNER SlackAction
static const ConfigField action_fields[] = {
    AM_FIELD(type, CONFIG_STR, "button"),
    AM_FIELD(text, CONFIG_STR, "what stands on it"),
    AM_FIELD(url, CONFIG_STR, "where it leads"),
    AM_FIELD(style, CONFIG_STR, "default, primary, danger"),
    AM_FIELD(name, CONFIG_STR, "for a Slack app"),
    AM_FIELD(value, CONFIG_STR, "for a Slack app"),
    AM_FIELD(confirm, CONFIG_STRUCT_PTR, "asks first", .table = &confirm_table),
};
#undef OWNER

static bool finish_action(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    SlackAction *action = object;
    if (action->type.len == 0)
        return config_error(reader, node, err, "missing type in Slack action configuration");
    if (action->text.len == 0)
        return config_error(reader, node, err, "missing text in Slack action configuration");
    if (action->url.len) {
        action->name = action->value = STR_NONE;
        action->confirm = NULL;
    } else if (action->name.len == 0) {
        return config_error(reader, node, err, "missing name or url in Slack action configuration");
    }
    return true;
}

static const ConfigTable action_table =
    CONFIG_TABLE(SlackAction, "slack_action", action_fields, finish_action);

#define OWNER Slack
#define T(name, template_name, about)                                                              \
    AM_FIELD(name, CONFIG_STR, about, .default_text = AM_TEMPLATE("slack", template_name))
static const ConfigField fields_of[] = {
    AM_COMMON_FIELDS(Slack, "false"),
    AM_FIELD(api_url, CONFIG_SECRET, "incoming webhook"),
    AM_FIELD(api_url_file, CONFIG_STR, "file with the webhook"),
    AM_FIELD(app_token, CONFIG_SECRET, "token of an app"),
    AM_FIELD(app_token_file, CONFIG_STR, "file with the token"),
    AM_FIELD(app_url, CONFIG_STR, "where apps post"),
    AM_FIELD(channel, CONFIG_STR, "channel or user"),
    T(username, "username", "sender"),
    T(color, "color", "of the attachment's bar"),
    T(title, "title", "heading"),
    T(title_link, "titlelink", "where the heading leads"),
    T(pretext, "pretext", "text above the attachment"),
    T(text, "text", "text of the attachment"),
    AM_FIELD(message_text, CONFIG_STR, "text of the message itself"),
    {.key = "fields",
     .kind = CONFIG_STRUCT_LIST,
     .offset = offsetof(Slack, fields),
     .table = &field_table,
     .help = "pairs below the text"},
    AM_FIELD(short_fields, CONFIG_BOOL, "fields stand side by side", .always_print = true),
    T(footer, "footer", "small text at the end"),
    T(fallback, "fallback", "text where attachments are not shown"),
    T(callback_id, "callbackid", "for a Slack app"),
    T(icon_emoji, "iconemoji", "picture of the sender, as an emoji"),
    T(icon_url, "iconurl", "picture of the sender"),
    AM_FIELD(image_url, CONFIG_STR, "picture in the attachment"),
    AM_FIELD(thumb_url, CONFIG_STR, "small picture beside the text"),
    AM_FIELD(link_names, CONFIG_BOOL, "make names links", .always_print = true),
    AM_FIELD(mrkdwn_in, CONFIG_STR_LIST, "parts that are in Slack's markdown"),
    {.key = "actions",
     .kind = CONFIG_STRUCT_LIST,
     .offset = offsetof(Slack, actions),
     .table = &action_table,
     .help = "buttons"},
    AM_FIELD(update_message, CONFIG_BOOL, "changes the group's first message",
             .always_print = true),
    AM_FIELD_GO_DURATION(timeout, "longest that one attempt may take"),
};
const ConfigTable receiver_slack_table =
    CONFIG_TABLE(Slack, "slack_config", fields_of, am_receiver_finish);

static bool inherit(ConfigReader *reader, const AmGlobal *global, Slack *slack, Error *err)
{
    const YamlNode *node = slack->common.node;
    bool has_own_token = slack->app_token.len || slack->app_token_file.len;
    bool has_auth = slack->common.http->authorization != NULL;
    bool has_url = slack->api_url.len || slack->api_url_file.len;
    if (has_own_token && has_auth)
        return config_error(
            reader, node, err,
            "http authorization can't be set when using app_token or app_token_file");
    if (!has_url && !has_own_token && !(has_auth && slack->common.http != &global->http)) {
        slack->app_token = global->slack_app_token;
        slack->app_token_file = global->slack_app_token_file;
    }
    has_own_token = slack->app_token.len || slack->app_token_file.len;
    if (has_own_token) {
        if (!slack->app_url.len)
            slack->app_url = global->slack_app_url;
        return true;
    }
    if (!has_url) {
        slack->api_url = global->slack_api_url;
        slack->api_url_file = global->slack_api_url_file;
    }
    if (!slack->app_url.len)
        slack->app_url = global->slack_app_url;
    if (!slack->api_url.len && !slack->api_url_file.len)
        return config_error(reader, node, err,
                            "no Slack API URL nor App token set either inline or in a file");
    return true;
}

static bool complete(ConfigReader *reader, const AmGlobal *global, void *config, Error *err)
{
    Slack *slack = config;
    const YamlNode *node = slack->common.node;
    if (slack->api_url.len && slack->api_url_file.len)
        return config_error(reader, node, err,
                            "at most one of api_url & api_url_file must be configured");
    if (slack->app_token.len && slack->app_token_file.len)
        return config_error(reader, node, err,
                            "at most one of app_token & app_token_file must be configured");
    if ((slack->app_token.len || slack->app_token_file.len) &&
        (slack->api_url.len || slack->api_url_file.len))
        return config_error(
            reader, node, err,
            "at most one of app_token/app_token_file & api_url/api_url_file must be "
            "configured");
    if (slack->update_message && !str_equal(slack->api_url, POST_URL))
        return config_error(reader, node, err,
                            "update_message can only be used with api_url " STR_FMT,
                            STR_ARG(POST_URL));
    return am_config_url(reader, node, &slack->api_url, err) &&
           am_config_url(reader, node, &slack->app_url, err) && inherit(reader, global, slack, err);
}

// ---- the message ----

static void add_fields(AmSend *send, JsonWriter *json, const Slack *slack)
{
    const SlackField *all = slack->fields.items;
    if (slack->fields.count == 0)
        return;
    json_key(json, S("fields"));
    json_array(json);
    for (size_t i = 0; i < slack->fields.count; i++) {
        json_object(json);
        am_send_member(send, json, "title", all[i].title, false);
        am_send_member(send, json, "value", all[i].value, false);
        json_key_bool(json, "short",
                      all[i].is_short.is_set ? all[i].is_short.value : slack->short_fields);
        json_object_end(json);
    }
    json_array_end(json);
}

static void add_actions(AmSend *send, JsonWriter *json, const Slack *slack)
{
    const SlackAction *all = slack->actions.items;
    if (slack->actions.count == 0)
        return;
    json_key(json, S("actions"));
    json_array(json);
    for (size_t i = 0; i < slack->actions.count; i++) {
        json_object(json);
        am_send_member(send, json, "type", all[i].type, false);
        am_send_member(send, json, "text", all[i].text, false);
        am_send_member(send, json, "url", all[i].url, false);
        am_send_member(send, json, "style", all[i].style, false);
        am_send_member(send, json, "name", all[i].name, false);
        am_send_member(send, json, "value", all[i].value, false);
        if (all[i].confirm) {
            json_key(json, S("confirm"));
            json_object(json);
            am_send_member(send, json, "text", all[i].confirm->text, false);
            am_send_member(send, json, "title", all[i].confirm->title, false);
            am_send_member(send, json, "ok_text", all[i].confirm->ok_text, false);
            am_send_member(send, json, "dismiss_text", all[i].confirm->dismiss_text, false);
            json_object_end(json);
        }
        json_object_end(json);
    }
    json_array_end(json);
}

static void add_attachment(AmSend *send, JsonWriter *json, const Slack *slack)
{
    static const Str markdown[] = {STR("fallback"), STR("pretext"), STR("text")};
    Str title = am_truncate_runes(send->arena, am_send_text(send, slack->title), TITLE_RUNES_MAX);
    json_object(json);
    if (title.len)
        json_key_str(json, "title", title);
    am_send_member(send, json, "title_link", slack->title_link, false);
    am_send_member(send, json, "pretext", slack->pretext, false);
    am_send_member(send, json, "text", slack->text, true);
    am_send_member(send, json, "fallback", slack->fallback, true);
    am_send_member(send, json, "callback_id", slack->callback_id, true);
    add_fields(send, json, slack);
    add_actions(send, json, slack);
    am_send_member(send, json, "image_url", slack->image_url, false);
    am_send_member(send, json, "thumb_url", slack->thumb_url, false);
    am_send_member(send, json, "footer", slack->footer, true);
    am_send_member(send, json, "color", slack->color, false);
    json_key(json, S("mrkdwn_in"));
    json_array(json);
    if (slack->mrkdwn_in.count == 0)
        for (size_t i = 0; i < COUNT_OF(markdown); i++)
            json_str(json, markdown[i]);
    for (size_t i = 0; i < slack->mrkdwn_in.count; i++)
        json_str(json, slack->mrkdwn_in.items[i]);
    json_array_end(json);
    json_object_end(json);
}

static bool is_update(const AmSend *send, const Slack *slack)
{
    return slack->update_message && !send->is_first && send->thread_ts.len && send->channel_id.len;
}

static void add_message(AmSend *send, JsonWriter *json, const Slack *slack)
{
    bool update = is_update(send, slack);
    json_object(json);
    if (update)
        json_key_str(json, "channel", send->channel_id);
    else
        am_send_member(send, json, "channel", slack->channel, false);
    if (update)
        json_key_str(json, "ts", send->thread_ts);
    am_send_member(send, json, "username", slack->username, false);
    am_send_member(send, json, "icon_emoji", slack->icon_emoji, false);
    am_send_member(send, json, "icon_url", slack->icon_url, false);
    if (slack->link_names)
        json_key_bool(json, "link_names", true);
    am_send_member(send, json, "text", slack->message_text, false);
    json_key(json, S("attachments"));
    json_array(json);
    add_attachment(send, json, slack);
    json_array_end(json);
    json_object_end(json);
}

// Slack says with status 200 that something went wrong.
static AmStep check_answer(AmSend *send, const Slack *slack, Error *err)
{
    JsonValue *answer;
    Error ignored = {0};
    AmStep step = AM_CHECK(send, err);
    if (step != AM_STEP_DONE)
        return step;
    if (str_find(send->response->content_type, S("application/json")) == STR_NOT_FOUND) {
        if (str_is(send->response->body, "ok"))
            return AM_STEP_DONE;
        send->failure = AM_FAILURE_CLIENT;
        return am_send_fail(send, err, "received an error response from Slack: " STR_FMT,
                            STR_ARG(str_sub(send->response->body, 0, 200)));
    }
    if (!json_read(send->response->body, send->arena, &answer, &ignored))
        return am_send_fail(send, err, "could not unmarshal JSON response \"" STR_FMT "\": %s",
                            STR_ARG(str_sub(send->response->body, 0, 100)), ignored.text);
    const JsonValue *ok = json_get(answer, S("ok"));
    const JsonValue *fault = json_get(answer, S("error"));
    if (!ok || ok->kind != JSON_BOOL || !ok->boolean) {
        send->failure = AM_FAILURE_CLIENT;
        return am_send_fail(send, err, "error response from Slack: " STR_FMT,
                            STR_ARG(fault && fault->kind == JSON_STRING ? fault->str : S("")));
    }
    const JsonValue *ts = json_get(answer, S("ts"));
    const JsonValue *channel = json_get(answer, S("channel"));
    if (slack->update_message && ts && channel && ts->kind == JSON_STRING &&
        channel->kind == JSON_STRING) {
        send->keep_thread_ts = ts->str;
        send->keep_channel_id = channel->str;
    }
    return AM_STEP_DONE;
}

static AmStep step(AmSend *send, Error *err)
{
    const Slack *slack = send->config;
    Str url = slack->app_url;
    Str token = STR_NONE;
    Buf body = {0};
    JsonWriter json;
    if (send->step)
        return check_answer(send, slack, err);
    if (!am_send_secret(send, slack->app_token, slack->app_token_file, &token, err))
        return AM_STEP_FAILED;
    if (token.len == 0 && (slack->api_url.len || slack->api_url_file.len) &&
        !am_send_secret(send, slack->api_url, slack->api_url_file, &url, err))
        return AM_STEP_FAILED;
    json_writer_init(&json, &body);
    add_message(send, &json, slack);
    if (!am_send_rendered(send, err)) {
        buf_deinit(&body);
        return AM_STEP_FAILED;
    }
    if (token.len)
        am_send_header(send, "Authorization",
                       arena_printf(send->arena, "Bearer " STR_FMT, STR_ARG(token)));
    send->timeout_ms = slack->timeout / 1000000;
    return am_send_json(send, is_update(send, slack) ? UPDATE_URL : url, &body);
}

const AmReceiverKind receiver_slack = {"slack", &receiver_slack_table, complete, step};
