// SPDX-License-Identifier: Apache-2.0
#include "tsdb/head_replay_shards.h"

#include "base/test.h"
#include "tsdb/head_test_util.h"

#define SERIES_MAX 700 // several shards, the last one in part
#define ROUND_MAX 40
#define FIRST_MS 1000
#define UNKNOWN 999999
#define DAY_MS INT64_C(86400000)

// What the log says: rounds of samples of all series, in an order and at times that make long runs, short ones or none.
typedef struct Case {
    const char *name;
    int series, rounds;
    int64_t step_ms;
    int64_t apart_ms; // between neighbours of a round
    int left_out;     // of so many series one has no sample in a round; 0: all have
    int together; // so many rounds of a series stand together, as a sender brings them that catches up
    int starts;   // of so many series one has start timestamps; 0: none
    bool falling; // the last series first
    bool one_by_one;
} Case;

static const Case cases[] = {
    {"scrapes", 700, 12, 15000, 0, 0, 1, 0, false, false},
    {"sample by sample", 700, 12, 15000, 0, 0, 1, 0, false, true},
    {"more than a piece has room for", 300, 40, 15000, 0, 0, 1, 0, false, false},
    {"some are missing", 700, 12, 15000, 0, 7, 1, 0, false, false},
    {"every other one is missing", 700, 12, 15000, 0, 2, 1, 0, false, false},
    {"times of their own", 700, 12, 15000, 3, 0, 1, 0, false, false},
    {"several of a series", 300, 12, 15000, 0, 0, 4, 0, false, false},
    {"falling", 700, 12, 15000, 0, 0, 1, 0, true, false},
    {"farther apart than a piece can say", 300, 12, 30 * DAY_MS, 0, 0, 1, 0, false, false},
    {"neighbours farther apart", 300, 4, 30000 * DAY_MS, 30 * DAY_MS, 0, 1, 0, false, false},
    {"some have starts", 700, 12, 15000, 0, 0, 1, 5, false, false},
    {"all have starts", 300, 40, 15000, 0, 0, 1, 1, false, false},
    {"one series", 1, 40, 15000, 0, 0, 1, 0, false, false},
    {"all of it", 650, 12, 15000, 1, 3, 3, 11, true, false},
};

static bool has(const Case *c, int series, int round)
{
    return !c->left_out || (series + round) % c->left_out;
}

static WalSample sample_of(const Case *c, int series, int round)
{
    return (WalSample){.t_ms = FIRST_MS + round * c->step_ms + series * c->apart_ms,
                       .value = series * 1000 + round};
}

typedef struct Batch {
    SeriesSlot slots[SERIES_MAX * ROUND_MAX];
    WalSample samples[SERIES_MAX * ROUND_MAX];
    size_t count;
    bool has_unknown;
} Batch;

// As the log has them.
static void add_record(ReplayShards *shards, const Head *head, Batch *batch)
{
    Arena arena = {0};
    Buf record = {0};
    WalSample sample;
    size_t count = 0;

    for (size_t i = 0; i < batch->count; i++) {
        SeriesSlot slot = batch->slots[i];
        batch->samples[i].ref = slot ? series_ref(series_at(&head->index.series, slot)) : UNKNOWN;
    }
    WalRecordWriter w = wal_record_begin(&record, WAL_SAMPLES);
    wal_record_samples(&w, batch->samples, batch->count);
    WalRecordReader r = wal_record_read(buf_str(&record), &arena);
    for (;; count++) {
        replay_shards_add_quick(shards, &r, FIRST_MS);
        if (!wal_record_next_samples(&r, &sample, NULL, 1))
            break;
        SeriesSlot slot = series_slot(&head->index.series, sample.ref);
        replay_shards_add_floats(shards, &slot, &sample, 1);
    }
    CHECK(r.count == batch->count && !r.failed);
    // The first one, those that the log does not define, and the last ones.
    CHECK(batch->count < 100 || batch->has_unknown || count < 10);
    buf_deinit(&record);
    arena_deinit(&arena);
}

static void flush(ReplayShards *shards, const Head *head, Batch *batch)
{
    if (head)
        add_record(shards, head, batch);
    else
        replay_shards_add_floats(shards, batch->slots, batch->samples, batch->count);
    batch->count = 0;
    batch->has_unknown = false;
}

static void add(ReplayShards *shards, const Head *head, const Case *c, SeriesSlot first, int series,
                int round, Batch *batch)
{
    WalSample sample = sample_of(c, series, round);
    SeriesSlot slot = first + (SeriesSlot)series;

    if (c->starts && series % c->starts == 0) {
        flush(shards, head, batch);
        replay_shards_add(shards, slot, sample.t_ms, sample.value, NULL, sample.t_ms - 1);
        return;
    }
    batch->slots[batch->count] = has(c, series, round) ? slot : 0; // what the log does not define
    batch->has_unknown |= !has(c, series, round);
    batch->samples[batch->count++] = sample;
    if (c->one_by_one)
        flush(shards, head, batch);
}

// `head`: as records; NULL: as they are.
static void add_all(ReplayShards *shards, const Head *head, const Case *c, SeriesSlot first)
{
    Batch *batch = X_NEW(Batch);

    for (int from = 0; from < c->rounds; from += c->together) {
        for (int i = 0; i < c->series; i++)
            for (int round = from; round < from + c->together; round++)
                add(shards, head, c, first, c->falling ? c->series - 1 - i : i, round, batch);
        flush(shards, head, batch);
    }
    free(batch);
}

static void check_series(Head *head, const Case *c, int series, Arena *arena)
{
    SampleColumns got = test_read(head, series, arena);
    bool rich = c->starts && series % c->starts == 0;
    size_t at = 0;

    for (int round = 0; round < c->rounds; round++) {
        WalSample want = sample_of(c, series, round);
        if (!rich && !has(c, series, round))
            continue;
        CHECK(at < got.count);
        CHECK_EQ(got.t_ms[at], want.t_ms);
        CHECK_DOUBLE(got.value[at], want.value);
        at++;
    }
    CHECK_EQ(got.count, at);
}

static void check_case(const Case *c, int threads, bool as_records)
{
    char dir[256];
    Arena arena = {0};
    ReplayApplied applied;
    SeriesRef first = 0;

    test_dir_make(dir, sizeof dir);
    HeadOptions options = test_head_options(dir);
    Head *head = test_head_open(&options);
    Appender *app = test_begin(head);
    for (int i = 0; i < c->series; i++) {
        SeriesRef ref = test_series(app, i);
        first = i ? first : ref;
    }
    test_commit(app);
    ReplayShards *shards = replay_shards_new(head, threads, STR_NONE);
    add_all(shards, as_records ? head : NULL, c, series_slot(&head->index.series, first));
    replay_shards_free(shards, &applied);
    CHECK_EQ(applied.refused, 0);
    for (int i = 0; i < c->series; i++) {
        arena_reset(&arena);
        check_series(head, c, i, &arena);
    }
    arena_deinit(&arena);
    head_close(head);
    test_dir_remove(dir);
}

TEST(head_replay_shards, series_get_their_samples_in_the_order_of_the_log)
{
    EACH_CASE(c, cases)
        for (int threads = 1; threads <= 3; threads += 2)
            for (int as_records = 0; as_records < 2; as_records++)
                check_case(c, threads, as_records);
}

TEST_MAIN(head_replay_shards,
          TEST_ROW(head_replay_shards, series_get_their_samples_in_the_order_of_the_log))
