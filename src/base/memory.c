// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <stdlib.h>

#include "base/macros.h"

void assert_failed(const char *claim, const char *file, int line)
{
    fprintf(stderr, "narthex: %s:%d: assertion failed: %s\n", file, line, claim);
    abort();
}

void out_of_memory(size_t bytes)
{
    fprintf(stderr, "narthex: out of memory: cannot take %zu bytes more\n", bytes);
    abort();
}

void *x_malloc(size_t bytes)
{
    void *p = malloc(bytes ? bytes : 1);
    if (!p)
        out_of_memory(bytes);
    return p;
}

void *x_calloc(size_t count, size_t bytes)
{
    void *p = calloc(count ? count : 1, bytes ? bytes : 1);
    if (!p)
        out_of_memory(count * bytes);
    return p;
}

void *x_realloc(void *old, size_t bytes)
{
    void *p = realloc(old, bytes ? bytes : 1);
    if (!p)
        out_of_memory(bytes);
    return p;
}
