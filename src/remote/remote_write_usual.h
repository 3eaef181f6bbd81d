// SPDX-License-Identifier: Apache-2.0
// remote_write_usual.h: a sample as every sender writes it, both versions alike, read as one piece.
//
//     0x12 | 16 | 0x09 | value 8 | 0x10 | time stamp, 6 bytes of varint
//     0x12 |  7 |                  0x10 | time stamp, 6 bytes of varint      the value is 0
//
// Six bytes hold the milliseconds from 2 Nov 2004 on until 3084. Whatever looks otherwise is read field by field.
#pragma once

#include "base/reader.h"

#define USUAL_TIME_BYTES 6

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words are read as they lie");

static inline bool usual_time(const uint8_t *at, int64_t *ret_t_ms)
{
    uint32_t low;
    uint16_t high;

    memcpy(&low, at, sizeof low);
    memcpy(&high, at + sizeof low, sizeof high);
    uint64_t word = (uint64_t)high << 32 | low;
    // Seven bits of each byte move together: in pairs first, then three pairs.
    uint64_t pairs = (word & 0x007f007f007f) | (word & 0x7f007f007f00) >> 1;
    *ret_t_ms = (int64_t)((pairs & 0x3fff) | (pairs & UINT64_C(0x3fff) << 16) >> 2 |
                          (pairs & UINT64_C(0x3fff) << 32) >> 4);
    return (word & 0x808080808080) == 0x008080808080;
}

// False, and nothing is read, if the next field is not such a sample.
static inline bool usual_sample(Reader *in, int64_t *ret_t_ms, double *ret_value)
{
    const uint8_t *at = in->at;
    size_t bytes = reader_left(in);
    bool has_value = bytes >= 12 + USUAL_TIME_BYTES && at[0] == 0x12 && at[1] == 16 &&
                     at[2] == 0x09 && at[11] == 0x10;
    bool is_zero = bytes >= 3 + USUAL_TIME_BYTES && at[0] == 0x12 && at[1] == 7 && at[2] == 0x10;

    if (!has_value && !is_zero)
        return false;
    *ret_value = 0;
    if (has_value)
        memcpy(ret_value, at + 3, sizeof *ret_value);
    at += has_value ? 12 : 3;
    if (UNLIKELY(!usual_time(at, ret_t_ms)))
        return false;
    in->at = at + USUAL_TIME_BYTES;
    return true;
}

// Behind the fields of this tag from `at` on that have less than 128 bytes.
static inline const uint8_t *usual_skip(const uint8_t *at, const uint8_t *end, uint8_t tag)
{
    while (end - at >= 2 && at[0] == tag && at[1] < 0x80 && at[1] <= end - at - 2)
        at += 2 + at[1];
    return at;
}
