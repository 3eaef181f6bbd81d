// SPDX-License-Identifier: Apache-2.0
// hetzner_sd_configs: servers of Hetzner Cloud, or dedicated ones of Hetzner Robot.
#include <ctype.h>

#include "discovery/discovery_meta.h"
#include "discovery/discovery_poll.h"

#define HCLOUD "__meta_hetzner_hcloud_"
#define ABSENT S("<nil>") // what the original shows for an address that a server does not have

enum { ROLE_NONE, ROLE_ROBOT, ROLE_HCLOUD };
static const char *const role_words[] = {"", "robot", "hcloud", NULL};

typedef struct HetznerConfig {
    int role;
    Str label_selector;
    int64_t port;
    int64_t refresh_interval_ms;
    HttpClientConfig http;
} HetznerConfig;

static bool finish_config(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    const HetznerConfig *config = object;
    return config->role != ROLE_NONE ||
           config_error(reader, node, err, "role missing (one of: robot, hcloud)");
}

static const ConfigField fields[] = {
    POLL_ROLE(HetznerConfig, role, role_words, "cloud or dedicated servers"),
    POLL_STR(HetznerConfig, label_selector, "which cloud servers"),
    POLL_PORT(HetznerConfig, "80"),
    POLL_INTERVAL(HetznerConfig, "1m"),
    POLL_HTTP(HetznerConfig),
};

POLL_TABLE(hetzner, HetznerConfig, fields, finish_config);

typedef struct State {
    PageList servers;
    PageList networks;
} State;

static void begin_hcloud(Round *round)
{
    const HetznerConfig *config = round->config;
    State *state = round->state;
    CLEANUP(buf_deinit) Buf url = {0};
    buf_add_c(&url, "https://api.hetzner.cloud/v1/servers?");
    if (config->label_selector.len)
        buf_printf(&url, "label_selector=" STR_FMT "&",
                   STR_ARG(poll_query_escaped(&round->arena, config->label_selector)));
    buf_add_c(&url, "per_page=50");
    PageAsk servers = {.ask.url = arena_str(&round->arena, buf_str(&url)),
                       .items = "servers",
                       .rule = {PAGE_TOKEN, "meta.pagination.next_page", "page"}};
    PageAsk networks = {.ask.url = S("https://api.hetzner.cloud/v1/networks?per_page=50"),
                        .items = "networks",
                        .rule = {PAGE_TOKEN, "meta.pagination.next_page", "page"}};
    round_ask_list(round, &servers, &state->servers);
    round_ask_list(round, &networks, &state->networks);
}

static bool begin(Round *round, Error *err)
{
    const HetznerConfig *config = round->config;
    State *state = round->state;
    (void)err;
    if (config->role == ROLE_HCLOUD) {
        begin_hcloud(round);
        return true;
    }
    PageAsk ask = {.ask.url = S("https://robot-ws.your-server.de/server"), .items = ""};
    round_ask_list(round, &ask, &state->servers);
    return true;
}

static const MetaRow hcloud_rows[] = {
    {"__meta_hetzner_server_id", "id", META_TEXT},
    {"__meta_hetzner_server_name", "name", META_TEXT},
    {"__meta_hetzner_server_status", "status", META_TEXT},
    {HCLOUD "server_type", "server_type.name", META_TEXT},
    {HCLOUD "cpu_cores", "server_type.cores", META_TEXT},
    {HCLOUD "cpu_type", "server_type.cpu_type", META_TEXT},
    {HCLOUD "disk_size_gb", "server_type.disk", META_TEXT},
    {HCLOUD "image_name", "image.name", META_TEXT},
    {HCLOUD "image_description", "image.description", META_TEXT},
    {HCLOUD "image_os_version", "image.os_version", META_TEXT},
    {HCLOUD "image_os_flavor", "image.os_flavor", META_TEXT},
    {HCLOUD "label_", "labels", META_MAP},
};

static void label_location(LabelsBuilder *labels, const JsonValue *server)
{
    const JsonValue *location = json_at(server, "location");
    if (!location || location->kind != JSON_OBJECT)
        location = json_at(server, "datacenter.location"); // of older answers
    Str name = json_str_at(location, "name");
    Str zone = json_str_at(location, "network_zone");
    meta_set(labels, HCLOUD "location", name);
    meta_set(labels, HCLOUD "location_network_zone", zone);
    meta_set(labels, HCLOUD "datacenter_location", name);
    meta_set(labels, HCLOUD "datacenter_location_network_zone", zone);
}

static void label_private_nets(LabelsBuilder *labels, const JsonValue *server,
                               const PageList *networks)
{
    const JsonValue *nets = json_at(server, "private_net");
    for (size_t i = 0; nets && nets->kind == JSON_ARRAY && i < nets->count; i++)
        for (size_t k = 0; k < networks->count; k++)
            if (json_i64_at(&nets->items[i], "network") == json_i64_at(networks->items[k], "id"))
                meta_set_key(labels, HCLOUD "private_ipv4_",
                             json_str_at(networks->items[k], "name"),
                             json_str_at(&nets->items[i], "ip"));
}

static void add_hcloud(const Round *round, GroupMaker *maker, const JsonValue *server)
{
    const HetznerConfig *config = round->config;
    const State *state = round->state;
    const JsonValue *own = json_at(server, "labels");
    const JsonValue *memory = json_at(server, "server_type.memory");
    LabelsBuilder *labels = group_target(maker);
    Str ipv4 = json_str_at(server, "public_net.ipv4.ip");
    Str ipv6 = json_str_at(server, "public_net.ipv6.ip");
    ipv4 = ipv4.len ? ipv4 : ABSENT;
    meta_set(labels, "__meta_hetzner_role", S("hcloud"));
    meta_set(labels, "__meta_hetzner_public_ipv4", ipv4);
    meta_set(labels, "__meta_hetzner_public_ipv6_network", ipv6.len ? ipv6 : ABSENT);
    meta_rows(labels, server, hcloud_rows, COUNT_OF(hcloud_rows), STR_NONE);
    if (memory && memory->kind == JSON_NUMBER && memory->number >= 0 && memory->number < 1e15)
        meta_setf(labels, HCLOUD "memory_size_gb", "%lld", (long long)memory->number);
    label_location(labels, server);
    label_private_nets(labels, server, &state->networks);
    for (size_t i = 0; own && own->kind == JSON_OBJECT && i < own->count; i++)
        meta_set_key(labels, HCLOUD "labelpresent_", own->keys[i], S("true"));
    meta_address(labels, ipv4, config->port);
    group_add(maker);
}

static const MetaRow robot_rows[] = {
    {"__meta_hetzner_server_id", "server_number", META_TEXT},
    {"__meta_hetzner_server_name", "server_name", META_TEXT},
    {"__meta_hetzner_server_status", "status", META_TEXT},
    {"__meta_hetzner_public_ipv4", "server_ip", META_TEXT},
    {"__meta_hetzner_robot_product", "product", META_TEXT},
};

static void add_robot(const Round *round, GroupMaker *maker, const JsonValue *server)
{
    const HetznerConfig *config = round->config;
    const JsonValue *subnets = json_at(server, "subnet");
    LabelsBuilder *labels = group_target(maker);
    char *datacenter = str_to_c(labels->arena, json_str_at(server, "dc"));
    for (char *c = datacenter; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    meta_set(labels, "__meta_hetzner_role", S("robot"));
    meta_rows(labels, server, robot_rows, COUNT_OF(robot_rows), STR_NONE);
    meta_set(labels, "__meta_hetzner_datacenter", str_from_c(datacenter));
    meta_set(labels, "__meta_hetzner_robot_datacenter", str_from_c(datacenter));
    meta_set_bool(labels, "__meta_hetzner_robot_cancelled", json_bool_at(server, "cancelled"));
    for (size_t i = 0; subnets && subnets->kind == JSON_ARRAY && i < subnets->count; i++) {
        Str ip = json_str_at(&subnets->items[i], "ip");
        if (str_find_char(ip, ':') == STR_NOT_FOUND)
            continue;
        meta_setf(labels, "__meta_hetzner_public_ipv6_network", STR_FMT "/" STR_FMT, STR_ARG(ip),
                  STR_ARG(meta_text(labels->arena, json_at(&subnets->items[i], "mask"))));
        break;
    }
    meta_address(labels, json_str_at(server, "server_ip"), config->port);
    group_add(maker);
}

static bool finish(Round *round, Error *err)
{
    const HetznerConfig *config = round->config;
    const State *state = round->state;
    GroupMaker maker;
    (void)err;
    group_begin(&maker, round->found, &round->arena, S("hetzner"));
    for (size_t i = 0; i < state->servers.count; i++) {
        if (config->role == ROLE_HCLOUD)
            add_hcloud(round, &maker, state->servers.items[i]);
        else
            add_robot(round, &maker, json_at(state->servers.items[i], "server"));
    }
    group_end(&maker);
    return true;
}

static const PollKind poll = {
    POLL_OFFSETS(HetznerConfig),
    .state_bytes = sizeof(State),
    .begin = begin,
    .finish = finish,
};

POLL_KIND(hetzner);
