// SPDX-License-Identifier: Apache-2.0
// What the disk may do to the head: refuse, tear, fill up, stop at any call; and what many threads may do to each other.
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>

#include "tsdb/head_test_util.h"

#define SERIES 6
#define STEP_MS 60000

// What was acknowledged: [series][minute] of in-order and [series] lists of late samples.
typedef struct Acknowledged {
    bool in_order[SERIES][1000];
    bool late[SERIES][1000];
    int64_t dropped_below; // handed over to blocks
} Acknowledged;

static HeadOptions fault_options(const char *dir, Fs *fs)
{
    HeadOptions options = test_head_options(dir);
    options.fs = fs;
    options.wal_segment_bytes = 65536;
    options.wal_compression = TSDB_COMPRESSION_NONE;
    options.out_of_order_window_ms = 100 * HOUR_MS;
    options.samples_per_chunk = 8;
    return options;
}

// A tenth of an hour in each commit; a late sample now and then; a truncation in between.
static void work(Head *head, Acknowledged *a, int from, int to)
{
    Error err = {0};

    for (int m = from; m < to; m++) {
        Appender *app = test_begin(head);
        bool taken[SERIES] = {0};
        bool late_taken[SERIES] = {0};
        for (int i = 0; i < SERIES; i++) {
            SeriesRef ref = test_series(app, i);
            taken[i] = test_append(app, ref, m * STEP_MS, i * 1000 + m) == APPEND_OK;
            if (m % 3 == i % 3 && m > 5)
                late_taken[i] = test_append(app, ref, (m - 5) * STEP_MS + 7, -m) == APPEND_OK;
        }
        if (app->commit(app, &err))
            for (int i = 0; i < SERIES; i++) {
                a->in_order[i][m] |= taken[i];
                a->late[i][m] |= late_taken[i];
            }
        if (m == 300) {
            // As if a block held them: nothing below is asked for afterwards.
            a->dropped_below = 2 * HOUR_MS;
            (void)!head_truncate(head, 2 * HOUR_MS, &err);
        }
    }
}

static bool has(const SampleColumns *c, int64_t t_ms, double value)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->t_ms[i] == t_ms)
            return c->value[i] == value;
    return false;
}

static void check_all(Head *head, const Acknowledged *a, int to)
{
    Arena arena = {0};

    for (int i = 0; i < SERIES; i++) {
        SampleColumns c = test_read(head, i, &arena);
        for (size_t k = 1; k < c.count; k++)
            CHECK(c.t_ms[k] > c.t_ms[k - 1]);
        for (int m = 0; m < to; m++) {
            if (a->in_order[i][m] && (int64_t)m * STEP_MS >= a->dropped_below &&
                !has(&c, m * STEP_MS, i * 1000 + m))
                CHECK_FAIL_("series %d lost minute %d", i, m);
            if (a->late[i][m] && !has(&c, (m - 5) * STEP_MS + 7, -m))
                CHECK_FAIL_("series %d lost its late sample of minute %d", i, m);
        }
    }
    head_check(head);
    arena_deinit(&arena);
}

// The head says what it repairs, thousands of times here.
static void be_quiet(void)
{
    log_set_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
}

TEST(head_fault, a_crash_at_any_call_loses_nothing_acknowledged)
{
    enum { TO = 420 };
    static const size_t torn[] = {0, 3, 900};
    bool completed = false;

    be_quiet();
    for (uint64_t fail_at = 1; !completed; fail_at += fail_at < 60 ? 1 : 13) {
        char dir[200];
        Acknowledged a = {.dropped_below = INT64_MIN};
        FsFault fault = {
            .fail_at = fail_at, .error_number = EIO, .torn_bytes = torn[fail_at % 3], .dead = true};
        Fs fs = {.fault = &fault};
        Error err = {0};
        Head *head = NULL;
        test_dir_make(dir, sizeof dir);
        HeadOptions options = fault_options(dir, &fs);

        if (head_open(&options, &head, &err)) {
            work(head, &a, 0, TO);
            head_close(head);
        }
        completed = fault.calls < fail_at;
        options.fs = &fs_system;
        head = test_head_open(&options);
        check_all(head, &a, TO);
        work(head, &a, TO, TO + 20);
        check_all(head, &a, TO + 20);
        head_close(head);
        head = test_head_open(&options);
        check_all(head, &a, TO + 20);
        head_close(head);
        test_dir_remove(dir);
    }
}

TEST(head_fault, one_failed_call_is_told_and_the_next_commit_goes_on)
{
    enum { TO = 420 };
    bool completed = false;

    be_quiet();
    for (uint64_t fail_at = 1; !completed; fail_at += 7) {
        char dir[200];
        Acknowledged a = {.dropped_below = INT64_MIN};
        FsFault fault = {.fail_at = fail_at, .error_number = ENOSPC, .torn_bytes = 100};
        Fs fs = {.fault = &fault};
        Error err = {0};
        Head *head = NULL;
        int refused = 0;
        test_dir_make(dir, sizeof dir);
        HeadOptions options = fault_options(dir, &fs);

        if (head_open(&options, &head, &err)) {
            work(head, &a, 0, TO);
            for (int m = 0; m < TO; m++)
                refused += !a.in_order[0][m];
            CHECK(refused <= 1);
            check_all(head, &a, TO);
            head_close(head);
        }
        completed = fault.calls < fail_at;
        options.fs = &fs_system;
        head = test_head_open(&options);
        check_all(head, &a, TO);
        head_close(head);
        test_dir_remove(dir);
    }
}

// Makes the series from `from` up to `to`, with long labels: hundreds of kilobytes of records. True if the log has taken them.
static bool make_long_series(Head *head, int from, int to, int64_t t_ms)
{
    Appender *app = test_begin(head);
    Error err = {0};

    for (int i = from; i < to; i++) {
        char number[24], filler[200];
        Label pairs[3];
        Labels labels = test_labels(pairs, number, i);
        snprintf(filler, sizeof filler, "%0*d", 190, i * 7919);
        pairs[labels.count++] = (Label){S("long"), str_from_c(filler)};
        SeriesRef ref = app->series(app, labels, NULL, &err);
        CHECK_OK(ref != 0, err);
        CHECK_EQ(test_append(app, ref, t_ms, i), APPEND_OK);
    }
    return app->commit(app, &err);
}

TEST(head_fault, series_of_a_refused_commit_are_in_the_log_before_the_next_one_s)
{
    enum { FIRST = 2000, ALL = 4000 };
    char dir[200];
    Arena arena = {0};
    FsFault fault = {.error_number = ENOSPC, .kinds = FS_CALL_WRITE};
    Fs fs = {.fault = &fault};
    be_quiet();
    test_dir_make(dir, sizeof dir);
    HeadOptions options = test_head_options(dir);
    options.fs = &fs;
    Head *head = test_head_open(&options);

    fault.fail_at = fault.calls + 1;
    CHECK(!make_long_series(head, 0, FIRST, 1000));
    CHECK(make_long_series(head, FIRST, ALL, 1000));
    for (int turn = 0; turn < 3; turn++) // and the buffers that are used again
        CHECK(make_long_series(head, ALL + turn * 300, ALL + (turn + 1) * 300, 1000));
    CHECK(make_long_series(head, 0, FIRST, 2000)); // by refs of the refused commit
    head_close(head);

    options.fs = &fs_system;
    head = test_head_open(&options);
    for (int kind = 0; kind < HEAD_UNKNOWN_KINDS; kind++)
        CHECK_EQ(head->counters.wal_unknown[kind], 0);
    for (int i = 0; i < ALL + 900; i += 13) {
        SampleColumns c = test_read(head, i, &arena);
        CHECK_EQ(c.count, 1);
        CHECK_EQ(c.t_ms[0], i < FIRST ? 2000 : 1000);
        CHECK_DOUBLE(c.value[0], i);
        arena_reset(&arena);
    }
    head_close(head);
    arena_deinit(&arena);
    test_dir_remove(dir);
}

TEST(head_fault, a_damaged_segment_costs_only_what_was_damaged)
{
    char dir[200];
    char path[300];
    Arena arena = {0};
    test_dir_make(dir, sizeof dir);
    HeadOptions options = fault_options(dir, &fs_system);
    Head *head = test_head_open(&options);
    for (int m = 0; m < 20000; m++)
        test_put(head, m % 4, m * 1000, m);
    head_close(head);
    snprintf(path, sizeof path, "%s/chunks_head", dir); // they would fill the hole
    test_dir_remove(path);
    // Somewhere in the middle of the third segment.
    snprintf(path, sizeof path, "%s/wal/00000002", dir);
    FILE *f = fopen(path, "r+");
    CHECK(f != NULL);
    fseek(f, 40000, SEEK_SET);
    fwrite("damage", 1, 6, f);
    fclose(f);

    for (int round = 0; round < 2; round++) {
        size_t count = 0;
        head = test_head_open(&options);
        for (int i = 0; i < 4; i++)
            count += test_read(head, i, &arena).count;
        CHECK(count < 20000);
        CHECK(count > 19000);
        HeadCounters counters;
        head_counters(head, &counters);
        CHECK_EQ(counters.wal_corruptions, round == 0); // mended, the original kept aside
        head_close(head);
    }
    snprintf(path, sizeof path, "%s/wal/00000002.damaged", dir);
    CHECK_EQ(access(path, F_OK), 0);
    arena_deinit(&arena);
    test_dir_remove(dir);
}

// A copy of the folder is mended on a disk that refuses the call `at` of those that change folders, and dies with it or goes on; then opened
// again. Samples that the second start has of series 0; *ret_met: the first came that far.
static size_t count_after_mending(const char *dir, uint64_t at, bool dead, bool *ret_met)
{
    char copy[300];
    Arena arena = {0};
    Error err = {0};
    Head *head = NULL;
    FsFault fault = {.fail_at = at,
                     .error_number = EIO,
                     .dead = dead,
                     .kinds = FS_CALL_LINK | FS_CALL_RENAME | FS_CALL_UNLINK | FS_CALL_SYNC_DIR};
    Fs fs = {.fault = &fault, .skip_sync = true};

    snprintf(copy, sizeof copy, "%s-copy", dir);
    test_copy_tree(dir, copy);
    HeadOptions options = fault_options(copy, &fs);
    if (head_open(&options, &head, &err))
        head_close(head);
    *ret_met = fault.calls >= at;
    fault = (FsFault){0};
    head = test_head_open(&options);
    size_t count = test_read(head, 0, &arena).count;
    head_close(head);
    arena_deinit(&arena);
    test_dir_remove(copy);
    return count;
}

TEST(head_fault, mending_a_damaged_segment_costs_nothing_where_the_disk_fails)
{
    char dir[200];
    char path[300];
    bool met = true;
    be_quiet();
    test_dir_make(dir, sizeof dir);
    HeadOptions options = fault_options(dir, &fs_system);
    Head *head = test_head_open(&options);
    for (int m = 0; m < 2000; m++) // more than a page of the log
        test_put(head, 0, m * 1000, m);
    head_close(head);
    snprintf(path, sizeof path, "%s/chunks_head", dir); // they would fill the hole
    test_dir_remove(path);
    snprintf(path, sizeof path, "%s/wal/00000000", dir);
    FILE *f = fopen(path, "r+");
    CHECK(f != NULL);
    fseek(f, 1000, SEEK_SET);
    fwrite("damage", 1, 6, f);
    fclose(f);
    size_t want = count_after_mending(dir, UINT64_MAX, false, &met);
    CHECK(want > 0);
    CHECK(want < 2000);

    met = true;
    for (uint64_t at = 1; met; at++)
        for (int dead = 0; dead < 2; dead++)
            CHECK_EQ(count_after_mending(dir, at, dead, &met), want);
    test_dir_remove(dir);
}

// --- threads ---

typedef struct Crowd {
    Head *head;
    atomic_int next_t;
    atomic_bool stop;
    atomic_long reads;
} Crowd;

#define CROWD_SERIES 40

// Each commit writes one time to all series: a reader must see it in all or in none.
static void write_crowd(void *arg)
{
    Crowd *c = arg;

    for (;;) {
        int t = atomic_fetch_add(&c->next_t, 1);
        if (t >= 1500)
            return;
        Appender *app = test_begin(c->head);
        for (int i = 0; i < CROWD_SERIES; i++)
            (void)test_append(app, test_series(app, i), 1000000 + t * 5000, t);
        test_commit(app);
    }
}

static void read_crowd(void *arg)
{
    Crowd *c = arg;

    do {
        Arena arena = {0};
        Error err = {0};
        Matcher matcher;
        SeriesList list;
        Querier *q = test_query(c->head, INT64_MIN, INT64_MAX);
        CHECK_OK(matcher_init(&matcher, MATCH_REGEX, S("i"), S(".+"), &arena, &err), err);
        CHECK_OK(q->select(q, &matcher, 1, NULL, &arena, &list, &err), err);
        int64_t newest = INT64_MIN;
        for (size_t i = 0; i < list.count; i++) {
            SampleColumns columns;
            CHECK_OK(
                q->read(q, list.series[i].handle, INT64_MIN, INT64_MAX, &arena, &columns, &err),
                err);
            CHECK(columns.count > 0);
            if (i == 0)
                newest = columns.t_ms[columns.count - 1];
            CHECK_EQ(columns.t_ms[columns.count - 1], newest);
        }
        CHECK(list.count == 0 || list.count == CROWD_SERIES);
        atomic_fetch_add(&c->reads, 1);
        matcher_deinit(&matcher);
        q->close(q);
        arena_deinit(&arena);
    } while (
        !atomic_load(&c->stop)); // once at least, though the writers may be done before it runs
}

static void truncate_crowd(void *arg)
{
    Crowd *c = arg;
    Error err = {0};

    while (!atomic_load(&c->stop)) {
        int t = atomic_load(&c->next_t) - 800;
        if (t > 0)
            CHECK_OK(head_truncate(c->head, 1000000 + t * 5000, &err), err);
        usleep(20000);
    }
}

// They would come back at the next start, and with them what was deleted of them in the block.
TEST(head_fault, nothing_is_deleted_while_the_log_cannot_forget_late_samples_that_have_a_block)
{
    static const unsigned kinds[] = {FS_CALL_UNLINK, FS_CALL_SYNC_DIR};

    for (size_t k = 0; k < COUNT_OF(kinds); k++) {
        char dir[100];
        Arena arena = {0};
        Error err = {0};
        FsFault fault = {0};
        Fs fs = {.fault = &fault, .skip_sync = true};
        int64_t min_t, max_t;
        bool any = false;
        Matcher all;
        test_dir_make(dir, sizeof dir);
        HeadOptions options = fault_options(dir, &fs);
        Head *head = test_head_open(&options);
        for (int i = 10; i >= 0; i--)
            test_put(head, 1, i * STEP_MS, i);
        CHECK_OK(matcher_init(&all, MATCH_EQUAL, S("__name__"), S("m"), &arena, &err), err);
        CHECK_OK(head_out_of_order_begin(head, &any, &min_t, &max_t, &err), err);
        CHECK(any);
        fault = (FsFault){.fail_at = 1, .error_number = EIO, .dead = true, .kinds = kinds[k]};

        CHECK(!head_out_of_order_finish(head, true, &err));
        CHECK(!head_delete(head, &all, 1, INT64_MIN, INT64_MAX, &err));
        CHECK(strstr(err.text, "out-of-order samples from the log") != NULL);
        fault = (FsFault){0};
        CHECK_OK(head_delete(head, &all, 1, 20 * STEP_MS, INT64_MAX, &err), err);
        head_close(head);
        head = test_head_open(&options);

        CHECK_EQ(test_read(head, 1, &arena).count, 1);
        head_close(head);
        matcher_deinit(&all);
        arena_deinit(&arena);
        test_dir_remove(dir);
    }
}

TEST(head_fault, readers_see_whole_commits_while_many_write)
{
    char dir[200];
    Error err = {0};
    Thread writers[3] = {0};
    Thread readers[2] = {0};
    Thread truncater = {0};
    Crowd crowd = {0};
    test_dir_make(dir, sizeof dir);
    be_quiet();
    HeadOptions options = test_head_options(dir);
    crowd.head = test_head_open(&options);

    for (size_t i = 0; i < COUNT_OF(writers); i++)
        CHECK_OK(thread_start(&writers[i], "writer", write_crowd, &crowd, &err), err);
    for (size_t i = 0; i < COUNT_OF(readers); i++)
        CHECK_OK(thread_start(&readers[i], "reader", read_crowd, &crowd, &err), err);
    CHECK_OK(thread_start(&truncater, "truncater", truncate_crowd, &crowd, &err), err);
    for (size_t i = 0; i < COUNT_OF(writers); i++)
        thread_join(&writers[i]);
    atomic_store(&crowd.stop, true);
    for (size_t i = 0; i < COUNT_OF(readers); i++)
        thread_join(&readers[i]);
    thread_join(&truncater);

    CHECK(atomic_load(&crowd.reads) > 0);
    head_check(crowd.head);
    head_close(crowd.head);
    test_dir_remove(dir);
}

TEST_MAIN(head_fault, TEST_ROW(head_fault, a_crash_at_any_call_loses_nothing_acknowledged),
          TEST_ROW(head_fault, one_failed_call_is_told_and_the_next_commit_goes_on),
          TEST_ROW(head_fault, series_of_a_refused_commit_are_in_the_log_before_the_next_one_s),
          TEST_ROW(head_fault, a_damaged_segment_costs_only_what_was_damaged),
          TEST_ROW(head_fault, mending_a_damaged_segment_costs_nothing_where_the_disk_fails),
          TEST_ROW(head_fault,
                   nothing_is_deleted_while_the_log_cannot_forget_late_samples_that_have_a_block),
          TEST_ROW(head_fault, readers_see_whole_commits_while_many_write))
