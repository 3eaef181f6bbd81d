// SPDX-License-Identifier: Apache-2.0
// The role rds of aws_sd_configs: the instances of the clusters of Amazon's RDS in one region.
//
//     DescribeDBClusters (all, or each that is named) --> DescribeDBInstances of each cluster --> groups
#include "discovery/discovery_aws.h"

#define CLUSTER "__meta_rds_cluster_"
#define INSTANCE "__meta_rds_instance_"
#define VERSION "Version=2014-10-31&MaxRecords=100"

// A cluster and what is known of its instances.
typedef struct Cluster {
    const JsonValue *json;
    PageList instances;
    struct Cluster *next;
} Cluster;

typedef struct State {
    Cluster *first, **last;
} State;

_Static_assert(sizeof(State) <= AWS_STATE_BYTES, "roles share the size of a state");

static void ask_instances(Round *round, Cluster *cluster, Str marker);

static bool take_instances(Round *round, const Answer *answer, void *arg, Error *err)
{
    Cluster *cluster = arg;
    const JsonValue *result = json_at(answer->json, "DescribeDBInstancesResult");
    const JsonValue *list = json_at(result, "DBInstances");
    const JsonValue *item;
    Str marker = json_str_at(result, "Marker");
    for (size_t i = 0; (item = aws_item(list, i)) != NULL; i++)
        page_list_add(round, &cluster->instances, item);
    if (cluster->instances.count > DISCOVERY_TARGETS_MAX)
        return error_set(err, ERR_LIMIT, "more than %d instances", DISCOVERY_TARGETS_MAX);
    if (marker.len)
        ask_instances(round, cluster, marker);
    return true;
}

static void add_marker(Buf *form, Arena *arena, Str marker)
{
    if (marker.len)
        buf_printf(form, "&Marker=" STR_FMT, STR_ARG(poll_query_escaped(arena, marker)));
}

static void ask_instances(Round *round, Cluster *cluster, Str marker)
{
    const AwsConfig *config = round->config;
    const AwsFilter *filters = config->filters.items;
    Arena *arena = &round->arena;
    CLEANUP(buf_deinit) Buf form = {0};
    buf_printf(&form,
               "Action=DescribeDBInstances&" VERSION "&Filters.Filter.1.Name=db-cluster-id"
               "&Filters.Filter.1.Values.Value.1=" STR_FMT,
               STR_ARG(poll_query_escaped(arena, json_str_at(cluster->json, "DBClusterArn"))));
    for (size_t i = 0; i < config->filters.count; i++) {
        buf_printf(&form, "&Filters.Filter.%zu.Name=" STR_FMT, i + 2,
                   STR_ARG(poll_query_escaped(arena, filters[i].name)));
        for (size_t v = 0; v < filters[i].values.count; v++)
            buf_printf(&form, "&Filters.Filter.%zu.Values.Value.%zu=" STR_FMT, i + 2, v + 1,
                       STR_ARG(poll_query_escaped(arena, filters[i].values.items[v])));
    }
    add_marker(&form, arena, marker);
    aws_ask_query(round, "rds", arena_str(arena, buf_str(&form)), NULL, take_instances, cluster);
}

static void ask_clusters(Round *round, const Str *named, Str marker);

static bool take_clusters(Round *round, const Answer *answer, void *arg, Error *err)
{
    State *state = round->state;
    const Str *named = arg;
    const JsonValue *result = json_at(answer->json, "DescribeDBClustersResult");
    const JsonValue *list = json_at(result, "DBClusters");
    const JsonValue *item;
    Str marker = json_str_at(result, "Marker");
    if (named && !aws_item(list, 0))
        return error_set(err, ERR_NOT_FOUND, "no DB cluster found for ARN " STR_FMT,
                         STR_ARG(*named));
    for (size_t i = 0; (item = aws_item(list, i)) != NULL; i++) {
        Cluster *cluster = ARENA_NEW(&round->arena, Cluster);
        cluster->json = item;
        *state->last = cluster;
        state->last = &cluster->next;
        ask_instances(round, cluster, STR_NONE);
    }
    if (marker.len)
        ask_clusters(round, named, marker);
    return true;
}

// One that is named, or all.
static void ask_clusters(Round *round, const Str *named, Str marker)
{
    Arena *arena = &round->arena;
    CLEANUP(buf_deinit) Buf form = {0};
    buf_add_c(&form, "Action=DescribeDBClusters&" VERSION);
    if (named)
        buf_printf(&form, "&DBClusterIdentifier=" STR_FMT,
                   STR_ARG(poll_query_escaped(arena, *named)));
    add_marker(&form, arena, marker);
    aws_ask_query(round, "rds", arena_str(arena, buf_str(&form)), NULL, take_clusters,
                  (void *)(uintptr_t)named);
}

static bool begin(Round *round, Error *err)
{
    const AwsConfig *config = round->config;
    State *state = round->state;
    (void)err;
    state->last = &state->first;
    for (size_t i = 0; i < config->clusters.count; i++)
        ask_clusters(round, &config->clusters.items[i], STR_NONE);
    if (config->clusters.count == 0)
        ask_clusters(round, NULL, STR_NONE);
    return true;
}

static const MetaRow cluster_rows[] = {
    {CLUSTER "arn", "DBClusterArn", META_TEXT},
    {CLUSTER "identifier", "DBClusterIdentifier", META_TEXT},
    {CLUSTER "activity_stream_kinesis_stream_name", "ActivityStreamKinesisStreamName", META_TEXT},
    {CLUSTER "activity_stream_kms_key_id", "ActivityStreamKmsKeyId", META_TEXT},
    {CLUSTER "activity_stream_mode", "ActivityStreamMode", META_TEXT},
    {CLUSTER "activity_stream_status", "ActivityStreamStatus", META_TEXT},
    {CLUSTER "allocated_storage", "AllocatedStorage", META_TEXT},
    {CLUSTER "auto_minor_version_upgrade", "AutoMinorVersionUpgrade", META_TEXT},
    {CLUSTER "automatic_restart_time", "AutomaticRestartTime", META_TIME},
    {CLUSTER "aws_backup_recovery_point_arn", "AwsBackupRecoveryPointArn", META_TEXT},
    {CLUSTER "backtrack_consumed_change_records", "BacktrackConsumedChangeRecords", META_TEXT},
    {CLUSTER "backtrack_window", "BacktrackWindow", META_TEXT},
    {CLUSTER "backup_retention_period", "BackupRetentionPeriod", META_TEXT},
    {CLUSTER "capacity", "Capacity", META_TEXT},
    {CLUSTER "character_set_name", "CharacterSetName", META_TEXT},
    {CLUSTER "clone_group_id", "CloneGroupId", META_TEXT},
    {CLUSTER "cluster_create_time", "ClusterCreateTime", META_TIME},
    {CLUSTER "cluster_scalability_type", "ClusterScalabilityType", META_TEXT},
    {CLUSTER "copy_tags_to_snapshot", "CopyTagsToSnapshot", META_TEXT},
    {CLUSTER "cross_account_clone", "CrossAccountClone", META_TEXT},
    {CLUSTER "instance_class", "DBClusterInstanceClass", META_TEXT},
    {CLUSTER "parameter_group", "DBClusterParameterGroup", META_TEXT},
    {CLUSTER "subnet_group", "DBSubnetGroup", META_TEXT},
    {CLUSTER "db_system_id", "DBSystemId", META_TEXT},
    {CLUSTER "database_insights_mode", "DatabaseInsightsMode", META_TEXT},
    {CLUSTER "database_name", "DatabaseName", META_TEXT},
    {CLUSTER "resource_id", "DbClusterResourceId", META_TEXT},
    {CLUSTER "deletion_protection", "DeletionProtection", META_TEXT},
    {CLUSTER "earliest_backtrack_time", "EarliestBacktrackTime", META_TIME},
    {CLUSTER "earliest_restorable_time", "EarliestRestorableTime", META_TIME},
    {CLUSTER "endpoint", "Endpoint", META_TEXT},
    {CLUSTER "engine", "Engine", META_TEXT},
    {CLUSTER "engine_lifecycle_support", "EngineLifecycleSupport", META_TEXT},
    {CLUSTER "engine_mode", "EngineMode", META_TEXT},
    {CLUSTER "engine_version", "EngineVersion", META_TEXT},
    {CLUSTER "global_cluster_identifier", "GlobalClusterIdentifier", META_TEXT},
    {CLUSTER "global_write_forwarding_requested", "GlobalWriteForwardingRequested", META_TEXT},
    {CLUSTER "global_write_forwarding_status", "GlobalWriteForwardingStatus", META_TEXT},
    {CLUSTER "hosted_zone_id", "HostedZoneId", META_TEXT},
    {CLUSTER "http_endpoint_enabled", "HttpEndpointEnabled", META_TEXT},
    {CLUSTER "iam_database_authentication_enabled", "IAMDatabaseAuthenticationEnabled", META_TEXT},
    {CLUSTER "io_optimized_next_allowed_modification_time",
     "IOOptimizedNextAllowedModificationTime", META_TIME},
    {CLUSTER "iops", "Iops", META_TEXT},
    {CLUSTER "kms_key_id", "KmsKeyId", META_TEXT},
    {CLUSTER "latest_restorable_time", "LatestRestorableTime", META_TIME},
    {CLUSTER "local_write_forwarding_status", "LocalWriteForwardingStatus", META_TEXT},
    {CLUSTER "master_username", "MasterUsername", META_TEXT},
    {CLUSTER "monitoring_interval", "MonitoringInterval", META_TEXT},
    {CLUSTER "monitoring_role_arn", "MonitoringRoleArn", META_TEXT},
    {CLUSTER "multi_az", "MultiAZ", META_TEXT},
    {CLUSTER "network_type", "NetworkType", META_TEXT},
    {CLUSTER "percent_progress", "PercentProgress", META_TEXT},
    {CLUSTER "performance_insights_enabled", "PerformanceInsightsEnabled", META_TEXT},
    {CLUSTER "performance_insights_kms_key_id", "PerformanceInsightsKMSKeyId", META_TEXT},
    {CLUSTER "performance_insights_retention_period", "PerformanceInsightsRetentionPeriod",
     META_TEXT},
    {CLUSTER "port", "Port", META_TEXT},
    {CLUSTER "preferred_backup_window", "PreferredBackupWindow", META_TEXT},
    {CLUSTER "preferred_maintenance_window", "PreferredMaintenanceWindow", META_TEXT},
    {CLUSTER "publicly_accessible", "PubliclyAccessible", META_TEXT},
    {CLUSTER "reader_endpoint", "ReaderEndpoint", META_TEXT},
    {CLUSTER "replication_source_identifier", "ReplicationSourceIdentifier", META_TEXT},
    {CLUSTER "serverless_v2_platform_version", "ServerlessV2PlatformVersion", META_TEXT},
    {CLUSTER "status", "Status", META_TEXT},
    {CLUSTER "storage_encrypted", "StorageEncrypted", META_TEXT},
    {CLUSTER "storage_encryption_type", "StorageEncryptionType", META_TEXT},
    {CLUSTER "storage_throughput", "StorageThroughput", META_TEXT},
    {CLUSTER "storage_type", "StorageType", META_TEXT},
    {CLUSTER "upgrade_rollout_order", "UpgradeRolloutOrder", META_TEXT},
};

static const MetaRow instance_rows[] = {
    {INSTANCE "arn", "DBInstanceArn", META_TEXT},
    {INSTANCE "identifier", "DBInstanceIdentifier", META_TEXT},
    {INSTANCE "activity_stream_engine_native_audit_fields_included",
     "ActivityStreamEngineNativeAuditFieldsIncluded", META_TEXT},
    {INSTANCE "activity_stream_kinesis_stream_name", "ActivityStreamKinesisStreamName", META_TEXT},
    {INSTANCE "activity_stream_kms_key_id", "ActivityStreamKmsKeyId", META_TEXT},
    {INSTANCE "activity_stream_mode", "ActivityStreamMode", META_TEXT},
    {INSTANCE "activity_stream_policy_status", "ActivityStreamPolicyStatus", META_TEXT},
    {INSTANCE "activity_stream_status", "ActivityStreamStatus", META_TEXT},
    {INSTANCE "allocated_storage", "AllocatedStorage", META_TEXT},
    {INSTANCE "auto_minor_version_upgrade", "AutoMinorVersionUpgrade", META_TEXT},
    {INSTANCE "automatic_restart_time", "AutomaticRestartTime", META_TIME},
    {INSTANCE "automation_mode", "AutomationMode", META_TEXT},
    {INSTANCE "availability_zone", "AvailabilityZone", META_TEXT},
    {INSTANCE "aws_backup_recovery_point_arn", "AwsBackupRecoveryPointArn", META_TEXT},
    {INSTANCE "backup_retention_period", "BackupRetentionPeriod", META_TEXT},
    {INSTANCE "backup_target", "BackupTarget", META_TEXT},
    {INSTANCE "ca_certificate_identifier", "CACertificateIdentifier", META_TEXT},
    {INSTANCE "character_set_name", "CharacterSetName", META_TEXT},
    {INSTANCE "copy_tags_to_snapshot", "CopyTagsToSnapshot", META_TEXT},
    {INSTANCE "custom_iam_instance_profile", "CustomIamInstanceProfile", META_TEXT},
    {INSTANCE "customer_owned_ip_enabled", "CustomerOwnedIpEnabled", META_TEXT},
    {INSTANCE "db_cluster_identifier", "DBClusterIdentifier", META_TEXT},
    {INSTANCE "class", "DBInstanceClass", META_TEXT},
    {INSTANCE "status", "DBInstanceStatus", META_TEXT},
    {INSTANCE "db_name", "DBName", META_TEXT},
    {INSTANCE "port", "DbInstancePort", META_TEXT},
    {INSTANCE "resource_id", "DbiResourceId", META_TEXT},
    {INSTANCE "dedicated_log_volume", "DedicatedLogVolume", META_TEXT},
    {INSTANCE "deletion_protection", "DeletionProtection", META_TEXT},
    {INSTANCE "endpoint_address", "Endpoint.Address", META_TEXT},
    {INSTANCE "endpoint_hosted_zone_id", "Endpoint.HostedZoneId", META_TEXT},
    {INSTANCE "endpoint_port", "Endpoint.Port", META_TEXT},
    {INSTANCE "engine", "Engine", META_TEXT},
    {INSTANCE "engine_lifecycle_support", "EngineLifecycleSupport", META_TEXT},
    {INSTANCE "engine_version", "EngineVersion", META_TEXT},
    {INSTANCE "enhanced_monitoring_resource_arn", "EnhancedMonitoringResourceArn", META_TEXT},
    {INSTANCE "iam_database_authentication_enabled", "IAMDatabaseAuthenticationEnabled", META_TEXT},
    {INSTANCE "instance_create_time", "InstanceCreateTime", META_TIME},
    {INSTANCE "iops", "Iops", META_TEXT},
    {INSTANCE "is_storage_config_upgrade_available", "IsStorageConfigUpgradeAvailable", META_TEXT},
    {INSTANCE "kms_key_id", "KmsKeyId", META_TEXT},
    {INSTANCE "latest_restorable_time", "LatestRestorableTime", META_TIME},
    {INSTANCE "license_model", "LicenseModel", META_TEXT},
    {INSTANCE "listener_endpoint_address", "ListenerEndpoint.Address", META_TEXT},
    {INSTANCE "listener_endpoint_hosted_zone_id", "ListenerEndpoint.HostedZoneId", META_TEXT},
    {INSTANCE "listener_endpoint_port", "ListenerEndpoint.Port", META_TEXT},
    {INSTANCE "master_username", "MasterUsername", META_TEXT},
    {INSTANCE "max_allocated_storage", "MaxAllocatedStorage", META_TEXT},
    {INSTANCE "monitoring_interval", "MonitoringInterval", META_TEXT},
    {INSTANCE "monitoring_role_arn", "MonitoringRoleArn", META_TEXT},
    {INSTANCE "multi_az", "MultiAZ", META_TEXT},
    {INSTANCE "multi_tenant", "MultiTenant", META_TEXT},
    {INSTANCE "nchar_character_set_name", "NcharCharacterSetName", META_TEXT},
    {INSTANCE "network_type", "NetworkType", META_TEXT},
    {INSTANCE "percent_progress", "PercentProgress", META_TEXT},
    {INSTANCE "performance_insights_enabled", "PerformanceInsightsEnabled", META_TEXT},
    {INSTANCE "performance_insights_kms_key_id", "PerformanceInsightsKMSKeyId", META_TEXT},
    {INSTANCE "performance_insights_retention_period", "PerformanceInsightsRetentionPeriod",
     META_TEXT},
    {INSTANCE "preferred_backup_window", "PreferredBackupWindow", META_TEXT},
    {INSTANCE "preferred_maintenance_window", "PreferredMaintenanceWindow", META_TEXT},
    {INSTANCE "promotion_tier", "PromotionTier", META_TEXT},
    {INSTANCE "publicly_accessible", "PubliclyAccessible", META_TEXT},
    {INSTANCE "read_replica_source_db_cluster_identifier", "ReadReplicaSourceDBClusterIdentifier",
     META_TEXT},
    {INSTANCE "read_replica_source_db_instance_identifier", "ReadReplicaSourceDBInstanceIdentifier",
     META_TEXT},
    {INSTANCE "replica_mode", "ReplicaMode", META_TEXT},
    {INSTANCE "resume_full_automation_mode_time", "ResumeFullAutomationModeTime", META_TIME},
    {INSTANCE "secondary_availability_zone", "SecondaryAvailabilityZone", META_TEXT},
    {INSTANCE "storage_encrypted", "StorageEncrypted", META_TEXT},
    {INSTANCE "storage_encryption_type", "StorageEncryptionType", META_TEXT},
    {INSTANCE "storage_throughput", "StorageThroughput", META_TEXT},
    {INSTANCE "storage_type", "StorageType", META_TEXT},
    {INSTANCE "storage_volume_status", "StorageVolumeStatus", META_TEXT},
    {INSTANCE "tde_credential_arn", "TdeCredentialArn", META_TEXT},
    {INSTANCE "timezone", "Timezone", META_TEXT},
    {INSTANCE "upgrade_rollout_order", "UpgradeRolloutOrder", META_TEXT},
    {INSTANCE "subnet_group", "DBSubnetGroup.DBSubnetGroupName", META_TEXT},
    {INSTANCE "db_system_id", "DBSystemId", META_TEXT},
    {INSTANCE "database_insights_mode", "DatabaseInsightsMode", META_TEXT},
};

// Whether the cluster says that an instance writes; nothing if it does not speak of it.
static void label_writer(LabelsBuilder *labels, const JsonValue *cluster, Str instance)
{
    const JsonValue *members = json_at(cluster, "DBClusterMembers");
    const JsonValue *item;
    for (size_t i = 0; (item = aws_item(members, i)) != NULL; i++)
        if (str_equal(json_str_at(item, "DBInstanceIdentifier"), instance) &&
            json_at(item, "IsClusterWriter"))
            meta_set_bool(labels, INSTANCE "is_cluster_writer",
                          json_bool_at(item, "IsClusterWriter"));
}

static void add_instance(const Round *round, GroupMaker *maker, const JsonValue *cluster,
                         const JsonValue *instance)
{
    const AwsConfig *config = round->config;
    LabelsBuilder *labels = group_target(maker);
    Str address = json_str_at(instance, "Endpoint.Address");
    if (address.len && json_at(instance, "Endpoint.Port"))
        meta_address(labels, address, config->port);
    meta_rows(labels, cluster, cluster_rows, COUNT_OF(cluster_rows), STR_NONE);
    meta_rows(labels, instance, instance_rows, COUNT_OF(instance_rows), STR_NONE);
    label_writer(labels, cluster, json_str_at(instance, "DBInstanceIdentifier"));
    aws_tags(labels, CLUSTER "tag_", json_at(cluster, "TagList"), "Key", "Value");
    aws_tags(labels, INSTANCE "tag_", json_at(instance, "TagList"), "Key", "Value");
    group_add(maker);
}

static bool finish(Round *round, Error *err)
{
    const State *state = round->state;
    GroupMaker maker;
    (void)err;
    group_begin(&maker, round->found, &round->arena, aws_region(round->config));
    for (const Cluster *cluster = state->first; cluster; cluster = cluster->next)
        for (size_t i = 0; i < cluster->instances.count; i++)
            add_instance(round, &maker, cluster->json, cluster->instances.items[i]);
    group_end(&maker);
    return true;
}

const AwsRole aws_role_rds = {"rds", begin, finish};
