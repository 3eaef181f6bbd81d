// SPDX-License-Identifier: Apache-2.0
#include "alertmanager/am_pair.h"

#include <stdlib.h>
#include <xxhash.h>

#include "base/lock.h"

// Open addressing with linear probing; NULL is an empty slot.
static struct {
    Lock lock; // rank 145; guards the table and all counts of references
    AmPair **slots;
    size_t count, cap;
} table = {.lock = {.mutex = PTHREAD_MUTEX_INITIALIZER, .name = "am.pairs", .rank = 145}};

static uint32_t hash_of(const Label *label)
{
    uint64_t name = XXH3_64bits(label->name.ptr, label->name.len);
    return (uint32_t)(XXH3_64bits_withSeed(label->value.ptr, label->value.len, name) >> 16);
}

static bool is_same(const AmPair *pair, const Label *label, uint32_t hash)
{
    Label known = am_pair_label(pair);
    return pair->hash == hash && str_equal(known.name, label->name) &&
           str_equal(known.value, label->value);
}

static void resize(size_t cap) REQUIRES(table.lock)
{
    AmPair **old = table.slots;
    size_t old_cap = table.cap;
    table.slots = x_calloc(cap, sizeof *table.slots);
    table.cap = cap;
    for (size_t i = 0; i < old_cap; i++) {
        if (!old[i])
            continue;
        size_t at = old[i]->hash & (cap - 1);
        while (table.slots[at])
            at = (at + 1) & (cap - 1);
        table.slots[at] = old[i];
    }
    free(old);
}

static AmPair *new_pair(const Label *label, uint32_t hash)
{
    AmPair *pair = x_malloc(sizeof *pair + label->name.len + label->value.len);
    *pair = (AmPair){1, hash, (uint32_t)label->name.len, (uint32_t)label->value.len};
    if (label->name.len)
        memcpy(pair->text, label->name.ptr, label->name.len);
    if (label->value.len)
        memcpy(pair->text + label->name.len, label->value.ptr, label->value.len);
    return pair;
}

static AmPair *take(const Label *label) REQUIRES(table.lock)
{
    uint32_t hash = hash_of(label);
    if ((table.count + 1) * 4 > table.cap * 3)
        resize(table.cap ? table.cap * 2 : 64);
    size_t at = hash & (table.cap - 1);
    for (; table.slots[at]; at = (at + 1) & (table.cap - 1)) {
        if (is_same(table.slots[at], label, hash)) {
            table.slots[at]->refs++;
            return table.slots[at];
        }
    }
    table.count++;
    return table.slots[at] = new_pair(label, hash);
}

// Closes the gap: what was pushed past it by collisions moves back.
static void remove_pair(const AmPair *pair) REQUIRES(table.lock)
{
    size_t mask = table.cap - 1;
    size_t gap = pair->hash & mask;
    while (table.slots[gap] != pair)
        gap = (gap + 1) & mask;
    for (size_t at = (gap + 1) & mask; table.slots[at]; at = (at + 1) & mask) {
        size_t home = table.slots[at]->hash & mask;
        if (((at - home) & mask) < ((at - gap) & mask))
            continue;
        table.slots[gap] = table.slots[at];
        gap = at;
    }
    table.slots[gap] = NULL;
    table.count--;
}

static void drop(AmPair *pair) REQUIRES(table.lock)
{
    if (--pair->refs)
        return;
    remove_pair(pair);
    free(pair);
}

void am_pairs_take(const Label *labels, size_t count, AmPair **ret_pairs)
{
    lock_take(&table.lock);
    for (size_t i = 0; i < count; i++)
        ret_pairs[i] = take(&labels[i]);
    lock_give(&table.lock);
}

void am_pairs_ref(AmPair *const *pairs, size_t count)
{
    lock_take(&table.lock);
    for (size_t i = 0; i < count; i++)
        pairs[i]->refs++;
    lock_give(&table.lock);
}

void am_pairs_drop(AmPair *const *pairs, size_t count)
{
    lock_take(&table.lock);
    for (size_t i = 0; i < count; i++)
        drop(pairs[i]);
    if (table.cap > 1024 && table.count * 8 < table.cap)
        resize(table.cap / 4);
    if (table.count == 0) {
        free(table.slots);
        table.slots = NULL;
        table.cap = 0;
    }
    lock_give(&table.lock);
}

size_t am_pairs_count(void)
{
    lock_take(&table.lock);
    size_t count = table.count;
    lock_give(&table.lock);
    return count;
}
