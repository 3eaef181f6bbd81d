// SPDX-License-Identifier: Apache-2.0
#include "tsdb/head_test_util.h"

#define SERIES 40
#define SAMPLES 700

typedef struct Plan {
    int64_t t_ms[SAMPLES];
    double value[SAMPLES];
} Plan;

// All series are at about the same time at the same place: none falls too far behind.
static Plan plan_of(Random *random, int i)
{
    Plan plan;
    Random steps;
    int64_t t = HOUR_MS;
    double value = 0;

    random_seed(&steps, 7);
    for (size_t k = 0; k < SAMPLES; k++) {
        int64_t step = 15000 + (int64_t)random_below(&steps, k % 100 < 50 ? 2 : 60000);
        t += step;
        value = i % 2 ? random_double(random) : value + (double)random_below(random, 5);
        plan.t_ms[k] = t + (i % 3 ? (int64_t)random_below(random, 15000) : 0);
        plan.value[k] = value;
    }
    return plan;
}

// Appends the samples of all series, `most` of each at a time.
static void fill(Head *head, const Plan *plans, size_t most)
{
    for (size_t from = 0; from < SAMPLES; from += most) {
        Appender *app = test_begin(head);
        for (int i = 0; i < SERIES; i++) {
            SeriesRef ref = test_series(app, i);
            for (size_t k = from; k < MIN(from + most, SAMPLES); k++)
                CHECK_EQ(test_append(app, ref, plans[i].t_ms[k], plans[i].value[k]), APPEND_OK);
        }
        test_commit(app);
    }
}

static void check_same(Head *head, const Plan *plans)
{
    Arena arena = {0};

    for (int i = 0; i < SERIES; i++) {
        SampleColumns got = test_read(head, i, &arena);
        CHECK_EQ(got.count, SAMPLES);
        for (size_t k = 0; k < SAMPLES; k++) {
            CHECK_EQ(got.t_ms[k], plans[i].t_ms[k]);
            CHECK_DOUBLE(got.value[k], plans[i].value[k]);
        }
    }
    arena_deinit(&arena);
}

// Many samples of a series in one commit go into its chunks together: the chunks are those of one at a time, and so is what a restart
// makes of the log.
TEST(head_append, samples_that_come_together_make_the_chunks_of_samples_that_come_alone)
{
    static const size_t most[] = {1, 2, 10, 33, SAMPLES};
    Random random;
    Plan *plans = X_ARRAY(Plan, SERIES);
    uint64_t chunks = 0;

    random_seed(&random, 1);
    for (int i = 0; i < SERIES; i++)
        plans[i] = plan_of(&random, i);
    for (size_t m = 0; m < 2 * COUNT_OF(most); m++) {
        char dir[300];
        HeadCounters counters;
        test_dir_make(dir, sizeof dir);
        HeadOptions options = test_head_options(dir);
        options.wal_samples_v2 = m % 2;
        for (int round = 0; round < 2; round++) {
            Head *head = test_head_open(&options);
            if (round == 0)
                fill(head, plans, most[m / 2]);
            check_same(head, plans);
            head_counters(head, &counters);
            chunks = chunks ? chunks : counters.chunks;
            CHECK_EQ(counters.chunks, chunks);
            head_check(head);
            head_close(head);
        }
        test_dir_remove(dir);
    }
    CHECK(chunks > SERIES * SAMPLES / 240);
    free(plans);
}

// What one by one would have refused is refused in a run, too.
TEST(head_append, a_run_that_is_not_in_order_keeps_what_is)
{
    static const struct {
        const char *name;
        int64_t t_ms[5];
        size_t kept;
    } cases[] = {{"all", {1, 2, 3, 4, 5}, 5},
                 {"one twice", {1, 2, 2, 3, 4}, 4},
                 {"one back", {1, 3, 2, 4, 5}, 4},
                 {"the first is old", {-1, 1, 2, 3, 4}, 4},
                 {"all are old", {-5, -4, -3, -2, -1}, 0}};

    EACH_CASE(c, cases) {
        char dir[300];
        Arena arena = {0};
        test_dir_make(dir, sizeof dir);
        HeadOptions options = test_head_options(dir);
        Head *head = test_head_open(&options);
        (void)test_put(head, 1, HOUR_MS, 1);
        Appender *app = test_begin(head);
        SeriesRef ref = test_series(app, 1);
        for (size_t i = 0; i < 5; i++)
            (void)test_append(app, ref, HOUR_MS + c->t_ms[i] * 1000, (double)i + 2);
        test_commit(app);

        CHECK_EQ(test_read(head, 1, &arena).count, 1 + c->kept);
        arena_deinit(&arena);
        head_close(head);
        test_dir_remove(dir);
    }
}

// ---- the same new series from several threads ----

#define CREATORS 4
#define CREATED 2000

typedef struct Creator {
    Head *head;
    SeriesRef refs[CREATED];
    size_t created;
    bool always_known; // what it had asked for before
} Creator;

static void create_series(void *arg)
{
    Creator *creator = arg;
    Appender *app = test_begin(creator->head);
    for (int i = 0; i < CREATED; i++) {
        bool created;
        creator->refs[i] = test_series_created(app, i, &created);
        creator->created += created;
        if (i % 7 == 0)
            creator->always_known &= test_series(app, i / 2) == creator->refs[i / 2];
    }
    app->rollback(app);
}

TEST(head_append, threads_that_bring_the_same_new_series_create_each_once)
{
    char dir[300];
    Thread threads[CREATORS] = {0};
    Creator *creators = X_ARRAY(Creator, CREATORS);
    HeadCounters counters;
    Error err;
    size_t created = 0;
    test_dir_make(dir, sizeof dir);
    HeadOptions options = test_head_options(dir);
    Head *head = test_head_open(&options);

    for (size_t i = 0; i < CREATORS; i++) {
        creators[i] = (Creator){.head = head, .always_known = true};
        CHECK_OK(thread_start(&threads[i], "create", create_series, &creators[i], &err), err);
    }
    for (size_t i = 0; i < CREATORS; i++)
        thread_join(&threads[i]);

    for (size_t i = 0; i < CREATORS; i++) {
        CHECK(creators[i].always_known);
        CHECK(memcmp(creators[i].refs, creators[0].refs, sizeof creators[i].refs) == 0);
        created += creators[i].created;
    }
    CHECK_EQ(created, CREATED);
    head_counters(head, &counters);
    CHECK_EQ(counters.series, CREATED);
    head_check(head);
    free(creators);
    head_close(head);
    test_dir_remove(dir);
}

TEST_MAIN(head_append,
          TEST_ROW(head_append, threads_that_bring_the_same_new_series_create_each_once),
          TEST_ROW(head_append,
                   samples_that_come_together_make_the_chunks_of_samples_that_come_alone),
          TEST_ROW(head_append, a_run_that_is_not_in_order_keeps_what_is))
