// SPDX-License-Identifier: Apache-2.0
// Any bytes as the file that tells which samples of the log are in full chunks.
#include "tsdb/head_settled.h"

#include "base/buf.h"
#include "base/crc32c.h"
#include "base/reader.h"

static void check(Str bytes)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    HeadSettledFile file;

    if (!head_settled_parse(bytes, &arena, &file))
        return;
    // All of it was understood, and nothing beside it.
    ASSERT(bytes.len == 36 + file.extent_count * 16);
    for (size_t i = 0; i < file.extent_count; i++) {
        Reader in = reader_from(str_skip(bytes, 32 + i * 16));
        ASSERT(file.extents[i].number == reader_u32be(&in));
        ASSERT(file.extents[i].bytes == reader_u64be(&in));
        ASSERT(file.extents[i].tail_crc == reader_u32be(&in));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(buf_deinit) Buf whole = {.ptr = NULL};
    Str bytes = {(const char *)data, size};

    check(bytes);
    // With a head and a checksum that are right, so that those are no wall for the fuzzer.
    buf_add_u32be(&whole, 0x4e585354);
    buf_add_u32be(&whole, 1);
    buf_add_str(&whole, bytes);
    buf_add_u32be(&whole, crc32c(buf_str(&whole)));
    check(buf_str(&whole));
    return 0;
}
