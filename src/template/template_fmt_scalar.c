// SPDX-License-Identifier: Apache-2.0
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/number.h"
#include "template/template_fmt_internal.h"
#include "template/template_text.h"

static size_t count_runes(Str s)
{
    size_t count = 0;
    uint32_t rune;

    for (; s.len; count++)
        s = str_skip(s, str_rune(s, &rune));
    return count;
}

static void add_many(Buf *out, char c, size_t count)
{
    char *at = buf_reserve(out, count);

    if (at && count) {
        memset(at, c, count);
        out->len += count;
    }
}

void template_fmt_pad(Buf *out, const TemplateFormat *f, Str text)
{
    size_t len = f->has_width ? count_runes(text) : 0;
    size_t missing = f->has_width && (size_t)f->width > len ? (size_t)f->width - len : 0;

    if (!f->minus)
        add_many(out, f->zero ? '0' : ' ', missing);
    buf_add_str(out, text);
    if (f->minus)
        add_many(out, ' ', missing);
}

bool template_fmt_bool(Buf *out, const TemplateFormat *f, uint32_t verb, bool v)
{
    if (verb != 't' && verb != 'v')
        return false;
    template_fmt_pad(out, f, v ? S("true") : S("false"));
    return true;
}

// ---- integers

static char sign_of(const TemplateFormat *f, bool negative)
{
    return negative ? '-' : f->plus ? '+' : f->space ? ' ' : 0;
}

static size_t write_digits(uint64_t v, unsigned base, bool upper, char *end)
{
    const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    size_t len = 0;

    do {
        *--end = digits[v % base];
        v /= base;
        len++;
    } while (v);
    return len;
}

static void write_integer(Buf *out, const TemplateFormat *f, int64_t v, unsigned base,
                          uint32_t verb)
{
    char digits[64];
    uint64_t magnitude = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    TemplateFormat spaces = *f;
    Buf text = {0};
    char sign = sign_of(f, v < 0);
    size_t len = write_digits(magnitude, base, verb == 'X', digits + sizeof digits);
    size_t want = f->has_precision ? (size_t)f->precision : 0;

    spaces.zero = false;
    if (f->has_precision && f->precision == 0 && v == 0) {
        // A precision of 0 and a value of 0 print nothing but the padding.
        template_fmt_pad(out, &spaces, STR_NONE);
        return;
    }
    if (!f->has_precision && f->zero && !f->minus && f->has_width)
        want = (size_t)f->width - (sign && f->width > 0);
    if (sign)
        buf_add_char(&text, sign);
    if (verb == 'O')
        buf_add_c(&text, "0o");
    if (f->sharp && base == 16)
        buf_add_c(&text, verb == 'X' ? "0X" : "0x");
    else if (f->sharp && base == 2)
        buf_add_c(&text, "0b");
    else if (f->sharp && base == 8 && digits[sizeof digits - len] != '0' && verb != 'O' &&
             want <= len)
        buf_add_c(&text, "0");
    add_many(&text, '0', want > len ? want - len : 0);
    buf_add(&text, digits + sizeof digits - len, len);
    template_fmt_pad(out, &spaces, buf_str(&text));
    buf_deinit(&text);
}

static void write_unicode(Buf *out, const TemplateFormat *f, uint64_t v)
{
    TemplateFormat spaces = *f;
    Buf text = {0};

    spaces.zero = false;
    buf_printf(&text, "U+%0*llX", f->has_precision && f->precision > 4 ? f->precision : 4,
               (unsigned long long)v);
    if (f->sharp && v <= 0x10ffff && rune_is_printable((uint32_t)v)) {
        buf_add_c(&text, " '");
        template_add_rune(&text, (uint32_t)v);
        buf_add_char(&text, '\'');
    }
    template_fmt_pad(out, &spaces, buf_str(&text));
    buf_deinit(&text);
}

static char short_escape(uint32_t rune)
{
    static const char from[] = "\a\b\f\n\r\t\v\\";
    static const char to[] = "abfnrtv\\";
    const char *found = rune && rune < 0x80 ? strchr(from, (int)rune) : NULL;

    return found ? to[found - from] : 0;
}

static void add_escaped_rune(Buf *out, uint32_t rune, char quote, bool ascii)
{
    char letter = rune == (uint32_t)quote ? quote : short_escape(rune);

    if (letter) {
        buf_add_char(out, '\\');
        buf_add_char(out, letter);
    } else if (rune_is_printable(rune) && (!ascii || rune < 0x80)) {
        template_add_rune(out, rune);
    } else if (rune < ' ' || rune == 0x7f) {
        buf_printf(out, "\\x%02x", rune);
    } else {
        buf_printf(out, rune < 0x10000 ? "\\u%04x" : "\\U%08x", rune);
    }
}

void template_add_quoted_rune(Buf *out, uint32_t rune, bool ascii)
{
    buf_add_char(out, '\'');
    add_escaped_rune(out, rune, '\'', ascii);
    buf_add_char(out, '\'');
}

static void write_rune(Buf *out, const TemplateFormat *f, int64_t v, bool quoted)
{
    Buf text = {0};
    uint32_t rune = v < 0 || v > 0x10ffff || (v >= 0xd800 && v < 0xe000) ? 0xfffd : (uint32_t)v;

    if (quoted)
        template_add_quoted_rune(&text, rune, f->plus);
    else
        template_add_rune(&text, rune);
    template_fmt_pad(out, f, buf_str(&text));
    buf_deinit(&text);
}

bool template_fmt_int(Buf *out, const TemplateFormat *f, uint32_t verb, int64_t v)
{
    switch (verb) {
    case 'v':
    case 'd':
        write_integer(out, f, v, 10, verb);
        return true;
    case 'b':
        write_integer(out, f, v, 2, verb);
        return true;
    case 'o':
    case 'O':
        write_integer(out, f, v, 8, verb);
        return true;
    case 'x':
    case 'X':
        write_integer(out, f, v, 16, verb);
        return true;
    case 'c':
        write_rune(out, f, v, false);
        return true;
    case 'q':
        write_rune(out, f, v, true);
        return true;
    case 'U':
        write_unicode(out, f, (uint64_t)v);
        return true;
    default:
        return false;
    }
}

// ---- floats

#define FLOAT_PRECISION_MAX 1000

// Go's %x: 0x1.8p+01. A precision rounds the mantissa to that many hexadecimal digits.
static void add_hex_float(Buf *out, double v, int precision)
{
    int exponent = 0;
    uint64_t mantissa = 0;

    if (v != 0) {
        double fraction = frexp(v, &exponent);
        mantissa = (uint64_t)ldexp(fraction, 53); // 1.x with 52 bits behind the point
        exponent--;
    }
    if (precision >= 0 && precision < 13) {
        unsigned dropped = (unsigned)(13 - precision) * 4;
        uint64_t half = 1ULL << (dropped - 1);
        uint64_t rest = mantissa & ((half << 1) - 1);
        mantissa >>= dropped;
        mantissa += rest > half || (rest == half && (mantissa & 1));
        mantissa <<= dropped;
        if (mantissa >> 53) {
            mantissa >>= 1;
            exponent++;
        }
    }

    char digits[16];
    snprintf(digits, sizeof digits, "%013llx", (unsigned long long)(mantissa & ((1ULL << 52) - 1)));
    size_t len = 13;
    while (precision < 0 && len && digits[len - 1] == '0')
        len--;
    if (precision >= 0 && precision < 13)
        len = (size_t)precision;
    buf_printf(out, "0x%llu", (unsigned long long)(mantissa >> 52));
    if (len || precision > 0)
        buf_add_char(out, '.');
    buf_add(out, digits, len);
    add_many(out, '0', precision > 13 ? (size_t)precision - 13 : 0);
    buf_printf(out, "p%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
}

// Go's %b: the mantissa as an integer and a power of two.
static void add_binary_float(Buf *out, double v)
{
    uint64_t bits = double_bits(v);
    int exponent = (int)(bits >> 52 & 0x7ff);
    uint64_t mantissa = bits & ((1ULL << 52) - 1);

    if (exponent == 0)
        exponent = 1;
    else
        mantissa |= 1ULL << 52;
    buf_printf(out, "%llup%+d", (unsigned long long)mantissa, exponent - 1075);
}

// The digits of a finite value that is not negative.
static void add_magnitude(Buf *out, const TemplateFormat *f, uint32_t verb, double v)
{
    char shortest[NUMBER_BYTES_MAX];
    int precision = MIN(f->precision, FLOAT_PRECISION_MAX);

    switch (verb | 0x20) {
    case 'b':
        add_binary_float(out, v);
        break;
    case 'x':
        add_hex_float(out, v, f->has_precision ? precision : -1);
        break;
    case 'e':
        buf_printf(out, "%.*e", f->has_precision ? precision : 6, v);
        break;
    case 'f':
        buf_printf(out, "%.*f", f->has_precision ? precision : 6, v);
        break;
    default:
        if (f->has_precision)
            buf_printf(out, f->sharp ? "%#.*g" : "%.*g", precision, v);
        else if (f->sharp)
            buf_printf(out, "%#.6g", v);
        else
            buf_add(out, shortest, number_format_g(v, shortest));
    }
}

bool template_fmt_float(Buf *out, const TemplateFormat *f, uint32_t verb, double v)
{
    if (!strchr("vbgGxXfFeE", verb < 0x80 ? (int)verb : '?') || !verb)
        return false;

    TemplateFormat padded = *f;
    Buf text = {0};
    char sign = sign_of(f, signbit(v) && !isnan(v));
    if (isnan(v))
        sign = f->plus ? '+' : f->space ? ' ' : 0;
    else if (isinf(v) && !sign && (f->plus || verb == 'v' || true))
        sign = '+';
    if (isinf(v) && f->space && !f->plus && !signbit(v))
        sign = ' ';
    if (isnan(v))
        buf_add_c(&text, "NaN");
    else if (isinf(v))
        buf_add_c(&text, "Inf");
    else
        add_magnitude(&text, f, verb == 'v' ? 'g' : verb, fabs(v));
    for (size_t i = 0; i < text.len && (verb == 'G' || verb == 'E' || verb == 'X'); i++)
        if (isfinite(v) && text.ptr[i] >= 'a' && text.ptr[i] <= 'z')
            text.ptr[i] = (char)(text.ptr[i] - 32);

    Buf whole = {0};
    bool zeros = f->zero && !f->minus && f->has_width && isfinite(v);
    padded.zero = false;
    if (sign)
        buf_add_char(&whole, sign);
    size_t len = text.len + (sign != 0);
    if (zeros && (size_t)f->width > len)
        add_many(&whole, '0', (size_t)f->width - len);
    buf_add_str(&whole, buf_str(&text));
    template_fmt_pad(out, &padded, buf_str(&whole));
    buf_deinit(&whole);
    buf_deinit(&text);
    return true;
}

// ---- strings

static Str cut_to_precision(const TemplateFormat *f, Str s)
{
    size_t len = 0;
    uint32_t rune;

    if (!f->has_precision)
        return s;
    for (int i = 0; i < f->precision && len < s.len; i++)
        len += str_rune(str_skip(s, len), &rune);
    return str_sub(s, 0, len);
}

static bool can_backquote(Str s)
{
    uint32_t rune;

    for (size_t len; s.len; s = str_skip(s, len)) {
        len = str_rune(s, &rune);
        if ((len == 1 && rune == 0xfffd) || rune == 0xfeff || (rune < ' ' && rune != '\t') ||
            rune == '`' || rune == 0x7f)
            return false;
    }
    return true;
}

static void add_quoted(Buf *out, const TemplateFormat *f, Str s)
{
    if (f->sharp && can_backquote(s)) {
        buf_add_char(out, '`');
        buf_add_str(out, s);
        buf_add_char(out, '`');
    } else if (!f->plus) {
        buf_add_go_quoted(out, s);
    } else {
        buf_add_char(out, '"');
        for (size_t len; s.len; s = str_skip(s, len)) {
            uint32_t rune;
            len = str_rune(s, &rune);
            if (len == 1 && rune == 0xfffd)
                buf_printf(out, "\\x%02x", (unsigned char)s.ptr[0]);
            else
                add_escaped_rune(out, rune, '"', true);
        }
        buf_add_char(out, '"');
    }
}

static void add_hex(Buf *out, const TemplateFormat *f, Str s, bool upper)
{
    size_t count = f->has_precision ? MIN(s.len, (size_t)f->precision) : s.len;
    const char *prefix = upper ? "0X" : "0x";

    if (count && f->sharp)
        buf_add_c(out, prefix);
    for (size_t i = 0; i < count; i++) {
        if (f->space && i) {
            buf_add_char(out, ' ');
            if (f->sharp)
                buf_add_c(out, prefix);
        }
        buf_printf(out, upper ? "%02X" : "%02x", (unsigned char)s.ptr[i]);
    }
}

bool template_fmt_string(Buf *out, const TemplateFormat *f, uint32_t verb, Str v)
{
    Buf text = {0};

    switch (verb) {
    case 'v':
        if (!f->sharp_v) {
            template_fmt_pad(out, f, cut_to_precision(f, v));
            return true;
        }
        buf_add_go_quoted(&text, v);
        break;
    case 's':
        template_fmt_pad(out, f, cut_to_precision(f, v));
        return true;
    case 'q':
        add_quoted(&text, f, cut_to_precision(f, v));
        break;
    case 'x':
    case 'X':
        add_hex(&text, f, v, verb == 'X');
        break;
    default:
        return false;
    }
    template_fmt_pad(out, f, buf_str(&text));
    buf_deinit(&text);
    return true;
}
