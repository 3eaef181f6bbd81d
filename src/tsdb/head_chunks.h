// SPDX-License-Identifier: Apache-2.0
// head_chunks.h: the head's full chunks on disk, <dir>/%06d (prometheus.md 6.2), written behind a buffer and read by mmap.
//
//     | magic 0x0130BC91 | version 1 | 3 x 0 |
//     | series ref u64 | mint u64 | maxt u64 | encoding u8 (bit 7: out of order) | len uvarint | data | CRC-32C | ...
//
// A ref is file number << 32 | offset of the chunk. Files have at most 128 MiB; the newest grows, the others are sealed. What is still
// in the buffer at a crash is lost; the log has its samples.
// Thread: any for every function; one writer at a time waits for the other.
#pragma once

#include "base/fs.h"
#include "tsdb/chunk.h"

#define HEAD_CHUNKS_RANK 390 // its lock is taken last and held for a memory copy or one write

typedef struct HeadChunks HeadChunks;
typedef struct HeadChunksFile HeadChunksFile;
typedef uint64_t HeadChunkRef; // 0 is none

typedef struct HeadChunk {
    uint64_t series_ref;
    HeadChunkRef ref;
    int64_t min_t_ms;
    int64_t max_t_ms;
    ChunkEncoding encoding;
    bool out_of_order;
    uint16_t count; // samples
    Str bytes;      // the chunk itself
} HeadChunk;

// Sees each chunk on disk in file order; false stops the walk with `err`.
typedef bool (*HeadChunkFn)(void *arg, const HeadChunk *chunk, Error *err);

// Whoever opens the files.
typedef struct HeadChunksUser {
    HeadChunkFn each;
    // Before a file that is not whole is mended: whoever opens it later cannot tell. NULL: that is all the same.
    bool (*torn)(void *arg, Error *err);
    void *arg;
} HeadChunksUser;

typedef struct HeadChunksRepair {
    bool torn;           // something was cut off
    uint64_t file;       // where
    uint64_t offset;     // first byte that was not understood
    uint64_t lost_bytes; // from there to the ends of this and all later files
    char reason[160];
} HeadChunksRepair;

// Opens (and makes) the folder and walks through all chunks. A file that is not whole keeps what stands before its first bad chunk; it and
// all later ones are kept aside as <file>.corrupt, for a later chunk of a series must not hide a hole before it. The log still has
// their samples. The caller logs ret_repair (may be NULL).
bool head_chunks_open(Fs *fs, Str dir, const HeadChunksUser *user, HeadChunks **ret_chunks,
                      HeadChunksRepair *ret_repair, Error *err) MUST_CHECK;
// Flushes; accepts NULL.
void head_chunks_close(HeadChunks *chunks);

// Takes a full chunk into the buffer, cutting a new file where it does not fit. Nothing of `bytes` is kept.
// Fails ERR_IO when the disk refuses and the buffer is full: keep the chunk and try again later.
bool head_chunks_write(HeadChunks *chunks, uint64_t series_ref, int64_t min_t_ms, int64_t max_t_ms,
                       ChunkEncoding encoding, bool out_of_order, Str bytes, HeadChunkRef *ret_ref,
                       Error *err) MUST_CHECK;
bool head_chunks_flush(HeadChunks *chunks, Error *err) MUST_CHECK;
// And sees it on the disk: for who lets go of the log that has the samples.
bool head_chunks_sync(HeadChunks *chunks, Error *err) MUST_CHECK;

// What a file held at some time: its length, and CRC-32C of up to HEAD_CHUNKS_TAIL_BYTES before its end.
#define HEAD_CHUNKS_TAIL_BYTES 4096
typedef struct HeadChunksExtent {
    uint32_t number;
    uint32_t tail_crc;
    uint64_t bytes;
} HeadChunksExtent;

// Sees all that was written so far on the disk, without keeping those who write from it, and tells which files that is, in `arena`.
bool head_chunks_settle(HeadChunks *chunks, Arena *arena, HeadChunksExtent **ret_extents,
                        size_t *ret_count, Error *err) MUST_CHECK;
// Each of them is there yet, and goes on behind it at most.
bool head_chunks_hold(HeadChunks *chunks, const HeadChunksExtent *extents, size_t count);
// The next write goes to a new file (after the head was truncated, so that old files can go).
void head_chunks_cut(HeadChunks *chunks);

// A pinned view of one chunk: its file stays mapped until released.
typedef struct HeadChunkView {
    HeadChunk chunk;
    HeadChunksFile *file;
    void *owned;
} HeadChunkView;

// The files of one moment, kept mapped: chunks in them are read without a lock.
typedef struct HeadChunkPins {
    HeadChunksFile **files; // rising numbers
    size_t count;
} HeadChunkPins;

void head_chunks_pin(HeadChunks *chunks, HeadChunkPins *ret_pins);
void head_chunks_unpin(HeadChunkPins *pins);

// Fails ERR_CORRUPT if the ref does not point at a whole chunk; the checksum is looked at when it is read for the first time. `pins` may
// be NULL; if it is not, it outlives the view.
bool head_chunks_read(HeadChunks *chunks, const HeadChunkPins *pins, HeadChunkRef ref,
                      HeadChunkView *ret_view, Error *err) MUST_CHECK;
void head_chunks_release(HeadChunkView *view);

static inline uint32_t head_chunks_file_of(HeadChunkRef ref)
{
    return (uint32_t)(ref >> 32);
}

// Deletes sealed files numbered below `file`. Views that are open stay good.
bool head_chunks_truncate(HeadChunks *chunks, uint32_t file, Error *err) MUST_CHECK;

// Gives back the memory of mapped pages that were read; the next reader gets them from the kernel's cache.
void head_chunks_release_pages(HeadChunks *chunks);

// Oldest sample of the out-of-order chunks on disk, also of those that nobody uses any more but that the next start will find; INT64_MAX:
// there is none.
int64_t head_chunks_oldest_late(HeadChunks *chunks);
// The number of the oldest file; UINT32_MAX: there is none.
uint32_t head_chunks_oldest_file(HeadChunks *chunks);

uint64_t head_chunks_bytes_on_disk(HeadChunks *chunks);

// Reads the bytes of a file whole. NULL if all of it is good, else why not; *ret_good is where understanding ended.
const char *head_chunks_verify(Str bytes, uint64_t *ret_chunks, uint64_t *ret_good);
