// SPDX-License-Identifier: Apache-2.0
#include "tsdb/postings.h"

#include <stdlib.h>

#include "base/reader.h"
#include "base/varint.h"

// --- marks: they lie at the end of the piece, the first one last ---

typedef struct Mark {
    uint64_t end; // one past the last ref before the code at `at`
    uint64_t at;  // the first code behind so many strides
} Mark;

static size_t mark_count(size_t used)
{
    return used / POSTINGS_STRIDE;
}

static Mark mark_at(const Postings *p, const Pool *pool, size_t k)
{
    Mark mark;
    const uint8_t *end = pool_at(pool, p->bytes) + pool_size(pool, p->bytes);
    memcpy(&mark, end - (k + 1) * sizeof mark, sizeof mark);
    return mark;
}

static void put_mark(Postings *p, Pool *pool, size_t k, Mark mark)
{
    uint8_t *end = pool_at(pool, p->bytes) + pool_size(pool, p->bytes);
    memcpy(end - (k + 1) * sizeof mark, &mark, sizeof mark);
}

// Room for `used` bytes and their marks, and a quarter more.
static void grow(Postings *p, Pool *pool, size_t used)
{
    size_t want = used + mark_count(used) * sizeof(Mark);
    size_t marks = mark_count(p->used) * sizeof(Mark);
    PoolHandle old = p->bytes;
    PoolHandle new = pool_alloc(pool, (uint32_t)MAX(want, want + p->used / 4));
    if (old) {
        memcpy(pool_at(pool, new), pool_at(pool, old), p->used);
        memcpy(pool_at(pool, new) + pool_size(pool, new) - marks,
               pool_at(pool, old) + pool_size(pool, old) - marks, marks);
        pool_free(pool, old);
    }
    p->bytes = new;
}

static void seal(Postings *p, Pool *pool)
{
    uint8_t code[2 * VARINT_BYTES_MAX];
    uint64_t gap = p->first - p->sealed;
    uint8_t *end = put_uvarint(code, gap << 1 | (p->length > 1));

    if (p->length > 1)
        end = put_uvarint(end, p->length - 2);
    size_t len = (size_t)(end - code);
    size_t used = p->used + len;
    if (!p->bytes || used + mark_count(used) * sizeof(Mark) > pool_size(pool, p->bytes))
        grow(p, pool, used);
    memcpy(pool_at(pool, p->bytes) + p->used, code, len);
    p->sealed = p->first + p->length;
    if (mark_count(used) > mark_count(p->used))
        put_mark(p, pool, mark_count(used) - 1, (Mark){p->sealed, used});
    p->used = (uint32_t)used;
}

bool postings_load(Postings *p, Pool *pool, Str bytes)
{
    Reader in = reader_from(bytes);
    uint64_t end = 0;
    size_t marked = 0;
    p->bytes = 0;
    p->used = 0;
    grow(p, pool, bytes.len);
    p->used = (uint32_t)bytes.len;
    memcpy(pool_at(pool, p->bytes), bytes.ptr, bytes.len);
    while (marked < mark_count(bytes.len) && !in.failed) {
        uint64_t code = reader_uvarint(&in);
        end += (code >> 1) + (code & 1 ? reader_uvarint(&in) + 2 : 1);
        size_t at = bytes.len - reader_left(&in);
        if (mark_count(at) > marked)
            put_mark(p, pool, marked++, (Mark){end, at});
    }
    return !in.failed;
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

static int compare_runs(const void *a, const void *b)
{
    const RefRun *x = a;
    const RefRun *y = b;
    return (x->first > y->first) - (x->first < y->first);
}

void postings_sort(Postings *p, Pool *pool)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    RefRuns runs;

    postings_decode(p, pool, &arena, &runs);
    // A gap backwards has lost its highest bit, and so have all refs behind it, until the next one.
    for (size_t i = 0; i < runs.count; i++)
        runs.runs[i].first &= POSTINGS_REF_MAX;
    if (runs.count)
        qsort(runs.runs, runs.count, sizeof *runs.runs, compare_runs);
    postings_clear(p, pool);
    for (size_t i = 0; i < runs.count; i++)
        for (uint64_t k = 0; k < runs.runs[i].length; k++)
            postings_add(p, pool, runs.runs[i].first + k);
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

// Where a list is read.
typedef struct Walk {
    const Postings *postings;
    const Pool *pool;
    const uint8_t *begin, *at, *stop;
    uint64_t end; // one past the last ref read
    size_t mark;  // the next one that lies ahead, perhaps
} Walk;

// Steps to the last mark before `ref`, if that is ahead: steps double, then halve.
static void walk_to(Walk *walk, uint64_t ref)
{
    size_t count = mark_count(walk->postings->used);
    size_t step = 1;
    while (walk->mark < count &&
           mark_at(walk->postings, walk->pool, walk->mark).at <= (uint64_t)(walk->at - walk->begin))
        walk->mark++;
    size_t low = walk->mark; // all below lie before `ref`
    if (low == count || mark_at(walk->postings, walk->pool, low).end > ref)
        return;
    while (low + step < count && mark_at(walk->postings, walk->pool, low + step).end <= ref) {
        low += step;
        step *= 2;
    }
    size_t high = MIN(low + step, count);
    while (low + 1 < high) {
        size_t middle = (low + high) / 2;
        if (mark_at(walk->postings, walk->pool, middle).end <= ref)
            low = middle;
        else
            high = middle;
    }
    Mark mark = mark_at(walk->postings, walk->pool, low);
    walk->at = walk->begin + mark.at;
    walk->end = mark.end;
    walk->mark = low + 1;
}

RefRuns ref_runs_and_postings(Arena *arena, const RefRuns *refs, const Postings *p,
                              const Pool *pool)
{
    RefRuns both = {0};
    size_t i = 0;
    Walk walk = {.postings = p, .pool = pool};

    if (p->used) {
        walk.begin = walk.at = pool_at(pool, p->bytes);
        walk.stop = walk.at + p->used;
    }
    if (refs->count)
        walk_to(&walk, refs->runs[0].first);
    while (walk.at < walk.stop && i < refs->count) {
        uint64_t code = get_uvarint(&walk.at);
        uint64_t first = walk.end + (code >> 1);
        walk.end = first + (code & 1 ? get_uvarint(&walk.at) + 2 : 1);
        if (walk.end <= refs->runs[i].first)
            continue;
        size_t next = add_common(&both, arena, refs, i, first, walk.end);
        if (next > i && next < refs->count)
            walk_to(&walk, refs->runs[next].first);
        i = next;
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
