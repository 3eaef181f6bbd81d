// SPDX-License-Identifier: Apache-2.0
// Spans of what the Alertmanager does: `tracing` of its configuration, or those of the process that it is a part of.
#include "alertmanager/am_trace.h"

#include <stdio.h>

#include "alertmanager/am_internal.h"
#include "base/log.h"
#include "net/trace_export.h"

static void on_error(void *arg, const Error *err)
{
    (void)arg;
    log_error("traces could not be sent", KV("err", err));
}

void am_trace_init(Am *am)
{
    am->tracer = am->options.tracer;
    if (am->tracer)
        return;
    am->tracer = tracer_new();
    am->trace_export = trace_export_new(&(TraceExportOptions){
        .tracer = am->tracer,
        .service_name = S("alertmanager"),
        .service_version = S(AM_VERSION),
        .registry = am->options.registry,
        .on_error = on_error,
    });
}

void am_trace_apply(Am *am, const AmConfig *config)
{
    const TraceConfig *tracing = config->file.tracing;
    Error err = {0};
    if (!am->trace_export && tracing)
        log_warn("the traces of this process are those of the server, ignoring the Alertmanager's "
                 "\"tracing\"",
                 KV("file", am->options.config_file));
    else if (am->trace_export && !trace_export_apply(am->trace_export, tracing, &err))
        log_error("there are no traces", KV("err", &err));
}

void am_trace_deinit(Am *am)
{
    if (!am->trace_export)
        return;
    trace_export_free(am->trace_export);
    tracer_free(am->tracer);
}

struct Tracer *am_tracer(const Am *am)
{
    return am->tracer;
}

Str am_trace_hex(uint64_t fingerprint, char out[17])
{
    snprintf(out, 17, "%016llx", (unsigned long long)fingerprint);
    return str_from_c(out);
}

void am_trace_fingerprint(Span *span, const char *key, uint64_t fingerprint)
{
    char hex[17];
    if (span_is_recorded(span))
        span_str(span, key, am_trace_hex(fingerprint, hex));
}

void am_trace_about(Span *span, Labels labels, uint64_t fingerprint)
{
    span_str(span, "alerting.alert.name", labels_get(labels, S("alertname")));
    am_trace_fingerprint(span, "alerting.alert.fingerprint", fingerprint);
}

bool am_trace_alert(Span *span, const char *name, Labels labels, uint64_t fingerprint)
{
    if (!span_open_recorded(span, str_from_c(name)))
        return false;
    am_trace_about(span, labels, fingerprint);
    return true;
}
