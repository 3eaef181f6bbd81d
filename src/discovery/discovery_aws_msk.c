// SPDX-License-Identifier: Apache-2.0
// The role msk of aws_sd_configs: the brokers and controllers of Amazon's managed Kafka clusters in one region.
#include "discovery/discovery_aws.h"

#define PREFIX "__meta_msk_"

typedef struct Cluster {
    const JsonValue *json;
    PageList nodes;
    struct Cluster *next;
} Cluster;

typedef struct State {
    Cluster *first, **last;
} State;

_Static_assert(sizeof(State) <= AWS_STATE_BYTES, "roles share the size of a state");

static void ask_nodes(Round *round, Cluster *cluster, Str token);

static bool take_nodes(Round *round, const Answer *answer, void *arg, Error *err)
{
    Cluster *cluster = arg;
    const JsonValue *list = json_at(answer->json, "nodeInfoList");
    const JsonValue *item;
    Str token = json_str_at(answer->json, "nextToken");
    for (size_t i = 0; (item = aws_item(list, i)) != NULL; i++)
        page_list_add(round, &cluster->nodes, item);
    if (cluster->nodes.count > DISCOVERY_TARGETS_MAX)
        return error_set(err, ERR_LIMIT, "more than %d nodes", DISCOVERY_TARGETS_MAX);
    if (token.len)
        ask_nodes(round, cluster, token);
    return true;
}

static Str with_token(Arena *arena, Str path, Str token)
{
    return token.len ? arena_printf(arena, STR_FMT "&nextToken=" STR_FMT, STR_ARG(path),
                                    STR_ARG(poll_query_escaped(arena, token)))
                     : path;
}

// An ARN has colons and slashes, which must all be escaped in a path.
static Str escaped_arn(Arena *arena, Str arn)
{
    return poll_query_escaped(arena, arn);
}

static void ask_nodes(Round *round, Cluster *cluster, Str token)
{
    Arena *arena = &round->arena;
    Str path = arena_printf(arena, "/v1/clusters/" STR_FMT "/nodes?maxResults=100",
                            STR_ARG(escaped_arn(arena, json_str_at(cluster->json, "clusterArn"))));
    aws_ask_rest(round, "kafka", with_token(arena, path, token), take_nodes, cluster);
}

static void add_cluster(Round *round, const JsonValue *json)
{
    State *state = round->state;
    Cluster *cluster = ARENA_NEW(&round->arena, Cluster);
    cluster->json = json;
    *state->last = cluster;
    state->last = &cluster->next;
    ask_nodes(round, cluster, STR_NONE);
}

static void ask_clusters(Round *round, Str token);

static bool take_clusters(Round *round, const Answer *answer, void *arg, Error *err)
{
    const JsonValue *list = json_at(answer->json, "clusterInfoList");
    const JsonValue *item;
    Str token = json_str_at(answer->json, "nextToken");
    (void)arg;
    (void)err;
    for (size_t i = 0; (item = aws_item(list, i)) != NULL; i++)
        add_cluster(round, item);
    if (token.len)
        ask_clusters(round, token);
    return true;
}

static bool take_cluster(Round *round, const Answer *answer, void *arg, Error *err)
{
    const JsonValue *cluster = json_at(answer->json, "clusterInfo");
    (void)arg;
    if (!cluster)
        return error_set(err, ERR_INVALID, "the answer has no clusterInfo");
    add_cluster(round, cluster);
    return true;
}

static void ask_clusters(Round *round, Str token)
{
    aws_ask_rest(round, "kafka",
                 with_token(&round->arena,
                            S("/api/v2/clusters?clusterTypeFilter=PROVISIONED&maxResults=100"),
                            token),
                 take_clusters, NULL);
}

static bool begin(Round *round, Error *err)
{
    const AwsConfig *config = round->config;
    State *state = round->state;
    Arena *arena = &round->arena;
    (void)err;
    state->last = &state->first;
    for (size_t i = 0; i < config->clusters.count; i++)
        aws_ask_rest(round, "kafka",
                     arena_printf(arena, "/api/v2/clusters/" STR_FMT,
                                  STR_ARG(escaped_arn(arena, config->clusters.items[i]))),
                     take_cluster, NULL);
    if (config->clusters.count == 0)
        ask_clusters(round, STR_NONE);
    return true;
}

static const MetaRow cluster_rows[] = {
    {PREFIX "cluster_name", "clusterName", META_TEXT},
    {PREFIX "cluster_arn", "clusterArn", META_TEXT},
    {PREFIX "cluster_state", "state", META_TEXT},
    {PREFIX "cluster_type", "clusterType", META_TEXT},
    {PREFIX "cluster_version", "currentVersion", META_TEXT},
    {PREFIX "cluster_kafka_version", "provisioned.currentBrokerSoftwareInfo.kafkaVersion",
     META_TEXT},
    {PREFIX "cluster_configuration_arn", "provisioned.currentBrokerSoftwareInfo.configurationArn",
     META_TEXT},
    {PREFIX "cluster_configuration_revision",
     "provisioned.currentBrokerSoftwareInfo.configurationRevision", META_TEXT},
    {PREFIX "cluster_tag_", "tags", META_MAP},
};

static const MetaRow node_rows[] = {
    {PREFIX "node_arn", "nodeARN", META_TEXT},
    {PREFIX "node_added_time", "addedToClusterTime", META_TEXT},
    {PREFIX "node_instance_type", "instanceType", META_TEXT},
    {PREFIX "node_attached_eni", "brokerNodeInfo.attachedENIId", META_TEXT},
    {PREFIX "broker_id", "brokerNodeInfo.brokerId", META_TEXT},
    {PREFIX "broker_client_subnet", "brokerNodeInfo.clientSubnet", META_TEXT},
    {PREFIX "broker_client_vpc_ip", "brokerNodeInfo.clientVpcIpAddress", META_TEXT},
};

static void label_exporter(LabelsBuilder *labels, const char *name, const JsonValue *cluster,
                           const char *path)
{
    const JsonValue *exporter = json_at(cluster, path);
    if (exporter && exporter->kind == JSON_OBJECT)
        meta_set_bool(labels, name, json_bool_at(exporter, "enabledInBroker"));
}

// A target for each endpoint of a node.
static void add_node(const Round *round, GroupMaker *maker, const JsonValue *cluster,
                     const JsonValue *node)
{
    const AwsConfig *config = round->config;
    const JsonValue *broker = json_at(node, "brokerNodeInfo");
    const JsonValue *info =
        broker && broker->kind == JSON_OBJECT ? broker : json_at(node, "controllerNodeInfo");
    const JsonValue *endpoints = json_at(info, "endpoints");
    const JsonValue *endpoint;
    for (size_t i = 0; (endpoint = aws_item(endpoints, i)) != NULL; i++) {
        LabelsBuilder *labels = group_target(maker);
        meta_address(labels, meta_text(labels->arena, endpoint), config->port);
        meta_rows(labels, cluster, cluster_rows, COUNT_OF(cluster_rows), STR_NONE);
        meta_rows(labels, node, node_rows, COUNT_OF(node_rows), STR_NONE);
        label_exporter(labels, PREFIX "cluster_jmx_exporter_enabled", cluster,
                       "provisioned.openMonitoring.prometheus.jmxExporter");
        meta_set(labels, PREFIX "node_type", info == broker ? S("BROKER") : S("CONTROLLER"));
        meta_setf(labels,
                  info == broker ? PREFIX "broker_endpoint_index"
                                 : PREFIX "controller_endpoint_index",
                  "%zu", i);
        if (info == broker)
            label_exporter(labels, PREFIX "broker_node_exporter_enabled", cluster,
                           "provisioned.openMonitoring.prometheus.nodeExporter");
        group_add(maker);
    }
}

static bool finish(Round *round, Error *err)
{
    const State *state = round->state;
    GroupMaker maker;
    (void)err;
    group_begin(&maker, round->found, &round->arena, aws_region(round->config));
    for (const Cluster *cluster = state->first; cluster; cluster = cluster->next)
        for (size_t i = 0; i < cluster->nodes.count; i++)
            add_node(round, &maker, cluster->json, cluster->nodes.items[i]);
    group_end(&maker);
    return true;
}

const AwsRole aws_role_msk = {"kafka", begin, finish};
