// SPDX-License-Identifier: Apache-2.0
// check rules: reads rule files as the server would and looks for rules that stand twice.
#include "tool/tool_rules.h"

typedef struct CheckOptions {
    Str lint;
    bool lint_fatal;
    bool ignore_unknown_fields;
} CheckOptions;

#define FLAG(flag, type, member, text, about)                                                      \
    {                                                                                              \
        .name = flag, .kind = type, .offset = offsetof(CheckOptions, member),                      \
        .default_text = text, .help = about                                                        \
    }
static const FlagSpec flags[] = {
    FLAG("lint", FLAG_STR, lint, "duplicate-rules",
         "Linting checks to apply, with commas: all, duplicate-rules, none."),
    FLAG("lint-fatal", FLAG_BOOL, lint_fatal, NULL, "Make lint errors exit with exit code 3."),
    FLAG("ignore-unknown-fields", FLAG_BOOL, ignore_unknown_fields, NULL,
         "Ignore unknown fields in the rule files."),
};

static ToolRuleLint read_lint(const CheckOptions *options)
{
    ToolRuleLint lint = {.ignore_unknown_fields = options->ignore_unknown_fields};
    bool none = false;
    Str rest = options->lint;
    Str name;
    while (str_split_next(&rest, ',', &name)) {
        none |= str_is(name, "none");
        if (str_is(name, "all") || str_is(name, "duplicate-rules"))
            lint.duplicates = true;
        else if (!str_is(name, "none"))
            printf("WARNING: unknown lint option: \"" STR_FMT "\"\n",
                   STR_ARG(str_sub(name, 0, 100)));
    }
    lint.duplicates &= !none;
    return lint;
}

static int run(ToolCall *call)
{
    const CheckOptions *options = call->options;
    ToolRuleLint lint = read_lint(options);
    ToolFindings findings = call->arg_count
                                ? tool_rules_check(call, call->args, call->arg_count, &lint)
                                : tool_rules_check_stdin(call, &lint);
    return tool_findings_status(findings, options->lint_fatal);
}

static const ToolArg args[] = {
    {"rule-files", "The rule files to check; standard input if there is none.", .is_optional = true,
     .is_many = true, .is_file = true},
    {0},
};

const ToolVerb tool_check_rules = {
    TOOL_FLAGS(flags),
    .options_bytes = sizeof(CheckOptions),
    .args = args,
    .run = run,
};
