// SPDX-License-Identifier: Apache-2.0
#include "base/fs.h"

#include <errno.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/fs_journal.h"
#include "base/test.h"

// A scratch folder below the working directory of the test.
static Str scratch(Arena *arena)
{
    char path[] = "fs_test_XXXXXX";
    CHECK(mkdtemp(path) != NULL);
    return arena_str(arena, str_from_c(path));
}

static void clean(Str dir)
{
    Error err = {0};
    CHECK_OK(fs_remove_tree(&fs_system, dir, &err), err);
    CHECK(!fs_exists(&fs_system, dir));
}

TEST(fs, atomic_write_replaces_or_leaves_alone)
{
    Arena arena = {0};
    Error err = {0};
    Str dir = scratch(&arena);
    Str path = fs_join(&arena, dir, S("meta.json"));
    CHECK_OK(fs_write_atomic(&fs_system, path, S("old"), &err), err);

    // Each mutating call fails in turn: afterwards the file is whole, old or new.
    for (uint64_t call = 1;; call++) {
        FsFault fault = {.fail_at = call, .error_number = ENOSPC, .torn_bytes = 1};
        Fs fs = {.fault = &fault};
        bool ok = fs_write_atomic(&fs, path, S("new"), &err);
        Str got;
        CHECK_OK(fs_read_file(&fs_system, path, &arena, 100, &got, &err), err);
        CHECK(str_is(got, "old") || str_is(got, "new"));
        if (ok) {
            CHECK_STR(got, S("new"));
            CHECK(call > 3);
            break;
        }
        CHECK_OK(fs_write_atomic(&fs_system, path, S("old"), &err), err);
    }
    clean(dir);
    arena_deinit(&arena);
}

// What is at `path` in the disk that a cut left; "none" if nothing.
static Str after_cut(FsJournal *journal, size_t at, FsLoss loss, Str name, Arena *arena)
{
    Error err = {0};
    Str got = S("none");
    Str dir = arena_printf(arena, "fs_test_cut");
    Str path = fs_join(arena, dir, name);

    CHECK_OK(fs_remove_tree(&fs_system, dir, &err), err);
    CHECK_OK(fs_journal_cut(journal, at, loss, at, dir, &err), err);
    if (fs_exists(&fs_system, path))
        CHECK_OK(fs_read_file(&fs_system, path, arena, 1 << 20, &got, &err), err);
    CHECK_OK(fs_remove_tree(&fs_system, dir, &err), err);
    return got;
}

TEST(fs, atomic_write_survives_a_power_cut_behind_any_call)
{
    Arena arena = {0};
    Error err = {0};
    Str dir = scratch(&arena);
    Str path = fs_join(&arena, dir, S("meta.json"));
    Fs fs = {.journal = fs_journal_new(dir)};

    CHECK_OK(fs_write_atomic(&fs, path, S("old"), &err), err);
    size_t from = fs_journal_length(fs.journal);
    CHECK_OK(fs_write_atomic(&fs, path, S("new"), &err), err);

    CHECK_EQ(fs_journal_length(fs.journal), 2 * from);
    for (size_t at = from; at <= 2 * from; at++) {
        for (int loss = 0; loss < FS_LOSS_COUNT; loss++) {
            Str got = after_cut(fs.journal, at, (FsLoss)loss, S("meta.json"), &arena);
            CHECK(str_is(got, "old") || str_is(got, "new"));
            CHECK(str_is(got, "new") || at < 2 * from);
        }
    }
    fs_journal_free(fs.journal);
    clean(dir);
    arena_deinit(&arena);
}

TEST(fs, a_power_cut_takes_what_was_not_synced)
{
    Arena arena = {0};
    Error err = {0};
    File file = FILE_NONE;
    Str dir = scratch(&arena);
    Fs fs = {.journal = fs_journal_new(dir)};

    CHECK_OK(fs_open(&fs, fs_join(&arena, dir, S("a")), FS_CREATE, &file, &err), err);
    CHECK_OK(file_write(&file, S("synced"), &err) && file_sync(&file, &err), err);
    CHECK_OK(fs_sync_dir(&fs, dir, &err), err);
    CHECK_OK(file_write(&file, S(" and not"), &err), err);
    CHECK_OK(fs_rename(&fs, fs_join(&arena, dir, S("a")), fs_join(&arena, dir, S("b")), &err), err);
    file_close(&file);

    static const struct {
        const char *name;
        FsLoss loss;
        Str want_a, want_b;
    } cases[] = {
        {"nothing", FS_LOSS_NONE, STR("none"), STR("synced and not")},
        {"all", FS_LOSS_ALL, STR("synced"), STR("none")},
        {"bytes", FS_LOSS_BYTES, STR("none"), STR("synced")},
        {"zeros", FS_LOSS_ZEROS, STR("none"), STR("synced\0\0\0\0\0\0\0\0")},
        {"names", FS_LOSS_NAMES, STR("synced and not"), STR("none")},
    };
    EACH_CASE(c, cases) {
        size_t end = fs_journal_length(fs.journal);
        CHECK_STR(after_cut(fs.journal, end, c->loss, S("a"), &arena), c->want_a);
        CHECK_STR(after_cut(fs.journal, end, c->loss, S("b"), &arena), c->want_b);
    }
    fs_journal_free(fs.journal);
    clean(dir);
    arena_deinit(&arena);
}

// The kernel takes for written what it could not write; but not before it is written again.
TEST(fs, what_a_failed_sync_has_left_is_on_disk_after_the_next)
{
    enum { BYTES = 600000 };
    Arena arena = {0};
    Error err = {0};
    File file = FILE_NONE;
    FsFault fault = {.error_number = EIO, .kinds = FS_CALL_SYNC};
    Str dir = scratch(&arena);
    Fs fs = {.journal = fs_journal_new(dir), .fault = &fault, .skip_sync = true, .forgets = true};
    char *want = arena_alloc(&arena, BYTES);
    for (size_t i = 0; i < BYTES; i++)
        want[i] = (char)('a' + i / 1000 % 26);

    CHECK_OK(fs_open(&fs, fs_join(&arena, dir, S("a")), FS_CREATE, &file, &err), err);
    CHECK_OK(fs_sync_dir(&fs, dir, &err), err);
    CHECK_OK(file_write_at(&file, 0, (Str){want, 1000}, &err) && file_sync(&file, &err), err);
    CHECK_OK(file_write_at(&file, 1000, S("torn"), &err) && file_sync(&file, &err), err);
    CHECK_OK(file_truncate(&file, 1000, &err), err);
    CHECK_OK(file_write_at(&file, 1000, (Str){want + 1000, BYTES - 2000}, &err), err);
    fault.fail_at = fault.calls + 1;
    CHECK(!file_sync(&file, &err));
    CHECK_OK(file_write_at(&file, BYTES - 1000, (Str){want + BYTES - 1000, 1000}, &err), err);
    CHECK_OK(file_sync(&file, &err), err);
    file_close(&file);

    Str got = after_cut(fs.journal, fs_journal_length(fs.journal), FS_LOSS_ALL, S("a"), &arena);
    CHECK_EQ(got.len, BYTES);
    CHECK(str_equal(got, ((Str){want, BYTES})));
    fs_journal_free(fs.journal);
    clean(dir);
    arena_deinit(&arena);
}

TEST(fs, a_full_disk_takes_what_fits)
{
    Arena arena = {0};
    Error err = {0};
    File file = FILE_NONE;
    Str dir = scratch(&arena);
    Str path = fs_join(&arena, dir, S("a"));
    Str got;
    FsFault fault = {.limited = true, .space_bytes = 4};
    Fs fs = {.fault = &fault};

    CHECK_OK(fs_open(&fs, path, FS_CREATE, &file, &err), err);
    CHECK(!file_write(&file, S("123456"), &err));
    CHECK_HAS(err.text, "No space left");
    fault.space_bytes += 10;
    CHECK_OK(file_write_at(&file, 4, S("56"), &err), err);

    file_close(&file);
    CHECK_EQ(fault.space_bytes, 8);
    CHECK_OK(fs_read_file(&fs, path, &arena, 100, &got, &err), err);
    CHECK_STR(got, S("123456"));
    clean(dir);
    arena_deinit(&arena);
}

TEST(fs, errors_name_the_call_and_the_file)
{
    Arena arena = {0};
    Error err = {0};
    Str got;

    CHECK(!fs_read_file(&fs_system, S("does/not/exist"), &arena, 100, &got, &err));

    CHECK_EQ(err.code, ERR_NOT_FOUND);
    CHECK_HAS(err.text, "open does/not/exist: No such file or directory");
    arena_deinit(&arena);
}

TEST(fs, reading_stops_at_the_limit)
{
    Arena arena = {0};
    Error err = {0};
    Str dir = scratch(&arena);
    Str path = fs_join(&arena, dir, S("f"));
    CHECK_OK(fs_write_atomic(&fs_system, path, S("0123456789"), &err), err);
    Str got;

    CHECK(!fs_read_file(&fs_system, path, &arena, 9, &got, &err));
    CHECK_EQ(err.code, ERR_LIMIT);
    CHECK_OK(fs_read_file(&fs_system, path, &arena, 10, &got, &err), err);
    CHECK_STR(got, S("0123456789"));
    clean(dir);
    arena_deinit(&arena);
}

TEST(fs, list_is_sorted_and_map_sees_the_bytes)
{
    Arena arena = {0};
    Error err = {0};
    Str dir = scratch(&arena);
    CHECK_OK(fs_make_dirs(&fs_system, fs_join(&arena, dir, S("c/d")), &err), err);
    CHECK_OK(fs_write_atomic(&fs_system, fs_join(&arena, dir, S("b")), S("bytes"), &err), err);
    CHECK_OK(fs_write_atomic(&fs_system, fs_join(&arena, dir, S("a")), S(""), &err), err);
    FsList list;
    FsMap map;

    CHECK_OK(fs_list(&fs_system, dir, &arena, &list, &err), err);
    CHECK_EQ(list.count, 3);
    CHECK_STR(list.entries[0].name, S("a"));
    CHECK_STR(list.entries[1].name, S("b"));
    CHECK_EQ(list.entries[1].bytes, 5);
    CHECK(list.entries[2].is_dir);
    CHECK_OK(fs_map(&fs_system, fs_join(&arena, dir, S("b")), &map, &err), err);
    CHECK_STR(map.bytes, S("bytes"));
    fs_unmap(&map);
    clean(dir);
    arena_deinit(&arena);
}

TEST(fs, torn_write_leaves_what_reached_the_disk)
{
    Arena arena = {0};
    Error err = {0};
    Str dir = scratch(&arena);
    Str path = fs_join(&arena, dir, S("wal"));
    FsFault fault = {.fail_at = 2, .error_number = EIO, .torn_bytes = 4, .dead = true};
    Fs fs = {.fault = &fault};
    File file = FILE_NONE;
    Str got;

    CHECK_OK(fs_open(&fs, path, FS_CREATE, &file, &err), err);
    CHECK(!file_write(&file, S("0123456789"), &err));
    CHECK_EQ(err.code, ERR_IO);
    CHECK(!file_write(&file, S("more"), &err));
    file_close(&file);

    CHECK_OK(fs_read_file(&fs_system, path, &arena, 100, &got, &err), err);
    CHECK_STR(got, S("0123"));
    clean(dir);
    arena_deinit(&arena);
}

TEST(crc32c, matches_the_standard_check_value)
{
    CHECK_EQ(crc32c(S("123456789")), 0xE3069283u);
    CHECK_EQ(crc32c_more(crc32c(S("1234")), S("56789")), 0xE3069283u);
    CHECK_EQ(crc32c(S("")), 0);
}

TEST_MAIN(fs, TEST_ROW(fs, atomic_write_replaces_or_leaves_alone),
          TEST_ROW(fs, atomic_write_survives_a_power_cut_behind_any_call),
          TEST_ROW(fs, a_power_cut_takes_what_was_not_synced),
          TEST_ROW(fs, what_a_failed_sync_has_left_is_on_disk_after_the_next),
          TEST_ROW(fs, a_full_disk_takes_what_fits),
          TEST_ROW(fs, errors_name_the_call_and_the_file), TEST_ROW(fs, reading_stops_at_the_limit),
          TEST_ROW(fs, list_is_sorted_and_map_sees_the_bytes),
          TEST_ROW(fs, torn_write_leaves_what_reached_the_disk),
          TEST_ROW(crc32c, matches_the_standard_check_value))
