// SPDX-License-Identifier: Apache-2.0
// tool_rules.h: rule files, as `check rules` looks at them and `check config` at those that a configuration names. Private to the room.
#pragma once

#include "tool/tool_command.h"

// What became of one or many files.
typedef struct ToolFindings {
    bool failed; // something was found
    bool errors; // and it is more than what a linter says
} ToolFindings;

static inline void tool_findings_add(ToolFindings *all, ToolFindings one)
{
    all->failed |= one.failed;
    all->errors |= one.errors;
}

// 0, 1, or 3 where only linters spoke and that is to be fatal.
static inline int tool_findings_status(ToolFindings findings, bool lint_fatal)
{
    if (findings.failed && findings.errors)
        return TOOL_FAILED;
    return findings.failed && lint_fatal ? TOOL_LINT : TOOL_OK;
}

typedef struct ToolRuleLint {
    bool duplicates;
    bool ignore_unknown_fields;
} ToolRuleLint;

// Checks each file and prints what it found: good news to stdout, bad news to stderr.
ToolFindings tool_rules_check(const ToolCall *call, const Str *files, size_t count,
                              const ToolRuleLint *lint);
// The same with what comes on standard input.
ToolFindings tool_rules_check_stdin(const ToolCall *call, const ToolRuleLint *lint);
