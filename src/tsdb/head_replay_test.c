// SPDX-License-Identifier: Apache-2.0
// The head that comes out of a log must not depend on how many threads read it, nor on where the log is damaged.
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "base/crc32c.h"
#include "tsdb/head_image.h"
#include "tsdb/head_replay_ring.h"
#include "tsdb/head_test_util.h"

#define SERIES 700 // three stripes
#define STEP_MS 300000
#define ROUNDS 60
#define NEVER (-1)
#define PATH_MAX_BYTES 300

static HeadOptions replay_options(const char *dir)
{
    HeadOptions options = test_head_options(dir);
    options.out_of_order_window_ms = HOUR_MS;
    options.samples_per_chunk = 8;
    options.wal_segment_bytes = 65536;
    options.start_timestamps = true;
    options.image_series_min = UINT64_MAX; // none
    return options;
}

// Every tenth series has histograms, every seventh start timestamps, every ninth late samples; every eleventh stops and comes back.
static void put_round(Head *head, int round)
{
    static const HistogramSpan span = {0, 2};
    Appender *app = test_begin(head);
    int64_t t_ms = (int64_t)round * STEP_MS;

    for (int i = 0; i < SERIES; i++) {
        double buckets[2] = {round, i};
        Histogram h = {.is_integer = true,
                       .count = round + i,
                       .sum = i,
                       .positive_spans = &span,
                       .positive_span_count = 1,
                       .positive_buckets = buckets,
                       .positive_count = 2};
        if (i % 11 == 0 && round > 5 && round < 50)
            continue;
        SinkSample s = {
            .ref = test_series(app, i), .t_ms = t_ms + i % 3, .value = i * 7 + round / 3};
        if (i % 10 == 0)
            s.histogram = &h;
        if (i % 7 == 0)
            s.start_ms = t_ms - 1000;
        CHECK_EQ(app->append(app, &s, 1), 1);
        if (i % 9 == 0 && round > 2)
            (void)test_append(app, s.ref, t_ms - STEP_MS - 5, -i);
    }
    test_commit(app);
}

static void delete_some(Head *head, Arena *arena)
{
    Matcher m;
    Error err = {0};

    CHECK_OK(matcher_init(&m, MATCH_REGEX, S("i"), S("1.*"), arena, &err), err);
    CHECK_OK(head_delete(head, &m, 1, 35 * STEP_MS, 38 * STEP_MS, &err), err);
    matcher_deinit(&m);
}

// With an image behind round `image_at`.
static void build(const char *dir, int image_at)
{
    Arena arena = {0};
    Error err = {0};
    HeadOptions options = replay_options(dir);
    Head *head = test_head_open(&options);

    for (int round = 0; round < ROUNDS; round++) {
        if (round == image_at)
            CHECK_OK(head_image_write(head, &err), err);
        put_round(head, round);
        if (round == 38)
            delete_some(head, &arena);
        if (round == 30) {
            CHECK_OK(head_truncate(head, 2 * HOUR_MS, &err), err);
            CHECK_OK(head_truncate(head, 2 * HOUR_MS, &err), err);
            CHECK_OK(head_truncate(head, 2 * HOUR_MS, &err),
                     err); // now those that stopped are old enough to go
        }
    }
    head_close(head);
    arena_deinit(&arena);
}

static uint64_t digest_columns(uint64_t digest, const SampleColumns *c)
{
    for (size_t i = 0; i < c->count; i++) {
        const Histogram *h = c->histograms ? c->histograms[i] : NULL;
        digest = test_mix(digest, (uint64_t)c->t_ms[i]);
        digest = test_mix(digest, h ? chunk_xor_to_bits(h->count) : chunk_xor_to_bits(c->value[i]));
    }
    return digest;
}

static uint64_t digest_of(Head *head, uint64_t *ret_samples)
{
    Arena arena = {0};
    uint64_t digest = 1;

    *ret_samples = 0;
    for (int i = 0; i < SERIES; i++) {
        arena_reset(&arena);
        SampleColumns c = test_read(head, i, &arena);
        digest = digest_columns(test_mix(digest, (uint64_t)i), &c);
        *ret_samples += c.count;
    }
    arena_deinit(&arena);
    int64_t min_t = 0;
    int64_t max_t = 0;
    CHECK(head_time_range_all(head, &min_t, &max_t));
    digest = test_mix(digest, (uint64_t)min_t);
    digest = test_mix(digest, (uint64_t)max_t);
    digest = test_mix(digest, head->index.next_ref);
    digest = test_mix(digest, head->index.series.count);
    digest = test_mix(digest, head->twins.count);
    return test_mix(digest, head->counters.chunks);
}

static bool image_used; // by the newest digest_with

static uint64_t digest_with(const char *dir, int threads, uint64_t *ret_samples)
{
    char copy[PATH_MAX_BYTES];

    snprintf(copy, sizeof copy, "%s-copy", dir);
    test_copy_tree(dir, copy);
    HeadOptions options = replay_options(copy);
    options.replay_threads = threads;
    Head *head = test_head_open(&options);
    image_used = !head->image.stale;
    head_check(head);
    uint64_t digest = digest_of(head, ret_samples);
    put_round(head, ROUNDS); // and it goes on
    head_check(head);
    head_close(head);
    test_dir_remove(copy);
    return digest;
}

TEST(head_replay, many_threads_leave_what_one_leaves)
{
    char dir[PATH_MAX_BYTES - 20];
    uint64_t samples;
    uint64_t again;

    test_dir_make(dir, sizeof dir);
    build(dir, NEVER);
    uint64_t one = digest_with(dir, 1, &samples);
    CHECK(samples > SERIES * (ROUNDS - 24) / 2);
    for (int threads = 2; threads <= 8; threads += 3) {
        uint64_t many = digest_with(dir, threads, &again);
        CHECK_EQ(again, samples);
        CHECK_EQ(many, one);
    }
    test_dir_remove(dir);
}

// Turns bits over in the middle of the newest segment but `back`.
static void damage(const char *dir, size_t back)
{
    Arena arena = {0};
    WalSegments segments;
    Error err = {0};
    char wal[PATH_MAX_BYTES];

    snprintf(wal, sizeof wal, "%s/wal", dir);
    CHECK_OK(wal_list(&fs_system, str_from_c(wal), &arena, &segments, &err), err);
    CHECK(segments.count > back + 2);
    while (segments.items[segments.count - 1 - back].bytes < 3 * WAL_PAGE_BYTES / 2)
        back++;
    const WalSegment *s = &segments.items[segments.count - 1 - back];
    File file = FILE_NONE;
    CHECK_OK(fs_open(&fs_system, wal_segment_path(&arena, str_from_c(wal), s->number),
                     FS_READ_WRITE, &file, &err),
             err);
    CHECK_OK(file_write_at(&file, s->bytes / 2, S("\x55\xaa\x55\xaa\x55\xaa\x55\xaa"), &err), err);
    file_close(&file);
    arena_deinit(&arena);
}

TEST(head_replay, damage_is_stepped_over_whatever_the_threads)
{
    char dir[PATH_MAX_BYTES - 20];
    uint64_t whole;
    uint64_t samples;
    uint64_t again;

    test_dir_make(dir, sizeof dir);
    build(dir, NEVER);
    (void)digest_with(dir, 1, &whole);
    damage(dir, 1);
    uint64_t one = digest_with(dir, 1, &samples);
    CHECK(samples < whole);
    CHECK(samples > whole * 3 / 4);
    CHECK_EQ(digest_with(dir, 5, &again), one);
    CHECK_EQ(again, samples);
    test_dir_remove(dir);
}

// --- the image of the series ---

static bool has_image(const char *dir)
{
    char path[PATH_MAX_BYTES];

    snprintf(path, sizeof path, "%s/narthex_series", dir);
    return fs_exists(&fs_system, str_from_c(path));
}

static void drop_image(const char *dir)
{
    char path[PATH_MAX_BYTES];
    Error err = {0};

    snprintf(path, sizeof path, "%s/narthex_series", dir);
    CHECK_OK(fs_unlink(&fs_system, str_from_c(path), &err), err);
}

TEST(head_replay, image_brings_what_the_log_brings)
{
    static const struct {
        const char *name;
        int at;
        bool fits;
    } cases[] = {{"covered by the checkpoint", 3, false},
                 {"before the truncations", 29, false},
                 {"behind them", 45, true},
                 {"at the end", ROUNDS - 1, true}};

    EACH_CASE(c, cases) {
        char dir[PATH_MAX_BYTES - 20];
        uint64_t samples;
        uint64_t without;
        test_dir_make(dir, sizeof dir);
        build(dir, c->at);
        CHECK(has_image(dir));
        uint64_t one = digest_with(dir, 1, &samples);
        CHECK_EQ(image_used, c->fits);
        CHECK_EQ(digest_with(dir, 4, &without), one);
        drop_image(dir);
        CHECK_EQ(digest_with(dir, 3, &without), one);
        CHECK(!image_used);
        CHECK_EQ(without, samples);
        test_dir_remove(dir);
    }
}

// Turns one byte of a file over.
static void turn_byte(const char *dir, const char *name, uint64_t at)
{
    char path[PATH_MAX_BYTES];
    char byte;
    size_t got = 0;
    File file = FILE_NONE;
    Error err = {0};

    snprintf(path, sizeof path, "%s/%s", dir, name);
    CHECK_OK(fs_open(&fs_system, str_from_c(path), FS_READ_WRITE, &file, &err), err);
    CHECK_OK(file_read_at(&file, at, &byte, 1, &got, &err), err);
    byte = (char)~byte;
    CHECK_OK(file_write_at(&file, at, (Str){&byte, got}, &err), err);
    file_close(&file);
}

TEST(head_replay, image_that_does_not_fit_is_not_used)
{
    static const struct {
        const char *name;
        uint64_t at; // of the byte that is turned over in the image
    } cases[] = {{"another format", 0}, {"another layout", 7},    {"another segment", 11},
                 {"a block", 200},      {"a block's length", 70}, {"the series", 3000}};

    char dir[PATH_MAX_BYTES - 20];
    uint64_t samples;
    uint64_t again;
    test_dir_make(dir, sizeof dir);
    build(dir, ROUNDS - 2);
    uint64_t one = digest_with(dir, 1, &samples);
    CHECK(image_used);
    EACH_CASE(c, cases) {
        turn_byte(dir, "narthex_series", c->at);
        CHECK_EQ(digest_with(dir, 2, &again), one);
        CHECK(!image_used);
        turn_byte(dir, "narthex_series", c->at);
    }
    CHECK_EQ(digest_with(dir, 2, &again), one);
    CHECK(image_used);
    test_dir_remove(dir);
}

// Whole by its checksums, but not what it says: it is met when the log is being read already.
TEST(head_replay, image_that_contradicts_itself_is_not_used)
{
    enum { SERIES_AT = 36, HEADER_CRC_AT = 56 };
    static const struct {
        const char *name;
        int byte, change; // of the number of series
    } cases[] = {{"one more", 7, 1}, {"one less", 7, -1}, {"far more", 4, 1}};
    char dir[PATH_MAX_BYTES - 20];
    char path[PATH_MAX_BYTES];
    uint64_t samples;
    uint64_t again;
    Arena arena = {0};
    Str bytes;
    Error err = {0};

    test_dir_make(dir, sizeof dir);
    build(dir, ROUNDS - 2);
    uint64_t one = digest_with(dir, 1, &samples);
    CHECK(image_used);
    snprintf(path, sizeof path, "%s/narthex_series", dir);
    CHECK_OK(fs_read_file(&fs_system, str_from_c(path), &arena, 1 << 30, &bytes, &err), err);
    char *at = (char *)(uintptr_t)bytes.ptr; // the arena's
    EACH_CASE(c, cases) {
        at[SERIES_AT + c->byte] = (char)(at[SERIES_AT + c->byte] + c->change);
        uint32_t crc = __builtin_bswap32(crc32c((Str){at, HEADER_CRC_AT}));
        memcpy(at + HEADER_CRC_AT, &crc, sizeof crc);
        CHECK_OK(fs_write_atomic(&fs_system, str_from_c(path), (Str){at, bytes.len}, &err), err);
        at[SERIES_AT + c->byte] = (char)(at[SERIES_AT + c->byte] - c->change);

        for (int threads = 1; threads <= 4; threads += 3) {
            CHECK_EQ(digest_with(dir, threads, &again), one);
            CHECK_EQ(again, samples);
            CHECK(!image_used);
        }
    }
    arena_deinit(&arena);
    test_dir_remove(dir);
}

// As if another program had begun a new log in the folder.
TEST(head_replay, image_of_another_log_is_not_used)
{
    char dir[PATH_MAX_BYTES - 20];
    char other[PATH_MAX_BYTES - 20];
    char from[PATH_MAX_BYTES];
    char to[PATH_MAX_BYTES];
    uint64_t samples;
    uint64_t again;
    Arena arena = {0};
    Str bytes;
    Error err = {0};

    test_dir_make(dir, sizeof dir);
    test_dir_make(other, sizeof other);
    build(dir, ROUNDS - 2);
    HeadOptions options = replay_options(other);
    Head *head = test_head_open(&options);
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < 300; i++)
            (void)test_put(head, 5000 - i, round * STEP_MS, i);
    head_close(head);
    uint64_t one = digest_with(other, 1, &samples);
    snprintf(from, sizeof from, "%s/narthex_series", dir);
    snprintf(to, sizeof to, "%s/narthex_series", other);
    CHECK_OK(fs_read_file(&fs_system, str_from_c(from), &arena, 1 << 30, &bytes, &err), err);
    CHECK_OK(fs_write_atomic(&fs_system, str_from_c(to), bytes, &err), err);
    CHECK_EQ(digest_with(other, 1, &again), one);
    CHECK(!image_used);
    arena_deinit(&arena);
    test_dir_remove(dir);
    test_dir_remove(other);
}

static void write_log(const char *dir, const char *name, Str record)
{
    Wal *wal;
    Error err = {0};
    char path[PATH_MAX_BYTES];
    WalRecord r = {.bytes = record, .flags = WAL_RAW};

    snprintf(path, sizeof path, "%s/%s", dir, name);
    CHECK_OK(wal_open(&fs_system, str_from_c(path), 128u << 20, &wal, &err), err);
    CHECK_OK(wal_write(wal, &r, 1, &err), err);
    wal_close(wal);
}

TEST(head_replay, counts_what_belongs_to_series_that_no_record_names)
{
    static const WalSample samples[] = {{7, 1000, 1}, {7, 2000, 1}, {9, 1000, 1}};
    char dir[PATH_MAX_BYTES - 20];
    CLEANUP(buf_deinit) Buf raw = {0};
    HeadCounters c;

    test_dir_make(dir, sizeof dir);
    WalRecordWriter writer = wal_record_begin(&raw, WAL_SAMPLES);
    wal_record_samples(&writer, samples, 3);
    write_log(dir, "wal", buf_str(&raw));
    buf_reset(&raw);
    writer = wal_record_begin(&raw, WAL_SAMPLES);
    wal_record_samples(&writer, samples, 1);
    write_log(dir, "wbl", buf_str(&raw));
    log_setup(LOG_ERROR + 1, LOG_LOGFMT);

    HeadOptions options = replay_options(dir);
    Head *head = test_head_open(&options);
    head_counters(head, &c);

    CHECK_EQ(c.wal_unknown[HEAD_UNKNOWN_SERIES], 2);
    CHECK_EQ(c.wal_unknown[HEAD_UNKNOWN_SAMPLES], 3);
    CHECK_EQ(c.wal_unknown[HEAD_UNKNOWN_HISTOGRAMS], 0);
    CHECK_EQ(c.wbl_unknown[HEAD_UNKNOWN_SERIES], 1);
    CHECK_EQ(c.wbl_unknown[HEAD_UNKNOWN_SAMPLES], 1);
    head_close(head);
    test_dir_remove(dir);
}

// As in the log of an original whose targets were new at the same time.
TEST(head_replay, series_may_be_logged_in_any_order_of_their_refs)
{
    static const uint64_t refs[] = {1, 4, 7, 2, 5, 8, 3, 6, 9};
    char dir[PATH_MAX_BYTES - 20];
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    CLEANUP(buf_deinit) Buf raw = {0};
    Querier *q;
    SeriesList list;
    Matcher job;
    Error err = {0};

    test_dir_make(dir, sizeof dir);
    WalRecordWriter writer = wal_record_begin(&raw, WAL_SERIES);
    for (size_t i = 0; i < COUNT_OF(refs); i++) {
        char text[8];
        snprintf(text, sizeof text, "%" PRIu64, refs[i]);
        const Label pairs[] = {{S("job"), refs[i] % 2 ? S("odd") : S("even")},
                               {S("ref"), str_from_c(text)}};
        wal_record_series(&writer, refs[i], (Labels){pairs, 2});
    }
    write_log(dir, "wal", buf_str(&raw));
    buf_reset(&raw);
    writer = wal_record_begin(&raw, WAL_SAMPLES);
    for (size_t i = 0; i < COUNT_OF(refs); i++)
        wal_record_samples(&writer, &(WalSample){refs[i], 1000, 1}, 1);
    write_log(dir, "wal", buf_str(&raw));

    HeadOptions options = replay_options(dir);
    Head *head = test_head_open(&options);

    head_check(head);
    CHECK_OK(head_read_open(&head->source, INT64_MIN, INT64_MAX, &q, &err), err);
    CHECK_OK(q->select(q, NULL, 0, NULL, &arena, &list, &err), err);
    CHECK_EQ(list.count, COUNT_OF(refs));
    CHECK_OK(matcher_init(&job, MATCH_EQUAL, S("job"), S("odd"), &arena, &err), err);
    CHECK_OK(q->select(q, &job, 1, NULL, &arena, &list, &err), err);
    CHECK_EQ(list.count, 5);
    matcher_deinit(&job);
    q->close(q);
    head_close(head);
    test_dir_remove(dir);
}

// --- the ring ---

typedef struct RingTest {
    ReplayRing ring;
    uint64_t places[3];
    uint64_t sum;
} RingTest;

static void empty_ring(void *arg)
{
    RingTest *t = arg;
    unsigned place;

    for (uint64_t next = 1; replay_ring_empty(&t->ring, &place); next++) {
        CHECK_EQ(t->places[place], next);
        t->sum += t->places[place];
        t->places[place] = 0;
        replay_ring_emptied(&t->ring);
    }
}

TEST(head_replay, ring_hands_everything_over_once_and_in_order)
{
    RingTest t = {0};
    Thread thread = {0};
    Error err = {0};

    replay_ring_init(&t.ring, "test", COUNT_OF(t.places));
    CHECK_OK(thread_start(&thread, "ring", empty_ring, &t, &err), err);
    for (uint64_t i = 1; i <= 10000; i++) {
        unsigned place = replay_ring_fill(&t.ring);
        CHECK_EQ(t.places[place], 0);
        t.places[place] = i;
        replay_ring_filled(&t.ring);
    }
    replay_ring_end(&t.ring);
    thread_join(&thread);
    CHECK_EQ(t.sum, 10000ull * 10001 / 2);
    replay_ring_deinit(&t.ring);
}

// --- the pool that threads share ---

typedef struct PoolTest {
    Pool *pool;
    uint64_t seed;
    PoolHandle kept[500];
} PoolTest;

static void use_pool(void *arg)
{
    static const uint32_t sizes[] = {8, 64, 24, 4096, 9000};
    PoolTest *t = arg;
    Pool part;
    Random random;

    random_seed(&random, t->seed);
    pool_part_begin(t->pool, &part);
    for (int i = 0; i < 20000; i++) {
        size_t at = random_below(&random, COUNT_OF(t->kept));
        uint32_t bytes = sizes[random_below(&random, COUNT_OF(sizes))];
        if (t->kept[at])
            CHECK_EQ(*(uint64_t *)(void *)pool_at(t->pool, t->kept[at]),
                     t->seed << 32 | t->kept[at]);
        pool_free(t->pool, t->kept[at]);
        t->kept[at] = pool_alloc(t->pool, bytes);
        *(uint64_t *)(void *)pool_at(t->pool, t->kept[at]) = t->seed << 32 | t->kept[at];
    }
    pool_part_end(t->pool, &part);
}

TEST(head_replay, threads_share_a_pool_without_sharing_pieces)
{
    Pool pool;
    Lock lock;
    PoolTest tests[4] = {0};
    Thread threads[4] = {0};
    Error err = {0};

    pool_init(&pool);
    PoolHandle before = pool_alloc(&pool, 64);
    lock_init(&lock, "pool", POOL_SHARE_RANK);
    pool_share(&pool, &lock);
    for (size_t i = 0; i < COUNT_OF(tests); i++) {
        tests[i].pool = &pool;
        tests[i].seed = i + 1;
        CHECK_OK(thread_start(&threads[i], "pool", use_pool, &tests[i], &err), err);
    }
    for (size_t i = 0; i < COUNT_OF(tests); i++)
        thread_join(&threads[i]);
    pool_unshare(&pool);
    lock_deinit(&lock);
    for (size_t i = 0; i < COUNT_OF(tests); i++)
        for (size_t k = 0; k < COUNT_OF(tests[i].kept); k++) {
            if (tests[i].kept[k])
                CHECK_EQ(*(uint64_t *)(void *)pool_at(&pool, tests[i].kept[k]),
                         tests[i].seed << 32 | tests[i].kept[k]);
            pool_free(&pool, tests[i].kept[k]);
        }
    pool_free(&pool, before);
    CHECK_EQ(pool.live_bytes, 0);
    pool_trim(&pool);
    CHECK_EQ(pool.held_bytes, 0);
    pool_deinit(&pool);
}

// --- chunks on disk ---

#define OWNERS 70

static size_t full_chunks(Head *head, int series)
{
    Appender *app = test_begin(head);
    SeriesSlot slot = series_slot(&head->index.series, test_series(app, series));

    app->rollback(app);
    return head_full_count(&head->pool, series_at(&head->index.series, slot)->full);
}

// Refs beside each other, far from each other, with one chunk, with many and with none.
TEST(head_replay, every_series_finds_its_chunks)
{
    for (int with_image = 0; with_image < 2; with_image++) {
        char dir[256];
        Error err = {0};
        size_t before[OWNERS];
        size_t most = 0;

        test_dir_make(dir, sizeof dir);
        HeadOptions options = test_head_options(dir);
        options.samples_per_chunk = 4;
        Head *head = test_head_open(&options);
        for (int t = 0; t < 300; t++)
            for (int i = 0; i < OWNERS; i++)
                if (t == 0 || i % 16 == 15 || (t < 20 && i % 3 == 0 && i > 30))
                    CHECK_EQ(test_put(head, i, 1000 * (t + 1), t), APPEND_OK);
        for (int i = 0; i < OWNERS; i++) {
            before[i] = full_chunks(head, i);
            most = MAX(most, before[i]);
        }
        CHECK(most > 16 && !before[0] && before[33]);
        if (with_image)
            CHECK_OK(head_image_write(head, &err), err);
        head_close(head);
        head = test_head_open(&options);
        for (int i = 0; i < OWNERS; i++)
            CHECK_EQ(full_chunks(head, i), before[i]);
        CHECK_EQ(head->image.stale, !with_image);
        head_close(head);
        test_dir_remove(dir);
    }
}

// Series 0 ended, left the head and came back: it has full chunks under its second ref, which only a record of the log tells, and by then newer ones
// under the first, so that nobody puts the older samples in from the log.
TEST(head_replay, chunks_under_a_second_ref_are_found_behind_a_checkpoint)
{
    char dir[256];
    Arena arena = {0};
    Error err = {0};
    int t = 0;

    test_dir_make(dir, sizeof dir);
    HeadOptions options = test_head_options(dir);
    options.samples_per_chunk = 4;
    Head *head = test_head_open(&options);
    CHECK_EQ(test_put(head, 0, 1000, chunk_xor_from_bits(NAN_STALE_BITS)), APPEND_OK);
    test_drop_stale(head);
    CHECK_EQ(head->index.series.count, 0);
    for (; t < 20; t++)
        CHECK_EQ(test_put(head, 0, 2000 + t * 1000, t), APPEND_OK);
    head_close(head);
    head = test_head_open(&options);
    CHECK_EQ(head->twins.count, 1);
    head->twins_in_wbl = false; // as behind a block of late samples
    for (; t < 40; t++)
        CHECK_EQ(test_put(head, 0, 2000 + t * 1000, t), APPEND_OK);
    for (int cuts = 0; cuts < 6; cuts++) {
        CHECK_EQ(test_put(head, 1, 2000 + cuts * 1000, cuts), APPEND_OK);
        CHECK_OK(head_checkpoint(head, 0, &err), err);
    }
    head_close(head);

    head = test_head_open(&options);
    SampleColumns got = test_read(head, 0, &arena);
    CHECK_EQ(got.count, t);
    for (int i = 0; i < t; i++)
        CHECK_DOUBLE(got.value[i], i);
    arena_deinit(&arena);
    head_close(head);
    test_dir_remove(dir);
}

TEST_MAIN(head_replay, TEST_ROW(head_replay, every_series_finds_its_chunks),
          TEST_ROW(head_replay, chunks_under_a_second_ref_are_found_behind_a_checkpoint),
          TEST_ROW(head_replay, many_threads_leave_what_one_leaves),
          TEST_ROW(head_replay, damage_is_stepped_over_whatever_the_threads),
          TEST_ROW(head_replay, image_brings_what_the_log_brings),
          TEST_ROW(head_replay, image_that_does_not_fit_is_not_used),
          TEST_ROW(head_replay, image_that_contradicts_itself_is_not_used),
          TEST_ROW(head_replay, image_of_another_log_is_not_used),
          TEST_ROW(head_replay, counts_what_belongs_to_series_that_no_record_names),
          TEST_ROW(head_replay, series_may_be_logged_in_any_order_of_their_refs),
          TEST_ROW(head_replay, ring_hands_everything_over_once_and_in_order),
          TEST_ROW(head_replay, threads_share_a_pool_without_sharing_pieces))
