// SPDX-License-Identifier: Apache-2.0
// Go's layouts: a date written as Monday, January 2 2006, 15:04:05.000 MST stands for its parts.
#include <stdio.h>

#include "base/timefmt.h"
#include "template/template_time.h"
#include "template/template_time_layout.h"

typedef struct PartRow {
    const char *text;
    TemplateTimePart part;
    bool not_before_small; // a small letter behind it makes it a word of its own
} PartRow;

// Longer texts stand before what they begin with.
static const PartRow parts[] = {
    {"January", TEMPLATE_PART_MONTH_LONG, false},
    {"Jan", TEMPLATE_PART_MONTH_SHORT, true},
    {"Monday", TEMPLATE_PART_WEEKDAY_LONG, false},
    {"Mon", TEMPLATE_PART_WEEKDAY_SHORT, true},
    {"MST", TEMPLATE_PART_ZONE_NAME, false},
    {"002", TEMPLATE_PART_YEARDAY_3, false},
    {"01", TEMPLATE_PART_MONTH_2, false},
    {"02", TEMPLATE_PART_DAY_2, false},
    {"03", TEMPLATE_PART_HOUR_12_2, false},
    {"04", TEMPLATE_PART_MINUTE_2, false},
    {"05", TEMPLATE_PART_SECOND_2, false},
    {"06", TEMPLATE_PART_YEAR_2, false},
    {"15", TEMPLATE_PART_HOUR, false},
    {"1", TEMPLATE_PART_MONTH, false},
    {"2006", TEMPLATE_PART_YEAR, false},
    {"2", TEMPLATE_PART_DAY, false},
    {"__2", TEMPLATE_PART_YEARDAY_SPACE, false},
    {"_2", TEMPLATE_PART_DAY_SPACE, false},
    {"3", TEMPLATE_PART_HOUR_12, false},
    {"4", TEMPLATE_PART_MINUTE, false},
    {"5", TEMPLATE_PART_SECOND, false},
    {"PM", TEMPLATE_PART_PM, false},
    {"pm", TEMPLATE_PART_PM_SMALL, false},
    {"-07:00:00", TEMPLATE_PART_ZONE_COLON_SECONDS, false},
    {"-070000", TEMPLATE_PART_ZONE_SECONDS, false},
    {"-07:00", TEMPLATE_PART_ZONE_COLON, false},
    {"-0700", TEMPLATE_PART_ZONE, false},
    {"-07", TEMPLATE_PART_ZONE_HOUR, false},
    {"Z07:00:00", TEMPLATE_PART_ZONE_Z_COLON_SECONDS, false},
    {"Z070000", TEMPLATE_PART_ZONE_Z_SECONDS, false},
    {"Z07:00", TEMPLATE_PART_ZONE_Z_COLON, false},
    {"Z0700", TEMPLATE_PART_ZONE_Z, false},
    {"Z07", TEMPLATE_PART_ZONE_Z_HOUR, false},
};

static const char *const month_names[] = {"January",   "February", "March",    "April",
                                          "May",       "June",     "July",     "August",
                                          "September", "October",  "November", "December"};
static const char *const weekday_names[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                            "Thursday", "Friday", "Saturday"};

const char *template_month_name(int month)
{
    return month_names[month - 1];
}

const char *template_weekday_name(int weekday)
{
    return weekday_names[weekday];
}

// ".000" or ",999": a run of one digit that no other digit follows.
static TemplateTimePart fraction_at(Str rest, size_t *ret_len)
{
    size_t len = 1;

    if (rest.len < 2 || (rest.ptr[0] != '.' && rest.ptr[0] != ',') ||
        (rest.ptr[1] != '0' && rest.ptr[1] != '9'))
        return TEMPLATE_PART_NONE;
    while (len < rest.len && rest.ptr[len] == rest.ptr[1])
        len++;
    if (len < rest.len && rest.ptr[len] >= '0' && rest.ptr[len] <= '9')
        return TEMPLATE_PART_NONE;
    *ret_len = len;
    return rest.ptr[1] == '0' ? TEMPLATE_PART_FRACTION : TEMPLATE_PART_FRACTION_TRIMMED;
}

TemplateTimePart template_time_part(Str rest, size_t *ret_len)
{
    *ret_len = 1;
    // In "_2006" the 2006 is meant.
    if (str_starts_with(rest, S("_2006")))
        return TEMPLATE_PART_NONE;
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        Str text = str_from_c(parts[i].text);
        if (!str_starts_with(rest, text))
            continue;
        bool word = parts[i].not_before_small && rest.len > text.len && rest.ptr[text.len] >= 'a' &&
                    rest.ptr[text.len] <= 'z';
        if (word)
            return TEMPLATE_PART_NONE;
        *ret_len = text.len;
        return parts[i].part;
    }
    return fraction_at(rest, ret_len);
}

static void add_zone(Buf *out, TemplateTimePart part, int32_t offset_s)
{
    bool z = part >= TEMPLATE_PART_ZONE_Z && part <= TEMPLATE_PART_ZONE_Z_HOUR;
    TemplateTimePart plain = z ? part + (TEMPLATE_PART_ZONE - TEMPLATE_PART_ZONE_Z) : part;
    int32_t abs_s = offset_s < 0 ? -offset_s : offset_s;
    bool colon = plain == TEMPLATE_PART_ZONE_COLON || plain == TEMPLATE_PART_ZONE_COLON_SECONDS;
    bool seconds = plain == TEMPLATE_PART_ZONE_SECONDS || plain == TEMPLATE_PART_ZONE_COLON_SECONDS;

    if (z && offset_s == 0) {
        buf_add_char(out, 'Z');
        return;
    }
    buf_printf(out, "%c%02d", offset_s < 0 ? '-' : '+', abs_s / 3600);
    if (plain == TEMPLATE_PART_ZONE_HOUR)
        return;
    buf_printf(out, "%s%02d", colon ? ":" : "", abs_s / 60 % 60);
    if (seconds)
        buf_printf(out, "%s%02d", colon ? ":" : "", abs_s % 60);
}

static void add_zone_name(Buf *out, const char *name, int32_t offset_s)
{
    if (name[0]) {
        buf_add_c(out, name);
        return;
    }
    int32_t minutes = (offset_s < 0 ? -offset_s : offset_s) / 60;
    buf_printf(out, "%c%02d%02d", offset_s < 0 ? '-' : '+', minutes / 60, minutes % 60);
}

static void add_fraction(Buf *out, Str layout, int32_t ns, bool trimmed)
{
    char digits[16];
    size_t len = MIN(layout.len - 1, (size_t)9);

    snprintf(digits, sizeof digits, "%09d", ns);
    while (trimmed && len && digits[len - 1] == '0')
        len--;
    if (len) {
        buf_add_char(out, layout.ptr[0]);
        buf_add(out, digits, len);
    }
    for (size_t i = 9; i < layout.len - 1 && !trimmed; i++)
        buf_add_char(out, '0');
}

static void add_year(Buf *out, int64_t year)
{
    if (year < 0)
        buf_add_char(out, '-');
    buf_printf(out, "%04lld", (long long)(year < 0 ? -year : year));
}

static void add_part(Buf *out, TemplateTimePart part, const CivilTime *t,
                     const TemplateZoneAt *zone)
{
    int hour_12 = t->hour % 12 ? t->hour % 12 : 12;

    switch (part) {
    case TEMPLATE_PART_MONTH_LONG:
        buf_add_c(out, month_names[t->month - 1]);
        break;
    case TEMPLATE_PART_MONTH_SHORT:
        buf_add(out, month_names[t->month - 1], 3);
        break;
    case TEMPLATE_PART_MONTH:
        buf_printf(out, "%d", t->month);
        break;
    case TEMPLATE_PART_MONTH_2:
        buf_printf(out, "%02d", t->month);
        break;
    case TEMPLATE_PART_WEEKDAY_LONG:
        buf_add_c(out, weekday_names[t->weekday]);
        break;
    case TEMPLATE_PART_WEEKDAY_SHORT:
        buf_add(out, weekday_names[t->weekday], 3);
        break;
    case TEMPLATE_PART_DAY:
        buf_printf(out, "%d", t->day);
        break;
    case TEMPLATE_PART_DAY_SPACE:
        buf_printf(out, "%2d", t->day);
        break;
    case TEMPLATE_PART_DAY_2:
        buf_printf(out, "%02d", t->day);
        break;
    case TEMPLATE_PART_YEARDAY_SPACE:
        buf_printf(out, "%3d", t->yearday);
        break;
    case TEMPLATE_PART_YEARDAY_3:
        buf_printf(out, "%03d", t->yearday);
        break;
    case TEMPLATE_PART_HOUR:
        buf_printf(out, "%02d", t->hour);
        break;
    case TEMPLATE_PART_HOUR_12:
        buf_printf(out, "%d", hour_12);
        break;
    case TEMPLATE_PART_HOUR_12_2:
        buf_printf(out, "%02d", hour_12);
        break;
    case TEMPLATE_PART_MINUTE:
        buf_printf(out, "%d", t->minute);
        break;
    case TEMPLATE_PART_MINUTE_2:
        buf_printf(out, "%02d", t->minute);
        break;
    case TEMPLATE_PART_SECOND:
        buf_printf(out, "%d", t->second);
        break;
    case TEMPLATE_PART_SECOND_2:
        buf_printf(out, "%02d", t->second);
        break;
    case TEMPLATE_PART_YEAR:
        add_year(out, t->year);
        break;
    case TEMPLATE_PART_YEAR_2:
        buf_printf(out, "%02lld", (long long)((t->year % 100 + 100) % 100));
        break;
    case TEMPLATE_PART_PM:
        buf_add_c(out, t->hour >= 12 ? "PM" : "AM");
        break;
    case TEMPLATE_PART_PM_SMALL:
        buf_add_c(out, t->hour >= 12 ? "pm" : "am");
        break;
    case TEMPLATE_PART_ZONE_NAME:
        add_zone_name(out, zone->name, zone->offset_s);
        break;
    default:
        add_zone(out, part, zone->offset_s);
    }
}

void template_time_format(Buf *out, const TemplateTime *time, Str layout)
{
    TemplateZoneAt zone = template_zone_at(time);
    CivilTime t = civil_from_s(time->unix_s + zone.offset_s);

    while (layout.len && !out->failed) {
        size_t len = 0;
        TemplateTimePart part = template_time_part(layout, &len);
        if (part == TEMPLATE_PART_NONE) {
            buf_add_char(out, layout.ptr[0]);
            layout = str_skip(layout, 1);
            continue;
        }
        if (part == TEMPLATE_PART_FRACTION || part == TEMPLATE_PART_FRACTION_TRIMMED)
            add_fraction(out, str_sub(layout, 0, len), time->ns,
                         part == TEMPLATE_PART_FRACTION_TRIMMED);
        else
            add_part(out, part, &t, &zone);
        layout = str_skip(layout, len);
    }
}

void template_format_time(Buf *out, int64_t unix_s, int32_t ns, int32_t offset_s, Str layout)
{
    TemplateTime time = {.unix_s = unix_s, .ns = ns, .fixed_s = offset_s};
    template_time_format(out, &time, layout);
}
