// SPDX-License-Identifier: Apache-2.0
// remote_series_cache.h: from the hash of a series' label bytes to its SeriesRef, so that a series that
// comes with every request is not decoded, sorted and looked up by its labels each time.
//
// A sender tells its series in the same order again and again: each remembered series knows which one came behind it, and mostly that
// is the next one asked for. It is found without a lock, and lies in memory behind the one before. Others are found by their hash.
//
// The hash has 128 bits and a secret: two series with the same one do not happen by chance, nor can
// a stranger make them. Thread: any, each with a course of its own.
#pragma once

#include "metric/sample.h"

typedef struct RemoteSeriesKey {
    uint64_t low, high;
} RemoteSeriesKey;

typedef struct RemoteSeriesCache RemoteSeriesCache;
typedef struct RemoteSeriesMemory RemoteSeriesMemory;
typedef struct RemoteSeriesEntry RemoteSeriesEntry;

// One request's way through the cache.
typedef struct RemoteSeriesCourse {
    RemoteSeriesCache *cache;
    RemoteSeriesMemory *memory; // stays until the course ends, whatever the cache forgets
    RemoteSeriesEntry *newest;  // found last; NULL: none yet
} RemoteSeriesCourse;

RemoteSeriesCache *remote_series_cache_new(size_t series_max);
// Accepts NULL. All courses have ended.
void remote_series_cache_free(RemoteSeriesCache *cache);

RemoteSeriesKey remote_series_key(const RemoteSeriesCache *cache, Str bytes);

void remote_series_course_begin(RemoteSeriesCourse *course, RemoteSeriesCache *cache);
void remote_series_course_end(RemoteSeriesCourse *course);
// 0 if it is not there.
SeriesRef remote_series_course_get(RemoteSeriesCourse *course, RemoteSeriesKey key);
// Replaces; a full cache forgets what it has.
void remote_series_course_put(RemoteSeriesCourse *course, RemoteSeriesKey key, SeriesRef ref);
