// SPDX-License-Identifier: Apache-2.0
// otlp.h: takes OpenTelemetry metrics over HTTP into a Sink. A part of the front desk (remote.h).
//
//     body --gzip--> JSON --otlp_json--> protobuf --> resource, scope, metric, data point --> samples
//                                                          '--hash of their bytes--> SeriesRef (cache)
//
// (1) A request is written whole or not at all.
// (2) A series that came before is known by the bytes of its resource, scope, metric and attributes: names and labels are
//     translated only for a new one.
//
// Facts: prometheus.md sections 1.10 and 7.5. Thread: any.
#pragma once

#include "base/clock.h"
#include "client/registry.h"
#include "metric/sink.h"
#include "remote/remote_config.h"

#define OTLP_BYTES_MAX (32u << 20) // of a request, decompressed
#define OTLP_ATTRIBUTES_MAX 1000   // of one point, resource or scope

typedef struct OtlpOptions {
    Registry *registry; // prometheus_api_otlp_*; NULL: none
    Clock *clock;
    int64_t lookback_ms;       // half of it lies between two samples of target_info
    bool native_delta;         // feature otlp-native-delta-ingestion
    bool delta_to_cumulative;  // feature otlp-deltatocumulative
    bool type_and_unit_labels; // feature type-and-unit-labels
    bool zero_samples;         // feature created-timestamp-zero-ingestion
} OtlpOptions;

typedef struct Otlp Otlp;
Otlp *otlp_new(const OtlpOptions *options);
void otlp_free(Otlp *otlp); // accepts NULL
// From now on requests are translated like this. The configuration is copied.
void otlp_configure(Otlp *otlp, const OtlpConfig *config);

typedef struct OtlpRequest {
    Str content_type, content_encoding;
    Str body;
} OtlpRequest;

typedef struct OtlpAnswer {
    int status; // of HTTP: 200, 400, 500
    Str text;   // of a failure, in the arena
} OtlpAnswer;

// `sink` is the same in all calls of one Otlp.
void otlp_handle(Otlp *otlp, Sink *sink, const OtlpRequest *request, Arena *arena,
                 OtlpAnswer *ret_answer);
