// SPDX-License-Identifier: Apache-2.0
// A start that does not read settled samples leaves what one that reads all of them leaves.
#include "tsdb/head_settled.h"

#include <stdlib.h>

#include "base/crc32c.h"
#include "base/reader.h"
#include "tsdb/head_image.h"
#include "tsdb/head_test_util.h"

#define SERIES 60
#define MINUTE_MS INT64_C(60000)
#define START_MS (400000 * HOUR_MS)
#define ROUNDS 150
#define PATH_BYTES 400
#define NEVER (-1)

static ClockFake fake;

static HeadOptions settled_options(const char *dir)
{
    HeadOptions options = test_head_options(dir);
    options.clock = &fake.clock;
    options.out_of_order_window_ms = HOUR_MS;
    options.samples_per_chunk = 8;
    options.wal_segment_bytes = 65536;
    options.start_timestamps = true;
    options.image_series_min = UINT64_MAX; // none
    options.settled_step_bytes = 1;
    return options;
}

// A head in a fresh folder, at the start of time.
static Head *begin(char dir[PATH_BYTES - 20], HeadOptions *ret_options)
{
    test_dir_make(dir, PATH_BYTES - 20);
    *ret_options = settled_options(dir);
    clock_fake_init(&fake, START_MS);
    return test_head_open(ret_options);
}

static const HistogramSpan span = {0, 2};

static Histogram two_buckets(double buckets[2], double sum)
{
    return (Histogram){.is_integer = true,
                       .count = buckets[0] + buckets[1],
                       .sum = sum,
                       .positive_spans = &span,
                       .positive_span_count = 1,
                       .positive_buckets = buckets,
                       .positive_count = 2};
}

// Every tenth series has histograms, every seventh start timestamps, every ninth late samples; every eleventh is slow.
static void put_round(Head *head, int round)
{
    Appender *app = test_begin(head);
    int64_t t_ms = START_MS + (int64_t)round * MINUTE_MS;

    fake.now_ms_value = t_ms;
    for (int i = 0; i < SERIES; i++) {
        double buckets[2] = {round, i};
        Histogram h = two_buckets(buckets, i);
        if (i % 11 == 0 && round % 4)
            continue;
        SinkSample s = {
            .ref = test_series(app, i), .t_ms = t_ms + i % 3, .value = i * 7 + round / 3};
        if (i % 10 == 0)
            s.histogram = &h;
        if (i % 7 == 0)
            s.start_ms = t_ms - 1000;
        CHECK_EQ(app->append(app, &s, 1), 1);
        if (i % 9 == 0 && round > 2)
            (void)test_append(app, s.ref, t_ms - MINUTE_MS - 5, -i);
    }
    test_commit(app);
}

static void put_value(Head *head, int i, int round, double value)
{
    fake.now_ms_value = START_MS + (int64_t)round * MINUTE_MS;
    CHECK_EQ(test_put(head, i, fake.now_ms_value, value), APPEND_OK);
}

static void put_histogram(Head *head, int i, int round, double sum)
{
    double buckets[2] = {round, i};
    Histogram h =
        is_stale_nan(sum) ? (Histogram){.is_integer = true, .sum = sum} : two_buckets(buckets, sum);
    Appender *app = test_begin(head);
    SinkSample s = {
        .ref = test_series(app, i), .t_ms = START_MS + (int64_t)round * MINUTE_MS, .histogram = &h};

    CHECK_EQ(app->append(app, &s, 1), 1);
    test_commit(app);
}

static void delete_some(Head *head)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    Matcher m;
    Error err = {0};

    CHECK_OK(matcher_init(&m, MATCH_REGEX, S("i"), S("1.*"), &arena, &err), err);
    CHECK_OK(head_delete(head, &m, 1, START_MS + 35 * MINUTE_MS, START_MS + 38 * MINUTE_MS, &err),
             err);
    matcher_deinit(&m);
}

static Str file_of(Arena *arena, const char *dir)
{
    return fs_join(arena, str_from_c(dir), S(HEAD_SETTLED_NAME));
}

static uint64_t digest_of(Head *head)
{
    Arena arena = {0};
    uint64_t digest = 1;

    for (int i = 0; i < SERIES; i++) {
        arena_reset(&arena);
        SampleColumns c = test_read(head, i, &arena);
        digest = test_mix(test_mix(digest, (uint64_t)i), c.count);
        for (size_t k = 0; k < c.count; k++) {
            const Histogram *h = c.histograms ? c.histograms[k] : NULL;
            digest = test_mix(digest, (uint64_t)c.t_ms[k]);
            digest = test_mix(digest, chunk_xor_to_bits(h ? h->count + h->sum : c.value[k]));
            digest = test_mix(digest, c.start_ms ? (uint64_t)c.start_ms[k] : 0);
        }
    }
    arena_deinit(&arena);
    HeadStale stale;
    head_stale_look(head, false, &stale);
    head_stale_free(&stale);
    digest = test_mix(digest, head->counters.stale_series);
    digest = test_mix(digest, (uint64_t)GET(head->max_t));
    digest = test_mix(digest, head->index.next_ref);
    digest = test_mix(digest, head->index.series.count);
    return test_mix(digest, head->counters.chunks);
}

typedef struct Start {
    uint64_t digest, records, torn;
    bool used;
} Start;

// Of a copy, as a crash would leave the folder.
static Start start_copy(const char *dir, bool with_file)
{
    char copy[PATH_BYTES];
    Arena arena = {0};
    Error err = {0};
    Start start;

    snprintf(copy, sizeof copy, "%s-copy", dir);
    test_copy_tree(dir, copy);
    if (!with_file)
        CHECK_OK(fs_unlink(&fs_system, file_of(&arena, copy), &err), err);
    HeadOptions options = settled_options(copy);
    Head *head = test_head_open(&options);
    start = (Start){digest_of(head), head->counters.replay_records,
                    head->counters.mmap_chunk_corruptions, head->settling.has_written};
    CHECK_EQ(test_put(head, SERIES, MAX(GET(head->max_t), START_MS), 1),
             APPEND_OK); // and it goes on
    head_close(head);
    test_dir_remove(copy);
    arena_deinit(&arena);
    return start;
}

static void check_start(const char *dir)
{
    Start all = start_copy(dir, false);
    Start rest = start_copy(dir, true);

    CHECK(rest.used);
    CHECK(!all.used);
    CHECK_EQ(rest.digest, all.digest);
    CHECK(rest.records < all.records);
}

TEST(head_settled, start_brings_what_the_log_brings)
{
    static const struct {
        const char *name;
        TsdbCompression compression;
        bool v2;
        int image_at, truncate_at, restart_at;
    } cases[] = {
        {"snappy", TSDB_COMPRESSION_SNAPPY, false, NEVER, NEVER, NEVER},
        {"zstd", TSDB_COMPRESSION_ZSTD, false, NEVER, NEVER, NEVER},
        {"plain", TSDB_COMPRESSION_NONE, false, NEVER, NEVER, NEVER},
        {"samples of version 2", TSDB_COMPRESSION_SNAPPY, true, NEVER, NEVER, NEVER},
        {"image before it", TSDB_COMPRESSION_SNAPPY, false, 10, NEVER, NEVER},
        {"image behind it", TSDB_COMPRESSION_SNAPPY, false, ROUNDS - 1, NEVER, NEVER},
        {"behind a truncation", TSDB_COMPRESSION_SNAPPY, false, NEVER, 60, NEVER},
        {"a checkpoint that holds samples", TSDB_COMPRESSION_SNAPPY, false, 50, 140, NEVER},
        {"a start before", TSDB_COMPRESSION_SNAPPY, false, NEVER, NEVER, 70},
        {"a start before that skipped some", TSDB_COMPRESSION_SNAPPY, true, 40, 60, 120},
    };

    EACH_CASE(c, cases) {
        char dir[PATH_BYTES - 20];
        Error err = {0};
        test_dir_make(dir, sizeof dir);
        HeadOptions options = settled_options(dir);
        options.wal_compression = c->compression;
        options.wal_samples_v2 = c->v2;
        clock_fake_init(&fake, START_MS);
        Head *head = test_head_open(&options);

        for (int round = 0; round < ROUNDS; round++) {
            put_round(head, round);
            head_ease_restart(head);
            if (round == 38)
                delete_some(head);
            if (round == c->image_at)
                CHECK_OK(head_image_write(head, &err), err);
            if (round == c->truncate_at)
                CHECK_OK(head_truncate(head, START_MS + (round - 30) * MINUTE_MS, &err), err);
            if (round == c->restart_at) {
                head_close(head);
                head = test_head_open(&options);
            }
        }

        check_start(dir);
        head_close(head);
        check_start(dir);
        test_dir_remove(dir);
    }
}

static void change_file(const char *dir, const char *name, int64_t at, Str bytes)
{
    char path[PATH_BYTES];
    uint64_t size = 0;
    File file = FILE_NONE;
    Error err = {0};

    snprintf(path, sizeof path, "%s/%s", dir, name);
    CHECK_OK(fs_open(&fs_system, str_from_c(path), FS_READ_WRITE, &file, &err) &&
                 file_size(&file, &size, &err),
             err);
    uint64_t offset = at < 0 ? size - (uint64_t)-at : (uint64_t)at;
    if (bytes.len)
        CHECK_OK(file_write_at(&file, offset, bytes, &err), err);
    else
        CHECK_OK(file_truncate(&file, offset, &err), err);
    file_close(&file);
}

#define SETTLED_END                                                                                \
    INT64_MIN // shortly before where the file says that the chunks, or the samples of the log, end

static HeadSettledFile read_file(const char *dir, Arena *arena)
{
    HeadSettledFile file;
    Error err = {0};
    Str bytes;

    CHECK_OK(fs_read_file(&fs_system, file_of(arena, dir), arena, 1 << 20, &bytes, &err), err);
    CHECK(head_settled_parse(bytes, arena, &file));
    CHECK_EQ(file.extent_count, 1);
    return file;
}

static void spoil(const char *dir, const char *name, int64_t at, Str bytes)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    char segment[32];

    if (at != SETTLED_END) {
        change_file(dir, name, at, bytes);
        return;
    }
    HeadSettledFile file = read_file(dir, &arena);
    snprintf(segment, sizeof segment, "wal/%08u", file.place.segment);
    if (str_equal(str_from_c(name), S("wal")))
        change_file(dir, segment, (int64_t)file.place.offset - 9, bytes);
    else
        change_file(dir, name, (int64_t)file.extents[0].bytes - 9, bytes);
}

static void make_settled(char dir[PATH_BYTES - 20])
{
    HeadOptions options;
    Head *head = begin(dir, &options);

    for (int round = 0; round < ROUNDS; round++) {
        put_round(head, round);
        head_ease_restart(head);
    }
    head_close(head);
}

TEST(head_settled, what_does_not_fit_is_not_used)
{
    static const struct {
        const char *name, *file;
        int64_t at; // below 0: from the end
        Str bytes;  // empty: it is cut there
        bool used;
    } cases[] = {
        {"another format", HEAD_SETTLED_NAME, 0, STR("X"), false},
        {"another layout", HEAD_SETTLED_NAME, 7, STR("X"), false},
        {"another segment", HEAD_SETTLED_NAME, 11, STR("X"), false},
        {"a length that is not its own", HEAD_SETTLED_NAME, 31, STR("X"), false},
        {"another checksum", HEAD_SETTLED_NAME, -1, STR("X"), false},
        {"cut off", HEAD_SETTLED_NAME, -3, STR(""), false},
        {"empty", HEAD_SETTLED_NAME, 0, STR(""), false},
        {"a chunk file that is shorter", "chunks_head/000001", 40000, STR(""), false},
        {"a chunk that is bad", "chunks_head/000001", 60, STR("XX"), false},
        {"the end of a chunk file", "chunks_head/000001", SETTLED_END, STR("XX"), false},
        {"a log that is bad before the place", "wal/00000000", 100, STR("XXXX"), true},
        {"the log just before the place", "wal", SETTLED_END, STR("XX"), false},
        {"nothing", NULL, 0, STR(""), true},
    };

    EACH_CASE(c, cases) {
        char dir[PATH_BYTES - 20];
        make_settled(dir);
        if (c->file)
            spoil(dir, c->file, c->at, c->bytes);

        CHECK_EQ(start_copy(dir, true).used, c->used);
        test_dir_remove(dir);
    }
}

#define CHUNK_HEAD_BYTES 24 // series, first and last time
#define CHUNK_CRC_BYTES 4

// The last settled chunk is another one, and whole.
static void exchange_last_chunk(const char *dir)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    HeadSettledFile file = read_file(dir, &arena);
    Buf crc = {0};
    Error err = {0};
    Str bytes;

    CHECK_OK(fs_read_file(&fs_system, fs_join(&arena, str_from_c(dir), S("chunks_head/000001")),
                          &arena, 1 << 24, &bytes, &err),
             err);
    char *chunk = NULL;
    for (Reader in = reader_from(str_sub(bytes, 8, file.extents[0].bytes - 8)); in.at < in.end;) {
        chunk = (char *)(uintptr_t)in.at;
        (void)reader_bytes(&in, CHUNK_HEAD_BYTES + 1);
        (void)reader_bytes(&in, reader_uvarint(&in) + CHUNK_CRC_BYTES);
        CHECK(!in.failed);
    }
    CHECK(chunk != NULL);
    size_t end = file.extents[0].bytes - CHUNK_CRC_BYTES;
    size_t start = (size_t)(chunk - bytes.ptr);
    chunk[CHUNK_HEAD_BYTES - 1] ^= 1; // the last time
    buf_add_u32be(&crc, crc32c(str_sub(bytes, start, end - start)));
    change_file(dir, "chunks_head/000001", (int64_t)start, str_sub(bytes, start, end - start));
    change_file(dir, "chunks_head/000001", (int64_t)end, buf_str(&crc));
    buf_deinit(&crc);
}

TEST(head_settled, chunks_that_are_whole_but_others_are_not_used)
{
    for (int others = 0; others < 2; others++) {
        char dir[PATH_BYTES - 20];
        make_settled(dir);
        if (others)
            exchange_last_chunk(dir);

        Start start = start_copy(dir, true);
        CHECK_EQ(start.used, !others);
        CHECK_EQ(start.torn, 0);
        test_dir_remove(dir);
    }
}

// As the log tells it, also where the chunks behind what is settled are torn.
TEST(head_settled, chunks_behind_it_may_be_torn)
{
    char dir[PATH_BYTES - 20];
    char copy[PATH_BYTES];
    uint64_t settled_bytes = 0;

    test_dir_make(dir, sizeof dir);
    snprintf(copy, sizeof copy, "%s-torn", dir);
    HeadOptions options = settled_options(dir);
    clock_fake_init(&fake, START_MS);
    Head *head = test_head_open(&options);
    for (int round = 0; round < ROUNDS; round++) {
        put_round(head, round);
        if (round > 130)
            continue;
        head_ease_restart(head);
        settled_bytes = head_chunks_bytes_on_disk(head->chunks);
    }
    Error err = {0};
    CHECK_OK(head_chunks_flush(head->chunks, &err), err);
    CHECK(head_chunks_bytes_on_disk(head->chunks) > settled_bytes + 100);
    test_copy_tree(dir, copy);
    change_file(copy, "chunks_head/000001", -20, S("torn"));

    check_start(copy);
    head_close(head);
    test_dir_remove(copy);
    test_dir_remove(dir);
}

// Series 1 has brought its last sample a while ago; series 0 goes on.
TEST(head_settled, chunks_of_those_that_are_silent_are_ended)
{
    static const struct {
        const char *name;
        int silent; // minutes
        bool stale, histogram, future;
        bool ended;
    } cases[] = {
        {"it is slow", 29, false, false, false, false},
        {"it is silent", 30, false, false, false, true},
        {"it may come back", 4, true, false, false, false},
        {"it has ended", 5, true, false, false, true},
        {"histograms that may come back", 4, true, true, false, false},
        {"histograms that have ended", 5, true, true, false, true},
        {"silent histograms", 30, false, true, false, true},
        {"only beside a sample of the future", 3, true, false, true, false},
    };

    EACH_CASE(c, cases) {
        char dir[PATH_BYTES - 20];
        HeadOptions options;
        Head *head = begin(dir, &options);
        double last = c->stale ? chunk_xor_from_bits(NAN_STALE_BITS) : 3;
        for (int round = 0; round < 2; round++)
            if (c->histogram)
                put_histogram(head, 1, round, round ? last : 1);
            else
                put_value(head, 1, round, round ? last : 1);
        head_ease_restart(head);
        for (int round = 2; round <= 1 + c->silent; round++)
            put_value(head, 0, round, round);
        if (c->future)
            CHECK_EQ(test_put(head, 2, fake.now_ms_value + 10 * HOUR_MS, 1), APPEND_OK);
        uint64_t full = head->counters.mmap_chunks;
        head_ease_restart(head);

        CHECK_EQ(head->counters.mmap_chunks - full, c->ended);
        HeadStale stale;
        head_stale_look(head, false, &stale);
        head_stale_free(&stale);
        CHECK_EQ(head->counters.stale_series, c->stale);
        CHECK_EQ(start_copy(dir, true).used, c->ended);
        head_close(head);
        test_dir_remove(dir);
    }
}

// Series 0 ends, leaves the head and comes back under another ref, which a start takes for the first. What it has brought since is in full
// chunks, and was not there when the log says that it has left.
TEST(head_settled, what_a_series_has_brought_since_it_came_back_stays)
{
    for (int with_image = 0; with_image < 2; with_image++) {
        char dir[PATH_BYTES - 20];
        Error err = {0};
        HeadOptions options;
        Head *head = begin(dir, &options);
        put_value(head, 0, 0, 1);
        put_value(head, 0, 1, chunk_xor_from_bits(NAN_STALE_BITS));
        test_drop_stale(head);
        CHECK_EQ(head->index.series.count, 0);
        for (int round = 2; round < 40; round++)
            put_value(head, 0, round, round);
        if (with_image) {
            head_close(head);
            head = test_head_open(&options); // knows the second ref as the first
            CHECK_EQ(head->twins.count, 1);
            CHECK_OK(head_image_write(head, &err), err);
        }
        for (int round = 40; round < 60; round++)
            put_value(head, 0, round, round);
        head_ease_restart(head);
        for (int round = 60; round < 80; round++)
            put_value(head, 0, round, round);
        head_ease_restart(head);

        check_start(dir);
        head_close(head);
        test_dir_remove(dir);
    }
}

// The newest value, of which duplicates are told.
TEST(head_settled, newest_value_is_known_where_the_log_is_not_read)
{
    char dir[PATH_BYTES - 20];
    HeadOptions options;
    Head *head = begin(dir, &options);
    put_value(head, 1, 0, 5);
    head_ease_restart(head);
    for (int round = 1; round < 40; round++)
        put_value(head, 0, round, round);
    head_close(head);

    head = test_head_open(&options);

    CHECK(head->settling.has_written);
    CHECK_EQ(test_put(head, 1, START_MS, 5), APPEND_OK);
    CHECK_EQ(test_put(head, 1, START_MS, 6), APPEND_DUPLICATE);
    head_close(head);
    test_dir_remove(dir);
}

// A truncation deletes files of full chunks that the file names.
TEST(head_settled, it_goes_along_with_truncations)
{
    char dir[PATH_BYTES - 20];
    Error err = {0};
    HeadOptions options;
    Head *head = begin(dir, &options);
    for (int round = 0; round < ROUNDS; round++) {
        put_value(head, 0, round, round);
        head_ease_restart(head);
        if (round % 40 == 39)
            CHECK_OK(head_truncate(head, START_MS + (round - 35) * MINUTE_MS, &err), err);
    }
    CHECK_OK(head_truncate(head, START_MS + (ROUNDS - 25) * MINUTE_MS, &err), err);
    CHECK(!start_copy(dir, true).used);

    head_ease_restart(head);

    check_start(dir);
    head_close(head);
    test_dir_remove(dir);
}

// Many places: the log grows, and the chunks are long.
TEST(head_settled, places_are_thinned_out)
{
    char dir[PATH_BYTES - 20];
    test_dir_make(dir, sizeof dir);
    HeadOptions options = settled_options(dir);
    options.samples_per_chunk = 120;
    clock_fake_init(&fake, START_MS);
    Head *head = test_head_open(&options);
    for (int round = 0; round < 115; round++) {
        put_value(head, 0, round, round);
        head_ease_restart(head);
        CHECK(head->settling.count <= HEAD_SETTLING_PLACES);
    }
    CHECK(!head->settling.has_written);
    CHECK(head->settling.count > 2);
    for (int round = 120; round < 135; round++)
        put_value(head, 0, round, round);

    head_ease_restart(head);

    CHECK(head->settling.has_written);
    check_start(dir);
    head_close(head);
    test_dir_remove(dir);
}

TEST_MAIN(head_settled, TEST_ROW(head_settled, start_brings_what_the_log_brings),
          TEST_ROW(head_settled, what_does_not_fit_is_not_used),
          TEST_ROW(head_settled, chunks_that_are_whole_but_others_are_not_used),
          TEST_ROW(head_settled, chunks_behind_it_may_be_torn),
          TEST_ROW(head_settled, chunks_of_those_that_are_silent_are_ended),
          TEST_ROW(head_settled, what_a_series_has_brought_since_it_came_back_stays),
          TEST_ROW(head_settled, newest_value_is_known_where_the_log_is_not_read),
          TEST_ROW(head_settled, it_goes_along_with_truncations),
          TEST_ROW(head_settled, places_are_thinned_out))
