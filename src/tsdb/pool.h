// SPDX-License-Identifier: Apache-2.0
// pool.h: small pieces of memory in size classes, named by 32 bits instead of a pointer.
//
//     handle   | page 17 bits | place in the page, in units of 8 bytes, 15 bits |
//     page     256 KiB of pieces of one class, or one large piece of its own size
//
// Memory is taken from the kernel page by page and touched as it is handed out. pool_trim gives pages without pieces back.
// Thread: one may allocate and free at a time; anyone may use pieces meanwhile. Pages do not move. Between pool_share and pool_unshare
// several may allocate and free at a time, each from a part of its own.
#pragma once

#include "base/lock.h"

#define POOL_PAGE_BYTES (256u * 1024)
#define POOL_PAGES_MAX (1u << 17)
#define POOL_CLASSES 27
#define POOL_SMALL_BYTES_MAX 4096u // longer pieces get a page of their own

typedef uint32_t PoolHandle; // 0 is none

typedef struct PoolPage {
    uint8_t *bytes;
    uint32_t live; // pieces handed out
    uint32_t size; // of a piece
    uint8_t class_index;
} PoolPage;

typedef struct Pool {
    PoolPage *pages; // POOL_PAGES_MAX of them, touched as needed
    uint32_t page_count;
    uint32_t free_page;                  // chain of page numbers without memory, through `live`
    uint32_t current[POOL_CLASSES];      // page that is being cut up
    uint32_t current_used[POOL_CLASSES]; // bytes of it
    PoolHandle free[POOL_CLASSES];       // chain through the first four bytes
    uint64_t held_bytes;                 // taken from the kernel
    uint64_t live_bytes;                 // handed out
    Lock *share;                         // pages, while threads share the pool; NULL: one at a time
    struct Pool *whole;                  // of a part
} Pool;

void pool_init(Pool *pool);
void pool_deinit(Pool *pool);

// At least `bytes` bytes, aligned to 8, not cleared.
PoolHandle pool_alloc(Pool *pool, uint32_t bytes);
void pool_free(Pool *pool, PoolHandle handle); // accepts 0

static inline uint8_t *pool_at(const Pool *pool, PoolHandle handle)
{
    return pool->pages[handle >> 15].bytes + (size_t)(handle & 0x7fff) * 8;
}

// How many bytes the piece has.
static inline uint32_t pool_size(const Pool *pool, PoolHandle handle)
{
    return pool->pages[handle >> 15].size;
}

// A piece of at least `bytes` with the first `keep` bytes of the old one, which is freed. Accepts 0 as old.
PoolHandle pool_grow(Pool *pool, PoolHandle old, uint32_t keep, uint32_t bytes);

// Of what is held but not handed out, what was touched and so costs memory.
uint64_t pool_free_bytes(const Pool *pool);

// What pool_trim would give back.
uint64_t pool_empty_bytes(const Pool *pool);
// Gives pages without pieces back to the kernel. Returns the bytes.
uint64_t pool_trim(Pool *pool);

#define POOL_SHARE_RANK 380

// From here on only threads with a part allocate and free. The lock is the caller's.
void pool_share(Pool *pool, Lock *lock);
// `part` is where the calling thread's pieces come from and go to; it has no other part.
void pool_part_begin(Pool *pool, Pool *part);
// The calling thread goes on with a part that another thread, or nobody, uses no longer.
void pool_part_use(Pool *pool, Pool *part);
// What the part has left goes back.
void pool_part_end(Pool *pool, Pool *part);
// All parts have ended.
void pool_unshare(Pool *pool);
