// SPDX-License-Identifier: Apache-2.0
// http_plain_url.h: which URLs are plain ones, and to which address they lead. Private to the room.
#pragma once

#include <sys/socket.h>

#include "base/str.h"

#define HTTP_PLAIN_AUTHORITY_BYTES_MAX 64 // "[v6%...]:port" without a zone fits

// Where a URL leads: views of it.
typedef struct HttpPlainUrl {
    Str authority; // "127.0.0.1:9100"
    Str target;    // "/metrics?x=1"; "/" may be left out of the URL and is then the empty Str
} HttpPlainUrl;

// True if `url` is http:// with a literal address or localhost, with or without a port, and nothing in it wants a closer look. *ret_url views it.
bool http_plain_url_read(Str url, HttpPlainUrl *ret_url);
// The address and port of an authority; false if there is none. A literal address is one, and localhost has one of each family: those are tried
// in turn, from index 0 on.
bool http_plain_url_address(Str authority, size_t index, struct sockaddr_storage *ret_address,
                            socklen_t *ret_bytes);
