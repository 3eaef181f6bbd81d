// SPDX-License-Identifier: Apache-2.0
// tool_result.h: answers of the HTTP API v1: read, and printed as promtool prints them. Private to the room.
#pragma once

#include "codec/json_reader.h"
#include "metric/labels.h"
#include "tool/tool_http.h"

typedef struct ToolBucket {
    int boundaries; // 0: (], 1: [), 2: (), 3: []
    double lower, upper, count;
} ToolBucket;

typedef struct ToolHistogram {
    double count, sum;
    ToolBucket *buckets;
    size_t bucket_count;
} ToolHistogram;

typedef struct ToolPoint {
    int64_t t_ms;
    double value;
    const ToolHistogram *histogram; // NULL: value counts
} ToolPoint;

typedef struct ToolSeries {
    Labels metric;
    ToolPoint *values; // a vector has one in all
    size_t value_count;
    ToolPoint *histograms;
    size_t histogram_count;
} ToolSeries;

typedef struct ToolResult {
    QueryKind kind;
    ToolPoint scalar;
    Str string; // at scalar.t_ms
    ToolSeries *series;
    size_t count;
} ToolResult;

typedef struct ToolEnvelope {
    Str data;                  // JSON, a view into the answer; empty: there is none
    const JsonValue *warnings; // NULL: there are none
} ToolEnvelope;

// Opens the envelope of an API answer. A failure reads as promtool's: "bad_data: ...", "server_error: server error: 503 (detail: ...)".
bool tool_envelope_read(const ToolAnswer *answer, Arena *arena, ToolEnvelope *ret_envelope,
                        Error *err) MUST_CHECK;
// The data of a query. It is read series by series, so that a large answer is not in memory as a tree besides.
bool tool_result_read(Str data, Arena *arena, ToolResult *ret_result, Error *err) MUST_CHECK;
// The labels of an object of strings.
bool tool_labels_read(const JsonValue *object, Arena *arena, Labels *ret_labels,
                      Error *err) MUST_CHECK;

// -o promql, -o json: without the newline at the end. A matrix is sorted in place by the former.
void tool_result_print(ToolResult *result, ToolOutput output, Arena *arena, Buf *out);
// name{a="b"} with the labels in the order of their texts, as model.Metric.String().
void tool_metric_print(Labels metric, Arena *arena, Buf *out);
// {__name__="name", a="b"}, names never quoted, as model.LabelSet.String().
void tool_label_set_print(Labels labels, Buf *out);
void tool_labels_json(Labels labels, JsonWriter *json);
