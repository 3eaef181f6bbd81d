// SPDX-License-Identifier: Apache-2.0
// The command alertmanager: the room of that name behind HTTP, with the flags of the original.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "alertmanager/alertmanager.h"
#include "base/footprint.h"
#include "base/log.h"
#include "config/flags.h"
#include "main/roles.h"
#include "main/web_listen.h"
#include "net/http_server.h"

#define WORKERS 8
#define BODY_BYTES_MAX ((size_t)64 << 20)
#define ADDRESSES_MAX 16
#define EXIT_FAILED 1
#define EXIT_USAGE 2

typedef struct AlertmanagerFlags {
    Str config_file, storage_path, storage_database;
    int64_t storage_lease_ms, storage_poll_ms;
    int64_t retention_ms, maintenance_ms;
    int64_t silences_max, silence_bytes_max;
    bool log_silences;
    int64_t reminder_ms;
    int64_t gc_interval_ms, per_alertname_limit;
    int64_t dispatch_maintenance_ms, dispatch_start_delay_ms;
    FlagStrList web_listen_address;
    bool web_systemd_socket;
    Str web_config_file, web_external_url, web_route_prefix;
    int64_t web_get_concurrency, web_timeout_ms;
    bool web_test_notifications;
    double auto_gomemlimit_ratio;
    Str cluster_listen_address, cluster_advertise_address, cluster_peer_name, cluster_tls_config,
        cluster_label;
    FlagStrList cluster_peer;
    int64_t cluster_peer_timeout_ms, cluster_peers_resolve_timeout_ms, cluster_gossip_interval_ms;
    int64_t cluster_pushpull_interval_ms, cluster_tcp_timeout_ms, cluster_probe_timeout_ms;
    int64_t cluster_probe_interval_ms, cluster_settle_timeout_ms, cluster_reconnect_interval_ms;
    int64_t cluster_reconnect_timeout_ms;
    bool cluster_allow_public;
    Str enable_feature;
    int log_level, log_format;
} AlertmanagerFlags;

static const char *const log_levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const log_formats[] = {"logfmt", "json", NULL};
static const char alone[] =
    "Taken for compatibility; instances of narthex do not gossip, see --storage.database.";

#define FLAG(flag, type, member, text, about, ...)                                                 \
    {                                                                                              \
        .name = flag, .kind = type, .offset = offsetof(AlertmanagerFlags, member),                 \
        .default_text = text, .help = about, ##__VA_ARGS__                                         \
    }
static const FlagSpec flags[] = {
    FLAG("config.file", FLAG_STR, config_file, "alertmanager.yml", "The configuration."),
    FLAG("storage.path", FLAG_STR, storage_path, "data/",
         "Folder for silences and the notification log."),
    FLAG("storage.database", FLAG_STR, storage_database, "",
         "URL of a database that several instances share, postgres://...: silences, the "
         "notification log, and which of them "
         "notifies. Empty: this instance is the only one."),
    FLAG("storage.database-lease", FLAG_GO_DURATION, storage_lease_ms, "10s",
         "How long an instance that gives no sign of life keeps the right to notify.", .min = 1000,
         .max = 3600000),
    FLAG("storage.database-poll", FLAG_GO_DURATION, storage_poll_ms, "1s",
         "How often what other instances wrote is fetched.", .min = 50, .max = 3600000),
    FLAG("data.retention", FLAG_GO_DURATION, retention_ms, "120h", "How long to keep what is over.",
         .min = 1, .max = INT64_MAX),
    FLAG("data.maintenance-interval", FLAG_GO_DURATION, maintenance_ms, "15m",
         "How often what is over is dropped.", .min = 1000, .max = INT64_MAX),
    FLAG("silences.max-silences", FLAG_I64, silences_max, "0",
         "Most silences, those that are over included; 0 is no limit."),
    FLAG("silences.max-silence-size-bytes", FLAG_I64, silence_bytes_max, "0",
         "Largest silence; 0 is no limit."),
    FLAG("silences.expiry-reminder", FLAG_GO_DURATION, reminder_ms, "0s",
         "How long before the end of a silence that still mutes something the alert "
         "SilenceExpiring is raised; 0 is never."),
    FLAG("log.silences", FLAG_BOOL, log_silences, NULL, "Log changes of silences."),
    FLAG("alerts.gc-interval", FLAG_GO_DURATION, gc_interval_ms, "30m",
         "How often resolved alerts are dropped.", .min = 1000, .max = INT64_MAX),
    FLAG("alerts.per-alertname-limit", FLAG_I64, per_alertname_limit, "0",
         "Most alerts of one name; 0 is no limit."),
    FLAG("dispatch.maintenance-interval", FLAG_GO_DURATION, dispatch_maintenance_ms, "30s",
         "Taken for compatibility; empty groups go at once."),
    FLAG("dispatch.start-delay", FLAG_GO_DURATION, dispatch_start_delay_ms, "0s",
         "How long after the start nothing is notified."),
    FLAG("web.systemd-socket", FLAG_BOOL, web_systemd_socket, NULL, "Not part of this version."),
    FLAG("web.listen-address", FLAG_STR_LIST, web_listen_address, ":9093",
         "Address to listen on. Can be repeated."),
    FLAG("web.config.file", FLAG_STR, web_config_file, "", "File with TLS and passwords."),
    FLAG("web.external-url", FLAG_STR, web_external_url, "",
         "URL under which others reach this; goes into notifications."),
    FLAG("web.route-prefix", FLAG_STR, web_route_prefix, "",
         "Path of all pages; that of --web.external-url if not given."),
    FLAG("web.get-concurrency", FLAG_I64, web_get_concurrency, "0",
         "Most GET requests at the same time; 0 follows the number of cores."),
    FLAG("web.enable-test-notifications", FLAG_BOOL, web_test_notifications, "true",
         "Let clients of the API have a test notification sent to a receiver."),
    FLAG("web.timeout", FLAG_GO_DURATION, web_timeout_ms, "0", "Taken for compatibility."),
    FLAG("auto-gomemlimit.ratio", FLAG_DOUBLE, auto_gomemlimit_ratio, "0.9",
         "Taken for compatibility."),
    FLAG("cluster.listen-address", FLAG_STR, cluster_listen_address, "0.0.0.0:9094", alone),
    FLAG("cluster.advertise-address", FLAG_STR, cluster_advertise_address, "",
         "Address of this instance as the others see it in the status; the external URL if not "
         "given."),
    FLAG("cluster.peer-name", FLAG_STR, cluster_peer_name, "",
         "Name of this instance among those that share a database; host and port if not given."),
    FLAG("cluster.peer", FLAG_STR_LIST, cluster_peer, NULL, alone),
    FLAG("cluster.peer-timeout", FLAG_GO_DURATION, cluster_peer_timeout_ms, "15s", alone),
    FLAG("cluster.peers-resolve-timeout", FLAG_GO_DURATION, cluster_peers_resolve_timeout_ms, "15s",
         alone),
    FLAG("cluster.gossip-interval", FLAG_GO_DURATION, cluster_gossip_interval_ms, "200ms", alone),
    FLAG("cluster.pushpull-interval", FLAG_GO_DURATION, cluster_pushpull_interval_ms, "1m", alone),
    FLAG("cluster.tcp-timeout", FLAG_GO_DURATION, cluster_tcp_timeout_ms, "10s", alone),
    FLAG("cluster.probe-timeout", FLAG_GO_DURATION, cluster_probe_timeout_ms, "500ms", alone),
    FLAG("cluster.probe-interval", FLAG_GO_DURATION, cluster_probe_interval_ms, "1s", alone),
    FLAG("cluster.settle-timeout", FLAG_GO_DURATION, cluster_settle_timeout_ms, "1m", alone),
    FLAG("cluster.reconnect-interval", FLAG_GO_DURATION, cluster_reconnect_interval_ms, "10s",
         alone),
    FLAG("cluster.reconnect-timeout", FLAG_GO_DURATION, cluster_reconnect_timeout_ms, "6h", alone),
    FLAG("cluster.tls-config", FLAG_STR, cluster_tls_config, "", alone),
    FLAG("cluster.allow-insecure-public-advertise-address-discovery", FLAG_BOOL,
         cluster_allow_public, NULL, alone),
    FLAG("cluster.label", FLAG_STR, cluster_label, "", alone),
    FLAG("enable-feature", FLAG_STR, enable_feature, "", "Features to switch on, with commas."),
    FLAG("log.level", FLAG_ENUM, log_level, "info", "Only log messages of this severity or above.",
         .words = log_levels),
    FLAG("log.format", FLAG_ENUM, log_format, "logfmt", "Form of log messages.",
         .words = log_formats),
};
static const FlagTable flag_table = {
    .program = "narthex alertmanager",
    .summary = "Takes alerts, groups, inhibits and silences them, and notifies receivers.",
    .flags = flags,
    .count = COUNT_OF(flags),
};

// What features change here. Unknown names are refused, as by the original.
static bool read_features(const AlertmanagerFlags *f, AmOptions *options, Error *err)
{
    static const char *const known[] = {"alert-names-in-metrics", "receiver-name-in-metrics",
                                        "group-key-in-metrics",   "classic-mode",
                                        "utf8-strict-mode",       "auto-gomemlimit",
                                        "auto-gomaxprocs",        "event-recorder"};
    Str rest = f->enable_feature;
    Str name;
    bool classic = false;
    bool strict = false;
    while (str_split_next(&rest, ',', &name)) {
        bool found = false;
        for (size_t i = 0; i < COUNT_OF(known); i++)
            found |= str_is(name, known[i]);
        if (!found)
            return error_set(err, ERR_INVALID, "unknown option '" STR_FMT "' for --enable-feature",
                             STR_ARG(name));
        // The garbage collector of Go and its number of processors are not here.
        bool has_effect = !str_starts_with(name, S("auto-"));
        options->events |= str_is(name, "event-recorder");
        options->alert_names_in_metrics |= str_is(name, "alert-names-in-metrics");
        options->receiver_names_in_metrics |= str_is(name, "receiver-name-in-metrics");
        options->group_keys_in_metrics |= str_is(name, "group-key-in-metrics");
        classic |= str_is(name, "classic-mode");
        strict |= str_is(name, "utf8-strict-mode");
        if (!has_effect)
            log_warn("this version knows the feature but does nothing with it, ignoring",
                     KV("feature", name));
    }
    if (classic && strict)
        return error_set(err, ERR_INVALID,
                         "classic-mode and utf8-strict-mode cannot be used together");
    options->matchers = classic  ? AM_MATCHER_CLASSIC
                        : strict ? AM_MATCHER_UTF8
                                 : AM_MATCHER_FALLBACK;
    return true;
}

static Str without_slashes(Str text)
{
    while (text.len && text.ptr[text.len - 1] == '/')
        text.len--;
    return text;
}

// The URL for notifications and the prefix of pages.
static bool work_out_urls(const AlertmanagerFlags *f, Arena *arena, AmOptions *options, Error *err)
{
    char host[256] = "localhost";
    Str url = f->web_external_url;
    Str first = f->web_listen_address.items[0];
    size_t colon = str_rfind_char(first, ':');
    (void)gethostname(host, sizeof host - 1);
    if (url.len == 0)
        url = arena_printf(arena, "http://%s" STR_FMT, host,
                           STR_ARG(colon == STR_NOT_FOUND ? S("") : str_skip(first, colon)));
    size_t scheme = str_find(url, S("://"));
    if (scheme == STR_NOT_FOUND ||
        !(str_starts_with(url, S("http://")) || str_starts_with(url, S("https://"))))
        return error_set(err, ERR_INVALID,
                         "--web.external-url: \"" STR_FMT "\" is no http or https URL",
                         STR_ARG(str_sub(url, 0, 200)));
    url = without_slashes(url);
    Str rest = str_skip(url, scheme + 3);
    size_t slash = str_find_char(rest, '/');
    Str prefix = slash == STR_NOT_FOUND ? STR_NONE : str_skip(rest, slash);
    if (f->web_route_prefix.len)
        prefix = f->web_route_prefix;
    prefix = without_slashes(prefix);
    while (prefix.len && prefix.ptr[0] == '/')
        prefix = str_skip(prefix, 1);
    options->external_url = url;
    options->route_prefix =
        prefix.len ? arena_printf(arena, "/" STR_FMT, STR_ARG(prefix)) : STR_NONE;
    return true;
}

// Instances on one machine differ by their port.
static void name_instance(const AlertmanagerFlags *f, Arena *arena, AmOptions *options)
{
    char host[256] = "localhost";
    Str first = f->web_listen_address.items[0];
    size_t colon = str_rfind_char(first, ':');
    (void)gethostname(host, sizeof host - 1);
    options->peer_name = f->cluster_peer_name;
    if (options->peer_name.len == 0)
        options->peer_name =
            arena_printf(arena, "%s" STR_FMT, host,
                         STR_ARG(colon == STR_NOT_FOUND ? S("") : str_skip(first, colon)));
    options->peer_address =
        f->cluster_advertise_address.len ? f->cluster_advertise_address : options->external_url;
}

static bool make_options(const AlertmanagerFlags *f, Arena *arena, AmOptions *options, Error *err)
{
    am_options_default(options);
    options->config_file = f->config_file;
    options->storage_path = f->storage_path;
    options->database = f->storage_database;
    options->lease_ms = f->storage_lease_ms;
    options->poll_ms = f->storage_poll_ms;
    options->retention_ms = f->retention_ms;
    options->maintenance_ms = f->maintenance_ms;
    options->gc_interval_ms = f->gc_interval_ms;
    options->start_delay_ms = f->dispatch_start_delay_ms;
    options->per_alertname_limit = f->per_alertname_limit;
    options->silences_max = f->silences_max;
    options->silence_bytes_max = f->silence_bytes_max;
    options->log_silences = f->log_silences;
    options->reminder_ms = f->reminder_ms;
    options->test_notifications = f->web_test_notifications;
    options->get_concurrency = f->web_get_concurrency;
    if (f->web_systemd_socket)
        return error_set(err, ERR_INVALID, "--web.systemd-socket: not part of this version");
    if (f->cluster_peer.count && f->storage_database.len == 0)
        log_warn("instances of this version do not gossip with others: each notifies on its own "
                 "unless they share --storage.database",
                 KV("flag", "cluster.peer"));
    if (!read_features(f, options, err) || !work_out_urls(f, arena, options, err))
        return false;
    name_instance(f, arena, options);
    return true;
}

static void handle(void *arg, HttpRequest *request)
{
    am_handle(arg, request);
}

static bool listen_all(const AlertmanagerFlags *f, Am *am, WebGate *gate, HttpServer **servers,
                       size_t *count, Error *err)
{
    if (f->web_listen_address.count > ADDRESSES_MAX)
        return error_set(err, ERR_INVALID, "flag --web.listen-address: more than %d addresses",
                         ADDRESSES_MAX);
    for (size_t i = 0; i < f->web_listen_address.count; i++) {
        HttpServerOptions options;
        http_server_options_default(&options);
        options.listen_address = f->web_listen_address.items[i];
        options.workers = WORKERS;
        options.body_bytes_max = BODY_BYTES_MAX;
        options.gate = gate;
        options.tracer = am_tracer(am);
        options.handle = handle;
        options.arg = am;
        int port;
        if (!http_server_start(&options, &servers[*count], &port, err))
            return false;
        ++*count;
        log_info("listening", KV("address", f->web_listen_address.items[i]), KV("port", port));
    }
    return true;
}

// Until SIGTERM or SIGINT; SIGHUP reloads.
static void wait_for_end(Am *am, const sigset_t *signals)
{
    for (;;) {
        int number;
        Error err = {0};
        if (sigwait(signals, &number) != 0)
            continue;
        if (number != SIGHUP) {
            log_info("received a signal, stopping", KV("signal", number));
            return;
        }
        if (!am_reload(am, &err))
            continue; // the log has been told
    }
}

static int serve(const AlertmanagerFlags *f, AmOptions *options)
{
    Error err = {0};
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);

    HttpServer *servers[ADDRESSES_MAX] = {NULL};
    size_t count = 0;
    WebGate *gate = NULL;
    Am *am = NULL;
    options->registry = registry_new();
    registry_process_metrics(options->registry);
    bool ok = web_listen_open(f->web_config_file, &gate, &err) && am_open(options, &am, &err) &&
              listen_all(f, am, gate, servers, &count, &err);
    footprint_forget_start();
    if (ok)
        wait_for_end(am, &signals);
    else
        log_error("cannot start", KV("err", &err));
    for (size_t i = 0; i < count; i++)
        http_server_stop(servers[i]);
    am_close(am);
    web_gate_close(gate);
    registry_free(options->registry);
    return ok ? 0 : EXIT_FAILED;
}

int role_alertmanager(int argc, char **argv)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    AlertmanagerFlags f = {0};
    AmOptions options;
    Error err = {0};
    FlagResult result = {0};
    if (!flags_parse(&flag_table, argc - 1, argv + 1, &arena, &f, &result, &err)) {
        fprintf(stderr, "narthex alertmanager: %s\n", err.text);
        return EXIT_USAGE;
    }
    if (result.help) {
        CLEANUP(buf_deinit) Buf text = {0};
        flags_help(&flag_table, &text);
        fwrite(text.ptr, 1, text.len, stdout);
        return 0;
    }
    if (result.version) {
        printf("alertmanager, version %s (narthex %s)\n", AM_VERSION, NARTHEX_VERSION);
        return 0;
    }
    log_setup((LogLevel)f.log_level, (LogFormat)f.log_format);
    if (result.rest_count || !make_options(&f, &arena, &options, &err)) {
        fprintf(stderr, "narthex alertmanager: %s\n",
                result.rest_count ? "unexpected argument" : err.text);
        return EXIT_USAGE;
    }
    return serve(&f, &options);
}
