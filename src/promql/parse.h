// SPDX-License-Identifier: Apache-2.0
// parse.h: what the grammar (parse.c) and the type check (type_check.c) share. Private to the room.
#pragma once

#include "promql/ast.h"

#define QUERY_BYTES_MAX (4u << 20)
#define QUERY_MATCHERS_MAX 10000
#define QUERY_TERMS_MAX 100000 // operands of all operators, arguments, parentheses
#define PARSE_DEPTH_MAX 400    // nested parentheses, calls and signs
#define EXPR_DEPTH_MAX 1000    // of the tree, where `a + b + c` counts as one

// Fails ERR_INVALID with "line:col: parse error: ..." for the byte offset.
bool parse_error(Error *err, Str query, uint32_t offset, const char *fmt, ...) PRINTF(4, 5);

// Fills expr->type everywhere; finds wrong types, argument counts, modifiers.
bool expr_type_check(Expr *expr, Str query, Error *err) MUST_CHECK;

// A selector of one of the API's match[]: only matchers. The regexes are the caller's.
bool parse_metric_selector(Str text, Arena *arena, Matcher **ret_matchers, size_t *ret_count,
                           Error *err) MUST_CHECK;

static inline bool binary_op_is_comparison(BinaryOp op)
{
    return op >= OP_EQ && op <= OP_GE;
}

static inline bool binary_op_is_set(BinaryOp op)
{
    return op >= OP_AND;
}

static inline bool aggregate_op_has_param(AggregateOp op)
{
    return op >= AGG_TOPK;
}
// True if Go's time.Duration cannot hold so many seconds.
bool parse_duration_out_of_range(double seconds);
