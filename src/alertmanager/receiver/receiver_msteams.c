// SPDX-License-Identifier: Apache-2.0
// msteams: a card to an Office connector: alertmanager.md section 8.11.
#include "alertmanager/am_receiver.h"

typedef struct Msteams {
    AmCommon common;
    Str webhook_url, webhook_url_file, title, summary, text;
} Msteams;

#define OWNER Msteams
static const ConfigField fields[] = {
    AM_COMMON_FIELDS(Msteams, "true"),
    AM_FIELD(webhook_url, CONFIG_SECRET, "the webhook"),
    AM_FIELD(webhook_url_file, CONFIG_STR, "file with it"),
    AM_FIELD(title, CONFIG_STR, "heading", .default_text = AM_TEMPLATE("msteams", "title")),
    AM_FIELD(summary, CONFIG_STR, "short text", .default_text = AM_TEMPLATE("msteams", "summary")),
    AM_FIELD(text, CONFIG_STR, "text", .default_text = AM_TEMPLATE("msteams", "text")),
};
const ConfigTable receiver_msteams_table =
    CONFIG_TABLE(Msteams, "msteams_config", fields, am_receiver_finish);

static bool complete(ConfigReader *reader, const AmGlobal *global, void *config, Error *err)
{
    Msteams *teams = config;
    (void)global;
    if (!teams->webhook_url.len && !teams->webhook_url_file.len)
        return config_error(reader, teams->common.node, err,
                            "one of webhook_url or webhook_url_file must be configured");
    return am_receiver_one_of(reader, &teams->common, "webhook_url & webhook_url_file",
                              teams->webhook_url, teams->webhook_url_file, err) &&
           am_config_url(reader, teams->common.node, &teams->webhook_url, err);
}

static AmStep step(AmSend *send, Error *err)
{
    const Msteams *teams = send->config;
    Str url;
    Buf body = {0};
    JsonWriter json;
    if (send->step)
        return AM_CHECK(send, err);
    if (!am_send_secret(send, teams->webhook_url, teams->webhook_url_file, &url, err))
        return AM_STEP_FAILED;
    json_writer_init(&json, &body);
    json_object(&json);
    json_key_c(&json, "@context", "http://schema.org/extensions");
    json_key_c(&json, "type", "MessageCard");
    am_send_member(send, &json, "title", teams->title, true);
    am_send_member(send, &json, "summary", teams->summary, true);
    am_send_member(send, &json, "text", teams->text, true);
    json_key_c(&json, "themeColor", send->data->firing ? "8C1A1A" : "2DC72D");
    json_object_end(&json);
    return am_send_finish(send, url, &body, err);
}

const AmReceiverKind receiver_msteams = {"msteams", &receiver_msteams_table, complete, step};
