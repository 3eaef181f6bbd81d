// SPDX-License-Identifier: Apache-2.0
// Any bytes are a file of silences or of the notification log, or are refused; what is read is written, and reads as the same.
#include "alertmanager/am_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_silence(Str message, Arena *arena)
{
    CLEANUP(buf_deinit) Buf once = {0};
    CLEANUP(buf_deinit) Buf twice = {0};
    AmSilenceData silence;
    Error err;
    if (!am_wire_read_silence(message, arena, &silence, &err))
        return;
    am_wire_add_silence(&once, &silence);
    am_wire_free_silence(&silence);
    bool ok = am_wire_read_silence(buf_str(&once), arena, &silence, &err);
    ASSERT(ok);
    am_wire_add_silence(&twice, &silence);
    am_wire_free_silence(&silence);
    ASSERT(str_equal(buf_str(&once), buf_str(&twice)));
}

static void check_log(Str message, Arena *arena)
{
    CLEANUP(buf_deinit) Buf once = {0};
    CLEANUP(buf_deinit) Buf twice = {0};
    AmLogData entry;
    Error err;
    if (!am_wire_read_log(message, arena, &entry, &err))
        return;
    am_wire_add_log(&once, &entry);
    bool ok = am_wire_read_log(buf_str(&once), arena, &entry, &err);
    ASSERT(ok);
    am_wire_add_log(&twice, &entry);
    ASSERT(str_equal(buf_str(&once), buf_str(&twice)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    Str rest = {(const char *)data, size};
    Str message;
    bool bad;
    while (am_wire_next(&rest, &message, &bad)) {
        arena_reset(&arena);
        check_silence(message, &arena);
        check_log(message, &arena);
    }
    return 0;
}
