// SPDX-License-Identifier: Apache-2.0
// random.h: one printed seed gives the same run again; random_system() is the kernel's.
#pragma once

#include "base/macros.h"

typedef struct Random {
    uint64_t state[4];
} Random;

void random_seed(Random *random, uint64_t seed);
uint64_t random_u64(Random *random);
uint64_t random_below(Random *random, uint64_t bound); // bound > 0
double random_double(Random *random);                  // [0, 1)
// getrandom(2): names of files, seeds of hashes.
void random_system(void *out, size_t bytes);
// For tests: from now on random_system() draws from this seed in this thread. NULL: from the kernel again.
void random_system_pretend(const uint64_t *seed);
