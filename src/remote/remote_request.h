// SPDX-License-Identifier: Apache-2.0
// remote_request.h: a remote write request on its way out: samples of known series become protobuf of version 1.0 or 2.0. Private to the
// room.
//
//     1.0   TimeSeries { labels by the numbers of their pairs, sample }     packed at once (remote_pack.h)
//     2.0   symbols, TimeSeries { numbers of symbols, sample, metadata }
//
// What does not change from sample to sample is made once, with the series. Facts: prometheus.md section 7.1.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "metric/sample.h"
#include "remote/remote_pack.h"
#include "remote/remote_pairs.h"

// Metadata of a metric; its owner outlives the series that point to it.
typedef struct RemoteMetadata {
    Str name; // of the metric
    MetricType type;
    Str help, unit;
    bool is_known;
} RemoteMetadata;

typedef struct RemoteSymbol {
    uint32_t offset, len; // in the series' text
    uint32_t hash;
} RemoteSymbol;

// What only 2.0 needs.
typedef struct RemoteSeriesV2 {
    const RemoteMetadata *metadata;
    Str text; // names and values
    uint32_t symbol_count;
    uint32_t unit_symbol;  // the value of __unit__; 0: it has none
    MetricType type;       // what __type__ says
    RemoteSymbol *symbols; // of names and values in turn
} RemoteSeriesV2;

typedef struct RemoteSeries {
    uint64_t ref;
    uint32_t segment;    // of the log, in which it was last told of
    bool is_dropped;     // by write_relabel_configs
    uint16_t pair_count; // 1.0
    uint32_t pair_bytes; // of all of them
    RemoteSeriesV2 *v2;  // NULL: 1.0
    uint32_t pairs[];    // 1.0: numbers
} RemoteSeries;

// On the heap, in one piece. `pairs` is NULL for 2.0.
RemoteSeries *remote_series_new(RemotePairs *pairs, uint64_t ref, Labels labels);
RemoteSeries *remote_series_new_dropped(uint64_t ref);
void remote_series_free(RemotePairs *pairs, RemoteSeries *series);

typedef struct RemoteSymbolSlot {
    uint32_t epoch;
    uint32_t hash;
    uint32_t index;
    uint32_t offset, len; // in `symbols`, without the field's head
} RemoteSymbolSlot;

typedef struct RemoteRequest {
    bool v2;
    size_t samples, histograms, exemplars, metadata;
    int64_t newest_t_ms;
    RemotePack pack; // 1.0: all but metadata
    Buf message;     // 1.0: metadata; 2.0: all but the symbols
    Buf symbols;
    Buf refs; // scratch
    RemoteSymbolSlot *slots;
    uint32_t slot_count; // a power of two
    uint32_t symbol_count;
    uint32_t epoch;
} RemoteRequest;

// `pairs` those of the series of 1.0; NULL: 2.0, or metadata only.
void remote_request_init(RemoteRequest *request, bool v2, const RemotePairs *pairs);
void remote_request_deinit(RemoteRequest *request);
void remote_request_reset(RemoteRequest *request); // for the next one, keeps its memory

void remote_request_sample(RemoteRequest *request, const RemoteSeries *series, int64_t t_ms,
                           double value, int64_t start_ms);
void remote_request_histogram(RemoteRequest *request, const RemoteSeries *series, int64_t t_ms,
                              const Histogram *histogram, int64_t start_ms);
void remote_request_exemplar(RemoteRequest *request, const RemoteSeries *series,
                             const Exemplar *exemplar);
// 1.0 only, in a request of their own.
void remote_request_metadata(RemoteRequest *request, Str metric, Metadata metadata);

static inline size_t remote_request_count(const RemoteRequest *request)
{
    return request->samples + request->histograms + request->exemplars + request->metadata;
}

// The whole message as a snappy block behind `out`; *ret_bytes (may be NULL) tells its length before.
void remote_request_finish(RemoteRequest *request, Buf *out, size_t *ret_bytes);

// Takes the entries that are older than `t_ms` out of a finished body of either version. Counts what is left.
typedef struct RemoteRequestCounts {
    size_t samples, histograms, exemplars;
} RemoteRequestCounts;
bool remote_request_drop_old(Buf *body, bool v2, int64_t t_ms, RemoteRequestCounts *ret_left,
                             Error *err) MUST_CHECK;

// The series of a finished body of 2.0 with their points, `series_max` of them, in one line for people.
void remote_request_print_v2(Str body, size_t series_max, Buf *out);

// A Histogram message as field `field`.
void remote_histogram_encode(Buf *buf, uint32_t field, const Histogram *histogram, int64_t t_ms,
                             int64_t start_ms);
// More bytes than that will have.
size_t remote_histogram_bytes(const Histogram *histogram);
