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
    registry_write(call->am->options.registry, open ? REGISTRY_OPENMETRICS : REGISTRY_TEXT, &page);
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

// One page without scripts of others: what stands, what is silenced.
static const char page_head[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta "
    "charset=\"utf-8\">\n<title>Alertmanager</title>\n"
    "<style>body{font:14px/1.5 "
    "sans-serif;margin:2rem;max-width:70rem}table{border-collapse:collapse;width:100%}"
    "td,th{border-bottom:1px solid #ddd;padding:.3rem .6rem;text-align:left;vertical-align:top}"
    ".suppressed{color:#888}code{background:#f3f3f3;padding:0 .2rem}</style>\n</head>\n<body>\n"
    "<h1>Alertmanager</h1>\n";

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

static void add_alert_rows(Am *am, Buf *page)
{
    int64_t now_ns = am_now_ns(am->clock);
    size_t shown = 0;
    for (AmTableSlot *s = NULL; (s = am_table_next(&am->alerts.alerts, s)) && shown < 1000;) {
        const AmAlert *alert = s->value;
        const AmSilence *silence;
        uint64_t source;
        CLEANUP(buf_deinit) Buf text = {0};
        if (am_alert_resolved_at(alert, now_ns))
            continue;
        bool held = am_inhibitor_mutes(am->generation->inhibitor, alert->labels, now_ns, &source) ||
                    am_silences_match(&am->silences, alert->labels, now_ns, &silence, 1);
        am_labels_print(&text, alert->labels);
        buf_printf(page, "<tr class=\"%s\"><td>%s</td><td><code>", held ? "suppressed" : "active",
                   held ? "suppressed" : "active");
        add_html(page, buf_str(&text));
        buf_add_c(page, "</code></td><td>");
        buf_reset(&text);
        am_time_print(&text, alert->starts_ns);
        add_html(page, buf_str(&text));
        buf_add_c(page, "</td></tr>\n");
        shown++;
    }
}

static void front_page(AmCall *call)
{
    CLEANUP(buf_deinit) Buf page = {0};
    Am *am = call->am;
    buf_add_c(&page, page_head);
    buf_add_c(&page,
              "<h2>Alerts</h2>\n<table><tr><th>State</th><th>Labels</th><th>Since</th></tr>\n");
    lock_take(&am->lock);
    add_alert_rows(am, &page);
    lock_give(&am->lock);
    buf_add_c(&page,
              "</table>\n<p><a href=\"api/v2/alerts/groups\">Groups</a> · "
              "<a href=\"api/v2/silences\">Silences</a> · <a href=\"api/v2/status\">Status</a> · "
              "<a href=\"metrics\">Metrics</a></p>\n</body>\n</html>\n");
    http_reply_header(call->request, S("Cache-Control"), S("no-cache, no-store, must-revalidate"));
    am_api_bytes(call, 200, S("text/html; charset=utf-8"), buf_str(&page));
}

static bool page_of_options(AmCall *call, Str path)
{
    const AmOptions *options = &call->am->options;
    if (!options->page || !options->page(options->page_arg, call->request, path))
        return false;
    call->name = "/";
    call->status = 200;
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
    } else if (page_of_options(call, path)) {
        return;
    } else if (str_is(path, "/") && is_read(call)) {
        call->name = "/";
        front_page(call);
    } else {
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
