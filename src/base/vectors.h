// SPDX-License-Identifier: Apache-2.0
// vectors.h: the state in which foreign vector code leaves the CPU.
//
// Code for AVX that ends without vzeroupper leaves the upper halves of the vector registers in use. From then on each change between
// such code and what is compiled for SSE (all of ours) costs the CPU some 80 ns, measured on Sapphire Rapids. Debian's libxxhash 0.8.1
// and isa-l 2.30 end that way in what they choose where there is AVX-512.
#pragma once

#include "base/macros.h"

// Right after a call into such code.
static inline void vectors_clean(void)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx"))
        __asm__ volatile("vzeroupper" ::
                             : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
                               "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
                               "xmm15");
#endif
}
