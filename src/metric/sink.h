// SPDX-License-Identifier: Apache-2.0
// sink.h: the joint through which samples are poured: "take these samples, then commit or roll back".
//
// tsdb, remote write and agent mode are Sinks. An Appender belongs to one thread; many may be open at once. The hot path is
// sink_append on refs that an earlier round resolved: no label is looked at again.
#pragma once

#include "metric/sample.h"

typedef struct Sink Sink;
typedef struct Appender Appender;

typedef enum AppendStatus {
    APPEND_OK,
    APPEND_GONE,          // the ref's series was dropped: resolve it again by its labels
    APPEND_OUT_OF_ORDER,  // older than the newest, no out-of-order window
    APPEND_TOO_OLD,       // beyond the out-of-order window
    APPEND_OUT_OF_BOUNDS, // before what the head may still take, or too far in the future
    APPEND_DUPLICATE,     // same time, other value
    APPEND_LIMIT, // the store takes no more (disk full, series limit): see the commit's error
} AppendStatus;

typedef struct SinkSample {
    SeriesRef ref;
    int64_t t_ms;
    double value;
    const Histogram *histogram; // NULL: a float
    int64_t
        start_ms; // when the counter began that this sample counts; 0: not known. Kept by stores that are told to
    AppendStatus status; // filled by append
} SinkSample;

struct Sink {
    // Never fails: what is wrong with the store is told by append's statuses and by commit.
    Appender *(*begin)(Sink *sink);
};

struct Appender {
    // Finds or creates the series. The labels are copied if it is new. 0 and err if the store takes no new series.
    SeriesRef (*series)(Appender *appender, Labels labels, bool *ret_created, Error *err);
    // Judges each sample and takes those that are APPEND_OK. They are seen by readers after commit.
    // Returns how many were taken.
    size_t (*append)(Appender *appender, SinkSample *samples, size_t count);
    // Newest metadata of a series / an exemplar of it; both advisory.
    void (*metadata)(Appender *appender, SeriesRef ref, Metadata metadata);
    AppendStatus (*exemplar)(Appender *appender, SeriesRef ref, const Exemplar *exemplar);
    // Both end the appender. After a commit that returned true nothing of it is lost by a crash of the process.
    bool (*commit)(Appender *appender, Error *err);
    void (*rollback)(Appender *appender);
};
