// SPDX-License-Identifier: Apache-2.0
// remote_places.h: how far a queue has come, kept in a small file so that nothing is lost and nothing is sent twice over a restart.
// Private to the room.
//
//     slot 0 (offset 0)                       slot 1 (offset 128 KiB)
//     +-------+----------+--------+--------------------------+--------+
//     | magic | sequence | shards | per shard: acked, sending | CRC-32C|    big endian; the valid slot with the larger sequence counts
//     +-------+----------+--------+--------------------------+--------+
//
// (1) Of a shard all entries before `acked` are done with. Those up to `sending` are in the request under way, one request: after a
//     kill it is sent again with the same bounds, so that a receiver which has it already finds nothing new in it.
// (2) A write is torn at worst in the slot that does not count yet. The file is not synced: it is as safe as the log that it speaks of.
#pragma once

#include "base/buf.h"
#include "base/fs.h"
#include "metric/feed.h"

#define REMOTE_SHARDS_MAX 1000

typedef struct RemoteShardPlace {
    FeedPlace acked[FEED_LANES];
    FeedPlace sending[FEED_LANES]; // at least `acked`
} RemoteShardPlace;

typedef struct RemotePlacesFile {
    File file;
    uint64_t sequence;
    Buf bytes;
} RemotePlacesFile;

// Opens or makes the file. *ret_shards (in the arena) is NULL and *ret_count 0 if it says nothing.
bool remote_places_open(Fs *fs, Str path, Arena *arena, RemotePlacesFile *ret_file,
                        RemoteShardPlace **ret_shards, size_t *ret_count, Error *err) MUST_CHECK;
void remote_places_close(RemotePlacesFile *file); // accepts a zeroed one with FILE_NONE
bool remote_places_write(RemotePlacesFile *file, const RemoteShardPlace *shards, size_t count,
                         Error *err) MUST_CHECK;
