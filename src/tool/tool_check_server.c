// SPDX-License-Identifier: Apache-2.0
// check healthy, check ready: asks a running server.
#include "tool/tool_http.h"

#define TIMEOUT_MS 10000

typedef struct ServerOptions {
    Str url;
    Str http_config_file;
} ServerOptions;

static const FlagSpec flags[] = {
    {.name = "url",
     .kind = FLAG_STR,
     .offset = offsetof(ServerOptions, url),
     .default_text = "http://localhost:9090",
     .help = "The URL for the Prometheus server."},
    {.name = "http.config.file",
     .kind = FLAG_STR,
     .offset = offsetof(ServerOptions, http_config_file),
     .help = "HTTP client configuration file: the keys of http_config."},
};

static int check_page(const ToolCall *call, Str path)
{
    const ServerOptions *options = call->options;
    ToolServer server;
    ToolAnswer answer;
    Error err = {0};
    if (!tool_server_open(options->url, options->http_config_file, NULL, call->arena, &server,
                          &err) ||
        !tool_server_get(&server, path, TIMEOUT_MS, call->arena, &answer, &err))
        return tool_fail("%s", err.text);
    if (answer.status != 200)
        return tool_fail("check failed: URL=" STR_FMT ", status=%d", STR_ARG(server.url),
                         answer.status);
    fprintf(stderr, "  SUCCESS:  " STR_FMT "\n", STR_ARG(answer.body));
    return TOOL_OK;
}

static int run_healthy(ToolCall *call)
{
    return check_page(call, S("/-/healthy"));
}

static int run_ready(ToolCall *call)
{
    return check_page(call, S("/-/ready"));
}

const ToolVerb tool_check_healthy = {
    TOOL_FLAGS(flags),
    .options_bytes = sizeof(ServerOptions),
    .run = run_healthy,
};

const ToolVerb tool_check_ready = {
    TOOL_FLAGS(flags),
    .options_bytes = sizeof(ServerOptions),
    .run = run_ready,
};
