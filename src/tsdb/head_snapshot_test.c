// SPDX-License-Identifier: Apache-2.0
// A head that starts from a snapshot of its open chunks is the head that the whole log makes.
#include <errno.h>

#include "tsdb/chunk_snapshot.h"
#include "tsdb/head_image.h"
#include "tsdb/head_test_util.h"

#define SERIES 330
#define ROUNDS 50
#define STEP_MS 60000
#define PATH_BYTES 300

static TsdbProgress progress; // of the newest opening

static HeadOptions options_of(const char *dir, bool with_image)
{
    HeadOptions options = test_head_options(dir);
    options.out_of_order_window_ms = HOUR_MS;
    options.samples_per_chunk = 16;
    options.wal_segment_bytes = 65536;
    options.start_timestamps = true;
    options.max_exemplars = 100;
    options.image_series_min = with_image ? 1 : UINT64_MAX;
    options.snapshot_at_close = true;
    options.progress = &progress;
    progress = (TsdbProgress){0};
    return options;
}

static Histogram test_histogram(int i, int round, double buckets[2])
{
    static const HistogramSpan span = {0, 2};
    static const double bounds[2] = {1, 2.5};
    buckets[0] = round;
    buckets[1] = i;
    return (Histogram){.is_integer = i % 20 != 0,
                       .schema = i % 30 == 0 ? HISTOGRAM_SCHEMA_CUSTOM : 1,
                       .custom_bounds = i % 30 == 0 ? bounds : NULL,
                       .custom_count = i % 30 == 0 ? 2 : 0,
                       .count = round + i,
                       .sum = i,
                       .positive_spans = &span,
                       .positive_span_count = 1,
                       .positive_buckets = buckets,
                       .positive_count = 2};
}

// Every tenth series has histograms, every seventh start timestamps, every ninth late samples, some stop, one has exemplars.
static void put_round(Head *head, int round)
{
    Appender *app = test_begin(head);
    int64_t t_ms = (int64_t)round * STEP_MS;

    for (int i = 0; i < SERIES; i++) {
        double buckets[2];
        Histogram h = test_histogram(i, round, buckets);
        if (i % 13 == 0 && round > 20)
            continue;
        SinkSample s = {.ref = test_series(app, i), .t_ms = t_ms + i % 3, .value = i * 7 + round};
        if (i % 10 == 0)
            s.histogram = &h;
        if (i % 7 == 0)
            s.start_ms = t_ms - 1000;
        CHECK_EQ(app->append(app, &s, 1), 1);
        if (i % 9 == 0 && round > 2)
            (void)test_append(app, s.ref, t_ms - STEP_MS - 5, -i);
        if (i == 1) {
            Exemplar e = {.value = round, .t_ms = t_ms, .has_t = true};
            (void)app->exemplar(app, s.ref, &e);
        }
    }
    test_commit(app);
}

static void delete_some(Head *head)
{
    Arena arena = {0};
    Matcher m;
    Error err = {0};

    CHECK_OK(matcher_init(&m, MATCH_REGEX, S("i"), S("1.*"), &arena, &err), err);
    CHECK_OK(head_delete(head, &m, 1, 10 * STEP_MS, 12 * STEP_MS, &err), err);
    matcher_deinit(&m);
    arena_deinit(&arena);
}

static void build(const char *dir, bool with_image)
{
    HeadOptions options = options_of(dir, with_image);
    Head *head = test_head_open(&options);

    for (int round = 0; round < ROUNDS; round++)
        put_round(head, round);
    delete_some(head);
    head_close(head);
}

static uint64_t digest_of(Head *head)
{
    Arena arena = {0};
    uint64_t digest = 1;
    int64_t min_t = 0, max_t = 0;
    TsdbExemplars exemplars;
    Error err = {0};

    for (int i = 0; i < SERIES; i++) {
        arena_reset(&arena);
        SampleColumns c = test_read(head, i, &arena);
        CHECK(c.count > 0);
        for (size_t k = 0; k < c.count; k++) {
            const Histogram *h = c.histograms ? c.histograms[k] : NULL;
            digest = test_mix(digest, (uint64_t)c.t_ms[k]);
            digest = test_mix(digest, chunk_xor_to_bits(h ? h->count + h->sum : c.value[k]));
            digest = test_mix(digest, c.start_ms ? (uint64_t)c.start_ms[k] : 0);
        }
    }
    CHECK(head_time_range_all(head, &min_t, &max_t));
    CHECK_OK(head_exemplars(head, NULL, 0, INT64_MIN, INT64_MAX, &arena, &exemplars, &err), err);
    CHECK_EQ(exemplars.count, 1);
    digest = test_mix(test_mix(digest, (uint64_t)min_t), (uint64_t)max_t);
    digest = test_mix(test_mix(digest, head->index.next_ref), head->index.series.count);
    digest = test_mix(digest, exemplars.exemplar_counts[0]);
    arena_deinit(&arena);
    return digest;
}

typedef struct Opened {
    uint64_t digest;
    bool used; // the snapshot
    uint64_t errors;
} Opened;

// Of a copy, which is closed without leaving anything new worth looking at.
static Opened open_copy(const char *dir, int threads, bool with_image)
{
    char copy[PATH_BYTES];

    snprintf(copy, sizeof copy, "%s-copy", dir);
    test_copy_tree(dir, copy);
    HeadOptions options = options_of(copy, with_image);
    options.replay_threads = threads;
    Head *head = test_head_open(&options);
    head_check(head);
    Opened opened = {digest_of(head), progress.first_segment > 0, head->counters.snapshot_errors};
    put_round(head, ROUNDS * 2); // and it goes on
    head_check(head);
    head_close(head);
    test_dir_remove(copy);
    return opened;
}

static ChunkSnapshotPlace place_of(const char *dir)
{
    Arena arena = {0};
    ChunkSnapshotPlace place = {0};
    Error err = {0};

    CHECK_OK(chunk_snapshot_find(&fs_system, str_from_c(dir), &arena, &place, &err), err);
    arena_deinit(&arena);
    return place;
}

static bool has_snapshot(const char *dir)
{
    Arena arena = {0};
    ChunkSnapshotPlace place;
    Error err = {0};
    bool has = chunk_snapshot_find(&fs_system, str_from_c(dir), &arena, &place, &err);
    arena_deinit(&arena);
    return has;
}

static void drop_snapshot(const char *dir)
{
    Error err = {0};
    CHECK_OK(chunk_snapshot_remove_below(&fs_system, str_from_c(dir), UINT64_MAX, &err), err);
    CHECK(!has_snapshot(dir));
}

TEST(head_snapshot, brings_what_the_log_brings)
{
    for (int with_image = 0; with_image < 2; with_image++) {
        char dir[PATH_BYTES - 20];
        test_dir_make(dir, sizeof dir);
        build(dir, with_image);
        Opened one = open_copy(dir, 1, with_image);
        Opened many = open_copy(dir, 4, with_image);
        drop_snapshot(dir);
        Opened without = open_copy(dir, 2, with_image);

        CHECK(one.used && many.used && !without.used);
        CHECK_EQ(one.digest, without.digest);
        CHECK_EQ(many.digest, without.digest);
        CHECK_EQ(one.errors, 0);
        test_dir_remove(dir);
    }
}

// A process that started from it and was killed later starts from it again.
TEST(head_snapshot, log_goes_on_behind_it)
{
    char dir[PATH_BYTES - 20];
    char killed[PATH_BYTES - 10];

    test_dir_make(dir, sizeof dir);
    snprintf(killed, sizeof killed, "%s-k", dir);
    build(dir, false);
    HeadOptions options = options_of(dir, false);
    Head *head = test_head_open(&options);
    for (int round = ROUNDS; round < ROUNDS + 30; round++)
        put_round(head, round);
    test_copy_tree(dir, killed);
    uint64_t digest = digest_of(head);
    head_close(head);
    Opened again = open_copy(killed, 2, false);
    drop_snapshot(killed);
    Opened without = open_copy(killed, 2, false);

    CHECK(again.used && !without.used);
    CHECK_EQ(again.digest, digest);
    CHECK_EQ(without.digest, digest);
    test_dir_remove(dir);
    test_dir_remove(killed);
}

static void turn_byte(const char *path, uint64_t at)
{
    char byte;
    size_t got = 0;
    File file = FILE_NONE;
    Error err = {0};

    CHECK_OK(fs_open(&fs_system, str_from_c(path), FS_READ_WRITE, &file, &err), err);
    CHECK_OK(file_read_at(&file, at, &byte, 1, &got, &err), err);
    byte = (char)~byte;
    CHECK_OK(file_write_at(&file, at, (Str){&byte, got}, &err), err);
    file_close(&file);
}

TEST(head_snapshot, damage_is_told_and_the_log_read)
{
    static const uint64_t places[] = {0, 2, 50, 5000, 20000};
    char dir[PATH_BYTES - 60];
    char file[PATH_BYTES];

    test_dir_make(dir, sizeof dir);
    build(dir, false);
    ChunkSnapshotPlace place = place_of(dir);
    snprintf(file, sizeof file, "%s/chunk_snapshot.%06u.%010llu/00000000", dir, place.segment,
             (unsigned long long)place.offset);
    uint64_t digest = open_copy(dir, 1, false).digest;
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        turn_byte(file, places[i]);
        Opened damaged = open_copy(dir, 1, false);
        turn_byte(file, places[i]);

        CHECK(!damaged.used);
        CHECK_EQ(damaged.errors, 1);
        CHECK_EQ(damaged.digest, digest);
    }
    test_dir_remove(dir);
}

// What is lost of a file of full chunks comes from the log, and not only in the start that mends the file.
TEST(head_snapshot, goes_where_full_chunks_are_torn)
{
    char dir[PATH_BYTES - 60];
    char copy[PATH_BYTES];
    char file[PATH_BYTES];

    test_dir_make(dir, sizeof dir);
    build(dir, false);
    snprintf(file, sizeof file, "%s/chunks_head/000001", dir);
    CHECK_EQ(truncate(file, 100), 0);
    HeadOptions options = options_of(dir, false);

    Head *head = test_head_open(&options);
    CHECK_EQ(head->counters.mmap_chunk_corruptions, 1);
    snprintf(copy, sizeof copy, "%s-killed", dir);
    test_copy_tree(dir, copy); // whoever reads full chunks has them written before
    uint64_t digest = digest_of(head);
    head_close(head);
    options = options_of(copy, false);
    head = test_head_open(&options);

    CHECK_EQ(digest_of(head), digest);
    head_close(head);
    test_dir_remove(copy);
    test_dir_remove(dir);
}

TEST(head_snapshot, of_another_log_is_not_used)
{
    static const struct {
        const char *name;
        int64_t segment, offset; // added to its place
    } cases[] = {{"the log has no such segment", 1, 0},
                 {"that segment is longer", -1, 0},
                 {"and shorter", 0, 32768}};
    char dir[PATH_BYTES - 60];

    test_dir_make(dir, sizeof dir);
    build(dir, false);
    ChunkSnapshotPlace place = place_of(dir);
    CHECK(place.segment > 1 && place.offset > 0);
    uint64_t digest = open_copy(dir, 1, false).digest;
    EACH_CASE(c, cases) {
        Arena arena = {0};
        Error err = {0};
        ChunkSnapshotPlace moved = {(uint32_t)(place.segment + c->segment),
                                    (uint64_t)((int64_t)place.offset + c->offset)};
        Str from = chunk_snapshot_dir(&arena, str_from_c(dir), place);
        Str to = chunk_snapshot_dir(&arena, str_from_c(dir), moved);
        CHECK_OK(fs_rename(&fs_system, from, to, &err), err);
        Opened other = open_copy(dir, 1, false);
        CHECK_OK(fs_rename(&fs_system, to, from, &err), err);
        arena_deinit(&arena);

        CHECK(!other.used);
        CHECK_EQ(other.errors, 0);
        CHECK_EQ(other.digest, digest);
    }
    test_dir_remove(dir);
}

TEST(head_snapshot, goes_when_a_checkpoint_has_passed_it)
{
    char dir[PATH_BYTES - 20];
    Error err = {0};

    test_dir_make(dir, sizeof dir);
    build(dir, false);
    HeadOptions options = options_of(dir, false);
    options.snapshot_at_close = false;
    Head *head = test_head_open(&options);
    for (int round = ROUNDS; has_snapshot(dir) && round < ROUNDS * 20; round++) {
        put_round(head, round);
        if (round % 30 == 29)
            CHECK_OK(head_truncate(head, (round - 20) * STEP_MS, &err), err);
    }
    CHECK(!has_snapshot(dir));
    head_close(head);
    CHECK(!has_snapshot(dir));
    test_dir_remove(dir);
}

static void remove_log_before(const char *dir, uint32_t segment)
{
    Error err = {0};

    for (uint32_t i = 0; i < segment; i++) {
        char path[PATH_BYTES + 40];
        snprintf(path, sizeof path, "%s/wal/%08u", dir, i);
        CHECK_OK(fs_unlink(&fs_system, str_from_c(path), &err), err);
    }
}

static uint64_t samples_from(Head *head, int64_t min_t_ms)
{
    Arena arena = {0};
    uint64_t digest = 1;

    for (int i = 0; i < SERIES; i++) {
        arena_reset(&arena);
        SampleColumns c = test_read(head, i, &arena);
        CHECK(c.count > 0 || i % 13 == 0);
        for (size_t k = 0; k < c.count; k++)
            if (c.t_ms[k] >= min_t_ms)
                digest = test_mix(digest, (uint64_t)c.t_ms[k]);
    }
    arena_deinit(&arena);
    return digest;
}

// A Prometheus that was killed goes on with series that only its old snapshot defines, and leaves a new one when it ends.
TEST(head_snapshot, series_that_it_alone_defines_outlive_it)
{
    char dir[PATH_BYTES - 20];
    char killed[PATH_BYTES - 10];
    Error err = {0};

    test_dir_make(dir, sizeof dir);
    snprintf(killed, sizeof killed, "%s-k", dir);
    build(dir, false);
    CHECK(place_of(dir).segment > 0);
    remove_log_before(dir, place_of(dir).segment);
    HeadOptions options = options_of(dir, false);
    options.snapshot_at_close = false;
    Head *head = test_head_open(&options);
    CHECK_EQ(head->index.series.count, SERIES);
    int64_t min_t_ms = 0;
    for (int round = ROUNDS; has_snapshot(dir) && round < ROUNDS * 20; round++) {
        put_round(head, round);
        if (round % 30 != 29)
            continue;
        min_t_ms = (int64_t)(round - 20) * STEP_MS;
        CHECK_OK(head_truncate(head, min_t_ms, &err), err);
    }
    CHECK(!has_snapshot(dir));
    test_copy_tree(dir, killed);
    uint64_t digest = samples_from(head, min_t_ms);
    head_close(head);
    options.dir = str_from_c(killed);
    head = test_head_open(&options);

    CHECK_EQ(head->counters.wal_unknown[HEAD_UNKNOWN_SERIES], 0);
    CHECK_EQ(samples_from(head, min_t_ms), digest);
    head_close(head);
    test_dir_remove(dir);
    test_dir_remove(killed);
}

// A Prometheus leaves it there.
TEST(head_snapshot, goes_at_a_start_that_finds_it_passed)
{
    char dir[PATH_BYTES - 60];
    char aside[PATH_BYTES];
    Arena arena = {0};
    Error err = {0};

    test_dir_make(dir, sizeof dir);
    build(dir, false);
    snprintf(aside, sizeof aside, "%s-aside", dir);
    Str snapshot = chunk_snapshot_dir(&arena, str_from_c(dir), place_of(dir));
    test_copy_tree(str_to_c(&arena, snapshot), aside);
    HeadOptions options = options_of(dir, false);
    options.snapshot_at_close = false;
    Head *head = test_head_open(&options);
    for (int round = ROUNDS; has_snapshot(dir) && round < ROUNDS * 20; round++) {
        put_round(head, round);
        if (round % 30 == 29)
            CHECK_OK(head_truncate(head, (round - 20) * STEP_MS, &err), err);
    }
    head_close(head);
    test_copy_tree(aside, str_to_c(&arena, snapshot));

    head = test_head_open(&options);

    CHECK(!has_snapshot(dir));
    head_close(head);
    arena_deinit(&arena);
    test_dir_remove(aside);
    test_dir_remove(dir);
}

// --- the records ---

TEST(head_snapshot, records_that_lie_are_refused)
{
    uint8_t chunk[64];
    ChunkXor xor_state;
    chunk_xor_start(&xor_state, chunk);
    CHECK(chunk_xor_append(&xor_state, chunk, sizeof chunk, 1000, 1.5));
    Label pairs[2];
    char text[24];
    ChunkSnapshotSeries series = {.ref = 7,
                                  .labels = test_labels(pairs, text, 3),
                                  .encoding = CHUNK_XOR,
                                  .min_t_ms = 1000,
                                  .max_t_ms = 1000,
                                  .chunk = {(const char *)chunk, chunk_xor_bytes(&xor_state)},
                                  .value = 1.5};
    Arena arena = {0};
    Buf good = {0};
    ChunkSnapshotSeries got;
    Error err = {0};
    chunk_snapshot_add_series(&good, &series);

    CHECK_OK(chunk_snapshot_read_series(buf_str(&good), &arena, &got, &err), err);
    CHECK_EQ(got.ref, 7);
    CHECK(got.value == 1.5 && str_equal(got.chunk, series.chunk));
    CHECK(labels_equal(got.labels, series.labels));
    for (size_t len = 0; len < good.len; len++)
        CHECK(!chunk_snapshot_read_series(str_sub(buf_str(&good), 0, len), &arena, &got, &err));
    buf_add_char(&good, 0);
    CHECK(!chunk_snapshot_read_series(buf_str(&good), &arena, &got, &err));
    buf_deinit(&good);
    arena_deinit(&arena);
}

// The image is older than the snapshot: series 0 left the head in between, and its full chunks are on disk. Then it comes back.
TEST(head_snapshot, series_that_it_does_not_have_are_gone_though_an_image_has_them)
{
    char dir[PATH_BYTES - 20];
    char copy[PATH_BYTES];
    Arena arena = {0};
    Error err = {0};
    test_dir_make(dir, sizeof dir);
    snprintf(copy, sizeof copy, "%s-copy", dir);
    HeadOptions options = options_of(dir, false);
    options.out_of_order_window_ms = 0;
    Head *head = test_head_open(&options);
    for (int round = 0; round < 60; round++)
        for (int i = 0; i < 2; i++)
            CHECK_EQ(test_put(head, i, (int64_t)round * STEP_MS, i), APPEND_OK);
    CHECK_EQ(test_put(head, 0, 60 * STEP_MS, chunk_xor_from_bits(NAN_STALE_BITS)), APPEND_OK);
    CHECK_OK(head_image_write(head, &err), err);
    test_drop_stale(head);
    CHECK_EQ(head->index.series.count, 1);
    head_close(head);

    // Two starts that have the image: in the second one it has the labels, and the log behind the snapshot a ref of its own for them.
    for (int start = 0; start < 2; start++) {
        head = test_head_open(&options);
        CHECK(!head->image.stale && head->from_snapshot);
        CHECK_EQ(head->index.series.count, 1 + start);
        CHECK_EQ(test_read(head, 0, &arena).count, start);
        CHECK_EQ(test_put(head, 0, (70 + start) * STEP_MS, 7), APPEND_OK);
        test_copy_tree(dir, copy);
        head->options.snapshot_at_close = false;
        head_close(head);
    }

    // As a crash leaves it, without the image.
    options = options_of(copy, false);
    CHECK_OK(fs_unlink(&fs_system, fs_join(&arena, str_from_c(copy), S(HEAD_IMAGE_NAME)), &err),
             err);
    head = test_head_open(&options);
    CHECK(head->from_snapshot);
    CHECK_EQ(test_read(head, 0, &arena).count, 2);
    CHECK_EQ(test_read(head, 1, &arena).count, 60);
    head_close(head);
    arena_deinit(&arena);
    test_dir_remove(copy);
    test_dir_remove(dir);
}

// The series has no samples, so that it leaves the head at a start.
TEST(head_snapshot, exemplars_stay_though_their_series_is_gone)
{
    char dir[PATH_BYTES];
    Arena arena = {0};
    TsdbExemplars exemplars;
    Error err = {0};
    test_dir_make(dir, sizeof dir);
    HeadOptions options = options_of(dir, false);
    Head *head = test_head_open(&options);
    CHECK_EQ(test_put(head, 0, 0, 1), APPEND_OK);
    Appender *app = test_begin(head);
    for (int64_t t_ms = 1; t_ms < 4; t_ms++) {
        Exemplar e = {.value = 1, .t_ms = t_ms, .has_t = true};
        CHECK_EQ(app->exemplar(app, test_series(app, 1), &e), APPEND_OK);
    }
    test_commit(app);

    for (int start = 0; start < 4; start++) {
        head_close(head);
        head = test_head_open(&options);
        CHECK(head->from_snapshot);
        CHECK_EQ(head->index.series.count, 1);
        CHECK_OK(head_exemplars(head, NULL, 0, INT64_MIN, INT64_MAX, &arena, &exemplars, &err),
                 err);
        CHECK_EQ(exemplars.count, 1);
        CHECK_EQ(exemplars.exemplar_counts[0], 3);
    }
    head_close(head);
    arena_deinit(&arena);
    test_dir_remove(dir);
}

// A disk that does not give the snapshot back: the log alone is believed from then on, also when the disk has recovered.
TEST(head_snapshot, one_that_could_not_be_read_is_not_read_later)
{
    char dir[PATH_BYTES - 20];
    FsFault fault = {.error_number = EIO};
    Fs fs = {.fault = &fault};
    Error err = {0};
    test_dir_make(dir, sizeof dir);
    build(dir, false);
    HeadOptions options = options_of(dir, false);
    options.fs = &fs;
    Head *head = NULL;
    bool fell_back = false;

    for (uint64_t call = 1; !fell_back; call++) {
        fault = (FsFault){.error_number = EIO, .kinds = FS_CALL_MAP, .fail_at = call};
        if (!head_open(&options, &head, &err))
            continue;
        fell_back = head->counters.snapshot_errors > 0;
        CHECK_EQ(has_snapshot(dir), !fell_back);
        CHECK(fault.calls >= call);
        head->options.snapshot_at_close = false;
        head_close(head);
    }
    test_dir_remove(dir);
}

TEST_MAIN(head_snapshot,
          TEST_ROW(head_snapshot, series_that_it_does_not_have_are_gone_though_an_image_has_them),
          TEST_ROW(head_snapshot, one_that_could_not_be_read_is_not_read_later),
          TEST_ROW(head_snapshot, exemplars_stay_though_their_series_is_gone),
          TEST_ROW(head_snapshot, brings_what_the_log_brings),
          TEST_ROW(head_snapshot, log_goes_on_behind_it),
          TEST_ROW(head_snapshot, damage_is_told_and_the_log_read),
          TEST_ROW(head_snapshot, goes_where_full_chunks_are_torn),
          TEST_ROW(head_snapshot, of_another_log_is_not_used),
          TEST_ROW(head_snapshot, goes_when_a_checkpoint_has_passed_it),
          TEST_ROW(head_snapshot, series_that_it_alone_defines_outlive_it),
          TEST_ROW(head_snapshot, goes_at_a_start_that_finds_it_passed),
          TEST_ROW(head_snapshot, records_that_lie_are_refused))
