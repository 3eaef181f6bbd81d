// SPDX-License-Identifier: Apache-2.0
// http_server.h: an HTTP/1.1 server behind which libmicrohttpd does the talking. Handlers run on the server's worker threads and may
// block; the body has been read (within the limit) before the handler is called.
//
// Routing is the caller's: one handler gets every request.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "client/registry.h"

typedef struct HttpServer HttpServer;
typedef struct HttpRequest HttpRequest;

typedef struct HttpPair {
    Str name;
    Str value;
} HttpPair;

struct HttpRequest {
    Str method;  // "GET"
    Str path;    // percent-decoded, without the query: "/api/v1/query"
    Str target;  // as sent: "/api/v1/query?query=up"
    HttpPair *params; // of the URL and then of a urlencoded body, in order, decoded; may repeat
    size_t param_count;
    HttpPair *headers;
    size_t header_count;
    Str body;    // the raw bytes, also of a form
    Str client_ip;
    bool is_tls;
    Arena *arena; // lives as long as the request
    void *impl;
};

// First value or the empty Str.
Str http_param(const HttpRequest *request, Str name);
bool http_has_param(const HttpRequest *request, Str name);
Str http_header(const HttpRequest *request, Str name); // name without regard to case
// True once the client has gone: a long query should stop.
bool http_client_gone(const HttpRequest *request);

// The answer is built by these, in this order: status and headers, then the body in one piece or in many.
void http_reply_header(HttpRequest *request, Str name, Str value); // copied
// One whole answer. The body is copied unless it is static (`http_reply_static`).
void http_reply(HttpRequest *request, int status, Str content_type, Str body);
// The body outlives the server (embedded assets).
void http_reply_static(HttpRequest *request, int status, Str content_type, Str body);
// A body in pieces: chunked transfer. http_stream_write blocks while the client is slow (bounded buffer) and returns false when it
// is gone.
bool http_stream_begin(HttpRequest *request, int status, Str content_type) MUST_CHECK;
bool http_stream_write(HttpRequest *request, Str bytes) MUST_CHECK;
void http_stream_end(HttpRequest *request);
// gzip or deflate the answer if the client's Accept-Encoding has it (first of them wins, q ignored); sets Vary. Call before reply / begin.
void http_reply_compress(HttpRequest *request);

typedef struct HttpServerOptions {
    Str listen_address;       // "0.0.0.0:9090", ":9090", "[::1]:9090"
    int workers;              // threads that run handlers
    size_t connections_max;   // 512
    int64_t read_timeout_ms;  // 5 min
    size_t body_bytes_max;    // largest request body; 413 above
    size_t header_bytes_max;  // 64 KiB
    Str tls_cert_pem;         // contents; both empty: plain HTTP
    Str tls_key_pem;
    Str tls_client_ca_pem;    // not empty: a client certificate is required and checked
    void (*handle)(void *arg, HttpRequest *request);
    void *arg;
} HttpServerOptions;

void http_server_options_default(HttpServerOptions *ret_options);
// Listens and serves. ret_port (may be NULL) tells the port for ":0".
bool http_server_start(const HttpServerOptions *options, HttpServer **ret_server, int *ret_port, Error *err) MUST_CHECK;
// Finishes running handlers, closes connections. Accepts NULL.
void http_server_stop(HttpServer *server);
