// SPDX-License-Identifier: Apache-2.0
// The kinds that need a token or signatures first; see discovery_clouds_test.c for the paths.
#include "discovery/discovery_azure.h"
#include "discovery/discovery_rig.h"

#define EC2_ZONES                                                                                  \
    {                                                                                              \
        .request = "POST /ec2.eu-west-1.amazonaws.com/",                                           \
        .has = "Action=DescribeAvailabilityZones&Version=2016-11-15",                              \
        .reply = "<DescribeAvailabilityZonesResponse><availabilityZoneInfo><item>"                 \
                 "<zoneName>eu-west-1a</zoneName><zoneId>euw1-az3</zoneId></item>"                 \
                 "</availabilityZoneInfo></DescribeAvailabilityZonesResponse>"                     \
    }
#define EC2_LABELS                                                                                 \
    "10.0.0.1:9100{__meta_ec2_ami=\"ami-1\", __meta_ec2_architecture=\"x86_64\", "                 \
    "__meta_ec2_availability_zone=\"eu-west-1a\", "                                                \
    "__meta_ec2_availability_zone_id=\"euw1-az3\", "                                               \
    "__meta_ec2_default_ipv6_address=\"2001::2\", __meta_ec2_instance_id=\"i-1\", "                \
    "__meta_ec2_instance_lifecycle=\"spot\", __meta_ec2_instance_state=\"running\", "              \
    "__meta_ec2_instance_type=\"t3.nano\", __meta_ec2_ipv6_addresses=\",2001::1,2001::2,\", "      \
    "__meta_ec2_owner_id=\"42\", __meta_ec2_platform=\"windows\", "                                \
    "__meta_ec2_primary_ipv6_addresses=\",,2001::2,\", __meta_ec2_primary_subnet_id=\"s-1\", "     \
    "__meta_ec2_private_dns_name=\"in.x\", __meta_ec2_private_ip=\"10.0.0.1\", "                   \
    "__meta_ec2_public_dns_name=\"out.x\", __meta_ec2_public_ip=\"1.2.3.4\", "                     \
    "__meta_ec2_region=\"eu-west-1\", __meta_ec2_subnet_id=\",s-1,s-2,\", "                        \
    "__meta_ec2_tag_a_b=\"c\", __meta_ec2_vpc_id=\"v\"}\n"                                         \
    "[2001::9]:9100{__meta_ec2_default_ipv6_address=\"2001::9\", __meta_ec2_instance_id=\"i-2\", " \
    "__meta_ec2_ipv6_addresses=\",2001::9,\", __meta_ec2_owner_id=\"43\", "                        \
    "__meta_ec2_primary_subnet_id=\"s-9\", __meta_ec2_region=\"eu-west-1\", "                      \
    "__meta_ec2_subnet_id=\",s-9,\", __meta_ec2_vpc_id=\"v\"}\n"

static const RigRoute ec2_routes[] = {
    EC2_ZONES,
    {.request = "POST /ec2.eu-west-1.amazonaws.com/",
     .has = "Action=DescribeInstances&Version=2016-11-15&Filter.1.Name=tag%3Aa"
            "&Filter.1.Value.1=b&Filter.1.Value.2=c+d&NextToken=t%2F1",
     .reply = "<DescribeInstancesResponse><reservationSet><item><ownerId>43</ownerId>"
              "<instancesSet><item><instanceId>i-2</instanceId><vpcId>v</vpcId>"
              "<subnetId>s-9</subnetId><networkInterfaceSet><item><subnetId>s-9</subnetId>"
              "<attachment><deviceIndex>0</deviceIndex></attachment><ipv6AddressesSet><item>"
              "<ipv6Address>2001::9</ipv6Address><isPrimaryIpv6>false</isPrimaryIpv6></item>"
              "</ipv6AddressesSet></item></networkInterfaceSet></item>"
              "<item><instanceId>i-without</instanceId></item></instancesSet></item>"
              "</reservationSet></DescribeInstancesResponse>"},
    {.request = "POST /ec2.eu-west-1.amazonaws.com/",
     .has = "Action=DescribeInstances&Version=2016-11-15&Filter.1.Name=tag%3Aa"
            "&Filter.1.Value.1=b&Filter.1.Value.2=c+d",
     .header = "Authorization: AWS4-HMAC-SHA256 Credential=AKIA/*",
     .reply =
         "<?xml version=\"1.0\"?><DescribeInstancesResponse xmlns=\"http://ec2\"><reservationSet>"
         "<item><ownerId>42</ownerId><instancesSet><item><instanceId>i-1</instanceId>"
         "<imageId>ami-1</imageId><instanceState><code>16</code><name>running</name>"
         "</instanceState><privateDnsName>in.x</privateDnsName><dnsName>out.x</dnsName>"
         "<instanceType>t3.nano</instanceType><placement><availabilityZone>eu-west-1a"
         "</availabilityZone></placement><platform>windows</platform><subnetId>s-1</subnetId>"
         "<vpcId>v</vpcId><privateIpAddress>10.0.0.1</privateIpAddress>"
         "<ipAddress>1.2.3.4</ipAddress><architecture>x86_64</architecture>"
         "<instanceLifecycle>spot</instanceLifecycle><tagSet><item><key>a b</key>"
         "<value>c</value></item></tagSet><networkInterfaceSet><item><subnetId>s-1</subnetId>"
         "<attachment><deviceIndex>0</deviceIndex></attachment><ipv6AddressesSet><item>"
         "<ipv6Address>2001::1</ipv6Address><isPrimaryIpv6>false</isPrimaryIpv6></item>"
         "</ipv6AddressesSet></item><item><subnetId>s-2</subnetId><attachment>"
         "<deviceIndex>1</deviceIndex></attachment><ipv6AddressesSet><item>"
         "<ipv6Address>2001::2</ipv6Address><isPrimaryIpv6>true</isPrimaryIpv6></item>"
         "</ipv6AddressesSet></item><item><subnetId>s-1</subnetId></item></networkInterfaceSet>"
         "</item></instancesSet></item></reservationSet><nextToken>t/1</nextToken>"
         "</DescribeInstancesResponse>"},
};

#define EC2_BLOCK                                                                                  \
    "region: eu-west-1, access_key: AKIA, secret_key: s, port: 9100, "                             \
    "filters: [{name: 'tag:a', values: [b, c d]}]}]"

TEST(vendors, ec2)
{
    static const RigCase c = {"ec2", "ec2_sd_configs: [{" EC2_BLOCK, ec2_routes,
                              COUNT_OF(ec2_routes), EC2_LABELS};
    rig_check(&c);
}

TEST(vendors, aws_with_the_role_ec2)
{
    static const RigCase c = {"aws", "aws_sd_configs: [{role: ec2, " EC2_BLOCK, ec2_routes,
                              COUNT_OF(ec2_routes), EC2_LABELS};
    rig_check(&c);
}

TEST(vendors, aws_with_the_role_rds)
{
    static const RigRoute routes[] = {
        {.request = "POST /rds.us-east-1.amazonaws.com/",
         .has = "Action=DescribeDBClusters&Version=2014-10-31&MaxRecords=100"
                "&DBClusterIdentifier=arn%3Ac",
         .reply =
             "<R><DescribeDBClustersResult><DBClusters><DBCluster><DBClusterArn>arn:c"
             "</DBClusterArn><Engine>aurora</Engine><ClusterCreateTime>2024-01-02T03:04:05.678Z"
             "</ClusterCreateTime><MultiAZ>true</MultiAZ><Port>3306</Port><DBClusterMembers>"
             "<DBClusterMember><DBInstanceIdentifier>i</DBInstanceIdentifier>"
             "<IsClusterWriter>true</IsClusterWriter></DBClusterMember></DBClusterMembers>"
             "<TagList><Tag><Key>a b</Key><Value>c</Value></Tag></TagList></DBCluster>"
             "</DBClusters></DescribeDBClustersResult></R>"},
        {.request = "POST /rds.us-east-1.amazonaws.com/",
         .has = "Action=DescribeDBInstances&Version=2014-10-31&MaxRecords=100"
                "&Filters.Filter.1.Name=db-cluster-id&Filters.Filter.1.Values.Value.1=arn%3Ac"
                "&Filters.Filter.2.Name=engine&Filters.Filter.2.Values.Value.1=x&Marker=m",
         .reply = "<R><DescribeDBInstancesResult><DBInstances></DBInstances>"
                  "</DescribeDBInstancesResult></R>"},
        {.request = "POST /rds.us-east-1.amazonaws.com/",
         .has = "Action=DescribeDBInstances&Version=2014-10-31",
         .reply = "<R><DescribeDBInstancesResult><Marker>m</Marker><DBInstances><DBInstance>"
                  "<DBInstanceIdentifier>i</DBInstanceIdentifier><DBInstanceClass>db.r5"
                  "</DBInstanceClass><Endpoint><Address>i.x</Address><Port>3306</Port></Endpoint>"
                  "<DBSubnetGroup><DBSubnetGroupName>sub</DBSubnetGroupName></DBSubnetGroup>"
                  "</DBInstance></DBInstances></DescribeDBInstancesResult></R>"},
    };
    static const RigCase c = {
        "rds",
        "aws_sd_configs: [{role: rds, region: us-east-1, access_key: a, secret_key: s, port: 9104, "
        "clusters: ['arn:c'], filters: [{name: engine, values: [x]}]}]",
        routes, COUNT_OF(routes),
        "i.x:9104{__meta_rds_cluster_arn=\"arn:c\", "
        "__meta_rds_cluster_cluster_create_time=\"2024-01-02T03:04:05Z\", "
        "__meta_rds_cluster_engine=\"aurora\", __meta_rds_cluster_multi_az=\"true\", "
        "__meta_rds_cluster_port=\"3306\", __meta_rds_cluster_tag_a_b=\"c\", "
        "__meta_rds_instance_class=\"db.r5\", __meta_rds_instance_endpoint_address=\"i.x\", "
        "__meta_rds_instance_endpoint_port=\"3306\", __meta_rds_instance_identifier=\"i\", "
        "__meta_rds_instance_is_cluster_writer=\"true\", "
        "__meta_rds_instance_subnet_group=\"sub\"}\n"};
    rig_check(&c);
}

TEST(vendors, aws_with_the_role_msk)
{
    static const RigRoute routes[] = {
        {.request =
             "GET /kafka.us-east-1.amazonaws.com/api/v2/clusters?clusterTypeFilter=PROVISIONED"
             "&maxResults=100",
         .header = "Authorization: AWS4-HMAC-SHA256 Credential=a/*",
         .reply = "{\"clusterInfoList\": [{\"clusterName\": \"c\", \"clusterArn\": \"arn:k/c\","
                  " \"state\": \"ACTIVE\", \"clusterType\": \"PROVISIONED\", \"currentVersion\":"
                  " \"K1\", \"tags\": {\"a-b\": \"t\"}, \"provisioned\":"
                  " {\"currentBrokerSoftwareInfo\": {\"kafkaVersion\": \"3.5\","
                  " \"configurationRevision\": 2}, \"openMonitoring\": {\"prometheus\":"
                  " {\"jmxExporter\": {\"enabledInBroker\": true}, \"nodeExporter\":"
                  " {\"enabledInBroker\": false}}}}}]}"},
        {.request = "GET /kafka.us-east-1.amazonaws.com/v1/clusters/arn%3Ak%2Fc/nodes"
                    "?maxResults=100",
         .reply = "{\"nodeInfoList\": [{\"nodeARN\": \"arn:n\", \"addedToClusterTime\":"
                  " \"2024-01-02T03:04:05.678Z\", \"instanceType\": \"m5\", \"brokerNodeInfo\":"
                  " {\"attachedENIId\": \"eni\", \"brokerId\": 1.0, \"clientSubnet\": \"s\","
                  " \"clientVpcIpAddress\": \"10.0.0.1\", \"endpoints\": [\"b-1.x\"]}}],"
                  " \"nextToken\": \"n/1\"}"},
        {.request = "GET /kafka.us-east-1.amazonaws.com/v1/clusters/arn%3Ak%2Fc/nodes"
                    "?maxResults=100&nextToken=n%2F1",
         .reply = "{\"nodeInfoList\": [{\"nodeARN\": \"arn:m\", \"controllerNodeInfo\":"
                  " {\"endpoints\": [\"c-1.x\"]}}]}"},
    };
#define MSK_CLUSTER                                                                                \
    "__meta_msk_cluster_arn=\"arn:k/c\", __meta_msk_cluster_configuration_revision=\"2\", "        \
    "__meta_msk_cluster_jmx_exporter_enabled=\"true\", "                                           \
    "__meta_msk_cluster_kafka_version=\"3.5\", __meta_msk_cluster_name=\"c\", "                    \
    "__meta_msk_cluster_state=\"ACTIVE\", __meta_msk_cluster_tag_a_b=\"t\", "                      \
    "__meta_msk_cluster_type=\"PROVISIONED\", __meta_msk_cluster_version=\"K1\", "
    static const RigCase c = {
        "msk",
        "aws_sd_configs: [{role: msk, region: us-east-1, access_key: a, secret_key: s, port: "
        "11001}]",
        routes, COUNT_OF(routes),
        "b-1.x:11001{__meta_msk_broker_client_subnet=\"s\", "
        "__meta_msk_broker_client_vpc_ip=\"10.0.0.1\", __meta_msk_broker_endpoint_index=\"0\", "
        "__meta_msk_broker_id=\"1\", "
        "__meta_msk_broker_node_exporter_enabled=\"false\", " MSK_CLUSTER
        "__meta_msk_node_added_time=\"2024-01-02T03:04:05.678Z\", __meta_msk_node_arn=\"arn:n\", "
        "__meta_msk_node_attached_eni=\"eni\", __meta_msk_node_instance_type=\"m5\", "
        "__meta_msk_node_type=\"BROKER\"}\n"
        "c-1.x:11001{" MSK_CLUSTER
        "__meta_msk_controller_endpoint_index=\"0\", __meta_msk_node_arn=\"arn:m\", "
        "__meta_msk_node_type=\"CONTROLLER\"}\n"};
    rig_check(&c);
}

TEST(vendors, aws_with_the_role_elasticache)
{
#define ELASTICACHE "POST /elasticache.us-east-1.amazonaws.com/"
    static const RigRoute routes[] = {
        {.request = ELASTICACHE,
         .has = "Action=DescribeServerlessCaches&Version=2015-02-02&MaxResults=50"
                "&ServerlessCacheName=sl",
         .reply = "<R><DescribeServerlessCachesResult><ServerlessCaches><member><ARN>arn:s</ARN>"
                  "<ServerlessCacheName>sl</ServerlessCacheName><Endpoint><Address>sl.x</Address>"
                  "<Port>6379</Port></Endpoint><SecurityGroupIds><SecurityGroupId>sg-1"
                  "</SecurityGroupId><SecurityGroupId>sg-2</SecurityGroupId></SecurityGroupIds>"
                  "</member></ServerlessCaches></DescribeServerlessCachesResult></R>"},
        {.request = ELASTICACHE,
         .has = "ShowCacheClustersNotInReplicationGroups=false",
         .reply = "<R><DescribeCacheClustersResult><CacheClusters/></DescribeCacheClustersResult>"
                  "</R>"},
        {.request = ELASTICACHE,
         .has = "ShowCacheNodeInfo=true&ShowCacheClustersNotInReplicationGroups=true&Marker=m",
         .reply = "<R><DescribeCacheClustersResult><CacheClusters/></DescribeCacheClustersResult>"
                  "</R>"},
        {.request = ELASTICACHE,
         .has = "ShowCacheNodeInfo=true&ShowCacheClustersNotInReplicationGroups=true",
         .reply = "<R><DescribeCacheClustersResult><Marker>m</Marker><CacheClusters><CacheCluster>"
                  "<ARN>arn:c</ARN><CacheClusterId>cc</CacheClusterId><CacheClusterCreateTime>"
                  "2024-01-02T03:04:05.678Z</CacheClusterCreateTime><SecurityGroups><member>"
                  "<SecurityGroupId>sg</SecurityGroupId><Status>active</Status></member>"
                  "</SecurityGroups><CacheNodes><CacheNode><CacheNodeId>0001</CacheNodeId>"
                  "<Endpoint><Address>n.x</Address><Port>11211</Port></Endpoint></CacheNode>"
                  "</CacheNodes></CacheCluster></CacheClusters></DescribeCacheClustersResult></R>"},
        {.request = ELASTICACHE,
         .has = "Action=ListTagsForResource&Version=2015-02-02&ResourceName=arn%3Ac",
         .reply = "<R><ListTagsForResourceResult><TagList><Tag><Key>a b</Key><Value>c</Value></Tag>"
                  "</TagList></ListTagsForResourceResult></R>"},
        {.request = ELASTICACHE,
         .has = "ResourceName=arn%3As",
         .reply = "<R><ListTagsForResourceResult><TagList/></ListTagsForResourceResult></R>"},
    };
    static const RigCase c = {
        "elasticache",
        "aws_sd_configs: [{role: elasticache, region: us-east-1, access_key: a, secret_key: s, "
        "clusters: ['arn:aws:elasticache:us-east-1:1:serverlesscache:sl']}]",
        routes, COUNT_OF(routes),
        "sl.x:6379{__meta_elasticache_deployment_option=\"serverless\", "
        "__meta_elasticache_serverless_cache_arn=\"arn:s\", "
        "__meta_elasticache_serverless_cache_endpoint_address=\"sl.x\", "
        "__meta_elasticache_serverless_cache_endpoint_port=\"6379\", "
        "__meta_elasticache_serverless_cache_name=\"sl\", "
        "__meta_elasticache_serverless_cache_security_group_id_0=\"sg-1\", "
        "__meta_elasticache_serverless_cache_security_group_id_1=\"sg-2\"}\n"
        "n.x:11211{__meta_elasticache_cache_cluster_arn=\"arn:c\", "
        "__meta_elasticache_cache_cluster_cache_cluster_create_time=\"2024-01-02T03:04:05Z\", "
        "__meta_elasticache_cache_cluster_cache_cluster_id=\"cc\", "
        "__meta_elasticache_cache_cluster_node_endpoint_address=\"n.x\", "
        "__meta_elasticache_cache_cluster_node_endpoint_port=\"11211\", "
        "__meta_elasticache_cache_cluster_node_id=\"0001\", "
        "__meta_elasticache_cache_cluster_security_group_membership_id_0=\"sg\", "
        "__meta_elasticache_cache_cluster_security_group_membership_status_0=\"active\", "
        "__meta_elasticache_cache_cluster_tag_a_b=\"c\", "
        "__meta_elasticache_deployment_option=\"node\"}\n"};
    rig_check(&c);
}

TEST(vendors, lightsail)
{
    static const RigRoute routes[] = {
        {.request = "POST /lightsail.us-east-1.amazonaws.com/",
         .header = "X-Amz-Target: Lightsail_20161128.GetInstances",
         .has = "{}",
         .reply = "{\"instances\": [{\"name\": \"n\", \"privateIpAddress\": \"172.26.0.1\","
                  " \"publicIpAddress\": \"1.2.3.4\", \"ipv6Addresses\": [\"2600::1\"],"
                  " \"location\": {\"availabilityZone\": \"us-east-1a\"}, \"blueprintId\":"
                  " \"debian\", \"bundleId\": \"nano\", \"state\": {\"name\": \"running\"},"
                  " \"supportCode\": \"sc\", \"tags\": [{\"key\": \"a-b\", \"value\": \"c\"},"
                  " {\"key\": \"only\"}]}, {\"name\": \"off\"}], \"nextPageToken\": \"tk\"}"},
        {.request = "POST /lightsail.us-east-1.amazonaws.com/",
         .header = "Authorization: AWS4-HMAC-SHA256 Credential=a/*",
         .has = "{\"pageToken\":\"tk\"}",
         .reply = "{\"instances\": [{\"privateIpAddress\": \"172.26.0.2\"}]}"},
    };
    static const RigCase c = {
        "lightsail", "lightsail_sd_configs: [{region: us-east-1, access_key: a, secret_key: s}]",
        routes, COUNT_OF(routes),
        "172.26.0.1:80{__meta_lightsail_availability_zone=\"us-east-1a\", "
        "__meta_lightsail_blueprint_id=\"debian\", __meta_lightsail_bundle_id=\"nano\", "
        "__meta_lightsail_instance_name=\"n\", __meta_lightsail_instance_state=\"running\", "
        "__meta_lightsail_instance_support_code=\"sc\", "
        "__meta_lightsail_ipv6_addresses=\",2600::1,\", "
        "__meta_lightsail_private_ip=\"172.26.0.1\", __meta_lightsail_public_ip=\"1.2.3.4\", "
        "__meta_lightsail_region=\"us-east-1\", __meta_lightsail_tag_a_b=\"c\"}\n"
        "172.26.0.2:80{__meta_lightsail_private_ip=\"172.26.0.2\", "
        "__meta_lightsail_region=\"us-east-1\"}\n"};
    rig_check(&c);
}

TEST(vendors, gce)
{
    static const RigRoute routes[] = {
        {.request = "GET /metadata.google.internal/computeMetadata/v1/instance/service-accounts/"
                    "default/token?scopes=https%3A%2F%2Fwww.googleapis.com%2Fauth%2F"
                    "compute.readonly",
         .header = "Metadata-Flavor: Google",
         .reply = "{\"access_token\": \"ya29\", \"expires_in\": 3599}"},
        {.request = "GET /compute.googleapis.com/compute/v1/projects/p/zones/z/instances?alt=json"
                    "&filter=name%3Da",
         .header = "Authorization: Bearer ya29",
         .reply =
             "{\"items\": [{\"id\": \"8734592387459238745\", \"name\": \"vm\", \"status\":"
             " \"RUNNING\", \"zone\": \"https://z\", \"machineType\": \"https://m\","
             " \"networkInterfaces\": [{\"name\": \"nic0\", \"network\": \"https://n\","
             " \"subnetwork\": \"https://s\", \"networkIP\": \"10.0.0.1\", \"accessConfigs\":"
             " [{\"type\": \"ONE_TO_ONE_NAT\", \"natIP\": \"1.2.3.4\"}]}], \"tags\": {\"items\":"
             " [\"a\", \"b\"]}, \"metadata\": {\"items\": [{\"key\": \"k-1\", \"value\": \"v\"}]},"
             " \"labels\": {\"l-1\": \"w\"}}], \"nextPageToken\": \"t\"}"},
        {.request = "GET /compute.googleapis.com/compute/v1/projects/p/zones/z/instances?alt=json"
                    "&filter=name%3Da&pageToken=t",
         .reply = "{\"kind\": \"empty\"}"},
    };
    static const RigCase c = {
        "gce", "gce_sd_configs: [{project: p, zone: z, filter: name=a}]", routes, COUNT_OF(routes),
        "10.0.0.1:80{__meta_gce_instance_id=\"8734592387459238745\", "
        "__meta_gce_instance_name=\"vm\", __meta_gce_instance_status=\"RUNNING\", "
        "__meta_gce_interface_ipv4_nic0=\"10.0.0.1\", __meta_gce_label_l_1=\"w\", "
        "__meta_gce_machine_type=\"https://m\", __meta_gce_metadata_k_1=\"v\", "
        "__meta_gce_network=\"https://n\", __meta_gce_private_ip=\"10.0.0.1\", "
        "__meta_gce_project=\"p\", __meta_gce_public_ip=\"1.2.3.4\", "
        "__meta_gce_subnetwork=\"https://s\", __meta_gce_tags=\",a,b,\", "
        "__meta_gce_zone=\"https://z\"}\n"};
    unsetenv("GOOGLE_APPLICATION_CREDENTIALS");
    unsetenv("GCE_METADATA_HOST");
    setenv("HOME", "/nonexistent", 1);
    rig_check(&c);
}

#define ARM "/management.azure.com/subscriptions/sub"
#define CARD(primary, private, public)                                                             \
    "{\"properties\": {\"primary\": " primary ", \"ipConfigurations\": [{\"properties\":"          \
    " {\"privateIPAddress\": \"" private "\", \"publicIPAddress\": " public "}}]}}"

TEST(vendors, azure)
{
    static const RigRoute routes[] = {
        {.request = "POST /login.microsoftonline.com/ten/oauth2/v2.0/token",
         .has = "grant_type=client_credentials&client_id=cl&client_secret=se&scope="
                "https%3A%2F%2Fmanagement.core.windows.net%2F.default",
         .reply = "{\"access_token\": \"tok\", \"expires_in\": \"3599\"}"},
        {.request =
             "GET " ARM "/providers/Microsoft.Compute/virtualMachines?api-version=2024-07-01",
         .header = "Authorization: Bearer tok",
         .reply =
             "{\"value\": [{\"id\": \"/subscriptions/sub/resourceGroups/rg/providers/"
             "Microsoft.Compute/virtualMachines/vm\", \"name\": \"vm\", \"location\": \"weu\","
             " \"tags\": {\"a-b\": \"c\"}, \"properties\": {\"osProfile\": {\"computerName\":"
             " \"comp\"}, \"storageProfile\": {\"osDisk\": {\"osType\": \"Linux\"}},"
             " \"hardwareProfile\": {\"vmSize\": \"B1\"}, \"networkProfile\":"
             " {\"networkInterfaces\": [{\"id\": \"/subscriptions/sub/resourceGroups/RG/providers/"
             "Microsoft.Network/networkInterfaces/second\"}, {\"id\": \"/subscriptions/sub/"
             "resourceGroups/RG/providers/Microsoft.Network/networkInterfaces/first\"}]}}}],"
             " \"nextLink\": \"https://management.azure.com/next\"}"},
        {.request = "GET /management.azure.com/next",
         .reply = "{\"value\": [{\"id\": \"/subscriptions/sub/resourceGroups/rg/providers/"
                  "Microsoft.Compute/virtualMachines/gone\", \"name\": \"gone\", \"properties\":"
                  " {\"networkProfile\": {\"networkInterfaces\": [{\"id\": \"/subscriptions/sub/"
                  "resourceGroups/RG/providers/Microsoft.Network/networkInterfaces/none\"}]}}}]}"},
        {.request = "GET " ARM
                    "/providers/Microsoft.Compute/virtualMachineScaleSets?api-version=2024-07-01",
         .reply = "{\"value\": [{\"id\": \"/subscriptions/sub/resourceGroups/srg/providers/"
                  "Microsoft.Compute/virtualMachineScaleSets/set\", \"name\": \"set\"}]}"},
        {.request = "GET " ARM "/resourceGroups/srg/providers/Microsoft.Compute/"
                    "virtualMachineScaleSets/set/virtualMachines?api-version=2024-07-01",
         .reply = "{\"value\": [{\"id\": \"/subscriptions/sub/resourceGroups/SRG/providers/"
                  "Microsoft.Compute/virtualMachineScaleSets/set/virtualMachines/0\", \"name\":"
                  " \"set_0\", \"instanceId\": \"0\", \"properties\": {\"networkProfile\":"
                  " {\"networkInterfaces\": [{\"id\": \"/subscriptions/sub/resourceGroups/SRG/"
                  "providers/Microsoft.Compute/virtualMachineScaleSets/set/virtualMachines/0/"
                  "networkInterfaces/nic\"}]}}}]}"},
        {.request = "GET " ARM "/resourceGroups/RG/providers/Microsoft.Network/networkInterfaces/"
                    "second?$expand=IPConfigurations%2FPublicIPAddress&api-version=2024-05-01",
         .reply = CARD("false", "10.9.9.9", "null")},
        {.request = "GET " ARM "/resourceGroups/RG/providers/Microsoft.Network/networkInterfaces/"
                    "first?$expand=IPConfigurations%2FPublicIPAddress&api-version=2024-05-01",
         .reply = CARD("true", "10.0.0.1", "{\"properties\": {\"ipAddress\": \"1.2.3.4\"}}")},
        {.request = "GET " ARM "/resourceGroups/SRG/providers/microsoft.Compute/"
                    "virtualMachineScaleSets/set/virtualMachines/0/networkInterfaces/nic"
                    "?$expand=IPConfigurations%2FPublicIPAddress&api-version=2018-10-01",
         .reply = CARD("true", "10.0.0.2", "null")},
    };
    Rig rig;
    rig_init(&rig, routes, COUNT_OF(routes));

    static const RigCase c = {
        "azure",
        "azure_sd_configs: [{subscription_id: sub, tenant_id: ten, client_id: "
        "cl, client_secret: se, refresh_interval: 100ms}]",
        routes, COUNT_OF(routes), NULL};
    rig_apply(&rig, c.config);

    CHECK(rig_wait(
        &rig,
        "10.0.0.1:80{__meta_azure_machine_computer_name=\"comp\", "
        "__meta_azure_machine_id=\"/subscriptions/sub/resourceGroups/rg/providers/"
        "Microsoft.Compute/virtualMachines/vm\", __meta_azure_machine_location=\"weu\", "
        "__meta_azure_machine_name=\"vm\", __meta_azure_machine_os_type=\"Linux\", "
        "__meta_azure_machine_private_ip=\"10.0.0.1\", "
        "__meta_azure_machine_public_ip=\"1.2.3.4\", "
        "__meta_azure_machine_resource_group=\"rg\", __meta_azure_machine_size=\"B1\", "
        "__meta_azure_machine_tag_a_b=\"c\", __meta_azure_subscription_id=\"sub\", "
        "__meta_azure_tenant_id=\"ten\"}\n"
        "10.0.0.2:80{__meta_azure_machine_id=\"/subscriptions/sub/resourceGroups/SRG/providers/"
        "Microsoft.Compute/virtualMachineScaleSets/set/virtualMachines/0\", "
        "__meta_azure_machine_name=\"set_0\", __meta_azure_machine_private_ip=\"10.0.0.2\", "
        "__meta_azure_machine_resource_group=\"SRG\", __meta_azure_machine_scale_set=\"set\", "
        "__meta_azure_subscription_id=\"sub\", __meta_azure_tenant_id=\"ten\"}\n"));
    // The next round asks for the card that was not there alone.
    CHECK(rig_wait_metric(&rig, "prometheus_sd_azure_cache_hit_total 3+"));
    CHECK(rig_wait_metric(&rig, "prometheus_sd_azure_failures_total 0\n"));
    rig_deinit(&rig);
    rig_check_faults(&c);
}

TEST(vendors, azure_ids_are_taken_apart)
{
    CHECK_STR(azure_id_part(S("/subscriptions/s/RESOURCEGROUPS/g/x/y"), "resourceGroups"), S("g"));
    CHECK_STR(azure_id_part(S("/subscriptions/s/resourceGroups"), "resourceGroups"), S(""));
    CHECK_STR(azure_id_part(S(""), "resourceGroups"), S(""));
}

#define LOGIN                                                                                      \
    {                                                                                              \
        .request = "POST /identity/v3/auth/tokens",                                                \
        .has = "{\"auth\":{\"identity\":{\"methods\":[\"password\"],\"password\":{\"user\":"       \
               "{\"name\":\"u\",\"domain\":{\"name\":\"Default\"},\"password\":\"p\"}}},"          \
               "\"scope\":{\"project\":{\"name\":\"pr\",\"domain\":{\"name\":\"Default\"}}}}}",    \
        .reply_header = "X-Subject-Token: tok",                                                    \
        .reply = "{\"token\": {\"catalog\": ["                                                     \
                 "{\"type\": \"compute\", \"endpoints\": [{\"interface\": \"admin\", \"region\":"  \
                 " \"R\", \"url\": \"http://wrong\"}, {\"interface\": \"public\", \"region\":"     \
                 " \"R\", \"url\": \"http://%H/compute/\"}]},"                                     \
                 "{\"type\": \"network\", \"endpoints\": [{\"interface\": \"public\","             \
                 " \"region_id\": \"R\", \"url\": \"http://%H/network\"}]},"                       \
                 "{\"type\": \"load-balancer\", \"endpoints\": [{\"interface\": \"public\","       \
                 " \"region\": \"R\", \"url\": \"http://%H/lb\"}]}]}}",                            \
        .status = 201                                                                              \
    }
#define OPENSTACK(role)                                                                            \
    "openstack_sd_configs: [{identity_endpoint: 'http://%H/identity', username: u, password: p, "  \
    "project_name: pr, domain_name: Default, region: R, role: " role "}]"

TEST(vendors, openstack_hypervisors)
{
    static const RigRoute routes[] = {
        LOGIN,
        {.request = "GET /compute/os-hypervisors/detail",
         .header = "X-Auth-Token: tok",
         .reply = "{\"hypervisors\": [{\"id\": 1, \"hypervisor_hostname\": \"hv\", \"host_ip\":"
                  " \"172.16.70.14\", \"status\": \"enabled\", \"state\": \"up\","
                  " \"hypervisor_type\": \"QEMU\"}]}"},
    };
    static const RigCase c = {
        "hypervisor", OPENSTACK("hypervisor"), routes, COUNT_OF(routes),
        "172.16.70.14:80{__meta_openstack_hypervisor_host_ip=\"172.16.70.14\", "
        "__meta_openstack_hypervisor_hostname=\"hv\", __meta_openstack_hypervisor_id=\"1\", "
        "__meta_openstack_hypervisor_state=\"up\", "
        "__meta_openstack_hypervisor_status=\"enabled\", "
        "__meta_openstack_hypervisor_type=\"QEMU\"}\n"};
    rig_check(&c);
}

TEST(vendors, openstack_instances)
{
    static const RigRoute routes[] = {
        LOGIN,
        {.request = "GET /network/v2.0/ports",
         .reply = "{\"ports\": [{\"id\": \"port\", \"device_id\": \"s1\"}]}"},
        {.request = "GET /network/v2.0/floatingips",
         .reply = "{\"floatingips\": [{\"port_id\": \"port\", \"fixed_ip_address\": \"10.0.0.1\","
                  " \"floating_ip_address\": \"1.2.3.4\"}, {\"port_id\": null}]}"},
        {.request = "GET /compute/servers/detail",
         .reply =
             "{\"servers\": [{\"id\": \"s1\", \"name\": \"n\", \"status\": \"ACTIVE\","
             " \"tenant_id\": \"t\", \"user_id\": \"us\", \"flavor\": {\"id\": \"1\"}, \"image\":"
             " {\"id\": \"im\"}, \"metadata\": {\"a.b\": \"c\"}, \"addresses\": {\"pool\":"
             " [{\"addr\": \"10.0.0.1\"}, {\"addr\": \"1.2.3.4\"}]}}],"
             " \"servers_links\": [{\"rel\": \"next\", \"href\": \"http://%H/compute/page2\"}]}"},
        {.request = "GET /compute/page2",
         .reply = "{\"servers\": [{\"id\": \"s2\", \"flavor\": {\"original_name\": \"m1\"},"
                  " \"image\": \"\", \"addresses\": {\"q\": [{\"addr\": \"10.0.0.2\"}]}},"
                  " {\"id\": \"s3\", \"addresses\": {}}]}"},
    };
    static const RigCase c = {
        "instance", OPENSTACK("instance"), routes, COUNT_OF(routes),
        "10.0.0.1:80{__meta_openstack_address_pool=\"pool\", "
        "__meta_openstack_instance_flavor=\"1\", __meta_openstack_instance_id=\"s1\", "
        "__meta_openstack_instance_image=\"im\", __meta_openstack_instance_name=\"n\", "
        "__meta_openstack_instance_status=\"ACTIVE\", "
        "__meta_openstack_private_ip=\"10.0.0.1\", __meta_openstack_project_id=\"t\", "
        "__meta_openstack_public_ip=\"1.2.3.4\", __meta_openstack_tag_a_b=\"c\", "
        "__meta_openstack_user_id=\"us\"}\n"
        "10.0.0.2:80{__meta_openstack_address_pool=\"q\", "
        "__meta_openstack_instance_flavor=\"m1\", __meta_openstack_instance_id=\"s2\", "
        "__meta_openstack_private_ip=\"10.0.0.2\"}\n"};
    rig_check(&c);
}

TEST(vendors, openstack_load_balancers)
{
    static const RigRoute routes[] = {
        LOGIN,
        {.request = "GET /lb/v2.0/lbaas/loadbalancers",
         .reply = "{\"loadbalancers\": [{\"id\": \"lb1\", \"name\": \"n\", \"operating_status\":"
                  " \"ONLINE\", \"provisioning_status\": \"ACTIVE\", \"availability_zone\":"
                  " \"az1\", \"vip_address\": \"10.0.0.32\", \"vip_port_id\": \"port\","
                  " \"provider\": \"amphora\", \"project_id\": \"p\", \"tags\": [\"a\", \"b\"]},"
                  " {\"id\": \"lb2\"}]}"},
        {.request = "GET /lb/v2.0/lbaas/listeners",
         .reply = "{\"listeners\": [{\"protocol\": \"HTTP\", \"protocol_port\": 80,"
                  " \"loadbalancers\": [{\"id\": \"lb1\"}, {\"id\": \"lb2\"}]}, {\"protocol\":"
                  " \"PROMETHEUS\", \"protocol_port\": 9273, \"loadbalancers\": [{\"id\":"
                  " \"lb1\"}]}]}"},
        {.request = "GET /network/v2.0/floatingips",
         .reply = "{\"floatingips\": [{\"port_id\": \"port\", \"floating_ip_address\":"
                  " \"1.2.3.4\"}]}"},
    };
    static const RigCase c = {
        "loadbalancer", OPENSTACK("loadbalancer"), routes, COUNT_OF(routes),
        "10.0.0.32:9273{__meta_openstack_loadbalancer_availability_zone=\"az1\", "
        "__meta_openstack_loadbalancer_floating_ip=\"1.2.3.4\", "
        "__meta_openstack_loadbalancer_id=\"lb1\", __meta_openstack_loadbalancer_name=\"n\", "
        "__meta_openstack_loadbalancer_operating_status=\"ONLINE\", "
        "__meta_openstack_loadbalancer_provider=\"amphora\", "
        "__meta_openstack_loadbalancer_provisioning_status=\"ACTIVE\", "
        "__meta_openstack_loadbalancer_tags=\"a,b\", "
        "__meta_openstack_loadbalancer_vip=\"10.0.0.32\", __meta_openstack_project_id=\"p\"}\n"};
    rig_check(&c);
}

TEST(vendors, bad_blocks_are_refused)
{
    static const RigBad cases[] = {
        {"ec2", "ec2_sd_configs: [{filters: [{name: a}]}]",
         "EC2 SD configuration filter values cannot be empty"},
        {"aws", "aws_sd_configs: [{}]", "unknown AWS SD role \"\""},
        {"gce", "gce_sd_configs: [{project: p}]", "GCE SD configuration requires a zone"},
        {"azure", "azure_sd_configs: [{subscription_id: s, tenant_id: t}]",
         "azure SD configuration requires a client_id"},
        {"azure method", "azure_sd_configs: [{subscription_id: s, authentication_method: None}]",
         "authentication_method"},
        {"openstack", "openstack_sd_configs: [{region: r}]",
         "role missing (one of: instance, hypervisor, loadbalancer)"},
        {"openstack region", "openstack_sd_configs: [{role: instance}]",
         "openstack SD configuration requires a region"},
    };

    EACH_CASE(c, cases)
        rig_check_bad(c);
}

TEST_MAIN(vendors, TEST_ROW(vendors, ec2), TEST_ROW(vendors, aws_with_the_role_ec2),
          TEST_ROW(vendors, aws_with_the_role_rds), TEST_ROW(vendors, aws_with_the_role_msk),
          TEST_ROW(vendors, aws_with_the_role_elasticache), TEST_ROW(vendors, lightsail),
          TEST_ROW(vendors, gce), TEST_ROW(vendors, azure),
          TEST_ROW(vendors, azure_ids_are_taken_apart), TEST_ROW(vendors, openstack_hypervisors),
          TEST_ROW(vendors, openstack_instances), TEST_ROW(vendors, openstack_load_balancers),
          TEST_ROW(vendors, bad_blocks_are_refused))
