// SPDX-License-Identifier: Apache-2.0
#include "tsdb/head_test_util.h"

#define SERIES 24
#define STEP_MS 15000
#define SAMPLES 400 // three full chunks and an open one

// Series 0 to 15 are plain; of the others some have old samples that came late, deleted ones, histograms, or begin late.
static void fill(Head *head)
{
    for (int k = 0; k < SAMPLES; k++) {
        Appender *app = test_begin(head);
        for (int i = 0; i < SERIES; i++) {
            if (i == 20 && k < SAMPLES / 2)
                continue;
            if (i == 21 && k % 50 > 25) // gaps
                continue;
            if (i == 22 && k == 77)
                continue;
            CHECK_EQ(test_append(app, test_series(app, i), k * STEP_MS + i, k * 1.5 + i),
                     APPEND_OK);
        }
        test_commit(app);
    }
    CHECK_EQ(test_put(head, 22, 77 * STEP_MS, 7), APPEND_OK); // late
    Matcher matcher;
    Arena arena = {0};
    Error err = {0};
    CHECK_OK(matcher_init(&matcher, MATCH_EQUAL, S("i"), S("23"), &arena, &err), err);
    CHECK_OK(head_delete(head, &matcher, 1, 100 * STEP_MS, 200 * STEP_MS, &err), err);
    arena_deinit(&arena);
}

static size_t select_by(Querier *q, SelectHints hints, Arena *arena, uint64_t handles[SERIES])
{
    Matcher matcher;
    SeriesList list;
    Error err = {0};
    CHECK_OK(matcher_init(&matcher, MATCH_EQUAL, S("__name__"), S("m"), arena, &err), err);
    CHECK_OK(q->select(q, &matcher, 1, &hints, arena, &list, &err), err);
    CHECK(list.count <= SERIES);
    for (size_t i = 0; i < list.count; i++)
        handles[i] = list.series[i].handle;
    return list.count;
}

static size_t select_all(Querier *q, bool any_order, Arena *arena, uint64_t handles[SERIES])
{
    SelectHints hints = {.end_ms = INT64_MAX, .any_order = any_order};
    return select_by(q, hints, arena, handles);
}

static void check_last(const SampleColumns *got, const SampleColumns *want)
{
    CHECK_EQ(got->count > 0, want->count > 0);
    if (!want->count)
        return;
    CHECK_EQ(got->t_ms[got->count - 1], want->t_ms[want->count - 1]);
    CHECK_DOUBLE(got->value[got->count - 1], want->value[want->count - 1]);
}

TEST(head_read, many_at_once_give_what_each_alone_gives)
{
    char dir[256];
    Arena arena = {0}, scratch = {0};
    Error err = {0};
    test_dir_make(dir, sizeof dir);
    HeadOptions options = test_head_options(dir);
    options.out_of_order_window_ms = 4 * HOUR_MS;
    Head *head = test_head_open(&options);
    fill(head);
    Querier *q = test_query(head, INT64_MIN, INT64_MAX);
    uint64_t handles[SERIES];
    CHECK_EQ(select_all(q, false, &arena, handles), SERIES);
    for (int64_t at = -STEP_MS; at < (SAMPLES + 25) * STEP_MS; at += 7 * STEP_MS + 1001) {
        int64_t from = at - 20 * STEP_MS;
        SampleColumns all[SERIES], last[SERIES];
        CHECK_OK(q->read_many(q, handles, SERIES, from, at, false, &scratch, &arena, all, &err),
                 err);
        CHECK_OK(q->read_many(q, handles, SERIES, from, at, true, &scratch, &arena, last, &err),
                 err);
        for (size_t i = 0; i < SERIES; i++) {
            SampleColumns alone;
            CHECK_OK(q->read(q, handles[i], from, at, &arena, &alone, &err), err);
            CHECK_EQ(all[i].count, alone.count);
            check_last(&all[i], &alone);
            check_last(&last[i], &alone);
        }
        arena_reset(&scratch);
    }
    q->close(q);
    head_close(head);
    arena_deinit(&arena);
    arena_deinit(&scratch);
    test_dir_remove(dir);
}

static int compare_handles(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

TEST(head_read, series_that_begin_later_are_told_only_to_who_bears_empty_ones)
{
    char dir[256];
    Arena arena = {0};
    uint64_t handles[SERIES];
    test_dir_make(dir, sizeof dir);
    HeadOptions options = test_head_options(dir);
    options.out_of_order_window_ms = 4 * HOUR_MS;
    Head *head = test_head_open(&options);
    fill(head);
    Querier *q = test_query(head, 0, SAMPLES / 4 * STEP_MS);
    SelectHints exact = {.end_ms = INT64_MAX}, lax = exact;
    lax.may_be_empty = true;

    size_t without = select_by(q, exact, &arena, handles);
    size_t with = select_by(q, lax, &arena, handles);

    CHECK_EQ(without, SERIES - 1);
    CHECK_EQ(with, SERIES);
    q->close(q);
    head_close(head);
    arena_deinit(&arena);
    test_dir_remove(dir);
}

TEST(head_read, any_order_has_the_same_series)
{
    char dir[256];
    Arena arena = {0};
    test_dir_make(dir, sizeof dir);
    HeadOptions options = test_head_options(dir);
    Head *head = test_head_open(&options);
    for (int i = 0; i < SERIES; i++)
        CHECK_EQ(test_put(head, (i * 7) % SERIES, 1000, i), APPEND_OK);
    Querier *q = test_query(head, INT64_MIN, INT64_MAX);
    uint64_t sorted[SERIES], any[SERIES];
    CHECK_EQ(select_all(q, false, &arena, sorted), SERIES);
    CHECK_EQ(select_all(q, true, &arena, any), SERIES);
    CHECK_EQ(sorted[1], 8); // "10" is number ten to come: its labels come second
    qsort(sorted, SERIES, sizeof *sorted, compare_handles);
    qsort(any, SERIES, sizeof *any, compare_handles);
    CHECK_EQ(memcmp(sorted, any, sizeof sorted), 0);
    q->close(q);
    head_close(head);
    arena_deinit(&arena);
    test_dir_remove(dir);
}

TEST_MAIN(head_read, TEST_ROW(head_read, many_at_once_give_what_each_alone_gives),
          TEST_ROW(head_read, series_that_begin_later_are_told_only_to_who_bears_empty_ones),
          TEST_ROW(head_read, any_order_has_the_same_series))
