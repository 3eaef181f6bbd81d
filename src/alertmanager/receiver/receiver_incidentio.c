// SPDX-License-Identifier: Apache-2.0
// incidentio: the webhook's document to an alert source: alertmanager.md section 8.15.
#include "alertmanager/am_receiver.h"

#define BODY_BYTES_MAX ((size_t)512 << 10)

typedef struct Incidentio {
    AmCommon common;
    Str url, url_file, alert_source_token, alert_source_token_file;
    uint64_t max_alerts;
    int64_t timeout;
} Incidentio;

#define OWNER Incidentio
static const ConfigField fields[] = {
    AM_COMMON_FIELDS(Incidentio, "true"),
    AM_FIELD(url, CONFIG_STR, "the alert source"),
    AM_FIELD(url_file, CONFIG_STR, "file with it", .always_print = true),
    AM_FIELD(alert_source_token, CONFIG_SECRET, "its token"),
    AM_FIELD(alert_source_token_file, CONFIG_STR, "file with it"),
    AM_FIELD(max_alerts, CONFIG_U64, "most alerts in one document; 0 is all", .always_print = true),
    AM_FIELD_GO_DURATION(timeout, "longest that one attempt may take"),
};
const ConfigTable receiver_incidentio_table =
    CONFIG_TABLE(Incidentio, "incidentio_config", fields, am_receiver_finish);

static bool complete(ConfigReader *reader, const AmGlobal *global, void *config, Error *err)
{
    Incidentio *inc = config;
    const YamlNode *node = inc->common.node;
    bool has_token = inc->alert_source_token.len || inc->alert_source_token_file.len;
    if (!inc->url.len && !inc->url_file.len)
        return config_error(reader, node, err, "one of url or url_file must be configured");
    if (has_token && inc->common.http->authorization)
        return config_error(reader, node, err,
                            "cannot specify alert_source_token or alert_source_token_file when "
                            "using http_config.authorization");
    if (!has_token && inc->common.http != &global->http && !inc->common.http->authorization)
        return config_error(reader, node, err,
                            "at least one of alert_source_token, alert_source_token_file or "
                            "http_config.authorization must be configured");
    return am_receiver_one_of(reader, &inc->common, "url & url_file", inc->url, inc->url_file,
                              err) &&
           am_receiver_one_of(reader, &inc->common, "alert_source_token & alert_source_token_file",
                              inc->alert_source_token, inc->alert_source_token_file, err) &&
           am_config_url(reader, node, &inc->url, err);
}

static AmStep step(AmSend *send, Error *err)
{
    const Incidentio *inc = send->config;
    Str url, token;
    Buf body = {0};
    JsonWriter json;
    if (send->step)
        return AM_CHECK(send, err, 429);
    if (!am_send_secret(send, inc->url, inc->url_file, &url, err) ||
        !am_send_secret(send, inc->alert_source_token, inc->alert_source_token_file, &token, err))
        return AM_STEP_FAILED;
    json_writer_init(&json, &body);
    am_send_message(send, &json, "1", inc->max_alerts, false);
    if (body.len > BODY_BYTES_MAX) {
        buf_reset(&body);
        json_writer_init(&json, &body);
        am_send_message(send, &json, "1", inc->max_alerts, true);
    }
    if (token.len)
        am_send_header(send, "Authorization",
                       arena_printf(send->arena, "Bearer " STR_FMT, STR_ARG(token)));
    send->timeout_ms = inc->timeout / 1000000;
    return am_send_finish(send, url, &body, err);
}

const AmReceiverKind receiver_incidentio = {"incidentio", &receiver_incidentio_table, complete,
                                            step};
