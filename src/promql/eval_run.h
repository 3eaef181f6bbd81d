// SPDX-License-Identifier: Apache-2.0
// eval_run.h: one evaluation over the series of a selector or of a subquery, cut into slices that run on the pool. Private to the room.
//
//     series  | 0 1 2 3 | 4 5 6 7 | 8 9 10 11 | ...      a batch at a time if the results are consumed at once
//             | slice 0 | slice 1 | slice 0 ...           a slice has arenas and counts of its own
#pragma once

#include "promql/eval_share.h"

typedef struct SeriesRun SeriesRun;

#define SLICE_SHAPES 4
#define GROUP_SERIES_MAX 32

// What one slice knows of windows, and after it another: as many as there are threads at work.
typedef struct WindowMemo WindowMemo;
struct WindowMemo {
    WindowMemo *next; // that no slice uses now
    Arena *arena;     // of the shapes
    WindowShape shapes[SLICE_SHAPES];
    uint32_t next_shape;
};

typedef struct Slice {
    SeriesRun *run;
    Arena *arena;          // keeps results
    Arena *scratch;        // forgotten after each group of series
    WindowMemo *memo;      // while it runs
    bool holds_histograms; // results may point into the samples
    size_t from, to;       // of the batch
    size_t group;          // series that are read together
    size_t asked_in_vain;  // series in a row whose newest sample series_run_newest did not know
    // Not yet told to the context.
    uint64_t looked_at, read, held;
    uint64_t peak; // samples held at most since then, those of the window at hand included
} Slice;

typedef struct RunReader {
    const FunctionCall *call;
    VectorSeries *out; // one for each series of the run
} RunReader;

struct SeriesRun {
    EvalContext *context;
    const Expr *expr;
    const Steps *steps;
    SeriesList list;           // from the querier, or
    const RangeSeries *ranges; // already made by a subquery
    size_t count;
    int64_t min_t_ms, max_t_ms; // to read
    SelectorWant want;
    const Expr
        *consumer; // the aggregation that adds the series up as they come; NULL: there is none
    const FunctionCall *call; // range functions
    const Value *matrix;      // windows
    RunReader *readers;       // other functions that look at the same windows
    size_t reader_count;
    // Of the batch: the first is that of series `first`.
    VectorSeries *out;
    RangeSeries *out_ranges;
    size_t first;
    uint32_t *order; // the source's, batch by batch; NULL: as they stand
    void (*one)(Slice *slice, size_t index, SampleColumns *columns);
    bool is_instant; // one newest sample of each series is all that is needed
    Slice *slices;
    size_t slice_count;
    Lock lock;
    WindowMemo *memos GUARDED_BY(lock); // that are free
    bool failed GUARDED_BY(lock);
    Error err GUARDED_BY(lock);
};

// Makes out[i] or out_ranges[i] for all series.
bool series_run_all(SeriesRun *run, Error *err) MUST_CHECK;
// The vector of all series that have a point. Not for a run that was prepared for a consumer.
bool series_run_value(SeriesRun *run, Arena *arena, Value *ret_value, Error *err) MUST_CHECK;
// Shows each series that has a point to `take`, batch by batch; run->out is not kept. Stops early, *ret_done false, at a histogram.
bool series_run_stream(SeriesRun *run, VectorTake take, void *arg, bool *ret_done,
                       Error *err) MUST_CHECK;
void series_run_fail(SeriesRun *run, const Error *err);

static inline VectorSeries *series_run_out(const SeriesRun *run, size_t index)
{
    return &run->out[index - run->first];
}

static inline Labels series_run_labels(const SeriesRun *run, size_t index)
{
    return run->ranges ? run->ranges[index].labels : run->list.series[index].labels;
}

// True if the series stay different when they lose their names.
bool series_run_names_alike(const SeriesRun *run);

// Counts a sample that a step looked at.
void slice_count(Slice *slice, size_t step, uint64_t count);
// Counts samples that no step before has looked at.
void slice_count_read(Slice *slice, size_t step, uint64_t count);
// Samples that are there for a moment, beside those that are held.
void slice_peak(Slice *slice, uint64_t count);

// What is known of series whose samples stand at these times; NULL if it is not worth remembering. *ret_known false: it is new, and
// nothing but its times is filled.
WindowShape *slice_shape(Slice *slice, const SampleColumns *columns, bool *ret_known);
// Takes stale markers out, in place.
void samples_drop_stale(SampleColumns *columns);
bool sample_is_stale(const SampleColumns *columns, size_t i);
// False: certainly none is stale.
bool samples_may_be_stale(const SampleColumns *columns);

// The time a step looks at: the step's own or the fixed @ time, less the offset.
static inline int64_t reference_time(const TimeShift *shift, int64_t step_ms)
{
    return (shift->at == AT_NONE ? step_ms : shift->at_ms) - shift->offset_ms;
}

void reference_bounds(const TimeShift *shift, const Steps *steps, int64_t *ret_first,
                      int64_t *ret_last);

bool series_run_select(SeriesRun *run, Str func, Arena *arena, Error *err) MUST_CHECK;
// eval_selector.c: a run of a plain or smoothed selector.
bool series_run_vector(EvalContext *context, const Expr *expr, const Steps *steps,
                       SelectorWant want, const Expr *consumer, Arena *arena, SeriesRun *ret_run,
                       Error *err) MUST_CHECK;
// Makes out[index] of the newest sample. *ret_done false: it must be read.
bool series_run_newest(Slice *slice, size_t index, bool *ret_done, Error *err) MUST_CHECK;
// eval_range.c: what other functions need to look at the windows of the run, too, where there is memory for it.
void series_run_add_readers(SeriesRun *run, Arena *arena);
// Keeps what they made of them, series of the run that have no point included.
void series_run_keep_readers(SeriesRun *run, ShareMark before, Arena *arena);
// eval_range.c: a run of a range function over its matrix argument.
bool series_run_call(EvalContext *context, FunctionCall *call, size_t matrix_arg,
                     const Expr *consumer, SeriesRun *ret_run, Error *err) MUST_CHECK;
