// SPDX-License-Identifier: Apache-2.0
// tool_alertmanager.h: what amtool's commands share: the Alertmanager that they speak with, matchers, dates, defaults from files. Private
// to the room.
#pragma once

#include "alertmanager/alertmanager.h"
#include "codec/json_reader.h"
#include "codec/json_writer.h"
#include "tool/tool_http.h"

typedef enum ToolAmOutput { TOOL_AM_SIMPLE, TOOL_AM_EXTENDED, TOOL_AM_JSON } ToolAmOutput;

typedef struct ToolAm {
    const ToolCall *call;
    ToolServer server;
    int64_t deadline_mono_ns; // of the whole command
} ToolAm;

// Finds out where the Alertmanager is; warns if it is of another version.
bool tool_am_open(const ToolCall *call, ToolAm *ret_am, Error *err) MUST_CHECK;

// One exchange. `operation` is the API's name for it, for errors ("getAlerts"), `shown` its path there ("/silence/{silenceID}").
typedef struct ToolAmRequest {
    const char *method, *shown, *operation;
    Str path; // below /api/v2, with the query
    Str body; // of a POST
} ToolAmRequest;
// *ret_status (may be NULL): the answer's, on failure, too; 0 if there was none.
bool tool_am_ask(const ToolAm *am, const ToolAmRequest *request, Arena *arena,
                 JsonValue **ret_answer, int *ret_status, Error *err) MUST_CHECK;

AmMatcherMode tool_am_mode(const ToolCall *call);
// Arguments as filters; the first may be an alertname alone. They are only checked where the API would not do it.
Str *tool_am_filters(const ToolCall *call);
// name=value, of what the words `many` are ("labels").
bool tool_am_pair(const ToolCall *call, Str text, const char *many, Str *ret_name, Str *ret_value,
                  Error *err) MUST_CHECK;
// A list of them; later ones win.
bool tool_am_pairs(const ToolCall *call, const Str *texts, size_t count, const char *many,
                   Labels *ret_labels, Error *err) MUST_CHECK;

// RFC 3339, of a flag; *ret_text as the API writes it, in the zone that was given. ERR_INVALID.
bool tool_am_time(Str text, Arena *arena, int64_t *ret_ns, Str *ret_text, Error *err) MUST_CHECK;
Str tool_am_time_text(Arena *arena, int64_t t_ns);
// The member `key` of an object as the API writes it, in the format of --date.format.
void tool_am_add_date(Buf *out, const ToolCall *call, const JsonValue *object, const char *key);
int64_t tool_am_member_time(const JsonValue *object, const char *key);
Str tool_am_member(const JsonValue *object, const char *key); // a string; empty if there is none
// {"a":"b"} as a="b" c="d".
void tool_am_add_labels(Buf *out, const JsonValue *labels);
void tool_am_json_labels(JsonWriter *json, const char *key, Labels labels);
// To stdout, with a line break behind it.
int tool_am_print_json(const JsonValue *value);
// To stdout, its columns aligned.
int tool_am_print_table(const Buf *text);
// Orders `values` by a time member; equal ones stay as they are.
void tool_am_sort(JsonValue *values, size_t count, const char *time_key);
// "PROGRAM: error: TEXT".
int tool_am_fail(const ToolCall *call, const Error *err);

// Silences, in the form that --output asks for.
int tool_silence_print(const ToolCall *call, JsonValue *silences, size_t count);

// Puts flags that files of defaults set in front of the arguments, but for those that are given there.
bool tool_am_defaults(const FlagTable *table, Arena *arena, char ***args, int *count,
                      Error *err) MUST_CHECK;
