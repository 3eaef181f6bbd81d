// SPDX-License-Identifier: Apache-2.0
// url.h: percent encoding, parameters and addresses, read as Go's net/url and net read them.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

typedef struct HttpPair {
    Str name;
    Str value;
} HttpPair;

#define URL_PARAMS_MAX 10000 // pairs of one request; more are refused

// Undoes %XX and, in parameters (`plus_is_space`), '+'. A text without either is returned as it is.
// False for a % without two hexadecimal digits behind it.
bool url_decode(Str text, bool plus_is_space, Arena *arena, Str *ret_text);

// Appends "a=1&b=2" to a list that doubles as it grows. A pair with a bad escape or a ';' is left out
// (as Go's ParseQuery) and *ret_malformed (may be NULL) set; ERR_LIMIT beyond URL_PARAMS_MAX.
typedef struct UrlParams {
    HttpPair *items;
    size_t count;
    size_t cap;
} UrlParams;
bool url_params_add(UrlParams *params, Str text, Arena *arena, bool *ret_malformed,
                    Error *err) MUST_CHECK;

// Go's url.QueryEscape: space becomes '+'.
void url_add_query_escaped(Buf *buf, Str text);
// Go's url.PathEscape.
void url_add_path_escaped(Buf *buf, Str text);

// "host:port", "[v6]:port", ":port"; the host comes without brackets.
bool url_split_host_port(Str address, Str *ret_host, Str *ret_port, Error *err) MUST_CHECK;
// The same back: brackets around a host that has a colon.
void url_add_host_port(Buf *buf, Str host, Str port);
