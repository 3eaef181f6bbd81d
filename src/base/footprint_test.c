// SPDX-License-Identifier: Apache-2.0
#include "base/footprint.h"

#include <fcntl.h>
#include <gnu/libc-version.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/test.h"
#include "base/thread.h"

static size_t resident_bytes(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL);
    CHECK_EQ(fscanf(file, "%*u %lu", &pages), 1);
    fclose(file);
    return pages * 4096;
}

static void *fill(Arena *arena, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += 65536)
        memset(arena_alloc(arena, 65536), 1, 65536);
    return arena->block;
}

// Sanitizers free every block at once: there is nothing to measure.
#if MEMORY_SANITIZED
#define MEASURED
#else
#define MEASURED TEST_ROW(footprint, a_large_block_serves_the_next_arena_until_nobody_wants_it),
TEST(footprint, a_large_block_serves_the_next_arena_until_nobody_wants_it)
{
    Arena arena = {0};

    fill(&arena, 6 << 20);
    arena_deinit(&arena);
    size_t before = resident_bytes();

    for (int i = 0; i < 3; i++) {
        fill(&arena, 6 << 20);
        arena_deinit(&arena);
        CHECK(resident_bytes() < before + (1 << 20));
        footprint_trim();
    }
    footprint_trim(); // nobody has asked since the one before
    footprint_trim();

    CHECK(resident_bytes() < before);
}
#endif

TEST(footprint, the_program_goes_on_without_the_pages_of_its_start)
{
    size_t before = resident_bytes();

    footprint_forget_start();

    CHECK(resident_bytes() <= before);
    char *text = malloc(100);
    snprintf(text, 100, "%g", atof("0.5"));
    CHECK(strcmp(text, "0.5") == 0);
    free(text);
}

// The file of this program, mapped as the loader does at first, and read.
static const volatile char *map_and_read(size_t *ret_bytes)
{
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    size_t bytes = (size_t)lseek(fd, 0, SEEK_END);
    const volatile char *pages = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    CHECK(pages != MAP_FAILED);
    close(fd);
    for (size_t at = 0; at < bytes; at += 4096)
        (void)pages[at];
    *ret_bytes = bytes;
    return pages;
}

// Of the mapping that has the address: what a sanitizer keeps beside it does not count.
static size_t resident_bytes_of(const volatile void *address, Str *ret_mapping)
{
    char line[512];
    unsigned long start, end, kib = 0, here = (unsigned long)(uintptr_t)address;
    bool is_here = false;

    FILE *file = fopen("/proc/self/smaps", "r");
    CHECK(file != NULL);
    while (fgets(line, sizeof line, file) && !(is_here && sscanf(line, "Rss: %lu kB", &kib) == 1))
        is_here |= sscanf(line, "%lx-%lx ", &start, &end) == 2 && start <= here && here < end;
    fclose(file);
    CHECK(is_here);
    *ret_mapping = (Str){(const char *)(uintptr_t)start, end - start};
    return kib * 1024;
}

TEST(footprint, code_that_was_only_read_goes_with_the_next_trim)
{
    const void *here = (const void *)(uintptr_t)gnu_get_libc_version;
    Str code;

    (void)resident_bytes_of(here, &code);
    for (size_t at = 0; at < code.len; at += 4096)
        (void)((const volatile char *)code.ptr)[at];
    footprint_trim();
    CHECK_EQ(resident_bytes_of(here, &code), code.len);

    footprint_forget_soon();
    footprint_trim();

    CHECK(resident_bytes_of(here, &code) < code.len);
}

// Whoever has mapped it may be about to write there.
TEST(footprint, mappings_that_are_no_library_keep_their_pages)
{
    size_t bytes;
    const volatile char *pages = map_and_read(&bytes);
    Str mapping;

    footprint_forget_start();

    CHECK(resident_bytes_of(pages, &mapping) >= bytes / 2);
    munmap((void *)(uintptr_t)pages, bytes);
}

#define TOUCHED_PAGES 4096

static void write_each_page(void *arg)
{
    volatile char *bytes = arg;

    for (size_t i = TOUCHED_PAGES; i-- > 0;)
        bytes[i * 4096] = (char)(1 + i % 100);
}

TEST(footprint, memory_is_touched_while_others_begin_to_use_it)
{
    size_t bytes = (size_t)TOUCHED_PAGES * 4096;
    char *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    size_t before = resident_bytes();
    Thread thread;
    Error err = {0};

    CHECK(pages != MAP_FAILED);
    footprint_touch(pages, bytes / 2);
    CHECK(resident_bytes() >= before + bytes / 2);
    CHECK_OK(thread_start(&thread, "writer", write_each_page, pages, &err), err);
    footprint_touch(pages, bytes);
    thread_join(&thread);

    for (size_t i = 0; i < TOUCHED_PAGES; i++)
        CHECK_EQ(pages[i * 4096], (char)(1 + i % 100));
    munmap(pages, bytes);
}

static void churn(void *arg)
{
    size_t bytes = *(size_t *)arg;

    for (int i = 0; i < 200; i++) {
        CLEANUP(arena_deinit) Arena arena = {.next = NULL};
        fill(&arena, bytes);
        if (i % 50 == 0)
            footprint_trim();
    }
}

TEST(footprint, arenas_of_many_threads_share_free_blocks)
{
    static size_t sizes[] = {300000, 700000, 1500000, 3000000};
    Thread threads[COUNT_OF(sizes)];
    Error err = {0};

    for (size_t i = 0; i < COUNT_OF(sizes); i++)
        CHECK_OK(thread_start(&threads[i], "churn", churn, &sizes[i], &err), err);
    for (size_t i = 0; i < COUNT_OF(sizes); i++)
        thread_join(&threads[i]);

    footprint_trim();
}

TEST_MAIN(footprint,
          MEASURED TEST_ROW(footprint, the_program_goes_on_without_the_pages_of_its_start),
          TEST_ROW(footprint, code_that_was_only_read_goes_with_the_next_trim),
          TEST_ROW(footprint, mappings_that_are_no_library_keep_their_pages),
          TEST_ROW(footprint, memory_is_touched_while_others_begin_to_use_it),
          TEST_ROW(footprint, arenas_of_many_threads_share_free_blocks))
