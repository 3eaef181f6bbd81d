// SPDX-License-Identifier: Apache-2.0
// promql format, promql label-matchers set and delete.
#include "tool/tool_command.h"

typedef struct SetOptions {
    int kind; // MatchKind
} SetOptions;

static const char *const match_kinds[] = {"=", "!=", "=~", "!~", NULL};
_Static_assert(MATCH_EQUAL == 0 && MATCH_NOT_EQUAL == 1 && MATCH_REGEX == 2 && MATCH_NOT_REGEX == 3,
               "match_kinds is indexed by MatchKind");

static const FlagSpec set_flags[] = {
    {.name = "type",
     .short_name = 't',
     .kind = FLAG_ENUM,
     .offset = offsetof(SetOptions, kind),
     .default_text = "=",
     .words = match_kinds,
     .help = "Type of the label matcher to set: = != =~ !~."},
};

static int finish(Buf *out)
{
    buf_add_char(out, '\n');
    tool_write(buf_str(out));
    return TOOL_OK;
}

static int run_format(ToolCall *call)
{
    CLEANUP(buf_deinit) Buf out = {0};
    Error err = {0};
    if (!promql_format(call->args[0], &call->features, &out, &err))
        return tool_fail("%s", err.text);
    return finish(&out);
}

static int edit(const ToolCall *call, const PromqlEdit *edit)
{
    CLEANUP(buf_deinit) Buf out = {0};
    Error err = {0};
    if (!promql_edit_matchers(call->args[0], &call->features, edit, &out, &err))
        return tool_fail("%s", err.text);
    return finish(&out);
}

static int run_set(ToolCall *call)
{
    const SetOptions *options = call->options;
    return edit(call, &(PromqlEdit){.kind = (MatchKind)options->kind,
                                    .name = call->args[1],
                                    .value = call->args[2]});
}

static int run_delete(ToolCall *call)
{
    return edit(call, &(PromqlEdit){.is_delete = true, .name = call->args[1]});
}

static const ToolArg format_args[] = {
    {"query", "PromQL query.", .is_file = false},
    {0},
};
static const ToolArg set_args[] = {
    {"query", "PromQL query.", .is_file = false},
    {"name", "Name of the label matcher to set.", .is_file = false},
    {"value", "Value of the label matcher to set.", .is_file = false},
    {0},
};
static const ToolArg delete_args[] = {
    {"query", "PromQL query.", .is_file = false},
    {"name", "Name of the label to delete.", .is_file = false},
    {0},
};

const ToolVerb tool_promql_format = {
    .args = format_args, .needs_experimental = true, .run = run_format};
const ToolVerb tool_promql_set = {TOOL_FLAGS(set_flags), .options_bytes = sizeof(SetOptions),
                                  .args = set_args, .needs_experimental = true, .run = run_set};
const ToolVerb tool_promql_delete = {
    .args = delete_args, .needs_experimental = true, .run = run_delete};
