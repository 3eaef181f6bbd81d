// SPDX-License-Identifier: Apache-2.0
#include "base/map.h"

#include <stdlib.h>

#define MAP_SLOTS_MIN 8

void map_deinit(Map *map)
{
    free(map->entries);
    *map = (Map){0};
}

void map_clear(Map *map)
{
    if (map->slots)
        memset(map->entries, 0, map->slots * sizeof *map->entries);
    map->count = 0;
}

static MapEntry *find_slot(MapEntry *entries, size_t slots, Str key, uint64_t hash)
{
    size_t i = hash & (slots - 1);
    while (entries[i].value && !(entries[i].hash == hash && str_equal(entries[i].key, key)))
        i = (i + 1) & (slots - 1);
    return &entries[i];
}

void *map_get(const Map *map, Str key)
{
    return map->count ? find_slot(map->entries, map->slots, key, str_hash(key))->value : NULL;
}

static void grow(Map *map)
{
    size_t slots = map->slots ? map->slots * 2 : MAP_SLOTS_MIN;
    MapEntry *entries = X_ARRAY(MapEntry, slots);
    for (size_t i = 0; i < map->slots; i++) {
        MapEntry *e = &map->entries[i];
        if (e->value)
            *find_slot(entries, slots, e->key, e->hash) = *e;
    }
    free(map->entries);
    map->entries = entries;
    map->slots = slots;
}

void *map_put(Map *map, Str key, void *value)
{
    ASSERT(value != NULL);
    if ((map->count + 1) * 4 > map->slots * 3)
        grow(map);
    uint64_t hash = str_hash(key);
    MapEntry *slot = find_slot(map->entries, map->slots, key, hash);
    void *old = slot->value;
    *slot = (MapEntry){key, value, hash};
    map->count += old == NULL;
    return old;
}

void *map_remove(Map *map, Str key)
{
    if (!map->count)
        return NULL;
    MapEntry *slot = find_slot(map->entries, map->slots, key, str_hash(key));
    void *old = slot->value;
    if (!old)
        return NULL;

    // Backward shift: later entries of the run move up, so that no tombstone is needed.
    size_t mask = map->slots - 1;
    size_t hole = (size_t)(slot - map->entries);
    for (size_t i = (hole + 1) & mask; map->entries[i].value; i = (i + 1) & mask) {
        size_t home = map->entries[i].hash & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            map->entries[hole] = map->entries[i];
            hole = i;
        }
    }
    map->entries[hole] = (MapEntry){0};
    map->count--;
    return old;
}

MapEntry *map_next(const Map *map, MapEntry *previous)
{
    size_t i = previous ? (size_t)(previous - map->entries) + 1 : 0;
    for (; i < map->slots; i++)
        if (map->entries[i].value)
            return &map->entries[i];
    return NULL;
}
