// SPDX-License-Identifier: Apache-2.0
#include "tsdb/agent_store.h"

#include <utime.h>

#include "base/thread.h"
#include "tsdb/head_test_util.h"
#include "tsdb/wal.h"

typedef struct Rig {
    char dir[256];
    AgentOptions options;
    AgentStore *store;
    uint32_t needed;
} Rig;

static uint32_t needed_segment(void *arg)
{
    return ((Rig *)arg)->needed;
}

static void rig_open(Rig *rig)
{
    Error err;
    CHECK_OK(agent_store_open(&rig->options, &rig->store, &err), err);
}

static void rig_init(Rig *rig)
{
    *rig = (Rig){.needed = UINT32_MAX};
    test_dir_make(rig->dir, sizeof rig->dir);
    agent_options_default(&rig->options);
    rig->options.dir = str_from_c(rig->dir);
    rig->options.needed_segment = needed_segment;
    rig->options.arg = rig;
    rig_open(rig);
}

static void rig_deinit(Rig *rig)
{
    agent_store_close(rig->store);
    test_dir_remove(rig->dir);
}

// Returns how many of the samples at t_ms, one for each series 1 to `count`, were taken.
static size_t pour(Rig *rig, int count, int64_t t_ms)
{
    Error err;
    Sink *sink = agent_store_sink(rig->store);
    Appender *appender = sink->begin(sink);
    size_t taken = 0;
    for (int i = 1; i <= count; i++) {
        Label pairs[2];
        char text[24];
        bool created;
        SinkSample sample = {.t_ms = t_ms, .value = i};
        sample.ref = appender->series(appender, test_labels(pairs, text, i), &created, &err);
        CHECK(sample.ref != 0);
        taken += appender->append(appender, &sample, 1);
    }
    CHECK_OK(appender->commit(appender, &err), err);
    return taken;
}

typedef struct Heard {
    size_t series, samples;
    uint64_t ref_max;
} Heard;

static Heard hear(FeedReader *reader)
{
    Heard heard = {0};
    FeedBatch batch;
    Error err;
    for (int quiet = 0; quiet < 2;) {
        if (!reader->next(reader, &batch, &err)) {
            CHECK_EQ(err.code, ERR_NONE);
            quiet++;
            continue;
        }
        quiet = 0;
        heard.series += batch.kind == FEED_SERIES ? batch.count : 0;
        heard.samples += batch.kind == FEED_SAMPLES ? batch.count : 0;
        for (size_t i = 0; i < batch.count; i++)
            heard.ref_max = MAX(heard.ref_max, batch.refs[i]);
    }
    return heard;
}

static FeedReader *feed_open(Rig *rig, const FeedPlace *from)
{
    FeedReader *reader = NULL;
    Error err;
    Feed *feed = agent_store_feed(rig->store);
    CHECK_OK(feed->open(feed, from, &reader, &err), err);
    return reader;
}

// Makes every file of the log look old.
static void age_log(const Rig *rig, int64_t seconds)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    FsList list;
    Error err;
    Str dir = fs_join(&arena, str_from_c(rig->dir), S("wal"));
    CHECK_OK(fs_list(&fs_system, dir, &arena, &list, &err), err);
    time_t then = time(NULL) - (time_t)seconds;
    for (size_t i = 0; i < list.count; i++)
        CHECK_EQ(utime(str_to_c(&arena, fs_join(&arena, dir, list.entries[i].name)),
                       &(struct utimbuf){then, then}),
                 0);
}

static size_t segment_count(const Rig *rig)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    WalSegments segments;
    Error err;
    CHECK_OK(wal_list(&fs_system, fs_join(&arena, str_from_c(rig->dir), S("wal")), &arena,
                      &segments, &err),
             err);
    return segments.count;
}

TEST(agent_store, what_is_poured_can_be_heard)
{
    Rig rig;
    rig_init(&rig);
    FeedReader *reader = feed_open(&rig, NULL);
    CHECK_EQ(pour(&rig, 10, 1000), 10);
    CHECK_EQ(pour(&rig, 10, 2000), 10);
    Heard heard = hear(reader);
    CHECK_EQ(heard.series, 10);
    CHECK_EQ(heard.samples, 20);
    reader->close(reader);
    rig_deinit(&rig);
}

TEST(agent_store, only_newer_samples_are_taken)
{
    Rig rig;
    rig_init(&rig);
    CHECK_EQ(pour(&rig, 2, 2000), 2);
    CHECK_EQ(pour(&rig, 2, 2000), 0);
    CHECK_EQ(pour(&rig, 2, 1000), 0);
    CHECK_EQ(pour(&rig, 3, 3000), 3);
    rig_deinit(&rig);
}

TEST(agent_store, series_are_logged_by_whoever_commits_first)
{
    Rig rig;
    Error err;
    Label pairs[2];
    char text[24];
    bool created;
    rig_init(&rig);
    FeedReader *reader = feed_open(&rig, NULL);
    Sink *sink = agent_store_sink(rig.store);
    Appender *slow = sink->begin(sink);
    CHECK(slow->series(slow, test_labels(pairs, text, 1), &created, &err) != 0);
    CHECK(created);
    CHECK_EQ(pour(&rig, 1, 1000), 1);
    FeedBatch batch;
    CHECK(reader->next(reader, &batch, &err));
    CHECK_EQ(batch.kind, FEED_SERIES);
    CHECK(reader->next(reader, &batch, &err));
    CHECK_EQ(batch.kind, FEED_SAMPLES);
    slow->rollback(slow);
    CHECK_EQ(pour(&rig, 1, 2000), 1);
    reader->close(reader);
    rig_deinit(&rig);
}

TEST(agent_store, a_restart_knows_series_and_their_newest_times)
{
    Rig rig;
    rig_init(&rig);
    CHECK_EQ(pour(&rig, 5, 2000), 5);
    agent_store_close(rig.store);
    rig_open(&rig);
    FeedReader *reader = feed_open(&rig, NULL);
    CHECK_EQ(hear(reader).series, 5);
    CHECK_EQ(pour(&rig, 6, 2000), 1);
    CHECK_EQ(pour(&rig, 6, 3000), 6);
    Heard heard = hear(reader);
    CHECK_EQ(heard.series, 1);
    CHECK_EQ(heard.ref_max, 6);
    CHECK_EQ(heard.samples, 7);
    reader->close(reader);
    rig_deinit(&rig);
}

TEST(agent_store, truncation_waits_for_remote_write_but_not_for_ever)
{
    static const struct {
        const char *name;
        int64_t age_s;
        uint32_t needed;
        size_t want_segments;
    } cases[] = {
        {"too young", 60, UINT32_MAX, 3},
        {"done with", 600, UINT32_MAX, 1},
        {"the second is still read", 600, 1, 2},
        {"still read, but older than most", 20000, 0, 1},
    };

    EACH_CASE(c, cases) {
        Rig rig;
        Error err;
        int64_t now_ms = clock_now_ms(&clock_system);
        rig_init(&rig);
        CHECK_EQ(pour(&rig, 3, now_ms - 3600 * 1000), 3);
        CHECK_OK(agent_store_truncate(rig.store, &err), err); // begins another segment
        CHECK_EQ(pour(&rig, 2, now_ms), 2);
        age_log(&rig, c->age_s);
        rig.needed = c->needed;
        CHECK_OK(agent_store_truncate(rig.store, &err), err);
        CHECK_EQ(segment_count(&rig), c->want_segments);

        // Series that live are told of after a restart, from the checkpoint or from the log.
        agent_store_close(rig.store);
        rig_open(&rig);
        FeedReader *reader = feed_open(&rig, NULL);
        CHECK_EQ(hear(reader).series, c->age_s == 60 ? 3 : c->needed == 1 ? 2 : 2);
        CHECK_EQ(pour(&rig, 3, now_ms + 1000), 3);
        reader->close(reader);
        rig_deinit(&rig);
    }
}

typedef struct Pourer {
    Rig *rig;
    int first;      // of its series
    int64_t now_ms; // of its first samples
    size_t taken;
} Pourer;

enum { POURERS = 3, POURED_SERIES = 70, POURED_ROUNDS = 20 };

// Its series are looked up ahead in batches while others make theirs, so that the tables grow.
static void pour_batches(void *arg)
{
    Pourer *pourer = arg;
    Sink *sink = agent_store_sink(pourer->rig->store);
    for (int round = 0; round < POURED_ROUNDS; round++) {
        SinkSample samples[POURED_SERIES];
        Error err;
        Appender *appender = sink->begin(sink);
        for (int i = 0; i < POURED_SERIES; i++) {
            // A few new ones with each round.
            int number = pourer->first + i + round * 5;
            Label pairs[2];
            char text[24];
            bool created;
            samples[i] = (SinkSample){.t_ms = pourer->now_ms + round, .value = number};
            samples[i].ref =
                appender->series(appender, test_labels(pairs, text, number), &created, &err);
        }
        pourer->taken += appender->append(appender, samples, POURED_SERIES);
        CHECK_OK(appender->commit(appender, &err), err);
    }
}

TEST(agent_store, many_pour_while_the_log_is_truncated)
{
    Rig rig;
    Pourer pourers[POURERS];
    Thread threads[POURERS];
    Error err = {0};
    rig_init(&rig);
    FeedReader *reader = feed_open(&rig, NULL);

    for (int i = 0; i < POURERS; i++) {
        pourers[i] = (Pourer){&rig, 1 + i * 1000, clock_now_ms(&clock_system), 0};
        CHECK_OK(thread_start(&threads[i], "pour", pour_batches, &pourers[i], &err), err);
    }
    for (int i = 0; i < 5; i++)
        CHECK_OK(agent_store_truncate(rig.store, &err), err);
    for (int i = 0; i < POURERS; i++) {
        thread_join(&threads[i]);
        CHECK_EQ(pourers[i].taken, POURED_SERIES * POURED_ROUNDS);
    }

    CHECK_EQ(hear(reader).samples, POURERS * POURED_SERIES * POURED_ROUNDS);
    reader->close(reader);
    rig_deinit(&rig);
}

TEST_MAIN(agent_store, TEST_ROW(agent_store, many_pour_while_the_log_is_truncated),
          TEST_ROW(agent_store, what_is_poured_can_be_heard),
          TEST_ROW(agent_store, only_newer_samples_are_taken),
          TEST_ROW(agent_store, series_are_logged_by_whoever_commits_first),
          TEST_ROW(agent_store, a_restart_knows_series_and_their_newest_times),
          TEST_ROW(agent_store, truncation_waits_for_remote_write_but_not_for_ever))
