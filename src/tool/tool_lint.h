// SPDX-License-Identifier: Apache-2.0
// tool_lint.h: what a linter says of metric families: client_golang's promlint, rule by rule. Private to the room.
#pragma once

#include "tool/tool_page.h"

typedef struct LintProblem {
    Str metric;
    Str text;
} LintProblem;

typedef struct LintProblems {
    LintProblem *items; // by metric, then text
    size_t count;
} LintProblems;

// Everything lives in the arena.
void lint_page(const Page *page, Arena *arena, LintProblems *ret_problems);
