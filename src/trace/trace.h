// SPDX-License-Identifier: Apache-2.0
// trace.h: spans: what was done, from when to when, below what, and how it ended. They are recorded here, encoded as OTLP as they grow, and
// wait in a bounded queue until an exporter (net/trace_export.h) takes them. Whoever records never waits: what does not fit is dropped
// and counted.
//
//     Span span;
//     span_begin(&span, tracer, &remote, SPAN_SERVER, S("GET /api/v1/query"));   a root, or below who called us
//     span_enter(&span);                                                         is this thread's now
//         Span inner;
//         span_open(&inner, S("promqlExec"));                                    below this thread's, and entered
//         span_str(&inner, "query", text);
//         span_end(&inner);
//     span_end(&span);
//
// (1) A span that is begun is ended, once, on the thread that entered it, inner ones first. A zeroed Span is none: all verbs accept it.
// (2) Without tracing a span costs one look at a flag; one that is not sampled costs random numbers and is passed on as such.
// (3) The decision to sample is the caller's where there is one; the root's own follows from its trace's number and the fraction.
//
// Format: OpenTelemetry's trace.proto, W3C Trace Context. Thread: a tracer any; a span one at a time.
#pragma once

#include <stdatomic.h>

#include "base/buf.h"
#include "base/macros.h"

typedef enum SpanKind { SPAN_INTERNAL = 1, SPAN_SERVER = 2, SPAN_CLIENT = 3 } SpanKind;

// What is passed on to others.
typedef struct SpanContext {
    unsigned char trace_id[16]; // all zero: none
    unsigned char span_id[8];
    bool sampled;
} SpanContext;

typedef struct Tracer Tracer;

typedef struct Span {
    Tracer *tracer; // NULL: there is no tracing, and nothing else is set
    SpanContext context;
    struct Span *outer; // this thread's before this one
    bool entered, failed;
    int64_t start_ns;      // wall time
    int64_t start_mono_ns; // 0: the start was told, and the end is by the wall clock
    Buf message;           // trace.proto's Span, as far as it is known
} Span;

// ---- tracers ----

typedef struct TracerStats {
    uint64_t ended;   // sampled spans
    uint64_t dropped; // of these, for want of room
    size_t waiting;
} TracerStats;

// Off until tracer_set. Spans are ended before their tracer is freed.
Tracer *tracer_new(void);
void tracer_free(Tracer *tracer); // accepts NULL
// `fraction` of the traces that begin here are sampled.
// Thread: any.
void tracer_set(Tracer *tracer, bool on, double fraction);
bool tracer_is_on(const Tracer *tracer); // NULL is not
// Called by whoever ends the span that makes `count` waiting. NULL: nobody; returns when nobody is in it any more.
void tracer_set_wake(Tracer *tracer, size_t count, void (*wake)(void *arg), void *arg);
// Moves up to `max` spans into `out`, each as an embedded message of that field. Returns how many.
size_t tracer_take(Tracer *tracer, size_t max, Buf *out, uint32_t field);
TracerStats tracer_stats(Tracer *tracer);

// ---- spans ----

// Below `parent`, which may be another program's; a root if that is NULL or none.
void span_begin(Span *span, Tracer *tracer, const SpanContext *parent, SpanKind kind, Str name);
// Below a span of this program, whichever thread has it; none if that is none.
void span_child(Span *span, const Span *parent, SpanKind kind, Str name);
// Below this thread's; none if there is none.
void span_open(Span *span, Str name);
// The same where that is recorded, for spans that nothing is passed on from and that there are many of. False: it is none.
bool span_open_recorded(Span *span, Str name);
// Makes it this thread's until it ends.
void span_enter(Span *span);
// This thread's span, or NULL.
Span *span_current(void);
// It began at another time than now.
void span_started_at(Span *span, int64_t wall_ns);
void span_end(Span *span);
void span_end_at(Span *span, int64_t wall_ns);

static inline bool span_is_recorded(const Span *span)
{
    return span->tracer && span->context.sampled;
}

// What is told of it; without effect if it is not recorded. Texts are cut at SPAN_TEXT_BYTES_MAX; what is no UTF-8 in them becomes U+FFFD.
#define SPAN_TEXT_BYTES_MAX 4096
void span_str(Span *span, const char *key, Str value);
void span_i64(Span *span, const char *key, int64_t value);
void span_f64(Span *span, const char *key, double value);
void span_bool(Span *span, const char *key, bool value);
void span_strs(Span *span, const char *key, const Str *values, size_t count);
// Something that happened in it, now.
typedef struct SpanAttribute {
    const char *key;
    Str text; // or, if it has none,
    int64_t number;
} SpanAttribute;
void span_event(Span *span, Str name, const SpanAttribute *attributes, size_t count);
// It ended badly. The first word counts. Quietly: without one, where attributes say it.
void span_fail(Span *span, Str why);
void span_fail_quietly(Span *span);

// ---- passing it on: W3C traceparent ----

#define SPAN_PARENT_BYTES 55
// "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01". False: it is none, and *ret_context is untouched.
bool span_context_parse(Str traceparent, SpanContext *ret_context);
// With a NUL behind it. The span is not none.
void span_context_print(const SpanContext *context, char out[SPAN_PARENT_BYTES + 1]);
// One attribute (common.proto's KeyValue), for whoever writes the rest of a message.
void span_add_attribute(Buf *buf, uint32_t field, const char *key, Str value);
