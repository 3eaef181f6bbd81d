// SPDX-License-Identifier: Apache-2.0
// Answers of APIs that are asked for targets, OTLP as JSON: what was read and written twice is written the same the
// third time. (The first time may turn -0.0 into -0, which is an integer and has no sign.)
#include "codec/json_reader.h"

#include "codec/json_writer.h"

static Str write_value(Buf *out, Arena *arena, const JsonValue *value)
{
    JsonWriter *json = ARENA_NEW(arena, JsonWriter);
    json_writer_init(json, out);
    json_value(json, value);
    return buf_str(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    Buf texts[3] = {{0}};
    Str text = {(const char *)data, size};
    JsonValue *value;
    Error err;
    if (!json_read(text, &arena, &value, &err))
        return 0;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        bool ok = i == 0 || json_read(text, &arena, &value, &err);
        ASSERT(ok);
        text = write_value(&texts[i], &arena, value);
    }
    ASSERT(str_equal(buf_str(&texts[1]), buf_str(&texts[2])));
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        buf_deinit(&texts[i]);
    return 0;
}
