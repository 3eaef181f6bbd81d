// SPDX-License-Identifier: Apache-2.0
#include "tsdb/bitstream.h"

void bitstream_put_exact(uint8_t *bytes, size_t bit, uint64_t value, unsigned count)
{
    uint8_t *at = bytes + (bit >> 3);
    unsigned used = (unsigned)(bit & 7);
    unsigned carry = used ? *at >> (8 - used) : 0;

    while (count > 0) {
        unsigned take = MIN(8 - used, count);
        unsigned piece = (unsigned)(value >> (count - take)) & ((1u << take) - 1);
        *at++ = (uint8_t)((carry << (8 - used)) | (piece << (8 - used - take)));
        count -= take;
        used = 0;
        carry = 0;
    }
}

uint64_t bit_reader_get_tail(BitReader *r, unsigned count)
{
    uint64_t value = 0;

    if (r->failed || count > r->bits - r->bit) {
        r->failed = true;
        return 0;
    }
    while (count > 0) {
        unsigned used = (unsigned)(r->bit & 7);
        unsigned take = MIN(8 - used, count);
        unsigned piece =
            (unsigned)(r->bytes[r->bit >> 3] >> (8 - used - take)) & ((1u << take) - 1);
        value = value << take | piece;
        r->bit += take;
        count -= take;
    }
    return value;
}

// At a whole byte, with the longest number there is ahead. False: it is too long, and nothing was read.
static bool uvarint_aligned(BitReader *r, uint64_t *ret_value)
{
    const uint8_t *at = r->bytes + (r->bit >> 3);
    uint64_t value = 0;

    for (unsigned i = 0; i < 9; i++) {
        value |= (uint64_t)(at[i] & 0x7f) << (7 * i);
        if (at[i] < 0x80) {
            r->bit += 8 * (i + 1);
            *ret_value = value;
            return true;
        }
    }
    return false;
}

uint64_t bit_reader_uvarint(BitReader *r)
{
    uint64_t value = 0;

    if ((r->bit & 7) == 0 && !r->failed && r->bit + 80 <= r->bits && uvarint_aligned(r, &value))
        return value;
    value = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint64_t byte = bit_reader_get(r, 8);
        if (shift == 63 && byte > 1)
            break;
        value |= (byte & 0x7f) << shift;
        if (byte < 0x80)
            return value;
    }
    r->failed = true;
    return 0;
}

int64_t bit_reader_varint(BitReader *r)
{
    uint64_t u = bit_reader_uvarint(r);
    return (int64_t)(u >> 1) ^ -(int64_t)(u & 1);
}

// Counts ones up to `max`, taking the zero that ends them.
static unsigned read_ones(BitReader *r, unsigned max)
{
    unsigned ones = 0;

    while (ones < max && bit_reader_get(r, 1))
        ones++;
    return ones;
}

// Widths of varbit_int and varbit_uint by their number of leading ones.
static const uint8_t varbit_bits[9] = {0, 3, 6, 9, 12, 18, 25, 56, 64};

int64_t bit_reader_varbit_int(BitReader *r)
{
    unsigned bits = varbit_bits[read_ones(r, 8)];
    return bits ? bitstream_widen(bit_reader_get(r, bits), bits) : 0;
}

uint64_t bit_reader_varbit_uint(BitReader *r)
{
    return bit_reader_get(r, varbit_bits[read_ones(r, 8)]);
}

int64_t bit_reader_varbit_ts(BitReader *r)
{
    static const uint8_t ts_bits[5] = {0, 14, 17, 20, 64};
    unsigned bits = ts_bits[read_ones(r, 4)];
    return bits ? bitstream_widen(bit_reader_get(r, bits), bits) : 0;
}

void bit_writer_deinit(BitWriter *w)
{
    buf_deinit(&w->buf);
    w->bit = 0;
}

void bit_writer_reset(BitWriter *w)
{
    buf_reset(&w->buf);
    w->bit = 0;
}

void bit_writer_put(BitWriter *w, uint64_t value, unsigned count)
{
    size_t bytes = (w->bit + count + 7) / 8;

    if (bytes > w->buf.len) {
        char *room = buf_reserve(&w->buf, bytes - w->buf.len);
        ASSERT(room != NULL);
        w->buf.len = bytes;
    }
    bitstream_put((uint8_t *)w->buf.ptr, bytes, w->bit, value, count);
    w->bit += count;
}

void bit_writer_uvarint(BitWriter *w, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        bit_writer_put(w, (value & 0x7f) | 0x80, 8);
    bit_writer_put(w, value, 8);
}

void bit_writer_varint(BitWriter *w, int64_t value)
{
    bit_writer_uvarint(w, (uint64_t)value << 1 ^ (uint64_t)(value >> 63));
}

// `ones` ones and a zero (no zero behind eight), then the value.
static void put_varbit(BitWriter *w, uint64_t value, unsigned ones)
{
    unsigned bits = varbit_bits[ones];

    if (ones == 8)
        bit_writer_put(w, 0xff, 8);
    else
        bit_writer_put(w, ((1u << ones) - 1) << 1, ones + 1);
    bit_writer_put(w, value, bits);
}

void bit_writer_varbit_int(BitWriter *w, int64_t value)
{
    unsigned ones = value == 0 ? 0 : 1;

    while (ones > 0 && ones < 8 && !bitstream_fits(value, varbit_bits[ones]))
        ones++;
    put_varbit(w, (uint64_t)value, ones);
}

void bit_writer_varbit_uint(BitWriter *w, uint64_t value)
{
    unsigned ones = value == 0 ? 0 : 1;

    while (ones > 0 && ones < 8 && value >> varbit_bits[ones] != 0)
        ones++;
    put_varbit(w, value, ones);
}

Str bit_writer_str(const BitWriter *w)
{
    return buf_str(&w->buf);
}
