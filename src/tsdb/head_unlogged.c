// SPDX-License-Identifier: Apache-2.0
// Series that the log does not know yet: their records gather here and are written before the next samples.
//
// They are packed in pieces while they come. A piece fits into the core's cache and its buffer is used again and again: the first scrape of
// a target would touch half a megabyte of fresh memory otherwise.
#include <stdlib.h>

#include "tsdb/head_internal.h"

#define PIECE_BYTES 60000       // snappy looks back 64 KiB at most
#define KEEP_BYTES (256 * 1024) // of a buffer

static void pack(const Head *head, HeadUnlogged *u)
{
    RecordSpan span = {.start = u->packed.len, .raw_bytes = u->raw.len};

    span.flags = wal_compress(head->options.wal_compression, buf_str(&u->raw), &u->packed);
    span.len = u->packed.len - span.start;
    if (u->raw.cap > KEEP_BYTES)
        buf_deinit(&u->raw);
    buf_reset(&u->raw);
    if (u->count == u->cap) {
        u->cap = u->cap ? u->cap * 2 : 16;
        u->records = x_realloc(u->records, u->cap * sizeof *u->records);
    }
    u->records[u->count++] = span;
}

void head_unlogged_add(Head *head, uint64_t ref, Labels labels)
{
    lock_take(&head->unlogged_lock);
    HeadUnlogged *u = &head->unlogged;
    WalRecordWriter writer = {.out = &u->raw, .count = 1};
    if (!u->raw.len)
        (void)wal_record_begin(&u->raw, WAL_SERIES);
    wal_record_series(&writer, ref, labels);
    if (u->raw.len >= PIECE_BYTES)
        pack(head, u);
    lock_give(&head->unlogged_lock);
}

void head_unlogged_take(Head *head, HeadUnlogged *ret)
{
    *ret = (HeadUnlogged){0};
    lock_take(&head->unlogged_lock);
    HeadUnlogged *u = &head->unlogged;
    if (u->raw.len)
        pack(head, u);
    if (u->count) {
        *ret = *u;
        ret->raw = (Buf){0};
        *u = (HeadUnlogged){.raw = u->raw};
    }
    lock_give(&head->unlogged_lock);
}

void head_unlogged_give(Head *head, HeadUnlogged *taken)
{
    if (!taken->count)
        return;
    lock_take(&head->unlogged_lock);
    HeadUnlogged *u = &head->unlogged;
    if (!u->count && !u->packed.cap && taken->packed.cap <= KEEP_BYTES) {
        buf_reset(&taken->packed);
        *u = (HeadUnlogged){
            .raw = u->raw, .packed = taken->packed, .records = taken->records, .cap = taken->cap};
        *taken = (HeadUnlogged){0};
    }
    lock_give(&head->unlogged_lock);
    head_unlogged_deinit(taken);
}

void head_unlogged_put_back(Head *head, HeadUnlogged *taken)
{
    if (!taken->count)
        return;
    lock_take(&head->unlogged_lock);
    HeadUnlogged *u = &head->unlogged;
    if (taken->cap < taken->count + u->count) {
        taken->cap = taken->count + u->count;
        taken->records = x_realloc(taken->records, taken->cap * sizeof *taken->records);
    }
    for (size_t i = 0; i < u->count; i++) {
        taken->records[taken->count] = u->records[i];
        taken->records[taken->count++].start += taken->packed.len;
    }
    buf_add_str(&taken->packed, buf_str(&u->packed));
    taken->raw = u->raw;
    u->raw = (Buf){0};
    head_unlogged_deinit(u);
    *u = *taken;
    *taken = (HeadUnlogged){0};
    lock_give(&head->unlogged_lock);
}

size_t head_unlogged_bytes(Head *head)
{
    lock_take(&head->unlogged_lock);
    const HeadUnlogged *u = &head->unlogged;
    size_t bytes = u->raw.cap + u->packed.cap + u->cap * sizeof *u->records;
    lock_give(&head->unlogged_lock);
    return bytes;
}

void head_unlogged_deinit(HeadUnlogged *u)
{
    buf_deinit(&u->raw);
    buf_deinit(&u->packed);
    free(u->records);
    *u = (HeadUnlogged){0};
}
