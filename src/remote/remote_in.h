// SPDX-License-Identifier: Apache-2.0
// remote_in.h: other stores as a part of our own: a Source that asks the local one and every remote_read endpoint. A part of the front
// desk (remote.h).
//
//     select --+--> local Source --------------------------> list of series
//              '--> ReadRequest --POST--> endpoint --answer--^
//     read   --+--> local samples -------> one column
//              '--> decode the answer -----^
//
// (1) Without endpoints it is the local Source itself.
// (2) An endpoint is asked only if the selector has its required matchers, and only for times that the local store does not hold, unless
//     it is to be asked for all.
// (3) An endpoint that fails is told in the log and counted; the query goes on with what the others say.
// (4) Of samples at the same time the local one counts.
//
// Facts: prometheus.md sections 1.9 and 7.4. Thread: any.
#pragma once

#include "base/clock.h"
#include "client/registry.h"
#include "metric/source.h"
#include "remote/remote_config.h"

#define REMOTE_ANSWER_BYTES_MAX                                                                    \
    ((size_t)512 << 20) // of one endpoint to one selector, as it comes and decompressed
#define REMOTE_ANSWER_SERIES_MAX 5000000

typedef struct RemoteInOptions {
    Registry *registry; // prometheus_remote_read_client_*; NULL: none
    Clock *clock;
    Source *local;
    // Times from here on are in the local store, whole. NULL: from 0 on.
    int64_t (*local_start_ms)(void *arg);
    void *arg;
    // Samples of a chunk (encodings as on disk) with min_t_ms <= t <= max_t_ms, in rising time, in the arena.
    bool (*decode)(int encoding, Str chunk, int64_t min_t_ms, int64_t max_t_ms, Arena *arena,
                   SampleColumns *ret_samples, Error *err);
} RemoteInOptions;

typedef struct RemoteInConfig {
    ConfigList reads; // RemoteReadConfig
    Labels external;
    // The generation in which they live; kept as long as one of them is in use.
    void *owner;
    void (*ref)(void *owner);
    void (*unref)(void *owner);
} RemoteInConfig;

typedef struct RemoteIn RemoteIn;
bool remote_in_new(const RemoteInOptions *options, RemoteIn **ret_in, Error *err) MUST_CHECK;
// After its queriers. Accepts NULL.
void remote_in_free(RemoteIn *in);
// From now on these endpoints are asked; queries under way go on with the old ones.
bool remote_in_apply(RemoteIn *in, const RemoteInConfig *config, Error *err) MUST_CHECK;
Source *remote_in_source(RemoteIn *in);
