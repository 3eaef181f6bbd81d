// SPDX-License-Identifier: Apache-2.0
#include "scrape/scrape_config.h"

#include <stdlib.h>

#include "base/test.h"
#include "codec/yaml.h"

// "global: ...\njob: ..." as one document.
static bool load(Arena *arena, Str text, ScrapeGlobal *global, ScrapeConfig *config, Error *err)
{
    YamlNode *root;
    ConfigReader reader = {.arena = arena, .file_name = S("p.yml"), .folder = S("/etc")};
    YamlNode none = {.kind = YAML_NULL, .line = 1, .column = 1};
    if (!yaml_parse(text, S("p.yml"), arena, &root, err))
        return false;
    YamlNode *global_node = yaml_get(root, S("global"));
    YamlNode *job = yaml_get(root, S("job"));
    bool ok = config_decode(&reader, &scrape_global_table, global_node ? global_node : &none,
                            global, err) &&
              (!job || (config_decode(&reader, &scrape_config_table, job, config, err) &&
                        scrape_config_complete(&reader, job, global, config, err)));
    config_release(&reader);
    return ok;
}

TEST(scrape_config, jobs_inherit)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    ScrapeGlobal global;
    ScrapeConfig job;
    Error err = {0};

    CHECK_OK(load(&arena,
                  S("global: {scrape_interval: 5s, sample_limit: 10, body_size_limit: 1MB, "
                    "extra_scrape_metrics: true}\n"
                    "job: {job_name: j, sample_limit: 20, extra_scrape_metrics: false}\n"),
                  &global, &job, &err),
             err);

    CHECK_EQ(global.timeout_ms, 5000);
    CHECK_EQ(job.interval_ms, 5000);
    CHECK_EQ(job.timeout_ms, 5000);
    CHECK_EQ(job.limits.samples, 20);
    CHECK_EQ(job.limits.body_bytes, 1 << 20);
    CHECK(!job.switches.extra_metrics);
    CHECK(job.honor_timestamps);
    CHECK(job.enable_compression);
    CHECK_STR(job.accept, S("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
                            "application/openmetrics-text;version=0.0.1;q=0.5,text/"
                            "plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
                            "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"));
}

TEST(scrape_config, native_histograms_ask_for_protobuf_first)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    ScrapeGlobal global;
    ScrapeConfig job;
    Error err = {0};

    CHECK_OK(load(&arena, S("job: {job_name: j, scrape_native_histograms: true}\n"), &global, &job,
                  &err),
             err);
    CHECK(str_starts_with(job.accept, S("application/vnd.google.protobuf;")));

    CHECK_OK(load(&arena,
                  S("job: {job_name: j, metric_name_validation_scheme: legacy, scrape_protocols: "
                    "[PrometheusText1.0.0]}\n"),
                  &global, &job, &err),
             err);
    CHECK_STR(job.accept, S("text/plain;version=1.0.0;escaping=underscores;q=0.6,*/*;q=0.5"));
}

TEST(scrape_config, mistakes_are_told_in_the_originals_words)
{
    static const struct {
        const char *name;
        Str text;
        const char *want;
    } cases[] = {
        {"no name", STR("job: {}\n"), "job_name is empty"},
        {"global timeout", STR("global: {scrape_interval: 5s, scrape_timeout: 6s}\n"),
         "p.yml:1:9: global scrape timeout greater than scrape interval"},
        {"job timeout", STR("job: {job_name: j, scrape_interval: 5s, scrape_timeout: 6s}\n"),
         "scrape timeout greater than scrape interval for scrape config with job name \"j\""},
        {"no protocols", STR("job: {job_name: j, scrape_protocols: []}\n"),
         "scrape_protocols cannot be empty for scrape config with job name \"j\""},
        {"protocol twice",
         STR("global: {scrape_protocols: [PrometheusText0.0.4, prometheustext0.0.4]}\n"),
         "duplicated protocol in scrape_protocols, got [PrometheusText0.0.4 prometheustext0.0.4] "
         "for global config"},
        {"unknown protocol", STR("global: {scrape_protocols: [Foo]}\n"),
         "scrape_protocols: unknown scrape protocol Foo, supported: ["},
        {"unknown fallback", STR("job: {job_name: j, fallback_scrape_protocol: Foo}\n"),
         "invalid fallback_scrape_protocol for scrape config with job name \"j\": unknown scrape "
         "protocol Foo"},
        {"escaping against validation",
         STR("job: {job_name: j, metric_name_validation_scheme: legacy, "
             "metric_name_escaping_scheme: allow-utf-8}\n"),
         "utf8 metric names requested but validation scheme is not set to UTF8"},
        {"unknown validation", STR("global: {metric_name_validation_scheme: foo}\n"),
         "unknown scrape config name validation method specified, must be either 'legacy' or "
         "'utf8', got foo"},
        {"unknown escaping", STR("job: {job_name: j, metric_name_escaping_scheme: foo}\n"),
         "unknown scrape config name escaping method specified, must be one of 'allow-utf-8', "
         "'underscores', 'dots', or 'values', got foo"},
        {"URL of a proxy", STR("job: {job_name: j, proxy_url: ':'}\n"),
         "p.yml:1:31: proxy_url: parse \":\": missing protocol scheme"},
        {"URL with a password", STR("job: {job_name: j, proxy_url: 'http://u:hu%sh@p'}\n"),
         "p.yml:1:31: proxy_url: not a valid URL"},
        {"path in a target",
         STR("job: {job_name: j, static_configs: [{targets: ['http://a/b']}]}\n"),
         "\"http://a/b\" is not a valid hostname"},
        {"external label", STR("global: {external_labels: {'': x}}\n"),
         "\"\" is not a valid label name"},
        {"null rule", STR("job:\n  job_name: j\n  relabel_configs:\n    - ~\n"),
         "empty or null target relabeling rule in scrape config"},
        {"null rule of samples", STR("job: {job_name: j, metric_relabel_configs: [~]}\n"),
         "empty or null metric relabeling rule in scrape config"},
        {"unknown key", STR("job: {job_name: j, honour_labels: true}\n"),
         "p.yml:1:20: field honour_labels not found in scrape_config, did you mean honor_labels?"},
        {"scheme", STR("job: {job_name: j, scheme: ftp}\n"), "neither http nor https"},
        {"password twice",
         STR("job: {job_name: j, basic_auth: {username: a, password: b, password_file: c}}\n"),
         "at most one of"},
    };

    EACH_CASE(c, cases) {
        CLEANUP(arena_deinit) Arena arena = {0};
        ScrapeGlobal global;
        ScrapeConfig job;
        Error err = {0};

        CHECK(!load(&arena, c->text, &global, &job, &err));

        CHECK_HAS(err.text, c->want);
    }
}

TEST(scrape_config, external_labels_expand_the_environment)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    CLEANUP(buf_deinit) Buf labels = {0};
    ScrapeGlobal global;
    ScrapeConfig job;
    Error err = {0};
    setenv("SCRAPE_TEST_ZONE", "eu-1", 1);
    unsetenv("SCRAPE_TEST_NONE");

    CHECK_OK(load(&arena,
                  S("global:\n  external_labels:\n    b: '${SCRAPE_TEST_ZONE}x'\n    a: "
                    "$SCRAPE_TEST_ZONE/y\n"
                    "    d: 1$$2\n    c: z$SCRAPE_TEST_NONE\n"),
                  &global, &job, &err),
             err);

    labels_print(&labels, global.external);
    CHECK_STR(buf_str(&labels), S("{a=\"eu-1/y\", b=\"eu-1x\", c=\"z\", d=\"1$2\"}"));
    CHECK_EQ(global.unset_variables.count, 1);
    CHECK_STR(global.unset_variables.items[0], S("SCRAPE_TEST_NONE"));
}

TEST(scrape_config, prints_what_the_original_prints)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    CLEANUP(buf_deinit) Buf out = {0};
    ScrapeGlobal global;
    ScrapeConfig job;
    Error err = {0};
    CHECK_OK(load(&arena,
                  S("job:\n  job_name: j\n  static_configs: [{targets: ['a:1'], labels: {x: y}}]\n"
                    "  relabel_configs: [{source_labels: [a, b], target_label: c}]\n"),
                  &global, &job, &err),
             err);

    config_print(&out, 0, &scrape_config_table, &job);

    CHECK_STR(
        buf_str(&out),
        S("job_name: j\nhonor_timestamps: true\ntrack_timestamps_staleness: "
          "false\nscrape_interval: 1m\n"
          "scrape_timeout: 10s\nscrape_protocols:\n- OpenMetricsText1.0.0\n- OpenMetricsText0.0.1\n"
          "- PrometheusText1.0.0\n- PrometheusText0.0.4\nscrape_native_histograms: false\n"
          "convert_classic_histograms_to_nhcb: false\nalways_scrape_classic_histograms: false\n"
          "extra_scrape_metrics: false\nmetrics_path: /metrics\nscheme: http\nenable_compression: "
          "true\n"
          "metric_name_validation_scheme: utf8\nmetric_name_escaping_scheme: allow-utf-8\n"
          "follow_redirects: true\nenable_http2: true\nrelabel_configs:\n- source_labels: [a, b]\n "
          " separator: ;\n"
          "  target_label: c\n  replacement: $1\n  action: replace\nstatic_configs:\n- targets:\n  "
          "- a:1\n"
          "  labels:\n    x: \"y\"\n"));
}

TEST_MAIN(scrape_config, TEST_ROW(scrape_config, jobs_inherit),
          TEST_ROW(scrape_config, native_histograms_ask_for_protobuf_first),
          TEST_ROW(scrape_config, mistakes_are_told_in_the_originals_words),
          TEST_ROW(scrape_config, external_labels_expand_the_environment),
          TEST_ROW(scrape_config, prints_what_the_original_prints))
