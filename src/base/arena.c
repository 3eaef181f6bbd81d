// SPDX-License-Identifier: Apache-2.0
#include "base/arena.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define ARENA_BLOCK_BYTES_MIN ((size_t)4096)
#define ARENA_BLOCK_BYTES_MAX                                                                      \
    ((size_t)4 << 20) // growth stops here; one larger request gets a block of its own

struct ArenaBlock {
    ArenaBlock *older;
    size_t bytes;  // of the data behind this head
    size_t pad[2]; // keeps the data aligned to 32
};

static char *block_data(ArenaBlock *block)
{
    return (char *)(block + 1);
}

// --- free large blocks ---

#define KEPT_BLOCK_BYTES_MIN                                                                       \
    ((size_t)128 << 10) // malloc maps them: each page of a new one costs a fault
#define KEPT_PER_DOUBLING 4
#define KEPT_CLASSES (5 * KEPT_PER_DOUBLING + 1) // 128 KiB, 160, 192, 224, 256, 320, ... to 4 MiB
#define KEPT_BYTES_MAX ((size_t)32 << 20)

typedef struct KeptBlocks {
    ArenaBlock *first;
    size_t count;
    size_t idle; // the least count since the last trim
} KeptBlocks;

static pthread_mutex_t kept_lock =
    PTHREAD_MUTEX_INITIALIZER;        // held for a few instructions, and nothing is taken under it
static KeptBlocks kept[KEPT_CLASSES]; // GUARDED_BY(kept_lock)
static size_t kept_bytes;             // GUARDED_BY(kept_lock)

static size_t class_bytes(size_t doubling, size_t quarters)
{
    return (KEPT_BLOCK_BYTES_MIN << doubling) / KEPT_PER_DOUBLING * (KEPT_PER_DOUBLING + quarters);
}

// The least class of at least so many bytes; -1: blocks of this length are not kept.
static int class_above(size_t bytes)
{
    if (MEMORY_SANITIZED || bytes < KEPT_BLOCK_BYTES_MIN || bytes > ARENA_BLOCK_BYTES_MAX)
        return -1;
    size_t doubling = (size_t)(63 - __builtin_clzll(bytes / KEPT_BLOCK_BYTES_MIN));
    size_t quarters = 0;
    while (class_bytes(doubling, quarters) < bytes)
        quarters++;
    return (int)(doubling * KEPT_PER_DOUBLING + quarters);
}

// A block of any length that is large but not huge gets that of a class.
static size_t kept_bytes_above(size_t bytes)
{
    int class = class_above(bytes);
    return class < 0 ? bytes
                     : class_bytes((size_t) class / KEPT_PER_DOUBLING,
                                   (size_t) class % KEPT_PER_DOUBLING);
}

static int kept_class(size_t bytes)
{
    return kept_bytes_above(bytes) == bytes ? class_above(bytes) : -1;
}

// A free block of the class or of one of the next: some room that is not used costs less than memory that is touched for the first time.
static ArenaBlock *take_kept(int class)
{
    ArenaBlock *block = NULL;

    pthread_mutex_lock(&kept_lock);
    for (int i = class; !block && i <= MIN(class + KEPT_PER_DOUBLING, KEPT_CLASSES - 1); i++) {
        KeptBlocks *k = &kept[i];
        block = k->first;
        if (!block)
            continue;
        k->first = block->older;
        k->count--;
        k->idle = MIN(k->idle, k->count);
        kept_bytes -= block->bytes;
    }
    pthread_mutex_unlock(&kept_lock);
    return block;
}

static ArenaBlock *block_make(size_t bytes)
{
    ArenaBlock *block = x_malloc(sizeof *block + bytes);

    block->bytes = bytes;
    return block;
}

static void block_free(ArenaBlock *block)
{
    int class = kept_class(block->bytes);

    if (class >= 0) {
        pthread_mutex_lock(&kept_lock);
        bool room = kept_bytes + block->bytes <= KEPT_BYTES_MAX;
        if (room) {
            block->older = kept[class].first;
            kept[class].first = block;
            kept[class].count++;
            kept_bytes += block->bytes;
        }
        pthread_mutex_unlock(&kept_lock);
        if (room)
            return;
    }
    free(block);
}

void arena_trim(void)
{
    ArenaBlock *doomed = NULL;

    pthread_mutex_lock(&kept_lock);
    for (int i = 0; i < KEPT_CLASSES; i++) {
        KeptBlocks *k = &kept[i];
        for (; k->idle; k->idle--) {
            ArenaBlock *block = k->first;
            k->first = block->older;
            k->count--;
            kept_bytes -= block->bytes;
            block->older = doomed;
            doomed = block;
        }
        k->idle = k->count;
    }
    pthread_mutex_unlock(&kept_lock);
    while (doomed) {
        ArenaBlock *older = doomed->older;
        free(doomed);
        doomed = older;
    }
}

// --- life ---

void arena_init(Arena *arena)
{
    *arena = (Arena){0};
}

void arena_deinit(Arena *arena)
{
    ArenaBlock *block = arena->block;
    while (block) {
        ArenaBlock *older = block->older;
        block_free(block);
        block = older;
    }
    if (arena->budget)
        budget_give(arena->budget, arena->held_bytes);
    *arena = (Arena){.budget = arena->budget};
}

static void enter_block(Arena *arena, ArenaBlock *block)
{
    arena->block = block;
    arena->next = block_data(block);
    arena->end = arena->next + block->bytes;
}

void arena_reset(Arena *arena)
{
    ArenaBlock *largest = arena->block;
    for (ArenaBlock *b = arena->block; b; b = b->older)
        if (b->bytes > largest->bytes)
            largest = b;
    for (ArenaBlock *b = arena->block; b;) {
        ArenaBlock *older = b->older;
        if (b != largest)
            block_free(b);
        b = older;
    }
    size_t stays_bytes = largest ? largest->bytes : 0;
    Budget *budget = arena->budget;
    if (budget && arena->held_bytes > stays_bytes)
        budget_give(budget, arena->held_bytes - stays_bytes);
    *arena = (Arena){.budget = budget, .held_bytes = stays_bytes};
    if (largest) {
        largest->older = NULL;
        enter_block(arena, largest);
    }
}

// At least so many bytes, which the budget has counted.
static ArenaBlock *block_new(size_t bytes, Budget *budget)
{
    int class = kept_class(bytes);
    ArenaBlock *block = class >= 0 ? take_kept(class) : NULL;

    if (block && block->bytes > bytes && budget && !budget_try(budget, block->bytes - bytes)) {
        block_free(block);
        block = NULL;
    }
    return block ? block : block_make(bytes);
}

static void add_block(Arena *arena, size_t block_bytes)
{
    if (arena->block)
        arena->used_bytes += (size_t)(arena->next - block_data(arena->block));
    ArenaBlock *block = block_new(block_bytes, arena->budget);
    block->older = arena->block;
    arena->held_bytes += block->bytes;
    enter_block(arena, block);
}

// What the next block has when nobody is short of memory.
static size_t next_block_bytes(const Arena *arena)
{
    size_t bytes = arena->block ? arena->block->bytes * 2 : ARENA_BLOCK_BYTES_MIN;
    return MIN(bytes, ARENA_BLOCK_BYTES_MAX);
}

bool arena_reserve(Arena *arena, size_t bytes, Error *err)
{
    size_t left = arena->next ? (size_t)(arena->end - arena->next) : 0;
    if (left >= bytes)
        return true;
    size_t want = kept_bytes_above(MAX(bytes, next_block_bytes(arena)));
    if (arena->budget && !budget_try(arena->budget, want)) {
        want = bytes;
        if (!budget_take(arena->budget, want, err))
            return false;
    }
    add_block(arena, want);
    return true;
}

// Short of memory, a block as large as it must be is better than none.
static size_t take_block(Budget *budget, size_t want, size_t liked)
{
    if (budget_try(budget, liked))
        return liked;
    size_t least = MAX(want, ARENA_BLOCK_BYTES_MIN);
    budget_force(budget, least);
    return least;
}

void *arena_alloc_slow(Arena *arena, size_t bytes, size_t align)
{
    size_t want = bytes + align;
    if (want < bytes)
        out_of_memory(bytes);
    size_t block_bytes = kept_bytes_above(MAX(next_block_bytes(arena), want));
    if (arena->budget)
        block_bytes = take_block(arena->budget, want, block_bytes);
    add_block(arena, block_bytes);

    uintptr_t at = ((uintptr_t)arena->next + (align - 1)) & ~(uintptr_t)(align - 1);
    arena->next = (char *)(at + bytes);
    return (void *)at;
}

void *arena_array_alloc(Arena *arena, size_t count, size_t bytes)
{
    size_t total;
    if (__builtin_mul_overflow(count, bytes, &total))
        out_of_memory(SIZE_MAX);
    return arena_alloc(arena, total);
}

void *arena_grow(Arena *arena, void *old, size_t old_bytes, size_t new_bytes)
{
    if (old && (char *)old + old_bytes == arena->next && new_bytes >= old_bytes &&
        new_bytes - old_bytes <= (size_t)(arena->end - arena->next)) {
        arena->next += new_bytes - old_bytes;
        return old;
    }
    void *grown = arena_alloc(arena, new_bytes);
    if (old_bytes)
        memcpy(grown, old, MIN(old_bytes, new_bytes));
    return grown;
}

char *str_to_c(Arena *arena, Str s)
{
    char *copy = arena_alloc_aligned(arena, s.len + 1, 1);
    if (s.len)
        memcpy(copy, s.ptr, s.len);
    copy[s.len] = '\0';
    return copy;
}

Str arena_str(Arena *arena, Str s)
{
    return (Str){str_to_c(arena, s), s.len};
}

Str arena_vprintf(Arena *arena, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    if (len < 0)
        return STR_NONE;
    char *text = arena_alloc_aligned(arena, (size_t)len + 1, 1);
    vsnprintf(text, (size_t)len + 1, fmt, args);
    return (Str){text, (size_t)len};
}

Str arena_printf(Arena *arena, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    Str s = arena_vprintf(arena, fmt, args);
    va_end(args);
    return s;
}

size_t arena_used_bytes(const Arena *arena)
{
    if (!arena->block)
        return 0;
    return arena->used_bytes + (size_t)(arena->next - ((char *)(arena->block + 1)));
}
