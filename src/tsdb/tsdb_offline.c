// SPDX-License-Identifier: Apache-2.0
#include "tsdb/tsdb_offline.h"

#include <stdlib.h>

#include "base/clock.h"
#include "tsdb/block.h"
#include "tsdb/block_from_source.h"

#define SAMPLES_PER_CHUNK 120

struct TsdbBlock {
    Block *block;
    TsdbBlockInfo info;
    Arena arena;
};

static TsdbBlockInfo info_of(Block *block)
{
    const BlockMeta *meta = block_meta(block);

    return (TsdbBlockInfo){
        .ulid = ulid_str(&meta->ulid),
        .min_t_ms = meta->min_t_ms,
        .max_t_ms = meta->max_t_ms,
        .samples = meta->stats.samples,
        .chunks = meta->stats.chunks,
        .series = meta->stats.series,
        .bytes = block_bytes(block),
    };
}

static int compare_infos(const void *a, const void *b)
{
    const TsdbBlockInfo *x = (const TsdbBlockInfo *)a, *y = (const TsdbBlockInfo *)b;

    if ((x->fault.len > 0) != (y->fault.len > 0))
        return x->fault.len ? 1 : -1;
    if (x->min_t_ms != y->min_t_ms)
        return x->min_t_ms < y->min_t_ms ? -1 : 1;
    return str_compare(x->ulid, y->ulid);
}

bool tsdb_offline_list(Fs *fs, Str dir, Arena *arena, TsdbBlockInfo **ret_blocks, size_t *ret_count,
                       Error *err)
{
    FsList list;
    size_t count = 0;

    if (!fs_list(fs, dir, arena, &list, err))
        return false;
    TsdbBlockInfo *infos = ARENA_ARRAY(arena, TsdbBlockInfo, list.count + 1);
    for (size_t i = 0; i < list.count; i++) {
        Str name = list.entries[i].name;
        Block *block;
        Ulid ulid;
        Error why = {0};
        if (!list.entries[i].is_dir || !ulid_parse(name, &ulid))
            continue;
        if (!block_open(fs, fs_join(arena, dir, name), &block, &why)) {
            infos[count++] =
                (TsdbBlockInfo){.ulid = name, .fault = arena_str(arena, str_from_c(why.text))};
            continue;
        }
        infos[count] = info_of(block);
        infos[count++].ulid = name;
        block_unref(block);
    }
    if (count)
        qsort(infos, count, sizeof *infos, compare_infos);
    *ret_blocks = infos;
    *ret_count = count;
    return true;
}

// The newest that can be read.
static bool find_last(Fs *fs, Str dir, Arena *arena, Str *ret_ulid, Error *err)
{
    TsdbBlockInfo *infos;
    size_t count;

    if (!tsdb_offline_list(fs, dir, arena, &infos, &count, err))
        return false;
    while (count && infos[count - 1].fault.len)
        count--;
    if (!count)
        return error_set(err, ERR_NOT_FOUND, "no blocks found in " STR_FMT, STR_ARG(dir));
    *ret_ulid = infos[count - 1].ulid;
    return true;
}

bool tsdb_block_open(Fs *fs, Str dir, Str ulid, TsdbBlock **ret_block, Error *err)
{
    TsdbBlock *block = X_NEW(TsdbBlock);
    Ulid parsed;

    bool ok = ulid.len
                  ? ulid_parse(ulid, &parsed) && fs_exists(fs, fs_join(&block->arena, dir, ulid))
                  : find_last(fs, dir, &block->arena, &ulid, err);
    if (!ok && ulid.len)
        error_set(err, ERR_NOT_FOUND, "block " STR_FMT " not found", STR_ARG(ulid));
    ok = ok && block_open(fs, fs_join(&block->arena, dir, ulid), &block->block, err);
    if (!ok) {
        tsdb_block_close(block);
        return false;
    }
    block->info = info_of(block->block);
    *ret_block = block;
    return true;
}

void tsdb_block_close(TsdbBlock *block)
{
    if (!block)
        return;
    block_unref(block->block);
    arena_deinit(&block->arena);
    free(block);
}

const TsdbBlockInfo *tsdb_block_info(const TsdbBlock *block)
{
    return &block->info;
}

static bool look_into(const Block *block, uint64_t ref, Arena *arena, TsdbChunkInfo *info,
                      Error *err)
{
    ChunkColumns columns = {.arena = arena};
    ChunkEncoding encoding;
    Str bytes;

    if (!block_chunk(block, ref, &encoding, &bytes, err))
        return false;
    info->samples = (uint32_t)chunk_sample_count(encoding, bytes);
    info->bytes = (uint32_t)bytes.len;
    info->has_histograms = chunk_has_histograms(encoding);
    if (!info->has_histograms)
        return true;
    if (!chunk_decode(encoding, bytes, INT64_MIN, INT64_MAX, &columns, err))
        return false;
    for (size_t i = 0; i < columns.columns.count; i++) {
        const Histogram *h = columns.columns.histograms[i];
        info->buckets += h ? h->positive_count + h->negative_count : 0;
    }
    return true;
}

bool tsdb_block_walk(TsdbBlock *block, const Matcher *matchers, size_t count, bool with_data,
                     TsdbSeriesFn each, void *arg, Error *err)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    CLEANUP(arena_deinit) Arena one = {.next = NULL};
    CLEANUP(index_series_deinit) IndexSeries series = {.symbols = NULL};
    const IndexReader *index = block_index(block->block);
    IndexPostings postings;

    if (!index_reader_postings(index, matchers, count, &arena, &postings, err))
        return false;
    for (size_t i = 0; i < postings.count; i++) {
        Labels labels;
        arena_reset(&one);
        if (!index_reader_series(index, postings.refs[i], INT64_MIN, INT64_MAX, &series, err) ||
            !index_reader_labels(index, &series, &one, &labels, err))
            return false;
        TsdbChunkInfo *chunks =
            (TsdbChunkInfo *)arena_zalloc(&one, (series.chunk_count + 1) * sizeof *chunks);
        for (size_t k = 0; k < series.chunk_count; k++) {
            chunks[k].min_t_ms = series.chunks[k].min_t_ms;
            chunks[k].max_t_ms = series.chunks[k].max_t_ms;
            if (with_data && !look_into(block->block, series.chunks[k].ref, &one, &chunks[k], err))
                return false;
        }
        if (!each(arg, labels, chunks, series.chunk_count, err))
            return false;
    }
    return true;
}

bool tsdb_offline_write_block(Fs *fs, Str dir, Source *source, int64_t min_t_ms, int64_t max_t_ms,
                              Arena *arena, Str *ret_ulid, Error *err)
{
    bool made;
    BlockWriterOptions options = {
        .fs = fs,
        .dir = dir,
        .ulid = ulid_new(clock_now_ms(&clock_system)),
        .min_t_ms = min_t_ms,
        .max_t_ms = max_t_ms,
        .level = 1,
    };

    if (!block_from_source(source, &options, SAMPLES_PER_CHUNK, &made, err))
        return false;
    *ret_ulid = made ? arena_str(arena, ulid_str(&options.ulid)) : STR_NONE;
    return true;
}
