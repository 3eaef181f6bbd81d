// SPDX-License-Identifier: Apache-2.0
// template_run.h: one execution under way. template_exec.c walks the blocks, template_eval.c computes pipelines.
#pragma once

#include "template/template_ast.h"
#include "template/template_builtin.h"
#include "template/template_cache.h"
#include "template/template_html.h"

#define TEMPLATE_STACK_MAX 2000 // nested evaluations: a bound of the thread's stack

struct TemplateRun {
    const TemplateSet *set;
    const TemplateHost *host;
    Arena *arena;
    TemplateLimits limits;
    size_t arena_start_bytes;
    uint64_t steps;
    uint32_t depth;
    uint32_t stack;
    Buf *out;
    size_t out_start;
    Buf scratch;       // of one value on its way to `out`
    TemplateHtml html; // where in the page `out` ends
    TemplateCache *cache;
    Error *err;
};

// One call of a template.
typedef struct TemplateFrame {
    TemplateRun *run;
    const TemplateTree *tree;
    TemplateValue *slots;
    const TemplateNode *at; // what an error is told of
} TemplateFrame;

// Fails with "template: NAME:LINE:COLUMN: executing "NAME" at <NODE>: " in front.
bool template_run_fail(TemplateFrame *frame, const char *fmt, ...) PRINTF(2, 3);
// The same around an error that has a code and a text of its own.
bool template_run_fail_code(TemplateFrame *frame, ErrorCode code, const char *fmt, ...)
    PRINTF(3, 4);

// Counts a step of work and one level of the stack; false when that is too much. template_run_leave() gives the level back.
bool template_run_enter(TemplateFrame *frame);
static inline void template_run_leave(TemplateFrame *frame)
{
    frame->run->stack--;
}

// Computes a pipeline and sets its variables.
bool template_eval_pipeline(TemplateFrame *frame, TemplateValue dot, const TemplateNode *pipe,
                            TemplateValue *ret_value);
// False if the variable is not there.
bool template_eval_set(TemplateFrame *frame, const TemplateNode *variable, TemplateValue value);
