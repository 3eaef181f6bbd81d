// SPDX-License-Identifier: Apache-2.0
// template_builtin.h: the functions that text/template itself knows.
#pragma once

#include "template/template.h"

extern const TemplateTable template_builtins;
extern const TemplateTable template_comparisons;

// and, or: they do not look at arguments behind the one that decides.
bool template_builtin_is_and(const TemplateFunction *function);
bool template_builtin_is_or(const TemplateFunction *function);
// html: where a page is written, the place in it stands for that.
bool template_builtin_is_escaper(const TemplateFunction *function);

// The function of that name in the tables, else Go's own; NULL.
const TemplateFunction *template_find_function(const TemplateTable *const *tables, Str name);

// Both are time.Time.
bool template_time_equal(const TemplateValue *a, const TemplateValue *b);
