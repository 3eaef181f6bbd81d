// SPDX-License-Identifier: Apache-2.0
#include "net/loop.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/thread.h"

enum {
    EVENTS_PER_ROUND = 256,
    NOT_ARMED = -1,
    LOCK_RANK_LOOP = 900, // a leaf: nothing is taken under it
    TOGETHER_NS =
        500000, // a timer waits for others that are due so soon after it: one wakeup for all
};

typedef struct Post {
    void (*fn)(void *arg);
    void *arg;
} Post;

typedef struct PostList {
    Post *items;
    size_t count;
    size_t cap;
} PostList;

struct LoopTimer {
    Loop *loop;
    void (*fn)(void *arg);
    void *arg;
    int64_t at_mono_ns;
    ptrdiff_t heap_index; // NOT_ARMED: not in the heap
};

struct LoopWatch {
    Loop *loop;
    int fd;
    int events;
    bool dead; // freed while a round of events may still name it
    void (*fn)(void *arg, int fd, int events);
    void *arg;
    LoopWatch *next_dead;
};

struct Loop {
    char name[16];
    int epoll_fd;
    int wake_fd;
    Thread thread;
    _Atomic bool stop;
    _Atomic bool running;
    _Atomic(pthread_t) owner; // good while `running`
    int64_t now_ns;
    bool waits_ms; // there is no epoll_pwait2

    LoopTimer **heap; // binary min-heap by at_mono_ns
    size_t heap_count;
    size_t heap_cap;
    int64_t earliest_ns; // no timer may be set for before this: guards run_timers against spinning

    LoopWatch *dead_watches; // given back when the round of events is over
    bool in_events;

    Lock lock;
    PostList posts GUARDED_BY(lock);
    PostList running_posts; // swapped with `posts` once a round
};

bool loop_new(const char *name, Loop **ret_loop, Error *err)
{
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0)
        return error_set_errno(err, errno, "event loop %s: epoll_create", name);
    int wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake_fd < 0) {
        int error_number = errno;
        close(epoll_fd);
        return error_set_errno(err, error_number, "event loop %s: eventfd", name);
    }
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, wake_fd, &event) != 0) {
        int error_number = errno;
        close(wake_fd);
        close(epoll_fd);
        return error_set_errno(err, error_number, "event loop %s: epoll_ctl", name);
    }

    Loop *loop = X_NEW(Loop);
    size_t name_bytes = strlen(name);
    memcpy(loop->name, name, MIN(name_bytes, sizeof loop->name - 1));
    loop->epoll_fd = epoll_fd;
    loop->wake_fd = wake_fd;
    loop->now_ns = clock_mono_ns(&clock_system);
    loop->earliest_ns = INT64_MIN;
    lock_init(&loop->lock, "loop.posts", LOCK_RANK_LOOP);
    *ret_loop = loop;
    return true;
}

// Takes what was posted since and runs it. Posts made meanwhile wait for the next round.
static void run_posts(Loop *loop)
{
    lock_take(&loop->lock);
    PostList list = loop->posts;
    loop->posts = loop->running_posts;
    loop->running_posts = (PostList){0};
    lock_give(&loop->lock);

    for (size_t i = 0; i < list.count; i++)
        list.items[i].fn(list.items[i].arg);

    list.count = 0;
    loop->running_posts = list;
}

static bool has_posts(Loop *loop)
{
    lock_take(&loop->lock);
    bool has = loop->posts.count > 0;
    lock_give(&loop->lock);
    return has;
}

void loop_free(Loop *loop)
{
    if (!loop)
        return;
    ASSERT(!atomic_load(&loop->running));
    // Whoever posted to a loop that ended meanwhile still gets served: it may carry memory.
    while (has_posts(loop))
        run_posts(loop);
    free(loop->posts.items);
    free(loop->running_posts.items);
    free(loop->heap);
    lock_deinit(&loop->lock);
    close(loop->wake_fd);
    close(loop->epoll_fd);
    free(loop);
}

static void heap_put(Loop *loop, size_t index, LoopTimer *timer)
{
    loop->heap[index] = timer;
    timer->heap_index = (ptrdiff_t)index;
}

static void heap_up(Loop *loop, size_t index)
{
    LoopTimer *timer = loop->heap[index];
    while (index > 0) {
        size_t parent = (index - 1) / 2;
        if (loop->heap[parent]->at_mono_ns <= timer->at_mono_ns)
            break;
        heap_put(loop, index, loop->heap[parent]);
        index = parent;
    }
    heap_put(loop, index, timer);
}

static void heap_down(Loop *loop, size_t index)
{
    LoopTimer *timer = loop->heap[index];
    for (;;) {
        size_t child = index * 2 + 1;
        if (child >= loop->heap_count)
            break;
        if (child + 1 < loop->heap_count &&
            loop->heap[child + 1]->at_mono_ns < loop->heap[child]->at_mono_ns)
            child++;
        if (timer->at_mono_ns <= loop->heap[child]->at_mono_ns)
            break;
        heap_put(loop, index, loop->heap[child]);
        index = child;
    }
    heap_put(loop, index, timer);
}

static void run_timers(Loop *loop)
{
    // A timer set meanwhile for a time that has passed waits for the next round.
    loop->earliest_ns = loop->now_ns + 1;
    while (loop->heap_count > 0 && loop->heap[0]->at_mono_ns <= loop->now_ns) {
        LoopTimer *timer = loop->heap[0];
        loop_timer_clear(timer);
        timer->fn(timer->arg);
    }
    loop->earliest_ns = INT64_MIN;
}

static int64_t wait_ns(Loop *loop)
{
    if (loop->heap_count == 0)
        return -1;
    return MAX(loop->heap[0]->at_mono_ns - clock_mono_ns(&clock_system), 0);
}

// Until the first timer is due, and a bit. The kernel counts in nanoseconds from 5.11 on, before that in milliseconds.
static int wait_events(Loop *loop, struct epoll_event *events)
{
    int64_t left_ns = wait_ns(loop);
    if (left_ns > 0 && !loop->waits_ms) {
        left_ns = MIN(left_ns, INT64_MAX - TOGETHER_NS) + TOGETHER_NS;
        struct timespec left = {.tv_sec = left_ns / 1000000000, .tv_nsec = left_ns % 1000000000};
        int count = epoll_pwait2(loop->epoll_fd, events, EVENTS_PER_ROUND, &left, NULL);
        if (count >= 0 || (errno != ENOSYS && errno != EPERM))
            return count;
        left_ns -= TOGETHER_NS;
        loop->waits_ms = true; // or something that guards us does not know the call
    }
    int64_t left_ms = left_ns < 0 ? -1 : (left_ns + 999999) / 1000000;
    return epoll_wait(loop->epoll_fd, events, EVENTS_PER_ROUND, (int)MIN(left_ms, INT_MAX));
}

static void run_events(Loop *loop, const struct epoll_event *events, int count)
{
    loop->in_events = true;
    for (int i = 0; i < count; i++) {
        LoopWatch *watch = events[i].data.ptr;
        if (!watch) {
            uint64_t wakes;
            (void)!read(loop->wake_fd, &wakes, sizeof wakes); // only empties the counter
            continue;
        }
        if (watch->dead)
            continue;
        uint32_t bits = events[i].events;
        int happened = 0;
        if (bits & (EPOLLIN | EPOLLPRI))
            happened |= LOOP_READ;
        if (bits & EPOLLOUT)
            happened |= LOOP_WRITE;
        if (bits & (EPOLLERR | EPOLLHUP | EPOLLRDHUP))
            happened |= LOOP_HANGUP;
        watch->fn(watch->arg, watch->fd, happened);
    }
    loop->in_events = false;

    while (loop->dead_watches) {
        LoopWatch *watch = loop->dead_watches;
        loop->dead_watches = watch->next_dead;
        free(watch);
    }
}

void loop_run(Loop *loop)
{
    struct epoll_event events[EVENTS_PER_ROUND];

    atomic_store(&loop->owner, pthread_self());
    atomic_store(&loop->running, true);
    while (!atomic_load_explicit(&loop->stop, memory_order_acquire)) {
        int count = wait_events(loop, events);
        ASSERT(count >= 0 || errno == EINTR);
        loop->now_ns = clock_mono_ns(&clock_system);
        run_events(loop, events, MAX(count, 0));
        run_posts(loop);
        run_timers(loop);
    }
    // What was posted before the stop still runs: a loop_call may be waiting for it.
    while (has_posts(loop))
        run_posts(loop);
    atomic_store(&loop->running, false);
    while (has_posts(loop))
        run_posts(loop);
}

static void run_thread(void *arg)
{
    loop_run(arg);
}

bool loop_start(Loop *loop, Error *err)
{
    return thread_start(&loop->thread, loop->name, run_thread, loop, err);
}

static void wake(Loop *loop)
{
    uint64_t one = 1;
    (void)!write(loop->wake_fd, &one, sizeof one); // a full counter wakes just as well
}

void loop_stop(Loop *loop)
{
    atomic_store_explicit(&loop->stop, true, memory_order_release);
    wake(loop);
}

void loop_join(Loop *loop)
{
    thread_join(&loop->thread);
}

bool loop_is_current(const Loop *loop)
{
    return atomic_load(&loop->running) && pthread_equal(atomic_load(&loop->owner), pthread_self());
}

void loop_post(Loop *loop, void (*fn)(void *arg), void *arg)
{
    lock_take(&loop->lock);
    PostList *posts = &loop->posts;
    if (posts->count == posts->cap) {
        posts->cap = MAX(posts->cap * 2, 16u);
        posts->items = x_realloc(posts->items, posts->cap * sizeof *posts->items);
    }
    posts->items[posts->count++] = (Post){fn, arg};
    bool first = posts->count == 1;
    lock_give(&loop->lock);

    if (first)
        wake(loop);
}

typedef struct Call {
    void (*fn)(void *arg);
    void *arg;
    Lock lock;
    Condition done_condition;
    bool done;
} Call;

static void run_call(void *arg)
{
    Call *call = arg;
    call->fn(call->arg);
    lock_take(&call->lock);
    call->done = true;
    condition_signal(&call->done_condition);
    lock_give(&call->lock);
}

void loop_call(Loop *loop, void (*fn)(void *arg), void *arg)
{
    ASSERT(!loop_is_current(loop));
    Call call = {.fn = fn, .arg = arg};
    lock_init(&call.lock, "loop.call", LOCK_RANK_LOOP + 1);
    condition_init(&call.done_condition);

    loop_post(loop, run_call, &call);
    lock_take(&call.lock);
    while (!call.done)
        condition_wait(&call.done_condition, &call.lock);
    lock_give(&call.lock);

    condition_deinit(&call.done_condition);
    lock_deinit(&call.lock);
}

int64_t loop_now_ns(const Loop *loop)
{
    return loop->now_ns;
}

LoopTimer *loop_timer_new(Loop *loop, void (*fn)(void *arg), void *arg)
{
    LoopTimer *timer = X_NEW(LoopTimer);
    *timer = (LoopTimer){.loop = loop, .fn = fn, .arg = arg, .heap_index = NOT_ARMED};
    return timer;
}

void loop_timer_set(LoopTimer *timer, int64_t at_mono_ns)
{
    Loop *loop = timer->loop;
    timer->at_mono_ns = MAX(at_mono_ns, loop->earliest_ns);
    if (timer->heap_index == NOT_ARMED) {
        if (loop->heap_count == loop->heap_cap) {
            loop->heap_cap = MAX(loop->heap_cap * 2, 64u);
            loop->heap = x_realloc(loop->heap, loop->heap_cap * sizeof(LoopTimer *));
        }
        heap_put(loop, loop->heap_count++, timer);
    }
    heap_up(loop, (size_t)timer->heap_index);
    heap_down(loop, (size_t)timer->heap_index);
}

void loop_timer_clear(LoopTimer *timer)
{
    if (timer->heap_index == NOT_ARMED)
        return;
    Loop *loop = timer->loop;
    size_t index = (size_t)timer->heap_index;
    timer->heap_index = NOT_ARMED;
    LoopTimer *last = loop->heap[--loop->heap_count];
    if (last == timer)
        return;
    heap_put(loop, index, last);
    heap_up(loop, index);
    heap_down(loop, (size_t)last->heap_index);
}

void loop_timer_free(LoopTimer *timer)
{
    if (!timer)
        return;
    loop_timer_clear(timer);
    free(timer);
}

static uint32_t epoll_bits(int events)
{
    uint32_t bits = 0;
    if (events & LOOP_READ)
        bits |= EPOLLIN;
    if (events & LOOP_WRITE)
        bits |= EPOLLOUT;
    if (events & LOOP_HANGUP)
        bits |= EPOLLRDHUP;
    return bits;
}

// Tells the kernel. A library may have closed the descriptor and got the same number again, behind our
// back: then adding and changing stand in for each other.
static void watch_apply(LoopWatch *watch, int operation)
{
    struct epoll_event event = {.events = epoll_bits(watch->events), .data.ptr = watch};
    int epoll_fd = watch->loop->epoll_fd;
    int rc = epoll_ctl(epoll_fd, operation, watch->fd, &event);
    if (rc != 0 && errno == ENOENT)
        rc = epoll_ctl(epoll_fd, EPOLL_CTL_ADD, watch->fd, &event);
    else if (rc != 0 && errno == EEXIST)
        rc = epoll_ctl(epoll_fd, EPOLL_CTL_MOD, watch->fd, &event);
    ASSERT(rc == 0); // a bad descriptor is our bug
}

LoopWatch *loop_watch_new(Loop *loop, int fd, int events, void (*fn)(void *arg, int fd, int events),
                          void *arg)
{
    LoopWatch *watch = X_NEW(LoopWatch);
    *watch = (LoopWatch){.loop = loop, .fd = fd, .events = events, .fn = fn, .arg = arg};
    watch_apply(watch, EPOLL_CTL_ADD);
    return watch;
}

void loop_watch_set(LoopWatch *watch, int events)
{
    if (watch->events == events)
        return;
    watch->events = events;
    watch_apply(watch, EPOLL_CTL_MOD);
}

void loop_watch_free(LoopWatch *watch)
{
    if (!watch)
        return;
    Loop *loop = watch->loop;
    // The descriptor may be closed already, which took it out of the set.
    (void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
    if (!loop->in_events) {
        free(watch);
        return;
    }
    watch->dead = true;
    watch->next_dead = loop->dead_watches;
    loop->dead_watches = watch;
}
