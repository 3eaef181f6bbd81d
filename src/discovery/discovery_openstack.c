// SPDX-License-Identifier: Apache-2.0
// openstack_sd_configs: hypervisors, instances or load balancers of one region. Each round asks Keystone for a token and the catalog.
#include "discovery/discovery_openstack.h"

#include <stdlib.h>

#include "codec/json_writer.h"

static const char *const role_words[] = {"", "hypervisor", "instance", "loadbalancer", NULL};
static const char *const availability_words[] = {"public", "internal", "admin", NULL};

static bool finish_config(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    OpenstackConfig *config = object;
    HttpTlsConfig tls = config->http.tls_config;
    http_client_config_default(&config->http);
    config->http.tls_config = tls;
    if (config->role == OPENSTACK_NONE)
        return config_error(reader, node, err,
                            "role missing (one of: instance, hypervisor, loadbalancer)");
    return config->region.len > 0 ||
           config_error(reader, node, err, "openstack SD configuration requires a region");
}

static const ConfigField fields[] = {
    POLL_STR(OpenstackConfig, identity_endpoint, "URL of Keystone; OS_* variables if empty",
             .always_print = true),
    POLL_STR(OpenstackConfig, username, "of the account", .always_print = true),
    POLL_STR(OpenstackConfig, userid, "of the account", .always_print = true),
    POLL_SECRET(OpenstackConfig, password, "of the account"),
    POLL_STR(OpenstackConfig, project_name, "what the token is for", .always_print = true),
    POLL_STR(OpenstackConfig, project_id, "what the token is for", .always_print = true),
    POLL_STR(OpenstackConfig, domain_name, "of user and project", .always_print = true),
    POLL_STR(OpenstackConfig, domain_id, "of user and project", .always_print = true),
    POLL_STR(OpenstackConfig, application_credential_name, "in place of user and password",
             .always_print = true),
    POLL_STR(OpenstackConfig, application_credential_id, "in place of user and password",
             .always_print = true),
    POLL_SECRET(OpenstackConfig, application_credential_secret, "of the application credential"),
    POLL_ROLE(OpenstackConfig, role, role_words, "what becomes a target"),
    POLL_STR(OpenstackConfig, region, "region of the services", .always_print = true),
    POLL_INTERVAL(OpenstackConfig, "1m"),
    POLL_PORT(OpenstackConfig, "80"),
    POLL_BOOL(OpenstackConfig, all_tenants, "false", "instances of all projects"),
    {.key = "tls_config",
     .kind = CONFIG_STRUCT,
     .offset = offsetof(OpenstackConfig, http.tls_config),
     .table = &http_tls_config_table,
     .help = "TLS towards all services"},
    POLL_ROLE(OpenstackConfig, availability, availability_words, "which endpoints",
              .default_text = "public"),
};

POLL_TABLE(openstack, OpenstackConfig, fields, finish_config);

// ---- Keystone ----

static Str env(const char *name, const char *other)
{
    const char *value = getenv(name);
    if (!value || !*value)
        value = other ? getenv(other) : NULL;
    return str_from_c(value);
}

// Who we are: the block's settings, or those of the environment.
static void account_of(const OpenstackConfig *config, OpenstackConfig *ret_account)
{
    *ret_account = *config;
    if (config->identity_endpoint.len)
        return;
    ret_account->identity_endpoint = env("OS_AUTH_URL", NULL);
    ret_account->username = env("OS_USERNAME", NULL);
    ret_account->userid = env("OS_USERID", NULL);
    ret_account->password = env("OS_PASSWORD", NULL);
    ret_account->project_id = env("OS_PROJECT_ID", "OS_TENANT_ID");
    ret_account->project_name = env("OS_PROJECT_NAME", "OS_TENANT_NAME");
    ret_account->domain_id = env("OS_DOMAIN_ID", "OS_USER_DOMAIN_ID");
    ret_account->domain_name = env("OS_DOMAIN_NAME", "OS_USER_DOMAIN_NAME");
    ret_account->application_credential_id = env("OS_APPLICATION_CREDENTIAL_ID", NULL);
    ret_account->application_credential_name = env("OS_APPLICATION_CREDENTIAL_NAME", NULL);
    ret_account->application_credential_secret = env("OS_APPLICATION_CREDENTIAL_SECRET", NULL);
}

static void key_if(JsonWriter *json, const char *name, Str value)
{
    if (value.len)
        json_key_str(json, name, value);
}

static void add_domain(JsonWriter *json, const OpenstackConfig *account)
{
    if (!account->domain_id.len && !account->domain_name.len)
        return;
    json_key(json, S("domain"));
    json_object(json);
    if (account->domain_id.len)
        json_key_str(json, "id", account->domain_id);
    else
        json_key_str(json, "name", account->domain_name);
    json_object_end(json);
}

static void add_user(JsonWriter *json, const OpenstackConfig *account, bool with_password)
{
    json_key(json, S("user"));
    json_object(json);
    if (account->userid.len) {
        json_key_str(json, "id", account->userid);
    } else {
        key_if(json, "name", account->username);
        add_domain(json, account);
    }
    if (with_password)
        json_key_str(json, "password", account->password);
    json_object_end(json);
}

static void add_identity(JsonWriter *json, const OpenstackConfig *account)
{
    bool application = account->application_credential_secret.len > 0;
    const char *method = application ? "application_credential" : "password";
    json_key(json, S("identity"));
    json_object(json);
    json_key(json, S("methods"));
    json_array(json);
    json_c(json, method);
    json_array_end(json);
    json_key(json, str_from_c(method));
    json_object(json);
    if (application) {
        key_if(json, "id", account->application_credential_id);
        json_key_str(json, "secret", account->application_credential_secret);
        if (account->application_credential_id.len == 0) {
            json_key_str(json, "name", account->application_credential_name);
            add_user(json, account, false);
        }
    } else {
        add_user(json, account, true);
    }
    json_object_end(json);
    json_object_end(json);
}

// An application credential has its scope in itself.
static void add_scope(JsonWriter *json, const OpenstackConfig *account)
{
    bool by_name = account->project_id.len == 0;
    if (account->application_credential_secret.len || (by_name && account->project_name.len == 0))
        return;
    json_key(json, S("scope"));
    json_object(json);
    json_key(json, S("project"));
    json_object(json);
    if (by_name) {
        json_key_str(json, "name", account->project_name);
        add_domain(json, account);
    } else {
        json_key_str(json, "id", account->project_id);
    }
    json_object_end(json);
    json_object_end(json);
}

static Str auth_body(Arena *arena, const OpenstackConfig *account)
{
    CLEANUP(buf_deinit) Buf body = {0};
    JsonWriter *json = ARENA_NEW(arena, JsonWriter);
    json_writer_init(json, &body);
    json_object(json);
    json_key(json, S("auth"));
    json_object(json);
    add_identity(json, account);
    add_scope(json, account);
    json_object_end(json);
    json_object_end(json);
    return arena_str(arena, buf_str(&body));
}

// The base URL of a service in our region, without a slash behind it.
static bool find_endpoint(const Round *round, const char *type, Str *ret_url, Error *err)
{
    const OpenstackConfig *config = round->config;
    const OpenstackState *state = round->state;
    const JsonValue *catalog = json_at(state->login, "token.catalog");
    for (size_t i = 0; catalog && catalog->kind == JSON_ARRAY && i < catalog->count; i++) {
        const JsonValue *endpoints = json_at(&catalog->items[i], "endpoints");
        if (!str_is(json_str_at(&catalog->items[i], "type"), type))
            continue;
        for (size_t k = 0; endpoints && endpoints->kind == JSON_ARRAY && k < endpoints->count;
             k++) {
            const JsonValue *endpoint = &endpoints->items[k];
            bool ours = str_equal(json_str_at(endpoint, "region"), config->region) ||
                        str_equal(json_str_at(endpoint, "region_id"), config->region);
            if (!ours || !str_is(json_str_at(endpoint, "interface"),
                                 availability_words[config->availability]))
                continue;
            *ret_url = json_str_at(endpoint, "url");
            while (str_ends_with(*ret_url, S("/")))
                ret_url->len--;
            return true;
        }
    }
    return error_set(err, ERR_NOT_FOUND, "no %s endpoint for the service %s in region " STR_FMT,
                     availability_words[config->availability], type, STR_ARG(config->region));
}

static void ask_list(Round *round, Str base, const char *path, const char *items, PageList *list)
{
    OpenstackState *state = round->state;
    Str links = arena_printf(&round->arena, "%s_links", items);
    PageAsk ask = {.ask = {.url = arena_printf(&round->arena, STR_FMT "%s", STR_ARG(base), path),
                           .headers = &state->token,
                           .header_count = 1},
                   .items = items,
                   .rule = {PAGE_LINKS, .at = str_to_c(&round->arena, links)}};
    round_ask_list(round, &ask, list);
}

static bool ask_role(Round *round, Error *err)
{
    const OpenstackConfig *config = round->config;
    OpenstackState *state = round->state;
    Str compute;
    Str network;
    Str balancer;
    if (config->role == OPENSTACK_HYPERVISOR) {
        if (!find_endpoint(round, "compute", &compute, err))
            return false;
        ask_list(round, compute, "/os-hypervisors/detail", "hypervisors", &state->main);
        return true;
    }
    if (!find_endpoint(round, "network", &network, err))
        return false;
    ask_list(round, network, "/v2.0/floatingips", "floatingips", &state->floating_ips);
    if (config->role == OPENSTACK_LOADBALANCER) {
        if (!find_endpoint(round, "load-balancer", &balancer, err))
            return false;
        ask_list(round, balancer, "/v2.0/lbaas/loadbalancers", "loadbalancers", &state->main);
        ask_list(round, balancer, "/v2.0/lbaas/listeners", "listeners", &state->listeners);
        return true;
    }
    if (!find_endpoint(round, "compute", &compute, err))
        return false;
    ask_list(round, network, "/v2.0/ports", "ports", &state->ports);
    ask_list(round, compute,
             config->all_tenants ? "/servers/detail?all_tenants=true" : "/servers/detail",
             "servers", &state->main);
    return true;
}

static bool take_login(Round *round, const Answer *answer, void *arg, Error *err)
{
    OpenstackState *state = round->state;
    HttpResponse response = {.headers = answer->headers};
    Str token = http_response_header(&response, S("X-Subject-Token"));
    (void)arg;
    if (token.len == 0)
        return error_set(err, ERR_INVALID, "the answer has no X-Subject-Token");
    state->login = answer->json;
    state->token = arena_printf(&round->arena, "X-Auth-Token: " STR_FMT, STR_ARG(token));
    return ask_role(round, err);
}

static bool begin(Round *round, Error *err)
{
    static const Str headers[] = {STR("Content-Type: application/json"),
                                  STR("Accept: application/json")};
    OpenstackConfig account;
    account_of(round->config, &account);
    Str url = account.identity_endpoint;
    while (str_ends_with(url, S("/")))
        url.len--;
    if (url.len == 0)
        return error_set(err, ERR_INVALID,
                         "no identity_endpoint, neither in the block nor as OS_AUTH_URL");
    Ask ask = {.url = arena_printf(&round->arena, STR_FMT "%s/auth/tokens", STR_ARG(url),
                                   str_ends_with(url, S("/v3")) ? "" : "/v3"),
               .body = auth_body(&round->arena, &account),
               .headers = headers,
               .header_count = COUNT_OF(headers),
               .take = take_login};
    round_ask(round, &ask);
    return true;
}

static const PollKind poll = {
    POLL_OFFSETS(OpenstackConfig),
    .state_bytes = sizeof(OpenstackState),
    .begin = begin,
    .finish = openstack_groups,
};

POLL_KIND(openstack);
