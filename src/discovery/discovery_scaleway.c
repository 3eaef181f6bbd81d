// SPDX-License-Identifier: Apache-2.0
// scaleway_sd_configs: instances or bare-metal servers of one zone.
#include "discovery/discovery_meta.h"
#include "discovery/discovery_poll.h"

#define INSTANCE "__meta_scaleway_instance_"
#define METAL "__meta_scaleway_baremetal_"
#define PAGE_ITEMS 100

enum { ROLE_NONE, ROLE_INSTANCE, ROLE_BAREMETAL };
static const char *const role_words[] = {"", "instance", "baremetal", NULL};

typedef struct ScalewayConfig {
    Str project_id, api_url, zone, access_key, secret_key, secret_key_file, name_filter;
    ConfigStrList tags_filter;
    int role;
    int64_t port;
    int64_t refresh_interval_ms;
    HttpClientConfig http;
} ScalewayConfig;

static bool finish_config(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    const ScalewayConfig *config = object;
    if (config->role == ROLE_NONE)
        return config_error(reader, node, err, "role missing (one of: instance, baremetal)");
    if (config->project_id.len == 0)
        return config_error(reader, node, err, "project_id is mandatory");
    if (config->secret_key.len == 0 && config->secret_key_file.len == 0)
        return config_error(reader, node, err,
                            "one of secret_key & secret_key_file must be configured");
    if (config->secret_key.len && config->secret_key_file.len)
        return config_error(reader, node, err,
                            "at most one of secret_key & secret_key_file must be configured");
    if (config->access_key.len == 0)
        return config_error(reader, node, err, "access_key is mandatory");
    return poll_url_is_http(config->api_url) ||
           config_error(reader, node, err, "api_url must be an http or https URL");
}

static const ConfigField fields[] = {
    POLL_STR(ScalewayConfig, project_id, "whose servers", .always_print = true),
    POLL_STR(ScalewayConfig, api_url, "URL of the API", .default_text = "https://api.scaleway.com"),
    POLL_STR(ScalewayConfig, zone, "zone of the servers", .default_text = "fr-par-1"),
    POLL_STR(ScalewayConfig, access_key, "of the API", .always_print = true),
    POLL_SECRET(ScalewayConfig, secret_key, "of the API"),
    POLL_FILE(ScalewayConfig, secret_key_file, "file with the secret_key"),
    POLL_STR(ScalewayConfig, name_filter, "only servers of such a name"),
    POLL_STRS(ScalewayConfig, tags_filter, "only servers with all of these"),
    POLL_ROLE(ScalewayConfig, role, role_words, "what becomes a target"),
    POLL_PORT(ScalewayConfig, "80"),
    POLL_INTERVAL(ScalewayConfig, "1m"),
    POLL_HTTP(ScalewayConfig),
};

POLL_TABLE(scaleway, ScalewayConfig, fields, finish_config);

typedef struct State {
    Str *token; // a header line
    PageList servers;
    PageList addresses; // of IPAM
    PageList offers;
    PageList systems;
} State;

static Str region_of(Str zone)
{
    size_t dash = str_rfind_char(zone, '-');
    return dash == STR_NOT_FOUND ? STR_NONE : str_sub(zone, 0, dash);
}

static void ask_list(Round *round, Str path, const char *items, PageList *list,
                     bool (*then)(Round *, PageList *, void *, Error *))
{
    const ScalewayConfig *config = round->config;
    State *state = round->state;
    Str api = config->api_url;
    while (str_ends_with(api, S("/")))
        api.len--;
    PageAsk ask = {
        .ask = {.url = arena_printf(&round->arena, STR_FMT STR_FMT, STR_ARG(api), STR_ARG(path)),
                .headers = state->token,
                .header_count = 1},
        .items = items,
        .rule = {PAGE_NUMBER, .param = "page", .page_items = PAGE_ITEMS},
        .then = then};
    round_ask_list(round, &ask, list);
}

static Str servers_path(Round *round)
{
    const ScalewayConfig *config = round->config;
    Arena *arena = &round->arena;
    bool metal = config->role == ROLE_BAREMETAL;
    CLEANUP(buf_deinit) Buf path = {0};
    buf_printf(&path, "/%s/v1/zones/" STR_FMT "/servers?%s=%d", metal ? "baremetal" : "instance",
               STR_ARG(poll_path_escaped(arena, config->zone)), metal ? "page_size" : "per_page",
               PAGE_ITEMS);
    if (config->name_filter.len)
        buf_printf(&path, "&name=" STR_FMT,
                   STR_ARG(poll_query_escaped(arena, config->name_filter)));
    for (size_t i = 0; i < config->tags_filter.count; i++)
        buf_printf(&path, "%s" STR_FMT, !metal && i ? "%2C" : "&tags=",
                   STR_ARG(poll_query_escaped(arena, config->tags_filter.items[i])));
    return arena_str(arena, buf_str(&path));
}

static bool is_there(const JsonValue *value)
{
    return value && value->kind != JSON_NULL;
}

// Instances that have no address but in private networks: IPAM knows those.
static bool ask_addresses(Round *round, PageList *servers, void *arg, Error *err)
{
    const ScalewayConfig *config = round->config;
    State *state = round->state;
    CLEANUP(buf_deinit) Buf path = {0};
    size_t count = 0;
    (void)arg;
    (void)err;
    buf_printf(&path, "/ipam/v1/regions/" STR_FMT "/ips?page_size=%d",
               STR_ARG(region_of(config->zone)), PAGE_ITEMS);
    for (size_t i = 0; i < servers->count; i++) {
        const JsonValue *server = servers->items[i];
        const JsonValue *nics = json_at(server, "private_nics");
        if (is_there(json_at(server, "private_ip")) || is_there(json_at(server, "public_ip")) ||
            is_there(json_at(server, "ipv6")))
            continue;
        for (size_t k = 0; nics && nics->kind == JSON_ARRAY && k < nics->count; k++, count++)
            buf_printf(&path, "&resource_ids=" STR_FMT,
                       STR_ARG(json_str_at(&nics->items[k], "id")));
    }
    buf_add_c(&path, "&resource_types=instance_private_nic");
    if (count)
        ask_list(round, arena_str(&round->arena, buf_str(&path)), "ips", &state->addresses, NULL);
    return true;
}

static bool begin(Round *round, Error *err)
{
    const ScalewayConfig *config = round->config;
    State *state = round->state;
    Str secret = config->secret_key;
    if (config->secret_key_file.len &&
        !round_read_secret(round, config->secret_key_file, &secret, err))
        return error_context(err, "unable to read auth token file");
    state->token = ARENA_NEW(&round->arena, Str);
    *state->token = arena_printf(&round->arena, "X-Auth-Token: " STR_FMT, STR_ARG(secret));
    if (config->role == ROLE_INSTANCE) {
        ask_list(round, servers_path(round), "servers", &state->servers, ask_addresses);
        return true;
    }
    ask_list(round, servers_path(round), "servers", &state->servers, NULL);
    ask_list(round,
             arena_printf(&round->arena, "/baremetal/v1/zones/" STR_FMT "/offers?page_size=%d",
                          STR_ARG(config->zone), PAGE_ITEMS),
             "offers", &state->offers, NULL);
    ask_list(round,
             arena_printf(&round->arena, "/baremetal/v1/zones/" STR_FMT "/os?page_size=%d",
                          STR_ARG(config->zone), PAGE_ITEMS),
             "os", &state->systems, NULL);
    return true;
}

// ---- instances ----

static const MetaRow instance_rows[] = {
    {INSTANCE "boot_type", "boot_type", META_TEXT},
    {INSTANCE "hostname", "hostname", META_TEXT},
    {INSTANCE "id", "id", META_TEXT},
    {INSTANCE "name", "name", META_TEXT},
    {INSTANCE "organization_id", "organization", META_TEXT},
    {INSTANCE "project_id", "project", META_TEXT},
    {INSTANCE "status", "state", META_TEXT},
    {INSTANCE "type", "commercial_type", META_TEXT},
    {INSTANCE "zone", "zone", META_TEXT},
    {INSTANCE "image_arch", "image.arch", META_TEXT},
    {INSTANCE "image_id", "image.id", META_TEXT},
    {INSTANCE "image_name", "image.name", META_TEXT},
    {INSTANCE "location_cluster_id", "location.cluster_id", META_TEXT},
    {INSTANCE "location_hypervisor_id", "location.hypervisor_id", META_TEXT},
    {INSTANCE "location_node_id", "location.node_id", META_TEXT},
    {INSTANCE "security_group_id", "security_group.id", META_TEXT},
    {INSTANCE "security_group_name", "security_group.name", META_TEXT},
    {INSTANCE "tags", "tags", META_LIST},
};

static void label_public_ips(LabelsBuilder *labels, const JsonValue *ips, const char *family,
                             const char *name)
{
    size_t count = 0;
    if (!ips || ips->kind != JSON_ARRAY)
        return;
    Str *found = ARENA_ARRAY(labels->arena, Str, ips->count);
    for (size_t i = 0; i < ips->count; i++)
        if (str_is(json_str_at(&ips->items[i], "family"), family))
            found[count++] = json_str_at(&ips->items[i], "address");
    if (count)
        meta_set(labels, name, meta_join(labels->arena, found, count, S(",")));
}

// The IPv4 address that IPAM tells of one of the server's private cards.
static Str private_nic_address(const State *state, const JsonValue *server)
{
    const JsonValue *nics = json_at(server, "private_nics");
    for (size_t i = 0; nics && nics->kind == JSON_ARRAY && i < nics->count; i++)
        for (size_t k = state->addresses.count; k-- > 0;) { // the last one counts
            const JsonValue *ip = state->addresses.items[k];
            Str address = json_str_at(ip, "address");
            if (json_bool_at(ip, "is_ipv6") || address.len == 0 ||
                !str_equal(json_str_at(ip, "resource.id"), json_str_at(&nics->items[i], "id")))
                continue;
            return str_sub(address, 0, MIN(str_find_char(address, '/'), address.len));
        }
    return STR_NONE;
}

// The address that is best for scraping: private, else public, else IPv6.
static Str label_addresses(LabelsBuilder *labels, const State *state, const JsonValue *server)
{
    const JsonValue *ips = json_at(server, "public_ips");
    Str address = json_str_at(server, "ipv6.address");
    Str public_ip = json_str_at(server, "public_ip.address");
    Str private_ip = json_str_at(server, "private_ip");
    label_public_ips(labels, ips, "inet", INSTANCE "public_ipv4_addresses");
    label_public_ips(labels, ips, "inet6", INSTANCE "public_ipv6_addresses");
    meta_set(labels, INSTANCE "public_ipv6", address);
    if (!str_is(json_str_at(server, "public_ip.family"), "inet6"))
        meta_set(labels, INSTANCE "public_ipv4", public_ip);
    address = public_ip.len ? public_ip : address;
    if (private_ip.len == 0 && address.len == 0)
        private_ip = private_nic_address(state, server);
    meta_set(labels, INSTANCE "private_ipv4", private_ip);
    return private_ip.len ? private_ip : address;
}

static void add_instance(const Round *round, GroupMaker *maker, const JsonValue *server)
{
    const ScalewayConfig *config = round->config;
    LabelsBuilder *labels = group_target(maker);
    Str address = label_addresses(labels, round->state, server);
    if (address.len == 0)
        return;
    meta_rows(labels, server, instance_rows, COUNT_OF(instance_rows), S(","));
    meta_set(labels, INSTANCE "region", region_of(json_str_at(server, "zone")));
    meta_address(labels, address, config->port);
    group_add(maker);
}

// ---- bare metal ----

static const MetaRow metal_rows[] = {
    {METAL "id", "id", META_TEXT},
    {METAL "name", "name", META_TEXT},
    {METAL "zone", "zone", META_TEXT},
    {METAL "status", "status", META_TEXT},
    {METAL "project_id", "project_id", META_TEXT},
    {METAL "tags", "tags", META_LIST},
};

static const JsonValue *find_by_id(const PageList *list, Str id)
{
    for (size_t i = 0; id.len && i < list->count; i++)
        if (str_equal(json_str_at(list->items[i], "id"), id))
            return list->items[i];
    return NULL;
}

static bool add_metal(const Round *round, GroupMaker *maker, const JsonValue *server, Error *err)
{
    const ScalewayConfig *config = round->config;
    const State *state = round->state;
    const JsonValue *ips = json_at(server, "ips");
    const JsonValue *system = find_by_id(&state->systems, json_str_at(server, "install.os_id"));
    const JsonValue *offer = find_by_id(&state->offers, json_str_at(server, "offer_id"));
    LabelsBuilder *labels = group_target(maker);
    Str found[2] = {STR_NONE, STR_NONE}; // the first IPv4, the first IPv6
    for (size_t i = 0; ips && ips->kind == JSON_ARRAY && i < ips->count; i++) {
        Str version = json_str_at(&ips->items[i], "version");
        if (!str_is(version, "IPv4") && !str_is(version, "IPv6"))
            return error_set(err, ERR_INVALID, "unknown IP version: " STR_FMT, STR_ARG(version));
        Str *first = &found[str_is(version, "IPv6")];
        if (first->len == 0)
            *first = json_str_at(&ips->items[i], "address");
    }
    meta_rows(labels, server, metal_rows, COUNT_OF(metal_rows), S(","));
    meta_set(labels, METAL "type", json_str_at(offer, "name"));
    meta_set(labels, METAL "os_name", json_str_at(system, "name"));
    meta_set(labels, METAL "os_version", json_str_at(system, "version"));
    meta_set(labels, METAL "public_ipv4", found[0]);
    meta_set(labels, METAL "public_ipv6", found[1]);
    if (found[0].len || found[1].len)
        meta_address(labels, found[0].len ? found[0] : found[1], config->port);
    group_add(maker);
    return true;
}

static bool finish(Round *round, Error *err)
{
    const ScalewayConfig *config = round->config;
    const State *state = round->state;
    GroupMaker maker;
    group_begin(&maker, round->found, &round->arena, S("scaleway"));
    for (size_t i = 0; i < state->servers.count; i++) {
        if (config->role == ROLE_INSTANCE)
            add_instance(round, &maker, state->servers.items[i]);
        else if (!add_metal(round, &maker, state->servers.items[i], err))
            return false;
    }
    group_end(&maker);
    return true;
}

static const PollKind poll = {
    POLL_OFFSETS(ScalewayConfig),
    .state_bytes = sizeof(State),
    .begin = begin,
    .finish = finish,
};

POLL_KIND(scaleway);
