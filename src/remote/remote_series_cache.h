// SPDX-License-Identifier: Apache-2.0
// remote_series_cache.h: from the hash of a series' label bytes to its SeriesRef, so that a series that
// comes with every request is not decoded, sorted and looked up by its labels each time.
//
// The hash has 128 bits and a secret: two series with the same one do not happen by chance, nor can
// a stranger make them. Striped locks. Thread: any.
#pragma once

#include "metric/sample.h"

typedef struct RemoteSeriesKey {
    uint64_t low, high;
} RemoteSeriesKey;

typedef struct RemoteSeriesCache RemoteSeriesCache;

RemoteSeriesCache *remote_series_cache_new(size_t series_max);
void remote_series_cache_free(RemoteSeriesCache *cache); // accepts NULL

RemoteSeriesKey remote_series_key(const RemoteSeriesCache *cache, Str bytes);
// The key will be asked for soon: what the answer stands in is fetched from memory meanwhile.
void remote_series_cache_foretell(const RemoteSeriesCache *cache, RemoteSeriesKey key);
// 0 if it is not there.
SeriesRef remote_series_cache_get(RemoteSeriesCache *cache, RemoteSeriesKey key);
// Replaces; a full stripe forgets what it has.
void remote_series_cache_put(RemoteSeriesCache *cache, RemoteSeriesKey key, SeriesRef ref);
