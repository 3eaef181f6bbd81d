// SPDX-License-Identifier: Apache-2.0
// The newest metadata of each metric.
#include <malloc.h>
#include <stdlib.h>

#include "tsdb/head_internal.h"

#define METADATA_METRICS_MAX 1000000 // more are not kept

typedef struct MetadataEntry {
    Str name, help, unit; // behind the struct
    MetricType type;
} MetadataEntry;

static MetadataEntry *entry_new(Str name, Metadata metadata)
{
    MetadataEntry *e = x_malloc(sizeof *e + name.len + metadata.help.len + metadata.unit.len);
    char *at = (char *)(e + 1);

    const Str parts[] = {name, metadata.help, metadata.unit};
    Str *places[] = {&e->name, &e->help, &e->unit};
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        if (parts[i].len)
            memcpy(at, parts[i].ptr, parts[i].len);
        *places[i] = (Str){at, parts[i].len};
        at += parts[i].len;
    }
    e->type = metadata.type;
    return e;
}

bool head_metadata_put(Head *head, Str name, Metadata metadata)
{
    lock_take(&head->metadata_lock);
    MetadataEntry *old = map_get(&head->metadata, name);
    bool news = !old || old->type != metadata.type || !str_equal(old->help, metadata.help) ||
                !str_equal(old->unit, metadata.unit);
    if (news && (old || head->metadata.count < METADATA_METRICS_MAX)) {
        if (old)
            map_remove(&head->metadata, name);
        MetadataEntry *e = entry_new(name, metadata);
        map_put(&head->metadata, e->name, e);
        free(old);
    }
    lock_give(&head->metadata_lock);
    return news;
}

bool head_metadata(Head *head, Str metric_name, Arena *arena, Metadata *ret_metadata)
{
    lock_take(&head->metadata_lock);
    MetadataEntry *e = map_get(&head->metadata, metric_name);
    if (e)
        *ret_metadata = (Metadata){e->type, arena_str(arena, e->help), arena_str(arena, e->unit)};
    lock_give(&head->metadata_lock);
    return e != NULL;
}

uint64_t head_metadata_held_bytes(Head *head)
{
    lock_take(&head->metadata_lock);
    uint64_t bytes = head->metadata.slots * sizeof(MapEntry);
    for (MapEntry *e = NULL; (e = map_next(&head->metadata, e));)
        bytes += malloc_usable_size(e->value);
    lock_give(&head->metadata_lock);
    return bytes;
}

void head_metadata_deinit(Head *head)
{
    for (MapEntry *e = NULL; (e = map_next(&head->metadata, e));)
        free(e->value);
    map_deinit(&head->metadata);
}
