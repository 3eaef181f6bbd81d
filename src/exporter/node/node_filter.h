// SPDX-License-Identifier: Apache-2.0
// node_filter.h: the include and exclude patterns of collectors: unanchored regular expressions, asked about the same few names at
// each scrape, so answers are remembered.
#pragma once

#include "base/regex.h"

#define NODE_FILTER_MEMO 256 // power of two

typedef struct NodeFilter {
    Regex *include;                  // NULL: everything
    Regex *exclude;                  // NULL: nothing
    uint64_t memo[NODE_FILTER_MEMO]; // a name's hash, its last bit replaced by the answer
} NodeFilter;

// Empty patterns do not filter. The flags' names are for messages.
// Fails ERR_INVALID if a pattern is wrong or both are given.
bool node_filter_init(NodeFilter *filter, const char *include_flag, Str include,
                      const char *exclude_flag, Str exclude, Error *err) MUST_CHECK;
void node_filter_deinit(NodeFilter *filter);
bool node_filter_takes(NodeFilter *filter, Str name);
