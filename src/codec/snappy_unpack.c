// SPDX-License-Identifier: Apache-2.0
#include "codec/snappy_unpack.h"

// Pieces of this length and less are moved whole, so that much room must be left on either side.
#define PIECE_BYTES 64
#define HEADER_BYTES_MAX 5

enum {
    TAG_LITERAL = 0,
    TAG_COPY_1 = 1, // a byte and three bits of offset
    TAG_COPY_2 = 2,
    TAG_COPY_4 = 3
};

typedef struct Unpacker {
    const uint8_t *at, *end; // of the block
    uint8_t *out, *out_start, *out_end;
} Unpacker;

static size_t header_bytes(Str block, uint64_t *ret_bytes)
{
    *ret_bytes = 0;
    for (size_t i = 0; i < MIN(block.len, (size_t)HEADER_BYTES_MAX); i++) {
        uint8_t byte = (uint8_t)block.ptr[i];
        *ret_bytes |= (uint64_t)(byte & 0x7f) << 7 * i;
        if (!(byte & 0x80))
            return *ret_bytes <= UINT32_MAX ? i + 1 : 0;
    }
    return 0;
}

bool snappy_unpacked_bytes(Str block, size_t *ret_bytes)
{
    uint64_t bytes;
    bool ok = header_bytes(block, &bytes) > 0;

    *ret_bytes = (size_t)bytes;
    return ok;
}

static inline void move_8(uint8_t *to, const uint8_t *from)
{
    uint64_t word;
    memcpy(&word, from, sizeof word);
    memcpy(to, &word, sizeof word);
}

static inline void move_16(uint8_t *to, const uint8_t *from)
{
    typedef uint8_t Sixteen __attribute__((vector_size(16), aligned(1), may_alias));
    *(Sixteen *)to = *(const Sixteen *)from;
}

// Up to PIECE_BYTES, with garbage behind them. What is longer than 16 mostly is PIECE_BYTES long, so nobody asks how long.
static inline void move_piece(uint8_t *to, const uint8_t *from, size_t len)
{
    move_16(to, from);
    if (len <= 16)
        return;
    move_16(to + 16, from + 16);
    move_16(to + 32, from + 32);
    move_16(to + 48, from + 48);
}

// The bytes `offset` before `to` again and again; at most PIECE_BYTES and eight more are written.
static inline void repeat_piece(uint8_t *to, size_t offset, size_t len)
{
    const uint8_t *from = to - offset;
    uint8_t *end = to + len;

    if (LIKELY(len <= 16 && len <= offset)) {
        move_16(to, from);
        return;
    }
    if (LIKELY(offset >= 16)) {
        move_piece(to, from, len);
        return;
    }
    for (; to - from < 8; to += to - from) // the part that repeats gets twice as long
        move_8(to, from);
    for (; to < end; to += 8, from += 8)
        move_8(to, from);
}

static bool literal_slowly(Unpacker *u, size_t code)
{
    size_t len = code;

    if (code >= 60) {
        size_t bytes = code - 59;
        if ((size_t)(u->end - u->at) < bytes)
            return false;
        len = 0;
        for (size_t i = 0; i < bytes; i++)
            len |= (size_t)u->at[i] << 8 * i;
        u->at += bytes;
    }
    len++;
    if ((size_t)(u->end - u->at) < len || (size_t)(u->out_end - u->out) < len)
        return false;
    memcpy(u->out, u->at, len);
    u->at += len;
    u->out += len;
    return true;
}

static bool copy_slowly(Unpacker *u, size_t offset, size_t len)
{
    if (!offset || offset > (size_t)(u->out - u->out_start) || len > (size_t)(u->out_end - u->out))
        return false;
    for (; len; len--, u->out++)
        *u->out = *(u->out - offset);
    return true;
}

// One piece, where there may be too little room to move more than it.
static bool piece_slowly(Unpacker *u)
{
    uint8_t tag = *u->at++;
    size_t bytes = (tag & 3) == TAG_COPY_4 ? 4 : tag & 3;
    size_t offset = 0;

    if ((tag & 3) == TAG_LITERAL)
        return literal_slowly(u, tag >> 2);
    if ((size_t)(u->end - u->at) < bytes)
        return false;
    for (size_t i = 0; i < bytes; i++)
        offset |= (size_t)u->at[i] << 8 * i;
    u->at += bytes;
    if ((tag & 3) == TAG_COPY_1)
        return copy_slowly(u, (size_t)(tag >> 5) << 8 | offset, 4 + (tag >> 2 & 7));
    return copy_slowly(u, offset, 1 + (size_t)(tag >> 2));
}

// As long as a whole piece fits on both sides. False: malformed.
static bool pieces_quickly(Unpacker *u)
{
    const uint8_t *at = u->at, *stop = u->end - PIECE_BYTES - 1;
    uint8_t *out = u->out, *out_stop = u->out_end - PIECE_BYTES - 8;

    while (at < stop && out < out_stop) {
        size_t tag = *at;
        if ((tag & 3) == TAG_LITERAL) {
            if (UNLIKELY(tag >> 2 >= 60))
                break;
            size_t len = (tag >> 2) + 1;
            move_piece(out, at + 1, len);
            at += len + 1;
            out += len;
            continue;
        }
        if (UNLIKELY((tag & 3) == TAG_COPY_4))
            break;
        // Without a branch: which of the two comes next cannot be foretold.
        bool wide = (tag & 3) == TAG_COPY_2;
        size_t len = wide ? 1 + (tag >> 2) : 4 + (tag >> 2 & 7);
        size_t offset = at[1] | (wide ? (size_t)at[2] : tag >> 5) << 8;
        at += 2 + wide;
        if (UNLIKELY(!offset || offset > (size_t)(out - u->out_start)))
            return false;
        repeat_piece(out, offset, len);
        out += len;
    }
    u->at = at;
    u->out = out;
    return true;
}

bool snappy_unpack(Str block, uint8_t *out, size_t bytes)
{
    uint64_t declared;
    size_t header = header_bytes(block, &declared);
    Unpacker u = {.at = (const uint8_t *)block.ptr + header,
                  .end = (const uint8_t *)block.ptr + block.len,
                  .out = out,
                  .out_start = out,
                  .out_end = out + bytes};

    if (!header || declared != bytes)
        return false;
    while (u.at < u.end) {
        bool roomy = u.end - u.at > PIECE_BYTES + 1 && u.out_end - u.out > PIECE_BYTES + 8;
        if ((roomy && !pieces_quickly(&u)) || (u.at < u.end && !piece_slowly(&u)))
            return false;
    }
    return u.out == u.out_end;
}
