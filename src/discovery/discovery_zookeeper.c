// SPDX-License-Identifier: Apache-2.0
// nerve_sd_configs and serverset_sd_configs: members that Nerve or Finagle have written into ZooKeeper, below some paths. Each node of a
// tree is a group: of one target if its data describes a member, else of none.
//
// While there is no connection the targets stay. A new connection walks all trees again; what it does not find is gone.
#include <stdlib.h>

#include "base/log.h"
#include "base/map.h"
#include "discovery/discovery_meta.h"
#include "discovery/discovery_zk.h"

#define NODES_MAX 1000000
#define MISSING_RETRY_MS 10000

typedef struct ZookeeperConfig {
    ConfigStrList servers, paths;
    int64_t timeout_ms;
} ZookeeperConfig;

static bool check(ConfigReader *reader, const YamlNode *node, const ZookeeperConfig *config,
                  const char *kind, Error *err)
{
    if (config->servers.count == 0)
        return config_error(reader, node, err,
                            "%s SD config must contain at least one Zookeeper server", kind);
    if (config->paths.count == 0)
        return config_error(reader, node, err, "%s SD config must contain at least one path", kind);
    for (size_t i = 0; i < config->paths.count; i++)
        if (!str_starts_with(config->paths.items[i], S("/")))
            return config_error(reader, node, err,
                                "%s SD config paths must begin with '/': " STR_FMT, kind,
                                STR_ARG(config->paths.items[i]));
    return true;
}

static bool finish_nerve(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    return check(reader, node, object, "nerve", err);
}

static bool finish_serverset(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    return check(reader, node, object, "serverset", err);
}

static const ConfigField fields[] = {
    {.key = "servers",
     .kind = CONFIG_STR_LIST,
     .offset = offsetof(ZookeeperConfig, servers),
     .always_print = true,
     .help = "host:port of ZooKeeper"},
    {.key = "paths",
     .kind = CONFIG_STR_LIST,
     .offset = offsetof(ZookeeperConfig, paths),
     .always_print = true,
     .help = "roots of the trees"},
    {.key = "timeout",
     .kind = CONFIG_DURATION,
     .offset = offsetof(ZookeeperConfig, timeout_ms),
     .default_text = "10s",
     .min = 100,
     .max = 24 * 3600 * 1000,
     .help = "of the session"},
};

extern const ConfigTable discovery_nerve_table;
const ConfigTable discovery_nerve_table =
    CONFIG_TABLE(ZookeeperConfig, "nerve_sd_config", fields, finish_nerve);
extern const ConfigTable discovery_serverset_table;
const ConfigTable discovery_serverset_table =
    CONFIG_TABLE(ZookeeperConfig, "serverset_sd_config", fields, finish_serverset);

// Labels of a member, from the data of its node; false if it describes none.
typedef bool (*LabelFn)(LabelsBuilder *labels, const JsonValue *member);

typedef struct Node {
    char *path;
    size_t path_len;
    GroupSnapshot *found; // its group, once its data has come
    bool seen;            // in this walk
} Node;

typedef struct Provider {
    DiscoveryHost *host;
    const ZookeeperConfig *config;
    LabelFn label;
    ZkClient *client;
    LoopTimer *again; // a root was missing
    Map nodes;
    size_t open;  // questions
    bool walking; // all trees: what is not seen is gone in the end
} Provider;

static Str path_of(const Node *node)
{
    return str_make(node->path, node->path_len);
}

static void node_free(Node *node)
{
    if (!node)
        return;
    group_snapshot_unref(node->found);
    free(node->path);
    free(node);
}

static bool is_below(Str path, Str root)
{
    return str_starts_with(path, root) &&
           (path.len == root.len || path.ptr[root.len] == '/' || str_is(root, "/"));
}

// Takes out the nodes for which `pick` is true.
static void drop_nodes(Provider *provider, bool (*pick)(const Node *node, Str path), Str path)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    Node **gone = ARENA_ARRAY(&arena, Node *, provider->nodes.count);
    size_t count = 0;
    for (MapEntry *e = NULL; (e = map_next(&provider->nodes, e));)
        if (pick(e->value, path))
            gone[count++] = e->value;
    for (size_t i = 0; i < count; i++) {
        map_remove(&provider->nodes, path_of(gone[i]));
        node_free(gone[i]);
    }
}

static bool pick_unseen(const Node *node, Str path)
{
    (void)path;
    return !node->seen;
}

static bool pick_below(const Node *node, Str path)
{
    return is_below(path_of(node), path);
}

static void publish(Provider *provider)
{
    GroupSnapshot *all = group_snapshot_new();
    all->parts = ARENA_ARRAY(&all->arena, GroupSnapshot *, provider->nodes.count);
    for (MapEntry *e = NULL; (e = map_next(&provider->nodes, e));) {
        const Node *node = e->value;
        if (!node->found || node->found->groups[0].target_count == 0)
            continue;
        *group_snapshot_more(all, 1) = node->found->groups[0];
        all->count++;
        all->parts[all->part_count++] = group_snapshot_ref(node->found);
    }
    discovery_host_publish(provider->host, all);
}

// A question was answered; the last one's answer completes the picture.
static void answered(Provider *provider)
{
    if (--provider->open > 0)
        return;
    if (provider->walking)
        drop_nodes(provider, pick_unseen, STR_NONE);
    provider->walking = false;
    publish(provider);
}

static void tell_failure(const Provider *provider, const Error *err)
{
    discovery_host_count(provider->host, 0);
    log_error("following ZooKeeper failed, retrying",
              KV("discovery", discovery_host_kind(provider->host)->name),
              KV("config", discovery_host_job(provider->host)), KV("err", err));
}

static bool is_root(const Provider *provider, Str path)
{
    for (size_t i = 0; i < provider->config->paths.count; i++)
        if (str_equal(provider->config->paths.items[i], path))
            return true;
    return false;
}

static void lose_node(Provider *provider, Str path)
{
    Error err = {0};
    drop_nodes(provider, pick_below, path);
    if (!is_root(provider, path))
        return;
    (void)error_set(&err, ERR_NOT_FOUND, "path " STR_FMT " does not exist", STR_ARG(path));
    tell_failure(provider, &err);
    loop_timer_set(provider->again, loop_now_ns(discovery_host_loop(provider->host)) +
                                        MISSING_RETRY_MS * INT64_C(1000000));
}

static void read_member(const Provider *provider, Node *node, Str data)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    JsonValue *member;
    GroupMaker maker;
    Error ignored = {0};
    GroupSnapshot *found = group_snapshot_new();
    group_begin(&maker, found, &arena, path_of(node));
    LabelsBuilder *labels = group_target(&maker);
    char *prefix = str_to_c(
        &arena, arena_printf(&arena, "__meta_%s_path", discovery_host_kind(provider->host)->name));
    meta_set(labels, prefix, path_of(node));
    // Nodes between the root and the members have other data, or none.
    if (json_read(data, &arena, &member, &ignored) && provider->label(labels, member))
        group_add(&maker);
    group_end(&maker);
    group_snapshot_unref(node->found);
    node->found = found;
}

static void visit(Provider *provider, Str path);

static void on_data(void *arg, Str path, ZkOutcome outcome, Str data)
{
    Provider *provider = arg;
    Node *node = map_get(&provider->nodes, path);
    if (outcome == ZK_NO_NODE)
        lose_node(provider, path);
    else if (outcome == ZK_OK && node)
        read_member(provider, node, data);
    answered(provider);
}

static void on_children(void *arg, Str path, ZkOutcome outcome, Str names)
{
    Provider *provider = arg;
    CLEANUP(arena_deinit) Arena arena = {0};
    CLEANUP(map_deinit) Map present = {0};
    if (outcome == ZK_OK && map_get(&provider->nodes, path)) {
        Str base = str_is(path, "/") ? STR_NONE : path;
        for (Str name; zk_next_name(&names, &name);) {
            Str child = arena_printf(&arena, STR_FMT "/" STR_FMT, STR_ARG(base), STR_ARG(name));
            Node *known = map_get(&provider->nodes, child);
            map_put(&present, child, provider);
            if (!known || (provider->walking && !known->seen))
                visit(provider, child);
        }
        // Whoever is directly below and was not named is gone, with all below it. A walk finds that out in its end.
        Str *gone = ARENA_ARRAY(&arena, Str, provider->nodes.count);
        size_t count = 0;
        for (MapEntry *e = NULL; !provider->walking && (e = map_next(&provider->nodes, e));)
            if (e->key.len > base.len + 1 && is_below(e->key, path) &&
                str_find_char(str_skip(e->key, base.len + 1), '/') == STR_NOT_FOUND &&
                !map_get(&present, e->key))
                gone[count++] = arena_str(&arena, e->key);
        for (size_t i = 0; i < count; i++)
            drop_nodes(provider, pick_below, gone[i]);
    } else if (outcome == ZK_NO_NODE) {
        lose_node(provider, path);
    }
    answered(provider);
}

// Asks for a node's data and children; remembers it.
static void visit(Provider *provider, Str path)
{
    Node *node = map_get(&provider->nodes, path);
    if (!node && provider->nodes.count >= NODES_MAX)
        return; // the rest is left out
    if (!node) {
        node = X_NEW(Node);
        node->path = x_malloc(path.len + 1);
        node->path_len = path.len;
        memcpy(node->path, path.ptr, path.len);
        map_put(&provider->nodes, path_of(node), node);
    }
    node->seen = true;
    provider->open += 2;
    zk_client_get(provider->client, path_of(node), on_data, provider);
    zk_client_children(provider->client, path_of(node), on_children, provider);
}

static void on_ready(void *arg)
{
    Provider *provider = arg;
    for (MapEntry *e = NULL; (e = map_next(&provider->nodes, e));)
        ((Node *)e->value)->seen = false;
    provider->open = 0;
    provider->walking = true;
    for (size_t i = 0; i < provider->config->paths.count; i++)
        visit(provider, provider->config->paths.items[i]);
}

static void on_lost(void *arg, const Error *err)
{
    Provider *provider = arg;
    provider->open = 0;
    provider->walking = false;
    tell_failure(provider, err);
}

static void on_change(void *arg, Str path)
{
    Provider *provider = arg;
    CLEANUP(arena_deinit) Arena arena = {0};
    if (map_get(&provider->nodes, path))
        visit(provider, arena_str(&arena, path));
}

// Looks again for roots that were not there, on the same connection.
static void on_again(void *arg)
{
    Provider *provider = arg;
    for (size_t i = 0; i < provider->config->paths.count; i++)
        if (!map_get(&provider->nodes, provider->config->paths.items[i]))
            visit(provider, provider->config->paths.items[i]);
}

static void *start(DiscoveryHost *host, const void *config, LabelFn label)
{
    Provider *provider = X_NEW(Provider);
    Loop *loop = discovery_host_loop(host);
    provider->host = host;
    provider->config = config;
    provider->label = label;
    provider->again = loop_timer_new(loop, on_again, provider);
    ZkOptions options = {.loop = loop,
                         .servers = provider->config->servers,
                         .timeout_ms = provider->config->timeout_ms,
                         .on_ready = on_ready,
                         .on_lost = on_lost,
                         .on_change = on_change,
                         .arg = provider};
    provider->client = zk_client_new(&options);
    return provider;
}

static void stop(void *arg)
{
    Provider *provider = arg;
    if (!provider)
        return;
    zk_client_free(provider->client);
    loop_timer_free(provider->again);
    for (MapEntry *e = NULL; (e = map_next(&provider->nodes, e));)
        node_free(e->value);
    map_deinit(&provider->nodes);
    free(provider);
}

// ---- members ----

static bool label_nerve(LabelsBuilder *labels, const JsonValue *member)
{
    if (member->kind != JSON_OBJECT)
        return false;
    meta_address(labels, json_str_at(member, "host"), json_i64_at(member, "port"));
    meta_set(labels, "__meta_nerve_endpoint_host", json_str_at(member, "host"));
    meta_setf(labels, "__meta_nerve_endpoint_port", "%lld", (long long)json_i64_at(member, "port"));
    meta_set(labels, "__meta_nerve_endpoint_name", json_str_at(member, "name"));
    return true;
}

static bool label_serverset(LabelsBuilder *labels, const JsonValue *member)
{
    const JsonValue *more = json_at(member, "additionalEndpoints");
    if (member->kind != JSON_OBJECT)
        return false;
    meta_address(labels, json_str_at(member, "serviceEndpoint.host"),
                 json_i64_at(member, "serviceEndpoint.port"));
    meta_set(labels, "__meta_serverset_endpoint_host", json_str_at(member, "serviceEndpoint.host"));
    meta_setf(labels, "__meta_serverset_endpoint_port", "%lld",
              (long long)json_i64_at(member, "serviceEndpoint.port"));
    for (size_t i = 0; more && more->kind == JSON_OBJECT && i < more->count; i++) {
        meta_set_key(labels, "__meta_serverset_endpoint_host_", more->keys[i],
                     json_str_at(&more->items[i], "host"));
        meta_set_key(
            labels, "__meta_serverset_endpoint_port_", more->keys[i],
            arena_printf(labels->arena, "%lld", (long long)json_i64_at(&more->items[i], "port")));
    }
    meta_set(labels, "__meta_serverset_status", json_str_at(member, "status"));
    meta_setf(labels, "__meta_serverset_shard", "%lld", (long long)json_i64_at(member, "shard"));
    return true;
}

static void *start_nerve(DiscoveryHost *host, const void *config)
{
    return start(host, config, label_nerve);
}

static void *start_serverset(DiscoveryHost *host, const void *config)
{
    return start(host, config, label_serverset);
}

#define FAILURES                                                                                   \
    {                                                                                              \
        {                                                                                          \
            "prometheus_treecache_zookeeper_failures_total",                                       \
                "The total number of ZooKeeper failures."                                          \
        }                                                                                          \
    }

const DiscoveryKind discovery_nerve = {.name = "nerve",
                                       .config_key = "nerve_sd_configs",
                                       .table = &discovery_nerve_table,
                                       .counters = FAILURES,
                                       .start = start_nerve,
                                       .stop = stop};

const DiscoveryKind discovery_serverset = {.name = "serverset",
                                           .config_key = "serverset_sd_configs",
                                           .table = &discovery_serverset_table,
                                           .counters = FAILURES,
                                           .start = start_serverset,
                                           .stop = stop};
