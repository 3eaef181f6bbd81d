// SPDX-License-Identifier: Apache-2.0
// nomad_sd_configs: the instances of all services that Nomad itself keeps.
#include "discovery/discovery_meta.h"
#include "discovery/discovery_poll.h"

typedef struct NomadConfig {
    bool allow_stale;
    Str namespace, region, server, tag_separator;
    int64_t refresh_interval_ms;
    HttpClientConfig http;
} NomadConfig;

static bool finish_config(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    const NomadConfig *config = object;
    return str_trim(config->server).len > 0 ||
           config_error(reader, node, err, "nomad SD configuration requires a server address");
}

static const ConfigField fields[] = {
    POLL_BOOL(NomadConfig, allow_stale, "true", "any server may answer"),
    POLL_STR(NomadConfig, namespace, "namespace of the services", .default_text = "default"),
    POLL_STR(NomadConfig, region, "region of the services", .default_text = "global"),
    POLL_URL(NomadConfig, server, "URL of the API", .default_text = "http://localhost:4646"),
    POLL_STR(NomadConfig, tag_separator, "between tags in __meta_nomad_tags", .default_text = ","),
    POLL_INTERVAL(NomadConfig, "1m"),
    POLL_HTTP(NomadConfig),
};

POLL_TABLE(nomad, NomadConfig, fields, finish_config);

typedef struct State {
    const JsonValue **services; // the answer for each
    size_t count;
} State;

static Str url_of(Round *round, const char *path, Str name)
{
    const NomadConfig *config = round->config;
    Arena *arena = &round->arena;
    CLEANUP(buf_deinit) Buf url = {0};
    Str server = config->server;
    while (str_ends_with(server, S("/")))
        server.len--;
    buf_printf(&url, STR_FMT "%s" STR_FMT "?", STR_ARG(server), path,
               STR_ARG(poll_path_escaped(arena, name)));
    if (config->namespace.len)
        buf_printf(&url, "namespace=" STR_FMT "&",
                   STR_ARG(poll_query_escaped(arena, config->namespace)));
    if (config->region.len)
        buf_printf(&url, "region=" STR_FMT "&", STR_ARG(poll_query_escaped(arena, config->region)));
    if (config->allow_stale)
        buf_add_c(&url, "stale=&");
    return arena_str(arena, str_sub(buf_str(&url), 0, url.len - 1));
}

static size_t list_count(const JsonValue *list)
{
    return list && list->kind == JSON_ARRAY ? list->count : 0;
}

// [{"Namespace": .., "Services": [{"ServiceName": ..}]}]
static bool take_stubs(Round *round, const Answer *answer, void *arg, Error *err)
{
    State *state = round->state;
    size_t total = 0;
    (void)arg;
    (void)err;
    for (size_t i = 0; i < list_count(answer->json); i++)
        total += list_count(json_at(&answer->json->items[i], "Services"));
    state->services = ARENA_ARRAY(&round->arena, const JsonValue *, total);
    for (size_t i = 0; i < list_count(answer->json); i++) {
        const JsonValue *stubs = json_at(&answer->json->items[i], "Services");
        for (size_t k = 0; k < list_count(stubs); k++)
            round_get_into(
                round, url_of(round, "/v1/service/", json_str_at(&stubs->items[k], "ServiceName")),
                &state->services[state->count++]);
    }
    return true;
}

static bool begin(Round *round, Error *err)
{
    (void)err;
    round_get(round, url_of(round, "/v1/services", STR_NONE), take_stubs, NULL);
    return true;
}

static const MetaRow rows[] = {
    {"__meta_nomad_address", "Address", META_TEXT},
    {"__meta_nomad_dc", "Datacenter", META_TEXT},
    {"__meta_nomad_node_id", "NodeID", META_TEXT},
    {"__meta_nomad_namespace", "Namespace", META_TEXT},
    {"__meta_nomad_service_address", "Address", META_TEXT},
    {"__meta_nomad_service_id", "ID", META_TEXT},
    {"__meta_nomad_service_port", "Port", META_TEXT},
    {"__meta_nomad_service", "ServiceName", META_TEXT},
    {"__meta_nomad_tags", "Tags", META_LIST},
};

static bool finish(Round *round, Error *err)
{
    const NomadConfig *config = round->config;
    const State *state = round->state;
    GroupMaker maker;
    (void)err;
    group_begin(&maker, round->found, &round->arena, S("Nomad"));
    for (size_t i = 0; i < state->count; i++)
        for (size_t k = 0; k < list_count(state->services[i]); k++) {
            const JsonValue *instance = &state->services[i]->items[k];
            LabelsBuilder *labels = group_target(&maker);
            meta_rows(labels, instance, rows, COUNT_OF(rows), config->tag_separator);
            meta_address(labels, json_str_at(instance, "Address"), json_i64_at(instance, "Port"));
            group_add(&maker);
        }
    group_end(&maker);
    return true;
}

static const PollKind poll = {
    POLL_OFFSETS(NomadConfig), .state_bytes = sizeof(State),
    .counts_failures = true,   .begin = begin,
    .finish = finish,
};

POLL_KIND(nomad, .counters = {{"prometheus_sd_nomad_failures_total",
                               "Number of nomad service discovery refresh failures."}});
