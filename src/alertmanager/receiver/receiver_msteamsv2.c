// SPDX-License-Identifier: Apache-2.0
// msteamsv2: an adaptive card to a workflow: alertmanager.md section 8.11.
#include "alertmanager/am_receiver.h"

typedef struct Msteamsv2 {
    AmCommon common;
    Str webhook_url, webhook_url_file, title, text;
} Msteamsv2;

#define OWNER Msteamsv2
static const ConfigField fields[] = {
    AM_COMMON_FIELDS(Msteamsv2, "true"),
    AM_FIELD(webhook_url, CONFIG_SECRET, "the webhook"),
    AM_FIELD(webhook_url_file, CONFIG_STR, "file with it"),
    AM_FIELD(title, CONFIG_STR, "heading", .default_text = AM_TEMPLATE("msteamsv2", "title")),
    AM_FIELD(text, CONFIG_STR, "text", .default_text = AM_TEMPLATE("msteamsv2", "text")),
};
const ConfigTable receiver_msteamsv2_table =
    CONFIG_TABLE(Msteamsv2, "msteamsv2_config", fields, am_receiver_finish);

// Of global's http_config only the proxy goes to a receiver that has its own.
static bool complete(ConfigReader *reader, const AmGlobal *global, void *config, Error *err)
{
    Msteamsv2 *teams = config;
    HttpClientConfig *http = teams->common.http;
    if (http != &global->http && http->proxy.proxy_url.len == 0 &&
        !http->proxy.proxy_from_environment)
        http->proxy.proxy_url = global->http.proxy.proxy_url;
    if (!teams->webhook_url.len && !teams->webhook_url_file.len)
        return config_error(reader, teams->common.node, err,
                            "one of webhook_url or webhook_url_file must be configured");
    return am_receiver_one_of(reader, &teams->common, "webhook_url & webhook_url_file",
                              teams->webhook_url, teams->webhook_url_file, err) &&
           am_config_url(reader, teams->common.node, &teams->webhook_url, err);
}

static void add_block(AmSend *send, JsonWriter *json, Str text, const char *color)
{
    json_object(json);
    json_key_c(json, "type", "TextBlock");
    am_send_member(send, json, "text", text, true);
    if (color) {
        json_key_c(json, "weight", "Bolder");
        json_key_c(json, "size", "Medium");
    }
    json_key_bool(json, "wrap", true);
    if (color) {
        json_key_c(json, "style", "heading");
        json_key_c(json, "color", color);
    }
    json_object_end(json);
}

static void add_content(AmSend *send, JsonWriter *json, const Msteamsv2 *teams)
{
    json_object(json);
    json_key_c(json, "$schema", "http://adaptivecards.io/schemas/adaptive-card.json");
    json_key_c(json, "type", "AdaptiveCard");
    json_key_c(json, "version", "1.2");
    json_key(json, S("body"));
    json_array(json);
    add_block(send, json, teams->title, send->data->firing ? "Attention" : "Good");
    add_block(send, json, teams->text, NULL);
    json_array_end(json);
    json_key(json, S("msteams"));
    json_object(json);
    json_key_c(json, "width", "full");
    json_object_end(json);
    json_object_end(json);
}

static AmStep step(AmSend *send, Error *err)
{
    const Msteamsv2 *teams = send->config;
    Str url;
    Buf body = {0};
    JsonWriter json;
    if (send->step)
        return AM_CHECK(send, err);
    if (!am_send_secret(send, teams->webhook_url, teams->webhook_url_file, &url, err))
        return AM_STEP_FAILED;
    json_writer_init(&json, &body);
    json_object(&json);
    json_key_c(&json, "type", "message");
    json_key(&json, S("attachments"));
    json_array(&json);
    json_object(&json);
    json_key_c(&json, "contentType", "application/vnd.microsoft.card.adaptive");
    json_key(&json, S("contentUrl"));
    json_null(&json);
    json_key(&json, S("content"));
    add_content(send, &json, teams);
    json_object_end(&json);
    json_array_end(&json);
    json_object_end(&json);
    return am_send_finish(send, url, &body, err);
}

const AmReceiverKind receiver_msteamsv2 = {"msteamsv2", &receiver_msteamsv2_table, complete, step};
