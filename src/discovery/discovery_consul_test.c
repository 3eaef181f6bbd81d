// SPDX-License-Identifier: Apache-2.0
#include "discovery/discovery_rig.h"

#define QUERY "stale=&wait=120000ms"
#define INSTANCE(address, port, checks)                                                            \
    "{\"Node\": {\"Node\": \"n1\", \"Address\": \"10.0.0.1\", \"Meta\": {\"rack-no\": \"7\"},"     \
    " \"TaggedAddresses\": {\"lan\": \"10.0.0.1\"}},"                                              \
    " \"Service\": {\"ID\": \"web-1\", \"Service\": \"web\", \"Tags\": [\"a\", \"b\"],"            \
    " \"Address\": \"" address "\", \"Port\": " port ", \"Meta\": {\"v\": \"2\"},"                 \
    " \"Namespace\": \"ns\", \"Partition\": \"p\"}, \"Checks\": " checks "}"
#define LABELS(address, port, health)                                                              \
    "{__meta_consul_address=\"10.0.0.1\", __meta_consul_dc=\"dc1\", " health                       \
    "__meta_consul_metadata_rack_no=\"7\", __meta_consul_namespace=\"ns\", "                       \
    "__meta_consul_node=\"n1\", __meta_consul_partition=\"p\", "                                   \
    "__meta_consul_service=\"web\", " address                                                      \
    "__meta_consul_service_id=\"web-1\", __meta_consul_service_metadata_v=\"2\", "                 \
    "__meta_consul_service_port=\"" port "\", __meta_consul_tagged_address_lan=\"10.0.0.1\", "     \
    "__meta_consul_tags=\",a,b,\"}\n"

static const RigRoute agent = {.request = "GET /v1/agent/self",
                               .reply = "{\"Config\": {\"Datacenter\": \"dc1\"}}"};

TEST(consul, the_catalog_leads_to_the_instances)
{
    const RigRoute routes[] = {
        agent,
        {.request = "GET /v1/catalog/services?" QUERY,
         .reply_header = "X-Consul-Index: 12",
         .reply = "{\"consul\": [], \"web\": [\"a\", \"b\"], \"other\": [\"a\"]}"},
        {.request = "GET /v1/health/service/web?" QUERY "&tag=a&tag=b",
         .reply_header = "X-Consul-Index: 13",
         .reply = "[" INSTANCE("10.1.1.1", "80", "[]") "," INSTANCE(
             "", "81",
             "[{\"CheckID\": \"c\", \"Status\": \"passing\"},"
             " {\"CheckID\": \"d\", \"Status\": \"warning\"}]") "]"},
    };
    const RigCase c = {
        "consul", "consul_sd_configs: [{server: '%H', tags: [a, b]}]", routes, COUNT_OF(routes),
        "10.1.1.1:80" LABELS(
            "__meta_consul_service_address=\"10.1.1.1\", ", "80",
            "__meta_consul_health=\"passing\", ") "10.0.0.1:81" LABELS("", "81",
                                                                       "__meta_consul_health="
                                                                       "\"warning\", ")};
    rig_check(&c);
}

TEST(consul, services_by_name_need_no_catalog_and_all_settings_are_sent)
{
    const RigRoute routes[] = {
        {.request = "GET /p/v1/health/service/web?dc=dc1&ns=ns&partition=p&wait=120000ms"
                    "&node-meta=rack%3A7&filter=Checks+is+empty",
         .header = "X-Consul-Token: t",
         .reply_header = "X-Consul-Index: 13",
         .reply = "[" INSTANCE(
             "", "80", "[{\"CheckID\": \"_node_maintenance\", \"Status\": \"critical\"}]") "]"},
    };
    const RigCase c = {"consul",
                       "consul_sd_configs:\n"
                       "- server: '%H'\n"
                       "  path_prefix: /p\n"
                       "  token: t\n"
                       "  datacenter: dc1\n"
                       "  namespace: ns\n"
                       "  partition: p\n"
                       "  allow_stale: false\n"
                       "  services: [web]\n"
                       "  node_meta: {rack: '7'}\n"
                       "  health_filter: Checks is empty\n",
                       routes, COUNT_OF(routes),
                       "10.0.0.1:80" LABELS("", "80", "__meta_consul_health=\"maintenance\", ")};
    rig_check(&c);
}

TEST(consul, changes_are_followed_by_index)
{
    static const RigRoute first[] = {
        {.request = "GET /v1/catalog/services?dc=dc1&" QUERY,
         .reply_header = "X-Consul-Index: 1",
         .reply = "{\"web\": [], \"old\": []}"},
        {.request = "GET /v1/health/service/web?dc=dc1&" QUERY,
         .reply_header = "X-Consul-Index: 1",
         .reply = "[" INSTANCE("", "80", "[]") "]"},
        {.request = "GET /v1/health/service/old?dc=dc1&" QUERY,
         .reply_header = "X-Consul-Index: 1",
         .reply = "[]"},
        {.request = "GET /v1/catalog/services?dc=dc1&stale=&index=1&wait=120000ms",
         .reply_header = "X-Consul-Index: 1"},
        {.request = "GET /v1/health/service/web?dc=dc1&stale=&index=1&wait=120000ms",
         .reply_header = "X-Consul-Index: 1"},
        {.request = "GET /v1/health/service/old?dc=dc1&stale=&index=1&wait=120000ms",
         .reply_header = "X-Consul-Index: 1"},
    };
    static const RigRoute later[] = {
        {.request = "GET /v1/catalog/services?dc=dc1&stale=&index=1&wait=120000ms",
         .reply_header = "X-Consul-Index: 2",
         .reply = "{\"web\": []}"},
        {.request = "GET /v1/catalog/services?dc=dc1&stale=&index=2&wait=120000ms",
         .reply_header = "X-Consul-Index: 2",
         .reply = "{\"other\": []}"}, // the index says that nothing is new
        {.request = "GET /v1/health/service/web?dc=dc1&stale=&index=1&wait=120000ms",
         .reply_header = "X-Consul-Index: 2",
         .reply = "[" INSTANCE("", "81", "[]") "]"},
        {.request = "GET /v1/health/service/web?dc=dc1&stale=&index=2&wait=120000ms",
         .reply_header = "X-Consul-Index: 2",
         .reply = "[]"},
    };
    Rig rig;
    rig_init(&rig, first, COUNT_OF(first));
    log_setup(LOG_ERROR + 1, LOG_LOGFMT);
    rig_apply(&rig, "consul_sd_configs: [{server: '%H', datacenter: dc1, refresh_interval: 50ms}]");
    CHECK(rig_wait(&rig, "10.0.0.1:80" LABELS("", "80", "__meta_consul_health=\"passing\", ")));

    rig_route(&rig, later, COUNT_OF(later));

    CHECK(rig_wait(&rig, "10.0.0.1:81" LABELS("", "81", "__meta_consul_health=\"passing\", ")));
    rig_deinit(&rig);
}

TEST(consul, failures_are_counted)
{
    static const RigRoute routes[] = {
        {.request = "GET /v1/agent/self", .status = 500, .reply = "no leader"}};
    Rig rig;
    rig_init(&rig, routes, 1);
    log_setup(LOG_ERROR + 1, LOG_LOGFMT);

    rig_apply(&rig, "consul_sd_configs: [{server: '%H'}]");

    CHECK(rig_wait_metric(&rig, "prometheus_sd_consul_rpc_failures_total 1+"));
    rig_deinit(&rig);
}

TEST(consul, bad_blocks_are_refused)
{
    static const RigBad cases[] = {
        {"server", "consul_sd_configs: [{server: ' '}]",
         "consul SD configuration requires a server address"},
        {"two passwords",
         "consul_sd_configs: [{server: h, username: a, basic_auth: {username: b}}]",
         "at most one of consul SD configuration username and password and basic auth"},
        {"token", "consul_sd_configs: [{token: a, authorization: {credentials: b}}]",
         "at most one of consul SD token, authorization, or oauth2"},
    };

    EACH_CASE(c, cases)
        rig_check_bad(c);
}

TEST_MAIN(consul, TEST_ROW(consul, the_catalog_leads_to_the_instances),
          TEST_ROW(consul, services_by_name_need_no_catalog_and_all_settings_are_sent),
          TEST_ROW(consul, changes_are_followed_by_index), TEST_ROW(consul, failures_are_counted),
          TEST_ROW(consul, bad_blocks_are_refused))
