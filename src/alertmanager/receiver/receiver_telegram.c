// SPDX-License-Identifier: Apache-2.0
// telegram: alertmanager.md section 8.9.
#include "alertmanager/am_receiver.h"
#include "codec/json_reader.h"

#define MESSAGE_RUNES_MAX 4096

typedef struct Telegram {
    AmCommon common;
    Str api_url, bot_token, bot_token_file;
    int64_t chat_id;
    Str chat_id_file;
    int64_t message_thread_id;
    Str message;
    bool disable_notifications;
    Str parse_mode;
} Telegram;

#define OWNER Telegram
static const ConfigField fields[] = {
    AM_COMMON_FIELDS(Telegram, "true"),
    AM_FIELD(api_url, CONFIG_STR, "the API"),
    AM_FIELD(bot_token, CONFIG_SECRET, "the bot"),
    AM_FIELD(bot_token_file, CONFIG_STR, "file with its token"),
    AM_FIELD(chat_id, CONFIG_I64, "the chat"),
    AM_FIELD(chat_id_file, CONFIG_STR, "file with the chat"),
    AM_FIELD(message_thread_id, CONFIG_I64, "topic in the chat"),
    AM_FIELD(message, CONFIG_STR, "text", .default_text = AM_TEMPLATE("telegram", "message")),
    AM_FIELD(disable_notifications, CONFIG_BOOL, "without a sound"),
    AM_FIELD(parse_mode, CONFIG_STR, "HTML, Markdown, MarkdownV2 or empty", .default_text = "HTML"),
};
const ConfigTable receiver_telegram_table =
    CONFIG_TABLE(Telegram, "telegram_config", fields, am_receiver_finish);

static bool complete(ConfigReader *reader, const AmGlobal *global, void *config, Error *err)
{
    static const char *const modes[] = {"", "HTML", "Markdown", "MarkdownV2"};
    Telegram *tg = config;
    const AmCommon *common = &tg->common;
    bool known = false;
    for (size_t i = 0; i < COUNT_OF(modes); i++)
        known |= str_is(tg->parse_mode, modes[i]);
    if (!known)
        return config_error(reader, common->node, err,
                            "unknown parse_mode on telegram_config, must be Markdown, MarkdownV2, "
                            "HTML or empty string");
    if (!tg->chat_id && !tg->chat_id_file.len)
        return config_error(reader, common->node, err,
                            "missing chat_id or chat_id_file on telegram_config");
    if (tg->chat_id && tg->chat_id_file.len)
        return config_error(reader, common->node, err,
                            "at most one of chat_id & chat_id_file must be configured");
    if (!am_receiver_one_of(reader, common, "bot_token & bot_token_file", tg->bot_token,
                            tg->bot_token_file, err) ||
        !am_config_url(reader, common->node, &tg->api_url, err) ||
        !am_receiver_inherit(reader, common, &tg->bot_token, &tg->bot_token_file,
                             global->telegram_bot_token, global->telegram_bot_token_file,
                             "missing bot_token or bot_token_file on telegram_config", err))
        return false;
    if (tg->api_url.len == 0)
        tg->api_url = global->telegram_api_url;
    return true;
}

// HTML is escaped where it is filled in; what is too long would be cut inside of a tag.
static Str message(AmSend *send, const Telegram *tg)
{
    if (!str_is(tg->parse_mode, "HTML"))
        return am_truncate_runes(send->arena, am_send_text(send, tg->message), MESSAGE_RUNES_MAX);
    Str text = am_send_html(send, tg->message);
    Str cut = am_truncate_runes(send->arena, text, MESSAGE_RUNES_MAX);
    if (cut.len == text.len)
        return text;
    return S("The message is longer than Telegram accepts; see the alerts in Alertmanager.");
}

static bool chat_of(AmSend *send, const Telegram *tg, Str *ret_chat, Error *err)
{
    if (tg->chat_id_file.len)
        return am_send_secret(send, STR_NONE, tg->chat_id_file, ret_chat, err);
    *ret_chat = arena_printf(send->arena, "%lld", (long long)tg->chat_id);
    return true;
}

static AmStep check_answer(AmSend *send, Error *err)
{
    JsonValue *answer;
    Error ignored = {0};
    AmStep step = AM_CHECK(send, err);
    send->retry = true;
    if (step != AM_STEP_DONE)
        return step;
    if (json_read(send->response->body, send->arena, &answer, &ignored)) {
        const JsonValue *ok = json_get(answer, S("ok"));
        const JsonValue *text = json_get(answer, S("description"));
        if (ok && ok->kind == JSON_BOOL && !ok->boolean) {
            error_set(err, ERR_UNAVAILABLE, "telegram: " STR_FMT,
                      STR_ARG(text && text->kind == JSON_STRING ? str_sub(text->str, 0, 300)
                                                                : S("refused")));
            return AM_STEP_FAILED;
        }
    }
    return AM_STEP_DONE;
}

static AmStep step(AmSend *send, Error *err)
{
    const Telegram *tg = send->config;
    Str token, chat;
    Buf body = {0};
    JsonWriter json;
    if (send->step)
        return check_answer(send, err);
    send->retry = true;
    if (!am_send_secret(send, tg->bot_token, tg->bot_token_file, &token, err) ||
        !chat_of(send, tg, &chat, err))
        return AM_STEP_FAILED;
    json_writer_init(&json, &body);
    json_object(&json);
    json_key_str(&json, "chat_id", chat);
    if (tg->disable_notifications)
        json_key_c(&json, "disable_notification", "true");
    json_key_c(&json, "disable_web_page_preview", "true");
    if (tg->message_thread_id)
        json_key_str(&json, "message_thread_id",
                     arena_printf(send->arena, "%lld", (long long)tg->message_thread_id));
    if (tg->parse_mode.len)
        json_key_str(&json, "parse_mode", tg->parse_mode);
    json_key_str(&json, "text", message(send, tg));
    json_object_end(&json);
    Str url = arena_printf(send->arena, STR_FMT "/bot" STR_FMT "/sendMessage", STR_ARG(tg->api_url),
                           STR_ARG(token));
    return am_send_finish(send, url, &body, err);
}

const AmReceiverKind receiver_telegram = {"telegram", &receiver_telegram_table, complete, step};
