// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/number.h"
#include "net/http_listen.h"
#include "net/http_server_internal.h"

static Exchange *exchange_new(HttpServer *server)
{
    Exchange *exchange = NULL;
    lock_take(&server->lock);
    if (server->free_list) {
        exchange = server->free_list;
        server->free_list = exchange->next;
        server->free_count--;
    }
    lock_give(&server->lock);
    if (!exchange) {
        exchange = X_NEW(Exchange);
        exchange->server = server;
        arena_init(&exchange->arena);
        lock_init(&exchange->lock, "http.exchange", LOCK_RANK_EXCHANGE);
        condition_init(&exchange->room);
    }
    exchange->request = (HttpRequest){.arena = &exchange->arena, .impl = exchange};
    exchange->phase = EXCHANGE_NEW;
    exchange->is_head = false;
    exchange->has_bad_target = false;
    exchange->too_large = false;
    exchange->next = NULL;
    exchange->reply_headers = (UrlParams){0};
    exchange->encoding = HTTP_ENCODING_IDENTITY;
    exchange->stream_begun = false;
    exchange->run = NULL;
    exchange->rules = NULL;
    exchange->holders = 1;
    exchange->gone = false;
    exchange->response = NULL;
    exchange->drained = 0;
    exchange->ended = false;
    exchange->broken = false;
    exchange->waiting = false;
    return exchange;
}

static void exchange_free(Exchange *exchange)
{
    arena_deinit(&exchange->arena);
    buf_deinit(&exchange->body);
    buf_deinit(&exchange->gzip_out);
    buf_deinit(&exchange->fill);
    buf_deinit(&exchange->drain);
    condition_deinit(&exchange->room);
    lock_deinit(&exchange->lock);
    free(exchange);
}

static void body_give_back(Exchange *exchange)
{
    atomic_fetch_sub(&exchange->server->body_bytes, exchange->body_reserved);
    exchange->body_reserved = 0;
}

// The last holder puts the exchange away for the next request.
void http_exchange_drop(Exchange *exchange)
{
    HttpServer *server = exchange->server;
    lock_take(&exchange->lock);
    bool last = --exchange->holders == 0;
    lock_give(&exchange->lock);
    if (!last)
        return;

    body_give_back(exchange);
    if (exchange->response)
        MHD_destroy_response(exchange->response);
    http_gzip_free(exchange->gzip);
    exchange->gzip = NULL;
    web_rules_unref(exchange->rules);
    exchange->rules = NULL;
    if (exchange->arena.held_bytes > ARENA_KEEP_BYTES) {
        arena_deinit(&exchange->arena);
        arena_init(&exchange->arena);
    } else {
        arena_reset(&exchange->arena);
    }
    if (exchange->body.cap > BODY_KEEP_BYTES) {
        buf_deinit(&exchange->body);
        buf_init(&exchange->body, 0);
    }
    buf_reset(&exchange->body);
    buf_reset(&exchange->gzip_out);
    buf_reset(&exchange->fill);
    buf_reset(&exchange->drain);

    bool was_handed = exchange->phase >= EXCHANGE_HANDED;
    lock_take(&server->lock);
    if (was_handed) {
        server->handed--;
        condition_broadcast(&server->idle);
    }
    bool keep = server->free_count < (size_t)server->worker_count + 4 && !server->stopping;
    if (keep) {
        exchange->next = server->free_list;
        server->free_list = exchange;
        server->free_count++;
    }
    lock_give(&server->lock);
    if (!keep)
        exchange_free(exchange);
}

// ---- the poll thread ----

static Connection *connection_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

static int connection_fd(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info ? info->connect_fd : -1;
}

static void connection_started(HttpServer *server, struct MHD_Connection *mhd, void **context)
{
    Connection *connection = X_NEW(Connection);
    connection->fd = connection_fd(mhd);
    connection->reading_mono_ns = clock_mono_ns(&clock_system);
    *context = connection;
    conn_track_count(server->listener.accepted);

    if (server->options.gate && web_gate_has_tls(server->options.gate)) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);
        connection->rules = web_gate_rules(server->options.gate);
        if (!connection->rules || !web_rules_secure(connection->rules, info->tls_session))
            (void)shutdown(connection->fd, SHUT_RDWR); // no handshake without rules
    }

    lock_take(&server->lock);
    connection->next = server->connections;
    if (connection->next)
        connection->next->previous = connection;
    server->connections = connection;
    http_workers_patrol(server);
    lock_give(&server->lock);
}

static void connection_closed(HttpServer *server, Connection *connection)
{
    conn_track_count(server->listener.closed);
    lock_take(&server->lock);
    if (connection->previous)
        connection->previous->next = connection->next;
    else
        server->connections = connection->next;
    if (connection->next)
        connection->next->previous = connection->previous;
    lock_give(&server->lock);
    web_rules_unref(connection->rules);
    free(connection);
}

static void on_connection(void *arg, struct MHD_Connection *mhd, void **context,
                          enum MHD_ConnectionNotificationCode what)
{
    if (what == MHD_CONNECTION_NOTIFY_STARTED)
        connection_started(arg, mhd, context);
    else if (*context)
        connection_closed(arg, *context);
}

static void connection_set_busy(HttpServer *server, struct MHD_Connection *mhd, bool busy)
{
    Connection *connection = connection_of(mhd);
    int64_t now_ns = clock_mono_ns(&clock_system);
    lock_take(&server->lock);
    connection->busy = busy;
    connection->reading_mono_ns = now_ns;
    lock_give(&server->lock);
}

// The request line is there: an exchange begins. Its address becomes *context of on_request.
static void *on_target(void *arg, const char *uri, struct MHD_Connection *mhd)
{
    HttpServer *server = arg;
    Exchange *exchange = exchange_new(server);
    exchange->connection = mhd;
    exchange->fd = connection_fd(mhd);
    exchange->request.target = arena_str(&exchange->arena, str_from_c(uri));
    connection_set_busy(server, mhd, false);
    return exchange;
}

static void on_completed(void *arg, struct MHD_Connection *mhd, void **context,
                         enum MHD_RequestTerminationCode code)
{
    (void)code;
    Exchange *exchange = *context;
    if (!exchange)
        return;
    *context = NULL;
    connection_set_busy(arg, mhd, false);
    lock_take(&exchange->lock);
    exchange->gone = true;
    condition_broadcast(&exchange->room);
    lock_give(&exchange->lock);
    http_exchange_drop(exchange);
}

static enum MHD_Result add_header(void *arg, enum MHD_ValueKind kind, const char *name,
                                  size_t name_len, const char *value, size_t value_len)
{
    (void)kind;
    HttpRequest *request = arg;
    Arena *arena = request->arena;
    request->headers[request->header_count++] = (HttpPair){
        arena_str(arena, str_make(name, name_len)), arena_str(arena, str_make(value, value_len))};
    return MHD_YES;
}

static Str client_ip(struct MHD_Connection *mhd, Arena *arena)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (!info || !info->client_addr)
        return STR_NONE;
    union {
        const struct sockaddr *any;
        const struct sockaddr_in *v4;
        const struct sockaddr_in6 *v6;
    } address = {.any = info->client_addr};
    char text[INET6_ADDRSTRLEN] = "";
    if (address.any->sa_family == AF_INET) {
        inet_ntop(AF_INET, &address.v4->sin_addr, text, sizeof text);
    } else if (address.any->sa_family == AF_INET6) {
        const struct in6_addr *v6 = &address.v6->sin6_addr;
        if (IN6_IS_ADDR_V4MAPPED(v6))
            inet_ntop(AF_INET, &v6->s6_addr[12], text, sizeof text);
        else
            inet_ntop(AF_INET6, v6, text, sizeof text);
    }
    return arena_str(arena, str_from_c(text));
}

// Splits the target; false if it cannot be read.
static bool parse_target(HttpRequest *request)
{
    size_t question = str_find_char(request->target, '?');
    Str path = str_sub(request->target, 0, question);
    return path.len > 0 && url_decode(path, false, request->arena, &request->path);
}

static void read_head(Exchange *exchange, const char *method)
{
    HttpRequest *request = &exchange->request;
    Arena *arena = request->arena;
    request->method = arena_str(arena, str_from_c(method));
    exchange->is_head = str_is(request->method, "HEAD");
    request->is_tls =
        exchange->server->options.gate && web_gate_has_tls(exchange->server->options.gate);
    request->client_ip = client_ip(exchange->connection, arena);
    exchange->has_bad_target = !parse_target(request);

    int count = MHD_get_connection_values(exchange->connection, MHD_HEADER_KIND, NULL, NULL);
    request->headers = ARENA_ARRAY(arena, HttpPair, (size_t)MAX(count, 1));
    (void)MHD_get_connection_values_n(exchange->connection, MHD_HEADER_KIND, add_header, request);
}

static bool is_form(const HttpRequest *request)
{
    if (!str_is(request->method, "POST") && !str_is(request->method, "PUT") &&
        !str_is(request->method, "PATCH"))
        return false;
    Str type = http_header(request, S("Content-Type"));
    Str media;
    return str_split_next(&type, ';', &media) &&
           str_equal_nocase(str_trim(media), S("application/x-www-form-urlencoded"));
}

// The form in the body and the query of the URL.
static bool parse_params(HttpRequest *request, Error *err)
{
    UrlParams params = {0};
    size_t question = str_find_char(request->target, '?');
    Str query = question == STR_NOT_FOUND ? STR_NONE : str_skip(request->target, question + 1);
    if (is_form(request) &&
        !url_params_add(&params, request->body, request->arena, &request->has_bad_params, err))
        return false;
    if (!url_params_add(&params, query, request->arena, &request->has_bad_params, err))
        return false;
    request->params = params.items;
    request->param_count = params.count;
    return true;
}

// An answer of our own, made on the poll thread.
static enum MHD_Result refuse(Exchange *exchange, unsigned status, const char *text)
{
    exchange->phase = EXCHANGE_ANSWERED;
    lock_take(&exchange->server->lock);
    exchange->server->handed++; // balanced when the exchange is dropped
    lock_give(&exchange->server->lock);

    union { // MHD only reads
        const char *from;
        void *to;
    } body = {.from = text};
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(text), body.to, MHD_RESPMEM_PERSISTENT);
    if (!response)
        return MHD_NO;
    (void)MHD_add_response_header(response, "Content-Type", "text/plain; charset=utf-8");
    enum MHD_Result result = MHD_queue_response(exchange->connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static bool body_reserve(Exchange *exchange, size_t bytes)
{
    HttpServer *server = exchange->server;
    size_t limit = server->options.body_bytes_max * BODIES_IN_MEMORY;
    size_t before = atomic_fetch_add(&server->body_bytes, bytes);
    exchange->body_reserved += bytes;
    return before + bytes <= limit;
}

static enum MHD_Result begin_reading(Exchange *exchange, const char *method)
{
    exchange->phase = EXCHANGE_READING;
    read_head(exchange, method);
    Str length = http_header(&exchange->request, S("Content-Length"));
    uint64_t bytes = 0;
    if (length.len && number_parse_u64(length, &bytes)) {
        if (bytes > exchange->server->options.body_bytes_max)
            return refuse(exchange, 413, "http: request body too large\n");
        (void)buf_reserve(&exchange->body, MIN((size_t)bytes, (size_t)BODY_FIRST_BYTES));
    }
    return MHD_YES;
}

static enum MHD_Result take_body(Exchange *exchange, const char *bytes, size_t *bytes_left)
{
    size_t count = *bytes_left;
    *bytes_left = 0;
    if (exchange->too_large)
        return MHD_YES;
    if (exchange->body.len + count > exchange->server->options.body_bytes_max) {
        exchange->too_large = true;
        buf_reset(&exchange->body);
        return MHD_YES;
    }
    if (!body_reserve(exchange, count))
        return MHD_NO; // too many large bodies at once: cut the connection
    buf_add(&exchange->body, bytes, count);
    return MHD_YES;
}

static enum MHD_Result hand_over(Exchange *exchange)
{
    HttpServer *server = exchange->server;
    HttpRequest *request = &exchange->request;
    Error err;
    if (exchange->too_large)
        return refuse(exchange, 413, "http: request body too large\n");
    if (exchange->has_bad_target)
        return refuse(exchange, 400, "400 Bad Request: malformed request target\n");
    request->body = buf_str(&exchange->body);
    if (!parse_params(request, &err))
        return refuse(exchange, 400, "400 Bad Request: too many parameters\n");

    connection_set_busy(server, exchange->connection, true);
    lock_take(&server->lock);
    bool stopping = server->stopping;
    if (!stopping) {
        exchange->phase = EXCHANGE_HANDED;
        exchange->holders++;
        server->handed++;
        MHD_suspend_connection(exchange->connection);
        http_workers_enqueue(server, exchange);
    }
    lock_give(&server->lock);
    return stopping ? refuse(exchange, 503, "Service Unavailable\n") : MHD_YES;
}

static enum MHD_Result send_answer(Exchange *exchange)
{
    lock_take(&exchange->lock);
    struct MHD_Response *response = exchange->response;
    exchange->phase = EXCHANGE_ANSWERED;
    lock_give(&exchange->lock);
    ASSERT(response);
    return MHD_queue_response(exchange->connection, (unsigned)exchange->status, response);
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *mhd, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_bytes, void **context)
{
    (void)arg;
    (void)mhd;
    (void)url;
    (void)version;
    Exchange *exchange = *context;
    switch (exchange->phase) {
    case EXCHANGE_NEW:
        return begin_reading(exchange, method);
    case EXCHANGE_READING:
        return *upload_bytes > 0 ? take_body(exchange, upload, upload_bytes) : hand_over(exchange);
    case EXCHANGE_HANDED:
        return send_answer(exchange);
    case EXCHANGE_ANSWERED:
        *upload_bytes = 0;
        return MHD_YES;
    }
    return MHD_NO;
}

// MHD would split and decode the query itself; we do that once, our way.
static size_t leave_escaped(void *arg, struct MHD_Connection *mhd, char *text)
{
    (void)arg;
    (void)mhd;
    return strlen(text);
}

// ---- life ----

void http_server_options_default(HttpServerOptions *ret_options)
{
    *ret_options = (HttpServerOptions){
        .listen_address = STR("127.0.0.1:0"),
        .workers = 4,
        .connections_max = 512,
        .read_timeout_ms = 5 * 60 * 1000,
        .body_bytes_max = 32 << 20,
        .header_bytes_max = 64 << 10,
    };
}

static struct MHD_Daemon *start_daemon(HttpServer *server, int fd, const WebRules *first,
                                       Arena *arena)
{
    const HttpServerOptions *options = &server->options;
    struct MHD_OptionItem items[20];
    size_t count = 0;
#define ADD(opt, num, ptr) items[count++] = (struct MHD_OptionItem){(opt), (intptr_t)(num), (ptr)}
    ADD(MHD_OPTION_LISTEN_SOCKET, fd, NULL);
    ADD(MHD_OPTION_CONNECTION_LIMIT, options->connections_max, NULL);
    ADD(MHD_OPTION_CONNECTION_TIMEOUT, MAX((options->read_timeout_ms + 999) / 1000, 1), NULL);
    ADD(MHD_OPTION_CONNECTION_MEMORY_LIMIT, options->header_bytes_max, NULL);
    ADD(MHD_OPTION_CONNECTION_MEMORY_INCREMENT, 4096, NULL);
    ADD(MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL);
    unsigned flags =
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC;
    if (first) { // each connection gets the rules of its time
        flags |= MHD_USE_TLS;
        ADD(MHD_OPTION_HTTPS_MEM_CERT, 0, str_to_c(arena, web_rules_pem(first)->cert));
        ADD(MHD_OPTION_HTTPS_MEM_KEY, 0, str_to_c(arena, web_rules_pem(first)->key));
    }
    ADD(MHD_OPTION_END, 0, NULL);
#undef ADD

    // The poll thread must not take the process' signals.
    sigset_t all;
    sigset_t old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    struct MHD_Daemon *daemon =
        MHD_start_daemon(flags, 0, NULL, NULL, on_request, server,            //
                         MHD_OPTION_ARRAY, items,                             //
                         MHD_OPTION_NOTIFY_COMPLETED, on_completed, server,   //
                         MHD_OPTION_NOTIFY_CONNECTION, on_connection, server, //
                         MHD_OPTION_URI_LOG_CALLBACK, on_target, server,      //
                         MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, NULL,   //
                         MHD_OPTION_END);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return daemon;
}

static void server_free(HttpServer *server)
{
    while (server->free_list) {
        Exchange *exchange = server->free_list;
        server->free_list = exchange->next;
        exchange_free(exchange);
    }
    free(server->workers);
    condition_deinit(&server->work);
    condition_deinit(&server->urgent_work);
    condition_deinit(&server->idle);
    lock_deinit(&server->lock);
    free(server);
}

bool http_server_start(const HttpServerOptions *options, HttpServer **ret_server, int *ret_port,
                       Error *err)
{
    HttpServer *server = X_NEW(HttpServer);
    int fd = -1;
    server->options = *options;
    server->listener = conn_track_listener(options->registry, S("http"));
    server->worker_count = MAX(options->workers, 1);
    lock_init(&server->lock, "http.server", LOCK_RANK_SERVER);
    condition_init(&server->work);
    condition_init(&server->urgent_work);
    condition_init(&server->idle);

    bool ok =
        http_listen_open(options->listen_address, &fd, err) && http_workers_start(server, err);
    int port = ok ? http_listen_port(fd) : 0;
    if (ok) {
        // The gate could be opened, so that there are rules unless the file broke just now.
        WebRules *first =
            options->gate && web_gate_has_tls(options->gate) ? web_gate_rules(options->gate) : NULL;
        Arena arena = {0};
        bool has_rules = first || !options->gate || !web_gate_has_tls(options->gate);
        // Takes fd, also when it fails.
        if (has_rules)
            server->daemon = start_daemon(server, fd, first, &arena);
        else
            close(fd);
        web_rules_unref(first);
        arena_deinit(&arena);
        fd = -1;
        if (!server->daemon)
            ok = error_set(err, ERR_IO, "listen tcp " STR_FMT ": the HTTP server does not start",
                           STR_ARG(options->listen_address));
    }
    if (!ok) {
        if (fd >= 0)
            close(fd);
        if (server->workers)
            http_workers_stop(server);
        server_free(server);
        return false;
    }
    server->options.listen_address = STR_NONE; // views of the caller's
    if (ret_port)
        *ret_port = port;
    *ret_server = server;
    return true;
}

// Waits until no exchange is with a worker or on its way out, at most `limit_ms`.
static void wait_idle(HttpServer *server, int64_t limit_ms)
{
    int64_t end_ns = clock_mono_ns(&clock_system) + limit_ms * 1000000;
    lock_take(&server->lock);
    while (server->handed > 0) {
        int64_t left_ms = (end_ns - clock_mono_ns(&clock_system)) / 1000000;
        if (left_ms <= 0)
            break;
        (void)condition_wait_ms(&server->idle, &server->lock, left_ms);
    }
    lock_give(&server->lock);
}

// Nobody is accepted any more. MHD_quiesce_daemon is not for threads that poll by epoll: it takes the socket out of their set, they do so, too,
// and whoever comes second ends the process. So it stays there, and nothing is told of it. While there are as many connections as there may
// be it is not there; who is accepted after that is told 503.
static void stop_accepting(struct MHD_Daemon *daemon)
{
    int set = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    int socket = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_LISTEN_FD)->listen_fd;
    struct epoll_event nothing = {.events = 0, .data.ptr = daemon}; // as the daemon has it

    (void)epoll_ctl(set, EPOLL_CTL_MOD, socket, &nothing);
}

void http_server_stop(HttpServer *server)
{
    if (!server)
        return;
    stop_accepting(server->daemon);
    lock_take(&server->lock);
    server->stopping = true;
    condition_broadcast(&server->work);
    lock_give(&server->lock);
    wait_idle(server, STOP_GRACE_MS);
    atomic_store(&server->hurry, true);
    http_workers_stop(server);
    lock_take(&server->lock);
    while (server->gone_on > 0)
        condition_wait(&server->idle, &server->lock);
    lock_give(&server->lock);
    wait_idle(server, STOP_SEND_MS);
    MHD_stop_daemon(server->daemon); // closes the socket
    server_free(server);
}

// ---- a request without a server ----

void http_fake_request(HttpRequest *ret_request, HttpFakeReply *reply_to, Arena *arena, Str method,
                       Str target, Str form)
{
    static const HttpPair form_type = {STR("Content-Type"),
                                       STR("application/x-www-form-urlencoded")};
    Exchange *exchange = ARENA_NEW(arena, Exchange);
    Error err;
    *reply_to = (HttpFakeReply){0};
    exchange->fake = reply_to;
    *ret_request = (HttpRequest){
        .method = method, .target = target, .arena = arena, .impl = exchange, .body = form};
    if (form.len) {
        ret_request->headers = ARENA_NEW(arena, HttpPair);
        ret_request->headers[0] = form_type;
        ret_request->header_count = 1;
    }
    bool ok = parse_target(ret_request) && parse_params(ret_request, &err);
    ASSERT(ok);
}
