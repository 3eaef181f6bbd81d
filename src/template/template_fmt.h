// SPDX-License-Identifier: Apache-2.0
// template_fmt.h: Go's fmt over template values.
//
// What is wrong with a verb or its argument is told in the output, as in Go: %!d(string=x). Values nested more than
// TEMPLATE_PRINT_DEPTH_MAX deep make the buffer fail.
#pragma once

#include "template/template_value.h"

#define TEMPLATE_PRINT_DEPTH_MAX 100

void template_sprintf(Buf *out, Str format, const TemplateValue *args, size_t count);
// A space between operands of which neither is a string.
void template_sprint(Buf *out, const TemplateValue *args, size_t count);
// Spaces between all, a newline behind.
void template_sprintln(Buf *out, const TemplateValue *args, size_t count);
