// SPDX-License-Identifier: Apache-2.0
#include "alertmanager/am_time.h"

#include <stdio.h>
#include <time.h>

#include "base/str.h"

#define ZERO_S INT64_C(-62135596800)

int64_t am_now_ns(Clock *clock)
{
    struct timespec now;
    if (clock != &clock_system)
        return clock_now_ms(clock) * AM_MS_NS;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * AM_S_NS + now.tv_nsec;
}

void am_time_split(int64_t t_ns, int64_t *ret_s, int32_t *ret_ns)
{
    if (am_time_is_zero(t_ns)) {
        *ret_s = ZERO_S;
        *ret_ns = 0;
        return;
    }
    int64_t rest = t_ns % AM_S_NS;
    *ret_s = t_ns / AM_S_NS - (rest < 0);
    *ret_ns = (int32_t)(rest < 0 ? rest + AM_S_NS : rest);
}

int64_t am_time_join(int64_t s, int64_t ns)
{
    int64_t whole;
    if (s == ZERO_S && ns == 0)
        return AM_TIME_ZERO;
    if (__builtin_mul_overflow(s, AM_S_NS, &whole))
        return s > 0 ? INT64_MAX : INT64_MIN + 1;
    return am_time_add(whole, ns);
}

// The digits behind the point.
static int64_t fraction_ns(Str text)
{
    size_t point = str_find_char(text, '.');
    int64_t ns = 0;
    int digits = 0;
    if (point == STR_NOT_FOUND)
        return 0;
    for (size_t i = point + 1; i < text.len && text.ptr[i] >= '0' && text.ptr[i] <= '9'; i++)
        if (digits < 9) {
            ns = ns * 10 + (text.ptr[i] - '0');
            digits++;
        }
    while (digits++ < 9)
        ns *= 10;
    return ns;
}

bool am_time_parse(Str text, int64_t *ret_ns, Error *err)
{
    char whole[64];
    size_t point = str_find_char(text, '.');
    int64_t ms;
    Str plain = text;
    if (text.len >= sizeof whole)
        return error_set(err, ERR_INVALID, "\"" STR_FMT "\" is no time",
                         STR_ARG(str_sub(text, 0, 64)));
    // The parser of the house rounds to milliseconds: it reads the time without its fraction.
    if (point != STR_NOT_FOUND) {
        size_t end = point + 1;
        while (end < text.len && text.ptr[end] >= '0' && text.ptr[end] <= '9')
            end++;
        if (end == point + 1)
            return error_set(err, ERR_INVALID, "\"" STR_FMT "\" is no time", STR_ARG(text));
        memcpy(whole, text.ptr, point);
        memcpy(whole + point, text.ptr + end, text.len - end);
        plain = str_make(whole, point + text.len - end);
    }
    if (!rfc3339_parse(plain, &ms, err))
        return false;
    *ret_ns = am_time_join(ms / 1000 - (ms % 1000 < 0), fraction_ns(text));
    return true;
}

void am_time_print(Buf *buf, int64_t t_ns)
{
    int64_t s;
    int32_t ns;
    am_time_split(t_ns, &s, &ns);
    buf_add_rfc3339(buf, s * 1000 + ns / 1000000, ns % 1000000);
}

void am_time_json(JsonWriter *json, int64_t t_ns)
{
    CLEANUP(buf_deinit) Buf text = {0};
    am_time_print(&text, t_ns);
    json_str(json, buf_str(&text));
}

void am_time_api_json(JsonWriter *json, int64_t t_ns)
{
    char text[64];
    int64_t s;
    int32_t ns;
    am_time_split(t_ns, &s, &ns);
    CivilTime at = civil_from_s(s);
    int len =
        snprintf(text, sizeof text, "%04lld-%02d-%02dT%02d:%02d:%02d.%03dZ", (long long)at.year,
                 at.month, at.day, at.hour, at.minute, at.second, ns / 1000000);
    json_str(json, str_make(text, (size_t)len));
}
