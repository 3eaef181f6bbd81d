// SPDX-License-Identifier: Apache-2.0
// head_replay_shards.h: samples of the log on their way into their series, on several threads.
//
//     caller: ref to slot  -->  ring of batches  -->  thread 0: stripes 0, n, 2n, ...
//                          -->  ring of batches  -->  thread 1: stripes 1, n+1, ...
//
// (1) A series belongs to one thread, so its samples stay in the order of the log.
// (2) Records of series are published before their samples are sent. Whoever changes a record that may have samples on their way drains
//     the shards first.
// (3) A shard holds at most SHARD_BATCHES batches.
//
// Thread: one fills them, between start and finish.
#pragma once

#include "tsdb/head_internal.h"

#define REPLAY_SHARDS_MAX 8

typedef struct ReplayShards ReplayShards;

typedef struct ReplayApplied {
    uint64_t samples, refused;
    uint64_t filled; // series that got their first in-order sample
    int64_t min_t_ms, max_t_ms;
} ReplayApplied;

// 0 threads: as many as the machine has cores to spare.
bool replay_shards_start(Head *head, int threads, ReplayShards **ret_shards, Error *err) MUST_CHECK;
// The histogram is copied; NULL: a float.
void replay_shards_add(ReplayShards *shards, uint64_t ref, SeriesSlot slot, int64_t t_ms,
                       double value, const Histogram *histogram, int64_t start_ms);
// Waits until everything is in its series.
void replay_shards_drain(ReplayShards *shards);
// Drains and ends. Accepts NULL.
void replay_shards_finish(ReplayShards *shards, ReplayApplied *ret_applied);
