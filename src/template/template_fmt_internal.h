// SPDX-License-Identifier: Apache-2.0
// template_fmt_internal.h: between the format string's reader (template_fmt.c) and the scalars' writers (template_fmt_scalar.c).
#pragma once

#include "template/template_value.h"

typedef struct TemplateFormat {
    bool plus, minus, sharp, space, zero;
    bool plus_v, sharp_v; // %+v and %#v
    bool has_width, has_precision;
    bool erroring; // inside %!verb(...): no String() is called
    int width, precision;
    int depth;
} TemplateFormat;

// Each returns false if the verb is none for the kind.
bool template_fmt_bool(Buf *out, const TemplateFormat *f, uint32_t verb, bool v);
bool template_fmt_int(Buf *out, const TemplateFormat *f, uint32_t verb, int64_t v);
bool template_fmt_float(Buf *out, const TemplateFormat *f, uint32_t verb, double v);
bool template_fmt_string(Buf *out, const TemplateFormat *f, uint32_t verb, Str v);

// Padded to the width, counted in runes.
void template_fmt_pad(Buf *out, const TemplateFormat *f, Str text);
// 'x' with what does not print escaped, as strconv.QuoteRune; `ascii`: everything beyond ASCII as well.
void template_add_quoted_rune(Buf *out, uint32_t rune, bool ascii);
