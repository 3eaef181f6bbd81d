// SPDX-License-Identifier: Apache-2.0
// webhook: the group as one JSON document, or a document of the user's own: alertmanager.md section 8.1.
#include "alertmanager/am_receiver.h"
#include "alertmanager/am_template.h"

#define OWNER Webhook
typedef struct Webhook {
    AmCommon common;
    Str url, url_file;
    uint64_t max_alerts;
    int64_t timeout; // ns
    const YamlNode *payload;
} Webhook;

static const ConfigField fields[] = {
    AM_COMMON_FIELDS(Webhook, "true"),
    AM_FIELD(url, CONFIG_SECRET, "where it is posted; a template"),
    AM_FIELD(url_file, CONFIG_STR, "file with the URL", .always_print = true),
    AM_FIELD(max_alerts, CONFIG_U64, "most alerts in one document; 0 is all", .always_print = true),
    AM_FIELD_GO_DURATION(timeout, "longest that one attempt may take; 0 is the group's deadline"),
    AM_FIELD(payload, CONFIG_CUSTOM, "a document in place of the standard one; texts are templates",
             .decode = am_config_decode_node, .print = am_config_print_node),
};
const ConfigTable receiver_webhook_table =
    CONFIG_TABLE(Webhook, "webhook_config", fields, am_receiver_finish);

static bool complete(ConfigReader *reader, const AmGlobal *global, void *config, Error *err)
{
    Webhook *webhook = config;
    const YamlNode *node = webhook->common.node;
    (void)global;
    if (webhook->url.len == 0 && webhook->url_file.len == 0)
        return config_error(reader, node, err, "one of url or url_file must be configured");
    if (webhook->url.len && webhook->url_file.len)
        return config_error(reader, node, err, "at most one of url & url_file must be configured");
    if (str_find(webhook->url, S("{{")) == STR_NOT_FOUND)
        return am_config_url(reader, node, &webhook->url, err);
    Error why = {0};
    return am_template_check(webhook->url, &why) ||
           config_error(reader, node, err, "invalid template syntax: %s", why.text);
}

static AmStep step(AmSend *send, Error *err)
{
    const Webhook *webhook = send->config;
    Str url;
    Buf body = {0};
    JsonWriter json;
    if (send->step)
        return AM_CHECK(send, err);
    if (!am_send_secret(send, webhook->url, webhook->url_file, &url, err))
        return AM_STEP_FAILED;
    json_writer_init(&json, &body);
    if (webhook->payload)
        am_send_tree(send, &json, webhook->payload);
    else
        am_send_message(send, &json, "4", webhook->max_alerts, false);
    url = am_send_text(send, url);
    if (!am_send_rendered(send, err)) {
        buf_deinit(&body);
        return AM_STEP_FAILED;
    }
    if (str_trim(url).len == 0) {
        buf_deinit(&body);
        return am_send_fail(send, err, "webhook URL is empty after templating");
    }
    send->timeout_ms = webhook->timeout / 1000000;
    // A string of a structured field: draft-ietf-httpapi-idempotency-key-header.
    if (send->idempotency.len)
        am_send_header(send, "Idempotency-Key",
                       arena_printf(send->arena, "\"" STR_FMT "\"", STR_ARG(send->idempotency)));
    return am_send_json(send, url, &body);
}

const AmReceiverKind receiver_webhook = {"webhook", &receiver_webhook_table, complete, step};
