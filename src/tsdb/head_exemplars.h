// SPDX-License-Identifier: Apache-2.0
// head_exemplars.h: the newest exemplars of all series, in a ring.
//
// Thread: any; one lock.
#pragma once

#include "metric/sample.h"
#include "tsdb/tsdb.h"

typedef struct HeadExemplars HeadExemplars;

HeadExemplars *head_exemplars_new(uint64_t max);
void head_exemplars_free(HeadExemplars *store);
// Of more than `max` the newest stay. With 0 nothing is kept.
void head_exemplars_resize(HeadExemplars *store, uint64_t max);
uint64_t head_exemplars_max(HeadExemplars *store);

// Would it be taken? APPEND_DUPLICATE: the newest of the series is the same; APPEND_OUT_OF_ORDER: it is older than the newest by more
// than the window.
AppendStatus head_exemplars_judge(HeadExemplars *store, uint64_t ref, const Exemplar *exemplar,
                                  int64_t window_ms);
// Takes it if it is still good; labels are copied, those of the series only with its first exemplar.
bool head_exemplars_add(HeadExemplars *store, uint64_t ref, Labels series, const Exemplar *exemplar,
                        int64_t window_ms);
bool head_exemplars_knows(HeadExemplars *store, uint64_t ref);
// `keep` says which series are wanted; results are sorted by labels.
void head_exemplars_select(HeadExemplars *store, const Matcher *matchers, size_t count,
                           int64_t min_t_ms, int64_t max_t_ms, Arena *arena,
                           TsdbExemplars *ret_exemplars);
// *ret_oldest_ms: INT64_MIN if there is none.
void head_exemplars_count(HeadExemplars *store, uint64_t *ret_exemplars, uint64_t *ret_series,
                          int64_t *ret_oldest_ms);
uint64_t head_exemplars_held_bytes(HeadExemplars *store);
// Walks all from the oldest to the newest; `labels` are those of the series, which may have left the head.
typedef void (*HeadExemplarFn)(void *arg, uint64_t ref, Labels labels, const Exemplar *exemplar);
void head_exemplars_each(HeadExemplars *store, HeadExemplarFn each, void *arg);
