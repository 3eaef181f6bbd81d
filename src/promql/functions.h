// SPDX-License-Identifier: Apache-2.0
// functions.h: the table of PromQL functions. To add one, write the function and one row in function_table.c.
#pragma once

#include "promql/value.h"

#define FUNCTION_ARGS_MAX 8

typedef struct FunctionCall {
    EvalContext *context;
    Arena *arena; // results live here
    const Steps *steps;
    const Expr *expr; // the EXPR_CALL; expr->call.args[i] for positions in annotations
    Value *args;      // evaluated; a matrix argument only for functions that take one
    size_t count;
    bool delayed_name_removal;
    Str query;
} FunctionCall;

struct FunctionInfo {
    const char *name;
    ValueType args[FUNCTION_ARGS_MAX];
    int arg_count;
    int variadic; // 0: exactly arg_count; n > 0: the last n may be missing; -1: the last repeats
    ValueType returns;
    bool experimental;
    bool keeps_name; // last_over_time, first_over_time, sort, label_*: the metric name survives
    bool
        time_dependent; // must not be hoisted as step-invariant under @: time(), timestamp(), date functions without argument, predict_linear
    // Exactly one is set.
    //   range:   one output series for one input range series: fills out->value, out->kind (and histograms) for every step. The
    //            engine makes the output series, drops the name and calls it for each series, maybe on several threads:
    //            annotations are thread safe, the arena is the thread's own (`arena`), other args are in call->args.
    //   math:    float in, float out, elementwise; histograms are dropped by the engine.
    //   general: the whole call at once.
    //   special: evaluated by the engine itself (timestamp, label_replace on selectors, info, absent, ...): the engine knows them by name.
    void (*range)(const FunctionCall *call, Arena *arena, const RangeSeries *series,
                  VectorSeries *out);
    double (*math)(double v);
    bool (*general)(FunctionCall *call, Value *ret_value, Error *err);
    bool special;
};

// NULL if there is no such function (experimental ones are found, too).
const FunctionInfo *function_find(Str name);
// All rows, for /api/v1/features and completion.
const FunctionInfo *function_all(size_t *ret_count);

// Drops __name__ (and __type__, __unit__ when that feature is on) now, or marks the series for delayed removal.
void function_drop_name(const FunctionCall *call, VectorSeries *series);
// Fails "vector cannot contain metrics with the same labelset" unless the equal ones never share a step, which are merged.
bool vector_merge_equal(Arena *arena, const Steps *steps, Value *vector, Error *err) MUST_CHECK;
// The same, as if the series had been made step by step: the mark for delayed removal of equal ones is that of the earliest point.
bool vector_merge_steps(Arena *arena, const Steps *steps, Value *vector, Error *err) MUST_CHECK;
// Linear interpolated quantile of n values (changed order), as promql/quantile.go.
double quantile_of(double q, double *values, size_t count);
