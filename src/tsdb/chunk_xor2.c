// SPDX-License-Identifier: Apache-2.0
#include "tsdb/chunk_xor2.h"

#include "tsdb/bitstream.h"
#include "tsdb/chunk_start.h"
#include "tsdb/chunk_xor.h"

#define STALE_BITS UINT64_C(0x7ff0000000000002)
#define XOR2_HEADER_BYTES 3

typedef struct Xor2 {
    BitReader r;
    uint64_t t;
    uint64_t delta;
    uint64_t value;    // of this sample, as bits
    uint64_t baseline; // newest that was not stale
    unsigned leading;
    unsigned trailing;
    bool has_window;
} Xor2;

static void read_new_window(Xor2 *x)
{
    unsigned leading = (unsigned)bit_reader_get(&x->r, 5);
    unsigned wide = (unsigned)bit_reader_get(&x->r, 6);

    wide = wide ? wide : 64;
    if (leading + wide > 64) {
        x->r.failed = true;
        return;
    }
    x->leading = leading;
    x->trailing = 64 - leading - wide;
    x->has_window = true;
    x->value = x->baseline ^= bit_reader_get(&x->r, wide) << x->trailing;
}

static void read_same_window(Xor2 *x)
{
    if (!x->has_window) {
        x->r.failed = true;
        return;
    }
    x->value = x->baseline ^= bit_reader_get(&x->r, 64 - x->leading - x->trailing) << x->trailing;
}

static void read_value(Xor2 *x)
{
    if (!bit_reader_get(&x->r, 1))
        x->value = x->baseline;
    else if (!bit_reader_get(&x->r, 1))
        read_same_window(x);
    else if (!bit_reader_get(&x->r, 1))
        read_new_window(x);
    else
        x->value = STALE_BITS;
}

// Two's complement of that width, unlike the other bit fields.
static uint64_t read_dod(Xor2 *x, unsigned bits)
{
    uint64_t v = bit_reader_get(&x->r, bits);
    return bits < 64 && v >> (bits - 1) ? v - ((uint64_t)1 << bits) : v;
}

// Prefix of one to five bits, then what it says.
static void read_joint(Xor2 *x)
{
    static const uint8_t dod_bits[5] = {0, 0, 13, 20, 64};
    unsigned ones = 0;

    while (ones < 5 && bit_reader_get(&x->r, 1))
        ones++;
    if (ones >= 2 && ones <= 4) {
        x->delta += read_dod(x, dod_bits[ones]);
        x->t += x->delta;
        read_value(x);
        return;
    }
    x->t += x->delta;
    if (ones == 0)
        x->value = x->baseline;
    else if (ones == 5)
        x->value = STALE_BITS;
    else if (bit_reader_get(&x->r, 1))
        read_new_window(x);
    else
        read_same_window(x);
}

static void read_first(Xor2 *x)
{
    x->t = (uint64_t)bit_reader_varint(&x->r);
    x->value = bit_reader_get(&x->r, 64);
    if (x->value != STALE_BITS)
        x->baseline = x->value;
}

size_t chunk_xor2_decode(Str chunk, int64_t *t_ms, double *value, size_t max)
{
    Xor2 x = {.r = bit_reader_from(chunk)};
    size_t count = MIN(max, chunk_xor_count(chunk));

    if (chunk.len < XOR2_HEADER_BYTES)
        return 0;
    ChunkStart start = chunk_start_from((uint8_t)chunk.ptr[2]);
    x.r.bit = XOR2_HEADER_BYTES * 8;
    for (size_t i = 0; i < count; i++) {
        if (i == 0) {
            read_first(&x);
        } else if (i == 1) {
            x.delta = bit_reader_uvarint(&x.r);
            x.t += x.delta;
            read_value(&x);
        } else {
            read_joint(&x);
        }
        chunk_start_skip(start, i, &x.r);
        if (x.r.failed)
            return i;
        t_ms[i] = (int64_t)x.t;
        value[i] = chunk_xor_from_bits(x.value);
    }
    return count;
}
