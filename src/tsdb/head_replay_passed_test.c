// SPDX-License-Identifier: Apache-2.0
// A log that goes on with series which only a snapshot defines, mostly one that its checkpoint has passed, as a Prometheus leaves it.
#include <errno.h>

#include "tsdb/chunk_snapshot.h"
#include "tsdb/head_image.h"
#include "tsdb/head_test_util.h"

#define PATH_BYTES 300
#define ENTRIES_MAX 6
#define SERIES_MAX 3
#define MINUTE_MS 60000

static const ChunkSnapshotPlace passed_place = {1, 0}; // the checkpoint covers segments 0 and 1

typedef enum EntryKind { NOTHING, DEFINE, SAMPLE } EntryKind;

// DEFINE: the ref is series `what`; SAMPLE: of minute `what`.
typedef struct Entry {
    EntryKind kind;
    uint64_t ref;
    int what;
} Entry;

static HeadOptions passed_options(const char *dir, Fs *fs, bool with_image)
{
    HeadOptions options = test_head_options(dir);

    options.fs = fs;
    options.out_of_order_window_ms = HOUR_MS;
    options.image_series_min = with_image ? 1 : UINT64_MAX;
    return options;
}

// --- what lies there ---

static void put(Wal *wal, Str raw)
{
    WalRecord record = {.bytes = raw, .flags = WAL_RAW};
    Error err = {0};

    CHECK_OK(wal_write(wal, &record, 1, &err), err);
}

static void put_entries(Wal *wal, const Entry entries[ENTRIES_MAX])
{
    Buf raw = {0};

    for (int i = 0; i < ENTRIES_MAX && entries[i].kind; i++) {
        const Entry *e = &entries[i];
        Label pairs[2];
        char text[24];
        buf_reset(&raw);
        WalRecordWriter writer =
            wal_record_begin(&raw, e->kind == DEFINE ? WAL_SERIES : WAL_SAMPLES);
        if (e->kind == DEFINE)
            wal_record_series(&writer, e->ref, test_labels(pairs, text, e->what));
        else
            wal_record_samples(&writer, &(WalSample){e->ref, e->what * MINUTE_MS, e->what}, 1);
        put(wal, buf_str(&raw));
    }
    buf_deinit(&raw);
}

// Entries in segment `number` of the folder.
static void put_log(const char *dir, const char *name, uint32_t number,
                    const Entry entries[ENTRIES_MAX])
{
    char path[PATH_BYTES];
    uint32_t segment = 0;
    Error err = {0};
    Wal *wal;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    CHECK_OK(wal_open(&fs_system, str_from_c(path), 1 << 20, &wal, &err), err);
    while (segment < number)
        CHECK_OK(wal_cut(wal, &segment, &err), err);
    put_entries(wal, entries);
    wal_close(wal);
}

static void put_snapshot(const char *dir, const Entry entries[ENTRIES_MAX])
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    Buf raw = {0};
    Error err = {0};
    Wal *wal;

    CHECK_OK(wal_open(&fs_system, chunk_snapshot_dir(&arena, str_from_c(dir), passed_place),
                      1 << 20, &wal, &err),
             err);
    for (int i = 0; i < ENTRIES_MAX && entries[i].kind; i++) {
        Label pairs[2];
        char text[24];
        ChunkSnapshotSeries s = {.ref = entries[i].ref,
                                 .labels = test_labels(pairs, text, entries[i].what),
                                 .encoding = CHUNK_NONE};
        buf_reset(&raw);
        chunk_snapshot_add_series(&raw, &s);
        put(wal, buf_str(&raw));
    }
    wal_close(wal);
    buf_deinit(&raw);
}

static bool has_snapshot(const char *dir)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    ChunkSnapshotPlace place;
    Error err = {0};

    return chunk_snapshot_find(&fs_system, str_from_c(dir), &arena, &place, &err);
}

static size_t count_of(Head *head, int i)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};

    return test_read(head, i, &arena).count;
}

// As a kill leaves it.
static void copy_of(const char *dir, char copy[PATH_BYTES])
{
    snprintf(copy, PATH_BYTES, "%s-copy", dir);
    test_copy_tree(dir, copy);
}

// --- claims ---

TEST(head_replay_passed, tells_what_refs_mean_that_nothing_else_defines)
{
    static const struct {
        const char *name;
        Entry snapshot[ENTRIES_MAX], checkpoint[ENTRIES_MAX], log[ENTRIES_MAX], late[ENTRIES_MAX];
        size_t want[SERIES_MAX]; // samples
        uint64_t want_series, want_unknown;
    } cases[] = {
        {.name = "named by the log",
         .snapshot = {{DEFINE, 5, 0}},
         .log = {{SAMPLE, 5, 1}, {SAMPLE, 5, 2}},
         .want = {2},
         .want_series = 1},
        {.name = "and by the checkpoint",
         .snapshot = {{DEFINE, 5, 0}, {DEFINE, 6, 1}},
         .checkpoint = {{DEFINE, 6, 1}, {SAMPLE, 6, 1}, {SAMPLE, 5, 1}},
         .log = {{SAMPLE, 5, 2}, {SAMPLE, 6, 2}},
         .want = {2, 2},
         .want_series = 2},
        {.name = "the checkpoint says otherwise",
         .snapshot = {{DEFINE, 5, 0}},
         .checkpoint = {{DEFINE, 5, 1}},
         .log = {{SAMPLE, 5, 1}},
         .want = {0, 1},
         .want_series = 1},
        {.name = "the log says otherwise later",
         .snapshot = {{DEFINE, 5, 0}},
         .log = {{SAMPLE, 5, 1}, {DEFINE, 5, 1}, {SAMPLE, 5, 2}},
         .want = {0, 1},
         .want_series = 1,
         .want_unknown = 1},
        {.name = "a series that has another ref",
         .snapshot = {{DEFINE, 5, 0}},
         .checkpoint = {{DEFINE, 3, 0}, {SAMPLE, 3, 1}},
         .log = {{SAMPLE, 5, 2}, {SAMPLE, 3, 3}},
         .want = {3},
         .want_series = 1},
        {.name = "one that gets another ref",
         .snapshot = {{DEFINE, 5, 0}},
         .log = {{SAMPLE, 5, 1}, {DEFINE, 7, 0}, {SAMPLE, 7, 2}, {SAMPLE, 5, 3}},
         .want = {3},
         .want_series = 1},
        {.name = "named by nothing",
         .snapshot = {{DEFINE, 5, 0}},
         .log = {{DEFINE, 6, 1}, {SAMPLE, 6, 1}},
         .want = {0, 1},
         .want_series = 1},
        {.name = "unknown to all",
         .snapshot = {{DEFINE, 5, 0}},
         .log = {{SAMPLE, 9, 1}, {SAMPLE, 5, 1}},
         .want = {1},
         .want_series = 1,
         .want_unknown = 1},
        {.name = "behind a higher ref",
         .snapshot = {{DEFINE, 5, 0}, {DEFINE, 4, 1}},
         .log = {{DEFINE, 8, 2}, {SAMPLE, 8, 1}, {SAMPLE, 5, 1}},
         .late = {{SAMPLE, 4, 1}},
         .want = {1, 1, 1},
         .want_series = 3},
        {.name = "named by late samples alone",
         .snapshot = {{DEFINE, 5, 0}},
         .log = {{DEFINE, 6, 1}, {SAMPLE, 6, 9}},
         .late = {{SAMPLE, 5, 1}, {SAMPLE, 5, 2}},
         .want = {2, 1},
         .want_series = 2},
    };

    EACH_CASE(c, cases) {
        char dir[PATH_BYTES - 60];
        test_dir_make(dir, sizeof dir);
        put_snapshot(dir, c->snapshot);
        put_log(dir, "wal/checkpoint.00000001", 0, c->checkpoint);
        put_log(dir, "wal", 2, c->log);
        if (c->late[0].kind)
            put_log(dir, "wbl", 0, c->late);
        HeadOptions options = passed_options(dir, &fs_system, true);

        for (int start = 0; start < 3; start++) { // the second and third without the snapshot
            Head *head = test_head_open(&options);

            CHECK_EQ(head->index.series.count, c->want_series);
            for (int i = 0; i < SERIES_MAX; i++)
                CHECK_EQ(count_of(head, i), c->want[i]);
            CHECK_EQ(head->counters.wal_unknown[HEAD_UNKNOWN_SERIES], c->want_unknown);
            CHECK_EQ(head->counters.wbl_unknown[HEAD_UNKNOWN_SERIES], 0);
            CHECK(!has_snapshot(dir));
            head_check(head);
            head_close(head);
        }
        test_dir_remove(dir);
    }
}

// The definitions go into the checkpoint, whose series nobody reads who has an image.
TEST(head_replay_passed, no_image_of_before_hides_them)
{
    static const Entry defined[ENTRIES_MAX] = {{DEFINE, 6, 1}, {SAMPLE, 6, 1}};
    static const Entry snapshot[ENTRIES_MAX] = {{DEFINE, 5, 0}};
    static const Entry named[ENTRIES_MAX] = {{SAMPLE, 5, 2}};
    char dir[PATH_BYTES - 60];
    char killed[PATH_BYTES];

    test_dir_make(dir, sizeof dir);
    put_log(dir, "wal/checkpoint.00000001", 0, defined);
    put_log(dir, "wal", 2, defined);
    HeadOptions options = passed_options(dir, &fs_system, true);
    Error err = {0};
    Head *head = test_head_open(&options);
    test_put(head, 2, MINUTE_MS, 0);
    CHECK_OK(head_image_write(head, &err), err);
    head_close(head);
    put_snapshot(dir, snapshot);
    put_log(dir, "wal", 0, named);

    head = test_head_open(&options);
    CHECK_EQ(count_of(head, 0), 1);
    copy_of(dir, killed); // before it has a new one
    head_close(head);
    CHECK(!has_snapshot(killed));
    HeadOptions again = passed_options(killed, &fs_system, true);
    head = test_head_open(&again);

    CHECK_EQ(count_of(head, 0), 1);
    CHECK_EQ(count_of(head, 1), 1);
    head_close(head);
    test_dir_remove(killed);
    test_dir_remove(dir);
}

// Bytes that are no record, behind those of the segment.
static void damage(const char *dir, const char *segment)
{
    char path[PATH_BYTES];
    File file = FILE_NONE;
    Error err = {0};

    snprintf(path, sizeof path, "%s/%s", dir, segment);
    CHECK_OK(fs_open(&fs_system, str_from_c(path), FS_APPEND, &file, &err) &&
                 file_write(&file, S("no record"), &err),
             err);
    file_close(&file);
}

// Only a snapshot that ends inside of the segment has another end then.
TEST(head_replay_passed, stays_where_a_damaged_log_is_mended)
{
    static const struct {
        const char *name;
        const char *damaged;
    } cases[] = {
        {"behind it", "wal/00000002"},
        {"where it ends", "wal/00000001"},
        {"late samples", "wbl/00000000"},
    };
    static const Entry snapshot[ENTRIES_MAX] = {{DEFINE, 5, 0}};
    static const Entry log[] = {{SAMPLE, 5, 101}, {SAMPLE, 5, 102}, {SAMPLE, 5, 103}};

    EACH_CASE(c, cases) {
        char dir[PATH_BYTES - 60];
        char killed[PATH_BYTES];
        test_dir_make(dir, sizeof dir);
        put_snapshot(dir, snapshot);
        put_log(dir, "wal", 1, (Entry[ENTRIES_MAX]){log[0]});
        put_log(dir, "wal", 2, (Entry[ENTRIES_MAX]){log[1]});
        put_log(dir, "wal", 0, (Entry[ENTRIES_MAX]){log[2]});
        put_log(dir, "wbl", 0, (Entry[ENTRIES_MAX]){{SAMPLE, 5, 99}});
        put_log(dir, "wbl", 0, (Entry[ENTRIES_MAX]){{SAMPLE, 5, 98}});
        damage(dir, c->damaged);
        HeadOptions options = passed_options(dir, &fs_system, false);

        Head *head = test_head_open(&options);
        CHECK_EQ(head->counters.wal_corruptions, 1);
        CHECK_EQ(count_of(head, 0), 5);
        copy_of(dir, killed);
        head_close(head);
        options = passed_options(killed, &fs_system, false);
        head = test_head_open(&options);

        CHECK_EQ(count_of(head, 0), 5);
        head_close(head);
        test_dir_remove(killed);
        test_dir_remove(dir);
    }
}

// Damage ends what is known; the rest may be of use to somebody.
TEST(head_replay_passed, damaged_one_stays_while_the_log_has_unknown_refs)
{
    static const Entry snapshot[ENTRIES_MAX] = {{DEFINE, 5, 0}};
    static const Entry logs[2][ENTRIES_MAX] = {{{SAMPLE, 5, 1}}, {{SAMPLE, 5, 1}, {SAMPLE, 7, 1}}};

    for (int unknown = 0; unknown < 2; unknown++) {
        CLEANUP(arena_deinit) Arena arena = {.next = NULL};
        char dir[PATH_BYTES - 60];
        File file = FILE_NONE;
        Error err = {0};
        test_dir_make(dir, sizeof dir);
        put_snapshot(dir, snapshot);
        Str path =
            wal_segment_path(&arena, chunk_snapshot_dir(&arena, str_from_c(dir), passed_place), 0);
        CHECK_OK(fs_open(&fs_system, path, FS_APPEND, &file, &err) &&
                     file_write(&file, S("no record"), &err),
                 err);
        file_close(&file);
        put_log(dir, "wal/checkpoint.00000001", 0, (Entry[ENTRIES_MAX]){{0}});
        put_log(dir, "wal", 2, logs[unknown]);
        HeadOptions options = passed_options(dir, &fs_system, false);

        Head *head = test_head_open(&options);

        CHECK_EQ(count_of(head, 0), 1);
        CHECK_EQ(has_snapshot(dir), unknown);
        head_close(head);
        test_dir_remove(dir);
    }
}

// Whatever the disk refuses, and if the process dies there: the next start has all, with the snapshot or without.
TEST(head_replay_passed, nothing_is_lost_if_the_disk_fails)
{
    static const Entry snapshot[ENTRIES_MAX] = {{DEFINE, 5, 0}, {DEFINE, 6, 1}};
    static const Entry checkpoint[ENTRIES_MAX] = {{SAMPLE, 5, 1}, {DEFINE, 6, 1}, {SAMPLE, 6, 1}};
    static const Entry log[ENTRIES_MAX] = {{SAMPLE, 5, 2}, {SAMPLE, 6, 2}};
    char dir[PATH_BYTES - 60];
    char copy[PATH_BYTES];
    uint64_t kept = 0;

    test_dir_make(dir, sizeof dir);
    put_snapshot(dir, snapshot);
    put_log(dir, "wal/checkpoint.00000001", 0, checkpoint);
    put_log(dir, "wal/checkpoint.00000001", 0, (Entry[ENTRIES_MAX]){{0}});
    put_log(dir, "wal", 2, log);
    damage(dir, "wal/checkpoint.00000001/00000000"); // to be mended before
    for (uint64_t at = 1, met = 1; met; at++) {
        for (int dead = 0; dead < 2; dead++) {
            copy_of(dir, copy);
            FsFault fault = {.fail_at = at, .error_number = ENOSPC, .dead = dead};
            Fs fs = {.fault = &fault, .skip_sync = true};
            HeadOptions options = passed_options(copy, &fs, false);
            Error err = {0};
            Head *head = NULL;
            if (head_open(&options, &head, &err)) {
                CHECK_EQ(count_of(head, 0), 2);
                kept += has_snapshot(copy);
                fault.fail_at = 0;
                CHECK(has_snapshot(copy) || !head->snapshot_defines);
                head_close(head);
            }
            met = fault.calls >= at;
            fault = (FsFault){0};

            head = test_head_open(&options);

            CHECK_EQ(count_of(head, 0), 2);
            CHECK_EQ(count_of(head, 1), 2);
            CHECK(!has_snapshot(copy));
            head_close(head);
            test_dir_remove(copy);
        }
    }
    CHECK(kept > 0); // else nothing of it failed
    test_dir_remove(dir);
}

// A checkpoint of the same life does not take it away then.
TEST(head_replay_passed, stays_until_the_log_was_told)
{
    static const Entry snapshot[ENTRIES_MAX] = {{DEFINE, 5, 0}};
    static const Entry log[ENTRIES_MAX] = {{SAMPLE, 5, 100}};
    char dir[PATH_BYTES - 60];
    FsFault fault = {.fail_at = 1, .error_number = EIO, .kinds = FS_CALL_RENAME};
    Fs fs = {.fault = &fault};
    Error err = {0};

    test_dir_make(dir, sizeof dir);
    put_snapshot(dir, snapshot);
    put_log(dir, "wal/checkpoint.00000001", 0, (Entry[ENTRIES_MAX]){{0}});
    put_log(dir, "wal", 2, log);
    put_log(dir, "wal", 0, log);
    HeadOptions options = passed_options(dir, &fs, false);

    Head *head = test_head_open(&options);
    CHECK_OK(head_checkpoint(head, 0, &err), err);
    CHECK(head->counters.checkpoints > 0);
    CHECK(has_snapshot(dir));
    head_close(head);
    head = test_head_open(&options);

    CHECK_EQ(count_of(head, 0), 1);
    CHECK(!has_snapshot(dir));
    head_close(head);
    test_dir_remove(dir);
}

// Nor does an image hide from the next start that the log was not told.
TEST(head_replay_passed, no_image_is_written_until_the_log_was_told)
{
    static const Entry snapshot[ENTRIES_MAX] = {{DEFINE, 5, 0}};
    static const Entry log[ENTRIES_MAX] = {{SAMPLE, 5, 100}};
    char dir[PATH_BYTES - 60];
    char image[PATH_BYTES];
    FsFault fault = {.fail_at = 1, .error_number = EIO, .kinds = FS_CALL_RENAME};
    Fs fs = {.fault = &fault};

    test_dir_make(dir, sizeof dir);
    put_snapshot(dir, snapshot);
    put_log(dir, "wal/checkpoint.00000001", 0, (Entry[ENTRIES_MAX]){{0}});
    put_log(dir, "wal", 2, log);
    HeadOptions options = passed_options(dir, &fs, true);
    Head *head = test_head_open(&options);
    CHECK(has_snapshot(dir));
    test_put(head, 1, 101 * MINUTE_MS, 0); // the disk is well again
    head_close(head);

    head = test_head_open(&options);
    CHECK_EQ(count_of(head, 0), 1);
    CHECK(!has_snapshot(dir));
    head_close(head);
    snprintf(image, sizeof image, "%s/" HEAD_IMAGE_NAME, dir);
    (void)remove(image); // it may be lost at any time
    head = test_head_open(&options);

    CHECK_EQ(count_of(head, 0), 1);
    head_close(head);
    test_dir_remove(dir);
}

// How often the newest checkpoint says what the ref means.
static uint64_t definitions_of(const char *dir, uint64_t ref)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    uint32_t number = 0;
    uint64_t count = 0;
    Str checkpoint = STR_NONE;
    Str record;
    Str bytes;
    WalEntry entry;
    WalReader reader;
    Error err = {0};

    CHECK_OK(wal_find_checkpoint(&fs_system, arena_printf(&arena, "%s/wal", dir), &arena,
                                 &checkpoint, &number, &err),
             err);
    CHECK_OK(fs_read_file(&fs_system, wal_segment_path(&arena, checkpoint, 0), &arena, 1 << 20,
                          &bytes, &err),
             err);
    wal_reader_init(&reader, bytes);
    while (wal_reader_next(&reader, &record)) {
        WalRecordReader in = wal_record_read(record, &arena);
        while (in.type == WAL_SERIES && wal_record_next(&in, &entry))
            count += entry.ref == ref;
    }
    wal_reader_deinit(&reader);
    return count;
}

// One that still fits the log goes with the next checkpoint, too, which has to say once what each of its refs means.
TEST(head_replay_passed, what_a_fitting_one_defines_goes_into_the_checkpoint)
{
    static const struct {
        const char *name;
        Entry snapshot[ENTRIES_MAX], covered[ENTRIES_MAX], log[ENTRIES_MAX], late[ENTRIES_MAX];
        size_t want;     // samples of series 0
        uint64_t second; // another ref of it
    } cases[] = {
        {.name = "one ref", .snapshot = {{DEFINE, 5, 0}}, .log = {{SAMPLE, 5, 101}}, .want = 1},
        {.name = "two, named by the log",
         .snapshot = {{DEFINE, 5, 0}, {DEFINE, 6, 0}},
         .log = {{SAMPLE, 5, 101}, {SAMPLE, 6, 102}},
         .want = 2,
         .second = 6},
        {.name = "two, named by late samples",
         .snapshot = {{DEFINE, 5, 0}, {DEFINE, 6, 0}},
         .log = {{SAMPLE, 5, 101}},
         .late = {{SAMPLE, 6, 99}},
         .want = 2,
         .second = 6},
        {.name = "two, the second defined by the log as well",
         .snapshot = {{DEFINE, 5, 0}, {DEFINE, 6, 0}},
         .covered = {{DEFINE, 6, 0}},
         .log = {{SAMPLE, 6, 101}},
         .late = {{SAMPLE, 6, 99}},
         .want = 2,
         .second = 6},
        {.name = "the second defined by the log alone",
         .snapshot = {{DEFINE, 5, 0}},
         .covered = {{DEFINE, 6, 0}},
         .log = {{SAMPLE, 6, 101}},
         .late = {{SAMPLE, 6, 99}},
         .want = 2,
         .second = 6},
    };

    EACH_CASE(c, cases) {
        char dir[PATH_BYTES - 60];
        char killed[PATH_BYTES];
        Error err = {0};
        test_dir_make(dir, sizeof dir);
        put_snapshot(dir, c->snapshot);
        put_log(dir, "wal", 1, c->covered);
        put_log(dir, "wal", 4, c->log); // behind what the checkpoint covers
        if (c->late[0].kind)
            put_log(dir, "wbl", 0, c->late);
        HeadOptions options = passed_options(dir, &fs_system, false);

        Head *head = test_head_open(&options);
        CHECK_EQ(count_of(head, 0), c->want);
        CHECK_OK(head_checkpoint(head, 0, &err), err);
        copy_of(dir, killed);
        head_close(head);

        CHECK(!has_snapshot(killed));
        CHECK_EQ(definitions_of(killed, 5), 1);
        CHECK_EQ(definitions_of(killed, 6), c->second == 6);
        options = passed_options(killed, &fs_system, false);
        head = test_head_open(&options);
        CHECK_EQ(head->index.series.count, 1);
        CHECK_EQ(count_of(head, 0), c->want);
        CHECK_EQ(head->counters.wal_unknown[HEAD_UNKNOWN_SERIES], 0);
        CHECK_EQ(head->counters.wbl_unknown[HEAD_UNKNOWN_SERIES], 0);
        head_close(head);
        test_dir_remove(killed);
        test_dir_remove(dir);
    }
}

TEST_MAIN(head_replay_passed,
          TEST_ROW(head_replay_passed, tells_what_refs_mean_that_nothing_else_defines),
          TEST_ROW(head_replay_passed, no_image_of_before_hides_them),
          TEST_ROW(head_replay_passed, stays_where_a_damaged_log_is_mended),
          TEST_ROW(head_replay_passed, damaged_one_stays_while_the_log_has_unknown_refs),
          TEST_ROW(head_replay_passed, nothing_is_lost_if_the_disk_fails),
          TEST_ROW(head_replay_passed, stays_until_the_log_was_told),
          TEST_ROW(head_replay_passed, no_image_is_written_until_the_log_was_told),
          TEST_ROW(head_replay_passed, what_a_fitting_one_defines_goes_into_the_checkpoint))
