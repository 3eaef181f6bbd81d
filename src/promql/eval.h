// SPDX-License-Identifier: Apache-2.0
// eval.h: evaluation of one query. Private to the room.
//
//     engine_query
//       parse -> durations and @ resolved -> one Querier over all times needed
//       eval(expr, steps): series at a time over the step vector; range functions read one series, slide, and forget its samples
//
// (1) Work over series is cut into slices that run on the pool; a slice has arenas of its own.
// (2) Subtrees that are the same at every step (@) are evaluated once and copied, as are those that stand there twice (eval_share.h).
#pragma once

#include "base/lock.h"
#include "promql/functions.h"

// Samples that were read: all, and, if that is asked for, by step.
typedef struct ReadCount {
    uint64_t total;     // atomic
    uint64_t *per_step; // atomic; NULL: not asked for
    size_t count;       // of its steps
} ReadCount;

typedef struct EvalArena EvalArena;
struct EvalArena {
    Arena arena;
    EvalArena *next;
};

struct EvalContext {
    const EngineOptions *options;
    const QueryRequest *request;
    PromqlFeatures features;
    Querier *querier;
    const Expr *whole; // the query
    Arena *arena;      // of the calling thread; results of the query
    int64_t start_ms;  // of the whole query
    int64_t end_ms;
    int64_t step_ms;
    int64_t lookback_ms;
    int64_t default_step_ms;
    int64_t deadline_ns; // monotonic
    int depth;

    Budget *budget; // of the request, or the next
    Budget own_budget;
    uint64_t samples;      // held now, atomic
    uint64_t samples_peak; // atomic
    uint64_t samples_total;
    uint64_t remarks;        // annotations that were made, those that were known included, atomic
    uint64_t subquery_total; // what the last subquery looked at
    ReadCount read;
    uint64_t *samples_per_step; // NULL: not asked for
    size_t step_count;

    Lock lock;                            // rank 800; guards all below
    EvalArena *arenas GUARDED_BY(lock);   // of slices
    Str *annotations[2] GUARDED_BY(lock); // warnings, infos
    size_t annotation_count[2] GUARDED_BY(lock);
    size_t annotation_cap[2] GUARDED_BY(lock);
};

enum { ANNOTATION_WARNING, ANNOTATION_INFO };

// The value of `expr` at every step, in the arena. Calls itself.
bool eval(EvalContext *context, const Expr *expr, const Steps *steps, Arena *arena,
          Value *ret_value, Error *err) MUST_CHECK;
typedef enum SelectorWant {
    WANT_VALUES,
    WANT_TIMES,  // of the samples, in seconds
    WANT_INFO,   // of the samples, in ms; a histogram stays one
    WANT_STARTS, // when the counters began, in seconds; 0: not known
} SelectorWant;
bool eval_vector_selector(EvalContext *context, const Expr *expr, const Steps *steps,
                          SelectorWant want, Arena *arena, Value *ret_value, Error *err) MUST_CHECK;
// A matrix with samples and windows, for functions that need all of it at once and for results.
bool eval_matrix(EvalContext *context, const Expr *expr, const Steps *steps, Arena *arena,
                 Value *ret_value, Error *err) MUST_CHECK;
// anchored and smoothed go with some functions only: `call` and its matrix argument.
bool eval_range_modifier_ok(const Expr *call, const Expr *matrix, Error *err) MUST_CHECK;
// A range function over its matrix argument, series by series; reads and forgets.
bool eval_range_call(EvalContext *context, FunctionCall *call, size_t matrix_arg, Value *ret_value,
                     Error *err) MUST_CHECK;
bool eval_binary(EvalContext *context, const Expr *expr, const Steps *steps, Arena *arena,
                 Value *ret_value, Error *err) MUST_CHECK;
bool eval_aggregate(EvalContext *context, const Expr *expr, const Steps *steps, Arena *arena,
                    Value *ret_value, Error *err) MUST_CHECK;
// The call, ready for its function: arguments are evaluated, but for the matrix of a range function, number *ret_matrix_arg.
bool eval_call_args(EvalContext *context, const Expr *expr, const Steps *steps, Arena *arena,
                    FunctionCall *ret_call, size_t *ret_matrix_arg, Error *err) MUST_CHECK;
// Sees one series with at least one point; what it is given is gone after the call, but for label strings.
typedef bool (*VectorTake)(void *arg, const VectorSeries *series, Error *err);
// Evaluates the operand of an aggregation if it is a selector, or a range function over one, and shows its series, in any order, without ever
// holding all of them; labels that do not matter to it may be missing. *ret_done false: it is something else, or it has histograms; then
// nothing counts of what `take` was shown.
bool eval_stream(EvalContext *context, const Expr *aggregate, const Steps *steps, Arena *arena,
                 VectorTake take, void *arg, bool *ret_done, Error *err) MUST_CHECK;
bool eval_info(EvalContext *context, const Expr *expr, const Steps *steps, Arena *arena,
               Value *ret_value, Error *err) MUST_CHECK;
// absent, absent_over_time, timestamp, info.
bool eval_special(EvalContext *context, const Expr *expr, const Steps *steps, Arena *arena,
                  Value *ret_value, Error *err) MUST_CHECK;

// An arena that lives until the query ends. Thread: any.
Arena *eval_arena_new(EvalContext *context);
// False (and err) when the query ran out of time, was canceled or holds too much. Thread: any.
bool eval_go_on(EvalContext *context, Error *err) MUST_CHECK;
// As eval_go_on, where an arena of eval_arena_new() may have grown.
bool eval_check(EvalContext *context, const Arena *arena, Error *err) MUST_CHECK;
// False (and err) if so many columns of so many steps would not fit into the query's memory.
bool eval_columns_fit(EvalContext *context, size_t columns, size_t steps, Error *err) MUST_CHECK;
// Counts samples that are held in memory from now on / no longer. False (and err) over the limit. Thread: any.
bool eval_hold_samples(EvalContext *context, uint64_t count, Error *err) MUST_CHECK;
void eval_drop_samples(EvalContext *context, uint64_t count);
// Only `vector` is held of what has been counted since `before`, which eval_held() said.
uint64_t eval_held(const EvalContext *context);
bool eval_hold_only(EvalContext *context, uint64_t before, const Value *vector, const Steps *steps,
                    Error *err) MUST_CHECK;
// A histogram counts as its size in samples of 16 bytes, as the original has it.
uint64_t eval_samples_of(const Histogram *h);
// Samples in a column; a histogram counts as several.
uint64_t eval_points_held(const VectorSeries *series, size_t steps);
void eval_count_total(EvalContext *context, size_t step, uint64_t count);
// True if samples are counted by step.
bool eval_counts_steps(const EvalContext *context);

const Expr *expr_without_parens(const Expr *expr);
// Fills expr->invariant everywhere, once @ is resolved.
bool expr_mark_invariant(Expr *expr);
// Fills selector.histogram_stats everywhere: inside histogram_count, histogram_sum and histogram_avg, unless buckets matter.
void expr_mark_histogram_stats(Expr *expr);
// True if the value is made for one step and copied to the others.
bool eval_hoists(const Expr *expr, const Steps *steps);

// Labels without __name__, __type__ and __unit__, or the mark for delayed removal.
void eval_drop_name(EvalContext *context, Arena *arena, VectorSeries *series);
// True if both have the same of the labels that eval_drop_name takes away: if they differ now they do so afterwards.
bool eval_name_alike(Labels a, Labels b);
// The same for all series.
bool eval_names_alike(const Value *vector);
// Leaves out series without any point.
void eval_remove_empty(Value *vector, size_t steps);
