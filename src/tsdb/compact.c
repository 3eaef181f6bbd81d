// SPDX-License-Identifier: Apache-2.0
#include "tsdb/compact.h"

#include <stdlib.h>

#include "tsdb/block_writer.h"
#include "tsdb/chunk_encode.h"

#define TOMBSTONES_SHARE_MAX 0.05
#define RELEASE_SERIES 65536 // an input's mapped pages are given back after so many

size_t compact_ranges(int64_t min_ms, int64_t max_ms, int64_t ranges[COMPACT_RANGES_MAX])
{
    size_t count = 1;

    ranges[0] = min_ms;
    while (count < COMPACT_RANGES_MAX && ranges[count - 1] <= max_ms / 3) {
        ranges[count] = ranges[count - 1] * 3;
        count++;
    }
    return count;
}

// Planning

static CompactPlan plan_of(size_t from, size_t count, Arena *arena)
{
    CompactPlan plan = {ARENA_ARRAY(arena, size_t, count), count, false};

    for (size_t i = 0; i < count; i++)
        plan.indices[i] = from + i;
    return plan;
}

// The first group of blocks of which each begins before the end of those before it. Damaged ones are left out.
static CompactPlan plan_overlapping(const BlockMeta *const *metas, size_t count, Arena *arena)
{
    CompactPlan plan = {ARENA_ARRAY(arena, size_t, count), 0, true};
    int64_t end = INT64_MIN;

    for (size_t i = 0; i < count; i++) {
        if (metas[i]->failed)
            continue;
        if (metas[i]->min_t_ms >= end) {
            if (plan.count > 1)
                break;
            plan.count = 0;
        }
        plan.indices[plan.count++] = i;
        end = MAX(end, metas[i]->max_t_ms);
    }
    if (plan.count < 2)
        plan.count = 0;
    return plan;
}

static int64_t align_down(int64_t t, int64_t range)
{
    int64_t rest = t % range;
    return t - (rest < 0 ? rest + range : rest);
}

static bool any_failed(const BlockMeta *const *metas, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (metas[i]->failed)
            return true;
    return false;
}

// Blocks that lie in one aligned range and fill it, or that are older than the newest: their range is closed.
static CompactPlan plan_range(const BlockMeta *const *metas, size_t count, int64_t range,
                              Arena *arena)
{
    int64_t newest = count ? metas[count - 1]->min_t_ms : 0;

    for (size_t i = 0; i < count;) {
        int64_t from_t = align_down(metas[i]->min_t_ms, range);
        size_t from = i;
        while (i < count && metas[i]->max_t_ms <= from_t + range)
            i++;
        if (i == from) { // larger than the range
            i++;
            continue;
        }
        int64_t min_t = metas[from]->min_t_ms, max_t = metas[i - 1]->max_t_ms;
        if (i - from > 1 && (max_t - min_t == range || max_t <= newest) &&
            !any_failed(metas + from, i - from))
            return plan_of(from, i - from, arena);
    }
    return (CompactPlan){NULL, 0, false};
}

CompactPlan compact_plan(const BlockMeta *const *metas, size_t count, const CompactRules *rules,
                         Arena *arena)
{
    CompactPlan plan = {NULL, 0, false};

    if (!rules->leaves_overlaps)
        plan = plan_overlapping(metas, count, arena);
    if (plan.count || count == 0)
        return plan;
    count--; // the newest was just made: more may come to its range
    for (size_t i = 1; i < rules->range_count && plan.count == 0; i++)
        plan = plan_range(metas, count, rules->ranges[i], arena);
    if (plan.count)
        return plan;
    for (size_t i = count; i-- > 0;) {
        if (metas[i]->max_t_ms - metas[i]->min_t_ms < rules->ranges[rules->range_count / 2])
            break;
        if (!metas[i]->failed &&
            (double)metas[i]->stats.tombstones / (double)(metas[i]->stats.series + 1) >
                TOMBSTONES_SHARE_MAX)
            return plan_of(i, 1, arena);
    }
    return plan;
}

// Symbols: the inputs' symbols are united; each input gets a table from its numbers to the new ones.

typedef struct Input {
    Block *block;
    uint32_t *symbols; // new number by old number
    IndexPostings postings;
    size_t at;
    IndexSeries series; // the current one, symbols already renumbered
    uint32_t ref;
    bool more;
} Input;

typedef struct Merge {
    Input *inputs;
    size_t count;
    Arena arena;  // for the whole run
    Arena series; // reset after each
    BlockWriter *writer;
    size_t samples_per_chunk;
    const bool *stop;
} Merge;

static bool merge_symbols(Merge *m, Error *err)
{
    uint32_t *next = ARENA_ARRAY(&m->arena, uint32_t, m->count);
    Str *texts = ARENA_ARRAY(&m->arena, Str, m->count);

    for (size_t i = 0; i < m->count; i++) {
        const IndexReader *index = block_index(m->inputs[i].block);
        next[i] = 0;
        m->inputs[i].symbols = X_ARRAY(uint32_t, (size_t)index_reader_symbol_count(index) + 1);
        if (index_reader_symbol_count(index) && !index_reader_symbol(index, 0, &texts[i], err))
            return false;
    }
    for (uint32_t symbol = 0;; symbol++) {
        const Str *smallest = NULL;
        for (size_t i = 0; i < m->count; i++)
            if (next[i] < index_reader_symbol_count(block_index(m->inputs[i].block)) &&
                (!smallest || str_compare(texts[i], *smallest) < 0))
                smallest = &texts[i];
        if (!smallest)
            return true;
        Str text = *smallest;
        if (!block_writer_symbol(m->writer, text, err))
            return false;
        for (size_t i = 0; i < m->count; i++) {
            const IndexReader *index = block_index(m->inputs[i].block);
            if (next[i] >= index_reader_symbol_count(index) || !str_equal(texts[i], text))
                continue;
            m->inputs[i].symbols[next[i]++] = symbol;
            if (next[i] < index_reader_symbol_count(index) &&
                !index_reader_symbol(index, next[i], &texts[i], err))
                return false;
        }
    }
}

// Series

static bool input_next(Input *in, Error *err)
{
    const IndexReader *index = block_index(in->block);

    in->more = in->at < in->postings.count;
    if (!in->more)
        return true;
    in->ref = in->postings.refs[in->at++];
    if (in->at % RELEASE_SERIES == 0)
        block_release_pages(in->block);
    if (!index_reader_series(index, in->ref, INT64_MIN, INT64_MAX, &in->series, err))
        return false;
    for (size_t i = 0; i < in->series.symbol_count; i++) {
        if (in->series.symbols[i] >= index_reader_symbol_count(index))
            return error_set(err, ERR_CORRUPT, "a series uses a symbol that is not there");
        in->series.symbols[i] = in->symbols[in->series.symbols[i]];
    }
    return true;
}

static int compare_series(const IndexSeries *a, const IndexSeries *b)
{
    for (size_t i = 0; i < a->symbol_count && i < b->symbol_count; i++)
        if (a->symbols[i] != b->symbols[i])
            return a->symbols[i] < b->symbols[i] ? -1 : 1;
    return (a->symbol_count > b->symbol_count) - (a->symbol_count < b->symbol_count);
}

// One chunk of an input.
typedef struct SourceChunk {
    IndexChunk chunk;
    size_t input;
    bool cut; // part of it was deleted
} SourceChunk;

static int compare_sources(const void *a, const void *b)
{
    const SourceChunk *x = (const SourceChunk *)a, *y = (const SourceChunk *)b;

    if (x->chunk.min_t_ms != y->chunk.min_t_ms)
        return x->chunk.min_t_ms < y->chunk.min_t_ms ? -1 : 1;
    return (x->input > y->input) - (x->input < y->input);
}

typedef struct SourceList {
    SourceChunk *items;
    size_t count;
    Intervals *deleted; // by input
} SourceList;

// All chunks of the current series of the chosen inputs that are not wholly deleted.
static SourceList gather_chunks(Merge *m, const size_t *chosen, size_t chosen_count)
{
    SourceList list = {.items = NULL};
    size_t total = 0;

    for (size_t i = 0; i < chosen_count; i++)
        total += m->inputs[chosen[i]].series.chunk_count;
    list.items = ARENA_ARRAY(&m->series, SourceChunk, total);
    list.deleted = X_ARRAY(Intervals, m->count);
    for (size_t i = 0; i < chosen_count; i++) {
        Input *in = &m->inputs[chosen[i]];
        Intervals *deleted = &list.deleted[chosen[i]];
        block_deleted(in->block, in->ref, deleted);
        for (size_t k = 0; k < in->series.chunk_count; k++) {
            IndexChunk chunk = in->series.chunks[k];
            if (intervals_cover(deleted, chunk.min_t_ms, chunk.max_t_ms))
                continue;
            bool cut = intervals_overlap(deleted, chunk.min_t_ms, chunk.max_t_ms);
            list.items[list.count++] = (SourceChunk){chunk, chosen[i], cut};
        }
    }
    if (chosen_count > 1 && list.count)
        qsort(list.items, list.count, sizeof *list.items, compare_sources);
    return list;
}

static void free_deleted(Merge *m, SourceList *list)
{
    for (size_t i = 0; i < m->count; i++)
        intervals_deinit(&list->deleted[i]);
    free(list->deleted);
}

// Samples of one chunk that were not deleted.
static bool decode_live(Merge *m, const SourceChunk *source, const Intervals *deleted,
                        ChunkColumns *columns, Error *err)
{
    SampleColumns *c = &columns->columns;
    size_t kept = c->count, i = c->count;
    ChunkEncoding encoding;
    Str bytes;

    if (!block_chunk_checked(m->inputs[source->input].block, source->chunk.ref, &encoding, &bytes,
                             err) ||
        !chunk_decode(encoding, bytes, INT64_MIN, INT64_MAX, columns, err))
        return false;
    for (; i < c->count; i++) {
        if (intervals_contain(deleted, c->t_ms[i]))
            continue;
        sample_columns_move(c, kept++, i);
    }
    if (c->histograms)
        memset(c->histograms + kept, 0, (c->count - kept) * sizeof *c->histograms);
    c->count = kept;
    return true;
}

// The chunks of [from, to) overlap or lack something: they are written anew.
static bool rewrite_chunks(Merge *m, const SourceList *list, size_t from, size_t to,
                           ChunkEncode *out, Error *err)
{
    ChunkColumns columns = {.arena = &m->series};

    for (size_t i = from; i < to; i++)
        if (!decode_live(m, &list->items[i], &list->deleted[list->items[i].input], &columns, err))
            return false;
    chunk_columns_merge(&columns);
    chunk_encode(out, &columns.columns, m->samples_per_chunk);
    return true;
}

static bool copy_chunk(Merge *m, const SourceChunk *source, ChunkEncode *out, Error *err)
{
    BlockChunk chunk = {.min_t_ms = source->chunk.min_t_ms, .max_t_ms = source->chunk.max_t_ms};

    if (!block_chunk_checked(m->inputs[source->input].block, source->chunk.ref, &chunk.encoding,
                             &chunk.bytes, err))
        return false;
    chunk_encode_add(out, chunk);
    return true;
}

static bool merge_chunks(Merge *m, const SourceList *list, ChunkEncode *out, Error *err)
{
    for (size_t from = 0, to; from < list->count; from = to) {
        int64_t end = list->items[from].chunk.max_t_ms;
        for (to = from + 1; to < list->count && list->items[to].chunk.min_t_ms <= end; to++)
            end = MAX(end, list->items[to].chunk.max_t_ms);
        bool whole = to == from + 1 && !list->items[from].cut;
        if (whole ? !copy_chunk(m, &list->items[from], out, err)
                  : !rewrite_chunks(m, list, from, to, out, err))
            return false;
    }
    return true;
}

static bool merge_one(Merge *m, const size_t *chosen, size_t chosen_count, Error *err)
{
    ChunkEncode out = {.arena = &m->series};
    const IndexSeries *series = &m->inputs[chosen[0]].series;
    SourceList list = gather_chunks(m, chosen, chosen_count);

    bool ok = merge_chunks(m, &list, &out, err) &&
              block_writer_series(m->writer, series->symbols, series->symbol_count, out.chunks,
                                  out.count, err);
    free_deleted(m, &list);
    arena_reset(&m->series);
    return ok;
}

static bool is_stopped(const Merge *m)
{
    return m->stop && __atomic_load_n(m->stop, __ATOMIC_RELAXED);
}

static bool merge_series(Merge *m, Error *err)
{
    size_t *chosen = ARENA_ARRAY(&m->arena, size_t, m->count);

    for (size_t i = 0; i < m->count; i++)
        if (!index_reader_postings(block_index(m->inputs[i].block), NULL, 0, &m->arena,
                                   &m->inputs[i].postings, err) ||
            !input_next(&m->inputs[i], err))
            return false;
    for (;;) {
        size_t chosen_count = 0;
        for (size_t i = 0; i < m->count; i++) {
            if (!m->inputs[i].more)
                continue;
            int c = chosen_count
                        ? compare_series(&m->inputs[i].series, &m->inputs[chosen[0]].series)
                        : 0;
            if (c < 0)
                chosen_count = 0;
            if (c <= 0)
                chosen[chosen_count++] = i;
        }
        if (chosen_count == 0)
            return true;
        if (is_stopped(m))
            return error_set(err, ERR_CANCELED, "compaction was stopped");
        if (!merge_one(m, chosen, chosen_count, err))
            return false;
        for (size_t i = 0; i < chosen_count; i++)
            if (!input_next(&m->inputs[chosen[i]], err))
                return false;
    }
}

// Metadata of the result

static int compare_ulids(const void *a, const void *b)
{
    return memcmp(((const Ulid *)a)->text, ((const Ulid *)b)->text, ULID_CHARS);
}

static BlockWriterOptions describe(const CompactOutput *output, Block *const *blocks, size_t count,
                                   Arena *arena)
{
    BlockWriterOptions o = {
        .fs = output->fs,
        .dir = output->dir,
        .ulid = output->ulid,
        .min_t_ms = INT64_MAX,
        .max_t_ms = INT64_MIN,
        .segment_bytes_max = output->segment_bytes_max,
    };
    BlockParent *parents = ARENA_ARRAY(arena, BlockParent, count);
    size_t source_count = 0, kept = 0;

    for (size_t i = 0; i < count; i++)
        source_count += block_meta(blocks[i])->source_count;
    Ulid *sources = ARENA_ARRAY(arena, Ulid, source_count);
    source_count = 0;
    o.from_out_of_order = o.from_stale_series = true;
    for (size_t i = 0; i < count; i++) {
        const BlockMeta *meta = block_meta(blocks[i]);
        o.min_t_ms = MIN(o.min_t_ms, meta->min_t_ms);
        o.max_t_ms = MAX(o.max_t_ms, meta->max_t_ms);
        o.level = MAX(o.level, meta->level + 1);
        // What is partly one and partly the other is no better known than late samples are.
        bool late = block_meta_is_late(meta);
        o.from_out_of_order &= block_meta_is_partial(meta);
        o.from_stale_series &= block_meta_is_partial(meta) && !late;
        parents[i] = (BlockParent){meta->ulid, meta->min_t_ms, meta->max_t_ms};
        if (meta->source_count)
            memcpy(sources + source_count, meta->sources, meta->source_count * sizeof(Ulid));
        source_count += meta->source_count;
    }
    o.from_out_of_order &= !o.from_stale_series;
    if (source_count)
        qsort(sources, source_count, sizeof(Ulid), compare_ulids);
    for (size_t i = 0; i < source_count; i++)
        if (kept == 0 || !ulid_equal(&sources[kept - 1], &sources[i]))
            sources[kept++] = sources[i];
    o.sources = sources;
    o.source_count = kept;
    o.parents = parents;
    o.parent_count = count;
    return o;
}

static void merge_deinit(Merge *m)
{
    for (size_t i = 0; i < m->count; i++) {
        free(m->inputs[i].symbols);
        index_series_deinit(&m->inputs[i].series);
    }
    arena_deinit(&m->series);
    arena_deinit(&m->arena);
}

bool compact_blocks(const CompactOutput *output, Block *const *blocks, size_t count,
                    const bool *stop, bool *ret_made, Error *err)
{
    CLEANUP(merge_deinit) Merge m = {.samples_per_chunk = output->samples_per_chunk, .stop = stop};

    m.inputs = (Input *)arena_zalloc(&m.arena, count * sizeof(Input));
    m.count = count;
    for (size_t i = 0; i < count; i++)
        m.inputs[i].block = blocks[i];
    BlockWriterOptions options = describe(output, blocks, count, &m.arena);
    if (!block_writer_open(&options, &m.writer, err))
        return false;
    if (!merge_symbols(&m, err) || !merge_series(&m, err)) {
        block_writer_abort(m.writer);
        return error_context(err, "compaction");
    }
    return block_writer_finish(m.writer, ret_made, err);
}
