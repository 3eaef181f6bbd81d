// SPDX-License-Identifier: Apache-2.0
#include "tsdb/pool.h"

#include <string.h>
#include <sys/mman.h>

#define CLASS_LARGE 255

static const uint16_t class_bytes[POOL_CLASSES] = {8,   16,  24,  32,  40,  48,   56,   64,   72,
                                                   80,  96,  112, 128, 144, 160,  192,  224,  256,
                                                   320, 384, 512, 640, 768, 1024, 1536, 2048, 4096};

// Up to 80 bytes a class each 8, then the table is searched.
static unsigned class_of(uint32_t bytes)
{
    if (bytes <= 80)
        return bytes <= 8 ? 0 : (bytes + 7) / 8 - 1;
    unsigned index = 10;
    while (class_bytes[index] < bytes)
        index++;
    return index;
}

static void *map_bytes(size_t bytes)
{
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        out_of_memory(bytes);
    return at;
}

static _Thread_local Pool *own_part; // of the pool that threads share

static Pool *part_of(Pool *pool)
{
    if (LIKELY(!pool->share))
        return pool;
    ASSERT(own_part && own_part->whole == pool);
    return own_part;
}

static void add_live(const Pool *pool, PoolPage *page, uint32_t change)
{
    if (LIKELY(!pool->whole))
        page->live += change;
    else
        __atomic_fetch_add(&page->live, change, __ATOMIC_RELAXED);
}

void pool_init(Pool *pool)
{
    memset(pool, 0, sizeof *pool);
    pool->pages = map_bytes(sizeof(PoolPage) * POOL_PAGES_MAX);
    pool->page_count = 1; // 0 is none
}

static size_t page_bytes(const PoolPage *page)
{
    return page->class_index == CLASS_LARGE ? ((size_t)page->size + 4095) & ~(size_t)4095
                                            : POOL_PAGE_BYTES;
}

void pool_deinit(Pool *pool)
{
    if (!pool->pages)
        return;
    for (uint32_t i = 1; i < pool->page_count; i++)
        if (pool->pages[i].bytes)
            munmap(pool->pages[i].bytes, page_bytes(&pool->pages[i]));
    munmap(pool->pages, sizeof(PoolPage) * POOL_PAGES_MAX);
    memset(pool, 0, sizeof *pool);
}

static uint32_t take_page(Pool *pool, uint32_t size, uint8_t class_index)
{
    if (UNLIKELY(pool->whole != NULL)) {
        Pool *whole = pool->whole;
        lock_take(whole->share);
        uint32_t taken = take_page(whole, size, class_index);
        lock_give(whole->share);
        return taken;
    }
    uint32_t index = pool->free_page;

    if (index) {
        pool->free_page = pool->pages[index].live;
    } else {
        if (pool->page_count == POOL_PAGES_MAX)
            out_of_memory(POOL_PAGE_BYTES);
        index = pool->page_count++;
    }
    PoolPage *page = &pool->pages[index];
    page->size = size;
    page->class_index = class_index;
    page->live = 0;
    page->bytes = map_bytes(page_bytes(page));
    pool->held_bytes += page_bytes(page);
    return index;
}

static void give_page(Pool *pool, uint32_t index)
{
    if (UNLIKELY(pool->whole != NULL)) {
        lock_take(pool->whole->share);
        give_page(pool->whole, index);
        lock_give(pool->whole->share);
        return;
    }
    PoolPage *page = &pool->pages[index];

    munmap(page->bytes, page_bytes(page));
    pool->held_bytes -= page_bytes(page);
    page->bytes = NULL;
    page->live = pool->free_page;
    pool->free_page = index;
}

PoolHandle pool_alloc(Pool *pool, uint32_t bytes)
{
    pool = part_of(pool);
    if (UNLIKELY(bytes > POOL_SMALL_BYTES_MAX)) {
        uint32_t index = take_page(pool, bytes, CLASS_LARGE);
        pool->pages[index].live = 1;
        pool->live_bytes += bytes;
        return index << 15;
    }
    unsigned class_index = class_of(bytes);
    uint32_t size = class_bytes[class_index];
    PoolHandle handle = pool->free[class_index];

    pool->live_bytes += size;
    if (handle) {
        memcpy(&pool->free[class_index], pool_at(pool, handle), sizeof handle);
        add_live(pool, &pool->pages[handle >> 15], 1);
        return handle;
    }
    uint32_t used = pool->current_used[class_index];
    uint32_t index = pool->current[class_index];
    if (!index || used + size > POOL_PAGE_BYTES) {
        index = pool->current[class_index] = take_page(pool, size, (uint8_t)class_index);
        used = 0;
        // All of a part's page counts as handed out: other threads count in the same cache line.
        if (pool->whole)
            add_live(pool, &pool->pages[index], POOL_PAGE_BYTES / size);
    }
    pool->current_used[class_index] = used + size;
    if (LIKELY(!pool->whole))
        pool->pages[index].live++;
    return index << 15 | used / 8;
}

void pool_free(Pool *pool, PoolHandle handle)
{
    if (!handle)
        return;
    pool = part_of(pool);
    PoolPage *page = &pool->pages[handle >> 15];

    ASSERT(__atomic_load_n(&page->live, __ATOMIC_RELAXED) > 0);
    add_live(pool, page, (uint32_t)-1);
    pool->live_bytes -= page->size;
    if (page->class_index == CLASS_LARGE) {
        give_page(pool, handle >> 15);
        return;
    }
    memcpy(pool_at(pool, handle), &pool->free[page->class_index], sizeof handle);
    pool->free[page->class_index] = handle;
}

PoolHandle pool_grow(Pool *pool, PoolHandle old, uint32_t keep, uint32_t bytes)
{
    PoolHandle handle = pool_alloc(pool, bytes);

    if (keep)
        memcpy(pool_at(pool, handle), pool_at(pool, old), keep);
    pool_free(pool, old);
    return handle;
}

uint64_t pool_free_bytes(const Pool *pool)
{
    uint64_t untouched = 0;

    for (unsigned i = 0; i < POOL_CLASSES; i++)
        untouched += pool->current[i] ? POOL_PAGE_BYTES - pool->current_used[i] : 0;
    return pool->held_bytes - pool->live_bytes - untouched;
}

uint64_t pool_empty_bytes(const Pool *pool)
{
    uint64_t bytes = 0;

    for (uint32_t i = 1; i < pool->page_count; i++)
        if (pool->pages[i].bytes && !pool->pages[i].live)
            bytes += page_bytes(&pool->pages[i]);
    return bytes;
}

// Takes the free pieces of empty pages out of the chain.
static void unchain_empty(Pool *pool, unsigned class_index)
{
    PoolHandle handle = pool->free[class_index];
    PoolHandle kept = 0;

    while (handle) {
        PoolHandle next;
        memcpy(&next, pool_at(pool, handle), sizeof next);
        if (pool->pages[handle >> 15].live) {
            memcpy(pool_at(pool, handle), &kept, sizeof kept);
            kept = handle;
        }
        handle = next;
    }
    pool->free[class_index] = kept;
    if (pool->current[class_index] && !pool->pages[pool->current[class_index]].live)
        pool->current[class_index] = 0;
}

uint64_t pool_trim(Pool *pool)
{
    uint64_t before = pool->held_bytes;

    for (unsigned i = 0; i < POOL_CLASSES; i++)
        unchain_empty(pool, i);
    for (uint32_t i = 1; i < pool->page_count; i++)
        if (pool->pages[i].bytes && !pool->pages[i].live)
            give_page(pool, i);
    return before - pool->held_bytes;
}

// --- several threads ---

void pool_share(Pool *pool, Lock *lock)
{
    pool->share = lock;
}

void pool_part_begin(Pool *pool, Pool *part)
{
    *part = (Pool){.pages = pool->pages, .whole = pool};
    own_part = part;
}

void pool_part_use(Pool *pool, Pool *part)
{
    ASSERT(part->whole == pool);
    own_part = part;
}

// The rest of the page that a part was cutting up.
static void give_rest(Pool *pool, const Pool *part, unsigned class_index)
{
    uint32_t index = part->current[class_index];
    uint32_t used = part->current_used[class_index];

    if (!index)
        return;
    add_live(part, &part->pages[index],
             0 - (POOL_PAGE_BYTES - used) / class_bytes[class_index]); // was never handed out
    if (!pool->current[class_index] || used < pool->current_used[class_index]) {
        uint32_t other = pool->current[class_index];
        pool->current[class_index] = index;
        index = other;
        uint32_t other_used = pool->current_used[class_index];
        pool->current_used[class_index] = used;
        used = other_used;
    }
    for (; index && used + class_bytes[class_index] <= POOL_PAGE_BYTES;
         used += class_bytes[class_index]) {
        PoolHandle handle = index << 15 | used / 8;
        memcpy(pool_at(pool, handle), &pool->free[class_index], sizeof handle);
        pool->free[class_index] = handle;
    }
}

static void give_chain(Pool *pool, const Pool *part, unsigned class_index)
{
    for (PoolHandle handle = part->free[class_index]; handle;) {
        PoolHandle next;
        memcpy(&next, pool_at(pool, handle), sizeof next);
        memcpy(pool_at(pool, handle), &pool->free[class_index], sizeof handle);
        pool->free[class_index] = handle;
        handle = next;
    }
}

void pool_part_end(Pool *pool, Pool *part)
{
    ASSERT(own_part == part);
    lock_take(pool->share);
    for (unsigned i = 0; i < POOL_CLASSES; i++) {
        give_rest(pool, part, i);
        give_chain(pool, part, i);
    }
    pool->live_bytes += part->live_bytes;
    lock_give(pool->share);
    own_part = NULL;
}

void pool_unshare(Pool *pool)
{
    pool->share = NULL;
}
