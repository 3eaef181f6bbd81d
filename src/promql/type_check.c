// SPDX-License-Identifier: Apache-2.0
#include "base/buf.h"
#include "promql/functions.h"
#include "promql/parse.h"

typedef struct TypeCheck {
    Str query;
    Error *err;
    int depth;
} TypeCheck;

#define CHECK_FAIL(c, offset, ...) parse_error((c)->err, (c)->query, (offset), __VA_ARGS__)

static bool check_expr(TypeCheck *c, Expr *expr);

const char *value_type_text(ValueType type)
{
    switch (type) {
    case TYPE_SCALAR:
        return "scalar";
    case TYPE_VECTOR:
        return "instant vector";
    case TYPE_MATRIX:
        return "range vector";
    case TYPE_STRING:
        return "string";
    case TYPE_NONE:
        break;
    }
    return "<unknown>";
}

static const char *value_type_word(ValueType type)
{
    static const char *const words[] = {"none", "scalar", "vector", "matrix", "string"};
    return words[type];
}

static bool check_depth(TypeCheck *c, const Expr *expr)
{
    return ++c->depth <= EXPR_DEPTH_MAX ||
           CHECK_FAIL(c, expr->start, "expression is nested too deeply (more than %d levels)",
                      EXPR_DEPTH_MAX);
}

// Duration expressions have one type; only their depth can be wrong.
static bool check_duration(TypeCheck *c, const Expr *expr)
{
    if (!expr)
        return true;
    bool ok = check_depth(c, expr) && check_duration(c, expr->duration.left) &&
              check_duration(c, expr->duration.right);
    c->depth--;
    return ok;
}

static bool check_want(TypeCheck *c, Expr *expr, ValueType want, const char *place)
{
    if (!check_expr(c, expr))
        return false;
    return expr->type == want ||
           CHECK_FAIL(c, expr->start, "expected type %s in %s, got %s", value_type_text(want),
                      place, value_type_text(expr->type));
}

static bool check_aggregate(TypeCheck *c, Expr *expr)
{
    expr->type = TYPE_VECTOR;
    if (!check_want(c, expr->aggregate.expr, TYPE_VECTOR, "aggregation expression"))
        return false;
    if (!expr->aggregate.param)
        return true;
    return check_want(c, expr->aggregate.param,
                      expr->aggregate.op == AGG_COUNT_VALUES ? TYPE_STRING : TYPE_SCALAR,
                      "aggregation parameter");
}

// The operator and what follows it: where errors about them point.
static uint32_t operator_start(const TypeCheck *c, const Expr *expr)
{
    uint32_t at = expr->binary.left->end;
    while (at < c->query.len && strchr(" \t\r\n", c->query.ptr[at]) && c->query.ptr[at])
        at++;
    return at;
}

static bool check_group_labels(TypeCheck *c, Expr *expr)
{
    if (!expr->binary.on)
        return true;
    for (size_t i = 0; i < expr->binary.label_count; i++) {
        for (size_t j = 0; j < expr->binary.include_count; j++) {
            if (!str_equal(expr->binary.labels[i], expr->binary.include[j]))
                continue;
            Buf label;
            buf_init(&label, 0);
            buf_add_go_quoted(&label, expr->binary.labels[i]);
            CHECK_FAIL(c, operator_start(c, expr),
                       "label " STR_FMT " must not occur in ON and GROUP clause at once",
                       STR_ARG(buf_str(&label)));
            buf_deinit(&label);
            return false;
        }
    }
    return true;
}

static bool is_operand(ValueType type)
{
    return type == TYPE_SCALAR || type == TYPE_VECTOR;
}

// What stands between operator and right side, now that both types are known.
static bool check_matching(TypeCheck *c, Expr *expr)
{
    bool vectors =
        expr->binary.left->type == TYPE_VECTOR && expr->binary.right->type == TYPE_VECTOR;
    bool has_fill = expr->binary.has_fill_left || expr->binary.has_fill_right;
    const char *op = binary_op_text(expr->binary.op);
    if (!vectors) {
        if (expr->binary.label_count)
            return CHECK_FAIL(c, expr->start,
                              "vector matching only allowed between instant vectors");
        if (has_fill)
            return CHECK_FAIL(c, expr->start,
                              "filling in missing series only allowed between instant vectors");
        expr->binary.has_matching = false;
        if (binary_op_is_set(expr->binary.op))
            return CHECK_FAIL(c, expr->start,
                              "set operator \"%s\" not allowed in binary scalar expression", op);
        return true;
    }
    if (!binary_op_is_set(expr->binary.op))
        return true;
    if (expr->binary.card != CARD_MANY_TO_MANY)
        return CHECK_FAIL(c, expr->start, "no grouping allowed for \"%s\" operation", op);
    if (has_fill)
        return CHECK_FAIL(c, expr->start,
                          "filling in missing series not allowed for set operators");
    return true;
}

// The operator alone; its operands have been checked.
static bool check_operator(TypeCheck *c, Expr *expr)
{
    ValueType left = expr->binary.left->type, right = expr->binary.right->type;
    bool scalars = left == TYPE_SCALAR && right == TYPE_SCALAR;
    expr->type = scalars ? TYPE_SCALAR : TYPE_VECTOR;
    if (expr->binary.return_bool && !binary_op_is_comparison(expr->binary.op))
        return CHECK_FAIL(c, operator_start(c, expr),
                          "bool modifier can only be used on comparison operators");
    if (scalars && binary_op_is_comparison(expr->binary.op) && !expr->binary.return_bool)
        return CHECK_FAIL(c, operator_start(c, expr),
                          "comparisons between scalars must use BOOL modifier");
    if (binary_op_is_set(expr->binary.op) && expr->binary.card == CARD_ONE_TO_ONE)
        expr->binary.card = CARD_MANY_TO_MANY;
    if (!check_group_labels(c, expr))
        return false;
    if (!is_operand(left) || !is_operand(right))
        return CHECK_FAIL(c, is_operand(left) ? expr->binary.right->start : expr->start,
                          "binary expression must contain only scalar and instant vector types");
    return check_matching(c, expr);
}

static bool check_binary(TypeCheck *c, Expr *expr)
{
    Expr *inner = expr;
    while (inner->binary.left->kind == EXPR_BINARY)
        inner = inner->binary.left;
    if (!check_expr(c, inner->binary.left))
        return false;
    for (;; inner = inner->binary.above) {
        if (!check_expr(c, inner->binary.right) || !check_operator(c, inner))
            return false;
        if (inner == expr)
            return true;
    }
}

static bool check_argument_count(TypeCheck *c, const Expr *expr)
{
    const FunctionInfo *f = expr->call.function;
    size_t got = expr->call.count, declared = (size_t)f->arg_count;
    if (f->variadic == 0)
        return got == declared ||
               CHECK_FAIL(c, expr->start, "expected %zu argument(s) in call to \"%s\", got %zu",
                          declared, f->name, got);
    size_t least = declared - 1;
    if (got < least)
        return CHECK_FAIL(c, expr->start,
                          "expected at least %zu argument(s) in call to \"%s\", got %zu", least,
                          f->name, got);
    if (f->variadic > 0 && got > least + (size_t)f->variadic)
        return CHECK_FAIL(c, expr->start,
                          "expected at most %zu argument(s) in call to \"%s\", got %zu",
                          least + (size_t)f->variadic, f->name, got);
    return true;
}

// The second argument of info() is a bare {…}, which may match everything.
static bool check_info_selector(TypeCheck *c, Expr *expr)
{
    Expr *arg = expr->call.args[1];
    if (arg->kind == EXPR_SELECTOR && !arg->selector.has_range) {
        arg->type = TYPE_VECTOR;
        return arg->selector.metric_name.len == 0 ||
               CHECK_FAIL(c, arg->start,
                          "expected label selectors only, got vector selector instead");
    }
    if (!check_expr(c, arg))
        return false;
    if (arg->type != TYPE_VECTOR)
        return CHECK_FAIL(c, expr->start,
                          "expected type instant vector in call to function \"info\", got %s",
                          value_type_text(arg->type));
    return CHECK_FAIL(c, arg->start, "expected label selectors only");
}

static bool check_call(TypeCheck *c, Expr *expr)
{
    const FunctionInfo *f = expr->call.function;
    expr->type = f->returns;
    if (!check_argument_count(c, expr))
        return false;
    bool is_info = strcmp(f->name, "info") == 0;
    if (is_info && expr->call.count > 1 && !check_info_selector(c, expr))
        return false;
    for (size_t i = 0; i < expr->call.count; i++) {
        Expr *arg = expr->call.args[i];
        if (is_info && i == 1)
            continue;
        ValueType want = f->args[MIN(i, (size_t)f->arg_count - 1)];
        if (!check_expr(c, arg))
            return false;
        if (arg->type != want)
            return CHECK_FAIL(c, arg->start, "expected type %s in call to function \"%s\", got %s",
                              value_type_text(want), f->name, value_type_text(arg->type));
    }
    return true;
}

static bool check_unary(TypeCheck *c, Expr *expr)
{
    if (!check_expr(c, expr->unary.expr))
        return false;
    expr->type = expr->unary.expr->type;
    return is_operand(expr->type) || CHECK_FAIL(c, expr->start,
                                                "unary expression only allowed on expressions of "
                                                "type scalar or instant vector, got \"%s\"",
                                                value_type_text(expr->type));
}

static bool check_shift(TypeCheck *c, const TimeShift *shift)
{
    return check_duration(c, shift->offset_expr);
}

static bool check_subquery(TypeCheck *c, Expr *expr)
{
    expr->type = TYPE_MATRIX;
    Expr *inner = expr->subquery.expr;
    if (!check_expr(c, inner))
        return false;
    if (inner->type != TYPE_VECTOR)
        return CHECK_FAIL(c, expr->start,
                          "subquery is only allowed on instant vector, got %s instead",
                          value_type_word(inner->type));
    return check_duration(c, expr->subquery.range_expr) &&
           check_duration(c, expr->subquery.step_expr) && check_shift(c, &expr->subquery.shift);
}

static bool check_name_once(TypeCheck *c, const Expr *expr)
{
    // The name before the braces is the last matcher.
    for (size_t i = 0; i + 1 < expr->selector.count; i++) {
        const Matcher *m = &expr->selector.matchers[i];
        if (!str_equal(m->name, LABEL_METRIC_NAME))
            continue;
        Buf value;
        buf_init(&value, 0);
        buf_add_go_quoted(&value, m->value);
        CHECK_FAIL(c, expr->start, "metric name must not be set twice: \"" STR_FMT "\" or " STR_FMT,
                   STR_ARG(expr->selector.metric_name), STR_ARG(buf_str(&value)));
        buf_deinit(&value);
        return false;
    }
    return true;
}

static bool check_selector(TypeCheck *c, Expr *expr)
{
    expr->type = expr->selector.has_range ? TYPE_MATRIX : TYPE_VECTOR;
    if (!check_duration(c, expr->selector.range_expr) || !check_shift(c, &expr->selector.shift))
        return false;
    if (expr->selector.metric_name.len)
        return check_name_once(c, expr);
    for (size_t i = 0; i < expr->selector.count; i++)
        if (!expr->selector.matchers[i].matches_empty)
            return true;
    return CHECK_FAIL(c, expr->start,
                      "vector selector must contain at least one non-empty matcher");
}

static bool check_kind(TypeCheck *c, Expr *expr)
{
    switch (expr->kind) {
    case EXPR_NUMBER:
    case EXPR_DURATION:
        expr->type = TYPE_SCALAR;
        return true;
    case EXPR_STRING:
        expr->type = TYPE_STRING;
        return true;
    case EXPR_SELECTOR:
        return check_selector(c, expr);
    case EXPR_SUBQUERY:
        return check_subquery(c, expr);
    case EXPR_CALL:
        return check_call(c, expr);
    case EXPR_AGGREGATE:
        return check_aggregate(c, expr);
    case EXPR_BINARY:
        return check_binary(c, expr);
    case EXPR_UNARY:
        return check_unary(c, expr);
    case EXPR_PAREN:
        if (!check_expr(c, expr->paren))
            return false;
        expr->type = expr->paren->type;
        return true;
    }
    return true;
}

static bool check_expr(TypeCheck *c, Expr *expr)
{
    bool ok = check_depth(c, expr) && check_kind(c, expr);
    c->depth--;
    return ok;
}

bool expr_type_check(Expr *expr, Str query, Error *err)
{
    TypeCheck check = {.query = query, .err = err};
    return check_expr(&check, expr);
}
