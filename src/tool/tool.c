// SPDX-License-Identifier: Apache-2.0
#include "tool/tool.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alertmanager/alertmanager.h"
#include "tool/tool_alertmanager.h"
#include "tool/tool_command.h"

#define GROUPS_MAX 6 // the root of each family and three words
#define PATH_BYTES_MAX 100
#define STDIN_PIECE_BYTES 65536

bool tool_path_is_in(Str path, Str longer)
{
    return str_starts_with(longer, path) &&
           (path.len == 0 || longer.len == path.len || longer.ptr[path.len] == ' ');
}

size_t tool_groups_of(Str path, int families, const ToolGroup **ret_groups, size_t max)
{
    size_t count = 0;
    for (size_t i = 0; i < tool_group_count && count < max; i++)
        if ((tool_groups[i].family & families) &&
            tool_path_is_in(str_from_c(tool_groups[i].path), path))
            ret_groups[count++] = &tool_groups[i];
    return count;
}

static const ToolCommand *find_command(const ToolPlan *plan, Str path)
{
    for (size_t i = 0; i < tool_command_count; i++)
        if ((tool_commands[i].family & plan->families) && str_is(path, tool_commands[i].path))
            return &tool_commands[i];
    return NULL;
}

static bool is_group(const ToolPlan *plan, Str path)
{
    for (size_t i = 0; i < tool_command_count; i++)
        if ((tool_commands[i].family & plan->families) &&
            tool_path_is_in(path, str_from_c(tool_commands[i].path)))
            return true;
    return false;
}

// The command that a group means without a further word; NULL if it needs one.
static const ToolCommand *default_of(const ToolPlan *plan, Str group)
{
    for (size_t i = 0; i < tool_command_count; i++) {
        Str path = str_from_c(tool_commands[i].path);
        if (tool_commands[i].is_default && (tool_commands[i].family & plan->families) &&
            str_equal(group, str_sub(path, 0, str_rfind_char(path, ' '))))
            return &tool_commands[i];
    }
    return NULL;
}

// Command words -----------------------------------------------------------------------------------------------------------------------

// The word of `path` that stands behind the group, if it stands in it.
static bool word_below(Str group, Str path, Str *ret_word)
{
    if (!tool_path_is_in(group, path) || path.len == group.len)
        return false;
    Str rest = str_skip(path, group.len + (group.len ? 1 : 0));
    return str_split_next(&rest, ' ', ret_word);
}

static bool fail_word(const ToolPlan *plan, Str group, Str word, Error *err)
{
    Str nearest = STR_NONE;
    size_t best = MAX((size_t)2, word.len / 3);
    for (size_t i = 0; i < tool_command_count; i++) {
        Str other;
        if (!(tool_commands[i].family & plan->families) ||
            !word_below(group, str_from_c(tool_commands[i].path), &other))
            continue;
        size_t distance = str_distance(word, other);
        if (distance < best || (distance == best && !nearest.len)) {
            best = distance;
            nearest = other;
        }
    }
    return error_set(err, ERR_INVALID,
                     "expected command but got \"" STR_FMT "\"%s" STR_FMT "%s, try --help",
                     STR_ARG(str_sub(word, 0, 100)), nearest.len ? ", did you mean \"" : "",
                     STR_ARG(nearest), nearest.len ? "\"" : "");
}

// The flags of the groups that `path` stands in, and of the command.
static FlagTable flags_of(const ToolPlan *plan, Str path, const ToolVerb *verb, Arena *arena)
{
    const ToolGroup *groups[GROUPS_MAX];
    size_t group_count = tool_groups_of(path, plan->families, groups, GROUPS_MAX);
    size_t count = verb ? verb->flag_count : 0;
    for (size_t g = 0; g < group_count; g++)
        count += groups[g]->flag_count;
    FlagSpec *flags = ARENA_ARRAY(arena, FlagSpec, count);
    count = 0;
    // A command's own flag goes before a group's of the same name, that of a group before the root's.
    for (size_t i = 0; verb && i < verb->flag_count; i++) {
        flags[count] = verb->flags[i];
        flags[count++].offset += sizeof(ToolGlobals);
    }
    for (size_t g = group_count; g-- > 0;)
        for (size_t i = 0; i < groups[g]->flag_count; i++)
            flags[count++] = groups[g]->flags[i];
    return (FlagTable){.program = plan->call.program,
                       .summary = "",
                       .synopsis = "",
                       .flags = flags,
                       .count = count};
}

typedef struct Words {
    char path[PATH_BYTES_MAX];
    size_t len;
    char **rest; // the arguments that are no command words
    int rest_count;
    bool help; // the word help stood in front
} Words;

static bool take_word(const ToolPlan *plan, Words *words, Str word, const ToolCommand **ret_command,
                      Error *err)
{
    Str group = {words->path, words->len};
    if (words->len == 0 && !words->help && str_is(word, "help")) {
        words->help = true;
        return true;
    }
    size_t len = words->len;
    if (word.len + len + 2 > sizeof words->path)
        return fail_word(plan, group, word, err);
    if (len)
        words->path[len++] = ' ';
    memcpy(words->path + len, word.ptr, word.len);
    Str path = {words->path, len + word.len};
    if (!is_group(plan, path)) {
        *ret_command = default_of(plan, group);
        return *ret_command || fail_word(plan, group, word, err);
    }
    words->len = path.len;
    *ret_command = find_command(plan, path);
    return true;
}

// Finds the command words among the arguments: they end where a command is complete.
static bool take_words(const ToolPlan *plan, int argc, char **argv, Arena *arena, Words *words,
                       const ToolCommand **ret_command, Error *err)
{
    const ToolCommand *command = NULL;
    for (int i = 0; i < argc; i++) {
        Str arg = str_from_c(argv[i]);
        bool takes_next = false;
        if (!command && arg.len && arg.ptr[0] != '-') {
            size_t before = words->len;
            bool was_help = words->help;
            if (!take_word(plan, words, arg, &command, err))
                return false;
            // Where the group's own command was meant the word is an argument.
            if (words->len > before || words->help != was_help)
                continue;
        }
        if (!command && arg.len > 1 && !str_is(arg, "--")) {
            Str group = {words->path, words->len};
            const ToolCommand *fallback = default_of(plan, group);
            FlagTable table = flags_of(plan, fallback ? str_from_c(fallback->path) : group,
                                       fallback ? fallback->verb : NULL, arena);
            if (!flags_takes_next(&table, arg, &takes_next, err))
                return false;
        }
        words->rest[words->rest_count++] = argv[i];
        if (takes_next && i + 1 < argc)
            words->rest[words->rest_count++] = argv[++i];
    }
    *ret_command = command;
    return true;
}

// Arguments ---------------------------------------------------------------------------------------------------------------------------

static bool check_file(Str path, Arena *arena, Error *err)
{
    struct stat about;
    if (stat(str_to_c(arena, path), &about) != 0)
        return error_set(err, ERR_INVALID,
                         errno == ENOENT ? "path '" STR_FMT "' does not exist, try --help"
                                         : "path '" STR_FMT "' cannot be looked at, try --help",
                         STR_ARG(str_sub(path, 0, 300)));
    if (S_ISDIR(about.st_mode))
        return error_set(err, ERR_INVALID, "'" STR_FMT "' is a directory, try --help",
                         STR_ARG(str_sub(path, 0, 300)));
    return true;
}

static bool check_args(const ToolVerb *verb, const ToolCall *call, Error *err)
{
    size_t at = 0;
    for (const ToolArg *arg = verb->args; arg && arg->name; arg++) {
        if (at == call->arg_count && !arg->is_optional)
            return error_set(err, ERR_INVALID, "required argument '%s' not provided, try --help",
                             arg->name);
        size_t end = arg->is_many ? call->arg_count : MIN(at + 1, call->arg_count);
        for (; at < end; at++)
            if (arg->is_file && !check_file(call->args[at], call->arena, err))
                return false;
    }
    if (at < call->arg_count)
        return error_set(err, ERR_INVALID, "unexpected " STR_FMT ", try --help",
                         STR_ARG(str_sub(call->args[at], 0, 100)));
    return true;
}

static bool take_features(const FlagStrList *list, PromqlFeatures *features)
{
    bool all_known = true;
    features->duration_expressions = true;
    for (size_t i = 0; i < list->count; i++) {
        Str rest = list->items[i];
        Str name;
        while (str_split_next(&rest, ',', &name)) {
            if (str_is(name, "promql-experimental-functions"))
                features->experimental_functions = true;
            else if (str_is(name, "promql-delayed-name-removal"))
                features->delayed_name_removal = true;
            else if (str_is(name, "promql-extended-range-selectors"))
                features->extended_range_selectors = true;
            else if (str_is(name, "promql-binop-fill-modifiers"))
                features->fill_modifiers = true;
            else if (name.len && !str_is(name, "promql-duration-expr")) {
                fprintf(stderr,
                        "  WARNING: Unknown feature passed to --enable-feature: " STR_FMT "\n",
                        STR_ARG(str_sub(name, 0, 100)));
                all_known = false;
            }
        }
    }
    return all_known;
}

static int families_of(const char *program)
{
    if (strcmp(program, "amtool") == 0)
        return TOOL_AM;
    return strcmp(program, "promtool") == 0 ? TOOL_PROM : TOOL_PROM | TOOL_AM;
}

static bool asks_for_help(const Words *words)
{
    for (int i = 0; i < words->rest_count; i++)
        if (strcmp(words->rest[i], "--help") == 0 || strcmp(words->rest[i], "-h") == 0)
            return true;
    return false;
}

bool tool_plan(const char *program, int argc, char **argv, Arena *arena, ToolPlan *ret_plan,
               Error *err)
{
    ToolPlan plan = {.families = families_of(program),
                     .call = {.program = program, .arena = arena}};
    Words words = {.rest = ARENA_ARRAY(arena, char *, (size_t)argc + 1)};
    if (!take_words(&plan, argc, argv, arena, &words, &plan.command, err))
        return false;
    if (!plan.command && !words.help && !asks_for_help(&words))
        plan.command = default_of(&plan, (Str){words.path, words.len});
    const ToolVerb *verb = plan.command ? plan.command->verb : NULL;
    Str path = plan.command ? str_from_c(plan.command->path) : (Str){words.path, words.len};
    FlagTable table = flags_of(&plan, path, verb, arena);
    if (plan.command && plan.command->family == TOOL_AM &&
        !tool_am_defaults(&table, arena, &words.rest, &words.rest_count, err))
        return false;
    char *object = arena_zalloc(arena, sizeof(ToolGlobals) + (verb ? verb->options_bytes : 0));
    FlagResult result;
    plan.path = str_to_c(arena, path);
    plan.call.globals = (ToolGlobals *)(void *)object;
    plan.call.options = object + sizeof(ToolGlobals);
    plan.help = words.help;
    if (!plan.help) {
        if (!flags_parse(&table, words.rest_count, words.rest, arena, object, &result, err))
            return false;
        plan.help = result.help || (!verb && words.len == 0 && !result.version);
        plan.version = result.version;
        plan.call.given = result.given;
        plan.call.args = result.rest;
        plan.call.arg_count = result.rest_count;
    }
    if (plan.help || plan.version) {
        *ret_plan = plan;
        return true;
    }
    if (!verb)
        return error_set(err, ERR_INVALID, "must select a subcommand of '%s', try --help",
                         plan.path);
    if (!check_args(verb, &plan.call, err))
        return false;
    if (plan.command->family == TOOL_PROM)
        take_features(&plan.call.globals->features, &plan.call.features);
    *ret_plan = plan;
    return true;
}

// Helpers of the commands -------------------------------------------------------------------------------------------------------------

bool tool_write(Str bytes)
{
    return fwrite(bytes.ptr, 1, bytes.len, stdout) == bytes.len;
}

int tool_fail(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fflush(stdout);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
    return TOOL_FAILED;
}

bool tool_read_stdin(size_t bytes_max, Buf *ret_text, Error *err)
{
    buf_init(ret_text, bytes_max);
    for (;;) {
        char *room = buf_reserve(ret_text, STDIN_PIECE_BYTES);
        if (!room)
            break;
        ssize_t count = read(STDIN_FILENO, room, STDIN_PIECE_BYTES);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return error_set_errno(err, errno, "standard input");
        if (count == 0)
            break;
        ret_text->len += (size_t)count;
    }
    return buf_ok(ret_text, "standard input", err);
}

bool tool_split_pair(Str text, Str *ret_name, Str *ret_value, Error *err)
{
    size_t at = MIN(str_find_char(text, '='), str_find_char(text, ':'));
    if (at == STR_NOT_FOUND)
        return error_set(err, ERR_INVALID, "expected KEY=VALUE got '" STR_FMT "'",
                         STR_ARG(str_sub(text, 0, 100)));
    *ret_name = str_sub(text, 0, at);
    *ret_value = str_skip(text, at + 1);
    return true;
}

static int run_plan(ToolPlan *plan)
{
    if (plan->version) {
        bool am = plan->families == TOOL_AM;
        printf("%s, version %s (narthex%s%s)\n", am ? "amtool" : "promtool",
               am ? AM_VERSION : NARTHEX_VERSION, am ? " " : "", am ? NARTHEX_VERSION : "");
        return TOOL_OK;
    }
    if (plan->help) {
        Buf page = {0};
        tool_help(plan, plan->call.arena, &page);
        tool_write(buf_str(&page));
        buf_deinit(&page);
        return TOOL_OK;
    }
    if (plan->command->verb->needs_experimental && !plan->call.globals->experimental)
        return tool_fail("This command is experimental and requires the --experimental flag to be "
                         "set.");
    return plan->command->verb->run(&plan->call);
}

int tool_run(int argc, char **argv)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    Str name = str_from_c(argc ? argv[0] : "tool");
    size_t slash = str_rfind_char(name, '/');
    Str base = slash == STR_NOT_FOUND ? name : str_skip(name, slash + 1);
    const char *program = str_is(base, "tool") ? "narthex tool" : str_to_c(&arena, base);
    ToolPlan plan;
    Error err = {0};
    if (!tool_plan(program, argc - (argc > 0), argv + (argc > 0), &arena, &plan, &err))
        return tool_fail("%s: error: %s", program, err.text);
    int status = run_plan(&plan);
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    // A reader that has seen enough (`| head`) is no fault to speak of.
    if (errno != EPIPE)
        return tool_fail("%s: error: cannot write the output: %s", program, strerror(errno));
    return TOOL_FAILED;
}
