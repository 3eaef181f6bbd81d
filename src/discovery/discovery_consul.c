// SPDX-License-Identifier: Apache-2.0
// consul_sd_configs: blocking queries to Consul's catalog and health endpoints. Facts: prometheus.md section 9.3.
//
//     agent/self (datacenter) --> catalog/services --> health/service/<name>, one watch for each service
//                            \--> health/service/<name> of the services that are configured by name
//
// A watch asks with the index of its last answer; the agent answers when something has changed, or after two minutes.
#include "discovery/discovery_consul.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/map.h"
#include "base/number.h"
#include "discovery/discovery_meta.h"
#include "discovery/discovery_poll.h"

#define WAIT_MS (2 * 60 * 1000)
#define TIMEOUT_MS (WAIT_MS + 15 * 1000)
#define RETRY_MS (15 * 1000)
#define GATHER_MS 20 // answers of several watches are published together
#define SERVICES_MAX 100000

static bool finish_config(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    ConsulConfig *config = object;
    if (str_trim(config->server).len == 0)
        return config_error(reader, node, err, "consul SD configuration requires a server address");
    if (config->username.len || config->password.len) {
        // Decoded again from its own printed form, both may stand there: then they are the same.
        const HttpBasicAuth *auth = config->http.basic_auth;
        if (auth && !(str_equal(auth->username, config->username) &&
                      str_equal(auth->password, config->password)))
            return config_error(reader, node, err,
                                "at most one of consul SD configuration username and password and "
                                "basic auth can be configured");
        HttpBasicAuth *made = ARENA_NEW(reader->arena, HttpBasicAuth);
        *made = (HttpBasicAuth){.username = config->username, .password = config->password};
        config->http.basic_auth = made;
    }
    if (config->token.len && config->http.authorization)
        return config_error(
            reader, node, err,
            "at most one of consul SD token, authorization, or oauth2 can be configured");
    return true;
}

#define TEXT(name, ...)                                                                            \
    {                                                                                              \
        .key = #name, .kind = CONFIG_STR, .offset = offsetof(ConsulConfig, name), ##__VA_ARGS__    \
    }

static const ConfigField fields[] = {
    TEXT(server, .default_text = "localhost:8500", .help = "host:port of the agent"),
    TEXT(path_prefix, .help = "in front of all paths"),
    {.key = "token",
     .kind = CONFIG_SECRET,
     .offset = offsetof(ConsulConfig, token),
     .help = "sent as X-Consul-Token"},
    TEXT(datacenter, .help = "the agent's own if empty"),
    TEXT(namespace, .help = "namespace (Enterprise)"),
    TEXT(partition, .help = "admin partition (Enterprise)"),
    TEXT(tag_separator, .default_text = ",", .help = "between tags in __meta_consul_tags"),
    TEXT(scheme, .default_text = "http", .help = "http or https"),
    TEXT(username, .help = "of basic authentication"),
    {.key = "password",
     .kind = CONFIG_SECRET,
     .offset = offsetof(ConsulConfig, password),
     .help = "of basic authentication"},
    {.key = "allow_stale",
     .kind = CONFIG_BOOL,
     .offset = offsetof(ConsulConfig, allow_stale),
     .default_text = "true",
     .always_print = true,
     .help = "any server may answer, which costs Consul less"},
    POLL_INTERVAL(ConsulConfig, "30s"),
    {.key = "services",
     .kind = CONFIG_STR_LIST,
     .offset = offsetof(ConsulConfig, services),
     .help = "only these; all if empty"},
    {.key = "tags",
     .kind = CONFIG_STR_LIST,
     .offset = offsetof(ConsulConfig, tags),
     .help = "only services with all of these"},
    {.key = "node_meta",
     .kind = CONFIG_STR_MAP,
     .offset = offsetof(ConsulConfig, node_meta),
     .help = "only nodes with these"},
    TEXT(filter, .help = "filter expression of the catalog"),
    TEXT(health_filter, .help = "filter expression of the health endpoint"),
    POLL_HTTP(ConsulConfig),
};

extern const ConfigTable discovery_consul_table;
const ConfigTable discovery_consul_table =
    CONFIG_TABLE(ConsulConfig, "consul_sd_config", fields, finish_config);

typedef struct Provider Provider;
typedef struct Watch Watch;

// One blocking query that is asked for ever: of the catalog, of one service, or (once) of the agent.
struct Watch {
    Provider *provider;
    Arena names;
    Str service; // empty: the catalog, or the agent
    const char *call;
    bool (*take)(Watch *watch, const JsonValue *json, Arena *arena, Error *err);
    LoopTimer *timer;
    HttpCall *http;
    uint64_t index;
    int64_t began_ns;
    GroupSnapshot *found; // of a service
    bool seen;            // in the catalog's answer that is being read
    bool once;            // ends with the first answer
};

struct Provider {
    DiscoveryHost *host;
    const ConsulConfig *config;
    HttpClient *client;
    LoopTimer *publish;
    Arena arena; // datacenter
    Str datacenter;
    Watch *agent;
    Watch *catalog;
    Map services; // name to Watch
    bool stopping;
};

static void ask(void *arg);

static Watch *watch_new(Provider *provider, Str service, const char *call,
                        bool (*take)(Watch *, const JsonValue *, Arena *, Error *))
{
    Watch *watch = X_NEW(Watch);
    Loop *loop = discovery_host_loop(provider->host);
    watch->provider = provider;
    watch->service = arena_str(&watch->names, service);
    watch->call = call;
    watch->take = take;
    watch->timer = loop_timer_new(loop, ask, watch);
    loop_timer_set(watch->timer, loop_now_ns(loop));
    return watch;
}

static void watch_free(Watch *watch)
{
    if (!watch)
        return;
    if (watch->http) {
        HttpCall *http = watch->http;
        watch->http = NULL; // what comes is not wanted any more
        http_call_cancel(http);
    }
    loop_timer_free(watch->timer);
    group_snapshot_unref(watch->found);
    arena_deinit(&watch->names);
    free(watch);
}

// ---- answers ----

static void publish_soon(Provider *provider)
{
    int64_t now_ns = loop_now_ns(discovery_host_loop(provider->host));
    loop_timer_set(provider->publish, now_ns + GATHER_MS * 1000000LL);
}

static void publish(void *arg)
{
    Provider *provider = arg;
    GroupSnapshot *all = group_snapshot_new();
    all->parts = ARENA_ARRAY(&all->arena, GroupSnapshot *, provider->services.count);
    for (MapEntry *e = NULL; (e = map_next(&provider->services, e));) {
        const Watch *watch = e->value;
        if (!watch->found)
            continue;
        *group_snapshot_more(all, 1) = watch->found->groups[0];
        all->count++;
        all->parts[all->part_count++] = group_snapshot_ref(watch->found);
    }
    discovery_host_publish(provider->host, all);
}

static bool take_service(Watch *watch, const JsonValue *json, Arena *arena, Error *err)
{
    Provider *provider = watch->provider;
    GroupSnapshot *found = group_snapshot_new();
    if (!consul_group_read(json, provider->config, watch->service, provider->datacenter, arena,
                           found, err)) {
        group_snapshot_unref(found);
        return false;
    }
    group_snapshot_unref(watch->found);
    watch->found = found;
    publish_soon(provider);
    return true;
}

static void watch_service(Provider *provider, Str name)
{
    Watch *watch = watch_new(provider, name, "service", take_service);
    watch->seen = true;
    map_put(&provider->services, watch->service, watch);
}

static void drop_unseen(Provider *provider)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    Str *gone = ARENA_ARRAY(&arena, Str, provider->services.count);
    size_t count = 0;
    for (MapEntry *e = NULL; (e = map_next(&provider->services, e));)
        if (!((Watch *)e->value)->seen)
            gone[count++] = e->key;
    for (size_t i = 0; i < count; i++)
        watch_free(map_remove(&provider->services, gone[i]));
}

static bool take_catalog(Watch *catalog, const JsonValue *json, Arena *arena, Error *err)
{
    Provider *provider = catalog->provider;
    (void)arena;
    if (json->kind != JSON_OBJECT || json->count > SERVICES_MAX)
        return error_set(err, ERR_INVALID, "expected an object of at most %d services",
                         SERVICES_MAX);
    for (MapEntry *e = NULL; (e = map_next(&provider->services, e));)
        ((Watch *)e->value)->seen = json_get(json, e->key) != NULL;
    drop_unseen(provider);
    for (size_t i = 0; i < json->count; i++)
        if (consul_wants_service(provider->config, json->keys[i], &json->items[i]) &&
            !map_get(&provider->services, json->keys[i]))
            watch_service(provider, json->keys[i]);
    publish_soon(provider);
    return true;
}

static void start_watches(Provider *provider)
{
    const ConsulConfig *config = provider->config;
    if (config->services.count == 0 || config->tags.count || config->filter.len) {
        provider->catalog = watch_new(provider, STR_NONE, "services", take_catalog);
        return;
    }
    for (size_t i = 0; i < config->services.count; i++)
        if (!map_get(&provider->services, config->services.items[i]))
            watch_service(provider, config->services.items[i]);
}

static bool take_agent(Watch *agent, const JsonValue *json, Arena *arena, Error *err)
{
    Provider *provider = agent->provider;
    Str datacenter = json_str_at(json, "Config.Datacenter");
    (void)arena;
    if (datacenter.len == 0)
        return error_set(err, ERR_INVALID, "invalid value for Config.Datacenter");
    provider->datacenter = arena_str(&provider->arena, datacenter);
    start_watches(provider);
    return true;
}

// ---- asking ----

static void add_param(Buf *url, const char *name, Str value)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    buf_printf(url, "%c%s=" STR_FMT, str_find_char(buf_str(url), '?') == STR_NOT_FOUND ? '?' : '&',
               name, STR_ARG(poll_query_escaped(&arena, value)));
}

static void add_options(const Watch *watch, Buf *url, Arena *arena)
{
    const ConsulConfig *config = watch->provider->config;
    if (config->datacenter.len)
        add_param(url, "dc", config->datacenter);
    if (config->namespace.len)
        add_param(url, "ns", config->namespace);
    if (config->partition.len)
        add_param(url, "partition", config->partition);
    if (watch->once)
        return;
    if (config->allow_stale)
        add_param(url, "stale", STR_NONE);
    if (watch->index)
        add_param(url, "index", arena_printf(arena, "%llu", (unsigned long long)watch->index));
    add_param(url, "wait", arena_printf(arena, "%dms", WAIT_MS));
    for (size_t i = 0; i < config->node_meta.count; i++)
        add_param(url, "node-meta",
                  arena_printf(arena, STR_FMT ":" STR_FMT, STR_ARG(config->node_meta.keys[i]),
                               STR_ARG(config->node_meta.values[i])));
    Str filter = watch->service.len ? config->health_filter : config->filter;
    if (filter.len)
        add_param(url, "filter", filter);
    for (size_t i = 0; watch->service.len && i < config->tags.count; i++)
        add_param(url, "tag", config->tags.items[i]);
}

static Str url_of(const Watch *watch, Str *ret_socket, Arena *arena)
{
    CLEANUP(buf_deinit) Buf url = {0};
    consul_add_base_url(&url, watch->provider->config, ret_socket);
    if (watch->once)
        buf_add_c(&url, "/v1/agent/self");
    else if (watch->service.len)
        buf_printf(&url, "/v1/health/service/" STR_FMT,
                   STR_ARG(poll_path_escaped(arena, watch->service)));
    else
        buf_add_c(&url, "/v1/catalog/services");
    add_options(watch, &url, arena);
    return arena_str(arena, buf_str(&url));
}

static void observe(const Watch *watch, const HttpResponse *response)
{
    const DiscoveryCounters *counters = discovery_host_counters(watch->provider->host);
    const Str labels[] = {S("catalog"), str_from_c(watch->call)};
    CLEANUP(arena_deinit) Arena arena = {0};
    if (counters->consul_durations && !watch->once)
        summary_observe(summary_of(counters->consul_durations, summary_key(&arena, labels, 2)),
                        (double)response->took_ns / 1e9);
}

// False with `err` filled if the answer is of no use.
static bool take_response(Watch *watch, const HttpResponse *response, Error *err)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    JsonValue *json;
    uint64_t index = 0;
    if (response->err) {
        *err = *response->err;
        return false;
    }
    if (response->status != 200)
        return error_set(err, ERR_UNAVAILABLE, "unexpected response code: %d (" STR_FMT ")",
                         response->status, STR_ARG(str_sub(str_trim(response->body), 0, 200)));
    (void)number_parse_u64(http_response_header(response, S("X-Consul-Index")), &index);
    if (index && index == watch->index)
        return true; // nothing new within the waiting time
    if (!json_read(response->body, &arena, &json, err) || !watch->take(watch, json, &arena, err))
        return false;
    watch->index = index;
    return true;
}

static void on_done(void *arg, const HttpResponse *response)
{
    Watch *watch = arg;
    if (!watch->http)
        return; // cancelled
    Provider *provider = watch->provider;
    Error err = {0};
    watch->http = NULL;
    if (provider->stopping)
        return;
    observe(watch, response);
    bool ok = take_response(watch, response, &err);
    if (!ok) {
        discovery_host_count(provider->host, 0);
        log_error(watch->once          ? "retrieving Consul's datacenter name failed, retrying"
                  : watch->service.len ? "refreshing a Consul service failed, retrying"
                                       : "refreshing Consul's service list failed, retrying",
                  KV("config", discovery_host_job(provider->host)), KV("service", watch->service),
                  KV("err", &err));
    }
    if (ok && watch->once)
        return;
    int64_t now_ns = loop_now_ns(discovery_host_loop(provider->host));
    int64_t next_ns = watch->began_ns + provider->config->refresh_interval_ms * 1000000;
    loop_timer_set(watch->timer, MAX(next_ns, ok ? now_ns : now_ns + RETRY_MS * 1000000LL));
}

static void ask(void *arg)
{
    Watch *watch = arg;
    Provider *provider = watch->provider;
    CLEANUP(arena_deinit) Arena arena = {0};
    Str socket = STR_NONE;
    Str token = arena_printf(&arena, "X-Consul-Token: " STR_FMT, STR_ARG(provider->config->token));
    HttpCallOptions options = {.url = url_of(watch, &socket, &arena),
                               .unix_socket = socket,
                               .headers = &token,
                               .header_count = provider->config->token.len > 0,
                               .timeout_ms = TIMEOUT_MS,
                               .body_bytes_max = POLL_ANSWER_BYTES_MAX,
                               .accept_gzip = true,
                               .done = on_done,
                               .arg = watch};
    watch->began_ns = loop_now_ns(discovery_host_loop(provider->host));
    watch->http = http_call(provider->client, &options);
}

static void *start(DiscoveryHost *host, const void *config)
{
    Provider *provider = X_NEW(Provider);
    Error err = {0};
    provider->host = host;
    provider->config = config;
    provider->publish = loop_timer_new(discovery_host_loop(host), publish, provider);
    if (!http_client_new(discovery_host_loop(host), &provider->config->http, &provider->client,
                         &err)) {
        log_error("cannot create a service discovery", KV("discovery", "consul"),
                  KV("config", discovery_host_job(host)), KV("err", &err));
        discovery_host_fail(host);
        return provider;
    }
    discovery_host_track(host, provider->client);
    provider->datacenter = provider->config->datacenter;
    if (provider->datacenter.len) {
        start_watches(provider);
        return provider;
    }
    provider->agent = watch_new(provider, STR_NONE, "self", take_agent);
    provider->agent->once = true;
    return provider;
}

static void stop(void *arg)
{
    Provider *provider = arg;
    if (!provider)
        return;
    provider->stopping = true;
    watch_free(provider->agent);
    watch_free(provider->catalog);
    for (MapEntry *e = NULL; (e = map_next(&provider->services, e));)
        watch_free(e->value);
    map_deinit(&provider->services);
    http_client_free(provider->client);
    loop_timer_free(provider->publish);
    arena_deinit(&provider->arena);
    free(provider);
}

const DiscoveryKind discovery_consul = {
    .name = "consul",
    .config_key = "consul_sd_configs",
    .table = &discovery_consul_table,
    .counters = {{"prometheus_sd_consul_rpc_failures_total",
                  "The number of Consul RPC call failures."}},
    .start = start,
    .stop = stop,
};
