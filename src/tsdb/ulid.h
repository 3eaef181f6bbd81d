// SPDX-License-Identifier: Apache-2.0
// ulid.h: 48 bits of milliseconds and 80 random bits, as 26 characters of Crockford's base 32: names of blocks, sorted by birth.
#pragma once

#include "base/str.h"

#define ULID_CHARS 26

typedef struct Ulid {
    char text[ULID_CHARS + 1]; // NUL-terminated
} Ulid;

Ulid ulid_new(int64_t now_ms);
// False if s is none.
bool ulid_parse(Str s, Ulid *ret_ulid);
// Milliseconds since the epoch of its birth.
int64_t ulid_time_ms(const Ulid *ulid);

static inline Str ulid_str(const Ulid *ulid)
{
    return (Str){ulid->text, ULID_CHARS};
}

static inline bool ulid_equal(const Ulid *a, const Ulid *b)
{
    return memcmp(a->text, b->text, ULID_CHARS) == 0;
}
