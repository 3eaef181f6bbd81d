// SPDX-License-Identifier: Apache-2.0
#include "metric/sink_gate.h"

// --- the appender of a closed gate ---

static SeriesRef no_series(Appender *appender, Labels labels, bool *ret_created, Error *err)
{
    (void)appender;
    (void)labels;
    if (ret_created)
        *ret_created = false;
    error_set(err, ERR_UNAVAILABLE, "the storage is not open");
    return 0;
}

static size_t no_append(Appender *appender, SinkSample *samples, size_t count)
{
    (void)appender;
    for (size_t i = 0; i < count; i++)
        samples[i].status = APPEND_LIMIT;
    return 0;
}

static void no_metadata(Appender *appender, SeriesRef ref, Metadata metadata)
{
    (void)appender;
    (void)ref;
    (void)metadata;
}

static AppendStatus no_exemplar(Appender *appender, SeriesRef ref, const Exemplar *exemplar)
{
    (void)appender;
    (void)ref;
    (void)exemplar;
    return APPEND_LIMIT;
}

static bool no_commit(Appender *appender, Error *err)
{
    (void)appender;
    return error_set(err, ERR_UNAVAILABLE, "the storage is not open");
}

static void no_rollback(Appender *appender)
{
    (void)appender;
}

// --- the gate ---

static Appender *begin(Sink *sink)
{
    static Appender refusing = {no_series,   no_append, no_metadata,
                                no_exemplar, no_commit, no_rollback};
    SinkGate *gate = CONTAINER_OF(sink, SinkGate, sink);
    Sink *behind = __atomic_load_n(&gate->behind, __ATOMIC_ACQUIRE);

    if (LIKELY(behind != NULL))
        return behind->begin(behind);
    lock_take(&gate->lock);
    while (!gate->closed && !(behind = __atomic_load_n(&gate->behind, __ATOMIC_ACQUIRE)))
        condition_wait(&gate->moved, &gate->lock);
    lock_give(&gate->lock);
    return behind ? behind->begin(behind) : &refusing;
}

void sink_gate_init(SinkGate *gate)
{
    *gate = (SinkGate){.sink = {begin}};
    lock_init(&gate->lock, "sink gate", SINK_GATE_RANK);
    condition_init(&gate->moved);
}

void sink_gate_deinit(SinkGate *gate)
{
    condition_deinit(&gate->moved);
    lock_deinit(&gate->lock);
}

void sink_gate_open(SinkGate *gate, Sink *behind)
{
    lock_take(&gate->lock);
    __atomic_store_n(&gate->behind, behind, __ATOMIC_RELEASE);
    condition_broadcast(&gate->moved);
    lock_give(&gate->lock);
}

void sink_gate_close(SinkGate *gate)
{
    lock_take(&gate->lock);
    gate->closed = true;
    condition_broadcast(&gate->moved);
    lock_give(&gate->lock);
}
