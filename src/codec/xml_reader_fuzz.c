// SPDX-License-Identifier: Apache-2.0
// Any bytes: no crash; and an object has as many keys as the walk over it finds.
#include "codec/xml_reader.h"

static size_t count_values(const JsonValue *value)
{
    size_t total = 1;
    for (size_t i = 0; i < value->count; i++) {
        ASSERT(value->kind == JSON_OBJECT);
        ASSERT(json_get(value, value->keys[i]) != NULL);
        total += count_values(&value->items[i]);
    }
    return total;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    JsonValue *root;
    Error err = {0};
    if (count > 1 << 16)
        return 0;
    if (xml_read(str_make((const char *)bytes, count), &arena, &root, &err))
        ASSERT(count_values(root) <= count);
    return 0;
}
