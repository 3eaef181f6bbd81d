// SPDX-License-Identifier: Apache-2.0
// exposition_protobuf.h: where in a body of protobuf its reader stands. Private to the room.
//
//     MetricFamily   name, help, unit, type, metrics ...
//     Metric         labels ... | value | time            -> items
//     ProtobufItem   one series of the metric: _count, _sum, one for each bucket or quantile, or a native histogram
//
// A caller that knows what is to come (exposition_next_hash) gets items by a hash of the bytes of the labels; then neither labels nor
// texts are made.
#pragma once

#include "codec/protobuf.h"
#include "metric/exposition_internal.h"

// Numbers of io.prometheus.client.MetricType.
enum {
    PB_COUNTER,
    PB_GAUGE,
    PB_SUMMARY,
    PB_UNTYPED,
    PB_HISTOGRAM,
    PB_GAUGE_HISTOGRAM,
    PB_TYPE_COUNT
};

typedef struct ProtobufItem {
    const char *suffix;
    const char *label; // "le", "quantile" or NULL
    double label_value;
    double value;
    const Histogram *histogram;
    const Str *exemplars; // messages
    size_t exemplar_count;
    int64_t start_ms;
} ProtobufItem;

typedef struct ExpositionProtobuf {
    Str rest; // messages after this family
    uint64_t family_number;
    // The family.
    Str name, help, unit;
    uint64_t type;
    ProtoReader metrics;
    int metadata_told; // help, unit, type
    uint64_t name_hash;
    // The metric.
    Str metric;
    uint64_t labels_hash; // of their bytes; 0: they do not stand together
    bool has_labels;      // `labels` are this metric's
    Label *labels;
    size_t label_count;
    size_t label_cap;
    int64_t t_ms;
    ProtobufItem *items; // of the newest metric; the array is used again
    size_t item_count;
    size_t item_cap;
    size_t item_at;
    const Str *exemplars; // left of the current item
    size_t exemplar_count;
    char *scratch; // for series texts
    size_t scratch_bytes;
    bool needs_time; // exemplars of native histograms without a time are dropped
} ExpositionProtobuf;

// Ends the reading with an error that names the family. Returns false.
bool exposition_protobuf_fail(Exposition *parser, const char *text);
// Room for one more in a list of unknown length in the arena.
void *exposition_protobuf_list(Arena *arena, void *list, size_t count, size_t *cap, size_t bytes);
// A google.protobuf.Timestamp.
bool exposition_protobuf_time(Str message, int64_t *ret_ms);
// Makes the items of a metric's value: a Counter, Gauge, Summary, Untyped or Histogram.
bool exposition_protobuf_value(Exposition *parser, Str message);
