// SPDX-License-Identifier: Apache-2.0
// remote_answer.h: the answer of a remote_read endpoint: which series, and where in its bytes the samples of each stand. They are decoded
// when they are asked for. Private to the room.
#pragma once

#include "metric/source.h"
#include "remote/remote_in.h"

typedef enum RemotePieceKind { PIECE_SERIES, PIECE_CHUNK } RemotePieceKind;

// A TimeSeries message, or a chunk.
typedef struct RemotePiece {
    RemotePieceKind kind;
    int encoding;
    int64_t min_t_ms, max_t_ms; // of a chunk
    Str bytes;
    struct RemotePiece *next;
} RemotePiece;

typedef struct RemoteAnswerSeries {
    Labels labels;
    RemotePiece *first, *last;
} RemoteAnswerSeries;

typedef struct RemoteAnswer {
    RemoteAnswerSeries *series; // sorted by labels, each once
    size_t count;
} RemoteAnswer;

// `body` outlives the answer; everything else lives in the arena. Labels that are in `hidden` with the same value are left out.
bool remote_answer_decode(Str content_type, Str body, uint64_t frame_bytes_max, Labels hidden,
                          Arena *arena, RemoteAnswer *ret_answer, Error *err) MUST_CHECK;

// The samples of a series within the times, rising, each time once.
bool remote_answer_read(const RemoteInOptions *options, const RemoteAnswerSeries *series,
                        int64_t min_t_ms, int64_t max_t_ms, Arena *arena,
                        SampleColumns *ret_columns, Error *err) MUST_CHECK;

// `first` wins where both have a sample. In the arena.
void remote_columns_merge(const SampleColumns *first, const SampleColumns *second, Arena *arena,
                          SampleColumns *ret_columns);
