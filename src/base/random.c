// SPDX-License-Identifier: Apache-2.0
// xoshiro256** seeded by splitmix64 (Blackman and Vigna, 2018).
#include "base/random.h"

#include <errno.h>
#include <sys/random.h>

void random_seed(Random *random, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        seed += 0x9E3779B97F4A7C15ULL;
        uint64_t z = seed;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
        random->state[i] = z ^ (z >> 31);
    }
}

static uint64_t rotate(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

uint64_t random_u64(Random *random)
{
    uint64_t *s = random->state;
    uint64_t result = rotate(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

uint64_t random_below(Random *random, uint64_t bound)
{
    ASSERT(bound > 0);
    return (uint64_t)(((unsigned __int128)random_u64(random) * bound) >> 64);
}

double random_double(Random *random)
{
    return (double)(random_u64(random) >> 11) * 0x1.0p-53;
}

static _Thread_local Random pretended;
static _Thread_local bool pretends;

void random_system_pretend(const uint64_t *seed)
{
    pretends = seed != NULL;
    if (seed)
        random_seed(&pretended, *seed);
}

void random_system(void *out, size_t bytes)
{
    char *at = out;
    for (; UNLIKELY(pretends) && bytes; bytes--)
        *at++ = (char)(random_u64(&pretended) >> 56);
    while (bytes) {
        ssize_t n = getrandom(at, bytes, 0);
        if (n < 0 && errno == EINTR)
            continue;
        ASSERT(n > 0);
        at += n;
        bytes -= (size_t)n;
    }
}
