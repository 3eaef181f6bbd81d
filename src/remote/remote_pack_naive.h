// SPDX-License-Identifier: Apache-2.0
// remote_pack_naive.h: for the test and the fuzz target of remote_pack: the same message written field by field, and the comparison.
#pragma once

#include <snappy-c.h>
#include <stdlib.h>

#include "base/number.h"
#include "codec/compress.h"
#include "codec/protobuf.h"
#include "remote/remote_pack.h"

typedef struct PackPair {
    RemotePairs pairs;
    RemotePack pack;
    Buf message;
} PackPair;

typedef struct PackSeries {
    uint32_t numbers[16];
    Label labels[16];
    size_t count;
    size_t bytes;
} PackSeries;

static inline void pack_pair_init(PackPair *both)
{
    *both = (PackPair){0};
    remote_pack_init(&both->pack, &both->pairs);
}

static inline void pack_pair_deinit(PackPair *both)
{
    remote_pack_deinit(&both->pack);
    remote_pairs_deinit(&both->pairs);
    buf_deinit(&both->message);
}

static inline void pack_series_add(PackPair *both, PackSeries *series, Label label)
{
    uint32_t number = remote_pairs_take(&both->pairs, label);
    series->labels[series->count] = label;
    series->numbers[series->count++] = number;
    series->bytes += remote_pairs_text(&both->pairs, number).len;
}

static inline void pack_series_drop(PackPair *both, PackSeries *series)
{
    for (size_t i = 0; i < series->count; i++)
        remote_pairs_give(&both->pairs, series->numbers[i]);
    *series = (PackSeries){0};
}

static inline size_t pack_pair_begin(PackPair *both, const PackSeries *series)
{
    size_t begin = proto_begin(&both->message, 1);
    for (size_t i = 0; i < series->count; i++) {
        size_t label = proto_begin(&both->message, 1);
        proto_add_bytes(&both->message, 1, series->labels[i].name);
        proto_add_bytes(&both->message, 2, series->labels[i].value);
        proto_end(&both->message, label);
    }
    return begin;
}

static inline void pack_pair_sample(PackPair *both, const PackSeries *series, int64_t t_ms,
                                    double value)
{
    Buf *message = &both->message;
    size_t begin = pack_pair_begin(both, series);
    size_t sample = proto_begin(message, 2);
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (bits)
        proto_add_double(message, 1, value);
    if (t_ms)
        proto_add_varint(message, 2, (uint64_t)t_ms);
    proto_end(message, sample);
    proto_end(message, begin);
    remote_pack_sample(&both->pack, series->numbers, series->count, series->bytes, t_ms, value);
}

static inline void pack_pair_fields(PackPair *both, const PackSeries *series, Str fields)
{
    size_t begin = pack_pair_begin(both, series);
    buf_add_str(&both->message, fields);
    proto_end(&both->message, begin);
    remote_pack_fields(&both->pack, series->numbers, series->count, series->bytes, fields);
}

// True if the library unpacks exactly the message; both are empty then. *ret_packed is the block's length.
static inline bool pack_pair_equal(PackPair *both, size_t *ret_packed)
{
    CLEANUP(buf_deinit) Buf packed = {0};
    size_t told = 0;
    remote_pack_finish(&both->pack, &packed, &told);
    size_t len = both->message.len + 1;
    char *plain = x_malloc(len);
    bool ok = told == both->message.len &&
              snappy_uncompress(packed.ptr, packed.len, plain, &len) == SNAPPY_OK &&
              str_equal((Str){plain, len}, buf_str(&both->message));
    free(plain);
    buf_reset(&both->message);
    *ret_packed = packed.len;
    return ok;
}
