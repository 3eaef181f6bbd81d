// SPDX-License-Identifier: Apache-2.0
// amtool's other commands: check-config, config show, config routes show and test, cluster show, template render.
#include "tool/tool_alertmanager.h"

#include <unistd.h>

#include "base/fs.h"

#define DATA_BYTES_MAX ((size_t)256 << 20)

// ---- check-config ----

static int run_check(ToolCall *call)
{
    Str standard_input = S("/dev/stdin");
    const Str *files = call->arg_count ? call->args : &standard_input;
    size_t count = MAX(call->arg_count, 1u);
    int faults = 0;
    if (call->arg_count == 0 && isatty(STDIN_FILENO))
        return tool_fail("%s: error: Failed to read from standard input", call->program);
    for (size_t i = 0; i < count; i++) {
        CLEANUP(buf_deinit) Buf found = {0};
        Error err = {0};
        faults += !am_check_config(files[i], tool_am_mode(call), &found, &err);
        printf("Checking '" STR_FMT "'" STR_FMT "\n", STR_ARG(files[i]), STR_ARG(buf_str(&found)));
    }
    if (faults == 0)
        return TOOL_OK;
    return tool_fail("%s: error: failed to validate %d file(s)", call->program, faults);
}

// ---- config, cluster: what a running Alertmanager says of itself ----

static bool get_status(const ToolCall *call, JsonValue **ret_status, Error *err)
{
    ToolAm am;
    ToolAmRequest request = {"GET", "/status", "getStatus", S("/status"), STR_NONE};
    return tool_am_open(call, &am, err) &&
           tool_am_ask(&am, &request, call->arena, ret_status, NULL, err);
}

static int run_show(ToolCall *call)
{
    static const char *const rows[] = {"buildUser", "goVersion", "revision",
                                       "version",   "branch",    "buildDate"};
    JsonValue *status;
    Error err = {0};
    if (!get_status(call, &status, &err))
        return tool_am_fail(call, &err);
    if (call->globals->am_output == TOOL_AM_JSON)
        return tool_am_print_json(status);
    printf(STR_FMT "\n", STR_ARG(tool_am_member(json_get(status, S("config")), "original")));
    if (call->globals->am_output == TOOL_AM_SIMPLE)
        return TOOL_OK;
    const JsonValue *version = json_get(status, S("versionInfo"));
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        printf("%s " STR_FMT "\n", rows[i], STR_ARG(tool_am_member(version, rows[i])));
    printf("uptime " STR_FMT "\n", STR_ARG(tool_am_member(status, "uptime")));
    return TOOL_OK;
}

static int run_cluster(ToolCall *call)
{
    CLEANUP(buf_deinit) Buf text = {0};
    JsonValue *status;
    Error err = {0};
    if (!get_status(call, &status, &err))
        return tool_am_fail(call, &err);
    const JsonValue *cluster = json_get(status, S("cluster"));
    if (!cluster)
        return tool_fail("%s: error: the answer does not speak of a cluster", call->program);
    if (call->globals->am_output == TOOL_AM_JSON)
        return tool_am_print_json(cluster);
    buf_printf(&text, "Cluster Status:\t" STR_FMT "\nNode Name:\t" STR_FMT "\n",
               STR_ARG(tool_am_member(cluster, "status")),
               STR_ARG(tool_am_member(cluster, "name")));
    if (call->globals->am_output == TOOL_AM_EXTENDED) {
        const JsonValue *peers = json_get(cluster, S("peers"));
        buf_add_c(&text, "\nAddress\tName\n");
        for (size_t i = 0; peers && i < peers->count; i++)
            buf_printf(&text, STR_FMT "\t" STR_FMT "\t\n",
                       STR_ARG(tool_am_member(&peers->items[i], "address")),
                       STR_ARG(tool_am_member(&peers->items[i], "name")));
    }
    return tool_am_print_table(&text);
}

// ---- config routes ----

// From --config.file, or of the running Alertmanager.
static bool open_source(const ToolCall *call, AmConfigSource *source, Error *err)
{
    JsonValue *status;
    *source = (AmConfigSource){.path = call->globals->am_config_file, .mode = tool_am_mode(call)};
    if (source->path.len)
        return true;
    if (!get_status(call, &status, err))
        return false;
    source->text = tool_am_member(json_get(status, S("config")), "original");
    return true;
}

static int run_routes(ToolCall *call)
{
    CLEANUP(buf_deinit) Buf out = {0};
    AmConfigSource source;
    Error err = {0};
    if (!open_source(call, &source, &err) || !am_check_routes(&source, &out, &err))
        return tool_am_fail(call, &err);
    return tool_write(buf_str(&out)) ? TOOL_OK : TOOL_FAILED;
}

typedef struct TestOptions {
    Str verify_receivers;
    bool tree;
} TestOptions;

static bool find_receivers(const ToolCall *call, Buf *tree, Buf *out, Error *err)
{
    AmConfigSource source;
    Labels labels;
    if (!open_source(call, &source, err))
        return false;
    if (!tool_am_pairs(call, call->args, call->arg_count, "Labels", &labels, err))
        return error_context(err, "Failed to parse labels");
    return am_check_route_of(&source, labels, tree, out, err);
}

static int run_test(ToolCall *call)
{
    const TestOptions *options = call->options;
    CLEANUP(buf_deinit) Buf tree = {0};
    CLEANUP(buf_deinit) Buf out = {0};
    Error err = {0};
    if (!find_receivers(call, options->tree ? &tree : NULL, &out, &err))
        return tool_am_fail(call, &err);
    printf(STR_FMT STR_FMT "\n", STR_ARG(buf_str(&tree)), STR_ARG(buf_str(&out)));
    if (options->verify_receivers.len && !str_equal(options->verify_receivers, buf_str(&out))) {
        printf("WARNING: Expected receivers did not match resolved receivers.\n");
        return TOOL_FAILED;
    }
    return TOOL_OK;
}

static const FlagSpec test_flags[] = {
    {.name = "verify.receivers",
     .kind = FLAG_STR,
     .offset = offsetof(TestOptions, verify_receivers),
     .help = "Fails unless these receivers, with commas, are the ones."},
    {.name = "tree",
     .kind = FLAG_BOOL,
     .offset = offsetof(TestOptions, tree),
     .help = "Draws the routes that the alert takes."},
};

// ---- template render ----

typedef struct RenderOptions {
    FlagStrList globs;
    Str text, data;
    int type;
} RenderOptions;

static const char *const types[] = {"text", "html", NULL};
static const FlagSpec render_flags[] = {
    {.name = "template.glob",
     .kind = FLAG_STR_LIST,
     .offset = offsetof(RenderOptions, globs),
     .help = "Pattern of paths of files with definitions.",
     .required = true},
    {.name = "template.text",
     .kind = FLAG_STR,
     .offset = offsetof(RenderOptions, text),
     .help = "The template that is filled in.",
     .required = true},
    {.name = "template.type",
     .kind = FLAG_ENUM,
     .offset = offsetof(RenderOptions, type),
     .default_text = "text",
     .words = types,
     .help = "text or html."},
    {.name = "template.data",
     .kind = FLAG_STR,
     .offset = offsetof(RenderOptions, data),
     .help = "JSON file with the data of a notification, as a webhook gets it; a sample if none is "
             "given."},
};

static int run_render(ToolCall *call)
{
    const RenderOptions *options = call->options;
    CLEANUP(buf_deinit) Buf out = {0};
    Str data = STR_NONE;
    Error err = {0};
    if ((options->data.len &&
         !fs_read_file(&fs_system, options->data, call->arena, DATA_BYTES_MAX, &data, &err)) ||
        !am_check_render(options->globs.items, options->globs.count, options->text,
                         options->type == 1, data, &out, &err))
        return tool_am_fail(call, &err);
    return tool_write(buf_str(&out)) ? TOOL_OK : TOOL_FAILED;
}

static const ToolArg check_args[] = {
    {"check-files", "The files to check; standard input if none is given.", .is_optional = true,
     .is_many = true, .is_file = true},
    {0},
};
static const ToolArg test_args[] = {
    {"labels", "The alert's labels, name=value.", .is_optional = true, .is_many = true},
    {0},
};

const ToolVerb tool_alertmanager_check = {.args = check_args, .run = run_check};
const ToolVerb tool_alertmanager_cluster = {.run = run_cluster};
const ToolVerb tool_alertmanager_config = {.run = run_show};
const ToolVerb tool_alertmanager_render = {
    TOOL_FLAGS(render_flags), .options_bytes = sizeof(RenderOptions), .run = run_render};
const ToolVerb tool_alertmanager_routes = {.run = run_routes};
const ToolVerb tool_alertmanager_test = {TOOL_FLAGS(test_flags),
                                         .options_bytes = sizeof(TestOptions), .args = test_args,
                                         .run = run_test};
