// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "base/clock.h"
#include "template/template.h"
#include "tool/tool_alertmanager.h"
#include "tool/tool_table.h"

// ---- the server ----

static int64_t time_left_ms(const ToolAm *am)
{
    int64_t left_ms = (am->deadline_mono_ns - clock_mono_ns(&clock_system)) / 1000000;
    return MAX(left_ms, 1);
}

// "0.34" of "0.34.0".
static Str major_minor(Str version)
{
    size_t first = MIN(str_find_char(version, '.'), version.len);
    size_t second = str_find_char(str_skip(version, MIN(first + 1, version.len)), '.');
    return second == STR_NOT_FOUND ? version : str_sub(version, 0, first + 1 + second);
}

static void check_version(const ToolAm *am)
{
    ToolAmRequest request = {"GET", "/status", "getStatus", S("/status"), STR_NONE};
    JsonValue *status;
    Error ignored = {0}; // what is asked for next tells it better
    if (!tool_am_ask(am, &request, am->call->arena, &status, NULL, &ignored))
        return;
    Str version = tool_am_member(json_get(status, S("versionInfo")), "version");
    if (version.len && !str_equal(major_minor(version), major_minor(S(AM_VERSION))))
        fprintf(stderr,
                "Warning: amtool version (%s) and alertmanager version (" STR_FMT
                ") are different.\n",
                AM_VERSION, STR_ARG(str_sub(version, 0, 100)));
}

bool tool_am_open(const ToolCall *call, ToolAm *ret_am, Error *err)
{
    const ToolGlobals *globals = call->globals;
    ToolAm am = {.call = call,
                 .deadline_mono_ns =
                     clock_mono_ns(&clock_system) + globals->am_timeout_ms * 1000000};
    if (!tool_server_open(globals->am_url, globals->http_config_file, NULL, call->arena, &am.server,
                          err))
        return false;
    am.server.url = arena_printf(call->arena, STR_FMT "/api/v2", STR_ARG(am.server.url));
    if (globals->am_version_check)
        check_version(&am);
    *ret_am = am;
    return true;
}

// As the original's client words it.
static bool refused(const ToolAmRequest *request, const ToolAnswer *answer, Error *err)
{
    const char *name = answer->status == 400   ? "BadRequest"
                       : answer->status == 404 ? "NotFound"
                       : answer->status == 500 ? "InternalServerError"
                                               : NULL;
    Str body = str_sub(str_trim(answer->body), 0, 300);
    // What is not the original's has other statuses, and says why.
    bool is_ours = str_starts_with(request->path, S("/narthex/"));
    if (!name)
        return error_set(err, ERR_UNAVAILABLE, "[%s %s] %s (status %d): " STR_FMT, request->method,
                         request->shown, request->operation, answer->status,
                         STR_ARG(is_ours && body.len ? body : S("{}")));
    return error_set(err, answer->status == 404 ? ERR_NOT_FOUND : ERR_INVALID,
                     "[%s %s][%d] %s%s%s" STR_FMT, request->method, request->shown, answer->status,
                     request->operation, name, body.len ? " " : "", STR_ARG(body));
}

bool tool_am_ask(const ToolAm *am, const ToolAmRequest *request, Arena *arena,
                 JsonValue **ret_answer, int *ret_status, Error *err)
{
    static const Str type = STR("Content-Type: application/json");
    static JsonValue nothing = {.kind = JSON_NULL};
    int64_t left_ms = time_left_ms(am);
    ToolAnswer answer = {0};
    bool ok = strcmp(request->method, "GET") == 0
                  ? tool_server_get(&am->server, request->path, left_ms, arena, &answer, err)
              : strcmp(request->method, "DELETE") == 0
                  ? tool_server_delete(&am->server, request->path, left_ms, arena, &answer, err)
                  : tool_server_post(&am->server, request->path, request->body, &type, 1, left_ms,
                                     arena, &answer, err);
    if (ret_status)
        *ret_status = answer.status;
    if (!ok)
        return error_context(err, "%s \"" STR_FMT STR_FMT "\"", request->method,
                             STR_ARG(am->server.url), STR_ARG(request->path));
    if (answer.status / 100 != 2)
        return refused(request, &answer, err);
    *ret_answer = &nothing;
    return str_trim(answer.body).len == 0 || json_read(answer.body, arena, ret_answer, err) ||
           error_context(err, "the answer of " STR_FMT STR_FMT, STR_ARG(am->server.url),
                         STR_ARG(request->path));
}

// ---- arguments ----

AmMatcherMode tool_am_mode(const ToolCall *call)
{
    const FlagStrList *features = &call->globals->features;
    AmMatcherMode mode = AM_MATCHER_FALLBACK;
    for (size_t i = 0; i < features->count; i++) {
        Str rest = features->items[i];
        Str name;
        while (str_split_next(&rest, ',', &name)) {
            if (str_is(name, "classic-mode"))
                mode = AM_MATCHER_CLASSIC;
            else if (str_is(name, "utf8-strict-mode"))
                mode = AM_MATCHER_UTF8;
        }
    }
    return mode;
}

static bool is_matcher(const ToolCall *call, Str text)
{
    Matcher matcher;
    Error ignored = {0};
    if (!am_matcher_parse(text, tool_am_mode(call), call->arena, &matcher, &ignored))
        return false;
    matcher_deinit(&matcher);
    return true;
}

Str *tool_am_filters(const ToolCall *call)
{
    Str *filters = ARENA_ARRAY(call->arena, Str, call->arg_count + 1);
    for (size_t i = 0; i < call->arg_count; i++)
        filters[i] = call->args[i];
    if (call->arg_count && !is_matcher(call, filters[0])) {
        CLEANUP(buf_deinit) Buf quoted = {0};
        buf_add_c(&quoted, "alertname=");
        buf_add_go_quoted(&quoted, filters[0]);
        filters[0] = arena_str(call->arena, buf_str(&quoted));
    }
    return filters;
}

bool tool_am_pair(const ToolCall *call, Str text, const char *many, Str *ret_name, Str *ret_value,
                  Error *err)
{
    Matcher matcher;
    if (!am_matcher_parse(text, tool_am_mode(call), call->arena, &matcher, err))
        return false;
    bool ok = matcher.kind == MATCH_EQUAL;
    *ret_name = matcher.name;
    *ret_value = matcher.value;
    matcher_deinit(&matcher);
    return ok || error_set(err, ERR_INVALID, "%s must be specified as key=value pairs", many);
}

bool tool_am_pairs(const ToolCall *call, const Str *texts, size_t count, const char *many,
                   Labels *ret_labels, Error *err)
{
    LabelsBuilder builder;
    labels_builder_init(&builder, call->arena, LABELS_NONE);
    for (size_t i = 0; i < count; i++) {
        Str name;
        Str value;
        if (!tool_am_pair(call, texts[i], many, &name, &value, err))
            return false;
        labels_builder_set(&builder, name, value);
    }
    *ret_labels = labels_builder_finish(&builder);
    return true;
}

// The zone at the end of an RFC 3339 time.
static int32_t offset_of(Str text)
{
    if (text.len < 6 || text.ptr[text.len - 3] != ':')
        return 0;
    const char *zone = text.ptr + text.len - 6;
    int32_t s =
        ((zone[1] - '0') * 10 + zone[2] - '0') * 3600 + ((zone[4] - '0') * 10 + zone[5] - '0') * 60;
    return zone[0] == '-' ? -s : zone[0] == '+' ? s : 0;
}

static void add_time(Buf *out, int64_t t_ns, int32_t offset_s, Str layout)
{
    int64_t s;
    int32_t ns;
    am_time_split(t_ns, &s, &ns);
    template_format_time(out, s, ns, offset_s, layout);
}

bool tool_am_time(Str text, Arena *arena, int64_t *ret_ns, Str *ret_text, Error *err)
{
    CLEANUP(buf_deinit) Buf shown = {0};
    if (!am_time_parse(text, ret_ns, err))
        return error_context(err, "parsing time \"" STR_FMT "\"", STR_ARG(str_sub(text, 0, 100)));
    add_time(&shown, *ret_ns, offset_of(text), S("2006-01-02T15:04:05.000Z07:00"));
    *ret_text = arena_str(arena, buf_str(&shown));
    return true;
}

Str tool_am_time_text(Arena *arena, int64_t t_ns)
{
    CLEANUP(buf_deinit) Buf shown = {0};
    add_time(&shown, t_ns, 0, S("2006-01-02T15:04:05.000Z07:00"));
    return arena_str(arena, buf_str(&shown));
}

// ---- answers ----

Str tool_am_member(const JsonValue *object, const char *key)
{
    const JsonValue *value = object ? json_get(object, str_from_c(key)) : NULL;
    return value && value->kind == JSON_STRING ? value->str : STR_NONE;
}

int64_t tool_am_member_time(const JsonValue *object, const char *key)
{
    int64_t t_ns = AM_TIME_ZERO;
    Error ignored = {0}; // what is no time is shown as none
    return am_time_parse(tool_am_member(object, key), &t_ns, &ignored) ? t_ns : AM_TIME_ZERO;
}

void tool_am_add_date(Buf *out, const ToolCall *call, const JsonValue *object, const char *key)
{
    add_time(out, tool_am_member_time(object, key), offset_of(tool_am_member(object, key)),
             call->globals->am_date_format);
}

static int by_text(const void *a, const void *b)
{
    return str_compare(*(const Str *)a, *(const Str *)b);
}

void tool_am_add_labels(Buf *out, const JsonValue *labels)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    size_t count = labels && labels->kind == JSON_OBJECT ? labels->count : 0;
    Str *texts = ARENA_ARRAY(&arena, Str, count + 1);
    for (size_t i = 0; i < count; i++)
        texts[i] = arena_printf(
            &arena, STR_FMT "=\"" STR_FMT "\"", STR_ARG(labels->keys[i]),
            STR_ARG(labels->items[i].kind == JSON_STRING ? labels->items[i].str : STR_NONE));
    if (count > 1)
        qsort(texts, count, sizeof *texts, by_text);
    for (size_t i = 0; i < count; i++)
        buf_printf(out, "%s" STR_FMT, i ? " " : "", STR_ARG(texts[i]));
}

void tool_am_json_labels(JsonWriter *json, const char *key, Labels labels)
{
    json_key(json, str_from_c(key));
    json_object(json);
    for (size_t i = 0; i < labels.count; i++) {
        json_key(json, labels.pairs[i].name);
        json_str(json, labels.pairs[i].value);
    }
    json_object_end(json);
}

int tool_am_print_json(const JsonValue *value)
{
    CLEANUP(buf_deinit) Buf out = {0};
    JsonWriter json;
    json_writer_init(&json, &out);
    json_value(&json, value);
    buf_add_char(&out, '\n');
    return tool_write(buf_str(&out)) ? TOOL_OK : TOOL_FAILED;
}

int tool_am_print_table(const Buf *text)
{
    CLEANUP(buf_deinit) Buf out = {0};
    tool_table_align(&out, buf_str(text));
    return tool_write(buf_str(&out)) ? TOOL_OK : TOOL_FAILED;
}

typedef struct Dated {
    JsonValue value;
    int64_t t_ns;
    size_t place;
} Dated;

static int by_time(const void *a, const void *b)
{
    const Dated *x = a;
    const Dated *y = b;
    int c = (x->t_ns > y->t_ns) - (x->t_ns < y->t_ns);
    return c ? c : (x->place > y->place) - (x->place < y->place);
}

void tool_am_sort(JsonValue *values, size_t count, const char *time_key)
{
    Dated *all = x_calloc(count + 1, sizeof *all);
    for (size_t i = 0; i < count; i++)
        all[i] = (Dated){values[i], tool_am_member_time(&values[i], time_key), i};
    if (count > 1)
        qsort(all, count, sizeof *all, by_time);
    for (size_t i = 0; i < count; i++)
        values[i] = all[i].value;
    free(all);
}

int tool_am_fail(const ToolCall *call, const Error *err)
{
    return tool_fail("%s: error: %s", call->program, err->text);
}
