// SPDX-License-Identifier: Apache-2.0
// What stands beside the API: health, metrics, reload, the old API's grave, the page.
#include <stdio.h>

#include "alertmanager/am_api.h"
#include "net/debug_pages.h"

#define PLAIN S("text/plain; charset=utf-8")

static void healthy(AmCall *call)
{
    bool is_head = str_is(call->request->method, "HEAD");
    am_api_bytes(call, 200, is_head ? STR_NONE : PLAIN, is_head ? STR_NONE : S("OK"));
}

static void reload(AmCall *call)
{
    Error err = {0};
    if (am_reload(call->am, &err))
        am_api_empty(call, 200);
    else
        am_api_bytes(call, 500, PLAIN,
                     arena_printf(call->arena, "failed to reload config: %s\n", err.text));
}

static void metrics(AmCall *call)
{
    CLEANUP(buf_deinit) Buf page = {0};
    bool open = str_find(http_header(call->request, S("Accept")),
                         S("application/openmetrics-text")) != STR_NOT_FOUND;
    const AmMetrics *m = &call->am->metrics;
    gauge_add(m->scrapes_running, 1);
    registry_write(call->am->options.registry, open ? REGISTRY_OPENMETRICS : REGISTRY_TEXT, &page);
    gauge_add(m->scrapes_running, -1);
    counter_inc(m->scrapes[0]);
    http_reply_compress(call->request);
    am_api_bytes(call, 200,
                 open ? S("application/openmetrics-text; version=1.0.0; charset=utf-8")
                      : S("text/plain; version=0.0.4; charset=utf-8"),
                 buf_str(&page));
}

static void old_api(AmCall *call)
{
    CLEANUP(buf_deinit) Buf buf = {0};
    JsonWriter json;
    json_writer_init(&json, &buf);
    json_object(&json);
    json_key_c(&json, "status", "deprecated");
    json_key_c(&json, "error",
               "The Alertmanager v1 API was deprecated in version 0.16.0 and is removed as of "
               "version 0.27.0 - "
               "please use the equivalent route in the v2 API");
    json_object_end(&json);
    buf_add_char(&buf, '\n');
    am_api_bytes(call, 410, S("application/json"), buf_str(&buf));
}

// To the path that is meant, as Go's router does.
static void redirect(AmCall *call, const char *path)
{
    Str there =
        arena_printf(call->arena, STR_FMT "%s", STR_ARG(call->am->options.route_prefix), path);
    Str method = call->request->method;
    bool is_get = str_is(method, "GET") || str_is(method, "HEAD");
    http_reply_header(call->request, S("Location"), there);
    am_api_bytes(call, 301, is_get ? S("text/html; charset=utf-8") : STR_NONE,
                 is_get ? arena_printf(call->arena,
                                       "<a href=\"" STR_FMT "\">Moved Permanently</a>.\n\n",
                                       STR_ARG(there))
                        : STR_NONE);
}

static void not_found(AmCall *call)
{
    http_reply_header(call->request, S("X-Content-Type-Options"), S("nosniff"));
    am_api_bytes(call, 404, PLAIN, S("404 page not found\n"));
}

static void note(AmCall *call, UiSent sent)
{
    call->status = sent.status;
    call->sent_bytes = sent.bytes;
}

// The UI's one document. Its pages are told apart behind the "#", which no server sees.
static void send_page(AmCall *call)
{
    note(call, ui_send_page(call->am->ui, call->request, 200));
}

static void send_asset(AmCall *call)
{
    UiSent sent;
    if (ui_send_asset(call->request, call->rest, &sent))
        note(call, sent);
    else
        not_found(call);
}

static void send_icon(AmCall *call)
{
    call->rest = S("favicon.svg");
    send_asset(call);
}

static void debug(AmCall *call)
{
    static const Str folder = STR("/debug/pprof/");
    if (!str_starts_with(call->rest, folder)) {
        not_found(call);
        return;
    }
    DebugSent sent = debug_pages_answer(call->request, str_skip(call->rest, folder.len));
    call->status = sent.status;
    call->sent_bytes = sent.bytes;
}

// ---- the table of pages ----

typedef struct AmPage {
    const char *path;  // a '*' at the end takes what follows, if anything does
    const char *allow; // methods, as the header Allow lists them
    void (*answer)(AmCall *call);
    const char *name; // in metrics
} AmPage;

static const AmPage pages[] = {
    {"/", "GET, OPTIONS", send_page, "/"},
    {"/favicon.ico", "GET, OPTIONS", send_icon, "/favicon.ico"},
    {"/favicon.svg", "GET, HEAD, OPTIONS", send_icon, "/assets"}, // what our document names
    {"/assets/*", "GET, OPTIONS", send_asset, "/assets"},
    {"/metrics", "GET, OPTIONS", metrics, "/metrics"},
    {"/-/healthy", "GET, HEAD, OPTIONS", healthy, "/-/healthy"},
    {"/-/ready", "GET, HEAD, OPTIONS", healthy, "/-/ready"},
    {"/-/reload", "OPTIONS, POST", reload, "/-/reload"},
    {"/debug/*", "GET, OPTIONS, POST", debug, "/debug"},
    {"/api/v1/status", "GET, OPTIONS, POST", old_api, "other"},
    {"/api/v1/receivers", "GET, OPTIONS, POST", old_api, "other"},
    {"/api/v1/alerts", "GET, OPTIONS, POST", old_api, "other"},
    {"/api/v1/silences", "GET, OPTIONS, POST", old_api, "other"},
    {"/api/v1/silence/*", "GET, OPTIONS, POST", old_api, "other"},
};

static bool page_fits(const AmPage *page, Str path)
{
    Str pattern = str_from_c(page->path);
    if (!str_ends_with(pattern, S("*")))
        return str_equal(path, pattern);
    pattern.len--;
    return path.len > pattern.len && str_starts_with(path, pattern);
}

static bool is_allowed(const char *allow, Str method)
{
    Str rest = str_from_c(allow);
    Str word;
    while (str_split_next(&rest, ',', &word))
        if (str_equal(str_trim(word), method))
            return true;
    return false;
}

static void answer_page(AmCall *call, const AmPage *page, Str path)
{
    Str method = call->request->method;
    bool is_options = str_is(method, "OPTIONS");
    call->name = page->name;
    call->rest = str_starts_with(path, S("/assets/")) ? str_skip(path, 1) : path;
    if (is_allowed(page->allow, method) && !is_options) {
        page->answer(call);
        return;
    }
    http_reply_header(call->request, S("Allow"), str_from_c(page->allow));
    if (is_options) {
        am_api_empty(call, 200);
        return;
    }
    http_reply_header(call->request, S("X-Content-Type-Options"), S("nosniff"));
    am_api_bytes(call, 405, PLAIN, S("Method Not Allowed\n"));
}

static void dispatch(AmCall *call, Str path)
{
    static const char *const folders[] = {"/api/v2/", "/debug/", "/debug/pprof/"};
    if (str_starts_with(path, S("/api/v2/"))) {
        am_api_handle(call, str_skip(path, strlen("/api/v2")));
        return;
    }
    for (size_t i = 0; i < COUNT_OF(folders); i++)
        if (str_equal(path, str_sub(str_from_c(folders[i]), 0, strlen(folders[i]) - 1))) {
            redirect(call, folders[i]);
            return;
        }
    for (size_t i = 0; i < COUNT_OF(pages); i++)
        if (page_fits(&pages[i], path)) {
            answer_page(call, &pages[i], path);
            return;
        }
    not_found(call);
}

static void observe(AmCall *call, int64_t began_ns)
{
    char code[8];
    int len = snprintf(code, sizeof code, "%d", call->status);
    Str method = call->request->method;
    Str lower = str_is(method, "GET") ? S("get") : str_is(method, "POST") ? S("post") : S("other");
    Str values[] = {str_from_c(call->name), lower, {code, (size_t)len}};
    const AmMetrics *m = &call->am->metrics;
    double seconds = (double)(clock_mono_ns(call->am->clock) - began_ns) / 1e9;
    histogram_observe(histogram_of(m->http_duration, values), seconds);
    histogram_observe(histogram_of(m->http_size, values), (double)call->sent_bytes);
}

void am_handle(Am *am, HttpRequest *request)
{
    AmCall call = {.am = am, .request = request, .arena = request->arena, .name = "other"};
    int64_t began_ns = clock_mono_ns(am->clock);
    Str path = request->path;
    Str prefix = am->options.route_prefix;
    if (prefix.len && str_starts_with(path, prefix) &&
        (path.len == prefix.len || path.ptr[prefix.len] == '/')) {
        path = str_skip(path, prefix.len);
        if (path.len == 0) {
            http_reply_header(request, S("Location"),
                              arena_printf(request->arena, STR_FMT "/", STR_ARG(prefix)));
            am_api_bytes(&call, 302, PLAIN, STR_NONE);
            observe(&call, began_ns);
            return;
        }
    } else if (prefix.len) {
        bool root = str_is(path, "/");
        if (root)
            http_reply_header(request, S("Location"),
                              arena_printf(request->arena, STR_FMT "/", STR_ARG(prefix)));
        am_api_bytes(&call, root ? 302 : 404, PLAIN, root ? S("") : S("404 page not found\n"));
        observe(&call, began_ns);
        return;
    }
    dispatch(&call, path);
    observe(&call, began_ns);
}
