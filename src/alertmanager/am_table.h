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
    AmTableSlot *slots;
    size_t count;
    size_t cap; // power of two or 0
} AmTable;

// A zeroed table is empty.
void am_table_deinit(AmTable *table);
void *am_table_get(const AmTable *table, uint64_t key);
// Returns the value that was there before, or NULL.
void *am_table_put(AmTable *table, uint64_t key, void *value);
void *am_table_remove(AmTable *table, uint64_t key);
// for (AmTableSlot *s = NULL; (s = am_table_next(table, s));) in no particular order; do not change the table meanwhile.
AmTableSlot *am_table_next(const AmTable *table, AmTableSlot *previous);
