// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "base/test.h"
#include "server/server.h"

static bool parse(const char *text, ServerConfig **ret_config, Error *err)
{
    return server_config_parse(str_from_c(text), S("conf/prometheus.yml"), ret_config, err);
}

TEST(server_config, an_empty_file_is_all_defaults)
{
    ServerConfig *config;
    Error err = {0};

    CHECK_OK(parse("", &config, &err), err);

    CHECK_EQ(config->file.global.interval_ms, 60000);
    CHECK_EQ(config->file.global.timeout_ms, 10000);
    CHECK_EQ(config->job_count, 0);
    CHECK(!config->file.storage.tsdb.has_stale_series_compaction_threshold);
    server_config_unref(config);
}

TEST(server_config, what_is_not_in_the_file_is_shown_with_its_defaults)
{
    static const char want[] = "global:\n"
                               "  scrape_interval: 1m\n"
                               "  scrape_timeout: 10s\n"
                               "  scrape_protocols:\n"
                               "  - OpenMetricsText1.0.0\n"
                               "  - OpenMetricsText0.0.1\n"
                               "  - PrometheusText1.0.0\n"
                               "  - PrometheusText0.0.4\n"
                               "  evaluation_interval: 1m\n"
                               "  metric_name_validation_scheme: utf8\n"
                               "  metric_name_escaping_scheme: allow-utf-8\n"
                               "  scrape_native_histograms: false\n"
                               "  convert_classic_histograms_to_nhcb: false\n"
                               "  always_scrape_classic_histograms: false\n"
                               "  extra_scrape_metrics: false\n"
                               "runtime:\n"
                               "  gogc: 75\n"
                               "otlp:\n"
                               "  translation_strategy: UnderscoreEscapingWithSuffixes\n"
                               "  label_name_underscore_sanitization: true\n"
                               "  label_name_preserve_multiple_underscores: true\n";
    static const char *const texts[] = {"", "global:\n", "global: {}\nruntime: {}\n"};
    unsetenv("GOGC");

    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        CLEANUP(buf_deinit) Buf printed = {0};
        ServerConfig *config;
        Error err = {0};

        CHECK_OK(parse(texts[i], &config, &err), err);
        server_config_print(config, &printed);

        CHECK_STR(buf_str(&printed), S(want));
        server_config_unref(config);
    }
}

TEST(server_config, garbage_is_collected_as_the_file_or_the_environment_says)
{
    static const struct {
        const char *name, *environment, *text;
        int64_t want;
    } cases[] = {
        {"neither", NULL, "", 75},
        {"environment", "50", "", 50},
        {"off", "off", "", -1},
        {"nonsense", "x", "", 75},
        {"the file counts first", "50", "runtime: {gogc: 30}\n", 30},
    };

    EACH_CASE(c, cases) {
        ServerConfig *config;
        Error err = {0};
        if (c->environment)
            setenv("GOGC", c->environment, 1);
        else
            unsetenv("GOGC");

        CHECK_OK(parse(c->text, &config, &err), err);

        CHECK_EQ(config->file.runtime.gogc, c->want);
        server_config_unref(config);
    }
    unsetenv("GOGC");
}

TEST(server_config, numbers_are_read_as_by_the_original)
{
    ServerConfig *config;
    Error err = {0};

    CHECK_OK(
        parse("global: {sample_limit: 1e3, label_limit: 1.9, target_limit: 18446744073709551615}\n",
              &config, &err),
        err);

    CHECK_EQ(config->file.global.limits.samples, 1000);
    CHECK_EQ(config->file.global.limits.labels, 1);
    CHECK_EQ(config->file.global.limits.targets, UINT64_MAX);
    server_config_unref(config);
}

TEST(server_config, takes_what_users_write)
{
    static const char text[] = "global:\n"
                               "  scrape_interval: 15s\n"
                               "  external_labels: {cluster: a}\n"
                               "scrape_configs:\n"
                               "  - job_name: node\n"
                               "    static_configs:\n"
                               "      - targets: ['localhost:9100', 'other:9100']\n"
                               "        labels: {env: prod}\n"
                               "    basic_auth: {username: u, password: hush}\n"
                               "    relabel_configs:\n"
                               "      - source_labels: [__address__]\n"
                               "        regex: (.*):.*\n"
                               "        target_label: host\n"
                               "storage:\n"
                               "  tsdb: {out_of_order_time_window: 100y, retention: {time: 30d},\n"
                               "         stale_series_compaction_threshold: 0}\n";
    ServerConfig *config;
    Error err = {0};
    Buf printed = {0};

    CHECK_OK(parse(text, &config, &err), err);
    server_config_print(config, &printed);
    buf_add_char(&printed, '\0');

    CHECK_EQ(config->job_count, 1);
    CHECK_EQ(config->jobs[0]->interval_ms, 15000);
    CHECK_EQ(config->file.storage.tsdb.retention->time_ms, INT64_C(30) * 24 * 3600 * 1000);
    CHECK_EQ(config->file.storage.tsdb.out_of_order_time_window_ms,
             INT64_C(100) * 365 * 24 * 3600 * 1000);
    CHECK(config->file.storage.tsdb.has_stale_series_compaction_threshold); // never is not nothing
    CHECK_HAS(printed.ptr, "password: <secret>");
    CHECK(strstr(printed.ptr, "hush") == NULL);
    CHECK_HAS(printed.ptr, "scrape_interval: 15s");
    buf_deinit(&printed);
    server_config_unref(config);
}

TEST(server_config, tells_file_line_and_column_of_a_mistake)
{
    static const struct {
        const char *name;
        const char *text;
        const char *place;
        const char *want;
    } cases[] = {
        {"unknown key", "global:\n  scrape_intervall: 15s\n",
         "conf/prometheus.yml:2:3: ", "scrape_intervall"},
        {"bad duration", "global:\n  scrape_interval: 15x\n", "conf/prometheus.yml:2:20: ", "15x"},
        {"timeout above interval", "global:\n  scrape_interval: 5s\n  scrape_timeout: 9s\n",
         "conf/prometheus.yml:", "global scrape timeout greater than scrape interval"},
        {"job without a name", "scrape_configs:\n  - metrics_path: /m\n",
         "conf/prometheus.yml:2:", "job_name"},
        {"two jobs of one name", "scrape_configs:\n  - job_name: a\n  - job_name: a\n",
         "conf/prometheus.yml:3:5: ", "found multiple scrape configs with job name \"a\""},
        {"bad regex",
         "scrape_configs:\n  - job_name: a\n    relabel_configs:\n      - regex: '('\n        "
         "target_label: x\n",
         "conf/prometheus.yml:4:", "missing closing )"},
        {"null job", "scrape_configs:\n  -\n",
         "conf/prometheus.yml:2:", "empty or null scrape config section"},
        {"null remote write", "remote_write: [~]\n",
         "conf/prometheus.yml:1:", "empty or null remote write config section"},
        {"null remote read", "remote_read: [~]\n",
         "conf/prometheus.yml:1:", "empty or null remote read config section"},
        {"null rule of remote write",
         "remote_write: [{url: 'http://a', write_relabel_configs: [~]}]\n",
         "conf/prometheus.yml:1:", "empty or null relabeling rule in remote write config"},
        {"no URL to write to", "remote_write: [{name: a}]\n",
         "conf/prometheus.yml:1:", "url for remote_write is empty"},
        {"no URL to read from", "remote_read: [{name: a}]\n",
         "conf/prometheus.yml:1:", "url for remote_read is empty"},
        {"the same remote write twice",
         "remote_write: [{url: 'http://u:hush@a'}, {url: 'http://u:hush@a'}]\n",
         "conf/prometheus.yml:1:",
         "duplicate remote write configs are not allowed, found duplicate for URL: "
         "http://u:xxxxx@a"},
        {"label that is none", "remote_read: [{url: 'http://a', required_matchers: {'': b}}]\n",
         "conf/prometheus.yml:1:", "\"\" is not a valid label name"},
        {"no shards", "remote_write: [{url: 'http://a', queue_config: {max_shards: 0}}]\n",
         "conf/prometheus.yml:1:61: ", "remote write queue max_shards must be positive"},
        {"fewest shards above most",
         "remote_write: [{url: 'http://a', queue_config: {min_shards: 60}}]\n",
         "conf/prometheus.yml:1:",
         "remote write queue min_shards must not be greater than max_shards"},
        {"backoff", "remote_write: [{url: 'http://a', queue_config: {max_backoff: 1ms}}]\n",
         "conf/prometheus.yml:1:",
         "remote write queue max_backoff must not be less than min_backoff"},
        {"message of remote write", "remote_write: [{url: 'http://a', protobuf_message: b}]\n",
         "conf/prometheus.yml:1:",
         "invalid protobuf_message value: unknown remote write protobuf message b"},
        {"role to take on",
         "remote_write: [{url: 'http://a', sigv4: {region: r, external_id: e}}]\n",
         "conf/prometheus.yml:1:", "external_id can only be used with role_arn"},
        {"key of the run time", "runtime: {gogogc: 5}\n", "conf/prometheus.yml:1:11: ", "gogogc"},
        {"quoted number", "global: {sample_limit: '5'}\n",
         "conf/prometheus.yml:1:24: ", "expected a non-negative integer"},
        {"names of OTLP",
         "global: {metric_name_validation_scheme: legacy}\notlp: {translation_strategy: "
         "NoTranslation}\n",
         "conf/prometheus.yml:2:",
         "OTLP translation strategy \"NoTranslation\" is not allowed when UTF8 is disabled"},
        {"no strategy of OTLP", "otlp: {translation_strategy: foo}\n",
         "conf/prometheus.yml:1:30: ", "unsupported OTLP translation strategy \"foo\""},
        {"attribute twice", "otlp: {promote_resource_attributes: [a, ' a']}\n",
         "conf/prometheus.yml:1:",
         "invalid 'promote_resource_attributes': duplicated promoted OTel resource attribute "
         "\"a\""},
        {"open glob", "scrape_config_files: ['[a']\n",
         "conf/prometheus.yml:1:23: ", "syntax error in pattern"},
        {"bad glob", "rule_files: ['a*/b*.yml']\n",
         "conf/prometheus.yml:1:", "invalid rule file path"},
        {"yaml itself", "global: [\n", "conf/prometheus.yml:", ""},
        {"duplicate key", "global: {}\nglobal: {}\n", "conf/prometheus.yml:2:1: ", "global"},
        {"bad encoding", "storage: {tsdb: {chunk_encoding: {floats: gorilla}}}\n",
         "conf/prometheus.yml:1:", "'xor' or 'xor2'"},
        {"percentage", "storage:\n  tsdb:\n    retention: {percentage: 101}\n",
         "conf/prometheus.yml:3:", "[0, 100]"},
    };

    EACH_CASE(c, cases) {
        ServerConfig *config;
        Error err = {0};

        CHECK(!parse(c->text, &config, &err));

        CHECK_EQ(err.code, ERR_INVALID);
        CHECK_HAS(err.text, c->place);
        CHECK_HAS(err.text, c->want);
    }
}

TEST(server_config, prints_remote_write_without_its_secrets)
{
    ServerConfig *config;
    Error err = {0};
    Buf printed = {0};

    CHECK_OK(parse("rule_files: [rules.yml]\nremote_write:\n  - url: http://x/\n    basic_auth: "
                   "{username: u, password: hush}\n",
                   &config, &err),
             err);
    server_config_print(config, &printed);
    buf_add_char(&printed, '\0');

    CHECK_EQ(config->warning_count, 0);
    CHECK_EQ(config->file.remote_write.count, 1);
    CHECK_EQ(config->rule_pattern_count, 1);
    CHECK_STR(config->rule_patterns[0], S("conf/rules.yml"));
    CHECK_HAS(printed.ptr, "password: <secret>");
    CHECK(strstr(printed.ptr, "hush") == NULL);
    buf_deinit(&printed);
    server_config_unref(config);
}

TEST(server_config, prints_no_secret_of_any_kind)
{
    static const char text[] =
        "scrape_configs:\n"
        "  - job_name: a\n"
        "    authorization: {credentials: hidden}\n"
        "    tls_config: {cert: c, key: hidden}\n"
        "    proxy_url: http://u:hidden@proxy:1\n"
        "    proxy_connect_header: {A: [hidden]}\n"
        "    http_headers: {B: {secrets: [hidden], values: [shown]}}\n"
        "  - job_name: b\n"
        "    oauth2: {client_id: i, client_secret: hidden, token_url: http://t,\n"
        "      client_certificate_key: hidden, proxy_url: http://u:hidden@p}\n"
        "  - job_name: c\n"
        "    bearer_token: hidden\n"
        "alerting:\n"
        "  alertmanagers:\n"
        "    - sigv4: {region: r, access_key: k, secret_key: hidden}\n"
        "      static_configs: [{targets: [am:9093]}]\n"
        "remote_write:\n"
        "  - url: http://u:hidden@x/\n"
        "    sigv4: {region: r, access_key: k, secret_key: hidden}\n"
        "remote_read:\n"
        "  - url: http://u:hidden@x/\n"
        "    basic_auth: {username: u, password: hidden}\n";
    ServerConfig *config;
    Error err = {0};
    Buf printed = {0};

    CHECK_OK(parse(text, &config, &err), err);
    server_config_print(config, &printed);
    buf_add_char(&printed, '\0');

    CHECK(strstr(printed.ptr, "hidden") == NULL);
    CHECK_HAS(printed.ptr, "url: http://u:xxxxx@x/\n");
    CHECK_HAS(printed.ptr, "    secret_key: <secret>\n");
    CHECK_HAS(printed.ptr, "- shown\n");
    buf_deinit(&printed);
    server_config_unref(config);
}

TEST(server_config, signing_goes_with_no_other_login)
{
    static const struct {
        const char *name, *text, *want;
    } cases[] = {
        {"remote_write",
         "remote_write:\n  - url: http://x/\n    sigv4: {region: r}\n    basic_auth: {username: "
         "u}\n",
         "Currently configured: [basic_auth sigv4]"},
        {"alertmanagers",
         "alerting:\n  alertmanagers:\n    - sigv4: {region: r}\n      authorization: "
         "{credentials: c}\n",
         "at most one of basic_auth, authorization, oauth2, & sigv4 must be configured"},
        {"half a key", "remote_write:\n  - url: http://x/\n    sigv4: {access_key: k}\n",
         "must provide a AWS SigV4 Access key and Secret Key"},
    };

    EACH_CASE(c, cases) {
        ServerConfig *config;
        Error err = {0};
        CHECK(!parse(c->text, &config, &err));
        CHECK_HAS(err.text, c->want);
    }
}

TEST_MAIN(server_config, TEST_ROW(server_config, an_empty_file_is_all_defaults),
          TEST_ROW(server_config, what_is_not_in_the_file_is_shown_with_its_defaults),
          TEST_ROW(server_config, garbage_is_collected_as_the_file_or_the_environment_says),
          TEST_ROW(server_config, numbers_are_read_as_by_the_original),
          TEST_ROW(server_config, takes_what_users_write),
          TEST_ROW(server_config, tells_file_line_and_column_of_a_mistake),
          TEST_ROW(server_config, prints_remote_write_without_its_secrets),
          TEST_ROW(server_config, prints_no_secret_of_any_kind),
          TEST_ROW(server_config, signing_goes_with_no_other_login))
