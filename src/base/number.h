// SPDX-License-Identifier: Apache-2.0
// number.h: text to numbers and back, bit-exact with Go's strconv where Prometheus shows the result.
#pragma once

#include "base/buf.h"

#define NUMBER_BYTES_MAX 400 // the longest 'f' form of a double, NUL included

// The special NaNs of Prometheus (model/value/value.go).
#define NAN_NORMAL_BITS 0x7ff8000000000001ULL
#define NAN_STALE_BITS 0x7ff0000000000002ULL

// Two doubles at once, and their bits, for loops that a compiler leaves scalar. A comparison of them needs more than SSE2 has and comes
// out scalar again; the sign of a difference tells the same.
typedef double NumberPair __attribute__((vector_size(16), aligned(8), may_alias));
typedef int64_t NumberPairBits __attribute__((vector_size(16)));

static inline uint64_t double_bits(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static inline double double_from_bits(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static inline bool is_stale_nan(double v)
{
    return double_bits(v) == NAN_STALE_BITS;
}

// Go's ParseFloat without hexadecimal and '_' forms: decimal, exponent, [+-]Inf, Infinity, NaN in any case.
// NaN gives NAN_NORMAL_BITS; a number too large gives false as in Go. The whole text must be used.
bool number_parse_double(Str text, double *ret_value);

// Decimal integers; false on any other byte, emptiness or overflow.
bool number_parse_i64(Str text, int64_t *ret_value);
bool number_parse_u64(Str text, uint64_t *ret_value);

// Shortest text that reads back the same, as strconv.FormatFloat(v, fmt, -1, 64). Writes no NUL; `out` has room for
// NUMBER_BYTES_MAX; returns the length. NaN, +Inf, -Inf.
size_t number_format_f(double v, char *out); // 'f': never an exponent
size_t number_format_e(double v, char *out); // 'e': d.dde+XX, at least two digits in the exponent
size_t number_format_g(double v, char *out); // 'g': exponent when < -4 or >= 6 (Go's %g and %v)
// Prometheus' JSON sample value: 'f', but 'e' when 0 < |v| < 1e-6 or |v| >= 1e21, as jsonutil.MarshalFloat.
size_t number_format_json(double v, char *out);

void buf_add_double_f(Buf *buf, double v);
void buf_add_double_g(Buf *buf, double v);
void buf_add_double_json(Buf *buf, double v);
