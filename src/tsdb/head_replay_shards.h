// SPDX-License-Identifier: Apache-2.0
// head_replay_shards.h: samples of the log on their way into their series, on several threads.
//
//     caller: ref to slot  -->  shard 0: slots 0 to 255    sample sample sample ...
//                          -->  shard 1: slots 256 to 511  sample sample ...            all threads, a shard at a time  -->  series
//
// The log has one sample of a series, then one of every other: put in one by one, each would find its series gone from the cores' caches.
// So they gather in shards of neighbours, some for each series, and all shards are put in when so many are there.
//
// (1) A shard is put in by one thread, in the order of the log; so are the samples of a series.
// (2) Threads put in only while the caller waits, and does the same: between calls nobody touches a series.
// (3) What gathers is bounded by the number of series and by SHARDS_BYTES_MAX.
//
// Thread: one fills them, between start and finish.
#pragma once

#include "tsdb/head_internal.h"

#define REPLAY_SHARDS_MAX 8 // threads
#define SHARDS_BYTES_MAX (64u * 1024 * 1024)

typedef struct ReplayShards ReplayShards;

typedef struct ReplayApplied {
    uint64_t samples, refused;
    uint64_t filled; // series that got their first in-order sample
    uint64_t chunks; // begun by floats
    int64_t min_t_ms, max_t_ms;
} ReplayApplied;

// Memory for the samples that gather. Whoever has time before makes the kernel hand over what is returned, which is used first by that many
// series in a log of that many bytes (footprint_touch).
Str replay_shards_room(uint64_t series, uint64_t log_bytes);
void replay_shards_free_room(Str room); // that no shards have; accepts STR_NONE
// 0 threads: as many as the machine has cores to spare. Takes over the room; STR_NONE: it makes its own.
ReplayShards *replay_shards_new(Head *head, int threads, Str room);
// The histogram is copied; NULL: a float.
void replay_shards_add(ReplayShards *shards, SeriesSlot slot, int64_t t_ms, double value,
                       const Histogram *histogram, int64_t start_ms);
// Several floats without a start, of these slots; samples of slot 0 are left out.
void replay_shards_add_floats(ReplayShards *shards, const SeriesSlot *slots,
                              const WalSample *samples, size_t count);
// As many of a record's next samples as are of known series, not older than that, and nothing else: the reader is left before the first
// that is not so, or before the last ones of the record.
void replay_shards_add_quick(ReplayShards *shards, WalRecordReader *reader, int64_t min_valid_t_ms);
// Puts everything into its series.
void replay_shards_drain(ReplayShards *shards);
// Drains and ends.
void replay_shards_free(ReplayShards *shards, ReplayApplied *ret_applied);
