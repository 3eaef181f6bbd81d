// SPDX-License-Identifier: Apache-2.0
#include "tsdb/head_replay_ring.h"

void replay_ring_init(ReplayRing *ring, const char *name, unsigned places)
{
    *ring = (ReplayRing){.places = places};
    lock_init(&ring->lock, name, REPLAY_RING_RANK);
    condition_init(&ring->moved);
}

void replay_ring_deinit(ReplayRing *ring)
{
    condition_deinit(&ring->moved);
    lock_deinit(&ring->lock);
}

unsigned replay_ring_fill(ReplayRing *ring)
{
    lock_take(&ring->lock);
    while (ring->filled - ring->emptied == ring->places)
        condition_wait(&ring->moved, &ring->lock);
    unsigned place = (unsigned)(ring->filled % ring->places);
    lock_give(&ring->lock);
    return place;
}

static void move(ReplayRing *ring, uint64_t *side)
{
    lock_take(&ring->lock);
    (*side)++;
    condition_broadcast(&ring->moved);
    lock_give(&ring->lock);
}

void replay_ring_filled(ReplayRing *ring)
{
    move(ring, &ring->filled);
}

void replay_ring_end(ReplayRing *ring)
{
    lock_take(&ring->lock);
    ring->ended = true;
    condition_broadcast(&ring->moved);
    lock_give(&ring->lock);
}

bool replay_ring_empty(ReplayRing *ring, unsigned *ret_place)
{
    lock_take(&ring->lock);
    while (ring->emptied == ring->filled && !ring->ended)
        condition_wait(&ring->moved, &ring->lock);
    bool there = ring->emptied != ring->filled;
    *ret_place = (unsigned)(ring->emptied % ring->places);
    lock_give(&ring->lock);
    return there;
}

void replay_ring_emptied(ReplayRing *ring)
{
    move(ring, &ring->emptied);
}
