// SPDX-License-Identifier: Apache-2.0
// discord: one embed to a webhook: alertmanager.md section 8.11.
#include "alertmanager/am_receiver.h"

#define TITLE_RUNES_MAX 256
#define DESCRIPTION_RUNES_MAX 4096
#define CONTENT_RUNES_MAX 2000
#define COLOR_FIRING 0x992D22
#define COLOR_RESOLVED 0x2ECC71

typedef struct Discord {
    AmCommon common;
    Str webhook_url, webhook_url_file, content, title, message, username, avatar_url;
} Discord;

#define OWNER Discord
static const ConfigField fields[] = {
    AM_COMMON_FIELDS(Discord, "true"),
    AM_FIELD(webhook_url, CONFIG_SECRET, "the webhook"),
    AM_FIELD(webhook_url_file, CONFIG_STR, "file with it"),
    AM_FIELD(content, CONFIG_STR, "text above the embed"),
    AM_FIELD(title, CONFIG_STR, "heading", .default_text = AM_TEMPLATE("discord", "title")),
    AM_FIELD(message, CONFIG_STR, "text", .default_text = AM_TEMPLATE("discord", "message")),
    AM_FIELD(username, CONFIG_STR, "sender"),
    AM_FIELD(avatar_url, CONFIG_STR, "picture of the sender"),
};
const ConfigTable receiver_discord_table =
    CONFIG_TABLE(Discord, "discord_config", fields, am_receiver_finish);

static bool complete(ConfigReader *reader, const AmGlobal *global, void *config, Error *err)
{
    Discord *discord = config;
    (void)global;
    if (!discord->webhook_url.len && !discord->webhook_url_file.len)
        return config_error(reader, discord->common.node, err,
                            "one of webhook_url or webhook_url_file must be configured");
    return am_receiver_one_of(reader, &discord->common, "webhook_url & webhook_url_file",
                              discord->webhook_url, discord->webhook_url_file, err) &&
           am_config_url(reader, discord->common.node, &discord->webhook_url, err);
}

static AmStep step(AmSend *send, Error *err)
{
    const Discord *discord = send->config;
    Arena *arena = send->arena;
    Str url;
    Buf body = {0};
    JsonWriter json;
    if (send->step)
        return AM_CHECK(send, err);
    if (!am_send_secret(send, discord->webhook_url, discord->webhook_url_file, &url, err))
        return AM_STEP_FAILED;
    json_writer_init(&json, &body);
    json_object(&json);
    json_key_str(&json, "content",
                 am_truncate_runes(arena, am_send_text(send, discord->content), CONTENT_RUNES_MAX));
    json_key(&json, S("embeds"));
    json_array(&json);
    json_object(&json);
    json_key_str(&json, "title",
                 am_truncate_runes(arena, am_send_text(send, discord->title), TITLE_RUNES_MAX));
    json_key_str(
        &json, "description",
        am_truncate_runes(arena, am_send_text(send, discord->message), DESCRIPTION_RUNES_MAX));
    json_key_i64(&json, "color", send->data->firing ? COLOR_FIRING : COLOR_RESOLVED);
    json_object_end(&json);
    json_array_end(&json);
    am_send_member(send, &json, "username", discord->username, false);
    if (discord->avatar_url.len)
        json_key_str(&json, "avatar_url", discord->avatar_url);
    json_object_end(&json);
    return am_send_finish(send, url, &body, err);
}

const AmReceiverKind receiver_discord = {"discord", &receiver_discord_table, complete, step};
