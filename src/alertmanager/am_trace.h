// SPDX-License-Identifier: Apache-2.0
// am_trace.h: spans of single alerts: below this thread's, and only where that is recorded, as there are many of them.
#pragma once

#include "metric/labels.h"
#include "trace/trace.h"

// A span that is entered, with the alert's name and fingerprint. False: it is none.
bool am_trace_alert(Span *span, const char *name, Labels labels, uint64_t fingerprint);
// The same for a span that is there.
void am_trace_about(Span *span, Labels labels, uint64_t fingerprint);
void am_trace_fingerprint(Span *span, const char *key, uint64_t fingerprint);
// As the API shows it; points into `out`.
Str am_trace_hex(uint64_t fingerprint, char out[17]);
