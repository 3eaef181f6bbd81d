// SPDX-License-Identifier: Apache-2.0
// cxx_shim.h: what the tree's only C++ file gives number.c: the standard library's shortest digits and its correctly rounded reading.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

// Shortest digits of a finite v in the form [-]d[.ddd]e[+-]XX; returns the length, at most 32.
size_t cxx_double_to_scientific(double v, char *out);
// Reads the longest decimal number at the front; returns how many bytes it used, 0 if there is none. `ret_out_of_range` tells overflow
// (v is then +-Inf) or underflow (v is then 0).
size_t cxx_double_from_text(const char *text, size_t len, double *ret_v, bool *ret_out_of_range);

#ifdef __cplusplus
}
#endif
