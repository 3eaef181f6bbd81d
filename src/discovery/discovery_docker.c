// SPDX-License-Identifier: Apache-2.0
// docker_sd_configs: the containers of one daemon, a target for each network and TCP port.
#include "discovery/discovery_moby.h"

static bool finish_config(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    const MobyConfig *config = object;
    return config->host.len > 0 || config_error(reader, node, err, "host missing");
}

static const ConfigField fields[] = {
    POLL_URL(MobyConfig, host, "unix:///path, tcp://host:port, http or https URL",
             .always_print = true),
    POLL_PORT(MobyConfig, "80"),
    {.key = "filters",
     .kind = CONFIG_STRUCT_LIST,
     .offset = offsetof(MobyConfig, filters),
     .table = &moby_filter_table,
     .help = "which containers"},
    POLL_STR(MobyConfig, host_networking_host, "address of containers in the host's network",
             .default_text = "localhost"),
    POLL_BOOL(MobyConfig, match_first_network, "true",
              "of several networks only the first by name"),
    POLL_INTERVAL(MobyConfig, "1m"),
    POLL_HTTP(MobyConfig),
};

POLL_TABLE(docker, MobyConfig, fields, finish_config);

typedef struct State {
    const JsonValue *containers;
    const JsonValue *networks;
} State;

static bool begin(Round *round, Error *err)
{
    State *state = round->state;
    (void)err;
    moby_get(round, "/containers/json", true, &state->containers);
    moby_get(round, "/networks", false, &state->networks);
    return true;
}

static const JsonValue *find_container(const JsonValue *containers, Str id)
{
    for (size_t i = 0; i < containers->count; i++)
        if (str_equal(json_str_at(&containers->items[i], "Id"), id))
            return &containers->items[i];
    return NULL;
}

// Its networks, or those of the container whose network it shares.
static const JsonValue *networks_of(const JsonValue *containers, const JsonValue *container)
{
    // A chain that is longer than there are containers is a circle.
    for (size_t hops = 0; container && hops <= containers->count; hops++) {
        const JsonValue *networks = json_at(container, "NetworkSettings.Networks");
        Str mode = json_str_at(container, "HostConfig.NetworkMode");
        if (networks && networks->kind == JSON_OBJECT && networks->count)
            return networks;
        if (!str_starts_with(mode, S("container:")))
            return NULL;
        container = find_container(containers, str_skip(mode, strlen("container:")));
    }
    return NULL;
}

// Which of the networks counts alone, or STR_NOT_FOUND for all.
static size_t first_network(const MobyConfig *config, const JsonValue *networks)
{
    size_t first = STR_NOT_FOUND;
    if (!config->match_first_network || networks->count < 2)
        return STR_NOT_FOUND;
    for (size_t i = 0; i < networks->count; i++)
        if (networks->items[i].kind == JSON_OBJECT &&
            (first == STR_NOT_FOUND || str_compare(networks->keys[i], networks->keys[first]) < 0))
            first = i;
    return first;
}

static const MetaRow rows[] = {
    {"__meta_docker_container_id", "Id", META_TEXT},
    {"__meta_docker_container_name", "Names.0", META_TEXT},
    {"__meta_docker_container_network_mode", "HostConfig.NetworkMode", META_TEXT},
    {"__meta_docker_container_image", "Image", META_TEXT},
    {"__meta_docker_container_image_id", "ImageID", META_TEXT},
    {"__meta_docker_container_label_", "Labels", META_MAP},
};

static Str address_of(const JsonValue *network)
{
    Str address = json_str_at(network, "IPAddress");
    return address.len ? address : json_str_at(network, "GlobalIPv6Address");
}

static LabelsBuilder *network_target(const Round *round, GroupMaker *maker,
                                     const JsonValue *container, const JsonValue *network)
{
    const State *state = round->state;
    LabelsBuilder *labels = group_target(maker);
    meta_set(labels, "__meta_docker_network_ip", address_of(network));
    meta_rows(labels, container, rows, COUNT_OF(rows), STR_NONE);
    moby_network_labels(labels, state->networks, json_str_at(network, "NetworkID"),
                        "__meta_docker_");
    return labels;
}

static void add_network(const Round *round, GroupMaker *maker, const JsonValue *container,
                        const JsonValue *network)
{
    const MobyConfig *config = round->config;
    const JsonValue *ports = json_at(container, "Ports");
    bool added = false;
    for (size_t i = 0; ports && ports->kind == JSON_ARRAY && i < ports->count; i++) {
        const JsonValue *port = &ports->items[i];
        if (!str_is(json_str_at(port, "Type"), "tcp"))
            continue;
        LabelsBuilder *labels = network_target(round, maker, container, network);
        int64_t private_port = json_i64_at(port, "PrivatePort");
        int64_t public_port = json_i64_at(port, "PublicPort");
        meta_setf(labels, "__meta_docker_port_private", "%lld", (long long)private_port);
        if (public_port > 0) {
            meta_setf(labels, "__meta_docker_port_public", "%lld", (long long)public_port);
            meta_set(labels, "__meta_docker_port_public_ip", json_str_at(port, "IP"));
        }
        meta_address(labels, address_of(network), private_port);
        group_add(maker);
        added = true;
    }
    if (added)
        return;
    LabelsBuilder *labels = network_target(round, maker, container, network);
    if (str_is(json_str_at(container, "HostConfig.NetworkMode"), "host"))
        meta_set(labels, "__address__", config->host_networking_host);
    else
        meta_address(labels, address_of(network), config->port);
    group_add(maker);
}

static bool finish(Round *round, Error *err)
{
    const State *state = round->state;
    GroupMaker maker;
    (void)err;
    group_begin(&maker, round->found, &round->arena, S("Docker"));
    for (size_t i = 0; i < state->containers->count; i++) {
        const JsonValue *container = &state->containers->items[i];
        const JsonValue *networks = networks_of(state->containers, container);
        if (!json_at(container, "Names.0") || !networks)
            continue;
        size_t only = first_network(round->config, networks);
        for (size_t n = 0; n < networks->count; n++)
            if ((only == STR_NOT_FOUND || only == n) && networks->items[n].kind == JSON_OBJECT)
                add_network(round, &maker, container, &networks->items[n]);
    }
    group_end(&maker);
    return true;
}

static const PollKind poll = {
    POLL_OFFSETS(MobyConfig),
    .state_bytes = sizeof(State),
    .begin = begin,
    .finish = finish,
};

POLL_KIND(docker);
