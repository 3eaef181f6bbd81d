// SPDX-License-Identifier: Apache-2.0
// Histogram chunks back into histograms.
#include <math.h>
#include <stdlib.h>

#include "tsdb/bitstream.h"
#include "tsdb/chunk_histogram_internal.h"
#include "tsdb/chunk_start.h"
#include "tsdb/chunk_xor.h"

// Sums and differences may wrap as they do in the original.
static int64_t plus(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

static double read_zero_threshold(BitReader *r)
{
    uint64_t code = bit_reader_get(r, 8);

    if (code == 0)
        return 0;
    return code == 255 ? chunk_xor_from_bits(bit_reader_get(r, 64)) : ldexp(0.5, (int)code - 243);
}

static double read_custom_bound(BitReader *r)
{
    uint64_t code = bit_reader_varbit_uint(r);
    return code ? (double)(code - 1) / 1000 : chunk_xor_from_bits(bit_reader_get(r, 64));
}

static bool read_side(BitReader *r, Side *side, bool is_integer, Error *err)
{
    uint64_t span_count = bit_reader_varbit_uint(r), buckets = 0;
    HistogramSpan *spans;

    if (r->failed || span_count > SPANS_MAX || span_count > r->bits - r->bit)
        return error_set(err, ERR_CORRUPT, "histogram chunk with %llu spans",
                         (unsigned long long)span_count);
    spans = X_ARRAY(HistogramSpan, span_count + 1);
    for (uint64_t i = 0; i < span_count; i++) {
        uint64_t length = bit_reader_varbit_uint(r);
        int64_t offset = bit_reader_varbit_int(r);
        buckets += MIN(length, HISTOGRAM_BUCKETS_MAX + 1);
        if (r->failed || buckets > HISTOGRAM_BUCKETS_MAX || offset < INT32_MIN ||
            offset > INT32_MAX) {
            free(spans);
            return error_set(err, ERR_CORRUPT, "histogram chunk with impossible spans");
        }
        spans[i] = (HistogramSpan){(int32_t)offset, (uint32_t)length};
    }
    chunk_histogram_side_init(side, spans, (uint32_t)span_count, is_integer);
    free(spans);
    return true;
}

static bool read_custom(BitReader *r, State *s, Error *err)
{
    uint64_t count = bit_reader_varbit_uint(r);

    if (r->failed || count > HISTOGRAM_BUCKETS_MAX)
        return error_set(err, ERR_CORRUPT, "histogram chunk with %llu custom bounds",
                         (unsigned long long)count);
    s->custom = X_ARRAY(double, count + 1);
    s->custom_count = (uint32_t)count;
    for (uint64_t i = 0; i < count; i++)
        s->custom[i] = read_custom_bound(r);
    return true;
}

static bool schema_is_known(int64_t schema)
{
    // Up to 52 is reserved for finer resolutions; what is finer than 8 is not written by anybody yet.
    return schema == HISTOGRAM_SCHEMA_CUSTOM ||
           (schema >= HISTOGRAM_SCHEMA_MIN && schema <= HISTOGRAM_SCHEMA_MAX);
}

static bool read_layout(BitReader *r, State *s, Error *err)
{
    s->zero_threshold = read_zero_threshold(r);
    int64_t schema = bit_reader_varbit_int(r);
    if (r->failed || !schema_is_known(schema))
        return error_set(err, ERR_CORRUPT, "histogram chunk of unknown schema %lld",
                         (long long)schema);
    s->schema = (int32_t)schema;
    if (!read_side(r, &s->positive, s->is_integer, err) ||
        !read_side(r, &s->negative, s->is_integer, err) ||
        (schema == HISTOGRAM_SCHEMA_CUSTOM && !read_custom(r, s, err)))
        return false;
    if (r->failed)
        return error_set(err, ERR_CORRUPT, "histogram chunk ends in its layout");
    return true;
}

static double read_field(BitReader *r, Field *field)
{
    if (bit_reader_get(r, 1)) {
        if (bit_reader_get(r, 1)) {
            unsigned leading = (unsigned)bit_reader_get(r, 5),
                     wide = (unsigned)bit_reader_get(r, 6);
            wide = wide ? wide : 64;
            r->failed |= leading + wide > 64;
            field->leading = (uint8_t)leading;
            field->trailing = (uint8_t)(64 - leading - wide);
        }
        r->failed |= field->leading == CHUNK_XOR_NO_WINDOW;
        if (r->failed)
            return 0;
        field->bits ^= bit_reader_get(r, 64u - field->leading - field->trailing) << field->trailing;
    }
    return chunk_xor_from_bits(field->bits);
}

static void read_dod(BitReader *r, int64_t *value, int64_t *delta)
{
    *delta = plus(*delta, bit_reader_varbit_int(r));
    *value = plus(*value, *delta);
}

// Reading

static void read_side_first(BitReader *r, Side *side, bool is_integer)
{
    int64_t sum = 0;

    for (uint32_t i = 0; i < side->count && !r->failed; i++) {
        if (is_integer) {
            side->value[i] = bit_reader_varbit_int(r);
            sum = plus(sum, side->value[i]);
            side->absolute[i] = (double)sum;
        } else {
            side->field[i].bits = bit_reader_get(r, 64);
            side->absolute[i] = chunk_xor_from_bits(side->field[i].bits);
        }
    }
}

static void read_side_next(BitReader *r, Side *side, bool is_integer)
{
    int64_t sum = 0;

    for (uint32_t i = 0; i < side->count && !r->failed; i++) {
        if (is_integer) {
            read_dod(r, &side->value[i], &side->delta[i]);
            sum = plus(sum, side->value[i]);
            side->absolute[i] = (double)sum;
        } else {
            side->absolute[i] = read_field(r, &side->field[i]);
        }
    }
}

static void read_first(BitReader *r, State *s)
{
    s->t = bit_reader_varbit_int(r);
    s->sum.leading = s->total_field.leading = s->zero_field.leading = CHUNK_XOR_NO_WINDOW;
    if (s->is_integer) {
        s->total = (int64_t)bit_reader_varbit_uint(r);
        s->zero = (int64_t)bit_reader_varbit_uint(r);
    } else {
        s->total_field.bits = bit_reader_get(r, 64);
        s->zero_field.bits = bit_reader_get(r, 64);
    }
    s->sum.bits = bit_reader_get(r, 64);
    read_side_first(r, &s->positive, s->is_integer);
    read_side_first(r, &s->negative, s->is_integer);
}

static void read_next(BitReader *r, State *s)
{
    read_dod(r, &s->t, &s->t_delta);
    if (s->is_integer) {
        read_dod(r, &s->total, &s->total_delta);
        read_dod(r, &s->zero, &s->zero_delta);
    } else {
        (void)read_field(r, &s->total_field);
        (void)read_field(r, &s->zero_field);
    }
    (void)read_field(r, &s->sum);
    if (s->sum.bits == STALE_BITS) // a stale sample has no buckets
        return;
    read_side_next(r, &s->positive, s->is_integer);
    read_side_next(r, &s->negative, s->is_integer);
}

// What all histograms of a chunk share, copied to the arena once.
typedef struct Shared {
    const HistogramSpan *positive_spans;
    const HistogramSpan *negative_spans;
    const double *custom;
} Shared;

static const void *copy_bytes(Arena *arena, const void *from, size_t bytes)
{
    return bytes ? memcpy(arena_alloc(arena, bytes), from, bytes) : NULL;
}

static Histogram *make_histogram(Arena *arena, const State *s, const Shared *shared,
                                 HistogramHint hint)
{
    Histogram *h = ARENA_NEW(arena, Histogram);

    h->is_integer = s->is_integer;
    h->sum = chunk_xor_from_bits(s->sum.bits);
    if (s->sum.bits == STALE_BITS)
        return h;
    h->hint = hint;
    h->schema = s->schema;
    h->zero_threshold = s->zero_threshold;
    h->count =
        s->is_integer ? (double)(uint64_t)s->total : chunk_xor_from_bits(s->total_field.bits);
    h->zero_count =
        s->is_integer ? (double)(uint64_t)s->zero : chunk_xor_from_bits(s->zero_field.bits);
    h->positive_spans = shared->positive_spans;
    h->negative_spans = shared->negative_spans;
    h->positive_span_count = s->positive.span_count;
    h->negative_span_count = s->negative.span_count;
    h->positive_count = s->positive.count;
    h->negative_count = s->negative.count;
    h->positive_buckets =
        (const double *)copy_bytes(arena, s->positive.absolute, s->positive.count * sizeof(double));
    h->negative_buckets =
        (const double *)copy_bytes(arena, s->negative.absolute, s->negative.count * sizeof(double));
    h->custom_bounds = shared->custom;
    h->custom_count = s->custom_count;
    return h;
}

// A first sample says nothing of resets: the chunk before it may be gone or may have come later.
static HistogramHint hint_of(uint8_t flag, size_t index)
{
    if (flag == FLAG_GAUGE)
        return HINT_GAUGE;
    return index ? HINT_NO_RESET : HINT_UNKNOWN;
}

static bool decode_samples(BitReader *r, State *s, size_t count, uint8_t flag, ChunkStart start,
                           int64_t min_t_ms, int64_t max_t_ms, ChunkColumns *columns, Error *err)
{
    SampleColumns *c = &columns->columns;
    Shared shared;

    if (!read_layout(r, s, err))
        return false;
    shared.positive_spans = (const HistogramSpan *)copy_bytes(
        columns->arena, s->positive.spans, s->positive.span_count * sizeof(HistogramSpan));
    shared.negative_spans = (const HistogramSpan *)copy_bytes(
        columns->arena, s->negative.spans, s->negative.span_count * sizeof(HistogramSpan));
    shared.custom =
        (const double *)copy_bytes(columns->arena, s->custom, s->custom_count * sizeof(double));
    chunk_columns_reserve(columns, count, true);
    for (size_t i = 0, at = c->count; i < count; i++) {
        int64_t before_ms = s->t;
        if (i == 0)
            read_first(r, s);
        else
            read_next(r, s);
        int64_t start_ms = chunk_start_read(&start, i, s->t, before_ms, r);
        if (r->failed) {
            c->count = at;
            return error_set(err, ERR_CORRUPT, "a histogram chunk ends after %zu of %zu samples", i,
                             count);
        }
        if (s->t < min_t_ms || s->t > max_t_ms)
            continue;
        c->t_ms[c->count] = s->t;
        c->value[c->count] = 0;
        if (start_ms || c->start_ms)
            chunk_columns_add_starts(columns, &start_ms, 1);
        c->histograms[c->count++] = make_histogram(columns->arena, s, &shared, hint_of(flag, i));
    }
    return true;
}

bool chunk_histogram_ends(ChunkEncoding encoding, Str chunk, int64_t *t_ms, size_t *ret_ends)
{
    State state = {.is_integer = encoding == CHUNK_HISTOGRAM};
    BitReader r = bit_reader_from(chunk);
    size_t count = chunk_sample_count(encoding, chunk);
    Error err = {0};

    r.bit = HEADER_BYTES * 8;
    bool ok = read_layout(&r, &state, &err);
    for (size_t i = 0; ok && i < count; i++) {
        if (i == 0)
            read_first(&r, &state);
        else
            read_next(&r, &state);
        t_ms[i] = state.t;
        ret_ends[i] = r.bit;
        ok = !r.failed;
    }
    chunk_histogram_state_deinit(&state);
    return ok;
}

bool chunk_histogram_decode(ChunkEncoding encoding, Str chunk, int64_t min_t_ms, int64_t max_t_ms,
                            ChunkColumns *columns, Error *err)
{
    bool has_start = encoding == CHUNK_HISTOGRAM_ST || encoding == CHUNK_FLOAT_HISTOGRAM_ST;
    State state = {.is_integer = encoding == CHUNK_HISTOGRAM || encoding == CHUNK_HISTOGRAM_ST};
    BitReader r = bit_reader_from(chunk);
    size_t count = chunk_sample_count(encoding, chunk);

    if (chunk.len < HEADER_BYTES || count > chunk.len * 8)
        return error_set(err, ERR_CORRUPT, "a histogram chunk of %zu bytes claims %zu samples",
                         chunk.len, count);
    if (count == 0)
        return true;
    uint8_t flag = (uint8_t)chunk.ptr[has_start ? 0 : 2] & FLAG_MASK;
    ChunkStart start = chunk_start_from(has_start ? (uint8_t)chunk.ptr[2] : 0);
    r.bit = HEADER_BYTES * 8;
    bool ok = decode_samples(&r, &state, count, flag, start, min_t_ms, max_t_ms, columns, err);
    chunk_histogram_state_deinit(&state);
    return ok;
}
