// SPDX-License-Identifier: Apache-2.0
#include "base/thread.h"

#include <limits.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/test.h"

typedef struct Sum {
    Lock lock;
    int64_t total;
    uint8_t seen[1000];
} Sum;

static void add_index(void *arg, size_t index)
{
    Sum *sum = arg;
    lock_take(&sum->lock);
    sum->total += (int64_t)index;
    sum->seen[index]++;
    lock_give(&sum->lock);
}

TEST(pool, each_runs_every_index_once)
{
    ThreadPool *pool = thread_pool_new("test", 3);
    for (int round = 0; round < 50; round++) {
        Sum sum = {0};
        lock_init(&sum.lock, "sum", 1);

        thread_pool_each(pool, add_index, &sum, 1000);

        CHECK_EQ(sum.total, 999 * 1000 / 2);
        for (int i = 0; i < 1000; i++)
            CHECK_EQ(sum.seen[i], 1);
        lock_deinit(&sum.lock);
    }
    thread_pool_free(pool);
}

static void count_job(void *arg)
{
    __atomic_add_fetch((int *)arg, 1, __ATOMIC_RELAXED);
}

TEST(pool, free_runs_what_is_queued)
{
    ThreadPool *pool = thread_pool_new("test", 2);
    int count = 0;

    for (int i = 0; i < 1000; i++)
        thread_pool_add(pool, count_job, &count);
    thread_pool_free(pool);

    CHECK_EQ(count, 1000);
}

static void note_priority(void *arg)
{
    *(int *)arg = getpriority(PRIO_PROCESS, 0);
}

TEST(thread, what_runs_aside_leaves_the_processor_to_others)
{
    int here = getpriority(PRIO_PROCESS, 0), aside = INT_MIN;

    thread_run_aside("aside", note_priority, &aside);
    CHECK_EQ(aside, MIN(here + 10, 19));
    CHECK_EQ(getpriority(PRIO_PROCESS, 0), here);
}

TEST(condition, wait_ends_at_its_time)
{
    Lock lock;
    Condition condition;
    lock_init(&lock, "test", 1);
    condition_init(&condition);

    lock_take(&lock);
    CHECK(!condition_wait_ms(&condition, &lock, 5));
    lock_give(&lock);

    condition_deinit(&condition);
    lock_deinit(&lock);
}

static Str logged(LogFormat format, Arena *arena)
{
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    log_setup(LOG_INFO, format);
    log_set_fd(ends[1]);

    log_debug("not shown");
    log_warn("compacted block", KV("block", "01 \"x\"\n"), KV("took_ms", 12), KV("ok", (bool)true),
             KV("ratio", 0.5));

    log_set_fd(2);
    close(ends[1]);
    char text[1000];
    ssize_t got = read(ends[0], text, sizeof text);
    close(ends[0]);
    CHECK(got > 0);
    return arena_str(arena, str_make(text, (size_t)got));
}

TEST(log, lines_are_logfmt_or_json)
{
    Arena arena = {0};

    Str logfmt = logged(LOG_LOGFMT, &arena);
    Str json = logged(LOG_JSON, &arena);

    CHECK_HAS(logfmt.ptr, "level=WARN source=thread_test.c:");
    CHECK_HAS(logfmt.ptr,
              "msg=\"compacted block\" block=\"01 \\\"x\\\"\\n\" took_ms=12 ok=true ratio=0.5\n");
    CHECK(str_starts_with(logfmt, S("time=20")));
    CHECK(str_starts_with(json, S("{\"time\":\"20")));
    CHECK_HAS(json.ptr, "\"level\":\"WARN\"");
    CHECK_HAS(json.ptr,
              "\"block\":\"01 \\\"x\\\"\\n\",\"took_ms\":12,\"ok\":true,\"ratio\":0.5}\n");
    arena_deinit(&arena);
}

TEST_MAIN(thread, TEST_ROW(pool, each_runs_every_index_once),
          TEST_ROW(pool, free_runs_what_is_queued),
          TEST_ROW(thread, what_runs_aside_leaves_the_processor_to_others),
          TEST_ROW(condition, wait_ends_at_its_time), TEST_ROW(log, lines_are_logfmt_or_json))
