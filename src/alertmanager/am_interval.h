// SPDX-License-Identifier: Apache-2.0
// am_interval.h: named time intervals, during which routes are muted or active: alertmanager.md section 5.
#pragma once

#include "base/zone.h"
#include "config/config.h"

// First and last of something, both included; of times in minutes of the day the end is excluded.
typedef struct AmRange {
    int from, to;
} AmRange;

typedef struct AmRanges {
    AmRange *items;
    size_t count;
    bool is_set; // an empty list that is written matches nothing
} AmRanges;

// Holds a moment if each field that is set does.
typedef struct AmIntervalSpec {
    AmRanges times, weekdays, days_of_month, months, years;
    Str location;
    Zone *zone; // NULL: UTC
} AmIntervalSpec;

typedef struct AmInterval {
    Str name;
    ConfigList specs; // AmIntervalSpec; any of them may hold the moment
} AmInterval;

extern const ConfigTable am_interval_table;

bool am_interval_contains(const AmInterval *interval, int64_t unix_s);
