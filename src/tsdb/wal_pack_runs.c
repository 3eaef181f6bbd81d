// SPDX-License-Identifier: Apache-2.0
// Records with several samples of each series. The two places where a sample repeats an earlier one, and where what is told goes over
// from one to the other:
//
//     sample            ref | time | value, 8 bytes, weightiest first | ref of the next
//                        ~~~~~~~~~~~~~~                                                    as the sample of this turn in the series before
//                                                  ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~         as the sample before
//
// Two copies of two bytes tell a sample whose value has not changed.
#include "tsdb/wal_pack.h"
#include "tsdb/wal_pack_put.h"

enum {
    HEAD_BYTES = 17, // type, first ref, first time
    TURNS = 64,      // of a series, that are remembered
    TABLE_BITS = 10,
    VARINT_BYTES_MAX = 10,
    ROOM_BYTES = 48,      // of a sample, and what is looked at behind it
    REF_BYTES_MAX = 3,    // that are looked at behind a value
    FRONT_BYTES_SURE = 4, // of a time and a value, where the copy behind it tells the rest anyway
    TAIL_BYTES_MIN = 4,   // of a value that ends like one further back
};

typedef struct Runs {
    const uint8_t *begin, *end; // of the record
    const uint8_t *literal;     // what is not written yet begins here
    uint8_t *out;
    size_t copy_offset,
        copy_bytes;              // told, but not yet written: its last byte may go to the next copy
    const uint8_t *before;       // value of the sample before
    const uint8_t *turns[TURNS]; // times of the newest samples, by their turn in their series
    uint32_t tails[1u << TABLE_BITS]; // hash of a value's last four bytes: where the value stood
} Runs;

static inline void flush_copy(Runs *r)
{
    if (r->copy_bytes)
        r->out = pack_put_copy(r->out, r->copy_offset, r->copy_bytes);
    r->copy_bytes = 0;
}

// Those before `at` that are not written yet, then a copy.
static inline void add_copy(Runs *r, const uint8_t *at, const uint8_t *from, size_t bytes)
{
    flush_copy(r);
    r->out = pack_put_literal(r->out, r->literal, at, r->end);
    r->copy_offset = (size_t)(at - from);
    r->copy_bytes = bytes;
    r->literal = at + bytes;
}

static inline size_t same_bytes(const uint8_t *a, const uint8_t *b)
{
    uint64_t differ = pack_load(a) ^ pack_load(b);
    return differ ? (size_t)__builtin_ctzll(differ) / 8 : 8;
}

static inline size_t same_bytes_before(const uint8_t *a, const uint8_t *b)
{
    uint64_t differ = pack_load(a - 8) ^ pack_load(b - 8);
    return differ ? (size_t)__builtin_clzll(differ) / 8 : 8;
}

// The time, what is alike before it and the beginning of the value, as `like` has them. `tail`: so many bytes of the value the next copy
// will tell in any case.
static inline void pack_front(Runs *r, const uint8_t *time, const uint8_t *value,
                              const uint8_t *like, size_t tail)
{
    size_t time_bytes = (size_t)(value - time);
    size_t same = same_bytes(time, like);
    if (same < time_bytes || time - like > PACK_OFFSET_MAX || r->literal > time)
        return;
    if (same == 8 && tail < 8)
        same += same_bytes(time + 8, like + 8);
    same = MIN(same, time_bytes + 8);
    if (tail == 8)
        same = MIN(same, MAX(time_bytes, (size_t)FRONT_BYTES_SURE));
    size_t before = 0;
    while (before < 2 && time - before > r->literal &&
           time[-1 - (ptrdiff_t)before] == like[-1 - (ptrdiff_t)before])
        before++;
    // One byte from the copy that has just been told is enough to make a copy of a time of three.
    if (same + before == PACK_COPY_BYTES_MIN - 1 && time == r->literal &&
        r->copy_bytes > PACK_COPY_BYTES_MIN && time[-1] == like[-1]) {
        r->copy_bytes--;
        r->literal--;
        before++;
    }
    if (same + before >= PACK_COPY_BYTES_MIN)
        add_copy(r, time - before, like - before, same + before);
}

// The end of the value as in the sample before, and what follows it there.
static inline void pack_back(Runs *r, const uint8_t *end, size_t tail)
{
    const uint8_t *like = r->before + 8;
    const uint8_t *from = MAX(end - tail, r->literal);
    size_t differ_at = same_bytes(end, like);
    size_t bytes = (size_t)(end - from) + MIN(differ_at, (size_t)REF_BYTES_MAX);
    if (bytes >= PACK_COPY_BYTES_MIN && end - like <= PACK_OFFSET_MAX)
        add_copy(r, from, like - (end - from), bytes);
}

// The end of a value that did not end like the one before, as in an earlier one.
static inline void pack_tail(Runs *r, const uint8_t *value)
{
    const uint8_t *end = value + 8;
    uint32_t word;
    memcpy(&word, end - sizeof word, sizeof word);
    uint32_t *slot = &r->tails[word * 0x9e3779b1u >> (32 - TABLE_BITS)];
    const uint8_t *like = r->begin + *slot;
    *slot = (uint32_t)(value - r->begin);
    if (like == r->begin || value - like > PACK_OFFSET_MAX)
        return;
    size_t same = MIN(same_bytes_before(end, like + 8), (size_t)(end - r->literal));
    if (same >= TAIL_BYTES_MIN)
        add_copy(r, end - same, like + 8 - same, same);
}

static inline const uint8_t *skip_varint(const uint8_t *at)
{
    const uint8_t *stop = at + VARINT_BYTES_MAX;
    while (at < stop && *at & 0x80)
        at++;
    return at + 1;
}

// True if the refs at `a` and `b` are the same number; both end somewhere.
static inline bool same_ref(const uint8_t *a, const uint8_t *b, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (a[i] != b[i])
            return false;
    return true;
}

static inline void pack_sample(Runs *r, const uint8_t *time, const uint8_t *value, size_t turn)
{
    const uint8_t *like = r->turns[turn % TURNS];
    size_t tail = r->before ? same_bytes_before(value + 8, r->before + 8) : 0;
    if (like)
        pack_front(r, time, value, like, tail);
    if (tail < TAIL_BYTES_MIN)
        pack_tail(r, value);
    if (r->before && r->literal <= value + 8)
        pack_back(r, value + 8, tail);
    r->before = value;
    r->turns[turn % TURNS] = time;
}

void wal_pack_runs(Str record, Buf *out)
{
    uint8_t *start = (uint8_t *)buf_reserve(out, record.len + record.len / 6 + PACK_SPARE_BYTES);
    if (!start)
        return;
    const uint8_t *begin = (const uint8_t *)record.ptr;
    const uint8_t *end = begin + record.len;
    Runs r = {.begin = begin, .end = end, .literal = begin};
    r.out = pack_put_length(start, record.len);
    const uint8_t *ref = begin + MIN(record.len, (size_t)HEAD_BYTES);
    const uint8_t *ref_before = NULL;
    size_t ref_bytes = 0;
    size_t turn = 0;

    // The end of the record is left as it is.
    while (end - ref > ROOM_BYTES) {
        const uint8_t *time = skip_varint(ref);
        const uint8_t *value = skip_varint(time);
        bool is_same =
            ref_before && ref_bytes == (size_t)(time - ref) && same_ref(ref, ref_before, ref_bytes);
        turn = is_same ? turn + 1 : 0;
        ref_before = ref;
        ref_bytes = (size_t)(time - ref);
        pack_sample(&r, time, value, turn);
        ref = value + 8;
    }
    flush_copy(&r);
    r.out = pack_put_literal(r.out, r.literal, end, end);
    out->len += (size_t)(r.out - start);
}
