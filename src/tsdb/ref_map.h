// SPDX-License-Identifier: Apache-2.0
// ref_map.h: a hash map from a ref (not 0) to a number or a pointer. Open addressing; a zeroed one is empty.
#pragma once

#include "base/macros.h"

typedef struct RefMapEntry {
    uint64_t ref; // 0: empty
    uint64_t value;
} RefMapEntry;

typedef struct RefMap {
    RefMapEntry *entries;
    size_t count;
    size_t size; // a power of two or 0
} RefMap;

void ref_map_deinit(RefMap *map);
void ref_map_put(RefMap *map, uint64_t ref, uint64_t value);
void ref_map_remove(RefMap *map, uint64_t ref); // missing is fine

static inline size_t ref_map_home(const RefMap *map, uint64_t ref)
{
    return (size_t)(ref * 0x9e3779b97f4a7c15u >> 32) & (map->size - 1);
}

// The value's place, or NULL; good until the map changes.
static inline uint64_t *ref_map_get(const RefMap *map, uint64_t ref)
{
    if (!map->count)
        return NULL;
    for (size_t at = ref_map_home(map, ref); map->entries[at].ref; at = (at + 1) & (map->size - 1))
        if (map->entries[at].ref == ref)
            return &map->entries[at].value;
    return NULL;
}

static inline void *ref_map_pointer(const RefMap *map, uint64_t ref)
{
    uint64_t *value = ref_map_get(map, ref);
    return value ? (void *)(uintptr_t)*value : NULL;
}
