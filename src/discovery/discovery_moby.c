// SPDX-License-Identifier: Apache-2.0
#include "discovery/discovery_moby.h"

#include "codec/json_writer.h"

static const ConfigField filter_fields[] = {
    POLL_STR(MobyFilter, name, "name of the filter"),
    POLL_STRS(MobyFilter, values, "one of them must match"),
};

const ConfigTable moby_filter_table =
    CONFIG_TABLE(MobyFilter, "docker_filter", filter_fields, NULL);

// {"name": {"value": true}}, as the daemon's API has it.
static Str filters_json(Arena *arena, const ConfigList *filters)
{
    CLEANUP(buf_deinit) Buf out = {0};
    JsonWriter *json = ARENA_NEW(arena, JsonWriter);
    const MobyFilter *items = filters->items;
    json_writer_init(json, &out);
    json_object(json);
    for (size_t i = 0; i < filters->count; i++) {
        json_key(json, items[i].name);
        json_object(json);
        for (size_t v = 0; v < items[i].values.count; v++) {
            json_key(json, items[i].values.items[v]);
            json_bool(json, true);
        }
        json_object_end(json);
    }
    json_object_end(json);
    return arena_str(arena, buf_str(&out));
}

static bool keep(Round *round, const Answer *answer, void *arg, Error *err)
{
    (void)round;
    if (!answer->json || answer->json->kind != JSON_ARRAY)
        return error_set(err, ERR_INVALID, "expected a list");
    *(const JsonValue **)arg = answer->json;
    return true;
}

void moby_get(Round *round, const char *path, bool filtered, const JsonValue **slot)
{
    const MobyConfig *config = round->config;
    Arena *arena = &round->arena;
    Str query = STR_NONE;
    if (filtered && config->filters.count)
        query =
            arena_printf(arena, "?filters=" STR_FMT,
                         STR_ARG(poll_query_escaped(arena, filters_json(arena, &config->filters))));
    size_t scheme = str_find(config->host, S("://"));
    Str rest = scheme == STR_NOT_FOUND ? config->host : str_skip(config->host, scheme + 3);
    Ask ask = {.take = keep, .arg = slot};
    if (str_starts_with(config->host, S("unix://"))) {
        ask.unix_socket = rest;
        ask.url = arena_printf(arena, "http://localhost%s" STR_FMT, path, STR_ARG(query));
    } else {
        while (str_ends_with(rest, S("/")))
            rest.len--;
        ask.url = arena_printf(arena, "%s://" STR_FMT "%s" STR_FMT,
                               str_starts_with(config->host, S("https://")) ? "https" : "http",
                               STR_ARG(rest), path, STR_ARG(query));
    }
    round_ask(round, &ask);
}

static char *prefixed(LabelsBuilder *labels, const char *prefix, const char *name)
{
    return str_to_c(labels->arena, arena_printf(labels->arena, "%snetwork_%s", prefix, name));
}

void moby_network_labels(LabelsBuilder *labels, const JsonValue *networks, Str id,
                         const char *prefix)
{
    for (size_t i = 0; i < networks->count; i++) {
        const JsonValue *network = &networks->items[i];
        if (!str_equal(json_str_at(network, "Id"), id))
            continue;
        meta_set(labels, prefixed(labels, prefix, "id"), id);
        meta_set(labels, prefixed(labels, prefix, "name"), json_str_at(network, "Name"));
        meta_set(labels, prefixed(labels, prefix, "scope"), json_str_at(network, "Scope"));
        meta_set_bool(labels, prefixed(labels, prefix, "internal"),
                      json_bool_at(network, "Internal"));
        meta_set_bool(labels, prefixed(labels, prefix, "ingress"),
                      json_bool_at(network, "Ingress"));
        meta_map(labels, prefixed(labels, prefix, "label_"), json_at(network, "Labels"));
        return;
    }
}

bool moby_address_of_network(Str text, Str *ret_address)
{
    size_t slash = str_find_char(text, '/');
    if (slash == STR_NOT_FOUND || slash == 0)
        return false;
    *ret_address = str_sub(text, 0, slash);
    return true;
}
