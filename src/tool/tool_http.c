// SPDX-License-Identifier: Apache-2.0
#include "tool/tool_http.h"

#include "base/fs.h"

#define CONFIG_FILE_BYTES_MAX ((size_t)16 << 20)
#define HEADERS_MAX 1000
#define USER_AGENT S("User-Agent: promtool/" NARTHEX_VERSION " (narthex)")

static bool read_config(Str path, Arena *arena, HttpClientConfig *ret_config, Error *err)
{
    size_t slash = str_rfind_char(path, '/');
    ConfigReader reader = {.arena = arena,
                           .file_name = path,
                           .folder = slash == STR_NOT_FOUND ? S(".") : str_sub(path, 0, slash + 1)};
    Str text;
    YamlNode *root;
    return fs_read_file(&fs_system, path, arena, CONFIG_FILE_BYTES_MAX, &text, err) &&
           config_yaml(text, path, arena, &root, err) &&
           config_decode(&reader, &http_client_config_table, root, ret_config, err);
}

static bool add_headers(const FlagStrList *pairs, Arena *arena, ToolServer *server, Error *err)
{
    if (pairs->count > HEADERS_MAX)
        return error_set(err, ERR_LIMIT, "more than %d headers", HEADERS_MAX);
    for (size_t i = 0; i < pairs->count; i++) {
        Str name;
        Str value;
        if (!tool_split_pair(pairs->items[i], &name, &value, err))
            return error_context(err, "--header");
        if (!name.len || str_find_char(pairs->items[i], '\n') != STR_NOT_FOUND ||
            str_find_char(pairs->items[i], '\r') != STR_NOT_FOUND)
            return error_set(err, ERR_INVALID, "--header: \"" STR_FMT "\" is no header",
                             STR_ARG(str_sub(pairs->items[i], 0, 100)));
        server->headers[server->header_count++] =
            arena_printf(arena, STR_FMT ": " STR_FMT, STR_ARG(name), STR_ARG(value));
    }
    return true;
}

// http://user@host
static bool has_user(Str url)
{
    Str rest = str_skip(url, str_find(url, S("://")) + 3);
    return str_find_char(str_sub(rest, 0, str_find_char(rest, '/')), '@') != STR_NOT_FOUND;
}

bool tool_server_open(Str url, Str config_file, const FlagStrList *headers, Arena *arena,
                      ToolServer *ret_server, Error *err)
{
    ToolServer server = {.url = url};
    size_t scheme = str_find(url, S("://"));
    if (scheme == STR_NOT_FOUND)
        server.url = arena_printf(arena, "http://" STR_FMT, STR_ARG(url));
    while (server.url.len && server.url.ptr[server.url.len - 1] == '/')
        server.url.len--;
    http_client_config_default(&server.config);
    if (config_file.len && has_user(server.url))
        return error_set(err, ERR_INVALID,
                         "a user in the server URL and --http.config.file exclude each other");
    if (config_file.len && !read_config(config_file, arena, &server.config, err))
        return error_context(err, "failed to load HTTP config file");
    server.headers = ARENA_ARRAY(arena, Str, 1 + (headers ? headers->count : 0));
    server.headers[server.header_count++] = USER_AGENT;
    if (headers && !add_headers(headers, arena, &server, err))
        return false;
    *ret_server = server;
    return true;
}

static bool exchange(const ToolServer *server, HttpCallOptions options, Str path, Arena *arena,
                     ToolAnswer *ret_answer, Error *err)
{
    size_t more = options.header_count;
    Str *lines = ARENA_ARRAY(arena, Str, server->header_count + more);
    for (size_t i = 0; i < more; i++)
        lines[i] = options.headers[i];
    for (size_t i = 0; i < server->header_count; i++)
        lines[more + i] = server->headers[i];
    options.headers = lines;
    options.header_count = more + server->header_count;
    options.url = arena_printf(arena, STR_FMT STR_FMT, STR_ARG(server->url), STR_ARG(path));
    options.body_bytes_max = TOOL_BODY_BYTES_MAX;
    options.accept_gzip = true;
    ToolAnswer answer;
    if (!http_fetch(&server->config, &options, arena, &answer.status, &answer.body, err))
        return false;
    *ret_answer = answer;
    return true;
}

bool tool_server_get(const ToolServer *server, Str path, int64_t timeout_ms, Arena *arena,
                     ToolAnswer *ret_answer, Error *err)
{
    return exchange(server, (HttpCallOptions){.timeout_ms = timeout_ms}, path, arena, ret_answer,
                    err);
}

bool tool_server_delete(const ToolServer *server, Str path, int64_t timeout_ms, Arena *arena,
                        ToolAnswer *ret_answer, Error *err)
{
    HttpCallOptions options = {.method = S("DELETE"), .timeout_ms = timeout_ms};
    return exchange(server, options, path, arena, ret_answer, err);
}

bool tool_server_post(const ToolServer *server, Str path, Str body, const Str *headers,
                      size_t header_count, int64_t timeout_ms, Arena *arena, ToolAnswer *ret_answer,
                      Error *err)
{
    HttpCallOptions options = {.method = S("POST"),
                               .body = body,
                               .headers = headers,
                               .header_count = header_count,
                               .timeout_ms = timeout_ms};
    return exchange(server, options, path, arena, ret_answer, err);
}

bool tool_server_form(const ToolServer *server, Str path, Str form, int64_t timeout_ms,
                      Arena *arena, ToolAnswer *ret_answer, Error *err)
{
    Str type = S("Content-Type: application/x-www-form-urlencoded");
    ToolAnswer answer;
    if (!tool_server_post(server, path, form, &type, 1, timeout_ms, arena, &answer, err))
        return false;
    if (answer.status != 403 && answer.status != 405 && answer.status != 501) {
        *ret_answer = answer;
        return true;
    }
    Str with_query = arena_printf(arena, STR_FMT "?" STR_FMT, STR_ARG(path), STR_ARG(form));
    return tool_server_get(server, with_query, timeout_ms, arena, ret_answer, err);
}
