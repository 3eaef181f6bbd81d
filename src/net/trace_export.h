// SPDX-License-Identifier: Apache-2.0
// trace_export.h: sends what a tracer has to an OTLP receiver, over HTTP or gRPC, and the `tracing` block that says where.
//
//     tracer --- up to 512 spans, every 5 s or as soon as there are as many ---> POST ---> receiver
//                                                         <--- again after 5, 7.5, ... s, for a minute
//
// (1) One request at a time; meanwhile spans wait in the tracer's queue, which is bounded.
// (2) What a receiver does not take within a minute, or refuses, is given up, counted and told.
// (3) A changed configuration, or an end, has five seconds to send what waits.
//
// Format: OTLP 1.x (opentelemetry-proto), collector trace service. Facts: prometheus.md section 1.10.
#pragma once

#include "client/registry.h"
#include "net/http_client.h"
#include "trace/trace.h"

typedef enum TraceClient { TRACE_GRPC, TRACE_HTTP } TraceClient;

typedef struct TraceConfig {
    int client_type; // TraceClient
    Str endpoint;    // "host:port"
    double sampling_fraction;
    bool insecure; // without TLS
    HttpTlsConfig tls_config;
    ConfigStrMap headers;
    Str compression;    // "" or "gzip"
    int64_t timeout_ms; // of one request; 0: 10 s
} TraceConfig;

extern const ConfigTable trace_config_table;

typedef struct TraceExportOptions {
    Tracer *tracer;
    Str service_name, service_version; // literals
    Registry *registry;                // of our own counters; NULL: nowhere
    int64_t batch_ms, retry_ms;        // longest wait of a span, first wait of a retry; 0: 5 s
    // What went wrong with a request. On the exporter's thread.
    void (*on_error)(void *arg, const Error *err);
    void *arg;
} TraceExportOptions;

typedef struct TraceExport TraceExport;

// Sends nothing until trace_export_apply. The options are copied.
TraceExport *trace_export_new(const TraceExportOptions *options);
// Takes the configuration over (copied); NULL: no more tracing. Without a change it goes on as it is, unless it names certificates, which
// are then read anew. On failure there is no tracing.
// Thread: one at a time, not the exporter's.
bool trace_export_apply(TraceExport *exporter, const TraceConfig *config, Error *err) MUST_CHECK;
// Sends what waits, for five seconds at most. Accepts NULL.
void trace_export_free(TraceExport *exporter);
