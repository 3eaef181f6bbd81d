// SPDX-License-Identifier: Apache-2.0
// map.h: a hash map from Str to a pointer. Open addressing with stored hashes; keys are views that the caller keeps alive
// (in an arena or inside the value). NULL is not a value.
#pragma once

#include "base/str.h"

typedef struct MapEntry {
    Str key;
    void *value; // NULL: an empty slot
    uint64_t hash;
} MapEntry;

typedef struct Map {
    MapEntry *entries;
    size_t count;
    size_t slots; // power of two or 0
} Map;

// A zeroed Map is empty.
void map_deinit(Map *map);
void map_clear(Map *map);
void *map_get(const Map *map, Str key);
// Returns the value that was there before (then replaced), or NULL.
void *map_put(Map *map, Str key, void *value);
// Returns the value removed or NULL.
void *map_remove(Map *map, Str key);

// for (MapEntry *e = NULL; (e = map_next(map, e));) in no particular order; do not change the map meanwhile.
MapEntry *map_next(const Map *map, MapEntry *previous);
