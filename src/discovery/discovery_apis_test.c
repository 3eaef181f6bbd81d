// SPDX-License-Identifier: Apache-2.0
// Kinds that ask plain APIs: what each asks for and the labels it makes of the answer. More in discovery_clouds_test.c.
#include "discovery/discovery_rig.h"

TEST(apis, docker)
{
    static const RigRoute routes[] = {
        {.request = "GET /containers/json?filters=%7B%22status%22%3A%7B%22running%22%3Atrue%7D%7D",
         .reply =
             "[{\"Id\": \"c1\", \"Names\": [\"/web\"], \"Image\": \"nginx\", \"ImageID\": \"sha\","
             " \"Labels\": {\"com.x\": \"y\"}, \"HostConfig\": {\"NetworkMode\": \"front\"},"
             " \"Ports\": [{\"PrivatePort\": 80, \"PublicPort\": 8080, \"IP\": \"0.0.0.0\","
             " \"Type\": \"tcp\"}, {\"PrivatePort\": 53, \"Type\": \"udp\"}],"
             " \"NetworkSettings\": {\"Networks\": {\"z\": {\"NetworkID\": \"n2\","
             " \"IPAddress\": \"10.2.0.2\"}, \"front\": {\"NetworkID\": \"n1\","
             " \"IPAddress\": \"10.1.0.2\"}}}},"
             " {\"Id\": \"c2\", \"Names\": [\"/side\"], \"HostConfig\": {\"NetworkMode\":"
             " \"container:c1\"}, \"NetworkSettings\": {\"Networks\": {}}, \"Ports\": []},"
             " {\"Id\": \"c3\", \"Names\": [\"/host\"], \"HostConfig\": {\"NetworkMode\":"
             " \"host\"}, \"NetworkSettings\": {\"Networks\": {\"host\": {\"NetworkID\": \"n3\","
             " \"IPAddress\": \"\"}}}, \"Ports\": null},"
             " {\"Id\": \"c4\", \"Names\": [\"/loop\"], \"HostConfig\": {\"NetworkMode\":"
             " \"container:c4\"}, \"NetworkSettings\": {\"Networks\": null}}]"},
        {.request = "GET /networks",
         .reply =
             "[{\"Id\": \"n1\", \"Name\": \"front\", \"Scope\": \"local\", \"Internal\": false,"
             " \"Ingress\": true, \"Labels\": {\"a.b\": \"c\"}}]"},
    };
    static const RigCase c = {
        "docker",
        "docker_sd_configs: [{host: 'http://%H', filters: [{name: status, values: [running]}], "
        "basic_auth: {username: u, password: p}}]",
        routes,
        COUNT_OF(routes),
        "10.1.0.2:80{__meta_docker_container_id=\"c1\", __meta_docker_container_image=\"nginx\", "
        "__meta_docker_container_image_id=\"sha\", __meta_docker_container_label_com_x=\"y\", "
        "__meta_docker_container_name=\"/web\", __meta_docker_container_network_mode=\"front\", "
        "__meta_docker_network_id=\"n1\", __meta_docker_network_ingress=\"true\", "
        "__meta_docker_network_internal=\"false\", __meta_docker_network_ip=\"10.1.0.2\", "
        "__meta_docker_network_label_a_b=\"c\", __meta_docker_network_name=\"front\", "
        "__meta_docker_network_scope=\"local\", __meta_docker_port_private=\"80\", "
        "__meta_docker_port_public=\"8080\", __meta_docker_port_public_ip=\"0.0.0.0\"}\n"
        "10.1.0.2:80{__meta_docker_container_id=\"c2\", __meta_docker_container_name=\"/side\", "
        "__meta_docker_container_network_mode=\"container:c1\", __meta_docker_network_id=\"n1\", "
        "__meta_docker_network_ingress=\"true\", __meta_docker_network_internal=\"false\", "
        "__meta_docker_network_ip=\"10.1.0.2\", __meta_docker_network_label_a_b=\"c\", "
        "__meta_docker_network_name=\"front\", __meta_docker_network_scope=\"local\"}\n"
        "localhost{__meta_docker_container_id=\"c3\", __meta_docker_container_name=\"/host\", "
        "__meta_docker_container_network_mode=\"host\"}\n",
        "Authorization: Basic dTpw"};
    rig_check(&c);
}

#define SWARM_NETWORKS                                                                             \
    {                                                                                              \
        .request = "GET /networks",                                                                \
        .reply = "[{\"Id\": \"n1\", \"Name\": \"in\", \"Scope\": \"swarm\", \"Internal\": true,"   \
                 " \"Ingress\": false, \"Labels\": {\"a.b\": \"c\"}}]"                             \
    }
#define SWARM_SERVICES                                                                             \
    {                                                                                              \
        .request = "GET /services",                                                                \
        .reply = "[{\"ID\": \"s1\", \"Spec\": {\"Name\": \"web\", \"Labels\": {\"l\": \"1\"},"     \
                 " \"Mode\": {\"Replicated\": {}}, \"TaskTemplate\": {\"ContainerSpec\":"          \
                 " {\"Image\": \"img\", \"Hostname\": \"h\"}}}, \"UpdateStatus\": {\"State\":"     \
                 " \"completed\"}, \"Endpoint\": {\"Ports\": [{\"Name\": \"http\", \"Protocol\":"  \
                 " \"tcp\", \"PublishedPort\": 8080, \"PublishMode\": \"ingress\"},"               \
                 " {\"Protocol\": \"udp\", \"PublishedPort\": 1}], \"VirtualIPs\":"                \
                 " [{\"NetworkID\": \"n1\", \"Addr\": \"10.0.0.3/24\"}]}}]"                        \
    }
#define SWARM_NODES                                                                                \
    {                                                                                              \
        .request = "GET /nodes",                                                                   \
        .reply = "[{\"ID\": \"m1\", \"Spec\": {\"Role\": \"manager\", \"Availability\":"           \
                 " \"active\", \"Labels\": {\"rack\": \"1\"}}, \"Description\": {\"Hostname\":"    \
                 " \"host1\", \"Platform\": {\"Architecture\": \"x86_64\", \"OS\": \"linux\"},"    \
                 " \"Engine\": {\"EngineVersion\": \"20\"}}, \"Status\": {\"State\": \"ready\","   \
                 " \"Addr\": \"192.168.0.1\"}, \"ManagerStatus\": {\"Leader\": true,"              \
                 " \"Reachability\": \"reachable\", \"Addr\": \"192.168.0.1:2377\"}}]"             \
    }
#define SWARM_NETWORK_LABELS                                                                       \
    "__meta_dockerswarm_network_id=\"n1\", __meta_dockerswarm_network_ingress=\"false\", "         \
    "__meta_dockerswarm_network_internal=\"true\", __meta_dockerswarm_network_label_a_b=\"c\", "   \
    "__meta_dockerswarm_network_name=\"in\", "                                                     \
    "__meta_dockerswarm_network_scope=\"swarm\", "
#define SWARM_NODE_LABELS                                                                          \
    "__meta_dockerswarm_node_hostname=\"host1\", __meta_dockerswarm_node_id=\"m1\", "              \
    "__meta_dockerswarm_node_label_rack=\"1\", "

TEST(apis, dockerswarm_services)
{
    static const RigRoute routes[] = {SWARM_SERVICES, SWARM_NETWORKS};
    static const RigCase c = {
        "services",
        "dockerswarm_sd_configs: [{host: 'tcp://%H', role: services, basic_auth: {username: u, "
        "password: p}}]",
        routes,
        COUNT_OF(routes),
        "10.0.0.3:8080{" SWARM_NETWORK_LABELS
        "__meta_dockerswarm_service_endpoint_port_name=\"http\", "
        "__meta_dockerswarm_service_endpoint_port_publish_mode=\"ingress\", "
        "__meta_dockerswarm_service_id=\"s1\", __meta_dockerswarm_service_label_l=\"1\", "
        "__meta_dockerswarm_service_mode=\"replicated\", __meta_dockerswarm_service_name=\"web\", "
        "__meta_dockerswarm_service_task_container_hostname=\"h\", "
        "__meta_dockerswarm_service_task_container_image=\"img\", "
        "__meta_dockerswarm_service_updating_status=\"completed\"}\n",
        "Authorization: Basic dTpw"};
    rig_check(&c);
}

TEST(apis, dockerswarm_nodes)
{
    static const RigRoute routes[] = {SWARM_NODES};
    static const RigCase c = {
        "nodes",
        "dockerswarm_sd_configs: [{host: 'http://%H/', role: nodes, port: 9100, basic_auth: "
        "{username: u, password: p}}]",
        routes,
        COUNT_OF(routes),
        "192.168.0.1:9100{__meta_dockerswarm_node_address=\"192.168.0.1\", "
        "__meta_dockerswarm_node_availability=\"active\", "
        "__meta_dockerswarm_node_engine_version=\"20\", " SWARM_NODE_LABELS
        "__meta_dockerswarm_node_manager_address=\"192.168.0.1:2377\", "
        "__meta_dockerswarm_node_manager_leader=\"true\", "
        "__meta_dockerswarm_node_manager_reachability=\"reachable\", "
        "__meta_dockerswarm_node_platform_architecture=\"x86_64\", "
        "__meta_dockerswarm_node_platform_os=\"linux\", __meta_dockerswarm_node_role=\"manager\", "
        "__meta_dockerswarm_node_status=\"ready\"}\n",
        "Authorization: Basic dTpw"};
    rig_check(&c);
}

TEST(apis, dockerswarm_tasks)
{
#define TASK_LABELS(more)                                                                          \
    "__meta_dockerswarm_container_label_x=\"y\", " more                                            \
    "__meta_dockerswarm_node_address=\"192.168.0.1\", "                                            \
    "__meta_dockerswarm_node_availability=\"active\", " SWARM_NODE_LABELS                          \
    "__meta_dockerswarm_node_platform_architecture=\"x86_64\", "                                   \
    "__meta_dockerswarm_node_platform_os=\"linux\", __meta_dockerswarm_node_role=\"manager\", "    \
    "__meta_dockerswarm_node_status=\"ready\", __meta_dockerswarm_service_id=\"s1\", "             \
    "__meta_dockerswarm_service_label_l=\"1\", __meta_dockerswarm_service_mode=\"replicated\", "   \
    "__meta_dockerswarm_service_name=\"web\", __meta_dockerswarm_task_container_id=\"cid\", "      \
    "__meta_dockerswarm_task_desired_state=\"running\", __meta_dockerswarm_task_id=\"t1\", "
    static const RigRoute routes[] = {
        SWARM_SERVICES,
        SWARM_NETWORKS,
        SWARM_NODES,
        {.request = "GET /tasks",
         .reply = "[{\"ID\": \"t1\", \"ServiceID\": \"s1\", \"NodeID\": \"m1\", \"Slot\": 2,"
                  " \"DesiredState\": \"running\", \"Spec\": {\"ContainerSpec\": {\"Labels\":"
                  " {\"x\": \"y\"}}}, \"Status\": {\"State\": \"running\", \"ContainerStatus\":"
                  " {\"ContainerID\": \"cid\"}, \"PortStatus\": {\"Ports\": [{\"Protocol\":"
                  " \"tcp\", \"PublishMode\": \"host\", \"PublishedPort\": 9000}]}},"
                  " \"NetworksAttachments\": [{\"Network\": {\"ID\": \"n1\"}, \"Addresses\":"
                  " [\"10.0.0.5/24\"]}]}]"}};
    static const RigCase c = {
        "tasks",
        "dockerswarm_sd_configs: [{host: 'http://%H', role: tasks, basic_auth: {username: u, "
        "password: p}}]",
        routes,
        COUNT_OF(routes),
        "192.168.0.1:9000{" TASK_LABELS(
            "") "__meta_dockerswarm_task_port_publish_mode=\"host\", "
                "__meta_dockerswarm_task_slot=\"2\", __meta_dockerswarm_task_state=\"running\"}\n"
                "10.0.0.5:8080{" TASK_LABELS(
                    SWARM_NETWORK_LABELS) "__meta_dockerswarm_task_port_publish_mode=\"ingress\", "
                                          "__meta_dockerswarm_task_slot=\"2\", "
                                          "__meta_dockerswarm_task_state=\"running\"}\n",
        "Authorization: Basic dTpw"};
    rig_check(&c);
}

TEST(apis, nomad)
{
    static const RigRoute routes[] = {
        {.request = "GET /v1/services?namespace=default&region=global&stale=",
         .reply = "[{\"Namespace\": \"default\", \"Services\": [{\"ServiceName\": \"web\"},"
                  " {\"ServiceName\": \"db\"}]}]"},
        {.request = "GET /v1/service/web?namespace=default&region=global&stale=",
         .reply = "[{\"ID\": \"i1\", \"ServiceName\": \"web\", \"Namespace\": \"default\","
                  " \"NodeID\": \"node\", \"Datacenter\": \"dc1\", \"Address\": \"10.0.0.1\","
                  " \"Port\": 8080, \"Tags\": [\"a\", \"b\"]}]"},
        {.request = "GET /v1/service/db?namespace=default&region=global&stale=", .reply = "[]"},
    };
    static const RigCase c = {
        "nomad",
        "nomad_sd_configs: [{server: 'http://%H', basic_auth: {username: u, password: p}}]",
        routes,
        COUNT_OF(routes),
        "10.0.0.1:8080{__meta_nomad_address=\"10.0.0.1\", __meta_nomad_dc=\"dc1\", "
        "__meta_nomad_namespace=\"default\", __meta_nomad_node_id=\"node\", "
        "__meta_nomad_service=\"web\", __meta_nomad_service_address=\"10.0.0.1\", "
        "__meta_nomad_service_id=\"i1\", __meta_nomad_service_port=\"8080\", "
        "__meta_nomad_tags=\",a,b,\"}\n",
        "Authorization: Basic dTpw"};
    rig_check(&c);
}

TEST(apis, eureka)
{
    static const RigRoute routes[] = {
        {.request = "GET /eureka/apps",
         .type = "application/xml",
         .reply =
             "<applications><versions__delta>1</versions__delta><application><name>META</name>"
             "<instance><hostName>meta.x</hostName><app>META</app><ipAddr>10.0.0.1</ipAddr>"
             "<status>UP</status><port enabled=\"true\">8080</port>"
             "<securePort enabled=\"false\">443</securePort>"
             "<homePageUrl>http://meta.x/</homePageUrl>"
             "<statusPageUrl>http://meta.x/s</statusPageUrl>"
             "<healthCheckUrl>http://meta.x/h</healthCheckUrl>"
             "<vipAddress>vip</vipAddress><secureVipAddress>svip</secureVipAddress>"
             "<dataCenterInfo class=\"c\"><name>MyOwn</name><metadata><zone>z1</zone></metadata>"
             "</dataCenterInfo><metadata><management.port>1</management.port></metadata>"
             "<countryId>1</countryId><instanceId>meta:1</instanceId></instance>"
             "<instance><hostName>no.port</hostName></instance></application></applications>"},
    };
    static const RigCase c = {
        "eureka",
        "eureka_sd_configs: [{server: 'http://%H/eureka', basic_auth: {username: u, password: p}}]",
        routes,
        COUNT_OF(routes),
        "meta.x:8080{__meta_eureka_app_instance_country_id=\"1\", "
        "__meta_eureka_app_instance_datacenterinfo_metadata_zone=\"z1\", "
        "__meta_eureka_app_instance_datacenterinfo_name=\"MyOwn\", "
        "__meta_eureka_app_instance_healthcheck_url=\"http://meta.x/h\", "
        "__meta_eureka_app_instance_homepage_url=\"http://meta.x/\", "
        "__meta_eureka_app_instance_hostname=\"meta.x\", "
        "__meta_eureka_app_instance_id=\"meta:1\", "
        "__meta_eureka_app_instance_ip_addr=\"10.0.0.1\", "
        "__meta_eureka_app_instance_metadata_management_port=\"1\", "
        "__meta_eureka_app_instance_port=\"8080\", "
        "__meta_eureka_app_instance_port_enabled=\"true\", "
        "__meta_eureka_app_instance_secure_port=\"443\", "
        "__meta_eureka_app_instance_secure_port_enabled=\"false\", "
        "__meta_eureka_app_instance_secure_vip_address=\"svip\", "
        "__meta_eureka_app_instance_status=\"UP\", "
        "__meta_eureka_app_instance_statuspage_url=\"http://meta.x/s\", "
        "__meta_eureka_app_instance_vip_address=\"vip\", __meta_eureka_app_name=\"META\", "
        "instance=\"meta:1\"}\n"
        "no.port:80{__meta_eureka_app_instance_country_id=\"0\", "
        "__meta_eureka_app_instance_hostname=\"no.port\", __meta_eureka_app_name=\"META\"}\n",
        "Authorization: Basic dTpw"};
    rig_check(&c);
}

TEST(apis, puppetdb)
{
    static const RigRoute routes[] = {
        {.request = "POST /pdb/query/v4",
         .has = "{\"query\":\"facts { name }\"}",
         .header = "Content-Type: application/json",
         .reply = "[{\"certname\": \"a.x\", \"resource\": \"49af\", \"type\": \"Class\","
                  " \"title\": \"Ssh\", \"exported\": false, \"tags\": [\"roles\", \"ssh\"],"
                  " \"file\": \"/etc/s.pp\", \"environment\": \"prod\", \"parameters\":"
                  " {\"port\": 22, \"big\": 1e21, \"on\": true, \"names\": [\"a\", 1.5],"
                  " \"sub-map\": {\"k\": \"v\"}, \"none\": null}}]"},
    };
    static const RigCase c = {
        "puppetdb",
        "puppetdb_sd_configs: [{url: 'http://%H', basic_auth: {username: u, password: p}, query: "
        "'facts { name }', include_parameters: "
        "true, port: 22}]",
        routes,
        COUNT_OF(routes),
        "a.x:22{__meta_puppetdb_certname=\"a.x\", __meta_puppetdb_environment=\"prod\", "
        "__meta_puppetdb_exported=\"false\", __meta_puppetdb_file=\"/etc/s.pp\", "
        "__meta_puppetdb_parameter_big=\"1e+21\", __meta_puppetdb_parameter_names=\"a,1.5\", "
        "__meta_puppetdb_parameter_on=\"true\", __meta_puppetdb_parameter_port=\"22\", "
        "__meta_puppetdb_parameter_sub_map_k=\"v\", __meta_puppetdb_query=\"facts { name }\", "
        "__meta_puppetdb_resource=\"49af\", __meta_puppetdb_tags=\",roles,ssh,\", "
        "__meta_puppetdb_title=\"Ssh\", __meta_puppetdb_type=\"Class\"}\n",
        "Authorization: Basic dTpw"};
    rig_check(&c);
}

TEST(apis, marathon)
{
    static const RigRoute routes[] = {
        {.request = "GET /v2/apps/?embed=apps.tasks",
         .header = "Authorization: token=dcos",
         .reply =
             "{\"apps\": [{\"id\": \"plain\", \"labels\": {\"l.1\": \"v\"}, \"container\":"
             " {\"docker\": {\"image\": \"img\"}}, \"portDefinitions\": [{\"port\": 31000,"
             " \"labels\": {\"p\": \"yes\"}}], \"tasks\": [{\"id\": \"t1\", \"host\": \"h1\","
             " \"ports\": [31005]}]},"
             " {\"id\": \"net\", \"networks\": [{\"mode\": \"container\"}], \"container\":"
             " {\"portMappings\": [{\"containerPort\": 80, \"hostPort\": 0, \"labels\": {\"m.1\": "
             "\"w\"}}]},"
             " \"tasks\": [{\"id\": \"t2\", \"host\": \"h2\", \"ipAddresses\": [{\"ipAddress\":"
             " \"9.0.0.1\"}]}]},"
             " {\"id\": \"old\", \"tasks\": [{\"id\": \"t3\", \"host\": \"h3\", \"ports\":"
             " [1, 2]}]}]}"},
    };
    static const RigCase c = {
        "marathon", "marathon_sd_configs: [{servers: ['http://%H'], auth_token: dcos}]", routes,
        COUNT_OF(routes),
        "h1:31005{__meta_marathon_app=\"plain\", __meta_marathon_app_label_l_1=\"v\", "
        "__meta_marathon_image=\"img\", __meta_marathon_port_definition_label_p=\"yes\", "
        "__meta_marathon_port_index=\"0\", __meta_marathon_task=\"t1\"}\n"
        "9.0.0.1:80{__meta_marathon_app=\"net\", __meta_marathon_port_index=\"0\", "
        "__meta_marathon_port_mapping_label_m_1=\"w\", "
        "__meta_marathon_task=\"t2\"}\n"
        "h3:1{__meta_marathon_app=\"old\", __meta_marathon_port_index=\"0\", "
        "__meta_marathon_task=\"t3\"}\n"
        "h3:2{__meta_marathon_app=\"old\", __meta_marathon_port_index=\"1\", "
        "__meta_marathon_task=\"t3\"}\n"};
    rig_check(&c);
}

TEST(apis, triton)
{
    static const RigRoute routes[] = {
        {.request = "GET /cmon.x:9163/v1/discover?groups=a%2Cb",
         .reply =
             "{\"containers\": [{\"groups\": [\"a\"], \"server_uuid\": \"s\", \"vm_alias\":"
             " \"al\", \"vm_brand\": \"lx\", \"vm_image_uuid\": \"im\", \"vm_uuid\": \"u\"}]}"},
        {.request = "GET /cmon.x:9163/v1/gz/discover",
         .reply = "{\"cns\": [{\"server_uuid\": \"n\", \"server_hostname\": \"nh\"}]}"},
    };
    static const RigCase c = {
        "triton",
        "triton_sd_configs:\n"
        "- {account: a, dns_suffix: cmon.y, endpoint: cmon.x, groups: [a, b]}\n"
        "- {account: a, dns_suffix: cmon.y, endpoint: cmon.x, role: cn}\n",
        routes, COUNT_OF(routes),
        "u.cmon.y:9163{__meta_triton_groups=\",a,\", __meta_triton_machine_alias=\"al\", "
        "__meta_triton_machine_brand=\"lx\", __meta_triton_machine_id=\"u\", "
        "__meta_triton_machine_image=\"im\", __meta_triton_server_id=\"s\"}\n"
        "n.cmon.y:9163{__meta_triton_machine_alias=\"nh\", __meta_triton_machine_id=\"n\"}\n"};
    rig_check(&c);
}

TEST(apis, bad_blocks_are_refused)
{
    static const RigBad cases[] = {
        {"docker", "docker_sd_configs: [{}]", "c.yml:1:21: host missing"},
        {"URL of docker", "docker_sd_configs: [{host: '://'}]",
         "c.yml:1:28: host: parse \"://\": missing protocol scheme"},
        {"swarm", "dockerswarm_sd_configs: [{host: h}]",
         "role missing (one of: tasks, services, nodes)"},
        {"swarm role", "dockerswarm_sd_configs: [{host: h, role: x}]", "role"},
        {"nomad", "nomad_sd_configs: [{server: ''}]",
         "nomad SD configuration requires a server address"},
        {"eureka", "eureka_sd_configs: [{}]", "eureka_sd: empty or null eureka server"},
        {"eureka URL", "eureka_sd_configs: [{server: x}]", "eureka_sd: invalid eureka server URL"},
        {"puppetdb", "puppetdb_sd_configs: [{url: 'http://h'}]", "query missing"},
        {"marathon", "marathon_sd_configs: [{}]",
         "marathon_sd: must contain at least one Marathon server"},
        {"marathon tokens",
         "marathon_sd_configs: [{servers: [h], auth_token: a, auth_token_file: b}]",
         "at most one of auth_token & auth_token_file"},
        {"marathon auth",
         "marathon_sd_configs: [{servers: [h], auth_token: a, basic_auth: {username: b}}]",
         "at most one of basic_auth, auth_token & auth_token_file"},
        {"triton", "triton_sd_configs: [{account: a, endpoint: b}]",
         "triton SD configuration requires a dns_suffix"},
    };

    EACH_CASE(c, cases)
        rig_check_bad(c);
}

TEST_MAIN(apis, TEST_ROW(apis, docker), TEST_ROW(apis, dockerswarm_services),
          TEST_ROW(apis, dockerswarm_nodes), TEST_ROW(apis, dockerswarm_tasks),
          TEST_ROW(apis, nomad), TEST_ROW(apis, eureka), TEST_ROW(apis, puppetdb),
          TEST_ROW(apis, marathon), TEST_ROW(apis, triton), TEST_ROW(apis, bad_blocks_are_refused))
