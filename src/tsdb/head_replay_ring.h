// SPDX-License-Identifier: Apache-2.0
// head_replay_ring.h: a few places that one thread fills and another one empties, in order.
//
// The places are numbered; whoever has a number owns what lies there until it passes it on.
#pragma once

#include "base/lock.h"

#define REPLAY_RING_RANK 385 // taken while a stripe or a part of the pool is not

typedef struct ReplayRing {
    Lock lock;
    Condition moved;
    uint64_t filled;  // GUARDED_BY(lock): places passed on by the one
    uint64_t emptied; // GUARDED_BY(lock): and by the other
    unsigned places;
    bool ended; // GUARDED_BY(lock): no more will be filled
} ReplayRing;

void replay_ring_init(ReplayRing *ring, const char *name, unsigned places);
void replay_ring_deinit(ReplayRing *ring);

// The filling side. Waits for an empty place.
unsigned replay_ring_fill(ReplayRing *ring);
void replay_ring_filled(ReplayRing *ring);
void replay_ring_end(ReplayRing *ring);

// The emptying side. Waits for a full place; false: there will be none.
bool replay_ring_empty(ReplayRing *ring, unsigned *ret_place);
void replay_ring_emptied(ReplayRing *ring);
