// SPDX-License-Identifier: Apache-2.0
// static_configs: what stands in the configuration is what there is. Also the block of targets and labels that files hold.
#include "codec/json_reader.h"
#include "discovery/discovery_kind.h"

static bool finish_group(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    const StaticGroup *group = object;
    if (group->targets.count > DISCOVERY_TARGETS_MAX)
        return config_error(reader, node, err, "more than %d targets", DISCOVERY_TARGETS_MAX);
    for (size_t i = 0; i < group->labels.count; i++)
        if (!name_is_utf8(group->labels.keys[i]))
            return config_error(reader, node, err, "\"" STR_FMT "\" is not a valid label name",
                                STR_ARG(group->labels.keys[i]));
    return true;
}

static const ConfigField group_fields[] = {
    {.key = "targets",
     .kind = CONFIG_STR_LIST,
     .offset = offsetof(StaticGroup, targets),
     .always_print = true,
     .help = "addresses, host:port"},
    {.key = "labels",
     .kind = CONFIG_STR_MAP,
     .offset = offsetof(StaticGroup, labels),
     .help = "labels of all these targets"},
};

const ConfigTable discovery_static_table =
    CONFIG_TABLE(StaticGroup, "static_config", group_fields, finish_group);

static Labels copy_labels(Arena *arena, const ConfigStrMap *from, Labels more)
{
    LabelsBuilder builder;
    labels_builder_init(&builder, arena, more);
    for (size_t i = 0; i < from->count; i++)
        labels_builder_set(&builder, arena_str(arena, from->keys[i]),
                           arena_str(arena, from->values[i]));
    for (size_t i = 0; i < more.count; i++)
        labels_builder_set(&builder, arena_str(arena, more.pairs[i].name),
                           arena_str(arena, more.pairs[i].value));
    return labels_builder_finish(&builder);
}

void static_group_copy(GroupSnapshot *snapshot, const StaticGroup *from, Str source, Labels more,
                       TargetGroup *ret_group)
{
    Arena *arena = &snapshot->arena;
    Labels *targets = ARENA_ARRAY(arena, Labels, from->targets.count);
    for (size_t i = 0; i < from->targets.count; i++) {
        Label *pair = ARENA_NEW(arena, Label);
        *pair = (Label){S("__address__"), arena_str(arena, from->targets.items[i])};
        targets[i] = (Labels){pair, pair->value.len > 0};
    }
    *ret_group = (TargetGroup){.source = arena_str(arena, source),
                               .labels = copy_labels(arena, &from->labels, more),
                               .targets = targets,
                               .target_count = from->targets.count};
}

// JSON as the YAML tree that one decoder reads: strings count as quoted.
static YamlNode *node_of_json(Arena *arena, const JsonValue *value)
{
    YamlNode *node = ARENA_NEW(arena, YamlNode);
    node->line = 1;
    node->column = 1;
    switch (value->kind) {
    case JSON_NULL:
        node->kind = YAML_NULL;
        return node;
    case JSON_BOOL:
        node->kind = YAML_SCALAR;
        node->scalar = value->boolean ? S("true") : S("false");
        return node;
    case JSON_NUMBER:
        node->kind = YAML_SCALAR;
        node->scalar = arena_printf(arena, "%.17g", value->number);
        return node;
    case JSON_STRING:
        node->kind = YAML_SCALAR;
        node->scalar = value->str;
        node->quoted = true;
        return node;
    default:
        break;
    }
    node->kind = value->kind == JSON_ARRAY ? YAML_SEQUENCE : YAML_MAPPING;
    node->count = value->count;
    node->items = ARENA_ARRAY(arena, YamlNode *, value->count);
    node->keys = ARENA_ARRAY(arena, YamlNode *, value->count);
    for (size_t i = 0; i < value->count; i++) {
        node->items[i] = node_of_json(arena, &value->items[i]);
        if (value->kind == JSON_OBJECT) {
            JsonValue key = {.kind = JSON_STRING, .str = value->keys[i]};
            node->keys[i] = node_of_json(arena, &key);
        }
    }
    return node;
}

bool static_groups_of_tree(const YamlNode *root, Str name, Arena *arena, StaticGroup **ret_groups,
                           size_t *ret_count, Error *err)
{
    ConfigReader reader = {.arena = arena, .file_name = name};
    if (root->kind != YAML_NULL && root->kind != YAML_SEQUENCE)
        return config_error(&reader, root, err, "expected a list of target groups");
    size_t count = root->kind == YAML_NULL ? 0 : root->count;
    StaticGroup *groups = ARENA_ARRAY(arena, StaticGroup, count);
    for (size_t i = 0; i < count; i++) {
        if (root->items[i]->kind == YAML_NULL)
            return config_error(&reader, root->items[i], err,
                                "nil target group item found (index %zu)", i);
        if (!config_decode(&reader, &discovery_static_table, root->items[i], &groups[i], err))
            return false;
    }
    *ret_groups = groups;
    *ret_count = count;
    return true;
}

bool static_groups_of_json(Str text, Str name, Arena *arena, StaticGroup **ret_groups,
                           size_t *ret_count, Error *err)
{
    JsonValue *value;
    if (!json_read(text, arena, &value, err))
        return error_context(err, STR_FMT, STR_ARG(name));
    return static_groups_of_tree(node_of_json(arena, value), name, arena, ret_groups, ret_count,
                                 err);
}

static void *start_static(DiscoveryHost *host, const void *config)
{
    GroupSnapshot *snapshot = group_snapshot_new();
    snapshot->groups = ARENA_NEW(&snapshot->arena, TargetGroup);
    snapshot->count = 1;
    static_group_copy(snapshot, config, S("0"), LABELS_NONE, snapshot->groups);
    discovery_host_publish(host, snapshot);
    return NULL;
}

static void stop_static(void *provider)
{
    (void)provider; // nothing runs
}

static bool static_at_rest(const void *config, DiscoveryAtRest *rest, Error *err)
{
    (void)err;
    static_group_copy(rest->groups, config, S("0"), LABELS_NONE,
                      group_snapshot_more(rest->groups, 1));
    rest->groups->count++;
    return true;
}

const DiscoveryKind discovery_static = {
    .name = "static",
    .config_key = "static_configs",
    .table = &discovery_static_table,
    .start = start_static,
    .stop = stop_static,
    .at_rest = static_at_rest,
};

DiscoveryConfigs discovery_configs_static(Arena *arena, Str address)
{
    StaticGroup *group = ARENA_NEW(arena, StaticGroup);
    group->targets = (ConfigStrList){ARENA_NEW(arena, Str), 1};
    group->targets.items[0] = arena_str(arena, address);
    DiscoveryConfigs configs = {0};
    for (size_t i = 0; i < discovery_kind_count; i++)
        if (discovery_kinds[i] == &discovery_static)
            configs.lists[i] = (ConfigList){group, 1};
    return configs;
}
