// SPDX-License-Identifier: Apache-2.0
// http_client_internal.h: what the files of the HTTP client share.
//
//     http_client.c          calls from begin to end; over a connection of our own
//     http_client_curl.c     the same over libcurl
//     http_client_redirect.c where a redirect leads
//
// A call is in `active` from http_call until its done is called. Calls and their curl handles are reused, newest first.
#pragma once

#include "net/cloud_token.h"
#include "net/conn_track.h"
#include "net/curl_lib.h"
#include "net/http_client.h"
#include "net/http_credentials.h"
#include "net/http_oauth2.h"
#include "net/http_plain.h"
#include "net/http_proxy.h"
#include "net/http_sigv4.h"
#include "trace/trace.h"

enum {
    REDIRECTS_MAX = 10,
    CONNECTIONS_KEPT = 16384,
    CONNECTION_IDLE_S = 300, // as Go's transport in Prometheus
    RECEIVE_BYTES = 64 * 1024,
    BUFFER_KEEP_BYTES = 4 << 20,
    IDLE_CALLS_MAX = 256,
};
#define HTTP_BODY_BYTES_MAX_DEFAULT ((size_t)1 << 30)

struct HttpClient {
    Loop *loop;
    HttpClientConfig config;
    HttpCredentials *credentials;
    HttpOauth2 *oauth2; // NULL: none wanted
    HttpSigv4 *sigv4;   // NULL: none wanted
    CloudToken *cloud;  // NULL: none wanted
    ConnDialer dialer;
    Buf sockets;           // libcurl's: [fd] tells what is known of it (HttpSocket)
    LoopTimer *wait_timer; // for calls that wait for one of these
    HttpPlain *plain;      // NULL: there is a proxy, or may be one
    CURLM *multi;          // made when it is first needed
    LoopTimer *timer;      // libcurl's
    LoopTimer *fail_timer; // for calls that failed before they began
    HttpCall *active;      // doubly linked
    HttpCall *idle;
    size_t idle_count;
    int dispatching; // inside our callbacks: freeing must wait
    bool freed;
    Arena arena;
    HttpProxies proxies;
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
    Buf unix_socket, connect_address;
    int64_t begin_ns;
    int64_t timeout_ms;
    size_t body_bytes_max;
    bool accept_gzip;
    bool http2_only;
    Span span;
    const char *sigv4_service;
    Buf *(*body_take)(void *arg); // NULL: it has been taken, or `body` is there from the start
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
    bool body_begun, is_encoded, is_zstd, is_unknown_encoding, too_large;
    int redirects;
    bool left_home;       // a redirect went to another host
    HttpPlainCall *plain; // runs there
    int plain_status;
    bool is_running; // in the multi handle
    bool failed_early;
    bool waits;      // for a token or keys
    bool has_waited; // what came then is good enough, however short its life
    Error err;
};

// http_client.c -------------------------------------------------------------------------------------------------------------------------

// The value of the first header of that name, or the empty Str.
Str http_call_find_header(Str headers, Str name);
// All lines of this request, each ending in NUL, into new_key. False: call->err says why not.
bool http_call_gather_lines(HttpCall *call, Str host_line) MUST_CHECK;
bool http_call_has_line(Str lines, Str name);
bool http_call_lines_are_whole(Str lines, Error *err) MUST_CHECK;
// The head of the answer is there. `announced` is the length of the body as it comes, or below zero.
void http_call_begin_body(HttpCall *call, int64_t announced);
// The answer is whole: follows a redirect, or tells the caller. Nothing may be done with the call afterwards.
void http_call_answered(HttpCall *call, int status);
// Tells the caller; call->err says what is wrong, if something is.
void http_call_finish(HttpCall *call, int status);
// Around anything that may lead to a `done`, which may free the client.
void http_client_enter(HttpClient *client);
void http_client_leave(HttpClient *client);

// http_client_curl.c ----------------------------------------------------------------------------------------------------------------------

void http_curl_deinit(HttpClient *client);
// Prepares the handle for the call's url and puts it to work. False: call->err says why not.
bool http_curl_run(HttpCall *call, int64_t spent_ms) MUST_CHECK;
void http_curl_stop(HttpCall *call);      // if it runs
void http_curl_call_free(HttpCall *call); // its handle
// CURLOPT_SSLVERSION for these settings.
long http_curl_tls_versions(const HttpTlsConfig *tls);
// One part of a URL, NUL behind it; empty if there is none.
void http_curl_url_part(CURLU *url, CURLUPart part, unsigned flags, Buf *out);

// http_client_redirect.c ------------------------------------------------------------------------------------------------------------------

// Turns *url towards `location`. *ret_same_place: credentials may go there.
bool http_redirect_turn(Buf *url, Str location, bool *ret_same_place, Error *err) MUST_CHECK;
