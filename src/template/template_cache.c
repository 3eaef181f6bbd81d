// SPDX-License-Identifier: Apache-2.0
#include "template/template_cache.h"

#include "template/template_run.h"

#define ENTRIES_MAX 1000 // a template that makes up more patterns than that is refused

struct TemplateCacheEntry {
    TemplateCacheEntry *next;
    Str name;
    Regex *regex; // or
    Zone *zone;
};

void template_cache_deinit(TemplateCache *cache)
{
    for (TemplateCacheEntry *e = cache->entries; e; e = e->next) {
        regex_free(e->regex);
        zone_free(e->zone);
    }
    *cache = (TemplateCache){0};
}

static TemplateCacheEntry *find(const TemplateCache *cache, Str name, bool is_zone)
{
    for (TemplateCacheEntry *e = cache->entries; e; e = e->next)
        if ((e->zone != NULL) == is_zone && str_equal(e->name, name))
            return e;
    return NULL;
}

static bool has_room(const TemplateCache *cache, Error *err)
{
    return cache->count < ENTRIES_MAX ||
           error_set(err, ERR_LIMIT, "more than %d different patterns and time zones", ENTRIES_MAX);
}

static void add(const TemplateCall *call, TemplateCacheEntry entry)
{
    TemplateCache *cache = call->run->cache;
    TemplateCacheEntry *e = ARENA_NEW(call->arena, TemplateCacheEntry);

    *e = entry;
    e->name = arena_str(call->arena, entry.name);
    e->next = cache->entries;
    cache->entries = e;
    cache->count++;
}

bool template_cache_regex(const TemplateCall *call, Str pattern, const Regex **ret_regex,
                          Error *err)
{
    TemplateCacheEntry *found = find(call->run->cache, pattern, false);
    Regex *regex;

    if (found) {
        *ret_regex = found->regex;
        return true;
    }
    if (!has_room(call->run->cache, err) || !regex_new_search(pattern, &regex, err))
        return false;
    add(call, (TemplateCacheEntry){.name = pattern, .regex = regex});
    *ret_regex = regex;
    return true;
}

bool template_cache_zone(const TemplateCall *call, Str name, const Zone **ret_zone, Error *err)
{
    TemplateCacheEntry *found = find(call->run->cache, name, true);
    Zone *zone;

    if (found) {
        *ret_zone = found->zone;
        return true;
    }
    if (!has_room(call->run->cache, err) || !zone_new(name, &zone, err))
        return false;
    add(call, (TemplateCacheEntry){.name = name, .zone = zone});
    *ret_zone = zone;
    return true;
}
