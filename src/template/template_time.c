// SPDX-License-Identifier: Apache-2.0
#include "template/template_time.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/timefmt.h"
#include "template/template_builtin.h"
#include "template/template_functions.h"

#define NS_PER_S 1000000000LL

int64_t template_now_ms(const TemplateCall *call)
{
    return call->host && call->host->now_ms ? call->host->now_ms : clock_now_ms(&clock_system);
}

TemplateValue template_now(const TemplateCall *call)
{
    return template_time_ms(call->arena, template_now_ms(call));
}

TemplateZoneAt template_zone_at(const TemplateTime *time)
{
    if (time->fixed_s)
        return (TemplateZoneAt){.name = "", .offset_s = time->fixed_s};
    ZoneAt at = zone_at(time->zone, time->unix_s);
    return (TemplateZoneAt){.name = at.name, .offset_s = at.offset_s};
}

int64_t template_local_to_unix(const TemplateTime *like, int64_t local_s)
{
    return like->fixed_s ? local_s - like->fixed_s : zone_to_unix(like->zone, local_s);
}

// ---- durations

// The digits of v / 10^digits behind a point, without trailing zeros.
static void add_decimal(Buf *out, uint64_t v, int digits)
{
    char text[32];
    uint64_t unit = 1;

    for (int i = 0; i < digits; i++)
        unit *= 10;
    buf_printf(out, "%llu", (unsigned long long)(v / unit));
    if (v % unit == 0)
        return;
    snprintf(text, sizeof text, "%0*llu", digits, (unsigned long long)(v % unit));
    size_t len = (size_t)digits;
    while (text[len - 1] == '0')
        len--;
    buf_add_char(out, '.');
    buf_add(out, text, len);
}

void template_add_duration(Buf *out, int64_t ns)
{
    uint64_t u = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;

    if (ns == 0) {
        buf_add_c(out, "0s");
        return;
    }
    if (ns < 0)
        buf_add_char(out, '-');
    if (u < NS_PER_S) {
        int digits = u < 1000 ? 0 : u < 1000000 ? 3 : 6;
        add_decimal(out, u, digits);
        buf_add_c(out, digits == 0 ? "ns" : digits == 3 ? "\xc2\xb5s" : "ms");
        return;
    }
    uint64_t minutes = u / (60 * NS_PER_S);
    if (minutes >= 60)
        buf_printf(out, "%lluh", (unsigned long long)(minutes / 60));
    if (minutes)
        buf_printf(out, "%llum", (unsigned long long)(minutes % 60));
    add_decimal(out, u % (60 * NS_PER_S), 9);
    buf_add_char(out, 's');
}

static void print_duration(Buf *out, const TemplateValue *value)
{
    template_add_duration(out, value->integer);
}

static double split_units(int64_t ns, int64_t unit)
{
    return (double)(ns / unit) + (double)(ns % unit) / (double)unit;
}

#define DURATION_METHOD(name, expression)                                                          \
    static bool duration_##name(const TemplateCall *call, TemplateValue *ret_value, Error *err)    \
    {                                                                                              \
        int64_t ns = call->self.integer;                                                           \
        (void)err;                                                                                 \
        *ret_value = (expression);                                                                 \
        return true;                                                                               \
    }

static TemplateValue int64(int64_t v)
{
    return (TemplateValue){.type = &template_type_int64, .integer = v};
}

DURATION_METHOD(hours, template_float(split_units(ns, 3600 * NS_PER_S)))
DURATION_METHOD(minutes, template_float(split_units(ns, 60 * NS_PER_S)))
DURATION_METHOD(seconds, template_float(split_units(ns, NS_PER_S)))
DURATION_METHOD(milliseconds, int64(ns / 1000000))
DURATION_METHOD(microseconds, int64(ns / 1000))
DURATION_METHOD(nanoseconds, int64(ns))
DURATION_METHOD(abs, template_duration(ns >= 0 ? ns : ns == INT64_MIN ? INT64_MAX : -ns))

static bool duration_string(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    Buf text = {0};
    template_add_duration(&text, call->self.integer);
    return template_return_text(call, &text, ret_value, err);
}

static bool duration_truncate(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    int64_t ns = call->self.integer;
    int64_t unit = call->args[0].integer;

    (void)err;
    *ret_value = template_duration(unit <= 0 ? ns : ns - ns % unit);
    return true;
}

// To the nearest multiple, halves away from zero.
static bool duration_round(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    __int128 ns = call->self.integer;
    __int128 unit = call->args[0].integer;

    (void)err;
    if (unit > 0) {
        __int128 rest = ns % unit;
        __int128 size = rest < 0 ? -rest : rest;
        ns = size + size < unit ? ns - rest : rest < 0 ? ns - rest - unit : ns - rest + unit;
    }
    ns = MIN(MAX(ns, (__int128)INT64_MIN), (__int128)INT64_MAX);
    *ret_value = template_duration((int64_t)ns);
    return true;
}

#define DURATION &template_type_duration

static const TemplateFunction duration_methods[] = {
    {"Abs", duration_abs},
    {"Hours", duration_hours},
    {"Microseconds", duration_microseconds},
    {"Milliseconds", duration_milliseconds},
    {"Minutes", duration_minutes},
    {"Nanoseconds", duration_nanoseconds},
    {"Round", duration_round, TEMPLATE_PARAMS(DURATION)},
    {"Seconds", duration_seconds},
    {"String", duration_string},
    {"Truncate", duration_truncate, TEMPLATE_PARAMS(DURATION)},
};

const TemplateType template_type_duration = {.name = "time.Duration",
                                             .kind = TEMPLATE_INT,
                                             .methods = duration_methods,
                                             .method_count = COUNT_OF(duration_methods),
                                             .print = print_duration};

// ---- times

TemplateValue template_time(Arena *arena, int64_t unix_s, int32_t ns)
{
    TemplateTime *time = ARENA_NEW(arena, TemplateTime);

    time->unix_s = unix_s;
    time->ns = ns;
    return template_record(&template_type_time, time);
}

TemplateValue template_time_ms(Arena *arena, int64_t t_ms)
{
    int64_t s = t_ms / 1000 - (t_ms % 1000 < 0);
    return template_time(arena, s, (int32_t)(t_ms - s * 1000) * 1000000);
}

static TemplateValue time_like(const TemplateCall *call, int64_t unix_s, int32_t ns)
{
    TemplateTime *time = ARENA_NEW(call->arena, TemplateTime);

    *time = *template_time_of(&call->self);
    time->unix_s = unix_s;
    time->ns = ns;
    return template_record(&template_type_time, time);
}

static int compare(const TemplateTime *a, const TemplateTime *b)
{
    if (a->unix_s != b->unix_s)
        return a->unix_s < b->unix_s ? -1 : 1;
    return (a->ns > b->ns) - (a->ns < b->ns);
}

bool template_time_equal(const TemplateValue *a, const TemplateValue *b)
{
    return compare(template_time_of(a), template_time_of(b)) == 0;
}

int64_t template_time_sub(const TemplateTime *a, const TemplateTime *b)
{
    __int128 ns = ((__int128)a->unix_s - b->unix_s) * NS_PER_S + (a->ns - b->ns);

    return (int64_t)MIN(MAX(ns, (__int128)INT64_MIN), (__int128)INT64_MAX);
}

static void print_time(Buf *out, const TemplateValue *value)
{
    template_time_format(out, template_time_of(value),
                         S("2006-01-02 15:04:05.999999999 -0700 MST"));
}

static void json_time(Buf *out, const TemplateValue *value)
{
    template_time_format(out, template_time_of(value),
                         S("\"2006-01-02T15:04:05.999999999Z07:00\""));
}

static CivilTime civil_of(const TemplateTime *time)
{
    return civil_from_s(time->unix_s + template_zone_at(time).offset_s);
}

static void print_month(Buf *out, const TemplateValue *value)
{
    buf_add_c(out, template_month_name((int)value->integer));
}

static void print_weekday(Buf *out, const TemplateValue *value)
{
    buf_add_c(out, template_weekday_name((int)value->integer));
}

static const TemplateType month_type = {
    .name = "time.Month", .kind = TEMPLATE_INT, .print = print_month};
static const TemplateType weekday_type = {
    .name = "time.Weekday", .kind = TEMPLATE_INT, .print = print_weekday};

#define TIME_METHOD(method, expression)                                                            \
    static bool time_##method(const TemplateCall *call, TemplateValue *ret_value, Error *err)      \
    {                                                                                              \
        const TemplateTime *t = template_time_of(&call->self);                                     \
        (void)err;                                                                                 \
        *ret_value = (expression);                                                                 \
        return true;                                                                               \
    }

#define OTHER template_time_of(&call->args[0])

TIME_METHOD(unix, int64(t->unix_s))
TIME_METHOD(unix_milli, int64(t->unix_s * 1000 + t->ns / 1000000))
TIME_METHOD(unix_micro, int64(t->unix_s * 1000000 + t->ns / 1000))
TIME_METHOD(unix_nano, int64((int64_t)((uint64_t)t->unix_s *NS_PER_S + (uint64_t)t->ns)))
TIME_METHOD(year, template_int(civil_of(t).year))
TIME_METHOD(month, ((TemplateValue){.type = &month_type, .integer = civil_of(t).month}))
TIME_METHOD(day, template_int(civil_of(t).day))
TIME_METHOD(hour, template_int(civil_of(t).hour))
TIME_METHOD(minute, template_int(civil_of(t).minute))
TIME_METHOD(second, template_int(civil_of(t).second))
TIME_METHOD(nanosecond, template_int(t->ns))
TIME_METHOD(year_day, template_int(civil_of(t).yearday))
TIME_METHOD(weekday, ((TemplateValue){.type = &weekday_type, .integer = civil_of(t).weekday}))
TIME_METHOD(is_zero, template_bool(t->unix_s == TEMPLATE_TIME_ZERO_S && t->ns == 0))
TIME_METHOD(before, template_bool(compare(t, OTHER) < 0))
TIME_METHOD(after, template_bool(compare(t, OTHER) > 0))
TIME_METHOD(equal, template_bool(compare(t, OTHER) == 0))
TIME_METHOD(sub, template_duration(template_time_sub(t, OTHER)))
TIME_METHOD(utc, template_time(call->arena, t->unix_s, t->ns))

// Wraps around far from any calendar, as Go does.
static bool time_add(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    const TemplateTime *t = template_time_of(&call->self);
    __int128 ns = (__int128)t->unix_s * NS_PER_S + t->ns + call->args[0].integer;
    int64_t s = (int64_t)(ns / NS_PER_S - (ns % NS_PER_S < 0));

    (void)err;
    *ret_value = time_like(call, s, (int32_t)(ns - (__int128)s * NS_PER_S));
    return true;
}

static bool time_add_date(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    const TemplateTime *t = template_time_of(&call->self);
    CivilTime c = civil_of(t);
    int64_t limit = 10000000;

    for (int i = 0; i < 3; i++)
        if (call->args[i].integer > limit || call->args[i].integer < -limit)
            return error_set(err, ERR_INVALID, "date is out of range");
    int64_t months = (c.year + call->args[0].integer) * 12 + c.month - 1 + call->args[1].integer;
    int64_t year = months / 12 - (months % 12 < 0);
    int64_t midnight_s = civil_to_s(year, (int)(months - year * 12) + 1, 1, 0, 0, 0) +
                         (c.day - 1 + call->args[2].integer) * 86400;
    int64_t local_s = midnight_s + c.hour * 3600 + c.minute * 60 + c.second;
    *ret_value = time_like(call, template_local_to_unix(t, local_s), t->ns);
    return true;
}

static bool time_truncate(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    const TemplateTime *t = template_time_of(&call->self);
    int64_t unit = call->args[0].integer;
    // Counted from the zero time, year 1.
    __int128 ns = ((__int128)t->unix_s - TEMPLATE_TIME_ZERO_S) * NS_PER_S + t->ns;

    (void)err;
    if (unit > 0) {
        __int128 rest = ns % unit;
        ns -= rest < 0 ? rest + unit : rest;
    }
    int64_t s = (int64_t)(ns / NS_PER_S - (ns % NS_PER_S < 0));
    *ret_value = time_like(call, s + TEMPLATE_TIME_ZERO_S, (int32_t)(ns - (__int128)s * NS_PER_S));
    return true;
}

static bool time_format(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    Buf text = {.max = TEMPLATE_RESULT_BYTES_MAX};
    template_time_format(&text, template_time_of(&call->self), call->args[0].string);
    return template_return_text(call, &text, ret_value, err);
}

static bool time_string(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    Buf text = {0};
    print_time(&text, &call->self);
    return template_return_text(call, &text, ret_value, err);
}

#define TIME &template_type_time
#define INT &template_type_int

static const TemplateFunction time_methods[] = {
    {"Add", time_add, TEMPLATE_PARAMS(DURATION)},
    {"AddDate", time_add_date, TEMPLATE_PARAMS(INT, INT, INT)},
    {"After", time_after, TEMPLATE_PARAMS(TIME)},
    {"Before", time_before, TEMPLATE_PARAMS(TIME)},
    {"Day", time_day},
    {"Equal", time_equal, TEMPLATE_PARAMS(TIME)},
    {"Format", time_format, TEMPLATE_PARAMS(&template_type_string)},
    {"Hour", time_hour},
    {"IsZero", time_is_zero},
    {"Local", time_utc},
    {"Minute", time_minute},
    {"Month", time_month},
    {"Nanosecond", time_nanosecond},
    {"Second", time_second},
    {"String", time_string},
    {"Sub", time_sub, TEMPLATE_PARAMS(TIME)},
    {"Truncate", time_truncate, TEMPLATE_PARAMS(DURATION)},
    {"UTC", time_utc},
    {"Unix", time_unix},
    {"UnixMicro", time_unix_micro},
    {"UnixMilli", time_unix_milli},
    {"UnixNano", time_unix_nano},
    {"Weekday", time_weekday},
    {"Year", time_year},
    {"YearDay", time_year_day},
};

const TemplateType template_type_time = {.name = "time.Time",
                                         .kind = TEMPLATE_RECORD,
                                         .methods = time_methods,
                                         .method_count = COUNT_OF(time_methods),
                                         .print = print_time,
                                         .json = json_time};
