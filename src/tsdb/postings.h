// SPDX-License-Identifier: Apache-2.0
// postings.h: the refs of the series that have one label pair, rising, as runs of neighbours.
//
//     bytes    | (gap << 1 | longer) varint | length - 2 varint, if longer | ...
//     gap      from the end of the run before to the start of this one
//
// Behind the codes, at the end of the piece, lies a mark for each stride of them, so that a reader who wants few refs of a long list
// need not read what is before them.
//
// The newest run is kept open in the struct, so that a pair with one run (all series of one target, a pair of a single series) owns no bytes
// at all. A list costs about two bytes for each series that is not next to another one.
// Thread: as the pool it lives in.
#pragma once

#include "base/arena.h"
#include "tsdb/pool.h"

#define POSTINGS_STRIDE 1024u // bytes of codes

typedef struct Postings {
    uint64_t first;  // of the open run
    uint64_t sealed; // one past the end of the last run in bytes
    uint32_t length; // of the open run; 0: nothing yet
    uint32_t count;  // refs in all
    uint32_t used;   // bytes
    PoolHandle bytes;
} Postings;

// A span of neighbouring refs.
typedef struct RefRun {
    uint64_t first;
    uint64_t length;
} RefRun;

// Runs in rising order, neither touching nor overlapping, in an arena.
typedef struct RefRuns {
    RefRun *runs;
    size_t count;
    size_t cap;
    uint64_t refs; // in all
} RefRuns;

#define POSTINGS_REF_MAX ((UINT64_C(1) << 63) - 1)

// A zeroed Postings is empty. `ref` is above all that are there; else nothing but postings_sort may be done with it.
void postings_add(Postings *postings, Pool *pool, uint64_t ref);
// Brings refs that were added in any order, each once, into theirs.
void postings_sort(Postings *postings, Pool *pool);
void postings_clear(Postings *postings, Pool *pool);
// Codes that were written before; all but `bytes` and `used` are set. False if they are cut off.
bool postings_load(Postings *postings, Pool *pool, Str bytes) MUST_CHECK;

void postings_decode(const Postings *postings, const Pool *pool, Arena *arena, RefRuns *ret_runs);

// Appends a run behind the last one, melting together what touches.
void ref_runs_add(RefRuns *runs, Arena *arena, uint64_t first, uint64_t length);
RefRuns ref_runs_and(Arena *arena, const RefRuns *a, const RefRuns *b);
// The same with a list that is not decoded whole: for few refs among many. Ends with the last of `refs`.
RefRuns ref_runs_and_postings(Arena *arena, const RefRuns *refs, const Postings *postings,
                              const Pool *pool);
RefRuns ref_runs_or(Arena *arena, RefRuns *lists, size_t count);
RefRuns ref_runs_without(Arena *arena, const RefRuns *a, const RefRuns *b);
