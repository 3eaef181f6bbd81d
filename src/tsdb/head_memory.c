// SPDX-License-Identifier: Apache-2.0
// Where the head's memory is.
#include "tsdb/head_internal.h"

static uint64_t hash_bytes(const HashTable *table)
{
    return table->size * sizeof(HashSlot);
}

static void of_index(const HeadIndex *index, uint64_t bytes[HEAD_MEMORY_PARTS])
{
    const SeriesTable *series = &index->series;
    uint64_t pages = (series->slots + SERIES_PAGE_RECORDS - 1) / SERIES_PAGE_RECORDS;
    uint64_t records = pages * SERIES_PAGE_RECORDS * sizeof(Series);
    uint64_t name_lists = 0;

    for (uint32_t i = 1; i < index->name_count; i++)
        name_lists +=
            (index->names[i].cap + (__atomic_load_n(&index->names[i].sorted, __ATOMIC_RELAXED)
                                        ? index->names[i].count
                                        : 0)) *
            sizeof(uint32_t);
    bytes[HEAD_MEMORY_SERIES] =
        records - MIN(series->trimmed_bytes, series->free_count * sizeof(Series));
    bytes[HEAD_MEMORY_REFS] = series->held_bytes - records + series->free_cap * sizeof(SeriesSlot);
    bytes[HEAD_MEMORY_LABEL_SETS] = index->set_bytes;
    bytes[HEAD_MEMORY_LABEL_TEXTS] = index->text_bytes;
    bytes[HEAD_MEMORY_LABEL_PAIRS] = index->pair_cap * sizeof(LabelPair) +
                                     index->name_cap * sizeof(LabelName) + name_lists +
                                     index->limbo_cap * sizeof(PoolHandle);
    bytes[HEAD_MEMORY_HASH_TABLES] = hash_bytes(&index->name_table) +
                                     hash_bytes(&index->pair_table) + hash_bytes(&index->set_table);
    bytes[HEAD_MEMORY_POSTINGS] = index->pool.live_bytes - index->text_bytes - index->set_bytes;
    bytes[HEAD_MEMORY_FREE_IN_POOLS] = pool_free_bytes(&index->pool);
}

static uint64_t of_extra(const SeriesExtra *extra)
{
    return sizeof *extra + extra->buffer_cap * sizeof(OutOfOrderSample) +
           extra->chunk_cap * sizeof(OutOfOrderChunk) + extra->start_cap * sizeof(StartRun) +
           extra->deleted.count * sizeof(Interval) +
           (extra->histogram ? chunk_histogram_held_bytes(extra->histogram) : 0);
}

static uint64_t of_extras(Head *head)
{
    uint64_t bytes = 0;

    for (unsigned s = 0; s < SERIES_STRIPES; s++) {
        lock_take(&head->stripes[s]);
        const RefMap *map = &head->extras[s];
        bytes += map->size * sizeof(RefMapEntry);
        for (size_t i = 0; i < map->size; i++)
            if (map->entries[i].ref)
                bytes += of_extra((const SeriesExtra *)(uintptr_t)map->entries[i].value);
        lock_give(&head->stripes[s]);
    }
    return bytes;
}

static uint64_t of_appenders(Head *head)
{
    uint64_t bytes = 0;

    lock_take(&head->commit_lock);
    for (const HeadAppender *app = head->free_appenders; app; app = app->next)
        bytes += sizeof *app + app->cap * (sizeof(WalSample) + sizeof(PendingExtra)) +
                 app->start_cap * sizeof(int64_t) + app->cut_cap * sizeof(size_t) +
                 app->histogram_cap * sizeof(void *) + app->metadata_cap * sizeof(PendingMetadata) +
                 app->exemplar_cap * sizeof(PendingExemplar) + app->raw.cap + app->packed.cap +
                 app->record_cap * sizeof(RecordSpan) + app->arena.held_bytes;
    lock_give(&head->commit_lock);
    return bytes + head_unlogged_bytes(head);
}

void head_memory(Head *head, uint64_t ret_bytes[HEAD_MEMORY_PARTS])
{
    uint64_t bytes[HEAD_MEMORY_PARTS] = {0};

    head_lead(head); // the pool, the undo ring and the log belong to the leader
    rwlock_take_read(&head->index_lock);
    of_index(&head->index, bytes);
    rwlock_give(&head->index_lock);
    bytes[HEAD_MEMORY_CHUNKS] = head->pool.live_bytes;
    bytes[HEAD_MEMORY_FREE_IN_POOLS] += pool_free_bytes(&head->pool);
    bytes[HEAD_MEMORY_UNDO] = head_undo_held_bytes(&head->undo);
    bytes[HEAD_MEMORY_COMMITS] = head->scratch.cap + head->late_cap * (sizeof *head->late + 8);
    head_follow(head);
    bytes[HEAD_MEMORY_COMMITS] += of_appenders(head);
    bytes[HEAD_MEMORY_EXTRAS] = of_extras(head);
    bytes[HEAD_MEMORY_EXEMPLARS] = head_exemplars_held_bytes(head->exemplars);
    bytes[HEAD_MEMORY_METADATA] = head_metadata_held_bytes(head);
    memcpy(ret_bytes, bytes, sizeof bytes);
}

const char *head_memory_part_name(HeadMemoryPart part)
{
    static const char *const names[] = {
        [HEAD_MEMORY_SERIES] = "series",
        [HEAD_MEMORY_REFS] = "refs",
        [HEAD_MEMORY_LABEL_SETS] = "label_sets",
        [HEAD_MEMORY_LABEL_TEXTS] = "label_texts",
        [HEAD_MEMORY_LABEL_PAIRS] = "label_pairs",
        [HEAD_MEMORY_HASH_TABLES] = "hash_tables",
        [HEAD_MEMORY_POSTINGS] = "postings",
        [HEAD_MEMORY_CHUNKS] = "chunks",
        [HEAD_MEMORY_EXTRAS] = "extras",
        [HEAD_MEMORY_EXEMPLARS] = "exemplars",
        [HEAD_MEMORY_METADATA] = "metadata",
        [HEAD_MEMORY_COMMITS] = "commits",
        [HEAD_MEMORY_UNDO] = "undo",
        [HEAD_MEMORY_FREE_IN_POOLS] = "free_in_pools",
    };
    _Static_assert(COUNT_OF(names) == HEAD_MEMORY_PARTS, "each part has a name");
    return names[part];
}
