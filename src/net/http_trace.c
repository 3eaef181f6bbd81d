// SPDX-License-Identifier: Apache-2.0
#include "net/http_trace.h"

#include <stdio.h>

#include "base/number.h"
#include "config/config.h"

#define NAME_BYTES_MAX 300

// "localhost" and 9090 of "localhost:9090"; 0: none is told.
static Str split_host(Str host, uint64_t *ret_port)
{
    size_t colon = str_rfind_char(host, ':');
    *ret_port = 0;
    if (colon == STR_NOT_FOUND || !number_parse_u64(str_skip(host, colon + 1), ret_port))
        return host;
    return str_sub(host, 0, colon);
}

static void add_host(Span *span, Str host)
{
    uint64_t port;
    Str name = split_host(host, &port);
    if (name.len)
        span_str(span, "server.address", name);
    if (port > 0 && port < 65536)
        span_i64(span, "server.port", (int64_t)port);
}

void http_trace_serve(Span *span, Tracer *tracer, const HttpRequest *request)
{
    SpanContext parent = {0};
    char name[NAME_BYTES_MAX];
    span->tracer = NULL;
    if (!tracer_is_on(tracer))
        return;
    (void)span_context_parse(http_header(request, S("traceparent")), &parent);
    Str path = str_sub(request->path, 0, NAME_BYTES_MAX - 32);
    int len = snprintf(name, sizeof name, STR_FMT " " STR_FMT,
                       STR_ARG(str_sub(request->method, 0, 20)), STR_ARG(path));
    span_begin(span, tracer, &parent, SPAN_SERVER, str_make(name, (size_t)len));
    span_enter(span);
    if (!span_is_recorded(span))
        return;
    span_str(span, "http.request.method", request->method);
    span_str(span, "url.scheme", request->is_tls ? S("https") : S("http"));
    span_str(span, "url.path", request->path);
    add_host(span, http_header(request, S("Host")));
    span_str(span, "client.address", request->client_ip);
    Str agent = http_header(request, S("User-Agent"));
    if (agent.len)
        span_str(span, "user_agent.original", agent);
}

void http_trace_served(Span *span, int status)
{
    if (status)
        span_i64(span, "http.response.status_code", status);
    if (status >= 500)
        span_fail_quietly(span);
    span_end(span);
}

void http_trace_ask(Span *span, const Span *parent, Str method, Str url)
{
    char name[32];
    span->tracer = NULL;
    if (!parent || !parent->tracer)
        return;
    int len = snprintf(name, sizeof name, "HTTP " STR_FMT, STR_ARG(str_sub(method, 0, 20)));
    span_child(span, parent, SPAN_CLIENT, str_make(name, (size_t)len));
    if (!span_is_recorded(span))
        return;
    CLEANUP(buf_deinit) Buf shown = {0};
    config_add_redacted_url(&shown, url, "xxxxx");
    span_str(span, "http.request.method", method);
    span_str(span, "url.full", buf_str(&shown));
    size_t scheme = str_find(url, S("://"));
    Str host = scheme == STR_NOT_FOUND ? STR_NONE : str_skip(url, scheme + 3);
    for (size_t i = 0; i < host.len; i++)
        if (host.ptr[i] == '/' || host.ptr[i] == '?')
            host = str_sub(host, 0, i);
    size_t at = str_rfind_char(host, '@');
    add_host(span, at == STR_NOT_FOUND ? host : str_skip(host, at + 1));
}

void http_trace_asked(Span *span, int status, const Error *err)
{
    if (status)
        span_i64(span, "http.response.status_code", status);
    if (err)
        span_fail(span, str_from_c(err->text));
    else if (status >= 400)
        span_fail_quietly(span);
    span_end(span);
}
