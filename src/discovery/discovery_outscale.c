// SPDX-License-Identifier: Apache-2.0
// outscale_sd_configs: the virtual machines of one region of Outscale.
#include "base/clock.h"
#include "codec/json_writer.h"
#include "discovery/discovery_meta.h"
#include "discovery/discovery_poll.h"
#include "net/sigv4.h"

#define PREFIX "__meta_outscale_vm_"

typedef struct OutscaleConfig {
    Str endpoint, region, access_key, secret_key, secret_key_file;
    int64_t port;
    int64_t refresh_interval_ms;
    HttpClientConfig http;
} OutscaleConfig;

static bool finish_config(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    OutscaleConfig *config = object;
    if (config->region.len == 0)
        return config_error(reader, node, err, "outscale SD configuration requires a region");
    if (config->access_key.len == 0)
        return config_error(reader, node, err, "outscale SD configuration requires access_key");
    if (config->secret_key.len == 0 && config->secret_key_file.len == 0)
        return config_error(reader, node, err,
                            "one of secret_key & secret_key_file must be configured");
    if (config->secret_key.len && config->secret_key_file.len)
        return config_error(reader, node, err,
                            "at most one of secret_key & secret_key_file must be configured");
    if (config->endpoint.len == 0)
        config->endpoint = arena_printf(
            reader->arena, "https://api." STR_FMT ".outscale.com/api/v1", STR_ARG(config->region));
    return true;
}

static const ConfigField fields[] = {
    POLL_STR(OutscaleConfig, endpoint, "URL of the API; the region's if empty"),
    POLL_STR(OutscaleConfig, region, "region of the machines", .default_text = "eu-west-2"),
    POLL_STR(OutscaleConfig, access_key, "of the API", .always_print = true),
    POLL_SECRET(OutscaleConfig, secret_key, "of the API"),
    POLL_FILE(OutscaleConfig, secret_key_file, "file with the secret_key"),
    POLL_PORT(OutscaleConfig, "80"),
    POLL_INTERVAL(OutscaleConfig, "1m"),
    POLL_HTTP(OutscaleConfig),
};

POLL_TABLE(outscale, OutscaleConfig, fields, finish_config);

typedef struct State {
    PageList machines;
    Str secret;
} State;

static bool ask_page(Round *round, Str token, Error *err);

static bool take(Round *round, const Answer *answer, void *arg, Error *err)
{
    State *state = round->state;
    const JsonValue *machines = json_at(answer->json, "Vms");
    Str next = json_str_at(answer->json, "NextPageToken");
    (void)arg;
    for (size_t i = 0; machines && machines->kind == JSON_ARRAY && i < machines->count; i++)
        page_list_add(round, &state->machines, &machines->items[i]);
    return next.len == 0 || ask_page(round, next, err);
}

// A page; an empty token asks for the first.
static bool ask_page(Round *round, Str token, Error *err)
{
    const OutscaleConfig *config = round->config;
    const State *state = round->state;
    Arena *arena = &round->arena;
    CLEANUP(buf_deinit) Buf body = {0};
    JsonWriter *json = ARENA_NEW(arena, JsonWriter);
    json_writer_init(json, &body);
    json_object(json);
    if (token.len)
        json_key_str(json, "NextPageToken", token);
    json_object_end(json);

    Str *headers = ARENA_ARRAY(arena, Str, 1 + SIGV4_LINES_MAX);
    size_t count;
    headers[0] = S("Content-Type: application/json");
    Ask ask = {.url = arena_printf(arena, STR_FMT "/ReadVms", STR_ARG(config->endpoint)),
               .body = arena_str(arena, buf_str(&body)),
               .headers = headers,
               .take = take};
    SigV4Request request = {.method = S("POST"),
                            .url = ask.url,
                            .body = ask.body,
                            .headers = headers,
                            .header_count = 1,
                            .region = config->region,
                            .service = S("oapi"),
                            .now_ms = clock_now_ms(&clock_system)};
    SigV4Keys keys = {.access_key = config->access_key, .secret_key = state->secret};
    if (!sigv4_sign(&request, &keys, arena, headers + 1, &count, err))
        return false;
    ask.header_count = 1 + count;
    round_ask(round, &ask);
    return true;
}

static bool begin(Round *round, Error *err)
{
    const OutscaleConfig *config = round->config;
    State *state = round->state;
    state->secret = config->secret_key;
    if (config->secret_key_file.len &&
        !round_read_secret(round, config->secret_key_file, &state->secret, err))
        return error_context(err, "unable to read outscale secret key file");
    return ask_page(round, STR_NONE, err);
}

static const MetaRow rows[] = {
    {PREFIX "instance_id", "VmId", META_TEXT},
    {PREFIX "state", "State", META_TEXT},
    {PREFIX "subregion", "Placement.SubregionName", META_TEXT},
    {PREFIX "private_ip", "PrivateIp", META_TEXT},
    {PREFIX "public_ip", "PublicIp", META_TEXT},
};

static bool finish(Round *round, Error *err)
{
    const OutscaleConfig *config = round->config;
    const State *state = round->state;
    GroupMaker maker;
    (void)err;
    group_begin(&maker, round->found, &round->arena, config->region);
    for (size_t i = 0; i < state->machines.count; i++) {
        const JsonValue *machine = state->machines.items[i];
        const JsonValue *tags = json_at(machine, "Tags");
        LabelsBuilder *labels = group_target(&maker);
        Str address = json_str_at(machine, "PrivateIp");
        if (address.len == 0)
            address = json_str_at(machine, "PublicIp");
        if (address.len == 0)
            continue;
        meta_rows(labels, machine, rows, COUNT_OF(rows), STR_NONE);
        meta_set(labels, PREFIX "region", config->region);
        for (size_t k = 0; tags && tags->kind == JSON_ARRAY && k < tags->count; k++)
            meta_set_key(labels, PREFIX "tag_", json_str_at(&tags->items[k], "Key"),
                         json_str_at(&tags->items[k], "Value"));
        meta_address(labels, address, config->port);
        group_add(&maker);
    }
    group_end(&maker);
    return true;
}

static const PollKind poll = {
    POLL_OFFSETS(OutscaleConfig),
    .state_bytes = sizeof(State),
    .begin = begin,
    .finish = finish,
};

POLL_KIND(outscale);
