// SPDX-License-Identifier: Apache-2.0
// am_time.h: moments as alerts carry them: nanoseconds since the epoch, because that is what clients send and want to see again. The
// range is 1678 to 2262; later moments become the last, AM_TIME_ZERO stands for Go's zero time (year 1): "not set".
#pragma once

#include "base/clock.h"
#include "base/timefmt.h"
#include "codec/json_writer.h"

#define AM_TIME_ZERO INT64_MIN
#define AM_MS_NS INT64_C(1000000)
#define AM_S_NS INT64_C(1000000000)

// Finer than the house's clock where that is the machine's: an alert that a client ends "now" must be over when it arrives.
int64_t am_now_ns(Clock *clock);

static inline bool am_time_is_zero(int64_t t_ns)
{
    return t_ns == AM_TIME_ZERO;
}

// Adds without overflow.
static inline int64_t am_time_add(int64_t t_ns, int64_t more_ns)
{
    int64_t sum;
    return __builtin_add_overflow(t_ns, more_ns, &sum) ? INT64_MAX : sum;
}

// Whole seconds and the rest, as Go's Unix() and Nanosecond(); of the zero time, too.
void am_time_split(int64_t t_ns, int64_t *ret_s, int32_t *ret_ns);
// From both, within the range.
int64_t am_time_join(int64_t s, int64_t ns);

// RFC 3339 as clients of the API write it.
bool am_time_parse(Str text, int64_t *ret_ns, Error *err) MUST_CHECK;
// RFC 3339 in UTC with as many digits as needed: Go's RFC3339Nano, as in notifications.
void am_time_print(Buf *buf, int64_t t_ns);
// The same as a JSON string.
void am_time_json(JsonWriter *json, int64_t t_ns);
// The API's form: always three digits.
void am_time_api_json(JsonWriter *json, int64_t t_ns);
