// SPDX-License-Identifier: Apache-2.0
// arena.h: memory by lifetime. What comes back lives as long as the arena you passed.
//
// Blocks grow geometrically; nothing is freed one by one. Not thread safe: one thread owns an arena at a time.
#pragma once

#include <stdarg.h>

#include "base/budget.h"
#include "base/str.h"

typedef struct ArenaBlock ArenaBlock;

typedef struct Arena {
    char *next;        // first free byte of the current block
    char *end;         // one past its last
    ArenaBlock *block; // newest first
    size_t used_bytes; // handed out by earlier blocks
    size_t held_bytes; // taken from the heap
    Budget *budget;    // what is held is counted there; NULL: nowhere. Set while the arena is empty
} Arena;

#define ARENA_ALIGN 16 // of what is not asked for otherwise

// A zeroed Arena is ready for use, too.
void arena_init(Arena *arena);
void arena_deinit(Arena *arena);

// Large blocks that no arena needs now are kept for the next one that does, up to a limit. This frees those that nobody has asked for since
// the last call.
// Thread: any.
void arena_trim(void);

// Forgets everything, keeps the largest block for the next round.
void arena_reset(Arena *arena);

// Makes the next allocations of together `bytes` (alignment included) come without growing. False (and err): the budget does not allow
// that, and nothing was taken. Of what is allocated without asking, small blocks are forced past the limit: arena_ok() tells.
bool arena_reserve(Arena *arena, size_t bytes, Error *err) MUST_CHECK;
static inline bool arena_ok(const Arena *arena, Error *err)
{
    return !arena->budget || budget_ok(arena->budget, err);
}

// Uninitialised memory, aligned to ARENA_ALIGN / to `align` (a power of two).
void *arena_alloc_slow(Arena *arena, size_t bytes, size_t align);

static inline void *arena_alloc_aligned(Arena *arena, size_t bytes, size_t align)
{
    uintptr_t at = ((uintptr_t)arena->next + (align - 1)) & ~(uintptr_t)(align - 1);
    if (LIKELY(arena->next && at + bytes <= (uintptr_t)arena->end && at + bytes >= at)) {
        arena->next = (char *)(at + bytes);
        return (void *)at;
    }
    return arena_alloc_slow(arena, bytes, align);
}

static inline void *arena_alloc(Arena *arena, size_t bytes)
{
    return arena_alloc_aligned(arena, bytes, ARENA_ALIGN);
}

static inline void *arena_zalloc(Arena *arena, size_t bytes)
{
    return memset(arena_alloc(arena, bytes), 0, bytes);
}

// Fails by aborting when count * bytes overflows.
void *arena_array_alloc(Arena *arena, size_t count, size_t bytes);

// Zeroed object, uninitialised array, zeroed array.
#define ARENA_NEW(arena, type) ((type *)arena_zalloc((arena), sizeof(type)))
#define ARENA_ARRAY(arena, type, count) ((type *)arena_array_alloc((arena), (count), sizeof(type)))

// Grows an array that was allocated last or copies it: for lists of unknown length (double each time).
void *arena_grow(Arena *arena, void *old, size_t old_bytes, size_t new_bytes);

Str arena_str(Arena *arena, Str s);  // a copy (with a NUL behind it, not counted)
char *str_to_c(Arena *arena, Str s); // a C string copy
Str arena_printf(Arena *arena, const char *fmt, ...) PRINTF(2, 3);
Str arena_vprintf(Arena *arena, const char *fmt, va_list args) PRINTF(2, 0);

// Bytes handed out since the last reset.
size_t arena_used_bytes(const Arena *arena);
