// SPDX-License-Identifier: Apache-2.0
// The threads that run handlers, and who may come in.
#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "net/http_server_internal.h"
#include "net/http_trace.h"

#define WORKERS_MIN 2 // that run from the start; others are started when there is work for them

// Cuts off clients that have kept us waiting for too long. Holding the lock.
void http_workers_patrol(HttpServer *server)
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
    server->waiting++;
    while (!server->queue_head && !server->stopping) {
        (void)condition_wait_ms(&server->work, &server->lock, wait_ms);
        http_workers_patrol(server);
    }
    server->waiting--;
    Exchange *exchange = pop(&server->queue_head, &server->queue_tail);
    server->queued -= exchange != NULL;
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

static void work(void *arg);

// One more, if more exchanges wait than workers do. Holding the lock.
static void start_worker_if_wanted(HttpServer *server)
{
    Error ignored; // those that run come to it
    if (server->queued <= server->waiting || server->started >= server->worker_count ||
        server->stopping)
        return;
    if (thread_start(&server->workers[server->started], "http-worker", work, server, &ignored))
        server->started++;
}

void http_workers_enqueue(HttpServer *server, Exchange *exchange)
{
    const HttpServerOptions *options = &server->options;
    if (options->is_urgent && options->is_urgent(options->arg, &exchange->request)) {
        push(&server->urgent_head, &server->urgent_tail, exchange);
        condition_signal(&server->urgent_work);
    } else {
        push(&server->queue_head, &server->queue_tail, exchange);
        server->queued++;
        condition_signal(&server->work);
        start_worker_if_wanted(server);
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
        http_workers_enqueue(server, next);
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
    if (!http_exchange_has_answered(exchange))
        http_reply(&exchange->request, 500, S("text/plain; charset=utf-8"),
                   S("the handler gave no answer\n"));
    if (exchange->stream_begun && !exchange->ended)
        http_exchange_end_stream(exchange, false);
    http_exchange_drop(exchange);
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
    if (!http_exchange_has_answered(exchange)) {
        Span span;
        http_trace_serve(&span, server->options.tracer, &exchange->request);
        server->options.handle(server->options.arg, &exchange->request);
        http_trace_served(&span, exchange->status);
    }
    if (exchange->run && !http_exchange_has_answered(exchange))
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

void http_workers_stop(HttpServer *server)
{
    lock_take(&server->lock);
    server->stopping = true;
    int started = server->started;
    condition_broadcast(&server->work);
    condition_broadcast(&server->urgent_work);
    lock_give(&server->lock);
    for (int i = 0; i < started; i++)
        thread_join(&server->workers[i]);
    thread_join(&server->urgent_worker);
}

bool http_workers_start(HttpServer *server, Error *err)
{
    bool ok = true;
    server->workers = X_ARRAY(Thread, (size_t)server->worker_count);
    lock_take(&server->lock);
    while (ok && server->started < MIN(server->worker_count, WORKERS_MIN)) {
        ok = thread_start(&server->workers[server->started], "http-worker", work, server, err);
        server->started += ok;
    }
    lock_give(&server->lock);
    return ok && (!server->options.is_urgent ||
                  thread_start(&server->urgent_worker, "http-urgent", work_urgently, server, err));
}
