// SPDX-License-Identifier: Apache-2.0
// scrape_metadata.h: type, help and unit of each metric family of each target. Targets of a kind tell the same, so the texts are shared by
// all targets of a thread and counted.
//
// Thread: a pool and the caches on it belong to one thread.
#pragma once

#include "base/map.h"
#include "metric/sample.h"

#define METADATA_FAMILIES_MAX 100000 // of one target; further ones are not remembered

// A family as some targets tell it. Immutable.
typedef struct FamilyText {
    Str key; // name, help, unit, type: what makes it unique
    Str name;
    Metadata metadata;
    uint32_t refs;
} FamilyText;

typedef struct MetadataPool {
    Map families; // by key
    size_t bytes;
} MetadataPool;

typedef struct MetadataSlot {
    FamilyText *family;
    uint32_t round; // in which it was told last
} MetadataSlot;

typedef struct MetadataCache {
    MetadataSlot *slots; // in the order of the page
    size_t count;
    size_t cap;
    size_t current; // the slot of the line before
    uint32_t round;
    uint32_t removals; // how often slots have moved because others were forgotten
    Map by_name;       // made when the order differs
    bool indexed;
} MetadataCache;

void metadata_pool_deinit(MetadataPool *pool);

void metadata_begin(MetadataCache *cache);
void metadata_type(MetadataCache *cache, MetadataPool *pool, Str name, MetricType type);
void metadata_help(MetadataCache *cache, MetadataPool *pool, Str name, Str help);
void metadata_unit(MetadataCache *cache, MetadataPool *pool, Str name, Str unit);
// What the families of the page so far tell of a metric, by its own name or that of the family it is a part of.
Metadata metadata_of(const MetadataCache *cache, Str metric);
// The slots from `first` on were told once more, as they were.
void metadata_seen(MetadataCache *cache, size_t first, size_t count);
// Forgets what was not told for ten rounds.
void metadata_end(MetadataCache *cache, MetadataPool *pool);
void metadata_deinit(MetadataCache *cache, MetadataPool *pool);
