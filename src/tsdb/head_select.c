// SPDX-License-Identifier: Apache-2.0
// Which series of the head match, and the names and values of their labels.
#include <stdlib.h>

#include "tsdb/head_internal.h"
#include "tsdb/series_order.h"

#define SELECT_BATCH 256 // series looked at under one hold of the index lock

void head_each_series(Head *head, bool (*each)(void *arg, uint64_t ref, Series *series), void *arg)
{
    CLEANUP(arena_deinit) Arena scratch = {.next = NULL};
    RefRuns runs;
    unsigned held = SERIES_STRIPES;
    bool more = true;

    rwlock_take_read(&head->index_lock);
    postings_decode(&head->index.all, &head->index.pool, &scratch, &runs);
    rwlock_give(&head->index_lock);
    for (size_t i = 0; more && i < runs.count; i++) {
        for (uint64_t k = 0; more && k < runs.runs[i].length; k++) {
            uint64_t ref = runs.runs[i].first + k;
            head_hold_stripe(head, &held, ref);
            SeriesSlot slot = series_slot(&head->index.series, ref);
            more = !slot || each(arg, ref, series_at(&head->index.series, slot));
        }
    }
    head_give_stripe(head, held);
}

int64_t head_first_time(Head *head, const Series *series, const SeriesExtra *extra)
{
    if (series->full)
        return head_full_first_time(&head->pool, series->full);
    return head_first_open_time(head, series, extra);
}

int64_t head_first_open_time(Head *head, const Series *series, const SeriesExtra *extra)
{
    if (series_flags(series) & SERIES_HAS_HISTOGRAM)
        return chunk_histogram_min_t(extra->histogram);
    if (series->chunk)
        return head_open_first_time(&head->pool, series->chunk);
    return INT64_MAX;
}

// May the Querier see a sample of it? The stripe is held. `lax`: one that begins too late counts, too, which saves a look at its chunks.
static bool may_have(HeadQuerier *q, uint64_t ref, SeriesSlot slot, Series *series, bool lax)
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
    return lax || newest <= q->max_t_ms || head_first_time(head, series, extra) <= q->max_t_ms;
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

// The next refs that have a record, which is on its way to the cache.
static size_t known_batch(const Head *head, RefWalk *walk, uint64_t *refs, SeriesSlot *slots,
                          bool *ret_more)
{
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
        __builtin_prefetch(series_at(&head->index.series, slot));
        refs[count] = ref;
        slots[count++] = slot;
    }
    return count;
}

static size_t visible_batch(HeadQuerier *q, RefWalk *walk, bool lax, uint64_t *refs,
                            SeriesSlot *slots, bool *ret_more)
{
    Head *head = q->head;
    unsigned held = SERIES_STRIPES;
    size_t known = known_batch(head, walk, refs, slots, ret_more);
    size_t count = 0;

    for (size_t i = 0; i < known; i++) {
        uint64_t ref = refs[i];
        head_hold_stripe(head, &held, ref);
        Series *series = series_at(&head->index.series, slots[i]);
        if (series_ref(series) != ref || !may_have(q, ref, slots[i], series, lax))
            continue;
        __builtin_prefetch(pool_at(&head->index.pool, series->labels));
        refs[count] = ref;
        slots[count++] = slots[i];
    }
    head_give_stripe(head, held);
    return count;
}

// Labels of the series that were found, each text of the index looked at once for all of them, so that they can be sorted quickly.
typedef struct WordList {
    SeriesOrder order;
    const SelectHints *hints; // NULL: all labels are shown
    bool sorts;
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

// With hints that ask for a few labels only.
static bool is_wanted(const SelectHints *hints, Str name)
{
    if (str_is(name, "__name__") || str_is(name, "__type__") || str_is(name, "__unit__"))
        return true;
    for (size_t i = 0; i < hints->grouping_count; i++)
        if (str_equal(hints->grouping[i], name))
            return true;
    return false;
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
    Label label = {head_index_text(index, index->names[index->pairs[pair].name].text),
                   head_index_text(index, index->pairs[pair].value)};
    order->words[order->word_count++] = (SeriesOrderWord){
        .label = label, .is_shown = !list->hints || is_wanted(list->hints, label.name)};
    return list->word_of_pair[pair] = (uint32_t)order->word_count;
}

static Labels words_labels(WordList *list, const HeadIndex *index, PoolHandle labels, Arena *arena)
{
    LabelWalk walk = head_index_walk(index, labels);
    size_t count = walk.left, shown = 0;
    size_t room = list->hints ? MIN(count, list->hints->grouping_count + 3) : count;
    Label *pairs = ARENA_ARRAY(arena, Label, room);

    if (list->sorts)
        words_make_room(list, count);
    for (size_t i = 0; i < count; i++) {
        uint32_t pair = head_index_walk_next(&walk);
        uint32_t number = list->word_of_pair[pair];
        if (!number)
            number = word_add(list, index, pair);
        const SeriesOrderWord *word = &list->order.words[number - 1];
        if (word->is_shown)
            pairs[shown++] = word->label;
        if (list->sorts)
            list->order.numbers[list->used++] = number - 1;
    }
    return (Labels){pairs, shown};
}

// They were found in the order of their refs, in which their records and chunks lie.
static void sort_list(WordList *words, SeriesList *list, Arena *arena)
{
    uint32_t *places;

    words->order.entries = list->series;
    words->order.count = list->count;
    if (words->order.starts) {
        places = ARENA_ARRAY(arena, uint32_t, list->count);
        series_order_sort(&words->order, words->scratch, places);
        list->read_order = places;
        return;
    }
    if (list->count && words->sorts)
        qsort(list->series, list->count, sizeof *list->series, compare_entries);
}

bool head_select_series(Querier *base, const Matcher *matchers, size_t count,
                        const SelectHints *hints, Arena *arena, SeriesList *ret_list, Error *err)
{
    HeadQuerier *q = CONTAINER_OF(base, HeadQuerier, querier);
    Head *head = q->head;
    HeadIndex *index = &head->index;
    CLEANUP(arena_deinit) Arena scratch = {.budget = arena->budget};
    WordList words = {.scratch = &scratch,
                      .hints = hints && hints->only_grouping && hints->by ? hints : NULL,
                      .sorts = !(hints && hints->any_order)};
    uint64_t refs[SELECT_BATCH];
    SeriesSlot slots[SELECT_BATCH];
    SeriesList list = {0};
    bool more = true;

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
    if (by_words && words.sorts)
        words.order.starts = arena_zalloc(&scratch, (runs.refs + 1) * sizeof(uint32_t));
    while (more) {
        rwlock_take_read(&head->index_lock);
        size_t found = visible_batch(q, &walk, hints && hints->may_be_empty, refs, slots, &more);
        if (by_words)
            words_know_pairs(&words, index);
        for (size_t i = 0; i < found; i++) {
            PoolHandle labels = series_at(&index->series, slots[i])->labels;
            Labels shown = by_words ? words_labels(&words, index, labels, arena)
                                    : head_index_labels(index, labels, arena);
            list.series[list.count++] = (SeriesEntry){shown, refs[i]};
            if (words.order.starts)
                words.order.starts[list.count] = (uint32_t)words.used;
        }
        rwlock_give(&head->index_lock);
        if (!arena_ok(arena, err))
            return false;
    }
    sort_list(&words, &list, arena);
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
        size_t found = visible_batch(q, &walk, false, refs, slots, &more);
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

bool head_select_names(Querier *base, const Matcher *matchers, size_t count, size_t limit,
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

bool head_select_values(Querier *base, Str name, const Matcher *matchers, size_t count,
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
        const uint32_t *sorted = head_index_sorted(index, number);
        size_t most = limit ? limit : SIZE_MAX;
        list.items = ARENA_ARRAY(arena, Str, owner->count);
        for (uint32_t i = 0; i < owner->count && list.count < most; i++)
            if (!marks || marks[sorted[i]])
                list.items[list.count++] = head_index_text(index, index->pairs[sorted[i]].value);
    }
    rwlock_give(&head->index_lock);
    arena_deinit(&scratch);
    if (!ok)
        return false;
    *ret_values = list;
    return true;
}
