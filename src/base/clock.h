// SPDX-License-Identifier: Apache-2.0
// clock.h: time that tests can set. Wall time is int64_t milliseconds since the epoch; the monotonic clock is in
// nanoseconds and never meets it.
#pragma once

#include "base/macros.h"

typedef struct Clock Clock;
struct Clock {
    int64_t (*now_ms)(Clock *clock);
    int64_t (*mono_ns)(Clock *clock);
};

// The machine's clocks.
extern Clock clock_system;

static inline int64_t clock_now_ms(Clock *clock)
{
    return clock->now_ms(clock);
}

static inline int64_t clock_mono_ns(Clock *clock)
{
    return clock->mono_ns(clock);
}

// A clock that stands still until it is told otherwise. `set` it, then pass &fake->clock.
typedef struct ClockFake {
    Clock clock;
    int64_t now_ms_value;
    int64_t mono_ns_value;
} ClockFake;

void clock_fake_init(ClockFake *fake, int64_t now_ms);
void clock_fake_advance(ClockFake *fake, int64_t ms); // both clocks
