// SPDX-License-Identifier: Apache-2.0
// lock.h: mutexes, read-write locks and conditions with a name and a rank. A thread takes locks in rising rank; with
// NARTHEX_DEEP_CHECKS lock_take asserts it. The ranks stand in ARCHITECTURE.md.
#pragma once

#include <pthread.h>

#include "base/macros.h"

#if defined(__clang__)
#define CAPABILITY __attribute__((capability("mutex")))
#define REQUIRES(...) __attribute__((requires_capability(__VA_ARGS__)))
#define ACQUIRE(...) __attribute__((acquire_capability(__VA_ARGS__)))
#define RELEASE(...) __attribute__((release_capability(__VA_ARGS__)))
#define NO_THREAD_SAFETY __attribute__((no_thread_safety_analysis))
#else
#define CAPABILITY
#define REQUIRES(...)
#define ACQUIRE(...)
#define RELEASE(...)
#define NO_THREAD_SAFETY
#endif
#define GUARDED_BY(lock) // not accepted in C by clang 14: it serves the reader

typedef struct CAPABILITY Lock {
    pthread_mutex_t mutex;
    const char *name;
    int rank;
} Lock;

void lock_init(Lock *lock, const char *name, int rank);
// One that is held for less time than it takes to fall asleep and to be woken up: who finds it taken looks again for a while.
void lock_init_short(Lock *lock, const char *name, int rank);
void lock_deinit(Lock *lock);
void lock_take(Lock *lock) ACQUIRE(*lock);
void lock_give(Lock *lock) RELEASE(*lock);

typedef struct RwLock {
    pthread_rwlock_t rwlock;
    const char *name;
    int rank;
} RwLock;

void rwlock_init(RwLock *lock, const char *name, int rank);
void rwlock_deinit(RwLock *lock);
void rwlock_take_read(RwLock *lock);
void rwlock_take_write(RwLock *lock);
void rwlock_give(RwLock *lock);

typedef struct Condition {
    pthread_cond_t cond; // on the monotonic clock
} Condition;

void condition_init(Condition *condition);
void condition_deinit(Condition *condition);
void condition_wait(Condition *condition, Lock *lock);
// False when timeout_ms passed first.
bool condition_wait_ms(Condition *condition, Lock *lock, int64_t timeout_ms);
void condition_signal(Condition *condition);
void condition_broadcast(Condition *condition);
