// SPDX-License-Identifier: Apache-2.0
// remote_read_internal.h: one request that is being answered. Private to the room.
#pragma once

#include "base/lock.h"
#include "codec/protobuf.h"
#include "remote/remote_read.h"

enum { READ_SAMPLES = 0, READ_STREAMED_CHUNKS = 1 };

struct RemoteRead {
    RemoteReadOptions options;
    Lock lock; // rank 780; guards running
    Condition freed;
    int running GUARDED_BY(lock);
    Gauge *queries;
    Counter *samples;
};

typedef struct ReadQuery {
    int64_t start_ms, end_ms;
    Matcher *matchers;
    size_t matcher_count;
    bool has_hints;
    SelectHints hints;
} ReadQuery;

typedef struct ReadRun {
    RemoteRead *remote;
    Source *source;
    Labels external;
    Arena *arena;
    const RemoteReadReply *reply;
    ReadQuery *queries;
    size_t query_count;
    int type; // READ_*
    bool begun;
} ReadRun;

// Fills queries and type. Matchers' regexes are freed with read_request_free, also after a failure.
bool read_request_decode(ReadRun *run, Str message, Error *err) MUST_CHECK;
void read_request_free(ReadRun *run);

// A Buf whose growth is counted in the budget before it happens; NULL: everything is allowed.
typedef struct ReadBuf {
    Buf buf;
    Budget *budget;
    size_t counted; // there
} ReadBuf;
bool read_buf_reserve(ReadBuf *out, size_t more, Error *err) MUST_CHECK;
void read_buf_free(ReadBuf *out);

// The series' labels and the external ones that it lacks, sorted.
Labels read_labels(const ReadRun *run, Arena *arena, Labels labels);
void read_add_labels(Buf *buf, Labels labels);
// Bytes that read_add_labels writes, at most.
size_t read_labels_bytes(Labels labels);

// Calls `each` for every series of the query, sorted by stored labels; samples live until it returns.
typedef bool (*ReadSeriesFn)(void *arg, Labels labels, SampleColumns *samples, Arena *scratch,
                             Error *err);
bool read_each_series(const ReadRun *run, const ReadQuery *query, ReadSeriesFn each, void *arg,
                      Error *err) MUST_CHECK;

bool read_answer_samples(ReadRun *run, Error *err) MUST_CHECK; // remote_read_samples.c
bool read_answer_stream(ReadRun *run, Error *err) MUST_CHECK;  // remote_read_stream.c
