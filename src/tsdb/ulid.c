// SPDX-License-Identifier: Apache-2.0
#include "tsdb/ulid.h"

#include "base/random.h"

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

Ulid ulid_new(int64_t now_ms)
{
    uint8_t random[16]; // five bits of each
    Ulid ulid = {{0}};

    for (int i = 0; i < 10; i++)
        ulid.text[i] = alphabet[(uint64_t)now_ms >> (45 - 5 * i) & 31];
    random_system(random, sizeof random);
    for (int i = 0; i < 16; i++)
        ulid.text[10 + i] = alphabet[random[i] & 31];
    return ulid;
}

static int digit_of(char c)
{
    const char *at = c ? strchr(alphabet, c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c) : NULL;
    return at ? (int)(at - alphabet) : -1;
}

bool ulid_parse(Str s, Ulid *ret_ulid)
{
    Ulid ulid = {{0}};

    if (s.len != ULID_CHARS || digit_of(s.ptr[0]) > 7)
        return false;
    for (size_t i = 0; i < ULID_CHARS; i++) {
        int digit = digit_of(s.ptr[i]);
        if (digit < 0)
            return false;
        ulid.text[i] = s.ptr[i];
    }
    *ret_ulid = ulid;
    return true;
}

int64_t ulid_time_ms(const Ulid *ulid)
{
    uint64_t ms = 0;

    for (int i = 0; i < 10; i++)
        ms = ms << 5 | (uint64_t)(digit_of(ulid->text[i]) & 31);
    return (int64_t)(ms & 0xffffffffffff);
}
