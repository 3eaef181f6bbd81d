// SPDX-License-Identifier: Apache-2.0
// digitalocean_sd_configs: droplets or managed databases of a DigitalOcean account.
#include "discovery/discovery_meta.h"
#include "discovery/discovery_poll.h"

#define PREFIX "__meta_digitalocean_"

enum { ROLE_DROPLETS, ROLE_DATABASES };
static const char *const role_words[] = {"droplets", "databases", NULL};

typedef struct DigitaloceanConfig {
    int role;
    int64_t port;
    int64_t refresh_interval_ms;
    HttpClientConfig http;
} DigitaloceanConfig;

static const ConfigField fields[] = {
    POLL_ROLE(DigitaloceanConfig, role, role_words, "what becomes a target",
              .default_text = "droplets", .always_print = true),
    POLL_PORT(DigitaloceanConfig, "80"),
    POLL_INTERVAL(DigitaloceanConfig, "1m"),
    POLL_HTTP(DigitaloceanConfig),
};

POLL_TABLE(digitalocean, DigitaloceanConfig, fields, NULL);

static bool begin(Round *round, Error *err)
{
    static const PageAsk droplets = {
        .ask.url = STR("https://api.digitalocean.com/v2/droplets?per_page=200"),
        .items = "droplets",
        .rule = {PAGE_NEXT, .at = "links.pages.next"}};
    // This list has no links: an empty page ends it.
    static const PageAsk databases = {
        .ask.url = STR("https://api.digitalocean.com/v2/databases?per_page=100"),
        .items = "databases",
        .rule = {PAGE_NUMBER, .param = "page", .page_items = 1},
        .optional = true};
    const DigitaloceanConfig *config = round->config;
    (void)err;
    round_ask_list(round, config->role == ROLE_DATABASES ? &databases : &droplets, round->state);
    return true;
}

static const MetaRow droplet_rows[] = {
    {PREFIX "droplet_id", "id", META_TEXT},      {PREFIX "droplet_name", "name", META_TEXT},
    {PREFIX "image", "image.slug", META_TEXT},   {PREFIX "image_name", "image.name", META_TEXT},
    {PREFIX "region", "region.slug", META_TEXT}, {PREFIX "size", "size_slug", META_TEXT},
    {PREFIX "status", "status", META_TEXT},      {PREFIX "vpc", "vpc_uuid", META_TEXT},
    {PREFIX "features", "features", META_LIST},  {PREFIX "tags", "tags", META_LIST},
};

static Str first_of_type(const JsonValue *networks, const char *type)
{
    for (size_t i = 0; networks && networks->kind == JSON_ARRAY && i < networks->count; i++)
        if (str_is(json_str_at(&networks->items[i], "type"), type))
            return json_str_at(&networks->items[i], "ip_address");
    return STR_NONE;
}

static void add_droplet(const Round *round, GroupMaker *maker, const JsonValue *droplet)
{
    const DigitaloceanConfig *config = round->config;
    const JsonValue *v4 = json_at(droplet, "networks.v4");
    if (!v4 || v4->count == 0)
        return;
    LabelsBuilder *labels = group_target(maker);
    Str public_ipv4 = first_of_type(v4, "public");
    meta_rows(labels, droplet, droplet_rows, COUNT_OF(droplet_rows), S(","));
    meta_set(labels, PREFIX "private_ipv4", first_of_type(v4, "private"));
    meta_set(labels, PREFIX "public_ipv4", public_ipv4);
    meta_set(labels, PREFIX "public_ipv6",
             first_of_type(json_at(droplet, "networks.v6"), "public"));
    meta_address(labels, public_ipv4, config->port);
    group_add(maker);
}

static const MetaRow database_rows[] = {
    {PREFIX "db_id", "id", META_TEXT},
    {PREFIX "db_name", "name", META_TEXT},
    {PREFIX "db_engine", "engine", META_TEXT},
    {PREFIX "db_version", "version", META_TEXT},
    {PREFIX "db_status", "status", META_TEXT},
    {PREFIX "db_region", "region", META_TEXT},
    {PREFIX "db_size", "size", META_TEXT},
    {PREFIX "db_num_nodes", "num_nodes", META_TEXT},
    {PREFIX "db_host", "connection.host", META_TEXT},
    {PREFIX "db_private_host", "private_connection.host", META_TEXT},
};

static void add_database(const Round *round, GroupMaker *maker, const JsonValue *database)
{
    const DigitaloceanConfig *config = round->config;
    const JsonValue *tags = json_at(database, "tags");
    LabelsBuilder *labels = group_target(maker);
    Str host = json_str_at(database, "private_connection.host");
    if (host.len == 0)
        host = json_str_at(database, "connection.host");
    meta_rows(labels, database, database_rows, COUNT_OF(database_rows), STR_NONE);
    if (host.len)
        meta_address(labels, host, config->port);
    // The tags stand in the names as they are.
    for (size_t i = 0; tags && tags->kind == JSON_ARRAY && i < tags->count; i++)
        labels_builder_set(labels,
                           arena_printf(labels->arena, PREFIX "db_tag_" STR_FMT,
                                        STR_ARG(meta_text(labels->arena, &tags->items[i]))),
                           S("true"));
    group_add(maker);
}

static bool finish(Round *round, Error *err)
{
    const DigitaloceanConfig *config = round->config;
    const PageList *list = round->state;
    bool databases = config->role == ROLE_DATABASES;
    GroupMaker maker;
    (void)err;
    group_begin(&maker, round->found, &round->arena,
                databases ? S("DigitalOcean Databases") : S("DigitalOcean"));
    for (size_t i = 0; i < list->count; i++) {
        if (databases)
            add_database(round, &maker, list->items[i]);
        else
            add_droplet(round, &maker, list->items[i]);
    }
    group_end(&maker);
    return true;
}

static const PollKind poll = {
    POLL_OFFSETS(DigitaloceanConfig),
    .state_bytes = sizeof(PageList),
    .begin = begin,
    .finish = finish,
};

POLL_KIND(digitalocean);
