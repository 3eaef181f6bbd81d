// SPDX-License-Identifier: Apache-2.0
// agent_store.h: a store that keeps nothing but a log: a Sink for what is scraped, a Feed for remote write. A part of the front desk
// (tsdb.h).
//
//     <dir>/lock  wal/<segments>  wal/checkpoint.%08d (series alone)
//
// (1) A sample is taken if it is newer than the newest of its series; all else is for the receiver to judge.
// (2) Segments go when remote write is done with them, or when they are older than keep_ms_max; never before they are
//     keep_ms_min old. A series goes when nothing came for it in that time.
//
// Format: Prometheus' WAL, so that the original's agent can take the folder over, and the other way round.
// Thread: any for every function here.
#pragma once

#include "base/clock.h"
#include "base/fs.h"
#include "client/registry.h"
#include "metric/feed.h"
#include "metric/sink.h"

typedef struct AgentOptions {
    Str dir;
    Fs *fs;
    Clock *clock;
    Registry *registry; // prometheus_agent_*; NULL: none
    bool no_lockfile;
    uint64_t wal_segment_bytes;
    int wal_compression; // TsdbCompression
    int64_t truncate_every_ms;
    int64_t keep_ms_min, keep_ms_max;
    // The first segment that remote write still reads. NULL: none is read.
    uint32_t (*needed_segment)(void *arg);
    void *arg;
} AgentOptions;

void agent_options_default(AgentOptions *ret_options);

typedef struct AgentStore AgentStore;
bool agent_store_open(const AgentOptions *options, AgentStore **ret_store, Error *err) MUST_CHECK;
void agent_store_close(AgentStore *store); // accepts NULL
Sink *agent_store_sink(AgentStore *store);
Feed *agent_store_feed(AgentStore *store);
// What the maintenance thread does every truncate_every_ms.
bool agent_store_truncate(AgentStore *store, Error *err) MUST_CHECK;
