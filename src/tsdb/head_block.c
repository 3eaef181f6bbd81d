// SPDX-License-Identifier: Apache-2.0
// Streams the head's series and chunks of a span of time into a block writer.
#include <stdlib.h>

#include "tsdb/chunk_start.h"
#include "tsdb/head_internal.h"

// A series on its way: the first two pairs as ranks decide most comparisons.
typedef struct BlockSeries {
    uint64_t key;
    uint64_t ref;
    PoolHandle labels;
} BlockSeries;

typedef struct BlockPair {
    Str name;
    Str value;
    uint32_t pair;
} BlockPair;

typedef struct Streaming {
    Head *head;
    int64_t min_t, max_t; // max exclusive
    bool out_of_order;
    const HeadStale *only;     // these series; NULL: all
    const HeadQuerier *reader; // what it sees, in order or not; NULL: the newest commits as well
    int64_t from_t, until_t;   // in-order samples of the series at hand; the latter exclusive
    BlockWriter *writer;
    Arena arena;
    BlockSeries *series;
    size_t count;
    uint32_t pair_limit;                  // pairs above came later
    uint32_t *rank;                       // of a pair among those used, from 1
    uint32_t *name_symbol, *value_symbol; // of a pair
    Arena scratch;                        // of one series
} Streaming;

// --- which series ---

static bool extra_has(const Streaming *s, const SeriesExtra *extra)
{
    for (uint32_t i = 0; extra && i < extra->frozen; i++)
        if (extra->chunks[i].min_t_ms < s->max_t && extra->chunks[i].max_t_ms >= s->min_t)
            return true;
    return false;
}

static bool series_has(const Streaming *s, uint64_t ref, Series *series)
{
    SeriesExtra *extra = head_extra(s->head, ref, series, false);

    if (s->out_of_order)
        return extra_has(s, extra);
    if (s->reader && extra && (extra->buffer_count || extra->chunk_count))
        return true;
    return series_flags(series) & SERIES_HAS_SAMPLES && series->xor_state.t_ms >= s->min_t &&
           head_first_time(s->head, series, extra) < s->max_t;
}

static void gather_one(Streaming *s, uint64_t ref)
{
    Head *head = s->head;
    SeriesSlot slot = series_slot(&head->index.series, ref);
    Series *series = series_at(&head->index.series, slot);

    if (!slot)
        return;
    lock_take(&head->stripes[series_stripe(ref)]);
    bool has = series_ref(series) == ref && series_has(s, ref, series);
    lock_give(&head->stripes[series_stripe(ref)]);
    if (!has)
        return;
    s->series[s->count++] = (BlockSeries){.ref = ref, .labels = series->labels};
    LabelWalk walk = head_index_walk(&head->index, series->labels);
    for (uint32_t pair; (pair = head_index_walk_next(&walk));)
        s->rank[pair] = 1;
}

// Label bytes stay where they are: only head_truncate* drops series, and it does not run meanwhile.
static void gather(Streaming *s)
{
    Head *head = s->head;
    RefRuns runs;

    rwlock_take_read(&head->index_lock);
    postings_decode(&head->index.all, &head->index.pool, &s->arena, &runs);
    s->pair_limit = head->index.pair_count;
    rwlock_give(&head->index_lock);
    s->series = ARENA_ARRAY(&s->arena, BlockSeries, runs.refs);
    s->rank = arena_zalloc(&s->arena, (size_t)s->pair_limit * sizeof(uint32_t));
    if (s->only) {
        for (size_t i = 0; i < s->only->count; i++)
            gather_one(s, s->only->refs[i]);
        return;
    }
    for (size_t i = 0; i < runs.count; i++)
        for (uint64_t k = 0; k < runs.runs[i].length; k++)
            gather_one(s, runs.runs[i].first + k);
}

// --- order and symbols ---

static int compare_pairs(const void *a, const void *b)
{
    const BlockPair *x = a;
    const BlockPair *y = b;
    int order = x->name.ptr == y->name.ptr ? 0 : str_compare(x->name, y->name);
    return order ? order : str_compare(x->value, y->value);
}

static int compare_strs(const void *a, const void *b)
{
    return str_compare(*(const Str *)a, *(const Str *)b);
}

static uint32_t symbol_of(const Str *symbols, size_t count, Str s)
{
    size_t low = 0;
    size_t high = count;

    while (low < high) {
        size_t middle = (low + high) / 2;
        if (str_compare(symbols[middle], s) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return (uint32_t)low;
}

static bool write_symbols(Streaming *s, const BlockPair *pairs, size_t count, Error *err)
{
    Str *symbols = ARENA_ARRAY(&s->arena, Str, count * 2 + 1);
    size_t n = 0;
    size_t unique = 0;

    symbols[n++] = S("");
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || pairs[i].name.ptr != pairs[i - 1].name.ptr)
            symbols[n++] = pairs[i].name;
        symbols[n++] = pairs[i].value;
    }
    qsort(symbols, n, sizeof *symbols, compare_strs);
    for (size_t i = 0; i < n; i++)
        if (!unique || !str_equal(symbols[unique - 1], symbols[i]))
            symbols[unique++] = symbols[i];
    for (size_t i = 0; i < unique; i++)
        if (!block_writer_symbol(s->writer, symbols[i], err))
            return false;
    for (size_t i = 0; i < count; i++) {
        s->name_symbol[pairs[i].pair] = symbol_of(symbols, unique, pairs[i].name);
        s->value_symbol[pairs[i].pair] = symbol_of(symbols, unique, pairs[i].value);
    }
    return true;
}

// Ranks the pairs in use and writes the symbols.
static bool rank_pairs(Streaming *s, Error *err)
{
    HeadIndex *index = &s->head->index;
    size_t count = 0;
    size_t fill = 0;

    for (uint32_t pair = 1; pair < s->pair_limit; pair++)
        count += s->rank[pair];
    BlockPair *pairs = ARENA_ARRAY(&s->arena, BlockPair, count);
    rwlock_take_read(&s->head->index_lock);
    for (uint32_t pair = 1; pair < s->pair_limit; pair++) {
        const LabelPair *p = &index->pairs[pair];
        if (s->rank[pair])
            pairs[fill++] = (BlockPair){head_index_text(index, index->names[p->name].text),
                                        head_index_text(index, p->value), pair};
    }
    rwlock_give(&s->head->index_lock);
    if (count)
        qsort(pairs, count, sizeof *pairs, compare_pairs);
    for (size_t i = 0; i < count; i++)
        s->rank[pairs[i].pair] = (uint32_t)i + 1;
    s->name_symbol = ARENA_ARRAY(&s->arena, uint32_t, s->pair_limit);
    s->value_symbol = ARENA_ARRAY(&s->arena, uint32_t, s->pair_limit);
    return write_symbols(s, pairs, count, err);
}

static int compare_series(const void *a, const void *b, void *arg)
{
    const Streaming *s = arg;
    const BlockSeries *x = a;
    const BlockSeries *y = b;

    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    LabelWalk p = head_index_walk(&s->head->index, x->labels);
    LabelWalk q = head_index_walk(&s->head->index, y->labels);
    for (;;) {
        uint32_t i = head_index_walk_next(&p);
        uint32_t k = head_index_walk_next(&q);
        if (i != k)
            return !i ? -1 : !k ? 1 : s->rank[i] < s->rank[k] ? -1 : 1;
        if (!i)
            return 0;
    }
}

static void sort_series(Streaming *s)
{
    for (size_t i = 0; i < s->count; i++) {
        LabelWalk walk = head_index_walk(&s->head->index, s->series[i].labels);
        uint32_t first = head_index_walk_next(&walk);
        uint32_t second = head_index_walk_next(&walk);
        s->series[i].key = (uint64_t)s->rank[first] << 32 | (second ? s->rank[second] : 0);
    }
    if (s->count)
        qsort_r(s->series, s->count, sizeof *s->series, compare_series, s);
}

// --- chunks ---

typedef struct ChunkList {
    BlockChunk *items;
    size_t count;
    size_t cap;
    HeadChunkView *pins; // views behind some of them
    size_t pin_count;
    size_t pin_cap;
} ChunkList;

static void add_chunk(Streaming *s, ChunkList *list, BlockChunk chunk)
{
    if (list->count == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 16;
        list->items = arena_grow(&s->scratch, list->items, list->cap * sizeof *list->items,
                                 cap * sizeof *list->items);
        list->cap = cap;
    }
    if (UNLIKELY(GET(s->head->packs_xor2)))
        chunk_start_repack(&s->scratch, &chunk.encoding, &chunk.bytes);
    list->items[list->count++] = chunk;
}

static void pin(Streaming *s, ChunkList *list, HeadChunkView view)
{
    if (list->pin_count == list->pin_cap) {
        size_t cap = list->pin_cap ? list->pin_cap * 2 : 16;
        list->pins =
            arena_grow(&s->scratch, list->pins, list->pin_cap * sizeof view, cap * sizeof view);
        list->pin_cap = cap;
    }
    list->pins[list->pin_count++] = view;
}

// A chunk of the samples [from, to), with their starts if they are known. `bytes` lives in the scratch arena.
static void add_samples(Streaming *s, ChunkList *list, const SampleColumns *c, size_t from,
                        size_t to, ChunkEncoding encoding, Str bytes)
{
    if (c->start_ms)
        (void)chunk_start_weave(&s->scratch, &encoding, &bytes, c->start_ms + from);
    add_chunk(s, list, (BlockChunk){c->t_ms[from], c->t_ms[to - 1], encoding, bytes});
}

static void add_floats(Streaming *s, ChunkList *list, const SampleColumns *c, size_t from,
                       size_t to)
{
    size_t cap = CHUNK_XOR_HEADER_BYTES + (to - from) * CHUNK_XOR_SAMPLE_BYTES_MAX;
    uint8_t *bytes = arena_alloc(&s->scratch, cap);
    ChunkXor state;

    chunk_xor_start(&state, bytes);
    for (size_t i = from; i < to; i++) {
        bool fits = chunk_xor_append(&state, bytes, cap, c->t_ms[i], c->value[i]);
        ASSERT(fits);
    }
    add_samples(s, list, c, from, to, CHUNK_XOR,
                (Str){(const char *)bytes, chunk_xor_bytes(&state)});
}

static size_t add_histograms(Streaming *s, ChunkList *list, const SampleColumns *c, size_t from,
                             size_t to, ChunkHistogram **before)
{
    ChunkHistogram *chunk = chunk_histogram_new(c->histograms[from], *before);
    size_t i = from;

    while (i < to &&
           chunk_histogram_append(chunk, c->t_ms[i], c->histograms[i]) == CHUNK_HISTOGRAM_TAKEN)
        i++;
    ASSERT(i > from);
    Str bytes = arena_str(&s->scratch, chunk_histogram_str(chunk));
    add_samples(s, list, c, from, i, chunk_histogram_encoding(chunk), bytes);
    chunk_histogram_free(*before);
    *before = chunk;
    return i;
}

// Encodes columns anew, in chunks of the usual size.
static void add_columns(Streaming *s, ChunkList *list, const SampleColumns *c)
{
    size_t step = (size_t)s->head->options.samples_per_chunk;
    ChunkHistogram *before = NULL;

    for (size_t i = 0; i < c->count;) {
        bool is_histogram = c->histograms && c->histograms[i];
        size_t end = i;
        while (end < c->count && end - i < step &&
               (c->histograms && c->histograms[end]) == is_histogram)
            end++;
        if (is_histogram) {
            i = add_histograms(s, list, c, i, end, &before);
            continue;
        }
        chunk_histogram_free(before);
        before = NULL;
        add_floats(s, list, c, i, end);
        i = end;
    }
    chunk_histogram_free(before);
}

static bool is_touched_by_delete(const SeriesView *view, int64_t min_t, int64_t max_t)
{
    for (size_t i = 0; i < view->deleted_count; i++)
        if (view->deleted[i].min_t_ms <= max_t && view->deleted[i].max_t_ms >= min_t)
            return true;
    return false;
}

// A chunk that lies inside the span goes as it is, else its samples inside.
static bool take_chunk(Streaming *s, ChunkList *list, const SeriesView *view, BlockChunk chunk,
                       Error *err)
{
    if (chunk.max_t_ms < s->from_t || chunk.min_t_ms >= s->until_t)
        return true;
    if (chunk.min_t_ms >= s->from_t && chunk.max_t_ms < s->until_t &&
        !is_touched_by_delete(view, chunk.min_t_ms, chunk.max_t_ms)) {
        add_chunk(s, list, chunk);
        return true;
    }
    ChunkColumns columns = {.arena = &s->scratch};
    if (!chunk_decode(chunk.encoding, chunk.bytes, s->from_t, s->until_t - 1, &columns, err))
        return false;
    head_read_drop_deleted(view, &columns.columns);
    add_columns(s, list, &columns.columns);
    return true;
}

static bool collect_in_order(Streaming *s, ChunkList *list, const SeriesView *view, Error *err)
{
    const HeadChunkPins *pins = s->reader ? &s->reader->pins : NULL;

    for (size_t i = 0; i < view->full_count; i++) {
        HeadChunkView chunk;
        FullChunk full = view->full[i];
        if (full.max_t_ms < s->from_t || full.min_t_ms >= s->until_t)
            continue;
        if (!head_chunks_read(s->head->chunks, pins, full.ref, &chunk, err))
            return false;
        pin(s, list, chunk);
        if (!take_chunk(
                s, list, view,
                (BlockChunk){full.min_t_ms, full.max_t_ms, chunk.chunk.encoding, chunk.chunk.bytes},
                err))
            return false;
    }
    return !view->open.len || take_chunk(s, list, view,
                                         (BlockChunk){view->open_min_ms, view->open_max_ms,
                                                      view->open_encoding, view->open},
                                         err);
}

static void add_merged(Streaming *s, ChunkList *list, const SeriesView *view, ChunkColumns *columns)
{
    chunk_columns_merge(columns);
    head_read_drop_deleted(view, &columns->columns);
    add_columns(s, list, &columns->columns);
}

// All that the reader sees.
static bool collect_seen(Streaming *s, ChunkList *list, const SeriesView *view, Error *err)
{
    ChunkColumns columns = {.arena = &s->scratch};

    if (!view->late_count && !view->late_chunk_count)
        return collect_in_order(s, list, view, err);
    if (!head_read_in_order(s->head, &s->reader->pins, view, s->from_t, s->until_t - 1, &columns,
                            err) ||
        !head_read_late(s->head, &s->reader->pins, view, s->min_t, s->max_t - 1, &columns, err))
        return false;
    add_merged(s, list, view, &columns);
    return true;
}

static bool collect_late(Streaming *s, ChunkList *list, uint64_t ref, SeriesView *view, Error *err)
{
    Head *head = s->head;
    ChunkColumns columns = {.arena = &s->scratch};
    uint32_t frozen = 0;

    lock_take(&head->stripes[series_stripe(ref)]);
    Series *series = series_at(&head->index.series, series_slot(&head->index.series, ref));
    SeriesExtra *extra = series_ref(series) == ref ? head_extra(head, ref, series, false) : NULL;
    frozen = extra ? extra->frozen : 0;
    lock_give(&head->stripes[series_stripe(ref)]);
    view->late_chunk_count = MIN(view->late_chunk_count, (size_t)frozen);
    view->late_count = 0;
    if (!head_read_late(head, NULL, view, s->min_t, s->max_t - 1, &columns, err))
        return false;
    add_merged(s, list, view, &columns);
    return true;
}

static bool collect(Streaming *s, ChunkList *list, uint64_t ref, SeriesView *view, Error *err)
{
    s->from_t = s->min_t;
    s->until_t = s->max_t;
    if (s->out_of_order)
        return collect_late(s, list, ref, view, err);
    if (!s->reader)
        return collect_in_order(s, list, view, err);
    s->from_t = MAX(s->min_t, s->reader->floor_t_ms);
    s->until_t = MIN(s->max_t - 1, view->visible_t) + 1;
    return collect_seen(s, list, view, err);
}

static bool write_series(Streaming *s, const BlockSeries *series, Error *err)
{
    ChunkList list = {0};
    SeriesView view;

    arena_reset(&s->scratch);
    if (!head_read_view(s->head, series->ref, s->reader ? s->reader->epoch : UINT64_MAX, INT64_MIN,
                        INT64_MAX, &s->scratch, &view))
        return true;
    size_t labels = head_index_label_count(&s->head->index, series->labels);
    uint32_t *refs = ARENA_ARRAY(&s->scratch, uint32_t, labels * 2);
    LabelWalk walk = head_index_walk(&s->head->index, series->labels);
    for (size_t i = 0; i < labels; i++) {
        uint32_t pair = head_index_walk_next(&walk);
        refs[2 * i] = s->name_symbol[pair];
        refs[2 * i + 1] = s->value_symbol[pair];
    }
    bool ok = collect(s, &list, series->ref, &view, err) &&
              (!list.count ||
               block_writer_series(s->writer, refs, labels * 2, list.items, list.count, err));
    for (size_t i = 0; i < list.pin_count; i++)
        head_chunks_release(&list.pins[i]);
    return ok;
}

static bool stream(Streaming *s, Error *err)
{
    gather(s);
    bool ok = rank_pairs(s, err);
    if (ok)
        sort_series(s);
    for (size_t i = 0; ok && i < s->count; i++)
        ok = write_series(s, &s->series[i], err);
    arena_deinit(&s->scratch);
    arena_deinit(&s->arena);
    return ok ? true : error_context(err, "write a block of the head");
}

bool head_write_block(Head *head, int64_t min_t_ms, int64_t max_t_ms, BlockWriter *writer,
                      Error *err)
{
    Streaming s = {.head = head, .min_t = min_t_ms, .max_t = max_t_ms, .writer = writer};
    return stream(&s, err);
}

bool head_write_stale_block(Head *head, const HeadStale *stale, int64_t min_t_ms, int64_t max_t_ms,
                            BlockWriter *writer, Error *err)
{
    Streaming s = {
        .head = head, .min_t = min_t_ms, .max_t = max_t_ms, .writer = writer, .only = stale};
    return stream(&s, err);
}

bool head_write_out_of_order_block(Head *head, int64_t min_t_ms, int64_t max_t_ms,
                                   BlockWriter *writer, Error *err)
{
    Streaming s = {
        .head = head, .min_t = min_t_ms, .max_t = max_t_ms, .writer = writer, .out_of_order = true};
    return stream(&s, err);
}

bool head_write_snapshot_block(Head *head, int64_t min_t_ms, int64_t max_t_ms, BlockWriter *writer,
                               Error *err)
{
    Querier *querier;

    if (!head_read_open(&head->source, min_t_ms, max_t_ms - 1, &querier, err))
        return false;
    Streaming s = {.head = head,
                   .min_t = min_t_ms,
                   .max_t = max_t_ms,
                   .writer = writer,
                   .reader = CONTAINER_OF(querier, HeadQuerier, querier)};
    bool ok = stream(&s, err);
    querier->close(querier);
    return ok;
}
