// SPDX-License-Identifier: Apache-2.0
//
// A handle keeps its options from call to call: only what differs is set again, and a header list is rebuilt only when its text has
// changed.
#include <ctype.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/http_client_internal.h"

// ---- libcurl's callbacks ----

static void collect_finished(HttpClient *client);

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

static size_t on_body(char *bytes, size_t size, size_t count, void *arg)
{
    HttpCall *call = arg;
    size_t len = size * count;
    if (!call->body_begun) {
        curl_off_t announced = -1;
        curl_lib.easy_getinfo(call->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announced);
        http_call_begin_body(call, announced);
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

static void socket_action(HttpClient *client, curl_socket_t fd, int events)
{
    int running;
    CURLMcode rc = curl_lib.multi_socket_action(client->multi, fd, events, &running);
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
        curl_lib.multi_assign(client->multi, fd, NULL);
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
        curl_lib.multi_assign(client->multi, fd,
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

// ---- counting connections ----

// What is known of a socket of libcurl's.
enum { SOCKET_UNKNOWN, SOCKET_DIALING, SOCKET_ESTABLISHED };

static char *state_of(HttpClient *client, curl_socket_t fd)
{
    size_t wanted = (size_t)fd + 1;
    if (client->sockets.len < wanted) {
        char *more = buf_reserve(&client->sockets, wanted - client->sockets.len);
        memset(more, SOCKET_UNKNOWN, wanted - client->sockets.len);
        client->sockets.len = wanted;
    }
    return &client->sockets.ptr[fd];
}

static curl_socket_t on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    HttpClient *client = arg;
    (void)purpose;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd < 0)
        return CURL_SOCKET_BAD;
    conn_track_count(client->dialer.attempted);
    *state_of(client, fd) = SOCKET_DIALING;
    return fd;
}

static int on_close_socket(void *arg, curl_socket_t fd)
{
    HttpClient *client = arg;
    char *state = state_of(client, fd);
    if (*state == SOCKET_ESTABLISHED)
        conn_track_count(client->dialer.closed);
    *state = SOCKET_UNKNOWN;
    return close(fd);
}

// The call has ended: what it tells of its connection.
static void count_connection(HttpCall *call, CURLcode code)
{
    ConnDialer *dialer = &call->client->dialer;
    curl_socket_t fd = CURL_SOCKET_BAD;
    long error_number = 0;
    if (code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY) {
        conn_track_count(dialer->attempted);
        conn_track_count(dialer->failed[CONN_RESOLUTION]);
        return;
    }
    if (code == CURLE_COULDNT_CONNECT) {
        curl_lib.easy_getinfo(call->easy, CURLINFO_OS_ERRNO, &error_number);
        conn_track_count(dialer->failed[conn_track_failure((int)error_number)]);
        return;
    }
    curl_lib.easy_getinfo(call->easy, CURLINFO_ACTIVESOCKET, &fd);
    if (fd == CURL_SOCKET_BAD)
        return;
    char *state = state_of(call->client, fd);
    if (*state == SOCKET_DIALING)
        conn_track_count(dialer->established);
    *state = SOCKET_ESTABLISHED;
}

// ---- handles ----

static void easy_common(HttpCall *call)
{
    HttpClient *client = call->client;
    CURL *easy = call->easy;
    curl_lib_set(easy, CURLOPT_PRIVATE, call);
    curl_lib_set(easy, CURLOPT_ERRORBUFFER, call->curl_error);
    curl_lib_set(easy, CURLOPT_NOSIGNAL, 1L);
    curl_lib_set(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    curl_lib_set(easy, CURLOPT_OPENSOCKETDATA, client);
    curl_lib_set(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close_socket);
    curl_lib_set(easy, CURLOPT_CLOSESOCKETDATA, client);
    curl_lib_set(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_lib_set(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_lib_set(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_lib_set(easy, CURLOPT_WRITEDATA, call);
    curl_lib_set(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_lib_set(easy, CURLOPT_HEADERDATA, call);
    curl_lib_set(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_lib_set(easy, CURLOPT_BUFFERSIZE, (long)RECEIVE_BYTES);
    curl_lib_set(easy, CURLOPT_MAXAGE_CONN, (long)CONNECTION_IDLE_S);
    curl_lib_set(easy, CURLOPT_USERAGENT, "narthex/" NARTHEX_VERSION);
    curl_lib_set(easy, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
    curl_lib_set(easy, CURLOPT_PROXY, ""); // none, whatever the environment says
    curl_lib_set(easy, CURLOPT_NOPROXY, "");
    if (client->proxy_headers)
        curl_lib_set(easy, CURLOPT_PROXYHEADER, client->proxy_headers);
}

long http_curl_tls_versions(const HttpTlsConfig *tls)
{
    static const long lowest[] = {CURL_SSLVERSION_TLSv1_2, CURL_SSLVERSION_TLSv1_0,
                                  CURL_SSLVERSION_TLSv1_1, CURL_SSLVERSION_TLSv1_2,
                                  CURL_SSLVERSION_TLSv1_3};
    static const long highest[] = {CURL_SSLVERSION_MAX_DEFAULT, CURL_SSLVERSION_MAX_TLSv1_0,
                                   CURL_SSLVERSION_MAX_TLSv1_1, CURL_SSLVERSION_MAX_TLSv1_2,
                                   CURL_SSLVERSION_MAX_TLSv1_3};
    long low = lowest[tls->min_version];
    // A maximum below the default minimum lowers that.
    if (tls->min_version == 0 && tls->max_version && tls->max_version < 3)
        low = lowest[tls->max_version];
    return low | highest[tls->max_version];
}

static void easy_tls(HttpCall *call)
{
    const HttpTlsConfig *tls = &call->client->config.tls_config;
    const HttpCredentials *credentials = call->client->credentials;
    CURL *easy = call->easy;
    const char *ca = http_credentials_pem_path(credentials, HTTP_PEM_CA);
    if (ca) {
        curl_lib_set(easy, CURLOPT_CAINFO, ca);
        curl_lib_set(easy, CURLOPT_PROXY_CAINFO, ca);
    }
    curl_lib_set(easy, CURLOPT_SSLCERT, http_credentials_pem_path(credentials, HTTP_PEM_CERT));
    curl_lib_set(easy, CURLOPT_SSLKEY, http_credentials_pem_path(credentials, HTTP_PEM_KEY));
    curl_lib_set(easy, CURLOPT_SSL_VERIFYPEER, tls->insecure_skip_verify ? 0L : 1L);
    curl_lib_set(easy, CURLOPT_SSL_VERIFYHOST, tls->insecure_skip_verify ? 0L : 2L);
    curl_lib_set(easy, CURLOPT_PROXY_SSL_VERIFYPEER, tls->insecure_skip_verify ? 0L : 1L);
    curl_lib_set(easy, CURLOPT_PROXY_SSL_VERIFYHOST, tls->insecure_skip_verify ? 0L : 2L);
    curl_lib_set(easy, CURLOPT_SSLVERSION, http_curl_tls_versions(tls));
}

static void set_version(HttpCall *call)
{
    bool http2 = call->client->config.enable_http2;
    bool plain = str_starts_with(buf_str(&call->url), S("http:"));
    long version = http2 ? (long)CURL_HTTP_VERSION_2TLS : (long)CURL_HTTP_VERSION_1_1;
    if (call->http2_only)
        version = plain ? (long)CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE : (long)CURL_HTTP_VERSION_2TLS;
    curl_lib_set(call->easy, CURLOPT_HTTP_VERSION, version);
}

static void setup_proxy_headers(HttpClient *client)
{
    const ConfigStrListMap *map = &client->config.proxy.proxy_connect_header;
    for (size_t i = 0; i < map->count; i++)
        for (size_t v = 0; v < map->values[i].count; v++) {
            Str line = arena_printf(&client->arena, STR_FMT ": " STR_FMT, STR_ARG(map->keys[i]),
                                    STR_ARG(map->values[i].items[v]));
            client->proxy_headers = curl_lib.slist_append(client->proxy_headers, line.ptr);
        }
}

// Most clients only ever ask plain addresses, and need neither this nor libcurl.
static bool need_multi(HttpClient *client, Error *err)
{
    if (client->multi)
        return true;
    if (!curl_lib_load(err))
        return false;
    client->multi = curl_lib.multi_init();
    if (!client->multi)
        out_of_memory(sizeof *client);
    client->timer = loop_timer_new(client->loop, on_timer, client);
    setup_proxy_headers(client);
    curl_lib_multi_set(client->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_lib_multi_set(client->multi, CURLMOPT_SOCKETDATA, client);
    curl_lib_multi_set(client->multi, CURLMOPT_TIMERFUNCTION, on_timer_wanted);
    curl_lib_multi_set(client->multi, CURLMOPT_TIMERDATA, client);
    curl_lib_multi_set(client->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_KEPT);
    return true;
}

static bool need_easy(HttpCall *call)
{
    if (call->easy)
        return true;
    if (!need_multi(call->client, &call->err))
        return false;
    call->easy = curl_lib.easy_init();
    if (!call->easy)
        out_of_memory(sizeof *call);
    easy_common(call);
    return true;
}

// ---- beginning a request ----

static bool build_list(HttpCall *call)
{
    Str lines = buf_str(&call->new_key);
    if (call->list && str_equal(lines, buf_str(&call->list_key)))
        return true;
    if (!http_call_lines_are_whole(lines, &call->err))
        return false;

    struct curl_slist *list = NULL;
    for (const char *at = lines.ptr, *end = at + lines.len; at < end; at += strlen(at) + 1) {
        struct curl_slist *longer = curl_lib.slist_append(list, at);
        if (!longer)
            out_of_memory(strlen(at));
        list = longer;
    }
    curl_lib_set(call->easy, CURLOPT_HTTPHEADER, list);
    curl_lib.slist_free_all(call->list);
    call->list = list;
    Buf old = call->list_key;
    call->list_key = call->new_key;
    call->new_key = old;
    return true;
}

void http_curl_url_part(CURLU *url, CURLUPart part, unsigned flags, Buf *out)
{
    char *text = NULL;
    buf_reset(out);
    if (curl_lib.url_get(url, part, &text, flags) == CURLUE_OK)
        buf_add_c(out, text);
    buf_add_char(out, '\0');
    out->len--;
    curl_lib.free(text);
}

// With server_name the URL names that host (which rules SNI and the check of the certificate), while the
// connection and the Host header go where the caller said.
static bool set_url_renamed(HttpCall *call, Arena *arena, Str *ret_host_line)
{
    Str server_name = call->client->config.tls_config.server_name;
    CURLU *url = curl_lib.url();
    Buf host = {0}, port = {0}, given_port = {0}, text = {0};
    bool ok = curl_lib.url_set(url, CURLUPART_URL, call->url.ptr, 0) == CURLUE_OK;
    if (ok) {
        http_curl_url_part(url, CURLUPART_HOST, 0, &host);
        http_curl_url_part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT, &port);
        http_curl_url_part(url, CURLUPART_PORT, CURLU_NO_DEFAULT_PORT, &given_port);
        *ret_host_line = given_port.len
                             ? arena_printf(arena, "Host: %s:%s", host.ptr, given_port.ptr)
                             : arena_printf(arena, "Host: %s", host.ptr);
        Str route = arena_printf(arena, STR_FMT ":%s:%s:%s", STR_ARG(server_name), port.ptr,
                                 call->connect_address.len ? call->connect_address.ptr : host.ptr,
                                 port.ptr);
        curl_lib.slist_free_all(call->connect_to);
        call->connect_to = curl_lib.slist_append(NULL, route.ptr);
        curl_lib_set(call->easy, CURLOPT_CONNECT_TO, call->connect_to);
        ok = curl_lib.url_set(url, CURLUPART_HOST, str_to_c(arena, server_name), 0) == CURLUE_OK;
    }
    if (ok) {
        http_curl_url_part(url, CURLUPART_URL, 0, &text);
        curl_lib_set(call->easy, CURLOPT_URL, text.ptr);
    }
    curl_lib.url_cleanup(url);
    buf_deinit(&host);
    buf_deinit(&port);
    buf_deinit(&given_port);
    buf_deinit(&text);
    return ok || error_set(&call->err, ERR_INVALID, "malformed URL or server_name");
}

// Any host and port of the URL: the address of the caller, the port of the URL.
static void set_address(HttpCall *call, Arena *arena)
{
    bool other = call->connect_address.len && !call->left_home;
    if (!other && !call->connect_to)
        return;
    curl_lib.slist_free_all(call->connect_to);
    call->connect_to = NULL;
    if (other)
        call->connect_to = curl_lib.slist_append(
            NULL, arena_printf(arena, "::%s:", call->connect_address.ptr).ptr);
    curl_lib_set(call->easy, CURLOPT_CONNECT_TO, call->connect_to);
}

static void set_proxy(HttpCall *call)
{
    const HttpProxies *proxies = &call->client->proxies;
    const char *proxy = NULL;
    if (!proxies->http && !proxies->https)
        return;
    CURLU *url = curl_lib.url();
    Buf host = {0}, port = {0};
    if (curl_lib.url_set(url, CURLUPART_URL, call->url.ptr, 0) == CURLUE_OK) {
        http_curl_url_part(url, CURLUPART_HOST, 0, &host);
        http_curl_url_part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT, &port);
        Str name = buf_str(&host);
        if (str_starts_with(name, S("[")))
            name = str_sub(name, 1, name.len - 2);
        proxy = http_proxy_for(proxies, str_starts_with(buf_str(&call->url), S("https:")), name,
                               buf_str(&port));
    }
    curl_lib_set(call->easy, CURLOPT_PROXY, proxy ? proxy : "");
    curl_lib.url_cleanup(url);
    buf_deinit(&host);
    buf_deinit(&port);
}

static void set_method(HttpCall *call)
{
    CURL *easy = call->easy;
    Str method = buf_str(&call->method);
    curl_lib_set(easy, CURLOPT_CUSTOMREQUEST, NULL);
    curl_lib_set(easy, CURLOPT_HTTPGET, 1L); // undoes POST and HEAD of an earlier call
    if (str_is(method, "HEAD")) {
        curl_lib_set(easy, CURLOPT_NOBODY, 1L);
    } else if (call->request_body.len || str_is(method, "POST")) {
        curl_lib_set(easy, CURLOPT_POST, 1L);
        curl_lib_set(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->request_body.len);
        curl_lib_set(easy, CURLOPT_POSTFIELDS,
                     call->request_body.len ? call->request_body.ptr : "");
        if (!str_is(method, "POST"))
            curl_lib_set(easy, CURLOPT_CUSTOMREQUEST, call->method.ptr);
    } else if (!str_is(method, "GET")) {
        curl_lib_set(easy, CURLOPT_CUSTOMREQUEST, call->method.ptr);
    }
}

bool http_curl_run(HttpCall *call, int64_t spent_ms)
{
    HttpClient *client = call->client;
    if (!need_easy(call))
        return false;
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
        set_address(call, &arena);
        curl_lib_set(call->easy, CURLOPT_URL, call->url.ptr);
    }
    if (http_call_has_line(buf_str(&call->headers), S("Host")))
        host_line = STR_NONE;
    ok = ok && http_call_gather_lines(call, host_line) && build_list(call);
    arena_deinit(&arena);
    if (!ok)
        return false;

    set_version(call);
    set_method(call);
    set_proxy(call);
    curl_lib_set(call->easy, CURLOPT_UNIX_SOCKET_PATH,
                 call->unix_socket.len ? call->unix_socket.ptr : NULL);
    curl_lib_set(call->easy, CURLOPT_TIMEOUT_MS,
                 call->timeout_ms > 0 ? (long)(call->timeout_ms - spent_ms) : 0L);
    call->curl_error[0] = '\0';
    CURLMcode rc = curl_lib.multi_add_handle(client->multi, call->easy);
    if (rc != CURLM_OK)
        return error_set(&call->err, ERR_IO, "%s", curl_lib.multi_strerror(rc));
    call->is_running = true;
    return true;
}

// ---- the end of a request ----

static void set_connect_error(HttpCall *call)
{
    long error_number = 0;
    curl_lib.easy_getinfo(call->easy, CURLINFO_OS_ERRNO, &error_number);
    if (error_number == 0) {
        error_set(&call->err, ERR_UNAVAILABLE, "%s", call->curl_error);
        return;
    }
    CURLU *url = curl_lib.url();
    Buf host = {0}, port = {0}, address = {0};
    if (curl_lib.url_set(url, CURLUPART_URL, call->url.ptr, 0) == CURLUE_OK) {
        http_curl_url_part(url, CURLUPART_HOST, 0, &host);
        http_curl_url_part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT, &port);
    }
    buf_add_str(&address, buf_str(&host));
    buf_add_char(&address, ':');
    buf_add_str(&address, buf_str(&port));
    char reason[100];
    snprintf(reason, sizeof reason, "%s", strerror((int)error_number));
    reason[0] = (char)tolower((unsigned char)reason[0]);
    error_set(&call->err, ERR_UNAVAILABLE, "dial tcp " STR_FMT ": connect: %s",
              STR_ARG(buf_str(&address)), reason);
    curl_lib.url_cleanup(url);
    buf_deinit(&host);
    buf_deinit(&port);
    buf_deinit(&address);
}

static void set_curl_error(HttpCall *call, CURLcode code)
{
    const char *text = call->curl_error[0] ? call->curl_error : curl_lib.easy_strerror(code);
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
            error_set(&call->err, ERR_INVALID, "response headers are larger than %d bytes",
                      HTTP_PLAIN_HEAD_BYTES_MAX);
        break;
    default:
        error_set(&call->err, ERR_IO, "%s", text);
    }
}

static void call_ended(HttpCall *call, CURLcode code)
{
    long status = 0;
    curl_lib.easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    count_connection(call, code);
    http_curl_stop(call);
    if (code != CURLE_OK) {
        set_curl_error(call, code);
        http_call_finish(call, 0);
        return;
    }
    http_call_answered(call, (int)status);
}

static void collect_finished(HttpClient *client)
{
    http_client_enter(client);
    CURLMsg *message;
    int left;
    while (!client->freed && (message = curl_lib.multi_info_read(client->multi, &left))) {
        if (message->msg != CURLMSG_DONE)
            continue;
        HttpCall *call = NULL;
        curl_lib.easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &call);
        call_ended(call, message->data.result);
    }
    http_client_leave(client);
}

// ---- life ----

void http_curl_deinit(HttpClient *client)
{
    if (!client->multi)
        return;
    curl_lib.multi_cleanup(client->multi);
    curl_lib.slist_free_all(client->proxy_headers);
    loop_timer_free(client->timer);
}

void http_curl_stop(HttpCall *call)
{
    if (!call->is_running)
        return;
    curl_lib.multi_remove_handle(call->client->multi, call->easy);
    call->is_running = false;
}

void http_curl_call_free(HttpCall *call)
{
    if (!call->easy)
        return;
    curl_lib.easy_cleanup(call->easy);
    curl_lib.slist_free_all(call->list);
    curl_lib.slist_free_all(call->connect_to);
}
