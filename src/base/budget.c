// SPDX-License-Identifier: Apache-2.0
#include "base/budget.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t load(const uint64_t *number)
{
    return __atomic_load_n(number, __ATOMIC_RELAXED);
}

uint64_t budget_taken(const Budget *budget)
{
    return load(&budget->taken);
}

static void note_peak(Budget *budget, uint64_t now)
{
    uint64_t peak = load(&budget->peak);
    while (now > peak && !__atomic_compare_exchange_n(&budget->peak, &peak, now, true,
                                                      __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

// Counts first and takes it back if that was too much, so that two at once cannot both pass.
static bool take_here(Budget *budget, uint64_t bytes)
{
    uint64_t now = __atomic_add_fetch(&budget->taken, bytes, __ATOMIC_RELAXED);
    if (budget->bytes_max && (now > budget->bytes_max || now < bytes)) {
        __atomic_sub_fetch(&budget->taken, bytes, __ATOMIC_RELAXED);
        return false;
    }
    note_peak(budget, now);
    return true;
}

void budget_give(Budget *budget, uint64_t bytes)
{
    for (; budget; budget = budget->parent)
        __atomic_sub_fetch(&budget->taken, bytes, __ATOMIC_RELAXED);
}

// NULL, or the limit that does not allow it.
static const Budget *take_all(Budget *budget, uint64_t bytes)
{
    for (Budget *b = budget; b; b = b->parent)
        if (!take_here(b, bytes)) {
            for (; budget != b; budget = budget->parent)
                __atomic_sub_fetch(&budget->taken, bytes, __ATOMIC_RELAXED);
            return b;
        }
    return NULL;
}

// The first limit that a budget meets is the one that is told.
static void mark_over(Budget *budget, const Budget *limit, uint64_t bytes)
{
    const Budget *none = NULL;
    uint64_t zero = 0;
    (void)__atomic_compare_exchange_n(&budget->asked, &zero, bytes, false, __ATOMIC_RELAXED,
                                      __ATOMIC_RELAXED);
    if (!__atomic_compare_exchange_n(&budget->over, &none, limit, false, __ATOMIC_RELEASE,
                                     __ATOMIC_RELAXED))
        return;
    while (budget->parent)
        budget = budget->parent;
    __atomic_add_fetch(&budget->refused, 1, __ATOMIC_RELAXED);
}

static bool refuse(const Budget *limit, uint64_t bytes, Error *err)
{
    return error_set(err, ERR_LIMIT,
                     "not enough memory for the query: it asked for %llu bytes more, but %llu of "
                     "the %llu bytes that %s may hold are taken (%s)",
                     (unsigned long long)bytes, (unsigned long long)budget_taken(limit),
                     (unsigned long long)limit->bytes_max, limit->holder, limit->name);
}

bool budget_take(Budget *budget, uint64_t bytes, Error *err)
{
    const Budget *limit = take_all(budget, bytes);
    if (!limit)
        return true;
    mark_over(budget, limit, bytes);
    return refuse(limit, bytes, err);
}

bool budget_try(Budget *budget, uint64_t bytes)
{
    return !take_all(budget, bytes);
}

void budget_force(Budget *budget, uint64_t bytes)
{
    const Budget *limit = take_all(budget, bytes);
    if (!limit)
        return;
    for (Budget *b = budget; b; b = b->parent)
        note_peak(b, __atomic_add_fetch(&b->taken, bytes, __ATOMIC_RELAXED));
    mark_over(budget, limit, bytes);
}

bool budget_ok(const Budget *budget, Error *err)
{
    const Budget *limit = __atomic_load_n(&budget->over, __ATOMIC_ACQUIRE);
    return LIKELY(!limit) || refuse(limit, load(&budget->asked), err);
}

// ---- what there is ----

// The number in a file of one line; UINT64_MAX for "max", for what is no number, and without the file.
static uint64_t number_in(const char *path)
{
    char text[64] = "";
    FILE *file = fopen(path, "re");
    if (!file)
        return UINT64_MAX;
    size_t len = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[len] = '\0';
    char *end;
    unsigned long long value = strtoull(text, &end, 10);
    return end == text ? UINT64_MAX : value;
}

// The least limit on the way from our cgroup up to the root; of version 2.
static uint64_t cgroup_limit(void)
{
    char line[4096];
    char path[4200];
    uint64_t limit = MIN(number_in("/sys/fs/cgroup/memory.max"),
                         number_in("/sys/fs/cgroup/memory/memory.limit_in_bytes"));
    FILE *file = fopen("/proc/self/cgroup", "re");
    if (!file)
        return limit;
    while (fgets(line, sizeof line, file)) {
        if (strncmp(line, "0::/", 4) != 0)
            continue;
        line[strcspn(line, "\n")] = '\0';
        for (char *slash; line[4] && (slash = strrchr(line + 3, '/')); *slash = '\0') {
            snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.max", line + 3);
            limit = MIN(limit, number_in(path));
        }
    }
    fclose(file);
    return limit;
}

uint64_t memory_limit_bytes(void)
{
    long pages = sysconf(_SC_PHYS_PAGES);
    long page_bytes = sysconf(_SC_PAGESIZE);
    uint64_t machine =
        pages > 0 && page_bytes > 0 ? (uint64_t)pages * (uint64_t)page_bytes : UINT64_C(4) << 30;
    return MIN(machine, cgroup_limit());
}
