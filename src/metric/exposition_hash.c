// SPDX-License-Identifier: Apache-2.0
// The hash by which a series' text is known again. It never leaves the process, so each machine may have its own.
//
// Where the CPU has instructions for AES, four lanes of two rounds for each 16 bytes take half the time of XXH3, and code that stands still where
// XXH3 has one for each length. It is a hash against chance, not against an enemy: a page can only mislead itself.
#include "base/vectors.h"
#include "metric/exposition_internal.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#ifdef __x86_64__
#include <immintrin.h>

#define LANE_BYTES 16
#define LANES_BYTES (4 * LANE_BYTES)

// Of xxh_x86dispatch.h, which would rename what is inline here.
XXH64_hash_t XXH3_64bits_dispatch(const void *input, size_t len);

// Two rounds for each block: what differs in one byte differs in all sixteen before the next comes.
__attribute__((target("aes,sse4.1"))) static inline __m128i mix(__m128i lane, __m128i block)
{
    const __m128i key = _mm_set_epi64x(0x13198a2e03707344, 0x243f6a8885a308d3);
    return _mm_aesenc_si128(_mm_aesenc_si128(lane, block), key);
}

__attribute__((target("aes,sse4.1"))) static inline __m128i load(const char *at)
{
    return _mm_loadu_si128((const __m128i *)(const void *)at);
}

// Of at least LANE_BYTES. Bytes of the block before the last one may be read again with it, but then at another place.
__attribute__((target("aes,sse4.1"))) static uint64_t hash_by_aes(const char *at, size_t len)
{
    const char *end = at + len;
    __m128i a = _mm_set1_epi64x((long long)len);
    __m128i b = _mm_set_epi64x(0x082efa98ec4e6c89, 0x452821e638d01377);
    __m128i c = _mm_set_epi64x(0x3f84d5b5b5470917, 0x0216d5d98979fb1b);
    __m128i d = _mm_set_epi64x(0x2ba7c3e0f4d19a55, 0x6a09e667f3bcc908);

    for (; end - at > LANES_BYTES; at += LANES_BYTES) {
        a = mix(a, load(at));
        b = mix(b, load(at + LANE_BYTES));
        c = mix(c, load(at + 2 * LANE_BYTES));
        d = mix(d, load(at + 3 * LANE_BYTES));
    }
    if (end - at > LANE_BYTES)
        a = mix(a, load(at));
    if (end - at > 2 * LANE_BYTES)
        b = mix(b, load(at + LANE_BYTES));
    if (end - at > 3 * LANE_BYTES)
        c = mix(c, load(at + 2 * LANE_BYTES));
    d = mix(d, load(end - LANE_BYTES));
    __m128i all = mix(mix(a, b), mix(c, d));
    return (uint64_t)_mm_cvtsi128_si64(mix(all, b));
}
#endif

uint64_t exposition_series_hash(Str series_text)
{
#ifdef __x86_64__
    if (LIKELY(series_text.len >= LANE_BYTES && __builtin_cpu_supports("aes")))
        return hash_by_aes(series_text.ptr, series_text.len);
    // Beyond XXH3_MIDSIZE_MAX the library's choice among instruction sets is worth its call.
    if (series_text.len > XXH3_MIDSIZE_MAX) {
        uint64_t hash = XXH3_64bits_dispatch(series_text.ptr, series_text.len);
        vectors_clean();
        return hash;
    }
#endif
    return XXH3_64bits(series_text.ptr, series_text.len);
}

uint64_t exposition_sample_hash(const Exposition *parser)
{
    return parser->series_hash ? parser->series_hash : exposition_series_hash(parser->series_text);
}
