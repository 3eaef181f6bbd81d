// SPDX-License-Identifier: Apache-2.0
// The log of late samples as another program reads it: a marker says that a chunk has what was logged before, and a Prometheus believes it
// also where it does not find the chunk.
#include "tsdb/head_test_util.h"

#define START_MS (1000 * HOUR_MS)
#define LATE 50 // samples; a chunk of 32, the rest waits
#define PATH_MAX_BYTES 300

static HeadOptions late_options(const char *dir)
{
    HeadOptions options = test_head_options(dir);
    options.out_of_order_window_ms = HOUR_MS;
    options.image_series_min = UINT64_MAX; // none
    return options;
}

static void put_late(Head *head)
{
    test_put(head, 1, START_MS, 0);
    for (int i = 0; i < LATE; i++)
        CHECK_EQ(test_put(head, 1, START_MS - 1000 * (i + 1), i), APPEND_OK);
}

// What a reader of the log of late samples knows when it is through.
typedef struct LogView {
    int64_t t_ms[10 * LATE]; // logged since the last marker
    size_t count;
    HeadChunkRef marked; // the newest chunk that a marker names
    uint64_t bytes;
} LogView;

static void view_segment(LogView *view, Str bytes)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    WalReader reader;
    WalEntry entry;
    Str record;

    wal_reader_init(&reader, bytes);
    while (wal_reader_next(&reader, &record)) {
        WalRecordReader in = wal_record_read(record, &arena);
        while (wal_record_next(&in, &entry)) {
            if (in.type == WAL_MMAP_MARKERS) {
                view->marked = entry.chunk_ref;
                view->count = 0;
            } else {
                CHECK(view->count < COUNT_OF(view->t_ms));
                view->t_ms[view->count++] = entry.t_ms;
            }
        }
    }
    wal_reader_deinit(&reader);
}

static LogView view_log(const char *dir)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    LogView view = {.count = 0};
    WalSegments segments;
    Error err = {0};
    Str wbl = arena_printf(&arena, "%s/wbl", dir);

    CHECK_OK(wal_list(&fs_system, wbl, &arena, &segments, &err), err);
    for (size_t i = 0; i < segments.count; i++) {
        FsMap map;
        Str path = wal_segment_path(&arena, wbl, segments.items[i].number);
        if (!segments.items[i].bytes)
            continue;
        CHECK_OK(fs_map(&fs_system, path, &map, &err), err);
        view_segment(&view, map.bytes);
        view.bytes += map.bytes.len;
        fs_unmap(&map);
    }
    return view;
}

static bool knows(const LogView *view, int64_t t_ms)
{
    for (size_t i = 0; i < view->count; i++)
        if (view->t_ms[i] == t_ms)
            return true;
    return false;
}

TEST(head_replay_late, chunk_is_in_its_file_before_a_marker_names_it)
{
    char dir[128];
    char copy[PATH_MAX_BYTES];
    Arena arena = {0};
    Str file;
    Error err = {0};
    test_dir_make(dir, sizeof dir);
    HeadOptions options = late_options(dir);
    Head *head = test_head_open(&options);

    put_late(head);

    snprintf(copy, sizeof copy, "%s-killed", dir);
    test_copy_tree(dir, copy); // what a kill at this moment leaves
    LogView view = view_log(copy);
    CHECK(view.marked != 0);
    CHECK_OK(fs_read_file(&fs_system,
                          arena_printf(&arena, "%s/chunks_head/%06u", copy,
                                       head_chunks_file_of(view.marked)),
                          &arena, 1 << 20, &file, &err),
             err);
    CHECK(file.len > (uint32_t)view.marked);
    head_close(head);
    arena_deinit(&arena);
    test_dir_remove(copy);
    test_dir_remove(dir);
}

TEST(head_replay_late, samples_of_a_chunk_that_is_gone_are_logged_again_once)
{
    char dir[128];
    char chunks[PATH_MAX_BYTES];
    Arena arena = {0};
    test_dir_make(dir, sizeof dir);
    HeadOptions options = late_options(dir);
    Head *head = test_head_open(&options);
    put_late(head);
    head_close(head);
    LogView before = view_log(dir);
    CHECK(before.marked != 0 && before.count < LATE);
    snprintf(chunks, sizeof chunks, "%s/chunks_head", dir);
    test_dir_remove(chunks);

    head = test_head_open(&options);

    CHECK_EQ(test_read(head, 1, &arena).count, LATE + 1);
    LogView after = view_log(dir);
    for (int i = 0; i < LATE; i++)
        CHECK(knows(&after, START_MS - 1000 * (i + 1)));

    // The next start finds them behind the marker.
    head_close(head);
    head = test_head_open(&options);
    CHECK_EQ(test_read(head, 1, &arena).count, LATE + 1);
    CHECK_EQ(view_log(dir).bytes, after.bytes);
    head_close(head);
    arena_deinit(&arena);
    test_dir_remove(dir);
}

static void put_record(Wal *wal, WalRecordType type, uint64_t ref, int64_t t_ms)
{
    const WalSample sample = {ref, t_ms, 1};
    Label pairs[2];
    char text[24];
    Buf raw = {0};
    Error err = {0};

    WalRecordWriter writer = wal_record_begin(&raw, type);
    if (type == WAL_SERIES)
        wal_record_series(&writer, ref, test_labels(pairs, text, 1));
    else
        wal_record_samples(&writer, &sample, 1);
    WalRecord record = {.bytes = buf_str(&raw), .flags = WAL_RAW};
    CHECK_OK(wal_write(wal, &record, 1, &err), err);
    buf_deinit(&raw);
}

// A series that was dropped and came back is there under its first ref after a start.
static void write_log_of_refs(Str dir, uint64_t refs)
{
    Error err = {0};
    Wal *wal;

    CHECK_OK(wal_open(&fs_system, dir, 1 << 20, &wal, &err), err);
    for (uint64_t ref = 1; ref <= refs; ref++) {
        put_record(wal, WAL_SERIES, ref, 0);
        put_record(wal, WAL_SAMPLES, ref, START_MS - HOUR_MS + (int64_t)ref);
    }
    wal_close(wal);
}

TEST(head_replay_late, no_marker_names_chunks_of_a_series_with_two_refs)
{
    char dir[128];
    Arena arena = {0};
    test_dir_make(dir, sizeof dir);
    HeadOptions options = late_options(dir);
    write_log_of_refs(fs_join(&arena, str_from_c(dir), S("wal")), 2);

    for (int start = 0; start < 2; start++) {
        Head *head = test_head_open(&options);
        if (start == 0)
            put_late(head);
        CHECK_EQ(test_read(head, 1, &arena).count, LATE + 3);
        head_close(head);
    }

    LogView view = view_log(dir);
    CHECK_EQ(view.marked, 0);
    CHECK_EQ(view.count, LATE);
    arena_deinit(&arena);
    test_dir_remove(dir);
}

// Its checkpoint keeps the first, and the log of late samples goes on naming the second: those are in our chunk alone.
TEST(head_replay_late, chunk_without_a_marker_stays_if_its_samples_have_a_ref_that_nothing_defines)
{
    char dir[128];
    Arena arena = {0};
    Error err = {0};
    Wal *late;
    test_dir_make(dir, sizeof dir);
    Str wal = fs_join(&arena, str_from_c(dir), S("wal"));
    HeadOptions options = late_options(dir);
    write_log_of_refs(wal, 2);
    CHECK_OK(wal_open(&fs_system, fs_join(&arena, str_from_c(dir), S("wbl")), 1 << 20, &late, &err),
             err);
    put_record(late, WAL_SAMPLES, 2, START_MS - 1);
    wal_close(late);
    Head *head = test_head_open(&options);
    put_late(head); // a chunk of these and that one
    CHECK_EQ(test_read(head, 1, &arena).count, LATE + 4);
    head_close(head);
    CHECK_EQ(view_log(dir).marked, 0);
    CHECK_OK(fs_remove_tree(&fs_system, wal, &err), err);
    write_log_of_refs(wal, 1);

    for (int start = 0; start < 2; start++) {
        head = test_head_open(&options);
        SampleColumns c = test_read(head, 1, &arena);
        CHECK_EQ(head->counters.wbl_unknown[HEAD_UNKNOWN_SERIES], 1);
        CHECK_EQ(c.count, 2 + LATE + 1); // and of the log two that are in a full chunk
        CHECK_EQ(c.t_ms[c.count - 1], START_MS - 1);
        head_close(head);
    }
    arena_deinit(&arena);
    test_dir_remove(dir);
}

TEST_MAIN(head_replay_late,
          TEST_ROW(head_replay_late, chunk_is_in_its_file_before_a_marker_names_it),
          TEST_ROW(head_replay_late, samples_of_a_chunk_that_is_gone_are_logged_again_once),
          TEST_ROW(head_replay_late, no_marker_names_chunks_of_a_series_with_two_refs),
          TEST_ROW(head_replay_late,
                   chunk_without_a_marker_stays_if_its_samples_have_a_ref_that_nothing_defines))
