// SPDX-License-Identifier: Apache-2.0
// thread.h: threads with names, and a pool of workers for what may block.
#pragma once

#include <pthread.h>

#include "base/error.h"

typedef struct Thread {
    pthread_t handle;
    bool started;
} Thread;

// `name` is cut to 15 bytes. All signals are blocked in the new thread.
bool thread_start(Thread *thread, const char *name, void (*run)(void *), void *arg,
                  Error *err) MUST_CHECK;
void thread_join(Thread *thread); // accepts one that was never started

// Runs it on a thread of its own that leaves the processor to all others (nice 10), and waits for its end. Where there is no thread to be
// had it runs on the caller's.
void thread_run_aside(const char *name, void (*run)(void *), void *arg);

// A fixed number of threads that run jobs in order of arrival. Jobs may wait and may use the disk.
typedef struct ThreadPool ThreadPool;
ThreadPool *thread_pool_new(const char *name, int threads);
// `job(arg)` runs once on some worker.
void thread_pool_add(ThreadPool *pool, void (*job)(void *), void *arg);
size_t thread_pool_queued(ThreadPool *pool);
size_t thread_pool_threads(const ThreadPool *pool); // 0 for NULL
// Runs what is queued, then joins. Accepts NULL.
void thread_pool_free(ThreadPool *pool);

// Runs job(arg, i) for each i < count on the pool and on the calling thread; returns when all are done.
// With a NULL pool everything runs on the caller.
void thread_pool_each(ThreadPool *pool, void (*job)(void *arg, size_t index), void *arg,
                      size_t count);

// Cores this process may use (affinity and cgroup quota), at least 1.
int thread_cores(void);
