// SPDX-License-Identifier: Apache-2.0
// receiver preview, receiver test: what a receiver is told of alerts, filled in or sent: docs/alerting.md.
#include "base/fs.h"
#include "tool/tool_alertmanager.h"

#define ALERTS_BYTES_MAX ((size_t)16 << 20)

typedef struct ReceiverOptions {
    Str group_key, alerts_file, text;
    FlagStrList annotations;
    bool html;
} ReceiverOptions;

#define RECEIVER_FLAG(flag, type, member, about)                                                   \
    {                                                                                              \
        .name = flag, .kind = type, .offset = offsetof(ReceiverOptions, member), .help = about     \
    }
#define SHARED_FLAGS                                                                               \
    RECEIVER_FLAG("group-key", FLAG_STR, group_key,                                                \
                  "The alerts of the group that has this key now, in place of labels."),           \
        RECEIVER_FLAG("alerts.file", FLAG_STR, alerts_file,                                        \
                      "JSON file with alerts as the API takes them, in place of labels."),         \
        RECEIVER_FLAG("annotation", FLAG_STR_LIST, annotations,                                    \
                      "An annotation of the alert that the labels make, as key=value.")

static const FlagSpec test_flags[] = {SHARED_FLAGS};
static const FlagSpec preview_flags[] = {
    SHARED_FLAGS,
    RECEIVER_FLAG("template.text", FLAG_STR, text,
                  "A template to fill in, in place of all that the receiver has."),
    RECEIVER_FLAG("html", FLAG_BOOL, html, "Escape values in it as in the HTML of a mail."),
};

// ---- what is asked ----

static bool add_file(const ToolCall *call, JsonWriter *json, Str path, Error *err)
{
    Str text;
    JsonValue *alerts;
    if (!fs_read_file(&fs_system, path, call->arena, ALERTS_BYTES_MAX, &text, err) ||
        !json_read(text, call->arena, &alerts, err))
        return error_context(err, STR_FMT, STR_ARG(path));
    json_key(json, S("alerts"));
    json_value(json, alerts);
    return true;
}

static bool add_alert(const ToolCall *call, JsonWriter *json, Error *err)
{
    const ReceiverOptions *options = call->options;
    Labels labels;
    Labels annotations;
    ToolCall rest = *call;
    rest.args++;
    rest.arg_count--;
    if (!tool_am_pairs(call, tool_am_filters(&rest), rest.arg_count, "labels", &labels, err) ||
        !tool_am_pairs(call, options->annotations.items, options->annotations.count, "annotations",
                       &annotations, err))
        return false;
    json_key(json, S("alerts"));
    json_array(json);
    json_object(json);
    tool_am_json_labels(json, "labels", labels);
    tool_am_json_labels(json, "annotations", annotations);
    json_object_end(json);
    json_array_end(json);
    return true;
}

static bool add_alerts(const ToolCall *call, JsonWriter *json, Error *err)
{
    const ReceiverOptions *options = call->options;
    bool has_labels = call->arg_count > 1;
    if (has_labels + (options->group_key.len > 0) + (options->alerts_file.len > 0) > 1)
        return error_set(err, ERR_INVALID,
                         "labels, --group-key and --alerts.file exclude each other");
    if (options->annotations.count && !has_labels)
        return error_set(err, ERR_INVALID, "--annotation needs labels");
    if (options->group_key.len)
        json_key_str(json, "groupKey", options->group_key);
    if (options->alerts_file.len)
        return add_file(call, json, options->alerts_file, err);
    return !has_labels || add_alert(call, json, err);
}

static bool ask(const ToolCall *call, ToolAmRequest *request, JsonValue **ret_answer, Error *err)
{
    const ReceiverOptions *options = call->options;
    CLEANUP(buf_deinit) Buf body = {0};
    JsonWriter json;
    ToolAm am;
    json_writer_init(&json, &body);
    json_object(&json);
    json_key_str(&json, "receiver", call->args[0]);
    if (options->text.len) {
        json_key_str(&json, "text", options->text);
        json_key(&json, S("html"));
        json_bool(&json, options->html);
    }
    if (!add_alerts(call, &json, err))
        return false;
    json_object_end(&json);
    request->body = buf_str(&body);
    return tool_am_open(call, &am, err) &&
           tool_am_ask(&am, request, call->arena, ret_answer, NULL, err);
}

// ---- what is told ----

static void add_head(Buf *out, const JsonValue *answer)
{
    const JsonValue *alerts = json_get(answer, S("alerts"));
    buf_printf(out, "Group " STR_FMT ", alerts: %lld\n",
               STR_ARG(tool_am_member(answer, "groupKey")),
               alerts && alerts->is_integer ? (long long)alerts->integer : 0);
}

// "webhook[0]"
static void add_integration(Buf *out, const JsonValue *row)
{
    const JsonValue *index = json_get(row, S("index"));
    buf_printf(out, STR_FMT "[%lld]", STR_ARG(tool_am_member(row, "integration")),
               index && index->is_integer ? (long long)index->integer : 0);
}

// The text, or why there is none. False: there is none.
static bool add_text(Buf *out, const JsonValue *row)
{
    const JsonValue *fault = json_get(row, S("error"));
    if (!fault) {
        buf_printf(out, STR_FMT "\n", STR_ARG(tool_am_member(row, "text")));
        return true;
    }
    buf_printf(out, "error: " STR_FMT "\n", STR_ARG(tool_am_member(fault, "message")));
    return false;
}

static bool add_preview(Buf *out, const JsonValue *answer)
{
    bool ok = true;
    const JsonValue *fields = json_get(answer, S("fields"));
    if (!fields)
        return add_text(out, answer);
    add_head(out, answer);
    for (size_t i = 0; i < fields->count; i++) {
        buf_add_c(out, "\n");
        add_integration(out, &fields->items[i]);
        buf_printf(out, " " STR_FMT ":\n", STR_ARG(tool_am_member(&fields->items[i], "field")));
        ok &= add_text(out, &fields->items[i]);
    }
    return ok;
}

static bool add_results(Buf *out, const JsonValue *answer)
{
    bool ok = true;
    const JsonValue *results = json_get(answer, S("results"));
    add_head(out, answer);
    for (size_t i = 0; results && i < results->count; i++) {
        const JsonValue *row = &results->items[i];
        const JsonValue *seconds = json_get(row, S("durationSeconds"));
        Str fault = tool_am_member(row, "error");
        add_integration(out, row);
        buf_printf(out, ": " STR_FMT, STR_ARG(tool_am_member(row, "status")));
        if (seconds && seconds->kind == JSON_NUMBER)
            buf_printf(out, " after %.3f s", seconds->number);
        if (fault.len)
            buf_printf(out, ": " STR_FMT, STR_ARG(fault));
        buf_add_char(out, '\n');
        ok &= !str_is(tool_am_member(row, "status"), "failed");
    }
    return ok;
}

static int run(ToolCall *call, ToolAmRequest *request,
               bool (*add)(Buf *out, const JsonValue *answer))
{
    CLEANUP(buf_deinit) Buf out = {0};
    JsonValue *answer;
    Error err = {0};
    if (!ask(call, request, &answer, &err))
        return tool_am_fail(call, &err);
    bool ok = add(&out, answer);
    if (call->globals->am_output == TOOL_AM_JSON)
        return tool_am_print_json(answer) == TOOL_OK && ok ? TOOL_OK : TOOL_FAILED;
    return tool_write(buf_str(&out)) && ok ? TOOL_OK : TOOL_FAILED;
}

static int run_preview(ToolCall *call)
{
    ToolAmRequest request = {"POST", "/narthex/template", "previewTemplates",
                             S("/narthex/template"), STR_NONE};
    return run(call, &request, add_preview);
}

static int run_test(ToolCall *call)
{
    ToolAmRequest request = {"POST", "/narthex/test", "testReceiver", S("/narthex/test"), STR_NONE};
    return run(call, &request, add_results);
}

static const ToolArg args[] = {
    {"receiver", "Name of a receiver of the running configuration."},
    {"labels",
     "Labels of an alert that fires, name=value; the first may be an alertname. A built-in alert "
     "if "
     "there is none.",
     .is_optional = true, .is_many = true},
    {0},
};
const ToolVerb tool_receiver_preview = {
    TOOL_FLAGS(preview_flags), .options_bytes = sizeof(ReceiverOptions), .args = args,
    .about = "Sends nothing. Fails if a template does. Needs narthex as Alertmanager.",
    .run = run_preview};
const ToolVerb tool_receiver_test = {
    TOOL_FLAGS(test_flags), .options_bytes = sizeof(ReceiverOptions), .args = args,
    .about = "Past routes, groups and silences, and without a trace in the notification log. Fails "
             "if one of the receiver's integrations "
             "does. Needs narthex as Alertmanager.",
    .run = run_test};
