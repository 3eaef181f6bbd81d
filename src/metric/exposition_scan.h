// SPDX-License-Identifier: Apache-2.0
// exposition_scan.h: the inner loops of the exposition readers: names, quoted strings, numbers. Private to the room.
//
// (1) Every text scanned ends with a newline, so a loop over bytes that a newline stops needs no other bound.
// (2) A quoted string may hold newlines; its loop is bounded by `end`.
#pragma once

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "base/number.h"
#include "metric/exposition.h"

// What went wrong and where; becomes an Error only if somebody wants it.
typedef struct ScanFault {
    const char *at;
    const char *text;
} ScanFault;

static inline bool scan_fail(ScanFault *fault, const char *at, const char *text)
{
    fault->at = at;
    fault->text = text;
    return false;
}

enum { SCAN_LABEL_FIRST = 1, SCAN_LABEL_REST = 2, SCAN_METRIC_FIRST = 4, SCAN_METRIC_REST = 8 };

extern const uint8_t scan_classes[256];

static inline bool scan_is(char c, int classes)
{
    return scan_classes[(unsigned char)c] & classes;
}

static inline bool scan_is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static inline const char *scan_blanks(const char *at)
{
    while (scan_is_blank(*at))
        at++;
    return at;
}

// ---- quoted strings

// The first quote, backslash or newline from `at` on, or `end`. Tells whether a byte before it is beyond ASCII.
static inline const char *scan_plain(const char *at, const char *end, bool *non_ascii)
{
#if defined(__SSE2__)
    const __m128i quote = _mm_set1_epi8('"');
    const __m128i backslash = _mm_set1_epi8('\\');
    const __m128i newline = _mm_set1_epi8('\n');
    for (; end - at >= 16; at += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
        __m128i stops = _mm_or_si128(
            _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash)),
            _mm_cmpeq_epi8(bytes, newline));
        unsigned stop = (unsigned)_mm_movemask_epi8(stops);
        unsigned high = (unsigned)_mm_movemask_epi8(bytes);
        if (stop) {
            *non_ascii |= (high & (stop ^ (stop - 1))) != 0;
            return at + __builtin_ctz(stop);
        }
        *non_ascii |= high != 0;
    }
#endif
    for (; at < end && *at != '"' && *at != '\\' && *at != '\n'; at++)
        *non_ascii |= (unsigned char)*at >= 0x80;
    return at;
}

typedef struct ScanQuoted {
    Str raw; // between the quotes
    bool escaped;
} ScanQuoted;

// `*at` stands on the opening quote and moves behind the closing one. Newlines inside only if `multi_line`.
static inline bool scan_quoted(const char **at, const char *end, bool multi_line,
                               ScanQuoted *ret_quoted, ScanFault *fault)
{
    const char *begin = *at + 1;
    const char *p = begin;
    bool non_ascii = false;
    bool escaped = false;

    for (;;) {
        p = scan_plain(p, end, &non_ascii);
        if (UNLIKELY(p >= end || (*p == '\n' && !multi_line)))
            return scan_fail(fault, *at, "quoted string is not closed");
        if (LIKELY(*p == '"'))
            break;
        if (*p == '\\') {
            escaped = true;
            p++;
            if (p >= end || *p == '\n')
                return scan_fail(fault, *at, "quoted string is not closed");
            if ((unsigned char)*p >= 0x80)
                non_ascii = true;
        }
        p++;
    }
    *ret_quoted = (ScanQuoted){{begin, (size_t)(p - begin)}, escaped};
    if (UNLIKELY(non_ascii) && !str_is_utf8(ret_quoted->raw))
        return scan_fail(fault, begin, "invalid UTF-8");
    *at = p + 1;
    return true;
}

// ---- what stands in braces

typedef struct ScanPair {
    ScanQuoted name;
    ScanQuoted value; // raw.ptr NULL: `name` is the metric's
} ScanPair;

#define SCAN_PAIRS_KEPT 64 // series with more are read twice

typedef enum ScanPairKind { SCAN_BAD, SCAN_END, SCAN_LABEL, SCAN_NAME } ScanPairKind;

typedef struct ScanPairs {
    const char *at; // behind the opening brace, at last behind the closing one
    const char *end;
    bool lenient;     // text format: blanks between tokens, commas optional, newlines in values
    bool is_exemplar; // no quoted metric name
    ScanFault fault;
    ScanQuoted name; // of the newest pair; a SCAN_NAME has only this
    ScanQuoted value;
} ScanPairs;

static inline ScanPairKind scan_pair_bad(ScanPairs *scan, const char *text)
{
    scan_fail(&scan->fault, scan->at, text);
    return SCAN_BAD;
}

static inline void scan_pair_blanks(ScanPairs *scan)
{
    if (scan->lenient)
        scan->at = scan_blanks(scan->at);
}

// What may follow a pair: a comma, or the closing brace, which is left for the next call.
static inline bool scan_pair_separator(ScanPairs *scan)
{
    scan_pair_blanks(scan);
    if (*scan->at == ',') {
        scan->at++;
        return true;
    }
    if (scan->lenient || *scan->at == '}')
        return true;
    return scan_fail(&scan->fault, scan->at, "expected a comma or a closing brace");
}

static inline ScanPairKind scan_pair_next(ScanPairs *scan)
{
    bool quoted = false;

    scan_pair_blanks(scan);
    if (*scan->at == '}') {
        scan->at++;
        return SCAN_END;
    }
    if (scan_is(*scan->at, SCAN_LABEL_FIRST)) {
        const char *begin = scan->at;
        while (scan_is(*scan->at, SCAN_LABEL_REST))
            scan->at++;
        scan->name = (ScanQuoted){{begin, (size_t)(scan->at - begin)}, false};
    } else if (*scan->at == '"') {
        quoted = true;
        if (!scan_quoted(&scan->at, scan->end, scan->lenient && !scan->is_exemplar, &scan->name,
                         &scan->fault))
            return SCAN_BAD;
    } else {
        return scan_pair_bad(scan, "expected a label name");
    }

    scan_pair_blanks(scan);
    if (quoted && (*scan->at == ',' || *scan->at == '}')) {
        if (scan->is_exemplar)
            return scan_pair_bad(scan, "expected an equal sign");
        scan->at += *scan->at == ',';
        return SCAN_NAME;
    }
    if (*scan->at != '=')
        return scan_pair_bad(scan, "expected an equal sign");
    scan->at++;
    scan_pair_blanks(scan);
    if (*scan->at != '"')
        return scan_pair_bad(scan, "expected a label value in quotes");
    if (!scan_quoted(&scan->at, scan->end, scan->lenient, &scan->value, &scan->fault) ||
        !scan_pair_separator(scan))
        return SCAN_BAD;
    return SCAN_LABEL;
}

// ---- numbers

extern const double scan_powers_of_ten[23];

static inline bool scan_is_digit(char c)
{
    return (unsigned char)(c - '0') <= 9;
}

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
// Eight digits less '0', the first one lowest: neighbours are joined, digits to pairs, pairs to fours, fours to the eight.
static inline uint32_t scan_eight(uint64_t digits)
{
    digits = digits * 10 + (digits >> 8);
    return (uint32_t)(((digits & 0x000000ff000000ffULL) * 0x000f424000000064ULL +
                       (digits >> 16 & 0x000000ff000000ffULL) * 0x0000271000000001ULL) >>
                      32);
}

extern const uint32_t scan_tens[8]; // powers
#endif

// Digits onto `mantissa`; more than 19 in all overflow, which the caller sees by counting.
static inline const char *scan_digits(const char *at, const char *end, uint64_t *mantissa)
{
    uint64_t m = *mantissa;

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    while (end - at >= 8) {
        uint64_t eight;
        memcpy(&eight, at, 8);
        eight ^= 0x3030303030303030ULL;
        // The lowest byte that is no digit has its high bit set here; what carries from it does harm only above it.
        uint64_t others = ((eight + 0x7676767676767676ULL) | eight) & 0x8080808080808080ULL;
        if (others) {
            // Leading zeros make eight of them, without a branch that depends on how many there are.
            unsigned digits = (unsigned)__builtin_ctzll(others) / 8;
            *mantissa = m * scan_tens[digits] + scan_eight(eight << 8 << (56 - 8 * digits));
            return at + digits;
        }
        m = m * 100000000 + scan_eight(eight);
        at += 8;
    }
#else
    (void)end;
#endif
    while (scan_is_digit(*at))
        m = m * 10 + (uint64_t)(*at++ - '0');
    *mantissa = m;
    return at;
}

static inline bool scan_ends_token(char c)
{
    return c == '\n' || c == ' ' || c == '\t';
}

// The decimal numbers that double arithmetic gets right at once (Clinger 1990): up to 19 digits that make an integer below 2^53
// (any of 64 bits without an exponent), times or divided by a power of ten that is exact. Stops behind the number. False, nothing
// moved: not one of these.
static inline bool scan_number_fast(const char **at, const char *end, double *ret_value)
{
    const char *p = *at;
    bool negative = *p == '-';
    uint64_t mantissa = 0;
    int exponent = 0;

    p += negative;
    const char *begin = p;
    p = scan_digits(p, end, &mantissa);
    size_t digits = (size_t)(p - begin);
    if (*p == '.') {
        const char *fraction = ++p;
        p = scan_digits(p, end, &mantissa);
        exponent = (int)(fraction - p);
        digits += (size_t)(p - fraction);
    }
    if (digits == 0 || digits > 19)
        return false;
    if ((*p | 0x20) == 'e') {
        p++;
        bool down = *p == '-';
        p += down || *p == '+';
        int tens = 0;
        const char *first = p;
        while (scan_is_digit(*p) && p - first < 4)
            tens = tens * 10 + (*p++ - '0');
        if (p == first)
            return false;
        exponent += down ? -tens : tens;
    }
    if (!scan_ends_token(*p))
        return false;

    double value = (double)mantissa;
    if (exponent != 0) {
        if (mantissa >> 53 || exponent < -22 || exponent > 22)
            return false;
        if (exponent < 0)
            value /= scan_powers_of_ten[-exponent];
        else
            value *= scan_powers_of_ten[exponent];
    }
    *ret_value = negative ? -value : value;
    *at = p;
    return true;
}

// Any number; `*at` moves behind the token.
bool scan_number_slow(const char **at, double *ret_value, ScanFault *fault);

static inline bool scan_number(const char **at, const char *end, double *ret_value,
                               ScanFault *fault)
{
    return LIKELY(scan_number_fast(at, end, ret_value)) || scan_number_slow(at, ret_value, fault);
}
