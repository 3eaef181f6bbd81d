// SPDX-License-Identifier: Apache-2.0
#include "base/str.h"

#include <xxhash.h>

static unsigned char lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

bool str_equal_nocase(Str a, Str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.ptr[i]) != lower(b.ptr[i]))
            return false;
    return true;
}

size_t str_find_char(Str s, char c)
{
    const char *at = s.len ? memchr(s.ptr, c, s.len) : NULL;
    return at ? (size_t)(at - s.ptr) : STR_NOT_FOUND;
}

size_t str_rfind_char(Str s, char c)
{
    const char *at = s.len ? memrchr(s.ptr, c, s.len) : NULL;
    return at ? (size_t)(at - s.ptr) : STR_NOT_FOUND;
}

size_t str_find(Str s, Str needle)
{
    if (needle.len == 0)
        return 0;
    const char *at = s.len ? memmem(s.ptr, s.len, needle.ptr, needle.len) : NULL;
    return at ? (size_t)(at - s.ptr) : STR_NOT_FOUND;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

Str str_trim(Str s)
{
    while (s.len && is_space(s.ptr[0]))
        s = str_skip(s, 1);
    while (s.len && is_space(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

bool str_split_next(Str *rest, char separator, Str *ret_head)
{
    if (rest->len == 0)
        return false;

    size_t cut = str_find_char(*rest, separator);
    if (cut == STR_NOT_FOUND) {
        *ret_head = *rest;
        *rest = str_skip(*rest, rest->len);
    } else {
        *ret_head = str_sub(*rest, 0, cut);
        *rest = str_skip(*rest, cut + 1);
    }
    return true;
}

#define RUNE_INVALID 0xFFFDu

// Length of the sequence that `lead` begins, 0 if it begins none, and its payload bits.
static size_t rune_lead(unsigned char lead, uint32_t *ret_bits, uint32_t *ret_smallest)
{
    if (lead >= 0xC2 && lead <= 0xDF) {
        *ret_bits = lead & 0x1F;
        *ret_smallest = 0x80;
        return 2;
    }
    if (lead >= 0xE0 && lead <= 0xEF) {
        *ret_bits = lead & 0x0F;
        *ret_smallest = 0x800;
        return 3;
    }
    if (lead >= 0xF0 && lead <= 0xF4) {
        *ret_bits = lead & 0x07;
        *ret_smallest = 0x10000;
        return 4;
    }
    return 0;
}

// RFC 3629: returns 0 for an invalid sequence at the front of s.
static size_t rune_decode(Str s, uint32_t *ret_rune)
{
    const unsigned char *p = (const unsigned char *)s.ptr;
    if (p[0] < 0x80) {
        *ret_rune = p[0];
        return 1;
    }

    uint32_t rune = 0;
    uint32_t smallest = 0;
    size_t len = rune_lead(p[0], &rune, &smallest);
    if (len == 0 || len > s.len)
        return 0;
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 0;
        rune = rune << 6 | (p[i] & 0x3F);
    }
    if (rune < smallest || rune > 0x10FFFF || (rune >= 0xD800 && rune <= 0xDFFF))
        return 0;
    *ret_rune = rune;
    return len;
}

bool str_is_utf8(Str s)
{
    size_t i = 0;
    while (i < s.len) {
        // Eight ASCII bytes at a time: nearly all labels are nothing else.
        uint64_t eight;
        if (s.len - i >= 8) {
            memcpy(&eight, s.ptr + i, 8);
            if (!(eight & 0x8080808080808080ULL)) {
                i += 8;
                continue;
            }
        }
        if ((unsigned char)s.ptr[i] < 0x80) {
            i++;
            continue;
        }
        uint32_t rune;
        size_t len = rune_decode(str_skip(s, i), &rune);
        if (len == 0)
            return false;
        i += len;
    }
    return true;
}

size_t str_rune(Str s, uint32_t *ret_rune)
{
    if (s.len == 0)
        return 0;
    size_t len = rune_decode(s, ret_rune);
    if (len == 0) {
        *ret_rune = RUNE_INVALID;
        return 1;
    }
    return len;
}

size_t str_put_rune(char out[4], uint32_t rune)
{
    if (rune < 0x80) {
        out[0] = (char)rune;
        return 1;
    }
    size_t len = rune < 0x800 ? 2 : rune < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--, rune >>= 6)
        out[i] = (char)(0x80 | (rune & 0x3f));
    out[0] = (char)(0xf00 >> len | rune);
    return len;
}

#define DISTANCE_BYTES_MAX 64

size_t str_distance(Str a, Str b)
{
    if (a.len > DISTANCE_BYTES_MAX || b.len > DISTANCE_BYTES_MAX)
        return SIZE_MAX;

    size_t row[DISTANCE_BYTES_MAX + 1];
    for (size_t j = 0; j <= b.len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t replace = diagonal + (a.ptr[i - 1] != b.ptr[j - 1]);
            diagonal = row[j];
            row[j] = MIN(replace, MIN(row[j], row[j - 1]) + 1);
        }
    }
    return row[b.len];
}

uint64_t str_hash(Str s)
{
    return XXH3_64bits(s.ptr ? s.ptr : "", s.len);
}

Hash128 str_hash128(Str s)
{
    XXH128_hash_t hash = XXH3_128bits(s.ptr ? s.ptr : "", s.len);
    return (Hash128){hash.low64, hash.high64};
}
