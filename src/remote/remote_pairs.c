// SPDX-License-Identifier: Apache-2.0
#include "remote/remote_pairs.h"

#include <stdlib.h>

#include "base/varint.h"
#include "codec/protobuf.h"

enum { SLOTS_MIN = 1024 };

void remote_pairs_deinit(RemotePairs *pairs)
{
    for (uint32_t i = REMOTE_PAIR_FIRST; i < pairs->count; i++)
        free(pairs->items[i]);
    free(pairs->items);
    free(pairs->slots);
    free(pairs->unused);
    *pairs = (RemotePairs){0};
}

static void encode(Label label, Buf *out)
{
    size_t begin = proto_begin(out, 1);
    // Even if empty, as the original writes it.
    buf_add_char(out, 1 << 3 | PROTO_BYTES);
    buf_add_uvarint(out, label.name.len);
    buf_add_str(out, label.name);
    buf_add_char(out, 2 << 3 | PROTO_BYTES);
    buf_add_uvarint(out, label.value.len);
    buf_add_str(out, label.value);
    proto_end(out, begin);
}

// Where the text stands, or the empty slot where it would.
static uint32_t find(const RemotePairs *pairs, Str text, uint32_t hash)
{
    uint32_t mask = pairs->slot_count - 1;
    for (uint32_t at = hash & mask;; at = (at + 1) & mask) {
        const RemotePair *pair = pairs->slots[at] ? pairs->items[pairs->slots[at]] : NULL;
        if (!pair || (pair->hash == hash && pair->bytes == text.len &&
                      memcmp(pair->text, text.ptr, text.len) == 0))
            return at;
    }
}

static void resize(RemotePairs *pairs, uint32_t slot_count)
{
    free(pairs->slots);
    pairs->slots = X_ARRAY(uint32_t, slot_count);
    pairs->slot_count = slot_count;
    for (uint32_t i = REMOTE_PAIR_FIRST; i < pairs->count; i++) {
        if (!pairs->items[i])
            continue;
        uint32_t at = pairs->items[i]->hash & (slot_count - 1);
        while (pairs->slots[at])
            at = (at + 1) & (slot_count - 1);
        pairs->slots[at] = i;
    }
}

static uint32_t new_number(RemotePairs *pairs)
{
    if (pairs->unused_count)
        return pairs->unused[--pairs->unused_count];
    if (pairs->count == pairs->cap) {
        pairs->cap = MAX(pairs->cap * 2, (uint32_t)SLOTS_MIN);
        pairs->items = x_realloc(pairs->items, pairs->cap * sizeof *pairs->items);
        pairs->unused = x_realloc(pairs->unused, pairs->cap * sizeof *pairs->unused);
    }
    pairs->count = MAX(pairs->count, (uint32_t)REMOTE_PAIR_FIRST);
    return pairs->count++;
}

uint32_t remote_pairs_take(RemotePairs *pairs, Label label)
{
    CLEANUP(buf_deinit) Buf text = {0};
    encode(label, &text);
    uint32_t hash = (uint32_t)str_hash(buf_str(&text));
    if ((pairs->live_count + 1) * 2 > pairs->slot_count)
        resize(pairs, MAX(pairs->slot_count * 2, (uint32_t)SLOTS_MIN));
    uint32_t at = find(pairs, buf_str(&text), hash);
    if (pairs->slots[at] == 0) {
        uint32_t number = new_number(pairs);
        RemotePair *pair = x_malloc(sizeof *pair + text.len);
        *pair = (RemotePair){
            .hash = hash, .bytes = (uint32_t)text.len, .value_bytes = (uint32_t)label.value.len};
        memcpy(pair->text, text.ptr, text.len);
        pairs->items[number] = pair;
        pairs->slots[at] = number;
        pairs->live_count++;
    }
    pairs->items[pairs->slots[at]]->users++;
    return pairs->slots[at];
}

// Empties a slot of the open addressing: what was pushed behind it moves up.
static void empty_slot(RemotePairs *pairs, uint32_t hole)
{
    uint32_t mask = pairs->slot_count - 1;
    for (uint32_t at = (hole + 1) & mask; pairs->slots[at]; at = (at + 1) & mask) {
        uint32_t home = pairs->items[pairs->slots[at]]->hash & mask;
        if (((at - home) & mask) < ((at - hole) & mask))
            continue;
        pairs->slots[hole] = pairs->slots[at];
        hole = at;
    }
    pairs->slots[hole] = 0;
}

void remote_pairs_give(RemotePairs *pairs, uint32_t number)
{
    RemotePair *pair = pairs->items[number];
    if (--pair->users)
        return;
    empty_slot(pairs, find(pairs, (Str){pair->text, pair->bytes}, pair->hash));
    free(pair);
    pairs->items[number] = NULL;
    pairs->unused[pairs->unused_count++] = number;
    pairs->live_count--;
    pairs->freed++;
}
