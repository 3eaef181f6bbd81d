// SPDX-License-Identifier: Apache-2.0
// http_server_internal.h: what the files of the HTTP server share.
//
//     http_server.c  connections, requests, workers, who may come in
//     http_workers.c the threads that run handlers, and who may come in
//     http_reply.c   what handlers ask of a request, and their answers
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
#pragma once

#include <microhttpd.h>
#include <stdatomic.h>

#include "base/lock.h"
#include "base/thread.h"
#include "net/conn_track.h"
#include "net/http_gzip.h"
#include "net/http_server.h"
#include "net/web_gate.h"

enum {
    LOCK_RANK_SERVER = 850,
    LOCK_RANK_EXCHANGE = 860,
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
    ConnListener listener;
    struct MHD_Daemon *daemon;
    Thread *workers;    // worker_count of them, `started` of which run
    int worker_count;   // at most
    _Atomic bool hurry; // handlers should end: the server waits for them
    _Atomic size_t body_bytes;

    Lock lock;
    Condition work;
    Condition idle; // an exchange is over
    Exchange *queue_head GUARDED_BY(lock);
    Exchange *queue_tail GUARDED_BY(lock);
    int queued GUARDED_BY(lock);
    int started GUARDED_BY(lock);
    int waiting GUARDED_BY(lock); // workers without work
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

static inline Exchange *exchange_of(const HttpRequest *request)
{
    return request->impl;
}

// An answer, or the begin of a stream, has been given.
bool http_exchange_has_answered(const Exchange *exchange);
// Ends the stream; not `whole`: it is cut off, so that the client sees that something is missing.
void http_exchange_end_stream(Exchange *exchange, bool whole);
// One of its two holders lets go of it.
void http_exchange_drop(Exchange *exchange);

// Hands it to the workers, or to the one for what is urgent. Holding the server's lock.
void http_workers_enqueue(HttpServer *server, Exchange *exchange);
// Cuts off clients that have kept us waiting for too long. Holding the server's lock.
void http_workers_patrol(HttpServer *server);
bool http_workers_start(HttpServer *server, Error *err) MUST_CHECK;
// Waits until the queue is empty and all have ended.
void http_workers_stop(HttpServer *server);
