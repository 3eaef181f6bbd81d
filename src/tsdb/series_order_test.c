// SPDX-License-Identifier: Apache-2.0
#include "tsdb/series_order.h"

#include "base/test.h"

// Names and values that begin alike, so that order hangs on later words, on lengths and on numbers of labels.
static Label word(Arena *arena, unsigned name, unsigned value)
{
    return (Label){arena_printf(arena, "n%u", name), arena_printf(arena, "v%u", value)};
}

typedef struct Rig {
    Arena arena;
    SeriesOrder order;
} Rig;

// `count` series of different labels: the digits of a number in base `values`, digit 0 being no label.
static void rig_make(Rig *rig, size_t count, unsigned values, unsigned names)
{
    SeriesOrder *order = &rig->order;
    uint32_t *number = order->numbers = ARENA_ARRAY(&rig->arena, uint32_t, count * names);

    order->words = ARENA_ARRAY(&rig->arena, SeriesOrderWord, values * names);
    for (unsigned n = 0; n < names; n++)
        for (unsigned v = 0; v < values; v++)
            order->words[order->word_count++].label = word(&rig->arena, n, v);
    order->entries = ARENA_ARRAY(&rig->arena, SeriesEntry, count);
    order->starts = ARENA_ARRAY(&rig->arena, uint32_t, count + 1);
    order->starts[0] = 0;
    order->count = count;
    for (size_t i = 0; i < count; i++) {
        // Spread out, so that neighbours differ much.
        uint64_t rest = (uint64_t)i * 7919 % count;
        Label *pairs = ARENA_ARRAY(&rig->arena, Label, names);
        size_t labels = 0;
        for (unsigned n = 0; n < names; n++, rest /= values) {
            if (rest % values == 0)
                continue;
            uint32_t at = n * values + (uint32_t)(rest % values);
            pairs[labels++] = order->words[at].label;
            *number++ = at;
        }
        order->entries[i] = (SeriesEntry){{pairs, labels}, i};
        order->starts[i + 1] = order->starts[i] + (uint32_t)labels;
    }
}

static void check_sorted(const Rig *rig)
{
    for (size_t i = 1; i < rig->order.count; i++)
        CHECK(labels_compare(rig->order.entries[i - 1].labels, rig->order.entries[i].labels) < 0);
}

TEST(series_order, sorts_few_and_many_series_by_their_labels)
{
    static const struct {
        size_t count;
        unsigned values, names;
    } cases[] = {{0, 2, 1},     {1, 2, 1},     {2, 3, 2},      {16, 4, 5},
                 {255, 3, 12},  {257, 17, 4},  {1000, 2, 14},  {5000, 5, 9},
                 {5000, 71, 3}, {4099, 3, 20}, {3001, 300, 2}, {2003, 1500, 2}};

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        Rig rig = {.order = {.count = 0}};
        Arena scratch = {0};
        rig_make(&rig, cases[i].count, cases[i].values, cases[i].names);
        uint32_t *places = ARENA_ARRAY(&scratch, uint32_t, cases[i].count);
        series_order_sort(&rig.order, &scratch, places);
        check_sorted(&rig);
        for (size_t k = 0; k < cases[i].count; k++)
            CHECK_EQ(rig.order.entries[places[k]].handle, k);
        arena_deinit(&scratch);
        arena_deinit(&rig.arena);
    }
}

TEST(series_order, leaves_out_what_all_series_begin_with)
{
    Rig rig = {.order = {.count = 0}};
    Arena scratch = {0};

    rig_make(&rig, 600, 25, 2);
    // The same first label before all: n0 stands before n1 and n2.
    SeriesOrder *order = &rig.order;
    uint32_t *numbers = ARENA_ARRAY(&rig.arena, uint32_t, 3 * order->count), *to = numbers;
    order->words = arena_grow(&rig.arena, order->words, 50 * sizeof(SeriesOrderWord),
                              51 * sizeof(SeriesOrderWord));
    order->words[50].label = (Label){S("a"), S("same")};
    order->word_count = 51;
    const uint32_t *from = order->numbers;
    for (size_t i = 0; i < order->count; i++) {
        Labels *labels = &order->entries[i].labels;
        Label *pairs = ARENA_ARRAY(&rig.arena, Label, labels->count + 1);
        pairs[0] = order->words[50].label;
        *to++ = 50;
        for (size_t k = 0; k < labels->count; k++) {
            pairs[k + 1] = labels->pairs[k];
            *to++ = *from++;
        }
        *labels = (Labels){pairs, labels->count + 1};
        order->starts[i + 1] = (uint32_t)(to - numbers);
    }
    order->numbers = numbers;
    series_order_sort(order, &scratch, ARENA_ARRAY(&scratch, uint32_t, order->count));
    check_sorted(&rig);
    arena_deinit(&scratch);
    arena_deinit(&rig.arena);
}

TEST_MAIN(series_order, TEST_ROW(series_order, sorts_few_and_many_series_by_their_labels),
          TEST_ROW(series_order, leaves_out_what_all_series_begin_with))
