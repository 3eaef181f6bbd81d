// SPDX-License-Identifier: Apache-2.0
#include "remote/remote_places.h"

#include "base/buf.h"
#include "base/crc32c.h"
#include "base/reader.h"

#define MAGIC 0x4e525731u // "NRW1"
#define SLOT_BYTES (128u << 10)
#define HEAD_BYTES 16u
#define SHARD_BYTES (2u * FEED_LANES * 16u)

_Static_assert(HEAD_BYTES + REMOTE_SHARDS_MAX * SHARD_BYTES + 4 <= SLOT_BYTES, "a slot is full");

static void add_places(Buf *buf, const FeedPlace places[FEED_LANES])
{
    for (size_t i = 0; i < FEED_LANES; i++) {
        buf_add_u32be(buf, places[i].segment);
        buf_add_u32be(buf, places[i].entry);
        buf_add_u64be(buf, places[i].offset);
    }
}

static void read_places(Reader *in, FeedPlace places[FEED_LANES])
{
    for (size_t i = 0; i < FEED_LANES; i++) {
        places[i].segment = reader_u32be(in);
        places[i].entry = reader_u32be(in);
        places[i].offset = reader_u64be(in);
    }
}

// Takes the slot if it is whole and newer than what the file has said so far.
static void read_slot(Str slot, Arena *arena, RemotePlacesFile *file, RemoteShardPlace **shards,
                      size_t *count)
{
    Reader in = reader_from(slot);
    uint32_t magic = reader_u32be(&in);
    uint64_t sequence = reader_u64be(&in);
    uint32_t shard_count = reader_u32be(&in);
    size_t bytes = HEAD_BYTES + (size_t)shard_count * SHARD_BYTES;
    if (in.failed || magic != MAGIC || shard_count > REMOTE_SHARDS_MAX || slot.len < bytes + 4 ||
        sequence <= file->sequence)
        return;
    Reader tail = reader_from(str_skip(slot, bytes));
    if (reader_u32be(&tail) != crc32c(str_sub(slot, 0, bytes)))
        return;
    *shards = ARENA_ARRAY(arena, RemoteShardPlace, shard_count);
    for (uint32_t i = 0; i < shard_count; i++) {
        read_places(&in, (*shards)[i].acked);
        read_places(&in, (*shards)[i].sending);
    }
    *count = shard_count;
    file->sequence = sequence;
}

bool remote_places_open(Fs *fs, Str path, Arena *arena, RemotePlacesFile *ret_file,
                        RemoteShardPlace **ret_shards, size_t *ret_count, Error *err)
{
    RemotePlacesFile file = {.file = FILE_NONE};
    RemoteShardPlace *shards = NULL;
    size_t count = 0;
    FsMode mode = fs_exists(fs, path) ? FS_READ_WRITE : FS_CREATE_NEW;
    if (!fs_open(fs, path, mode, &file.file, err))
        return false;
    char *bytes = arena_alloc(arena, SLOT_BYTES);
    for (uint64_t slot = 0; slot < 2; slot++) {
        size_t got = 0;
        if (!file_read_at(&file.file, slot * SLOT_BYTES, bytes, SLOT_BYTES, &got, err)) {
            file_close(&file.file);
            return false;
        }
        read_slot((Str){bytes, got}, arena, &file, &shards, &count);
    }
    *ret_file = file;
    *ret_shards = shards;
    *ret_count = count;
    return true;
}

void remote_places_close(RemotePlacesFile *file)
{
    file_close(&file->file);
    buf_deinit(&file->bytes);
}

bool remote_places_write(RemotePlacesFile *file, const RemoteShardPlace *shards, size_t count,
                         Error *err)
{
    Buf *bytes = &file->bytes;
    ASSERT(count <= REMOTE_SHARDS_MAX);
    buf_reset(bytes);
    buf_add_u32be(bytes, MAGIC);
    buf_add_u64be(bytes, file->sequence + 1);
    buf_add_u32be(bytes, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        add_places(bytes, shards[i].acked);
        add_places(bytes, shards[i].sending);
    }
    buf_add_u32be(bytes, crc32c(buf_str(bytes)));
    if (!file_write_at(&file->file, (file->sequence + 1) % 2 * SLOT_BYTES, buf_str(bytes), err))
        return false;
    file->sequence++;
    return true;
}
