// SPDX-License-Identifier: Apache-2.0
// The engine, by way of its plainest kind: http_sd_configs.
#include "discovery/discovery_meta.h"
#include "discovery/discovery_rig.h"

static const char http_config[] = "http_sd_configs:\n"
                                  "- url: http://%H/targets\n"
                                  "  refresh_interval: 50ms\n"
                                  "  authorization: {credentials: secret}\n";

TEST(poll, groups_come_from_a_url)
{
    static const RigRoute routes[] = {
        {.request = "GET /targets",
         .header = "X-Prometheus-Refresh-Interval-Seconds: 0.05",
         .type = "application/json; charset=\"utf-8\"",
         .reply = "[{\"targets\": [\"a:1\", \"b:2\"], \"labels\": {\"n\": \"5\"}},"
                  " {\"targets\": [\"c:3\"]}, {\"targets\": []}]"},
    };
    static const RigCase c = {"http", http_config, routes, COUNT_OF(routes),
                              "a:1{__meta_url=\"http://%H/targets\", n=\"5\"}\n"
                              "b:2{__meta_url=\"http://%H/targets\", n=\"5\"}\n"
                              "c:3{__meta_url=\"http://%H/targets\"}\n"};
    rig_check(&c);
}

TEST(poll, a_failing_api_is_counted_and_keeps_its_targets)
{
    static const RigRoute good[] = {{.request = "GET /targets",
                                     .header = "Authorization: Bearer secret",
                                     .reply = "[{\"targets\": [\"a:1\"]}]"}};
    static const struct {
        const char *name;
        RigRoute route;
    } cases[] = {
        {"status", {.request = "GET /targets", .status = 500, .reply = "oh"}},
        {"type", {.request = "GET /targets", .type = "text/html", .reply = "[]"}},
        {"no JSON", {.request = "GET /targets", .reply = "[{]"}},
        {"null group", {.request = "GET /targets", .reply = "[null]"}},
        {"no list", {.request = "GET /targets", .reply = "{}"}},
        {"unknown field", {.request = "GET /targets", .reply = "[{\"target\": []}]"}},
    };

    EACH_CASE(c, cases) {
        Rig rig;
        rig_init(&rig, good, 1);
        log_setup(LOG_ERROR + 1, LOG_LOGFMT);
        rig_apply(&rig, http_config);
        CHECK(rig_wait(&rig, "a:1{__meta_url=\"http://%H/targets\"}\n"));

        rig_route(&rig, &c->route, 1);

        CHECK(rig_wait_metric(&rig, "prometheus_sd_http_failures_total 2+"));
        CHECK(rig_wait_metric(
            &rig, "prometheus_sd_refresh_failures_total{mechanism=\"http\",config=\"j\"} "));
        CHECK(rig_wait_metric(
            &rig,
            "prometheus_sd_refresh_duration_seconds_count{mechanism=\"http\",config=\"j\"} "));
        CHECK(rig_wait_metric(
            &rig, "prometheus_sd_discovered_targets{name=\"scrape\",config=\"j\"} 1\n"));
        CHECK_EQ(rig.calls, 2); // the empty one at the start, the first answer
        rig_deinit(&rig);
    }
}

TEST(poll, what_did_not_change_is_not_told_again)
{
    static const RigRoute routes[] = {
        {.request = "GET /targets", .reply = "[{\"targets\": [\"a:1\"]}]"}};
    Rig rig;
    rig_init(&rig, routes, 1);

    rig_apply(&rig, http_config);

    CHECK(rig_wait_metric(&rig, "prometheus_sd_received_updates_total{name=\"scrape\"} 5+"));
    CHECK(rig_wait_metric(&rig, "prometheus_sd_updates_total{name=\"scrape\"} 2\n"));
    rig_deinit(&rig);
}

TEST(poll, equal_blocks_of_two_jobs_are_asked_once)
{
    static const RigRoute routes[] = {
        {.request = "GET /targets", .reply = "[{\"targets\": [\"a:1\"]}]"}};
    Rig rig;
    DiscoveryConfigs configs;
    Error err = {0};
    rig_init(&rig, routes, 1);
    CHECK_OK(rig_load(&rig, "http_sd_configs: [{url: 'http://%H/targets', refresh_interval: 1d}]",
                      &configs, &err),
             err);
    DiscoveryJob jobs[] = {{S("j"), &configs}, {S("k"), &configs}};

    discovery_apply(rig.discovery, jobs, 2);

    CHECK(rig_wait_metric(&rig,
                          "prometheus_sd_discovered_targets{name=\"scrape\",config=\"k\"} 1\n"));
    CHECK(rig_wait_metric(&rig, "prometheus_sd_received_updates_total{name=\"scrape\"} 1\n"));
    // The job that is left keeps the provider and what it found.
    discovery_apply(rig.discovery, jobs + 1, 1);
    discovery_apply(rig.discovery, jobs, 2);
    CHECK(rig_wait_metric(&rig,
                          "prometheus_sd_discovered_targets{name=\"scrape\",config=\"j\"} 1\n"));
    CHECK(rig_wait_metric(&rig, "prometheus_sd_received_updates_total{name=\"scrape\"} 1\n"));
    rig_deinit(&rig);
}

TEST(poll, bad_blocks_are_refused)
{
    static const RigBad cases[] = {
        {"no url", "http_sd_configs: [{}]", "c.yml:1:19: URL is missing"},
        {"scheme", "http_sd_configs: [{url: 'ftp://h/'}]", "URL scheme must be 'http' or 'https'"},
        {"host", "http_sd_configs: [{url: 'http:///x'}]", "host is missing in URL"},
        {"auth", "http_sd_configs: [{url: 'http://h', basic_auth: {username: a}, bearer_token: b}]",
         "at most one of basic_auth"},
        {"interval", "http_sd_configs: [{url: 'http://h', refresh_interval: 0s}]",
         "refresh_interval"},
    };

    EACH_CASE(c, cases)
        rig_check_bad(c);
}

// Of a group of three targets, brought in this order.
static Hash128 hash_of(const char *const names[3])
{
    CLEANUP(arena_deinit) Arena arena = {0};
    GroupSnapshot *snapshot = group_snapshot_new();
    GroupMaker maker;
    group_begin(&maker, snapshot, &arena, S("source"));
    for (size_t i = 0; i < 3; i++) {
        labels_builder_set(group_target(&maker), S("__address__"), str_from_c(names[i]));
        group_add(&maker);
    }
    group_end(&maker);
    Hash128 hash = snapshot->groups[0].hash;
    group_snapshot_unref(snapshot);
    return hash;
}

TEST(poll, answers_that_come_in_another_order_are_no_change)
{
    static const char *const orders[][3] = {
        {"a:1", "b:1", "c:1"}, {"c:1", "a:1", "b:1"}, {"c:1", "b:1", "a:1"}};
    Hash128 first = hash_of(orders[0]);
    for (size_t i = 1; i < COUNT_OF(orders); i++) {
        Hash128 other = hash_of(orders[i]);
        CHECK_EQ(other.low, first.low);
        CHECK_EQ(other.high, first.high);
    }
}

TEST_MAIN(poll, TEST_ROW(poll, groups_come_from_a_url),
          TEST_ROW(poll, answers_that_come_in_another_order_are_no_change),
          TEST_ROW(poll, a_failing_api_is_counted_and_keeps_its_targets),
          TEST_ROW(poll, what_did_not_change_is_not_told_again),
          TEST_ROW(poll, equal_blocks_of_two_jobs_are_asked_once),
          TEST_ROW(poll, bad_blocks_are_refused))
