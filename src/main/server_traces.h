// SPDX-License-Identifier: Apache-2.0
// server_traces.h: the server's own traces: its tracer, and where `tracing` of the configuration sends them.
#pragma once

#include "net/trace_export.h"

typedef struct ServerTraces {
    Tracer *tracer; // there from the start, off until the configuration says otherwise
    TraceExport *exporter;
} ServerTraces;

void server_traces_init(ServerTraces *traces, Registry *registry, Str version);
// `config` is NULL for none. What cannot be taken up is told in the log.
bool server_traces_apply(ServerTraces *traces, const TraceConfig *config, Error *err) MUST_CHECK;
// After everything that records. Accepts a zeroed one.
void server_traces_deinit(ServerTraces *traces);
