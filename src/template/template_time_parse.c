// SPDX-License-Identifier: Apache-2.0
// Times read by a Go layout.
#include <string.h>

#include "base/timefmt.h"
#include "template/template_time.h"
#include "template/template_time_layout.h"

typedef struct Fields {
    int year, month, day, yearday, hour, minute, second;
    int32_t ns;
    int32_t offset_s;
    bool has_offset;
    bool is_pm, has_pm;
} Fields;

// Between `min_digits` and `max_digits` digits.
static bool read_digits(Str *rest, size_t min_digits, size_t max_digits, int *ret_number)
{
    size_t len = 0;
    int number = 0;

    while (len < rest->len && len < max_digits && rest->ptr[len] >= '0' && rest->ptr[len] <= '9')
        number = number * 10 + (rest->ptr[len++] - '0');
    if (len < min_digits)
        return false;
    *rest = str_skip(*rest, len);
    *ret_number = number;
    return true;
}

static bool read_ranged(Str *rest, size_t min_digits, size_t max_digits, int low, int high,
                        int *ret_number)
{
    return read_digits(rest, min_digits, max_digits, ret_number) && *ret_number >= low &&
           *ret_number <= high;
}

// The index of the name that the text begins with; short names are the first three letters.
static bool read_name(Str *rest, const char *(*name_of)(int), int first, int count, bool is_short,
                      int *ret_index)
{
    for (int i = first; i < first + count; i++) {
        Str name = str_from_c(name_of(i));
        if (is_short)
            name.len = 3;
        if (str_equal_nocase(str_sub(*rest, 0, name.len), name)) {
            *rest = str_skip(*rest, name.len);
            *ret_index = i;
            return true;
        }
    }
    return false;
}

static void skip_space(Str *rest)
{
    while (rest->len && rest->ptr[0] == ' ')
        *rest = str_skip(*rest, 1);
}

// ".123": as many digits as there are, or exactly `digits`.
static bool read_fraction(Str *rest, size_t digits, int32_t *ret_ns)
{
    int32_t ns = 0;
    size_t len = 1;

    if (rest->len < 2 || (rest->ptr[0] != '.' && rest->ptr[0] != ','))
        return false;
    for (; len < rest->len && rest->ptr[len] >= '0' && rest->ptr[len] <= '9'; len++) {
        if (digits && len > digits)
            break;
        if (len <= 9)
            ns = ns * 10 + (rest->ptr[len] - '0');
    }
    if (len < 2 || (digits && len != digits + 1))
        return false;
    for (size_t i = len; i <= 9; i++)
        ns *= 10;
    *rest = str_skip(*rest, len);
    *ret_ns = ns;
    return true;
}

static bool read_offset(Str *rest, TemplateTimePart part, Fields *f)
{
    bool z = part >= TEMPLATE_PART_ZONE_Z && part <= TEMPLATE_PART_ZONE_Z_HOUR;
    TemplateTimePart plain = z ? part + (TEMPLATE_PART_ZONE - TEMPLATE_PART_ZONE_Z) : part;
    bool colon = plain == TEMPLATE_PART_ZONE_COLON || plain == TEMPLATE_PART_ZONE_COLON_SECONDS;
    int count = plain == TEMPLATE_PART_ZONE_HOUR ? 1
                : plain == TEMPLATE_PART_ZONE_SECONDS || plain == TEMPLATE_PART_ZONE_COLON_SECONDS
                    ? 3
                    : 2;
    int parts[3] = {0};

    f->has_offset = true;
    if (z && rest->len && rest->ptr[0] == 'Z') {
        *rest = str_skip(*rest, 1);
        return true;
    }
    if (rest->len == 0 || (rest->ptr[0] != '+' && rest->ptr[0] != '-'))
        return false;
    bool negative = rest->ptr[0] == '-';
    *rest = str_skip(*rest, 1);
    for (int i = 0; i < count; i++) {
        if (i && colon) {
            if (!str_starts_with(*rest, S(":")))
                return false;
            *rest = str_skip(*rest, 1);
        }
        if (!read_ranged(rest, 2, 2, 0, i == 0 ? 24 : 60, &parts[i]))
            return false;
    }
    f->offset_s = parts[0] * 3600 + parts[1] * 60 + parts[2];
    if (negative)
        f->offset_s = -f->offset_s;
    return true;
}

// "UTC", "CEST", "+03": read over; only UTC means an offset.
static bool read_zone_name(Str *rest)
{
    size_t len = 0;

    while (len < rest->len && len < 5 &&
           ((rest->ptr[len] >= 'A' && rest->ptr[len] <= 'Z') ||
            (len == 0 && (rest->ptr[0] == '+' || rest->ptr[0] == '-')) ||
            (len && (rest->ptr[0] == '+' || rest->ptr[0] == '-') && rest->ptr[len] >= '0' &&
             rest->ptr[len] <= '9')))
        len++;
    *rest = str_skip(*rest, len);
    return len >= 3;
}

static bool read_second(Str *rest, Str layout_behind, size_t min_digits, Fields *f)
{
    size_t len;
    TemplateTimePart behind = template_time_part(layout_behind, &len);

    if (!read_ranged(rest, min_digits, 2, 0, 59, &f->second))
        return false;
    // A fraction may follow also where the layout has none.
    if (behind != TEMPLATE_PART_FRACTION && behind != TEMPLATE_PART_FRACTION_TRIMMED &&
        rest->len >= 2 && (rest->ptr[0] == '.' || rest->ptr[0] == ',') && rest->ptr[1] >= '0' &&
        rest->ptr[1] <= '9')
        return read_fraction(rest, 0, &f->ns);
    return true;
}

static bool read_part(Str *rest, TemplateTimePart part, Str shown, Str behind, Fields *f)
{
    int ignored;

    switch (part) {
    case TEMPLATE_PART_MONTH_LONG:
    case TEMPLATE_PART_MONTH_SHORT:
        return read_name(rest, template_month_name, 1, 12, part == TEMPLATE_PART_MONTH_SHORT,
                         &f->month);
    case TEMPLATE_PART_MONTH:
        return read_ranged(rest, 1, 2, 1, 12, &f->month);
    case TEMPLATE_PART_MONTH_2:
        return read_ranged(rest, 2, 2, 1, 12, &f->month);
    case TEMPLATE_PART_WEEKDAY_LONG:
    case TEMPLATE_PART_WEEKDAY_SHORT:
        return read_name(rest, template_weekday_name, 0, 7, part == TEMPLATE_PART_WEEKDAY_SHORT,
                         &ignored);
    case TEMPLATE_PART_DAY_SPACE:
        skip_space(rest);
        return read_ranged(rest, 1, 2, 1, 31, &f->day);
    case TEMPLATE_PART_DAY:
        return read_ranged(rest, 1, 2, 1, 31, &f->day);
    case TEMPLATE_PART_DAY_2:
        return read_ranged(rest, 2, 2, 1, 31, &f->day);
    case TEMPLATE_PART_YEARDAY_SPACE:
        skip_space(rest);
        return read_ranged(rest, 1, 3, 1, 366, &f->yearday);
    case TEMPLATE_PART_YEARDAY_3:
        return read_ranged(rest, 3, 3, 1, 366, &f->yearday);
    case TEMPLATE_PART_HOUR:
        return read_ranged(rest, 1, 2, 0, 23, &f->hour);
    case TEMPLATE_PART_HOUR_12:
        return read_ranged(rest, 1, 2, 0, 12, &f->hour);
    case TEMPLATE_PART_HOUR_12_2:
        return read_ranged(rest, 2, 2, 0, 12, &f->hour);
    case TEMPLATE_PART_MINUTE:
        return read_ranged(rest, 1, 2, 0, 59, &f->minute);
    case TEMPLATE_PART_MINUTE_2:
        return read_ranged(rest, 2, 2, 0, 59, &f->minute);
    case TEMPLATE_PART_SECOND:
        return read_second(rest, behind, 1, f);
    case TEMPLATE_PART_SECOND_2:
        return read_second(rest, behind, 2, f);
    case TEMPLATE_PART_YEAR:
        return read_digits(rest, 4, 4, &f->year);
    case TEMPLATE_PART_YEAR_2:
        if (!read_digits(rest, 2, 2, &f->year))
            return false;
        f->year += f->year >= 69 ? 1900 : 2000;
        return true;
    case TEMPLATE_PART_PM:
    case TEMPLATE_PART_PM_SMALL:
        f->has_pm = true;
        f->is_pm = str_starts_with(*rest, part == TEMPLATE_PART_PM ? S("PM") : S("pm"));
        if (!f->is_pm && !str_starts_with(*rest, part == TEMPLATE_PART_PM ? S("AM") : S("am")))
            return false;
        *rest = str_skip(*rest, 2);
        return true;
    case TEMPLATE_PART_ZONE_NAME:
        return read_zone_name(rest);
    case TEMPLATE_PART_FRACTION:
        return read_fraction(rest, shown.len - 1, &f->ns);
    case TEMPLATE_PART_FRACTION_TRIMMED:
        if (rest->len >= 2 && (rest->ptr[0] == '.' || rest->ptr[0] == ',') && rest->ptr[1] >= '0' &&
            rest->ptr[1] <= '9')
            return read_fraction(rest, 0, &f->ns);
        return true;
    default:
        return read_offset(rest, part, f);
    }
}

static bool fail(Str text, Str layout, Str rest, Str part, const char *what, Error *err)
{
    Buf message = {.max = 480};

    buf_add_c(&message, "parsing time ");
    buf_add_go_quoted(&message, text);
    if (!what) {
        buf_add_c(&message, " as ");
        buf_add_go_quoted(&message, layout);
        buf_add_c(&message, ": cannot parse ");
        buf_add_go_quoted(&message, rest);
        buf_add_c(&message, " as ");
        buf_add_go_quoted(&message, part);
    } else {
        buf_add_c(&message, what);
    }
    error_set(err, ERR_INVALID, STR_FMT, STR_ARG(buf_str(&message)));
    buf_deinit(&message);
    return false;
}

static bool to_time(const Fields *f, TemplateTime *ret_time)
{
    int hour = f->hour;
    int month = f->month;
    int day = f->day;

    if (f->has_pm)
        hour = f->is_pm ? (hour < 12 ? hour + 12 : hour) : (hour == 12 ? 0 : hour);
    if (f->yearday) {
        CivilTime c = civil_from_s(civil_to_s(f->year, 1, 1, 0, 0, 0) + (f->yearday - 1) * 86400LL);
        if (c.year != f->year || (month && month != c.month) || (day && day != c.day))
            return false;
        month = c.month;
        day = c.day;
    }
    month = month ? month : 1;
    day = day ? day : 1;
    int64_t s = civil_to_s(f->year, month, day, hour, f->minute, f->second);
    if (civil_from_s(s).day != day)
        return false;
    *ret_time = (TemplateTime){.unix_s = s - f->offset_s, .ns = f->ns, .fixed_s = f->offset_s};
    return true;
}

bool template_time_parse(Str text, Str layout, TemplateTime *ret_time, Error *err)
{
    Fields f = {0};
    Str rest = text;
    Str todo = layout;

    while (todo.len) {
        size_t len;
        TemplateTimePart part = template_time_part(todo, &len);
        Str shown = str_sub(todo, 0, len);
        Str before = rest;
        todo = str_skip(todo, len);
        bool ok;
        if (part == TEMPLATE_PART_NONE) {
            ok = rest.len && rest.ptr[0] == shown.ptr[0];
            rest = str_skip(rest, 1);
        } else {
            ok = read_part(&rest, part, shown, todo, &f);
        }
        if (!ok)
            return fail(text, layout, before, shown, NULL, err);
    }
    if (rest.len) {
        Buf extra = {0};
        buf_add_c(&extra, ": extra text: ");
        buf_add_go_quoted(&extra, rest);
        buf_add_char(&extra, 0);
        fail(text, layout, rest, STR_NONE, extra.ptr, err);
        buf_deinit(&extra);
        return false;
    }
    return to_time(&f, ret_time) || fail(text, layout, rest, STR_NONE, ": day out of range", err);
}
