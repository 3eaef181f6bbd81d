// SPDX-License-Identifier: Apache-2.0
// template_number.h: number and character literals as text/template reads them.
#pragma once

#include "base/buf.h"

typedef struct TemplateNumber {
    Str text;
    int64_t integer;
    double number;
    bool is_int;      // has a value as int
    bool is_float;    // has one as float64
    bool looks_float; // is float64 where nothing asks for a type: 1.0, 1e3
} TemplateNumber;

// False with Go's sentence in `message` if the text is no number or too large. Complex numbers are refused.
bool template_number_read(Str text, TemplateNumber *ret_number, Buf *message);
