// SPDX-License-Identifier: Apache-2.0
// uyuni_sd_configs: the exporters of the systems that a Uyuni server manages, asked for by XML-RPC.
#include "discovery/discovery_meta.h"
#include "discovery/discovery_poll.h"

#define PREFIX "__meta_uyuni_"
#define TOKEN_S 600

typedef struct UyuniConfig {
    Str server, username, password, entitlement, separator;
    int64_t refresh_interval_ms;
    HttpClientConfig http;
} UyuniConfig;

static bool finish_config(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    const UyuniConfig *config = object;
    if (config->server.len == 0)
        return config_error(reader, node, err, "Uyuni SD configuration requires server host");
    if (!poll_url_is_whole(config->server))
        return config_error(reader, node, err, "Uyuni Server URL is not valid");
    if (config->username.len == 0)
        return config_error(reader, node, err, "Uyuni SD configuration requires a username");
    return config->password.len > 0 ||
           config_error(reader, node, err, "Uyuni SD configuration requires a password");
}

static const ConfigField fields[] = {
    POLL_URL(UyuniConfig, server, "URL of the server", .always_print = true),
    POLL_STR(UyuniConfig, username, "of the API", .always_print = true),
    POLL_SECRET(UyuniConfig, password, "of the API"),
    POLL_STR(UyuniConfig, entitlement, "only systems with this one",
             .default_text = "monitoring_entitled"),
    POLL_STR(UyuniConfig, separator, "between groups", .default_text = ","),
    POLL_INTERVAL(UyuniConfig, "1m"),
    POLL_HTTP(UyuniConfig),
};

POLL_TABLE(uyuni, UyuniConfig, fields, finish_config);

typedef struct State {
    const JsonValue *groups;
    const JsonValue *endpoints;
    const JsonValue *networks;
} State;

typedef struct Keep {
    char token[1024];
    int64_t good_until_ns;
    bool refused; // ask for a new one
} Keep;

// ---- XML-RPC ----

static void add_escaped(Buf *out, Str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '<' || c == '>' || c == '&')
            buf_add_c(out, c == '<' ? "&lt;" : c == '>' ? "&gt;" : "&amp;");
        else
            buf_add_char(out, c);
    }
}

static void add_string(Buf *out, Str text)
{
    buf_add_c(out, "<param><value><string>");
    add_escaped(out, text);
    buf_add_c(out, "</string></value></param>");
}

static void call_begin(Buf *out, const char *method)
{
    buf_printf(out, "<?xml version=\"1.0\"?><methodCall><methodName>%s</methodName><params>",
               method);
}

static void call_ask(Round *round, Buf *call, TakeFn take, void *arg)
{
    static const Str headers[] = {STR("Content-Type: text/xml")};
    const UyuniConfig *config = round->config;
    Str server = config->server;
    buf_add_c(call, "</params></methodCall>");
    while (str_ends_with(server, S("/")))
        server.len--;
    Ask ask = {.url = arena_printf(&round->arena, STR_FMT "/rpc/api", STR_ARG(server)),
               .body = arena_str(&round->arena, buf_str(call)),
               .headers = headers,
               .header_count = 1,
               .form = ASK_XML,
               .take = take,
               .arg = arg};
    round_ask(round, &ask);
}

// <value><int>5</int></value>, <value>text</value>: what stands in a value.
static const JsonValue *inner(const JsonValue *value)
{
    return value && value->kind == JSON_OBJECT && value->count == 1 ? &value->items[0] : value;
}

static Str value_text(const JsonValue *value)
{
    value = inner(value);
    return value && value->kind == JSON_STRING ? value->str : STR_NONE;
}

// The value of a struct's member of that name.
static const JsonValue *member(const JsonValue *value, const char *name)
{
    const JsonValue *fields_of = inner(value);
    for (size_t i = 0; fields_of && fields_of->kind == JSON_OBJECT && i < fields_of->count; i++)
        if (str_is(fields_of->keys[i], "member") &&
            str_is(json_str_at(&fields_of->items[i], "name"), name))
            return json_at(&fields_of->items[i], "value");
    return NULL;
}

// The elements of an array: the n-th value of its <data>. NULL behind the last.
static const JsonValue *element(const JsonValue *value, size_t index)
{
    const JsonValue *data = json_at(value, "array.data");
    return data && data->kind == JSON_OBJECT && index < data->count ? &data->items[index] : NULL;
}

// The one value that a call gives.
static bool result_of(const Answer *answer, const JsonValue **ret_value, Error *err)
{
    const JsonValue *fault = json_at(answer->json, "fault.value");
    if (fault)
        return error_set(err, ERR_UNAVAILABLE, "the server refused: " STR_FMT,
                         STR_ARG(value_text(member(fault, "faultString"))));
    *ret_value = json_at(answer->json, "params.param.value");
    return *ret_value || error_set(err, ERR_INVALID, "the answer has no value");
}

// ---- the calls ----

static bool take_value(Round *round, const Answer *answer, void *arg, Error *err)
{
    Keep *keep = round->keep;
    keep->refused = true; // unless this one is good
    if (!result_of(answer, arg, err))
        return false;
    keep->refused = false;
    return true;
}

static void ask_with_ids(Round *round, const char *method, const JsonValue **slot)
{
    const State *state = round->state;
    const Keep *keep = round->keep;
    CLEANUP(buf_deinit) Buf call = {0};
    call_begin(&call, method);
    add_string(&call, str_from_c(keep->token));
    buf_add_c(&call, "<param><value><array><data>");
    const JsonValue *system;
    for (size_t i = 0; (system = element(state->groups, i)) != NULL; i++) {
        buf_add_c(&call, "<value><int>");
        add_escaped(&call, value_text(member(system, "id")));
        buf_add_c(&call, "</int></value>");
    }
    buf_add_c(&call, "</data></array></value></param>");
    call_ask(round, &call, take_value, slot);
}

static bool take_groups(Round *round, const Answer *answer, void *arg, Error *err)
{
    State *state = round->state;
    (void)arg;
    if (!take_value(round, answer, &state->groups, err))
        return false;
    ask_with_ids(round, "system.monitoring.listEndpoints", &state->endpoints);
    ask_with_ids(round, "system.getNetworkForSystems", &state->networks);
    return true;
}

static void ask_groups(Round *round)
{
    const UyuniConfig *config = round->config;
    const Keep *keep = round->keep;
    CLEANUP(buf_deinit) Buf call = {0};
    call_begin(&call, "system.listSystemGroupsForSystemsWithEntitlement");
    add_string(&call, str_from_c(keep->token));
    add_string(&call, config->entitlement);
    call_ask(round, &call, take_groups, NULL);
}

static bool take_token(Round *round, const Answer *answer, void *arg, Error *err)
{
    Keep *keep = round->keep;
    const JsonValue *value;
    (void)arg;
    if (!result_of(answer, &value, err))
        return error_context(err, "unable to login to Uyuni API");
    Str token = value_text(value);
    if (token.len == 0 || token.len >= sizeof keep->token)
        return error_set(err, ERR_INVALID, "unable to login to Uyuni API: no token");
    memcpy(keep->token, token.ptr, token.len);
    keep->token[token.len] = 0;
    keep->refused = false;
    keep->good_until_ns = round_now_ns(round) + TOKEN_S / 2 * INT64_C(1000000000);
    ask_groups(round);
    return true;
}

static bool begin(Round *round, Error *err)
{
    const UyuniConfig *config = round->config;
    const Keep *keep = round->keep;
    CLEANUP(buf_deinit) Buf call = {0};
    (void)err;
    if (keep->token[0] && !keep->refused && round_now_ns(round) < keep->good_until_ns) {
        ask_groups(round);
        return true;
    }
    call_begin(&call, "auth.login");
    add_string(&call, config->username);
    add_string(&call, config->password);
    buf_printf(&call, "<param><value><int>%d</int></value></param>", TOKEN_S);
    call_ask(round, &call, take_token, NULL);
    return true;
}

// ---- labels ----

// The struct in a list whose member of that name is `id`; the last one counts.
static const JsonValue *find_system(const JsonValue *list, const char *name, Str id)
{
    const JsonValue *found = NULL;
    const JsonValue *item;
    for (size_t i = 0; (item = element(list, i)) != NULL; i++)
        if (str_equal(value_text(member(item, name)), id))
            found = item;
    return found;
}

static Str group_names(Arena *arena, const JsonValue *groups, Str separator)
{
    CLEANUP(buf_deinit) Buf out = {0};
    const JsonValue *group;
    for (size_t i = 0; (group = element(groups, i)) != NULL; i++) {
        if (i)
            buf_add_str(&out, separator);
        buf_add_str(&out, value_text(member(group, "name")));
    }
    return arena_str(arena, buf_str(&out));
}

static void add_endpoint(const Round *round, GroupMaker *maker, const JsonValue *endpoint)
{
    const UyuniConfig *config = round->config;
    const State *state = round->state;
    Str id = value_text(member(endpoint, "system_id"));
    Str tls = value_text(member(endpoint, "tls_enabled"));
    const JsonValue *network = find_system(state->networks, "system_id", id);
    const JsonValue *system = find_system(state->groups, "id", id);
    LabelsBuilder *labels = group_target(maker);
    Str host = value_text(member(network, "hostname"));
    meta_setf(labels, "__address__", STR_FMT ":" STR_FMT, STR_ARG(host),
              STR_ARG(value_text(member(endpoint, "port"))));
    meta_set(labels, PREFIX "minion_hostname", host);
    meta_set(labels, PREFIX "primary_fqdn", value_text(member(network, "primary_fqdn")));
    meta_set(labels, PREFIX "system_id", id);
    meta_set(labels, PREFIX "groups",
             group_names(labels->arena, member(system, "system_groups"), config->separator));
    meta_set(labels, PREFIX "endpoint_name", value_text(member(endpoint, "endpoint_name")));
    meta_set(labels, PREFIX "exporter", value_text(member(endpoint, "exporter_name")));
    meta_set(labels, PREFIX "proxy_module", value_text(member(endpoint, "module")));
    meta_set(labels, PREFIX "metrics_path", value_text(member(endpoint, "path")));
    meta_set(labels, PREFIX "scheme",
             str_is(tls, "1") || str_is(tls, "true") ? S("https") : S("http"));
    group_add(maker);
}

static bool finish(Round *round, Error *err)
{
    const State *state = round->state;
    const JsonValue *endpoint;
    GroupMaker maker;
    (void)err;
    group_begin(&maker, round->found, &round->arena, S("uyuni"));
    for (size_t i = 0; (endpoint = element(state->endpoints, i)) != NULL; i++)
        add_endpoint(round, &maker, endpoint);
    group_end(&maker);
    return true;
}

static const PollKind poll = {
    POLL_OFFSETS(UyuniConfig),  .state_bytes = sizeof(State),
    .keep_bytes = sizeof(Keep), .begin = begin,
    .finish = finish,
};

POLL_KIND(uyuni);
