// SPDX-License-Identifier: Apache-2.0
// remote_read.h: answers remote read: samples of whole series as protobuf, in one piece or in frames of chunks. A part of the front desk
// (remote.h).
//
//     body --snappy--> ReadRequest --matchers, hints--> Source --series by series-->
//         SAMPLES              ReadResponse in memory, snappy, one piece
//         STREAMED_XOR_CHUNKS  | length uvarint | CRC-32C big endian | ChunkedReadResponse | ...    one series in memory
//
// (1) External labels: a series that lacks one gets it; a matcher name="value" of one is a matcher of series without that label.
// (2) All that is held is counted in the arena's budget before it is taken; a request over it is refused.
//
// Facts: prometheus.md section 7.4. Thread: any.
#pragma once

#include "client/registry.h"
#include "metric/source.h"

#define REMOTE_READ_BYTES_MAX (32u << 20) // of a request, decompressed
#define REMOTE_READ_QUERIES_MAX 1000      // of a request

typedef struct RemoteChunk {
    int64_t min_t_ms, max_t_ms; // inclusive
    int encoding;               // as on disk: 1 XOR, 2 histogram, 3 float histogram
    Str bytes;
} RemoteChunk;

typedef struct RemoteReadOptions {
    Registry *registry;   // NULL: no metrics
    uint64_t samples_max; // of one answer in one piece; 0: no limit
    int concurrent_max;   // requests worked on at once, others wait; 0: no limit
    size_t frame_bytes_max;
    // Samples (in rising time, without start timestamps) as chunks, in the arena.
    void (*encode)(const SampleColumns *samples, Arena *arena, RemoteChunk **ret_chunks,
                   size_t *ret_count);
} RemoteReadOptions;

typedef struct RemoteRead RemoteRead;
RemoteRead *remote_read_new(const RemoteReadOptions *options);
void remote_read_free(RemoteRead *remote); // accepts NULL

// Where the answer goes: either `whole` once, or `begin` and then `write` for each frame.
typedef struct RemoteReadReply {
    void *arg;
    void (*whole)(void *arg, Str content_type, Str bytes); // compressed with snappy
    bool (*begin)(void *arg, Str content_type);
    bool (*write)(void *arg, Str bytes);
    bool (*is_gone)(void *arg); // nobody waits for the answer any more
} RemoteReadReply;

// ERR_INVALID and ERR_LIMIT are the client's: 400. *ret_begun tells that the answer had begun when it failed: it is to be cut off.
bool remote_read_handle(RemoteRead *remote, Source *source, Labels external, Str body, Arena *arena,
                        const RemoteReadReply *reply, bool *ret_begun, Error *err) MUST_CHECK;
