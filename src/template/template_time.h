// SPDX-License-Identifier: Apache-2.0
// template_time.h: time.Time and time.Duration: how they print, their methods, Go's layouts.
#pragma once

#include "base/zone.h"
#include "template/template.h"

typedef struct TemplateTime {
    int64_t unix_s;
    int32_t ns;
    int32_t fixed_s;  // offset of a zone without a name
    const Zone *zone; // or NULL
} TemplateTime;

#define TEMPLATE_TIME_ZERO_S (-62135596800LL) // time.Time{}: the first second of year 1

typedef struct TemplateZoneAt {
    const char *name; // "UTC", "CET"; empty: none
    int32_t offset_s; // east of Greenwich
} TemplateZoneAt;
// The zone that the time is shown in, as it is at that time.
TemplateZoneAt template_zone_at(const TemplateTime *time);
// The second at which clocks in the time's zone show what they would in UTC at `local_s`.
int64_t template_local_to_unix(const TemplateTime *like, int64_t local_s);

const char *template_month_name(int month);     // 1 to 12
const char *template_weekday_name(int weekday); // 0 is Sunday

// The execution's time: the host's or the clock.
int64_t template_now_ms(const TemplateCall *call);
TemplateValue template_now(const TemplateCall *call);

static inline const TemplateTime *template_time_of(const TemplateValue *value)
{
    return value->record;
}

// Go's Time.Format.
void template_time_format(Buf *out, const TemplateTime *time, Str layout);
// Go's time.ParseInLocation(layout, text, UTC). Fails ERR_INVALID "parsing time ...".
bool template_time_parse(Str text, Str layout, TemplateTime *ret_time, Error *err) MUST_CHECK;
// Go's Duration.String(): 1h2m3.5s.
void template_add_duration(Buf *out, int64_t ns);
// a - b, held within what a Duration can be.
int64_t template_time_sub(const TemplateTime *a, const TemplateTime *b);
