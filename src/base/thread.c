// SPDX-License-Identifier: Apache-2.0
#include "base/thread.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/lock.h"

#define THREAD_NAME_BYTES 16
#define RANK_POOL 900 // a pool's own lock: nothing is taken below it

typedef struct ThreadStart {
    void (*run)(void *);
    void *arg;
    char name[THREAD_NAME_BYTES];
} ThreadStart;

static void *thread_main(void *start_arg)
{
    ThreadStart start = *(ThreadStart *)start_arg;
    free(start_arg);
    pthread_setname_np(pthread_self(), start.name);
    start.run(start.arg);
    return NULL;
}

bool thread_start(Thread *thread, const char *name, void (*run)(void *), void *arg, Error *err)
{
    ThreadStart *start = X_NEW(ThreadStart);
    start->run = run;
    start->arg = arg;
    snprintf(start->name, sizeof start->name, "%s", name);

    sigset_t all;
    sigset_t old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = pthread_create(&thread->handle, NULL, thread_main, start);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc != 0) {
        free(start);
        return error_set_errno(err, rc, "cannot start thread %s", name);
    }
    thread->started = true;
    return true;
}

void thread_join(Thread *thread)
{
    if (!thread->started)
        return;
    pthread_join(thread->handle, NULL);
    thread->started = false;
}

#define ASIDE_NICE 10

typedef struct Aside {
    void (*run)(void *);
    void *arg;
} Aside;

static void run_aside(void *arg)
{
    Aside *aside = arg;
#ifdef __linux__
    // Of the thread alone: 0 is the caller, and a thread has a priority of its own. Refused, it runs as fast as any.
    (void)setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + ASIDE_NICE);
#endif
    aside->run(aside->arg);
}

void thread_run_aside(const char *name, void (*run)(void *), void *arg)
{
    Aside aside = {run, arg};
    Thread thread = {.started = false};
    Error ignored;

    if (thread_start(&thread, name, run_aside, &aside, &ignored))
        thread_join(&thread);
    else
        run(arg);
}

typedef struct PoolJob {
    void (*job)(void *);
    void *arg;
} PoolJob;

struct ThreadPool {
    Lock lock; // guards all below
    Condition wake;
    PoolJob *ring;
    size_t ring_size; // power of two
    size_t head, count;
    bool stopping;
    Thread *threads;
    int thread_count;
};

static void pool_run(void *arg)
{
    ThreadPool *pool = arg;
    lock_take(&pool->lock);
    for (;;) {
        while (pool->count == 0 && !pool->stopping)
            condition_wait(&pool->wake, &pool->lock);
        if (pool->count == 0)
            break;
        PoolJob job = pool->ring[pool->head];
        pool->head = (pool->head + 1) & (pool->ring_size - 1);
        pool->count--;
        lock_give(&pool->lock);
        job.job(job.arg);
        lock_take(&pool->lock);
    }
    lock_give(&pool->lock);
}

ThreadPool *thread_pool_new(const char *name, int threads)
{
    ThreadPool *pool = X_NEW(ThreadPool);
    lock_init(&pool->lock, "thread_pool", RANK_POOL);
    condition_init(&pool->wake);
    pool->ring_size = 64;
    pool->ring = X_ARRAY(PoolJob, pool->ring_size);
    pool->threads = X_ARRAY(Thread, (size_t)threads);
    pool->thread_count = threads;
    for (int i = 0; i < threads; i++) {
        char full[THREAD_NAME_BYTES];
        snprintf(full, sizeof full, "%.11s-%d", name, i % 1000);
        Error err = {0};
        // Without its threads a pool is of no use; this happens at start only.
        if (!thread_start(&pool->threads[i], full, pool_run, pool, &err)) {
            fprintf(stderr, "narthex: %s\n", err.text);
            abort();
        }
    }
    return pool;
}

void thread_pool_add(ThreadPool *pool, void (*job)(void *), void *arg)
{
    lock_take(&pool->lock);
    if (pool->count == pool->ring_size) {
        PoolJob *grown = X_ARRAY(PoolJob, pool->ring_size * 2);
        for (size_t i = 0; i < pool->count; i++)
            grown[i] = pool->ring[(pool->head + i) & (pool->ring_size - 1)];
        free(pool->ring);
        pool->ring = grown;
        pool->ring_size *= 2;
        pool->head = 0;
    }
    pool->ring[(pool->head + pool->count) & (pool->ring_size - 1)] = (PoolJob){job, arg};
    pool->count++;
    condition_signal(&pool->wake);
    lock_give(&pool->lock);
}

size_t thread_pool_threads(const ThreadPool *pool)
{
    return pool ? (size_t)pool->thread_count : 0;
}

size_t thread_pool_queued(ThreadPool *pool)
{
    lock_take(&pool->lock);
    size_t count = pool->count;
    lock_give(&pool->lock);
    return count;
}

void thread_pool_free(ThreadPool *pool)
{
    if (!pool)
        return;
    lock_take(&pool->lock);
    pool->stopping = true;
    condition_broadcast(&pool->wake);
    lock_give(&pool->lock);
    for (int i = 0; i < pool->thread_count; i++)
        thread_join(&pool->threads[i]);
    condition_deinit(&pool->wake);
    lock_deinit(&pool->lock);
    free(pool->ring);
    free(pool->threads);
    free(pool);
}

// One thread_pool_each under way. Workers and the caller take indices until none is left; the last to leave frees it.
typedef struct EachRun {
    void (*job)(void *, size_t);
    void *arg;
    size_t count;
    size_t next;
    size_t done;
    Lock lock;
    Condition finished;
    int users;
} EachRun;

static void each_leave(EachRun *run)
{
    lock_take(&run->lock);
    bool last = --run->users == 0;
    lock_give(&run->lock);
    if (!last)
        return;
    condition_deinit(&run->finished);
    lock_deinit(&run->lock);
    free(run);
}

static void each_work(EachRun *run)
{
    size_t mine = 0;
    for (;;) {
        size_t i = __atomic_fetch_add(&run->next, 1, __ATOMIC_RELAXED);
        if (i >= run->count)
            break;
        run->job(run->arg, i);
        mine++;
    }
    if (mine == 0)
        return;
    lock_take(&run->lock);
    run->done += mine;
    if (run->done == run->count)
        condition_broadcast(&run->finished);
    lock_give(&run->lock);
}

static void each_job(void *arg)
{
    EachRun *run = arg;
    each_work(run);
    each_leave(run);
}

void thread_pool_each(ThreadPool *pool, void (*job)(void *arg, size_t index), void *arg,
                      size_t count)
{
    if (!pool || count < 2) {
        for (size_t i = 0; i < count; i++)
            job(arg, i);
        return;
    }

    size_t helpers = MIN((size_t)pool->thread_count, count - 1);
    EachRun *run = X_NEW(EachRun);
    run->job = job;
    run->arg = arg;
    run->count = count;
    run->users = (int)helpers + 1;
    lock_init(&run->lock, "each_run", RANK_POOL + 1);
    condition_init(&run->finished);
    for (size_t i = 0; i < helpers; i++)
        thread_pool_add(pool, each_job, run);

    each_work(run);
    lock_take(&run->lock);
    while (run->done < run->count)
        condition_wait(&run->finished, &run->lock);
    lock_give(&run->lock);
    each_leave(run);
}

// cgroup v2: "max 100000" or "200000 100000".
static double cgroup_cores(void)
{
    FILE *f = fopen("/sys/fs/cgroup/cpu.max", "re");
    if (!f)
        return 0;
    long quota = 0;
    long period = 0;
    int got = fscanf(f, "%ld %ld", &quota, &period);
    fclose(f);
    return got == 2 && period > 0 ? (double)quota / (double)period : 0;
}

int thread_cores(void)
{
    cpu_set_t set;
    int cores = 1;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        cores = CPU_COUNT(&set);
    double quota = cgroup_cores();
    if (quota > 0 && quota < cores)
        cores = (int)(quota + 0.999);
    return MAX(cores, 1);
}
