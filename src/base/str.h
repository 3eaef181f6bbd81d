// SPDX-License-Identifier: Apache-2.0
// str.h: a read-only view of bytes, passed by value, without a NUL. It owns nothing.
#pragma once

#include <string.h>

#include "base/macros.h"

typedef struct Str {
    const char *ptr;
    size_t len;
} Str;

// A view of a string literal; also usable in static initialisers.
#define STR(literal)                                                                               \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }
// The same as an expression.
#define S(literal) ((Str)STR(literal))
#define STR_NONE ((Str){NULL, 0})

#define STR_FMT "%.*s"
#define STR_ARG(s) (int)(s).len, (s).ptr

// A view of a C string; NULL gives the empty view.
static inline Str str_from_c(const char *c)
{
    return (Str){c, c ? strlen(c) : 0};
}

static inline Str str_make(const char *ptr, size_t len)
{
    return (Str){ptr, len};
}

static inline bool str_equal(Str a, Str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool str_is(Str a, const char *c)
{
    return str_equal(a, str_from_c(c));
}

// Bytewise order, a prefix before what it begins: <0, 0, >0.
static inline int str_compare(Str a, Str b)
{
    size_t n = MIN(a.len, b.len);
    int c = n ? memcmp(a.ptr, b.ptr, n) : 0;
    return c ? c : (a.len > b.len) - (a.len < b.len);
}

static inline bool str_starts_with(Str s, Str prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

static inline bool str_ends_with(Str s, Str suffix)
{
    return s.len >= suffix.len &&
           (suffix.len == 0 || memcmp(s.ptr + s.len - suffix.len, suffix.ptr, suffix.len) == 0);
}

// The part from `from` on, at most `len` bytes; out-of-range indices give the empty rest.
static inline Str str_sub(Str s, size_t from, size_t len)
{
    if (from > s.len)
        from = s.len;
    return (Str){from ? s.ptr + from : s.ptr, MIN(len, s.len - from)}; // NULL + 0 is undefined in C
}

static inline Str str_skip(Str s, size_t count)
{
    return str_sub(s, count, SIZE_MAX);
}

// ASCII case is ignored.
bool str_equal_nocase(Str a, Str b);

#define STR_NOT_FOUND SIZE_MAX
// Index of the first `c` / `needle` or STR_NOT_FOUND.
size_t str_find_char(Str s, char c);
size_t str_rfind_char(Str s, char c);
size_t str_find(Str s, Str needle);

// Without ASCII white space at both ends.
Str str_trim(Str s);

// Cuts at the first `separator`: *ret_head is what stands before it, *rest what stands after.
// Returns false when *rest was empty at the call; the last piece has no separator behind it.
bool str_split_next(Str *rest, char separator, Str *ret_head);

// True if the bytes are valid UTF-8 (no surrogates, no overlong forms).
bool str_is_utf8(Str s);

// Decodes the first rune; returns its length in bytes (0 at the end) and U+FFFD with length 1 for an
// invalid byte.
size_t str_rune(Str s, uint32_t *ret_rune);

// The UTF-8 of a rune of at most 0x1FFFFF; returns its length, 1 to 4. What is no character is written all the same.
size_t str_put_rune(char out[4], uint32_t rune);

// The value of a digit, either case: 0 to 15, or 16 for what is none, so that "< base" tells a digit of it.
static inline unsigned str_digit(char c)
{
    return c >= '0' && c <= '9'   ? (unsigned)(c - '0')
           : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
           : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
                                  : 16;
}

// Edit distance (insert, delete, replace), for "did you mean"; strings of up to 64 bytes, else SIZE_MAX.
size_t str_distance(Str a, Str b);

// xxHash3, 64 bits, for hash maps; not stable on disk.
uint64_t str_hash(Str s);

// The same with 128 bits: stands for the bytes where a confusion must not happen in a lifetime.
typedef struct Hash128 {
    uint64_t low;
    uint64_t high;
} Hash128;
Hash128 str_hash128(Str s);
