// SPDX-License-Identifier: Apache-2.0
// http_server.h: an HTTP/1.1 server behind which libmicrohttpd does the talking. Handlers run on the server's worker threads and may
// block; the body has been read (within the limit) before the handler is called.
//
//     poll thread                                worker threads
//     reads head and body ---- suspends, queues ---> handle(arg, request)
//     sends <---- resumes ---- http_reply / http_stream_* (bounded buffer)
//
// Routing is the caller's: one handler gets every request.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "client/registry.h"
#include "net/url.h"

typedef struct HttpServer HttpServer;
typedef struct HttpRequest HttpRequest;

struct HttpRequest {
    Str method; // "GET"
    Str path;   // percent-decoded, without the query: "/api/v1/query"
    Str target; // as sent: "/api/v1/query?query=up"
    HttpPair *
        params; // of a urlencoded body and then of the URL (as Go's Request.Form), in order, decoded; may repeat
    size_t param_count;
    bool has_bad_params; // some pair had a bad escape and was left out
    HttpPair *headers;
    size_t header_count;
    Str body; // the raw bytes, also of a form
    Str client_ip;
    bool is_tls;
    Arena *arena; // lives as long as the request
    void *impl;
};

// First value or the empty Str.
Str http_param(const HttpRequest *request, Str name);
bool http_has_param(const HttpRequest *request, Str name);
Str http_header(const HttpRequest *request, Str name); // name without regard to case
// True once the client has gone (or the server must end): a long query should stop.
bool http_client_gone(const HttpRequest *request);

// The answer is built by these, in this order: status and headers, then the body in one piece or in many.
void http_reply_header(HttpRequest *request, Str name, Str value); // copied
// One whole answer. The body is copied unless it is static (`http_reply_static`).
void http_reply(HttpRequest *request, int status, Str content_type, Str body);
// The body outlives the server (embedded assets).
void http_reply_static(HttpRequest *request, int status, Str content_type, Str body);
// A body in pieces: chunked transfer. http_stream_write blocks while the client is slow (bounded buffer) and returns false when it
// is gone. A stream that the handler leaves without http_stream_end is cut off, so that the client sees that it is not whole.
bool http_stream_begin(HttpRequest *request, int status, Str content_type) MUST_CHECK;
bool http_stream_write(HttpRequest *request, Str bytes) MUST_CHECK;
// Sends on what a compressed stream still holds back; for event streams.
bool http_stream_flush(HttpRequest *request) MUST_CHECK;
void http_stream_end(HttpRequest *request);
// Called by a handler that then returns without an answer: `run` gives it, on a thread of its own, so that no worker is held while a
// client listens for hours. How many there may be at once is the caller's to limit.
void http_go_on(HttpRequest *request, void (*run)(void *arg, HttpRequest *request), void *arg);
// gzip, deflate or zstd the answer if the client's Accept-Encoding has it (first of them wins, q ignored); sets Vary. Call before reply / begin.
void http_reply_compress(HttpRequest *request);

// For tests of handlers: a request that no server stands behind. The answer gathers in `reply`; streams too.
typedef struct HttpFakeReply {
    int status; // 0: none yet
    Str content_type;
    Buf body;
    UrlParams headers;
    bool ended;
    bool client_gone; // what http_client_gone tells; writes fail then
} HttpFakeReply;
// `target` as on the wire ("/a?b=c"), `form` the urlencoded body (may be empty). Everything lives in the arena, but for
// reply->body: buf_deinit it.
void http_fake_request(HttpRequest *ret_request, HttpFakeReply *reply, Arena *arena, Str method,
                       Str target, Str form);

typedef struct HttpServerOptions {
    Str listen_address;      // "0.0.0.0:9090", ":9090", "[::1]:9090"
    int workers;             // threads that run handlers
    size_t connections_max;  // 512
    int64_t read_timeout_ms; // 5 min; for a whole request, and for an idle connection
    size_t body_bytes_max;   // largest request body; 413 above
    size_t header_bytes_max; // 64 KiB
    struct WebGate *
        gate; // TLS, passwords, headers, rate limit; outlives the server. NULL: plain HTTP for everybody
    Registry *registry;    // of net_conntrack_listener_*; NULL: none
    struct Tracer *tracer; // of a span for each request; NULL: none
    void (*handle)(void *arg, HttpRequest *request);
    // What one more worker answers, which nothing else can keep busy: are you well? NULL: nothing is urgent.
    bool (*is_urgent)(void *arg, const HttpRequest *request);
    void *arg;
} HttpServerOptions;

void http_server_options_default(HttpServerOptions *ret_options);
// Listens and serves. ret_port (may be NULL) tells the port for ":0".
bool http_server_start(const HttpServerOptions *options, HttpServer **ret_server, int *ret_port,
                       Error *err) MUST_CHECK;
// Listens no more, gives running handlers half a second before http_client_gone is true for them, waits for them, closes
// connections. Accepts NULL.
void http_server_stop(HttpServer *server);
