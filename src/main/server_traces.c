// SPDX-License-Identifier: Apache-2.0
#include "main/server_traces.h"

#include "base/log.h"

static void on_error(void *arg, const Error *err)
{
    (void)arg;
    log_error("traces could not be sent", KV("err", err));
}

void server_traces_init(ServerTraces *traces, Registry *registry, Str version)
{
    traces->tracer = tracer_new();
    traces->exporter = trace_export_new(&(TraceExportOptions){
        .tracer = traces->tracer,
        .service_name = S("prometheus"),
        .service_version = version,
        .registry = registry,
        .on_error = on_error,
    });
}

bool server_traces_apply(ServerTraces *traces, const TraceConfig *config, Error *err)
{
    bool was_on = tracer_is_on(traces->tracer);
    if (!trace_export_apply(traces->exporter, config, err))
        return error_context(err, "tracing");
    if (tracer_is_on(traces->tracer) != was_on)
        log_info(config ? "traces are sent" : "traces are no longer sent",
                 KV("endpoint", config ? config->endpoint : STR_NONE));
    return true;
}

void server_traces_deinit(ServerTraces *traces)
{
    trace_export_free(traces->exporter);
    tracer_free(traces->tracer);
    *traces = (ServerTraces){0};
}
