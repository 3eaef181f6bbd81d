// SPDX-License-Identifier: Apache-2.0
//
// Calls and their curl handles are reused, newest first. A handle keeps its options from call to call:
// only what differs is set again, and a header list is rebuilt only when its text has changed.
//
// Redirects are followed here and not by libcurl, because what belongs to the first host only (see
// http_client.h) must stay behind.
#include "net/http_client.h"

#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "codec/compress.h"
#include "net/http_credentials.h"
#include "net/http_plain.h"
#include "net/url.h"

enum {
    REDIRECTS_MAX = 10,
    CONNECTIONS_KEPT = 16384,
    CONNECTION_IDLE_S = 300, // as Go's transport in Prometheus
    RECEIVE_BYTES = 64 * 1024,
    BUFFER_KEEP_BYTES = 4 << 20,
    IDLE_CALLS_MAX = 256,
};
static const size_t BODY_BYTES_MAX_DEFAULT = (size_t)1 << 30;

struct HttpClient {
    Loop *loop;
    HttpClientConfig config;
    HttpCredentials *credentials;
    HttpPlain *plain; // NULL: there is a proxy, or may be one
    CURLM *multi;
    CURLSH *share;
    LoopTimer *timer;      // libcurl's
    LoopTimer *fail_timer; // for calls that failed before they began
    HttpCall *active;      // doubly linked
    HttpCall *idle;
    size_t idle_count;
    int dispatching; // inside our callbacks: freeing must wait
    bool freed;
    Arena arena;
    const char *proxy; // NULL: libcurl looks at the environment
    const char *no_proxy;
    struct curl_slist *proxy_headers;
};

struct HttpCall {
    HttpClient *client;
    HttpCall *next, *previous;
    CURL *easy;          // made when it is first needed
    uint64_t generation; // of the credentials that the handle was set up with
    char curl_error[CURL_ERROR_SIZE];

    // What the caller asked for.
    Buf method, url, request_body, headers; // headers: each ends in NUL
    Buf unix_socket;
    int64_t begin_ns;
    int64_t timeout_ms;
    size_t body_bytes_max;
    bool accept_gzip;
    void (*done)(void *arg, const HttpResponse *response);
    void *arg;

    // The header list of the handle and the text it was made of.
    struct curl_slist *list;
    Buf list_key, new_key;
    struct curl_slist *connect_to;

    // The answer.
    Buf *body; // the caller's or own_body
    Buf own_body;
    Buf wire; // while it is still compressed
    Buf reply_headers;
    bool body_begun, is_encoded, is_unknown_encoding, too_large;
    int redirects;
    bool left_home;       // a redirect went to another host
    HttpPlainCall *plain; // runs there
    int plain_status;
    bool is_running; // in the multi handle
    bool failed_early;
    Error err;
};

// ---- libcurl's callbacks ----

static Str find_header(Str headers, Str name)
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
    return find_header(response->headers, name);
}

static size_t on_header(char *bytes, size_t size, size_t count, void *arg)
{
    HttpCall *call = arg;
    size_t len = size * count;
    if (len >= 5 && memcmp(bytes, "HTTP/", 5) == 0) {
        buf_reset(&call->reply_headers); // of an interim answer
        return len;
    }
    if (call->reply_headers.len + len > HTTP_PLAIN_HEAD_BYTES_MAX)
        return 0;
    buf_add(&call->reply_headers, bytes, len);
    return len;
}

static bool is_redirect(const HttpCall *call, long status)
{
    return call->client->config.follow_redirects &&
           (status == 301 || status == 302 || status == 303 || status == 307 || status == 308) &&
           find_header(buf_str(&call->reply_headers), S("Location")).len > 0;
}

// `announced` is the length of the body as it comes, or below zero.
static void begin_body(HttpCall *call, int64_t announced)
{
    Str encoding = find_header(buf_str(&call->reply_headers), S("Content-Encoding"));
    call->body_begun = true;
    call->is_encoded =
        str_equal_nocase(encoding, S("gzip")) || str_equal_nocase(encoding, S("x-gzip"));
    call->is_unknown_encoding =
        !call->is_encoded && encoding.len && !str_equal_nocase(encoding, S("identity"));
    if (announced > 0)
        (void)buf_reserve(call->is_encoded ? &call->wire : call->body,
                          MIN((size_t)announced, (size_t)BUFFER_KEEP_BYTES));
}

static size_t on_body(char *bytes, size_t size, size_t count, void *arg)
{
    HttpCall *call = arg;
    size_t len = size * count;
    if (!call->body_begun) {
        curl_off_t announced = -1;
        curl_easy_getinfo(call->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announced);
        begin_body(call, announced);
    }
    Buf *into = call->is_encoded ? &call->wire : call->body;
    if (into->len + len > call->body_bytes_max) {
        call->too_large = true;
        return 0;
    }
    buf_add(into, bytes, len);
    if (into->failed) {
        call->too_large = true;
        return 0;
    }
    return len;
}

static void collect_finished(HttpClient *client);

static void socket_action(HttpClient *client, curl_socket_t fd, int events)
{
    int running;
    CURLMcode rc = curl_multi_socket_action(client->multi, fd, events, &running);
    ASSERT(rc == CURLM_OK);
    collect_finished(client);
}

static void on_socket_ready(void *arg, int fd, int events)
{
    int bits = 0;
    if (events & (LOOP_READ | LOOP_HANGUP))
        bits |= CURL_CSELECT_IN;
    if (events & LOOP_WRITE)
        bits |= CURL_CSELECT_OUT;
    if (events & LOOP_HANGUP)
        bits |= CURL_CSELECT_ERR;
    socket_action(arg, fd, bits);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *watch_arg)
{
    (void)easy;
    HttpClient *client = arg;
    LoopWatch *watch = watch_arg;
    if (what == CURL_POLL_REMOVE) {
        loop_watch_free(watch);
        curl_multi_assign(client->multi, fd, NULL);
        return 0;
    }
    int events = 0;
    if (what & CURL_POLL_IN)
        events |= LOOP_READ;
    if (what & CURL_POLL_OUT)
        events |= LOOP_WRITE;
    if (watch)
        loop_watch_set(watch, events);
    else
        curl_multi_assign(client->multi, fd,
                          loop_watch_new(client->loop, fd, events, on_socket_ready, client));
    return 0;
}

static int on_timer_wanted(CURLM *multi, long timeout_ms, void *arg)
{
    (void)multi;
    HttpClient *client = arg;
    if (timeout_ms < 0)
        loop_timer_clear(client->timer);
    else
        loop_timer_set(client->timer, clock_mono_ns(&clock_system) + timeout_ms * 1000000);
    return 0;
}

static void on_timer(void *arg)
{
    socket_action(arg, CURL_SOCKET_TIMEOUT, 0);
}

// ---- handles ----

static void easy_common(HttpCall *call)
{
    HttpClient *client = call->client;
    CURL *easy = call->easy;
    curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->curl_error);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)RECEIVE_BYTES);
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)CONNECTION_IDLE_S);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "narthex/" NARTHEX_VERSION);
    curl_easy_setopt(easy, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                     client->config.enable_http2 ? (long)CURL_HTTP_VERSION_2TLS
                                                 : (long)CURL_HTTP_VERSION_1_1);
    if (client->proxy)
        curl_easy_setopt(easy, CURLOPT_PROXY, client->proxy);
    if (client->no_proxy)
        curl_easy_setopt(easy, CURLOPT_NOPROXY, client->no_proxy);
    if (client->proxy_headers)
        curl_easy_setopt(easy, CURLOPT_PROXYHEADER, client->proxy_headers);
}

static void easy_tls(HttpCall *call)
{
    static const long lowest[] = {CURL_SSLVERSION_TLSv1_2, CURL_SSLVERSION_TLSv1_0,
                                  CURL_SSLVERSION_TLSv1_1, CURL_SSLVERSION_TLSv1_2,
                                  CURL_SSLVERSION_TLSv1_3};
    static const long highest[] = {CURL_SSLVERSION_MAX_DEFAULT, CURL_SSLVERSION_MAX_TLSv1_0,
                                   CURL_SSLVERSION_MAX_TLSv1_1, CURL_SSLVERSION_MAX_TLSv1_2,
                                   CURL_SSLVERSION_MAX_TLSv1_3};
    const HttpTlsConfig *tls = &call->client->config.tls_config;
    const HttpCredentials *credentials = call->client->credentials;
    CURL *easy = call->easy;
    const char *ca = http_credentials_pem_path(credentials, HTTP_PEM_CA);
    if (ca) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, ca);
        curl_easy_setopt(easy, CURLOPT_PROXY_CAINFO, ca);
    }
    curl_easy_setopt(easy, CURLOPT_SSLCERT, http_credentials_pem_path(credentials, HTTP_PEM_CERT));
    curl_easy_setopt(easy, CURLOPT_SSLKEY, http_credentials_pem_path(credentials, HTTP_PEM_KEY));
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, tls->insecure_skip_verify ? 0L : 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, tls->insecure_skip_verify ? 0L : 2L);
    curl_easy_setopt(easy, CURLOPT_PROXY_SSL_VERIFYPEER, tls->insecure_skip_verify ? 0L : 1L);
    curl_easy_setopt(easy, CURLOPT_PROXY_SSL_VERIFYHOST, tls->insecure_skip_verify ? 0L : 2L);
    long low = lowest[tls->min_version];
    // A maximum below the default minimum lowers that.
    if (tls->min_version == 0 && tls->max_version && tls->max_version < 3)
        low = lowest[tls->max_version];
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, low | highest[tls->max_version]);
}

static void need_easy(HttpCall *call)
{
    if (call->easy)
        return;
    call->easy = curl_easy_init();
    if (!call->easy)
        out_of_memory(sizeof *call);
    easy_common(call);
}

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
    curl_easy_cleanup(call->easy); // accepts NULL
    curl_slist_free_all(call->list);
    curl_slist_free_all(call->connect_to);
    Buf *bufs[] = {&call->method,  &call->url,      &call->request_body,
                   &call->headers, &call->list_key, &call->new_key,
                   &call->wire,    &call->own_body, &call->reply_headers};
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

// ---- beginning a request ----

static bool has_line(Str lines, Str name)
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

// All lines of this request, each ending in NUL, into new_key.
static void gather_lines(HttpCall *call, Str host_line)
{
    Buf *lines = &call->new_key;
    buf_reset(lines);
    buf_add_str(lines, buf_str(&call->headers));
    if (!call->left_home)
        buf_add_str(lines, http_credentials_lines(call->client->credentials));
    if (call->accept_gzip)
        add_line(lines, S("Accept-Encoding: gzip"));
    if (host_line.len)
        add_line(lines, host_line);
    if (call->request_body.len) {
        add_line(lines, S("Expect:")); // no waiting for 100 Continue
        if (!has_line(buf_str(&call->headers), S("Content-Type")))
            add_line(lines, S("Content-Type:")); // not libcurl's guess
    }
}

static bool lines_are_whole(Str lines, Error *err)
{
    if (str_find_char(lines, '\r') != STR_NOT_FOUND || str_find_char(lines, '\n') != STR_NOT_FOUND)
        return error_set(err, ERR_INVALID, "a request header has a line break in it");
    return true;
}

static bool build_list(HttpCall *call)
{
    Str lines = buf_str(&call->new_key);
    if (call->list && str_equal(lines, buf_str(&call->list_key)))
        return true;
    if (!lines_are_whole(lines, &call->err))
        return false;

    struct curl_slist *list = NULL;
    for (const char *at = lines.ptr, *end = at + lines.len; at < end; at += strlen(at) + 1) {
        struct curl_slist *longer = curl_slist_append(list, at);
        if (!longer)
            out_of_memory(strlen(at));
        list = longer;
    }
    curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, list);
    curl_slist_free_all(call->list);
    call->list = list;
    Buf old = call->list_key;
    call->list_key = call->new_key;
    call->new_key = old;
    return true;
}

static void url_part(CURLU *url, CURLUPart part, unsigned flags, Buf *out)
{
    char *text = NULL;
    buf_reset(out);
    if (curl_url_get(url, part, &text, flags) == CURLUE_OK)
        buf_add_c(out, text);
    buf_add_char(out, '\0');
    out->len--;
    curl_free(text);
}

// With server_name the URL names that host (which rules SNI and the check of the certificate), while the
// connection and the Host header go where the caller said.
static bool set_url_renamed(HttpCall *call, Arena *arena, Str *ret_host_line)
{
    Str server_name = call->client->config.tls_config.server_name;
    CURLU *url = curl_url();
    Buf host = {0}, port = {0}, given_port = {0}, text = {0};
    bool ok = curl_url_set(url, CURLUPART_URL, call->url.ptr, 0) == CURLUE_OK;
    if (ok) {
        url_part(url, CURLUPART_HOST, 0, &host);
        url_part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT, &port);
        url_part(url, CURLUPART_PORT, CURLU_NO_DEFAULT_PORT, &given_port);
        *ret_host_line = given_port.len
                             ? arena_printf(arena, "Host: %s:%s", host.ptr, given_port.ptr)
                             : arena_printf(arena, "Host: %s", host.ptr);
        Str route = arena_printf(arena, STR_FMT ":%s:%s:%s", STR_ARG(server_name), port.ptr,
                                 host.ptr, port.ptr);
        curl_slist_free_all(call->connect_to);
        call->connect_to = curl_slist_append(NULL, route.ptr);
        curl_easy_setopt(call->easy, CURLOPT_CONNECT_TO, call->connect_to);
        ok = curl_url_set(url, CURLUPART_HOST, str_to_c(arena, server_name), 0) == CURLUE_OK;
    }
    if (ok) {
        url_part(url, CURLUPART_URL, 0, &text);
        curl_easy_setopt(call->easy, CURLOPT_URL, text.ptr);
    }
    curl_url_cleanup(url);
    buf_deinit(&host);
    buf_deinit(&port);
    buf_deinit(&given_port);
    buf_deinit(&text);
    return ok || error_set(&call->err, ERR_INVALID, "malformed URL or server_name");
}

static void set_method(HttpCall *call)
{
    CURL *easy = call->easy;
    Str method = buf_str(&call->method);
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, NULL);
    curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L); // undoes POST and HEAD of an earlier call
    if (str_is(method, "HEAD")) {
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    } else if (call->request_body.len || str_is(method, "POST")) {
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->request_body.len);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS,
                         call->request_body.len ? call->request_body.ptr : "");
        if (!str_is(method, "POST"))
            curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call->method.ptr);
    } else if (!str_is(method, "GET")) {
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call->method.ptr);
    }
}

// ---- over a connection of our own ----

static Buf *on_plain_head(void *arg, int status, Str headers, int64_t announced)
{
    HttpCall *call = arg;
    call->plain_status = status;
    buf_add_str(&call->reply_headers, headers);
    begin_body(call, announced);
    return call->is_encoded ? &call->wire : call->body;
}

static void answer_ended(HttpCall *call, int status);
static void call_finish(HttpCall *call, int status);

static void on_plain_end(void *arg, const Error *err)
{
    HttpCall *call = arg;
    call->plain = NULL;
    if (err) {
        call->err = *err;
        call_finish(call, 0);
    } else {
        answer_ended(call, call->plain_status);
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
    gather_lines(call, STR_NONE);
    Str lines = buf_str(&call->new_key);
    if (!lines_are_whole(lines, &call->err))
        return false;
    buf_reset(head);
    buf_add_str(head, buf_str(&call->method));
    buf_add_char(head, ' ');
    buf_add_str(head, url->target.len ? url->target : S("/"));
    buf_add_str(head, S(" HTTP/1.1\r\n"));
    if (!has_line(lines, S("Host"))) {
        buf_add_str(head, S("Host: "));
        add_head_line(head, url->authority);
    }
    if (!has_line(lines, S("User-Agent")))
        add_head_line(head, S("User-Agent: narthex/" NARTHEX_VERSION));
    if (!has_line(lines, S("Accept")))
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

// ---- over libcurl ----

// Prepares the handle for the call's url and puts it to work. False: call->err says why not.
static bool run_curl(HttpCall *call, int64_t spent_ms)
{
    HttpClient *client = call->client;
    need_easy(call);
    if (call->generation != http_credentials_generation(client->credentials)) {
        call->generation = http_credentials_generation(client->credentials);
        easy_tls(call);
    }

    Arena arena = {0};
    Str host_line = STR_NONE;
    bool ok = true;
    bool rename = client->config.tls_config.server_name.len && !call->left_home &&
                  str_starts_with(buf_str(&call->url), S("https:"));
    if (rename) {
        ok = set_url_renamed(call, &arena, &host_line);
    } else {
        if (call->connect_to)
            curl_easy_setopt(call->easy, CURLOPT_CONNECT_TO, NULL);
        curl_easy_setopt(call->easy, CURLOPT_URL, call->url.ptr);
    }
    if (has_line(buf_str(&call->headers), S("Host")))
        host_line = STR_NONE;
    gather_lines(call, host_line);
    ok = ok && build_list(call);
    arena_deinit(&arena);
    if (!ok)
        return false;

    set_method(call);
    curl_easy_setopt(call->easy, CURLOPT_UNIX_SOCKET_PATH,
                     call->unix_socket.len ? call->unix_socket.ptr : NULL);
    curl_easy_setopt(call->easy, CURLOPT_TIMEOUT_MS,
                     call->timeout_ms > 0 ? (long)(call->timeout_ms - spent_ms) : 0L);
    call->curl_error[0] = '\0';
    CURLMcode rc = curl_multi_add_handle(client->multi, call->easy);
    if (rc != CURLM_OK)
        return error_set(&call->err, ERR_IO, "%s", curl_multi_strerror(rc));
    call->is_running = true;
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
    buf_reset(call->body);
    buf_reset(&call->wire);
    buf_reset(&call->reply_headers);
    call->body_begun = call->is_encoded = call->is_unknown_encoding = call->too_large = false;
    HttpPlainUrl url;
    if (client->plain && !call->unix_socket.len && http_plain_can(buf_str(&call->url), &url))
        return run_plain(call, &url);
    return run_curl(call, spent_ms);
}

static void copy_c(Buf *buf, Str text)
{
    buf_reset(buf);
    buf_add_str(buf, text);
    buf_add_char(buf, '\0');
    buf->len--;
}

HttpCall *http_call(HttpClient *client, const HttpCallOptions *options)
{
    ASSERT(!client->freed);
    HttpCall *call = call_new(client);
    copy_c(&call->method, options->method.len ? options->method : S("GET"));
    copy_c(&call->url, options->url);
    copy_c(&call->request_body, options->body);
    copy_c(&call->unix_socket, options->unix_socket);
    buf_reset(&call->headers);
    for (size_t i = 0; i < options->header_count; i++)
        add_line(&call->headers, options->headers[i]);
    call->begin_ns = clock_mono_ns(&clock_system);
    call->timeout_ms = options->timeout_ms;
    call->body_bytes_max =
        options->body_bytes_max ? options->body_bytes_max : BODY_BYTES_MAX_DEFAULT;
    call->accept_gzip = options->accept_gzip;
    call->body = options->body_buf ? options->body_buf : &call->own_body;
    call->done = options->done;
    call->arg = options->arg;
    call->redirects = 0;
    call->left_home = false;
    call->failed_early = false;
    call->err.code = ERR_NONE;
    if (!call_run(call)) {
        call->failed_early = true;
        loop_timer_set(client->fail_timer, 0);
    }
    return call;
}

// ---- the end of a request ----

static void client_destroy(HttpClient *client);

static void dispatch_end(HttpClient *client)
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
    error_context(&call->err, "%s \"%s\"", method, call->url.ptr);
}

static void call_finish(HttpCall *call, int status)
{
    HttpClient *client = call->client;
    if (call->is_running) {
        curl_multi_remove_handle(client->multi, call->easy);
        call->is_running = false;
    }
    if (call->plain)
        http_plain_cancel(call->plain);
    call->plain = NULL;
    HttpResponse response = {
        .status = status,
        .took_ns = clock_mono_ns(&clock_system) - call->begin_ns,
    };
    if (status) {
        response.headers = buf_str(&call->reply_headers);
        response.content_type = find_header(response.headers, S("Content-Type"));
        response.wire_bytes = call->is_encoded ? call->wire.len : call->body->len;
    }
    if (call->err.code == ERR_NONE && call->is_encoded) {
        buf_reset(call->body);
        bool ok = gzip_decode(buf_str(&call->wire), call->body_bytes_max, call->body, &call->err);
        ASSERT(ok || call->err.code != ERR_NONE);
    }
    if (call->err.code != ERR_NONE) {
        name_request(call);
        response.err = &call->err;
    } else {
        response.body = buf_str(call->body);
    }
    client->dispatching++;
    call_detach(call); // so that http_client_free from inside `done` does not cancel it
    call->done(call->arg, &response);
    call_put_away(call);
    dispatch_end(client);
}

static void set_connect_error(HttpCall *call)
{
    long error_number = 0;
    curl_easy_getinfo(call->easy, CURLINFO_OS_ERRNO, &error_number);
    if (error_number == 0) {
        error_set(&call->err, ERR_UNAVAILABLE, "%s", call->curl_error);
        return;
    }
    CURLU *url = curl_url();
    Buf host = {0}, port = {0}, address = {0};
    if (curl_url_set(url, CURLUPART_URL, call->url.ptr, 0) == CURLUE_OK) {
        url_part(url, CURLUPART_HOST, 0, &host);
        url_part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT, &port);
    }
    buf_add_str(&address, buf_str(&host));
    buf_add_char(&address, ':');
    buf_add_str(&address, buf_str(&port));
    char reason[100];
    snprintf(reason, sizeof reason, "%s", strerror((int)error_number));
    reason[0] = (char)tolower((unsigned char)reason[0]);
    error_set(&call->err, ERR_UNAVAILABLE, "dial tcp " STR_FMT ": connect: %s",
              STR_ARG(buf_str(&address)), reason);
    curl_url_cleanup(url);
    buf_deinit(&host);
    buf_deinit(&port);
    buf_deinit(&address);
}

static void set_curl_error(HttpCall *call, CURLcode code)
{
    const char *text = call->curl_error[0] ? call->curl_error : curl_easy_strerror(code);
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        error_set(&call->err, ERR_TIMEOUT, "context deadline exceeded");
        break;
    case CURLE_COULDNT_CONNECT:
        set_connect_error(call);
        break;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        error_set(&call->err, ERR_UNAVAILABLE, "%s", text);
        break;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_PEER_FAILED_VERIFICATION:
        error_set(&call->err, ERR_INVALID, "%s", text);
        break;
    case CURLE_WRITE_ERROR:
        if (call->too_large)
            error_set(&call->err, ERR_LIMIT, "response body is larger than %zu bytes",
                      call->body_bytes_max);
        else
            error_set(&call->err, ERR_LIMIT, "response headers are larger than %d bytes",
                      HTTP_PLAIN_HEAD_BYTES_MAX);
        break;
    default:
        error_set(&call->err, ERR_IO, "%s", text);
    }
}

static bool same_place(CURLU *from, CURLU *to)
{
    Buf a = {0}, b = {0};
    static const CURLUPart parts[] = {CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_PORT};
    bool same = true;
    for (size_t i = 0; i < COUNT_OF(parts) && same; i++) {
        url_part(from, parts[i], CURLU_DEFAULT_PORT, &a);
        url_part(to, parts[i], CURLU_DEFAULT_PORT, &b);
        same = str_equal_nocase(buf_str(&a), buf_str(&b));
        // The usual step from http to https on the same host keeps what it has.
        if (!same && parts[i] == CURLUPART_SCHEME)
            same = str_is(buf_str(&a), "http") && str_is(buf_str(&b), "https");
        else if (!same && parts[i] == CURLUPART_PORT)
            same = str_is(buf_str(&a), "80") && str_is(buf_str(&b), "443");
    }
    buf_deinit(&a);
    buf_deinit(&b);
    return same;
}

// Turns the call towards the Location of its answer and runs it again.
static bool follow(HttpCall *call, long status)
{
    if (++call->redirects > REDIRECTS_MAX)
        return error_set(&call->err, ERR_IO, "stopped after %d redirects", REDIRECTS_MAX);

    Str location = find_header(buf_str(&call->reply_headers), S("Location"));
    Arena arena = {0};
    CURLU *from = curl_url();
    CURLU *to = curl_url();
    bool ok = curl_url_set(from, CURLUPART_URL, call->url.ptr, 0) == CURLUE_OK &&
              curl_url_set(to, CURLUPART_URL, call->url.ptr, 0) == CURLUE_OK &&
              curl_url_set(to, CURLUPART_URL, str_to_c(&arena, location), 0) == CURLUE_OK;
    if (ok) {
        call->left_home = call->left_home || !same_place(from, to);
        url_part(to, CURLUPART_URL, 0, &call->url);
    } else {
        error_set(&call->err, ERR_INVALID, "failed to parse Location header \"" STR_FMT "\"",
                  STR_ARG(location));
    }
    curl_url_cleanup(from);
    curl_url_cleanup(to);
    arena_deinit(&arena);
    if (!ok)
        return false;

    bool keeps_method = status == 307 || status == 308 || str_is(buf_str(&call->method), "HEAD");
    if (!keeps_method) {
        copy_c(&call->method, S("GET"));
        buf_reset(&call->request_body);
    }
    return call_run(call);
}

// The answer is whole.
static void answer_ended(HttpCall *call, int status)
{
    if (is_redirect(call, status)) {
        if (!follow(call, status))
            call_finish(call, 0);
        return;
    }
    if (call->is_unknown_encoding)
        error_set(&call->err, ERR_INVALID,
                  "the answer's content encoding is not one that was asked for");
    call_finish(call, status);
}

static void call_ended(HttpCall *call, CURLcode code)
{
    long status = 0;
    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_multi_remove_handle(call->client->multi, call->easy);
    call->is_running = false;
    if (code != CURLE_OK) {
        set_curl_error(call, code);
        call_finish(call, 0);
        return;
    }
    answer_ended(call, (int)status);
}

static void collect_finished(HttpClient *client)
{
    client->dispatching++;
    CURLMsg *message;
    int left;
    while (!client->freed && (message = curl_multi_info_read(client->multi, &left))) {
        if (message->msg != CURLMSG_DONE)
            continue;
        HttpCall *call = NULL;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &call);
        call_ended(call, message->data.result);
    }
    dispatch_end(client);
}

// Tells the calls that never got to the wire.
static void on_fail_timer(void *arg)
{
    HttpClient *client = arg;
    client->dispatching++;
    for (bool found = true; found && !client->freed;) {
        found = false;
        for (HttpCall *call = client->active; call && !found; call = call->next) {
            if (!call->failed_early)
                continue;
            found = true;
            call->failed_early = false;
            call_finish(call, 0);
            break;
        }
    }
    dispatch_end(client);
}

void http_call_cancel(HttpCall *call)
{
    error_set(&call->err, ERR_CANCELED, "context canceled");
    call_finish(call, 0);
}

// ---- life ----

static void global_init(void)
{
    CURLcode rc = curl_global_init(CURL_GLOBAL_DEFAULT);
    ASSERT(rc == CURLE_OK);
}

static void setup_proxy(HttpClient *client)
{
    const HttpClientConfig *config = &client->config;
    if (config->proxy_from_environment)
        return;
    client->proxy =
        str_to_c(&client->arena, config->proxy_url); // empty: none, whatever the environment says
    if (config->no_proxy.len)
        client->no_proxy = str_to_c(&client->arena, config->no_proxy);
    else
        client->no_proxy = "";
}

static void setup_proxy_headers(HttpClient *client)
{
    const ConfigStrListMap *map = &client->config.proxy_connect_header;
    for (size_t i = 0; i < map->count; i++)
        for (size_t v = 0; v < map->values[i].count; v++) {
            Str line = arena_printf(&client->arena, STR_FMT ": " STR_FMT, STR_ARG(map->keys[i]),
                                    STR_ARG(map->values[i].items[v]));
            client->proxy_headers = curl_slist_append(client->proxy_headers, line.ptr);
        }
}

bool http_client_new(Loop *loop, const HttpClientConfig *config, HttpClient **ret_client,
                     Error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, global_init);

    HttpClient *client = X_NEW(HttpClient);
    client->loop = loop;
    if (config)
        client->config = *config;
    else
        http_client_config_default(&client->config);
    arena_init(&client->arena);
    client->multi = curl_multi_init();
    if (!client->multi) {
        free(client);
        return error_set(err, ERR_IO, "cannot initialise the HTTP client");
    }
    client->credentials = http_credentials_new(&client->config);
    if (!client->config.proxy_from_environment && client->config.proxy_url.len == 0)
        client->plain = http_plain_new(loop, CONNECTION_IDLE_S * 1000000000LL);
    client->timer = loop_timer_new(loop, on_timer, client);
    client->fail_timer = loop_timer_new(loop, on_fail_timer, client);
    setup_proxy(client);
    setup_proxy_headers(client);
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, on_timer_wanted);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_KEPT);
    *ret_client = client;
    return true;
}

static void client_destroy(HttpClient *client)
{
    while (client->idle) {
        HttpCall *call = client->idle;
        client->idle = call->next;
        call_free(call);
    }
    http_plain_free(client->plain);
    curl_multi_cleanup(client->multi);
    curl_slist_free_all(client->proxy_headers);
    loop_timer_free(client->timer);
    loop_timer_free(client->fail_timer);
    http_credentials_free(client->credentials);
    arena_deinit(&client->arena);
    free(client);
}

void http_client_free(HttpClient *client)
{
    if (!client)
        return;
    client->dispatching++;
    client->freed = true;
    while (client->active)
        http_call_cancel(client->active);
    dispatch_end(client);
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
