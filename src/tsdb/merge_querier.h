// SPDX-License-Identifier: Apache-2.0
// merge_querier.h: one Querier over blocks and the head: series with the same labels are one, samples at the same time are one.
#pragma once

#include "metric/source.h"
#include "tsdb/block.h"

// Takes over `head` (NULL: none) and a reference to each block; blocks are in rising time. The view is [min_t_ms, max_t_ms].
Querier *merge_querier_new(Querier *head, Block *const *blocks, size_t count, int64_t min_t_ms,
                           int64_t max_t_ms);
