// SPDX-License-Identifier: Apache-2.0
#include "alertmanager/am_interval.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/timefmt.h"

static const char *const weekday_names[] = {"sunday",   "monday", "tuesday", "wednesday",
                                            "thursday", "friday", "saturday"};
static const char *const month_names[] = {"january",   "february", "march",    "april",
                                          "may",       "june",     "july",     "august",
                                          "september", "october",  "november", "december"};

typedef bool ParseOne(Str text, int *ret_value);

static bool parse_name(Str text, const char *const *names, size_t count, int *ret_value)
{
    for (size_t i = 0; i < count; i++)
        if (str_equal_nocase(text, str_from_c(names[i]))) {
            *ret_value = (int)i;
            return true;
        }
    return false;
}

static bool parse_number(Str text, int *ret_value)
{
    YamlNode node = {.kind = YAML_SCALAR, .scalar = text};
    int64_t value;
    bool digits = text.len > 0;
    for (size_t i = 0; i < text.len; i++)
        digits &= (text.ptr[i] >= '0' && text.ptr[i] <= '9') || (i == 0 && text.ptr[i] == '-');
    // A leading zero is no octal number here.
    while (text.len > 1 && text.ptr[0] == '0')
        text = str_skip(text, 1);
    node.scalar = text;
    if (!digits || !yaml_i64(&node, &value) || value < -100000 || value > 100000)
        return false;
    *ret_value = (int)value;
    return true;
}

static bool parse_weekday(Str text, int *ret_value)
{
    return parse_name(text, weekday_names, COUNT_OF(weekday_names), ret_value);
}

static bool parse_month(Str text, int *ret_value)
{
    int value;
    if (parse_name(text, month_names, COUNT_OF(month_names), &value)) {
        *ret_value = value + 1;
        return true;
    }
    return parse_number(text, ret_value);
}

// "a" or "a:b".
static bool parse_range(Str text, ParseOne *parse, AmRange *ret_range)
{
    size_t colon = str_find_char(text, ':');
    AmRange range;
    if (!parse(str_trim(str_sub(text, 0, colon)), &range.from))
        return false;
    range.to = range.from;
    if (colon != STR_NOT_FOUND && !parse(str_trim(str_skip(text, colon + 1)), &range.to))
        return false;
    *ret_range = range;
    return true;
}

static bool decode_ranges(ConfigReader *reader, const YamlNode *node, void *member, ParseOne *parse,
                          const char *what, Error *err)
{
    AmRanges *ranges = member;
    if (node->kind == YAML_NULL)
        return true;
    if (node->kind != YAML_SEQUENCE)
        return config_error(reader, node, err, "%s must be a list", what);
    *ranges =
        (AmRanges){ARENA_ARRAY(reader->arena, AmRange, MAX(node->count, 1u)), node->count, true};
    for (size_t i = 0; i < node->count; i++) {
        Str text = node->items[i]->scalar;
        AmRange *range = &ranges->items[i];
        if (node->items[i]->kind != YAML_SCALAR || !parse_range(text, parse, range))
            return config_error(reader, node->items[i], err, "%s: \"" STR_FMT "\" is none", what,
                                STR_ARG(str_sub(text, 0, 100)));
    }
    return true;
}

static bool check_order(ConfigReader *reader, const YamlNode *node, const AmRanges *ranges,
                        const char *what, Error *err)
{
    for (size_t i = 0; i < ranges->count; i++)
        if (ranges->items[i].from > ranges->items[i].to)
            return config_error(reader, node->items[i], err,
                                "start %s cannot be after end %s: " STR_FMT, what, what,
                                STR_ARG(str_sub(node->items[i]->scalar, 0, 100)));
    return true;
}

static bool decode_weekdays(ConfigReader *reader, const YamlNode *node, void *member, Error *err)
{
    return decode_ranges(reader, node, member, parse_weekday, "weekdays", err) &&
           check_order(reader, node, member, "day", err);
}

static bool decode_months(ConfigReader *reader, const YamlNode *node, void *member, Error *err)
{
    return decode_ranges(reader, node, member, parse_month, "months", err) &&
           check_order(reader, node, member, "month", err);
}

static bool decode_years(ConfigReader *reader, const YamlNode *node, void *member, Error *err)
{
    return decode_ranges(reader, node, member, parse_number, "years", err) &&
           check_order(reader, node, member, "year", err);
}

// Negative days count from the month's end; of a month with 28 days, to compare the two ends.
static bool decode_days(ConfigReader *reader, const YamlNode *node, void *member, Error *err)
{
    if (!decode_ranges(reader, node, member, parse_number, "days_of_month", err))
        return false;
    const AmRanges *ranges = member;
    for (size_t i = 0; i < ranges->count; i++) {
        AmRange r = ranges->items[i];
        if (r.from == 0 || r.from < -31 || r.from > 31)
            return config_error(reader, node->items[i], err,
                                "%d is not a valid day of the month: out of range", r.from);
        if (r.to == 0 || r.to < -31 || r.to > 31)
            return config_error(reader, node->items[i], err,
                                "%d is not a valid day of the month: out of range", r.to);
        if (r.from < 0 && r.to > 0)
            return config_error(reader, node->items[i], err,
                                "end day must be negative if start day is negative");
        int from = r.from < 0 ? 28 + r.from : r.from;
        int to = r.to < 0 ? 28 + r.to : r.to;
        if (from > to)
            return config_error(reader, node->items[i], err,
                                "end day %d is always before start day %d", r.to, r.from);
    }
    return true;
}

// "09:00" as minutes.
static bool parse_clock(Str text, int *ret_minutes)
{
    if (text.len != 5 || text.ptr[2] != ':')
        return false;
    for (size_t i = 0; i < 5; i++)
        if (i != 2 && (text.ptr[i] < '0' || text.ptr[i] > '9'))
            return false;
    int hour = (text.ptr[0] - '0') * 10 + text.ptr[1] - '0';
    int minute = (text.ptr[3] - '0') * 10 + text.ptr[4] - '0';
    *ret_minutes = hour * 60 + minute;
    return minute < 60 && (hour < 24 || (hour == 24 && minute == 0));
}

static bool decode_times(ConfigReader *reader, const YamlNode *node, void *member, Error *err)
{
    AmRanges *ranges = member;
    if (node->kind == YAML_NULL)
        return true;
    if (node->kind != YAML_SEQUENCE)
        return config_error(reader, node, err, "times must be a list");
    *ranges =
        (AmRanges){ARENA_ARRAY(reader->arena, AmRange, MAX(node->count, 1u)), node->count, true};
    for (size_t i = 0; i < node->count; i++) {
        const YamlNode *start = yaml_get(node->items[i], S("start_time"));
        const YamlNode *end = yaml_get(node->items[i], S("end_time"));
        AmRange *range = &ranges->items[i];
        if (!start || !end || node->items[i]->count != 2)
            return config_error(reader, node->items[i], err,
                                "both start and end times must be provided");
        if (!parse_clock(start->scalar, &range->from))
            return config_error(reader, start, err,
                                "couldn't parse timestamp " STR_FMT ", invalid format",
                                STR_ARG(str_sub(start->scalar, 0, 50)));
        if (!parse_clock(end->scalar, &range->to))
            return config_error(reader, end, err,
                                "couldn't parse timestamp " STR_FMT ", invalid format",
                                STR_ARG(str_sub(end->scalar, 0, 50)));
        if (range->from >= range->to)
            return config_error(reader, start, err,
                                "start time cannot be equal or greater than end time");
    }
    return true;
}

static void release_zone(void *object)
{
    zone_free(object);
}

static bool finish_spec(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    AmIntervalSpec *spec = object;
    Error why = {0};
    if (spec->location.len == 0 || str_is(spec->location, "UTC"))
        return true;
    if (!zone_new(spec->location, &spec->zone, &why))
        return config_error(reader, node, err, "%s", why.text);
    config_on_release(reader, release_zone, spec->zone);
    return true;
}

// Printing ---------------------------------------------------------------------------------------

static void print_flow(Buf *buf, int indent, const char *key, const AmRanges *ranges, bool by_name)
{
    if (!ranges->is_set || ranges->count == 0)
        return;
    buf_printf(buf, "%*s%s: [", indent, "", key);
    for (size_t i = 0; i < ranges->count; i++) {
        char text[64];
        AmRange r = ranges->items[i];
        bool is_pair = r.from != r.to;
        int len = by_name && is_pair ? snprintf(text, sizeof text, "%s:%s", weekday_names[r.from],
                                                weekday_names[r.to])
                  : by_name          ? snprintf(text, sizeof text, "%s", weekday_names[r.from])
                  : is_pair          ? snprintf(text, sizeof text, "%d:%d", r.from, r.to)
                                     : snprintf(text, sizeof text, "%d", r.from);
        buf_add_c(buf, i ? ", " : "");
        yaml_write_flow_scalar(buf, str_make(text, (size_t)len));
    }
    buf_add_c(buf, "]\n");
}

static void print_weekdays(Buf *buf, int indent, const char *key, const void *member)
{
    print_flow(buf, indent, key, member, true);
}

static void print_numbers(Buf *buf, int indent, const char *key, const void *member)
{
    print_flow(buf, indent, key, member, false);
}

static void print_times(Buf *buf, int indent, const char *key, const void *member)
{
    const AmRanges *ranges = member;
    if (ranges->count == 0)
        return;
    buf_printf(buf, "%*s%s:\n", indent, "", key);
    for (size_t i = 0; i < ranges->count; i++) {
        AmRange r = ranges->items[i];
        buf_printf(buf, "%*s- start_time: \"%02d:%02d\"\n", indent, "", r.from / 60, r.from % 60);
        buf_printf(buf, "%*s  end_time: \"%02d:%02d\"\n", indent, "", r.to / 60, r.to % 60);
    }
}

#define RANGES(name, decoder, printer, about)                                                      \
    {                                                                                              \
        .key = #name, .kind = CONFIG_CUSTOM, .offset = offsetof(AmIntervalSpec, name),             \
        .help = about, .decode = decoder, .print = printer                                         \
    }

static const ConfigField spec_fields[] = {
    RANGES(times, decode_times, print_times, "parts of the day, start_time and end_time"),
    RANGES(weekdays, decode_weekdays, print_weekdays, "days by name, or first:last"),
    RANGES(days_of_month, decode_days, print_numbers, "1 to 31, or -31 to -1 from the end"),
    RANGES(months, decode_months, print_numbers, "by name or number"),
    RANGES(years, decode_years, print_numbers, "numbers, or first:last"),
    {.key = "location",
     .kind = CONFIG_STR,
     .offset = offsetof(AmIntervalSpec, location),
     .help = "time zone; UTC if not given"},
};
static const ConfigTable spec_table =
    CONFIG_TABLE(AmIntervalSpec, "time_interval_spec", spec_fields, finish_spec);

static const ConfigField interval_fields[] = {
    {.key = "name",
     .kind = CONFIG_STR,
     .offset = offsetof(AmInterval, name),
     .always_print = true,
     .help = "what routes call it"},
    {.key = "time_intervals",
     .kind = CONFIG_STRUCT_LIST,
     .offset = offsetof(AmInterval, specs),
     .table = &spec_table,
     .help = "it is now if one of these is"},
};

static bool finish_interval(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    const AmInterval *interval = object;
    if (interval->name.len == 0)
        return config_error(reader, node, err, "missing name in time interval");
    return true;
}

const ConfigTable am_interval_table =
    CONFIG_TABLE(AmInterval, "time_interval", interval_fields, finish_interval);

// Use --------------------------------------------------------------------------------------------

static bool holds(const AmRanges *ranges, int value)
{
    if (!ranges->is_set)
        return true;
    for (size_t i = 0; i < ranges->count; i++)
        if (value >= ranges->items[i].from && value <= ranges->items[i].to)
            return true;
    return false;
}

static bool holds_minute(const AmRanges *ranges, int minute)
{
    if (!ranges->is_set)
        return true;
    for (size_t i = 0; i < ranges->count; i++)
        if (minute >= ranges->items[i].from && minute < ranges->items[i].to)
            return true;
    return false;
}

static int days_in(const CivilTime *at)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (at->year % 4 == 0 && at->year % 100 != 0) || at->year % 400 == 0;
    return at->month == 2 && leap ? 29 : days[at->month - 1];
}

static bool holds_day(const AmRanges *ranges, const CivilTime *at)
{
    if (!ranges->is_set)
        return true;
    int days = days_in(at);
    for (size_t i = 0; i < ranges->count; i++) {
        int from = ranges->items[i].from;
        int to = ranges->items[i].to;
        from = from < 0 ? days + from + 1 : from;
        to = to < 0 ? days + to + 1 : to;
        if (from > days)
            continue;
        from = MAX(from, 1);
        to = MIN(MAX(to, 1), days);
        if (at->day >= from && at->day <= to)
            return true;
    }
    return false;
}

bool am_interval_contains(const AmInterval *interval, int64_t unix_s)
{
    const AmIntervalSpec *specs = interval->specs.items;
    for (size_t i = 0; i < interval->specs.count; i++) {
        const AmIntervalSpec *spec = &specs[i];
        CivilTime at = civil_from_s(unix_s + zone_at(spec->zone, unix_s).offset_s);
        if (holds_minute(&spec->times, at.hour * 60 + at.minute) &&
            holds_day(&spec->days_of_month, &at) && holds(&spec->months, at.month) &&
            holds(&spec->weekdays, at.weekday) && holds(&spec->years, (int)at.year))
            return true;
    }
    return false;
}
