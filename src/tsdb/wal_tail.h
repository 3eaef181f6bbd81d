// SPDX-License-Identifier: Apache-2.0
// wal_tail.h: the log read while it is written: a Feed over wal/ and wbl/ of a data folder.
//
//     checkpoint --series--> wal/ up to the place --series--> wal/ behind it --everything--> end: ask again later
//
// (1) Nothing is handed out before its record is whole; a record without its end in the segment that is written is waited for.
// (2) A record of wbl/ is handed out only when wal/ has been read to its end after it was seen: the series that it speaks of come first.
// (3) It follows the files alone and knows nothing of the writer: a segment is complete once there is a later one.
#pragma once

#include "base/fs.h"
#include "metric/feed.h"

typedef struct WalTail WalTail;

// `dir` is the folder that holds wal/ and wbl/; one that is missing is empty.
WalTail *wal_tail_new(Fs *fs, Str dir);
void wal_tail_free(WalTail *tail); // after its readers; accepts NULL
Feed *wal_tail_feed(WalTail *tail);
