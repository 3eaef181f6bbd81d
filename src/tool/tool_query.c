// SPDX-License-Identifier: Apache-2.0
// query instant, range, series, labels: asks a server's HTTP API.
#include "tool/tool_query.h"

#include <math.h>

#include "base/clock.h"
#include "base/number.h"
#include "base/timefmt.h"
#include "codec/json_text.h"
#include "tool/tool_time.h"

#define TIMEOUT_MS 120000
#define FAR_S (9999.0 * 3600) // what series and labels look at when no times are given

typedef struct QueryOptions {
    Str time;
    Str start, end;
    int64_t step_ms;
    FlagStrList headers;
    FlagStrList match;
} QueryOptions;

#define FLAG(flag, type, member, about, ...)                                                       \
    {                                                                                              \
        .name = flag, .kind = type, .offset = offsetof(QueryOptions, member), .help = about,       \
        __VA_ARGS__                                                                                \
    }
#define HEADER_FLAG                                                                                \
    FLAG("header", FLAG_STR_LIST, headers, "Extra headers to send to server, as NAME=VALUE.",      \
         .hidden = false)
#define START_FLAG                                                                                 \
    FLAG("start", FLAG_STR, start, "Start time (RFC3339 or Unix timestamp).", .hidden = false)
#define END_FLAG                                                                                   \
    FLAG("end", FLAG_STR, end, "End time (RFC3339 or Unix timestamp).", .hidden = false)

static const FlagSpec instant_flags[] = {
    FLAG("time", FLAG_STR, time, "Query evaluation time (RFC3339 or Unix timestamp).",
         .hidden = false),
    HEADER_FLAG,
};
static const FlagSpec range_flags[] = {
    HEADER_FLAG,
    START_FLAG,
    END_FLAG,
    FLAG("step", FLAG_GO_DURATION, step_ms, "Query step size (duration).", .hidden = false),
};
static const FlagSpec series_flags[] = {
    FLAG("match", FLAG_STR_LIST, match, "Series selector. Can be specified multiple times.",
         .required = true),
    START_FLAG,
    END_FLAG,
};
static const FlagSpec labels_flags[] = {
    START_FLAG,
    END_FLAG,
    FLAG("match", FLAG_STR_LIST, match, "Series selector. Can be specified multiple times.",
         .required = false),
};

// Parameters --------------------------------------------------------------------------------------------------------------------------

static void add_param(Buf *form, const char *name, Str value)
{
    buf_add_c(form, form->len ? "&" : "");
    url_add_query_escaped(form, str_from_c(name));
    buf_add_char(form, '=');
    url_add_query_escaped(form, value);
}

static void add_number(Buf *form, const char *name, double value)
{
    char text[NUMBER_BYTES_MAX];
    add_param(form, name, str_make(text, number_format_f(value, text)));
}

// Start and end of series and labels.
static bool add_span(const QueryOptions *options, Buf *form, Error *err)
{
    double now_s = tool_now_s();
    double start_s = now_s - FAR_S;
    double end_s = now_s + FAR_S;
    if (options->start.len && !tool_time_parse(options->start, &start_s, err))
        return error_context(err, "error parsing start time");
    if (options->end.len && !tool_time_parse(options->end, &end_s, err))
        return error_context(err, "error parsing end time");
    for (size_t i = 0; i < options->match.count; i++)
        add_param(form, "match[]", options->match.items[i]);
    add_number(form, "start", start_s);
    add_number(form, "end", end_s);
    return true;
}

// Exchanges ---------------------------------------------------------------------------------------------------------------------------

static void print_warnings(const ToolEnvelope *envelope)
{
    for (size_t i = 0; envelope->warnings && i < envelope->warnings->count; i++)
        if (envelope->warnings->items[i].kind == JSON_STRING)
            fprintf(stderr, "query warning: " STR_FMT "\n",
                    STR_ARG(envelope->warnings->items[i].str));
}

static bool open_server(const ToolCall *call, ToolServer *ret_server, Error *err)
{
    const QueryOptions *options = call->options;
    return tool_server_open(call->args[0], call->globals->http_config_file, &options->headers,
                            call->arena, ret_server, err);
}

// One request; `form` NULL means GET.
static bool ask(const ToolCall *call, Str path, const Buf *form, ToolEnvelope *ret_envelope,
                Error *err)
{
    ToolServer server;
    ToolAnswer answer;
    if (!open_server(call, &server, err))
        return false;
    bool ok =
        form ? tool_server_form(&server, path, buf_str(form), TIMEOUT_MS, call->arena, &answer, err)
             : tool_server_get(&server, path, TIMEOUT_MS, call->arena, &answer, err);
    return (ok && tool_envelope_read(&answer, call->arena, ret_envelope, err)) ||
           error_context(err, "query error");
}

static int finish(Buf *out)
{
    buf_add_char(out, '\n');
    tool_write(buf_str(out));
    return TOOL_OK;
}

static int print_result(const ToolCall *call, ToolResult *result)
{
    CLEANUP(buf_deinit) Buf out = {0};
    tool_result_print(result, (ToolOutput)call->globals->output, call->arena, &out);
    return finish(&out);
}

bool tool_query_instant_at(const ToolServer *server, Str query, double time_s, Arena *arena,
                           ToolResult *ret_result, Error *err)
{
    CLEANUP(buf_deinit) Buf form = {0};
    ToolAnswer answer;
    ToolEnvelope envelope;
    add_param(&form, "query", query);
    add_number(&form, "time", time_s);
    return tool_server_form(server, S("/api/v1/query"), buf_str(&form), TIMEOUT_MS, arena, &answer,
                            err) &&
           tool_envelope_read(&answer, arena, &envelope, err) &&
           tool_result_read(envelope.data, arena, ret_result, err);
}

bool tool_query_range_of(const ToolServer *server, Str query, const ToolRange *range, Arena *arena,
                         ToolResult *ret_result, Error *err)
{
    CLEANUP(buf_deinit) Buf form = {0};
    ToolAnswer answer;
    ToolEnvelope envelope;
    add_param(&form, "query", query);
    add_number(&form, "start", range->start_s);
    add_number(&form, "end", range->end_s);
    add_number(&form, "step", range->step_s);
    return tool_server_form(server, S("/api/v1/query_range"), buf_str(&form), TIMEOUT_MS, arena,
                            &answer, err) &&
           tool_envelope_read(&answer, arena, &envelope, err) &&
           tool_result_read(envelope.data, arena, ret_result, err);
}

static int run_instant(ToolCall *call)
{
    const QueryOptions *options = call->options;
    ToolServer server;
    ToolResult result;
    Error err = {0};
    double time_s = tool_now_s();
    if (options->time.len && !tool_time_parse(options->time, &time_s, &err))
        return tool_fail("error parsing evaluation time: %s", err.text);
    if (!open_server(call, &server, &err) ||
        !tool_query_instant_at(&server, call->args[1], time_s, call->arena, &result, &err))
        return tool_fail("query error: %s", err.text);
    return print_result(call, &result);
}

static int run_range(ToolCall *call)
{
    const QueryOptions *options = call->options;
    ToolServer server;
    ToolResult result;
    Error err = {0};
    ToolRange range = {.end_s = tool_now_s(), .step_s = (double)options->step_ms / 1000};
    if (options->end.len && !tool_time_parse(options->end, &range.end_s, &err))
        return tool_fail("error parsing end time: %s", err.text);
    range.start_s = range.end_s - 300;
    if (options->start.len && !tool_time_parse(options->start, &range.start_s, &err))
        return tool_fail("error parsing start time: %s", err.text);
    if (!(range.start_s < range.end_s))
        return tool_fail("start time is not before end time");
    if (options->step_ms == 0)
        range.step_s = MAX(floor((range.end_s - range.start_s) / 250), 1);
    if (!open_server(call, &server, &err) ||
        !tool_query_range_of(&server, call->args[1], &range, call->arena, &result, &err))
        return tool_fail("query error: %s", err.text);
    return print_result(call, &result);
}

// Lists -------------------------------------------------------------------------------------------------------------------------------

// How the items of a list are printed.
typedef struct ListPrinter {
    bool is_json;
    JsonWriter json;
    Buf out;
    Arena arena; // of one item
} ListPrinter;

typedef bool PrintItem(ListPrinter *printer, const JsonValue *item, Error *err);

static bool print_label_set(ListPrinter *printer, const JsonValue *item, Error *err)
{
    Labels labels;
    if (!tool_labels_read(item, &printer->arena, &labels, err))
        return false;
    if (printer->is_json)
        tool_labels_json(labels, &printer->json);
    else
        tool_label_set_print(labels, &printer->out);
    return true;
}

static bool print_label_value(ListPrinter *printer, const JsonValue *item, Error *err)
{
    if (item->kind != JSON_STRING)
        return error_set(err, ERR_INVALID, "bad_response: a label's value is no string");
    if (printer->is_json)
        json_str(&printer->json, item->str);
    else
        buf_add_str(&printer->out, item->str);
    return true;
}

static bool print_items(ListPrinter *printer, Str list, PrintItem *print_item, Error *err)
{
    JsonTextItems items = json_text_items(list);
    Str text;
    while (json_text_next(&items, &text)) {
        JsonValue *item;
        arena_reset(&printer->arena);
        if (!json_read(text, &printer->arena, &item, err) || !print_item(printer, item, err))
            return false;
        if (!printer->is_json)
            buf_add_char(&printer->out, '\n');
    }
    if (items.failed)
        *err = items.err;
    return !items.failed;
}

static int print_list(const ToolCall *call, const ToolEnvelope *envelope, PrintItem *print_item)
{
    ListPrinter printer = {.is_json = call->globals->output == TOOL_OUTPUT_JSON};
    Error err = {0};
    json_writer_init(&printer.json, &printer.out);
    if (printer.is_json)
        json_array(&printer.json);
    bool ok =
        print_items(&printer, envelope->data.len ? envelope->data : S("[]"), print_item, &err);
    if (ok && printer.is_json) {
        json_array_end(&printer.json);
        buf_add_char(&printer.out, '\n');
    }
    if (ok)
        tool_write(buf_str(&printer.out));
    buf_deinit(&printer.out);
    arena_deinit(&printer.arena);
    return ok ? TOOL_OK : tool_fail("query error: %s", err.text);
}

static int run_series(ToolCall *call)
{
    CLEANUP(buf_deinit) Buf form = {0};
    ToolEnvelope envelope;
    Error err = {0};
    if (!add_span(call->options, &form, &err) ||
        !ask(call, S("/api/v1/series"), &form, &envelope, &err))
        return tool_fail("%s", err.text);
    return print_list(call, &envelope, print_label_set);
}

static int run_labels(ToolCall *call)
{
    CLEANUP(buf_deinit) Buf form = {0};
    CLEANUP(buf_deinit) Buf path = {0};
    ToolEnvelope envelope;
    Error err = {0};
    if (!add_span(call->options, &form, &err))
        return tool_fail("%s", err.text);
    buf_add_c(&path, "/api/v1/label/");
    url_add_path_escaped(&path, call->args[1]);
    buf_add_c(&path, "/values?");
    buf_add_str(&path, buf_str(&form));
    if (!ask(call, buf_str(&path), NULL, &envelope, &err))
        return tool_fail("%s", err.text);
    print_warnings(&envelope);
    return print_list(call, &envelope, print_label_value);
}

// Verbs -------------------------------------------------------------------------------------------------------------------------------

static const ToolArg query_args[] = {
    {"server", "Prometheus server to query.", .is_file = false},
    {"expr", "PromQL query expression.", .is_file = false},
    {0},
};
static const ToolArg series_args[] = {
    {"server", "Prometheus server to query.", .is_file = false},
    {0},
};
static const ToolArg labels_args[] = {
    {"server", "Prometheus server to query.", .is_file = false},
    {"name", "Label name to provide label values for.", .is_file = false},
    {0},
};

const ToolVerb tool_query_instant = {TOOL_FLAGS(instant_flags),
                                     .options_bytes = sizeof(QueryOptions), .args = query_args,
                                     .run = run_instant};
const ToolVerb tool_query_range = {TOOL_FLAGS(range_flags), .options_bytes = sizeof(QueryOptions),
                                   .args = query_args, .run = run_range};
const ToolVerb tool_query_series = {TOOL_FLAGS(series_flags), .options_bytes = sizeof(QueryOptions),
                                    .args = series_args, .run = run_series};
const ToolVerb tool_query_labels = {TOOL_FLAGS(labels_flags), .options_bytes = sizeof(QueryOptions),
                                    .args = labels_args, .run = run_labels};
