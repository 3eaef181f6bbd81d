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

size_t chunk_xor2_decode(Str chunk, int64_t *t_ms, double *value, int64_t *start_ms, size_t max)
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
        start_ms[i] = chunk_start_read(&start, i, (int64_t)x.t, i ? t_ms[i - 1] : 0, &x.r);
        if (x.r.failed)
            return i;
        t_ms[i] = (int64_t)x.t;
        value[i] = chunk_xor_from_bits(x.value);
    }
    return count;
}

// Writing ------------------------------------------------------------------------------------------------------------------------

typedef struct Xor2Writer {
    BitWriter w;
    uint64_t delta;
    uint64_t baseline; // newest that was not stale
    unsigned leading;
    unsigned trailing;
    bool has_window;
} Xor2Writer;

static bool fits_window(const Xor2Writer *x, uint64_t change)
{
    return x->has_window && MIN((unsigned)__builtin_clzll(change), 31u) >= x->leading &&
           (unsigned)__builtin_ctzll(change) >= x->trailing;
}

static void put_same_window(Xor2Writer *x, uint64_t change)
{
    bit_writer_put(&x->w, change >> x->trailing, 64 - x->leading - x->trailing);
}

static void put_new_window(Xor2Writer *x, uint64_t change)
{
    x->leading = MIN((unsigned)__builtin_clzll(change), 31u);
    x->trailing = (unsigned)__builtin_ctzll(change);
    x->has_window = true;
    bit_writer_put(&x->w, x->leading, 5);
    bit_writer_put(&x->w, (64 - x->leading - x->trailing) & 63, 6);
    put_same_window(x, change);
}

static void put_value(Xor2Writer *x, uint64_t bits)
{
    uint64_t change = bits ^ x->baseline;

    if (bits == STALE_BITS) {
        bit_writer_put(&x->w, 7, 3);
        return;
    }
    x->baseline = bits;
    if (change == 0) {
        bit_writer_put(&x->w, 0, 1);
    } else if (fits_window(x, change)) {
        bit_writer_put(&x->w, 2, 2);
        put_same_window(x, change);
    } else {
        bit_writer_put(&x->w, 6, 3);
        put_new_window(x, change);
    }
}

// A sample whose delta is that of the one before.
static void put_even(Xor2Writer *x, uint64_t bits)
{
    uint64_t change = bits ^ x->baseline;

    if (bits == STALE_BITS) {
        bit_writer_put(&x->w, 31, 5);
        return;
    }
    x->baseline = bits;
    if (change == 0) {
        bit_writer_put(&x->w, 0, 1);
    } else if (fits_window(x, change)) {
        bit_writer_put(&x->w, 4, 3);
        put_same_window(x, change);
    } else {
        bit_writer_put(&x->w, 5, 3);
        put_new_window(x, change);
    }
}

static void put_joint(Xor2Writer *x, uint64_t delta, uint64_t bits)
{
    int64_t dod = (int64_t)(delta - x->delta);

    x->delta = delta;
    if (dod == 0) {
        put_even(x, bits);
        return;
    }
    if (dod >= -4096 && dod < 4096) {
        bit_writer_put(&x->w, 6, 3);
        bit_writer_put(&x->w, (uint64_t)dod & 0x1fff, 13);
    } else if (dod >= -524288 && dod < 524288) {
        bit_writer_put(&x->w, 14, 4);
        bit_writer_put(&x->w, (uint64_t)dod & 0xfffff, 20);
    } else {
        bit_writer_put(&x->w, 30, 5);
        bit_writer_put(&x->w, (uint64_t)dod, 64);
    }
    put_value(x, bits);
}

static void put_first(Xor2Writer *x, int64_t t_ms, uint64_t bits)
{
    bit_writer_varint(&x->w, t_ms);
    bit_writer_put(&x->w, bits, 64);
    if (bits != STALE_BITS)
        x->baseline = bits;
}

Str chunk_xor2_encode(Arena *arena, const int64_t *t_ms, const double *value,
                      const int64_t *start_ms, size_t count)
{
    Xor2Writer x = {.delta = 0};
    uint8_t header = chunk_start_header(start_ms, count);
    ChunkStart start = chunk_start_from(header);

    ASSERT(count > 0 && count <= UINT16_MAX);
    bit_writer_put(&x.w, count, 16);
    bit_writer_put(&x.w, header, 8);
    for (size_t i = 0; i < count; i++) {
        uint64_t bits = chunk_xor_to_bits(value[i]);
        if (i == 0) {
            put_first(&x, t_ms[0], bits);
        } else if (i == 1) {
            x.delta = (uint64_t)t_ms[1] - (uint64_t)t_ms[0];
            bit_writer_uvarint(&x.w, x.delta);
            put_value(&x, bits);
        } else {
            put_joint(&x, (uint64_t)t_ms[i] - (uint64_t)t_ms[i - 1], bits);
        }
        chunk_start_put(&start, i, t_ms[i], i ? t_ms[i - 1] : 0, start_ms[i], &x.w);
    }
    Str chunk = arena_str(arena, bit_writer_str(&x.w));
    bit_writer_deinit(&x.w);
    return chunk;
}
