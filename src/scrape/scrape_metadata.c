// SPDX-License-Identifier: Apache-2.0
#include "scrape/scrape_metadata.h"

#include <stdlib.h>

#include "base/buf.h"

#define ROUNDS_KEPT 10

static void family_free(MetadataPool *pool, FamilyText *family)
{
    pool->bytes -= sizeof *family + family->key.len;
    free((void *)(uintptr_t)family->key.ptr);
    free(family);
}

void metadata_pool_deinit(MetadataPool *pool)
{
    for (MapEntry *e = NULL; (e = map_next(&pool->families, e));)
        family_free(pool, e->value);
    map_deinit(&pool->families);
}

static void family_unref(MetadataPool *pool, FamilyText *family)
{
    if (--family->refs > 0)
        return;
    map_remove(&pool->families, family->key);
    family_free(pool, family);
}

// The shared family of this text, with a reference for the caller.
static FamilyText *family_ref(MetadataPool *pool, Str name, Metadata metadata)
{
    CLEANUP(buf_deinit) Buf key = {0};
    buf_add_uvarint(&key, name.len);
    buf_add_uvarint(&key, metadata.help.len);
    buf_add_char(&key, (char)metadata.type);
    size_t name_at = key.len;
    buf_add_str(&key, name);
    buf_add_str(&key, metadata.help);
    buf_add_str(&key, metadata.unit);

    FamilyText *family = map_get(&pool->families, buf_str(&key));
    if (!family) {
        family = X_NEW(FamilyText);
        char *copy = x_malloc(key.len);
        memcpy(copy, key.ptr, key.len);
        family->key = str_make(copy, key.len);
        family->name = str_sub(family->key, name_at, name.len);
        family->metadata.type = metadata.type;
        family->metadata.help = str_sub(family->key, name_at + name.len, metadata.help.len);
        family->metadata.unit = str_skip(family->key, name_at + name.len + metadata.help.len);
        pool->bytes += sizeof *family + key.len;
        map_put(&pool->families, family->key, family);
    }
    family->refs++;
    return family;
}

void metadata_begin(MetadataCache *cache)
{
    cache->round++;
    cache->current = 0;
}

static void make_index(MetadataCache *cache)
{
    cache->indexed = true;
    for (size_t i = 0; i < cache->count; i++)
        map_put(&cache->by_name, cache->slots[i].family->name, (void *)(i + 1));
}

static MetadataSlot *push(MetadataCache *cache, MetadataPool *pool, Str name)
{
    if (cache->count == METADATA_FAMILIES_MAX)
        return NULL;
    if (cache->count == cache->cap) {
        cache->cap = cache->cap ? cache->cap * 2 : 8;
        cache->slots = x_realloc(cache->slots, cache->cap * sizeof *cache->slots);
    }
    MetadataSlot *slot = &cache->slots[cache->count++];
    slot->family = family_ref(pool, name, (Metadata){0});
    if (cache->indexed)
        map_put(&cache->by_name, slot->family->name, (void *)cache->count);
    return slot;
}

// The slot of this name: the one of the line before, the next, or wherever it is; made if new. NULL if there are too many.
static MetadataSlot *slot_of(MetadataCache *cache, MetadataPool *pool, Str name)
{
    MetadataSlot *slot = NULL;
    for (size_t i = cache->current; i < cache->count && i < cache->current + 2 && !slot; i++)
        if (str_equal(cache->slots[i].family->name, name))
            slot = &cache->slots[i];
    if (!slot) {
        if (!cache->indexed)
            make_index(cache);
        size_t at = (size_t)map_get(&cache->by_name, name);
        slot = at ? &cache->slots[at - 1] : push(cache, pool, name);
    }
    if (!slot)
        return NULL;
    slot->round = cache->round;
    cache->current = (size_t)(slot - cache->slots);
    return slot;
}

static void replace(MetadataCache *cache, MetadataPool *pool, MetadataSlot *slot, Metadata metadata)
{
    FamilyText *old = slot->family;
    slot->family = family_ref(pool, old->name, metadata);
    // The index's key is the old family's name.
    if (cache->indexed) {
        map_remove(&cache->by_name, old->name);
        map_put(&cache->by_name, slot->family->name, (void *)((size_t)(slot - cache->slots) + 1));
    }
    family_unref(pool, old);
}

void metadata_type(MetadataCache *cache, MetadataPool *pool, Str name, MetricType type)
{
    MetadataSlot *slot = slot_of(cache, pool, name);
    if (!slot || slot->family->metadata.type == type)
        return;
    Metadata metadata = slot->family->metadata;
    metadata.type = type;
    replace(cache, pool, slot, metadata);
}

void metadata_help(MetadataCache *cache, MetadataPool *pool, Str name, Str help)
{
    MetadataSlot *slot = slot_of(cache, pool, name);
    if (!slot || str_equal(slot->family->metadata.help, help))
        return;
    Metadata metadata = slot->family->metadata;
    metadata.help = help;
    replace(cache, pool, slot, metadata);
}

void metadata_unit(MetadataCache *cache, MetadataPool *pool, Str name, Str unit)
{
    MetadataSlot *slot = slot_of(cache, pool, name);
    if (!slot || str_equal(slot->family->metadata.unit, unit))
        return;
    Metadata metadata = slot->family->metadata;
    metadata.unit = unit;
    replace(cache, pool, slot, metadata);
}

void metadata_seen(MetadataCache *cache, size_t first, size_t count)
{
    ASSERT(first + count <= cache->count);
    for (size_t i = first; i < first + count; i++)
        cache->slots[i].round = cache->round;
    if (count)
        cache->current = first + count - 1;
}

void metadata_end(MetadataCache *cache, MetadataPool *pool)
{
    map_deinit(&cache->by_name);
    cache->by_name = (Map){0};
    cache->indexed = false;
    size_t kept = 0;
    for (size_t i = 0; i < cache->count; i++) {
        if (cache->round - cache->slots[i].round > ROUNDS_KEPT)
            family_unref(pool, cache->slots[i].family);
        else
            cache->slots[kept++] = cache->slots[i];
    }
    cache->removals += kept != cache->count;
    cache->count = kept;
}

void metadata_deinit(MetadataCache *cache, MetadataPool *pool)
{
    for (size_t i = 0; i < cache->count; i++)
        family_unref(pool, cache->slots[i].family);
    free(cache->slots);
    map_deinit(&cache->by_name);
    *cache = (MetadataCache){0};
}

// Whether the metric is the family's own, or one of its parts.
static bool belongs(Str metric, Str family)
{
    static const char *const suffixes[] = {"",         "_total", "_bucket", "_sum",   "_count",
                                           "_created", "_info",  "_gsum",   "_gcount"};
    if (!str_starts_with(metric, family))
        return false;
    for (size_t i = 0; i < COUNT_OF(suffixes); i++)
        if (str_is(str_skip(metric, family.len), suffixes[i]))
            return true;
    return false;
}

Metadata metadata_of(const MetadataCache *cache, Str metric)
{
    // The lines of a family stand behind what describes it.
    for (size_t i = 0; i < cache->count; i++) {
        const FamilyText *family =
            cache->slots[(cache->current + cache->count - i) % cache->count].family;
        if (belongs(metric, family->name))
            return family->metadata;
    }
    return (Metadata){0};
}
