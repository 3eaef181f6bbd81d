// SPDX-License-Identifier: Apache-2.0
//
// Redirects are followed here and not by libcurl, because what belongs to the first host only (see
// http_client.h) must stay behind.
#include "net/http_client.h"

#include <ctype.h>
#include <stdlib.h>

#include "base/clock.h"
#include "codec/compress.h"
#include "net/http_client_internal.h"
#include "net/http_trace.h"

// ---- calls ----

static HttpCall *call_new(HttpClient *client)
{
    HttpCall *call = client->idle;
    if (call) {
        client->idle = call->next;
        client->idle_count--;
    } else {
        call = X_NEW(HttpCall);
        call->client = client;
    }
    call->previous = NULL;
    call->next = client->active;
    if (call->next)
        call->next->previous = call;
    client->active = call;
    return call;
}

static void call_free(HttpCall *call)
{
    http_curl_call_free(call);
    Buf *bufs[] = {&call->method,        &call->url,         &call->request_body,   &call->headers,
                   &call->list_key,      &call->new_key,     &call->wire,           &call->own_body,
                   &call->reply_headers, &call->unix_socket, &call->connect_address};
    for (size_t i = 0; i < COUNT_OF(bufs); i++)
        buf_deinit(bufs[i]);
    free(call);
}

static void trim_buf(Buf *buf)
{
    if (buf->cap > BUFFER_KEEP_BYTES) {
        buf_deinit(buf);
        buf_init(buf, 0);
    }
    buf_reset(buf);
}

static void call_detach(HttpCall *call)
{
    HttpClient *client = call->client;
    if (call->previous)
        call->previous->next = call->next;
    else
        client->active = call->next;
    if (call->next)
        call->next->previous = call->previous;
    call->previous = NULL;
    call->next = NULL;
}

static void call_put_away(HttpCall *call)
{
    HttpClient *client = call->client;
    if (client->freed || client->idle_count >= IDLE_CALLS_MAX) {
        call_free(call);
        return;
    }
    trim_buf(&call->wire);
    trim_buf(&call->own_body);
    trim_buf(&call->request_body);
    call->next = client->idle;
    client->idle = call;
    client->idle_count++;
}

// ---- headers ----

Str http_call_find_header(Str headers, Str name)
{
    Str line;
    while (str_split_next(&headers, '\n', &line)) {
        size_t colon = str_find_char(line, ':');
        if (colon != STR_NOT_FOUND && str_equal_nocase(str_sub(line, 0, colon), name))
            return str_trim(str_skip(line, colon + 1));
    }
    return STR_NONE;
}

Str http_response_header(const HttpResponse *response, Str name)
{
    return http_call_find_header(response->headers, name);
}

static bool is_redirect(const HttpCall *call, long status)
{
    return call->client->config.follow_redirects &&
           (status == 301 || status == 302 || status == 303 || status == 307 || status == 308) &&
           http_call_find_header(buf_str(&call->reply_headers), S("Location")).len > 0;
}

// Those who have asked at the same time need a buffer one after the other.
static void take_body(HttpCall *call)
{
    if (!call->body_take)
        return;
    call->body = call->body_take(call->arg);
    call->body_take = NULL;
    buf_reset(call->body);
}

// `announced` is the length of the body as it comes, or below zero.
void http_call_begin_body(HttpCall *call, int64_t announced)
{
    Str encoding = http_call_find_header(buf_str(&call->reply_headers), S("Content-Encoding"));
    call->body_begun = true;
    // Not asked for, as the original does not know it; whoever sends it is understood all the same.
    call->is_zstd = str_equal_nocase(encoding, S("zstd"));
    call->is_encoded = call->is_zstd || str_equal_nocase(encoding, S("gzip")) ||
                       str_equal_nocase(encoding, S("x-gzip"));
    call->is_unknown_encoding =
        !call->is_encoded && encoding.len && !str_equal_nocase(encoding, S("identity"));
    if (!call->is_encoded)
        take_body(call);
    if (announced > 0)
        (void)buf_reserve(call->is_encoded ? &call->wire : call->body,
                          MIN((size_t)announced, (size_t)BUFFER_KEEP_BYTES));
}

bool http_call_has_line(Str lines, Str name)
{
    Str line;
    while (str_split_next(&lines, '\0', &line)) {
        size_t colon = str_find_char(line, ':');
        if (colon != STR_NOT_FOUND && str_equal_nocase(str_sub(line, 0, colon), name))
            return true;
    }
    return false;
}

static void add_line(Buf *lines, Str line)
{
    buf_add_str(lines, line);
    buf_add_char(lines, '\0');
}

// What goes only to the host that was asked for.
static bool add_secret_lines(HttpCall *call, Buf *lines)
{
    const HttpClient *client = call->client;
    buf_add_str(lines, http_credentials_lines(client->credentials));
    if (client->oauth2)
        buf_add_str(lines, http_oauth2_line(client->oauth2));
    if (client->cloud)
        buf_add_str(lines, cloud_token_line(client->cloud));
    HttpSigv4Request request = {.method = buf_str(&call->method),
                                .url = buf_str(&call->url),
                                .headers = buf_str(&call->headers),
                                .body = buf_str(&call->request_body),
                                .service = call->sigv4_service};
    return !client->sigv4 || http_sigv4_sign(client->sigv4, &request, lines, &call->err);
}

bool http_call_gather_lines(HttpCall *call, Str host_line)
{
    Buf *lines = &call->new_key;
    buf_reset(lines);
    buf_add_str(lines, buf_str(&call->headers));
    if (!call->left_home && !add_secret_lines(call, lines))
        return false;
    if (call->accept_gzip)
        add_line(lines, S("Accept-Encoding: gzip"));
    if (host_line.len)
        add_line(lines, host_line);
    if (call->request_body.len) {
        add_line(lines, S("Expect:")); // no waiting for 100 Continue
        if (!http_call_has_line(buf_str(&call->headers), S("Content-Type")))
            add_line(lines, S("Content-Type:")); // not libcurl's guess
    }
    return true;
}

bool http_call_lines_are_whole(Str lines, Error *err)
{
    if (str_find_char(lines, '\r') != STR_NOT_FOUND || str_find_char(lines, '\n') != STR_NOT_FOUND)
        return error_set(err, ERR_INVALID, "a request header has a line break in it");
    return true;
}

// ---- over a connection of our own ----

static Buf *on_plain_head(void *arg, int status, Str headers, int64_t announced)
{
    HttpCall *call = arg;
    call->plain_status = status;
    buf_add_str(&call->reply_headers, headers);
    http_call_begin_body(call, announced);
    return call->is_encoded ? &call->wire : call->body;
}

static void on_plain_end(void *arg, const Error *err)
{
    HttpCall *call = arg;
    call->plain = NULL;
    if (err) {
        call->err = *err;
        http_call_finish(call, 0);
    } else {
        http_call_answered(call, call->plain_status);
    }
}

static void add_head_line(Buf *head, Str line)
{
    buf_add_str(head, line);
    buf_add_str(head, S("\r\n"));
}

// From the request line to the empty line.
static bool build_head(HttpCall *call, const HttpPlainUrl *url, Buf *head)
{
    if (!http_call_gather_lines(call, STR_NONE))
        return false;
    Str lines = buf_str(&call->new_key);
    if (!http_call_lines_are_whole(lines, &call->err))
        return false;
    buf_reset(head);
    buf_add_str(head, buf_str(&call->method));
    buf_add_char(head, ' ');
    buf_add_str(head, url->target.len ? url->target : S("/"));
    buf_add_str(head, S(" HTTP/1.1\r\n"));
    if (!http_call_has_line(lines, S("Host"))) {
        buf_add_str(head, S("Host: "));
        add_head_line(head, url->authority);
    }
    if (!http_call_has_line(lines, S("User-Agent")))
        add_head_line(head, S("User-Agent: narthex/" NARTHEX_VERSION));
    if (!http_call_has_line(lines, S("Accept")))
        add_head_line(head, S("Accept: */*"));
    if (call->request_body.len || str_is(buf_str(&call->method), "POST"))
        buf_printf(head, "Content-Length: %zu\r\n", call->request_body.len);
    Str line;
    while (str_split_next(&lines, '\0', &line))
        if (!str_ends_with(line, S(":"))) // libcurl's way to leave a header out
            add_head_line(head, line);
    buf_add_str(head, S("\r\n"));
    return true;
}

static bool run_plain(HttpCall *call, const HttpPlainUrl *url)
{
    if (!build_head(call, url, &call->list_key))
        return false;
    HttpPlainRequest request = {
        .url = *url,
        .head = buf_str(&call->list_key),
        .body = buf_str(&call->request_body),
        .is_head_method = str_is(buf_str(&call->method), "HEAD"),
        .deadline_ns = call->timeout_ms > 0 ? call->begin_ns + call->timeout_ms * 1000000 : 0,
        .body_bytes_max = call->body_bytes_max,
        .on_head = on_plain_head,
        .on_end = on_plain_end,
        .arg = call,
    };
    bool ok = http_plain_start(call->client->plain, &request, &call->plain, &call->err);
    buf_reset(&call->list_key); // it was no list
    return ok;
}

// ---- waiting for a token or for keys ----

static bool call_run(HttpCall *call);

static void on_ticket(void *arg, const Error *err)
{
    HttpClient *client = arg;
    http_client_enter(client);
    for (bool found = true; found && !client->freed;) {
        found = false;
        for (HttpCall *call = client->active; call && !found; call = call->next) {
            if (!call->waits)
                continue;
            found = true; // and look anew: others may be gone when the caller returns
            call->waits = false;
            call->has_waited = true;
            if (err)
                call->err = *err;
            if (err || !call_run(call))
                http_call_finish(call, 0);
            break;
        }
    }
    http_client_leave(client);
}

// Wakes when the first call that waits has no time left.
static void set_wait_timer(HttpClient *client)
{
    int64_t first_ns = INT64_MAX;
    for (HttpCall *call = client->active; call; call = call->next)
        if (call->waits && call->timeout_ms > 0)
            first_ns = MIN(first_ns, call->begin_ns + call->timeout_ms * 1000000);
    if (first_ns < INT64_MAX)
        loop_timer_set(client->wait_timer, first_ns);
}

static void on_wait_timer(void *arg)
{
    HttpClient *client = arg;
    int64_t now_ns = clock_mono_ns(&clock_system);
    http_client_enter(client);
    for (bool found = true; found && !client->freed;) {
        found = false;
        for (HttpCall *call = client->active; call && !found; call = call->next) {
            if (!call->waits || call->timeout_ms <= 0 ||
                now_ns < call->begin_ns + call->timeout_ms * 1000000)
                continue;
            found = true;
            call->waits = false;
            error_set(&call->err, ERR_TIMEOUT, "context deadline exceeded");
            http_call_finish(call, 0);
            break;
        }
    }
    if (!client->freed)
        set_wait_timer(client);
    http_client_leave(client);
}

static bool must_wait(HttpCall *call)
{
    HttpClient *client = call->client;
    if (call->has_waited)
        return false;
    bool needs_token = client->oauth2 && !call->left_home &&
                       !http_oauth2_has_token(client->oauth2, loop_now_ns(client->loop));
    bool needs_keys = client->sigv4 && !call->left_home && !http_sigv4_has_keys(client->sigv4);
    bool needs_cloud = client->cloud && !call->left_home &&
                       !cloud_token_is_good(client->cloud, loop_now_ns(client->loop));
    if (!needs_token && !needs_keys && !needs_cloud)
        return false;
    call->waits = true;
    if (needs_token)
        http_oauth2_fetch(client->oauth2, on_ticket, client);
    else if (needs_cloud)
        cloud_token_fetch(client->cloud, on_ticket, client);
    else
        http_sigv4_fetch(client->sigv4, on_ticket, client);
    set_wait_timer(client);
    return true;
}

// Asks call->url. False: call->err says why not.
static bool call_run(HttpCall *call)
{
    HttpClient *client = call->client;
    int64_t spent_ms = (clock_mono_ns(&clock_system) - call->begin_ns) / 1000000;
    if (call->timeout_ms > 0 && spent_ms >= call->timeout_ms)
        return error_set(&call->err, ERR_TIMEOUT, "context deadline exceeded");
    if (!http_credentials_refresh(client->credentials, loop_now_ns(client->loop), &call->err))
        return false;
    if (must_wait(call))
        return true;
    buf_reset(call->body);
    buf_reset(&call->wire);
    buf_reset(&call->reply_headers);
    call->body_begun = call->is_encoded = call->is_zstd = call->is_unknown_encoding =
        call->too_large = false;
    HttpPlainUrl url;
    if (client->plain && !call->http2_only && !call->unix_socket.len &&
        !call->connect_address.len && http_plain_url_read(buf_str(&call->url), &url))
        return run_plain(call, &url);
    return http_curl_run(call, spent_ms);
}

static void copy_c(Buf *buf, Str text)
{
    buf_reset(buf);
    buf_add_str(buf, text);
    buf_add_char(buf, '\0');
    buf->len--;
}

// What others are to put their spans below: W3C Trace Context.
static void begin_span(HttpCall *call, const Span *parent)
{
    http_trace_ask(&call->span, parent, buf_str(&call->method), buf_str(&call->url));
    if (!call->span.tracer)
        return;
    char line[SPAN_PARENT_BYTES + 1];
    span_context_print(&call->span.context, line);
    buf_add_c(&call->headers, "Traceparent: ");
    add_line(&call->headers, str_make(line, SPAN_PARENT_BYTES));
}

HttpCall *http_call(HttpClient *client, const HttpCallOptions *options)
{
    ASSERT(!client->freed);
    HttpCall *call = call_new(client);
    copy_c(&call->method, options->method.len ? options->method : S("GET"));
    copy_c(&call->url, options->url);
    copy_c(&call->unix_socket, options->unix_socket);
    copy_c(&call->connect_address, options->connect_address);
    copy_c(&call->request_body, options->body);
    buf_reset(&call->headers);
    for (size_t i = 0; i < options->header_count; i++)
        add_line(&call->headers, options->headers[i]);
    begin_span(call, options->span);
    call->begin_ns = clock_mono_ns(&clock_system);
    call->timeout_ms = options->timeout_ms;
    call->body_bytes_max =
        options->body_bytes_max ? options->body_bytes_max : HTTP_BODY_BYTES_MAX_DEFAULT;
    call->accept_gzip = options->accept_gzip;
    call->http2_only = options->http2_only;
    call->sigv4_service = options->sigv4_service;
    call->body = options->body_buf ? options->body_buf : &call->own_body;
    call->body_take = options->body_take;
    call->done = options->done;
    call->arg = options->arg;
    call->redirects = 0;
    call->left_home = false;
    call->failed_early = false;
    call->waits = false;
    call->has_waited = false;
    call->err.code = ERR_NONE;
    if (!call_run(call)) {
        call->failed_early = true;
        loop_timer_set(client->fail_timer, 0);
    }
    return call;
}

// ---- the end of a request ----

static void client_destroy(HttpClient *client);

void http_client_enter(HttpClient *client)
{
    client->dispatching++;
}

void http_client_leave(HttpClient *client)
{
    if (--client->dispatching == 0 && client->freed)
        client_destroy(client);
}

// `Get "http://...": what happened`, as Go's client says it.
static void name_request(HttpCall *call)
{
    char method[16];
    size_t len = MIN(call->method.len, sizeof method - 1);
    for (size_t i = 0; i < len; i++)
        method[i] = (char)(i ? tolower((unsigned char)call->method.ptr[i]) : call->method.ptr[i]);
    method[len] = '\0';
    CLEANUP(buf_deinit) Buf url = {0};
    config_add_redacted_url(&url, buf_str(&call->url), "***");
    error_context(&call->err, "%s \"" STR_FMT "\"", method, STR_ARG(buf_str(&url)));
}

void http_call_finish(HttpCall *call, int status)
{
    HttpClient *client = call->client;
    call->waits = false;
    http_curl_stop(call);
    if (call->plain)
        http_plain_cancel(call->plain);
    call->plain = NULL;
    HttpResponse response = {
        .status = status,
        .took_ns = clock_mono_ns(&clock_system) - call->begin_ns,
    };
    if (status) {
        response.headers = buf_str(&call->reply_headers);
        response.content_type = http_call_find_header(response.headers, S("Content-Type"));
        response.wire_bytes = call->is_encoded ? call->wire.len : call->body->len;
    }
    if (call->err.code == ERR_NONE && call->is_encoded) {
        take_body(call);
        buf_reset(call->body);
        Str wire = buf_str(&call->wire);
        bool ok = call->is_zstd ? zstd_decode(wire, call->body_bytes_max, call->body, &call->err)
                                : gzip_decode(wire, call->body_bytes_max, call->body, &call->err);
        ASSERT(ok || call->err.code != ERR_NONE);
    }
    if (call->err.code != ERR_NONE) {
        name_request(call);
        response.err = &call->err;
    } else {
        response.body = buf_str(call->body);
    }
    http_trace_asked(&call->span, status, response.err);
    http_client_enter(client);
    call_detach(call); // so that http_client_free from inside `done` does not cancel it
    call->done(call->arg, &response);
    call_put_away(call);
    http_client_leave(client);
}

// Turns the call towards the Location of its answer and runs it again.
static bool follow(HttpCall *call, long status)
{
    if (++call->redirects > REDIRECTS_MAX)
        return error_set(&call->err, ERR_IO, "stopped after %d redirects", REDIRECTS_MAX);

    Str location = http_call_find_header(buf_str(&call->reply_headers), S("Location"));
    bool same_place;
    if (!http_redirect_turn(&call->url, location, &same_place, &call->err))
        return false;
    call->left_home |= !same_place;
    bool keeps_method = status == 307 || status == 308 || str_is(buf_str(&call->method), "HEAD");
    if (!keeps_method) {
        copy_c(&call->method, S("GET"));
        buf_reset(&call->request_body);
    }
    return call_run(call);
}

// The answer is whole.
void http_call_answered(HttpCall *call, int status)
{
    if (is_redirect(call, status)) {
        if (!follow(call, status))
            http_call_finish(call, 0);
        return;
    }
    if (call->is_unknown_encoding)
        error_set(&call->err, ERR_INVALID,
                  "the answer's content encoding is not one that was asked for");
    http_call_finish(call, status);
}

// Tells the calls that never got to the wire.
static void on_fail_timer(void *arg)
{
    HttpClient *client = arg;
    http_client_enter(client);
    for (bool found = true; found && !client->freed;) {
        found = false;
        for (HttpCall *call = client->active; call && !found; call = call->next) {
            if (!call->failed_early)
                continue;
            found = true;
            call->failed_early = false;
            http_call_finish(call, 0);
            break;
        }
    }
    http_client_leave(client);
}

void http_call_cancel(HttpCall *call)
{
    error_set(&call->err, ERR_CANCELED, "context canceled");
    http_call_finish(call, 0);
}

// ---- life ----

bool http_client_new(Loop *loop, const HttpClientConfig *config, HttpClient **ret_client,
                     Error *err)
{
    HttpClient *client = X_NEW(HttpClient);
    client->loop = loop;
    if (config)
        client->config = *config;
    else
        http_client_config_default(&client->config);
    arena_init(&client->arena);
    client->proxies = http_proxy_of(&client->config.proxy, &client->arena);
    client->fail_timer = loop_timer_new(loop, on_fail_timer, client);
    client->wait_timer = loop_timer_new(loop, on_wait_timer, client);
    if ((client->config.oauth2 &&
         !http_oauth2_new(loop, client->config.oauth2, &client->oauth2, err)) ||
        (client->config.sigv4 &&
         !http_sigv4_new(loop, client->config.sigv4, &client->sigv4, err)) ||
        ((client->config.azuread || client->config.google_iam) &&
         !cloud_token_new(loop, &client->config, &client->cloud, err))) {
        client_destroy(client);
        return false;
    }
    client->credentials = http_credentials_new(&client->config);
    if (!client->config.proxy.proxy_from_environment && client->config.proxy.proxy_url.len == 0)
        client->plain = http_plain_new(loop, CONNECTION_IDLE_S * 1000000000LL, &client->dialer);
    *ret_client = client;
    return true;
}

void http_client_track(HttpClient *client, Registry *registry, Str dialer_name)
{
    client->dialer = conn_track_dialer(registry, dialer_name);
}

static void client_destroy(HttpClient *client)
{
    while (client->idle) {
        HttpCall *call = client->idle;
        client->idle = call->next;
        call_free(call);
    }
    http_plain_free(client->plain);
    http_curl_deinit(client);
    buf_deinit(&client->sockets);
    http_oauth2_free(client->oauth2);
    http_sigv4_free(client->sigv4);
    cloud_token_free(client->cloud);
    loop_timer_free(client->wait_timer);
    loop_timer_free(client->fail_timer);
    http_credentials_free(client->credentials);
    arena_deinit(&client->arena);
    free(client);
}

void http_client_free(HttpClient *client)
{
    if (!client)
        return;
    http_client_enter(client);
    client->freed = true;
    while (client->active)
        http_call_cancel(client->active);
    http_client_leave(client);
}

// ---- a blocking call ----

typedef struct Fetch {
    Loop *loop;
    Arena *arena;
    int status;
    Str body;
    bool failed;
    Error err;
} Fetch;

static void fetch_done(void *arg, const HttpResponse *response)
{
    Fetch *fetch = arg;
    fetch->status = response->status;
    if (response->err) {
        fetch->failed = true;
        fetch->err = *response->err;
    } else {
        fetch->body = arena_str(fetch->arena, response->body);
    }
    loop_stop(fetch->loop);
}

bool http_fetch(const HttpClientConfig *config, const HttpCallOptions *options, Arena *arena,
                int *ret_status, Str *ret_body, Error *err)
{
    Fetch fetch = {.arena = arena};
    if (!loop_new("http-fetch", &fetch.loop, err))
        return false;
    HttpClient *client;
    if (!http_client_new(fetch.loop, config, &client, err)) {
        loop_free(fetch.loop);
        return false;
    }
    HttpCallOptions mine = *options;
    mine.done = fetch_done;
    mine.arg = &fetch;
    http_call(client, &mine);
    loop_run(fetch.loop);
    http_client_free(client);
    loop_free(fetch.loop);
    if (fetch.failed) {
        *err = fetch.err;
        return false;
    }
    *ret_status = fetch.status;
    *ret_body = fetch.body;
    return true;
}
