// SPDX-License-Identifier: Apache-2.0
// Kinds that ask a provider of machines, whose host comes first in the paths here (see poll_redirect_for_tests).
#include "discovery/discovery_rig.h"

TEST(clouds, vultr)
{
    static const RigRoute routes[] = {
        {.request = "GET /api.vultr.com/v2/instances?per_page=100",
         .header = "Authorization: Bearer key",
         .reply = "{\"instances\": [{\"id\": \"dbdb\", \"label\": \"one\", \"os\": \"Debian\","
                  " \"os_id\": 387, \"region\": \"ewr\", \"plan\": \"vc2\", \"vcpu_count\": 1,"
                  " \"ram\": 1024, \"allowed_bandwidth\": 1000, \"disk\": 25, \"main_ip\":"
                  " \"149.28.1.1\", \"v6_main_ip\": \"2001::1\", \"internal_ip\": \"10.1.96.3\","
                  " \"hostname\": \"h\", \"server_status\": \"ok\", \"features\": [\"ipv6\"],"
                  " \"tags\": [\"a\", \"b\"]}], \"meta\": {\"links\": {\"next\": \"bm/8=\"}}}"},
        {.request = "GET /api.vultr.com/v2/instances?per_page=100&cursor=bm%2F8%3D",
         .reply = "{\"instances\": [{\"id\": \"2\", \"main_ip\": \"149.28.1.2\"}],"
                  " \"meta\": {\"links\": {\"next\": \"\"}}}"},
    };
    static const RigCase c = {
        "vultr", "vultr_sd_configs: [{authorization: {credentials: key}}]", routes,
        COUNT_OF(routes),
        "149.28.1.1:80{__meta_vultr_instance_allowed_bandwidth_gb=\"1000\", "
        "__meta_vultr_instance_disk_gb=\"25\", __meta_vultr_instance_features=\",ipv6,\", "
        "__meta_vultr_instance_hostname=\"h\", __meta_vultr_instance_id=\"dbdb\", "
        "__meta_vultr_instance_internal_ip=\"10.1.96.3\", "
        "__meta_vultr_instance_label=\"one\", __meta_vultr_instance_main_ip=\"149.28.1.1\", "
        "__meta_vultr_instance_main_ipv6=\"2001::1\", __meta_vultr_instance_os=\"Debian\", "
        "__meta_vultr_instance_os_id=\"387\", __meta_vultr_instance_plan=\"vc2\", "
        "__meta_vultr_instance_ram_mb=\"1024\", __meta_vultr_instance_region=\"ewr\", "
        "__meta_vultr_instance_server_status=\"ok\", __meta_vultr_instance_tags=\",a,b,\", "
        "__meta_vultr_instance_vcpu_count=\"1\"}\n"
        "149.28.1.2:80{__meta_vultr_instance_id=\"2\", "
        "__meta_vultr_instance_main_ip=\"149.28.1.2\"}\n"};
    rig_check(&c);
}

TEST(clouds, ionos)
{
    static const RigRoute routes[] = {
        {.request = "GET /api.ionos.com/cloudapi/v6/datacenters/dc/servers?depth=3",
         .header = "Authorization: Bearer t",
         .reply =
             "{\"id\": \"dc/servers\", \"items\": [{\"id\": \"s1\", \"metadata\": {\"state\":"
             " \"AVAILABLE\"}, \"properties\": {\"name\": \"n\", \"availabilityZone\": \"ZONE_1\","
             " \"cpuFamily\": \"INTEL\", \"vmState\": \"RUNNING\", \"type\": \"CUBE\","
             " \"bootCdrom\": {\"id\": \"cd\"}, \"bootVolume\": {\"id\": \"v\"}}, \"entities\": "
             "{\"nics\":"
             " {\"items\": [{\"properties\": {\"name\": \"a b\", \"ips\": [\"10.0.0.1\"]}},"
             " {\"properties\": {\"ips\": [\"10.0.0.2\", \"10.0.0.3\"]}}]}, \"volumes\":"
             " {\"items\": [{\"properties\": {\"image\": \"img\"}}]}}},"
             " {\"id\": \"without\"}]}"},
    };
    static const RigCase c = {
        "ionos", "ionos_sd_configs: [{datacenter_id: dc, authorization: {credentials: t}}]", routes,
        COUNT_OF(routes),
        "10.0.0.2:80{__meta_ionos_server_availability_zone=\"ZONE_1\", "
        "__meta_ionos_server_boot_cdrom_id=\"cd\", "
        "__meta_ionos_server_boot_image_id=\"img\", __meta_ionos_server_boot_volume_id=\"v\", "
        "__meta_ionos_server_cpu_family=\"INTEL\", __meta_ionos_server_id=\"s1\", "
        "__meta_ionos_server_ip=\",10.0.0.2,10.0.0.3,10.0.0.1,\", "
        "__meta_ionos_server_lifecycle=\"AVAILABLE\", __meta_ionos_server_name=\"n\", "
        "__meta_ionos_server_nic_ip_a_b=\",10.0.0.1,\", "
        "__meta_ionos_server_nic_ip_unnamed=\",10.0.0.2,10.0.0.3,\", "
        "__meta_ionos_server_servers_id=\"dc/servers\", __meta_ionos_server_state=\"RUNNING\", "
        "__meta_ionos_server_type=\"CUBE\"}\n"};
    rig_check(&c);
}

TEST(clouds, hetzner)
{
    static const RigRoute routes[] = {
        {.request = "GET /api.hetzner.cloud/v1/servers?label_selector=a%3Db&per_page=50",
         .reply =
             "{\"servers\": [{\"id\": 42, \"name\": \"s\", \"status\": \"running\", \"public_net\":"
             " {\"ipv4\": {\"ip\": \"1.2.3.4\"}, \"ipv6\": {\"ip\": \"2001:db8::/64\"}},"
             " \"location\": {\"name\": \"fsn1\", \"network_zone\": \"eu-central\"},"
             " \"server_type\": {\"name\": \"cx11\", \"cores\": 1, \"cpu_type\": \"shared\","
             " \"memory\": 1.0, \"disk\": 25}, \"image\": {\"name\": \"debian\", \"description\":"
             " \"d\", \"os_version\": \"12\", \"os_flavor\": \"debian\"}, \"private_net\":"
             " [{\"network\": 7, \"ip\": \"10.0.0.2\"}], \"labels\": {\"my-key\": \"v\","
             " \"empty\": \"\"}}], \"meta\": {\"pagination\": {\"next_page\": 2}}}"},
        {.request = "GET /api.hetzner.cloud/v1/servers?label_selector=a%3Db&per_page=50&page=2",
         .reply = "{\"servers\": [{\"id\": 43, \"public_net\": {\"ipv4\": null}, \"image\": null}],"
                  " \"meta\": {\"pagination\": {\"next_page\": null}}}"},
        {.request = "GET /api.hetzner.cloud/v1/networks?per_page=50",
         .reply = "{\"networks\": [{\"id\": 7, \"name\": \"net-1\"}], \"meta\": {}}"},
        {.request = "GET /robot-ws.your-server.de/server",
         .header = "Authorization: Basic dTpw",
         .reply = "[{\"server\": {\"server_ip\": \"5.6.7.8\", \"server_number\": 9,"
                  " \"server_name\": \"r\", \"dc\": \"FSN1-DC5\", \"status\": \"ready\","
                  " \"product\": \"EX\", \"cancelled\": true, \"subnet\": [{\"ip\": \"5.6.7.8\","
                  " \"mask\": \"32\"}, {\"ip\": \"2a01::\", \"mask\": \"64\"}]}}]"},
    };
    static const RigCase c = {
        "hetzner",
        "hetzner_sd_configs:\n"
        "- {role: hcloud, label_selector: a=b, basic_auth: {username: u, password: p}}\n"
        "- {role: robot, basic_auth: {username: u, password: p}}\n",
        routes,
        COUNT_OF(routes),
        "1.2.3.4:80{__meta_hetzner_hcloud_cpu_cores=\"1\", "
        "__meta_hetzner_hcloud_cpu_type=\"shared\", "
        "__meta_hetzner_hcloud_datacenter_location=\"fsn1\", "
        "__meta_hetzner_hcloud_datacenter_location_network_zone=\"eu-central\", "
        "__meta_hetzner_hcloud_disk_size_gb=\"25\", "
        "__meta_hetzner_hcloud_image_description=\"d\", "
        "__meta_hetzner_hcloud_image_name=\"debian\", "
        "__meta_hetzner_hcloud_image_os_flavor=\"debian\", "
        "__meta_hetzner_hcloud_image_os_version=\"12\", "
        "__meta_hetzner_hcloud_label_my_key=\"v\", "
        "__meta_hetzner_hcloud_labelpresent_empty=\"true\", "
        "__meta_hetzner_hcloud_labelpresent_my_key=\"true\", "
        "__meta_hetzner_hcloud_location=\"fsn1\", "
        "__meta_hetzner_hcloud_location_network_zone=\"eu-central\", "
        "__meta_hetzner_hcloud_memory_size_gb=\"1\", "
        "__meta_hetzner_hcloud_private_ipv4_net_1=\"10.0.0.2\", "
        "__meta_hetzner_hcloud_server_type=\"cx11\", __meta_hetzner_public_ipv4=\"1.2.3.4\", "
        "__meta_hetzner_public_ipv6_network=\"2001:db8::/64\", __meta_hetzner_role=\"hcloud\", "
        "__meta_hetzner_server_id=\"42\", __meta_hetzner_server_name=\"s\", "
        "__meta_hetzner_server_status=\"running\"}\n"
        "<nil>:80{__meta_hetzner_public_ipv4=\"<nil>\", "
        "__meta_hetzner_public_ipv6_network=\"<nil>\", __meta_hetzner_role=\"hcloud\", "
        "__meta_hetzner_server_id=\"43\"}\n"
        "5.6.7.8:80{__meta_hetzner_datacenter=\"fsn1-dc5\", "
        "__meta_hetzner_public_ipv4=\"5.6.7.8\", "
        "__meta_hetzner_public_ipv6_network=\"2a01::/64\", "
        "__meta_hetzner_robot_cancelled=\"true\", __meta_hetzner_robot_datacenter=\"fsn1-dc5\", "
        "__meta_hetzner_robot_product=\"EX\", __meta_hetzner_role=\"robot\", "
        "__meta_hetzner_server_id=\"9\", __meta_hetzner_server_name=\"r\", "
        "__meta_hetzner_server_status=\"ready\"}\n",
        "Authorization: Basic dTpw"};
    rig_check(&c);
}

TEST(clouds, digitalocean)
{
    static const RigRoute routes[] = {
        {.request = "GET /api.digitalocean.com/v2/droplets?per_page=200",
         .reply =
             "{\"droplets\": [{\"id\": 3164444, \"name\": \"d\", \"image\": {\"slug\": \"ubuntu\","
             " \"name\": \"16.04\"}, \"region\": {\"slug\": \"nyc3\"}, \"size_slug\": \"s-1\","
             " \"status\": \"active\", \"vpc_uuid\": \"vpc\", \"features\": [\"ipv6\"], \"tags\":"
             " [\"x\", \"y\"], \"networks\": {\"v4\": [{\"ip_address\": \"104.1.1.1\", \"type\": "
             "\"public\"},"
             " {\"ip_address\": \"10.1.1.1\", \"type\": \"private\"}], \"v6\": [{\"ip_address\":"
             " \"2604::1\", \"type\": \"public\"}]}}, {\"id\": 1, \"networks\": {\"v4\": []}}],"
             " \"links\": {\"pages\": {\"next\":"
             " \"https://api.digitalocean.com/v2/droplets?page=2\"}}}"},
        {.request = "GET /api.digitalocean.com/v2/droplets?page=2",
         .reply = "{\"droplets\": [], \"links\": {}}"},
        {.request = "GET /api.digitalocean.com/v2/databases?per_page=100",
         .reply = "{\"databases\": [{\"id\": \"u\", \"name\": \"db\", \"engine\": \"pg\","
                  " \"version\": \"14\", \"status\": \"online\", \"region\": \"nyc3\", \"size\":"
                  " \"db-s\", \"num_nodes\": 2, \"tags\": [\"a:b\"], \"connection\": {\"host\":"
                  " \"db.x\"}, \"private_connection\": {\"host\": \"private.db.x\"}}]}"},
        {.request = "GET /api.digitalocean.com/v2/databases?per_page=100&page=2",
         .reply = "{\"databases\": null}"},
    };
    static const RigCase c = {
        "digitalocean",
        "digitalocean_sd_configs: [{bearer_token: t}, {role: databases, port: 9273, authorization: "
        "{credentials: t}}]",
        routes,
        COUNT_OF(routes),
        "104.1.1.1:80{__meta_digitalocean_droplet_id=\"3164444\", "
        "__meta_digitalocean_droplet_name=\"d\", __meta_digitalocean_features=\",ipv6,\", "
        "__meta_digitalocean_image=\"ubuntu\", __meta_digitalocean_image_name=\"16.04\", "
        "__meta_digitalocean_private_ipv4=\"10.1.1.1\", "
        "__meta_digitalocean_public_ipv4=\"104.1.1.1\", "
        "__meta_digitalocean_public_ipv6=\"2604::1\", __meta_digitalocean_region=\"nyc3\", "
        "__meta_digitalocean_size=\"s-1\", __meta_digitalocean_status=\"active\", "
        "__meta_digitalocean_tags=\",x,y,\", "
        "__meta_digitalocean_vpc=\"vpc\"}\n"
        "private.db.x:9273{__meta_digitalocean_db_engine=\"pg\", "
        "__meta_digitalocean_db_host=\"db.x\", __meta_digitalocean_db_id=\"u\", "
        "__meta_digitalocean_db_name=\"db\", __meta_digitalocean_db_num_nodes=\"2\", "
        "__meta_digitalocean_db_private_host=\"private.db.x\", "
        "__meta_digitalocean_db_region=\"nyc3\", __meta_digitalocean_db_size=\"db-s\", "
        "__meta_digitalocean_db_status=\"online\", \"__meta_digitalocean_db_tag_a:b\"=\"true\", "
        "__meta_digitalocean_db_version=\"14\"}\n",
        "Authorization: Bearer t"};
    rig_check(&c);
}

TEST(clouds, bad_blocks_are_refused)
{
    static const RigBad cases[] = {
        {"hetzner", "hetzner_sd_configs: [{}]", "role missing (one of: robot, hcloud)"},
        {"ionos", "ionos_sd_configs: [{}]", "datacenter id can't be empty"},
        {"digitalocean", "digitalocean_sd_configs: [{role: x}]", "role"},
    };

    EACH_CASE(c, cases)
        rig_check_bad(c);
}

#define ECS "POST /ecs.us-east-1.amazonaws.com/"
#define EC2 "POST /ec2.us-east-1.amazonaws.com/"
#define ECS_TARGET "X-Amz-Target: AmazonEC2ContainerServiceV20141113."

TEST(clouds, aws_with_the_role_ecs)
{
    static const RigRoute routes[] = {
        {.request = ECS,
         .header = ECS_TARGET "ListClusters",
         .has = "nextToken",
         .reply = "{\"clusterArns\": [\"arn:c2\"]}"},
        {.request = ECS,
         .header = ECS_TARGET "ListClusters",
         .reply = "{\"clusterArns\": [\"arn:c1\"], \"nextToken\": \"n\"}"},
        {.request = ECS,
         .header = ECS_TARGET "DescribeClusters",
         .has = "{\"clusters\":[\"arn:c1\"],\"include\":[\"TAGS\"]}",
         .reply = "{\"clusters\": [{\"clusterArn\": \"arn:c1\", \"clusterName\": \"one\", \"tags\":"
                  " [{\"key\": \"a-b\", \"value\": \"c\"}]}]}"},
        {.request = ECS,
         .header = ECS_TARGET "DescribeClusters",
         .has = "arn:c2",
         .reply = "{\"clusters\": [{\"clusterArn\": \"arn:c2\", \"clusterName\": \"two\"}]}"},
        {.request = ECS,
         .header = ECS_TARGET "ListServices",
         .has = "{\"cluster\":\"arn:c1\",\"maxResults\":100}",
         .reply = "{\"serviceArns\": [\"arn:s\"]}"},
        {.request = ECS, .header = ECS_TARGET "ListServices", .has = "arn:c2", .reply = "{}"},
        {.request = ECS,
         .header = ECS_TARGET "DescribeServices",
         .has = "{\"cluster\":\"arn:c1\",\"services\":[\"arn:s\"],\"include\":[\"TAGS\"]}",
         .reply =
             "{\"services\": [{\"serviceArn\": \"arn:s\", \"serviceName\": \"web\", \"status\":"
             " \"ACTIVE\", \"tags\": [{\"key\": \"team\", \"value\": \"t\"}]}]}"},
        {.request = ECS,
         .header = ECS_TARGET "ListTasks",
         .has = "\"cluster\":\"arn:c1\"",
         .reply = "{\"taskArns\": [\"arn:t1\"]}"},
        {.request = ECS,
         .header = ECS_TARGET "ListTasks",
         .has = "\"cluster\":\"arn:c2\"",
         .reply = "{\"taskArns\": [\"arn:t2\", \"arn:t3\"]}"},
        {.request = ECS,
         .header = ECS_TARGET "DescribeTasks",
         .has = "{\"cluster\":\"arn:c1\",\"tasks\":[\"arn:t1\"],\"include\":[\"TAGS\"]}",
         .reply =
             "{\"tasks\": [{\"taskArn\": \"arn:t1\", \"group\": \"service:web\","
             " \"taskDefinitionArn\": \"arn:d\", \"launchType\": \"FARGATE\","
             " \"availabilityZone\": \"us-east-1a\", \"desiredStatus\": \"RUNNING\","
             " \"lastStatus\": \"RUNNING\", \"healthStatus\": \"HEALTHY\", \"platformFamily\":"
             " \"Linux\", \"platformVersion\": \"1.4.0\", \"tags\": [{\"key\": \"k\","
             " \"value\": \"v\"}], \"attachments\": [{\"type\": \"ElasticNetworkInterface\","
             " \"details\": [{\"name\": \"subnetId\", \"value\": \"subnet-1\"}, {\"name\":"
             " \"networkInterfaceId\", \"value\": \"eni-1\"}, {\"name\": \"privateIPv4Address\","
             " \"value\": \"10.0.0.1\"}]}]}]}"},
        {.request = ECS,
         .header = ECS_TARGET "DescribeTasks",
         .has = "arn:t3",
         .reply = "{\"tasks\": [{\"taskArn\": \"arn:t2\", \"group\": \"family:batch\","
                  " \"launchType\": \"EC2\", \"containerInstanceArn\": \"arn:ci\"},"
                  " {\"taskArn\": \"arn:t3\", \"launchType\": \"FARGATE\"}]}"},
        {.request = ECS,
         .header = ECS_TARGET "DescribeContainerInstances",
         .has = "{\"cluster\":\"arn:c2\",\"containerInstances\":[\"arn:ci\"]}",
         .reply = "{\"containerInstances\": [{\"containerInstanceArn\": \"arn:ci\","
                  " \"ec2InstanceId\": \"i-1\"}]}"},
        {.request = EC2,
         .header = "Authorization: AWS4-HMAC-SHA256 Credential=a/*/us-east-1/ec2/aws4_request*",
         .has = "Action=DescribeNetworkInterfaces&Version=2016-11-15&NetworkInterfaceId.1=eni-1",
         .reply = "<R><networkInterfaceSet><item><networkInterfaceId>eni-1</networkInterfaceId>"
                  "<association><publicIp>1.2.3.4</publicIp></association></item>"
                  "</networkInterfaceSet></R>"},
        {.request = EC2,
         .has = "Action=DescribeInstances&Version=2016-11-15&InstanceId.1=i-1",
         .reply = "<R><reservationSet><item><instancesSet><item><instanceId>i-1</instanceId>"
                  "<privateIpAddress>10.0.0.2</privateIpAddress><ipAddress>1.2.3.5</ipAddress>"
                  "<subnetId>subnet-2</subnetId><instanceType>m5</instanceType><tagSet><item>"
                  "<key>Name</key><value>host</value></item></tagSet></item></instancesSet></item>"
                  "</reservationSet></R>"},
    };
    static const RigCase c = {
        "ecs",
        "aws_sd_configs: [{role: ecs, region: us-east-1, access_key: a, secret_key: s, port: "
        "9100}]",
        routes, COUNT_OF(routes),
        "10.0.0.1:9100{__meta_ecs_availability_zone=\"us-east-1a\", __meta_ecs_cluster=\"one\", "
        "__meta_ecs_cluster_arn=\"arn:c1\", __meta_ecs_desired_status=\"RUNNING\", "
        "__meta_ecs_health_status=\"HEALTHY\", __meta_ecs_ip_address=\"10.0.0.1\", "
        "__meta_ecs_last_status=\"RUNNING\", __meta_ecs_launch_type=\"FARGATE\", "
        "__meta_ecs_network_mode=\"awsvpc\", __meta_ecs_platform_family=\"Linux\", "
        "__meta_ecs_platform_version=\"1.4.0\", __meta_ecs_public_ip=\"1.2.3.4\", "
        "__meta_ecs_region=\"us-east-1\", __meta_ecs_service=\"web\", "
        "__meta_ecs_service_arn=\"arn:s\", __meta_ecs_service_status=\"ACTIVE\", "
        "__meta_ecs_subnet_id=\"subnet-1\", __meta_ecs_tag_cluster_a_b=\"c\", "
        "__meta_ecs_tag_service_team=\"t\", __meta_ecs_tag_task_k=\"v\", "
        "__meta_ecs_task_arn=\"arn:t1\", __meta_ecs_task_definition=\"arn:d\", "
        "__meta_ecs_task_group=\"service:web\"}\n"
        "10.0.0.2:9100{__meta_ecs_cluster=\"two\", __meta_ecs_cluster_arn=\"arn:c2\", "
        "__meta_ecs_container_instance_arn=\"arn:ci\", __meta_ecs_ec2_instance_id=\"i-1\", "
        "__meta_ecs_ec2_instance_private_ip=\"10.0.0.2\", "
        "__meta_ecs_ec2_instance_public_ip=\"1.2.3.5\", __meta_ecs_ec2_instance_type=\"m5\", "
        "__meta_ecs_ip_address=\"10.0.0.2\", __meta_ecs_launch_type=\"EC2\", "
        "__meta_ecs_network_mode=\"bridge\", __meta_ecs_public_ip=\"1.2.3.5\", "
        "__meta_ecs_region=\"us-east-1\", __meta_ecs_subnet_id=\"subnet-2\", "
        "__meta_ecs_tag_ec2_Name=\"host\", __meta_ecs_task_arn=\"arn:t2\", "
        "__meta_ecs_task_group=\"family:batch\"}\n"};
    rig_check(&c);
}

TEST_MAIN(clouds, TEST_ROW(clouds, vultr), TEST_ROW(clouds, ionos), TEST_ROW(clouds, hetzner),
          TEST_ROW(clouds, digitalocean), TEST_ROW(clouds, bad_blocks_are_refused),
          TEST_ROW(clouds, aws_with_the_role_ecs))
