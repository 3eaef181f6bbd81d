// SPDX-License-Identifier: Apache-2.0
// silence add, expire, update: amtool's commands that change silences.
#include <pwd.h>
#include <unistd.h>

#include "base/timefmt.h"
#include "net/url.h"
#include "tool/tool_alertmanager.h"

typedef struct SilenceOptions {
    Str author, duration, start, end, comment;
    bool require_comment, quiet;
    FlagStrList annotations;
} SilenceOptions;

#define FLAG(flag, type, member, about, ...)                                                       \
    {                                                                                              \
        .name = flag, .kind = type, .offset = offsetof(SilenceOptions, member), .help = about,     \
        __VA_ARGS__                                                                                \
    }
#define TIME_FLAGS                                                                                 \
    FLAG("start", FLAG_STR, start, "Set when the silence should start, in RFC 3339.",              \
         .hidden = false),                                                                         \
        FLAG("end", FLAG_STR, end,                                                                 \
             "Set when the silence should end, in RFC 3339; goes before the duration.",            \
             .hidden = false),                                                                     \
        FLAG("comment", FLAG_STR, comment, "A comment to help describe the silence.",              \
             .short_name = 'c')

static const FlagSpec add_flags[] = {
    FLAG("author", FLAG_STR, author, "Username for the field createdBy.", .short_name = 'a'),
    FLAG("require-comment", FLAG_BOOL, require_comment, "Require a comment.",
         .default_text = "true", .hidden = true),
    FLAG("duration", FLAG_STR, duration, "Duration of the silence.", .default_text = "1h",
         .short_name = 'd'),
    TIME_FLAGS,
    FLAG("annotation", FLAG_STR_LIST, annotations,
         "Set an annotation to be included with the silence, as key=value.", .hidden = false),
};
static const FlagSpec update_flags[] = {
    FLAG("quiet", FLAG_BOOL, quiet, "Only show ids of silences.", .short_name = 'q'),
    FLAG("duration", FLAG_STR, duration, "Duration of the silence.", .short_name = 'd'),
    TIME_FLAGS,
};

// ---- what both need ----

static Str user_name(Arena *arena)
{
    const struct passwd *user = getpwuid(geteuid());
    return user ? arena_str(arena, str_from_c(user->pw_name)) : STR_NONE;
}

static bool end_after(const ToolCall *call, Str duration, int64_t starts_ns, int64_t *ret_ns,
                      Str *ret_text, Error *err)
{
    int64_t ms;
    if (!duration_parse(duration, &ms, err))
        return false;
    if (ms == 0)
        return error_set(err, ERR_INVALID, "silence duration must be greater than 0");
    *ret_ns = am_time_add(starts_ns, ms > INT64_MAX / AM_MS_NS ? INT64_MAX : ms * AM_MS_NS);
    *ret_text = tool_am_time_text(call->arena, *ret_ns);
    return true;
}

static bool check_order(int64_t starts_ns, int64_t ends_ns, Error *err)
{
    return starts_ns <= ends_ns ||
           error_set(err, ERR_INVALID, "silence cannot start after it ends");
}

// Posts a silence; its id is a member of the answer.
static bool post(const ToolAm *am, Str body, Str *ret_id, Error *err)
{
    ToolAmRequest request = {"POST", "/silences", "postSilences", S("/silences"), body};
    JsonValue *answer;
    if (!tool_am_ask(am, &request, am->call->arena, &answer, NULL, err))
        return false;
    *ret_id = tool_am_member(answer, "silenceID");
    return true;
}

// ---- add ----

static bool add_matchers(const ToolCall *call, JsonWriter *json, Error *err)
{
    Str *texts = tool_am_filters(call);
    json_key(json, S("matchers"));
    json_array(json);
    for (size_t i = 0; i < call->arg_count; i++) {
        Matcher matcher;
        if (!am_matcher_parse(texts[i], tool_am_mode(call), call->arena, &matcher, err))
            return false;
        json_object(json);
        json_key_bool(json, "isEqual", matcher.kind == MATCH_EQUAL || matcher.kind == MATCH_REGEX);
        json_key_bool(json, "isRegex",
                      matcher.kind == MATCH_REGEX || matcher.kind == MATCH_NOT_REGEX);
        json_key_str(json, "name", matcher.name);
        json_key_str(json, "value", matcher.value);
        json_object_end(json);
        matcher_deinit(&matcher);
    }
    json_array_end(json);
    return call->arg_count || error_set(err, ERR_INVALID, "no matchers specified");
}

static bool make_silence(const ToolCall *call, JsonWriter *json, Error *err)
{
    const SilenceOptions *options = call->options;
    int64_t starts_ns = am_now_ns(&clock_system);
    Str starts_at = tool_am_time_text(call->arena, starts_ns);
    int64_t ends_ns;
    Str ends_at;
    Labels annotations;
    json_object(json);
    if (!add_matchers(call, json, err) ||
        (options->start.len &&
         !tool_am_time(options->start, call->arena, &starts_ns, &starts_at, err)) ||
        !(options->end.len
              ? tool_am_time(options->end, call->arena, &ends_ns, &ends_at, err)
              : end_after(call, options->duration, starts_ns, &ends_ns, &ends_at, err)) ||
        !check_order(starts_ns, ends_ns, err))
        return false;
    if (options->require_comment && options->comment.len == 0)
        return error_set(err, ERR_INVALID, "comment required by config");
    if (!tool_am_pairs(call, options->annotations.items, options->annotations.count, "annotations",
                       &annotations, err))
        return false;
    if (annotations.count)
        tool_am_json_labels(json, "annotations", annotations);
    json_key_str(json, "comment", options->comment);
    json_key_str(json, "createdBy", options->author.len ? options->author : user_name(call->arena));
    json_key_str(json, "endsAt", ends_at);
    json_key_str(json, "startsAt", starts_at);
    json_object_end(json);
    return true;
}

static int run_add(ToolCall *call)
{
    CLEANUP(buf_deinit) Buf body = {0};
    JsonWriter json;
    ToolAm am;
    Str id;
    Error err = {0};
    json_writer_init(&json, &body);
    if (!make_silence(call, &json, &err) || !tool_am_open(call, &am, &err) ||
        !post(&am, buf_str(&body), &id, &err))
        return tool_am_fail(call, &err);
    printf(STR_FMT "\n", STR_ARG(id));
    return TOOL_OK;
}

// ---- expire ----

static Str path_of(const ToolCall *call, Str id)
{
    CLEANUP(buf_deinit) Buf path = {0};
    buf_add_c(&path, "/silence/");
    url_add_path_escaped(&path, id);
    return arena_str(call->arena, buf_str(&path));
}

static int run_expire(ToolCall *call)
{
    ToolAm am;
    Error err = {0};
    if (call->arg_count == 0) {
        error_set(&err, ERR_INVALID, "no silence IDs specified");
        return tool_am_fail(call, &err);
    }
    if (!tool_am_open(call, &am, &err))
        return tool_am_fail(call, &err);
    for (size_t i = 0; i < call->arg_count; i++) {
        JsonValue *answer;
        ToolAmRequest request = {"DELETE", "/silence/{silenceID}", "deleteSilence",
                                 path_of(call, call->args[i]), STR_NONE};
        if (!tool_am_ask(&am, &request, call->arena, &answer, NULL, &err))
            return tool_am_fail(call, &err);
    }
    return TOOL_OK;
}

// ---- update ----

static JsonValue *member_of(const ToolCall *call, JsonValue *object, const char *key)
{
    for (size_t i = 0; i < object->count; i++)
        if (str_is(object->keys[i], key))
            return &object->items[i];
    // Room for one more.
    JsonValue *items = ARENA_ARRAY(call->arena, JsonValue, object->count + 1);
    Str *keys = ARENA_ARRAY(call->arena, Str, object->count + 1);
    for (size_t i = 0; i < object->count; i++) {
        items[i] = object->items[i];
        keys[i] = object->keys[i];
    }
    keys[object->count] = str_from_c(key);
    object->items = items;
    object->keys = keys;
    return &object->items[object->count++];
}

static void set_member(const ToolCall *call, JsonValue *object, const char *key, Str text)
{
    *member_of(call, object, key) = (JsonValue){.kind = JSON_STRING, .str = text};
}

static bool change(const ToolCall *call, JsonValue *silence, Error *err)
{
    const SilenceOptions *options = call->options;
    int64_t starts_ns = tool_am_member_time(silence, "startsAt");
    int64_t ends_ns = tool_am_member_time(silence, "endsAt");
    Str text;
    if (options->start.len) {
        if (!tool_am_time(options->start, call->arena, &starts_ns, &text, err))
            return false;
        set_member(call, silence, "startsAt", text);
    }
    if (options->end.len || options->duration.len) {
        if (!(options->end.len
                  ? tool_am_time(options->end, call->arena, &ends_ns, &text, err)
                  : end_after(call, options->duration, starts_ns, &ends_ns, &text, err)))
            return false;
        set_member(call, silence, "endsAt", text);
    }
    if (options->comment.len)
        set_member(call, silence, "comment", options->comment);
    return check_order(starts_ns, ends_ns, err);
}

static void write_postable(const JsonValue *silence, Buf *body)
{
    static const char *const members[] = {"id",     "annotations", "comment", "createdBy",
                                          "endsAt", "matchers",    "startsAt"};
    JsonWriter json;
    json_writer_init(&json, body);
    json_object(&json);
    for (size_t i = 0; i < COUNT_OF(members); i++) {
        const JsonValue *value = json_get(silence, str_from_c(members[i]));
        if (!value)
            continue;
        json_key(&json, str_from_c(members[i]));
        json_value(&json, value);
    }
    json_object_end(&json);
}

static bool update(const ToolAm *am, Str id, JsonValue *ret_silence, Error *err)
{
    const ToolCall *call = am->call;
    CLEANUP(buf_deinit) Buf body = {0};
    ToolAmRequest request = {"GET", "/silence/{silenceID}", "getSilence", path_of(call, id),
                             STR_NONE};
    JsonValue *silence;
    Str changed;
    if (!tool_am_ask(am, &request, call->arena, &silence, NULL, err))
        return false;
    if (silence->kind != JSON_OBJECT)
        return error_set(err, ERR_INVALID, "the answer is no silence");
    if (!change(call, silence, err))
        return false;
    write_postable(silence, &body);
    if (!post(am, buf_str(&body), &changed, err))
        return false;
    set_member(call, silence, "id", changed);
    *ret_silence = *silence;
    return true;
}

static int run_update(ToolCall *call)
{
    const SilenceOptions *options = call->options;
    ToolAm am;
    Error err = {0};
    JsonValue *silences = ARENA_ARRAY(call->arena, JsonValue, call->arg_count + 1);
    bool ok = call->arg_count ? tool_am_open(call, &am, &err)
                              : error_set(&err, ERR_INVALID, "no silence IDs specified");
    for (size_t i = 0; ok && i < call->arg_count; i++)
        ok = update(&am, call->args[i], &silences[i], &err);
    if (!ok)
        return tool_am_fail(call, &err);
    if (!options->quiet)
        return tool_silence_print(call, silences, call->arg_count);
    for (size_t i = 0; i < call->arg_count; i++)
        printf(STR_FMT "\n", STR_ARG(tool_am_member(&silences[i], "id")));
    return TOOL_OK;
}

static const ToolArg add_args[] = {
    {"matcher-groups", "What is silenced; the first may be an alertname.", .is_optional = true,
     .is_many = true},
    {0},
};
static const ToolArg expire_args[] = {
    {"silence-ids", "Ids of silences to expire.", .is_optional = true, .is_many = true},
    {0},
};
static const ToolArg update_args[] = {
    {"update-ids", "Ids of silences to update.", .is_optional = true, .is_many = true},
    {0},
};
const ToolVerb tool_silence_add = {TOOL_FLAGS(add_flags), .options_bytes = sizeof(SilenceOptions),
                                   .args = add_args, .run = run_add};
const ToolVerb tool_silence_expire = {.args = expire_args, .run = run_expire};
const ToolVerb tool_silence_update = {TOOL_FLAGS(update_flags),
                                      .options_bytes = sizeof(SilenceOptions), .args = update_args,
                                      .run = run_update};
