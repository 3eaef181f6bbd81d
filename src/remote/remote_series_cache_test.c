// SPDX-License-Identifier: Apache-2.0
// Under TSan this also shows that foretelling, which takes no lock, races with nobody.
#include "remote/remote_series_cache.h"

#include "base/test.h"
#include "base/thread.h"

static RemoteSeriesKey key_of(const RemoteSeriesCache *cache, uint64_t number)
{
    return remote_series_key(cache, str_make((const char *)&number, sizeof number));
}

TEST(remote_series_cache, finds_what_was_put_until_it_is_full)
{
    RemoteSeriesCache *cache = remote_series_cache_new(32 * 100);

    for (uint64_t i = 1; i <= 1000; i++) {
        CHECK_EQ(remote_series_cache_get(cache, key_of(cache, i)), 0);
        remote_series_cache_put(cache, key_of(cache, i), i);
    }
    for (uint64_t i = 1; i <= 1000; i++)
        CHECK_EQ(remote_series_cache_get(cache, key_of(cache, i)), i);
    remote_series_cache_put(cache, key_of(cache, 7), 70);
    CHECK_EQ(remote_series_cache_get(cache, key_of(cache, 7)), 70);

    for (uint64_t i = 1001; i <= 100000; i++)
        remote_series_cache_put(cache, key_of(cache, i), i);
    size_t known = 0;
    for (uint64_t i = 1; i <= 100000; i++)
        known += remote_series_cache_get(cache, key_of(cache, i)) != 0;
    CHECK(known <= 32 * 100);
    CHECK_EQ(remote_series_cache_get(cache, key_of(cache, 100000)), 100000);
    remote_series_cache_free(cache);
}

enum { THREADS = 4, KEYS = 20000, AHEAD = 8 };

typedef struct Asker {
    RemoteSeriesCache *cache;
    uint64_t first;
    size_t wrong, found;
} Asker;

// As a request does: what comes is foretold, what is asked for is found or put there.
static void ask(void *arg)
{
    Asker *asker = arg;
    for (uint64_t i = 0; i < KEYS; i++) {
        uint64_t number = (asker->first + i) % KEYS + 1;
        remote_series_cache_foretell(asker->cache, key_of(asker->cache, number % KEYS + AHEAD));
        RemoteSeriesKey key = key_of(asker->cache, number);
        SeriesRef ref = remote_series_cache_get(asker->cache, key);
        asker->wrong += ref != 0 && ref != number;
        asker->found += ref != 0;
        if (ref == 0)
            remote_series_cache_put(asker->cache, key, number);
    }
}

TEST(remote_series_cache, many_ask_while_it_grows_and_forgets)
{
    static const size_t series_max[] = {KEYS * 2, KEYS / 4};

    for (size_t m = 0; m < COUNT_OF(series_max); m++) {
        RemoteSeriesCache *cache = remote_series_cache_new(series_max[m]);
        Asker askers[THREADS];
        Thread threads[THREADS];
        Error err = {0};
        for (size_t i = 0; i < THREADS; i++) {
            askers[i] = (Asker){.cache = cache, .first = i * KEYS / THREADS};
            CHECK_OK(thread_start(&threads[i], "ask", ask, &askers[i], &err), err);
        }
        size_t found = 0;
        for (size_t i = 0; i < THREADS; i++) {
            thread_join(&threads[i]);
            CHECK_EQ(askers[i].wrong, 0);
            found += askers[i].found;
        }
        // Each key is put by the first that asks for it, and found by the others.
        CHECK(m > 0 || found >= (THREADS - 1) * KEYS / 2);
        remote_series_cache_free(cache);
    }
}

TEST_MAIN(remote_series_cache, TEST_ROW(remote_series_cache, finds_what_was_put_until_it_is_full),
          TEST_ROW(remote_series_cache, many_ask_while_it_grows_and_forgets))
