// SPDX-License-Identifier: Apache-2.0
// remote_write_decode.h: the two write messages, taken apart series by series. Views into the message; nothing is copied but histograms.
#pragma once

#include "codec/protobuf.h"
#include "metric/sample.h"

#define WRITE_BODY_BYTES_MAX ((size_t)32 << 20) // after decompression
#define WRITE_LABELS_MAX 1000                   // of one series
#define WRITE_SYMBOLS_MAX 4000000

typedef struct WriteSample {
    int64_t t_ms;
    double value;
    const Histogram *histogram; // NULL: a float
} WriteSample;

typedef struct WriteSeries {
    uint64_t key[2];        // of the label bytes as they came: equal keys mean equal labels
    const Str *label_parts; // 1.0: the label messages; 2.0: NULL
    size_t label_count;
    const uint32_t *refs; // 2.0: symbol pairs
    WriteSample *samples;
    size_t sample_count;
    Exemplar *exemplars; // 1.0 labels are ready; of 2.0, too
    size_t exemplar_count;
    bool has_metadata; // 2.0
    Metadata metadata;
} WriteSeries;

typedef struct WriteMessage {
    bool is_v2;
    uint64_t seed[2]; // of the keys
    Arena *arena;
    Str *symbols; // 2.0
    uint64_t *symbol_hashes;
    size_t symbol_count;
    ProtoReader reader;
    WriteSeries series; // the current one
    bool failed;
    Error err;
} WriteMessage;

// Reads symbols (2.0) and stands before the first series.
bool write_message_init(WriteMessage *message, Str bytes, bool is_v2, const uint64_t seed[2],
                        Arena *arena, Error *err) MUST_CHECK;
// The next series; false at the end and on failure. Its arrays live in the arena.
bool write_message_next(WriteMessage *message);
// The labels of the current series, sorted and checked: a valid name and label names, values in UTF-8, no name twice.
bool write_message_labels(const WriteMessage *message, const WriteSeries *series,
                          Labels *ret_labels, Error *err) MUST_CHECK;
