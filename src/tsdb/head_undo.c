// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "tsdb/head_internal.h"

void head_undo_init(UndoRing *ring)
{
    *ring = (UndoRing){.base = 1, .next = 1};
    ring->pages = X_ARRAY(UndoEntry *, UNDO_PAGES);
}

void head_undo_deinit(UndoRing *ring)
{
    for (size_t i = 0; ring->pages && i < UNDO_PAGES; i++)
        free(ring->pages[i]);
    free(ring->pages);
    free(ring->marks);
    *ring = (UndoRing){0};
}

static UndoEntry *entry_at(const UndoRing *ring, uint32_t number)
{
    UndoEntry *page =
        __atomic_load_n(&ring->pages[number / UNDO_PAGE % UNDO_PAGES], __ATOMIC_ACQUIRE);
    return page ? &page[number % UNDO_PAGE] : NULL;
}

uint64_t head_undo_held_bytes(const UndoRing *ring)
{
    uint64_t bytes = ring->mark_cap * sizeof(UndoMark);

    for (size_t i = 0; i < UNDO_PAGES; i++)
        bytes += ring->pages[i] ? UNDO_PAGE * sizeof(UndoEntry) : 0;
    return bytes;
}

void head_undo_push(UndoRing *ring, SeriesSlot slot, Series *series)
{
    // Sixty million entries: a Querier has been open for very long. What it sees is no longer cut.
    if (ring->next - ring->base >= (UNDO_PAGES - 1) * UNDO_PAGE)
        return;
    UndoEntry **page = &ring->pages[ring->next / UNDO_PAGE % UNDO_PAGES];
    if (!*page)
        __atomic_store_n(page, X_ARRAY(UndoEntry, UNDO_PAGE), __ATOMIC_RELEASE);
    bool has = series_flags(series) & SERIES_HAS_SAMPLES;
    (*page)[ring->next % UNDO_PAGE] = (UndoEntry){.t_ms = has ? series->xor_state.t_ms : INT64_MIN,
                                                  .slot = slot,
                                                  .epoch_before = series->epoch,
                                                  .before = series->undo};
    series->undo = ring->next++;
    if (!ring->next)
        ring->next = 1; // 0 is none
}

int64_t head_undo_time(const UndoRing *ring, SeriesSlot slot, const Series *series, uint64_t epoch)
{
    int64_t newest = series_flags(series) & SERIES_HAS_SAMPLES ? series->xor_state.t_ms : INT64_MIN;
    uint32_t number = series->undo;

    // Epochs in records are cut to 32 bits; those compared are near each other.
    if ((int32_t)(series->epoch - (uint32_t)epoch) <= 0)
        return newest;
    while (number) {
        const UndoEntry *entry = entry_at(ring, number);
        if (!entry || entry->slot != slot)
            break;
        if ((int32_t)(entry->epoch_before - (uint32_t)epoch) <= 0)
            return entry->t_ms;
        number = entry->before;
    }
    return newest;
}

void head_undo_note(UndoRing *ring, uint64_t epoch)
{
    uint32_t noted = ring->mark_count ? ring->marks[ring->mark_count - 1].next : ring->base;

    if (ring->next == noted)
        return;
    if (ring->mark_count == ring->mark_cap) {
        ring->mark_cap = ring->mark_cap ? ring->mark_cap * 2 : 16;
        ring->marks = x_realloc(ring->marks, ring->mark_cap * sizeof(UndoMark));
    }
    ring->marks[ring->mark_count++] = (UndoMark){epoch, ring->next};
}

void head_undo_cut(UndoRing *ring, uint64_t oldest)
{
    size_t gone = 0;

    while (gone < ring->mark_count && ring->marks[gone].epoch <= oldest)
        gone++;
    if (!gone)
        return;
    uint32_t base = ring->marks[gone - 1].next;
    for (uint32_t page = ring->base / UNDO_PAGE; page != base / UNDO_PAGE;
         page = (page + 1) % (UINT32_MAX / UNDO_PAGE + 1)) {
        free(ring->pages[page % UNDO_PAGES]);
        ring->pages[page % UNDO_PAGES] = NULL;
    }
    ring->base = base;
    ring->mark_count -= gone;
    memmove(ring->marks, ring->marks + gone, ring->mark_count * sizeof(UndoMark));
}
