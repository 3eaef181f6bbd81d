// SPDX-License-Identifier: Apache-2.0
#include "tsdb/head_series.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "base/footprint.h"

#define PAGE_BYTES (SERIES_PAGE_RECORDS * sizeof(Series))
#define RADIX_BYTES (SERIES_RADIX * sizeof(void *))

static void *map_bytes(size_t bytes)
{
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        out_of_memory(bytes);
    return at;
}

void series_table_init(SeriesTable *table)
{
    *table = (SeriesTable){.slots = 1};
    table->pages = map_bytes(SERIES_PAGES_MAX * sizeof(Series *));
    table->roots = map_bytes(RADIX_BYTES);
    table->pages[0] = map_bytes(PAGE_BYTES); // so that slot 0 can be looked at
    table->held_bytes = PAGE_BYTES;
}

void series_table_deinit(SeriesTable *table)
{
    if (!table->pages)
        return;
    for (size_t i = 0; i < SERIES_PAGES_MAX && table->pages[i]; i++)
        munmap(table->pages[i], PAGE_BYTES);
    for (size_t i = 0; i < SERIES_RADIX; i++) {
        if (!table->roots[i])
            continue;
        for (size_t j = 0; j < SERIES_RADIX; j++)
            free(table->roots[i][j]);
        munmap(table->roots[i], RADIX_BYTES);
    }
    munmap(table->pages, SERIES_PAGES_MAX * sizeof(Series *));
    munmap(table->roots, RADIX_BYTES);
    free(table->free_slots);
    *table = (SeriesTable){0};
}

// The leaf page of a ref, made if missing.
static uint32_t *leaf_of(SeriesTable *table, uint64_t ref)
{
    uint32_t **middle = table->roots[ref >> 24];

    if (!middle) {
        middle = map_bytes(RADIX_BYTES);
        __atomic_store_n(&table->roots[ref >> 24], middle, __ATOMIC_RELEASE);
    }
    uint32_t *leaf = middle[ref >> 12 & 4095];
    if (!leaf) {
        leaf = X_ARRAY(uint32_t, SERIES_RADIX);
        footprint_touch(leaf, SERIES_RADIX * sizeof *leaf);
        table->held_bytes += SERIES_RADIX * sizeof(uint32_t);
        __atomic_store_n(&middle[ref >> 12 & 4095], leaf, __ATOMIC_RELEASE);
    }
    return leaf;
}

SeriesSlot series_table_add(SeriesTable *table, uint64_t ref)
{
    SeriesSlot slot;

    ASSERT(ref > 0 && ref <= SERIES_REF_MAX);
    if (table->free_count) {
        slot = table->free_slots[--table->free_count];
    } else {
        slot = table->slots++;
        if (slot / SERIES_PAGE_RECORDS >= SERIES_PAGES_MAX)
            out_of_memory(PAGE_BYTES);
        Series **page = &table->pages[slot / SERIES_PAGE_RECORDS];
        if (!*page) {
            __atomic_store_n(page, map_bytes(PAGE_BYTES), __ATOMIC_RELEASE);
            table->held_bytes += PAGE_BYTES;
        }
    }
    table->count++;
    return slot;
}

Str series_table_reserve(SeriesTable *table, uint64_t records)
{
    size_t pages = (size_t)(records / SERIES_PAGE_RECORDS); // behind the first, which is there

    if (table->slots != 1 || !pages || pages >= SERIES_PAGES_MAX)
        return STR_NONE;
    char *bytes = map_bytes(pages * PAGE_BYTES);
    for (size_t i = 0; i < pages; i++)
        __atomic_store_n(&table->pages[i + 1], (void *)(bytes + i * PAGE_BYTES), __ATOMIC_RELEASE);
    table->held_bytes += pages * PAGE_BYTES;
    return (Str){bytes, pages * PAGE_BYTES};
}

void series_table_publish(SeriesTable *table, uint64_t ref, SeriesSlot slot)
{
    uint32_t *leaf = leaf_of(table, ref);

    ASSERT(leaf[ref & 4095] == 0);
    __atomic_store_n(&leaf[ref & 4095], slot, __ATOMIC_RELEASE);
}

void series_table_remove(SeriesTable *table, uint64_t ref)
{
    SeriesSlot slot = series_slot(table, ref);

    ASSERT(slot);
    Series *series = series_at(table, slot);
    __atomic_store_n(&series->ref_word, 0, __ATOMIC_RELAXED);
    memset((char *)series + sizeof series->ref_word, 0, sizeof *series - sizeof series->ref_word);
    __atomic_store_n(&table->roots[ref >> 24][ref >> 12 & 4095][ref & 4095], 0, __ATOMIC_RELEASE);
    if (table->free_count == table->free_cap) {
        table->free_cap = table->free_cap ? table->free_cap * 2 : 256;
        table->free_slots = x_realloc(table->free_slots, table->free_cap * sizeof(SeriesSlot));
    }
    table->free_slots[table->free_count++] = slot;
    table->count--;
}

static int compare_falling(const void *a, const void *b)
{
    SeriesSlot x = *(const SeriesSlot *)a;
    SeriesSlot y = *(const SeriesSlot *)b;
    return (x < y) - (x > y);
}

// Pages of records stay mapped, as others may just look into them, but hold no memory after MADV_DONTNEED: they read as zero. Leaf
// pages of slots are small and stay. The lowest free slots are used first, so that high pages can empty.
void series_table_trim(SeriesTable *table)
{
    table->trimmed_bytes = 0;
    qsort(table->free_slots, table->free_count, sizeof(SeriesSlot), compare_falling);
    for (size_t i = 0; i < table->free_count;) {
        uint32_t page = table->free_slots[i] / SERIES_PAGE_RECORDS;
        size_t end = i;
        while (end < table->free_count && table->free_slots[end] / SERIES_PAGE_RECORDS == page)
            end++;
        if (end - i == SERIES_PAGE_RECORDS) {
            madvise(table->pages[page], PAGE_BYTES, MADV_DONTNEED);
            table->trimmed_bytes += PAGE_BYTES;
        }
        i = end;
    }
}
