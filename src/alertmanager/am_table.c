// SPDX-License-Identifier: Apache-2.0
#include "alertmanager/am_table.h"

#include <stdlib.h>

static size_t home(const AmTable *table, uint64_t key)
{
    return (size_t)((key * UINT64_C(0x9E3779B97F4A7C15)) >> 20) & (table->cap - 1);
}

// The slot of the key, or the empty one where it would go.
static AmTableSlot *seek(const AmTable *table, uint64_t key)
{
    size_t at = home(table, key);
    while (table->slots[at].value && table->slots[at].key != key)
        at = (at + 1) & (table->cap - 1);
    return &table->slots[at];
}

void am_table_deinit(AmTable *table)
{
    free(table->slots);
    *table = (AmTable){0};
}

AmTableSlot *am_table_find(const AmTable *table, uint64_t key)
{
    AmTableSlot *slot = table->cap ? seek(table, key) : NULL;
    return slot && slot->value ? slot : NULL;
}

void *am_table_get(const AmTable *table, uint64_t key)
{
    return table->cap ? seek(table, key)->value : NULL;
}

// `to` is a slot of `table`; what was in it is gone.
static void move(const AmTable *table, AmTableSlot *to, const AmTable *old, const AmTableSlot *from)
{
    *to = *from;
    *am_table_mark(table, to) = *am_table_mark(old, from);
}

static void grow(AmTable *table)
{
    AmTable old = *table;
    table->cap = old.cap ? old.cap * 2 : 8;
    table->slots = x_calloc(table->cap, sizeof *table->slots + 1);
    for (size_t i = 0; i < old.cap; i++)
        if (old.slots[i].value)
            move(table, seek(table, old.slots[i].key), &old, &old.slots[i]);
    free(old.slots);
}

void *am_table_put(AmTable *table, uint64_t key, void *value)
{
    ASSERT(value);
    if ((table->count + 1) * 4 > table->cap * 3)
        grow(table);
    AmTableSlot *slot = seek(table, key);
    void *before = slot->value;
    table->count += before == NULL;
    *slot = (AmTableSlot){key, value};
    return before;
}

// Closes the gap: what was pushed past it by collisions moves back.
void *am_table_remove(AmTable *table, uint64_t key)
{
    if (table->cap == 0)
        return NULL;
    AmTableSlot *slot = seek(table, key);
    void *removed = slot->value;
    if (!removed)
        return NULL;
    size_t mask = table->cap - 1;
    size_t gap = (size_t)(slot - table->slots);
    for (size_t at = (gap + 1) & mask; table->slots[at].value; at = (at + 1) & mask) {
        size_t want = home(table, table->slots[at].key);
        if (((at - want) & mask) >= ((at - gap) & mask)) {
            move(table, &table->slots[gap], table, &table->slots[at]);
            gap = at;
        }
    }
    table->slots[gap] = (AmTableSlot){0};
    *am_table_mark(table, &table->slots[gap]) = 0;
    table->count--;
    return removed;
}

AmTableSlot *am_table_next(const AmTable *table, AmTableSlot *previous)
{
    size_t at = previous ? (size_t)(previous - table->slots) + 1 : 0;
    for (; at < table->cap; at++)
        if (table->slots[at].value)
            return &table->slots[at];
    return NULL;
}
