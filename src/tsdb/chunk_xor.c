// SPDX-License-Identifier: Apache-2.0
#include "tsdb/chunk_xor.h"

#include <stdlib.h>

#include "tsdb/chunk_xor_decoder.h"

// One sample's code before it goes to the chunk.
typedef struct Code {
    uint8_t bytes[48];
    size_t bits;
} Code;

static void code_put(Code *code, uint64_t value, unsigned count)
{
    bitstream_put(code->bytes, sizeof code->bytes, code->bits, value, count);
    code->bits += count;
}

static void code_uvarint(Code *code, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        code_put(code, (value & 0x7f) | 0x80, 8);
    code_put(code, value, 8);
}

static void code_time(Code *code, int64_t dod)
{
    if (dod == 0) {
        code_put(code, 0, 1);
    } else if (bitstream_fits(dod, 14)) {
        code_put(code, 2, 2);
        code_put(code, (uint64_t)dod, 14);
    } else if (bitstream_fits(dod, 17)) {
        code_put(code, 6, 3);
        code_put(code, (uint64_t)dod, 17);
    } else if (bitstream_fits(dod, 20)) {
        code_put(code, 14, 4);
        code_put(code, (uint64_t)dod, 20);
    } else {
        code_put(code, 15, 4);
        code_put(code, (uint64_t)dod, 64);
    }
}

static void code_value(Code *code, uint64_t xor_bits, uint8_t *leading, uint8_t *trailing)
{
    if (xor_bits == 0) {
        code_put(code, 0, 1);
        return;
    }
    unsigned lead = MIN((unsigned)__builtin_clzll(xor_bits), 31u);
    unsigned trail = (unsigned)__builtin_ctzll(xor_bits);
    if (*leading == CHUNK_XOR_NO_WINDOW || lead < *leading || trail < *trailing) {
        *leading = (uint8_t)lead;
        *trailing = (uint8_t)trail;
        code_put(code, 3, 2);
        code_put(code, lead, 5);
        code_put(code, (64 - lead - trail) & 63, 6);
    } else {
        code_put(code, 2, 2);
    }
    code_put(code, xor_bits >> *trailing, 64u - *leading - *trailing);
}

static void append_bits(uint8_t *bytes, size_t cap, uint32_t at, const Code *code)
{
    for (size_t from = 0; from < code->bits; from += 32) {
        unsigned count = (unsigned)MIN(code->bits - from, 32);
        uint64_t piece = bitstream_window(code->bytes, from) >> (64 - count);
        bitstream_put(bytes, cap, at + from, piece, count);
    }
}

// The second sample of a chunk, by a delta below 2^28: its bytes as one number.
static bool append_second(ChunkXor *chunk, uint8_t *bytes, size_t cap, int64_t t_ms, double value)
{
    uint64_t delta = (uint64_t)t_ms - (uint64_t)chunk->t_ms;
    uint64_t code = 0;
    unsigned code_bits = 8;

    for (; delta >= 0x80; delta >>= 7, code_bits += 8)
        code = code << 8 | (delta & 0x7f) | 0x80;
    return chunk_xor_append_coded(chunk, bytes, cap, t_ms, value, code << 8 | delta, code_bits);
}

bool chunk_xor_append_slow(ChunkXor *chunk, uint8_t *bytes, size_t cap, int64_t t_ms, double value)
{
    if (chunk->count == 1 && (uint64_t)t_ms - (uint64_t)chunk->t_ms < UINT64_C(1) << 28)
        return append_second(chunk, bytes, cap, t_ms, value);
    Code code = {.bits = 0};
    uint64_t bits = chunk_xor_to_bits(value);
    uint64_t delta = chunk->count ? (uint64_t)t_ms - (uint64_t)chunk->t_ms : 0;
    uint8_t leading = chunk->leading, trailing = chunk->trailing;

    ASSERT(chunk->count < UINT16_MAX);
    if (chunk->count == 0) {
        code_uvarint(&code, (uint64_t)t_ms << 1 ^ (uint64_t)(t_ms >> 63));
        code_put(&code, bits, 64);
    } else {
        if (chunk->count == 1)
            code_uvarint(&code, delta);
        else
            code_time(&code, (int64_t)(delta - chunk->delta));
        code_value(&code, bits ^ chunk->value, &leading, &trailing);
    }
    if ((chunk->bits + code.bits + 7) / 8 > cap)
        return false;
    append_bits(bytes, cap, chunk->bits, &code);
    chunk->leading = leading;
    chunk->trailing = trailing;
    chunk_xor_note(chunk, bytes, t_ms, delta, bits, chunk->bits + (uint32_t)code.bits);
    return true;
}

__attribute__((flatten)) // else the state goes to memory and back with each sample
size_t
chunk_xor_append_run(ChunkXor *chunk, uint8_t *bytes, size_t cap, const int64_t *t_ms,
                     const double *value, size_t count, uint32_t *left_ms)
{
    ChunkXor c = *chunk; // in registers
    uint32_t left = *left_ms;
    size_t i = 0;

    ASSERT(c.count >= 2);
    for (; i < count; i++) {
        uint64_t delta = (uint64_t)t_ms[i] - (uint64_t)c.t_ms;
        int64_t dod = (int64_t)(delta - c.delta);
        // Of a time before the newest the delta is beyond all that can be left.
        if (UNLIKELY(delta >= left || delta == 0 || !bitstream_fits(dod, 14)))
            break;
        if (UNLIKELY(!chunk_xor_append_coded(&c, bytes, cap, t_ms[i], value[i],
                                             dod ? 0x8000 | ((uint64_t)dod & 0x3fff) : 0,
                                             dod ? 16 : 1)))
            break;
        left -= (uint32_t)delta;
    }
    *chunk = c;
    *left_ms = left;
    return i;
}

// As many samples as begin with two zeros: nothing changed. Returns how many, at most `max`.
static inline size_t decode_same(uint64_t window, uint64_t *t, uint64_t delta, uint64_t value_bits,
                                 int64_t *t_ms, double *value, size_t max)
{
    size_t run =
        (unsigned)__builtin_clzll(window | (uint64_t)1 << 7) / 2; // 56 of the window's bits count
    double v = chunk_xor_from_bits(value_bits);

    run = MIN(run, max);
    for (size_t i = 0; i < run; i++) {
        *t += delta;
        t_ms[i] = (int64_t)*t;
        value[i] = v;
    }
    return run;
}

// The delta of deltas of more than 14 bits at `bit`. Returns the length of its code.
static unsigned decode_long_dod(const uint8_t *bytes, size_t bit, uint64_t *dod)
{
    uint64_t w = bitstream_window(bytes, bit);

    if (w >> 61 == 6) {
        *dod = (uint64_t)bitstream_widen(w << 3 >> 47, 17);
        return 20;
    }
    if (w >> 60 == 14) {
        *dod = (uint64_t)bitstream_widen(w << 4 >> 44, 20);
        return 24;
    }
    *dod = bitstream_get(bytes, bit + 4, 64);
    return 68;
}

// Decodes delta of deltas until `max` samples are there, one is too late, or the position is behind stop_bit. A sample reads at most CHUNK_XOR_DECODE_BYTES_MAX
// bytes from where it starts. Branches beat arithmetic here: what is foretold right costs nothing, and the position of the next sample
// hangs on all bits before it. False on a window that cannot be.
static inline bool decode_run(ChunkXorDecoder *d, size_t stop_bit, int64_t *t_ms, double *value,
                              size_t max, size_t *done)
{
    size_t bit = d->bit, i = *done;
    uint64_t t = d->t, delta = d->delta, v = d->value;
    int64_t until_ms = d->until_ms;
    unsigned leading = d->leading, wide = 64 - d->leading - d->trailing, trailing = d->trailing;
    bool ok = true;

    while (i < max && bit <= stop_bit && (int64_t)t <= until_ms) {
        uint64_t w = bitstream_window(d->bytes, bit);
        if (w >> 62 == 0) {
            size_t run = decode_same(w, &t, delta, v, t_ms + i, value + i,
                                     MIN(max - i, (stop_bit - bit) / 2 + 1));
            bit += 2 * run;
            i += run;
            continue;
        }
        unsigned used = 1;
        if (w >> 63 == 0) {
            w <<= 1;
        } else if (LIKELY(w >> 62 == 2)) {
            delta += (uint64_t)bitstream_widen(w << 2 >> 50, 14);
            used = 16;
            w <<= 16;
        } else {
            uint64_t dod;
            used = decode_long_dod(d->bytes, bit, &dod);
            delta += dod;
            w = bitstream_window(d->bytes, bit + used);
        }
        bit += used;
        t += delta;
        if (w >> 63 == 0) {
            bit++;
        } else if (LIKELY(w >> 62 == 2)) {
            if (UNLIKELY(leading == CHUNK_XOR_NO_WINDOW)) {
                ok = false;
                break;
            }
            // What is left of the window is enough for most.
            if (LIKELY(used + 2 + wide <= 57))
                v ^= w << 2 >> (64 - wide) << trailing;
            else
                v ^= bitstream_get(d->bytes, bit + 2, wide) << trailing;
            bit += 2 + wide;
        } else {
            leading = (unsigned)(w >> 57) & 31;
            wide = (unsigned)(w >> 51) & 63;
            if (wide == 0)
                wide = 64;
            if (UNLIKELY(leading + wide > 64)) {
                ok = false;
                break;
            }
            trailing = 64 - leading - wide;
            v ^= bitstream_get(d->bytes, bit + 13, wide) << trailing;
            bit += 13 + wide;
        }
        t_ms[i] = (int64_t)t;
        value[i] = chunk_xor_from_bits(v);
        i++;
    }
    *d = (ChunkXorDecoder){d->bytes, bit, t, delta, v, leading, trailing, until_ms};
    *done = i;
    return ok;
}

// The last bytes, too near the end for wide loads: from a padded copy.
static void decode_tail(ChunkXorDecoder *d, Str chunk, int64_t *t_ms, double *value, size_t max,
                        size_t *done)
{
    uint8_t padded[3 * CHUNK_XOR_DECODE_BYTES_MAX] = {0};
    size_t from = d->bit >> 3, len = chunk.len - from;
    size_t limit = len * 8;
    const uint8_t *bytes = d->bytes;

    ASSERT(len <= 2 * CHUNK_XOR_DECODE_BYTES_MAX);
    if (len == 0)
        return;
    memcpy(padded, chunk.ptr + from, len);
    d->bytes = padded;
    d->bit &= 7;
    (void)decode_run(d, limit - 1, t_ms, value, max, done); // `done` tells
    if (d->bit > limit)                                     // the last one read padding
        (*done)--;
    d->bit += from * 8;
    d->bytes = bytes;
}

// The first two samples have forms of their own. Leaves d behind them.
static size_t decode_first(Str chunk, ChunkXorDecoder *d, int64_t *t_ms, double *value, size_t max)
{
    BitReader r = bit_reader_from(chunk);

    r.bit = CHUNK_XOR_HEADER_BYTES * 8;
    d->t = (uint64_t)bit_reader_varint(&r);
    d->value = bit_reader_get(&r, 64);
    if (r.failed)
        return 0;
    t_ms[0] = (int64_t)d->t;
    value[0] = chunk_xor_from_bits(d->value);
    d->bit = r.bit;
    if (max == 1)
        return 1;

    d->delta = bit_reader_uvarint(&r);
    if (bit_reader_get(&r, 1)) {
        if (!bit_reader_get(&r, 1)) // no window to use again yet
            return 1;
        d->leading = (unsigned)bit_reader_get(&r, 5);
        unsigned wide = (unsigned)bit_reader_get(&r, 6);
        wide = wide ? wide : 64;
        if (d->leading + wide > 64)
            return 1;
        d->trailing = 64 - d->leading - wide;
        d->value ^= bit_reader_get(&r, wide) << d->trailing;
    }
    if (r.failed)
        return 1;
    d->t += d->delta;
    d->bit = r.bit;
    t_ms[1] = (int64_t)d->t;
    value[1] = chunk_xor_from_bits(d->value);
    return 2;
}

size_t chunk_xor_decode_begin(Str chunk, int64_t until_ms, ChunkXorDecoder *d, int64_t *t_ms,
                              double *value, size_t max)
{
    max = MIN(max, chunk_xor_count(chunk));
    if (max == 0)
        return 0;
    *d = (ChunkXorDecoder){
        .bytes = (const uint8_t *)chunk.ptr, .leading = CHUNK_XOR_NO_WINDOW, .until_ms = until_ms};
    return decode_first(chunk, d, t_ms, value, max);
}

size_t chunk_xor_decode_rest(Str chunk, ChunkXorDecoder *d, int64_t *t_ms, double *value,
                             size_t done, size_t max)
{
    max = MIN(max, chunk_xor_count(chunk));
    if (done < MIN(max, 2) || done == max)
        return done;
    if (chunk.len > 2 * CHUNK_XOR_DECODE_BYTES_MAX &&
        !decode_run(d, chunk_xor_stop_bit(chunk), t_ms, value, max, &done))
        return done;
    if (done < max && (int64_t)d->t <= d->until_ms)
        decode_tail(d, chunk, t_ms, value, max, &done);
    return done;
}

static size_t decode(Str chunk, int64_t until_ms, ChunkXorDecoder *d, int64_t *t_ms, double *value,
                     size_t max)
{
    size_t done = chunk_xor_decode_begin(chunk, until_ms, d, t_ms, value, max);

    return chunk_xor_decode_rest(chunk, d, t_ms, value, done, max);
}

size_t chunk_xor_decode(Str chunk, int64_t *t_ms, double *value, size_t max)
{
    return chunk_xor_decode_until(chunk, INT64_MAX, t_ms, value, max);
}

size_t chunk_xor_decode_until(Str chunk, int64_t until_ms, int64_t *t_ms, double *value, size_t max)
{
    ChunkXorDecoder d;

    return decode(chunk, until_ms, &d, t_ms, value, max);
}

bool chunk_xor_decode_end(Str chunk, int64_t *t_ms, double *value, size_t max, ChunkXor *ret_end)
{
    size_t count = chunk_xor_count(chunk);
    ChunkXorDecoder d;

    if (count == 0 || count > max || decode(chunk, INT64_MAX, &d, t_ms, value, count) < count ||
        d.bit > UINT32_MAX)
        return false;
    *ret_end = (ChunkXor){
        .t_ms = (int64_t)d.t,
        .delta = d.delta,
        .value = d.value,
        .bits = (uint32_t)d.bit,
        .count = (uint16_t)count,
        .leading = (uint8_t)d.leading,
        .trailing = (uint8_t)d.trailing,
    };
    return true;
}

bool chunk_xor_resume(Str chunk, ChunkXor *ret_chunk)
{
    size_t count = chunk_xor_count(chunk);

    if (count == 0)
        return false;
    double *value = (double *)x_malloc(count * sizeof *value);
    int64_t *t_ms = (int64_t *)x_malloc(count * sizeof *t_ms);
    bool ok = chunk_xor_decode_end(chunk, t_ms, value, count, ret_chunk);
    free(value);
    free(t_ms);
    return ok;
}

// Chunks that are put together

// Copies the bits [from, to) of `next` to position `at`; the last byte is padded with zeros.
static void copy_bits(uint8_t *bytes, size_t at, Str next, size_t from, size_t to)
{
    const uint8_t *source = (const uint8_t *)next.ptr;
    BitReader r = bit_reader_from(next);
    size_t edge = MIN((8 - (at & 7)) & 7, to - from);

    r.bit = from;
    bitstream_put_exact(bytes, at, bit_reader_get(&r, (unsigned)edge), (unsigned)edge);
    uint8_t *out = bytes + ((at + edge) >> 3);
    for (from += edge; to - from >= 64 && (from >> 3) + 9 <= next.len; from += 64, out += 8)
        bitstream_store_be64(out, bitstream_get(source, from, 64));
    for (r.bit = from; r.bit < to; out++) {
        unsigned count = (unsigned)MIN(to - r.bit, 8);
        *out = (uint8_t)(bit_reader_get(&r, count) << (8 - count));
    }
}

bool chunk_xor_append_chunk(ChunkXor *chunk, uint8_t *bytes, size_t room, Str next,
                            const ChunkXor *end)
{
    BitReader r = bit_reader_from(next);
    Code code = {.bits = 0};
    uint8_t leading = chunk->leading, trailing = chunk->trailing;

    ASSERT(chunk->count >= 1);
    r.bit = CHUNK_XOR_HEADER_BYTES * 8;
    int64_t first_ms = bit_reader_varint(&r);
    uint64_t delta = (uint64_t)first_ms - (uint64_t)chunk->t_ms;
    if (chunk->count == 1)
        code_uvarint(&code, delta);
    else
        code_time(&code, (int64_t)(delta - chunk->delta));
    code_value(&code, bit_reader_get(&r, 64) ^ chunk->value, &leading, &trailing);
    if (end->count > 1)
        code_time(&code, (int64_t)(bit_reader_uvarint(&r) - delta));
    size_t bits = chunk->bits + code.bits + (end->bits - r.bit);
    if (r.failed || (bits + 7) / 8 > room || chunk->count + end->count > UINT16_MAX)
        return false;
    append_bits(bytes, room, chunk->bits, &code);
    copy_bits(bytes, chunk->bits + code.bits, next, r.bit, end->bits);

    uint16_t count = (uint16_t)(chunk->count + end->count - 1);
    if (end->count > 1)
        delta = end->delta;
    // A window that the next chunk has not opened is still the one before.
    bool has_window = end->leading != CHUNK_XOR_NO_WINDOW;
    chunk->leading = has_window ? end->leading : leading;
    chunk->trailing = has_window ? end->trailing : trailing;
    chunk->count = count;
    chunk_xor_note(chunk, bytes, end->t_ms, delta, end->value, (uint32_t)bits);
    return true;
}
