// SPDX-License-Identifier: Apache-2.0
// Any bytes as a block's meta.json and as its tombstones: what is understood and printed is understood the same again.
#include "tsdb/block_meta.h"

#include "tsdb/tombstones.h"

static void fuzz_meta(Str text)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    CLEANUP(buf_deinit) Buf once = {.ptr = NULL};
    CLEANUP(buf_deinit) Buf twice = {.ptr = NULL};
    BlockMeta meta;
    JsonWriter json;
    Error err = {0};

    if (!block_meta_parse(text, &arena, &meta, &err)) {
        ASSERT(err.code == ERR_CORRUPT || err.code == ERR_LIMIT || err.code == ERR_INVALID);
        return;
    }
    json_writer_init(&json, &once);
    block_meta_print(&meta, &json);
    ASSERT(block_meta_parse(buf_str(&once), &arena, &meta, &err));
    json_writer_init(&json, &twice);
    block_meta_print(&meta, &json);
    ASSERT(str_equal(buf_str(&once), buf_str(&twice)));
}

static void fuzz_tombstones(Str bytes)
{
    CLEANUP(tombstones_deinit) Tombstones tombstones = {.entries = NULL};
    Error err = {0};

    if (!tombstones_parse(bytes, &tombstones, &err)) {
        ASSERT(err.code == ERR_CORRUPT || err.code == ERR_INVALID);
        return;
    }
    for (size_t i = 0; i < tombstones.count; i++)
        ASSERT(tombstones_get(&tombstones, tombstones.entries[i].ref) ==
               &tombstones.entries[i].intervals);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Str bytes = {(const char *)data, size};

    fuzz_meta(bytes);
    fuzz_tombstones(bytes);
    return 0;
}
