// SPDX-License-Identifier: Apache-2.0
// eval_share.h: what stands in a query more than once is evaluated once. Private to the room.
//
//     x / sum(x)                                left:  x is read, a copy is kept        right: the kept columns are added up
//     max_over_time(x[5m]) - min_over_time(x[5m])       x is read for the left, both functions see its windows
//
// (1) The same text on the same grid (of the query or of one subquery), with the same buckets needed.
// (2) Columns are changed by who consumes them, so each user gets a copy, the last one those that were kept.
// (3) What was counted for the first counts again for each other, as if it had been evaluated.
// (4) An evaluation that had something to remark is not kept: remarks name the place in the query, so each place makes its own.
#pragma once

#include "promql/eval.h"

// Fills expr->shared everywhere, once durations and @ are resolved and marks for histograms are set. What it makes lives in the arena.
void expr_find_shared(Expr *expr, Arena *arena);

// What the counters said before an evaluation whose result may be kept, and, once it is over, what it held at most.
typedef struct ShareMark {
    uint64_t total, read, remarks;
    uint64_t held, outer_peak;
    uint64_t peak;
} ShareMark;

ShareMark share_begin(EvalContext *context);
void share_end(EvalContext *context, ShareMark *mark);
// Keeps the value for the other places where the expression stands, if they are on these steps and there is memory.
void share_keep(EvalContext *context, const Expr *expr, ShareMark before, const Steps *steps,
                const Value *value);
// True if somebody else will need what is read for the expression.
bool share_wanted(const EvalContext *context, const Expr *expr);
// Who looked, or made what was kept, will ask once more.
void share_ask_again(const Expr *expr);
// Of a call over a selector: the next other function that will ask for the same windows. `at` counts on from 0; NULL: there is none.
const Expr *share_next_reader(const EvalContext *context, const Expr *call, size_t *at);
// Keeps, without a copy, what was made for such a function.
void share_put(EvalContext *context, const Expr *call, ShareMark before, const Steps *steps,
               const Value *value);
// *ret_done false: nothing was kept.
bool share_take(EvalContext *context, const Expr *expr, const Steps *steps, Arena *arena,
                Value *ret_value, bool *ret_done, Error *err) MUST_CHECK;
// As share_take, for who only looks at it. *ret_kept NULL: nothing was kept.
bool share_look(EvalContext *context, const Expr *expr, const Steps *steps, const Value **ret_kept,
                Error *err) MUST_CHECK;
