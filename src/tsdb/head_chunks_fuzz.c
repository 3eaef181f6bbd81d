// SPDX-License-Identifier: Apache-2.0
// Any bytes as a file of chunks_head: opened, mended, opened again, which must find the same chunks and nothing to mend.
#include "tsdb/head_chunks.h"

#include <stdio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/crc32c.h"

typedef struct Seen {
    uint64_t count;
    uint64_t sum;
} Seen;

static bool see(void *arg, const HeadChunk *chunk, Error *err)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    ChunkColumns columns = {.arena = &arena};
    Seen *seen = arg;
    Error ignored = {0};

    (void)err;
    seen->count++;
    seen->sum = seen->sum * 31 + chunk->series_ref + chunk->ref + chunk->bytes.len +
                (uint64_t)chunk->min_t_ms + (uint64_t)chunk->max_t_ms + chunk->out_of_order;
    if (!chunk_decode(chunk->encoding, chunk->bytes, INT64_MIN, INT64_MAX, &columns, &ignored))
        ASSERT(ignored.code == ERR_CORRUPT || ignored.code == ERR_LIMIT);
    return true;
}

static Seen open_and_count(Str dir, bool *ret_torn)
{
    HeadChunks *chunks;
    HeadChunksRepair repair;
    Seen seen = {0};
    Error err = {0};

    bool ok = head_chunks_open(&fs_system, dir, &(HeadChunksUser){.each = see, .arg = &seen},
                               &chunks, &repair, &err);
    ASSERT(ok);
    head_chunks_close(chunks);
    *ret_torn = repair.torn;
    return seen;
}

static Str scratch_dir(void)
{
    static char path[64];

    snprintf(path, sizeof path, "/tmp/narthex-fuzz-head-chunks-%d", (int)getpid());
    return str_from_c(path);
}

static void check(Str bytes)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    Str dir = scratch_dir();
    Error err = {0};
    bool torn, torn_again;

    bool ok = fs_remove_tree(&fs_system, dir, &err) && fs_make_dirs(&fs_system, dir, &err) &&
              fs_write_atomic(&fs_system, fs_join(&arena, dir, S("000001")), bytes, &err);
    ASSERT(ok);
    Seen once = open_and_count(dir, &torn);
    Seen twice = open_and_count(dir, &torn_again);
    ASSERT(!torn_again);
    ASSERT(once.count == twice.count);
    ASSERT(once.sum == twice.sum);
    ok = fs_remove_tree(&fs_system, dir, &err);
    ASSERT(ok);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(buf_deinit) Buf whole = {.ptr = NULL};
    Str bytes = {(const char *)data, size};

    check(bytes);
    // Behind a right head and before a right checksum: one chunk that the fuzzer makes.
    buf_add_u32be(&whole, 0x0130BC91);
    buf_add(&whole, "\1\0\0\0", 4);
    buf_add_str(&whole, bytes);
    buf_add_u32be(&whole, crc32c(bytes));
    check(buf_str(&whole));
    return 0;
}
