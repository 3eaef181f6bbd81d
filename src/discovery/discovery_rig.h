// SPDX-License-Identifier: Apache-2.0
// discovery_rig.h: for tests: runs one job's discovery against a server in the same process that answers from a table.
#pragma once

#include "base/lock.h"
#include "base/log.h"
#include "base/test.h"
#include "codec/yaml.h"
#include "discovery/discovery.h"
#include "discovery/discovery_poll.h"
#include "net/http_server.h"

#define RIG_WAIT_MS 60000

// One answer. "%H" stands for the server's host:port in all texts.
typedef struct RigRoute {
    const char *request; // "GET /path?query", as on the wire
    const char *header;  // "Name: value" the request must have ("value*": begin with); NULL: any
    const char *has;     // what the request's body must contain; NULL: anything
    const char *reply;
    const char *reply_header; // "Name: value"; NULL: none
    const char *type;         // NULL: application/json
    int status;               // 0: 200
} RigRoute;

typedef struct Rig {
    const RigRoute *routes;
    size_t route_count;
    HttpServer *server;
    Str host;
    Arena arena;
    Registry *registry;
    Discovery *discovery;
    Lock lock;
    Condition changed;
    Buf text;   // the newest delivery: a line per target, labels sorted, the address in front
    Buf missed; // requests without a route
    bool (*verify)(void *arg, HttpRequest *request); // NULL: all may ask; false: 401
    void *verify_arg;
    const char *auth; // "Name: value" that each request must have, else 401; NULL: any may ask
    int fault_status; // 0: none; all that is asked is answered so
    bool cuts;        // answers end in their middle
    int calls;
} Rig;

static inline Str rig_expand(const Rig *rig, Arena *arena, const char *text)
{
    CLEANUP(buf_deinit) Buf out = {0};
    Str rest = str_from_c(text);
    for (size_t at; (at = str_find(rest, S("%H"))) != STR_NOT_FOUND;
         rest = str_skip(rest, at + 2)) {
        buf_add_str(&out, str_sub(rest, 0, at));
        buf_add_str(&out, rig->host);
    }
    buf_add_str(&out, rest);
    return arena_str(arena, buf_str(&out));
}

// `want` may have stars, each for anything.
static inline bool rig_header_is(Str got, Str want)
{
    size_t star = str_find_char(want, '*');
    if (star == STR_NOT_FOUND)
        return str_equal(got, want);
    if (!str_starts_with(got, str_sub(want, 0, star)))
        return false;
    want = str_skip(want, star + 1);
    for (got = str_skip(got, star); !rig_header_is(got, want); got = str_skip(got, 1))
        if (got.len == 0)
            return false;
    return true;
}

// "Name: value" is among them.
static inline bool rig_has_header(const Rig *rig, HttpRequest *request, const char *text)
{
    Str header = rig_expand(rig, request->arena, text);
    size_t colon = str_find_char(header, ':');
    Str got = http_header(request, str_sub(header, 0, colon));
    return rig_header_is(got, str_trim(str_skip(header, colon + 1)));
}

static inline bool rig_matches(const Rig *rig, const RigRoute *route, HttpRequest *request)
{
    Str line = arena_printf(request->arena, STR_FMT " " STR_FMT, STR_ARG(request->method),
                            STR_ARG(request->target));
    if (!str_equal(line, rig_expand(rig, request->arena, route->request)))
        return false;
    if (route->header && !rig_has_header(rig, request, route->header))
        return false;
    return !route->has || str_find(request->body, str_from_c(route->has)) != STR_NOT_FOUND;
}

static inline void rig_handle(void *arg, HttpRequest *request)
{
    Rig *rig = arg;
    lock_take(&rig->lock);
    const RigRoute *routes = rig->routes;
    size_t count = rig->route_count;
    lock_give(&rig->lock);
    if ((rig->verify && !rig->verify(rig->verify_arg, request)) ||
        (rig->auth && !rig_has_header(rig, request, rig->auth))) {
        http_reply(request, 401, S("text/plain"), S("not you"));
        return;
    }
    if (rig->fault_status) {
        http_reply(request, rig->fault_status, S("text/plain"), S("no"));
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const RigRoute *route = &routes[i];
        if (!rig_matches(rig, route, request))
            continue;
        if (route->reply_header) {
            Str header = rig_expand(rig, request->arena, route->reply_header);
            size_t colon = str_find_char(header, ':');
            http_reply_header(request, str_sub(header, 0, colon),
                              str_trim(str_skip(header, colon + 1)));
        }
        Str reply = rig_expand(rig, request->arena, route->reply ? route->reply : "");
        http_reply(request, route->status ? route->status : 200,
                   str_from_c(route->type ? route->type : "application/json"),
                   rig->cuts ? str_sub(reply, 0, reply.len / 2) : reply);
        return;
    }
    lock_take(&rig->lock);
    buf_printf(&rig->missed, STR_FMT " " STR_FMT "\n", STR_ARG(request->method),
               STR_ARG(request->target));
    for (size_t i = 0; i < request->header_count; i++)
        buf_printf(&rig->missed, "  " STR_FMT ": " STR_FMT "\n", STR_ARG(request->headers[i].name),
                   STR_ARG(request->headers[i].value));
    buf_printf(&rig->missed, "  " STR_FMT "\n", STR_ARG(request->body));
    lock_give(&rig->lock);
    http_reply(request, 404, S("text/plain"), S("no such route"));
}

static inline int rig_compare_lines(const void *a, const void *b)
{
    return str_compare(*(const Str *)a, *(const Str *)b);
}

// A target a line: which order they come in is nobody's concern.
static inline void rig_sort_lines(Buf *text)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    Str rest = arena_str(&arena, buf_str(text));
    Str *lines = ARENA_ARRAY(&arena, Str, rest.len + 1);
    size_t count = 0;
    while (rest.len && str_split_next(&rest, '\n', &lines[count]))
        count++;
    qsort(lines, count, sizeof(Str), rig_compare_lines);
    buf_reset(text);
    for (size_t i = 0; i < count; i++) {
        buf_add_str(text, lines[i]);
        buf_add_char(text, '\n');
    }
}

static inline void rig_describe(Buf *out, const GroupSnapshot *groups, Arena *arena)
{
    for (size_t i = 0; i < groups->count; i++)
        for (size_t k = 0; k < groups->groups[i].target_count; k++) {
            LabelsBuilder builder;
            labels_builder_init(&builder, arena, groups->groups[i].targets[k]);
            Labels group = groups->groups[i].labels;
            for (size_t l = 0; l < group.count; l++)
                if (labels_builder_get(&builder, group.pairs[l].name).len == 0)
                    labels_builder_set(&builder, group.pairs[l].name, group.pairs[l].value);
            buf_add_str(out, labels_builder_get(&builder, S("__address__")));
            labels_builder_set(&builder, S("__address__"), STR_NONE);
            labels_print(out, labels_builder_finish(&builder));
            buf_add_char(out, '\n');
        }
    rig_sort_lines(out);
}

static inline void rig_take(void *arg, Str job, GroupSnapshot *groups)
{
    Rig *rig = arg;
    CLEANUP(arena_deinit) Arena arena = {0};
    (void)job;
    lock_take(&rig->lock);
    buf_reset(&rig->text);
    rig_describe(&rig->text, groups, &arena);
    rig->calls++;
    condition_signal(&rig->changed);
    lock_give(&rig->lock);
    group_snapshot_unref(groups);
}

static inline bool rig_load(Rig *rig, const char *text, DiscoveryConfigs *configs, Error *err)
{
    ConfigReader reader = {.arena = &rig->arena, .file_name = S("c.yml"), .folder = S("/")};
    YamlNode *root;
    return yaml_parse(rig_expand(rig, &rig->arena, text), S("c.yml"), &rig->arena, &root, err) &&
           config_decode(&reader, &discovery_configs_table, root, configs, err);
}

static inline void rig_init(Rig *rig, const RigRoute *routes, size_t count)
{
    HttpServerOptions options;
    int port = 0;
    Error err = {0};
    *rig = (Rig){.routes = routes, .route_count = count, .registry = registry_new()};
    lock_init(&rig->lock, "rig", 1);
    condition_init(&rig->changed);
    log_setup(LOG_ERROR, LOG_LOGFMT);
    http_server_options_default(&options);
    options.listen_address = S("127.0.0.1:0");
    options.workers = 2;
    options.handle = rig_handle;
    options.arg = rig;
    CHECK_OK(http_server_start(&options, &rig->server, &port, &err), err);
    rig->host = arena_printf(&rig->arena, "127.0.0.1:%d", port);
    poll_redirect_for_tests(arena_printf(&rig->arena, "http://" STR_FMT, STR_ARG(rig->host)));
    DiscoveryOptions discovery = {
        .name = S("scrape"), .registry = rig->registry, .changed = rig_take, .arg = rig};
    CHECK_OK(discovery_new(&discovery, &rig->discovery, &err), err);
}

// Other answers from now on.
static inline void rig_route(Rig *rig, const RigRoute *routes, size_t count)
{
    lock_take(&rig->lock);
    rig->routes = routes;
    rig->route_count = count;
    lock_give(&rig->lock);
}

static inline void rig_apply(Rig *rig, const char *text)
{
    DiscoveryConfigs configs;
    Error err = {0};
    CHECK_OK(rig_load(rig, text, &configs, &err), err);
    discovery_apply(rig->discovery, &(DiscoveryJob){S("j"), &configs}, 1);
}

static inline void rig_deinit(Rig *rig)
{
    discovery_free(rig->discovery);
    poll_redirect_for_tests(STR_NONE);
    http_server_stop(rig->server);
    registry_free(rig->registry);
    lock_deinit(&rig->lock);
    condition_deinit(&rig->changed);
    buf_deinit(&rig->text);
    buf_deinit(&rig->missed);
    arena_deinit(&rig->arena);
}

// Until the newest delivery is `want`; else shows what differs and what was asked for in vain.
static inline bool rig_wait(Rig *rig, const char *want)
{
    CLEANUP(buf_deinit) Buf wanted = {0};
    buf_add_str(&wanted, rig_expand(rig, &rig->arena, want));
    rig_sort_lines(&wanted);
    Str expanded = buf_str(&wanted);
    lock_take(&rig->lock);
    bool in_time = true;
    while (in_time && !str_equal(buf_str(&rig->text), expanded))
        in_time = condition_wait_ms(&rig->changed, &rig->lock, RIG_WAIT_MS);
    bool same = str_equal(buf_str(&rig->text), expanded);
    if (!same)
        print_error("delivered:\n" STR_FMT "wanted:\n" STR_FMT "\nnot answered:\n" STR_FMT,
                    STR_ARG(buf_str(&rig->text)), STR_ARG(expanded),
                    STR_ARG(buf_str(&rig->missed)));
    lock_give(&rig->lock);
    return same;
}

// Whether a page of metrics has this line; "name 3+" is a line "name N" with N at least 3.
static inline bool rig_has_metric(Str page, const char *line)
{
    Str want = str_from_c(line);
    if (!str_ends_with(want, S("+")))
        return str_find(page, want) != STR_NOT_FOUND;
    size_t blank = str_rfind_char(want, ' ');
    CLEANUP(buf_deinit) Buf begin = {0};
    buf_add_char(&begin, '\n');
    buf_add_str(&begin, str_sub(want, 0, blank + 1));
    size_t at = str_find(page, buf_str(&begin));
    // The page goes on behind every number.
    return at != STR_NOT_FOUND &&
           strtod(page.ptr + at + begin.len, NULL) >= strtod(line + blank + 1, NULL);
}

// Until our own metrics have this line.
static inline bool rig_wait_metric(Rig *rig, const char *line)
{
    for (int tries = 0; tries < 3000; tries++) {
        CLEANUP(buf_deinit) Buf page = {0};
        registry_write(rig->registry, REGISTRY_TEXT, &page);
        buf_add_char(&page, 0);
        if (rig_has_metric(buf_str(&page), line))
            return true;
        lock_take(&rig->lock);
        (void)condition_wait_ms(&rig->changed, &rig->lock, 20);
        lock_give(&rig->lock);
    }
    return false;
}

// A kind's block against its API: what it asks for is in the routes, with the header that shows who asks; what it finds is `want`.
typedef struct RigCase {
    const char *name;
    const char *config;
    const RigRoute *routes;
    size_t route_count;
    const char *want;
    const char *auth; // "Name: value" that each request must have; NULL: the routes tell
} RigCase;

// Whether a round has failed, by our own metrics.
static inline bool rig_wait_failure(Rig *rig)
{
    for (int tries = 0; tries < 3000; tries++) {
        CLEANUP(buf_deinit) Buf page = {0};
        registry_write(rig->registry, REGISTRY_TEXT, &page);
        Str rest = buf_str(&page);
        for (Str line; str_split_next(&rest, '\n', &line);)
            if ((str_starts_with(line, S("prometheus_sd_refresh_failures_total")) ||
                 str_starts_with(line, S("prometheus_sd_consul_rpc_failures_total"))) &&
                !str_ends_with(line, S(" 0")))
                return true;
        lock_take(&rig->lock);
        (void)condition_wait_ms(&rig->changed, &rig->lock, 20);
        lock_give(&rig->lock);
    }
    return false;
}

// An API that fails, refuses the credentials or breaks off costs its round, which is counted, and finds nothing.
static inline void rig_check_faults(const RigCase *c)
{
    static const struct {
        const char *name;
        int status;
        bool cuts;
    } faults[] = {
        {"500", 500, false},
        {"401", 401, false},
        {"cut", 0, true},
    };
    for (size_t i = 0; i < COUNT_OF(faults); i++) {
        Rig rig;
        rig_init(&rig, c->routes, c->route_count);
        log_setup(LOG_ERROR + 1, LOG_LOGFMT);
        rig.fault_status = faults[i].status;
        rig.cuts = faults[i].cuts;
        rig_apply(&rig, c->config);
        bool failed = rig_wait_failure(&rig);
        lock_take(&rig.lock);
        bool found = rig.text.len > 0;
        lock_give(&rig.lock);
        if (!failed || found)
            print_error("%s after %s: %s\n", c->name, faults[i].name,
                        found ? "found targets" : "counted no failure");
        rig_deinit(&rig);
        CHECK(failed);
        CHECK(!found);
    }
}

static inline void rig_check(const RigCase *c)
{
    Rig rig;
    rig_init(&rig, c->routes, c->route_count);
    rig.auth = c->auth;
    rig_apply(&rig, c->config);
    bool same = rig_wait(&rig, c->want);
    rig_deinit(&rig);
    CHECK(same);
    rig_check_faults(c);
}

// Blocks that are refused, with a piece of what is said.
typedef struct RigBad {
    const char *name;
    const char *config;
    const char *want;
} RigBad;

static inline void rig_check_bad(const RigBad *c)
{
    Rig rig = {.host = S("h")};
    DiscoveryConfigs configs;
    Error err = {0};
    bool ok = rig_load(&rig, c->config, &configs, &err);
    arena_deinit(&rig.arena);
    CHECK(!ok);
    CHECK_HAS(err.text, c->want);
}
