// SPDX-License-Identifier: Apache-2.0
#include "rules/notifier.h"

static bool finish_alertmanager(ConfigReader *reader, const YamlNode *node, void *object,
                                Error *err)
{
    const AlertmanagerConfig *config = object;
    if (!str_is(config->api_version, "v2"))
        return config_error(reader, node, err,
                            "expected Alertmanager api version to be one of [v2] but got " STR_FMT,
                            STR_ARG(str_sub(config->api_version, 0, 100)));
    if (!str_is(config->scheme, "http") && !str_is(config->scheme, "https"))
        return config_error(reader, node, err, "scheme: \"" STR_FMT "\" is neither http nor https",
                            STR_ARG(str_sub(config->scheme, 0, 100)));
    if (config->http.sigv4 &&
        (config->http.basic_auth || config->http.authorization || config->http.oauth2))
        return config_error(reader, node, err,
                            "at most one of basic_auth, authorization, oauth2, & sigv4 must be "
                            "configured");
    const YamlNode *groups = yaml_get(node, S("static_configs"));
    for (size_t i = 0; groups && config->relabel.count == 0 && i < groups->count; i++) {
        const YamlNode *targets = yaml_get(groups->items[i], S("targets"));
        for (size_t k = 0; targets && k < targets->count; k++)
            if (str_find_char(targets->items[k]->scalar, '/') != STR_NOT_FOUND)
                return config_error(reader, targets->items[k], err,
                                    "\"" STR_FMT "\" is not a valid hostname",
                                    STR_ARG(str_sub(targets->items[k]->scalar, 0, 200)));
    }
    return true;
}

static const ConfigField alertmanager_fields[] = {
    {.key = "",
     .kind = CONFIG_INLINE,
     .offset = offsetof(AlertmanagerConfig, http),
     .table = &http_client_config_table},
    {.key = "sigv4",
     .kind = CONFIG_STRUCT_PTR,
     .offset = offsetof(AlertmanagerConfig, http.sigv4),
     .table = &http_sigv4_config_table,
     .help = "sign requests for Amazon's services"},
    {.key = "scheme",
     .kind = CONFIG_STR,
     .offset = offsetof(AlertmanagerConfig, scheme),
     .default_text = "http",
     .help = "http or https"},
    {.key = "path_prefix",
     .kind = CONFIG_STR,
     .offset = offsetof(AlertmanagerConfig, path_prefix),
     .help = "path in front of /api/v2/alerts"},
    {.key = "timeout",
     .kind = CONFIG_DURATION,
     .offset = offsetof(AlertmanagerConfig, timeout_ms),
     .default_text = "10s",
     .help = "longest a request may take"},
    {.key = "api_version",
     .kind = CONFIG_STR,
     .offset = offsetof(AlertmanagerConfig, api_version),
     .default_text = "v2",
     .help = "v2"},
    {.key = "relabel_configs",
     .kind = CONFIG_STRUCT_LIST,
     .offset = offsetof(AlertmanagerConfig, relabel),
     .table = &relabel_rule_table,
     .null_text = "empty or null Alertmanager target relabeling rule",
     .help = "rules over the labels of Alertmanagers"},
    {.key = "alert_relabel_configs",
     .kind = CONFIG_STRUCT_LIST,
     .offset = offsetof(AlertmanagerConfig, alert_relabel),
     .table = &relabel_rule_table,
     .null_text = "empty or null Alertmanager alert relabeling rule",
     .help = "rules over the labels of alerts for these Alertmanagers"},
    {.key = "",
     .kind = CONFIG_INLINE,
     .offset = offsetof(AlertmanagerConfig, discovery),
     .table = &discovery_configs_table},
};
const ConfigTable alertmanager_config_table = CONFIG_TABLE(
    AlertmanagerConfig, "alertmanager_config", alertmanager_fields, finish_alertmanager);

static const ConfigField alerting_fields[] = {
    {.key = "alert_relabel_configs",
     .kind = CONFIG_STRUCT_LIST,
     .offset = offsetof(AlertingConfig, alert_relabel),
     .table = &relabel_rule_table,
     .null_text = "empty or null alert relabeling rule",
     .help = "rules over the labels of alerts, after the external labels came in"},
    {.key = "alertmanagers",
     .kind = CONFIG_STRUCT_LIST,
     .offset = offsetof(AlertingConfig, alertmanagers),
     .table = &alertmanager_config_table,
     .help = "where alerts are sent"},
};
const ConfigTable alerting_config_table =
    CONFIG_TABLE(AlertingConfig, "alerting", alerting_fields, NULL);
