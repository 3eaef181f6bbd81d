// SPDX-License-Identifier: Apache-2.0
#include "base/timefmt.h"

#include <math.h>
#include <stdio.h>

#include "base/number.h"

#define SECOND_MS INT64_C(1000)
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_MS (24 * HOUR_MS)
#define WEEK_MS (7 * DAY_MS)
#define YEAR_MS (365 * DAY_MS)

static const struct {
    const char *unit;
    int64_t ms;
    bool exact; // printed only when the whole duration is a multiple
} units[] = {
    {"y", YEAR_MS, true},    {"w", WEEK_MS, true},    {"d", DAY_MS, false}, {"h", HOUR_MS, false},
    {"m", MINUTE_MS, false}, {"s", SECOND_MS, false}, {"ms", 1, false},
};

static bool duration_fail(Str text, Error *err)
{
    if (text.len == 0)
        return error_set(err, ERR_INVALID, "empty duration string");
    return error_set(err, ERR_INVALID, "not a valid duration string: \"" STR_FMT "\"",
                     STR_ARG(str_sub(text, 0, 200)));
}

bool duration_parse(Str text, int64_t *ret_ms, Error *err)
{
    if (str_equal(text, S("0"))) {
        *ret_ms = 0;
        return true;
    }
    int64_t total = 0;
    size_t next_unit = 0;
    Str rest = text;
    if (text.len == 0)
        return duration_fail(text, err);
    while (rest.len) {
        size_t digits = 0;
        while (digits < rest.len && rest.ptr[digits] >= '0' && rest.ptr[digits] <= '9')
            digits++;
        uint64_t n;
        if (!number_parse_u64(str_sub(rest, 0, digits), &n))
            return duration_fail(text, err);
        rest = str_skip(rest, digits);

        size_t letters = 0;
        while (letters < rest.len && (rest.ptr[letters] < '0' || rest.ptr[letters] > '9'))
            letters++;
        size_t u = next_unit;
        while (u < COUNT_OF(units) && !str_is(str_sub(rest, 0, letters), units[u].unit))
            u++;
        int64_t part;
        if (u == COUNT_OF(units))
            return duration_fail(text, err);
        // The original holds nanoseconds in 64 bits: about 292 years.
        if (n > INT64_MAX / 1000000 || __builtin_mul_overflow((int64_t)n, units[u].ms, &part) ||
            __builtin_add_overflow(total, part, &total) || total > INT64_MAX / 1000000)
            return error_set(err, ERR_INVALID, "duration out of range");
        rest = str_skip(rest, letters);
        next_unit = u + 1;
    }
    *ret_ms = total;
    return true;
}

// One part of a Go duration in nanoseconds; *rest is moved behind it.
static bool go_duration_part(Str *rest, double *ret_ns)
{
    static const struct {
        const char *unit;
        double ns;
    } go_units[] = {{"ns", 1},   {"us", 1e3}, {"\u00b5s", 1e3}, {"\u03bcs", 1e3},
                    {"ms", 1e6}, {"s", 1e9},  {"m", 60e9},      {"h", 3600e9}};
    size_t digits = 0;
    while (digits < rest->len &&
           ((rest->ptr[digits] >= '0' && rest->ptr[digits] <= '9') || rest->ptr[digits] == '.'))
        digits++;
    double number;
    if (digits == 0 || digits > 40 || !number_parse_double(str_sub(*rest, 0, digits), &number))
        return false;
    *rest = str_skip(*rest, digits);
    size_t letters = 0;
    while (letters < rest->len && rest->ptr[letters] != '.' &&
           (rest->ptr[letters] < '0' || rest->ptr[letters] > '9'))
        letters++;
    for (size_t i = 0; i < COUNT_OF(go_units); i++)
        if (str_is(str_sub(*rest, 0, letters), go_units[i].unit)) {
            *rest = str_skip(*rest, letters);
            *ret_ns = number * go_units[i].ns;
            return true;
        }
    return false;
}

bool go_duration_parse(Str text, int64_t *ret_ms, Error *err)
{
    bool negative = text.len && text.ptr[0] == '-';
    Str rest = text.len && (negative || text.ptr[0] == '+') ? str_skip(text, 1) : text;
    double total_ns = 0;
    if (str_is(rest, "0")) {
        *ret_ms = 0;
        return true;
    }
    do {
        double part_ns;
        if (!go_duration_part(&rest, &part_ns))
            return duration_fail(text, err);
        total_ns += part_ns;
    } while (rest.len);
    if (total_ns > 9.2e18)
        return error_set(err, ERR_INVALID, "duration out of range");
    // What should be whole milliseconds must not lose one to the last bit of a product.
    int64_t ms = (int64_t)(total_ns / 1e6 + 1e-7);
    *ret_ms = negative ? -ms : ms;
    return true;
}

void buf_add_duration(Buf *buf, int64_t ms)
{
    if (ms == 0) {
        buf_add_c(buf, "0s");
        return;
    }
    uint64_t left = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
    if (ms < 0)
        buf_add_char(buf, '-');
    for (size_t u = 0; u < COUNT_OF(units); u++) {
        uint64_t unit_ms = (uint64_t)units[u].ms;
        if (units[u].exact && left % unit_ms != 0)
            continue;
        uint64_t n = left / unit_ms;
        if (n == 0)
            continue;
        buf_add_u64(buf, n);
        buf_add_c(buf, units[u].unit);
        left -= n * unit_ms;
    }
}

// Days since 1970-01-01 of a civil date and back: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
static int64_t days_from_civil(int64_t y, int m, int d)
{
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t yoe = y - era * 400;
    int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + doe - 719468;
}

int64_t civil_to_s(int64_t year, int month, int day, int hour, int minute, int second)
{
    return days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
}

CivilTime civil_from_s(int64_t unix_s)
{
    int64_t days = unix_s / 86400;
    int64_t left = unix_s % 86400;
    if (left < 0) {
        left += 86400;
        days--;
    }
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int mp = (int)((5 * doy + 2) / 153);

    CivilTime t = {0};
    t.day = (int)(doy - (153 * mp + 2) / 5 + 1);
    t.month = mp < 10 ? mp + 3 : mp - 9;
    t.year = yoe + era * 400 + (t.month <= 2);
    t.hour = (int)(left / 3600);
    t.minute = (int)(left / 60 % 60);
    t.second = (int)(left % 60);
    t.weekday = (int)(((days + 4) % 7 + 7) % 7);
    t.yearday = (int)(days - days_from_civil(t.year, 1, 1)) + 1;
    return t;
}

// Reads exactly `count` digits at *at.
static bool digits_at(Str s, size_t *at, size_t count, int *ret_value)
{
    int v = 0;
    for (size_t i = 0; i < count; i++, (*at)++) {
        if (*at >= s.len || s.ptr[*at] < '0' || s.ptr[*at] > '9')
            return false;
        v = v * 10 + (s.ptr[*at] - '0');
    }
    *ret_value = v;
    return true;
}

static bool char_at(Str s, size_t *at, char c)
{
    if (*at >= s.len || s.ptr[*at] != c)
        return false;
    (*at)++;
    return true;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

static bool zone_at(Str s, size_t *at, int *ret_offset_s)
{
    *ret_offset_s = 0;
    if (char_at(s, at, 'Z') || char_at(s, at, 'z'))
        return true;
    bool minus = *at < s.len && s.ptr[*at] == '-';
    if (!minus && !(*at < s.len && s.ptr[*at] == '+'))
        return false;
    (*at)++;
    int h;
    int m;
    if (!digits_at(s, at, 2, &h) || !char_at(s, at, ':') || !digits_at(s, at, 2, &m) || h > 23 ||
        m > 59)
        return false;
    *ret_offset_s = (h * 60 + m) * (minus ? -60 : 60);
    return true;
}

static bool rfc3339_read(Str s, int64_t *ret_ms)
{
    int year, month, day, hour, minute, second, zone_s;
    size_t at = 0;
    if (!digits_at(s, &at, 4, &year) || !char_at(s, &at, '-') || !digits_at(s, &at, 2, &month) ||
        !char_at(s, &at, '-') || !digits_at(s, &at, 2, &day) ||
        !(char_at(s, &at, 'T') || char_at(s, &at, 't')) || !digits_at(s, &at, 2, &hour) ||
        !char_at(s, &at, ':') || !digits_at(s, &at, 2, &minute) || !char_at(s, &at, ':') ||
        !digits_at(s, &at, 2, &second))
        return false;
    if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month) || hour > 23 ||
        minute > 59 || second > 59)
        return false;
    double fraction = 0;
    if (char_at(s, &at, '.')) {
        size_t from = at;
        double scale = 0.1;
        for (; at < s.len && s.ptr[at] >= '0' && s.ptr[at] <= '9'; at++, scale /= 10)
            fraction += (s.ptr[at] - '0') * scale;
        if (at == from)
            return false;
    }
    if (!zone_at(s, &at, &zone_s) || at != s.len)
        return false;
    *ret_ms = (civil_to_s(year, month, day, hour, minute, second) - zone_s) * 1000 +
              (int64_t)floor(fraction * 1000 + 1e-6);
    return true;
}

bool rfc3339_parse(Str text, int64_t *ret_ms, Error *err)
{
    if (!rfc3339_read(text, ret_ms))
        return error_set(err, ERR_INVALID, "cannot parse \"" STR_FMT "\" as an RFC 3339 time",
                         STR_ARG(str_sub(text, 0, 100)));
    return true;
}

void buf_add_rfc3339(Buf *buf, int64_t t_ms, int32_t ns)
{
    int64_t s = t_ms / 1000;
    int64_t ms = t_ms % 1000;
    if (ms < 0) {
        ms += 1000;
        s--;
    }
    CivilTime t = civil_from_s(s);
    buf_printf(buf, "%04lld-%02d-%02dT%02d:%02d:%02d", (long long)t.year, t.month, t.day, t.hour,
               t.minute, t.second);
    int64_t fraction = ms * 1000000 + ns;
    if (fraction) {
        char digits[16];
        int len = snprintf(digits, sizeof digits, ".%09lld", (long long)fraction);
        while (digits[len - 1] == '0')
            len--;
        buf_add(buf, digits, (size_t)len);
    }
    buf_add_char(buf, 'Z');
}
