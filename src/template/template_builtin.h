// SPDX-License-Identifier: Apache-2.0
// template_builtin.h: the functions that text/template itself knows.
#pragma once

#include "template/template.h"

extern const TemplateTable template_builtins;
extern const TemplateTable template_comparisons;

// and, or: they do not look at arguments behind the one that decides.
bool template_builtin_is_and(const TemplateFunction *function);
bool template_builtin_is_or(const TemplateFunction *function);
// A string that html has escaped, where a page is written: not escaped again.
extern const TemplateType template_type_escaped;
// The same of urlquery: good for the query of a URL as it is.
extern const TemplateType template_type_query;

// The function of that name in the tables, else Go's own; NULL.
const TemplateFunction *template_find_function(const TemplateTable *const *tables, Str name);

// Both are time.Time.
bool template_time_equal(const TemplateValue *a, const TemplateValue *b);
