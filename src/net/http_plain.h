// SPDX-License-Identifier: Apache-2.0
// http_plain.h: HTTP/1.1 in the clear to an address or localhost, over connections that are kept. It is what nearly every scrape of a cluster is,
// and costs a fifth of what libcurl takes for it; all else (TLS, proxies, names that want DNS) is libcurl's. See decision 0013.
//
//     http_plain_url_read -> http_plain_start -> on_head -> bytes into the Buf -> on_end
//                                  ^                                                |
//                                  +------ the connection, idle, in `idle` <--------+
//
// (1) A connection has one call at most. Idle ones are watched, so that one that the other side closes goes away.
// (2) on_end is called exactly once for each started call that is not cancelled, never from inside start, and is the last thing that is
//     done: it may start the next call, or free everything.
// (3) A kept connection that turns out to be closed before a byte of the answer came is replaced by a new one, once.
//
// Private to the room; the loop's thread only.
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "net/conn_track.h"
#include "net/http_plain_url.h"
#include "net/loop.h"

#define HTTP_PLAIN_HEAD_BYTES_MAX (256 * 1024) // of the status line and the headers of an answer

typedef struct HttpPlain HttpPlain;         // the connections of one client
typedef struct HttpPlainCall HttpPlainCall; // one request under way

typedef struct HttpPlainRequest {
    HttpPlainUrl url;
    Str head; // from the request line to the empty line; copied
    Str body; // good until on_end
    bool is_head_method;
    int64_t deadline_ns;   // monotonic; 0: none
    size_t body_bytes_max; // of the answer as received. Above: ERR_LIMIT
    // The status and the headers ("Name: value" CRLF ...) of the answer. `announced` is the length of the body or -1. Returns where the
    // body is gathered.
    Buf *(*on_head)(void *arg, int status, Str headers, int64_t announced);
    void (*on_end)(void *arg, const Error *err); // NULL: the answer is whole
    void *arg;
} HttpPlainRequest;

// `dialer` counts the connections and outlives it; NULL: nobody does.
HttpPlain *http_plain_new(Loop *loop, int64_t idle_ns, const ConnDialer *dialer);
// No call may be running. Accepts NULL.
void http_plain_free(HttpPlain *plain);

// False: nothing was sent, on_end is not called.
bool http_plain_start(HttpPlain *plain, const HttpPlainRequest *request, HttpPlainCall **ret_call,
                      Error *err) MUST_CHECK;
// on_end is not called.
void http_plain_cancel(HttpPlainCall *call);
