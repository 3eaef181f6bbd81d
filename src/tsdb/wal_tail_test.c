// SPDX-License-Identifier: Apache-2.0
#include "tsdb/wal_tail.h"

#include "tsdb/head_test_util.h"
#include "tsdb/wal.h"
#include "tsdb/wal_record.h"

typedef struct Rig {
    char dir[256];
    Str wal_dir, wbl_dir;
    Arena arena;
    Wal *wal, *wbl;
    WalTail *tail;
} Rig;

static void rig_init(Rig *rig)
{
    Error err = {0};
    *rig = (Rig){0};
    test_dir_make(rig->dir, sizeof rig->dir);
    rig->wal_dir = fs_join(&rig->arena, str_from_c(rig->dir), S("wal"));
    rig->wbl_dir = fs_join(&rig->arena, str_from_c(rig->dir), S("wbl"));
    CHECK_OK(wal_open(&fs_system, rig->wal_dir, 2 * WAL_PAGE_BYTES, &rig->wal, &err), err);
    CHECK_OK(wal_open(&fs_system, rig->wbl_dir, 2 * WAL_PAGE_BYTES, &rig->wbl, &err), err);
    rig->tail = wal_tail_new(&fs_system, str_from_c(rig->dir));
}

static void rig_deinit(Rig *rig)
{
    wal_close(rig->wal);
    wal_close(rig->wbl);
    wal_tail_free(rig->tail);
    test_dir_remove(rig->dir);
    arena_deinit(&rig->arena);
}

static void write_record(Wal *wal, Buf *raw)
{
    Error err = {0};
    Buf packed = {0};
    WalRecord record = {.flags = wal_compress(TSDB_COMPRESSION_SNAPPY, buf_str(raw), &packed)};
    record.bytes = buf_str(&packed);
    CHECK_OK(wal_write(wal, &record, 1, &err), err);
    buf_deinit(&packed);
    buf_deinit(raw);
}

static void write_series(Wal *wal, uint64_t ref)
{
    Buf raw = {0};
    Label pairs[2];
    char text[24];
    WalRecordWriter writer = wal_record_begin(&raw, WAL_SERIES);
    wal_record_series(&writer, ref, test_labels(pairs, text, (int)ref));
    write_record(wal, &raw);
}

static void write_samples(Wal *wal, uint64_t ref, int64_t t_ms, size_t count)
{
    Buf raw = {0};
    WalSample *samples = X_ARRAY(WalSample, count);
    for (size_t i = 0; i < count; i++)
        samples[i] = (WalSample){ref + i, t_ms, (double)i};
    WalRecordWriter writer = wal_record_begin(&raw, WAL_SAMPLES);
    wal_record_samples(&writer, samples, count);
    write_record(wal, &raw);
    free(samples);
}

static FeedReader *open_at(Rig *rig, const FeedPlace *from)
{
    Error err = {0};
    FeedReader *reader = NULL;
    Feed *feed = wal_tail_feed(rig->tail);
    CHECK_OK(feed->open(feed, from, &reader, &err), err);
    return reader;
}

static bool next(FeedReader *reader, FeedBatch *batch)
{
    Error err = {0};
    bool found = reader->next(reader, batch, &err);
    CHECK_EQ(err.code, ERR_NONE);
    return found;
}

static void expect(FeedReader *reader, FeedKind kind, size_t count, uint64_t ref)
{
    FeedBatch batch;
    CHECK(next(reader, &batch));
    CHECK_EQ(batch.kind, kind);
    CHECK_EQ(batch.count, count);
    CHECK_EQ(batch.refs[0], ref);
}

static void expect_nothing(FeedReader *reader)
{
    FeedBatch batch;
    CHECK(!next(reader, &batch));
}

TEST(wal_tail, tells_of_old_series_and_of_new_samples_only)
{
    Rig rig;
    rig_init(&rig);
    write_series(rig.wal, 7);
    write_samples(rig.wal, 7, 1000, 1);

    FeedReader *reader = open_at(&rig, NULL);
    expect(reader, FEED_SERIES, 1, 7);
    expect_nothing(reader);
    write_samples(rig.wal, 7, 2000, 1);
    FeedBatch batch;
    CHECK(next(reader, &batch));
    CHECK_EQ(batch.kind, FEED_SAMPLES);
    CHECK_EQ(batch.t_ms[0], 2000);
    CHECK_DOUBLE(batch.values[0], 0.0);
    expect_nothing(reader);

    reader->close(reader);
    rig_deinit(&rig);
}

TEST(wal_tail, follows_the_log_over_its_segments)
{
    Rig rig;
    rig_init(&rig);
    FeedReader *reader = open_at(&rig, NULL);
    size_t got = 0;

    // 64 KiB a segment: this is some ten of them, read while they come.
    for (int i = 0; i < 60; i++) {
        write_samples(rig.wal, 1, 1000 + i, 3000);
        FeedBatch batch;
        while (i % 7 == 0 && next(reader, &batch)) {
            CHECK_EQ(batch.t_ms[0], 1000 + (int64_t)got);
            CHECK_EQ(batch.refs[2999], 3000);
            got++;
        }
    }
    FeedBatch batch;
    while (next(reader, &batch))
        got++;
    CHECK_EQ(got, 60);
    CHECK(reader->at[0].segment > 3);
    CHECK_EQ(reader->lost_bytes, 0);

    reader->close(reader);
    rig_deinit(&rig);
}

TEST(wal_tail, goes_on_at_a_place)
{
    Rig rig;
    rig_init(&rig);
    FeedPlace places[FEED_LANES] = {{0}};
    FeedBatch batch;
    write_series(rig.wal, 1);
    write_samples(rig.wal, 1, 1000, 3);
    write_samples(rig.wal, 1, 2000, 3);
    FeedReader *reader = open_at(&rig, places);
    expect(reader, FEED_SERIES, 1, 1);
    CHECK(next(reader, &batch));
    places[0] = batch.end;
    reader->close(reader);

    reader = open_at(&rig, places);
    expect(reader, FEED_SERIES, 1, 1);
    CHECK(next(reader, &batch));
    CHECK_EQ(batch.t_ms[0], 2000);
    CHECK(!feed_place_before(batch.start, places[0]));
    places[0] = batch.start;
    places[0].entry = 2;
    expect_nothing(reader);
    reader->close(reader);

    // In the middle of a record: it is given whole, the caller knows which entries it has.
    reader = open_at(&rig, places);
    expect(reader, FEED_SERIES, 1, 1);
    expect(reader, FEED_SAMPLES, 3, 1);
    expect_nothing(reader);
    reader->close(reader);
    rig_deinit(&rig);
}

TEST(wal_tail, late_samples_come_behind_their_series)
{
    Rig rig;
    rig_init(&rig);
    FeedReader *reader = open_at(&rig, NULL);
    FeedBatch batch;
    write_samples(rig.wbl, 5, 500, 1);
    write_series(rig.wal, 5);

    expect(reader, FEED_SERIES, 1, 5);
    CHECK(next(reader, &batch));
    CHECK_EQ(batch.lane, 1);
    CHECK_EQ(batch.t_ms[0], 500);
    expect_nothing(reader);

    reader->close(reader);
    rig_deinit(&rig);
}

TEST(wal_tail, waits_for_the_end_of_a_torn_record)
{
    Rig rig;
    rig_init(&rig);
    CLEANUP(arena_deinit) Arena arena = {0};
    Error err = {0};
    Str whole;
    write_samples(rig.wal, 1, 1000, 2000);
    Str path = wal_segment_path(&arena, rig.wal_dir, 0);
    CHECK_OK(fs_read_file(&fs_system, path, &arena, 1 << 20, &whole, &err), err);
    FeedPlace start[FEED_LANES] = {{0}};

    for (size_t cut = 1; cut < whole.len; cut += whole.len / 13) {
        CHECK_OK(fs_write_atomic(&fs_system, path, str_sub(whole, 0, whole.len - cut), &err), err);
        FeedReader *reader = open_at(&rig, start);
        expect_nothing(reader);
        CLEANUP(file_close) File file = FILE_NONE;
        CHECK_OK(fs_open(&fs_system, path, FS_READ_WRITE, &file, &err), err);
        CHECK_OK(file_write_at(&file, 0, whole, &err), err);
        expect(reader, FEED_SAMPLES, 2000, 1);
        CHECK_EQ(reader->lost_bytes, 0);
        reader->close(reader);
    }
    rig_deinit(&rig);
}

TEST(wal_tail, steps_over_damage_and_counts_it)
{
    Rig rig;
    rig_init(&rig);
    CLEANUP(arena_deinit) Arena arena = {0};
    Error err = {0};
    FeedPlace start[FEED_LANES] = {{0}};
    for (int i = 0; i < 30; i++)
        write_samples(rig.wal, 1, 1000 + i, 1000);
    CLEANUP(file_close) File file = FILE_NONE;
    CHECK_OK(
        fs_open(&fs_system, wal_segment_path(&arena, rig.wal_dir, 0), FS_READ_WRITE, &file, &err),
        err);
    CHECK_OK(file_write_at(&file, 100, S("XXXX"), &err), err);

    FeedReader *reader = open_at(&rig, start);
    FeedBatch batch;
    size_t got = 0;
    while (next(reader, &batch))
        got++;
    CHECK(got > 0);
    CHECK(got < 30);
    CHECK(reader->lost_bytes > 0);

    reader->close(reader);
    rig_deinit(&rig);
}

TEST(wal_tail, a_place_that_is_gone_is_told)
{
    Rig rig;
    rig_init(&rig);
    Error err = {0};
    FeedPlace start[FEED_LANES] = {{0}};
    for (int i = 0; i < 30; i++)
        write_samples(rig.wal, 1, 1000 + i, 3000);
    CHECK_OK(wal_truncate(rig.wal, 3, &err), err);

    FeedReader *reader = open_at(&rig, start);
    FeedBatch batch;
    CHECK(next(reader, &batch));
    CHECK_EQ(batch.start.segment, 3);
    CHECK_EQ(reader->lost_places, 1);

    reader->close(reader);
    rig_deinit(&rig);
}

TEST(wal_tail, a_new_checkpoint_tells_which_series_live)
{
    Rig rig;
    rig_init(&rig);
    Error err = {0};
    FeedBatch batch;
    write_series(rig.wal, 1);
    write_series(rig.wal, 2);
    uint32_t segment;
    CHECK_OK(wal_cut(rig.wal, &segment, &err), err);
    FeedReader *reader = open_at(&rig, NULL);
    expect(reader, FEED_SERIES, 1, 1);
    expect(reader, FEED_SERIES, 1, 2);
    expect_nothing(reader);

    Wal *checkpoint;
    CHECK_OK(wal_open(&fs_system, fs_join(&rig.arena, rig.wal_dir, S("checkpoint.00000000")),
                      1 << 20, &checkpoint, &err),
             err);
    write_series(checkpoint, 2);
    wal_close(checkpoint);
    bool found = false;
    for (int i = 0; i < 200 && !found; i++)
        found = next(reader, &batch);
    CHECK(found);
    CHECK_EQ(batch.kind, FEED_ALIVE);
    CHECK_EQ(batch.segment, 0);
    CHECK_EQ(batch.count, 1);
    CHECK_EQ(batch.refs[0], 2);
    reader->close(reader);

    // A reader that comes later begins with the checkpoint.
    CHECK_OK(wal_truncate(rig.wal, 1, &err), err);
    reader = open_at(&rig, NULL);
    expect(reader, FEED_SERIES, 1, 2);
    expect_nothing(reader);
    reader->close(reader);
    rig_deinit(&rig);
}

TEST_MAIN(wal_tail, TEST_ROW(wal_tail, tells_of_old_series_and_of_new_samples_only),
          TEST_ROW(wal_tail, follows_the_log_over_its_segments),
          TEST_ROW(wal_tail, goes_on_at_a_place),
          TEST_ROW(wal_tail, late_samples_come_behind_their_series),
          TEST_ROW(wal_tail, waits_for_the_end_of_a_torn_record),
          TEST_ROW(wal_tail, steps_over_damage_and_counts_it),
          TEST_ROW(wal_tail, a_place_that_is_gone_is_told),
          TEST_ROW(wal_tail, a_new_checkpoint_tells_which_series_live))
