// SPDX-License-Identifier: Apache-2.0
// http_sd_configs: target groups as JSON from a URL. Facts: prometheus.md section 9.1.
#include "base/number.h"
#include "discovery/discovery_meta.h"
#include "discovery/discovery_poll.h"

typedef struct HttpSdConfig {
    Str url;
    int64_t refresh_interval_ms;
    HttpClientConfig http;
} HttpSdConfig;

static bool finish_config(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    const HttpSdConfig *config = object;
    if (config->url.len == 0)
        return config_error(reader, node, err, "URL is missing");
    if (!poll_url_is_http(config->url))
        return config_error(reader, node, err, "URL scheme must be 'http' or 'https'");
    if (!poll_url_is_whole(config->url))
        return config_error(reader, node, err, "host is missing in URL");
    return true;
}

static const ConfigField fields[] = {
    {.key = "url",
     .kind = CONFIG_URL,
     .offset = offsetof(HttpSdConfig, url),
     .always_print = true,
     .help = "where the list of groups is"},
    POLL_INTERVAL(HttpSdConfig, "1m"),
    POLL_HTTP(HttpSdConfig),
};

extern const ConfigTable discovery_http_table;
const ConfigTable discovery_http_table =
    CONFIG_TABLE(HttpSdConfig, "http_sd_config", fields, finish_config);

static bool is_ok(int status)
{
    return status == 200;
}

static bool take(Round *round, const Answer *answer, void *arg, Error *err)
{
    (void)arg;
    const HttpSdConfig *config = round->config;
    StaticGroup *groups;
    size_t count;
    if (!poll_type_is_json(answer->content_type))
        return error_set(err, ERR_INVALID, "unsupported content type \"" STR_FMT "\"",
                         STR_ARG(answer->content_type));
    if (!static_groups_of_json(answer->body, S("the answer"), &round->arena, &groups, &count, err))
        return false;
    Label url = {S("__meta_url"), config->url};
    TargetGroup *to = group_snapshot_more(round->found, count);
    for (size_t i = 0; i < count; i++)
        static_group_copy(round->found, &groups[i],
                          arena_printf(&round->arena, STR_FMT ":%zu", STR_ARG(config->url), i),
                          (Labels){&url, 1}, &to[i]);
    round->found->count += count;
    return true;
}

static bool begin(Round *round, Error *err)
{
    (void)err;
    const HttpSdConfig *config = round->config;
    CLEANUP(buf_deinit) Buf seconds = {0};
    buf_add_double_f(&seconds, (double)config->refresh_interval_ms / 1000);
    Str *headers = ARENA_ARRAY(&round->arena, Str, 2);
    headers[0] = S("Accept: application/json");
    headers[1] = arena_printf(&round->arena, "X-Prometheus-Refresh-Interval-Seconds: " STR_FMT,
                              STR_ARG(buf_str(&seconds)));
    Ask ask = {.url = config->url,
               .headers = headers,
               .header_count = 2,
               .form = ASK_TEXT,
               .accepts = is_ok,
               .take = take};
    round_ask(round, &ask);
    return true;
}

static const PollKind poll = {
    POLL_OFFSETS(HttpSdConfig),
    .counts_failures = true,
    .begin = begin,
};

const DiscoveryKind discovery_http = {
    .name = "http",
    .config_key = "http_sd_configs",
    .table = &discovery_http_table,
    .poll = &poll,
    .counters = {{"prometheus_sd_http_failures_total",
                  "Number of HTTP service discovery refresh failures."}},
    .start = poll_start,
    .stop = poll_stop,
};
