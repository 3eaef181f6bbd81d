// SPDX-License-Identifier: Apache-2.0
// index_first.h: what an index of version 1, as Prometheus 2.0 wrote it, has otherwise: the postings table is in no order, and a symbol is named by
// its offset in the file. Series are, too, and need not be aligned.
#pragma once

#include "base/buf.h"

// Puts the first `count` entries of the postings table into `sorted`, in order. False if one is cut off.
bool index_first_sort(Str table, uint32_t count, Buf *sorted) MUST_CHECK;

// The number of the symbol that begins at `offset` of `symbols`; of none: UINT32_MAX. `samples` has the offset of each `step`th symbol.
uint32_t index_first_symbol(Str symbols, uint32_t count, const uint32_t *samples, uint32_t step,
                            uint64_t offset);
