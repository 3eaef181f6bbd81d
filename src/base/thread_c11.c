// SPDX-License-Identifier: Apache-2.0
// C11's threads as POSIX ones, for builds under ThreadSanitizer alone: libc's own call pthread_create() from inside, where the sanitizer of
// clang 14 does not see it, and the first thread that a library makes that way (librdkafka does) ends the process. With these it also sees
// their mutexes and conditions. They stand in the program, so that libraries which are loaded later find them before libc's.
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>

#include "base/macros.h"

// glibc keeps one in the other, and so may a library that mixes both.
_Static_assert(sizeof(mtx_t) == sizeof(pthread_mutex_t), "a mutex is a mutex");
_Static_assert(sizeof(cnd_t) == sizeof(pthread_cond_t), "a condition is a condition");

const char *__tsan_default_suppressions(void);

// librdkafka counts references by atomic operations, which the sanitizer sees only in code that it has built. What the library does to
// memory and to its mutexes (by the functions below, which we do not use) is its own affair; what our code does when it is called from there
// is still looked at.
const char *__tsan_default_suppressions(void)
{
    return "called_from_lib:librdkafka.so\nrace:^mtx_\nrace:^cnd_\n";
}

typedef struct Start {
    thrd_start_t run;
    void *arg;
} Start;

static int result_of(int failed)
{
    switch (failed) {
    case 0:
        return thrd_success;
    case ENOMEM:
        return thrd_nomem;
    case ETIMEDOUT:
        return thrd_timedout;
    case EBUSY:
        return thrd_busy;
    default:
        return thrd_error;
    }
}

static void *start(void *arg)
{
    Start run = *(Start *)arg;
    free(arg);
    return (void *)(intptr_t)run.run(run.arg);
}

int thrd_create(thrd_t *thread, thrd_start_t run, void *arg)
{
    Start *given = malloc(sizeof *given);
    if (!given)
        return thrd_nomem;
    *given = (Start){run, arg};
    int failed = pthread_create(thread, NULL, start, given);
    if (failed)
        free(given);
    return failed == EAGAIN ? thrd_nomem : result_of(failed);
}

int thrd_join(thrd_t thread, int *ret_result)
{
    void *result = NULL;
    int failed = pthread_join(thread, &result);
    if (!failed && ret_result)
        *ret_result = (int)(intptr_t)result;
    return result_of(failed);
}

int thrd_detach(thrd_t thread)
{
    return result_of(pthread_detach(thread));
}

int mtx_init(mtx_t *mutex, int type)
{
    pthread_mutexattr_t kind;
    pthread_mutexattr_init(&kind);
    pthread_mutexattr_settype(&kind, type & mtx_recursive ? PTHREAD_MUTEX_RECURSIVE
                                                          : PTHREAD_MUTEX_NORMAL);
    int failed = pthread_mutex_init((pthread_mutex_t *)(void *)mutex, &kind);
    pthread_mutexattr_destroy(&kind);
    return result_of(failed);
}

void mtx_destroy(mtx_t *mutex)
{
    pthread_mutex_destroy((pthread_mutex_t *)(void *)mutex);
}

int mtx_lock(mtx_t *mutex)
{
    return result_of(pthread_mutex_lock((pthread_mutex_t *)(void *)mutex));
}

int mtx_trylock(mtx_t *mutex)
{
    return result_of(pthread_mutex_trylock((pthread_mutex_t *)(void *)mutex));
}

int mtx_timedlock(mtx_t *mutex, const struct timespec *until)
{
    return result_of(pthread_mutex_timedlock((pthread_mutex_t *)(void *)mutex, until));
}

int mtx_unlock(mtx_t *mutex)
{
    return result_of(pthread_mutex_unlock((pthread_mutex_t *)(void *)mutex));
}

int cnd_init(cnd_t *condition)
{
    return result_of(pthread_cond_init((pthread_cond_t *)(void *)condition, NULL));
}

void cnd_destroy(cnd_t *condition)
{
    pthread_cond_destroy((pthread_cond_t *)(void *)condition);
}

int cnd_signal(cnd_t *condition)
{
    return result_of(pthread_cond_signal((pthread_cond_t *)(void *)condition));
}

int cnd_broadcast(cnd_t *condition)
{
    return result_of(pthread_cond_broadcast((pthread_cond_t *)(void *)condition));
}

int cnd_wait(cnd_t *condition, mtx_t *mutex)
{
    return result_of(
        pthread_cond_wait((pthread_cond_t *)(void *)condition, (pthread_mutex_t *)(void *)mutex));
}

int cnd_timedwait(cnd_t *condition, mtx_t *mutex, const struct timespec *until)
{
    return result_of(pthread_cond_timedwait((pthread_cond_t *)(void *)condition,
                                            (pthread_mutex_t *)(void *)mutex, until));
}
