// SPDX-License-Identifier: Apache-2.0
// http_trace.h: spans of HTTP exchanges, with OpenTelemetry's names of attributes (semantic conventions 1.40, HTTP).
#pragma once

#include "net/http_server.h"
#include "trace/trace.h"

// "GET /api/v1/query", below the caller's traceparent, this thread's until its end. None without tracing.
void http_trace_serve(Span *span, Tracer *tracer, const HttpRequest *request);
// status 0: not known yet, somebody else goes on with the answer.
void http_trace_served(Span *span, int status);

// "HTTP GET", below `parent`.
void http_trace_ask(Span *span, const Span *parent, Str method, Str url);
// status 0: there was no answer, and `err` says why.
void http_trace_asked(Span *span, int status, const Error *err);
