// SPDX-License-Identifier: Apache-2.0
#include "base/regex_cache.h"

#include <pthread.h>
#include <stdlib.h>

#define KEPT_MAX 32 // patterns; what their automata have learnt of texts may take megabytes
#define KEPT_PATTERN_BYTES 1024 // longer ones are not kept

typedef struct KeptRegex {
    Regex *regex; // NULL: the place is free
    char *pattern;
    size_t len;
    size_t users;
    uint64_t taken; // when, by `now`
} KeptRegex;

static pthread_mutex_t kept_lock = PTHREAD_MUTEX_INITIALIZER; // nothing is taken under it
static KeptRegex kept[KEPT_MAX];                              // GUARDED_BY(kept_lock)
static uint64_t now;     // GUARDED_BY(kept_lock); rises with each pattern that is taken
static uint64_t trimmed; // GUARDED_BY(kept_lock); what `now` was then

static void forget(const KeptRegex *k)
{
    regex_free(k->regex);
    free(k->pattern);
}

static Regex *take_kept(Str pattern)
{
    Regex *regex = NULL;

    pthread_mutex_lock(&kept_lock);
    for (KeptRegex *k = kept; k < kept + KEPT_MAX && !regex; k++) {
        if (!k->regex || !str_equal((Str){k->pattern, k->len}, pattern))
            continue;
        regex = k->regex;
        k->users++;
        k->taken = ++now;
    }
    pthread_mutex_unlock(&kept_lock);
    return regex;
}

// A free place, or that of the pattern that nobody has taken for the longest time. NULL: all are held.
static KeptRegex *find_place(void)
{
    KeptRegex *best = NULL;

    for (KeptRegex *k = kept; k < kept + KEPT_MAX; k++) {
        if (!k->regex)
            return k;
        if (!k->users && (!best || k->taken < best->taken))
            best = k;
    }
    return best;
}

// From now on the regex is shared. Two who compiled the same at once keep one each.
static void keep(Str pattern, Regex *regex)
{
    char *copy = x_malloc(pattern.len + 1);
    KeptRegex old = {.pattern = copy};

    memcpy(copy, pattern.ptr, pattern.len);
    copy[pattern.len] = '\0';
    pthread_mutex_lock(&kept_lock);
    KeptRegex *place = find_place();
    if (place) {
        old = *place;
        *place = (KeptRegex){regex, copy, pattern.len, 1, ++now};
    }
    pthread_mutex_unlock(&kept_lock);
    forget(&old);
}

bool regex_cache_take(Str pattern, Regex **ret_regex, Error *err)
{
    bool keeps = pattern.len > 0 && pattern.len <= KEPT_PATTERN_BYTES;

    if (keeps) {
        *ret_regex = take_kept(pattern);
        if (*ret_regex)
            return true;
    }
    if (!regex_new(pattern, ret_regex, err))
        return false;
    if (keeps)
        keep(pattern, *ret_regex);
    return true;
}

void regex_cache_give(Regex *regex)
{
    bool is_kept = false;

    if (!regex)
        return;
    pthread_mutex_lock(&kept_lock);
    for (KeptRegex *k = kept; k < kept + KEPT_MAX && !is_kept; k++) {
        is_kept = k->regex == regex;
        k->users -= is_kept;
    }
    pthread_mutex_unlock(&kept_lock);
    if (!is_kept)
        regex_free(regex);
}

void regex_cache_trim(void)
{
    KeptRegex doomed[KEPT_MAX];
    size_t count = 0;

    pthread_mutex_lock(&kept_lock);
    for (KeptRegex *k = kept; k < kept + KEPT_MAX; k++) {
        if (!k->regex || k->users || k->taken > trimmed)
            continue;
        doomed[count++] = *k;
        *k = (KeptRegex){0};
    }
    trimmed = now;
    pthread_mutex_unlock(&kept_lock);
    for (size_t i = 0; i < count; i++)
        forget(&doomed[i]);
}
