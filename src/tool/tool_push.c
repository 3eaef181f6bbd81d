// SPDX-License-Identifier: Apache-2.0
// push metrics: pages in the text format, sent by remote write.
#include "base/fs.h"
#include "codec/compress.h"
#include "tool/tool_http.h"
#include "tool/tool_time.h"
#include "tool/tool_write_request.h"

#define PUSH_LABELS_MAX 1000

typedef struct PushOptions {
    FlagStrList labels;
    int64_t timeout_ms;
    FlagStrList headers;
    int message; // WriteMessage
    Str path;
} PushOptions;

static const char *const messages[] = {
    [WRITE_V1] = "prometheus.WriteRequest", [WRITE_V2] = "io.prometheus.write.v2.Request", NULL};

#define FLAG(flag, type, member, text, about, ...)                                                 \
    {                                                                                              \
        .name = flag, .kind = type, .offset = offsetof(PushOptions, member), .default_text = text, \
        .help = about, __VA_ARGS__                                                                 \
    }
static const FlagSpec flags[] = {
    FLAG("label", FLAG_STR_LIST, labels, "job=promtool",
         "Label to attach to metrics, as NAME=VALUE. Can be specified multiple times.",
         .hidden = false),
    FLAG("timeout", FLAG_GO_DURATION, timeout_ms, "30s", "The time to wait for pushing metrics.",
         .min = 1, .max = 24 * 3600 * 1000),
    FLAG("header", FLAG_STR_LIST, headers, NULL, "Prometheus remote write header, as NAME=VALUE.",
         .hidden = false),
    FLAG("protobuf_message", FLAG_ENUM, message, "prometheus.WriteRequest",
         "Protobuf message to use when writing: prometheus.WriteRequest or "
         "io.prometheus.write.v2.Request.",
         .words = messages),
    FLAG("remote-write.path", FLAG_STR, path, "/api/v1/write",
         "Path of the remote write API below the URL.", .hidden = false),
};

typedef struct Push {
    const ToolCall *call;
    const PushOptions *options;
    ToolServer server;
    Str path; // empty where the URL ends in it already
    Label labels[PUSH_LABELS_MAX];
    size_t label_count;
} Push;

static bool read_labels(Push *push, Error *err)
{
    const FlagStrList *given = &push->options->labels;
    if (given->count > PUSH_LABELS_MAX)
        return error_set(err, ERR_LIMIT, "more than %d labels", PUSH_LABELS_MAX);
    for (size_t i = 0; i < given->count; i++) {
        Label *label = &push->labels[push->label_count++];
        if (!tool_split_pair(given->items[i], &label->name, &label->value, err))
            return error_context(err, "--label");
    }
    return true;
}

static bool prepare(Push *push, Error *err)
{
    const PushOptions *options = push->options;
    const ToolCall *call = push->call;
    if (!tool_server_open(call->args[0], call->globals->http_config_file, &options->headers,
                          call->arena, &push->server, err) ||
        !read_labels(push, err))
        return false;
    // As older versions wanted the whole URL, one that has the path already is taken as it is.
    if (options->path.len && !str_ends_with(push->server.url, options->path))
        push->path = options->path.ptr[0] == '/'
                         ? options->path
                         : arena_printf(call->arena, "/" STR_FMT, STR_ARG(options->path));
    return true;
}

static bool send(const Push *push, Str packed, Arena *arena, Error *err)
{
    bool is_v2 = push->options->message == WRITE_V2;
    const Str headers[] = {
        S("Content-Encoding: snappy"),
        is_v2 ? S("Content-Type: application/x-protobuf;proto=io.prometheus.write.v2.Request")
              : S("Content-Type: application/x-protobuf"),
        is_v2 ? S("X-Prometheus-Remote-Write-Version: 2.0.0")
              : S("X-Prometheus-Remote-Write-Version: 0.1.0"),
    };
    ToolAnswer answer;
    if (!tool_server_post(&push->server, push->path, packed, headers, COUNT_OF(headers),
                          push->options->timeout_ms, arena, &answer, err))
        return false;
    if (answer.status / 100 != 2)
        return error_set(err, ERR_UNAVAILABLE, "server returned HTTP status %d: " STR_FMT,
                         answer.status, STR_ARG(str_sub(str_trim(answer.body), 0, 300)));
    return true;
}

static bool push_page(const Push *push, Str text, Error *err)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    CLEANUP(buf_deinit) Buf message = {0};
    CLEANUP(buf_deinit) Buf packed = {0};
    WriteRequestOptions options = {.message = (WriteMessage)push->options->message,
                                   .labels = push->labels,
                                   .label_count = push->label_count,
                                   .now_ms = (int64_t)(tool_now_s() * 1000)};
    Page page;
    if (!page_read(text, &arena, &page, err) ||
        !write_request_encode(&page, &options, &message, err))
        return false;
    snappy_encode(buf_str(&message), &packed);
    return send(push, buf_str(&packed), &arena, err);
}

static int push_stdin(const Push *push)
{
    CLEANUP(buf_deinit) Buf text = {0};
    Error err = {0};
    printf("Parsing standard input\n");
    fflush(stdout);
    if (!tool_read_stdin(PAGE_BYTES_MAX, &text, &err) || !push_page(push, buf_str(&text), &err))
        return tool_fail("  FAILED: %s", err.text);
    printf("  SUCCESS: metrics pushed to remote write.\n");
    return TOOL_OK;
}

static int push_file(const Push *push, Str path)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    Str text;
    Error err = {0};
    printf("Parsing metrics file " STR_FMT "\n", STR_ARG(path));
    fflush(stdout);
    if (!fs_read_file(&fs_system, path, &arena, PAGE_BYTES_MAX, &text, &err) ||
        !push_page(push, text, &err))
        return tool_fail("  FAILED: %s", err.text);
    printf("  SUCCESS: metrics file " STR_FMT " pushed to remote write.\n", STR_ARG(path));
    return TOOL_OK;
}

static int run(ToolCall *call)
{
    Push push = {.call = call, .options = call->options};
    int status = TOOL_OK;
    Error err = {0};
    if (!prepare(&push, &err))
        return tool_fail("%s", err.text);
    if (call->arg_count == 1)
        return push_stdin(&push);
    for (size_t i = 1; i < call->arg_count; i++)
        if (push_file(&push, call->args[i]) != TOOL_OK)
            status = TOOL_FAILED;
    return status;
}

static const ToolArg args[] = {
    {"remote-write-url", "Prometheus remote write url to push metrics.", .is_file = false},
    {"metric-files", "The metric files to push, default is read from standard input.",
     .is_optional = true, .is_many = true, .is_file = true},
    {0},
};

const ToolVerb tool_push_metrics = {
    TOOL_FLAGS(flags),
    .options_bytes = sizeof(PushOptions),
    .args = args,
    .run = run,
};
