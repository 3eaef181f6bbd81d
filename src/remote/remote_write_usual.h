// SPDX-License-Identifier: Apache-2.0
// remote_write_usual.h: a sample as every sender writes it, both versions alike, read as one piece.
//
//     0x12 | 16 | 0x09 | value 8 | 0x10 | time stamp, 6 bytes of varint
//     0x12 |  7 |                  0x10 | time stamp, 6 bytes of varint      the value is 0
//
// Six bytes hold the milliseconds from 2 Nov 2004 on until 3084. Whatever looks otherwise is read field by field.
#pragma once

#include "base/reader.h"
#include "metric/sink.h"

#define USUAL_TIME_BYTES 6

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words are read as they lie");

static inline bool usual_time(const uint8_t *at, int64_t *ret_t_ms)
{
    uint32_t low;
    uint16_t high;

    memcpy(&low, at, sizeof low);
    memcpy(&high, at + sizeof low, sizeof high);
    uint64_t word = (uint64_t)high << 32 | low;
    uint64_t t_ms = 0;
    for (unsigned i = 0; i < USUAL_TIME_BYTES; i++)
        t_ms |= word >> i & UINT64_C(0x7f) << 7 * i;
    *ret_t_ms = (int64_t)t_ms;
    return (word & 0x808080808080) == 0x008080808080;
}

// False, and nothing is read, if the next field is not such a sample.
static inline bool usual_sample(Reader *in, SinkSample *ret_sample)
{
    const uint8_t *at = in->at;
    size_t bytes = reader_left(in);
    bool has_value = bytes >= 12 + USUAL_TIME_BYTES && at[0] == 0x12 && at[1] == 16 &&
                     at[2] == 0x09 && at[11] == 0x10;
    bool is_zero = bytes >= 3 + USUAL_TIME_BYTES && at[0] == 0x12 && at[1] == 7 && at[2] == 0x10;

    if (!has_value && !is_zero)
        return false;
    SinkSample sample = {.value = 0};
    if (has_value)
        memcpy(&sample.value, at + 3, sizeof sample.value);
    at += has_value ? 12 : 3;
    if (UNLIKELY(!usual_time(at, &sample.t_ms)))
        return false;
    in->at = at + USUAL_TIME_BYTES;
    *ret_sample = sample;
    return true;
}

// Behind the fields of this tag from `at` on that have less than 128 bytes.
static inline const uint8_t *usual_skip(const uint8_t *at, const uint8_t *end, uint8_t tag)
{
    while (end - at >= 2 && at[0] == tag && at[1] < 0x80 && at[1] <= end - at - 2)
        at += 2 + at[1];
    return at;
}
