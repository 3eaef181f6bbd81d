// SPDX-License-Identifier: Apache-2.0
// ovhcloud_sd_configs: dedicated or virtual private servers of OVHcloud. Each request is signed with the application's secret and the
// consumer key over a time that the API tells.
#include <arpa/inet.h>

#include "base/clock.h"
#include "base/log.h"
#include "discovery/discovery_meta.h"
#include "discovery/discovery_poll.h"
#include "net/digest.h"

enum { SERVICE_NONE, SERVICE_DEDICATED, SERVICE_VPS };
static const char *const service_words[] = {"", "dedicated_server", "vps", NULL};

static const struct {
    Str name;
    Str url;
} endpoints[] = {{STR("ovh-eu"), STR("https://eu.api.ovh.com/1.0")},
                 {STR("ovh-ca"), STR("https://ca.api.ovh.com/1.0")},
                 {STR("ovh-us"), STR("https://api.us.ovhcloud.com/1.0")},
                 {STR("kimsufi-eu"), STR("https://eu.api.kimsufi.com/1.0")},
                 {STR("kimsufi-ca"), STR("https://ca.api.kimsufi.com/1.0")},
                 {STR("soyoustart-eu"), STR("https://eu.api.soyoustart.com/1.0")},
                 {STR("soyoustart-ca"), STR("https://ca.api.soyoustart.com/1.0")}};

typedef struct OvhcloudConfig {
    Str endpoint, application_key, application_secret, consumer_key;
    int service;
    int64_t refresh_interval_ms;
    HttpClientConfig http; // the defaults
} OvhcloudConfig;

static bool finish_config(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    OvhcloudConfig *config = object;
    http_client_config_default(&config->http);
    if (config->endpoint.len == 0)
        return config_error(reader, node, err, "endpoint can not be empty");
    if (config->application_key.len == 0)
        return config_error(reader, node, err, "application key can not be empty");
    if (config->application_secret.len == 0)
        return config_error(reader, node, err, "application secret can not be empty");
    if (config->consumer_key.len == 0)
        return config_error(reader, node, err, "consumer key can not be empty");
    return config->service != SERVICE_NONE || config_error(reader, node, err, "unknown service: ");
}

static const ConfigField fields[] = {
    POLL_STR(OvhcloudConfig, endpoint, "name or URL of the API", .default_text = "ovh-eu"),
    POLL_STR(OvhcloudConfig, application_key, "of the application", .always_print = true),
    POLL_SECRET(OvhcloudConfig, application_secret, "of the application"),
    POLL_SECRET(OvhcloudConfig, consumer_key, "of who allowed it"),
    POLL_INTERVAL(OvhcloudConfig, "1m"),
    POLL_ROLE(OvhcloudConfig, service, service_words, "dedicated_server or vps"),
};

POLL_TABLE(ovhcloud, OvhcloudConfig, fields, finish_config);

typedef struct Server {
    const JsonValue *details;
    const JsonValue *ips;
    bool failed;
} Server;

typedef struct State {
    int64_t ahead_s; // the API's clock before ours
    Server *servers;
    size_t count;
} State;

static Str base_url(const OvhcloudConfig *config)
{
    Str url = config->endpoint;
    for (size_t i = 0; i < COUNT_OF(endpoints); i++)
        if (str_equal(endpoints[i].name, config->endpoint))
            url = endpoints[i].url;
    while (str_ends_with(url, S("/")))
        url.len--;
    return url;
}

static const char *base_path(const OvhcloudConfig *config)
{
    return config->service == SERVICE_VPS ? "/vps" : "/dedicated/server";
}

static bool any_status(int status)
{
    return status > 0;
}

static void ask_signed(Round *round, Str path, bool (*accepts)(int), TakeFn take, void *arg)
{
    const OvhcloudConfig *config = round->config;
    const State *state = round->state;
    Arena *arena = &round->arena;
    CLEANUP(buf_deinit) Buf signature = {0};
    uint8_t digest[SHA1_BYTES];
    Str url = arena_printf(arena, STR_FMT STR_FMT, STR_ARG(base_url(config)), STR_ARG(path));
    long long now_s = (long long)(clock_now_ms(&clock_system) / 1000 + state->ahead_s);
    digest_sha1(arena_printf(arena, STR_FMT "+" STR_FMT "+GET+" STR_FMT "++%lld",
                             STR_ARG(config->application_secret), STR_ARG(config->consumer_key),
                             STR_ARG(url), now_s),
                digest);
    digest_add_hex(&signature, digest, sizeof digest);
    Str *headers = ARENA_ARRAY(arena, Str, 5);
    headers[0] = S("Accept: application/json");
    headers[1] =
        arena_printf(arena, "X-Ovh-Application: " STR_FMT, STR_ARG(config->application_key));
    headers[2] = arena_printf(arena, "X-Ovh-Timestamp: %lld", now_s);
    headers[3] = arena_printf(arena, "X-Ovh-Consumer: " STR_FMT, STR_ARG(config->consumer_key));
    headers[4] = arena_printf(arena, "X-Ovh-Signature: $1$" STR_FMT, STR_ARG(buf_str(&signature)));
    Ask ask = {.url = url,
               .headers = headers,
               .header_count = 5,
               .accepts = accepts,
               .take = take,
               .arg = arg};
    round_ask(round, &ask);
}

// One server that cannot be told of is left out; the others stay.
static bool take_details(Round *round, const Answer *answer, void *arg, Error *err)
{
    Server *server = arg;
    (void)round;
    (void)err;
    server->details = answer->json;
    server->failed |= answer->status != 200;
    return true;
}

static bool take_ips(Round *round, const Answer *answer, void *arg, Error *err)
{
    Server *server = arg;
    (void)round;
    (void)err;
    server->ips = answer->json;
    server->failed |= answer->status != 200;
    return true;
}

static bool take_names(Round *round, const Answer *answer, void *arg, Error *err)
{
    const JsonValue *names = answer->json;
    State *state = round->state;
    Arena *arena = &round->arena;
    (void)arg;
    if (!names || names->kind != JSON_ARRAY)
        return error_set(err, ERR_INVALID, "expected a list of names");
    state->servers = ARENA_ARRAY(arena, Server, names->count);
    state->count = names->count;
    for (size_t i = 0; i < names->count; i++) {
        Str name = poll_query_escaped(arena, meta_text(arena, &names->items[i]));
        Str path = arena_printf(arena, "%s/" STR_FMT, base_path(round->config), STR_ARG(name));
        state->servers[i] = (Server){0};
        ask_signed(round, path, any_status, take_details, &state->servers[i]);
        ask_signed(round, arena_printf(arena, STR_FMT "/ips", STR_ARG(path)), any_status, take_ips,
                   &state->servers[i]);
    }
    return true;
}

static bool take_time(Round *round, const Answer *answer, void *arg, Error *err)
{
    State *state = round->state;
    (void)arg;
    if (!answer->json || answer->json->kind != JSON_NUMBER || !answer->json->is_integer)
        return error_set(err, ERR_INVALID, "expected a time");
    state->ahead_s = answer->json->integer - clock_now_ms(&clock_system) / 1000;
    ask_signed(round, str_from_c(base_path(round->config)), NULL, take_names, NULL);
    return true;
}

static bool begin(Round *round, Error *err)
{
    (void)err;
    round_get(round,
              arena_printf(&round->arena, STR_FMT "/auth/time", STR_ARG(base_url(round->config))),
              take_time, NULL);
    return true;
}

#define DEDICATED "__meta_ovhcloud_dedicated_server_"
static const MetaRow dedicated_rows[] = {
    {"instance", "name", META_TEXT},
    {DEDICATED "state", "state", META_TEXT},
    {DEDICATED "commercial_range", "commercialRange", META_TEXT},
    {DEDICATED "link_speed", "linkSpeed", META_TEXT},
    {DEDICATED "rack", "rack", META_TEXT},
    {DEDICATED "no_intervention", "noIntervention", META_TEXT},
    {DEDICATED "os", "os", META_TEXT},
    {DEDICATED "support_level", "supportLevel", META_TEXT},
    {DEDICATED "server_id", "serverId", META_TEXT},
    {DEDICATED "reverse", "reverse", META_TEXT},
    {DEDICATED "datacenter", "datacenter", META_TEXT},
    {DEDICATED "name", "name", META_TEXT},
};

#define VPS "__meta_ovhcloud_vps_"
static const MetaRow vps_rows[] = {
    {"instance", "name", META_TEXT},
    {VPS "offer", "model.offer", META_TEXT},
    {VPS "model_vcore", "model.vcore", META_TEXT},
    {VPS "maximum_additional_ip", "model.maximumAdditionnalIp", META_TEXT},
    {VPS "version", "model.version", META_TEXT},
    {VPS "model_name", "model.name", META_TEXT},
    {VPS "disk", "model.disk", META_TEXT},
    {VPS "memory", "model.memory", META_TEXT},
    {VPS "zone", "zone", META_TEXT},
    {VPS "display_name", "displayName", META_TEXT},
    {VPS "cluster", "cluster", META_TEXT},
    {VPS "state", "state", META_TEXT},
    {VPS "name", "name", META_TEXT},
    {VPS "netboot_mode", "netbootMode", META_TEXT},
    {VPS "memory_limit", "memoryLimit", META_TEXT},
    {VPS "offer_type", "offerType", META_TEXT},
    {VPS "vcore", "vcore", META_TEXT},
};

// The last IPv4 and IPv6 address of a list of addresses and networks, of which only those of one address count.
static bool pick_addresses(Arena *arena, const JsonValue *ips, Str *ret_ipv4, Str *ret_ipv6)
{
    *ret_ipv4 = *ret_ipv6 = STR_NONE;
    for (size_t i = 0; ips && ips->kind == JSON_ARRAY && i < ips->count; i++) {
        unsigned char bytes[16];
        Str text = meta_text(arena, &ips->items[i]);
        size_t slash = str_find_char(text, '/');
        Str ip = str_sub(text, 0, MIN(slash, text.len));
        char *c = str_to_c(arena, ip);
        bool is_ipv4 = inet_pton(AF_INET, c, bytes) == 1;
        if (!is_ipv4 && inet_pton(AF_INET6, c, bytes) != 1)
            return false;
        if (slash != STR_NOT_FOUND && !str_is(str_skip(text, slash), "/32"))
            continue;
        if (str_is(ip, "0.0.0.0") || str_is(ip, "::"))
            continue;
        *(is_ipv4 ? ret_ipv4 : ret_ipv6) = ip;
    }
    return ret_ipv4->len > 0 || ret_ipv6->len > 0;
}

// [a b], as Go prints a list.
static Str printed_list(Arena *arena, const JsonValue *list)
{
    CLEANUP(buf_deinit) Buf out = {0};
    buf_add_char(&out, '[');
    for (size_t i = 0; list && list->kind == JSON_ARRAY && i < list->count; i++) {
        if (i)
            buf_add_char(&out, ' ');
        buf_add_str(&out, meta_text(arena, &list->items[i]));
    }
    buf_add_char(&out, ']');
    return arena_str(arena, buf_str(&out));
}

static void add_server(const Round *round, GroupMaker *maker, const Server *server)
{
    const OvhcloudConfig *config = round->config;
    bool vps = config->service == SERVICE_VPS;
    LabelsBuilder *labels = group_target(maker);
    Str ipv4;
    Str ipv6;
    if (server->failed || !pick_addresses(labels->arena, server->ips, &ipv4, &ipv6)) {
        log_warn("could not get details of a server of OVHcloud, skipping",
                 KV("config", round_job(round)),
                 KV("server", json_str_at(server->details, "name")));
        return;
    }
    meta_rows(labels, server->details, vps ? vps_rows : dedicated_rows,
              vps ? COUNT_OF(vps_rows) : COUNT_OF(dedicated_rows), STR_NONE);
    if (vps)
        meta_set(labels, VPS "datacenter",
                 printed_list(labels->arena, json_at(server->details, "model.datacenter")));
    meta_set(labels, vps ? VPS "ipv4" : DEDICATED "ipv4", ipv4);
    meta_set(labels, vps ? VPS "ipv6" : DEDICATED "ipv6", ipv6);
    meta_set(labels, "__address__", ipv4.len ? ipv4 : ipv6);
    group_add(maker);
}

static bool finish(Round *round, Error *err)
{
    const OvhcloudConfig *config = round->config;
    const State *state = round->state;
    GroupMaker maker;
    (void)err;
    group_begin(&maker, round->found, &round->arena,
                config->service == SERVICE_VPS ? S("ovhcloud_vps")
                                               : S("ovhcloud_dedicated_server"));
    for (size_t i = 0; i < state->count; i++)
        add_server(round, &maker, &state->servers[i]);
    group_end(&maker);
    return true;
}

static const PollKind poll = {
    POLL_OFFSETS(OvhcloudConfig),
    .state_bytes = sizeof(State),
    .begin = begin,
    .finish = finish,
};

POLL_KIND(ovhcloud);
