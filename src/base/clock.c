// SPDX-License-Identifier: Apache-2.0
#include "base/clock.h"

#include <time.h>

static int64_t system_now_ms(Clock *clock)
{
    (void)clock;
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int64_t system_mono_ns(Clock *clock)
{
    (void)clock;
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

Clock clock_system = {system_now_ms, system_mono_ns};

static int64_t fake_now_ms(Clock *clock)
{
    return __atomic_load_n(&CONTAINER_OF(clock, ClockFake, clock)->now_ms_value, __ATOMIC_RELAXED);
}

static int64_t fake_mono_ns(Clock *clock)
{
    return __atomic_load_n(&CONTAINER_OF(clock, ClockFake, clock)->mono_ns_value, __ATOMIC_RELAXED);
}

void clock_fake_init(ClockFake *fake, int64_t now_ms)
{
    *fake = (ClockFake){{fake_now_ms, fake_mono_ns}, now_ms, 1000000000};
}

void clock_fake_advance(ClockFake *fake, int64_t ms)
{
    __atomic_add_fetch(&fake->now_ms_value, ms, __ATOMIC_RELAXED);
    __atomic_add_fetch(&fake->mono_ns_value, ms * 1000000, __ATOMIC_RELAXED);
}
