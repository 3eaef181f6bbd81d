// SPDX-License-Identifier: Apache-2.0
// remote_pack.h: a write request of version 1.0 as the snappy block that it becomes; the message itself is never made. Private to the
// room.
//
//     message   joint | pair pair ... pair | sample | joint | pair ...
//
//     joint     0x10, time of the sample before | 0x0a, length of the series that begins
//     sample    0x12, length | 0x09, value                      0x12, length: the value is 0 and not written
//
// A general compressor looks for repetitions at every byte, and within 64 KiB. Here a message is made of pieces that have numbers; a
// ring knows the number and the place of each that came lately, a table the latest place of each number. A copy goes on as long as the
// pieces behind its source have the same numbers as those that come.
//
// (1) Only pieces with the same number, that is the same bytes, are told by a copy; values are compared bit by bit.
// (2) When a number may stand for another pair than before (RemotePairs.freed), all that came before is forgotten.
#pragma once

#include "base/buf.h"
#include "remote/remote_pairs.h"

enum {
    REMOTE_PACK_RING = 8192,  // pieces that are remembered
    REMOTE_PACK_TABLE = 4096, // numbers
    REMOTE_PACK_TIMES = 8,    // of samples, that have numbers
};

typedef union RemotePiece {
    struct {
        uint32_t number;
        uint32_t at; // in the message
    };
    uint64_t bits; // behind the piece of a value: the value
} RemotePiece;

typedef struct RemotePack {
    const RemotePairs *pairs;
    Buf out;        // elements of snappy
    size_t literal; // where in `out` the literal under way begins, with one byte for its head
    uint32_t at;    // length of the message so far

    uint32_t run;        // length of the copy under way; 0: none
    uint32_t run_offset; // how far back its source is
    uint32_t run_next;   // piece behind its source
    uint32_t beside;     // piece of the source that stands where the next would
    uint32_t new_pair;   // the newest pair that no piece was like; 0: none
    uint32_t new_pair_at;

    RemotePiece *ring;
    uint32_t *table;      // pieces, counted as `placed`; 0: none
    uint32_t placed;      // pieces so far, of all messages
    uint32_t placed_from; // older ones are forgotten
    uint32_t seen_freed;

    int64_t times[REMOTE_PACK_TIMES];
    uint32_t time_numbers[REMOTE_PACK_TIMES];
    uint32_t time_count; // numbers given so far
    uint32_t last_joint; // piece of the newest, 0: none
    uint32_t last_value; // likewise, of a value

    bool has_time; // the sample before has a time that is not written yet
    uint64_t time_ms;
    uint32_t time_number;     // of it; 0: none
    uint32_t value_end_bytes; // of the value before, that are the end of the literal under way
} RemotePack;

void remote_pack_init(RemotePack *pack, const RemotePairs *pairs);
void remote_pack_deinit(RemotePack *pack);
void remote_pack_reset(RemotePack *pack); // for the next message

// A series with these pairs, which are `pair_bytes` long, and one sample.
void remote_pack_sample(RemotePack *pack, const uint32_t *pairs, size_t count, size_t pair_bytes,
                        int64_t t_ms, double value);
// The same with other fields behind the pairs.
void remote_pack_fields(RemotePack *pack, const uint32_t *pairs, size_t count, size_t pair_bytes,
                        Str fields);
// The block behind `out`; *ret_bytes is the message's length.
void remote_pack_finish(RemotePack *pack, Buf *out, size_t *ret_bytes);
