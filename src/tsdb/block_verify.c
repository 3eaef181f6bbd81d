// SPDX-License-Identifier: Apache-2.0
#include "tsdb/block_verify.h"

#define RELEASE_SERIES 65536

static void blame(BlockFaults *faults, const Error *why)
{
    if (faults->first.code == ERR_NONE)
        faults->first = *why;
}

static void verify_chunk(const Block *block, uint32_t ref, const IndexChunk *chunk, Arena *arena,
                         BlockFaults *faults)
{
    ChunkColumns columns = {.arena = arena};
    const SampleColumns *c = &columns.columns;
    ChunkEncoding encoding;
    Str bytes;
    Error err = {0};

    bool ok = block_chunk_checked(block, chunk->ref, &encoding, &bytes, &err) &&
              chunk_decode(encoding, bytes, INT64_MIN, INT64_MAX, &columns, &err);
    for (size_t i = 1; ok && i < c->count; i++)
        if (c->t_ms[i] <= c->t_ms[i - 1])
            ok = error_set(&err, ERR_CORRUPT, "series %u: times in a chunk do not rise", ref);
    if (ok && c->count) {
        faults->min_t_ms = MIN(faults->min_t_ms, c->t_ms[0]);
        faults->max_t_ms = MAX(faults->max_t_ms, c->t_ms[c->count - 1]);
    }
    if (ok && (c->count == 0 || c->t_ms[0] != chunk->min_t_ms ||
               c->t_ms[c->count - 1] != chunk->max_t_ms))
        ok = error_set(&err, ERR_CORRUPT, "series %u: the index tells other times than a chunk has",
                       ref);
    if (!ok) {
        faults->bad_chunks++;
        blame(faults, &err);
        return;
    }
    faults->chunks++;
    faults->samples += c->count;
}

static bool check_labels(const IndexReader *index, const IndexSeries *series, uint32_t ref,
                         Arena *arena, Error *err)
{
    Labels labels;

    if (!index_reader_labels(index, series, arena, &labels, err))
        return false;
    for (size_t i = 1; i < labels.count; i++)
        if (str_compare(labels.pairs[i - 1].name, labels.pairs[i].name) >= 0)
            return error_set(err, ERR_CORRUPT, "series %u: labels are not in order", ref);
    return true;
}

static void verify_series(Block *block, uint32_t ref, IndexSeries *series, BlockFaults *faults)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    const IndexReader *index = block_index(block);
    Error err = {0};

    if (!index_reader_series(index, ref, INT64_MIN, INT64_MAX, series, &err) ||
        !check_labels(index, series, ref, &arena, &err)) {
        faults->bad_series++;
        blame(faults, &err);
        return;
    }
    faults->series++;
    for (size_t i = 0; i < series->chunk_count; i++) {
        arena_reset(&arena);
        if (i && series->chunks[i].min_t_ms <= series->chunks[i - 1].max_t_ms) {
            error_set(&err, ERR_CORRUPT, "series %u: chunks overlap", ref);
            blame(faults, &err);
        }
        verify_chunk(block, ref, &series->chunks[i], &arena, faults);
    }
}

// Each value of each name has a list that can be read.
static bool verify_postings(const Block *block, Arena *arena, Error *err)
{
    const IndexReader *index = block_index(block);
    StrList names, values;

    if (!index_reader_names(index, arena, &names, err))
        return false;
    for (size_t i = 0; i < names.count; i++) {
        if (!index_reader_values(index, names.items[i], arena, &values, err))
            return false;
        for (size_t k = 0; k < values.count; k++) {
            CLEANUP(arena_deinit) Arena scratch = {.next = NULL};
            IndexPostings postings;
            Matcher matcher;
            if (!matcher_init(&matcher, MATCH_EQUAL, names.items[i], values.items[k], &scratch,
                              err))
                return false;
            bool ok = index_reader_postings(index, &matcher, 1, &scratch, &postings, err);
            matcher_deinit(&matcher);
            if (!ok)
                return false;
        }
    }
    return true;
}

static void verify_counts(const Block *block, BlockFaults *faults)
{
    const BlockMeta *meta = block_meta(block);
    Error err = {0};

    if (meta->stats.series == faults->series && meta->stats.chunks == faults->chunks &&
        meta->stats.samples == faults->samples)
        return;
    error_set(&err, ERR_CORRUPT,
              "meta.json counts %llu series, %llu chunks, %llu samples; there are %llu, %llu, %llu",
              (unsigned long long)meta->stats.series, (unsigned long long)meta->stats.chunks,
              (unsigned long long)meta->stats.samples, (unsigned long long)faults->series,
              (unsigned long long)faults->chunks, (unsigned long long)faults->samples);
    blame(faults, &err);
}

void block_verify(Block *block, const bool *stop, BlockFaults *ret_faults)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    CLEANUP(index_series_deinit) IndexSeries series = {.symbols = NULL};
    BlockFaults faults = {.min_t_ms = INT64_MAX, .max_t_ms = INT64_MIN};
    IndexPostings all;
    Error err = {0};

    if (!verify_postings(block, &arena, &err))
        blame(&faults, &err);
    if (index_reader_postings(block_index(block), NULL, 0, &arena, &all, &err)) {
        for (size_t i = 0; i < all.count; i++) {
            if (stop && __atomic_load_n(stop, __ATOMIC_RELAXED))
                break;
            verify_series(block, all.refs[i], &series, &faults);
            if ((i + 1) % RELEASE_SERIES == 0)
                block_release_pages(block);
        }
        if (!stop || !__atomic_load_n(stop, __ATOMIC_RELAXED))
            verify_counts(block, &faults);
    } else {
        blame(&faults, &err);
    }
    block_release_pages(block);
    *ret_faults = faults;
}
