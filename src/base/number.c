// SPDX-License-Identifier: Apache-2.0
#include "base/number.h"

#include <math.h>

#include "base/cxx_shim.h"

bool number_parse_u64(Str text, uint64_t *ret_value)
{
    if (text.len == 0)
        return false;
    uint64_t v = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned char)text.ptr[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(v, (uint64_t)10, &v) ||
            __builtin_add_overflow(v, (uint64_t)digit, &v))
            return false;
    }
    *ret_value = v;
    return true;
}

bool number_parse_i64(Str text, int64_t *ret_value)
{
    bool negative = text.len && text.ptr[0] == '-';
    if (negative || (text.len && text.ptr[0] == '+'))
        text = str_skip(text, 1);
    uint64_t v;
    if (!number_parse_u64(text, &v) || v > (uint64_t)INT64_MAX + negative)
        return false;
    *ret_value = negative ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

static bool parse_special(Str text, double *ret_value)
{
    bool negative = text.len && text.ptr[0] == '-';
    bool sign = negative || (text.len && text.ptr[0] == '+');
    Str word = str_skip(text, sign);
    if (str_equal_nocase(word, S("nan"))) {
        if (sign)
            return false;
        *ret_value = double_from_bits(NAN_NORMAL_BITS);
        return true;
    }
    if (str_equal_nocase(word, S("inf")) || str_equal_nocase(word, S("infinity"))) {
        *ret_value = negative ? -INFINITY : INFINITY;
        return true;
    }
    return false;
}

// <charconv> takes words such as "inf" too, which are handled above; here the text must begin like a number.
static bool begins_number(Str text)
{
    size_t i = text.len && text.ptr[0] == '-';
    if (i < text.len && text.ptr[i] == '.')
        i++;
    return i < text.len && text.ptr[i] >= '0' && text.ptr[i] <= '9';
}

bool number_parse_double(Str text, double *ret_value)
{
    Str number = text;
    if (number.len && number.ptr[0] == '+') {
        number = str_skip(number, 1);
        if (number.len && number.ptr[0] == '-')
            return false;
    }
    if (!begins_number(number))
        return parse_special(text, ret_value);

    double v;
    bool out_of_range;
    size_t used = cxx_double_from_text(number.ptr, number.len, &v, &out_of_range);
    if (used != number.len || (out_of_range && isinf(v)))
        return false;
    *ret_value = v;
    return true;
}

// A finite number taken apart: 0.d1d2d3... x 10^point. Digits are moved DIGITS_MOVED at a time, needed or not: all texts have room for that.
#define DIGITS_MOVED 16

typedef struct Decimal {
    bool negative;
    int count; // of digits, at least 1
    int point;
    char digits[2 * DIGITS_MOVED + 4]; // at most 17 of them are set
} Decimal;

static void decimal_of(double v, Decimal *d)
{
    char text[40]; // [-]d[.ddd]e-ddd
    memset(text, 0, sizeof text);
    size_t len = cxx_double_to_scientific(v, text);
    size_t first = text[0] == '-', e = len - 4;
    if (text[e] != 'e') // of three digits
        e--;
    d->negative = first;
    d->count = e == first + 1 ? 1 : (int)(e - first - 1);
    d->digits[0] = text[first];
    memcpy(d->digits + 1, text + first + 2, DIGITS_MOVED);
    int exponent = 0;
    for (size_t i = e + 2; i < len; i++)
        exponent = exponent * 10 + (text[i] - '0');
    d->point = (text[e + 1] == '-' ? -exponent : exponent) + 1;
    if (v == 0)
        d->point = 1;
}

// NaN and infinities; 0 if v is finite.
static size_t format_special(double v, char *out)
{
    const char *text = isnan(v) ? "NaN" : isinf(v) ? (v > 0 ? "+Inf" : "-Inf") : "";
    size_t len = strlen(text);
    memcpy(out, text, len);
    return len;
}

// Whole numbers below 2^53 need no search for the shortest digits.
static size_t format_small_integer(double v, char *out)
{
    double magnitude = fabs(v);
    if (!(magnitude < 9007199254740992.0) || v != (double)(int64_t)v || (v == 0 && signbit(v)))
        return 0;
    uint64_t n = (uint64_t)magnitude;
    char digits[32];
    size_t at = DIGITS_MOVED;
    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    size_t len = 0;
    if (v < 0)
        out[len++] = '-';
    memcpy(out + len, digits + at, DIGITS_MOVED);
    return len + DIGITS_MOVED - at;
}

// Numbers of few decimals, as most gauges are, need none either: a decimal of at most 15 digits that rounds to v is the shortest that does,
// as no two of them round to the same double.
static size_t format_small_decimal(double v, char *out)
{
    const uint64_t scale = 10000;
    double magnitude = fabs(v);
    if (!(magnitude < 1e11))
        return 0;
    uint64_t n = (uint64_t)(magnitude * (double)scale + 0.5);
    if ((double)n / (double)scale != magnitude || n == 0)
        return 0;
    size_t len = 0;
    if (v < 0)
        out[len++] = '-';
    len += format_small_integer((double)(n / scale), out + len);
    out[len++] = '.';
    for (uint64_t rest = n % scale, unit = scale / 10; rest; unit /= 10) {
        out[len++] = (char)('0' + rest / unit);
        rest %= unit;
    }
    return len;
}

// Digits from `from` on, 17 of them.
static void move_digits(char *out, const Decimal *d, int from)
{
    memcpy(out, d->digits + from, DIGITS_MOVED + 1);
}

static size_t layout_f(const Decimal *d, char *out)
{
    size_t len = 0;
    if (d->negative)
        out[len++] = '-';
    if (d->point <= 0) {
        out[len++] = '0';
        out[len++] = '.';
        for (int i = d->point; i < 0; i++)
            out[len++] = '0';
        move_digits(out + len, d, 0);
        return len + (size_t)d->count;
    }
    move_digits(out + len, d, 0);
    for (int i = d->count; i < d->point; i++)
        out[len + (size_t)i] = '0';
    len += (size_t)d->point;
    if (d->count > d->point) {
        out[len++] = '.';
        move_digits(out + len, d, d->point);
        len += (size_t)(d->count - d->point);
    }
    return len;
}

static size_t layout_e(const Decimal *d, char *out)
{
    size_t len = 0;
    if (d->negative)
        out[len++] = '-';
    out[len++] = d->digits[0];
    if (d->count > 1) {
        out[len++] = '.';
        memcpy(out + len, d->digits + 1, (size_t)d->count - 1);
        len += (size_t)d->count - 1;
    }
    int exponent = d->point - 1;
    out[len++] = 'e';
    out[len++] = exponent < 0 ? '-' : '+';
    unsigned e = (unsigned)(exponent < 0 ? -exponent : exponent);
    if (e >= 100)
        out[len++] = (char)('0' + e / 100);
    out[len++] = (char)('0' + e / 10 % 10);
    out[len++] = (char)('0' + e % 10);
    return len;
}

size_t number_format_f(double v, char *out)
{
    size_t len = format_special(v, out);
    if (len == 0)
        len = format_small_integer(v, out);
    if (len == 0)
        len = format_small_decimal(v, out);
    if (len)
        return len;
    Decimal d;
    decimal_of(v, &d);
    return layout_f(&d, out);
}

size_t number_format_e(double v, char *out)
{
    size_t len = format_special(v, out);
    if (len)
        return len;
    Decimal d;
    decimal_of(v, &d);
    return layout_e(&d, out);
}

// The exponent from which 'g' goes over to 'e' where as many digits are shown as are needed: strconv/ftoa.go.
#define G_EXPONENT_MAX 6

size_t number_format_g(double v, char *out)
{
    size_t len = format_special(v, out);
    if (len == 0 && fabs(v) < 1e6)
        len = format_small_integer(v, out);
    if (len)
        return len;
    Decimal d;
    decimal_of(v, &d);
    int exponent = d.point - 1;
    return exponent < -4 || exponent >= G_EXPONENT_MAX ? layout_e(&d, out) : layout_f(&d, out);
}

size_t number_format_json(double v, char *out)
{
    double magnitude = fabs(v);
    if (magnitude != 0 && (magnitude < 1e-6 || magnitude >= 1e21))
        return number_format_e(v, out);
    return number_format_f(v, out);
}
