// SPDX-License-Identifier: Apache-2.0
// source.h: the joint through which samples are read: "which series match, and their samples from t0 to t1".
//
// tsdb, remote read and test fakes are Sources. A Querier is a consistent view: it sees whole commits or none of them, and nothing
// that was committed after it was opened. Thread: one Querier may be read from many threads at once.
#pragma once

#include "metric/matcher.h"
#include "metric/sample.h"

typedef struct Source Source;
typedef struct Querier Querier;

// What the reader is going to do with the samples; a Source may use it or not (remote read passes it on).
typedef struct SelectHints {
    int64_t start_ms; // inclusive
    int64_t end_ms;   // inclusive
    int64_t step_ms;
    int64_t range_ms;
    Str func;
    Str *grouping;
    size_t grouping_count;
    bool by;
    size_t limit; // 0: all
    // Labels that are neither in `grouping` nor part of the name (__name__, __type__, __unit__) may be missing from what is selected, which
    // may then have equal label sets; the order is that of the whole sets.
    bool only_grouping;
    bool
        any_order; // the list need not be sorted: nothing hangs on the order but the last digit of a sum
    bool may_be_empty; // series without samples in the time range may be among them
} SelectHints;

typedef enum NewestKind {
    NEWEST_UNKNOWN, // read() tells
    NEWEST_NONE,
    NEWEST_FLOAT, // also a stale marker
} NewestKind;

typedef struct SeriesEntry {
    Labels labels;   // valid while the Querier is open
    uint64_t handle; // the Source's own
} SeriesEntry;

typedef struct SeriesList {
    SeriesEntry *series; // sorted by labels unless any order is good, each label set once
    size_t count;
    // Every index once, in the order in which the series are read fastest; NULL: as they stand.
    const uint32_t *read_order;
} SeriesList;

typedef struct StrList {
    Str *items; // sorted, each once
    size_t count;
} StrList;

struct Source {
    // A view of [min_t_ms, max_t_ms], both inclusive.
    bool (*open)(Source *source, int64_t min_t_ms, int64_t max_t_ms, Querier **ret_querier,
                 Error *err);
};

struct Querier {
    // Series that match all matchers and may have samples in the view. The list lives in the arena.
    bool (*select)(Querier *querier, const Matcher *matchers, size_t count,
                   const SelectHints *hints, Arena *arena, SeriesList *ret_list, Error *err);

    // All samples of one series with min_t_ms <= t <= max_t_ms (clipped to the view), rising time, each time once, stale markers
    // included. Columns and histograms live in the arena.
    bool (*read)(Querier *querier, uint64_t handle, int64_t min_t_ms, int64_t max_t_ms,
                 Arena *arena, SampleColumns *ret_columns, Error *err);

    // Of the series that match; no matcher means all. limit 0: all.
    bool (*label_names)(Querier *querier, const Matcher *matchers, size_t count, size_t limit,
                        Arena *arena, StrList *ret_names, Error *err);
    bool (*label_values)(Querier *querier, Str name, const Matcher *matchers, size_t count,
                         size_t limit, Arena *arena, StrList *ret_values, Error *err);

    void (*close)(Querier *querier); // accepts nothing but an open one; gives everything back

    // The last sample that read() would give, if it is told more cheaply so. May be NULL.
    bool (*newest)(Querier *querier, uint64_t handle, int64_t min_t_ms, int64_t max_t_ms,
                   int64_t *ret_t_ms, double *ret_value, NewestKind *ret_kind, Error *err);

    // What read() gives for each of several series, if that is faster together. `only_last`: the last float is all that is looked at, others
    // may be missing. `scratch` keeps nothing. May be NULL.
    bool (*read_many)(Querier *querier, const uint64_t *handles, size_t count, int64_t min_t_ms,
                      int64_t max_t_ms, bool only_last, Arena *scratch, Arena *arena,
                      SampleColumns *ret_columns, Error *err);

    // What those who ask should know of what was selected: a store that did not answer, and whose series are missing. May be NULL.
    StrList (*warnings)(Querier *querier, Arena *arena);
};
