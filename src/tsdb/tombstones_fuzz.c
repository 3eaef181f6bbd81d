// SPDX-License-Identifier: Apache-2.0
// Any bytes as a block's tombstones: what is understood and written is understood the same again.
#include "tsdb/tombstones.h"

#include "base/buf.h"
#include "base/crc32c.h"

static void check(Str bytes)
{
    CLEANUP(tombstones_deinit) Tombstones once = {.entries = NULL};
    CLEANUP(tombstones_deinit) Tombstones twice = {.entries = NULL};
    Error err = {0};

    if (!tombstones_parse(bytes, &once, &err)) {
        ASSERT(err.code == ERR_CORRUPT || err.code == ERR_INVALID);
        return;
    }
    tombstones_copy(&once, &twice);
    ASSERT(once.count == twice.count);
    ASSERT(tombstones_total(&once) == tombstones_total(&twice));
    for (size_t i = 0; i < once.count; i++) {
        const TombstonesEntry *e = &once.entries[i];
        ASSERT(i == 0 || once.entries[i - 1].ref < e->ref);
        ASSERT(tombstones_get(&once, e->ref) == &e->intervals);
        for (size_t k = 0; k < e->intervals.count; k++) {
            Interval v = e->intervals.items[k];
            ASSERT(v.min_t_ms <= v.max_t_ms);
            ASSERT(k == 0 || e->intervals.items[k - 1].max_t_ms < v.min_t_ms);
            ASSERT(intervals_contain(&e->intervals, v.min_t_ms));
            ASSERT(intervals_cover(&e->intervals, v.min_t_ms, v.max_t_ms));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(buf_deinit) Buf whole = {.ptr = NULL};
    Str bytes = {(const char *)data, size};

    check(bytes);
    // With a head and a checksum that are right, so that those are no wall for the fuzzer.
    buf_add_u32be(&whole, 0x0130BA30);
    buf_add_char(&whole, 1);
    buf_add_str(&whole, bytes);
    buf_add_u32be(&whole, crc32c(bytes));
    check(buf_str(&whole));
    return 0;
}
