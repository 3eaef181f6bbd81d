// SPDX-License-Identifier: Apache-2.0
// What stands beside the API: health, metrics, reload, the old API's grave, the page.
#include <stdio.h>

#include "alertmanager/am_api.h"

#define PLAIN S("text/plain; charset=utf-8")

static bool is_read(const AmCall *call)
{
    return str_is(call->request->method, "GET") || str_is(call->request->method, "HEAD");
}

static void not_allowed(AmCall *call)
{
    am_api_bytes(call, 405, PLAIN, S("Method Not Allowed\n"));
}

static void healthy(AmCall *call)
{
    if (is_read(call))
        am_api_bytes(call, 200, PLAIN, S("OK"));
    else
        not_allowed(call);
}

static void reload(AmCall *call)
{
    Error err = {0};
    if (!str_is(call->request->method, "POST")) {
        am_api_bytes(call, 405, PLAIN, S("This endpoint requires a POST request.\n"));
        return;
    }
    if (am_reload(call->am, &err))
        am_api_bytes(call, 200, PLAIN, STR_NONE);
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
    am_api_bytes(call, 410, S("application/json"), buf_str(&buf));
}

static void note(AmCall *call, UiSent sent)
{
    call->status = sent.status;
    call->sent_bytes = sent.bytes;
}

// The UI's one document, or a file of it. Its pages are told apart behind the "#", which no server sees.
static bool send_ui(AmCall *call, Str path)
{
    UiSent sent;
    if (!is_read(call))
        return false;
    if (str_is(path, "/"))
        sent = ui_send_page(call->am->ui, call->request, 200);
    else if (!ui_send_asset(call->request, str_skip(path, 1), &sent))
        return false;
    call->name = str_is(path, "/") ? "/" : "/assets";
    note(call, sent);
    return true;
}

static void dispatch(AmCall *call, Str path)
{
    if (str_starts_with(path, S("/api/v2/"))) {
        am_api_handle(call, str_skip(path, strlen("/api/v2")));
    } else if (str_starts_with(path, S("/api/v1/"))) {
        old_api(call);
    } else if (str_is(path, "/-/healthy") || str_is(path, "/-/ready")) {
        call->name = "/-/healthy";
        healthy(call);
    } else if (str_is(path, "/-/reload")) {
        call->name = "/-/reload";
        reload(call);
    } else if (str_is(path, "/metrics")) {
        call->name = "/metrics";
        metrics(call);
    } else if (!send_ui(call, path)) {
        http_reply_header(call->request, S("X-Content-Type-Options"), S("nosniff"));
        am_api_bytes(call, 404, PLAIN, S("404 page not found\n"));
    }
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
