// SPDX-License-Identifier: Apache-2.0
#include "base/footprint.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

void footprint_touch(void *bytes, size_t count)
{
    volatile char *at = bytes;

    for (size_t i = 0; i < count; i += TOUCH_BYTES)
        at[i] = 0;
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

typedef struct Mapping {
    unsigned long start, end;
    bool clean_file; // private, of a file, not writable
} Mapping;

// A line such as "7f00-7f10 r-xp 00001000 08:01 1234   /lib/x.so" begins a mapping.
static bool parse_head(const char *line, Mapping *ret)
{
    Mapping m;
    char perms[5], path[2];
    unsigned long inode;

    if (sscanf(line, "%lx-%lx %4s %*s %*s %lu %1s", &m.start, &m.end, perms, &inode, path) < 4)
        return false;
    m.clean_file = inode != 0 && perms[1] == '-' && perms[3] == 'p';
    *ret = m;
    return true;
}

void footprint_forget_start(void)
{
    FILE *file = fopen("/proc/self/smaps", "re");
    char *line = NULL;
    size_t cap = 0;
    Mapping m = {0};

    if (!file) // not there in every container: the pages stay, which costs no more than before
        return;
    while (getline(&line, &cap, file) > 0) {
        unsigned long kib;
        if (parse_head(line, &m))
            continue;
        // Relocated pages are copies of ours and must stay: only mappings without a single one are forgotten.
        if (m.clean_file && sscanf(line, "Anonymous: %lu kB", &kib) == 1 && kib == 0)
            (void)madvise((void *)m.start, m.end - m.start, MADV_DONTNEED);
    }
    free(line);
    (void)fclose(file);
}
