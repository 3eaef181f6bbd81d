// SPDX-License-Identifier: Apache-2.0
// loop.h: an event loop of one thread: file descriptors, timers, messages from other threads. A loop never blocks; what blocks goes to a
// ThreadPool and posts its result back.
#pragma once

#include "base/error.h"

typedef struct Loop Loop;
typedef struct LoopTimer LoopTimer;
typedef struct LoopWatch LoopWatch;

enum { LOOP_READ = 1, LOOP_WRITE = 2, LOOP_HANGUP = 4 };

bool loop_new(const char *name, Loop **ret_loop, Error *err) MUST_CHECK;
void loop_free(Loop *loop); // after loop_join

// Starts the loop's own thread / asks it to end / waits for the end. loop_run runs it on the calling thread instead.
bool loop_start(Loop *loop, Error *err) MUST_CHECK;
void loop_stop(Loop *loop); // any thread
void loop_join(Loop *loop);
void loop_run(Loop *loop);

// Any thread: runs fn(arg) on the loop's thread, in order of posting.
void loop_post(Loop *loop, void (*fn)(void *arg), void *arg);
// Any other thread: the same, and waits until it has run.
void loop_call(Loop *loop, void (*fn)(void *arg), void *arg);
bool loop_is_current(const Loop *loop);

// Loop thread only. The monotonic time of this round.
int64_t loop_now_ns(const Loop *loop);

// One-shot timers (heap or wheel); fires at or after `at_mono_ns`. Re-arm inside the callback to repeat.
LoopTimer *loop_timer_new(Loop *loop, void (*fn)(void *arg), void *arg);
void loop_timer_set(LoopTimer *timer, int64_t at_mono_ns);
void loop_timer_clear(LoopTimer *timer);
void loop_timer_free(LoopTimer *timer);

LoopWatch *loop_watch_new(Loop *loop, int fd, int events, void (*fn)(void *arg, int fd, int events),
                          void *arg);
void loop_watch_set(LoopWatch *watch, int events);
void loop_watch_free(LoopWatch *watch);
