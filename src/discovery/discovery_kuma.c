// SPDX-License-Identifier: Apache-2.0
// kuma_sd_configs: the data planes that Kuma's control plane assigns, by its Monitoring Assignment Discovery Service: xDS version 3
// over HTTP with JSON.
#include <unistd.h>

#include "base/timefmt.h"
#include "codec/json_writer.h"
#include "discovery/discovery_meta.h"
#include "discovery/discovery_poll.h"

#define TYPE_URL "type.googleapis.com/kuma.observability.v1.MonitoringAssignment"
#define MARK_BYTES_MAX 1024 // of a version and a nonce
#define TIMEOUT_MORE_MS 15000

typedef struct KumaConfig {
    Str server, client_id;
    int64_t fetch_timeout_ms;
    int64_t refresh_interval_ms;
    HttpClientConfig http;
} KumaConfig;

static bool finish_config(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    const KumaConfig *config = object;
    if (config->server.len == 0)
        return config_error(reader, node, err, "kuma SD server must not be empty: ");
    return poll_url_is_whole(config->server) ||
           config_error(reader, node, err,
                        "kuma SD server must not be empty and have a scheme: " STR_FMT,
                        STR_ARG(config->server));
}

static const ConfigField fields[] = {
    POLL_URL(KumaConfig, server, "URL of the control plane"),
    POLL_STR(KumaConfig, client_id, "by which it knows us; the name of this machine if empty"),
    {.key = "fetch_timeout",
     .kind = CONFIG_DURATION,
     .offset = offsetof(KumaConfig, fetch_timeout_ms),
     .default_text = "2m",
     .max = POLL_INTERVAL_MS_MAX,
     .help = "how long it may wait for a change"},
    POLL_INTERVAL(KumaConfig, "15s"),
    POLL_HTTP(KumaConfig),
};

POLL_TABLE(kuma, KumaConfig, fields, finish_config);

typedef struct Keep {
    char version[MARK_BYTES_MAX];
    char nonce[MARK_BYTES_MAX];
} Keep;

static int64_t timeout_ms(const void *config)
{
    return ((const KumaConfig *)config)->fetch_timeout_ms + TIMEOUT_MORE_MS;
}

static void label_user(LabelsBuilder *labels, const JsonValue *object)
{
    meta_map(labels, "__meta_kuma_label_", json_at(object, "labels"));
}

static void add_assignment(GroupMaker *maker, const JsonValue *assignment)
{
    const JsonValue *targets = json_at(assignment, "targets");
    for (size_t i = 0; targets && targets->kind == JSON_ARRAY && i < targets->count; i++) {
        const JsonValue *target = &targets->items[i];
        LabelsBuilder *labels = group_target(maker);
        Str path = json_str_at(target, "metrics_path");
        label_user(labels, target);
        label_user(labels, assignment);
        meta_set(labels, "__meta_kuma_mesh", json_str_at(assignment, "mesh"));
        meta_set(labels, "__meta_kuma_service", json_str_at(assignment, "service"));
        meta_set(labels, "__meta_kuma_dataplane", json_str_at(target, "name"));
        meta_set(labels, "instance", json_str_at(target, "name"));
        meta_set(labels, "__address__", json_str_at(target, "address"));
        meta_set(labels, "__scheme__", json_str_at(target, "scheme"));
        meta_set(labels, "__metrics_path__", path.len ? path : json_str_at(target, "metricsPath"));
        group_add(maker);
    }
}

// A member by its name in protobuf, or by the name that JSON gives it.
static Str either(const JsonValue *json, const char *name, const char *json_name)
{
    Str text = json_str_at(json, name);
    return text.len ? text : json_str_at(json, json_name);
}

static bool keep_mark(char *to, Str mark, Error *err)
{
    if (mark.len >= MARK_BYTES_MAX)
        return error_set(err, ERR_LIMIT, "a version or nonce of more than %d bytes",
                         MARK_BYTES_MAX);
    if (mark.len)
        memcpy(to, mark.ptr, mark.len);
    to[mark.len] = 0;
    return true;
}

static bool take(Round *round, const Answer *answer, void *arg, Error *err)
{
    Keep *keep = round->keep;
    const JsonValue *resources = json_at(answer->json, "resources");
    GroupMaker maker;
    (void)arg;
    if (answer->status == 304) {
        round->unchanged = true;
        round_count(round, 1);
        return true;
    }
    Str type = either(answer->json, "type_url", "typeUrl");
    if (!str_is(type, TYPE_URL))
        return error_set(err, ERR_INVALID,
                         "received invalid typeURL for Kuma MADS v1 Resource: " STR_FMT,
                         STR_ARG(type));
    group_begin(&maker, round->found, &round->arena, S("kuma"));
    for (size_t i = 0; resources && resources->kind == JSON_ARRAY && i < resources->count; i++) {
        Str own = json_str_at(&resources->items[i], "@type");
        if (!str_is(own, TYPE_URL))
            return error_set(err, ERR_INVALID, "a resource of another type: " STR_FMT,
                             STR_ARG(own));
        add_assignment(&maker, &resources->items[i]);
    }
    group_end(&maker);
    return keep_mark(keep->version, either(answer->json, "version_info", "versionInfo"), err) &&
           keep_mark(keep->nonce, json_str_at(answer->json, "nonce"), err);
}

static bool is_fetch_status(int status)
{
    return status == 200 || status == 304;
}

static Str client_id(Round *round)
{
    const KumaConfig *config = round->config;
    char name[256] = "";
    if (config->client_id.len)
        return config->client_id;
    if (gethostname(name, sizeof name - 1) != 0 || !name[0])
        return S("prometheus");
    return arena_str(&round->arena, str_from_c(name));
}

static Str request_body(Round *round)
{
    const Keep *keep = round->keep;
    CLEANUP(buf_deinit) Buf body = {0};
    JsonWriter *json = ARENA_NEW(&round->arena, JsonWriter);
    json_writer_init(json, &body);
    json_object(json);
    if (keep->version[0])
        json_key_c(json, "version_info", keep->version);
    json_key(json, S("node"));
    json_object(json);
    json_key_str(json, "id", client_id(round));
    json_object_end(json);
    json_key_c(json, "type_url", TYPE_URL);
    if (keep->nonce[0])
        json_key_c(json, "response_nonce", keep->nonce);
    json_object_end(json);
    return arena_str(&round->arena, buf_str(&body));
}

static bool begin(Round *round, Error *err)
{
    static const Str headers[] = {STR("Content-Type: application/json"),
                                  STR("Accept: application/json")};
    const KumaConfig *config = round->config;
    CLEANUP(buf_deinit) Buf url = {0};
    Str server = config->server;
    (void)err;
    while (str_ends_with(server, S("/")))
        server.len--;
    buf_printf(&url, STR_FMT "/v3/discovery:monitoringassignments?fetch-timeout=", STR_ARG(server));
    buf_add_duration(&url, config->fetch_timeout_ms);
    Ask ask = {.url = arena_str(&round->arena, buf_str(&url)),
               .body = request_body(round),
               .headers = headers,
               .header_count = COUNT_OF(headers),
               .accepts = is_fetch_status,
               .take = take};
    round_ask(round, &ask);
    return true;
}

static const PollKind poll = {
    POLL_OFFSETS(KumaConfig), .keep_bytes = sizeof(Keep),
    .counts_failures = true,  .timeout_ms = timeout_ms,
    .begin = begin,
};

POLL_KIND(kuma, .counters = {{"prometheus_sd_kuma_fetch_failures_total",
                              "The number of Kuma MADS fetch call failures."},
                             {"prometheus_sd_kuma_fetch_skipped_updates_total",
                              "The number of Kuma MADS fetch calls that result in no updates to "
                              "the targets."}});
