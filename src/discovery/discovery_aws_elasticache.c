// SPDX-License-Identifier: Apache-2.0
// The role elasticache of aws_sd_configs: serverless caches, and the nodes of cache clusters, of Amazon's ElastiCache in one region.
//
//     DescribeServerlessCaches, DescribeCacheClusters (all, or each that is named) --> ListTagsForResource of each --> groups
#include "discovery/discovery_aws.h"

#define CLUSTER "__meta_elasticache_cache_cluster_"
#define SERVERLESS "__meta_elasticache_serverless_cache_"
#define VERSION "Version=2015-02-02"

// A serverless cache or a cluster.
typedef struct Cache {
    const JsonValue *json;
    const JsonValue *tags;
    bool is_serverless;
    struct Cache *next;
} Cache;

typedef struct State {
    Cache *first, **last;
} State;

_Static_assert(sizeof(State) <= AWS_STATE_BYTES, "roles share the size of a state");

// One question that may have several pages.
typedef struct Question {
    Str form; // without the mark of a page
    bool is_serverless;
} Question;

static bool take_tags(Round *round, const Answer *answer, void *arg, Error *err)
{
    Cache *cache = arg;
    (void)round;
    (void)err;
    cache->tags = json_at(answer->json, "ListTagsForResourceResult.TagList");
    return true;
}

static void ask_tags(Round *round, Cache *cache)
{
    Str arn = json_str_at(cache->json, "ARN");
    if (arn.len == 0)
        return;
    aws_ask_query(round, "elasticache",
                  arena_printf(&round->arena,
                               "Action=ListTagsForResource&" VERSION "&ResourceName=" STR_FMT,
                               STR_ARG(poll_query_escaped(&round->arena, arn))),
                  NULL, take_tags, cache);
}

static bool take_page(Round *round, const Answer *answer, void *arg, Error *err)
{
    State *state = round->state;
    const Question *question = arg;
    const JsonValue *result =
        json_at(answer->json, question->is_serverless ? "DescribeServerlessCachesResult"
                                                      : "DescribeCacheClustersResult");
    const JsonValue *list =
        json_at(result, question->is_serverless ? "ServerlessCaches" : "CacheClusters");
    const JsonValue *item;
    Str mark = json_str_at(result, question->is_serverless ? "NextToken" : "Marker");
    (void)err;
    for (size_t i = 0; (item = aws_item(list, i)) != NULL; i++) {
        Cache *cache = ARENA_NEW(&round->arena, Cache);
        *cache = (Cache){.json = item, .is_serverless = question->is_serverless};
        *state->last = cache;
        state->last = &cache->next;
        ask_tags(round, cache);
    }
    if (mark.len)
        aws_ask_query(round, "elasticache",
                      arena_printf(&round->arena, STR_FMT "&%s=" STR_FMT, STR_ARG(question->form),
                                   question->is_serverless ? "NextToken" : "Marker",
                                   STR_ARG(poll_query_escaped(&round->arena, mark))),
                      NULL, take_page, arg);
    return true;
}

static void ask(Round *round, bool is_serverless, Str form)
{
    Question *question = ARENA_NEW(&round->arena, Question);
    *question = (Question){form, is_serverless};
    aws_ask_query(round, "elasticache", form, NULL, take_page, question);
}

static void ask_serverless(Round *round, Str name)
{
    Str form = S("Action=DescribeServerlessCaches&" VERSION "&MaxResults=50");
    if (name.len)
        form = arena_printf(&round->arena, STR_FMT "&ServerlessCacheName=" STR_FMT, STR_ARG(form),
                            STR_ARG(poll_query_escaped(&round->arena, name)));
    ask(round, true, form);
}

// Those in replication groups, and the others.
static void ask_clusters(Round *round, Str id)
{
    for (int others = 0; others < 2; others++) {
        Str form = arena_printf(&round->arena,
                                "Action=DescribeCacheClusters&" VERSION
                                "&MaxRecords=100&ShowCacheNodeInfo=true"
                                "&ShowCacheClustersNotInReplicationGroups=%s",
                                others ? "true" : "false");
        if (id.len)
            form = arena_printf(&round->arena, STR_FMT "&CacheClusterId=" STR_FMT, STR_ARG(form),
                                STR_ARG(poll_query_escaped(&round->arena, id)));
        ask(round, false, form);
    }
}

// arn:aws:elasticache:region:account:serverlesscache:name, or replicationgroup in place of it. Others are passed over.
static void ask_named(Round *round, Str arn, size_t *serverless, size_t *clusters)
{
    Str parts[7];
    size_t count = 0;
    while (count < COUNT_OF(parts) && str_split_next(&arn, ':', &parts[count]))
        count++;
    if (count < COUNT_OF(parts))
        return;
    if (str_is(parts[5], "serverlesscache")) {
        ask_serverless(round, parts[6]);
        ++*serverless;
    } else if (str_is(parts[5], "replicationgroup")) {
        ask_clusters(round, parts[6]);
        ++*clusters;
    }
}

static bool begin(Round *round, Error *err)
{
    const AwsConfig *config = round->config;
    State *state = round->state;
    size_t serverless = 0;
    size_t clusters = 0;
    (void)err;
    state->last = &state->first;
    for (size_t i = 0; i < config->clusters.count; i++)
        ask_named(round, config->clusters.items[i], &serverless, &clusters);
    // A sort of which none is named comes whole, as in the original.
    if (serverless == 0)
        ask_serverless(round, STR_NONE);
    if (clusters == 0)
        ask_clusters(round, STR_NONE);
    return true;
}

static const MetaRow serverless_rows[] = {
    {SERVERLESS "arn", "ARN", META_TEXT},
    {SERVERLESS "name", "ServerlessCacheName", META_TEXT},
    {SERVERLESS "status", "Status", META_TEXT},
    {SERVERLESS "engine", "Engine", META_TEXT},
    {SERVERLESS "full_engine_version", "FullEngineVersion", META_TEXT},
    {SERVERLESS "major_engine_version", "MajorEngineVersion", META_TEXT},
    {SERVERLESS "description", "Description", META_TEXT},
    {SERVERLESS "create_time", "CreateTime", META_TIME},
    {SERVERLESS "kms_key_id", "KmsKeyId", META_TEXT},
    {SERVERLESS "user_group_id", "UserGroupId", META_TEXT},
    {SERVERLESS "daily_snapshot_time", "DailySnapshotTime", META_TEXT},
    {SERVERLESS "snapshot_retention_limit", "SnapshotRetentionLimit", META_TEXT},
    {SERVERLESS "endpoint_address", "Endpoint.Address", META_TEXT},
    {SERVERLESS "endpoint_port", "Endpoint.Port", META_TEXT},
    {SERVERLESS "endpoint_reader_address", "ReaderEndpoint.Address", META_TEXT},
    {SERVERLESS "endpoint_reader_port", "ReaderEndpoint.Port", META_TEXT},
    {SERVERLESS "cache_usage_limit_data_storagemaximum", "CacheUsageLimits.DataStorage.Maximum",
     META_TEXT},
    {SERVERLESS "cache_usage_limit_data_storageminimum", "CacheUsageLimits.DataStorage.Minimum",
     META_TEXT},
    {SERVERLESS "cache_usage_limit_data_storageunit", "CacheUsageLimits.DataStorage.Unit",
     META_TEXT},
    {SERVERLESS "cache_usage_limit_ecpu_per_secondmaximum",
     "CacheUsageLimits.ECPUPerSecond.Maximum", META_TEXT},
    {SERVERLESS "cache_usage_limit_ecpu_per_secondminimum",
     "CacheUsageLimits.ECPUPerSecond.Minimum", META_TEXT},
};

static const MetaRow cluster_rows[] = {
    {CLUSTER "arn", "ARN", META_TEXT},
    {CLUSTER "cache_cluster_id", "CacheClusterId", META_TEXT},
    {CLUSTER "cache_cluster_status", "CacheClusterStatus", META_TEXT},
    {CLUSTER "at_rest_encryption_enabled", "AtRestEncryptionEnabled", META_TEXT},
    {CLUSTER "auth_token_enabled", "AuthTokenEnabled", META_TEXT},
    {CLUSTER "auth_token_last_modified", "AuthTokenLastModifiedDate", META_TIME},
    {CLUSTER "auto_minor_version_upgrade", "AutoMinorVersionUpgrade", META_TEXT},
    {CLUSTER "cache_cluster_create_time", "CacheClusterCreateTime", META_TIME},
    {CLUSTER "cache_node_type", "CacheNodeType", META_TEXT},
    {CLUSTER "cache_parameter_group", "CacheParameterGroup.CacheParameterGroupName", META_TEXT},
    {CLUSTER "cache_subnet_group_name", "CacheSubnetGroupName", META_TEXT},
    {CLUSTER "client_download_landing_page", "ClientDownloadLandingPage", META_TEXT},
    {CLUSTER "configuration_endpoint_address", "ConfigurationEndpoint.Address", META_TEXT},
    {CLUSTER "configuration_endpoint_port", "ConfigurationEndpoint.Port", META_TEXT},
    {CLUSTER "engine", "Engine", META_TEXT},
    {CLUSTER "engine_version", "EngineVersion", META_TEXT},
    {CLUSTER "ip_discovery", "IpDiscovery", META_TEXT},
    {CLUSTER "network_type", "NetworkType", META_TEXT},
    {CLUSTER "notification_topic_arn", "NotificationConfiguration.TopicArn", META_TEXT},
    {CLUSTER "notification_topic_status", "NotificationConfiguration.TopicStatus", META_TEXT},
    {CLUSTER "num_cache_nodes", "NumCacheNodes", META_TEXT},
    {CLUSTER "preferred_availability_zone", "PreferredAvailabilityZone", META_TEXT},
    {CLUSTER "preferred_maintenance_window", "PreferredMaintenanceWindow", META_TEXT},
    {CLUSTER "preferred_outpost_arn", "PreferredOutpostArn", META_TEXT},
    {CLUSTER "replication_group_id", "ReplicationGroupId", META_TEXT},
    {CLUSTER "replication_group_log_delivery_enabled", "ReplicationGroupLogDeliveryEnabled",
     META_TEXT},
    {CLUSTER "snapshot_retention_limit", "SnapshotRetentionLimit", META_TEXT},
    {CLUSTER "snapshot_window", "SnapshotWindow", META_TEXT},
    {CLUSTER "transit_encryption_enabled", "TransitEncryptionEnabled", META_TEXT},
    {CLUSTER "transit_encryption_mode", "TransitEncryptionMode", META_TEXT},
    {CLUSTER "pending_modified_values_auth_token_status", "PendingModifiedValues.AuthTokenStatus",
     META_TEXT},
    {CLUSTER "pending_modified_values_cache_node_type", "PendingModifiedValues.CacheNodeType",
     META_TEXT},
    {CLUSTER "pending_modified_values_engine_version", "PendingModifiedValues.EngineVersion",
     META_TEXT},
    {CLUSTER "pending_modified_values_num_cache_nodes", "PendingModifiedValues.NumCacheNodes",
     META_TEXT},
    {CLUSTER "pending_modified_values_transit_encryption_enabled",
     "PendingModifiedValues.TransitEncryptionEnabled", META_TEXT},
    {CLUSTER "pending_modified_values_transit_encryption_mode",
     "PendingModifiedValues.TransitEncryptionMode", META_TEXT},
};

static const MetaRow node_rows[] = {
    {CLUSTER "node_id", "CacheNodeId", META_TEXT},
    {CLUSTER "node_status", "CacheNodeStatus", META_TEXT},
    {CLUSTER "node_create_time", "CacheNodeCreateTime", META_TIME},
    {CLUSTER "node_availability_zone", "CustomerAvailabilityZone", META_TEXT},
    {CLUSTER "node_customer_outpost_arn", "CustomerOutpostArn", META_TEXT},
    {CLUSTER "node_source_cache_node_id", "SourceCacheNodeId", META_TEXT},
    {CLUSTER "node_parameter_group_status", "ParameterGroupStatus", META_TEXT},
    {CLUSTER "node_endpoint_address", "Endpoint.Address", META_TEXT},
    {CLUSTER "node_endpoint_port", "Endpoint.Port", META_TEXT},
};

// Rows of the elements of a list: the label has the element's number behind it.
static void label_numbered(LabelsBuilder *labels, const JsonValue *list, const MetaRow *rows,
                           size_t count)
{
    const JsonValue *item;
    for (size_t i = 0; (item = aws_item(list, i)) != NULL; i++)
        for (size_t r = 0; r < count; r++)
            meta_set(
                labels,
                str_to_c(labels->arena, arena_printf(labels->arena, "%s_%zu", rows[r].label, i)),
                meta_text(labels->arena, json_at(item, rows[r].path)));
}

static void add_serverless(GroupMaker *maker, const Cache *cache)
{
    static const MetaRow groups[] = {{SERVERLESS "security_group_id", "", META_TEXT}};
    static const MetaRow subnets[] = {{SERVERLESS "subnet_id", "", META_TEXT}};
    LabelsBuilder *labels = group_target(maker);
    Str address = json_str_at(cache->json, "Endpoint.Address");
    if (address.len && json_at(cache->json, "Endpoint.Port"))
        meta_address(labels, address, json_i64_at(cache->json, "Endpoint.Port"));
    meta_set(labels, "__meta_elasticache_deployment_option", S("serverless"));
    meta_rows(labels, cache->json, serverless_rows, COUNT_OF(serverless_rows), STR_NONE);
    label_numbered(labels, json_at(cache->json, "SecurityGroupIds"), groups, COUNT_OF(groups));
    label_numbered(labels, json_at(cache->json, "SubnetIds"), subnets, COUNT_OF(subnets));
    aws_tags(labels, SERVERLESS "tag_", cache->tags, "Key", "Value");
    group_add(maker);
}

static void label_cluster(LabelsBuilder *labels, const Cache *cache)
{
    static const MetaRow deliveries[] = {
        {CLUSTER "log_delivery_configuration_destination_type", "DestinationType", META_TEXT},
        {CLUSTER "log_delivery_configuration_log_format", "LogFormat", META_TEXT},
        {CLUSTER "log_delivery_configuration_log_type", "LogType", META_TEXT},
        {CLUSTER "log_delivery_configuration_status", "Status", META_TEXT},
        {CLUSTER "log_delivery_configuration_message", "Message", META_TEXT},
        {CLUSTER "log_delivery_configuration_log_group",
         "DestinationDetails.CloudWatchLogsDetails.LogGroup", META_TEXT},
        {CLUSTER "log_delivery_configuration_delivery_stream",
         "DestinationDetails.KinesisFirehoseDetails.DeliveryStream", META_TEXT},
    };
    static const MetaRow groups[] = {
        {CLUSTER "security_group_membership_id", "SecurityGroupId", META_TEXT},
        {CLUSTER "security_group_membership_status", "Status", META_TEXT},
    };
    const JsonValue *removed = json_at(cache->json, "PendingModifiedValues.CacheNodeIdsToRemove");
    const JsonValue *item;
    CLEANUP(buf_deinit) Buf ids = {0};
    for (size_t i = 0; (item = aws_item(removed, i)) != NULL; i++) {
        if (i)
            buf_add_char(&ids, ',');
        buf_add_str(&ids, meta_text(labels->arena, item));
    }
    meta_set(labels, "__meta_elasticache_deployment_option", S("node"));
    meta_rows(labels, cache->json, cluster_rows, COUNT_OF(cluster_rows), STR_NONE);
    meta_set(labels, CLUSTER "pending_modified_values_cache_node_ids_to_remove",
             arena_str(labels->arena, buf_str(&ids)));
    label_numbered(labels, json_at(cache->json, "LogDeliveryConfigurations"), deliveries,
                   COUNT_OF(deliveries));
    label_numbered(labels, json_at(cache->json, "SecurityGroups"), groups, COUNT_OF(groups));
    aws_tags(labels, CLUSTER "tag_", cache->tags, "Key", "Value");
}

static void add_cluster(GroupMaker *maker, const Cache *cache)
{
    const JsonValue *nodes = json_at(cache->json, "CacheNodes");
    const JsonValue *node;
    for (size_t i = 0; (node = aws_item(nodes, i)) != NULL; i++) {
        LabelsBuilder *labels = group_target(maker);
        Str address = json_str_at(node, "Endpoint.Address");
        if (address.len && json_at(node, "Endpoint.Port"))
            meta_address(labels, address, json_i64_at(node, "Endpoint.Port"));
        label_cluster(labels, cache);
        meta_rows(labels, node, node_rows, COUNT_OF(node_rows), STR_NONE);
        group_add(maker);
    }
}

static bool finish(Round *round, Error *err)
{
    const State *state = round->state;
    GroupMaker maker;
    (void)err;
    group_begin(&maker, round->found, &round->arena, aws_region(round->config));
    for (const Cache *cache = state->first; cache; cache = cache->next) {
        if (cache->is_serverless)
            add_serverless(&maker, cache);
        else
            add_cluster(&maker, cache);
    }
    group_end(&maker);
    return true;
}

const AwsRole aws_role_elasticache = {"elasticache", begin, finish};
