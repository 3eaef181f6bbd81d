// SPDX-License-Identifier: Apache-2.0
#include "tsdb/block_ahead.h"

#define GAP_BYTES ((uint64_t)32 << 10) // to read it takes no longer than one more request

void block_ahead_end(BlockAhead *ahead)
{
    block_ask(ahead->block, ahead->span);
    ahead->span = (BlockSpan){0};
}

static bool is_near(BlockSpan a, BlockSpan b)
{
    return b.from >= a.from && b.from <= a.to + GAP_BYTES && b.from >> 32 == a.from >> 32;
}

void block_ahead_add(BlockAhead *ahead, BlockSpan span)
{
    if (span.from == span.to)
        return;
    if (ahead->span.from == ahead->span.to || !is_near(ahead->span, span)) {
        block_ahead_end(ahead);
        ahead->span = span;
    }
    ahead->span.to = MAX(ahead->span.to, span.to);
}
