// SPDX-License-Identifier: Apache-2.0
#include "remote/remote_pack.h"

#include <stdlib.h>

enum {
    PIECE_NONE = 0, // is like no other
    PIECE_VALUE = 1,
    PIECE_ZERO = 2,
    JOINT_SHIFT =
        20, // bits of the length in a joint's number; the time's stand above, then the highest
    JOINT_TIMES_MAX = 1 << (31 - JOINT_SHIFT),
    VALUE_HEAD_BYTES = 3,
    TIME_BYTES = 6,       // of what is called a usual time
    JOINT_HEAD_BYTES = 8, // 0x10, a usual time, 0x0a
    SERIES_HEAD_BYTES_MAX = 6,
    COPY_BYTES_MAX = 64,
    NEAR_OFFSET_MAX = 2047, // of a copy of two bytes
    NEAR_BYTES_MIN = 4,
    NEAR_BYTES_MAX = 11,
    MIDDLE_OFFSET_MAX = 65535, // of one of three
    SHORT_LITERAL = 60,
    PREFIX_BYTES_MIN = 8, // of a new pair: a shorter one costs what it saves
    INSIDE_BYTES_MIN = 16,
    EQUAL_VALUE_MIN =
        6, // so many bytes of a value told by the copy under way are better than another copy
};
#define PLACED_MAX (UINT32_C(1) << 31)
#define JOINT (UINT32_C(1) << 31)
#define TIME_MIN (INT64_C(1) << 35) // its varint has six bytes from here
#define TIME_MAX (INT64_C(1) << 42) // up to here

// Elements ---------------------------------------------------------------------------------------------------------------------------

static void begin_literal(RemotePack *pack)
{
    pack->literal = pack->out.len;
    (void)buf_reserve(&pack->out, 1);
    pack->out.len++;
    pack->value_end_bytes = 0;
}

static inline size_t literal_bytes(const RemotePack *pack)
{
    return pack->out.len - pack->literal - 1;
}

// The literal under way gets its head.
static void end_literal(RemotePack *pack)
{
    size_t bytes = literal_bytes(pack);
    uint8_t *head = (uint8_t *)pack->out.ptr + pack->literal;
    if (bytes == 0) {
        pack->out.len--;
    } else if (LIKELY(bytes <= SHORT_LITERAL)) {
        *head = (uint8_t)((bytes - 1) << 2);
    } else {
        size_t more = bytes - 1;
        size_t width = more < 1u << 8 ? 1 : more < 1u << 16 ? 2 : more < 1u << 24 ? 3 : 4;
        (void)buf_reserve(&pack->out, width);
        head = (uint8_t *)pack->out.ptr + pack->literal;
        memmove(head + 1 + width, head + 1, bytes);
        *head++ = (uint8_t)((59 + width) << 2);
        for (size_t i = 0; i < width; i++)
            *head++ = (uint8_t)(more >> 8 * i);
        pack->out.len += width;
    }
}

static inline uint8_t *put_copy(uint8_t *at, uint32_t offset, uint32_t bytes)
{
    if (offset <= NEAR_OFFSET_MAX && bytes >= NEAR_BYTES_MIN && bytes <= NEAR_BYTES_MAX) {
        *at++ = (uint8_t)(1 | (bytes - NEAR_BYTES_MIN) << 2 | (offset >> 8) << 5);
        *at++ = (uint8_t)offset;
        return at;
    }
    bool is_far = offset > MIDDLE_OFFSET_MAX;
    *at++ = (uint8_t)((is_far ? 3 : 2) | (bytes - 1) << 2);
    memcpy(at, &offset, 4);
    return at + (is_far ? 4 : 2);
}

static void end_run(RemotePack *pack)
{
    uint32_t left = pack->run;
    if (left == 0)
        return;
    uint8_t *begin = (uint8_t *)buf_reserve(&pack->out, (left / COPY_BYTES_MAX + 2) * 5);
    uint8_t *at = begin;
    for (; left > COPY_BYTES_MAX; left -= COPY_BYTES_MAX)
        at = put_copy(at, pack->run_offset, COPY_BYTES_MAX);
    at = put_copy(at, pack->run_offset, left);
    pack->out.len += (size_t)(at - begin);
    pack->run = 0;
    begin_literal(pack);
}

// A copy of what stands at `source`, of no length yet.
static inline void begin_run(RemotePack *pack, uint32_t source)
{
    end_literal(pack);
    pack->run_offset = pack->at - source;
}

static inline void grow_run(RemotePack *pack, uint32_t bytes)
{
    pack->run += bytes;
    pack->at += bytes;
}

static inline void put_literal(RemotePack *pack, const void *bytes, size_t len)
{
    buf_add(&pack->out, bytes, len);
    pack->at += (uint32_t)len;
}

// Pieces -----------------------------------------------------------------------------------------------------------------------------

static inline uint32_t *slot_of_number(const RemotePack *pack, uint32_t number)
{
    return &pack->table[number * UINT32_C(0x9e3779b1) >> 20];
}

static inline uint32_t *slot_of_bits(const RemotePack *pack, uint64_t bits)
{
    return &pack->table[bits * UINT64_C(0x9e3779b97f4a7c15) >> 52];
}
_Static_assert(REMOTE_PACK_TABLE == 1 << 12, "shifts of the hashes");

static inline RemotePiece *piece(const RemotePack *pack, uint32_t index)
{
    return &pack->ring[index % REMOTE_PACK_RING];
}

// Still in the ring, with the piece behind it.
static inline bool is_remembered(const RemotePack *pack, uint32_t index)
{
    return index >= pack->placed_from && pack->placed - index < REMOTE_PACK_RING - 2;
}

static inline void note(RemotePack *pack, uint32_t number)
{
    *piece(pack, pack->placed++) = (RemotePiece){.number = number, .at = pack->at};
}

// The value comes behind its piece in the ring.
static inline void note_value(RemotePack *pack, uint64_t bits)
{
    pack->last_value = pack->placed;
    *slot_of_bits(pack, bits) = pack->placed;
    note(pack, PIECE_VALUE);
    piece(pack, pack->placed++)->bits = bits;
}

static void forget(RemotePack *pack)
{
    if (!pack->ring) {
        pack->ring = X_ARRAY(RemotePiece, REMOTE_PACK_RING);
        pack->table = X_ARRAY(uint32_t, REMOTE_PACK_TABLE);
    }
    if (pack->placed > PLACED_MAX) { // long before it comes round
        memset(pack->table, 0, REMOTE_PACK_TABLE * sizeof *pack->table);
        pack->placed = 1;
    }
    pack->placed_from = pack->placed;
    pack->last_joint = pack->last_value = pack->new_pair = 0;
    pack->seen_freed = pack->pairs->freed;
}

// The copy under way goes on with this piece. False: it does not, or there is none.
static inline bool continue_run(RemotePack *pack, uint32_t number)
{
    if (!pack->run || !is_remembered(pack, pack->run_next) ||
        piece(pack, pack->run_next)->number != number || number == PIECE_NONE)
        return false;
    note(pack, number);
    *slot_of_number(pack, number) = pack->placed - 1;
    uint32_t from = piece(pack, pack->run_next++)->at;
    grow_run(pack, piece(pack, pack->run_next)->at - from); // without a look at the pair itself
    return true;
}

// The newest piece of this number, 0: none.
static inline uint32_t find(const RemotePack *pack, uint32_t number)
{
    uint32_t index = *slot_of_number(pack, number);
    bool found =
        number != PIECE_NONE && is_remembered(pack, index) && piece(pack, index)->number == number;
    return found ? index : 0;
}

// Pairs ------------------------------------------------------------------------------------------------------------------------------

static size_t same_prefix(Str a, Str b)
{
    size_t same = 0;
    while (same < a.len && same < b.len && a.ptr[same] == b.ptr[same])
        same++;
    return same;
}

// The rest of a new pair. Its value may be part of the new pair before it, as a container's name is of its path.
static void put_new_text(RemotePack *pack, Str text, Str value)
{
    Str before = pack->new_pair ? remote_pairs_text(pack->pairs, pack->new_pair) : STR_NONE;
    const char *found = value.len >= INSIDE_BYTES_MIN && value.len <= MIN(text.len, before.len)
                            ? memmem(before.ptr, before.len, value.ptr, value.len)
                            : NULL;
    if (!found) {
        put_literal(pack, text.ptr, text.len);
        return;
    }
    put_literal(pack, text.ptr, text.len - value.len);
    begin_run(pack, pack->new_pair_at + (uint32_t)(found - before.ptr));
    grow_run(pack, (uint32_t)value.len);
    end_run(pack);
}

// A pair that is new to the message often begins as the one that stands where it would be if the copy went on.
static void put_new_pair(RemotePack *pack, uint32_t number)
{
    Str text = remote_pairs_text(pack->pairs, number);
    uint32_t at = pack->at;
    uint32_t like = pack->beside && is_remembered(pack, pack->beside) ? pack->beside : 0;
    uint32_t other = like ? piece(pack, like)->number : PIECE_NONE;
    bool is_pair = other >= REMOTE_PAIR_FIRST && other < JOINT;
    size_t same = is_pair ? same_prefix(text, remote_pairs_text(pack->pairs, other)) : 0;
    pack->beside += is_pair;
    if (!pack->run && same >= PREFIX_BYTES_MIN)
        begin_run(pack, piece(pack, like)->at);
    else if (!pack->run)
        same = 0;
    grow_run(pack, (uint32_t)same);
    end_run(pack);
    put_new_text(pack, str_skip(text, same), remote_pair_value(pack->pairs->items[number]));
    pack->new_pair = number;
    pack->new_pair_at = at;
}

static inline void put_pair(RemotePack *pack, uint32_t number)
{
    if (LIKELY(continue_run(pack, number))) {
        pack->beside = pack->run_next;
        return;
    }
    uint32_t found = find(pack, number);
    note(pack, number);
    *slot_of_number(pack, number) = pack->placed - 1;
    if (!found) {
        put_new_pair(pack, number);
        return;
    }
    end_run(pack);
    begin_run(pack, piece(pack, found)->at);
    pack->run_next = pack->beside = found + 1;
    grow_run(pack, pack->pairs->items[number]->bytes);
}

// Joints -----------------------------------------------------------------------------------------------------------------------------

// A number for the time; PIECE_NONE if there are too many.
static uint32_t number_of_time(RemotePack *pack, int64_t t_ms)
{
    for (size_t i = 0; i < REMOTE_PACK_TIMES; i++)
        if (pack->times[i] == t_ms && pack->time_numbers[i])
            return pack->time_numbers[i];
    if (pack->time_count + 1 >= JOINT_TIMES_MAX)
        return 0;
    size_t i = pack->time_count++ % REMOTE_PACK_TIMES;
    pack->times[i] = t_ms;
    return pack->time_numbers[i] = pack->time_count;
}

static inline uint8_t *put_varint(uint8_t *at, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        *at++ = (uint8_t)(v | 0x80);
    *at++ = (uint8_t)v;
    return at;
}

// The end of the value in front of the joint may be that of the value in front of the joint's source.
static inline uint32_t same_end(const RemotePack *pack, uint32_t joint)
{
    uint32_t most = MIN(pack->value_end_bytes, (uint32_t)literal_bytes(pack));
    if (!most || !is_remembered(pack, joint - 2) || piece(pack, joint - 2)->number != PIECE_VALUE)
        return 0;
    uint64_t differ = piece(pack, joint - 1)->bits ^ piece(pack, pack->placed - 1)->bits;
    return MIN(differ ? (uint32_t)__builtin_clzll(differ) / 8 : 8, most);
}

// A copy from that joint on, or from the end of the value before it.
static void begin_run_at_joint(RemotePack *pack, uint32_t joint)
{
    uint32_t before = pack->run ? 0 : same_end(pack, joint);
    end_run(pack);
    pack->out.len -= before;
    pack->at -= before;
    begin_run(pack, piece(pack, joint)->at - before);
    grow_run(pack, before);
}

static void put_joint(RemotePack *pack, size_t series_bytes)
{
    uint8_t text[16 + SERIES_HEAD_BYTES_MAX];
    uint8_t *end = text;
    if (pack->has_time) {
        *end++ = 0x10;
        end = put_varint(end, pack->time_ms);
    }
    *end++ = 0x0a;
    end = put_varint(end, series_bytes);
    uint32_t bytes = (uint32_t)(end - text);
    uint32_t number = pack->time_number && series_bytes < 1u << JOINT_SHIFT
                          ? JOINT | pack->time_number << JOINT_SHIFT | (uint32_t)series_bytes
                          : (uint32_t)PIECE_NONE;
    pack->has_time = false;
    if (continue_run(pack, number)) {
        pack->last_joint = pack->placed - 1;
        return;
    }
    uint32_t found = find(pack, number);
    uint32_t last = pack->last_joint;
    uint32_t same = 0;
    if (found) {
        begin_run_at_joint(pack, found);
        pack->run_next = found + 1;
        same = bytes;
    } else if (number != PIECE_NONE && last && is_remembered(pack, last) &&
               (piece(pack, last)->number ^ number) >> JOINT_SHIFT == 0) {
        begin_run_at_joint(pack, last);
        same = JOINT_HEAD_BYTES;
    }
    // Its place is behind the end of a value that the copy may have begun with.
    RemotePiece here = {.number = number, .at = pack->at};
    grow_run(pack, same);
    if (same < bytes) {
        end_run(pack);
        put_literal(pack, text + same, bytes - same);
    }
    *piece(pack, pack->placed) = here;
    if (number != PIECE_NONE) {
        *slot_of_number(pack, number) = pack->placed;
        pack->last_joint = pack->placed;
    }
    pack->placed++;
    pack->value_end_bytes = 0;
}

// Values -----------------------------------------------------------------------------------------------------------------------------

static inline uint32_t same_begin(const RemotePack *pack, uint32_t value, uint64_t bits)
{
    uint64_t differ = piece(pack, value + 1)->bits ^ bits;
    return differ ? (uint32_t)__builtin_ctzll(differ) / 8 : 8;
}

static inline bool is_value(const RemotePack *pack, uint32_t index)
{
    return is_remembered(pack, index) && piece(pack, index)->number == PIECE_VALUE;
}

static void put_value(RemotePack *pack, uint64_t bits)
{
    uint8_t text[VALUE_HEAD_BYTES + 8] = {0x12, 2 + 8 + TIME_BYTES, 0x09};
    uint32_t like = pack->run && is_value(pack, pack->run_next) ? pack->run_next : 0;
    uint32_t same = like ? same_begin(pack, like, bits) : 0;
    uint32_t equal = *slot_of_bits(pack, bits);
    if (!is_value(pack, equal) || piece(pack, equal + 1)->bits != bits)
        equal = 0;
    if (equal && same < EQUAL_VALUE_MIN)
        like = equal;
    else if (!like && pack->last_value && is_remembered(pack, pack->last_value))
        like = pack->last_value;
    if (like) {
        same = same_begin(pack, like, bits);
        bool goes_on = pack->run && like == pack->run_next;
        if (!goes_on) {
            end_run(pack);
            if (same) // else the copy would tell no more than it costs
                begin_run(pack, piece(pack, like)->at);
        }
        same = goes_on || same ? same + VALUE_HEAD_BYTES : 0;
        pack->run_next = like + 2;
    } else {
        end_run(pack);
    }
    note_value(pack, bits);
    grow_run(pack, same);
    if (same < sizeof text) {
        end_run(pack);
        memcpy(text + VALUE_HEAD_BYTES, &bits, sizeof bits);
        put_literal(pack, text + same, sizeof text - same);
        pack->value_end_bytes = (uint32_t)MIN(sizeof text - same, sizeof bits);
    }
}

static void put_zero(RemotePack *pack)
{
    static const uint8_t text[2] = {0x12, 1 + TIME_BYTES};
    if (continue_run(pack, PIECE_ZERO))
        return;
    end_run(pack);
    note(pack, PIECE_ZERO);
    put_literal(pack, text, sizeof text);
}

// Series -----------------------------------------------------------------------------------------------------------------------------

static inline void put_head(RemotePack *pack, const uint32_t *pairs, size_t count,
                            size_t series_bytes)
{
    if (UNLIKELY(pack->seen_freed != pack->pairs->freed)) {
        end_run(pack);
        forget(pack);
    }
    uint32_t before = pack->last_joint;
    put_joint(pack, series_bytes);
    pack->beside = pack->run ? pack->run_next : before ? before + 1 : 0;
    for (size_t i = 0; i < count; i++)
        put_pair(pack, pairs[i]);
}

static void put_unusual_sample(RemotePack *pack, const uint32_t *pairs, size_t count,
                               size_t pair_bytes, int64_t t_ms, uint64_t bits)
{
    uint8_t text[24] = {0x12, 0};
    uint8_t *end = text + 2;
    if (bits) {
        *end++ = 0x09;
        memcpy(end, &bits, sizeof bits);
        end += sizeof bits;
    }
    if (t_ms) {
        *end++ = 0x10;
        end = put_varint(end, (uint64_t)t_ms);
    }
    text[1] = (uint8_t)(end - text - 2);
    remote_pack_fields(pack, pairs, count, pair_bytes, (Str){(char *)text, (size_t)(end - text)});
}

void remote_pack_sample(RemotePack *pack, const uint32_t *pairs, size_t count, size_t pair_bytes,
                        int64_t t_ms, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (UNLIKELY(t_ms < TIME_MIN || t_ms >= TIME_MAX)) {
        put_unusual_sample(pack, pairs, count, pair_bytes, t_ms, bits);
        return;
    }
    put_head(pack, pairs, count, pair_bytes + (bits ? VALUE_HEAD_BYTES + 8 : 2) + 1 + TIME_BYTES);
    if (bits)
        put_value(pack, bits);
    else
        put_zero(pack);
    if (UNLIKELY((int64_t)pack->time_ms != t_ms || !pack->time_number))
        pack->time_number = number_of_time(pack, t_ms);
    pack->time_ms = (uint64_t)t_ms;
    pack->has_time = true;
}

void remote_pack_fields(RemotePack *pack, const uint32_t *pairs, size_t count, size_t pair_bytes,
                        Str fields)
{
    put_head(pack, pairs, count, pair_bytes + fields.len);
    end_run(pack);
    note(pack, PIECE_NONE);
    put_literal(pack, fields.ptr, fields.len);
    pack->time_number = 0;
    pack->value_end_bytes = 0;
}

// Life -------------------------------------------------------------------------------------------------------------------------------

void remote_pack_init(RemotePack *pack, const RemotePairs *pairs)
{
    // As if something had been freed: the first series makes the ring.
    *pack = (RemotePack){.pairs = pairs, .placed = 1, .seen_freed = pairs->freed - 1};
    remote_pack_reset(pack);
}

void remote_pack_deinit(RemotePack *pack)
{
    buf_deinit(&pack->out);
    free(pack->ring);
    free(pack->table);
    *pack = (RemotePack){0};
}

void remote_pack_reset(RemotePack *pack)
{
    if (pack->ring)
        forget(pack);
    memset(pack->time_numbers, 0, sizeof pack->time_numbers);
    pack->time_count = pack->time_number = 0;
    pack->time_ms = 0;
    pack->has_time = false;
    pack->at = pack->run = 0;
    buf_reset(&pack->out);
    begin_literal(pack);
}

void remote_pack_finish(RemotePack *pack, Buf *out, size_t *ret_bytes)
{
    uint8_t text[12];
    uint8_t *end = text;
    end_run(pack);
    if (pack->has_time) {
        *end++ = 0x10;
        end = put_varint(end, pack->time_ms);
        put_literal(pack, text, (size_t)(end - text));
        pack->has_time = false;
    }
    end_literal(pack);
    buf_add_uvarint(out, pack->at);
    buf_add_str(out, buf_str(&pack->out));
    *ret_bytes = pack->at;
    remote_pack_reset(pack);
}
