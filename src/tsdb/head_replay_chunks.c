// SPDX-License-Identifier: Apache-2.0
// Which chunks on disk belong to which series.
#include <stdlib.h>

#include "tsdb/head_replay_internal.h"

#define FEW 16 // chunks of a series

// --- what is on disk ---

static uint64_t add_leaf(ReplayChunks *c, uint64_t key)
{
    if (c->leaf_count == c->leaf_cap) {
        c->leaf_cap = c->leaf_cap ? c->leaf_cap * 2 : 64;
        c->leaves = x_realloc(c->leaves, c->leaf_cap * sizeof *c->leaves);
    }
    c->leaves[c->leaf_count] = (ReplayChunkLeaf){{0}};
    ref_map_put(&c->leaf_of, key, c->leaf_count);
    return c->leaf_count++;
}

// Where it stands which chunk of this ref is the newest. NULL: there is no leaf for it, nor is one to be made.
static uint32_t *newest_of(ReplayChunks *c, uint64_t ref, bool make)
{
    uint64_t key = ref / REPLAY_CHUNK_LEAF + 1;

    if (key != c->near_key) {
        const uint64_t *leaf = ref_map_get(&c->leaf_of, key);
        if (!leaf && !make)
            return NULL;
        c->near_leaf = leaf ? *leaf : add_leaf(c, key);
        c->near_key = key;
    }
    return &c->leaves[c->near_leaf].newest[ref % REPLAY_CHUNK_LEAF];
}

bool replay_chunks_has(ReplayChunks *c, uint64_t ref)
{
    const uint32_t *newest = newest_of(c, ref, false);

    return newest && *newest;
}

uint32_t replay_chunks_newest_file(ReplayChunks *c, uint64_t ref)
{
    const uint32_t *newest = newest_of(c, ref, false);

    return newest && *newest ? (uint32_t)(c->items[*newest - 1].full.ref >> 32) : 0;
}

bool replay_load_chunk(void *arg, const HeadChunk *chunk, Error *err)
{
    Replay *r = arg;
    ReplayChunks *c = &r->chunks;

    (void)err;
    if (!chunk->series_ref || chunk->min_t_ms > chunk->max_t_ms) {
        r->malformed++;
        return true;
    }
    if (c->count == c->cap) {
        c->cap = c->cap ? c->cap * 2 : 1024;
        c->items = x_realloc(c->items, c->cap * sizeof *c->items);
    }
    uint32_t *newest = newest_of(c, chunk->series_ref, true);
    c->items[c->count++] = (LoadedChunk){.full = {chunk->ref, chunk->min_t_ms, chunk->max_t_ms},
                                         .series_ref = chunk->series_ref,
                                         .before = *newest,
                                         .out_of_order = chunk->out_of_order,
                                         .has_histograms = chunk_has_histograms(chunk->encoding)};
    *newest = (uint32_t)c->count;
    if (chunk->series_ref <= SERIES_REF_MAX)
        c->next_ref = MAX(c->next_ref, chunk->series_ref + 1);
    return true;
}

void replay_chunks_deinit(ReplayChunks *c)
{
    free(c->items);
    free(c->leaves);
    ref_map_deinit(&c->leaf_of);
}

// --- of a series ---

static void attach_late_chunk(Replay *r, uint64_t ref, Series *series, const LoadedChunk *chunk)
{
    SeriesExtra *extra = head_extra(r->head, ref, series, true);

    if (extra->chunk_count == extra->chunk_cap) {
        extra->chunk_cap = extra->chunk_cap ? extra->chunk_cap * 2 : 4;
        extra->chunks = x_realloc(extra->chunks, extra->chunk_cap * sizeof *extra->chunks);
    }
    extra->chunks[extra->chunk_count++] =
        (OutOfOrderChunk){chunk->full.ref, chunk->full.min_t_ms, chunk->full.max_t_ms};
    SET(r->head->ooo_min_t, MIN(r->head->ooo_min_t, chunk->full.min_t_ms));
    SET(r->head->ooo_max_t, MAX(r->head->ooo_max_t, chunk->full.max_t_ms));
    COUNT(r->head, chunks, 1);
}

// A chunk older than some of the list: a series that was dropped and came back has chunks under two refs, and after a start under the
// first of them again. 0: it overlaps one that is there.
static PoolHandle add_between(Pool *pool, PoolHandle list, FullChunk chunk)
{
    size_t count = head_full_count(pool, list), at = 0;
    FullChunk *all = X_ARRAY(FullChunk, count + 1);
    PoolHandle grown = 0;

    if (count)
        head_full_decode(pool, list, all);
    while (at < count && all[at].max_t_ms < chunk.min_t_ms)
        at++;
    if (count < UINT16_MAX / FULL_CHUNK_BYTES_MAX - 1 &&
        (at == count || all[at].min_t_ms > chunk.max_t_ms)) {
        memmove(all + at + 1, all + at, (count - at) * sizeof *all);
        all[at] = chunk;
        grown = head_full_replace(pool, list, all, count + 1);
    }
    free(all);
    return grown;
}

static void attach_chunk(Replay *r, uint64_t ref, Series *series, LoadedChunk *chunk)
{
    Head *head = r->head;
    bool has = series_flags(series) & SERIES_HAS_SAMPLES;

    if (chunk->used)
        return;
    chunk->used = true;
    if (chunk->out_of_order) {
        attach_late_chunk(r, ref, series, chunk);
        return;
    }
    // Older than what blocks hold, or not before the open chunk: the samples are elsewhere, too.
    if (chunk->full.max_t_ms < head->options.min_valid_t_ms ||
        chunk->full.max_t_ms >=
            head_first_open_time(head, series, head_extra(head, ref, series, false)))
        return;
    bool behind = !has || chunk->full.min_t_ms > series->xor_state.t_ms;
    PoolHandle list = behind ? head_full_add(&head->pool, series->full, chunk->full)
                             : add_between(&head->pool, series->full, chunk->full);
    if (!list)
        return;
    series->full = list;
    r->filled += !has;
    if (behind)
        series->xor_state.t_ms = chunk->full.max_t_ms;
    series_set_flags(series,
                     SERIES_HAS_SAMPLES | (chunk->has_histograms ? SERIES_FULL_HISTOGRAM : 0), 0);
    head_append_note_time(head, chunk->full.min_t_ms);
    head_append_note_time(head, chunk->full.max_t_ms);
    COUNT(head, chunks, 1);
}

void replay_chunks_attach(Replay *r, uint64_t log_ref, uint64_t ref, Series *series)
{
    ReplayChunks *c = &r->chunks;
    const uint32_t *newest = newest_of(c, log_ref, false);
    uint32_t few[FEW];
    uint32_t *places = few;
    size_t count = 0;

    if (!newest)
        return;
    for (uint32_t at = *newest; at; at = c->items[at - 1].before)
        count++;
    if (count > FEW)
        places = X_ARRAY(uint32_t, count);
    size_t fill = count;
    for (uint32_t at = *newest; at; at = c->items[at - 1].before)
        places[--fill] = at - 1;
    for (size_t i = 0; i < count; i++)
        attach_chunk(r, ref, series, &c->items[places[i]]);
    if (places != few)
        free(places);
}

void replay_chunks_attach_all(Replay *r)
{
    Head *head = r->head;

    for (int twins = 0; twins < 2; twins++) {
        for (size_t i = 0; i < r->chunks.count; i++) {
            uint64_t log_ref = r->chunks.items[i].series_ref;
            uint64_t *twin = twins ? ref_map_get(&head->twins, log_ref) : NULL;
            uint64_t ref = twin ? *twin : log_ref;
            SeriesSlot slot = r->chunks.items[i].used ? 0 : series_slot(&head->index.series, ref);
            if (slot)
                replay_chunks_attach(r, log_ref, ref, series_at(&head->index.series, slot));
        }
    }
}
