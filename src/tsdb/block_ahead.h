// SPDX-License-Identifier: Apache-2.0
// block_ahead.h: chunks that will be read, of a block, put together to few long requests to the disk.
//
//     series     | a        | b    | c            | d    |       in the order of their labels
//     segment    | a a a a a| b b b| . . . . . . .| d d d|
//     asked for  |<--------------->|              |<---->|       where only a, b and d are read
//
// Who reads a chunk that is not in memory waits for it; a disk that knows of many answers sooner than one that is asked one by one.
#pragma once

#include "tsdb/block.h"

typedef struct BlockAhead {
    const Block *block;
    BlockSpan span; // not asked for yet
} BlockAhead;

void block_ahead_add(BlockAhead *ahead, BlockSpan span);
void block_ahead_end(BlockAhead *ahead);
