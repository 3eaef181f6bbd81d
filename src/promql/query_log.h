// SPDX-License-Identifier: Apache-2.0
// query_log.h: what the engine tells of its queries: a line of JSON for each that was evaluated, and a file of those that run now, which a
// crash leaves behind. Private to the room; its switches are in promql.h.
//
//     queries.active   '[' | slot 0: 1000 bytes | slot 1 | ...      a slot is {"query":"...","timestamp_sec":...}, zeros, ','
//
// Formats: those of the original, prometheus.md section 4.13.
#pragma once

#include "promql/promql.h"

#define QUERY_SLOT_BYTES 1000

typedef struct QueryTracker QueryTracker;

// The file anew with so many slots. *ret_unfinished (in the arena) are the queries of the last run that did not end, as a JSON array;
// empty if there are none.
bool query_tracker_open(Str path, int slots, Arena *arena, QueryTracker **ret_tracker,
                        Str *ret_unfinished, Error *err) MUST_CHECK;
void query_tracker_close(QueryTracker *tracker); // accepts NULL; removes nothing
// A free slot for the query: there is one, as the engine runs no more queries than there are slots. Thread: any, one at a time.
int query_tracker_add(QueryTracker *tracker, Str query, int64_t now_ms);
void query_tracker_remove(QueryTracker *tracker, int slot);

// One line, with its end. err NULL: the query succeeded.
void query_log_line(Buf *out, const QueryRequest *request, const QueryStats *stats,
                    const Error *err, int64_t now_ms);
