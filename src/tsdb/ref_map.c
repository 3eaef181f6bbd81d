// SPDX-License-Identifier: Apache-2.0
#include "tsdb/ref_map.h"

#include <stdlib.h>

void ref_map_deinit(RefMap *map)
{
    free(map->entries);
    *map = (RefMap){0};
}

static void put(RefMap *map, uint64_t ref, uint64_t value)
{
    size_t at = ref_map_home(map, ref);

    while (map->entries[at].ref && map->entries[at].ref != ref)
        at = (at + 1) & (map->size - 1);
    map->count += map->entries[at].ref == 0;
    map->entries[at] = (RefMapEntry){ref, value};
}

void ref_map_put(RefMap *map, uint64_t ref, uint64_t value)
{
    ASSERT(ref);
    if ((map->count + 1) * 4 > map->size * 3) {
        RefMap grown = {.size = map->size ? map->size * 2 : 16};
        grown.entries = X_ARRAY(RefMapEntry, grown.size);
        for (size_t i = 0; i < map->size; i++)
            if (map->entries[i].ref)
                put(&grown, map->entries[i].ref, map->entries[i].value);
        free(map->entries);
        *map = grown;
    }
    put(map, ref, value);
}

void ref_map_remove(RefMap *map, uint64_t ref)
{
    if (!map->count)
        return;
    size_t mask = map->size - 1;
    size_t hole = ref_map_home(map, ref);

    while (map->entries[hole].ref != ref) {
        if (!map->entries[hole].ref)
            return;
        hole = (hole + 1) & mask;
    }
    map->count--;
    for (size_t at = (hole + 1) & mask; map->entries[at].ref; at = (at + 1) & mask) {
        size_t home = ref_map_home(map, map->entries[at].ref);
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            map->entries[hole] = map->entries[at];
            hole = at;
        }
    }
    map->entries[hole] = (RefMapEntry){0};
}
