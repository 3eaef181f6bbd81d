// SPDX-License-Identifier: Apache-2.0
// The command node-exporter: the collectors of the exporter room behind HTTP, with the flags and pages of the original.
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/number.h"
#include "client/registry.h"
#include "exporter/exporter.h"
#include "main/roles.h"
#include "main/web_listen.h"
#include "net/http_server.h"

#define WORKERS 2
#define CONNECTIONS_MAX 128
#define BODY_BYTES_MAX 65536
#define FILTERS_MAX 256 // collect[], exclude[] or name[] of a request
#define PAGE_BYTES_MAX ((size_t)256 << 20)
#define ADDRESSES_MAX 16

typedef struct NodeRoleFlags {
    FlagStrList web_listen_address;
    Str web_telemetry_path;
    Str web_config_file;
    bool web_disable_exporter_metrics;
    int64_t web_max_requests; // 0: no limit
    int64_t runtime_gomaxprocs;
    int log_level;
    int log_format;
    NodeExporterOptions node;
} NodeRoleFlags;

typedef struct NodeRole {
    NodeRoleFlags flags;
    NodeExporter *exporter;
    Registry *registry; // NULL: --web.disable-exporter-metrics
    Gauge *in_flight_gauge;
    Counter *requests[3]; // by code, as codes[]
    Counter *gathering_errors;
    atomic_int in_flight;
} NodeRole;

static const int codes[] = {200, 500, 503};
static const char *const log_levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const log_formats[] = {"logfmt", "json", NULL};

#define OFFSET(member) offsetof(NodeRoleFlags, member)
#define FLAG(flag, type, member, text, about, ...)                                                 \
    {                                                                                              \
        .name = flag, .kind = type, .offset = OFFSET(member), .default_text = text, .help = about, \
        __VA_ARGS__                                                                                \
    }
static const FlagSpec own_flags[] = {
    FLAG("web.listen-address", FLAG_STR_LIST, web_listen_address, ":9100",
         "Address to listen on. Can be repeated.", .hidden = false),
    FLAG("web.config.file", FLAG_STR, web_config_file, "",
         "File with TLS and authentication of the pages.", .hidden = false),
    FLAG("web.telemetry-path", FLAG_STR, web_telemetry_path, "/metrics",
         "Path under which metrics are shown.", .hidden = false),
    FLAG("web.disable-exporter-metrics", FLAG_BOOL, web_disable_exporter_metrics, NULL,
         "Leave out the metrics about the exporter itself (promhttp_*, process_*).",
         .hidden = false),
    FLAG("web.max-requests", FLAG_I64, web_max_requests, "40",
         "Most scrapes at the same time; 0 is no limit.", .min = 0, .max = 100000),
    FLAG("runtime.gomaxprocs", FLAG_I64, runtime_gomaxprocs, "1",
         "Taken for compatibility; collectors run one after the other.", .hidden = false),
    FLAG("log.level", FLAG_ENUM, log_level, "info", "Only log messages of this severity or above.",
         .words = log_levels),
    FLAG("log.format", FLAG_ENUM, log_format, "logfmt", "Form of log messages.",
         .words = log_formats),
};

static FlagTable flag_table(Arena *arena)
{
    size_t node_count;
    const FlagSpec *node_flags = node_exporter_flags(arena, OFFSET(node), &node_count);
    FlagSpec *all = ARENA_ARRAY(arena, FlagSpec, COUNT_OF(own_flags) + node_count);
    memcpy(all, own_flags, sizeof own_flags);
    memcpy(all + COUNT_OF(own_flags), node_flags, node_count * sizeof *node_flags);
    return (FlagTable){
        .program = "narthex node-exporter",
        .summary = "Exposes metrics of the machine it runs on.",
        .flags = all,
        .count = COUNT_OF(own_flags) + node_count,
    };
}

static void add_own_metrics(NodeRole *role)
{
    static const char *const by_code[] = {"code", NULL};
    static const char *const by_cause[] = {"cause", NULL};
    Registry *registry = role->registry = registry_new();
    registry_process_metrics(registry);
    role->in_flight_gauge =
        gauge_of(registry_gauge(registry, "promhttp_metric_handler_requests_in_flight",
                                "Scrapes being served now.", NULL),
                 NULL);
    Family *requests = registry_counter(registry, "promhttp_metric_handler_requests_total",
                                        "Scrapes by HTTP status code.", by_code);
    for (size_t i = 0; i < COUNT_OF(codes); i++) {
        char text[8];
        int len = snprintf(text, sizeof text, "%d", codes[i]);
        Str value = {text, (size_t)len};
        role->requests[i] = counter_of(requests, &value);
    }
    Family *errors = registry_counter(registry, "promhttp_metric_handler_errors_total",
                                      "Faults while metrics were gathered or written.", by_cause);
    Str encoding = S("encoding");
    Str gathering = S("gathering");
    (void)counter_of(errors, &encoding); // shown as 0: nothing can fail there
    role->gathering_errors = counter_of(errors, &gathering);
}

// The values of a parameter that may repeat. False above FILTERS_MAX.
static bool params_named(const HttpRequest *request, Str name, Str *values, size_t *ret_count)
{
    size_t count = 0;
    for (size_t i = 0; i < request->param_count; i++)
        if (str_equal(request->params[i].name, name)) {
            if (count == FILTERS_MAX)
                return false;
            values[count++] = request->params[i].value;
        }
    *ret_count = count;
    return true;
}

static bool select_collectors(const NodeRole *role, const HttpRequest *request,
                              NodeSelection *ret_selection, Error *err)
{
    Str collect[FILTERS_MAX];
    Str exclude[FILTERS_MAX];
    size_t collect_count;
    size_t exclude_count;
    if (!params_named(request, S("collect[]"), collect, &collect_count) ||
        !params_named(request, S("exclude[]"), exclude, &exclude_count))
        return error_set(err, ERR_INVALID, "more than %d collectors named", FILTERS_MAX);
    return node_exporter_select(role->exporter, collect, collect_count, exclude, exclude_count,
                                ret_selection, err);
}

// The family that a line "# HELP name ..." begins; the empty Str for others.
static Str family_begun(Str line)
{
    Str name;
    if (!str_starts_with(line, S("# HELP ")))
        return STR_NONE;
    line = str_skip(line, strlen("# HELP "));
    return str_split_next(&line, ' ', &name) ? name : STR_NONE;
}

// Keeps only the families that name[] asks for; all if it does not.
static bool keep_named(const HttpRequest *request, Buf *page)
{
    Str names[FILTERS_MAX];
    size_t count;
    if (!params_named(request, S("name[]"), names, &count))
        return false;
    if (count == 0)
        return true;
    Str rest = buf_str(page);
    size_t kept = 0;
    bool keeps = false;
    while (rest.len) {
        size_t newline = str_find_char(rest, '\n');
        Str line = str_sub(rest, 0, newline == STR_NOT_FOUND ? rest.len : newline + 1);
        rest = str_skip(rest, line.len);
        Str family = family_begun(line);
        for (size_t i = 0; family.len && (i == 0 || !keeps) && i < count; i++)
            keeps = str_equal(family, names[i]);
        if (keeps) {
            memmove(page->ptr + kept, line.ptr, line.len);
            kept += line.len;
        }
    }
    page->len = kept;
    return true;
}

// One clause of an Accept header, "text/plain;version=0.0.4;q=0.5;escaping=values".
typedef struct AcceptClause {
    bool is_text;
    double quality;
    Str escaping;
} AcceptClause;

static AcceptClause parse_clause(Str clause)
{
    static const char *const known[] = {"allow-utf-8", "underscores", "dots", "values"};
    AcceptClause out = {.quality = 1};
    Str part;
    Str version = S("0.0.4");
    (void)str_split_next(&clause, ';', &part);
    part = str_trim(part);
    bool is_any = str_is(part, "*/*") || str_is(part, "text/*");
    bool is_plain = str_is(part, "text/plain");
    while (str_split_next(&clause, ';', &part)) {
        Str name;
        if (!str_split_next(&part, '=', &name))
            continue;
        name = str_trim(name);
        part = str_trim(part);
        if (str_is(name, "q") && !number_parse_double(part, &out.quality))
            out.quality = 0;
        if (str_is(name, "version"))
            version = part;
        for (size_t i = 0; str_is(name, "escaping") && i < COUNT_OF(known); i++)
            if (str_is(part, known[i]))
                out.escaping = part;
    }
    out.is_text = is_any || (is_plain && str_is(version, "0.0.4"));
    return out;
}

// Only the text format is offered; what the client may choose is how names are escaped, which ours need not be.
static Str content_type(HttpRequest *request)
{
    Str accept = http_header(request, S("Accept"));
    Str clause;
    double best = 0;
    Str escaping = STR_NONE;
    while (str_split_next(&accept, ',', &clause)) {
        AcceptClause one = parse_clause(clause);
        if (one.is_text && one.quality > best) {
            best = one.quality;
            escaping = one.escaping;
        }
    }
    if (escaping.len == 0)
        escaping = S("underscores");
    return arena_printf(request->arena,
                        "text/plain; version=0.0.4; charset=utf-8; escaping=" STR_FMT,
                        STR_ARG(escaping));
}

#define PLAIN S("text/plain; charset=utf-8")

// Answers in plain text and returns the status.
static int reply_text(HttpRequest *request, int status, Str text)
{
    http_reply(request, status, PLAIN, text);
    return status;
}

static int serve_page(NodeRole *role, HttpRequest *request)
{
    Error err = {0};
    NodeSelection selection;
    if (!select_collectors(role, request, &selection, &err)) {
        bool is_combined = str_starts_with(str_from_c(err.text), S("Combined"));
        return reply_text(
            request, 400,
            arena_printf(
                request->arena, "%s%s\n",
                is_combined ? "" : "Couldn't create filtered metrics handler: ", err.text));
    }
    CLEANUP(buf_deinit) Buf page = {.max = PAGE_BYTES_MAX};
    node_exporter_write_selected(role->exporter, selection, &page);
    if (role->registry)
        registry_write(role->registry, REGISTRY_TEXT,
                       &page); // process_* and promhttp_* come behind node_*
    if (!keep_named(request, &page))
        return reply_text(request, 400, S("too many name[] parameters\n"));
    if (!buf_ok(&page, "the page", &err)) {
        if (role->gathering_errors)
            counter_inc(role->gathering_errors);
        return reply_text(request, 500,
                          arena_printf(request->arena,
                                       "An error has occurred while serving metrics:\n\n%s\n",
                                       err.text));
    }
    http_reply_compress(request);
    http_reply(request, 200, content_type(request), buf_str(&page));
    return 200;
}

static void count_request(NodeRole *role, int status)
{
    for (size_t i = 0; role->registry && i < COUNT_OF(codes); i++)
        if (codes[i] == status)
            counter_inc(role->requests[i]);
}

static void serve_metrics(NodeRole *role, HttpRequest *request)
{
    int in_flight = atomic_fetch_add(&role->in_flight, 1) + 1;
    if (role->registry)
        gauge_add(role->in_flight_gauge, 1);
    int64_t limit = role->flags.web_max_requests;
    int status =
        limit && in_flight > limit
            ? reply_text(
                  request, 503,
                  arena_printf(request->arena,
                               "Limit of concurrent requests reached (%lld), try again later.\n",
                               (long long)limit))
            : serve_page(role, request);
    if (role->registry)
        gauge_add(role->in_flight_gauge, -1);
    atomic_fetch_sub(&role->in_flight, 1);
    count_request(role, status);
}

static const char landing_page[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"UTF-8\">\n<title>Node "
    "Exporter</title>\n"
    "<style>body{font-family:sans-serif;margin:0}header{background:#e6522c;color:#fff;padding:1rem}"
    "main{padding:1rem}</style>\n"
    "</head>\n<body>\n<header><h1>Node Exporter</h1></header>\n<main>\n<h2>Prometheus Node "
    "Exporter</h2>\n"
    "<div>Version: (version=%s)</div>\n<ul><li><a "
    "href=\"%s\">Metrics</a></li></ul>\n</main>\n</body>\n</html>\n";

static void add_html(Buf *out, Str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '&' || c == '<' || c == '>' || c == '"')
            buf_printf(out, "&#%d;", c);
        else
            buf_add_char(out, c);
    }
}

static void serve_landing_page(NodeRole *role, HttpRequest *request)
{
    CLEANUP(buf_deinit) Buf path = {0};
    CLEANUP(buf_deinit) Buf page = {0};
    add_html(&path, role->flags.web_telemetry_path);
    buf_add_char(&path, 0);
    buf_printf(&page, landing_page, NARTHEX_VERSION, path.ptr);
    http_reply(request, 200, S("text/html; charset=UTF-8"), buf_str(&page));
}

static void handle(void *arg, HttpRequest *request)
{
    NodeRole *role = arg;
    if (str_equal(request->path, role->flags.web_telemetry_path))
        serve_metrics(role, request);
    else if (str_is(request->path, "/"))
        serve_landing_page(role, request);
    else
        reply_text(request, 404, S("404 page not found\n"));
}

// Waits for SIGTERM or SIGINT, which all threads have blocked.
static void wait_for_end(const sigset_t *signals)
{
    int number;
    while (sigwait(signals, &number) != 0)
        continue;
    log_info("received a signal, stopping", KV("signal", number));
}

static bool listen_all(NodeRole *role, WebGate *gate, HttpServer **servers, size_t *count,
                       Error *err)
{
    const FlagStrList *addresses = &role->flags.web_listen_address;
    if (addresses->count > ADDRESSES_MAX)
        return error_set(err, ERR_INVALID, "flag --web.listen-address: more than %d addresses",
                         ADDRESSES_MAX);
    for (size_t i = 0; i < addresses->count; i++) {
        HttpServerOptions options;
        http_server_options_default(&options);
        options.listen_address = addresses->items[i];
        options.workers = WORKERS;
        options.connections_max = CONNECTIONS_MAX;
        options.body_bytes_max = BODY_BYTES_MAX;
        options.gate = gate;
        options.handle = handle;
        options.arg = role;
        int port;
        if (!http_server_start(&options, &servers[*count], &port, err))
            return false;
        ++*count;
        log_info("listening", KV("address", addresses->items[i]), KV("port", port));
    }
    return true;
}

static void log_collectors(const NodeRole *role)
{
    const char *name;
    for (size_t i = 0; (name = node_exporter_collector(role->exporter, i)); i++)
        log_info("enabled collector", KV("collector", name));
    if (geteuid() == 0)
        log_warn("running as root, which is not needed");
}

static int serve(NodeRole *role)
{
    Error err = {0};
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);

    HttpServer *servers[ADDRESSES_MAX] = {NULL};
    size_t count = 0;
    WebGate *gate = NULL;
    bool ok = web_listen_open(role->flags.web_config_file, &gate, &err) &&
              listen_all(role, gate, servers, &count, &err);
    if (ok)
        wait_for_end(&signals);
    else
        log_error("cannot listen", KV("err", &err));
    for (size_t i = 0; i < count; i++)
        http_server_stop(servers[i]);
    web_gate_close(gate);
    return ok ? 0 : 1;
}

static bool check_flags(NodeRoleFlags *flags, Error *err)
{
    if (flags->web_telemetry_path.len < 2 || flags->web_telemetry_path.ptr[0] != '/')
        return error_set(err, ERR_INVALID,
                         "flag --web.telemetry-path: must begin with / and not be /");
    return true;
}

int role_node_exporter(int argc, char **argv)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    static NodeRole role;
    Error err = {0};
    FlagResult result = {0};
    FlagTable table = flag_table(&arena);
    if (!flags_parse(&table, argc - 1, argv + 1, &arena, &role.flags, &result, &err) ||
        (!result.help && !result.version && !check_flags(&role.flags, &err))) {
        fprintf(stderr, "%s: error: %s\n", argv[0], err.text);
        return 2;
    }
    if (result.help) {
        CLEANUP(buf_deinit) Buf text = {0};
        flags_help(&table, &text);
        fwrite(text.ptr, 1, text.len, stdout);
        return 0;
    }
    if (result.version) {
        printf("node_exporter, version %s (narthex)\n", NARTHEX_VERSION);
        return 0;
    }
    log_setup((LogLevel)role.flags.log_level, (LogFormat)role.flags.log_format);
    node_exporter_flags_given(&role.flags.node, result.given + COUNT_OF(own_flags));
    if (!node_exporter_new(&role.flags.node, &role.exporter, &err)) {
        fprintf(stderr, "%s: error: %s\n", argv[0], err.text);
        return 2;
    }
    if (!role.flags.web_disable_exporter_metrics)
        add_own_metrics(&role);
    log_info("starting node exporter", KV("version", NARTHEX_VERSION));
    log_collectors(&role);
    int status = serve(&role);
    node_exporter_free(role.exporter);
    registry_free(role.registry);
    return status;
}
