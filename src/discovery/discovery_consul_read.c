// SPDX-License-Identifier: Apache-2.0
#include "discovery/discovery_consul.h"
#include "discovery/discovery_meta.h"

void consul_add_base_url(Buf *url, const ConsulConfig *config, Str *ret_socket)
{
    Str scheme = config->scheme.len ? config->scheme : S("http");
    Str server = str_trim(config->server);
    size_t mark = str_find(server, S("://"));
    if (mark != STR_NOT_FOUND) {
        scheme = str_sub(server, 0, mark);
        server = str_skip(server, mark + 3);
    }
    if (str_is(scheme, "unix")) {
        *ret_socket = server;
        buf_add_c(url, "http://localhost");
    } else {
        while (str_ends_with(server, S("/")))
            server.len--;
        buf_printf(url, STR_FMT "://" STR_FMT, STR_ARG(scheme), STR_ARG(server));
    }
    Str prefix = config->path_prefix;
    while (str_ends_with(prefix, S("/")))
        prefix.len--;
    if (prefix.len)
        buf_printf(url, "%s" STR_FMT, prefix.ptr[0] == '/' ? "" : "/", STR_ARG(prefix));
}

static bool has_text(const JsonValue *list, Str text)
{
    for (size_t i = 0; list->kind == JSON_ARRAY && i < list->count; i++)
        if (list->items[i].kind == JSON_STRING && str_equal(list->items[i].str, text))
            return true;
    return false;
}

bool consul_wants_service(const ConsulConfig *config, Str name, const JsonValue *tags)
{
    bool named = config->services.count == 0;
    for (size_t i = 0; i < config->services.count; i++)
        named |= str_equal(config->services.items[i], name);
    for (size_t i = 0; named && i < config->tags.count; i++)
        named = has_text(tags, config->tags.items[i]);
    return named;
}

// The worst of an instance's checks; a state of which nobody knows gives nothing.
static Str worst_check(const JsonValue *checks)
{
    static const Str states[] = {STR("passing"), STR("warning"), STR("critical"),
                                 STR("maintenance")};
    size_t worst = 0;
    for (size_t i = 0; checks && checks->kind == JSON_ARRAY && i < checks->count; i++) {
        const JsonValue *check = &checks->items[i];
        Str id = json_str_at(check, "CheckID");
        Str status = json_str_at(check, "Status");
        size_t state = 0;
        if (str_is(id, "_node_maintenance") || str_starts_with(id, S("_service_maintenance:")))
            state = 3;
        else
            while (state < 3 && !str_equal(states[state], status))
                state++;
        if (state == 3 && !str_is(id, "_node_maintenance") &&
            !str_starts_with(id, S("_service_maintenance:")))
            return STR_NONE;
        worst = MAX(worst, state);
    }
    return states[worst];
}

static const MetaRow rows[] = {
    {"__meta_consul_address", "Node.Address", META_TEXT},
    {"__meta_consul_node", "Node.Node", META_TEXT},
    {"__meta_consul_namespace", "Service.Namespace", META_TEXT},
    {"__meta_consul_partition", "Service.Partition", META_TEXT},
    {"__meta_consul_service_address", "Service.Address", META_TEXT},
    {"__meta_consul_service_port", "Service.Port", META_TEXT},
    {"__meta_consul_service_id", "Service.ID", META_TEXT},
    {"__meta_consul_metadata_", "Node.Meta", META_MAP},
    {"__meta_consul_service_metadata_", "Service.Meta", META_MAP},
    {"__meta_consul_tagged_address_", "Node.TaggedAddresses", META_MAP},
};

bool consul_group_read(const JsonValue *json, const ConsulConfig *config, Str service,
                       Str datacenter, Arena *arena, GroupSnapshot *found, Error *err)
{
    GroupMaker maker;
    if (json->kind != JSON_ARRAY)
        return error_set(err, ERR_INVALID, "expected a list of service instances");
    group_begin(&maker, found, arena, service);
    meta_set(&maker.group, "__meta_consul_service", service);
    meta_set(&maker.group, "__meta_consul_dc", datacenter);
    for (size_t i = 0; i < json->count; i++) {
        const JsonValue *item = &json->items[i];
        LabelsBuilder *labels = group_target(&maker);
        Str address = json_str_at(item, "Service.Address");
        meta_address(labels, address.len ? address : json_str_at(item, "Node.Address"),
                     json_i64_at(item, "Service.Port"));
        meta_rows(labels, item, rows, COUNT_OF(rows), config->tag_separator);
        meta_set(labels, "__meta_consul_tags",
                 meta_join_json(arena, json_at(item, "Service.Tags"), config->tag_separator));
        meta_set(labels, "__meta_consul_health", worst_check(json_at(item, "Checks")));
        group_add(&maker);
    }
    group_end(&maker);
    return true;
}
