// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "remote/remote_queue.h"

enum { SLOTS_MIN = 1024 };

static void free_metadata(RemoteMetadata *metadata)
{
    union {
        const char *view;
        void *heap;
    } help = {metadata->help.ptr}, unit = {metadata->unit.ptr};
    free(help.heap);
    free(unit.heap);
    free(metadata);
}

void remote_table_deinit(RemoteTable *table)
{
    for (size_t i = 0; i < table->slot_count; i++)
        free(table->slots[i]);
    free(table->slots);
    remote_pairs_deinit(&table->pairs);
    for (MapEntry *e = NULL; (e = map_next(&table->metadata, e));)
        free_metadata(e->value);
    map_deinit(&table->metadata);
    *table = (RemoteTable){0};
}

static size_t slot_of(RemoteSeries *const *slots, size_t slot_count, uint64_t ref)
{
    size_t at = ref & (slot_count - 1);
    while (slots[at] && slots[at]->ref != ref)
        at = (at + 1) & (slot_count - 1);
    return at;
}

static void resize(RemoteTable *table, size_t slot_count)
{
    RemoteSeries **slots = X_ARRAY(RemoteSeries *, slot_count);
    for (size_t i = 0; i < table->slot_count; i++)
        if (table->slots[i])
            slots[slot_of(slots, slot_count, table->slots[i]->ref)] = table->slots[i];
    free(table->slots);
    table->slots = slots;
    table->slot_count = slot_count;
}

void remote_table_put(RemoteTable *table, RemoteSeries *series)
{
    if ((table->count + 1) * 2 > table->slot_count)
        resize(table, MAX(table->slot_count * 2, (size_t)SLOTS_MIN));
    size_t at = slot_of(table->slots, table->slot_count, series->ref);
    table->count += !table->slots[at];
    remote_series_free(&table->pairs, table->slots[at]);
    table->slots[at] = series;
}

static int compare_refs(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

void remote_table_keep(RemoteTable *table, const uint64_t *refs, size_t count, uint32_t segment)
{
    uint64_t *sorted = X_ARRAY(uint64_t, count + 1);
    if (count)
        memcpy(sorted, refs, count * sizeof *refs);
    qsort(sorted, count, sizeof *sorted, compare_refs);
    size_t left = 0;
    for (size_t i = 0; i < table->slot_count; i++) {
        RemoteSeries *series = table->slots[i];
        if (!series)
            continue;
        bool lives = series->segment > segment ||
                     bsearch(&series->ref, sorted, count, sizeof *sorted, compare_refs);
        left += lives;
        if (!lives) {
            remote_series_free(&table->pairs, series);
            table->slots[i] = NULL;
        }
    }
    free(sorted);
    size_t slot_count = SLOTS_MIN;
    while (slot_count < 2 * (left + 1))
        slot_count *= 2;
    table->count = left;
    resize(table, slot_count);
}

RemoteMetadata *remote_table_metadata(RemoteTable *table, Str metric)
{
    RemoteMetadata *metadata = map_get(&table->metadata, metric);
    if (metadata)
        return metadata;
    metadata = x_calloc(1, sizeof *metadata + metric.len);
    char *name = (char *)(metadata + 1);
    if (metric.len)
        memcpy(name, metric.ptr, metric.len);
    metadata->name = (Str){name, metric.len};
    map_put(&table->metadata, metadata->name, metadata);
    return metadata;
}

static void replace(Str *text, Str news)
{
    union {
        const char *view;
        void *heap;
    } old = {text->ptr};
    if (str_equal(*text, news))
        return;
    char *copy = x_malloc(news.len + 1);
    if (news.len)
        memcpy(copy, news.ptr, news.len);
    *text = (Str){copy, news.len};
    free(old.heap);
}

void remote_metadata_set(RemoteMetadata *metadata, Metadata news)
{
    metadata->type = news.type;
    replace(&metadata->help, news.help);
    replace(&metadata->unit, news.unit);
    metadata->is_known = true;
}
