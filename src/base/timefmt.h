// SPDX-License-Identifier: Apache-2.0
// timefmt.h: dates and durations as Prometheus reads and writes them.
#pragma once

#include "base/buf.h"
#include "base/error.h"

// Prometheus duration: ((y)(w)(d)(h)(m)(s)(ms)|0), each unit at most once and in this order, e.g. 1h30m; a year has 365 days.
bool duration_parse(Str text, int64_t *ret_ms, Error *err) MUST_CHECK;
// Go's time.ParseDuration: [-+] and any number of parts like 1.5h, in any order; h m s ms us ns. Rounded towards zero to milliseconds.
bool go_duration_parse(Str text, int64_t *ret_ms, Error *err) MUST_CHECK;
// The printed form of model.Duration: y, w and d only when the value is an exact multiple; 0s for zero; negative with "-".
void buf_add_duration(Buf *buf, int64_t ms);

// RFC 3339 with optional fraction; fraction rounded to ms.
bool rfc3339_parse(Str text, int64_t *ret_ms, Error *err) MUST_CHECK;
// UTC, fraction digits trimmed of trailing zeros: 2026-08-21T10:00:00.12Z. `ns` is 0..999999 inside the millisecond.
void buf_add_rfc3339(Buf *buf, int64_t t_ms, int32_t ns);

// Civil date of days since the epoch (proleptic Gregorian) and back.
typedef struct CivilTime {
    int64_t year;
    int month, day, hour, minute, second; // month 1..12, day 1..31
    int weekday;                          // 0 Sunday
    int yearday;                          // 1..366
} CivilTime;
CivilTime civil_from_s(int64_t unix_s);
int64_t civil_to_s(int64_t year, int month, int day, int hour, int minute, int second);
