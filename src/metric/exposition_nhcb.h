// SPDX-License-Identifier: Apache-2.0
// exposition_nhcb.h: gathers the classic series of a histogram (_bucket, _sum, _count) into one native histogram with custom bounds.
// Facts: prometheus.md section 5.4.
//
//     while (exposition_next(&parser)) {
//         if (exposition_nhcb_ends(&group, &parser) && exposition_nhcb_finish(&group, &parser, &sample)) ... use sample ...
//         if (exposition_nhcb_add(&group, &parser)) ... it was a line of a classic histogram ...
//     }
//     ... and once more at the end: exposition_nhcb_finish
//
// The lines of one histogram must stand together, as all formats want it.
#pragma once

#include "metric/exposition.h"

typedef struct ExpositionNhcb {
    Arena *arena;  // of one page
    Str type_name; // of the newest TYPE line
    Str key;       // series text of the histogram being gathered; empty: none
    Buf line_key;  // of the line at hand
    double *bounds, *counts;
    size_t bucket_count, bucket_cap;
    bool has_count, has_sum;
    double count, sum;
    bool has_t;
    int64_t t_ms, start_ms;
    Exemplar *exemplars;
    size_t exemplar_count, exemplar_cap;
    Str native; // series text of the newest native histogram of the page: it is not converted once more
    bool is_line; // what exposition_nhcb_ends found out about the line at hand
    int part;
    double bound;
} ExpositionNhcb;

void exposition_nhcb_init(ExpositionNhcb *group, Arena *arena);
void exposition_nhcb_deinit(ExpositionNhcb *group);

// Looks at the parser's current line. True if the histogram gathered so far ends before it.
bool exposition_nhcb_ends(ExpositionNhcb *group, const Exposition *parser);
// True if the line is of a classic histogram; it has been taken in.
bool exposition_nhcb_add(ExpositionNhcb *group, Exposition *parser);
// The histogram gathered as a sample of its own, and begins anew. False if there is none, or what was gathered makes none.
bool exposition_nhcb_finish(ExpositionNhcb *group, const Exposition *parser,
                            Exposition *ret_sample);
