// SPDX-License-Identifier: Apache-2.0
// debug_pages.h: what a process tells of itself below /debug/pprof/, where tools of Go's world look: an index, its command line, where
// its threads spend CPU. Profiles of Go's runtime are not here, and say so.
//
// Thread: any. A CPU profile holds its thread as long as it lasts; there is one at a time.
#pragma once

#include "net/http_server.h"

typedef struct DebugSent {
    int status;
    size_t bytes; // of the body
} DebugSent;

// Answers a GET or POST. `page` is what stands behind "/debug/pprof/".
DebugSent debug_pages_answer(HttpRequest *request, Str page);
