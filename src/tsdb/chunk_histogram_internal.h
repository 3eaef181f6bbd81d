// SPDX-License-Identifier: Apache-2.0
// chunk_histogram_internal.h: what writing (chunk_histogram.c) and reading (chunk_histogram_decode.c) of histogram chunks share. For nobody else.
#pragma once

#include "tsdb/chunk_histogram.h"

#define HEADER_BYTES 3
#define STALE_BITS UINT64_C(0x7ff0000000000002)
#define SPANS_MAX HISTOGRAM_BUCKETS_MAX

enum {
    FLAG_UNKNOWN = 0,
    FLAG_NO_RESET = 0x40,
    FLAG_RESET = 0x80,
    FLAG_GAUGE = 0xc0,
    FLAG_MASK = 0xc0
};

// One XOR-coded number with a window of its own.
typedef struct Field {
    uint64_t bits;
    uint8_t leading;
    uint8_t trailing;
} Field;

// The positive or the negative buckets of a chunk.
typedef struct Side {
    HistogramSpan *spans;
    uint32_t span_count;
    uint32_t count;   // buckets
    double *absolute; // newest counts
    int64_t *value;   // integer flavour: newest, as difference to the bucket before
    int64_t *delta;   // and its change
    Field *field;     // float flavour
} Side;

// What encoding and decoding carry from sample to sample.
typedef struct State {
    bool is_integer;
    int32_t schema;
    double zero_threshold;
    double *custom;
    uint32_t custom_count;
    Side positive;
    Side negative;
    int64_t t, t_delta;
    int64_t total, total_delta; // integer flavour
    int64_t zero, zero_delta;
    Field total_field, zero_field; // float flavour
    Field sum;
} State;

// Takes over the layout; the arrays begin at zero.
void chunk_histogram_side_init(Side *side, const HistogramSpan *spans, uint32_t span_count,
                               bool is_integer);
void chunk_histogram_state_deinit(State *state);
