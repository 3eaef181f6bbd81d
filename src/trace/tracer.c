// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "base/error.h"
#include "codec/protobuf.h"
#include "trace/trace_internal.h"

#define RANK_TRACER 896

Tracer *tracer_new(void)
{
    Tracer *tracer = X_NEW(Tracer);
    lock_init(&tracer->lock, "tracer", RANK_TRACER);
    return tracer;
}

void tracer_free(Tracer *tracer)
{
    if (!tracer)
        return;
    for (size_t i = 0; i < tracer->count; i++)
        buf_deinit(&tracer->queue[(tracer->first + i) % TRACER_QUEUE_MAX]);
    lock_deinit(&tracer->lock);
    free(tracer);
}

// As OpenTelemetry's TraceIDRatioBased: 63 bits of the number's second half against the fraction.
void tracer_set(Tracer *tracer, bool on, double fraction)
{
    uint64_t bound = fraction >= 1  ? UINT64_MAX
                     : fraction > 0 ? (uint64_t)(fraction * (double)(UINT64_C(1) << 63))
                                    : 0;
    atomic_store(&tracer->bound, bound);
    atomic_store(&tracer->on, on);
}

bool tracer_is_on(const Tracer *tracer)
{
    return tracer && atomic_load_explicit(&tracer->on, memory_order_relaxed);
}

bool tracer_samples(Tracer *tracer, const unsigned char trace_id[16])
{
    uint64_t number = 0;
    for (int i = 8; i < 16; i++)
        number = number << 8 | trace_id[i];
    return number >> 1 < atomic_load_explicit(&tracer->bound, memory_order_relaxed);
}

void tracer_set_wake(Tracer *tracer, size_t count, void (*wake)(void *arg), void *arg)
{
    lock_take(&tracer->lock);
    tracer->wake_count = count;
    tracer->wake = wake;
    tracer->wake_arg = arg;
    lock_give(&tracer->lock);
}

void tracer_put(Tracer *tracer, Buf *message)
{
    lock_take(&tracer->lock);
    tracer->stats.ended++;
    bool fits = !message->failed && tracer->count < TRACER_QUEUE_MAX &&
                tracer->bytes + message->len <= TRACER_QUEUE_BYTES_MAX;
    if (fits) {
        tracer->queue[(tracer->first + tracer->count++) % TRACER_QUEUE_MAX] = *message;
        tracer->bytes += message->len;
        // Under the lock, so that nobody is called who was taken off; it only posts.
        if (tracer->wake && tracer->count == tracer->wake_count)
            tracer->wake(tracer->wake_arg);
    } else {
        tracer->stats.dropped++;
    }
    lock_give(&tracer->lock);
    if (!fits)
        buf_deinit(message);
    *message = (Buf){0};
}

size_t tracer_take(Tracer *tracer, size_t max, Buf *out, uint32_t field)
{
    size_t taken = 0;
    while (taken < max) {
        Buf message = {0};
        lock_take(&tracer->lock);
        if (tracer->count) {
            message = tracer->queue[tracer->first];
            tracer->first = (tracer->first + 1) % TRACER_QUEUE_MAX;
            tracer->count--;
            tracer->bytes -= message.len;
        }
        lock_give(&tracer->lock);
        if (!message.len)
            break;
        proto_add_bytes(out, field, buf_str(&message));
        buf_deinit(&message);
        taken++;
    }
    return taken;
}

TracerStats tracer_stats(Tracer *tracer)
{
    lock_take(&tracer->lock);
    TracerStats stats = tracer->stats;
    stats.waiting = tracer->count;
    lock_give(&tracer->lock);
    return stats;
}
