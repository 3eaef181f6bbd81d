// SPDX-License-Identifier: Apache-2.0
// routes.c: the table of routes, and the way from a request to its row.
#include <stdlib.h>

#include "api/api_internal.h"

#define GET METHOD_GET
#define HEAD METHOD_HEAD
#define POST METHOD_POST
#define PUT METHOD_PUT
#define OPTIONS METHOD_OPTIONS
#define READY ROUTE_READY
#define API ROUTE_API
#define PLAIN ROUTE_PLAIN
#define MEMORY ROUTE_MEMORY
#define STORE ROUTE_STORE

const ApiRoute api_routes[] = {
    {OPTIONS, "/api/v1/*path", api_options, API},

    {GET | POST, "/api/v1/query", api_query, API | READY | MEMORY | STORE},
    {GET | POST, "/api/v1/query_range", api_query_range, API | READY | MEMORY | STORE},
    {GET | POST, "/api/v1/query_exemplars", api_query_exemplars, API | READY | MEMORY | STORE},
    {GET | POST, "/api/v1/format_query", api_format_query, API | READY | STORE},
    {GET | POST, "/api/v1/parse_query", api_parse_query, API | READY | STORE},
    {GET | POST, "/api/v1/labels", api_labels, API | READY | MEMORY | STORE},
    {GET, "/api/v1/label/:name/values", api_label_values, API | READY | MEMORY | STORE},
    {GET | POST, "/api/v1/series", api_series, API | READY | MEMORY | STORE},

    {GET | POST, "/api/v1/search/metric_names", api_search_metric_names, API | READY | MEMORY},
    {GET | POST, "/api/v1/search/label_names", api_search_label_names, API | READY | MEMORY},
    {GET | POST, "/api/v1/search/label_values", api_search_label_values, API | READY | MEMORY},

    {GET, "/api/v1/targets", api_targets, API | READY},
    {GET, "/api/v1/targets/metadata", api_targets_metadata, API | READY},
    {GET, "/api/v1/targets/relabel_steps", api_relabel_steps, API | READY},
    {GET, "/api/v1/scrape_pools", api_scrape_pools, API | READY},
    {GET, "/api/v1/scrape_pools/config", api_scrape_pool_config, API | READY},
    {GET, "/api/v1/metadata", api_metadata, API | READY},

    {GET, "/api/v1/rules", api_rules, API | READY | STORE},
    {GET, "/api/v1/alerts", api_alerts, API | READY | STORE},
    {GET, "/api/v1/alertmanagers", api_alertmanagers, API | READY | STORE},

    {GET, "/api/v1/status/config", api_status_config, API | READY},
    {GET, "/api/v1/status/flags", api_status_flags, API | READY},
    {GET, "/api/v1/status/runtimeinfo", api_status_runtimeinfo, API | READY},
    {GET, "/api/v1/status/buildinfo", api_status_buildinfo, API | READY},
    {GET, "/api/v1/status/tsdb", api_status_tsdb, API | READY | STORE},
    {GET, "/api/v1/status/tsdb/blocks", api_status_blocks, API | READY | STORE},
    {GET, "/api/v1/status/walreplay", api_status_walreplay, API},
    {GET, "/api/v1/status/self_metrics", api_status_self_metrics, API},
    {GET, "/api/v1/features", api_features, API},
    {GET, "/api/v1/openapi.yaml", api_openapi, API | READY},
    {GET, "/api/v1/notifications", api_notifications, API},
    {GET, "/api/v1/notifications/live", api_notifications_live, API},

    {POST | PUT, "/api/v1/admin/tsdb/delete_series", api_admin_delete_series, API | READY | STORE},
    {POST | PUT, "/api/v1/admin/tsdb/clean_tombstones", api_admin_clean_tombstones,
     API | READY | STORE},
    {POST | PUT, "/api/v1/admin/tsdb/snapshot", api_admin_snapshot, API | READY | STORE},
    {POST, "/api/v1/read", api_remote_read, API | READY | MEMORY | STORE},
    {POST, "/api/v1/write", api_remote_write, API | READY},
    {POST, "/api/v1/otlp/v1/metrics", api_otlp_metrics, API | READY},

    {GET, "/federate", api_federate, READY | MEMORY | STORE},
    {GET, "/metrics", api_metrics, 0},
    {GET, "/version", api_version, 0},
    {GET | HEAD, "/-/healthy", api_healthy, 0},
    {GET | HEAD, "/-/ready", api_ready, READY},
    {POST | PUT, "/-/reload", api_reload, 0},
    {POST | PUT, "/-/quit", api_quit, 0},
    {GET | HEAD, "/-/reload", api_needs_post, PLAIN},
    {GET | HEAD, "/-/quit", api_needs_post, PLAIN},

    {GET | HEAD, "/", api_root, 0},
    {GET | HEAD, "/graph", api_old_graph, 0},
    // The UI's pages, then whatever the UI was built into.
    {GET | HEAD, "/query", api_page, 0},
    {GET | HEAD, "/alerts", api_page, 0},
    {GET | HEAD, "/rules", api_page, 0},
    {GET | HEAD, "/targets", api_page, 0},
    {GET | HEAD, "/service-discovery", api_page, 0},
    {GET | HEAD, "/alertmanager-discovery", api_page, 0},
    {GET | HEAD, "/config", api_page, 0},
    {GET | HEAD, "/flags", api_page, 0},
    {GET | HEAD, "/status", api_page, 0},
    {GET | HEAD, "/tsdb-status", api_page, 0},
    {GET | HEAD, "/cardinality", api_page, 0},
    {GET | HEAD, "/agent", api_page, 0},
    {GET, "/consoles/*filepath", api_console, READY},
    {GET, "/user/*filepath", api_user_asset, 0},
    {GET | POST, "/debug/*subpath", api_debug, 0},
    {GET | HEAD, "/*", api_asset, PLAIN},
};
const size_t api_route_count = COUNT_OF(api_routes);

// ---- finding ----

static bool matches(const char *pattern, Str path, Str *ret_segment)
{
    size_t i = 0;
    for (const char *p = pattern; *p; p++) {
        if (*p == '*')
            return true;
        if (*p != ':') {
            if (i >= path.len || path.ptr[i] != *p)
                return false;
            i++;
            continue;
        }
        size_t from = i;
        while (i < path.len && path.ptr[i] != '/')
            i++;
        if (i == from)
            return false;
        *ret_segment = str_sub(path, from, i - from);
        while (p[1] && p[1] != '/')
            p++;
    }
    return i == path.len;
}

static unsigned method_bit(Str method)
{
    static const struct {
        Str name;
        unsigned bit;
    } methods[] = {
        {STR("GET"), METHOD_GET}, {STR("HEAD"), METHOD_HEAD},       {STR("POST"), METHOD_POST},
        {STR("PUT"), METHOD_PUT}, {STR("OPTIONS"), METHOD_OPTIONS},
    };
    for (size_t i = 0; i < COUNT_OF(methods); i++)
        if (str_equal(methods[i].name, method))
            return methods[i].bit;
    return 0;
}

// The row for the call, or NULL; *ret_allowed has the methods of all rows that match the path.
static const ApiRoute *find_route(ApiCall *call, unsigned *ret_allowed)
{
    unsigned bit = method_bit(call->request->method);
    *ret_allowed = 0;
    for (size_t i = 0; i < api_route_count; i++) {
        const ApiRoute *route = &api_routes[i];
        Str segment = STR_NONE;
        if (!matches(route->pattern, call->path, &segment))
            continue;
        // What stands behind a '*' does not make a path known: only for its own method.
        bool wild = strchr(route->pattern, '*') != NULL;
        if (wild && (*ret_allowed || !(route->methods & bit)))
            continue;
        *ret_allowed |= route->methods;
        if (route->methods & bit) {
            call->segment = segment;
            return route;
        }
    }
    return NULL;
}

// ---- answering ----

static void add_cors(ApiCall *call)
{
    HttpRequest *request = call->request;
    const ApiState *state = call->api->state;
    http_reply_header(request, S("Vary"), S("Origin"));
    Str origin = http_header(request, S("Origin"));
    if (origin.len == 0)
        return;
    if (!state->cors_any && !regex_match(state->cors, origin))
        return;
    http_reply_header(request, S("Access-Control-Allow-Headers"),
                      S("Accept, Authorization, Content-Type, Origin"));
    http_reply_header(request, S("Access-Control-Allow-Methods"), S("GET, POST, OPTIONS"));
    http_reply_header(request, S("Access-Control-Allow-Origin"), state->cors_any ? S("*") : origin);
    http_reply_header(request, S("Access-Control-Expose-Headers"), S("Date"));
}

static ApiPhase phase_of(const ApiContext *api)
{
    return api->phase ? api->phase(api->owner) : API_READY;
}

static void answer_not_ready(ApiCall *call, ApiPhase phase)
{
    http_reply_header(call->request, S("X-Prometheus-Stopping"),
                      phase == API_STOPPING ? S("true") : S("false"));
    int percent = phase == API_STARTING && call->api->start_percent
                      ? call->api->start_percent(call->api->owner)
                      : -1;
    api_text(call, 503,
             percent < 0
                 ? S("Service Unavailable")
                 : arena_printf(call->arena, "Service Unavailable: replaying the log, %d %% done",
                                percent));
}

static void answer_no_route(ApiCall *call, unsigned allowed)
{
    if (!allowed) {
        api_text(call, 404, S("404 page not found\n"));
        return;
    }
    static const char *const names[] = {"GET", "HEAD", "POST", "PUT", "OPTIONS"};
    Buf list = {0};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (allowed & 1u << i)
            buf_printf(&list, "%s%s", list.len ? ", " : "", names[i]);
    http_reply_header(call->request, S("Allow"), buf_str(&list));
    buf_deinit(&list);
    api_text(call, 405, S("Method Not Allowed\n"));
}

// Takes the route prefix off. False: the path is not below it.
static bool strip_prefix(const ApiContext *api, Str path, Str *ret_path)
{
    if (!str_starts_with(path, api->route_prefix))
        return false;
    Str rest = str_skip(path, api->route_prefix.len);
    if (rest.len && rest.ptr[0] != '/')
        return false;
    *ret_path = rest.len ? rest : S("/");
    return true;
}

static bool take_answer_bytes(ApiCall *call)
{
    Error err;
    if (!(call->route->flags & ROUTE_MEMORY) || budget_take(&call->budget, API_ANSWER_BYTES, &err))
        return true;
    if (call->route->flags & ROUTE_API)
        api_error_from(call, &err);
    else
        api_text(call, 503, arena_printf(call->arena, "%s\n", err.text));
    return false;
}

// Nothing is kept that could be asked for.
static void refuse_in_agent(ApiCall *call)
{
    Error err;
    if (call->route->flags & ROUTE_API) {
        error_set(&err, ERR_LIMIT, "unavailable with Prometheus Agent");
        api_error_from(call, &err);
    } else {
        api_text(call, 500, S("unsupported operation with WAL-only storage\n"));
    }
}

static void answer(ApiCall *call)
{
    ApiPhase phase = call->route->flags & ROUTE_READY ? phase_of(call->api) : API_READY;
    if (call->route->flags & ROUTE_API)
        add_cors(call);
    if (phase != API_READY)
        answer_not_ready(call, phase);
    else if (call->api->is_agent && call->route->flags & ROUTE_STORE)
        refuse_in_agent(call);
    else if (take_answer_bytes(call))
        call->route->handle(call);
}

static void handle_call(ApiCall *call)
{
    ApiContext *api = call->api;
    HttpRequest *request = call->request;
    int64_t start_ns = clock_mono_ns(api->clock);
    unsigned allowed = 0;
    if (!strip_prefix(api, request->path, &call->path)) {
        if (str_is(request->path, "/")) { // outside the prefix there is a sign post only
            http_reply_header(request, S("Location"),
                              arena_printf(call->arena, STR_FMT "/", STR_ARG(api->route_prefix)));
            api_empty(call, 302);
        } else {
            answer_no_route(call, 0);
        }
        return;
    }
    call->route = find_route(call, &allowed);
    if (!call->route) {
        answer_no_route(call, allowed);
        return;
    }
    answer(call);
    api_metrics_count(call, clock_mono_ns(api->clock) - start_ns);
}

void api_handle(void *context, HttpRequest *request)
{
    ApiContext *api = context;
    Arena arena;
    ApiCall call = {
        .api = api,
        .request = request,
        .arena = &arena,
        .budget = {.parent = api->memory,
                   .name = "--query.max-memory",
                   .holder = "one query",
                   .bytes_max = api->memory_bytes_max},
    };
    arena = (Arena){.budget = &call.budget};
    handle_call(&call);
    arena_deinit(&arena);
    // Answer buffers and whatever a handler counted by hand.
    budget_give(&call.budget, budget_taken(&call.budget));
}

bool api_is_urgent(void *context, const HttpRequest *request)
{
    static const char *const paths[] = {"/-/healthy", "/-/ready", "/metrics"};
    Str path;
    if (!strip_prefix(context, request->path, &path))
        return false;
    for (size_t i = 0; i < COUNT_OF(paths); i++)
        if (str_is(path, paths[i]))
            return true;
    return false;
}

// What queries hold of what they may.
static void collect_memory(void *arg, Collection *collection)
{
    const Budget *memory = ((ApiContext *)arg)->memory;
    collection_family(collection, "narthex_query_memory_held_bytes", FAMILY_GAUGE,
                      "Memory that queries and other reading requests hold.");
    collection_add(collection, NULL, 0, (double)budget_taken(memory));
    collection_family(collection, "narthex_query_memory_limit_bytes", FAMILY_GAUGE,
                      "Memory that all of them may hold: --query.max-memory-total.");
    collection_add(collection, NULL, 0, (double)memory->bytes_max);
    collection_family(collection, "narthex_query_memory_refused_total", FAMILY_COUNTER,
                      "Queries and other reading requests refused for lack of memory.");
    collection_add(collection, NULL, 0,
                   (double)__atomic_load_n(&memory->refused, __ATOMIC_RELAXED));
}

// ---- life ----

bool api_init(ApiContext *api, Error *err)
{
    Regex *cors = NULL;
    bool cors_any = api->cors_origin.len == 0 || str_is(api->cors_origin, ".*");
    if (!cors_any && !regex_new(api->cors_origin, &cors, err))
        return error_context(err, "web.cors.origin");
    api->state = X_NEW(ApiState);
    api->state->cors = cors;
    api->state->cors_any = cors_any;
    if (api->registry)
        api_metrics_init(api);
    if (api->registry && api->memory)
        registry_collector(api->registry, collect_memory, api);
    api->state->remote_read = remote_read_new(&(RemoteReadOptions){
        .registry = api->registry,
        .samples_max = api->read_samples_max,
        .concurrent_max = api->read_concurrent_max,
        .frame_bytes_max = api->read_frame_bytes_max,
        .encode = api_read_encode,
    });
    if (api->enable_remote_write)
        api->state->remote_write = remote_write_new(&(RemoteWriteOptions){
            .registry = api->registry,
            .clock = api->clock,
            .accept_v1 = api->accept_write_v1,
            .accept_v2 = api->accept_write_v2,
            .zero_samples = api_has_feature(api, "created-timestamp-zero-ingestion"),
            .type_and_unit_labels = api_has_feature(api, "type-and-unit-labels"),
        });
    api->state->ui =
        ui_site_new(api->route_prefix, api->page_title, api->is_agent ? S("agent") : S("server"));
    return true;
}

void api_deinit(ApiContext *api)
{
    if (!api->state)
        return;
    regex_free(api->state->cors);
    api_metrics_deinit(api);
    remote_write_free(api->state->remote_write);
    remote_read_free(api->state->remote_read);
    ui_site_free(api->state->ui);
    free(api->state);
    api->state = NULL;
}
