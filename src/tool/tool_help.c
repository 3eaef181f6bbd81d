// SPDX-License-Identifier: Apache-2.0
#include "tool/tool_command.h"

static void add_synopsis(const ToolVerb *verb, Buf *out)
{
    for (const ToolArg *arg = verb->args; arg && arg->name; arg++)
        buf_printf(out, " %s<%s>%s%s", arg->is_optional ? "[" : "", arg->name,
                   arg->is_optional ? "]" : "", arg->is_many ? "..." : "");
}

static void add_args(const ToolVerb *verb, Buf *out)
{
    if (!verb->args || !verb->args[0].name)
        return;
    buf_add_c(out, "\nArgs:\n");
    for (const ToolArg *arg = verb->args; arg->name; arg++)
        buf_printf(out, "  <%s>  %s\n", arg->name, arg->help);
}

// Each command below `path`, the whole words of it: there are few enough.
static void add_commands(Str path, int families, Buf *out)
{
    buf_add_c(out, path.len ? "\nSubcommands:\n" : "\nCommands:\n");
    for (size_t i = 0; i < tool_command_count; i++) {
        const ToolCommand *command = &tool_commands[i];
        if (!(command->family & families) || !tool_path_is_in(path, str_from_c(command->path)))
            continue;
        buf_printf(out, "  %s%s", command->path, command->verb->flag_count ? " [<flags>]" : "");
        add_synopsis(command->verb, out);
        buf_printf(out, "\n      %s\n", command->summary);
    }
}

// Of the group that is nearest to the path; of two roots the first.
static const char *group_summary(const ToolGroup **groups, size_t count)
{
    const ToolGroup *nearest = groups[0];
    for (size_t i = 1; i < count; i++)
        if (strlen(groups[i]->path) > strlen(nearest->path))
            nearest = groups[i];
    return nearest->summary;
}

// Whose commands lie at the path or below it: those of the other have flags of their own.
static int families_at(const ToolPlan *plan, Str path)
{
    int families = 0;
    for (size_t i = 0; i < tool_command_count; i++)
        if (tool_path_is_in(path, str_from_c(tool_commands[i].path)))
            families |= tool_commands[i].family;
    return families & plan->families;
}

void tool_help(const ToolPlan *plan, Arena *arena, Buf *out)
{
    Str path = str_from_c(plan->path);
    const ToolGroup *groups[8];
    size_t group_count = tool_groups_of(path, families_at(plan, path), groups, COUNT_OF(groups));
    const ToolVerb *verb = plan->command ? plan->command->verb : NULL;
    size_t count = verb ? verb->flag_count : 0;
    for (size_t g = 0; g < group_count; g++)
        count += groups[g]->flag_count;
    FlagSpec *flags = ARENA_ARRAY(arena, FlagSpec, count);
    count = 0;
    for (size_t g = 0; g < group_count; g++)
        for (size_t i = 0; i < groups[g]->flag_count; i++)
            flags[count++] = groups[g]->flags[i];
    for (size_t i = 0; verb && i < verb->flag_count; i++)
        flags[count++] = verb->flags[i];

    Buf synopsis = {0};
    if (verb)
        add_synopsis(verb, &synopsis);
    else
        buf_add_c(&synopsis, " <command> [<args> ...]");
    buf_add_char(&synopsis, '\0');
    Str program =
        arena_printf(arena, "%s%s%s", plan->call.program, path.len ? " " : "", plan->path);
    const char *summary =
        plan->command ? plan->command->summary : group_summary(groups, group_count);
    if (verb && verb->about)
        summary = str_to_c(arena, arena_printf(arena, "%s\n\n%s", summary, verb->about));
    FlagTable table = {.program = str_to_c(arena, program),
                       .summary = summary,
                       .synopsis = synopsis.len > 1 ? synopsis.ptr + 1 : NULL,
                       .flags = flags,
                       .count = count};
    flags_help(&table, out);
    if (verb)
        add_args(verb, out);
    else
        add_commands(path, plan->families, out);
    buf_deinit(&synopsis);
}
