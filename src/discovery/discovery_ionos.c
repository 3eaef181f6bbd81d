// SPDX-License-Identifier: Apache-2.0
// ionos_sd_configs: the servers of one data center of IONOS Cloud.
#include "discovery/discovery_meta.h"
#include "discovery/discovery_poll.h"

#define PREFIX "__meta_ionos_server_"

typedef struct IonosConfig {
    Str datacenter_id;
    int64_t port;
    int64_t refresh_interval_ms;
    HttpClientConfig http;
} IonosConfig;

static bool finish_config(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    const IonosConfig *config = object;
    return config->datacenter_id.len > 0 ||
           config_error(reader, node, err, "datacenter id can't be empty");
}

static const ConfigField fields[] = {
    POLL_STR(IonosConfig, datacenter_id, "ID of the data center", .always_print = true),
    POLL_PORT(IonosConfig, "80"),
    POLL_INTERVAL(IonosConfig, "1m"),
    POLL_HTTP(IonosConfig),
};

POLL_TABLE(ionos, IonosConfig, fields, finish_config);

static const MetaRow rows[] = {
    {PREFIX "availability_zone", "properties.availabilityZone", META_TEXT},
    {PREFIX "cpu_family", "properties.cpuFamily", META_TEXT},
    {PREFIX "id", "id", META_TEXT},
    {PREFIX "lifecycle", "metadata.state", META_TEXT},
    {PREFIX "name", "properties.name", META_TEXT},
    {PREFIX "state", "properties.vmState", META_TEXT},
    {PREFIX "type", "properties.type", META_TEXT},
    {PREFIX "boot_cdrom_id", "properties.bootCdrom.id", META_TEXT},
    {PREFIX "boot_volume_id", "properties.bootVolume.id", META_TEXT},
    {PREFIX "boot_image_id", "entities.volumes.items.0.properties.image", META_TEXT},
};

static size_t list_count(const JsonValue *list)
{
    return list && list->kind == JSON_ARRAY ? list->count : 0;
}

static Str nic_name(const JsonValue *nic)
{
    const JsonValue *name = json_at(nic, "properties.name");
    return name && name->kind == JSON_STRING ? name->str : S("unnamed");
}

// The addresses of the cards of that name (NULL: of all), those of later cards in front.
static size_t gather_ips(Arena *arena, const JsonValue *nics, const Str *name, Str **ret_ips)
{
    size_t count = 0;
    Str *ips = NULL;
    for (size_t i = list_count(nics); i-- > 0;) {
        const JsonValue *list = json_at(&nics->items[i], "properties.ips");
        if (name && !str_equal(*name, nic_name(&nics->items[i])))
            continue;
        ips = arena_grow(arena, ips, count * sizeof(Str), (count + list_count(list)) * sizeof(Str));
        for (size_t k = 0; k < list_count(list); k++)
            ips[count++] = meta_text(arena, &list->items[k]);
    }
    *ret_ips = ips;
    return count;
}

static void add_server(const Round *round, GroupMaker *maker, Str list_id, const JsonValue *server)
{
    const IonosConfig *config = round->config;
    const JsonValue *nics = json_at(server, "entities.nics.items");
    LabelsBuilder *labels = group_target(maker);
    Str *ips;
    size_t count = gather_ips(labels->arena, nics, NULL, &ips);
    if (count == 0)
        return; // no address, no target
    meta_address(labels, ips[0], config->port);
    meta_set(labels, PREFIX "ip", meta_join(labels->arena, ips, count, S(",")));
    meta_set(labels, PREFIX "servers_id", list_id);
    meta_rows(labels, server, rows, COUNT_OF(rows), STR_NONE);
    for (size_t i = 0; i < list_count(nics); i++) {
        const JsonValue *properties = json_at(&nics->items[i], "properties");
        Str name = nic_name(&nics->items[i]);
        if (!properties || properties->kind != JSON_OBJECT)
            continue;
        count = gather_ips(labels->arena, nics, &name, &ips);
        meta_set_key(labels, PREFIX "nic_ip_", name, meta_join(labels->arena, ips, count, S(",")));
    }
    group_add(maker);
}

static bool take(Round *round, const Answer *answer, void *arg, Error *err)
{
    const JsonValue *servers = json_at(answer->json, "items");
    GroupMaker maker;
    (void)arg;
    (void)err;
    group_begin(&maker, round->found, &round->arena, S("ionos"));
    for (size_t i = 0; i < list_count(servers); i++)
        add_server(round, &maker, json_str_at(answer->json, "id"), &servers->items[i]);
    group_end(&maker);
    return true;
}

static bool begin(Round *round, Error *err)
{
    const IonosConfig *config = round->config;
    (void)err;
    round_get(round,
              arena_printf(&round->arena,
                           "https://api.ionos.com/cloudapi/v6/datacenters/" STR_FMT
                           "/servers?depth=3",
                           STR_ARG(poll_path_escaped(&round->arena, config->datacenter_id))),
              take, NULL);
    return true;
}

static const PollKind poll = {POLL_OFFSETS(IonosConfig), .begin = begin};

POLL_KIND(ionos);
