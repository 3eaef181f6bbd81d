// SPDX-License-Identifier: Apache-2.0
#include "base/footprint.h"

#include <link.h>
#include <malloc.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/regex_cache.h"

#define HEAPS_MIN 2
#define HEAPS_MAX 16
// Longer pieces are mapped, and so unmapped when they are freed. Left alone, malloc raises this with each that is freed, up to 32 MiB, and
// keeps as much in each of its heaps.
#define MAPPED_BYTES_MIN (256 * 1024)

void footprint_setup(void)
{
#ifdef __GLIBC__
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    (void)mallopt(M_ARENA_MAX, (int)MAX(HEAPS_MIN, MIN(cores, HEAPS_MAX)));
    (void)mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES_MIN);
    (void)mallopt(M_TRIM_THRESHOLD, MAPPED_BYTES_MIN);
#endif
}

#define TOUCH_BYTES ((size_t)4096)

// A byte a page and not by MADV_POPULATE_WRITE: that holds the lock that each mmap of another thread waits for. A zero that is still there is
// written again: a sanitizer cannot know that this changes nothing.
UNSANITIZED void footprint_touch(void *bytes, size_t count)
{
    char *at = bytes;

    for (size_t i = 0; i < count; i += TOUCH_BYTES) {
        char zero = 0;
        __atomic_compare_exchange_n(&at[i], &zero, 0, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    }
}

static _Atomic bool is_to_forget;

void footprint_forget_soon(void)
{
    atomic_store(&is_to_forget, true);
}

void footprint_trim(void)
{
    arena_trim();
    regex_cache_trim();
#ifdef __GLIBC__
    (void)malloc_trim(0);
#endif
    if (atomic_exchange(&is_to_forget, false))
        footprint_forget_start();
}

// Its pages that nobody writes to, code above all: what is relocated lies in segments that may be written to.
static int forget_library(struct dl_phdr_info *library, size_t bytes, void *arg)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

    (void)bytes, (void)arg;
    for (size_t i = 0; i < library->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &library->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD || segment->p_flags & PF_W)
            continue;
        uintptr_t at = library->dlpi_addr + segment->p_vaddr;
        uintptr_t end = (at + segment->p_memsz) & ~(page - 1);
        at = (at + page - 1) & ~(page - 1);
        if (at < end)
            (void)madvise((void *)at, end - at, MADV_DONTNEED);
    }
    return 0;
}

// The loader is asked, not /proc/self/smaps: what stands there may be something else by now, such as a library that another thread is just
// loading and whose relocations would be lost.
void footprint_forget_start(void)
{
    (void)dl_iterate_phdr(forget_library, NULL);
}
