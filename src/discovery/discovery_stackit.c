// SPDX-License-Identifier: Apache-2.0
// stackit_sd_configs: the servers of one project of STACKIT. With a service account's key a token is asked for first.
#include "discovery/discovery_meta.h"
#include "discovery/discovery_poll.h"
#include "discovery/discovery_token.h"

#define PREFIX "__meta_stackit_"
#define TOKEN_URL "https://service-account.api.stackit.cloud/token"

typedef struct StackitConfig {
    Str project, region, endpoint;
    Str service_account_key, private_key, service_account_key_path, private_key_path;
    Str credentials_file_path;
    int64_t port;
    int64_t refresh_interval_ms;
    HttpClientConfig http;
} StackitConfig;

static bool finish_config(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    const StackitConfig *config = object;
    if (config->endpoint.len == 0 && config->region.len == 0)
        return config_error(reader, node, err, "stackit_sd: endpoint and region missing");
    return config->endpoint.len == 0 || poll_url_is_whole(config->endpoint) ||
           config_error(reader, node, err, "stackit_sd: invalid endpoint \"" STR_FMT "\"",
                        STR_ARG(config->endpoint));
}

static const ConfigField fields[] = {
    POLL_STR(StackitConfig, project, "ID of the project", .always_print = true),
    POLL_INTERVAL(StackitConfig, "1m"),
    POLL_PORT(StackitConfig, "80"),
    POLL_STR(StackitConfig, region, "region of the servers", .default_text = "eu01"),
    POLL_STR(StackitConfig, endpoint, "URL of the API; the region's if empty"),
    POLL_SECRET(StackitConfig, service_account_key, "JSON of the service account"),
    POLL_SECRET(StackitConfig, private_key, "PEM, if the JSON has none"),
    POLL_STR(StackitConfig, service_account_key_path, "file with the service_account_key"),
    POLL_STR(StackitConfig, private_key_path, "file with the private_key"),
    POLL_STR(StackitConfig, credentials_file_path, "JSON file that names the two files"),
    POLL_HTTP(StackitConfig),
};

POLL_TABLE(stackit, StackitConfig, fields, finish_config);

static const MetaRow rows[] = {
    {PREFIX "id", "id", META_TEXT},
    {PREFIX "name", "name", META_TEXT},
    {PREFIX "availability_zone", "availabilityZone", META_TEXT},
    {PREFIX "status", "status", META_TEXT},
    {PREFIX "power_status", "powerStatus", META_TEXT},
    {PREFIX "type", "machineType", META_TEXT},
};

static void add_server(const Round *round, GroupMaker *maker, const JsonValue *server)
{
    const StackitConfig *config = round->config;
    const JsonValue *nics = json_at(server, "nics");
    const JsonValue *own = json_at(server, "labels");
    LabelsBuilder *labels = group_target(maker);
    Str public_ip = STR_NONE;
    Str private_ip = STR_NONE;
    for (size_t i = 0; nics && nics->kind == JSON_ARRAY && i < nics->count; i++) {
        Str ipv4 = json_str_at(&nics->items[i], "ipv4");
        if (public_ip.len == 0)
            public_ip = json_str_at(&nics->items[i], "publicIp");
        if (private_ip.len == 0)
            private_ip = ipv4;
        meta_set_key(labels, PREFIX "private_ipv4_", json_str_at(&nics->items[i], "networkName"),
                     ipv4);
    }
    if (public_ip.len == 0 && private_ip.len == 0)
        return;
    meta_set(labels, PREFIX "project", config->project);
    meta_rows(labels, server, rows, COUNT_OF(rows), STR_NONE);
    meta_set(labels, PREFIX "public_ipv4", public_ip);
    meta_address(labels, public_ip.len ? public_ip : private_ip, config->port);
    for (size_t i = 0; own && own->kind == JSON_OBJECT && i < own->count; i++) {
        if (own->items[i].kind != JSON_STRING)
            continue;
        meta_set_key(labels, PREFIX "labelpresent_", own->keys[i], S("true"));
        meta_set_key(labels, PREFIX "label_", own->keys[i], own->items[i].str);
    }
    group_add(maker);
}

static bool take_servers(Round *round, const Answer *answer, void *arg, Error *err)
{
    const JsonValue *servers = json_at(answer->json, "items");
    GroupMaker maker;
    (void)arg;
    (void)err;
    group_begin(&maker, round->found, &round->arena, S("stackit"));
    for (size_t i = 0; servers && servers->kind == JSON_ARRAY && i < servers->count; i++)
        add_server(round, &maker, &servers->items[i]);
    group_end(&maker);
    return true;
}

static bool is_ok(int status)
{
    return status == 200;
}

// The token may be empty: then the HTTP client's own credentials have to do.
static bool ask_servers(Round *round, Str token, Error *err)
{
    const StackitConfig *config = round->config;
    Arena *arena = &round->arena;
    Str endpoint = config->endpoint;
    Str *headers = ARENA_ARRAY(arena, Str, 2);
    (void)err;
    if (endpoint.len == 0)
        endpoint = arena_printf(arena, "https://iaas.api." STR_FMT ".stackit.cloud",
                                STR_ARG(config->region));
    while (str_ends_with(endpoint, S("/")))
        endpoint.len--;
    headers[0] = S("Accept: application/json");
    headers[1] = arena_printf(arena, "Authorization: Bearer " STR_FMT, STR_ARG(token));
    Ask ask = {.url = arena_printf(arena, STR_FMT "/v1/projects/" STR_FMT "/servers?details=true",
                                   STR_ARG(endpoint),
                                   STR_ARG(poll_path_escaped(arena, config->project))),
               .headers = headers,
               .header_count = token.len ? 2 : 1,
               .accepts = is_ok,
               .take = take_servers};
    round_ask(round, &ask);
    return true;
}

// The account's JSON and its private key, from where the configuration says.
static bool read_account(Round *round, Str *ret_account, Str *ret_key, Error *err)
{
    const StackitConfig *config = round->config;
    Str account_path = config->service_account_key_path;
    Str key_path = config->private_key_path;
    *ret_account = config->service_account_key;
    *ret_key = config->private_key;
    if (config->credentials_file_path.len) {
        Str text;
        JsonValue *json;
        if (!round_read_secret(round, config->credentials_file_path, &text, err) ||
            !json_read(text, &round->arena, &json, err))
            return error_context(err, "credentials_file_path");
        if (account_path.len == 0 && ret_account->len == 0)
            account_path = json_str_at(json, "STACKIT_SERVICE_ACCOUNT_KEY_PATH");
        if (key_path.len == 0 && ret_key->len == 0)
            key_path = json_str_at(json, "STACKIT_PRIVATE_KEY_PATH");
    }
    if (ret_account->len == 0 && account_path.len &&
        !round_read_secret(round, account_path, ret_account, err))
        return error_context(err, "service_account_key_path");
    if (ret_key->len == 0 && key_path.len && !round_read_secret(round, key_path, ret_key, err))
        return error_context(err, "private_key_path");
    return true;
}

static bool begin(Round *round, Error *err)
{
    const StackitConfig *config = round->config;
    Token *token = round->keep;
    bool has_account = config->service_account_key.len || config->service_account_key_path.len;
    Str account;
    Str key;
    JsonValue *json;
    if (!has_account || token_is_good(token, round))
        return ask_servers(round, str_from_c(token->text), err);
    if (!read_account(round, &account, &key, err) || !json_read(account, &round->arena, &json, err))
        return error_context(err, "setting up authentication");
    if (key.len == 0)
        key = json_str_at(json, "credentials.privateKey");
    const TokenKey grant = {.url = S(TOKEN_URL),
                            .key_pem = key,
                            .key_id = json_str_at(json, "credentials.kid"),
                            .issuer = json_str_at(json, "credentials.iss"),
                            .subject = json_str_at(json, "credentials.sub"),
                            .audience = json_str_at(json, "credentials.aud"),
                            .algorithm = JWT_RS512};
    return token_ask_by_key(round, token, &grant, ask_servers, err);
}

static const PollKind poll = {
    POLL_OFFSETS(StackitConfig),
    .keep_bytes = sizeof(Token),
    .begin = begin,
};

POLL_KIND(stackit);
