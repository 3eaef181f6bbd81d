// SPDX-License-Identifier: Apache-2.0
// Under TSan this also shows that looking for the next series, which takes no lock, races with nobody.
#include "remote/remote_series_cache.h"

#include "base/test.h"
#include "base/thread.h"

static RemoteSeriesKey key_of(const RemoteSeriesCache *cache, uint64_t number)
{
    return remote_series_key(cache, str_make((const char *)&number, sizeof number));
}

static SeriesRef get(RemoteSeriesCourse *course, uint64_t number)
{
    return remote_series_course_get(course, key_of(course->cache, number));
}

static void put(RemoteSeriesCourse *course, uint64_t number, SeriesRef ref)
{
    remote_series_course_put(course, key_of(course->cache, number), ref);
}

TEST(remote_series_cache, finds_what_was_put_until_it_is_full)
{
    RemoteSeriesCache *cache = remote_series_cache_new(3200);
    RemoteSeriesCourse course;
    remote_series_course_begin(&course, cache);

    for (uint64_t i = 1; i <= 1000; i++) {
        CHECK_EQ(get(&course, i), 0);
        put(&course, i, i);
    }
    for (uint64_t i = 1; i <= 1000; i++)
        CHECK_EQ(get(&course, i), i);
    put(&course, 7, 70);
    CHECK_EQ(get(&course, 7), 70);

    for (uint64_t i = 1001; i <= 100000; i++)
        put(&course, i, i);
    size_t known = 0;
    for (uint64_t i = 1; i <= 100000; i++)
        known += get(&course, i) != 0;
    CHECK(known <= 3200);
    CHECK_EQ(get(&course, 100000), 100000);
    remote_series_course_end(&course);
    remote_series_cache_free(cache);
}

TEST(remote_series_cache, finds_them_in_any_order)
{
    enum { COUNT = 5000 };
    static const uint64_t steps[] = {1, COUNT - 1, 7, 1}; // none divides COUNT
    RemoteSeriesCache *cache = remote_series_cache_new(COUNT);
    RemoteSeriesCourse course;
    remote_series_course_begin(&course, cache);
    for (uint64_t i = 0; i < COUNT; i++)
        put(&course, i, i + 1);

    for (size_t s = 0; s < COUNT_OF(steps); s++)
        for (uint64_t i = 0, at = 0; i < 2 * COUNT; i++, at = (at + steps[s]) % COUNT)
            CHECK_EQ(get(&course, at), at + 1);

    CHECK_EQ(get(&course, COUNT), 0);
    remote_series_course_end(&course);
    remote_series_cache_free(cache);
}

TEST(remote_series_cache, a_course_keeps_what_the_cache_forgets)
{
    RemoteSeriesCache *cache = remote_series_cache_new(10);
    RemoteSeriesCourse old, new;
    remote_series_course_begin(&old, cache);
    for (uint64_t i = 1; i <= 10; i++)
        put(&old, i, i);

    remote_series_course_begin(&new, cache);
    put(&new, 11, 11);

    CHECK_EQ(get(&new, 1), 0);
    CHECK_EQ(get(&new, 11), 11);
    for (uint64_t i = 1; i <= 10; i++)
        CHECK_EQ(get(&old, i), i);
    put(&old, 12, 12); // no room where it is: it goes where the others are
    CHECK_EQ(get(&old, 11), 11);
    remote_series_course_end(&old);
    remote_series_course_end(&new);
    remote_series_cache_free(cache);
}

enum { THREADS = 4, KEYS = 20000, KEYS_OF_REQUEST = 100 };

typedef struct Asker {
    RemoteSeriesCache *cache;
    uint64_t first;
    size_t wrong, found;
} Asker;

// As requests do: what is asked for is found or put there.
static void ask(void *arg)
{
    Asker *asker = arg;
    RemoteSeriesCourse course;
    remote_series_course_begin(&course, asker->cache);
    for (uint64_t i = 0; i < KEYS; i++) {
        uint64_t number = (asker->first + i) % KEYS + 1;
        SeriesRef ref = get(&course, number);
        asker->wrong += ref != 0 && ref != number;
        asker->found += ref != 0;
        if (ref == 0)
            put(&course, number, number);
        if (i % KEYS_OF_REQUEST == 0) {
            remote_series_course_end(&course);
            remote_series_course_begin(&course, asker->cache);
        }
    }
    remote_series_course_end(&course);
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
          TEST_ROW(remote_series_cache, finds_them_in_any_order),
          TEST_ROW(remote_series_cache, a_course_keeps_what_the_cache_forgets),
          TEST_ROW(remote_series_cache, many_ask_while_it_grows_and_forgets))
