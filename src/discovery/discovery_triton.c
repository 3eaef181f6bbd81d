// SPDX-License-Identifier: Apache-2.0
// triton_sd_configs: containers or compute nodes that Triton's Container Monitor knows.
#include "discovery/discovery_meta.h"
#include "discovery/discovery_poll.h"

enum { ROLE_CONTAINER, ROLE_NODE };
static const char *const role_words[] = {"container", "cn", NULL};

typedef struct TritonConfig {
    Str account, dns_suffix, endpoint;
    int role;
    ConfigStrList groups;
    int64_t port, version;
    int64_t refresh_interval_ms;
    HttpClientConfig http; // tls_config alone can be configured
} TritonConfig;

static bool finish_config(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    TritonConfig *config = object;
    HttpTlsConfig tls = config->http.tls_config;
    http_client_config_default(&config->http);
    config->http.tls_config = tls;
    if (config->account.len == 0)
        return config_error(reader, node, err, "triton SD configuration requires an account");
    if (config->dns_suffix.len == 0)
        return config_error(reader, node, err, "triton SD configuration requires a dns_suffix");
    return config->endpoint.len > 0 ||
           config_error(reader, node, err, "triton SD configuration requires an endpoint");
}

static const ConfigField fields[] = {
    POLL_STR(TritonConfig, account, "whose containers", .always_print = true),
    POLL_ROLE(TritonConfig, role, role_words, "containers or compute nodes",
              .default_text = "container", .always_print = true),
    POLL_STR(TritonConfig, dns_suffix, "behind the names of targets", .always_print = true),
    POLL_STR(TritonConfig, endpoint, "host of the API", .always_print = true),
    POLL_STRS(TritonConfig, groups, "only these"),
    POLL_PORT(TritonConfig, "9163"),
    POLL_INTERVAL(TritonConfig, "1m"),
    {.key = "tls_config",
     .kind = CONFIG_STRUCT,
     .offset = offsetof(TritonConfig, http.tls_config),
     .table = &http_tls_config_table,
     .help = "TLS towards the API"},
    {.key = "version",
     .kind = CONFIG_I64,
     .offset = offsetof(TritonConfig, version),
     .default_text = "1",
     .always_print = true,
     .help = "of the API"},
};

POLL_TABLE(triton, TritonConfig, fields, finish_config);

static const MetaRow container_rows[] = {
    {"__meta_triton_machine_id", "vm_uuid", META_TEXT},
    {"__meta_triton_machine_alias", "vm_alias", META_TEXT},
    {"__meta_triton_machine_brand", "vm_brand", META_TEXT},
    {"__meta_triton_machine_image", "vm_image_uuid", META_TEXT},
    {"__meta_triton_server_id", "server_uuid", META_TEXT},
    {"__meta_triton_groups", "groups", META_LIST},
};

static const MetaRow node_rows[] = {
    {"__meta_triton_machine_id", "server_uuid", META_TEXT},
    {"__meta_triton_machine_alias", "server_hostname", META_TEXT},
};

static bool take(Round *round, const Answer *answer, void *arg, Error *err)
{
    const TritonConfig *config = round->config;
    bool nodes = config->role == ROLE_NODE;
    const JsonValue *list = json_at(answer->json, nodes ? "cns" : "containers");
    GroupMaker maker;
    (void)arg;
    (void)err;
    group_begin(&maker, round->found, &round->arena, config->endpoint);
    for (size_t i = 0; list && list->kind == JSON_ARRAY && i < list->count; i++) {
        const JsonValue *item = &list->items[i];
        LabelsBuilder *labels = group_target(&maker);
        meta_rows(labels, item, nodes ? node_rows : container_rows,
                  nodes ? COUNT_OF(node_rows) : COUNT_OF(container_rows), S(","));
        meta_setf(labels, "__address__", STR_FMT "." STR_FMT ":%lld",
                  STR_ARG(json_str_at(item, nodes ? "server_uuid" : "vm_uuid")),
                  STR_ARG(config->dns_suffix), (long long)config->port);
        group_add(&maker);
    }
    group_end(&maker);
    return true;
}

static bool begin(Round *round, Error *err)
{
    const TritonConfig *config = round->config;
    CLEANUP(buf_deinit) Buf url = {0};
    (void)err;
    buf_printf(&url, "https://" STR_FMT ":%lld/v%lld/%sdiscover", STR_ARG(config->endpoint),
               (long long)config->port, (long long)config->version,
               config->role == ROLE_NODE ? "gz/" : "");
    if (config->groups.count) {
        Str joined = meta_join(&round->arena, config->groups.items, config->groups.count, S(","));
        joined = str_sub(joined, 1, joined.len - 2);
        buf_printf(&url, "?groups=" STR_FMT, STR_ARG(poll_query_escaped(&round->arena, joined)));
    }
    round_get(round, arena_str(&round->arena, buf_str(&url)), take, NULL);
    return true;
}

static const PollKind poll = {POLL_OFFSETS(TritonConfig), .begin = begin};

POLL_KIND(triton);
