// SPDX-License-Identifier: Apache-2.0
#include "base/map.h"
#include "discovery/discovery_openstack.h"

#define PREFIX "__meta_openstack_"
#define BALANCER PREFIX "loadbalancer_"

static size_t list_count(const JsonValue *list)
{
    return list && list->kind == JSON_ARRAY ? list->count : 0;
}

// ---- hypervisors ----

static const MetaRow hypervisor_rows[] = {
    {PREFIX "hypervisor_id", "id", META_TEXT},
    {PREFIX "hypervisor_hostname", "hypervisor_hostname", META_TEXT},
    {PREFIX "hypervisor_host_ip", "host_ip", META_TEXT},
    {PREFIX "hypervisor_status", "status", META_TEXT},
    {PREFIX "hypervisor_state", "state", META_TEXT},
    {PREFIX "hypervisor_type", "hypervisor_type", META_TEXT},
};

static void add_hypervisor(const Round *round, GroupMaker *maker, const JsonValue *hypervisor)
{
    const OpenstackConfig *config = round->config;
    LabelsBuilder *labels = group_target(maker);
    meta_address(labels, json_str_at(hypervisor, "host_ip"), config->port);
    meta_rows(labels, hypervisor, hypervisor_rows, COUNT_OF(hypervisor_rows), STR_NONE);
    group_add(maker);
}

// ---- instances ----

// What floats in front of which address of which device.
typedef struct Floating {
    Map in_front; // "device\naddress" to the JSON of the floating IP
    Map outside;  // by the floating address
    Arena *arena;
} Floating;

static Str front_key(Arena *arena, Str device, Str address)
{
    return arena_printf(arena, STR_FMT "\n" STR_FMT, STR_ARG(device), STR_ARG(address));
}

static JsonValue *unshared(const JsonValue *value)
{
    return (JsonValue *)(uintptr_t)value; // a Map holds what may change; these do not
}

static void floating_init(Floating *floating, const OpenstackState *state, Arena *arena)
{
    Map ports = {0};
    *floating = (Floating){.arena = arena};
    for (size_t i = 0; i < state->ports.count; i++)
        map_put(&ports, json_str_at(state->ports.items[i], "id"), unshared(state->ports.items[i]));
    for (size_t i = 0; i < state->floating_ips.count; i++) {
        const JsonValue *ip = state->floating_ips.items[i];
        Str fixed = json_str_at(ip, "fixed_ip_address");
        const JsonValue *port = map_get(&ports, json_str_at(ip, "port_id"));
        if (!port || fixed.len == 0)
            continue;
        map_put(&floating->in_front, front_key(arena, json_str_at(port, "device_id"), fixed),
                unshared(ip));
        map_put(&floating->outside, json_str_at(ip, "floating_ip_address"), unshared(ip));
    }
    map_deinit(&ports);
}

static void floating_deinit(Floating *floating)
{
    map_deinit(&floating->in_front);
    map_deinit(&floating->outside);
}

static const MetaRow instance_rows[] = {
    {PREFIX "instance_id", "id", META_TEXT},     {PREFIX "instance_status", "status", META_TEXT},
    {PREFIX "instance_name", "name", META_TEXT}, {PREFIX "project_id", "tenant_id", META_TEXT},
    {PREFIX "user_id", "user_id", META_TEXT},    {PREFIX "instance_image", "image.id", META_TEXT},
    {PREFIX "tag_", "metadata", META_MAP},
};

static void add_address(const OpenstackConfig *config, GroupMaker *maker, const JsonValue *server,
                        const Floating *floating, Label address)
{
    const JsonValue *flavor = json_at(server, "flavor.original_name");
    const JsonValue *front = map_get(
        &floating->in_front, front_key(floating->arena, json_str_at(server, "id"), address.value));
    if (!flavor)
        flavor = json_at(server, "flavor.id");
    if (address.value.len == 0 || map_get(&floating->outside, address.value) || !flavor ||
        flavor->kind != JSON_STRING)
        return;
    LabelsBuilder *labels = group_target(maker);
    meta_address(labels, address.value, config->port);
    meta_rows(labels, server, instance_rows, COUNT_OF(instance_rows), STR_NONE);
    meta_set(labels, PREFIX "instance_flavor", flavor->str);
    meta_set(labels, PREFIX "address_pool", address.name);
    meta_set(labels, PREFIX "private_ip", address.value);
    meta_set(labels, PREFIX "public_ip", json_str_at(front, "floating_ip_address"));
    group_add(maker);
}

static void add_server(const OpenstackConfig *config, GroupMaker *maker, const JsonValue *server,
                       const Floating *floating)
{
    const JsonValue *pools = json_at(server, "addresses");
    for (size_t i = 0; pools && pools->kind == JSON_OBJECT && i < pools->count; i++)
        for (size_t k = 0; k < list_count(&pools->items[i]); k++)
            add_address(config, maker, server, floating,
                        (Label){pools->keys[i], json_str_at(&pools->items[i].items[k], "addr")});
}

// ---- load balancers ----

static const MetaRow balancer_rows[] = {
    {BALANCER "id", "id", META_TEXT},
    {BALANCER "name", "name", META_TEXT},
    {BALANCER "operating_status", "operating_status", META_TEXT},
    {BALANCER "provisioning_status", "provisioning_status", META_TEXT},
    {BALANCER "availability_zone", "availability_zone", META_TEXT},
    {BALANCER "vip", "vip_address", META_TEXT},
    {BALANCER "provider", "provider", META_TEXT},
    {PREFIX "project_id", "project_id", META_TEXT},
};

// The first listener of a load balancer that speaks PROMETHEUS.
static const JsonValue *listener_of(const OpenstackState *state, Str balancer)
{
    for (size_t i = 0; i < state->listeners.count; i++) {
        const JsonValue *listener = state->listeners.items[i];
        const JsonValue *owners = json_at(listener, "loadbalancers");
        for (size_t k = 0; k < list_count(owners); k++)
            if (str_equal(json_str_at(&owners->items[k], "id"), balancer) &&
                str_is(json_str_at(listener, "protocol"), "PROMETHEUS"))
                return listener;
    }
    return NULL;
}

static void add_balancer(const Round *round, GroupMaker *maker, const JsonValue *balancer)
{
    const OpenstackState *state = round->state;
    const JsonValue *listener = listener_of(state, json_str_at(balancer, "id"));
    const JsonValue *tags = json_at(balancer, "tags");
    Str port = json_str_at(balancer, "vip_port_id");
    if (!listener)
        return;
    LabelsBuilder *labels = group_target(maker);
    meta_address(labels, json_str_at(balancer, "vip_address"),
                 json_i64_at(listener, "protocol_port"));
    meta_rows(labels, balancer, balancer_rows, COUNT_OF(balancer_rows), STR_NONE);
    if (list_count(tags)) {
        Str joined = meta_join_json(labels->arena, tags, S(","));
        meta_set(labels, BALANCER "tags", str_sub(joined, 1, joined.len - 2));
    }
    for (size_t i = 0; port.len && i < state->floating_ips.count; i++)
        if (str_equal(json_str_at(state->floating_ips.items[i], "port_id"), port))
            meta_set(labels, BALANCER "floating_ip",
                     json_str_at(state->floating_ips.items[i], "floating_ip_address"));
    group_add(maker);
}

bool openstack_groups(Round *round, Error *err)
{
    const OpenstackConfig *config = round->config;
    const OpenstackState *state = round->state;
    Floating floating;
    GroupMaker maker;
    (void)err;
    floating_init(&floating, state, &round->arena);
    group_begin(&maker, round->found, &round->arena,
                arena_printf(&round->arena, "OS_" STR_FMT, STR_ARG(config->region)));
    for (size_t i = 0; i < state->main.count; i++) {
        if (config->role == OPENSTACK_HYPERVISOR)
            add_hypervisor(round, &maker, state->main.items[i]);
        else if (config->role == OPENSTACK_INSTANCE)
            add_server(config, &maker, state->main.items[i], &floating);
        else
            add_balancer(round, &maker, state->main.items[i]);
    }
    group_end(&maker);
    floating_deinit(&floating);
    return true;
}
