// SPDX-License-Identifier: Apache-2.0
// gce_sd_configs: the instances of one zone of a project of Google Compute Engine. Credentials are looked for where Google's tools look:
// GOOGLE_APPLICATION_CREDENTIALS, gcloud's own file, the metadata server of the machine.
#include <stdlib.h>

#include "base/fs.h"
#include "discovery/discovery_meta.h"
#include "discovery/discovery_token.h"

#define PREFIX "__meta_gce_"
#define SCOPE "https://www.googleapis.com/auth/compute.readonly"
#define TOKEN_URL "https://oauth2.googleapis.com/token"

typedef struct GceConfig {
    Str project, zone, filter, tag_separator;
    int64_t port;
    int64_t refresh_interval_ms;
    HttpClientConfig http; // the defaults
} GceConfig;

static bool finish_config(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    GceConfig *config = object;
    http_client_config_default(&config->http);
    if (config->project.len == 0)
        return config_error(reader, node, err, "GCE SD configuration requires a project");
    return config->zone.len > 0 ||
           config_error(reader, node, err, "GCE SD configuration requires a zone");
}

static const ConfigField fields[] = {
    POLL_STR(GceConfig, project, "ID of the project", .always_print = true),
    POLL_STR(GceConfig, zone, "zone of the instances", .always_print = true),
    POLL_STR(GceConfig, filter, "filter expression of the API"),
    POLL_INTERVAL(GceConfig, "1m"),
    POLL_PORT(GceConfig, "80"),
    POLL_STR(GceConfig, tag_separator, "between tags in __meta_gce_tags", .default_text = ","),
};

POLL_TABLE(gce, GceConfig, fields, finish_config);

static bool ask_instances(Round *round, Str token, Error *err)
{
    const GceConfig *config = round->config;
    Arena *arena = &round->arena;
    CLEANUP(buf_deinit) Buf url = {0};
    Str *header = ARENA_NEW(arena, Str);
    (void)err;
    *header = arena_printf(arena, "Authorization: Bearer " STR_FMT, STR_ARG(token));
    buf_printf(&url,
               "https://compute.googleapis.com/compute/v1/projects/" STR_FMT "/zones/" STR_FMT
               "/instances?alt=json",
               STR_ARG(poll_path_escaped(arena, config->project)),
               STR_ARG(poll_path_escaped(arena, config->zone)));
    if (config->filter.len)
        buf_printf(&url, "&filter=" STR_FMT, STR_ARG(poll_query_escaped(arena, config->filter)));
    PageAsk ask = {
        .ask = {.url = arena_str(arena, buf_str(&url)), .headers = header, .header_count = 1},
        .items = "items",
        .rule = {PAGE_TOKEN, .at = "nextPageToken", .param = "pageToken"},
        .optional = true};
    round_ask_list(round, &ask, round->state);
    return true;
}

// ---- credentials ----

static void ask_metadata_server(Round *round)
{
    static const Str headers[] = {STR("Metadata-Flavor: Google")};
    const char *host = getenv("GCE_METADATA_HOST");
    Ask ask = {
        .url = arena_printf(
            &round->arena,
            "http://%s/computeMetadata/v1/instance/service-accounts/default/token?scopes=" STR_FMT,
            host && *host ? host : "metadata.google.internal",
            STR_ARG(poll_query_escaped(&round->arena, S(SCOPE)))),
        .headers = headers,
        .header_count = 1};
    token_ask(round, round->keep, &ask, ask_instances);
}

static bool ask_as_user(Round *round, const JsonValue *json)
{
    Arena *arena = &round->arena;
    Ask ask = {.url = S(TOKEN_URL),
               .body = arena_printf(
                   arena,
                   "grant_type=refresh_token&client_id=" STR_FMT "&client_secret=" STR_FMT
                   "&refresh_token=" STR_FMT,
                   STR_ARG(poll_query_escaped(arena, json_str_at(json, "client_id"))),
                   STR_ARG(poll_query_escaped(arena, json_str_at(json, "client_secret"))),
                   STR_ARG(poll_query_escaped(arena, json_str_at(json, "refresh_token"))))};
    token_ask(round, round->keep, &ask, ask_instances);
    return true;
}

static bool ask_by_file(Round *round, Str path, Error *err)
{
    Str text;
    JsonValue *json;
    if (!round_read_secret(round, path, &text, err) || !json_read(text, &round->arena, &json, err))
        return error_context(err, "reading Google credentials from " STR_FMT, STR_ARG(path));
    Str type = json_str_at(json, "type");
    Str url = json_str_at(json, "token_uri");
    if (str_is(type, "authorized_user"))
        return ask_as_user(round, json);
    if (!str_is(type, "service_account"))
        return error_set(err, ERR_INVALID,
                         "Google credentials in " STR_FMT " are of the unknown type \"" STR_FMT
                         "\"",
                         STR_ARG(path), STR_ARG(type));
    url = url.len ? url : S(TOKEN_URL);
    const TokenKey key = {.url = url,
                          .key_pem = json_str_at(json, "private_key"),
                          .key_id = json_str_at(json, "private_key_id"),
                          .issuer = json_str_at(json, "client_email"),
                          .audience = url,
                          .scope = S(SCOPE),
                          .algorithm = JWT_RS256};
    return token_ask_by_key(round, round->keep, &key, ask_instances, err);
}

// gcloud's file, if there is one.
static Str user_file(Arena *arena)
{
    const char *home = getenv("HOME");
    Str path = arena_printf(arena, "%s/.config/gcloud/application_default_credentials.json",
                            home ? home : "");
    return home && fs_exists(&fs_system, path) ? path : STR_NONE;
}

static bool begin(Round *round, Error *err)
{
    const Token *token = round->keep;
    Str path = str_from_c(getenv("GOOGLE_APPLICATION_CREDENTIALS"));
    if (token_is_good(token, round))
        return ask_instances(round, str_from_c(token->text), err);
    if (path.len == 0)
        path = user_file(&round->arena);
    if (path.len)
        return ask_by_file(round, path, err);
    ask_metadata_server(round);
    return true;
}

// ---- labels ----

static const MetaRow rows[] = {
    {PREFIX "zone", "zone", META_TEXT},
    {PREFIX "instance_id", "id", META_TEXT},
    {PREFIX "instance_name", "name", META_TEXT},
    {PREFIX "instance_status", "status", META_TEXT},
    {PREFIX "machine_type", "machineType", META_TEXT},
    {PREFIX "network", "networkInterfaces.0.network", META_TEXT},
    {PREFIX "subnetwork", "networkInterfaces.0.subnetwork", META_TEXT},
    {PREFIX "private_ip", "networkInterfaces.0.networkIP", META_TEXT},
    {PREFIX "tags", "tags.items", META_LIST},
    {PREFIX "label_", "labels", META_MAP},
};

static void add_instance(const Round *round, GroupMaker *maker, const JsonValue *instance)
{
    const GceConfig *config = round->config;
    const JsonValue *cards = json_at(instance, "networkInterfaces");
    const JsonValue *metadata = json_at(instance, "metadata.items");
    if (!cards || cards->kind != JSON_ARRAY || cards->count == 0)
        return;
    LabelsBuilder *labels = group_target(maker);
    meta_rows(labels, instance, rows, COUNT_OF(rows), config->tag_separator);
    meta_set(labels, PREFIX "project", config->project);
    meta_setf(labels, "__address__", STR_FMT ":%lld",
              STR_ARG(json_str_at(&cards->items[0], "networkIP")), (long long)config->port);
    for (size_t i = 0; i < cards->count; i++)
        meta_set_key(labels, PREFIX "interface_ipv4_", json_str_at(&cards->items[i], "name"),
                     json_str_at(&cards->items[i], "networkIP"));
    for (size_t i = 0; metadata && metadata->kind == JSON_ARRAY && i < metadata->count; i++)
        meta_set_key(labels, PREFIX "metadata_", json_str_at(&metadata->items[i], "key"),
                     json_str_at(&metadata->items[i], "value"));
    if (str_is(json_str_at(&cards->items[0], "accessConfigs.0.type"), "ONE_TO_ONE_NAT"))
        meta_set(labels, PREFIX "public_ip",
                 json_str_at(&cards->items[0], "accessConfigs.0.natIP"));
    group_add(maker);
}

static bool finish(Round *round, Error *err)
{
    const GceConfig *config = round->config;
    const PageList *list = round->state;
    GroupMaker maker;
    (void)err;
    group_begin(&maker, round->found, &round->arena,
                arena_printf(&round->arena, "GCE_" STR_FMT "_" STR_FMT, STR_ARG(config->project),
                             STR_ARG(config->zone)));
    for (size_t i = 0; i < list->count; i++)
        add_instance(round, &maker, list->items[i]);
    group_end(&maker);
    return true;
}

static const PollKind poll = {
    POLL_OFFSETS(GceConfig),
    .state_bytes = sizeof(PageList),
    .keep_bytes = sizeof(Token),
    .begin = begin,
    .finish = finish,
};

POLL_KIND(gce);
