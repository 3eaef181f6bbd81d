// SPDX-License-Identifier: Apache-2.0
// The head becomes blocks, blocks become larger ones, and nothing is lost on the way.
#include "base/log.h"
#include "base/random.h"
#include "base/reader.h"
#include "tsdb/tsdb_test_util.h"

TEST(tsdb_compact, cuts_the_head_into_blocks_and_keeps_every_sample)
{
    Store s;
    FakeSource f;
    Error err = {0};
    store_init(&s);
    fake_init(&f, SERIES, START_MS, START_MS + 7 * HOUR_MS, STEP_MS);
    f.histograms = true;

    test_pour(s.tsdb, &f);
    test_check_holds(s.tsdb, &f, INT64_MIN, INT64_MAX);
    CHECK_EQ(test_count_blocks(s.tsdb), 0);
    CHECK_OK(tsdb_compact(s.tsdb, &err), err);

    CHECK_EQ(test_count_blocks(s.tsdb), 2); // two of two hours; three hours stay in the head
    test_check_holds(s.tsdb, &f, INT64_MIN, INT64_MAX);
    test_check_holds(s.tsdb, &f, START_MS + HOUR_MS, START_MS + 5 * HOUR_MS);
    store_reopen(&s);
    CHECK_EQ(test_count_blocks(s.tsdb), 2);
    test_check_holds(s.tsdb, &f, INT64_MIN, INT64_MAX);

    store_deinit(&s);
    fake_deinit(&f);
}

// Files of chunks in all blocks together; none is larger than allowed.
static size_t count_segments(Store *s, size_t *ret_blocks)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    TsdbBlocks all = tsdb_blocks_take(s->tsdb);
    size_t segments = 0;

    for (size_t i = 0; i < all.count; i++) {
        FsList list;
        Error err = {0};
        Str dir = fs_join(&arena, block_dir(all.items[i]), S("chunks"));
        CHECK_OK(fs_list(&fs_system, dir, &arena, &list, &err), err);
        for (size_t k = 0; k < list.count; k++)
            CHECK(list.entries[k].bytes <= s->options.block_segment_bytes);
        segments += list.count;
    }
    *ret_blocks = all.count;
    tsdb_blocks_give(&all);
    return segments;
}

TEST(tsdb_compact, cuts_files_of_chunks_as_large_as_asked_for)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    Store s;
    FakeSource f;
    Matcher one;
    Error err = {0};
    size_t blocks;
    store_init(&s);
    s.options.block_segment_bytes = 16384;
    store_reopen(&s);
    fake_init(&f, SERIES, START_MS, START_MS + 7 * HOUR_MS, STEP_MS);

    test_pour(s.tsdb, &f);
    CHECK_OK(tsdb_compact(s.tsdb, &err), err); // of the head
    CHECK(count_segments(&s, &blocks) > 2 * blocks);
    test_check_holds(s.tsdb, &f, INT64_MIN, INT64_MAX);
    CHECK_OK(matcher_init(&one, MATCH_EQUAL, S("job"), S("test"), &arena, &err), err);
    CHECK_OK(tsdb_delete(s.tsdb, &one, 1, START_MS, START_MS, &err), err);
    CHECK_OK(tsdb_clean_tombstones(s.tsdb, &err), err); // of another block
    CHECK(count_segments(&s, &blocks) > 2 * blocks);
    CHECK_EQ(blocks, 2);
    test_check_holds(s.tsdb, &f, START_MS + STEP_MS, INT64_MAX);

    matcher_deinit(&one);
    store_deinit(&s);
    fake_deinit(&f);
}

TEST(tsdb_compact, compacts_blocks_and_removes_what_they_were_made_of)
{
    Store s;
    FakeSource f;
    Error err = {0};
    FsList list;
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    store_init(&s);
    fake_init(&f, 5, START_MS - START_MS % (6 * HOUR_MS),
              START_MS - START_MS % (6 * HOUR_MS) + 14 * HOUR_MS, 60000);

    test_pour(s.tsdb, &f);
    CHECK_OK(tsdb_compact(s.tsdb, &err), err);

    test_check_holds(s.tsdb, &f, INT64_MIN, INT64_MAX);
    size_t dirs = 0;
    CHECK_OK(fs_list(&fs_system, s.options.dir, &arena, &list, &err), err);
    for (size_t i = 0; i < list.count; i++) {
        Ulid ulid;
        dirs += ulid_parse(list.entries[i].name, &ulid);
        CHECK(!str_ends_with(list.entries[i].name, S(".tmp-for-deletion")));
    }
    // 12 hours were cut: two of two hours each wait for the newest of theirs, or three make one of six.
    CHECK_EQ(dirs, 1 + 3);
    store_reopen(&s);
    test_check_holds(s.tsdb, &f, INT64_MIN, INT64_MAX);

    store_deinit(&s);
    fake_deinit(&f);
}

TEST(tsdb_compact, a_delayed_cut_waits_from_when_it_is_due)
{
    static const uint64_t seed = 3;
    const int64_t longest_ms = 2 * HOUR_MS / 10;
    Store s;
    FakeSource before, after;
    Error err = {0};
    store_init(&s);
    s.options.max_block_ms = s.options.min_block_ms;
    s.options.cut_delay_max_percent = 10;
    random_system_pretend(&seed);
    store_reopen(&s);
    random_system_pretend(NULL);
    fake_init(&before, SERIES, START_MS, START_MS + 7 * HOUR_MS, STEP_MS);
    fake_init(&after, SERIES, START_MS + 7 * HOUR_MS, START_MS + 8 * HOUR_MS, STEP_MS);

    int64_t delay_ms = s.tsdb->cut_delay_ms;
    CHECK(delay_ms > 0 && delay_ms < longest_ms);
    clock_fake_advance(&s.clock, 2 * longest_ms); // counts for nothing: no cut is due
    test_pour(s.tsdb, &before);
    CHECK_OK(tsdb_compact(s.tsdb, &err), err);
    clock_fake_advance(&s.clock, delay_ms - 1);
    CHECK_OK(tsdb_compact(s.tsdb, &err), err);
    CHECK_EQ(test_count_blocks(s.tsdb), 0);
    clock_fake_advance(&s.clock, 1);
    CHECK_OK(tsdb_compact(s.tsdb, &err), err);
    CHECK_EQ(test_count_blocks(s.tsdb), 2);

    test_pour(s.tsdb, &after); // the next cut has a wait of its own
    CHECK_OK(tsdb_compact(s.tsdb, &err), err);
    CHECK_EQ(test_count_blocks(s.tsdb), 2);
    clock_fake_advance(&s.clock, delay_ms);
    CHECK_OK(tsdb_compact(s.tsdb, &err), err);
    CHECK_EQ(test_count_blocks(s.tsdb), 3);

    store_deinit(&s);
    fake_deinit(&before);
    fake_deinit(&after);
}

// As after a long time in which no block could be written, and one in which nothing came.
TEST(tsdb_compact, a_head_of_many_hours_becomes_aligned_blocks)
{
    Store s;
    FakeSource before, after;
    Error err = {0};
    int64_t min_t_ms, max_t_ms;
    store_init(&s);
    s.options.max_block_ms = s.options.min_block_ms;
    store_reopen(&s);
    fake_init(&before, SERIES, START_MS, START_MS + 9 * HOUR_MS, 60000);
    fake_init(&after, SERIES, START_MS + 40 * HOUR_MS, START_MS + 53 * HOUR_MS, 60000);
    before.histograms = after.histograms = true;
    test_pour(s.tsdb, &before);
    test_pour(s.tsdb, &after);

    CHECK_OK(tsdb_compact(s.tsdb, &err), err);

    TsdbBlocks all = tsdb_blocks_take(s.tsdb);
    CHECK(all.count >= 10 && all.count <= 12);
    for (size_t i = 0; i < all.count; i++) {
        const BlockMeta *meta = block_meta(all.items[i]);
        CHECK_EQ(meta->min_t_ms / (2 * HOUR_MS), (meta->max_t_ms - 1) / (2 * HOUR_MS));
        CHECK(meta->stats.samples > 0);
    }
    tsdb_blocks_give(&all);
    CHECK(head_time_range(s.tsdb->head, &min_t_ms, &max_t_ms));
    CHECK(max_t_ms - min_t_ms <= 3 * HOUR_MS);
    for (int turn = 0; turn < 2; turn++, store_reopen(&s)) {
        test_check_holds(s.tsdb, &before, INT64_MIN, START_MS + 20 * HOUR_MS);
        test_check_holds(s.tsdb, &after, START_MS + 20 * HOUR_MS, INT64_MAX);
    }

    store_deinit(&s);
    fake_deinit(&before);
    fake_deinit(&after);
}

TEST(tsdb_compact, late_samples_become_blocks_of_their_own_and_merge)
{
    Store s;
    FakeSource f, late, early;
    Error err = {0};
    store_init(&s);
    s.options.out_of_order_window_ms = 100 * HOUR_MS;
    store_reopen(&s);
    fake_init(&f, SERIES, START_MS, START_MS + 7 * HOUR_MS, STEP_MS);
    fake_init(&early, SERIES, START_MS + 6 * HOUR_MS, START_MS + 7 * HOUR_MS, STEP_MS);
    fake_init(&late, SERIES, START_MS, START_MS + 6 * HOUR_MS, STEP_MS);

    test_pour(s.tsdb, &early);
    test_pour(s.tsdb, &late);
    test_check_holds(s.tsdb, &f, INT64_MIN, INT64_MAX);
    CHECK_OK(tsdb_compact(s.tsdb, &err), err);

    CHECK(test_count_blocks(s.tsdb) >= 1);
    test_check_holds(s.tsdb, &f, INT64_MIN, INT64_MAX);
    store_reopen(&s);
    test_check_holds(s.tsdb, &f, INT64_MIN, INT64_MAX);

    store_deinit(&s);
    fake_deinit(&f);
    fake_deinit(&late);
    fake_deinit(&early);
}

// Counts the chunks of each encoding in the first segment of each block: 8 bytes, then uvarint length, encoding, bytes, CRC.
static void count_encodings(Store *s, size_t counts[8])
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    FsList list;
    Error err = {0};
    memset(counts, 0, 8 * sizeof *counts);
    CHECK_OK(fs_list(&fs_system, s->options.dir, &arena, &list, &err), err);
    for (size_t i = 0; i < list.count; i++) {
        Str bytes;
        if (list.entries[i].name.len != 26)
            continue; // no block
        Str dir = fs_join(&arena, s->options.dir, list.entries[i].name);
        CHECK_OK(fs_read_file(&fs_system, fs_join(&arena, dir, S("chunks/000001")), &arena, 1 << 24,
                              &bytes, &err),
                 err);
        Reader r = reader_from(str_skip(bytes, 8));
        while (r.at < r.end) {
            uint64_t len = reader_uvarint(&r);
            counts[*r.at & 7]++;
            r.at += 1 + len + 4;
        }
        CHECK(!r.failed);
    }
}

TEST(tsdb_compact, floats_are_packed_in_blocks_as_the_configuration_says)
{
    Store s;
    FakeSource f;
    Error err = {0};
    size_t counts[8];
    store_init(&s);
    s.options.out_of_order_window_ms = 100 * HOUR_MS;
    store_reopen(&s);
    fake_init(&f, SERIES, START_MS, START_MS + 7 * HOUR_MS, STEP_MS);
    FakeSource early, late;
    fake_init(&early, SERIES, START_MS + 3 * HOUR_MS, START_MS + 7 * HOUR_MS, STEP_MS);
    fake_init(&late, SERIES, START_MS, START_MS + 3 * HOUR_MS, STEP_MS);

    tsdb_pack_xor2(s.tsdb, true);
    test_pour(s.tsdb, &early);
    test_pour(s.tsdb, &late);
    CHECK_OK(tsdb_compact(s.tsdb, &err), err);
    count_encodings(&s, counts);
    CHECK_EQ(counts[CHUNK_XOR], 0);
    CHECK(counts[CHUNK_XOR2] >= SERIES);
    test_check_holds(s.tsdb, &f, INT64_MIN, INT64_MAX);
    store_reopen(&s); // without
    test_check_holds(s.tsdb, &f, INT64_MIN, INT64_MAX);

    store_deinit(&s);
    fake_deinit(&f);
    fake_deinit(&late);
    fake_deinit(&early);
}

// Turns a byte in the middle of the first segment.
static void damage_chunks(Str block, Arena *arena)
{
    File file = FILE_NONE;
    Error err = {0};
    uint64_t bytes;
    char byte;
    size_t got;
    Str path = fs_join(arena, block, S("chunks/000001"));

    CHECK_OK(fs_open(&fs_system, path, FS_READ_WRITE, &file, &err), err);
    CHECK_OK(file_size(&file, &bytes, &err), err);
    CHECK_OK(file_read_at(&file, bytes / 2, &byte, 1, &got, &err), err);
    byte = (char)(byte ^ 0x55);
    CHECK_OK(file_write_at(&file, bytes / 2, (Str){&byte, 1}, &err), err);
    file_close(&file);
}

TEST(tsdb_compact, compaction_goes_on_without_a_damaged_block)
{
    Store s;
    FakeSource f;
    Error err = {0};
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    store_init(&s);
    int64_t start = START_MS - START_MS % (6 * HOUR_MS);
    fake_init(&f, 5, start, start + 7 * HOUR_MS, 60000);
    test_pour(s.tsdb, &f);
    CHECK_OK(tsdb_compact(s.tsdb, &err),
             err); // blocks of two hours: three of them, the first two closed
    size_t before = s.tsdb->block_count;
    CHECK(before >= 2);
    damage_chunks(block_dir(s.tsdb->blocks[0]), &arena);
    Ulid damaged = block_meta(s.tsdb->blocks[0])->ulid;
    f.from_t_ms = start + 7 * HOUR_MS;
    f.to_t_ms = start + 26 * HOUR_MS;
    test_pour(s.tsdb, &f);

    CHECK(!tsdb_compact(s.tsdb, &err)); // says so once

    CHECK_EQ(err.code, ERR_CORRUPT);
    CHECK_EQ(s.tsdb->unfit_count, 1);
    CHECK(ulid_equal(&s.tsdb->unfit[0], &damaged));
    CHECK_OK(tsdb_compact(s.tsdb, &err), err);
    bool merged = false;
    for (size_t i = 0; i < s.tsdb->block_count; i++)
        merged |= block_meta(s.tsdb->blocks[i])->level > 1;
    CHECK(merged);
    test_check_holds(s.tsdb, &f, f.from_t_ms, f.to_t_ms);
    store_deinit(&s);
    fake_deinit(&f);
}

// Every mutating call of a compaction in turn is the last one the process makes; the next start has everything.
TEST(tsdb_compact, a_kill_at_any_moment_of_compaction_loses_nothing)
{
    FakeSource f;
    fake_init(&f, 3, START_MS - START_MS % (6 * HOUR_MS),
              START_MS - START_MS % (6 * HOUR_MS) + 10 * HOUR_MS, 300000);
    log_setup(LOG_ERROR + 1, LOG_LOGFMT);

    uint64_t calls = 1;
    for (uint64_t fail_at = 1; fail_at <= calls; fail_at += 1 + fail_at / 20) {
        FsFault fault = {.error_number = 5, .torn_bytes = 13, .dead = true};
        Fs fs = {&fault};
        Error err = {0};
        Store s;
        store_init(&s);
        tsdb_close(s.tsdb);
        s.options.fs = &fs;
        store_open(&s);
        test_pour(s.tsdb, &f);

        uint64_t before = fault.calls;
        fault.fail_at = before + fail_at;
        bool ok = tsdb_compact(s.tsdb, &err);
        calls = ok ? fault.calls - before : UINT64_MAX;
        test_check_holds(s.tsdb, &f, INT64_MIN, INT64_MAX); // what was readable stays readable
        tsdb_close(s.tsdb);

        s.options.fs = &fs_system;
        store_open(&s);
        test_check_holds(s.tsdb, &f, INT64_MIN, INT64_MAX);
        CHECK_OK(tsdb_compact(s.tsdb, &err), err);
        test_check_holds(s.tsdb, &f, INT64_MIN, INT64_MAX);
        store_deinit(&s);
    }
    log_setup(LOG_INFO, LOG_LOGFMT);
    fake_deinit(&f);
}

TEST_MAIN(tsdb_compact, TEST_ROW(tsdb_compact, cuts_the_head_into_blocks_and_keeps_every_sample),
          TEST_ROW(tsdb_compact, cuts_files_of_chunks_as_large_as_asked_for),
          TEST_ROW(tsdb_compact, compacts_blocks_and_removes_what_they_were_made_of),
          TEST_ROW(tsdb_compact, a_delayed_cut_waits_from_when_it_is_due),
          TEST_ROW(tsdb_compact, a_head_of_many_hours_becomes_aligned_blocks),
          TEST_ROW(tsdb_compact, late_samples_become_blocks_of_their_own_and_merge),
          TEST_ROW(tsdb_compact, floats_are_packed_in_blocks_as_the_configuration_says),
          TEST_ROW(tsdb_compact, compaction_goes_on_without_a_damaged_block),
          TEST_ROW(tsdb_compact, a_kill_at_any_moment_of_compaction_loses_nothing))
