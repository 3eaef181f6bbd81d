// SPDX-License-Identifier: Apache-2.0
// ast.h: the tree of a query. Nodes live in the parser's arena. Private to the room.
#pragma once

#include "metric/matcher.h"
#include "promql/promql.h"

typedef enum ValueType { TYPE_NONE, TYPE_SCALAR, TYPE_VECTOR, TYPE_MATRIX, TYPE_STRING } ValueType;

typedef enum ExprKind {
    EXPR_NUMBER,
    EXPR_STRING,
    EXPR_SELECTOR, // vector selector, or matrix selector if has_range
    EXPR_SUBQUERY,
    EXPR_CALL,
    EXPR_AGGREGATE,
    EXPR_BINARY,
    EXPR_UNARY,
    EXPR_PAREN,
    EXPR_DURATION, // inside range, offset and step of selectors and subqueries only
} ExprKind;

typedef enum BinaryOp {
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_DIV,
    OP_MOD,
    OP_POW,
    OP_ATAN2,
    OP_EQ,
    OP_NE,
    OP_LT,
    OP_LE,
    OP_GT,
    OP_GE,
    OP_TRIM_UPPER, // </
    OP_TRIM_LOWER, // >/
    OP_AND,
    OP_OR,
    OP_UNLESS,
} BinaryOp;

typedef enum AggregateOp {
    AGG_SUM,
    AGG_AVG,
    AGG_COUNT,
    AGG_MIN,
    AGG_MAX,
    AGG_GROUP,
    AGG_STDDEV,
    AGG_STDVAR,
    AGG_TOPK,
    AGG_BOTTOMK,
    AGG_COUNT_VALUES,
    AGG_QUANTILE,
    AGG_LIMITK,
    AGG_LIMIT_RATIO,
} AggregateOp;

typedef enum MatchCard {
    CARD_ONE_TO_ONE,
    CARD_MANY_TO_ONE,
    CARD_ONE_TO_MANY,
    CARD_MANY_TO_MANY
} MatchCard;

// Duration expressions: numbers in seconds.
typedef enum DurationOp {
    DUR_NUMBER,
    DUR_ADD,
    DUR_SUB,
    DUR_MUL,
    DUR_DIV,
    DUR_MOD,
    DUR_POW,
    DUR_NEG,
    DUR_POS,
    DUR_STEP,
    DUR_RANGE,
    DUR_MIN,
    DUR_MAX,
} DurationOp;

typedef struct FunctionInfo FunctionInfo; // functions.h
typedef struct Shared Shared;             // eval_share.h
typedef struct Expr Expr;

typedef enum AtKind { AT_NONE, AT_TIME, AT_START, AT_END } AtKind;

// What selectors and subqueries share: offset and @.
typedef struct TimeShift {
    int64_t offset_ms; // as written; when offset_expr is set it is filled in by duration evaluation
    Expr *offset_expr; // EXPR_DURATION or NULL
    bool
        offset_ends; // an operator stands behind it that a sign kept from being a part of it: offset +(1m) - 1
    AtKind at;
    int64_t at_ms; // AT_TIME
} TimeShift;

struct Expr {
    ExprKind kind;
    ValueType type;      // filled by the type check
    bool invariant;      // the same at every step; filled by expr_mark_invariant
    Shared *shared;      // with those that are the same expression; filled by expr_find_shared
    uint32_t start, end; // byte range in the query text
    union {
        struct {
            double value;
            bool is_duration; // written as 5m: printed so
        } number;
        Str string;
        struct {
            Str metric_name; // maybe empty; also among the matchers as __name__
            Matcher *matchers;
            size_t count;
            TimeShift shift;
            bool has_range;
            int64_t range_ms;
            Expr *range_expr; // EXPR_DURATION or NULL
            bool anchored, smoothed;
            bool
                histogram_stats; // only counts and sums are looked at; filled by expr_mark_histogram_stats
            bool name_in_braces; // the metric name was written quoted inside the braces
        } selector;
        struct {
            Expr *expr;
            int64_t range_ms;
            Expr *range_expr;
            int64_t step_ms; // 0: the default
            Expr *step_expr;
            TimeShift shift;
        } subquery;
        struct {
            const FunctionInfo *function;
            Expr **args;
            size_t count;
        } call;
        struct {
            AggregateOp op;
            Expr *expr;
            Expr *param; // NULL if the operator has none
            Str *grouping;
            size_t grouping_count;
            bool without;
        } aggregate;
        struct {
            BinaryOp op;
            Expr *left, *right;
            Expr *above; // the operator that has this one as its left operand, if there is one
            bool return_bool;
            bool has_matching; // vector to vector: the following count
            MatchCard card;
            bool on; // false: ignoring
            Str *labels;
            size_t label_count;
            Str *include; // group_left(…), group_right(…)
            size_t include_count;
            bool has_fill_left, has_fill_right;
            double fill_left, fill_right;
        } binary;
        struct {
            bool negative;
            Expr *expr;
        } unary;
        Expr *paren;
        struct {
            DurationOp op;
            double number;      // DUR_NUMBER, seconds
            bool is_duration;   // written as 5m
            Expr *left, *right; // a sign has its operand at the left
            bool wrapped;       // stood in parentheses
        } duration;
    };
};

// parse.c: text to tree, with the type check. Selectors' regexes are owned by the tree: expr_free_regexes when done.
bool promql_parse(Str query, const PromqlFeatures *features, Arena *arena, Expr **ret_expr,
                  Error *err) MUST_CHECK;
void expr_free_regexes(Expr *expr);

// `a + b + c` is a chain along the left operands, as long as the query allows: who walks over a tree goes from the innermost operator
// up by `above`, and down only into right operands, so that the length of a chain takes no stack.
static inline const Expr *binary_innermost(const Expr *expr)
{
    while (expr->binary.left->kind == EXPR_BINARY)
        expr = expr->binary.left;
    return expr;
}

// ast_walk.c: calls `visit` for each selector of the tree, from the left to the right.
void expr_each_selector(Expr *expr, void (*visit)(void *arg, Expr *selector), void *arg);

// ast_print.c: as Expr.String() and Pretty().
void expr_print(Buf *buf, const Expr *expr);
void expr_pretty(Buf *buf, const Expr *expr, int level);
// "1:5" of a byte offset in the query.
void query_position(Str query, uint32_t offset, int *ret_line, int *ret_column);

const char *binary_op_text(BinaryOp op);
const char *aggregate_op_text(AggregateOp op);
const char *value_type_text(ValueType type); // "instant vector", ...
