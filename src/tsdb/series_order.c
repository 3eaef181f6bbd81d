// SPDX-License-Identifier: Apache-2.0
#include "tsdb/series_order.h"

#include <stdlib.h>

#define RADIX_MIN 256 // fewer are compared

// One series under way: the words that are looked at now as one number, the place of the first of them, and the series.
typedef struct Item {
    uint64_t key;
    uint32_t at;
    uint32_t left; // words from `at` on
    uint32_t series;
} Item;

typedef struct Sorter {
    const uint32_t *ranks;
    Item *other; // as long as the items
    unsigned bits;
    unsigned words_a_key;
} Sorter;

static int compare_words(const void *a, const void *b)
{
    const SeriesOrderWord *x = *(const SeriesOrderWord *const *)a,
                          *y = *(const SeriesOrderWord *const *)b;
    int c = str_compare(x->label.name, y->label.name);
    return c ? c : str_compare(x->label.value, y->label.value);
}

static void rank_words(SeriesOrder *order, Arena *scratch)
{
    SeriesOrderWord **sorted = ARENA_ARRAY(scratch, SeriesOrderWord *, order->word_count);

    for (size_t i = 0; i < order->word_count; i++)
        sorted[i] = &order->words[i];
    if (order->word_count)
        qsort(sorted, order->word_count, sizeof *sorted, compare_words);
    for (size_t i = 0; i < order->word_count; i++)
        sorted[i]->rank = (uint32_t)i + 1;
}

// The next words of an item become its key; none is less than any.
static void load_key(const Sorter *s, Item *item)
{
    unsigned take = MIN(s->words_a_key, item->left), n = 0;
    uint64_t key = 0;

    for (; n < take; n++)
        key = key << s->bits | s->ranks[item->at + n];
    item->key = take ? key << s->bits * (s->words_a_key - take) : 0;
    item->at += take;
    item->left -= take;
}

static void insert_sort(Item *items, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        Item item = items[i];
        size_t k = i;
        for (; k > 0 && items[k - 1].key > item.key; k--)
            items[k] = items[k - 1];
        items[k] = item;
    }
}

static void merge_sort(Item *items, Item *other, size_t count)
{
    if (count <= 16) {
        insert_sort(items, count);
        return;
    }
    size_t half = count / 2, i = 0, j = half, n = 0;
    merge_sort(items, other, half);
    merge_sort(items + half, other, count - half);
    if (items[half - 1].key <= items[half].key)
        return;
    memcpy(other, items, half * sizeof *items);
    while (i < half && j < count)
        items[n++] = items[j].key < other[i].key ? items[j++] : other[i++];
    memcpy(items + n, other + i, (half - i) * sizeof *items);
}

// Byte by byte from the last on; a byte that all share is passed over.
static void radix_sort(Item *items, Item *other, size_t count)
{
    Item *from = items, *to = other;
    uint64_t differ = 0;

    for (size_t i = 1; i < count; i++)
        differ |= items[i].key ^ items[0].key;
    for (unsigned shift = 0; shift < 64; shift += 8) {
        if (!(differ >> shift & 0xff))
            continue;
        size_t starts[257] = {0};
        for (size_t i = 0; i < count; i++)
            starts[(from[i].key >> shift & 0xff) + 1]++;
        for (size_t i = 1; i < 256; i++)
            starts[i] += starts[i - 1];
        for (size_t i = 0; i < count; i++)
            to[starts[from[i].key >> shift & 0xff]++] = from[i];
        Item *swap = from;
        from = to;
        to = swap;
    }
    if (from != items)
        memcpy(items, from, count * sizeof *items);
}

// Those that are equal so far are sorted by what follows. Depth: words of a series by words of a key.
static void sort_items(const Sorter *s, Item *items, size_t count)
{
    for (size_t i = 0; i < count; i++)
        load_key(s, &items[i]);
    if (count < RADIX_MIN)
        merge_sort(items, s->other, count);
    else
        radix_sort(items, s->other, count);
    for (size_t i = 0, end; i < count; i = end) {
        for (end = i + 1; end < count && items[end].key == items[i].key; end++) {
        }
        if (end - i > 1 && items[i].key)
            sort_items(s, items + i, end - i);
    }
}

// Words that all series begin with say nothing.
static unsigned shared_words(const SeriesOrder *order)
{
    uint32_t least = UINT32_MAX;
    unsigned shared = 0;

    for (size_t i = 0; i < order->count; i++)
        least = MIN(least, order->starts[i + 1] - order->starts[i]);
    for (; shared < least; shared++)
        for (size_t i = 1; i < order->count; i++)
            if (order->numbers[order->starts[i] + shared] != order->numbers[shared])
                return shared;
    return shared;
}

void series_order_sort(SeriesOrder *order, Arena *scratch, uint32_t *ret_places)
{
    if (order->count < 2) {
        memset(ret_places, 0, order->count * sizeof *ret_places);
        return;
    }
    unsigned shared = shared_words(order), bits = 1;
    rank_words(order, scratch);
    while (order->word_count >> bits)
        bits++;
    Sorter sorter = {order->numbers, ARENA_ARRAY(scratch, Item, order->count), bits, 64 / bits};
    Item *items = ARENA_ARRAY(scratch, Item, order->count);
    for (uint32_t k = 0; k < order->starts[order->count]; k++)
        order->numbers[k] = order->words[order->numbers[k]].rank;
    for (size_t i = 0; i < order->count; i++) {
        uint32_t at = order->starts[i] + shared;
        items[i] = (Item){0, at, order->starts[i + 1] - at, (uint32_t)i};
    }
    sort_items(&sorter, items, order->count);

    SeriesEntry *sorted = ARENA_ARRAY(scratch, SeriesEntry, order->count);
    for (size_t i = 0; i < order->count; i++) {
        sorted[i] = order->entries[items[i].series];
        ret_places[items[i].series] = (uint32_t)i;
    }
    memcpy(order->entries, sorted, order->count * sizeof *sorted);
}
