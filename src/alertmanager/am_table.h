// SPDX-License-Identifier: Apache-2.0
// am_table.h: a hash table from a 64-bit key to a pointer. Open addressing, linear probing; keys are hashes already
// (fingerprints), so they are spread as they are. NULL is not a value.
#pragma once

#include "base/macros.h"

typedef struct AmTableSlot {
    uint64_t key;
    void *value; // NULL: an empty slot
} AmTableSlot;

typedef struct AmTable {
    AmTableSlot *slots; // and behind them a byte for each, its mark
    size_t count;
    size_t cap; // power of two or 0
} AmTable;

// A zeroed table is empty.
void am_table_deinit(AmTable *table);
void *am_table_get(const AmTable *table, uint64_t key);
// NULL: there is none.
AmTableSlot *am_table_find(const AmTable *table, uint64_t key);
// What a user keeps with a key: 0 for a new one; putting another value leaves it.
static inline uint8_t *am_table_mark(const AmTable *table, const AmTableSlot *slot)
{
    return (uint8_t *)(table->slots + table->cap) + (slot - table->slots);
}
// Returns the value that was there before, or NULL.
void *am_table_put(AmTable *table, uint64_t key, void *value);
void *am_table_remove(AmTable *table, uint64_t key);
// for (AmTableSlot *s = NULL; (s = am_table_next(table, s));) in no particular order; do not change the table meanwhile.
AmTableSlot *am_table_next(const AmTable *table, AmTableSlot *previous);
