// SPDX-License-Identifier: Apache-2.0
// series_order.h: sorts series by their labels, given as words of a dictionary: each pair of texts is compared once, not once for each series.
//
// What is shown of the labels may be less than what they are sorted by.
//
//     words  | 0 job="a" | 1 job="b" | 2 pod="x" | ...        in any order, each once
//     series | entry | 0 2 |   | entry | 1 |   ...            numbers of words, rising by the names of their labels
#pragma once

#include "metric/source.h"

typedef struct SeriesOrderWord {
    Label label;
    uint32_t rank; // from 1 on; filled by series_order_sort
    bool is_shown; // the owner's: part of entries' labels
} SeriesOrderWord;

typedef struct SeriesOrder {
    SeriesOrderWord *words;
    size_t word_count;
    SeriesEntry *entries;
    uint32_t *numbers; // of all series, one after the other
    uint32_t *starts;  // numbers[starts[i] .. starts[i + 1]) belong to series i
    size_t count;
} SeriesOrder;

// Puts the entries in the order of their labels. `numbers` are spent. ret_places[i] is where entry i went.
void series_order_sort(SeriesOrder *order, Arena *scratch, uint32_t *ret_places);
