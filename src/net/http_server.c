// SPDX-License-Identifier: Apache-2.0
//
// An Exchange is one request and its answer. Two hold it: the poll thread (until the answer is sent or
// the connection lost) and the worker that runs its handler.
//
//     READING --(body complete)--> HANDED --(reply or stream begun)--> ANSWERED
//        \--(refused: 400, 413, 503)-----------------------------------^
//
// (1) A connection is suspended exactly while its exchange is HANDED without a response, or its stream
//     has nothing to send. Whoever changes that resumes it, holding exchange->lock.
// (2) `connection` may be touched by a worker only while `gone` is false, holding exchange->lock: the
//     poll thread sets `gone` under that lock before it lets the connection die.
#include "net/http_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/number.h"
#include "base/thread.h"
#include "codec/compress.h"
#include "net/http_gzip.h"
#include "net/web_gate.h"

enum {
    LOCK_RANK_SERVER = 850,
    LOCK_RANK_EXCHANGE = 860,
    LISTEN_BACKLOG = 1024,
    STREAM_BYTES_MAX = 256 * 1024, // waiting in one answer before its writer must wait
    CHUNK_BYTES = 64 * 1024,       // asked of a stream at once
    ARENA_KEEP_BYTES = 256 * 1024, // an idle exchange keeps no more
    BODY_KEEP_BYTES = 1024 * 1024,
    BODY_FIRST_BYTES = 64 * 1024, // reserved at once, whatever Content-Length claims
    COMPRESS_BYTES_MIN = 32,      // smaller answers are sent as they are: they would grow
    COMPRESS_LEVEL = 3,
    BODIES_IN_MEMORY = 8, // all bodies being read together: this times body_bytes_max
    STOP_GRACE_MS = 500,
    STOP_SEND_MS = 250,
    PATROL_MS_MAX = 30000,
};

typedef struct Exchange Exchange;

typedef enum ExchangePhase {
    EXCHANGE_NEW,
    EXCHANGE_READING,
    EXCHANGE_HANDED,
    EXCHANGE_ANSWERED
} ExchangePhase;

struct Exchange {
    HttpRequest request; // first: impl leads back here
    HttpServer *server;
    struct MHD_Connection *connection;
    Arena arena;
    ExchangePhase phase; // poll thread
    bool is_head;
    bool has_bad_target;
    bool too_large;
    size_t body_reserved; // of the server's budget
    Buf body;
    Exchange *next; // in the queue or the list of free ones

    // The handler's thread.
    UrlParams reply_headers;
    HttpEncoding encoding;
    HttpGzip *gzip;
    Buf gzip_out;
    HttpFakeReply *fake;
    bool stream_begun;
    void (*run)(void *arg, HttpRequest *request); // of http_go_on
    void *run_arg;
    WebRules *rules; // under which it came in

    Lock lock;
    Condition room; // the stream has room, or is gone
    int holders;    // poll thread, worker
    bool gone;      // the connection is lost or done
    int fd;
    struct MHD_Response *response;
    int status;
    Buf fill;  // what the handler wrote last
    Buf drain; // what is being sent; swapped with `fill` when empty
    size_t drained;
    bool ended;   // all written
    bool broken;  // the handler left the stream unfinished
    bool waiting; // the reader suspended the connection for lack of bytes
};

typedef struct Connection Connection;
struct Connection {
    Connection *next, *previous;
    int fd;
    bool busy;               // a handler has it: no deadline
    WebRules *rules;         // of its TLS session
    int64_t reading_mono_ns; // since when we wait for the client
};

struct HttpServer {
    HttpServerOptions options;
    struct MHD_Daemon *daemon;
    Thread *workers;
    int worker_count;
    _Atomic bool hurry; // handlers should end: the server waits for them
    _Atomic size_t body_bytes;

    Lock lock;
    Condition work;
    Condition idle; // an exchange is over
    Exchange *queue_head GUARDED_BY(lock);
    Exchange *queue_tail GUARDED_BY(lock);
    Thread urgent_worker;
    Condition urgent_work;
    Exchange *urgent_head GUARDED_BY(lock);
    Exchange *urgent_tail GUARDED_BY(lock);
    Exchange *free_list GUARDED_BY(lock);
    size_t free_count GUARDED_BY(lock);
    size_t gone_on GUARDED_BY(lock); // threads of http_go_on
    size_t handed GUARDED_BY(lock);  // exchanges given to workers and not yet over
    Connection *connections GUARDED_BY(lock);
    // A password that nobody has checked yet is checked by one worker at a time; the others' exchanges wait here, not on a worker.
    bool is_checking GUARDED_BY(lock);
    Exchange *check_head GUARDED_BY(lock);
    Exchange *check_tail GUARDED_BY(lock);
    int64_t patrol_mono_ns GUARDED_BY(lock);
    bool stopping GUARDED_BY(lock);
};

static Exchange *exchange_of(const HttpRequest *request)
{
    return request->impl;
}

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
static void exchange_drop(Exchange *exchange)
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

// ---- what handlers ask ----

Str http_param(const HttpRequest *request, Str name)
{
    for (size_t i = 0; i < request->param_count; i++)
        if (str_equal(request->params[i].name, name))
            return request->params[i].value;
    return STR_NONE;
}

bool http_has_param(const HttpRequest *request, Str name)
{
    for (size_t i = 0; i < request->param_count; i++)
        if (str_equal(request->params[i].name, name))
            return true;
    return false;
}

Str http_header(const HttpRequest *request, Str name)
{
    for (size_t i = 0; i < request->header_count; i++)
        if (str_equal_nocase(request->headers[i].name, name))
            return request->headers[i].value;
    return STR_NONE;
}

bool http_client_gone(const HttpRequest *request)
{
    Exchange *exchange = exchange_of(request);
    if (exchange->fake)
        return exchange->fake->client_gone;
    if (atomic_load_explicit(&exchange->server->hurry, memory_order_relaxed))
        return true;

    lock_take(&exchange->lock);
    bool gone = exchange->gone;
    if (!gone) {
        struct pollfd watch = {.fd = exchange->fd, .events = POLLRDHUP};
        gone =
            poll(&watch, 1, 0) > 0 && (watch.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL));
    }
    lock_give(&exchange->lock);
    return gone;
}

// ---- answers ----

void http_reply_header(HttpRequest *request, Str name, Str value)
{
    Exchange *exchange = exchange_of(request);
    UrlParams *headers = exchange->fake ? &exchange->fake->headers : &exchange->reply_headers;
    if (headers->count == headers->cap) {
        size_t cap = MAX(headers->cap * 2, 8u);
        headers->items =
            arena_grow(request->arena, headers->items, headers->cap * sizeof *headers->items,
                       cap * sizeof *headers->items);
        headers->cap = cap;
    }
    headers->items[headers->count++] =
        (HttpPair){arena_str(request->arena, name), arena_str(request->arena, value)};
}

void http_reply_compress(HttpRequest *request)
{
    http_reply_header(request, S("Vary"), S("Accept-Encoding"));
    exchange_of(request)->encoding =
        http_encoding_choose(http_header(request, S("Accept-Encoding")));
}

static void add_headers(Exchange *exchange, struct MHD_Response *response, Str content_type)
{
    Arena *arena = &exchange->arena;
    if (content_type.len)
        (void)MHD_add_response_header(response, "Content-Type", str_to_c(arena, content_type));
    if (exchange->encoding != HTTP_ENCODING_IDENTITY)
        (void)MHD_add_response_header(response, "Content-Encoding",
                                      http_encoding_name(exchange->encoding).ptr);
    const ConfigStrMap *fixed =
        exchange->rules ? &web_rules_config(exchange->rules)->http.headers : NULL;
    for (size_t i = 0; fixed && i < fixed->count; i++)
        (void)MHD_add_response_header(response, str_to_c(arena, fixed->keys[i]),
                                      str_to_c(arena, fixed->values[i]));
    // A header that MHD refuses (a control character from a foreign string) is left out.
    for (size_t i = 0; i < exchange->reply_headers.count; i++) {
        HttpPair *pair = &exchange->reply_headers.items[i];
        (void)MHD_add_response_header(response, pair->name.ptr, pair->value.ptr);
    }
}

static void give_response(Exchange *exchange, int status, struct MHD_Response *response)
{
    lock_take(&exchange->lock);
    exchange->status = status;
    exchange->response = response;
    MHD_resume_connection(exchange->connection); // suspended, so it cannot be gone yet
    lock_give(&exchange->lock);
}

static bool has_answered(const Exchange *exchange)
{
    return exchange->response != NULL || exchange->stream_begun;
}

static void fake_reply(HttpFakeReply *fake, int status, Str content_type, Str body)
{
    ASSERT(fake->status == 0);
    fake->status = status;
    fake->content_type = content_type;
    buf_add_str(&fake->body, body);
    fake->ended = true;
}

static struct MHD_Response *response_compressed(Exchange *exchange, Str body)
{
    Buf out = {0};
    Error ignored; // only a Buf with a maximum could be too small
    if (exchange->encoding == HTTP_ENCODING_GZIP)
        gzip_encode(body, COMPRESS_LEVEL, &out);
    else if (exchange->encoding == HTTP_ENCODING_DEFLATE)
        zlib_encode(body, COMPRESS_LEVEL, &out);
    else if (!zstd_encode(body, 1, &out, &ignored))
        out_of_memory(body.len);
    return MHD_create_response_from_buffer_with_free_callback(out.len, out.ptr, free);
}

static void reply(HttpRequest *request, int status, Str content_type, Str body, bool is_static)
{
    Exchange *exchange = exchange_of(request);
    if (exchange->fake) {
        fake_reply(exchange->fake, status, arena_str(request->arena, content_type), body);
        return;
    }
    ASSERT(!has_answered(exchange));
    if (body.len < COMPRESS_BYTES_MIN || exchange->is_head)
        exchange->encoding = HTTP_ENCODING_IDENTITY;
    union { // MHD only reads
        const char *from;
        void *to;
    } bytes = {.from = body.len ? body.ptr : ""};
    struct MHD_Response *response =
        exchange->encoding != HTTP_ENCODING_IDENTITY
            ? response_compressed(exchange, body)
            : MHD_create_response_from_buffer(
                  body.len, bytes.to, is_static ? MHD_RESPMEM_PERSISTENT : MHD_RESPMEM_MUST_COPY);
    if (!response)
        out_of_memory(body.len);
    add_headers(exchange, response, content_type);
    give_response(exchange, status, response);
}

void http_reply(HttpRequest *request, int status, Str content_type, Str body)
{
    reply(request, status, content_type, body, false);
}

void http_reply_static(HttpRequest *request, int status, Str content_type, Str body)
{
    reply(request, status, content_type, body, true);
}

// Poll thread: hands over up to `max` bytes of the stream.
static ssize_t stream_read(void *arg, uint64_t position, char *out, size_t max)
{
    (void)position;
    Exchange *exchange = arg;
    ssize_t result;

    lock_take(&exchange->lock);
    if (exchange->drained == exchange->drain.len && exchange->fill.len > 0) {
        Buf empty = exchange->drain;
        exchange->drain = exchange->fill;
        exchange->fill = empty;
        buf_reset(&exchange->fill);
        exchange->drained = 0;
        condition_signal(&exchange->room);
    }
    size_t left = exchange->drain.len - exchange->drained;
    if (left > 0) {
        size_t count = MIN(left, max);
        memcpy(out, exchange->drain.ptr + exchange->drained, count);
        exchange->drained += count;
        result = (ssize_t)count;
    } else if (exchange->broken) {
        result = MHD_CONTENT_READER_END_WITH_ERROR;
    } else if (exchange->ended) {
        result = MHD_CONTENT_READER_END_OF_STREAM;
    } else {
        exchange->waiting = true;
        MHD_suspend_connection(exchange->connection);
        result = 0;
    }
    lock_give(&exchange->lock);
    return result;
}

bool http_stream_begin(HttpRequest *request, int status, Str content_type)
{
    Exchange *exchange = exchange_of(request);
    if (exchange->fake) {
        ASSERT(exchange->fake->status == 0);
        exchange->fake->status = status;
        exchange->fake->content_type = arena_str(request->arena, content_type);
        return !exchange->fake->client_gone;
    }
    ASSERT(!has_answered(exchange));
    struct MHD_Response *response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, CHUNK_BYTES,
                                                                      stream_read, exchange, NULL);
    if (!response)
        out_of_memory(CHUNK_BYTES);
    add_headers(exchange, response, content_type);
    if (exchange->encoding != HTTP_ENCODING_IDENTITY)
        exchange->gzip = http_gzip_new(exchange->encoding);
    exchange->stream_begun = true;
    give_response(exchange, status, response);
    return true;
}

// Holding the lock: the reader has something to do now.
static void stream_wake(Exchange *exchange)
{
    if (exchange->waiting && !exchange->gone) {
        exchange->waiting = false;
        MHD_resume_connection(exchange->connection);
    }
}

static bool stream_put(Exchange *exchange, Str bytes)
{
    lock_take(&exchange->lock);
    while (bytes.len > 0) {
        while (exchange->fill.len >= STREAM_BYTES_MAX && !exchange->gone &&
               !atomic_load_explicit(&exchange->server->hurry, memory_order_relaxed))
            (void)condition_wait_ms(&exchange->room, &exchange->lock, 100);
        if (exchange->gone || exchange->fill.len >= STREAM_BYTES_MAX)
            break;
        Str piece = str_sub(bytes, 0, STREAM_BYTES_MAX - exchange->fill.len);
        buf_add_str(&exchange->fill, piece);
        bytes = str_skip(bytes, piece.len);
        stream_wake(exchange);
    }
    lock_give(&exchange->lock);
    return bytes.len == 0;
}

static bool stream_put_encoded(Exchange *exchange, Str bytes, bool flush, bool is_last)
{
    buf_reset(&exchange->gzip_out);
    http_gzip_write(exchange->gzip, bytes, flush, is_last, &exchange->gzip_out);
    return stream_put(exchange, buf_str(&exchange->gzip_out));
}

bool http_stream_write(HttpRequest *request, Str bytes)
{
    Exchange *exchange = exchange_of(request);
    if (exchange->fake) {
        buf_add_str(&exchange->fake->body, bytes);
        return !exchange->fake->client_gone;
    }
    if (exchange->is_head)
        return true; // nobody reads: the answer has no body
    if (exchange->gzip)
        return stream_put_encoded(exchange, bytes, false, false);
    return stream_put(exchange, bytes);
}

bool http_stream_flush(HttpRequest *request)
{
    Exchange *exchange = exchange_of(request);
    if (exchange->fake)
        return !exchange->fake->client_gone;
    if (exchange->gzip && !exchange->is_head)
        return stream_put_encoded(exchange, STR_NONE, true, false);
    return true;
}

static void stream_finish(Exchange *exchange, bool whole)
{
    lock_take(&exchange->lock);
    exchange->ended = true;
    exchange->broken = !whole;
    stream_wake(exchange);
    lock_give(&exchange->lock);
}

void http_stream_end(HttpRequest *request)
{
    Exchange *exchange = exchange_of(request);
    if (exchange->fake) {
        exchange->fake->ended = true;
        return;
    }
    bool whole = true;
    if (exchange->gzip && !exchange->is_head)
        whole = stream_put_encoded(exchange, STR_NONE, false, true);
    stream_finish(exchange, whole);
}

// ---- workers ----

// Cuts off clients that have kept us waiting for too long. Holding the lock.
static void patrol(HttpServer *server)
{
    int64_t now_ns = clock_mono_ns(&clock_system);
    if (now_ns < server->patrol_mono_ns)
        return;
    int64_t limit_ns = server->options.read_timeout_ms * 1000000;
    server->patrol_mono_ns = now_ns + MIN(limit_ns / 4, (int64_t)PATROL_MS_MAX * 1000000);
    for (Connection *c = server->connections; c; c = c->next)
        if (!c->busy && now_ns - c->reading_mono_ns > limit_ns)
            (void)shutdown(c->fd, SHUT_RDWR); // the poll thread sees the end and closes
}

static Exchange *pop(Exchange **head, Exchange **tail)
{
    Exchange *exchange = *head;
    if (!exchange)
        return NULL;
    *head = exchange->next;
    if (!*head)
        *tail = NULL;
    exchange->next = NULL;
    return exchange;
}

static Exchange *next_exchange(HttpServer *server)
{
    int64_t wait_ms = MAX(MIN(server->options.read_timeout_ms / 4, PATROL_MS_MAX), 10);
    lock_take(&server->lock);
    while (!server->queue_head && !server->stopping) {
        (void)condition_wait_ms(&server->work, &server->lock, wait_ms);
        patrol(server);
    }
    Exchange *exchange = pop(&server->queue_head, &server->queue_tail);
    lock_give(&server->lock);
    return exchange;
}

static Exchange *next_urgent(HttpServer *server)
{
    lock_take(&server->lock);
    while (!server->urgent_head && !server->stopping)
        condition_wait(&server->urgent_work, &server->lock);
    Exchange *exchange = pop(&server->urgent_head, &server->urgent_tail);
    lock_give(&server->lock);
    return exchange;
}

// ---- who may come in ----

static void turn_away(Exchange *exchange, int status, Str text)
{
    if (status == 401)
        http_reply_header(&exchange->request, S("WWW-Authenticate"), S("Basic"));
    http_reply_header(&exchange->request, S("X-Content-Type-Options"), S("nosniff"));
    http_reply(&exchange->request, status, S("text/plain; charset=utf-8"), text);
}

static void push(Exchange **head, Exchange **tail, Exchange *exchange)
{
    exchange->next = NULL;
    if (*head)
        (*tail)->next = exchange;
    else
        *head = exchange;
    *tail = exchange;
}

// The lock is held.
static void enqueue(HttpServer *server, Exchange *exchange)
{
    const HttpServerOptions *options = &server->options;
    if (options->is_urgent && options->is_urgent(options->arg, &exchange->request)) {
        push(&server->urgent_head, &server->urgent_tail, exchange);
        condition_signal(&server->urgent_work);
    } else {
        push(&server->queue_head, &server->queue_tail, exchange);
        condition_signal(&server->work);
    }
}

// False: another worker is at it, and the exchange waits for its turn.
static bool begin_check(HttpServer *server, Exchange *exchange)
{
    lock_take(&server->lock);
    bool mine = !server->is_checking;
    if (mine)
        server->is_checking = true;
    else
        push(&server->check_head, &server->check_tail, exchange);
    lock_give(&server->lock);
    return mine;
}

static void end_check(HttpServer *server)
{
    lock_take(&server->lock);
    server->is_checking = false;
    Exchange *next = server->check_head;
    if (next) {
        server->check_head = next->next;
        enqueue(server, next);
    }
    lock_give(&server->lock);
}

static bool admit_user(HttpServer *server, Exchange *exchange)
{
    WebGate *gate = server->options.gate;
    Str login = http_header(&exchange->request, S("Authorization"));
    WebVerdict verdict = web_gate_recall(gate, exchange->rules, login);
    if (verdict == WEB_UNKNOWN) {
        if (!begin_check(server, exchange))
            return false;
        verdict = web_gate_check(gate, exchange->rules, login) ? WEB_ALLOWED : WEB_DENIED;
        end_check(server);
    }
    if (verdict != WEB_ALLOWED)
        turn_away(exchange, 401, S("Unauthorized\n"));
    return true;
}

// True: the exchange may be answered, or has been here. False: it waits.
static bool admit(HttpServer *server, Exchange *exchange)
{
    WebGate *gate = server->options.gate;
    if (!gate)
        return true;
    bool is_new = exchange->rules == NULL;
    if (is_new && !(exchange->rules = web_gate_rules(gate)))
        turn_away(exchange, 500, S("Internal Server Error\n"));
    else if (is_new && !web_gate_may_pass(gate, exchange->rules))
        turn_away(exchange, 429, S("Too Many Requests\n"));
    else
        return admit_user(server, exchange);
    return true;
}

// The end of a handler, wherever it ran.
static void finish(Exchange *exchange)
{
    if (!has_answered(exchange))
        http_reply(&exchange->request, 500, S("text/plain; charset=utf-8"),
                   S("the handler gave no answer\n"));
    if (exchange->stream_begun && !exchange->ended)
        stream_finish(exchange, false);
    exchange_drop(exchange);
}

static void note_gone_on(HttpServer *server, bool began)
{
    lock_take(&server->lock);
    server->gone_on += began ? 1 : SIZE_MAX;
    condition_broadcast(&server->idle);
    lock_give(&server->lock);
}

static void run_on(void *arg)
{
    Exchange *exchange = arg;
    HttpServer *server = exchange->server;
    exchange->run(exchange->run_arg, &exchange->request);
    finish(exchange);
    note_gone_on(server, false);
}

void http_go_on(HttpRequest *request, void (*run)(void *arg, HttpRequest *request), void *arg)
{
    Exchange *exchange = exchange_of(request);
    if (exchange->fake) {
        run(arg, request);
        return;
    }
    exchange->run = run;
    exchange->run_arg = arg;
}

// The exchange is the new thread's from here on; without a thread to be had it stays with the worker.
static void go_on(HttpServer *server, Exchange *exchange)
{
    Thread thread = {0};
    Error ignored;
    note_gone_on(server, true);
    if (thread_start(&thread, "http-live", run_on, exchange, &ignored))
        pthread_detach(thread.handle);
    else
        run_on(exchange);
}

static void answer(HttpServer *server, Exchange *exchange)
{
    if (!admit(server, exchange))
        return;
    if (!has_answered(exchange))
        server->options.handle(server->options.arg, &exchange->request);
    if (exchange->run && !has_answered(exchange))
        go_on(server, exchange);
    else
        finish(exchange);
}

static void work(void *arg)
{
    HttpServer *server = arg;
    Exchange *exchange;
    while ((exchange = next_exchange(server)))
        answer(server, exchange);
}

static void work_urgently(void *arg)
{
    HttpServer *server = arg;
    Exchange *exchange;
    while ((exchange = next_urgent(server)))
        answer(server, exchange);
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
    patrol(server);
    lock_give(&server->lock);
}

static void connection_closed(HttpServer *server, Connection *connection)
{
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
    exchange_drop(exchange);
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
        enqueue(server, exchange);
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

static bool listen_on(const struct addrinfo *address, int *ret_fd)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    int yes = 1;
    int no = 0;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (address->ai_family == AF_INET6) // [::] takes IPv4, too
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no);
    if (bind(fd, address->ai_addr, address->ai_addrlen) != 0 || listen(fd, LISTEN_BACKLOG) != 0) {
        int error_number = errno;
        close(fd);
        errno = error_number;
        return false;
    }
    *ret_fd = fd;
    return true;
}

// Families in the order to be tried: every interface means IPv6 first (it takes both), a name IPv4 first.
static bool listen_on_any(const struct addrinfo *list, bool every_interface, int *ret_fd)
{
    int first = every_interface ? AF_INET6 : AF_INET;
    for (int round = 0; round < 2; round++)
        for (const struct addrinfo *a = list; a; a = a->ai_next)
            if ((a->ai_family == first) == (round == 0) && listen_on(a, ret_fd))
                return true;
    return false;
}

static bool open_listener(Str address, int *ret_fd, Error *err)
{
    Str host;
    Str port;
    if (!url_split_host_port(address, &host, &port, err))
        return error_context(err, "listen");
    char host_c[NI_MAXHOST];
    char port_c[NI_MAXSERV];
    if (host.len >= sizeof host_c || port.len >= sizeof port_c)
        return error_set(err, ERR_INVALID, "listen: address is too long");
    memcpy(host_c, host.len ? host.ptr : "", host.len);
    host_c[host.len] = '\0';
    memcpy(port_c, port.len ? port.ptr : "", port.len);
    port_c[port.len] = '\0';

    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *list = NULL;
    int rc = getaddrinfo(host.len ? host_c : NULL, port.len ? port_c : "0", &hints, &list);
    if (rc != 0)
        return error_set(err, ERR_INVALID, "listen tcp " STR_FMT ": %s", STR_ARG(address),
                         gai_strerror(rc));
    errno = EADDRNOTAVAIL;
    bool ok = listen_on_any(list, host.len == 0, ret_fd);
    int error_number = errno;
    freeaddrinfo(list);
    return ok || error_set_errno(err, error_number, "listen tcp " STR_FMT, STR_ARG(address));
}

static int bound_port(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address;
    socklen_t bytes = sizeof address;
    if (getsockname(fd, &address.any, &bytes) != 0)
        return 0;
    return ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
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

static void stop_workers(HttpServer *server)
{
    lock_take(&server->lock);
    server->stopping = true;
    condition_broadcast(&server->work);
    condition_broadcast(&server->urgent_work);
    lock_give(&server->lock);
    for (int i = 0; i < server->worker_count; i++)
        thread_join(&server->workers[i]);
    thread_join(&server->urgent_worker);
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

static bool start_workers(HttpServer *server, Error *err)
{
    server->workers = X_ARRAY(Thread, (size_t)server->worker_count);
    for (int i = 0; i < server->worker_count; i++)
        if (!thread_start(&server->workers[i], "http-worker", work, server, err))
            return false;
    return !server->options.is_urgent ||
           thread_start(&server->urgent_worker, "http-urgent", work_urgently, server, err);
}

bool http_server_start(const HttpServerOptions *options, HttpServer **ret_server, int *ret_port,
                       Error *err)
{
    HttpServer *server = X_NEW(HttpServer);
    int fd = -1;
    server->options = *options;
    server->worker_count = MAX(options->workers, 1);
    lock_init(&server->lock, "http.server", LOCK_RANK_SERVER);
    condition_init(&server->work);
    condition_init(&server->urgent_work);
    condition_init(&server->idle);

    bool ok = open_listener(options->listen_address, &fd, err) && start_workers(server, err);
    int port = ok ? bound_port(fd) : 0;
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
            stop_workers(server);
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

void http_server_stop(HttpServer *server)
{
    if (!server)
        return;
    int fd = MHD_quiesce_daemon(server->daemon);
    lock_take(&server->lock);
    server->stopping = true;
    condition_broadcast(&server->work);
    lock_give(&server->lock);
    wait_idle(server, STOP_GRACE_MS);
    atomic_store(&server->hurry, true);
    stop_workers(server);
    lock_take(&server->lock);
    while (server->gone_on > 0)
        condition_wait(&server->idle, &server->lock);
    lock_give(&server->lock);
    wait_idle(server, STOP_SEND_MS);
    MHD_stop_daemon(server->daemon);
    if (fd >= 0)
        close(fd);
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
