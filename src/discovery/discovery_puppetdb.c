// SPDX-License-Identifier: Apache-2.0
// puppetdb_sd_configs: the resources that a PQL query of PuppetDB finds.
#include "base/number.h"
#include "codec/json_writer.h"
#include "discovery/discovery_meta.h"
#include "discovery/discovery_poll.h"

#define PARAMETER_DEPTH_MAX 16

typedef struct PuppetdbConfig {
    Str url, query;
    bool include_parameters;
    int64_t port;
    int64_t refresh_interval_ms;
    HttpClientConfig http;
} PuppetdbConfig;

static bool finish_config(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    const PuppetdbConfig *config = object;
    if (config->url.len == 0)
        return config_error(reader, node, err, "URL is missing");
    if (!poll_url_is_http(config->url))
        return config_error(reader, node, err, "URL scheme must be 'http' or 'https'");
    if (!poll_url_is_whole(config->url))
        return config_error(reader, node, err, "host is missing in URL");
    return config->query.len > 0 || config_error(reader, node, err, "query missing");
}

static const ConfigField fields[] = {
    POLL_URL(PuppetdbConfig, url, "URL of the root", .always_print = true),
    POLL_STR(PuppetdbConfig, query, "query in PQL", .always_print = true),
    POLL_BOOL(PuppetdbConfig, include_parameters, "false",
              "parameters as labels: they may hold secrets"),
    POLL_PORT(PuppetdbConfig, "80"),
    POLL_INTERVAL(PuppetdbConfig, "1m"),
    POLL_HTTP(PuppetdbConfig),
};

POLL_TABLE(puppetdb, PuppetdbConfig, fields, finish_config);

static const MetaRow rows[] = {
    {"__meta_puppetdb_certname", "certname", META_TEXT},
    {"__meta_puppetdb_resource", "resource", META_TEXT},
    {"__meta_puppetdb_type", "type", META_TEXT},
    {"__meta_puppetdb_title", "title", META_TEXT},
    {"__meta_puppetdb_file", "file", META_TEXT},
    {"__meta_puppetdb_environment", "environment", META_TEXT},
    {"__meta_puppetdb_tags", "tags", META_LIST},
};

// Numbers as Go's 'g' form, which has an exponent from 1e21 on.
static Str parameter_text(Arena *arena, const JsonValue *value)
{
    if (value->kind != JSON_NUMBER)
        return meta_text(arena, value);
    char text[NUMBER_BYTES_MAX];
    double size = value->number < 0 ? -value->number : value->number;
    bool exponent = size != 0 && (size < 1e-4 || size >= 1e21);
    size_t len =
        exponent ? number_format_e(value->number, text) : number_format_f(value->number, text);
    return arena_str(arena, str_make(text, len));
}

static Str parameter_list(Arena *arena, const JsonValue *list)
{
    CLEANUP(buf_deinit) Buf out = {0};
    for (size_t i = 0; i < list->count; i++) {
        if (i)
            buf_add_char(&out, ',');
        buf_add_str(&out, parameter_text(arena, &list->items[i]));
    }
    return arena_str(arena, buf_str(&out));
}

static void label_parameters(LabelsBuilder *labels, Str prefix, const JsonValue *parameters,
                             int depth)
{
    for (size_t i = 0; parameters && parameters->kind == JSON_OBJECT && i < parameters->count;
         i++) {
        const JsonValue *value = &parameters->items[i];
        Str name = arena_printf(labels->arena, STR_FMT STR_FMT, STR_ARG(prefix),
                                STR_ARG(parameters->keys[i]));
        if (value->kind == JSON_OBJECT && depth < PARAMETER_DEPTH_MAX)
            label_parameters(labels, arena_printf(labels->arena, STR_FMT "_", STR_ARG(name)), value,
                             depth + 1);
        else
            meta_set_key(labels, "__meta_puppetdb_parameter_", name,
                         value->kind == JSON_ARRAY ? parameter_list(labels->arena, value)
                                                   : parameter_text(labels->arena, value));
    }
}

static bool take(Round *round, const Answer *answer, void *arg, Error *err)
{
    const PuppetdbConfig *config = round->config;
    const JsonValue *list = answer->json;
    GroupMaker maker;
    (void)arg;
    if (!poll_type_is_json(answer->content_type))
        return error_set(err, ERR_INVALID, "unsupported content type " STR_FMT,
                         STR_ARG(answer->content_type));
    if (list->kind != JSON_ARRAY)
        return error_set(err, ERR_INVALID, "expected a list of resources");
    group_begin(&maker, round->found, &round->arena, config->query);
    for (size_t i = 0; i < list->count; i++) {
        const JsonValue *resource = &list->items[i];
        LabelsBuilder *labels = group_target(&maker);
        meta_set(labels, "__meta_puppetdb_query", config->query);
        meta_rows(labels, resource, rows, COUNT_OF(rows), S(","));
        meta_set_bool(labels, "__meta_puppetdb_exported", json_bool_at(resource, "exported"));
        meta_address(labels, json_str_at(resource, "certname"), config->port);
        if (config->include_parameters)
            label_parameters(labels, STR_NONE, json_at(resource, "parameters"), 0);
        group_add(&maker);
    }
    group_end(&maker);
    return true;
}

static bool is_ok(int status)
{
    return status == 200;
}

static bool begin(Round *round, Error *err)
{
    static const Str headers[] = {STR("Accept: application/json"),
                                  STR("Content-Type: application/json")};
    const PuppetdbConfig *config = round->config;
    CLEANUP(buf_deinit) Buf body = {0};
    JsonWriter *json = ARENA_NEW(&round->arena, JsonWriter);
    Str url = config->url;
    (void)err;
    json_writer_init(json, &body);
    json_object(json);
    json_key_str(json, "query", config->query);
    json_object_end(json);
    while (str_ends_with(url, S("/")))
        url.len--;
    Ask ask = {.url = arena_printf(&round->arena, STR_FMT "/pdb/query/v4", STR_ARG(url)),
               .body = arena_str(&round->arena, buf_str(&body)),
               .headers = headers,
               .header_count = COUNT_OF(headers),
               .accepts = is_ok,
               .take = take};
    round_ask(round, &ask);
    return true;
}

static const PollKind poll = {POLL_OFFSETS(PuppetdbConfig), .begin = begin};

POLL_KIND(puppetdb);
