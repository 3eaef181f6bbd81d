// SPDX-License-Identifier: Apache-2.0
#include "base/lock.h"

#include <errno.h>
#include <time.h>

#ifdef NARTHEX_DEEP_CHECKS
// The ranks this thread holds, in the order taken.
static _Thread_local int held_ranks[32];
static _Thread_local int held_count;

static void rank_push(int rank)
{
    ASSERT(held_count == 0 || held_ranks[held_count - 1] < rank);
    ASSERT(held_count < (int)COUNT_OF(held_ranks));
    held_ranks[held_count++] = rank;
}

static void rank_pop(int rank)
{
    int i = held_count - 1;
    while (i >= 0 && held_ranks[i] != rank)
        i--;
    ASSERT(i >= 0);
    for (; i + 1 < held_count; i++)
        held_ranks[i] = held_ranks[i + 1];
    held_count--;
}
#else
static void rank_push(int rank)
{
    (void)rank;
}

static void rank_pop(int rank)
{
    (void)rank;
}
#endif

void lock_init(Lock *lock, const char *name, int rank)
{
    pthread_mutex_init(&lock->mutex, NULL);
    lock->name = name;
    lock->rank = rank;
}

void lock_init_short(Lock *lock, const char *name, int rank)
{
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP);
    pthread_mutex_init(&lock->mutex, &attr);
    pthread_mutexattr_destroy(&attr);
    lock->name = name;
    lock->rank = rank;
}

void lock_deinit(Lock *lock)
{
    pthread_mutex_destroy(&lock->mutex);
}

void lock_take(Lock *lock) NO_THREAD_SAFETY
{
    rank_push(lock->rank);
    int rc = pthread_mutex_lock(&lock->mutex);
    ASSERT(rc == 0);
}

void lock_give(Lock *lock) NO_THREAD_SAFETY
{
    rank_pop(lock->rank);
    int rc = pthread_mutex_unlock(&lock->mutex);
    ASSERT(rc == 0);
}

void rwlock_init(RwLock *lock, const char *name, int rank)
{
    pthread_rwlockattr_t attr;
    pthread_rwlockattr_init(&attr);
    // A steady stream of readers must not starve a writer.
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&lock->rwlock, &attr);
    pthread_rwlockattr_destroy(&attr);
    lock->name = name;
    lock->rank = rank;
}

void rwlock_deinit(RwLock *lock)
{
    pthread_rwlock_destroy(&lock->rwlock);
}

// Most hold these for less time than it takes to sleep and to be woken up: whoever comes meanwhile looks again some times first.
#define LOOKS 60

static inline void wait_a_little(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void take(RwLock *lock, int (*try_it)(pthread_rwlock_t *), int (*wait)(pthread_rwlock_t *))
{
    int rc = try_it(&lock->rwlock);

    for (int i = 0; rc != 0 && i < LOOKS; i++) {
        wait_a_little();
        rc = try_it(&lock->rwlock);
    }
    if (rc != 0)
        rc = wait(&lock->rwlock);
    ASSERT(rc == 0);
}

void rwlock_take_read(RwLock *lock)
{
    rank_push(lock->rank);
    take(lock, pthread_rwlock_tryrdlock, pthread_rwlock_rdlock);
}

void rwlock_take_write(RwLock *lock)
{
    rank_push(lock->rank);
    take(lock, pthread_rwlock_trywrlock, pthread_rwlock_wrlock);
}

void rwlock_give(RwLock *lock)
{
    rank_pop(lock->rank);
    int rc = pthread_rwlock_unlock(&lock->rwlock);
    ASSERT(rc == 0);
}

void condition_init(Condition *condition)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&condition->cond, &attr);
    pthread_condattr_destroy(&attr);
}

void condition_deinit(Condition *condition)
{
    pthread_cond_destroy(&condition->cond);
}

void condition_wait(Condition *condition, Lock *lock)
{
    int rc = pthread_cond_wait(&condition->cond, &lock->mutex);
    ASSERT(rc == 0);
}

bool condition_wait_ms(Condition *condition, Lock *lock, int64_t timeout_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += (timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    int rc = pthread_cond_timedwait(&condition->cond, &lock->mutex, &until);
    ASSERT(rc == 0 || rc == ETIMEDOUT);
    return rc == 0;
}

void condition_signal(Condition *condition)
{
    pthread_cond_signal(&condition->cond);
}

void condition_broadcast(Condition *condition)
{
    pthread_cond_broadcast(&condition->cond);
}
