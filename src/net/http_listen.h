// SPDX-License-Identifier: Apache-2.0
// http_listen.h: the socket of an HTTP server. Private to the room.
#pragma once

#include "base/error.h"
#include "base/str.h"

// "0.0.0.0:9090", ":9090" (every interface, both families), "[::1]:9090", "name:port".
bool http_listen_open(Str address, int *ret_fd, Error *err) MUST_CHECK;
// The port that the socket got.
int http_listen_port(int fd);
