// SPDX-License-Identifier: Apache-2.0
#include "tsdb/chunk_histogram.h"

#include <math.h>
#include <stdlib.h>

#include "tsdb/bitstream.h"
#include "tsdb/chunk_histogram_internal.h"
#include "tsdb/chunk_start.h"
#include "tsdb/chunk_xor.h"

struct ChunkHistogram {
    BitWriter w;
    State state;
    uint8_t flag;
    size_t count;
    int64_t min_t;
    Histogram last; // its arrays are those of the state
};

static void side_deinit(Side *side)
{
    free(side->spans);
    free(side->absolute);
    free(side->value);
    free(side->delta);
    free(side->field);
    *side = (Side){.spans = NULL};
}

void chunk_histogram_state_deinit(State *state)
{
    side_deinit(&state->positive);
    side_deinit(&state->negative);
    free(state->custom);
    state->custom = NULL;
}

void chunk_histogram_side_init(Side *side, const HistogramSpan *spans, uint32_t span_count,
                               bool is_integer)
{
    *side = (Side){.span_count = span_count};
    for (uint32_t i = 0; i < span_count; i++)
        side->count += spans[i].length;
    if (span_count) {
        side->spans = X_ARRAY(HistogramSpan, span_count);
        memcpy(side->spans, spans, span_count * sizeof *spans);
    }
    if (side->count == 0)
        return;
    side->absolute = X_ARRAY(double, side->count);
    if (is_integer) {
        side->value = X_ARRAY(int64_t, side->count);
        side->delta = X_ARRAY(int64_t, side->count);
        return;
    }
    side->field = X_ARRAY(Field, side->count);
    for (uint32_t i = 0; i < side->count; i++)
        side->field[i].leading = CHUNK_XOR_NO_WINDOW;
}

static bool is_stale(const Histogram *h)
{
    return chunk_xor_to_bits(h->sum) == STALE_BITS;
}

// Layout

static void put_zero_threshold(BitWriter *w, double threshold)
{
    int exponent = 0;

    if (threshold == 0) {
        bit_writer_put(w, 0, 8);
    } else if (frexp(threshold, &exponent) != 0.5 || exponent < -242 || exponent > 11) {
        bit_writer_put(w, 255, 8);
        bit_writer_put(w, chunk_xor_to_bits(threshold), 64);
    } else {
        bit_writer_put(w, (uint64_t)(exponent + 243), 8);
    }
}

static void put_spans(BitWriter *w, const HistogramSpan *spans, uint32_t count)
{
    bit_writer_varbit_uint(w, count);
    for (uint32_t i = 0; i < count; i++) {
        bit_writer_varbit_uint(w, spans[i].length);
        bit_writer_varbit_int(w, spans[i].offset);
    }
}

// Bounds that are whole thousandths fit 26 bits, others are written as they are.
static void put_custom_bound(BitWriter *w, double bound)
{
    double thousandths = bound * 1000;

    if (!(thousandths >= 0 && thousandths <= 33554430) || round(thousandths) / 1000 != bound) {
        bit_writer_put(w, 0, 1);
        bit_writer_put(w, chunk_xor_to_bits(bound), 64);
    } else {
        bit_writer_varbit_uint(w, (uint64_t)round(thousandths) + 1);
    }
}

static void put_layout(BitWriter *w, const State *s)
{
    put_zero_threshold(w, s->zero_threshold);
    bit_writer_varbit_int(w, s->schema);
    put_spans(w, s->positive.spans, s->positive.span_count);
    put_spans(w, s->negative.spans, s->negative.span_count);
    if (s->schema == HISTOGRAM_SCHEMA_CUSTOM) {
        bit_writer_varbit_uint(w, s->custom_count);
        for (uint32_t i = 0; i < s->custom_count; i++)
            put_custom_bound(w, s->custom[i]);
    }
}

// Numbers

static void put_field(BitWriter *w, Field *field, double value)
{
    uint64_t bits = chunk_xor_to_bits(value), x = bits ^ field->bits;

    field->bits = bits;
    if (x == 0) {
        bit_writer_put(w, 0, 1);
        return;
    }
    unsigned leading = MIN((unsigned)__builtin_clzll(x), 31u),
             trailing = (unsigned)__builtin_ctzll(x);
    if (field->leading == CHUNK_XOR_NO_WINDOW || leading < field->leading ||
        trailing < field->trailing) {
        field->leading = (uint8_t)leading;
        field->trailing = (uint8_t)trailing;
        bit_writer_put(w, 3 << 11 | leading << 6 | ((64 - leading - trailing) & 63), 13);
    } else {
        bit_writer_put(w, 2, 2);
    }
    bit_writer_put(w, x >> field->trailing, 64u - field->leading - field->trailing);
}

static int64_t minus(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a - (uint64_t)b);
}

// The next value of a number that is written as its change of change.
static void put_dod(BitWriter *w, int64_t *value, int64_t *delta, int64_t now)
{
    int64_t change = minus(now, *value);

    bit_writer_varbit_int(w, minus(change, *delta));
    *delta = change;
    *value = now;
}

// Writing

static void put_side(BitWriter *w, Side *side, const double *buckets, bool is_integer,
                     bool is_first)
{
    int64_t before = 0;

    for (uint32_t i = 0; i < side->count; i++) {
        side->absolute[i] = buckets[i];
        if (is_integer) {
            int64_t now = (int64_t)buckets[i];
            if (is_first) {
                side->value[i] = minus(now, before);
                bit_writer_varbit_int(w, side->value[i]);
            } else {
                put_dod(w, &side->value[i], &side->delta[i], minus(now, before));
            }
            before = now;
        } else if (is_first) {
            side->field[i].bits = chunk_xor_to_bits(buckets[i]);
            bit_writer_put(w, side->field[i].bits, 64);
        } else {
            put_field(w, &side->field[i], buckets[i]);
        }
    }
}

static void put_first(BitWriter *w, State *s, int64_t t_ms, const Histogram *h)
{
    bit_writer_varbit_int(w, t_ms);
    s->t = t_ms;
    s->sum.bits = chunk_xor_to_bits(h->sum);
    if (s->is_integer) {
        s->total = (int64_t)h->count;
        s->zero = (int64_t)h->zero_count;
        bit_writer_varbit_uint(w, (uint64_t)s->total);
        bit_writer_varbit_uint(w, (uint64_t)s->zero);
    } else {
        s->total_field.bits = chunk_xor_to_bits(h->count);
        s->zero_field.bits = chunk_xor_to_bits(h->zero_count);
        bit_writer_put(w, s->total_field.bits, 64);
        bit_writer_put(w, s->zero_field.bits, 64);
    }
    bit_writer_put(w, s->sum.bits, 64);
    put_side(w, &s->positive, h->positive_buckets, s->is_integer, true);
    put_side(w, &s->negative, h->negative_buckets, s->is_integer, true);
}

static void put_next(BitWriter *w, State *s, int64_t t_ms, const Histogram *h)
{
    bool stale = is_stale(h);

    put_dod(w, &s->t, &s->t_delta, t_ms);
    if (!s->is_integer) {
        put_field(w, &s->total_field, stale ? 0 : h->count);
        put_field(w, &s->zero_field, stale ? 0 : h->zero_count);
    } else if (stale) {
        bit_writer_put(w, 0,
                       2); // two unchanged changes; nothing but staleness can follow in this chunk
        s->total = s->zero = s->total_delta = s->zero_delta = 0;
    } else {
        put_dod(w, &s->total, &s->total_delta, (int64_t)h->count);
        put_dod(w, &s->zero, &s->zero_delta, (int64_t)h->zero_count);
    }
    put_field(w, &s->sum, h->sum);
    if (!stale) {
        put_side(w, &s->positive, h->positive_buckets, s->is_integer, false);
        put_side(w, &s->negative, h->negative_buckets, s->is_integer, false);
    }
}

// Layouts: which buckets one has that the other lacks.

typedef struct Walk {
    const HistogramSpan *spans;
    uint32_t span_count;
    uint32_t span;
    uint32_t inside; // of the span
    int64_t index;   // of the bucket, once begun
    uint32_t at;     // in the array of buckets
    bool done;
} Walk;

static void walk_settle(Walk *walk)
{
    while (walk->span < walk->span_count && walk->inside == walk->spans[walk->span].length) {
        walk->span++;
        walk->inside = 0;
        if (walk->span < walk->span_count)
            walk->index += walk->spans[walk->span].offset;
    }
    walk->done = walk->span >= walk->span_count;
}

static Walk walk_begin(const HistogramSpan *spans, uint32_t span_count)
{
    Walk walk = {
        .spans = spans, .span_count = span_count, .index = span_count ? spans[0].offset : 0};

    walk_settle(&walk);
    return walk;
}

static void walk_next(Walk *walk)
{
    walk->index++;
    walk->inside++;
    walk->at++;
    walk_settle(walk);
}

typedef struct Comparison {
    bool only_chunk;  // the chunk has buckets that the sample lacks
    bool only_sample; // the other way round
    bool reset;       // a count fell
} Comparison;

static void compare_side(const Side *side, const HistogramSpan *spans, uint32_t span_count,
                         const double *buckets, Comparison *c)
{
    Walk a = walk_begin(side->spans, side->span_count), b = walk_begin(spans, span_count);

    while (!a.done || !b.done) {
        if (b.done || (!a.done && a.index < b.index)) {
            c->only_chunk = true;
            c->reset |= side->absolute[a.at] != 0;
            walk_next(&a);
        } else if (a.done || b.index < a.index) {
            c->only_sample = true;
            walk_next(&b);
        } else {
            c->reset |= buckets[b.at] < side->absolute[a.at];
            walk_next(&a);
            walk_next(&b);
        }
    }
}

static bool same_custom_bounds(const State *s, const Histogram *h)
{
    return h->custom_count == s->custom_count &&
           (s->custom_count == 0 ||
            memcmp(h->custom_bounds, s->custom, s->custom_count * sizeof *s->custom) == 0);
}

typedef struct Verdict {
    bool fits;
    uint8_t flag; // for the chunk that the sample would begin
    Comparison positive;
    Comparison negative;
} Verdict;

static void compare_layout(const ChunkHistogram *chunk, const Histogram *h, Verdict *v)
{
    compare_side(&chunk->state.positive, h->positive_spans, h->positive_span_count,
                 h->positive_buckets, &v->positive);
    compare_side(&chunk->state.negative, h->negative_spans, h->negative_span_count,
                 h->negative_buckets, &v->negative);
}

static Verdict judge_gauge(const ChunkHistogram *chunk, const Histogram *h)
{
    const State *s = &chunk->state;
    Verdict v = {.flag = FLAG_GAUGE};

    if (chunk->flag != FLAG_GAUGE)
        return v;
    if (is_stale(h)) {
        v.fits = true;
        return v;
    }
    if (s->sum.bits == STALE_BITS || h->schema != s->schema ||
        h->zero_threshold != s->zero_threshold ||
        (h->schema == HISTOGRAM_SCHEMA_CUSTOM && !same_custom_bounds(s, h)))
        return v;
    compare_layout(chunk, h, &v);
    v.fits = true;
    return v;
}

// The order of the questions decides the flag, as in chunkenc/histogram.go.
static Verdict judge_counter(const ChunkHistogram *chunk, const Histogram *h)
{
    const State *s = &chunk->state;
    Verdict v = {.flag = FLAG_NO_RESET};

    if (chunk->flag == FLAG_GAUGE)
        return v;
    if (h->hint == HINT_RESET) {
        v.flag = FLAG_RESET;
        return v;
    }
    if (is_stale(h)) {
        v.fits = true;
        return v;
    }
    if (s->sum.bits == STALE_BITS) {
        v.flag = FLAG_UNKNOWN;
        return v;
    }
    if (h->count < chunk->last.count) {
        v.flag = FLAG_RESET;
        return v;
    }
    if (h->schema != s->schema || h->zero_threshold != s->zero_threshold) {
        v.flag = FLAG_UNKNOWN;
        return v;
    }
    if ((h->schema == HISTOGRAM_SCHEMA_CUSTOM && !same_custom_bounds(s, h)) ||
        h->zero_count < chunk->last.zero_count) {
        v.flag = FLAG_RESET;
        return v;
    }
    compare_layout(chunk, h, &v);
    v.fits = !v.positive.reset && !v.negative.reset;
    v.flag = v.fits ? FLAG_NO_RESET : FLAG_RESET;
    return v;
}

// Spans that cover the buckets of both, neighbours melted together. On the heap.
static HistogramSpan *merge_spans(const HistogramSpan *a_spans, uint32_t a_count,
                                  const HistogramSpan *b_spans, uint32_t b_count,
                                  uint32_t *ret_count)
{
    Walk a = walk_begin(a_spans, a_count), b = walk_begin(b_spans, b_count);
    HistogramSpan *spans = X_ARRAY(HistogramSpan, a_count + b_count + 1);
    int64_t end = 0; // one behind the newest bucket
    uint32_t count = 0, cap = a_count + b_count + 1;

    while (!a.done || !b.done) {
        int64_t index = a.done ? b.index : b.done ? a.index : MIN(a.index, b.index);
        if (count && index == end) {
            spans[count - 1].length++;
        } else {
            if (count == cap) {
                cap *= 2;
                spans = (HistogramSpan *)x_realloc(spans, cap * sizeof *spans);
            }
            spans[count] = (HistogramSpan){(int32_t)(count ? index - end : index), 1};
            count++;
        }
        end = index + 1;
        if (!a.done && a.index == index)
            walk_next(&a);
        if (!b.done && b.index == index)
            walk_next(&b);
    }
    *ret_count = count;
    return spans;
}

// The counts of `buckets` in the wider layout, zero where they had none. In the arena.
static double *widen(Arena *arena, const HistogramSpan *from, uint32_t from_count,
                     const double *buckets, const HistogramSpan *to, uint32_t to_count,
                     uint32_t *ret_count)
{
    Walk a = walk_begin(from, from_count), b = walk_begin(to, to_count);
    uint32_t count = 0;

    for (uint32_t i = 0; i < to_count; i++)
        count += to[i].length;
    double *wide = ARENA_ARRAY(arena, double, count);
    for (; !b.done; walk_next(&b)) {
        wide[b.at] = 0;
        if (!a.done && a.index == b.index) {
            wide[b.at] = buckets[a.at];
            walk_next(&a);
        }
    }
    *ret_count = count;
    return wide;
}

typedef struct Layout {
    HistogramSpan *positive;
    HistogramSpan *negative;
    uint32_t positive_count;
    uint32_t negative_count;
} Layout;

static Histogram widened(Arena *arena, const Histogram *h, const Layout *to)
{
    Histogram wide = *h;

    if (is_stale(h))
        return wide;
    wide.positive_buckets =
        widen(arena, h->positive_spans, h->positive_span_count, h->positive_buckets, to->positive,
              to->positive_count, &wide.positive_count);
    wide.negative_buckets =
        widen(arena, h->negative_spans, h->negative_span_count, h->negative_buckets, to->negative,
              to->negative_count, &wide.negative_count);
    wide.positive_spans = to->positive;
    wide.negative_spans = to->negative;
    wide.positive_span_count = to->positive_count;
    wide.negative_span_count = to->negative_count;
    return wide;
}

// The open chunk

static void begin(ChunkHistogram *chunk, const Histogram *h)
{
    static const Histogram empty = {.schema = 0};
    const Histogram *layout = is_stale(h) ? &empty : h;
    State *s = &chunk->state;

    s->schema = layout->schema;
    s->zero_threshold = layout->zero_threshold;
    chunk_histogram_side_init(&s->positive, layout->positive_spans, layout->positive_span_count,
                              s->is_integer);
    chunk_histogram_side_init(&s->negative, layout->negative_spans, layout->negative_span_count,
                              s->is_integer);
    if (layout->custom_count) {
        s->custom = X_ARRAY(double, layout->custom_count);
        memcpy(s->custom, layout->custom_bounds, layout->custom_count * sizeof *s->custom);
        s->custom_count = layout->custom_count;
    }
    s->sum.leading = s->total_field.leading = s->zero_field.leading = CHUNK_XOR_NO_WINDOW;
    bit_writer_reset(&chunk->w);
    bit_writer_put(&chunk->w, chunk->flag, HEADER_BYTES * 8);
    put_layout(&chunk->w, s);
}

// Makes the newest sample readable; its arrays are the state's.
static void note_last(ChunkHistogram *chunk, const Histogram *h)
{
    const State *s = &chunk->state;
    bool stale = is_stale(h);

    chunk->last = (Histogram){
        .hint = chunk->flag == FLAG_GAUGE ? HINT_GAUGE : HINT_UNKNOWN,
        .is_integer = s->is_integer,
        .sum = h->sum,
    };
    if (stale) {
        chunk->last.hint = HINT_UNKNOWN;
        return;
    }
    chunk->last.schema = s->schema;
    chunk->last.zero_threshold = s->zero_threshold;
    chunk->last.zero_count = h->zero_count;
    chunk->last.count = h->count;
    chunk->last.positive_spans = s->positive.spans;
    chunk->last.negative_spans = s->negative.spans;
    chunk->last.positive_buckets = s->positive.absolute;
    chunk->last.negative_buckets = s->negative.absolute;
    chunk->last.custom_bounds = s->custom;
    chunk->last.positive_span_count = s->positive.span_count;
    chunk->last.negative_span_count = s->negative.span_count;
    chunk->last.positive_count = s->positive.count;
    chunk->last.negative_count = s->negative.count;
    chunk->last.custom_count = s->custom_count;
}

// Writes a sample whose layout is the chunk's.
static void add(ChunkHistogram *chunk, int64_t t_ms, const Histogram *h)
{
    static const Histogram empty = {.schema = 0};

    if (chunk->count == 0) {
        Histogram bare = empty;
        bare.sum = h->sum;
        begin(chunk, h);
        put_first(&chunk->w, &chunk->state, t_ms, is_stale(h) ? &bare : h);
        chunk->min_t = t_ms;
    } else {
        put_next(&chunk->w, &chunk->state, t_ms, h);
    }
    chunk->count++;
    chunk->w.buf.ptr[0] = (char)(chunk->count >> 8);
    chunk->w.buf.ptr[1] = (char)chunk->count;
    note_last(chunk, h);
}

// Writes everything anew in the wider layout.
static void rewrite(ChunkHistogram *chunk, const Layout *layout)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    ChunkColumns old = {.arena = &arena};
    Error err = {0};

    bool ok = chunk_histogram_decode(chunk_histogram_encoding(chunk), chunk_histogram_str(chunk),
                                     INT64_MIN, INT64_MAX, &old, &err);
    ASSERT(ok); // we wrote it
    bool is_integer = chunk->state.is_integer;
    chunk_histogram_state_deinit(&chunk->state);
    chunk->state = (State){.is_integer = is_integer};
    chunk->count = 0;
    for (size_t i = 0; i < old.columns.count; i++) {
        Histogram wide = widened(&arena, old.columns.histograms[i], layout);
        add(chunk, old.columns.t_ms[i], &wide);
    }
}

static void choose_side(Comparison c, const Side *side, const HistogramSpan *spans, uint32_t count,
                        HistogramSpan **ret_spans, uint32_t *ret_count)
{
    if (c.only_chunk && c.only_sample) {
        *ret_spans = merge_spans(side->spans, side->span_count, spans, count, ret_count);
        return;
    }
    const HistogramSpan *from = c.only_sample ? spans : side->spans;
    *ret_count = c.only_sample ? count : side->span_count;
    *ret_spans = X_ARRAY(HistogramSpan, *ret_count + 1);
    if (*ret_count)
        memcpy(*ret_spans, from, *ret_count * sizeof **ret_spans);
}

// Adds a sample that has other buckets than the chunk: both get the union.
static void add_with_layout(ChunkHistogram *chunk, int64_t t_ms, const Histogram *h,
                            const Verdict *v)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    Layout layout;

    choose_side(v->positive, &chunk->state.positive, h->positive_spans, h->positive_span_count,
                &layout.positive, &layout.positive_count);
    choose_side(v->negative, &chunk->state.negative, h->negative_spans, h->negative_span_count,
                &layout.negative, &layout.negative_count);
    Histogram wide = widened(&arena, h, &layout);
    if (v->positive.only_sample || v->negative.only_sample)
        rewrite(chunk, &layout);
    add(chunk, t_ms, &wide);
    free(layout.positive);
    free(layout.negative);
}

ChunkHistogram *chunk_histogram_new(const Histogram *first, const ChunkHistogram *previous)
{
    ChunkHistogram *chunk = X_NEW(ChunkHistogram);

    chunk->state.is_integer = first->is_integer;
    if (first->hint == HINT_GAUGE)
        chunk->flag = FLAG_GAUGE;
    else if (first->hint == HINT_RESET)
        chunk->flag = FLAG_RESET;
    else if (previous && previous->count && previous->state.is_integer == first->is_integer)
        chunk->flag = judge_counter(previous, first).flag;
    return chunk;
}

void chunk_histogram_free(ChunkHistogram *chunk)
{
    if (!chunk)
        return;
    bit_writer_deinit(&chunk->w);
    chunk_histogram_state_deinit(&chunk->state);
    free(chunk);
}

ChunkHistogramAppend chunk_histogram_append(ChunkHistogram *chunk, int64_t t_ms, const Histogram *h)
{
    if (h->is_integer != chunk->state.is_integer || chunk->count == CHUNK_SAMPLES_MAX)
        return CHUNK_HISTOGRAM_CUT;
    if (chunk->count == 0) {
        add(chunk, t_ms, h);
        return CHUNK_HISTOGRAM_TAKEN;
    }
    Verdict v = h->hint == HINT_GAUGE ? judge_gauge(chunk, h) : judge_counter(chunk, h);
    if (!v.fits)
        return CHUNK_HISTOGRAM_CUT;
    if (v.positive.only_chunk || v.positive.only_sample || v.negative.only_chunk ||
        v.negative.only_sample)
        add_with_layout(chunk, t_ms, h, &v);
    else
        add(chunk, t_ms, h);
    return CHUNK_HISTOGRAM_TAKEN;
}

Str chunk_histogram_str(const ChunkHistogram *chunk)
{
    return bit_writer_str(&chunk->w);
}

ChunkEncoding chunk_histogram_encoding(const ChunkHistogram *chunk)
{
    return chunk->state.is_integer ? CHUNK_HISTOGRAM : CHUNK_FLOAT_HISTOGRAM;
}

size_t chunk_histogram_count(const ChunkHistogram *chunk)
{
    return chunk->count;
}

int64_t chunk_histogram_min_t(const ChunkHistogram *chunk)
{
    return chunk->min_t;
}

int64_t chunk_histogram_max_t(const ChunkHistogram *chunk)
{
    return chunk->state.t;
}

const Histogram *chunk_histogram_last(const ChunkHistogram *chunk)
{
    return chunk->count ? &chunk->last : NULL;
}

static size_t side_held_bytes(const Side *side, bool is_integer)
{
    return side->span_count * sizeof *side->spans +
           side->count * (sizeof(double) + (is_integer ? 2 * sizeof(int64_t) : sizeof(Field)));
}

size_t chunk_histogram_held_bytes(const ChunkHistogram *chunk)
{
    const State *s = &chunk->state;
    return sizeof *chunk + chunk->w.buf.cap + s->custom_count * sizeof(double) +
           side_held_bytes(&s->positive, s->is_integer) +
           side_held_bytes(&s->negative, s->is_integer);
}
