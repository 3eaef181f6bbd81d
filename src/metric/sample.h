// SPDX-License-Identifier: Apache-2.0
// sample.h: the words that pass the two joints.
#pragma once

#include "metric/histogram.h"
#include "metric/labels.h"

// Identifies a series inside one Sink for as long as the series lives; 0 is none. Never reused for another series.
typedef uint64_t SeriesRef;

typedef enum MetricType {
    METRIC_UNKNOWN,
    METRIC_COUNTER,
    METRIC_GAUGE,
    METRIC_HISTOGRAM,
    METRIC_GAUGE_HISTOGRAM,
    METRIC_SUMMARY,
    METRIC_INFO,
    METRIC_STATESET,
} MetricType; // numbers as in the WAL's metadata record

// "unknown", "counter", ...: names as in the API.
Str metric_type_name(MetricType type);
// Also "untyped", as unknown. False if there is no such type.
bool metric_type_parse(Str name, MetricType *ret_type);

typedef struct Metadata {
    MetricType type;
    Str help;
    Str unit;
} Metadata;

typedef struct Exemplar {
    Labels labels;
    double value;
    int64_t t_ms;
    bool has_t;
} Exemplar;

// Samples of one series in columns, in rising time. `histograms` is NULL when all are floats; else histograms[i] is NULL for a
// float sample and value[i] is unused for a histogram. start_ms[i] is when the counter began that sample i counts, 0 if that is not
// known; the column is NULL when none is.
typedef struct SampleColumns {
    int64_t *t_ms;
    double *value;
    const Histogram **histograms;
    size_t count;
    int64_t *start_ms;
} SampleColumns;

// Moves sample `from` to the place `to` at or before it: how samples are taken out of columns.
static inline void sample_columns_move(SampleColumns *columns, size_t to, size_t from)
{
    columns->t_ms[to] = columns->t_ms[from];
    columns->value[to] = columns->value[from];
    if (columns->histograms)
        columns->histograms[to] = columns->histograms[from];
    if (columns->start_ms)
        columns->start_ms[to] = columns->start_ms[from];
}
