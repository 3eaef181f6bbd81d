// SPDX-License-Identifier: Apache-2.0
// The table of kinds, and the keys under which they stand in the configuration.
#include "discovery/discovery_kind.h"

// One row per kind: discovery_NAME and its table discovery_NAME_table come from discovery_NAME.c.
#define KINDS(ROW)                                                                                 \
    ROW(static, "static_configs")                                                                  \
    ROW(aws, "aws_sd_configs")                                                                     \
    ROW(azure, "azure_sd_configs")                                                                 \
    ROW(consul, "consul_sd_configs")                                                               \
    ROW(digitalocean, "digitalocean_sd_configs")                                                   \
    ROW(dns, "dns_sd_configs")                                                                     \
    ROW(docker, "docker_sd_configs")                                                               \
    ROW(dockerswarm, "dockerswarm_sd_configs")                                                     \
    ROW(ec2, "ec2_sd_configs")                                                                     \
    ROW(eureka, "eureka_sd_configs")                                                               \
    ROW(file, "file_sd_configs")                                                                   \
    ROW(gce, "gce_sd_configs")                                                                     \
    ROW(hetzner, "hetzner_sd_configs")                                                             \
    ROW(http, "http_sd_configs")                                                                   \
    ROW(ionos, "ionos_sd_configs")                                                                 \
    ROW(kuma, "kuma_sd_configs")                                                                   \
    ROW(lightsail, "lightsail_sd_configs")                                                         \
    ROW(linode, "linode_sd_configs")                                                               \
    ROW(marathon, "marathon_sd_configs")                                                           \
    ROW(nerve, "nerve_sd_configs")                                                                 \
    ROW(nomad, "nomad_sd_configs")                                                                 \
    ROW(oci, "oci_sd_configs")                                                                     \
    ROW(openstack, "openstack_sd_configs")                                                         \
    ROW(outscale, "outscale_sd_configs")                                                           \
    ROW(ovhcloud, "ovhcloud_sd_configs")                                                           \
    ROW(puppetdb, "puppetdb_sd_configs")                                                           \
    ROW(scaleway, "scaleway_sd_configs")                                                           \
    ROW(serverset, "serverset_sd_configs")                                                         \
    ROW(stackit, "stackit_sd_configs")                                                             \
    ROW(triton, "triton_sd_configs")                                                               \
    ROW(uyuni, "uyuni_sd_configs")                                                                 \
    ROW(vultr, "vultr_sd_configs")

#define DECLARE(name, key)                                                                         \
    extern const DiscoveryKind discovery_##name;                                                   \
    extern const ConfigTable discovery_##name##_table;
KINDS(DECLARE)

#define POINTER(name, key) &discovery_##name,
const DiscoveryKind *const discovery_kinds[] = {KINDS(POINTER)};
const size_t discovery_kind_count = COUNT_OF(discovery_kinds);
_Static_assert(COUNT_OF(discovery_kinds) <= DISCOVERY_KINDS_MAX,
               "DiscoveryConfigs has a list per kind");

const char *discovery_kind_name_at(size_t index)
{
#define NAME(name, key) #name,
    static const char *const names[] = {KINDS(NAME)};
    return index < COUNT_OF(names) ? names[index] : NULL;
}

#define INDEX(name, key) KIND_##name,
enum { KINDS(INDEX) };

// A kind that the original knows and this version does not: its key is remembered, so that the loader can say so.
static bool note_ignored(ConfigReader *reader, const YamlNode *node, void *member, Error *err)
{
    (void)err;
    ConfigStrList *ignored = member;
    if (node->kind != YAML_SEQUENCE || node->count == 0)
        return true;
    ignored->items = arena_grow(reader->arena, ignored->items, ignored->count * sizeof(Str),
                                (ignored->count + 1) * sizeof(Str));
    ignored->items[ignored->count++] =
        arena_printf(reader->arena, STR_FMT ":%d: this version has no " STR_FMT ": ignoring",
                     STR_ARG(reader->file_name), node->line, STR_ARG(reader->key));
    return true;
}

#define FIELD(name, config_key)                                                                    \
    {.key = config_key,                                                                            \
     .kind = CONFIG_STRUCT_LIST,                                                                   \
     .offset = offsetof(DiscoveryConfigs, lists) + KIND_##name * sizeof(ConfigList),               \
     .table = &discovery_##name##_table,                                                           \
     .null_text = "empty or null section in " config_key},
#define IGNORED(config_key)                                                                        \
    {                                                                                              \
        .key = config_key, .kind = CONFIG_CUSTOM, .offset = offsetof(DiscoveryConfigs, ignored),   \
        .decode = note_ignored                                                                     \
    }

static const ConfigField discovery_fields[] = {
    KINDS(FIELD) IGNORED("kubernetes_sd_configs"),
};

const ConfigTable discovery_configs_table =
    CONFIG_TABLE(DiscoveryConfigs, "discovery_configs", discovery_fields, NULL);
