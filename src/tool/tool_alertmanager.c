// SPDX-License-Identifier: Apache-2.0
// amtool's commands that need no running Alertmanager: check-config, config routes show, config routes test.
#include "alertmanager/alertmanager.h"
#include "tool/tool_command.h"

typedef struct RouteOptions {
    Str config_file;
    Str verify_receivers;
} RouteOptions;

static int run_check(ToolCall *call)
{
    int faults = 0;
    for (size_t i = 0; i < call->arg_count; i++) {
        CLEANUP(buf_deinit) Buf found = {0};
        Error err = {0};
        if (am_check_config(call->args[i], AM_MATCHER_FALLBACK, &found, &err)) {
            printf("Checking '" STR_FMT "'  SUCCESS\n" STR_FMT "\n", STR_ARG(call->args[i]),
                   STR_ARG(buf_str(&found)));
        } else {
            printf("Checking '" STR_FMT "'  FAILED: %s\n\n", STR_ARG(call->args[i]), err.text);
            faults++;
        }
    }
    return faults ? tool_fail("failed to validate %d file(s)", faults) : TOOL_OK;
}

static int run_routes(ToolCall *call)
{
    const RouteOptions *options = call->options;
    CLEANUP(buf_deinit) Buf out = {0};
    Error err = {0};
    if (!am_check_routes(options->config_file, AM_MATCHER_FALLBACK, &out, &err))
        return tool_fail("%s", err.text);
    return tool_write(buf_str(&out)) ? TOOL_OK : TOOL_FAILED;
}

static bool labels_of(ToolCall *call, Labels *ret_labels, Error *err)
{
    LabelsBuilder builder;
    labels_builder_init(&builder, call->arena, LABELS_NONE);
    for (size_t i = 0; i < call->arg_count; i++) {
        Str name;
        Str value;
        if (!tool_split_pair(call->args[i], &name, &value, err))
            return false;
        labels_builder_set(&builder, name, value);
    }
    *ret_labels = labels_builder_finish(&builder);
    return true;
}

static int run_test(ToolCall *call)
{
    const RouteOptions *options = call->options;
    CLEANUP(buf_deinit) Buf out = {0};
    Labels labels;
    Error err = {0};
    if (!labels_of(call, &labels, &err) ||
        !am_check_route_of(options->config_file, AM_MATCHER_FALLBACK, labels, &out, &err))
        return tool_fail("%s", err.text);
    printf(STR_FMT "\n", STR_ARG(buf_str(&out)));
    if (options->verify_receivers.len && !str_equal(options->verify_receivers, buf_str(&out))) {
        printf("WARNING: Expected receivers did not match resolved receivers.\n");
        return TOOL_FAILED;
    }
    return TOOL_OK;
}

#define CONFIG_FILE                                                                                \
    {                                                                                              \
        .name = "config.file", .kind = FLAG_STR, .offset = offsetof(RouteOptions, config_file),    \
        .default_text = "", .help = "The configuration of the Alertmanager.", .required = true     \
    }
static const FlagSpec route_flags[] = {CONFIG_FILE};
static const FlagSpec test_flags[] = {
    CONFIG_FILE,
    {.name = "verify.receivers",
     .kind = FLAG_STR,
     .offset = offsetof(RouteOptions, verify_receivers),
     .default_text = "",
     .help = "Fails unless these receivers, with commas, are the ones."},
};

static const ToolArg check_args[] = {
    {"check-files", "The files to check.", .is_many = true, .is_file = true},
    {0},
};
static const ToolArg test_args[] = {
    {"labels", "The alert's labels, name=value.", .is_optional = true, .is_many = true},
    {0},
};

const ToolVerb tool_alertmanager_check = {.args = check_args, .run = run_check};
const ToolVerb tool_alertmanager_routes = {
    TOOL_FLAGS(route_flags), .options_bytes = sizeof(RouteOptions), .run = run_routes};
const ToolVerb tool_alertmanager_test = {TOOL_FLAGS(test_flags),
                                         .options_bytes = sizeof(RouteOptions), .args = test_args,
                                         .run = run_test};
