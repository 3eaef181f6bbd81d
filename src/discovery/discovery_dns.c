// SPDX-License-Identifier: Apache-2.0
// dns_sd_configs: the records of some names, asked with c-ares at the servers of /etc/resolv.conf, which is read anew for each round.
// Facts: prometheus.md section 9.1.
//
// A name is tried with each search domain until a server knows it. If all say that it does not exist, it has no targets; if one could
// not be asked, its targets stay.
#include "discovery/discovery_dns.h"

#include <ares.h>
#include <stdlib.h>

#include "base/fs.h"
#include "base/log.h"
#include "discovery/discovery_meta.h"

#define RESOLV_CONF "/etc/resolv.conf"
#define RESOLV_CONF_VARIABLE "NARTHEX_RESOLV_CONF" // another file, whose servers may have ports
#define RESOLV_CONF_BYTES_MAX (1u << 20)
#define SERVER_TIMEOUT_MS 2000
#define SERVER_TRIES 2
#define EDNS_BYTES 4096

typedef struct DnsConfig {
    ConfigStrList names;
    int64_t refresh_interval_ms;
    Str type;
    int64_t port;
} DnsConfig;

static const struct {
    Str name;
    int number;
} types[] = {{STR("SRV"), DNS_SRV},
             {STR("A"), DNS_A},
             {STR("AAAA"), DNS_AAAA},
             {STR("MX"), DNS_MX},
             {STR("NS"), DNS_NS}};

static int type_number(Str name)
{
    for (size_t i = 0; i < COUNT_OF(types); i++)
        if (str_equal_nocase(types[i].name, name))
            return types[i].number;
    return 0;
}

static bool finish_config(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    const DnsConfig *config = object;
    if (config->names.count == 0)
        return config_error(reader, node, err,
                            "DNS-SD config must contain at least one SRV record name");
    int type = type_number(config->type);
    if (type == 0)
        return config_error(reader, node, err, "invalid DNS-SD records type " STR_FMT,
                            STR_ARG(config->type));
    if (type != DNS_SRV && config->port == 0)
        return config_error(reader, node, err,
                            "a port is required in DNS-SD configs for all record types except SRV");
    return true;
}

static const ConfigField fields[] = {
    {.key = "names",
     .kind = CONFIG_STR_LIST,
     .offset = offsetof(DnsConfig, names),
     .always_print = true,
     .help = "what to ask for"},
    {.key = "refresh_interval",
     .kind = CONFIG_DURATION,
     .offset = offsetof(DnsConfig, refresh_interval_ms),
     .default_text = "30s",
     .min = 1,
     .max = INT64_MAX / 1000000,
     .help = "time between two looks"},
    {.key = "type",
     .kind = CONFIG_STR,
     .offset = offsetof(DnsConfig, type),
     .default_text = "SRV",
     .always_print = true,
     .help = "SRV, A, AAAA, MX or NS"},
    {.key = "port",
     .kind = CONFIG_I64,
     .offset = offsetof(DnsConfig, port),
     .max = 65535,
     .always_print = true,
     .help = "of all targets; SRV records have their own"},
};

extern const ConfigTable discovery_dns_table;
const ConfigTable discovery_dns_table =
    CONFIG_TABLE(DnsConfig, "dns_sd_config", fields, finish_config);

typedef struct DnsProvider DnsProvider;

// One of the configured names.
typedef struct DnsName {
    DnsProvider *provider;
    Str name;
    GroupSnapshot *found; // its group, as it was last known
    size_t candidate;     // of provider->domains that is asked now
    bool unsure;          // a candidate could not be asked
} DnsName;

struct DnsProvider {
    DiscoveryHost *host;
    const DnsConfig *config;
    DnsName *names;
    LoopTimer *refresh;
    LoopTimer *timeout; // what c-ares waits for
    LoopTimer *end;     // of the round, outside of c-ares' callbacks
    int type;

    // The round under way.
    ares_channel channel;
    bool has_channel;
    Arena arena;
    DnsSearch search;
    size_t open; // names without an answer
    int64_t began_ns;
    LoopWatch **watches; // by socket
    size_t watch_count;
};

static void ask_candidate(DnsName *name);

static void label_record(GroupMaker *maker, const DnsName *name, const DnsRecord *record)
{
    const DnsConfig *config = name->provider->config;
    LabelsBuilder *labels = group_target(maker);
    Str host = record->host;
    meta_set(labels, "__meta_dns_name", name->name);
    switch (record->type) {
    case DNS_SRV:
        meta_setf(labels, "__meta_dns_srv_record_target", STR_FMT ".", STR_ARG(host));
        meta_setf(labels, "__meta_dns_srv_record_port", "%d", record->port);
        meta_address(labels, host, record->port);
        break;
    case DNS_MX:
        meta_setf(labels, "__meta_dns_mx_record_target", STR_FMT ".", STR_ARG(host));
        meta_address(labels, host, config->port);
        break;
    case DNS_NS:
        meta_setf(labels, "__meta_dns_ns_record_target", STR_FMT ".", STR_ARG(host));
        meta_address(labels, host, config->port);
        break;
    default:
        meta_address(labels, host, config->port);
    }
    group_add(maker);
}

// The name's new group, from an answer or (without records) from everyone's "no such name".
static void take_records(DnsName *name, const DnsRecord *records, size_t count)
{
    GroupMaker maker;
    GroupSnapshot *found = group_snapshot_new();
    group_begin(&maker, found, &name->provider->arena, name->name);
    for (size_t i = 0; i < count; i++)
        label_record(&maker, name, &records[i]);
    group_end(&maker);
    group_snapshot_unref(name->found);
    name->found = found;
}

static void name_done(DnsName *name, bool failed, const char *why)
{
    DnsProvider *provider = name->provider;
    discovery_host_count(provider->host, 0);
    if (failed) {
        discovery_host_count(provider->host, 1);
        log_error("refreshing DNS targets failed, keeping what was found before",
                  KV("config", discovery_host_job(provider->host)), KV("name", name->name),
                  KV("err", why));
    }
    if (--provider->open == 0)
        loop_timer_set(provider->end, loop_now_ns(discovery_host_loop(provider->host)));
}

static void on_answer(void *arg, int status, int timeouts, unsigned char *bytes, int length)
{
    DnsName *name = arg;
    DnsProvider *provider = name->provider;
    DnsRecord *records = NULL;
    size_t count = 0;
    Error err = {0};
    (void)timeouts;
    if (status == ARES_EDESTRUCTION || status == ARES_ECANCELLED)
        return;
    if (status == ARES_SUCCESS || status == ARES_ENODATA) {
        Str packet = {(const char *)bytes, bytes && length > 0 ? (size_t)length : 0};
        bool ok =
            status == ARES_ENODATA ||
            dns_records_read(packet, provider->type, &provider->arena, &records, &count, &err);
        if (ok)
            take_records(name, records, count);
        name_done(name, !ok, err.text);
        return;
    }
    name->unsure |= status != ARES_ENOTFOUND;
    name->candidate++;
    if (name->candidate < dns_search_count(&provider->search, name->name)) {
        ask_candidate(name);
        return;
    }
    if (!name->unsure)
        take_records(name, NULL, 0);
    name_done(name, name->unsure,
              "could not resolve: all servers responded with errors to at least one search domain");
}

static void ask_candidate(DnsName *name)
{
    DnsProvider *provider = name->provider;
    Str full = dns_search_name(&provider->search, name->name, name->candidate, &provider->arena);
    ares_query(provider->channel, full.ptr, 1, provider->type, on_answer, name);
}

// ---- c-ares on the loop ----

static void wait_for_ares(DnsProvider *provider)
{
    struct timeval left = {0};
    int64_t now_ns = loop_now_ns(discovery_host_loop(provider->host));
    if (provider->has_channel && ares_timeout(provider->channel, NULL, &left))
        loop_timer_set(provider->timeout,
                       now_ns + left.tv_sec * 1000000000LL + left.tv_usec * 1000LL);
}

static void on_timeout(void *arg)
{
    DnsProvider *provider = arg;
    if (provider->has_channel)
        ares_process_fd(provider->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    wait_for_ares(provider);
}

static void on_ready(void *arg, int fd, int events)
{
    DnsProvider *provider = arg;
    bool reads = events & (LOOP_READ | LOOP_HANGUP);
    ares_process_fd(provider->channel, reads ? fd : ARES_SOCKET_BAD,
                    events & LOOP_WRITE ? fd : ARES_SOCKET_BAD);
    wait_for_ares(provider);
}

static void on_socket(void *arg, ares_socket_t fd, int readable, int writable)
{
    DnsProvider *provider = arg;
    size_t index = (size_t)fd;
    int events = (readable ? LOOP_READ : 0) | (writable ? LOOP_WRITE : 0);
    if (index >= provider->watch_count) {
        provider->watches = x_realloc(provider->watches, (index + 1) * sizeof *provider->watches);
        memset(&provider->watches[provider->watch_count], 0,
               (index + 1 - provider->watch_count) * sizeof *provider->watches);
        provider->watch_count = index + 1;
    }
    LoopWatch **watch = &provider->watches[index];
    if (!events && *watch) {
        loop_watch_free(*watch);
        *watch = NULL;
    } else if (*watch) {
        loop_watch_set(*watch, events);
    } else if (events) {
        *watch =
            loop_watch_new(discovery_host_loop(provider->host), fd, events, on_ready, provider);
    }
}

static const char *resolv_conf(void)
{
    const char *other = getenv(RESOLV_CONF_VARIABLE);
    return other && *other ? other : RESOLV_CONF;
}

static bool open_channel(DnsProvider *provider, Error *err)
{
    Str text;
    char *path = str_to_c(&provider->arena, str_from_c(resolv_conf()));
    struct ares_options options = {.flags = ARES_FLAG_EDNS,
                                   .timeout = SERVER_TIMEOUT_MS,
                                   .tries = SERVER_TRIES,
                                   .sock_state_cb = on_socket,
                                   .sock_state_cb_data = provider,
                                   .ednspsz = EDNS_BYTES,
                                   .resolvconf_path = path};
    if (!fs_read_file(&fs_system, str_from_c(path), &provider->arena, RESOLV_CONF_BYTES_MAX, &text,
                      err))
        return error_context(err, "could not load resolv.conf");
    dns_search_read(&provider->search, text, &provider->arena);
    int status =
        ares_init_options(&provider->channel, &options,
                          ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
                              ARES_OPT_SOCK_STATE_CB | ARES_OPT_EDNSPSZ | ARES_OPT_RESOLVCONF);
    if (status != ARES_SUCCESS)
        return error_set(err, ERR_UNAVAILABLE, "%s", ares_strerror(status));
    provider->has_channel = true;
    // c-ares reads the addresses of resolv.conf, but no ports.
    status = provider->search.servers.len && !str_is(str_from_c(path), RESOLV_CONF)
                 ? ares_set_servers_ports_csv(provider->channel, provider->search.servers.ptr)
                 : ARES_SUCCESS;
    return status == ARES_SUCCESS ||
           error_set(err, ERR_INVALID, "%s: nameserver: %s", path, ares_strerror(status));
}

static void close_channel(DnsProvider *provider)
{
    if (provider->has_channel)
        ares_destroy(provider->channel);
    provider->has_channel = false;
    for (size_t i = 0; i < provider->watch_count; i++)
        if (provider->watches[i]) {
            loop_watch_free(provider->watches[i]);
            provider->watches[i] = NULL;
        }
    loop_timer_clear(provider->timeout);
    arena_reset(&provider->arena);
}

// ---- rounds ----

static void publish(DnsProvider *provider)
{
    GroupSnapshot *all = group_snapshot_new();
    size_t count = provider->config->names.count;
    all->parts = ARENA_ARRAY(&all->arena, GroupSnapshot *, count);
    for (size_t i = 0; i < count; i++) {
        GroupSnapshot *found = provider->names[i].found;
        if (!found)
            continue;
        *group_snapshot_more(all, 1) = found->groups[0];
        all->count++;
        all->parts[all->part_count++] = group_snapshot_ref(found);
    }
    discovery_host_publish(provider->host, all);
}

static void on_end(void *arg)
{
    DnsProvider *provider = arg;
    publish(provider);
    close_channel(provider);
    discovery_host_refreshed(provider->host, provider->began_ns, false);
    int64_t now_ns = loop_now_ns(discovery_host_loop(provider->host));
    loop_timer_set(
        provider->refresh,
        MAX(now_ns, provider->began_ns + provider->config->refresh_interval_ms * 1000000));
}

static void on_refresh(void *arg)
{
    DnsProvider *provider = arg;
    Error err = {0};
    provider->began_ns = loop_now_ns(discovery_host_loop(provider->host));
    provider->open = provider->config->names.count;
    bool ok = open_channel(provider, &err);
    for (size_t i = 0; i < provider->config->names.count; i++) {
        DnsName *name = &provider->names[i];
        name->candidate = 0;
        name->unsure = false;
        if (ok)
            ask_candidate(name);
        else
            name_done(name, true, err.text);
    }
    wait_for_ares(provider);
}

static void *start(DiscoveryHost *host, const void *config)
{
    DnsProvider *provider = X_NEW(DnsProvider);
    Loop *loop = discovery_host_loop(host);
    provider->host = host;
    provider->config = config;
    provider->type = type_number(provider->config->type);
    provider->names = X_ARRAY(DnsName, provider->config->names.count);
    for (size_t i = 0; i < provider->config->names.count; i++) {
        provider->names[i].provider = provider;
        provider->names[i].name = provider->config->names.items[i];
    }
    provider->refresh = loop_timer_new(loop, on_refresh, provider);
    provider->timeout = loop_timer_new(loop, on_timeout, provider);
    provider->end = loop_timer_new(loop, on_end, provider);
    loop_timer_set(provider->refresh, loop_now_ns(loop));
    return provider;
}

static void stop(void *arg)
{
    DnsProvider *provider = arg;
    if (!provider)
        return;
    close_channel(provider);
    loop_timer_free(provider->refresh);
    loop_timer_free(provider->timeout);
    loop_timer_free(provider->end);
    for (size_t i = 0; i < provider->config->names.count; i++)
        group_snapshot_unref(provider->names[i].found);
    free(provider->names);
    free(provider->watches);
    arena_deinit(&provider->arena);
    free(provider);
}

const DiscoveryKind discovery_dns = {
    .name = "dns",
    .config_key = "dns_sd_configs",
    .table = &discovery_dns_table,
    .counters = {{"prometheus_sd_dns_lookups_total", "The number of DNS-SD lookups."},
                 {"prometheus_sd_dns_lookup_failures_total",
                  "The number of DNS-SD lookup failures."}},
    .start = start,
    .stop = stop,
};
