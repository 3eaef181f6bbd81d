// SPDX-License-Identifier: Apache-2.0
// template_cache.h: regular expressions and time zones of one execution, compiled and read once.
#pragma once

#include "base/regex.h"
#include "base/zone.h"
#include "template/template.h"

typedef struct TemplateCacheEntry TemplateCacheEntry;

typedef struct TemplateCache {
    TemplateCacheEntry *entries;
    size_t count;
} TemplateCache;

void template_cache_deinit(TemplateCache *cache);

// Both live until the execution ends.
bool template_cache_regex(const TemplateCall *call, Str pattern, const Regex **ret_regex,
                          Error *err) MUST_CHECK;
bool template_cache_zone(const TemplateCall *call, Str name, const Zone **ret_zone,
                         Error *err) MUST_CHECK;
