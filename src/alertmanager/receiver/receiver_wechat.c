// SPDX-License-Identifier: Apache-2.0
// wechat: a token, then the message: alertmanager.md section 8.8.
#include "alertmanager/am_receiver.h"
#include "codec/json_reader.h"
#include "net/url.h"

#define TOKEN_LIFE_MS (2 * 3600 * 1000)
#define TOKEN_EXPIRED 42001

typedef struct Wechat {
    AmCommon common;
    Str api_secret, api_secret_file, corp_id, message, api_url;
    Str to_user, to_party, to_tag, agent_id, message_type;
} Wechat;

#define OWNER Wechat
static const ConfigField fields[] = {
    AM_COMMON_FIELDS(Wechat, "false"),
    AM_FIELD(api_secret, CONFIG_SECRET, "secret of the application"),
    AM_FIELD(api_secret_file, CONFIG_STR, "file with it"),
    AM_FIELD(corp_id, CONFIG_STR, "the corporation"),
    AM_FIELD(message, CONFIG_STR, "text", .default_text = AM_TEMPLATE("wechat", "message")),
    AM_FIELD(api_url, CONFIG_STR, "the API"),
    AM_FIELD(to_user, CONFIG_STR, "users", .default_text = AM_TEMPLATE("wechat", "to_user")),
    AM_FIELD(to_party, CONFIG_STR, "parties", .default_text = AM_TEMPLATE("wechat", "to_party")),
    AM_FIELD(to_tag, CONFIG_STR, "tags", .default_text = AM_TEMPLATE("wechat", "to_tag")),
    AM_FIELD(agent_id, CONFIG_STR, "agent", .default_text = AM_TEMPLATE("wechat", "agent_id")),
    AM_FIELD(message_type, CONFIG_STR, "text or markdown", .default_text = "text"),
};
const ConfigTable receiver_wechat_table =
    CONFIG_TABLE(Wechat, "wechat_config", fields, am_receiver_finish);

static bool complete(ConfigReader *reader, const AmGlobal *global, void *config, Error *err)
{
    Wechat *wechat = config;
    const AmCommon *common = &wechat->common;
    if (!str_is(wechat->message_type, "text") && !str_is(wechat->message_type, "markdown"))
        return config_error(reader, common->node, err,
                            "weChat message type \"" STR_FMT
                            "\" does not match valid options text|markdown",
                            STR_ARG(str_sub(wechat->message_type, 0, 50)));
    if (!am_receiver_one_of(reader, common, "api_secret & api_secret_file", wechat->api_secret,
                            wechat->api_secret_file, err) ||
        !am_config_url(reader, common->node, &wechat->api_url, err) ||
        !am_receiver_inherit(reader, common, &wechat->api_secret, &wechat->api_secret_file,
                             global->wechat_api_secret, global->wechat_api_secret_file,
                             "no global Wechat Api Secret set either inline or in a file", err))
        return false;
    if (wechat->corp_id.len == 0)
        wechat->corp_id = global->wechat_api_corp_id;
    if (wechat->corp_id.len == 0)
        return config_error(reader, common->node, err, "no global Wechat CorpID set");
    wechat->api_url = wechat->api_url.len ? am_config_with_slash(reader->arena, wechat->api_url)
                                          : global->wechat_api_url;
    return true;
}

static AmStep ask_token(AmSend *send, const Wechat *wechat, Error *err)
{
    CLEANUP(buf_deinit) Buf url = {0};
    Str secret;
    if (!am_send_secret(send, wechat->api_secret, wechat->api_secret_file, &secret, err))
        return AM_STEP_FAILED;
    buf_printf(&url, STR_FMT "gettoken?corpid=", STR_ARG(wechat->api_url));
    url_add_query_escaped(&url, am_send_text(send, wechat->corp_id));
    buf_add_c(&url, "&corpsecret=");
    url_add_query_escaped(&url, am_send_text(send, secret));
    if (!am_send_rendered(send, err))
        return AM_STEP_FAILED;
    return am_send_request(send, "GET", arena_str(send->arena, buf_str(&url)), STR_NONE, STR_NONE);
}

// A refusal of any status may be tried again.
static bool read_answer(AmSend *send, JsonValue **ret_answer, Error *err)
{
    AmStep step = AM_CHECK(send, err);
    send->retry = true;
    if (step == AM_STEP_DONE && send->response->status == 200)
        return json_read(send->response->body, send->arena, ret_answer, err);
    if (step == AM_STEP_DONE)
        error_set(err, ERR_UNAVAILABLE, "unexpected status code %d", send->response->status);
    return false;
}

static bool take_token(AmSend *send, Error *err)
{
    JsonValue *answer;
    if (!read_answer(send, &answer, err))
        return false;
    const JsonValue *token = json_get(answer, S("access_token"));
    if (!token || token->kind != JSON_STRING || token->str.len == 0) {
        send->retry = false;
        return error_set(err, ERR_UNAVAILABLE, "invalid APISecret for CorpID: no access token");
    }
    buf_reset(&send->state->token);
    buf_add_str(&send->state->token, token->str);
    send->state->token_at_ms = clock_now_ms(send->clock);
    return true;
}

static void add_content(JsonWriter *json, const char *key, Str content)
{
    json_key(json, str_from_c(key));
    json_object(json);
    json_key_str(json, "content", content);
    json_object_end(json);
}

static AmStep send_message(AmSend *send, const Wechat *wechat, Error *err)
{
    CLEANUP(buf_deinit) Buf url = {0};
    Buf body = {0};
    JsonWriter json;
    bool markdown = str_is(wechat->message_type, "markdown");
    Str message = am_send_text(send, wechat->message);
    json_writer_init(&json, &body);
    json_object(&json);
    add_content(&json, "text", markdown ? S("") : message);
    am_send_member(send, &json, "touser", wechat->to_user, false);
    am_send_member(send, &json, "toparty", wechat->to_party, false);
    am_send_member(send, &json, "totag", wechat->to_tag, false);
    am_send_member(send, &json, "agentid", wechat->agent_id, false);
    json_key_c(&json, "safe", "0");
    json_key_str(&json, "msgtype", wechat->message_type);
    add_content(&json, "markdown", markdown ? message : S(""));
    json_object_end(&json);
    buf_printf(&url, STR_FMT "message/send?access_token=", STR_ARG(wechat->api_url));
    url_add_query_escaped(&url, buf_str(&send->state->token));
    return am_send_finish(send, arena_str(send->arena, buf_str(&url)), &body, err);
}

static AmStep check_answer(AmSend *send, Error *err)
{
    JsonValue *answer;
    if (!read_answer(send, &answer, err))
        return AM_STEP_FAILED;
    const JsonValue *code = json_get(answer, S("errcode"));
    if (!code || (code->is_integer && code->integer == 0))
        return AM_STEP_DONE;
    const JsonValue *text = json_get(answer, S("errmsg"));
    Str said = text && text->kind == JSON_STRING ? text->str : S("");
    send->retry = code->is_integer && code->integer == TOKEN_EXPIRED;
    if (send->retry)
        buf_reset(&send->state->token);
    error_set(err, ERR_UNAVAILABLE, STR_FMT, STR_ARG(str_sub(said, 0, 300)));
    return AM_STEP_FAILED;
}

static AmStep step(AmSend *send, Error *err)
{
    const Wechat *wechat = send->config;
    bool fresh = send->state->token.len &&
                 clock_now_ms(send->clock) - send->state->token_at_ms < TOKEN_LIFE_MS;
    if (send->step == 0 && !fresh)
        return ask_token(send, wechat, err);
    if (send->scratch)
        return check_answer(send, err);
    if (send->step == 1 && !take_token(send, err))
        return AM_STEP_FAILED;
    send->scratch = send; // the message is out
    return send_message(send, wechat, err);
}

const AmReceiverKind receiver_wechat = {"wechat", &receiver_wechat_table, complete, step};
