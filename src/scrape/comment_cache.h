// SPDX-License-Identifier: Apache-2.0
// comment_cache.h: the comments of a target's page as they stood last time, run by run: HELP, TYPE and UNIT lines change with a release of the
// program behind them, so that nearly always a hash of the run tells that there is nothing new in it.
//
// (1) A run is the lines between two samples, all of which begin with '#'.
// (2) What a run said is in the MetadataCache, in slots side by side; the cache is told that they were seen.
//
// Thread: one at a time.
#pragma once

#include "metric/exposition.h"
#include "scrape/scrape_metadata.h"

typedef struct CommentRun {
    uint64_t hash;
    uint32_t slot;  // first of the metadata cache
    uint16_t bytes; // 0: longer than is worth remembering, or its slots lie apart
    uint8_t slots;
    uint8_t type; // MetricType after the run
} CommentRun;

typedef struct CommentCache {
    CommentRun *runs;
    size_t count;
    size_t cap;
    size_t next;       // the expected run
    uint32_t removals; // of the metadata cache: the slots have moved since if it has another number
} CommentCache;

void comment_cache_deinit(CommentCache *cache);
// A round is one page.
void comment_cache_begin(CommentCache *cache, const MetadataCache *metadata);
void comment_cache_end(CommentCache *cache);

// The parser stands on a '#'. True: the run is last time's; the parser has passed it, the metadata cache knows that it was seen.
bool comment_cache_skip(CommentCache *cache, MetadataCache *metadata, Exposition *parser);
// The run from `begin` to where the parser stands now was read; it told the slots from `first` to `last`, or none (first > last).
void comment_cache_note(CommentCache *cache, const Exposition *parser, const char *begin,
                        size_t first, size_t last);
