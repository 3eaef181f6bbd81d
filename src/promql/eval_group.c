// SPDX-License-Identifier: Apache-2.0
#include "promql/eval_group.h"

#include <stdlib.h>

#define GROUPS_MIN 16

static int compare_strs(const void *a, const void *b)
{
    return str_compare(*(const Str *)a, *(const Str *)b);
}

void grouper_init(Grouper *g, const Expr *aggregate, Arena *arena)
{
    static const Str reserved[] = {STR("__name__"), STR("__type__"), STR("__unit__")};
    size_t own = aggregate->aggregate.grouping_count;
    size_t extra = aggregate->aggregate.without ? COUNT_OF(reserved) : 0;
    *g = (Grouper){.arena = arena,
                   .without = aggregate->aggregate.without,
                   .names = ARENA_ARRAY(arena, Str, own + extra + 1),
                   .name_count = own + extra};
    if (own)
        memcpy(g->names, aggregate->aggregate.grouping, own * sizeof(Str));
    memcpy(g->names + own, reserved, extra * sizeof(Str));
    if (g->name_count)
        qsort(g->names, g->name_count, sizeof(Str), compare_strs);
}

// The shape ----------------------------------------------------------------------------------------------------------------------

static bool has_shape(const Grouper *g, Labels labels)
{
    if (labels.count != g->shape_count || !g->shape_cap)
        return false;
    for (size_t i = 0; i < labels.count; i++)
        if (labels.pairs[i].name.ptr != g->shape[i])
            return false;
    return true;
}

// Which labels matter: names of both lists rise.
static void learn_shape(Grouper *g, Labels labels)
{
    if (labels.count > g->shape_cap || !g->shape_cap) {
        g->shape_cap = 2 * labels.count + 8;
        g->shape = ARENA_ARRAY(g->arena, const char *, g->shape_cap);
        g->picks = ARENA_ARRAY(g->arena, uint32_t, g->shape_cap);
    }
    size_t at = 0;
    g->shape_count = labels.count;
    g->pick_count = 0;
    for (size_t i = 0; i < labels.count; i++) {
        Str name = labels.pairs[i].name;
        int c = -1;
        while (at < g->name_count && (c = str_compare(g->names[at], name)) < 0)
            at++;
        bool named = at < g->name_count && c == 0;
        g->shape[i] = name.ptr;
        if (named != g->without)
            g->picks[g->pick_count++] = (uint32_t)i;
    }
}

// Groups -------------------------------------------------------------------------------------------------------------------------

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 29;
}

static uint64_t hash_places(const Grouper *g, Labels labels)
{
    uint64_t hash = g->pick_count;
    for (size_t i = 0; i < g->pick_count; i++) {
        const Label *label = &labels.pairs[g->picks[i]];
        hash = mix(mix(hash, (uintptr_t)label->name.ptr), (uintptr_t)label->value.ptr);
    }
    return hash;
}

static bool same_places(const Grouper *g, Labels group, Labels labels)
{
    if (group.count != g->pick_count)
        return false;
    for (size_t i = 0; i < group.count; i++) {
        const Label *a = &group.pairs[i], *b = &labels.pairs[g->picks[i]];
        if (a->value.ptr != b->value.ptr || a->value.len != b->value.len ||
            a->name.ptr != b->name.ptr || a->name.len != b->name.len)
            return false;
    }
    return true;
}

static bool same_texts(const Grouper *g, Labels group, Labels labels)
{
    if (group.count != g->pick_count)
        return false;
    for (size_t i = 0; i < group.count; i++) {
        const Label *a = &group.pairs[i], *b = &labels.pairs[g->picks[i]];
        if (!str_equal(a->name, b->name) || !str_equal(a->value, b->value))
            return false;
    }
    return true;
}

static void put(uint32_t *table, size_t slots, uint64_t hash, uint32_t group)
{
    size_t slot = hash & (slots - 1);
    while (table[slot])
        slot = (slot + 1) & (slots - 1);
    table[slot] = group + 1;
}

static void make_room(Grouper *g)
{
    size_t cap = g->cap ? 2 * g->cap : GROUPS_MIN;
    g->labels = arena_grow(g->arena, g->labels, g->cap * sizeof(Labels), cap * sizeof(Labels));
    g->text_hash =
        arena_grow(g->arena, g->text_hash, g->cap * sizeof(uint64_t), cap * sizeof(uint64_t));
    g->place_hash =
        arena_grow(g->arena, g->place_hash, g->cap * sizeof(uint64_t), cap * sizeof(uint64_t));
    g->cap = cap;
    g->slots = 2 * cap;
    g->by_text = arena_zalloc(g->arena, g->slots * sizeof(uint32_t));
    g->by_place = arena_zalloc(g->arena, g->slots * sizeof(uint32_t));
    for (uint32_t i = 0; i < g->count; i++) {
        put(g->by_text, g->slots, g->text_hash[i], i);
        put(g->by_place, g->slots, g->place_hash[i], i);
    }
}

static uint32_t add_group(Grouper *g, Labels labels, uint64_t text_hash, uint64_t place_hash)
{
    if (g->count == g->cap)
        make_room(g);
    uint32_t group = (uint32_t)g->count++;
    Label *pairs = ARENA_ARRAY(g->arena, Label, g->pick_count);
    for (size_t i = 0; i < g->pick_count; i++)
        pairs[i] = labels.pairs[g->picks[i]];
    g->labels[group] = (Labels){pairs, g->pick_count};
    g->text_hash[group] = text_hash;
    g->place_hash[group] = place_hash;
    put(g->by_text, g->slots, text_hash, group);
    put(g->by_place, g->slots, place_hash, group);
    return group;
}

uint32_t grouper_of(Grouper *g, Labels labels)
{
    if (!has_shape(g, labels))
        learn_shape(g, labels);
    uint64_t place_hash = hash_places(g, labels);
    size_t mask = g->slots - 1;
    for (size_t slot = place_hash & mask; g->slots && g->by_place[slot]; slot = (slot + 1) & mask)
        if (same_places(g, g->labels[g->by_place[slot] - 1], labels))
            return g->by_place[slot] - 1;
    uint64_t text_hash = g->without ? labels_hash_without(labels, g->names, g->name_count)
                                    : labels_hash_only(labels, g->names, g->name_count);
    for (size_t slot = text_hash & mask; g->slots && g->by_text[slot]; slot = (slot + 1) & mask)
        if (same_texts(g, g->labels[g->by_text[slot] - 1], labels))
            return g->by_text[slot] - 1;
    return add_group(g, labels, text_hash, place_hash);
}
