// SPDX-License-Identifier: Apache-2.0
#include "tsdb/postings.h"

static size_t put_uvarint(uint8_t *at, uint64_t value)
{
    size_t len = 0;
    while (value >= 0x80) {
        at[len++] = (uint8_t)value | 0x80;
        value >>= 7;
    }
    at[len++] = (uint8_t)value;
    return len;
}

static uint64_t get_uvarint(const uint8_t **at)
{
    uint64_t value = 0;
    unsigned shift = 0;
    uint8_t byte;
    do {
        byte = *(*at)++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        shift += 7;
    } while (byte & 0x80);
    return value;
}

static void seal(Postings *p, Pool *pool)
{
    uint8_t code[20];
    uint64_t gap = p->first - p->sealed;
    size_t len = put_uvarint(code, gap << 1 | (p->length > 1));

    if (p->length > 1)
        len += put_uvarint(code + len, p->length - 2);
    if (!p->bytes || p->used + len > pool_size(pool, p->bytes)) {
        uint32_t want = MAX((uint32_t)(p->used + len), p->used + p->used / 4);
        p->bytes = pool_grow(pool, p->bytes, p->used, want);
    }
    memcpy(pool_at(pool, p->bytes) + p->used, code, len);
    p->used += (uint32_t)len;
    p->sealed = p->first + p->length;
}

void postings_add(Postings *p, Pool *pool, uint64_t ref)
{
    p->count++;
    if (p->length && ref == p->first + p->length && p->length < UINT32_MAX) {
        p->length++;
        return;
    }
    if (p->length)
        seal(p, pool);
    p->first = ref;
    p->length = 1;
}

void postings_clear(Postings *p, Pool *pool)
{
    pool_free(pool, p->bytes);
    *p = (Postings){0};
}

void ref_runs_add(RefRuns *runs, Arena *arena, uint64_t first, uint64_t length)
{
    runs->refs += length;
    if (runs->count &&
        runs->runs[runs->count - 1].first + runs->runs[runs->count - 1].length == first) {
        runs->runs[runs->count - 1].length += length;
        return;
    }
    if (runs->count == runs->cap) {
        size_t cap = runs->cap ? runs->cap * 2 : 8;
        runs->runs =
            arena_grow(arena, runs->runs, runs->cap * sizeof(RefRun), cap * sizeof(RefRun));
        runs->cap = cap;
    }
    runs->runs[runs->count++] = (RefRun){first, length};
}

void postings_decode(const Postings *p, const Pool *pool, Arena *arena, RefRuns *ret_runs)
{
    RefRuns runs = {0};
    uint64_t end = 0;

    if (p->used) {
        const uint8_t *at = pool_at(pool, p->bytes);
        const uint8_t *stop = at + p->used;
        runs.cap = p->used + 1; // a run takes a byte at least
        runs.runs = ARENA_ARRAY(arena, RefRun, runs.cap);
        while (at < stop) {
            uint64_t code = get_uvarint(&at);
            uint64_t first = end + (code >> 1);
            uint64_t length = code & 1 ? get_uvarint(&at) + 2 : 1;
            ref_runs_add(&runs, arena, first, length);
            end = first + length;
        }
    }
    if (p->length)
        ref_runs_add(&runs, arena, p->first, p->length);
    *ret_runs = runs;
}

// First run at or behind `from` that ends above `ref`: steps double, then halve.
static size_t skip_to(const RefRuns *runs, size_t from, uint64_t ref)
{
    size_t step = 1;
    size_t low = from;

    while (low + step < runs->count &&
           runs->runs[low + step].first + runs->runs[low + step].length <= ref) {
        low += step;
        step *= 2;
    }
    size_t high = MIN(low + step, runs->count);
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (runs->runs[middle].first + runs->runs[middle].length <= ref)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

RefRuns ref_runs_and(Arena *arena, const RefRuns *a, const RefRuns *b)
{
    RefRuns both = {0};
    size_t i = 0;
    size_t j = 0;

    while (i < a->count && j < b->count) {
        RefRun x = a->runs[i];
        RefRun y = b->runs[j];
        uint64_t first = MAX(x.first, y.first);
        uint64_t end = MIN(x.first + x.length, y.first + y.length);
        if (first < end)
            ref_runs_add(&both, arena, first, end - first);
        if (x.first + x.length <= y.first + y.length)
            i = skip_to(a, i + 1, y.first);
        else
            j = skip_to(b, j + 1, x.first);
    }
    return both;
}

// What a run has in common with a's runs from i on. Returns the first of them that may have more in common with later ones.
static size_t add_common(RefRuns *both, Arena *arena, const RefRuns *a, size_t i, uint64_t first,
                         uint64_t end)
{
    for (; i < a->count && a->runs[i].first < end; i++) {
        uint64_t a_end = a->runs[i].first + a->runs[i].length;
        uint64_t from = MAX(a->runs[i].first, first);
        uint64_t to = MIN(a_end, end);
        if (from < to)
            ref_runs_add(both, arena, from, to - from);
        if (a_end > end)
            break;
    }
    return i;
}

RefRuns ref_runs_and_postings(Arena *arena, const RefRuns *refs, const Postings *p,
                              const Pool *pool)
{
    RefRuns both = {0};
    size_t i = 0;
    uint64_t end = 0;
    const uint8_t *at = p->used ? pool_at(pool, p->bytes) : NULL;
    const uint8_t *stop = p->used ? at + p->used : NULL;

    while (at < stop && i < refs->count) {
        uint64_t code = get_uvarint(&at);
        uint64_t first = end + (code >> 1);
        end = first + (code & 1 ? get_uvarint(&at) + 2 : 1);
        if (end > refs->runs[i].first)
            i = add_common(&both, arena, refs, i, first, end);
    }
    if (p->length)
        (void)add_common(&both, arena, refs, i, p->first, p->first + p->length);
    return both;
}

static RefRuns or_two(Arena *arena, const RefRuns *a, const RefRuns *b)
{
    RefRuns either = {0};
    size_t i = 0;
    size_t j = 0;
    uint64_t end = 0; // one past the last ref taken

    while (i < a->count || j < b->count) {
        bool from_a = j == b->count || (i < a->count && a->runs[i].first <= b->runs[j].first);
        RefRun run = from_a ? a->runs[i++] : b->runs[j++];
        uint64_t first = MAX(run.first, end);
        if (run.first + run.length > first) {
            end = run.first + run.length;
            ref_runs_add(&either, arena, first, end - first);
        }
    }
    return either;
}

RefRuns ref_runs_or(Arena *arena, RefRuns *lists, size_t count)
{
    if (!count)
        return (RefRuns){0};
    for (size_t width = 1; width < count; width *= 2)
        for (size_t i = 0; i + width < count; i += 2 * width)
            lists[i] = or_two(arena, &lists[i], &lists[i + width]);
    return lists[0];
}

RefRuns ref_runs_without(Arena *arena, const RefRuns *a, const RefRuns *b)
{
    RefRuns rest = {0};
    size_t j = 0;

    for (size_t i = 0; i < a->count; i++) {
        uint64_t at = a->runs[i].first;
        uint64_t end = at + a->runs[i].length;
        j = j < b->count ? skip_to(b, j, at) : j;
        for (size_t k = j; k < b->count && b->runs[k].first < end && at < end; k++) {
            if (b->runs[k].first > at)
                ref_runs_add(&rest, arena, at, b->runs[k].first - at);
            at = MAX(at, b->runs[k].first + b->runs[k].length);
        }
        if (at < end)
            ref_runs_add(&rest, arena, at, end - at);
    }
    return rest;
}
