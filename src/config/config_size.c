// SPDX-License-Identifier: Apache-2.0
#include "base/number.h"
#include "config/config.h"

static const char size_letters[] = "KMGTPE";

// The unit at the front of `rest`, cut off: its factor or 0.
static uint64_t take_unit(Str *rest)
{
    uint64_t factor = 0;
    size_t len = 0;
    const char *letter =
        rest->len ? memchr(size_letters, rest->ptr[0], sizeof size_letters - 1) : NULL;
    if (str_starts_with(*rest, S("B"))) {
        factor = 1;
        len = 1;
    } else if (letter) {
        Str behind = str_skip(*rest, 1);
        factor = 1ULL << (10 * (letter - size_letters + 1));
        len = str_starts_with(behind, S("iB")) ? 3 : str_starts_with(behind, S("B")) ? 2 : 0;
    }
    *rest = str_skip(*rest, len);
    return len ? factor : 0;
}

// alecthomas/units.ParseBase2Bytes: a sum of numbers with units, fractions allowed.
bool config_size_parse(Str text, uint64_t *ret_bytes, Error *err)
{
    uint64_t total = 0;
    Str rest = text;
    if (str_is(text, "0")) {
        *ret_bytes = 0;
        return true;
    }
    if (text.len == 0)
        return error_set(err, ERR_INVALID, "a size must not be empty");
    while (rest.len) {
        size_t digits = 0;
        while (digits < rest.len &&
               ((rest.ptr[digits] >= '0' && rest.ptr[digits] <= '9') || rest.ptr[digits] == '.'))
            digits++;
        Str number = str_sub(rest, 0, digits);
        double value;
        if (digits == 0 || !number_parse_double(number, &value))
            return error_set(err, ERR_INVALID, "\"" STR_FMT "\" is not a size", STR_ARG(text));
        rest = str_skip(rest, digits);
        uint64_t unit = take_unit(&rest);
        if (!unit)
            return error_set(err, ERR_INVALID,
                             "\"" STR_FMT
                             "\" is not a size: a unit such as MB is missing or unknown",
                             STR_ARG(text));
        uint64_t whole;
        double bytes = value * (double)unit;
        bool exact = number_parse_u64(number, &whole);
        if (bytes >= 0x1p63 || (exact && __builtin_mul_overflow(whole, unit, &whole)))
            return error_set(err, ERR_INVALID, "size \"" STR_FMT "\" is too large", STR_ARG(text));
        if (__builtin_add_overflow(total, exact ? whole : (uint64_t)bytes, &total) ||
            total > INT64_MAX)
            return error_set(err, ERR_INVALID, "size \"" STR_FMT "\" is too large", STR_ARG(text));
    }
    *ret_bytes = total;
    return true;
}

void config_size_print(Buf *buf, uint64_t bytes)
{
    if (bytes == 0) {
        buf_add_c(buf, "0B");
        return;
    }
    for (int i = (int)sizeof size_letters - 1; i >= 0; i--) {
        uint64_t part = bytes >> (10 * i) & (i == (int)sizeof size_letters - 1 ? UINT64_MAX : 1023);
        if (part == 0)
            continue;
        buf_add_u64(buf, part);
        if (i > 0)
            buf_printf(buf, "%ciB", size_letters[i - 1]);
        else
            buf_add_char(buf, 'B');
    }
}
