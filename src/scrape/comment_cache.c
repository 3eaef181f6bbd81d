// SPDX-License-Identifier: Apache-2.0
#include "scrape/comment_cache.h"

#include <stdlib.h>

#define SLOTS_MAX 16 // of a run that is remembered

void comment_cache_deinit(CommentCache *cache)
{
    free(cache->runs);
    *cache = (CommentCache){0};
}

void comment_cache_begin(CommentCache *cache, const MetadataCache *metadata)
{
    cache->next = 0;
    if (cache->removals != metadata->removals)
        cache->count = 0;
    cache->removals = metadata->removals;
}

void comment_cache_end(CommentCache *cache)
{
    cache->count = MIN(cache->count, cache->next);
    if (cache->cap - cache->count <= (cache->count >> 3) + 16)
        return;
    cache->cap = MAX(cache->count, (size_t)1);
    cache->runs = x_realloc(cache->runs, cache->cap * sizeof *cache->runs);
}

bool comment_cache_skip(CommentCache *cache, MetadataCache *metadata, Exposition *parser)
{
    if (cache->next >= cache->count)
        return false;
    const CommentRun *run = &cache->runs[cache->next];
    const char *at = parser->at;
    if (run->bytes == 0 || (size_t)(parser->end - at) <= run->bytes || at[run->bytes] == '#' ||
        at[run->bytes - 1] != '\n' || exposition_series_hash(str_make(at, run->bytes)) != run->hash)
        return false;
    metadata_seen(metadata, run->slot, run->slots);
    parser->at += run->bytes;
    parser->type = (MetricType)run->type;
    cache->next++;
    return true;
}

void comment_cache_note(CommentCache *cache, const Exposition *parser, const char *begin,
                        size_t first, size_t last)
{
    size_t bytes = (size_t)(parser->at - begin);
    size_t slots = first <= last ? last - first + 1 : 0;
    if (cache->next == cache->cap) {
        cache->cap = MAX(cache->cap * 2, (size_t)16);
        cache->runs = x_realloc(cache->runs, cache->cap * sizeof *cache->runs);
    }
    bool is_kept = bytes <= UINT16_MAX && slots <= SLOTS_MAX && first <= UINT32_MAX;
    cache->runs[cache->next++] = (CommentRun){
        .hash = is_kept ? exposition_series_hash(str_make(begin, bytes)) : 0,
        .slot = slots ? (uint32_t)first : 0,
        .bytes = is_kept ? (uint16_t)bytes : 0,
        .slots = is_kept ? (uint8_t)slots : 0,
        .type = (uint8_t)parser->type,
    };
    cache->count = MAX(cache->count, cache->next);
}
