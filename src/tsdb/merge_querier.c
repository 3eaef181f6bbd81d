// SPDX-License-Identifier: Apache-2.0
#include "tsdb/merge_querier.h"

#include <stdlib.h>

#include "base/lock.h"
#include "tsdb/block_ahead.h"
#include "tsdb/head.h"

#define MERGE_QUERIER_RANK 385 // guards a list, taken last

typedef struct MergeQuerier MergeQuerier;

typedef struct Pieces Pieces;

// What select gave lives as long as the Querier.
typedef struct Selected Selected;
struct Selected {
    Selected *next;
    Arena arena;
    const Pieces **series; // those that have any
    size_t series_count;
    size_t series_cap;
    size_t asked;   // of these, the disk knows that they will be read; atomic
    uint64_t bytes; // of chunks
};

struct MergeQuerier {
    Querier querier;
    Querier *head;
    Block **blocks;
    size_t block_count;
    int64_t min_t_ms;
    int64_t max_t_ms;
    Lock lock;
    Selected *selected;  // GUARDED_BY(lock)
    uint64_t read_bytes; // of chunks since pages were last given back; atomic
};

// Where samples of a series are. A handle points to one or more, or, odd, is the head's own handle of a series that is in the head only.
typedef struct Piece {
    Block *block; // NULL: the head
    uint64_t handle;
    BlockSpan span;
} Piece;

struct Pieces {
    Selected *selected;
    uint64_t begin; // bytes of all series before it
    size_t count;
    Piece items[]; // in the order of blocks, the head last
};

static uint64_t handle_of_head(uint64_t handle)
{
    return handle << 1 | 1;
}

static MergeQuerier *of(Querier *querier)
{
    return CONTAINER_OF(querier, MergeQuerier, querier);
}

static Selected *new_selected(MergeQuerier *q)
{
    Selected *s = X_NEW(Selected);

    lock_take(&q->lock);
    s->next = q->selected;
    q->selected = s;
    lock_give(&q->lock);
    return s;
}

// Selecting: the sources are walked side by side, the smallest labels first.

typedef struct Walker {
    BlockCursor *cursor; // NULL: the list
    SeriesList list;
    size_t at;
    bool more;
    Labels labels;
    Piece piece;
} Walker;

static bool walker_next(Walker *w, Error *err)
{
    if (w->cursor) {
        if (!block_cursor_next(w->cursor, &w->more, err))
            return false;
        w->labels = w->cursor->labels;
        w->piece = (Piece){w->cursor->block, w->cursor->ref,
                           block_span(w->cursor->block, &w->cursor->series)};
        return true;
    }
    w->more = w->at < w->list.count;
    if (w->more) {
        w->labels = w->list.series[w->at].labels;
        w->piece = (Piece){NULL, w->list.series[w->at].handle, {0}};
        w->at++;
    }
    return true;
}

typedef struct Walk {
    Walker *walkers;
    size_t count;
    size_t *smallest; // walkers that stand at the smallest labels
    size_t smallest_count;
} Walk;

static void find_smallest(Walk *walk)
{
    walk->smallest_count = 0;
    for (size_t i = 0; i < walk->count; i++) {
        if (!walk->walkers[i].more)
            continue;
        int c = walk->smallest_count ? labels_compare(walk->walkers[i].labels,
                                                      walk->walkers[walk->smallest[0]].labels)
                                     : 0;
        if (c < 0)
            walk->smallest_count = 0;
        if (c <= 0)
            walk->smallest[walk->smallest_count++] = i;
    }
}

typedef struct EntryList {
    SeriesEntry *entries;
    size_t count;
    size_t cap;
} EntryList;

static void add_entry(EntryList *list, SeriesEntry entry, Arena *arena)
{
    if (list->count == list->cap) {
        size_t cap = list->cap ? 2 * list->cap : 64;
        list->entries = (SeriesEntry *)arena_grow(arena, list->entries, list->cap * sizeof entry,
                                                  cap * sizeof entry);
        list->cap = cap;
    }
    list->entries[list->count++] = entry;
}

// Notes them for ask_ahead().
static void add_pieces(Selected *selected, const Pieces *pieces)
{
    if (selected->series_count == selected->series_cap) {
        size_t cap = selected->series_cap ? 2 * selected->series_cap : 64;
        selected->series =
            (const Pieces **)arena_grow(&selected->arena, (void *)selected->series,
                                        selected->series_cap * sizeof pieces, cap * sizeof pieces);
        selected->series_cap = cap;
    }
    selected->series[selected->series_count++] = pieces;
    for (size_t i = 0; i < pieces->count; i++)
        selected->bytes += pieces->items[i].span.to - pieces->items[i].span.from;
}

// The series at which the smallest walkers stand.
static SeriesEntry make_entry(const Walk *walk, Selected *selected)
{
    Arena *own = &selected->arena;
    const Walker *first = &walk->walkers[walk->smallest[0]];
    if (walk->smallest_count == 1 && !first->cursor)
        return (SeriesEntry){first->labels, handle_of_head(first->piece.handle)};
    Pieces *pieces =
        (Pieces *)arena_alloc(own, sizeof(Pieces) + walk->smallest_count * sizeof(Piece));
    Labels labels = first->labels;

    pieces->selected = selected;
    pieces->begin = selected->bytes;
    pieces->count = walk->smallest_count;
    for (size_t i = 0; i < walk->smallest_count; i++)
        pieces->items[i] = walk->walkers[walk->smallest[i]].piece;
    add_pieces(selected, pieces);
    if (first->cursor) {
        Label *pairs = ARENA_ARRAY(own, Label, labels.count);
        memcpy(pairs, labels.pairs, labels.count * sizeof(Label));
        labels.pairs = pairs;
    }
    return (SeriesEntry){labels, (uint64_t)(uintptr_t)pieces};
}

static bool merge_walk(Walk *walk, size_t limit, Selected *selected, Arena *arena,
                       SeriesList *ret_list, Error *err)
{
    EntryList list = {NULL, 0, 0};

    for (size_t i = 0; i < walk->count; i++)
        if (!walker_next(&walk->walkers[i], err))
            return false;
    for (find_smallest(walk); walk->smallest_count && (limit == 0 || list.count < limit);
         find_smallest(walk)) {
        if (!arena_ok(arena, err))
            return false;
        add_entry(&list, make_entry(walk, selected), arena);
        for (size_t i = 0; i < walk->smallest_count; i++)
            if (!walker_next(&walk->walkers[walk->smallest[i]], err))
                return false;
    }
    *ret_list = (SeriesList){list.entries, list.count, NULL};
    return true;
}

static bool open_walkers(MergeQuerier *q, const Matcher *matchers, size_t count,
                         const SelectHints *hints, Arena *own, Walk *walk, Error *err)
{
    int64_t min_t_ms = hints ? MAX(q->min_t_ms, hints->start_ms) : q->min_t_ms;
    int64_t max_t_ms = hints ? MIN(q->max_t_ms, hints->end_ms) : q->max_t_ms;

    walk->walkers = X_ARRAY(Walker, q->block_count + 1);
    walk->smallest = X_ARRAY(size_t, q->block_count + 1);
    for (size_t i = 0; i < q->block_count; i++) {
        const BlockMeta *meta = block_meta(q->blocks[i]);
        if (meta->min_t_ms > max_t_ms || meta->max_t_ms <= min_t_ms)
            continue;
        Walker *w = &walk->walkers[walk->count];
        w->cursor = (BlockCursor *)x_malloc(sizeof *w->cursor);
        if (!block_cursor_open(q->blocks[i], matchers, count, min_t_ms, max_t_ms, own, w->cursor,
                               err)) {
            free(w->cursor);
            return false;
        }
        walk->count++;
    }
    if (!q->head)
        return true;
    // To be merged, label sets must be whole and sorted.
    SelectHints whole = hints ? *hints : (SelectHints){.end_ms = INT64_MAX};
    whole.only_grouping &= walk->count == 0;
    whole.any_order &= walk->count == 0;
    return q->head->select(q->head, matchers, count, hints ? &whole : NULL, own,
                           &walk->walkers[walk->count++].list, err);
}

// There is nothing to merge with: the head's list as it is.
static SeriesList take_head_list(const SeriesList *list, size_t limit, Arena *arena)
{
    SeriesList all = {ARENA_ARRAY(arena, SeriesEntry, list->count), list->count, list->read_order};

    if (limit && limit < all.count) {
        all.count = limit;
        all.read_order = NULL;
    }
    for (size_t i = 0; i < all.count; i++)
        all.series[i] =
            (SeriesEntry){list->series[i].labels, handle_of_head(list->series[i].handle)};
    return all;
}

static void close_walk(Walk *walk)
{
    for (size_t i = 0; i < walk->count; i++)
        if (walk->walkers[i].cursor) {
            block_cursor_close(walk->walkers[i].cursor);
            free(walk->walkers[i].cursor);
        }
    free(walk->walkers);
    free(walk->smallest);
}

static bool merge_select(Querier *querier, const Matcher *matchers, size_t count,
                         const SelectHints *hints, Arena *arena, SeriesList *ret_list, Error *err)
{
    MergeQuerier *q = of(querier);
    Selected *selected = new_selected(q);
    selected->arena.budget = arena->budget;
    size_t limit = hints ? hints->limit : 0;
    Walk walk = {.walkers = NULL};

    bool ok = open_walkers(q, matchers, count, hints, &selected->arena, &walk, err);
    if (ok && walk.count == 1 && !walk.walkers[0].cursor)
        *ret_list = take_head_list(&walk.walkers[0].list, limit, arena);
    else
        ok = ok && merge_walk(&walk, limit, selected, arena, ret_list, err);
    close_walk(&walk);
    return ok;
}

// Reading

#define AHEAD_BYTES ((uint64_t)1 << 20)
#define ASK_BYTES ((uint64_t)256 << 10) // at once: others may ask for the next

// Asks the disk for series [from, to) of a selection.
static void ask_for(const MergeQuerier *q, const Selected *s, size_t from, size_t to)
{
    BlockAhead *ahead = X_ARRAY(BlockAhead, q->block_count);

    for (size_t i = from; i < to; i++) {
        const Pieces *pieces = s->series[i];
        for (size_t p = 0, b = 0; p < pieces->count && pieces->items[p].block; p++) {
            while (q->blocks[b] != pieces->items[p].block)
                b++;
            ahead[b].block = q->blocks[b];
            block_ahead_add(&ahead[b], pieces->items[p].span);
        }
    }
    for (size_t b = 0; b < q->block_count; b++)
        block_ahead_end(&ahead[b]);
    free(ahead);
}

// Asks for a series and for what lies less than `bytes` behind it: series are read in the order in which they were selected, maybe by
// several threads at several places.
static void ask_ahead(const MergeQuerier *q, const Pieces *at, uint64_t bytes)
{
    Selected *s = at->selected;
    size_t from = __atomic_load_n(&s->asked, __ATOMIC_RELAXED);

    while (from < s->series_count && s->series[from]->begin <= at->begin + bytes) {
        size_t to = from + 1;
        while (to < s->series_count && s->series[to]->begin < s->series[from]->begin + ASK_BYTES)
            to++;
        if (!__atomic_compare_exchange_n(&s->asked, &from, to, false, __ATOMIC_RELAXED,
                                         __ATOMIC_RELAXED))
            continue;
        ask_for(q, s, from, to);
        from = to;
    }
}

static void append_columns(ChunkColumns *to, const SampleColumns *from)
{
    SampleColumns *c = &to->columns;

    if (from->count == 0)
        return;
    chunk_columns_reserve(to, from->count, from->histograms != NULL);
    memcpy(c->t_ms + c->count, from->t_ms, from->count * sizeof *c->t_ms);
    memcpy(c->value + c->count, from->value, from->count * sizeof *c->value);
    if (c->histograms && from->histograms)
        memcpy(c->histograms + c->count, from->histograms, from->count * sizeof *c->histograms);
    else if (c->histograms)
        memset(c->histograms + c->count, 0, from->count * sizeof *c->histograms);
    chunk_columns_add_starts(to, from->start_ms, from->count);
    c->count += from->count;
}

static bool merge_read(Querier *querier, uint64_t handle, int64_t min_t_ms, int64_t max_t_ms,
                       Arena *arena, SampleColumns *ret_columns, Error *err)
{
    MergeQuerier *q = of(querier);
    const Pieces *pieces = (const Pieces *)(uintptr_t)handle;
    ChunkColumns columns = {.arena = arena};

    min_t_ms = MAX(min_t_ms, q->min_t_ms);
    max_t_ms = MIN(max_t_ms, q->max_t_ms);
    if (handle & 1)
        return q->head->read(q->head, handle >> 1, min_t_ms, max_t_ms, arena, ret_columns, err);
    ask_ahead(q, pieces, 0);
    for (size_t i = 0; i < pieces->count; i++) {
        const Piece *piece = &pieces->items[i];
        SampleColumns head;
        if (piece->block) {
            if (!block_read(piece->block, (uint32_t)piece->handle, min_t_ms, max_t_ms, &columns,
                            err))
                return false;
            continue;
        }
        if (!q->head->read(q->head, piece->handle, min_t_ms, max_t_ms, arena, &head, err))
            return false;
        append_columns(&columns, &head);
    }
    chunk_columns_merge(&columns);
    *ret_columns = columns.columns;
    return true;
}

static void gather_pieces(MergeQuerier *q, uint64_t handle, int64_t min_t_ms, int64_t max_t_ms,
                          bool only_last, ChunkBatch *batch)
{
    const Pieces *pieces = (const Pieces *)(uintptr_t)handle;

    if (handle & 1) {
        head_gather(q->head, handle >> 1, min_t_ms, max_t_ms, only_last, batch);
        return;
    }
    ask_ahead(q, pieces, 0);
    for (size_t i = 0; i < pieces->count; i++) {
        const Piece *piece = &pieces->items[i];
        if (piece->block)
            block_gather(piece->block, (uint32_t)piece->handle, min_t_ms, max_t_ms, batch);
        else
            head_gather(q->head, piece->handle, min_t_ms, max_t_ms, false, batch);
    }
}

static void look_ahead(MergeQuerier *q, const uint64_t *handles, size_t count, Arena *scratch)
{
    uint64_t *of_head = ARENA_ARRAY(scratch, uint64_t, count);
    size_t found = 0;

    for (size_t i = 0; i < count; i++)
        if (handles[i] & 1)
            of_head[found++] = handles[i] >> 1;
    if (found)
        head_look_ahead(q->head, of_head, found);
}

#define READ_BYTES_MAX ((uint64_t)4 << 20)

// A query over many blocks maps much that it does not look at again: it gives that back on the way.
static void note_read(MergeQuerier *q, uint64_t bytes)
{
    if (__atomic_add_fetch(&q->read_bytes, bytes, __ATOMIC_RELAXED) < READ_BYTES_MAX ||
        __atomic_exchange_n(&q->read_bytes, 0, __ATOMIC_RELAXED) < READ_BYTES_MAX)
        return;
    for (size_t i = 0; i < q->block_count; i++)
        block_release_chunk_pages(q->blocks[i]);
}

static bool merge_read_many(Querier *querier, const uint64_t *handles, size_t count,
                            int64_t min_t_ms, int64_t max_t_ms, bool only_last, Arena *scratch,
                            Arena *arena, SampleColumns *ret_columns, Error *err)
{
    MergeQuerier *q = of(querier);
    bool *done = ARENA_ARRAY(scratch, bool, count);
    ChunkBatch batch;

    min_t_ms = MAX(min_t_ms, q->min_t_ms);
    max_t_ms = MIN(max_t_ms, q->max_t_ms);
    chunk_batch_init(&batch, count, scratch);
    look_ahead(q, handles, count, scratch);
    for (size_t i = 0; i < count; i++) {
        chunk_batch_begin(&batch);
        gather_pieces(q, handles[i], min_t_ms, max_t_ms, only_last, &batch);
    }
    if (count && !(handles[count - 1] & 1)) // the disk works while these are decoded and used
        ask_ahead(q, (const Pieces *)(uintptr_t)handles[count - 1], AHEAD_BYTES);
    if (!chunk_batch_decode(&batch, min_t_ms, max_t_ms, arena, ret_columns, done, err))
        return false;
    note_read(q, batch.mapped_bytes);
    for (size_t i = 0; i < count; i++)
        if (!done[i] &&
            !merge_read(querier, handles[i], min_t_ms, max_t_ms, arena, &ret_columns[i], err))
            return false;
    return true;
}

static bool merge_newest(Querier *querier, uint64_t handle, int64_t min_t_ms, int64_t max_t_ms,
                         int64_t *ret_t_ms, double *ret_value, NewestKind *ret_kind, Error *err)
{
    MergeQuerier *q = of(querier);

    *ret_kind = NEWEST_UNKNOWN;
    return !(handle & 1) ||
           q->head->newest(q->head, handle >> 1, MAX(min_t_ms, q->min_t_ms),
                           MIN(max_t_ms, q->max_t_ms), ret_t_ms, ret_value, ret_kind, err);
}

// Names and values

static int compare_strs(const void *a, const void *b)
{
    return str_compare(*(const Str *)a, *(const Str *)b);
}

typedef struct Union {
    Str *items;
    size_t count;
    size_t cap;
} Union;

static void union_add(Union *all, const Str *items, size_t count, Arena *arena)
{
    if (all->count + count > all->cap) {
        size_t cap = MAX(2 * all->cap, all->count + count);
        all->items =
            (Str *)arena_grow(arena, all->items, all->cap * sizeof(Str), cap * sizeof(Str));
        all->cap = cap;
    }
    if (count)
        memcpy(all->items + all->count, items, count * sizeof(Str));
    all->count += count;
}

// As one list alone is.
static bool union_is_rising(const Union *all)
{
    for (size_t i = 1; i < all->count; i++)
        if (str_compare(all->items[i - 1], all->items[i]) >= 0)
            return false;
    return true;
}

static void union_normalize(Union *all)
{
    size_t kept = 0;

    if (union_is_rising(all))
        return;
    if (all->count)
        qsort(all->items, all->count, sizeof(Str), compare_strs);
    for (size_t i = 0; i < all->count; i++)
        if (kept == 0 || !str_equal(all->items[kept - 1], all->items[i]))
            all->items[kept++] = all->items[i];
    all->count = kept;
}

// Strings of the answer outlive the Querier: the blocks may be unmapped.
static bool union_finish(Union *all, size_t limit, Arena *arena, StrList *ret_list, Error *err)
{
    union_normalize(all);
    if (limit && all->count > limit)
        all->count = limit;
    for (size_t i = 0; i < all->count && arena_ok(arena, err); i++)
        all->items[i] = arena_str(arena, all->items[i]);
    if (!arena_ok(arena, err))
        return false;
    *ret_list = (StrList){all->items, all->count};
    return true;
}

// Symbols seen, to tell each once.
typedef struct SymbolSet {
    uint8_t *bits;
} SymbolSet;

static bool symbol_is_new(SymbolSet *set, uint32_t symbol)
{
    uint8_t mask = (uint8_t)(1u << (symbol & 7));
    bool is_new = !(set->bits[symbol >> 3] & mask);

    set->bits[symbol >> 3] |= mask;
    return is_new;
}

// Names (or, if `name` is set, values of it) of the series that match.
static bool collect_matching(Block *block, const Str *name, const Matcher *matchers, size_t count,
                             Union *all, Arena *arena, Error *err)
{
    CLEANUP(arena_deinit) Arena scratch = {.budget = arena->budget};
    CLEANUP(index_series_deinit) IndexSeries series = {.symbols = NULL};
    const IndexReader *index = block_index(block);
    IndexPostings postings;

    if (!index_reader_postings(index, matchers, count, &scratch, &postings, err))
        return false;
    size_t set_bytes = (size_t)index_reader_symbol_count(index) / 8 + 1;
    SymbolSet seen = {(uint8_t *)arena_zalloc(&scratch, set_bytes)};
    for (size_t i = 0; i < postings.count; i++) {
        if (!arena_ok(arena, err) ||
            !index_reader_series(index, postings.refs[i], INT64_MAX, INT64_MIN, &series, err))
            return false;
        for (size_t k = 0; k < series.symbol_count; k += 2) {
            uint32_t symbol = series.symbols[name ? k + 1 : k];
            Str text;
            if (name) {
                if (!index_reader_symbol(index, series.symbols[k], &text, err))
                    return false;
                if (!str_equal(text, *name))
                    continue;
            }
            if (symbol >= index_reader_symbol_count(index) || !symbol_is_new(&seen, symbol))
                continue;
            if (!index_reader_symbol(index, symbol, &text, err))
                return false;
            union_add(all, &text, 1, arena);
        }
    }
    return true;
}

static bool merge_names(Querier *querier, const Matcher *matchers, size_t count, size_t limit,
                        Arena *arena, StrList *ret_names, Error *err)
{
    MergeQuerier *q = of(querier);
    Union all = {NULL, 0, 0};
    StrList list = {NULL, 0};

    for (size_t i = 0; i < q->block_count; i++) {
        if (count ? !collect_matching(q->blocks[i], NULL, matchers, count, &all, arena, err)
                  : !index_reader_names(block_index(q->blocks[i]), arena, &list, err))
            return false;
        if (!count)
            union_add(&all, list.items, list.count, arena);
    }
    if (q->head) {
        if (!q->head->label_names(q->head, matchers, count, limit, arena, &list, err))
            return false;
        union_add(&all, list.items, list.count, arena);
    }
    return union_finish(&all, limit, arena, ret_names, err);
}

static bool merge_values(Querier *querier, Str name, const Matcher *matchers, size_t count,
                         size_t limit, Arena *arena, StrList *ret_values, Error *err)
{
    MergeQuerier *q = of(querier);
    Union all = {NULL, 0, 0};
    StrList list = {NULL, 0};

    for (size_t i = 0; i < q->block_count; i++) {
        if (count ? !collect_matching(q->blocks[i], &name, matchers, count, &all, arena, err)
                  : !index_reader_values(block_index(q->blocks[i]), name, arena, &list, err))
            return false;
        if (!count)
            union_add(&all, list.items, list.count, arena);
    }
    if (q->head) {
        if (!q->head->label_values(q->head, name, matchers, count, limit, arena, &list, err))
            return false;
        union_add(&all, list.items, list.count, arena);
    }
    return union_finish(&all, limit, arena, ret_values, err);
}

static void merge_close(Querier *querier)
{
    MergeQuerier *q = of(querier);

    for (Selected *s = q->selected, *next; s; s = next) {
        next = s->next;
        arena_deinit(&s->arena);
        free(s);
    }
    for (size_t i = 0; i < q->block_count; i++)
        block_unref(q->blocks[i]);
    if (q->head)
        q->head->close(q->head);
    free(q->blocks);
    lock_deinit(&q->lock);
    free(q);
}

Querier *merge_querier_new(Querier *head, Block *const *blocks, size_t count, int64_t min_t_ms,
                           int64_t max_t_ms)
{
    MergeQuerier *q = X_NEW(MergeQuerier);

    q->querier = (Querier){.select = merge_select,
                           .read = merge_read,
                           .newest = merge_newest,
                           .read_many = merge_read_many,
                           .label_names = merge_names,
                           .label_values = merge_values,
                           .close = merge_close};
    q->head = head;
    q->blocks = X_ARRAY(Block *, count + 1);
    for (size_t i = 0; i < count; i++)
        q->blocks[i] = block_ref(blocks[i]);
    q->block_count = count;
    q->min_t_ms = min_t_ms;
    q->max_t_ms = max_t_ms;
    lock_init(&q->lock, "merge_querier", MERGE_QUERIER_RANK);
    return &q->querier;
}
