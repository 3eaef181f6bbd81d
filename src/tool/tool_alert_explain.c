// SPDX-License-Identifier: Apache-2.0
// alert explain: why an alert is notified or not: docs/alerting.md.
#include "net/url.h"
#include "tool/tool_alertmanager.h"

typedef struct ExplainOptions {
    Str fingerprint;
} ExplainOptions;

static const FlagSpec flags[] = {
    {.name = "fingerprint",
     .kind = FLAG_STR,
     .offset = offsetof(ExplainOptions, fingerprint),
     .help = "An alert that the Alertmanager holds, in place of labels."},
};

static bool ask(const ToolCall *call, JsonValue **ret_answer, Error *err)
{
    const ExplainOptions *options = call->options;
    CLEANUP(buf_deinit) Buf text = {0};
    ToolAm am;
    Labels labels;
    ToolAmRequest request = {"GET", "/narthex/explain", "explainAlert", STR_NONE, STR_NONE};
    if ((options->fingerprint.len > 0) == (call->arg_count > 0))
        return error_set(err, ERR_INVALID, "either labels or --fingerprint must be given");
    if (options->fingerprint.len) {
        buf_add_c(&text, "/narthex/explain?fingerprint=");
        url_add_query_escaped(&text, options->fingerprint);
        request.path = buf_str(&text);
    } else {
        JsonWriter json;
        if (!tool_am_pairs(call, tool_am_filters(call), call->arg_count, "labels", &labels, err))
            return false;
        json_writer_init(&json, &text);
        json_object(&json);
        tool_am_json_labels(&json, "labels", labels);
        json_object_end(&json);
        request.method = "POST";
        request.path = S("/narthex/explain");
        request.body = buf_str(&text);
    }
    return tool_am_open(call, &am, err) &&
           tool_am_ask(&am, &request, call->arena, ret_answer, NULL, err);
}

static bool is_true(const JsonValue *object, const char *key)
{
    const JsonValue *value = json_get(object, str_from_c(key));
    return value && value->kind == JSON_BOOL && value->boolean;
}

// The member if it is an object.
static const JsonValue *object_of(const JsonValue *object, const char *key)
{
    const JsonValue *value = json_get(object, str_from_c(key));
    return value && value->kind == JSON_OBJECT ? value : NULL;
}

static size_t count_of(const JsonValue *list)
{
    return list && list->kind == JSON_ARRAY ? list->count : 0;
}

static long long integer_of(const JsonValue *object, const char *key)
{
    const JsonValue *value = json_get(object, str_from_c(key));
    return value && value->kind == JSON_NUMBER && value->is_integer ? (long long)value->integer : 0;
}

static void add_alert(Buf *out, const ToolCall *call, const JsonValue *answer)
{
    const JsonValue *alert = object_of(answer, "alert");
    buf_add_c(out, "Alert:\t");
    tool_am_add_labels(out, json_get(answer, S("labels")));
    buf_printf(out, "\nFingerprint:\t" STR_FMT "\nState:\t",
               STR_ARG(tool_am_member(answer, "fingerprint")));
    if (alert) {
        buf_printf(out, STR_FMT " since ", STR_ARG(tool_am_member(alert, "status")));
        tool_am_add_date(out, call, alert, "startsAt");
    } else {
        buf_add_c(out, "not held");
    }
    buf_add_char(out, '\n');
}

static void add_held_back(Buf *out, const ToolCall *call, const JsonValue *answer)
{
    const JsonValue *by = object_of(answer, "inhibitedBy");
    const JsonValue *silences = json_get(answer, S("silencedBy"));
    if (by) {
        buf_printf(out, "Inhibited by:\t" STR_FMT " ", STR_ARG(tool_am_member(by, "fingerprint")));
        tool_am_add_labels(out, json_get(by, S("labels")));
        buf_printf(out, " (rule %lld)\n", integer_of(by, "rule"));
    }
    for (size_t i = 0; i < count_of(silences); i++) {
        const JsonValue *one = &silences->items[i];
        buf_printf(out, "Silenced by:\t" STR_FMT " until ", STR_ARG(tool_am_member(one, "id")));
        tool_am_add_date(out, call, one, "endsAt");
        buf_printf(out, ", " STR_FMT ": " STR_FMT "\n", STR_ARG(tool_am_member(one, "createdBy")),
                   STR_ARG(tool_am_member(one, "comment")));
    }
}

// With --output=extended: the whole tree.
static void add_routes(Buf *out, const JsonValue *answer)
{
    const JsonValue *routes = json_get(answer, S("routes"));
    buf_add_c(out, "\nRoute\tReceiver\tTaken\tWhy\n");
    for (size_t i = 0; i < count_of(routes); i++) {
        const JsonValue *route = &routes->items[i];
        buf_printf(out, STR_FMT "\t" STR_FMT "\t%s\t" STR_FMT "\n",
                   STR_ARG(tool_am_member(route, "id")), STR_ARG(tool_am_member(route, "receiver")),
                   is_true(route, "taken") ? "yes" : "no", STR_ARG(tool_am_member(route, "why")));
    }
}

static void add_integration(Buf *out, const ToolCall *call, const JsonValue *row)
{
    const JsonValue *last = object_of(row, "last");
    buf_printf(out, "  " STR_FMT "[%lld]:\t", STR_ARG(tool_am_member(row, "integration")),
               integer_of(row, "index"));
    if (last) {
        buf_printf(out, STR_FMT ", at ", STR_ARG(tool_am_member(last, "thisAlert")));
        tool_am_add_date(out, call, last, "at");
    } else {
        buf_add_c(out, "never told");
    }
    buf_printf(out, "; a flush now would %s\n", is_true(row, "due") ? "tell it" : "not tell it");
}

static void add_taken(Buf *out, const ToolCall *call, const JsonValue *taken)
{
    const JsonValue *group = object_of(taken, "group");
    const JsonValue *muted = json_get(taken, S("mutedBy"));
    const JsonValue *integrations = json_get(taken, S("integrations"));
    buf_printf(out, "\nRoute:\t" STR_FMT "\nReceiver:\t" STR_FMT "\nGroup:\t" STR_FMT "\n",
               STR_ARG(tool_am_member(taken, "route")), STR_ARG(tool_am_member(taken, "receiver")),
               STR_ARG(tool_am_member(taken, "groupKey")));
    if (group) {
        buf_printf(out, "Alerts in it:\t%lld\nNext flush:\t", integer_of(group, "alerts"));
        tool_am_add_date(out, call, group, "nextFlush");
        buf_add_char(out, '\n');
    }
    for (size_t i = 0; i < count_of(muted); i++)
        if (muted->items[i].kind == JSON_STRING)
            buf_printf(out, "%s:\t" STR_FMT "\n",
                       is_true(taken, "outsideActiveTime") ? "Outside of" : "Muted by",
                       STR_ARG(muted->items[i].str));
    for (size_t i = 0; i < count_of(integrations); i++)
        add_integration(out, call, &integrations->items[i]);
    buf_printf(out, "Verdict:\t" STR_FMT "\n", STR_ARG(tool_am_member(taken, "verdict")));
}

static int run(ToolCall *call)
{
    CLEANUP(buf_deinit) Buf out = {0};
    JsonValue *answer;
    Error err = {0};
    if (!ask(call, &answer, &err))
        return tool_am_fail(call, &err);
    if (call->globals->am_output == TOOL_AM_JSON)
        return tool_am_print_json(answer);
    add_alert(&out, call, answer);
    add_held_back(&out, call, answer);
    if (call->globals->am_output == TOOL_AM_EXTENDED)
        add_routes(&out, answer);
    const JsonValue *taken = json_get(answer, S("taken"));
    for (size_t i = 0; i < count_of(taken); i++)
        add_taken(&out, call, &taken->items[i]);
    return tool_am_print_table(&out);
}

static const ToolArg args[] = {
    {"labels", "Labels of the alert, name=value; the first may be an alertname.",
     .is_optional = true, .is_many = true},
    {0},
};
const ToolVerb tool_alert_explain = {
    TOOL_FLAGS(flags), .options_bytes = sizeof(ExplainOptions), .args = args,
    .about = "Tells what inhibits or silences it, the routes that it takes, what each integration "
             "was told last and what comes next; with "
             "--output=extended all routes. Needs narthex as Alertmanager.",
    .run = run};
