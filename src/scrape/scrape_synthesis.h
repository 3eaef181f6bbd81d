// SPDX-License-Identifier: Apache-2.0
// scrape_synthesis.h: start timestamps for counters that tell none (feature st-synthesis). The first sample of a series is not stored: it
// is where the series begins, and what it had then is taken off all that follows. A reset begins a millisecond before the sample that
// shows it, and nothing is taken off any more.
//
//     scraped    100 @1s   103 @2s           2 @3s          7 @4s
//     stored     -         3 @2s (from 1s)   2 @3s (2.999s) 7 @4s (2.999s)
//
// (1) A series is known by the hash of its text, as in the series cache.
// (2) A page may be read twice: the second sample of a series with the same time in a round takes the place of the first.
//
// Facts: the original's feature flag page, "Start timestamp synthesis". Thread: one at a time.
#pragma once

#include "metric/sink.h"

typedef struct SynthesisSeries SynthesisSeries;

typedef struct Synthesis {
    SynthesisSeries **slots; // open addressing
    size_t slot_count;       // power of two or 0
    size_t count;
    uint32_t round;
} Synthesis;

typedef enum SynthesisVerdict {
    SYNTHESIS_STORE, // the sample has a start now
    SYNTHESIS_FIRST, // it is the first: not to be stored
    SYNTHESIS_LATE,  // it comes after a later one: not to be stored, and the series begins anew
} SynthesisVerdict;

// Another histogram than the sample's lives in the arena.
SynthesisVerdict synthesis_take(Synthesis *synthesis, uint64_t hash, SinkSample *sample,
                                Arena *arena);
// Whether a metric counts up: a counter, a histogram, the sum and the count of a summary.
bool synthesis_wants(MetricType type, Str name);
// True if it has been seen before.
bool synthesis_knows(const Synthesis *synthesis, uint64_t hash);
// The series begins anew. One that is not known is fine.
void synthesis_forget(Synthesis *synthesis, uint64_t hash);
// A page has been read: series that were not in it are forgotten; with `failed` all are.
void synthesis_end_round(Synthesis *synthesis, bool failed);
void synthesis_deinit(Synthesis *synthesis);
