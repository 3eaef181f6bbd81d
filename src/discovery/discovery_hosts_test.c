// SPDX-License-Identifier: Apache-2.0
// More kinds that ask a provider of machines; see discovery_clouds_test.c.
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <unistd.h>

#include "discovery/discovery_rig.h"

TEST(hosts, linode)
{
    static const RigRoute routes[] = {
        {.request = "GET /api.linode.com/v4/linode/instances?page_size=500",
         .header = "X-Filter: {\"region\": \"us-east\"}",
         .reply =
             "{\"data\": [{\"id\": 26838044, \"label\": \"one\", \"group\": \"gr\", \"status\":"
             " \"running\", \"type\": \"g6\", \"ipv4\": [\"45.33.1.1\", \"192.168.1.1\","
             " \"45.33.1.2\"], \"ipv6\": \"2600::1/128\", \"image\": \"arch\", \"region\":"
             " \"us-east\", \"hypervisor\": \"kvm\", \"backups\": {\"enabled\": false}, \"specs\":"
             " {\"disk\": 25600, \"memory\": 1024, \"vcpus\": 1, \"gpus\": 0, \"transfer\": 1000},"
             " \"tags\": [\"a\", \"b\"]}], \"page\": 1, \"pages\": 2}"},
        {.request = "GET /api.linode.com/v4/linode/instances?page_size=500&page=2",
         .reply = "{\"data\": [{\"id\": 2, \"ipv4\": []}], \"page\": 2, \"pages\": 2}"},
        {.request = "GET /api.linode.com/v4/networking/ips?page_size=500",
         .reply = "{\"data\": [{\"address\": \"45.33.1.1\", \"public\": true, \"rdns\": \"r.x\"},"
                  " {\"address\": \"192.168.1.1\", \"public\": false, \"rdns\": \"p.x\"},"
                  " {\"address\": \"45.33.1.2\", \"public\": true, \"rdns\": \"\"},"
                  " {\"address\": \"2600::1\", \"public\": true, \"rdns\": \"six.x\"}],"
                  " \"pages\": 1}"},
        {.request = "GET /api.linode.com/v4/networking/ipv6/ranges?page_size=500",
         .reply = "{\"data\": [{\"range\": \"2600:3c00::\", \"prefix\": 64, \"route_target\":"
                  " \"2600::1\"}], \"pages\": 1}"},
    };
    static const RigCase c = {
        "linode",
        "linode_sd_configs: [{region: us-east, authorization: {credentials: t}}]",
        routes,
        COUNT_OF(routes),
        "45.33.1.1:80{__meta_linode_backups=\"disabled\", "
        "__meta_linode_extra_ips=\",45.33.1.2,\", __meta_linode_gpus=\"0\", "
        "__meta_linode_group=\"gr\", "
        "__meta_linode_hypervisor=\"kvm\", __meta_linode_image=\"arch\", "
        "__meta_linode_instance_id=\"26838044\", __meta_linode_instance_label=\"one\", "
        "__meta_linode_ipv6_ranges=\",2600:3c00::/64,\", "
        "__meta_linode_private_ipv4=\"192.168.1.1\", __meta_linode_private_ipv4_rdns=\"p.x\", "
        "__meta_linode_public_ipv4=\"45.33.1.1\", "
        "__meta_linode_public_ipv4_rdns=\"r.x\", __meta_linode_public_ipv6=\"2600::1\", "
        "__meta_linode_public_ipv6_rdns=\"six.x\", __meta_linode_region=\"us-east\", "
        "__meta_linode_specs_disk_bytes=\"26843545600\", "
        "__meta_linode_specs_memory_bytes=\"1073741824\", "
        "__meta_linode_specs_transfer_bytes=\"1048576000\", __meta_linode_specs_vcpus=\"1\", "
        "__meta_linode_status=\"running\", __meta_linode_tags=\",a,b,\", "
        "__meta_linode_type=\"g6\"}\n",
        "Authorization: Bearer t"};
    rig_check(&c);
}

#define SCALEWAY                                                                                   \
    "{project_id: p, access_key: SCW, secret_key: s, api_url: 'http://%H', tags_filter: [a, b], "

TEST(hosts, scaleway)
{
    static const RigRoute routes[] = {
        {.request = "GET /instance/v1/zones/fr-par-1/servers?per_page=100&tags=a%2Cb",
         .header = "X-Auth-Token: s",
         .reply =
             "{\"servers\": [{\"id\": \"i1\", \"name\": \"n\", \"hostname\": \"h\", \"boot_type\":"
             " \"local\", \"organization\": \"o\", \"project\": \"p\", \"state\": \"running\","
             " \"commercial_type\": \"DEV1\", \"zone\": \"fr-par-1\", \"image\": {\"arch\":"
             " \"x86_64\", \"id\": \"im\", \"name\": \"Ubuntu\"}, \"location\": {\"cluster_id\":"
             " \"40\", \"hypervisor_id\": \"1601\", \"node_id\": \"29\"}, \"security_group\":"
             " {\"id\": \"sg\", \"name\": \"default\"}, \"tags\": [\"a\", \"b\"], \"public_ips\":"
             " [{\"address\": \"51.1.1.1\", \"family\": \"inet\"}, {\"address\": \"2001::2\","
             " \"family\": \"inet6\"}], \"public_ip\": {\"address\": \"51.1.1.1\", \"family\":"
             " \"inet\"}, \"ipv6\": {\"address\": \"2001::1\"}, \"private_ip\": \"10.70.1.1\"},"
             " {\"id\": \"i2\", \"zone\": \"fr-par-1\", \"image\": null, \"private_nics\":"
             " [{\"id\": \"nic\"}]}, {\"id\": \"none\"}]}"},
        {.request = "GET /ipam/v1/regions/fr-par/ips?page_size=100&resource_ids=nic"
                    "&resource_types=instance_private_nic",
         .reply = "{\"ips\": [{\"address\": \"172.16.0.2/22\", \"is_ipv6\": false, \"resource\":"
                  " {\"id\": \"nic\"}}]}"},
        {.request = "GET /baremetal/v1/zones/fr-par-1/servers?page_size=100&tags=a&tags=b",
         .reply = "{\"servers\": [{\"id\": \"m\", \"name\": \"metal\", \"zone\": \"fr-par-1\","
                  " \"status\": \"ready\", \"project_id\": \"p\", \"offer_id\": \"of\","
                  " \"install\": {\"os_id\": \"os\"}, \"tags\": [\"b\"], \"ips\": [{\"address\":"
                  " \"2001::9\", \"version\": \"IPv6\"}, {\"address\": \"51.9.9.9\", \"version\":"
                  " \"IPv4\"}]}]}"},
        {.request = "GET /baremetal/v1/zones/fr-par-1/offers?page_size=100",
         .reply = "{\"offers\": [{\"id\": \"of\", \"name\": \"GP-BM1\"}]}"},
        {.request = "GET /baremetal/v1/zones/fr-par-1/os?page_size=100",
         .reply = "{\"os\": [{\"id\": \"os\", \"name\": \"Debian\", \"version\": \"12\"}]}"},
    };
    static const RigCase c = {
        "scaleway",
        "scaleway_sd_configs:\n- " SCALEWAY "role: instance}\n- " SCALEWAY "role: baremetal}\n",
        routes, COUNT_OF(routes),
        "10.70.1.1:80{__meta_scaleway_instance_boot_type=\"local\", "
        "__meta_scaleway_instance_hostname=\"h\", __meta_scaleway_instance_id=\"i1\", "
        "__meta_scaleway_instance_image_arch=\"x86_64\", "
        "__meta_scaleway_instance_image_id=\"im\", "
        "__meta_scaleway_instance_image_name=\"Ubuntu\", "
        "__meta_scaleway_instance_location_cluster_id=\"40\", "
        "__meta_scaleway_instance_location_hypervisor_id=\"1601\", "
        "__meta_scaleway_instance_location_node_id=\"29\", __meta_scaleway_instance_name=\"n\", "
        "__meta_scaleway_instance_organization_id=\"o\", "
        "__meta_scaleway_instance_private_ipv4=\"10.70.1.1\", "
        "__meta_scaleway_instance_project_id=\"p\", "
        "__meta_scaleway_instance_public_ipv4=\"51.1.1.1\", "
        "__meta_scaleway_instance_public_ipv4_addresses=\",51.1.1.1,\", "
        "__meta_scaleway_instance_public_ipv6=\"2001::1\", "
        "__meta_scaleway_instance_public_ipv6_addresses=\",2001::2,\", "
        "__meta_scaleway_instance_region=\"fr-par\", "
        "__meta_scaleway_instance_security_group_id=\"sg\", "
        "__meta_scaleway_instance_security_group_name=\"default\", "
        "__meta_scaleway_instance_status=\"running\", __meta_scaleway_instance_tags=\",a,b,\", "
        "__meta_scaleway_instance_type=\"DEV1\", __meta_scaleway_instance_zone=\"fr-par-1\"}\n"
        "172.16.0.2:80{__meta_scaleway_instance_id=\"i2\", "
        "__meta_scaleway_instance_private_ipv4=\"172.16.0.2\", "
        "__meta_scaleway_instance_region=\"fr-par\", "
        "__meta_scaleway_instance_zone=\"fr-par-1\"}\n"
        "51.9.9.9:80{__meta_scaleway_baremetal_id=\"m\", "
        "__meta_scaleway_baremetal_name=\"metal\", __meta_scaleway_baremetal_os_name=\"Debian\", "
        "__meta_scaleway_baremetal_os_version=\"12\", "
        "__meta_scaleway_baremetal_project_id=\"p\", "
        "__meta_scaleway_baremetal_public_ipv4=\"51.9.9.9\", "
        "__meta_scaleway_baremetal_public_ipv6=\"2001::9\", "
        "__meta_scaleway_baremetal_status=\"ready\", __meta_scaleway_baremetal_tags=\",b,\", "
        "__meta_scaleway_baremetal_type=\"GP-BM1\", "
        "__meta_scaleway_baremetal_zone=\"fr-par-1\"}\n"};
    rig_check(&c);
}

#define OVH                                                                                        \
    "{application_key: k, application_secret: s, consumer_key: c, endpoint: 'http://%H/1.0', "

TEST(hosts, ovhcloud)
{
    static const RigRoute routes[] = {
        {.request = "GET /1.0/auth/time", .reply = "1700000000"},
        {.request = "GET /1.0/vps",
         .header = "X-Ovh-Consumer: c",
         .reply = "[\"vps-1\", \"vps-gone\"]"},
        {.request = "GET /1.0/vps/vps-1",
         .reply = "{\"name\": \"vps-1\", \"zone\": \"GRA\", \"displayName\": \"d\", \"cluster\":"
                  " \"cl\", \"state\": \"running\", \"netbootMode\": \"local\", \"memoryLimit\":"
                  " 2048, \"offerType\": \"ssd\", \"vcore\": 1, \"model\":"
                  " {\"maximumAdditionnalIp\": 16, \"offer\": \"VPS\", \"datacenter\": [\"a\","
                  " \"b\"], \"vcore\": 1, \"version\": \"2019v1\", \"name\": \"m\", \"disk\": 40,"
                  " \"memory\": 2}}"},
        {.request = "GET /1.0/vps/vps-1/ips",
         .reply = "[\"192.0.2.1\", \"2001:db8::/64\", \"2001:db8::1\"]"},
        {.request = "GET /1.0/vps/vps-gone", .status = 404, .reply = "{}"},
        {.request = "GET /1.0/vps/vps-gone/ips", .status = 404, .reply = "{}"},
        {.request = "GET /1.0/dedicated/server", .reply = "[\"ns1\"]"},
        {.request = "GET /1.0/dedicated/server/ns1",
         .reply = "{\"name\": \"ns1\", \"state\": \"ok\", \"commercialRange\": \"adv\","
                  " \"linkSpeed\": 1000, \"rack\": \"R1\", \"noIntervention\": false, \"os\":"
                  " \"debian\", \"supportLevel\": \"pro\", \"serverId\": 1234, \"reverse\":"
                  " \"ns1.x.\", \"datacenter\": \"gra1\"}"},
        {.request = "GET /1.0/dedicated/server/ns1/ips",
         .reply = "[\"192.0.2.9/32\", \"2001:db8::9\"]"},
    };
    Rig rig;
    rig_init(&rig, routes, COUNT_OF(routes));
    log_setup(LOG_ERROR, LOG_LOGFMT);

    static const RigCase c = {"ovhcloud",
                              "ovhcloud_sd_configs:\n- " OVH "service: vps}\n- " OVH
                              "service: dedicated_server}\n",
                              routes, COUNT_OF(routes), NULL};
    rig_apply(&rig, c.config);

    CHECK(rig_wait(
        &rig, "192.0.2.1{__meta_ovhcloud_vps_cluster=\"cl\", "
              "__meta_ovhcloud_vps_datacenter=\"[a b]\", __meta_ovhcloud_vps_disk=\"40\", "
              "__meta_ovhcloud_vps_display_name=\"d\", __meta_ovhcloud_vps_ipv4=\"192.0.2.1\", "
              "__meta_ovhcloud_vps_ipv6=\"2001:db8::1\", "
              "__meta_ovhcloud_vps_maximum_additional_ip=\"16\", __meta_ovhcloud_vps_memory=\"2\", "
              "__meta_ovhcloud_vps_memory_limit=\"2048\", __meta_ovhcloud_vps_model_name=\"m\", "
              "__meta_ovhcloud_vps_model_vcore=\"1\", __meta_ovhcloud_vps_name=\"vps-1\", "
              "__meta_ovhcloud_vps_netboot_mode=\"local\", __meta_ovhcloud_vps_offer=\"VPS\", "
              "__meta_ovhcloud_vps_offer_type=\"ssd\", __meta_ovhcloud_vps_state=\"running\", "
              "__meta_ovhcloud_vps_vcore=\"1\", __meta_ovhcloud_vps_version=\"2019v1\", "
              "__meta_ovhcloud_vps_zone=\"GRA\", instance=\"vps-1\"}\n"
              "192.0.2.9{__meta_ovhcloud_dedicated_server_commercial_range=\"adv\", "
              "__meta_ovhcloud_dedicated_server_datacenter=\"gra1\", "
              "__meta_ovhcloud_dedicated_server_ipv4=\"192.0.2.9\", "
              "__meta_ovhcloud_dedicated_server_ipv6=\"2001:db8::9\", "
              "__meta_ovhcloud_dedicated_server_link_speed=\"1000\", "
              "__meta_ovhcloud_dedicated_server_name=\"ns1\", "
              "__meta_ovhcloud_dedicated_server_no_intervention=\"false\", "
              "__meta_ovhcloud_dedicated_server_os=\"debian\", "
              "__meta_ovhcloud_dedicated_server_rack=\"R1\", "
              "__meta_ovhcloud_dedicated_server_reverse=\"ns1.x.\", "
              "__meta_ovhcloud_dedicated_server_server_id=\"1234\", "
              "__meta_ovhcloud_dedicated_server_state=\"ok\", "
              "__meta_ovhcloud_dedicated_server_support_level=\"pro\", instance=\"ns1\"}\n"));
    rig_deinit(&rig);
    rig_check_faults(&c);
}

#define RPC(value) "<methodResponse><params><param>" value "</param></params></methodResponse>"
#define MEMBER(name, value) "<member><name>" name "</name><value>" value "</value></member>"
#define ARRAY(items) "<value><array><data>" items "</data></array></value>"
#define STRUCT(members) "<value><struct>" members "</struct></value>"

TEST(hosts, uyuni)
{
    static const RigRoute routes[] = {
        {.request = "POST /rpc/api",
         .has = "<methodName>auth.login</methodName><params><param><value><string>u&amp;"
                "</string></value></param><param><value><string>p</string></value></param>"
                "<param><value><int>600</int></value></param></params>",
         .reply = RPC("<value><string>tok</string></value>")},
        {.request = "POST /rpc/api",
         .has = "listSystemGroupsForSystemsWithEntitlement</methodName><params><param><value>"
                "<string>tok</string></value></param><param><value><string>monitoring_entitled<",
         .reply = RPC(ARRAY(STRUCT(MEMBER("id", "<int>1</int>") MEMBER(
             "system_groups", "<array><data>" STRUCT(MEMBER("name", "g1"))
                                  STRUCT(MEMBER("name", "g2")) "</data></array>"))))},
        {.request = "POST /rpc/api",
         .has = "system.getNetworkForSystems</methodName><params><param><value><string>tok"
                "</string></value></param><param><value><array><data><value><int>1</int></value>",
         .reply = RPC(ARRAY(STRUCT(MEMBER("system_id", "<int>1</int>") MEMBER(
             "hostname", "<string>h.x</string>") MEMBER("primary_fqdn", "f.x"))))},
        {.request = "POST /rpc/api",
         .has = "system.monitoring.listEndpoints",
         .reply = RPC(ARRAY(STRUCT(MEMBER("system_id", "<int>1</int>") MEMBER(
             "endpoint_name", "node") MEMBER("port", "<int>9100</int>") MEMBER("path", "/metrics")
                                       MEMBER("module", "m") MEMBER("exporter_name", "ne")
                                           MEMBER("tls_enabled", "<boolean>1</boolean>"))))},
    };
    static const RigCase c = {
        "uyuni", "uyuni_sd_configs: [{server: 'http://%H', username: 'u&', password: p}]", routes,
        COUNT_OF(routes),
        "h.x:9100{__meta_uyuni_endpoint_name=\"node\", __meta_uyuni_exporter=\"ne\", "
        "__meta_uyuni_groups=\"g1,g2\", __meta_uyuni_metrics_path=\"/metrics\", "
        "__meta_uyuni_minion_hostname=\"h.x\", __meta_uyuni_primary_fqdn=\"f.x\", "
        "__meta_uyuni_proxy_module=\"m\", __meta_uyuni_scheme=\"https\", "
        "__meta_uyuni_system_id=\"1\"}\n"};
    rig_check(&c);
}

TEST(hosts, kuma)
{
#define KUMA_TYPE "type.googleapis.com/kuma.observability.v1.MonitoringAssignment"
    static const RigRoute routes[] = {
        {.request = "POST /v3/discovery:monitoringassignments?fetch-timeout=2m",
         .has = "{\"version_info\":\"v1\",\"node\":{\"id\":\"me\"},\"type_url\":\"" KUMA_TYPE
                "\",\"response_nonce\":\"n1\"}",
         .status = 304},
        {.request = "POST /v3/discovery:monitoringassignments?fetch-timeout=2m",
         .has = "{\"node\":{\"id\":\"me\"},\"type_url\":\"" KUMA_TYPE "\"}",
         .reply = "{\"version_info\": \"v1\", \"nonce\": \"n1\", \"type_url\": \"" KUMA_TYPE
                  "\", \"resources\": [{\"@type\": \"" KUMA_TYPE
                  "\", \"mesh\": \"default\", \"service\": \"web\", \"labels\": {\"team\": \"a\","
                  " \"k.io/x\": \"1\"}, \"targets\": [{\"name\": \"dp-1\", \"scheme\": \"http\","
                  " \"address\": \"10.0.0.1:80\", \"metrics_path\": \"/m\", \"labels\":"
                  " {\"team\": \"b\", \"own\": \"2\"}}]}]}"},
    };
    Rig rig;
    rig_init(&rig, routes, COUNT_OF(routes));

    static const RigCase c = {
        "kuma", "kuma_sd_configs: [{server: 'http://%H', client_id: me, refresh_interval: 50ms}]",
        routes, COUNT_OF(routes), NULL};
    rig_apply(&rig, c.config);

    CHECK(rig_wait(&rig, "10.0.0.1:80{__meta_kuma_dataplane=\"dp-1\", "
                         "__meta_kuma_label_k_io_x=\"1\", __meta_kuma_label_own=\"2\", "
                         "__meta_kuma_label_team=\"a\", __meta_kuma_mesh=\"default\", "
                         "__meta_kuma_service=\"web\", __metrics_path__=\"/m\", "
                         "__scheme__=\"http\", instance=\"dp-1\"}\n"));
    CHECK(rig_wait_metric(&rig, "prometheus_sd_kuma_fetch_skipped_updates_total 2+"));
    CHECK(rig_wait_metric(&rig, "prometheus_sd_kuma_fetch_failures_total 0\n"));
    rig_deinit(&rig);
    rig_check_faults(&c);
}

TEST(hosts, outscale)
{
    static const RigRoute routes[] = {
        {.request = "POST /api.eu-west-2.outscale.com/api/v1/ReadVms",
         .header = "Authorization: AWS4-HMAC-SHA256 Credential=a/*",
         .has = "{\"NextPageToken\":\"t\"}",
         .reply = "{\"Vms\": [{\"VmId\": \"i-3\"}, {\"VmId\": \"i-2\", \"PublicIp\":"
                  " \"1.2.3.4\"}]}"},
        {.request = "POST /api.eu-west-2.outscale.com/api/v1/ReadVms",
         .reply = "{\"Vms\": [{\"VmId\": \"i-1\", \"State\": \"running\", \"PrivateIp\":"
                  " \"10.0.0.1\", \"Placement\": {\"SubregionName\": \"eu-west-2a\"}, \"Tags\":"
                  " [{\"Key\": \"a b\", \"Value\": \"c\"}]}], \"NextPageToken\": \"t\"}"},
    };
    static const RigCase c = {
        "outscale", "outscale_sd_configs: [{access_key: a, secret_key: b}]", routes,
        COUNT_OF(routes),
        "10.0.0.1:80{__meta_outscale_vm_instance_id=\"i-1\", "
        "__meta_outscale_vm_private_ip=\"10.0.0.1\", __meta_outscale_vm_region=\"eu-west-2\", "
        "__meta_outscale_vm_state=\"running\", __meta_outscale_vm_subregion=\"eu-west-2a\", "
        "__meta_outscale_vm_tag_a_b=\"c\"}\n"
        "1.2.3.4:80{__meta_outscale_vm_instance_id=\"i-2\", "
        "__meta_outscale_vm_public_ip=\"1.2.3.4\", __meta_outscale_vm_region=\"eu-west-2\"}\n"};
    rig_check(&c);
}

// A new RSA key in PEM; returns its bytes.
static size_t make_rsa_key(char *pem, size_t size)
{
    gnutls_x509_privkey_t key;
    size_t bytes = size - 1;
    CHECK_EQ(gnutls_x509_privkey_init(&key), 0);
    CHECK_EQ(gnutls_x509_privkey_generate(key, GNUTLS_PK_RSA, 2048, 0), 0);
    CHECK_EQ(gnutls_x509_privkey_export(key, GNUTLS_X509_FMT_PEM, pem, &bytes), 0);
    gnutls_x509_privkey_deinit(key);
    return bytes;
}

TEST(hosts, oci)
{
#define IAAS "GET /iaas.r.oraclecloud.com/20160918/"
#define IDENTITY "GET /identity.r.oci.oraclecloud.com/20160918/compartments?compartmentId="
#define CHILDREN "&accessLevel=ACCESSIBLE&compartmentIdInSubtree=false&limit=100"
    static const RigRoute routes[] = {
        {.request = IDENTITY "ten" CHILDREN,
         .header = "Authorization: Signature version=\"1\",keyId=\"ten/us/fp\","
                   "algorithm=\"rsa-sha256\",headers=\"date (request-target) host\",signature=*",
         .reply = "[{\"id\": \"sub\", \"lifecycleState\": \"ACTIVE\"}, {\"id\": \"old\","
                  " \"lifecycleState\": \"DELETED\"}]"},
        {.request = IDENTITY "sub" CHILDREN, .status = 404, .reply = "{}"},
        {.request = IAAS "instances?compartmentId=ten&limit=100", .reply = "[]"},
        {.request = IAAS "instances?compartmentId=sub&limit=100",
         .reply_header = "opc-next-page: p/2",
         .reply = "[{\"id\": \"i1\", \"compartmentId\": \"sub\", \"displayName\": \"n\","
                  " \"lifecycleState\": \"RUNNING\", \"shape\": \"VM\", \"availabilityDomain\":"
                  " \"ad\", \"faultDomain\": \"fd\", \"region\": \"r\", \"imageId\": \"im\","
                  " \"freeformTags\": {\"a-b\": \"c\"}, \"definedTags\": {\"Oracle-T\":"
                  " {\"By\": \"me\", \"n\": 5}}}]"},
        {.request = IAAS "instances?compartmentId=sub&limit=100&page=p%2F2",
         .reply = "[{\"id\": \"i2\", \"compartmentId\": \"sub\"}]"},
        {.request = IAAS "vnicAttachments?compartmentId=sub&instanceId=i1&limit=100",
         .reply = "[{\"vnicId\": \"v0\", \"lifecycleState\": \"DETACHED\"},"
                  " {\"vnicId\": \"v1\", \"lifecycleState\": \"ATTACHED\"}]"},
        {.request = IAAS "vnicAttachments?compartmentId=sub&instanceId=i2&limit=100",
         .status = 500,
         .reply = "{}"},
        {.request = IAAS "vnics/v1",
         .reply = "{\"id\": \"v1\", \"isPrimary\": true, \"privateIp\": \"10.0.0.1\","
                  " \"publicIp\": \"1.2.3.4\", \"hostnameLabel\": \"h\", \"ipv6Addresses\":"
                  " [\"2001::2\", \"2001::1\"]}"},
    };
    CLEANUP(arena_deinit) Arena arena = {0};
    char path[] = "/tmp/narthex_oci_test_XXXXXX";
    char pem[8192];
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    size_t bytes = make_rsa_key(pem, sizeof pem);
    CHECK_EQ(write(fd, pem, bytes), (ssize_t)bytes);
    close(fd);
    const RigCase c = {
        "oci",
        str_to_c(&arena, arena_printf(&arena,
                                      "oci_sd_configs: [{region: r, tenancy: ten, user: us, "
                                      "fingerprint: fp, key_file: '%s'}]",
                                      path)),
        routes, COUNT_OF(routes),
        "10.0.0.1:80{__meta_oci_availability_domain=\"ad\", __meta_oci_compartment_id=\"sub\", "
        "__meta_oci_defined_tag_Oracle_T_By=\"me\", __meta_oci_defined_tag_Oracle_T_n=\"5\", "
        "__meta_oci_fault_domain=\"fd\", __meta_oci_hostname_label=\"h\", "
        "__meta_oci_image_id=\"im\", __meta_oci_instance_id=\"i1\", "
        "__meta_oci_instance_name=\"n\", __meta_oci_instance_shape=\"VM\", "
        "__meta_oci_instance_state=\"RUNNING\", "
        "__meta_oci_ipv6_addresses=\",2001::1,2001::2,\", __meta_oci_private_ip=\"10.0.0.1\", "
        "__meta_oci_public_ip=\"1.2.3.4\", __meta_oci_region=\"r\", __meta_oci_tag_a_b=\"c\", "
        "__meta_oci_tenancy_id=\"ten\", __meta_oci_vnic_id=\"v1\"}\n"};
    rig_check(&c);
    CHECK_EQ(unlink(path), 0);
}

TEST(hosts, stackit)
{
    static const RigRoute routes[] = {
        {.request = "POST /service-account.api.stackit.cloud/token",
         .has = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=ey",
         .reply = "{\"access_token\": \"tok\", \"expires_in\": 3600}"},
        {.request = "GET /iaas.api.eu01.stackit.cloud/v1/projects/p/servers?details=true",
         .header = "Authorization: Bearer tok",
         .reply = "{\"items\": [{\"id\": \"s\", \"name\": \"n\", \"availabilityZone\": \"eu01-1\","
                  " \"status\": \"ACTIVE\", \"powerStatus\": \"RUNNING\", \"machineType\": \"b1\","
                  " \"labels\": {\"a-b\": \"c\", \"n\": 1}, \"nics\": [{\"networkName\": \"net\","
                  " \"ipv4\": \"10.0.0.1\", \"publicIp\": \"1.2.3.4\"}]}, {\"id\": \"x\"}]}"},
    };
    CLEANUP(buf_deinit) Buf config = {0};
    char pem[8192];
    size_t bytes = make_rsa_key(pem, sizeof pem);
    buf_add_c(&config, "stackit_sd_configs:\n- project: p\n  service_account_key: "
                       "'{\"credentials\": {\"iss\": \"i\", \"kid\": \"k\"}}'\n  private_key: |\n");
    Str rest = {pem, bytes};
    for (Str line; str_split_next(&rest, '\n', &line);)
        buf_printf(&config, "    " STR_FMT "\n", STR_ARG(line));
    buf_add_char(&config, 0);
    const RigCase c = {
        "stackit", config.ptr, routes, COUNT_OF(routes),
        "1.2.3.4:80{__meta_stackit_availability_zone=\"eu01-1\", __meta_stackit_id=\"s\", "
        "__meta_stackit_label_a_b=\"c\", __meta_stackit_labelpresent_a_b=\"true\", "
        "__meta_stackit_name=\"n\", __meta_stackit_power_status=\"RUNNING\", "
        "__meta_stackit_private_ipv4_net=\"10.0.0.1\", __meta_stackit_project=\"p\", "
        "__meta_stackit_public_ipv4=\"1.2.3.4\", __meta_stackit_status=\"ACTIVE\", "
        "__meta_stackit_type=\"b1\"}\n"};
    rig_check(&c);
}

TEST(hosts, bad_blocks_are_refused)
{
    static const RigBad cases[] = {
        {"scaleway", "scaleway_sd_configs: [{}]", "role missing (one of: instance, baremetal)"},
        {"scaleway project", "scaleway_sd_configs: [{role: instance}]", "project_id is mandatory"},
        {"scaleway keys",
         "scaleway_sd_configs: [{role: instance, project_id: a, secret_key: b, secret_key_file: "
         "c}]",
         "at most one of secret_key & secret_key_file must be configured"},
        {"oci", "oci_sd_configs: [{}]", "oci_sd: region is required"},
        {"oci key", "oci_sd_configs: [{region: r, tenancy: t}]",
         "oci_sd: api_key auth requires user"},
        {"oci instance", "oci_sd_configs: [{region: r, auth: instance_principal, user: u}]",
         "oci_sd: instance_principal auth must not have tenancy, user, fingerprint, key_file"},
        {"ovhcloud", "ovhcloud_sd_configs: [{}]", "application key can not be empty"},
        {"uyuni", "uyuni_sd_configs: [{server: 'http://h'}]",
         "Uyuni SD configuration requires a username"},
        {"kuma", "kuma_sd_configs: [{server: h}]",
         "kuma SD server must not be empty and have a scheme: h"},
        {"outscale", "outscale_sd_configs: [{access_key: a}]",
         "one of secret_key & secret_key_file must be configured"},
        {"stackit", "stackit_sd_configs: [{region: ''}]",
         "stackit_sd: endpoint and region missing"},
    };

    EACH_CASE(c, cases)
        rig_check_bad(c);
}

TEST_MAIN(hosts, TEST_ROW(hosts, linode), TEST_ROW(hosts, scaleway), TEST_ROW(hosts, ovhcloud),
          TEST_ROW(hosts, uyuni), TEST_ROW(hosts, kuma), TEST_ROW(hosts, outscale),
          TEST_ROW(hosts, oci), TEST_ROW(hosts, stackit), TEST_ROW(hosts, bad_blocks_are_refused))
