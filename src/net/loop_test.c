// SPDX-License-Identifier: Apache-2.0
#include "net/loop.h"

#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "base/test.h"

typedef struct Log {
    Loop *loop;
    int64_t fired[64];
    size_t count;
    size_t stop_at;
} Log;

static Loop *new_loop(void)
{
    Loop *loop = NULL;
    Error err;
    CHECK_OK(loop_new("test", &loop, &err), err);
    return loop;
}

typedef struct Alarm {
    Log *log;
    int64_t id;
    LoopTimer *timer;
} Alarm;

static void ring(void *arg)
{
    Alarm *alarm = arg;
    Log *log = alarm->log;
    log->fired[log->count++] = alarm->id;
    if (log->count == log->stop_at)
        loop_stop(log->loop);
}

TEST(loop, timers_fire_in_order_of_time)
{
    Log log = {.loop = new_loop(), .stop_at = 40};
    Alarm alarms[50];
    Random random;
    random_seed(&random, 7);
    int64_t start_ns = clock_mono_ns(&clock_system);
    for (int i = 0; i < 50; i++) {
        int64_t delay_us = (int64_t)random_below(&random, 3000);
        alarms[i] = (Alarm){&log, delay_us, NULL};
        alarms[i].timer = loop_timer_new(log.loop, ring, &alarms[i]);
        loop_timer_set(alarms[i].timer, start_ns + delay_us * 1000);
    }
    for (int i = 0; i < 10; i++)
        loop_timer_clear(alarms[i * 5].timer);

    loop_run(log.loop);

    CHECK_EQ(log.count, 40);
    for (size_t i = 1; i < log.count; i++)
        CHECK(log.fired[i - 1] <= log.fired[i]);
    for (int i = 0; i < 50; i++)
        loop_timer_free(alarms[i].timer);
    loop_free(log.loop);
}

static void ring_again(void *arg)
{
    Alarm *alarm = arg;
    ring(arg);
    loop_timer_set(alarm->timer, 0);
}

static void note_post(void *arg)
{
    Alarm *alarm = arg;
    alarm->id++;
}

TEST(loop, a_timer_that_sets_itself_to_the_past_lets_posts_through)
{
    Log log = {.loop = new_loop(), .stop_at = 5};
    Alarm posted = {&log, 0, NULL};
    Alarm alarm = {&log, 1, NULL};
    alarm.timer = loop_timer_new(log.loop, ring_again, &alarm);
    loop_timer_set(alarm.timer, 0);
    loop_post(log.loop, note_post, &posted);

    loop_run(log.loop);

    CHECK_EQ(log.count, 5);
    CHECK_EQ(posted.id, 1);
    loop_timer_free(alarm.timer);
    loop_free(log.loop);
}

enum { POSTERS = 4, POSTS_EACH = 5000 };

typedef struct Poster {
    Loop *loop;
    pthread_t thread;
    int id;
    int next[POSTERS]; // of the receiver
    int sent;
    struct Poster *receiver;
} Poster;

typedef struct Item {
    Poster *from;
    int number;
} Item;

static void receive(void *arg)
{
    Item *item = arg;
    Poster *receiver = item->from->receiver;
    if (receiver->next[item->from->id] == item->number)
        receiver->next[item->from->id]++;
    free(item);
}

static void *post_many(void *arg)
{
    Poster *poster = arg;
    for (int i = 0; i < POSTS_EACH; i++) {
        Item *item = X_NEW(Item);
        *item = (Item){poster, i};
        loop_post(poster->loop, receive, item);
    }
    return NULL;
}

static void nothing(void *arg)
{
    (void)arg;
}

TEST(loop, posts_of_a_thread_run_in_its_order_and_call_waits)
{
    Loop *loop = new_loop();
    Error err;
    Poster receiver = {0};
    Poster posters[POSTERS] = {0};
    CHECK_OK(loop_start(loop, &err), err);
    for (int i = 0; i < POSTERS; i++) {
        posters[i].loop = loop;
        posters[i].id = i;
        posters[i].receiver = &receiver;
        pthread_create(&posters[i].thread, NULL, post_many, &posters[i]);
    }
    for (int i = 0; i < POSTERS; i++)
        pthread_join(posters[i].thread, NULL);

    loop_call(loop, nothing, NULL);

    for (int i = 0; i < POSTERS; i++)
        CHECK_EQ(receiver.next[i], POSTS_EACH);
    CHECK(!loop_is_current(loop));
    loop_stop(loop);
    loop_join(loop);
    loop_free(loop);
}

typedef struct Pipe {
    Loop *loop;
    LoopWatch *watch;
    LoopWatch *other;
    int got;
    int hangups;
} Pipe;

static void on_bytes(void *arg, int fd, int events)
{
    Pipe *pipe = arg;
    char bytes[16];
    if (events & LOOP_READ)
        pipe->got += (int)read(fd, bytes, sizeof bytes);
    // Both descriptors are ready in the same round: the second must not be called any more.
    loop_watch_free(pipe->other);
    pipe->other = NULL;
    loop_stop(pipe->loop);
}

TEST(loop, a_watch_freed_in_a_round_is_not_called_in_it)
{
    Pipe first = {.loop = new_loop()};
    Pipe second = {.loop = first.loop};
    int a[2];
    int b[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, a), 0);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, b), 0);
    first.watch = loop_watch_new(first.loop, a[0], LOOP_READ, on_bytes, &first);
    second.watch = loop_watch_new(first.loop, b[0], LOOP_READ, on_bytes, &second);
    first.other = second.watch;
    second.other = first.watch;
    CHECK_EQ(write(a[1], "x", 1), 1);
    CHECK_EQ(write(b[1], "x", 1), 1);

    loop_run(first.loop);

    CHECK_EQ(first.got + second.got, 1);
    loop_watch_free(first.got ? first.watch : second.watch);
    loop_free(first.loop);
    close(a[0]);
    close(a[1]);
    close(b[0]);
    close(b[1]);
}

static void on_hangup(void *arg, int fd, int events)
{
    Pipe *pipe = arg;
    (void)fd;
    if (events & LOOP_HANGUP)
        pipe->hangups++;
    loop_stop(pipe->loop);
}

TEST(loop, a_closed_peer_is_a_hangup)
{
    Pipe pipe = {.loop = new_loop()};
    int fds[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    pipe.watch = loop_watch_new(pipe.loop, fds[0], LOOP_HANGUP, on_hangup, &pipe);
    close(fds[1]);

    loop_run(pipe.loop);

    CHECK_EQ(pipe.hangups, 1);
    loop_watch_free(pipe.watch);
    loop_free(pipe.loop);
    close(fds[0]);
}

TEST_MAIN(loop, TEST_ROW(loop, timers_fire_in_order_of_time),
          TEST_ROW(loop, a_timer_that_sets_itself_to_the_past_lets_posts_through),
          TEST_ROW(loop, posts_of_a_thread_run_in_its_order_and_call_waits),
          TEST_ROW(loop, a_watch_freed_in_a_round_is_not_called_in_it),
          TEST_ROW(loop, a_closed_peer_is_a_hangup))
