// SPDX-License-Identifier: Apache-2.0
// remote.h: samples over the wire. Takes remote write 1.0 (prometheus.WriteRequest) and 2.0
// (io.prometheus.write.v2.Request) into a Sink, and forwards what a Feed tells of to other stores.
//
//     body --snappy--> protobuf --labels--> SeriesRef (cache) --> SinkSample batches --> commit or rollback
//
// (1) A 1.0 request is written whole or not at all. Of a 2.0 request what is good is kept.
// (2) A series that was written before is known by the hash of its label bytes: its labels are not looked at again.
//
// Facts: prometheus.md sections 7.1 and 7.3. Thread: any.
#pragma once

#include "base/clock.h"
#include "base/fs.h"
#include "client/registry.h"
#include "metric/feed.h"
#include "metric/sink.h"
#include "remote/otlp.h"
#include "remote/remote_config.h"
#include "remote/remote_in.h"
#include "remote/remote_read.h"

#define REMOTE_WRITE_BYTES_MAX (32u << 20)    // of a request, decompressed
#define REMOTE_WRITE_LABELS_MAX 1000          // of one series
#define REMOTE_WRITE_FUTURE_MS (10 * 60000)   // newer samples are out of bounds
#define REMOTE_WRITE_CACHED_SERIES (1u << 20) // remembered; then the cache starts anew

typedef struct RemoteWriteOptions {
    Registry *registry; // NULL: no metrics
    Clock *clock;
    bool accept_v1, accept_v2;
    bool zero_samples; // feature created-timestamp-zero-ingestion: one at each start timestamp
    bool type_and_unit_labels; // feature of that name
} RemoteWriteOptions;

typedef struct RemoteWrite RemoteWrite;
RemoteWrite *remote_write_new(const RemoteWriteOptions *options);
void remote_write_free(RemoteWrite *remote); // accepts NULL

typedef struct RemoteWriteRequest {
    Str content_type;     // empty: 1.0
    Str content_encoding; // empty: snappy
    Str body;
} RemoteWriteRequest;

typedef struct RemoteWriteAnswer {
    int status;   // of HTTP: 204, 400, 415, 500
    Str text;     // of a failure, in the arena
    bool counted; // version 2.0: X-Prometheus-Remote-Write-*-Written tell what was written
    uint64_t samples, histograms, exemplars;
} RemoteWriteAnswer;

// `sink` is the same in all calls of one RemoteWrite, as the cache holds its refs.
void remote_write_handle(RemoteWrite *remote, Sink *sink, const RemoteWriteRequest *request,
                         Arena *arena, RemoteWriteAnswer *ret_answer);

// Out ------------------------------------------------------------------------------------------------------------------------------
//
//     Feed --> one queue for each remote_write: a thread that reads, relabels once per series, encodes, sends --> HTTP
//
// What a queue has sent is kept in <dir>/<key>; it goes on there after a restart. Facts: prometheus.md sections 1.8 and 7.2.

typedef struct RemoteMetricMetadata {
    Str metric;
    Metadata metadata;
} RemoteMetricMetadata;

typedef struct RemoteOutOptions {
    Registry *registry; // prometheus_remote_storage_*, prometheus_wal_watcher_*; NULL: none
    Clock *clock;
    Fs *fs;
    Str dir;                   // for the places; made when there is a queue
    int64_t flush_deadline_ms; // at the end, for what is under way
    // What targets tell of their metrics, for 1.0. On a queue's thread; may be NULL.
    void (*metadata)(void *arg, Arena *arena, RemoteMetricMetadata **ret_items, size_t *ret_count);
    void *metadata_arg;
    struct Tracer *tracer; // of a span for each request; NULL: none
} RemoteOutOptions;

typedef struct RemoteOutConfig {
    ConfigList writes; // RemoteWriteConfig
    Labels external;
    // The generation in which they live; kept as long as one of them is in use.
    void *owner;
    void (*ref)(void *owner);
    void (*unref)(void *owner);
} RemoteOutConfig;

typedef struct RemoteOut RemoteOut;
RemoteOut *remote_out_new(const RemoteOutOptions *options, Feed *feed);
// Gives requests under way the flush deadline; what is not sent then is sent after the next start. Accepts NULL.
void remote_out_free(RemoteOut *out);
// Queues whose block and external labels are the same go on undisturbed. One thread at a time. A queue that cannot start is told in
// the log and in *err; the others start.
bool remote_out_apply(RemoteOut *out, const RemoteOutConfig *config, Error *err);
// The first segment of the feed that some queue is not done with; UINT32_MAX without queues.
uint32_t remote_out_needed_segment(RemoteOut *out);
