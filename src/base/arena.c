// SPDX-License-Identifier: Apache-2.0
#include "base/arena.h"

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

void arena_init(Arena *arena)
{
    *arena = (Arena){0};
}

void arena_deinit(Arena *arena)
{
    ArenaBlock *block = arena->block;
    while (block) {
        ArenaBlock *older = block->older;
        free(block);
        block = older;
    }
    *arena = (Arena){0};
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
            free(b);
        b = older;
    }
    *arena = (Arena){0};
    if (largest) {
        largest->older = NULL;
        arena->held_bytes = largest->bytes;
        enter_block(arena, largest);
    }
}

void *arena_alloc_slow(Arena *arena, size_t bytes, size_t align)
{
    size_t want = bytes + align;
    if (want < bytes)
        out_of_memory(bytes);
    size_t block_bytes = arena->block ? arena->block->bytes * 2 : ARENA_BLOCK_BYTES_MIN;
    block_bytes = MIN(block_bytes, ARENA_BLOCK_BYTES_MAX);
    block_bytes = MAX(block_bytes, want);

    if (arena->block)
        arena->used_bytes += (size_t)(arena->next - block_data(arena->block));
    ArenaBlock *block = x_malloc(sizeof *block + block_bytes);
    block->bytes = block_bytes;
    block->older = arena->block;
    arena->held_bytes += block_bytes;
    enter_block(arena, block);

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
