// SPDX-License-Identifier: Apache-2.0
#include "tsdb/chunk_xor_many.h"

#include "tsdb/chunk_xor_decoder.h"

void chunk_xor_decode_each(ChunkXorJob *jobs, size_t count, int64_t until_ms)
{
    for (ChunkXorJob *j = jobs; j < jobs + count; j++)
        j->done = chunk_xor_decode_until(j->chunk, until_ms, j->t_ms, j->value, j->max);
}

#if defined(__x86_64__)

#include <immintrin.h>

#define ROW 8 // lanes of a register
#define LANES (2 * ROW)
#define LANES_MIN 4 // fewer chunks are faster one after the other
#define STEPS_MAX 64
#define LANE_BYTES_MAX 1280 // longer chunks are decoded alone
#define LANE_PADDING 24     // a sample reads no further behind its first bit
#define UNROLLED _Pragma("GCC unroll 8")
#define AVX512 __attribute__((target("avx512f,avx512bw,avx512dq")))

typedef uint64_t Lanes[LANES] __attribute__((aligned(64)));

// State of all lanes, a row for each thing; a lane without a job reads zeros.
typedef struct Bench {
    Lanes base; // address of the bytes
    Lanes bit;
    Lanes stop_bit;
    Lanes t;
    Lanes delta;
    Lanes value;
    Lanes wide;            // of the window; 0: none yet
    Lanes trailing;        // of the window
    Lanes t_ms[STEPS_MAX]; // what the steps gave
    Lanes values[STEPS_MAX];
    uint8_t bytes[LANES][LANE_BYTES_MAX + LANE_PADDING];
    ChunkXorJob *job[LANES]; // NULL: idle
    size_t active;
    int64_t until_ms;
    ChunkXorJob *next, *end; // not begun yet
} Bench;

static const uint8_t idle_bytes[STEPS_MAX / 4 + LANE_PADDING]; // zeros: two bits a sample

static void lane_rest(Bench *bench, size_t lane)
{
    bench->job[lane] = NULL;
    bench->base[lane] = (uint64_t)(uintptr_t)idle_bytes;
    bench->bit[lane] = bench->t[lane] = bench->delta[lane] = bench->value[lane] = 0;
    bench->wide[lane] = bench->trailing[lane] = 0;
    bench->stop_bit[lane] = UINT64_MAX >> 1;
    bench->t[lane] = (uint64_t)INT64_MIN;
}

static void lane_store(Bench *bench, size_t lane, const ChunkXorDecoder *d)
{
    bench->bit[lane] = d->bit;
    bench->t[lane] = d->t;
    bench->delta[lane] = d->delta;
    bench->value[lane] = d->value;
    bench->wide[lane] = d->leading == CHUNK_XOR_NO_WINDOW ? 0 : 64 - d->leading - d->trailing;
    bench->trailing[lane] = d->trailing;
}

static ChunkXorDecoder lane_load(const Bench *bench, size_t lane)
{
    unsigned wide = (unsigned)bench->wide[lane], trailing = (unsigned)bench->trailing[lane];

    return (ChunkXorDecoder){
        .bytes = (const uint8_t *)bench->job[lane]->chunk.ptr,
        .bit = bench->bit[lane],
        .t = bench->t[lane],
        .delta = bench->delta[lane],
        .value = bench->value[lane],
        .leading = wide ? 64 - wide - trailing : CHUNK_XOR_NO_WINDOW,
        .trailing = trailing,
        .until_ms = bench->until_ms,
    };
}

// The lane reads a copy of its own, with zeros behind it.
static void lane_take(Bench *bench, size_t lane, ChunkXorJob *job, const ChunkXorDecoder *d)
{
    uint8_t *bytes = bench->bytes[lane];

    memcpy(bytes, job->chunk.ptr, job->chunk.len);
    memset(bytes + job->chunk.len, 0, LANE_PADDING);
    bench->base[lane] = (uint64_t)(uintptr_t)bytes;
    bench->stop_bit[lane] = job->chunk.len * 8;
    bench->job[lane] = job;
    lane_store(bench, lane, d);
}

// Few bits a sample: hardly anything changes, and what does not change is told a word at a time.
static bool is_still(const ChunkXorJob *job)
{
    return job->chunk.len * 8 < 3 * chunk_xor_count(job->chunk) + 160;
}

// Begins chunks until one is worth a lane. False: there is none left.
static bool lane_begin(Bench *bench, size_t lane)
{
    ChunkXorDecoder d;

    while (bench->next < bench->end) {
        ChunkXorJob *job = bench->next++;
        job->max = MIN(job->max, chunk_xor_count(job->chunk));
        job->done = chunk_xor_decode_begin(job->chunk, bench->until_ms, &d, job->t_ms, job->value,
                                           job->max);
        if (job->done < 2 || job->done >= job->max)
            continue;
        if (job->chunk.len > LANE_BYTES_MAX || is_still(job)) {
            job->done =
                chunk_xor_decode_rest(job->chunk, &d, job->t_ms, job->value, job->done, job->max);
            continue;
        }
        lane_take(bench, lane, job, &d);
        return true;
    }
    return false;
}

// Where the bytes end too early, or a sample is too late, the decoder that takes care of every bit tells what counts.
static void lane_end(Bench *bench, size_t lane)
{
    ChunkXorJob *job = bench->job[lane];

    if (bench->bit[lane] > bench->stop_bit[lane])
        job->done =
            chunk_xor_decode_until(job->chunk, bench->until_ms, job->t_ms, job->value, job->max);
    lane_rest(bench, lane);
    if (!lane_begin(bench, lane))
        bench->active--;
}

// One sample that the steps do not know. False: the chunk ends here, for whatever reason.
static bool lane_step_alone(Bench *bench, size_t lane)
{
    ChunkXorJob *job = bench->job[lane];
    ChunkXorDecoder d = lane_load(bench, lane);
    size_t done = job->done;

    if (bench->bit[lane] > bench->stop_bit[lane] || (int64_t)bench->t[lane] > bench->until_ms)
        return false;
    job->done = chunk_xor_decode_rest(job->chunk, &d, job->t_ms, job->value, done, done + 1);
    if (job->done == done)
        return false;
    lane_store(bench, lane, &d);
    return true;
}

// Too few are left for the rows.
static void lane_finish_alone(Bench *bench, size_t lane)
{
    ChunkXorJob *job = bench->job[lane];
    ChunkXorDecoder d = lane_load(bench, lane);

    if (bench->bit[lane] > bench->stop_bit[lane])
        job->done =
            chunk_xor_decode_until(job->chunk, bench->until_ms, job->t_ms, job->value, job->max);
    else
        job->done =
            chunk_xor_decode_rest(job->chunk, &d, job->t_ms, job->value, job->done, job->max);
}

static inline long long word_at(uint64_t address)
{
    long long word;
    memcpy(&word, (const void *)(uintptr_t)address, sizeof word);
    return word;
}

// The eight bytes at each lane's bit, first byte highest. Eight plain loads: gathers are slow where processors guard them.
static AVX512 inline __m512i load_at(__m512i base, __m512i bit)
{
    const __m512i swap =
        _mm512_broadcast_i32x4(_mm_set_epi8(8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
    uint64_t at[ROW] __attribute__((aligned(64)));

    _mm512_store_si512(at, _mm512_add_epi64(base, _mm512_srli_epi64(bit, 3)));
    __m512i words =
        _mm512_set_epi64(word_at(at[7]), word_at(at[6]), word_at(at[5]), word_at(at[4]),
                         word_at(at[3]), word_at(at[2]), word_at(at[1]), word_at(at[0]));
    return _mm512_shuffle_epi8(words, swap);
}

static AVX512 inline __m512i window_at(__m512i base, __m512i bit)
{
    return _mm512_sllv_epi64(load_at(base, bit), _mm512_and_epi64(bit, _mm512_set1_epi64(7)));
}

// Eight lanes in registers.
typedef struct Row {
    __m512i base, stop, bit, t, delta, value, wide, trailing;
} Row;

static AVX512 inline Row row_load(const Bench *bench, size_t row)
{
    return (Row){
        .base = _mm512_load_si512(bench->base + row * ROW),
        .stop = _mm512_load_si512(bench->stop_bit + row * ROW),
        .bit = _mm512_load_si512(bench->bit + row * ROW),
        .t = _mm512_load_si512(bench->t + row * ROW),
        .delta = _mm512_load_si512(bench->delta + row * ROW),
        .value = _mm512_load_si512(bench->value + row * ROW),
        .wide = _mm512_load_si512(bench->wide + row * ROW),
        .trailing = _mm512_load_si512(bench->trailing + row * ROW),
    };
}

static AVX512 inline void row_store(Bench *bench, size_t row, const Row *r)
{
    _mm512_store_si512(bench->bit + row * ROW, r->bit);
    _mm512_store_si512(bench->t + row * ROW, r->t);
    _mm512_store_si512(bench->delta + row * ROW, r->delta);
    _mm512_store_si512(bench->value + row * ROW, r->value);
    _mm512_store_si512(bench->wide + row * ROW, r->wide);
    _mm512_store_si512(bench->trailing + row * ROW, r->trailing);
}

// The bits of `count` (at most 64) at `from`, right-aligned. `rest` are the first bits there, less `behind` of a window.
static AVX512 inline __m512i bits_at(__m512i base, __m512i from, __m512i count, __m512i rest,
                                     __m512i behind)
{
    const __m512i eight = _mm512_set1_epi64(8), all = _mm512_set1_epi64(64);
    const __m512i enough = _mm512_set1_epi64(57);
    __m512i x = rest;

    if (_mm512_cmpgt_epi64_mask(_mm512_add_epi64(count, behind), enough))
        x = window_at(base, from);
    if (UNLIKELY(_mm512_cmpgt_epi64_mask(count, enough))) {
        __m512i ninth = load_at(base, _mm512_add_epi64(from, eight));
        __m512i in = _mm512_and_epi64(from, _mm512_set1_epi64(7));
        ninth = _mm512_and_epi64(ninth, _mm512_set1_epi64(255));
        x = _mm512_or_epi64(x, _mm512_srlv_epi64(ninth, _mm512_sub_epi64(eight, in)));
    }
    return _mm512_srlv_epi64(x, _mm512_sub_epi64(all, count)); // a shift by 64 gives zero
}

// The next sample of each lane. Returns the lanes for which that cannot be told here; `r` is of no use then.
static AVX512 inline __mmask8 row_step(Row *r, __m512i until)
{
    const __m512i one = _mm512_set1_epi64(1), all = _mm512_set1_epi64(64);
    __mmask8 odd = _mm512_cmpgt_epi64_mask(r->bit, r->stop);
    odd = _kor_mask8(odd, _mm512_cmpgt_epi64_mask(r->t, until));

    __m512i w = window_at(r->base, r->bit), used = one;
    __mmask8 timed = _mm512_movepi64_mask(w);
    if (timed) {
        const __m512i most = _mm512_set1_epi64(8191); // -8191 to 8192, see bitstream_widen
        __m512i dod = _mm512_srli_epi64(_mm512_slli_epi64(w, 2), 50);
        dod = _mm512_and_epi64(_mm512_add_epi64(dod, most), _mm512_set1_epi64(16383));
        dod = _mm512_sub_epi64(dod, most);
        odd = _kor_mask8(
            odd, // a delta of deltas of more than 14 bits
            _mm512_mask_cmplt_epi64_mask(timed, _mm512_slli_epi64(w, 1), _mm512_setzero_si512()));
        r->delta = _mm512_mask_add_epi64(r->delta, timed, r->delta, dod);
        used = _mm512_mask_mov_epi64(one, timed, _mm512_set1_epi64(16));
    }
    r->t = _mm512_add_epi64(r->t, r->delta);

    w = _mm512_sllv_epi64(w, used);
    __m512i leading = _mm512_and_epi64(_mm512_srli_epi64(w, 57), _mm512_set1_epi64(31));
    __m512i bits = _mm512_and_epi64(_mm512_srli_epi64(w, 51), _mm512_set1_epi64(63));
    __mmask8 changed = _mm512_movepi64_mask(w);
    __mmask8 renewed =
        _mm512_mask_cmplt_epi64_mask(changed, _mm512_slli_epi64(w, 1), _mm512_setzero_si512());
    bits = _mm512_mask_mov_epi64(bits, _mm512_testn_epi64_mask(bits, bits), all);
    __m512i both = _mm512_add_epi64(leading, bits);
    odd = _kor_mask8(odd, _mm512_mask_cmpgt_epi64_mask(renewed, both, all));
    r->wide = _mm512_mask_mov_epi64(r->wide, renewed, bits);
    r->trailing = _mm512_mask_sub_epi64(r->trailing, renewed, all, both);
    odd = _kor_mask8(odd, _mm512_mask_testn_epi64_mask(changed, r->wide, r->wide)); // no window yet
    __m512i head = _mm512_mask_mov_epi64(one, changed, _mm512_set1_epi64(2));
    head = _mm512_mask_mov_epi64(head, renewed, _mm512_set1_epi64(13));
    __m512i count = _mm512_maskz_mov_epi64(changed, r->wide);
    __m512i behind = _mm512_add_epi64(used, head), from = _mm512_add_epi64(r->bit, behind);
    __m512i x = bits_at(r->base, from, count, _mm512_sllv_epi64(w, head), behind);
    r->bit = _mm512_add_epi64(from, count);
    r->value = _mm512_xor_epi64(r->value, _mm512_sllv_epi64(x, r->trailing));
    return odd;
}

// Up to `steps` samples of every lane. Returns how many; *ret_odd: the lanes that the step behind them could not do.
static AVX512 size_t run_steps(Bench *bench, size_t steps, uint32_t *ret_odd)
{
    const __m512i until = _mm512_set1_epi64(bench->until_ms);
    Row a = row_load(bench, 0), b = row_load(bench, 1);
    uint32_t odd = 0;
    size_t i = 0;

    for (; i < steps; i++) {
        Row next_a = a, next_b = b;
        uint32_t odd_a = row_step(&next_a, until), odd_b = row_step(&next_b, until);
        odd = odd_a | odd_b << ROW;
        if (UNLIKELY(odd))
            break;
        a = next_a;
        b = next_b;
        _mm512_store_si512(bench->t_ms[i], a.t);
        _mm512_store_si512(bench->t_ms[i] + ROW, b.t);
        _mm512_store_si512(bench->values[i], a.value);
        _mm512_store_si512(bench->values[i] + ROW, b.value);
    }
    row_store(bench, 0, &a);
    row_store(bench, 1, &b);
    *ret_odd = odd;
    return i;
}

// Eight rows of eight become columns. Unrolled, all stay in registers.
static AVX512 inline void turn(__m512i row[ROW])
{
    __m512i two[ROW], four[ROW];

    UNROLLED for (size_t i = 0; i < ROW; i += 2)
    {
        two[i] = _mm512_unpacklo_epi64(row[i], row[i + 1]);
        two[i + 1] = _mm512_unpackhi_epi64(row[i], row[i + 1]);
    }
    UNROLLED for (size_t i = 0; i < ROW; i++)
    {
        size_t from = (i & 4) + (i & 1);
        four[i] = i & 2 ? _mm512_shuffle_i64x2(two[from], two[from + 2], 0xdd)
                        : _mm512_shuffle_i64x2(two[from], two[from + 2], 0x88);
    }
    UNROLLED for (size_t k = 0; k < 4; k++)
    {
        row[k] = _mm512_shuffle_i64x2(four[k], four[k + 4], 0x88);
        row[k + 4] = _mm512_shuffle_i64x2(four[k], four[k + 4], 0xdd);
    }
}

// What the steps gave one row of lanes, of times or of values, to each lane's own column.
static AVX512 void hand_out_row(const Lanes *gave, size_t steps, size_t first, void *to[ROW])
{
    for (size_t i = 0; i < steps; i += ROW) {
        __mmask8 wanted = (__mmask8)(steps - i < ROW ? (1u << (steps - i)) - 1 : 255);
        __m512i row[ROW];
        UNROLLED for (size_t k = 0; k < ROW; k++) row[k] = _mm512_load_si512(gave[i + k] + first);
        turn(row);
        UNROLLED for (size_t k = 0; k < ROW; k++) if (to[k])
            _mm512_mask_storeu_epi64((char *)to[k] + i * sizeof(uint64_t), wanted, row[k]);
    }
}

static void hand_out(Bench *bench, size_t steps)
{
    void *t_ms[LANES], *values[LANES];

    for (size_t lane = 0; lane < LANES; lane++) {
        ChunkXorJob *job = bench->job[lane];
        t_ms[lane] = job ? job->t_ms + job->done : NULL;
        values[lane] = job ? job->value + job->done : NULL;
        if (job)
            job->done += steps;
        else
            bench->bit[lane] = 0;
    }
    for (size_t first = 0; first < LANES; first += ROW) {
        hand_out_row(bench->t_ms, steps, first, t_ms + first);
        hand_out_row(bench->values, steps, first, values + first);
    }
}

static size_t steps_left(const Bench *bench)
{
    size_t least = STEPS_MAX;

    for (size_t lane = 0; lane < LANES; lane++)
        if (bench->job[lane])
            least = MIN(least, bench->job[lane]->max - bench->job[lane]->done);
    return least;
}

static void decode_wide(ChunkXorJob *jobs, size_t count, int64_t until_ms)
{
    Bench bench;
    uint32_t odd;

    bench.active = 0;
    bench.until_ms = until_ms;
    bench.next = jobs;
    bench.end = jobs + count;
    for (size_t lane = 0; lane < LANES; lane++) {
        lane_rest(&bench, lane);
        bench.active += lane_begin(&bench, lane);
    }
    while (bench.active >= LANES_MIN) {
        size_t steps = run_steps(&bench, steps_left(&bench), &odd);
        hand_out(&bench, steps);
        for (size_t lane = 0; lane < LANES; lane++) {
            ChunkXorJob *job = bench.job[lane];
            if (job &&
                ((odd & (1u << lane) && !lane_step_alone(&bench, lane)) || job->done >= job->max))
                lane_end(&bench, lane);
        }
    }
    for (size_t lane = 0; lane < LANES; lane++)
        if (bench.job[lane])
            lane_finish_alone(&bench, lane);
}

void chunk_xor_decode_many(ChunkXorJob *jobs, size_t count, int64_t until_ms)
{
    if (count >= LANES_MIN && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq"))
        decode_wide(jobs, count, until_ms);
    else
        chunk_xor_decode_each(jobs, count, until_ms);
}

#else

void chunk_xor_decode_many(ChunkXorJob *jobs, size_t count, int64_t until_ms)
{
    chunk_xor_decode_each(jobs, count, until_ms);
}

#endif
