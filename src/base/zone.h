// SPDX-License-Identifier: Apache-2.0
// zone.h: time zones by name, from the machine's database (TZif files, RFC 9636).
//
// A Zone never changes once it is loaded: any thread may ask it.
#pragma once

#include "base/error.h"
#include "base/str.h"

typedef struct Zone Zone;

// What clocks show at a moment.
typedef struct ZoneAt {
    const char *name; // "CET"; lives as long as the zone
    int32_t offset_s; // east of Greenwich
    bool is_summer;
} ZoneAt;

// "Europe/Berlin", "UTC", "Local" (the machine's). $ZONEINFO, if set, is looked at before /usr/share/zoneinfo.
//
// Fails ERR_NOT_FOUND "unknown time zone X"; ERR_CORRUPT if the file is none.
bool zone_new(Str name, Zone **ret_zone, Error *err) MUST_CHECK;
void zone_free(Zone *zone);
Str zone_name(const Zone *zone);

// NULL is UTC.
ZoneAt zone_at(const Zone *zone, int64_t unix_s);
// The moment at which clocks show `local_s` (seconds of a civil time as if it were UTC). Where they never do, as Go's
// time.Date: the moment that one of the offsets around the change gives.
int64_t zone_to_unix(const Zone *zone, int64_t local_s);
