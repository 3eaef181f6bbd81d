// SPDX-License-Identifier: Apache-2.0
// check config: reads prometheus.yml as the server would, then looks at what it names.
#include <glob.h>

#include "base/fs.h"
#include "server/server.h"
#include "tool/tool_command.h"

typedef struct ConfigOptions {
    bool syntax_only;
    Str lint;
    bool lint_fatal;
    bool ignore_unknown_fields;
    bool agent;
} ConfigOptions;

#define FLAG(flag, type, member, text, about)                                                      \
    {                                                                                              \
        .name = flag, .kind = type, .offset = offsetof(ConfigOptions, member),                     \
        .default_text = text, .help = about                                                        \
    }
static const FlagSpec flags[] = {
    FLAG("syntax-only", FLAG_BOOL, syntax_only, NULL,
         "Only check the config file syntax, ignoring file and content validation referenced in "
         "the config."),
    FLAG("lint", FLAG_STR, lint, "duplicate-rules",
         "Linting checks to apply to the rules and scrape configs specified in the config, with "
         "commas: all, duplicate-rules, too-long-scrape-interval, none."),
    FLAG("lint-fatal", FLAG_BOOL, lint_fatal, NULL, "Make lint errors exit with exit code 3."),
    FLAG("ignore-unknown-fields", FLAG_BOOL, ignore_unknown_fields, NULL,
         "Ignore unknown fields in the rule groups read by the config files."),
    FLAG("agent", FLAG_BOOL, agent, NULL, "Check config file for Prometheus in Agent mode."),
};

// What became of one file, worst last.
typedef struct Findings {
    bool failed; // something was found
    bool errors; // and it is more than what a linter says
} Findings;

typedef struct Check {
    const ToolCall *call;
    const ConfigOptions *options;
    ServerConfig *config;
    Str *rule_files; // in the call's arena
    size_t rule_file_count;
} Check;

// Rule files --------------------------------------------------------------------------------------------------------------------------

static bool add_rule_file(Check *check, Str path, Error *err)
{
    if (!fs_exists(&fs_system, path))
        return error_set(err, ERR_NOT_FOUND, "error checking rule file \"" STR_FMT "\"",
                         STR_ARG(path));
    Arena *arena = check->call->arena;
    check->rule_files = arena_grow(arena, check->rule_files, check->rule_file_count * sizeof(Str),
                                   (check->rule_file_count + 1) * sizeof(Str));
    check->rule_files[check->rule_file_count++] = arena_str(arena, path);
    return true;
}

static bool find_rule_files(Check *check, Error *err)
{
    Arena *arena = check->call->arena;
    const ConfigStrList *patterns = &check->config->file.rule_files;
    for (size_t i = 0; i < patterns->count; i++) {
        Str pattern = patterns->items[i];
        if (pattern.len == 0 || pattern.ptr[0] != '/')
            pattern = fs_join(arena, check->config->reader.folder, pattern);
        glob_t found = {0};
        bool ok = true;
        glob(str_to_c(arena, pattern), 0, NULL, &found);
        if (found.gl_pathc == 0 && str_find_char(pattern, '*') == STR_NOT_FOUND)
            ok = error_set(err, ERR_NOT_FOUND, "\"" STR_FMT "\" does not point to an existing file",
                           STR_ARG(str_sub(pattern, 0, 300)));
        for (size_t f = 0; f < found.gl_pathc && ok; f++)
            ok = add_rule_file(check, str_from_c(found.gl_pathv[f]), err);
        globfree(&found);
        if (!ok)
            return false;
    }
    return true;
}

// Files -------------------------------------------------------------------------------------------------------------------------------

static bool check_agent_keys(const YamlNode *root, Str path, Error *err)
{
    static const char *const refused[] = {"alerting", "rule_files", "remote_read"};
    for (size_t i = 0; i < COUNT_OF(refused); i++)
        for (size_t k = 0; root->kind == YAML_MAPPING && k < root->count; k++)
            if (str_is(root->keys[k]->scalar, refused[i]))
                return error_set(
                    err, ERR_INVALID, STR_FMT ":%d:%d: field %s is not allowed in agent mode",
                    STR_ARG(path), root->keys[k]->line, root->keys[k]->column, refused[i]);
    return true;
}

static bool load(Check *check, Str path, Error *err)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    Str text;
    YamlNode *root;
    if (!fs_read_file(&fs_system, path, &arena, SERVER_CONFIG_BYTES_MAX, &text, err))
        return false;
    if (check->options->agent &&
        (!yaml_parse(text, path, &arena, &root, err) || !check_agent_keys(root, path, err)))
        return false;
    return server_config_parse(text, path, &check->config, err);
}

static Findings check_file(const ToolCall *call, Str path)
{
    Check check = {.call = call, .options = call->options};
    Findings findings = {0};
    Error err = {0};
    printf("Checking " STR_FMT "\n", STR_ARG(path));
    fflush(stdout);
    bool ok =
        load(&check, path, &err) && (check.options->syntax_only || find_rule_files(&check, &err));
    if (!ok) {
        fprintf(stderr, "  FAILED: %s\n", err.text);
        findings = (Findings){true, true};
    } else {
        if (check.rule_file_count)
            printf("  SUCCESS: %zu rule files found\n", check.rule_file_count);
        printf(" SUCCESS: " STR_FMT " is valid prometheus config file syntax\n", STR_ARG(path));
    }
    printf("\n");
    server_config_unref(check.config);
    return findings;
}

static int run(ToolCall *call)
{
    const ConfigOptions *options = call->options;
    Findings all = {0};
    for (size_t i = 0; i < call->arg_count; i++) {
        Findings found = check_file(call, call->args[i]);
        all.failed |= found.failed;
        all.errors |= found.errors;
    }
    if (all.failed && all.errors)
        return TOOL_FAILED;
    return all.failed && options->lint_fatal ? TOOL_LINT : TOOL_OK;
}

static const ToolArg args[] = {
    {"config-files", "The config files to check.", .is_many = true, .is_file = true},
    {0},
};

const ToolVerb tool_check_config = {
    TOOL_FLAGS(flags),
    .options_bytes = sizeof(ConfigOptions),
    .args = args,
    .run = run,
};
