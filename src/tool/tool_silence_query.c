// SPDX-License-Identifier: Apache-2.0
// silence query, and how silences are shown.
#include "net/url.h"
#include "tool/tool_alertmanager.h"

typedef struct QueryOptions {
    bool expired, quiet;
    Str created_by, id;
    int64_t within_ms;
} QueryOptions;

#define FLAG(flag, type, member, about, ...)                                                       \
    {                                                                                              \
        .name = flag, .kind = type, .offset = offsetof(QueryOptions, member), .help = about,       \
        __VA_ARGS__                                                                                \
    }
static const FlagSpec query_flags[] = {
    FLAG("expired", FLAG_BOOL, expired, "Show expired silences instead of active.",
         .hidden = false),
    FLAG("quiet", FLAG_BOOL, quiet, "Only show ids of silences.", .short_name = 'q'),
    FLAG("created-by", FLAG_STR, created_by, "Show silences that belong to this creator.",
         .hidden = false),
    FLAG("id", FLAG_STR, id, "Get a single silence by its id.", .hidden = false),
    FLAG("within", FLAG_GO_DURATION, within_ms,
         "Show silences that will expire or have expired within a duration.", .hidden = false),
};

// ---- how they are shown ----

static bool flag_of(const JsonValue *matcher, const char *key, bool fallback)
{
    const JsonValue *value = json_get(matcher, str_from_c(key));
    return value && value->kind == JSON_BOOL ? value->boolean : fallback;
}

static void add_matchers(const JsonValue *list, bool simple, Buf *out)
{
    size_t count = list && list->kind == JSON_ARRAY ? list->count : 0;
    buf_add_c(out, simple ? "" : "{");
    for (size_t i = 0; i < count; i++) {
        bool equal = flag_of(&list->items[i], "isEqual", true);
        bool regex = flag_of(&list->items[i], "isRegex", false);
        Matcher matcher = {.kind = regex ? (equal ? MATCH_REGEX : MATCH_NOT_REGEX)
                                         : (equal ? MATCH_EQUAL : MATCH_NOT_EQUAL),
                           .name = tool_am_member(&list->items[i], "name"),
                           .value = tool_am_member(&list->items[i], "value")};
        if (i)
            buf_add_char(out, simple ? ' ' : ',');
        am_matcher_print(out, &matcher);
    }
    buf_add_c(out, simple ? "" : "}");
}

static void add_silence(const ToolCall *call, const JsonValue *silence, bool simple, Buf *out)
{
    buf_printf(out, STR_FMT "\t", STR_ARG(tool_am_member(silence, "id")));
    add_matchers(json_get(silence, S("matchers")), simple, out);
    buf_add_char(out, '\t');
    if (!simple) {
        tool_am_add_date(out, call, silence, "startsAt");
        buf_add_char(out, '\t');
    }
    tool_am_add_date(out, call, silence, "endsAt");
    buf_add_char(out, '\t');
    if (!simple) {
        tool_am_add_date(out, call, silence, "updatedAt");
        buf_add_char(out, '\t');
    }
    buf_printf(out, STR_FMT "\t" STR_FMT "\t\n", STR_ARG(tool_am_member(silence, "createdBy")),
               STR_ARG(tool_am_member(silence, "comment")));
}

int tool_silence_print(const ToolCall *call, JsonValue *silences, size_t count)
{
    CLEANUP(buf_deinit) Buf text = {0};
    bool simple = call->globals->am_output == TOOL_AM_SIMPLE;
    if (call->globals->am_output == TOOL_AM_JSON) {
        JsonValue all = {.kind = JSON_ARRAY, .items = silences, .count = count};
        return tool_am_print_json(&all);
    }
    tool_am_sort(silences, count, "endsAt");
    buf_add_c(&text, simple
                         ? "ID\tMatchers\tEnds At\tCreated By\tComment\t\n"
                         : "ID\tMatchers\tStarts At\tEnds At\tUpdated At\tCreated By\tComment\t\n");
    for (size_t i = 0; i < count; i++)
        add_silence(call, &silences[i], simple, &text);
    return tool_am_print_table(&text);
}

// ---- query ----

static bool is_wanted(const QueryOptions *options, const JsonValue *silence, int64_t now_ns)
{
    int64_t ends_ns = tool_am_member_time(silence, "endsAt");
    int64_t within_ns = MIN(options->within_ms, INT64_MAX / AM_MS_NS / 2) * AM_MS_NS;
    if (options->expired ? ends_ns > now_ns : ends_ns < now_ns)
        return false;
    if (within_ns > 0 && (options->expired ? ends_ns < now_ns - within_ns
                                           : ends_ns > am_time_add(now_ns, within_ns)))
        return false;
    return (!options->created_by.len ||
            str_equal(options->created_by, tool_am_member(silence, "createdBy"))) &&
           (!options->id.len || str_equal(options->id, tool_am_member(silence, "id")));
}

static int run_query(ToolCall *call)
{
    const QueryOptions *options = call->options;
    CLEANUP(buf_deinit) Buf path = {0};
    ToolAm am;
    JsonValue *all;
    Error err = {0};
    Str *filters = tool_am_filters(call);
    buf_add_c(&path, "/silences");
    for (size_t i = 0; i < call->arg_count; i++) {
        buf_add_c(&path, i ? "&filter=" : "?filter=");
        url_add_query_escaped(&path, filters[i]);
    }
    ToolAmRequest request = {"GET", "/silences", "getSilences", buf_str(&path), STR_NONE};
    if (!tool_am_open(call, &am, &err) ||
        !tool_am_ask(&am, &request, call->arena, &all, NULL, &err))
        return tool_am_fail(call, &err);
    int64_t now_ns = am_now_ns(&clock_system);
    size_t count = 0;
    for (size_t i = 0; i < all->count; i++)
        if (is_wanted(options, &all->items[i], now_ns))
            all->items[count++] = all->items[i];
    if (!options->quiet)
        return tool_silence_print(call, all->items, count);
    for (size_t i = 0; i < count; i++)
        printf(STR_FMT "\n", STR_ARG(tool_am_member(&all->items[i], "id")));
    return TOOL_OK;
}

static const ToolArg query_args[] = {
    {"matcher-groups", "Query filter; the first may be an alertname.", .is_optional = true,
     .is_many = true},
    {0},
};
const ToolVerb tool_silence_query = {
    TOOL_FLAGS(query_flags), .options_bytes = sizeof(QueryOptions), .args = query_args,
    .about = "Matchers: name=value, !=, =~, !~. --within 8h shows those that are over within the "
             "next 8 hours; with --expired, those that ended within the last.",
    .run = run_query};
