// SPDX-License-Identifier: Apache-2.0
// alert query, alert add: amtool's commands for alerts.
#include "net/url.h"
#include "tool/tool_alertmanager.h"

#define NOT_SET "0001-01-01T00:00:00.000Z"

// ---- query ----

typedef struct QueryOptions {
    bool inhibited, silenced, active, unprocessed;
    Str receiver;
} QueryOptions;

#define QUERY_FLAG(flag, type, letter, about)                                                      \
    {                                                                                              \
        .name = #flag, .kind = type, .offset = offsetof(QueryOptions, flag), .help = about,        \
        .short_name = letter                                                                       \
    }
static const FlagSpec query_flags[] = {
    QUERY_FLAG(inhibited, FLAG_BOOL, 'i', "Show inhibited alerts."),
    QUERY_FLAG(silenced, FLAG_BOOL, 's', "Show silenced alerts."),
    QUERY_FLAG(active, FLAG_BOOL, 'a', "Show active alerts."),
    QUERY_FLAG(unprocessed, FLAG_BOOL, 'u', "Show unprocessed alerts."),
    QUERY_FLAG(receiver, FLAG_STR, 'r', "Show alerts of receivers that match this regex."),
};

static void add_param(Buf *path, const char *name, Str value)
{
    buf_printf(path, "%c%s=", str_find_char(buf_str(path), '?') == STR_NOT_FOUND ? '?' : '&', name);
    url_add_query_escaped(path, value);
}

static void add_bool(Buf *path, const char *name, bool value)
{
    add_param(path, name, value ? S("true") : S("false"));
}

static void add_simple(const ToolCall *call, const JsonValue *alert, Buf *out)
{
    buf_printf(out, STR_FMT "\t",
               STR_ARG(tool_am_member(json_get(alert, S("labels")), "alertname")));
    tool_am_add_date(out, call, alert, "startsAt");
    buf_printf(out, "\t" STR_FMT "\t" STR_FMT "\t\n",
               STR_ARG(tool_am_member(json_get(alert, S("annotations")), "summary")),
               STR_ARG(tool_am_member(json_get(alert, S("status")), "state")));
}

static void add_extended(const ToolCall *call, const JsonValue *alert, Buf *out)
{
    tool_am_add_labels(out, json_get(alert, S("labels")));
    buf_add_char(out, '\t');
    tool_am_add_labels(out, json_get(alert, S("annotations")));
    buf_add_char(out, '\t');
    tool_am_add_date(out, call, alert, "startsAt");
    buf_add_char(out, '\t');
    tool_am_add_date(out, call, alert, "endsAt");
    buf_printf(out, "\t" STR_FMT "\t" STR_FMT "\t\n",
               STR_ARG(tool_am_member(alert, "generatorURL")),
               STR_ARG(tool_am_member(json_get(alert, S("status")), "state")));
}

static int print_alerts(const ToolCall *call, JsonValue *alerts)
{
    CLEANUP(buf_deinit) Buf text = {0};
    bool simple = call->globals->am_output == TOOL_AM_SIMPLE;
    if (call->globals->am_output == TOOL_AM_JSON)
        return tool_am_print_json(alerts);
    tool_am_sort(alerts->items, alerts->count, "startsAt");
    buf_add_c(&text, simple ? "Alertname\tStarts At\tSummary\tState\t\n"
                            : "Labels\tAnnotations\tStarts At\tEnds At\tGenerator URL\tState\t\n");
    for (size_t i = 0; i < alerts->count; i++)
        (simple ? add_simple : add_extended)(call, &alerts->items[i], &text);
    return tool_am_print_table(&text);
}

static int run_query(ToolCall *call)
{
    const QueryOptions *options = call->options;
    CLEANUP(buf_deinit) Buf path = {0};
    ToolAm am;
    JsonValue *alerts;
    Error err = {0};
    Str *filters = tool_am_filters(call);
    bool any = options->silenced || options->inhibited || options->active || options->unprocessed;
    buf_add_c(&path, "/alerts");
    add_bool(&path, "active", options->active || !any);
    add_bool(&path, "inhibited", options->inhibited);
    add_bool(&path, "silenced", options->silenced);
    add_bool(&path, "unprocessed", options->unprocessed);
    if (options->receiver.len)
        add_param(&path, "receiver", options->receiver);
    for (size_t i = 0; i < call->arg_count; i++)
        add_param(&path, "filter", filters[i]);
    ToolAmRequest request = {"GET", "/alerts", "getAlerts", buf_str(&path), STR_NONE};
    if (!tool_am_open(call, &am, &err) ||
        !tool_am_ask(&am, &request, call->arena, &alerts, NULL, &err))
        return tool_am_fail(call, &err);
    return print_alerts(call, alerts);
}

// ---- add ----

typedef struct AddOptions {
    Str generator_url, start, end;
    FlagStrList annotations;
} AddOptions;

#define ADD_FLAG(flag, type, member, about)                                                        \
    {                                                                                              \
        .name = flag, .kind = type, .offset = offsetof(AddOptions, member), .help = about          \
    }
static const FlagSpec add_flags[] = {
    ADD_FLAG("generator-url", FLAG_STR, generator_url,
             "Set the URL of the source that generated the alert."),
    ADD_FLAG("start", FLAG_STR, start, "Set when the alert should start, in RFC 3339."),
    ADD_FLAG("end", FLAG_STR, end, "Set when the alert should end, in RFC 3339."),
    ADD_FLAG("annotation", FLAG_STR_LIST, annotations,
             "Set an annotation to be included with the alert, as key=value."),
};

static bool make_alert(const ToolCall *call, Buf *body, Error *err)
{
    const AddOptions *options = call->options;
    Labels labels;
    Labels annotations;
    int64_t t_ns;
    Str starts_at = S(NOT_SET);
    Str ends_at = S(NOT_SET);
    JsonWriter json;
    if (!tool_am_pairs(call, tool_am_filters(call), call->arg_count, "labels", &labels, err) ||
        !tool_am_pairs(call, options->annotations.items, options->annotations.count, "annotations",
                       &annotations, err) ||
        (options->start.len &&
         !tool_am_time(options->start, call->arena, &t_ns, &starts_at, err)) ||
        (options->end.len && !tool_am_time(options->end, call->arena, &t_ns, &ends_at, err)))
        return false;
    json_writer_init(&json, body);
    json_array(&json);
    json_object(&json);
    tool_am_json_labels(&json, "annotations", annotations);
    json_key_str(&json, "endsAt", ends_at);
    json_key_str(&json, "startsAt", starts_at);
    if (options->generator_url.len)
        json_key_str(&json, "generatorURL", options->generator_url);
    tool_am_json_labels(&json, "labels", labels);
    json_object_end(&json);
    json_array_end(&json);
    return true;
}

static int run_add(ToolCall *call)
{
    CLEANUP(buf_deinit) Buf body = {0};
    ToolAm am;
    JsonValue *answer;
    Error err = {0};
    if (!make_alert(call, &body, &err) || !tool_am_open(call, &am, &err))
        return tool_am_fail(call, &err);
    ToolAmRequest request = {"POST", "/alerts", "postAlerts", S("/alerts"), buf_str(&body)};
    if (!tool_am_ask(&am, &request, call->arena, &answer, NULL, &err))
        return tool_am_fail(call, &err);
    return TOOL_OK;
}

static const ToolArg query_args[] = {
    {"matcher-groups", "Query filter; the first may be an alertname.", .is_optional = true,
     .is_many = true},
    {0},
};
static const ToolArg add_args[] = {
    {"labels", "Labels of the alert; the first may be an alertname.", .is_optional = true,
     .is_many = true},
    {0},
};
const ToolVerb tool_alert_query = {
    TOOL_FLAGS(query_flags), .options_bytes = sizeof(QueryOptions), .args = query_args,
    .about = "Shows active alerts if no state is asked for. Matchers: name=value, !=, =~, !~.",
    .run = run_query};
const ToolVerb tool_alert_add = {TOOL_FLAGS(add_flags), .options_bytes = sizeof(AddOptions),
                                 .args = add_args, .run = run_add};
