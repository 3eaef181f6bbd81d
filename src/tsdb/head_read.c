// SPDX-License-Identifier: Apache-2.0
// Queriers of the head.
#include <stdlib.h>

#include "tsdb/head_internal.h"
#include "tsdb/series_order.h"

#define SELECT_BATCH 256 // series looked at under one hold of the index lock

// --- epochs and waiting ---

void head_read_epochs(Head *head, uint64_t *ret_oldest, uint64_t *ret_newest)
{
    uint64_t oldest = UINT64_MAX;
    uint64_t newest = 0;

    lock_take(&head->readers_lock);
    for (HeadQuerier *q = head->readers; q; q = q->next) {
        oldest = MIN(oldest, q->epoch);
        newest = MAX(newest, q->epoch);
    }
    lock_give(&head->readers_lock);
    *ret_oldest = oldest;
    *ret_newest = newest;
}

void head_read_wait(Head *head, uint64_t number, int64_t t_ms)
{
    lock_take(&head->readers_lock);
    for (;;) {
        bool wait = false;
        for (HeadQuerier *q = head->readers; q && !wait; q = q->next)
            wait = q->number <= number && q->min_t_ms < t_ms;
        if (!wait)
            break;
        condition_wait(&head->reader_closed, &head->readers_lock);
    }
    lock_give(&head->readers_lock);
}

// --- one series ---

static void copy_late(const SeriesExtra *extra, uint64_t epoch, Arena *arena, SeriesView *view)
{
    view->late = ARENA_ARRAY(arena, OutOfOrderSample, extra->buffer_count);
    for (uint32_t i = 0; i < extra->buffer_count; i++) {
        OutOfOrderSample s = extra->buffer[i];
        if (epoch != UINT64_MAX && (int32_t)(s.epoch - (uint32_t)epoch) > 0)
            continue;
        if (s.histogram)
            s.histogram = histogram_copy(arena, s.histogram);
        view->late[view->late_count++] = s;
    }
    view->late_chunk_count = extra->chunk_count;
    view->late_chunks = ARENA_ARRAY(arena, OutOfOrderChunk, extra->chunk_count);
    if (extra->chunk_count)
        memcpy(view->late_chunks, extra->chunks, extra->chunk_count * sizeof *extra->chunks);
    view->deleted_count = extra->deleted.count;
    view->deleted = ARENA_ARRAY(arena, Interval, extra->deleted.count);
    if (extra->deleted.count)
        memcpy(view->deleted, extra->deleted.items, extra->deleted.count * sizeof(Interval));
}

// Decoders read whole words: a few readable bytes behind the end.
static Str copy_bytes(Arena *arena, const void *bytes, size_t len)
{
    char *copy = arena_alloc(arena, len + 16);
    memcpy(copy, bytes, len);
    memset(copy + len, 0, 16);
    return (Str){copy, len};
}

static Str copy_open(Head *head, const Series *series, Arena *arena)
{
    size_t len = head_open_bytes(&head->pool, series->chunk, &series->xor_state);
    uint8_t *copy = arena_alloc(arena, len + 16);

    head_open_copy(&head->pool, series->chunk, &series->xor_state, len, copy);
    memset(copy + len, 0, 16);
    return (Str){(const char *)copy, len};
}

// The in-order chunks that may have something in the range.
static void copy_chunks(Head *head, const Series *series, const SeriesExtra *extra,
                        int64_t min_t_ms, int64_t max_t_ms, Arena *arena, SeriesView *view)
{
    unsigned flags = series_flags(series);
    int64_t last_ms = INT64_MIN; // of the full chunks: the open one begins later

    view->full = ARENA_ARRAY(arena, FullChunk, head_full_count(&head->pool, series->full));
    view->full_count =
        head_full_overlapping(&head->pool, series->full, min_t_ms, max_t_ms, view->full, &last_ms);
    if (last_ms >= max_t_ms)
        return;
    if (flags & SERIES_HAS_HISTOGRAM) {
        Str bytes = chunk_histogram_str(extra->histogram);
        view->open_encoding = chunk_histogram_encoding(extra->histogram);
        view->open = copy_bytes(arena, bytes.ptr, bytes.len);
    } else if (series->chunk) {
        view->open_encoding = CHUNK_XOR;
        view->open = copy_open(head, series, arena);
    }
    if (flags & SERIES_HAS_STARTS) {
        view->start_count = extra->start_count;
        view->starts = ARENA_ARRAY(arena, StartRun, extra->start_count);
        memcpy(view->starts, extra->starts, extra->start_count * sizeof *extra->starts);
    }
}

static void copy_series(Head *head, uint64_t ref, SeriesSlot slot, Series *series, uint64_t epoch,
                        int64_t min_t_ms, int64_t max_t_ms, Arena *arena, SeriesView *view)
{
    unsigned flags = series_flags(series);
    SeriesExtra *extra = head_extra(head, ref, series, false);

    *view = (SeriesView){.visible_t = INT64_MIN};
    if (flags & SERIES_HAS_SAMPLES)
        view->visible_t = epoch == UINT64_MAX ? series->xor_state.t_ms
                                              : head_undo_time(&head->undo, slot, series, epoch);
    if (view->visible_t != INT64_MIN && view->visible_t >= min_t_ms)
        copy_chunks(head, series, extra, min_t_ms, max_t_ms, arena, view);
    if (extra)
        copy_late(extra, epoch, arena, view);
}

bool head_read_view(Head *head, uint64_t ref, uint64_t epoch, int64_t min_t_ms, int64_t max_t_ms,
                    Arena *arena, SeriesView *ret_view)
{
    SeriesSlot slot = series_slot(&head->index.series, ref);

    if (!slot)
        return false;
    Series *series = series_at(&head->index.series, slot);
    Lock *stripe = &head->stripes[series_stripe(ref)];
    lock_take(stripe);
    bool ok = series_ref(series) == ref;
    if (ok)
        copy_series(head, ref, slot, series, epoch, min_t_ms, max_t_ms, arena, ret_view);
    lock_give(stripe);
    if (ok && ret_view->start_count)
        head_starts_weave(ret_view->starts, ret_view->start_count, arena, &ret_view->open_encoding,
                          &ret_view->open);
    return ok;
}

static bool read_chunk(Head *head, const HeadChunkPins *pins, HeadChunkRef ref, int64_t min_t_ms,
                       int64_t max_t_ms, ChunkColumns *columns, Error *err)
{
    HeadChunkView chunk;

    if (!head_chunks_read(head->chunks, pins, ref, &chunk, err))
        return false;
    bool ok =
        chunk_decode(chunk.chunk.encoding, chunk.chunk.bytes, min_t_ms, max_t_ms, columns, err);
    head_chunks_release(&chunk);
    return ok;
}

bool head_read_in_order(Head *head, const HeadChunkPins *pins, const SeriesView *view,
                        int64_t min_t_ms, int64_t max_t_ms, ChunkColumns *columns, Error *err)
{
    int64_t max_t = MIN(max_t_ms, view->visible_t);

    if (view->visible_t == INT64_MIN || min_t_ms > max_t)
        return true;
    for (size_t i = 0; i < view->full_count; i++) {
        FullChunk full = view->full[i];
        if (full.max_t_ms < min_t_ms || full.min_t_ms > max_t)
            continue;
        if (!read_chunk(head, pins, full.ref, min_t_ms, max_t, columns, err) ||
            !arena_ok(columns->arena, err))
            return false;
    }
    return !view->open.len ||
           chunk_decode(view->open_encoding, view->open, min_t_ms, max_t, columns, err);
}

static void add_late(const OutOfOrderSample *s, ChunkColumns *columns)
{
    bool with_histograms = s->histogram || columns->columns.histograms;

    chunk_columns_reserve(columns, 1, with_histograms);
    SampleColumns *c = &columns->columns;
    c->t_ms[c->count] = s->t_ms;
    c->value[c->count] = s->value;
    if (c->histograms)
        c->histograms[c->count] = s->histogram;
    chunk_columns_add_starts(columns, &s->start_ms, 1);
    c->count++;
}

bool head_read_late(Head *head, const HeadChunkPins *pins, const SeriesView *view, int64_t min_t_ms,
                    int64_t max_t_ms, ChunkColumns *columns, Error *err)
{
    for (size_t i = 0; i < view->late_chunk_count; i++) {
        OutOfOrderChunk chunk = view->late_chunks[i];
        if (chunk.max_t_ms < min_t_ms || chunk.min_t_ms > max_t_ms)
            continue;
        if (!read_chunk(head, pins, chunk.ref, min_t_ms, max_t_ms, columns, err) ||
            !arena_ok(columns->arena, err))
            return false;
    }
    for (size_t i = 0; i < view->late_count; i++)
        if (view->late[i].t_ms >= min_t_ms && view->late[i].t_ms <= max_t_ms)
            add_late(&view->late[i], columns);
    return true;
}

void head_read_drop_deleted(const SeriesView *view, SampleColumns *columns)
{
    size_t kept = 0;
    size_t next = 0;

    if (!view->deleted_count)
        return;
    for (size_t i = 0; i < columns->count; i++) {
        int64_t t = columns->t_ms[i];
        while (next < view->deleted_count && view->deleted[next].max_t_ms < t)
            next++;
        if (next < view->deleted_count && view->deleted[next].min_t_ms <= t)
            continue;
        sample_columns_move(columns, kept++, i);
    }
    columns->count = kept;
}

static bool read_series(Querier *base, uint64_t handle, int64_t min_t_ms, int64_t max_t_ms,
                        Arena *arena, SampleColumns *ret_columns, Error *err)
{
    HeadQuerier *q = CONTAINER_OF(base, HeadQuerier, querier);
    ChunkColumns columns = {.arena = arena};
    int64_t min_t = MAX(min_t_ms, q->min_t_ms);
    int64_t max_t = MIN(max_t_ms, q->max_t_ms);
    SeriesView view;

    *ret_columns = (SampleColumns){0};
    if (min_t > max_t || !head_read_view(q->head, handle, q->epoch, min_t, max_t, arena, &view))
        return true;
    if (!head_read_in_order(q->head, &q->pins, &view, MAX(min_t, q->floor_t_ms), max_t, &columns,
                            err) ||
        !head_read_late(q->head, &q->pins, &view, min_t, max_t, &columns, err))
        return false;
    if (view.late_count || view.late_chunk_count)
        chunk_columns_merge(&columns);
    head_read_drop_deleted(&view, &columns.columns);
    *ret_columns = columns.columns;
    return true;
}

// --- which series ---

int64_t head_first_time(Head *head, const Series *series, const SeriesExtra *extra)
{
    if (series->full)
        return head_full_first_time(&head->pool, series->full);
    if (series_flags(series) & SERIES_HAS_HISTOGRAM)
        return chunk_histogram_min_t(extra->histogram);
    if (series->chunk)
        return head_open_first_time(&head->pool, series->chunk);
    return INT64_MAX;
}

// May the Querier see a sample of it? The stripe is held.
static bool may_have(HeadQuerier *q, uint64_t ref, SeriesSlot slot, Series *series)
{
    Head *head = q->head;
    SeriesExtra *extra = head_extra(head, ref, series, false);

    if (extra) {
        if (extra->buffer_count && extra->buffer[0].t_ms <= q->max_t_ms &&
            extra->buffer[extra->buffer_count - 1].t_ms >= q->min_t_ms)
            return true;
        for (uint32_t i = 0; i < extra->chunk_count; i++)
            if (extra->chunks[i].min_t_ms <= q->max_t_ms &&
                extra->chunks[i].max_t_ms >= q->min_t_ms)
                return true;
    }
    if (!(series_flags(series) & SERIES_HAS_SAMPLES))
        return false;
    int64_t newest = head_undo_time(&head->undo, slot, series, q->epoch);
    if (newest == INT64_MIN || newest < MAX(q->min_t_ms, q->floor_t_ms))
        return false;
    return newest <= q->max_t_ms || head_first_time(head, series, extra) <= q->max_t_ms;
}

// One string found at one place is one string: the texts are interned.
static int compare_str(Str a, Str b)
{
    return a.ptr == b.ptr && a.len == b.len ? 0 : str_compare(a, b);
}

static int compare_entries(const void *a, const void *b)
{
    Labels x = ((const SeriesEntry *)a)->labels;
    Labels y = ((const SeriesEntry *)b)->labels;
    size_t count = MIN(x.count, y.count);

    for (size_t i = 0; i < count; i++) {
        int order = compare_str(x.pairs[i].name, y.pairs[i].name);
        if (!order)
            order = compare_str(x.pairs[i].value, y.pairs[i].value);
        if (order)
            return order;
    }
    return (x.count > y.count) - (x.count < y.count);
}

// Walks the refs in batches; the index lock is held for reading during each.
typedef struct RefWalk {
    const RefRuns *runs;
    size_t run;
    uint64_t offset;
} RefWalk;

static uint64_t next_ref(RefWalk *walk)
{
    if (walk->run == walk->runs->count)
        return 0;
    uint64_t ref = walk->runs->runs[walk->run].first + walk->offset;
    if (++walk->offset == walk->runs->runs[walk->run].length) {
        walk->run++;
        walk->offset = 0;
    }
    return ref;
}

static size_t visible_batch(HeadQuerier *q, RefWalk *walk, uint64_t *refs, SeriesSlot *slots,
                            bool *ret_more)
{
    Head *head = q->head;
    unsigned held = SERIES_STRIPES;
    size_t count = 0;

    *ret_more = true;
    for (size_t i = 0; i < SELECT_BATCH; i++) {
        uint64_t ref = next_ref(walk);
        if (!ref) {
            *ret_more = false;
            break;
        }
        SeriesSlot slot = series_slot(&head->index.series, ref);
        if (!slot)
            continue;
        head_hold_stripe(head, &held, ref);
        Series *series = series_at(&head->index.series, slot);
        if (series_ref(series) != ref || !may_have(q, ref, slot, series))
            continue;
        refs[count] = ref;
        slots[count++] = slot;
    }
    head_give_stripe(head, held);
    return count;
}

// Labels of the series that were found, each text of the index looked at once for all of them, so that they can be sorted quickly.
typedef struct WordList {
    SeriesOrder order;
    uint32_t word_cap;
    uint32_t *word_of_pair; // plus one; 0: not met yet
    uint32_t pair_cap;
    size_t used; // of order.numbers
    size_t number_cap;
    Arena *scratch;
} WordList;

#define WORDS_SERIES_MIN 64 // fewer are sorted by their texts,
#define WORDS_PAIRS_MAX 256 // and so are those that are few against all pairs there are

// The index may have grown since the last batch.
static void words_know_pairs(WordList *list, const HeadIndex *index)
{
    if (list->pair_cap >= index->pair_count)
        return;
    uint32_t cap = index->pair_count + index->pair_count / 8;
    uint32_t *grown = arena_zalloc(list->scratch, cap * sizeof(uint32_t));
    if (list->pair_cap)
        memcpy(grown, list->word_of_pair, list->pair_cap * sizeof(uint32_t));
    list->word_of_pair = grown;
    list->pair_cap = cap;
}

static void words_make_room(WordList *list, size_t numbers)
{
    if (list->number_cap - list->used >= numbers)
        return;
    size_t cap = MAX(2 * list->number_cap, list->used + numbers + 4096);
    list->order.numbers = arena_grow(list->scratch, list->order.numbers,
                                     list->number_cap * sizeof(uint32_t), cap * sizeof(uint32_t));
    list->number_cap = cap;
}

static uint32_t word_add(WordList *list, const HeadIndex *index, uint32_t pair)
{
    SeriesOrder *order = &list->order;

    if (order->word_count == list->word_cap) {
        uint32_t cap = list->word_cap ? 2 * list->word_cap : 256;
        order->words =
            arena_grow(list->scratch, order->words, list->word_cap * sizeof *order->words,
                       cap * sizeof *order->words);
        list->word_cap = cap;
    }
    order->words[order->word_count++].label =
        (Label){head_index_text(index, index->names[index->pairs[pair].name].text),
                head_index_text(index, index->pairs[pair].value)};
    return list->word_of_pair[pair] = (uint32_t)order->word_count;
}

static Labels words_labels(WordList *list, const HeadIndex *index, PoolHandle labels, Arena *arena)
{
    LabelWalk walk = head_index_walk(index, labels);
    size_t count = walk.left;
    Label *pairs = ARENA_ARRAY(arena, Label, count);

    words_make_room(list, count);
    for (size_t i = 0; i < count; i++) {
        uint32_t pair = head_index_walk_next(&walk);
        uint32_t word = list->word_of_pair[pair];
        if (!word)
            word = word_add(list, index, pair);
        pairs[i] = list->order.words[word - 1].label;
        list->order.numbers[list->used++] = word - 1;
    }
    return (Labels){pairs, count};
}

static void sort_list(WordList *words, SeriesList *list)
{
    words->order.entries = list->series;
    words->order.count = list->count;
    if (words->pair_cap)
        series_order_sort(&words->order, words->scratch);
    else if (list->count)
        qsort(list->series, list->count, sizeof *list->series, compare_entries);
}

static bool select_series(Querier *base, const Matcher *matchers, size_t count,
                          const SelectHints *hints, Arena *arena, SeriesList *ret_list, Error *err)
{
    HeadQuerier *q = CONTAINER_OF(base, HeadQuerier, querier);
    Head *head = q->head;
    HeadIndex *index = &head->index;
    CLEANUP(arena_deinit) Arena scratch = {.budget = arena->budget};
    WordList words = {.scratch = &scratch};
    uint64_t refs[SELECT_BATCH];
    SeriesSlot slots[SELECT_BATCH];
    SeriesList list = {0};
    bool more = true;

    (void)hints;
    rwlock_take_read(&head->index_lock);
    RefRuns runs = head_index_match(index, matchers, count, &scratch);
    bool by_words =
        runs.refs >= WORDS_SERIES_MIN && index->pair_count / WORDS_PAIRS_MAX <= runs.refs;
    rwlock_give(&head->index_lock);
    RefWalk walk = {&runs, 0, 0};
    if (!arena_ok(&scratch, err) ||
        !arena_reserve(arena, runs.refs * sizeof(SeriesEntry) + ARENA_ALIGN, err))
        return false;
    list.series = ARENA_ARRAY(arena, SeriesEntry, runs.refs);
    while (more) {
        rwlock_take_read(&head->index_lock);
        size_t found = visible_batch(q, &walk, refs, slots, &more);
        if (by_words)
            words_know_pairs(&words, index);
        for (size_t i = 0; i < found; i++) {
            PoolHandle labels = series_at(&index->series, slots[i])->labels;
            list.series[list.count++] =
                (SeriesEntry){by_words ? words_labels(&words, index, labels, arena)
                                       : head_index_labels(index, labels, arena),
                              refs[i]};
        }
        rwlock_give(&head->index_lock);
        if (!arena_ok(arena, err))
            return false;
    }
    sort_list(&words, &list);
    *ret_list = list;
    return arena_ok(&scratch, err);
}

// --- names and values ---

static int compare_strs(const void *a, const void *b)
{
    return str_compare(*(const Str *)a, *(const Str *)b);
}

static void finish_list(StrList *list, size_t limit)
{
    size_t kept = 0;

    if (list->count)
        qsort(list->items, list->count, sizeof *list->items, compare_strs);
    for (size_t i = 0; i < list->count; i++)
        if (!kept || !str_equal(list->items[kept - 1], list->items[i]))
            list->items[kept++] = list->items[i];
    list->count = limit ? MIN(kept, limit) : kept;
}

// Marks the pairs of the matching series; index_lock is held.
static uint8_t *mark_pairs(HeadQuerier *q, const Matcher *matchers, size_t count, Arena *scratch)
{
    HeadIndex *index = &q->head->index;
    RefRuns runs = head_index_match(index, matchers, count, scratch);
    RefWalk walk = {&runs, 0, 0};
    uint8_t *marks = arena_zalloc(scratch, index->pair_count);
    uint64_t refs[SELECT_BATCH];
    SeriesSlot slots[SELECT_BATCH];
    bool more = true;

    while (more) {
        size_t found = visible_batch(q, &walk, refs, slots, &more);
        for (size_t i = 0; i < found; i++) {
            LabelWalk labels = head_index_walk(index, series_at(&index->series, slots[i])->labels);
            for (uint32_t pair; (pair = head_index_walk_next(&labels));)
                marks[pair] = 1;
        }
    }
    return marks;
}

// Names and values are not kept by time: they are told when the view meets the head's time at all, as the original does.
static bool meets_head(const HeadQuerier *q)
{
    int64_t min_t_ms;
    int64_t max_t_ms;
    return head_time_range_all(q->head, &min_t_ms, &max_t_ms) && q->min_t_ms <= max_t_ms &&
           q->max_t_ms >= min_t_ms;
}

static bool label_names(Querier *base, const Matcher *matchers, size_t count, size_t limit,
                        Arena *arena, StrList *ret_names, Error *err)
{
    HeadQuerier *q = CONTAINER_OF(base, HeadQuerier, querier);
    Head *head = q->head;
    HeadIndex *index = &head->index;
    Arena scratch = {.budget = arena->budget};

    if (!meets_head(q)) {
        *ret_names = (StrList){0};
        return true;
    }
    rwlock_take_read(&head->index_lock);
    StrList list = {ARENA_ARRAY(arena, Str, index->name_count), 0};
    uint8_t *marks = count ? mark_pairs(q, matchers, count, &scratch) : NULL;
    for (uint32_t n = 1; n < index->name_count; n++) {
        const LabelName *name = &index->names[n];
        bool wanted = !marks && name->count > 0;
        for (uint32_t i = 0; marks && i < name->count && !wanted; i++)
            wanted = marks[name->pairs[i]];
        if (wanted)
            list.items[list.count++] = head_index_text(index, name->text);
    }
    rwlock_give(&head->index_lock);
    arena_deinit(&scratch);
    if (!arena_ok(arena, err))
        return false;
    finish_list(&list, limit);
    *ret_names = list;
    return true;
}

static bool label_values(Querier *base, Str name, const Matcher *matchers, size_t count,
                         size_t limit, Arena *arena, StrList *ret_values, Error *err)
{
    HeadQuerier *q = CONTAINER_OF(base, HeadQuerier, querier);
    Head *head = q->head;
    HeadIndex *index = &head->index;
    Arena scratch = {.budget = arena->budget};
    StrList list = {0};

    if (!meets_head(q)) {
        *ret_values = list;
        return true;
    }
    rwlock_take_read(&head->index_lock);
    uint32_t number = head_index_name(index, name);
    bool ok = !number ||
              arena_reserve(arena, index->names[number].count * sizeof(Str) + ARENA_ALIGN, err);
    if (number && ok) {
        const LabelName *owner = &index->names[number];
        uint8_t *marks = count ? mark_pairs(q, matchers, count, &scratch) : NULL;
        list.items = ARENA_ARRAY(arena, Str, owner->count);
        for (uint32_t i = 0; i < owner->count; i++)
            if (!marks || marks[owner->pairs[i]])
                list.items[list.count++] =
                    head_index_text(index, index->pairs[owner->pairs[i]].value);
    }
    rwlock_give(&head->index_lock);
    arena_deinit(&scratch);
    if (!ok)
        return false;
    finish_list(&list, limit);
    *ret_values = list;
    return true;
}

// --- life ---

static void close_querier(Querier *base)
{
    HeadQuerier *q = CONTAINER_OF(base, HeadQuerier, querier);
    Head *head = q->head;

    lock_take(&head->readers_lock);
    if (q->previous)
        q->previous->next = q->next;
    else
        head->readers = q->next;
    if (q->next)
        q->next->previous = q->previous;
    head->open_queriers--;
    condition_broadcast(&head->reader_closed);
    lock_give(&head->readers_lock);
    head_chunks_unpin(&q->pins);
    free(q);
}

bool head_read_open(Source *source, int64_t min_t_ms, int64_t max_t_ms, Querier **ret_querier,
                    Error *err)
{
    Head *head = CONTAINER_OF(source, Head, source);
    HeadQuerier *q = X_NEW(HeadQuerier);

    (void)err;
    *q = (HeadQuerier){
        .querier = {select_series, read_series, label_names, label_values, close_querier},
        .head = head,
        .min_t_ms = min_t_ms,
        .max_t_ms = max_t_ms};
    lock_take(&head->apply_lock);
    lock_take(&head->readers_lock);
    q->epoch = head->epoch;
    q->floor_t_ms = GET(head->floor_t);
    q->number = ++head->reader_number;
    q->next = head->readers;
    if (q->next)
        q->next->previous = q;
    head->readers = q;
    head->open_queriers++;
    lock_give(&head->readers_lock);
    lock_give(&head->apply_lock);
    head_chunks_pin(head->chunks, &q->pins);
    *ret_querier = &q->querier;
    return true;
}
