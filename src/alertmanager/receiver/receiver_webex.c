// SPDX-License-Identifier: Apache-2.0
// webex: a message in a room: alertmanager.md section 8.11.
#include "alertmanager/am_receiver.h"

#define MESSAGE_BYTES_MAX 7439

typedef struct Webex {
    AmCommon common;
    Str api_url, message, room_id;
} Webex;

#define OWNER Webex
static const ConfigField fields[] = {
    AM_COMMON_FIELDS(Webex, "true"),
    AM_FIELD(api_url, CONFIG_STR, "the API"),
    AM_FIELD(message, CONFIG_STR, "text", .default_text = AM_TEMPLATE("webex", "message")),
    AM_FIELD(room_id, CONFIG_STR, "the room; a template"),
};
const ConfigTable receiver_webex_table =
    CONFIG_TABLE(Webex, "webex_config", fields, am_receiver_finish);

static bool complete(ConfigReader *reader, const AmGlobal *global, void *config, Error *err)
{
    Webex *webex = config;
    const YamlNode *node = webex->common.node;
    if (webex->room_id.len == 0)
        return config_error(reader, node, err, "missing room_id on webex_config");
    if (!webex->common.http->authorization)
        return config_error(reader, node, err, "missing webex_configs.http_config.authorization");
    if (!am_config_url(reader, node, &webex->api_url, err))
        return false;
    if (webex->api_url.len == 0)
        webex->api_url = global->webex_api_url;
    return true;
}

static AmStep step(AmSend *send, Error *err)
{
    const Webex *webex = send->config;
    Buf body = {0};
    JsonWriter json;
    if (send->step)
        return AM_CHECK(send, err);
    json_writer_init(&json, &body);
    json_object(&json);
    json_key_str(
        &json, "markdown",
        am_truncate_bytes(send->arena, am_send_text(send, webex->message), MESSAGE_BYTES_MAX));
    am_send_member(send, &json, "roomId", webex->room_id, true);
    json_object_end(&json);
    return am_send_finish(send, webex->api_url, &body, err);
}

const AmReceiverKind receiver_webex = {"webex", &receiver_webex_table, complete, step};
