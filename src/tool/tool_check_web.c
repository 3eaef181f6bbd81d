// SPDX-License-Identifier: Apache-2.0
// check web-config: files of --web.config.file, with the certificates that they name.
#include "net/web_config.h"
#include "tool/tool_command.h"

static bool check_file(Str path, Error *err)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    WebConfig config;
    WebTlsPem pem;
    return web_config_load(path, &arena, &config, err) &&
           web_config_read_pem(&config, &arena, &pem, err);
}

static int run(ToolCall *call)
{
    int status = TOOL_OK;
    for (size_t i = 0; i < call->arg_count; i++) {
        Error err = {0};
        if (check_file(call->args[i], &err))
            fprintf(stderr, STR_FMT " SUCCESS\n", STR_ARG(call->args[i]));
        else
            status = tool_fail(STR_FMT " FAILED: %s", STR_ARG(call->args[i]), err.text);
    }
    return status;
}

static const ToolArg args[] = {
    {"web-config-files", "The config files to check.", .is_many = true, .is_file = true},
    {0},
};

const ToolVerb tool_check_web = {
    .args = args,
    .run = run,
};
