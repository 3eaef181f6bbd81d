// SPDX-License-Identifier: Apache-2.0
// eureka_sd_configs: the instances of all applications of a Eureka server, from its XML list.
#include "discovery/discovery_meta.h"
#include "discovery/discovery_poll.h"

#define PREFIX "__meta_eureka_app_instance_"

typedef struct EurekaConfig {
    Str server;
    int64_t refresh_interval_ms;
    HttpClientConfig http;
} EurekaConfig;

static bool finish_config(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    const EurekaConfig *config = object;
    if (config->server.len == 0)
        return config_error(reader, node, err, "eureka_sd: empty or null eureka server");
    return poll_url_is_whole(config->server) ||
           config_error(reader, node, err, "eureka_sd: invalid eureka server URL");
}

static const ConfigField fields[] = {
    POLL_URL(EurekaConfig, server, "URL of the server"),
    POLL_INTERVAL(EurekaConfig, "30s"),
    POLL_HTTP(EurekaConfig),
};

POLL_TABLE(eureka, EurekaConfig, fields, finish_config);

static const MetaRow rows[] = {
    {"instance", "instanceId", META_TEXT},
    {PREFIX "hostname", "hostName", META_TEXT},
    {PREFIX "homepage_url", "homePageUrl", META_TEXT},
    {PREFIX "statuspage_url", "statusPageUrl", META_TEXT},
    {PREFIX "healthcheck_url", "healthCheckUrl", META_TEXT},
    {PREFIX "ip_addr", "ipAddr", META_TEXT},
    {PREFIX "vip_address", "vipAddress", META_TEXT},
    {PREFIX "secure_vip_address", "secureVipAddress", META_TEXT},
    {PREFIX "status", "status", META_TEXT},
    {PREFIX "id", "instanceId", META_TEXT},
    {PREFIX "datacenterinfo_name", "dataCenterInfo.name", META_TEXT},
};

// The children of an element as labels; its attributes are none of them.
static void label_children(LabelsBuilder *labels, const char *prefix, const JsonValue *element)
{
    if (!element || element->kind != JSON_OBJECT)
        return;
    for (size_t i = 0; i < element->count; i++)
        if (element->keys[i].ptr[0] != '@' && element->keys[i].ptr[0] != '#')
            meta_set_key(labels, prefix, element->keys[i],
                         meta_text(labels->arena, &element->items[i]));
}

static void label_port(LabelsBuilder *labels, const JsonValue *instance, const char *element,
                       const char *label, const char *enabled_label)
{
    const JsonValue *port = json_at(instance, element);
    if (!port)
        return;
    meta_setf(labels, label, "%lld", (long long)json_i64_at(port, ""));
    meta_set_bool(labels, enabled_label, json_bool_at(port, "@enabled"));
}

static void add_instance(GroupMaker *maker, Str app, const JsonValue *instance)
{
    LabelsBuilder *labels = group_target(maker);
    const JsonValue *port = json_at(instance, "port");
    meta_address(labels, json_str_at(instance, "hostName"), port ? json_i64_at(port, "") : 80);
    meta_set(labels, "__meta_eureka_app_name", app);
    meta_rows(labels, instance, rows, COUNT_OF(rows), STR_NONE);
    meta_setf(labels, PREFIX "country_id", "%lld", (long long)json_i64_at(instance, "countryId"));
    label_port(labels, instance, "port", PREFIX "port", PREFIX "port_enabled");
    label_port(labels, instance, "securePort", PREFIX "secure_port", PREFIX "secure_port_enabled");
    label_children(labels, PREFIX "datacenterinfo_metadata_",
                   json_at(instance, "dataCenterInfo.metadata"));
    label_children(labels, PREFIX "metadata_", json_at(instance, "metadata"));
    group_add(maker);
}

static bool take(Round *round, const Answer *answer, void *arg, Error *err)
{
    const JsonValue *apps = answer->json;
    GroupMaker maker;
    (void)arg;
    (void)err;
    group_begin(&maker, round->found, &round->arena, S("eureka"));
    for (size_t i = 0; apps && i < apps->count; i++) {
        const JsonValue *app = &apps->items[i];
        if (!str_is(apps->keys[i], "application"))
            continue;
        for (size_t k = 0; k < app->count; k++)
            if (str_is(app->keys[k], "instance"))
                add_instance(&maker, json_str_at(app, "name"), &app->items[k]);
    }
    group_end(&maker);
    return true;
}

static bool begin(Round *round, Error *err)
{
    const EurekaConfig *config = round->config;
    (void)err;
    Ask ask = {.url = arena_printf(&round->arena, STR_FMT "/apps", STR_ARG(config->server)),
               .form = ASK_XML,
               .take = take};
    round_ask(round, &ask);
    return true;
}

static const PollKind poll = {POLL_OFFSETS(EurekaConfig), .begin = begin};

POLL_KIND(eureka);
