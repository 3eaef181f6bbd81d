// SPDX-License-Identifier: Apache-2.0
// trace_internal.h: what tracer and span share.
#pragma once

#include "base/lock.h"
#include "trace/trace.h"

#define TRACER_QUEUE_MAX 2048 // as the original's SDK
#define TRACER_QUEUE_BYTES_MAX ((size_t)16 << 20)

struct Tracer {
    _Atomic bool on;
    _Atomic uint64_t bound; // traces whose number is below it are sampled

    Lock lock; // guards all below
    Buf queue[TRACER_QUEUE_MAX];
    size_t first, count, bytes;
    TracerStats stats;
    size_t wake_count;
    void (*wake)(void *arg);
    void *wake_arg;
};

// Whether a trace that begins here is sampled.
bool tracer_samples(Tracer *tracer, const unsigned char trace_id[16]);
// Takes the message over, or drops it.
void tracer_put(Tracer *tracer, Buf *message);
