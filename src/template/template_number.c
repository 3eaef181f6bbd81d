// SPDX-License-Identifier: Apache-2.0
#include "template/template_number.h"

#include <math.h>
#include <stdlib.h>

#include "base/number.h"
#include "metric/labels.h"
#include "template/template_text.h"

#define DIGITS_MAX 400

static bool has_any(Str s, const char *set)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] && strchr(set, s.ptr[i]))
            return true;
    return false;
}

static bool is_digit_of(char c, int base)
{
    return str_digit(c) < (unsigned)base;
}

// The base of a prefix and its length; "0" alone is a prefix of octal numbers.
static int base_of(Str digits, size_t *ret_prefix)
{
    char second = digits.len > 2 ? (char)(digits.ptr[1] | 0x20) : 0;

    *ret_prefix = 0;
    if (digits.len == 0 || digits.ptr[0] != '0' || digits.len == 1)
        return 10;
    *ret_prefix = 2;
    if (second == 'x')
        return 16;
    if (second == 'o')
        return 8;
    if (second == 'b')
        return 2;
    *ret_prefix = 1;
    return 8;
}

// Copies without the underscores; false if one stands where it separates no digits.
static bool strip_underscores(Str text, char *out, size_t *ret_len)
{
    size_t len = 0;
    bool after_digit = false;
    size_t sign = text.len && (text.ptr[0] == '-' || text.ptr[0] == '+');
    size_t prefix;
    int base = base_of(str_skip(text, sign), &prefix);

    if (text.len >= DIGITS_MAX)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '_') {
            bool before_digit =
                i + 1 < text.len && is_digit_of(text.ptr[i + 1], base == 16 ? 16 : 10);
            if (!(after_digit || i == sign + prefix) || !before_digit)
                return false;
            after_digit = false;
            continue;
        }
        after_digit = is_digit_of(c, base == 16 ? 16 : 10);
        out[len++] = c;
    }
    out[len] = 0;
    *ret_len = len;
    return true;
}

// As strconv.ParseInt(text, 0, 64), the underscores gone; *ret_fits_u64: as ParseUint.
static bool read_integer(Str text, int64_t *ret_value, bool *ret_fits_u64)
{
    bool negative = text.len && text.ptr[0] == '-';
    Str digits = str_skip(text, negative || (text.len && text.ptr[0] == '+'));
    size_t prefix;
    int base = base_of(digits, &prefix);
    uint64_t value = 0;

    *ret_fits_u64 = false;
    digits = str_skip(digits, prefix);
    if (digits.len == 0)
        return false;
    for (size_t i = 0; i < digits.len; i++) {
        if (!is_digit_of(digits.ptr[i], base))
            return false;
        uint64_t digit = (uint64_t)strtol((char[]){digits.ptr[i], 0}, NULL, 16);
        if (__builtin_mul_overflow(value, (uint64_t)base, &value) ||
            __builtin_add_overflow(value, digit, &value))
            return false;
    }
    *ret_fits_u64 = digits.len + prefix == text.len;
    if (value > (uint64_t)INT64_MAX + negative)
        return false;
    *ret_value = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

static bool read_float(Str text, double *ret_value)
{
    if (!has_any(text, "xX"))
        return number_parse_double(text, ret_value);
    if (!has_any(text, "pP"))
        return false;

    char *end;
    *ret_value = strtod(text.ptr, &end); // NUL-terminated by strip_underscores()
    return end == text.ptr + text.len && isfinite(*ret_value);
}

static bool fail(Buf *message, const char *what, Str text)
{
    buf_add_c(message, what);
    buf_add_go_quoted(message, text);
    return false;
}

static bool read_char(Str text, TemplateNumber *number, Buf *message)
{
    Str rest = str_skip(text, 1);
    uint32_t rune;
    bool is_byte;

    if (!template_unquote_char(&rest, '\'', &rune, &is_byte)) {
        buf_add_c(message, "invalid syntax");
        return false;
    }
    if (!str_is(rest, "'")) {
        buf_printf(message, "malformed character constant: " STR_FMT, STR_ARG(text));
        return false;
    }
    number->integer = rune;
    number->number = rune;
    number->is_int = number->is_float = true;
    return true;
}

static bool read_decimal(Str text, Str plain, TemplateNumber *number, Buf *message)
{
    bool fits_u64;

    if (read_integer(plain, &number->integer, &fits_u64)) {
        number->is_int = number->is_float = true;
        number->number = (double)number->integer;
        return true;
    }
    if (fits_u64) {
        number->is_float = true;
        number->number = (double)strtoull(plain.ptr, NULL, 0);
        return true;
    }
    if (!read_float(plain, &number->number))
        return fail(message, "illegal number syntax: ", text);
    if (!has_any(text, ".eEpP"))
        return fail(message, "integer overflow: ", text);
    number->is_float = true;
    if (fabs(number->number) < 0x1p63 && trunc(number->number) == number->number) {
        number->is_int = true;
        number->integer = (int64_t)number->number;
    }
    return true;
}

bool template_number_read(Str text, TemplateNumber *ret_number, Buf *message)
{
    TemplateNumber number = {.text = text};
    char plain[DIGITS_MAX];
    size_t len;

    if (text.len && text.ptr[0] == '\'') {
        if (!read_char(text, &number, message))
            return false;
    } else if (text.len && text.ptr[text.len - 1] == 'i') {
        return fail(message, "complex numbers are not supported: ", text);
    } else if (!strip_underscores(text, plain, &len)) {
        return fail(message, "illegal number syntax: ", text);
    } else if (!read_decimal(text, str_make(plain, len), &number, message)) {
        return false;
    }

    bool hexadecimal_int =
        text.len > 2 && text.ptr[0] == '0' && (text.ptr[1] | 0x20) == 'x' && !has_any(text, "pP");
    number.looks_float =
        number.is_float && !hexadecimal_int && text.ptr[0] != '\'' && has_any(text, ".eEpP");
    *ret_number = number;
    return true;
}
