// SPDX-License-Identifier: Apache-2.0
// wal_pack.h: snappy for records of float samples, in half of the time that the library takes for them.
//
//     sample    ref varint | time varint | value, 8 bytes, weightiest first
//                       ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~                   alike: with an equal value that came before,
//                       ~~~~~~~~~~~~~~~~~~~~~~                              with the sample before,
//                                                ~~~~~~~~                   with a value that ends alike, or in zeros
//
// The library looks for repetitions at every byte. Here it is known where they can be, so three places of a sample are looked at and no
// others. What comes out is a block of snappy's format, which every reader of the log knows.
#pragma once

#include "base/buf.h"

// True if the record begins with several samples of a series, as a sender that catches up brings them: these repeat themselves elsewhere.
bool wal_pack_has_runs(Str record);
// Appends the record to `out` as one snappy block. Any bytes are packed rightly; those of another kind of record only badly.
void wal_pack_samples(Str record, Buf *out);
void wal_pack_pages(Str record, Buf *out); // of samples of different series
void wal_pack_runs(Str record, Buf *out);  // wal_pack_runs.c: of runs of samples
