// SPDX-License-Identifier: Apache-2.0
// am_text.h: annotations as they are kept: what an annotation repeats of its alert's labels is not written out again. The annotations
// of a rule are made from one template, so what is left is the same for most of its alerts, and is kept once (am_pair.h).
//
//     labels       namespace="team-1"  pod="web-7d9f-x2"
//     annotation   Pod team-1/web-7d9f-x2 is not healthy
//     kept         Pod \xFF\x00/\xFF\x01 is not healthy          the index of the label; \xFF\xFF is the byte itself
//
// Thread: any.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "metric/labels.h"

// Where values of labels begin: made once for an alert.
typedef struct AmTextCoder {
    Labels labels;
    uint8_t first[256]; // by the first byte of a value, index + 1 of a label; 0: none
    uint8_t next[255];  // index + 1 of another that begins with this byte
} AmTextCoder;

// `labels` must stay.
void am_text_coder_init(AmTextCoder *coder, Labels labels);
void am_text_add(Buf *buf, const AmTextCoder *coder, Str text);

// The value of a label of the alert.
typedef Str AmTextLabel(const void *alert, size_t index);

// The text again: the kept one where nothing was left out, otherwise in the arena.
Str am_text_read(Str kept, AmTextLabel *label, const void *alert, Arena *arena);
// Whether that would be `text`.
bool am_text_is(Str kept, AmTextLabel *label, const void *alert, Str text);
