// SPDX-License-Identifier: Apache-2.0
// azure_sd_configs: the virtual machines of a subscription, those of scale sets included.
//
//     token --> virtual machines ---------------------------+
//          \--> scale sets --> machines of each scale set --+--> network cards that are not remembered --> groups
#include "discovery/discovery_azure.h"

#include <stdlib.h>

#include "base/random.h"

#define COMPUTE "providers/Microsoft.Compute"
#define COMPUTE_VERSION "api-version=2024-07-01"
#define NETWORK_VERSION "api-version=2024-05-01"
#define SCALE_SET_NETWORK_VERSION "api-version=2018-10-01"
#define CARDS_REMEMBERED_MAX 5000

enum { AUTH_OAUTH, AUTH_MANAGED, AUTH_SDK, AUTH_WORKLOAD };
static const char *const auth_words[] = {"OAuth", "ManagedIdentity", "SDK", "WorkloadIdentity",
                                         NULL};

static const struct {
    const char *name;
    AzureCloud cloud;
} clouds[] = {
#define PUBLIC                                                                                     \
    {                                                                                              \
        "https://login.microsoftonline.com", "https://management.azure.com",                       \
            "https://management.core.windows.net"                                                  \
    }
#define GOVERNMENT                                                                                 \
    {                                                                                              \
        "https://login.microsoftonline.us", "https://management.usgovcloudapi.net",                \
            "https://management.core.usgovcloudapi.net"                                            \
    }
    {"AzurePublicCloud", PUBLIC},
    {"AzureCloud", PUBLIC},
    {"AzureGermanCloud", PUBLIC},
    {"AzureUSGovernment", GOVERNMENT},
    {"AzureUSGovernmentCloud", GOVERNMENT},
    {"AzureChinaCloud",
     {"https://login.chinacloudapi.cn", "https://management.chinacloudapi.cn",
      "https://management.core.chinacloudapi.cn"}},
};

static bool require(ConfigReader *reader, const YamlNode *node, Str value, const char *name,
                    Error *err)
{
    return value.len > 0 ||
           config_error(reader, node, err, "azure SD configuration requires a %s", name);
}

static bool finish_config(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    const AzureConfig *config = object;
    if (!require(reader, node, config->subscription_id, "subscription_id", err))
        return false;
    return config->authentication_method != AUTH_OAUTH ||
           (require(reader, node, config->tenant_id, "tenant_id", err) &&
            require(reader, node, config->client_id, "client_id", err) &&
            require(reader, node, config->client_secret, "client_secret", err));
}

static const ConfigField fields[] = {
    POLL_STR(AzureConfig, environment, "which cloud", .default_text = "AzurePublicCloud"),
    POLL_PORT(AzureConfig, "80"),
    POLL_STR(AzureConfig, subscription_id, "ID of the subscription", .always_print = true),
    POLL_STR(AzureConfig, tenant_id, "ID of the tenant"),
    POLL_STR(AzureConfig, client_id, "ID of the application"),
    POLL_SECRET(AzureConfig, client_secret, "of the application"),
    POLL_INTERVAL(AzureConfig, "5m"),
    POLL_ROLE(AzureConfig, authentication_method, auth_words, "where the token comes from",
              .default_text = "OAuth"),
    POLL_STR(AzureConfig, resource_group, "only this one"),
    POLL_HTTP(AzureConfig),
};

POLL_TABLE(azure, AzureConfig, fields, finish_config);

static bool cloud_of(const AzureConfig *config, AzureCloud *ret_cloud, Error *err)
{
    for (size_t i = 0; i < COUNT_OF(clouds); i++)
        if (str_equal_nocase(config->environment, str_from_c(clouds[i].name))) {
            *ret_cloud = clouds[i].cloud;
            return true;
        }
    return error_set(err, ERR_INVALID,
                     "there is no cloud configuration matching the name \"" STR_FMT "\"",
                     STR_ARG(config->environment));
}

// ---- resources ----

static void ask(Round *round, Str url, bool (*accepts)(int), TakeFn take, void *arg)
{
    AzureState *state = round->state;
    Ask question = {.url = url,
                    .headers = &state->token,
                    .header_count = 1,
                    .accepts = accepts,
                    .take = take,
                    .arg = arg};
    round_ask(round, &question);
}

static bool ask_cards(Round *round, Error *err);

static void ask_list(Round *round, Str url, PageList *list, void *arg,
                     bool (*then)(Round *, PageList *, void *, Error *))
{
    AzureState *state = round->state;
    PageAsk question = {.ask = {.url = url, .headers = &state->token, .header_count = 1},
                        .items = "value",
                        .rule = {PAGE_NEXT, .at = "nextLink"},
                        .then = then,
                        .arg = arg};
    state->open_lists++;
    round_ask_list(round, &question, list);
}

static bool list_done(Round *round, Error *err)
{
    AzureState *state = round->state;
    return --state->open_lists > 0 || ask_cards(round, err);
}

static bool take_machines(Round *round, PageList *list, void *arg, Error *err)
{
    AzureState *state = round->state;
    Str scale_set = arg ? *(const Str *)arg : STR_NONE;
    Arena *arena = &round->arena;
    state->machines =
        arena_grow(arena, state->machines, state->machine_count * sizeof(AzureMachine),
                   (state->machine_count + list->count) * sizeof(AzureMachine));
    for (size_t i = 0; i < list->count; i++)
        state->machines[state->machine_count++] =
            (AzureMachine){.json = list->items[i], .scale_set = scale_set};
    return list_done(round, err);
}

static bool take_scale_sets(Round *round, PageList *list, void *arg, Error *err)
{
    const AzureConfig *config = round->config;
    const AzureState *state = round->state;
    Arena *arena = &round->arena;
    (void)arg;
    for (size_t i = 0; i < list->count; i++) {
        Str id = json_str_at(list->items[i], "id");
        Str *name = ARENA_NEW(arena, Str);
        Str group = azure_id_part(id, "resourceGroups");
        *name = json_str_at(list->items[i], "name");
        if (group.len == 0)
            return error_set(err, ERR_INVALID, "could not parse scale set ID \"" STR_FMT "\"",
                             STR_ARG(id));
        ask_list(round,
                 arena_printf(arena,
                              "%s/subscriptions/" STR_FMT "/resourceGroups/" STR_FMT "/" COMPUTE
                              "/virtualMachineScaleSets/" STR_FMT
                              "/virtualMachines?" COMPUTE_VERSION,
                              state->cloud.endpoint, STR_ARG(config->subscription_id),
                              STR_ARG(group), STR_ARG(*name)),
                 ARENA_NEW(arena, PageList), name, take_machines);
    }
    return list_done(round, err);
}

static bool ask_resources(Round *round, Str token, Error *err)
{
    const AzureConfig *config = round->config;
    AzureState *state = round->state;
    Arena *arena = &round->arena;
    Str base = arena_printf(arena, "%s/subscriptions/" STR_FMT, state->cloud.endpoint,
                            STR_ARG(config->subscription_id));
    (void)err;
    if (config->resource_group.len)
        base = arena_printf(arena, STR_FMT "/resourceGroups/" STR_FMT, STR_ARG(base),
                            STR_ARG(poll_path_escaped(arena, config->resource_group)));
    state->token = arena_printf(arena, "Authorization: Bearer " STR_FMT, STR_ARG(token));
    ask_list(
        round,
        arena_printf(arena, STR_FMT "/" COMPUTE "/virtualMachines?" COMPUTE_VERSION, STR_ARG(base)),
        ARENA_NEW(arena, PageList), NULL, take_machines);
    ask_list(round,
             arena_printf(arena, STR_FMT "/" COMPUTE "/virtualMachineScaleSets?" COMPUTE_VERSION,
                          STR_ARG(base)),
             ARENA_NEW(arena, PageList), NULL, take_scale_sets);
    return true;
}

// ---- network cards ----

static bool is_card_status(int status)
{
    return status == 200 || status == 404;
}

static void card_free(AzureCard *card)
{
    arena_deinit(&card->arena);
    free(card);
}

static void forget_old_cards(AzureKeep *keep, int64_t now_ns)
{
    AzureCard **at = &keep->cards;
    while (*at) {
        AzureCard *card = *at;
        if (now_ns < card->good_until_ns) {
            at = &card->next;
            continue;
        }
        *at = card->next;
        map_remove(&keep->by_id, card->id);
        card_free(card);
    }
}

static bool take_card(Round *round, const Answer *answer, void *arg, Error *err)
{
    const AzureConfig *config = round->config;
    AzureKeep *keep = round->keep;
    const Str *id = arg;
    uint64_t chance;
    (void)err;
    AzureCard *card = azure_card_read(answer->status == 404 ? NULL : answer->json, *id);
    // Some longer than others, so that they are not all asked for in the same round.
    random_system(&chance, sizeof chance);
    uint64_t more_ms = chance % ((uint64_t)config->refresh_interval_ms * 3);
    int64_t good_ms = config->refresh_interval_ms * 10 + (int64_t)more_ms;
    bool keeps = card->state != AZURE_CARD_GONE && keep->by_id.count < CARDS_REMEMBERED_MAX;
    card->good_until_ns = keeps ? round_now_ns(round) + good_ms * 1000000 : 0;
    card->next = keep->cards;
    keep->cards = card;
    map_put(&keep->by_id, card->id, card);
    return true;
}

static Str card_url(Round *round, const AzureMachine *machine, Str id)
{
    const AzureConfig *config = round->config;
    const AzureState *state = round->state;
    Str group = azure_id_part(id, "resourceGroups");
    Str name = azure_id_part(id, "networkInterfaces");
    Str base = arena_printf(
        &round->arena, "%s/subscriptions/" STR_FMT "/resourceGroups/" STR_FMT "/providers",
        state->cloud.endpoint, STR_ARG(config->subscription_id), STR_ARG(group));
    if (machine->scale_set.len == 0)
        return arena_printf(&round->arena,
                            STR_FMT "/Microsoft.Network/networkInterfaces/" STR_FMT
                                    "?$expand=IPConfigurations%%2FPublicIPAddress&" NETWORK_VERSION,
                            STR_ARG(base), STR_ARG(name));
    return arena_printf(&round->arena,
                        STR_FMT
                        "/microsoft.Compute/virtualMachineScaleSets/" STR_FMT
                        "/virtualMachines/" STR_FMT "/networkInterfaces/" STR_FMT
                        "?$expand=IPConfigurations%%2FPublicIPAddress&" SCALE_SET_NETWORK_VERSION,
                        STR_ARG(base), STR_ARG(machine->scale_set),
                        STR_ARG(json_str_at(machine->json, "instanceId")), STR_ARG(name));
}

static bool ask_cards(Round *round, Error *err)
{
    const AzureState *state = round->state;
    AzureKeep *keep = round->keep;
    CLEANUP(map_deinit) Map asked = {0};
    (void)err;
    for (size_t i = 0; i < state->machine_count; i++) {
        const AzureMachine *machine = &state->machines[i];
        const JsonValue *cards = json_at(machine->json, AZURE_CARDS);
        for (size_t k = 0; cards && cards->kind == JSON_ARRAY && k < cards->count; k++) {
            Str *id = ARENA_NEW(&round->arena, Str);
            *id = json_str_at(&cards->items[k], "id");
            if (map_get(&keep->by_id, *id)) {
                round_count(round, 1);
                continue;
            }
            if (!map_put(&asked, *id, id))
                ask(round, card_url(round, machine, *id), is_card_status, take_card, id);
        }
    }
    return true;
}

// ---- tokens ----

static Str env(const char *name)
{
    return str_from_c(getenv(name));
}

static Str scope_form(Round *round)
{
    const AzureState *state = round->state;
    return poll_query_escaped(&round->arena,
                              arena_printf(&round->arena, "%s/.default", state->cloud.audience));
}

static void ask_by_secret(Round *round, Str tenant, Str client, Str secret)
{
    const AzureState *state = round->state;
    AzureKeep *keep = round->keep;
    Arena *arena = &round->arena;
    Ask question = {.url = arena_printf(arena, "%s/" STR_FMT "/oauth2/v2.0/token",
                                        state->cloud.login, STR_ARG(tenant)),
                    .body = arena_printf(arena,
                                         "grant_type=client_credentials&client_id=" STR_FMT
                                         "&client_secret=" STR_FMT "&scope=" STR_FMT,
                                         STR_ARG(poll_query_escaped(arena, client)),
                                         STR_ARG(poll_query_escaped(arena, secret)),
                                         STR_ARG(scope_form(round)))};
    token_ask(round, &keep->token, &question, ask_resources);
}

static void ask_managed(Round *round)
{
    static const Str headers[] = {STR("Metadata: true")};
    const AzureConfig *config = round->config;
    const AzureState *state = round->state;
    AzureKeep *keep = round->keep;
    Arena *arena = &round->arena;
    CLEANUP(buf_deinit) Buf url = {0};
    buf_printf(&url,
               "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01"
               "&resource=" STR_FMT,
               STR_ARG(poll_query_escaped(arena, str_from_c(state->cloud.audience))));
    if (config->client_id.len)
        buf_printf(&url, "&client_id=" STR_FMT,
                   STR_ARG(poll_query_escaped(arena, config->client_id)));
    Ask question = {.url = arena_str(arena, buf_str(&url)), .headers = headers, .header_count = 1};
    token_ask(round, &keep->token, &question, ask_resources);
}

static bool ask_workload(Round *round, Error *err)
{
    const AzureState *state = round->state;
    AzureKeep *keep = round->keep;
    Arena *arena = &round->arena;
    Str login = env("AZURE_AUTHORITY_HOST");
    Str assertion;
    if (!env("AZURE_TENANT_ID").len || !env("AZURE_CLIENT_ID").len)
        return error_set(err, ERR_INVALID,
                         "WorkloadIdentity needs AZURE_TENANT_ID and AZURE_CLIENT_ID");
    if (!round_read_secret(round, env("AZURE_FEDERATED_TOKEN_FILE"), &assertion, err))
        return error_context(err, "AZURE_FEDERATED_TOKEN_FILE");
    if (login.len == 0)
        login = str_from_c(state->cloud.login);
    while (str_ends_with(login, S("/")))
        login.len--;
    Ask question = {.url = arena_printf(arena, STR_FMT "/" STR_FMT "/oauth2/v2.0/token",
                                        STR_ARG(login), STR_ARG(env("AZURE_TENANT_ID"))),
                    .body = arena_printf(
                        arena,
                        "grant_type=client_credentials&client_id=" STR_FMT
                        "&client_assertion_type=%s"
                        "&client_assertion=" STR_FMT "&scope=" STR_FMT,
                        STR_ARG(poll_query_escaped(arena, env("AZURE_CLIENT_ID"))),
                        "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer",
                        STR_ARG(poll_query_escaped(arena, assertion)), STR_ARG(scope_form(round)))};
    token_ask(round, &keep->token, &question, ask_resources);
    return true;
}

// The first of the environment's secret, the workload's identity and the machine's.
static bool ask_by_default(Round *round, Error *err)
{
    const AzureConfig *config = round->config;
    Str tenant = config->tenant_id.len ? config->tenant_id : env("AZURE_TENANT_ID");
    if (tenant.len && env("AZURE_CLIENT_ID").len && env("AZURE_CLIENT_SECRET").len)
        ask_by_secret(round, tenant, env("AZURE_CLIENT_ID"), env("AZURE_CLIENT_SECRET"));
    else if (env("AZURE_FEDERATED_TOKEN_FILE").len)
        return ask_workload(round, err);
    else
        ask_managed(round);
    return true;
}

static bool begin(Round *round, Error *err)
{
    const AzureConfig *config = round->config;
    AzureState *state = round->state;
    AzureKeep *keep = round->keep;
    forget_old_cards(keep, round_now_ns(round));
    if (!cloud_of(config, &state->cloud, err))
        return false;
    if (token_is_good(&keep->token, round))
        return ask_resources(round, str_from_c(keep->token.text), err);
    switch (config->authentication_method) {
    case AUTH_OAUTH:
        ask_by_secret(round, config->tenant_id, config->client_id, config->client_secret);
        return true;
    case AUTH_MANAGED:
        ask_managed(round);
        return true;
    case AUTH_WORKLOAD:
        return ask_workload(round, err);
    default:
        return ask_by_default(round, err);
    }
}

static void close_keep(void *arg)
{
    AzureKeep *keep = arg;
    while (keep->cards) {
        AzureCard *next = keep->cards->next;
        card_free(keep->cards);
        keep->cards = next;
    }
    map_deinit(&keep->by_id);
}

static const PollKind poll = {
    POLL_OFFSETS(AzureConfig),
    .state_bytes = sizeof(AzureState),
    .keep_bytes = sizeof(AzureKeep),
    .counts_failures = true,
    .begin = begin,
    .finish = azure_groups,
    .close = close_keep,
};

POLL_KIND(azure, .counters = {{"prometheus_sd_azure_failures_total",
                               "Number of Azure service discovery refresh failures."},
                              {"prometheus_sd_azure_cache_hit_total",
                               "Number of cache hit during refresh."}});
