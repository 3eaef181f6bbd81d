// SPDX-License-Identifier: Apache-2.0
// sink_gate.h: a Sink before a store that is still being opened: whoever begins to pour waits until it is there.
//
//     pourer --> begin: waits --> [open] --> begin of the store behind
//
// So targets are asked on time while the log is read; what they said is taken up when the store is there, with the times of the asking.
// Thread: any for begin; one opens or closes, once.
#pragma once

#include "base/lock.h"
#include "metric/sink.h"

#define SINK_GATE_RANK 280

typedef struct SinkGate {
    Sink sink;
    Sink *behind; // atomic; NULL: not open
    Lock lock;
    Condition moved;
    bool closed; // GUARDED_BY(lock)
} SinkGate;

void sink_gate_init(SinkGate *gate);
void sink_gate_deinit(SinkGate *gate);

// From here on it is as if `behind` had been asked.
void sink_gate_open(SinkGate *gate, Sink *behind);
// There will be no store: who waits, and whoever comes, pours into nothing and is told ERR_UNAVAILABLE. Nothing happens to an open gate.
void sink_gate_close(SinkGate *gate);
