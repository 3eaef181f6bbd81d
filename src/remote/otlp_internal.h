// SPDX-License-Identifier: Apache-2.0
// otlp_internal.h: one OTLP request on its way into the Sink. Private to the room.
#pragma once

#include "base/lock.h"
#include "codec/protobuf.h"
#include "remote/otlp.h"
#include "remote/remote_write_internal.h"

// How names and labels are translated; immutable, counted.
typedef struct OtlpRules {
    _Atomic int refs; // starts at 1
    Arena arena;
    OtlpConfig config;
    uint64_t generation; // no two have the same: series of other rules are other series
    bool escapes;        // to the legacy alphabet
    bool suffixes;
    bool type_and_unit;
} OtlpRules;

// otlp_names.c
typedef enum OtlpNameKind { OTLP_NAME_PLAIN, OTLP_NAME_COUNTER, OTLP_NAME_GAUGE } OtlpNameKind;
Str otlp_metric_name(const OtlpRules *rules, Str name, Str unit, OtlpNameKind kind, Arena *arena);
Str otlp_label_name(const OtlpRules *rules, Str name, Arena *arena);
// "bytes_per_second"; `escapes`: other characters than a legacy name has become underscores.
Str otlp_unit_name(Str unit, bool escapes, Arena *arena);

// otlp_json.c: ExportMetricsServiceRequest as JSON becomes the same as protobuf.
bool otlp_json_decode(Str json, Arena *arena, Buf *out, Error *err) MUST_CHECK;

typedef struct OtlpResource {
    Str message; // Resource
    Str job, instance;
    int64_t first_ms, last_ms; // of its samples; first > last: none
} OtlpResource;

typedef struct OtlpScope {
    Str message; // InstrumentationScope
    Str schema_url;
    Str name, version;
} OtlpScope;

typedef struct OtlpMetric {
    const OtlpRules *rules;
    OtlpResource *resource;
    const OtlpScope *scope; // NULL: of target_info
    Str name, unit, description;
    OtlpNameKind name_kind;
    MetricType type;
    Str translated;         // made when it is first needed
    RemoteSeriesKey prefix; // of everything above
} OtlpMetric;

typedef enum OtlpSuffix {
    OTLP_NO_SUFFIX,
    OTLP_SUM,
    OTLP_COUNT,
    OTLP_BUCKET,
    OTLP_QUANTILE,
} OtlpSuffix;

// What a series is made of; stands behind WriteOrigin.labels.
typedef struct OtlpOrigin {
    OtlpMetric *metric;
    Str point; // the message that has the attributes
    uint32_t attribute_field;
    OtlpSuffix suffix;
    double bound; // of a bucket or quantile
} OtlpOrigin;

// otlp_labels.c
bool otlp_labels_of(WriteRun *run, Str origin, Label **ret_pairs, size_t *ret_count, Error *err);
Str otlp_any_value_text(Str message, Arena *arena);
// Of a Resource: the value of an attribute; STR_NONE if it lacks it.
Str otlp_attribute(Str message, uint32_t field, Str key, Arena *arena);
// Attributes of the resource beside those that identify it.
size_t otlp_resource_extras(Str resource);

// otlp_points.c
typedef struct OtlpRun {
    Otlp *otlp;
    WriteRun *write;
    Arena *arena;
    const OtlpRules *rules;
    Buf key;
    Error err; // of the translation
    bool failed;
} OtlpRun;

bool otlp_run_fail(OtlpRun *run, const char *fmt, ...) PRINTF(2, 3);
void otlp_run_metric(OtlpRun *run, OtlpMetric *metric, Str message);
// A sample of the series that the origin tells of.
typedef struct OtlpSeries {
    WriteOrigin origin;
    SeriesRef ref;
} OtlpSeries;
OtlpSeries otlp_series(OtlpRun *run, OtlpMetric *metric, OtlpOrigin origin, RemoteSeriesKey base);
RemoteSeriesKey otlp_point_key(OtlpRun *run, const OtlpMetric *metric, Str point, uint32_t field);

// False: it is malformed, which spoils nothing else. Labels live in the run's arena.
bool otlp_exemplar_read(OtlpRun *run, Str message, Exemplar *ret_exemplar);

// otlp_histogram.c
#define OTLP_HISTOGRAM_COUNTS_MAX 100000
typedef struct OtlpBuckets {
    int32_t offset;
    uint64_t *counts;
    size_t count;
} OtlpBuckets;

typedef struct OtlpHistogramPoint {
    int64_t start_ms, t_ms;
    uint64_t count;
    double sum;
    bool has_sum;
    bool has_no_value;
    int32_t scale;
    uint64_t zero_count;
    OtlpBuckets positive, negative; // explicit: positive only
    double *bounds;
    size_t bound_count;
} OtlpHistogramPoint;

bool otlp_histogram_point_read(Str message, bool exponential, Arena *arena,
                               OtlpHistogramPoint *ret_point);
// As native histograms: exponential ones, and explicit ones with custom buckets.
bool otlp_histogram_exponential(const OtlpHistogramPoint *point, HistogramHint hint, Arena *arena,
                                Histogram **ret_histogram, Error *err);
Histogram *otlp_histogram_custom(const OtlpHistogramPoint *point, HistogramHint hint, Arena *arena);
void otlp_run_histograms(OtlpRun *run, OtlpMetric *metric, Str data, bool exponential);

// otlp_delta.c: sums and counts over time of what comes as differences.
typedef struct OtlpDeltas OtlpDeltas;
OtlpDeltas *otlp_deltas_new(void);
void otlp_deltas_free(OtlpDeltas *deltas);
// The total with `value` added to it. False: the point is older than what is known.
bool otlp_deltas_add_number(OtlpDeltas *deltas, RemoteSeriesKey key, int64_t t_ms, double value,
                            double *ret_total, int64_t *ret_start_ms, int64_t start_ms);
// The same for an explicit histogram, in place; its bounds must be those of before, else it starts anew.
bool otlp_deltas_add_histogram(OtlpDeltas *deltas, RemoteSeriesKey key, OtlpHistogramPoint *point);
// The same for an exponential one, at the coarser scale of both; what comes back lives in the arena.
bool otlp_deltas_add_exponential(OtlpDeltas *deltas, RemoteSeriesKey key, OtlpHistogramPoint *point,
                                 Arena *arena);

struct Otlp {
    OtlpOptions options;
    RemoteWrite *write;
    OtlpDeltas *deltas;
    Counter *requests_refused;
    Lock lock; // guards `rules`
    OtlpRules *rules GUARDED_BY(lock);
};
