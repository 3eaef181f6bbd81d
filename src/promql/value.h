// SPDX-License-Identifier: Apache-2.0
// value.h: what expressions evaluate to: columns over the step vector. Private to the room.
//
//                 step 0   step 1   step 2  ...          steps.count columns, steps.start_ms + i * steps.step_ms
//     series a     1.5      -        2.0     value[]     kind[] says float, histogram or nothing there
//     series b     ...
//
// (1) A vector's series have distinct label sets (checked where names are dropped).
// (2) Columns live in the query's arena and may be changed in place by the operator that consumes them, unless `shared`.
#pragma once

#include "promql/ast.h"

typedef struct Steps {
    int64_t start_ms;
    int64_t step_ms; // 1 when there is one step
    size_t count;
} Steps;

static inline int64_t step_time(const Steps *steps, size_t i)
{
    return steps->start_ms + (int64_t)i * steps->step_ms;
}

enum { POINT_NONE = 0, POINT_FLOAT = 1, POINT_HISTOGRAM = 2 };

typedef struct VectorSeries {
    Labels labels;
    bool drop_name; // delayed name removal: the name goes at the end of the query
    double *value;
    uint8_t *kind;               // POINT_*
    const Histogram **histogram; // NULL if no step has one
} VectorSeries;

// Samples in windows. What a window shares with the one before is not read again.
typedef struct WindowCounts {
    uint64_t peak, total, read; // in one, in all, without what is shared
} WindowCounts;

// What series whose samples stand at the same times have in common.
typedef struct WindowShape {
    int64_t *t_ms;
    size_t count, cap;
    uint32_t *first, *last; // as in RangeSeries; for instant vectors `last` alone, see find_newest
    WindowCounts counts;
    bool has_edges;
    struct WindowEdges *edges; // of rate and increase, made by their first user
} WindowShape;

// Samples of one series for a range selector, stale markers already taken out, with the window of each step.
typedef struct RangeSeries {
    Labels labels;
    bool drop_name;
    SampleColumns samples;
    // Step i's window holds samples[first[i] .. last[i]) with window_start < t <= window_end.
    uint32_t *first;
    uint32_t *last;
    WindowCounts counts;
    WindowShape *shape; // the thread's own; NULL: there is none
    Arena *memo;        // for what the shape keeps
} RangeSeries;

typedef struct Value {
    ValueType type;
    // TYPE_SCALAR: `steps` values. TYPE_STRING: string.
    double *scalar;
    Str string;
    VectorSeries *series; // TYPE_VECTOR
    RangeSeries *ranges;  // TYPE_MATRIX
    size_t count;
    // TYPE_MATRIX: what the windows are. Window of step i: (end_i - range_ms, end_i] with end_i = step or the fixed @ time, less offset_ms.
    int64_t range_ms;
    int64_t offset_ms;
    int64_t *window_end_ms; // per step
    bool anchored,
        smoothed; // extended range selectors: samples also hold the neighbours just outside
    bool shared;
} Value;

typedef struct EvalContext EvalContext; // eval.h: engine, source, arena, limits, annotations

// Annotations, de-duplicated by text. `at` gives the position "(line:col)" (NULL: none).
void eval_annotate(EvalContext *context, int level, Str text); // as it is; each text once
void annotate_warning(EvalContext *context, const Expr *at, const char *fmt, ...) PRINTF(3, 4);
void annotate_info(EvalContext *context, const Expr *at, const char *fmt, ...) PRINTF(3, 4);

// A new vector series with zeroed kinds for `steps` steps.
void vector_series_init(Arena *arena, size_t steps, Labels labels, VectorSeries *ret_series);
void vector_series_set_histogram(Arena *arena, size_t steps, VectorSeries *series, size_t step,
                                 const Histogram *histogram);
