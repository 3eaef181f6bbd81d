// SPDX-License-Identifier: Apache-2.0
#include <math.h>
#include <stdlib.h>

#include "base/number.h"
#include "base/timefmt.h"
#include "promql/ast.h"
#include "promql/functions.h"

#define LINE_BYTES_MAX 100 // of the pretty form: what is longer is split

static void print_duration_expr(Buf *buf, const Expr *expr);

const char *binary_op_text(BinaryOp op)
{
    static const char *const texts[] = {
        [OP_ADD] = "+", [OP_SUB] = "-",         [OP_MUL] = "*",         [OP_DIV] = "/",
        [OP_MOD] = "%", [OP_POW] = "^",         [OP_ATAN2] = "atan2",   [OP_EQ] = "==",
        [OP_NE] = "!=", [OP_LT] = "<",          [OP_LE] = "<=",         [OP_GT] = ">",
        [OP_GE] = ">=", [OP_TRIM_UPPER] = "</", [OP_TRIM_LOWER] = ">/", [OP_AND] = "and",
        [OP_OR] = "or", [OP_UNLESS] = "unless",
    };
    return texts[op];
}

const char *aggregate_op_text(AggregateOp op)
{
    static const char *const texts[] = {
        [AGG_SUM] = "sum",
        [AGG_AVG] = "avg",
        [AGG_COUNT] = "count",
        [AGG_MIN] = "min",
        [AGG_MAX] = "max",
        [AGG_GROUP] = "group",
        [AGG_STDDEV] = "stddev",
        [AGG_STDVAR] = "stdvar",
        [AGG_TOPK] = "topk",
        [AGG_BOTTOMK] = "bottomk",
        [AGG_COUNT_VALUES] = "count_values",
        [AGG_QUANTILE] = "quantile",
        [AGG_LIMITK] = "limitk",
        [AGG_LIMIT_RATIO] = "limit_ratio",
    };
    return texts[op];
}

static void print_labels(Buf *buf, const Str *labels, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_add_c(buf, ", ");
        if (label_name_is_legacy(labels[i]))
            buf_add_str(buf, labels[i]);
        else
            buf_add_go_quoted(buf, labels[i]);
    }
}

static void print_clause(Buf *buf, const char *word, const Str *labels, size_t count)
{
    buf_add_c(buf, word);
    buf_add_c(buf, " (");
    print_labels(buf, labels, count);
    buf_add_char(buf, ')');
}

static int compare_printed(const void *a, const void *b)
{
    return str_compare(*(const Str *)a, *(const Str *)b);
}

static bool matcher_is_plain_name(const Expr *expr, const Matcher *m)
{
    return m->kind == MATCH_EQUAL && m->value.len && str_equal(m->name, LABEL_METRIC_NAME) &&
           str_equal(m->value, expr->selector.metric_name);
}

// {a="b",c!="d"} in the order of their texts; nothing if there are none.
static void print_matchers(Buf *buf, const Expr *expr)
{
    Arena scratch = {0};
    Buf one;
    buf_init(&one, 0);
    Str *texts = ARENA_ARRAY(&scratch, Str, expr->selector.count + 1);
    size_t count = 0;
    for (size_t i = 0; i < expr->selector.count; i++) {
        if (matcher_is_plain_name(expr, &expr->selector.matchers[i]))
            continue;
        buf_reset(&one);
        matcher_print(&one, &expr->selector.matchers[i]);
        texts[count++] = arena_str(&scratch, buf_str(&one));
    }
    qsort(texts, count, sizeof *texts, compare_printed);
    for (size_t i = 0; i < count; i++) {
        buf_add_char(buf, i ? ',' : '{');
        buf_add_str(buf, texts[i]);
    }
    if (count)
        buf_add_char(buf, '}');
    buf_deinit(&one);
    arena_deinit(&scratch);
}

static void print_number(Buf *buf, double value, bool is_duration)
{
    if (!is_duration) {
        buf_add_double_f(buf, value);
        return;
    }
    if (value < 0)
        buf_add_char(buf, '-');
    buf_add_duration(buf, llround(fabs(value) * 1e3));
}

static void print_duration_operand(Buf *buf, const Expr *expr)
{
    const Expr *left = expr->duration.left, *right = expr->duration.right;
    static const char *const signs[] = {[DUR_ADD] = " + ", [DUR_SUB] = " - ", [DUR_MUL] = " * ",
                                        [DUR_DIV] = " / ", [DUR_MOD] = " % ", [DUR_POW] = " ^ "};
    switch (expr->duration.op) {
    case DUR_NUMBER:
        print_number(buf, expr->duration.number, expr->duration.is_duration);
        return;
    case DUR_STEP:
        buf_add_c(buf, "step()");
        return;
    case DUR_RANGE:
        buf_add_c(buf, "range()");
        return;
    case DUR_NEG:
        buf_add_char(buf, '-');
        print_duration_expr(buf, left);
        return;
    case DUR_POS:
        print_duration_expr(buf, left);
        return;
    case DUR_MIN:
    case DUR_MAX:
        buf_add_c(buf, expr->duration.op == DUR_MIN ? "min_of(" : "max_of(");
        print_duration_expr(buf, left);
        buf_add_c(buf, ", ");
        print_duration_expr(buf, right);
        buf_add_char(buf, ')');
        return;
    default:
        print_duration_expr(buf, left);
        buf_add_c(buf, signs[expr->duration.op]);
        print_duration_expr(buf, right);
        return;
    }
}

static void print_duration_expr(Buf *buf, const Expr *expr)
{
    if (expr->duration.wrapped)
        buf_add_char(buf, '(');
    print_duration_operand(buf, expr);
    if (expr->duration.wrapped)
        buf_add_char(buf, ')');
}

static void print_at(Buf *buf, const TimeShift *shift)
{
    switch (shift->at) {
    case AT_NONE:
        return;
    case AT_TIME:
        buf_printf(buf, " @ %.3f", (double)shift->at_ms / 1000.0);
        return;
    case AT_START:
        buf_add_c(buf, " @ start()");
        return;
    case AT_END:
        buf_add_c(buf, " @ end()");
        return;
    }
}

// A plus keeps a parenthesis from taking in the operator behind it, if that comes `next`; the original drops it all the same.
static void print_offset(Buf *buf, const TimeShift *shift, bool next)
{
    if (shift->offset_expr) {
        bool plus = next && shift->offset_ends && shift->offset_expr->duration.wrapped;
        buf_add_c(buf, plus ? " offset +" : " offset ");
        print_duration_expr(buf, shift->offset_expr);
    } else if (shift->offset_ms != 0) {
        buf_add_c(buf, " offset ");
        buf_add_duration(buf, shift->offset_ms);
    }
}

// An offset that begins with a parenthesis takes in the operators behind it. It stands before @ and modifiers then, which the
// original does not do, and so reads its own `x @ 0 offset (1m) - 1` otherwise than it was.
static bool offset_goes_first(const TimeShift *shift)
{
    const Expr *first = shift->offset_expr;
    while (first && !first->duration.wrapped && first->duration.op >= DUR_ADD &&
           first->duration.op <= DUR_POW)
        first = first->duration.left;
    return first && first->duration.wrapped;
}

static void print_shift(Buf *buf, const TimeShift *shift, bool next)
{
    bool offset_first = offset_goes_first(shift);
    if (offset_first)
        print_offset(buf, shift, next && shift->at == AT_NONE);
    print_at(buf, shift);
    if (!offset_first)
        print_offset(buf, shift, next);
}

static void print_range(Buf *buf, int64_t range_ms, const Expr *range_expr)
{
    if (range_expr)
        print_duration_expr(buf, range_expr);
    else
        buf_add_duration(buf, range_ms);
}

static void print_selector(Buf *buf, const Expr *expr)
{
    const TimeShift *shift = &expr->selector.shift;
    buf_add_str(buf, expr->selector.metric_name);
    print_matchers(buf, expr);
    const char *extension = expr->selector.anchored   ? " anchored"
                            : expr->selector.smoothed ? " smoothed"
                                                      : "";
    if (expr->selector.has_range) {
        buf_add_char(buf, '[');
        print_range(buf, expr->selector.range_ms, expr->selector.range_expr);
        buf_add_char(buf, ']');
        buf_add_c(buf, extension);
        print_shift(buf, shift, true);
    } else if (offset_goes_first(shift)) {
        print_shift(buf, shift, !*extension);
        buf_add_c(buf, extension);
    } else {
        print_at(buf, shift);
        buf_add_c(buf, extension);
        print_offset(buf, shift, true);
    }
}

// [range:step] @ … offset …
static void print_subquery_suffix(Buf *buf, const Expr *expr)
{
    buf_add_char(buf, '[');
    print_range(buf, expr->subquery.range_ms, expr->subquery.range_expr);
    buf_add_char(buf, ':');
    if (expr->subquery.step_ms != 0 || expr->subquery.step_expr)
        print_range(buf, expr->subquery.step_ms,
                    expr->subquery.step_ms != 0 ? NULL : expr->subquery.step_expr);
    buf_add_char(buf, ']');
    print_shift(buf, &expr->subquery.shift, true);
}

// sum by (a) without what follows in parentheses
static void print_aggregate_head(Buf *buf, const Expr *expr)
{
    buf_add_c(buf, aggregate_op_text(expr->aggregate.op));
    if (!expr->aggregate.without && expr->aggregate.grouping_count == 0)
        return;
    buf_add_char(buf, ' ');
    print_clause(buf, expr->aggregate.without ? "without" : "by", expr->aggregate.grouping,
                 expr->aggregate.grouping_count);
    buf_add_char(buf, ' ');
}

static void print_fill(Buf *buf, const char *word, double value)
{
    buf_add_c(buf, word);
    buf_add_double_g(buf, value);
    buf_add_char(buf, ')');
}

static void print_fills(Buf *buf, const Expr *expr)
{
    bool left = expr->binary.has_fill_left, right = expr->binary.has_fill_right;
    if (left && right && expr->binary.fill_left == expr->binary.fill_right) {
        print_fill(buf, " fill (", expr->binary.fill_left);
        return;
    }
    if (left)
        print_fill(buf, " fill_left (", expr->binary.fill_left);
    if (right)
        print_fill(buf, " fill_right (", expr->binary.fill_right);
}

// The operator with bool, on(), group_left() and fill().
static void print_operator(Buf *buf, const Expr *expr)
{
    buf_add_c(buf, binary_op_text(expr->binary.op));
    if (expr->binary.return_bool)
        buf_add_c(buf, " bool");
    if (!expr->binary.has_matching)
        return;
    bool grouped = expr->binary.card == CARD_MANY_TO_ONE || expr->binary.card == CARD_ONE_TO_MANY;
    if (expr->binary.label_count || expr->binary.on || grouped)
        print_clause(buf, expr->binary.on ? " on" : " ignoring", expr->binary.labels,
                     expr->binary.label_count);
    if (grouped)
        print_clause(buf, expr->binary.card == CARD_MANY_TO_ONE ? " group_left" : " group_right",
                     expr->binary.include, expr->binary.include_count);
    print_fills(buf, expr);
}

static void print_arguments(Buf *buf, const Expr *expr)
{
    for (size_t i = 0; i < expr->call.count; i++) {
        if (i > 0)
            buf_add_c(buf, ", ");
        expr_print(buf, expr->call.args[i]);
    }
}

static void print_binary(Buf *buf, const Expr *expr)
{
    const Expr *inner = binary_innermost(expr);
    expr_print(buf, inner->binary.left);
    for (;; inner = inner->binary.above) {
        buf_add_char(buf, ' ');
        print_operator(buf, inner);
        buf_add_char(buf, ' ');
        expr_print(buf, inner->binary.right);
        if (inner == expr || buf->failed)
            return;
    }
}

void expr_print(Buf *buf, const Expr *expr)
{
    if (buf->failed)
        return;
    switch (expr->kind) {
    case EXPR_NUMBER:
        print_number(buf, expr->number.value, expr->number.is_duration);
        return;
    case EXPR_STRING:
        buf_add_go_quoted(buf, expr->string);
        return;
    case EXPR_SELECTOR:
        print_selector(buf, expr);
        return;
    case EXPR_SUBQUERY:
        expr_print(buf, expr->subquery.expr);
        print_subquery_suffix(buf, expr);
        return;
    case EXPR_CALL:
        buf_add_c(buf, expr->call.function->name);
        buf_add_char(buf, '(');
        print_arguments(buf, expr);
        buf_add_char(buf, ')');
        return;
    case EXPR_AGGREGATE:
        print_aggregate_head(buf, expr);
        buf_add_char(buf, '(');
        if (expr->aggregate.param) {
            expr_print(buf, expr->aggregate.param);
            buf_add_c(buf, ", ");
        }
        expr_print(buf, expr->aggregate.expr);
        buf_add_char(buf, ')');
        return;
    case EXPR_BINARY:
        print_binary(buf, expr);
        return;
    case EXPR_UNARY:
        buf_add_char(buf, expr->unary.negative ? '-' : '+');
        expr_print(buf, expr->unary.expr);
        return;
    case EXPR_PAREN:
        buf_add_char(buf, '(');
        expr_print(buf, expr->paren);
        buf_add_char(buf, ')');
        return;
    case EXPR_DURATION:
        print_duration_expr(buf, expr);
        return;
    }
}

// A chain of so many operators is longer than a line, and is not printed to find that out.
static bool is_long_chain(const Expr *expr)
{
    int bytes = 0;
    for (; expr->kind == EXPR_BINARY && bytes <= LINE_BYTES_MAX; expr = expr->binary.left)
        bytes += (int)strlen("+ 1 ");
    return bytes > LINE_BYTES_MAX;
}

static bool fits_line(const Expr *expr)
{
    if (is_long_chain(expr))
        return false;
    // Numbers reserve more than they use.
    Buf line;
    buf_init(&line, LINE_BYTES_MAX + 2 * NUMBER_BYTES_MAX);
    expr_print(&line, expr);
    bool fits = !line.failed && line.len <= LINE_BYTES_MAX;
    buf_deinit(&line);
    return fits;
}

static void print_indent(Buf *buf, int level)
{
    for (int i = 0; i < level && !buf->failed; i++)
        buf_add_c(buf, "  ");
}

static void pretty_call(Buf *buf, const Expr *expr, int level)
{
    buf_add_c(buf, expr->call.function->name);
    buf_add_c(buf, "(\n");
    for (size_t i = 0; i < expr->call.count; i++) {
        if (i > 0)
            buf_add_c(buf, ",\n");
        expr_pretty(buf, expr->call.args[i], level + 1);
    }
    buf_add_char(buf, '\n');
    print_indent(buf, level);
    buf_add_char(buf, ')');
}

static void pretty_aggregate(Buf *buf, const Expr *expr, int level)
{
    print_aggregate_head(buf, expr);
    buf_add_c(buf, "(\n");
    if (expr->aggregate.param) {
        expr_pretty(buf, expr->aggregate.param, level + 1);
        buf_add_c(buf, ",\n");
    }
    expr_pretty(buf, expr->aggregate.expr, level + 1);
    buf_add_char(buf, '\n');
    print_indent(buf, level);
    buf_add_char(buf, ')');
}

static void pretty_binary(Buf *buf, const Expr *expr, int level)
{
    const Expr *inner = expr;
    for (; inner->binary.left->kind == EXPR_BINARY && !fits_line(inner->binary.left); level++)
        inner = inner->binary.left;
    expr_pretty(buf, inner->binary.left, level + 1);
    for (;; inner = inner->binary.above, level--) {
        buf_add_char(buf, '\n');
        print_indent(buf, level);
        print_operator(buf, inner);
        buf_add_char(buf, '\n');
        expr_pretty(buf, inner->binary.right, level + 1);
        if (inner == expr || buf->failed)
            return;
    }
}

// The sign stands before the operand's text without its indentation.
static void pretty_unary(Buf *buf, const Expr *expr, int level)
{
    print_indent(buf, level);
    buf_add_char(buf, expr->unary.negative ? '-' : '+');
    Buf operand;
    buf_init(&operand, buf->max);
    expr_pretty(&operand, expr->unary.expr, level);
    buf_add_str(buf, str_trim(buf_str(&operand)));
    buf_deinit(&operand);
}

void expr_pretty(Buf *buf, const Expr *expr, int level)
{
    if (buf->failed)
        return;
    // A unary expression is split inside; a subquery that fits is not even indented: as the original does it.
    if (expr->kind == EXPR_UNARY) {
        pretty_unary(buf, expr, level);
        return;
    }
    if (expr->kind == EXPR_SUBQUERY) {
        if (fits_line(expr)) {
            expr_print(buf, expr);
        } else {
            expr_pretty(buf, expr->subquery.expr, level);
            print_subquery_suffix(buf, expr);
        }
        return;
    }
    bool splits = expr->kind == EXPR_CALL || expr->kind == EXPR_AGGREGATE ||
                  expr->kind == EXPR_BINARY || expr->kind == EXPR_PAREN;
    if (!splits || fits_line(expr)) {
        print_indent(buf, level);
        expr_print(buf, expr);
        return;
    }
    if (expr->kind == EXPR_BINARY) {
        pretty_binary(buf, expr, level);
        return;
    }
    print_indent(buf, level);
    if (expr->kind == EXPR_CALL) {
        pretty_call(buf, expr, level);
    } else if (expr->kind == EXPR_AGGREGATE) {
        pretty_aggregate(buf, expr, level);
    } else {
        buf_add_c(buf, "(\n");
        expr_pretty(buf, expr->paren, level + 1);
        buf_add_char(buf, '\n');
        print_indent(buf, level);
        buf_add_char(buf, ')');
    }
}
