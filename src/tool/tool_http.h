// SPDX-License-Identifier: Apache-2.0
// tool_http.h: a server that a command speaks with: its URL, --http.config.file, --header. Private to the room.
#pragma once

#include "net/http_client.h"
#include "net/url.h"
#include "tool/tool_command.h"

#define TOOL_BODY_BYTES_MAX ((size_t)2 << 30) // of an answer

typedef struct ToolServer {
    Str url; // with scheme, without a slash at the end
    HttpClientConfig config;
    Str *headers; // "Name: value"
    size_t header_count;
} ToolServer;

// `url` without a scheme means http. `config_file` may be empty; `headers` (may be NULL) are NAME=VALUE pairs.
bool tool_server_open(Str url, Str config_file, const FlagStrList *headers, Arena *arena,
                      ToolServer *ret_server, Error *err) MUST_CHECK;

typedef struct ToolAnswer {
    int status; // of HTTP, any
    Str body;   // in the arena
} ToolAnswer;

// One exchange. `path` begins with a slash. A `form` that is not NULL goes as POST, and where the server does not take
// that (403, 405, 501), as GET with a query string, as Prometheus' client does.
bool tool_server_get(const ToolServer *server, Str path, int64_t timeout_ms, Arena *arena,
                     ToolAnswer *ret_answer, Error *err) MUST_CHECK;
bool tool_server_form(const ToolServer *server, Str path, Str form, int64_t timeout_ms,
                      Arena *arena, ToolAnswer *ret_answer, Error *err) MUST_CHECK;
bool tool_server_delete(const ToolServer *server, Str path, int64_t timeout_ms, Arena *arena,
                        ToolAnswer *ret_answer, Error *err) MUST_CHECK;
// POST with a body and more header lines.
bool tool_server_post(const ToolServer *server, Str path, Str body, const Str *headers,
                      size_t header_count, int64_t timeout_ms, Arena *arena, ToolAnswer *ret_answer,
                      Error *err) MUST_CHECK;
